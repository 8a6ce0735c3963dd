#include "proxy/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/value.h"
#include "proxy/ask.h"
#include "proxy/extension.h"

#define STREAM_LIVED_MS  5000 /* a stream that lasted this long worked */
#define CURSOR_MAX       65536
#define INSTRUCTIONS_MAX 65536

static const struct {
	const char *missing; /* when a result is not of this list */
	enum inbox_row row;
	uint32_t ability;
} lists[LIST_KINDS] = {
	[LIST_TOOLS] = { "a result without tools", INBOX_TOOLS, ABILITY_TOOLS },
	[LIST_PROMPTS] = { "a result without prompts", INBOX_PROMPTS,
	                   ABILITY_PROMPTS },
	[LIST_RESOURCES] = { "a result without resources", INBOX_RESOURCES,
	                     ABILITY_RESOURCES },
	[LIST_TEMPLATES] = { "a result without resourceTemplates",
	                     INBOX_TEMPLATES, ABILITY_RESOURCES },
};

/* Capabilities of a server; changes is the bit for a promise to announce. */
static const struct {
	struct span name;
	uint32_t ability;
	uint32_t changes;
} capabilities[] = {
	{ { "tools", 5 }, ABILITY_TOOLS, 1 },
	{ { "prompts", 7 }, ABILITY_PROMPTS, 2 },
	{ { "resources", 9 }, ABILITY_RESOURCES, 4 },
	{ { "completions", 11 }, ABILITY_COMPLETIONS, 0 },
	{ { "logging", 7 }, ABILITY_LOGGING, 0 },
};

/* Legacy versions that we can read lists in. */
static const char *const legacy_versions[] = { "2025-11-25", "2025-06-18",
	                                       "2025-03-26", "2024-11-05" };

/* A kept stream for announcements, one per era. */
struct stream {
	struct ask ask;
	struct timer retry;
	uint64_t backoff_ms;
	bool refused; /* not offered; asked again after the next reading */
};

/* What one reading has gathered so far. */
struct reading {
	struct catalog_backend *fresh;
	uint64_t ttl_ms; /* 0: none */
	size_t items, pages;
	struct buf cursor; /* raw JSON string; empty: first page */
	uint64_t cursors[DISCOVER_PAGES_MAX];
	bool is_modern, is_legacy; /* what the versions it names say */
	bool reused; /* the kept session is used: it may be gone */
};

struct discover {
	struct ask_peer peer;
	const struct discover_events *events;
	void *owner;
	char *texts;         /* owns those of peer */
	uint32_t configured; /* ERA_*, 0: auto */
	uint64_t ttl_ms;
	uint32_t eras;           /* of the last good reading */
	uint32_t changes[VIEWS]; /* announcements promised */
	uint32_t announced;      /* 1 << kind, since the last reading began, */
	uint32_t heard;          /* and before */
	bool reading;
	struct reading now;
	struct ask read, probe;
	struct stream streams[VIEWS];
	struct timer changed;      /* tells the owner, outside of everything */
	struct ask_session probed; /* of a probe */
	struct catalog_era kept;   /* what the kept session's server declared */
};

static struct discover *discover_of(const struct ask *a)
{
	return CONTAINER_OF(a->peer, struct discover, peer);
}

/* --- streams of announcements ----------------------------------------------
 */

static void open_stream(struct discover *d, enum view_era era);

static void on_changed(struct timer *t)
{
	struct discover *d = CONTAINER_OF(t, struct discover, changed);

	d->events->on_changed(d);
}

static void note_change(struct discover *d)
{
	loop_timer(d->peer.loop, &d->changed, 1, on_changed);
}

static void on_announced(struct ask_peer *p, enum list_kind kind)
{
	struct discover *d = CONTAINER_OF(p, struct discover, peer);

	d->announced |= 1u << kind;
	note_change(d);
}

static void on_retry(struct timer *t)
{
	struct stream *s = CONTAINER_OF(t, struct stream, retry);
	struct discover *d = discover_of(&s->ask);

	open_stream(d,
	            s == &d->streams[VIEW_MODERN] ? VIEW_MODERN : VIEW_LEGACY);
}

static void on_stream_end(struct ask *a, enum ask_ending how)
{
	struct stream *s = CONTAINER_OF(a, struct stream, ask);
	struct discover *d = discover_of(a);
	uint64_t lived_ms = loop_now_ms(d->peer.loop) - a->began_ms;

	if (a->open && lived_ms >= STREAM_LIVED_MS) {
		/* What was announced meanwhile is lost. */
		s->backoff_ms = DISCOVER_BACKOFF_MIN_MS;
		note_change(d);
	}
	if (!a->open && a->status == 404 && a->era == VIEW_LEGACY &&
	    d->peer.session.id[0]) {
		/* The session is gone: a reading opens another. */
		d->peer.session = (struct ask_session){ 0 };
		note_change(d);
		return;
	}
	if (!a->open && (how == ASK_STATUS || how == ASK_ERROR) &&
	    a->status < 500) {
		s->refused = true;
		if (a->era == VIEW_LEGACY && !d->reading)
			ask_end_session(&d->peer, &d->peer.session);
		return;
	}
	loop_timer(d->peer.loop, &s->retry, s->backoff_ms, on_retry);
	s->backoff_ms = MIN(2 * s->backoff_ms, DISCOVER_BACKOFF_MAX_MS);
}

static void open_stream(struct discover *d, enum view_era era)
{
	struct stream *s = &d->streams[era];
	char filter[128];

	if (s->ask.f || s->refused || !d->changes[era] ||
	    (era == VIEW_LEGACY && !d->peer.session.open))
		return;
	s->ask.on_done = on_stream_end;
	if (era == VIEW_LEGACY) {
		ask_send(&s->ask, era, ASK_GET_STREAM, SPAN(""));
		return;
	}
	snprintf(filter, sizeof(filter),
	         "\"notifications\":{\"toolsListChanged\":%s,"
	         "\"promptsListChanged\":%s,"
	         "\"resourcesListChanged\":%s}",
	         d->changes[era] & 1 ? "true" : "false",
	         d->changes[era] & 2 ? "true" : "false",
	         d->changes[era] & 4 ? "true" : "false");
	ask_send(&s->ask, era, ASK_LISTEN, span_str(filter));
}

static void close_stream(struct stream *s)
{
	ask_stop(&s->ask);
	loop_timer_stop(s->ask.peer->loop, &s->retry);
	s->backoff_ms = DISCOVER_BACKOFF_MIN_MS;
}

/* After a reading: open what is not open; end what is not used. */
static void keep_streams(struct discover *d)
{
	static const uint32_t bits[VIEWS] = {
		[VIEW_LEGACY] = ERA_LEGACY, [VIEW_MODERN] = ERA_MODERN
	};

	for (enum view_era era = 0; era < VIEWS; era++) {
		struct stream *s = &d->streams[era];

		if (!(d->eras & bits[era]) || !d->changes[era]) {
			close_stream(s);
			continue;
		}
		if (!s->retry.due_ms)
			open_stream(d, era);
	}
	if (!d->streams[VIEW_LEGACY].ask.f &&
	    !d->streams[VIEW_LEGACY].retry.due_ms)
		ask_end_session(&d->peer, &d->peer.session);
}

/* --- results ----------------------------------------------------------------
 */

static void take_versions(struct discover *d, struct span versions)
{
	struct value_iter it;
	struct span version;

	value_iter_init(&it, versions);
	while (value_array_next(&it, &version)) {
		d->now.is_modern |=
			value_string_eq(version, SPAN(ASK_MODERN_VERSION));
		for (size_t i = 0; i < ARRAY_LEN(legacy_versions); i++)
			d->now.is_legacy |= value_string_eq(
				version, span_str(legacy_versions[i]));
	}
}

static void take_error(struct ask *a, const struct span found[])
{
	if (a->code == ASK_CODE_UNSUPPORTED_VERSION &&
	    value_type(found[INBOX_SUPPORTED]) == VALUE_ARRAY)
		take_versions(discover_of(a), found[INBOX_SUPPORTED]);
}

static void take_capabilities(struct ask *a, const struct span found[])
{
	struct discover *d = discover_of(a);
	struct catalog_era *era = &d->now.fresh->eras[a->era];
	struct span all = found[INBOX_CAPABILITIES];

	d->changes[a->era] = 0;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		struct span one = value_get(all, capabilities[i].name);

		if (value_type(one) != VALUE_OBJECT)
			continue;
		era->abilities |= capabilities[i].ability;
		if (value_type(value_get(one, SPAN("listChanged"))) ==
		    VALUE_TRUE)
			d->changes[a->era] |= capabilities[i].changes;
		if (capabilities[i].ability == ABILITY_RESOURCES &&
		    value_type(value_get(one, SPAN("subscribe"))) == VALUE_TRUE)
			era->abilities |= ABILITY_SUBSCRIBE;
	}

	extension_keep(value_get(all, SPAN("extensions")), &era->extensions);
	era->abilities |= extension_abilities(buf_span(&era->extensions));

	struct span raw = found[INBOX_INSTRUCTIONS];
	if (value_type(raw) != VALUE_STRING || raw.len > INSTRUCTIONS_MAX)
		return;
	char *to = buf_reserve(&era->instructions, raw.len);
	int n = to ? value_string(raw, to, raw.len) : 0;
	if (n > 0)
		buf_commit(&era->instructions, (size_t)n);
}

static void take_discover(struct ask *a, const struct span found[])
{
	if (value_type(found[INBOX_SUPPORTED_VERSIONS]) != VALUE_ARRAY) {
		a->bad = "a result without supportedVersions";
		return;
	}
	take_versions(discover_of(a), found[INBOX_SUPPORTED_VERSIONS]);
	if (discover_of(a)->now.is_modern)
		take_capabilities(a, found);
}

static bool take_version(struct ask_session *to, struct span version)
{
	for (size_t i = 0; i < ARRAY_LEN(legacy_versions); i++) {
		if (value_string_eq(version, span_str(legacy_versions[i]))) {
			snprintf(to->version, sizeof(to->version), "%s",
			         legacy_versions[i]);
			return true;
		}
	}
	return false;
}

static void take_initialize(struct ask *a, const struct span found[])
{
	struct discover *d = discover_of(a);

	if (take_version(&d->peer.session, found[INBOX_PROTOCOL_VERSION]))
		take_capabilities(a, found);
	else
		a->bad = "with a protocol version that we do not speak";
}

static void take_probe(struct ask *a, const struct span found[])
{
	if (a->method == ASK_INITIALIZE)
		take_version(&discover_of(a)->probed,
		             found[INBOX_PROTOCOL_VERSION]);
}

/* FNV-1a, 64 bits: only to notice a cursor that came before. */
static uint64_t hash(struct span s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.at[i]) * 0x100000001b3u;
	return h;
}

static void take_cursor(struct ask *a, struct span cursor)
{
	struct reading *now = &discover_of(a)->now;
	uint64_t h = hash(cursor);

	buf_reset(&now->cursor);
	now->cursor.max = CURSOR_MAX;
	if (!cursor.at || value_type(cursor) == VALUE_NULL)
		return;
	if (value_type(cursor) != VALUE_STRING || cursor.len > CURSOR_MAX) {
		a->bad = "a nextCursor that is no string, or too long";
		return;
	}
	for (size_t i = 0; i < now->pages; i++)
		if (now->cursors[i] == h)
			a->bad = "the same nextCursor twice";
	if (now->pages == DISCOVER_PAGES_MAX) {
		a->bad = "too many pages";
		return;
	}
	now->cursors[now->pages++] = h;
	buf_add_span(&now->cursor, cursor);
}

/* Keep an item as it is, on one line: an event of ours must hold it, and white
 * space is the only place where JSON has line ends. */
static void take_item(struct buf *to, struct span item)
{
	char *at = buf_reserve(to, item.len + 1);

	if (!at)
		return;
	for (size_t i = 0; i < item.len; i++)
		at[i] = item.at[i] == '\n' || item.at[i] == '\r' ? ' '
		                                                 : item.at[i];
	at[item.len] = ',';
	buf_commit(to, item.len + 1);
}

static void take_page(struct ask *a, const struct span found[])
{
	struct discover *d = discover_of(a);
	struct reading *now = &d->now;
	struct buf *to = &now->fresh->eras[a->era].items[d->read.kind];
	struct span items = found[lists[d->read.kind].row];
	struct value_iter it;
	int64_t ttl;

	if (value_type(items) != VALUE_ARRAY) {
		a->bad = lists[d->read.kind].missing;
		return;
	}
	value_iter_init(&it, items);
	while (value_array_next(&it, &items)) {
		if (++now->items > DISCOVER_ITEMS_MAX) {
			a->bad = "too many items";
			return;
		}
		take_item(to, items);
	}
	if (buf_err(to) < 0)
		a->bad = "more than fits";
	if (value_integer(found[INBOX_TTL], &ttl) && ttl > 0 &&
	    (now->ttl_ms == 0 || (uint64_t)ttl < now->ttl_ms))
		now->ttl_ms = MAX((uint64_t)ttl, DISCOVER_TTL_MIN_MS);
	take_cursor(a, found[INBOX_NEXT_CURSOR]);
}

/* --- a reading, step by step -----------------------------------------------
 */

static void on_discovered(struct ask *a, enum ask_ending how);
static void on_initialized(struct ask *a, enum ask_ending how);
static void on_notified(struct ask *a, enum ask_ending how);
static void on_page(struct ask *a, enum ask_ending how);

static void step(struct discover *d, enum view_era era, enum ask_method method)
{
	static const struct {
		void (*on_done)(struct ask *a, enum ask_ending how);
		void (*on_result)(struct ask *a, const struct span found[]);
	} steps[] = {
		[ASK_DISCOVER] = { on_discovered, take_discover },
		[ASK_INITIALIZE] = { on_initialized, take_initialize },
		[ASK_INITIALIZED] = { on_notified, NULL },
		[ASK_LIST] = { on_page, take_page },
	};

	struct buf params = { .max = CURSOR_MAX + 64 };

	d->read.on_done = steps[method].on_done;
	d->read.on_result = steps[method].on_result;
	if (method == ASK_LIST && d->now.cursor.len)
		buf_addf(&params, "\"cursor\":%.*s",
		         SPAN_ARG(buf_span(&d->now.cursor)));
	ask_send(&d->read, era, method, buf_span(&params));
	buf_free(&params);
}

static void end_reading(struct discover *d, const char *error)
{
	struct catalog_backend *fresh = d->now.fresh;

	d->now.fresh = NULL;
	d->reading = false;
	buf_free(&d->now.cursor);
	inbox_fini(&d->read.box);
	if (error) {
		discover_free_known(fresh);
		fresh = NULL;
		if (!d->streams[VIEW_LEGACY].ask.f)
			ask_end_session(&d->peer, &d->peer.session);
	} else {
		fresh->origin.abilities = fresh->eras[VIEW_LEGACY].abilities |
		                          fresh->eras[VIEW_MODERN].abilities;
		d->eras = fresh->origin.eras;
		d->ttl_ms = d->now.ttl_ms;
		keep_streams(d);
	}
	d->events->on_read(d, fresh, error);
}

static void fail(struct ask *a, enum ask_ending how)
{
	end_reading(discover_of(a), ask_explain(a, how));
}

/* Lists of one era are all read. */
static void next_era(struct discover *d, enum view_era era);

static void read_list(struct discover *d, enum view_era era)
{
	d->now.pages = 0;
	buf_reset(&d->now.cursor);
	step(d, era, ASK_LIST);
}

static void next_list(struct discover *d, enum view_era era,
                      enum list_kind from)
{
	for (d->read.kind = from; d->read.kind < LIST_KINDS; d->read.kind++) {
		if (d->now.fresh->eras[era].abilities &
		    lists[d->read.kind].ability) {
			read_list(d, era);
			return;
		}
	}
	d->read.kind = LIST_TOOLS;
	next_era(d, era);
}

static bool may_be(const struct discover *d, uint32_t era)
{
	return d->configured == 0 || (d->configured & era);
}

static void begin_legacy(struct discover *d)
{
	if (d->peer.session.open && d->streams[VIEW_LEGACY].ask.f) {
		/* The stream's session is good for this as well. */
		struct catalog_era *era = &d->now.fresh->eras[VIEW_LEGACY];

		era->abilities = d->kept.abilities;
		buf_add_span(&era->instructions,
		             buf_span(&d->kept.instructions));
		buf_add_span(&era->extensions, buf_span(&d->kept.extensions));
		d->now.reused = true;
		step(d, VIEW_LEGACY, ASK_INITIALIZED);
		return;
	}
	close_stream(&d->streams[VIEW_LEGACY]);
	ask_end_session(&d->peer, &d->peer.session);
	d->now.reused = false;
	step(d, VIEW_LEGACY, ASK_INITIALIZE);
}

static void next_era(struct discover *d, enum view_era era)
{
	if (era == VIEW_MODERN && may_be(d, ERA_LEGACY))
		begin_legacy(d);
	else
		end_reading(d, NULL);
}

static bool is_outage(const struct ask *a, enum ask_ending how)
{
	return how == ASK_NO_ANSWER ||
	       (how == ASK_STATUS && (a->status >= 500 || a->status == 429));
}

/* Does this answer to server/discover mean "I am older than that"? (MCP
 * 2026-07-28, versioning: how a client finds out.) */
static bool means_legacy(const struct ask *a, enum ask_ending how)
{
	const struct reading *now = &discover_of(a)->now;
	bool refused_params = a->code == ASK_CODE_INVALID_PARAMS &&
	                      a->status == 400 && a->own_id;

	switch (how) {
	case ASK_RESULT:
		return now->is_legacy;
	case ASK_ERROR:
		if (a->code == ASK_CODE_UNSUPPORTED_VERSION)
			return now->is_legacy && !now->is_modern;
		return a->code != ASK_CODE_HEADER_MISMATCH &&
		       a->code != ASK_CODE_MISSING_CAPABILITY &&
		       !refused_params && a->status < 500 && a->status != 401 &&
		       a->status != 403;
	case ASK_STATUS:
		return a->status >= 400 && a->status < 500 &&
		       a->status != 401 && a->status != 403 && a->status != 429;
	case ASK_NOT_UNDERSTOOD:
		return true;
	default:
		return false;
	}
}

static void on_discovered(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);
	struct catalog_backend *fresh = d->now.fresh;

	if (how == ASK_RESULT && d->now.is_modern) {
		fresh->eras[VIEW_MODERN].known = true;
		fresh->origin.eras |= ERA_MODERN;
		open_stream(d, VIEW_MODERN);
		next_list(d, VIEW_MODERN, LIST_TOOLS);
	} else if (means_legacy(a, how) && may_be(d, ERA_LEGACY)) {
		begin_legacy(d);
	} else {
		if (how == ASK_RESULT ||
		    a->code == ASK_CODE_UNSUPPORTED_VERSION)
			a->bad = "no protocol version that we speak";
		fail(a, how);
	}
}

static void on_initialized(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);
	struct catalog_backend *fresh = d->now.fresh;
	struct catalog_era *era = &fresh->eras[VIEW_LEGACY];

	if (how != ASK_RESULT) {
		/* That it speaks the modern era alone is fine, but not that
		   it has forgotten how to speak the other for a moment. */
		bool optional = d->configured == 0 &&
		                (fresh->origin.eras & ERA_MODERN) &&
		                !(is_outage(a, how) && (d->eras & ERA_LEGACY));

		if (optional)
			end_reading(d, NULL);
		else
			fail(a, how);
		return;
	}
	d->peer.session.open = true;
	d->kept.abilities = era->abilities;
	buf_reset(&d->kept.instructions);
	buf_add_span(&d->kept.instructions, buf_span(&era->instructions));
	buf_reset(&d->kept.extensions);
	buf_add_span(&d->kept.extensions, buf_span(&era->extensions));
	step(d, VIEW_LEGACY, ASK_INITIALIZED);
}

/* The kept session is not known any more: begin another, once. */
static bool reopen(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);

	if (!d->now.reused || (how != ASK_STATUS && how != ASK_ERROR) ||
	    (a->status != 404 && a->status != 400))
		return false;
	close_stream(&d->streams[VIEW_LEGACY]);
	d->peer.session = (struct ask_session){ 0 };
	d->now.fresh->eras[VIEW_LEGACY].abilities = 0;
	buf_reset(&d->now.fresh->eras[VIEW_LEGACY].instructions);
	buf_reset(&d->now.fresh->eras[VIEW_LEGACY].extensions);
	for (int kind = 0; kind < LIST_KINDS; kind++)
		buf_reset(&d->now.fresh->eras[VIEW_LEGACY].items[kind]);
	begin_legacy(d);
	return true;
}

static void on_notified(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);
	struct catalog_backend *fresh = d->now.fresh;

	if (how != ASK_ACCEPTED && how != ASK_RESULT) {
		if (!reopen(a, how))
			fail(a, how);
		return;
	}
	fresh->eras[VIEW_LEGACY].known = true;
	fresh->origin.eras |= ERA_LEGACY;
	snprintf(fresh->legacy_version, sizeof(fresh->legacy_version), "%s",
	         d->peer.session.version);
	/* Before the lists, so that no change goes unnoticed in between. */
	open_stream(d, VIEW_LEGACY);
	next_list(d, VIEW_LEGACY, LIST_TOOLS);
}

static void on_page(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);
	bool absent = how == ASK_ERROR &&
	              a->code == ASK_CODE_METHOD_NOT_FOUND &&
	              d->read.kind != LIST_TOOLS;

	if (how == ASK_RESULT && d->now.cursor.len)
		step(d, a->era, ASK_LIST);
	else if (how == ASK_RESULT || absent)
		next_list(d, a->era, d->read.kind + 1);
	else if (a->era != VIEW_LEGACY || !reopen(a, how))
		fail(a, how);
}

void discover_read(struct discover *d)
{
	struct catalog_backend *fresh;

	if (d->reading)
		return;
	d->now.fresh = fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		abort(); /* a few hundred bytes: the process is done for */
	for (int era = 0; era < VIEWS; era++) {
		fresh->eras[era].instructions.max = INSTRUCTIONS_MAX;
		fresh->eras[era].extensions.max = EXTENSION_BYTES_MAX;
		for (int kind = 0; kind < LIST_KINDS; kind++)
			fresh->eras[era].items[kind].max =
				2 * DISCOVER_BYTES_MAX;
		d->streams[era].refused = false;
	}
	d->heard |= d->announced;
	d->announced = 0;
	d->now.ttl_ms = 0;
	d->read.taken = d->now.items = d->now.pages = 0;
	d->now.is_modern = d->now.is_legacy = d->now.reused = false;
	d->read.kind = LIST_TOOLS;
	d->reading = true;
	if (may_be(d, ERA_MODERN))
		step(d, VIEW_MODERN, ASK_DISCOVER);
	else
		begin_legacy(d);
}

/* --- probes -----------------------------------------------------------------
 */

static void on_probe_end(struct ask *a, enum ask_ending how)
{
	struct discover *d = discover_of(a);
	const char *error = NULL;

	if (a->method == ASK_INITIALIZE)
		ask_end_session(&d->peer, &d->probed);
	if (a->method == ASK_PING && a->status == 404 &&
	    d->peer.session.id[0]) {
		/* It has started anew and lost the session: that is alive. */
		d->peer.session = (struct ask_session){ 0 };
		close_stream(&d->streams[VIEW_LEGACY]);
		note_change(d);
	} else if (how != ASK_RESULT && how != ASK_ERROR) {
		error = ask_explain(a, how);
	} else if (a->status == 401 || a->status == 403 || a->status >= 500) {
		error = ask_explain(a, ASK_STATUS);
	}
	inbox_fini(&a->box);
	d->events->on_probed(d, error);
}

void discover_probe(struct discover *d)
{
	uint32_t eras = d->eras ? d->eras : d->configured;

	if (d->reading || d->probe.f || d->probe.timer.due_ms)
		return;
	d->probe.on_done = on_probe_end;
	d->probe.on_result = take_probe;
	if (eras == 0 || (eras & ERA_MODERN))
		ask_send(&d->probe, VIEW_MODERN, ASK_DISCOVER, SPAN(""));
	else if (d->peer.session.open && d->streams[VIEW_LEGACY].ask.f)
		ask_send(&d->probe, VIEW_LEGACY, ASK_PING, SPAN(""));
	else
		ask_send(&d->probe, VIEW_LEGACY, ASK_INITIALIZE, SPAN(""));
}

/* --- the reader --------------------------------------------------------------
 */

/* Copies of n texts, each with a NUL, in one piece of memory. */
static char *copy_texts(const struct span from[], char **to[], size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += from[i].len + 1;

	char *all = malloc(size), *at = all;
	for (size_t i = 0; all && i < n; i++) {
		*to[i] = at;
		if (from[i].len)
			memcpy(at, from[i].at, from[i].len);
		at[from[i].len] = '\0';
		at += from[i].len + 1;
	}
	return all;
}

struct discover *discover_new(struct loop *loop, struct fetcher *fetcher,
                              const struct discover_config *config)
{
	struct discover *d = calloc(1, sizeof(*d));
	const struct span from[] = { config->name, config->url, config->fields,
		                     config->ca_pem };
	if (!d)
		return NULL;

	char **to[] = { &d->peer.name, &d->peer.url, &d->peer.fields,
		        &d->peer.ca_pem };
	d->texts = copy_texts(from, to, ARRAY_LEN(from));
	if (!d->texts) {
		free(d);
		return NULL;
	}
	d->peer.loop = loop;
	d->peer.fetcher = fetcher;
	d->peer.on_announced = on_announced;
	d->events = config->events;
	d->owner = config->owner;
	d->configured = config->eras;
	d->peer.connect_timeout_ms = config->connect_timeout_ms;
	d->peer.stream_idle_ms = config->stream_idle_ms;
	d->peer.timeout_ms = config->timeout_ms;
	d->kept.instructions.max = INSTRUCTIONS_MAX;
	d->kept.extensions.max = EXTENSION_BYTES_MAX;
	d->read.peer = d->probe.peer = &d->peer;
	d->read.opens = &d->peer.session;
	d->probe.opens = &d->probed;
	d->read.on_error = take_error;
	d->read.max_taken = DISCOVER_BYTES_MAX;
	for (int era = 0; era < VIEWS; era++) {
		d->streams[era].ask.peer = &d->peer;
		d->streams[era].ask.opens = &d->peer.session;
		d->streams[era].backoff_ms = DISCOVER_BACKOFF_MIN_MS;
	}
	return d;
}

void discover_free(struct discover *d)
{
	if (!d)
		return;
	ask_stop(&d->read);
	ask_stop(&d->probe);
	inbox_fini(&d->read.box);
	inbox_fini(&d->probe.box);
	for (int era = 0; era < VIEWS; era++) {
		close_stream(&d->streams[era]);
		inbox_fini(&d->streams[era].ask.box);
	}
	loop_timer_stop(d->peer.loop, &d->changed);
	ask_end_session(&d->peer, &d->peer.session);
	ask_end_session(&d->peer, &d->probed);
	discover_free_known(d->now.fresh);
	buf_free(&d->now.cursor);
	buf_free(&d->kept.instructions);
	buf_free(&d->kept.extensions);
	free(d->texts);
	free(d);
}

void *discover_owner(const struct discover *d)
{
	return d->owner;
}

void discover_set_addresses(struct discover *d,
                            const struct sockaddr_storage *at, size_t n)
{
	d->peer.n_addresses = MIN(n, ARRAY_LEN(d->peer.addresses));
	memcpy(d->peer.addresses, at, d->peer.n_addresses * sizeof(*at));
}

void discover_set_timeout(struct discover *d, uint64_t timeout_ms)
{
	d->peer.timeout_ms = timeout_ms;
}

bool discover_is_reading(const struct discover *d)
{
	return d->reading;
}

uint32_t discover_latency_us(const struct discover *d)
{
	return d->peer.latency_us;
}

uint64_t discover_ttl_ms(const struct discover *d)
{
	return d->ttl_ms;
}

uint32_t discover_announced(struct discover *d)
{
	uint32_t heard = d->heard;

	d->heard = 0;
	return heard;
}

static bool same_items(const struct catalog_backend *a,
                       const struct catalog_backend *b, enum list_kind kind)
{
	bool same = true;

	for (int era = 0; era < VIEWS; era++)
		same = same && span_eq(buf_span(&a->eras[era].items[kind]),
		                       buf_span(&b->eras[era].items[kind]));
	return same;
}

bool discover_same_list(const struct catalog_backend *a,
                        const struct catalog_backend *b, enum list_kind kind)
{
	return same_items(a, b, kind) &&
	       (kind != LIST_RESOURCES || same_items(a, b, LIST_TEMPLATES));
}

bool discover_same_known(const struct catalog_backend *a,
                         const struct catalog_backend *b)
{
	bool same = a->origin.eras == b->origin.eras &&
	            strcmp(a->legacy_version, b->legacy_version) == 0;

	for (int era = 0; era < VIEWS && same; era++) {
		const struct catalog_era *x = &a->eras[era], *y = &b->eras[era];

		same = x->known == y->known && x->abilities == y->abilities &&
		       span_eq(buf_span(&x->instructions),
		               buf_span(&y->instructions)) &&
		       span_eq(buf_span(&x->extensions),
		               buf_span(&y->extensions));
	}
	for (int kind = 0; kind < LIST_KINDS && same; kind++)
		same = same_items(a, b, (enum list_kind)kind);
	return same;
}

void discover_free_known(struct catalog_backend *known)
{
	if (!known)
		return;
	for (int era = 0; era < VIEWS; era++) {
		buf_free(&known->eras[era].instructions);
		buf_free(&known->eras[era].extensions);
		for (int kind = 0; kind < LIST_KINDS; kind++)
			buf_free(&known->eras[era].items[kind]);
	}
	free(known);
}
