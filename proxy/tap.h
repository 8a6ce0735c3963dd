/*
 * tap - one event stream of a backend, held open to hear which of its resources
 * and tasks change.
 *
 * Modern backends: subscriptions/listen for a set of URIs and of ids of tasks
 * (MCP 2026-07-28, "Subscriptions"; the extension tasks). Legacy ones: GET, in
 * the session of this worker that is for watching, in which its owner
 * subscribes (MCP 2025-11-25, "Listening for Messages from the Server"); where
 * the backend numbers its events, a stream goes on where the one before it
 * ended. Events and JSON documents of one line each are understood. What the
 * backend asks on it is answered: ping with an empty result, all else with an
 * error.
 *
 * Callbacks come from the loop, never from inside tap_listen() and tap_get(). A
 * tap may not be closed in its own open(), updated() and task().
 */
#ifndef PROXY_TAP_H
#define PROXY_TAP_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/sse.h"
#include "proxy/inbox.h"
#include "proxy/session.h"
#include "proxy/upstream.h"

/* The session for watching, with a legacy backend. */
#define TAP_SESSION ((struct session_key){ .abilities = SESSION_WATCH })

#define TAP_QUIET_MS  100        /* without a head it is open then */
#define TAP_EVENT_MAX (4u << 20) /* bytes of one message */
#define TAP_ERROR_MAX 8192       /* bytes of an error that is handed on */

enum tap_end {
	TAP_LOST,    /* the network, or the backend ended it */
	TAP_REFUSED, /* it does not do that */
};

struct tap;

struct tap_ops {
	/* From now on changes are heard. uris, tasks: what a modern backend
	   says it will tell of, raw JSON arrays; empty: it does not say. */
	void (*open)(struct tap *t, struct span uris, struct span tasks);
	/* The resource with this URI of the backend's has changed. */
	void (*updated)(struct tap *t, struct span uri);
	/* The task with this id of the backend's is in another state: a raw
	   object with its members. NULL: not wanted. */
	void (*task)(struct tap *t, struct span id, struct span task);
	/* It is over; t may be used again. error: the raw JSON-RPC error of a
	   refusal, or empty; of one over TAP_ERROR_MAX its code and message. */
	void (*end)(struct tap *t, enum tap_end why, struct span error);
};

/* Lives in its owner; zero it before the first use. */
struct tap {
	/* set by the owner */
	const struct tap_ops *ops;
	void *owner;
	struct upstream *up;
	struct sessions *sessions;
	struct loop *loop;
	/* of the stream that runs, or ran last */
	struct exchange x;
	struct session_wait wait;
	struct inbox box;
	struct snapshot *snap; /* NULL: none runs */
	struct timer late;     /* an end that is told from the loop */
	uint32_t backend;
	uint64_t session; /* its number; it grows when it is another one */
	uint64_t began_ms;
	int status;
	bool legacy, open, over;
	bool resumable; /* the backend numbers its events */
	uint16_t last_id_len;
	char last_id[SSE_ID_MAX];
	struct buf body, fields;
	struct buf error;
};

/* Listen for these URIs and tasks: raw JSON strings with a comma between two.
 * With tasks, the extension is declared. */
void tap_listen(struct tap *t, struct snapshot *snap, uint32_t backend,
                struct span uris, struct span tasks);

/* Open the stream of the session for watching, which is opened for it. */
void tap_get(struct tap *t, struct snapshot *snap, uint32_t backend);

/* Close it; no callback comes any more. Harmless when none runs. */
void tap_close(struct tap *t);

static inline bool tap_runs(const struct tap *t)
{
	return t->snap != NULL;
}

/* Give the memory back, and forget where to go on. */
void tap_fini(struct tap *t);

#endif
