#include "oci/backups.h"

#include <stdlib.h>

#include "oci/listing.h"
#include "oci/ocid.h"
#include "oci/output.h"
#include "oci/path.h"

#define GB_PER_TB 1024.0

/* A kind of backup, and where its figures stand. */
struct kind {
	const char *name; /* database_type */
	const char *operation;
	const char *by_database; /* query parameter */
	const char *database_id, *type, *started, *ended, *size;
	double gb; /* of one unit of size */
};

enum { AUTONOMOUS, DB_SYSTEM, MYSQL, KINDS };

static const struct kind kinds[KINDS] = {
	[AUTONOMOUS] = { .name = "autonomous",
	                 .operation = "database/Database/"
	                              "ListAutonomousDatabaseBackups",
	                 .by_database = "autonomousDatabaseId",
	                 .database_id = "autonomousDatabaseId",
	                 .type = "type",
	                 .started = "timeStarted",
	                 .ended = "timeEnded",
	                 .size = "sizeInTBs",
	                 .gb = GB_PER_TB },
	[DB_SYSTEM] = { .name = "db_system",
	                .operation = "database/Database/ListBackups",
	                .by_database = "databaseId",
	                .database_id = "databaseId",
	                .type = "type",
	                .started = "timeStarted",
	                .ended = "timeEnded",
	                .size = "databaseSizeInGBs",
	                .gb = 1 },
	[MYSQL] = { .name = "mysql",
	            .operation = "mysql/DbBackups/ListBackups",
	            .by_database = "dbSystemId",
	            .database_id = "dbSystemId",
	            .type = "backupType",
	            .started = "timeCreated",
	            .ended = "timeUpdated",
	            .size = "backupSizeInGBs",
	            .gb = 1 },
};

struct source {
	struct tool_ask *ask;
	const struct kind *kind;
};

struct state {
	struct tool_ask *databases; /* of a DB system; or a MySQL DB system */
	struct source sources[BACKUPS_DATABASES_MAX];
	size_t n_sources;
};

/* A backup among those of other kinds. */
struct entry {
	struct span item, time;
	const struct kind *kind;
};

static struct tool_ask *ask_list(struct tool_run *run, const struct kind *kind)
{
	struct tool_ask *ask = tool_ask(run, kind->operation);

	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_optional(ask);
	return ask;
}

struct tool_ask *backups_ask(struct tool_run *run, struct span database)
{
	struct tool_ask *ask = ask_list(run, &kinds[AUTONOMOUS]);

	tool_ask_query(ask, kinds[AUTONOMOUS].by_database, database);
	return ask;
}

static struct tool_ask *add_source(struct tool_run *run, struct state *state,
                                   const struct kind *kind)
{
	struct tool_ask *ask = ask_list(run, kind);

	assert(state->n_sources < ARRAY_LEN(state->sources));
	state->sources[state->n_sources++] =
		(struct source){ .ask = ask, .kind = kind };
	return ask;
}

/* --- asking --------------------------------------------------------------- */

/* Backups are by database: those of the DB system come first. */
static void ask_databases(struct tool_run *run, struct state *state,
                          struct span id)
{
	state->databases = tool_ask(run, "database/Database/GetDbSystem");
	tool_ask_path(state->databases, "dbSystemId", id);
}

static void ask_one(struct tool_run *run, struct state *state, struct span id)
{
	if (ocid_is(id, SPAN("autonomousdatabase"))) {
		tool_ask_query(add_source(run, state, &kinds[AUTONOMOUS]),
		               "autonomousDatabaseId", id);
	} else if (ocid_is(id, SPAN("database"))) {
		tool_ask_query(add_source(run, state, &kinds[DB_SYSTEM]),
		               "databaseId", id);
	} else if (ocid_is(id, SPAN("mysqldbsystem"))) {
		state->databases = tool_ask(run, "mysql/DbSystem/GetDbSystem");
		tool_ask_path(state->databases, "dbSystemId", id);
	} else {
		ask_databases(run, state, id);
	}
}

static void ask_compartment(struct tool_run *run, struct state *state)
{
	struct span type = tool_text(run, "database_type");

	for (size_t i = 0; i < KINDS; i++)
		if (span_is(type, "all") || span_is(type, kinds[i].name))
			tool_ask_query(add_source(run, state, &kinds[i]),
			               "compartmentId", tool_compartment(run));
}

/* --- the databases of a DB system ----------------------------------------- */

static void ask_mysql(struct tool_run *run, struct state *state,
                      struct span system)
{
	struct tool_ask *ask = add_source(run, state, &kinds[MYSQL]);

	tool_ask_query(ask, "compartmentId",
	               path_text(run, system, "compartmentId"));
	tool_ask_query(ask, "dbSystemId", path_text(run, system, "id"));
}

static void ask_system(struct tool_run *run, struct state *state,
                       struct span system)
{
	state->databases = tool_ask(run, "database/Database/ListDatabases");
	tool_ask_query(state->databases, "compartmentId",
	               path_text(run, system, "compartmentId"));
	tool_ask_query(state->databases, "systemId",
	               path_text(run, system, "id"));
	tool_ask_items(state->databases, BACKUPS_DATABASES_MAX);
}

static void ask_each(struct tool_run *run, struct state *state)
{
	struct value_iter it =
		path_items(tool_ask_answer(state->databases), "");
	struct span database;

	while (state->n_sources < BACKUPS_DATABASES_MAX &&
	       value_array_next(&it, &database))
		tool_ask_query(add_source(run, state, &kinds[DB_SYSTEM]),
		               "databaseId", path_text(run, database, "id"));
}

/* --- answers -------------------------------------------------------------- */

static int newer_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return -span_cmp(x->time, y->time);
}

static struct entry *gather(struct tool_run *run, const struct state *state,
                            size_t *n)
{
	size_t max = 0;
	struct entry *entries;
	struct span item;

	for (size_t i = 0; i < state->n_sources; i++)
		max += path_count(tool_ask_answer(state->sources[i].ask), "");
	max = MIN(max, (size_t)TOOL_ITEMS_MAX);
	entries = tool_alloc(run, max * sizeof(*entries) + 1);
	*n = 0;
	for (size_t i = 0; i < state->n_sources; i++) {
		const struct source *source = &state->sources[i];
		struct value_iter it =
			path_items(tool_ask_answer(source->ask), "");

		while (*n < max && value_array_next(&it, &item))
			entries[(*n)++] = (struct entry){
				.item = item,
				.kind = source->kind,
				.time = path_text(run, item,
				                  source->kind->started),
			};
	}
	qsort(entries, *n, sizeof(*entries), newer_first);
	return entries;
}

/* Sizes of Autonomous Databases stand in one of two members. */
static void write_size(struct output *o, const struct entry *e)
{
	double size = path_number(e->item, e->kind->size, -1);

	if (size < 0 && e->kind == &kinds[AUTONOMOUS])
		size = path_number(e->item, "databaseSizeInTBs", -1);
	if (size < 0)
		output_null(o, "database_size_in_gbs");
	else
		output_number(o, "database_size_in_gbs", size * e->kind->gb, 2);
}

static void write_entry(void *context, struct output *o, struct span item)
{
	/* The items are spans over entries: see write_all(). */
	const struct entry *e = (const struct entry *)(const void *)item.at;

	(void)context;
	output_object(o, NULL);
	output_path(o, "id", e->item, "id");
	output_path(o, "database_id", e->item, e->kind->database_id);
	output_string(o, "database_type", e->kind->name);
	output_path(o, "display_name", e->item, "displayName");
	output_path(o, "type", e->item, e->kind->type);
	output_path(o, "lifecycle_state", e->item, "lifecycleState");
	write_size(o, e);
	output_path(o, "time_started", e->item, e->kind->started);
	output_path(o, "time_ended", e->item, e->kind->ended);
	output_end(o);
}

static bool is_complete(const struct state *state)
{
	for (size_t i = 0; i < state->n_sources; i++)
		if (!tool_ask_ok(state->sources[i].ask) ||
		    tool_ask_more(state->sources[i].ask))
			return false;
	return true;
}

static void write_errors(struct output *o, const struct state *state)
{
	output_array(o, "errors");
	for (size_t i = 0; i < state->n_sources; i++)
		if (!tool_ask_ok(state->sources[i].ask))
			output_text(o, NULL,
			            tool_ask_error(state->sources[i].ask));
	output_end(o);
}

static void write_all(struct tool_run *run, const struct state *state)
{
	size_t n;
	struct entry *entries = gather(run, state, &n);
	struct span *items = tool_alloc(run, n * sizeof(*items) + 1);
	struct output o;

	for (size_t i = 0; i < n; i++)
		items[i] = span_of(&entries[i], sizeof(entries[i]));
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	listing_write(run, &o,
	              &(struct listing){
			      .key = "items",
			      .complete = is_complete(state),
			      .write = write_entry,
		      },
	              items, n);
	if (!is_complete(state))
		write_errors(&o, state);
	output_end(&o);
}

/* One list that cannot be read is told, but all of them are a failure. */
static bool fail_if_nothing(struct tool_run *run, const struct state *state)
{
	for (size_t i = 0; i < state->n_sources; i++)
		if (tool_ask_ok(state->sources[i].ask))
			return false;
	if (state->n_sources == 0)
		return false;
	tool_fail_ask(run, state->sources[0].ask);
	return true;
}

static enum tool_next list_backups(struct tool_run *run)
{
	struct state *state = tool_state(run);
	struct span id = tool_text(run, "database_id");

	if (tool_phase(run) == 0) {
		if (id.len)
			ask_one(run, state, id);
		else
			ask_compartment(run, state);
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 1 && state->databases) {
		struct span system = tool_ask_answer(state->databases);

		if (ocid_is(id, SPAN("mysqldbsystem")))
			ask_mysql(run, state, system);
		else
			ask_system(run, state, system);
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 2 && state->n_sources == 0) {
		ask_each(run, state);
		if (state->n_sources)
			return TOOL_WAIT;
	}
	if (!fail_if_nothing(run, state))
		write_all(run, state);
	return TOOL_DONE;
}

const struct tool_function backups_functions[] = {
	{ .name = "database_list_backups",
	  .step = list_backups,
	  .state_bytes = sizeof(struct state) },
};
const size_t backups_n_functions = ARRAY_LEN(backups_functions);
