#include "worker/pages.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/scan.h"
#include "lib/value.h"
#include "lib/version.h"
#include "shm/builder.h"

#define BACKENDS 3

static struct board *board;
static struct snapshot *snap;
static struct buf body;
static struct page_input in;

/* What differs from test to test. */
static struct setup {
	size_t n_backends;
	const char *public_url, *path, *version;
	const char *servers[2];
	const char *scopes[3]; /* sorted */
	const char *required[2];
	bool no_metrics;
} setup;

static struct ref texts(struct builder *b, const char *const *from, size_t max)
{
	struct ref refs[8];
	size_t n = 0;

	while (n < max && from[n]) {
		refs[n] = builder_text(b, span_str(from[n]));
		n++;
	}
	return builder_array(b, refs, n, sizeof(refs[0]));
}

static void add_required(struct header *head)
{
	for (size_t i = 0; i < ARRAY_LEN(setup.required); i++)
		for (unsigned k = 0; k < ARRAY_LEN(setup.scopes); k++)
			if (setup.required[i] && setup.scopes[k] &&
			    strcmp(setup.required[i], setup.scopes[k]) == 0)
				scope_set_add(&head->required, k);
}

static void add_config(struct builder *b)
{
	static const char *const names[BACKENDS] = { "one", "two\"\\", "x" };
	struct settings settings = { .enable_metrics = !setup.no_metrics };
	struct backend backends[BACKENDS] = { 0 };
	struct header head;

	for (uint32_t i = 0; i < setup.n_backends; i++) {
		backends[i].name = builder_text(b, span_str(names[i]));
		backends[i].slot = 7 * i + 3;
		backends[i].port = 80;
	}
	head = *builder_header(b);
	head.config_generation = 2;
	head.settings = builder_array(b, &settings, 1, sizeof(settings));
	head.name = builder_text(b, SPAN("gate"));
	head.program_version = builder_text(b, span_str(setup.version));
	head.path = builder_text(b, span_str(setup.path ? setup.path : "/mcp"));
	head.public_url = builder_text(b, span_str(setup.public_url));
	head.authorization_servers = texts(b, setup.servers, 2);
	head.scopes = texts(b, setup.scopes, 3);
	head.backends = builder_array(b, backends, setup.n_backends,
	                              sizeof(backends[0]));
	add_required(&head);
	*builder_header(b) = head;
	builder_end_config(b);
}

static void build(void)
{
	struct view views[VIEWS];
	struct builder b;

	memset(views, 0, sizeof(views));
	builder_init(&b);
	add_config(&b);
	struct ref origins = builder_array(&b, NULL, setup.n_backends,
	                                   sizeof(struct origin));
	struct ref both = builder_array(&b, views, VIEWS, sizeof(*views));
	builder_header(&b)->origins = origins;
	builder_header(&b)->views = both;
	snapshot_unref(snap);
	snap = NULL;
	cr_assert_eq(snapshot_open(builder_freeze(&b), &snap), 0);
	in = (struct page_input){ .snap = snap,
		                  .board = board,
		                  .host = SPAN("h.example:9000") };
}

static void begin(void)
{
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	close(fd);
	body = (struct buf){ .max = 64 << 20 };
	board->discovered_generation = 2;
}

static void end(void)
{
	snapshot_unref(snap);
	buf_free(&body);
}

TestSuite(pages, .init = begin, .fini = end);

static int get(enum page page)
{
	struct scan_error why;

	buf_reset(&body);
	int status = page_write(page, &in, &body);
	if (strcmp(page_type(page), "application/json") == 0)
		cr_assert_eq(
			scan_document(buf_span(&body), NULL, 0, NULL, &why),
			SCAN_OK, "%s: %.*s", why.text,
			SPAN_ARG(buf_span(&body)));
	return status;
}

static struct span member(const char *key)
{
	return value_get(buf_span(&body), span_str(key));
}

#define HAS(key, json)                                                   \
	cr_expect(span_is(member(key), json), "%s is %.*s, not %s", key, \
	          SPAN_ARG(member(key)), json)

Test(pages, paths)
{
	static const struct {
		const char *path, *mcp_path;
		int page; /* -1: none */
	} rows[] = {
		{ "/health", "/mcp", PAGE_HEALTH },
		{ "/healthz", "/mcp", PAGE_HEALTH },
		{ "/ready", "/mcp", PAGE_READY },
		{ "/readyz", "/mcp", PAGE_READY },
		{ "/metrics", "/mcp", PAGE_METRICS },
		{ "/.well-known/oauth-protected-resource", "/mcp",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/mcp", "/mcp",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/a/b", "/a/b",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/", "/",
		  PAGE_RESOURCE_METADATA },
		{ "/.well-known/oauth-protected-resource/", "/mcp", -1 },
		{ "/.well-known/oauth-protected-resource/mcp/", "/mcp", -1 },
		{ "/.well-known/oauth-protected-resource/mc", "/mcp", -1 },
		{ "/.well-known/oauth-authorization-server", "/mcp", -1 },
		{ "", "/mcp", -1 },
		{ "/", "/mcp", -1 },
		{ "/mcp", "/mcp", -1 },
		{ "/Health", "/mcp", -1 },
		{ "/health/", "/mcp", -1 },
		{ "/healthz2", "/mcp", -1 },
		{ "/metrics?x", "/mcp", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum page page = PAGES;
		bool found = page_find(span_str(rows[i].path),
		                       span_str(rows[i].mcp_path), &page);

		cr_expect_eq(found, rows[i].page >= 0, "%s", rows[i].path);
		if (found)
			cr_expect_eq((int)page, rows[i].page, "%s",
			             rows[i].path);
	}
}

Test(pages, types)
{
	cr_expect_str_eq(page_type(PAGE_HEALTH), "application/json");
	cr_expect_str_eq(page_type(PAGE_READY), "application/json");
	cr_expect_str_eq(page_type(PAGE_RESOURCE_METADATA), "application/json");
	cr_expect_str_eq(page_type(PAGE_METRICS),
	                 "text/plain; version=0.0.4; charset=utf-8");
}

Test(pages, health_is_ok_whatever_happens)
{
	setup.version = "2.1";
	build();
	board->started_ms = clock_mono_ms() - 5500;
	board->draining = 1;
	board->discovered_generation = 0;
	cr_expect_eq(get(PAGE_HEALTH), 200);
	HAS("status", "\"ok\"");
	HAS("uptime_seconds", "5");
	HAS("version", "\"2.1\"");

	setup.version = NULL;
	build();
	cr_expect_eq(get(PAGE_HEALTH), 200);
	HAS("version", "\"" VERSION "\"");
}

Test(pages, readiness)
{
	static const struct {
		size_t n;
		enum health health[BACKENDS];
		uint64_t discovered;
		uint32_t draining;
		const char *reason; /* NULL: ready */
	} rows[] = {
		{ 0, { 0 }, 2, 0, NULL },
		{ 0, { 0 }, 0, 0, "\"registry_not_initialized\"" },
		{ 1, { HEALTH_HEALTHY }, 2, 0, NULL },
		{ 1, { HEALTH_HEALTHY }, 3, 0, NULL },
		{ 1, { HEALTH_DEGRADED }, 2, 0, NULL },
		{ 1, { HEALTH_HEALTHY }, 2, 1, "\"draining\"" },
		{ 1, { HEALTH_HEALTHY }, 1, 1, "\"draining\"" },
		{ 1, { HEALTH_HEALTHY }, 1, 0, NULL },
		{ 1, { HEALTH_UNHEALTHY }, 2, 0, "\"no_healthy_backends\"" },
		{ 1, { HEALTH_PENDING }, 2, 0, "\"no_healthy_backends\"" },
		{ 2,
		  { HEALTH_DISCONNECTED, HEALTH_CONNECTING },
		  2,
		  0,
		  "\"no_healthy_backends\"" },
		{ 2, { HEALTH_UNHEALTHY, HEALTH_DEGRADED }, 2, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *reason = rows[i].reason;

		setup.n_backends = rows[i].n;
		build();
		for (size_t k = 0; k < BACKENDS; k++)
			board->backends[7 * k + 3].health = rows[i].health[k];
		board->discovered_generation = rows[i].discovered;
		board->draining = rows[i].draining;
		cr_expect_eq(get(PAGE_READY), reason ? 503 : 200, "%zu", i);
		HAS("status", reason ? "\"not_ready\"" : "\"ready\"");
		cr_expect(span_is(member("reason"), reason ? reason : ""));
	}
	HAS("total", "2");
	HAS("healthy", "0");
	HAS("degraded", "1");
	HAS("backends", "{\"one\":\"unhealthy\",\"two\\\"\\\\\":\"degraded\"}");
}

Test(pages, metadata_of_the_resource)
{
	setup.servers[0] = "https://id.example/a";
	setup.servers[1] = "https://id.example/b";
	build();
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"http://h.example:9000/mcp\"");
	HAS("authorization_servers",
	    "[\"https://id.example/a\",\"https://id.example/b\"]");
	HAS("bearer_methods_supported", "[\"header\"]");
	HAS("resource_name", "\"gate\"");
	cr_expect_not(member("scopes_supported").at);

	in.secure = true;
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"https://h.example:9000/mcp\"");

	setup.scopes[0] = "call:tools";
	setup.scopes[1] = "read:tools";
	setup.scopes[2] = "write:tools";
	setup.required[0] = "read:tools";
	setup.required[1] = "call:tools";
	setup.public_url = "https://public.example/p/mcp";
	build();
	in.host = SPAN("evil.example");
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 200);
	HAS("resource", "\"https://public.example/p/mcp\"");
	HAS("scopes_supported", "[\"call:tools\",\"read:tools\"]");
}

Test(pages, metadata_that_nobody_configured)
{
	build();
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 404);
	HAS("error", "\"not_found\"");
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "auth.authorization_servers"));

	setup.servers[0] = "https://id.example/";
	build();
	in.host = SPAN("");
	cr_expect_eq(get(PAGE_RESOURCE_METADATA), 404);
	HAS("error", "\"not_found\"");
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "public_url"));
}

Test(pages, metrics_can_be_switched_off)
{
	setup.no_metrics = true;
	build();
	cr_expect_eq(get(PAGE_METRICS), 404);
	buf_putc(&body, '\0');
	cr_expect(strstr(body.bytes, "enable_metrics"));
}

Test(pages, a_page_without_room_has_no_body)
{
	setup.n_backends = BACKENDS;
	setup.servers[0] = "https://id.example/";
	build();
	board->backends[3].health = HEALTH_HEALTHY;
	for (enum page page = 0; page < PAGES; page++) {
		cr_assert_eq(get(page), 200);

		size_t step = MAX(body.len / 97, (size_t)1);
		for (size_t max = 0; max < body.len; max += step) {
			struct buf small = { .max = max };

			cr_assert_eq(page_write(page, &in, &small), 500);
			cr_assert_eq(small.len, 0);
			cr_assert_eq(buf_err(&small), 0);
			buf_free(&small);
		}
	}
}
