#include "master/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/ip.h"
#include "lib/keys.h"
#include "lib/tls.h"
#include "master/config_backend.h"
#include "master/config_main.h"
#include "master/config_source.h"
#include "oci/functions.h"
#include "oci/pack.h"
#include "oci/stock.h"

static const struct json_place nowhere;

/*
 * Variables of the environment. A later row wins over an earlier one, so the
 * names of our own come behind those of the library that the predecessor used.
 */
enum { FOR_GATEWAY = 1, FOR_SERVER = 2, FOR_BOTH = 3 };

static const struct variable {
	const char *name;
	const char *path; /* key that it sets */
	unsigned programs;
} variables[] = {
	{ "RUNTIME_DIRECTORY", "runtime_dir", FOR_BOTH },
	{ "FASTMCP_HOST", "host", FOR_BOTH },
	{ "FASTMCP_STATELESS_HTTP", "stateless", FOR_BOTH },
	{ "MCP_GATEWAY_HOST", "host", FOR_GATEWAY },
	{ "MCP_GATEWAY_PORT", "port", FOR_GATEWAY },
	{ "MCP_GATEWAY_PATH", "path", FOR_GATEWAY },
	{ "MCP_GATEWAY_LOG_LEVEL", "log_level", FOR_GATEWAY },
	{ "MCP_GATEWAY_NAME", "name", FOR_GATEWAY },
	{ "MCP_GATEWAY_BACKENDS_DIR", "backends_dir", FOR_GATEWAY },
	{ "MCP_GATEWAY_AUTH_ENABLED", "auth.enabled", FOR_BOTH },
	{ "MCP_GATEWAY_JWT_PUBLIC_KEY", "auth.jwt_public_key_file", FOR_BOTH },
	{ "MCP_GATEWAY_JWT_ISSUER", "auth.jwt_issuer", FOR_BOTH },
	{ "MCP_GATEWAY_JWT_AUDIENCE", "auth.jwt_audience", FOR_BOTH },
	{ "OCI_MCP_HOST", "host", FOR_SERVER },
	{ "OCI_MCP_PORT", "port", FOR_SERVER },
	{ "OCI_MCP_LOG_LEVEL", "log_level", FOR_SERVER },
	{ "OCI_MCP_NAME", "name", FOR_SERVER },
	{ "ALLOW_MUTATIONS", "oci.allow_mutations", FOR_BOTH },
	{ "MCP_OCI_PRIVACY", "oci.mask_ocids", FOR_BOTH },
	{ "COMPARTMENT_OCID", "oci.compartment_id", FOR_BOTH },
	{ "OCI_TENANCY_OCID", "oci.tenancy_id", FOR_BOTH },
	{ "OCI_CLI_ENDPOINT", "oci.endpoint", FOR_BOTH },
	{ "OCI_CLI_CERT_BUNDLE", "oci.ca_file", FOR_BOTH },
	{ "MCP_CACHE_TTL_STATIC", "oci.cache_static", FOR_BOTH },
	{ "MCP_CACHE_TTL_NETWORKING", "oci.cache_config", FOR_BOTH },
	{ "MCP_CACHE_TTL_CONFIG", "oci.cache_config", FOR_BOTH },
	{ "MCP_CACHE_TTL_COMPUTE", "oci.cache_operational", FOR_BOTH },
	{ "MCP_CACHE_TTL", "oci.cache_operational", FOR_BOTH },
	{ "MCP_CACHE_TTL_OPERATIONAL", "oci.cache_operational", FOR_BOTH },
	{ "MCP_CACHE_TTL_METRICS", "oci.cache_metrics", FOR_BOTH },
};

static void set(struct config_reader *r, const char *path, struct span text)
{
	config_key_set(r, config_main_schema(), path, text, r->config,
	               r->config->origins);
}

static struct config_origin *origin_of(struct config_reader *r,
                                       const char *path)
{
	int row = config_key_find(config_main_schema(), span_str(path));

	assert(row >= 0);
	return &r->config->origins[row];
}

/* A list of paths as PATH has it. */
static void set_scan_paths(struct config_reader *r, struct span text)
{
	struct config_list *list = &r->config->scan_paths;

	config_reader_list(r, list, text.len / 2 + 1);
	while (text.len) {
		size_t n = span_find(text, ':');

		if (n)
			config_reader_append(r, list, span_first(text, n));
		text = span_from(text, n + 1);
	}
	origin_of(r, "scan_paths")->source = r->source;
}

static void add_env_token(struct config_reader *r, const char *text)
{
	static const char *scopes[] = { "read:tools", "write:tools" };
	const struct config_token draft = {
		.client_id = "env-token",
		.subject = "control-plane",
		.scopes = { scopes, ARRAY_LEN(scopes) },
	};
	struct config *config = r->config;

	r->file = "MCP_GATEWAY_STATIC_TOKEN";
	if (!config->tokens)
		config->tokens =
			config_reader_alloc(r, 1, sizeof *config->tokens);
	if (config->tokens)
		config_main_add_token(r, nowhere, span_str(text), &draft);
}

static void read_environment(struct config_reader *r)
{
	bool is_server = r->opt->program->is_server;
	const char *value;

	r->source = CONFIG_FROM_ENV;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		value = config_reader_env(r, variables[i].name);
		r->file = variables[i].name;
		if (value && variables[i].programs &
		                     (is_server ? FOR_SERVER : FOR_GATEWAY))
			set(r, variables[i].path, span_str(value));
	}
	value = config_reader_env(r, "MCP_GATEWAY_SCAN_PATHS");
	if (value && !is_server)
		set_scan_paths(r, span_str(value));
	value = config_reader_env(r, "MCP_GATEWAY_STATIC_TOKEN");
	if (value)
		add_env_token(r, value);
	value = config_reader_env(r, "OCI_MCP_TRANSPORT");
	r->file = "OCI_MCP_TRANSPORT";
	if (value && is_server && strcmp(value, OPTIONS_STDIO) != 0 &&
	    strcmp(value, OPTIONS_STREAMABLE_HTTP) != 0)
		config_reader_complain(r, nowhere,
		                       "must be \"" OPTIONS_STDIO
		                       "\" or \"" OPTIONS_STREAMABLE_HTTP "\"");
}

static void set_option(struct config_reader *r, const char *flag,
                       const char *path, const char *value)
{
	r->file = flag;
	if (value)
		set(r, path, span_str(value));
}

static const char *decimal(char out[12], int number)
{
	snprintf(out, 12, "%d", number);
	return out;
}

static void read_options(struct config_reader *r)
{
	const struct options *opt = r->opt;
	char number[12];

	r->source = CONFIG_FROM_CLI;
	set_option(r, "--host", "host", opt->host);
	set_option(r, "--path", "path", opt->path);
	set_option(r, "--log-level", "log_level", opt->log_level);
	set_option(r, "--port", "port",
	           opt->port ? decimal(number, opt->port) : NULL);
	set_option(r, "--workers", "workers",
	           opt->workers >= 0 ? decimal(number, opt->workers) : NULL);
	set_option(r, "--no-auth", "auth.enabled",
	           opt->no_auth ? "false" : NULL);
	set_option(r, "--stateless", "stateless",
	           opt->stateless ? "true" : NULL);
	if (r->is_isolated)
		return;
	set_option(r, "--backends-dir", "backends_dir", opt->backends_dir);
	if (opt->n_scan == 0)
		return;
	config_reader_list(r, &r->config->scan_paths, opt->n_scan);
	for (size_t i = 0; i < opt->n_scan; i++)
		config_reader_append(r, &r->config->scan_paths,
		                     span_str(opt->scan[i]));
	origin_of(r, "scan_paths")->source = r->source;
}

#define PRIVATE_GRACE_MS INT64_C(1000)    /* the client has gone already */
#define PRIVATE_WAIT_MS  INT64_C(3600000) /* it may take its time */

static void add_private_token(struct config_reader *r, const char *text)
{
	static const char *scopes[] = { "read:tools", "write:tools" };
	const struct config_token draft = {
		.client_id = "stdio",
		.subject = "stdio",
		.scopes = { scopes, ARRAY_LEN(scopes) },
	};

	r->config->n_tokens = 0;
	r->config->tokens =
		config_reader_alloc(r, 1, sizeof *r->config->tokens);
	if (r->config->tokens)
		config_main_add_token(r, nowhere, span_str(text), &draft);
}

/*
 * A server for one client: it may do whatever the rest of the configuration
 * allows, and nobody else anything. What is about others is forgotten.
 */
static void seclude(struct config_reader *r)
{
	const struct options_private *private = r->opt->private;
	struct config *config = r->config;

	if (!private)
		return;
	config->host = "127.0.0.1";
	config->path = "/mcp";
	config->runtime_dir =
		config_reader_copy(r, span_str(private->runtime_dir));
	config->settings.port = private->port;
	config->settings.workers = 1;
	config->settings.auth_enabled = 1;
	config->settings.proxy_protocol = 0;
	config->settings.shutdown_delay = 0;
	config->settings.shutdown_grace = PRIVATE_GRACE_MS;
	config->settings.limits_write_timeout = PRIVATE_WAIT_MS;
	config->tls_cert = config->tls_key = (struct config_pem){ 0 };
	config->allowed_hosts.len = 0;
	config->cors_origins.len = 0;
	config->trusted_proxies.len = 0;
	config->jwt_key_files.len = 0;
	config->required_scopes.len = 0;
	config->n_tool_scopes = 0;
	add_private_token(r, private->token);
}

/* The built-in tools are the server's only backend. */
static void check_program(struct config_reader *r, struct json_value root)
{
	const struct config_schema *schema = config_main_schema();

	for (size_t i = 0; i < schema->len; i++) {
		const struct config_key *key = &schema->keys[i];
		struct json_value value = json_get(root, key->path);

		if (r->opt->program->is_server &&
		    key->flags & CONFIG_KEY_GATEWAY && json_exists(value))
			config_reader_complain(
				r, json_key_place(value),
				"\"%s\" is for oci-mcp-gateway; %s serves its "
				"built-in tools only",
				key->path, r->opt->program->name);
	}
}

static void read_document(struct config_reader *r, const struct json *doc)
{
	struct json_value root = json_root(doc);

	r->source = CONFIG_FROM_FILE;
	if (json_type(root) != JSON_OBJECT) {
		config_reader_complain(r, json_place(root),
		                       "a configuration must be an object, not "
		                       "%s",
		                       json_type_name(json_type(root)));
		return;
	}
	check_program(r, root);
	config_key_read(r, config_main_schema(), root, r->config,
	                r->config->origins);
}

/* The file that was asked for must exist, the usual one need not. */
static void read_file(struct config_reader *r)
{
	const struct program *program = r->opt->program;
	const char *path = r->opt->config_file;
	struct json *doc;

	if (!path)
		path = config_reader_env(r, program->is_server
		                                    ? "OCI_MCP_CONFIG"
		                                    : "MCP_GATEWAY_CONFIG");
	path = config_reader_copy(
		r, span_str(path ? path : program->default_file));
	doc = config_reader_json(r, path,
	                         strcmp(path, program->default_file) == 0 &&
	                                 !r->opt->config_file);
	if (!doc)
		return;
	r->config->file = path;
	read_document(r, doc);
	json_free(doc);
}

/* Problems are now about the value of a key, where it was given. */
static struct json_place turn_to(struct config_reader *r, const char *path)
{
	const struct config_origin *origin = origin_of(r, path);

	r->file = origin->file ? origin->file : path;
	return origin->place;
}

/* False after a complaint. */
static bool read_pem(struct config_reader *r, const char *key,
                     struct config_pem *pem, bool is_private)
{
	struct json_place place = turn_to(r, key);
	int err = config_reader_file(r, pem->path, &pem->pem);

	if (err < 0)
		config_reader_complain(r, place, "cannot read %s: %s",
		                       pem->path, log_errno(err));
	else if (err == FILE_EXPOSED && is_private)
		config_reader_note(r, LOG_WARNING, place,
		                   "every user of this machine may read the "
		                   "private key in %s",
		                   pem->path);
	return err >= 0;
}

static void read_tls(struct config_reader *r)
{
	struct config_pem *cert = &r->config->tls_cert;
	struct config_pem *key = &r->config->tls_key;
	const char *given = cert->path ? "tls.cert" : "tls.key";
	struct tls_context *context = NULL;
	char why[TLS_WHY_MAX];

	if (!cert->path != !key->path) {
		config_reader_complain(r, turn_to(r, given),
		                       "TLS needs both \"tls.cert\" and "
		                       "\"tls.key\"");
		return;
	}
	if (!cert->path || r->is_isolated ||
	    !read_pem(r, "tls.cert", cert, false) ||
	    !read_pem(r, "tls.key", key, true))
		return;
	if (tls_context_from_memory(cert->pem, key->pem, &context, why) < 0)
		config_reader_complain(r, turn_to(r, "tls.cert"), "%s", why);
	tls_context_free(context);
}

/* Is it a key, and may one of the algorithms be used with it? */
static void check_key(struct config_reader *r, const struct config_pem *pem)
{
	struct json_place place = turn_to(r, "auth.jwt_public_key_file");
	struct key *key = NULL;
	const char *why = "out of memory";
	bool is_useful = false;

	if (key_from_pem(pem->pem, &key, &why) < 0) {
		config_reader_complain(r, place, "%s: %s", pem->path, why);
		return;
	}
	for (int alg = 0; alg < KEY_ALG_COUNT; alg++)
		is_useful |= r->config->jwt_algorithms & KEY_ALG_BIT(alg) &&
		             key_allows(key, (enum key_alg)alg);
	if (!is_useful)
		config_reader_complain(r, place,
		                       "%s is a key of type %s, and none of "
		                       "\"auth.jwt_algorithms\" is for that",
		                       pem->path, key_type_name(key_type(key)));
	key_free(key);
}

/* A key that is not there yet is no error, see config_load(). */
static void read_key(struct config_reader *r, const char *path)
{
	struct config *config = r->config;
	struct config_pem *pem = &config->jwt_keys[config->n_jwt_keys];

	*pem = (struct config_pem){ .path = path };
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		config_reader_note(r, LOG_WARNING,
		                   turn_to(r, "auth.jwt_public_key_file"),
		                   "there is no %s (yet): no token that it "
		                   "would verify is accepted",
		                   path);
	} else if (read_pem(r, "auth.jwt_public_key_file", pem, false)) {
		config->n_jwt_keys++;
		check_key(r, pem);
	}
}

static void read_keys(struct config_reader *r)
{
	struct config *config = r->config;
	const struct config_list *files = &config->jwt_key_files;

	config->jwt_keys =
		config_reader_alloc(r, files->len, sizeof *config->jwt_keys);
	if (!config->jwt_keys || r->is_isolated)
		return;
	for (size_t i = 0; i < files->len; i++)
		read_key(r, files->items[i]);
}

static void read_algorithms(struct config_reader *r)
{
	static const char *usual[] = { "RS256" };
	struct config_list *names = &r->config->jwt_algorithm_names;
	enum key_alg alg;

	if (origin_of(r, "auth.jwt_algorithms")->source == CONFIG_FROM_DEFAULT)
		*names = (struct config_list){ usual, 1 };
	else if (names->len == 0)
		config_reader_complain(
			r, turn_to(r, "auth.jwt_algorithms"),
			"\"auth.jwt_algorithms\" must not be empty");
	for (size_t i = 0; i < names->len; i++)
		if (key_alg_of(span_str(names->items[i]), &alg))
			r->config->jwt_algorithms |= KEY_ALG_BIT(alg);
}

static bool is_loopback(const char *host)
{
	struct ip ip;

	return ip_parse(span_str(host), &ip) && ip_is_loopback(&ip);
}

static void check_whole(struct config_reader *r)
{
	struct config *config = r->config;

	if (strcmp(config->host, "localhost") == 0)
		config->host = "127.0.0.1";
	if (!config->runtime_dir)
		config->runtime_dir = config->program->is_server
		                              ? "/run/oci-mcp-server"
		                              : "/run/oci-mcp-gateway";
	if (config->settings.proxy_protocol && !config->trusted_proxies.len)
		config_reader_complain(
			r, turn_to(r, "proxy_protocol"),
			"\"proxy_protocol\" needs \"trusted_proxies\"");
	if ((config->replica_address || config->replica_peers.len) &&
	    !config->session_key)
		config_reader_complain(r,
		                       turn_to(r, config->replica_address
		                                          ? "replica.address"
		                                          : "replica.peers"),
		                       "replicas need a \"session_key\" that "
		                       "all of them have");
	if ((config->replica_address || config->replica_peers.len) &&
	    config->tls_cert.path && !config->public_url)
		config_reader_complain(
			r,
			turn_to(r, config->replica_address ? "replica.address"
		                                           : "replica.peers"),
			"replicas with \"tls\" need a \"public_url\": its "
			"host is the name that their certificates are "
			"checked for");
	r->file = config->file ? config->file : config->program->name;
	if (!config->settings.auth_enabled && !config->program->is_server &&
	    !is_loopback(config->host))
		config_reader_note(r, LOG_WARNING, nowhere,
		                   "authentication is off: everybody who "
		                   "reaches %s may call every tool",
		                   config->host);
	if (config->settings.auth_enabled && config->n_jwt_keys == 0 &&
	    config->n_tokens == 0)
		config_reader_note(r, LOG_WARNING, nowhere,
		                   "authentication is on, but there is neither "
		                   "a key nor a static token: everybody is "
		                   "refused");
}

/* --- the tools of Oracle Cloud --- */

static bool has_oci(const struct config *config)
{
	for (size_t i = 0; i < config->n_backends; i++)
		if (config->backends[i].enabled &&
		    config->backends[i].transport == CONFIG_IN_PROCESS)
			return true;
	return false;
}

static void on_defect(void *owner, const struct pack_defect *defect)
{
	struct config_reader *r = owner;
	const char *file = r->file;

	r->file = defect->file;
	config_reader_note(
		r, r->opt->action == OPTIONS_CHECK ? LOG_ERROR : LOG_WARNING,
		defect->place, "%s%s%s", defect->tool,
		defect->tool[0] ? ": " : "", defect->reason);
	r->file = file;
}

static bool has_function(struct span name)
{
	return functions_by_name(name) != NULL;
}

static void load_pack(struct config_reader *r, const char *path)
{
	static const struct json_place top;
	const struct pack_rules rules = { has_function, on_defect, r };
	struct buf text = { .max = JSON_MAX_BYTES };
	int err = file_read(path, &text);

	if (err < 0) {
		const char *file = r->file;

		r->file = path;
		config_reader_note(r, LOG_WARNING, top, "cannot be read: %s",
		                   log_errno(err));
		r->file = file;
	} else if (pack_load(r->config->packs, buf_span(&text), path, &rules) <
	           0) {
		config_memory_spend(r->config->memory);
	}
	buf_free(&text);
}

static void read_packs(struct config_reader *r)
{
	struct config *config = r->config;
	const struct pack_rules rules = { has_function, on_defect, r };

	if (!has_oci(config))
		return;
	config->packs = config_reader_alloc(r, 1, sizeof(*config->packs));
	if (!config->packs)
		return;
	if (pack_load_all(config->packs, stock_packs(), &rules) < 0)
		config_memory_spend(config->memory);
	if (config->oci_tools_dir && !r->is_isolated)
		config_source_packs(r, config->oci_tools_dir, load_pack);
}

static void read_ca(struct config_reader *r, const char *key,
                    struct config_pem *ca)
{
	if (!ca->path || r->is_isolated || !read_pem(r, key, ca, false))
		return;
	if (!memmem(ca->pem.at, ca->pem.len, "-----BEGIN CERTIFICATE", 22))
		config_reader_complain(r, turn_to(r, key),
		                       "there is no PEM certificate in %s",
		                       ca->path);
}

static void finish(struct config_reader *r)
{
	if (r->opt->program->is_server)
		config_backend_add_oci(r);
	read_packs(r);
	read_ca(r, "oci.ca_file", &r->config->oci_ca);
	read_ca(r, "replica.ca_file", &r->config->replica_ca);
	read_algorithms(r);
	read_keys(r);
	read_tls(r);
	check_whole(r);
}

static struct config *new_config(const struct options *opt)
{
	const struct program *program = opt->program;
	struct config *config = calloc(1, sizeof *config);
	struct config_memory *m = config_memory_new();
	size_t n = config_main_schema()->len;

	if (!config || !m) {
		free(config);
		config_memory_free(m);
		return NULL;
	}
	config_key_defaults(config_main_schema(), config);
	config->memory = m;
	config->program = program;
	config->name = program->default_name;
	config->host = program->default_host;
	config->settings.port = program->default_port;
	config->settings.auth_enabled = program->default_auth;
	config->backends = config_memory_alloc(
		m, CONFIG_BACKENDS_MAX * sizeof *config->backends);
	config->origins = config_memory_alloc(m, n * sizeof *config->origins);
	if (!config->backends || !config->origins) {
		config_free(config);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		config->origins[i].source = CONFIG_FROM_DEFAULT;
	return config;
}

/* What all sources said: keep it, or nothing of it. */
static int conclude(struct config_reader *r, struct config **out)
{
	int err = config_memory_failed(r->config->memory) ? -ENOMEM
	          : r->report->errors                     ? -EINVAL
	                                                  : 0;

	if (err == 0)
		*out = r->config;
	else
		config_free(r->config);
	return err;
}

int config_load(const struct options *opt, struct config **out,
                struct config_report *report)
{
	struct config_reader r = { .opt = opt, .report = report };

	*out = NULL;
	*report = (struct config_report){ .len = 0 };
	r.config = new_config(opt);
	if (!r.config)
		return -ENOMEM;
	if (opt->env_file)
		config_reader_env_file(&r, opt->env_file);
	read_file(&r);
	read_environment(&r);
	read_options(&r);
	seclude(&r);
	config_source_collect(&r);
	finish(&r);
	return conclude(&r, out);
}

int config_parse(struct span text, const char *file, const struct options *opt,
                 struct config **out, struct config_report *report)
{
	struct config_reader r = {
		.opt = opt, .report = report, .file = file, .is_isolated = true
	};
	struct json_error why;
	struct json *doc;

	*out = NULL;
	*report = (struct config_report){ .len = 0 };
	r.config = new_config(opt);
	if (!r.config)
		return -ENOMEM;
	r.config->file = config_reader_copy(&r, span_str(file));
	if (json_parse(text, JSON_COMMENTS, &doc, &why) < 0)
		config_reader_complain(&r, why.place, "%s", why.text);
	else
		read_document(&r, doc);
	json_free(doc);
	read_options(&r);
	finish(&r);
	return conclude(&r, out);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	if (config->packs)
		pack_fini(config->packs);
	config_memory_free(config->memory);
	crypto_wipe(config, sizeof *config);
	free(config);
}

const char *config_report_first(const struct config_report *report)
{
	for (size_t i = 0; i < report->len; i++)
		if (report->problems[i].level == LOG_ERROR)
			return report->problems[i].text;
	return report->len ? report->problems[0].text : "";
}

void config_report_log(const struct config_report *report)
{
	for (size_t i = 0; i < report->len; i++)
		LOG_EMIT(report->problems[i].level, "configuration",
		         LOG_STR("problem", report->problems[i].text), LOG_END);
}

size_t config_restart_needed(const struct config *old, const struct config *now,
                             void (*report)(void *ctx, const char *key),
                             void *ctx)
{
	const struct config_schema *schema = config_main_schema();
	size_t n = 0;

	for (size_t i = 0; i < schema->len; i++) {
		const struct config_key *key = &schema->keys[i];

		if (!(key->flags & CONFIG_KEY_RESTART) ||
		    !config_key_differs(key, old, now))
			continue;
		if (report)
			report(ctx, key->path);
		n++;
	}
	return n;
}
