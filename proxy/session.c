#include "proxy/session.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/scan.h"
#include "lib/sse.h"
#include "lib/value.h"
#include "lib/version.h"
#include "proxy/sealed.h"

#define ANSWER_MAX (1u << 20) /* bytes of an answer to initialize */

enum session_state { CLOSED, OPENING, OPEN };

struct session {
	struct exchange x;
	struct sessions *all;
	struct session *next;  /* with the same backend, other abilities */
	struct snapshot *snap; /* held while opening */
	uint32_t backend;      /* index in snap */
	struct session_key key;
	uint64_t used_ms; /* last wanted, or left */
	uint32_t users;   /* calls that run in it */
	enum session_state state;
	uint64_t number;
	uint64_t identity; /* of the backend, to notice that it moved */
	struct session_wait *waiting;
	struct sse sse;
	struct buf hello; /* the initialize request */
	struct buf in;
	enum { GREETING, INTRODUCING, ADJUSTING } step;
	bool answered, logs;
	uint16_t id_len;
	char id[SESSION_ID_MAX];
	char version[16];
};

struct sessions {
	struct upstream *up;
	struct loop *loop;
	struct session *of[BACKENDS_MAX]; /* lists, by the board's slot */
	size_t n_owned;
};

/* A posted message whose answer nobody waits for. */
struct post {
	struct exchange x;
	struct snapshot *snap;
	struct buf body, fields;
};

struct sessions *sessions_new(struct upstream *up, struct loop *loop)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (s) {
		s->up = up;
		s->loop = loop;
	}
	return s;
}

static uint64_t identify(const struct snapshot *snap, uint32_t backend)
{
	const struct backend *b = snapshot_backend(snap, backend);
	uint64_t url = snapshot_hash(snapshot_text(snap, b->url));

	return url << 32 | snapshot_hash(snapshot_text(snap, b->fields));
}

static struct session *get(const struct sessions *s,
                           const struct snapshot *snap, uint32_t backend,
                           struct session_key key)
{
	struct session *n = s->of[snapshot_backend(snap, backend)->slot];

	while (n &&
	       (n->key.abilities != key.abilities || n->key.owner != key.owner))
		n = n->next;
	return n;
}

static void reset(struct session *n)
{
	sse_fini(&n->sse);
	buf_free(&n->in);
	buf_free(&n->hello);
	snapshot_unref(n->snap);
	n->snap = NULL;
}

/*
 * The opening ended: tell everybody who waits. Who asks again while he is told
 * waits for the next opening, so the list is taken off first.
 */
static void tell(struct session *n, const char *error)
{
	struct session_wait *told = n->waiting;

	n->waiting = NULL;
	if (told)
		told->prev = &told;
	reset(n);
	n->state = error ? CLOSED : OPEN;
	while (told) {
		struct session_wait *w = told;

		session_forgo(w);
		w->done(w, error);
	}
}

void session_forgo(struct session_wait *w)
{
	if (!w->prev)
		return;
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = NULL;
	w->prev = NULL;
}

/* ---- initialize ---- */

static bool good_session_id(struct span id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] < 0x21 || id.at[i] > 0x7e)
			return false;
	return id.len < SESSION_ID_MAX;
}

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct session *n = CONTAINER_OF(x, struct session, x);

	if (n->step == ADJUSTING) { /* whatever it says, calls may come */
		exchange_detach(x);
		tell(n, NULL);
		return;
	}
	if (n->answered || !good_session_id(head->session_id))
		return;
	memcpy(n->id, head->session_id.at ? head->session_id.at : "",
	       head->session_id.len);
	n->id_len = (uint16_t)head->session_id.len;
}

/* Take what the answer to initialize says; false: it is not one. */
static bool read_answer(struct session *n, struct span text)
{
	static const struct scan_want want[] = {
		{ { "id", 2 }, SCAN_ROOT },
		{ { "result", 6 }, SCAN_ROOT },
		{ { "protocolVersion", 15 }, 1 },
		{ { "capabilities", 12 }, 1 },
		{ { "logging", 7 }, 3 },
	};
	struct span found[ARRAY_LEN(want)];
	struct scan_error why;
	struct span version;

	if (scan_document(text, want, ARRAY_LEN(want), found, &why) != SCAN_OK)
		return false;
	if (value_type(found[1]) != VALUE_OBJECT ||
	    !value_string_plain(found[2], &version) ||
	    version.len >= sizeof(n->version))
		return false;
	for (size_t i = 0; i < version.len; i++)
		if (version.at[i] < 0x21 || version.at[i] > 0x7e)
			return false;
	memcpy(n->version, version.at, version.len);
	n->version[version.len] = '\0';
	n->logs = value_type(found[4]) == VALUE_OBJECT;
	n->answered = true;
	return true;
}

static void introduce(struct session *n);
static void adjust(struct session *n);
static void forget(struct session *n);
static void send_small(struct sessions *s, struct snapshot *snap,
                       uint32_t backend, enum exchange_method method,
                       struct span fields, struct span body);

static void on_body(struct exchange *x, struct span bytes)
{
	struct session *n = CONTAINER_OF(x, struct session, x);
	struct sse_event event;
	struct span in = bytes;

	if (n->answered)
		return;
	buf_add_span(&n->in, bytes);
	while (sse_next(&n->sse, &in, &event) == SSE_EVENT)
		if (event.data.len && read_answer(n, event.data)) {
			/* The stream may stay open: nobody waits for that. */
			exchange_detach(x);
			introduce(n);
			return;
		}
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct session *n = CONTAINER_OF(x, struct session, x);

	if (n->step == INTRODUCING && why == EXCHANGE_COMPLETE && n->logs &&
	    !(n->key.abilities & SESSION_WATCH)) {
		adjust(n);
		return;
	}
	if (n->step != GREETING) {
		/* Without all its log messages it serves as well. */
		tell(n, why == EXCHANGE_COMPLETE || n->step == ADJUSTING
		                ? NULL
		                : detail);
		return;
	}
	if (!n->answered && why == EXCHANGE_COMPLETE && buf_err(&n->in) == 0)
		read_answer(n, buf_span(&n->in));
	if (!n->answered) {
		tell(n, why == EXCHANGE_COMPLETE
		                ? "it did not answer initialize"
		                : detail);
		return;
	}
	introduce(n);
}

static const struct exchange_ops ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};

static void post(struct session *n, struct span body, struct span fields)
{
	n->x.ops = &ops;
	n->x.snap = n->snap;
	n->x.backend = n->backend;
	n->x.body = body;
	n->x.fields = fields;
	n->x.repeatable = true;
	exchange_start(n->all->up, &n->x);
}

static void post_in_session(struct session *n, struct span body)
{
	buf_free(&n->in);
	n->in.max = ANSWER_MAX;
	session_fields(n->all, n->snap, n->backend, n->key, &n->in);
	post(n, body, buf_span(&n->in));
}

static void introduce(struct session *n)
{
	n->step = INTRODUCING;
	post_in_session(n, SPAN("{\"jsonrpc\":\"2.0\","
	                        "\"method\":\"notifications/initialized\"}"));
}

static void adjust(struct session *n)
{
	n->step = ADJUSTING;
	post_in_session(n, SPAN("{\"jsonrpc\":\"2.0\",\"id\":\"level\","
	                        "\"method\":\"logging/setLevel\","
	                        "\"params\":{\"level\":\"debug\"}}"));
}

/* What the session's clients can do, as they declare it (MCP 2025-11-25). */
static void hello(struct session *n)
{
	n->hello.max = ANSWER_MAX;
	buf_reset(&n->hello);
	buf_puts(&n->hello,
	         "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\","
	         "\"params\":{\"protocolVersion\":\"2025-11-25\","
	         "\"capabilities\":{");
	sealed_capabilities(n->key.abilities, &n->hello);
	buf_puts(&n->hello, "},\"clientInfo\":{\"name\":\"oci-mcp-gateway\","
	                    "\"version\":\"" VERSION "\"}}}");
}

static void open_session(struct session *n, struct snapshot *snap,
                         uint32_t backend)
{
	n->state = OPENING;
	n->snap = snapshot_ref(snap);
	n->backend = backend;
	n->identity = identify(snap, backend);
	n->number++;
	n->users = 0;
	n->answered = false;
	n->logs = false;
	n->step = GREETING;
	n->id_len = 0;
	n->version[0] = '\0';
	n->sse = (struct sse){ .data = { .max = ANSWER_MAX } };
	n->in = (struct buf){ .max = ANSWER_MAX };
	hello(n);
	post(n, buf_span(&n->hello), span_of("", 0));
}

static struct session *make(struct sessions *s)
{
	struct session *n = calloc(1, sizeof(*n));

	if (n)
		n->all = s;
	return n;
}

bool session_want(struct sessions *s, struct snapshot *snap, uint32_t backend,
                  struct session_key key, struct session_wait *w)
{
	uint32_t slot = snapshot_backend(snap, backend)->slot;
	struct session *n = get(s, snap, backend, key);

	if (!n) {
		n = make(s);
		if (!n)
			abort(); /* no memory for one small structure */
		n->key = key;
		s->n_owned += key.owner != 0;
		n->next = s->of[slot];
		s->of[slot] = n;
	}
	n->used_ms = loop_now_ms(s->loop);
	if (n->state == OPEN && n->identity == identify(snap, backend))
		return true;

	struct session_wait **end = &n->waiting;
	while (*end)
		end = &(*end)->next;
	w->next = NULL;
	w->prev = end;
	*end = w;
	if (n->state != OPENING)
		open_session(n, snap, backend);
	return false;
}

void session_lost(struct sessions *s, const struct snapshot *snap,
                  uint32_t backend, struct session_key key, uint64_t number)
{
	struct session *n = get(s, snap, backend, key);

	if (n && n->state == OPEN && n->number == number)
		n->state = CLOSED;
}

uint64_t session_enter(struct sessions *s, const struct snapshot *snap,
                       uint32_t backend, struct session_key key)
{
	struct session *n = get(s, snap, backend, key);

	assert(n && n->state == OPEN);
	n->users++;
	return n->number;
}

void session_leave(struct sessions *s, const struct snapshot *snap,
                   uint32_t backend, struct session_key key, uint64_t number)
{
	struct session *n = get(s, snap, backend, key);

	if (!n || n->number != number || n->users == 0)
		return;
	n->users--;
	n->used_ms = loop_now_ms(s->loop);
}

uint64_t session_number(const struct sessions *s, const struct snapshot *snap,
                        uint32_t backend, struct session_key key)
{
	const struct session *n = get(s, snap, backend, key);

	return n ? n->number : 0;
}

void session_fields(const struct sessions *s, const struct snapshot *snap,
                    uint32_t backend, struct session_key key, struct buf *out)
{
	const struct session *n = get(s, snap, backend, key);

	if (!n)
		return;
	if (n->id_len) {
		buf_puts(out, "Mcp-Session-Id: ");
		buf_add(out, n->id, n->id_len);
		buf_puts(out, "\r\n");
	}
	if (n->version[0])
		buf_addf(out, "MCP-Protocol-Version: %s\r\n", n->version);
}

static void forget(struct session *n)
{
	exchange_cancel(&n->x);
	if (n->state == OPENING)
		tell(n, "its configuration changed");
	n->state = CLOSED;
}

/* Take it out of its list, for good. */
static void remove_owned(struct sessions *s, uint32_t slot, struct session *n)
{
	struct session **at = &s->of[slot];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	s->n_owned--;
	free(n);
}

void session_delete(struct sessions *s, struct snapshot *snap, uint32_t backend,
                    struct span fields)
{
	send_small(s, snap, backend, EXCHANGE_DELETE, fields, SPAN(""));
}

void session_close(struct sessions *s, struct snapshot *snap, uint32_t backend,
                   struct session_key key)
{
	struct session *n = get(s, snap, backend, key);
	struct buf fields = { .max = ANSWER_MAX };

	if (!n)
		return;
	if (n->state == OPEN && n->id_len &&
	    n->identity == identify(snap, backend)) {
		session_fields(s, snap, backend, key, &fields);
		session_delete(s, snap, backend, buf_span(&fields));
		buf_free(&fields);
	}
	forget(n);
	if (key.owner)
		remove_owned(s, snapshot_backend(snap, backend)->slot, n);
}

bool session_room(struct sessions *s, struct snapshot *snap)
{
	uint64_t now_ms = loop_now_ms(s->loop);
	struct session *oldest = NULL;
	uint32_t at = 0;

	if (s->n_owned < SESSION_OWNED_MAX)
		return true;
	for (uint32_t i = 0; i < snap->head->backends.len; i++)
		for (struct session *n = s->of[snapshot_backend(snap, i)->slot];
		     n; n = n->next)
			if (n->key.owner && n->state != OPENING && !n->users &&
			    (!oldest || n->used_ms < oldest->used_ms)) {
				oldest = n;
				at = i;
			}
	if (!oldest || now_ms - oldest->used_ms < SESSION_IDLE_MS)
		return false;
	session_close(s, snap, at, oldest->key);
	return true;
}

void session_release(struct sessions *s, const struct snapshot *snap,
                     uint32_t backend, struct session_key key)
{
	struct session *n = get(s, snap, backend, key);

	assert(key.owner);
	if (!n)
		return;
	forget(n);
	remove_owned(s, snapshot_backend(snap, backend)->slot, n);
}

bool session_exists(const struct sessions *s, const struct snapshot *snap,
                    uint32_t backend, struct session_key key)
{
	return get(s, snap, backend, key) != NULL;
}

struct span session_id(const struct sessions *s, const struct snapshot *snap,
                       uint32_t backend, struct session_key key)
{
	const struct session *n = get(s, snap, backend, key);

	return n ? span_of(n->id, n->id_len) : span_of("", 0);
}

struct span session_version(const struct sessions *s,
                            const struct snapshot *snap, uint32_t backend,
                            struct session_key key)
{
	const struct session *n = get(s, snap, backend, key);

	return n ? span_str(n->version) : span_of("", 0);
}

/* The backend in this slot is gone: what is somebody's own makes room. */
static void leave(struct sessions *s, uint32_t slot)
{
	struct session *next;

	for (struct session *n = s->of[slot]; n; n = next) {
		next = n->next;
		if (n->state == OPEN)
			n->state = CLOSED;
		if (n->key.owner && n->state == CLOSED)
			remove_owned(s, slot, n);
	}
}

void sessions_adopt(struct sessions *s, const struct snapshot *snap)
{
	bool there[BACKENDS_MAX] = { false };

	for (uint32_t i = 0; i < snap->head->backends.len; i++)
		there[snapshot_backend(snap, i)->slot] = true;
	for (uint32_t i = 0; i < BACKENDS_MAX; i++)
		if (!there[i])
			leave(s, i);
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < BACKENDS_MAX; i++) {
		while (s->of[i]) {
			struct session *n = s->of[i];

			s->of[i] = n->next;
			forget(n);
			free(n);
		}
	}
	free(s);
}

/* ---- small messages ---- */

static void post_head(struct exchange *x, const struct exchange_head *head)
{
	(void)x;
	(void)head;
}

static void post_body(struct exchange *x, struct span bytes)
{
	(void)x;
	(void)bytes;
}

static void post_end(struct exchange *x, enum exchange_end why,
                     const char *detail)
{
	struct post *p = CONTAINER_OF(x, struct post, x);

	(void)why;
	(void)detail;
	buf_free(&p->body);
	buf_free(&p->fields);
	snapshot_unref(p->snap);
	free(p);
}

static const struct exchange_ops post_ops = {
	.head = post_head,
	.body = post_body,
	.end = post_end,
};

static void send_small(struct sessions *s, struct snapshot *snap,
                       uint32_t backend, enum exchange_method method,
                       struct span fields, struct span body)
{
	struct post *p = calloc(1, sizeof(*p));

	if (!p)
		return;
	p->body.max = body.len; /* our caller's limit: an answer to a question
	                           may be as large as any request */
	p->fields.max = ANSWER_MAX;
	buf_add_span(&p->body, body);
	buf_add_span(&p->fields, fields);
	if (buf_err(&p->body) < 0 || buf_err(&p->fields) < 0) {
		buf_free(&p->body);
		buf_free(&p->fields);
		free(p);
		return;
	}
	p->snap = snapshot_ref(snap);
	p->x.ops = &post_ops;
	p->x.method = method;
	p->x.small = true;
	p->x.snap = p->snap;
	p->x.backend = backend;
	p->x.body = buf_span(&p->body);
	p->x.fields = buf_span(&p->fields);
	exchange_start(s->up, &p->x);
}

void session_post(struct sessions *s, struct snapshot *snap, uint32_t backend,
                  struct span fields, struct span body)
{
	send_small(s, snap, backend, EXCHANGE_POST, fields, body);
}
