#include "lib/tls.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"

#define EXPIRES 2000000000

/* A server's certificate and key, as PEM. */
struct identity {
	struct buf cert, key;
};

static struct buf text_of(BIO *bio)
{
	struct buf b = { .max = 65536 };
	char *text;
	long n = BIO_get_mem_data(bio, &text);

	buf_add(&b, text, (size_t)n);
	BIO_free(bio);
	return b;
}

static struct identity make_identity(EVP_PKEY *pkey)
{
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
	X509 *cert = X509_new();

	cr_assert_not_null(pkey);
	ASN1_TIME_set(X509_getm_notBefore(cert), 1);
	ASN1_TIME_set(X509_getm_notAfter(cert), EXPIRES);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"localhost", -1, -1, 0);
	cr_assert(X509_set_pubkey(cert, pkey));
	cr_assert(X509_sign(cert, pkey, EVP_sha256()));
	cr_assert(PEM_write_bio_X509(cert_pem, cert));
	cr_assert(PEM_write_bio_PKCS8PrivateKey(key_pem, pkey, NULL, NULL, 0,
	                                        NULL, NULL));
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return (struct identity){ text_of(cert_pem), text_of(key_pem) };
}

static struct identity make_ec(void)
{
	return make_identity(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
}

static void free_identity(struct identity *id)
{
	buf_free(&id->cert);
	buf_free(&id->key);
}

static struct tls_context *make_context(void)
{
	struct identity id = make_ec();
	struct tls_context *ctx = NULL;
	char why[TLS_WHY_MAX] = "";

	cr_assert_eq(tls_context_from_memory(buf_span(&id.cert),
	                                     buf_span(&id.key), &ctx, why),
	             0, "%s", why);
	free_identity(&id);
	return ctx;
}

/* Both ends of a connection, the client's being OpenSSL by itself. */
struct pair {
	struct tls_context *ctx;
	struct tls *server;
	SSL_CTX *client_ctx;
	SSL *client;
	int server_fd, client_fd;
};

static void open_pair(struct pair *p, struct tls_context *ctx, int version)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
	             0);
	p->server_fd = fds[0];
	p->client_fd = fds[1];
	p->ctx = ctx;
	p->server = tls_accept(ctx, fds[0]);
	cr_assert_not_null(p->server);
	if (!p->client_ctx)
		p->client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(p->client_ctx, 0);
	SSL_CTX_set_min_proto_version(p->client_ctx, version);
	SSL_CTX_set_max_proto_version(p->client_ctx, version);
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->client, fds[1]);
	SSL_set_connect_state(p->client);
}

static void close_pair(struct pair *p)
{
	SSL_shutdown(p->client); /* or its session is thrown away */
	SSL_free(p->client);
	SSL_CTX_free(p->client_ctx);
	tls_close(p->server);
	tls_context_free(p->ctx);
	close(p->server_fd);
	close(p->client_fd);
}

/*
 * Let both ends talk until neither moves. Returns what the server's last read
 * said; what it read is appended to got.
 */
static ssize_t shake(struct pair *p, struct buf *got)
{
	ssize_t n = -EAGAIN;

	for (int turn = 0; turn < 20; turn++) {
		char bytes[4096];
		uint32_t want = 0;

		SSL_do_handshake(p->client);
		n = tls_read(p->server, bytes, sizeof(bytes), &want);
		if (n > 0 && got)
			buf_add(got, bytes, (size_t)n);
		if (n == -EAGAIN)
			cr_assert(want == EPOLLIN || want == EPOLLOUT);
		else if (n <= 0)
			return n;
	}
	return n;
}

static void echo(int version, const char *name)
{
	struct pair p = { 0 };
	struct buf got = { .max = 65536 };
	const unsigned char *protocol;
	char back[16];
	uint32_t want;
	unsigned len;

	open_pair(&p, make_context(), version);
	cr_assert_eq(tls_context_expires_s(p.ctx), EXPIRES);
	/* A reload frees the context; the connection must not mind. */
	tls_context_free(p.ctx);
	p.ctx = NULL;
	SSL_set_alpn_protos(p.client,
	                    (const unsigned char *)"\x02h2\x08http/1.1", 12);
	cr_assert_not(tls_established(p.server));
	cr_assert_eq(shake(&p, NULL), -EAGAIN);
	cr_assert(tls_established(p.server));
	cr_assert_str_eq(tls_version(p.server), name);
	cr_assert_not(tls_resumed(p.server));
	SSL_get0_alpn_selected(p.client, &protocol, &len);
	cr_assert(span_is(span_of(protocol, len), "http/1.1"));

	cr_assert_eq(SSL_write(p.client, "ping", 4), 4);
	cr_assert_eq(shake(&p, &got), -EAGAIN);
	cr_assert(span_is(buf_span(&got), "ping"));
	cr_assert_eq(tls_write(p.server, "pong", 4, &want), 4);
	cr_assert_eq(SSL_read(p.client, back, sizeof(back)), 4);

	SSL_shutdown(p.client);
	cr_assert_eq(shake(&p, NULL), 0);
	close_pair(&p);
	buf_free(&got);
}

Test(tls, tls_1_2)
{
	echo(TLS1_2_VERSION, "TLSv1.2");
}

Test(tls, tls_1_3)
{
	echo(TLS1_3_VERSION, "TLSv1.3");
}

Test(tls, older_versions_are_refused)
{
	struct pair p = { 0 };

	open_pair(&p, make_context(), TLS1_1_VERSION);
	cr_assert_eq(shake(&p, NULL), -EPROTO);
	close_pair(&p);
}

Test(tls, no_common_protocol_ends_the_handshake)
{
	struct pair p = { 0 };

	open_pair(&p, make_context(), TLS1_3_VERSION);
	SSL_set_alpn_protos(p.client, (const unsigned char *)"\x02h2", 3);
	cr_assert_eq(shake(&p, NULL), -EPROTO);
	close_pair(&p);
}

Test(tls, plain_http_is_refused)
{
	struct pair p = { 0 };
	char bytes[64];
	uint32_t want;

	open_pair(&p, make_context(), TLS1_3_VERSION);
	cr_assert_eq(write(p.client_fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	cr_assert_eq(tls_read(p.server, bytes, sizeof(bytes), &want), -EPROTO);
	cr_assert_eq(tls_read(p.server, bytes, sizeof(bytes), &want),
	             -ECONNRESET);
	cr_assert_eq(tls_write(p.server, "x", 1, &want), -ECONNRESET);
	close_pair(&p);
}

/* Without close_notify a cut stream must not look like a complete one. */
Test(tls, a_cut_connection_is_no_clean_close)
{
	struct pair p = { 0 };

	open_pair(&p, make_context(), TLS1_3_VERSION);
	cr_assert_eq(shake(&p, NULL), -EAGAIN);
	shutdown(p.client_fd, SHUT_RDWR);
	cr_assert_eq(shake(&p, NULL), -ECONNRESET);
	close_pair(&p);
}

Test(tls, renegotiation_is_refused)
{
	struct pair p = { 0 };

	open_pair(&p, make_context(), TLS1_2_VERSION);
	cr_assert_eq(shake(&p, NULL), -EAGAIN);
	SSL_renegotiate(p.client);
	shake(&p, NULL);
	cr_assert_neq(SSL_do_handshake(p.client), 1);
	close_pair(&p);
}

/*
 * A client that does not read makes the server wait, and no byte is lost or
 * repeated when it goes on from another place in memory.
 */
Test(tls, a_slow_reader_holds_the_writer_back)
{
	static char out[2][1 << 20], in[1 << 20];
	struct pair p = { 0 };
	size_t sent = 0, received = 0;
	int waits = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		out[0][i] = out[1][i] = (char)(i * 7 + i / 251);
	open_pair(&p, make_context(), TLS1_3_VERSION);
	cr_assert_eq(shake(&p, NULL), -EAGAIN);
	while (received < sizeof(in)) {
		uint32_t want = 0;
		ssize_t n = -EAGAIN;

		if (sent < sizeof(in))
			n = tls_write(p.server, out[waits & 1] + sent,
			              sizeof(in) - sent, &want);
		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		cr_assert_eq(n, -EAGAIN);
		cr_assert(sent == sizeof(in) || want == EPOLLOUT);
		waits++;
		int r = SSL_read(p.client, in + received,
		                 (int)(sizeof(in) - received));
		if (r > 0)
			received += (size_t)r;
	}
	cr_assert_gt(waits, 2);
	cr_assert_eq(memcmp(in, out[0], sizeof(in)), 0);
	close_pair(&p);
}

/* More came in one record than the reader had room for. */
Test(tls, pending_bytes_are_told)
{
	struct pair p = { 0 };
	char bytes[8];
	uint32_t want;

	open_pair(&p, make_context(), TLS1_3_VERSION);
	cr_assert_eq(shake(&p, NULL), -EAGAIN);
	cr_assert_eq(SSL_write(p.client, "0123456789", 10), 10);
	cr_assert_eq(tls_read(p.server, bytes, 8, &want), 8);
	cr_assert(tls_pending(p.server));
	cr_assert_eq(tls_read(p.server, bytes, 8, &want), 2);
	cr_assert_eq(tls_read(p.server, bytes, 8, &want), -EAGAIN);
	cr_assert_not(tls_pending(p.server));
	close_pair(&p);
}

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

/* A ticket that one process gave is good in another with the same key. */
static void resume(bool same_key, bool expect)
{
	struct identity id = make_ec();
	uint8_t key[TLS_TICKET_KEY_LEN] = { 1, 2, 3 };
	struct pair p = { 0 };

	for (int round = 0; round < 2; round++) {
		struct tls_context *ctx;
		char why[TLS_WHY_MAX];
		char byte;

		cr_assert_eq(tls_context_from_memory(buf_span(&id.cert),
		                                     buf_span(&id.key), &ctx,
		                                     why),
		             0);
		key[0] = same_key ? 1 : (uint8_t)round;
		tls_context_ticket_key(ctx, key);
		open_pair(&p, ctx, TLS1_3_VERSION);
		SSL_CTX_set_session_cache_mode(p.client_ctx,
		                               SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(p.client_ctx, keep_session);
		if (round)
			SSL_set_session(p.client, kept);
		cr_assert_eq(shake(&p, NULL), -EAGAIN);
		cr_assert(tls_established(p.server));
		SSL_read(p.client, &byte, 1); /* takes the ticket in */
		cr_assert_eq(tls_resumed(p.server), round && expect);
		if (round == 0) {
			SSL_CTX *keep = p.client_ctx;

			SSL_CTX_up_ref(keep);
			close_pair(&p);
			p = (struct pair){ .client_ctx = keep };
		}
	}
	SSL_SESSION_free(kept);
	close_pair(&p);
	free_identity(&id);
}

Test(tls, tickets_are_good_wherever_the_key_is)
{
	resume(true, true);
}

Test(tls, tickets_of_another_key_are_not_taken)
{
	resume(false, false);
}

static void refused(struct span cert, struct span key, const char *because)
{
	struct tls_context *ctx;
	char why[TLS_WHY_MAX] = "";

	cr_assert_eq(tls_context_from_memory(cert, key, &ctx, why), -EINVAL);
	cr_assert(strstr(why, because), "%s", why);
}

Test(tls, unusable_files_are_refused_in_words)
{
	struct identity a = make_ec(), b = make_ec();
	struct identity weak = make_identity(
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024));
	struct span cert = buf_span(&a.cert), key = buf_span(&a.key);

	refused(cert, buf_span(&b.key),
	        "key: does not belong to the certificate in certificate");
	refused(key, key, "certificate: holds no PEM certificate");
	refused(cert, cert, "key: holds no private key");
	refused((struct span){ 0 }, key, "certificate: is empty");
	refused(cert, (struct span){ 0 }, "key: holds no private key");
	refused(buf_span(&weak.cert), buf_span(&weak.key), "refused");

	/* An intermediate that was cut off must not go unnoticed. */
	struct buf cut = { .max = 65536 };
	buf_add_span(&cut, cert);
	buf_add_span(&cut, span_first(cert, cert.len / 2));
	refused(buf_span(&cut), key, "damaged");

	free_identity(&a);
	free_identity(&b);
	free_identity(&weak);
	buf_free(&cut);
}

static void put(const char *path, struct span content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content.at, content.len), (ssize_t)content.len);
	close(fd);
}

Test(tls, files)
{
	char dir[] = "/tmp/test-tls-XXXXXX", both[64], none[64];
	struct identity id = make_ec();
	struct tls_context *ctx;
	char why[TLS_WHY_MAX] = "";

	cr_assert_not_null(mkdtemp(dir));
	snprintf(both, sizeof(both), "%s/both.pem", dir);
	snprintf(none, sizeof(none), "%s/none.pem", dir);

	/* The key may stand in the same file, before the chain or after. */
	struct buf text = { .max = 65536 };
	buf_add_span(&text, buf_span(&id.key));
	buf_add_span(&text, buf_span(&id.cert));
	buf_add_span(&text, buf_span(&id.cert));
	put(both, buf_span(&text));
	cr_assert_eq(tls_context_open(both, both, &ctx, why), 0, "%s", why);
	tls_context_free(ctx);
	tls_context_free(NULL);

	cr_assert_eq(tls_context_open(both, none, &ctx, why), -ENOENT);
	cr_assert(strstr(why, none), "%s", why);
	cr_assert_eq(tls_context_open(dir, both, &ctx, why), -EINVAL);
	cr_assert(strstr(why, "not a regular file"), "%s", why);

	unlink(both);
	rmdir(dir);
	free_identity(&id);
	buf_free(&text);
}
