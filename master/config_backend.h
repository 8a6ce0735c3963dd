/*
 * config_backend - backends: their keys, and what must be true of them.
 */
#ifndef MASTER_CONFIG_BACKEND_H
#define MASTER_CONFIG_BACKEND_H

#include "master/config_key.h"

/* The array "backends" of a file. */
void config_backend_read_all(struct config_reader *r, struct json_value value);

/* One object of it. */
void config_backend_read(struct config_reader *r, struct json_value object);

/*
 * Take a backend into the list unless its name is taken. object is where it was
 * defined; identifier, source and the parts of the URL are filled in.
 */
void config_backend_add(struct config_reader *r, struct json_value object,
                        const struct config_backend *backend);

/* May the administrator set this header field? NULL, or why not. */
const char *config_backend_header_fault(struct span name);

/* The keys of a backend. */
const struct config_schema *config_backend_schema(void);

/* The one backend of oci-mcp-server: the tools of Oracle Cloud. */
void config_backend_add_oci(struct config_reader *r);

#endif
