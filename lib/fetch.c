#include "lib/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/ip.h"
#include "lib/url.h"

#define CONNECT_DEFAULT_MS 10000
#define SENTENCE_MAX       320   /* bytes, with the NUL */
#define LINE_MAX_BYTES     65536 /* of a header line we send */

/* A socket of libcurl's, watched. Kept for the next one when it is gone, so
 * that an event still under way finds it. */
struct watch {
	struct source src;
	struct fetcher *fr;
	struct watch *next; /* of the spare ones */
};

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer timer; /* libcurl's own */
	struct timer wakeup;
	unsigned depth;      /* calls into libcurl going on */
	struct fetch *fresh; /* libcurl does not know of them yet */
	struct fetch *all;   /* it does */
	struct fetch *due;   /* of those, to be resumed in this turn */
	struct fetch *dead;  /* cancelled while depth was not 0 */
	struct watch *spare;
};

struct fetch {
	struct fetcher *fr;
	struct fetch *next, **link; /* in one of its lists, or NULL */
	CURL *easy;
	struct curl_slist *lines, *resolve, *connect_to;
	const struct fetch_events *events;
	void *owner;
	char *body;
	struct timer timer; /* to the first byte, then between bytes */
	uint64_t answer_timeout_ms, idle_timeout_ms;
	uint64_t max_bytes, taken; /* of the body */
	struct buf head;           /* status line and fields as they came */
	size_t skip;               /* bytes of the next body piece that were
	                              taken before the pause */
	int err;                   /* our own reason to end it */
	bool repeatable;
	bool sent;     /* the request is on its way */
	bool headed;   /* the final head is complete */
	bool paused;   /* the owner took less than it was given */
	bool resuming; /* ... and wants more again */
	bool over;     /* no more callbacks */
	char sentence[SENTENCE_MAX];
	char detail[CURL_ERROR_SIZE];
};

/* How libcurl's reasons are told, and what of its own words is worth adding:
 * those about TLS; the others are the same again, with times in them. */
static const struct {
	CURLcode code;
	int err;
	bool detail;
	const char *sentence;
} reasons[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, false,
	  "the host name has no address" },
	{ CURLE_COULDNT_CONNECT, -ECONNREFUSED, false, "cannot connect" },
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, false,
	  "no connection in time" },
	{ CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED, true,
	  "its certificate is not accepted" },
	{ CURLE_SSL_CONNECT_ERROR, -EKEYREJECTED, true,
	  "the TLS handshake failed" },
	{ CURLE_SSL_CACERT_BADFILE, -EKEYREJECTED, false,
	  "the certificates to trust cannot be read" },
	{ CURLE_SSL_CERTPROBLEM, -EKEYREJECTED, false,
	  "the certificates to trust cannot be read" },
	{ CURLE_GOT_NOTHING, -ECONNRESET, false,
	  "the connection was closed without an answer" },
	{ CURLE_PARTIAL_FILE, -ECONNRESET, false,
	  "the connection broke inside the answer" },
	{ CURLE_RECV_ERROR, -ECONNRESET, false, "the connection broke" },
	{ CURLE_SEND_ERROR, -ECONNRESET, false, "the connection broke" },
	{ CURLE_ABORTED_BY_CALLBACK, -ECONNRESET, false,
	  "the kept connection broke before an answer" },
	{ CURLE_WEIRD_SERVER_REPLY, -EBADMSG, false, "the answer is not HTTP" },
	{ CURLE_UNSUPPORTED_PROTOCOL, -EBADMSG, false,
	  "the answer is not HTTP" },
	{ CURLE_BAD_CONTENT_ENCODING, -EBADMSG, false,
	  "the answer is not HTTP" },
	{ CURLE_OUT_OF_MEMORY, -ENOMEM, false, "out of memory" },
};

/* --- the loop's side -------------------------------------------------------
 */

static void reap(struct fetcher *fr);
static void drain(struct fetcher *fr);
static void on_wakeup(struct timer *t);

/* Wake the loop up, to go on from there and not from inside the caller. */
static void kick(struct fetcher *fr)
{
	loop_soon(fr->loop, &fr->wakeup, on_wakeup);
}

static void act(struct fetcher *fr, curl_socket_t fd, int events)
{
	int running;

	fr->depth++;
	curl_multi_socket_action(fr->multi, fd, events, &running);
	fr->depth--;
	drain(fr);
	reap(fr);
}

static void on_socket(struct source *src, uint32_t events)
{
	struct watch *w = CONTAINER_OF(src, struct watch, src);

	act(w->fr, src->fd,
	    (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
	            (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	            (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static void unwatch(struct fetcher *fr, struct watch *w)
{
	loop_remove(fr->loop, &w->src);
	w->src.fd = -1; /* libcurl closes it */
	w->next = fr->spare;
	fr->spare = w;
}

static struct watch *new_watch(struct fetcher *fr)
{
	struct watch *w = fr->spare;

	if (w)
		fr->spare = w->next;
	else
		w = calloc(1, sizeof(*w));
	return w;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                        void *socket_arg)
{
	static const uint32_t masks[] = {
		[CURL_POLL_NONE] = 0,
		[CURL_POLL_IN] = EPOLLIN,
		[CURL_POLL_OUT] = EPOLLOUT,
		[CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
	};
	struct fetcher *fr = arg;
	struct watch *w = socket_arg;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			unwatch(fr, w);
		return 0;
	}
	if (w) {
		loop_set(fr->loop, &w->src, masks[what]);
		return 0;
	}
	w = new_watch(fr);
	if (!w)
		return -1;
	*w = (struct watch){ .src = { .fd = fd, .on_ready = on_socket },
		             .fr = fr };
	if (loop_add(fr->loop, &w->src, masks[what]) < 0) {
		w->next = fr->spare;
		fr->spare = w;
		return -1;
	}
	curl_multi_assign(fr->multi, fd, w);
	return 0;
}

static void on_timer(struct timer *t)
{
	act(CONTAINER_OF(t, struct fetcher, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long in_ms, void *arg)
{
	struct fetcher *fr = arg;

	(void)multi;
	loop_timer_stop(fr->loop, &fr->timer);
	if (in_ms == 0)
		kick(fr);
	else if (in_ms > 0)
		loop_timer(fr->loop, &fr->timer, (uint64_t)in_ms, on_timer);
	return 0;
}

/* --- the end of a request --------------------------------------------------
 */

static void unlink_fetch(struct fetch *f)
{
	if (!f->link)
		return;
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	f->link = NULL;
}

static struct fetch *take_first(struct fetch **list)
{
	struct fetch *f = *list;

	if (!f)
		return NULL;
	*list = f->next;
	if (f->next)
		f->next->link = list;
	f->link = NULL;
	return f;
}

static void link_fetch(struct fetch **list, struct fetch *f)
{
	f->next = *list;
	f->link = list;
	if (f->next)
		f->next->link = &f->next;
	*list = f;
}

static void free_fetch(struct fetch *f)
{
	unlink_fetch(f);
	loop_timer_stop(f->fr->loop, &f->timer);
	if (f->easy) {
		/* Not part of it any more: then this answers an error. */
		curl_multi_remove_handle(f->fr->multi, f->easy);
		curl_easy_cleanup(f->easy);
	}
	curl_slist_free_all(f->lines);
	curl_slist_free_all(f->resolve);
	curl_slist_free_all(f->connect_to);
	buf_free(&f->head);
	free(f->body);
	free(f);
}

static void reap(struct fetcher *fr)
{
	struct fetch *f;

	while (fr->depth == 0 && (f = take_first(&fr->dead)))
		free_fetch(f);
}

static void end(struct fetch *f, int err, const char *sentence)
{
	if (f->over)
		return;
	f->over = true;
	loop_timer_stop(f->fr->loop, &f->timer);
	f->events->on_end(f, err, sentence);
	free_fetch(f);
}

static void end_by(struct fetch *f, CURLcode code)
{
	const char *sentence = curl_easy_strerror(code);
	const char *detail = "";
	int err = -EIO;
	long os = 0;

	if (f->err == -EMSGSIZE) {
		end(f, f->err, "the answer is too large");
		return;
	}
	if (code == CURLE_OK && f->headed) {
		end(f, 0, "");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].code == code) {
			err = reasons[i].err;
			sentence = reasons[i].sentence;
			detail = reasons[i].detail ? f->detail : "";
		}
	}
	curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os);
	if (err == -ECONNREFUSED && os > 0)
		detail = strerror((int)os);
	snprintf(f->sentence, sizeof(f->sentence), "%s%s%s", sentence,
	         *detail ? ": " : "", detail);
	end(f, err, f->sentence);
}

/* What libcurl says is over. Calls back, so from outside of libcurl only. */
static void drain(struct fetcher *fr)
{
	CURLMsg *msg;
	int left;

	while (fr->depth == 0 &&
	       (msg = curl_multi_info_read(fr->multi, &left))) {
		CURLcode code = msg->data.result;
		char *private = NULL;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
		end_by((struct fetch *)(void *)private, code);
	}
}

static void on_silence(struct timer *t)
{
	struct fetch *f = CONTAINER_OF(t, struct fetch, timer);

	snprintf(f->sentence, sizeof(f->sentence), "%s in %llu ms",
	         f->head.len ? "no further byte" : "no answer",
	         (unsigned long long)(f->head.len ? f->idle_timeout_ms
	                                          : f->answer_timeout_ms));
	end(f, -ETIMEDOUT, f->sentence);
}

static void arm(struct fetch *f, uint64_t timeout_ms)
{
	if (timeout_ms)
		loop_timer(f->fr->loop, &f->timer, timeout_ms, on_silence);
	else
		loop_timer_stop(f->fr->loop, &f->timer);
}

/* --- libcurl's callbacks ---------------------------------------------------
 */

/* Connected; the request is sent next. */
static int before_request(void *arg, char *peer, char *own, int peer_port,
                          int own_port)
{
	struct fetch *f = arg;

	(void)peer;
	(void)own;
	(void)peer_port;
	(void)own_port;
	/* libcurl begins again on its own after a kept connection broke. What
	   was sent may have been executed: not when that would do harm. */
	if (f->over || (f->sent && !f->repeatable))
		return CURL_PREREQFUNC_ABORT;
	f->sent = true;
	arm(f, f->answer_timeout_ms);
	return CURL_PREREQFUNC_OK;
}

static void report_head(struct fetch *f)
{
	long status = 0;
	struct fetch_head head = {
		.content_type = fetch_field(f, SPAN("content-type")),
		.mcp_session_id = fetch_field(f, SPAN("mcp-session-id")),
		.www_authenticate = fetch_field(f, SPAN("www-authenticate")),
		.retry_after = fetch_field(f, SPAN("retry-after")),
	};

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	head.status = (int)status;
	f->headed = true;
	if (f->events->on_head)
		f->events->on_head(f, &head);
}

static bool is_interim(struct fetch *f)
{
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	return status < 200;
}

static size_t take_line(char *at, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	struct span line = span_of(at, size * n);

	if (f->over)
		return 0;
	if (f->headed) /* a trailer field (RFC 9110, section 6.5) */
		return line.len;
	arm(f, f->idle_timeout_ms);
	if (span_starts(line, SPAN("HTTP/")))
		buf_reset(&f->head);
	buf_add_span(&f->head, line);
	if (buf_err(&f->head) < 0) {
		f->err = -EMSGSIZE;
		return 0;
	}
	if ((span_eq(line, SPAN("\r\n")) || span_eq(line, SPAN("\n"))) &&
	    !is_interim(f))
		report_head(f);
	return f->over ? 0 : line.len;
}

static size_t take_body(char *at, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	struct span piece = span_of(at, size * n);
	size_t used = MIN(f->skip, piece.len);

	if (f->over)
		return 0;
	f->skip -= used;
	piece = span_from(piece, used);
	if (piece.len == 0)
		return used;
	if (f->max_bytes && piece.len > f->max_bytes - f->taken) {
		f->err = -EMSGSIZE;
		return 0;
	}
	arm(f, f->idle_timeout_ms);

	size_t taken = f->events->on_body(f, piece);
	if (f->over)
		return 0;
	assert(taken <= piece.len);
	f->taken += taken;
	if (taken == piece.len)
		return used + taken;
	/* libcurl keeps the whole piece and gives it again. */
	f->skip = used + taken;
	f->paused = true;
	loop_timer_stop(f->fr->loop, &f->timer);
	return CURL_WRITEFUNC_PAUSE;
}

/* --- starting --------------------------------------------------------------
 */

static bool is_sendable(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return line.len <= LINE_MAX_BYTES;
}

/* A header line for libcurl, which takes "Name:" for an order to leave the
 * field out and "Name;" for an empty field. */
static bool add_line(struct fetch *f, struct span line)
{
	size_t name = span_find(line, ':');
	bool empty = span_trim(span_from(line, name + 1)).len == 0;
	struct buf text = { .max = LINE_MAX_BYTES + 2 };
	struct curl_slist *longer = NULL;

	if (name == 0 || name == line.len || !is_sendable(line))
		return false;
	buf_add_span(&text, empty ? span_first(line, name) : line);
	if (empty)
		buf_putc(&text, ';');
	buf_putc(&text, '\0');
	if (buf_err(&text) == 0)
		longer = curl_slist_append(f->lines, text.bytes);
	if (longer)
		f->lines = longer;
	buf_free(&text);
	return longer != NULL;
}

static bool add_fields(struct fetch *f, struct span fields)
{
	while (fields.len) {
		size_t n = span_find(fields, '\n');

		if (n == fields.len || n == 0 || fields.at[n - 1] != '\r' ||
		    !add_line(f, span_first(fields, n - 1)))
			return false;
		fields = span_from(fields, n + 1);
	}
	return true;
}

/* These are libcurl's own ideas; we say what we want to have said. */
static bool add_lines(struct fetch *f, const struct fetch_request *req)
{
	static const char *const silent[] = { "Expect:", "User-Agent:" };

	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		struct curl_slist *longer =
			curl_slist_append(f->lines, silent[i]);

		if (!longer)
			return false;
		f->lines = longer;
	}
	for (size_t i = 0; i < req->n_lines; i++)
		if (!add_line(f, req->lines[i]))
			return false;
	return add_fields(f, req->fields);
}

static bool add_addresses(struct fetch *f, const struct url *url,
                          const struct fetch_request *req)
{
	struct buf text = { .max = 1024 };
	char before = ':'; /* the first address, then ',' */
	struct ip ip;
	uint16_t port;

	if (req->n_addresses == 0 || ip_parse(url->host, &ip))
		return true;
	buf_addf(&text, "%.*s:%u", SPAN_ARG(url->host), url->port);
	for (size_t i = 0; i < req->n_addresses; i++) {
		char as[IP_TEXT_MAX];

		if (!ip_from_sockaddr((const void *)&req->addresses[i], &ip,
		                      &port))
			continue;
		ip_format(as, &ip);
		buf_addf(&text, ip_is_v4(&ip) ? "%c%s" : "%c[%s]", before, as);
		before = ',';
	}
	buf_putc(&text, '\0');
	if (buf_err(&text) == 0)
		f->resolve = curl_slist_append(NULL, text.bytes);
	buf_free(&text);
	return f->resolve != NULL;
}

/* Of any host and any port. Unlike CURLOPT_RESOLVE it decides which connections
 * may be used again. */
static bool add_connect_to(struct fetch *f, const struct fetch_request *req)
{
	char address[IP_TEXT_MAX], text[IP_TEXT_MAX + 16];
	struct ip ip;
	uint16_t port;

	if (!req->connect_to)
		return true;
	if (!ip_from_sockaddr((const void *)req->connect_to, &ip, &port))
		return false;
	ip_format(address, &ip);
	snprintf(text, sizeof(text), ip_is_v4(&ip) ? "::%s:%u" : "::[%s]:%u",
	         address, port);
	f->connect_to = curl_slist_append(NULL, text);
	return f->connect_to != NULL;
}

static char *text_of(struct span s)
{
	char *text = malloc(s.len + 1);

	if (!text)
		return NULL;
	if (s.len)
		memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	return text;
}

static bool set_text(CURL *easy, CURLoption option, struct span value)
{
	char *text = text_of(value);
	bool good = text && curl_easy_setopt(easy, option, text) == CURLE_OK;

	free(text);
	return good;
}

static bool set_trust(CURL *easy, struct span ca_pem)
{
	struct curl_blob blob = {
		.data = (void *)(uintptr_t)ca_pem.at,
		.len = ca_pem.len,
		.flags = CURL_BLOB_COPY,
	};

	/* With the directory of certificates besides, libcurl reads the file
	   for each connection instead of once. */
	if (curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
		return false;
	return ca_pem.len == 0 ||
	       curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

static bool set_method(struct fetch *f, const struct fetch_request *req)
{
	struct span method = req->method;
	CURL *easy = f->easy;

	if (method.len == 0)
		method = req->body.len ? SPAN("POST") : SPAN("GET");
	for (size_t i = 0; i < method.len; i++)
		if (method.at[i] < 'A' || method.at[i] > 'Z')
			return false;
	if (span_is(method, "HEAD"))
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	/* Their length is part of them, even when it is 0 (RFC 9110, 8.6). */
	if (req->body.len || span_is(method, "POST") ||
	    span_is(method, "PUT") || span_is(method, "PATCH")) {
		f->body = text_of(req->body);
		if (!f->body)
			return false;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, f->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		                 (curl_off_t)req->body.len);
	}
	return set_text(easy, CURLOPT_CUSTOMREQUEST, method);
}

/* These setopt calls can only fail by a bug: assert. */
#define SET(option, value)                                                \
	do {                                                              \
		CURLcode set_ = curl_easy_setopt(f->easy, option, value); \
		assert(set_ == CURLE_OK);                                 \
		(void)set_;                                               \
	} while (0)

/* libcurl counts whole seconds, and one is over only when the next begins. */
static long unused_s(uint64_t ms)
{
	if (ms == 0)
		return FETCH_POOL_AGE_S;
	return ms > 2000 ? (long)(ms / 1000 - 1) : 1;
}

static bool set_up(struct fetch *f, const struct fetch_request *req)
{
	uint64_t connect_ms = req->connect_timeout_ms ? req->connect_timeout_ms
	                                              : CONNECT_DEFAULT_MS;
	struct url url;

	if (url_parse(req->url, &url) != URL_OK)
		return false;
	f->easy = curl_easy_init();
	if (!f->easy || !set_text(f->easy, CURLOPT_URL, req->url) ||
	    !set_method(f, req) || !add_lines(f, req) ||
	    !add_addresses(f, &url, req) || !add_connect_to(f, req) ||
	    !set_trust(f->easy, req->ca_pem))
		return false;
	SET(CURLOPT_HTTPHEADER, f->lines);
	SET(CURLOPT_RESOLVE, f->resolve);
	SET(CURLOPT_CONNECT_TO, f->connect_to);
	SET(CURLOPT_PRIVATE, f);
	SET(CURLOPT_ERRORBUFFER, f->detail);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_MAXAGE_CONN, unused_s(req->unused_ms));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	SET(CURLOPT_PREREQFUNCTION, before_request);
	SET(CURLOPT_PREREQDATA, f);
	SET(CURLOPT_HEADERFUNCTION, take_line);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, f);
	return true;
}

struct fetch *fetch_start(struct fetcher *fr, const struct fetch_request *req)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fr = fr;
	f->events = req->events;
	f->owner = req->owner;
	f->answer_timeout_ms = req->answer_timeout_ms;
	f->idle_timeout_ms = req->idle_timeout_ms;
	f->max_bytes = req->max_bytes;
	f->repeatable = req->repeatable;
	f->head.max = FETCH_HEAD_MAX;
	if (!set_up(f, req)) {
		free_fetch(f);
		return NULL;
	}
	link_fetch(&fr->fresh, f);
	kick(fr); /* libcurl refuses to be called from its callbacks */
	return f;
}

static void add_new(struct fetcher *fr)
{
	struct fetch *f;

	while ((f = take_first(&fr->fresh))) {
		link_fetch(&fr->all, f);
		if (curl_multi_add_handle(fr->multi, f->easy) != CURLM_OK)
			end(f, -ENOMEM, "out of memory");
	}
}

/* --- what owners ask -------------------------------------------------------
 */

void *fetch_owner(const struct fetch *f)
{
	return f->owner;
}

void fetch_hand_over(struct fetch *f, const struct fetch_events *events,
                     void *owner)
{
	f->events = events;
	f->owner = owner;
}

struct span fetch_field(const struct fetch *f, struct span name)
{
	struct span rest = buf_span(&f->head);

	while (rest.len) {
		size_t n = span_find(rest, '\n');
		struct span line = span_first(rest, n);
		size_t colon = span_find(line, ':');

		if (line.len && line.at[line.len - 1] == '\r')
			line.len--;
		if (colon < line.len &&
		    span_eq_nocase(span_first(line, colon), name))
			return span_trim(span_from(line, colon + 1));
		rest = span_from(rest, n + 1);
	}
	return span_of(NULL, 0);
}

bool fetch_was_sent(const struct fetch *f)
{
	return f->sent;
}

void fetch_set_idle(struct fetch *f, uint64_t idle_timeout_ms)
{
	f->idle_timeout_ms = idle_timeout_ms;
	if (f->head.len && !f->paused && !f->over)
		arm(f, idle_timeout_ms);
}

void fetch_resume(struct fetch *f)
{
	if (!f->paused || f->over)
		return;
	f->resuming = true;
	kick(f->fr);
}

void fetch_cancel(struct fetch *f)
{
	if (f->over)
		return;
	f->over = true;
	loop_timer_stop(f->fr->loop, &f->timer);
	unlink_fetch(f);
	link_fetch(&f->fr->dead, f);
	reap(f->fr);
}

/* libcurl calls take_body() right here with what it kept. */
static void resume(struct fetch *f)
{
	struct fetcher *fr = f->fr;

	f->paused = false;
	arm(f, f->idle_timeout_ms);
	fr->depth++;
	curl_easy_pause(f->easy, CURLPAUSE_CONT);
	fr->depth--;
	/* An error in there ends the call, but not the transfer. */
	if (f->err)
		end_by(f, CURLE_WRITE_ERROR);
	reap(fr);
}

/* The callbacks may end any of them. */
static void resume_all(struct fetcher *fr)
{
	struct fetch *f, *next;

	for (f = fr->all; f; f = next) {
		next = f->next;
		if (!f->resuming)
			continue;
		f->resuming = false;
		unlink_fetch(f);
		link_fetch(&fr->due, f);
	}
	while ((f = take_first(&fr->due))) {
		link_fetch(&fr->all, f);
		resume(f);
	}
}

/* --- the fetcher -----------------------------------------------------------
 */

static void on_wakeup(struct timer *t)
{
	struct fetcher *fr = CONTAINER_OF(t, struct fetcher, wakeup);

	add_new(fr);
	resume_all(fr);
	act(fr, CURL_SOCKET_TIMEOUT, 0);
}

static bool begin(struct fetcher *fr)
{
	fr->multi = curl_multi_init();
	if (!fr->multi)
		return false;
	curl_multi_setopt(fr->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(fr->multi, CURLMOPT_SOCKETDATA, fr);
	curl_multi_setopt(fr->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(fr->multi, CURLMOPT_TIMERDATA, fr);
	curl_multi_setopt(fr->multi, CURLMOPT_MAXCONNECTS,
	                  (long)FETCH_IDLE_POOL_MAX);
	curl_multi_setopt(fr->multi, CURLMOPT_PIPELINING,
	                  (long)CURLPIPE_NOTHING);
	return true;
}

struct fetcher *fetcher_new(struct loop *loop)
{
	struct fetcher *fr = calloc(1, sizeof(*fr));

	if (!fr)
		return NULL;
	fr->loop = loop;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(fr);
		return NULL;
	}
	if (!begin(fr)) {
		fetcher_free(fr);
		return NULL;
	}
	return fr;
}

size_t fetcher_running(const struct fetcher *fr)
{
	const struct fetch *const lists[] = { fr->fresh, fr->all, fr->due };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const struct fetch *f = lists[i]; f; f = f->next)
			n++;
	return n;
}

static void free_all(struct fetch **list)
{
	struct fetch *f;

	while ((f = take_first(list))) {
		f->over = true;
		free_fetch(f);
	}
}

void fetcher_free(struct fetcher *fr)
{
	if (!fr)
		return;
	assert(fr->depth == 0 && !fr->due);
	free_all(&fr->fresh);
	free_all(&fr->all);
	if (fr->multi)
		curl_multi_cleanup(fr->multi);
	loop_timer_stop(fr->loop, &fr->timer);
	loop_timer_stop(fr->loop, &fr->wakeup);
	while (fr->spare) {
		struct watch *w = fr->spare;

		fr->spare = w->next;
		free(w);
	}
	free(fr);
	curl_global_cleanup();
}
