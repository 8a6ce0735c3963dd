#include "worker/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/version.h"
#include "shm/builder.h"

#define BACKENDS 3

static struct board *board;
static struct snapshot *snap;
static struct buf body;

static void add_config(struct builder *b, size_t n_backends)
{
	static const char *const names[BACKENDS] = { "one", "two\"\\", "x" };
	struct settings settings = { 0 };
	struct backend backends[BACKENDS] = { 0 };

	for (uint32_t i = 0; i < n_backends; i++) {
		backends[i].name = builder_text(b, span_str(names[i]));
		backends[i].slot = 7 * i + 3;
		backends[i].port = 80;
	}

	struct header head = *builder_header(b);
	head.config_generation = 2;
	head.settings = builder_array(b, &settings, 1, sizeof(settings));
	head.name = builder_text(b, SPAN("gate"));
	head.path = builder_text(b, SPAN("/mcp"));
	head.backends =
		builder_array(b, backends, n_backends, sizeof(backends[0]));
	*builder_header(b) = head;
	builder_end_config(b);
}

static void build(size_t n_backends)
{
	struct view views[VIEWS];
	struct builder b;

	memset(views, 0, sizeof(views));
	builder_init(&b);
	add_config(&b, n_backends);
	struct ref origins =
		builder_array(&b, NULL, n_backends, sizeof(struct origin));
	struct ref both = builder_array(&b, views, VIEWS, sizeof(*views));
	builder_header(&b)->origins = origins;
	builder_header(&b)->views = both;
	cr_assert_eq(snapshot_open(builder_freeze(&b), &snap), 0);
}

static void begin(void)
{
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	close(fd);
	body = (struct buf){ .max = 64 << 20 };
	board->discovered_generation = 2;
}

static void end(void)
{
	snapshot_unref(snap);
	buf_free(&body);
}

TestSuite(metrics, .init = begin, .fini = end);

static void write_all(void)
{
	buf_reset(&body);
	metrics_write(snap, board, &body);
	cr_assert_eq(buf_err(&body), 0);
}

/* --- a reader of Prometheus' text format 0.0.4 ----------------------------
 */

#define PREFIX  "oci_mcp_gateway_"
#define SAMPLES 4096

struct sample {
	char name[96], labels[320]; /* as written, but le taken out */
	char le[24];
	double value;
};

static struct sample samples[SAMPLES];
static size_t n_samples;
static char families[256][96];
static size_t n_families;

static bool is_name(const char *name)
{
	return name[0] &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") ==
	               strlen(name) &&
	       strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

/* "# HELP name text" and "# TYPE name type" begin a family, in this order. */
static void read_family(const char *help, const char *type_line, char type[16])
{
	char name[96], again[96];

	cr_assert_eq(sscanf(help, "# HELP %95s %*[^\n]", name), 1, "%s", help);
	cr_assert_eq(sscanf(type_line, "# TYPE %95s %15s", again, type), 2,
	             "%s", type_line);
	cr_assert_str_eq(name, again);
	cr_assert(is_name(name), "%s", name);
	cr_assert_gt(strlen(help), strlen("# HELP  ") + strlen(name));
	for (size_t i = 0; i < n_families; i++)
		cr_assert_str_neq(families[i], name, "declared twice");
	cr_assert_lt(n_families, ARRAY_LEN(families));
	strcpy(families[n_families++], name);
}

/* Past name="value", unescaping nothing but checking the escapes. */
static const char *read_label(const char *at, struct sample *s)
{
	const char *begin = at;

	at += strspn(at, "abcdefghijklmnopqrstuvwxyz");
	cr_assert(at > begin && at[0] == '=' && at[1] == '"', "%s", begin);
	for (at += 2; *at != '"'; at++) {
		cr_assert(*at && *at != '\n', "%s", begin);
		if (*at == '\\')
			cr_assert(*++at && strchr("\\\"n", *at), "%s", begin);
	}
	at++;
	if (strncmp(begin, "le=", 3) == 0)
		snprintf(s->le, sizeof(s->le), "%.*s", (int)(at - begin - 5),
		         begin + 4);
	else
		snprintf(s->labels + strlen(s->labels),
		         sizeof(s->labels) - strlen(s->labels), "%.*s,",
		         (int)(at - begin), begin);
	return at;
}

static void read_sample(const char *line, struct sample *s)
{
	const char *at = line + strcspn(line, "{ ");
	char *end;

	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%.*s", (int)(at - line), line);
	cr_assert(is_name(s->name), "%s", line);
	if (*at == '{') {
		do
			at = read_label(at + 1, s);
		while (*at == ',');
		cr_assert_eq(*at++, '}', "%s", line);
	}
	cr_assert_eq(*at++, ' ', "%s", line);
	s->value = strtod(at, &end);
	cr_assert(end > at && *end == '\0' && s->value >= 0, "%s", line);
}

/* Does a sample of this name belong to the family that was declared last? */
static void check_member(const struct sample *s, const char *type)
{
	const char *family = families[n_families - 1];
	const char *rest = s->name + strlen(family);
	bool histogram = strcmp(type, "histogram") == 0;

	cr_assert_eq(strncmp(s->name, family, strlen(family)), 0, "%s in %s",
	             s->name, family);
	if (histogram || strcmp(type, "summary") == 0)
		cr_assert(strcmp(rest, "_sum") == 0 ||
		                  strcmp(rest, "_count") == 0 ||
		                  (histogram && strcmp(rest, "_bucket") == 0),
		          "%s", s->name);
	else
		cr_assert_str_eq(rest, "");
	cr_assert_eq(s->le[0] != '\0', strcmp(rest, "_bucket") == 0);
	if (strcmp(type, "counter") == 0)
		cr_assert(strstr(family, "_total"), "%s", family);
}

/* Buckets are in order, cumulative, and the last is the count. */
static void check_histograms(void)
{
	const struct sample *last = NULL;
	double bound = -1;

	for (size_t i = 0; i < n_samples; i++) {
		const struct sample *s = &samples[i];
		size_t n = strlen(s->name);

		if (s->le[0]) {
			double le = strtod(s->le, NULL);

			if (last) {
				cr_assert_gt(le, bound);
				cr_assert_geq(s->value, last->value);
				cr_assert_str_eq(s->labels, last->labels);
			}
			bound = le;
			last = s;
		} else if (last && strcmp(s->name + n - 6, "_count") == 0) {
			cr_assert_str_eq(last->le, "+Inf");
			cr_assert_eq(last->value, s->value);
			last = NULL;
		} else if (last) {
			cr_assert_str_eq(s->name + n - 4, "_sum");
		}
	}
	cr_assert_null(last);
}

static void read_metrics(void)
{
	char type[16] = "", help[256] = "";
	char *save = NULL;

	n_samples = n_families = 0;
	write_all();
	cr_assert_eq(body.bytes[body.len - 1], '\n');
	buf_putc(&body, '\0');
	cr_assert_null(strstr(body.bytes, "\n\n"));
	for (char *line = strtok_r(body.bytes, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			snprintf(help, sizeof(help), "%s", line);
		} else if (line[0] == '#') {
			read_family(help, line, type);
		} else {
			cr_assert_lt(n_samples, (size_t)SAMPLES);
			read_sample(line, &samples[n_samples]);
			check_member(&samples[n_samples++], type);
		}
	}
	for (size_t i = 0; i < n_samples; i++)
		for (size_t k = 0; k < i; k++)
			cr_assert(strcmp(samples[i].name, samples[k].name) ||
			                  strcmp(samples[i].labels,
			                         samples[k].labels) ||
			                  strcmp(samples[i].le, samples[k].le),
			          "%s{%s} twice", samples[i].name,
			          samples[i].labels);
	check_histograms();
}

/* The value of a sample; -1 when there is none. */
static double value(const char *name, const char *labels)
{
	for (size_t i = 0; i < n_samples; i++)
		if (strcmp(samples[i].name + strlen(PREFIX), name) == 0 &&
		    strcmp(samples[i].labels, labels) == 0 &&
		    strcmp(samples[i].le, "") == 0)
			return samples[i].value;
	return -1;
}

static double bucket(const char *name, const char *labels, const char *le)
{
	for (size_t i = 0; i < n_samples; i++)
		if (strcmp(samples[i].name + strlen(PREFIX), name) == 0 &&
		    strcmp(samples[i].labels, labels) == 0 &&
		    strcmp(samples[i].le, le) == 0)
			return samples[i].value;
	return -1;
}

static void observe(struct histogram *h, uint64_t us)
{
	count_shared(&h->buckets[board_bucket(us)], 1);
	count_shared(&h->sum_us, us);
}

struct expected {
	const char *name, *labels;
	double value;
};

static void expect_all(const struct expected *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_expect_float_eq(value(rows[i].name, rows[i].labels),
		                   rows[i].value, 1e-9, "%s{%s} is %f",
		                   rows[i].name, rows[i].labels,
		                   value(rows[i].name, rows[i].labels));
}

Test(metrics, of_an_empty_board)
{
	static const struct expected rows[] = {
		{ "build_info", "version=\"" VERSION "\",", 1 },
		{ "keeper_up", "", 0 },
		{ "audit_records_total", "", 0 },
		{ "worker_up", "worker=\"0\",", -1 },
	};

	build(0);
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));
}

Test(metrics, of_workers)
{
	static const struct expected rows[] = {
		{ "workers", "", 2 },
		{ "config_generation", "", 4 },
		{ "discovered_generation", "", 2 },
		{ "catalog_serial", "", 9 },
		{ "reloads_total", "", 3 },
		{ "reloads_failed_total", "", 1 },
		{ "audit_records_total", "", 11 },
		{ "keeper_up", "", 1 },
		{ "keeper_restarts_total", "", 6 },
		{ "worker_up", "worker=\"0\",", 1 },
		{ "worker_up", "worker=\"255\",", 0 },
		{ "worker_up", "worker=\"1\",", -1 },
		{ "worker_state", "worker=\"0\",state=\"serving\",", 1 },
		{ "worker_state", "worker=\"0\",state=\"none\",", 0 },
		{ "worker_state", "worker=\"255\",state=\"none\",", 1 },
		{ "worker_restarts_total", "worker=\"255\",", 5 },
		{ "connections_total", "worker=\"0\",", 100 },
		{ "connections_open", "worker=\"0\",", 7 },
		{ "connections_refused_total", "worker=\"0\",", 2 },
		{ "requests_total", "worker=\"0\",code=\"1xx\",", 1 },
		{ "requests_total", "worker=\"0\",code=\"2xx\",", 2 },
		{ "requests_total", "worker=\"0\",code=\"5xx\",", 5 },
		{ "requests_total", "worker=\"255\",code=\"2xx\",", 77 },
		{ "received_bytes_total", "worker=\"0\",", 1e12 },
		{ "sent_bytes_total", "worker=\"0\",", 3 },
		{ "tokens_total", "worker=\"0\",result=\"cached\",", 21 },
		{ "tokens_total", "worker=\"0\",result=\"verified\",", 22 },
		{ "tokens_total", "worker=\"0\",result=\"refused\",", 23 },
		{ "upstream_connections_total", "worker=\"0\",", 31 },
		{ "upstream_reused_total", "worker=\"0\",", 32 },
		{ "streams_open", "worker=\"0\",", 41 },
		{ "memory_bytes", "worker=\"0\",", 42 },
		{ "worker_config_generation", "worker=\"0\",", 4 },
		{ "worker_catalog_serial", "worker=\"0\",", 8 },
		{ "request_duration_seconds_count", "worker=\"0\",", 4 },
		{ "request_duration_seconds_sum", "worker=\"0\",", 60.0035 },
	};
	struct slot *slot = &board->workers[0];

	build(0);
	board->n_workers = 2;
	board->config_generation = 4;
	board->catalog_serial = 9;
	board->reloads = 3;
	board->reloads_failed = 1;
	board->audit_next = 11;
	board->keeper.pid = 1;
	board->keeper.state = PROCESS_SERVING;
	board->keeper.restarts = 6;
	board->workers[255].started_ms = 1;
	board->workers[255].restarts = 5;
	board->workers[255].requests[1] = 77;
	*slot = (struct slot){
		.pid = 1,
		.state = PROCESS_SERVING,
		.started_ms = 1,
		.config_generation = 4,
		.catalog_serial = 8,
		.connections = 100,
		.connections_open = 7,
		.refused = 2,
		.requests = { 1, 2, 3, 4, 5 },
		.received_bytes = 1000000000000,
		.sent_bytes = 3,
		.tokens_cached = 21,
		.tokens_verified = 22,
		.tokens_refused = 23,
		.upstream_connections = 31,
		.upstream_reused = 32,
		.streams_open = 41,
		.memory_bytes = 42,
	};
	observe(&slot->duration, 500);
	observe(&slot->duration, 1000);
	observe(&slot->duration, 2000);
	observe(&slot->duration, 60000000);
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));

	static const struct {
		const char *le;
		double n;
	} buckets[] = { { "0.001", 2 }, { "0.0025", 3 }, { "0.005", 3 },
		        { "1", 3 },     { "10", 3 },     { "+Inf", 4 } };
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
		cr_expect_eq(bucket("request_duration_seconds_bucket",
		                    "worker=\"0\",", buckets[i].le),
		             buckets[i].n, "%s", buckets[i].le);
}

#define TWO "backend=\"two\\\"\\\\\","

Test(metrics, of_backends)
{
	static const struct expected rows[] = {
		{ "backend_healthy", "backend=\"one\",", 1 },
		{ "backend_healthy", TWO, 0 },
		{ "backend_state", "backend=\"one\",state=\"healthy\",", 1 },
		{ "backend_state", TWO "state=\"healthy\",", 0 },
		{ "backend_state", TWO "state=\"degraded\",", 1 },
		{ "backend_probe_failures", TWO, 2 },
		{ "backend_probe_latency_seconds", TWO, 0.0125 },
		{ "backend_tools", TWO, 12 },
		{ "backend_breaker_open", "backend=\"one\",", 0 },
		{ "backend_breaker_open", TWO, 1 },
		{ "backend_calls_total", TWO "outcome=\"success\",", 9 },
		{ "backend_calls_total", TWO "outcome=\"unavailable\",", 3 },
		{ "backend_calls_total",
		  "backend=\"one\",outcome=\"cancelled\",", 0 },
		{ "backend_retries_total", TWO, 1 },
		{ "backend_duration_seconds_count", TWO, 1 },
		{ "backend_duration_seconds_sum", TWO, 0.25 },
		{ "backend_healthy", "backend=\"x\",", -1 },
	};
	struct backend_row *row = &board->backends[10];

	build(2);
	board->backends[3].health = HEALTH_HEALTHY;
	row->health = HEALTH_DEGRADED;
	row->failures_in_row = 2;
	row->latency_us = 12500;
	row->n_tools = 12;
	row->open_until_ms = 1;
	row->calls[OUTCOME_SUCCESS] = 9;
	row->calls[OUTCOME_UNAVAILABLE] = 3;
	row->retries = 1;
	observe(&row->duration, 250000);
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));
}

Test(metrics, of_tools)
{
	static const struct expected rows[] = {
		{ "tool_calls_total", "tool=\"t\",outcome=\"success\",", 3 },
		{ "tool_calls_total", "tool=\"t\",outcome=\"error\",", 1 },
		{ "tool_calls_total", "tool=\"t\",outcome=\"cancelled\",", -1 },
		{ "tool_duration_seconds_count", "tool=\"t\",", 4 },
		{ "tool_duration_seconds_sum", "tool=\"t\",", 1.000001 },
		{ "tool_duration_seconds_count", "tool=\"idle\",", -1 },
		{ "tool_calls_total",
		  "tool=\"\\\"\\\\\\n\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd{},=\","
		  "outcome=\"success\",",
		  5 },
		{ "tool_calls_total", "tool=\"others\",outcome=\"tool_error\",",
		  8 },
		{ "tool_duration_seconds_count", "tool=\"others\",", 8 },
	};
	uint32_t t = board_tool_row(board, SPAN("t"));
	uint32_t odd =
		board_tool_row(board, SPAN("\"\\\n\xc3\xa4\xff\xc3{},="));

	board_tool_row(board, SPAN("idle"));
	board->tools[t].calls[OUTCOME_SUCCESS] = 3;
	board->tools[t].calls[OUTCOME_ERROR] = 1;
	board->tools[t].duration_us = 1000001;
	board->tools[odd].calls[OUTCOME_SUCCESS] = 5;
	board->tools[0].calls[OUTCOME_TOOL_ERROR] = 8;
	build(0);
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));
}

/* As much as there can be of everything: as large as the header says. */
Test(metrics, size_of_the_largest)
{
	const size_t kib = 1024, n_tools = 1000;
	char name[TOOL_NAME_MAX + 1];

	build(BACKENDS);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		memset(&board->workers[i], 0x7f, sizeof(struct slot));
	for (size_t i = 0; i < BACKENDS; i++)
		memset(&board->backends[7 * i + 3], 0x7f,
		       sizeof(struct backend_row));
	for (size_t i = 0; i < n_tools; i++) {
		memset(name, '"', sizeof(name) - 1); /* takes two bytes */
		snprintf(name + TOOL_NAME_MAX - 4, 5, "%04zu", i);

		uint32_t row = board_tool_row(board, span_str(name));
		cr_assert_neq(row, 0);
		for (size_t k = 0; k < OUTCOMES; k++)
			board->tools[row].calls[k] = UINT64_MAX / 8;
	}
	write_all();
	cr_expect_lt(body.len,
	             8 * kib * (WORKERS_MAX + BACKENDS + 1) + 4 * kib * n_tools,
	             "%zu", body.len);
}
