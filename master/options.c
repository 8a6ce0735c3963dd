#include "master/options.h"

#include <getopt.h>

#include "lib/span.h"
#include "lib/version.h"

const struct program program_gateway = {
	.name = "oci-mcp-gateway",
	.default_name = "oci-mcp-gateway",
	.summary = "One authenticated endpoint for many MCP servers.",
	.default_file = "/etc/oci-mcp-gateway/gateway.json",
	.default_host = "0.0.0.0",
	.default_port = 9000,
	.default_auth = true,
};

const struct program program_server = {
	.name = "oci-mcp-server",
	.default_name = "oci-mcp",
	.summary = "The tools of Oracle Cloud Infrastructure as an MCP server.",
	.default_file = "/etc/oci-mcp-gateway/server.json",
	.default_host = "0.0.0.0",
	.default_port = 8000,
	.default_auth = false,
	.is_server = true,
};

enum kind { TEXT, NUMBER, SWITCH, ACTION, SCAN, TRANSPORT };

struct flag {
	const char *name;
	char letter; /* 0: none */
	enum kind kind;
	size_t at;            /* in struct options; of an ACTION its value */
	int min, max;         /* of a NUMBER */
	const char *argument; /* in the help text; NULL: takes none */
	const char *help;
};

#define AT(member) offsetof(struct options, member)

/* clang-format off */
static const struct flag flags[] = {
	{ "config", 'c', TEXT, AT(config_file), 0, 0, "FILE",
	  "configuration file (MCP_GATEWAY_CONFIG)" },
	{ "host", 0, TEXT, AT(host), 0, 0, "ADDRESS", "address to listen on" },
	{ "port", 'p', NUMBER, AT(port), 1, 65535, "PORT", "port to listen on" },
	{ "path", 0, TEXT, AT(path), 0, 0, "PATH", "path of the endpoint" },
	{ "workers", 0, NUMBER, AT(workers), 0, 256, "COUNT",
	  "worker processes; 0 is one per CPU" },
	{ "no-auth", 0, SWITCH, AT(no_auth), 0, 0, NULL,
	  "let everybody in; for trials on one machine" },
	{ "stateless", 0, SWITCH, AT(stateless), 0, 0, NULL,
	  "never hand out a session identifier" },
	{ "transport", 0, TRANSPORT, 0, 0, 0, "NAME",
	  "stdio or streamable_http (OCI_MCP_TRANSPORT); stdio when\n"
	  "standard input is a pipe or a socket" },
	{ "log-level", 0, TEXT, AT(log_level), 0, 0, "LEVEL",
	  "DEBUG, INFO, WARNING or ERROR" },
	{ "scan", 0, SCAN, 0, 0, 0, "DIR",
	  "look for .mcp.json here; backends are added disabled;\n"
	  "may be repeated" },
	{ "backends-dir", 0, TEXT, AT(backends_dir), 0, 0, "DIR",
	  "read one backend from each *.json in DIR" },
	{ "env-file", 0, TEXT, AT(env_file), 0, 0, "FILE",
	  "lines NAME=VALUE for variables that are not set" },
	{ "discover-only", 0, ACTION, OPTIONS_DISCOVER, 0, 0, NULL,
	  "print the backends as JSON and exit" },
	{ "check", 0, ACTION, OPTIONS_CHECK, 0, 0, NULL,
	  "verify the configuration and exit; 1 when it is wrong" },
	{ "dump", 0, ACTION, OPTIONS_DUMP, 0, 0, NULL,
	  "print the effective settings as JSON and exit" },
	{ "version", 0, ACTION, OPTIONS_VERSION, 0, 0, NULL,
	  "print the version and exit" },
	{ "help", 'h', ACTION, OPTIONS_HELP, 0, 0, NULL,
	  "print this text and exit" },
};

static const struct command {
	const char *name;
	enum options_action action;
	const char *help;
} commands[] = {
	{ "token", OPTIONS_TOKEN, "make or hash a static token" },
	{ "status", OPTIONS_STATUS, "what the running processes are doing" },
};
/* clang-format on */

/* getopt_long() gives back the index of the flag, above every letter. */
#define FIRST 256

void options_init(struct options *opt, const struct program *program)
{
	*opt = (struct options){ .program = program, .workers = -1 };
}

static void build_getopt(struct option out[ARRAY_LEN(flags) + 1],
                         char letters[2 * ARRAY_LEN(flags) + 2])
{
	size_t n = 0;

	letters[n++] = ':';
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		out[i] = (struct option){
			.name = flags[i].name,
			.has_arg = flags[i].argument ? required_argument
			                             : no_argument,
			.val = FIRST + (int)i,
		};
		if (!flags[i].letter)
			continue;
		letters[n++] = flags[i].letter;
		if (flags[i].argument)
			letters[n++] = ':';
	}
	out[ARRAY_LEN(flags)] = (struct option){ .name = NULL };
	letters[n] = 0;
}

static const struct flag *find_flag(int value)
{
	if (value >= FIRST)
		return &flags[value - FIRST];
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].letter && flags[i].letter == value)
			return &flags[i];
	return NULL;
}

static bool read_number(const struct flag *flag, const char *text, int *out,
                        char why[OPTIONS_WHY_MAX])
{
	uint64_t n;

	if (span_u64(span_str(text), (uint64_t)flag->max, &n) &&
	    n >= (uint64_t)flag->min) {
		*out = (int)n;
		return true;
	}
	snprintf(why, OPTIONS_WHY_MAX, "--%s takes a number from %d to %d",
	         flag->name, flag->min, flag->max);
	return false;
}

static bool add_scan(struct options *opt, const char *dir,
                     char why[OPTIONS_WHY_MAX])
{
	if (opt->n_scan < OPTIONS_SCAN_MAX) {
		opt->scan[opt->n_scan++] = dir;
		return true;
	}
	snprintf(why, OPTIONS_WHY_MAX, "--scan can be given %d times at most",
	         OPTIONS_SCAN_MAX);
	return false;
}

/* The gateway knows the one only. */
static bool set_transport(struct options *opt, const char *name,
                          char why[OPTIONS_WHY_MAX])
{
	opt->transport = name;
	if (!opt->program->is_server) {
		snprintf(why, OPTIONS_WHY_MAX,
		         "--transport is for oci-mcp-server");
		return false;
	}
	if (strcmp(name, OPTIONS_STDIO) == 0 ||
	    strcmp(name, OPTIONS_STREAMABLE_HTTP) == 0)
		return true;
	snprintf(why, OPTIONS_WHY_MAX,
	         "--transport takes " OPTIONS_STDIO
	         " or " OPTIONS_STREAMABLE_HTTP);
	return false;
}

static bool set_action(struct options *opt, enum options_action action,
                       char why[OPTIONS_WHY_MAX])
{
	/* --help and --version win over everything, also each other. */
	if (opt->action == OPTIONS_HELP || opt->action == OPTIONS_VERSION)
		return true;
	if (opt->action == OPTIONS_RUN || opt->action == action ||
	    action == OPTIONS_HELP || action == OPTIONS_VERSION) {
		opt->action = action;
		return true;
	}
	snprintf(why, OPTIONS_WHY_MAX,
	         "choose one of --check, --dump and --discover-only");
	return false;
}

static bool apply(struct options *opt, const struct flag *flag,
                  const char *argument, char why[OPTIONS_WHY_MAX])
{
	void *at = (char *)opt + flag->at;

	switch (flag->kind) {
	case TEXT:
		if (*argument) {
			*(const char **)at = argument;
			return true;
		}
		snprintf(why, OPTIONS_WHY_MAX, "--%s takes %s, not nothing",
		         flag->name, flag->argument);
		return false;
	case NUMBER:
		return read_number(flag, argument, at, why);
	case SWITCH:
		*(bool *)at = true;
		return true;
	case SCAN:
		return add_scan(opt, argument, why);
	case TRANSPORT:
		return set_transport(opt, argument, why);
	case ACTION:
		return set_action(opt, (enum options_action)flag->at, why);
	}
	return false;
}

/* What getopt_long() did not like: a letter is in optopt, a word in argv. */
static bool refuse(int verdict, char **argv, char why[OPTIONS_WHY_MAX])
{
	const struct flag *flag = find_flag(optopt);
	const char *fault = verdict == ':' ? "needs a value" : "is not known";

	if (verdict == '?' && optopt >= FIRST)
		fault = "takes no value";
	if (flag)
		snprintf(why, OPTIONS_WHY_MAX, "--%s %s", flag->name, fault);
	else if (optopt)
		snprintf(why, OPTIONS_WHY_MAX, "-%c %s", optopt, fault);
	else
		snprintf(why, OPTIONS_WHY_MAX, "%s %s", argv[optind - 1],
		         fault);
	return false;
}

static bool is_command(struct options *opt, int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		opt->action = commands[i].action;
		opt->argc = argc - 1;
		opt->argv = argv + 1;
		return true;
	}
	return false;
}

bool options_parse(struct options *opt, const struct program *program, int argc,
                   char **argv, char why[OPTIONS_WHY_MAX])
{
	struct option longs[ARRAY_LEN(flags) + 1];
	char letters[2 * ARRAY_LEN(flags) + 2];
	int value;

	options_init(opt, program);
	*why = 0;
	if (is_command(opt, argc, argv))
		return true;
	build_getopt(longs, letters);
	optind = 0; /* start over, and forget where a former call stood */
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return refuse(value, argv, why);
		if (!apply(opt, find_flag(value), optarg, why))
			return false;
	}
	if (optind == argc)
		return true;
	snprintf(why, OPTIONS_WHY_MAX, "\"%s\" is one word too many",
	         argv[optind]);
	return false;
}

/* One flag; further lines of its text stand below the first. */
static void print_flag(const struct flag *flag, FILE *out)
{
	char left[40];
	const char *help = flag->help;

	snprintf(left, sizeof left, "%c%c%s--%s%s%s", flag->letter ? '-' : ' ',
	         flag->letter ? flag->letter : ' ', flag->letter ? ", " : "  ",
	         flag->name, flag->argument ? " " : "",
	         flag->argument ? flag->argument : "");
	for (const char *head = left; *help; head = "") {
		int n = (int)strcspn(help, "\n");

		fprintf(out, "  %-24s %.*s\n", head, n, help);
		help += n + (help[n] == '\n');
	}
}

void options_help(const struct program *program, FILE *out)
{
	fprintf(out, "%s\n\nUsage: %s [FLAGS]\n", program->summary,
	        program->name);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "       %s %s [...]\n", program->name,
		        commands[i].name);
	fputs("\nFlags:\n", out);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (program->is_server || flags[i].kind != TRANSPORT)
			print_flag(&flags[i], out);
	fputs("\nCommands:\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-24s %s\n", commands[i].name,
		        commands[i].help);
	fprintf(out,
	        "\nListens on %s:%d unless told otherwise. Without --config it "
	        "reads\n%s if that exists.\n",
	        program->default_host, program->default_port,
	        program->default_file);
}

void options_version(const struct program *program, FILE *out)
{
	fprintf(out, "%s %s\n", program->name, VERSION);
}
