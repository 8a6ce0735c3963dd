/*
 * question - what a backend asks of a client: elicitation, sampling, roots.
 *
 * In the older revisions it is a request of the server's; in 2026-07-28 a
 * member of inputRequests (MCP 2026-07-28, "Multi round-trip requests"). The
 * content is the same, but for members that one of the two does not have.
 */
#ifndef PROXY_QUESTION_H
#define PROXY_QUESTION_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "proxy/message.h"

enum question_kind {
	QUESTION_FORM, /* elicitation in a form */
	QUESTION_URL,  /* elicitation at a URL */
	QUESTION_SAMPLING,
	QUESTION_ROOTS,
	QUESTION_KINDS, /* none of these */
};

/* By its raw method and params; QUESTION_KINDS: nothing a client is asked. */
enum question_kind question_kind(struct span method, struct span params);

/* Can a client with these CLIENT_* answer it? Sampling with tools needs more
 * than sampling without. */
bool question_allowed(enum question_kind kind, struct span params,
                      uint32_t abilities);

/* The same for all members of a raw inputRequests; absent: there is nothing to
 * answer. */
bool question_all_allowed(struct span requests, uint32_t abilities);

/* The client capability that it needs, as an object (MCP 2026-07-28, -32021).
 */
struct span question_capability(enum question_kind kind);

/* Its method. */
struct span question_method(enum question_kind kind);

/*
 * Append params as a client of this revision reads them. elicitation_id, when
 * not empty, is given to a URL elicitation that has none (2025-11-25).
 */
void question_params(enum question_kind kind, struct span params,
                     enum revision revision, struct span elicitation_id,
                     struct buf *out);

/*
 * Append the result that answers a question of a legacy backend, from what a
 * client of 2026-07-28 answered: sampling may hand back several blocks, which
 * revisions before 2025-11-25 do not know. False: it cannot be said there.
 */
MUST_CHECK bool question_result(enum question_kind kind, struct span result,
                                enum revision backend, struct buf *out);

/* What is answered for a client that does not: an elicitation is cancelled;
 * empty: an error is all there is. */
struct span question_declined(enum question_kind kind);

#endif
