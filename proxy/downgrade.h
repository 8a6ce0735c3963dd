/*
 * downgrade - what clients and backends of older revisions do not have, taken
 * out of what newer ones say.
 *
 * The eras are told apart elsewhere (proxy/call, proxy/deliver, proxy/catalog);
 * this is about the revisions of the handshake era. Objects are open in every
 * revision, so only what would be misread is touched:
 *
 *	2025-03-26	no resource_link: a text with its URI stands there; no
 *			structuredContent and no outputSchema, which belong
 *			together
 *	until 2025-11-25	structuredContent is an object or absent
 *	until 2025-06-18	no error -32042: its URL goes into the text
 *
 * Results over CALL_WINDOW stream through without being looked into: they keep
 * what a client of 2025-03-26 does not know.
 */
#ifndef PROXY_DOWNGRADE_H
#define PROXY_DOWNGRADE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "proxy/message.h"

/*
 * A result of this method, a valid raw object, for a client of this revision.
 * Returns the result itself when nothing changes; else a text in out, which is
 * reset, and whose failure buf_err() tells.
 */
struct span downgrade_result(enum revision to, enum method_id method,
                             struct span result, struct buf *out);

/* Has a client of this revision outputSchema and structuredContent? */
static inline bool downgrade_structured(enum revision to)
{
	return to > REVISION_2025_03_26;
}

/* Append a raw item of tools/list without its outputSchema. */
void downgrade_tool(struct span tool, struct buf *out);

/*
 * Append the message of an error -32042 as a raw string that has the URLs of
 * its data in it, for clients that cannot be sent to them.
 */
void downgrade_url_error(struct span message, struct span data,
                         struct buf *out);

/* Of these CLIENT_* (proxy/sealed.h), those that a revision knows. */
uint32_t downgrade_abilities(enum revision of, uint32_t abilities);

#endif
