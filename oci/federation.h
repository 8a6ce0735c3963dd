/*
 * federation - the instance principal: the machine that we run on shows its
 * certificate and gets a token for a session key that we make.
 *
 * Leaf certificate, its key, the intermediate certificates and the region come
 * from the instance metadata service, version 2 (OCI_METADATA_BASE_URL, default
 * http://169.254.169.254/opc/v2). They rotate, so all of them are read for each
 * token, and once more if the key turns out not to be the certificate's. A
 * renewal for another tenancy than before is refused.
 *
 * Also instance_obo_user: the same with a user's delegation token.
 */
#ifndef OCI_FEDERATION_H
#define OCI_FEDERATION_H

#include "oci/attempt.h"

#define FEDERATION_READS_MAX 3   /* of certificate and key, until they match */
#define FEDERATION_CERTS_MAX 8   /* intermediate certificates */
#define FEDERATION_PROBE_MS  200 /* auto: is there a metadata service? */

extern const struct attempt_method federation_instance;
extern const struct attempt_method federation_obo;

/* The URL of a path of the metadata service. False: the attempt has failed. */
MUST_CHECK bool federation_metadata_url(struct attempt *a, const char *path,
                                        char out[ATTEMPT_URL_MAX]);

/* The header line that it wants, with CR LF. */
extern const struct span federation_metadata_field;

#endif
