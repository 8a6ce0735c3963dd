#include "oci/signer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "oci/exchange.h"
#include "oci/signature.h"
#include "tests/unit/fixture_cloud.h"

#define HEAD "OCI_RESOURCE_PRINCIPAL_"

static struct signer *signer;
static struct signature_channel *channel;
static int fd[2]; /* the worker's, the keeper's */
static struct credential settings;

static struct {
	bool done;
	unsigned times;
	int err;
	uint64_t generation;
	char lines[8192], sentence[2048], method[64];
} told;

static void start(void)
{
	fixture_cloud_start();
	setenv(HEAD "VERSION", "2.2", 1);
	setenv(HEAD "REGION", "fra", 1);
	setenv(HEAD "RPST",
	       fixture_file("rpst", fixture_token_hour(",\"res_tenant\":\"t\""),
	                    0600),
	       1);
	setenv(HEAD "PRIVATE_PEM",
	       fixture_file("rp.pem", fixture_key_pem(0), 0600), 1);
	fixture_cloud_environment();
	settings = (struct credential){
		.method = CREDENTIAL_RESOURCE_PRINCIPAL,
		.endpoint = SPAN("http://127.0.0.1:8443/"),
	};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	signer = signer_new(fixture_cloud.loop, fixture_cloud.fetcher);
	cr_assert_eq(signer_configure(signer, &settings, 1), 0);
	cr_assert_eq(signer_add_worker(signer, fd[1]), 0);
	channel = signature_channel_new(fixture_cloud.loop, fd[0]);
	memset(&told, 0, sizeof(told));
}

static void stop(void)
{
	signature_channel_free(channel);
	signer_free(signer);
	close(fd[0]);
	close(fd[1]);
	fixture_cloud_stop();
}

TestSuite(signer, .init = start, .fini = stop);

static void copy(char *to, size_t size, struct span text)
{
	size_t n = MIN(text.len, size - 1);

	memcpy(to, text.at ? text.at : "", n);
	to[n] = '\0';
}

static void on_done(void *owner, const struct signature_answer *a)
{
	(void)owner;
	told.done = true;
	told.times++;
	told.err = a->err;
	told.generation = a->generation;
	copy(told.lines, sizeof(told.lines), a->lines);
	copy(told.sentence, sizeof(told.sentence), a->sentence);
	copy(told.method, sizeof(told.method), a->identity.method);
}

static struct signature_request request(const char *host, const char *target)
{
	return (struct signature_request){ .credential =
		                                   credential_id(&settings),
		                           .method = SPAN("GET"),
		                           .target = span_str(target),
		                           .host = span_str(host),
		                           .on_done = on_done };
}

static void ask(const struct signature_request *r)
{
	struct signature *s;

	told.done = false;
	cr_assert_eq(signature_ask(channel, r, &s), 0);
	fixture_turn_until(&told.done);
}

Test(signer, a_get_and_a_post_are_signed)
{
	struct signature_request r =
		request("iaas.eu-frankfurt-1.oraclecloud.com", "/20160918/x");

	ask(&r);
	cr_assert_eq(told.err, 0, "%s", told.sentence);
	cr_assert(strstr(told.lines, "date: "), "%s", told.lines);
	cr_assert(strstr(told.lines, "keyId=\"ST$ey"));
	cr_assert_str_eq(told.method, "resource_principal");
	cr_assert_neq(told.generation, 0);

	r.method = SPAN("POST");
	r.with_body = true;
	r.content_length = 2;
	r.body_sha256 = SPAN("RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=");
	ask(&r);
	cr_assert_eq(told.err, 0, "%s", told.sentence);
	cr_assert(strstr(told.lines, "x-content-sha256: RBNvo1"));
	cr_assert_eq(signer_counts(signer)->signed_ok, 2);
}

Test(signer, an_identity_alone)
{
	struct signature_request r = { .credential = credential_id(&settings),
		                       .identity_only = true,
		                       .on_done = on_done };

	ask(&r);
	cr_assert_eq(told.err, 0, "%s", told.sentence);
	cr_assert_str_eq(told.lines, "");
	cr_assert_str_eq(told.method, "resource_principal");
}

Test(signer, where_requests_may_go)
{
	static const struct {
		const char *host, *target;
		int err;
	} rows[] = {
		{ "iaas.eu-frankfurt-1.oraclecloud.com", "/20160918/x", 0 },
		{ "IAAS.eu-frankfurt-1.OracleCloud.com:443", "/x", 0 },
		{ "x.us-gov-ashburn-1.oraclegovcloud.com", "/x", 0 },
		{ "127.0.0.1:8443", "/x", 0 },
		{ "127.0.0.1:8444", "/x", -EACCES },
		{ "evil.example", "/x", -EACCES },
		{ "evil.example#.oraclecloud.com", "/x", -EACCES },
		{ "user@iaas.oraclecloud.com", "/x", -EACCES },
		{ "eviloraclecloud.com", "/x", -EACCES },
		{ "oraclecloud.com.evil.example", "/x", -EACCES },
		{ "", "/x", -EACCES },
		{ "auth.eu-frankfurt-1.oraclecloud.com", "/x", -EACCES },
		{ "AUTH.eu-frankfurt-1.oraclecloud.com", "/x", -EACCES },
		{ "127.0.0.1:8443", "/v1/x509", -EACCES },
		{ "127.0.0.1:8443", "/V1/X509?a", -EACCES },
		{ "127.0.0.1:8443", "//v1//x509", -EACCES },
		{ "127.0.0.1:8443", "/%761/x5%30%39", -EACCES },
		{ "127.0.0.1:8443", "/a/../v1/x509", -EACCES },
		{ "127.0.0.1:8443", "/a/%2e%2E/v1/x509", -EACCES },
		{ "127.0.0.1:8443", "/v1/authentication/refresh", -EACCES },
		{ "127.0.0.1:8443", "/v1/token/upst/actions/GenerateUpst",
		  -EACCES },
		{ "127.0.0.1:8443", "/v1/resourcePrincipalSessionToken",
		  -EACCES },
		{ "127.0.0.1:8443", "/20180711/resourcePrincipalTokenV2/a",
		  -EACCES },
		{ "127.0.0.1:8443", "bad target", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct signature_request r =
			request(rows[i].host, rows[i].target);

		ask(&r);
		cr_assert_eq(told.err, rows[i].err, "%s %s: %d %s",
		             rows[i].host, rows[i].target, told.err,
		             told.sentence);
		cr_assert_eq(*told.lines == '\0', told.err != 0);
		cr_assert_eq(*told.sentence == '\0', told.err == 0);
	}
	cr_assert_geq(signer_counts(signer)->refused, 10);
}

Test(signer, no_such_credential)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");

	r.credential++;
	ask(&r);
	cr_assert_eq(told.err, -ENOKEY);
}

Test(signer, a_failure_is_told_to_all_who_wait)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");
	struct signature *s;
	bool all = false;

	fixture_file("rpst", "nonsense", 0600);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(signature_ask(channel, &r, &s), 0);
	while (told.times < 5) {
		told.done = false;
		fixture_turn_until(&told.done);
	}
	all = told.times == 5;
	cr_assert(all);
	cr_assert_eq(told.err, -EINVAL);
	cr_assert(strstr(told.sentence, "not a JSON Web Token"));
	ask(&r);
	cr_assert_eq(told.err, -EINVAL);
}

Test(signer, a_refused_generation_gets_another)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");
	uint64_t first;

	ask(&r);
	first = told.generation;
	r.refused_generation = first;
	ask(&r);
	cr_assert_eq(told.err, 0);
	cr_assert_neq(told.generation, first);
}

Test(signer, the_clock_of_the_server_is_used)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");
	char before[64], after[64];

	ask(&r);
	sscanf(told.lines, "date: %63[^\r]", before);
	r.skew_s = 7200;
	ask(&r);
	sscanf(told.lines, "date: %63[^\r]", after);
	cr_assert_str_neq(before, after);
	r.skew_s = INT64_MAX;
	ask(&r);
	cr_assert_eq(told.err, 0);
}

Test(signer, credentials_come_and_go)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");
	struct credential both[3] = { settings, settings, settings };
	static struct credential many[SIGNER_CREDENTIALS_MAX + 1];
	uint64_t first;

	ask(&r);
	first = told.generation;
	both[1].region = SPAN("iad");
	cr_assert_eq(signer_configure(signer, both, 3), 0);
	ask(&r);
	cr_assert_eq(told.generation, first); /* its pass stays */
	r.credential = credential_id(&both[1]);
	ask(&r);
	cr_assert_eq(told.err, 0);
	cr_assert_eq(signer_configure(signer, both, 1), 0);
	ask(&r);
	cr_assert_eq(told.err, -ENOKEY);
	cr_assert_eq(signer_configure(signer, many, ARRAY_LEN(many)), -E2BIG);
}

Test(signer, strange_messages_are_counted)
{
	static char zeros[EXCHANGE_MAX + 10];
	struct signature_request r = request("127.0.0.1:8443", "/x");

	cr_assert_eq(exchange_send(fd[0], SPAN("x")), 0);
	cr_assert_eq(exchange_send(fd[0], span_of(zeros, 400)), 0);
	cr_assert_eq(exchange_send(fd[0], span_of(zeros, sizeof(zeros))), 0);
	ask(&r);
	cr_assert_eq(told.err, 0);
	cr_assert_eq(signer_counts(signer)->foreign, 3);
}

/* A keeper dies while a question waits; its successor answers the repetition.
 */
Test(signer, a_successor_answers)
{
	struct signature_request r = request("127.0.0.1:8443", "/x");
	struct signature *s;

	cr_assert_eq(signature_ask(channel, &r, &s), 0);
	signer_free(signer);
	char room[EXCHANGE_MAX];
	while (exchange_receive(fd[1], room) > 0)
		continue;
	signer = signer_new(fixture_cloud.loop, fixture_cloud.fetcher);
	cr_assert_eq(signer_configure(signer, &settings, 1), 0);
	cr_assert_eq(signer_add_worker(signer, fd[1]), 0);
	fixture_turn_until(&told.done);
	cr_assert_eq(told.err, 0, "%s", told.sentence);
	cr_assert_geq(signature_counts(channel)->repeated, 1);
}

Test(signer, a_question_that_is_late_is_not_answered)
{
	struct buf b = { .max = EXCHANGE_MAX };
	const struct exchange_message late = {
		.kind = EXCHANGE_ASK, .id = 1, .numbers = { [ASK_DEADLINE] = 1 }
	};
	struct signature_request r = request("127.0.0.1:8443", "/x");

	cr_assert_eq(exchange_write(&late, &b), 0);
	cr_assert_eq(exchange_send(fd[0], buf_span(&b)), 0);
	buf_free(&b);
	ask(&r);
	/* On a busy machine ours may have been sent twice. */
	cr_assert_leq(signer_counts(signer)->asked,
	              1 + signature_counts(channel)->repeated);
}
