#include "master/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 80

static struct options opt;
static char why[OPTIONS_WHY_MAX];
static char line[1024];
static char *words[WORDS_MAX];

/* Parse a command line whose words are separated by one space. */
static bool parse(const char *text)
{
	int n = 0;

	words[n++] = (char[]){ "program" };
	strcpy(line, text);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words[n++] = word;
	words[n] = NULL;
	return options_parse(&opt, &program_gateway, n, words, why);
}

Test(options, none)
{
	cr_assert(parse(""));
	cr_assert(opt.action == OPTIONS_RUN && opt.program == &program_gateway);
	cr_assert(opt.port == 0 && opt.workers == -1 && opt.n_scan == 0);
	cr_assert(!opt.config_file && !opt.host && !opt.no_auth);
	cr_assert(opt.argc == 0);
}

Test(options, all)
{
	cr_assert(parse("-c a.json --host ::1 -p 9001 --path=/x --no-auth "
	                "--stateless --log-level DEBUG --scan d1 --scan d2 "
	                "--backends-dir b --env-file e --workers 0"),
	          "%s", why);
	cr_assert_str_eq(opt.config_file, "a.json");
	cr_assert_str_eq(opt.host, "::1");
	cr_assert(opt.port == 9001 && opt.workers == 0);
	cr_assert_str_eq(opt.path, "/x");
	cr_assert(opt.no_auth && opt.stateless);
	cr_assert_str_eq(opt.log_level, "DEBUG");
	cr_assert(opt.n_scan == 2);
	cr_assert_str_eq(opt.scan[1], "d2");
	cr_assert_str_eq(opt.backends_dir, "b");
	cr_assert_str_eq(opt.env_file, "e");
	cr_assert(opt.action == OPTIONS_RUN);
}

Test(options, actions)
{
	static const struct {
		const char *text;
		enum options_action action;
	} rows[] = {
		{ "--check", OPTIONS_CHECK },
		{ "--check --check", OPTIONS_CHECK },
		{ "--dump", OPTIONS_DUMP },
		{ "--discover-only", OPTIONS_DISCOVER },
		{ "--version", OPTIONS_VERSION },
		{ "-h", OPTIONS_HELP },
		{ "--check --help", OPTIONS_HELP },
		{ "--help --dump --check", OPTIONS_HELP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert(parse(rows[i].text), "%s: %s", rows[i].text, why);
		cr_assert(opt.action == rows[i].action, "%s", rows[i].text);
	}
}

Test(options, commands_keep_their_words)
{
	cr_assert(parse("token --port x"));
	cr_assert(opt.action == OPTIONS_TOKEN && opt.argc == 3);
	cr_assert_str_eq(opt.argv[0], "token");
	cr_assert_str_eq(opt.argv[2], "x");
	cr_assert(parse("status"));
	cr_assert(opt.action == OPTIONS_STATUS && opt.argc == 1);
	cr_assert(!parse("--stateless status"));
	cr_assert_str_eq(why, "\"status\" is one word too many");
}

Test(options, refused)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "--prot 1", "--prot is not known" },
		{ "-x", "-x is not known" },
		{ "--port", "--port needs a value" },
		{ "-p", "--port needs a value" },
		{ "--port 0", "--port takes a number from 1 to 65535" },
		{ "--port 65536", "--port takes a number from 1 to 65535" },
		{ "--port +1", "--port takes a number from 1 to 65535" },
		{ "--port 1x", "--port takes a number from 1 to 65535" },
		{ "--workers -1", "--workers takes a number from 0 to 256" },
		{ "--config=", "--config takes FILE, not nothing" },
		{ "--no-auth=1", "--no-auth takes no value" },
		{ "gateway", "\"gateway\" is one word too many" },
		{ "-- token", "\"token\" is one word too many" },
		{ "--check --dump",
		  "choose one of --check, --dump and --discover-only" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect(!parse(rows[i].text), "%s", rows[i].text);
		cr_expect_str_eq(why, rows[i].why);
	}
}

Test(options, too_many_directories)
{
	char text[1024] = "";

	for (int i = 0; i < OPTIONS_SCAN_MAX; i++)
		strcat(text, "--scan=d ");
	cr_assert(options_parse(&opt, &program_gateway, 1, words, why));
	memset(words, 0, sizeof words);
	cr_assert(parse(text), "%s", why);
	cr_assert(opt.n_scan == OPTIONS_SCAN_MAX);
	strcat(text, "--scan=d");
	cr_assert(!parse(text));
	cr_assert_str_eq(why, "--scan can be given 64 times at most");
}

Test(options, transport_is_for_the_server)
{
	static const struct {
		const char *word;
		const struct program *program;
		const char *fault; /* NULL: none */
	} rows[] = {
		{ "stdio", &program_server, NULL },
		{ "streamable_http", &program_server, NULL },
		{ "sse", &program_server,
		  "--transport takes stdio or streamable_http" },
		{ "stdio", &program_gateway,
		  "--transport is for oci-mcp-server" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char program[] = "program", flag[] = "--transport", word[32];
		char *argv[] = { program, flag, word, NULL };

		snprintf(word, sizeof word, "%s", rows[i].word);

		bool ok = options_parse(&opt, rows[i].program, 3, argv, why);

		cr_expect(ok == !rows[i].fault, "%s", rows[i].word);
		cr_expect_str_eq(why, rows[i].fault ? rows[i].fault : "");
		if (ok)
			cr_expect_str_eq(opt.transport, rows[i].word);
	}
}

Test(options, help_names_every_flag)
{
	static const char *const flags[] = {
		"-c, --config FILE", "--host ADDRESS",  "-p, --port PORT",
		"--path PATH",       "--no-auth",       "--stateless",
		"--log-level LEVEL", "--scan DIR",      "--backends-dir DIR",
		"--discover-only",   "--check",         "--dump",
		"--workers COUNT",   "--env-file FILE", "--version",
		"-h, --help",        "token",           "status",
		"0.0.0.0:9000",
	};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	options_help(&program_gateway, out);
	options_version(&program_server, out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		cr_expect(strstr(text, flags[i]), "%s", flags[i]);
	cr_expect(strstr(text, "oci-mcp-server 1.0.0\n"));
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
		cr_expect(strlen(at) <= 80, "%s", at);
	free(text);
}
