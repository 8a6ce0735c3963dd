/*
 * config_main - the keys of the configuration file.
 */
#ifndef MASTER_CONFIG_MAIN_H
#define MASTER_CONFIG_MAIN_H

#include "master/config_key.h"

/* The table of all keys; their structure is struct config. */
const struct config_schema *config_main_schema(void);

/*
 * Add a static token. text is what the client sends, or "sha256:..."; it is
 * hashed and not kept. There must be room in r->config->tokens. draft has the
 * rest. Complains about a text that no client can send.
 */
void config_main_add_token(struct config_reader *r, struct json_place place,
                           struct span text, const struct config_token *draft);

#endif
