/*
 * compose - from a configuration to a snapshot that can be served.
 *
 * The snapshot has the whole configuration part and a catalogue with nothing
 * but the gateway's own tools. What only shows when everything is put together
 * is refused here: a key that cannot be used, too many scopes, a certificate
 * without its key.
 */
#ifndef MASTER_COMPOSE_H
#define MASTER_COMPOSE_H

#include "lib/base.h"
#include "lib/crypto.h"
#include "master/config.h"
#include "shm/board.h"

#define COMPOSE_WHY_MAX 512 /* bytes of a sentence, NUL included */

/* What is not in the configuration. */
struct compose {
	struct board *board;     /* backends get their slots on it */
	uint64_t generation;     /* 1 for the first load */
	uint64_t catalog_serial; /* of the catalogue that this one replaces */
	uint8_t session_key[CRYPTO_KEY_LEN]; /* when none is configured */
	uint8_t cache_key[CRYPTO_KEY_LEN];   /* the same over reloads, so that
	                                        cached tokens keep their hash */
};

/*
 * Build and seal. Returns a descriptor, the caller's, for snapshot_open(); or
 * -EINVAL with a sentence for the administrator in why (never a secret in it),
 * -ENOBUFS when the snapshot is larger than LAYOUT_MAX, -ENOMEM, or -errno of
 * segment_freeze(), all with a sentence too.
 */
MUST_CHECK int compose_snapshot(const struct compose *with,
                                const struct config *config,
                                char why[COMPOSE_WHY_MAX]);

#endif
