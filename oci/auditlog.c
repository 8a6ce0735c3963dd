#include "oci/auditlog.h"

#include <stdlib.h>

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/when.h"

struct state {
	struct tool_ask *events;
	int64_t start_s, end_s;
};

/* What a call looks for. */
struct search {
	struct tool_run *run;
	struct span event_name, principal, resource, source;
	bool changes_only, failures_only;
};

static bool window(struct tool_run *run, struct state *state)
{
	struct span start = tool_text(run, "start_time");
	struct span end = tool_text(run, "end_time");

	state->end_s = tool_now_s(run);
	if (end.len && !when_parse(end, &state->end_s))
		return false;
	state->start_s =
		state->end_s - tool_integer(run, "hours_back", 1) * WHEN_HOUR_S;
	if (start.len && !when_parse(start, &state->start_s))
		return false;
	/* The service looks at whole minutes. */
	state->start_s -= state->start_s % WHEN_MINUTE_S;
	state->end_s +=
		(WHEN_MINUTE_S - state->end_s % WHEN_MINUTE_S) % WHEN_MINUTE_S;
	return true;
}

static void ask_events(struct tool_run *run, struct state *state)
{
	char text[WHEN_LEN + 1];

	state->events = tool_ask(run, "audit/Audit/ListEvents");
	tool_ask_query(state->events, "compartmentId", tool_compartment(run));
	tool_ask_query(state->events, "startTime",
	               span_str(when_write(state->start_s, text)));
	tool_ask_query(state->events, "endTime",
	               span_str(when_write(state->end_s, text)));
	tool_ask_items(state->events, TOOL_ITEMS_MAX);
}

static bool either(struct search *s, struct span event, const char *one,
                   const char *other, struct span part)
{
	return part.len == 0 ||
	       listing_contains(path_text(s->run, event, one), part) ||
	       listing_contains(path_text(s->run, event, other), part);
}

/* "404" is a string in events. */
static bool is_failure(struct search *s, struct span event)
{
	struct span status = path_text(s->run, event, "data.response.status");

	return status.len == 3 && status.at[0] >= '4';
}

static bool is_change(struct span event)
{
	return !path_is(event, "data.request.action", "GET") &&
	       !path_is(event, "data.request.action", "HEAD");
}

static bool matches(void *context, struct span event)
{
	struct search *s = context;

	return either(s, event, "data.eventName", "eventType", s->event_name) &&
	       either(s, event, "data.identity.principalName",
	              "data.identity.principalId", s->principal) &&
	       either(s, event, "data.resourceName", "data.resourceId",
	              s->resource) &&
	       either(s, event, "source", "source", s->source) &&
	       (!s->failures_only || is_failure(s, event)) &&
	       (!s->changes_only || is_change(event));
}

static void write_event(void *context, struct output *o, struct span event)
{
	static const struct listing_field fields[] = {
		{ "event_id", "eventId" },
		{ "event_time", "eventTime" },
		{ "event_type", "eventType" },
		{ "event_name", "data.eventName" },
		{ "source", "source" },
		{ "compartment_id", "data.compartmentId" },
		{ "compartment_name", "data.compartmentName" },
		{ "resource_name", "data.resourceName" },
		{ "resource_id", "data.resourceId" },
		{ "principal_name", "data.identity.principalName" },
		{ "principal_id", "data.identity.principalId" },
		{ "auth_type", "data.identity.authType" },
		{ "ip_address", "data.identity.ipAddress" },
		{ "user_agent", "data.identity.userAgent" },
		{ "request_action", "data.request.action" },
		{ "request_path", "data.request.path" },
		{ "request_id", "data.request.id" },
		{ "status", "data.response.status" },
		{ "message", "data.response.message" },
	};

	(void)context;
	output_object(o, NULL);
	listing_fields(o, event, fields, ARRAY_LEN(fields));
	output_end(o);
}

/* An event and its time, for sorting. */
struct dated {
	struct span event, time;
};

static int newer_first(const void *a, const void *b)
{
	const struct dated *x = a, *y = b;

	return -span_cmp(x->time, y->time);
}

/* Newest first; times of events all have the same form. At most
 * TOOL_ITEMS_MAX events fit into what tool_alloc() gives. */
static const struct span *sort(struct tool_run *run, struct span *items,
                               size_t n)
{
	struct dated *dated = tool_alloc(run, n * sizeof(*dated) + 1);

	for (size_t i = 0; i < n; i++)
		dated[i] = (struct dated){
			.event = items[i],
			.time = path_text(run, items[i], "eventTime"),
		};
	qsort(dated, n, sizeof(*dated), newer_first);
	for (size_t i = 0; i < n; i++)
		items[i] = dated[i].event;
	return items;
}

static void write_events(struct tool_run *run, const struct state *state)
{
	struct search search = {
		.run = run,
		.event_name = tool_text(run, "event_name"),
		.principal = tool_text(run, "principal"),
		.resource = tool_text(run, "resource"),
		.source = tool_text(run, "source"),
		.changes_only = tool_flag(run, "changes_only"),
		.failures_only = tool_flag(run, "failures_only"),
	};
	struct output o;
	size_t n;
	struct span *items =
		listing_items(run, tool_ask_answer(state->events), &n);

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_time(&o, "start_time", state->start_s);
	output_time(&o, "end_time", state->end_s);
	output_flag(&o, "complete", !tool_ask_more(state->events));
	listing_write(run, &o,
	              &(struct listing){
			      .key = "events",
			      .complete = !tool_ask_more(state->events),
			      .matches = matches,
			      .write = write_event,
			      .context = &search,
		      },
	              sort(run, items, n), n);
	output_end(&o);
}

static enum tool_next list_events(struct tool_run *run)
{
	struct state *state = tool_state(run);

	if (tool_phase(run) > 0) {
		write_events(run, state);
		return TOOL_DONE;
	}
	if (!window(run, state) || state->start_s >= state->end_s) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "start_time must be before end_time");
		return TOOL_DONE;
	}
	if (state->end_s - state->start_s > AUDITLOG_WINDOW_MAX_S) {
		tool_fail(run, TOOL_VALIDATION,
		          "Ask for one part of the time after the other.",
		          "a window is at most 31 days long");
		return TOOL_DONE;
	}
	ask_events(run, state);
	return TOOL_WAIT;
}

const struct tool_function auditlog_functions[] = {
	{ .name = "audit_list_events",
	  .step = list_events,
	  .state_bytes = sizeof(struct state) },
};
const size_t auditlog_n_functions = ARRAY_LEN(auditlog_functions);
