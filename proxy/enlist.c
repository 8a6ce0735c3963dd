#include "proxy/enlist.h"

#include "proxy/tap.h"

#define BODY_MAX   65536
#define FIELDS_MAX 8192

static void stop(struct enlist_post *p)
{
	exchange_cancel(&p->x);
	snapshot_unref(p->snap);
	p->snap = NULL;
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

static void on_body(struct exchange *x, struct span bytes)
{
	(void)x;
	(void)bytes;
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct enlist_post *p = CONTAINER_OF(x, struct enlist_post, x);
	struct enlist *e = p->all;
	struct watched *u = p->about;
	bool gone = p->status == 404 || p->status == 400;

	(void)detail;
	stop(p);
	if (why != EXCHANGE_COMPLETE || gone) {
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
	p->body.max = BODY_MAX;
	p->fields.max = FIELDS_MAX;
	buf_puts(&p->body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(&p->body, ++p->all->next_id);
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
