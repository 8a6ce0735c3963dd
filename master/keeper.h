/*
 * keeper - the process that talks to backends on a timer.
 *
 * It reads the backends' lists, builds the catalogue that all workers serve,
 * watches the backends' health, and keeps their addresses up to date. It
 * serves no client. Nothing it knows is needed to go on: when it dies, the
 * workers serve the last snapshot, and its successor begins anew.
 *
 * The master sends it the configuration, as a snapshot that may already carry
 * a catalogue. It answers at once with the same configuration and the best
 * catalogue it can give, and again whenever that changes. One exception: a
 * keeper that has just started, and is given a snapshot that already has a
 * catalogue, knows less than its predecessor did, so it first asks every
 * backend once.
 */
#ifndef MASTER_KEEPER_H
#define MASTER_KEEPER_H

#include "lib/base.h"
#include "shm/board.h"

#define KEEPER_PUBLISH_MS 100  /* from one catalogue to the next */
#define KEEPER_CLOSE_MS   1000 /* for sessions to be ended at the end */

/*
 * Keep until told to drain, or until the master is gone: its end of control,
 * the keeper's end of which is closed here, closes. Writes board->keeper and
 * what the board says is the keeper's. Privileges were dropped and signals
 * were blocked by the caller. Returns the exit status.
 */
int keeper_main(struct board *board, int control);

#endif
