/*
 * answer - heads and bodies on their way to a client (RFC 9112, section 6).
 *
 * Each function that ends an answer ends its request as well: the request is
 * gone when it returns.
 */
#ifndef WORKER_ANSWER_H
#define WORKER_ANSWER_H

#include "worker/request.h"

/* What the proxy answers through; see proxy/reply.h. */
extern const struct reply_ops answer_ops;

/*
 * A complete answer. more_fields are header lines, each with CR LF; type is a
 * media type, or NULL for no body. HEAD keeps the body back.
 */
void answer_send(struct request *r, int status, const char *type,
                 struct span more_fields, const struct iovec *body, int n);

/* The same with a body in one piece. */
void answer_text(struct request *r, int status, const char *type,
                 struct span more_fields, struct span body);

/* One message of an event stream that has begun. json has no line ends. */
void answer_event(struct reply *reply, struct span json);

/*
 * An error of the endpoint: a JSON-RPC error with the id of the request, when
 * it has one, under the problem's HTTP status. An element of a batch has no
 * status and no fields of its own.
 */
void answer_problem(struct request *r, const struct problem *p, struct span id,
                    struct span more_fields);

#endif
