/*
 * endpoint - from a client's endpoint template and a region to a base URL.
 *
 * Hosts are made of the catalogue's templates and the region's domain only, and
 * what comes out is checked to be a host name: no argument of a tool can name
 * another host. A configured override replaces scheme and authority, and keeps
 * the base path.
 *
 *	{region}               the identifier
 *	{secondLevelDomain}    the domain of its realm
 *	{dualStack?X:Y}        X with dual-stack endpoints, Y without
 *	{name+Dot}             the value of name and a dot, nothing without a
 *	                       value
 *	{name}                 the value of name, which must have one
 *
 * Two dots that then stand together become one. A region with a dot is a
 * domain: the URL is https://SERVICE.REGION, and the template does not count.
 */
#ifndef OCI_ENDPOINT_H
#define OCI_ENDPOINT_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "oci/region.h"

#define ENDPOINT_TEMPLATE_MAX 512 /* bytes */
#define ENDPOINT_VALUE_MAX                                                \
	63                     /* bytes of a placeholder's value: a label \
	                          of a host name (RFC 1035) */
#define ENDPOINT_PATH_MAX 256  /* bytes of a base path */
#define ENDPOINT_MAX      1024 /* bytes of a base URL */

enum endpoint_error {
	ENDPOINT_OK,
	ENDPOINT_BAD_TEMPLATE, /* a brace alone, no https://, over the limit */
	ENDPOINT_NO_VALUE,     /* a placeholder without a value */
	ENDPOINT_BAD_VALUE,    /* a value that is no label of a host name */
	ENDPOINT_BAD_HOST,     /* what comes out is no host name */
	ENDPOINT_BAD_PATH,     /* base path: not /segments of A-Z a-z 0-9
	                          - . _ ~ */
	ENDPOINT_BAD_OVERRIDE, /* not an http or https URL of at most
	                          ENDPOINT_MAX bytes without query */
	ENDPOINT_BAD_OWN,      /* not an https URL of a host in a known realm,
	                          without port, path and query */
	ENDPOINT_NEEDED,       /* the service has an endpoint per resource: one
	                          must be given */
	ENDPOINT_FULL,         /* over ENDPOINT_MAX, or no room in the buffer */
	ENDPOINT_ERRORS_MAX,
};

/* The error as a sentence for a person; a constant, never NULL. */
const char *endpoint_error(enum endpoint_error error);

/* The value of a placeholder other than the three that are known. */
struct endpoint_value {
	struct span name; /* "namespaceName" */
	struct span text;
};

/* All that decides a URL. Empty spans stand for what is not there. */
struct endpoint_request {
	struct span template;       /* "https://iaas.{region}.{second..." */
	struct span realm_template; /* of this region's realm */
	bool realm_specific;        /* prefer realm_template, if there is one */
	bool dual_stack;
	bool needs_own;        /* catalogue: an endpoint must be supplied */
	struct span service;   /* endpoint service name, for regions with a
	                          dot; empty: what stands before {region} in
	                          the template */
	struct span base_path; /* "/20160918" or empty */
	struct region region;
	struct span own;      /* URL of the resource's own endpoint, out of an
	                         answer of the service: an https URL of a host in
	                         a known realm (region_owns_host()), without port,
	                         path and query; goes before the templates */
	struct span override; /* URL, configured; wins over all */
	const struct endpoint_value *values;
	size_t n_values;
};

/*
 * Append the base URL: scheme, authority and base path, without a slash at the
 * end. Returns ENDPOINT_OK, or the error and appends nothing; when it is the
 * buffer that was full, that sticks in it.
 */
enum endpoint_error endpoint_url(const struct endpoint_request *request,
                                 struct buf *into);

#endif
