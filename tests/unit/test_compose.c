#include "master/compose.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/keys.h"
#include "master/publication.h"

static struct board *board;

static void begin(void)
{
	int fd;

	cr_assert_eq(crypto_init(), 0);
	cr_assert_eq(board_new(16, 64, &board, &fd), 0);
	close(fd);
}

TestSuite(compose, .init = begin);

static struct config *parse(const char *text)
{
	static struct config_report report;
	struct options opt;
	struct config *config;

	options_init(&opt, &program_gateway);

	int err = config_parse(span_str(text), "test.json", &opt, &config,
	                       &report);
	cr_assert_eq(err, 0, "%s", config_report_first(&report));
	return config;
}

static int try_compose(struct config *config, struct publication *out,
                       char why[COMPOSE_WHY_MAX])
{
	const struct compose with = {
		.board = board,
		.generation = 7,
		.catalog_serial = 3,
		.cache_key = { 1, 2, 3 },
	};
	int fd = compose_snapshot(&with, config, why);

	config_free(config);
	return fd < 0 ? fd : publication_open(out, fd);
}

static struct snapshot *composed(struct config *config)
{
	struct publication p;
	char why[COMPOSE_WHY_MAX];

	cr_assert_eq(try_compose(config, &p, why), 0, "%s", why);
	cr_assert_str_eq(why, "");
	close(p.fd);
	return p.snap;
}

#define HTTP "\"transport\":\"streamable_http\",\"auth_method\":\"none\","

Test(compose, an_empty_configuration_is_served_with_the_own_tools)
{
	struct snapshot *s = composed(parse("{}"));
	const struct header *head = s->head;

	cr_assert_eq(head->config_generation, 7);
	cr_assert_geq(head->catalog_serial, 3);
	cr_assert_eq(head->cache_key[2], 3);
	cr_assert_eq(s->settings->port, 9000);
	cr_assert(span_is(snapshot_text(s, head->path), "/mcp"));
	cr_assert(span_is(snapshot_text(s, head->name), "oci-mcp-gateway"));
	cr_assert_eq(head->backends.len, 0);
	cr_assert_eq(head->origins.len, 0);
	for (int era = 0; era < VIEWS; era++) {
		const struct view *view = snapshot_view(s, (enum view_era)era);

		cr_assert_not_null(snapshot_find(s, &view->lists[LIST_TOOLS],
		                                 SPAN("gateway_health")));
	}
	snapshot_unref(s);
}

Test(compose, a_backend_becomes_ready_lines_and_numbers)
{
	struct snapshot *s = composed(parse(
		"{\"backends\":[{\"name\":\"a-b.c\",\"transport\":"
		"\"streamable_http\",\"url\":\"https://Host.example:8443/x?y="
		"1\","
		"\"auth_method\":\"bearer_token\",\"bearer_token\":\"secret-"
		"0123456789\",\"headers\":{\"X-Tenant\":\"t\"},"
		"\"connect_timeout\":1.5,\"namespace_tools\":false}]}"));
	const struct backend *b = snapshot_backend(s, 0);

	cr_assert_eq(s->head->backends.len, 1);
	cr_assert(span_is(snapshot_text(s, b->name), "a-b.c"));
	cr_assert(span_is(snapshot_text(s, b->identifier), "a_b_c"));
	cr_assert(span_eq_nocase(snapshot_text(s, b->authority),
	                         SPAN("host.example:8443")));
	cr_assert(span_is(snapshot_text(s, b->path), "/x?y=1"));
	cr_assert(span_is(snapshot_text(s, b->fields),
	                  "X-Tenant: t\r\n"
	                  "Authorization: Bearer secret-0123456789\r\n"));
	cr_assert_eq(b->flags, BACKEND_TLS);
	cr_assert_eq(b->auth, BACKEND_AUTH_BEARER);
	cr_assert_eq(b->port, 8443);
	cr_assert_eq(b->connect_timeout_ms, 1500);
	cr_assert_eq(snapshot_origin(s, 0)->eras, 0);
	cr_assert_str_eq(board->backends[b->slot].name, "a-b.c");
	snapshot_unref(s);
}

Test(compose, the_host_field_names_the_port_only_when_it_must)
{
	static const char *const urls[][2] = {
		{ "http://h/", "h" },         { "http://h:80/", "h" },
		{ "http://h:443/", "h:443" }, { "https://h:443/", "h" },
		{ "https://h:80/", "h:80" },  { "http://[::1]:8/", "[::1]:8" },
		{ "http://[::1]/", "[::1]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		char text[256];

		snprintf(text, sizeof(text),
		         "{\"backends\":[{\"name\":\"x\"," HTTP
		         "\"url\":\"%s\"}]}",
		         urls[i][0]);

		struct snapshot *s = composed(parse(text));
		struct span authority =
			snapshot_text(s, snapshot_backend(s, 0)->authority);
		cr_assert(span_is(authority, urls[i][1]), "%s: %.*s",
		          urls[i][0], SPAN_ARG(authority));
		snapshot_unref(s);
	}
}

Test(compose, only_enabled_backends_that_can_be_reached_are_served)
{
	struct snapshot *s = composed(
		parse("{\"backends\":["
	              "{\"name\":\"on\"," HTTP "\"url\":\"http://a/\"},"
	              "{\"name\":\"off\",\"enabled\":false," HTTP
	              "\"url\":\"http://b/\"}]}"));

	cr_assert_eq(s->head->backends.len, 1);
	cr_assert(
		span_is(snapshot_text(s, snapshot_backend(s, 0)->name), "on"));
	snapshot_unref(s);
}

Test(compose, a_backend_keeps_its_slot_over_reloads)
{
	struct snapshot *first = composed(
		parse("{\"backends\":["
	              "{\"name\":\"a\"," HTTP "\"url\":\"http://a/\"},"
	              "{\"name\":\"b\"," HTTP "\"url\":\"http://b/\"}]}"));
	struct snapshot *second = composed(
		parse("{\"backends\":["
	              "{\"name\":\"c\"," HTTP "\"url\":\"http://c/\"},"
	              "{\"name\":\"b\"," HTTP "\"url\":\"http://b/\"}]}"));

	cr_assert_eq(snapshot_backend(first, 1)->slot,
	             snapshot_backend(second, 1)->slot);
	cr_assert_neq(snapshot_backend(first, 0)->slot,
	              snapshot_backend(second, 0)->slot);
	snapshot_unref(first);
	snapshot_unref(second);
}

Test(compose, every_scope_that_is_named_gets_a_bit)
{
	struct snapshot *s = composed(
		parse("{\"auth\":{\"required_scopes\":[\"m\"],"
	              "\"tool_scopes\":{\"x_*\":[\"z\",\"m\"]},"
	              "\"static_tokens\":{\"token-0123456789abcdef\":"
	              "{\"client_id\":\"me\",\"scopes\":[\"a\",\"z\"]}}},"
	              "\"backends\":[{\"name\":\"x\"," HTTP
	              "\"url\":\"http://a/\",\"required_scopes\":[\"b\"]}]}"));
	const struct token_row *t = snapshot_array(s, s->head->tokens);
	const struct scope_rule *r = snapshot_array(s, s->head->scope_rules);
	uint8_t hash[CRYPTO_HASH_LEN];

	/* a, b, m, z */
	cr_assert_eq(s->head->scopes.len, 4);
	cr_assert_eq(snapshot_scope(s, SPAN("a")), 0);
	cr_assert_eq(snapshot_scope(s, SPAN("z")), 3);
	cr_assert_eq(s->head->required.bits[0], 4);
	cr_assert_eq(snapshot_backend(s, 0)->needs.bits[0], 2);
	cr_assert_eq(s->head->tokens.len, 1);
	cr_assert_eq(t->scopes.bits[0], 1 | 8);
	cr_assert(span_is(snapshot_text(s, t->client_id), "me"));
	crypto_sha256(SPAN("token-0123456789abcdef"), hash);
	cr_assert_eq(memcmp(t->hash, hash, sizeof(hash)), 0);
	cr_assert_eq(s->head->scope_rules.len, 1);
	cr_assert(span_is(snapshot_text(s, r->pattern), "x_*"));
	cr_assert_eq(r->needs.bits[0], 4 | 8);
	snapshot_unref(s);
}

Test(compose, too_many_scopes_are_refused)
{
	struct buf text = { .max = 65536 };
	struct publication p;
	char why[COMPOSE_WHY_MAX];

	buf_puts(&text, "{\"auth\":{\"required_scopes\":[\"s0\"");
	for (int i = 1; i <= SCOPES_MAX; i++)
		buf_addf(&text, ",\"s%d\"", i);
	buf_puts(&text, "]}}");
	buf_add(&text, "", 1);
	cr_assert_eq(try_compose(parse(text.bytes), &p, why), -EINVAL);
	cr_assert_not_null(strstr(why, "257 different scopes"), "%s", why);
	buf_free(&text);
}

/* Some things config_parse() cannot make, since it opens no file. */
Test(compose, keys_travel_as_der)
{
	struct config *config = parse("{}");
	struct config_pem pem = { .path = "key.pem" };
	struct buf text = { .max = KEY_PEM_MAX };
	struct key *key, *read;
	const char *why;

	cr_assert_eq(key_generate(KEY_ES256, &key), 0);
	cr_assert_eq(key_to_pem(key, &text), 0);
	pem.pem = buf_span(&text);
	config->jwt_keys = &pem;
	config->n_jwt_keys = 1;
	config->jwt_algorithms = KEY_ALG_BIT(KEY_ES256);

	struct snapshot *s = composed(config);
	const struct key_row *row = snapshot_array(s, s->head->keys);
	cr_assert_eq(s->head->keys.len, 1);
	cr_assert_eq(s->head->jwt_algorithms, KEY_ALG_BIT(KEY_ES256));
	cr_assert_eq(key_from_der(snapshot_text(s, row->der), &read, &why), 0);
	cr_assert_eq(key_type(read), KEY_P256);
	key_free(read);
	key_free(key);
	buf_free(&text);
	snapshot_unref(s);
}

static void bad_key(struct config *c)
{
	static struct config_pem pem = { .path = "bad.pem" };

	pem.pem = SPAN("not a key");
	c->jwt_keys = &pem;
	c->n_jwt_keys = 1;
}

static void half_tls(struct config *c)
{
	c->tls_cert = (struct config_pem){ "cert.pem", SPAN("x") };
}

static void bad_tls(struct config *c)
{
	c->tls_cert = (struct config_pem){ "cert.pem", SPAN("x") };
	c->tls_key = (struct config_pem){ "key.pem", SPAN("y") };
}

static void bad_proxy(struct config *c)
{
	static const char *items[] = { "10.0.0.0/8", "10.1.2.3/8" };

	c->trusted_proxies = (struct config_list){ items, 2 };
}

static void forged_header(struct config *c)
{
	static struct config_header header = { "X-A", "secret\r\nX-B: 2" };
	static struct config_backend backend = {
		.name = "evil",
		.identifier = "evil",
		.enabled = true,
		.transport = CONFIG_STREAMABLE_HTTP,
		.url = "http://a/",
		.host = "a",
		.target = "/",
		.port = 80,
		.headers = &header,
		.n_headers = 1,
	};

	c->backends = &backend;
	c->n_backends = 1;
}

static const struct {
	void (*spoil)(struct config *c);
	const char *why;
} spoilt[] = {
	{ bad_key, "bad.pem" },          { half_tls, "both or neither" },
	{ bad_tls, "cert.pem" },         { bad_proxy, "10.1.2.3/8" },
	{ forged_header, "line break" },
};

Test(compose, what_cannot_be_served_is_refused_with_a_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
		struct config *config = parse("{}");
		struct publication p;
		char why[COMPOSE_WHY_MAX];

		spoilt[i].spoil(config);
		cr_assert_lt(try_compose(config, &p, why), 0);
		cr_assert_not_null(strstr(why, spoilt[i].why), "%s", why);
		cr_assert_null(strstr(why, "secret"));
	}
}

Test(compose, two_publications_are_compared_by_what_the_master_decides)
{
	struct publication a, b, c;
	char why[COMPOSE_WHY_MAX];

	cr_assert_eq(try_compose(parse("{}"), &a, why), 0);
	cr_assert_eq(try_compose(parse("{}"), &b, why), 0);
	cr_assert_eq(try_compose(parse("{\"stateless\":true}"), &c, why), 0);
	cr_assert(publication_same_config(&a, &b));
	cr_assert_not(publication_same_config(&a, &c));
	cr_assert_eq(publication_tools(&a), 3);
	publication_close(&a);
	publication_close(&a);
	publication_close(&b);
	publication_close(&c);
}
