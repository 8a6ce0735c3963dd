#include "worker/pages.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/scan.h"
#include "lib/version.h"
#include "shm/builder.h"

#define BACKENDS 3

static struct board *board;
static struct snapshot *snap;
static struct buf body;
static struct page_input in;

/* What differs from test to test. */
static struct setup {
	size_t n_backends;
	const char *public_url, *path, *version;
	const char *servers[2];
	const char *scopes[3]; /* sorted */
	const char *required[2];
	bool no_metrics;
} setup;

static struct ref texts(struct builder *b, const char *const *from, size_t max)
{
	struct ref refs[8];
	size_t n = 0;

	while (n < max && from[n]) {
		refs[n] = builder_text(b, span_str(from[n]));
		n++;
	}
	return builder_array(b, refs, n, sizeof(refs[0]));
}

static void add_required(struct header *head)
{
	for (size_t i = 0; i < ARRAY_LEN(setup.required); i++)
		for (unsigned k = 0; k < ARRAY_LEN(setup.scopes); k++)
			if (setup.required[i] && setup.scopes[k] &&
			    strcmp(setup.required[i], setup.scopes[k]) == 0)
				scope_set_add(&head->required, k);
}

static void add_config(struct builder *b)
{
	static const char *const names[BACKENDS] = { "one", "two\"\\", "x" };
	struct settings settings = { .enable_metrics = !setup.no_metrics };
	struct backend backends[BACKENDS] = { 0 };
	struct header head;

	for (uint32_t i = 0; i < setup.n_backends; i++) {
		backends[i].name = builder_text(b, span_str(names[i]));
		backends[i].slot = 7 * i + 3;
		backends[i].port = 80;
	}
	head = *builder_header(b);
	head.config_generation = 2;
	head.settings = builder_array(b, &settings, 1, sizeof(settings));
	head.name = builder_text(b, SPAN("gate"));
	head.program_version = builder_text(b, span_str(setup.version));
	head.path = builder_text(b, span_str(setup.path ? setup.path : "/mcp"));
	head.public_url = builder_text(b, span_str(setup.public_url));
	head.authorization_servers = texts(b, setup.servers, 2);
	head.scopes = texts(b, setup.scopes, 3);
	head.backends = builder_array(b, backends, setup.n_backends,
	                              sizeof(backends[0]));
	add_required(&head);
	*builder_header(b) = head;
	builder_end_config(b);
}

static void build(void)
{
	struct view views[VIEWS];
	struct builder b;

	memset(views, 0, sizeof(views));
	builder_init(&b);
	add_config(&b);
	struct ref origins = builder_array(&b, NULL, setup.n_backends,
	                                   sizeof(struct origin));
	struct ref both = builder_array(&b, views, VIEWS, sizeof(*views));
	builder_header(&b)->origins = origins;
	builder_header(&b)->views = both;
	snapshot_unref(snap);
	snap = NULL;
	cr_assert_eq(snapshot_open(builder_freeze(&b), &snap), 0);
	in = (struct page_input){ .snap = snap,
		                  .board = board,
		                  .host = SPAN("h.example:9000") };
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

TestSuite(pages, .init = begin, .fini = end);

static int get(enum page page)
{
	struct scan_error why;

	buf_reset(&body);
	int status = page_write(page, &in, &body);
	if (strcmp(page_type(page), "application/json") == 0)
		cr_assert_eq(
			scan_document(buf_span(&body), NULL, 0, NULL, &why),
			SCAN_OK, "%s: %.*s", why.text,
			SPAN_ARG(buf_span(&body)));
	return status;
}

static struct span member(const char *key)
{
	return scan_get(buf_span(&body), span_str(key));
}

#define HAS(key, json)                                                   \
	cr_expect(span_is(member(key), json), "%s is %.*s, not %s", key, \
	          SPAN_ARG(member(key)), json)

Test(pages, paths)
{
	static const struct {
		const char *path, *mcp_path;
		int page; /* -1: none */
	} rows[] = {
		{ "/health", "/mcp", PAGE_HEALTH },
		{ "/healthz", "/mcp", PAGE_HEALTH },
		{ "/ready", "/mcp", PAGE_READY },
		{ "/readyz", "/mcp", PAGE_READY },
		{ "/metrics", "/mcp", PAGE_METRICS },
		{ "/.well-known/oauth-protected-resource", "/mcp",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/mcp", "/mcp",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/a/b", "/a/b",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/", "/",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/", "/mcp", -1 },
		{ "/.well-known/oauth-protected-resource/mcp/", "/mcp", -1 },
		{ "/.well-known/oauth-protected-resource/mc", "/mcp", -1 },
		{ "/.well-known/oauth-authorization-server", "/mcp", -1 },
		{ "", "/mcp", -1 },
		{ "/", "/mcp", -1 },
		{ "/mcp", "/mcp", -1 },
		{ "/Health", "/mcp", -1 },
		{ "/health/", "/mcp", -1 },
		{ "/healthz2", "/mcp", -1 },
		{ "/metrics?x", "/mcp", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum page page = PAGES;
		bool found = page_find(span_str(rows[i].path),
		                       span_str(rows[i].mcp_path), &page);

		cr_expect_eq(found, rows[i].page >= 0, "%s", rows[i].path);
		if (found)
			cr_expect_eq((int)page, rows[i].page, "%s",
			             rows[i].path);
	}
}

Test(pages, types)
{
	cr_expect_str_eq(page_type(PAGE_HEALTH), "application/json");
	cr_expect_str_eq(page_type(PAGE_READY), "application/json");
	cr_expect_str_eq(page_type(PAGE_RESOURCE_METADATA), "application/json");
	cr_expect_str_eq(page_type(PAGE_METRICS),
	                 "text/plain; version=0.0.4; charset=utf-8");
}

Test(pages, health_is_ok_whatever_happens)
{
	setup.version = "2.1";
	build();
	board->started_ms = clock_mono_ms() - 5500;
	board->draining = 1;
	board->discovered_generation = 0;
	cr_expect_eq(get(PAGE_HEALTH), 200);
	HAS("status", "\"ok\"");
	HAS("uptime_seconds", "5");
	HAS("version", "\"2.1\"");

	setup.version = NULL;
	build();
	cr_expect_eq(get(PAGE_HEALTH), 200);
	HAS("version", "\"" VERSION "\"");
}

Test(pages, readiness)
{
	static const struct {
		size_t n;
		enum health health[BACKENDS];
		uint64_t discovered;
		uint32_t draining;
		const char *reason; /* NULL: ready */
	} rows[] = {
		{ 0, { 0 }, 2, 0, NULL },
		{ 0, { 0 }, 0, 0, "\"registry_not_initialized\"" },
		{ 1, { HEALTH_HEALTHY }, 2, 0, NULL },
		{ 1, { HEALTH_HEALTHY }, 3, 0, NULL },
		{ 1, { HEALTH_DEGRADED }, 2, 0, NULL },
		{ 1, { HEALTH_HEALTHY }, 2, 1, "\"draining\"" },
		{ 1, { HEALTH_HEALTHY }, 1, 1, "\"draining\"" },
		{ 1, { HEALTH_HEALTHY }, 1, 0, NULL },
		{ 1, { HEALTH_UNHEALTHY }, 2, 0, "\"no_healthy_backends\"" },
		{ 1, { HEALTH_PENDING }, 2, 0, "\"no_healthy_backends\"" },
		{ 2,
		  { HEALTH_DISCONNECTED, HEALTH_CONNECTING },
		  2,
		  0,
		  "\"no_healthy_backends\"" },
		{ 2, { HEALTH_UNHEALTHY, HEALTH_DEGRADED }, 2, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *reason = rows[i].reason;

		setup.n_backends = rows[i].n;
		build();
		for (size_t k = 0; k < BACKENDS; k++)
			board->backends[7 * k + 3].health = rows[i].health[k];
		board->discovered_generation = rows[i].discovered;
		board->draining = rows[i].draining;
		cr_expect_eq(get(PAGE_READY), reason ? 503 : 200, "%zu", i);
		HAS("status", reason ? "\"not_ready\"" : "\"ready\"");
		cr_expect(span_is(member("reason"), reason ? reason : ""));
	}
	HAS("total", "2");
	HAS("healthy", "0");
	HAS("degraded", "1");
	HAS("backends", "{\"one\":\"unhealthy\",\"two\\\"\\\\\":\"degraded\"}");
}

Test(pages, metadata_of_the_resource)
{
	setup.servers[0] = "https://id.example/a";
	setup.servers[1] = "https://id.example/b";
	build();
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"http://h.example:9000/mcp\"");
	HAS("authorization_servers",
	    "[\"https://id.example/a\",\"https://id.example/b\"]");
	HAS("bearer_methods_supported", "[\"header\"]");
	HAS("resource_name", "\"gate\"");
	cr_expect_not(member("scopes_supported").at);

	in.secure = true;
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"https://h.example:9000/mcp\"");

	setup.scopes[0] = "call:tools";
	setup.scopes[1] = "read:tools";
	setup.scopes[2] = "write:tools";
	setup.required[0] = "read:tools";
	setup.required[1] = "call:tools";
	setup.public_url = "https://public.example/p/mcp";
	build();
	in.host = SPAN("evil.example");
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"https://public.example/p/mcp\"");
	HAS("scopes_supported", "[\"call:tools\",\"read:tools\"]");
}

Test(pages, metadata_that_nobody_configured)
{
	build();
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 404);
	HAS("error", "\"not_found\"");
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "auth.authorization_servers"));

	setup.servers[0] = "https://id.example/";
	build();
	in.host = SPAN("");
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 404);
	HAS("error", "\"not_found\"");
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "public_url"));
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
	cr_assert_eq(get(PAGE_METRICS), 200);
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

Test(pages, metrics_of_an_empty_board)
{
	static const struct expected rows[] = {
		{ "build_info", "version=\"" VERSION "\",", 1 },
		{ "keeper_up", "", 0 },
		{ "audit_records_total", "", 0 },
		{ "worker_up", "worker=\"0\",", -1 },
	};

	build();
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));
}

Test(pages, metrics_of_workers)
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

	build();
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

Test(pages, metrics_of_backends)
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

	setup.n_backends = 2;
	build();
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

Test(pages, metrics_of_tools)
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
	build();
	read_metrics();
	expect_all(rows, ARRAY_LEN(rows));
}

Test(pages, metrics_can_be_switched_off)
{
	setup.no_metrics = true;
	build();
	cr_expect_eq(get(PAGE_METRICS), 404);
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "enable_metrics"));
}

Test(pages, a_page_without_room_has_no_body)
{
	setup.n_backends = BACKENDS;
	setup.servers[0] = "https://id.example/";
	build();
	board->backends[3].health = HEALTH_HEALTHY;
	for (enum page page = 0; page < PAGES; page++) {
		cr_assert_eq(get(page), 200);

		size_t step = MAX(body.len / 97, (size_t)1);
		for (size_t max = 0; max < body.len; max += step) {
			struct buf small = { .max = max };

			cr_assert_eq(page_write(page, &in, &small), 500);
			cr_assert_eq(small.len, 0);
			cr_assert_eq(buf_err(&small), 0);
			buf_free(&small);
		}
	}
}

/* As much as there can be of everything: as large as the header says. */
Test(pages, size_of_the_largest_metrics)
{
	const size_t kib = 1024, n_tools = 1000;
	char name[TOOL_NAME_MAX + 1];

	setup.n_backends = BACKENDS;
	build();
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
	cr_assert_eq(get(PAGE_METRICS), 200);
	cr_expect_lt(body.len,
	             8 * kib * (WORKERS_MAX + BACKENDS + 1) + 4 * kib * n_tools,
	             "%zu", body.len);
}
