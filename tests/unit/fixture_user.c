#include "tests/unit/fixture_user.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void release(struct reply *r)
{
	struct fixture_user *u =
		CONTAINER_OF(r, struct fixture_user, client.reply);
	struct call *c = u->call;

	u->call = NULL;
	call_give(c);
}

static void whole(struct reply *r, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	CONTAINER_OF(r, struct fixture_user, client.reply)
		->inner->whole(r, status, type, body, n);
	release(r);
}

static void finish(struct reply *r, bool complete)
{
	CONTAINER_OF(r, struct fixture_user, client.reply)
		->inner->end(r, complete);
	release(r);
}

void fixture_user_init(struct fixture_user *u, bool events)
{
	fixture_client_free(&u->client);
	fixture_client_init(&u->client, true, events);
	u->inner = u->client.reply.ops;
	u->ops = *u->inner;
	u->ops.whole = whole;
	u->ops.end = finish;
	u->client.reply.ops = &u->ops;
}

void fixture_user_call(struct fixture_user *u, struct proxy *proxy,
                       struct snapshot *snap, enum view_era era,
                       const char *tool, bool events,
                       const struct caller *caller)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;
	char params[64];

	snprintf(params, sizeof(params), "\"name\":\"%s\",\"arguments\":{}",
	         tool);
	fixture_ask(era, "\"c\"", "tools/call", tool, params, "", &request,
	            &msg);
	cr_assert(route_find(snap, &msg, &route, &why), "%s", why.text);
	fixture_user_init(u, events);
	u->call = call_take(proxy);
	u->call->caller = *caller;
	u->call->reply = &u->client.reply;
	u->call->snap = snap;
	call_start(u->call, &msg, &request.head, &route);
}

static bool done(void *arg)
{
	return fixture_client_done(&((struct fixture_user *)arg)->client);
}

void fixture_user_await(struct fixture_user *u, const struct proxy *proxy)
{
	cr_assert(fixture_run(proxy->loop, done, u), "not answered: %.*s",
	          SPAN_ARG(buf_span(&u->client.out)));
}

void fixture_user_leave(struct fixture_user *u)
{
	if (u->call) {
		call_cancel(u->call);
		release(&u->client.reply);
	}
	fixture_client_free(&u->client);
	u->client = (struct fixture_client){ .ends = 0 };
}
