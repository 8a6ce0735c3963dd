#include "proxy/forward.h"

#include "lib/value.h"
#include "lib/version.h"
#include "proxy/extension.h"
#include "proxy/mirror.h"
#include "proxy/task.h"

#define META "io.modelcontextprotocol/"

static bool key_is(struct span key_raw, struct span plain)
{
	return key_raw.len > 2 &&
	       span_eq(span_of(key_raw.at + 1, key_raw.len - 2), plain);
}

/* Members of an object, except those that are named in skip. */
static void add_members(struct buf *out, struct span object, bool *first,
                        const struct span skip[], size_t n_skip)
{
	struct value_iter it;
	struct span key, value;

	value_iter_init(&it, object);
	while (value_object_next(&it, &key, &value)) {
		bool leave = false;

		for (size_t i = 0; i < n_skip; i++)
			leave = leave || key_is(key, skip[i]);
		if (leave)
			continue;
		if (!*first)
			buf_putc(out, ',');
		*first = false;
		buf_add_span(out, key);
		buf_putc(out, ':');
		buf_add_span(out, value);
	}
}

/* Keys of _meta that belong to the hop, and our progress token. */
static const struct span hop_keys[] = {
	{ META "protocolVersion", sizeof(META "protocolVersion") - 1 },
	{ META "clientInfo", sizeof(META "clientInfo") - 1 },
	{ META "clientCapabilities", sizeof(META "clientCapabilities") - 1 },
	{ META "logLevel", sizeof(META "logLevel") - 1 },
	{ "progressToken", 13 },
	{ "traceparent", 11 },
	{ "tracestate", 10 },
};

/* What the client can do through this gateway. */
static void add_capabilities(struct call *c, struct buf *out,
                             const struct message *msg)
{
	static const struct span skip[] = { { "extensions", 10 } };
	struct span declared = value_get(msg->capabilities, skip[0]);
	size_t from = out->len + 1;
	bool first = true;

	buf_putc(out, '{');
	if (msg->era == VIEW_MODERN)
		add_members(out, msg->capabilities, &first, skip,
		            ARRAY_LEN(skip));
	else
		sealed_capabilities(c->abilities & ~EXTENSION_CLIENTS, out);
	c->passes_types =
		extension_forward(c->snap, c->backend, declared,
	                          c->caller.abilities, out->len == from, out);
	buf_putc(out, '}');
}

static void add_modern_meta(struct call *c, const struct message *msg,
                            struct buf *out)
{
	buf_puts(out, "\"" META "protocolVersion\":\"" MESSAGE_MODERN
	              "\",\"" META "clientInfo\":");
	if (msg->era == VIEW_MODERN &&
	    value_type(msg->client_info) == VALUE_OBJECT)
		buf_add_span(out, msg->client_info);
	else
		buf_puts(out, "{\"name\":\"oci-mcp-gateway\",\"version\":"
		              "\"" VERSION "\"}");
	buf_puts(out, ",\"" META "clientCapabilities\":");
	add_capabilities(c, out, msg);
	if (msg->era == VIEW_MODERN && msg->log_level.at) {
		buf_puts(out, ",\"" META "logLevel\":");
		buf_add_span(out, msg->log_level);
	} else if (msg->era == VIEW_LEGACY) {
		buf_puts(out, ",\"" META "logLevel\":\"");
		buf_puts(out, message_level_name(c->log_level));
		buf_putc(out, '"');
	}
}

static void add_meta(struct call *c, const struct message *msg,
                     const struct trace *trace, struct buf *out)
{
	bool first = c->server != VIEW_MODERN;

	buf_puts(out, "\"_meta\":{");
	if (c->server == VIEW_MODERN)
		add_modern_meta(c, msg, out);
	if (c->has_token) {
		buf_puts(out, first ? "" : ",");
		buf_puts(out, "\"progressToken\":");
		buf_add_u64(out, c->number);
		first = false;
	}
	if (msg->meta.len)
		add_members(out, msg->meta, &first, hop_keys,
		            ARRAY_LEN(hop_keys));
	trace_members(trace, &first, out);
	buf_putc(out, '}');
}

static void add_ref(const struct message *msg, const struct route *route,
                    struct buf *out)
{
	static const struct span skip[] = {
		{ "type", 4 },
		{ "name", 4 },
		{ "uri", 3 },
	};
	bool prompt = value_string_eq(value_get(msg->ref, SPAN("type")),
	                              SPAN("ref/prompt"));
	bool first = false;

	buf_addf(out, "\"ref\":{\"type\":\"%s\",\"%s\":",
	         prompt ? "ref/prompt" : "ref/resource",
	         prompt ? "name" : "uri");
	buf_add_json(out, span_of(route->name, route->name_len));
	add_members(out, msg->ref, &first, skip, ARRAY_LEN(skip));
	buf_putc(out, '}');
}

/* Nothing when there is no value. */
static void add_member(struct buf *out, bool *first, const char *name,
                       struct span value)
{
	if (!value.at)
		return;
	buf_addf(out, "%s\"%s\":", *first ? "" : ",", name);
	buf_add_span(out, value);
	*first = false;
}

void forward_message(struct call *c, const struct message *msg,
                     const struct route *route, const struct trace *trace)
{
	/* Of params. They are members like any other where they do not
	 * route. */
	static const struct span targets[] = {
		[WORK_BY_NAME] = { "name", 4 },
		[WORK_BY_URI] = { "uri", 3 },
		[WORK_BY_REF] = { "ref", 3 },
		[WORK_BY_TASK] = { "taskId", 6 },
		[WORK_SOLE] = { "_meta", 5 }, /* none does */
	};
	enum method_work work = msg->method->work;
	/* A task is for the backend to make (MCP 2026-07-28), and not offered
	 * to older clients. */
	const struct span skip[] = {
		SPAN("_meta"),
		targets[work],
		msg->method->id == METHOD_TOOLS_CALL ? SPAN("task")
						     : SPAN("_meta"),
		SPAN("requestState"),
		SPAN("inputResponses"),
	};
	bool modern = msg->era == VIEW_MODERN;
	struct buf *out = &c->body;
	bool first = false;

	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(out, c->id);
	c->rest_at = out->len;
	buf_puts(out, ",\"method\":\"");
	buf_add_span(out, msg->method->name);
	buf_puts(out, "\",\"params\":{");
	if (work == WORK_BY_REF) {
		add_ref(msg, route, out);
	} else if (work == WORK_SOLE) {
		first = true;
	} else {
		buf_putc(out, '"');
		buf_add_span(out, targets[work]);
		buf_puts(out, "\":");
		buf_add_json(out, span_of(route->name, route->name_len));
	}
	if (msg->params.len)
		add_members(out, msg->params, &first, skip,
		            modern ? ARRAY_LEN(skip) : 3);
	if (task_required(c))
		add_member(out, &first, "task", SPAN("{}"));
	add_member(out, &first, "inputResponses", msg->input_responses);
	add_member(out, &first, "requestState", msg->request_state);
	if (c->server == VIEW_MODERN || c->has_token || msg->meta.len ||
	    trace->parent_len) {
		buf_puts(out, first ? "" : ",");
		add_meta(c, msg, trace, out);
	}
	c->params_end = out->len;
	buf_puts(out, "}}");
}

/* A name that we do not read passes as it came. */
static void add_name(const struct h1_head *head, struct buf *out)
{
	if (head->seen[H1_MCP_NAME] != 1)
		return;
	buf_puts(out, "Mcp-Name: ");
	buf_add_span(out, h1_value(head, H1_MCP_NAME));
	buf_puts(out, "\r\n");
}

void forward_fields(struct call *c, const struct message *msg,
                    const struct h1_head *head, const struct route *route)
{
	struct buf *out = &c->fields;

	buf_puts(out,
	         "MCP-Protocol-Version: " MESSAGE_MODERN "\r\nMcp-Method: ");
	buf_add_span(out, msg->method->name);
	buf_puts(out, "\r\n");
	if (msg->method->work == WORK_BY_REF)
		return;
	if (msg->method->work == WORK_SOLE) {
		add_name(head, out);
		return;
	}
	buf_puts(out, "Mcp-Name: ");
	message_sentinel(span_of(route->name, route->name_len), out);
	buf_puts(out, "\r\n");
	mirror_add(c->snap, c->entry, msg->arguments, out);
	if (msg->era == VIEW_MODERN && msg->method->id == METHOD_TOOLS_CALL)
		mirror_add_others(c->snap, c->entry, head, out);
}
