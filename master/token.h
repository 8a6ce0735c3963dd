/*
 * token - the subcommand `oci-mcp-gateway token mint|hash|inspect`.
 *
 * Tools for the administrator and for development: make a signed token, make
 * the hash of a static token for the configuration, look into a token and say
 * why it would be refused. Secrets are read from standard input or from files,
 * never from the command line, which every user of the machine can see.
 */
#ifndef MASTER_TOKEN_H
#define MASTER_TOKEN_H

#include "lib/base.h"

/*
 * Run it: argv[0] is "token", argv[1] the verb. Writes results to standard
 * output and reasons to standard error. Returns the exit status: 0 done, 1
 * refused or failed, 2 wrong usage.
 */
int token_main(int argc, char **argv);

#endif
