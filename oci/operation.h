/*
 * operation - the catalogue of everything that Oracle Cloud's services can be
 * asked: which HTTP request an operation is, what it takes and what it gives.
 *
 * The catalogue is part of the program: oci/catalogue/packer makes one block of
 * tables from the texts of that folder, which lies with the constants. It
 * is mapped and paged in by use, shared by all processes, never written, and
 * needs neither start nor end. What is said here points into it and lives as
 * long as the program.
 *
 * An operation has an id, "core/Compute/LaunchInstance": the service, the
 * client (a group of operations of one endpoint) and the name.
 */
#ifndef OCI_OPERATION_H
#define OCI_OPERATION_H

#include "lib/base.h"
#include "lib/span.h"

#define OPERATION_QUERY_MAX   200 /* bytes of a search that are looked at */
#define OPERATION_WORDS_MAX   16  /* words of a search that are looked at */
#define OPERATION_RESULTS_MAX 100 /* results of one search */
#define OPERATION_NEAREST_MAX 5   /* names like the one that does not exist */
#define OPERATION_WHY_MAX     512 /* bytes of a sentence, with its NUL */

struct operation; /* one of the catalogue's; compare by address */

enum operation_method {
	OPERATION_GET,
	OPERATION_HEAD,
	OPERATION_POST,
	OPERATION_PUT,
	OPERATION_DELETE,
	OPERATION_PATCH,
};

/* "GET", ... */
const char *operation_method_name(enum operation_method method);

/* What the body of a good answer is. */
enum operation_shape {
	OPERATION_NOTHING,    /* no body */
	OPERATION_SINGLE,     /* one JSON object */
	OPERATION_LIST,       /* a JSON array */
	OPERATION_COLLECTION, /* an object; operation_items() names the array */
	OPERATION_TEXT,       /* a string */
	OPERATION_STREAM,     /* bytes of any kind, of any length */
};

/* --- all of them ---------------------------------------------------------- */

size_t operation_count(void);

/* In the order of the ids; i is less than operation_count(). */
const struct operation *operation_at(size_t i);

/* A group of operations behind one endpoint. */
struct operation_client {
	struct span service;  /* "core" */
	struct span name;     /* "Compute" */
	struct span base;     /* "/20160918"; may be empty */
	struct span endpoint; /* "https://iaas.{region}.{secondLevelDomain}" */
	struct span endpoint_name; /* of the service, for regions with a dot in
	                              their names; else empty */
	struct span key;           /* "compute": what settings call it */
	bool needs_endpoint;       /* no template is enough: it is the caller's
	                              own, as that of an identity domain */
	size_t first, count;       /* its operations: operation_at(first) ... */
};

size_t operation_client_count(void);

/* In the order of service and name; i is less than the count. */
void operation_client_at(size_t i, struct operation_client *out);

/* The client of an operation. */
void operation_client(const struct operation *op, struct operation_client *out);

/* --- one of them ---------------------------------------------------------- */

struct span operation_id(const struct operation *op);
struct span operation_service(const struct operation *op);     /* "core" */
struct span operation_client_name(const struct operation *op); /* "Compute" */
struct span operation_name(const struct operation *op); /* "LaunchInstance" */
enum operation_method operation_method(const struct operation *op);

/* What stands before the path; may be empty. */
struct span operation_base(const struct operation *op);

/* "/instances/{instanceId}", behind the base path. */
struct span operation_path(const struct operation *op);

/*
 * Where it is asked: a URL with "{region}", "{secondLevelDomain}" and other
 * places in it. realm is that of the region, "oc1": some clients have an
 * endpoint of its own there.
 */
struct span operation_endpoint(const struct operation *op, struct span realm);

/* The page of its documentation, behind https://docs.oracle.com/iaas/api/#/en/
 * and before "/" and the name; empty when there is none. */
struct span operation_reference(const struct operation *op);

/*
 * The type of the body, as oci/model reads it: the name of a model of the
 * service, or "list[AccessRule]", "str", "stream"; empty when it has none.
 */
struct span operation_body(const struct operation *op);
bool operation_body_required(const struct operation *op);

/* The type of the answer, likewise; empty when it has no body. */
struct span operation_response(const struct operation *op);
enum operation_shape operation_shape(const struct operation *op);

/* The member with the array, for OPERATION_COLLECTION ("items"); else empty. */
struct span operation_items(const struct operation *op);

/* The media types to ask for when that is not JSON; else empty. */
struct span operation_accept(const struct operation *op);

bool operation_is_paged(const struct operation *op);    /* takes page */
bool operation_has_limit(const struct operation *op);   /* takes limit */
bool operation_is_unsigned(const struct operation *op); /* the body is sent
                                                           without its hash */
bool operation_has_retry_token(const struct operation *op);
bool operation_has_if_match(const struct operation *op);
bool operation_gives_work_request(const struct operation *op);
bool operation_gives_etag(const struct operation *op);
bool operation_is_retried(const struct operation *op); /* by Oracle's SDKs,
                                                          unless told not to */

/*
 * Does it only read? GET and HEAD, and those POSTs that carry a question: by
 * their names, with a table of exceptions both ways.
 */
bool operation_is_read_only(const struct operation *op);

/*
 * Does its answer hand out what should stay where it is: a secret, a private
 * key, a wallet, a token, or the bytes of somebody's files?
 */
bool operation_is_secret(const struct operation *op);

/*
 * May it end, stop or empty something that exists? DELETE, and the others by
 * their names, with a table. Never true for what only reads.
 */
bool operation_is_destructive(const struct operation *op);

/* --- parameters ----------------------------------------------------------- */

enum operation_place {
	OPERATION_IN_PATH,
	OPERATION_IN_QUERY,
	OPERATION_IN_HEADER,
};

enum operation_type {
	OPERATION_STRING,
	OPERATION_INTEGER,
	OPERATION_NUMBER,
	OPERATION_BOOLEAN,
	OPERATION_TIME, /* RFC 3339 */
};

/* "string", "integer", "number", "boolean", "date-time" */
const char *operation_type_name(enum operation_type type);

struct operation_parameter {
	struct span name;
	enum operation_place place;
	enum operation_type type; /* of a list: of its elements */
	bool required;
	bool list;              /* takes several values ... */
	bool joined;            /* ... with commas, else the name is repeated */
	size_t values;          /* how many values are allowed; 0 for any */
	const uint32_t *choice; /* for operation_value() */
};

/* How many there are: of the path, then of the query, then the headers. */
size_t operation_parameters(const struct operation *op);

/* i is less than operation_parameters(). */
void operation_parameter(const struct operation *op, size_t i,
                         struct operation_parameter *out);

/* By its name, headers in any case; false when there is none: out is then not
 * touched. */
bool operation_parameter_find(const struct operation *op, struct span name,
                              struct operation_parameter *out);

/* An allowed value; i is less than parameter->values. */
struct span operation_value(const struct operation_parameter *parameter,
                            size_t i);

/*
 * May the parameter of this name have this value (as text, not encoded; one
 * value of a list)? False when the operation has no such parameter, or when the
 * value is of another type, is not one of those allowed, or is empty where it
 * would be a segment of the path; why then says so in one sentence, with what
 * would be right.
 */
bool operation_check_parameter(const struct operation *op, struct span name,
                               struct span value, char why[OPERATION_WHY_MAX]);

/* --- finding -------------------------------------------------------------- */

/*
 * The operation of a name: its id; or written otherwise, in any case, with dots
 * for slashes, with or without the service and the client, as the SDK for
 * Python writes it ("compute.launch_instance", "core.ComputeClient.
 * launch_instance"). NULL when there is none, and when there are several.
 */
const struct operation *operation_find(struct span name);

/*
 * Those that the name could mean, the likeliest first: all that
 * operation_find() found when there were several, else those with names like
 * it. Returns how many, at most OPERATION_NEAREST_MAX.
 */
size_t operation_nearest(struct span name,
                         const struct operation *out[OPERATION_NEAREST_MAX]);

/* What a search may give. All zero: everything. */
struct operation_filter {
	struct span service; /* empty: any; else its name, in any case */
	struct span client;  /* likewise */
	const char *method;  /* NULL: any; else "GET", ... */
	bool read_only;      /* only operation_is_read_only() */
};

/*
 * The operations that have to do with the words of query, the best first, the
 * same each time. Takes well under 1 ms and no memory but 128 KiB of the stack.
 * limit is at most OPERATION_RESULTS_MAX. Returns how many are in out; *total,
 * unless NULL, is how many there would be without the limit.
 */
size_t operation_search(struct span query,
                        const struct operation_filter *filter, size_t limit,
                        const struct operation *out[], size_t *total);

#endif
