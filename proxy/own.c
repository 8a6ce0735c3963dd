#include "proxy/own.h"

#include <inttypes.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "oci/credential.h"

#define SHOWN_MAX 80 /* bytes of a bad argument in an error */

/* One answer in the making: a text for people, the same as data. */
struct answer {
	const struct snapshot *snap;
	const struct board *board;
	int64_t limit;
	struct buf text; /* empty: the data is the text */
	struct buf data;
};

/* --- backends -------------------------------------------------------------
 */

static const struct backend_row *row_of(const struct snapshot *snap,
                                        const struct board *board, uint32_t i)
{
	return &board->backends[snapshot_backend(snap, i)->slot];
}

enum health own_health(const struct snapshot *snap, const struct board *board,
                       uint32_t i)
{
	return atomic_load_explicit(&row_of(snap, board, i)->health,
	                            memory_order_relaxed);
}

struct own_tally own_tally(const struct snapshot *snap,
                           const struct board *board)
{
	struct own_tally tally = { .total = snap->head->backends.len };

	for (uint32_t i = 0; i < tally.total; i++) {
		enum health health = own_health(snap, board, i);

		tally.healthy += health == HEALTH_HEALTHY;
		tally.degraded += health == HEALTH_DEGRADED;
		tally.unhealthy += health == HEALTH_UNHEALTHY ||
		                   health == HEALTH_DISCONNECTED;
	}
	return tally;
}

static const char *transport(const struct backend *backend)
{
	return backend->flags & BACKEND_OCI ? "in_process" : "streamable_http";
}

const char *own_auth_method(const struct backend *backend)
{
	static const char *const names[] = {
		[BACKEND_AUTH_NONE] = "none",
		[BACKEND_AUTH_BEARER] = "bearer_token",
		[BACKEND_AUTH_KEY] = "api_key",
	};
	if (backend->flags & BACKEND_OCI)
		return credential_method_word(
			(enum credential_method)backend->oci_method);
	return backend->auth < ARRAY_LEN(names) ? names[backend->auth]
	                                        : "unknown";
}

const char *own_breaker_state(const struct backend_row *row, uint64_t now_ms)
{
	uint64_t until =
		atomic_load_explicit(&row->open_until_ms, memory_order_relaxed);

	if (until == 0)
		return "closed";
	return now_ms < until ? "open" : "half_open";
}

/* What the keeper wrote last, and may be writing now. */
static struct span error_of(const struct backend_row *row)
{
	return span_of(row->error, strnlen(row->error, sizeof(row->error)));
}

/* The revisions a backend was seen to speak. Returns how many. */
static size_t protocols(const struct snapshot *snap, uint32_t i,
                        struct span out[2])
{
	const struct origin *origin = snapshot_origin(snap, i);
	size_t n = 0;

	if (origin->eras & ERA_MODERN)
		out[n++] = SPAN(MESSAGE_MODERN);
	if (origin->eras & ERA_LEGACY)
		out[n++] = snapshot_text(snap, origin->legacy_version);
	return n;
}

/* --- as data --------------------------------------------------------------
 */

/* Milliseconds with a fraction; latencies on one machine are below one. */
static void put_ms(struct buf *out, uint64_t us)
{
	buf_addf(out, "%" PRIu64 ".%03u", us / 1000, (unsigned)(us % 1000));
}

static void put_time(struct buf *out, const char *key, int64_t utc_ms)
{
	char iso[CLOCK_ISO_LEN + 1];

	if (utc_ms)
		buf_addf(out, ",\"%s\":\"%s\"", key, clock_iso(utc_ms, iso));
	else
		buf_addf(out, ",\"%s\":null", key);
}

static void put_text(struct buf *out, const char *key, struct span value)
{
	buf_addf(out, ",\"%s\":", key);
	if (value.len)
		buf_add_json(out, value);
	else
		buf_puts(out, "null");
}

/* The members every report on a backend has, without braces. */
static void put_backend(const struct answer *a, uint32_t i, struct buf *out)
{
	const struct backend_row *row = row_of(a->snap, a->board, i);
	int64_t checked_ms = row->last_check_ms;

	buf_addf(out,
	         "\"status\":\"%s\",\"transport\":\"%s"
	         "\",\"auth_method\":\"%s\",\"tool_count\":%" PRIu32
	         ",\"latency_ms\":",
	         health_name(own_health(a->snap, a->board, i)),
	         transport(snapshot_backend(a->snap, i)),
	         own_auth_method(snapshot_backend(a->snap, i)), row->n_tools);
	if (checked_ms)
		put_ms(out, row->latency_us);
	else
		buf_puts(out, "null");
	put_time(out, "last_check", checked_ms);
	buf_addf(out, ",\"consecutive_failures\":%" PRIu32,
	         row->failures_in_row);
	put_text(out, "error", error_of(row));
}

static void health(struct answer *a)
{
	const struct header *head = a->snap->head;
	struct own_tally tally = own_tally(a->snap, a->board);
	struct buf *out = &a->data;

	buf_puts(out, "{\"gateway\":{\"name\":");
	buf_add_json(out, snapshot_text(a->snap, head->name));
	buf_puts(out, ",\"version\":");
	buf_add_json(out, snapshot_text(a->snap, head->program_version));
	buf_addf(out,
	         ",\"status\":\"%s\",\"auth_enabled\":%s},\"backends\":{"
	         "\"total\":%" PRIu32 ",\"healthy\":%" PRIu32
	         ",\"degraded\":%" PRIu32 ",\"unhealthy\":%" PRIu32
	         ",\"backends\":{",
	         tally.total == 0 || tally.healthy ? "healthy" : "degraded",
	         a->snap->settings->auth_enabled ? "true" : "false",
	         tally.total, tally.healthy, tally.degraded, tally.unhealthy);
	for (uint32_t i = 0; i < tally.total; i++) {
		buf_puts(out, i ? "," : "");
		buf_add_json(out,
		             snapshot_text(a->snap,
		                           snapshot_backend(a->snap, i)->name));
		buf_puts(out, ":{");
		put_backend(a, i, out);
		buf_putc(out, '}');
	}
	buf_puts(out, "}}}");
}

static void list_data(struct answer *a, uint32_t i, const char *breaker)
{
	const struct backend *backend = snapshot_backend(a->snap, i);
	const struct backend_row *row = row_of(a->snap, a->board, i);
	struct buf *out = &a->data;
	struct span words[2];
	size_t n = protocols(a->snap, i, words);

	buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
	buf_add_json(out, snapshot_text(a->snap, backend->name));
	put_text(out, "description",
	         snapshot_text(a->snap, backend->description));
	buf_putc(out, ',');
	put_backend(a, i, out);
	put_time(out, "last_healthy", row->last_healthy_ms);
	buf_puts(out, ",\"protocols\":[");
	for (size_t k = 0; k < n; k++) {
		buf_puts(out, k ? "," : "");
		buf_add_json(out, words[k]);
	}
	buf_addf(out, "],\"breaker\":\"%s\",\"call_failures\":%" PRIu32 "}",
	         breaker, row->call_failures);
}

/* --- as text --------------------------------------------------------------
 */

/*
 * Append foreign text to Markdown: it stays in its cell or line, and cannot
 * become a link, an image or HTML in the window of whoever reads it.
 */
static void put_cell(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < 0x20 || c == 0x7f)
			c = ' ';
		if (strchr("\\|`*[]<>!", c))
			buf_putc(out, '\\');
		buf_putc(out, (char)c);
	}
}

static void put_plural(struct buf *out, uint64_t n, const char *what)
{
	buf_addf(out, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static const char *tag(enum health state)
{
	static const char *const tags[] = {
		[HEALTH_PENDING] = "WAITING", [HEALTH_CONNECTING] = "WAITING",
		[HEALTH_HEALTHY] = "OK",      [HEALTH_DEGRADED] = "DEGRADED",
		[HEALTH_UNHEALTHY] = "DOWN",  [HEALTH_DISCONNECTED] = "DOWN",
	};
	return (unsigned)state < ARRAY_LEN(tags) ? tags[state] : "UNKNOWN";
}

static void put_check(struct buf *out, const struct backend_row *row)
{
	int64_t checked_ms = row->last_check_ms;
	char iso[CLOCK_ISO_LEN + 1];

	if (!checked_ms) {
		buf_puts(out, ", not checked yet\n- Latency: unknown");
		return;
	}
	buf_addf(out, ", checked %s, ", clock_iso(checked_ms, iso));
	put_plural(out, row->failures_in_row, "failure");
	buf_puts(out, " in a row\n- Latency: ");
	put_ms(out, row->latency_us);
	buf_puts(out, " ms");
}

static void list_text(struct answer *a, uint32_t i, const char *breaker)
{
	const struct backend *backend = snapshot_backend(a->snap, i);
	const struct backend_row *row = row_of(a->snap, a->board, i);
	enum health state = own_health(a->snap, a->board, i);
	struct span error = error_of(row);
	struct buf *out = &a->text;
	struct span words[2];
	size_t n = protocols(a->snap, i, words);

	buf_addf(out, "\n## [%s] ", tag(state));
	put_cell(out, snapshot_text(a->snap, backend->name));
	if (backend->description.len) {
		buf_puts(out, "\n\n");
		put_cell(out, snapshot_text(a->snap, backend->description));
	}
	buf_addf(out, "\n\n- Transport: %s\n- Auth: %s\n- Status: %s",
	         transport(backend), own_auth_method(backend),
	         health_name(state));
	put_check(out, row);
	buf_puts(out, "\n- Error: ");
	put_cell(out, error.len ? error : SPAN("none"));
	buf_addf(out, "\n- Tools: %" PRIu32 "\n- Protocol: %s", row->n_tools,
	         n ? "" : "not known yet");
	for (size_t k = 0; k < n; k++) {
		buf_puts(out, k ? ", " : "");
		put_cell(out, words[k]);
	}
	buf_addf(out, "\n- Breaker: %s, ", breaker);
	put_plural(out, row->call_failures, "failed call");
	buf_puts(out, " in a row\n");
}

static void list_backends(struct answer *a)
{
	struct own_tally tally = own_tally(a->snap, a->board);
	uint64_t now_ms = clock_mono_ms();

	buf_puts(&a->text, "# Backends\n\n");
	put_plural(&a->text, tally.total, "backend");
	buf_addf(&a->text,
	         ": %" PRIu32 " healthy, %" PRIu32 " degraded, %" PRIu32
	         " unhealthy.\n",
	         tally.healthy, tally.degraded, tally.unhealthy);
	buf_puts(&a->data, "{\"backends\":[");
	for (uint32_t i = 0; i < tally.total; i++) {
		const char *breaker =
			own_breaker_state(row_of(a->snap, a->board, i), now_ms);

		list_text(a, i, breaker);
		list_data(a, i, breaker);
	}
	buf_puts(&a->data, "]}");
}

/* --- audit log ------------------------------------------------------------
 */

static struct span client_of(const struct audit_row *row)
{
	return span_str(row->client_id[0] ? row->client_id : "anonymous");
}

static void audit_text(struct buf *out, const struct audit_row *row)
{
	char iso[CLOCK_ISO_LEN + 1];

	buf_addf(out, "| %s | ", clock_iso(row->at_ms, iso));
	put_cell(out, span_str(row->tool));
	buf_puts(out, " | ");
	put_cell(out, client_of(row));
	buf_puts(out, " | ");
	put_cell(out, span_str(row->backend));
	buf_addf(out, " | %s | ", outcome_name(row->outcome));
	put_ms(out, row->duration_us);
	buf_puts(out, " ms |\n");
}

static void audit_data(struct buf *out, const struct audit_row *row)
{
	char iso[CLOCK_ISO_LEN + 1];

	buf_addf(out,
	         "{\"timestamp\":\"%s\",\"tool\":", clock_iso(row->at_ms, iso));
	buf_add_json(out, span_str(row->tool));
	buf_puts(out, ",\"client_id\":");
	buf_add_json(out, client_of(row));
	put_text(out, "backend", span_str(row->backend));
	buf_addf(out, ",\"status\":\"%s\",\"http_status\":%" PRId32,
	         outcome_name(row->outcome), row->status);
	buf_puts(out, ",\"duration_ms\":");
	put_ms(out, row->duration_us);
	put_text(out, "request_id", span_str(row->request_id));
	put_text(out, "error", span_str(row->error));
	buf_putc(out, '}');
}

static void audit_log(struct answer *a)
{
	const struct board *board = a->board;
	uint64_t kept = MIN(count_read(&board->audit_next), board->n_audit);
	struct audit_row row;
	int64_t shown = 0;

	buf_puts(&a->text, "# Audit log\n\n");
	buf_puts(&a->data, "{\"records\":[");
	for (uint64_t n = 0; n < kept && shown < a->limit; n++) {
		if (!board_audit_get(board, n, &row))
			continue; /* being overwritten */
		if (shown++ == 0)
			buf_puts(&a->text,
			         "| Time | Tool | Client | Backend | Status | "
			         "Duration |\n"
			         "|---|---|---|---|---|---|\n");
		else
			buf_putc(&a->data, ',');
		audit_text(&a->text, &row);
		audit_data(&a->data, &row);
	}
	buf_puts(&a->data, "]}");
	if (!a->snap->settings->enable_audit_log)
		buf_puts(&a->text, "\nNothing is recorded now: "
		                   "enable_audit_log is false.\n");
	else if (!shown)
		buf_puts(&a->text, "No calls so far.\n");
}

/* --- calls ----------------------------------------------------------------
 */

static const struct own {
	void (*write)(struct answer *a);
	bool has_limit;
} tools[OWN_TOOLS] = {
	[OWN_HEALTH] = { .write = health },
	[OWN_LIST_BACKENDS] = { .write = list_backends },
	[OWN_AUDIT_LOG] = { .write = audit_log, .has_limit = true },
};

static bool refuse(struct problem *why, const char *text, struct span raw)
{
	problem_set(why, 200, RPC_INVALID_PARAMS, "%s: %.*s", text,
	            SPAN_ARG(span_first(raw, SHOWN_MAX)));
	return false;
}

static bool read_arguments(const struct own *tool, struct span arguments,
                           struct answer *a, struct problem *why)
{
	struct value_iter it;
	struct span key, value;
	bool seen = false;

	if (arguments.len == 0)
		return true;
	if (value_type(arguments) != VALUE_OBJECT)
		return refuse(why, "Arguments must be an object", arguments);
	value_iter_init(&it, arguments);
	while (value_object_next(&it, &key, &value)) {
		if (!tool->has_limit || !value_string_eq(key, SPAN("limit")))
			return refuse(why, "Unknown argument", key);
		if (seen)
			return refuse(why, "Repeated argument", key);
		if (!value_integer(value, &a->limit) || a->limit < 1 ||
		    a->limit > OWN_LIMIT_MAX)
			return refuse(
				why,
				"limit must be an integer from 1 to 100, got",
				value);
		seen = true;
	}
	return true;
}

static void put_result(const struct answer *a, struct buf *result)
{
	const struct buf *text = a->text.len ? &a->text : &a->data;

	buf_puts(result, "{\"content\":[{\"type\":\"text\",\"text\":");
	buf_add_json(result, buf_span(text));
	buf_puts(result, "}],\"structuredContent\":");
	buf_add_span(result, buf_span(&a->data));
	buf_puts(result, ",\"isError\":false}");
}

bool own_call(enum own_tool tool, const struct snapshot *snap,
              const struct board *board, struct span arguments,
              struct buf *result, struct problem *why)
{
	struct answer a = {
		.snap = snap,
		.board = board,
		.limit = OWN_LIMIT_DEFAULT,
		.text = { .max = result->max },
		.data = { .max = result->max },
	};

	assert((unsigned)tool < OWN_TOOLS);
	if (!read_arguments(&tools[tool], arguments, &a, why))
		return false;
	tools[tool].write(&a);
	put_result(&a, result);

	bool good = !buf_err(&a.text) && !buf_err(&a.data) && !buf_err(result);
	buf_free(&a.text);
	buf_free(&a.data);
	if (!good)
		problem_set(why, 200, RPC_INTERNAL,
		            "The gateway has no room for this answer");
	return good;
}
