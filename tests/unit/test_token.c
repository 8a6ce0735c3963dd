#include "master/token.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test-token-XXXXXX";
static char output[16384]; /* of the last run, both streams */

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
}

static void teardown(void)
{
	static const char *const files[] = { "in", "out", "k", "k.pub" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(files[i]);
	rmdir(dir);
}

TestSuite(token, .init = setup, .fini = teardown);

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Run a command, its words cut at spaces, on this input; its exit status. */
static int run(const char *command, const char *input)
{
	char words[512], *argv[32], *rest = NULL;
	int argc = 0;

	snprintf(words, sizeof(words), "%s", command);
	for (char *w = strtok_r(words, " ", &rest); w;
	     w = strtok_r(NULL, " ", &rest))
		argv[argc++] = w;
	argv[argc] = NULL;

	put("in", input);
	int in = open("in", O_RDONLY);
	int out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int kept[3] = { dup(0), dup(1), dup(2) };
	fflush(NULL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	int status = token_main(argc, argv);
	fflush(NULL);
	for (int i = 0; i < 3; i++) {
		dup2(kept[i], i);
		close(kept[i]);
	}
	ssize_t n = pread(out, output, sizeof(output) - 1, 0);
	cr_assert_geq(n, 0);
	output[n] = '\0';
	close(in);
	close(out);
	return status;
}

static const struct {
	const char *command, *input;
	int status;
	const char *says;
} runs[] = {
	{ "token", "", 2, "Usage:" },
	{ "token --help", "", 0, "Usage:" },
	{ "token bake", "", 2, "Usage:" },
	{ "token mint --help", "", 0, "--new-key FILE" },
	{ "token hash -h", "", 0, "--generate" },
	{ "token inspect --help", "", 0, "--audience URL" },
	{ "token mint", "", 2, "one of --key" },
	{ "token mint --key a --new-key b", "", 2, "one of --key" },
	{ "token mint --key", "", 2, "--key needs a value" },
	{ "token mint --key a b", "", 2, "options only" },
	{ "token mint --generate", "", 2, "does not take --generate" },
	{ "token mint --key nowhere", "", 1, "No such file" },
	{ "token mint --key in", "not a key", 1, "no PEM" },
	{ "token mint --key . --ttl 5", "", 1, "not a regular file" },
	{ "token mint --new-key k --alg HS256", "", 2, "not an algorithm" },
	{ "token mint --key k --ttl 0", "", 2, "number of seconds" },
	{ "token mint --key k --ttl -5", "", 2, "number of seconds" },
	{ "token hash secret", "", 2, "standard input" },
	{ "token inspect secret", "", 2, "standard input" },
	{ "token hash", "", 1, "no token" },
	{ "token hash", "a b\n", 1, "not a token" },
	{ "token hash", "sha256:00\n", 1, "a hash already" },
	{ "token hash", "abc\n", 0,
	  "sha256:ba7816bf8f01cfea414140de5dae2223"
	  "b00361a396177a9cb410ff61f20015ad\n" },
	{ "token hash", "abc\n", 0, "can be guessed" },
	{ "token hash", "0123456789abcdef0123456789abcdef\r\n", 0, "sha256:" },
	{ "token hash --generate", "", 0, "token: " },
	{ "token inspect", "abc\n", 1, "not a signed JSON Web Token" },
	{ "token inspect", "a.b.c\n", 1, "header" },
	{ "token inspect", "e30.bm8.c\n", 1, "claims" },
	{ "token inspect", "e30.e30.c\n", 0, "not checked" },
};

Test(token, statuses_and_words)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		int status = run(runs[i].command, runs[i].input);

		cr_assert_eq(status, runs[i].status, "%s: %d, %s",
		             runs[i].command, status, output);
		cr_assert(strstr(output, runs[i].says), "%s: %s",
		          runs[i].command, output);
	}
	/* Whoever got something wrong must not be left with half a key. */
	cr_assert_eq(access("k", F_OK), -1);
}

Test(token, minted_tokens_are_accepted_and_keys_are_private)
{
	static const char *const algs[] = { "RS256", "PS256", "ES256", "ES384",
		                            "EdDSA" };
	char token[sizeof(output)], command[128], *near_end;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		snprintf(command, sizeof(command),
		         "token mint --new-key k --alg %s --issuer https://i "
		         "--audience a --scope read:tools --kid one",
		         algs[i]);
		cr_assert_eq(run(command, ""), 0, "%s", output);
		snprintf(token, sizeof(token), "%s", output);
		cr_assert_eq(strcspn(token, "\n") + 1, strlen(token));
		cr_assert_eq(stat("k", &st), 0);
		cr_assert_eq(st.st_mode & 0777, 0600);

		cr_assert_eq(run("token inspect --key k.pub --issuer https://i "
		                 "--audience a",
		                 token),
		             0, "%s", output);
		cr_assert(strstr(output, "verdict: accepted"), "%s", output);
		cr_assert_eq(
			run("token inspect --key k.pub --audience b", token),
			1);
		cr_assert(strstr(output, "another audience"), "%s", output);
		near_end = token + strlen(token) - 9;
		*near_end = *near_end == 'A' ? 'B' : 'A';
		cr_assert_eq(run("token inspect --key k.pub", token), 1);
		cr_assert(strstr(output, "signature: bad"), "%s", output);

		cr_assert_eq(run("token mint --new-key k", ""), 1);
		cr_assert(strstr(output, "exists"), "%s", output);
		cr_assert_eq(run("token mint --key k --subject bob", ""), 0);
		unlink("k");
		unlink("k.pub");
	}
}

/* What a token says may not command the terminal it is shown on. */
Test(token, inspected_text_is_harmless)
{
	/* {"alg":"none"} . {"sub":"<U+009B><DEL>"} */
	cr_assert_eq(run("token inspect",
	                 "eyJhbGciOiJub25lIn0.eyJzdWIiOiLCm38ifQ.c"),
	             0);
	cr_assert(strstr(output, "\\u009b\\u007f"), "%s", output);
	cr_assert_null(strchr(output, '\x7f'));
	cr_assert_null(strstr(output, "\xc2\x9b"));
}
