#include "master/supervise.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "master/reload.h"
#include "oci/cache.h"
#include "oci/environment.h"
#include "oci/userkey.h"

#define TICK_MS           1000
#define FIRST_TICKS_MS    50   /* until all are ready */
#define DISCOVERY_WAIT_MS 5000 /* ready without all backends after this */
#define KEEPER_GRACE_MS   1000 /* to ship its last records */
#define CUT_WAIT_MS       2000 /* for the kernel to deliver a SIGKILL */

static void reopen_logs(struct master *m)
{
	log_reopen();
	sink_reopen(&m->sinks, m->config);
	reload_send_log(m);
	log_info("log files reopened");
}

static int apply_log(const struct config *config)
{
	log_set_level(config->log_level);
	log_set_format(config->log_format);
	return log_open(config->log_file);
}

/* --- what children say ---------------------------------------------------- */

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
	reload_progress(m);
}

static void on_worker(struct master *m, struct child *c,
                      const struct control *msg)
{
	switch (msg->type) {
	case CONTROL_READY:
		child_event(c, CHILD_READY);
		c->config_generation = msg->number;
		c->catalog_serial = msg->serial;
		reload_progress(m);
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
		reload_offer(m);
		if (msg->type == CONTROL_CATALOG && fd >= 0) {
			reload_catalog(m, fd);
			return;
		}
		/* On the board once the workers have what it found. */
		if (msg->type == CONTROL_READY) {
			m->discovered = msg->number;
			reload_progress(m);
		}
	}
	if (fd >= 0)
		close(fd);
}

static void on_born(struct child *c)
{
	struct master *m = master_of(c);

	crew_connect(&m->crew, c);
	if (c->slot == CHILD_KEEPER) {
		m->reload.offered = false;
		reload_send_current(m, c);
		return;
	}
	sink_send(&m->sinks, c);
	reload_send_current(m, c);
	crew_deal(&m->crew);
}

/* Where the keeper finds credentials: what the environment says, and what the
 * configuration says now. */
static void each_path(const struct child_home *home,
                      void (*allow)(void *owner, const char *path))
{
	const struct master *m = CONTAINER_OF(home, struct master, crew.home);
	const struct config *c = m->config;

	environment_paths(allow, NULL);
	userkey_paths(span_of(NULL, 0), allow, NULL);
	for (size_t i = 0; i < c->n_backends; i++)
		if (c->backends[i].oci_config_file)
			userkey_paths(span_str(c->backends[i].oci_config_file),
			              allow, NULL);
}

static void on_gone(struct child *c)
{
	struct master *m = master_of(c);

	reload_progress(m);
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
	reload_forget(m);
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
	reload_forget(m);
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
	{ SIGHUP, reload_request }, { SIGUSR1, reopen_logs },
	{ SIGTERM, on_stop },       { SIGINT, on_stop },
	{ SIGQUIT, on_quit },       { SIGCHLD, on_child },
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
	reload_tell_manager(m, "READY=1");
	listener_store(&m->crew.listeners);
	log_info("ready", LOG_INT("workers", crew_serving(&m->crew)),
	         LOG_INT("tools", publication_tools(&m->current)),
	         LOG_INT("backends", m->current.snap->head->backends.len),
	         LOG_INT("healthy", reload_healthy(m)), LOG_INT("ms", up_ms));
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
		reload_tell_manager(m, "");
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

	int err = listener_open(l, reload_workers(m->config), listen_why);
	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX, "%.500s", listen_why);
	return err;
}

static void make_crew(struct master *m)
{
	struct child_home *home = &m->crew.home;

	home->loop = m->loop;
	home->board = m->board;
	home->each_path = each_path;
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

/* Answers of the cloud, kept for all workers. */
static int make_cache(struct master *m, char why[COMPOSE_WHY_MAX])
{
	const struct settings *s = &m->config->settings;
	const uint64_t ttl_ms[CACHE_TIERS] = {
		[CACHE_STATIC] = (uint64_t)s->oci_cache_static,
		[CACHE_CONFIG] = (uint64_t)s->oci_cache_config,
		[CACHE_OPERATIONAL] = (uint64_t)s->oci_cache_operational,
		[CACHE_METRICS] = (uint64_t)s->oci_cache_metrics,
	};
	int err = cache_share((size_t)s->oci_cache_entries, ttl_ms);

	if (err < 0)
		snprintf(why, COMPOSE_WHY_MAX,
		         "the cache for the cloud's answers cannot be made: %s",
		         log_errno(err));
	return err;
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

static int open_first_sinks(struct master *m, char why[COMPOSE_WHY_MAX])
{
	return sink_open(&m->sinks, m->config, why);
}

/* In this order; the first that fails ends it, and has said why. */
static int set_up(struct master *m, char why[COMPOSE_WHY_MAX])
{
	static int (*const steps[])(struct master * m,
	                            char why[COMPOSE_WHY_MAX]) = {
		find_user,  make_loop,      open_first_sinks, make_board,
		make_cache, open_listeners, reload_first,
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
	crew_resize(&m->crew, reload_workers(m->config), 0);
	log_info("listening", LOG_STR("address", m->crew.listeners.address),
	         LOG_STR("path", m->config->path),
	         LOG_INT("workers", m->crew.n_workers));
}

static void tear_down(struct master *m)
{
	reload_forget(m);
	if (m->loop) {
		reception_close(&m->reception);
		loop_close(m->loop, &m->signals);
	}
	publication_close(&m->current);
	sink_close(&m->sinks);
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
	m->sinks = SINKS_NONE;
	m->reload.sinks = SINKS_NONE;
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
	else
		privilege_confine_master(&m->crew.home.privilege,
		                         m->config->settings.sandbox);
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
