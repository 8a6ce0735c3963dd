#include "master/config_main.h"

#include "auth/statictoken.h"
#include "lib/ip.h"
#include "lib/keys.h"
#include "lib/url.h"
#include "lib/version.h"
#include "master/config_backend.h"
#include "oci/ocid.h"

static const char *check_path(struct span text)
{
	if (text.len == 0 || *text.at != '/')
		return "must begin with '/'";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c >= 0x7f || strchr("?#%\"\\", c))
			return "must be a plain path: no '?', '#', '%', quotes "
			       "or spaces";
	}
	return text.len > 1 && text.at[text.len - 1] == '/'
	               ? "must not end with '/'"
	               : NULL;
}

static const char *check_host(struct span text)
{
	struct ip ip;

	return ip_parse(text, &ip) || span_is(text, "localhost")
	               ? NULL
	               : "must be an IPv4 or IPv6 address, or \"localhost\"";
}

static const char *check_compartment(struct span text)
{
	return ocid_is(text, SPAN("compartment"))
	               ? NULL
	               : "must be the OCID of a compartment or a tenancy";
}

static const char *check_tenancy(struct span text)
{
	return ocid_is(text, SPAN("tenancy")) ? NULL
	                                      : "must be the OCID of a tenancy";
}

static const char *check_full(struct span text)
{
	return text.len ? NULL : "must not be empty";
}

static const char *check_url(struct span text)
{
	struct url url;
	enum url_error error = url_parse(text, &url);

	return error ? url_error(error) : NULL;
}

static const char *check_network(struct span text)
{
	struct ip_net net;

	return ip_net_parse(text, &net)
	               ? NULL
	               : "must be an address or a network like 10.0.0.0/8, "
	                 "without bits behind the prefix";
}

/* Workers look up no names, so an address it must be. */
static const char *check_endpoint(struct span text)
{
	struct ip ip;
	uint16_t port;

	return ip_parse_endpoint(text, &ip, &port) && port != 0
	               ? NULL
	               : "must be an address and a port like 10.0.0.5:9000";
}

/* Scheme and authority (RFC 6454, section 6.2), nothing behind them. */
static const char *check_origin(struct span text)
{
	struct url url;

	if (span_is(text, "*"))
		return NULL;
	if (url_parse(text, &url) != URL_OK || url.query.len ||
	    url.authority.at + url.authority.len != text.at + text.len)
		return "must be \"*\" or an origin like https://example.com";
	return NULL;
}

static const char *check_allowed_host(struct span text)
{
	struct url_authority authority;

	return span_is(text, "*") ||
	                       url_parse_authority(text, &authority) == URL_OK
	               ? NULL
	               : "must be \"*\", a host or host:port";
}

static const char *check_algorithm(struct span text)
{
	enum key_alg alg;

	return key_alg_of(text, &alg)
	               ? NULL
	               : "must be RS256, RS384, RS512, PS256, ES256, ES384 or "
	                 "EdDSA";
}

/* A known token while it is read; its text is not kept. */
struct token_draft {
	struct config_token token;
	const char *text; /* in the configuration's memory */
};

#define TOKEN(member) offsetof(struct token_draft, member)

/* clang-format off */
static const struct config_key token_keys[] = {
	{ "client_id", CONFIG_KEY_TEXT, TOKEN(token.client_id), 0, 0, 0, 0, NULL,
	  NULL, check_full, NULL, NULL },
	{ "subject", CONFIG_KEY_TEXT, TOKEN(token.subject), 0, 0, 0, 0, NULL, NULL,
	  check_full, NULL, NULL },
	{ "scopes", CONFIG_KEY_LIST, TOKEN(token.scopes), 0, 0, 0, 0, NULL, NULL,
	  config_key_check_scope, NULL, NULL },
	{ "token", CONFIG_KEY_SECRET, TOKEN(text), 0, 0, 0, 0, NULL, NULL,
	  NULL, NULL, NULL },
};
/* clang-format on */

/* In a map the key is the token. */
static const struct config_schema listed_token = { token_keys, 4 };
static const struct config_schema mapped_token = { token_keys, 3 };

static bool is_known(const struct config *config,
                     const uint8_t hash[CRYPTO_HASH_LEN])
{
	for (size_t i = 0; i < config->n_tokens; i++)
		if (crypto_equal(config->tokens[i].hash, hash, CRYPTO_HASH_LEN))
			return true;
	return false;
}

void config_main_add_token(struct config_reader *r, struct json_place place,
                           struct span text, const struct config_token *draft)
{
	struct config *config = r->config;
	struct config_token token = *draft;

	if (!statictoken_parse(text, token.hash))
		config_reader_complain(
			r, place,
			"a token is letters, digits and -._~+/= (RFC 6750, "
			"section 2.1), or \"sha256:\" and 64 hexadecimal "
			"digits");
	else if (!r->is_isolated && is_known(config, token.hash))
		config_reader_complain(r, place, "this token is given twice");
	else
		config->tokens[config->n_tokens++] = token;
	if (!statictoken_is_hashed(text) && text.len < STATICTOKEN_MIN)
		config_reader_note(r, LOG_WARNING, place,
		                   "this token is shorter than %d characters; "
		                   "it can be guessed",
		                   STATICTOKEN_MIN);
}

static void read_token(struct config_reader *r, struct json_value value,
                       bool is_mapped)
{
	struct token_draft draft = { .text = NULL };
	struct json_value token = json_get(value, "token");

	if (json_type(value) != JSON_OBJECT) {
		config_reader_complain(r, json_place(value),
		                       "a static token must be an object, not "
		                       "%s",
		                       json_type_name(json_type(value)));
		return;
	}
	config_key_read(r, is_mapped ? &mapped_token : &listed_token, value,
	                &draft, NULL);
	if (!draft.token.subject)
		draft.token.subject = draft.token.client_id;
	if (!draft.token.client_id &&
	    !json_exists(json_get(value, "client_id")))
		config_reader_complain(r, json_place(value),
		                       "a static token needs \"client_id\"");
	else if (is_mapped)
		config_main_add_token(r, json_key_place(value), json_key(value),
		                      &draft.token);
	else if (draft.text)
		config_main_add_token(r, json_place(token),
		                      span_str(draft.text), &draft.token);
	else if (!json_exists(token))
		config_reader_complain(r, json_place(value),
		                       "a static token needs \"token\"");
	if (draft.text)
		crypto_wipe((char *)draft.text, strlen(draft.text));
}

/* A map from the token to whose it is, or a list of objects. */
static void read_tokens(struct config_reader *r, struct json_value value,
                        void *base)
{
	struct config *config = base;
	bool is_mapped = json_type(value) == JSON_OBJECT;
	struct json_value item;

	if (json_type(value) == JSON_NULL)
		return;
	if (!is_mapped && json_type(value) != JSON_ARRAY) {
		config_reader_complain(r, json_place(value),
		                       "\"auth.static_tokens\" must be an "
		                       "object or an array, not %s",
		                       json_type_name(json_type(value)));
		return;
	}
	/* One more for MCP_GATEWAY_STATIC_TOKEN. */
	config->tokens = config_reader_alloc(r, json_count(value) + 1,
	                                     sizeof *config->tokens);
	if (!config->tokens)
		return;
	for (item = json_first(value); json_exists(item);
	     item = json_next(item))
		read_token(r, item, is_mapped);
}

static void write_tokens(struct buf *out, const void *base)
{
	const struct config *config = base;

	buf_putc(out, '[');
	for (size_t i = 0; i < config->n_tokens; i++) {
		const struct config_token *token = &config->tokens[i];

		buf_puts(out, i ? "," : "");
		buf_puts(out, "{\"token\":\"[redacted]\",\"client_id\":");
		buf_add_json(out, span_str(token->client_id));
		buf_puts(out, ",\"subject\":");
		buf_add_json(out, span_str(token->subject));
		buf_puts(out, ",\"scopes\":");
		config_key_dump_list(out, &token->scopes);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static bool is_tool_pattern(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			return false;
	}
	return s.len > 0;
}

static void read_tool_scopes(struct config_reader *r, struct json_value value,
                             void *base)
{
	struct config *config = base;
	struct json_value item;

	if (json_type(value) != JSON_OBJECT) {
		config_reader_complain(
			r, json_place(value),
			"\"auth.tool_scopes\" must be an object, "
			"not %s",
			json_type_name(json_type(value)));
		return;
	}
	config->tool_scopes = config_reader_alloc(r, json_count(value),
	                                          sizeof *config->tool_scopes);
	for (item = json_first(value); config->tool_scopes && json_exists(item);
	     item = json_next(item)) {
		struct config_tool_scopes *row =
			&config->tool_scopes[config->n_tool_scopes++];

		row->tool = config_reader_copy(r, json_key(item));
		config_key_read_list(r, "auth.tool_scopes", item,
		                     config_key_check_scope, &row->scopes);
		if (!is_tool_pattern(json_key(item)))
			config_reader_complain(
				r, json_key_place(item),
				"this is not the name of a tool, in which '*' "
				"may stand for anything");
	}
}

static void write_tool_scopes(struct buf *out, const void *base)
{
	const struct config *config = base;

	buf_putc(out, '{');
	for (size_t i = 0; i < config->n_tool_scopes; i++) {
		buf_puts(out, i ? "," : "");
		buf_add_json(out, span_str(config->tool_scopes[i].tool));
		buf_putc(out, ':');
		config_key_dump_list(out, &config->tool_scopes[i].scopes);
	}
	buf_putc(out, '}');
}

static void read_backends(struct config_reader *r, struct json_value value,
                          void *base)
{
	(void)base;
	config_backend_read_all(r, value);
}

static void write_backends(struct buf *out, const void *base)
{
	const struct config *config = base;

	buf_putc(out, '[');
	for (size_t i = 0; i < config->n_backends; i++) {
		buf_puts(out, i ? "," : "");
		config_key_dump(config_backend_schema(), &config->backends[i],
		                NULL, out);
	}
	buf_putc(out, ']');
}

static const char *const log_levels[] = { "DEBUG", "INFO", "WARNING", "ERROR",
	                                  NULL };
static const char *const log_formats[] = { "json", "text", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };

#define AT(member) offsetof(struct config, member)
#define LIVE       CONFIG_KEY_LIVE
#define RESTART    CONFIG_KEY_RESTART
#define GATEWAY    CONFIG_KEY_GATEWAY

#define TEXT(path, member, flags, initial, check)                        \
	{                                                                \
		path, CONFIG_KEY_TEXT, AT(member), flags, 0, 0, 0, NULL, \
			initial, check, NULL, NULL                       \
	}
#define LIST(path, member, flags, check)                                       \
	{                                                                      \
		path, CONFIG_KEY_LIST, AT(member), flags, 0, 0, 0, NULL, NULL, \
			check, NULL, NULL                                      \
	}
#define CHOICE(path, member, flags, initial, words)                        \
	{                                                                  \
		path, CONFIG_KEY_CHOICE, AT(member), flags, initial, 0, 0, \
			words, NULL, NULL, NULL, NULL                      \
	}
#define CUSTOM(path, count, flags, name)                                  \
	{                                                                 \
		path, CONFIG_KEY_CUSTOM, AT(count), flags, 0, 0, 0, NULL, \
			NULL, NULL, read_##name, write_##name             \
	}

/* clang-format off */
static const struct config_key keys[] = {
	TEXT("name", name, LIVE, NULL, check_full),
	TEXT("version", version, LIVE, VERSION, check_full),
	TEXT("host", host, RESTART, NULL, check_host),
	TEXT("path", path, LIVE, "/mcp", check_path),
	TEXT("public_url", public_url, LIVE, NULL, check_url),
	{ "session_key", CONFIG_KEY_SECRET, AT(session_key), LIVE, 0, 0, 0,
	  NULL, NULL, NULL, NULL, NULL },
	{ "session_key_previous", CONFIG_KEY_SECRET, AT(session_key_previous),
	  LIVE, 0, 0, 0, NULL, NULL, NULL, NULL, NULL },
	TEXT("replica.address", replica_address, LIVE, NULL, check_endpoint),
	LIST("replica.peers", replica_peers, LIVE, check_endpoint),
	TEXT("replica.ca_file", replica_ca.path, LIVE, NULL, check_full),
	TEXT("user", user, RESTART, NULL, check_full),
	TEXT("runtime_dir", runtime_dir, RESTART, NULL, check_path),
	CHOICE("log_level", log_level, LIVE, LOG_INFO, log_levels),
	CHOICE("log_format", log_format, LIVE, LOG_JSON, log_formats),
	TEXT("log_file", log_file, LIVE, NULL, check_full),
	TEXT("access_log_file", access_log_file, LIVE, NULL, check_full),
	TEXT("audit_log_file", audit_log_file, LIVE, NULL, check_full),

#define SETTING(name, path, type, unit, initial, min, max, reload, help) \
	{ path, CONFIG_KEY_##type, AT(settings.name), CONFIG_KEY_##reload, \
	  initial, min, max, NULL, NULL, NULL, NULL, NULL },
#include "shm/settings.def"
#undef SETTING

	TEXT("oci.compartment_id", oci_compartment, LIVE, NULL,
	     check_compartment),
	TEXT("oci.tenancy_id", oci_tenancy, LIVE, NULL, check_tenancy),
	TEXT("oci.endpoint", oci_endpoint, LIVE, NULL, check_url),
	TEXT("oci.ca_file", oci_ca.path, LIVE, NULL, check_full),
	TEXT("oci.tools_dir", oci_tools_dir, LIVE, NULL, check_path),
	LIST("oci.mutation_compartments", oci_compartments, LIVE,
	     check_compartment),

	LIST("allowed_hosts", allowed_hosts, LIVE, check_allowed_host),
	LIST("trusted_proxies", trusted_proxies, LIVE, check_network),

	TEXT("tls.cert", tls_cert.path, LIVE, NULL, check_full),
	TEXT("tls.key", tls_key.path, LIVE, NULL, check_full),
	CHOICE("tls.min_version", tls_min_version, LIVE, CONFIG_TLS_1_2,
	       tls_versions),

	LIST("auth.jwt_public_key_file", jwt_key_files, LIVE, check_full),
	TEXT("auth.jwt_issuer", jwt_issuer, LIVE, NULL, check_full),
	LIST("auth.jwt_audience", jwt_audience, LIVE, check_full),
	LIST("auth.jwt_algorithms", jwt_algorithm_names, LIVE,
	     check_algorithm),
	CUSTOM("auth.static_tokens", n_tokens, LIVE, tokens),
	LIST("auth.required_scopes", required_scopes, LIVE, config_key_check_scope),
	CUSTOM("auth.tool_scopes", n_tool_scopes, LIVE, tool_scopes),
	LIST("auth.cors_origins", cors_origins, LIVE, check_origin),
	LIST("auth.authorization_servers", authorization_servers, LIVE,
	     check_url),

	LIST("include_configs", include_configs, GATEWAY, check_full),
	TEXT("backends_dir", backends_dir, GATEWAY, NULL, check_full),
	LIST("scan_paths", scan_paths, GATEWAY, check_full),
	CUSTOM("backends", n_backends, GATEWAY, backends),
};
/* clang-format on */

static const struct config_schema schema = { keys, ARRAY_LEN(keys) };

const struct config_schema *config_main_schema(void)
{
	return &schema;
}
