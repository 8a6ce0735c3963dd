#include "proxy/deliver.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "proxy/aside.h"
#include "proxy/downgrade.h"
#include "proxy/publish.h"
#include "proxy/rejoin.h"
#include "proxy/task.h"
#include "proxy/uri.h"
#include "proxy/waiting.h"

static struct span backend_name(const struct call *c)
{
	return snapshot_text(c->snap,
	                     snapshot_backend(c->snap, c->backend)->name);
}

/* ---- the end ---- */

/* id is the line with the event's id, or empty. */
static void finish_reply(struct reply *r, int status, const struct parts *p,
                         struct span id)
{
	struct parts event = { .n = 0 };

	if (!r->begun && r->accepts_json) {
		r->ops->whole(r, status, REPLY_JSON, p->iov, p->n);
		return;
	}
	parts_add(&event, id);
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

/* The last message of the answer. */
static void finish(struct call *c, int status, struct parts *p)
{
	c->running = false;
	exchange_detach(&c->x);
	finish_reply(c->reply, status, p,
	             c->event.len ? rejoin_line(c) : span_of("", 0));
}

void relay_finish(struct reply *r, int status, struct span message)
{
	struct parts p = { .n = 0 };

	parts_add(&p, message);
	finish_reply(r, status, &p, span_of("", 0));
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
	if (!c->reply) { /* told when the client is back */
		c->lost = true;
		exchange_cancel(&c->x);
		return;
	}
	/* Unless it refused, what the call runs there may go on. */
	if (call_is_at_legacy(c) && c->status < 300)
		aside_abandon(c);
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

/* What of this result clients know by other names. */
static struct publish published(const struct call *c)
{
	static const enum publish_kind kinds[METHODS] = {
		[METHOD_TOOLS_CALL] = PUBLISH_TOOL,
		[METHOD_PROMPTS_GET] = PUBLISH_PROMPT,
		[METHOD_RES_READ] = PUBLISH_READ,
	};
	const struct backend *b = snapshot_backend(c->snap, c->backend);
	struct publish how = {
		.kind = c->task.len ? PUBLISH_TASK : kinds[c->method->id],
		.task = buf_span(&c->task),
		.complete = c->method->work == WORK_BY_TASK,
	};

	if (b->flags & BACKEND_NAMESPACE)
		how.identifier = snapshot_text(c->snap, b->identifier);
	return how;
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
static struct span rewrite(struct call *c, const struct span *found,
                           const struct publish *how)
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
		publish_member(how, key, value, &c->out);
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

/* Does the result's type make sense to this client? False: the call has ended.
 */
static bool check_type(struct call *c, const struct span *found)
{
	struct span type = found[RELAY_RESULT_TYPE];

	if (task_concerns(c, type))
		return task_accept(c, type, found[RELAY_RESULT]);
	if (!type.at || value_string_eq(type, SPAN("complete")))
		return true;
	if (c->passes_types && c->client == VIEW_MODERN)
		return true;
	relay_nonsense(c, "its result is of a type that was not asked for");
	return false;
}

/* ---- results that ask for input ---- */

static bool asks_for_input(const struct call *c, const struct span *found)
{
	return c->server == VIEW_MODERN && call_takes_input(c) &&
	       value_string_eq(found[RELAY_RESULT_TYPE],
	                       SPAN("input_required"));
}

/* A state that only this caller can bring back, with this request. */
static bool seal_state(struct call *c, struct span own, struct buf *out)
{
	const struct settings *set = c->snap->settings;
	struct sealed s = {
		.kind = SEALED_STATE,
		.backend = sealed_backend(c->snap, c->backend),
		.digest = waiting_call_digest(c),
		.expires_s = (clock_utc_ms() + set->session_lifetime) / 1000,
		.texts = { own },
	};
	bool good;

	buf_putc(out, '"');
	good = sealed_write(c->snap, caller_id(&c->caller), &s, out);
	buf_putc(out, '"');
	return good;
}

/* The result goes to a client that reads it, with the state sealed. */
static void pass_input(struct call *c, const struct span *found)
{
	struct span result = found[RELAY_RESULT];
	struct span state = found[RELAY_RESULT_STATE];
	struct buf sealed = { .max = SEALED_MAX + 2 };
	struct parts p = { .n = 0 };

	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&c->client_id));
	parts_add(&p, SPAN(",\"result\":"));
	if (state.at) {
		if (value_type(state) != VALUE_STRING ||
		    state.len > WAITING_STATE_MAX ||
		    !seal_state(c, state, &sealed)) {
			buf_free(&sealed);
			relay_nonsense(c, "its requestState is no string, or "
			                  "too long");
			return;
		}
		parts_add(&p,
		          span_of(result.at, (size_t)(state.at - result.at)));
		parts_add(&p, buf_span(&sealed));
		result = span_from(result,
		                   (size_t)(state.at - result.at) + state.len);
	}
	parts_add(&p, result);
	parts_add(&p, SPAN("}"));
	c->reply->outcome = OUTCOME_SUCCESS;
	finish(c, 200, &p);
	buf_free(&sealed);
}

static void deliver_input(struct call *c, const struct span *found)
{
	struct span requests = found[RELAY_RESULT_REQUESTS];
	struct span state = found[RELAY_RESULT_STATE];

	if (c->client == VIEW_LEGACY)
		waiting_ask(c, requests, state);
	else if (!requests.at && !state.at)
		relay_nonsense(c, "it asks for input and does not say which");
	else if (!question_all_allowed(requests, c->abilities))
		relay_nonsense(c, "it asks for what this client has not "
		                  "declared it can answer");
	else
		pass_input(c, found);
}

/* Does an older revision than the backend's change anything? */
static bool downgrades(const struct call *c)
{
	return c->client == VIEW_LEGACY &&
	       (c->server == VIEW_MODERN ||
	        c->caller.revision == REVISION_2025_03_26);
}

void deliver_result(struct call *c, const struct span *found)
{
	struct span result = found[RELAY_RESULT];
	struct buf older = { .max = c->out.max };
	struct publish how;
	struct parts p = { .n = 0 };

	if (value_type(result) != VALUE_OBJECT) {
		relay_nonsense(c, "its result is not an object");
		return;
	}
	if (asks_for_input(c, found)) {
		deliver_input(c, found);
		return;
	}
	if (task_follow(c, result) || !check_type(c, found))
		return;
	c->reply->outcome =
		value_type(found[RELAY_RESULT_IS_ERROR]) == VALUE_TRUE
			? OUTCOME_TOOL_ERROR
			: OUTCOME_SUCCESS;
	how = published(c);
	if (publish_concerns(&how, result) ||
	    (c->client == VIEW_LEGACY &&
	     (found[RELAY_RESULT_TYPE].at || found[RELAY_RESULT_TTL].at ||
	      found[RELAY_RESULT_SCOPE].at))) {
		result = rewrite(c, found, &how);
		if (buf_err(&c->out) < 0) {
			relay_nonsense(c, "its result is too large");
			return;
		}
	}
	if (downgrades(c))
		result = downgrade_result(c->caller.revision, c->method->id,
		                          result, &older);
	if (buf_err(&older) < 0) {
		relay_nonsense(c, "its result is too large");
		return;
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
	buf_free(&older);
}

/* ---- errors of the backend ---- */

/* Codes that mean something only between the backend and us. */
static bool ours_alone(const struct call *c, int64_t code)
{
	if (code == RPC_LEGACY_URL && c->server == VIEW_LEGACY)
		return false;
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
	uri_make_public(snapshot_text(c->snap, b->identifier),
	                span_of(own, (size_t)n), &uri);
	buf_reset(&c->out);
	buf_puts(&c->out, "{\"uri\":");
	buf_add_json(&c->out, buf_span(&uri));
	buf_putc(&c->out, '}');
	buf_free(&uri);
	return buf_err(&c->out) == 0 ? buf_span(&c->out) : span_of("", 0);
}

/*
 * The legacy error that sends the user to a URL (-32042, MCP 2025-11-25), as a
 * result that asks for it; the request is made anew when the user was there.
 */
static bool deliver_urls(struct call *c, struct span data)
{
	struct span urls = value_type(data) == VALUE_OBJECT
	                           ? value_get(data, SPAN("elicitations"))
	                           : span_of(NULL, 0);
	struct buf out = { .max = SIZE_MAX / 4 };
	struct value_iter it;
	struct span one;
	unsigned n = 0;
	bool good;

	if (!(c->abilities & CLIENT_URL) || !call_takes_input(c) ||
	    value_type(urls) != VALUE_ARRAY)
		return false;
	buf_puts(&out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&out, buf_span(&c->client_id));
	buf_puts(&out, ",\"result\":{\"resultType\":\"input_required\","
	               "\"inputRequests\":{");
	value_iter_init(&it, urls);
	while (value_array_next(&it, &one) && n < WAITING_QUESTIONS_MAX) {
		if (question_kind(SPAN("\"elicitation/create\""), one) !=
		    QUESTION_URL)
			continue;
		buf_addf(&out,
		         "%s\"url%u\":{\"method\":\"elicitation/create\","
		         "\"params\":",
		         n ? "," : "", n + 1);
		question_params(QUESTION_URL, one, REVISION_2026_07_28,
		                span_of("", 0), &out);
		buf_putc(&out, '}');
		n++;
	}
	buf_puts(&out, "},\"requestState\":");
	good = n > 0 && seal_state(c, span_of("", 0), &out);
	buf_puts(&out, "}}");
	if (good && buf_err(&out) == 0) {
		struct parts p = { .n = 0 };

		parts_add(&p, buf_span(&out));
		c->reply->outcome = OUTCOME_SUCCESS;
		finish(c, 200, &p);
	}
	good = good && buf_err(&out) == 0;
	buf_free(&out);
	return good;
}

/* A legacy client must go to a URL first: one that knows how is told so. */
static void deliver_url_error(struct call *c, const struct span *found)
{
	struct buf text = { .max = c->out.max };

	if (c->caller.revision >= REVISION_2025_11_25) {
		finish_error(c, 200, RPC_LEGACY_URL, found[RELAY_ERROR_MESSAGE],
		             found[RELAY_ERROR_DATA]);
		return;
	}
	downgrade_url_error(found[RELAY_ERROR_MESSAGE], found[RELAY_ERROR_DATA],
	                    &text);
	if (buf_err(&text) < 0)
		relay_nonsense(c, "its error is too large");
	else
		finish_error(c, 200, RPC_INTERNAL, buf_span(&text),
		             span_of("", 0));
	buf_free(&text);
}

/* The request needs a capability that it does not declare. */
static void deliver_missing(struct call *c)
{
	struct buf data = { .max = 256 };

	buf_puts(&data, "{\"requiredCapabilities\":");
	buf_add_span(&data, question_capability(c->missing - 1u));
	buf_putc(&data, '}');
	c->reply->outcome = OUTCOME_ERROR;
	c->reply->error = "the client lacks a capability";
	finish_error(c, 400, RPC_MISSING_CAPABILITY,
	             SPAN("\"Missing required client capability\""),
	             buf_span(&data));
	buf_free(&data);
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
	if (code == RPC_LEGACY_URL && c->client == VIEW_LEGACY) {
		c->reply->outcome = OUTCOME_ERROR;
		c->reply->error = "the backend sends its client to a URL";
		deliver_url_error(c, found);
		return;
	}
	if (ours_alone(c, code)) {
		relay_fail(c, OUTCOME_ERROR,
		           "it refuses how the gateway speaks to it (%d)",
		           (int)code);
		return;
	}
	/* It fails with our word that the client cannot be asked that. */
	if (c->client == VIEW_MODERN && code == RPC_NO_METHOD && c->missing) {
		deliver_missing(c);
		return;
	}
	if (c->client == VIEW_MODERN && code == RPC_LEGACY_URL) {
		if (!deliver_urls(c, found[RELAY_ERROR_DATA]))
			relay_fail(c, OUTCOME_ERROR,
			           "it needs its user to visit a URL, which "
			           "this client cannot show");
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
