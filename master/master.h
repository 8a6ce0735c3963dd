/*
 * master - everything the master process knows: shared by supervise and reload
 * and nobody else.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "master/compose.h"
#include "master/crew.h"
#include "master/publication.h"
#include "master/reception.h"
#include "master/sink.h"

enum stage {
	RUNNING,
	LEAVING,  /* not ready any more, serves all the same */
	DRAINING, /* workers finish */
	ENDING,   /* only the keeper is left */
};

enum reload_stage {
	RELOAD_NONE,
	RELOAD_MERGING,  /* the keeper adds what it knows of the backends */
	RELOAD_ADOPTING, /* published; workers take it over */
};

/* A SIGHUP on its way. */
struct reload {
	enum reload_stage stage;
	bool again;   /* another one came meanwhile */
	bool offered; /* to the keeper that lives now */
	bool late;    /* waits longer than it should, and that was logged */
	uint64_t started_ms;
	struct config *config;   /* until it is published */
	struct publication base; /* the same, composed */
	struct sinks sinks;      /* its log files, already open */
	struct timer patience;
};

struct master {
	struct crew crew; /* its home is the first member; see master_of() */
	const struct options *opt;
	struct config *config;  /* in force */
	struct config *started; /* what cannot change is as here */
	struct board *board;
	int board_fd;
	struct loop *loop;
	struct source signals;
	struct reception reception;
	struct publication current;
	struct compose compose; /* what every load has in common */
	struct reload reload;
	enum stage stage;
	bool cutting;        /* everybody was killed */
	bool ready;          /* said so to the service manager */
	uint64_t discovered; /* the keeper has asked all backends of this */
	struct sinks sinks;
	uint64_t ticked_ms;
	unsigned late; /* children that have not turned for a while */
	struct timer tick, watchdog, leave;
};

static inline struct master *master_of(struct child *c)
{
	return (struct master *)(uintptr_t)c->home;
}

#endif
