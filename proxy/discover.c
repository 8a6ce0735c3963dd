#include "proxy/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/scan.h"
#include "lib/version.h"
#include "proxy/inbox.h"

#define MODERN_VERSION "2026-07-28"
#define LEGACY_OFFER   "2025-11-25"
#define CLIENT_INFO    "{\"name\":\"oci-mcp-gateway\",\"version\":\"" VERSION "\"}"

/* The metadata of every modern request. */
#define META                                                      \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":" \
	"\"" MODERN_VERSION "\","                                 \
	"\"io.modelcontextprotocol/clientInfo\":" CLIENT_INFO "," \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"

#define LINGER_MS        100  /* for a body to end behind its answer */
#define STREAM_LIVED_MS  5000 /* a stream that lasted this long worked */
#define REPLY_TIMEOUT_MS 5000 /* for what nobody waits for */
#define CURSOR_MAX       65536
#define INSTRUCTIONS_MAX 65536
#define WHY_MAX          200 /* bytes of a reason ... */
#define WHAT_MAX         256 /* ... with words around it ... */
#define ERROR_MAX        512 /* ... and the backend's name */
#define FIELDS_MAX       131072

/* JSON-RPC codes that only a modern server has (MCP 2026-07-28). */
#define CODE_HEADER_MISMATCH     (-32020)
#define CODE_MISSING_CAPABILITY  (-32021)
#define CODE_UNSUPPORTED_VERSION (-32022)
#define CODE_METHOD_NOT_FOUND    (-32601)
#define CODE_INVALID_PARAMS      (-32602)

enum method {
	DISCOVER,
	INITIALIZE,
	INITIALIZED,
	LIST, /* and which, that is in discover.kind */
	PING,
	LISTEN,
	GET_STREAM,
};

static const char *const methods[] = {
	[DISCOVER] = "server/discover",
	[INITIALIZE] = "initialize",
	[INITIALIZED] = "notifications/initialized",
	[LIST] = "",
	[PING] = "ping",
	[LISTEN] = "subscriptions/listen",
	[GET_STREAM] = "GET",
};

static const struct {
	const char *method;
	const char *missing; /* when a result is not of this list */
	enum inbox_row row;
	uint32_t ability;
} lists[LIST_KINDS] = {
	[LIST_TOOLS] = { "tools/list", "a result without tools", INBOX_TOOLS,
	                 ABILITY_TOOLS },
	[LIST_PROMPTS] = { "prompts/list", "a result without prompts",
	                   INBOX_PROMPTS, ABILITY_PROMPTS },
	[LIST_RESOURCES] = { "resources/list", "a result without resources",
	                     INBOX_RESOURCES, ABILITY_RESOURCES },
	[LIST_TEMPLATES] = { "resources/templates/list",
	                     "a result without resourceTemplates",
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

/* How an exchange ended, the more favourable last. */
enum ending {
	NO_ANSWER, /* the network, or a timeout */
	NOT_UNDERSTOOD,
	STATUS, /* an HTTP status that says enough */
	ERROR,  /* of JSON-RPC */
	RESULT,
	ACCEPTED, /* 2xx to a notification */
};

/* One HTTP request and its answer, or a kept stream. */
struct ask {
	struct discover *d;
	struct fetch *f; /* NULL: none under way */
	void (*on_done)(struct ask *a, enum ending how);
	void (*on_result)(struct ask *a, const struct span found[]);
	struct inbox box;
	struct timer timer;
	enum view_era era;
	enum method method;
	uint32_t id;
	int status;
	bool open;     /* a stream: its head came, and it is one */
	bool answered; /* our message came, */
	bool own_id;   /* with our id in it */
	bool is_error; /* ... and was an error: */
	int64_t code;
	const char *bad; /* ... or a result of no use; a constant */
	uint64_t began_us, began_ms;
	char why[WHY_MAX]; /* of the network */
};

/* A kept stream for announcements, one per era. */
struct stream {
	struct ask ask;
	struct timer retry;
	uint64_t backoff_ms;
	bool refused; /* not offered; asked again after the next reading */
};

/* A legacy session. */
struct session {
	bool open;                         /* initialized */
	char id[DISCOVER_SESSION_MAX + 1]; /* "": it gave none */
	char version[16];                  /* negotiated */
};

/* What one reading has gathered so far. */
struct reading {
	struct catalog_backend *fresh;
	uint64_t ttl_ms; /* 0: none */
	size_t bytes, items, pages;
	struct buf cursor; /* raw JSON string; empty: first page */
	uint64_t cursors[DISCOVER_PAGES_MAX];
	bool is_modern, is_legacy; /* what the versions it names say */
	bool reused; /* the kept session is used: it may be gone */
};

struct discover {
	struct loop *loop;
	struct fetcher *fetcher;
	const struct discover_events *events;
	void *owner;
	char *texts; /* owns the next four */
	char *name, *url, *fields, *ca_pem;
	struct sockaddr_storage addresses[FETCH_ADDRESSES_MAX];
	size_t n_addresses;
	uint32_t configured; /* ERA_*, 0: auto */
	uint32_t connect_timeout_ms, stream_idle_ms;
	uint64_t timeout_ms;
	uint32_t next_id;
	uint32_t latency_us;
	uint64_t ttl_ms;
	uint32_t eras;           /* of the last good reading */
	uint32_t changes[VIEWS]; /* announcements promised */
	enum list_kind kind;     /* being read */
	bool reading;
	struct reading now;
	struct ask read, probe;
	struct stream streams[VIEWS];
	struct timer changed;    /* tells the owner, outside of everything */
	struct session session;  /* kept while it has a stream */
	struct session probed;   /* of a probe */
	struct catalog_era kept; /* what the kept session's server declared */
	char error[ERROR_MAX];
};

/* --- sentences -------------------------------------------------------------
 */

static const char *method_name(const struct ask *a)
{
	return a->method == LIST ? lists[a->d->kind].method
	                         : methods[a->method];
}

/* "backend NAME: METHOD ..." */
static const char *complain(const struct ask *a, const char *what)
{
	struct discover *d = a->d;

	snprintf(d->error, sizeof(d->error), "backend %s: %s %s", d->name,
	         method_name(a), what);
	return d->error;
}

static const char *explain(const struct ask *a, enum ending how)
{
	char what[WHAT_MAX];

	if (a->bad)
		snprintf(what, sizeof(what), "answered %s", a->bad);
	else if (how == ERROR)
		snprintf(what, sizeof(what), "answered JSON-RPC error %lld",
		         (long long)a->code);
	else if (how == STATUS && (a->status == 401 || a->status == 403))
		snprintf(what, sizeof(what),
		         "answered HTTP %d: the credentials are missing or "
		         "not accepted",
		         a->status);
	else if (how == STATUS)
		snprintf(what, sizeof(what), "answered HTTP %d", a->status);
	else if (how == NO_ANSWER)
		snprintf(what, sizeof(what), "failed: %s", a->why);
	else if (a->box.bad)
		snprintf(what, sizeof(what), "answered no good JSON: %s",
		         a->box.bad);
	else
		snprintf(what, sizeof(what),
		         "answered HTTP %d without a JSON-RPC answer",
		         a->status);
	return complain(a, what);
}

/* --- one exchange ----------------------------------------------------------
 */

static void stop(struct ask *a)
{
	if (a->f)
		fetch_cancel(a->f);
	a->f = NULL;
	loop_timer_stop(a->d->loop, &a->timer);
}

static enum ending ending_of(const struct ask *a)
{
	if (a->answered && !a->bad)
		return a->is_error ? ERROR : RESULT;
	if (a->status >= 200 && a->status <= 299)
		return a->method == INITIALIZED ? ACCEPTED : NOT_UNDERSTOOD;
	return a->bad ? NOT_UNDERSTOOD : STATUS;
}

/* The owner may free d in on_done: nothing of a is looked at after it. */
static void finish(struct ask *a, enum ending how)
{
	stop(a);
	a->on_done(a, how);
}

static void on_linger(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	finish(a, ending_of(a));
}

static void on_late(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	snprintf(a->why, sizeof(a->why), "no whole answer in %llu ms",
	         (unsigned long long)a->d->timeout_ms);
	finish(a, NO_ANSWER);
}

static void on_unsendable(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	snprintf(a->why, sizeof(a->why), "the request cannot be sent");
	finish(a, NO_ANSWER);
}

static bool is_stream(const struct ask *a)
{
	return a->method == LISTEN || a->method == GET_STREAM;
}

static void on_changed(struct timer *t)
{
	struct discover *d = CONTAINER_OF(t, struct discover, changed);

	d->events->on_changed(d);
}

static void note_change(struct discover *d)
{
	loop_timer(d->loop, &d->changed, 1, on_changed);
}

static void hear(struct discover *d, struct span method)
{
	static const struct span changes[] = {
		{ "notifications/tools/list_changed", 32 },
		{ "notifications/prompts/list_changed", 34 },
		{ "notifications/resources/list_changed", 36 },
	};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (scan_string_eq(method, changes[i]))
			note_change(d);
}

static void answer_request(struct ask *a, struct span id, struct span method);

/* An error without an id, or with null, belongs to the request that the
 * answer's status refuses (MCP, transports: errors of the transport). */
static bool is_ours(struct ask *a, const struct span found[])
{
	int64_t id;

	if (scan_integer(found[INBOX_ID], &id)) {
		a->own_id = id == a->id;
		return a->own_id;
	}
	return found[INBOX_ERROR].at && a->status >= 400 &&
	       (!found[INBOX_ID].at || scan_type(found[INBOX_ID]) == SCAN_NULL);
}

static void take_error(struct ask *a, const struct span found[]);

static void on_message(struct inbox *box, const struct span found[])
{
	struct ask *a = CONTAINER_OF(box, struct ask, box);
	struct discover *d = a->d;

	if (found[INBOX_METHOD].at) {
		if (found[INBOX_ID].at)
			answer_request(a, found[INBOX_ID], found[INBOX_METHOD]);
		else
			hear(d, found[INBOX_METHOD]);
		return;
	}
	if (a->answered || !is_ours(a, found))
		return;
	a->answered = true;
	if (a == &d->probe || a->method == DISCOVER || a->method == INITIALIZE)
		d->latency_us = (uint32_t)MIN(clock_mono_us() - a->began_us,
		                              UINT32_MAX);
	if (found[INBOX_ERROR].at) {
		take_error(a, found);
	} else if (scan_type(found[INBOX_RESULT]) != SCAN_OBJECT) {
		a->bad = "a result that is no object";
	} else if (found[INBOX_RESULT_TYPE].at &&
	           !scan_string_eq(found[INBOX_RESULT_TYPE],
	                           SPAN("complete"))) {
		a->bad = "a result of an unknown type";
	} else if (a->on_result) {
		a->on_result(a, found);
	}
}

/* A legacy session begins (MCP 2025-11-25, session management). */
static void take_session(struct ask *a, struct span id)
{
	struct session *to = a == &a->d->probe ? &a->d->probed : &a->d->session;

	to->id[0] = '\0';
	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] <= 0x20 || id.at[i] >= 0x7f)
			a->bad = "an unusable session identifier";
	if (id.len > DISCOVER_SESSION_MAX)
		a->bad = "an unusable session identifier";
	if (!a->bad)
		snprintf(to->id, sizeof(to->id), "%.*s", SPAN_ARG(id));
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct ask *a = fetch_owner(f);

	a->status = head->status;
	if (is_stream(a) && head->status == 200) {
		a->open = true;
		fetch_set_idle(f, a->d->stream_idle_ms);
	}
	if (a->method == INITIALIZE)
		take_session(a, head->mcp_session_id);
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct ask *a = fetch_owner(f);
	bool before = a->answered;

	if (a == &a->d->read)
		a->d->now.bytes += body.len;
	if (!a->bad &&
	    (!inbox_feed(&a->box, body) ||
	     (a == &a->d->read && a->d->now.bytes > DISCOVER_BYTES_MAX)))
		a->bad = "more than fits";
	if (a->bad)
		finish(a, ending_of(a));
	/* Nobody has to end an event stream behind the answer in it. */
	else if (!before && a->answered && a->box.form == INBOX_EVENTS &&
	         !is_stream(a))
		loop_timer(a->d->loop, &a->timer, LINGER_MS, on_linger);
	return body.len;
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct ask *a = fetch_owner(f);

	a->f = NULL;
	if (err == 0)
		inbox_end(&a->box);
	if (err < 0 && !a->answered && !a->bad) {
		snprintf(a->why, sizeof(a->why), "%s", sentence);
		finish(a, NO_ANSWER);
	} else {
		finish(a, ending_of(a));
	}
}

static const struct fetch_events ask_events = { on_head, on_body, on_end };

static void add_fields(const struct discover *d, const struct ask *a,
                       struct buf *out)
{
	bool session = a->era == VIEW_LEGACY && a->method != INITIALIZE;

	buf_puts(out, "User-Agent: oci-mcp-gateway/" VERSION "\r\n");
	if (a->method == GET_STREAM)
		buf_puts(out, "Accept: text/event-stream\r\n");
	else
		buf_puts(out, "Content-Type: application/json\r\n"
		              "Accept: application/json, "
		              "text/event-stream\r\n");
	if (a->era == VIEW_MODERN)
		buf_addf(out,
		         "MCP-Protocol-Version: " MODERN_VERSION "\r\n"
		         "Mcp-Method: %s\r\n",
		         method_name(a));
	if (session && d->session.version[0])
		buf_addf(out, "MCP-Protocol-Version: %s\r\n",
		         d->session.version);
	if (session && d->session.id[0])
		buf_addf(out, "Mcp-Session-Id: %s\r\n", d->session.id);
	buf_puts(out, d->fields);
}

static struct fetch_request request(const struct discover *d)
{
	return (struct fetch_request){
		.url = span_str(d->url),
		.ca_pem = span_str(d->ca_pem),
		.addresses = d->addresses,
		.n_addresses = d->n_addresses,
		.connect_timeout_ms = d->connect_timeout_ms,
	};
}

/* Send body, or nothing; the answer comes to on_done. */
static void start(struct ask *a, struct buf *body)
{
	struct discover *d = a->d;
	struct fetch_request req = request(d);
	struct buf fields = { .max = FIELDS_MAX };

	assert(!a->f);
	inbox_fini(&a->box);
	a->box.max = is_stream(a) ? DISCOVER_EVENT_MAX : DISCOVER_BYTES_MAX;
	a->box.on_message = on_message;
	a->status = 0;
	a->answered = a->own_id = a->is_error = a->open = false;
	a->bad = NULL;
	a->why[0] = '\0';
	a->began_us = clock_mono_us();
	a->began_ms = loop_now_ms(d->loop);
	add_fields(d, a, &fields);
	req.method = a->method == GET_STREAM ? SPAN("GET") : SPAN("POST");
	req.fields = buf_span(&fields);
	req.body = buf_span(body);
	req.repeatable = true; /* nothing of this changes the backend */
	req.answer_timeout_ms = is_stream(a) ? d->stream_idle_ms : 0;
	req.events = &ask_events;
	req.owner = a;
	if (buf_err(&fields) == 0 && buf_err(body) == 0)
		a->f = fetch_start(d->fetcher, &req);
	if (!a->f)
		loop_timer(d->loop, &a->timer, 1, on_unsendable);
	else if (!is_stream(a))
		loop_timer(d->loop, &a->timer, d->timeout_ms, on_late);
	buf_free(&fields);
	buf_free(body);
}

/* Ask without parameters, but a cursor or a filter. */
static void ask(struct ask *a, enum view_era era, enum method method)
{
	struct discover *d = a->d;
	struct buf body = { .max = CURSOR_MAX + 4096 };

	a->era = era;
	a->method = method;
	a->id = ++d->next_id;
	if (method == GET_STREAM) {
		start(a, &body);
		return;
	}
	buf_puts(&body, "{\"jsonrpc\":\"2.0\",");
	if (method != INITIALIZED)
		buf_addf(&body, "\"id\":%u,", a->id);
	buf_addf(&body, "\"method\":\"%s\",\"params\":{", method_name(a));
	if (era == VIEW_MODERN)
		buf_puts(&body, META);
	if (method == INITIALIZE)
		buf_puts(&body,
		         "\"protocolVersion\":\"" LEGACY_OFFER "\","
		         "\"capabilities\":{},\"clientInfo\":" CLIENT_INFO);
	if (method == LIST && d->now.cursor.len)
		buf_addf(&body, "%s\"cursor\":%.*s",
		         era == VIEW_MODERN ? "," : "",
		         SPAN_ARG(buf_span(&d->now.cursor)));
	if (method == LISTEN)
		buf_addf(&body,
		         ",\"notifications\":{\"toolsListChanged\":%s,"
		         "\"promptsListChanged\":%s,"
		         "\"resourcesListChanged\":%s}",
		         d->changes[era] & 1 ? "true" : "false",
		         d->changes[era] & 2 ? "true" : "false",
		         d->changes[era] & 4 ? "true" : "false");
	buf_puts(&body, "}}");
	start(a, &body);
}

/* --- what nobody waits for -------------------------------------------------
 */

static size_t drop_body(struct fetch *f, struct span body)
{
	(void)f;
	return body.len;
}

static void drop_end(struct fetch *f, int err, const char *sentence)
{
	(void)f;
	(void)err;
	(void)sentence;
}

static const struct fetch_events errand_events = { NULL, drop_body, drop_end };

static void send_errand(struct discover *d, const char *method,
                        const struct session *session, const struct buf *body)
{
	struct fetch_request req = request(d);
	struct buf fields = { .max = FIELDS_MAX };

	buf_puts(&fields, "User-Agent: oci-mcp-gateway/" VERSION "\r\n"
	                  "Accept: application/json, text/event-stream\r\n");
	if (body->len)
		buf_puts(&fields, "Content-Type: application/json\r\n");
	if (session->version[0])
		buf_addf(&fields, "MCP-Protocol-Version: %s\r\n",
		         session->version);
	if (session->id[0])
		buf_addf(&fields, "Mcp-Session-Id: %s\r\n", session->id);
	buf_puts(&fields, d->fields);
	req.method = span_str(method);
	req.fields = buf_span(&fields);
	req.body = buf_span(body);
	req.answer_timeout_ms = REPLY_TIMEOUT_MS;
	req.idle_timeout_ms = REPLY_TIMEOUT_MS;
	req.max_bytes = DISCOVER_EVENT_MAX;
	req.events = &errand_events;
	if (buf_err(&fields) == 0)
		(void)fetch_start(d->fetcher, &req);
	buf_free(&fields);
}

/* A request of the server's: it may want to know that we live (ping); all else
 * we have declared not to be able to. */
static void answer_request(struct ask *a, struct span id, struct span method)
{
	struct discover *d = a->d;
	struct buf body = { .max = 4096 };

	if (a->era != VIEW_LEGACY || !d->session.open || id.len > 256)
		return;
	buf_addf(&body, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,", SPAN_ARG(id));
	if (scan_string_eq(method, SPAN("ping")))
		buf_puts(&body, "\"result\":{}}");
	else
		buf_addf(&body,
		         "\"error\":{\"code\":%d,\"message\":"
		         "\"Method not found\"}}",
		         CODE_METHOD_NOT_FOUND);
	if (buf_err(&body) == 0)
		send_errand(d, "POST", &d->session, &body);
	buf_free(&body);
}

static void end_session(struct discover *d, struct session *session)
{
	struct buf nothing = { 0 };

	if (session->id[0])
		send_errand(d, "DELETE", session, &nothing);
	*session = (struct session){ 0 };
}

/* --- streams of announcements ----------------------------------------------
 */

static void open_stream(struct discover *d, enum view_era era);

static void on_retry(struct timer *t)
{
	struct stream *s = CONTAINER_OF(t, struct stream, retry);

	open_stream(s->ask.d, s == &s->ask.d->streams[VIEW_MODERN]
	                              ? VIEW_MODERN
	                              : VIEW_LEGACY);
}

static void on_stream_end(struct ask *a, enum ending how)
{
	struct stream *s = CONTAINER_OF(a, struct stream, ask);
	struct discover *d = a->d;
	uint64_t lived_ms = loop_now_ms(d->loop) - a->began_ms;

	if (a->open && lived_ms >= STREAM_LIVED_MS) {
		/* What was announced meanwhile is lost. */
		s->backoff_ms = DISCOVER_BACKOFF_MIN_MS;
		note_change(d);
	}
	if (!a->open && a->status == 404 && a->era == VIEW_LEGACY &&
	    d->session.id[0]) {
		/* The session is gone: a reading opens another. */
		d->session = (struct session){ 0 };
		note_change(d);
		return;
	}
	if (!a->open && (how == STATUS || how == ERROR) && a->status < 500) {
		s->refused = true;
		if (a->era == VIEW_LEGACY && !d->reading)
			end_session(d, &d->session);
		return;
	}
	loop_timer(d->loop, &s->retry, s->backoff_ms, on_retry);
	s->backoff_ms = MIN(2 * s->backoff_ms, DISCOVER_BACKOFF_MAX_MS);
}

static void open_stream(struct discover *d, enum view_era era)
{
	struct stream *s = &d->streams[era];

	if (s->ask.f || s->refused || !d->changes[era] ||
	    (era == VIEW_LEGACY && !d->session.open))
		return;
	s->ask.on_done = on_stream_end;
	ask(&s->ask, era, era == VIEW_MODERN ? LISTEN : GET_STREAM);
}

static void close_stream(struct stream *s)
{
	stop(&s->ask);
	loop_timer_stop(s->ask.d->loop, &s->retry);
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
		end_session(d, &d->session);
}

/* --- results ----------------------------------------------------------------
 */

static void take_versions(struct discover *d, struct span versions)
{
	struct scan_iter it;
	struct span version;

	scan_iter_init(&it, versions);
	while (scan_array_next(&it, &version)) {
		d->now.is_modern |=
			scan_string_eq(version, SPAN(MODERN_VERSION));
		for (size_t i = 0; i < ARRAY_LEN(legacy_versions); i++)
			d->now.is_legacy |= scan_string_eq(
				version, span_str(legacy_versions[i]));
	}
}

static void take_error(struct ask *a, const struct span found[])
{
	a->is_error = true;
	if (!scan_integer(found[INBOX_CODE], &a->code))
		a->bad = "an error without a code";
	if (a == &a->d->read && a->code == CODE_UNSUPPORTED_VERSION &&
	    scan_type(found[INBOX_SUPPORTED]) == SCAN_ARRAY)
		take_versions(a->d, found[INBOX_SUPPORTED]);
}

static void take_capabilities(struct ask *a, const struct span found[])
{
	struct discover *d = a->d;
	struct catalog_era *era = &d->now.fresh->eras[a->era];
	struct span all = found[INBOX_CAPABILITIES];

	d->changes[a->era] = 0;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		struct span one = scan_get(all, capabilities[i].name);

		if (scan_type(one) != SCAN_OBJECT)
			continue;
		era->abilities |= capabilities[i].ability;
		if (scan_type(scan_get(one, SPAN("listChanged"))) == SCAN_TRUE)
			d->changes[a->era] |= capabilities[i].changes;
		if (capabilities[i].ability == ABILITY_RESOURCES &&
		    scan_type(scan_get(one, SPAN("subscribe"))) == SCAN_TRUE)
			era->abilities |= ABILITY_SUBSCRIBE;
	}

	struct span raw = found[INBOX_INSTRUCTIONS];
	if (scan_type(raw) != SCAN_STRING || raw.len > INSTRUCTIONS_MAX)
		return;
	char *to = buf_reserve(&era->instructions, raw.len);
	int n = to ? scan_string(raw, to, raw.len) : 0;
	if (n > 0)
		buf_commit(&era->instructions, (size_t)n);
}

static void take_discover(struct ask *a, const struct span found[])
{
	if (scan_type(found[INBOX_SUPPORTED_VERSIONS]) != SCAN_ARRAY) {
		a->bad = "a result without supportedVersions";
		return;
	}
	take_versions(a->d, found[INBOX_SUPPORTED_VERSIONS]);
	if (a->d->now.is_modern)
		take_capabilities(a, found);
}

static bool take_version(struct session *to, struct span version)
{
	for (size_t i = 0; i < ARRAY_LEN(legacy_versions); i++) {
		if (scan_string_eq(version, span_str(legacy_versions[i]))) {
			snprintf(to->version, sizeof(to->version), "%s",
			         legacy_versions[i]);
			return true;
		}
	}
	return false;
}

static void take_initialize(struct ask *a, const struct span found[])
{
	struct discover *d = a->d;

	if (take_version(&d->session, found[INBOX_PROTOCOL_VERSION]))
		take_capabilities(a, found);
	else
		a->bad = "with a protocol version that we do not speak";
}

static void take_probe(struct ask *a, const struct span found[])
{
	if (a->method == INITIALIZE)
		take_version(&a->d->probed, found[INBOX_PROTOCOL_VERSION]);
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
	struct reading *now = &a->d->now;
	uint64_t h = hash(cursor);

	buf_reset(&now->cursor);
	now->cursor.max = CURSOR_MAX;
	if (!cursor.at || scan_type(cursor) == SCAN_NULL)
		return;
	if (scan_type(cursor) != SCAN_STRING || cursor.len > CURSOR_MAX) {
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
	struct discover *d = a->d;
	struct reading *now = &d->now;
	struct buf *to = &now->fresh->eras[a->era].items[d->kind];
	struct span items = found[lists[d->kind].row];
	struct scan_iter it;
	int64_t ttl;

	if (scan_type(items) != SCAN_ARRAY) {
		a->bad = lists[d->kind].missing;
		return;
	}
	scan_iter_init(&it, items);
	while (scan_array_next(&it, &items)) {
		if (++now->items > DISCOVER_ITEMS_MAX) {
			a->bad = "too many items";
			return;
		}
		take_item(to, items);
	}
	if (buf_err(to) < 0)
		a->bad = "more than fits";
	if (scan_integer(found[INBOX_TTL], &ttl) && ttl > 0 &&
	    (now->ttl_ms == 0 || (uint64_t)ttl < now->ttl_ms))
		now->ttl_ms = MAX((uint64_t)ttl, DISCOVER_TTL_MIN_MS);
	take_cursor(a, found[INBOX_NEXT_CURSOR]);
}

/* --- a reading, step by step -----------------------------------------------
 */

static void on_discovered(struct ask *a, enum ending how);
static void on_initialized(struct ask *a, enum ending how);
static void on_notified(struct ask *a, enum ending how);
static void on_page(struct ask *a, enum ending how);

static void step(struct discover *d, enum view_era era, enum method method)
{
	static const struct {
		void (*on_done)(struct ask *a, enum ending how);
		void (*on_result)(struct ask *a, const struct span found[]);
	} steps[] = {
		[DISCOVER] = { on_discovered, take_discover },
		[INITIALIZE] = { on_initialized, take_initialize },
		[INITIALIZED] = { on_notified, NULL },
		[LIST] = { on_page, take_page },
	};

	d->read.on_done = steps[method].on_done;
	d->read.on_result = steps[method].on_result;
	ask(&d->read, era, method);
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
			end_session(d, &d->session);
	} else {
		fresh->origin.abilities = fresh->eras[VIEW_LEGACY].abilities |
		                          fresh->eras[VIEW_MODERN].abilities;
		d->eras = fresh->origin.eras;
		d->ttl_ms = d->now.ttl_ms;
		keep_streams(d);
	}
	d->events->on_read(d, fresh, error);
}

static void fail(struct ask *a, enum ending how)
{
	end_reading(a->d, explain(a, how));
}

/* Lists of one era are all read. */
static void next_era(struct discover *d, enum view_era era);

static void read_list(struct discover *d, enum view_era era)
{
	d->now.pages = 0;
	buf_reset(&d->now.cursor);
	step(d, era, LIST);
}

static void next_list(struct discover *d, enum view_era era,
                      enum list_kind from)
{
	for (d->kind = from; d->kind < LIST_KINDS; d->kind++) {
		if (d->now.fresh->eras[era].abilities &
		    lists[d->kind].ability) {
			read_list(d, era);
			return;
		}
	}
	d->kind = LIST_TOOLS;
	next_era(d, era);
}

static bool may_be(const struct discover *d, uint32_t era)
{
	return d->configured == 0 || (d->configured & era);
}

static void begin_legacy(struct discover *d)
{
	if (d->session.open && d->streams[VIEW_LEGACY].ask.f) {
		/* The stream's session is good for this as well. */
		struct catalog_era *era = &d->now.fresh->eras[VIEW_LEGACY];

		era->abilities = d->kept.abilities;
		buf_add_span(&era->instructions,
		             buf_span(&d->kept.instructions));
		d->now.reused = true;
		step(d, VIEW_LEGACY, INITIALIZED);
		return;
	}
	close_stream(&d->streams[VIEW_LEGACY]);
	end_session(d, &d->session);
	d->now.reused = false;
	step(d, VIEW_LEGACY, INITIALIZE);
}

static void next_era(struct discover *d, enum view_era era)
{
	if (era == VIEW_MODERN && may_be(d, ERA_LEGACY))
		begin_legacy(d);
	else
		end_reading(d, NULL);
}

static bool is_outage(const struct ask *a, enum ending how)
{
	return how == NO_ANSWER ||
	       (how == STATUS && (a->status >= 500 || a->status == 429));
}

/* Does this answer to server/discover mean "I am older than that"? (MCP
 * 2026-07-28, versioning: how a client finds out.) */
static bool means_legacy(const struct ask *a, enum ending how)
{
	const struct reading *now = &a->d->now;
	bool refused_params =
		a->code == CODE_INVALID_PARAMS && a->status == 400 && a->own_id;

	switch (how) {
	case RESULT:
		return now->is_legacy;
	case ERROR:
		if (a->code == CODE_UNSUPPORTED_VERSION)
			return now->is_legacy && !now->is_modern;
		return a->code != CODE_HEADER_MISMATCH &&
		       a->code != CODE_MISSING_CAPABILITY && !refused_params &&
		       a->status < 500 && a->status != 401 && a->status != 403;
	case STATUS:
		return a->status >= 400 && a->status < 500 &&
		       a->status != 401 && a->status != 403 && a->status != 429;
	case NOT_UNDERSTOOD:
		return true;
	default:
		return false;
	}
}

static void on_discovered(struct ask *a, enum ending how)
{
	struct discover *d = a->d;
	struct catalog_backend *fresh = d->now.fresh;

	if (how == RESULT && d->now.is_modern) {
		fresh->eras[VIEW_MODERN].known = true;
		fresh->origin.eras |= ERA_MODERN;
		open_stream(d, VIEW_MODERN);
		next_list(d, VIEW_MODERN, LIST_TOOLS);
	} else if (means_legacy(a, how) && may_be(d, ERA_LEGACY)) {
		begin_legacy(d);
	} else {
		if (how == RESULT || a->code == CODE_UNSUPPORTED_VERSION)
			a->bad = "no protocol version that we speak";
		fail(a, how);
	}
}

static void on_initialized(struct ask *a, enum ending how)
{
	struct discover *d = a->d;
	struct catalog_backend *fresh = d->now.fresh;
	struct catalog_era *era = &fresh->eras[VIEW_LEGACY];

	if (how != RESULT) {
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
	d->session.open = true;
	d->kept.abilities = era->abilities;
	buf_reset(&d->kept.instructions);
	buf_add_span(&d->kept.instructions, buf_span(&era->instructions));
	step(d, VIEW_LEGACY, INITIALIZED);
}

/* The kept session is not known any more: begin another, once. */
static bool reopen(struct ask *a, enum ending how)
{
	struct discover *d = a->d;

	if (!d->now.reused || (how != STATUS && how != ERROR) ||
	    (a->status != 404 && a->status != 400))
		return false;
	close_stream(&d->streams[VIEW_LEGACY]);
	d->session = (struct session){ 0 };
	d->now.fresh->eras[VIEW_LEGACY].abilities = 0;
	buf_reset(&d->now.fresh->eras[VIEW_LEGACY].instructions);
	for (int kind = 0; kind < LIST_KINDS; kind++)
		buf_reset(&d->now.fresh->eras[VIEW_LEGACY].items[kind]);
	begin_legacy(d);
	return true;
}

static void on_notified(struct ask *a, enum ending how)
{
	struct discover *d = a->d;
	struct catalog_backend *fresh = d->now.fresh;

	if (how != ACCEPTED && how != RESULT) {
		if (!reopen(a, how))
			fail(a, how);
		return;
	}
	fresh->eras[VIEW_LEGACY].known = true;
	fresh->origin.eras |= ERA_LEGACY;
	snprintf(fresh->legacy_version, sizeof(fresh->legacy_version), "%s",
	         d->session.version);
	/* Before the lists, so that no change goes unnoticed in between. */
	open_stream(d, VIEW_LEGACY);
	next_list(d, VIEW_LEGACY, LIST_TOOLS);
}

static void on_page(struct ask *a, enum ending how)
{
	struct discover *d = a->d;
	bool absent = how == ERROR && a->code == CODE_METHOD_NOT_FOUND &&
	              d->kind != LIST_TOOLS;

	if (how == RESULT && d->now.cursor.len)
		step(d, a->era, LIST);
	else if (how == RESULT || absent)
		next_list(d, a->era, d->kind + 1);
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
		for (int kind = 0; kind < LIST_KINDS; kind++)
			fresh->eras[era].items[kind].max =
				2 * DISCOVER_BYTES_MAX;
		d->streams[era].refused = false;
	}
	d->now.ttl_ms = 0;
	d->now.bytes = d->now.items = d->now.pages = 0;
	d->now.is_modern = d->now.is_legacy = d->now.reused = false;
	d->kind = LIST_TOOLS;
	d->reading = true;
	if (may_be(d, ERA_MODERN))
		step(d, VIEW_MODERN, DISCOVER);
	else
		begin_legacy(d);
}

/* --- probes -----------------------------------------------------------------
 */

static void on_probe_end(struct ask *a, enum ending how)
{
	struct discover *d = a->d;
	const char *error = NULL;

	if (a->method == INITIALIZE)
		end_session(d, &d->probed);
	if (a->method == PING && a->status == 404 && d->session.id[0]) {
		/* It has started anew and lost the session: that is alive. */
		d->session = (struct session){ 0 };
		close_stream(&d->streams[VIEW_LEGACY]);
		note_change(d);
	} else if (how != RESULT && how != ERROR) {
		error = explain(a, how);
	} else if (a->status == 401 || a->status == 403 || a->status >= 500) {
		error = explain(a, STATUS);
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
		ask(&d->probe, VIEW_MODERN, DISCOVER);
	else if (d->session.open && d->streams[VIEW_LEGACY].ask.f)
		ask(&d->probe, VIEW_LEGACY, PING);
	else
		ask(&d->probe, VIEW_LEGACY, INITIALIZE);
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

	char **to[] = { &d->name, &d->url, &d->fields, &d->ca_pem };
	d->texts = copy_texts(from, to, ARRAY_LEN(from));
	if (!d->texts) {
		free(d);
		return NULL;
	}
	d->loop = loop;
	d->fetcher = fetcher;
	d->events = config->events;
	d->owner = config->owner;
	d->configured = config->eras;
	d->connect_timeout_ms = config->connect_timeout_ms;
	d->stream_idle_ms = config->stream_idle_ms;
	d->timeout_ms = config->timeout_ms;
	d->kept.instructions.max = INSTRUCTIONS_MAX;
	d->read.d = d->probe.d = d;
	for (int era = 0; era < VIEWS; era++) {
		d->streams[era].ask.d = d;
		d->streams[era].backoff_ms = DISCOVER_BACKOFF_MIN_MS;
	}
	return d;
}

void discover_free(struct discover *d)
{
	if (!d)
		return;
	stop(&d->read);
	stop(&d->probe);
	inbox_fini(&d->read.box);
	inbox_fini(&d->probe.box);
	for (int era = 0; era < VIEWS; era++) {
		close_stream(&d->streams[era]);
		inbox_fini(&d->streams[era].ask.box);
	}
	loop_timer_stop(d->loop, &d->changed);
	end_session(d, &d->session);
	end_session(d, &d->probed);
	discover_free_known(d->now.fresh);
	buf_free(&d->now.cursor);
	buf_free(&d->kept.instructions);
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
	d->n_addresses = MIN(n, ARRAY_LEN(d->addresses));
	memcpy(d->addresses, at, d->n_addresses * sizeof(*at));
}

void discover_set_timeout(struct discover *d, uint64_t timeout_ms)
{
	d->timeout_ms = timeout_ms;
}

bool discover_is_reading(const struct discover *d)
{
	return d->reading;
}

uint32_t discover_latency_us(const struct discover *d)
{
	return d->latency_us;
}

uint64_t discover_ttl_ms(const struct discover *d)
{
	return d->ttl_ms;
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
		               buf_span(&y->instructions));
		for (int kind = 0; kind < LIST_KINDS && same; kind++)
			same = span_eq(buf_span(&x->items[kind]),
			               buf_span(&y->items[kind]));
	}
	return same;
}

void discover_free_known(struct catalog_backend *known)
{
	if (!known)
		return;
	for (int era = 0; era < VIEWS; era++) {
		buf_free(&known->eras[era].instructions);
		for (int kind = 0; kind < LIST_KINDS; kind++)
			buf_free(&known->eras[era].items[kind]);
	}
	free(known);
}
