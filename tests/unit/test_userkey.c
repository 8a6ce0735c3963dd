#include "oci/userkey.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/crypto.h"
#include "tests/unit/fixture_cloud.h"

TestSuite(userkey, .init = fixture_cloud_start, .fini = fixture_cloud_stop);

#define USER    "ocid1.user.oc1..u"
#define TENANCY "ocid1.tenancy.oc1..t"

static const struct credential any;

/* The fingerprint of the n-th key; static. */
static const char *fingerprint(int n)
{
	static char text[64];
	struct key *key = NULL;
	const char *why;
	uint8_t md5[KEY_MD5_LEN];

	cr_assert_eq(key_private_from_pem(span_str(fixture_key_pem(n)),
	                                  SPAN(""), &key, &why),
	             0);
	cr_assert_eq(key_fingerprint_md5(key, md5), 0);
	for (size_t i = 0; i < sizeof(md5); i++)
		sprintf(text + 3 * i, "%02x:", md5[i]);
	text[47] = '\0';
	key_free(key);
	return text;
}

/* ~/.oci/config with one profile DEFAULT and these lines. */
static void write_config(const char *lines)
{
	char text[4096];

	snprintf(text, sizeof(text),
	         "[DEFAULT]\nuser=" USER "\ntenancy=" TENANCY
	         "\nregion=fra\nkey_file=~/key.pem\n%s",
	         lines);
	fixture_file(".oci/config", text, 0600);
}

static void run(struct attempt *a, enum credential_method method,
                const struct credential *c)
{
	fixture_cloud_environment();
	fixture_attempt(a, method, c, NULL);
}

Test(userkey, an_api_key)
{
	struct attempt a = { 0 };
	char lines[128], key_id[256];

	snprintf(lines, sizeof(lines), "fingerprint=%s\n", fingerprint(0));
	write_config(lines);
	fixture_file("key.pem", fixture_key_pem(0), 0600);
	run(&a, CREDENTIAL_API_KEY, &any);
	cr_assert(a.pass, "%s", a.sentence);
	snprintf(key_id, sizeof(key_id), TENANCY "/" USER "/%s",
	         fingerprint(0));
	cr_assert(span_is(buf_span(&a.pass->key_id), key_id));
	cr_assert_str_eq(a.pass->tenancy, TENANCY);
	cr_assert_str_eq(a.pass->subject, USER);
	cr_assert_str_eq(a.pass->region, "eu-frankfurt-1");
	cr_assert_str_eq(a.pass->domain, "oraclecloud.com");
	cr_assert_eq(a.pass->expires_s, 0);
	attempt_stop(&a);

	/* Variables change a profile that was found ... */
	setenv("OCI_REGION", "us-ashburn-1", 1);
	setenv("OCI_TENANCY_OCID", "ocid1.tenancy.oc1..other", 1);
	run(&a, CREDENTIAL_API_KEY, &any);
	cr_assert_str_eq(a.pass->region, "us-ashburn-1");
	cr_assert_str_eq(a.pass->tenancy, "ocid1.tenancy.oc1..other");
	cr_assert(span_is(buf_span(&a.pass->key_id), key_id));
	attempt_stop(&a);

	/* ... and not one that the configuration names. */
	const struct credential named = { .profile = SPAN("DEFAULT") };
	run(&a, CREDENTIAL_API_KEY, &named);
	cr_assert_str_eq(a.pass->region, "eu-frankfurt-1");
	attempt_stop(&a);

	const struct credential moved = { .profile = SPAN("DEFAULT"),
		                          .region = SPAN("PHX") };
	run(&a, CREDENTIAL_API_KEY, &moved);
	cr_assert_str_eq(a.pass->region, "us-phoenix-1");
	attempt_stop(&a);
}

Test(userkey, variables_without_a_file)
{
	struct attempt a = { 0 };

	setenv("OCI_CLI_USER", USER, 1);
	setenv("OCI_CLI_TENANCY", TENANCY, 1);
	setenv("OCI_CLI_FINGERPRINT", fingerprint(0), 1);
	setenv("OCI_CLI_KEY_CONTENT", fixture_key_pem(0), 1);
	setenv("OCI_CLI_REGION", "iad", 1);
	run(&a, CREDENTIAL_API_KEY, &any);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert_str_eq(a.pass->region, "us-ashburn-1");
	cr_assert_null(getenv("OCI_CLI_KEY_CONTENT"));
	attempt_stop(&a);
}

Test(userkey, what_is_wrong_is_said)
{
	static const struct {
		const char *lines;
		int mode; /* of the key file; 0: there is none */
		const char *why;
	} rows[] = {
		{ "", 0600, "has no fingerprint" },
		{ "fingerprint=12:34\n", 0600,
		  "line 6 of the configuration file" },
		{ "fingerprint=00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:"
		  "ff\n",
		  0600, "but the private key's is" },
		{ "fingerprint=00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:"
		  "ff\n",
		  0, "No such file" },
		{ "[x]\nkey_content=abc\n", 0600, "has no fingerprint" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct attempt a = { 0 };
		char path[128];

		write_config(rows[i].lines);
		snprintf(path, sizeof(path), "%s/key.pem",
		         fixture_cloud.directory);
		remove(path);
		if (rows[i].mode)
			fixture_file("key.pem", fixture_key_pem(0),
			             rows[i].mode);
		run(&a, CREDENTIAL_API_KEY, &any);
		cr_assert_null(a.pass);
		cr_assert_eq(a.err, -EINVAL, "%d", a.err);
		cr_assert(strstr(a.sentence, rows[i].why), "row %zu: %s", i,
		          a.sentence);
		attempt_stop(&a);
	}
}

Test(userkey, no_file_at_all)
{
	struct attempt a = { 0 };
	const struct credential named = { .config_file = SPAN("/nowhere/x") };

	run(&a, CREDENTIAL_API_KEY, &any);
	cr_assert_eq(a.err, -ENOENT);
	cr_assert(strstr(a.sentence, "/.oci/config"), "%s", a.sentence);
	attempt_stop(&a);
	run(&a, CREDENTIAL_API_KEY, &named);
	cr_assert_eq(a.err, -ENOENT);
	cr_assert(strstr(a.sentence, "/nowhere/x"), "%s", a.sentence);
	attempt_stop(&a);
}

/* --- sessions --------------------------------------------------------------
 */

static void write_session(const char *token)
{
	fixture_file(".oci/config",
	             "[DEFAULT]\ntenancy=" TENANCY
	             "\nregion=fra\nkey_file=~/key.pem\n"
	             "security_token_file=~/token\n",
	             0600);
	fixture_file("key.pem", fixture_key_pem(0), 0600);
	fixture_file("token", token, 0600);
	setenv("OCI_CLI_ENDPOINT", fixture_cloud.url, 1);
}

static const char *token_until(int64_t in_s)
{
	char claims[256];
	long long now = (long long)time(NULL);

	snprintf(claims, sizeof(claims),
	         "{\"sub\":\"" USER "\",\"tenant\":\"" TENANCY
	         "\",\"iat\":%lld,\"exp\":%lld}",
	         now - 3000, now + (long long)in_s);
	return fixture_token(claims);
}

Test(userkey, a_session_serves_while_it_is_fresh)
{
	struct attempt a = { 0 };

	write_session(fixture_token_hour(",\"tenant\":\"" TENANCY "\""));
	run(&a, CREDENTIAL_SECURITY_TOKEN, &any);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert(span_starts(buf_span(&a.pass->key_id), SPAN("ST$ey")));
	cr_assert_eq(a.pass->method, CREDENTIAL_SECURITY_TOKEN);
	cr_assert_str_eq(a.pass->tenancy, TENANCY);
	cr_assert_eq(fixture_cloud_asked("/v1/authentication/refresh"), 0);
	attempt_stop(&a);

	/* Without a user, an API key was not meant. */
	run(&a, CREDENTIAL_API_KEY, &any);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert_eq(a.pass->method, CREDENTIAL_SECURITY_TOKEN);
	attempt_stop(&a);
}

Test(userkey, a_session_that_is_over)
{
	struct attempt a = { 0 };

	write_session(token_until(-10));
	run(&a, CREDENTIAL_SECURITY_TOKEN, &any);
	cr_assert_eq(a.err, -EKEYEXPIRED);
	cr_assert(strstr(a.sentence, "oci session authenticate"));
	attempt_stop(&a);
	write_session("nonsense");
	run(&a, CREDENTIAL_SECURITY_TOKEN, &any);
	cr_assert_eq(a.err, -EINVAL);
	cr_assert_not(strstr(a.sentence, "nonsense"), "%s", a.sentence);
	attempt_stop(&a);
}

Test(userkey, a_session_is_renewed_and_written_back)
{
	struct attempt a = { 0 };
	const char *fresh = token_until(3600);
	struct buf file = { .max = 16384 };
	char path[128];
	struct stat st;

	write_session(token_until(60));
	fixture_cloud_answer("/v1/authentication/refresh", 200, "",
	                     fixture_token_answer(fresh));
	run(&a, CREDENTIAL_SECURITY_TOKEN, &any);
	cr_assert(a.pass, "%s", a.sentence);
	cr_assert(span_is(span_from(buf_span(&a.pass->key_id), 3), fresh));
	cr_assert(strstr(fixture_cloud_request("/v1/authentication/refresh"),
	                 "{\"currentToken\":\"ey"));
	attempt_stop(&a);

	snprintf(path, sizeof(path), "%s/token", fixture_cloud.directory);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	FILE *f = fopen(path, "r");
	char *to = buf_reserve(&file, 16000);
	buf_commit(&file, fread(to, 1, 16000, f));
	fclose(f);
	cr_assert(span_is(buf_span(&file), fresh));
	buf_free(&file);
}

Test(userkey, a_renewal_that_fails_leaves_what_is_good)
{
	struct attempt a = { 0 };
	struct pass *old;

	write_session(token_until(60));
	fixture_cloud_answer("/v1/authentication/refresh", 401, "", "{}");
	run(&a, CREDENTIAL_SECURITY_TOKEN, &any);
	cr_assert(a.pass, "%s", a.sentence);
	old = a.pass;
	a.pass = NULL;
	attempt_stop(&a);

	/* Somebody wants another one than that: there is none. */
	fixture_attempt(&a, CREDENTIAL_SECURITY_TOKEN, &any, old);
	cr_assert_null(a.pass);
	cr_assert_eq(a.err, -EKEYEXPIRED, "%s", a.sentence);
	attempt_stop(&a);
	pass_free(old);
}

/* --- paths -----------------------------------------------------------------
 */

static void gather(void *owner, const char *path)
{
	struct buf *all = owner;

	buf_puts(all, path);
	buf_putc(all, '\n');
}

Test(userkey, paths_for_a_sandbox)
{
	struct buf all = { .max = 4096 };
	char expected[2048];

	fixture_file(".oci/config",
	             "[DEFAULT]\nkey_file=/etc/keys/a.pem\n[b]\n"
	             "security_token_file=~/sessions/b/token\nkey_file=rel\n",
	             0600);
	fixture_cloud_environment();
	userkey_paths(SPAN(""), gather, &all);
	snprintf(expected, sizeof(expected),
	         "%s/.oci\n/etc/keys\n%s/sessions/b\n", fixture_cloud.directory,
	         fixture_cloud.directory);
	cr_assert(span_is(buf_span(&all), expected), "%.*s",
	          SPAN_ARG(buf_span(&all)));
	buf_reset(&all);
	userkey_paths(SPAN("/nowhere/config"), gather, &all);
	cr_assert(span_is(buf_span(&all), "/nowhere\n"));
	buf_free(&all);
}
