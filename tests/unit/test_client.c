#include "oci/client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "oci/exchange.h"
#include "oci/sign.h"
#include "tests/unit/fixture_cloud.h"

#define CREDENTIAL 5
#define MAX_BYTES  20000

static struct client *client;
static struct signature_channel *signatures;
static struct source keeper;
static int worker_fd;
static struct client_account account;
static struct client_call call;
static char url[300];
static bool done;

/* What the keeper was asked, and what it says. */
static struct {
	unsigned times;
	uint64_t refused;
	int64_t skew_s;
	uint64_t flags, content_length;
	char target[CLIENT_URL_MAX + 1], host[64], sha256[64];
	int err;
	bool silent;
	void (*on_asked)(void);
} asked;

static void put(char *out, size_t size, struct span text)
{
	snprintf(out, size, "%.*s", SPAN_ARG(text));
}

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
	cr_expect_eq(q.numbers[ASK_CREDENTIAL], CREDENTIAL);
	asked.times++;
	asked.refused = q.numbers[ASK_REFUSED];
	asked.skew_s = (int64_t)q.numbers[ASK_SKEW_S];
	asked.flags = q.numbers[ASK_FLAGS];
	asked.content_length = q.numbers[ASK_CONTENT_LENGTH];
	put(asked.target, sizeof(asked.target), q.texts[ASK_TARGET]);
	put(asked.host, sizeof(asked.host), q.texts[ASK_HOST]);
	put(asked.sha256, sizeof(asked.sha256), q.texts[ASK_BODY_SHA256]);
	answer.id = q.id;
	answer.numbers[ANSWER_ERR] = (uint64_t)-asked.err;
	answer.numbers[ANSWER_GENERATION] = 40 + asked.times;
	answer.texts[ANSWER_SENTENCE] = asked.err ? SPAN("No key.") : SPAN("");
	answer.texts[ANSWER_LINES] = SPAN("authorization: signed\r\n");
	if (!asked.silent) {
		cr_assert_eq(exchange_write(&answer, &packet), 0);
		cr_assert_eq(exchange_send(source->fd, buf_span(&packet)), 0);
	}
	buf_free(&packet);
	if (asked.on_asked)
		asked.on_asked();
}

static void start(void)
{
	int pair[2];

	fixture_cloud_start();
	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	worker_fd = pair[0];
	keeper = (struct source){ .fd = pair[1], .on_ready = on_question };
	cr_assert_eq(loop_add(fixture_cloud.loop, &keeper, EPOLLIN), 0);
	signatures = signature_channel_new(fixture_cloud.loop, worker_fd);
	client = client_new(&(struct client_config){
		.loop = fixture_cloud.loop,
		.fetcher = fixture_cloud.fetcher,
		.signatures = signatures,
	});
	cr_assert(signatures && client);
	memset(&asked, 0, sizeof(asked));
	memset(&call, 0, sizeof(call));
	account = (struct client_account){ .credential = CREDENTIAL,
		                           .connect_timeout_ms = 5000,
		                           .answer_timeout_ms = 5000 };
}

static void stop(void)
{
	client_call_fini(&call);
	client_free(client);
	signature_channel_free(signatures);
	loop_close(fixture_cloud.loop, &keeper);
	close(worker_fd);
	fixture_cloud_stop();
}

TestSuite(client, .init = start, .fini = stop, .timeout = 60);

static void on_done(struct client_call *c)
{
	cr_assert_eq(c, &call);
	cr_assert_not(done);
	cr_expect_eq(client_running(client), 0);
	done = true;
}

/* A GET of a path of the server; more is changed by the caller. */
static void prepare(const char *path)
{
	snprintf(url, sizeof(url), "%s%s", fixture_cloud.url, path);
	call.account = &account;
	call.method = SPAN("GET");
	call.url = span_str(url);
	call.fields = SPAN("if-match: x\r\n");
	call.repeatable = true;
	call.max_bytes = MAX_BYTES;
	call.on_done = on_done;
	done = false;
}

static void begin(void)
{
	client_start(client, &call);
	cr_assert_not(done, "never from inside");
	cr_expect_eq(client_running(client), 1);
}

static void go(void)
{
	begin();
	fixture_turn_until(&done);
}

static bool answers(const char *text)
{
	return span_is(buf_span(&call.answer), text);
}

/* --- one answer ----------------------------------------------------------- */

Test(client, a_request_as_it_is_sent)
{
	const char *request;

	fixture_cloud_answer("/a/b", 200,
	                     "opc-request-id: r1\r\netag: \"e\"\r\n"
	                     "opc-work-request-id: w\r\n",
	                     "{\"a\": 1}");
	prepare("/a/b?c=d%20e");
	go();
	request = fixture_cloud_request("/a/b");
	cr_expect_eq(call.end, CLIENT_OK);
	cr_expect_eq(call.status, 200);
	cr_expect(answers("{\"a\": 1}"));
	cr_expect_str_eq(call.request_id, "r1");
	cr_expect_str_eq(call.etag, "\"e\"");
	cr_expect_str_eq(call.work_request, "w");
	cr_expect_eq(call.n_tries, 1);
	cr_expect_str_eq(asked.target, "/a/b?c=d%20e");
	cr_expect_str_eq(asked.host, fixture_cloud.host);
	cr_expect_eq(asked.refused, 0);
	cr_expect_eq(asked.flags, 0);
	cr_expect(strstr(request, "GET /a/b?c=d%20e HTTP/1.1\r\n"));
	cr_expect(strcasestr(request, "\r\nauthorization: signed\r\n"));
	cr_expect(strcasestr(request, "\r\nif-match: x\r\n"));
	cr_expect(strcasestr(request, "\r\naccept: application/json\r\n"));
	cr_expect(strcasestr(request, "\r\nuser-agent: oci-mcp-gateway/"));
	cr_expect(strcasestr(request, "\r\nopc-request-id: "));
}

Test(client, bodies_are_signed_unless_they_must_not_be)
{
	static const struct {
		const char *method, *body;
		bool with_body, unsigned_body;
		uint64_t flags;
		const char *sha256;
	} rows[] = {
		{ "POST", "{}", true, false, ASK_WITH_BODY,
		  "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=" },
		{ "POST", "", true, false, ASK_WITH_BODY,
		  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
		{ "PUT", "x", true, true, ASK_WITH_BODY | ASK_UNSIGNED_BODY,
		  "" },
		{ "DELETE", "", false, false, 0, "" },
	};

	fixture_cloud_answer("/b", 200, "", "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		prepare("/b");
		call.method = span_str(rows[i].method);
		call.body = span_str(rows[i].body);
		call.with_body = rows[i].with_body;
		call.unsigned_body = rows[i].unsigned_body;
		go();
		cr_expect_eq(call.end, CLIENT_OK);
		cr_expect_eq(call.answer.len, 0);
		cr_expect_eq(asked.flags, rows[i].flags);
		cr_expect_eq(asked.content_length, strlen(rows[i].body));
		cr_expect_str_eq(asked.sha256, rows[i].sha256);
		if (rows[i].with_body)
			cr_expect(strcasestr(fixture_cloud_request("/b"),
			                     "\r\ncontent-length: "));
	}
}

static const char long_text[] =
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"012345678901234567890123456789012345678901234567890123456789012345678"
	"9";

Test(client, what_answers_mean)
{
	static const struct {
		int status;
		const char *body;
		bool no_json;
		enum client_end end;
		const char *code, *message;
	} rows[] = {
		{ 200, "[]", false, CLIENT_OK, "", "" },
		{ 201, "", false, CLIENT_OK, "", "" },
		{ 204, "", false, CLIENT_OK, "", "" },
		{ 200, "{\"a\":", false, CLIENT_GARBAGE, "",
		  "the answer is no JSON" },
		{ 200, "<html>", false, CLIENT_GARBAGE, "",
		  "the answer is no JSON" },
		{ 200, "<html>", true, CLIENT_OK, "", "" },
		{ 404, "{\"code\":\"NotFound\",\"message\":\"No\\nsuch.\"}",
		  false, CLIENT_STATUS, "NotFound", "No such." },
		{ 400, "{\"code\":\"A\"}", false, CLIENT_STATUS, "A",
		  "the service answered with status 400" },
		{ 400, "{\"code\":7,\"message\":{}}", false, CLIENT_STATUS, "",
		  "the service answered with status 400" },
		{ 400, "[]", false, CLIENT_STATUS, "",
		  "the service answered with status 400" },
		{ 403, "", false, CLIENT_STATUS, "",
		  "the service answered with status 403" },
		{ 302, "", false, CLIENT_STATUS, "",
		  "the service answered with status 302" },
		{ 407, " <html>Proxy</html> ", false, CLIENT_STATUS, "",
		  "status 407, and no error document: <html>Proxy</html>" },
		{ 407, "\x01\x02", false, CLIENT_STATUS, "",
		  "the service answered with status 407" },
		{ 501, "{\"code\":\"MethodNotImplemented\",\"message\":\"m\"}",
		  false, CLIENT_STATUS, "MethodNotImplemented", "m" },
		{ 409, "{\"code\":\"Conflict\",\"message\":\"m\"}", false,
		  CLIENT_STATUS, "Conflict", "m" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, rows[i].status, "", rows[i].body);
		prepare(path);
		call.no_json = rows[i].no_json;
		go();
		cr_expect_eq(call.end, rows[i].end, "%zu", i);
		cr_expect_eq(call.status, rows[i].status);
		cr_expect_str_eq(call.code, rows[i].code);
		cr_expect_str_eq(call.message, rows[i].message, "%zu: %s", i,
		                 call.message);
		cr_expect_eq(call.n_tries, 1, "%zu", i);
		if (call.end == CLIENT_OK)
			cr_expect(answers(rows[i].body));
	}
}

Test(client, long_messages_are_cut)
{
	char body[4000] = "{\"code\":\"C\",\"message\":\"";

	while (strlen(body) < 3000)
		strcat(body, long_text);
	strcat(body, "\"}");
	fixture_cloud_answer("/l", 400, "", body);
	prepare("/l");
	go();
	cr_expect_eq(strlen(call.message), CLIENT_TEXT_MAX - 1);
	cr_expect_eq(strncmp(call.message, long_text, 100), 0);
}

Test(client, too_large)
{
	static char body[MAX_BYTES + 3];

	memset(body, ' ', MAX_BYTES + 1);
	memcpy(body, "{}", 2);
	fixture_cloud_answer("/l", 200, "", body);
	prepare("/l");
	go();
	cr_expect_eq(call.end, CLIENT_GARBAGE);
	cr_expect_gt(strlen(call.message), 0);
	cr_expect_eq(call.n_tries, 1);
	body[MAX_BYTES] = '\0';
	fixture_cloud_answer("/fits", 200, "", body);
	prepare("/fits");
	go();
	cr_expect_eq(call.end, CLIENT_OK);
	cr_expect_eq(call.answer.len, MAX_BYTES);
}

Test(client, a_url_that_is_too_long)
{
	static char text[CLIENT_URL_MAX + 100];

	memset(text, 'a', sizeof(text));
	memcpy(text, "http://h/", 9);
	prepare("/x");
	call.url = span_of(text, sizeof(text));
	go();
	cr_expect_eq(call.end, CLIENT_GARBAGE);
	cr_expect_gt(strlen(call.message), 0);
	call.url = SPAN("no url");
	done = false;
	go();
	cr_expect_eq(call.end, CLIENT_GARBAGE);
	cr_expect_eq(asked.times, 0);
}

/* --- pages ---------------------------------------------------------------- */

Test(client, pages_by_field)
{
	static const struct {
		size_t wanted;
		const char *answer;
		bool more;
		unsigned asked;
	} rows[] = {
		{ 1, "[1]", true, 1 },        { 2, "[1,2]", true, 1 },
		{ 3, "[1,2,3]", true, 3 },    { 4, "[1,2,3,4]", false, 3 },
		{ 9, "[1,2,3,4]", false, 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, 200, "opc-next-page: a b/+\r\n",
		                     "[1,2]");
		/* One may be empty, and not the last. */
		fixture_cloud_answer(path, 200, "opc-next-page: p3\r\n", "[]");
		fixture_cloud_answer(path, 200, "", "[3,4]");
		prepare(path);
		call.wanted = rows[i].wanted;
		go();
		cr_expect_eq(call.end, CLIENT_OK);
		cr_expect(answers(rows[i].answer), "%zu: %.*s", i,
		          SPAN_ARG(buf_span(&call.answer)));
		cr_expect_eq(call.more, rows[i].more, "%zu", i);
		cr_expect_eq(fixture_cloud_asked(path), rows[i].asked);
		if (rows[i].asked == 3)
			cr_expect(strstr(fixture_cloud_request(path),
			                 "?page=p3 "));
	}
}

Test(client, page_tokens_are_encoded)
{
	fixture_cloud_answer("/p", 200, "opc-next-page: a b/+\xc3\xa9\r\n",
	                     "[1]");
	fixture_cloud_answer("/p", 200, "", "[2]");
	prepare("/p?limit=1");
	call.wanted = 5;
	go();
	cr_expect(answers("[1,2]"));
	cr_expect_str_eq(asked.target, "/p?limit=1&page=a%20b%2F%2B%C3%A9");
}

Test(client, pages_by_the_name_of_the_next)
{
	fixture_cloud_answer("/o", 200, "",
	                     "{\"objects\":[{\"name\":\"a\"}],"
	                     "\"nextStartWith\":\"b c\"}");
	fixture_cloud_answer("/o", 200, "",
	                     "{\"objects\":[{\"name\":\"b c\"}],"
	                     "\"nextStartWith\":null}");
	prepare("/o");
	call.wanted = 100;
	call.items = SPAN("objects");
	go();
	cr_expect(answers("[{\"name\":\"a\"},{\"name\":\"b c\"}]"));
	cr_expect_not(call.more);
	cr_expect_str_eq(asked.target, "/o?start=b%20c");
}

/* Where the first page began does not count for the second. */
Test(client, a_start_of_the_caller_gives_way_to_the_next)
{
	static const struct {
		const char *url, *target;
	} rows[] = {
		{ "/s?start=a", "/s?start=z" },
		{ "/s?start=a&limit=2", "/s?limit=2&start=z" },
		{ "/s?limit=2&start=a", "/s?limit=2&start=z" },
		{ "/s?restart=a", "/s?restart=a&start=z" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20], whole[60];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, 200, "",
		                     "{\"objects\":[1],\"nextStartWith\":"
		                     "\"z\"}");
		fixture_cloud_answer(path, 200, "", "{\"objects\":[2]}");
		snprintf(whole, sizeof(whole), "/%zu%s", i, rows[i].url + 2);
		prepare(whole);
		call.wanted = 100;
		go();
		cr_expect(answers("[1,2]"));
		cr_expect_str_eq(asked.target + 2, rows[i].target + 2);
	}
}

Test(client, where_items_are)
{
	static const struct {
		const char *body, *items, *answer;
	} rows[] = {
		{ "{\"items\":[1]}", "", "[1]" },
		{ "{\"objects\":[1]}", "", "[1]" },
		{ "{\"data\":[1]}", "", "[1]" },
		{ "{\"resources\":[1],\"items\":[2]}", "resources", "[1]" },
		{ "{\"resources\":{},\"items\":[2]}", "resources", "[2]" },
		{ "{\"other\":[1]}", "", "[]" },
		{ "{\"items\":null}", "", "[]" },
		{ "{}", "", "[]" },
		{ "", "", "[]" },
		{ " [ 1 , 2 ] ", "", " [ 1 , 2 ] " },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, 200, "", rows[i].body);
		prepare(path);
		call.wanted = 10;
		call.items = span_str(rows[i].items);
		go();
		cr_expect_eq(call.end, CLIENT_OK);
		cr_expect(answers(rows[i].answer), "%zu: %.*s", i,
		          SPAN_ARG(buf_span(&call.answer)));
	}
}

Test(client, all_pages_together_are_too_large)
{
	static char body[MAX_BYTES];

	memset(body, ' ', sizeof(body));
	body[0] = '[';
	body[1] = '"';
	memset(body + 2, 'x', 12000);
	memcpy(body + 12002, "\"]", 3);
	fixture_cloud_answer("/p", 200, "opc-next-page: n\r\n", body);
	prepare("/p");
	call.wanted = 1000;
	go();
	cr_expect_eq(call.end, CLIENT_GARBAGE);
	cr_expect(strstr(call.message, "20000 bytes"), "%s", call.message);
	cr_expect_eq(fixture_cloud_asked("/p"), 2);
}

Test(client, a_page_that_fails_fails_the_request)
{
	fixture_cloud_answer("/p", 200, "opc-next-page: n\r\n", "[1]");
	fixture_cloud_answer("/p", 400, "", "{\"code\":\"Bad\"}");
	prepare("/p");
	call.wanted = 10;
	go();
	cr_expect_eq(call.end, CLIENT_STATUS);
	cr_expect_str_eq(call.code, "Bad");
}

/* --- trying again --------------------------------------------------------- */

Test(client, what_is_repeated)
{
	static const struct {
		const char *method;
		int status; /* 0: the connection breaks after sending */
		const char *body;
		bool repeatable, again;
	} rows[] = {
		{ "GET", 429, "", true, true },
		{ "POST", 429, "", false, true },
		{ "GET", 500, "", true, true },
		{ "POST", 500, "", false, false },
		{ "POST", 503, "", true, true },
		{ "POST", 503, "", false, false },
		{ "GET", 502, "<html>", true, true },
		{ "GET", 504, "", true, true },
		{ "GET", 501, "", true, false },
		{ "GET", 404, "", true, false },
		{ "GET", 409, "{\"code\":\"IncorrectState\"}", true, true },
		{ "GET", 409, "{\"code\":\"LockConflict\"}", true, true },
		{ "POST", 409, "{\"code\":\"IncorrectState\"}", false, false },
		{ "GET", 409, "{\"code\":\"Conflict\"}", true, false },
		{ "GET", 0, "", true, true },
		{ "POST", 0, "", true, true },
		{ "POST", 0, "", false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, rows[i].status, "", rows[i].body);
		fixture_cloud_answer(path, 200, "", "{}");
		prepare(path);
		call.method = span_str(rows[i].method);
		call.with_body = span_is(call.method, "POST");
		call.repeatable = rows[i].repeatable;
		go();
		/* libcurl repeats by itself on a connection that was kept. */
		if (rows[i].status)
			cr_expect_eq(call.n_tries, rows[i].again ? 2 : 1,
			             "%zu: %u", i, call.n_tries);
		cr_expect_eq(fixture_cloud_asked(path), rows[i].again ? 2 : 1,
		             "%zu: %u", i, fixture_cloud_asked(path));
		cr_expect_eq(call.end,
		             rows[i].again    ? CLIENT_OK
		             : rows[i].status ? CLIENT_STATUS
		                              : CLIENT_NETWORK,
		             "%zu: %d", i, call.end);
	}
}

static uint64_t took_ms(void)
{
	return call.took_us / 1000;
}

Test(client, pauses)
{
	static const struct {
		const char *fields;
		uint64_t deadline_ms; /* from now; 0: none */
		unsigned tries;
		uint64_t least_ms, most_ms;
	} rows[] = {
		{ "", 0, 2, 125, 900 },
		{ "retry-after: 1\r\n", 0, 2, 1000, 2000 },
		{ "retry-after: soon\r\n", 0, 2, 125, 900 },
		/* There is no time for that. */
		{ "retry-after: 3\r\n", 2000, 1, 0, 900 },
		{ "retry-after: 31\r\n", 20000, 1, 0, 900 },
		{ "retry-after: 99999999999999999999\r\n", 50, 1, 0, 900 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, 429, rows[i].fields,
		                     "{\"code\":\"TooManyRequests\"}");
		fixture_cloud_answer(path, 200, "", "{}");
		prepare(path);
		call.deadline_ms =
			rows[i].deadline_ms
				? clock_mono_ms() + rows[i].deadline_ms
				: 0;
		go();
		cr_expect_eq(call.n_tries, rows[i].tries, "%zu", i);
		/* A timer counts from the beginning of the loop's turn. */
		cr_expect_geq(took_ms() + 5, rows[i].least_ms, "%zu: %d", i,
		              (int)took_ms());
		cr_expect_leq(took_ms(), rows[i].most_ms, "%zu: %d", i,
		              (int)took_ms());
		if (rows[i].tries == 1)
			cr_expect_str_eq(call.code, "TooManyRequests");
	}
}

/* A bound port that nobody listens on. */
static int closed_port(char *host, size_t size)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, len), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	snprintf(host, size, "http://127.0.0.1:%u/x", ntohs(at.sin_port));
	return fd;
}

Test(client, a_connection_that_is_refused_is_tried_again)
{
	int fd;

	prepare("/x");
	fd = closed_port(url, sizeof(url));
	call.url = span_str(url);
	call.repeatable = false; /* nothing was sent */
	call.deadline_ms = clock_mono_ms() + 1200;
	go();
	cr_expect_eq(call.end, CLIENT_NETWORK);
	cr_expect_gt(call.n_tries, 1);
	cr_expect_eq(call.status, 0);
	cr_expect_gt(strlen(call.message), 0);
	close(fd);
}

/* --- who it is ------------------------------------------------------------ */

Test(client, a_401_is_tried_once_more)
{
	static const struct {
		unsigned refusals;
		enum client_end end;
		unsigned tries;
	} rows[] = {
		{ 1, CLIENT_OK, 2 },
		{ 2, CLIENT_STATUS, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		for (unsigned k = 0; k < rows[i].refusals; k++)
			fixture_cloud_answer(path, 401, "",
			                     "{\"code\":\"NotAuthenticated\"}");
		fixture_cloud_answer(path, 200, "", "{}");
		prepare(path);
		call.method = SPAN("POST");
		call.repeatable = false;
		asked.times = 0;
		go();
		cr_expect_eq(call.end, rows[i].end);
		cr_expect_eq(call.n_tries, rows[i].tries);
		cr_expect_eq(asked.refused, 41, "the first was refused");
		cr_expect_eq(asked.skew_s, 0);
	}
}

/* A Date field so many seconds ahead of our clock. */
static const char *date_field(int64_t ahead_s)
{
	static char fields[2][80];
	static size_t n;
	char *out = fields[n++ % 2];
	time_t at = (time_t)(clock_utc_ms() / 1000 + ahead_s);
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(out, 80, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	return out;
}

Test(client, a_clock_that_is_wrong)
{
	fixture_cloud_answer("/d", 401, date_field(7200),
	                     "{\"code\":\"NotAuthenticated\",\"message\":"
	                     "\"No.\"}");
	fixture_cloud_answer("/d", 200, "", "{}");
	prepare("/d");
	go();
	cr_expect_eq(call.end, CLIENT_OK);
	cr_expect_eq(asked.refused, 0, "the key is not to blame");
	cr_expect_leq(llabs(asked.skew_s - 7200), 5);
	cr_expect_eq(client_skew_s(client), asked.skew_s);
	/* The next is signed with it at once. */
	fixture_cloud_answer("/e", 200, "", "{}");
	prepare("/e");
	go();
	cr_expect_eq(call.n_tries, 1);
	cr_expect_eq(asked.skew_s, client_skew_s(client));
}

Test(client, a_clock_that_is_wrong_is_explained)
{
	static const struct {
		int64_t ahead_s;
		const char *words;
	} rows[] = {
		{ 7200, "behind that of the cloud" },
		{ -7200, "ahead of that of the cloud" },
		{ 10, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%zu", i);
		fixture_cloud_answer(path, 401, date_field(rows[i].ahead_s),
		                     "{\"code\":\"N\",\"message\":\"No.\"}");
		prepare(path);
		go();
		cr_expect_eq(call.end, CLIENT_STATUS);
		cr_expect_eq(call.n_tries, 2);
		cr_expect_eq(strncmp(call.message, "No.", 3), 0);
		if (rows[i].words)
			cr_expect(strstr(call.message, rows[i].words), "%s",
			          call.message);
		else
			cr_expect_str_eq(call.message, "No.");
	}
}

Test(client, nothing_to_sign_with)
{
	static const struct {
		int err;
		enum client_end end;
	} rows[] = {
		{ -ENOENT, CLIENT_CREDENTIALS },
		{ -EINVAL, CLIENT_CREDENTIALS },
		{ -EKEYEXPIRED, CLIENT_CREDENTIALS },
		{ -EACCES, CLIENT_CREDENTIALS },
		{ -EIO, CLIENT_NETWORK },
		{ -EBUSY, CLIENT_TIMEOUT },
		{ -ETIMEDOUT, CLIENT_TIMEOUT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		prepare("/x");
		asked.err = rows[i].err;
		go();
		cr_expect_eq(call.end, rows[i].end, "%zu", i);
		cr_expect_str_eq(call.message, "No key.");
	}
	cr_expect_eq(fixture_cloud_asked("/x"), 0);
}

/* --- time ----------------------------------------------------------------- */

Test(client, a_keeper_that_says_nothing)
{
	prepare("/x");
	asked.silent = true;
	call.deadline_ms = clock_mono_ms() + 100;
	go();
	cr_expect_eq(call.end, CLIENT_TIMEOUT);
	cr_expect_lt(took_ms(), 900);
}

/* Takes connections and says nothing, or a byte now and then. */
static int listener;
static bool trickles;

static void *serve_slowly(void *arg)
{
	static const char head[] = "HTTP/1.1 200 X\r\n"
				   "content-length: 10000\r\n\r\n[";
	int fd = accept(listener, NULL, NULL);
	bool good;

	(void)arg;
	if (fd < 0)
		return NULL;
	good = !trickles || send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL) > 0;
	for (int i = 0; i < 100 && good; i++) {
		usleep(10000);
		good = !trickles || send(fd, " ", 1, MSG_NOSIGNAL) == 1;
	}
	close(fd);
	return NULL;
}

static pthread_t slow(bool trickle)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	pthread_t thread;

	trickles = trickle;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&at, &len);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", ntohs(at.sin_port));
	call.url = span_str(url);
	pthread_create(&thread, NULL, serve_slowly, NULL);
	return thread;
}

Test(client, deadlines_hold_while_bytes_come)
{
	static const bool rows[] = { false, true };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		pthread_t thread;

		prepare("/x");
		thread = slow(rows[i]);
		call.deadline_ms = clock_mono_ms() + 300;
		go();
		cr_expect_eq(call.end, CLIENT_TIMEOUT, "%d", call.end);
		cr_expect_lt(took_ms(), 1500, "%d", (int)took_ms());
		cr_expect_gt(strlen(call.message), 0);
		cr_expect_eq(call.status, 0);
		pthread_join(thread, NULL);
		close(listener);
	}
}

/* --- cancelling ----------------------------------------------------------- */

static void cancel_now(void)
{
	client_cancel(&call);
	client_cancel(&call); /* harmless */
}

static void on_time(struct timer *t)
{
	(void)t;
	cancel_now();
}

static void on_stop(struct timer *t)
{
	(void)t;
	loop_stop(fixture_cloud.loop);
}

static void turn(uint64_t ms)
{
	struct timer t = { 0 };

	loop_timer(fixture_cloud.loop, &t, ms, on_stop);
	cr_assert_eq(loop_run(fixture_cloud.loop), 0);
}

/* And the same memory serves for the next request. */
static void works_still(void)
{
	cr_expect_eq(client_running(client), 0);
	cr_expect_not(done);
	asked.on_asked = NULL;
	asked.silent = false;
	fixture_cloud_answer("/after", 200, "", "[1]");
	prepare("/after");
	call.deadline_ms = 0;
	go();
	cr_expect_eq(call.end, CLIENT_OK);
	cr_expect(answers("[1]"));
}

Test(client, cancelled_before_anything)
{
	prepare("/x");
	begin();
	cancel_now();
	turn(20);
	cr_expect_eq(asked.times, 0);
	works_still();
}

Test(client, cancelled_while_being_signed)
{
	prepare("/x");
	asked.on_asked = cancel_now; /* the answer comes too late */
	begin();
	turn(50);
	cr_expect_eq(asked.times, 1);
	cr_expect_eq(fixture_cloud_asked("/x"), 0);
	works_still();
}

Test(client, cancelled_while_waiting_for_the_answer)
{
	static const bool rows[] = { false, true };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct timer t = { 0 };
		pthread_t thread;

		prepare("/x");
		call.deadline_ms = clock_mono_ms() + 5000;
		thread = slow(rows[i]);
		turn(1); /* the loop's clock is of its last turn */
		begin();
		loop_timer(fixture_cloud.loop, &t, 100, on_time);
		turn(200);
		works_still();
		pthread_join(thread, NULL);
		close(listener);
	}
}

Test(client, cancelled_in_a_pause)
{
	struct timer t = { 0 };

	fixture_cloud_answer("/x", 429, "retry-after: 1\r\n", "");
	prepare("/x");
	begin();
	loop_timer(fixture_cloud.loop, &t, 100, on_time);
	turn(1300);
	cr_expect_eq(fixture_cloud_asked("/x"), 1);
	works_still();
}

Test(client, the_client_goes_while_requests_run)
{
	prepare("/x");
	asked.silent = true;
	begin();
	turn(20);
	client_free(client);
	client = NULL;
	turn(20);
	cr_expect_not(done);
}

static unsigned ended;

static void end_with_its_memory(struct client_call *c)
{
	client_call_fini(c);
	free(c);
	ended++;
	done = ended == 3;
}

Test(client, memory_may_be_given_back_in_on_done)
{
	fixture_cloud_answer("/good", 200, "", "[1,2,3]");
	fixture_cloud_answer("/bad", 400, "", "{\"code\":\"x\"}");
	for (unsigned i = 0; i < 3; i++) {
		static char urls[3][220];
		struct client_call *c = calloc(1, sizeof(*c));

		prepare("/good");
		*c = call;
		snprintf(urls[i], sizeof(urls[i]), "%s%s", fixture_cloud.url,
		         i == 0 ? "/good" : "/bad");
		c->url = i == 2 ? SPAN("no url") : span_str(urls[i]);
		c->on_done = end_with_its_memory;
		client_start(client, c);
	}
	fixture_turn_until(&done);
	cr_expect_eq(client_running(client), 0);
}
