#include "worker/stream.h"

#include "lib/value.h"
#include "worker/answer.h"
#include "worker/local.h"

void stream_leave(struct request *r)
{
	if (!r->prev)
		return;
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->prev = NULL;
	r->next = NULL;
	count_own(&r->worker->me->streams_open, (uint64_t)-1);
}

static const struct {
	uint8_t bit;
	const char *flag, *notification;
	enum list_kind kinds[2];
} listens[] = {
	{ LISTENS_TOOLS,
	  "toolsListChanged",
	  "notifications/tools/list_changed",
	  { LIST_TOOLS, LIST_TOOLS } },
	{ LISTENS_PROMPTS,
	  "promptsListChanged",
	  "notifications/prompts/list_changed",
	  { LIST_PROMPTS, LIST_PROMPTS } },
	{ LISTENS_RESOURCES,
	  "resourcesListChanged",
	  "notifications/resources/list_changed",
	  { LIST_RESOURCES, LIST_TEMPLATES } },
};

static void send_event(struct request *r, const struct buf *json)
{
	struct iovec iov[] = {
		{ (void *)(uintptr_t) "event: message\ndata: ", 21 },
		{ json->bytes, json->len },
		{ (void *)(uintptr_t) "\n\n", 2 },
	};

	r->reply.ops->more(&r->reply, iov, ARRAY_LEN(iov));
}

void stream_open(struct request *r, const struct message *m)
{
	struct worker *w = r->conn->w;
	struct buf *b = &w->page;
	struct problem p;
	bool first = true;

	if (m->notifications.at &&
	    value_type(m->notifications) != VALUE_OBJECT) {
		problem_set(&p, 200, RPC_INVALID_PARAMS,
		            "params.notifications must be an object");
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"method\":"
	            "\"notifications/subscriptions/acknowledged\",\"params\":{"
	            "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
	buf_add_span(b, m->id);
	buf_puts(b, "},\"notifications\":{");
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		struct span want =
			value_get(m->notifications, span_str(listens[i].flag));

		if (value_type(want) != VALUE_TRUE)
			continue;
		r->listens |= listens[i].bit;
		buf_addf(b, "%s\"%s\":true", first ? "" : ",", listens[i].flag);
		first = false;
	}
	buf_puts(b, "}}}");
	r->listen_id.max = MESSAGE_ID_MAX;
	buf_reset(&r->listen_id);
	buf_add_span(&r->listen_id, m->id);
	r->worker = w;
	r->next = w->streams;
	if (r->next)
		r->next->prev = &r->next;
	r->prev = &w->streams;
	w->streams = r;
	count_own(&w->me->streams_open, 1);
	r->reply.ops->begin(&r->reply, 200, REPLY_EVENTS);
	send_event(r, b);
	if (w->draining)
		stream_end_all(w);
}

static bool same_list(const struct snapshot *a, const struct snapshot *b,
                      enum list_kind kind)
{
	const struct list *x = &snapshot_view(a, VIEW_MODERN)->lists[kind];
	const struct list *y = &snapshot_view(b, VIEW_MODERN)->lists[kind];

	return x->items.len == y->items.len &&
	       memcmp(a->base + x->items.off, b->base + y->items.off,
	              x->items.len) == 0;
}

static void notify(struct request *r, const char *notification)
{
	struct buf *b = &r->worker->page;

	buf_reset(b);
	buf_addf(b,
	         "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"_meta\":"
	         "{\"io.modelcontextprotocol/subscriptionId\":",
	         notification);
	buf_add_span(b, buf_span(&r->listen_id));
	buf_puts(b, "}}}");
	send_event(r, b);
}

void stream_catalog_changed(struct worker *w, const struct snapshot *old,
                            const struct snapshot *now)
{
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		struct request *next;

		if (same_list(old, now, listens[i].kinds[0]) &&
		    same_list(old, now, listens[i].kinds[1]))
			continue;
		for (struct request *r = w->streams; r; r = next) {
			next = r->next;
			if (r->listens & listens[i].bit)
				notify(r, listens[i].notification);
		}
	}
}

void stream_end_all(struct worker *w)
{
	struct buf *b = &w->page;

	while (w->streams) {
		struct request *r = w->streams;

		local_start_result(b, buf_span(&r->listen_id));
		buf_puts(b, "\"resultType\":\"complete\",\"_meta\":{"
		            "\"io.modelcontextprotocol/subscriptionId\":");
		buf_add_span(b, buf_span(&r->listen_id));
		buf_puts(b, "}}}");
		send_event(r, b);
		stream_leave(r);
		r->reply.outcome = OUTCOME_SUCCESS;
		r->reply.ops->end(&r->reply, true);
	}
}

void stream_keepalive(struct request *r)
{
	struct iovec iov = { (void *)(uintptr_t) ":\n\n", 3 };

	if (r->reply.begun && r->events && !r->reply.full)
		r->reply.ops->more(&r->reply, &iov, 1);
}
