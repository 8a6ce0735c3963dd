/*
 * fixture_proxy - a proxy for tests: its snapshot, a backend that plays a
 * script on a loopback port of the same loop, and a client that writes down
 * what it gets.
 */
#ifndef TESTS_FIXTURE_PROXY_H
#define TESTS_FIXTURE_PROXY_H

#include "lib/loop.h"
#include "proxy/call.h"
#include "proxy/reply.h"
#include "shm/builder.h"

#define FIXTURE_WAIT_MS 5000 /* nothing in a test takes longer */

/* ---- snapshots ---- */

struct fixture_setup {
	const char *name; /* of the backend, and its identifier */
	uint32_t flags, eras;
	const char *items[VIEWS][LIST_KINDS]; /* NULL: none of this era */
	uint16_t port;                        /* on 127.0.0.1; 0: no address */
	uint32_t max_connections;             /* 0: 8 */
	uint32_t connect_timeout_ms, request_timeout_ms, idle_timeout_ms;
	uint32_t needs;             /* 1 + scope, or 0 */
	const char *legacy_version; /* its revision; NULL: not known */
	bool subscribe;             /* tells of changes of its resources */
	const char *fields;
	const char *extensions[VIEWS]; /* raw objects; NULL: none */
};

/* Every setting at its default. */
void fixture_settings(struct settings *s);

/*
 * What the master would publish for these backends. more, when not NULL, is
 * called to add to the configuration part.
 */
struct snapshot *fixture_snapshot(const struct fixture_setup *setups, size_t n,
                                  const struct settings *settings,
                                  void (*more)(struct builder *b));

/* The board all of it runs on; made when it is first asked for. */
struct board *fixture_board(void);

/*
 * The parts of a proxy that a worker makes: loop, board, connections, sessions.
 * End it when its calls have ended and its servers are freed.
 */
void fixture_proxy_begin(struct proxy *proxy);
void fixture_proxy_end(struct proxy *proxy);

/* ---- requests ---- */

/* Members of _meta that every modern request has. */
#define FIXTURE_META                                                  \
	"\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
	"\"io.modelcontextprotocol/clientCapabilities\":{}"

/* Read a body behind header lines as message_read() does; it must be good.
 * All of it lives until the next call. */
void fixture_read(const char *fields, const char *body,
                  struct h1_request *request, struct message *msg);

/* A request of an era with these members of params and of _meta (each may be
 * ""); name is what Mcp-Name says in the modern one, if not NULL. */
void fixture_ask(enum view_era era, const char *id, const char *method,
                 const char *name, const char *params, const char *meta,
                 struct h1_request *request, struct message *msg);

/* Does part stand in text? */
bool fixture_has(struct span text, const char *part);

/* ---- a client ---- */

struct fixture_client {
	struct reply reply;
	struct buf out; /* everything it got */
	int status;
	enum reply_type type;
	unsigned begins, wholes, ends;
	bool complete;
};

/* Ready for one answer; keeps no memory of the one before. */
void fixture_client_init(struct fixture_client *c, bool json, bool events);
void fixture_client_free(struct fixture_client *c);

/* For proxy.uncork; each cork must have one. */
void fixture_uncork(struct proxy *proxy);

/* Has it been answered to the end? */
bool fixture_client_done(const struct fixture_client *c);

/*
 * Is what it got an answer to this raw id: one JSON document or an event
 * stream whose last event is it, or an answer that was broken off? NULL: yes;
 * else why not.
 */
const char *fixture_client_fault(const struct fixture_client *c,
                                 const char *id);

/* The last message it got: a JSON document. */
struct span fixture_client_last(const struct fixture_client *c);

/* How many messages it got, and the n-th of them. */
size_t fixture_client_count(const struct fixture_client *c);
struct span fixture_client_message(const struct fixture_client *c, size_t n);

/* The next event of a stream as we write them, off its front; false at its
 * end. */
bool fixture_next_event(struct span *in, struct span *data);

/* ---- a backend ---- */

enum fixture_then { THEN_KEEP, THEN_CLOSE, THEN_RESET, THEN_SILENT };

struct fixture_answer {
	const char *raw; /* byte for byte, "$ID" is the request's id; else: */
	int status;      /* 0: 200 */
	const char *fields; /* header lines; NULL: the Content-Type */
	const char *body;   /* "$ID" is the request's id, "$TOKEN" its token */
	bool chunked;       /* else Content-Length */
	size_t piece;       /* bytes written in one turn; 0: all at once */
	enum fixture_then then;
};

struct fixture_server;

struct fixture_server *fixture_server_new(struct loop *loop);
void fixture_server_free(struct fixture_server *s);
uint16_t fixture_server_port(const struct fixture_server *s);

/* Answers of the next requests, in order; after the last it is repeated. */
void fixture_server_play(struct fixture_server *s,
                         const struct fixture_answer *answers, size_t n);

/* Answer initialize and notifications by itself, giving out session ids; what
 * has no body, as a GET, plays an answer. */
void fixture_server_legacy(struct fixture_server *s, bool on);

/* The answer of every GET from now on; NULL: it takes its turn. */
void fixture_server_play_get(struct fixture_server *s,
                             const struct fixture_answer *answer);

/* A GET that goes on with nothing is refused and not counted. */
void fixture_server_no_stream(struct fixture_server *s);

/* Accept nothing more; what is open stays. */
void fixture_server_deaf(struct fixture_server *s);

/* Close every connection, as a backend that restarts; or break them. */
void fixture_server_hang_up(struct fixture_server *s);
void fixture_server_break(struct fixture_server *s);

/* Go on with the newest answer that ended with THEN_SILENT, byte for byte;
 * "$ID" and "$TOKEN" are those of its request. */
void fixture_server_say(struct fixture_server *s, const char *text);

/* The same with the answer to a request that begins with start and has this
 * part. */
void fixture_server_say_to(struct fixture_server *s, const char *start,
                           const char *part, const char *text);

/* What came: the n-th request whole, its body, and how many of each. */
size_t fixture_server_requests(const struct fixture_server *s);
struct span fixture_server_request(const struct fixture_server *s, size_t n);
struct span fixture_server_body(const struct fixture_server *s, size_t n);
/* How many requests have this part, and turn until there are so many. */
size_t fixture_server_count(const struct fixture_server *s, const char *part);
void fixture_server_await(const struct fixture_server *s, const char *part,
                          size_t n);
size_t fixture_server_connections(const struct fixture_server *s);
size_t fixture_server_open(const struct fixture_server *s);

/* ---- the loop ---- */

/* Turn until done(arg), or FIXTURE_WAIT_MS are over: false. */
bool fixture_run(struct loop *loop, bool (*done)(void *arg), void *arg);

/* Turn for this long. */
void fixture_pause(struct loop *loop, uint64_t ms);

#endif
