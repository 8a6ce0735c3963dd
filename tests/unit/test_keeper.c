#include "master/keeper.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "master/charge.h"
#include "proxy/catalog.h"
#include "shm/control.h"
#include "shm/segment.h"

#define WAIT_MS 5000

/* --- a backend with some tools -----------------------------------------------
 */

static struct {
	int listener;
	uint16_t port;
	_Atomic int tools;  /* tool_0, tool_1, ... */
	_Atomic int status; /* of every answer */
} backend = { .tools = 3, .status = 200 };

static void answer(int fd, const char *request)
{
	const char *id = strstr(request, "\"id\":");
	struct buf body = { .max = 1 << 20 }, out = { .max = 1 << 20 };

	buf_addf(&body, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{",
	         id ? atoi(id + 5) : 0);
	if (strstr(request, "Mcp-Method: server/discover"))
		buf_puts(&body, "\"supportedVersions\":[\"2026-07-28\"],"
		                "\"capabilities\":{\"tools\":{}}}}");
	else
		buf_puts(&body, "\"tools\":[");
	if (strstr(request, "Mcp-Method: tools/list")) {
		for (int i = 0; i < backend.tools; i++)
			buf_addf(&body,
			         "%s{\"name\":\"tool_%d\",\"inputSchema\":"
			         "{\"type\":\"object\"}}",
			         i ? "," : "", i);
		buf_puts(&body, "]}}");
	}
	buf_addf(&out, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n",
	         backend.status, backend.status == 200 ? body.len : 0);
	if (backend.status == 200)
		buf_add_span(&out, buf_span(&body));
	(void)!send(fd, out.bytes, out.len, MSG_NOSIGNAL);
	buf_free(&out);
	buf_free(&body);
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[8192];
	ssize_t n;

	/* Requests of the keeper are small: they come in one piece. */
	while ((n = recv(fd, request, sizeof(request) - 1, 0)) > 0) {
		request[n] = '\0';
		answer(fd, request);
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
	cr_assert_eq(listen(backend.listener, 16), 0);
	getsockname(backend.listener, (void *)&at, &len);
	backend.port = ntohs(at.sin_port);
	pthread_create(&thread, NULL, serve, NULL);
	pthread_detach(thread);
}

/* --- a master
 * ------------------------------------------------------------------ */

static struct board *board;
static struct snapshot *last; /* what the keeper sent last */
static int control = -1;
static pid_t pid;
static int n_catalogs;
static uint64_t discovered; /* generation whose backends were all asked */

static struct ref text(struct builder *b, const char *s)
{
	return builder_text(b, span_str(s));
}

/* A configuration with this many backends, all of them the same server. */
static int compose(uint64_t generation, uint32_t n, const char *host)
{
	static struct catalog_backend *const nothing[BACKENDS_MAX];
	struct settings settings = {
		.discovery_interval = 60000,
		.discovery_timeout = 1000,
		.upstream_resolve_interval = 1000,
	};
	struct backend backends[4] = { 0 };
	struct builder b;
	char buf[128];

	builder_init(&b);
	struct ref r = builder_array(&b, &settings, 1, sizeof(settings));
	builder_header(&b)->settings = r;
	builder_header(&b)->config_generation = generation;
	for (uint32_t i = 0; i < n; i++) {
		struct backend *to = &backends[i];

		snprintf(buf, sizeof(buf), "b%u", i);
		to->name = text(&b, buf);
		to->identifier = text(&b, buf);
		to->slot = board_backend_slot(board, span_str(buf));
		snprintf(buf, sizeof(buf), "http://%s:%u/mcp", host,
		         backend.port);
		to->url = text(&b, buf);
		to->host = text(&b, host);
		to->port = backend.port;
		to->eras = ERA_MODERN;
		to->flags = BACKEND_NAMESPACE;
		to->connect_timeout_ms = 1000;
		to->stream_idle_ms = 60000;
		to->health_interval_ms = 100;
	}
	r = builder_array(&b, backends, n, sizeof(*backends));
	builder_header(&b)->backends = r;
	builder_end_config(&b);
	cr_assert_eq(catalog_build(&b, board, nothing), 0);
	return builder_freeze(&b);
}

static void send_snapshot(int fd)
{
	struct control msg = { .type = CONTROL_SNAPSHOT };

	cr_assert_geq(fd, 0);
	cr_assert_eq(control_send(control, &msg, fd), 0);
	close(fd);
}

static uint32_t tools(void)
{
	return last ? snapshot_view(last, VIEW_LEGACY)
	                       ->lists[LIST_TOOLS]
	                       .entries.len
	            : 0;
}

/* Wait for a catalogue. False when none comes in time. */
static bool next_catalog(int for_ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)for_ms;
	struct pollfd p = { .fd = control, .events = POLLIN };
	struct control msg;
	int fd;

	while (clock_mono_ms() < until) {
		poll(&p, 1, 10);
		if (control_receive(control, &msg, &fd) <= 0)
			continue;
		if (msg.type == CONTROL_READY) {
			discovered = msg.number;
			continue;
		}
		cr_assert_eq(msg.type, CONTROL_CATALOG);
		snapshot_unref(last);
		last = NULL;
		cr_assert_eq(snapshot_open(fd, &last), 0);
		cr_assert_eq(msg.serial, last->head->catalog_serial);
		n_catalogs++;
		return true;
	}
	return false;
}

static bool wait_for_tools(uint32_t n)
{
	uint64_t until = clock_mono_ms() + WAIT_MS;

	while (tools() != n && clock_mono_ms() < until)
		next_catalog(50);
	return tools() == n;
}

static bool wait_for(const _Atomic uint32_t *value, uint32_t wanted)
{
	uint64_t until = clock_mono_ms() + WAIT_MS;

	while (*value != wanted && clock_mono_ms() < until)
		usleep(1000);
	return *value == wanted;
}

static void start_keeper(void)
{
	int fds[2];

	cr_assert_eq(control_pair(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		close(fds[0]);
		log_set_level(LOG_ERROR);
		_exit(keeper_main(board, fds[1]));
	}
	close(fds[1]);
	control = fds[0];
}

static int reap(void)
{
	int status = -1;

	waitpid(pid, &status, 0);
	pid = 0;
	return status;
}

static void begin(void)
{
	int fd;

	cr_assert_eq(board_new(16, 16, &board, &fd), 0);
	close(fd);
	start_keeper(); /* before there are threads */
	start_backend();
}

static void end(void)
{
	close(control);
	if (pid > 0)
		cr_expect_eq(reap(), 0);
	snapshot_unref(last);
}

TestSuite(keeper, .init = begin, .fini = end, .timeout = 30);

Test(keeper, answers_at_once_and_then_better)
{
	send_snapshot(compose(1, 2, "127.0.0.1"));
	cr_assert(next_catalog(WAIT_MS));
	cr_expect_eq(tools(), OWN_TOOLS);
	cr_expect(wait_for_tools(OWN_TOOLS + 6));
	cr_expect_eq(snapshot_origin(last, 1)->eras, ERA_MODERN);
	cr_expect_eq(snapshot_origin(last, 1)->n_addresses, 1);
	for (int i = 0; i < 2; i++) {
		cr_expect(wait_for(&board->backends[i].health, HEALTH_HEALTHY));
		cr_expect(wait_for(&board->backends[i].n_tools, 3));
		cr_expect_gt(board->backends[i].latency_us, 0);
	}
	/* Nothing changes: no catalogue comes, but that all were asked. */
	cr_expect_not(next_catalog(500));
	cr_expect_eq(discovered, 1);
}

Test(keeper, host_names)
{
	send_snapshot(compose(1, 1, "localhost"));
	cr_expect(wait_for_tools(OWN_TOOLS + 3));
	cr_expect_geq(snapshot_origin(last, 0)->n_addresses, 1);
}

Test(keeper, a_host_without_address)
{
	send_snapshot(compose(1, 1, "no.such.host.invalid"));
	cr_expect(wait_for(&board->backends[0].health, HEALTH_DEGRADED));
	cr_expect(strstr(board->backends[0].error, "has no address"));
	while (discovered != 1 && next_catalog(WAIT_MS))
		;
	cr_expect_eq(discovered, 1);
}

Test(keeper, another_configuration)
{
	send_snapshot(compose(1, 1, "127.0.0.1"));
	cr_assert(wait_for_tools(OWN_TOOLS + 3));
	/* Whatever the backend does now: what is known is there at once. */
	backend.status = 503;
	send_snapshot(compose(2, 1, "127.0.0.1"));
	cr_assert(next_catalog(WAIT_MS));
	cr_expect_eq(last->head->config_generation, 2);
	cr_expect_eq(tools(), OWN_TOOLS + 3);
	/* Also when it has moved. */
	send_snapshot(compose(3, 1, "localhost"));
	cr_assert(next_catalog(WAIT_MS));
	cr_expect_eq(last->head->config_generation, 3);
	cr_expect_eq(tools(), OWN_TOOLS + 3);
	/* The same one again is answered again. */
	send_snapshot(compose(3, 1, "localhost"));
	while (next_catalog(300))
		;
	cr_expect_eq(tools(), OWN_TOOLS + 3);
	cr_expect_geq(n_catalogs, 5);

	send_snapshot(compose(4, 0, "127.0.0.1"));
	cr_expect(wait_for_tools(OWN_TOOLS));
	cr_expect_eq(board->backends[0].health, HEALTH_DISCONNECTED);
}

Test(keeper, its_successor_takes_nothing_away)
{
	send_snapshot(compose(1, 2, "127.0.0.1"));
	cr_assert(wait_for_tools(OWN_TOOLS + 6));
	uint64_t serial = last->head->catalog_serial;
	int fd = segment_freeze("copy", last->base, last->size);

	kill(pid, SIGKILL);
	reap();
	close(control);
	start_keeper();
	send_snapshot(fd);
	cr_assert(next_catalog(WAIT_MS));
	cr_expect_eq(tools(), OWN_TOOLS + 6);
	cr_expect_gt(last->head->catalog_serial, serial);
}

Test(keeper, health_and_what_is_known)
{
	struct backend_row *row = &board->backends[0];

	send_snapshot(compose(1, 1, "127.0.0.1"));
	cr_assert(wait_for_tools(OWN_TOOLS + 3));
	cr_assert(wait_for(&row->health, HEALTH_HEALTHY));
	backend.status = 503;
	cr_expect(wait_for(&row->health, HEALTH_DEGRADED));
	cr_expect(wait_for(&row->health, HEALTH_UNHEALTHY));
	cr_expect_geq(row->failures_in_row, CHARGE_UNHEALTHY);
	cr_expect(strstr(row->error, "HTTP 503"));
	cr_expect_not(next_catalog(200));
	row->open_until_ms = UINT64_MAX;
	backend.tools = 5;
	backend.status = 200;
	cr_expect(wait_for(&row->health, HEALTH_HEALTHY));
	cr_expect_eq(row->open_until_ms, 0);
	cr_expect_str_empty(row->error);
	/* It was away: its lists are read anew. */
	cr_expect(wait_for_tools(OWN_TOOLS + 5));
}

Test(keeper, reads_again_when_told)
{
	struct control msg = { .type = CONTROL_REFRESH };

	send_snapshot(compose(1, 2, "127.0.0.1"));
	cr_assert(wait_for_tools(OWN_TOOLS + 6));
	backend.tools = 4;
	for (int i = 0; i < 50; i++)
		cr_assert_eq(control_send(control, &msg, -1), 0);
	cr_expect(wait_for_tools(OWN_TOOLS + 7));
}

Test(keeper, drains)
{
	struct control msg = { .type = CONTROL_DRAIN };

	send_snapshot(compose(1, 2, "127.0.0.1"));
	cr_assert(next_catalog(WAIT_MS));
	cr_assert_eq(control_send(control, &msg, -1), 0);
	cr_expect_eq(reap(), 0);
}
