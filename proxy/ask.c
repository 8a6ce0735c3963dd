#include "proxy/ask.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "lib/version.h"
#include "proxy/extension.h"

#define LEGACY_OFFER "2025-11-25"
#define CLIENT_INFO  "{\"name\":\"oci-mcp-gateway\",\"version\":\"" VERSION "\"}"

/* Backends may list the tools of MCP Apps only to who shows them; which of our
 * clients do is not known here, so it is what all of them together can do. */
#define CAPABILITIES "{\"extensions\":{" EXTENSION_UI_CLIENT "}}"

/* The metadata of every modern request. */
#define META                                                      \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":" \
	"\"" ASK_MODERN_VERSION "\","                             \
	"\"io.modelcontextprotocol/clientInfo\":" CLIENT_INFO "," \
	"\"io.modelcontextprotocol/clientCapabilities\":" CAPABILITIES "}"

#define LINGER_MS        100  /* for a body to end behind its answer */
#define REPLY_TIMEOUT_MS 5000 /* for what nobody waits for */
#define WHAT_MAX         256  /* bytes of a reason with words around it */
#define FIELDS_MAX       131072

static const char *const methods[] = {
	[ASK_DISCOVER] = "server/discover",
	[ASK_INITIALIZE] = "initialize",
	[ASK_INITIALIZED] = "notifications/initialized",
	[ASK_LIST] = "",
	[ASK_PING] = "ping",
	[ASK_LISTEN] = "subscriptions/listen",
	[ASK_GET_STREAM] = "GET",
};

static const char *const list_methods[LIST_KINDS] = {
	[LIST_TOOLS] = "tools/list",
	[LIST_PROMPTS] = "prompts/list",
	[LIST_RESOURCES] = "resources/list",
	[LIST_TEMPLATES] = "resources/templates/list",
};

/* --- sentences -------------------------------------------------------------
 */

static const char *method_name(const struct ask *a)
{
	return a->method == ASK_LIST ? list_methods[a->kind]
	                             : methods[a->method];
}

/* "backend NAME: METHOD ..." */
static const char *complain(const struct ask *a, const char *what)
{
	struct ask_peer *p = a->peer;

	snprintf(p->error, sizeof(p->error), "backend %s: %s %s", p->name,
	         method_name(a), what);
	return p->error;
}

const char *ask_explain(const struct ask *a, enum ask_ending how)
{
	char what[WHAT_MAX];

	if (a->bad)
		snprintf(what, sizeof(what), "answered %s", a->bad);
	else if (how == ASK_ERROR)
		snprintf(what, sizeof(what), "answered JSON-RPC error %lld",
		         (long long)a->code);
	else if (how == ASK_STATUS && (a->status == 401 || a->status == 403))
		snprintf(what, sizeof(what),
		         "answered HTTP %d: the credentials are missing or "
		         "not accepted",
		         a->status);
	else if (how == ASK_STATUS)
		snprintf(what, sizeof(what), "answered HTTP %d", a->status);
	else if (how == ASK_NO_ANSWER)
		snprintf(what, sizeof(what), "failed: %s", a->why);
	else if (a->box.bad)
		snprintf(what, sizeof(what), "answered no good JSON: %s",
		         a->box.bad);
	else
		snprintf(what, sizeof(what),
		         "answered HTTP %d without a JSON-RPC answer",
		         a->status);
	return complain(a, what);
}

/* --- one exchange ----------------------------------------------------------
 */

void ask_stop(struct ask *a)
{
	if (a->f)
		fetch_cancel(a->f);
	a->f = NULL;
	loop_timer_stop(a->peer->loop, &a->timer);
}

static enum ask_ending ending_of(const struct ask *a)
{
	if (a->answered && !a->bad)
		return a->is_error ? ASK_ERROR : ASK_RESULT;
	if (a->status >= 200 && a->status <= 299)
		return a->method == ASK_INITIALIZED ? ASK_ACCEPTED
		                                    : ASK_NOT_UNDERSTOOD;
	return a->bad ? ASK_NOT_UNDERSTOOD : ASK_STATUS;
}

/* The owner may free a in on_done: nothing of a is looked at after it. */
static void finish(struct ask *a, enum ask_ending how)
{
	ask_stop(a);
	a->on_done(a, how);
}

static void on_linger(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	finish(a, ending_of(a));
}

static void on_late(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	snprintf(a->why, sizeof(a->why), "no whole answer in %llu ms",
	         (unsigned long long)a->peer->timeout_ms);
	finish(a, ASK_NO_ANSWER);
}

static void on_unsendable(struct timer *t)
{
	struct ask *a = CONTAINER_OF(t, struct ask, timer);

	snprintf(a->why, sizeof(a->why), "the request cannot be sent");
	finish(a, ASK_NO_ANSWER);
}

static bool is_stream(const struct ask *a)
{
	return a->method == ASK_LISTEN || a->method == ASK_GET_STREAM;
}

static void hear(struct ask_peer *p, struct span method)
{
	static const struct {
		struct span method;
		enum list_kind kind;
	} changes[] = {
		{ { "notifications/tools/list_changed", 32 }, LIST_TOOLS },
		{ { "notifications/prompts/list_changed", 34 }, LIST_PROMPTS },
		{ { "notifications/resources/list_changed", 36 },
		  LIST_RESOURCES },
	};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (value_string_eq(method, changes[i].method))
			p->on_announced(p, changes[i].kind);
}

static void answer_request(struct ask *a, struct span id, struct span method);

/* An error without an id, or with null, belongs to the request that the
 * answer's status refuses (MCP, transports: errors of the transport). */
static bool is_ours(struct ask *a, const struct span found[])
{
	int64_t id;

	if (value_integer(found[INBOX_ID], &id)) {
		a->own_id = id == a->id;
		return a->own_id;
	}
	return found[INBOX_ERROR].at && a->status >= 400 &&
	       (!found[INBOX_ID].at ||
	        value_type(found[INBOX_ID]) == VALUE_NULL);
}

static void take_error(struct ask *a, const struct span found[])
{
	a->is_error = true;
	if (!value_integer(found[INBOX_CODE], &a->code))
		a->bad = "an error without a code";
	if (a->on_error)
		a->on_error(a, found);
}

static void on_message(struct inbox *box, const struct span found[])
{
	struct ask *a = CONTAINER_OF(box, struct ask, box);
	struct ask_peer *p = a->peer;

	if (found[INBOX_METHOD].at) {
		if (found[INBOX_ID].at)
			answer_request(a, found[INBOX_ID], found[INBOX_METHOD]);
		else
			hear(p, found[INBOX_METHOD]);
		return;
	}
	if (a->answered || !is_ours(a, found))
		return;
	a->answered = true;
	if (a->method == ASK_PING || a->method == ASK_DISCOVER ||
	    a->method == ASK_INITIALIZE)
		p->latency_us = (uint32_t)MIN(clock_mono_us() - a->began_us,
		                              UINT32_MAX);
	if (found[INBOX_ERROR].at) {
		take_error(a, found);
	} else if (value_type(found[INBOX_RESULT]) != VALUE_OBJECT) {
		a->bad = "a result that is no object";
	} else if (found[INBOX_RESULT_TYPE].at &&
	           !value_string_eq(found[INBOX_RESULT_TYPE],
	                            SPAN("complete"))) {
		a->bad = "a result of an unknown type";
	} else if (a->on_result) {
		a->on_result(a, found);
	}
}

/* A legacy session begins (MCP 2025-11-25, session management). */
static void take_session(struct ask *a, struct span id)
{
	struct ask_session *to = a->opens;

	to->id[0] = '\0';
	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] <= 0x20 || id.at[i] >= 0x7f)
			a->bad = "an unusable session identifier";
	if (id.len > ASK_SESSION_MAX)
		a->bad = "an unusable session identifier";
	if (!a->bad)
		snprintf(to->id, sizeof(to->id), "%.*s", SPAN_ARG(id));
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct ask *a = fetch_owner(f);

	a->status = head->status;
	if (is_stream(a) && head->status == 200) {
		a->open = true;
		fetch_set_idle(f, a->peer->stream_idle_ms);
	}
	if (a->method == ASK_INITIALIZE)
		take_session(a, head->mcp_session_id);
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct ask *a = fetch_owner(f);
	bool before = a->answered;

	a->taken += body.len;
	if (!a->bad && (!inbox_feed(&a->box, body) ||
	                (a->max_taken && a->taken > a->max_taken)))
		a->bad = "more than fits";
	if (a->bad)
		finish(a, ending_of(a));
	/* Nobody has to end an event stream behind the answer in it. */
	else if (!before && a->answered && a->box.form == INBOX_EVENTS &&
	         !is_stream(a))
		loop_timer(a->peer->loop, &a->timer, LINGER_MS, on_linger);
	return body.len;
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct ask *a = fetch_owner(f);

	a->f = NULL;
	if (err == 0)
		inbox_end(&a->box);
	if (err < 0 && !a->answered && !a->bad) {
		snprintf(a->why, sizeof(a->why), "%s", sentence);
		finish(a, ASK_NO_ANSWER);
	} else {
		finish(a, ending_of(a));
	}
}

static const struct fetch_events ask_events = { on_head, on_body, on_end };

static void add_fields(const struct ask_peer *p, const struct ask *a,
                       struct buf *out)
{
	bool session = a->era == VIEW_LEGACY && a->method != ASK_INITIALIZE;

	buf_puts(out, "User-Agent: oci-mcp-gateway/" VERSION "\r\n");
	if (a->method == ASK_GET_STREAM)
		buf_puts(out, "Accept: text/event-stream\r\n");
	else
		buf_puts(out, "Content-Type: application/json\r\n"
		              "Accept: application/json, "
		              "text/event-stream\r\n");
	if (a->era == VIEW_MODERN)
		buf_addf(out,
		         "MCP-Protocol-Version: " ASK_MODERN_VERSION "\r\n"
		         "Mcp-Method: %s\r\n",
		         method_name(a));
	if (session && p->session.version[0])
		buf_addf(out, "MCP-Protocol-Version: %s\r\n",
		         p->session.version);
	if (session && p->session.id[0])
		buf_addf(out, "Mcp-Session-Id: %s\r\n", p->session.id);
	buf_puts(out, p->fields);
}

static struct fetch_request request(const struct ask_peer *p)
{
	return (struct fetch_request){
		.url = span_str(p->url),
		.ca_pem = span_str(p->ca_pem),
		.addresses = p->addresses,
		.n_addresses = p->n_addresses,
		.connect_timeout_ms = p->connect_timeout_ms,
	};
}

/* Send body, or nothing; the answer comes to on_done. */
static void start(struct ask *a, struct buf *body)
{
	struct ask_peer *p = a->peer;
	struct fetch_request req = request(p);
	struct buf fields = { .max = FIELDS_MAX };

	assert(!a->f);
	inbox_fini(&a->box);
	a->box.max = is_stream(a) ? ASK_EVENT_MAX : ASK_BYTES_MAX;
	a->box.on_message = on_message;
	a->status = 0;
	a->answered = a->own_id = a->is_error = a->open = false;
	a->bad = NULL;
	a->why[0] = '\0';
	a->began_us = clock_mono_us();
	a->began_ms = loop_now_ms(p->loop);
	add_fields(p, a, &fields);
	req.method = a->method == ASK_GET_STREAM ? SPAN("GET") : SPAN("POST");
	req.fields = buf_span(&fields);
	req.body = buf_span(body);
	req.repeatable = true; /* nothing of this changes the backend */
	req.answer_timeout_ms = is_stream(a) ? p->stream_idle_ms : 0;
	req.events = &ask_events;
	req.owner = a;
	if (buf_err(&fields) == 0 && buf_err(body) == 0)
		a->f = fetch_start(p->fetcher, &req);
	if (!a->f)
		loop_timer(p->loop, &a->timer, 1, on_unsendable);
	else if (!is_stream(a))
		loop_timer(p->loop, &a->timer, p->timeout_ms, on_late);
	buf_free(&fields);
	buf_free(body);
}

void ask_send(struct ask *a, enum view_era era, enum ask_method method,
              struct span params)
{
	struct ask_peer *p = a->peer;
	struct buf body = { .max = ASK_PARAMS_MAX + 4096 };

	a->era = era;
	a->method = method;
	a->id = ++p->next_id;
	if (method == ASK_GET_STREAM) {
		start(a, &body);
		return;
	}
	buf_puts(&body, "{\"jsonrpc\":\"2.0\",");
	if (method != ASK_INITIALIZED)
		buf_addf(&body, "\"id\":%u,", a->id);
	buf_addf(&body, "\"method\":\"%s\",\"params\":{", method_name(a));
	if (era == VIEW_MODERN)
		buf_puts(&body, META);
	if (method == ASK_INITIALIZE)
		buf_puts(&body, "\"protocolVersion\":\"" LEGACY_OFFER "\","
		                "\"capabilities\":" CAPABILITIES
		                ",\"clientInfo\":" CLIENT_INFO);
	if (params.len)
		buf_addf(&body, "%s%.*s", era == VIEW_MODERN ? "," : "",
		         SPAN_ARG(params));
	buf_puts(&body, "}}");
	start(a, &body);
}

/* --- what nobody waits for -------------------------------------------------
 */

static size_t drop_body(struct fetch *f, struct span body)
{
	(void)f;
	return body.len;
}

static void drop_end(struct fetch *f, int err, const char *sentence)
{
	(void)f;
	(void)err;
	(void)sentence;
}

static const struct fetch_events errand_events = { NULL, drop_body, drop_end };

static void send_errand(struct ask_peer *p, const char *method,
                        const struct ask_session *session,
                        const struct buf *body)
{
	struct fetch_request req = request(p);
	struct buf fields = { .max = FIELDS_MAX };

	buf_puts(&fields, "User-Agent: oci-mcp-gateway/" VERSION "\r\n"
	                  "Accept: application/json, text/event-stream\r\n");
	if (body->len)
		buf_puts(&fields, "Content-Type: application/json\r\n");
	if (session->version[0])
		buf_addf(&fields, "MCP-Protocol-Version: %s\r\n",
		         session->version);
	if (session->id[0])
		buf_addf(&fields, "Mcp-Session-Id: %s\r\n", session->id);
	buf_puts(&fields, p->fields);
	req.method = span_str(method);
	req.fields = buf_span(&fields);
	req.body = buf_span(body);
	req.answer_timeout_ms = REPLY_TIMEOUT_MS;
	req.idle_timeout_ms = REPLY_TIMEOUT_MS;
	req.max_bytes = ASK_EVENT_MAX;
	req.events = &errand_events;
	if (buf_err(&fields) == 0)
		(void)fetch_start(p->fetcher, &req);
	buf_free(&fields);
}

/* A request of the server's: it may want to know that we live (ping); all else
 * we have declared not to be able to. */
static void answer_request(struct ask *a, struct span id, struct span method)
{
	struct ask_peer *p = a->peer;
	struct buf body = { .max = 4096 };

	if (a->era != VIEW_LEGACY || !p->session.open || id.len > 256)
		return;
	buf_addf(&body, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,", SPAN_ARG(id));
	if (value_string_eq(method, SPAN("ping")))
		buf_puts(&body, "\"result\":{}}");
	else
		buf_addf(&body,
		         "\"error\":{\"code\":%d,\"message\":"
		         "\"Method not found\"}}",
		         ASK_CODE_METHOD_NOT_FOUND);
	if (buf_err(&body) == 0)
		send_errand(p, "POST", &p->session, &body);
	buf_free(&body);
}

void ask_end_session(struct ask_peer *p, struct ask_session *session)
{
	struct buf nothing = { 0 };

	if (session->id[0])
		send_errand(p, "DELETE", session, &nothing);
	*session = (struct ask_session){ 0 };
}
