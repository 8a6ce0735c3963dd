#include "master/charge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/ip.h"
#include "lib/log.h"

static const struct backend *backend_of(const struct charge *c)
{
	return snapshot_backend(c->all->config, c->index);
}

static struct span name_of(const struct charge *c)
{
	return snapshot_text(c->all->config, backend_of(c)->name);
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

	assert(c->row);
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
		atomic_store(&row->latency_us,
		             c->d ? discover_latency_us(c->d) : 0);
		board_breaker_ok(row);
	}
	set_error(c, error ? error : "");
	atomic_store(&row->failures_in_row, failures);
	set_health(c, failures == 0                 ? HEALTH_HEALTHY
	              : failures < CHARGE_UNHEALTHY ? HEALTH_DEGRADED
	                                            : HEALTH_UNHEALTHY);
}

static void note_asked(struct charge *c)
{
	c->asked = true;
	c->all->on_asked(c->all);
}

/* --- reading -----------------------------------------------------------------
 */

static void begin_reading(struct charge *c)
{
	struct charges *all = c->all;

	c->waiting = c->stale = false;
	c->last_read_ms = loop_now_ms(all->loop);
	loop_timer_stop(all->loop, &c->read);
	if (!c->asked)
		set_health(c, HEALTH_CONNECTING);
	discover_set_timeout(
		c->d, (uint64_t)all->config->settings->discovery_timeout);
	all->n_readings++;
	discover_read(c->d);
}

static void begin_waiting(struct charges *all)
{
	for (struct charge *c = all->first;
	     c && all->n_readings < CHARGE_READINGS_MAX; c = c->next)
		if (c->waiting)
			begin_reading(c);
}

static void read_now(struct charge *c)
{
	if (!c->d || !c->has_addresses || c->all->draining)
		return; /* after the look-up */
	if (discover_is_reading(c->d)) {
		c->stale = true;
		return;
	}
	c->waiting = true;
	begin_waiting(c->all);
}

static void on_read_due(struct timer *t)
{
	read_now(CONTAINER_OF(t, struct charge, read));
}

static void read_in(struct charge *c, uint64_t in_ms)
{
	loop_timer(c->all->loop, &c->read, in_ms, on_read_due);
}

/* Something may have changed: after the burst, and not too often. */
static void read_soon(struct charge *c)
{
	uint64_t now_ms = loop_now_ms(c->all->loop);
	uint64_t due_ms = MAX(now_ms + CHARGE_DEBOUNCE_MS,
	                      c->last_read_ms + CHARGE_REREAD_MS);

	if (!c->d)
		return;
	if (discover_is_reading(c->d))
		c->stale = true;
	else if (!c->waiting && (!c->read.due_ms || c->read.due_ms > due_ms))
		read_in(c, due_ms - now_ms);
}

/* The next try of what failed; the time until it doubles. */
static uint64_t back_off(struct charge *c)
{
	uint64_t max_ms =
		(uint64_t)c->all->config->settings->discovery_interval;
	uint64_t in_ms = MIN(c->retry_ms, max_ms);

	c->retry_ms = MIN(2 * c->retry_ms, max_ms);
	return in_ms;
}

/* A change that was announced and is none that a list shows: what else the
 * backend means by it, clients are told; of the others they are by the lists.
 */
static void pass_on(struct charge *c, const struct catalog_backend *known)
{
	uint32_t announced = discover_announced(c->d);

	for (int kind = 0; kind < LIST_KINDS; kind++)
		if (announced & 1u << kind &&
		    discover_same_list(c->known, known, (enum list_kind)kind))
			count_own(&c->all->board->announced[kind], 1);
}

static void learn(struct charge *c, struct catalog_backend *known)
{
	bool same = discover_same_known(c->known, known);

	pass_on(c, known);
	memcpy(known->origin.addresses, c->known->origin.addresses,
	       sizeof(known->origin.addresses));
	known->origin.n_addresses = c->known->origin.n_addresses;
	discover_free_known(c->known);
	c->known = known;
	if (!same) {
		log_info("backend's lists are read",
		         LOG_SPAN("backend", name_of(c)),
		         LOG_INT("eras", known->origin.eras));
		c->all->on_catalog(c->all);
	}
}

static void on_read(struct discover *d, struct catalog_backend *known,
                    const char *error)
{
	struct charge *c = discover_owner(d);
	struct charges *all = c->all;
	uint64_t interval_ms =
		(uint64_t)all->config->settings->discovery_interval;
	uint64_t ttl_ms = discover_ttl_ms(d);

	all->n_readings--;
	c->failing = error != NULL;
	note_health(c, error);
	if (known) {
		learn(c, known);
		c->retry_ms = CHARGE_RETRY_MS;
		read_in(c, ttl_ms ? MIN(ttl_ms, interval_ms) : interval_ms);
	} else {
		read_in(c, back_off(c));
	}
	if (c->stale)
		read_soon(c);
	note_asked(c);
	begin_waiting(all);
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
		loop_timer(c->all->loop, &c->probe, in_ms, on_probe_due);
	else
		loop_timer_stop(c->all->loop, &c->probe);
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
		c->all->on_catalog(c->all);
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
		(uint64_t)c->all->config->settings->upstream_resolve_interval;

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
	loop_timer(c->all->loop, &c->resolve, in_ms, resolve);
}

static void resolve(struct timer *t)
{
	struct charge *c = CONTAINER_OF(t, struct charge, resolve);
	struct span host = snapshot_text(c->all->config, backend_of(c)->host);
	uint16_t port = (uint16_t)backend_of(c)->port;
	struct ip ip;

	if (ip_parse(host, &ip)) { /* once and for all */
		struct sockaddr_storage at = ip_sockaddr(&ip, port);

		set_addresses(c, &at, 1);
		return;
	}
	c->lookup = lookup_start(c->all->lookups, host, port, on_resolved, c);
	if (!c->lookup)
		loop_timer(c->all->loop, &c->resolve, CHARGE_RETRY_MS, resolve);
}

/* --- charges come and go
 * -------------------------------------------------------- */

/* The tools of Oracle Cloud are in the configuration: nobody is asked. */
static bool begin_own(struct charge *c)
{
	const struct snapshot *s = c->all->config;
	struct catalog_backend *known =
		catalog_own_known(snapshot_text(s, backend_of(c)->definitions));

	if (!known)
		return false;
	discover_free_known(c->known);
	c->known = known;
	note_health(c, NULL);
	c->asked = true;
	return true;
}

static bool begin_charge(struct charge *c)
{
	const struct snapshot *s = c->all->config;
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

	if (b->flags & BACKEND_OCI)
		return begin_own(c);
	c->d = discover_new(c->all->loop, c->all->fetcher, &config);
	if (!c->d)
		return false;
	c->retry_ms = CHARGE_RETRY_MS;
	loop_timer(c->all->loop, &c->resolve, 1, resolve);
	probe_later(c);
	return true;
}

/* Stop everything of it but what is known. */
static void end_charge(struct charge *c)
{
	struct loop *loop = c->all->loop;

	loop_timer_stop(loop, &c->read);
	loop_timer_stop(loop, &c->probe);
	loop_timer_stop(loop, &c->resolve);
	if (c->lookup)
		lookup_cancel(c->lookup);
	c->lookup = NULL;
	if (c->d && discover_is_reading(c->d))
		c->all->n_readings--;
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

static struct charge *new_charge(struct charges *all, uint32_t index)
{
	struct charge *c = calloc(1, sizeof(*c));
	struct catalog_backend *known = calloc(1, sizeof(*known));

	if (!c || !known)
		abort(); /* a few kilobytes: the process is done for */
	c->all = all;
	c->index = index;
	c->known = known;
	c->row = &all->board->backends[backend_of(c)->slot];
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
	       same_text(a, x->ca_pem, b, y->ca_pem) &&
	       same_text(a, x->definitions, b, y->definitions) &&
	       x->flags == y->flags && x->eras == y->eras &&
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
	c->row = &c->all->board->backends[backend_of(c)->slot];
	if (same_backend(old, was, c->all->config, backend_of(c))) {
		probe_later(c);
		return;
	}
	end_charge(c);
	if (!begin_charge(c))
		abort();
}

/* --- all of them ------------------------------------------------------------
 */

void charges_adopt(struct charges *all, struct snapshot *snap)
{
	struct snapshot *old = all->config;
	struct charge *before = all->first;
	struct charge **last = &all->first;

	all->config = snap;
	all->first = NULL;
	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		struct span name =
			snapshot_text(snap, snapshot_backend(snap, i)->name);
		struct charge *c = old ? take_charge(&before, old, name) : NULL;

		if (c) {
			keep_charge(c, i, old);
		} else {
			c = new_charge(all, i);
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
	begin_waiting(all);
}

void charges_refresh(struct charges *all, uint64_t slot)
{
	for (struct charge *c = all->first; c; c = c->next)
		if (backend_of(c)->slot == slot)
			read_soon(c);
}

bool charges_asked(const struct charges *all)
{
	for (const struct charge *c = all->first; c; c = c->next)
		if (!c->asked)
			return false;
	return true;
}

void charges_end(struct charges *all)
{
	while (all->first) {
		struct charge *c = all->first;

		all->first = c->next;
		free_charge(c);
	}
}
