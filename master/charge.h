/*
 * charge - the backends that the keeper looks after.
 *
 * Looks up where each is, reads its lists when they are due or may have
 * changed, probes it in between, and keeps its row of the board: health,
 * latency, the last error. What fails is tried again, later and later.
 */
#ifndef MASTER_CHARGE_H
#define MASTER_CHARGE_H

#include "lib/base.h"
#include "lib/fetch.h"
#include "lib/lookup.h"
#include "lib/loop.h"
#include "proxy/catalog.h"
#include "proxy/discover.h"
#include "shm/board.h"
#include "shm/snapshot.h"

#define CHARGE_READINGS_MAX 16   /* backends read at the same time */
#define CHARGE_DEBOUNCE_MS  200  /* from an announcement to reading */
#define CHARGE_REREAD_MS    1000 /* from a reading to the next on demand */
/* Until a failed reading is tried again; doubled each time up to the
 * interval. */
#define CHARGE_RETRY_MS  1000
#define CHARGE_UNHEALTHY 3 /* failures in a row */

/* A backend that is looked after. */
struct charge {
	struct charges *all;
	struct charge *next;
	uint32_t index; /* in the configuration */
	struct backend_row *row;
	struct discover *d;
	struct catalog_backend *known; /* never NULL; empty at first */
	struct lookup *lookup;         /* under way, or NULL */
	struct timer read, probe, resolve;
	uint64_t retry_ms;     /* until the next try after a failure */
	uint64_t last_read_ms; /* when a reading began last */
	bool has_addresses;
	bool waiting; /* for one of CHARGE_READINGS_MAX */
	bool stale;   /* changed while it was being read */
	bool asked;   /* has answered or failed once in this configuration */
	bool failing; /* the last reading failed */
};

/* All backends of the configuration, and what they share. */
struct charges {
	struct board *board;
	struct loop *loop;
	struct fetcher *fetcher;
	struct lookups *lookups;
	struct snapshot *config; /* adopted last, or NULL; the owner's at the
	                            end */
	struct charge *first;    /* in the order of the configuration */
	unsigned n_readings;
	bool draining; /* nothing is read any more */
	/* What is known of a backend, or where it is, has changed. */
	void (*on_catalog)(struct charges *all);
	/* A backend has answered or failed. */
	void (*on_asked)(struct charges *all);
};

/* A new configuration, which is kept: begin with what is new, end what is
 * gone, go on with what is the same. Aborts when there is no memory. */
void charges_adopt(struct charges *all, struct snapshot *config);

/* The lists of the backend in this slot of the board may have changed. */
void charges_refresh(struct charges *all, uint64_t slot);

/* Has every backend answered or failed once in this configuration? */
bool charges_asked(const struct charges *all);

/* Stop everything, forget all backends. */
void charges_end(struct charges *all);

#endif
