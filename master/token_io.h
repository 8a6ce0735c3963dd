/*
 * token_io - what the verbs of the token subcommand share: the wish that the
 * command line spells, and the ways in and out of the program.
 *
 * Reasons go to standard error, one line each, results to standard output. A
 * function that complains returns the exit status, so that complaining and
 * giving up are one statement.
 */
#ifndef MASTER_TOKEN_IO_H
#define MASTER_TOKEN_IO_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/keys.h"

/* Exit statuses. */
enum { TOKEN_DONE = 0, TOKEN_FAILED = 1, TOKEN_USAGE = 2 };

/* What the options of all verbs say; NULL where one was not given. */
struct token_wish {
	const char *key, *new_key, *alg, *issuer, *audience, *subject;
	const char *client_id, *scope, *kid, *ttl;
	bool generate, help;
};

/* Write a line to standard error. Returns status. */
int token_io_complain(int status, const char *fmt, ...) PRINTF(2, 3);

/*
 * Write out what was printed. Returns status, or TOKEN_FAILED when standard
 * output took not all of it: the caller must not believe it has arrived.
 */
int token_io_finish(int status);

/* Overwrite and free. */
void token_io_wipe(struct buf *b);

/*
 * Read standard input to its end, without one newline at the end. At a terminal
 * ask for what, read one line and do not show it. into->max is one more than
 * the longest input. Returns TOKEN_DONE or, having complained, TOKEN_FAILED.
 */
int token_io_ask(struct buf *into, const char *what);

/*
 * Load a private or a public key from a PEM file; warns when everybody may read
 * a private one. Returns as token_io_ask(); *key is for key_free().
 */
int token_io_key(const char *path, bool private, struct key **key);

#endif
