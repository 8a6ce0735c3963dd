#include "master/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "oci/environment.h"

#define FIRST_WAIT_MS 100
#define LAST_WAIT_MS  10000
#define GOOD_LIFE_MS  10000 /* after it the waits begin anew */
#define KILL_AFTER_MS 2000  /* what a signal or a grace time may take longer */
#define LETTERS_MAX   1024
#define EXIT_SETUP    70 /* EX_SOFTWARE of sysexits.h */

void child_init(struct child *c, const struct child_home *home, uint32_t slot,
                int (*main)(struct board *board, uint32_t slot, int control))
{
	*c = (struct child){
		.home = home,
		.row = slot == CHILD_KEEPER ? &home->board->keeper
		                            : &home->board->workers[slot],
		.main = main,
		.slot = slot,
		.control.fd = -1,
	};
}

const char *child_role(const struct child *c)
{
	return c->slot == CHILD_KEEPER ? "keeper" : "worker";
}

bool child_is_live(const struct child *c)
{
	return c->control.fd >= 0;
}

/* --- letters -------------------------------------------------------------- */

static void drop_letter(struct child *c, size_t i)
{
	if (c->letters[i].fd >= 0)
		close(c->letters[i].fd);
	memmove(&c->letters[i], &c->letters[i + 1],
	        (--c->n_letters - i) * sizeof(*c->letters));
}

static void drop_letters(struct child *c)
{
	while (c->n_letters)
		drop_letter(c, c->n_letters - 1);
	free(c->letters);
	c->letters = NULL;
}

/* A new snapshot makes one that was not read yet worthless. */
static void drop_stale(struct child *c, const struct control *msg)
{
	for (size_t i = c->n_letters; i-- > 0;)
		if (msg->type == CONTROL_SNAPSHOT &&
		    c->letters[i].msg.type == CONTROL_SNAPSHOT)
			drop_letter(c, i);
}

static int keep_letter(struct child *c, const struct control *msg, int fd)
{
	if (c->n_letters == LETTERS_MAX)
		return -ENOBUFS;
	if (!c->letters)
		c->letters = calloc(LETTERS_MAX, sizeof(*c->letters));
	if (!c->letters)
		return -ENOMEM;
	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return os_error();
	}
	c->letters[c->n_letters++] = (struct child_letter){ *msg, fd };
	return 0;
}

/* The socket holds few messages (net.unix.max_dgram_qlen); the rest wait. */
static void flush(struct child *c)
{
	while (c->n_letters) {
		const struct child_letter *first = &c->letters[0];

		if (control_send(c->control.fd, &first->msg, first->fd) ==
		    -EAGAIN)
			break;
		drop_letter(c, 0);
	}
	loop_set(c->home->loop, &c->control,
	         c->n_letters ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void child_send(struct child *c, const struct control *msg, int fd)
{
	int err = -EAGAIN;

	if (!child_is_live(c))
		return;
	drop_stale(c, msg);
	if (c->n_letters == 0)
		err = control_send(c->control.fd, msg, fd);
	if (err == -EAGAIN) {
		err = keep_letter(c, msg, fd);
		flush(c);
	}
	/* A peer that is gone will be reaped in a moment. */
	if (err < 0 && err != -EPIPE && err != -ECONNRESET)
		log_error("message to a child lost",
		          LOG_STR("role", child_role(c)),
		          LOG_INT("slot", c->slot), LOG_INT("type", msg->type),
		          LOG_ERR(err));
}

static void on_control(struct source *src, uint32_t events)
{
	struct child *c = CONTAINER_OF(src, struct child, control);
	struct control msg;
	int fd;
	int err = 1;

	if (events & EPOLLOUT)
		flush(c);
	while (err == 1 || err == -EPROTO) {
		err = control_receive(c->control.fd, &msg, &fd);
		if (err == 1)
			c->home->on_message(c, &msg, fd);
		if (!child_is_live(c))
			return; /* the message ended it */
	}
	/* It closed its end: SIGCHLD is on its way. */
	if (err != -EAGAIN)
		loop_close(c->home->loop, &c->control);
}

/* --- birth ---------------------------------------------------------------- */

/*
 * What a child inherits is its control socket and the log; everything else is
 * closed, whoever opened it: other children's sockets, listening sockets, the
 * master's loop and signals.
 */
static void close_others(int control)
{
	int low = MIN(control, log_fd());
	int high = MAX(control, log_fd());
	unsigned from = STDERR_FILENO + 1;

	if (low >= (int)from) {
		if (low > (int)from)
			close_range(from, (unsigned)low - 1, 0);
		from = (unsigned)low + 1;
	}
	if (high > (int)from)
		close_range(from, (unsigned)high - 1, 0);
	close_range(MAX(from, (unsigned)high + 1), ~0u, 0);
}

/* Where credentials may lie. */
static void allow_path(void *owner, const char *path)
{
	int err = sandbox_also_read(path);

	(void)owner;
	if (err < 0 && err != -EINVAL)
		log_warning("a path of credentials cannot be opened",
		            LOG_STR("path", path), LOG_ERR(err));
}

NORETURN static void run(struct child *c, int control)
{
	char name[16];
	const char *step = "";
	bool is_keeper = c->slot == CHILD_KEEPER;

	snprintf(name, sizeof(name), is_keeper ? "mcp-keeper" : "mcp-worker-%u",
	         c->slot);
	prctl(PR_SET_NAME, name);

	/* Only the keeper may know the secrets of the environment. */
	int lost = is_keeper ? environment_open_secrets() : 0;
	if (lost < 0)
		log_error("secrets of the environment are lost", LOG_ERR(lost));
	if (is_keeper && c->home->each_path)
		c->home->each_path(c->home, allow_path);
	if (!is_keeper)
		environment_forget();
	close_others(control);
	log_process(child_role(c), is_keeper ? -1 : (int)c->slot);
	board_last_words(c->row);

	int err = privilege_drop(&c->home->privilege, &step);
	if (err == 0)
		err = privilege_confine(
			&c->home->privilege,
			is_keeper ? SANDBOX_CLIENT : SANDBOX_SERVER, &step);
	if (err < 0) {
		log_error("privileges cannot be dropped", LOG_STR("step", step),
		          LOG_ERR(err));
		_exit(EXIT_SETUP);
	}
	/* No atexit(3): what is registered belongs to the master. */
	_exit(c->main(c->home->board, c->slot, control));
}

static int fork_child(struct child *c)
{
	int ends[2];
	int err = control_pair(ends);

	if (err < 0)
		return err;
	fflush(NULL);
	c->pid = fork();
	if (c->pid == 0)
		run(c, ends[1]);
	err = c->pid < 0 ? os_error() : 0;
	close(ends[1]);
	c->control = (struct source){ .fd = ends[0], .on_ready = on_control };
	if (err == 0)
		err = loop_add(c->home->loop, &c->control, EPOLLIN);
	if (err == 0)
		return 0;
	close(ends[0]);
	c->control.fd = -1;
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	return err;
}

static void on_timer(struct timer *t)
{
	child_event(CONTAINER_OF(t, struct child, timer), CHILD_TIMER);
}

static void set_timer(struct child *c, uint64_t ms)
{
	loop_timer(c->home->loop, &c->timer, ms, on_timer);
}

static void start_later(struct child *c)
{
	set_timer(c, c->wait_ms);
	c->wait_ms =
		c->wait_ms ? MIN(2 * c->wait_ms, LAST_WAIT_MS) : FIRST_WAIT_MS;
}

static void set_state(struct child *c, enum process_state state)
{
	atomic_store(&c->row->state, state);
}

static void spawn(struct child *c)
{
	struct slot *row = c->row;

	c->born_ms = clock_mono_ms();
	c->hung = false;
	c->told = false;
	c->config_generation = 0;
	c->catalog_serial = 0;
	memset(c->sockets, 0, sizeof(c->sockets));
	atomic_store(&row->beat_ms, c->born_ms);
	atomic_store(&row->started_ms, c->born_ms);
	set_state(c, PROCESS_STARTING);

	int err = fork_child(c);
	if (err < 0) {
		log_error("process cannot be started",
		          LOG_STR("role", child_role(c)),
		          LOG_INT("slot", c->slot), LOG_ERR(err));
		c->state = CHILD_DOWN;
		c->pid = 0;
		set_state(c, PROCESS_NONE);
		start_later(c);
		return;
	}
	atomic_store(&row->pid, c->pid);
	if (c->births++ > 0)
		atomic_fetch_add(&row->restarts, 1);
	log_debug("process started", LOG_STR("role", child_role(c)),
	          LOG_INT("slot", c->slot), LOG_INT("child", c->pid));
	c->home->on_born(c);
}

/* --- death ---------------------------------------------------------------- */

static const char *how(int status, char out[32])
{
	if (WIFSIGNALED(status))
		snprintf(out, 32, "SIG%s",
		         sigabbrev_np(WTERMSIG(status))
		                 ? sigabbrev_np(WTERMSIG(status))
		                 : "?");
	else
		snprintf(out, 32, "exit %d", WEXITSTATUS(status));
	return out;
}

/* Its last act may have been to fill its slot with anything. */
static const char *words_of(const struct child *c, char out[OBITUARY_MAX])
{
	memcpy(out, c->row->obituary, OBITUARY_MAX);
	out[OBITUARY_MAX - 1] = '\0';
	return out;
}

static void write_obituary(const struct child *c)
{
	char cause[32], words[OBITUARY_MAX], event[32];
	bool is_keeper = c->slot == CHILD_KEEPER;
	bool in_order =
		c->told && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
	const struct log_field fields[] = {
		LOG_INT("slot", c->slot),
		LOG_INT("child", c->pid),
		LOG_STR("cause", how(c->status, cause)),
		LOG_INT("core", WIFSIGNALED(c->status) && WCOREDUMP(c->status)),
		LOG_STR("last_words", words_of(c, words)),
		LOG_INT("hung", c->hung),
		LOG_INT("life_ms", clock_mono_ms() - c->born_ms),
		LOG_END,
	};

	enum log_level level = in_order  ? LOG_INFO
	                       : c->told ? LOG_WARNING
	                                 : LOG_ERROR;

	snprintf(event, sizeof(event), "%s %s", child_role(c),
	         in_order ? "ended" : "died");
	/* The one keeper has no number. */
	if (log_enabled(level))
		log_write(level, event, fields + is_keeper);
}

/* What its row says about now is not so any more; what it counted stays. */
static void clear_row(struct child *c)
{
	struct slot *row = c->row;

	atomic_store(&row->pid, 0);
	set_state(c, PROCESS_NONE);
	atomic_store(&row->connections_open, 0);
	atomic_store(&row->streams_open, 0);
	atomic_store(&row->memory_bytes, 0);
	row->obituary[0] = '\0';
}

/* --- the actions of the table --------------------------------------------- */

static void stay(struct child *c)
{
	(void)c;
}

static void want(struct child *c)
{
	c->wanted = true;
}

static void unwant(struct child *c)
{
	c->wanted = false;
}

static void begin(struct child *c)
{
	if (!c->wanted) /* else it waits already */
		set_timer(c, c->wait_ms);
	c->wanted = true;
}

static void cancel(struct child *c)
{
	c->wanted = false;
	loop_timer_stop(c->home->loop, &c->timer);
}

static void announce(struct child *c)
{
	set_state(c, PROCESS_SERVING);
}

static void drain(struct child *c)
{
	const struct control msg = {
		.type = CONTROL_DRAIN,
		.number = c->grace_ms,
	};

	c->wanted = false;
	c->told = true;
	set_state(c, PROCESS_DRAINING);
	child_send(c, &msg, -1);
	set_timer(c, c->grace_ms + KILL_AFTER_MS);
}

/* Let it say what it was doing; then it has no choice. */
static void abort_now(struct child *c)
{
	c->hung = true;
	kill(c->pid, SIGABRT);
	set_timer(c, KILL_AFTER_MS);
}

static void kill_now(struct child *c)
{
	kill(c->pid, SIGKILL);
}

static void cut(struct child *c)
{
	c->wanted = false;
	c->told = true;
	kill_now(c);
}

static void ended(struct child *c)
{
	uint64_t life_ms = clock_mono_ms() - c->born_ms;

	write_obituary(c);
	loop_timer_stop(c->home->loop, &c->timer);
	loop_close(c->home->loop, &c->control);
	drop_letters(c);
	board_bury(c->home->board, c->slot);
	clear_row(c);
	c->pid = 0;
	if (life_ms >= GOOD_LIFE_MS)
		c->wait_ms = 0;
	if (c->wanted)
		start_later(c);
	c->home->on_gone(c);
}

/* clang-format off */
static const struct move {
	enum child_state to;
	void (*action)(struct child *c);
} moves[CHILD_STATES][CHILD_EVENTS] = {
	[CHILD_DOWN] = {
		[CHILD_START] = { CHILD_DOWN,     begin },
		[CHILD_STOP]  = { CHILD_DOWN,     cancel },
		[CHILD_CUT]   = { CHILD_DOWN,     cancel },
		[CHILD_TIMER] = { CHILD_STARTING, spawn },
	},
	[CHILD_STARTING] = {
		[CHILD_START] = { CHILD_STARTING, want },
		[CHILD_READY] = { CHILD_SERVING,  announce },
		[CHILD_STOP]  = { CHILD_DRAINING, drain },
		[CHILD_HANG]  = { CHILD_KILLED,   abort_now },
		[CHILD_CUT]   = { CHILD_KILLED,   cut },
		[CHILD_EXIT]  = { CHILD_DOWN,     ended },
	},
	[CHILD_SERVING] = {
		[CHILD_START] = { CHILD_SERVING,  want },
		[CHILD_READY] = { CHILD_SERVING,  stay },
		[CHILD_STOP]  = { CHILD_DRAINING, drain },
		[CHILD_HANG]  = { CHILD_KILLED,   abort_now },
		[CHILD_CUT]   = { CHILD_KILLED,   cut },
		[CHILD_EXIT]  = { CHILD_DOWN,     ended },
	},
	[CHILD_DRAINING] = {
		[CHILD_START] = { CHILD_DRAINING, want }, /* when it has ended */
		[CHILD_READY] = { CHILD_DRAINING, stay }, /* too late */
		[CHILD_STOP]  = { CHILD_DRAINING, unwant },
		[CHILD_HANG]  = { CHILD_DRAINING, stay }, /* the timer is set */
		[CHILD_CUT]   = { CHILD_KILLED,   cut },
		[CHILD_TIMER] = { CHILD_KILLED,   kill_now },
		[CHILD_EXIT]  = { CHILD_DOWN,     ended },
	},
	[CHILD_KILLED] = {
		[CHILD_START] = { CHILD_KILLED,   want },
		[CHILD_READY] = { CHILD_KILLED,   stay },
		[CHILD_STOP]  = { CHILD_KILLED,   unwant },
		[CHILD_HANG]  = { CHILD_KILLED,   stay },
		[CHILD_CUT]   = { CHILD_KILLED,   cut },
		[CHILD_TIMER] = { CHILD_KILLED,   kill_now },
		[CHILD_EXIT]  = { CHILD_DOWN,     ended },
	},
};
/* clang-format on */

void child_event(struct child *c, enum child_event event)
{
	const struct move *m = &moves[c->state][event];

	/* A blank cell is an event that we make ourselves, so a bug. */
	assert(m->action);
	c->state = m->to;
	m->action(c);
}
