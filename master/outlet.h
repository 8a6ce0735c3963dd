/*
 * outlet - bytes on their way to a descriptor that is not ours alone.
 *
 * Standard output may be a pipe, a socket, a terminal or a file, and its
 * O_NONBLOCK would be everybody's who shares it. So it stays as it is, and no
 * more is written than there is room for.
 */
#ifndef MASTER_OUTLET_H
#define MASTER_OUTLET_H

#include "lib/buf.h"
#include "lib/loop.h"

#define OUTLET_MAX  (128u << 20) /* bytes waiting, at the very most */
#define OUTLET_FULL (1u << 20)   /* who asks outlet_is_full() waits beyond */

struct outlet {
	struct loop *loop;
	struct source source;
	struct buf queue; /* append here, then outlet_flush() */
	size_t written;   /* bytes of queue that are out */
	bool is_socket;
	bool is_file; /* never waits */
	bool is_broken;
};

/* Write to fd, which stays the caller's. Returns 0 or -errno of epoll_ctl(2).
 */
MUST_CHECK int outlet_open(struct outlet *o, struct loop *loop, int fd);

/*
 * Write what can be written now; the loop does the rest. is_broken afterwards:
 * nobody reads there, or OUTLET_MAX was passed.
 */
void outlet_flush(struct outlet *o);

/* Bytes that wait. */
size_t outlet_waiting(const struct outlet *o);

/* Is it time to produce less? */
bool outlet_is_full(const struct outlet *o);

/* Forget what waits. */
void outlet_close(struct outlet *o);

#endif
