/*
 * region - the regions and realms of Oracle Cloud: from what somebody calls a
 * region to its identifier, its key, its realm and the domain its hosts are in.
 *
 * The regions that were known when this was built are in oci/region.def. Others
 * are resolved as Oracle's SDKs do it, in this order: the table; the text of
 * ~/.oci/regions-config.json; OCI_REGION_METADATA; what the metadata service
 * says; a dot in the value, which is then a domain; OCI_DEFAULT_REALM; realm
 * oc1. With strict set the last two do not count, and an unknown region is an
 * error that names the nearest ones.
 *
 * Nothing is read from a file or the environment here: the caller gives texts.
 */
#ifndef OCI_REGION_H
#define OCI_REGION_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/span.h"

#define REGION_NAME_MAX    64  /* bytes of an identifier or a key */
#define REGION_DOMAIN_MAX  253 /* bytes of a domain (RFC 1035) */
#define REGION_NEAREST_MAX 3   /* names a sentence proposes */

struct region {
	struct span key;        /* "fra"; empty when nobody knows it */
	struct span identifier; /* "eu-frankfurt-1"; with a dot: a domain */
	struct span realm;      /* "oc1"; empty when nobody knows it */
	struct span domain;     /* "oraclecloud.com"; empty when identifier is
	                           a domain itself */
};

struct region_realm {
	struct span name;   /* "oc1" */
	struct span domain; /* "oraclecloud.com" */
};

/* All there are, in the order of the realms. */
extern const struct region region_table[];
extern const size_t region_count;
extern const struct region_realm region_realms[];
extern const size_t region_realm_count;

/* The row of that identifier or key, any case; NULL when there is none. */
const struct region *region_find(struct span name);

/* The domain of a realm, any case; empty when there is no such realm. */
struct span region_realm_domain(struct span realm);

/*
 * Is host in the domain of a realm of the table: that domain, or a name that
 * ends in a dot and that domain? Any case. Hosts in "customer-oci.com", which
 * some templates of realm oc1 use, count too.
 */
bool region_owns_host(struct span host);

/* Where other regions than those of the table come from; all may be empty. */
struct region_sources {
	struct span config;   /* text of regions-config.json */
	struct span metadata; /* text of OCI_REGION_METADATA */
	struct span realm;    /* OCI_DEFAULT_REALM: a domain, as the SDKs have
	                         it, or a realm's name */
	struct span instance; /* text of the metadata service's regionInfo */
	bool strict;          /* an unknown region is an error */
	bool no_domain;       /* and so is a name with a dot: for a name that
	                         a caller gave, since it decides on a host */
};

enum region_error {
	REGION_OK,
	REGION_EMPTY,        /* no region was given */
	REGION_BAD_NAME,     /* not letters, digits, '-' and '_', begun by a
	                        letter; no host name when it has a dot; over
	                        the limit */
	REGION_UNKNOWN,      /* strict or no_domain, and nobody knows it */
	REGION_BAD_CONFIG,   /* config is not an array of regions */
	REGION_BAD_METADATA, /* metadata or instance is not a region */
	REGION_BAD_REALM,    /* realm is neither a domain nor a realm */
	REGION_ERRORS_MAX,
};

/* A region that owns its texts, in lower case; copy it as you like. */
struct region_resolved {
	char key[REGION_NAME_MAX + 1];
	char identifier[REGION_DOMAIN_MAX + 1];
	char realm[REGION_NAME_MAX + 1];
	char domain[REGION_DOMAIN_MAX + 1];
};

/*
 * Resolve a name. Without sources only the table counts, and every other name
 * is unknown. Texts in sources are only looked at when the table does not know
 * the name, and each only when those before it do not. Returns REGION_OK and
 * *out, or the error; *out is then empty. -ENOMEM counts as a text that cannot
 * be read.
 */
enum region_error region_resolve(struct span name,
                                 const struct region_sources *sources,
                                 struct region_resolved *out);

/* The region as spans into it. */
struct region region_view(const struct region_resolved *resolved);

/*
 * A region object as IMDS, regions-config.json and OCI_REGION_METADATA have it:
 * {"realmKey","realmDomainComponent","regionKey","regionIdentifier"}, all four
 * strings. False, and *out empty, when it is not one.
 */
MUST_CHECK bool region_of_json(struct json_value object,
                               struct region_resolved *out);

/*
 * The identifiers and keys nearest to a name, best first, by the number of
 * letters to insert, delete, change or swap; only such as a person may have
 * meant. Returns how many, 0 to REGION_NEAREST_MAX.
 */
size_t region_nearest(struct span name,
                      const struct region *out[REGION_NEAREST_MAX]);

/*
 * Append the sentence for an error, with the nearest names where they help.
 * Errors stick in the buffer.
 */
void region_explain(enum region_error error, struct span name,
                    struct buf *into);

#endif
