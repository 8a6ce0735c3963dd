/*
 * token_inspect - `token inspect`: show what a token says and judge it.
 */
#ifndef MASTER_TOKEN_INSPECT_H
#define MASTER_TOKEN_INSPECT_H

#include "master/token_io.h"

/*
 * Read a token from standard input and print its header, claims and times; with
 * w->key also whether the signature is good and what the gateway's check says,
 * w->issuer and w->audience compared when given. Returns the exit status:
 * TOKEN_FAILED when it would be refused.
 */
int token_inspect(const struct token_wish *w);

#endif
