#include "lib/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/file.h"

#define PEM_MAX 65536 /* bytes of a file; a chain is a few kilobytes */

/* TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has no others. */
#define CIPHERS_12                                                   \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define GROUPS "X25519:P-256:P-384"

#define OPTIONS                                            \
	(SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | \
	 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA)
#define MODES                                                       \
	(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | \
	 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)

struct tls_context {
	SSL_CTX *ssl;
};

struct tls {
	SSL *ssl;
	bool broken; /* only freeing is left, no good-bye */
};

/* A PEM text and what it is called in sentences. */
struct text {
	const char *name;
	struct span pem;
};

PRINTF(2, 3)
static int refuse(char why[TLS_WHY_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, TLS_WHY_MAX, fmt, args);
	va_end(args);
	/* What is left in the queue would be taken for a connection's. */
	ERR_clear_error();
	return -EINVAL;
}

/* The library's reason for the failure just seen. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "no reason given";
}

static BIO *reader_of(struct span pem)
{
	if (pem.len == 0 || pem.len > PEM_MAX)
		return NULL;
	return BIO_new_mem_buf(pem.at, (int)pem.len);
}

/* The library would otherwise ask on the terminal. */
static int no_passphrase(char *into, int cap, int writing, void *arg)
{
	(void)into;
	(void)cap;
	(void)writing;
	(void)arg;
	return -1;
}

/* The first certificate is the server's own, the others lead to its issuer. */
static int add_chain(SSL_CTX *ssl, BIO *bio, const struct text *cert, char *why)
{
	X509 *next;
	bool own = true;

	while ((next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		bool ok = own ? SSL_CTX_use_certificate(ssl, next) == 1
		              : SSL_CTX_add1_chain_cert(ssl, next) == 1;

		X509_free(next);
		if (!ok)
			return refuse(why, "%s: certificate refused: %s",
			              cert->name, reason());
		own = false;
	}
	if (own)
		return refuse(why, "%s: holds no PEM certificate", cert->name);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return refuse(why, "%s: a certificate is damaged: %s",
		              cert->name, reason());
	ERR_clear_error();
	return 0;
}

static int use_chain(SSL_CTX *ssl, const struct text *cert, char *why)
{
	BIO *bio = reader_of(cert->pem);

	if (!bio)
		return refuse(why, "%s: is empty or too large", cert->name);
	int err = add_chain(ssl, bio, cert, why);
	BIO_free(bio);
	return err;
}

static int use_key(SSL_CTX *ssl, const struct text *cert,
                   const struct text *key, char *why)
{
	BIO *bio = reader_of(key->pem);
	EVP_PKEY *pkey = NULL;
	int err = 0;

	if (bio)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (!pkey)
		err = refuse(why,
		             "%s: holds no private key in PEM form without "
		             "a passphrase",
		             key->name);
	else if (!X509_check_private_key(SSL_CTX_get0_certificate(ssl), pkey))
		err = refuse(why,
		             "%s: does not belong to the certificate in %s",
		             key->name, cert->name);
	else if (!SSL_CTX_use_PrivateKey(ssl, pkey))
		err = refuse(why, "%s: key refused: %s", key->name, reason());
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return err;
}

/* RFC 7301, section 3.2: nothing in common ends the handshake. */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
	                          in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *prepare(void)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	if (!ssl)
		return NULL;
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ssl, CIPHERS_12) ||
	    !SSL_CTX_set1_groups_list(ssl, GROUPS)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_options(ssl, OPTIONS);
	SSL_CTX_set_mode(ssl, MODES);
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	/* Tickets carry the session: nothing is kept here. One is enough. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	/* One read(2) a record and not two. */
	SSL_CTX_set_read_ahead(ssl, 1);
	return ssl;
}

static int build(const struct text *cert, const struct text *key,
                 struct tls_context **out, char *why)
{
	SSL_CTX *ssl = prepare();
	struct tls_context *ctx = malloc(sizeof(*ctx));
	int err = 0;

	if (!ssl || !ctx) {
		refuse(why, "no memory for a TLS context");
		err = -ENOMEM;
	}
	if (err == 0)
		err = use_chain(ssl, cert, why);
	if (err == 0)
		err = use_key(ssl, cert, key, why);
	if (err < 0) {
		SSL_CTX_free(ssl);
		free(ctx);
		return err;
	}
	ctx->ssl = ssl;
	*out = ctx;
	return 0;
}

int tls_context_from_memory(struct span cert_pem, struct span key_pem,
                            struct tls_context **out, char why[TLS_WHY_MAX])
{
	return build(&(struct text){ "certificate", cert_pem },
	             &(struct text){ "key", key_pem }, out, why);
}

static int load(const char *path, struct buf *into, char *why)
{
	/* All the room at once: a secret that moves leaves copies behind. */
	buf_reserve(into, into->max);
	int err = buf_err(into);
	if (err == 0)
		err = file_read(path, into);
	if (err < 0)
		refuse(why, "%s: %s", path,
		       err == -EINVAL ? "not a regular file" : strerror(-err));
	return err;
}

int tls_context_open(const char *cert_path, const char *key_path,
                     struct tls_context **out, char why[TLS_WHY_MAX])
{
	struct buf cert = { .max = PEM_MAX }, key = { .max = PEM_MAX };

	int err = load(cert_path, &cert, why);
	if (err == 0)
		err = load(key_path, &key, why);
	if (err == 0)
		err = build(&(struct text){ cert_path, buf_span(&cert) },
		            &(struct text){ key_path, buf_span(&key) }, out,
		            why);
	OPENSSL_cleanse(cert.bytes, cert.cap); /* may be one file */
	OPENSSL_cleanse(key.bytes, key.cap);
	buf_free(&cert);
	buf_free(&key);
	return err;
}

void tls_context_free(struct tls_context *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl); /* connections hold references of their own */
	free(ctx);
}

void tls_context_ticket_key(struct tls_context *ctx,
                            const uint8_t key[TLS_TICKET_KEY_LEN])
{
	uint8_t copy[TLS_TICKET_KEY_LEN]; /* the call takes no const */

	memcpy(copy, key, sizeof(copy));
	long ok = SSL_CTX_set_tlsext_ticket_keys(ctx->ssl, copy, sizeof(copy));
	assert(ok == 1); /* the length is the only thing that can be wrong */
	OPENSSL_cleanse(copy, sizeof(copy));
}

void tls_context_require_1_3(struct tls_context *ctx)
{
	SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_3_VERSION);
}

int64_t tls_context_expires_s(const struct tls_context *ctx)
{
	struct tm tm;
	X509 *cert = SSL_CTX_get0_certificate(ctx->ssl);

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		return 0;
	return timegm(&tm);
}

struct tls *tls_accept(struct tls_context *ctx, int fd)
{
	struct tls *tls = malloc(sizeof(*tls));
	SSL *ssl = SSL_new(ctx->ssl);

	if (!tls || !ssl || !SSL_set_fd(ssl, fd)) {
		SSL_free(ssl);
		free(tls);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(ssl);
	*tls = (struct tls){ .ssl = ssl };
	return tls;
}

/* The errno for a call that moved no bytes. */
static ssize_t explain(struct tls *tls, uint32_t *want)
{
	int error = SSL_get_error(tls->ssl, 0);
	bool cut = error == SSL_ERROR_SYSCALL ||
	           ERR_GET_REASON(ERR_peek_error()) ==
	                   SSL_R_UNEXPECTED_EOF_WHILE_READING;

	switch (error) {
	case SSL_ERROR_WANT_READ:
		*want = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*want = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		tls->broken = true;
		ERR_clear_error();
		return cut ? -ECONNRESET : -EPROTO;
	}
}

ssize_t tls_read(struct tls *tls, void *into, size_t n, uint32_t *want)
{
	size_t got;

	if (tls->broken)
		return -ECONNRESET;
	ERR_clear_error();
	if (SSL_read_ex(tls->ssl, into, n, &got) == 1)
		return (ssize_t)got;
	return explain(tls, want);
}

ssize_t tls_write(struct tls *tls, const void *from, size_t n, uint32_t *want)
{
	size_t taken;

	assert(n > 0);
	if (tls->broken)
		return -ECONNRESET;
	ERR_clear_error();
	if (SSL_write_ex(tls->ssl, from, n, &taken) == 1)
		return (ssize_t)taken;
	return explain(tls, want);
}

bool tls_pending(const struct tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

bool tls_established(const struct tls *tls)
{
	return SSL_is_init_finished(tls->ssl) == 1;
}

const char *tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

bool tls_resumed(const struct tls *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

void tls_close(struct tls *tls)
{
	if (!tls)
		return;
	/* Before the end of the handshake the library counts it an error. */
	if (!tls->broken && tls_established(tls))
		SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	ERR_clear_error();
	free(tls);
}
