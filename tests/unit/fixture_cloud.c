#include "tests/unit/fixture_cloud.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "oci/environment.h"

#define ROWS_MAX  64
#define TEXT_MAX  32768
#define TEXTS_MAX 8
#define WAIT_MS   30000

struct fixture_cloud fixture_cloud;

static struct {
	int listener;
	pthread_mutex_t lock;
	struct row {
		char path[256];
		int status;
		const char *fields;
		char *body;
		bool used;
	} rows[ROWS_MAX];
	size_t n_rows;
	struct seen {
		char path[256];
		char *text;
		unsigned times;
	} seen[ROWS_MAX];
	size_t n_seen;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- the server ------------------------------------------------------------
 */

static struct seen *find_seen(const char *path)
{
	for (size_t i = 0; i < server.n_seen; i++)
		if (strcmp(server.seen[i].path, path) == 0)
			return &server.seen[i];
	cr_assert(server.n_seen < ROWS_MAX);
	struct seen *s = &server.seen[server.n_seen++];
	snprintf(s->path, sizeof(s->path), "%s", path);
	return s;
}

/* The first row of that path that is not used up, or its last. */
static struct row *find_row(const char *path)
{
	struct row *last = NULL;

	for (size_t i = 0; i < server.n_rows; i++) {
		if (strcmp(server.rows[i].path, path) != 0)
			continue;
		last = &server.rows[i];
		if (!last->used)
			break;
	}
	if (last)
		last->used = true;
	return last;
}

static size_t body_length(const char *head)
{
	const char *p = strcasestr(head, "\r\ncontent-length:");

	return p ? strtoul(p + 17, NULL, 10) : 0;
}

/* False: the client has left. */
static bool read_request(int fd, char *text)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(fd, text + n, TEXT_MAX - n - 1, 0);

		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		const char *end = strstr(text, "\r\n\r\n");
		if (end && n >= (size_t)(end - text) + 4 + body_length(text))
			return true;
	}
}

/* False: hang up. */
static bool answer(int fd, const char *text)
{
	char path[256] = "", out[TEXT_MAX];
	const struct row *row;
	int n;

	sscanf(text, "%*s %255[^ ?]", path);
	pthread_mutex_lock(&server.lock);
	struct seen *s = find_seen(path);
	s->times++;
	free(s->text);
	s->text = strdup(text);
	row = find_row(path);
	n = snprintf(out, sizeof(out),
	             "HTTP/1.1 %d X\r\n%scontent-length: %zu\r\n\r\n%s",
	             row ? row->status : 404, row ? row->fields : "",
	             row ? strlen(row->body) : 0, row ? row->body : "");
	bool stay = !row || row->status;
	pthread_mutex_unlock(&server.lock);
	if (stay)
		stay = send(fd, out, (size_t)n, MSG_NOSIGNAL) == n;
	return stay;
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *text = malloc(TEXT_MAX);

	while (read_request(fd, text) && answer(fd, text))
		continue;
	close(fd);
	free(text);
	return NULL;
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_t thread;
		int fd = accept(server.listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
}

static void clear_environment(void)
{
	char *names[256];
	size_t n = 0;

	for (char **e = environ; *e && n < 256; e++)
		if (strncmp(*e, "OCI_", 4) == 0 ||
		    strncmp(*e, "KUBERNETES_", 11) == 0 ||
		    strncmp(*e, "TENANCY_", 8) == 0)
			names[n++] = strndup(*e, strcspn(*e, "="));
	while (n > 0) {
		unsetenv(names[--n]);
		free(names[n]);
	}
}

void fixture_cloud_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	pthread_t thread;
	struct fixture_cloud *c = &fixture_cloud;

	cr_assert_eq(crypto_init(), 0);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server.listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(server.listener, 64), 0);
	getsockname(server.listener, (struct sockaddr *)&at, &len);
	snprintf(c->host, sizeof(c->host), "127.0.0.1:%u", ntohs(at.sin_port));
	snprintf(c->url, sizeof(c->url), "http://%s", c->host);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_detach(thread);
	c->loop = loop_new();
	c->fetcher = fetcher_new(c->loop);
	c->errands = (struct errand_host){ .loop = c->loop,
		                           .fetcher = c->fetcher,
		                           .pause_ms = 1 };
	strcpy(c->directory, "/tmp/cloud-XXXXXX");
	cr_assert(mkdtemp(c->directory));
	clear_environment();
	setenv("HOME", c->directory, 1);
	/* What is not asked for is never reached. */
	setenv("OCI_METADATA_BASE_URL", c->url, 1);
}

void fixture_cloud_stop(void)
{
	char command[128];

	fetcher_free(fixture_cloud.fetcher);
	loop_free(fixture_cloud.loop);
	environment_reset();
	shutdown(server.listener, SHUT_RDWR);
	close(server.listener);
	snprintf(command, sizeof(command), "rm -rf '%s'",
	         fixture_cloud.directory);
	cr_assert_eq(system(command), 0);
}

void fixture_cloud_answer(const char *path, int status, const char *fields,
                          const char *body)
{
	pthread_mutex_lock(&server.lock);
	cr_assert(server.n_rows < ROWS_MAX);
	struct row *row = &server.rows[server.n_rows++];
	snprintf(row->path, sizeof(row->path), "%s", path);
	row->status = status;
	row->fields = fields;
	row->body = strdup(body);
	row->used = false;
	pthread_mutex_unlock(&server.lock);
}

unsigned fixture_cloud_asked(const char *path)
{
	pthread_mutex_lock(&server.lock);
	unsigned times = find_seen(path)->times;
	pthread_mutex_unlock(&server.lock);
	return times;
}

const char *fixture_cloud_request(const char *path)
{
	pthread_mutex_lock(&server.lock);
	const char *text = find_seen(path)->text;
	pthread_mutex_unlock(&server.lock);
	return text ? text : "";
}

void fixture_cloud_environment(void)
{
	const char *name = "";

	environment_reset();
	cr_assert_eq(environment_take(&name), 0, "%s", name);
	cr_assert_eq(environment_open_secrets(), 0);
}

/* --- tokens, keys, certificates --------------------------------------------
 */

static char *next_text(void)
{
	static char texts[TEXTS_MAX][TEXT_MAX];
	static size_t n;

	return texts[n++ % TEXTS_MAX];
}

const char *fixture_token(const char *claims)
{
	char payload[TEXT_MAX / 2];
	size_t n = crypto_base64url_encode(span_str(claims), payload);
	char *out = next_text();

	snprintf(out, TEXT_MAX, "eyJhbGciOiJSUzI1NiJ9.%.*s.c2ln", (int)n,
	         payload);
	return out;
}

const char *fixture_token_hour(const char *more)
{
	char claims[TEXT_MAX / 4];
	long long now = (long long)time(NULL);

	snprintf(claims, sizeof(claims),
	         "{\"sub\":\"ocid1.user.oc1..s\",\"iat\":%lld,\"exp\":%lld%s}",
	         now, now + 3600, more);
	return fixture_token(claims);
}

const char *fixture_token_answer(const char *token)
{
	char *out = next_text();

	snprintf(out, TEXT_MAX, "{\"token\":\"%.30000s\"}", token);
	return out;
}

const char *fixture_key_pem(int n)
{
	static char pems[3][4096];
	struct buf pem = { .max = sizeof(pems[0]) - 1 };
	struct key *key = NULL;

	if (!*pems[n]) {
		cr_assert_eq(key_generate(KEY_RS256, &key), 0);
		cr_assert_eq(key_private_to_pem(key, &pem), 0);
		memcpy(pems[n], pem.bytes, pem.len);
		buf_free(&pem);
		key_free(key);
	}
	return pems[n];
}

/* A DER of 2048 bits ends: 00 modulus[256] 02 03 01 00 01. */
const char *fixture_jwk(int n)
{
	struct buf der = { .max = KEY_DER_MAX };
	struct key *key = NULL;
	char modulus[400], *out = next_text();
	const char *why;

	cr_assert_eq(key_private_from_pem(span_str(fixture_key_pem(n)),
	                                  SPAN(""), &key, &why),
	             0);
	cr_assert_eq(key_to_der(key, &der), 0);
	size_t len = crypto_base64url_encode(
		span_of(der.bytes + der.len - 5 - 256, 256), modulus);
	snprintf(out, TEXT_MAX,
	         "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"AQAB\"}", (int)len,
	         modulus);
	buf_free(&der);
	key_free(key);
	return out;
}

static void add_name(X509_NAME *name, const char *field, const char *text)
{
	X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
	                           (const unsigned char *)text, -1, -1, 0);
}

const char *fixture_certificate(int n, const char *tenancy)
{
	BIO *in = BIO_new_mem_buf(fixture_key_pem(n), -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	BIO *out = BIO_new(BIO_s_mem());
	char unit[512], *text = next_text(), *pem;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 7200);
	add_name(name, "CN", "ocid1.instance.oc1.iad.i");
	add_name(name, "OU", "opc-certtype:instance");
	add_name(name, "OU", "opc-instance:ocid1.instance.oc1.iad.i");
	snprintf(unit, sizeof(unit), "opc-tenant:%s", tenancy);
	add_name(name, "OU", unit);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_bio_X509(out, cert);
	long len = BIO_get_mem_data(out, &pem);
	snprintf(text, TEXT_MAX, "%.*s", (int)len, pem);
	BIO_free(out);
	BIO_free(in);
	X509_free(cert);
	EVP_PKEY_free(key);
	return text;
}

const char *fixture_file(const char *name, const char *text, int mode)
{
	char *path = next_text();
	FILE *f;

	snprintf(path, TEXT_MAX, "%s/.oci", fixture_cloud.directory);
	mkdir(path, 0700);
	snprintf(path, TEXT_MAX, "%s/%s", fixture_cloud.directory, name);
	unlink(path);
	f = fopen(path, "w");
	cr_assert(f, "%s", path);
	fputs(text, f);
	fclose(f);
	chmod(path, (mode_t)mode);
	return path;
}

/* --- running ---------------------------------------------------------------
 */

static struct {
	const bool *done;
	struct timer look, limit;
	bool over;
} turning;

static void on_look(struct timer *t)
{
	if (*turning.done || turning.over)
		loop_stop(fixture_cloud.loop);
	else
		loop_timer(fixture_cloud.loop, t, 2, on_look);
}

static void on_limit(struct timer *t)
{
	(void)t;
	turning.over = true;
}

void fixture_turn_until(const bool *done)
{
	turning.done = done;
	turning.over = false;
	loop_timer(fixture_cloud.loop, &turning.look, 1, on_look);
	loop_timer(fixture_cloud.loop, &turning.limit, WAIT_MS, on_limit);
	cr_assert_eq(loop_run(fixture_cloud.loop), 0);
	loop_timer_stop(fixture_cloud.loop, &turning.limit);
	loop_timer_stop(fixture_cloud.loop, &turning.look);
	cr_assert(*done, "nothing came in %d ms", WAIT_MS);
}

static void on_attempt(struct attempt *a)
{
	*(bool *)a->owner = true;
}

void fixture_attempt(struct attempt *a, enum credential_method method,
                     const struct credential *settings, const struct pass *old)
{
	static bool done;

	done = false;
	attempt_start_with(a, method, &fixture_cloud.errands, settings, old,
	                   on_attempt, &done);
	fixture_turn_until(&done);
}
