#include "lib/loop.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

#define LOOP_BATCH 256

struct loop {
	int epfd;
	bool stop;
	uint64_t now_ms;
	struct source *gone;
	struct timer **heap; /* 1-based binary heap by queued_ms */
	uint32_t n_heap, cap_heap;
	void (*on_turn)(void *);
	void *turn_arg;
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		free(loop);
		return NULL;
	}
	loop->now_ms = clock_mono_ms();
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epfd);
	free(loop->heap);
	free(loop);
}

int loop_add(struct loop *loop, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return os_error();
	src->events = events;
	return 0;
}

void loop_set(struct loop *loop, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (src->events == events || src->fd < 0)
		return;
	/* A registered descriptor cannot fail to be modified (epoll_ctl(2)). */
	int rc = epoll_ctl(loop->epfd, EPOLL_CTL_MOD, src->fd, &ev);
	assert(rc == 0);
	(void)rc;
	src->events = events;
}

void loop_remove(struct loop *loop, struct source *src)
{
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->events = 0;
}

void loop_close(struct loop *loop, struct source *src)
{
	if (src->fd < 0)
		return;
	close(src->fd);
	src->fd = -1;
	src->next_gone = loop->gone;
	loop->gone = src;
}

static void put(struct loop *loop, uint32_t i, struct timer *t)
{
	loop->heap[i] = t;
	t->place = i;
}

static void sift_up(struct loop *loop, uint32_t i)
{
	struct timer *t = loop->heap[i];

	while (i > 1 && loop->heap[i / 2]->queued_ms > t->queued_ms) {
		put(loop, i, loop->heap[i / 2]);
		i /= 2;
	}
	put(loop, i, t);
}

static void sift_down(struct loop *loop, uint32_t i)
{
	struct timer *t = loop->heap[i];

	for (;;) {
		uint32_t child = i * 2;

		if (child > loop->n_heap)
			break;
		if (child < loop->n_heap &&
		    loop->heap[child + 1]->queued_ms <
		            loop->heap[child]->queued_ms)
			child++;
		if (loop->heap[child]->queued_ms >= t->queued_ms)
			break;
		put(loop, i, loop->heap[child]);
		i = child;
	}
	put(loop, i, t);
}

static void heap_add(struct loop *loop, struct timer *t)
{
	if (loop->n_heap + 1 >= loop->cap_heap) {
		uint32_t cap = loop->cap_heap ? loop->cap_heap * 2 : 64;
		struct timer **heap =
			realloc(loop->heap, cap * sizeof(struct timer *));

		/* Out of memory for a few pointers: the process is done for. */
		if (!heap)
			abort();
		loop->heap = heap;
		loop->cap_heap = cap;
	}
	loop->heap[++loop->n_heap] = t;
	sift_up(loop, loop->n_heap);
}

static void heap_remove(struct loop *loop, struct timer *t)
{
	uint32_t i = t->place;
	struct timer *last = loop->heap[loop->n_heap--];

	t->place = 0;
	if (last == t)
		return;
	put(loop, i, last);
	sift_up(loop, i);
	sift_down(loop, last->place);
}

static void set_due(struct loop *loop, struct timer *t, uint64_t due_ms,
                    void (*on_due)(struct timer *t))
{
	t->due_ms = due_ms;
	t->on_due = on_due;
	if (t->place && t->queued_ms <= t->due_ms)
		return; /* looked at again when the old time comes */
	if (t->place)
		heap_remove(loop, t);
	t->queued_ms = t->due_ms;
	heap_add(loop, t);
}

void loop_timer(struct loop *loop, struct timer *t, uint64_t in_ms,
                void (*on_due)(struct timer *t))
{
	/* Never in this turn. */
	set_due(loop, t, loop->now_ms + MAX(in_ms, 1u), on_due);
}

void loop_soon(struct loop *loop, struct timer *t,
               void (*on_due)(struct timer *t))
{
	set_due(loop, t, MAX(loop->now_ms, 1u), on_due);
}

void loop_timer_stop(struct loop *loop, struct timer *t)
{
	t->due_ms = 0;
	if (t->place)
		heap_remove(loop, t);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

void loop_on_turn(struct loop *loop, void (*fn)(void *), void *arg)
{
	loop->on_turn = fn;
	loop->turn_arg = arg;
}

static int wait_ms(const struct loop *loop)
{
	if (loop->n_heap == 0)
		return -1;

	uint64_t due = loop->heap[1]->queued_ms;
	uint64_t now = clock_mono_ms();

	return due <= now ? 0 : (int)MIN(due - now, 60000u);
}

static void fire_due(struct loop *loop)
{
	/* Timers that arm others, or themselves, for now shall not keep the
	   loop from turning. */
	uint32_t left = loop->n_heap;

	while (loop->n_heap && left-- &&
	       loop->heap[1]->queued_ms <= loop->now_ms) {
		struct timer *t = loop->heap[1];

		if (t->due_ms > loop->now_ms) { /* was pushed back */
			t->queued_ms = t->due_ms;
			sift_down(loop, 1);
			continue;
		}
		heap_remove(loop, t);
		t->due_ms = 0;
		t->on_due(t);
	}
}

static void bury(struct loop *loop)
{
	while (loop->gone) {
		struct source *src = loop->gone;

		loop->gone = src->next_gone;
		src->next_gone = NULL;
		if (src->on_gone)
			src->on_gone(src);
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event ready[LOOP_BATCH];

	loop->stop = false;
	while (!loop->stop) {
		int n = epoll_wait(loop->epfd, ready, LOOP_BATCH,
		                   wait_ms(loop));
		if (n < 0 && errno != EINTR)
			return os_error();

		loop->now_ms = clock_mono_ms();
		for (int i = 0; i < n; i++) {
			struct source *src = ready[i].data.ptr;

			/* Closed by a neighbour earlier in this batch? */
			if (src->fd >= 0)
				src->on_ready(src, ready[i].events);
		}
		fire_due(loop);
		if (loop->on_turn)
			loop->on_turn(loop->turn_arg);
		bury(loop); /* nobody in this turn can still point at them */
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}
