#include "oci/usage.h"

#include "oci/output.h"
#include "oci/path.h"
#include "oci/when.h"

/* --- periods -------------------------------------------------------------- */

const char *usage_error(enum usage_error error)
{
	static const char *const texts[USAGE_ERRORS_MAX] = {
		[USAGE_OK] = "no error",
		[USAGE_BAD_START] = "time_start is not a time such as "
				    "2026-01-01T00:00:00Z",
		[USAGE_BAD_END] = "time_end is not a time such as "
				  "2026-02-01T00:00:00Z",
		[USAGE_BACKWARDS] = "time_start must be before time_end",
		[USAGE_TOO_LONG] = "the period is too long: at most 1080 days "
				   "DAILY or 144 months MONTHLY",
	};

	return texts[error];
}

static int64_t floor_of(int64_t t, bool monthly)
{
	return monthly ? when_month(t) : when_midnight(t);
}

static int64_t next_of(int64_t t, bool monthly)
{
	return monthly ? when_add_months(t, 1) : t + WHEN_DAY_S;
}

static int64_t after_piece(int64_t t, bool monthly)
{
	return monthly ? when_add_months(t, USAGE_MONTHS_MAX)
	               : t + USAGE_DAYS_MAX * WHEN_DAY_S;
}

size_t usage_pieces(const struct usage_period *period)
{
	size_t n = 0;

	for (int64_t t = period->start_s;
	     t < period->end_s && n <= USAGE_PIECES_MAX; n++)
		t = after_piece(t, period->monthly);
	return n;
}

struct usage_period usage_piece(const struct usage_period *period, size_t n)
{
	struct usage_period piece = *period;

	while (n-- > 0)
		piece.start_s = after_piece(piece.start_s, period->monthly);
	piece.end_s =
		MIN(after_piece(piece.start_s, period->monthly), period->end_s);
	return piece;
}

enum usage_error usage_period(struct span start, struct span end, bool monthly,
                              struct usage_period *out)
{
	int64_t from, to;

	if (!when_parse(start, &from))
		return USAGE_BAD_START;
	if (!when_parse(end, &to))
		return USAGE_BAD_END;
	if (from >= to)
		return USAGE_BACKWARDS;
	out->monthly = monthly;
	out->start_s = floor_of(from, monthly);
	out->end_s = floor_of(to, monthly);
	if (out->end_s != to)
		out->end_s = next_of(out->end_s, monthly);
	return usage_pieces(out) > USAGE_PIECES_MAX ? USAGE_TOO_LONG : USAGE_OK;
}

int64_t usage_days(const struct usage_period *period)
{
	return (period->end_s - period->start_s) / WHEN_DAY_S;
}

/* --- asking --------------------------------------------------------------- */

struct span usage_tenancy(struct tool_run *run)
{
	struct span given = tool_text(run, "tenancy_ocid");

	return given.len ? given : tool_tenancy(run);
}

bool usage_arguments(struct tool_run *run, bool monthly, struct usage *usage)
{
	enum usage_error error = usage_period(tool_text(run, "time_start"),
	                                      tool_text(run, "time_end"),
	                                      monthly, &usage->period);

	if (error != USAGE_OK) {
		tool_fail(run, TOOL_VALIDATION,
		          "Times are RFC 3339, in UTC; time_end is exclusive.",
		          "%s", usage_error(error));
		return false;
	}
	usage->tenancy = usage_tenancy(run);
	usage->scope = tool_text(run, "scope_compartment_id");
	usage->with_children =
		usage->scope.len && tool_flag(run, "include_children");
	return true;
}

/* Is a compartment in the scope? */
static bool in_scope(const struct usage *usage, struct span compartment)
{
	if (usage->scope.len == 0)
		return true;
	if (!usage->with_children)
		return span_eq(compartment, usage->scope);
	return comptree_within(&usage->tree, compartment, usage->scope);
}

static void write_dimension(struct output *o, struct span compartment)
{
	output_object(o, NULL);
	output_string(o, "key", "compartmentId");
	output_text(o, "value", compartment);
	output_end(o);
}

/* Spare the API what is dropped anyway; too many are dropped here only. */
static void write_filter(struct output *o, const struct usage *usage)
{
	const struct comptree *tree = &usage->tree;
	size_t n = 0;

	for (size_t i = 0; usage->with_children && i < tree->n; i++)
		n += in_scope(usage, tree->nodes[i].id);
	if (usage->scope.len == 0 || n > USAGE_FILTER_MAX)
		return;
	output_object(o, "filter");
	output_string(o, "operator", "OR");
	output_array(o, "dimensions");
	if (n == 0)
		write_dimension(o, usage->scope);
	for (size_t i = 0; n && i < tree->n; i++)
		if (in_scope(usage, tree->nodes[i].id))
			write_dimension(o, tree->nodes[i].id);
	output_end(o);
	output_end(o);
}

static void write_body(struct buf *body, const struct usage *usage,
                       const struct usage_period *piece)
{
	struct output o;
	bool by_compartment = usage->scope.len > 0;

	output_init(&o, body);
	output_object(&o, NULL);
	output_text(&o, "tenantId", usage->tenancy);
	output_time(&o, "timeUsageStarted", piece->start_s);
	output_time(&o, "timeUsageEnded", piece->end_s);
	output_string(&o, "granularity", piece->monthly ? "MONTHLY" : "DAILY");
	output_string(&o, "queryType", "COST");
	output_flag(&o, "isAggregateByTime", usage->added_up);
	output_array(&o, "groupBy");
	for (size_t i = 0; i < ARRAY_LEN(usage->group_by) && usage->group_by[i];
	     i++) {
		output_string(&o, NULL, usage->group_by[i]);
		by_compartment |=
			span_is(SPAN("compartmentId"), usage->group_by[i]);
	}
	output_end(&o);
	/* Every compartment for itself: the tree is ours to add up. */
	if (by_compartment)
		output_integer(&o, "compartmentDepth", 7);
	write_filter(&o, usage);
	output_end(&o);
}

void usage_ask(struct tool_run *run, struct usage *usage)
{
	/* Whose scope is narrowed, that is looked at row by row. */
	if (usage->scope.len) {
		size_t i = 0;

		while (usage->group_by[i] &&
		       !span_is(SPAN("compartmentId"), usage->group_by[i]))
			i++;
		assert(i < ARRAY_LEN(usage->group_by));
		usage->group_by[i] = "compartmentId";
	}
	for (size_t i = 0; i < usage_pieces(&usage->period); i++) {
		struct usage_period piece = usage_piece(&usage->period, i);
		struct tool_ask *ask = tool_ask(
			run, "usage_api/Usageapi/RequestSummarizedUsages");

		tool_ask_home(ask);
		tool_ask_cache(ask, "config");
		tool_ask_items(ask, TOOL_ITEMS_MAX);
		write_body(tool_ask_body(ask), usage, &piece);
		usage->asks[usage->n_asks++] = ask;
	}
}

/* --- rows ----------------------------------------------------------------- */

/* Amounts may be numbers, or null in rows that only fill gaps. */
static bool read_row(struct tool_run *run, struct span raw,
                     struct usage_row *row)
{
	if (path_flag(raw, "isForecast") ||
	    !path_double(path_get(raw, "computedAmount"), &row->amount))
		return false;
	row->service = path_text(run, raw, "service");
	row->compartment = path_text(run, raw, "compartmentId");
	row->start = path_text(run, raw, "timeUsageStarted");
	return true;
}

/* Services write " " for a currency they do not know yet. */
static bool same_currency(struct tool_run *run, struct span raw,
                          struct span *currency)
{
	struct span here = span_trim(path_text(run, raw, "currency"));

	if (here.len == 0 || span_eq(here, *currency))
		return true;
	if (currency->len == 0) {
		*currency = here;
		return true;
	}
	tool_fail(run, TOOL_SERVICE, NULL,
	          "the bill has amounts in %.*s and in %.*s, which cannot be "
	          "added up",
	          SPAN_ARG(*currency), SPAN_ARG(here));
	return false;
}

bool usage_each(struct tool_run *run, const struct usage *usage,
                struct span *currency,
                void (*row)(void *context, const struct usage_row *row),
                void *context)
{
	struct usage_row r;
	struct span raw;

	*currency = SPAN("");
	for (size_t i = 0; i < usage->n_asks; i++) {
		struct value_iter it =
			path_items(tool_ask_answer(usage->asks[i]), "");

		if (tool_ask_more(usage->asks[i])) {
			tool_fail(run, TOOL_VALIDATION,
			          "Choose a shorter period, or MONTHLY.",
			          "the bill of this period has more than %d "
			          "figures",
			          TOOL_ITEMS_MAX);
			return false;
		}
		while (value_array_next(&it, &raw)) {
			if (!read_row(run, raw, &r) ||
			    !in_scope(usage, r.compartment))
				continue;
			if (!same_currency(run, raw, currency))
				return false;
			row(context, &r);
		}
	}
	return true;
}
