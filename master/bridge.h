/*
 * bridge - MCP's stdio transport, spoken for a server that speaks Streamable
 * HTTP: each line of standard input is POSTed, each message of an answer is a
 * line of standard output.
 *
 * Many requests are open at once, and their answers come in any order. Nothing
 * is taken from standard input while an initialize is open, since what follows
 * needs its session; while BRIDGE_CALLS_MAX are open; or while standard output
 * does not take what there is. notifications/cancelled closes the POST it is
 * about, which is how Streamable HTTP of 2026-07-28 says it.
 *
 * Ends when standard input does, or with SIGTERM, SIGINT or SIGHUP: open
 * requests have BRIDGE_FINISH_MS, then the server is stopped.
 */
#ifndef MASTER_BRIDGE_H
#define MASTER_BRIDGE_H

#include <signal.h>
#include <sys/types.h>

#include "lib/base.h"

#define BRIDGE_LINE_MAX   (4u << 20)  /* bytes of a message from the client */
#define BRIDGE_ANSWER_MAX (64u << 20) /* bytes of a message to the client */
#define BRIDGE_CALLS_MAX  64          /* open POSTs */
#define BRIDGE_FINISH_MS  5000        /* for open requests at the end */

struct bridge_options {
	int in, out;       /* the client; they stay the caller's */
	int port;          /* of the server, on 127.0.0.1 */
	const char *token; /* that it wants */
	pid_t server;      /* our child */
};

/* The signals that it waits for: to be blocked before the server is forked, so
 * that none is lost. */
void bridge_signals(sigset_t *set);

/*
 * Carry messages until the end. The server is reaped then. Returns 0, or
 * -ECHILD when the server ended by itself, every open request having got an
 * error; or -errno of setting up. Both have been logged.
 */
MUST_CHECK int bridge_run(const struct bridge_options *options);

#endif
