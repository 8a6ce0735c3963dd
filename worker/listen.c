#include "worker/listen.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/media.h"
#include "lib/value.h"
#include "proxy/rejoin.h"
#include "proxy/task.h"
#include "worker/access.h"
#include "worker/aim.h"
#include "worker/answer.h"
#include "worker/clientsession.h"
#include "worker/stream.h"

/* A number that is a macro, in a literal. */
#define DIGITS(n) #n
#define TEXT(n)   DIGITS(n)

static void refuse(struct request *r, int status, int code, struct span id,
                   const char *fields, const char *text)
{
	struct problem p;

	problem_set(&p, status, code, "%s", text);
	answer_problem(r, &p, id, span_str(fields));
}

static void too_many(struct request *r, struct span id)
{
	count_own(&r->conn->w->me->refused, 1);
	refuse(r, 503, RPC_BUSY, id, "Retry-After: 1\r\n",
	       "Too many open event streams");
}

static bool allows_events(const struct h1_head *h)
{
	return media_head_accepts(h, SPAN("text"), SPAN("event-stream"));
}

/* ---- subscriptions/listen ---- */

static const struct {
	uint8_t bit;
	const char *flag;
} flags[] = {
	{ LISTENS_TOOLS, "toolsListChanged" },
	{ LISTENS_PROMPTS, "promptsListChanged" },
	{ LISTENS_RESOURCES, "resourcesListChanged" },
};

/* Resources that are granted, one after the other with their lengths, and
 * tasks. */
struct grants {
	size_t n, asked;
	struct span raw[LISTEN_URIS_MAX];
	struct buf texts;
	size_t lens[LISTEN_URIS_MAX];
	size_t n_tasks, tasks_asked;
	struct span tasks[LISTEN_TASKS_MAX]; /* in the message */
};

static const char *grant(struct request *r, struct span list, struct grants *g)
{
	struct value_iter it;
	struct span raw;
	char uri[MESSAGE_URI_MAX];
	struct aim aim;

	g->texts.max = LISTEN_URIS_MAX * sizeof(uri);
	if (!list.at)
		return NULL;
	if (value_type(list) != VALUE_ARRAY)
		return "notifications.resourceSubscriptions must be an array";
	value_iter_init(&it, list);
	while (value_array_next(&it, &raw)) {
		int n = value_type(raw) == VALUE_STRING
		                ? value_string(raw, uri, sizeof(uri))
		                : -1;

		if (n < 0)
			return "notifications.resourceSubscriptions must hold "
			       "URIs of at most " TEXT(
				       MESSAGE_URI_MAX) " bytes";
		if (g->asked++ == LISTEN_URIS_MAX)
			return "notifications.resourceSubscriptions may "
			       "have " TEXT(LISTEN_URIS_MAX) " elements";
		if (!aim_find(r, WATCH_RESOURCE, span_of(uri, (size_t)n), &aim))
			continue;
		g->raw[g->n] = raw;
		g->lens[g->n++] = (size_t)n;
		buf_add(&g->texts, uri, (size_t)n);
	}
	return NULL;
}

static const char *grant_tasks(struct request *r, struct span list,
                               struct grants *g)
{
	struct value_iter it;
	struct span raw, id;
	struct aim aim;

	if (!list.at)
		return NULL;
	if (value_type(list) != VALUE_ARRAY)
		return "notifications.taskIds must be an array";
	value_iter_init(&it, list);
	while (value_array_next(&it, &raw)) {
		if (value_type(raw) != VALUE_STRING)
			return "notifications.taskIds must hold strings";
		if (g->tasks_asked++ == LISTEN_TASKS_MAX)
			return "notifications.taskIds may have " TEXT(
				LISTEN_TASKS_MAX) " elements";
		/* No id of ours needs an escape. */
		if (value_string_plain(raw, &id) &&
		    aim_find(r, WATCH_TASK, id, &aim))
			g->tasks[g->n_tasks++] = id;
	}
	return NULL;
}

static const char *grant_all(struct request *r, struct span wanted,
                             struct grants *g)
{
	const char *fault = NULL;

	if (wanted.at && value_type(wanted) != VALUE_OBJECT)
		return "params.notifications must be an object";
	fault = grant(r, value_get(wanted, SPAN("resourceSubscriptions")), g);
	return fault ? fault
	             : grant_tasks(r, value_get(wanted, SPAN("taskIds")), g);
}

static uint8_t acknowledge(struct buf *b, const struct message *m,
                           const struct grants *g)
{
	uint8_t bits = 0;

	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"method\":"
	            "\"notifications/subscriptions/acknowledged\",\"params\":{"
	            "\"_meta\":{\"" MESSAGE_LISTEN_ID "\":");
	buf_add_span(b, m->id);
	buf_puts(b, "},\"notifications\":{");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct span want =
			value_get(m->notifications, span_str(flags[i].flag));

		if (value_type(want) != VALUE_TRUE)
			continue;
		buf_addf(b, "%s\"%s\":true", bits ? "," : "", flags[i].flag);
		bits |= flags[i].bit;
	}
	for (size_t i = 0; i < g->n; i++) {
		if (i == 0)
			buf_addf(b, "%s\"resourceSubscriptions\":[",
			         bits ? "," : "");
		buf_puts(b, i ? "," : "");
		buf_add_span(b, g->raw[i]);
	}
	buf_puts(b, g->n ? "]" : "");
	for (size_t i = 0; i < g->n_tasks; i++) {
		buf_puts(b, i == 0 && (bits || g->n) ? "," : "");
		buf_puts(b, i == 0 ? "\"taskIds\":[" : ",");
		buf_add_json(b, g->tasks[i]);
	}
	buf_puts(b, g->n_tasks ? "]}}}" : "}}}");
	return bits;
}

static void begin(struct request *r, const struct message *m,
                  const struct grants *g)
{
	struct span rest = buf_span(&g->texts);
	struct buf first = { .max = SIZE_MAX / 4 };
	uint8_t bits = acknowledge(&first, m, g);
	/* Who hears that it listens misses nothing of what it does next. */
	bool hold = g->n_tasks + g->n > 0 && !r->conn->w->draining;
	bool open = buf_err(&first) == 0 &&
	            stream_open(r, bits, m->id,
	                        hold ? span_of("", 0) : buf_span(&first));

	if (!open) {
		buf_free(&first);
		request_busy(r, m->id);
		return;
	}
	for (size_t i = 0; i < g->n; i++) {
		stream_watch(r, WATCH_RESOURCE, span_first(rest, g->lens[i]));
		rest = span_from(rest, g->lens[i]);
	}
	for (size_t i = 0; i < g->n_tasks; i++)
		stream_watch(r, WATCH_TASK, g->tasks[i]);
	if (hold)
		stream_hold(r, &first);
	buf_free(&first);
}

void listen_open(struct request *r, const struct h1_request *head,
                 const struct message *m)
{
	struct grants g = { 0 };
	struct problem p;
	const char *fault = NULL;

	if (h1_has(&head->head, H1_ACCEPT) && !allows_events(&head->head)) {
		refuse(r, 406, RPC_INVALID_REQUEST, m->id, "",
		       "subscriptions/listen is answered by an event stream: "
		       "Accept must allow text/event-stream");
		return;
	}
	if (value_get(m->notifications, SPAN("taskIds")).at &&
	    !(r->caller.abilities & CLIENT_TASKS)) {
		task_undeclared(&p);
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	fault = grant_all(r, m->notifications, &g);
	if (fault)
		refuse(r, 200, RPC_INVALID_PARAMS, m->id, "", fault);
	else if (stream_is_full(r->conn->w))
		too_many(r, m->id);
	else if (buf_err(&g.texts) < 0)
		request_busy(r, m->id);
	else
		begin(r, m, &g);
	buf_free(&g.texts);
}

/* ---- GET ---- */

/* Is this GET for a stream at all? NULL: it is. */
static const char *fault(const struct request *r, const struct h1_head *h,
                         int *status)
{
	struct span version = h1_value(h, H1_MCP_PROTOCOL_VERSION);
	enum revision revision;

	*status = 405;
	if (r->snap->settings->stateless || !h1_has(h, H1_MCP_SESSION_ID))
		return "GET opens the event stream of a session: POST a "
		       "JSON-RPC message to this path; probes are answered at "
		       "/health and /ready";
	if (span_is(version, MESSAGE_MODERN))
		return "GET is not part of MCP 2026-07-28: POST "
		       "subscriptions/listen";
	*status = 400;
	if (h1_has(h, H1_MCP_PROTOCOL_VERSION) &&
	    !message_legacy_version(version, &revision))
		return "MCP-Protocol-Version is not one that is served";
	*status = 406;
	if (!h1_has(h, H1_ACCEPT) || !allows_events(h))
		return "Accept must allow text/event-stream";
	return NULL;
}

static struct span last_event(const struct h1_head *h)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (span_eq_nocase(h->fields[i].name, SPAN("last-event-id")))
			return h->fields[i].value;
	return span_of(NULL, 0);
}

/* The rest of a call's stream, from the event with this id on. */
static void go_on(struct request *r, const struct h1_request *head,
                  struct span last)
{
	struct sealed_room room = { .large = { 0 } };
	struct span none = span_of("", 0);
	struct sealed s = { 0 };
	uint32_t n = r->snap->head->backends.len;
	bool good = sealed_read(r->snap, caller_id(&r->caller),
	                        SEALED_BIT(SEALED_EVENT), last,
	                        clock_utc_ms() / 1000, &s, &room) == SEALED_OK;
	uint32_t backend = good ? sealed_find_backend(r->snap, s.backend) : n;

	if (backend == n) {
		refuse(r, 400, RPC_LEGACY, none, "",
		       "Last-Event-ID is not what was given");
	} else if (access_permit(r, head,
	                         &snapshot_backend(r->snap, backend)->needs,
	                         none)) {
		r->backend = backend;
		r->reply.accepts_json = false;
		r->reply.accepts_events = true;
		r->call = call_take(&r->conn->w->proxy);
		if (r->call) {
			r->call->caller = r->caller;
			r->call->reply = &r->reply;
			r->call->snap = r->snap;
			rejoin_start(r->call, &s, backend);
		} else {
			request_busy(r, none);
		}
	}
	sealed_free(&room);
}

static void open_get(struct request *r)
{
	struct worker *w = r->conn->w;
	struct span none = span_of("", 0);

	if (stream_is_full(w)) {
		too_many(r, none);
	} else if (!clients_hold(&w->board->clients, w->index,
	                         r->caller.session)) {
		refuse(r, 409, RPC_LEGACY, none, "",
		       "This session has an event stream already");
	} else if (!stream_open(r, LISTENS_ALL, none, none)) {
		clients_release(&w->board->clients, w->index,
		                r->caller.session);
		request_busy(r, none);
	}
}

void listen_get(struct request *r, const struct h1_request *head)
{
	struct span none = span_of("", 0);
	struct span last = last_event(&head->head);
	struct problem p;
	int status;
	const char *why = fault(r, &head->head, &status);

	r->reply.accepts_json = true;
	if (why)
		refuse(r, status,
		       status == 405 ? RPC_INVALID_REQUEST : RPC_LEGACY, none,
		       status == 405 ? "Allow: POST, OPTIONS\r\n" : "", why);
	else if (head->head.body != H1_BODY_NONE)
		refuse(r, 400, RPC_INVALID_REQUEST, none, "",
		       "GET takes no body");
	else if (!clientsession_find(r, &head->head, &p))
		answer_problem(r, &p, none, none);
	else if (last.len)
		go_on(r, head, last);
	else
		open_get(r);
}
