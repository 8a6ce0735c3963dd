/*
 * stdio - the server for one client that started it: {"command":
 * "oci-mcp-server"} of a desktop application.
 *
 * Two halves. This process is the bridge (master/bridge) between standard
 * input and output and HTTP. Its child is the ordinary server, all of it, on a
 * loopback port, which lets in nobody but who has a token that only these two
 * processes know. The bridge holds no credential of the cloud. When it dies,
 * however, the kernel ends the server.
 *
 * Standard output has nothing but messages: whatever the server would print
 * goes to standard error, as the log does.
 */
#ifndef MASTER_STDIO_H
#define MASTER_STDIO_H

#include "master/options.h"

/*
 * Is this transport wanted? --transport says it, else OCI_MCP_TRANSPORT of the
 * environment, else it is when standard input, the descriptor in, is a pipe or
 * a socket: then somebody started us as a child. Never of the gateway. What is
 * neither of the two words is not ours to complain about (config_load() does).
 */
bool stdio_is_wanted(const struct options *opt, int in);

/*
 * Serve. In the child serve() runs, with the options of a private server; its
 * result is the child's exit status. Returns the exit status.
 */
int stdio_run(const struct options *opt, int (*serve)(const struct options *));

#endif
