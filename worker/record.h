/*
 * record - what remains of a request: counters, access line, audit trail.
 *
 * Lines are gathered during a turn of the loop and written at its end.
 */
#ifndef WORKER_RECORD_H
#define WORKER_RECORD_H

#include "worker/request.h"

struct record *record_new(struct worker *w);
void record_free(struct record *rec);

/* Lines go to this descriptor from now on; takes fd. */
void record_access_fd(struct record *rec, int fd);
void record_audit_fd(struct record *rec, int fd);

/* A request has ended. */
void record_request(struct worker *w, const struct request *r);

/*
 * An element of a batch has ended. It counts for its backend and its tool and
 * is audited; the HTTP request that it came in is recorded by itself.
 */
void record_element(struct worker *w, const struct request *r);

/* Write out what was gathered; called at the end of a turn. */
void record_flush(struct record *rec);

#endif
