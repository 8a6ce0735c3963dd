#include "oci/objects.h"

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"

struct state {
	struct tool_ask *namespace, *list;
	struct span name; /* of the namespace */
};

static void ask_object(struct tool_run *run, struct state *state)
{
	struct tool_ask *ask =
		tool_ask(run, "object_storage/ObjectStorage/ListObjects");

	state->name = path_means(run, tool_ask_answer(state->namespace));
	tool_ask_path(ask, "namespaceName", state->name);
	tool_ask_path(ask, "bucketName", tool_text(run, "bucket_name"));
	/* An object comes before every other that begins with its name. */
	tool_ask_query(ask, "prefix", tool_text(run, "object_name"));
	tool_ask_query(ask, "limit", SPAN("1"));
	tool_ask_query(ask, "fields",
	               SPAN("name,size,etag,md5,timeCreated,timeModified,"
	                    "storageTier,archivalState"));
	state->list = ask;
}

static void write_object(struct tool_run *run, const struct state *state,
                         struct span object)
{
	static const struct listing_field fields[] = {
		{ "size", "size" },
		{ "etag", "etag" },
		{ "content_md5", "md5" },
		{ "storage_tier", "storageTier" },
		{ "archival_state", "archivalState" },
		{ "time_created", "timeCreated" },
		{ "last_modified", "timeModified" },
	};
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "namespace", state->name);
	output_raw(&o, "bucket_name", tool_raw(run, "bucket_name"));
	output_raw(&o, "object_name", tool_raw(run, "object_name"));
	listing_fields(&o, object, fields, ARRAY_LEN(fields));
	output_end(&o);
}

static enum tool_next head_object(struct tool_run *run)
{
	struct state *state = tool_state(run);
	struct span object;

	if (tool_phase(run) == 0) {
		state->namespace = tool_ask(
			run, "object_storage/ObjectStorage/GetNamespace");
		tool_ask_cache(state->namespace, "static");
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 1) {
		ask_object(run, state);
		return TOOL_WAIT;
	}
	object = path_get(tool_ask_answer(state->list), "objects[0]");
	if (!span_eq(path_text(run, object, "name"),
	             tool_text(run, "object_name")))
		tool_fail(run, TOOL_NOT_FOUND,
		          "oci_objectstorage_list_objects lists the names; "
		          "they are case-sensitive.",
		          "the bucket has no object of this name");
	else
		write_object(run, state, object);
	return TOOL_DONE;
}

const struct tool_function objects_functions[] = {
	{ .name = "objectstorage_head_object",
	  .step = head_object,
	  .state_bytes = sizeof(struct state) },
};
const size_t objects_n_functions = ARRAY_LEN(objects_functions);
