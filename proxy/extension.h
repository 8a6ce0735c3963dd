/*
 * extension - extensions of MCP, and how far each reaches through a gateway
 * (MCP 2026-07-28, "Extensions": capabilities.extensions, a map of identifiers
 * to objects of settings).
 *
 * Offered is what holds for whoever asks. The extensions of the table in
 * extension.c are understood here: their methods are routed, their identifiers
 * and URIs mapped, so tasks and ui are offered as soon as one backend has
 * them. Any other one is offered only while exactly one backend has it, with
 * its settings as they are: then there is no question whose they are. Its
 * settings, its _meta keys and its values of resultType pass; methods of its
 * own do not, since nobody could say which scopes they need. Extensions of
 * authorization are between a backend and its own clients, and never offered:
 * callers of the gateway are authorized by the gateway.
 *
 * What a client declares goes on to a backend that has the same extension, if
 * it was offered. In the handshake era only ui does: a session of a legacy
 * client carries one bit for it, and so does the key under which sessions with
 * backends are shared.
 */
#ifndef PROXY_EXTENSION_H
#define PROXY_EXTENSION_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "proxy/sealed.h"
#include "shm/snapshot.h"

#define EXTENSION_TASKS "io.modelcontextprotocol/tasks"
#define EXTENSION_UI    "io.modelcontextprotocol/ui"

/* What a host of MCP Apps declares, when we speak for it. */
#define EXTENSION_UI_CLIENT \
	"\"" EXTENSION_UI "\":{\"mimeTypes\":[\"text/html;profile=mcp-app\"]}"

#define EXTENSIONS_MAX      32   /* of one backend in one era */
#define EXTENSION_NAME_MAX  128  /* bytes of an identifier */
#define EXTENSION_BYTES_MAX 8192 /* of one backend in one era, settings too */

#define EXTENSION_ABILITIES (ABILITY_TASKS | ABILITY_UI | ABILITY_SKILLS)
#define EXTENSION_CLIENTS   (CLIENT_TASKS | CLIENT_UI)

/*
 * Append what can be kept of a backend's capabilities.extensions (raw) as a
 * JSON object on one line: well-formed identifiers with objects, within the
 * limits, nothing about authorization. Nothing is appended when there is none.
 */
void extension_keep(struct span extensions, struct buf *out);

/* ABILITY_* of the extensions in a raw object. */
uint32_t extension_abilities(struct span extensions);

/* CLIENT_* of proxy/sealed.h, of the extensions in a raw object. */
uint32_t extension_client(struct span extensions);

/* What one backend has, in the era that a view takes it from. */
struct extension_source {
	struct span extensions; /* as extension_keep() made it; or empty */
	enum view_era era;
};

/*
 * Append what clients of an era are offered by n backends together, as a JSON
 * object; nothing when there is none. Returns 0 or -ENOMEM.
 */
MUST_CHECK int extension_offer(const struct extension_source *sources,
                               uint32_t n, enum view_era view, struct buf *out);

/*
 * Append the member "extensions" of the clientCapabilities of a request to a
 * backend of the modern era, with its comma unless first; nothing when nothing
 * goes on. declared: the client's own raw extensions (modern; else empty),
 * abilities: CLIENT_* of a legacy client. True: one that only passes through
 * is among them.
 */
bool extension_forward(const struct snapshot *snap, uint32_t backend,
                       struct span declared, uint32_t abilities, bool first,
                       struct buf *out);

/* What a client can do (CLIENT_*), with those extensions only that a legacy
 * backend has, and so is told of in initialize. */
uint32_t extension_session(const struct snapshot *snap, uint32_t backend,
                           uint32_t abilities);

/* The one backend that has a sole extension (ABILITY_*); the number of
 * backends: none, or more than one. */
uint32_t extension_backend(const struct snapshot *snap, uint32_t ability);

/* ABILITY_* of the sole extension whose resources have URIs like this one;
 * 0: none has. */
uint32_t extension_of_uri(struct span uri);

#endif
