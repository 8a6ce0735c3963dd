/*
 * resource - the resource principal: what the platform put into our
 * environment, by OCI_RESOURCE_PRINCIPAL_VERSION.
 *
 *	2.2	token and key are there, as values or as files that the platform
 *		replaces (Functions, Container Instances, Data Science)
 *	1.1	the instance principal asks a service for a resource's token,
 *		and exchanges it for a session's
 *	2.1, 2.1.1, 2.1.2
 *		the same, asked with the resource's own key
 *	3.0	a leaf resource, of one of the versions above, asks for its
 *		parent, and the parent for its own, up to RESOURCE_LEVELS_MAX
 */
#ifndef OCI_RESOURCE_H
#define OCI_RESOURCE_H

#include "oci/attempt.h"

#define RESOURCE_LEVELS_MAX 10
#define RESOURCE_READS_MAX  8   /* of token and key, until they match */
#define RESOURCE_PAUSE_MS   250 /* from one read to the next */

extern const struct attempt_method resource_principal;

/* Is there a resource principal, and does it have a token in place? */
bool resource_is_here(void);
bool resource_has_token(void);

#endif
