/*
 * listener - one listening TCP socket per worker slot.
 *
 * All of them are bound to the same address (SO_REUSEPORT); the kernel spreads
 * the connections. The master opens them before it forks and keeps them open,
 * so that what queues at a dead worker waits for its successor. Its sockets
 * can outlive the master too: the service manager keeps them over a restart.
 */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include "lib/base.h"
#include "lib/notify.h"
#include "shm/board.h"

#define LISTENER_WHY_MAX     512
#define LISTENER_ADDRESS_MAX 64 /* bytes of "[address]:port" */
#define LISTENER_BACKLOG     4096

struct listeners {
	int fds[WORKERS_MAX];               /* -1: none */
	char address[LISTENER_ADDRESS_MAX]; /* where they are, for the log */
	const char *host; /* as configured; the owner's string */
	int port;
};

/* No sockets yet. host stays the caller's and must live as long. */
void listener_init(struct listeners *l, const char *host, int port);

/*
 * Take over those of the sockets kept by the service manager that are ours:
 * named "listen-N", listening, at the address of l. The others are closed.
 * Returns how many were taken.
 */
unsigned listener_adopt(struct listeners *l, const struct notify_fd *kept,
                        size_t n);

/*
 * Open the sockets of slots 0 to n - 1 that are not open. Returns 0, or -errno
 * and a sentence with the address in why; those that were opened stay open.
 */
MUST_CHECK int listener_open(struct listeners *l, uint32_t n,
                             char why[LISTENER_WHY_MAX]);

/* Ask the service manager to keep them all. True when there is one. */
bool listener_store(const struct listeners *l);

/*
 * A listening socket on 127.0.0.1, at a port that the kernel chooses, for what
 * the processes of one gateway say to each other. Returns 0 or -errno.
 */
MUST_CHECK int listener_private(int *fd, uint16_t *port);

/* Close all. */
void listener_close(struct listeners *l);

#endif
