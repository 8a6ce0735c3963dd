#include "proxy/builtin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "oci/exchange.h"
#include "oci/functions.h"
#include "oci/pack.h"
#include "oci/path.h"
#include "oci/stock.h"
#include "proxy/manifest.h"
#include "tests/unit/fixture_proxy.h"

#define TENANCY "ocid1.tenancy.oc1..aaaaaaaatenancy"
#define COST    "oci_cost_monthly_trend" /* one that says how far it is */

static struct loop *loop;
static struct fixture_server *server;
static struct snapshot *snap;
static struct builtin *builtin;
static struct source keeper;
static struct fixture_client client;
static struct builtin_call *call;
static int pair[2];
static bool silent;
static unsigned asked;

static void on_question(struct source *source, uint32_t events)
{
	char room[EXCHANGE_MAX];
	struct buf packet = { .max = EXCHANGE_MAX };
	struct exchange_message q, answer = { .kind = EXCHANGE_ANSWER };
	int n = exchange_receive(source->fd, room);

	(void)events;
	if (n <= 0)
		return;
	cr_assert(exchange_read(span_of(room, (size_t)n), EXCHANGE_ASK, &q));
	asked++;
	answer.id = q.id;
	answer.texts[ANSWER_TENANCY] = SPAN(TENANCY);
	answer.texts[ANSWER_REGION] = SPAN("us-phoenix-1");
	answer.texts[ANSWER_METHOD] = SPAN("config_file");
	answer.texts[ANSWER_LINES] = SPAN("authorization: signed\r\n");
	cr_assert_eq(exchange_write(&answer, &packet), 0);
	if (!silent)
		cr_assert_eq(exchange_send(source->fd, buf_span(&packet)), 0);
	buf_free(&packet);
}

static bool has_function(struct span name)
{
	return functions_by_name(name) != NULL;
}

/* The tools of the stock packs, as the master would write them down. */
static void add_recipes(struct builder *b)
{
	struct pack_rules rules = { .has_function = has_function };
	struct packs packs = { 0 };
	struct recipe_row *rows;
	struct backend *backend;
	struct ref all;
	char url[64];

	cr_assert_eq(pack_load_all(&packs, stock_packs(), &rules), 0);
	rows = calloc(packs.n_tools, sizeof(*rows));
	for (size_t i = 0; i < packs.n_tools; i++) {
		rows[i].name = builder_text(b, span_str(packs.tools[i].name));
		rows[i].recipe = builder_text(b, packs.tools[i].recipe);
	}
	all = builder_array(b, rows, packs.n_tools, sizeof(*rows));
	backend = builder_at(b, builder_header(b)->backends);
	backend->recipes = all;
	backend->oci_credential = 1;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u",
	         fixture_server_port(server));
	all = builder_text(b, span_str(url));
	builder_header(b)->oci_endpoint = all;
	free(rows);
	pack_fini(&packs);
}

static void connect_keeper(void)
{
	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	keeper = (struct source){ .fd = pair[1], .on_ready = on_question };
	cr_assert_eq(loop_add(loop, &keeper, EPOLLIN), 0);
	builtin_connect(builtin, pair[0]);
	fixture_pause(loop, 1); /* the loop's clock is of its last turn */
}

static void start(void)
{
	static const struct fixture_setup setup = { .name = "oci",
		                                    .flags = BACKEND_OCI };
	struct settings settings;

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	loop = loop_new();
	server = fixture_server_new(loop);
	snap = fixture_snapshot(&setup, 1, &settings, add_recipes);
	builtin = builtin_new(loop, NULL);
	cr_assert(loop && server && snap && builtin);
	keeper.fd = -1;
	asked = 0;
	silent = false;
	call = NULL;
	fixture_client_init(&client, true, true);
}

static void stop(void)
{
	builtin_end(call);
	builtin_free(builtin);
	if (keeper.fd >= 0)
		loop_close(loop, &keeper);
	fixture_client_free(&client);
	fixture_server_free(server);
	snapshot_unref(snap);
	loop_free(loop);
}

TestSuite(builtin, .init = start, .fini = stop, .timeout = 60);

static void route_to(struct route *route, const char *name)
{
	*route = (struct route){ .name_len = strlen(name),
		                 .public_len = strlen(name) };
	strcpy(route->name, name);
	strcpy(route->public_name, name);
}

static void begin(enum view_era era, const char *tool, const char *arguments,
                  const char *meta)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	char params[500];

	builtin_end(call);
	call = NULL;
	snprintf(params, sizeof(params), "\"name\":\"%s\",\"arguments\":%s",
	         tool, arguments);
	fixture_ask(era, "7", "tools/call", tool, params, meta, &request, &msg);
	route_to(&route, tool);
	builtin_start(builtin, &client.reply, snap, &msg, &route, true, &call);
	cr_assert_not_null(call);
}

static bool is_done(void *arg)
{
	(void)arg;
	return fixture_client_done(&client);
}

static struct span finish(void)
{
	cr_assert(fixture_run(loop, is_done, NULL));
	cr_expect_null(fixture_client_fault(&client, "7"), "%s",
	               fixture_client_fault(&client, "7"));
	return fixture_client_last(&client);
}

Test(builtin, an_answer_in_one_piece)
{
	static const struct {
		enum view_era era;
		bool events;
	} rows[] = {
		{ VIEW_MODERN, true },
		{ VIEW_MODERN, false },
		{ VIEW_LEGACY, true },
	};

	connect_keeper();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span last;

		fixture_client_free(&client);
		fixture_client_init(&client, true, rows[i].events);
		begin(rows[i].era, "oci_list_domains", "{}", "");
		cr_expect_not(fixture_client_done(&client));
		last = finish();
		cr_expect_eq(client.wholes, 1);
		cr_expect_eq(client.status, 200);
		cr_expect_eq(client.reply.outcome, OUTCOME_SUCCESS);
		cr_expect(span_is(path_get(last, "result.isError"), "false"));
		cr_expect(span_is(path_get(last, "result.content[0].type"),
		                  "\"text\""));
		/* Who says no version is of 2025-03-26, without them. */
		if (rows[i].era == VIEW_LEGACY)
			cr_expect_null(
				path_get(last, "result.structuredContent").at);
		else
			cr_expect_gt(path_get(last, "result.structuredContent."
			                            "domains")
			                     .len,
			             100);
	}
}

Test(builtin, an_error_is_a_result)
{
	struct span last;

	connect_keeper();
	begin(VIEW_MODERN, "oci_list_domains", "{\"what\":1}", "");
	last = finish();
	cr_expect(span_is(path_get(last, "result.isError"), "true"));
	cr_expect_eq(client.reply.outcome, OUTCOME_ERROR);
	cr_expect_str_eq(client.reply.error, "validation");
}

Test(builtin, without_a_keeper)
{
	struct span last;

	begin(VIEW_MODERN, "oci_ping", "{}", "");
	cr_assert(fixture_client_done(&client));
	last = finish();
	cr_expect_gt(path_get(last, "error.message").len, 10);
	cr_expect_eq(client.reply.outcome, OUTCOME_ERROR);
	/* It comes back. */
	connect_keeper();
	fixture_client_free(&client);
	fixture_client_init(&client, true, true);
	begin(VIEW_MODERN, "oci_list_domains", "{}", "");
	finish();
	cr_expect_eq(client.reply.outcome, OUTCOME_SUCCESS);
}

Test(builtin, a_tool_that_is_gone)
{
	connect_keeper();
	begin(VIEW_MODERN, "oci_no_such_tool", "{}", "");
	cr_expect_gt(path_get(finish(), "error.message").len, 10);
}

static const struct fixture_answer not_there = {
	.status = 404,
	.body = "{\"code\":\"NotFound\",\"message\":\"No.\"}",
};

Test(builtin, progress_comes_as_events)
{
	static const struct {
		bool events;
		const char *meta;
		bool streamed;
	} rows[] = {
		{ true, "\"progressToken\":\"t\"", true },
		{ true, "\"progressToken\":5", true },
		{ true, "", false },
		{ false, "\"progressToken\":\"t\"", false },
	};

	connect_keeper();
	fixture_server_play(server, &not_there, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span first, last;

		fixture_client_free(&client);
		fixture_client_init(&client, true, rows[i].events);
		begin(VIEW_MODERN, COST, "{}", rows[i].meta);
		last = finish();
		cr_expect(span_is(path_get(last, "result.isError"), "true"));
		cr_expect_eq(client.begins, rows[i].streamed, "%zu", i);
		cr_expect_eq(client.type,
		             rows[i].streamed ? REPLY_EVENTS : REPLY_JSON);
		if (!rows[i].streamed)
			continue;
		cr_expect_gt(fixture_client_count(&client), 1);
		first = fixture_client_message(&client, 0);
		cr_expect(span_is(path_get(first, "method"),
		                  "\"notifications/progress\""));
		cr_expect(span_is(path_get(first, "params.progress"), "0.10"));
		cr_expect(span_is(path_get(first, "params.total"), "1"));
		cr_expect(span_is(path_get(first, "params.progressToken"),
		                  i ? "5" : "\"t\""));
	}
}

/* A client that reads slowly gets its answer, and no progress. */
Test(builtin, no_progress_for_a_full_client)
{
	connect_keeper();
	fixture_server_play(server, &not_there, 1);
	client.reply.full = true;
	begin(VIEW_MODERN, COST, "{}", "\"progressToken\":1");
	finish();
	cr_expect_eq(client.begins, 0);
}

/* --- the end before the end ----------------------------------------------- */

static void ends_quietly(void)
{
	builtin_end(call);
	call = NULL;
	fixture_pause(loop, 50);
	cr_expect_not(fixture_client_done(&client));
	builtin_end(NULL);
}

Test(builtin, ended_before_it_begins)
{
	connect_keeper();
	begin(VIEW_MODERN, "oci_ping", "{}", "");
	ends_quietly();
	cr_expect_eq(asked, 0);
}

Test(builtin, ended_while_the_keeper_is_asked)
{
	connect_keeper();
	silent = true;
	begin(VIEW_MODERN, "oci_ping", "{}", "");
	fixture_pause(loop, 30);
	cr_expect_eq(asked, 1);
	ends_quietly();
}

Test(builtin, ended_while_the_cloud_is_asked)
{
	static const struct fixture_answer nothing = { .raw = "",
		                                       .then = THEN_SILENT };

	connect_keeper();
	fixture_server_play(server, &nothing, 1);
	begin(VIEW_MODERN, COST, "{}", "\"progressToken\":1");
	fixture_pause(loop, 200);
	cr_expect_eq(client.begins, 1);
	ends_quietly();
}

/* A new keeper: what ran is not answered, but may be ended. */
Test(builtin, another_keeper)
{
	connect_keeper();
	silent = true;
	begin(VIEW_MODERN, "oci_ping", "{}", "");
	fixture_pause(loop, 20);
	ends_quietly();
	loop_close(loop, &keeper);
	fixture_pause(loop, 1);
	silent = false;
	connect_keeper();
	begin(VIEW_MODERN, "oci_list_domains", "{}", "");
	finish();
}

/* --- the manifest --------------------------------------------------------- */

Test(builtin, the_manifest_is_a_resource)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct span last;

	fixture_ask(VIEW_MODERN, "7", "resources/read", MANIFEST_URI,
	            "\"uri\":\"" MANIFEST_URI "\"", "", &request, &msg);
	route_to(&route, MANIFEST_URI);
	builtin_start(builtin, &client.reply, snap, &msg, &route, true, &call);
	last = finish();
	cr_expect(span_is(path_get(last, "result.contents[0].uri"),
	                  "\"" MANIFEST_URI "\""));
	cr_expect_gt(path_get(last, "result.contents[0].text").len, 100);
	cr_expect_eq(client.reply.outcome, OUTCOME_SUCCESS);
}
