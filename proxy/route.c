#include "proxy/route.h"

#include <stdio.h>

#include "lib/value.h"
#include "proxy/extension.h"
#include "proxy/uri.h"

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
	bool good = uri_own(snapshot_text(snap, b->identifier), uri, &own) &&
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
static bool set_entry(const struct snapshot *snap, struct route *route,
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

static bool find_uri(const struct snapshot *snap, const struct view *view,
                     struct route *route)
{
	struct span uri = span_of(route->public_name, route->public_len);
	const struct entry *e =
		snapshot_find(snap, &view->lists[LIST_RESOURCES], uri);

	if (set_entry(snap, route, e))
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
		return set_entry(snap, route,
		                 snapshot_find(snap,
		                               &view->lists[msg->method->kind],
		                               name)) ||
		       (msg->method->id == METHOD_TOOLS_CALL &&
		        find_unlisted(snap, route, name));
	if (find_uri(snap, view, route))
		return true;
	/* A template is looked up by its own text as well. */
	return msg->method->work == WORK_BY_REF &&
	       set_entry(
		       snap, route,
		       snapshot_find(snap, &view->lists[LIST_TEMPLATES], name));
}

bool route_find(const struct snapshot *snap, const struct message *msg,
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

bool route_find_uri(const struct snapshot *snap, enum view_era era,
                    struct span uri, struct route *route)
{
	route->entry = NULL;
	route->own = false;
	if (uri.len > sizeof(route->public_name))
		return false;
	memcpy(route->public_name, uri.at, uri.len);
	route->public_len = uri.len;
	return find_uri(snap, snapshot_view(snap, era), route) &&
	       (route->own || choose_era(snap, era, route));
}
