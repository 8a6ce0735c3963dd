#include "proxy/task.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/crypto.h"
#include "proxy/sealed.h"
#include "tests/unit/fixture_proxy.h"

#define ITEM  "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}},"
#define TASKS "{\"io.modelcontextprotocol/tasks\":{}}"

static const struct fixture_setup setups[] = {
	{ .name = "a",
	  .eras = ERA_MODERN,
	  .flags = BACKEND_NAMESPACE,
	  .needs = 1 + 3,
	  .items = { [VIEW_MODERN] = { ITEM } },
	  .extensions = { [VIEW_MODERN] = TASKS } },
	{ .name = "dead", .items = { [VIEW_MODERN] = { ITEM } } },
};

static struct snapshot *snap;
static const struct caller one = { .id_len = 3,
	                           .id = "one",
	                           .abilities = CLIENT_TASKS };
static const struct caller two = { .id_len = 3,
	                           .id = "two",
	                           .abilities = CLIENT_TASKS };

static void rules(struct builder *b)
{
	struct scope_rule rule = { .pattern = builder_text(b, SPAN("a_*")) };

	scope_set_add(&rule.needs, 5);
	struct ref r = builder_array(b, &rule, 1, sizeof(rule));
	builder_header(b)->scope_rules = r;
}

static void begin(void)
{
	struct settings settings;

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings, rules);
}

static void end(void)
{
	snapshot_unref(snap);
}

TestSuite(task, .init = begin, .fini = end);

static struct buf id = { .max = 4096 };

static struct span public(uint32_t backend, struct span own)
{
	buf_reset(&id);
	cr_assert(task_public(snap, &one, backend, SPAN("a_t"), own, &id));
	return buf_span(&id);
}

Test(task, there_and_back)
{
	static const char *const ids[] = { "t", "\xc3\xa4/\"\\ x", "786435" };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct task task = { .backend = 9 };
		struct span p = public(0, span_str(ids[i]));

		cr_assert(task_own(snap, &one, p, &task));
		cr_expect_eq(task.backend, 0);
		cr_expect(span_is(task_own_id(&task), ids[i]));
		cr_expect(scope_set_has(&task.needs, 3));
		cr_expect(scope_set_has(&task.needs, 5));
		cr_expect_not(task_own(snap, &two, p, &task));
	}
	buf_free(&id);
}

Test(task, every_change_of_an_id_is_noticed)
{
	struct task task;
	struct span p = public(0, SPAN("t"));

	for (size_t i = 0; i < p.len; i++) {
		cr_expect_not(task_own(snap, &one, span_first(p, i), &task));
		id.bytes[i] ^= 1;
		cr_expect_not(task_own(snap, &one, p, &task), "%zu", i);
		id.bytes[i] ^= 1;
	}
	cr_expect(task_own(snap, &one, p, &task));
	buf_free(&id);
}

Test(task, ids_of_no_use)
{
	static char text[TASK_ID_MAX + 1];
	struct task task;

	memset(text, 'x', sizeof(text));
	cr_expect_not(task_public(snap, &one, 0, SPAN(""), SPAN(""), &id));
	cr_expect_not(task_public(snap, &one, 0, SPAN(""),
	                          span_of(text, sizeof(text)), &id));
	cr_assert(task_own(snap, &one, public(0, span_of(text, TASK_ID_MAX)),
	                   &task));
	cr_expect_eq(task.len, TASK_ID_MAX);
	buf_free(&id);
}

static const struct {
	const char *id; /* raw; NULL: absent; "$": a good one */
	uint32_t backend, abilities;
	int status, code; /* code 0: it is found */
} routes[] = {
	{ "$", 0, CLIENT_TASKS, 0, 0 },
	{ "$", 0, 0, 400, RPC_MISSING_CAPABILITY },
	{ "\"x\"", 0, CLIENT_UI, 400, RPC_MISSING_CAPABILITY },
	{ "$", 1, CLIENT_TASKS, 200, RPC_INTERNAL },
	{ "\"x\"", 0, CLIENT_TASKS, 200, RPC_INVALID_PARAMS },
	{ "\"\"", 0, CLIENT_TASKS, 200, RPC_INVALID_PARAMS },
	{ "\"g\\u0077\"", 0, CLIENT_TASKS, 200, RPC_INVALID_PARAMS },
	{ "7", 0, CLIENT_TASKS, 200, RPC_INVALID_PARAMS },
	{ NULL, 0, CLIENT_TASKS, 200, RPC_INVALID_PARAMS },
};

Test(task, routes)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct message msg = {
			.era = VIEW_MODERN,
			.method = &method_table[METHOD_TASK_GET],
			.name = span_str(routes[i].id),
		};
		struct caller caller = one;
		struct scope_set needs;
		struct route route;
		struct problem why = { 0 };
		char raw[4096];
		bool good;

		if (routes[i].id && routes[i].id[0] == '$') {
			struct span p = public(routes[i].backend, SPAN("own"));

			snprintf(raw, sizeof(raw), "\"%.*s\"", SPAN_ARG(p));
			msg.name = span_str(raw);
		}
		caller.abilities = routes[i].abilities;
		good = task_route(snap, &caller, &msg, &route, &needs, &why);
		cr_assert_eq(good, routes[i].code == 0, "%zu", i);
		if (good) {
			cr_expect_eq(route.server, VIEW_MODERN);
			cr_expect_null(route.entry);
			cr_expect(span_is(span_of(route.name, route.name_len),
			                  "own"));
			cr_expect(scope_set_has(&needs, 5));
		} else {
			cr_expect_eq(why.status, routes[i].status, "%zu", i);
			cr_expect_eq(why.code, routes[i].code, "%zu", i);
		}
	}
	buf_free(&id);
}

Test(task, what_must_be_declared)
{
	struct problem why;

	task_undeclared(&why);
	cr_expect_str_eq(why.data, "{\"requiredCapabilities\":{\"extensions\":"
	                           "{\"io.modelcontextprotocol/tasks\":{}}}}");
}
