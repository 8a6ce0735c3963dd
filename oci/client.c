#include "oci/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/scan.h"
#include "lib/url.h"
#include "lib/value.h"
#include "lib/version.h"
#include "oci/sign.h"

#define ID_BYTES  16  /* of an opc-request-id of ours */
#define SHOWN_MAX 120 /* bytes shown of an answer that is no JSON */
#define LINES_MAX 16384

struct client {
	struct client_config config;
	struct client_call *calls; /* all that run */
	size_t n_calls;
	int64_t skew_s;
	uint64_t seed;
};

static void sign(struct client_call *c);

struct client *client_new(const struct client_config *config)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->config = *config;
	crypto_random(&client->seed, sizeof(client->seed));
	return client;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	while (client->calls)
		client_cancel(client->calls);
	free(client);
}

int64_t client_skew_s(const struct client *client)
{
	return client->skew_s;
}

size_t client_running(const struct client *client)
{
	return client->n_calls;
}

/* --- the end ---------------------------------------------------------------
 */

static void leave(struct client_call *c)
{
	if (!c->client)
		return;
	if (c->fetch)
		fetch_cancel(c->fetch);
	if (c->signature)
		signature_cancel(c->signature);
	c->fetch = NULL;
	c->signature = NULL;
	loop_timer_stop(c->client->config.loop, &c->timer);
	if (c->next)
		c->next->prev = c->prev;
	*c->prev = c->next;
	c->client->n_calls--;
	c->client = NULL;
}

static void finish(struct client_call *c, enum client_end end)
{
	c->end = end;
	c->took_us = clock_mono_us() - c->started_us;
	if (c->wanted && end == CLIENT_OK && !c->closed)
		buf_putc(&c->answer, ']');
	if (buf_err(&c->answer) < 0 && end == CLIENT_OK)
		c->end = CLIENT_MEMORY;
	if (c->end != CLIENT_OK)
		log_info("cloud request failed", LOG_SPAN("method", c->method),
		         LOG_INT("status", c->status), LOG_STR("code", c->code),
		         LOG_STR("opc_request_id", c->request_id),
		         LOG_INT("tries", c->n_tries));
	leave(c);
	c->on_done(c);
}

void client_cancel(struct client_call *call)
{
	leave(call);
}

void client_call_fini(struct client_call *call)
{
	leave(call);
	buf_free(&call->answer);
	buf_free(&call->body_in);
}

PRINTF(2, 3)
static void say(struct client_call *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->message, sizeof(c->message), format, args);
	va_end(args);
}

static void say_too_long(struct client_call *c)
{
	say(c, "the answer is longer than %zu bytes, or memory is short",
	    c->max_bytes);
}

static void copy(char *out, size_t size, struct span from)
{
	size_t n = MIN(from.len, size - 1);

	if (n)
		memcpy(out, from.at, n);
	out[n] = '\0';
}

/* --- what an answer says ---------------------------------------------------
 */

static bool is_json(struct span text)
{
	struct scan_error why;

	return scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

/* Text of a service, for people: one line. */
static void copy_text(char *out, size_t size, struct span raw)
{
	char *text = malloc(raw.len + 1); /* it may be long */
	int n = text ? value_string(raw, text, raw.len + 1) : 0;

	copy(out, size, span_of(text, (size_t)MAX(n, 0)));
	free(text);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

/* {"code":"...","message":"..."}; anything else comes from a proxy. */
static void read_error(struct client_call *c)
{
	struct span body = buf_span(&c->body_in);

	c->code[0] = '\0';
	say(c, "the service answered with status %d", c->status);
	if (body.len == 0)
		return;
	if (!is_json(body)) {
		struct span first = span_first(span_trim(body), SHOWN_MAX);
		bool plain = true;

		for (size_t i = 0; i < first.len; i++)
			plain = plain && (unsigned char)first.at[i] >= 0x20 &&
			        (unsigned char)first.at[i] < 0x7f;
		if (plain)
			say(c, "status %d, and no error document: %.*s",
			    c->status, SPAN_ARG(first));
		return;
	}
	copy_text(c->code, sizeof(c->code), value_get(body, SPAN("code")));
	if (value_type(value_get(body, SPAN("message"))) == VALUE_STRING)
		copy_text(c->message, sizeof(c->message),
		          value_get(body, SPAN("message")));
}

/* The array that holds a page's items: the body, or its member of a known
 * name. */
static struct span items_of(const struct client_call *c, struct span body)
{
	static const struct span names[] = { { "items", 5 },
		                             { "objects", 7 },
		                             { "data", 4 } };

	if (value_type(body) == VALUE_ARRAY)
		return body;
	if (c->items.len &&
	    value_type(value_get(body, c->items)) == VALUE_ARRAY)
		return value_get(body, c->items);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct span items = value_get(body, names[i]);

		if (value_type(items) == VALUE_ARRAY)
			return items;
	}
	return span_of(NULL, 0);
}

static void add_items(struct client_call *c, struct span body)
{
	struct span items = items_of(c, body), item;
	struct value_iter it;

	if (items.len == 0)
		return;
	value_iter_init(&it, items);
	while (value_array_next(&it, &item)) {
		if (c->n_items == c->wanted) {
			c->more = true;
			return;
		}
		if (c->n_items++)
			buf_putc(&c->answer, ',');
		buf_add_span(&c->answer, item);
	}
}

/* Where the next page begins; false: there is none. */
static bool next_page(struct client_call *c, struct span body)
{
	char name[CLIENT_PAGE_MAX];
	int n;

	if (c->next_page[0]) {
		c->by_start = false;
		memcpy(c->page, c->next_page, sizeof(c->page));
		return true;
	}
	/* Object Storage names the first object of the next page instead. */
	n = value_string(value_get(body, SPAN("nextStartWith")), name,
	                 sizeof(name));
	if (n <= 0)
		return false;
	c->by_start = true;
	copy(c->page, sizeof(c->page), span_of(name, (size_t)n));
	return true;
}

/* --- trying again ----------------------------------------------------------
 */

static void on_pause_over(struct timer *t)
{
	sign(CONTAINER_OF(t, struct client_call, timer));
}

/* A number below limit. xorshift: it only has to be different everywhere. */
static uint64_t random_below(struct client *client, uint64_t limit)
{
	client->seed ^= client->seed << 13;
	client->seed ^= client->seed >> 7;
	client->seed ^= client->seed << 17;
	return limit ? client->seed % limit : 0;
}

/* Try again after a while; false: there have been enough tries, or there is no
 * time. */
static bool pause_then_retry(struct client_call *c, unsigned tries_max)
{
	struct loop *loop = c->client->config.loop;
	uint64_t span_ms, wait_ms;

	if (c->tries >= tries_max)
		return false;
	span_ms = MIN((uint64_t)CLIENT_PAUSE_MS << (c->tries - 1),
	              (uint64_t)CLIENT_PAUSE_MAX_MS);
	wait_ms = span_ms / 2 + random_below(c->client, span_ms / 2 + 1);
	wait_ms = MIN(MAX(wait_ms, c->retry_after_ms),
	              (uint64_t)CLIENT_PAUSE_MAX_MS);
	if (c->deadline_ms && loop_now_ms(loop) + wait_ms >= c->deadline_ms)
		return false;
	loop_timer(loop, &c->timer, wait_ms, on_pause_over);
	return true;
}

/* Statuses after which the same request may well succeed. */
static bool is_passing(const struct client_call *c)
{
	static const char *const states[] = { "IncorrectState",
		                              "LockConflict" };

	if (c->status == 429)
		return true; /* it was not even looked at */
	if (!c->repeatable)
		return false;
	if (c->status == 409)
		for (size_t i = 0; i < ARRAY_LEN(states); i++)
			if (strcmp(c->code, states[i]) == 0)
				return span_is(c->method, "GET");
	return c->status >= 500 && c->status != 501;
}

/*
 * A 401 is tried once more: with the server's clock if ours is off, and with
 * what the keeper has got meanwhile.
 */
static bool retry_401(struct client_call *c)
{
	if (c->was_401)
		return false;
	c->was_401 = true;
	c->refused_generation = c->generation;
	if (c->has_skew && (c->skew_s - c->signed_skew_s > CLIENT_SKEW_S ||
	                    c->signed_skew_s - c->skew_s > CLIENT_SKEW_S)) {
		log_warning("the clock of this machine is wrong: requests are "
		            "signed with the time of the cloud; correct it "
		            "(timedatectl set-ntp true)",
		            LOG_INT("seconds_behind", c->skew_s));
		c->client->skew_s = c->skew_s;
		c->refused_generation = 0; /* the key is not to blame */
	}
	loop_soon(c->client->config.loop, &c->timer, on_pause_over);
	return true;
}

static void explain_401(struct client_call *c)
{
	int64_t off = c->skew_s < 0 ? -c->skew_s : c->skew_s;
	size_t n = strlen(c->message);

	if (c->has_skew && off > CLIENT_SKEW_S)
		snprintf(c->message + n, sizeof(c->message) - n,
		         " (the clock of this machine is %" PRId64
		         " seconds %s that of the cloud, which allows %d: "
		         "set it, for instance with timedatectl set-ntp true)",
		         off, c->skew_s > 0 ? "behind" : "ahead of",
		         CLIENT_SKEW_S);
}

static void judge_error(struct client_call *c)
{
	read_error(c);
	if (c->status == 401) {
		if (retry_401(c))
			return;
		explain_401(c);
	} else if (is_passing(c) && pause_then_retry(c, CLIENT_ATTEMPTS_MAX)) {
		return;
	}
	finish(c, CLIENT_STATUS);
}

/* A first page that is the only one, and an array: it is the answer as it
 * stands. It may hold more items than were wanted. */
static bool is_whole(const struct client_call *c, struct span body, bool more)
{
	return !more && c->n_pages == 0 && c->n_items == 0 &&
	       value_type(body) == VALUE_ARRAY;
}

static void judge_page(struct client_call *c)
{
	struct span body = buf_span(&c->body_in);
	bool more;

	if (body.len && !c->no_json && !is_json(body)) {
		say(c, "the answer is no JSON");
		finish(c, CLIENT_GARBAGE);
		return;
	}
	more = c->wanted && next_page(c, body);
	if (!c->wanted || is_whole(c, body, more)) {
		struct buf empty = c->answer;

		c->answer = c->body_in;
		c->body_in = empty;
		c->closed = true;
		finish(c, CLIENT_OK);
		return;
	}
	add_items(c, body);
	if (buf_err(&c->answer) < 0) {
		say_too_long(c);
		finish(c, CLIENT_GARBAGE);
		return;
	}
	if (!more || c->n_items >= c->wanted || c->more ||
	    ++c->n_pages >= CLIENT_PAGES_MAX) {
		c->more = c->more || more;
		finish(c, CLIENT_OK);
		return;
	}
	c->tries = 0;
	c->was_401 = false;
	sign(c);
}

/* --- sending ---------------------------------------------------------------
 */

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct client_call *c = fetch_owner(f);
	struct span id = fetch_field(f, SPAN("opc-request-id"));
	int64_t server_s;
	uint64_t after_s;

	c->status = head->status;
	copy(c->request_id, sizeof(c->request_id), id);
	for (char *p = c->request_id; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	copy(c->next_page, sizeof(c->next_page),
	     fetch_field(f, SPAN("opc-next-page")));
	copy(c->etag, sizeof(c->etag), fetch_field(f, SPAN("etag")));
	copy(c->work_request, sizeof(c->work_request),
	     fetch_field(f, SPAN("opc-work-request-id")));
	c->has_skew = sign_date_read(fetch_field(f, SPAN("date")), &server_s);
	if (c->has_skew)
		c->skew_s = server_s - clock_utc_ms() / 1000;
	if (span_u64(head->retry_after, UINT32_MAX, &after_s))
		c->retry_after_ms =
			MIN(after_s * 1000, (uint64_t)CLIENT_PAUSE_MAX_MS);
}

/* The time is over, though bytes may still come. */
static void on_deadline(struct timer *t)
{
	struct client_call *c = CONTAINER_OF(t, struct client_call, timer);

	c->status = 0;
	say(c, "the answer was not complete in time");
	finish(c, CLIENT_TIMEOUT);
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct client_call *c = fetch_owner(f);

	buf_add_span(&c->body_in, body);
	return body.len;
}

/* Which host it is about tells a wrong region from a broken network. */
static void explain_network(struct client_call *c, const char *sentence)
{
	struct url url;

	if (url_parse(c->url, &url) == URL_OK)
		say(c, "%.*s: %s", (int)MIN(url.authority.len, URL_HOST_MAX),
		    url.authority.at, sentence);
	else
		say(c, "%s", sentence);
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct client_call *c = fetch_owner(f);

	bool sent = err < 0 && fetch_was_sent(f);

	c->fetch = NULL;
	loop_timer_stop(c->client->config.loop, &c->timer);
	if (err == 0 && buf_err(&c->body_in) < 0) {
		say_too_long(c);
		finish(c, CLIENT_GARBAGE);
		return;
	}
	if (err == 0) {
		if (c->status >= 200 && c->status < 300)
			judge_page(c);
		else
			judge_error(c);
		return;
	}
	c->status = 0;
	explain_network(c, sentence);
	if (err == -EMSGSIZE || err == -EBADMSG || err == -EKEYREJECTED) {
		finish(c,
		       err == -EKEYREJECTED ? CLIENT_NETWORK : CLIENT_GARBAGE);
		return;
	}
	if ((!sent || c->repeatable) &&
	    pause_then_retry(c,
	                     sent ? CLIENT_ATTEMPTS_MAX : CLIENT_CONNECTS_MAX))
		return;
	finish(c, err == -ETIMEDOUT ? CLIENT_TIMEOUT : CLIENT_NETWORK);
}

static const struct fetch_events events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_end = on_end,
};

/* The URL without a query's "start": where the first page began. */
static void write_without_start(struct span url, struct buf *out)
{
	size_t mark = span_find(url, '?');
	struct span query = span_from(url, MIN(mark + 1, url.len));
	char between = '?';

	buf_add_span(out, span_first(url, mark));
	while (query.len) {
		struct span one = span_first(query, span_find(query, '&'));

		query = span_from(query, MIN(one.len + 1, query.len));
		if (span_starts(one, SPAN("start=")))
			continue;
		buf_putc(out, between);
		buf_add_span(out, one);
		between = '&';
	}
}

/* The URL of this page. */
static bool write_url(const struct client_call *c, struct buf *out)
{
	size_t before = out->len;

	if (c->page[0] && c->by_start)
		write_without_start(c->url, out);
	else
		buf_add_span(out, c->url);
	if (c->page[0]) {
		struct span so_far = span_from(buf_span(out), before);

		buf_putc(out, span_find(so_far, '?') < so_far.len ? '&' : '?');
		buf_puts(out, c->by_start ? "start=" : "page=");
		sign_encode(span_str(c->page), out);
	}
	return buf_err(out) == 0;
}

static void add_own_lines(struct client_call *c, struct buf *out)
{
	uint8_t id[ID_BYTES];

	crypto_random(id, sizeof(id));
	buf_puts(out, "opc-request-id: ");
	for (size_t i = 0; i < sizeof(id); i++)
		buf_addf(out, "%02x", id[i]);
	buf_puts(out, "\r\naccept: ");
	buf_puts(out, c->no_json ? "*/*" : "application/json");
	buf_puts(out, "\r\nuser-agent: oci-mcp-gateway/" VERSION "\r\n");
	buf_add_span(out, c->fields);
}

/* To the deadline; there is one. */
static uint64_t left_ms(const struct client_call *c)
{
	uint64_t now = loop_now_ms(c->client->config.loop);

	return c->deadline_ms > now ? c->deadline_ms - now : 1;
}

static uint64_t answer_ms(const struct client_call *c)
{
	uint64_t left, limit = c->account->answer_timeout_ms;

	if (c->deadline_ms == 0)
		return limit;
	left = left_ms(c);
	return limit ? MIN(limit, left) : left;
}

static void send_signed(struct client_call *c,
                        const struct signature_answer *answer)
{
	struct buf url = { .max = CLIENT_URL_MAX };
	struct buf lines = { .max = LINES_MAX };

	buf_add_span(&lines, answer->lines);
	add_own_lines(c, &lines);
	buf_reset(&c->body_in);
	c->body_in.max = c->max_bytes;
	c->fetch = NULL;
	if (write_url(c, &url) && buf_err(&lines) == 0) {
		struct fetch_request req = {
			.method = c->method,
			.url = buf_span(&url),
			.fields = buf_span(&lines),
			.body = c->body,
			.repeatable = c->repeatable,
			.addresses = answer->addresses,
			.n_addresses = answer->n_addresses,
			.ca_pem = c->account->ca_pem,
			.connect_timeout_ms = c->account->connect_timeout_ms,
			.answer_timeout_ms = answer_ms(c),
			.idle_timeout_ms = answer_ms(c),
			.max_bytes = c->max_bytes,
			.events = &events,
			.owner = c,
		};
		c->fetch = fetch_start(c->client->config.fetcher, &req);
	}
	if (c->fetch && c->deadline_ms)
		loop_timer(c->client->config.loop, &c->timer, left_ms(c),
		           on_deadline);
	buf_free(&url);
	buf_free(&lines);
	if (!c->fetch) {
		say(c, "the request cannot be sent: its URL or its header "
		       "fields are too long, or memory is short");
		finish(c, CLIENT_GARBAGE);
	}
}

/* --- signing ---------------------------------------------------------------
 */

static void on_signed(void *owner, const struct signature_answer *answer)
{
	struct client_call *c = owner;

	c->signature = NULL;
	if (answer->err < 0) {
		say(c, "%.*s", SPAN_ARG(answer->sentence));
		finish(c, answer->err == -ETIMEDOUT || answer->err == -EBUSY
		                  ? CLIENT_TIMEOUT
		          : answer->err == -EIO ? CLIENT_NETWORK
		                                : CLIENT_CREDENTIALS);
		return;
	}
	c->generation = answer->generation;
	send_signed(c, answer);
}

static void ask_signature(struct client_call *c, const struct url *url,
                          struct span target)
{
	char sha256[SIGNATURE_SHA256_LEN + 1];
	struct signature_request req = {
		.credential = c->account->credential,
		.method = c->method,
		.target = target,
		.host = url->authority,
		.with_body = c->with_body,
		.unsigned_body = c->unsigned_body,
		.content_length = c->body.len,
		.refused_generation = c->refused_generation,
		.skew_s = c->client->skew_s,
		.on_done = on_signed,
		.owner = c,
	};

	if (c->deadline_ms)
		req.timeout_ms = left_ms(c);
	c->signed_skew_s = req.skew_s;
	if (c->with_body && !c->unsigned_body) {
		sign_body_sha256(c->body, sha256);
		req.body_sha256 = span_of(sha256, SIGNATURE_SHA256_LEN);
	}
	c->refused_generation = 0;
	if (signature_ask(c->client->config.signatures, &req, &c->signature) <
	    0) {
		c->signature = NULL;
		say(c, "the request cannot be signed now: too many are "
		       "waiting, or its URL is too long");
		finish(c, CLIENT_TIMEOUT);
	}
}

static void sign(struct client_call *c)
{
	struct buf text = { .max = CLIENT_URL_MAX };
	struct url url;

	c->tries++;
	c->n_tries++;
	c->retry_after_ms = 0;
	if (!write_url(c, &text) ||
	    url_parse(buf_span(&text), &url) != URL_OK) {
		say(c,
		    "the URL of the request is longer than %d bytes, or no "
		    "URL",
		    CLIENT_URL_MAX);
		finish(c, CLIENT_GARBAGE);
	} else {
		const char *end = text.bytes + text.len;

		ask_signature(
			c, &url,
			span_of(url.path.at, (size_t)(end - url.path.at)));
	}
	buf_free(&text);
}

void client_start(struct client *client, struct client_call *c)
{
	assert(!c->client);
	c->client = client;
	c->next = client->calls;
	c->prev = &client->calls;
	if (c->next)
		c->next->prev = &c->next;
	client->calls = c;
	client->n_calls++;
	c->started_us = clock_mono_us();
	c->tries = c->n_tries = c->n_pages = 0;
	c->n_items = 0;
	c->closed = false;
	c->more = c->was_401 = c->has_skew = c->by_start = false;
	c->status = 0;
	c->page[0] = c->code[0] = c->message[0] = c->request_id[0] = '\0';
	c->etag[0] = c->work_request[0] = '\0';
	c->refused_generation = 0;
	buf_reset(&c->answer);
	c->answer.max = c->max_bytes + 2;
	if (c->wanted)
		buf_putc(&c->answer, '[');
	/* on_done may not come from inside. */
	loop_soon(client->config.loop, &c->timer, on_pause_over);
}
