/*
 * discover - find out what one backend speaks and what it offers.
 *
 * Asks a backend which eras of MCP it speaks (unless that is configured), and
 * reads in each of them all lists that it declares, every page. Where it
 * promises to announce changes it keeps a stream open and tells its owner. It
 * also probes whether the backend is alive.
 *
 * Everything that comes back is checked completely as JSON before it is kept.
 * What is wrong is told in one sentence that names the backend and the method;
 * nothing that a backend wrote stands in it.
 *
 * All callbacks come from the loop, none from inside the functions below.
 */
#ifndef PROXY_DISCOVER_H
#define PROXY_DISCOVER_H

#include "lib/base.h"
#include "lib/fetch.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "proxy/catalog.h"

#define DISCOVER_PAGES_MAX      1000       /* of one list */
#define DISCOVER_BYTES_MAX      (16 << 20) /* of all answers of one reading */
#define DISCOVER_ITEMS_MAX      20000      /* of all lists of one reading */
#define DISCOVER_TTL_MIN_MS     1000       /* a shorter ttlMs counts as this */
#define DISCOVER_BACKOFF_MIN_MS 1000  /* until a lost stream is asked for */
#define DISCOVER_BACKOFF_MAX_MS 60000 /* again; doubled each time */

struct discover;

struct discover_events {
	/*
	 * A reading has ended. known is new, and the owner's to free with
	 * discover_free_known(); or it is NULL, and error says why, until the
	 * call returns. Addresses of known->origin are not set.
	 */
	void (*on_read)(struct discover *d, struct catalog_backend *known,
	                const char *error);
	/* A probe has ended; error is NULL when the backend is well. */
	void (*on_probed)(struct discover *d, const char *error);
	/* The backend says, or it is likely, that its lists have changed. */
	void (*on_changed)(struct discover *d);
};

/* Copied by discover_new(), except events and owner. */
struct discover_config {
	struct span name; /* for messages */
	struct span url;
	struct span fields; /* header lines, each with CR LF */
	struct span ca_pem;
	uint32_t eras; /* ERA_*, or 0: find out */
	uint32_t connect_timeout_ms;
	uint32_t stream_idle_ms; /* silence that ends a kept stream */
	uint64_t timeout_ms;     /* for one answer, whole */
	const struct discover_events *events;
	void *owner;
};

/* A reader of one backend, idle. NULL when there is no memory. */
struct discover *discover_new(struct loop *loop, struct fetcher *fetcher,
                              const struct discover_config *config);

/* Stop everything at once; a session that is still kept is ended by a DELETE
 * that goes on by itself. Allowed in callbacks. NULL is fine. */
void discover_free(struct discover *d);

void *discover_owner(const struct discover *d);

/* Where the host is; until this is called, libcurl looks the name up. */
void discover_set_addresses(struct discover *d,
                            const struct sockaddr_storage *at, size_t n);

/* Another limit for one answer, from the next one on. */
void discover_set_timeout(struct discover *d, uint64_t timeout_ms);

/* Read all lists; on_read follows. Does nothing while it is reading. */
void discover_read(struct discover *d);
bool discover_is_reading(const struct discover *d);

/* Ask whether it is alive; on_probed follows, unless it is being read: then
 * on_read tells as much, and this does nothing. */
void discover_probe(struct discover *d);

/* Microseconds that the last answer to a probe, or the first answer of the
 * last reading, took. */
uint32_t discover_latency_us(const struct discover *d);

/* Milliseconds after which the lists should be read again, as the backend says
 * (ttlMs of MCP 2026-07-28); 0: it does not say. */
uint64_t discover_ttl_ms(const struct discover *d);

/*
 * Which lists (bits, 1 << enum list_kind) the backend had announced to be
 * changed when the last good reading began; each announcement is told once.
 */
uint32_t discover_announced(struct discover *d);

/* Is this list the same? LIST_RESOURCES stands for that of templates too. */
bool discover_same_list(const struct catalog_backend *a,
                        const struct catalog_backend *b, enum list_kind kind);

/* The same offers, as far as clients can tell? Addresses do not count. */
bool discover_same_known(const struct catalog_backend *a,
                         const struct catalog_backend *b);

void discover_free_known(struct catalog_backend *known);

#endif
