#include "proxy/own.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/scan.h"
#include "lib/value.h"
#include "shm/builder.h"

#define NAUGHTY "a|b\n![x](http://e)<b>`*\\\x01"

static struct board *board;
static struct snapshot *snap;
static struct buf result;
static struct problem why;

static const struct setup {
	const char *name, *description;
	uint32_t auth;
	uint32_t eras;
	enum health health;
} setups[] = {
	{ "oci-compute", "Compute", BACKEND_AUTH_NONE, ERA_MODERN | ERA_LEGACY,
	  HEALTH_HEALTHY },
	{ "github", "", BACKEND_AUTH_BEARER, ERA_LEGACY, HEALTH_DEGRADED },
	{ "files", "", BACKEND_AUTH_KEY, 0, HEALTH_PENDING },
	{ "gone", "", BACKEND_AUTH_NONE, 0, HEALTH_DISCONNECTED },
};

static void build(size_t n, bool auth, bool audit)
{
	struct settings settings = { .auth_enabled = auth,
		                     .enable_audit_log = audit };
	struct backend backends[ARRAY_LEN(setups)] = { 0 };
	struct origin origins[ARRAY_LEN(setups)] = { 0 };
	struct view views[VIEWS];
	struct builder b;

	memset(views, 0, sizeof(views));
	builder_init(&b);
	struct ref values = builder_array(&b, &settings, 1, sizeof(settings));
	struct ref name = builder_text(&b, SPAN("oci \"mcp\""));
	struct ref version = builder_text(&b, SPAN("1.2.3"));
	for (size_t i = 0; i < n; i++) {
		backends[i].name = builder_text(&b, span_str(setups[i].name));
		backends[i].description =
			builder_text(&b, span_str(setups[i].description));
		backends[i].auth = setups[i].auth;
		backends[i].slot = (uint32_t)(n - i); /* not the index */
		backends[i].port = 80;
	}
	struct ref rows = builder_array(&b, backends, n, sizeof(*backends));
	struct header *head = builder_header(&b);
	head->config_generation = 1;
	head->settings = values;
	head->name = name;
	head->program_version = version;
	head->backends = rows;
	builder_end_config(&b);
	for (size_t i = 0; i < n; i++) {
		origins[i].eras = setups[i].eras;
		if (setups[i].eras & ERA_LEGACY)
			origins[i].legacy_version =
				builder_text(&b, SPAN("2025-06-18"));
		board->backends[n - i].health = setups[i].health;
	}
	struct ref from = builder_array(&b, origins, n, sizeof(*origins));
	struct ref to = builder_array(&b, views, VIEWS, sizeof(*views));
	builder_header(&b)->origins = from;
	builder_header(&b)->views = to;
	snapshot_unref(snap);
	snap = NULL;
	cr_assert_eq(snapshot_open(builder_freeze(&b), &snap), 0);
}

static void begin(void)
{
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	close(fd);
	result = (struct buf){ .max = 1 << 20 };
}

static void end(void)
{
	snapshot_unref(snap);
	snap = NULL;
	buf_free(&result);
}

TestSuite(own, .init = begin, .fini = end);

static struct span member(struct span object, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		object = value_get(object, span_of(path, n));
		path += n + (path[n] == '/');
	}
	return object;
}

/* Call, and check what holds for every answer. */
static void call(enum own_tool tool, const char *arguments)
{
	struct scan_error error;
	struct span content, first;
	struct value_iter it;

	buf_reset(&result);
	cr_assert(
		own_call(tool, snap, board, span_str(arguments), &result, &why),
		"%s", why.text);
	cr_assert_eq(scan_document(buf_span(&result), NULL, 0, NULL, &error),
	             SCAN_OK, "%s at %zu in %.*s", error.text, error.offset,
	             SPAN_ARG(buf_span(&result)));
	cr_assert(span_is(member(buf_span(&result), "isError"), "false"));
	cr_assert_eq(value_type(member(buf_span(&result), "structuredContent")),
	             VALUE_OBJECT);
	cr_assert_not(member(buf_span(&result), "resultType").at);
	content = member(buf_span(&result), "content");
	value_iter_init(&it, content);
	cr_assert(value_array_next(&it, &first));
	cr_assert(span_is(member(first, "type"), "\"text\""));
	cr_assert_not(value_array_next(&it, &content));
}

static struct span data(const char *path)
{
	return member(member(buf_span(&result), "structuredContent"), path);
}

/* The text that a person reads, with a NUL. */
static const char *text(void)
{
	static char room[1 << 16];
	struct value_iter it;
	struct span first;

	value_iter_init(&it, member(buf_span(&result), "content"));
	cr_assert(value_array_next(&it, &first));

	int n = value_string(member(first, "text"), room, sizeof(room) - 1);
	cr_assert_geq(n, 0);
	room[n] = '\0';
	return room;
}

#define HAS(path, json)                                                  \
	cr_expect(span_is(data(path), json), "%s is %.*s, not %s", path, \
	          SPAN_ARG(data(path)), json)

Test(own, health_has_every_member_of_every_backend)
{
	build(ARRAY_LEN(setups), true, true);

	struct backend_row *row = &board->backends[4];
	row->last_check_ms = 1700000000123;
	row->latency_us = 1230;
	row->n_tools = 44;
	row->failures_in_row = 0;
	row = &board->backends[3];
	row->last_check_ms = 1700000000123;
	row->failures_in_row = 2;
	strcpy(row->error, "said \"no\"");

	call(OWN_HEALTH, "");
	HAS("gateway/name", "\"oci \\\"mcp\\\"\"");
	HAS("gateway/version", "\"1.2.3\"");
	HAS("gateway/status", "\"healthy\"");
	HAS("gateway/auth_enabled", "true");
	HAS("backends/total", "4");
	HAS("backends/healthy", "1");
	HAS("backends/degraded", "1");
	HAS("backends/unhealthy", "1");
	HAS("backends/backends/oci-compute/status", "\"healthy\"");
	HAS("backends/backends/oci-compute/transport", "\"streamable_http\"");
	HAS("backends/backends/oci-compute/auth_method", "\"none\"");
	HAS("backends/backends/oci-compute/tool_count", "44");
	HAS("backends/backends/oci-compute/latency_ms", "1.230");
	HAS("backends/backends/oci-compute/last_check",
	    "\"2023-11-14T22:13:20.123Z\"");
	HAS("backends/backends/oci-compute/consecutive_failures", "0");
	HAS("backends/backends/oci-compute/error", "null");
	HAS("backends/backends/github/status", "\"degraded\"");
	HAS("backends/backends/github/auth_method", "\"bearer_token\"");
	HAS("backends/backends/github/consecutive_failures", "2");
	HAS("backends/backends/github/error", "\"said \\\"no\\\"\"");
	HAS("backends/backends/files/status", "\"pending\"");
	HAS("backends/backends/files/auth_method", "\"api_key\"");
	HAS("backends/backends/files/latency_ms", "null");
	HAS("backends/backends/files/last_check", "null");
	HAS("backends/backends/gone/status", "\"disconnected\"");
}

Test(own, the_text_of_health_is_its_data)
{
	build(2, false, true);
	call(OWN_HEALTH, "{}");
	cr_assert(span_is(data(""), text()));
	HAS("gateway/auth_enabled", "false");
}

Test(own, status_of_the_gateway)
{
	build(0, true, true);
	call(OWN_HEALTH, "");
	HAS("gateway/status", "\"healthy\"");
	HAS("backends/total", "0");
	HAS("backends/backends", "{}");

	build(1, true, true);
	board->backends[1].health = HEALTH_UNHEALTHY;
	call(OWN_HEALTH, "");
	HAS("gateway/status", "\"degraded\"");
	board->backends[1].health = HEALTH_DEGRADED;
	call(OWN_HEALTH, "");
	HAS("gateway/status", "\"degraded\"");
	board->backends[1].health = 77; /* shared memory may hold anything */
	call(OWN_HEALTH, "");
	HAS("backends/backends/oci-compute/status", "\"unknown\"");
}

Test(own, an_error_without_its_end_stays_in_its_place)
{
	build(1, true, true);
	memset(board->backends[1].error, 'x', AUDIT_TEXT);
	board->backends[1].call_failures = 1;
	call(OWN_HEALTH, "");
	cr_assert_eq(data("backends/backends/oci-compute/error").len,
	             AUDIT_TEXT + 2);
	call(OWN_LIST_BACKENDS, "");
}

Test(own, list_of_backends_for_people_and_programs)
{
	struct value_iter it;
	struct span first;

	build(ARRAY_LEN(setups), true, true);
	board->backends[4].last_check_ms = 1700000000123;
	board->backends[4].latency_us = 2;
	board->backends[4].n_tools = 7;
	strcpy(board->backends[3].error, NAUGHTY);
	board->backends[3].open_until_ms = UINT64_MAX;
	board->backends[3].call_failures = 5;
	board->backends[2].open_until_ms = 1;
	call(OWN_LIST_BACKENDS, "{}");

	static const char *const expected[] = {
		"# Backends\n\n4 backends: 1 healthy, 1 degraded, 1 unhealthy",
		"\n## [OK] oci-compute\n\nCompute\n\n- Transport: "
		"streamable_http\n- Auth: none\n- Status: healthy, checked "
		"2023-11-14T22:13:20.123Z, 0 failures in a row\n- Latency: "
		"0.002 ms\n- Error: none\n- Tools: 7\n- Protocol: 2026-07-28, "
		"2025-06-18\n- Breaker: closed, 0 failed calls in a row\n",
		"\n## [DEGRADED] github\n\n- Transport",
		"- Error: a\\|b \\!\\[x\\](http://e)\\<b\\>\\`\\*\\\\ \n",
		"- Protocol: 2025-06-18\n- Breaker: open, 5 failed calls in",
		"\n## [WAITING] files\n",
		"- Status: pending, not checked yet\n- Latency: unknown\n",
		"- Protocol: not known yet\n- Breaker: half_open, 0 failed",
		"\n## [DOWN] gone\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		cr_expect(strstr(text(), expected[i]), "%s\nnot in\n%s",
		          expected[i], text());

	value_iter_init(&it, data("backends"));
	cr_assert(value_array_next(&it, &first));
	cr_expect(span_is(member(first, "name"), "\"oci-compute\""));
	cr_expect(span_is(member(first, "description"), "\"Compute\""));
	cr_expect(span_is(member(first, "status"), "\"healthy\""));
	cr_expect(span_is(member(first, "tool_count"), "7"));
	cr_expect(span_is(member(first, "protocols"),
	                  "[\"2026-07-28\",\"2025-06-18\"]"));
	cr_expect(span_is(member(first, "breaker"), "\"closed\""));
	cr_expect(span_is(member(first, "last_healthy"), "null"));
	cr_assert(value_array_next(&it, &first));
	cr_expect(span_is(member(first, "description"), "null"));
	cr_expect(span_is(member(first, "breaker"), "\"open\""));
	cr_expect(span_is(member(first, "call_failures"), "5"));
	cr_assert(value_array_next(&it, &first));
	cr_assert(value_array_next(&it, &first));
	cr_assert_not(value_array_next(&it, &first));
}

Test(own, no_backends_are_listed_too)
{
	build(0, true, true);
	call(OWN_LIST_BACKENDS, "");
	cr_expect(strstr(text(), "0 backends: "));
	HAS("backends", "[]");
}

static void record(unsigned i)
{
	struct audit_row row = {
		.at_ms = 1700000000123,
		.duration_us = 1500,
		.outcome = i % OUTCOMES,
		.status = 200,
	};

	snprintf(row.tool, sizeof(row.tool), "tool_%u", i);
	snprintf(row.request_id, sizeof(row.request_id), "id-%u", i);
	if (i % 2) {
		strcpy(row.client_id, NAUGHTY);
		strcpy(row.backend, "files");
		strcpy(row.error, "refused");
	}
	strcpy(row.subject, "subject-secret");
	strcpy(row.address, "192.0.2.77");
	board_audit(board, &row);
}

static size_t count_records(void)
{
	struct value_iter it;
	struct span one;
	size_t n = 0;

	value_iter_init(&it, data("records"));
	while (value_array_next(&it, &one))
		n++;
	return n;
}

Test(own, audit_log_is_newest_first)
{
	struct value_iter it;
	struct span one;

	build(0, true, true);
	record(0);
	record(1);
	call(OWN_AUDIT_LOG, "");
	cr_expect_str_eq(
		text(),
		"# Audit log\n\n"
		"| Time | Tool | Client | Backend | Status | Duration |\n"
		"|---|---|---|---|---|---|\n"
		"| 2023-11-14T22:13:20.123Z | tool_1 | "
		"a\\|b \\!\\[x\\](http://e)\\<b\\>\\`\\*\\\\  | files | "
		"tool_error | 1.500 ms |\n"
		"| 2023-11-14T22:13:20.123Z | tool_0 | anonymous |  | success "
		"| 1.500 ms |\n");
	value_iter_init(&it, data("records"));
	cr_assert(value_array_next(&it, &one));
	cr_expect(value_string_eq(member(one, "client_id"), SPAN(NAUGHTY)));
	cr_expect(span_is(member(one, "request_id"), "\"id-1\""));
	cr_expect(span_is(member(one, "status"), "\"tool_error\""));
	cr_expect(span_is(member(one, "error"), "\"refused\""));
	cr_assert(value_array_next(&it, &one));
	cr_expect(span_is(member(one, "tool"), "\"tool_0\""));
	cr_expect(span_is(member(one, "timestamp"),
	                  "\"2023-11-14T22:13:20.123Z\""));
	cr_expect(span_is(member(one, "client_id"), "\"anonymous\""));
	cr_expect(span_is(member(one, "backend"), "null"));
	cr_expect(span_is(member(one, "http_status"), "200"));
	cr_expect(span_is(member(one, "duration_ms"), "1.500"));
	cr_expect(span_is(member(one, "error"), "null"));

	buf_putc(&result, '\0');
	cr_expect_not(strstr(result.bytes, "subject-secret"));
	cr_expect_not(strstr(result.bytes, "192.0.2.77"));
}

Test(own, audit_log_gives_as_many_as_asked_for)
{
	static const struct {
		const char *arguments;
		size_t n;
	} rows[] = {
		{ "", 16 }, /* the ring holds no more */
		{ "{\"limit\":1}", 1 },
		{ "{ \"limit\" : 15 }", 15 },
		{ "{\"limit\":100}", 16 },
		{ "{\"l\\u0069mit\":2}", 2 },
	};

	build(0, true, true);
	for (unsigned i = 0; i < 40; i++)
		record(i);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call(OWN_AUDIT_LOG, rows[i].arguments);
		cr_expect_eq(count_records(), rows[i].n, "%s",
		             rows[i].arguments);
	}
}

Test(own, an_empty_audit_log_says_why)
{
	build(0, true, true);
	call(OWN_AUDIT_LOG, "");
	cr_expect_str_eq(text(), "# Audit log\n\nNo calls so far.\n");
	HAS("records", "[]");
	build(0, true, false);
	call(OWN_AUDIT_LOG, "");
	cr_expect(strstr(text(), "enable_audit_log is false"));
}

Test(own, bad_arguments_are_refused)
{
	static const struct {
		enum own_tool tool;
		const char *arguments;
	} rows[] = {
		{ OWN_HEALTH, "{\"limit\":1}" },
		{ OWN_HEALTH, "[]" },
		{ OWN_HEALTH, "null" },
		{ OWN_LIST_BACKENDS, "{\"\":null}" },
		{ OWN_AUDIT_LOG, "\"limit\"" },
		{ OWN_AUDIT_LOG, "{\"limit\":0}" },
		{ OWN_AUDIT_LOG, "{\"limit\":-1}" },
		{ OWN_AUDIT_LOG, "{\"limit\":101}" },
		{ OWN_AUDIT_LOG, "{\"limit\":1.5}" },
		{ OWN_AUDIT_LOG, "{\"limit\":1e1}" },
		{ OWN_AUDIT_LOG, "{\"limit\":\"5\"}" },
		{ OWN_AUDIT_LOG, "{\"limit\":null}" },
		{ OWN_AUDIT_LOG, "{\"limit\":18446744073709551617}" },
		{ OWN_AUDIT_LOG, "{\"limit\":1,\"limit\":2}" },
		{ OWN_AUDIT_LOG, "{\"Limit\":1}" },
		{ OWN_AUDIT_LOG, "{\"limit\":1,\"since\":2}" },
	};

	build(1, true, true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memset(&why, 0, sizeof(why));
		cr_expect_not(own_call(rows[i].tool, snap, board,
		                       span_str(rows[i].arguments), &result,
		                       &why),
		              "%s", rows[i].arguments);
		cr_expect_eq(why.code, RPC_INVALID_PARAMS, "%s",
		             rows[i].arguments);
		cr_expect_gt(strlen(why.text), 0);
	}
}

Test(own, an_answer_without_room_is_an_error)
{
	size_t whole;

	build(ARRAY_LEN(setups), true, true);
	record(1);
	for (enum own_tool tool = 0; tool < OWN_TOOLS; tool++) {
		call(tool, "");
		whole = result.len;
		for (size_t max = 0; max < whole; max++) {
			struct buf small = { .max = max };

			why.code = 0;
			cr_assert_not(own_call(tool, snap, board, SPAN(""),
			                       &small, &why));
			cr_assert_eq(why.code, RPC_INTERNAL);
			buf_free(&small);
		}
	}
}
