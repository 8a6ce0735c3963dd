/*
 * layout - a snapshot, byte for byte.
 *
 *	0        sizeof(header)     config_end                     size
 *	+--------+------------------+-------------------------------+
 *	| header | configuration    | catalogue                     |
 *	|        | settings, keys,  | origins, views, entries,      |
 *	|        | backends, tokens | lists ready to send           |
 *	+--------+------------------+-------------------------------+
 *
 * The configuration part is written by the master alone; the keeper copies it
 * to the same offsets and appends a newer catalogue. Every process maps the
 * segment at an address of its own, so no pointer may live in it: a place is
 * an offset from the header's first byte. Whoever adds, moves or resizes
 * anything here raises LAYOUT_VERSION.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>

#include "lib/ip.h"
#include "shm/settings.h"

#define LAYOUT_MAGIC   0x47575348u /* "GWSH" */
#define LAYOUT_VERSION 6u
#define LAYOUT_MAX     (256u << 20) /* bytes of a snapshot */

#define BACKENDS_MAX  256
#define SCOPES_MAX    256 /* different scopes named in one configuration */
#define ADDRESSES_MAX 8   /* of one backend's host name */
#define TEXT_MAX      65535
#define SESSION_KEYS  2  /* of now, and the one before */
#define PEERS_MAX     64 /* other replicas */

/* A string (bytes, then a NUL that len does not count) or an array. */
struct ref {
	uint32_t off; /* bytes from the header's first byte; 0: none */
	uint32_t len; /* bytes of a string, elements of an array */
};

/* A set of scopes, by their index in header.scopes. */
struct scope_set {
	uint64_t bits[SCOPES_MAX / 64];
};

/* A replica of this gateway. */
struct peer {
	struct ip address;
	uint32_t port;
	uint32_t spare;
};

enum backend_auth { BACKEND_AUTH_NONE, BACKEND_AUTH_BEARER, BACKEND_AUTH_KEY };

/* What a backend speaks: configured ("auto" is 0) or found out. */
#define ERA_LEGACY 1u /* initialize handshake: 2025-03-26 to 2025-11-25 */
#define ERA_MODERN 2u /* per-request metadata: 2026-07-28 */

#define BACKEND_TLS        1u  /* https */
#define BACKEND_NAMESPACE  2u  /* public names are <identifier>_<name> */
#define BACKEND_OCI        4u  /* the tools of Oracle Cloud, in this process */
#define BACKEND_PER_CLIENT 8u  /* a legacy session for each client */
#define BACKEND_UNLISTED   16u /* tools that it does not list can be called */

#define RECIPE_WRITE 1u /* changes something: needs the scope write:tools */

/* What a tool of this process does; sorted by name. */
struct recipe_row {
	struct ref name;   /* without the backend's identifier */
	struct ref recipe; /* JSON, as oci/pack writes it */
	uint32_t flags;    /* RECIPE_* */
	uint32_t spare;
};

/* A configured and enabled backend. */
struct backend {
	struct ref name;        /* as configured */
	struct ref identifier;  /* name with '-' and '.' as '_' */
	struct ref description; /* for people */
	struct ref url;         /* whole, for messages: no secret in it */
	struct ref host;        /* of the URL, no brackets */
	struct ref authority;   /* for the Host field: host[:port] */
	struct ref path;        /* path and query, at least "/" */
	struct ref fields;      /* header lines ready to send, credentials
	                           included: "Name: value\r\n..." */
	struct ref ca_pem;      /* certificates to trust; none: the system's */
	uint32_t flags;         /* BACKEND_* */
	uint32_t eras;          /* configured: ERA_*, 0 for auto */
	uint32_t auth;          /* enum backend_auth */
	uint32_t slot;          /* on the board; stable for this name */
	uint32_t port;
	uint32_t connect_timeout_ms;
	uint32_t request_timeout_ms; /* from sending to the first byte */
	uint32_t idle_timeout_ms;    /* between two bytes of an answer */
	uint32_t stream_idle_ms;     /* the same, of an event stream */
	uint32_t health_interval_ms; /* 0: not probed */
	uint32_t max_connections;    /* per worker */
	uint32_t oci_method;         /* BACKEND_OCI: enum credential_method */
	uint64_t oci_credential;     /* BACKEND_OCI: credential_id() */
	struct ref oci_config_file, oci_profile, oci_region; /* or empty */
	struct ref definitions; /* BACKEND_OCI: items of tools/list, each with
	                           a comma behind it */
	struct ref recipes;     /* BACKEND_OCI: struct recipe_row[] */
	struct scope_set needs; /* scopes for any of its tools */
};

/* A static token: only its hash is here. */
struct token_row {
	uint8_t hash[32]; /* SHA-256 of the token */
	struct ref client_id;
	struct ref subject;
	struct scope_set scopes;
};

/* A public key for JWTs. */
struct key_row {
	struct ref der; /* SubjectPublicKeyInfo */
	struct ref kid; /* none: fits every kid */
};

/* tool_scopes: tools whose public name matches need these scopes. */
struct scope_rule {
	struct ref pattern; /* a name; '*' stands for any bytes */
	struct scope_set needs;
};

/* What discovery learnt about backends[i]; in the catalogue part. */
struct origin {
	uint32_t eras; /* ERA_* it was seen to speak; 0: not known yet */
	uint32_t n_addresses;
	struct sockaddr_storage addresses[ADDRESSES_MAX]; /* port included */
	struct ref legacy_version; /* negotiated, e.g. "2025-11-25" */
	struct ref extensions[2];  /* by enum view_era: what it declared as
	                              capabilities.extensions, a JSON object of
	                              objects; none: nothing */
	uint32_t abilities;        /* ABILITY_* it declared, of any era */
	uint32_t spare;
};

#define ABILITY_TOOLS       1u
#define ABILITY_PROMPTS     2u
#define ABILITY_RESOURCES   4u
#define ABILITY_COMPLETIONS 8u
#define ABILITY_LOGGING     16u
#define ABILITY_SUBSCRIBE   32u
/* The extensions that proxy/extension knows. */
#define ABILITY_TASKS  64u  /* io.modelcontextprotocol/tasks */
#define ABILITY_UI     128u /* io.modelcontextprotocol/ui, MCP Apps */
#define ABILITY_SKILLS 256u /* io.modelcontextprotocol/skills */

#define ENTRY_OWN        1u  /* answered by the gateway itself; no backend */
#define ENTRY_READ_ONLY  2u  /* annotations.readOnlyHint is true */
#define ENTRY_IDEMPOTENT 4u  /* annotations.idempotentHint is true */
#define ENTRY_OUTPUT     8u  /* has an outputSchema */
#define ENTRY_TASK       16u /* runs as a task only (MCP 2025-11-25) */

/* An argument that travels in a header too (x-mcp-header). */
struct mirror {
	struct ref field; /* the name after "Mcp-Param-" */
	struct ref path;  /* property names from the root, NUL between them */
	uint32_t type;    /* MIRROR_* */
};

#define MIRROR_STRING  0u
#define MIRROR_INTEGER 1u
#define MIRROR_BOOLEAN 2u

/* A tool, a prompt, a resource or a resource template. */
struct entry {
	struct ref name;     /* public name or URI, UTF-8 */
	struct ref upstream; /* the backend's own name or URI */
	struct ref json;     /* the whole item as it stands in its list */
	struct ref mirrors;  /* struct mirror[] */
	struct scope_set needs;
	uint32_t backend; /* index in backends; ENTRY_OWN: enum own_tool */
	uint32_t flags;   /* ENTRY_* */
	uint32_t metric;  /* its row among the board's tools; 0: others */
	uint32_t order;   /* rank before the name: 0 own, 1 backends */
};

enum list_kind {
	LIST_TOOLS,
	LIST_PROMPTS,
	LIST_RESOURCES,
	LIST_TEMPLATES,
	LIST_KINDS,
};

struct list {
	struct ref entries; /* struct entry[], by (order, name) */
	struct ref table;   /* uint32_t[], a power of two: 1 + index of an entry
	                       at the place its name hashes to; 0: free */
	struct ref items;   /* every item's JSON in order, each with a comma
	                       behind it */
	uint32_t same_needs; /* 1: every caller who may list may see all */
	uint32_t spare;
};

/* A URI that a tool names, and that no list of its backend need have: the page
 * of an MCP App. Backends with a namespace need none, their URIs say it. */
struct reference {
	struct ref uri;
	uint32_t backend; /* index in backends */
	uint32_t spare;
};

/* What clients of one era see. */
enum view_era { VIEW_LEGACY, VIEW_MODERN, VIEWS };

struct view {
	struct list lists[LIST_KINDS];
	struct ref references; /* struct reference[], by uri */
	struct ref extensions; /* offered to clients of this era: a JSON
	                          object; none: nothing */
	uint32_t abilities;    /* ABILITY_* offered to clients of this era */
	uint32_t spare;
};

static_assert(VIEWS == 2, "origin.extensions has one of each era");

struct header {
	uint32_t magic;
	uint32_t version;
	uint64_t size;              /* bytes, this header included */
	uint64_t config_generation; /* 1 for the first load of this master */
	uint64_t catalog_serial;    /* grows with every catalogue */
	int64_t built_at_ms;        /* UTC */
	uint32_t config_end;        /* first byte of the catalogue */
	uint32_t n_settings;        /* rows of settings.def: another check that
	                               both sides are one build */
	struct ref settings;        /* one struct settings */
	struct ref name, program_version, path, public_url, instructions;
	struct ref backends; /* struct backend[] */
	struct ref tokens;   /* struct token_row[] */
	struct ref keys;     /* struct key_row[] */
	struct ref issuer;
	struct ref audiences;             /* struct ref[] */
	struct ref authorization_servers; /* struct ref[] */
	uint64_t jwt_algorithms;          /* mask of 1 << enum key_alg */
	struct ref scopes; /* struct ref[], sorted; index is the bit */
	struct scope_set required;
	struct ref scope_rules;       /* struct scope_rule[] */
	struct ref allowed_hosts;     /* struct ref[]: host or host:port */
	struct ref cors_origins;      /* struct ref[]; "*" for any */
	struct ref trusted;           /* struct ip_net[] */
	struct ref tls_cert, tls_key; /* PEM */
	/* of the tools of Oracle Cloud: OCIDs, one URL for all services, and
	   certificates to trust there (PEM); each may be empty */
	struct ref oci_compartment, oci_tenancy, oci_endpoint, oci_ca;
	struct ref oci_compartments; /* struct ref[]: where changes are
	                                allowed; none: everywhere */
	uint32_t tls_1_3_only;       /* 1: nothing older is accepted */
	uint32_t no_own_tools;       /* 1: no gateway_* tools: oci-mcp-server */
	uint32_t has_previous_key;   /* 1: session_keys[1] opens too */
	uint32_t spare;
	uint8_t session_keys[SESSION_KEYS][32]; /* for what clients carry,
	                                           sealed */
	uint8_t cache_key[32]; /* for hashes of tokens; new with every master */
	struct peer replica;   /* this one, as the others reach it; port 0:
	                          they do not */
	struct ref peers;      /* struct peer[]: the others */
	struct ref replica_ca; /* PEM, to trust them by; none: the system's */
	struct ref origins;    /* struct origin[], as many as backends */
	struct ref views;      /* struct view[VIEWS] */
};

static_assert(sizeof(struct ref) == 8, "ref is part of the format");
static_assert(sizeof(struct entry) % 8 == 0, "entries are an array");

#endif
