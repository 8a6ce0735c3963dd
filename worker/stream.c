#include "worker/stream.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "proxy/catalog.h"
#include "proxy/question.h"
#include "proxy/tap.h"
#include "proxy/task.h"
#include "worker/aim.h"
#include "worker/answer.h"
#include "worker/local.h"

#define SESSIONS 1024                /* buckets */
#define TASK_MAX (2 * TAP_EVENT_MAX) /* bytes of what is told of one */

/* A resource or a task that a stream's client wants to hear of. */
struct wish {
	struct watcher watcher;
	struct stream *stream;
	struct wish *next;
	bool due;          /* to be told when the client reads on */
	bool seen;         /* while comparing with the board */
	bool moved;        /* it was not heard of for a while */
	struct buf latest; /* of a task that is due: what is sent */
	uint32_t backend;  /* where it leads; UINT32_MAX: nowhere */
	size_t len;
	char uri[]; /* public; of a task: its id */
};

struct stream {
	struct request *r;
	struct stream *next, **prev;
	struct stream *same; /* in the bucket of its session */
	uint64_t session;    /* 0: modern */
	struct wish *wishes;
	uint8_t listens, due; /* LISTENS_* */
	bool wishes_due;
	struct buf held;   /* what is sent before anything else */
	struct timer hold; /* until then at the latest */
	uint16_t id_len;
	char id[]; /* raw */
};

struct streams {
	struct worker *w;
	struct watches *watches;
	struct stream *first;
	uint64_t n;
	struct timer poll, gather;
	uint8_t due[VIEWS]; /* LISTENS_* to be told at the next gathering */
	uint64_t told_ms;   /* when the last was */
	uint64_t refresh_ms;
	uint64_t seen; /* of the board: changes of subscriptions, */
	uint64_t announced[LIST_KINDS]; /* and of announcements */
	struct stream *of[SESSIONS];
};

static const struct {
	uint8_t bit;
	const char *notification;
	enum list_kind kinds[2];
} listens[] = {
	{ LISTENS_TOOLS,
	  "notifications/tools/list_changed",
	  { LIST_TOOLS, LIST_TOOLS } },
	{ LISTENS_PROMPTS,
	  "notifications/prompts/list_changed",
	  { LIST_PROMPTS, LIST_PROMPTS } },
	{ LISTENS_RESOURCES,
	  "notifications/resources/list_changed",
	  { LIST_RESOURCES, LIST_TEMPLATES } },
};

/* ---- what is sent ---- */

static void send_comment(struct request *r)
{
	struct iovec iov = { (void *)(uintptr_t) ":\n\n", 3 };

	r->reply.ops->more(&r->reply, &iov, 1);
}

/* uri empty: there is none in it. */
static void notify(struct stream *s, const char *notification, struct span uri)
{
	struct buf *b = &s->r->conn->w->page;
	bool meta = s->id_len > 0;

	buf_reset(b);
	buf_addf(b, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", notification);
	if (uri.len || meta)
		buf_puts(b, ",\"params\":{");
	if (uri.len) {
		buf_puts(b, "\"uri\":");
		buf_add_json(b, uri);
	}
	if (meta) {
		buf_puts(b, uri.len ? ",\"_meta\":{" : "\"_meta\":{");
		buf_puts(b, "\"" MESSAGE_LISTEN_ID "\":");
		buf_add(b, s->id, s->id_len);
		buf_putc(b, '}');
	}
	buf_puts(b, uri.len || meta ? "}}" : "}");
	answer_event(&s->r->reply, buf_span(b));
}

static void tell_wish(struct wish *wish)
{
	wish->due = false;
	if (wish->watcher.kind == WATCH_RESOURCE) {
		notify(wish->stream, "notifications/resources/updated",
		       span_of(wish->uri, wish->len));
		return;
	}
	answer_event(&wish->stream->r->reply, buf_span(&wish->latest));
	buf_free(&wish->latest);
}

/* Tell what is due, as far as the client takes it. */
static void tell(struct stream *s)
{
	if (s->held.len)
		return;
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		if (!(s->due & listens[i].bit) || s->r->reply.full)
			continue;
		s->due &= (uint8_t)~listens[i].bit;
		notify(s, listens[i].notification, span_of("", 0));
	}
	if (!s->wishes_due)
		return;
	s->wishes_due = false;
	for (struct wish *wish = s->wishes; wish; wish = wish->next) {
		if (wish->due && !s->r->reply.full)
			tell_wish(wish);
		s->wishes_due = s->wishes_due || wish->due;
	}
}

void stream_drained(struct request *r)
{
	if (r->stream)
		tell(r->stream);
}

void stream_keepalive(struct request *r)
{
	if (r->reply.begun && r->events && !r->reply.full)
		send_comment(r);
}

static void release(struct stream *s)
{
	struct buf held = s->held;

	if (!held.len)
		return;
	loop_timer_stop(s->r->conn->w->loop, &s->hold);
	s->held = (struct buf){ 0 };
	answer_event(&s->r->reply, buf_span(&held));
	buf_free(&held);
}

static void end_stream(struct stream *s)
{
	struct request *r = s->r;
	struct buf *b = &r->conn->w->page;

	release(s);
	if (s->id_len) {
		local_start_result(b, span_of(s->id, s->id_len));
		buf_puts(b, "\"resultType\":\"complete\",\"_meta\":{"
		            "\"" MESSAGE_LISTEN_ID "\":");
		buf_add(b, s->id, s->id_len);
		buf_puts(b, "}}}");
		answer_event(&r->reply, buf_span(b));
	}
	stream_leave(r);
	r->reply.outcome = OUTCOME_SUCCESS;
	r->reply.ops->end(&r->reply, true);
}

/* ---- lists that change ---- */

static void on_gather(struct timer *t)
{
	struct streams *all = CONTAINER_OF(t, struct streams, gather);
	uint8_t due[VIEWS] = { all->due[VIEW_LEGACY], all->due[VIEW_MODERN] };

	memset(all->due, 0, sizeof(all->due));
	all->told_ms = loop_now_ms(all->w->loop);
	for (struct stream *s = all->first; s; s = s->next) {
		enum view_era era = s->session ? VIEW_LEGACY : VIEW_MODERN;

		s->due |= s->listens & due[era];
		if (s->due)
			tell(s);
	}
}

static void gather(struct streams *all)
{
	uint64_t now_ms = loop_now_ms(all->w->loop);
	uint64_t due_ms =
		MAX(now_ms + STREAM_GATHER_MS, all->told_ms + STREAM_CALM_MS);

	if (!(all->due[VIEW_LEGACY] | all->due[VIEW_MODERN]) ||
	    all->gather.due_ms)
		return;
	loop_timer(all->w->loop, &all->gather, due_ms - now_ms, on_gather);
}

static bool same_list(const struct snapshot *a, const struct snapshot *b,
                      enum view_era era, enum list_kind kind)
{
	const struct list *x = &snapshot_view(a, era)->lists[kind];
	const struct list *y = &snapshot_view(b, era)->lists[kind];

	return x->items.len == y->items.len &&
	       memcmp(a->base + x->items.off, b->base + y->items.off,
	              x->items.len) == 0;
}

static void compare(struct streams *all, const struct snapshot *old,
                    const struct snapshot *now)
{
	for (int era = 0; era < VIEWS; era++)
		for (size_t i = 0; i < ARRAY_LEN(listens); i++)
			for (size_t k = 0; k < 2; k++)
				if (!same_list(old, now, (enum view_era)era,
				               listens[i].kinds[k]))
					all->due[era] |= listens[i].bit;
	gather(all);
}

/* A backend announced a change, and its lists are what they were: what else it
 * means by it is its clients' business. */
static void hear_announcements(struct streams *all)
{
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		enum list_kind kind = listens[i].kinds[0];
		uint64_t now = count_read(&all->w->board->announced[kind]);

		if (now == all->announced[kind])
			continue;
		all->announced[kind] = now;
		for (int era = 0; era < VIEWS; era++)
			all->due[era] |= listens[i].bit;
	}
	gather(all);
}

/* ---- resources and tasks that change ---- */

/* Keep it as what is told next. False: nothing is. */
static bool take_task(struct wish *wish, struct span task)
{
	struct span asks = value_get(task, SPAN("inputRequests"));

	if (!question_all_allowed(asks, wish->stream->r->caller.abilities))
		return false;
	buf_free(&wish->latest);
	wish->latest.max = TASK_MAX;
	task_notify(wish->stream->r->snap, wish->backend,
	            span_of(wish->uri, wish->len), task,
	            span_of(wish->stream->id, wish->stream->id_len),
	            &wish->latest);
	wish->due = buf_err(&wish->latest) == 0 && wish->latest.len > 0;
	return wish->due;
}

static void on_updated(struct watcher *watcher, struct span task)
{
	struct wish *wish = CONTAINER_OF(watcher, struct wish, watcher);

	if (watcher->kind == WATCH_TASK && !take_task(wish, task))
		return;
	wish->due = true;
	wish->stream->wishes_due = true;
	tell(wish->stream);
}

/* True: it is watched elsewhere from now on. */
static bool route_wish(struct wish *wish)
{
	struct request *r = wish->stream->r;
	struct watches *watches = r->conn->w->streams->watches;
	struct aim aim;
	bool leads = aim_find(r, wish->watcher.kind,
	                      span_of(wish->uri, wish->len), &aim);
	struct span own = span_of(aim.own, leads ? aim.len : 0);

	wish->backend = leads ? aim.backend : UINT32_MAX;
	if (leads && watch_is(&wish->watcher, watches, aim.backend, own))
		return false;
	watch_drop(&wish->watcher);
	/* What does not lead anywhere now may do so after the next change. */
	if (!leads)
		return false;
	if (watch_add(watches, aim.backend, own, &wish->watcher))
		return true;
	r->reply.error = "too many resources or tasks are watched";
	return false;
}

static struct wish *find_wish(const struct stream *s, enum watch_kind kind,
                              struct span uri)
{
	struct wish *wish = s->wishes;

	while (wish && (wish->watcher.kind != kind ||
	                !span_eq(span_of(wish->uri, wish->len), uri)))
		wish = wish->next;
	return wish;
}

/* Send what was held, if nothing is waited for any more. */
static void try_release(struct stream *s)
{
	for (struct wish *wish = s->wishes; wish; wish = wish->next)
		if (!watch_is_settled(&wish->watcher))
			return;
	release(s);
	tell(s);
}

/* Whoever was asked for the subscription may answer. */
static void note_settled(const struct wish *wish)
{
	const struct stream *s = wish->stream;

	if (s->session && watch_is_settled(&wish->watcher))
		clients_settle(&s->r->conn->w->board->clients, s->session,
		               span_of(wish->uri, wish->len));
}

/* It may have changed before anybody listened where it is now. */
static void note_moved(struct wish *wish)
{
	if (!wish->moved || !watch_is_settled(&wish->watcher))
		return;
	wish->moved = false;
	wish->due = true;
	wish->stream->wishes_due = true;
}

static void on_settled(struct watcher *watcher)
{
	struct wish *wish = CONTAINER_OF(watcher, struct wish, watcher);

	note_settled(wish);
	note_moved(wish);
	if (wish->stream->held.len)
		try_release(wish->stream);
	else
		tell(wish->stream);
}

static void on_hold(struct timer *t)
{
	struct stream *s = CONTAINER_OF(t, struct stream, hold);

	release(s);
	tell(s);
}

void stream_hold(struct request *r, struct buf *first)
{
	struct stream *s = r->stream;

	s->held = *first;
	*first = (struct buf){ 0 };
	loop_timer(r->conn->w->loop, &s->hold, STREAM_HOLD_MS, on_hold);
	try_release(s);
}

static struct wish *add_wish(struct stream *s, enum watch_kind kind,
                             struct span uri)
{
	struct wish *wish = calloc(1, sizeof(*wish) + uri.len);

	if (!wish)
		return NULL;
	wish->watcher.kind = kind;
	wish->watcher.updated = on_updated;
	wish->watcher.settled = on_settled;
	wish->stream = s;
	wish->len = uri.len;
	memcpy(wish->uri, uri.at, uri.len);
	wish->next = s->wishes;
	s->wishes = wish;
	route_wish(wish);
	return wish;
}

void stream_watch(struct request *r, enum watch_kind kind, struct span uri)
{
	if (r->stream && !find_wish(r->stream, kind, uri))
		add_wish(r->stream, kind, uri);
}

static void drop_wish(struct wish **at)
{
	struct wish *wish = *at;

	*at = wish->next;
	watch_drop(&wish->watcher);
	buf_free(&wish->latest);
	free(wish);
}

/* Want what the board says that the session wants, and nothing else. The
 * stream may end in here: when its session has. */
static void resubscribe(struct stream *s)
{
	const struct clients *clients = &s->r->conn->w->board->clients;
	int64_t now_s = clock_utc_ms() / 1000;
	char uri[CLIENTS_URI_MAX];
	uint32_t at = 0;
	size_t len;

	if (clients_ended(clients, s->session)) {
		end_stream(s);
		return;
	}
	for (struct wish *wish = s->wishes; wish; wish = wish->next)
		wish->seen = false;
	while (clients_next(clients, s->session, now_s, &at, uri, &len)) {
		struct wish *wish =
			find_wish(s, WATCH_RESOURCE, span_of(uri, len));

		if (!wish)
			wish = add_wish(s, WATCH_RESOURCE, span_of(uri, len));
		if (wish) {
			wish->seen = true;
			note_settled(wish);
		}
	}
	for (struct wish **wish = &s->wishes; *wish;) {
		if ((*wish)->seen)
			wish = &(*wish)->next;
		else
			drop_wish(wish);
	}
}

void stream_resubscribe(struct worker *w, uint64_t session)
{
	struct stream *s = w->streams->of[session % SESSIONS], *next;

	for (; s; s = next) {
		next = s->same;
		if (s->session == session)
			resubscribe(s);
	}
}

/* ---- the board ---- */

/* Its session, or the token that it came with, is not good any more. */
static bool has_expired(const struct stream *s, int64_t now_s)
{
	const struct principal *p = &s->r->principal;

	return (s->session && s->r->caller.session_expires_s <= now_s) ||
	       (!p->everything && p->who.expires_s <= now_s);
}

/* Sessions whose streams are there, until they expire. */
static void refresh(struct streams *all)
{
	struct stream *next;
	int64_t now_s = clock_utc_ms() / 1000;

	all->refresh_ms = loop_now_ms(all->w->loop);
	for (struct stream *s = all->first; s; s = next) {
		next = s->next;
		if (has_expired(s, now_s))
			end_stream(s);
		else if (s->session && s->wishes)
			clients_seen(&all->w->board->clients, s->session,
			             now_s);
	}
}

static void hear_subscriptions(struct streams *all)
{
	const struct clients *clients = &all->w->board->clients;
	struct stream *next;
	uint64_t session;

	for (;;) {
		switch (clients_changed(clients, &all->seen, &session)) {
		case CLIENTS_SAME:
			return;
		case CLIENTS_ONE:
			stream_resubscribe(all->w, session);
			break;
		case CLIENTS_ALL:
			for (struct stream *s = all->first; s; s = next) {
				next = s->next;
				if (s->session)
					resubscribe(s);
			}
			break;
		}
	}
}

/* What other processes have to say to streams of this worker. */
static void on_poll(struct timer *t)
{
	struct streams *all = CONTAINER_OF(t, struct streams, poll);

	hear_announcements(all);
	hear_subscriptions(all);
	if (loop_now_ms(all->w->loop) - all->refresh_ms >= STREAM_REFRESH_MS)
		refresh(all);
	if (all->first)
		loop_timer(all->w->loop, t, STREAM_POLL_MS, on_poll);
}

static void start_polling(struct streams *all)
{
	const struct board *b = all->w->board;

	all->refresh_ms = loop_now_ms(all->w->loop);
	all->seen = atomic_load(&b->clients.n_changes);
	for (int kind = 0; kind < LIST_KINDS; kind++)
		all->announced[kind] = count_read(&b->announced[kind]);
	loop_timer(all->w->loop, &all->poll, STREAM_POLL_MS, on_poll);
}

/* ---- they come and go ---- */

struct streams *streams_new(struct worker *w)
{
	struct streams *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->w = w;
	all->watches = watches_new(w->loop, w->proxy.up, w->proxy.sessions);
	if (all->watches)
		return all;
	free(all);
	return NULL;
}

void streams_free(struct streams *all)
{
	if (!all)
		return;
	loop_timer_stop(all->w->loop, &all->poll);
	loop_timer_stop(all->w->loop, &all->gather);
	watches_free(all->watches);
	free(all);
}

bool stream_is_full(const struct worker *w)
{
	return w->streams->n >= (uint64_t)w->snap->settings->limits_streams;
}

static void enter(struct streams *all, struct stream *s)
{
	if (!all->first)
		start_polling(all);
	s->next = all->first;
	if (s->next)
		s->next->prev = &s->next;
	s->prev = &all->first;
	all->first = s;
	all->n++;
	count_own(&all->w->me->streams_open, 1);
	if (!s->session)
		return;
	s->same = all->of[s->session % SESSIONS];
	all->of[s->session % SESSIONS] = s;
}

bool stream_open(struct request *r, uint8_t bits, struct span id,
                 struct span first)
{
	struct streams *all = r->conn->w->streams;
	struct stream *s = calloc(1, sizeof(*s) + id.len);

	if (!s)
		return false;
	s->r = r;
	s->listens = bits;
	s->session = id.len ? 0 : r->caller.session;
	s->id_len = (uint16_t)id.len;
	memcpy(s->id, id.at, id.len);
	r->stream = s;
	r->era = id.len ? VIEW_MODERN : VIEW_LEGACY;
	enter(all, s);
	r->reply.ops->begin(&r->reply, 200, REPLY_EVENTS);
	if (first.len)
		answer_event(&r->reply, first);
	else
		send_comment(r);
	if (all->w->draining)
		end_stream(s);
	else if (s->session)
		resubscribe(s);
	return true;
}

static void forget_session(struct streams *all, struct stream *s)
{
	struct stream **at = &all->of[s->session % SESSIONS];

	while (*at != s)
		at = &(*at)->same;
	*at = s->same;
	clients_release(&all->w->board->clients, all->w->index, s->session);
}

void stream_leave(struct request *r)
{
	struct stream *s = r->stream;
	struct streams *all;

	if (!s)
		return;
	all = r->conn->w->streams;
	r->stream = NULL;
	loop_timer_stop(all->w->loop, &s->hold);
	buf_free(&s->held);
	while (s->wishes)
		drop_wish(&s->wishes);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (s->session)
		forget_session(all, s);
	all->n--;
	count_own(&all->w->me->streams_open, (uint64_t)-1);
	free(s);
}

void stream_end_all(struct worker *w)
{
	while (w->streams->first)
		end_stream(w->streams->first);
}

/* ---- another snapshot ---- */

static void move(struct stream *s, struct snapshot *to)
{
	struct request *r = s->r;

	if (r->snap->head->config_generation != to->head->config_generation)
		r->principal.who.scopes =
			identity_scopes(r->snap, &r->principal.who.scopes, to);
	snapshot_unref(r->snap);
	r->snap = snapshot_ref(to);
	for (struct wish *wish = s->wishes; wish; wish = wish->next) {
		if (route_wish(wish) && wish->watcher.kind == WATCH_RESOURCE)
			wish->moved = true;
		note_moved(wish);
	}
	if (s->held.len)
		try_release(s);
	else
		tell(s);
}

void streams_adopt(struct worker *w, const struct snapshot *old)
{
	struct streams *all = w->streams;

	watches_adopt(all->watches, w->snap);
	/* Whom these tokens belong to may be another matter now: they come
	 * again, and are asked. */
	if (old && !identity_same(old, w->snap))
		stream_end_all(w);
	for (struct stream *s = all->first; s; s = s->next)
		move(s, w->snap);
	if (old && all->first)
		compare(all, old, w->snap);
}
