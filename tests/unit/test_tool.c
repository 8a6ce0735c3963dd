#include "oci/tool.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

TestSuite(tool, .init = fixture_tool_begin, .fini = fixture_tool_end,
          .timeout = 60);

#define GET   "core/Compute/GetInstance"
#define HERE  "ocid1.compartment.oc1..here"
#define THERE "ocid1.compartment.oc1..there"
#define RECIPE                                                             \
	"{\"name\":\"t\",\"title\":\"T\",\"parameters\":{\"confirm\":"     \
	"{\"type\":\"boolean\"},\"dry_run\":{\"type\":\"boolean\"},\"n\":" \
	"{\"type\":\"integer\"},\"x\":{\"type\":\"number\"},\"text\":"     \
	"{\"type\":\"string\"},\"compartment_id\":{\"type\":\"string\"}}}"

static enum tool_next done(struct tool_run *run)
{
	if (tool_out(run)->len == 0)
		buf_puts(tool_out(run), "{\"done\":true}");
	return TOOL_DONE;
}

static const struct fixture_tool_result *call(tool_step *step,
                                              const char *arguments)
{
	static struct tool_function function;

	function = (struct tool_function){ .name = "t", .step = step };
	return fixture_tool_call(&function, RECIPE, arguments);
}

/* --- the guard ------------------------------------------------------------ */

static struct {
	const char *compartment;
	bool destructive, passed;
} change;

static enum tool_next change_step(struct tool_run *run)
{
	change.passed = tool_may_change(run, span_str(change.compartment),
	                                change.destructive);
	return done(run);
}

Test(tool, the_guard)
{
	static const struct {
		bool allowed, may_write, restricted;
		const char *compartment;
		bool destructive;
		const char *arguments, *category; /* NULL: it may */
	} rows[] = {
		{ true, true, false, "", false, "{}", NULL },
		{ true, true, false, HERE, false, "{}", NULL },
		{ false, true, false, HERE, false, "{}", "authorization" },
		{ true, false, false, HERE, false, "{}", "authorization" },
		{ true, true, true, HERE, false, "{}", NULL },
		{ true, true, true, THERE, false, "{}", "authorization" },
		{ true, true, true, "", false, "{}", "authorization" },
		{ true, true, true, HERE "x", false, "{}", "authorization" },
		{ true, true, false, HERE, true, "{}", "validation" },
		{ true, true, false, HERE, true, "{\"confirm\":false}",
		  "validation" },
		{ true, true, false, HERE, true, "{\"confirm\":true}", NULL },
		{ true, true, false, HERE, true, "{\"dry_run\":true}", NULL },
		{ true, true, false, HERE, false, "{\"confirm\":false}", NULL },
		/* Confirmed or not, dry or not: not allowed is not allowed. */
		{ false, true, false, HERE, true, "{\"confirm\":true}",
		  "authorization" },
		{ false, true, false, HERE, true, "{\"dry_run\":true}",
		  "authorization" },
		{ true, false, false, HERE, true, "{\"confirm\":true}",
		  "authorization" },
		{ true, true, true, THERE, true, "{\"confirm\":true}",
		  "authorization" },
	};
	const struct span here[] = { SPAN("other"), SPAN(HERE) };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct runner_account *account = fixture_tool_account();
		const struct fixture_tool_result *r;

		account->allow_mutations = rows[i].allowed;
		account->compartments = here;
		account->n_compartments = rows[i].restricted ? 2 : 0;
		fixture_tool_may_write(rows[i].may_write);
		change.compartment = rows[i].compartment;
		change.destructive = rows[i].destructive;
		r = call(change_step, rows[i].arguments);
		cr_expect_eq(change.passed, !rows[i].category, "%zu", i);
		cr_expect_eq(r->is_error, !change.passed);
		if (rows[i].category)
			cr_expect_str_eq(r->category, rows[i].category, "%zu",
			                 i);
	}
}

/* --- arguments ------------------------------------------------------------ */

static enum tool_next arguments_step(struct tool_run *run)
{
	cr_expect_eq(tool_integer(run, "n", 7), -3);
	cr_expect_eq(tool_integer(run, "none", 7), 7);
	cr_expect_float_eq(tool_number(run, "x", 7), 0.25, 1e-9);
	cr_expect_float_eq(tool_number(run, "none", 1.5), 1.5, 1e-9);
	cr_expect(tool_flag(run, "confirm"));
	cr_expect_not(tool_flag(run, "none"));
	cr_expect(span_is(tool_text(run, "text"), "a\"\xc3\xa9"));
	cr_expect_eq(tool_text(run, "none").len, 0);
	cr_expect_eq(tool_raw(run, "none").len, 0);
	cr_expect(span_is(tool_tenancy(run), FIXTURE_TENANCY));
	cr_expect(span_is(tool_region(run), FIXTURE_REGION));
	cr_expect(span_is(tool_auth_method(run), FIXTURE_METHOD));
	return done(run);
}

Test(tool, arguments)
{
	cr_expect_not(call(arguments_step,
	                   "{\"n\":-3,\"x\":0.25,\"confirm\":true,"
	                   "\"text\":\"a\\\"\\u00e9\"}")
	                      ->is_error);
}

static const char *compartment;

static enum tool_next compartment_step(struct tool_run *run)
{
	cr_expect(span_is(tool_compartment(run), compartment));
	return done(run);
}

Test(tool, the_compartment)
{
	compartment = FIXTURE_TENANCY;
	call(compartment_step, "{}");
	fixture_tool_account()->tenancy = SPAN("configured");
	compartment = "configured";
	call(compartment_step, "{}");
	fixture_tool_account()->compartment = SPAN(HERE);
	compartment = HERE;
	call(compartment_step, "{}");
	compartment = THERE;
	call(compartment_step, "{\"compartment_id\":\"" THERE "\"}");
}

/* --- memory --------------------------------------------------------------- */

static enum tool_next memory_step(struct tool_run *run)
{
	static const size_t sizes[] = { 0,    1,    15,   16,     17,
		                        4095, 4096, 5000, 1 << 20 };
	static char long_text[3 << 20];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *at = tool_alloc(run, sizes[i]);

		cr_expect_eq((uintptr_t)at % 16, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			cr_assert_eq(at[k], 0);
		memset(at, 'x', sizes[i]);
	}
	cr_expect(span_is(tool_keep(run, SPAN("abc")), "abc"));
	cr_expect_str_eq(tool_keep(run, span_of("abcd", 3)).at, "abc");
	cr_expect_eq(tool_keep(run, SPAN("")).len, 0);
	cr_expect_eq(tool_keep(run, span_of(long_text, sizeof(long_text))).len,
	             (1 << 20) - 1);
	return done(run);
}

Test(tool, memory)
{
	cr_expect_not(call(memory_step, "{}")->is_error);
}

/* --- errors --------------------------------------------------------------- */

static struct {
	enum tool_error category;
	const char *suggestion;
} failing;

static enum tool_next fail_step(struct tool_run *run)
{
	tool_fail(run, failing.category, failing.suggestion, "the first: %d",
	          1);
	tool_fail(run, TOOL_UNKNOWN, "no", "the second");
	return done(run);
}

Test(tool, the_first_reason_counts)
{
	static const char *const names[] = {
		"validation", "authentication", "authorization",
		"not_found",  "rate_limit",     "service",
		"network",    "timeout",        "unknown",
	};

	for (enum tool_error e = TOOL_VALIDATION; e <= TOOL_UNKNOWN; e++) {
		const struct fixture_tool_result *r;

		failing.category = e;
		failing.suggestion = e % 2 ? "Do this." : NULL;
		r = call(fail_step, "{}");
		cr_expect(r->is_error);
		cr_expect_str_eq(r->category, names[e]);
		cr_expect_str_eq(tool_error_name(e), names[e]);
		fixture_tool_is("success", "false");
		fixture_tool_is("error", "\"the first: 1\"");
		if (e % 2)
			fixture_tool_is("suggestion", "\"Do this.\"");
	}
	cr_expect_str_eq(tool_error_name(TOOL_UNKNOWN + 1), "unknown");
}

static bool optional;

static enum tool_next ask_step(struct tool_run *run)
{
	static struct tool_ask *kept;

	if (tool_phase(run) == 0) {
		kept = tool_ask(run, GET);
		tool_ask_path(kept, "instanceId", SPAN("i"));
		if (optional)
			tool_ask_optional(kept);
		return TOOL_WAIT;
	}
	cr_expect_not(tool_ask_ok(kept));
	cr_expect_eq(tool_ask_answer(kept).len, 0);
	cr_expect(span_starts(tool_ask_error(kept), SPAN("TheCode: words")));
	tool_fail_ask(run, kept);
	return done(run);
}

Test(tool, what_a_status_means)
{
	static const struct {
		int status;
		const char *category;
	} rows[] = {
		{ 400, "validation" },    { 401, "authentication" },
		{ 403, "authorization" }, { 404, "not_found" },
		{ 409, "service" },       { 412, "service" },
		{ 429, "rate_limit" },    { 500, "service" },
		{ 503, "service" },       { 418, "unknown" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r;

		optional = i % 2; /* the step fails then, not the runner */
		fixture_tool_refuse(GET, rows[i].status, "TheCode", "words");
		r = call(ask_step, "{}");
		cr_expect(r->is_error);
		cr_expect_str_eq(r->category, rows[i].category, "%d",
		                 rows[i].status);
		fixture_tool_is("details.code", "\"TheCode\"");
		fixture_tool_is("details.opc_request_id", "\"fixture-1\"");
	}
}

/* --- requests ------------------------------------------------------------- */

static enum tool_next request_step(struct tool_run *run)
{
	struct tool_ask *ask;

	if (tool_phase(run) > 0)
		return done(run);
	ask = tool_ask(run, "core/Compute/ListInstances");
	tool_ask_query(ask, "compartmentId", SPAN("a b&c"));
	tool_ask_query(ask, "displayName", SPAN(""));
	tool_ask_query_number(ask, "limit", -5);
	tool_ask_header(ask, "x-a", SPAN("b c"));
	tool_ask_items(ask, 5);
	return TOOL_WAIT;
}

Test(tool, requests)
{
	fixture_tool_answer("core/Compute/ListInstances", "[]");
	cr_expect_not(call(request_step, "{}")->is_error);
	cr_expect_str_eq(fixture_tool_asked(0),
	                 "core/Compute/ListInstances GET /20160918/instances"
	                 "?compartmentId=a%20b%26c&limit=-5");
	cr_expect_str_eq(fixture_tool_fields(0), "x-a: b c\r\n");
}

static enum tool_next header_step(struct tool_run *run)
{
	struct tool_ask *ask = tool_ask(run, GET);

	tool_ask_path(ask, "instanceId", SPAN("i"));
	tool_ask_header(ask, "if-match", SPAN("a\r\nx: y"));
	return TOOL_WAIT;
}

static enum tool_next pathless_step(struct tool_run *run)
{
	tool_ask(run, GET);
	return TOOL_WAIT;
}

Test(tool, requests_that_cannot_be_built)
{
	tool_step *const rows[] = { header_step, pathless_step };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r = call(rows[i], "{}");

		cr_expect(r->is_error);
		cr_expect_str_eq(r->category, "validation");
		cr_expect_null(fixture_tool_asked(0));
	}
}

/* --- progress ------------------------------------------------------------- */

static enum tool_next progress_step(struct tool_run *run)
{
	tool_progress(run, 0.5, "half");
	tool_progress(run, 0.5, "again"); /* it must grow */
	tool_progress(run, 0.25, "back");
	tool_progress(run, 7, "over");
	return done(run);
}

Test(tool, progress_grows)
{
	call(progress_step, "{}");
	cr_expect_float_eq(fixture_tool_progress(), 1, 1e-9);
}
