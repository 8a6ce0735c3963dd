/*
 * h1 - heads of HTTP/1.1 messages, out of bytes (RFC 9112, RFC 9110).
 *
 * Pure functions: nothing is allocated, copied or written outside *out, and
 * every span in *out points into the caller's input, so it lives as long as
 * those bytes stay where they are.
 *
 * Three answers: here is the head, give me more bytes, or refused. What is
 * refused is refused for good: the same first bytes never become acceptable,
 * and how the network cut them changes nothing but when it is seen, which is at
 * the end of the head at the latest. Whatever two readers could frame
 * differently (RFC 9112, section 11.2) is refused, also where the standard lets
 * a recipient be lenient: a line end other than CR LF, a folded line, white
 * space before the colon, a second Content-Length, Content-Length next to
 * Transfer-Encoding.
 *
 * After a refusal the connection must be closed: where the next message would
 * begin is unknown.
 */
#ifndef LIB_H1_H
#define LIB_H1_H

#include "lib/base.h"
#include "lib/span.h"

#define H1_FIELDS_MAX 100 /* fields of one head, whatever the limits say */

enum h1_result {
	H1_OK,
	H1_MORE,            /* the head has not ended yet */
	H1_BAD_LINE,        /* not a request line or status line */
	H1_BAD_NEWLINE,     /* CR without LF, or LF without CR */
	H1_BAD_TARGET,      /* not a path, not an absolute http(s) URI */
	H1_BAD_FOLD,        /* a line that begins with white space */
	H1_BAD_NAME,        /* field name empty, or not a token and ':' */
	H1_BAD_VALUE,       /* control byte in a field value */
	H1_NO_HOST,         /* HTTP/1.1 without Host */
	H1_BAD_HOST,        /* two, or not host[:port], or not the target's */
	H1_BAD_LENGTH,      /* Content-Length: twice, not digits, too big */
	H1_BAD_CODING,      /* Transfer-Encoding: chunked not once and last */
	H1_BAD_FRAMING,     /* both of them, or a coding in HTTP/1.0 */
	H1_TARGET_TOO_LONG, /* more than limits->target_max bytes */
	H1_UNKNOWN_EXPECTATION, /* Expect other than 100-continue */
	H1_HEAD_TOO_LARGE,      /* more than limits->head_max bytes */
	H1_TOO_MANY_FIELDS,     /* more than limits->fields_max */
	H1_UNKNOWN_CODING,      /* a transfer coding other than chunked */
	H1_UNKNOWN_VERSION,     /* HTTP, but not 1.x */
	H1_RESULTS_MAX,
};

/* The status to answer a refused request with: 400, 414, 417, 431, 501, 505. */
int h1_status(enum h1_result refusal);

/* The refusal as a sentence for a person; a constant, never NULL. */
const char *h1_reason(enum h1_result refusal);

enum h1_method {
	H1_OTHER, /* a token we have no name for: see method_text */
	H1_GET,
	H1_HEAD,
	H1_POST,
	H1_DELETE,
	H1_OPTIONS,
	H1_PUT,
	H1_PATCH,
	H1_TRACE,
	H1_CONNECT,
};

/*
 * Fields that have a slot of their own in every head. Sorted by length of the
 * name: that is how the parser finds them. X(slot, name in lower case)
 */
/* clang-format off */
#define H1_KNOWN(X)                                              \
	X(DATE, "date")                                          \
	X(DPOP, "dpop")                                          \
	X(HOST, "host")                                          \
	X(ACCEPT, "accept")                                      \
	X(COOKIE, "cookie")                                      \
	X(EXPECT, "expect")                                      \
	X(ORIGIN, "origin")                                      \
	X(X_DATE, "x-date")                                      \
	X(BAGGAGE, "baggage")                                    \
	X(REFERER, "referer")                                    \
	X(UPGRADE, "upgrade")                                    \
	X(LOCATION, "location")                                  \
	X(MCP_NAME, "mcp-name")                                  \
	X(FORWARDED, "forwarded")                                \
	X(CONNECTION, "connection")                              \
	X(KEEP_ALIVE, "keep-alive")                              \
	X(MCP_METHOD, "mcp-method")                              \
	X(SET_COOKIE, "set-cookie")                              \
	X(TRACESTATE, "tracestate")                              \
	X(USER_AGENT, "user-agent")                              \
	X(RETRY_AFTER, "retry-after")                            \
	X(TRACEPARENT, "traceparent")                            \
	X(CONTENT_TYPE, "content-type")                          \
	X(X_REQUEST_ID, "x-request-id")                          \
	X(AUTHORIZATION, "authorization")                        \
	X(CACHE_CONTROL, "cache-control")                        \
	X(IF_NONE_MATCH, "if-none-match")                        \
	X(LAST_EVENT_ID, "last-event-id")                        \
	X(CONTENT_LENGTH, "content-length")                      \
	X(MCP_SESSION_ID, "mcp-session-id")                      \
	X(OPC_REQUEST_ID, "opc-request-id")                      \
	X(ACCEPT_ENCODING, "accept-encoding")                    \
	X(X_FORWARDED_FOR, "x-forwarded-for")                    \
	X(CONTENT_ENCODING, "content-encoding")                  \
	X(WWW_AUTHENTICATE, "www-authenticate")                  \
	X(X_CONTENT_SHA256, "x-content-sha256")                  \
	X(GATEWAY_HANDOVER, "gateway-handover")                  \
	X(X_FORWARDED_HOST, "x-forwarded-host")                  \
	X(TRANSFER_ENCODING, "transfer-encoding")                \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")                \
	X(MCP_PROTOCOL_VERSION, "mcp-protocol-version")          \
	X(ACCESS_CONTROL_REQUEST_METHOD,                         \
	  "access-control-request-method")                       \
	X(ACCESS_CONTROL_REQUEST_HEADERS,                        \
	  "access-control-request-headers")
/* clang-format on */

/* H1_HOST, H1_ACCEPT, and so on. */
enum h1_known {
	H1_UNKNOWN,
#define X(slot, name) H1_##slot,
	H1_KNOWN(X)
#undef X
		H1_KNOWN_MAX,
};

struct h1_field {
	struct span name;    /* as sent; compare with span_eq_nocase() */
	struct span value;   /* without white space at both ends */
	enum h1_known known; /* its slot, or H1_UNKNOWN */
};

enum h1_body {
	H1_BODY_NONE,        /* the message ends with its head */
	H1_BODY_LENGTH,      /* content_length bytes, at least 1 */
	H1_BODY_CHUNKED,     /* see lib/chunked.h */
	H1_BODY_UNTIL_CLOSE, /* responses only: whatever comes until EOF */
};

/* What requests and responses have in common. */
struct h1_head {
	size_t bytes; /* of the whole head: the body begins after them */
	int minor;    /* HTTP/1.0 or HTTP/1.1 (1.2 and up count as 1.1) */
	enum h1_body body;
	uint64_t content_length; /* when body is H1_BODY_LENGTH, else 0 */
	bool keep_alive;         /* the connection may carry another message */
	bool upgrade;            /* Connection: upgrade, and Upgrade is there */

	/* First field of each slot; at is NULL when the field is not there. */
	struct span known[H1_KNOWN_MAX];
	/* How many of each came, up to 255: 2 of a single value is an error. */
	uint8_t seen[H1_KNOWN_MAX];

	size_t n_fields;
	struct h1_field fields[H1_FIELDS_MAX]; /* in the order they came */
};

struct h1_request {
	enum h1_method method;
	struct span method_text;
	struct span target;    /* as sent */
	struct span authority; /* of a target in absolute form, else empty */
	struct span path;      /* begins with '/', not decoded; or "*" */
	struct span query;     /* after the '?', not decoded; may be empty */
	bool expect_continue;  /* wants "100 Continue" before it sends */
	struct h1_head head;
};

struct h1_response {
	int status;                  /* 100 to 599 */
	struct span reason;          /* as sent; may be empty, is not trusted */
	uint32_t keep_alive_seconds; /* Keep-Alive: timeout=N; 0: not said */
	struct h1_head head;
};

struct h1_limits {
	size_t head_max;   /* bytes, with the empty line at the end */
	size_t target_max; /* bytes; not used for responses */
	size_t fields_max; /* at most H1_FIELDS_MAX */
};

/*
 * Read the head of a request from the front of in (RFC 9112, sections 2 to 6).
 *
 * seen_before: how long in was at the previous call for this same head, 0 at
 * the first. A client that sends byte by byte then costs no more than another.
 *
 * Returns H1_OK and fills *out; H1_MORE when in ends before the head does; or
 * a refusal. *out is undefined unless H1_OK.
 *
 * One empty line before the request line is skipped (section 2.2) and counted
 * in head.bytes. A target may be in origin form or absolute form (http and
 * https); "*" only with OPTIONS; its authority, if it has one, must be the
 * Host field's (section 3.2). A body of length 0 is H1_BODY_NONE.
 */
enum h1_result h1_parse_request(struct span in, size_t seen_before,
                                const struct h1_limits *limits,
                                struct h1_request *out);

/*
 * Read the head of a response from the front of in; as h1_parse_request().
 *
 * to_head: it answers a HEAD request, so no body follows (section 6.3).
 * A status of 100 to 199 is reported like any other: skip head.bytes and read
 * on. A 204 or 1xx that announces a body has keep_alive false, since nobody
 * can say whether one follows.
 */
enum h1_result h1_parse_response(struct span in, size_t seen_before,
                                 const struct h1_limits *limits, bool to_head,
                                 struct h1_response *out);

/* Value of a field by slot; empty when it is not there. */
static inline struct span h1_value(const struct h1_head *head,
                                   enum h1_known slot)
{
	return head->known[slot];
}

static inline bool h1_has(const struct h1_head *head, enum h1_known slot)
{
	return head->seen[slot] > 0;
}

/* Value of the last field of a slot: what the nearest proxy wrote. */
struct span h1_last_value(const struct h1_head *head, enum h1_known slot);

/* The name of a slot, in lower case. */
struct span h1_name(enum h1_known slot);

/*
 * Is name one of those a proxy must not pass on: the fields of the connection
 * itself, and what Connection names (RFC 9110, section 7.6.1).
 */
bool h1_is_hop(const struct h1_head *head, struct span name);

#endif
