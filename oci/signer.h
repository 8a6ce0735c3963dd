/*
 * signer - the keeper's side of oci/signature: holds the credentials, and
 * signs what workers are about to send.
 *
 * For each configured credential it keeps a principal (oci/principal), which
 * is first looked for when somebody asks. Requests wait while a key or token is
 * on its way; the old one serves while it is valid. Errors are told to who asks
 * and written to the log once.
 *
 * A worker that has been taken over can have requests signed, but only such as
 * lead into the cloud: the host must lie in the domain of a known realm (or be
 * a configured endpoint), and no request to the service that gives out tokens
 * is signed.
 */
#ifndef OCI_SIGNER_H
#define OCI_SIGNER_H

#include "lib/base.h"
#include "lib/fetch.h"
#include "lib/lookup.h"
#include "lib/loop.h"
#include "lib/span.h"
#include "oci/credential.h"

#define SIGNER_WORKERS_MAX     1024
#define SIGNER_CREDENTIALS_MAX 64
#define SIGNER_WAITING_MAX     4096 /* requests of all workers together */

struct signer;

/* What it has done; never reset. */
struct signer_counts {
	uint64_t asked, signed_ok, failed;
	uint64_t refused; /* hosts or targets we do not sign for */
	uint64_t foreign; /* messages that were no request */
	uint64_t dropped; /* answers for which there was no room */
};

/*
 * A signer without credentials and workers. The environment must have been
 * taken and its secrets opened (oci/environment). loop and fetcher are the
 * caller's and must outlive it. Returns NULL without memory.
 */
struct signer *signer_new(struct loop *loop, struct fetcher *fetcher);

/* Wipe all keys and end. Descriptors of workers stay the caller's. NULL is
 * fine. */
void signer_free(struct signer *signer);

/*
 * Look up the hosts of what is signed, and send their addresses with each
 * signature; without this no addresses are sent. lookups is the caller's and
 * must outlive the signer. Returns 0 or -ENOMEM.
 */
MUST_CHECK int signer_resolve(struct signer *signer, struct lookups *lookups);

/*
 * The credentials there are, from now on. Those that were there before go on
 * with the keys they have. Settings are copied. Returns 0, -E2BIG beyond
 * SIGNER_CREDENTIALS_MAX, or -ENOMEM; the old ones then stay.
 */
MUST_CHECK int signer_configure(struct signer *signer,
                                const struct credential *credentials, size_t n);

/*
 * Trust these certificates (PEM) and no others when tokens are asked for over
 * TLS; empty: OCI_CLI_CERT_BUNDLE, or the system's. They are copied. Returns 0
 * or -ENOMEM.
 */
MUST_CHECK int signer_trust(struct signer *signer, struct span ca_pem);

/*
 * Serve the worker at the other end of fd, which is made non-blocking. Returns
 * 0, -E2BIG beyond SIGNER_WORKERS_MAX, -ENOMEM, or -errno of fcntl(2) or
 * epoll_ctl(2).
 */
MUST_CHECK int signer_add_worker(struct signer *signer, int fd);

const struct signer_counts *signer_counts(const struct signer *signer);

#endif
