/*
 * session - this worker's legacy sessions with backends, and small messages.
 *
 * A legacy backend wants an initialize handshake before anything else. Each
 * worker holds one session per backend and set of client capabilities, shared
 * by all its callers with these; request ids are unique in it. It is opened by
 * the first call that needs it and opened again when the backend forgot it.
 *
 * abilities are CLIENT_* of proxy/sealed.h: what clients of the session can do.
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

struct sessions; /* of one worker */

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
                  uint32_t abilities, struct session_wait *w);

/* w->done is not called any more. */
void session_forgo(struct session_wait *w);

/*
 * The backend does not know the session that number belongs to any more. A
 * newer one stays.
 */
void session_lost(struct sessions *s, const struct snapshot *snap,
                  uint32_t backend, uint32_t abilities, uint64_t number);

/* Nobody needs it any more: tell the backend so, and forget it. */
void session_close(struct sessions *s, struct snapshot *snap, uint32_t backend,
                   uint32_t abilities);

/* Which session is open; grows with each. */
uint64_t session_number(const struct sessions *s, const struct snapshot *snap,
                        uint32_t backend, uint32_t abilities);

/* Append the header lines of the open session: its id and its version. */
struct buf;
void session_fields(const struct sessions *s, const struct snapshot *snap,
                    uint32_t backend, uint32_t abilities, struct buf *out);

/*
 * Post a notification or a response, and forget about it. fields are header
 * lines, e.g. those of session_fields(). Both are copied.
 */
void session_post(struct sessions *s, struct snapshot *snap, uint32_t backend,
                  struct span fields, struct span body);

#endif
