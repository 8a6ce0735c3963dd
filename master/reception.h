/*
 * reception - the control socket at which `status` asks.
 *
 * Whoever connects and is root or our own user gets two descriptors, the board
 * (for reading only) and the current snapshot, and nothing is ever read from
 * them. It is a convenience: where it cannot be made, the gateway runs without.
 */
#ifndef MASTER_RECEPTION_H
#define MASTER_RECEPTION_H

#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base.h"
#include "lib/loop.h"
#include "master/publication.h"

#define RECEPTION_SOCKET "control.sock" /* in runtime_dir */

/* Types of the two messages (struct control); snapshot may be missing. */
#define RECEPTION_BOARD    101u
#define RECEPTION_SNAPSHOT 102u

struct reception {
	struct source door;
	struct loop *loop;
	int board_fd; /* opened for reading only */
	const struct publication *current;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat made; /* the socket file as we made it */
};

/* The path of the socket in a directory; false when it is too long. */
MUST_CHECK bool reception_path(const char *runtime_dir, char *out, size_t size);

/*
 * Make the socket, and the directory when it is missing. board_fd stays the
 * caller's; current must live as long. Returns 0, or -errno and then r is
 * closed.
 */
MUST_CHECK int reception_open(struct reception *r, struct loop *loop,
                              const char *runtime_dir, int board_fd,
                              const struct publication *current);

/* Remove the socket, unless a successor has put its own in the place. */
void reception_close(struct reception *r);

#endif
