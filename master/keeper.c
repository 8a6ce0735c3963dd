#include "master/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fetch.h"
#include "lib/ip.h"
#include "lib/log.h"
#include "lib/lookup.h"
#include "lib/loop.h"
#include "proxy/catalog.h"
#include "proxy/discover.h"
#include "shm/builder.h"
#include "shm/control.h"
#include "shm/snapshot.h"

#define BEAT_MS 1000

/* A backend that is looked after. */
struct charge {
	struct keeper *k;
	struct charge *next;
	uint32_t index; /* in the configuration */
	struct backend_row *row;
	struct discover *d;
	struct catalog_backend *known; /* never NULL; empty at first */
	struct lookup *lookup;         /* under way, or NULL */
	struct timer read, probe, resolve;
	uint64_t retry_ms;     /* until the next try after a failure */
	uint64_t last_read_ms; /* when a reading began last */
	bool has_addresses;
	bool waiting; /* for one of KEEPER_READINGS_MAX */
	bool stale;   /* changed while it was being read */
	bool asked;   /* has answered or failed once in this configuration */
	bool failing; /* the last reading failed */
};

struct keeper {
	struct board *board;
	struct loop *loop;
	struct fetcher *fetcher;
	struct lookups *lookups;
	struct source control;
	struct snapshot *config;    /* what the master sent last; or NULL */
	struct snapshot *published; /* what we sent last; or NULL */
	struct charge *charges;
	uint64_t serial; /* of the last catalogue */
	unsigned n_readings;
	bool begun;   /* a round has been completed since we started */
	bool round;   /* some backend has not been asked yet */
	bool holding; /* nothing is published before the round is over */
	bool draining;
	struct timer publish, beat, limit;
	uint64_t published_ms;
};

static const struct backend *backend_of(const struct charge *c)
{
	return snapshot_backend(c->k->config, c->index);
}

static struct span name_of(const struct charge *c)
{
	return snapshot_text(c->k->config, backend_of(c)->name);
}

/* --- publishing ------------------------------------------------------------
 */

static bool same_catalog(const struct snapshot *a, const struct snapshot *b)
{
	size_t from = a->head->config_end;

	return a->head->config_generation == b->head->config_generation &&
	       from == b->head->config_end && a->size == b->size &&
	       memcmp(a->base + from, b->base + from, a->size - from) == 0;
}

static int build(struct keeper *k)
{
	struct catalog_backend *known[BACKENDS_MAX] = { NULL };
	struct builder b;

	for (struct charge *c = k->charges; c; c = c->next)
		known[c->index] = c->known;
	builder_copy_config(&b, k->config);

	int err = catalog_build(&b, k->board, known);
	struct header *head = builder_header(&b);
	if (head)
		head->catalog_serial = k->serial + 1;
	if (err < 0) {
		builder_free(&b);
		return err;
	}
	return builder_freeze(&b);
}

/* Tools per backend, as clients of the era that sees more of them see it. */
static void count_tools(struct keeper *k)
{
	uint32_t counts[VIEWS][BACKENDS_MAX] = { 0 };

	for (enum view_era era = 0; era < VIEWS; era++) {
		const struct list *tools =
			&snapshot_view(k->published, era)->lists[LIST_TOOLS];
		const struct entry *e =
			snapshot_array(k->published, tools->entries);

		for (uint32_t i = 0; i < tools->entries.len; i++)
			if (!(e[i].flags & ENTRY_OWN))
				counts[era][e[i].backend]++;
	}
	for (struct charge *c = k->charges; c; c = c->next)
		atomic_store_explicit(&c->row->n_tools,
		                      MAX(counts[VIEW_LEGACY][c->index],
		                          counts[VIEW_MODERN][c->index]),
		                      memory_order_relaxed);
}

/* Send what fd holds unless it says what was sent before. Takes fd. */
static int send_catalog(struct keeper *k, int fd)
{
	struct control msg = { .type = CONTROL_CATALOG };
	struct snapshot *snap;
	int copy = dup(fd);
	int err = copy < 0 ? os_error() : snapshot_open(copy, &snap);

	if (err < 0) {
		close(fd);
		return err;
	}
	if (k->published && same_catalog(k->published, snap)) {
		snapshot_unref(snap);
		close(fd);
		return 0;
	}
	msg.number = snap->head->config_generation;
	msg.serial = snap->head->catalog_serial;
	err = control_send(k->control.fd, &msg, fd);
	close(fd);
	if (err < 0) {
		snapshot_unref(snap);
		return err;
	}
	k->serial++;
	snapshot_unref(k->published);
	k->published = snap;
	count_tools(k);
	log_debug("catalogue sent", LOG_INT("serial", k->serial),
	          LOG_INT("bytes", snap->size));
	return 0;
}

static void on_publish(struct timer *t);

static void publish_now(struct keeper *k)
{
	if (!k->config || k->holding || k->draining)
		return;
	loop_timer_stop(k->loop, &k->publish);
	k->published_ms = loop_now_ms(k->loop);

	int fd = build(k);
	int err = fd < 0 ? fd : send_catalog(k, fd);
	if (err == 0)
		return;
	log_error("catalogue cannot be published", LOG_ERR(err));
	/* The master's socket may be full for a moment. */
	if (err == -EAGAIN)
		loop_timer(k->loop, &k->publish, KEEPER_PUBLISH_MS, on_publish);
}

static void on_publish(struct timer *t)
{
	publish_now(CONTAINER_OF(t, struct keeper, publish));
}

/* Soon: a burst of changes becomes one catalogue. */
static void publish(struct keeper *k)
{
	uint64_t since_ms = loop_now_ms(k->loop) - k->published_ms;

	if (k->publish.due_ms)
		return;
	loop_timer(k->loop, &k->publish,
	           since_ms < KEEPER_PUBLISH_MS ? KEEPER_PUBLISH_MS - since_ms
	                                        : 1,
	           on_publish);
}

/* --- the first round --------------------------------------------------------
 */

static void end_round(struct keeper *k)
{
	if (!k->round)
		return;
	k->round = k->holding = false;
	k->begun = true;
	loop_timer_stop(k->loop, &k->limit);
	publish_now(k);

	/* Behind the catalogue: the master waits until the workers have it. */
	struct control msg = {
		.type = CONTROL_READY,
		.number = k->config->head->config_generation,
		.serial = k->serial,
	};
	int err = control_send(k->control.fd, &msg, -1);
	if (err < 0)
		log_error("the master does not listen", LOG_ERR(err));
}

static void on_limit(struct timer *t)
{
	end_round(CONTAINER_OF(t, struct keeper, limit));
}

static void note_asked(struct charge *c)
{
	c->asked = true;
	for (struct charge *other = c->k->charges; other; other = other->next)
		if (!other->asked)
			return;
	end_round(c->k);
}

static void begin_round(struct keeper *k)
{
	bool all = true;

	for (struct charge *c = k->charges; c; c = c->next)
		all &= c->asked;
	k->round = true;
	if (all)
		end_round(k);
	else
		loop_timer(k->loop, &k->limit,
		           (uint64_t)k->config->settings->discovery_timeout,
		           on_limit);
}

/* --- health -----------------------------------------------------------------
 */

static void set_health(struct charge *c, enum health health)
{
	enum health old = atomic_exchange(&c->row->health, health);

	if (old == health || health == HEALTH_CONNECTING)
		return;
	if (health == HEALTH_HEALTHY)
		log_info("backend is healthy", LOG_SPAN("backend", name_of(c)));
	else if (health == HEALTH_UNHEALTHY)
		log_error("backend is unhealthy",
		          LOG_SPAN("backend", name_of(c)),
		          LOG_STR("error", c->row->error));
}

static void set_error(struct charge *c, const char *error)
{
	struct span whole = span_str(error);
	size_t n = MIN(whole.len, sizeof(c->row->error) - 1);

	if (span_eq(span_first(whole, n), span_str(c->row->error)))
		return;
	if (error[0])
		log_warning("backend has a problem",
		            LOG_SPAN("backend", name_of(c)),
		            LOG_STR("error", error));
	/* Readers on other CPUs may see a mix of both for a moment, but always
	   a NUL at the end: the last byte is never written. */
	memcpy(c->row->error, error, n);
	memset(c->row->error + n, 0, sizeof(c->row->error) - n);
}

/* A probe or a reading has ended; error is NULL when the backend is well. */
static void note_health(struct charge *c, const char *error)
{
	struct backend_row *row = c->row;
	int64_t now_ms = clock_utc_ms();
	uint32_t failures = 0;

	atomic_store(&row->last_check_ms, now_ms);
	if (error) {
		failures = atomic_load(&row->failures_in_row) + 1;
	} else {
		atomic_store(&row->last_healthy_ms, now_ms);
		atomic_store(&row->latency_us, discover_latency_us(c->d));
		board_breaker_ok(row);
	}
	set_error(c, error ? error : "");
	atomic_store(&row->failures_in_row, failures);
	set_health(c, failures == 0                 ? HEALTH_HEALTHY
	              : failures < KEEPER_UNHEALTHY ? HEALTH_DEGRADED
	                                            : HEALTH_UNHEALTHY);
}

/* --- reading -----------------------------------------------------------------
 */

static void begin_reading(struct charge *c)
{
	struct keeper *k = c->k;

	c->waiting = c->stale = false;
	c->last_read_ms = loop_now_ms(k->loop);
	loop_timer_stop(k->loop, &c->read);
	if (!c->asked)
		set_health(c, HEALTH_CONNECTING);
	discover_set_timeout(c->d,
	                     (uint64_t)k->config->settings->discovery_timeout);
	k->n_readings++;
	discover_read(c->d);
}

static void begin_waiting(struct keeper *k)
{
	for (struct charge *c = k->charges;
	     c && k->n_readings < KEEPER_READINGS_MAX; c = c->next)
		if (c->waiting)
			begin_reading(c);
}

static void read_now(struct charge *c)
{
	if (!c->has_addresses || c->k->draining)
		return; /* after the look-up */
	if (discover_is_reading(c->d)) {
		c->stale = true;
		return;
	}
	c->waiting = true;
	begin_waiting(c->k);
}

static void on_read_due(struct timer *t)
{
	read_now(CONTAINER_OF(t, struct charge, read));
}

static void read_in(struct charge *c, uint64_t in_ms)
{
	loop_timer(c->k->loop, &c->read, in_ms, on_read_due);
}

/* Something may have changed: after the burst, and not too often. */
static void read_soon(struct charge *c)
{
	uint64_t now_ms = loop_now_ms(c->k->loop);
	uint64_t due_ms = MAX(now_ms + KEEPER_DEBOUNCE_MS,
	                      c->last_read_ms + KEEPER_REREAD_MS);

	if (discover_is_reading(c->d))
		c->stale = true;
	else if (!c->waiting && (!c->read.due_ms || c->read.due_ms > due_ms))
		read_in(c, due_ms - now_ms);
}

/* The next try of what failed; the time until it doubles. */
static uint64_t back_off(struct charge *c)
{
	uint64_t max_ms = (uint64_t)c->k->config->settings->discovery_interval;
	uint64_t in_ms = MIN(c->retry_ms, max_ms);

	c->retry_ms = MIN(2 * c->retry_ms, max_ms);
	return in_ms;
}

static void learn(struct charge *c, struct catalog_backend *known)
{
	bool same = discover_same_known(c->known, known);

	memcpy(known->origin.addresses, c->known->origin.addresses,
	       sizeof(known->origin.addresses));
	known->origin.n_addresses = c->known->origin.n_addresses;
	discover_free_known(c->known);
	c->known = known;
	if (!same) {
		log_info("backend's lists are read",
		         LOG_SPAN("backend", name_of(c)),
		         LOG_INT("eras", known->origin.eras));
		publish(c->k);
	}
}

static void on_read(struct discover *d, struct catalog_backend *known,
                    const char *error)
{
	struct charge *c = discover_owner(d);
	struct keeper *k = c->k;
	uint64_t interval_ms =
		(uint64_t)k->config->settings->discovery_interval;
	uint64_t ttl_ms = discover_ttl_ms(d);

	k->n_readings--;
	c->failing = error != NULL;
	note_health(c, error);
	if (known) {
		learn(c, known);
		c->retry_ms = KEEPER_RETRY_MS;
		read_in(c, ttl_ms ? MIN(ttl_ms, interval_ms) : interval_ms);
	} else {
		read_in(c, back_off(c));
	}
	if (c->stale)
		read_soon(c);
	note_asked(c);
	begin_waiting(k);
}

static void on_changed(struct discover *d)
{
	read_soon(discover_owner(d));
}

/* --- probing -----------------------------------------------------------------
 */

static void on_probe_due(struct timer *t);

static void probe_later(struct charge *c)
{
	uint32_t in_ms = backend_of(c)->health_interval_ms;

	if (in_ms)
		loop_timer(c->k->loop, &c->probe, in_ms, on_probe_due);
	else
		loop_timer_stop(c->k->loop, &c->probe);
}

static void on_probe_due(struct timer *t)
{
	struct charge *c = CONTAINER_OF(t, struct charge, probe);

	probe_later(c);
	if (c->failing)
		read_now(c); /* which tells as much, and more */
	else if (c->asked)
		discover_probe(c->d);
}

static void on_probed(struct discover *d, const char *error)
{
	struct charge *c = discover_owner(d);
	bool back = !error && atomic_load(&c->row->failures_in_row) > 0;

	note_health(c, error);
	if (back)
		read_soon(c); /* who knows what it is now */
}

static const struct discover_events events = { on_read, on_probed, on_changed };

/* --- addresses
 * ---------------------------------------------------------------- */

static bool has_address(const struct origin *o,
                        const struct sockaddr_storage *at)
{
	for (uint32_t i = 0; i < o->n_addresses; i++)
		if (memcmp(&o->addresses[i], at, sizeof(*at)) == 0)
			return true;
	return false;
}

/* In another order they are the same: name servers like to turn them. */
static bool same_addresses(const struct origin *o,
                           const struct sockaddr_storage *at, size_t n)
{
	if (n != o->n_addresses)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!has_address(o, &at[i]))
			return false;
	return true;
}

static void set_addresses(struct charge *c, const struct sockaddr_storage *at,
                          size_t n)
{
	struct origin *o = &c->known->origin;

	static_assert(LOOKUP_ADDRESSES_MAX == ADDRESSES_MAX,
	              "what is looked up fits the snapshot");
	if (!same_addresses(o, at, n)) {
		memset(o->addresses, 0, sizeof(o->addresses));
		memcpy(o->addresses, at, n * sizeof(*at));
		o->n_addresses = (uint32_t)n;
		publish(c->k);
	}
	discover_set_addresses(c->d, o->addresses, o->n_addresses);
	if (!c->has_addresses) {
		c->has_addresses = true;
		read_now(c);
	}
}

static void resolve(struct timer *t);

static void on_resolved(void *owner, int err, const struct sockaddr_storage *at,
                        size_t n)
{
	struct charge *c = owner;
	uint64_t in_ms =
		(uint64_t)c->k->config->settings->upstream_resolve_interval;

	c->lookup = NULL;
	if (err == 0) {
		set_addresses(c, at, n);
	} else if (!c->has_addresses) {
		/* With addresses of before it goes on; without, it cannot. */
		char error[AUDIT_TEXT];

		snprintf(error, sizeof(error),
		         "backend %.*s: the host name has no address",
		         SPAN_ARG(name_of(c)));
		note_health(c, error);
		note_asked(c);
		in_ms = MIN(back_off(c), in_ms);
	}
	loop_timer(c->k->loop, &c->resolve, in_ms, resolve);
}

static struct sockaddr_storage address_of(const struct ip *ip, uint16_t port)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in *v4 = (void *)&at;
	struct sockaddr_in6 *v6 = (void *)&at;

	if (ip_is_v4(ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes + 12, sizeof(v4->sin_addr));
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, ip->bytes, sizeof(v6->sin6_addr));
	}
	return at;
}

static void resolve(struct timer *t)
{
	struct charge *c = CONTAINER_OF(t, struct charge, resolve);
	struct span host = snapshot_text(c->k->config, backend_of(c)->host);
	uint16_t port = (uint16_t)backend_of(c)->port;
	struct ip ip;

	if (ip_parse(host, &ip)) { /* once and for all */
		struct sockaddr_storage at = address_of(&ip, port);

		set_addresses(c, &at, 1);
		return;
	}
	c->lookup = lookup_start(c->k->lookups, host, port, on_resolved, c);
	if (!c->lookup)
		loop_timer(c->k->loop, &c->resolve, KEEPER_RETRY_MS, resolve);
}

/* --- charges come and go
 * -------------------------------------------------------- */

static bool begin_charge(struct charge *c)
{
	const struct snapshot *s = c->k->config;
	const struct backend *b = backend_of(c);
	struct discover_config config = {
		.name = name_of(c),
		.url = snapshot_text(s, b->url),
		.fields = snapshot_text(s, b->fields),
		.ca_pem = snapshot_text(s, b->ca_pem),
		.eras = b->eras,
		.connect_timeout_ms = b->connect_timeout_ms,
		.stream_idle_ms = b->stream_idle_ms,
		.timeout_ms = (uint64_t)s->settings->discovery_timeout,
		.events = &events,
		.owner = c,
	};

	c->d = discover_new(c->k->loop, c->k->fetcher, &config);
	if (!c->d)
		return false;
	c->retry_ms = KEEPER_RETRY_MS;
	loop_timer(c->k->loop, &c->resolve, 1, resolve);
	probe_later(c);
	return true;
}

/* Stop everything of it but what is known. */
static void end_charge(struct charge *c)
{
	struct loop *loop = c->k->loop;

	loop_timer_stop(loop, &c->read);
	loop_timer_stop(loop, &c->probe);
	loop_timer_stop(loop, &c->resolve);
	if (c->lookup)
		lookup_cancel(c->lookup);
	c->lookup = NULL;
	if (c->d && discover_is_reading(c->d))
		c->k->n_readings--;
	discover_free(c->d);
	c->d = NULL;
	c->waiting = c->stale = c->asked = c->failing = false;
	c->has_addresses = false;
}

static void free_charge(struct charge *c)
{
	end_charge(c);
	discover_free_known(c->known);
	free(c);
}

static struct charge *new_charge(struct keeper *k, uint32_t index)
{
	struct charge *c = calloc(1, sizeof(*c));
	struct catalog_backend *known = calloc(1, sizeof(*known));

	if (!c || !known)
		abort(); /* a few kilobytes: the process is done for */
	c->k = k;
	c->index = index;
	c->known = known;
	c->row = &k->board->backends[backend_of(c)->slot];
	/* What our predecessor found out stays until we know better. */
	if (atomic_load(&c->row->last_check_ms) == 0 ||
	    atomic_load(&c->row->health) == HEALTH_DISCONNECTED) {
		atomic_store(&c->row->health, HEALTH_PENDING);
		atomic_store(&c->row->failures_in_row, 0);
		set_error(c, "");
	}
	return c;
}

static bool same_text(const struct snapshot *a, struct ref x,
                      const struct snapshot *b, struct ref y)
{
	return span_eq(snapshot_text(a, x), snapshot_text(b, y));
}

/* Is what discovery depends on as it was? */
static bool same_backend(const struct snapshot *a, const struct backend *x,
                         const struct snapshot *b, const struct backend *y)
{
	return same_text(a, x->url, b, y->url) &&
	       same_text(a, x->fields, b, y->fields) &&
	       same_text(a, x->ca_pem, b, y->ca_pem) && x->eras == y->eras &&
	       x->connect_timeout_ms == y->connect_timeout_ms &&
	       x->stream_idle_ms == y->stream_idle_ms;
}

/* Take the charge of this name out of a list, or NULL. */
static struct charge *take_charge(struct charge **list,
                                  const struct snapshot *config,
                                  struct span name)
{
	for (struct charge **at = list; *at; at = &(*at)->next) {
		struct charge *c = *at;
		const struct backend *b = snapshot_backend(config, c->index);

		if (span_eq(snapshot_text(config, b->name), name)) {
			*at = c->next;
			return c;
		}
	}
	return NULL;
}

/* A backend that is there again: is it the same? */
static void keep_charge(struct charge *c, uint32_t index,
                        const struct snapshot *old)
{
	const struct backend *was = snapshot_backend(old, c->index);

	c->index = index;
	c->row = &c->k->board->backends[backend_of(c)->slot];
	if (same_backend(old, was, c->k->config, backend_of(c))) {
		probe_later(c);
		return;
	}
	end_charge(c);
	if (!begin_charge(c))
		abort();
}

/* A new configuration. Takes snap. */
static void adopt(struct keeper *k, struct snapshot *snap)
{
	struct snapshot *old = k->config;
	struct charge *before = k->charges;
	struct charge **last = &k->charges;

	k->config = snap;
	k->charges = NULL;
	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		struct span name =
			snapshot_text(snap, snapshot_backend(snap, i)->name);
		struct charge *c = old ? take_charge(&before, old, name) : NULL;

		if (c) {
			keep_charge(c, i, old);
		} else {
			c = new_charge(k, i);
			if (!begin_charge(c))
				abort();
		}
		c->next = NULL;
		*last = c;
		last = &c->next;
	}
	while (before) {
		struct charge *c = before;

		before = c->next;
		atomic_store(&c->row->health, HEALTH_DISCONNECTED);
		free_charge(c);
	}
	snapshot_unref(old);
	begin_waiting(k);
}

static bool has_catalog(const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->head->origins.len; i++)
		if (snapshot_origin(s, i)->eras)
			return true;
	return false;
}

/* --- the master
 * ------------------------------------------------------------------ */

static void on_snapshot(struct keeper *k, int fd)
{
	struct snapshot *snap;
	int err = fd < 0 ? -EPROTO : snapshot_open(fd, &snap);

	if (err < 0) {
		log_error("snapshot refused", LOG_ERR(err));
		return;
	}
	k->serial = MAX(k->serial, snap->head->catalog_serial);
	/* The master waits for an answer, be it the same as before. */
	snapshot_unref(k->published);
	k->published = NULL;
	k->holding = !k->begun && has_catalog(snap);
	adopt(k, snap);
	atomic_store(&k->board->keeper.state, PROCESS_SERVING);
	atomic_store(&k->board->keeper.config_generation,
	             snap->head->config_generation);
	publish_now(k);
	begin_round(k);
}

static void on_drained(struct timer *t)
{
	loop_stop(CONTAINER_OF(t, struct keeper, limit)->loop);
}

static void leave_when_idle(void *arg)
{
	struct keeper *k = arg;

	if (k->draining && fetcher_running(k->fetcher) == 0)
		loop_stop(k->loop);
}

/* End the sessions, for a moment, then go. */
static void drain(struct keeper *k)
{
	if (k->draining)
		return;
	k->draining = true;
	atomic_store(&k->board->keeper.state, PROCESS_DRAINING);
	loop_timer_stop(k->loop, &k->publish);
	while (k->charges) {
		struct charge *c = k->charges;

		k->charges = c->next;
		free_charge(c);
	}
	loop_timer(k->loop, &k->limit, KEEPER_CLOSE_MS, on_drained);
}

static void on_message(struct keeper *k, const struct control *msg, int fd)
{
	switch (msg->type) {
	case CONTROL_SNAPSHOT:
		if (!k->draining) {
			on_snapshot(k, fd);
			return; /* which took fd */
		}
		break;
	case CONTROL_LOG:
		control_apply_log(msg, fd);
		return;
	case CONTROL_REFRESH:
		for (struct charge *c = k->charges; c; c = c->next)
			if (backend_of(c)->slot == msg->number)
				read_soon(c);
		break;
	case CONTROL_DRAIN:
		drain(k);
		break;
	default: /* for workers */
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void on_control(struct source *src, uint32_t ready)
{
	struct keeper *k = CONTAINER_OF(src, struct keeper, control);
	struct control msg;
	int fd, n;

	(void)ready;
	while ((n = control_receive(src->fd, &msg, &fd)) > 0)
		on_message(k, &msg, fd);
	if (n == -EAGAIN || n == -EPROTO)
		return;
	/* The master is gone. */
	loop_remove(k->loop, src);
	drain(k);
}

static void on_beat(struct timer *t)
{
	struct keeper *k = CONTAINER_OF(t, struct keeper, beat);

	atomic_store(&k->board->keeper.beat_ms, loop_now_ms(k->loop));
	loop_timer(k->loop, &k->beat, BEAT_MS, on_beat);
}

static int keep(struct keeper *k)
{
	k->loop = loop_new();
	if (!k->loop)
		return -ENOMEM;
	k->fetcher = fetcher_new(k->loop);
	k->lookups = lookups_new(k->loop);
	if (!k->fetcher || !k->lookups)
		return -ENOMEM;

	int err = loop_add(k->loop, &k->control, EPOLLIN);
	if (err < 0)
		return err;
	on_beat(&k->beat);
	loop_on_turn(k->loop, leave_when_idle, k);
	return loop_run(k->loop);
}

int keeper_main(struct board *board, int control)
{
	struct keeper k = {
		.board = board,
		.control = { .fd = control, .on_ready = on_control },
	};

	log_process("keeper", -1);
	board_last_words(&board->keeper);

	int err = keep(&k);
	if (err < 0)
		log_error("keeper fails", LOG_ERR(err));
	atomic_store(&board->keeper.state, PROCESS_NONE);
	while (k.charges) {
		struct charge *c = k.charges;

		k.charges = c->next;
		free_charge(c);
	}
	fetcher_free(k.fetcher);
	lookups_free(k.lookups);
	if (k.loop) {
		loop_timer_stop(k.loop, &k.publish);
		loop_timer_stop(k.loop, &k.beat);
		loop_timer_stop(k.loop, &k.limit);
	}
	loop_free(k.loop);
	snapshot_unref(k.published);
	snapshot_unref(k.config);
	close(control);
	return err < 0;
}
