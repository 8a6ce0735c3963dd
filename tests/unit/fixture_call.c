#include "tests/unit/fixture_call.h"

#include <criterion/criterion.h>

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define MIRRORED                                                        \
	"{\"name\":\"m\",\"inputSchema\":{\"type\":\"object\","         \
	"\"properties\":{"                                              \
	"\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}," \
	"\"count\":{\"type\":\"integer\",\"x-mcp-header\":\"Count\"},"  \
	"\"dry\":{\"type\":\"boolean\",\"x-mcp-header\":\"Dry-Run\"},"  \
	"\"o\":{\"type\":\"object\",\"properties\":{\"deep\":{"         \
	"\"type\":\"string\",\"x-mcp-header\":\"Deep\"}}}}}},"
#define OFFER                                                               \
	{                                                                   \
		[LIST_TOOLS] = ITEM("t") ITEM("a b/\xe6\x97\xa5") MIRRORED, \
		[LIST_PROMPTS] = "{\"name\":\"p\"},",                       \
		[LIST_RESOURCES] = "{\"uri\":\"x://r\",\"name\":\"r\"},",   \
		[LIST_TEMPLATES] = "{\"uriTemplate\":\"x://h/{id}/end\","   \
				   "\"name\":\"w\"},",                      \
	}

struct fixture_way way = {
	.setups = {
		{ .name = "new",
		  .flags = BACKEND_NAMESPACE,
		  .eras = ERA_MODERN,
		  .items = { [VIEW_MODERN] = OFFER } },
		{ .name = "old",
		  .flags = BACKEND_NAMESPACE,
		  .eras = ERA_LEGACY,
		  .items = { [VIEW_LEGACY] = OFFER },
		  .fields = "X-Key: secret\r\n" },
		{ .name = "flat",
		  .eras = ERA_MODERN | ERA_LEGACY,
		  .items = { [VIEW_MODERN] = { ITEM("plain") },
		             [VIEW_LEGACY] = { ITEM("plain") } } },
		{ .name = "dead",
		  .flags = BACKEND_NAMESPACE,
		  .eras = 0,
		  .items = { [VIEW_LEGACY] = { ITEM("t") } } },
	},
};

void fixture_call_build(void)
{
	snapshot_unref(way.snap);
	way.snap = fixture_snapshot(way.setups, ARRAY_LEN(way.setups),
	                            &way.settings, NULL);
	upstream_adopt(way.proxy.up, way.snap);
}

void fixture_call_begin(void)
{
	fixture_settings(&way.settings);
	way.settings.breaker_failures = 1000;
	fixture_proxy_begin(&way.proxy);
	way.proxy.next_id = 40;
	for (size_t i = 0; i < ARRAY_LEN(way.servers); i++) {
		way.servers[i] = fixture_server_new(way.proxy.loop);
		way.setups[i].port = fixture_server_port(way.servers[i]);
	}
	fixture_server_legacy(way.servers[1], true);
	fixture_call_build();
}

void fixture_call_end(void)
{
	struct buf *bufs[] = { &way.call.body,      &way.call.fields,
		               &way.call.client_id, &way.call.client_token,
		               &way.call.in,        &way.call.out };

	call_cancel(&way.call);
	call_fini(&way.call);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_free(bufs[i]);
	fixture_client_free(&way.client);
	for (size_t i = 0; i < ARRAY_LEN(way.servers); i++)
		fixture_server_free(way.servers[i]);
	fixture_proxy_end(&way.proxy);
	snapshot_unref(way.snap);
}

void fixture_call_start(enum view_era era, const char *method, const char *name,
                        const char *params, const char *meta)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_ask(era, "\"c1\"", method, name, params, meta, &request, &msg);
	cr_assert(route_find(way.snap, &msg, &route, &why), "%s", why.text);
	fixture_client_free(&way.client);
	fixture_client_init(&way.client, true, true);
	way.call.proxy = &way.proxy;
	way.call.reply = &way.client.reply;
	way.call.snap = way.snap;
	call_cancel(&way.call);
	call_fini(&way.call);
	way.proxy.next_id = 40;
	call_start(&way.call, &msg, &request.head, &route);
}
