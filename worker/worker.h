/*
 * worker - one process that serves: one thread, one loop, no blocking call.
 *
 * It learns everything through its control socket: snapshots, listening
 * sockets, log descriptors, the order to drain. It may die at any instruction;
 * nobody else notices but its own clients.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "lib/base.h"
#include "shm/board.h"

/*
 * Serve until told to drain, or until the master is gone (its end of the
 * control socket closes: finish what is open, then exit). board->workers[slot]
 * is this worker's slot. control is the worker's end. Privileges were dropped
 * and signals were blocked by the caller. Returns the exit status.
 */
int worker_main(struct board *board, uint32_t slot, int control);

#endif
