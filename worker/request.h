/*
 * request - the life of one request, from its whole bytes to its record.
 *
 * The order of the checks is that of MCP 2026-07-28: host and origin, token,
 * method, type and size, JSON, era and head, then what the message wants.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include "proxy/builtin.h"
#include "proxy/call.h"
#include "proxy/sealed.h"
#include "worker/conn.h"
#include "worker/identity.h"

#define REQUEST_ID_MAX      39 /* bytes */
#define REQUEST_SESSION_MAX SERVE_SESSION

struct batch;
struct element;

struct request {
	struct reply reply;
	struct call *call; /* of a backend; NULL: none */
	struct caller caller;
	struct login *login;       /* initialize that is under way; or NULL */
	struct handover *handover; /* it is served elsewhere; or NULL */
	struct builtin_call *builtin; /* of a tool of this process; or NULL */
	struct conn *conn;
	struct snapshot *snap;
	struct request *next;            /* among the spare ones */
	struct stream *stream;           /* that stays open; or NULL */
	struct subscribing *subscribing; /* resources/subscribe; or NULL */
	struct principal principal;
	uint64_t started_us;
	uint64_t bytes_in, bytes_out;
	const struct entry *entry;   /* of the tool, prompt or resource */
	const struct method *method; /* NULL: no message was read */
	enum view_era era;
	int status;
	uint32_t backend; /* index in snap; UINT32_MAX: none */
	bool http10;      /* the client speaks HTTP/1.0 */
	bool events;      /* the answer is an event stream */
	bool chunked;     /* the answer's length is not known */
	bool head_only;   /* HEAD: the body stays here */
	bool endpoint;    /* a request to the MCP endpoint */
	bool keep_alive;  /* what the request asks for */
	bool allow_origin;
	bool proxied_tls; /* a trusted proxy says the client came by https */
	uint8_t hops;     /* enum handover_hops: how far it has come */
	enum h1_method verb;
	struct ip client;
	struct span session; /* id that the answer hands out; in w->session */
	size_t request_id_len;
	char request_id[REQUEST_ID_MAX]; /* without a NUL */
	char origin[256];
	char path[128]; /* cut, for the access log */
	struct request *watched_next, **watched_prev; /* worker/cancel */
	struct buf id;           /* raw, of one that is watched */
	struct buf sessions;     /* the client's own with backends */
	struct batch *batch;     /* what an array of messages became; or NULL */
	struct element *element; /* this is one of those messages; or NULL */
};

/*
 * Judge a head whose body has not come yet: may the client go on sending?
 * False: it was answered, and the connection closes after that.
 */
MUST_CHECK bool request_precheck(struct conn *c, const struct h1_request *head);

/*
 * Serve a whole request. The spans are valid during the call only. When it
 * returns, the request is answered or c->req is working on it.
 */
void request_serve(struct conn *c, const struct h1_request *head,
                   struct span body);

/*
 * Serve a message that was read from body, whoever posted it. The spans are
 * valid during the call only; afterwards r is answered, or at work.
 */
void request_message(struct request *r, const struct h1_request *head,
                     struct span body, struct message *m);

/*
 * A request for one message of whole's body, of the same caller. It is on no
 * connection of its own: it answers through ops, and ends with
 * request_end_element(). NULL: no memory.
 */
struct request *request_element(struct request *whole, struct element *element,
                                const struct reply_ops *ops);

/* Record and recycle it. */
void request_end_element(struct request *r);

/* Answer bytes that are no request, and close after that. */
void request_refuse(struct conn *c, int status, const char *text);

/* Answer with 503: there is no memory, or no room. id is raw, or empty. */
void request_busy(struct request *r, struct span id);

/* The client is gone: cancel, record, recycle. */
void request_cancel(struct request *r);

/* The client has taken what was kept for it. */
void request_drained(struct request *r);

/* The answer is complete: record it, recycle r, tell the connection. */
void request_end(struct request *r);

/* Free what is kept for later requests. */
void request_fini(struct worker *w);

#endif
