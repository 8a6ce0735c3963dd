/*
 * tls - the server side of TLS 1.2 and 1.3 (RFC 8446) on a socket that does not
 * block.
 *
 * A context is a certificate chain, its private key and our choices: ALPN
 * http/1.1, forward secrecy and AEAD only, no compression, no renegotiation,
 * session tickets. A connection keeps its context alive, so after a reload the
 * old context can be freed at once. A process that may not open files gets the
 * PEM bytes instead of paths.
 *
 * Reading and writing look like recv(2) and send(2), with one difference: a
 * read may have to wait for the socket to be writable and the other way round.
 * *want says for which of EPOLLIN and EPOLLOUT to wait before the same call is
 * made again. Because a record is decrypted whole, bytes may be waiting here
 * that epoll does not know of: read until -EAGAIN, or ask tls_pending(). The
 * process must ignore SIGPIPE: the library writes with write(2).
 */
#ifndef LIB_TLS_H
#define LIB_TLS_H

#include <sys/types.h>

#include "lib/base.h"
#include "lib/span.h"

#define TLS_WHY_MAX        256 /* bytes of a sentence, NUL included */
#define TLS_TICKET_KEY_LEN 80  /* bytes: name, HMAC and AES keys */

struct tls_context;
struct tls;

/*
 * From two PEM files: the server's certificate followed by its intermediates,
 * and the private key that belongs to it (not encrypted). They may be one file.
 * Returns 0; -errno of reading a file; -EINVAL when the contents are not usable
 * or do not belong together; -ENOMEM. On failure why says which file and what
 * is wrong with it. *out is for tls_context_free().
 */
MUST_CHECK int tls_context_open(const char *cert_path, const char *key_path,
                                struct tls_context **out,
                                char why[TLS_WHY_MAX]);

/* The same from PEM bytes; why says "certificate" and "key" for the files. */
MUST_CHECK int tls_context_from_memory(struct span cert_pem,
                                       struct span key_pem,
                                       struct tls_context **out,
                                       char why[TLS_WHY_MAX]);

/* Open connections keep what they need. NULL is fine. */
void tls_context_free(struct tls_context *ctx);

/*
 * Use these random bytes to protect session tickets. Processes that share them
 * can resume each other's sessions. Without this call each context makes its
 * own, and a resumption that meets another worker costs a full handshake.
 */
void tls_context_ticket_key(struct tls_context *ctx,
                            const uint8_t key[TLS_TICKET_KEY_LEN]);

/* Accept nothing older than TLS 1.3; else 1.2 is the oldest. */
void tls_context_require_1_3(struct tls_context *ctx);

/* When the server's certificate ends, in seconds since 1970, UTC. */
int64_t tls_context_expires_s(const struct tls_context *ctx);

/*
 * A new connection on fd, which must be non-blocking and stays the caller's to
 * close. The handshake happens inside the first reads. NULL: no memory.
 */
struct tls *tls_accept(struct tls_context *ctx, int fd);

/*
 * Read up to n bytes. Returns how many; 0 when the peer ended the stream in
 * order (close_notify); or
 *	-EAGAIN      nothing yet: wait for *want
 *	-ECONNRESET  the socket failed or ended without close_notify
 *	-EPROTO      the peer did not speak TLS as we accept it
 * After anything but bytes and -EAGAIN, only tls_close() is left to call.
 */
ssize_t tls_read(struct tls *tls, void *into, size_t n, uint32_t *want);

/*
 * Write up to n bytes, n at least 1. Returns how many were taken, which may be
 * fewer; errors as tls_read(). After -EAGAIN call again with bytes that begin
 * with the same bytes; they may have moved.
 */
ssize_t tls_write(struct tls *tls, const void *from, size_t n, uint32_t *want);

/*
 * May there be bytes here that epoll does not know of? True only asks for one
 * more tls_read(); after that one said -EAGAIN wait for the socket, whatever
 * this says, since the rest of a record is still on its way.
 */
bool tls_pending(const struct tls *tls);

/* Is the handshake complete? */
bool tls_established(const struct tls *tls);

/* "TLSv1.3", "TLSv1.2": what was agreed on, for the log. */
const char *tls_version(const struct tls *tls);

/* Did the client resume an earlier session? */
bool tls_resumed(const struct tls *tls);

/*
 * Say good-bye (one try, never waits) and free. The caller closes the socket.
 * NULL is fine.
 */
void tls_close(struct tls *tls);

#endif
