#include "worker/cancel.h"

#include <stdlib.h>

#include "lib/value.h"
#include "worker/answer.h"
#include "worker/handover.h"

/* A call whose client went away. */
struct left {
	struct left *next;
	uint64_t session, until_ms, id;
	uint32_t backend; /* index in snap */
	struct snapshot *snap;
	struct buf client_id, fields;
};

void cancel_watch(struct request *r, struct span id)
{
	struct worker *w = r->conn->w;

	r->id.max = MESSAGE_ID_MAX;
	buf_reset(&r->id);
	buf_add_span(&r->id, id);
	r->watched_next = w->watched;
	if (r->watched_next)
		r->watched_next->watched_prev = &r->watched_next;
	r->watched_prev = &w->watched;
	w->watched = r;
}

void cancel_forget(struct request *r)
{
	if (!r->watched_prev)
		return;
	*r->watched_prev = r->watched_next;
	if (r->watched_next)
		r->watched_next->watched_prev = r->watched_prev;
	r->watched_prev = NULL;
	r->watched_next = NULL;
}

/* ---- those that went away ---- */

static void drop(struct worker *w, struct left **at)
{
	struct left *l = *at;

	*at = l->next;
	w->n_left--;
	buf_free(&l->client_id);
	buf_free(&l->fields);
	snapshot_unref(l->snap);
	free(l);
}

/* The newest come first, so the rest of the list is older still. */
static void drop_old(struct worker *w)
{
	uint64_t now_ms = loop_now_ms(w->loop);
	struct left **at = &w->left;
	size_t n = 0;

	while (*at && (*at)->until_ms > now_ms && ++n < CANCEL_LEFT_MAX)
		at = &(*at)->next;
	while (*at)
		drop(w, at);
}

static void on_left_over(struct timer *t)
{
	drop_old(CONTAINER_OF(t, struct worker, left_over));
}

void cancel_fini(struct worker *w)
{
	loop_timer_stop(w->loop, &w->left_over);
	while (w->left)
		drop(w, &w->left);
}

void cancel_left(struct request *r)
{
	struct worker *w = r->conn->w;
	struct call *c = r->call;
	struct left *l;

	if (!r->watched_prev || !c || !call_is_at_legacy(c))
		return;
	drop_old(w);
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	l->session = r->caller.session;
	l->until_ms = loop_now_ms(w->loop) + CANCEL_LEFT_MS;
	l->id = c->id;
	l->backend = c->backend;
	l->snap = snapshot_ref(c->snap);
	l->client_id.max = MESSAGE_ID_MAX;
	l->fields.max = SIZE_MAX / 4;
	buf_add_span(&l->client_id, buf_span(&r->id));
	buf_add_span(&l->fields, call_session_fields(c));
	l->next = w->left;
	w->left = l;
	w->n_left++;
	/* It holds a snapshot: not for ever, when no other comes. */
	loop_timer(w->loop, &w->left_over, CANCEL_LEFT_MS, on_left_over);
}

static bool cancel_one_left(struct worker *w, uint64_t session, struct span id)
{
	struct left **at = &w->left;

	while (*at && ((*at)->session != session ||
	               !span_eq(buf_span(&(*at)->client_id), id)))
		at = &(*at)->next;
	if (!*at)
		return false;
	call_post_cancelled(&w->proxy, (*at)->snap, (*at)->backend,
	                    buf_span(&(*at)->fields), (*at)->id);
	drop(w, at);
	return true;
}

/* ---- those that are there ---- */

/* No answer is expected to what was cancelled; the stream just ends. */
static void end(struct request *r)
{
	struct reply *reply = &r->reply;
	struct problem p;

	if (r->call)
		call_abort(r->call);
	builtin_end(r->builtin);
	r->builtin = NULL;
	reply->outcome = OUTCOME_CANCELLED;
	if (!reply->begun && !reply->accepts_events) {
		problem_set(&p, 200, RPC_INTERNAL, "Cancelled");
		answer_problem(r, &p, buf_span(&r->id), span_of("", 0));
		return;
	}
	if (!reply->begun)
		reply->ops->begin(reply, 200, REPLY_EVENTS);
	/* Half a JSON text must not look whole. */
	reply->ops->end(reply, r->events);
}

static bool cancel_running(struct worker *w, uint64_t session, struct span id)
{
	struct request *r = w->watched;

	while (r &&
	       (r->caller.session != session || !span_eq(buf_span(&r->id), id)))
		r = r->watched_next;
	if (r)
		end(r);
	return r != NULL;
}

void cancel_take(struct request *r, const struct h1_request *head,
                 struct span body, const struct message *m)
{
	struct worker *w = r->conn->w;
	uint64_t session = r->caller.session;

	if (m->era != VIEW_LEGACY || !session || !m->request_id.at ||
	    !value_string_eq(m->method_name, SPAN("notifications/cancelled")))
		return;
	if (!cancel_running(w, session, m->request_id) &&
	    !cancel_one_left(w, session, m->request_id))
		handover_tell(r, head, body, true);
}
