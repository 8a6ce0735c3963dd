/*
 * token_mint - `token mint`: print a signed access token (RFC 9068).
 */
#ifndef MASTER_TOKEN_MINT_H
#define MASTER_TOKEN_MINT_H

#include "master/token_io.h"

#define TOKEN_MINT_TTL_S     3600      /* when --ttl is not given */
#define TOKEN_MINT_TTL_MAX_S 315360000 /* ten years */

/*
 * Sign with the key of w->key, or with a new one that is written to w->new_key.
 * Nothing is printed that the gateway's own check would refuse. Returns the
 * exit status.
 */
int token_mint(const struct token_wish *w);

#endif
