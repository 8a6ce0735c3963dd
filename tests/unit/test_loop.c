#include "lib/loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"

#define N_TIMERS 500

static struct loop *loop;

static void begin(void)
{
	loop = loop_new();
	cr_assert_not_null(loop);
}

static void end(void)
{
	loop_free(loop);
}

TestSuite(loop, .init = begin, .fini = end, .timeout = 20);

struct ticker {
	struct timer timer;
	uint64_t want_ms;
	uint64_t fired_ms;
};

static struct ticker tickers[N_TIMERS];
static unsigned fired;

static void on_due(struct timer *t)
{
	struct ticker *k = CONTAINER_OF(t, struct ticker, timer);

	cr_assert_eq(k->fired_ms, 0, "fired twice");
	cr_assert_geq(loop_now_ms(loop), k->want_ms, "too early");
	k->fired_ms = loop_now_ms(loop);
	fired++;
}

static void on_stop(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void set(struct ticker *k, uint64_t ms)
{
	k->want_ms = loop_now_ms(loop) + MAX(ms, 1u);
	loop_timer(loop, &k->timer, ms, on_due);
}

Test(loop, timers_fire_once_and_not_early)
{
	struct timer stop = { 0 };
	unsigned stopped = 0;

	srand(1);
	for (int i = 0; i < N_TIMERS; i++)
		set(&tickers[i], (unsigned)rand() % 100);
	/* Later, earlier, and not at all. */
	for (int i = 0; i < N_TIMERS; i += 3)
		set(&tickers[i], (unsigned)rand() % 200);
	for (int i = 0; i < N_TIMERS; i += 7) {
		loop_timer_stop(loop, &tickers[i].timer);
		loop_timer_stop(loop, &tickers[i].timer);
		stopped++;
	}
	loop_timer(loop, &stop, 250, on_stop);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(fired, N_TIMERS - stopped);
	for (int i = 0; i < N_TIMERS; i++)
		cr_assert_eq(tickers[i].fired_ms == 0, i % 7 == 0);
}

static unsigned again;

static void on_again(struct timer *t)
{
	if (++again == 5)
		loop_stop(loop);
	else
		loop_timer(loop, t, 0, on_again);
}

Test(loop, a_timer_may_set_itself_and_not_starve_the_loop)
{
	struct timer t = { 0 };
	uint64_t start = clock_mono_ms();

	loop_timer(loop, &t, 0, on_again);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(again, 5);
	cr_assert_geq(clock_mono_ms() - start, 4, "not twice in one turn");
}

struct end_of_pair {
	struct source src;
	char got[64];
	size_t len;
	bool gone;
	struct end_of_pair *closes; /* when it is ready */
};

static unsigned ready_calls;

static void on_ready(struct source *src, uint32_t events)
{
	struct end_of_pair *e = CONTAINER_OF(src, struct end_of_pair, src);

	ready_calls++;
	cr_assert(events & (EPOLLIN | EPOLLOUT));
	cr_assert_geq(src->fd, 0, "called after it was closed");
	if (e->closes)
		loop_close(loop, &e->closes->src);

	ssize_t n = read(src->fd, e->got + e->len, sizeof(e->got) - e->len);
	e->len += n > 0 ? (size_t)n : 0;
	loop_stop(loop);
}

static void on_gone(struct source *src)
{
	struct end_of_pair *e = CONTAINER_OF(src, struct end_of_pair, src);

	cr_assert_not(e->gone);
	cr_assert_eq(src->fd, -1);
	e->gone = true;
}

static void pair(struct end_of_pair *e, int *other)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
	             0);
	memset(e, 0, sizeof(*e));
	e->src = (struct source){
		.fd = fds[0],
		.on_ready = on_ready,
		.on_gone = on_gone,
	};
	*other = fds[1];
	cr_assert_eq(loop_add(loop, &e->src, EPOLLIN), 0);
}

/* As soon as possible, without waiting, and without keeping others waiting. */
struct soon {
	struct timer timer;
	int left;
};

static void on_soon(struct timer *t)
{
	struct soon *s = CONTAINER_OF(t, struct soon, timer);

	if (--s->left)
		loop_soon(loop, t, on_soon);
	else
		loop_stop(loop);
}

Test(loop, soon_is_now)
{
	struct soon s = { .left = 1000 };
	struct timer limit = { 0 };
	uint64_t begin_ms;

	loop_timer(loop, &limit, 900, on_stop);
	begin_ms = clock_mono_ms();
	loop_soon(loop, &s.timer, on_soon);
	cr_assert_eq(loop_run(loop), 0);
	cr_expect_eq(s.left, 0);
	cr_expect_lt(clock_mono_ms() - begin_ms, 900u);
	loop_soon(loop, &s.timer, on_soon);
	loop_timer_stop(loop, &s.timer);
	loop_timer_stop(loop, &limit);
}

Test(loop, a_source_is_told_when_it_is_ready_and_when_it_is_gone)
{
	struct end_of_pair e;
	int other;

	pair(&e, &other);
	cr_assert_eq(write(other, "hello", 5), 5);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(e.len, 5);
	cr_assert_not(e.gone);
	loop_set(loop, &e.src, EPOLLIN | EPOLLOUT);
	loop_set(loop, &e.src, EPOLLIN | EPOLLOUT);
	cr_assert_eq(loop_run(loop), 0, "writable");
	loop_close(loop, &e.src);
	loop_close(loop, &e.src);

	struct timer t = { 0 };
	loop_timer(loop, &t, 1, on_stop);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert(e.gone);
	close(other);
}

Test(loop, one_closed_by_its_neighbour_is_not_called)
{
	struct end_of_pair a, b;
	int to_a, to_b;

	pair(&a, &to_a);
	pair(&b, &to_b);
	a.closes = &b;
	b.closes = &a;
	cr_assert_eq(write(to_a, "x", 1), 1);
	cr_assert_eq(write(to_b, "x", 1), 1);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(ready_calls, 1);
	cr_assert_eq(a.gone + b.gone, 1);
}

Test(loop, one_that_is_removed_stays_open)
{
	struct end_of_pair e;
	struct timer t = { 0 };
	int other;

	pair(&e, &other);
	loop_remove(loop, &e.src);
	cr_assert_eq(write(other, "x", 1), 1);
	loop_timer(loop, &t, 5, on_stop);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(ready_calls, 0);
	cr_assert_eq(read(e.src.fd, e.got, 1), 1);
	cr_assert_eq(loop_add(loop, &e.src, EPOLLIN), 0);
	e.src.fd = 9999;
	cr_assert_eq(loop_add(loop, &e.src, EPOLLIN), -EBADF);
}

static unsigned turns;

static void on_turn(void *arg)
{
	unsigned *count = arg;

	if (++*count == 3)
		loop_stop(loop);
}

static void nothing(struct timer *t)
{
	loop_timer(loop, t, 0, nothing);
}

Test(loop, every_turn_ends_with_a_call)
{
	struct timer t = { 0 };

	loop_on_turn(loop, on_turn, &turns);
	loop_timer(loop, &t, 0, nothing);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(turns, 3);
	loop_timer_stop(loop, &t);
}
