/*
 * call - one request on its way to a backend, and its answer on its way back.
 *
 * The message is written anew for the backend: method, name and id in our own
 * spelling, the caller's arguments byte for byte. The answer is checked as it
 * passes: an answer that fits into one piece is judged before its first byte
 * goes on, a larger one streams through, an event stream goes event by event.
 * A large result that asks for input or is a task is held all the same, up to
 * limits.message_bytes, for its state and its id must be sealed; when that
 * shows only after it began to stream, it is broken off. Whatever does not hold
 * becomes a JSON-RPC error that names the backend.
 */
#ifndef PROXY_CALL_H
#define PROXY_CALL_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/scan.h"
#include "lib/sse.h"
#include "proxy/message.h"
#include "proxy/reply.h"
#include "proxy/route.h"
#include "proxy/sealed.h"
#include "proxy/session.h"
#include "proxy/upstream.h"

#define CALL_WINDOW   (256u << 10) /* bytes of an answer judged as a whole */
#define CALL_TEXT     400          /* bytes of an error's sentence */
#define CALLER_ID_MAX 16           /* bytes of who it is */

/* Who calls, as far as it matters on the way. */
struct caller {
	uint32_t abilities; /* CLIENT_* of proxy/sealed.h */
	enum revision revision;
	uint64_t session; /* a hash of the legacy session id; 0: none */
	/* Its own sessions with backends (proxy/backsession); lives as long as
	   its request. */
	struct span sessions;
	int64_t session_expires_s; /* UTC */
	int wanted_level; /* 1 + the least one for its session; 0: as usual */
	uint8_t id_len;
	char id[CALLER_ID_MAX]; /* for what only it may use */
};

static inline struct span caller_id(const struct caller *caller)
{
	return span_of(caller->id, caller->id_len);
}

/* What calls of one worker share. */
struct proxy {
	struct loop *loop;
	struct board *board;
	struct slot *slot;
	struct upstream *up;
	struct sessions *sessions;
	uint64_t next_id;        /* of upstream requests; begins at random, for
	                            sessions that several workers use */
	struct call *spare;      /* calls for later requests */
	struct waiting *waiting; /* calls that wait for their clients */
	uint64_t n_waiting;
	struct aside *asides; /* streams of sessions beside their calls */
	size_t n_asides;
	/* Where this worker is, for others; set by the worker. */
	void (*here)(const struct proxy *proxy, const struct snapshot *snap,
	             struct place *place);
	/* Send what reply_ops.cork held back; set by the worker. */
	void (*uncork)(struct proxy *proxy);
};

enum call_form {
	FORM_UNKNOWN, /* no byte of the body yet */
	FORM_WHOLE,   /* a JSON text, gathered */
	FORM_STREAM,  /* a JSON text, passing through */
	FORM_EVENTS,
};

struct call {
	struct exchange x;
	struct session_wait wait;
	struct call *next; /* among the spare ones */
	struct proxy *proxy;
	struct reply *reply;
	struct snapshot *snap;     /* the request's */
	const struct entry *entry; /* NULL: routed by URI alone */
	const struct method *method;
	uint32_t backend;
	enum view_era client, server;
	uint64_t id;             /* ours, towards the backend */
	uint64_t number;         /* the first of these: the call's own */
	struct waiting *waiting; /* for its client; or NULL */
	struct aside *aside;     /* what its session's stream says; or NULL */
	struct call *aside_next, **aside_prev;
	bool aside_waits;   /* for that to open ... */
	bool aside_settled; /* ... and has waited */
	uint64_t session;
	struct session_key key; /* of its session, in the legacy era */
	struct buf given; /* the fields of a session that the client brought */
	bool single;      /* the session is for this call alone */
	int log_level;    /* least one to pass on; -1: none */
	uint8_t form;
	struct caller caller; /* set by the worker before call_start() */
	uint32_t abilities;   /* of these, what can be used on this way */
	bool running, retried, has_token;
	bool follows_task; /* a legacy backend's own: its result is awaited */
	uint64_t digest;   /* waiting_call_digest() of the call that made it */
	bool passes_types; /* an extension that only passes through is in use */
	bool parked;       /* it has no client: reply is NULL */
	uint8_t missing;   /* 1 + enum question_kind: it was asked what its
	                      client has not declared */
	bool lost;         /* ... and its backend is gone meanwhile */
	bool holds;        /* a reference to snap */
	bool result_open;  /* streaming: the result's bytes are passing */
	bool gathers;      /* whatever its size, its result must be changed */
	int status;
	uint32_t attempt;  /* grows with every start: loops notice that the call
	                      they work for is over, or began anew */
	uint64_t whole;    /* bytes of the answer, when its head says so */
	size_t own_fields; /* bytes of fields before the session's */
	size_t rest_at, params_end; /* in body: behind the id, and where members
	                               can be added to params */
	struct buf body, fields;    /* of the request */
	struct buf client_id, client_token; /* raw JSON */
	struct buf task; /* raw id of one, as clients know it */
	struct buf tool; /* the public name of one that no list has */
	struct buf event, event_line, rejoin_fields; /* proxy/rejoin */
	struct timer rejoin;
	uint64_t retry_ms;
	uint32_t rejoins;
	struct buf in;  /* an answer in pieces */
	struct buf out; /* an answer that is rewritten */
	struct sse sse;
	struct scan_stream *stream; /* allocated for large answers only */
	char text[CALL_TEXT];
};

/* A call for one request; NULL without memory. */
struct call *call_take(struct proxy *proxy);

/* Make it ready for the next request; memory over a limit is given back. */
void call_fini(struct call *c);

/* The request is over: its call goes back to the spare ones, unless it is
 * parked. NULL is fine. */
void call_give(struct call *c);

/* Free the spare ones. */
void call_free_spare(struct proxy *proxy);

/*
 * Forward. c->caller, c->reply and c->snap are set. Everything needed of msg
 * and head is copied before it returns. The answer goes to c->reply, later.
 */
void call_start(struct call *c, const struct message *msg,
                const struct h1_head *head, const struct route *route);

/* The client went away. Nothing is sent to c->reply any more. A legacy backend
 * of a legacy client goes on; every other is told, or sees it. */
void call_cancel(struct call *c);

/* The client does not want the answer any more: its backend is told in any
 * case. Nothing is sent to c->reply any more. */
void call_abort(struct call *c);

/* Is it under way at a legacy backend? */
bool call_is_at_legacy(const struct call *c);

/* The header lines of the session that it runs in. */
struct span call_session_fields(const struct call *c);

/* Tell a legacy backend that nobody waits for the request with this id. */
void call_post_cancelled(struct proxy *proxy, struct snapshot *snap,
                         uint32_t backend, struct span fields, uint64_t id);

/* The client has taken what was sent: reply->full is false again. */
void call_resume(struct call *c);

#endif
