/*
 * message - what a client posted: one JSON-RPC message of one era.
 *
 * One endpoint serves every revision of MCP. The era is told by the message
 * itself: a modern request carries its protocol version in params._meta, the
 * rest is legacy (initialize handshake, or none at all). Everything a later
 * decision rests on is located here, in one pass over validated bytes, and
 * compared with the header fields where the revision demands it.
 *
 * Spans point into the body that was read; they live as long as it does.
 */
#ifndef PROXY_MESSAGE_H
#define PROXY_MESSAGE_H

#include "lib/base.h"
#include "lib/h1.h"
#include "lib/span.h"
#include "shm/layout.h"

#define MESSAGE_ID_MAX    256  /* bytes of a request id, quotes included */
#define MESSAGE_URI_MAX   4096 /* bytes of a resource URI */
#define MESSAGE_TOKEN_MAX 256  /* bytes of a progress token, quotes included */

#define ERA_BOTH (ERA_LEGACY | ERA_MODERN)

/* JSON-RPC and MCP error codes (MCP 2026-07-28, "Error codes"). */
enum rpc_code {
	RPC_PARSE = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_LEGACY = -32000,             /* transport faults, legacy only */
	RPC_LEGACY_NO_SESSION = -32001,  /* likewise */
	RPC_LEGACY_NO_RESOURCE = -32002, /* read only, never written */
	RPC_LEGACY_URL = -32042,         /* 2025-11-25 alone */
	RPC_HEADER_MISMATCH = -32020,
	RPC_MISSING_CAPABILITY = -32021,
	RPC_UNSUPPORTED_VERSION = -32022,
	/* Our own, outside of the ranges that are reserved. */
	RPC_UNAUTHORIZED = -31401,
	RPC_FORBIDDEN = -31403,
	RPC_BUSY = -31429,
};

enum method_work {
	WORK_INITIALIZE,
	WORK_EMPTY,     /* an empty result */
	WORK_SET_LEVEL, /* a level is checked, then an empty result */
	WORK_DISCOVER,
	WORK_LISTEN,
	WORK_LIST,    /* out of the snapshot */
	WORK_BY_NAME, /* forwarded; params.name says where to */
	WORK_BY_URI,  /* forwarded; params.uri says where to */
	WORK_BY_REF,  /* forwarded; params.ref says where to */
	WORK_BY_TASK, /* forwarded; params.taskId says where to */
	WORK_SOLE,    /* forwarded; one backend has its extension */
};

enum method_id {
#define METHOD(id, ...) METHOD_##id,
#include "proxy/methods.def"
#undef METHOD
	METHODS,
};

struct method {
	struct span name;
	uint32_t eras;
	enum method_work work;
	enum list_kind kind;
	uint32_t ability;
	enum method_id id;
};

extern const struct method method_table[METHODS];

/* Revisions of MCP, the oldest first. */
enum revision {
	REVISION_2025_03_26,
	REVISION_2025_06_18,
	REVISION_2025_11_25,
	REVISION_2026_07_28,
	REVISIONS,
};

extern const struct span revision_names[REVISIONS];

#define MESSAGE_MODERN "2026-07-28"

/* The member of _meta that says which subscriptions/listen is meant. */
#define MESSAGE_LISTEN_ID "io.modelcontextprotocol/subscriptionId"

enum message_kind {
	MESSAGE_REQUEST,
	MESSAGE_NOTIFICATION,
	MESSAGE_RESPONSE, /* a legacy client's answer to a server request */
	MESSAGE_BATCH,    /* an array of messages (2025-03-26) */
};

struct message {
	enum message_kind kind;
	enum view_era era;
	const struct method *method;  /* of a request; never NULL there */
	struct span id;               /* raw; empty: not a request */
	struct span params;           /* raw object; empty: absent */
	struct span meta;             /* params._meta, raw object; or empty */
	struct span name;             /* params.name, .uri or .taskId, raw */
	struct span ref;              /* params.ref, raw object */
	struct span cursor;           /* params.cursor, raw */
	struct span level;            /* params.level, raw */
	struct span arguments;        /* params.arguments, raw */
	struct span notifications;    /* params.notifications, raw */
	struct span protocol_version; /* of initialize, raw */
	struct span progress_token;   /* raw; empty: none */
	struct span capabilities;     /* modern: clientCapabilities, raw */
	struct span client_info;      /* modern: clientInfo, raw; or empty */
	struct span log_level;        /* modern: logLevel, raw; or empty */
	struct span trace_parent, trace_state; /* of _meta, raw; or empty */
	struct span client_capabilities;       /* of initialize, raw */
	struct span result, error;             /* of a response, raw */
	struct span method_name;   /* raw; of a notification there is no more */
	struct span request_id;    /* params.requestId, raw; or empty */
	struct span request_state; /* params.requestState, raw; or empty */
	struct span input_responses; /* params.inputResponses, raw; or empty */
	enum revision revision;      /* of the header; without one the oldest */
	bool has_version;            /* there was one */
};

/* Why a message is refused. */
struct problem {
	int status; /* HTTP */
	int code;   /* enum rpc_code */
	bool has_id;
	char text[320]; /* a sentence for people */
	char data[512]; /* JSON of error.data, or "" */
};

/* Fill a problem; fmt makes the sentence. data stays empty. */
void problem_set(struct problem *p, int status, int code, const char *fmt, ...)
	PRINTF(4, 5);

/*
 * Read a posted body. On success fills *msg and returns true. Otherwise fills
 * *why, with msg->id set when the id could be read, and returns false: the
 * checks and their order are those of MCP 2026-07-28, "Streamable HTTP", and
 * for legacy messages those of the reference server.
 *
 * An array is a batch when the head allows for 2025-03-26: then it is valid
 * JSON, and nothing else is known of its elements. Read each by itself.
 */
MUST_CHECK bool message_read(const struct h1_head *head, struct span body,
                             struct message *msg, struct problem *why);

/*
 * Compare the Mcp-Name field with a value of the body, after decoding the
 * sentinel form. False fills *why (-32020).
 */
MUST_CHECK bool message_name_matches(const struct h1_head *head,
                                     struct span value, struct problem *why);

/*
 * Decode a header value in sentinel form "=?base64?...?=" to out, which has
 * room for value.len bytes; a literal value is returned as it is. False: the
 * form is there, and broken.
 */
MUST_CHECK bool message_unsentinel(struct span value, char *out,
                                   struct span *decoded);

/* Append a header value, in sentinel form when it needs it. */
struct buf;
void message_sentinel(struct span value, struct buf *out);

#define MESSAGE_LEVEL_USUAL 1 /* info: what a legacy client gets unasked */

/* The word for a severity of 0 to 7. */
const char *message_level_name(int level);

/* Severity of a log level word, 0 debug to 7 emergency; -1: no such word. */
int message_level(struct span raw);

/* The revision that the head alone tells, for bytes that are no message: the
 * oldest without a version field, the newest when nobody knows that version. */
enum revision message_head_revision(const struct h1_head *head);

/* May a client of this revision post a batch? False fills *why. */
MUST_CHECK bool message_batch_allowed(enum revision revision,
                                      struct problem *why);

/* Is this a legacy revision that is served? Then *revision is which. */
bool message_legacy_version(struct span version, enum revision *revision);

#endif
