#include "master/status_show.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "master/columns.h"

#define TOP_TOOLS 10
#define JSON_MAX  (16u << 20)

/* --- what both forms show ------------------------------------------------- */

static double rate(const struct status_view *v, uint64_t then, uint64_t now)
{
	return v->seconds > 0 && now > then ? (double)(now - then) / v->seconds
	                                    : 0;
}

static uint64_t sum(const counter counters[], size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += count_read(&counters[i]);
	return total;
}

static uint64_t requests(const struct slot *s)
{
	return sum(s->requests, STATUS_CLASSES);
}

static uint64_t calls(const counter outcomes[OUTCOMES])
{
	return sum(outcomes, OUTCOMES);
}

/* Those that the backend is to blame for. */
static uint64_t failures(const counter outcomes[OUTCOMES])
{
	return count_read(&outcomes[OUTCOME_ERROR]) +
	       count_read(&outcomes[OUTCOME_UNAVAILABLE]);
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint64_t uptime_ms(const struct board *b)
{
	uint64_t now = clock_mono_ms();

	return now > b->started_ms ? now - b->started_ms : 0;
}

static uint64_t life_ms(const struct slot *s)
{
	uint64_t now = clock_mono_ms();
	uint64_t born = atomic_load(&s->started_ms);

	return now > born ? now - born : 0;
}

/* Memory of a process that is in RAM, shared pages included; 0: not known. */
static uint64_t resident_bytes(int32_t pid)
{
	char path[40];
	unsigned long long size, pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);

	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return pages * 4096;
}

static const char *breaker(const struct backend_row *row)
{
	uint64_t until = atomic_load(&row->open_until_ms);

	if (until == 0)
		return "closed";
	return clock_mono_ms() < until ? "open" : "half-open";
}

static uint32_t slots(const struct status_view *v)
{
	return MIN(atomic_load(&v->now->n_workers), (uint32_t)WORKERS_MAX);
}

/* A board's text; whoever wrote it may have left the NUL out. */
static struct span text_of(const char *at, size_t size)
{
	return span_of(at, strnlen(at, size));
}

#define TEXT_OF(array) text_of((array), sizeof(array))

/* The busiest tools, by calls, then by row. Returns how many out has. */
static size_t top_tools(const struct status_view *v, uint32_t out[TOP_TOOLS])
{
	size_t n = 0;

	for (uint32_t row = 0; row < TOOL_ROWS; row++) {
		uint64_t mine = calls(v->now->tools[row].calls);
		size_t at = n;

		if (mine == 0)
			continue;
		while (at > 0 && calls(v->now->tools[out[at - 1]].calls) < mine)
			at--;
		if (at == TOP_TOOLS)
			continue;
		n = MIN(n + 1, (size_t)TOP_TOOLS);
		memmove(&out[at + 1], &out[at], (n - at - 1) * sizeof(*out));
		out[at] = row;
	}
	return n;
}

static struct span tool_name(const struct status_view *v, uint32_t row)
{
	return row ? TEXT_OF(v->now->tools[row].name) : SPAN("(others)");
}

/* --- totals: one table for both forms ------------------------------------- */

static const struct total {
	const char *name;  /* in JSON */
	const char *words; /* for people */
	size_t at;         /* of the counter in struct slot */
	size_t n;          /* counters in a row that are added */
	bool is_level;     /* says how many are now, not how many were */
} totals[] = {
	{ "requests", "requests", offsetof(struct slot, requests),
	  STATUS_CLASSES, false },
	{ "connections", "connections", offsetof(struct slot, connections), 1,
	  false },
	{ "connections_open", "connections open",
	  offsetof(struct slot, connections_open), 1, true },
	{ "streams_open", "streams open", offsetof(struct slot, streams_open),
	  1, true },
	{ "refused", "refused over a limit", offsetof(struct slot, refused), 1,
	  false },
	{ "received_bytes", "bytes received",
	  offsetof(struct slot, received_bytes), 1, false },
	{ "sent_bytes", "bytes sent", offsetof(struct slot, sent_bytes), 1,
	  false },
	{ "tokens_cached", "tokens found in the cache",
	  offsetof(struct slot, tokens_cached), 1, false },
	{ "tokens_verified", "tokens verified",
	  offsetof(struct slot, tokens_verified), 1, false },
	{ "tokens_refused", "tokens refused",
	  offsetof(struct slot, tokens_refused), 1, false },
	{ "upstream_connections", "connections to backends",
	  offsetof(struct slot, upstream_connections), 1, false },
	{ "upstream_reused", "requests on a kept one",
	  offsetof(struct slot, upstream_reused), 1, false },
};

static uint64_t add_up(const struct board *b, const struct total *t)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		const char *slot = (const char *)&b->workers[i];

		total += sum((const counter *)(const void *)(slot + t->at),
		             t->n);
	}
	return total;
}

/* --- for people ----------------------------------------------------------- */

static const char *span_text(uint64_t ms, char out[24])
{
	uint64_t s = ms / 1000;

	if (s < 120)
		snprintf(out, 24, "%u s", (unsigned)s);
	else if (s < 2 * 3600)
		snprintf(out, 24, "%u min", (unsigned)(s / 60));
	else if (s < 48 * 3600)
		snprintf(out, 24, "%u h", (unsigned)(s / 3600));
	else
		snprintf(out, 24, "%llu days", (unsigned long long)(s / 86400));
	return out;
}

static const char *bytes_text(uint64_t n, char out[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)n;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

static void add_rate(struct columns *c, const struct status_view *v,
                     uint64_t then, uint64_t now)
{
	if (v->seconds > 0)
		columns_add(c, "%.1f", rate(v, then, now));
	else
		columns_add(c, "-");
}

static void add_process(struct columns *c, const struct status_view *v,
                        const struct slot *then, const struct slot *now,
                        const char *name)
{
	char life[24], memory[24];
	int32_t pid = atomic_load(&now->pid);

	columns_add(c, "%s", name);
	if (pid)
		columns_add(c, "%d", (int)pid);
	else
		columns_add(c, "-");
	columns_add(c, "%s",
	            process_state_name(
			    (enum process_state)atomic_load(&now->state)));
	columns_add(c, "%s", pid ? span_text(life_ms(now), life) : "-");
	columns_add(c, "%u", atomic_load(&now->restarts));
	columns_add(c, "%llu",
	            (unsigned long long)count_read(&now->connections_open));
	add_rate(c, v, requests(then), requests(now));
	columns_add(c, "%s",
	            pid ? bytes_text(resident_bytes(pid), memory) : "-");
}

static void show_processes(const struct status_view *v, FILE *out)
{
	struct columns c;
	char name[24];

	columns_init(&c, "PROCESS|>PID|STATE|>UP|>RESTARTS|>CONNECTIONS|>REQ/S|"
	                 ">MEMORY");
	add_process(&c, v, &v->then->keeper, &v->now->keeper, "keeper");
	for (uint32_t i = 0; i < slots(v); i++) {
		snprintf(name, sizeof(name), "worker %u", i);
		add_process(&c, v, &v->then->workers[i], &v->now->workers[i],
		            name);
	}
	fputc('\n', out);
	columns_print(&c, out);
}

static void add_backend(struct columns *c, const struct status_view *v,
                        uint32_t slot)
{
	const struct backend_row *then = &v->then->backends[slot];
	const struct backend_row *now = &v->now->backends[slot];

	columns_add(c, "%.*s", SPAN_ARG(TEXT_OF(now->name)));
	columns_add(c, "%s",
	            health_name((enum health)atomic_load(&now->health)));
	columns_add(c, "%.1f ms", atomic_load(&now->latency_us) / 1000.0);
	columns_add(c, "%u", atomic_load(&now->n_tools));
	add_rate(c, v, calls(then->calls), calls(now->calls));
	columns_add(c, "%.1f %%",
	            share(failures(now->calls), calls(now->calls)));
	columns_add(c, "%s", breaker(now));
	columns_add(c, "%.*s", SPAN_ARG(TEXT_OF(now->error)));
}

static void show_backends(const struct status_view *v, FILE *out)
{
	struct columns c;

	if (v->snap->head->backends.len == 0)
		return;
	columns_init(&c, "BACKEND|HEALTH|>LATENCY|>TOOLS|>CALLS/S|>FAILED|"
	                 "BREAKER|LAST ERROR");
	for (uint32_t i = 0; i < v->snap->head->backends.len; i++)
		add_backend(&c, v, snapshot_backend(v->snap, i)->slot);
	fputc('\n', out);
	columns_print(&c, out);
}

static void show_tools(const struct status_view *v, FILE *out)
{
	uint32_t rows[TOP_TOOLS];
	size_t n = top_tools(v, rows);
	struct columns c;

	if (n == 0)
		return;
	columns_init(&c, "TOOL|>CALLS|>CALLS/S|>FAILED|>MEAN");
	for (size_t i = 0; i < n; i++) {
		const struct tool_row *then = &v->then->tools[rows[i]];
		const struct tool_row *now = &v->now->tools[rows[i]];
		uint64_t all = calls(now->calls);

		columns_add(&c, "%.*s", SPAN_ARG(tool_name(v, rows[i])));
		columns_add(&c, "%llu", (unsigned long long)all);
		add_rate(&c, v, calls(then->calls), all);
		columns_add(&c, "%.1f %%", share(failures(now->calls), all));
		columns_add(&c, "%.1f ms",
		            (double)count_read(&now->duration_us) / 1000.0 /
		                    (double)all);
	}
	fputc('\n', out);
	columns_print(&c, out);
}

static void show_totals(const struct status_view *v, FILE *out)
{
	struct columns c;

	columns_init(&c, "SINCE THE START|>TOTAL|>PER SECOND");
	for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
		uint64_t then = add_up(v->then, &totals[i]);
		uint64_t now = add_up(v->now, &totals[i]);

		columns_add(&c, "%s", totals[i].words);
		columns_add(&c, "%llu", (unsigned long long)now);
		if (totals[i].is_level)
			columns_add(&c, "-");
		else
			add_rate(&c, v, then, now);
	}
	fputc('\n', out);
	columns_print(&c, out);
}

void status_show_text(const struct status_view *v, FILE *out)
{
	const struct board *b = v->now;
	char up[24];

	fprintf(out,
	        "%.*s %.*s, process %d, up %s, configuration %llu, "
	        "catalogue %llu%s\n",
	        SPAN_ARG(snapshot_text(v->snap, v->snap->head->name)),
	        SPAN_ARG(
			snapshot_text(v->snap, v->snap->head->program_version)),
	        (int)atomic_load(&b->master_pid), span_text(uptime_ms(b), up),
	        (unsigned long long)atomic_load(&b->config_generation),
	        (unsigned long long)atomic_load(&b->catalog_serial),
	        atomic_load(&b->draining) ? ", stopping" : "");
	show_processes(v, out);
	show_backends(v, out);
	show_tools(v, out);
	show_totals(v, out);
}

/* --- for programs --------------------------------------------------------- */

static void json_number(struct buf *j, const char *name, uint64_t n)
{
	buf_addf(j, "\"%s\":%llu,", name, (unsigned long long)n);
}

static void json_text(struct buf *j, const char *name, struct span text)
{
	buf_addf(j, "\"%s\":", name);
	buf_add_json(j, text);
	buf_putc(j, ',');
}

static void json_rate(struct buf *j, const struct status_view *v,
                      const char *name, uint64_t then, uint64_t now)
{
	if (v->seconds > 0)
		buf_addf(j, "\"%s\":%.3f,", name, rate(v, then, now));
	else
		buf_addf(j, "\"%s\":null,", name);
}

/* Close what was opened, in place of the comma behind its last member. */
static void json_end(struct buf *j, char bracket)
{
	if (j->len && j->bytes[j->len - 1] == ',')
		j->len--;
	buf_putc(j, bracket);
	buf_putc(j, ',');
}

static void json_process(struct buf *j, const struct status_view *v,
                         const struct slot *then, const struct slot *now)
{
	int32_t pid = atomic_load(&now->pid);

	json_number(j, "pid", (uint64_t)MAX(pid, 0));
	json_text(j, "state",
	          span_str(process_state_name(
			  (enum process_state)atomic_load(&now->state))));
	json_number(j, "uptime_ms", pid ? life_ms(now) : 0);
	json_number(j, "restarts", atomic_load(&now->restarts));
	json_number(j, "config_generation",
	            atomic_load(&now->config_generation));
	json_number(j, "catalog_serial", atomic_load(&now->catalog_serial));
	json_number(j, "connections_open", count_read(&now->connections_open));
	json_number(j, "streams_open", count_read(&now->streams_open));
	json_number(j, "requests", requests(now));
	json_rate(j, v, "requests_per_second", requests(then), requests(now));
	json_number(j, "memory_bytes", pid ? resident_bytes(pid) : 0);
	json_end(j, '}');
}

static void json_calls(struct buf *j, const struct status_view *v,
                       const counter then[OUTCOMES],
                       const counter now[OUTCOMES])
{
	buf_puts(j, "\"calls\":{");
	for (int i = 0; i < OUTCOMES; i++)
		json_number(j, outcome_name((enum outcome)i),
		            count_read(&now[i]));
	json_end(j, '}');
	json_rate(j, v, "calls_per_second", calls(then), calls(now));
}

static void json_backend(struct buf *j, const struct status_view *v,
                         uint32_t slot)
{
	const struct backend_row *then = &v->then->backends[slot];
	const struct backend_row *now = &v->now->backends[slot];

	buf_putc(j, '{');
	json_text(j, "name", TEXT_OF(now->name));
	json_text(
		j, "health",
		span_str(health_name((enum health)atomic_load(&now->health))));
	json_number(j, "latency_us", atomic_load(&now->latency_us));
	json_number(j, "tools", atomic_load(&now->n_tools));
	json_text(j, "breaker", span_str(breaker(now)));
	json_text(j, "error", TEXT_OF(now->error));
	json_calls(j, v, then->calls, now->calls);
	json_end(j, '}');
}

static void json_tools(struct buf *j, const struct status_view *v)
{
	uint32_t rows[TOP_TOOLS];
	size_t n = top_tools(v, rows);

	buf_puts(j, "\"tools\":[");
	for (size_t i = 0; i < n; i++) {
		const struct tool_row *now = &v->now->tools[rows[i]];

		buf_putc(j, '{');
		json_text(j, "name", tool_name(v, rows[i]));
		json_calls(j, v, v->then->tools[rows[i]].calls, now->calls);
		json_number(j, "duration_us", count_read(&now->duration_us));
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_totals(struct buf *j, const struct status_view *v)
{
	buf_puts(j, "\"totals\":{");
	for (size_t i = 0; i < ARRAY_LEN(totals); i++)
		json_number(j, totals[i].name, add_up(v->now, &totals[i]));
	json_rate(j, v, "requests_per_second", add_up(v->then, &totals[0]),
	          add_up(v->now, &totals[0]));
	json_end(j, '}');
}

static void json_all(struct buf *j, const struct status_view *v)
{
	const struct board *b = v->now;

	buf_putc(j, '{');
	json_text(j, "name", snapshot_text(v->snap, v->snap->head->name));
	json_text(j, "version",
	          snapshot_text(v->snap, v->snap->head->program_version));
	json_number(j, "pid", (uint64_t)atomic_load(&b->master_pid));
	json_number(j, "uptime_ms", uptime_ms(b));
	json_number(j, "config_generation", atomic_load(&b->config_generation));
	json_number(j, "catalog_serial", atomic_load(&b->catalog_serial));
	json_number(j, "reloads", count_read(&b->reloads));
	json_number(j, "reloads_failed", count_read(&b->reloads_failed));
	buf_addf(j, "\"draining\":%s,",
	         atomic_load(&b->draining) ? "true" : "false");
	buf_puts(j, "\"keeper\":{");
	json_process(j, v, &v->then->keeper, &v->now->keeper);
	buf_puts(j, "\"workers\":[");
	for (uint32_t i = 0; i < slots(v); i++) {
		buf_putc(j, '{');
		json_number(j, "slot", i);
		json_process(j, v, &v->then->workers[i], &v->now->workers[i]);
	}
	json_end(j, ']');
	buf_puts(j, "\"backends\":[");
	for (uint32_t i = 0; i < v->snap->head->backends.len; i++)
		json_backend(j, v, snapshot_backend(v->snap, i)->slot);
	json_end(j, ']');
	json_tools(j, v);
	json_totals(j, v);
	json_end(j, '}');
}

void status_show_json(const struct status_view *v, FILE *out)
{
	struct buf j = { .max = JSON_MAX };

	json_all(&j, v);
	if (buf_err(&j) == 0)
		fprintf(out, "%.*s\n", (int)j.len - 1, j.bytes);
	buf_free(&j);
}
