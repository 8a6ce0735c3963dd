#include "master/config_backend.h"

#include <stdio.h>

#include "lib/url.h"

static const char *const transports[] = { "stdio", "streamable_http",
	                                  "in_process", NULL };
static const char *const auth_methods[] = { "none",
	                                    "oci_config",
	                                    "resource_principal",
	                                    "instance_principal",
	                                    "bearer_token",
	                                    "api_key",
	                                    "security_token",
	                                    "oke_workload_identity",
	                                    NULL };
static const char *const sessions_words[] = { "shared", "per_client", NULL };
static const char *const protocols[] = { "auto", "modern", "legacy", NULL };

const char *config_transport_name(enum config_transport transport)
{
	return transports[transport];
}

const char *config_auth_method_name(enum config_auth_method method)
{
	return auth_methods[method];
}

const char *config_protocol_name(enum config_protocol protocol)
{
	return protocols[protocol];
}

/* Field names that are not the administrator's to set, and why. */
static const struct reserved {
	const char *name;
	const char *why;
} reserved[] = {
	{ "authorization", "use \"bearer_token\"" },
	{ "host", "it is made from \"url\"" },
	{ "content-length", "it belongs to each message" },
	{ "content-type", "it belongs to each message" },
	{ "content-encoding", "it belongs to each message" },
	{ "accept", "the protocol sets it" },
	{ "accept-encoding", "the gateway sets it" },
	{ "mcp-session-id", "the protocol sets it" },
	{ "mcp-protocol-version", "the protocol sets it" },
	{ "mcp-method", "the protocol sets it" },
	{ "mcp-name", "the protocol sets it" },
	{ "last-event-id", "the protocol sets it" },
	{ "expect", "the gateway sets it" },
	{ "connection", "it is for one connection only (RFC 9110, 7.6.1)" },
	{ "keep-alive", "it is for one connection only (RFC 9110, 7.6.1)" },
	{ "proxy-connection", "it is for one connection only" },
	{ "proxy-authenticate", "it is for one connection only" },
	{ "proxy-authorization", "it is for one connection only" },
	{ "te", "it is for one connection only (RFC 9110, 7.6.1)" },
	{ "trailer", "it is for one message only" },
	{ "transfer-encoding", "it is for one connection only" },
	{ "upgrade", "it is for one connection only (RFC 9110, 7.6.1)" },
};

/* The characters of a token of RFC 9110, section 5.6.2. */
static bool is_token(struct span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = ascii_lower((unsigned char)s.at[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == 0 || !strchr(others, c)))
			return false;
	}
	return s.len > 0;
}

const char *config_backend_header_fault(struct span name)
{
	if (!is_token(name))
		return "this is not the name of a header field";
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (span_eq_nocase(name, span_str(reserved[i].name)))
			return reserved[i].why;
	return NULL;
}

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = ascii_lower((unsigned char)s.at[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '_' && c != '.' && c != '-')
			return false;
	}
	return s.len > 0 && s.len <= CONFIG_NAME_MAX;
}

static const char *check_name(struct span text)
{
	return is_name(text) ? NULL
	                     : "must be 1 to 64 letters, digits, '_', '.' or "
	                       "'-'";
}

static const char *check_url(struct span text)
{
	struct url url;
	enum url_error error = url_parse(text, &url);

	return error ? url_error(error) : NULL;
}

static bool has_header(const struct config_backend *backend, struct span name)
{
	for (size_t i = 0; i < backend->n_headers; i++)
		if (span_eq_nocase(span_str(backend->headers[i].name), name))
			return true;
	return false;
}

static void read_header(struct config_reader *r, struct json_value value,
                        struct config_backend *backend)
{
	struct span name = json_key(value);
	struct span shown = span_first(name, CONFIG_NAME_MAX);
	const char *fault = config_backend_header_fault(name);
	const char *content;

	if (!fault && has_header(backend, name))
		fault = "it stands here twice";
	if (fault) {
		config_reader_complain(
			r, json_key_place(value),
			"the header field \"%.*s\" cannot be set: %s",
			SPAN_ARG(shown), fault);
		return;
	}
	content = config_reader_secret(r, "headers", value);
	if (content)
		backend->headers[backend->n_headers++] =
			(struct config_header){ config_reader_copy(r, name),
			                        content };
}

static void read_headers(struct config_reader *r, struct json_value value,
                         void *base)
{
	struct config_backend *backend = base;
	struct json_value member;

	if (json_type(value) != JSON_OBJECT) {
		config_reader_complain(r, json_place(value),
		                       "\"headers\" must be an object, not %s",
		                       json_type_name(json_type(value)));
		return;
	}
	backend->headers = config_reader_alloc(r, json_count(value),
	                                       sizeof *backend->headers);
	if (!backend->headers)
		return;
	for (member = json_first(value); json_exists(member);
	     member = json_next(member))
		read_header(r, member, backend);
}

static void write_headers(struct buf *out, const void *base)
{
	const struct config_backend *backend = base;

	buf_putc(out, '{');
	for (size_t i = 0; i < backend->n_headers; i++) {
		buf_puts(out, i ? "," : "");
		buf_add_json(out, span_str(backend->headers[i].name));
		buf_puts(out, ":\"[redacted]\"");
	}
	buf_putc(out, '}');
}

static void read_env(struct config_reader *r, struct json_value value,
                     void *base)
{
	struct config_backend *backend = base;
	struct json_value member;

	if (json_type(value) != JSON_OBJECT) {
		config_reader_complain(r, json_place(value),
		                       "\"env\" must be an object, not %s",
		                       json_type_name(json_type(value)));
		return;
	}
	backend->env =
		config_reader_alloc(r, json_count(value), sizeof *backend->env);
	for (member = json_first(value); backend->env && json_exists(member);
	     member = json_next(member)) {
		if (json_type(member) != JSON_STRING)
			config_reader_complain(
				r, json_place(member),
				"a variable of \"env\" must be a string, not "
				"%s",
				json_type_name(json_type(member)));
		else
			backend->env[backend->n_env++] = (struct config_env){
				config_reader_copy(r, json_key(member)),
				config_reader_copy(r, json_text(member)),
			};
	}
}

/* Variables of other programs are often passwords. */
static void write_env(struct buf *out, const void *base)
{
	const struct config_backend *backend = base;

	buf_putc(out, '{');
	for (size_t i = 0; i < backend->n_env; i++) {
		buf_puts(out, i ? "," : "");
		buf_add_json(out, span_str(backend->env[i].name));
		buf_puts(out, ":\"[redacted]\"");
	}
	buf_putc(out, '}');
}

#define AT(member) offsetof(struct config_backend, member)
#define ANY        0U
#define HTTP       CONFIG_KEY_HTTP
#define STDIO      CONFIG_KEY_STDIO
#define PROCESS    CONFIG_KEY_PROCESS

#define TEXT(name, flags, check)                                              \
	{                                                                     \
#name, CONFIG_KEY_TEXT, AT(name), flags, 0, 0, 0, NULL, NULL, \
			check, NULL, NULL                                     \
	}
#define LIST(name, flags, check)                                              \
	{                                                                     \
#name, CONFIG_KEY_LIST, AT(name), flags, 0, 0, 0, NULL, NULL, \
			check, NULL, NULL                                     \
	}
#define SECRET(name, flags)                                               \
	{                                                                 \
#name, CONFIG_KEY_SECRET, AT(name), flags, 0, 0, 0, NULL, \
			NULL, NULL, NULL, NULL                            \
	}
#define SWITCH(name, flags, initial)                                      \
	{                                                                 \
#name, CONFIG_KEY_SWITCH, AT(name), flags, initial, 0, 0, \
			NULL, NULL, NULL, NULL, NULL                      \
	}
#define MILLIS(name, flags, initial, min, max)                                \
	{                                                                     \
#name, CONFIG_KEY_MILLIS, AT(name##_ms), flags, initial, min, \
			max, NULL, NULL, NULL, NULL, NULL                     \
	}
#define CHOICE(name, words)                                                    \
	{                                                                      \
#name, CONFIG_KEY_CHOICE, AT(name), ANY, 0, 0, 0, words, NULL, \
			NULL, NULL, NULL                                       \
	}

/* clang-format off */
static const struct config_key keys[] = {
	TEXT(name, ANY, check_name),
	{ "description", CONFIG_KEY_TEXT, AT(description), ANY, 0, 0, 0, NULL,
	  "", NULL, NULL, NULL },
	SWITCH(enabled, ANY, true),
	CHOICE(transport, transports),
	CHOICE(auth_method, auth_methods),
	LIST(tags, ANY, NULL),
	SWITCH(namespace_tools, ANY, true),
	MILLIS(health_check_interval, ANY, 30000, 0, 86400000),
	MILLIS(connect_timeout, ANY, 10000, 10, 600000),
	MILLIS(request_timeout, ANY, 60000, 10, 86400000),
	LIST(required_scopes, ANY, config_key_check_scope),

	TEXT(url, HTTP | CONFIG_KEY_QUERY, check_url),
	CHOICE(protocol, protocols),
	CHOICE(sessions, sessions_words),
	SWITCH(unlisted_tools, HTTP, false),
	SECRET(bearer_token, HTTP),
	SECRET(api_key, HTTP),
	{ "api_key_header", CONFIG_KEY_TEXT, AT(api_key_header), HTTP, 0, 0, 0,
	  NULL, "X-API-Key", config_backend_header_fault, NULL, NULL },
	{ "headers", CONFIG_KEY_CUSTOM, AT(n_headers), HTTP, 0, 0, 0, NULL, NULL, NULL,
	  read_headers, write_headers },
	{ "tls_ca_file", CONFIG_KEY_TEXT, AT(tls_ca.path), HTTP, 0, 0, 0, NULL,
	  NULL, NULL, NULL, NULL },
	MILLIS(idle_timeout, HTTP, 60000, 10, 86400000),
	MILLIS(stream_idle_timeout, HTTP, 300000, 10, 86400000),
	{ "max_connections", CONFIG_KEY_COUNT, AT(max_connections), HTTP, 256,
	  1, 65536, NULL, NULL, NULL, NULL, NULL },

	TEXT(command, STDIO, NULL),
	LIST(args, STDIO, NULL),
	TEXT(cwd, STDIO, NULL),
	{ "env", CONFIG_KEY_CUSTOM, AT(n_env), STDIO, 0, 0, 0, NULL, NULL, NULL,
	  read_env, write_env },
	TEXT(venv, STDIO | PROCESS, NULL),
	LIST(pythonpath, STDIO | PROCESS, NULL),
	LIST(pip_packages, STDIO | PROCESS, NULL),
	TEXT(module, PROCESS, NULL),
	TEXT(server_attr, PROCESS, NULL),
	TEXT(oci_profile, ANY, NULL),
	TEXT(oci_region, ANY, NULL),
	TEXT(oci_config_file, ANY, NULL),
};
/* clang-format on */

static const struct config_schema schema = { keys, ARRAY_LEN(keys) };

const struct config_schema *config_backend_schema(void)
{
	return &schema;
}

/* Everything that is known of one backend while it is checked. */
struct draft {
	struct config_reader *r;
	struct config_backend *backend;
	struct json_value object;
};

/* Where the fault is: at the value of a key, or else at the backend. */
static struct json_place place_in(const struct draft *d, const char *key)
{
	struct json_value value = json_get(d->object, key);

	return json_place(json_exists(value) ? value : d->object);
}

static bool was_given(const struct draft *d, const char *key)
{
	struct json_value value = json_get(d->object, key);

	return json_exists(value) && json_type(value) != JSON_NULL;
}

/* Other programs write out keys that they do not use: null, [], {}. */
static bool is_empty(struct json_value value)
{
	enum json_type type = json_type(value);

	return type == JSON_NONE || type == JSON_NULL ||
	       ((type == JSON_ARRAY || type == JSON_OBJECT) &&
	        json_count(value) == 0);
}

static void check_transport_keys(const struct draft *d)
{
	static const unsigned flag_of[] = {
		[CONFIG_STDIO] = STDIO,
		[CONFIG_STREAMABLE_HTTP] = HTTP,
		[CONFIG_IN_PROCESS] = PROCESS,
	};
	unsigned ours = flag_of[d->backend->transport];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct json_value value = json_get(d->object, keys[i].path);

		if (keys[i].flags == ANY || keys[i].flags & ours ||
		    is_empty(value))
			continue;
		config_reader_complain(
			d->r, json_key_place(value),
			"\"%s\" is for the transport \"%s\", but that of this "
			"backend is \"%s\"",
			keys[i].path,
			keys[i].flags & HTTP    ? "streamable_http"
			: keys[i].flags & STDIO ? "stdio"
						: "in_process",
			transports[d->backend->transport]);
	}
}

static const char *join(struct config_reader *r, struct span a, struct span b)
{
	char *both = config_reader_alloc(r, a.len + b.len + 1, 1);

	if (!both)
		return "";
	memcpy(both, a.at, a.len);
	if (b.len)
		memcpy(both + a.len, b.at, b.len);
	return both;
}

static void split_url(const struct draft *d)
{
	struct config_backend *backend = d->backend;
	struct url url;

	if (!backend->url || url_parse(span_str(backend->url), &url) != URL_OK)
		return;
	backend->https = url.tls;
	backend->port = url.port;
	backend->host = config_reader_copy(d->r, url.host);
	backend->target = join(d->r, url.path, url.query);
}

static bool is_oci(enum config_auth_method method)
{
	return method == CONFIG_AUTH_OCI_CONFIG ||
	       method == CONFIG_AUTH_RESOURCE_PRINCIPAL ||
	       method == CONFIG_AUTH_INSTANCE_PRINCIPAL ||
	       method == CONFIG_AUTH_SECURITY_TOKEN ||
	       method == CONFIG_AUTH_WORKLOAD;
}

/* What the method is when nobody says, and what it needs. */
static void check_auth(const struct draft *d)
{
	struct config_backend *backend = d->backend;
	bool has_token = was_given(d, "bearer_token");
	bool has_key = was_given(d, "api_key");

	if (!was_given(d, "auth_method"))
		backend->auth_method = has_token ? CONFIG_AUTH_BEARER_TOKEN
		                       : has_key ? CONFIG_AUTH_API_KEY
		                                 : CONFIG_AUTH_NONE;
	if (backend->transport == CONFIG_IN_PROCESS && backend->enabled &&
	    backend->auth_method != CONFIG_AUTH_NONE &&
	    !is_oci(backend->auth_method))
		config_reader_complain(
			d->r, place_in(d, "auth_method"),
			"the tools of Oracle Cloud sign their requests: "
			"\"auth_method\" must be one of oci_config, "
			"security_token, resource_principal, "
			"instance_principal and oke_workload_identity, or "
			"left out to find one");
	if (backend->transport != CONFIG_STREAMABLE_HTTP)
		return;
	if (backend->enabled && is_oci(backend->auth_method))
		config_reader_complain(
			d->r, place_in(d, "auth_method"),
			"requests to other MCP servers are not "
			"signed (\"%s\"); set \"enabled\" to false or "
			"\"auth_method\" to another",
			auth_methods[backend->auth_method]);
	if (has_token != (backend->auth_method == CONFIG_AUTH_BEARER_TOKEN))
		config_reader_complain(
			d->r,
			place_in(d, has_token ? "bearer_token" : "auth_method"),
			has_token ? "\"bearer_token\" is not used with "
				    "this \"auth_method\""
				  : "\"auth_method\" \"bearer_token\" needs "
				    "\"bearer_token\"");
	if (has_key != (backend->auth_method == CONFIG_AUTH_API_KEY))
		config_reader_complain(
			d->r, place_in(d, has_key ? "api_key" : "auth_method"),
			has_key ? "\"api_key\" is not used with this "
				  "\"auth_method\""
				: "\"auth_method\" \"api_key\" needs "
				  "\"api_key\"");
	if (has_key && backend->api_key_header &&
	    has_header(backend, span_str(backend->api_key_header)))
		config_reader_complain(d->r, place_in(d, "headers"),
		                       "\"headers\" already has the field of "
		                       "\"api_key_header\"");
}

static void check_transport(const struct draft *d)
{
	struct config_backend *backend = d->backend;

	/* The default is stdio, but a URL leaves no doubt. */
	if (!was_given(d, "transport") && was_given(d, "url"))
		backend->transport = CONFIG_STREAMABLE_HTTP;
	check_transport_keys(d);
	if (!backend->enabled)
		return;
	if (backend->transport == CONFIG_STREAMABLE_HTTP) {
		if (!was_given(d, "url"))
			config_reader_complain(
				d->r, json_place(d->object),
				"the transport \"streamable_http\" needs "
				"\"url\"");
		return;
	}
	if (backend->transport == CONFIG_IN_PROCESS)
		return;
	config_reader_complain(
		d->r, place_in(d, "transport"),
		"the transport \"%s\" comes in a later release; serve this "
		"backend over HTTP and give its \"url\", or set \"enabled\" to "
		"false",
		transports[backend->transport]);
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

static void warn_clear_text(const struct draft *d)
{
	const struct config_backend *backend = d->backend;

	if (backend->enabled && backend->host && !backend->https &&
	    (backend->bearer_token || backend->api_key) &&
	    !is_loopback(backend->host))
		config_reader_note(d->r, LOG_WARNING, place_in(d, "url"),
		                   "the secret of backend \"%s\" is sent "
		                   "without TLS",
		                   backend->name);
}

static void read_ca(const struct draft *d)
{
	struct config_pem *ca = &d->backend->tls_ca;
	int err;

	if (!ca->path || !d->backend->enabled || d->r->is_isolated)
		return;
	err = config_reader_file(d->r, ca->path, &ca->pem);
	if (err < 0)
		config_reader_complain(d->r, place_in(d, "tls_ca_file"),
		                       "cannot read %s: %s", ca->path,
		                       log_errno(err));
	else if (!memmem(ca->pem.at, ca->pem.len, "-----BEGIN CERTIFICATE", 22))
		config_reader_complain(d->r, place_in(d, "tls_ca_file"),
		                       "there is no PEM certificate in %s",
		                       ca->path);
}

static const char *identifier_of(struct config_reader *r, const char *name)
{
	size_t n = strlen(name);
	char *id = config_reader_alloc(r, n + 1, 1);

	for (size_t i = 0; id && i < n; i++)
		id[i] = name[i] == '-' || name[i] == '.' ? '_' : name[i];
	return id ? id : "";
}

/* Is there no other of this name? The first one wins. */
static bool is_new(const struct draft *d)
{
	const struct config *config = d->r->config;

	for (size_t i = 0; i < config->n_backends; i++) {
		const struct config_backend *other = &config->backends[i];

		if (strcmp(other->name, d->backend->name) == 0) {
			config_reader_note(d->r, LOG_WARNING,
			                   place_in(d, "name"),
			                   "the backend \"%s\" is ignored: %s "
			                   "defines it first",
			                   other->name, other->file);
			return false;
		}
		if (strcmp(other->identifier, d->backend->identifier) == 0) {
			config_reader_complain(d->r, place_in(d, "name"),
			                       "the names \"%s\" and \"%s\" "
			                       "both become \"%s\"",
			                       other->name, d->backend->name,
			                       other->identifier);
			return false;
		}
	}
	return true;
}

static void check_backend(const struct draft *d)
{
	check_transport(d);
	check_auth(d);
	read_ca(d);
}

/* Take the backend into the list, if there is nothing against it. */
void config_backend_add(struct config_reader *r, struct json_value object,
                        const struct config_backend *backend)
{
	struct config *config = r->config;
	struct config_backend copy = *backend;
	struct draft d = { r, &copy, object };

	copy.source = r->source;
	copy.file = config_reader_copy(r, span_str(r->file));
	copy.line = json_place(object).line;
	copy.column = json_place(object).column;
	copy.identifier = identifier_of(r, copy.name);
	split_url(&d);
	warn_clear_text(&d);
	if (!is_new(&d))
		return;
	if (config->n_backends == CONFIG_BACKENDS_MAX) {
		config_reader_complain(r, json_place(object),
		                       "there are more than %d backends",
		                       CONFIG_BACKENDS_MAX);
		return;
	}
	if (config->backends)
		config->backends[config->n_backends++] = copy;
}

void config_backend_read(struct config_reader *r, struct json_value object)
{
	struct config_backend backend = { .name = NULL };
	struct draft d = { r, &backend, object };
	bool enabled = true;

	if (json_type(object) != JSON_OBJECT) {
		config_reader_complain(r, json_place(object),
		                       "a backend must be an object, not %s",
		                       json_type_name(json_type(object)));
		return;
	}
	config_key_defaults(&schema, &backend);
	(void)json_bool(json_get(object, "enabled"), &enabled);
	r->is_disabled = !enabled;
	config_key_read(r, &schema, object, &backend, NULL);
	r->is_disabled = false;
	check_backend(&d);
	if (backend.name)
		config_backend_add(r, object, &backend);
	else if (!was_given(&d, "name"))
		config_reader_complain(r, json_place(object),
		                       "a backend needs \"name\"");
}

void config_backend_read_all(struct config_reader *r, struct json_value value)
{
	struct json_value item;

	if (json_type(value) != JSON_ARRAY) {
		config_reader_complain(r, json_place(value),
		                       "\"backends\" must be an array, not %s",
		                       json_type_name(json_type(value)));
		return;
	}
	for (item = json_first(value); json_exists(item);
	     item = json_next(item))
		config_backend_read(r, item);
}

void config_backend_add_oci(struct config_reader *r)
{
	struct config *config = r->config;
	struct config_backend *b = &config->backends[config->n_backends++];

	config_key_defaults(&schema, b);
	b->name = b->identifier = "oci";
	b->description = "Oracle Cloud Infrastructure";
	b->transport = CONFIG_IN_PROCESS;
	b->namespace_tools = false;
	b->auth_method = CONFIG_AUTH_NONE;
	b->source = CONFIG_FROM_DEFAULT;
	b->file = r->opt->program->name;
}
