#include "oci/runner.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/scan.h"
#include "oci/exchange.h"
#include "oci/path.h"

#define LIST     "core/Compute/ListInstances"
#define GET      "core/Compute/GetInstance"
#define DELETE   "core/Compute/TerminateInstance"
#define HOME     "identity/Identity/ListRegionSubscriptions"
#define CREATE   "identity/Identity/CreateUser"
#define TENANCY  "ocid1.tenancy.oc1..aaaaaaaatenancy"
#define WATCH_MS 10000
#define SENT_MAX 300
#define PLACES   16
#define RECIPE                                                            \
	"{\"name\":\"t\",\"title\":\"T\",\"parameters\":{"                \
	"\"region\":{\"type\":\"string\"},\"confirm\":{\"type\":"         \
	"\"boolean\"},\"response_format\":{\"type\":\"string\",\"enum\":" \
	"[\"markdown\",\"json\"],\"default\":\"markdown\"}}}"

static struct loop *loop;
static struct signature_channel *signatures;
static struct source keeper;
static int worker_fd;
static struct runner *runner;
static struct cache *cache;
static struct runner_account account;

/* The keeper's place. */
static struct {
	size_t asked;
	int err;
	bool silent;
	const char *region;
} keeping;

/* The cloud's place. */
static struct {
	size_t n, running, most;
	char *urls[SENT_MAX];
	bool silent;
	const char *fails; /* a part of an URL: that one */
	const char *json;
} cloud;

/* How a run ended. */
static struct {
	unsigned times;
	bool is_error;
	const char *error;
	char *text, *structured;
} ended;

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
	cr_expect(q.numbers[ASK_FLAGS] & ASK_IDENTITY_ONLY);
	keeping.asked++;
	if (keeping.silent)
		return;
	answer.id = q.id;
	answer.numbers[ANSWER_ERR] = (uint64_t)-keeping.err;
	answer.texts[ANSWER_SENTENCE] = SPAN("No key is there.");
	answer.texts[ANSWER_TENANCY] = SPAN(TENANCY);
	answer.texts[ANSWER_REGION] = span_str(keeping.region);
	answer.texts[ANSWER_METHOD] = SPAN("config_file");
	cr_assert_eq(exchange_write(&answer, &packet), 0);
	cr_assert_eq(exchange_send(source->fd, buf_span(&packet)), 0);
	buf_free(&packet);
}

static void on_answered(struct timer *t)
{
	cloud.running--;
	runner_ask_done(CONTAINER_OF(t, struct tool_ask, call.timer));
}

static const char subscriptions[] =
	"[{\"regionName\":\"eu-frankfurt-1\",\"isHomeRegion\":false},"
	"{\"regionName\":\"us-phoenix-1\",\"isHomeRegion\":true}]";

static void on_send(struct tool_ask *ask)
{
	struct client_call *c = &ask->call;
	char *url;

	cr_assert_lt(cloud.n, SENT_MAX);
	cr_assert_gt(asprintf(&url, "%.*s", SPAN_ARG(c->url)), 0);
	cloud.urls[cloud.n++] = url;
	cloud.running++;
	cloud.most = MAX(cloud.most, cloud.running);
	c->answer.max = TOOL_BYTES_MAX;
	if (cloud.fails && strstr(url, cloud.fails)) {
		c->end = CLIENT_STATUS;
		c->status = 404;
		strcpy(c->code, "NotFound");
		strcpy(c->message, "It is not there.");
		strcpy(c->request_id, "request-1");
	} else {
		bool home = span_is(operation_id(ask->op), HOME);

		c->end = CLIENT_OK;
		c->status = 200;
		buf_puts(&c->answer, home ? subscriptions : cloud.json);
	}
	if (!cloud.silent)
		loop_timer(loop, &c->timer, 1, on_answered);
}

static void start(void)
{
	static const uint64_t ttls[CACHE_TIERS] = { 60000, 60000, 60000, 60000,
		                                    0 };
	int pair[2];

	cr_assert_eq(crypto_init(), 0);
	loop = loop_new();
	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	worker_fd = pair[0];
	keeper = (struct source){ .fd = pair[1], .on_ready = on_question };
	cr_assert_eq(loop_add(loop, &keeper, EPOLLIN), 0);
	signatures = signature_channel_new(loop, worker_fd);
	cache = cache_init(calloc(1, cache_bytes(PLACES) + 64), PLACES, ttls);
	runner = runner_new(&(struct runner_config){ .loop = loop,
	                                             .signatures = signatures,
	                                             .cache = cache,
	                                             .send = on_send });
	cr_assert(signatures && cache && runner);
	memset(&keeping, 0, sizeof(keeping));
	memset(&cloud, 0, sizeof(cloud));
	memset(&ended, 0, sizeof(ended));
	keeping.region = "eu-frankfurt-1";
	cloud.json = "{\"id\":\"x\"}";
	account = (struct runner_account){ .client = { .credential = 1 },
		                           .allow_mutations = true };
}

static void forget_end(void)
{
	free(ended.text);
	free(ended.structured);
	memset(&ended, 0, sizeof(ended));
}

static void stop(void)
{
	forget_end();
	for (size_t i = 0; i < cloud.n; i++)
		free(cloud.urls[i]);
	runner_free(runner);
	signature_channel_free(signatures);
	loop_close(loop, &keeper);
	close(worker_fd);
	loop_free(loop);
	free(cache);
}

TestSuite(runner, .init = start, .fini = stop, .timeout = 60);

static char *copy(struct span text)
{
	char *out = malloc(text.len + 1);

	memcpy(out, text.len ? text.at : "", text.len);
	out[text.len] = '\0';
	return out;
}

static void on_done(struct tool_run *run, const struct runner_result *result)
{
	struct scan_error why;

	cr_expect_eq(runner_owner(run), &ended);
	forget_end();
	ended.times = 1;
	ended.is_error = result->is_error;
	ended.error = result->error;
	ended.text = copy(result->text);
	ended.structured = copy(result->structured);
	cr_expect_eq(scan_document(result->structured, NULL, 0, NULL, &why),
	             SCAN_OK, "%s", ended.structured);
	loop_stop(loop);
}

/* A run of a function with arguments. */
static struct tool_run *begin(const struct tool_function *function,
                              const char *arguments)
{
	struct runner_input input = {
		.account = &account,
		.recipe = SPAN(RECIPE),
		.arguments = span_str(arguments),
		.may_write = true,
		.on_done = on_done,
		.owner = &ended,
	};
	struct tool_run *run = runner_start(runner, &input);

	cr_assert_not_null(run);
	run->function = function;
	free(run->state);
	run->state = calloc(1, function->state_bytes + 1);
	return run;
}

static void on_stop(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void turn(uint64_t ms)
{
	struct timer t = { 0 };

	loop_timer(loop, &t, ms, on_stop);
	cr_assert_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &t);
}

static void go(const struct tool_function *function, const char *arguments)
{
	forget_end();
	begin(function, arguments);
	turn(WATCH_MS);
	cr_assert_eq(ended.times, 1, "it does not end");
	cr_expect_eq(runner_running(runner), 0);
}

/* --- some tools ----------------------------------------------------------- */

static enum tool_next write_done(struct tool_run *run)
{
	buf_puts(tool_out(run), "{\"done\":true,\"tenancy\":\"" TENANCY "\"}");
	return TOOL_DONE;
}

/* As many requests as there are asked for, in one phase. */
static size_t wanted;

static enum tool_next many(struct tool_run *run)
{
	if (tool_phase(run) > 0)
		return write_done(run);
	for (size_t i = 0; i < wanted; i++) {
		struct tool_ask *ask = tool_ask(run, GET);
		char id[24];

		snprintf(id, sizeof(id), "i%zu-%d", i, rand());
		tool_ask_path(ask, "instanceId", span_str(id));
	}
	return TOOL_WAIT;
}

static const struct tool_function many_function = { "many", many, 0, false };

/* One that can be kept. */
static const char *header;

static enum tool_next one(struct tool_run *run)
{
	struct tool_ask *ask;

	if (tool_phase(run) > 0)
		return write_done(run);
	ask = tool_ask(run, GET);
	tool_ask_path(ask, "instanceId", SPAN("i"));
	if (header)
		tool_ask_header(ask, "x-header", span_str(header));
	return TOOL_WAIT;
}

static const struct tool_function one_function = { "one", one, 0, false };

static enum tool_next terminate(struct tool_run *run)
{
	struct tool_ask *ask;

	if (tool_phase(run) > 0)
		return write_done(run);
	ask = tool_ask(run, DELETE);
	tool_ask_path(ask, "instanceId", SPAN("i"));
	return TOOL_WAIT;
}

static const struct tool_function terminate_function = { "terminate", terminate,
	                                                 0, false };

static unsigned phases;
static uint64_t sleep_ms;

/* Four phases: a request, a sleep, both, neither. */
static enum tool_next phased(struct tool_run *run)
{
	cr_expect_eq(tool_phase(run), phases);
	switch (phases++) {
	case 0:
		tool_ask_path(tool_ask(run, GET), "instanceId", SPAN("a"));
		return TOOL_WAIT;
	case 1:
		tool_sleep(run, sleep_ms);
		return TOOL_WAIT;
	case 2:
		tool_ask_path(tool_ask(run, GET), "instanceId", SPAN("b"));
		tool_sleep(run, sleep_ms);
		return TOOL_WAIT;
	case 3:
		return TOOL_WAIT;
	default:
		return write_done(run);
	}
}

static const struct tool_function phased_function = { "phased", phased, 0,
	                                              false };

static enum tool_next offline(struct tool_run *run)
{
	cr_expect_eq(runner_no_identity(run).len > 0, keeping.err != 0);
	return write_done(run);
}

static const struct tool_function offline_function = { "offline", offline, 0,
	                                               true };

static enum tool_next in_home(struct tool_run *run)
{
	struct tool_ask *ask;

	if (tool_phase(run) > 0)
		return write_done(run);
	for (int i = 0; i < 2; i++) {
		ask = tool_ask(run, CREATE);
		buf_puts(tool_ask_body(ask), "{}");
		tool_ask_home(ask);
	}
	return TOOL_WAIT;
}

static const struct tool_function home_function = { "home", in_home, 0, false };

/* --- identity and region -------------------------------------------------- */

Test(runner, the_identity_is_kept)
{
	wanted = 1;
	for (int i = 0; i < 3; i++) {
		go(&many_function, "{}");
		cr_expect_not(ended.is_error, "%s", ended.text);
	}
	cr_expect_eq(keeping.asked, 1);
	account.client.credential = 2;
	go(&many_function, "{}");
	cr_expect_eq(keeping.asked, 2);
	cr_expect(strstr(cloud.urls[0],
	                 "https://iaas.eu-frankfurt-1.oraclecloud.com/"),
	          "%s", cloud.urls[0]);
}

/* More credentials than are kept. */
Test(runner, identities_push_each_other_out)
{
	wanted = 1;
	for (uint64_t i = 1; i <= RUNNER_IDENTITIES + 3; i++) {
		account.client.credential = i;
		go(&many_function, "{}");
		cr_expect_not(ended.is_error);
	}
	cr_expect_eq(keeping.asked, RUNNER_IDENTITIES + 3);
}

Test(runner, without_an_identity)
{
	static const struct {
		int err;
		const char *error;
	} rows[] = {
		{ -ENOENT, "authentication" },
		{ -EINVAL, "authentication" },
		{ -ETIMEDOUT, "timeout" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		keeping.err = rows[i].err;
		go(&many_function, "{}");
		cr_expect(ended.is_error);
		cr_expect_str_eq(ended.error, rows[i].error);
		cr_expect(strstr(ended.structured, "No key is there."));
		go(&offline_function, "{}");
		cr_expect_not(ended.is_error);
	}
	cr_expect_eq(cloud.n, 0);
	/* It is asked for again, not kept. */
	keeping.err = 0;
	go(&many_function, "{}");
	cr_expect_not(ended.is_error);
	go(&offline_function, "{}");
}

Test(runner, regions)
{
	static const struct {
		const char *arguments, *host, *error;
	} rows[] = {
		{ "{}", "https://iaas.eu-frankfurt-1.", NULL },
		{ "{\"region\":\"us-phoenix-1\"}", "https://iaas.us-phoenix-1.",
		  NULL },
		{ "{\"region\":\"PHX\"}", "https://iaas.us-phoenix-1.", NULL },
		{ "{\"region\":\"us-phenix-1\"}", NULL, "us-phoenix-1" },
		{ "{\"region\":\"evil.example\"}", NULL, "region" },
		{ "{\"region\":\"a/b\"}", NULL, "region" },
	};

	wanted = 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t before = cloud.n;

		go(&many_function, rows[i].arguments);
		cr_expect_eq(ended.is_error, rows[i].error != NULL, "%zu", i);
		cr_expect_eq(cloud.n - before, rows[i].error ? 0 : 1);
		if (rows[i].error) {
			cr_expect_str_eq(ended.error, "validation");
			cr_expect(strstr(ended.structured, rows[i].error), "%s",
			          ended.structured);
		} else {
			cr_expect(strstr(cloud.urls[before], rows[i].host),
			          "%s", cloud.urls[before]);
		}
	}
}

Test(runner, one_endpoint_for_all)
{
	wanted = 1;
	account.endpoint = SPAN("http://127.0.0.1:1");
	go(&many_function, "{}");
	cr_expect_eq(strncmp(cloud.urls[0], "http://127.0.0.1:1/20160918/", 28),
	             0, "%s", cloud.urls[0]);
	/* Where the home region is makes no difference then. */
	go(&home_function, "{}");
	cr_expect_eq(cloud.n, 3);
}

Test(runner, the_home_region_is_asked_for_once)
{
	for (int i = 0; i < 2; i++) {
		go(&home_function, "{}");
		cr_expect_not(ended.is_error, "%s", ended.text);
	}
	cr_assert_eq(cloud.n, 5);
	cr_expect(strstr(cloud.urls[0], "identity.eu-frankfurt-1."));
	cr_expect(strstr(cloud.urls[0], "regionSubscriptions"));
	for (size_t i = 1; i < 5; i++)
		cr_expect(strstr(cloud.urls[i], "identity.us-phoenix-1."), "%s",
		          cloud.urls[i]);
}

Test(runner, the_home_region_cannot_be_asked_for)
{
	/* Who may not ask for it is sent to the region at hand. */
	cloud.fails = "regionSubscriptions";
	go(&home_function, "{}");
	cr_expect_not(ended.is_error, "%s", ended.text);
	cr_expect(strstr(cloud.urls[1], "identity.eu-frankfurt-1."));
	/* Not even that: the request cannot be built. */
	account.region = SPAN("no region at all");
	go(&home_function, "{}");
	cr_expect(ended.is_error);
	cr_expect_str_eq(ended.error, "validation");
	account.client.credential = 9;
	go(&home_function, "{}");
	cr_expect(ended.is_error);
}

/* --- arguments ------------------------------------------------------------ */

Test(runner, arguments_are_checked_first)
{
	go(&many_function, "{\"what\":1}");
	cr_expect(ended.is_error);
	cr_expect_str_eq(ended.error, "validation");
	cr_expect_eq(keeping.asked, 0);
	go(&many_function, "[]");
	cr_expect(ended.is_error);
}

/* --- requests ------------------------------------------------------------- */

Test(runner, so_many_at_a_time)
{
	wanted = 40;
	go(&many_function, "{}");
	cr_expect_not(ended.is_error);
	cr_expect_eq(cloud.n, 40);
	cr_expect_eq(cloud.most, RUNNER_PARALLEL_MAX);
}

Test(runner, more_than_one_run_may_ask)
{
	wanted = TOOL_ASKS_MAX;
	go(&many_function, "{}");
	cr_expect_not(ended.is_error);
	cr_expect_eq(cloud.n, TOOL_ASKS_MAX);
	wanted = TOOL_ASKS_MAX + 10;
	go(&many_function, "{}");
	cr_expect(ended.is_error);
	cr_expect_str_eq(ended.error, "validation");
	cr_expect_eq(cloud.n, TOOL_ASKS_MAX, "none of them was sent");
}

Test(runner, one_of_many_fails)
{
	wanted = 30;
	cloud.fails = "/i3-";
	go(&many_function, "{}");
	cr_expect(ended.is_error);
	cr_expect_str_eq(ended.error, "not_found");
	cr_expect(strstr(ended.structured, "request-1"));
	cr_expect(strstr(ended.structured, "It is not there."));
	cr_expect(strstr(ended.text, "request-1"));
	cr_expect_lt(cloud.n, 30, "the rest is not sent");
	cr_expect_eq(cloud.running, 0);
}

Test(runner, phases_and_sleep)
{
	uint64_t before;

	phases = 0;
	sleep_ms = 60;
	turn(1);
	before = loop_now_ms(loop);
	go(&phased_function, "{}");
	cr_expect_not(ended.is_error);
	cr_expect_eq(phases, 5);
	cr_expect_eq(cloud.n, 2);
	cr_expect_geq(loop_now_ms(loop) - before, 120);
}

/* --- kept answers --------------------------------------------------------- */

Test(runner, answers_are_kept_until_something_changes)
{
	static const struct {
		const struct tool_function *function;
		const char *header, *fails;
		uint64_t credential;
		size_t sent; /* so far */
	} rows[] = {
		{ &one_function, NULL, NULL, 1, 1 },
		{ &one_function, NULL, NULL, 1, 1 },
		{ &one_function, NULL, NULL, 2, 2 }, /* of somebody else */
		{ &one_function, "a", NULL, 1, 3 },
		{ &one_function, "b", NULL, 1, 4 },
		{ &one_function, "a", NULL, 1, 4 },
		{ &terminate_function, NULL, NULL, 1, 5 },
		{ &one_function, NULL, NULL, 1, 6 },
		{ &one_function, NULL, NULL, 1, 6 },
		{ &one_function, NULL, NULL, 2, 6 },
		/* It may have been carried out all the same. */
		{ &terminate_function, NULL, "/i", 1, 7 },
		{ &one_function, NULL, NULL, 1, 8 },
		/* What failed is not kept. */
		{ &one_function, "c", "/i", 1, 9 },
		{ &one_function, "c", NULL, 1, 10 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		header = rows[i].header;
		cloud.fails = rows[i].fails;
		account.client.credential = rows[i].credential;
		go(rows[i].function, "{}");
		cr_expect_eq(ended.is_error, rows[i].fails != NULL);
		cr_expect_eq(cloud.n, rows[i].sent, "%zu: %zu", i, cloud.n);
	}
	header = NULL;
}

/* --- results -------------------------------------------------------------- */

static size_t result_bytes;

/* An object of so many bytes, most of them brackets that indent badly. */
static enum tool_next large(struct tool_run *run)
{
	struct buf *out = tool_out(run);

	buf_puts(out, "{\"a\":[0");
	while (out->len + 30 < result_bytes && buf_err(out) == 0)
		buf_puts(out, ",[[[[[[[[[[1]]]]]]]]]]");
	buf_puts(out, "]}");
	return TOOL_DONE;
}

static const struct tool_function large_function = { "large", large, 0, true };

Test(runner, large_results)
{
	static const char *const formats[] = {
		"{\"response_format\":\"json\"}",
		"{\"response_format\":\"markdown\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		result_bytes = TOOL_RESULT_MAX;
		go(&large_function, formats[i]);
		cr_expect_not(ended.is_error);
		cr_expect_gt(strlen(ended.text), 100);
		cr_expect_gt(strlen(ended.structured), TOOL_RESULT_MAX - 100);
		result_bytes = TOOL_RESULT_MAX + 100;
		go(&large_function, formats[i]);
		cr_expect(ended.is_error);
		cr_expect_str_eq(ended.error, "validation");
		cr_expect(strstr(ended.text, "1048576 bytes"), "%s",
		          ended.text);
	}
	/* Indented it does not fit: then as it is. */
	result_bytes = TOOL_RESULT_MAX;
	go(&large_function, formats[0]);
	cr_expect_str_eq(ended.text, ended.structured);
}

Test(runner, texts)
{
	wanted = 1;
	go(&many_function, "{\"response_format\":\"json\"}");
	cr_expect_eq(ended.text[0], '{');
	cr_expect(strstr(ended.text, "\n  \"done\": true"), "%s", ended.text);
	go(&many_function, "{}");
	cr_expect_neq(ended.text[0], '{');
	cloud.fails = "/i0";
	go(&many_function, "{}");
	cr_expect(strstr(ended.text, "**Category:** not_found"));
	cr_expect(strstr(ended.text, "**Suggestion:**"));
	go(&many_function, "{\"response_format\":\"json\"}");
	cr_expect_eq(ended.text[0], '{');
	cr_expect(strstr(ended.structured, "\"success\":false"));
}

Test(runner, identifiers_are_masked)
{
	static const char *const formats[] = {
		"{\"response_format\":\"json\"}",
		"{\"response_format\":\"markdown\"}",
	};

	wanted = 1;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		account.mask = false;
		go(&many_function, formats[i]);
		cr_expect(strstr(ended.text, TENANCY));
		cr_expect(strstr(ended.structured, TENANCY));
		account.mask = true;
		go(&many_function, formats[i]);
		cr_expect_not(strstr(ended.text, TENANCY));
		cr_expect_not(strstr(ended.structured, TENANCY));
		cr_expect(strstr(ended.structured, "ocid1.tenancy.oc1.."));
		cr_expect(strstr(ended.structured, "****"));
	}
}

/* --- cancelling ----------------------------------------------------------- */

/* As soon as the count is there. */
static void cancel_at(const struct tool_function *function, const size_t *count,
                      size_t there)
{
	struct tool_run *run = begin(function, "{}");

	for (int i = 0; *count < there && i < WATCH_MS / 10; i++)
		turn(10);
	cr_assert_eq(ended.times, 0);
	cr_expect_eq(runner_running(runner), 1);
	runner_cancel(run);
	cr_expect_eq(runner_running(runner), 0);
	turn(30);
	cr_expect_eq(ended.times, 0);
}

Test(runner, cancelled_before_it_begins)
{
	cancel_at(&many_function, &keeping.asked, 0);
	cr_expect_eq(keeping.asked, 0);
}

Test(runner, cancelled_while_its_identity_is_asked_for)
{
	keeping.silent = true;
	cancel_at(&many_function, &keeping.asked, 1);
	cr_expect_eq(keeping.asked, 1);
}

Test(runner, cancelled_while_requests_run)
{
	wanted = 20;
	cloud.silent = true;
	cancel_at(&many_function, &cloud.n, RUNNER_PARALLEL_MAX);
	cr_expect_eq(cloud.n, RUNNER_PARALLEL_MAX);
}

Test(runner, cancelled_while_it_sleeps)
{
	phases = 1;
	sleep_ms = 60000;
	keeping.silent = false;
	/* From its second phase on. */
	struct tool_run *run = begin(&phased_function, "{}");

	run->phase = 1;
	turn(20);
	cr_expect_eq(phases, 2);
	runner_cancel(run);
	turn(20);
	cr_expect_eq(ended.times, 0);
}

/* Wherever it is on its way to an answer that is known already. */
Test(runner, cancelled_with_a_kept_answer)
{
	go(&one_function, "{}");
	cr_expect_eq(cloud.n, 1);
	for (int turns = 0; turns < 4; turns++) {
		struct tool_run *run;

		forget_end();
		run = begin(&one_function, "{}");
		for (int i = 0; i < turns && ended.times == 0; i++)
			turn(0);
		if (ended.times)
			break;
		runner_cancel(run);
		turn(5);
		cr_expect_eq(ended.times, 0);
	}
	cr_expect_eq(cloud.n, 1);
}

Test(runner, it_goes_while_runs_run)
{
	static const uint64_t rows[] = { 0, 1, 3, 10 };

	cloud.silent = true;
	wanted = 3;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(&many_function, "{}");
		if (rows[i])
			turn(rows[i]);
	}
	runner_free(runner);
	runner = NULL;
	turn(20);
	cr_expect_eq(ended.times, 0);
}

Test(runner, so_many_runs)
{
	struct runner_input input = { .account = &account,
		                      .recipe = SPAN(RECIPE),
		                      .on_done = on_done };

	for (size_t i = 0; i < RUNNER_RUNS_MAX; i++)
		cr_assert_not_null(runner_start(runner, &input));
	cr_expect_null(runner_start(runner, &input));
	cr_expect_eq(runner_running(runner), RUNNER_RUNS_MAX);
}

/* --- the real client ------------------------------------------------------ */

Test(runner, with_the_client)
{
	struct fetcher *fetcher = fetcher_new(loop);
	struct runner *real = runner_new(&(struct runner_config){
		.loop = loop, .fetcher = fetcher, .signatures = signatures });

	cr_assert_not_null(real);
	runner_free(runner);
	runner = real;
	wanted = 2;
	keeping.region = "eu-frankfurt-1";
	begin(&many_function, "{}");
	keeping.err = -ENOENT;
	turn(100);
	/* The identity was refused before anything else. */
	cr_expect_eq(ended.times, 1);
	runner_free(runner);
	runner = NULL;
	fetcher_free(fetcher);
}
