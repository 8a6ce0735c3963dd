/*
 * options - the command line of both programs.
 *
 * One table of flags feeds the parser and the help text. What a flag means for
 * the configuration is decided in master/config: here a flag is only read.
 */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include <stdio.h>

#include "lib/base.h"

#define OPTIONS_SCAN_MAX 64 /* --scan given at most this often */

/* What distinguishes the two programs before any configuration is read. */
struct program {
	const char *name;
	const char *default_name; /* what it calls itself towards clients */
	const char *summary;      /* first line of --help */
	const char *default_file; /* configuration read when none is named */
	const char *default_host;
	int default_port;
	bool default_auth; /* of auth.enabled */
	bool is_server;    /* built-in OCI tools only; OCI_MCP_* variables */
};

extern const struct program program_gateway; /* oci-mcp-gateway, 9000 */
extern const struct program program_server;  /* oci-mcp-server, 8000 */

enum options_action {
	OPTIONS_RUN,      /* serve */
	OPTIONS_CHECK,    /* --check: verify the configuration and exit */
	OPTIONS_DUMP,     /* --dump: print the effective settings and exit */
	OPTIONS_DISCOVER, /* --discover-only: print the backends and exit */
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_TOKEN,  /* first word "token"; its words are in argv */
	OPTIONS_STATUS, /* first word "status" */
};

/* What --transport and OCI_MCP_TRANSPORT may say. */
#define OPTIONS_STDIO           "stdio"
#define OPTIONS_STREAMABLE_HTTP "streamable_http"

/*
 * A server that is there for one client on this machine (master/stdio). Wins
 * over every other source: nobody else gets in, and nothing is shared.
 */
struct options_private {
	int port;                /* of 127.0.0.1 */
	const char *token;       /* the one that is let in */
	const char *runtime_dir; /* for nobody else */
};

struct options {
	const struct program *program;
	enum options_action action;
	const char *config_file; /* NULL: not given, as all strings below */
	const char *host;
	const char *path;
	const char *log_level;
	const char *backends_dir;
	const char *env_file;
	const char *transport; /* one of the two above */
	const char *scan[OPTIONS_SCAN_MAX];
	size_t n_scan;
	int port;    /* 0: not given */
	int workers; /* -1: not given */
	bool no_auth;
	bool stateless;
	const struct options_private *private; /* never from the command line */
	int argc;    /* words of a subcommand, its name first; else 0 */
	char **argv; /* into main's argv */
};

#define OPTIONS_WHY_MAX 256

/*
 * Read the command line. Strings point into argv. Returns true, or false with
 * a sentence in why (unknown flag, missing or bad value, a word too many); the
 * caller prints it with a hint at --help and exits 2.
 */
MUST_CHECK bool options_parse(struct options *opt,
                              const struct program *program, int argc,
                              char **argv, char why[OPTIONS_WHY_MAX]);

/* The options of a program started without any. */
void options_init(struct options *opt, const struct program *program);

/* The text of --help. */
void options_help(const struct program *program, FILE *out);

/* The line of --version. */
void options_version(const struct program *program, FILE *out);

#endif
