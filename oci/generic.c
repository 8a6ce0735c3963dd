#include "oci/generic.h"

#include <stdio.h>
#include <string.h>

#include "lib/value.h"
#include "oci/model.h"
#include "oci/operation.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/runner.h"

#define DOCUMENTATION "https://docs.oracle.com/iaas/api/#/en/"
#define VALUE_MAX     4096 /* bytes of a parameter's value */

/* --- which operation -------------------------------------------------------
 */

/* The operation that the argument names; NULL after tool_fail(). */
static const struct operation *named(struct tool_run *run)
{
	struct span name = tool_text(run, "operation");
	const struct operation *op = operation_find(name), *near[5];
	struct buf text = { .max = 1024 };
	size_t n;

	if (op)
		return op;
	n = operation_nearest(name, near);
	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%s%.*s", i ? ", " : "",
		         SPAN_ARG(operation_id(near[i])));
	tool_fail(run, TOOL_NOT_FOUND,
	          "Find it with oci_search_operations; its id looks like "
	          "core/Compute/ListInstances.",
	          "there is no operation \"%.*s\"%s%.*s",
	          SPAN_ARG(span_first(name, 120)),
	          n ? "; did you mean one of: " : "",
	          SPAN_ARG(buf_span(&text)));
	buf_free(&text);
	return NULL;
}

static void put_summary(struct output *o, const struct operation *op)
{
	output_text(o, "operation", operation_id(op));
	output_string(o, "method", operation_method_name(operation_method(op)));
	output_format(o, "path", "%.*s%.*s", SPAN_ARG(operation_base(op)),
	              SPAN_ARG(operation_path(op)));
	output_flag(o, "read_only", operation_is_read_only(op));
	output_flag(o, "destructive", operation_is_destructive(op));
}

static void put_required(struct output *o, const struct operation *op)
{
	struct operation_parameter p;

	output_array(o, "required");
	for (size_t i = 0; i < operation_parameters(op); i++) {
		operation_parameter(op, i, &p);
		if (p.required)
			output_text(o, NULL, p.name);
	}
	if (operation_body_required(op))
		output_string(o, NULL, "body");
	output_end(o);
}

/* --- oci_search_operations -------------------------------------------------
 */

static enum tool_next search_operations(struct tool_run *run)
{
	const struct operation *found[OPERATION_RESULTS_MAX];
	struct span method = tool_text(run, "method");
	struct operation_filter filter = {
		.service = tool_text(run, "service"),
		.method = method.len ? tool_keep(run, method).at : NULL,
		.read_only = tool_flag(run, "read_only"),
	};
	size_t limit = (size_t)tool_integer(run, "limit", 10), total = 0;
	size_t n = operation_search(tool_text(run, "query"), &filter,
	                            MIN(limit, (size_t)OPERATION_RESULTS_MAX),
	                            found, &total);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "query", tool_text(run, "query"));
	output_integer(&o, "total", (int64_t)total);
	output_integer(&o, "count", (int64_t)n);
	output_array(&o, "operations");
	for (size_t i = 0; i < n; i++) {
		output_object(&o, NULL);
		put_summary(&o, found[i]);
		put_required(&o, found[i]);
		output_end(&o);
	}
	output_end(&o);
	output_end(&o);
	return TOOL_DONE;
}

/* --- oci_describe_operation ------------------------------------------------
 */

static void put_parameter(struct output *o, const struct operation_parameter *p)
{
	static const char *const places[] = {
		[OPERATION_IN_PATH] = "path",
		[OPERATION_IN_QUERY] = "query",
		[OPERATION_IN_HEADER] = "header",
	};

	output_object(o, NULL);
	output_text(o, "name", p->name);
	output_string(o, "in", places[p->place]);
	output_string(o, "type", operation_type_name(p->type));
	output_flag(o, "required", p->required);
	output_flag(o, "list", p->list);
	if (p->values) {
		output_array(o, "enum");
		for (size_t i = 0; i < p->values; i++)
			output_text(o, NULL, operation_value(p, i));
		output_end(o);
	}
	output_end(o);
}

static void put_body(struct tool_run *run, struct output *o,
                     const struct operation *op)
{
	unsigned depth = (unsigned)tool_integer(run, "depth", GENERIC_DEPTH);
	struct buf schema = { .max = 2 * MODEL_DESCRIBE_MAX };

	if (operation_body(op).len == 0) {
		output_null(o, "body");
		return;
	}
	output_object(o, "body");
	output_text(o, "model", operation_body(op));
	output_flag(o, "required", operation_body_required(op));
	if (model_describe(operation_service(op), operation_body(op), depth,
	                   &schema))
		output_raw(o, "schema", buf_span(&schema));
	output_end(o);
	buf_free(&schema);
}

static void put_answer(struct output *o, const struct operation *op)
{
	static const char *const shapes[] = {
		[OPERATION_NOTHING] = "nothing",
		[OPERATION_SINGLE] = "object",
		[OPERATION_LIST] = "list",
		[OPERATION_COLLECTION] = "list",
		[OPERATION_TEXT] = "string",
		[OPERATION_STREAM] = "bytes",
	};

	output_object(o, "response");
	output_text_or_null(o, "model", operation_response(op));
	output_string(o, "shape", shapes[operation_shape(op)]);
	output_flag(o, "pages", operation_is_paged(op));
	output_flag(o, "work_request", operation_gives_work_request(op));
	output_end(o);
}

static enum tool_next describe_operation(struct tool_run *run)
{
	const struct operation *op = named(run);
	struct operation_parameter p;
	struct output o;

	if (!op)
		return TOOL_DONE;
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	put_summary(&o, op);
	output_flag(&o, "secret", operation_is_secret(op));
	output_text(&o, "service", operation_service(op));
	if (operation_reference(op).len)
		output_format(&o, "documentation", DOCUMENTATION "%.*s/%.*s",
		              SPAN_ARG(operation_reference(op)),
		              SPAN_ARG(operation_name(op)));
	output_array(&o, "parameters");
	for (size_t i = 0; i < operation_parameters(op); i++) {
		operation_parameter(op, i, &p);
		put_parameter(&o, &p);
	}
	output_end(&o);
	put_body(run, &o, op);
	put_answer(&o, op);
	output_end(&o);
	return TOOL_DONE;
}

/* --- oci_call_operation: the request ---------------------------------------
 */

struct called {
	const struct operation *op;
	struct tool_ask *ask;
	int64_t limit, offset;
};

/* What a value is as text: strings as they mean, the rest as it stands. */
static struct span text_of(struct tool_run *run, struct span raw)
{
	return value_type(raw) == VALUE_STRING ? path_means(run, raw) : raw;
}

static bool is_one_value(struct span raw)
{
	switch (value_type(raw)) {
	case VALUE_STRING:
	case VALUE_NUMBER:
	case VALUE_TRUE:
	case VALUE_FALSE:
		return true;
	default:
		return false;
	}
}

/* The text of one value; false after tool_fail(). */
static bool check_value(struct tool_run *run,
                        const struct operation_parameter *p, struct span raw,
                        struct span *text)
{
	const struct called *c = tool_state(run);
	char why[OPERATION_WHY_MAX];

	*text = text_of(run, raw);
	if (!is_one_value(raw))
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "parameters.%.*s must be one value, or a list of "
		          "such",
		          SPAN_ARG(p->name));
	else if (text->len > VALUE_MAX)
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "parameters.%.*s is longer than %d bytes",
		          SPAN_ARG(p->name), VALUE_MAX);
	else if (!operation_check_parameter(c->op, p->name, *text, why))
		tool_fail(run, TOOL_VALIDATION, NULL, "%s", why);
	else
		return true;
	return false;
}

static void put_text(struct tool_ask *ask, const struct operation_parameter *p,
                     struct span text)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", SPAN_ARG(p->name));
	switch (p->place) {
	case OPERATION_IN_PATH:
		tool_ask_path(ask, name, text);
		break;
	case OPERATION_IN_QUERY:
		tool_ask_query(ask, name, text);
		break;
	case OPERATION_IN_HEADER:
		tool_ask_header(ask, name, text);
		break;
	}
}

static bool put_value(struct tool_run *run, struct tool_ask *ask,
                      const struct operation_parameter *p, struct span raw)
{
	struct span text;

	if (!check_value(run, p, raw, &text))
		return false;
	put_text(ask, p, text);
	return true;
}

/* Several values: the name repeated, or joined with commas. */
static bool put_values(struct tool_run *run, struct tool_ask *ask,
                       const struct operation_parameter *p, struct span raw)
{
	struct buf joined = { .max = VALUE_MAX };
	struct value_iter it;
	struct span item, text;
	bool good = true;

	value_iter_init(&it, raw);
	if (!p->joined) {
		while (good && value_array_next(&it, &item))
			good = put_value(run, ask, p, item);
		return good;
	}
	while (good && value_array_next(&it, &item)) {
		good = check_value(run, p, item, &text);
		if (joined.len)
			buf_putc(&joined, ',');
		if (good)
			buf_add_span(&joined, text);
	}
	if (good && buf_err(&joined) < 0) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "parameters.%.*s is longer than %d bytes",
		          SPAN_ARG(p->name), VALUE_MAX);
		good = false;
	}
	if (good && joined.len)
		put_text(ask, p, buf_span(&joined));
	buf_free(&joined);
	return good;
}

static bool refuse_unknown(struct tool_run *run, struct span name)
{
	const struct called *c = tool_state(run);
	struct buf known = { .max = 1024 };
	struct operation_parameter p;

	for (size_t i = 0; i < operation_parameters(c->op); i++) {
		operation_parameter(c->op, i, &p);
		buf_addf(&known, "%s%.*s", i ? ", " : "", SPAN_ARG(p.name));
	}
	tool_fail(run, TOOL_VALIDATION,
	          "oci_describe_operation says what each of them takes.",
	          "%.*s has no parameter \"%.*s\"%s%.*s",
	          SPAN_ARG(operation_id(c->op)), SPAN_ARG(span_first(name, 80)),
	          known.len ? "; it has: " : "; it has none",
	          SPAN_ARG(buf_span(&known)));
	buf_free(&known);
	return false;
}

/* Pages are followed here, with limit and offset of the tool. */
static bool is_ours(struct span name)
{
	return span_is(name, "page") || span_is(name, "limit");
}

static bool put_parameters(struct tool_run *run, struct tool_ask *ask)
{
	const struct called *c = tool_state(run);
	struct span given = tool_raw(run, "parameters"), key, raw;
	struct operation_parameter p;
	struct value_iter it;

	if (given.len == 0)
		return true;
	value_iter_init(&it, given);
	while (value_object_next(&it, &key, &raw)) {
		struct span name = path_means(run, key);
		bool good;

		if (value_type(raw) == VALUE_NULL)
			continue;
		if (is_ours(name) || !operation_parameter_find(c->op, name, &p))
			return refuse_unknown(run, name);
		if (value_type(raw) == VALUE_OBJECT ||
		    (value_type(raw) == VALUE_ARRAY && !p.list)) {
			tool_fail(run, TOOL_VALIDATION, NULL,
			          "parameters.%.*s must be one value",
			          SPAN_ARG(name));
			return false;
		}
		good = value_type(raw) == VALUE_ARRAY
		               ? put_values(run, ask, &p, raw)
		               : put_value(run, ask, &p, raw);
		if (!good)
			return false;
	}
	return true;
}

/* Everything required is there; a compartment can be the usual one. */
static bool put_defaults(struct tool_run *run, struct tool_ask *ask)
{
	const struct called *c = tool_state(run);
	struct span given = tool_raw(run, "parameters");
	struct operation_parameter p;

	for (size_t i = 0; i < operation_parameters(c->op); i++) {
		operation_parameter(c->op, i, &p);
		if (!p.required || is_ours(p.name) ||
		    path_has(given, tool_keep(run, p.name).at))
			continue;
		if (span_is(p.name, "compartmentId") &&
		    p.place == OPERATION_IN_QUERY) {
			tool_ask_query(ask, "compartmentId",
			               tool_compartment(run));
			continue;
		}
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "%.*s needs parameters.%.*s",
		          SPAN_ARG(operation_id(c->op)), SPAN_ARG(p.name));
		return false;
	}
	return true;
}

static bool put_request_body(struct tool_run *run, struct tool_ask *ask)
{
	const struct called *c = tool_state(run);
	struct span body = tool_raw(run, "body");
	struct span model = operation_body(c->op);
	struct model_fault why;

	if (body.len == 0) {
		if (operation_body_required(c->op))
			tool_fail(run, TOOL_VALIDATION,
			          "oci_describe_operation shows its schema.",
			          "%.*s needs \"body\", a %.*s",
			          SPAN_ARG(operation_id(c->op)),
			          SPAN_ARG(model));
		return !operation_body_required(c->op);
	}
	if (model.len == 0) {
		tool_fail(run, TOOL_VALIDATION, NULL, "%.*s takes no body",
		          SPAN_ARG(operation_id(c->op)));
		return false;
	}
	if (span_is(model, "stream")) {
		tool_fail(run, TOOL_VALIDATION,
		          "Use a client of the service for uploads.",
		          "the body of %.*s is no JSON: it cannot be sent "
		          "with this tool",
		          SPAN_ARG(operation_id(c->op)));
		return false;
	}
	if (!model_check(operation_service(c->op), model, body, &why)) {
		tool_fail(run, TOOL_VALIDATION,
		          "oci_describe_operation shows its schema.",
		          "body%s%s: %s", why.path[0] ? "." : "", why.path,
		          why.text);
		return false;
	}
	buf_add_span(tool_ask_body(ask), body);
	return true;
}

/* Is there a resource in the path? Then the request does not say where that
 * is: a compartment in its body is where it is to go. */
static bool names_resource(const struct operation *op)
{
	struct span id = SPAN("Id");
	struct operation_parameter p;

	for (size_t i = 0; i < operation_parameters(op); i++) {
		operation_parameter(op, i, &p);
		if (p.place == OPERATION_IN_PATH && p.name.len > id.len &&
		    span_eq(span_from(p.name, p.name.len - id.len), id))
			return true;
	}
	return false;
}

/* The one compartment in an object; empty when there are none, or several and
 * the service may take another than we do. */
static struct span only_compartment(struct tool_run *run, struct span object)
{
	struct span found = span_of(NULL, 0), key, raw;
	struct value_iter it;

	if (value_type(object) != VALUE_OBJECT)
		return found;
	value_iter_init(&it, object);
	while (value_object_next(&it, &key, &raw)) {
		if (!value_string_eq(key, SPAN("compartmentId")))
			continue;
		if (found.len)
			return span_of(NULL, 0);
		found = path_means(run, raw);
	}
	return found;
}

/* Where it would change something, as far as the request says that. */
static struct span changed_compartment(struct tool_run *run,
                                       const struct operation *op)
{
	struct span body = tool_raw(run, "body");

	if (names_resource(op))
		return span_of(NULL, 0);
	if (path_has(body, "compartmentId"))
		return only_compartment(run, body);
	return only_compartment(run, tool_raw(run, "parameters"));
}

static bool may_call(struct tool_run *run, const struct operation *op)
{
	if (operation_is_secret(op)) {
		tool_fail(run, TOOL_AUTHORIZATION,
		          "Use Oracle's own client for it.",
		          "%.*s hands out secrets or the contents of files: "
		          "this server does not pass those to a model",
		          SPAN_ARG(operation_id(op)));
		return false;
	}
	return operation_is_read_only(op) ||
	       tool_may_change(run, changed_compartment(run, op),
	                       operation_is_destructive(op));
}

static void put_dry(struct tool_run *run, const struct called *c)
{
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "operation", operation_id(c->op));
	output_flag(&o, "dry_run", true);
	output_string(&o, "method",
	              operation_method_name(operation_method(c->op)));
	output_format(&o, "path", "%.*s%.*s", SPAN_ARG(operation_base(c->op)),
	              SPAN_ARG(operation_path(c->op)));
	output_string(
		&o, "message",
		"Nothing was sent. The request is valid for the "
		"catalogue; whether the service accepts it is not known.");
	output_raw(&o, "parameters", tool_raw(run, "parameters"));
	output_raw(&o, "body", tool_raw(run, "body"));
	output_end(&o);
}

static bool is_list(const struct operation *op)
{
	return operation_shape(op) == OPERATION_LIST ||
	       operation_shape(op) == OPERATION_COLLECTION ||
	       operation_is_paged(op);
}

static enum tool_next begin_call(struct tool_run *run)
{
	struct called *c = tool_state(run);

	c->op = named(run);
	if (!c->op || !may_call(run, c->op))
		return TOOL_DONE;
	c->limit = tool_integer(run, "limit", 20);
	c->offset = tool_integer(run, "offset", 0);
	c->ask = tool_ask(run, tool_keep(run, operation_id(c->op)).at);
	tool_ask_endpoint(c->ask, tool_text(run, "endpoint"));
	if (!put_parameters(run, c->ask) || !put_defaults(run, c->ask) ||
	    !put_request_body(run, c->ask))
		return TOOL_DONE;
	if (tool_is_dry(run)) {
		put_dry(run, c);
		return TOOL_DONE;
	}
	if (is_list(c->op))
		tool_ask_items(c->ask, (size_t)(c->offset + c->limit + 1));
	return TOOL_WAIT;
}

/* --- oci_call_operation: the answer ----------------------------------------
 */

static void put_items(struct tool_run *run, struct output *o,
                      const struct called *c)
{
	struct value_iter it = path_items(tool_ask_answer(c->ask), "");
	int64_t at = 0, shown = 0;
	bool more = tool_ask_more(c->ask), cut = false;
	struct span item;

	output_array(o, "items");
	while (value_array_next(&it, &item)) {
		if (at++ < c->offset)
			continue;
		if (shown == c->limit) {
			more = true;
			break;
		}
		if (tool_out(run)->len + item.len > GENERIC_ANSWER_MAX &&
		    shown) {
			more = cut = true;
			break;
		}
		output_raw(o, NULL, item);
		shown++;
	}
	output_end(o);
	output_integer(o, "count", shown);
	output_integer(o, "offset", c->offset);
	output_flag(o, "has_more", more);
	if (more)
		output_integer(o, "next_offset", c->offset + shown);
	else
		output_null(o, "next_offset");
	if (cut)
		output_flag(o, "truncated", true);
}

/* One object that is too large is shown by its beginning. */
static void put_data(struct output *o, struct span data)
{
	if (data.len <= GENERIC_ANSWER_MAX) {
		output_raw(o, "data", data);
		return;
	}
	output_text(o, "data_beginning", span_first(data, GENERIC_ANSWER_MAX));
	output_integer(o, "data_bytes", (int64_t)data.len);
	output_flag(o, "truncated", true);
}

static enum tool_next end_call(struct tool_run *run)
{
	const struct called *c = tool_state(run);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "operation", operation_id(c->op));
	output_integer(&o, "status", tool_ask_status(c->ask));
	output_text_or_null(&o, "opc_request_id",
	                    tool_ask_field(c->ask, "opc-request-id"));
	output_text_or_null(&o, "etag", tool_ask_field(c->ask, "etag"));
	output_text_or_null(&o, "work_request_id",
	                    tool_ask_field(c->ask, "opc-work-request-id"));
	if (is_list(c->op))
		put_items(run, &o, c);
	else
		put_data(&o, tool_ask_answer(c->ask));
	output_end(&o);
	return TOOL_DONE;
}

static enum tool_next call_operation(struct tool_run *run)
{
	return tool_phase(run) == 0 ? begin_call(run) : end_call(run);
}

const struct tool_function generic_functions[] = {
	{ "search_operations", search_operations, 0, true },
	{ "describe_operation", describe_operation, 0, true },
	{ "call_operation", call_operation, sizeof(struct called), false },
};
const size_t generic_n_functions = ARRAY_LEN(generic_functions);
