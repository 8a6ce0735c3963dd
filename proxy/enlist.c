#include "proxy/enlist.h"

#include "lib/value.h"
#include "proxy/tap.h"

#define BODY_MAX   65536
#define FIELDS_MAX 8192
#define ANSWER_MAX 65536 /* bytes of one that is read */

static void stop(struct enlist_post *p)
{
	exchange_cancel(&p->x);
	snapshot_unref(p->snap);
	p->snap = NULL;
	inbox_fini(&p->box);
	buf_free(&p->body);
	buf_free(&p->fields);
	if (p->about)
		p->about->posting = false;
	p->about = NULL;
}

void enlist_stop(struct enlist *e)
{
	for (size_t i = 0; i < ENLIST_MAX; i++)
		stop(&e->posts[i]);
}

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	CONTAINER_OF(x, struct enlist_post, x)->status = head->status;
}

/* Does this status say that there is no such session, or no such method? */
static bool is_doubtful(const struct enlist_post *p)
{
	return p->status == 404 || p->status == 400;
}

/* Nobody has looked at it. */
static bool is_busy(int status)
{
	return status == 429 || status >= 500;
}

static void on_message(struct inbox *box, const struct span found[])
{
	struct enlist_post *p = CONTAINER_OF(box, struct enlist_post, box);
	int64_t id;

	if (found[INBOX_ERROR].at && value_integer(found[INBOX_ID], &id) &&
	    (uint64_t)id == p->id)
		p->refused = true;
}

static void on_body(struct exchange *x, struct span bytes)
{
	struct enlist_post *p = CONTAINER_OF(x, struct enlist_post, x);

	if (is_doubtful(p) && !inbox_feed(&p->box, bytes))
		p->refused = false; /* too large to be what is looked for */
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct enlist_post *p = CONTAINER_OF(x, struct enlist_post, x);
	struct enlist *e = p->all;
	struct watched *u = p->about;
	bool gone;

	(void)detail;
	if (why == EXCHANGE_COMPLETE)
		inbox_end(&p->box);
	gone = is_doubtful(p) && !p->refused;
	stop(p);
	if (why != EXCHANGE_COMPLETE || gone || is_busy(p->status)) {
		e->failed(e, gone);
		return;
	}
	u->told = p->wants;
	e->done(e, u);
}

static const struct exchange_ops ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};

static void compose(struct enlist_post *p, uint32_t backend)
{
	p->id = ++p->all->next_id;
	p->body.max = BODY_MAX;
	p->fields.max = FIELDS_MAX;
	buf_puts(&p->body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(&p->body, p->id);
	buf_puts(&p->body, ",\"method\":\"resources/");
	buf_puts(&p->body, p->wants ? "subscribe" : "unsubscribe");
	buf_puts(&p->body, "\",\"params\":{\"uri\":");
	buf_add_json(&p->body, watched_uri(p->about));
	buf_puts(&p->body, "}}");
	session_fields(p->all->sessions, p->snap, backend, TAP_SESSION,
	               &p->fields);
}

static void post(struct enlist_post *p, struct watched *u,
                 struct snapshot *snap, uint32_t backend)
{
	p->about = u;
	p->wants = u->watchers != NULL;
	p->status = 0;
	p->refused = false;
	p->box.max = ANSWER_MAX;
	p->box.on_message = on_message;
	p->snap = snapshot_ref(snap);
	u->posting = true;
	compose(p, backend);
	p->x.ops = &ops;
	p->x.snap = p->snap;
	p->x.backend = backend;
	p->x.body = buf_span(&p->body);
	p->x.fields = buf_span(&p->fields);
	p->x.repeatable = true;
	exchange_start(p->all->up, &p->x);
}

static bool is_untold(const struct watched *u)
{
	return u->kind == WATCH_RESOURCE && !u->posting &&
	       u->told != (u->watchers != NULL);
}

/* From where the last one was found, and once around: thousands of them that
 * are told one after the other would else be searched through for each. */
static struct watched *next_untold(struct enlist *e)
{
	for (size_t i = 0; i < WATCHED_PLACES; i++) {
		size_t place = (e->place + i) % WATCHED_PLACES;

		for (struct watched *u = e->set->places[place]; u; u = u->next)
			if (is_untold(u)) {
				e->place = place;
				return u;
			}
	}
	return NULL;
}

bool enlist_push(struct enlist *e, struct snapshot *snap, uint32_t backend)
{
	bool busy = false;

	for (size_t i = 0; i < ENLIST_MAX; i++) {
		struct enlist_post *p = &e->posts[i];
		struct watched *u = p->about ? NULL : next_untold(e);

		p->all = e;
		if (u)
			post(p, u, snap, backend);
		busy = busy || p->about;
	}
	return busy;
}
