/*
 * publication - a snapshot that is handed to other processes.
 *
 * The master reads what it publishes with the same code that the workers will
 * read it with, so what they would refuse is never sent.
 */
#ifndef MASTER_PUBLICATION_H
#define MASTER_PUBLICATION_H

#include "lib/base.h"
#include "shm/snapshot.h"

struct publication {
	int fd; /* -1: none */
	struct snapshot *snap;
};

/* Takes fd in every case. Returns 0, or -errno of snapshot_open() or dup(2),
 * and then *p is empty. */
MUST_CHECK int publication_open(struct publication *p, int fd);

/* Also of an empty one. */
void publication_close(struct publication *p);

/* Is there one? */
static inline bool publication_is(const struct publication *p)
{
	return p->snap;
}

/*
 * Do both say the same about everything that the master decides? What whoever
 * builds the catalogue must write into the header does not count.
 */
bool publication_same_config(const struct publication *a,
                             const struct publication *b);

/* How many tools a client sees, of the era that sees more. */
uint32_t publication_tools(const struct publication *p);

#endif
