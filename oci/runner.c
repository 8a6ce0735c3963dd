#include "oci/runner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/scan.h"
#include "lib/value.h"
#include "oci/arguments.h"
#include "oci/endpoint.h"
#include "oci/environment.h"
#include "oci/functions.h"
#include "oci/indent.h"
#include "oci/markdown.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/privacy.h"
#include "oci/region.h"
#include "oci/sign.h"

#define RETRY_TOKEN_BYTES 16
#define FLAT_MAX          (1u << 20) /* bytes of checked arguments */

/* Who is behind a credential, as the keeper said last. */
struct identity_row {
	uint64_t credential;
	uint64_t until_ms;
	char tenancy[256], region[256], method[32];
	char domain[256]; /* of the region's realm, when the table lacks it */
	char home[128];   /* the tenancy's home region, once asked for */
};

struct runner {
	struct runner_config config;
	struct client *client;
	struct tool_run *runs;
	size_t n_runs;
	struct identity_row identities[RUNNER_IDENTITIES];
};

static void step(struct tool_run *run);
static void pump(struct tool_run *run);

struct runner *runner_new(const struct runner_config *config)
{
	struct runner *runner = calloc(1, sizeof(*runner));

	if (!runner)
		return NULL;
	runner->config = *config;
	if (config->send)
		return runner;
	runner->client = client_new(&(struct client_config){
		.loop = config->loop,
		.fetcher = config->fetcher,
		.signatures = config->signatures,
	});
	if (!runner->client) {
		free(runner);
		return NULL;
	}
	return runner;
}

void runner_free(struct runner *runner)
{
	if (!runner)
		return;
	while (runner->runs)
		runner_cancel(runner->runs);
	client_free(runner->client);
	free(runner);
}

size_t runner_running(const struct runner *runner)
{
	return runner->n_runs;
}

void *runner_owner(const struct tool_run *run)
{
	return run->in.owner;
}

struct cache *runner_cache(const struct tool_run *run)
{
	return run->runner->config.cache;
}

const struct runner_account *runner_account(const struct tool_run *run)
{
	return run->in.account;
}

const struct runner_tools *runner_tools(const struct tool_run *run)
{
	return run->in.tools;
}

struct span runner_no_identity(const struct tool_run *run)
{
	return run->no_identity;
}

int64_t runner_skew_s(const struct tool_run *run)
{
	return run->runner->client ? client_skew_s(run->runner->client) : 0;
}

/* --- the end ---------------------------------------------------------------
 */

static void free_ask(struct tool_ask *ask)
{
	/* That of a kept answer, which the client knows nothing of. */
	loop_timer_stop(ask->run->runner->config.loop, &ask->call.timer);
	client_call_fini(&ask->call);
	buf_free(&ask->query);
	buf_free(&ask->fields);
	buf_free(&ask->body);
	buf_free(&ask->url);
}

void runner_cancel(struct tool_run *run)
{
	struct runner *runner = run->runner;

	if (run->identifying)
		signature_cancel(run->identifying);
	loop_timer_stop(runner->config.loop, &run->timer);
	for (struct tool_ask *ask = run->asks; ask; ask = ask->next)
		free_ask(ask);
	while (run->blocks) {
		struct tool_block *block = run->blocks;

		run->blocks = block->next;
		free(block);
	}
	if (run->next)
		run->next->prev = run->prev;
	*run->prev = run->next;
	runner->n_runs--;
	buf_free(&run->flat);
	buf_free(&run->out);
	free(run->state);
	free(run);
}

/* Text out of JSON, for the one content block. */
static void write_text(struct tool_run *run, struct span structured,
                       struct buf *text)
{
	struct span format = tool_raw(run, "response_format");
	struct span title;

	if (value_string_eq(format, SPAN("json"))) {
		indent_write(text, structured);
		return;
	}
	title = path_means(run, value_get(run->in.recipe, SPAN("title")));
	markdown_write(text, value_get(run->in.recipe, SPAN("markdown")), title,
	               structured);
}

/* The error object of the contract. */
static void write_error(struct tool_run *run, struct buf *out)
{
	struct output o;

	buf_reset(out);
	output_init(&o, out);
	output_object(&o, NULL);
	output_flag(&o, "success", false);
	output_text(&o, "error", run->error);
	output_string(&o, "category", tool_error_name(run->category));
	output_text(&o, "suggestion", run->suggestion);
	output_object(&o, "details");
	if (run->status || run->request_id.len) {
		output_integer(&o, "status", run->status);
		output_text_or_null(&o, "code", run->code);
		output_text_or_null(&o, "opc_request_id", run->request_id);
	}
	output_end(&o);
	output_end(&o);
}

/* Even when the arguments were refused and there are no checked ones. */
static bool wants_json(struct tool_run *run)
{
	struct span name = SPAN("response_format"), json = SPAN("json");
	struct span raw = run->in.arguments;

	return value_string_eq(tool_raw(run, "response_format"), json) ||
	       value_string_eq(value_get(raw, name), json) ||
	       value_string_eq(value_get(value_get(raw, SPAN("params")), name),
	                       json);
}

static void write_error_text(struct tool_run *run, struct span structured,
                             struct buf *text)
{
	if (wants_json(run)) {
		indent_write(text, structured);
		return;
	}
	buf_addf(text,
	         "## \xe2\x9d\x8c Error\n\n**Category:** %s\n\n**Message:** ",
	         tool_error_name(run->category));
	markdown_add_text(text, run->error);
	buf_puts(text, "\n\n**Suggestion:** ");
	markdown_add_text(text, run->suggestion);
	buf_putc(text, '\n');
	if (!run->status && !run->request_id.len)
		return;
	buf_addf(text, "\n**Details:**\n- status: %d\n- code: ", run->status);
	markdown_add_text(text, run->code.len ? run->code : SPAN("-"));
	buf_puts(text, "\n- opc_request_id: ");
	markdown_add_text(text,
	                  run->request_id.len ? run->request_id : SPAN("-"));
	buf_putc(text, '\n');
}

static void mask(const struct tool_run *run, struct buf *text)
{
	/* Short parts of identifiers grow. */
	struct buf masked = { .max = 2 * text->max };

	if (!run->in.account->mask)
		return;
	privacy_mask(buf_span(text), &masked);
	buf_free(text);
	*text = masked;
}

/* What an auditor wants to know of a run. */
static const struct tool_ask *notable(const struct tool_run *run)
{
	const struct tool_ask *found = NULL;

	for (const struct tool_ask *a = run->asks; a; a = a->next) {
		if (a->internal || a->state == ASK_NEW)
			continue;
		if (!found || operation_is_read_only(found->op))
			found = a;
	}
	return found;
}

static void conclude(struct tool_run *run)
{
	struct buf text = { .max = 2 * TOOL_RESULT_MAX };
	const struct tool_ask *ask = notable(run);
	struct runner_result result;

	if (!run->failed && buf_err(&run->out) < 0)
		tool_fail(run, TOOL_VALIDATION, "Ask for less at once.",
		          "the result is longer than %u bytes",
		          TOOL_RESULT_MAX);
	if (run->failed) {
		buf_free(&run->out);
		run->out.max = TOOL_RESULT_MAX;
		write_error(run, &run->out);
		write_error_text(run, buf_span(&run->out), &text);
	} else {
		write_text(run, buf_span(&run->out), &text);
		/* Indented it may be too long. */
		if (buf_err(&text) < 0) {
			buf_free(&text);
			text.max = 2 * TOOL_RESULT_MAX;
			buf_add_span(&text, buf_span(&run->out));
		}
	}
	mask(run, &run->out);
	mask(run, &text);
	result = (struct runner_result){
		.is_error = run->failed,
		.text = buf_span(&text),
		.structured = buf_span(&run->out),
		.error = run->failed ? tool_error_name(run->category) : NULL,
		.operation = ask ? operation_id(ask->op) : SPAN(""),
		.request_id = span_str(ask ? ask->call.request_id : ""),
	};
	run->in.on_done(run, &result);
	buf_free(&text);
	runner_cancel(run);
}

/* --- requests --------------------------------------------------------------
 */

static struct identity_row *identity_row(struct runner *runner,
                                         uint64_t credential)
{
	struct identity_row *oldest = &runner->identities[0];

	for (size_t i = 0; i < RUNNER_IDENTITIES; i++) {
		struct identity_row *row = &runner->identities[i];

		if (row->credential == credential)
			return row;
		if (row->until_ms < oldest->until_ms)
			oldest = row;
	}
	*oldest = (struct identity_row){ .credential = credential };
	return oldest;
}

static void put(char *out, size_t size, struct span text)
{
	size_t n = MIN(text.len, size - 1);

	if (n)
		memcpy(out, text.at, n);
	out[n] = '\0';
}

static struct region_sources region_sources(void)
{
	return (struct region_sources){
		.metadata = environment_get("OCI_REGION_METADATA"),
		.realm = environment_get("OCI_DEFAULT_REALM"),
	};
}

static bool put_path(struct tool_ask *ask, struct buf *out)
{
	struct span path = operation_path(ask->op);

	while (path.len) {
		size_t open = span_find(path, '{');
		struct span name, value = span_of(NULL, 0);
		size_t shut;

		buf_add_span(out, span_first(path, open));
		if (open >= path.len)
			return true;
		path = span_from(path, open + 1);
		shut = span_find(path, '}');
		name = span_first(path, shut);
		path = span_from(path, MIN(shut + 1, path.len));
		for (size_t i = 0; i < ask->n_paths; i++)
			if (span_eq(span_str(ask->paths[i].name), name))
				value = ask->paths[i].value;
		if (value.len == 0) {
			tool_fail(ask->run, TOOL_VALIDATION, NULL,
			          "%.*s needs a value for %.*s",
			          SPAN_ARG(operation_id(ask->op)),
			          SPAN_ARG(name));
			return false;
		}
		sign_encode_segment(value, out);
	}
	return true;
}

static bool put_base(struct tool_ask *ask, struct buf *out)
{
	struct tool_run *run = ask->run;
	struct region_sources sources = region_sources();
	struct region_resolved resolved;
	struct operation_client client;
	struct endpoint_request req;
	struct span region = ask->region.len              ? ask->region
	                     : ask->home && run->home.len ? run->home
	                                                  : run->region;
	enum region_error bad = region_resolve(region, &sources, &resolved);
	const struct identity_row *row =
		identity_row(run->runner, run->in.account->client.credential);
	enum endpoint_error err;

	/* The keeper may know regions that are newer than this program. */
	if (bad == REGION_OK && !region_find(region) && row->domain[0] &&
	    span_eq(region, span_str(row->region)))
		put(resolved.domain, sizeof(resolved.domain),
		    span_str(row->domain));
	if (bad != REGION_OK) {
		struct buf why = { .max = 512 };

		region_explain(bad, region, &why);
		tool_fail(run, TOOL_VALIDATION, NULL, "%.*s",
		          SPAN_ARG(buf_span(&why)));
		buf_free(&why);
		return false;
	}
	operation_client(ask->op, &client);
	req = (struct endpoint_request){
		.template = operation_endpoint(ask->op,
		                               region_view(&resolved).realm),
		.service = client.endpoint_name,
		.base_path = operation_base(ask->op),
		.region = region_view(&resolved),
		.own = ask->endpoint,
		.override = run->in.account->endpoint,
		.needs_own = client.needs_endpoint,
	};
	err = endpoint_url(&req, out);
	if (err != ENDPOINT_OK) {
		tool_fail(run, TOOL_VALIDATION, NULL, "%.*s: %s",
		          SPAN_ARG(operation_id(ask->op)), endpoint_error(err));
		return false;
	}
	return true;
}

static void put_limit(struct tool_ask *ask)
{
	if (ask->call.wanted && !ask->has_limit && operation_has_limit(ask->op))
		tool_ask_query_number(
			ask, "limit",
			(int64_t)MIN(ask->call.wanted, (size_t)RUNNER_LIMIT));
}

/* Did the caller give one? */
static bool has_retry_token(const struct tool_ask *ask)
{
	static const char name[] = "opc-retry-token: ";

	return ask->fields.len && memmem(ask->fields.bytes, ask->fields.len,
	                                 name, sizeof(name) - 1);
}

static void put_retry_token(struct tool_ask *ask)
{
	uint8_t bytes[RETRY_TOKEN_BYTES];

	crypto_random(bytes, sizeof(bytes));
	buf_puts(&ask->fields, "opc-retry-token: ");
	for (size_t i = 0; i < sizeof(bytes); i++)
		buf_addf(&ask->fields, "%02x", bytes[i]);
	buf_puts(&ask->fields, "\r\n");
}

/* Fill in the client's request. */
static bool build(struct tool_ask *ask)
{
	struct client_call *c = &ask->call;
	enum operation_method method = operation_method(ask->op);
	struct tool_run *run = ask->run;

	put_limit(ask);
	if (!put_base(ask, &ask->url) || !put_path(ask, &ask->url))
		return false;
	if (ask->query.len) {
		buf_putc(&ask->url, '?');
		buf_add_span(&ask->url, buf_span(&ask->query));
	}
	if (operation_has_retry_token(ask->op) &&
	    !operation_is_read_only(ask->op) && !has_retry_token(ask))
		put_retry_token(ask);
	if (buf_err(&ask->url) < 0 || buf_err(&ask->query) < 0 ||
	    buf_err(&ask->fields) < 0 || buf_err(&ask->body) < 0) {
		tool_fail(
			run, TOOL_VALIDATION, "Use shorter arguments.",
			"the request is too long: URLs have at most %d bytes, "
			"bodies %u",
			CLIENT_URL_MAX, TOOL_RESULT_MAX);
		return false;
	}
	c->account = &run->in.account->client;
	c->method = span_str(operation_method_name(method));
	c->url = buf_span(&ask->url);
	c->fields = buf_span(&ask->fields);
	c->body = buf_span(&ask->body);
	c->with_body = method == OPERATION_POST || method == OPERATION_PUT ||
	               method == OPERATION_PATCH;
	c->unsigned_body = operation_is_unsigned(ask->op);
	c->repeatable = operation_is_read_only(ask->op) ||
	                method == OPERATION_PUT ||
	                operation_has_retry_token(ask->op);
	c->items = operation_items(ask->op);
	c->no_json = operation_shape(ask->op) == OPERATION_STREAM;
	c->max_bytes = TOOL_BYTES_MAX - MIN(run->bytes, TOOL_BYTES_MAX - 1);
	c->deadline_ms = loop_now_ms(run->runner->config.loop) + RUNNER_ASK_MS;
	return true;
}

/* --- kept answers ----------------------------------------------------------
 */

static bool tier_of(const struct tool_ask *ask, enum cache_tier *tier)
{
	if (!ask->run->runner->config.cache ||
	    !operation_is_read_only(ask->op) || ask->call.no_json ||
	    operation_is_secret(ask->op))
		return false;
	return cache_tier_of(ask->tier ? ask->tier : "operational", tier) &&
	       *tier != CACHE_REALTIME;
}

/* Everything that the answer depends on; the region is in the URL, or, with
 * one endpoint for all, beside it. */
static bool make_key(struct tool_ask *ask)
{
	struct tool_run *run = ask->run;
	struct buf text = { .max = 4 * TOOL_RESULT_MAX };
	struct span region = ask->region.len ? ask->region : run->region;
	bool whole;

	buf_addf(&text, "%" PRIu64 "\n%.*s\n%.*s\n%.*s\n%zu\n%d\n%.*s\n",
	         ask->call.account->credential, SPAN_ARG(region),
	         SPAN_ARG(ask->call.method), SPAN_ARG(ask->call.url),
	         ask->call.wanted, ask->home, SPAN_ARG(ask->call.fields));
	buf_add_span(&text, ask->call.body);
	whole = buf_err(&text) == 0;
	if (whole)
		crypto_sha256(buf_span(&text), ask->key);
	buf_free(&text);
	return whole;
}

/* A byte before the answer says whether there is more of it. */
static bool find_kept(struct tool_ask *ask)
{
	enum cache_tier tier;
	struct buf *out = &ask->call.answer;

	if (!tier_of(ask, &tier) || !make_key(ask))
		return false;
	ask->keyed = true;
	ask->epoch = cache_epoch(ask->run->runner->config.cache,
	                         ask->call.account->credential);
	out->max = CACHE_PLACE_MAX;
	buf_reset(out);
	if (!cache_find(ask->run->runner->config.cache, tier,
	                ask->call.account->credential, ask->key, out) ||
	    buf_err(out) < 0 || out->len == 0)
		return false;
	ask->call.more = out->bytes[0] == '+';
	buf_consume(out, 1);
	ask->call.end = CLIENT_OK;
	ask->call.status = 200;
	ask->cached = true;
	return true;
}

static void keep(struct tool_ask *ask)
{
	struct buf text = { .max = CACHE_PLACE_MAX };
	enum cache_tier tier;

	if (ask->cached || !ask->keyed || !tier_of(ask, &tier) ||
	    ask->call.answer.len >= CACHE_PLACE_MAX)
		return;
	buf_putc(&text, ask->call.more ? '+' : '-');
	buf_add_span(&text, buf_span(&ask->call.answer));
	if (buf_err(&text) == 0)
		cache_store(ask->run->runner->config.cache, tier, ask->epoch,
		            ask->key, buf_span(&text));
	buf_free(&text);
}

/* --- running ---------------------------------------------------------------
 */

void runner_ask_done(struct tool_ask *ask)
{
	struct tool_run *run = ask->run;
	struct client_call *c = &ask->call;

	ask->state = ASK_DONE;
	run->n_running--;
	run->bytes += c->answer.len;
	/* What failed may have been carried out all the same. */
	if (!operation_is_read_only(ask->op) && run->runner->config.cache)
		cache_forget(run->runner->config.cache, c->account->credential);
	if (c->end == CLIENT_OK) {
		ask->answer = buf_span(&c->answer);
		keep(ask);
	} else {
		snprintf(ask->why, sizeof(ask->why), "%s%s%s%s%s%s", c->code,
		         c->code[0] ? ": " : "", c->message,
		         c->request_id[0] ? " (opc-request-id " : "",
		         c->request_id, c->request_id[0] ? ")" : "");
		if (!ask->optional)
			tool_fail_ask(run, ask);
	}
	pump(run);
}

static void on_call_done(struct client_call *call)
{
	runner_ask_done(CONTAINER_OF(call, struct tool_ask, call));
}

static void on_found(struct timer *t)
{
	runner_ask_done(CONTAINER_OF(t, struct tool_ask, call.timer));
}

static void start_ask(struct tool_ask *ask)
{
	struct tool_run *run = ask->run;
	struct runner *runner = run->runner;

	ask->state = ASK_RUNNING;
	run->n_running++;
	if (!build(ask)) {
		run->n_running--;
		ask->state = ASK_DONE;
		ask->call.end = CLIENT_MEMORY;
		return;
	}
	ask->call.on_done = on_call_done;
	if (find_kept(ask)) {
		loop_soon(runner->config.loop, &ask->call.timer, on_found);
		return;
	}
	if (runner->config.send)
		runner->config.send(ask);
	else
		client_start(runner->client, &ask->call);
}

/* The tenancy's home region, asked for once per credential. */
static void learn_home(struct tool_ask *ask)
{
	struct tool_run *run = ask->run;
	struct identity_row *row =
		identity_row(run->runner, run->in.account->client.credential);
	struct value_iter it = path_items(ask->answer, "");
	struct span item;

	while (value_array_next(&it, &item)) {
		if (!path_flag(item, "isHomeRegion"))
			continue;
		run->home = tool_keep(run, path_text(run, item, "regionName"));
		snprintf(row->home, sizeof(row->home), "%.*s",
		         SPAN_ARG(run->home));
	}
}

/* Does a request need to know the home region, and is it not known? Then ask
 * for that first. With one endpoint for all services it makes no difference.
 */
static bool needs_home(struct tool_run *run)
{
	struct identity_row *row =
		identity_row(run->runner, run->in.account->client.credential);
	bool wanted = false;

	for (struct tool_ask *a = run->asks; a; a = a->next)
		wanted |= a->state == ASK_NEW && a->home;
	if (!wanted || run->home.len || run->in.account->endpoint.len)
		return false;
	if (row->home[0]) {
		run->home = tool_keep(run, span_str(row->home));
		return false;
	}
	return true;
}

static bool ask_home(struct tool_run *run)
{
	struct tool_ask *a;

	if (!needs_home(run))
		return false;
	a = tool_ask(run, "identity/Identity/ListRegionSubscriptions");
	tool_ask_path(a, "tenancyId", tool_tenancy(run));
	tool_ask_cache(a, "static");
	a->internal = a->optional = true; /* else the run's region must do */
	if (!run->failed)
		start_ask(a);
	return !run->failed; /* else nothing will come */
}

static void on_slept(struct timer *t)
{
	struct tool_run *run = CONTAINER_OF(t, struct tool_run, timer);

	run->slept = true;
	pump(run);
}

static void on_next_phase(struct timer *t)
{
	step(CONTAINER_OF(t, struct tool_run, timer));
}

static bool home_pending(struct tool_run *run)
{
	for (struct tool_ask *a = run->asks; a; a = a->next) {
		if (!a->internal)
			continue;
		if (a->state == ASK_RUNNING)
			return true;
		if (a->state == ASK_DONE && run->home.len == 0) {
			learn_home(a);
			if (run->home.len == 0)
				run->home = run->region;
		}
	}
	return false;
}

/*
 * Start what may start; when all has ended, the next phase. The step comes from
 * the loop, so that runs with nothing but kept answers do not nest.
 */
static void pump(struct tool_run *run)
{
	struct loop *loop = run->runner->config.loop;
	bool left = false;

	if (home_pending(run))
		return;
	for (struct tool_ask *a = run->asks; a && !run->failed; a = a->next) {
		if (a->state != ASK_NEW)
			continue;
		if (run->n_running >= RUNNER_PARALLEL_MAX) {
			left = true;
			break;
		}
		start_ask(a);
	}
	if (run->n_running || (left && !run->failed))
		return;
	if (run->sleep_ms && !run->slept && !run->failed) {
		if (!run->timer.due_ms)
			loop_timer(loop, &run->timer, run->sleep_ms, on_slept);
		return;
	}
	loop_soon(loop, &run->timer, on_next_phase);
}

static void step(struct tool_run *run)
{
	struct loop *loop = run->runner->config.loop;
	enum tool_next next;

	if (!run->failed && loop_now_ms(loop) - run->started_ms > RUNNER_RUN_MS)
		tool_fail(run, TOOL_TIMEOUT, NULL,
		          "the call took longer than %d seconds",
		          RUNNER_RUN_MS / 1000);
	if (run->failed) {
		conclude(run);
		return;
	}
	run->sleep_ms = 0;
	run->slept = false;
	next = run->function->step(run);
	run->phase++;
	if (next == TOOL_DONE || run->failed) {
		conclude(run);
		return;
	}
	if (ask_home(run))
		return;
	pump(run);
}

/* --- the beginning ---------------------------------------------------------
 */

static void set_region(struct tool_run *run, struct span of_credential)
{
	struct region_sources sources = region_sources();
	struct span given = tool_text(run, "region");
	struct region_resolved resolved;
	enum region_error err;

	run->region = given.len                     ? given
	              : run->in.account->region.len ? run->in.account->region
	                                            : of_credential;
	if (given.len == 0)
		return;
	/* What a caller names must be a region that exists. */
	sources.strict = true;
	sources.no_domain = true;
	err = region_resolve(given, &sources, &resolved);
	if (err == REGION_OK) {
		run->region = tool_keep(run, span_str(resolved.identifier));
		return;
	}

	struct buf why = { .max = 512 };
	region_explain(err, given, &why);
	tool_fail(run, TOOL_VALIDATION,
	          "Name a region the tenancy is subscribed to, such as "
	          "us-ashburn-1.",
	          "region: %.*s", SPAN_ARG(buf_span(&why)));
	buf_free(&why);
}

static void use_identity(struct tool_run *run, const struct identity_row *row)
{
	run->tenancy = tool_keep(run, span_str(row->tenancy));
	run->method = tool_keep(run, span_str(row->method));
	if (row->home[0])
		run->home = tool_keep(run, span_str(row->home));
	set_region(run, tool_keep(run, span_str(row->region)));
	loop_soon(run->runner->config.loop, &run->timer, on_next_phase);
}

static enum tool_error identity_error(int err)
{
	switch (err) {
	case -ETIMEDOUT:
	case -EBUSY:
		return TOOL_TIMEOUT;
	case -EIO:
		return TOOL_NETWORK;
	default:
		return TOOL_AUTHENTICATION;
	}
}

static void on_identity(void *owner, const struct signature_answer *answer)
{
	struct tool_run *run = owner;
	struct runner *runner = run->runner;
	struct identity_row *row;

	run->identifying = NULL;
	if (answer->err < 0) {
		if (run->function->offline) {
			run->no_identity = tool_keep(run, answer->sentence);
			set_region(run, span_of(NULL, 0));
			loop_soon(runner->config.loop, &run->timer,
			          on_next_phase);
			return;
		}
		tool_fail(run, identity_error(answer->err), NULL, "%.*s",
		          SPAN_ARG(answer->sentence));
		conclude(run);
		return;
	}
	row = identity_row(runner, run->in.account->client.credential);
	row->until_ms = loop_now_ms(runner->config.loop) + RUNNER_IDENTITY_MS;
	put(row->tenancy, sizeof(row->tenancy), answer->identity.tenancy);
	put(row->region, sizeof(row->region), answer->identity.region);
	put(row->domain, sizeof(row->domain), answer->identity.domain);
	put(row->method, sizeof(row->method), answer->identity.method);
	use_identity(run, row);
}

/* Who we are, from what is known or from the keeper. */
static void identify(struct tool_run *run)
{
	struct runner *runner = run->runner;
	struct identity_row *row =
		identity_row(runner, run->in.account->client.credential);
	struct signature_request req = {
		.credential = run->in.account->client.credential,
		.identity_only = true,
		.on_done = on_identity,
		.owner = run,
	};

	if (row->until_ms > loop_now_ms(runner->config.loop)) {
		use_identity(run, row);
		return;
	}
	if (runner->config.signatures &&
	    signature_ask(runner->config.signatures, &req, &run->identifying) ==
	            0)
		return;
	run->identifying = NULL;
	tool_fail(run, TOOL_SERVICE, NULL,
	          "too many calls wait for a signature");
	loop_soon(runner->config.loop, &run->timer, on_next_phase);
}

static void on_begin(struct timer *t)
{
	struct tool_run *run = CONTAINER_OF(t, struct tool_run, timer);
	struct arguments_fault why;

	run->flat.max = FLAT_MAX;
	if (arguments_check(run->in.recipe, run->in.arguments, &run->flat,
	                    &why) < 0) {
		buf_reset(&run->flat);
		buf_puts(&run->flat, "{}");
		tool_fail(run, TOOL_VALIDATION, NULL, "%s", why.text);
		conclude(run);
		return;
	}
	if (run->function->offline && !run->runner->config.signatures) {
		step(run);
		return;
	}
	identify(run);
}

struct tool_run *runner_start(struct runner *runner,
                              const struct runner_input *input)
{
	struct tool_run *run;

	if (runner->n_runs >= RUNNER_RUNS_MAX)
		return NULL;
	run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->runner = runner;
	run->in = *input;
	run->function = functions_find(input->recipe);
	run->out.max = TOOL_RESULT_MAX;
	run->asks_end = &run->asks;
	run->started_ms = loop_now_ms(runner->config.loop);
	run->state = calloc(1, MAX(run->function->state_bytes, (size_t)1));
	if (!run->state) {
		free(run);
		return NULL;
	}
	run->next = runner->runs;
	run->prev = &runner->runs;
	if (run->next)
		run->next->prev = &run->next;
	runner->runs = run;
	runner->n_runs++;
	loop_soon(runner->config.loop, &run->timer, on_begin);
	return run;
}
