#include "proxy/tap.h"

#include "lib/value.h"
#include "lib/version.h"
#include "proxy/extension.h"
#include "proxy/message.h"
#include "proxy/task.h"

#define FIELDS_MAX 8192
#define BODY_MAX   (8u << 20)
#define ID_MAX     256 /* bytes of a request id that is answered */

#define LISTEN                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":1,"                              \
	"\"method\":\"subscriptions/listen\",\"params\":{\"_meta\":{" \
	"\"io.modelcontextprotocol/protocolVersion\":"                \
	"\"" MESSAGE_MODERN "\","                                     \
	"\"io.modelcontextprotocol/clientInfo\":"                     \
	"{\"name\":\"oci-mcp-gateway\",\"version\":\"" VERSION "\"}," \
	"\"io.modelcontextprotocol/clientCapabilities\":{"
#define DECLARE_TASKS "\"extensions\":{\"" EXTENSION_TASKS "\":{}}"

/* ---- the end ---- */

static void let_go(struct tap *t)
{
	session_forgo(&t->wait);
	exchange_cancel(&t->x);
	loop_timer_stop(t->loop, &t->late);
	inbox_fini(&t->box);
	buf_free(&t->body);
	buf_free(&t->fields);
	snapshot_unref(t->snap);
	t->snap = NULL;
	t->open = false;
}

void tap_close(struct tap *t)
{
	if (t->snap)
		let_go(t);
}

void tap_fini(struct tap *t)
{
	tap_close(t);
	buf_free(&t->error);
	t->last_id_len = 0;
	t->resumable = false;
}

/* The session that it was for does not exist any more. */
static bool session_is_gone(const struct tap *t)
{
	return t->legacy && (t->status == 404 || t->status == 400);
}

static enum tap_end verdict(const struct tap *t)
{
	if (t->error.len)
		return TAP_REFUSED;
	if (session_is_gone(t) || t->status == 429 || t->status < 400 ||
	    t->status >= 500)
		return TAP_LOST;
	return TAP_REFUSED;
}

static void end(struct tap *t, enum tap_end why)
{
	if (session_is_gone(t)) {
		session_lost(t->sessions, t->snap, t->backend, TAP_SESSION,
		             t->session);
		t->last_id_len = 0;
	}
	let_go(t);
	t->ops->end(t, why, buf_span(&t->error));
}

static void on_late(struct timer *timer)
{
	end(CONTAINER_OF(timer, struct tap, late), TAP_LOST);
}

/* ---- what comes ---- */

/* The backend asks something on the stream (MCP 2025-11-25, "Ping"). */
static void answer(struct tap *t, struct span id, struct span method)
{
	struct buf fields = { .max = FIELDS_MAX };
	struct buf body = { .max = FIELDS_MAX };

	if (!t->legacy || id.len > ID_MAX)
		return;
	session_fields(t->sessions, t->snap, t->backend, TAP_SESSION, &fields);
	buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&body, id);
	if (value_string_eq(method, SPAN("ping")))
		buf_puts(&body, ",\"result\":{}}");
	else
		buf_addf(&body,
		         ",\"error\":{\"code\":%d,\"message\":"
		         "\"Method not found\"}}",
		         RPC_NO_METHOD);
	if (buf_err(&fields) == 0 && buf_err(&body) == 0)
		session_post(t->sessions, t->snap, t->backend,
		             buf_span(&fields), buf_span(&body));
	buf_free(&fields);
	buf_free(&body);
}

/* What has changed: the text of a string, to who wants to know. */
static void on_resource(struct tap *t, struct span raw)
{
	char uri[MESSAGE_URI_MAX];
	int n = value_type(raw) == VALUE_STRING
	                ? value_string(raw, uri, sizeof(uri))
	                : -1;

	if (n > 0)
		t->ops->updated(t, span_of(uri, (size_t)n));
}

static void on_task(struct tap *t, struct span task)
{
	char id[TASK_ID_MAX];
	struct span raw = value_get(task, SPAN("taskId"));
	int n = value_type(raw) == VALUE_STRING
	                ? value_string(raw, id, sizeof(id))
	                : -1;

	if (n > 0 && !t->legacy && t->ops->task)
		t->ops->task(t, span_of(id, (size_t)n), task);
}

static void on_notification(struct tap *t, const struct span found[])
{
	struct span method = found[INBOX_METHOD];
	struct span honoured = found[INBOX_NOTIFICATIONS];

	if (value_string_eq(method,
	                    SPAN("notifications/subscriptions/acknowledged"))) {
		if (t->legacy || t->open)
			return;
		t->open = true;
		t->ops->open(t,
		             value_get(honoured, SPAN("resourceSubscriptions")),
		             value_get(honoured, SPAN("taskIds")));
	} else if (!t->open) {
		return;
	} else if (value_string_eq(method,
	                           SPAN("notifications/resources/updated"))) {
		on_resource(t, found[INBOX_URI]);
	} else if (value_string_eq(method, SPAN("notifications/tasks"))) {
		on_task(t, found[INBOX_PARAMS]);
	}
}

/* Of one that is too long what matters is kept. */
static void keep_error(struct tap *t, struct span error)
{
	static const char *const names[] = { "code", "message" };
	struct buf *b = &t->error;

	b->max = TAP_ERROR_MAX;
	buf_add_span(b, error);
	if (buf_err(b) == 0)
		return;
	buf_reset(b);
	buf_putc(b, '{');
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct span value = value_get(error, span_str(names[i]));

		if (value.len && value.len < TAP_ERROR_MAX / 4)
			buf_addf(b, "%s\"%s\":%.*s", b->len > 1 ? "," : "",
			         names[i], SPAN_ARG(value));
	}
	buf_putc(b, '}');
}

static void on_message(struct inbox *box, const struct span found[])
{
	struct tap *t = CONTAINER_OF(box, struct tap, box);

	if (t->over)
		return;
	if (found[INBOX_METHOD].at && found[INBOX_ID].at) {
		answer(t, found[INBOX_ID], found[INBOX_METHOD]);
	} else if (found[INBOX_METHOD].at) {
		on_notification(t, found);
	} else if (!t->legacy &&
	           (found[INBOX_RESULT].at || found[INBOX_ERROR].at)) {
		/* The answer to listen ends it. */
		t->over = true;
		if (found[INBOX_ERROR].at)
			keep_error(t, found[INBOX_ERROR]);
	}
}

static void begin_hearing(struct tap *t)
{
	if (t->open)
		return;
	t->open = true;
	loop_timer_stop(t->loop, &t->late);
	t->ops->open(t, span_of("", 0), span_of("", 0));
}

/* Many servers send the head together with the first event. */
static void on_quiet(struct timer *timer)
{
	begin_hearing(CONTAINER_OF(timer, struct tap, late));
}

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct tap *t = CONTAINER_OF(x, struct tap, x);

	t->status = head->status;
	if (t->legacy && head->status == 200)
		begin_hearing(t);
}

static void note_id(struct tap *t)
{
	const struct sse *sse = &t->box.sse;

	if (!t->legacy || sse->id_len == 0)
		return;
	/* It must be fit for a field of a request's head. */
	for (size_t i = 0; i < sse->id_len; i++)
		if (sse->id[i] < 0x20 || sse->id[i] > 0x7e)
			return;
	t->resumable = true;
	t->last_id_len = sse->id_len;
	memcpy(t->last_id, sse->id, sse->id_len);
}

static void on_body(struct exchange *x, struct span bytes)
{
	struct tap *t = CONTAINER_OF(x, struct tap, x);
	bool fits = inbox_feed(&t->box, bytes);

	note_id(t);
	if (!fits || t->over)
		end(t, verdict(t));
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct tap *t = CONTAINER_OF(x, struct tap, x);

	(void)detail;
	if (why == EXCHANGE_COMPLETE)
		inbox_end(&t->box);
	end(t, why == EXCHANGE_COMPLETE ? verdict(t) : TAP_LOST);
}

static const struct exchange_ops ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};

/* ---- the beginning ---- */

static void begin(struct tap *t, struct snapshot *snap, uint32_t backend,
                  bool legacy)
{
	assert(!t->snap);
	t->snap = snapshot_ref(snap);
	t->backend = backend;
	t->legacy = legacy;
	t->open = t->over = false;
	t->status = 0;
	t->began_ms = loop_now_ms(t->loop);
	buf_reset(&t->error);
	t->box.max = TAP_EVENT_MAX;
	t->box.on_message = on_message;
	t->body.max = BODY_MAX;
	t->fields.max = FIELDS_MAX;
}

static void start(struct tap *t)
{
	if (buf_err(&t->body) < 0 || buf_err(&t->fields) < 0) {
		loop_timer(t->loop, &t->late, 1, on_late);
		return;
	}
	t->x.ops = &ops;
	t->x.snap = t->snap;
	t->x.backend = t->backend;
	t->x.method = t->legacy ? EXCHANGE_GET : EXCHANGE_POST;
	if (t->legacy)
		loop_timer(t->loop, &t->late, TAP_QUIET_MS, on_quiet);
	t->x.fields = buf_span(&t->fields);
	t->x.body = buf_span(&t->body);
	t->x.repeatable = true;
	t->x.stream = true;
	exchange_start(t->up, &t->x);
}

void tap_listen(struct tap *t, struct snapshot *snap, uint32_t backend,
                struct span uris, struct span tasks)
{
	begin(t, snap, backend, false);
	buf_puts(&t->body, tasks.len ? LISTEN DECLARE_TASKS : LISTEN);
	buf_puts(&t->body, "}},\"notifications\":{");
	if (uris.len)
		buf_addf(&t->body, "\"resourceSubscriptions\":[%.*s]",
		         SPAN_ARG(uris));
	if (tasks.len)
		buf_addf(&t->body, "%s\"taskIds\":[%.*s]", uris.len ? "," : "",
		         SPAN_ARG(tasks));
	buf_puts(&t->body, "}}}");
	buf_puts(&t->fields, "MCP-Protocol-Version: " MESSAGE_MODERN "\r\n"
	                     "Mcp-Method: subscriptions/listen\r\n");
	start(t);
}

static void get(struct tap *t)
{
	uint64_t number =
		session_number(t->sessions, t->snap, t->backend, TAP_SESSION);

	if (number != t->session)
		t->last_id_len = 0; /* it was of another session */
	t->session = number;
	session_fields(t->sessions, t->snap, t->backend, TAP_SESSION,
	               &t->fields);
	if (t->last_id_len) {
		buf_puts(&t->fields, "Last-Event-ID: ");
		buf_add(&t->fields, t->last_id, t->last_id_len);
		buf_puts(&t->fields, "\r\n");
	}
	start(t);
}

static void on_session(struct session_wait *w, const char *error)
{
	struct tap *t = CONTAINER_OF(w, struct tap, wait);

	if (error)
		end(t, TAP_LOST);
	else
		get(t);
}

void tap_get(struct tap *t, struct snapshot *snap, uint32_t backend)
{
	begin(t, snap, backend, true);
	t->wait.done = on_session;
	if (session_want(t->sessions, snap, backend, TAP_SESSION, &t->wait))
		get(t);
}
