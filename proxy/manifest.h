/*
 * manifest - the resource server://manifest: what the tools of this process
 * are, in one JSON document, made from their recipes.
 */
#ifndef PROXY_MANIFEST_H
#define PROXY_MANIFEST_H

#include "lib/buf.h"
#include "lib/span.h"
#include "shm/snapshot.h"

#define MANIFEST_URI "server://manifest"

/* The item of resources/list. */
struct span manifest_item(void);

/* Append the document for the tools of a backend with BACKEND_OCI. */
void manifest_write(const struct snapshot *snap, const struct backend *backend,
                    struct buf *out);

#endif
