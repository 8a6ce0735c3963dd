#include "oci/dbhealth.h"

#include <stdarg.h>
#include <stdio.h>

#include "oci/backups.h"
#include "oci/dbmetrics.h"
#include "oci/ocid.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/when.h"

#define WINDOW_DEFAULT_S WHEN_HOUR_S
#define WINDOW_MAX_S     (7 * WHEN_DAY_S)

enum dbhealth_grade dbhealth_grade(double percent, double warning,
                                   double critical)
{
	if (percent > critical)
		return DBHEALTH_CRITICAL;
	return percent > warning ? DBHEALTH_WARNING : DBHEALTH_FINE;
}

/* --- what is looked at ---------------------------------------------------- */

enum { CPU = 1, STORAGE = 2, SESSIONS = 4, BACKUPS = 8, ACCESS = 16, ALL = 31 };

static const struct {
	const char *issue;
	unsigned parts;
} issues[] = {
	{ "performance", CPU | SESSIONS }, { "connection", SESSIONS | ACCESS },
	{ "storage", STORAGE | BACKUPS },  { "availability", CPU | BACKUPS },
	{ "security", ACCESS | BACKUPS },  { "general", ALL },
};

/* The metrics, and when their figures are findings; 0: never. */
enum { N_METRICS = 4 };

static const struct {
	const char *key;
	const char *area;
	const char *advice;
	double warning, critical;
	unsigned part;
	bool by_average; /* else by the latest value */
} checks[N_METRICS] = {
	{ .key = "cpu",
	  .area = "performance",
	  .advice = "Turn auto scaling on or add CPUs, and look for the "
	            "statements that use most CPU.",
	  .warning = 70,
	  .critical = 90,
	  .part = CPU,
	  .by_average = true },
	{ .key = "storage",
	  .area = "storage",
	  .advice = "Add storage or let it scale, and drop or archive what is "
	            "not needed.",
	  .warning = 80,
	  .critical = 90,
	  .part = STORAGE },
	{ .key = "sessions", .area = "connection", .part = SESSIONS },
	{ .key = "executions", .area = "performance", .part = SESSIONS },
};

struct state {
	const struct dbmetrics_kind *kind;
	struct span id, database;
	bool is_autonomous, asked;
	unsigned parts;
	int64_t window_s;
	struct tool_ask *get, *backups, *databases;
	struct dbmetrics_metric metrics[N_METRICS];
};

static unsigned parts_of(struct tool_run *run)
{
	struct span issue = tool_text(run, "issue_type");

	for (size_t i = 0; i < ARRAY_LEN(issues); i++)
		if (span_is(issue, issues[i].issue))
			return issues[i].parts;
	return ALL;
}

static bool begin(struct tool_run *run, struct state *state)
{
	struct span window = tool_text(run, "time_window");

	state->id = tool_text(run, "database_id");
	state->kind = dbmetrics_kind(state->id);
	state->is_autonomous = ocid_is(state->id, SPAN("autonomousdatabase"));
	state->parts = parts_of(run);
	state->window_s = WINDOW_DEFAULT_S;
	if ((window.len && !when_window(window, &state->window_s)) ||
	    state->window_s > WINDOW_MAX_S) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "time_window must be a number and m, h or d, 7d at "
		          "most");
		return false;
	}
	if (!state->kind) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "database_id is not the OCID of a database");
		return false;
	}
	state->get = tool_ask(run, state->kind->operation);
	tool_ask_path(state->get, state->kind->parameter, state->id);
	return true;
}

static void ask_rest(struct tool_run *run, struct state *state)
{
	struct dbmetrics_query query = {
		.filter = dbmetrics_filter(
			run, state->id,
			state->databases ? tool_ask_answer(state->databases)
					 : SPAN("")),
		.compartment = path_text(run, state->database, "compartmentId"),
		.namespace = state->kind->namespace,
		.end_s = dbmetrics_now(run),
	};

	query.start_s = query.end_s - state->window_s;
	for (size_t i = 0; i < N_METRICS; i++)
		if (state->parts & checks[i].part)
			dbmetrics_ask(run, &query,
			              span_str(state->kind->metrics[i]),
			              &state->metrics[i]);
	if (state->is_autonomous && state->parts & BACKUPS)
		state->backups = backups_ask(run, state->id);
}

/* --- findings ------------------------------------------------------------- */

#define FINDINGS_MAX 32

struct finding {
	enum dbhealth_grade grade;
	const char *area;
	const char *message;
	const char *advice; /* NULL: none */
};

struct report {
	struct tool_run *run;
	struct state *state;
	struct output o;
	struct finding findings[FINDINGS_MAX];
	size_t n_findings;
	const char *unavailable[FINDINGS_MAX];
	size_t n_unavailable;
	enum dbhealth_grade worst;
};

PRINTF(2, 0)
static const char *keep_text(struct tool_run *run, const char *format,
                             va_list args)
{
	char text[512];
	int n = vsnprintf(text, sizeof(text), format, args);

	n = MAX(0, MIN(n, (int)sizeof(text) - 1));
	return tool_keep(run, span_of(text, (size_t)n)).at;
}

PRINTF(5, 6)
static void find(struct report *report, enum dbhealth_grade grade,
                 const char *area, const char *advice, const char *format, ...)
{
	va_list args;

	if (report->n_findings == FINDINGS_MAX)
		return;
	va_start(args, format);
	report->findings[report->n_findings++] = (struct finding){
		.grade = grade,
		.area = area,
		.advice = advice,
		.message = keep_text(report->run, format, args),
	};
	va_end(args);
	report->worst = MAX(report->worst, grade);
}

PRINTF(2, 3)
static void miss(struct report *report, const char *format, ...)
{
	va_list args;

	if (report->n_unavailable == FINDINGS_MAX)
		return;
	va_start(args, format);
	report->unavailable[report->n_unavailable++] =
		keep_text(report->run, format, args);
	va_end(args);
}

static void check_state(struct report *report)
{
	static const char *const good[] = {
		"AVAILABLE", "BACKUP_IN_PROGRESS", "SCALE_IN_PROGRESS",
		"STANDBY",   "UPDATING",           "MAINTENANCE_IN_PROGRESS"
	};
	struct span state = path_text(report->run, report->state->database,
	                              "lifecycleState");
	struct span details = path_text(report->run, report->state->database,
	                                "lifecycleDetails");

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (span_is(state, good[i]))
			return;
	find(report, DBHEALTH_CRITICAL, "availability",
	     span_is(state, "STOPPED") && report->state->is_autonomous
	             ? "Start it with oci_database_start_autonomous."
	             : "Look at its work requests: "
	               "oci_workrequests_list_requests.",
	     "The database is %.*s%s%.*s", SPAN_ARG(state),
	     details.len ? ": " : "", SPAN_ARG(details));
}

static void check_metrics(struct report *report)
{
	struct output *o = &report->o;

	output_object(o, "metrics");
	for (size_t i = 0; i < N_METRICS; i++) {
		struct dbmetrics_value value;
		enum dbhealth_grade grade;
		double figure;

		if (!(report->state->parts & checks[i].part))
			continue;
		dbmetrics_read(report->run, &report->state->metrics[i], &value);
		output_name(o, span_str(checks[i].key));
		dbmetrics_write(o, &value);
		if (value.points == 0) {
			miss(report, "metric %s: %.*s",
			     report->state->kind->metrics[i],
			     SPAN_ARG(value.error.len ? value.error
			                              : SPAN("no data")));
			continue;
		}
		if (!(checks[i].critical > 0))
			continue;
		figure = checks[i].by_average ? value.average : value.current;
		grade = dbhealth_grade(figure, checks[i].warning,
		                       checks[i].critical);
		if (grade != DBHEALTH_FINE)
			find(report, grade, checks[i].area, checks[i].advice,
			     "%s: %.1f percent, over %.0f",
			     report->state->kind->metrics[i], figure,
			     grade == DBHEALTH_CRITICAL ? checks[i].critical
			                                : checks[i].warning);
	}
	output_end(o);
}

/* --- backups -------------------------------------------------------------- */

struct backup_count {
	size_t total, failed;
	int64_t last_good_s; /* 0: none */
};

static void count_backups(struct report *report, struct backup_count *count)
{
	struct value_iter it =
		path_items(tool_ask_answer(report->state->backups), "");
	struct span backup;
	int64_t t;

	for (; value_array_next(&it, &backup); count->total++) {
		count->failed += path_is(backup, "lifecycleState", "FAILED");
		if (path_is(backup, "lifecycleState", "ACTIVE") &&
		    when_parse(path_text(report->run, backup, "timeEnded"), &t))
			count->last_good_s = MAX(count->last_good_s, t);
	}
}

/* For a DB system: when its databases were backed up last. */
static void count_databases(struct report *report, struct backup_count *count)
{
	struct value_iter it =
		path_items(tool_ask_answer(report->state->databases), "");
	struct span database;
	int64_t t, failed;

	while (value_array_next(&it, &database)) {
		bool has = when_parse(
			path_text(report->run, database, "lastBackupTimestamp"),
			&t);

		count->total += has;
		if (has)
			count->last_good_s = MAX(count->last_good_s, t);
		if (when_parse(path_text(report->run, database,
		                         "lastFailedBackupTimestamp"),
		               &failed) &&
		    (!has || failed > t))
			count->failed++;
	}
}

static void judge_backups(struct report *report,
                          const struct backup_count *count)
{
	int64_t hours =
		(tool_now_s(report->run) - count->last_good_s) / WHEN_HOUR_S;

	if (count->last_good_s == 0)
		find(report, DBHEALTH_WARNING, "backup",
		     "Turn automatic backups on, or make one now.",
		     "There is no good backup");
	else if (hours > DBHEALTH_BACKUP_HOURS)
		find(report, DBHEALTH_WARNING, "backup",
		     "Find out why automatic backups have ended.",
		     "The last good backup is %lld hours old",
		     (long long)hours);
	if (count->failed)
		find(report, DBHEALTH_WARNING, "backup",
		     "Look at the failed backups: oci_database_list_backups.",
		     "%zu backup%s failed", count->failed,
		     count->failed == 1 ? " has" : "s have");
}

static void check_backups(struct report *report)
{
	struct state *state = report->state;
	struct tool_ask *ask =
		state->is_autonomous ? state->backups : state->databases;
	struct backup_count count = { 0 };
	struct output *o = &report->o;

	if (!ask || !(state->parts & BACKUPS))
		return;
	if (!tool_ask_ok(ask)) {
		miss(report, "backups: %.*s", SPAN_ARG(tool_ask_error(ask)));
		return;
	}
	if (state->is_autonomous)
		count_backups(report, &count);
	else
		count_databases(report, &count);
	output_object(o, "backups");
	output_integer(o, "total", (int64_t)count.total);
	output_integer(o, "failed", (int64_t)count.failed);
	if (count.last_good_s)
		output_time(o, "last_good", count.last_good_s);
	else
		output_null(o, "last_good");
	output_end(o);
	judge_backups(report, &count);
}

/* --- ways in -------------------------------------------------------------- */

/* A list of addresses that may connect; empty for an Autonomous Database
 * without a private endpoint: everybody may. */
static void check_access(struct report *report)
{
	struct span database = report->state->database;
	bool is_private = path_has(database, "subnetId");
	size_t allowed = path_count(database, "whitelistedIps");
	struct output *o = &report->o;

	if (!(report->state->parts & ACCESS))
		return;
	output_object(o, "access");
	output_flag(o, "private_network", is_private);
	output_integer(o, "allowed_addresses", (int64_t)allowed);
	output_path(o, "mtls_required", database, "isMtlsConnectionRequired");
	output_integer(o, "network_security_groups",
	               (int64_t)path_count(database, "nsgIds"));
	output_end(o);
	if (report->state->is_autonomous && !is_private && allowed == 0)
		find(report, DBHEALTH_WARNING, "security",
		     "Use a private endpoint, or list the addresses that may "
		     "connect.",
		     "The database can be reached from every address of the "
		     "Internet");
	if (report->state->is_autonomous && !is_private &&
	    path_has(database, "isMtlsConnectionRequired") &&
	    !path_flag(database, "isMtlsConnectionRequired"))
		find(report, DBHEALTH_WARNING, "security",
		     "Require mutual TLS for connections.",
		     "Clients need no certificate to connect");
}

/* --- the report ----------------------------------------------------------- */

static const char *grade_name(enum dbhealth_grade grade)
{
	static const char *const names[] = {
		[DBHEALTH_FINE] = "HEALTHY",
		[DBHEALTH_WARNING] = "WARNING",
		[DBHEALTH_CRITICAL] = "CRITICAL",
	};

	return names[grade];
}

static void write_findings(struct report *report)
{
	struct output *o = &report->o;

	output_array(o, "findings");
	for (size_t i = 0; i < report->n_findings; i++) {
		output_object(o, NULL);
		output_string(o, "severity",
		              grade_name(report->findings[i].grade));
		output_string(o, "area", report->findings[i].area);
		output_string(o, "message", report->findings[i].message);
		output_end(o);
	}
	output_end(o);
	output_array(o, "recommendations");
	for (size_t i = 0; i < report->n_findings; i++)
		if (report->findings[i].advice &&
		    tool_flag(report->run, "include_recommendations"))
			output_string(o, NULL, report->findings[i].advice);
	output_end(o);
	output_array(o, "unavailable");
	for (size_t i = 0; i < report->n_unavailable; i++)
		output_string(o, NULL, report->unavailable[i]);
	output_end(o);
}

static void write_details(struct report *report)
{
	struct tool_run *run = report->run;
	struct state *state = report->state;
	struct output *o = &report->o;

	output_object(o, "details");
	output_object(o, "database");
	output_text(o, "id", state->id);
	output_path(o, "name", state->database, state->kind->name);
	output_path(o, "state", state->database, "lifecycleState");
	output_string(o, "kind", state->kind->label);
	output_end(o);
	output_raw(o, "issue_type", tool_raw(run, "issue_type"));
	output_raw(o, "time_window", tool_raw(run, "time_window"));
	check_state(report);
	check_metrics(report);
	check_backups(report);
	check_access(report);
	output_string(o, "health_status", grade_name(report->worst));
	output_end(o);
}

static void write_report(struct tool_run *run, struct state *state)
{
	struct report *report = tool_alloc(run, sizeof(*report));
	struct output *o = &report->o;

	report->run = run;
	report->state = state;
	output_init(o, tool_out(run));
	output_object(o, NULL);
	output_string(o, "skill_name", "troubleshoot_database");
	output_flag(o, "success", true);
	write_details(report);
	output_format(
		o, "summary", "%s: %zu finding%s about %s %.*s%s",
		grade_name(report->worst), report->n_findings,
		report->n_findings == 1 ? "" : "s", state->kind->label,
		SPAN_ARG(path_text(run, state->database, state->kind->name)),
		report->n_unavailable ? "; not everything could be read" : "");
	write_findings(report);
	output_end(o);
}

static enum tool_next troubleshoot(struct tool_run *run)
{
	struct state *state = tool_state(run);

	if (tool_phase(run) == 0) {
		tool_progress(run, 0.1, "Looking at the database");
		return begin(run, state) ? TOOL_WAIT : TOOL_DONE;
	}
	if (tool_phase(run) == 1) {
		state->database = tool_ask_answer(state->get);
		if (!state->is_autonomous) {
			state->databases = dbmetrics_databases(
				run, state->id,
				path_text(run, state->database,
			                  "compartmentId"));
			return TOOL_WAIT;
		}
	}
	if (!state->asked) {
		state->asked = true;
		tool_progress(run, 0.4, "Asking for metrics and backups");
		ask_rest(run, state);
		return TOOL_WAIT;
	}
	tool_progress(run, 0.9, "Judging");
	write_report(run, state);
	return TOOL_DONE;
}

const struct tool_function dbhealth_functions[] = {
	{ .name = "troubleshoot_database",
	  .step = troubleshoot,
	  .state_bytes = sizeof(struct state) },
};
const size_t dbhealth_n_functions = ARRAY_LEN(dbhealth_functions);
