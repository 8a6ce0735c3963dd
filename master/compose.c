#include "master/compose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keys.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "oci/credential.h"
#include "oci/pack.h"
#include "proxy/catalog.h"
#include "proxy/discover.h"

#define FIELDS_MAX      65536 /* bytes of the header lines of one backend */
#define SESSION_KEY_MIN 32    /* characters */

struct work {
	const struct compose *with;
	const struct config *config;
	struct builder out;
	const char **scopes; /* sorted, each once; index is the bit */
	size_t n_scopes;
	char *why;
};

PRINTF(2, 3) static int refuse(struct work *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->why, COMPOSE_WHY_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static struct ref text(struct work *w, const char *s)
{
	return s ? builder_text(&w->out, span_str(s)) : (struct ref){ 0, 0 };
}

static struct ref bytes(struct work *w, struct span s)
{
	return s.len ? builder_text(&w->out, s) : (struct ref){ 0, 0 };
}

/* An array that was made in ordinary memory, which is given back. */
static struct ref array(struct work *w, void *elements, size_t n, size_t size)
{
	struct ref r = builder_array(&w->out, elements, n, size);

	free(elements);
	return r;
}

/* --- scopes: every one that is named anywhere gets a bit ------------------ */

static const char *write_scope[] = { CATALOG_WRITE_SCOPE };
static const struct config_list to_write = { write_scope, 1 };

typedef void scope_fn(struct work *w, const struct config_list *list);

static void each_scope_list(struct work *w, scope_fn *fn)
{
	const struct config *c = w->config;

	fn(w, &c->required_scopes);
	for (size_t i = 0; i < c->n_tool_scopes; i++)
		fn(w, &c->tool_scopes[i].scopes);
	for (size_t i = 0; i < c->n_backends; i++)
		fn(w, &c->backends[i].required_scopes);
	for (size_t i = 0; i < c->n_tokens; i++)
		fn(w, &c->tokens[i].scopes);
	if (c->packs)
		fn(w, &to_write);
}

static void count_list(struct work *w, const struct config_list *list)
{
	w->n_scopes += list->len;
}

static void take_list(struct work *w, const struct config_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		w->scopes[w->n_scopes++] = list->items[i];
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a;
	const char *const *y = b;

	return span_cmp(span_str(*x), span_str(*y));
}

static int collect_scopes(struct work *w)
{
	size_t n = 0;

	each_scope_list(w, count_list);
	w->scopes = calloc(w->n_scopes + 1, sizeof(*w->scopes));
	if (!w->scopes)
		return -ENOMEM;
	w->n_scopes = 0;
	each_scope_list(w, take_list);
	qsort(w->scopes, w->n_scopes, sizeof(*w->scopes), by_text);
	for (size_t i = 0; i < w->n_scopes; i++)
		if (n == 0 || strcmp(w->scopes[n - 1], w->scopes[i]) != 0)
			w->scopes[n++] = w->scopes[i];
	w->n_scopes = n;
	if (n > SCOPES_MAX)
		return refuse(
			w,
			"%zu different scopes are named in required_scopes, "
			"tool_scopes and tokens; at most %d can be told apart",
			n, SCOPES_MAX);
	return 0;
}

static struct scope_set set_of(const struct work *w,
                               const struct config_list *list)
{
	struct scope_set set = { { 0 } };

	for (size_t i = 0; i < list->len; i++) {
		const char **at =
			bsearch(&list->items[i], w->scopes, w->n_scopes,
		                sizeof(*w->scopes), by_text);

		assert(at); /* collect_scopes() has seen every list */
		scope_set_add(&set, (unsigned)(at - w->scopes));
	}
	return set;
}

/* --- lists ---------------------------------------------------------------- */

static int add_texts(struct work *w, const char *const *items, size_t n,
                     struct ref *out)
{
	struct ref *refs = calloc(n + 1, sizeof(*refs));

	if (!refs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		refs[i] = builder_text(&w->out, span_str(items[i]));
	*out = array(w, refs, n, sizeof(*refs));
	return 0;
}

static int add_list(struct work *w, const struct config_list *list,
                    struct ref *out)
{
	return add_texts(w, list->items, list->len, out);
}

static int add_trusted(struct work *w, struct ref *out)
{
	const struct config_list *list = &w->config->trusted_proxies;
	struct ip_net *nets = calloc(list->len + 1, sizeof(*nets));

	if (!nets)
		return -ENOMEM;
	for (size_t i = 0; i < list->len; i++) {
		if (ip_net_parse(span_str(list->items[i]), &nets[i]))
			continue;
		free(nets);
		return refuse(w,
		              "trusted_proxies: \"%s\" is neither an address "
		              "nor a network such as 10.0.0.0/8",
		              list->items[i]);
	}
	*out = array(w, nets, list->len, sizeof(*nets));
	return 0;
}

static struct peer peer_of(const char *text)
{
	struct peer peer = { .port = 0 };
	uint16_t port;

	/* The configuration's reader has checked it. */
	if (text && ip_parse_endpoint(span_str(text), &peer.address, &port))
		peer.port = port;
	return peer;
}

static int add_peers(struct work *w, struct ref *out)
{
	const struct config_list *list = &w->config->replica_peers;
	struct peer *peers;

	if (list->len > PEERS_MAX)
		return refuse(w, "replica.peers: more than %d", PEERS_MAX);
	peers = calloc(list->len + 1, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	for (size_t i = 0; i < list->len; i++)
		peers[i] = peer_of(list->items[i]);
	*out = array(w, peers, list->len, sizeof(peers[0]));
	return 0;
}

/* --- who may call --------------------------------------------------------- */

static int add_rules(struct work *w, struct ref *out)
{
	const struct config *c = w->config;
	struct scope_rule *rules = calloc(c->n_tool_scopes + 1, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_tool_scopes; i++) {
		rules[i].pattern = text(w, c->tool_scopes[i].tool);
		rules[i].needs = set_of(w, &c->tool_scopes[i].scopes);
	}
	*out = array(w, rules, c->n_tool_scopes, sizeof(*rules));
	return 0;
}

static int add_tokens(struct work *w, struct ref *out)
{
	const struct config *c = w->config;
	struct token_row *rows = calloc(c->n_tokens + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_tokens; i++) {
		const struct config_token *t = &c->tokens[i];

		memcpy(rows[i].hash, t->hash, sizeof(rows[i].hash));
		rows[i].client_id = text(w, t->client_id);
		rows[i].subject = text(w, t->subject);
		rows[i].scopes = set_of(w, &t->scopes);
	}
	*out = array(w, rows, c->n_tokens, sizeof(*rows));
	return 0;
}

static int add_key(struct work *w, const struct config_pem *pem,
                   struct key_row *row)
{
	struct buf der = { .max = KEY_DER_MAX };
	struct key *key = NULL;
	const char *why = "out of memory";

	int err = key_from_pem(pem->pem, &key, &why);
	if (err < 0) {
		refuse(w, "auth.jwt_public_key_file: %s: %s", pem->path, why);
		return err;
	}
	err = key_to_der(key, &der);
	if (err == 0)
		row->der = builder_text(&w->out, buf_span(&der));
	buf_free(&der);
	key_free(key);
	return err;
}

static int add_keys(struct work *w, struct ref *out)
{
	const struct config *c = w->config;
	struct key_row *rows = calloc(c->n_jwt_keys + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_jwt_keys; i++) {
		int err = add_key(w, &c->jwt_keys[i], &rows[i]);

		if (err < 0) {
			free(rows);
			return err;
		}
	}
	*out = array(w, rows, c->n_jwt_keys, sizeof(*rows));
	return 0;
}

/* --- backends ------------------------------------------------------------- */

/* A value that would end its header line early would forge the next one. */
static bool one_line(const char *s)
{
	return s[strcspn(s, "\r\n")] == '\0';
}

static int add_field(struct work *w, const struct config_backend *b,
                     struct buf *out, const char *name, const char *before,
                     const char *value)
{
	if (!one_line(name) || !one_line(value))
		return refuse(w,
		              "backend \"%s\": the header field %.64s has a "
		              "line break in it",
		              b->name, one_line(name) ? name : "");
	buf_addf(out, "%s: %s%s\r\n", name, before, value);
	return 0;
}

static int add_fields(struct work *w, const struct config_backend *b,
                      struct ref *out)
{
	struct buf lines = { .max = FIELDS_MAX };
	int err = 0;

	for (size_t i = 0; i < b->n_headers && err == 0; i++)
		err = add_field(w, b, &lines, b->headers[i].name, "",
		                b->headers[i].value);
	if (err == 0 && b->auth_method == CONFIG_AUTH_BEARER_TOKEN &&
	    b->bearer_token)
		err = add_field(w, b, &lines, "Authorization", "Bearer ",
		                b->bearer_token);
	if (err == 0 && b->auth_method == CONFIG_AUTH_API_KEY && b->api_key)
		err = add_field(w, b, &lines, b->api_key_header, "",
		                b->api_key);
	if (err == 0 && buf_err(&lines) < 0)
		err = refuse(w,
		             "backend \"%s\": its header fields are longer "
		             "than %d bytes together",
		             b->name, FIELDS_MAX);
	if (err == 0)
		*out = bytes(w, buf_span(&lines));
	if (lines.bytes)
		crypto_wipe(lines.bytes, lines.len);
	buf_free(&lines);
	return err;
}

static enum backend_auth auth_of(const struct config_backend *b)
{
	if (b->auth_method == CONFIG_AUTH_BEARER_TOKEN && b->bearer_token)
		return BACKEND_AUTH_BEARER;
	if (b->auth_method == CONFIG_AUTH_API_KEY && b->api_key)
		return BACKEND_AUTH_KEY;
	return BACKEND_AUTH_NONE;
}

static uint32_t eras_of(const struct config_backend *b)
{
	switch (b->protocol) {
	case CONFIG_AUTO:
		return 0;
	case CONFIG_MODERN:
		return ERA_MODERN;
	case CONFIG_LEGACY:
		return ERA_LEGACY;
	}
	return 0;
}

/* The Host field: host[:port], without the port that the scheme implies. */
static struct ref authority(struct work *w, const struct config_backend *b)
{
	char out[320];
	const char *open = strchr(b->host, ':') ? "[" : "";
	const char *shut = strchr(b->host, ':') ? "]" : "";

	if (b->port == (b->https ? 443 : 80))
		snprintf(out, sizeof(out), "%s%s%s", open, b->host, shut);
	else
		snprintf(out, sizeof(out), "%s%s%s:%d", open, b->host, shut,
		         b->port);
	return text(w, out);
}

static uint32_t number(int64_t n)
{
	return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* --- the tools of Oracle Cloud -------------------------------------------- */

static enum credential_method oci_method(enum config_auth_method method)
{
	switch (method) {
	case CONFIG_AUTH_OCI_CONFIG:
		return CREDENTIAL_API_KEY;
	case CONFIG_AUTH_RESOURCE_PRINCIPAL:
		return CREDENTIAL_RESOURCE_PRINCIPAL;
	case CONFIG_AUTH_INSTANCE_PRINCIPAL:
		return CREDENTIAL_INSTANCE_PRINCIPAL;
	case CONFIG_AUTH_SECURITY_TOKEN:
		return CREDENTIAL_SECURITY_TOKEN;
	case CONFIG_AUTH_WORKLOAD:
		return CREDENTIAL_WORKLOAD;
	case CONFIG_AUTH_NONE:
	case CONFIG_AUTH_BEARER_TOKEN:
	case CONFIG_AUTH_API_KEY:
		break;
	}
	return CREDENTIAL_AUTO;
}

static int add_recipes(struct work *w, struct backend *row)
{
	const struct packs *packs = w->config->packs;
	bool writes = w->config->settings.oci_allow_mutations;
	struct recipe_row *rows = calloc(packs->n_tools + 1, sizeof(*rows));
	struct buf items = { .max = SIZE_MAX };
	size_t n = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < packs->n_tools; i++) {
		const struct pack_tool *tool = &packs->tools[i];

		if (tool->flags & PACK_WRITE && !writes)
			continue;
		rows[n++] = (struct recipe_row){
			.name = text(w, tool->name),
			.recipe = bytes(w, tool->recipe),
			.flags = tool->flags & PACK_WRITE ? RECIPE_WRITE : 0,
		};
	}
	row->recipes = array(w, rows, n, sizeof(*rows));
	pack_definitions(packs, writes, &items);
	row->definitions = bytes(w, buf_span(&items));

	int err = buf_err(&items);
	buf_free(&items);
	return err;
}

static int add_oci(struct work *w, const struct config_backend *b,
                   struct backend *row)
{
	const struct config *c = w->config;
	struct credential credential = {
		.method = oci_method(b->auth_method),
		.config_file = span_str(b->oci_config_file),
		.profile = span_str(b->oci_profile),
		.region = span_str(b->oci_region),
		.tenancy = span_str(c->oci_tenancy),
		.endpoint = span_str(c->oci_endpoint),
	};

	row->flags |= BACKEND_OCI;
	row->oci_method = credential.method;
	row->oci_credential = credential_id(&credential);
	row->oci_config_file = text(w, b->oci_config_file);
	row->oci_profile = text(w, b->oci_profile);
	row->oci_region = text(w, b->oci_region);
	return add_recipes(w, row);
}

static int add_backend(struct work *w, const struct config_backend *b,
                       struct backend *row)
{
	uint32_t slot = board_backend_slot(w->with->board, span_str(b->name));

	if (slot == BACKENDS_MAX)
		return refuse(w,
		              "backend \"%s\": since its start this gateway "
		              "has counted %d different backends, which is all "
		              "it can; restart it",
		              b->name, BACKENDS_MAX);
	*row = (struct backend){
		.name = text(w, b->name),
		.identifier = text(w, b->identifier),
		.description = text(w, b->description),
		.url = text(w, b->url),
		.host = text(w, b->host),
		.authority = b->host ? authority(w, b) : (struct ref){ 0, 0 },
		.path = text(w, b->target),
		.ca_pem = bytes(w, b->tls_ca.path ? b->tls_ca.pem
		                                  : span_of(NULL, 0)),
		.flags = (b->https ? BACKEND_TLS : 0) |
		         (b->namespace_tools ? BACKEND_NAMESPACE : 0) |
		         (b->unlisted_tools ? BACKEND_UNLISTED : 0) |
		         (b->sessions == CONFIG_SESSIONS_PER_CLIENT
		                  ? BACKEND_PER_CLIENT
		                  : 0),
		.eras = eras_of(b),
		.auth = auth_of(b),
		.slot = slot,
		.port = (uint32_t)b->port,
		.connect_timeout_ms = number(b->connect_timeout_ms),
		.request_timeout_ms = number(b->request_timeout_ms),
		.idle_timeout_ms = number(b->idle_timeout_ms),
		.stream_idle_ms = number(b->stream_idle_timeout_ms),
		.health_interval_ms = number(b->health_check_interval_ms),
		.max_connections = number(b->max_connections),
		.needs = set_of(w, &b->required_scopes),
	};
	if (b->transport == CONFIG_IN_PROCESS)
		return add_oci(w, b, row);
	return add_fields(w, b, &row->fields);
}

static bool is_served(const struct config_backend *b)
{
	return b->enabled && (b->transport == CONFIG_STREAMABLE_HTTP ||
	                      b->transport == CONFIG_IN_PROCESS);
}

static int add_backends(struct work *w, struct ref *out)
{
	const struct config *c = w->config;
	struct backend *rows = calloc(BACKENDS_MAX, sizeof(*rows));
	size_t n = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_backends; i++) {
		const struct config_backend *b = &c->backends[i];
		int err = 0;

		if (!is_served(b))
			continue;
		if (n == BACKENDS_MAX)
			err = refuse(w,
			             "more than %d backends are enabled; "
			             "\"%s\" is one too many",
			             BACKENDS_MAX, b->name);
		else
			err = add_backend(w, b, &rows[n++]);
		if (err < 0) {
			free(rows);
			return err;
		}
	}
	*out = array(w, rows, n, sizeof(*rows));
	return 0;
}

/* --- the whole ------------------------------------------------------------ */

static int check_tls(struct work *w)
{
	const struct config *c = w->config;
	struct tls_context *ctx = NULL;
	char why[TLS_WHY_MAX];

	if (!c->tls_cert.path && !c->tls_key.path)
		return 0;
	if (!c->tls_cert.path || !c->tls_key.path)
		return refuse(w, "tls.cert and tls.key must be given "
		                 "both or neither");

	int err = tls_context_from_memory(c->tls_cert.pem, c->tls_key.pem, &ctx,
	                                  why);
	if (err < 0) {
		refuse(w, "tls: %s and %s: %s", c->tls_cert.path,
		       c->tls_key.path, why);
		return err;
	}
	tls_context_free(ctx);
	return 0;
}

/* What a client is told about us when it connects. */
static struct ref instructions(struct work *w)
{
	static const char others[] =
		" aggregates the tools of several MCP servers. A tool's name "
		"begins with the name of the server it belongs to. Use "
		"gateway_list_backends to see the servers and gateway_health "
		"to see whether they answer.";
	static const char oci[] =
		" For Oracle Cloud begin with oci_ping and oci_list_domains, "
		"find tools with oci_search_tools, and every other operation "
		"of the cloud with oci_search_operations.";
	const struct config *c = w->config;
	char out[1024];

	snprintf(out, sizeof(out), "%s %s%s%s", c->name, c->version,
	         c->program->is_server ? " serves the tools of Oracle Cloud."
	                               : others,
	         c->packs ? oci : "");
	return text(w, out);
}

/* Refs are computed into a header aside: an append may move the builder's. */
static int add_lists(struct work *w, struct header *head)
{
	const struct config *c = w->config;
	const struct {
		int (*add)(struct work *w, struct ref *out);
		struct ref *out;
	} rows[] = {
		{ add_backends, &head->backends },
		{ add_tokens, &head->tokens },
		{ add_keys, &head->keys },
		{ add_rules, &head->scope_rules },
		{ add_trusted, &head->trusted },
		{ add_peers, &head->peers },
	};
	const struct {
		const struct config_list *list;
		struct ref *out;
	} lists[] = {
		{ &c->jwt_audience, &head->audiences },
		{ &c->authorization_servers, &head->authorization_servers },
		{ &c->allowed_hosts, &head->allowed_hosts },
		{ &c->cors_origins, &head->cors_origins },
		{ &c->oci_compartments, &head->oci_compartments },
	};
	int err = add_texts(w, w->scopes, w->n_scopes, &head->scopes);

	for (size_t i = 0; i < ARRAY_LEN(rows) && err == 0; i++)
		err = rows[i].add(w, rows[i].out);
	for (size_t i = 0; i < ARRAY_LEN(lists) && err == 0; i++)
		err = add_list(w, lists[i].list, lists[i].out);
	return err;
}

/* A key that can be guessed lets anybody make session ids. */
static int check_session_keys(struct work *w)
{
	const struct {
		const char *name, *key;
	} rows[] = {
		{ "session_key", w->config->session_key },
		{ "session_key_previous", w->config->session_key_previous },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].key && strlen(rows[i].key) < SESSION_KEY_MIN)
			return refuse(w, "%s: needs at least %d characters",
			              rows[i].name, SESSION_KEY_MIN);
	return 0;
}

static void add_session_keys(const struct work *w, struct header *head)
{
	const struct config *c = w->config;

	if (c->session_key)
		crypto_sha256(span_str(c->session_key), head->session_keys[0]);
	else
		memcpy(head->session_keys[0], w->with->session_key,
		       sizeof(head->session_keys[0]));
	head->has_previous_key = c->session_key_previous != NULL;
	if (c->session_key_previous)
		crypto_sha256(span_str(c->session_key_previous),
		              head->session_keys[1]);
}

static int add_config(struct work *w)
{
	const struct config *c = w->config;
	struct header head;
	int err = collect_scopes(w);

	if (err == 0)
		err = check_tls(w);
	if (err == 0)
		err = check_session_keys(w);
	if (err < 0)
		return err;
	builder_init(&w->out);
	if (!builder_header(&w->out))
		return -ENOMEM;
	head = *builder_header(&w->out);
	head.config_generation = w->with->generation;
	head.catalog_serial = w->with->catalog_serial;
	memcpy(head.cache_key, w->with->cache_key, sizeof(head.cache_key));
	add_session_keys(w, &head);
	head.replica = peer_of(c->replica_address);
	head.settings =
		builder_array(&w->out, &c->settings, 1, sizeof(c->settings));
	head.name = text(w, c->name);
	head.program_version = text(w, c->version);
	head.path = text(w, c->path);
	head.public_url = text(w, c->public_url);
	head.no_own_tools = c->program->is_server;
	head.instructions = instructions(w);
	head.issuer = text(w, c->jwt_issuer);
	head.required = set_of(w, &c->required_scopes);
	if (c->tls_cert.path) {
		head.tls_1_3_only = c->tls_min_version == CONFIG_TLS_1_3;
		head.tls_cert = bytes(w, c->tls_cert.pem);
		head.tls_key = bytes(w, c->tls_key.pem);
	}
	head.jwt_algorithms = c->jwt_algorithms;
	head.oci_compartment = text(w, c->oci_compartment);
	head.oci_tenancy = text(w, c->oci_tenancy);
	head.oci_endpoint = text(w, c->oci_endpoint);
	if (c->oci_ca.path)
		head.oci_ca = bytes(w, c->oci_ca.pem);
	if (c->replica_ca.path)
		head.replica_ca = bytes(w, c->replica_ca.pem);
	err = add_lists(w, &head);
	if (err == 0 && builder_header(&w->out))
		*builder_header(&w->out) = head;
	builder_end_config(&w->out);
	return err;
}

static int seal(struct work *w)
{
	/* Nothing is known of other servers: the keeper has not asked yet. */
	struct catalog_backend *known[BACKENDS_MAX] = { NULL };
	const struct header *head = builder_header(&w->out);
	int err = head ? 0 : -ENOMEM;

	for (uint32_t i = 0; err == 0 && i < head->backends.len; i++) {
		const struct backend *rows =
			builder_at(&w->out, head->backends);

		if (!(rows[i].flags & BACKEND_OCI))
			continue;
		known[i] = catalog_own_known(
			span_of(builder_at(&w->out, rows[i].definitions),
		                rows[i].definitions.len));
		if (!known[i])
			err = -ENOMEM;
	}
	if (err == 0)
		err = catalog_build(&w->out, w->with->board, known);
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		discover_free_known(known[i]);
	return err < 0 ? err : builder_freeze(&w->out);
}

int compose_snapshot(const struct compose *with, const struct config *config,
                     char why[COMPOSE_WHY_MAX])
{
	struct work w = { .with = with, .config = config, .why = why };

	why[0] = '\0';

	int fd = add_config(&w);
	if (fd == 0)
		fd = seal(&w);
	if (fd < 0 && why[0] == '\0')
		snprintf(why, COMPOSE_WHY_MAX,
		         "the snapshot of the configuration cannot be made: %s",
		         log_errno(fd));
	/* It may have credentials in it. */
	if (w.out.bytes.bytes)
		crypto_wipe(w.out.bytes.bytes, w.out.bytes.len);
	builder_free(&w.out);
	free(w.scopes);
	return fd;
}
