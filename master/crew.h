/*
 * crew - all children, and the sockets they accept from.
 *
 * Every worker slot has a listening socket of its own. While a slot has no
 * worker because there shall be fewer, another worker accepts from its socket,
 * so no connection waits at a door that nobody opens.
 */
#ifndef MASTER_CREW_H
#define MASTER_CREW_H

#include "lib/base.h"
#include "master/child.h"
#include "master/listener.h"

struct crew {
	struct child_home home;
	struct child workers[WORKERS_MAX];
	struct child keeper;
	uint32_t n_workers; /* that there shall be */
	struct listeners listeners;
	/* For signatures: [0] is the worker's end, [1] the keeper's. They stay
	   open here, so both may die and come again. -1: not made yet. */
	int signing[WORKERS_MAX][2];
	/* Listening sockets of 127.0.0.1 on which workers hand requests over
	   to each other; a dead one's queue waits for its successor. -1: not
	   made yet. */
	int handover[WORKERS_MAX];
};

/* No processes yet; loop, board and callbacks of home are set before. */
void crew_init(struct crew *crew);

/*
 * There shall be n workers. New ones are started; those that are too many give
 * their sockets away first and then have grace_ms to finish.
 */
void crew_resize(struct crew *crew, uint32_t n, uint64_t grace_ms);

/* Give every listening socket to a worker that does not have it yet. */
void crew_deal(struct crew *crew);

/* A process has been born: give it its end, or ends, for signatures, and to a
 * worker the socket that the others reach it by. */
void crew_connect(struct crew *crew, struct child *c);

/* Send to all workers, and to the keeper too if that is said. */
void crew_tell(struct crew *crew, const struct control *msg, int fd,
               bool keeper_too);

/* Every worker shall finish within grace_ms. */
void crew_drain(struct crew *crew, uint64_t grace_ms);

/* Everybody ends now. */
void crew_cut(struct crew *crew);

/* Collect whoever has died, strangers too: we may be process 1. */
void crew_reap(struct crew *crew);

/*
 * Replace children whose loop has not turned for timeout_ms. Returns how many
 * have not turned for half of that.
 */
unsigned crew_check(struct crew *crew, uint64_t now_ms, uint64_t timeout_ms);

/* Workers that serve. */
unsigned crew_serving(const struct crew *crew);

/* Is there any worker process? */
bool crew_has_workers(const struct crew *crew);

/* Does every worker that serves have this configuration and catalogue, or newer
 * ones, and is there one? */
bool crew_adopted(const struct crew *crew, uint64_t config_generation,
                  uint64_t catalog_serial);

/* How many workers "workers": 0 stands for: one per CPU that we may use. */
uint32_t crew_cpus(void);

#endif
