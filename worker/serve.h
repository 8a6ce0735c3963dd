/*
 * serve - what the parts of one worker share.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/h1.h"
#include "lib/loop.h"
#include "lib/tls.h"
#include "proxy/builtin.h"
#include "proxy/call.h"
#include "shm/board.h"
#include "shm/snapshot.h"
#include "worker/address.h"
#include "worker/identity.h"

#define SERVE_SCRATCH   65536             /* bytes read from a client at once */
#define SERVE_LISTENERS (WORKERS_MAX + 1) /* and that of the other workers */
#define SERVE_SESSION   4096              /* characters of a session id */

struct conn;
struct request;
struct record;
struct left;
struct news;
struct streams;

struct listener {
	struct source src;
	struct worker *w;
	bool handover; /* other workers' requests come here */
};

struct worker {
	struct loop *loop;
	struct board *board;
	struct slot *me;
	uint32_t index;
	struct source control;
	struct listener listeners[SERVE_LISTENERS];
	size_t n_listeners;
	bool listening; /* the listeners are on the loop */
	struct snapshot *snap;
	struct h1_limits limits;
	struct tls_context *tls;
	bool loopback_only; /* listens on a loopback address */
	struct proxy proxy;
	struct builtin *builtin;
	struct fetcher *handovers; /* made for the first; or NULL */
	struct news *news;         /* of these, news for others */
	size_t n_news;
	uint64_t handover_quiet_ms; /* no warning until then; 0: none was */
	uint64_t handover_unsaid;   /* failures since the last warning */
	struct identity *identity;
	struct record *record;
	struct timer beat;
	struct timer drain_timer;
	bool draining;
	uint64_t drain_until_ms;
	struct conn *conns; /* all of them */
	struct conn *spare_conns;
	struct request *spare_requests;
	struct request *watched; /* can be cancelled by their sessions */
	struct left *left;       /* calls whose clients went away */
	size_t n_left;
	struct timer left_over;  /* when the newest of these is old */
	struct streams *streams; /* open event streams */
	struct address_table addresses;
	uint64_t n_conns;
	uint64_t next_request; /* for request ids */
	uint64_t id_base;
	char date[40]; /* "Date: ...\r\n" of this second */
	size_t date_len;
	int64_t date_s;
	struct h1_request head;      /* of the request in hand */
	struct conn *corked;         /* whose output is held back; or NULL */
	struct buf cork;             /* that output */
	struct buf page;             /* answers that are put together */
	char session[SERVE_SESSION]; /* id that an answer hands out */
	char in[SERVE_SCRATCH];
};

/* The Date line of now. */
struct span serve_date(struct worker *w);

/* Has everything ended that a draining worker waits for? Then stop the loop. */
void serve_check_drained(struct worker *w);

#endif
