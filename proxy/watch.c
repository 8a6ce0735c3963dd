#include "proxy/watch.h"

#include <stdlib.h>

#include "lib/log.h"
#include "lib/value.h"
#include "proxy/enlist.h"
#include "proxy/message.h"
#include "proxy/tap.h"
#include "proxy/watched.h"

#define LIVED_MS 5000 /* a stream that lasted this long worked */
#define BODY_MAX (8u << 20)

/* One backend. */
struct watch {
	struct watches *all;
	uint32_t slot, backend; /* backend: index in all->snap */
	uint64_t identity;      /* of the backend, to notice that it moved */
	enum view_era era;
	unsigned now; /* which of taps is heard */
	struct tap taps[2];
	struct timer sync, flush, overlap;
	uint64_t backoff_ms, not_before_ms;
	uint64_t wishes, asked; /* generation of the union, and of the last one
	                           that was asked for */
	uint64_t session;       /* in which was subscribed */
	bool careful;           /* one URI more at a time */
	bool lost;              /* a stream that worked has ended */
	struct enlist enlist;
	struct watched_set set;
};

struct watches {
	struct loop *loop;
	struct upstream *up;
	struct sessions *sessions;
	struct snapshot *snap;
	struct watch *of[BACKENDS_MAX]; /* by the board's slot */
};

/* ---- telling ---- */

static void on_flush(struct timer *t)
{
	struct watch *w = CONTAINER_OF(t, struct watch, flush);

	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u)) {
		if (!u->changed)
			continue;
		u->changed = false;
		for (struct watcher *one = u->watchers; one; one = one->next)
			one->updated(one, span_of("", 0));
	}
}

static void note_change(struct watch *w, struct watched *u)
{
	u->changed = true;
	if (!w->flush.due_ms)
		loop_timer(w->all->loop, &w->flush, WATCH_GATHER_MS, on_flush);
}

/* What the backend says about a task of those that it was asked for. */
static void settle(struct watched *u, bool told)
{
	bool fresh = !u->told && !u->refused;

	u->told = told;
	u->refused = !told;
	for (struct watcher *one = u->watchers; one && fresh; one = one->next)
		if (one->settled)
			one->settled(one);
}

/* No task will be heard of. */
static void refuse_tasks(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (u->kind == WATCH_TASK)
			settle(u, false);
}

/* ---- the backend's side ---- */

static void make_so(struct watch *w);

static void on_sync(struct timer *t)
{
	make_so(CONTAINER_OF(t, struct watch, sync));
}

static void sync_in(struct watch *w, uint64_t in_ms)
{
	uint64_t now_ms = loop_now_ms(w->all->loop);
	uint64_t due_ms = MAX(now_ms + in_ms, w->not_before_ms);

	if (!w->sync.due_ms || w->sync.due_ms > due_ms)
		loop_timer(w->all->loop, &w->sync, due_ms - now_ms, on_sync);
}

static void sync_later(struct watch *w)
{
	w->not_before_ms = loop_now_ms(w->all->loop) + w->backoff_ms;
	sync_in(w, w->backoff_ms);
	w->backoff_ms = MIN(2 * w->backoff_ms, (uint64_t)WATCH_BACKOFF_MAX_MS);
}

/* Everything towards the backend ends; what is watched stays. */
static void close_all(struct watch *w)
{
	loop_timer_stop(w->all->loop, &w->overlap);
	for (size_t i = 0; i < ARRAY_LEN(w->taps); i++)
		tap_close(&w->taps[i]);
	enlist_stop(&w->enlist);
	w->asked = 0;
}

/* What is watched and was lost from sight for a while. */
static void note_lost(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (u->told && u->kind == WATCH_RESOURCE)
			note_change(w, u);
	w->lost = false;
}

/* The backend does not do that: in its other era it may. */
static void try_other_era(struct watch *w)
{
	uint32_t eras = snapshot_origin(w->all->snap, w->backend)->eras;

	close_all(w);
	refuse_tasks(w);
	if (eras == (ERA_LEGACY | ERA_MODERN) && w->era == VIEW_MODERN) {
		w->era = VIEW_LEGACY;
		sync_in(w, 0);
		return;
	}
	log_info(
		"backend tells of no changes of its resources",
		LOG_SPAN("backend", snapshot_text(w->all->snap,
	                                          snapshot_backend(w->all->snap,
	                                                           w->backend)
	                                                  ->name)));
	w->backoff_ms = WATCH_BACKOFF_MAX_MS;
	sync_later(w);
}

/* ---- modern: one stream for all ---- */

/* The union as it is asked for now, each kind in its own buffer. */
static void choose(struct watch *w, struct buf out[2])
{
	unsigned fresh = 0;

	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u)) {
		u->asked =
			!u->refused && (u->told || !w->careful || fresh == 0);
		if (!u->asked)
			continue;
		fresh += !u->told;
		if (out[u->kind].len)
			buf_putc(&out[u->kind], ',');
		buf_add_json(&out[u->kind], watched_uri(u));
	}
}

static bool is_opening(const struct watch *w)
{
	for (size_t i = 0; i < ARRAY_LEN(w->taps); i++)
		if (tap_runs(&w->taps[i]) && !w->taps[i].open)
			return true;
	return false;
}

static void sync_modern(struct watch *w)
{
	struct buf union_of[] = {
		[WATCH_RESOURCE] = { .max = BODY_MAX },
		[WATCH_TASK] = { .max = BODY_MAX },
	};
	struct tap *heard = &w->taps[w->now];

	/* Whatever comes of the one that opens, this is looked at again. */
	if (is_opening(w) || w->wishes == w->asked)
		return;
	loop_timer_stop(w->all->loop, &w->overlap);
	tap_close(&w->taps[!w->now]);
	choose(w, union_of);
	w->asked = w->wishes;
	if (union_of[WATCH_RESOURCE].len || union_of[WATCH_TASK].len)
		tap_listen(tap_runs(heard) ? &w->taps[!w->now] : heard,
		           w->all->snap, w->backend,
		           buf_span(&union_of[WATCH_RESOURCE]),
		           buf_span(&union_of[WATCH_TASK]));
	buf_free(&union_of[WATCH_RESOURCE]);
	buf_free(&union_of[WATCH_TASK]);
}

static void on_overlap(struct timer *t)
{
	struct watch *w = CONTAINER_OF(t, struct watch, overlap);

	tap_close(&w->taps[!w->now]);
}

static void note_honoured(struct watch *w, enum watch_kind kind,
                          struct span honoured)
{
	struct value_iter it;
	struct span raw;
	char uri[MESSAGE_URI_MAX];

	if (value_type(honoured) != VALUE_ARRAY)
		return;
	value_iter_init(&it, honoured);
	while (value_array_next(&it, &raw)) {
		int n = value_type(raw) == VALUE_STRING
		                ? value_string(raw, uri, sizeof(uri))
		                : -1;
		struct watched *u =
			n > 0 ? watched_find(&w->set, kind,
		                             span_of(uri, (size_t)n))
			      : NULL;

		if (u)
			u->honoured = u->asked;
	}
}

/* What was asked for and is not in what the backend honours is refused. */
static void take_honoured(struct watch *w, struct span uris, struct span tasks)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		u->honoured = false;
	note_honoured(w, WATCH_RESOURCE, uris);
	note_honoured(w, WATCH_TASK, tasks);
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (u->asked)
			settle(u, u->honoured);
}

static bool any_untried(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (!u->told && !u->refused)
			return true;
	return false;
}

static void forget_moves(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		u->moved = false;
}

static void open_modern(struct watch *w, struct tap *t, struct span uris,
                        struct span tasks)
{
	take_honoured(w, uris, tasks);
	if (t != &w->taps[w->now]) {
		w->now = !w->now;
		forget_moves(w);
		loop_timer(w->all->loop, &w->overlap, WATCH_OVERLAP_MS,
		           on_overlap);
	}
	if (w->careful) {
		w->careful = any_untried(w);
		w->wishes += w->careful;
	}
	if (w->wishes != w->asked)
		sync_in(w, 0);
}

/* A backend may not know a task any more that it told of. While one by one is
 * asked, it has just confirmed those before. */
static bool doubt_tasks(struct watch *w, unsigned fresh)
{
	bool any = false;

	if (w->careful && fresh > 0)
		return false;
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u)) {
		if (u->kind != WATCH_TASK || !u->told)
			continue;
		u->told = false;
		any = true;
	}
	return any;
}

/* It wants none of what was new: which of it, that one by one tells. */
static void refused_modern(struct watch *w, struct span error)
{
	int64_t code = 0;
	bool doubted, unknown;
	unsigned fresh = 0;

	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		fresh += u->asked && !u->told;
	unknown = !value_integer(value_get(error, SPAN("code")), &code) ||
	          code == -32601;
	doubted = !unknown && doubt_tasks(w, fresh);
	if (unknown || (fresh == 0 && !doubted)) {
		try_other_era(w);
		return;
	}
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (fresh == 1 && !doubted && u->asked && !u->told)
			settle(u, false);
	w->careful = true;
	w->asked = 0;
	sync_in(w, 0);
}

/* ---- legacy: a stream, and a request for each ---- */

/* Tell what the backend does not know yet. */
static void push(struct watch *w)
{
	struct tap *t = &w->taps[0];

	if (t->open && !enlist_push(&w->enlist, t->snap, t->backend))
		sync_in(w, WATCH_LINGER_MS); /* to forget what nobody wants */
}

static void on_enlisted(struct enlist *e, struct watched *u)
{
	struct watch *w = CONTAINER_OF(e, struct watch, enlist);

	for (struct watcher *one = u->watchers; one && u->told; one = one->next)
		if (one->settled)
			one->settled(one);
	push(w);
}

static void on_not_enlisted(struct enlist *e, bool session_gone)
{
	struct watch *w = CONTAINER_OF(e, struct watch, enlist);

	if (session_gone) {
		session_lost(w->all->sessions, w->all->snap, w->backend,
		             TAP_SESSION, w->session);
		close_all(w);
		w->lost = true;
	}
	sync_later(w);
}

static bool any_untold(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (u->kind == WATCH_RESOURCE &&
		    u->told != (u->watchers != NULL))
			return true;
	return false;
}

static void sync_legacy(struct watch *w)
{
	if (!tap_runs(&w->taps[0]))
		tap_get(&w->taps[0], w->all->snap, w->backend);
	else if (any_untold(w))
		push(w);
}

static void open_legacy(struct watch *w, struct tap *t)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		u->told = u->told && t->session == w->session;
	w->session = t->session;
	push(w);
}

/* ---- both ---- */

static void on_open(struct tap *t, struct span uris, struct span tasks)
{
	struct watch *w = t->owner;

	if (w->lost && !t->resumable)
		note_lost(w);
	w->lost = false;
	if (w->era == VIEW_MODERN)
		open_modern(w, t, uris, tasks);
	else
		open_legacy(w, t);
}

static void on_updated(struct tap *t, struct span uri)
{
	struct watch *w = t->owner;
	struct watched *u = watched_find_whole(&w->set, uri);

	if (u)
		note_change(w, u);
}

/*
 * While two streams overlap, each tells everything from some moment on, and one
 * may be read later than the other: what was told is not told again, and
 * nothing of the old one after the first of the new one.
 */
static bool was_told(const struct watch *w, const struct tap *t,
                     const struct watched *u, uint32_t state)
{
	if (!tap_runs(&w->taps[0]) || !tap_runs(&w->taps[1]))
		return false;
	for (size_t i = 0; i < WATCHED_STATES; i++)
		if (u->states[i] == state)
			return true;
	return u->moved && t != &w->taps[w->now];
}

static void on_task(struct tap *t, struct span id, struct span task)
{
	struct watch *w = t->owner;
	struct watched *u = watched_find(&w->set, WATCH_TASK, id);
	uint32_t state = snapshot_hash(task);

	if (!u || was_told(w, t, u, state))
		return;
	u->moved = t == &w->taps[w->now];
	u->states[u->next_state++ % WATCHED_STATES] = state;
	for (struct watcher *one = u->watchers; one; one = one->next)
		one->updated(one, task);
}

static void on_end(struct tap *t, enum tap_end why, struct span error)
{
	struct watch *w = t->owner;
	bool heard = t == &w->taps[w->now];
	uint64_t lived_ms = loop_now_ms(w->all->loop) - t->began_ms;

	w->lost = w->lost || heard;
	if (heard && tap_runs(&w->taps[!w->now])) {
		w->now = !w->now; /* it is about to open */
		return;
	}
	if (why == TAP_REFUSED && w->era == VIEW_MODERN) {
		refused_modern(w, error);
		return;
	}
	if (why == TAP_REFUSED) {
		try_other_era(w);
		return;
	}
	w->asked = 0;
	if (lived_ms >= LIVED_MS)
		w->backoff_ms = WATCH_BACKOFF_MIN_MS;
	sync_later(w);
}

static const struct tap_ops tap_ops = {
	.open = on_open,
	.updated = on_updated,
	.task = on_task,
	.end = on_end,
};

/* Forget what nobody wants. Legacy backends must be told first, while there is
 * a stream in whose session they can be. */
static void sweep(struct watch *w)
{
	bool tells = w->era == VIEW_LEGACY && w->taps[0].open;

	for (struct watched *u = watched_next(&w->set, NULL), *next; u;
	     u = next) {
		next = watched_next(&w->set, u);
		if (u->watchers || u->posting ||
		    (tells && u->told && u->kind == WATCH_RESOURCE))
			continue;
		watched_remove(u);
		w->wishes++;
	}
}

static bool any_wanted(struct watch *w)
{
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		if (u->watchers)
			return true;
	return false;
}

/* Nobody watches anything there any more. */
static void end_watch(struct watch *w)
{
	struct watches *all = w->all;

	close_all(w);
	loop_timer_stop(all->loop, &w->sync);
	loop_timer_stop(all->loop, &w->flush);
	for (size_t i = 0; i < ARRAY_LEN(w->taps); i++)
		tap_fini(&w->taps[i]);
	while (watched_next(&w->set, NULL))
		watched_remove(watched_next(&w->set, NULL));
	all->of[w->slot] = NULL;
	free(w);
}

static void make_so(struct watch *w)
{
	if (!any_wanted(w)) {
		if (w->era == VIEW_LEGACY && w->backend < UINT32_MAX)
			session_close(w->all->sessions, w->all->snap,
			              w->backend, TAP_SESSION);
		end_watch(w);
		return;
	}
	sweep(w);
	if (w->backend == UINT32_MAX)
		return;
	if (w->era == VIEW_MODERN)
		sync_modern(w);
	else
		sync_legacy(w);
}

/* ---- from outside ---- */

static const struct {
	uint32_t ability, eras;
} needs[] = {
	[WATCH_RESOURCE] = { ABILITY_SUBSCRIBE, ERA_MODERN | ERA_LEGACY },
	[WATCH_TASK] = { ABILITY_TASKS, ERA_MODERN },
};

bool watch_era(const struct snapshot *snap, uint32_t backend,
               enum watch_kind kind, enum view_era *era)
{
	const struct origin *o = snapshot_origin(snap, backend);

	if (snapshot_backend(snap, backend)->flags & BACKEND_OCI ||
	    !(o->abilities & needs[kind].ability) ||
	    !(o->eras & needs[kind].eras))
		return false;
	*era = o->eras & ERA_MODERN ? VIEW_MODERN : VIEW_LEGACY;
	return true;
}

static uint64_t identify(const struct snapshot *snap, uint32_t backend)
{
	const struct backend *b = snapshot_backend(snap, backend);
	const struct origin *o = snapshot_origin(snap, backend);
	uint64_t h = snapshot_hash(snapshot_text(snap, b->url));

	h = h << 32 ^ snapshot_hash(snapshot_text(snap, b->fields));
	h ^= (uint64_t)snapshot_hash(span_of(
		     o->addresses, o->n_addresses * sizeof(*o->addresses)))
	     << 16;
	return h + o->eras;
}

static struct watch *make(struct watches *all, uint32_t backend)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->all = all;
	w->slot = snapshot_backend(all->snap, backend)->slot;
	w->backend = backend;
	w->identity = identify(all->snap, backend);
	w->backoff_ms = WATCH_BACKOFF_MIN_MS;
	for (size_t i = 0; i < ARRAY_LEN(w->taps); i++) {
		w->taps[i].ops = &tap_ops;
		w->taps[i].owner = w;
		w->taps[i].up = all->up;
		w->taps[i].sessions = all->sessions;
		w->taps[i].loop = all->loop;
	}
	w->enlist.up = all->up;
	w->enlist.sessions = all->sessions;
	w->enlist.set = &w->set;
	w->enlist.done = on_enlisted;
	w->enlist.failed = on_not_enlisted;
	all->of[w->slot] = w;
	return w;
}

bool watch_add(struct watches *all, uint32_t backend, struct span uri,
               struct watcher *one)
{
	struct watch *w = all->of[snapshot_backend(all->snap, backend)->slot];
	struct watched *u;
	enum view_era era;

	assert(!one->prev);
	if (!watch_era(all->snap, backend, one->kind, &era))
		return false;
	if (!w) {
		w = make(all, backend);
		if (!w)
			return false;
		w->era = era;
		sync_in(w, WATCH_DEBOUNCE_MS); /* also if nothing is added */
	}
	u = watched_add(&w->set, one->kind, uri);
	if (!u)
		return false;
	if (!u->watchers && !u->told) {
		u->refused = u->kind == WATCH_TASK && w->era == VIEW_LEGACY;
		w->wishes++;
		sync_in(w, WATCH_DEBOUNCE_MS);
	}
	one->of = u;
	one->next = u->watchers;
	one->prev = &u->watchers;
	if (one->next)
		one->next->prev = &one->next;
	u->watchers = one;
	return true;
}

static struct watch *watch_of(const struct watcher *one)
{
	return CONTAINER_OF(one->of->set, struct watch, set);
}

void watch_drop(struct watcher *one)
{
	if (!one->prev)
		return;
	*one->prev = one->next;
	if (one->next)
		one->next->prev = one->prev;
	one->prev = NULL;
	one->next = NULL;
	if (!one->of->watchers)
		sync_in(watch_of(one), WATCH_LINGER_MS);
	one->of = NULL;
}

bool watch_is(const struct watcher *one, const struct watches *all,
              uint32_t backend, struct span uri)
{
	return one->prev &&
	       watch_of(one)->slot ==
	               snapshot_backend(all->snap, backend)->slot &&
	       one->of->kind == one->kind && span_eq(watched_uri(one->of), uri);
}

bool watch_is_settled(const struct watcher *one)
{
	return !one->prev || one->of->told || one->of->refused;
}

static void adopt(struct watch *w)
{
	const struct snapshot *snap = w->all->snap;
	uint32_t i = 0;
	enum view_era era;

	while (i < snap->head->backends.len &&
	       snapshot_backend(snap, i)->slot != w->slot)
		i++;
	if (i == snap->head->backends.len ||
	    (!watch_era(snap, i, WATCH_RESOURCE, &era) &&
	     !watch_era(snap, i, WATCH_TASK, &era))) {
		close_all(w);
		w->backend = UINT32_MAX;
		w->identity = 0;
		return;
	}
	w->backend = i;
	if (w->identity == identify(snap, i))
		return;
	w->identity = identify(snap, i);
	close_all(w);
	w->era = era;
	w->careful = false;
	w->lost = true;
	w->backoff_ms = WATCH_BACKOFF_MIN_MS;
	for (struct watched *u = watched_next(&w->set, NULL); u;
	     u = watched_next(&w->set, u))
		u->refused = false;
	sync_in(w, WATCH_DEBOUNCE_MS);
}

void watches_adopt(struct watches *all, struct snapshot *snap)
{
	struct snapshot *old = all->snap;

	all->snap = snapshot_ref(snap);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (all->of[i])
			adopt(all->of[i]);
	snapshot_unref(old);
}

struct watches *watches_new(struct loop *loop, struct upstream *up,
                            struct sessions *sessions)
{
	struct watches *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->loop = loop;
	all->up = up;
	all->sessions = sessions;
	return all;
}

void watches_free(struct watches *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (all->of[i])
			end_watch(all->of[i]);
	snapshot_unref(all->snap);
	free(all);
}
