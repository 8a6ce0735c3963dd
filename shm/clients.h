/*
 * clients - what the sessions of legacy clients asked for, for all workers.
 *
 * A session's messages may come to any worker, and its event stream is in one
 * of them. So what a session has asked for stands on the board: the resources
 * it subscribed to, the least level of log messages it wants, and which worker
 * has its stream. A session is known here by a hash of its id that is not 0 and
 * that nobody outside can choose.
 *
 * Everything is bounded and nothing is locked: a writer may be killed between
 * any two stores. A level and a stream are one word each. A subscription is a
 * row with a stamp, odd while it is written, which says who writes it;
 * clients_bury() frees what a dead worker left. A session's rows lie within
 * CLIENTS_PER_SESSION places from where its hash leads. When these are taken, a
 * row makes room whose session has expired, or has had no stream for
 * CLIENTS_KEEP_S: the one that was seen last longest ago.
 *
 * Times are seconds of UTC.
 */
#ifndef SHM_CLIENTS_H
#define SHM_CLIENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/span.h"

#define CLIENTS_URI_MAX     472   /* bytes of a URI that is subscribed to */
#define CLIENTS_ROWS        32768 /* subscriptions; a power of two */
#define CLIENTS_PER_SESSION 128   /* subscriptions */
#define CLIENTS_KEEP_S      60    /* a row without a stream is not evicted */
#define CLIENTS_WORDS       65536 /* streams, and levels; a power of two */
#define CLIENTS_CHANGES     1024  /* remembered; a power of two */
#define CLIENTS_WRITERS     512   /* more than there are slots of processes */

/* A resource that a session subscribed to. At rest while stamp is even. */
struct clients_row {
	_Atomic uint32_t stamp;
	uint32_t uri_len;
	uint64_t session;         /* 0: free */
	int64_t expires_s;        /* the session */
	int64_t seen_s;           /* when its stream was there last */
	_Atomic uint64_t settled; /* session: its backend knows of it */
	char uri[CLIENTS_URI_MAX];
};

/* Valid when number is one more than its place in the order of changes. */
struct clients_change {
	_Atomic uint64_t number, session;
};

struct clients {
	_Atomic uint64_t n_changes;
	struct clients_change changes[CLIENTS_CHANGES];
	_Atomic uint64_t streams[CLIENTS_WORDS];
	_Atomic uint64_t levels[CLIENTS_WORDS];
	_Atomic uint64_t ended[CLIENTS_WORDS];
	/* 1 + the row that a worker is about to write; 0: none */
	_Atomic uint32_t writing[CLIENTS_WRITERS];
	struct clients_row rows[CLIENTS_ROWS];
};

/* Remember a subscription; once is enough. False: there is no room, because
 * the session has too many or the table is full of others that are in use, or
 * the URI is over CLIENTS_URI_MAX. */
MUST_CHECK bool clients_subscribe(struct clients *c, uint32_t worker,
                                  uint64_t session, struct span uri,
                                  int64_t expires_s, int64_t now_s);

/* Forget one, or all of a session, its level too. */
void clients_unsubscribe(struct clients *c, uint32_t worker, uint64_t session,
                         struct span uri);
void clients_forget(struct clients *c, uint32_t worker, uint64_t session);

/*
 * The next subscription of a session, from place *at on (0: the first); false
 * when there is none. uri has room for CLIENTS_URI_MAX bytes.
 */
bool clients_next(const struct clients *c, uint64_t session, int64_t now_s,
                  uint32_t *at, char *uri, size_t *len);

/* The backend tells of changes of it from now on. */
void clients_settle(struct clients *c, uint64_t session, struct span uri);

/* Will the session's stream tell of the next change of it? True as well when
 * there is no stream on this machine, or no such row. */
bool clients_settled(const struct clients *c, uint64_t session,
                     struct span uri);

/* The session's stream is there: its rows are in use. */
void clients_seen(struct clients *c, uint64_t session, int64_t now_s);

enum clients_news {
	CLIENTS_SAME,
	CLIENTS_ONE, /* *session has ended, or its subscriptions changed */
	CLIENTS_ALL, /* too many changed, or it cannot be said which */
};

/* What has changed since *seen, which moves on: call until CLIENTS_SAME. Who
 * begins to look copies n_changes first. */
enum clients_news clients_changed(const struct clients *c, uint64_t *seen,
                                  uint64_t *session);

/*
 * The session's stream is in this worker from now on. False: there is one on
 * this machine already. With a table that is full it is not remembered.
 */
MUST_CHECK bool clients_hold(struct clients *c, uint32_t worker,
                             uint64_t session);
void clients_release(struct clients *c, uint32_t worker, uint64_t session);

/* Is there one on this machine? */
bool clients_held(const struct clients *c, uint64_t session);

/* 0 to 7 as message_level() says; -1: the session never set one, or so many
 * others did since that it is forgotten. */
void clients_set_level(struct clients *c, uint64_t session, int level,
                       int64_t now_s);
int clients_level(const struct clients *c, uint64_t session);

/*
 * The session has ended: all of it is forgotten, and its id is not good any
 * more. After CLIENTS_WORDS others, some of which lead to the same places, that
 * is forgotten too.
 */
void clients_end(struct clients *c, uint32_t worker, uint64_t session,
                 int64_t now_s);
bool clients_ended(const struct clients *c, uint64_t session);

/* A worker is dead: free what it was writing, and its streams. */
void clients_bury(struct clients *c, uint32_t worker);

#endif
