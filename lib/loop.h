/*
 * loop - one thread that waits for descriptors and for times.
 *
 * Level-triggered epoll(7). One turn: wait, read the clock, dispatch, fire due
 * timers, run what was deferred, bury the closed. No callback may block. A
 * source lives in the caller's structure; after loop_close() the structure
 * must stay valid until the end of the turn: free it from on_gone.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "lib/base.h"

struct loop;
struct source;
struct timer;

struct source {
	int fd;          /* -1: none or closed */
	uint32_t events; /* EPOLLIN | EPOLLOUT as registered */
	void (*on_ready)(struct source *src, uint32_t events);
	/* Called at the end of the turn in which it was closed; may be NULL. */
	void (*on_gone)(struct source *src);
	struct source *next_gone;
};

/*
 * A timer lives in the caller's structure, zeroed before its first use. Timers
 * are cheap to move: a timer whose deadline is pushed back is only marked and
 * looked at again when its old time comes.
 */
struct timer {
	uint64_t due_ms;    /* monotonic; 0: not set */
	uint64_t queued_ms; /* the time under which the heap knows it */
	uint32_t place;     /* 1-based index in the heap; 0: not in it */
	void (*on_due)(struct timer *t);
};

/* A new loop, or NULL when epoll_create1(2) or malloc(3) fails. */
struct loop *loop_new(void);

/* The descriptors registered are the callers' to close first. NULL is fine. */
void loop_free(struct loop *loop);

/*
 * Watch src->fd for events (EPOLLIN, EPOLLOUT, EPOLLRDHUP); errors and hang-up
 * are always reported. Returns 0 or -errno of epoll_ctl(2).
 */
MUST_CHECK int loop_add(struct loop *loop, struct source *src, uint32_t events);

/* Watch for other events; no system call when nothing changes. */
void loop_set(struct loop *loop, struct source *src, uint32_t events);

/* Stop watching without closing; src->fd stays open. */
void loop_remove(struct loop *loop, struct source *src);

/* Close src->fd; on_gone runs at the end of the turn. fd is -1 already: no-op.
 */
void loop_close(struct loop *loop, struct source *src);

/* (Re)arm a timer for this many milliseconds from now. */
void loop_timer(struct loop *loop, struct timer *t, uint64_t in_ms,
                void (*on_due)(struct timer *t));

/* (Re)arm a timer for the end of this turn, or of the next when it is armed by
 * a timer: as soon as possible, but from the loop. */
void loop_soon(struct loop *loop, struct timer *t,
               void (*on_due)(struct timer *t));

/* Disarm; harmless when not armed. Must be called before t is freed. */
void loop_timer_stop(struct loop *loop, struct timer *t);

/* Monotonic milliseconds, read once per turn. */
uint64_t loop_now_ms(const struct loop *loop);

/* Run once after every turn's events and timers, e.g. to write out logs. */
void loop_on_turn(struct loop *loop, void (*fn)(void *), void *arg);

/* Serve until loop_stop(). Returns 0 or -errno of epoll_wait(2). */
MUST_CHECK int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
