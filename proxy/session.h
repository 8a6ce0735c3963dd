/*
 * session - this worker's legacy sessions with backends, and small messages.
 *
 * A legacy backend wants an initialize handshake before anything else. Each
 * worker holds one session per backend and set of client capabilities, shared
 * by all its callers with these; request ids are unique in it. It is opened by
 * the first call that needs it and opened again when the backend forgot it.
 *
 * abilities are CLIENT_* of proxy/sealed.h: what clients of the session can do.
 * An owner makes it somebody's own: a call's, or a client's whose own session
 * the backend forgot.
 *
 * SESSION_WATCH besides makes another session, to hear of changes in, so that
 * what is subscribed to in it belongs to nobody else.
 *
 * A backend that sends log messages is told once, when the session opens, to
 * send all of them: what each caller wants to see of them is decided here.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "lib/base.h"
#include "lib/span.h"
#include "proxy/upstream.h"
#include "shm/snapshot.h"

#define SESSION_ID_MAX 1024 /* bytes; 0x21 to 0x7e (MCP 2025-11-25) */
#define SESSION_WATCH  (1u << 31)

#define SESSION_OWNED_MAX 1024  /* with an owner, in one worker */
#define SESSION_IDLE_MS   60000 /* unused so long it may make room */

struct sessions; /* of one worker */

/* Which session it is, of those with one backend. */
struct session_key {
	uint32_t abilities; /* of its clients */
	uint64_t owner;     /* 0: all with these share it */
};

/* Somebody who waits for a session. Lives in its owner. */
struct session_wait {
	/* NULL: open. Else why not: a sentence, valid during the call. */
	void (*done)(struct session_wait *w, const char *error);
	struct session_wait *next, **prev; /* prev NULL: does not wait */
};

struct sessions *sessions_new(struct upstream *up, struct loop *loop);
void sessions_free(struct sessions *s);

/* Sessions with backends that went away or moved are forgotten. */
void sessions_adopt(struct sessions *s, const struct snapshot *snap);

/*
 * Is a session open? When not, one is being opened from now on, and w->done is
 * called later, from the loop. snap is referenced while that lasts.
 */
bool session_want(struct sessions *s, struct snapshot *snap, uint32_t backend,
                  struct session_key key, struct session_wait *w);

/* w->done is not called any more. */
void session_forgo(struct session_wait *w);

/*
 * A call runs in the open session from now on, until session_leave() with the
 * number that this returns: session_room() does not close it.
 */
uint64_t session_enter(struct sessions *s, const struct snapshot *snap,
                       uint32_t backend, struct session_key key);

/* Harmless when the session is a newer one, or gone; number 0: never entered.
 */
void session_leave(struct sessions *s, const struct snapshot *snap,
                   uint32_t backend, struct session_key key, uint64_t number);

/*
 * The backend does not know the session that number belongs to any more. A
 * newer one stays.
 */
void session_lost(struct sessions *s, const struct snapshot *snap,
                  uint32_t backend, struct session_key key, uint64_t number);

/*
 * May there be another session with an owner? Makes room when there are
 * SESSION_OWNED_MAX, by closing the one that has been unused longest.
 */
MUST_CHECK bool session_room(struct sessions *s, struct snapshot *snap);

/* Forget one with an owner; the backend keeps it. */
void session_release(struct sessions *s, const struct snapshot *snap,
                     uint32_t backend, struct session_key key);

/* Is there one of this key, open or not? */
bool session_exists(const struct sessions *s, const struct snapshot *snap,
                    uint32_t backend, struct session_key key);

/* The id and the version of an open session; empty: it has none. */
struct span session_id(const struct sessions *s, const struct snapshot *snap,
                       uint32_t backend, struct session_key key);
struct span session_version(const struct sessions *s,
                            const struct snapshot *snap, uint32_t backend,
                            struct session_key key);

/* End the session that these header lines name. */
void session_delete(struct sessions *s, struct snapshot *snap, uint32_t backend,
                    struct span fields);

/* Nobody needs it any more: tell the backend so, and forget it. */
void session_close(struct sessions *s, struct snapshot *snap, uint32_t backend,
                   struct session_key key);

/* Which session is open; grows with each. */
uint64_t session_number(const struct sessions *s, const struct snapshot *snap,
                        uint32_t backend, struct session_key key);

/* Append the header lines of the open session: its id and its version. */
struct buf;
void session_fields(const struct sessions *s, const struct snapshot *snap,
                    uint32_t backend, struct session_key key, struct buf *out);

/*
 * Post a notification or a response, and forget about it. fields are header
 * lines, e.g. those of session_fields(). Both are copied.
 */
void session_post(struct sessions *s, struct snapshot *snap, uint32_t backend,
                  struct span fields, struct span body);

#endif
