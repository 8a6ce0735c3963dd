#include "master/child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

#define PATIENCE_MS 10000
#define MANY        700 /* letters, more than a socket holds */

static struct child_home home;
static struct child c;
static unsigned births, deaths;
static struct control said;
static struct timer poll_timer;

static void on_born(struct child *child)
{
	cr_assert_eq(child, &c);
	births++;
}

static void on_message(struct child *child, const struct control *msg, int fd)
{
	said = *msg;
	cr_assert_eq(fd, -1);
	if (msg->type == CONTROL_READY)
		child_event(child, CHILD_READY);
}

static void on_gone(struct child *child)
{
	cr_assert_eq(child->pid, 0);
	deaths++;
}

/* --- what children do ----------------------------------------------------- */

static bool next_message(int control, struct control *msg)
{
	struct pollfd p = { .fd = control, .events = POLLIN };
	int fd;

	poll(&p, 1, PATIENCE_MS);

	int n = control_receive(control, msg, &fd);
	if (n == 1 && fd >= 0)
		close(fd);
	return n == 1;
}

static void say(int control, enum control_type type, uint64_t number)
{
	const struct control msg = { .type = type, .number = number };

	if (control_send(control, &msg, -1) < 0)
		_exit(9);
}

/* Serves until told to drain; the exit status is what it is told first. */
static int obey(struct board *board, uint32_t slot, int control)
{
	struct control msg;
	uint64_t letters = 0;

	(void)board;
	say(control, CONTROL_READY, slot);
	while (next_message(control, &msg)) {
		if (msg.type == CONTROL_DRAIN) {
			say(control, CONTROL_ADOPTED, letters);
			return 0;
		}
		letters++;
	}
	return 3;
}

static int die(struct board *board, uint32_t slot, int control)
{
	(void)board;
	(void)slot;
	(void)control;
	return 5;
}

static int ignore(struct board *board, uint32_t slot, int control)
{
	(void)board;
	signal(SIGABRT, SIG_IGN);
	say(control, CONTROL_READY, slot);
	while (pause() < 0)
		continue;
	return 0;
}

/* Is anything open that nobody gave it? */
static int look_around(struct board *board, uint32_t slot, int control)
{
	uint64_t open = 0;

	(void)board;
	(void)slot;
	for (int fd = 3; fd < 1024; fd++)
		open += fd != control && fcntl(fd, F_GETFD) >= 0;
	say(control, CONTROL_ADOPTED, open);
	return 0;
}

/* --- the loop of the tests ------------------------------------------------ */

static bool (*done)(void);
static uint64_t until_ms;

static void on_poll(struct timer *t)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid > 0 && pid == c.pid) {
		c.status = status;
		child_event(&c, CHILD_EXIT);
	}
	if (done()) {
		loop_stop(home.loop);
		return;
	}
	cr_assert_lt(clock_mono_ms(), until_ms, "it takes too long");
	loop_timer(home.loop, t, 1, on_poll);
}

static void run_until(bool (*condition)(void))
{
	done = condition;
	until_ms = clock_mono_ms() + PATIENCE_MS;
	loop_timer(home.loop, &poll_timer, 1, on_poll);
	cr_assert_eq(loop_run(home.loop), 0);
}

static bool is_serving(void)
{
	return c.state == CHILD_SERVING;
}

static bool is_down(void)
{
	return c.state == CHILD_DOWN && deaths > 0;
}

static bool is_reborn(void)
{
	return births == 2 && c.state == CHILD_SERVING;
}

static bool died_thrice(void)
{
	return deaths == 3;
}

static bool has_said(void)
{
	return said.type == CONTROL_ADOPTED;
}

static void begin(void)
{
	int fd;

	log_set_level(LOG_ERROR + 1);
	home.loop = loop_new();
	cr_assert_eq(board_new(16, 64, &home.board, &fd), 0);
	home.on_born = on_born;
	home.on_message = on_message;
	home.on_gone = on_gone;
}

TestSuite(child, .init = begin, .timeout = 30);

static void start(int (*main)(struct board *board, uint32_t slot, int control))
{
	child_init(&c, &home, 3, main);
	child_event(&c, CHILD_START);
	child_event(&c, CHILD_START);
}

Test(child, it_starts_serves_drains_and_ends)
{
	const struct slot *row = &home.board->workers[3];

	start(obey);
	run_until(is_serving);
	cr_assert_eq(births, 1);
	cr_assert_eq(said.number, 3);
	cr_assert_eq(row->pid, c.pid);
	cr_assert_eq(row->state, PROCESS_SERVING);
	c.grace_ms = 1000;
	child_event(&c, CHILD_STOP);
	cr_assert_eq(row->state, PROCESS_DRAINING);
	run_until(is_down);
	cr_assert_eq(row->pid, 0);
	cr_assert_eq(row->state, PROCESS_NONE);
	cr_assert_eq(c.status, 0);
	cr_assert_not(child_is_live(&c));
	child_event(&c, CHILD_STOP);
	child_event(&c, CHILD_CUT);
	cr_assert_eq(births, 1);
}

Test(child, one_that_is_killed_is_replaced_at_once)
{
	start(obey);
	run_until(is_serving);

	uint64_t then = clock_mono_ms();
	kill(c.pid, SIGKILL);
	run_until(is_reborn);
	cr_assert_lt(clock_mono_ms() - then, 100);
	cr_assert_eq(home.board->workers[3].restarts, 1);
	child_event(&c, CHILD_CUT);
	deaths = 0;
	run_until(is_down);
}

Test(child, one_that_dies_and_dies_is_started_less_and_less_often)
{
	uint64_t then = clock_mono_ms();

	start(die);
	run_until(died_thrice);
	/* At once, at once, after 100 ms; the next would wait 200. */
	cr_assert_geq(clock_mono_ms() - then, 100);
	cr_assert_eq(c.wait_ms, 400);
	child_event(&c, CHILD_STOP);
}

Test(child, one_that_hangs_is_aborted_and_then_killed)
{
	start(ignore);
	run_until(is_serving);
	child_event(&c, CHILD_HANG);
	child_event(&c, CHILD_HANG);
	cr_assert_eq(c.state, CHILD_KILLED);
	child_event(&c, CHILD_STOP);
	run_until(is_down);
	cr_assert(WIFSIGNALED(c.status));
	cr_assert_eq(WTERMSIG(c.status), SIGKILL);
}

Test(child, one_that_does_not_drain_is_killed)
{
	start(ignore);
	run_until(is_serving);
	c.grace_ms = 10;
	child_event(&c, CHILD_STOP);
	run_until(is_down);
	cr_assert_eq(WTERMSIG(c.status), SIGKILL);
}

Test(child, no_letter_is_lost_and_old_snapshots_are_left_out)
{
	const struct control msg = { .type = CONTROL_REFRESH };
	const struct control snap = { .type = CONTROL_SNAPSHOT };

	start(obey);
	run_until(is_serving);
	kill(c.pid, SIGSTOP);
	for (int i = 0; i < MANY; i++)
		child_send(&c, &msg, STDERR_FILENO);
	cr_assert_gt(c.n_letters, 0);

	size_t before = c.n_letters;
	for (int i = 0; i < 5; i++)
		child_send(&c, &snap, -1);
	cr_assert_eq(c.n_letters, before + 1);
	c.grace_ms = 5000;
	child_event(&c, CHILD_STOP);
	kill(c.pid, SIGCONT);
	run_until(is_down);
	cr_assert_eq(said.type, CONTROL_ADOPTED);
	cr_assert_eq(said.number, MANY + 1);
}

Test(child, it_inherits_nothing_but_its_control_socket_and_the_log)
{
	for (int i = 0; i < 20; i++)
		cr_assert_geq(dup(STDERR_FILENO), 0);
	start(look_around);
	run_until(has_said);
	cr_assert_eq(said.number, 0);
	child_event(&c, CHILD_STOP);
	run_until(is_down);
}
