/*
 * uri - URIs of backends as clients see them: the backend's identifier stands
 * in each, so that no two backends have the same.
 */
#ifndef PROXY_URI_H
#define PROXY_URI_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

/*
 * A public URI for a backend's own: "scheme://rest" becomes
 * "scheme://<identifier>/rest", "scheme:rest" becomes
 * "scheme:<identifier>/rest". Appends to out.
 */
void uri_make_public(struct span identifier, struct span uri, struct buf *out);

/* Does it begin with a scheme (RFC 3986, section 3.1)? */
bool uri_has_scheme(struct span uri);

/* Is it the URI of a page of an MCP App (ui://...)? */
bool uri_is_app(struct span uri);

/* The way back; false when uri does not carry this identifier. */
bool uri_own(struct span identifier, struct span uri, struct buf *out);

#endif
