/*
 * envelope - what stands on the outside of a JSON-RPC message, as the two
 * transports of MCP have it: one line on standard input is the body and the
 * header fields of a POST; the body of an answer is a line on standard output.
 *
 * Works on texts only; nothing here reads or writes.
 */
#ifndef MASTER_ENVELOPE_H
#define MASTER_ENVELOPE_H

#include "lib/buf.h"

#define ENVELOPE_VERSION_MAX 64  /* bytes of a protocol version */
#define ENVELOPE_SESSION_MAX 512 /* bytes of a session identifier */

/* JSON-RPC 2.0, section 5.1. */
#define ENVELOPE_PARSE_ERROR     (-32700)
#define ENVELOPE_INVALID_REQUEST (-32600)
#define ENVELOPE_INTERNAL_ERROR  (-32603)

enum envelope_kind {
	ENVELOPE_REQUEST,      /* gets an answer, whatever happens */
	ENVELOPE_NOTIFICATION, /* gets none */
	ENVELOPE_RESPONSE,     /* the client's, to a request of ours */
	ENVELOPE_OTHER,        /* a batch, or wrong: the server says how */
};

/* Raw values, strings with their quotes; empty: not there. All of them are
 * parts of the text that was read. */
struct envelope {
	enum envelope_kind kind;
	struct span id;
	struct span method;
	struct span version; /* of a modern message (2026-07-28 and later) */
	struct span name;    /* what Mcp-Name repeats */
	struct span cancels; /* the id that notifications/cancelled is about */
	bool opens;          /* initialize */
	bool listens;        /* subscriptions/listen, which ends with us */
};

/* What an initialize has settled for the legacy messages that follow. */
struct envelope_session {
	char version[ENVELOPE_VERSION_MAX + 1]; /* "": none yet */
	char id[ENVELOPE_SESSION_MAX + 1];      /* "": none */
};

/*
 * Look at one message. Returns 0, or a code of JSON-RPC with a sentence in
 * *why (static): ENVELOPE_PARSE_ERROR when it is not JSON (RFC 8259),
 * ENVELOPE_INVALID_REQUEST when a name that matters is ambiguous.
 */
MUST_CHECK int envelope_read(struct span text, struct envelope *out,
                             const char **why);

/*
 * Append the header fields of its POST, each ended with CR LF: the version,
 * for a modern message Mcp-Method and Mcp-Name (Streamable HTTP of 2026-07-28,
 * with its Base64 form of values that are no header text), else the session. A
 * version or a method that cannot stand in a header is left out, which the
 * server answers.
 */
void envelope_fields(const struct envelope *e,
                     const struct envelope_session *session, struct buf *out);

enum envelope_answer {
	ENVELOPE_NOT_JSON,   /* nothing was appended */
	ENVELOPE_ON_THE_WAY, /* a message before the answer */
	ENVELOPE_ANSWERED,
};

/*
 * Append what a server sent as one line. An error that names no request gets
 * the raw id of the one that it answers; id may be empty. version, unless
 * NULL, becomes the protocol version of an initialize result, if there is one
 * in it.
 */
enum envelope_answer envelope_answer(struct span text, struct span id,
                                     char version[ENVELOPE_VERSION_MAX + 1],
                                     struct buf *out);

/* Append an error of our own as one line; an empty id is written as null. */
void envelope_error(struct span id, int code, const char *message,
                    struct buf *out);

#endif
