/*
 * identity - who is asking.
 *
 * A bearer token is looked up where it is cheapest first: among those this
 * worker saw lately, among the static tokens, among the verdicts that all
 * workers share on the board; only then is a signature verified, and not more
 * often than auth.verifications_per_second.
 */
#ifndef WORKER_IDENTITY_H
#define WORKER_IDENTITY_H

#include "lib/base.h"
#include "lib/span.h"
#include "shm/board.h"
#include "shm/snapshot.h"

struct principal {
	bool everything; /* authentication is off: no scope is asked for, and
	                    who says nothing */
	struct verdict who;
};

static inline struct span principal_client(const struct principal *p)
{
	return p->everything ? SPAN("anonymous")
	                     : span_of(p->who.text, p->who.client_id_len);
}

static inline struct span principal_subject(const struct principal *p)
{
	return p->everything ? span_of("", 0)
	                     : span_of(p->who.text + p->who.client_id_len,
	                               p->who.subject_len);
}

/* Who it is, for what only this caller may use: bytes, not a text. */
static inline struct span principal_whole(const struct principal *p)
{
	return p->everything ? SPAN("anonymous")
	                     : span_of(p->who.who, sizeof(p->who.who));
}

enum identity_result {
	IDENTITY_OK,
	IDENTITY_MISSING, /* no token */
	IDENTITY_INVALID, /* a token that does not hold */
	IDENTITY_BUSY,    /* too many new tokens at once */
};

struct identity; /* of one worker */

struct identity *identity_new(struct board *board, uint32_t slot);
void identity_free(struct identity *id);

/* A new snapshot: its keys are loaded. 0, -ENOMEM, or -EINVAL: a bad key. */
MUST_CHECK int identity_adopt(struct identity *id, const struct snapshot *snap);

/* Do both know the same callers, by the same tokens and keys, with the same
 * scopes, and ask for the same scopes of everybody? */
bool identity_same(const struct snapshot *a, const struct snapshot *b);

/* A set of scopes by their places in another configuration. Those that it does
 * not name are not in it. */
struct scope_set identity_scopes(const struct snapshot *from,
                                 const struct scope_set *set,
                                 const struct snapshot *to);

/*
 * Judge the value of an Authorization field (RFC 6750, section 2.1).
 * authorization with at NULL: there was none. *why becomes a sentence fit for
 * error_description when the result is IDENTITY_INVALID. now_ms is monotonic.
 */
enum identity_result identity_check(struct identity *id,
                                    const struct snapshot *snap,
                                    struct span authorization, uint64_t now_ms,
                                    struct principal *out, const char **why);

#endif
