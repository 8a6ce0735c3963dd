#include "worker/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/utf8.h"
#include "lib/version.h"

#define PREFIX "oci_mcp_gateway_"

#define LABELS_MAX 2

struct label {
	const char *key;
	struct span value;
};

static void put_family(struct buf *out, const char *name, const char *type,
                       const char *help)
{
	buf_addf(out,
	         "# HELP " PREFIX "%s %s\n"
	         "# TYPE " PREFIX "%s %s\n",
	         name, help, name, type);
}

/* What stands for one character that cannot stand for itself, or NULL. */
static const char *escape(char c, size_t character_len)
{
	if (character_len == 0)
		return "\xef\xbf\xbd"; /* not UTF-8: U+FFFD */
	if (c == '\n')
		return "\\n";
	return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
}

/* A label's value: escaped, and always UTF-8, as the format demands. */
static void put_value(struct buf *out, struct span value)
{
	size_t plain = 0; /* start of the run that needs no change */

	for (size_t i = 0, n; i < value.len; i += n ? n : 1) {
		n = utf8_len(span_from(value, i));

		const char *as = escape(value.at[i], n);
		if (!as)
			continue;
		buf_add(out, value.at + plain, i - plain);
		buf_puts(out, as);
		plain = i + 1;
	}
	buf_add_span(out, span_from(value, plain));
}

/* A sample up to its value. There can be many: nothing is formatted. */
static void put_sample(struct buf *out, const char *name, const char *suffix,
                       const struct label *labels, size_t n)
{
	buf_puts(out, PREFIX);
	buf_puts(out, name);
	buf_puts(out, suffix);
	for (size_t i = 0; i < n; i++) {
		buf_putc(out, i ? ',' : '{');
		buf_puts(out, labels[i].key);
		buf_puts(out, "=\"");
		put_value(out, labels[i].value);
		buf_putc(out, '"');
	}
	buf_puts(out, n ? "} " : " ");
}

static void put_count(struct buf *out, uint64_t n)
{
	char digits[24];
	char *at = digits + sizeof(digits);

	*--at = '\n';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	buf_add(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_seconds(struct buf *out, uint64_t us)
{
	buf_addf(out, "%" PRIu64 ".%06u\n", us / 1000000,
	         (unsigned)(us % 1000000));
}

/* Buckets on the board count their own; here each includes those below. */
static void put_histogram(struct buf *out, const char *name, struct label label,
                          const struct histogram *h)
{
	uint64_t total = 0;
	char le[24];

	for (unsigned i = 0; i < BUCKETS; i++) {
		if (i < BUCKETS - 1)
			snprintf(le, sizeof(le), "%g",
			         (double)board_bounds_us[i] / 1e6);
		else
			snprintf(le, sizeof(le), "+Inf");
		total += count_read(&h->buckets[i]);
		put_sample(out, name, "_bucket",
		           (struct label[]){ label, { "le", span_str(le) } },
		           2);
		put_count(out, total);
	}
	put_sample(out, name, "_sum", &label, 1);
	put_seconds(out, count_read(&h->sum_us));
	put_sample(out, name, "_count", &label, 1);
	put_count(out, total);
}

static uint64_t counter_at(const void *base, size_t offset)
{
	return count_read(
		(const counter *)(const void *)((const char *)base + offset));
}

/* Numbers of the gateway as a whole, all of the type counter. */
#define BOARD(member) offsetof(struct board, member)

static const struct {
	const char *name, *type, *help;
	size_t at;
} whole[] = {
	{ "config_generation", "gauge",
	  "Load of the configuration that was published last.",
	  BOARD(config_generation) },
	{ "discovered_generation", "gauge",
	  "Newest load whose backends have all been asked for their lists.",
	  BOARD(discovered_generation) },
	{ "catalog_serial", "gauge", "Catalogue that was published last.",
	  BOARD(catalog_serial) },
	{ "catalogs_total", "counter", "Catalogues published.",
	  BOARD(catalogs) },
	{ "reloads_total", "counter", "Reloads of the configuration.",
	  BOARD(reloads) },
	{ "reloads_failed_total", "counter",
	  "Reloads refused; the configuration stayed as it was.",
	  BOARD(reloads_failed) },
	{ "audit_records_total", "counter", "Records of the audit trail.",
	  BOARD(audit_next) },
};

static void put_single(struct buf *out, const char *name, const char *type,
                       const char *help, uint64_t n)
{
	put_family(out, name, type, help);
	put_sample(out, name, "", NULL, 0);
	put_count(out, n);
}

static bool is_up(const struct slot *slot)
{
	return slot->pid > 0 && slot->state != PROCESS_NONE;
}

static void whole_metrics(const struct board *b, struct buf *out)
{
	put_family(out, "build_info", "gauge", "Always 1; see the label.");
	put_sample(out, "build_info", "",
	           &(struct label){ "version", SPAN(VERSION) }, 1);
	put_count(out, 1);
	put_single(out, "uptime_seconds", "gauge", "Since the master began.",
	           (clock_mono_ms() - b->started_ms) / 1000);
	put_single(out, "draining", "gauge", "1 while it is shutting down.",
	           b->draining);
	put_single(out, "workers", "gauge", "Workers there should be.",
	           b->n_workers);
	put_single(out, "keeper_up", "gauge", "1 while the process lives.",
	           is_up(&b->keeper));
	put_single(out, "keeper_restarts_total", "counter",
	           "Times the keeper had to be replaced.", b->keeper.restarts);
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		put_single(out, whole[i].name, whole[i].type, whole[i].help,
		           counter_at(b, whole[i].at));
}

/* Numbers of one worker, all of the type counter. */
#define SLOT(member)   offsetof(struct slot, member)
#define SLOT_STATUS(n) (SLOT(requests) + ((n)-1) * sizeof(counter))
#define SLOT_PARTS_MAX STATUS_CLASSES
/* clang-format off */
#define ONE(member) NULL, { { "", SLOT(member) } }
/* clang-format on */

static const struct slot_family {
	const char *name, *type, *help;
	const char *key; /* label that tells the parts apart; NULL: one part */
	struct {
		const char *value;
		size_t at;
	} parts[SLOT_PARTS_MAX];
} slot_families[] = {
	{ "worker_config_generation", "gauge",
	  "Load of the configuration it serves.", ONE(config_generation) },
	{ "worker_catalog_serial", "gauge", "Catalogue it serves.",
	  ONE(catalog_serial) },
	{ "connections_total", "counter", "Client connections accepted.",
	  ONE(connections) },
	{ "connections_open", "gauge", "Client connections now.",
	  ONE(connections_open) },
	{ "connections_refused_total", "counter",
	  "Client connections refused, over a limit.", ONE(refused) },
	{ "requests_total",
	  "counter",
	  "HTTP requests answered.",
	  "code",
	  { { "1xx", SLOT_STATUS(1) },
	    { "2xx", SLOT_STATUS(2) },
	    { "3xx", SLOT_STATUS(3) },
	    { "4xx", SLOT_STATUS(4) },
	    { "5xx", SLOT_STATUS(5) } } },
	{ "received_bytes_total", "counter", "Bytes from clients.",
	  ONE(received_bytes) },
	{ "sent_bytes_total", "counter", "Bytes to clients.", ONE(sent_bytes) },
	{ "tokens_total",
	  "counter",
	  "Tokens of callers, by what was done.",
	  "result",
	  { { "cached", SLOT(tokens_cached) },
	    { "verified", SLOT(tokens_verified) },
	    { "refused", SLOT(tokens_refused) } } },
	{ "upstream_connections_total", "counter",
	  "Connections opened to backends.", ONE(upstream_connections) },
	{ "upstream_reused_total", "counter",
	  "Requests to backends on a connection that was kept.",
	  ONE(upstream_reused) },
	{ "streams_open", "gauge", "Event streams to clients now.",
	  ONE(streams_open) },
	{ "memory_bytes", "gauge", "Memory of connections and requests.",
	  ONE(memory_bytes) },
};

/*
 * The next slot that ever had a process; workers that are gone keep their
 * numbers, so that sums never fall. False: there is none. Starts with *i = 0.
 */
static bool next_worker(const struct board *b, uint32_t *i, char number[12])
{
	while (*i < WORKERS_MAX) {
		uint32_t at = (*i)++;

		if (atomic_load_explicit(&b->workers[at].started_ms,
		                         memory_order_relaxed) == 0)
			continue;
		snprintf(number, 12, "%" PRIu32, at);
		return true;
	}
	return false;
}

/* A worker or a backend, and a family it adds its samples to. */
struct subject {
	const struct slot *slot;       /* of a worker */
	const struct backend_row *row; /* of a backend */
	struct label label;
	const char *family;
	struct buf *out;
};

struct family {
	const char *name, *type, *help;
	void (*put)(const struct subject *s);
};

static void put_number(const struct subject *s, uint64_t n)
{
	put_sample(s->out, s->family, "", &s->label, 1);
	put_count(s->out, n);
}

/* One of several numbers, told apart by a second label. */
static void put_part(const struct subject *s, const char *key,
                     const char *value, uint64_t n)
{
	put_sample(s->out, s->family, "",
	           (struct label[]){ s->label, { key, span_str(value) } }, 2);
	put_count(s->out, n);
}

static void worker_up(const struct subject *s)
{
	put_number(s, is_up(s->slot));
}

static void worker_state(const struct subject *s)
{
	for (unsigned i = PROCESS_NONE; i <= PROCESS_DRAINING; i++)
		put_part(s, "state", process_state_name(i),
		         s->slot->state == i);
}

static void worker_restarts(const struct subject *s)
{
	put_number(s, s->slot->restarts);
}

static void worker_duration(const struct subject *s)
{
	put_histogram(s->out, s->family, s->label, &s->slot->duration);
}

static const struct family worker_families[] = {
	{ "worker_up", "gauge", "1 while the process lives.", worker_up },
	{ "worker_state", "gauge", "1 for the state it is in.", worker_state },
	{ "worker_restarts_total", "counter",
	  "Times the worker had to be replaced.", worker_restarts },
	{ "request_duration_seconds", "histogram",
	  "Time of requests to the endpoint.", worker_duration },
};

static void worker_family(const struct board *b, const struct family *f,
                          struct buf *out)
{
	char number[12];

	put_family(out, f->name, f->type, f->help);
	for (uint32_t i = 0; next_worker(b, &i, number);)
		f->put(&(struct subject){
			.slot = &b->workers[i - 1],
			.label = { "worker", span_str(number) },
			.family = f->name,
			.out = out,
		});
}

static void slot_family(const struct board *b, const struct slot_family *f,
                        struct buf *out)
{
	char number[12];

	put_family(out, f->name, f->type, f->help);
	for (uint32_t i = 0; next_worker(b, &i, number);)
		for (size_t k = 0; k < SLOT_PARTS_MAX; k++) {
			struct label labels[LABELS_MAX] = {
				{ "worker", span_str(number) },
				{ f->key, span_str(f->parts[k].value) },
			};

			if (!f->parts[k].value)
				break;
			put_sample(out, f->name, "", labels, f->key ? 2 : 1);
			put_count(out, counter_at(&b->workers[i - 1],
			                          f->parts[k].at));
		}
}

static void worker_metrics(const struct board *b, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(worker_families); i++)
		worker_family(b, &worker_families[i], out);
	for (size_t i = 0; i < ARRAY_LEN(slot_families); i++)
		slot_family(b, &slot_families[i], out);
}

static void backend_healthy(const struct subject *s)
{
	put_number(s, s->row->health == HEALTH_HEALTHY);
}

static void backend_state(const struct subject *s)
{
	for (unsigned i = HEALTH_PENDING; i <= HEALTH_DISCONNECTED; i++)
		put_part(s, "state", health_name(i), s->row->health == i);
}

static void backend_failures(const struct subject *s)
{
	put_number(s, s->row->failures_in_row);
}

static void backend_latency(const struct subject *s)
{
	put_sample(s->out, s->family, "", &s->label, 1);
	put_seconds(s->out, s->row->latency_us);
}

static void backend_tools(const struct subject *s)
{
	put_number(s, s->row->n_tools);
}

static void backend_breaker(const struct subject *s)
{
	put_number(s, s->row->open_until_ms != 0);
}

static void backend_calls(const struct subject *s)
{
	for (unsigned i = 0; i < OUTCOMES; i++)
		put_part(s, "outcome", outcome_name(i),
		         count_read(&s->row->calls[i]));
}

static void backend_retries(const struct subject *s)
{
	put_number(s, count_read(&s->row->retries));
}

static void backend_duration(const struct subject *s)
{
	put_histogram(s->out, s->family, s->label, &s->row->duration);
}

static const struct family backend_families[] = {
	{ "backend_healthy", "gauge", "1 when the last probe succeeded.",
	  backend_healthy },
	{ "backend_state", "gauge", "1 for the state it is in.",
	  backend_state },
	{ "backend_probe_failures", "gauge", "Probes failed in a row.",
	  backend_failures },
	{ "backend_probe_latency_seconds", "gauge", "Time of the last probe.",
	  backend_latency },
	{ "backend_tools", "gauge", "Tools it offers.", backend_tools },
	{ "backend_breaker_open", "gauge",
	  "1 while calls are refused without asking it, or one call tries.",
	  backend_breaker },
	{ "backend_calls_total", "counter", "Calls, by how they ended.",
	  backend_calls },
	{ "backend_retries_total", "counter",
	  "Requests sent once more because they cannot have been executed.",
	  backend_retries },
	{ "backend_duration_seconds", "histogram", "Time of a call.",
	  backend_duration },
};

static void backend_family(const struct snapshot *snap,
                           const struct board *board, const struct family *f,
                           struct buf *out)
{
	put_family(out, f->name, f->type, f->help);
	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		const struct backend *b = snapshot_backend(snap, i);

		f->put(&(struct subject){
			.row = &board->backends[b->slot],
			.label = { "backend", snapshot_text(snap, b->name) },
			.family = f->name,
			.out = out,
		});
	}
}

/* Row 0 is for the tools that have no row of their own. */
static struct span tool_name(const struct board *b, uint32_t i)
{
	const struct tool_row *row = &b->tools[i];

	if (i == 0)
		return SPAN("others");
	if (!atomic_load_explicit(&row->hash, memory_order_acquire))
		return SPAN("");
	return span_of(row->name, strnlen(row->name, sizeof(row->name)));
}

static void tool_calls(const struct board *b, struct buf *out)
{
	put_family(out, "tool_calls_total", "counter",
	           "Calls, by how they ended; tools never called are absent.");
	for (uint32_t i = 0; i < TOOL_ROWS; i++) {
		struct label labels[LABELS_MAX] = {
			{ "tool", tool_name(b, i) },
			{ .key = "outcome" },
		};

		if (!labels[0].value.len)
			continue;
		for (unsigned o = 0; o < OUTCOMES; o++) {
			uint64_t n = count_read(&b->tools[i].calls[o]);

			if (!n)
				continue;
			labels[1].value = span_str(outcome_name(o));
			put_sample(out, "tool_calls_total", "", labels, 2);
			put_count(out, n);
		}
	}
}

static void tool_durations(const struct board *b, struct buf *out)
{
	put_family(out, "tool_duration_seconds", "summary",
	           "Time of calls; no quantiles.");
	for (uint32_t i = 0; i < TOOL_ROWS; i++) {
		const struct tool_row *row = &b->tools[i];
		struct label label = { "tool", tool_name(b, i) };
		uint64_t n = 0;

		if (!label.value.len)
			continue;
		for (unsigned o = 0; o < OUTCOMES; o++)
			n += count_read(&row->calls[o]);
		if (!n)
			continue;
		put_sample(out, "tool_duration_seconds", "_sum", &label, 1);
		put_seconds(out, count_read(&row->duration_us));
		put_sample(out, "tool_duration_seconds", "_count", &label, 1);
		put_count(out, n);
	}
}

void metrics_write(const struct snapshot *snap, const struct board *board,
                   struct buf *out)
{
	whole_metrics(board, out);
	worker_metrics(board, out);
	for (size_t i = 0; i < ARRAY_LEN(backend_families); i++)
		backend_family(snap, board, &backend_families[i], out);
	tool_calls(board, out);
	tool_durations(board, out);
}
