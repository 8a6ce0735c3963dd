#include "proxy/discover.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a backend that answers by a table -------------------------------------
 */

/*
 * The first row whose word is in the request answers it. In a body, @ stands
 * for the id of the request and # for a number that is new every time. A
 * status of 0 is no answer at all.
 */
struct row {
	const char *when;
	int status;
	const char *type;  /* NULL: none */
	const char *lines; /* more of the head, each with CR LF; or NULL */
	const char *body;
	bool open; /* the connection stays, the body has no end */
};

#define ROWS_MAX     12
#define LOG_MAX      (1 << 20)
#define METHOD(name) "\"method\":\"" name "\""
#define JSON         "application/json"
#define EVENTS       "text/event-stream"

static struct {
	int listener;
	uint16_t port;
	const struct row *rows;
	pthread_mutex_t lock;
	size_t pad;        /* bytes of white space in front of each body */
	int n;             /* of # */
	char log[LOG_MAX]; /* all requests */
	size_t n_log;
} backend = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void send_all(int fd, const char *at, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		at += sent;
		n -= (size_t)sent;
	}
}

static void answer(int fd, const struct row *row, const char *request)
{
	const char *id = strstr(request, "\"id\":");
	struct buf body = { .max = 1 << 26 }, head = { .max = 1 << 26 };

	for (const char *p = row->body ? row->body : ""; *p; p++) {
		if (*p == '@')
			buf_addf(&body, "%d", id ? atoi(id + 5) : 0);
		else if (*p == '#')
			buf_addf(&body, "%d", ++backend.n);
		else
			buf_putc(&body, *p);
	}
	buf_addf(&head, "HTTP/1.1 %d x\r\n", row->status);
	if (row->type)
		buf_addf(&head, "Content-Type: %s\r\n", row->type);
	if (row->lines)
		buf_puts(&head, row->lines);
	if (!row->open)
		buf_addf(&head, "Content-Length: %zu\r\n", body.len);
	buf_puts(&head, "\r\n");
	buf_add_span(&head, buf_span(&body));
	send_all(fd, head.bytes, head.len);
	buf_free(&head);
	buf_free(&body);
}

static const struct row *row_for(const char *request)
{
	const struct row *row = backend.rows;

	while (row->when && !strstr(request, row->when))
		row++;
	return row;
}

static bool read_request(int fd, char *to, size_t max)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(fd, to + n, max - n - 1, 0);

		if (got <= 0)
			return false;
		n += (size_t)got;
		to[n] = '\0';

		const char *end = strstr(to, "\r\n\r\n");
		const char *p = strcasestr(to, "content-length:");
		size_t body = p && p < end ? strtoul(p + 15, NULL, 10) : 0;
		if (end && n >= (size_t)(end + 4 - to) + body)
			return true;
	}
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	static _Thread_local char request[131072];
	char byte;

	while (read_request(fd, request, sizeof(request))) {
		pthread_mutex_lock(&backend.lock);
		size_t n = strlen(request);
		if (backend.n_log + n < LOG_MAX) {
			memcpy(backend.log + backend.n_log, request, n + 1);
			backend.n_log += n;
		}
		const struct row *row = row_for(request);
		if (row->status)
			answer(fd, row, request);
		pthread_mutex_unlock(&backend.lock);
		if (row->status == 0 || row->open)
			recv(fd, &byte, 1, 0);
		if (row->status == 0)
			break;
	}
	close(fd);
	return NULL;
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_t thread;
		int fd = accept(backend.listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
}

static void start_backend(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	pthread_t thread;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	backend.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(backend.listener, (void *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(backend.listener, 64), 0);
	getsockname(backend.listener, (void *)&at, &len);
	backend.port = ntohs(at.sin_port);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_detach(thread);
}

/* --- its reader -------------------------------------------------------------
 */

static struct loop *loop;
static struct fetcher *fetcher;
static struct timer deadline;
static struct discover *reader;
static struct catalog_backend *known;
static char error[512];
static int n_read, n_probed, n_changed;
static int stop_after_changes;

static void on_read(struct discover *d, struct catalog_backend *read,
                    const char *why)
{
	(void)d;
	n_read++;
	discover_free_known(known);
	known = read;
	snprintf(error, sizeof(error), "%s", why ? why : "");
	if (!stop_after_changes)
		loop_stop(loop);
}

static void on_probed(struct discover *d, const char *why)
{
	(void)d;
	n_probed++;
	snprintf(error, sizeof(error), "%s", why ? why : "");
	loop_stop(loop);
}

static void on_changed(struct discover *d)
{
	(void)d;
	if (++n_changed >= stop_after_changes)
		loop_stop(loop);
}

static const struct discover_events events = { on_read, on_probed, on_changed };

static void too_late(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void run(uint64_t for_ms)
{
	loop_timer(loop, &deadline, for_ms, too_late);
	cr_assert_eq(loop_run(loop), 0);
}

static void begin(void)
{
	start_backend();
	loop = loop_new();
	fetcher = fetcher_new(loop);
	cr_assert(loop && fetcher);
}

static void end(void)
{
	discover_free(reader);
	discover_free_known(known);
	fetcher_free(fetcher);
	loop_timer_stop(loop, &deadline);
	loop_free(loop);
}

TestSuite(discover, .init = begin, .fini = end, .timeout = 30);

static void make_reader(const struct row *rows, uint32_t eras)
{
	char url[64];
	struct discover_config config = {
		.name = SPAN("b"),
		.fields = SPAN("X-Key: secret\r\n"),
		.eras = eras,
		.stream_idle_ms = 5000,
		.timeout_ms = 500,
		.events = &events,
	};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/mcp", backend.port);
	config.url = span_str(url);
	backend.rows = rows;
	pthread_mutex_lock(&backend.lock);
	backend.n_log = 0;
	backend.log[0] = '\0';
	pthread_mutex_unlock(&backend.lock);
	discover_free(reader);
	discover_free_known(known);
	known = NULL;
	n_read = 0;
	reader = discover_new(loop, fetcher, &config);
	cr_assert(reader);
}

static void read_lists(void)
{
	discover_read(reader);
	cr_assert(discover_is_reading(reader));
	cr_assert_eq(n_read, 0);
	run(20000);
	cr_assert_eq(n_read, 1);
	cr_assert_not(discover_is_reading(reader));
}

static struct span items(enum view_era era, enum list_kind kind)
{
	return known ? buf_span(&known->eras[era].items[kind])
	             : span_of("nothing", 7);
}

/* --- which era ---------------------------------------------------------------
 */

#define RESULT(text) "{\"jsonrpc\":\"2.0\",\"id\":@,\"result\":{" text "}}"
#define ERROR(id, code) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code "}}"
#define ERROR_DATA(code, data)                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":@,\"error\":{\"code\":" code "," \
	"\"data\":" data "}}"

#define TOOL(name) "{\"name\":\"" name "\"}"
#define MODERN_OK                                                        \
	{                                                                \
		METHOD("server/discover"), 200, JSON, NULL,              \
			RESULT("\"supportedVersions\":[\"2026-07-28\"]," \
		               "\"capabilities\":{\"tools\":{}}"),       \
			false                                            \
	}
#define MODERN_LIST                                                            \
	{                                                                      \
		"Mcp-Method: tools/list", 200, JSON, NULL,                     \
			RESULT("\"resultType\":\"complete\",\"tools\":[" TOOL( \
				"m") "]"),                                     \
			false                                                  \
	}
#define LEGACY_OK                                                           \
	{ METHOD("initialize"),                                             \
	  200,                                                              \
	  EVENTS,                                                           \
	  "Mcp-Session-Id: s1\r\n",                                         \
	  "event: message\ndata: " RESULT(                                  \
		  "\"protocolVersion\":\"2025-06-18\","                     \
		  "\"capabilities\":{\"tools\":{}}") "\n\n",                \
	  false },                                                          \
	{                                                                   \
		METHOD("notifications/initialized"), 202, NULL, NULL, NULL, \
			false                                               \
	}
#define LEGACY_LIST                                                \
	{                                                          \
		METHOD("tools/list"), 200, JSON, NULL,             \
			RESULT("\"tools\":[" TOOL("l") "]"), false \
	}
#define DELETED                                             \
	{                                                   \
		"DELETE /mcp", 200, NULL, NULL, NULL, false \
	}
#define REST                                       \
	{                                          \
		NULL, 404, NULL, NULL, NULL, false \
	}
#define DISCOVERED(status, body)                                           \
	{                                                                  \
		METHOD("server/discover"), status, JSON, NULL, body, false \
	}

Test(discover, eras)
{
	static const struct {
		struct row rows[ROWS_MAX];
		uint32_t configured;
		uint32_t eras;
		const char *error; /* a part of it; NULL: none */
	} cases[] = {
		{ { MODERN_OK, MODERN_LIST, REST }, 0, ERA_MODERN, NULL },
		{ { MODERN_OK, MODERN_LIST, LEGACY_OK, DELETED, LEGACY_LIST,
		    REST },
		  0,
		  ERA_MODERN | ERA_LEGACY,
		  NULL },
		{ { MODERN_OK, MODERN_LIST, LEGACY_OK, LEGACY_LIST, REST },
		  ERA_MODERN,
		  ERA_MODERN,
		  NULL },
		{ { MODERN_OK, MODERN_LIST, LEGACY_OK, DELETED, LEGACY_LIST,
		    REST },
		  ERA_LEGACY,
		  ERA_LEGACY,
		  NULL },
		/* Both are configured, so both must be there. */
		{ { MODERN_OK, MODERN_LIST, REST },
		  ERA_MODERN | ERA_LEGACY,
		  0,
		  "initialize answered HTTP 404" },
		{ { LEGACY_OK, DELETED, LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(200, ERROR("@", "-32601")), LEGACY_OK, DELETED,
		    LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(200, ERROR("@", "-32602")), LEGACY_OK, DELETED,
		    LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(400, ERROR("null", "-32000")), LEGACY_OK,
		    DELETED, LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(400, ERROR("null", "-32602")), LEGACY_OK,
		    DELETED, LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(400, ""), LEGACY_OK, DELETED, LEGACY_LIST,
		    REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(200, "<html>"), LEGACY_OK, DELETED, LEGACY_LIST,
		    REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(400, ERROR_DATA("-32022", "{\"supported\":["
		                                         "\"2025-11-25\"]}")),
		    LEGACY_OK, DELETED, LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(200,
		               RESULT("\"supportedVersions\":[\"2025-11-25\""
		                      "]")),
		    LEGACY_OK, DELETED, LEGACY_LIST, REST },
		  0,
		  ERA_LEGACY,
		  NULL },
		{ { DISCOVERED(400, ERROR_DATA("-32022", "{\"supported\":["
		                                         "\"2027-01-01\"]}")),
		    LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "no protocol version that we speak" },
		{ { DISCOVERED(200, RESULT("\"supportedVersions\":["
		                           "\"2027-01-01\"]")),
		    LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "no protocol version that we speak" },
		{ { DISCOVERED(400, ERROR("@", "-32020")), LEGACY_OK,
		    LEGACY_LIST, REST },
		  0,
		  0,
		  "JSON-RPC error -32020" },
		{ { DISCOVERED(400, ERROR("@", "-32021")), LEGACY_OK,
		    LEGACY_LIST, REST },
		  0,
		  0,
		  "JSON-RPC error -32021" },
		{ { DISCOVERED(400, ERROR("@", "-32602")), LEGACY_OK,
		    LEGACY_LIST, REST },
		  0,
		  0,
		  "JSON-RPC error -32602" },
		{ { DISCOVERED(401, ""), LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "backend b: server/discover answered HTTP 401: the "
		  "credentials" },
		{ { DISCOVERED(403, ERROR("null", "-32000")), LEGACY_OK,
		    LEGACY_LIST, REST },
		  0,
		  0,
		  "error -32000" },
		{ { DISCOVERED(429, ""), LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "HTTP 429" },
		{ { DISCOVERED(503, "down"), LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "server/discover answered HTTP 503" },
		{ { DISCOVERED(302, ""), LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "HTTP 302" },
		{ { DISCOVERED(0, ""), LEGACY_OK, LEGACY_LIST, REST },
		  0,
		  0,
		  "server/discover failed: no whole answer in 500 ms" },
		{ { REST }, 0, 0, "initialize answered HTTP 404" },
		{ { { METHOD("initialize"), 200, JSON, NULL,
		      RESULT("\"protocolVersion\":\"1.0\""), false },
		    REST },
		  0,
		  0,
		  "a protocol version that we do not speak" },
		{ { { METHOD("initialize"), 200, JSON,
		      "Mcp-Session-Id: a b\r\n",
		      RESULT("\"protocolVersion\":\"2025-11-25\","
		             "\"capabilities\":{}"),
		      false },
		    REST },
		  0,
		  0,
		  "an unusable session identifier" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_reader(cases[i].rows, cases[i].configured);
		read_lists();
		cr_expect_eq(known ? known->origin.eras : 0, cases[i].eras,
		             "%zu: %s", i, error);
		if (cases[i].error)
			cr_expect(strstr(error, cases[i].error), "%zu: %s", i,
			          error);
		else
			cr_expect_str_empty(error, "%zu: %s", i, error);
		cr_expect_null(strstr(error, "secret"));
		if (cases[i].eras & ERA_MODERN)
			cr_expect(span_is(items(VIEW_MODERN, LIST_TOOLS),
			                  TOOL("m") ","));
		if (cases[i].eras & ERA_LEGACY) {
			cr_expect(span_is(items(VIEW_LEGACY, LIST_TOOLS),
			                  TOOL("l") ","));
			cr_expect_str_eq(known->legacy_version, "2025-06-18");
		}
	}
}

Test(discover, what_a_modern_backend_is_sent)
{
	static const struct row rows[] = { MODERN_OK, MODERN_LIST, REST };

	make_reader(rows, ERA_MODERN);
	read_lists();
	static const char *const parts[] = {
		"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:",
		"Accept: application/json, text/event-stream\r\n",
		"MCP-Protocol-Version: 2026-07-28\r\n",
		"Mcp-Method: server/discover\r\n",
		"Mcp-Method: tools/list\r\n",
		"X-Key: secret\r\n",
		"\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"",
		"/clientInfo\":{\"name\":\"oci-mcp-gateway\",",
		"\"io.modelcontextprotocol/clientCapabilities\":{"
		"\"extensions\":{\"io.modelcontextprotocol/ui\":{",
	};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		cr_expect(strstr(backend.log, parts[i]), "%s", parts[i]);
	cr_expect_null(strstr(backend.log, "initialize"));
	cr_expect_null(strstr(backend.log, "Mcp-Session-Id"));
}

Test(discover, what_a_legacy_backend_is_sent)
{
	static const struct row rows[] = { LEGACY_OK, DELETED, LEGACY_LIST,
		                           REST };

	make_reader(rows, ERA_LEGACY);
	read_lists();
	run(100); /* for the DELETE */
	cr_expect_null(strstr(backend.log, "2026-07-28"));
	cr_expect_null(strstr(backend.log, "Mcp-Method"));

	char *second = strstr(backend.log, METHOD("notifications/initialized"));
	cr_assert(second);
	char *first = strstr(backend.log, METHOD("initialize"));
	cr_assert(first && first < second);
	cr_expect(strstr(first, "\"protocolVersion\":\"2025-11-25\""));
	cr_expect(strstr(first, "Mcp-Session-Id: s1\r\n"));
	cr_expect(strstr(first, "MCP-Protocol-Version: 2025-06-18\r\n"));
	*first = '\0';
	cr_expect_null(strstr(backend.log, "MCP-Protocol-Version"));
	cr_expect(strstr(second, "DELETE /mcp HTTP/1.1\r\n"));
}

/* --- lists
 * -------------------------------------------------------------------- */

#define CAPABLE(what)                                                    \
	{                                                                \
		METHOD("server/discover"), 200, JSON, NULL,              \
			RESULT("\"supportedVersions\":[\"2026-07-28\"]," \
		               "\"capabilities\":{" what "}"),           \
			false                                            \
	}
#define PAGE(when, body)                           \
	{                                          \
		when, 200, JSON, NULL, body, false \
	}
#define TOOLS METHOD("tools/list")

Test(discover, pages_and_forms)
{
	static const struct {
		struct row rows[ROWS_MAX];
		const char *tools; /* NULL: it fails */
		const char *error;
	} cases[] = {
		{ { CAPABLE("\"tools\":{}"),
		    PAGE("\"cursor\":\"\"",
		         RESULT("\"tools\":[" TOOL(
				 "2") "],"
		                      "\"nextCursor\":\"x\"")),
		    PAGE("\"cursor\":\"x\"",
		         RESULT("\"tools\":[" TOOL("3") "],"
		                                        "\"nextCursor\":null")),
		    PAGE(TOOLS,
		         RESULT("\"tools\":[" TOOL("1") "],"
		                                        "\"nextCursor\":\"\"")),
		    REST },
		  TOOL("1") "," TOOL("2") "," TOOL("3") ",",
		  NULL },
		/* Line ends are white space; in ours there are none. */
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS,
		         "{\r\n\"jsonrpc\":\"2.0\",\n\"id\":@,\n\"result\""
		         ":\n{\"tools\":[{\n\"name\":\"1\"\r\n}]}}\n"),
		    REST },
		  "{ \"name\":\"1\"  },",
		  NULL },
		/* One document per line, another message first. */
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS,
		         "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n" RESULT(
				 "\"tools\":[" TOOL("1") "]") "\n"),
		    REST },
		  TOOL("1") ",",
		  NULL },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS,
		         "[{\"jsonrpc\":\"2.0\",\"method\":\"x\"}," RESULT(
				 "\"tools\":[" TOOL("1") "]") "]"),
		    REST },
		  TOOL("1") ",",
		  NULL },
		/* An event stream that says it is JSON. */
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, "id: 1\ndata:\n\n: hello\n\ndata: " RESULT(
					"\"tools\":[" TOOL("1") "]") "\n\n"),
		    REST },
		  TOOL("1") ",",
		  NULL },
		/* And one that never ends. */
		{ { CAPABLE("\"tools\":{}"),
		    { TOOLS, 200, EVENTS, NULL,
		      "data: " RESULT("\"tools\":[" TOOL("1") "]") "\n\n",
		      true },
		    REST },
		  TOOL("1") ",",
		  NULL },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[],\"nextCursor\":\"same\"")),
		    REST },
		  NULL,
		  "tools/list answered the same nextCursor twice" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[],\"nextCursor\":\"#\"")),
		    REST },
		  NULL,
		  "tools/list answered too many pages" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[],\"nextCursor\":7")),
		    REST },
		  NULL,
		  "a nextCursor that is no string" },
		{ { CAPABLE("\"tools\":{}"), PAGE(TOOLS, RESULT("")), REST },
		  NULL,
		  "a result without tools" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":{}")), REST },
		  NULL,
		  "a result without tools" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[],\"tools\":[]")), REST },
		  NULL,
		  "no good JSON" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[],\"Tools\":[]")), REST },
		  NULL,
		  "no good JSON" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"tools\":[\"\xff\"]")), REST },
		  NULL,
		  "no good JSON" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, "{\"jsonrpc\":\"2.0\",\"id\":9999,\"result\":"
		                "{\"tools\":[]}}"),
		    REST },
		  NULL,
		  "without a JSON-RPC answer" },
		{ { CAPABLE("\"tools\":{}"), PAGE(TOOLS, ERROR("@", "-32603")),
		    REST },
		  NULL,
		  "JSON-RPC error -32603" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, RESULT("\"resultType\":\"input_required\"")),
		    REST },
		  NULL,
		  "a result of an unknown type" },
		{ { CAPABLE("\"tools\":{}"),
		    PAGE(TOOLS, "{\"jsonrpc\":\"2.0\",\"id\":@,\"result\":7}"),
		    REST },
		  NULL,
		  "a result that is no object" },
		{ { CAPABLE("\"tools\":{}"),
		    { TOOLS, 500, NULL, NULL, NULL, false },
		    REST },
		  NULL,
		  "tools/list answered HTTP 500" },
		{ { CAPABLE("\"tools\":{}"),
		    { TOOLS, 200, NULL, NULL, NULL, false },
		    REST },
		  NULL,
		  "without a JSON-RPC answer" },
		{ { CAPABLE(""), PAGE(TOOLS, RESULT("\"tools\":[1]")), REST },
		  "",
		  NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_reader(cases[i].rows, ERA_MODERN);
		read_lists();
		cr_expect_eq(known != NULL, cases[i].tools != NULL, "%zu: %s",
		             i, error);
		if (known && cases[i].tools)
			cr_expect(span_is(items(VIEW_MODERN, LIST_TOOLS),
			                  cases[i].tools),
			          "%zu", i);
		if (cases[i].error)
			cr_expect(strstr(error, cases[i].error), "%zu: %s", i,
			          error);
	}
}

Test(discover, all_lists_and_abilities)
{
	static const struct row rows[] = {
		CAPABLE("\"prompts\":{},\"resources\":{\"subscribe\":true},"
		        "\"logging\":{},\"completions\":{},\"other\":{}},"
		        "\"instructions\":\"say \\u0041\",\"x\":{"),
		PAGE(METHOD("prompts/list"),
		     RESULT("\"prompts\":[1],\"ttlMs\":70000")),
		PAGE(METHOD("resources/list"),
		     RESULT("\"resources\":[2],\"ttlMs\":5")),
		PAGE(METHOD("resources/templates/list"), ERROR("@", "-32601")),
		REST,
	};

	make_reader(rows, ERA_MODERN);
	read_lists();
	cr_assert(known, "%s", error);
	cr_expect_eq(known->origin.abilities,
	             ABILITY_PROMPTS | ABILITY_RESOURCES | ABILITY_SUBSCRIBE |
	                     ABILITY_LOGGING | ABILITY_COMPLETIONS);
	cr_expect(span_is(items(VIEW_MODERN, LIST_TOOLS), ""));
	cr_expect(span_is(items(VIEW_MODERN, LIST_PROMPTS), "1,"));
	cr_expect(span_is(items(VIEW_MODERN, LIST_RESOURCES), "2,"));
	cr_expect(span_is(items(VIEW_MODERN, LIST_TEMPLATES), ""));
	cr_expect(span_is(buf_span(&known->eras[VIEW_MODERN].instructions),
	                  "say A"));
	cr_expect_eq(discover_ttl_ms(reader), DISCOVER_TTL_MIN_MS);
	cr_expect_null(strstr(backend.log, TOOLS));
}

Test(discover, limits)
{
	struct buf many = { .max = 1 << 26 }, large = { .max = 1 << 26 };
	struct row rows[] = { CAPABLE("\"tools\":{}"), PAGE(TOOLS, NULL),
		              REST };

	buf_puts(&many,
	         "{\"jsonrpc\":\"2.0\",\"id\":@,\"result\":{\"tools\":[0");
	for (int i = 0; i < DISCOVER_ITEMS_MAX; i++)
		buf_puts(&many, ",0");
	buf_puts(&many, "]}}");
	buf_putc(&many, '\0');
	rows[1].body = many.bytes;
	make_reader(rows, ERA_MODERN);
	read_lists();
	cr_expect(strstr(error, "too many items"), "%s", error);

	buf_puts(&large,
	         "{\"jsonrpc\":\"2.0\",\"id\":@,\"result\":{\"tools\":[");
	for (int i = 0; i < DISCOVER_BYTES_MAX; i++)
		buf_putc(&large, ' ');
	buf_puts(&large, "]}}");
	buf_putc(&large, '\0');
	rows[1].body = large.bytes;
	make_reader(rows, ERA_MODERN);
	discover_set_timeout(reader, 10000);
	read_lists();
	cr_expect(strstr(error, "more than fits"), "%s", error);
	pthread_mutex_lock(&backend.lock); /* it may still be sending */
	backend.rows = (const struct row[]){ REST };
	pthread_mutex_unlock(&backend.lock);
	buf_free(&many);
	buf_free(&large);
}

/* --- streams and probes
 * -------------------------------------------------------- */

#define CHANGED                            \
	"{\"jsonrpc\":\"2.0\",\"method\":" \
	"\"notifications/tools/list_changed\"}"

Test(discover, changes_of_a_modern_backend)
{
	/* Not an event stream, but one document per line. */
	static const struct row rows[] = {
		CAPABLE("\"tools\":{\"listChanged\":true}"),
		PAGE(TOOLS, RESULT("\"tools\":[]")),
		{ METHOD("subscriptions/listen"), 200, JSON, NULL,
		  "{\"jsonrpc\":\"2.0\",\"method\":"
		  "\"notifications/subscriptions/acknowledged\"}\n" CHANGED
		  "\n",
		  true },
		REST,
	};

	stop_after_changes = 1;
	make_reader(rows, ERA_MODERN);
	discover_read(reader);
	run(2000);
	cr_expect_eq(n_changed, 1);
	cr_expect(strstr(backend.log, "\"toolsListChanged\":true,"
	                              "\"promptsListChanged\":false"));
}

Test(discover, changes_of_a_legacy_backend)
{
	static const struct row rows[] = {
		{ METHOD("initialize"), 200, JSON, "Mcp-Session-Id: s1\r\n",
		  RESULT("\"protocolVersion\":\"2025-11-25\",\"capabilities\":"
		         "{\"tools\":{\"listChanged\":true}}"),
		  false },
		{ METHOD("notifications/initialized"), 202, NULL, NULL, NULL,
		  false },
		PAGE(TOOLS, RESULT("\"tools\":[]")),
		{ "GET /mcp", 200, EVENTS, NULL,
		  "id: 1\ndata:\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"p\","
		  "\"method\":\"ping\"}\n\ndata: " CHANGED "\n\n",
		  true },
		{ METHOD("ping"), 200, JSON, NULL, RESULT(""), false },
		DELETED,
		REST,
	};

	stop_after_changes = 1;
	make_reader(rows, 0);
	discover_read(reader);
	run(2000);
	cr_expect_eq(n_changed, 1);
	stop_after_changes = 0;
	if (discover_is_reading(reader))
		run(2000);
	run(50);
	cr_expect(strstr(backend.log,
	                 "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}"));
	/* The session stays: it is probed and read on. */
	cr_expect_null(strstr(backend.log, "DELETE"));
	discover_probe(reader);
	run(2000);
	cr_expect_eq(n_probed, 1);
	cr_expect_str_empty(error);
	n_read = 0;
	read_lists();
	char *first = strstr(backend.log, METHOD("initialize"));
	cr_expect_null(strstr(first + 1, METHOD("initialize")));
	discover_free(reader);
	reader = NULL;
	run(50);
	cr_expect(strstr(backend.log, "DELETE /mcp"));
}

Test(discover, a_session_that_is_gone)
{
	static const struct row rows[] = {
		{ METHOD("initialize"), 200, JSON, "Mcp-Session-Id: s#\r\n",
		  RESULT("\"protocolVersion\":\"2025-11-25\",\"capabilities\":"
		         "{\"tools\":{\"listChanged\":true}}"),
		  false },
		{ METHOD("notifications/initialized"), 202, NULL, NULL, NULL,
		  false },
		PAGE(TOOLS, RESULT("\"tools\":[]")),
		{ "GET /mcp", 200, EVENTS, NULL, ":\n\n", true },
		DELETED,
		REST,
	};
	static const struct row restarted[] = {
		{ METHOD("initialize"), 200, JSON, "Mcp-Session-Id: new\r\n",
		  RESULT("\"protocolVersion\":\"2025-11-25\",\"capabilities\":"
		         "{\"tools\":{}}"),
		  false },
		{ "Mcp-Session-Id: s#", 404, NULL, NULL, NULL, false },
		{ METHOD("notifications/initialized"), 202, NULL, NULL, NULL,
		  false },
		PAGE(TOOLS, RESULT("\"tools\":[" TOOL("new") "]")),
		DELETED,
		REST,
	};

	make_reader(rows, ERA_LEGACY);
	read_lists();
	run(50);
	pthread_mutex_lock(&backend.lock);
	backend.rows = restarted;
	pthread_mutex_unlock(&backend.lock);
	n_read = 0;
	read_lists();
	cr_expect(span_is(items(VIEW_LEGACY, LIST_TOOLS), TOOL("new") ","),
	          "%s", error);
}

Test(discover, probes)
{
	static const struct {
		struct row rows[ROWS_MAX];
		uint32_t eras;
		const char *error;
	} cases[] = {
		{ { MODERN_OK, REST }, ERA_MODERN, NULL },
		{ { LEGACY_OK, DELETED, REST }, ERA_LEGACY, NULL },
		{ { DISCOVERED(500, ""), REST }, ERA_MODERN, "HTTP 500" },
		{ { DISCOVERED(401, ""), REST }, ERA_MODERN, "HTTP 401" },
		{ { DISCOVERED(0, ""), REST }, ERA_MODERN, "in 500 ms" },
		{ { REST }, ERA_LEGACY, "initialize answered HTTP 404" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_reader(cases[i].rows, cases[i].eras);
		discover_probe(reader);
		run(5000);
		cr_expect_eq(n_probed, (int)i + 1);
		if (cases[i].error)
			cr_expect(strstr(error, cases[i].error), "%zu: %s", i,
			          error);
		else
			cr_expect_str_empty(error);
		if (cases[i].eras == ERA_LEGACY && !cases[i].error) {
			run(50);
			cr_expect(strstr(backend.log, "DELETE"));
		}
	}
}

Test(discover, freed_at_any_time)
{
	static const struct row rows[] = { MODERN_OK, MODERN_LIST, LEGACY_OK,
		                           DELETED,   LEGACY_LIST, REST };

	for (uint64_t ms = 1; ms < 30; ms++) {
		make_reader(rows, 0);
		stop_after_changes = 1; /* do not stop at the end */
		discover_read(reader);
		run(ms);
		discover_free(reader);
		reader = NULL;
		run(2);
	}
}
