/*
 * publish - identifiers of a backend in its results, made public.
 *
 * Clients see other URIs than a backend with a namespace has, and other ids of
 * tasks. In a result that is sent on as a whole they are replaced where the
 * protocol has them: resources that were read, resource links and embedded
 * resources in the content of tools and prompts, the page of an MCP App in
 * _meta, and the same in the result inside a task. The rest stays byte for
 * byte.
 *
 * In content, URIs whose scheme says by itself where to get it (http, https,
 * data) stay, since a client may fetch them without us. A name of a member
 * that is written with escapes is another name here: what is missed is a URI
 * that the client cannot read.
 */
#ifndef PROXY_PUBLISH_H
#define PROXY_PUBLISH_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

/* What a result is of. */
enum publish_kind {
	PUBLISH_NOTHING, /* there is nothing to replace in it */
	PUBLISH_TOOL,
	PUBLISH_PROMPT,
	PUBLISH_READ, /* resources */
	PUBLISH_TASK, /* with the result of a tool in it, or none */
};

struct publish {
	enum publish_kind kind;
	struct span identifier; /* of a backend with a namespace; or empty */
	struct span task;       /* of a task: the raw id that clients know */
	bool complete;          /* resultType is "complete", and nothing else */
};

/* Is there anything in this result that must be written anew? */
bool publish_concerns(const struct publish *how, struct span result);

/* Append the value of a member of the result, for clients. key is raw. */
void publish_member(const struct publish *how, struct span key,
                    struct span value, struct buf *out);

#endif
