#include "proxy/deliver.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/value.h"
#include "proxy/catalog.h"

static struct span backend_name(const struct call *c)
{
	return snapshot_text(c->snap,
	                     snapshot_backend(c->snap, c->backend)->name);
}

/* ---- the end ---- */

/* The last message of the answer, whole or as the last event. */
static void finish(struct call *c, int status, struct parts *p)
{
	struct reply *r = c->reply;
	struct parts event = { .n = 0 };

	c->running = false;
	exchange_detach(&c->x);
	if (!r->begun && r->accepts_json) {
		r->ops->whole(r, status, REPLY_JSON, p->iov, p->n);
		return;
	}
	parts_add(&event, SPAN("event: message\ndata: "));
	for (int i = 0; i < p->n; i++)
		event.iov[event.n++] = p->iov[i];
	parts_add(&event, SPAN("\n\n"));
	if (!r->begun) {
		r->ops->whole(r, status, REPLY_EVENTS, event.iov, event.n);
		return;
	}
	r->ops->more(r, event.iov, event.n);
	r->ops->end(r, true);
}

/* A JSON-RPC error in our words. */
static void finish_error(struct call *c, int status, int code,
                         struct span message_json, struct span data_json)
{
	struct parts p = { .n = 0 };
	char number[32];
	int n = snprintf(number, sizeof(number), "%d", code);

	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&c->client_id));
	parts_add(&p, SPAN(",\"error\":{\"code\":"));
	parts_add(&p, span_of(number, (size_t)n));
	parts_add(&p, SPAN(",\"message\":"));
	parts_add(&p, message_json);
	if (data_json.len) {
		parts_add(&p, SPAN(",\"data\":"));
		parts_add(&p, data_json);
	}
	parts_add(&p, SPAN("}}"));
	finish(c, status, &p);
}

void relay_fail(struct call *c, enum outcome outcome, const char *fmt, ...)
{
	char why[CALL_TEXT / 2];
	va_list args;
	struct buf json = { .max = 4 * CALL_TEXT };
	struct buf data = { .max = 1024 };

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	snprintf(c->text, sizeof(c->text), "Backend %.*s: %s",
	         SPAN_ARG(backend_name(c)), why);
	c->reply->outcome = outcome;
	c->reply->error = c->text;
	if (c->result_open) {
		/* The client has half a result: it must see a broken answer. */
		c->running = false;
		exchange_cancel(&c->x);
		c->reply->ops->end(c->reply, false);
		return;
	}
	exchange_cancel(&c->x);
	buf_add_json(&json, span_str(c->text));
	buf_puts(&data, "{\"backend\":");
	buf_add_json(&data, backend_name(c));
	buf_puts(&data, "}");
	finish_error(c, 200, RPC_INTERNAL, buf_span(&json), buf_span(&data));
	buf_free(&json);
	buf_free(&data);
}

void relay_nonsense(struct call *c, const char *what)
{
	relay_fail(c, OUTCOME_UNAVAILABLE, "%s", what);
}

/* ---- results ---- */

static bool takes_input(const struct call *c)
{
	return c->client == VIEW_MODERN &&
	       (c->method->id == METHOD_TOOLS_CALL ||
	        c->method->id == METHOD_PROMPTS_GET ||
	        c->method->id == METHOD_RES_READ);
}

/* contents[].uri become public URIs again. */
static void add_contents(struct call *c, struct span contents)
{
	struct span identifier = snapshot_text(
		c->snap, snapshot_backend(c->snap, c->backend)->identifier);
	struct value_iter items, members;
	struct span item, key, value;
	bool first = true;

	buf_putc(&c->out, '[');
	value_iter_init(&items, contents);
	while (value_array_next(&items, &item)) {
		bool first_member = true;

		buf_puts(&c->out, first ? "" : ",");
		first = false;
		if (value_type(item) != VALUE_OBJECT) {
			buf_add_span(&c->out, item);
			continue;
		}
		buf_putc(&c->out, '{');
		value_iter_init(&members, item);
		while (value_object_next(&members, &key, &value)) {
			char uri[MESSAGE_URI_MAX];
			int n = -1;

			buf_puts(&c->out, first_member ? "" : ",");
			first_member = false;
			buf_add_span(&c->out, key);
			buf_putc(&c->out, ':');
			if (value_string_eq(key, SPAN("uri")))
				n = value_string(value, uri, sizeof(uri));
			if (n > 0) {
				struct buf text = { .max = 2 *
					                   MESSAGE_URI_MAX };

				catalog_public_uri(identifier,
				                   span_of(uri, (size_t)n),
				                   &text);
				buf_add_json(&c->out, buf_span(&text));
				buf_free(&text);
			} else {
				buf_add_span(&c->out, value);
			}
		}
		buf_putc(&c->out, '}');
	}
	buf_putc(&c->out, ']');
}

static bool renames_contents(const struct call *c, const struct span *found)
{
	return c->method->id == METHOD_RES_READ &&
	       (snapshot_backend(c->snap, c->backend)->flags &
	        BACKEND_NAMESPACE) &&
	       value_type(found[RELAY_RESULT_CONTENTS]) == VALUE_ARRAY;
}

static bool legacy_drops(struct span key)
{
	return value_string_eq(key, SPAN("resultType")) ||
	       value_string_eq(key, SPAN("ttlMs")) ||
	       value_string_eq(key, SPAN("cacheScope"));
}

/*
 * The result written anew, for what cannot be done by adding at its end:
 * members that a legacy client must not see, public URIs.
 */
static struct span rewrite(struct call *c, const struct span *found)
{
	struct value_iter it;
	struct span key, value;
	bool first = true;

	buf_reset(&c->out);
	buf_putc(&c->out, '{');
	value_iter_init(&it, found[RELAY_RESULT]);
	while (value_object_next(&it, &key, &value)) {
		if (c->client == VIEW_LEGACY && legacy_drops(key))
			continue;
		buf_puts(&c->out, first ? "" : ",");
		first = false;
		buf_add_span(&c->out, key);
		buf_putc(&c->out, ':');
		if (value.at == found[RELAY_RESULT_CONTENTS].at &&
		    renames_contents(c, found))
			add_contents(c, value);
		else
			buf_add_span(&c->out, value);
	}
	buf_putc(&c->out, '}');
	return buf_span(&c->out);
}

/* What a modern result must have and this one has not; with its comma. */
static struct span missing(const struct call *c, const struct span *found,
                           bool empty)
{
	bool cacheable = c->method->id == METHOD_RES_READ &&
	                 !value_string_eq(found[RELAY_RESULT_TYPE],
	                                  SPAN("input_required"));
	bool type = !found[RELAY_RESULT_TYPE].at;
	bool hints = cacheable && (!found[RELAY_RESULT_TTL].at ||
	                           !found[RELAY_RESULT_SCOPE].at);

	if (c->client != VIEW_MODERN)
		return span_of("", 0);
	if (type && hints)
		return empty ? SPAN("\"resultType\":\"complete\",\"ttlMs\":0,"
		                    "\"cacheScope\":\"private\"")
		             : SPAN(",\"resultType\":\"complete\",\"ttlMs\":0,"
		                    "\"cacheScope\":\"private\"");
	if (type)
		return empty ? SPAN("\"resultType\":\"complete\"")
		             : SPAN(",\"resultType\":\"complete\"");
	if (hints && !found[RELAY_RESULT_TTL].at &&
	    !found[RELAY_RESULT_SCOPE].at)
		return SPAN(",\"ttlMs\":0,\"cacheScope\":\"private\"");
	if (hints)
		return found[RELAY_RESULT_TTL].at
		               ? SPAN(",\"cacheScope\":\"private\"")
		               : SPAN(",\"ttlMs\":0");
	return span_of("", 0);
}

/* Has this valid object no members? */
static bool is_empty(struct span object)
{
	size_t i = 1;

	while (object.at[i] == ' ' || object.at[i] == '\t' ||
	       object.at[i] == '\n' || object.at[i] == '\r')
		i++;
	return object.at[i] == '}';
}

/* Does the result's type make sense to this client? */
static bool check_type(struct call *c, struct span type)
{
	if (!type.at || value_string_eq(type, SPAN("complete")))
		return true;
	if (value_string_eq(type, SPAN("input_required"))) {
		if (takes_input(c))
			return true;
		relay_fail(c, OUTCOME_ERROR,
		           "it asks for input in a way that this client's "
		           "protocol revision does not have");
		return false;
	}
	relay_nonsense(c, "its result is of a type that was not asked for");
	return false;
}

void deliver_result(struct call *c, const struct span *found)
{
	struct span result = found[RELAY_RESULT];
	struct parts p = { .n = 0 };

	if (value_type(result) != VALUE_OBJECT) {
		relay_nonsense(c, "its result is not an object");
		return;
	}
	if (!check_type(c, found[RELAY_RESULT_TYPE]))
		return;
	c->reply->outcome =
		value_type(found[RELAY_RESULT_IS_ERROR]) == VALUE_TRUE
			? OUTCOME_TOOL_ERROR
			: OUTCOME_SUCCESS;
	if (renames_contents(c, found) ||
	    (c->client == VIEW_LEGACY &&
	     (found[RELAY_RESULT_TYPE].at || found[RELAY_RESULT_TTL].at ||
	      found[RELAY_RESULT_SCOPE].at))) {
		result = rewrite(c, found);
		if (buf_err(&c->out) < 0) {
			relay_nonsense(c, "its result is too large");
			return;
		}
	}
	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&c->client_id));
	parts_add(&p, SPAN(",\"result\":"));

	struct span add = missing(c, found, is_empty(result));
	if (add.len) {
		parts_add(&p, span_first(result, result.len - 1));
		parts_add(&p, add);
		parts_add(&p, SPAN("}}"));
	} else {
		parts_add(&p, result);
		parts_add(&p, SPAN("}"));
	}
	finish(c, 200, &p);
}

/* ---- errors of the backend ---- */

/* Codes that mean something only between the backend and us. */
static bool ours_alone(int64_t code)
{
	return code == RPC_HEADER_MISMATCH || code == RPC_UNSUPPORTED_VERSION ||
	       (code <= -32023 && code >= -32099);
}

/* The error's data; a URI in it becomes the one the client asked for. */
static struct span public_data(struct call *c, struct span data)
{
	const struct backend *b = snapshot_backend(c->snap, c->backend);
	struct buf uri = { .max = 2 * MESSAGE_URI_MAX };
	char own[MESSAGE_URI_MAX];
	int n;

	if (!(b->flags & BACKEND_NAMESPACE) || value_type(data) != VALUE_OBJECT)
		return data;
	n = value_string(value_get(data, SPAN("uri")), own, sizeof(own));
	if (n <= 0)
		return data;
	catalog_public_uri(snapshot_text(c->snap, b->identifier),
	                   span_of(own, (size_t)n), &uri);
	buf_reset(&c->out);
	buf_puts(&c->out, "{\"uri\":");
	buf_add_json(&c->out, buf_span(&uri));
	buf_putc(&c->out, '}');
	buf_free(&uri);
	return buf_err(&c->out) == 0 ? buf_span(&c->out) : span_of("", 0);
}

void deliver_error(struct call *c, const struct span *found)
{
	int64_t code;
	int status = 200;

	if (!value_integer(found[RELAY_ERROR_CODE], &code) ||
	    code < INT32_MIN || code > INT32_MAX ||
	    value_type(found[RELAY_ERROR_MESSAGE]) != VALUE_STRING) {
		relay_nonsense(c, "its error has no code or no message");
		return;
	}
	if (ours_alone(code)) {
		relay_fail(c, OUTCOME_ERROR,
		           "it refuses how the gateway speaks to it (%d)",
		           (int)code);
		return;
	}
	if (c->client == VIEW_MODERN) {
		if (code == RPC_LEGACY_NO_RESOURCE)
			code = RPC_INVALID_PARAMS;
		else if (code <= -32000 && code >= -32019)
			code = RPC_INTERNAL;
		else if (code == RPC_MISSING_CAPABILITY)
			status = 400;
		else if (code == RPC_NO_METHOD)
			status = 404;
	} else if (code == RPC_MISSING_CAPABILITY) {
		relay_fail(c, OUTCOME_ERROR,
		           "it needs a client feature that this client has not "
		           "declared");
		return;
	}
	c->reply->outcome = OUTCOME_ERROR;
	c->reply->error = "the backend answered with an error";
	finish_error(c, status, (int)code, found[RELAY_ERROR_MESSAGE],
	             public_data(c, found[RELAY_ERROR_DATA]));
}
