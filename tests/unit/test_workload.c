#include "oci/workload.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base64.h"
#include "lib/tls.h"
#include "tests/unit/fixture_cloud.h"

/* --- a cluster's proxymux, which speaks TLS --------------------------------
 */

static struct {
	int listener;
	struct tls_context *tls;
	char answer[16384];
	char request[16384];
} cluster;

static struct span pem(BIO *bio)
{
	char *at;
	long len = BIO_get_mem_data(bio, &at);

	return span_of(at, (size_t)len);
}

static void make_certificate(BIO *cert_pem, BIO *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");

	X509_set_version(cert, X509_VERSION_3);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN",
	                           MBSTRING_ASC, (const unsigned char *)"test",
	                           -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_add_ext(cert, names, -1);
	X509_set_pubkey(cert, key);
	cr_assert(X509_sign(cert, key, EVP_sha256()));
	PEM_write_bio_X509(cert_pem, cert);
	PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
	X509_EXTENSION_free(names);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* Until the blank line and as much body as there is to come. */
static void read_request(struct tls *tls, int fd)
{
	size_t n = 0;
	uint32_t want = POLLIN;

	for (;;) {
		ssize_t got = tls_read(tls, cluster.request + n,
		                       sizeof(cluster.request) - n - 1, &want);
		struct pollfd p = { .fd = fd, .events = (short)want };

		if (got == -EAGAIN) {
			poll(&p, 1, 1000);
			continue;
		}
		if (got <= 0)
			return;
		n += (size_t)got;
		cluster.request[n] = '\0';
		const char *end = strstr(cluster.request, "\"}");
		if (strstr(cluster.request, "\r\n\r\n") && end)
			return;
	}
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(cluster.listener, NULL, NULL);
		uint32_t want;

		if (fd < 0)
			return NULL;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		struct tls *tls = tls_accept(cluster.tls, fd);
		read_request(tls, fd);
		(void)!tls_write(tls, cluster.answer, strlen(cluster.answer),
		                 &want);
		tls_close(tls);
		close(fd);
	}
}

static void answer(int status, const char *body)
{
	snprintf(cluster.answer, sizeof(cluster.answer),
	         "HTTP/1.1 %d X\r\nconnection: close\r\n"
	         "content-length: %zu\r\n\r\n%s",
	         status, strlen(body), body);
}

static void start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	char why[TLS_WHY_MAX], text[4096], port[16];
	pthread_t thread;

	fixture_cloud_start();
	make_certificate(cert, key);
	cr_assert_eq(
		tls_context_from_memory(pem(cert), pem(key), &cluster.tls, why),
		0);
	cluster.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(cluster.listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(cluster.listener, 8), 0);
	getsockname(cluster.listener, (struct sockaddr *)&at, &len);
	snprintf(port, sizeof(port), "%u", ntohs(at.sin_port));
	snprintf(text, sizeof(text), "%.*s", SPAN_ARG(pem(cert)));
	setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT_PROXYMUX", port, 1);
	setenv("OCI_RESOURCE_PRINCIPAL_REGION", "fra", 1);
	setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH",
	       fixture_file("ca.crt", text, 0600), 1);
	setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH",
	       fixture_file("account", fixture_token_hour(""), 0600), 1);
	BIO_free(cert);
	BIO_free(key);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_detach(thread);
}

static void stop(void)
{
	shutdown(cluster.listener, SHUT_RDWR);
	close(cluster.listener);
	fixture_cloud_stop();
}

TestSuite(workload, .init = start, .fini = stop);

/* --- the tests -------------------------------------------------------------
 */

static const struct credential any;

static void run(struct attempt *a)
{
	fixture_cloud_environment();
	fixture_attempt(a, CREDENTIAL_WORKLOAD, &any, NULL);
}

/* {"token":"ST$..."} in base64, in quotes if asked for. */
static void have_token(bool quotes, const char *more)
{
	char json[8192], text[12000];
	size_t n;

	snprintf(json, sizeof(json), "{\"token\":\"ST$%s\"}",
	         fixture_token_hour(more));
	n = base64_encode(span_str(json), text + 1);
	text[0] = text[n + 1] = '"';
	text[n + 2] = '\0';
	if (!quotes)
		text[n + 1] = '\0';
	answer(200, quotes ? text : text + 1);
}

Test(workload, a_pod_gets_a_token)
{
	for (int quotes = 0; quotes < 2; quotes++) {
		struct attempt a = { 0 };

		have_token(quotes, ",\"res_tenant\":\"t\"");
		run(&a);
		cr_assert(a.pass, "%s", a.sentence);
		cr_assert(
			span_starts(buf_span(&a.pass->key_id), SPAN("ST$ey")));
		cr_assert_str_eq(a.pass->region, "eu-frankfurt-1");
		cr_assert_str_eq(a.pass->tenancy, "t");
		cr_assert_eq(a.pass->expires_s - a.pass->renew_s, 1800);
		cr_assert(strstr(cluster.request,
		                 "POST /resourcePrincipalSessionTokens "));
		cr_assert(strstr(cluster.request, "authorization: Bearer eyJ"));
		cr_assert(strstr(cluster.request, "{\"podKey\":\"MII"));
		cr_assert(strstr(cluster.request, "opc-request-id: "));
		attempt_stop(&a);
	}
}

Test(workload, what_is_wrong_is_said)
{
	struct attempt a = { 0 };

	answer(403, "");
	run(&a);
	cr_assert(strstr(a.sentence, "enhanced cluster"), "%s", a.sentence);
	attempt_stop(&a);

	answer(200, "\"not base64\"");
	run(&a);
	cr_assert(strstr(a.sentence, "no token that can be read"), "%s",
	          a.sentence);
	attempt_stop(&a);

	fixture_file("account", "e30.eyJleHAiOjF9.c", 0600);
	run(&a);
	cr_assert_eq(a.err, -EKEYEXPIRED, "%s", a.sentence);
	attempt_stop(&a);

	fixture_file("account", "nonsense", 0600);
	run(&a);
	cr_assert(strstr(a.sentence, "not a JSON Web Token"), "%s", a.sentence);
	attempt_stop(&a);

	unsetenv("KUBERNETES_SERVICE_HOST");
	run(&a);
	cr_assert_eq(a.err, -ENOENT);
	cr_assert_not(workload_is_here());
	attempt_stop(&a);
}

Test(workload, only_the_clusters_authority_is_trusted)
{
	struct attempt a = { 0 };

	have_token(true, "");
	setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH",
	       fixture_file("other.crt", fixture_certificate(0, "t"), 0600), 1);
	run(&a);
	cr_assert_null(a.pass);
	cr_assert_eq(a.err, -EIO);
	cr_assert(strstr(a.sentence, "No token for this workload"), "%s",
	          a.sentence);
	attempt_stop(&a);
}

Test(workload, a_token_for_another_key)
{
	struct attempt a = { 0 };
	char more[1024];

	snprintf(more, sizeof(more), ",\"jwk\":%s", fixture_jwk(0));
	have_token(true, more);
	run(&a);
	cr_assert(strstr(a.sentence, "another key"), "%s", a.sentence);
	attempt_stop(&a);
}
