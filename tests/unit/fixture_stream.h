/*
 * fixture_stream - a worker with backends of both eras that tell of changes,
 * and clients that hold event streams open.
 *
 * The backend "old" is legacy and has the resources old:1, old:2 and old:t/...;
 * "new" is modern, has new:1 and so on, and tasks. Clients of both eras see all
 * of it. With authentication, the tokens "ann" and "bob" are known; the scopes
 * of ann are "a" and "b", the first two of the snapshot; bob has "b".
 */
#ifndef TESTS_FIXTURE_STREAM_H
#define TESTS_FIXTURE_STREAM_H

#include "tests/unit/fixture_worker.h"
#include "worker/stream.h"

#define FIXTURE_CALLERS 4
#define FIXTURE_ACCEPT  "Accept: text/event-stream\r\n"

struct fixture_stream {
	struct settings settings;
	struct fixture_setup setups[VIEWS];
	struct fixture_server *servers[VIEWS];
	struct worker *w;
	struct fixture_caller callers[FIXTURE_CALLERS];
	const char *new_scope; /* one that nobody has; NULL: none */
	uint64_t generation;   /* of the configuration */
	uint16_t peer_port;    /* of another replica; 0: there is none */
	bool without_bob;      /* his token is not known */
};
extern struct fixture_stream fixture_stream;

void fixture_stream_start(void);
void fixture_stream_stop(void);

/* Serve from what is set up now. */
void fixture_stream_build(void);

/* A session of the client with these header lines. The caller's to free. */
char *fixture_session(const char *fields);

/* What the worker calls it. */
uint64_t fixture_session_hash(const char *session);

/* On a connection of its own, with these header lines more: a
 * subscriptions/listen with this raw id, these members of params and of
 * clientCapabilities; a GET and a message in a session or, with NULL, in none.
 * What came before is forgotten. */
void fixture_listen(struct fixture_caller *c, const char *fields,
                    const char *id, const char *params,
                    const char *capabilities);
void fixture_get(struct fixture_caller *c, const char *fields,
                 const char *session);
void fixture_tell(struct fixture_caller *c, const char *fields,
                  const char *session, const char *body);

/* A refusal: its status, code and text, and the id in it, raw or NULL. */
void fixture_expect_refusal(struct fixture_caller *c, int status, int code,
                            const char *text, const char *id);

/* How many events have come on the stream so far, and the data of the n-th. */
size_t fixture_events(const struct fixture_caller *c);
struct span fixture_event(const struct fixture_caller *c, size_t n);

/* Turn until the n-th event has come: it must be this. */
void fixture_expect_event(struct fixture_caller *c, size_t n, const char *data);

/* Turn until there are so many streams in the worker. */
void fixture_await_streams(uint64_t n);

/* The next streams of the modern backend acknowledge these members of the
 * filter; before that, none. The legacy one has streams, and answers each
 * request with an empty result. */
void fixture_play_stream(const char *filter);

/* The backend tells something on its newest stream. */
void fixture_server_tell(enum view_era server, const char *json);

#define FIXTURE_ID(id)       "\"_meta\":{\"" MESSAGE_LISTEN_ID "\":" id "}"
#define FIXTURE_SAYS(method) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\""
#define FIXTURE_LISTS(list)  FIXTURE_SAYS("notifications/" list "/list_changed")

/* What a modern stream tells: it is open, lists and resources have changed, it
 * is over. */
#define FIXTURE_ACKED(id, filter)                                \
	FIXTURE_SAYS("notifications/subscriptions/acknowledged") \
	",\"params\":{" FIXTURE_ID(id) ",\"notifications\":{" filter "}}}"
#define FIXTURE_CHANGED(id, list) \
	FIXTURE_LISTS(list) ",\"params\":{" FIXTURE_ID(id) "}}"
#define FIXTURE_UPDATED(id, uri)                        \
	FIXTURE_SAYS("notifications/resources/updated") \
	",\"params\":{\"uri\":\"" uri "\"," FIXTURE_ID(id) "}}"
#define FIXTURE_OVER(id)                  \
	"{\"jsonrpc\":\"2.0\",\"id\":" id \
	",\"result\":{\"resultType\":\"complete\"," FIXTURE_ID(id) "}}"

/* And a legacy one; backends tell the same. */
#define FIXTURE_CHANGED_PLAIN(list) FIXTURE_LISTS(list) "}"
#define FIXTURE_UPDATED_PLAIN(uri)                      \
	FIXTURE_SAYS("notifications/resources/updated") \
	",\"params\":{\"uri\":\"" uri "\"}}"

#define FIXTURE_TASKS "\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}"

#endif
