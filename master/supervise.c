#include "master/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "master/compose.h"
#include "master/crew.h"
#include "master/publication.h"
#include "master/reception.h"

#define TICK_MS           1000
#define FIRST_TICKS_MS    50    /* until all are ready */
#define DISCOVERY_WAIT_MS 5000  /* ready without all backends after this */
#define KEEPER_WAIT_MS    2000  /* for a catalogue of a new configuration */
#define ADOPT_WAIT_MS     10000 /* for all workers to serve it */
#define KEEPER_GRACE_MS   1000  /* to ship its last records */
#define CUT_WAIT_MS       2000  /* for the kernel to deliver a SIGKILL */

enum stage {
	RUNNING,
	LEAVING,  /* not ready any more, serves all the same */
	DRAINING, /* workers finish */
	ENDING,   /* only the keeper is left */
};

enum reload_stage {
	RELOAD_NONE,
	RELOAD_MERGING,  /* the keeper adds what it knows of the backends */
	RELOAD_ADOPTING, /* published; workers take it over */
};

/* A SIGHUP on its way. */
struct reload {
	enum reload_stage stage;
	bool again;   /* another one came meanwhile */
	bool offered; /* to the keeper that lives now */
	bool late;    /* waits longer than it should, and that was logged */
	uint64_t started_ms;
	struct config *config;   /* until it is published */
	struct publication base; /* the same, composed */
	int sinks[2];            /* its log files, already open */
	struct timer patience;
};

/* A log file that the workers write and we open. */
static const struct sink {
	enum control_type type;
	size_t path; /* offset of its path in struct config */
} sinks[2] = {
	{ CONTROL_ACCESS_LOG, offsetof(struct config, access_log_file) },
	{ CONTROL_AUDIT_LOG, offsetof(struct config, audit_log_file) },
};

struct master {
	struct crew crew;
	const struct options *opt;
	struct config *config;  /* in force */
	struct config *started; /* what cannot change is as here */
	struct board *board;
	int board_fd;
	struct loop *loop;
	struct source signals;
	struct reception reception;
	struct publication current;
	struct compose compose; /* what every load has in common */
	struct reload reload;
	enum stage stage;
	bool cutting;        /* everybody was killed */
	bool ready;          /* said so to the service manager */
	uint64_t discovered; /* the keeper has asked all backends of this */
	int sinks[2];        /* descriptors; -1: where the log goes */
	uint64_t ticked_ms;
	unsigned late; /* children that have not turned for a while */
	struct timer tick, watchdog, leave;
};

static struct master *master_of(struct child *c)
{
	/* The crew's home is the first member of the crew, and so of us. */
	return (struct master *)(uintptr_t)c->home;
}

static void begin_reload(struct master *m);

/* --- words for the service manager ---------------------------------------- */

static unsigned healthy(const struct master *m)
{
	const struct snapshot *s = m->current.snap;
	unsigned n = 0;

	for (uint32_t i = 0; i < s->head->backends.len; i++) {
		uint32_t slot = snapshot_backend(s, i)->slot;

		n += atomic_load(&m->board->backends[slot].health) ==
		     HEALTH_HEALTHY;
	}
	return n;
}

/* state is an assignment such as "READY=1", or "". */
static void tell_manager(const struct master *m, const char *state)
{
	if (!notify_wanted())
		return;
	notify_send("%s%sSTATUS=%u workers, %u tools, %u of %u backends "
	            "healthy",
	            state, *state ? "\n" : "", crew_serving(&m->crew),
	            publication_tools(&m->current), healthy(m),
	            m->current.snap->head->backends.len);
}

/* --- log files ------------------------------------------------------------ */

static const char *sink_path(const struct config *config, size_t i)
{
	const char *path;

	memcpy(&path, (const char *)config + sinks[i].path, sizeof(path));
	return path;
}

/* -1 for none; or -errno of open(2), smaller than that. */
static int open_sink(const struct config *config, size_t i, int *fd)
{
	const char *path = sink_path(config, i);

	*fd = -1;
	if (!path)
		return 0;
	*fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
	           0640);
	return *fd < 0 ? os_error() : 0;
}

static void close_sinks(int fds[2])
{
	for (size_t i = 0; i < ARRAY_LEN(sinks); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* Open all files of a configuration; the reason is a sentence. */
static int open_sinks(const struct config *config, int fds[2],
                      char why[COMPOSE_WHY_MAX])
{
	fds[0] = fds[1] = -1;
	for (size_t i = 0; i < ARRAY_LEN(sinks); i++) {
		int err = open_sink(config, i, &fds[i]);

		if (err < 0) {
			snprintf(why, COMPOSE_WHY_MAX,
			         "%s cannot be opened: %s",
			         sink_path(config, i), log_errno(err));
			close_sinks(fds);
			return err;
		}
	}
	return 0;
}

/* The fd of a file, or of the log when it has no file of its own. */
static void send_sink(struct child *c, const int fds[2], size_t i)
{
	const struct control msg = { .type = sinks[i].type };

	child_send(c, &msg, fds[i] >= 0 ? fds[i] : log_fd());
}

/* Where lines go, and which: the number is level + 256 * format. */
static void tell_log(struct master *m)
{
	const struct control msg = {
		.type = CONTROL_LOG,
		.number = (uint64_t)m->config->log_level |
		          (uint64_t)m->config->log_format << 8,
	};

	crew_tell(&m->crew, &msg, log_fd(), true);
	for (size_t i = 0; i < ARRAY_LEN(sinks); i++)
		for (uint32_t w = 0; w < WORKERS_MAX; w++)
			send_sink(&m->crew.workers[w], m->sinks, i);
}

static void reopen_logs(struct master *m)
{
	log_reopen();
	for (size_t i = 0; i < ARRAY_LEN(sinks); i++) {
		int fd;
		int err = open_sink(m->config, i, &fd);

		if (err < 0) {
			log_error("log file cannot be reopened",
			          LOG_STR("path", sink_path(m->config, i)),
			          LOG_ERR(err));
			continue;
		}
		if (m->sinks[i] >= 0)
			close(m->sinks[i]);
		m->sinks[i] = fd;
	}
	tell_log(m);
	log_info("log files reopened");
}

static int apply_log(const struct config *config)
{
	log_set_level(config->log_level);
	log_set_format(config->log_format);
	return log_open(config->log_file);
}

/* --- snapshots ------------------------------------------------------------ */

static void send_snapshot(struct child *c, const struct publication *p)
{
	const struct control msg = {
		.type = CONTROL_SNAPSHOT,
		.number = p->snap->head->config_generation,
		.serial = p->snap->head->catalog_serial,
	};

	child_send(c, &msg, p->fd);
}

/* Takes what *next holds. From now on this is what everybody serves. */
static void publish(struct master *m, struct publication *next)
{
	const struct header *head = next->snap->head;

	publication_close(&m->current);
	m->current = *next;
	*next = (struct publication){ .fd = -1 };
	atomic_store(&m->board->config_generation, head->config_generation);
	atomic_store(&m->board->catalog_serial, head->catalog_serial);
	count_own(&m->board->catalogs, 1);
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		send_snapshot(&m->crew.workers[i], &m->current);
	log_debug("catalogue published",
	          LOG_INT("generation", head->config_generation),
	          LOG_INT("serial", head->catalog_serial),
	          LOG_INT("tools", publication_tools(&m->current)));
}

static int compose(struct master *m, const struct config *config,
                   struct publication *out, char why[COMPOSE_WHY_MAX])
{
	m->compose.board = m->board;
	m->compose.generation++;
	if (publication_is(&m->current))
		m->compose.catalog_serial =
			m->current.snap->head->catalog_serial;

	int err = compose_snapshot(&m->compose, config, why);
	if (err >= 0) {
		err = publication_open(out, err);
		if (err < 0)
			snprintf(why, COMPOSE_WHY_MAX,
			         "the snapshot cannot be read back: %s",
			         log_errno(err));
	}
	if (err < 0)
		m->compose.generation--;
	return err;
}

/* --- reload --------------------------------------------------------------- */

static void forget_reload(struct master *m)
{
	struct reload *r = &m->reload;

	loop_timer_stop(m->loop, &r->patience);
	publication_close(&r->base);
	close_sinks(r->sinks);
	config_free(r->config);
	r->config = NULL;
	r->stage = RELOAD_NONE;
	r->late = false;
}

static void end_reload(struct master *m)
{
	forget_reload(m);
	tell_manager(m, "READY=1");
	if (m->reload.again) {
		m->reload.again = false;
		begin_reload(m);
	}
}

static void fail_reload(struct master *m, const char *reason)
{
	count_own(&m->board->reloads_failed, 1);
	log_error("configuration not reloaded, the old one stays",
	          LOG_STR("reason", reason),
	          LOG_INT("generation",
	                  m->current.snap->head->config_generation));
	end_reload(m);
}

static void add_key_name(void *ctx, const char *key)
{
	struct buf *names = ctx;

	if (names->len)
		buf_puts(names, ", ");
	buf_puts(names, key);
}

static void warn_restart(const struct master *m)
{
	struct buf names = { .max = LOG_TEXT_MAX };

	if (config_restart_needed(m->started, m->config, add_key_name, &names) >
	    0)
		log_warning("settings wait for a restart",
		            LOG_SPAN("settings", buf_span(&names)));
	buf_free(&names);
}

static uint32_t n_workers(const struct config *config)
{
	int64_t n = config->settings.workers;

	return n > 0 ? (uint32_t)MIN(n, WORKERS_MAX) : crew_cpus();
}

static bool same_path(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

/* The log follows the new configuration, here and in the children. */
static void switch_logs(struct master *m, const struct config *old)
{
	int err = 0;

	log_set_level(m->config->log_level);
	log_set_format(m->config->log_format);
	if (!same_path(old->log_file, m->config->log_file))
		err = log_open(m->config->log_file);
	if (err < 0)
		log_error("log file cannot be opened, the old one stays",
		          LOG_STR("path", m->config->log_file), LOG_ERR(err));
	tell_log(m);
}

/* The configuration that was read is the one in force from here on. */
static void put_in_force(struct master *m)
{
	struct reload *r = &m->reload;
	struct config *old = m->config;

	m->config = r->config;
	r->config = NULL;
	close_sinks(m->sinks);
	memcpy(m->sinks, r->sinks, sizeof(m->sinks));
	r->sinks[0] = r->sinks[1] = -1;
	switch_logs(m, old);
	if (old != m->started)
		config_free(old);
	warn_restart(m);
	crew_resize(&m->crew, n_workers(m->config),
	            (uint64_t)m->config->settings.shutdown_grace);
}

static void on_adopt_timeout(struct timer *t);

static void finish_merging(struct master *m, struct publication *next)
{
	struct reload *r = &m->reload;

	publish(m, next);
	put_in_force(m);
	publication_close(&r->base);
	r->stage = RELOAD_ADOPTING;
	r->late = false;
	loop_timer(m->loop, &r->patience, ADOPT_WAIT_MS, on_adopt_timeout);
}

static void finish_adopting(struct master *m)
{
	const struct header *head = m->current.snap->head;

	count_own(&m->board->reloads, 1);
	log_info("configuration reloaded",
	         LOG_INT("generation", head->config_generation),
	         LOG_INT("tools", publication_tools(&m->current)),
	         LOG_INT("backends", head->backends.len),
	         LOG_INT("ms", clock_mono_ms() - m->reload.started_ms));
	end_reload(m);
}

/*
 * We are ready when every worker has what the keeper found, not when the first
 * one has. Once ready, a reload does not make us unready for that moment.
 */
static void see_discovered(struct master *m)
{
	const struct header *head = m->current.snap->head;
	_Atomic uint64_t *on_board = &m->board->discovered_generation;

	if (m->discovered > atomic_load(on_board) &&
	    (atomic_load(on_board) > 0 ||
	     crew_adopted(&m->crew, head->config_generation,
	                  head->catalog_serial)))
		atomic_store(on_board, m->discovered);
}

static void see_adopted(struct master *m)
{
	const struct header *head = m->current.snap->head;

	see_discovered(m);
	if (m->reload.stage == RELOAD_ADOPTING &&
	    crew_adopted(&m->crew, head->config_generation, 0))
		finish_adopting(m);
}

static void on_adopt_timeout(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, reload.patience);

	log_warning("not every worker serves the new configuration yet",
	            LOG_INT("generation",
	                    m->current.snap->head->config_generation));
	finish_adopting(m);
}

/*
 * Without the keeper's catalogue the new configuration would be served without
 * any backend's tools, so the old one goes on until the keeper answers, or its
 * successor if it died.
 */
static void on_keeper_timeout(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, reload.patience);

	m->reload.late = true;
	log_warning("the keeper does not answer; the new configuration waits "
	            "for it");
	if (m->reload.again)
		end_reload(m);
}

/*
 * A keeper that was just born knows nothing and would answer with nothing. It
 * is given what is served now, and speaks when it has asked all backends; then
 * it can complete something new.
 */
static void offer_base(struct master *m)
{
	struct reload *r = &m->reload;

	if (r->stage != RELOAD_MERGING || r->offered ||
	    m->crew.keeper.state != CHILD_SERVING)
		return;
	r->offered = true;
	send_snapshot(&m->crew.keeper, &r->base);
}

static int prepare_reload(struct master *m, char why[COMPOSE_WHY_MAX])
{
	struct reload *r = &m->reload;
	char listen_why[LISTENER_WHY_MAX];
	struct config_report *report = malloc(sizeof(*report));

	if (!report) {
		snprintf(why, COMPOSE_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	int err = config_load(m->opt, &r->config, report);
	if (err < 0) {
		const char *first = config_report_first(report);

		snprintf(why, COMPOSE_WHY_MAX, "%.500s",
		         *first ? first : log_errno(err));
		r->config = NULL;
	} else {
		config_report_log(report);
	}
	free(report);
	if (err == 0)
		err = open_sinks(r->config, r->sinks, why);
	if (err == 0) {
		err = listener_open(&m->crew.listeners, n_workers(r->config),
		                    listen_why);
		if (err < 0)
			snprintf(why, COMPOSE_WHY_MAX, "%.500s", listen_why);
	}
	if (err == 0)
		err = compose(m, r->config, &r->base, why);
	return err;
}

static void begin_reload(struct master *m)
{
	struct reload *r = &m->reload;
	char why[COMPOSE_WHY_MAX];

	if (m->stage != RUNNING)
		return;
	r->started_ms = clock_mono_ms();
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
	            (unsigned long long)clock_mono_us());
	if (prepare_reload(m, why) < 0) {
		fail_reload(m, why);
		return;
	}
	r->stage = RELOAD_MERGING;
	r->offered = false;
	offer_base(m);
	loop_timer(m->loop, &r->patience, KEEPER_WAIT_MS, on_keeper_timeout);
}

static void on_hangup(struct master *m)
{
	struct reload *r = &m->reload;

	if (r->stage == RELOAD_NONE) {
		begin_reload(m);
		return;
	}
	r->again = true;
	/* What the keeper has not answered by now is not worth waiting for. */
	if (r->stage == RELOAD_MERGING && r->late)
		end_reload(m);
}

/* --- what children say ---------------------------------------------------- */

static void on_catalog(struct master *m, int fd)
{
	struct publication next;
	int err = publication_open(&next, fd);

	if (err < 0) {
		log_error("catalogue of the keeper refused", LOG_ERR(err));
		return;
	}
	if (m->reload.stage == RELOAD_MERGING &&
	    publication_same_config(&next, &m->reload.base)) {
		finish_merging(m, &next);
	} else if (publication_same_config(&next, &m->current)) {
		publish(m, &next);
	} else {
		/* Of an older load: the keeper has the new one by now. */
		if (next.snap->head->config_generation ==
		    m->current.snap->head->config_generation)
			log_error("catalogue of the keeper refused: it "
			          "changes the configuration");
		publication_close(&next);
	}
}

static void note_adopted(struct master *m, struct child *c,
                         const struct control *msg)
{
	if (msg->error < 0) {
		log_error("snapshot refused by a worker",
		          LOG_INT("slot", c->slot),
		          LOG_INT("generation", msg->number),
		          LOG_ERR(msg->error));
		return;
	}
	c->config_generation = msg->number;
	c->catalog_serial = msg->serial;
	see_adopted(m);
}

static void on_worker(struct master *m, struct child *c,
                      const struct control *msg)
{
	switch (msg->type) {
	case CONTROL_READY:
		child_event(c, CHILD_READY);
		c->config_generation = msg->number;
		c->catalog_serial = msg->serial;
		see_adopted(m);
		break;
	case CONTROL_ADOPTED:
		note_adopted(m, c, msg);
		break;
	case CONTROL_REFRESH:
		if (msg->number < BACKENDS_MAX)
			child_send(&m->crew.keeper, msg, -1);
		break;
	default:
		log_warning("unknown message of a worker",
		            LOG_INT("type", msg->type));
		break;
	}
}

static void on_message(struct child *c, const struct control *msg, int fd)
{
	struct master *m = master_of(c);

	if (c->slot != CHILD_KEEPER) {
		on_worker(m, c, msg);
	} else {
		child_event(c, CHILD_READY);
		offer_base(m);
		if (msg->type == CONTROL_CATALOG && fd >= 0) {
			on_catalog(m, fd);
			return;
		}
		/* On the board once the workers have what it found. */
		if (msg->type == CONTROL_READY) {
			m->discovered = msg->number;
			see_adopted(m);
		}
	}
	if (fd >= 0)
		close(fd);
}

static void on_born(struct child *c)
{
	struct master *m = master_of(c);

	if (c->slot == CHILD_KEEPER) {
		m->reload.offered = false;
		send_snapshot(c, &m->current);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(sinks); i++)
		if (m->sinks[i] >= 0)
			send_sink(c, m->sinks, i);
	send_snapshot(c, &m->current);
	crew_deal(&m->crew);
}

static void on_gone(struct child *c)
{
	struct master *m = master_of(c);

	see_adopted(m);
	if (m->stage == RUNNING || crew_has_workers(&m->crew))
		return;
	if (m->stage == DRAINING) {
		m->stage = ENDING;
		m->crew.keeper.grace_ms = KEEPER_GRACE_MS;
		child_event(&m->crew.keeper, CHILD_STOP);
	}
	if (m->stage == ENDING && !m->crew.keeper.pid)
		loop_stop(m->loop);
}

/* --- the end -------------------------------------------------------------- */

static void on_cut_timeout(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, leave);

	loop_stop(m->loop); /* a process that SIGKILL does not end in time */
}

static void cut_all(struct master *m)
{
	m->stage = ENDING;
	m->cutting = true;
	crew_cut(&m->crew);
	loop_timer(m->loop, &m->leave, CUT_WAIT_MS, on_cut_timeout);
	if (!crew_has_workers(&m->crew) && !m->crew.keeper.pid)
		loop_stop(m->loop);
}

static void on_leave(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, leave);

	m->stage = DRAINING;
	crew_drain(&m->crew, (uint64_t)m->config->settings.shutdown_grace);
	/*
	 * When the service manager keeps the sockets, new connections wait in
	 * them for the next process. Otherwise they must be refused now, not
	 * reset when we end.
	 */
	if (!listener_store(&m->crew.listeners))
		listener_close(&m->crew.listeners);
	on_gone(&m->crew.keeper); /* there may be no worker to wait for */
}

static void on_stop(struct master *m)
{
	if (m->stage != RUNNING) {
		cut_all(m);
		return;
	}
	m->stage = LEAVING;
	atomic_store(&m->board->draining, 1);
	notify_send("STOPPING=1\nSTATUS=finishing open requests");
	log_info("stopping",
	         LOG_INT("delay_ms", m->config->settings.shutdown_delay),
	         LOG_INT("grace_ms", m->config->settings.shutdown_grace));
	loop_timer(m->loop, &m->leave,
	           (uint64_t)m->config->settings.shutdown_delay, on_leave);
}

static void on_quit(struct master *m)
{
	if (m->stage == RUNNING)
		notify_send("STOPPING=1");
	atomic_store(&m->board->draining, 1);
	log_info("stopping at once");
	cut_all(m);
}

static void on_child(struct master *m)
{
	crew_reap(&m->crew);
}

/* --- signals -------------------------------------------------------------- */

static const struct {
	int number;
	void (*handle)(struct master *m);
} signals[] = {
	{ SIGHUP, on_hangup }, { SIGUSR1, reopen_logs }, { SIGTERM, on_stop },
	{ SIGINT, on_stop },   { SIGQUIT, on_quit },     { SIGCHLD, on_child },
};

static void on_signal(struct source *src, uint32_t events)
{
	struct master *m = CONTAINER_OF(src, struct master, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(src->fd, &info, sizeof(info)) == sizeof(info))
		for (size_t i = 0; i < ARRAY_LEN(signals); i++)
			if (signals[i].number == (int)info.ssi_signo)
				signals[i].handle(m);
}

static int catch_signals(struct master *m)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i].number);
	/* Blocked in the children too, who inherit it: a Ctrl-C reaches all of
	 * a terminal's processes, but only we decide what it means. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signals = (struct source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.on_ready = on_signal,
	};
	return m->signals.fd < 0 ? os_error()
	                         : loop_add(m->loop, &m->signals, EPOLLIN);
}

/* --- times ---------------------------------------------------------------- */

static void see_ready(struct master *m)
{
	uint64_t up_ms = loop_now_ms(m->loop) - m->board->started_ms;
	uint64_t asked = atomic_load(&m->board->discovered_generation);

	if (m->ready || m->stage != RUNNING ||
	    crew_serving(&m->crew) < m->crew.n_workers ||
	    (asked == 0 && up_ms < DISCOVERY_WAIT_MS))
		return;
	m->ready = true;
	tell_manager(m, "READY=1");
	listener_store(&m->crew.listeners);
	log_info("ready", LOG_INT("workers", crew_serving(&m->crew)),
	         LOG_INT("tools", publication_tools(&m->current)),
	         LOG_INT("backends", m->current.snap->head->backends.len),
	         LOG_INT("healthy", healthy(m)), LOG_INT("ms", up_ms));
}

static void on_tick(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, tick);
	uint64_t now_ms = loop_now_ms(m->loop);

	/* When we were stopped ourselves, so were they: look again later. */
	if (now_ms - m->ticked_ms < 3 * TICK_MS && !m->cutting)
		m->late = crew_check(
			&m->crew, now_ms,
			(uint64_t)m->config->settings.worker_hang_timeout);
	m->ticked_ms = now_ms;
	see_ready(m);
	if (m->ready && m->stage == RUNNING && m->reload.stage == RELOAD_NONE)
		tell_manager(m, "");
	loop_timer(m->loop, &m->tick, m->ready ? TICK_MS : FIRST_TICKS_MS,
	           on_tick);
}

static void on_watchdog(struct timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, watchdog);

	if (m->late == 0)
		notify_send("WATCHDOG=1");
	loop_timer(m->loop, t, notify_watchdog_us() / 2000, on_watchdog);
}

static void set_times(struct master *m)
{
	m->ticked_ms = clock_mono_ms();
	loop_timer(m->loop, &m->tick, FIRST_TICKS_MS, on_tick);
	if (notify_watchdog_us())
		loop_timer(m->loop, &m->watchdog, 1, on_watchdog);
}

/* --- the beginning -------------------------------------------------------- */

static void close_kept(struct listeners *l)
{
	struct notify_fd *kept = calloc(NOTIFY_FDS_MAX, sizeof(*kept));

	if (!kept)
		return;

	unsigned n = listener_adopt(l, kept, notify_take(kept));
	if (n > 0)
		log_info("listening sockets taken over", LOG_INT("sockets", n));
	free(kept);
}

static int open_listeners(struct master *m, char why[COMPOSE_WHY_MAX])
{
	struct listeners *l = &m->crew.listeners;
	char listen_why[LISTENER_WHY_MAX];

	listener_init(l, m->config->host, (int)m->config->settings.port);
	close_kept(l);

	int err = listener_open(l, n_workers(m->config), listen_why);
	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX, "%.500s", listen_why);
	return err;
}

static void make_crew(struct master *m)
{
	struct child_home *home = &m->crew.home;

	home->loop = m->loop;
	home->board = m->board;
	home->on_born = on_born;
	home->on_message = on_message;
	home->on_gone = on_gone;
	crew_init(&m->crew);
}

static int make_board(struct master *m, char why[COMPOSE_WHY_MAX])
{
	const struct settings *s = &m->config->settings;
	int err = board_new((uint32_t)s->audit_entries,
	                    (uint32_t)s->auth_token_cache, &m->board,
	                    &m->board_fd);

	if (err < 0) {
		snprintf(why, COMPOSE_WHY_MAX,
		         "the shared memory cannot be made: %s",
		         log_errno(err));
		return err;
	}
	atomic_store(&m->board->master_pid, getpid());
	make_crew(m);
	return 0;
}

static int make_loop(struct master *m, char why[COMPOSE_WHY_MAX])
{
	int err = -ENOMEM;

	m->loop = loop_new();
	if (m->loop)
		err = catch_signals(m);
	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX, "the loop cannot be made: %s",
		         log_errno(err));
	return err;
}

static int find_user(struct master *m, char why[COMPOSE_WHY_MAX])
{
	char user_why[PRIVILEGE_WHY_MAX];
	int err = privilege_find(m->config->user, &m->crew.home.privilege,
	                         user_why);

	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX, "%s", user_why);
	else if (geteuid() == 0 && !m->crew.home.privilege.change)
		log_warning("workers run as root; set \"user\"");
	return err;
}

static int load_first(struct master *m, char why[COMPOSE_WHY_MAX])
{
	struct publication first;

	crypto_random(m->compose.cache_key, sizeof(m->compose.cache_key));

	int err = compose(m, m->config, &first, why);
	if (err == 0)
		publish(m, &first);
	return err;
}

static int open_first_sinks(struct master *m, char why[COMPOSE_WHY_MAX])
{
	return open_sinks(m->config, m->sinks, why);
}

/* In this order; the first that fails ends it, and has said why. */
static int set_up(struct master *m, char why[COMPOSE_WHY_MAX])
{
	static int (*const steps[])(struct master * m,
	                            char why[COMPOSE_WHY_MAX]) = {
		find_user,  make_loop,      open_first_sinks,
		make_board, open_listeners, load_first,
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps) && err == 0; i++)
		err = steps[i](m, why);
	return err;
}

static void open_reception(struct master *m)
{
	int err = reception_open(&m->reception, m->loop, m->config->runtime_dir,
	                         m->board_fd, &m->current);

	if (err < 0)
		log_warning("no control socket, \"status\" will not work",
		            LOG_STR("runtime_dir", m->config->runtime_dir),
		            LOG_ERR(err));
}

static void start_crew(struct master *m)
{
	child_event(&m->crew.keeper, CHILD_START);
	crew_resize(&m->crew, n_workers(m->config), 0);
	log_info("listening", LOG_STR("address", m->crew.listeners.address),
	         LOG_STR("path", m->config->path),
	         LOG_INT("workers", m->crew.n_workers));
}

static void tear_down(struct master *m)
{
	forget_reload(m);
	if (m->loop) {
		reception_close(&m->reception);
		loop_close(m->loop, &m->signals);
	}
	publication_close(&m->current);
	close_sinks(m->sinks);
	listener_close(&m->crew.listeners);
	if (m->board)
		munmap(m->board, m->board->size);
	if (m->board_fd >= 0)
		close(m->board_fd);
	loop_free(m->loop);
	if (m->started != m->config)
		config_free(m->started);
	config_free(m->config);
	free(m);
}

static struct master *new_master(const struct options *opt,
                                 struct config *config)
{
	struct master *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->opt = opt;
	m->config = config;
	m->started = config;
	m->board_fd = -1;
	m->signals.fd = -1;
	m->current.fd = -1;
	m->reload.base.fd = -1;
	m->reception.door.fd = -1;
	m->reception.board_fd = -1;
	m->sinks[0] = m->sinks[1] = -1;
	m->reload.sinks[0] = m->reload.sinks[1] = -1;
	listener_init(&m->crew.listeners, config->host,
	              (int)config->settings.port);
	return m;
}

static int start(struct master *m)
{
	char why[COMPOSE_WHY_MAX] = "";
	int err = apply_log(m->config);

	if (err < 0) {
		log_error("log file cannot be opened",
		          LOG_STR("path", m->config->log_file), LOG_ERR(err));
		return err;
	}
	privilege_raise_files();
	err = crypto_init();
	if (err < 0) {
		log_error("no source of random bytes");
		return err;
	}
	err = set_up(m, why);
	if (err < 0)
		log_error("cannot start", LOG_STR("reason", why));
	return err;
}

int supervise_run(const struct options *opt, struct config *config)
{
	struct master *m = new_master(opt, config);
	int err = -ENOMEM;

	if (m)
		err = start(m);
	if (err == 0) {
		open_reception(m);
		start_crew(m);
		set_times(m);
		err = loop_run(m->loop);
		if (err < 0)
			log_error("the loop failed", LOG_ERR(err));
		crew_cut(&m->crew);
		log_info("stopped");
	}
	if (m)
		tear_down(m);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
