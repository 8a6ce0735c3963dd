#include "oci/logquery.h"

#include "lib/clock.h"
#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/slice.h"
#include "oci/when.h"

/* --- Log Analytics -------------------------------------------------------- */

struct tool_ask *logquery_ask_namespaces(struct tool_run *run)
{
	struct tool_ask *ask =
		tool_ask(run, "log_analytics/LogAnalytics/ListNamespaces");

	tool_ask_query(ask, "compartmentId", tool_tenancy(run));
	tool_ask_cache(ask, "static");
	return ask;
}

struct span logquery_namespace(struct tool_run *run,
                               const struct tool_ask *namespaces)
{
	struct value_iter it = path_items(tool_ask_answer(namespaces), "");
	struct span item;

	while (value_array_next(&it, &item))
		if (path_flag(item, "isOnboarded"))
			return path_text(run, item, "namespaceName");
	return SPAN("");
}

struct span logquery_no_namespace(const struct tool_ask *namespaces)
{
	if (!tool_ask_ok(namespaces))
		return tool_ask_error(namespaces);
	return SPAN("Log Analytics is not enabled for this tenancy in this "
	            "region");
}

/* The namespace, or the end of the run. */
static bool need_namespace(struct tool_run *run,
                           const struct tool_ask *namespaces, struct span *out)
{
	*out = logquery_namespace(run, namespaces);
	if (out->len)
		return true;
	tool_fail(run, TOOL_NOT_FOUND,
	          "Enable Log Analytics for the tenancy in the console, or use "
	          "oci_observability_search_logs for the Logging service.",
	          "%.*s", SPAN_ARG(logquery_no_namespace(namespaces)));
	return false;
}

struct tool_ask *logquery_ask(struct tool_run *run,
                              const struct logquery *query)
{
	struct tool_ask *ask =
		tool_ask(run, "log_analytics/LogAnalytics/Query");
	struct output o;

	tool_ask_path(ask, "namespaceName", query->namespace);
	tool_ask_query_number(ask, "limit", query->limit);
	tool_ask_cache(ask, "metrics");
	output_init(&o, tool_ask_body(ask));
	output_object(&o, NULL);
	output_text(&o, "compartmentId", query->compartment);
	output_flag(&o, "compartmentIdInSubtree", query->subtree);
	output_text(&o, "queryString", query->text);
	output_string(&o, "subSystem", "LOG");
	output_integer(&o, "maxTotalCount", query->limit);
	output_flag(&o, "shouldIncludeTotalCount", true);
	output_flag(&o, "shouldIncludeColumns", true);
	output_flag(&o, "shouldRunAsync", false);
	output_object(&o, "timeFilter");
	output_time(&o, "timeStart", query->start_s);
	output_time(&o, "timeEnd", query->end_s);
	output_string(&o, "timeZone", "UTC");
	output_end(&o);
	output_end(&o);
	return ask;
}

bool logquery_is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < ' ' || c == 0x7f || c == '\'' || c == '\\')
			return false;
	}
	return true;
}

static bool take_range(struct tool_run *run, int64_t *start_s, int64_t *end_s)
{
	int64_t length_s;

	if (!when_window(tool_text(run, "time_range"), &length_s)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "time_range is a number and one of m, h, d and w, "
		          "such as 90m");
		return false;
	}
	*end_s = tool_now_s(run);
	*start_s = *end_s - length_s;
	return true;
}

static void write_range(struct tool_run *run, struct output *o, int64_t start_s,
                        int64_t end_s)
{
	output_text(o, "time_range", tool_text(run, "time_range"));
	output_time(o, "start_time", start_s);
	output_time(o, "end_time", end_s);
}

/* --- oci_observability_execute_log_query ---------------------------------- */

struct execution {
	struct tool_ask *namespaces, *rows;
	struct logquery query;
};

static bool ask_rows(struct tool_run *run, struct execution *e)
{
	e->query.compartment = tool_compartment(run);
	e->query.text = tool_text(run, "query");
	e->query.limit = tool_integer(run, "limit", 100);
	e->query.subtree = tool_flag(run, "include_subcompartments");
	if (!need_namespace(run, e->namespaces, &e->query.namespace))
		return false;
	e->rows = logquery_ask(run, &e->query);
	return true;
}

/* What each column is called, as the rows call it. */
static void write_columns(struct tool_run *run, struct output *o,
                          struct span answer)
{
	struct value_iter it = path_items(answer, "columns");
	struct span column, name;

	output_array(o, "columns");
	while (value_array_next(&it, &column)) {
		name = path_text(run, column, "displayName");
		output_text(o, NULL,
		            name.len ? name
		                     : path_text(run, column, "internalName"));
	}
	output_end(o);
}

static int64_t write_rows(struct output *o, struct span answer, int64_t most)
{
	struct value_iter it = path_items(answer, "items");
	struct span row;
	int64_t n = 0;

	output_array(o, "results");
	while (n < most && value_array_next(&it, &row)) {
		output_raw(o, NULL, row);
		n++;
	}
	output_end(o);
	return n;
}

static void write_execution(struct tool_run *run, struct execution *e)
{
	struct span answer = tool_ask_answer(e->rows);
	struct output o;
	int64_t n;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "query", e->query.text);
	write_range(run, &o, e->query.start_s, e->query.end_s);
	output_text(&o, "compartment_id", e->query.compartment);
	output_text(&o, "namespace", e->query.namespace);
	write_columns(run, &o, answer);
	n = write_rows(&o, answer, e->query.limit);
	output_integer(&o, "count", n);
	output_integer(&o, "total", path_integer(answer, "totalCount", n));
	output_flag(&o, "complete",
	            !path_flag(answer, "arePartialResults") &&
	                    path_integer(answer, "percentComplete", 100) ==
	                            100);
	output_end(&o);
}

static enum tool_next execute_log_query(struct tool_run *run)
{
	struct execution *e = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		if (!take_range(run, &e->query.start_s, &e->query.end_s))
			return TOOL_DONE;
		e->namespaces = logquery_ask_namespaces(run);
		return TOOL_WAIT;
	case 1:
		tool_progress(run, 0.3, "Running the query");
		return ask_rows(run, e) ? TOOL_WAIT : TOOL_DONE;
	default:
		write_execution(run, e);
		return TOOL_DONE;
	}
}

/* --- oci_observability_list_log_sources ----------------------------------- */

struct sources {
	struct tool_run *run;
	struct tool_ask *namespaces, *list;
	struct slice page;
	struct span namespace, type, name;
};

static bool is_wanted(void *owner, struct span item)
{
	struct sources *s = owner;
	struct span type = path_text(s->run, item, "typeName");

	if (s->type.len && !span_eq_nocase(type, s->type))
		return false;
	return listing_contains(path_text(s->run, item, "name"), s->name) ||
	       listing_contains(path_text(s->run, item, "displayName"),
	                        s->name);
}

static bool ask_sources(struct tool_run *run, struct sources *s)
{
	s->run = run;
	s->type = tool_text(run, "source_type");
	s->name = tool_text(run, "name_contains");
	if (!need_namespace(run, s->namespaces, &s->namespace))
		return false;
	s->list = tool_ask(run, "log_analytics/LogAnalytics/ListSources");
	tool_ask_path(s->list, "namespaceName", s->namespace);
	tool_ask_query(s->list, "compartmentId", tool_compartment(run));
	tool_ask_items(s->list, slice_wanted(run, s->type.len || s->name.len));
	tool_ask_cache(s->list, "config");
	return true;
}

static void write_source(struct tool_run *run, struct output *o,
                         struct span item)
{
	struct value_iter it = path_items(item, "entityTypes");
	struct span type;

	output_object(o, NULL);
	output_path(o, "name", item, "name");
	output_path(o, "display_name", item, "displayName");
	output_path(o, "source_type", item, "typeName");
	output_array(o, "entity_types");
	while (value_array_next(&it, &type))
		output_text(o, NULL, path_text(run, type, "entityType"));
	output_end(o);
	output_path(o, "lifecycle_state", item, "lifecycleState");
	output_path(o, "is_system", item, "isSystem");
	output_end(o);
}

static void write_sources(struct tool_run *run, struct sources *s)
{
	struct output o;

	slice_init(&s->page, run);
	slice_add_all(&s->page, s->list, is_wanted, s);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "compartment_id", tool_compartment(run));
	output_text(&o, "namespace", s->namespace);
	slice_head(&s->page, &o);
	output_array(&o, "sources");
	for (size_t i = 0; i < s->page.n; i++)
		write_source(run, &o, s->page.items[i]);
	output_end(&o);
	slice_tail(&s->page, &o);
	output_end(&o);
}

static enum tool_next list_log_sources(struct tool_run *run)
{
	struct sources *s = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		s->namespaces = logquery_ask_namespaces(run);
		return TOOL_WAIT;
	case 1:
		return ask_sources(run, s) ? TOOL_WAIT : TOOL_DONE;
	default:
		write_sources(run, s);
		return TOOL_DONE;
	}
}

/* --- oci_observability_search_logs ---------------------------------------- */

#define QUERY_MAX 8192

struct search {
	struct tool_ask *ask;
	struct span query;
	int64_t start_s, end_s, limit;
};

/* The query for what the arguments say: its scope is in the quotes. */
static bool compose(struct tool_run *run, struct search *s)
{
	struct span group = tool_text(run, "log_group_id");
	struct span log = tool_text(run, "log_id");
	struct span part = tool_text(run, "contains");
	struct buf b = { .max = QUERY_MAX };

	if (log.len && !group.len) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "log_id needs log_group_id as well");
		return false;
	}
	if (!logquery_is_plain(part)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "contains may not have a quote, a backslash or a "
		          "line break in it");
		return false;
	}
	buf_addf(&b, "search \"%.*s", SPAN_ARG(tool_compartment(run)));
	if (group.len)
		buf_addf(&b, "/%.*s", SPAN_ARG(group));
	if (log.len)
		buf_addf(&b, "/%.*s", SPAN_ARG(log));
	buf_puts(&b, "\"");
	if (part.len)
		buf_addf(&b, " | where logContent = '*%.*s*'", SPAN_ARG(part));
	buf_puts(&b, " | sort by datetime desc");
	s->query = tool_keep(run, buf_span(&b));
	buf_free(&b);
	return true;
}

static bool take_query(struct tool_run *run, struct search *s)
{
	s->query = tool_text(run, "query");
	if (!s->query.len)
		return compose(run, s);
	if (!tool_text(run, "log_group_id").len &&
	    !tool_text(run, "log_id").len && !tool_text(run, "contains").len)
		return true;
	tool_fail(run, TOOL_VALIDATION, NULL,
	          "query says everything itself: leave out log_group_id, "
	          "log_id and contains");
	return false;
}

static bool ask_search(struct tool_run *run, struct search *s)
{
	struct output o;

	s->limit = tool_integer(run, "limit", 100);
	if (!take_range(run, &s->start_s, &s->end_s) || !take_query(run, s))
		return false;
	if (s->end_s - s->start_s > LOGQUERY_SEARCH_DAYS_MAX * WHEN_DAY_S) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "time_range may be at most %dd",
		          LOGQUERY_SEARCH_DAYS_MAX);
		return false;
	}
	s->ask = tool_ask(run, "loggingsearch/LogSearch/SearchLogs");
	tool_ask_query_number(s->ask, "limit", s->limit);
	tool_ask_cache(s->ask, "metrics");
	output_init(&o, tool_ask_body(s->ask));
	output_object(&o, NULL);
	output_time(&o, "timeStart", s->start_s);
	output_time(&o, "timeEnd", s->end_s);
	output_text(&o, "searchQuery", s->query);
	output_flag(&o, "isReturnFieldInfo", false);
	output_end(&o);
	return true;
}

/* When it was written: as the log says, else when the service got it. */
static void write_time(struct tool_run *run, struct output *o,
                       struct span entry)
{
	char text[CLOCK_ISO_LEN + 1];
	int64_t ms = path_integer(entry, "datetime", -1);
	struct span time = path_text(run, entry, "logContent.time");

	if (time.len)
		output_text(o, "time", time);
	else if (ms >= 0)
		output_string(o, "time", clock_iso(ms, text));
	else
		output_null(o, "time");
}

static void write_entry(struct tool_run *run, struct output *o,
                        struct span entry)
{
	static const struct listing_field fields[] = {
		{ "type", "logContent.type" },
		{ "source", "logContent.source" },
		{ "subject", "logContent.subject" },
		{ "id", "logContent.id" },
		{ "log_id", "logContent.oracle.logid" },
		{ "log_group_id", "logContent.oracle.loggroupid" },
	};

	output_object(o, NULL);
	write_time(run, o, entry);
	listing_fields(o, entry, fields, ARRAY_LEN(fields));
	/* a query that counts or selects answers rows of its own */
	output_raw(o, "data",
	           path_has(entry, "logContent")
	                   ? path_get(entry, "logContent.data")
	                   : entry);
	output_end(o);
}

static void write_search(struct tool_run *run, struct search *s)
{
	struct span answer = tool_ask_answer(s->ask), result;
	struct value_iter it = path_items(answer, "results");
	struct output o;
	int64_t n = 0;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "query", s->query);
	write_range(run, &o, s->start_s, s->end_s);
	output_array(&o, "results");
	while (n < s->limit && value_array_next(&it, &result)) {
		write_entry(run, &o, path_get(result, "data"));
		n++;
	}
	output_end(&o);
	output_integer(&o, "count", n);
	/* a full page: the service does not say how many more there are */
	output_flag(&o, "has_more", n > 0 && n == s->limit);
	output_end(&o);
}

static enum tool_next search_logs(struct tool_run *run)
{
	struct search *s = tool_state(run);

	if (tool_phase(run) == 0)
		return ask_search(run, s) ? TOOL_WAIT : TOOL_DONE;
	write_search(run, s);
	return TOOL_DONE;
}

const struct tool_function logquery_functions[] = {
	{ .name = "execute_log_query",
	  .step = execute_log_query,
	  .state_bytes = sizeof(struct execution) },
	{ .name = "list_log_sources",
	  .step = list_log_sources,
	  .state_bytes = sizeof(struct sources) },
	{ .name = "search_logs",
	  .step = search_logs,
	  .state_bytes = sizeof(struct search) },
};
const size_t logquery_n_functions = ARRAY_LEN(logquery_functions);
