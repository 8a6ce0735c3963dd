#include "oci/autonomous.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

#define GET   "database/Database/GetAutonomousDatabase"
#define START "database/Database/StartAutonomousDatabase"
#define STOP  "database/Database/StopAutonomousDatabase"
#define ID    "{\"database_id\":\"ocid1.autonomousdatabase.oc1.iad.x\""
#define IS(state)                                                             \
	"{\"id\":\"x\",\"displayName\":\"sales\",\"lifecycleState\":\"" state \
	"\"}"

TestSuite(autonomous, .init = fixture_tool_begin, .fini = fixture_tool_end);

static bool was_asked(const char *operation)
{
	for (size_t i = 0; fixture_tool_asked(i); i++)
		if (strncmp(fixture_tool_asked(i), operation,
		            strlen(operation)) == 0)
			return true;
	return false;
}

Test(autonomous, start_by_state)
{
	static const struct {
		const char *state;
		bool is_error, changed;
	} rows[] = {
		{ IS("STOPPED"), false, true },
		{ IS("UNAVAILABLE"), false, true },
		{ IS("AVAILABLE"), false, false },
		{ IS("STARTING"), false, false },
		{ IS("TERMINATED"), true, false },
		{ IS("STOPPING"), true, false },
	};

	fixture_tool_answer(START, IS("STARTING"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fixture_tool_answer(GET, rows[i].state);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r = fixture_tool_stock(
			"oci_database_start_autonomous", ID "}");

		cr_assert_eq(r->is_error, rows[i].is_error, "%s: %s",
		             rows[i].state, r->text);
		cr_assert_eq(was_asked(START), rows[i].changed);
		if (!r->is_error)
			fixture_tool_is("changed",
			                rows[i].changed ? "true" : "false");
	}
}

Test(autonomous, stop_asks_for_consent)
{
	const char *confirmed = ID ",\"confirm\":true}";

	fixture_tool_head("\"tag\"", "ocid1.workrequest.oc1..w");
	fixture_tool_answer(GET, IS("AVAILABLE"));
	fixture_tool_answer(STOP, IS("STOPPING"));
	cr_assert_str_eq(
		fixture_tool_stock("oci_database_stop_autonomous", ID "}")
			->category,
		"validation");
	cr_assert_not(was_asked(STOP));
	cr_assert_not(fixture_tool_stock("oci_database_stop_autonomous",
	                                 ID ",\"dry_run\":true}")
	                      ->is_error);
	fixture_tool_is("dry_run", "true");
	fixture_tool_is("changed", "false");
	cr_assert_not(was_asked(STOP));
	cr_assert_not(
		fixture_tool_stock("oci_database_stop_autonomous", confirmed)
			->is_error);
	fixture_tool_is("previous_state", "\"AVAILABLE\"");
	fixture_tool_is("target_state", "\"STOPPED\"");
	fixture_tool_is("database.display_name", "\"sales\"");
	fixture_tool_is("work_request_id", "\"ocid1.workrequest.oc1..w\"");
	fixture_tool_account()->allow_mutations = false;
	cr_assert_str_eq(
		fixture_tool_stock("oci_database_stop_autonomous", confirmed)
			->category,
		"authorization");
}

Test(autonomous, waits_until_it_is_there)
{
	fixture_tool_answer(GET, IS("STOPPED"));
	fixture_tool_answer(GET, IS("STARTING"));
	fixture_tool_answer(GET, IS("AVAILABLE"));
	fixture_tool_answer(START, IS("STARTING"));
	cr_assert_not(fixture_tool_stock("oci_database_start_autonomous",
	                                 ID ",\"wait_for_state\":true}")
	                      ->is_error);
	fixture_tool_is("database.lifecycle_state", "\"AVAILABLE\"");
	cr_assert_gt(fixture_tool_progress(), 0.1);
}

Test(autonomous, a_failed_work_request_ends_the_wait)
{
	fixture_tool_head("", "ocid1.workrequest.oc1..w");
	fixture_tool_answer(GET, IS("STOPPED"));
	fixture_tool_answer(GET, IS("STARTING"));
	fixture_tool_answer(START, IS("STARTING"));
	fixture_tool_answer("work_requests/WorkRequest/GetWorkRequest",
	                    "{\"status\":\"FAILED\"}");
	cr_assert_str_eq(fixture_tool_stock("oci_database_start_autonomous",
	                                    ID ",\"wait_for_state\":true}")
	                         ->category,
	                 "service");
}
