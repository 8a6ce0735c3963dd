/*
 * config - everything an administrator decided, read once and resolved.
 *
 * Sources, the first that has a value wins: command line, environment,
 * configuration file, include_configs, backends_dir, scan_paths, defaults.
 * (The last four sources after the file give backends only.) Secrets may be
 * written as references, {"file": PATH}, {"env": NAME} or
 * {"credential": NAME}, and are resolved here: nobody else opens these files.
 *
 * A configuration is immutable. A reload makes a new one and leaves the old
 * alone if anything is wrong. Problems are reported as
 *	FILE:LINE:COLUMN: sentence
 */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/span.h"
#include "master/options.h"
#include "shm/settings.h"

#define CONFIG_BACKENDS_MAX 512   /* backends of all sources together */
#define CONFIG_NAME_MAX     64    /* bytes of a backend's name */
#define CONFIG_SECRET_MAX   65536 /* bytes of a file a secret refers to */

enum config_transport {
	CONFIG_STDIO,
	CONFIG_STREAMABLE_HTTP,
	CONFIG_IN_PROCESS,
};

enum config_auth_method {
	CONFIG_AUTH_NONE,
	CONFIG_AUTH_OCI_CONFIG,
	CONFIG_AUTH_RESOURCE_PRINCIPAL,
	CONFIG_AUTH_INSTANCE_PRINCIPAL,
	CONFIG_AUTH_BEARER_TOKEN,
	CONFIG_AUTH_API_KEY,
	CONFIG_AUTH_SECURITY_TOKEN,
	CONFIG_AUTH_WORKLOAD, /* OKE workload identity */
};

enum config_protocol { CONFIG_AUTO, CONFIG_MODERN, CONFIG_LEGACY };

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

/* Where a value came from; the first that has one wins. */
enum config_source {
	CONFIG_FROM_CLI,
	CONFIG_FROM_ENV,
	CONFIG_FROM_FILE,
	CONFIG_FROM_INCLUDE,
	CONFIG_FROM_DIR,
	CONFIG_FROM_SCAN,
	CONFIG_FROM_DEFAULT,
};

/* Strings in the order of the file. */
struct config_list {
	const char **items;
	size_t len;
};

struct config_env {
	const char *name;
	const char *value;
};

/* A header field sent to a backend with every request. */
struct config_header {
	const char *name;
	const char *value; /* a secret as far as --dump goes */
};

/* A PEM file: its path and what it holds. */
struct config_pem {
	const char *path; /* NULL: not configured */
	struct span pem;  /* followed by a NUL */
};

/* Whose a legacy backend's session is. */
enum config_sessions {
	CONFIG_SESSIONS_SHARED,
	CONFIG_SESSIONS_PER_CLIENT,
};

struct config_backend {
	const char *name;       /* as written, 1 to CONFIG_NAME_MAX bytes */
	const char *identifier; /* '-' and '.' become '_'; unique */
	const char *description;
	bool enabled;
	enum config_transport transport;
	enum config_auth_method auth_method;
	enum config_protocol protocol;
	bool namespace_tools;
	enum config_sessions sessions;
	bool unlisted_tools;

	/* streamable_http; url and its parts, NULL for other transports */
	const char *url;
	const char *host;   /* name or address, brackets of IPv6 removed */
	const char *target; /* path and query, begins with '/' */
	int port;
	bool https;
	const char *bearer_token; /* NULL: none */
	const char *api_key;      /* NULL: none */
	const char *api_key_header;
	struct config_header *headers;
	size_t n_headers;
	struct config_pem tls_ca; /* instead of the system's roots */
	int64_t max_connections;  /* per worker */

	int64_t health_check_interval_ms; /* 0: never */
	int64_t connect_timeout_ms;
	int64_t request_timeout_ms;     /* until the head of the answer */
	int64_t idle_timeout_ms;        /* between two bytes of an answer */
	int64_t stream_idle_timeout_ms; /* the same, of an event stream */

	struct config_list required_scopes; /* to use any tool of it */
	struct config_list tags;

	/* in_process: whose tools those are */
	const char *oci_profile, *oci_region, *oci_config_file;

	/* Other transports: kept, not used yet. */
	const char *command, *cwd, *module, *server_attr, *venv;
	struct config_list args, pythonpath, pip_packages;
	struct config_env *env;
	size_t n_env;

	enum config_source source;
	const char *file; /* where it was defined */
	unsigned line, column;
};

/* A token that is known beforehand; written in the clear or as "sha256:...",
 * kept as its hash. */
struct config_token {
	uint8_t hash[CRYPTO_HASH_LEN]; /* SHA-256 of what the client sends */
	const char *client_id;
	const char *subject;
	struct config_list scopes;
};

/* Scopes that a tool needs; the name may hold '*' for any bytes. */
struct config_tool_scopes {
	const char *tool;
	struct config_list scopes;
};

struct config {
	const struct program *program;
	struct settings settings;

	const char *file; /* the configuration file; NULL: none was read */
	const char *name;
	const char *version;
	const char *host;
	const char *path;       /* begins with '/' */
	const char *public_url; /* "https://host/path"; NULL: from Host */
	/* Opens the session ids of every replica that has it; NULL: made anew
	 * with each start */
	const char *session_key;
	const char *session_key_previous; /* still opens them; NULL: none */
	/* This replica as the others reach it, "address:port"; NULL: they do
	 * not */
	const char *replica_address;
	struct config_list replica_peers; /* the others, likewise */
	struct config_pem replica_ca;     /* instead of the system's roots */
	const char *user; /* to become when started as root; NULL */
	enum log_level log_level;
	enum log_format log_format;
	const char *log_file;        /* NULL: standard error */
	const char *access_log_file; /* NULL: where the log goes */
	const char *audit_log_file;  /* NULL: where the log goes */
	const char *runtime_dir;     /* control socket and state */

	struct config_pem tls_cert; /* both or neither */
	struct config_pem tls_key;
	enum config_tls_version tls_min_version;

	/* Oracle Cloud; what is NULL or empty is found out */
	const char *oci_compartment; /* OCID, for tools that are given none */
	const char *oci_tenancy;     /* OCID */
	const char *oci_endpoint;    /* URL of one endpoint for all services */
	const char *oci_tools_dir;   /* packs of the administrator */
	struct config_pem oci_ca;    /* instead of the system's roots */
	struct config_list oci_compartments; /* where changes are allowed */
	struct packs *packs; /* all tools; NULL: no backend needs them */

	struct config_list allowed_hosts;   /* empty: any */
	struct config_list cors_origins;    /* "*" is any */
	struct config_list trusted_proxies; /* addresses or CIDR, as text */

	struct config_list jwt_key_files; /* auth.jwt_public_key_file */
	struct config_pem *jwt_keys;      /* of these, those that exist */
	size_t n_jwt_keys;
	const char *jwt_issuer; /* NULL: not checked */
	struct config_list jwt_audience;
	struct config_list jwt_algorithm_names; /* auth.jwt_algorithms */
	unsigned jwt_algorithms; /* of these, KEY_ALG_BIT() of lib/keys.h */
	struct config_token *tokens;
	size_t n_tokens;
	struct config_list required_scopes;
	struct config_tool_scopes *tool_scopes;
	size_t n_tool_scopes;
	struct config_list authorization_servers;

	struct config_backend *backends; /* enabled and disabled */
	size_t n_backends;
	const char *backends_dir;
	struct config_list scan_paths;
	struct config_list include_configs;

	struct config_origin *origins; /* of each key; private */
	struct config_memory *memory;  /* of all of the above; private */
};

#define CONFIG_PROBLEM_MAX 640 /* bytes of one line */
#define CONFIG_PROBLEMS    32  /* lines kept of one reading */

struct config_problem {
	enum log_level level;          /* LOG_ERROR, _WARNING or _INFO */
	char text[CONFIG_PROBLEM_MAX]; /* file:line:column: sentence */
};

/* Zeroed by the function that gets it. */
struct config_report {
	struct config_problem problems[CONFIG_PROBLEMS];
	size_t len;              /* of problems */
	size_t errors, warnings; /* found, also those that did not fit */
};

/*
 * Read all sources. Returns 0 and the configuration (there may be warnings),
 * or -EINVAL and at least one error in the report, or -ENOMEM. Never writes to
 * the log. A bad fragment of backends_dir is skipped with a warning, which
 * OPTIONS_CHECK makes an error. A jwt_public_key_file that does not exist (yet)
 * is a warning too: without a key nobody is let in.
 */
MUST_CHECK int config_load(const struct options *opt, struct config **out,
                           struct config_report *report);

/*
 * The same from a text in memory, called file in the report, with no other
 * source than the command line: no environment, no file is opened, and a
 * reference to a secret gives some text.
 */
MUST_CHECK int config_parse(struct span text, const char *file,
                            const struct options *opt, struct config **out,
                            struct config_report *report);

/* Wipe and free. NULL is fine. */
void config_free(struct config *config);

/* The first error, or the first warning, or "". */
const char *config_report_first(const struct config_report *report);

/* One log line per problem, of its level. */
void config_report_log(const struct config_report *report);

/* The effective settings as JSON: "settings" as in a file, with every secret
 * as "[redacted]", and "sources", where each that is no default came from. */
void config_dump(const struct config *config, struct buf *out);

/* The answer of --discover-only: "backends" and "summary", secrets as
 * "[redacted]". */
void config_dump_backends(const struct config *config, struct buf *out);

/*
 * Calls report(ctx, key) for each setting that differs and takes effect only
 * at a restart, under its name in the file ("port", "auth.token_cache").
 * Returns how many there are; report may be NULL.
 */
size_t config_restart_needed(const struct config *old, const struct config *now,
                             void (*report)(void *ctx, const char *key),
                             void *ctx);

/* Names of enum values as in the file. */
const char *config_transport_name(enum config_transport transport);
const char *config_auth_method_name(enum config_auth_method method);
const char *config_protocol_name(enum config_protocol protocol);

#endif
