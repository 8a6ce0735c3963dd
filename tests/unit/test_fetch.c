#include "lib/fetch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/tls.h"

#define WAIT_MS 5000 /* nothing here takes longer, unless it fails */

/* --- a server that says one thing on every connection ----------------------
 */

static struct server {
	int listener;
	uint16_t port;
	const char *answer; /* what it says; NULL: nothing, for ever */
	size_t cut;         /* bytes of it before a short break; 0: none */
	size_t repeat;      /* copies of body behind it */
	bool keep;          /* wait for another request instead of closing */
	struct tls_context *tls; /* NULL: none */
	int n_connections;
	char request[65536]; /* of the last request: head and body */
	size_t n_request;
} server;

static size_t body_length(const char *head)
{
	const char *p = strcasestr(head, "content-length:");

	return p ? strtoul(p + 15, NULL, 10) : 0;
}

static bool read_request(int fd)
{
	server.n_request = 0;
	for (;;) {
		ssize_t n =
			recv(fd, server.request + server.n_request,
		             sizeof(server.request) - server.n_request - 1, 0);
		if (n <= 0)
			return false;
		server.n_request += (size_t)n;
		server.request[server.n_request] = '\0';

		const char *end = strstr(server.request, "\r\n\r\n");
		if (end &&
		    server.n_request >= (size_t)(end - server.request) + 4 +
		                                body_length(server.request))
			return true;
	}
}

static void say(int fd, const char *at, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		at += sent;
		n -= (size_t)sent;
	}
}

static void serve_tls(int fd)
{
	struct tls *tls = tls_accept(server.tls, fd);
	char request[4096];
	uint32_t want;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = tls_read(tls, request, sizeof(request), &want)) ==
	       -EAGAIN) {
		struct pollfd p = { .fd = fd, .events = (short)want };

		poll(&p, 1, WAIT_MS);
	}
	if (n > 0)
		(void)!tls_write(tls, server.answer, strlen(server.answer),
		                 &want);
	tls_close(tls);
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char block[4096];
	char byte;

	if (server.tls) {
		serve_tls(fd);
		close(fd);
		return NULL;
	}

	memset(block, 'x', sizeof(block));
	while (read_request(fd)) {
		if (!server.answer) {
			recv(fd, &byte, 1, 0); /* until the client leaves */
			break;
		}
		size_t n = strlen(server.answer);
		size_t cut = MIN(server.cut, n);
		say(fd, server.answer, cut);
		if (cut)
			usleep(2000);
		say(fd, server.answer + cut, n - cut);
		for (size_t i = 0; i < server.repeat; i++)
			say(fd, block, sizeof(block));
		if (!server.keep)
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
		int fd = accept(server.listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		server.n_connections++;
		pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
}

static void start_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	pthread_t thread;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server.listener, (void *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(server.listener, 64), 0);
	getsockname(server.listener, (void *)&at, &len);
	server.port = ntohs(at.sin_port);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_detach(thread);
}

/* --- a client that remembers what it was told ------------------------------
 */

static struct loop *loop;
static struct fetcher *fetcher;
static struct timer deadline;

static struct client {
	struct fetch *f;
	int heads, ends, bodies;
	int status, err;
	bool was_sent;
	char type[64], session[64], sentence[256], field[64];
	struct buf body;
	bool hold;      /* do not resume by yourself */
	size_t at_once; /* take no more than this of a piece; 0: all */
	int cancel_in;  /* 1: on_head, 2: on_body, 3: on_end */
	int left;       /* requests until the loop stops */
	struct timer resume;
} client;

static void remember(char *to, size_t size, struct span s)
{
	snprintf(to, size, "%.*s", SPAN_ARG(s));
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	client.heads++;
	client.status = head->status;
	remember(client.type, sizeof(client.type), head->content_type);
	remember(client.session, sizeof(client.session), head->mcp_session_id);
	remember(client.field, sizeof(client.field),
	         fetch_field(f, SPAN("X-Other")));
	if (client.cancel_in == 1)
		fetch_cancel(f);
}

static void resume(struct timer *t)
{
	(void)t;
	fetch_resume(client.f);
}

static size_t on_body(struct fetch *f, struct span body)
{
	size_t n = body.len;

	client.bodies++;
	if (client.cancel_in == 2) {
		fetch_cancel(f);
		return FETCH_PAUSE;
	}
	if (client.at_once && n > client.at_once) {
		n = client.at_once;
		if (!client.hold)
			loop_timer(loop, &client.resume, 1, resume);
	}
	buf_add(&client.body, body.at, n);
	return n;
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	client.ends++;
	client.err = err;
	client.was_sent = fetch_was_sent(f);
	remember(client.sentence, sizeof(client.sentence), span_str(sentence));
	if (client.cancel_in == 3)
		fetch_cancel(f);
	if (--client.left <= 0)
		loop_stop(loop);
}

static const struct fetch_events events = { on_head, on_body, on_end };

static void too_late(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void begin(void)
{
	start_server();
	loop = loop_new();
	fetcher = fetcher_new(loop);
	cr_assert(loop && fetcher);
	client.body.max = 1 << 26;
}

static void end(void)
{
	fetcher_free(fetcher);
	loop_timer_stop(loop, &client.resume);
	loop_timer_stop(loop, &deadline);
	loop_free(loop);
	buf_free(&client.body);
}

TestSuite(fetch, .init = begin, .fini = end, .timeout = 20);

static struct fetch_request request(const char *path, char url[64])
{
	snprintf(url, 64, "http://127.0.0.1:%u%s", server.port, path);
	/* The server here closes after an answer although it promised to stay:
	   what was sent into that must be sent again. */
	return (struct fetch_request){ .url = span_str(url),
		                       .repeatable = true,
		                       .events = &events };
}

static void run(uint64_t for_ms)
{
	loop_timer(loop, &deadline, for_ms, too_late);
	cr_assert_eq(loop_run(loop), 0);
}

static void go(const struct fetch_request *req)
{
	buf_reset(&client.body);
	client.heads = client.ends = client.bodies = 0;
	client.f = fetch_start(fetcher, req);
	cr_assert(client.f);
	cr_assert_eq(client.heads + client.ends, 0); /* never inside */
	run(WAIT_MS);
}

#define OK(more) "HTTP/1.1 200 OK\r\n" more

Test(fetch, whole_answers)
{
	static const struct {
		const char *answer, *body;
		int status, err;
	} cases[] = {
		{ OK("Content-Length: 5\r\n\r\nhello"), "hello", 200, 0 },
		{ OK("Content-Length: 0\r\n\r\n"), "", 200, 0 },
		{ OK("\r\nuntil the end"), "until the end", 200, 0 },
		{ OK("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"
		     "0\r\nX-Other: late\r\n\r\n"),
		  "abcde", 200, 0 },
		{ "HTTP/1.1 100 Continue\r\nX-Other: early\r\n\r\n"
		  "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
		  "no", 404, 0 },
		{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
		  "Content-Length: 1\r\n\r\nx",
		  "x", 302, 0 },
		{ "HTTP/1.1 204 No Content\r\n\r\n", "", 204, 0 },
		{ OK("Content-Length: 9\r\n\r\nhello"), "hello", 200,
		  -ECONNRESET },
		{ OK("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2"), "abc",
		  200, -ECONNRESET },
		{ "SSH-2.0-OpenSSH_9\r\n", "", 0, -EBADMSG },
		{ "", "", 0, -ECONNRESET },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* In one piece, then cut everywhere. */
		for (size_t cut = 0; cut < strlen(cases[i].answer); cut++) {
			char url[64];
			struct fetch_request req = request("/", url);

			server.answer = cases[i].answer;
			server.cut = cut;
			go(&req);
			cr_assert_eq(client.ends, 1, "%zu", i);
			cr_assert_eq(client.err, cases[i].err, "%zu/%zu: %d %s",
			             i, cut, client.err, client.sentence);
			if (cases[i].status) {
				cr_assert_eq(client.heads, 1);
				cr_assert_eq(client.status, cases[i].status);
				cr_assert(span_is(buf_span(&client.body),
				                  cases[i].body));
			}
			cr_assert_eq(client.field[0], '\0');
			cr_assert((client.err == 0) == !client.sentence[0]);
		}
	}
}

Test(fetch, what_is_sent)
{
	static const struct span lines[] = {
		{ "Accept: a/b", 11 },
		{ "X-Empty:", 8 },
	};
	char url[64], expected[512];
	struct fetch_request req = request("/a/../b?c=%2e", url);

	req.lines = lines;
	req.n_lines = ARRAY_LEN(lines);
	req.fields = SPAN("Authorization: Bearer x\r\nA: b\r\n");
	req.body = SPAN("{\0}");
	server.answer =
		OK("Content-Type: text/x; a=b\r\nmcp-session-ID:  s \r\n"
	           "X-OTHER: o\r\nContent-Length: 0\r\n\r\n");
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	go(&req);
	cr_expect_eq(client.err, 0, "%s", client.sentence);
	snprintf(expected, sizeof(expected),
	         "POST /a/../b?c=%%2e HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	         "Accept: a/b\r\nX-Empty:\r\nAuthorization: Bearer x\r\n"
	         "A: b\r\nContent-Length: 3\r\n"
	         "Content-Type: application/x-www-form-urlencoded\r\n\r\n{",
	         server.port);
	cr_expect_str_eq(server.request, expected);
	cr_expect_str_eq(client.type, "text/x; a=b");
	cr_expect_str_eq(client.session, "s");
	cr_expect_str_eq(client.field, "o");
}

Test(fetch, what_cannot_be_sent)
{
	static const struct span bad_lines[] = { { "no colon", 8 },
		                                 { ": x", 3 },
		                                 { "A: b\r\nC: d", 10 },
		                                 { "A: \0", 4 } };
	static const char *const bad_urls[] = { "", "ftp://a/", "http:///",
		                                "http://u:p@a/",
		                                "file:///etc/passwd" };
	char url[64];

	for (size_t i = 0; i < ARRAY_LEN(bad_lines); i++) {
		struct fetch_request req = request("/", url);

		req.lines = &bad_lines[i];
		req.n_lines = 1;
		cr_expect_null(fetch_start(fetcher, &req), "%zu", i);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_urls); i++) {
		struct fetch_request req = request("/", url);

		req.url = span_str(bad_urls[i]);
		cr_expect_null(fetch_start(fetcher, &req), "%zu", i);
	}
	struct fetch_request req = request("/", url);
	req.fields = SPAN("A: b\n");
	cr_expect_null(fetch_start(fetcher, &req));
	req.fields = SPAN("A: b");
	cr_expect_null(fetch_start(fetcher, &req));
}

Test(fetch, connections_are_kept)
{
	char url[64];

	server.answer = OK("Content-Length: 2\r\n\r\nok");
	server.keep = true;
	for (int i = 0; i < 20; i++) {
		struct fetch_request req = request("/", url);

		go(&req);
		cr_assert_eq(client.err, 0, "%s", client.sentence);
	}
	cr_expect_eq(server.n_connections, 1);
}

/* A server may be closing one that has not been used for long. */
Test(fetch, an_old_connection_is_left_alone)
{
	struct fetch_request req;
	char url[64];

	server.answer = OK("Content-Length: 2\r\n\r\nok");
	server.keep = true;
	for (int i = 0; i < 3; i++) {
		req = request("/", url);
		req.unused_ms = i == 1 ? 0 : 1;
		go(&req);
		cr_assert_eq(client.err, 0, "%s", client.sentence);
		cr_expect_eq(server.n_connections, i < 2 ? 1 : 2, "%d", i);
		sleep(i == 2 ? 0 : 2);
	}
}

Test(fetch, nothing_is_done_twice)
{
	char url[64];

	/* The server closes after an answer that promised to stay. */
	server.answer = "";
	for (int repeatable = 0; repeatable < 2; repeatable++) {
		struct fetch_request req = request("/", url);

		req.body = SPAN("{}");
		req.repeatable = repeatable;
		server.n_connections = 0;
		go(&req);
		cr_expect_eq(client.err, -ECONNRESET);
		cr_expect(client.was_sent);
		cr_expect_eq(server.n_connections, 1);
	}
}

Test(fetch, times_out)
{
	char url[64];
	struct fetch_request req = request("/", url);

	req.answer_timeout_ms = 50;
	go(&req);
	cr_expect_eq(client.err, -ETIMEDOUT);
	cr_expect_str_eq(client.sentence, "no answer in 50 ms");
	cr_expect(client.was_sent);

	req.idle_timeout_ms = 60;
	server.answer = OK("Content-Length: 9\r\n\r\nhello");
	server.keep = true;
	go(&req);
	cr_expect_eq(client.err, -ETIMEDOUT);
	cr_expect_str_eq(client.sentence, "no further byte in 60 ms");
	cr_expect(span_is(buf_span(&client.body), "hello"));
}

Test(fetch, refused)
{
	char url[64];
	int spare = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(spare, (void *)&at, sizeof(at)), 0);
	getsockname(spare, (void *)&at, &len);
	struct fetch_request req = request("/", url);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(at.sin_port));
	req.url = span_str(url);
	go(&req);
	cr_expect_eq(client.err, -ECONNREFUSED);
	cr_expect_not(client.was_sent);
	cr_expect_eq(client.heads, 0);
	close(spare);
}

Test(fetch, given_addresses_are_used)
{
	struct sockaddr_storage at[2] = { 0 };
	struct sockaddr_in *v4 = (void *)&at[0];
	struct sockaddr_in6 *v6 = (void *)&at[1];
	char url[64], host[80];
	struct fetch_request req = request("/", url);

	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6->sin6_family = AF_INET6;
	v6->sin6_addr.s6_addr[15] = 1;
	snprintf(url, sizeof(url), "http://No.Such.Host:%u/", server.port);
	req.url = span_str(url);
	req.addresses = at;
	req.n_addresses = 2;
	server.answer = OK("Content-Length: 2\r\n\r\nok");
	go(&req);
	cr_expect_eq(client.err, 0, "%s", client.sentence);
	snprintf(host, sizeof(host), "\r\nHost: No.Such.Host:%u\r\n",
	         server.port);
	cr_expect(strstr(server.request, host));
}

/* Another server, that says "two". */
static void *say_two(void *arg)
{
	static const char answer[] = OK("Content-Length: 3\r\n\r\ntwo");
	int fd = (int)(intptr_t)arg;
	char bytes[4096];
	size_t n = 0;
	ssize_t more;

	while ((more = recv(fd, bytes + n, sizeof(bytes) - n, 0)) > 0) {
		n += (size_t)more;
		if (n < 4 || memcmp(bytes + n - 4, "\r\n\r\n", 4) != 0)
			continue;
		say(fd, answer, strlen(answer));
		n = 0;
	}
	close(fd);
	return NULL;
}

static void *serve_two(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	pthread_t thread;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_create(&thread, NULL, say_two, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return NULL;
}

/* On ::1, where there is one. */
static struct sockaddr_storage start_two(void)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		                   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	pthread_t thread;

	if (listener < 0 || bind(listener, (void *)&v6, sizeof(v6)) < 0) {
		close(listener);
		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_eq(bind(listener, (void *)&v4, sizeof(v4)), 0);
	}
	cr_assert_eq(listen(listener, 64), 0);
	getsockname(listener, (void *)&at, &len);
	pthread_create(&thread, NULL, serve_two, (void *)(intptr_t)listener);
	pthread_detach(thread);
	return at;
}

/* Two servers of one name, or of one address that is that of neither: a kept
 * connection to one is none to the other. */
Test(fetch, where_to_connect)
{
	static const char *const urls[] = { "http://no.such.host/",
		                            "http://192.0.2.1:9/",
		                            "http://[2001:db8::1]/" };
	struct sockaddr_storage at[2] = { [1] = start_two() };
	struct sockaddr_in *one = (void *)&at[0];

	one->sin_family = AF_INET;
	one->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	one->sin_port = htons(server.port);
	server.answer = OK("Content-Length: 3\r\n\r\none");
	server.keep = true;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		server.n_connections = 0;
		for (int turn = 0; turn < 6; turn++) {
			struct fetch_request req = {
				.url = span_str(urls[i]),
				.connect_to = &at[turn % 2],
				.events = &events,
			};

			go(&req);
			cr_assert_eq(client.err, 0, "%s: %s", urls[i],
			             client.sentence);
			cr_expect(span_is(buf_span(&client.body),
			                  turn % 2 ? "two" : "one"),
			          "%s %d: %.*s", urls[i], turn,
			          SPAN_ARG(buf_span(&client.body)));
		}
		cr_expect_eq(server.n_connections, 1, "it is kept");
	}
	struct sockaddr_storage nowhere = { .ss_family = AF_UNIX };
	struct fetch_request req = { .url = span_str(urls[0]),
		                     .connect_to = &nowhere,
		                     .events = &events };
	cr_expect_null(fetch_start(fetcher, &req));
}

Test(fetch, too_large)
{
	char url[64];
	struct fetch_request req = request("/", url);

	req.max_bytes = 4;
	server.answer = OK("Content-Length: 4\r\n\r\nfour");
	go(&req);
	cr_expect_eq(client.err, 0);
	server.answer = OK("Content-Length: 5\r\n\r\nhello");
	go(&req);
	cr_expect_eq(client.err, -EMSGSIZE);
	cr_expect_eq(client.bodies, 0);

	static struct buf head = { .max = 1 << 20 }; /* the server's, too */
	buf_puts(&head, OK(""));
	for (int i = 0; i < 1000; i++)
		buf_addf(&head, "X-%d: %0100d\r\n", i, i);
	buf_puts(&head, "\r\n");
	buf_putc(&head, '\0');
	server.answer = head.bytes;
	go(&req);
	cr_expect_eq(client.err, -EMSGSIZE);
}

Test(fetch, slow_reader)
{
	char url[64];
	struct fetch_request req = request("/", url);

	req.idle_timeout_ms = 2000;
	client.at_once = 5000;
	server.answer = OK("\r\n");
	server.repeat = 256;
	go(&req);
	cr_expect_eq(client.err, 0, "%s", client.sentence);
	cr_expect_eq(client.body.len, 256 * 4096);
	for (size_t i = 0; i < client.body.len; i++)
		cr_assert_eq(client.body.bytes[i], 'x');
}

Test(fetch, pause_does_not_count_as_silence)
{
	char url[64];
	struct fetch_request req = request("/", url);

	req.idle_timeout_ms = 30;
	client.at_once = 1;
	server.answer = OK("Content-Length: 3\r\n\r\nabc");
	client.hold = true;
	client.f = fetch_start(fetcher, &req);
	run(100);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(client.ends, 0);
		fetch_resume(client.f);
		run(50);
	}
	cr_expect_eq(client.err, 0);
	cr_expect(span_is(buf_span(&client.body), "abc"));
}

Test(fetch, cancel_anywhere)
{
	char url[64];

	server.answer = OK("Content-Length: 5\r\n\r\nhello");
	for (int where = 1; where <= 3; where++) {
		struct fetch_request req = request("/", url);

		client.cancel_in = where;
		client.heads = client.ends = 0;
		client.f = fetch_start(fetcher, &req);
		run(100);
		cr_expect_eq(client.heads, 1);
		cr_expect_eq(client.ends, where == 3);
	}
	client.cancel_in = 0;
	for (int turns = 0; turns < 4; turns++) {
		struct fetch_request req = request("/", url);

		client.heads = client.ends = 0;
		server.answer = NULL;
		client.f = fetch_start(fetcher, &req);
		if (turns)
			run(10);
		fetch_cancel(client.f);
		run(20);
		cr_expect_eq(client.ends, 0);
	}
}

static void start_another(struct fetch *f, const struct fetch_head *head)
{
	char url[64];
	struct fetch_request req = request("/", url);

	(void)head;
	if (!fetch_owner(f))
		cr_assert(fetch_start(fetcher, &req));
}

Test(fetch, another_from_a_callback)
{
	static const struct fetch_events asking = { start_another, on_body,
		                                    on_end };
	char url[64];
	struct fetch_request req = request("/", url);

	server.answer = OK("Content-Length: 5\r\n\r\nhello");
	req.events = &asking;
	client.left = 2;
	cr_assert(fetch_start(fetcher, &req));
	cr_expect_eq(fetcher_running(fetcher), 1);
	run(WAIT_MS);
	cr_expect_eq(client.ends, 2);
	cr_expect_eq(client.heads, 1);
	cr_expect_eq(fetcher_running(fetcher), 0);
}

Test(fetch, many_at_once)
{
	char url[64];
	struct fetch_request req = request("/", url);

	server.answer = OK("Content-Length: 5\r\n\r\nhello");
	server.keep = true;
	client.left = 200;
	for (int i = 0; i < 200; i++)
		cr_assert(fetch_start(fetcher, &req));
	run(WAIT_MS);
	cr_expect_eq(client.ends, 200);
	cr_expect_eq(client.body.len, 1000);
}

/* --- TLS ---------------------------------------------------------------------
 */

static struct span pem(BIO *bio)
{
	char *at;
	long n = BIO_get_mem_data(bio, &at);

	return span_of(at, (size_t)n);
}

/* A certificate for a name, signed by itself. */
static void make_certificate(const char *name, BIO *cert_pem, BIO *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, (char *)(uintptr_t)name);

	cr_assert(key && cert && names);
	X509_set_version(cert, 2);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN",
	                           MBSTRING_ASC, (const unsigned char *)"test",
	                           -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_add_ext(cert, names, -1);
	X509_set_pubkey(cert, key);
	cr_assert(X509_sign(cert, key, EVP_sha256()));
	PEM_write_bio_X509(cert_pem, cert);
	PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
	X509_EXTENSION_free(names);
	X509_free(cert);
	EVP_PKEY_free(key);
}

Test(fetch, certificates)
{
	static const struct {
		const char *name;
		bool trusted;
		int err;
	} cases[] = {
		{ "IP:127.0.0.1", true, 0 },
		{ "DNS:example.com", true, -EKEYREJECTED },
		{ "IP:127.0.0.1", false, -EKEYREJECTED },
	};

	static struct tls_context *kept[ARRAY_LEN(cases)]; /* by threads */

	signal(SIGPIPE, SIG_IGN);
	server.answer = OK("Content-Length: 5\r\n\r\nhello");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
		char url[64], why[TLS_WHY_MAX];
		struct fetch_request req = request("/", url);

		make_certificate(cases[i].name, cert, key);
		cr_assert_eq(tls_context_from_memory(pem(cert), pem(key),
		                                     &kept[i], why),
		             0);
		server.tls = kept[i];
		snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
		         server.port);
		req.url = span_str(url);
		if (cases[i].trusted)
			req.ca_pem = pem(cert);
		go(&req);
		cr_expect_eq(client.err, cases[i].err, "%zu: %d %s", i,
		             client.err, client.sentence);
		cr_expect_eq(client.was_sent, cases[i].err == 0);
		BIO_free(cert);
		BIO_free(key);
	}
	/* And a server that does not speak it. */
	server.tls = NULL;
	char url[64];
	struct fetch_request req = request("/", url);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", server.port);
	req.url = span_str(url);
	req.connect_timeout_ms = 200;
	go(&req);
	cr_expect(client.err == -ETIMEDOUT || client.err == -EKEYREJECTED);
}
