#include "master/bridge.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/sse.h"
#include "master/envelope.h"
#include "master/outlet.h"

#define READ_BYTES   65536 /* of standard input at once */
#define POLL_FILE_MS 1     /* a file is always ready, and epoll knows none */
#define DRAIN_MS     2000  /* for the last lines, once there is no server */
#define TEXT_MAX     256

/* How a server is stopped: politely, at once, by force. */
static const struct {
	int number;
	uint64_t wait_ms;
} stops[] = {
	{ SIGTERM, 4000 }, /* above its own grace, see master/config */
	{ SIGQUIT, 3000 },
	{ SIGKILL, 3000 },
};

enum stage {
	CARRYING,
	FINISHING, /* nothing new is taken */
	STOPPING,  /* the server is told to stop */
	DRAINING,  /* it is gone; the last lines go out */
};

struct bridge {
	const struct bridge_options *options;
	struct loop *loop;
	struct fetcher *fetcher;
	struct outlet out;
	struct source in;
	struct source signals;
	struct timer timer; /* of the stage */
	struct timer file;  /* standard input is a file */
	struct buf input;   /* what was read and not taken */
	size_t searched;    /* bytes of it without a line's end */
	size_t taken;       /* bytes of it that were */
	struct envelope_session session;
	struct call *calls;
	size_t n_calls;
	struct sockaddr_storage address;
	char url[64];
	char authorization[TEXT_MAX];
	enum stage stage;
	size_t stop;    /* row of stops[] that comes next */
	bool is_file;   /* standard input is */
	bool is_asking; /* it is watched */
	bool at_end;    /* it has ended */
	bool skipping;  /* to the end of a line that is too long */
	bool opening;   /* an initialize is open */
	bool failed;    /* the server ended by itself */
};

/* One open POST. */
struct call {
	struct bridge *bridge;
	struct call *next, *prev;
	struct fetch *fetch;
	enum envelope_kind kind;
	bool opens, listens;
	bool answered;
	bool paused;
	bool is_stream;
	int status;
	struct sse events;
	struct buf body;
	char version[ENVELOPE_VERSION_MAX + 1];
	size_t id_len;
	char id[];
};

static struct span id_of(const struct call *c)
{
	return span_of(c->id, c->id_len);
}

/* --- open requests -------------------------------------------------------- */

static void link_call(struct bridge *b, struct call *c)
{
	c->bridge = b;
	c->next = b->calls;
	if (b->calls)
		b->calls->prev = c;
	b->calls = c;
	b->n_calls++;
	if (c->opens)
		b->opening = true;
}

static void free_call(struct call *c)
{
	struct bridge *b = c->bridge;

	if (c->prev)
		c->prev->next = c->next;
	else
		b->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	b->n_calls--;
	if (c->opens)
		b->opening = false;
	sse_fini(&c->events);
	buf_free(&c->body);
	free(c);
}

/* Over, without another callback; a request always gets an answer. */
static void drop(struct call *c, const char *why)
{
	if (c->fetch)
		fetch_cancel(c->fetch);
	if (why && c->kind == ENVELOPE_REQUEST && !c->answered)
		envelope_error(id_of(c), ENVELOPE_INTERNAL_ERROR, why,
		               &c->bridge->out.queue);
	free_call(c);
}

static void drop_all(struct bridge *b, const char *why)
{
	for (struct call *c = b->calls, *next; c; c = next) {
		next = c->next;
		drop(c, why);
	}
}

/* One message of the server's. */
static void deliver(struct call *c, struct span text)
{
	struct bridge *b = c->bridge;

	if (c->kind == ENVELOPE_NOTIFICATION || c->kind == ENVELOPE_RESPONSE) {
		log_warning("the server refused a message",
		            LOG_INT("status", c->status),
		            LOG_SPAN("answer", text));
		return;
	}
	if (envelope_answer(text, id_of(c), c->opens ? c->version : NULL,
	                    &b->out.queue) != ENVELOPE_ANSWERED)
		return;
	c->answered = true;
	if (c->opens && *c->version)
		memcpy(b->session.version, c->version, sizeof(c->version));
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct call *c = fetch_owner(f);
	struct span id = head->mcp_session_id;

	c->status = head->status;
	c->is_stream =
		span_starts(head->content_type, SPAN("text/event-stream"));
	if (c->opens && head->status == 200 && id.len <= ENVELOPE_SESSION_MAX)
		snprintf(c->bridge->session.id, sizeof(c->bridge->session.id),
		         "%.*s", SPAN_ARG(id));
}

/* False when one of them is too long. */
static bool read_events(struct call *c, struct span body)
{
	struct sse_event event;
	enum sse_result result;

	while ((result = sse_next(&c->events, &body, &event)) == SSE_EVENT)
		if (event.data.len)
			deliver(c, event.data);
	return result == SSE_MORE;
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct call *c = fetch_owner(f);
	bool fits;

	if (outlet_is_full(&c->bridge->out)) {
		c->paused = true;
		return FETCH_PAUSE;
	}
	if (c->is_stream) {
		fits = read_events(c, body);
	} else {
		buf_add_span(&c->body, body);
		fits = buf_err(&c->body) == 0;
	}
	if (!fits)
		drop(c, "the server's answer is too long");
	return body.len;
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct call *c = fetch_owner(f);
	char why[TEXT_MAX] = "the server ended its answer too early";

	if (err == 0 && !c->is_stream && c->body.len)
		deliver(c, buf_span(&c->body));
	if (err < 0)
		snprintf(why, sizeof(why), "the server cannot be reached: %s",
		         sentence);
	else if (c->status != 200)
		snprintf(why, sizeof(why), "the server answered with HTTP %d",
		         c->status);
	c->fetch = NULL;
	drop(c, why);
}

/* --- messages of the client ----------------------------------------------- */

static struct fetch *post(struct bridge *b, struct call *c,
                          const struct envelope *e, struct span text)
{
	static const struct fetch_events events = { on_head, on_body, on_end };
	const struct span lines[] = {
		span_str(b->authorization),
		SPAN("Content-Type: application/json"),
		SPAN("Accept: application/json, text/event-stream"),
	};
	struct buf fields = { .max = 2 * BRIDGE_LINE_MAX };

	envelope_fields(e, &b->session, &fields);

	struct fetch *f = NULL;
	if (buf_err(&fields) == 0)
		f = fetch_start(b->fetcher, &(struct fetch_request){
						    .method = SPAN("POST"),
						    .url = span_str(b->url),
						    .lines = lines,
						    .n_lines = ARRAY_LEN(lines),
						    .fields = buf_span(&fields),
						    .body = text,
						    .addresses = &b->address,
						    .n_addresses = 1,
						    .events = &events,
						    .owner = c,
					    });
	buf_free(&fields);
	return f;
}

static void start_call(struct bridge *b, const struct envelope *e,
                       struct span text)
{
	struct call *c = calloc(1, sizeof(*c) + e->id.len + 1);

	if (!c) {
		if (e->kind == ENVELOPE_REQUEST)
			envelope_error(e->id, ENVELOPE_INTERNAL_ERROR,
			               "out of memory", &b->out.queue);
		return;
	}
	c->kind = e->kind;
	c->opens = e->opens;
	c->listens = e->listens;
	c->events.data.max = BRIDGE_ANSWER_MAX;
	c->body.max = BRIDGE_ANSWER_MAX;
	if (e->kind == ENVELOPE_REQUEST) {
		c->id_len = e->id.len;
		memcpy(c->id, e->id.at, e->id.len);
	}
	link_call(b, c);
	if (e->opens)
		b->session = (struct envelope_session){ .id = "" };
	c->fetch = post(b, c, e, text);
	if (!c->fetch)
		drop(c, "the request cannot be sent");
}

/* An initialize may not be cancelled (lifecycle of every legacy revision). */
static void cancel(struct bridge *b, struct span id)
{
	for (struct call *c = b->calls; c; c = c->next) {
		if (c->id_len == 0 || c->opens || !span_eq(id_of(c), id))
			continue;
		drop(c, NULL);
		return;
	}
}

static bool is_blank(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if (!strchr(" \t\r", line.at[i]))
			return false;
	return true;
}

static void take_line(struct bridge *b, struct span line)
{
	struct envelope e;
	const char *why;

	if (is_blank(line))
		return;

	int code = envelope_read(line, &e, &why);
	if (code < 0)
		envelope_error(span_of(NULL, 0), code, why, &b->out.queue);
	else if (e.cancels.len)
		cancel(b, e.cancels);
	else
		start_call(b, &e, line);
}

/* --- standard input ------------------------------------------------------- */

static struct span rest(const struct bridge *b)
{
	return span_from(buf_span(&b->input), b->taken);
}

static bool may_take(const struct bridge *b)
{
	return b->stage == CARRYING && !b->opening &&
	       b->n_calls < BRIDGE_CALLS_MAX && !outlet_is_full(&b->out);
}

/* The next line, which a missing end at the end of the input also ends. */
static bool next_line(struct bridge *b, struct span *line)
{
	struct span left = rest(b);
	size_t n = b->searched + span_find(span_from(left, b->searched), '\n');

	*line = span_first(left, n);
	if (n == left.len && !(b->at_end && n > 0)) {
		b->searched = n;
		return false;
	}
	b->searched = 0;
	b->taken += MIN(n + 1, left.len);
	return true;
}

static void skip_long_line(struct bridge *b)
{
	static char why[TEXT_MAX];

	if (!b->skipping) {
		snprintf(why, sizeof(why), "a message is longer than %u bytes",
		         BRIDGE_LINE_MAX);
		envelope_error(span_of(NULL, 0), ENVELOPE_INVALID_REQUEST, why,
		               &b->out.queue);
	}
	b->skipping = true;
	b->taken = b->input.len;
	b->searched = 0;
}

static void take_lines(struct bridge *b)
{
	struct span line;

	while (may_take(b) && next_line(b, &line)) {
		if (!b->skipping)
			take_line(b, line);
		b->skipping = false;
	}
	if (rest(b).len > BRIDGE_LINE_MAX && b->searched == rest(b).len)
		skip_long_line(b);
	buf_consume(&b->input, b->taken);
	b->taken = 0;
}

static void read_input(struct bridge *b)
{
	char *at = buf_reserve(&b->input, READ_BYTES);
	ssize_t n = at ? read(b->options->in, at, READ_BYTES) : -1;

	if (n > 0)
		buf_commit(&b->input, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		b->at_end = true;
}

static void on_input(struct source *src, uint32_t events)
{
	(void)events;
	read_input(CONTAINER_OF(src, struct bridge, in));
}

static void on_file(struct timer *t)
{
	struct bridge *b = CONTAINER_OF(t, struct bridge, file);

	b->is_asking = false;
	read_input(b);
}

/* Hang-up is reported whatever is watched, so not to read is not to watch. */
static void ask(struct bridge *b)
{
	bool wanted = may_take(b) && !b->at_end;

	if (wanted == b->is_asking)
		return;
	b->is_asking = wanted;
	if (b->is_file && wanted)
		loop_timer(b->loop, &b->file, POLL_FILE_MS, on_file);
	else if (b->is_file)
		loop_timer_stop(b->loop, &b->file);
	else if (!wanted)
		loop_remove(b->loop, &b->in);
	else if (loop_add(b->loop, &b->in, EPOLLIN) < 0)
		b->at_end = true;
}

/* --- the end -------------------------------------------------------------- */

static void on_drained(struct timer *t)
{
	loop_stop(CONTAINER_OF(t, struct bridge, timer)->loop);
}

static void on_stop_late(struct timer *t)
{
	struct bridge *b = CONTAINER_OF(t, struct bridge, timer);

	if (b->stop == ARRAY_LEN(stops)) {
		log_error("the server does not stop");
		loop_stop(b->loop);
		return;
	}
	kill(b->options->server, stops[b->stop].number);
	loop_timer(b->loop, t, stops[b->stop].wait_ms, on_stop_late);
	b->stop++;
}

static void stop_server(struct bridge *b)
{
	if (b->stage >= STOPPING)
		return;
	b->stage = STOPPING;
	drop_all(b, "stopped before the answer was there");
	fetcher_free(b->fetcher); /* it waits for no connection then */
	b->fetcher = NULL;
	on_stop_late(&b->timer);
}

static void on_finish_late(struct timer *t)
{
	stop_server(CONTAINER_OF(t, struct bridge, timer));
}

static void finish(struct bridge *b)
{
	struct call *next;

	if (b->stage != CARRYING)
		return;
	b->stage = FINISHING;
	for (struct call *c = b->calls; c; c = next) {
		next = c->next;
		if (c->listens) /* would never end by itself */
			drop(c, NULL);
	}
	loop_timer(b->loop, &b->timer, BRIDGE_FINISH_MS, on_finish_late);
}

static void reap(struct bridge *b)
{
	if (b->stage == DRAINING ||
	    waitpid(b->options->server, NULL, WNOHANG) == 0)
		return;
	if (b->stage != STOPPING) {
		b->failed = true;
		log_error("the server ended by itself");
	}
	b->stage = DRAINING;
	drop_all(b, "the server ended");
	loop_timer(b->loop, &b->timer, DRAIN_MS, on_drained);
}

static void on_signal(struct source *src, uint32_t events)
{
	struct bridge *b = CONTAINER_OF(src, struct bridge, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(src->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(b);
		else if (b->stage == FINISHING)
			stop_server(b);
		else
			finish(b);
	}
}

/* --- all of it ------------------------------------------------------------ */

static void resume_paused(struct bridge *b)
{
	if (outlet_is_full(&b->out))
		return;
	for (struct call *c = b->calls; c; c = c->next) {
		if (!c->paused)
			continue;
		c->paused = false;
		fetch_resume(c->fetch);
	}
}

/* After everything that happened: what follows from it. */
static void turn(void *arg)
{
	struct bridge *b = arg;

	outlet_flush(&b->out);
	resume_paused(b);
	take_lines(b);
	if (b->at_end && b->input.len == 0)
		finish(b);
	if (b->stage == FINISHING && b->n_calls == 0)
		stop_server(b);
	outlet_flush(&b->out);
	if (b->out.is_broken)
		stop_server(b);
	if (b->stage == DRAINING && outlet_waiting(&b->out) == 0)
		loop_stop(b->loop);
	ask(b);
}

void bridge_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

static int watch_input(struct bridge *b)
{
	b->in = (struct source){ .fd = b->options->in, .on_ready = on_input };

	int err = loop_add(b->loop, &b->in, EPOLLIN);
	b->is_asking = true;
	if (err != -EPERM)
		return err;
	b->is_file = true; /* epoll(7) knows no regular files */
	loop_timer(b->loop, &b->file, POLL_FILE_MS, on_file);
	return 0;
}

static int watch_signals(struct bridge *b)
{
	sigset_t set;

	bridge_signals(&set);
	b->signals = (struct source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.on_ready = on_signal,
	};
	return b->signals.fd < 0 ? os_error()
	                         : loop_add(b->loop, &b->signals, EPOLLIN);
}

static void set_address(struct bridge *b)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)b->options->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	memcpy(&b->address, &at, sizeof(at));
	snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%d/mcp",
	         b->options->port);
	snprintf(b->authorization, sizeof(b->authorization),
	         "Authorization: Bearer %s", b->options->token);
}

static int set_up(struct bridge *b)
{
	/* A whole line, and what may follow it in one piece. */
	b->input.max = BRIDGE_LINE_MAX + 2 * READ_BYTES;
	b->signals.fd = -1;
	set_address(b);
	b->loop = loop_new();
	b->fetcher = b->loop ? fetcher_new(b->loop) : NULL;
	if (!b->fetcher)
		return -ENOMEM;

	int err = outlet_open(&b->out, b->loop, b->options->out);
	if (err == 0)
		err = watch_input(b);
	if (err == 0)
		err = watch_signals(b);
	loop_on_turn(b->loop, turn, b);
	return err;
}

static void tear_down(struct bridge *b)
{
	drop_all(b, NULL);
	fetcher_free(b->fetcher);
	outlet_close(&b->out);
	buf_free(&b->input);
	if (b->signals.fd >= 0)
		close(b->signals.fd);
	loop_free(b->loop);
	free(b);
}

/* The server would run on without us. */
static void kill_server(struct bridge *b)
{
	kill(b->options->server, SIGKILL);
	waitpid(b->options->server, NULL, 0);
}

int bridge_run(const struct bridge_options *options)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->options = options;

	int err = set_up(b);
	if (err == 0)
		err = loop_run(b->loop);
	if (err < 0)
		log_error("the bridge failed", LOG_ERR(err));
	if (b->stage != DRAINING)
		kill_server(b);
	if (err == 0 && b->failed)
		err = -ECHILD;
	tear_down(b);
	return err;
}
