#include "oci/auditlog.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

TestSuite(auditlog, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define EVENT(id, time, action, status)                                   \
	"{\"eventId\":\"" id "\",\"eventTime\":\"" time                   \
	"\",\"source\":\"ComputeApi\",\"data\":{\"eventName\":"           \
	"\"LaunchInstance\",\"identity\":{\"principalName\":\"anna\","    \
	"\"credentials\":\"SECRET\"},\"request\":{\"action\":\"" action   \
	"\",\"headers\":{\"Authorization\":[\"SECRET\"]}},\"response\":{" \
	"\"status\":\"" status "\",\"payload\":{\"token\":\"SECRET\"}}}}"

static void script(void)
{
	fixture_tool_answer(
		"audit/Audit/ListEvents",
		"[" EVENT("1", "2026-01-01T00:00:00.000Z", "GET",
	                  "200") "," EVENT("2", "2026-01-01T00:02:00.000Z",
	                                   "POST",
	                                   "409") "," EVENT("3",
	                                                    "2026-01-01T00:01:"
	                                                    "00.000Z",
	                                                    "POST", "200") "]");
}

Test(auditlog, newest_first_without_secrets)
{
	const struct fixture_tool_result *r;

	script();
	r = fixture_tool_stock("oci_audit_list_events",
	                       "{\"start_time\":\"2026-01-01T00:00:30Z\","
	                       "\"end_time\":\"2026-01-01T01:00:30Z\"}");
	cr_assert_not(r->is_error);
	fixture_tool_is("total", "3");
	fixture_tool_is("events[0].event_id", "\"2\"");
	fixture_tool_is("events[2].event_id", "\"1\"");
	fixture_tool_is("events[0].principal_name", "\"anna\"");
	cr_assert_not(strstr(r->structured.at, "SECRET"));
	cr_assert_not(strstr(r->text, "SECRET"));
	/* Whole minutes. */
	cr_assert(strstr(fixture_tool_asked(0), "T00%3A00%3A00Z"));
	cr_assert(strstr(fixture_tool_asked(0), "T01%3A01%3A00Z"));
}

Test(auditlog, filters)
{
	static const struct {
		const char *arguments, *total;
	} rows[] = {
		{ "{\"changes_only\":true}", "2" },
		{ "{\"failures_only\":true}", "1" },
		{ "{\"principal\":\"ANN\"}", "3" },
		{ "{\"principal\":\"bert\"}", "0" },
		{ "{\"event_name\":\"launch\",\"changes_only\":true}", "2" },
		{ "{\"source\":\"network\"}", "0" },
		{ "{\"resource\":\"x\"}", "0" },
	};

	script();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fixture_tool_stock("oci_audit_list_events", rows[i].arguments);
		fixture_tool_is("total", rows[i].total);
	}
}

Test(auditlog, windows_that_are_none)
{
	static const char *const rows[] = {
		"{\"start_time\":\"2026-01-02\",\"end_time\":\"2026-01-01\"}",
		"{\"start_time\":\"2026-01-01\",\"end_time\":\"2026-03-01\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_str_eq(
			fixture_tool_stock("oci_audit_list_events", rows[i])
				->category,
			"validation");
}
