#include "oci/autonomous.h"

#include <stdio.h>

#include "oci/listing.h"
#include "oci/path.h"

#define GET "database/Database/GetAutonomousDatabase"

/* What the two tools differ in. */
struct action {
	const char *name;
	const char *operation;
	const char *target;
	const char *passing; /* the state on the way */
	const char *from[2]; /* states it is allowed from */
	bool destructive;
};

static const struct action start_it = {
	.name = "start",
	.operation = "database/Database/StartAutonomousDatabase",
	.target = "AVAILABLE",
	.passing = "STARTING",
	.from = { "STOPPED", "UNAVAILABLE" },
};

static const struct action stop_it = {
	.name = "stop",
	.operation = "database/Database/StopAutonomousDatabase",
	.target = "STOPPED",
	.passing = "STOPPING",
	.from = { "AVAILABLE" },
	.destructive = true,
};

enum stage { LOOK, DECIDE, SENT, POLL };

struct state {
	enum stage stage;
	struct tool_ask *before, *change, *after, *work;
	struct span previous;     /* state before */
	struct span work_request; /* OCID; may be empty */
	int64_t since_s;
	uint64_t pause_ms;
};

void autonomous_write(struct output *o, const char *key, struct span database)
{
	static const struct listing_field fields[] = {
		{ "id", "id" },
		{ "display_name", "displayName" },
		{ "compartment_id", "compartmentId" },
		{ "lifecycle_state", "lifecycleState" },
		{ "db_name", "dbName" },
		{ "db_workload", "dbWorkload" },
		{ "cpu_core_count", "cpuCoreCount" },
		{ "compute_model", "computeModel" },
		{ "compute_count", "computeCount" },
		{ "data_storage_size_in_tbs", "dataStorageSizeInTBs" },
		{ "is_free_tier", "isFreeTier" },
		{ "is_auto_scaling_enabled", "isAutoScalingEnabled" },
		{ "db_version", "dbVersion" },
		{ "time_created", "timeCreated" },
	};

	output_object(o, key);
	listing_fields(o, database, fields, ARRAY_LEN(fields));
	output_end(o);
}

/* --- results -------------------------------------------------------------- */

/* What is said at the end. */
struct result {
	struct span database;
	const char *message;
	bool changed;
};

static void write_result(struct tool_run *run, const struct action *action,
                         const struct state *state, const struct result *result)
{
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_flag(&o, "success", true);
	output_string(&o, "message", result->message);
	output_string(&o, "action", action->name);
	output_flag(&o, "dry_run", tool_is_dry(run));
	output_flag(&o, "changed", result->changed);
	output_text(&o, "previous_state", state->previous);
	output_string(&o, "target_state", action->target);
	output_text_or_null(&o, "work_request_id", state->work_request);
	output_integer(&o, "waited_seconds",
	               state->since_s ? tool_now_s(run) - state->since_s : 0);
	autonomous_write(&o, "database", result->database);
	output_end(&o);
}

static enum tool_next finish(struct tool_run *run, const struct action *action,
                             const struct state *state, struct span database,
                             bool changed, const char *message)
{
	write_result(run, action, state,
	             &(struct result){ .database = database,
	                               .message = message,
	                               .changed = changed });
	return TOOL_DONE;
}

/* --- steps ---------------------------------------------------------------- */

static struct tool_ask *look(struct tool_run *run)
{
	struct tool_ask *ask = tool_ask(run, GET);

	tool_ask_path(ask, "autonomousDatabaseId",
	              tool_text(run, "database_id"));
	tool_ask_cache(ask, "");
	return ask;
}

static bool is_allowed(const struct action *action, struct span state)
{
	for (size_t i = 0; i < ARRAY_LEN(action->from); i++)
		if (action->from[i] && span_is(state, action->from[i]))
			return true;
	return false;
}

static enum tool_next refuse(struct tool_run *run, const struct action *action,
                             struct span state)
{
	tool_fail(run, TOOL_SERVICE,
	          "Look at the database with oci_database_get_autonomous and "
	          "call again when its state allows it.",
	          "a database in state %.*s cannot be %s; it must be %s%s%s",
	          SPAN_ARG(state), action->destructive ? "stopped" : "started",
	          action->from[0], action->from[1] ? " or " : "",
	          action->from[1] ? action->from[1] : "");
	return TOOL_DONE;
}

/* From the second call on, a database on its way is waited for. */
static enum tool_next begin_wait(struct tool_run *run, struct state *state)
{
	state->stage = POLL;
	state->since_s = tool_now_s(run);
	state->pause_ms = AUTONOMOUS_PAUSE_MS;
	state->after = NULL;
	tool_progress(run, 0.1, "The change has begun");
	tool_sleep(run, state->pause_ms);
	return TOOL_WAIT;
}

static enum tool_next decide(struct tool_run *run, const struct action *action,
                             struct state *state)
{
	struct span database = tool_ask_answer(state->before);

	state->previous = path_text(run, database, "lifecycleState");
	if (!tool_may_change(run, path_text(run, database, "compartmentId"),
	                     action->destructive))
		return TOOL_DONE;
	if (span_is(state->previous, action->target))
		return finish(run, action, state, database, false,
		              "Nothing to do: the database is in this state "
		              "already.");
	if (span_is(state->previous, action->passing))
		return tool_flag(run, "wait_for_state") && !tool_is_dry(run)
		               ? begin_wait(run, state)
		               : finish(run, action, state, database, false,
		                        "The database is on its way to this "
		                        "state already.");
	if (!is_allowed(action, state->previous))
		return refuse(run, action, state->previous);
	if (tool_is_dry(run))
		return finish(run, action, state, database, false,
		              "Dry run: the request would be sent; nothing has "
		              "been changed.");
	state->stage = SENT;
	state->change = tool_ask(run, action->operation);
	tool_ask_path(state->change, "autonomousDatabaseId",
	              tool_text(run, "database_id"));
	/* What was decided on is what must be changed. */
	tool_ask_header(state->change, "if-match",
	                tool_ask_field(state->before, "etag"));
	return TOOL_WAIT;
}

static enum tool_next sent(struct tool_run *run, const struct action *action,
                           struct state *state)
{
	state->work_request =
		tool_ask_field(state->change, "opc-work-request-id");
	if (tool_flag(run, "wait_for_state"))
		return begin_wait(run, state);
	return finish(run, action, state, tool_ask_answer(state->change), true,
	              "The request has been accepted; wait_for_state waits for "
	              "the end.");
}

static void ask_again(struct tool_run *run, struct state *state)
{
	state->after = look(run);
	state->work = NULL;
	if (state->work_request.len == 0)
		return;
	state->work = tool_ask(run, "work_requests/WorkRequest/GetWorkRequest");
	tool_ask_path(state->work, "workRequestId", state->work_request);
	tool_ask_cache(state->work, "");
	tool_ask_optional(state->work);
}

static bool has_failed(const struct state *state)
{
	struct span work =
		state->work ? tool_ask_answer(state->work) : SPAN("");

	return path_is(work, "status", "FAILED") ||
	       path_is(work, "status", "CANCELED");
}

static void report(struct tool_run *run, const struct state *state,
                   int64_t waited_s, int64_t limit_s)
{
	struct span work =
		state->work ? tool_ask_answer(state->work) : SPAN("");
	double done = path_number(work, "percentComplete", 0) / 100;
	double time = (double)waited_s / (double)limit_s;
	char text[128];

	snprintf(text, sizeof(text), "The database is %.*s (%lld s)",
	         SPAN_ARG(path_text(run, tool_ask_answer(state->after),
	                            "lifecycleState")),
	         (long long)waited_s);
	tool_progress(run, 0.1 + 0.85 * MAX(done, time), text);
}

static enum tool_next poll_it(struct tool_run *run, const struct action *action,
                              struct state *state)
{
	int64_t limit_s =
		tool_integer(run, "max_wait_seconds", AUTONOMOUS_WAIT_S);
	int64_t waited_s = tool_now_s(run) - state->since_s;
	struct span database;

	if (!state->after) { /* the pause is over */
		ask_again(run, state);
		return TOOL_WAIT;
	}
	database = tool_ask_answer(state->after);
	if (path_is(database, "lifecycleState", action->target))
		return finish(run, action, state, database, true,
		              "The database has reached this state.");
	if (has_failed(state)) {
		tool_fail(run, TOOL_SERVICE,
		          "oci_workrequests_get_request says why.",
		          "work request %.*s has failed; the database is %.*s",
		          SPAN_ARG(state->work_request),
		          SPAN_ARG(path_text(run, database, "lifecycleState")));
		return TOOL_DONE;
	}
	if (waited_s >= limit_s) {
		tool_fail(run, TOOL_TIMEOUT,
		          "The change goes on: look at the database again "
		          "later.",
		          "after %lld seconds the database is %.*s, not %s",
		          (long long)waited_s,
		          SPAN_ARG(path_text(run, database, "lifecycleState")),
		          action->target);
		return TOOL_DONE;
	}
	report(run, state, waited_s, limit_s);
	state->after = NULL;
	state->pause_ms =
		MIN(state->pause_ms * 3 / 2, (uint64_t)AUTONOMOUS_PAUSE_MAX_MS);
	tool_sleep(run, state->pause_ms);
	return TOOL_WAIT;
}

static enum tool_next step(struct tool_run *run, const struct action *action)
{
	struct state *state = tool_state(run);

	switch (state->stage) {
	case LOOK:
		state->stage = DECIDE;
		state->before = look(run);
		return TOOL_WAIT;
	case DECIDE:
		return decide(run, action, state);
	case SENT:
		return sent(run, action, state);
	case POLL:
		return poll_it(run, action, state);
	}
	return TOOL_DONE;
}

static enum tool_next start_database(struct tool_run *run)
{
	return step(run, &start_it);
}

static enum tool_next stop_database(struct tool_run *run)
{
	return step(run, &stop_it);
}

const struct tool_function autonomous_functions[] = {
	{ .name = "database_start_autonomous",
	  .step = start_database,
	  .state_bytes = sizeof(struct state) },
	{ .name = "database_stop_autonomous",
	  .step = stop_database,
	  .state_bytes = sizeof(struct state) },
};
const size_t autonomous_n_functions = ARRAY_LEN(autonomous_functions);
