#include "proxy/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/value.h"
#include "lib/version.h"
#include "proxy/aside.h"
#include "proxy/backsession.h"
#include "proxy/catalog.h"
#include "proxy/extension.h"
#include "proxy/rejoin.h"
#include "proxy/relay.h"
#include "proxy/sealed.h"
#include "proxy/task.h"
#include "proxy/trace.h"
#include "proxy/waiting.h"

#define KEEP_BYTES 16384 /* of a buffer between two requests */
#define META       "io.modelcontextprotocol/"

/* ---- where to ---- */

/*
 * Does uri fit an RFC 6570 template? Each {expression} stands for at least one
 * byte without a slash; {+x} and {/x*} for any bytes.
 */
static bool template_fits(struct span t, struct span uri)
{
	while (t.len) {
		if (*t.at != '{') {
			if (uri.len == 0 || *uri.at != *t.at)
				return false;
			t = span_from(t, 1);
			uri = span_from(uri, 1);
			continue;
		}
		size_t close = span_find(t, '}');
		if (close == t.len)
			return false;

		bool any = t.at[1] == '+' || t.at[1] == '/' || t.at[1] == '#' ||
		           t.at[1] == '?' || t.at[1] == '&';
		t = span_from(t, close + 1);
		/* As long as it can be, then shorter: the rest decides. */
		size_t most = any ? uri.len : span_find(uri, '/');
		for (size_t n = most + 1; n-- > (any ? 0u : 1u);)
			if (template_fits(t, span_from(uri, n)))
				return true;
		return false;
	}
	return uri.len == 0;
}

static const struct entry *find_template(const struct snapshot *snap,
                                         const struct list *list,
                                         struct span uri)
{
	const struct entry *e = snapshot_array(snap, list->entries);

	for (uint32_t i = 0; i < list->entries.len; i++)
		if (template_fits(snapshot_text(snap, e[i].name), uri))
			return &e[i];
	return NULL;
}

static void set_name(struct route *route, struct span name)
{
	route->name_len = MIN(name.len, sizeof(route->name));
	memcpy(route->name, name.at, route->name_len);
}

/* The backend's own URI for one that a template or a prefix matched. */
static bool set_own_uri(const struct snapshot *snap, struct route *route,
                        struct span uri)
{
	const struct backend *b = snapshot_backend(snap, route->backend);
	struct buf own = { .max = sizeof(route->name) };

	if (!(b->flags & BACKEND_NAMESPACE)) {
		set_name(route, uri);
		return true;
	}
	bool good = catalog_own_uri(snapshot_text(snap, b->identifier), uri,
	                            &own) &&
	            buf_err(&own) == 0;
	if (good)
		set_name(route, buf_span(&own));
	buf_free(&own);
	return good;
}

/* A URI that no list names, but whose prefix says whose it is. */
static bool find_prefix(const struct snapshot *snap, struct route *route,
                        struct span uri)
{
	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		const struct backend *b = snapshot_backend(snap, i);

		route->backend = i;
		if ((b->flags & BACKEND_NAMESPACE) &&
		    (snapshot_origin(snap, i)->abilities & ABILITY_RESOURCES) &&
		    set_own_uri(snap, route, uri))
			return true;
	}
	return false;
}

/* The era to speak to a backend: the client's, when the backend has it. */
static bool choose_era(const struct snapshot *snap, enum view_era client,
                       struct route *route)
{
	uint32_t eras = snapshot_origin(snap, route->backend)->eras;
	uint32_t same = client == VIEW_MODERN ? ERA_MODERN : ERA_LEGACY;

	if (eras & same)
		route->server = client;
	else if (eras)
		route->server =
			client == VIEW_MODERN ? VIEW_LEGACY : VIEW_MODERN;
	else
		return false;
	return true;
}

static bool unknown(const struct message *msg, const struct route *route,
                    struct problem *why)
{
	static const char *const things[LIST_KINDS + 1] = {
		[LIST_TOOLS] = "tool",
		[LIST_PROMPTS] = "prompt",
		[LIST_RESOURCES] = "resource",
	};
	struct buf shown = { .max = sizeof(why->text) };
	struct span name = span_of(route->public_name, route->public_len);
	bool resource = msg->method->kind == LIST_RESOURCES;

	buf_add_json(&shown, span_first(name, 120));
	problem_set(why, 200, RPC_INVALID_PARAMS, "Unknown %s: %.*s",
	            things[msg->method->kind] ? things[msg->method->kind]
	                                      : "name",
	            SPAN_ARG(buf_span(&shown)));
	if (resource && buf_err(&shown) == 0) {
		struct buf data = { .max = sizeof(why->data) };

		buf_puts(&data, "{\"uri\":");
		buf_add_json(&data, name);
		buf_puts(&data, "}");
		if (buf_err(&data) == 0)
			snprintf(why->data, sizeof(why->data), "%.*s",
			         SPAN_ARG(buf_span(&data)));
		buf_free(&data);
	}
	buf_free(&shown);
	return false;
}

static bool bad_params(struct problem *why, const char *text)
{
	problem_set(why, 200, RPC_INVALID_PARAMS, "%s", text);
	return false;
}

/* To the backend of an entry, by its own name there; false without one. */
static bool route_entry(const struct snapshot *snap, struct route *route,
                        const struct entry *e)
{
	if (!e)
		return false;
	route->entry = e;
	route->own = e->flags & ENTRY_OWN;
	if (route->own)
		return true;
	route->backend = e->backend;
	set_name(route, snapshot_text(snap, e->upstream));
	return true;
}

/*
 * A URI that no list has, but that can be one backend's only: a tool of it
 * names it, or it is of the kind that its extension has.
 */
static bool find_sole(const struct snapshot *snap, const struct view *view,
                      struct route *route, struct span uri)
{
	const struct reference *r = snapshot_reference(snap, view, uri);
	uint32_t ability = extension_of_uri(uri);

	if (r)
		route->backend = r->backend;
	else if (view->abilities & ability)
		route->backend = extension_backend(snap, ability);
	else
		return false;
	set_name(route, uri);
	return route->backend < snap->head->backends.len;
}

static bool route_uri(const struct snapshot *snap, const struct view *view,
                      struct route *route)
{
	struct span uri = span_of(route->public_name, route->public_len);
	const struct entry *e =
		snapshot_find(snap, &view->lists[LIST_RESOURCES], uri);

	if (route_entry(snap, route, e))
		return true;
	e = find_template(snap, &view->lists[LIST_TEMPLATES], uri);
	if (e) {
		route->entry = e;
		route->backend = e->backend;
		return set_own_uri(snap, route, uri);
	}
	return find_prefix(snap, route, uri) ||
	       find_sole(snap, view, route, uri);
}

/* The raw string that says where a completion goes, and its kind. */
static bool read_ref(const struct message *msg, struct span *raw,
                     bool *is_prompt, struct problem *why)
{
	struct span type = value_get(msg->ref, SPAN("type"));

	*is_prompt = value_string_eq(type, SPAN("ref/prompt"));
	if (!*is_prompt && !value_string_eq(type, SPAN("ref/resource")))
		return bad_params(why, "params.ref.type must be ref/prompt or "
		                       "ref/resource");
	*raw = value_get(msg->ref, *is_prompt ? SPAN("name") : SPAN("uri"));
	return true;
}

/* The name or URI that a message asks for, without its escapes. */
static bool read_name(const struct message *msg, struct route *route,
                      bool *by_uri, struct problem *why)
{
	struct span raw = msg->name;
	bool is_prompt;
	int n;

	*by_uri = msg->method->work == WORK_BY_URI;
	if (msg->method->work == WORK_BY_REF) {
		if (!read_ref(msg, &raw, &is_prompt, why))
			return false;
		*by_uri = !is_prompt;
	}
	if (value_type(raw) != VALUE_STRING)
		return bad_params(why,
		                  *by_uri ? "params.uri must be a string"
		                          : "params.name must be a string");
	n = value_string(raw, route->public_name, sizeof(route->public_name));
	route->public_len = n < 0 ? 0 : (size_t)n;
	return n >= 0 || bad_params(why, "The name is too long");
}

/*
 * A tool that no list has, of the one backend that it can be and that lets
 * such be called. Who may call it is asked of its name, like of any other.
 */
static bool find_unlisted(const struct snapshot *snap, struct route *route,
                          struct span name)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		const struct backend *b = snapshot_backend(snap, i);
		struct span id = snapshot_text(snap, b->identifier);
		struct span own = name;

		if (!(b->flags & BACKEND_UNLISTED))
			continue;
		if (b->flags & BACKEND_NAMESPACE) {
			if (!span_starts(name, id) || name.len <= id.len + 1 ||
			    name.at[id.len] != '_')
				continue;
			own = span_from(name, id.len + 1);
		}
		route->backend = i;
		set_name(route, own);
		found++;
	}
	return found == 1;
}

static bool find_target(const struct snapshot *snap, const struct message *msg,
                        bool by_uri, struct route *route)
{
	const struct view *view = snapshot_view(snap, msg->era);
	struct span name = span_of(route->public_name, route->public_len);

	if (!by_uri)
		return route_entry(
			       snap, route,
			       snapshot_find(snap,
		                             &view->lists[msg->method->kind],
		                             name)) ||
		       (msg->method->id == METHOD_TOOLS_CALL &&
		        find_unlisted(snap, route, name));
	if (route_uri(snap, view, route))
		return true;
	/* A template is looked up by its own text as well. */
	return msg->method->work == WORK_BY_REF &&
	       route_entry(
		       snap, route,
		       snapshot_find(snap, &view->lists[LIST_TEMPLATES], name));
}

bool call_route(const struct snapshot *snap, const struct message *msg,
                struct route *route, struct problem *why)
{
	bool by_uri;

	route->entry = NULL;
	route->own = false;
	route->name_len = route->public_len = 0;
	if (msg->method->work == WORK_SOLE) {
		route->backend = extension_backend(snap, msg->method->ability);
		if (route->backend == snap->head->backends.len)
			return unknown(msg, route, why);
	} else {
		if (!read_name(msg, route, &by_uri, why))
			return false;
		if (!find_target(snap, msg, by_uri, route))
			return unknown(msg, route, why);
	}
	if (!route->own && !choose_era(snap, msg->era, route)) {
		problem_set(
			why, 200, RPC_INTERNAL,
			"Backend %.*s has not answered yet",
			SPAN_ARG(snapshot_text(
				snap,
				snapshot_backend(snap, route->backend)->name)));
		return false;
	}
	return true;
}

bool call_route_uri(const struct snapshot *snap, enum view_era era,
                    struct span uri, struct route *route)
{
	route->entry = NULL;
	route->own = false;
	if (uri.len > sizeof(route->public_name))
		return false;
	memcpy(route->public_name, uri.at, uri.len);
	route->public_len = uri.len;
	return route_uri(snap, snapshot_view(snap, era), route) &&
	       (route->own || choose_era(snap, era, route));
}

/* ---- arguments that travel in the head too ---- */

static const struct span param_prefix = { "mcp-param-", 10 };

static struct span mirror_value(const struct snapshot *snap,
                                const struct mirror *m, struct span arguments)
{
	struct span path = snapshot_text(snap, m->path);
	struct span value = arguments;

	while (path.len) {
		size_t n = span_find(path, '\0');

		if (value_type(value) != VALUE_OBJECT)
			return span_of(NULL, 0);
		value = value_get(value, span_first(path, n));
		path = span_from(path, n + 1);
	}
	return value_type(value) == VALUE_NULL ? span_of(NULL, 0) : value;
}

static const struct mirror *mirrors(const struct snapshot *snap,
                                    const struct entry *e, uint32_t *n)
{
	*n = e ? e->mirrors.len : 0;
	return e ? snapshot_array(snap, e->mirrors) : NULL;
}

/* Integers compare as numbers: 42.0 in the head equals 42 in the body. */
static bool same_integer(struct span head, struct span body)
{
	size_t dot = span_find(head, '.');
	struct span zeros = span_from(head, dot + 1);

	if (dot < head.len && zeros.len == 0)
		return false;
	for (size_t i = 0; i < zeros.len; i++)
		if (zeros.at[i] != '0')
			return false;
	return span_eq(span_first(head, dot), body);
}

static bool same_value(const struct mirror *m, struct span head,
                       struct span body)
{
	if (m->type == MIRROR_STRING)
		return value_string_eq(body, head);
	if (m->type == MIRROR_INTEGER)
		return same_integer(head, body);
	return span_eq(head, body);
}

static bool check_mirror(const struct snapshot *snap, const struct mirror *m,
                         const struct h1_head *head, struct span arguments,
                         struct problem *why)
{
	struct span name = snapshot_text(snap, m->field);
	struct span body = mirror_value(snap, m, arguments);
	struct span value = { NULL, 0 };
	char room[MESSAGE_URI_MAX];
	unsigned seen = 0;

	for (size_t i = 0; i < head->n_fields; i++) {
		struct span f = head->fields[i].name;

		if (f.len == param_prefix.len + name.len &&
		    span_eq_nocase(span_first(f, param_prefix.len),
		                   param_prefix) &&
		    span_eq_nocase(span_from(f, param_prefix.len), name)) {
			value = head->fields[i].value;
			seen++;
		}
	}
	if (seen == 0 && !body.at)
		return true;
	if (seen == 1 && body.at && value.len <= sizeof(room) &&
	    message_unsentinel(value, room, &value) &&
	    same_value(m, value, body))
		return true;
	problem_set(why, 400, RPC_HEADER_MISMATCH,
	            "Header mismatch: Mcp-Param-%.*s must repeat the argument "
	            "it mirrors, once, and be absent when that is",
	            SPAN_ARG(span_first(name, 64)));
	return false;
}

bool call_check_params(const struct snapshot *snap, const struct entry *entry,
                       const struct h1_head *head, struct span arguments,
                       struct problem *why)
{
	uint32_t n;
	const struct mirror *m = mirrors(snap, entry, &n);

	for (uint32_t i = 0; i < n; i++)
		if (!check_mirror(snap, &m[i], head, arguments, why))
			return false;
	return true;
}

static void add_mirrors(const struct call *c, struct span arguments,
                        struct buf *out)
{
	uint32_t n;
	const struct mirror *m = mirrors(c->snap, c->entry, &n);

	for (uint32_t i = 0; i < n; i++) {
		struct span body = mirror_value(c->snap, &m[i], arguments);
		char room[MESSAGE_URI_MAX];
		int len = 0;

		if (!body.at)
			continue;
		buf_puts(out, "Mcp-Param-");
		buf_add_span(out, snapshot_text(c->snap, m[i].field));
		buf_puts(out, ": ");
		if (value_type(body) == VALUE_STRING)
			len = value_string(body, room, sizeof(room));
		if (len > 0)
			message_sentinel(span_of(room, (size_t)len), out);
		else if (value_type(body) != VALUE_STRING)
			message_sentinel(body, out);
		buf_puts(out, "\r\n");
	}
}

/* ---- writing the message anew ---- */

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
	struct span info = value_get(msg->meta, hop_keys[1]);

	buf_puts(out, "\"" META "protocolVersion\":\"" MESSAGE_MODERN
	              "\",\"" META "clientInfo\":");
	if (msg->era == VIEW_MODERN && value_type(info) == VALUE_OBJECT)
		buf_add_span(out, info);
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

static void compose(struct call *c, const struct message *msg,
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
		buf_addf(out, "\"%.*s\":", SPAN_ARG(targets[work]));
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

static bool mirrored(const struct call *c, struct span param)
{
	uint32_t n;
	const struct mirror *m = mirrors(c->snap, c->entry, &n);

	for (uint32_t i = 0; i < n; i++)
		if (span_eq_nocase(snapshot_text(c->snap, m[i].field), param))
			return true;
	return false;
}

/* Mcp-Param-* fields that the tool does not declare pass as they came. */
static void add_other_params(struct call *c, const struct h1_head *head)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct h1_field *f = &head->fields[i];

		if (f->name.len <= param_prefix.len ||
		    !span_eq_nocase(span_first(f->name, param_prefix.len),
		                    param_prefix) ||
		    mirrored(c, span_from(f->name, param_prefix.len)))
			continue;
		buf_add_span(&c->fields, f->name);
		buf_puts(&c->fields, ": ");
		buf_add_span(&c->fields, f->value);
		buf_puts(&c->fields, "\r\n");
	}
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

/* Fields that name the target, for modern backends. */
static void add_fields(struct call *c, const struct message *msg,
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
	add_mirrors(c, msg->arguments, out);
	if (msg->era == VIEW_MODERN && msg->method->id == METHOD_TOOLS_CALL)
		add_other_params(c, head);
}

/* May the backend execute it twice without harm? */
static bool repeatable(const struct message *msg, const struct entry *e)
{
	if (msg->method->id != METHOD_TOOLS_CALL)
		return true;
	return e && (e->flags & (ENTRY_READ_ONLY | ENTRY_IDEMPOTENT));
}

void call_send(struct call *c)
{
	c->form = FORM_UNKNOWN;
	sse_fini(&c->sse); /* of an answer before this one, if any */
	c->status = 0;
	if (c->server == VIEW_LEGACY && !c->aside_settled &&
	    !backsession_ready(c))
		return;
	if (!c->aside_settled && !aside_ready(c)) {
		c->aside_settled = true;
		return;
	}
	c->aside_settled = false;
	if (buf_err(&c->body) < 0 || buf_err(&c->fields) < 0) {
		relay_fail(c, OUTCOME_ERROR, "the request is too large");
		return;
	}
	c->x.ops = &relay_ops;
	c->x.snap = c->snap;
	c->x.backend = c->backend;
	c->x.method = EXCHANGE_POST;
	c->x.body = buf_span(&c->body);
	c->x.fields = buf_span(&c->fields);
	exchange_start(c->proxy->up, &c->x);
}

void call_repeat(struct call *c, struct span members)
{
	struct buf old = c->body;

	c->body = (struct buf){ .max = old.max };
	c->id = ++c->proxy->next_id;
	buf_puts(&c->body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(&c->body, c->id);

	size_t rest_at = c->body.len;
	buf_add(&c->body, old.bytes + c->rest_at, c->params_end - c->rest_at);
	c->params_end = rest_at + (c->params_end - c->rest_at);
	c->rest_at = rest_at;
	buf_add_span(&c->body, members);
	buf_puts(&c->body, "}}");
	buf_free(&old);
	buf_reset(&c->in);
	c->attempt++;
	call_send(c);
}

/* The least one to pass on; -1: none. */
static int log_level(const struct call *c, const struct message *msg)
{
	if (msg->era == VIEW_MODERN)
		return msg->log_level.at ? message_level(msg->log_level) : -1;
	return c->caller.wanted_level ? c->caller.wanted_level - 1
	                              : MESSAGE_LEVEL_USUAL;
}

bool call_takes_input(const struct call *c)
{
	return c->method->id == METHOD_TOOLS_CALL ||
	       c->method->id == METHOD_PROMPTS_GET ||
	       c->method->id == METHOD_RES_READ;
}

/* What the client says of the request itself, not of what it asks for. */
static void take_client(struct call *c, const struct message *msg)
{
	c->client_id.max = MESSAGE_ID_MAX;
	c->client_token.max = MESSAGE_TOKEN_MAX;
	buf_reset(&c->client_id);
	buf_reset(&c->client_token);
	buf_add_span(&c->client_id, msg->id);
	c->has_token = msg->progress_token.at != NULL;
	if (c->has_token)
		buf_add_span(&c->client_token, msg->progress_token);
	c->log_level = log_level(c, msg);
}

void call_renew(struct call *c, const struct message *msg)
{
	bool had_token = c->has_token;

	take_client(c, msg);
	c->has_token = c->has_token && had_token;
}

void call_hold(struct call *c)
{
	if (!c->holds)
		snapshot_ref(c->snap);
	c->holds = true;
}

void call_prepare(struct call *c)
{
	const struct settings *s = c->snap->settings;
	size_t max = (size_t)s->limits_body_bytes + 65536;

	c->parked = c->lost = false;
	c->missing = 0;
	c->aside_settled = false;
	c->retried = false;
	c->attempt++;
	c->running = true;
	c->result_open = false;
	c->passes_types = c->follows_task = false;
	c->retry_ms = 0;
	c->rejoins = 0;
	c->body.max = max;
	c->fields.max = 65536;
	c->client_id.max = MESSAGE_ID_MAX;
	c->client_token.max = MESSAGE_TOKEN_MAX;
	c->task.max = MESSAGE_URI_MAX;
	buf_reset(&c->task);
	c->tool.max = MESSAGE_URI_MAX;
	buf_reset(&c->tool);
	c->in.max = (size_t)s->limits_message_bytes;
	c->out.max = 4 * (size_t)s->limits_message_bytes;
	c->sse.data.max = (size_t)s->limits_message_bytes;
}

void call_start(struct call *c, const struct message *msg,
                const struct h1_head *head, const struct route *route)
{
	const struct settings *s = c->snap->settings;
	const struct backend *b = snapshot_backend(c->snap, route->backend);
	struct trace trace;

	c->entry = route->entry;
	c->method = msg->method;
	c->backend = route->backend;
	c->client = msg->era;
	c->server = route->server;
	/* A legacy client is asked on a stream, or not at all. */
	c->abilities = c->caller.abilities;
	if (c->client == VIEW_LEGACY && !c->reply->accepts_events)
		c->abilities &= EXTENSION_CLIENTS;
	c->abilities = extension_session(c->snap, c->backend, c->abilities);
	c->id = ++c->proxy->next_id;
	c->number = c->id;
	call_prepare(c);
	take_client(c, msg);
	if (msg->method->work == WORK_BY_TASK)
		buf_add_span(&c->task, msg->name);
	if (msg->method->id == METHOD_TOOLS_CALL && !c->entry)
		buf_add(&c->tool, route->public_name, route->public_len);
	trace_read(msg->meta, head, &trace);
	compose(c, msg, route, &trace);
	if (c->server == VIEW_MODERN)
		add_fields(c, msg, head, route);
	trace_fields(&trace, &c->fields);
	c->own_fields = c->fields.len;
	backsession_begin(c);
	c->x.repeatable = repeatable(msg, route->entry);

	if (!board_breaker_try(&c->proxy->board->backends[b->slot],
	                       loop_now_ms(c->proxy->loop),
	                       (uint64_t)s->breaker_open_time)) {
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it failed too often and is left alone for a while");
		return;
	}
	call_send(c);
}

bool call_is_at_legacy(const struct call *c)
{
	return c->server == VIEW_LEGACY &&
	       (exchange_running(&c->x) || c->rejoin.due_ms);
}

struct span call_session_fields(const struct call *c)
{
	return span_from(buf_span(&c->fields), c->own_fields);
}

static void stop(struct call *c, bool tell)
{
	if (!c->running)
		return;
	c->running = false;
	session_forgo(&c->wait);
	/* A legacy backend does not take a closed stream for a cancellation. */
	if (tell && call_is_at_legacy(c))
		relay_cancel(c);
	waiting_end(c);
	aside_leave(c);
	rejoin_stop(c);
	exchange_cancel(&c->x);
}

void call_cancel(struct call *c)
{
	stop(c, c->client == VIEW_MODERN);
}

void call_abort(struct call *c)
{
	stop(c, true);
}

void call_resume(struct call *c)
{
	if (c->running)
		exchange_resume(&c->x);
}

static void shrink(struct buf *b)
{
	buf_reset(b);
	if (b->cap > KEEP_BYTES)
		buf_free(b);
}

struct call *call_take(struct proxy *proxy)
{
	struct call *c = proxy->spare;

	if (c)
		proxy->spare = c->next;
	else
		c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->next = NULL;
	c->proxy = proxy;
	return c;
}

void call_fini(struct call *c)
{
	waiting_end(c);
	aside_leave(c);
	c->running = false;
	c->parked = false;
	session_forgo(&c->wait);
	exchange_cancel(&c->x);
	backsession_end(c);
	rejoin_stop(c);
	shrink(&c->event);
	shrink(&c->event_line);
	shrink(&c->rejoin_fields);
	shrink(&c->given);
	shrink(&c->body);
	shrink(&c->fields);
	shrink(&c->client_id);
	shrink(&c->client_token);
	shrink(&c->task);
	shrink(&c->tool);
	shrink(&c->in);
	shrink(&c->out);
	sse_fini(&c->sse);
	free(c->stream);
	c->stream = NULL;
	if (c->holds)
		snapshot_unref(c->snap);
	c->holds = false;
}

void call_give(struct call *c)
{
	if (!c || c->parked)
		return;
	call_fini(c);
	c->next = c->proxy->spare;
	c->proxy->spare = c;
}

void call_free_spare(struct proxy *proxy)
{
	while (proxy->spare) {
		struct call *c = proxy->spare;

		proxy->spare = c->next;
		buf_free(&c->body);
		buf_free(&c->fields);
		buf_free(&c->given);
		buf_free(&c->event);
		buf_free(&c->event_line);
		buf_free(&c->rejoin_fields);
		buf_free(&c->client_id);
		buf_free(&c->client_token);
		buf_free(&c->task);
		buf_free(&c->in);
		buf_free(&c->out);
		free(c);
	}
}
