/*
 * child - one process of ours: its life, and what is said to it.
 *
 *	DOWN --start--> STARTING --ready--> SERVING --stop--> DRAINING
 *	  ^                                                      |
 *	  +---------------------- exit --------------------------+
 *
 * What may happen in which state, and what is done then, is one table in the
 * .c file. A child that dies is started again: at once, then after 100 ms,
 * doubling to 10 s until one has lived for 10 s.
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/base.h"
#include "lib/loop.h"
#include "master/privilege.h"
#include "shm/board.h"
#include "shm/control.h"

#define CHILD_KEEPER WORKERS_MAX /* slot number of the keeper */

enum child_state {
	CHILD_DOWN,     /* no process; maybe one is about to be started */
	CHILD_STARTING, /* forked, serves nothing yet */
	CHILD_SERVING,
	CHILD_DRAINING, /* told to finish */
	CHILD_KILLED,   /* sent a signal that nobody survives */
	CHILD_STATES,
};

enum child_event {
	CHILD_START, /* it should run */
	CHILD_READY, /* it said that it serves */
	CHILD_STOP,  /* it should finish what is open and end */
	CHILD_HANG,  /* its loop does not turn */
	CHILD_CUT,   /* it should end now */
	CHILD_TIMER, /* its timer is due */
	CHILD_EXIT,  /* it was reaped */
	CHILD_EVENTS,
};

struct child;

/* What all children have in common. */
struct child_home {
	struct loop *loop;
	struct board *board;
	struct privilege privilege;
	/* In the keeper, before its sandbox: call allow for every path that it
	   must be able to read. May be NULL. */
	void (*each_path)(const struct child_home *home,
	                  void (*allow)(void *owner, const char *path));
	/* A new process has been forked: send what it needs to begin. */
	void (*on_born)(struct child *c);
	/* It says something; fd is the callee's, or -1. */
	void (*on_message)(struct child *c, const struct control *msg, int fd);
	/* The process has been reaped; another may follow. */
	void (*on_gone)(struct child *c);
};

/* A message that did not fit into the socket yet. */
struct child_letter {
	struct control msg;
	int fd; /* the letter's own, or -1 */
};

struct child {
	const struct child_home *home;
	struct slot *row; /* on the board */
	int (*main)(struct board *board, uint32_t slot, int control);
	uint32_t slot; /* CHILD_KEEPER: the keeper */
	enum child_state state;
	bool wanted; /* start it again when it ends */
	bool hung;   /* was, and was killed for it */
	bool told;   /* to end, so that its end is no surprise */
	pid_t pid;   /* 0: none */
	int status;  /* of waitpid(2), when it is gone */
	uint64_t born_ms;
	uint32_t wait_ms;                           /* before the next start */
	uint32_t births;                            /* processes so far */
	uint64_t grace_ms;                          /* given with CHILD_STOP */
	uint64_t config_generation, catalog_serial; /* it says it serves */
	uint64_t sockets[WORKERS_MAX / 64]; /* listening sockets it was given */
	struct source control;
	struct timer timer;
	struct child_letter *letters; /* waiting, oldest first */
	size_t n_letters;
};

/* A child that is down. main runs in the new process; its result is the exit
 * status. */
void child_init(struct child *c, const struct child_home *home, uint32_t slot,
                int (*main)(struct board *board, uint32_t slot, int control));

/* Tell what happened; the table knows what to do. */
void child_event(struct child *c, enum child_event event);

/*
 * Send a message, now or when the socket takes it; fd stays the caller's. A
 * later CONTROL_SNAPSHOT replaces one that still waits. To a child without a
 * process nothing is sent.
 */
void child_send(struct child *c, const struct control *msg, int fd);

/* Does it have a process that listens to what is sent? */
bool child_is_live(const struct child *c);

/* "worker" or "keeper". */
const char *child_role(const struct child *c);

#endif
