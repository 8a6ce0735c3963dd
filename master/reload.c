#include "master/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/notify.h"

#define KEEPER_WAIT_MS 2000  /* for a catalogue of a new configuration */
#define ADOPT_WAIT_MS  10000 /* for all workers to serve it */

static void begin(struct master *m);

/* --- words for the service manager ---------------------------------------- */

unsigned reload_healthy(const struct master *m)
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

void reload_tell_manager(const struct master *m, const char *state)
{
	if (!notify_wanted())
		return;
	notify_send("%s%sSTATUS=%u workers, %u tools, %u of %u backends "
	            "healthy",
	            state, *state ? "\n" : "", crew_serving(&m->crew),
	            publication_tools(&m->current), reload_healthy(m),
	            m->current.snap->head->backends.len);
}

/* --- logs ----------------------------------------------------------------- */

void reload_send_log(struct master *m)
{
	/* Level and format travel in the number: level + 256 * format. */
	const struct control msg = {
		.type = CONTROL_LOG,
		.number = (uint64_t)m->config->log_level |
		          (uint64_t)m->config->log_format << 8,
	};

	crew_tell(&m->crew, &msg, log_fd(), true);
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		sink_send(&m->sinks, &m->crew.workers[i]);
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

int reload_first(struct master *m, char why[COMPOSE_WHY_MAX])
{
	struct publication first;

	crypto_random(m->compose.cache_key, sizeof(m->compose.cache_key));
	crypto_random(m->compose.session_key, sizeof(m->compose.session_key));

	int err = compose(m, m->config, &first, why);
	if (err == 0)
		publish(m, &first);
	return err;
}

void reload_send_current(struct master *m, struct child *c)
{
	send_snapshot(c, &m->current);
}

/* --- reload --------------------------------------------------------------- */

void reload_forget(struct master *m)
{
	struct reload *r = &m->reload;

	loop_timer_stop(m->loop, &r->patience);
	publication_close(&r->base);
	sink_close(&r->sinks);
	config_free(r->config);
	r->config = NULL;
	r->stage = RELOAD_NONE;
	r->late = false;
	r->offered = false;
}

static void finish(struct master *m)
{
	bool given_up = m->reload.stage == RELOAD_MERGING && m->reload.offered;

	reload_forget(m);
	/* What the keeper adds to a load that was given up, nobody takes. */
	if (given_up)
		reload_send_current(m, &m->crew.keeper);
	reload_tell_manager(m, "READY=1");
	if (m->reload.again) {
		m->reload.again = false;
		begin(m);
	}
}

static void fail(struct master *m, const char *reason)
{
	count_own(&m->board->reloads_failed, 1);
	log_error("configuration not reloaded, the old one stays",
	          LOG_STR("reason", reason),
	          LOG_INT("generation",
	                  m->current.snap->head->config_generation));
	finish(m);
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

uint32_t reload_workers(const struct config *config)
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
	reload_send_log(m);
}

/* The configuration that was read is the one in force from here on. */
static void put_in_force(struct master *m)
{
	struct reload *r = &m->reload;
	struct config *old = m->config;

	m->config = r->config;
	r->config = NULL;
	sink_close(&m->sinks);
	m->sinks = r->sinks;
	r->sinks = SINKS_NONE;
	switch_logs(m, old);
	if (old != m->started)
		config_free(old);
	warn_restart(m);
	crew_resize(&m->crew, reload_workers(m->config),
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
	finish(m);
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

void reload_progress(struct master *m)
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
		finish(m);
}

/*
 * A keeper that was just born knows nothing and would answer with nothing. It
 * is given what is served now, and speaks when it has asked all backends; then
 * it can complete something new.
 */
void reload_offer(struct master *m)
{
	struct reload *r = &m->reload;

	if (r->stage != RELOAD_MERGING || r->offered ||
	    m->crew.keeper.state != CHILD_SERVING)
		return;
	r->offered = true;
	send_snapshot(&m->crew.keeper, &r->base);
}

static int prepare(struct master *m, char why[COMPOSE_WHY_MAX])
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
		err = sink_open(&r->sinks, r->config, why);
	if (err == 0) {
		err = listener_open(&m->crew.listeners,
		                    reload_workers(r->config), listen_why);
		if (err < 0)
			snprintf(why, COMPOSE_WHY_MAX, "%.500s", listen_why);
	}
	if (err == 0)
		err = compose(m, r->config, &r->base, why);
	return err;
}

static void begin(struct master *m)
{
	struct reload *r = &m->reload;
	char why[COMPOSE_WHY_MAX];

	if (m->stage != RUNNING)
		return;
	r->started_ms = clock_mono_ms();
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
	            (unsigned long long)clock_mono_us());
	if (prepare(m, why) < 0) {
		fail(m, why);
		return;
	}
	r->stage = RELOAD_MERGING;
	r->offered = false;
	reload_offer(m);
	loop_timer(m->loop, &r->patience, KEEPER_WAIT_MS, on_keeper_timeout);
}

void reload_request(struct master *m)
{
	struct reload *r = &m->reload;

	if (r->stage == RELOAD_NONE) {
		begin(m);
		return;
	}
	r->again = true;
	/* What the keeper has not answered by now is not worth waiting for. */
	if (r->stage == RELOAD_MERGING && r->late)
		finish(m);
}

void reload_catalog(struct master *m, int fd)
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
