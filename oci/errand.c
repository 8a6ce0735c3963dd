#include "oci/errand.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/url.h"
#include "oci/pass.h"
#include "oci/sign.h"
#include "oci/skew.h"

#define CODE_MAX 64 /* bytes of an error's code in a sentence */

static void begin_try(struct timer *t);

static int64_t utc_s(const struct errand *e)
{
	return e->host.utc_s ? e->host.utc_s() : clock_utc_ms() / 1000;
}

int64_t errand_now_s(const struct errand *errand)
{
	return utc_s(errand) + errand->skew_s;
}

/* --- the end ---------------------------------------------------------------
 */

static void done(struct errand *e)
{
	pass_wipe(&e->lines);
	e->on_done(e);
}

/* The code of an error of the platform: {"code":"...","message":"..."}. The
 * message may repeat what we sent, the code does not. */
static void read_code(const struct errand *e, char code[CODE_MAX])
{
	struct json *doc = NULL;
	struct json_error why;

	*code = '\0';
	if (json_parse(buf_span(&e->answer), 0, &doc, &why) < 0)
		return;
	struct span text = json_text(json_get(json_root(doc), "code"));
	size_t n = 0;
	while (n < text.len && n < CODE_MAX - 1 &&
	       ((text.at[n] | 0x20) >= 'a' && (text.at[n] | 0x20) <= 'z'))
		n++;
	if (n)
		memcpy(code, text.at, n);
	code[n] = '\0';
	json_free(doc);
}

static void explain(struct errand *e, const char *sentence)
{
	char code[CODE_MAX];

	if (e->err) {
		snprintf(e->sentence, sizeof(e->sentence), "%s", sentence);
		return;
	}
	read_code(e, code);
	snprintf(e->sentence, sizeof(e->sentence),
	         "answered with status %d%s%s", e->status, *code ? " " : "",
	         code);
}

static bool worth_another_try(const struct errand *e)
{
	switch (e->err) {
	case 0:
		return e->status == 429 || e->status >= 500 ||
		       (e->status == 404 && e->request.missing_ok);
	case -EHOSTUNREACH:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* Doubled each time; a quarter of it is random, so that many who failed
 * together do not come back together. */
static uint64_t pause_ms(const struct errand *e)
{
	uint64_t first_ms =
		e->host.pause_ms ? e->host.pause_ms : ERRAND_PAUSE_MS;
	uint64_t ms = first_ms << MIN(e->tried - 1, 6U);
	uint32_t dice;

	crypto_random(&dice, sizeof(dice));
	return ms - ms / 4 + dice % (ms / 4 + 1);
}

static void learn(struct errand *e, struct span date)
{
	if (e->err == 0 && e->status == 401 && e->request.key && !e->corrected)
		e->corrected = skew_learn(date, utc_s(e), &e->skew_s);
}

static void on_end(struct fetch *f, int err, const char *sentence)
{
	struct errand *e = fetch_owner(f);
	struct span want = e->request.want;
	bool was_corrected = e->corrected;
	unsigned tries = e->request.tries ? e->request.tries : ERRAND_TRIES;

	e->fetch = NULL;
	e->err = err;
	buf_reset(&e->field);
	if (want.len)
		buf_add_span(&e->field, span_first(fetch_field(f, want),
		                                   ERRAND_FIELD_MAX));
	learn(e, fetch_field(f, SPAN("date")));
	explain(e, sentence);
	if (e->corrected && !was_corrected)
		loop_timer(e->host.loop, &e->timer, 0, begin_try);
	else if (worth_another_try(e) && e->tried < tries)
		loop_timer(e->host.loop, &e->timer, pause_ms(e), begin_try);
	else
		done(e);
}

static void on_head(struct fetch *f, const struct fetch_head *head)
{
	struct errand *e = fetch_owner(f);

	e->status = head->status;
}

static size_t on_body(struct fetch *f, struct span body)
{
	struct errand *e = fetch_owner(f);

	buf_add_span(&e->answer, body);
	return body.len;
}

/* --- one try ---------------------------------------------------------------
 */

static bool sign(struct errand *e, const struct url *url)
{
	const struct errand_request *r = &e->request;
	char date[SIGN_DATE_LEN + 1], hash[SIGN_SHA256_LEN], target[URL_MAX];
	bool post = span_is(r->method, "POST");

	/* Path and query are one piece of the text, unless there is none. */
	int n = snprintf(target, sizeof(target), "%.*s%.*s",
	                 SPAN_ARG(url->path), SPAN_ARG(url->query));
	if (n < 0 || (size_t)n >= sizeof(target) ||
	    !sign_date(errand_now_s(e), date))
		return false;
	sign_body_sha256(r->body, hash);

	const struct sign_request request = {
		.method = r->method,
		.target = span_of(target, (size_t)n),
		.host = url->authority,
		.date = span_of(date, SIGN_DATE_LEN),
		.no_host = r->no_host,
		.with_body = post,
		.content_length = r->body.len,
		.body_sha256 =
			post ? span_of(hash, sizeof(hash)) : (struct span){ 0 },
	};
	return sign_headers(r->key, r->key_id, &request, &e->lines) == SIGN_OK;
}

static bool compose(struct errand *e)
{
	const struct errand_request *r = &e->request;
	struct url url;

	pass_wipe(&e->lines);
	e->lines.max = ERRAND_FIELDS_MAX;
	if (url_parse(r->url, &url) != URL_OK)
		return false;
	buf_add_span(&e->lines, r->fields);
	buf_puts(&e->lines, "accept: application/json, text/plain\r\n");
	if (r->key)
		return sign(e, &url) && !buf_err(&e->lines);
	if (r->body.len)
		buf_puts(&e->lines, "content-type: application/json\r\n");
	return !buf_err(&e->lines);
}

static struct fetch *start(struct errand *e)
{
	static const struct fetch_events events = { on_head, on_body, on_end };
	const struct errand_request *r = &e->request;
	uint64_t limit_ms = r->limit_ms;

	return fetch_start(
		e->host.fetcher,
		&(struct fetch_request){
			.method = r->method,
			.url = r->url,
			.fields = buf_span(&e->lines),
			.body = r->body,
			.repeatable = true,
			.ca_pem = r->ca_pem,
			.connect_timeout_ms =
				limit_ms ? limit_ms : ERRAND_CONNECT_MS,
			.answer_timeout_ms =
				limit_ms ? limit_ms : ERRAND_ANSWER_MS,
			.idle_timeout_ms = ERRAND_ANSWER_MS,
			.max_bytes = ERRAND_ANSWER_MAX,
			.events = &events,
			.owner = e });
}

static void begin_try(struct timer *t)
{
	struct errand *e = CONTAINER_OF(t, struct errand, timer);

	e->tried++;
	e->status = 0;
	buf_reset(&e->answer);
	if (compose(e))
		e->fetch = start(e);
	if (e->fetch)
		return;
	e->err = -EINVAL;
	explain(e, "the request cannot be made; is its URL right?");
	done(e);
}

void errand_start(struct errand *errand, const struct errand_host *host,
                  const struct errand_request *request,
                  void (*on_done)(struct errand *errand), void *owner)
{
	assert(!errand->fetch);
	errand->host = *host;
	errand->request = *request;
	errand->on_done = on_done;
	errand->owner = owner;
	errand->tried = 0;
	errand->corrected = false;
	errand->answer.max = ERRAND_ANSWER_MAX;
	errand->field.max = ERRAND_FIELD_MAX;
	loop_timer(host->loop, &errand->timer, 0, begin_try);
}

void errand_stop(struct errand *errand)
{
	if (errand->fetch)
		fetch_cancel(errand->fetch);
	errand->fetch = NULL;
	if (errand->host.loop)
		loop_timer_stop(errand->host.loop, &errand->timer);
	pass_wipe(&errand->lines);
	pass_wipe(&errand->answer);
	buf_free(&errand->field);
}
