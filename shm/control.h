/*
 * control - messages between the master and its children.
 *
 * One SOCK_SEQPACKET pair per child. A message is a fixed structure, and maybe
 * one descriptor. Nobody waits for an answer; a full socket is an error that
 * only a hung child can cause.
 */
#ifndef SHM_CONTROL_H
#define SHM_CONTROL_H

#include <stdint.h>

#include "lib/base.h"

enum control_type {
	/* master to worker and keeper */
	CONTROL_SNAPSHOT = 1, /* fd: serve (worker) or complete (keeper) this */
	CONTROL_LISTEN,       /* fd: a listening socket to accept from */
	CONTROL_LOG,          /* fd: write log lines here from now on; number:
	                         enum log_level | enum log_format << 8 */
	CONTROL_ACCESS_LOG,   /* fd: write access lines here from now on */
	CONTROL_AUDIT_LOG,    /* fd: write audit lines here from now on */
	CONTROL_SIGNING,  /* fd: one end of the pair on which this worker asks
	                     the keeper for signatures; number: the slot */
	CONTROL_HANDOVER, /* fd: a listening socket of 127.0.0.1, to accept
	                     requests from that other workers hand over */
	CONTROL_DRAIN,    /* stop accepting, finish, exit; number: grace ms */
	/* worker to master */
	CONTROL_READY,   /* the first snapshot is served. From the keeper:
	                    every backend of the configuration that number
	                    says was asked, and the catalogue was sent */
	CONTROL_ADOPTED, /* number: config generation, serial; error: 0 or why
	                    the snapshot was refused */
	/* keeper to master */
	CONTROL_CATALOG, /* fd: a snapshot with a new catalogue, to publish */
	/* worker to master, master to keeper */
	CONTROL_REFRESH, /* number: backend slot whose lists may be stale */
};

struct control {
	uint32_t type; /* enum control_type */
	int32_t error; /* negative errno or 0 */
	uint64_t number;
	uint64_t serial;
};

/* A pair of connected, non-blocking, close-on-exec sockets. 0 or -errno. */
MUST_CHECK int control_pair(int fds[2]);

/*
 * Send; fd is -1 for none and stays the caller's. Returns 0 or -errno of
 * sendmsg(2): -EAGAIN when the peer does not read, -EPIPE when it is gone.
 */
MUST_CHECK int control_send(int sock, const struct control *msg, int fd);

/*
 * Receive one message. *fd is its descriptor, the caller's, or -1.
 * Returns 1, 0 when the peer closed, -EAGAIN when there is none now, -EPROTO
 * for a message of another size, or -errno.
 */
MUST_CHECK int control_receive(int sock, struct control *msg, int *fd);

/* Do what a CONTROL_LOG message says; takes fd. */
void control_apply_log(const struct control *msg, int fd);

#endif
