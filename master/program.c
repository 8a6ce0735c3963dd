#include "master/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/log.h"
#include "master/compose.h"
#include "master/config.h"
#include "master/publication.h"
#include "master/status.h"
#include "master/stdio.h"
#include "master/supervise.h"
#include "master/token.h"
#include "oci/environment.h"

#define DUMP_MAX   (64u << 20)
#define EXIT_USAGE 2

static const char *word(enum log_level level)
{
	return level == LOG_ERROR     ? "error"
	       : level == LOG_WARNING ? "warning"
	                              : "info";
}

/* For a person at a terminal, where the log is not looked at. */
static void print_report(const struct config_report *report)
{
	for (size_t i = 0; i < report->len; i++)
		fprintf(stderr, "%s: %s\n", word(report->problems[i].level),
		        report->problems[i].text);
	if (report->errors + report->warnings > CONFIG_PROBLEMS)
		fprintf(stderr, "%zu errors, %zu warnings altogether\n",
		        report->errors, report->warnings);
}

/* NULL when it is wrong, which has been said then. */
static struct config *load(const struct options *opt)
{
	struct config_report *report = malloc(sizeof(*report));
	struct config *config = NULL;

	if (!report) {
		fprintf(stderr, "error: out of memory\n");
		return NULL;
	}
	int err = config_load(opt, &config, report);
	if (opt->action == OPTIONS_RUN)
		config_report_log(report);
	else
		print_report(report);
	if (err < 0 && report->len == 0)
		fprintf(stderr, "error: %s\n", log_errno(err));
	free(report);
	return err < 0 ? NULL : config;
}

static int serve(const struct options *opt)
{
	const char *name = "";
	int err = environment_take(&name);
	if (err < 0) {
		log_error("the environment cannot be used",
		          LOG_STR("variable", name), LOG_ERR(err));
		return EXIT_FAILURE;
	}

	struct config *config = load(opt);

	return config ? supervise_run(opt, config) : EXIT_FAILURE;
}

static int run(const struct options *opt)
{
	log_process("master", -1);
	return stdio_is_wanted(opt, STDIN_FILENO) ? stdio_run(opt, serve)
	                                          : serve(opt);
}

/* Also what only shows when everything is put together. */
static int compose(const struct config *config, char why[COMPOSE_WHY_MAX])
{
	static struct compose with = { .generation = 1 };
	struct publication p;
	int board_fd;

	int err = crypto_init();
	if (err == 0)
		err = board_new(1, 1, &with.board, &board_fd);
	if (err < 0) {
		snprintf(why, COMPOSE_WHY_MAX, "%s", log_errno(err));
		return err;
	}
	err = compose_snapshot(&with, config, why);
	if (err < 0)
		return err;
	err = publication_open(&p, err);
	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX, "%s", log_errno(err));
	else
		publication_close(&p);
	return err;
}

static int check(const struct options *opt)
{
	char why[COMPOSE_WHY_MAX];
	struct config *config = load(opt);
	int status = EXIT_FAILURE;

	if (!config)
		return EXIT_FAILURE;
	if (compose(config, why) < 0) {
		fprintf(stderr, "error: %s\n", why);
	} else {
		printf("%s: the configuration is valid\n",
		       config->file ? config->file : "no file");
		status = EXIT_SUCCESS;
	}
	config_free(config);
	return status;
}

static int print(const struct options *opt,
                 void (*dump)(const struct config *config, struct buf *out))
{
	struct config *config = load(opt);
	struct buf out = { .max = DUMP_MAX };
	int status = EXIT_FAILURE;

	if (!config)
		return EXIT_FAILURE;
	dump(config, &out);
	if (buf_err(&out) == 0 &&
	    fwrite(out.bytes, 1, out.len, stdout) == out.len &&
	    (out.len == 0 || out.bytes[out.len - 1] == '\n' ||
	     putchar('\n') != EOF) &&
	    fflush(stdout) == 0)
		status = EXIT_SUCCESS;
	buf_free(&out);
	config_free(config);
	return status;
}

static int dump(const struct options *opt)
{
	return print(opt, config_dump);
}

static int discover(const struct options *opt)
{
	return print(opt, config_dump_backends);
}

static int help(const struct options *opt)
{
	options_help(opt->program, stdout);
	return EXIT_SUCCESS;
}

static int version(const struct options *opt)
{
	options_version(opt->program, stdout);
	return EXIT_SUCCESS;
}

static int token(const struct options *opt)
{
	return token_main(opt->argc, opt->argv);
}

static int (*const actions[])(const struct options *opt) = {
	[OPTIONS_RUN] = run,     [OPTIONS_CHECK] = check,
	[OPTIONS_DUMP] = dump,   [OPTIONS_DISCOVER] = discover,
	[OPTIONS_HELP] = help,   [OPTIONS_VERSION] = version,
	[OPTIONS_TOKEN] = token, [OPTIONS_STATUS] = status_main,
};

int program_main(const struct program *program, int argc, char **argv)
{
	char why[OPTIONS_WHY_MAX];
	struct options opt;

	if (!options_parse(&opt, program, argc, argv, why)) {
		fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program->name,
		        why, program->name);
		return EXIT_USAGE;
	}
	return actions[opt.action](&opt);
}
