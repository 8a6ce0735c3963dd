#include "worker/request.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/media.h"
#include "lib/value.h"
#include "proxy/catalog.h"
#include "proxy/mirror.h"
#include "proxy/task.h"
#include "worker/access.h"
#include "worker/answer.h"
#include "worker/batch.h"
#include "worker/cancel.h"
#include "worker/clientsession.h"
#include "worker/handover.h"
#include "worker/listen.h"
#include "worker/local.h"
#include "worker/login.h"
#include "worker/record.h"
#include "worker/resume.h"
#include "worker/stream.h"
#include "worker/subscribe.h"

#define CLIENT_GONE 499 /* the status recorded when the client left */

/* ---- begin and end ---- */

static struct request *take(struct worker *w)
{
	struct request *r = w->spare_requests;

	if (r) {
		w->spare_requests = r->next;
		r->next = NULL;
		return r;
	}
	r = calloc(1, sizeof(*r));
	if (r)
		count_own(&w->me->memory_bytes, sizeof(*r));
	return r;
}

static bool id_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

/* The client's request id when it is harmless, else one of ours. */
static void set_request_id(struct request *r, struct worker *w,
                           const struct h1_head *head)
{
	static const char digits[] = "0123456789abcdef";
	struct span given =
		head ? h1_value(head, H1_X_REQUEST_ID) : span_of(NULL, 0);
	bool good = given.len > 0 && given.len <= REQUEST_ID_MAX;
	uint64_t n = w->id_base + w->next_request++;

	for (size_t i = 0; good && i < given.len; i++)
		good = id_byte((unsigned char)given.at[i]);
	if (good) {
		memcpy(r->request_id, given.at, given.len);
		r->request_id_len = given.len;
		return;
	}
	for (size_t i = 0; i < 16; i++)
		r->request_id[i] = digits[n >> (60 - 4 * i) & 15];
	r->request_id_len = 16;
}

/* Whoever handed it over knows who the client is. */
static void set_handed_over(struct request *r, const struct h1_head *head)
{
	struct ip ip;

	if (ip_parse(h1_value(head, H1_X_FORWARDED_FOR), &ip))
		r->client = ip;
	r->proxied_tls = span_is(h1_value(head, H1_X_FORWARDED_PROTO), "https");
}

static void set_client(struct request *r, const struct conn *c,
                       const struct h1_head *head)
{
	const struct snapshot *snap = r->snap;

	r->client = c->peer;
	r->proxied_tls = false;
	r->hops = (uint8_t)handover_hops(snap, head);
	if (r->hops != HANDOVER_NONE) {
		set_handed_over(r, head);
		return;
	}
	if (!c->trusted)
		return;
	if (h1_has(head, H1_X_FORWARDED_FOR))
		r->client = ip_forwarded_for(
			h1_last_value(head, H1_X_FORWARDED_FOR),
			snapshot_array(snap, snap->head->trusted),
			snap->head->trusted.len, c->peer);
	r->proxied_tls = span_eq_nocase(
		h1_last_value(head, H1_X_FORWARDED_PROTO), SPAN("https"));
}

/* One that nothing is known of yet, by this snapshot. */
static struct request *fresh(struct conn *c, struct snapshot *snap,
                             const struct reply_ops *ops)
{
	struct request *r = take(c->w);

	if (!r)
		return NULL;
	r->conn = c;
	r->snap = snapshot_ref(snap);
	r->reply = (struct reply){ .ops = ops, .outcome = OUTCOME_ERROR };
	r->started_us = clock_mono_us();
	r->bytes_in = 0;
	r->bytes_out = 0;
	r->entry = NULL;
	r->method = NULL;
	r->status = 0;
	r->backend = UINT32_MAX;
	r->chunked = false;
	r->head_only = false;
	r->endpoint = false;
	r->allow_origin = false;
	r->hops = HANDOVER_NONE;
	r->session = span_of("", 0);
	r->call = NULL;
	r->caller = (struct caller){ .revision = REVISION_2026_07_28 };
	r->verb = H1_OTHER;
	r->principal.everything = true;
	r->path[0] = '\0';
	r->keep_alive = false;
	r->batch = NULL;
	r->element = NULL;
	return r;
}

static struct request *begin(struct conn *c, const struct h1_request *head)
{
	struct worker *w = c->w;
	struct request *r = fresh(c, w->snap, &answer_ops);

	if (!r)
		return NULL;
	c->req = r;
	set_request_id(r, w, head ? &head->head : NULL);
	if (!head) {
		r->client = c->peer;
		return r;
	}
	set_client(r, c, &head->head);
	r->verb = head->method;
	r->head_only = head->method == H1_HEAD;
	r->keep_alive = head->head.keep_alive;
	r->http10 = head->head.minor == 0;

	size_t n = MIN(head->path.len, sizeof(r->path) - 1);
	memcpy(r->path, head->path.at, n);
	r->path[n] = '\0';
	return r;
}

static void recycle(struct worker *w, struct request *r)
{
	stream_leave(r);
	cancel_forget(r);
	call_give(r->call);
	r->call = NULL;
	handover_end(r->handover);
	r->handover = NULL;
	login_end(r->login);
	r->login = NULL;
	buf_free(&r->sessions);
	builtin_end(r->builtin);
	r->builtin = NULL;
	batch_free(r->batch);
	r->batch = NULL;
	subscribe_end(r->subscribing);
	r->subscribing = NULL;
	snapshot_unref(r->snap);
	r->snap = NULL;
	r->conn = NULL;
	r->next = w->spare_requests;
	w->spare_requests = r;
}

void request_end(struct request *r)
{
	struct conn *c = r->conn;
	struct worker *w = c->w;

	record_request(w, r);
	recycle(w, r);
	conn_done(c);
}

struct request *request_element(struct request *whole, struct element *element,
                                const struct reply_ops *ops)
{
	struct request *r = fresh(whole->conn, whole->snap, ops);

	if (!r)
		return NULL;
	r->element = element;
	r->caller = whole->caller;
	r->principal = whole->principal;
	r->client = whole->client;
	r->proxied_tls = whole->proxied_tls;
	r->verb = whole->verb;
	r->endpoint = true;
	r->request_id_len = whole->request_id_len;
	memcpy(r->request_id, whole->request_id, whole->request_id_len);
	/* Whether an answer can be an event is the batch's to decide. */
	r->reply.accepts_json = true;
	r->reply.accepts_events = whole->reply.accepts_events;
	return r;
}

void request_end_element(struct request *r)
{
	struct worker *w = r->conn->w;

	record_element(w, r);
	recycle(w, r);
}

void request_cancel(struct request *r)
{
	struct worker *w = r->conn->w;

	if (r->batch)
		batch_cancel(r->batch);
	cancel_left(r);
	if (r->call)
		call_cancel(r->call);
	builtin_end(r->builtin);
	r->builtin = NULL;
	if (r->status == 0)
		r->status = CLIENT_GONE;
	/* A subscription ends in no other way. */
	r->reply.outcome = r->stream ? OUTCOME_SUCCESS : OUTCOME_CANCELLED;
	if (r->element)
		record_element(w, r);
	else
		record_request(w, r);
	recycle(w, r);
}

void request_fini(struct worker *w)
{
	while (w->spare_requests) {
		struct request *r = w->spare_requests;

		w->spare_requests = r->next;
		buf_free(&r->id);
		free(r);
	}
}

void request_drained(struct request *r)
{
	if (r->batch)
		batch_resume(r->batch);
	if (r->call)
		call_resume(r->call);
	if (r->handover)
		handover_resume(r->handover);
	stream_drained(r);
}

void request_busy(struct request *r, struct span id)
{
	struct problem p;

	problem_set(&p, 503, RPC_BUSY, "Out of memory");
	answer_problem(r, &p, id, SPAN("Retry-After: 1\r\n"));
}

void request_refuse(struct conn *c, int status, const char *text)
{
	struct problem p;
	struct request *r = begin(c, NULL);

	c->close = true;
	c->state = CONN_BUSY;
	if (!r) {
		conn_abort(c);
		return;
	}
	problem_set(&p, status,
	            status == 429 || status == 503 ? RPC_BUSY
	                                           : RPC_INVALID_REQUEST,
	            "%s", text);
	answer_problem(r, &p, span_of("", 0),
	               status == 429 || status == 503
	                       ? SPAN("Retry-After: 1\r\n")
	                       : span_of("", 0));
}

/* ---- methods that a backend answers ---- */

/* To its backend; or it goes on with a call that waits for it. */
static void start_call(struct request *r, const struct h1_request *head,
                       struct span body, struct message *m,
                       const struct route *route)
{
	struct sealed_room room;
	struct problem p;
	enum resume_result result =
		resume_request(r, head, body, m, route, &room, &p);

	if (result == RESUME_REFUSED)
		answer_problem(r, &p, m->id, span_of("", 0));
	if (result == RESUME_NONE) {
		r->call = call_take(&r->conn->w->proxy);
		if (!r->call) {
			request_busy(r, m->id);
		} else {
			r->call->caller = r->caller;
			r->call->reply = &r->reply;
			r->call->snap = r->snap;
			call_start(r->call, m, &head->head, route);
		}
	}
	sealed_free(&room);
}

static bool find_route(const struct request *r, const struct message *m,
                       struct route *route, struct scope_set *needs,
                       struct problem *p)
{
	if (m->method->work == WORK_BY_TASK)
		return task_route(r->snap, &r->caller, m, route, needs, p);
	if (!route_find(r->snap, m, route, p))
		return false;
	if (route->entry)
		*needs = route->entry->needs;
	else if (m->method->id == METHOD_TOOLS_CALL)
		catalog_needs(r->snap, route->backend,
		              span_of(route->public_name, route->public_len),
		              needs);
	else
		*needs = snapshot_backend(r->snap, route->backend)->needs;
	return true;
}

static void forward(struct request *r, const struct h1_request *head,
                    struct span body, struct message *m)
{
	struct worker *w = r->conn->w;
	struct route route;
	struct problem p;
	struct scope_set needs;

	if (!find_route(r, m, &route, &needs, &p)) {
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	r->entry = route.entry;
	if (!route.own)
		r->backend = route.backend;
	if (!access_permit(r, head, &needs, m->id))
		return;
	if (route.own) {
		local_own_tool(r, m, route.entry);
		return;
	}
	if (m->method->ability == ABILITY_SUBSCRIBE) {
		subscribe_start(r, head, body, m, &route);
		return;
	}
	if (m->era == VIEW_MODERN && m->method->id == METHOD_TOOLS_CALL &&
	    !mirror_check(r->snap, route.entry, &head->head, m->arguments,
	                  &p)) {
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	if (route.entry &&
	    snapshot_backend(r->snap, route.backend)->flags & BACKEND_OCI) {
		builtin_start(w->builtin, &r->reply, r->snap, m, &route,
		              access_may_write(r), &r->builtin);
		return;
	}
	start_call(r, head, body, m, &route);
}

static void dispatch(struct request *r, const struct h1_request *head,
                     struct span body, struct message *m)
{
	const struct view *view = snapshot_view(r->snap, m->era);
	struct problem p;

	r->method = m->method;
	r->era = m->era;
	if (m->method->ability && !(view->abilities & m->method->ability)) {
		problem_set(&p, m->era == VIEW_MODERN ? 404 : 200,
		            RPC_NO_METHOD,
		            "Method not found: no backend offers %.*s",
		            SPAN_ARG(m->method->name));
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	switch (m->method->work) {
	case WORK_INITIALIZE:
	case WORK_EMPTY:
	case WORK_DISCOVER:
	case WORK_LIST:
		local_method(r, m);
		return;
	case WORK_SET_LEVEL:
		if (r->caller.session)
			handover_tell(r, head, body, false);
		local_method(r, m);
		return;
	case WORK_LISTEN:
		listen_open(r, head, m);
		return;
	case WORK_BY_NAME:
	case WORK_BY_URI:
	case WORK_BY_REF:
	case WORK_BY_TASK:
	case WORK_SOLE:
		forward(r, head, body, m);
		return;
	}
}

/* ---- the endpoint ---- */

/*
 * Does the client ask for event streams by name? One that takes anything
 * ("curl" says so by default) gets a single JSON document.
 */
static bool names_events(const struct h1_head *h)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (h->fields[i].known == H1_ACCEPT &&
		    memmem(h->fields[i].value.at, h->fields[i].value.len,
		           "event-stream", 12))
			return true;
	return false;
}

static bool check_head(struct request *r, const struct h1_request *head)
{
	const struct h1_head *h = &head->head;
	struct problem p;

	if (r->verb == H1_DELETE && clientsession_can_end(r, h))
		return true;

	if (r->verb == H1_GET) {
		listen_get(r, head);
		return false;
	}
	if (r->verb != H1_POST) {
		problem_set(&p, 405, RPC_INVALID_REQUEST,
		            "POST a JSON-RPC message to this path; probes are "
		            "answered at /health and /ready");
		answer_problem(r, &p, span_of("", 0),
		               SPAN("Allow: POST, OPTIONS\r\n"));
		return false;
	}
	if (!media_type_is(h1_value(h, H1_CONTENT_TYPE),
	                   SPAN("application/json")) ||
	    h->seen[H1_CONTENT_TYPE] != 1 ||
	    !media_charset_ok(h1_value(h, H1_CONTENT_TYPE))) {
		problem_set(&p, 415, RPC_INVALID_REQUEST,
		            "Content-Type must be application/json (UTF-8)");
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (h1_has(h, H1_CONTENT_ENCODING) &&
	    !span_eq_nocase(h1_value(h, H1_CONTENT_ENCODING),
	                    SPAN("identity"))) {
		problem_set(&p, 415, RPC_INVALID_REQUEST,
		            "Content-Encoding is not accepted; send the body "
		            "as it is");
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	r->reply.accepts_json =
		media_head_accepts(h, SPAN("application"), SPAN("json"));
	/* Streams go only to clients that ask for them by name. */
	r->reply.accepts_events =
		h1_has(h, H1_ACCEPT) &&
		media_head_accepts(h, SPAN("text"), SPAN("event-stream")) &&
		names_events(h);
	if (!r->reply.accepts_json && !r->reply.accepts_events) {
		problem_set(&p, 406, RPC_INVALID_REQUEST,
		            "Accept must allow application/json or "
		            "text/event-stream");
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	return true;
}

/* Everything that can be judged without the body. False: answered. */
static bool judge(struct request *r, const struct h1_request *head,
                  enum page *page, bool *is_page)
{
	struct span path = snapshot_text(r->snap, r->snap->head->path);
	struct problem p;

	/* The port of the workers is for them alone. */
	if (r->conn->handover && r->hops != HANDOVER_WORKER) {
		problem_set(&p, 403, RPC_FORBIDDEN,
		            "This port is not for clients");
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	*is_page = page_find(head->path, path, page);
	r->endpoint = !*is_page && span_eq(head->path, path);
	/* Probes by address or by any name must work. */
	if (*is_page && *page != PAGE_RESOURCE_METADATA)
		return true;
	if (!access_source(r, head, &p)) {
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (*is_page)
		return true;
	if (!r->endpoint) {
		problem_set(&p, 404, RPC_INVALID_REQUEST,
		            "Not found: the MCP endpoint is %.*s",
		            SPAN_ARG(path));
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (r->verb == H1_OPTIONS)
		return true;
	return access_identify(r, head) && check_head(r, head);
}

bool request_precheck(struct conn *c, const struct h1_request *head)
{
	struct request *r = begin(c, head);
	enum page page;
	bool is_page;

	if (!r) {
		conn_abort(c);
		return false;
	}
	c->close = true; /* its body would come behind the answer */
	if (!judge(r, head, &page, &is_page))
		return false;
	c->close = false;
	c->req = NULL;
	recycle(c->w, r);
	return true;
}

void request_message(struct request *r, const struct h1_request *head,
                     struct span body, struct message *m)
{
	if (m->kind == MESSAGE_REQUEST) {
		if (r->caller.session)
			cancel_watch(r, m->id);
		dispatch(r, head, body, m);
		return;
	}
	/* Notifications and answers: taken, nothing to say. */
	if (m->kind == MESSAGE_NOTIFICATION)
		cancel_take(r, head, body, m);
	if (m->kind == MESSAGE_RESPONSE && resume_response(r, head, body, m))
		return;
	r->reply.outcome = OUTCOME_SUCCESS;
	r->reply.ops->whole(&r->reply, 202, REPLY_NONE, NULL, 0);
}

void request_serve(struct conn *c, const struct h1_request *head,
                   struct span body)
{
	struct request *r = begin(c, head);
	struct message m;
	struct problem p;
	enum page page;
	bool is_page;

	if (!r) {
		conn_abort(c);
		return;
	}
	r->bytes_in = head->head.bytes + body.len;
	if (!judge(r, head, &page, &is_page))
		return;
	if (is_page) {
		local_page(r, head, page);
		return;
	}
	if (r->verb == H1_OPTIONS) {
		local_preflight(r);
		return;
	}
	if (r->verb == H1_DELETE) {
		clientsession_end(r, head);
		return;
	}
	if (!message_read(&head->head, body, &m, &p)) {
		r->caller.revision = message_head_revision(&head->head);
		r->method = m.method;
		r->era = m.era;
		answer_problem(r, &p, p.has_id ? m.id : span_of("", 0),
		               span_of("", 0));
		return;
	}
	if (!clientsession_read(r, &head->head, &m, &p)) {
		answer_problem(r, &p, m.id, span_of("", 0));
		return;
	}
	if (m.kind == MESSAGE_BATCH)
		batch_start(r, head, body);
	else
		request_message(r, head, body, &m);
}
