#include "proxy/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "lib/fetch.h"
#include "proxy/link.h"
#include "proxy/secure.h"

#define REST_MS 2000 /* for the rest of an answer nobody needs */

static const struct exchange_ops ignoring;
static void dispatch(struct exchange *x);

/* Where a backend's connections lead: another address is another pool. */
static uint64_t identity(const struct snapshot *snap, uint32_t backend)
{
	const struct origin *o = snapshot_origin(snap, backend);
	const struct backend *b = snapshot_backend(snap, backend);
	uint64_t h = 14695981039346656037u;
	const unsigned char *p = (const void *)o->addresses;
	struct span host = snapshot_text(snap, b->authority);

	for (size_t i = 0; i < o->n_addresses * sizeof(o->addresses[0]); i++)
		h = (h ^ p[i]) * 1099511628211u;
	for (size_t i = 0; i < host.len; i++)
		h = (h ^ (unsigned char)host.at[i]) * 1099511628211u;
	return h;
}

struct upstream *upstream_new(struct loop *loop, struct board *board,
                              struct slot *slot)
{
	struct upstream *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	up->loop = loop;
	up->board = board;
	up->slot = slot;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		up->pools[i].queue_end = &up->pools[i].queue;
	return up;
}

void upstream_adopt(struct upstream *up, const struct snapshot *snap)
{
	bool there[BACKENDS_MAX] = { false };

	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		uint32_t slot = snapshot_backend(snap, i)->slot;
		uint64_t now = identity(snap, i);

		there[slot] = true;
		if (up->pools[slot].identity != now)
			link_close_idle(&up->pools[slot]);
		up->pools[slot].identity = now;
	}
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (!there[i])
			link_close_idle(&up->pools[i]);
}

void upstream_free(struct upstream *up)
{
	if (!up)
		return;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		link_close_idle(&up->pools[i]);
	fetcher_free(up->fetcher);
	free(up);
}

bool exchange_running(const struct exchange *x)
{
	return x->state != IDLE;
}

/* ---- the end of an exchange ---- */

/* Somebody who waited may go on; not from inside a callback of another. */
static void serve_queue(struct upstream *up, struct pool *pool)
{
	struct exchange *x = pool->queue;

	(void)up;
	if (!x)
		return;
	pool->queue = x->next;
	if (x->next)
		x->next->prev = &pool->queue;
	else
		pool->queue_end = &pool->queue;
	x->state = IDLE;
	x->next = NULL;
	x->prev = NULL;
	dispatch(x);
}

static void count_end(struct exchange *x, enum exchange_end why)
{
	const struct settings *s = x->snap->settings;
	struct backend_row *row =
		&x->up->board->backends[exchange_backend(x)->slot];

	switch (why) {
	case EXCHANGE_COMPLETE:
	case EXCHANGE_TOO_LARGE:
	case EXCHANGE_BUSY:
		return;
	case EXCHANGE_REFUSED:
	case EXCHANGE_BROKEN:
	case EXCHANGE_GARBAGE:
	case EXCHANGE_TIMEOUT:
		break;
	}
	board_breaker_failed(row, loop_now_ms(x->up->loop),
	                     (uint32_t)s->breaker_failures,
	                     (uint64_t)s->breaker_open_time);
}

void exchange_finish(struct exchange *x, enum exchange_end why,
                     const char *detail)
{
	struct upstream *up = x->up;
	struct pool *pool = exchange_pool(x);
	bool held = x->state == CONNECTING || x->state == SENT ||
	            x->state == ANSWERING || x->state == FETCHING;
	bool had_turn = exchange_counts(x) && (held || x->state == FAILING);

	loop_timer_stop(up->loop, &x->timer);
	if (held)
		exchange_give(x);
	if (x->link)
		x->link->x = NULL;
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	if (x->ops != &ignoring && !x->stream)
		count_end(x, why);
	x->ops->end(x, why, detail);
	if (had_turn)
		serve_queue(up, pool);
}

void exchange_fail_later(struct exchange *x)
{
	x->state = FAILING;
	loop_timer(x->up->loop, &x->timer, 0, exchange_due);
}

/* ---- starting ---- */

static void dispatch(struct exchange *x)
{
	const struct backend *b = exchange_backend(x);
	struct pool *pool = exchange_pool(x);

	if (exchange_counts(x) && pool->n_busy >= b->max_connections) {
		x->state = QUEUED;
		x->next = NULL;
		x->prev = pool->queue_end;
		*pool->queue_end = x;
		pool->queue_end = &x->next;
		loop_timer(x->up->loop, &x->timer, b->request_timeout_ms,
		           exchange_due);
		return;
	}
	if (b->flags & BACKEND_TLS)
		secure_start(x);
	else if (!link_reuse(x))
		link_open(x, 0);
}

void exchange_start(struct upstream *up, struct exchange *x)
{
	assert(x->state == IDLE);
	x->up = up;
	x->link = NULL;
	x->fetch = NULL;
	x->tries = 1;
	x->paused = false;
	x->received = 0;
	dispatch(x);
}

static void unqueue(struct exchange *x)
{
	struct pool *pool = exchange_pool(x);

	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	else
		pool->queue_end = x->prev;
	x->next = NULL;
	x->prev = NULL;
}

void exchange_cancel(struct exchange *x)
{
	if (x->state == IDLE)
		return;

	struct pool *pool = exchange_pool(x);
	bool held = x->state >= CONNECTING;
	bool had_turn = exchange_counts(x) && (held || x->state == FAILING);

	loop_timer_stop(x->up->loop, &x->timer);
	if (x->state == QUEUED)
		unqueue(x);
	if (x->fetch)
		fetch_cancel(x->fetch);
	if (x->link) {
		x->link->x = NULL;
		link_close(x->link);
	}
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	if (held)
		exchange_give(x);
	if (had_turn)
		serve_queue(x->up, pool);
}

static void ignore_head(struct exchange *x, const struct exchange_head *head)
{
	(void)x;
	(void)head;
}

static void ignore_body(struct exchange *x, struct span bytes)
{
	(void)x;
	(void)bytes;
}

static void free_rest(struct exchange *x, enum exchange_end why,
                      const char *detail)
{
	(void)why;
	(void)detail;
	snapshot_unref((struct snapshot *)(uintptr_t)x->snap);
	free(x);
}

/* Reads the rest of an answer that nobody needs. */
static const struct exchange_ops ignoring = {
	.head = ignore_head,
	.body = ignore_body,
	.end = free_rest,
};

void exchange_detach(struct exchange *x)
{
	struct link *l = x->state == ANSWERING ? x->link : NULL;
	struct exchange *rest;

	if (l && l->last) {
		loop_timer_stop(x->up->loop, &x->timer);
		x->link = NULL;
		x->state = IDLE;
		exchange_give(x);
		link_release(l, x);
		serve_queue(x->up, l->pool);
		return;
	}
	rest = l || x->fetch ? malloc(sizeof(*rest)) : NULL;
	if (!rest) {
		exchange_cancel(x);
		return;
	}
	loop_timer_stop(x->up->loop, &x->timer);
	*rest = *x;
	rest->ops = &ignoring;
	rest->unwanted = true;
	rest->snap = snapshot_ref((struct snapshot *)(uintptr_t)x->snap);
	x->link = NULL;
	x->fetch = NULL;
	x->state = IDLE;
	loop_timer(rest->up->loop, &rest->timer, REST_MS, exchange_due);
	if (l) {
		l->x = rest;
		link_watch(l);
	} else {
		secure_hand_over(rest);
	}
	if (rest->paused)
		exchange_resume(rest);
}

void exchange_pause(struct exchange *x)
{
	x->paused = true;
	if (x->fetch) /* it is our side that is slow */
		fetch_set_idle(x->fetch, 0);
	if (x->link && x->state >= SENT)
		link_watch(x->link);
}

void exchange_resume(struct exchange *x)
{
	if (!x->paused)
		return;
	x->paused = false;
	if (x->fetch) {
		fetch_set_idle(x->fetch, exchange_backend(x)->stream_idle_ms);
		fetch_resume(x->fetch);
	}
	if (x->link && x->state >= SENT) {
		link_watch(x->link);
		if (!x->unwanted)
			loop_timer(x->up->loop, &x->timer,
			           x->state == SENT ? link_patience_ms(x)
			                            : x->link->silence_ms,
			           exchange_due);
	}
}

/* ---- times ---- */

void exchange_due(struct timer *t)
{
	struct exchange *x = CONTAINER_OF(t, struct exchange, timer);

	switch ((enum exchange_state)x->state) {
	case FAILING:
		exchange_finish(
			x, EXCHANGE_REFUSED,
			snapshot_origin(x->snap, x->backend)->n_addresses
				? "no connection could be made"
				: "its address is not known");
		return;
	case QUEUED:
		unqueue(x);
		exchange_finish(x, EXCHANGE_BUSY,
		                "all max_connections are busy");
		return;
	case CONNECTING:
		link_broken(x->link, EXCHANGE_TIMEOUT,
		            "no connection within connect_timeout");
		return;
	case SENT:
		if (x->paused)
			return;
		link_broken(x->link, EXCHANGE_TIMEOUT,
		            "no answer within request_timeout");
		return;
	case ANSWERING:
		if (x->paused) /* it is our client who is slow */
			return;
		link_broken(x->link, EXCHANGE_TIMEOUT,
		            "the answer stopped for longer than idle_timeout");
		return;
	case FETCHING: /* nobody needs the rest any more */
		fetch_cancel(x->fetch);
		exchange_finish(x, EXCHANGE_TIMEOUT, "");
		return;
	case IDLE:
		break;
	}
}
