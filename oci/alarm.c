#include "oci/alarm.h"

#include <stdlib.h>

#include "oci/census.h"
#include "oci/listing.h"
#include "oci/logquery.h"
#include "oci/path.h"
#include "oci/slice.h"
#include "oci/when.h"

/* --- what they are, and in which state ------------------------------------ */

static struct tool_ask *ask_all(struct tool_run *run, const char *operation,
                                struct span compartment, bool subtree)
{
	struct tool_ask *ask = tool_ask(run, operation);

	tool_ask_query(ask, "compartmentId", compartment);
	if (subtree)
		tool_ask_query(ask, "compartmentIdInSubtree", SPAN("true"));
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	return ask;
}

struct tool_ask *alarm_ask_list(struct tool_run *run, struct span compartment,
                                bool subtree)
{
	return ask_all(run, "monitoring/Monitoring/ListAlarms", compartment,
	               subtree);
}

struct tool_ask *alarm_ask_states(struct tool_run *run, struct span compartment,
                                  bool subtree)
{
	struct tool_ask *ask =
		ask_all(run, "monitoring/Monitoring/ListAlarmsStatus",
	                compartment, subtree);

	tool_ask_cache(ask, "metrics"); /* half a minute old, not a whole one */
	tool_ask_optional(ask);
	return ask;
}

static int by_id(const void *a, const void *b)
{
	const struct alarm_state *one = a, *other = b;

	return span_cmp(one->id, other->id);
}

void alarm_read_states(struct tool_run *run, const struct tool_ask *ask,
                       struct alarm_states *out)
{
	struct span answer = tool_ask_answer(ask), item;
	struct value_iter it = path_items(answer, "");
	size_t most = path_count(answer, "");

	out->n = 0;
	out->states =
		tool_alloc(run, MAX(most, (size_t)1) * sizeof(out->states[0]));
	while (out->n < most && value_array_next(&it, &item))
		out->states[out->n++] = (struct alarm_state){
			.id = path_get(item, "id"),
			.item = item,
		};
	if (out->n)
		qsort(out->states, out->n, sizeof(out->states[0]), by_id);
}

struct span alarm_state(const struct alarm_states *states, struct span alarm)
{
	struct alarm_state wanted = { .id = path_get(alarm, "id") };
	const struct alarm_state *found = NULL;

	if (states->n)
		found = bsearch(&wanted, states->states, states->n,
		                sizeof(wanted), by_id);
	return found ? found->item : SPAN("");
}

bool alarm_is_firing(struct span state)
{
	return path_is(state, "status", "FIRING");
}

struct span alarm_metric(struct span query)
{
	return span_trim(span_first(query, span_find(query, '[')));
}

static const struct listing_field members[] = {
	{ "id", "id" },
	{ "display_name", "displayName" },
	{ "severity", "severity" },
	{ "lifecycle_state", "lifecycleState" },
	{ "namespace", "namespace" },
	{ "query", "query" },
	{ "is_enabled", "isEnabled" },
	{ "compartment_id", "compartmentId" },
};

static const struct listing_field state_members[] = {
	{ "status", "status" },
	{ "time_triggered", "timestampTriggered" },
	{ "summary", "alarmSummary" },
};

void alarm_write(struct tool_run *run, struct output *o, struct span alarm,
                 struct span state)
{
	listing_fields(o, alarm, members, ARRAY_LEN(members));
	output_text(o, "metric_name",
	            alarm_metric(path_text(run, alarm, "query")));
	listing_fields(o, state, state_members, ARRAY_LEN(state_members));
}

/* --- oci_observability_list_alarms ---------------------------------------- */

struct list {
	struct tool_run *run;
	struct tool_ask *alarms, *states_ask;
	struct alarm_states states;
	struct slice page;
	struct census severities;
	size_t firing;
	struct span lifecycle, severity, status, name;
};

static bool is_or_any(struct span item, const char *path, struct span wanted)
{
	struct span text = SPAN("");

	if (!wanted.len)
		return true;
	return value_string_plain(path_get(item, path), &text) &&
	       span_eq_nocase(text, wanted);
}

static bool is_wanted(void *owner, struct span item)
{
	struct list *list = owner;
	struct span state = alarm_state(&list->states, item);

	if (!is_or_any(item, "lifecycleState", list->lifecycle) ||
	    !is_or_any(item, "severity", list->severity) ||
	    !is_or_any(state, "status", list->status) ||
	    !listing_contains(path_text(list->run, item, "displayName"),
	                      list->name))
		return false;
	census_add(&list->severities, path_text(list->run, item, "severity"));
	list->firing += alarm_is_firing(state);
	return true;
}

static void ask_alarms(struct tool_run *run, struct list *list)
{
	bool subtree = tool_flag(run, "include_subcompartments");

	list->run = run;
	list->lifecycle = tool_text(run, "lifecycle_state");
	list->severity = tool_text(run, "severity");
	list->status = tool_text(run, "status");
	list->name = tool_text(run, "display_name");
	list->alarms = alarm_ask_list(run, tool_compartment(run), subtree);
	list->states_ask =
		alarm_ask_states(run, tool_compartment(run), subtree);
}

static void write_list(struct tool_run *run, struct list *list)
{
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "compartment_id", tool_compartment(run));
	slice_head(&list->page, &o);
	census_write(&list->severities, &o, "summary");
	if (tool_ask_ok(list->states_ask))
		output_integer(&o, "firing_count", (int64_t)list->firing);
	else
		output_null(&o, "firing_count");
	output_array(&o, "alarms");
	for (size_t i = 0; i < list->page.n; i++) {
		struct span alarm = list->page.items[i];

		output_object(&o, NULL);
		alarm_write(run, &o, alarm, alarm_state(&list->states, alarm));
		output_end(&o);
	}
	output_end(&o);
	slice_tail(&list->page, &o);
	if (!tool_ask_ok(list->states_ask))
		output_text(&o, "status_error",
		            tool_ask_error(list->states_ask));
	output_end(&o);
}

static enum tool_next list_alarms(struct tool_run *run)
{
	struct list *list = tool_state(run);

	if (tool_phase(run) == 0) {
		ask_alarms(run, list);
		return TOOL_WAIT;
	}
	if (list->status.len && !tool_ask_ok(list->states_ask)) {
		tool_fail_ask(run, list->states_ask);
		return TOOL_DONE;
	}
	alarm_read_states(run, list->states_ask, &list->states);
	slice_init(&list->page, run);
	slice_add_all(&list->page, list->alarms, is_wanted, list);
	write_list(run, list);
	return TOOL_DONE;
}

/* --- oci_observability_get_alarm ------------------------------------------ */

struct one {
	struct tool_ask *alarm, *states_ask;
};

static struct tool_ask *ask_alarm(struct tool_run *run)
{
	struct tool_ask *ask = tool_ask(run, "monitoring/Monitoring/GetAlarm");

	tool_ask_path(ask, "alarmId", tool_text(run, "alarm_id"));
	return ask;
}

static void write_one(struct tool_run *run, struct one *one)
{
	static const struct listing_field more[] = {
		{ "metric_compartment_id", "metricCompartmentId" },
		{ "pending_duration", "pendingDuration" },
		{ "resolution", "resolution" },
		{ "body", "body" },
		{ "destinations", "destinations" },
		{ "suppression", "suppression" },
		{ "repeat_notification_duration",
		  "repeatNotificationDuration" },
		{ "time_created", "timeCreated" },
		{ "time_updated", "timeUpdated" },
	};
	struct span alarm = tool_ask_answer(one->alarm);
	struct alarm_states states;
	struct output o;

	alarm_read_states(run, one->states_ask, &states);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	alarm_write(run, &o, alarm, alarm_state(&states, alarm));
	listing_fields(&o, alarm, more, ARRAY_LEN(more));
	output_end(&o);
}

static enum tool_next get_alarm(struct tool_run *run)
{
	struct one *one = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		one->alarm = ask_alarm(run);
		return TOOL_WAIT;
	case 1:
		one->states_ask = alarm_ask_states(
			run,
			path_text(run, tool_ask_answer(one->alarm),
		                  "compartmentId"),
			false);
		return TOOL_WAIT;
	default:
		write_one(run, one);
		return TOOL_DONE;
	}
}

/* --- oci_observability_get_alarm_history ---------------------------------- */

struct history {
	struct tool_ask *alarm, *entries;
	int64_t start_s, end_s;
};

/* The word at the front of text, up to anything but a letter. */
static struct span word_of(struct span text)
{
	size_t n = 0;

	while (n < text.len && ascii_lower((unsigned char)text.at[n]) >= 'a' &&
	       ascii_lower((unsigned char)text.at[n]) <= 'z')
		n++;
	return span_first(text, n);
}

/* What follows the last mark in text; empty when it is not there. */
static struct span behind_last(struct span text, struct span mark)
{
	struct span found = SPAN("");

	for (; text.len >= mark.len && text.len; text = span_from(text, 1))
		if (span_eq_nocase(span_first(text, mark.len), mark))
			found = span_from(text, mark.len);
	return found;
}

static const char *known_status(struct span word)
{
	static const char *const names[] = { "FIRING", "OK", "SUSPENDED",
		                             "RESET" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq_nocase(word, span_str(names[i])))
			return names[i];
	return NULL;
}

/* "State transitioned from OK to Firing", and of the alarm: 'Alarm "x" is in a
 * "FIRING" state; because ...'. */
const char *alarm_entry_status(struct span summary, struct span alarm_summary)
{
	const char *name =
		known_status(word_of(behind_last(summary, SPAN(" to "))));

	if (!name)
		name = known_status(word_of(
			behind_last(alarm_summary, SPAN("is in a \""))));
	return name ? name : "UNKNOWN";
}

static bool ask_history(struct tool_run *run, struct history *h)
{
	char text[WHEN_LEN + 1];
	int64_t length_s;

	if (!when_window(tool_text(run, "window"), &length_s)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "window is one of 15m, 30m, 1h, 3h, 6h, 12h, 24h and "
		          "7d");
		return false;
	}
	h->end_s = tool_now_s(run);
	h->start_s = h->end_s - length_s;
	h->alarm = ask_alarm(run);
	h->entries = tool_ask(run, "monitoring/Monitoring/GetAlarmHistory");
	tool_ask_path(h->entries, "alarmId", tool_text(run, "alarm_id"));
	tool_ask_query(h->entries, "alarmHistorytype",
	               SPAN("STATE_TRANSITION_HISTORY"));
	tool_ask_query(h->entries, "timestampGreaterThanOrEqualTo",
	               span_str(when_write(h->start_s, text)));
	tool_ask_query(h->entries, "timestampLessThan",
	               span_str(when_write(h->end_s + 1, text)));
	tool_ask_query_number(h->entries, "limit", ALARM_EVENTS_MAX);
	return true;
}

static void write_event(struct tool_run *run, struct output *o,
                        struct span entry)
{
	struct span summary = path_text(run, entry, "summary");
	struct span alarm = path_text(run, entry, "alarmSummary");

	output_object(o, NULL);
	output_path(o, "timestamp", entry, "timestamp");
	output_string(o, "status", alarm_entry_status(summary, alarm));
	output_text(o, "message", alarm.len ? alarm : summary);
	output_text_or_null(o, "transition", summary);
	output_path(o, "time_triggered", entry, "timestampTriggered");
	output_end(o);
}

static void write_history(struct tool_run *run, struct history *h)
{
	struct value_iter it =
		path_items(tool_ask_answer(h->entries), "entries");
	struct span entry;
	struct output o;
	int64_t n = 0;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "alarm_id", tool_text(run, "alarm_id"));
	output_path(&o, "alarm_name", tool_ask_answer(h->alarm), "displayName");
	output_text(&o, "window", tool_text(run, "window"));
	output_time(&o, "start_time", h->start_s);
	output_time(&o, "end_time", h->end_s);
	output_array(&o, "events");
	while (n < ALARM_EVENTS_MAX && value_array_next(&it, &entry)) {
		write_event(run, &o, entry);
		n++;
	}
	output_end(&o);
	output_integer(&o, "count", n);
	output_flag(&o, "has_more", n == ALARM_EVENTS_MAX);
	output_end(&o);
}

static enum tool_next get_alarm_history(struct tool_run *run)
{
	struct history *h = tool_state(run);

	if (tool_phase(run) == 0)
		return ask_history(run, h) ? TOOL_WAIT : TOOL_DONE;
	write_history(run, h);
	return TOOL_DONE;
}

/* --- oci_observability_overview ------------------------------------------- */

struct overview {
	struct tool_ask *compartment, *alarms, *states_ask;
	struct tool_ask *namespaces, *sources;
	struct alarm_states states;
	int64_t start_s;
	struct census severities, types;
	size_t enabled, firing, critical, fresh;
};

static void ask_overview(struct tool_run *run, struct overview *v)
{
	bool subtree = tool_flag(run, "include_subcompartments");
	struct span compartment = tool_compartment(run);
	int64_t length_s;

	if (!when_window(tool_text(run, "window"), &length_s))
		length_s = WHEN_DAY_S;
	v->start_s = tool_now_s(run) - length_s;
	v->compartment = tool_ask(run, "identity/Identity/GetCompartment");
	tool_ask_path(v->compartment, "compartmentId", compartment);
	tool_ask_cache(v->compartment, "config");
	tool_ask_optional(v->compartment);
	if (tool_flag(run, "include_alarms")) {
		v->alarms = alarm_ask_list(run, compartment, subtree);
		tool_ask_optional(v->alarms);
		v->states_ask = alarm_ask_states(run, compartment, subtree);
	}
	if (tool_flag(run, "include_log_sources")) {
		v->namespaces = logquery_ask_namespaces(run);
		tool_ask_optional(v->namespaces);
	}
}

static void ask_sources(struct tool_run *run, struct overview *v)
{
	struct span namespace;

	if (!v->namespaces)
		return;
	namespace = logquery_namespace(run, v->namespaces);
	if (!namespace.len)
		return;
	v->sources = tool_ask(run, "log_analytics/LogAnalytics/ListSources");
	tool_ask_path(v->sources, "namespaceName", namespace);
	tool_ask_query(v->sources, "compartmentId", tool_compartment(run));
	tool_ask_items(v->sources, TOOL_ITEMS_MAX);
	tool_ask_cache(v->sources, "config");
	tool_ask_optional(v->sources);
}

static void count_alarms(struct tool_run *run, struct overview *v)
{
	struct value_iter it = path_items(tool_ask_answer(v->alarms), "");
	struct span alarm;

	while (value_array_next(&it, &alarm)) {
		struct span state = alarm_state(&v->states, alarm);
		int64_t since_s = INT64_MIN;

		census_add(&v->severities, path_text(run, alarm, "severity"));
		v->enabled += path_flag(alarm, "isEnabled");
		if (!alarm_is_firing(state))
			continue;
		v->firing++;
		v->critical += path_is(alarm, "severity", "CRITICAL");
		when_parse(path_text(run, state, "timestampTriggered"),
		           &since_s);
		v->fresh += since_s >= v->start_s;
	}
}

static void write_firing(const struct overview *v, struct output *o)
{
	static const struct listing_field fields[] = {
		{ "id", "id" },
		{ "display_name", "displayName" },
		{ "severity", "severity" },
		{ "time_triggered", "timestampTriggered" },
		{ "summary", "alarmSummary" },
	};
	struct value_iter it = path_items(tool_ask_answer(v->states_ask), "");
	struct span state;
	size_t n = 0;

	output_array(o, "firing");
	while (n < ALARM_FIRING_MAX && value_array_next(&it, &state)) {
		if (!alarm_is_firing(state))
			continue;
		output_object(o, NULL);
		listing_fields(o, state, fields, ARRAY_LEN(fields));
		output_end(o);
		n++;
	}
	output_end(o);
}

static void write_alarms(const struct overview *v, struct output *o)
{
	output_object(o, "alarms_summary");
	if (!tool_ask_ok(v->alarms)) {
		output_text(o, "error", tool_ask_error(v->alarms));
		output_end(o);
		return;
	}
	output_integer(o, "total", (int64_t)v->severities.total);
	output_integer(o, "enabled", (int64_t)v->enabled);
	census_write(&v->severities, o, "by_severity");
	if (tool_ask_ok(v->states_ask)) {
		output_integer(o, "firing_count", (int64_t)v->firing);
		output_integer(o, "triggered_in_window", (int64_t)v->fresh);
		write_firing(v, o);
	} else {
		output_text(o, "error", tool_ask_error(v->states_ask));
	}
	output_end(o);
}

/* Why sources are not known; empty when they are. */
static struct span sources_error(const struct overview *v)
{
	if (!v->sources)
		return logquery_no_namespace(v->namespaces);
	return tool_ask_ok(v->sources) ? SPAN("") : tool_ask_error(v->sources);
}

static void write_sources(struct tool_run *run, struct overview *v,
                          struct output *o)
{
	struct value_iter it;
	struct span source;

	output_object(o, "log_sources_summary");
	if (sources_error(v).len) {
		output_text(o, "error", sources_error(v));
		output_end(o);
		return;
	}
	it = path_items(tool_ask_answer(v->sources), "");
	while (value_array_next(&it, &source))
		census_add(&v->types, path_text(run, source, "typeName"));
	output_integer(o, "total", (int64_t)v->types.total);
	census_write(&v->types, o, "by_type");
	output_end(o);
}

static void recommend_about_alarms(const struct overview *v, struct output *o)
{
	size_t total = v->severities.total;

	if (!tool_ask_ok(v->alarms))
		return;
	if (total == 0)
		output_string(o, NULL,
		              "No alarm watches this compartment: create some "
		              "for CPU, memory and availability.");
	if (v->critical)
		output_format(o, NULL,
		              "Look at the critical alarms that are firing "
		              "first: %zu.",
		              v->critical);
	else if (v->firing)
		output_format(o, NULL, "Look at the firing alarms: %zu.",
		              v->firing);
	if (total > v->enabled)
		output_format(o, NULL,
		              "Alarms that are switched off and watch "
		              "nothing: %zu.",
		              total - v->enabled);
}

static void write_recommendations(const struct overview *v, struct output *o)
{
	output_array(o, "recommendations");
	if (v->alarms)
		recommend_about_alarms(v, o);
	if (v->sources && tool_ask_ok(v->sources) && v->types.total == 0)
		output_string(o, NULL,
		              "Log Analytics has no source: nothing collects "
		              "logs.");
	output_end(o);
}

static void write_overview(struct tool_run *run, struct overview *v)
{
	struct output o;

	if (v->alarms) {
		alarm_read_states(run, v->states_ask, &v->states);
		count_alarms(run, v);
	}
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "compartment_id", tool_compartment(run));
	output_path(&o, "compartment_name", tool_ask_answer(v->compartment),
	            "name");
	output_text(&o, "window", tool_text(run, "window"));
	if (v->alarms)
		write_alarms(v, &o);
	if (v->namespaces)
		write_sources(run, v, &o);
	write_recommendations(v, &o);
	output_end(&o);
}

static enum tool_next observability_overview(struct tool_run *run)
{
	struct overview *v = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		tool_progress(run, 0.1, "Reading alarms and their states");
		ask_overview(run, v);
		return TOOL_WAIT;
	case 1:
		tool_progress(run, 0.6, "Reading log sources");
		ask_sources(run, v);
		return TOOL_WAIT;
	default:
		write_overview(run, v);
		return TOOL_DONE;
	}
}

const struct tool_function alarm_functions[] = {
	{ .name = "list_alarms",
	  .step = list_alarms,
	  .state_bytes = sizeof(struct list) },
	{ .name = "get_alarm",
	  .step = get_alarm,
	  .state_bytes = sizeof(struct one) },
	{ .name = "get_alarm_history",
	  .step = get_alarm_history,
	  .state_bytes = sizeof(struct history) },
	{ .name = "observability_overview",
	  .step = observability_overview,
	  .state_bytes = sizeof(struct overview) },
};
const size_t alarm_n_functions = ARRAY_LEN(alarm_functions);
