/*
 * notify - what the service manager wants to know, and what it keeps for us
 * (sd_notify(3), sd_listen_fds(3)), in our own words: a datagram to the socket
 * that $NOTIFY_SOCKET names.
 *
 * Without a service manager everything here does nothing.
 */
#ifndef LIB_NOTIFY_H
#define LIB_NOTIFY_H

#include <stdint.h>

#include "lib/base.h"

#define NOTIFY_TEXT_MAX 1024 /* bytes of one message */
#define NOTIFY_NAME_MAX 64   /* bytes of a descriptor's name, NUL included */
#define NOTIFY_FDS_MAX  512  /* descriptors taken over */

/* Is somebody listening? */
bool notify_wanted(void);

/*
 * Send "READY=1" and its like; several assignments are separated by '\n'.
 * Returns 0 (also without a service manager), or -ENAMETOOLONG for a socket
 * address or text that does not fit, or -errno of socket(2) or sendmsg(2).
 */
PRINTF(1, 2) int notify_send(const char *format, ...);

/*
 * Ask the manager to keep fd under name until the service is stopped for good,
 * and to hand it to the next process. Returns as notify_send().
 */
int notify_store(const char *name, int fd);

/* Ask the manager to let go of what it keeps under name. */
int notify_forget(const char *name);

/*
 * How often "WATCHDOG=1" is expected, in microseconds; 0 when it is not, or
 * not from this process.
 */
uint64_t notify_watchdog_us(void);

struct notify_fd {
	char name[NOTIFY_NAME_MAX];
	int fd;
};

/*
 * Descriptors that the manager kept or opened for us; the caller owns them
 * from now on. They are made close-on-exec, and the variables that announce
 * them are removed from the environment. Returns how many out holds; those
 * that do not fit are closed.
 */
size_t notify_take(struct notify_fd out[NOTIFY_FDS_MAX]);

#endif
