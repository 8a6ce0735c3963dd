#include "oci/iam.h"

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/when.h"

/* --- lists ---------------------------------------------------------------- */

static const struct listing_field user_fields[] = {
	{ "id", "id" },
	{ "name", "name" },
	{ "email", "email" },
	{ "lifecycle_state", "lifecycleState" },
	{ "time_created", "timeCreated" },
	{ "description", "description" },
	{ "is_mfa_activated", "isMfaActivated" },
	{ "last_successful_login_time", "lastSuccessfulLoginTime" },
};

static const struct listing_field group_fields[] = {
	{ "id", "id" },
	{ "name", "name" },
	{ "description", "description" },
	{ "lifecycle_state", "lifecycleState" },
	{ "time_created", "timeCreated" },
};

static const struct listing_field policy_fields[] = {
	{ "id", "id" },
	{ "name", "name" },
	{ "description", "description" },
	{ "statements", "statements" },
	{ "lifecycle_state", "lifecycleState" },
	{ "time_created", "timeCreated" },
};

/* What can be listed. */
struct kind {
	const char *operation;
	const char *key;
	const struct listing_field *fields;
	size_t n_fields;
};

static const struct kind users = { "identity/Identity/ListUsers", "users",
	                           user_fields, ARRAY_LEN(user_fields) };
static const struct kind groups = { "identity/Identity/ListGroups", "groups",
	                            group_fields, ARRAY_LEN(group_fields) };
static const struct kind policies = { "identity/Identity/ListPolicies",
	                              "policies", policy_fields,
	                              ARRAY_LEN(policy_fields) };

struct list_state {
	struct tool_ask *items, *compartment;
};

/* What matches() and write() need. */
struct list_context {
	struct tool_run *run;
	const struct kind *kind;
	struct span name_contains;
};

static bool matches(void *context, struct span item)
{
	struct list_context *c = context;

	return listing_contains(path_text(c->run, item, "name"),
	                        c->name_contains);
}

static void write_item(void *context, struct output *o, struct span item)
{
	struct list_context *c = context;

	output_object(o, NULL);
	listing_fields(o, item, c->kind->fields, c->kind->n_fields);
	output_end(o);
}

/* IAM resources live in the tenancy unless the call says otherwise: a
 * compartment that is configured for instances has no users. */
static struct span where(struct tool_run *run)
{
	struct span given = tool_text(run, "compartment_id");

	return given.len ? given : tool_tenancy(run);
}

static void ask_list(struct tool_run *run, const struct kind *kind,
                     struct list_state *state)
{
	state->items = tool_ask(run, kind->operation);
	tool_ask_query(state->items, "compartmentId", where(run));
	tool_ask_query(state->items, "lifecycleState",
	               tool_text(run, "lifecycle_state"));
	tool_ask_items(state->items, TOOL_ITEMS_MAX);
	state->compartment = tool_ask(run, "identity/Identity/GetCompartment");
	tool_ask_path(state->compartment, "compartmentId", where(run));
	tool_ask_cache(state->compartment, "config");
	tool_ask_optional(state->compartment);
}

static enum tool_next list(struct tool_run *run, const struct kind *kind)
{
	struct list_state *state = tool_state(run);
	struct list_context context = {
		.run = run,
		.kind = kind,
		.name_contains = tool_text(run, "name_contains"),
	};
	const struct span *items;
	struct output o;
	size_t n;

	if (tool_phase(run) == 0) {
		ask_list(run, kind, state);
		return TOOL_WAIT;
	}
	items = listing_items(run, tool_ask_answer(state->items), &n);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_path(&o, "compartment_name", tool_ask_answer(state->compartment),
	            "name");
	listing_write(run, &o,
	              &(struct listing){
			      .key = kind->key,
			      .complete = !tool_ask_more(state->items),
			      .matches = matches,
			      .write = write_item,
			      .context = &context,
		      },
	              items, n);
	output_end(&o);
	return TOOL_DONE;
}

static enum tool_next list_users(struct tool_run *run)
{
	return list(run, &users);
}

static enum tool_next list_groups(struct tool_run *run)
{
	return list(run, &groups);
}

static enum tool_next list_policies(struct tool_run *run)
{
	return list(run, &policies);
}

/* --- one user ------------------------------------------------------------- */

struct user_state {
	struct tool_ask *user, *memberships, *keys;
	struct tool_ask *groups[IAM_GROUPS_MAX];
	size_t n_groups;
};

static void ask_user(struct tool_run *run, struct user_state *state)
{
	struct span id = tool_text(run, "user_id");

	state->user = tool_ask(run, "identity/Identity/GetUser");
	tool_ask_path(state->user, "userId", id);
	if (tool_flag(run, "include_groups")) {
		state->memberships = tool_ask(
			run, "identity/Identity/ListUserGroupMemberships");
		tool_ask_query(state->memberships, "compartmentId",
		               tool_tenancy(run));
		tool_ask_query(state->memberships, "userId", id);
		tool_ask_items(state->memberships, TOOL_ITEMS_MAX);
	}
	if (tool_flag(run, "include_api_keys")) {
		state->keys = tool_ask(run, "identity/Identity/ListApiKeys");
		tool_ask_path(state->keys, "userId", id);
	}
}

/* The names of the groups. */
static void ask_groups(struct tool_run *run, struct user_state *state)
{
	struct value_iter it =
		path_items(tool_ask_answer(state->memberships), "");
	struct span membership;

	while (state->n_groups < IAM_GROUPS_MAX &&
	       value_array_next(&it, &membership)) {
		struct tool_ask *ask =
			tool_ask(run, "identity/Identity/GetGroup");

		tool_ask_path(ask, "groupId",
		              path_text(run, membership, "groupId"));
		tool_ask_cache(ask, "config");
		tool_ask_optional(ask);
		state->groups[state->n_groups++] = ask;
	}
}

static void write_groups(struct output *o, const struct user_state *state)
{
	struct value_iter it =
		path_items(tool_ask_answer(state->memberships), "");
	struct span membership;

	output_array(o, "groups");
	for (size_t i = 0; value_array_next(&it, &membership); i++) {
		struct span group = SPAN("");

		if (i < state->n_groups)
			group = tool_ask_answer(state->groups[i]);
		output_object(o, NULL);
		output_path(o, "id", membership, "groupId");
		output_path(o, "name", group, "name");
		output_end(o);
	}
	output_end(o);
}

static void write_keys(struct tool_run *run, struct output *o,
                       struct span answer)
{
	static const struct listing_field fields[] = {
		{ "key_id", "keyId" },
		{ "fingerprint", "fingerprint" },
		{ "lifecycle_state", "lifecycleState" },
		{ "time_created", "timeCreated" },
	};
	struct value_iter it = path_items(answer, "");
	struct span key;

	output_array(o, "api_keys");
	while (value_array_next(&it, &key)) {
		int64_t made;

		output_object(o, NULL);
		listing_fields(o, key, fields, ARRAY_LEN(fields));
		if (when_parse(path_text(run, key, "timeCreated"), &made))
			output_integer(o, "age_days",
			               (tool_now_s(run) - made) / WHEN_DAY_S);
		else
			output_null(o, "age_days");
		output_end(o);
	}
	output_end(o);
}

static void write_user(struct tool_run *run, const struct user_state *state)
{
	struct span user = tool_ask_answer(state->user);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_object(&o, "user");
	listing_fields(&o, user, user_fields, ARRAY_LEN(user_fields));
	output_path(&o, "compartment_id", user, "compartmentId");
	output_path(&o, "capabilities", user, "capabilities");
	output_end(&o);
	if (state->memberships)
		write_groups(&o, state);
	if (state->keys)
		write_keys(run, &o, tool_ask_answer(state->keys));
	output_end(&o);
}

static enum tool_next get_user(struct tool_run *run)
{
	struct user_state *state = tool_state(run);

	if (tool_phase(run) == 0) {
		ask_user(run, state);
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 1 && state->memberships) {
		ask_groups(run, state);
		if (state->n_groups)
			return TOOL_WAIT;
	}
	write_user(run, state);
	return TOOL_DONE;
}

const struct tool_function iam_functions[] = {
	{ .name = "security_list_users",
	  .step = list_users,
	  .state_bytes = sizeof(struct list_state) },
	{ .name = "security_list_groups",
	  .step = list_groups,
	  .state_bytes = sizeof(struct list_state) },
	{ .name = "security_list_policies",
	  .step = list_policies,
	  .state_bytes = sizeof(struct list_state) },
	{ .name = "security_get_user",
	  .step = get_user,
	  .state_bytes = sizeof(struct user_state) },
};
const size_t iam_n_functions = ARRAY_LEN(iam_functions);
