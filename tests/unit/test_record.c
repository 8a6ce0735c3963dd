#include "worker/record.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"

static struct settings settings;
static struct worker *w;
static struct fixture_caller caller;
static int audit[2], access_log[2]; /* pipes: we read [0] */

static void begin(void)
{
	static const struct fixture_setup setup = {
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN,
		.items = { [VIEW_MODERN] = { ITEM("t") } },
	};

	fixture_settings(&settings);
	settings.auth_enabled = 0;
	settings.access_log = 1;
	w = fixture_worker_new(fixture_snapshot(&setup, 1, &settings, NULL));
	cr_assert_eq(pipe2(audit, O_NONBLOCK), 0);
	cr_assert_eq(pipe2(access_log, O_NONBLOCK), 0);
	record_audit_fd(w->record, audit[1]);
	record_access_fd(w->record, access_log[1]);
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_worker_free(w);
	close(audit[0]);
	close(access_log[0]);
}

TestSuite(record, .init = begin, .fini = end, .timeout = 60);

static void post(const char *fields, const char *body)
{
	char *text = fixture_post(fields, body);
	size_t n = fixture_answers(&caller);

	fixture_say(&caller, span_str(text), 0);
	fixture_await(&caller, n + 1);
	record_flush(w->record);
	free(text);
}

/* The lines that were written: each is one JSON object. */
static size_t lines(int fd, struct span out[], size_t max)
{
	static char text[65536];
	ssize_t n = read(fd, text, sizeof(text));
	struct span all = span_of(text, n < 0 ? 0 : (size_t)n);
	size_t count = 0;

	while (all.len && count < max) {
		size_t end_ = span_find(all, '\n');
		struct scan_error why;

		cr_assert_lt(end_, all.len);
		out[count] = span_first(all, end_);
		cr_assert_eq(scan_document(out[count], NULL, 0, NULL, &why),
		             SCAN_OK, "%s: %.*s", why.text,
		             SPAN_ARG(out[count]));
		count++;
		all = span_from(all, end_ + 1);
	}
	return count;
}

static void expect(struct span line, const char *key, const char *raw)
{
	struct span got = value_get(line, span_str(key));

	cr_expect(span_is(got, raw), "%s is %.*s in %.*s", key, SPAN_ARG(got),
	          SPAN_ARG(line));
}

#define CALL(name)                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," \
	"\"params\":{\"name\":\"" name "\",\"arguments\":{\"s\":\"secret\"}}}"

Test(record, a_call_leaves_a_line_in_both_logs)
{
	struct span line[4];

	post("X-Request-Id: me\r\n", CALL("b_t"));
	cr_assert_eq(lines(audit[0], line, 4), 1u);
	expect(line[0], "event", "\"audit\"");
	expect(line[0], "request_id", "\"me\"");
	expect(line[0], "method", "\"tools/call\"");
	expect(line[0], "tool", "\"b_t\"");
	expect(line[0], "backend", "\"b\"");
	expect(line[0], "client_id", "\"anonymous\"");
	expect(line[0], "status", "200");
	expect(line[0], "outcome", "\"unavailable\"");
	cr_expect_not(memmem(line[0].at, line[0].len, "secret", 6));
	cr_assert_eq(lines(access_log[0], line, 4), 1u);
	expect(line[0], "event", "\"access\"");
	expect(line[0], "http_method", "\"POST\"");
	expect(line[0], "path", "\"/mcp\"");
	cr_expect_not(memmem(line[0].at, line[0].len, "secret", 6));
}

Test(record, own_tools_and_other_methods)
{
	struct span line[4];

	post("", CALL("gateway_list_backends"));
	cr_assert_leq(lines(audit[0], line, 4), 1u);
	post("", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
	cr_expect_eq(lines(audit[0], line, 4), 0u);
	cr_expect_eq(lines(access_log[0], line, 4), 2u);
	expect(line[1], "method", "\"ping\"");
	expect(line[1], "outcome", "\"success\"");
}

/* Nothing that a client says makes a line of its own. */
Test(record, hostile_bytes_stay_inside_of_their_line)
{
	struct span line[8];

	fixture_say(&caller,
	            SPAN("GET /a\"\\%0a{}<b>?q HTTP/1.1\r\nHost: localhost\r\n"
	                 "X-Request-Id: \"},{\"\r\n\r\n"),
	            0);
	fixture_await(&caller, 1);
	record_flush(w->record);
	size_t n = lines(access_log[0], line, 8);
	cr_expect_eq(n, 1u);
	fixture_hang_up(&caller);
	fixture_call(&caller, w);
	post("", CALL("\\n{\\\"event\\\":\\\"audit\\\"}"));
	cr_expect_leq(lines(audit[0], line, 8), 1u);
	cr_expect_eq(lines(access_log[0], line, 8), 1u);
}

Test(record, counters)
{
	uint64_t good = count_read(&w->me->requests[1]);
	uint64_t bad = count_read(&w->me->requests[3]);
	uint64_t in = count_read(&w->me->received_bytes);
	uint64_t out = count_read(&w->me->sent_bytes);

	post("", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
	post("", "{");
	cr_expect_eq(count_read(&w->me->requests[1]) - good, 1u);
	cr_expect_eq(count_read(&w->me->requests[3]) - bad, 1u);
	cr_expect_gt(count_read(&w->me->received_bytes) - in, 200u);
	cr_expect_geq(count_read(&w->me->sent_bytes) - out, caller.in.len);
}

/* A reader of the log that went away costs lines and nothing else. */
Test(record, a_log_that_cannot_be_written)
{
	record_audit_fd(w->record, open("/dev/full", O_WRONLY | O_CLOEXEC));
	for (int i = 0; i < 3; i++)
		post("", CALL("b_t"));
	cr_expect_eq(fixture_status(&caller, 2), 200);
}
