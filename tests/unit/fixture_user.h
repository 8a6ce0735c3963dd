/*
 * fixture_user - clients whose calls end with their requests, as in a worker:
 * the call of one that was answered, or has left, is given back.
 */
#ifndef TESTS_FIXTURE_USER_H
#define TESTS_FIXTURE_USER_H

#include "proxy/call.h"
#include "tests/unit/fixture_proxy.h"

/* Zeroed, it asks nothing. */
struct fixture_user {
	struct fixture_client client;
	struct call *call; /* NULL: it is over */
	struct reply_ops ops;
	const struct reply_ops *inner;
};

/* Ready for an answer, a JSON document or, if it likes them, events. */
void fixture_user_init(struct fixture_user *u, bool events);

/* tools/call of this tool with the id "c" and no arguments, by this caller. */
void fixture_user_call(struct fixture_user *u, struct proxy *proxy,
                       struct snapshot *snap, enum view_era era,
                       const char *tool, bool events,
                       const struct caller *caller);

/* Turn until it is answered. */
void fixture_user_await(struct fixture_user *u, const struct proxy *proxy);

/* The client hangs up, if it is still there. */
void fixture_user_leave(struct fixture_user *u);

#endif
