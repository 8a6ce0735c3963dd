/*
 * detect - find out by which way a pass can be had, when nobody says.
 *
 * In this order, the first that can be: what OCI_CLI_AUTH or OCI_AUTH_METHOD
 * names; workload identity, in a pod with OCI_RESOURCE_PRINCIPAL_VERSION and
 * without a token in place; the resource principal, with
 * OCI_RESOURCE_PRINCIPAL_VERSION; the profile of a configuration file, as
 * session or API key, or what its authentication_type says; the instance
 * principal, if a metadata service answers at once. A profile that the
 * configuration names goes before all others. What is found and then fails is
 * an error: the next is not tried. A renewal goes the way of the pass that it
 * renews, while that is valid.
 */
#ifndef OCI_DETECT_H
#define OCI_DETECT_H

#include "oci/attempt.h"

extern const struct attempt_method detect_auto;

#endif
