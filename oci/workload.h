/*
 * workload - OKE workload identity: a pod shows its service account's token to
 * the proxymux of its cluster and gets a token for a session key that we make.
 *
 * The server is https://$KUBERNETES_SERVICE_HOST:12250 (or the port that
 * KUBERNETES_SERVICE_PORT_PROXYMUX says), and only the cluster's
 * own certificate authority is trusted. The service account's token is read
 * anew each time. Renewal is at half of the token's life.
 */
#ifndef OCI_WORKLOAD_H
#define OCI_WORKLOAD_H

#include "oci/attempt.h"

#define WORKLOAD_PORT 12250 /* when no variable says another */

extern const struct attempt_method workload_identity;

/* Are we in a pod that has a service account's token? */
bool workload_is_here(void);

#endif
