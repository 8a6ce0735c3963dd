/*
 * fixture_worker - a worker for tests, on a loop of its own, and clients that
 * write bytes to it and keep what it answers.
 */
#ifndef TESTS_FIXTURE_WORKER_H
#define TESTS_FIXTURE_WORKER_H

#include "proxy/sealed.h"
#include "tests/unit/fixture_proxy.h"
#include "worker/conn.h"
#include "worker/request.h"

/* A worker that serves from this snapshot; takes the reference. */
struct worker *fixture_worker_new(struct snapshot *snap);
void fixture_worker_free(struct worker *w);

/* *w serves from this snapshot from now on; NULL: a new one does. Takes the
 * reference. */
void fixture_worker_build(struct worker **w, struct snapshot *snap);

/* Serve from another snapshot from now on; takes the reference. */
void fixture_worker_adopt(struct worker *w, struct snapshot *snap);

/* The sealed form for asker (proxy/sealed). The caller's to free. */
char *fixture_seal(const struct worker *w, struct sealed s, const char *asker);

/* One connection, seen from its client. */
struct fixture_caller {
	struct source src;
	struct worker *w;
	struct conn *conn; /* the worker's side, while it lasts */
	struct buf in;     /* everything that came */
	bool closed, reset;
	bool deaf; /* set: reads nothing */
};

void fixture_call(struct fixture_caller *c, struct worker *w);
void fixture_hang_up(struct fixture_caller *c);

/* Write all of it, piece bytes in one turn; 0: at once. */
void fixture_say(struct fixture_caller *c, struct span text, size_t piece);

/* The same on a connection of its own, until it is answered. */
void fixture_ask_anew(struct fixture_caller *c, struct worker *w,
                      const char *text);

/* Turn until n answers are complete, or the connection has ended. */
void fixture_await(struct fixture_caller *c, size_t n);

/* Turn until the connection has ended; false: it does not. */
bool fixture_await_end(struct fixture_caller *c);

/* The n-th answer: its status, 0 when it is not there (whole). */
int fixture_status(const struct fixture_caller *c, size_t n);
struct span fixture_answer_body(const struct fixture_caller *c, size_t n);
struct span fixture_answer_head(const struct fixture_caller *c, size_t n);
size_t fixture_answers(const struct fixture_caller *c);

/* What has come of the body of the first answer, which may go on. */
struct span fixture_body_so_far(const struct fixture_caller *c);

/* Does the n-th answer's head have this line (any case)? */
bool fixture_has_line(const struct fixture_caller *c, size_t n,
                      const char *line);

/* A POST to the endpoint with these header lines. The caller's to free. */
char *fixture_post(const char *fields, const char *body);

/* The same, chunked. */
char *fixture_post_chunked(const char *fields, const char *body);

#endif
