/*
 * exchange - the messages between oci/signature (a worker) and oci/signer (the
 * keeper).
 *
 * A message is a packet on a SOCK_SEQPACKET socket: a head of fixed size, then
 * the bytes of its texts. Both processes may be of different versions of this
 * program, so the head begins with a number that changes with its form; what
 * has another number, or does not add up, is no message.
 */
#ifndef OCI_EXCHANGE_H
#define OCI_EXCHANGE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define EXCHANGE_MAX     49152 /* bytes of a message */
#define EXCHANGE_NUMBERS 8
#define EXCHANGE_TEXTS   8
#define EXCHANGE_BATCH   64 /* messages read before others get their turn */

enum exchange_kind { EXCHANGE_ASK = 1, EXCHANGE_ANSWER };

/* Numbers and texts of a question. */
enum exchange_ask_number {
	ASK_CREDENTIAL,
	ASK_FLAGS,
	ASK_CONTENT_LENGTH,
	ASK_REFUSED,  /* generation */
	ASK_SKEW_S,   /* signed */
	ASK_DEADLINE, /* monotonic milliseconds; later nobody waits for it */
};
enum exchange_ask_text {
	ASK_METHOD,
	ASK_TARGET,
	ASK_HOST,
	ASK_CONTENT_TYPE,
	ASK_BODY_SHA256,
};

/* Bits of ASK_FLAGS. */
#define ASK_IDENTITY_ONLY 1U
#define ASK_WITH_BODY     2U
#define ASK_UNSIGNED_BODY 4U

/* Numbers and texts of an answer. */
enum exchange_answer_number {
	ANSWER_ERR, /* positive errno */
	ANSWER_GENERATION,
	ANSWER_EXPIRES_S,
};
enum exchange_answer_text {
	ANSWER_SENTENCE,
	ANSWER_LINES,
	ANSWER_TENANCY,
	ANSWER_SUBJECT,
	ANSWER_REGION,
	ANSWER_DOMAIN,
	ANSWER_METHOD,
	ANSWER_ADDRESSES, /* struct sockaddr_storage[], of the host */
};

/* One message; an answer has the id of its question. */
struct exchange_message {
	enum exchange_kind kind;
	uint64_t id;
	uint64_t numbers[EXCHANGE_NUMBERS];
	struct span texts[EXCHANGE_TEXTS];
};

/* Append a message. Returns 0, -EMSGSIZE when it would be longer than
 * EXCHANGE_MAX, or buf_err() of into. */
MUST_CHECK int exchange_write(const struct exchange_message *message,
                              struct buf *into);

/* Read a packet of the expected kind; texts point into it. False when it is no
 * such message. */
MUST_CHECK bool exchange_read(struct span packet, enum exchange_kind kind,
                              struct exchange_message *out);

/* What exchange_receive() says when the other end is closed. */
#define EXCHANGE_CLOSED (-EPIPE)

/*
 * Take one packet into room, of EXCHANGE_MAX bytes, without waiting. Returns
 * its length (0: it was too long, and is gone), -EAGAIN when none is there,
 * EXCHANGE_CLOSED, or -errno of recv(2).
 */
MUST_CHECK int exchange_receive(int fd, char room[EXCHANGE_MAX]);

/* Send one packet without waiting. Returns 0, -EAGAIN when the socket is full,
 * or -errno of send(2). */
MUST_CHECK int exchange_send(int fd, struct span packet);

#endif
