#include "oci/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "oci/ocid.h"
#include "oci/path.h"
#include "oci/runner.h"
#include "oci/sign.h"

#define BLOCK_BYTES 4096
#define ALLOC_MAX   (1u << 20)

const char *tool_error_name(enum tool_error category)
{
	static const char *const names[] = {
		[TOOL_VALIDATION] = "validation",
		[TOOL_AUTHENTICATION] = "authentication",
		[TOOL_AUTHORIZATION] = "authorization",
		[TOOL_NOT_FOUND] = "not_found",
		[TOOL_RATE_LIMIT] = "rate_limit",
		[TOOL_SERVICE] = "service",
		[TOOL_NETWORK] = "network",
		[TOOL_TIMEOUT] = "timeout",
		[TOOL_UNKNOWN] = "unknown",
	};
	return (unsigned)category < ARRAY_LEN(names) ? names[category]
	                                             : "unknown";
}

/* What to do about it, when nobody knows better. */
static const char *advice(enum tool_error category)
{
	static const char *const texts[] = {
		[TOOL_VALIDATION] = "Correct the arguments and call again.",
		[TOOL_AUTHENTICATION] =
			"Check the credentials: the key or token, its "
			"fingerprint, and the clock.",
		[TOOL_AUTHORIZATION] = "Ask an administrator for an IAM policy "
				       "that allows this operation.",
		[TOOL_NOT_FOUND] =
			"Check the OCID, the region and the compartment; a "
			"missing IAM policy looks the same.",
		[TOOL_RATE_LIMIT] =
			"Too many requests: wait a minute, then call again.",
		[TOOL_SERVICE] = "Call again in a moment; if it lasts, look at "
				 "the status page of the cloud.",
		[TOOL_NETWORK] = "Check that this machine reaches the cloud's "
				 "endpoints: DNS, routes, firewall, proxy.",
		[TOOL_TIMEOUT] = "Call again, or ask for less.",
		[TOOL_UNKNOWN] = "Call again; if it lasts, tell the "
				 "administrator the request id.",
	};
	return (unsigned)category < ARRAY_LEN(texts) ? texts[category]
	                                             : texts[TOOL_UNKNOWN];
}

/* --- memory ---------------------------------------------------------------
 */

/* What steps write to when memory is short; nobody reads it. */
static _Alignas(16) char scratch[ALLOC_MAX];

void *tool_alloc(struct tool_run *run, size_t n)
{
	struct tool_block *block = run->blocks;
	size_t need = (n + 15) & ~(size_t)15;

	assert(n <= ALLOC_MAX);
	if (!block || block->size - block->used < need) {
		size_t size = MAX(need, (size_t)BLOCK_BYTES);

		block = malloc(sizeof(*block) + size);
		if (!block) {
			tool_fail(run, TOOL_UNKNOWN, NULL,
			          "memory is short on this machine");
			return memset(scratch, 0, n);
		}
		*block = (struct tool_block){ .next = run->blocks,
			                      .size = size };
		run->blocks = block;
	}

	void *at = block->bytes + block->used;
	block->used += need;
	return memset(at, 0, n);
}

struct span tool_keep(struct tool_run *run, struct span text)
{
	char *at;

	if (text.len >= ALLOC_MAX)
		text.len = ALLOC_MAX - 1;
	at = tool_alloc(run, text.len + 1);
	if (text.len)
		memcpy(at, text.at, text.len);
	return span_of(at, text.len);
}

/* --- the call -------------------------------------------------------------
 */

unsigned tool_phase(const struct tool_run *run)
{
	return run->phase;
}

void *tool_state(struct tool_run *run)
{
	return run->state;
}

struct span tool_recipe(const struct tool_run *run)
{
	return run->in.recipe;
}

struct span tool_arguments(const struct tool_run *run)
{
	return buf_span(&run->flat);
}

struct span tool_raw(const struct tool_run *run, const char *name)
{
	struct span raw = value_get(buf_span(&run->flat), span_str(name));

	if (value_type(raw) == VALUE_NULL)
		return span_of(NULL, 0);
	return raw;
}

struct span tool_text(struct tool_run *run, const char *name)
{
	return path_means(run, tool_raw(run, name));
}

int64_t tool_integer(const struct tool_run *run, const char *name,
                     int64_t otherwise)
{
	int64_t n;

	return value_integer(tool_raw(run, name), &n) ? n : otherwise;
}

double tool_number(const struct tool_run *run, const char *name,
                   double otherwise)
{
	double n;

	return path_double(tool_raw(run, name), &n) ? n : otherwise;
}

bool tool_flag(const struct tool_run *run, const char *name)
{
	return value_type(tool_raw(run, name)) == VALUE_TRUE;
}

struct span tool_tenancy(const struct tool_run *run)
{
	if (run->in.account->tenancy.len)
		return run->in.account->tenancy;
	return run->tenancy;
}

struct span tool_compartment(struct tool_run *run)
{
	struct span given = tool_text(run, "compartment_id");

	if (given.len)
		return given;
	if (run->in.account->compartment.len)
		return run->in.account->compartment;
	return tool_tenancy(run);
}

struct span tool_auth_method(const struct tool_run *run)
{
	return run->method;
}

struct span tool_region(const struct tool_run *run)
{
	return run->region;
}

int64_t tool_now_s(const struct tool_run *run)
{
	return clock_utc_ms() / 1000 + runner_skew_s(run);
}

/* --- asking ---------------------------------------------------------------
 */

struct tool_ask *tool_ask(struct tool_run *run, const char *operation)
{
	const struct operation *op = operation_find(span_str(operation));
	struct tool_ask *ask;

	assert(op);
	if (run->n_asks >= TOOL_ASKS_MAX)
		tool_fail(run, TOOL_VALIDATION, "Ask for less at once.",
		          "this call would need more than %d requests",
		          TOOL_ASKS_MAX);
	ask = tool_alloc(run, sizeof(*ask));
	ask->run = run;
	ask->op = op;
	ask->query.max = CLIENT_URL_MAX;
	ask->fields.max = CLIENT_URL_MAX;
	ask->body.max = TOOL_RESULT_MAX;
	ask->url.max = CLIENT_URL_MAX;
	if ((char *)ask == scratch)
		return ask;
	if (run->failed) {
		/* Never sent, but freed with the others. */
		ask->state = ASK_DONE;
		ask->call.end = CLIENT_MEMORY;
	}
	run->n_asks++;
	*run->asks_end = ask;
	run->asks_end = &ask->next;
	return ask;
}

/* Encoded it would stay one segment, but who decodes it on the way? */
static bool climbs(struct span text)
{
	while (text.len) {
		struct span part = span_first(text, span_find(text, '/'));

		if (span_is(part, ".") || span_is(part, ".."))
			return true;
		text = span_from(text, MIN(part.len + 1, text.len));
	}
	return false;
}

void tool_ask_path(struct tool_ask *ask, const char *name, struct span value)
{
	struct tool_parameter *p = ask->paths;

	/* Callers may say a name twice. */
	while (p < ask->paths + ask->n_paths && strcmp(p->name, name) != 0)
		p++;
	if (p == ask->paths + ask->n_paths) {
		assert(ask->n_paths < RUNNER_PATHS_MAX);
		if (climbs(value))
			tool_fail(
				ask->run, TOOL_VALIDATION, NULL,
				"%s: \".\" and \"..\" cannot be part of a path",
				name);
		ask->n_paths++;
	}
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->value = tool_keep(ask->run, value);
}

void tool_ask_query(struct tool_ask *ask, const char *name, struct span value)
{
	if (value.len == 0)
		return;
	if (ask->query.len)
		buf_putc(&ask->query, '&');
	sign_encode(span_str(name), &ask->query);
	buf_putc(&ask->query, '=');
	sign_encode(value, &ask->query);
	if (strcmp(name, "limit") == 0)
		ask->has_limit = true;
}

void tool_ask_query_number(struct tool_ask *ask, const char *name,
                           int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	tool_ask_query(ask, name, span_of(text, (size_t)n));
}

void tool_ask_header(struct tool_ask *ask, const char *name, struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (c < 0x20 || c >= 0x7f) {
			tool_fail(ask->run, TOOL_VALIDATION, NULL,
			          "the value of %s has a character that a "
			          "header field cannot carry",
			          name);
			return;
		}
	}
	buf_addf(&ask->fields, "%s: %.*s\r\n", name, SPAN_ARG(value));
}

struct buf *tool_ask_body(struct tool_ask *ask)
{
	ask->has_body = true;
	return &ask->body;
}

void tool_ask_items(struct tool_ask *ask, size_t wanted)
{
	ask->call.wanted = MIN(MAX(wanted, (size_t)1), (size_t)TOOL_ITEMS_MAX);
}

void tool_ask_optional(struct tool_ask *ask)
{
	ask->optional = true;
}

void tool_ask_region(struct tool_ask *ask, struct span region)
{
	ask->region = tool_keep(ask->run, region);
}

void tool_ask_home(struct tool_ask *ask)
{
	ask->home = true;
}

void tool_ask_endpoint(struct tool_ask *ask, struct span url)
{
	ask->endpoint = tool_keep(ask->run, url);
}

void tool_ask_cache(struct tool_ask *ask, const char *tier)
{
	ask->tier = tool_keep(ask->run, span_str(tier)).at;
}

bool tool_ask_ok(const struct tool_ask *ask)
{
	return ask->state == ASK_DONE && ask->call.end == CLIENT_OK;
}

int tool_ask_status(const struct tool_ask *ask)
{
	return ask->call.status;
}

struct span tool_ask_answer(const struct tool_ask *ask)
{
	return ask->answer;
}

bool tool_ask_more(const struct tool_ask *ask)
{
	return ask->call.more;
}

struct span tool_ask_field(const struct tool_ask *ask, const char *name)
{
	if (strcmp(name, "etag") == 0)
		return span_str(ask->call.etag);
	if (strcmp(name, "opc-work-request-id") == 0)
		return span_str(ask->call.work_request);
	if (strcmp(name, "opc-request-id") == 0)
		return span_str(ask->call.request_id);
	return span_of(NULL, 0);
}

struct span tool_ask_error(const struct tool_ask *ask)
{
	return span_str(ask->why);
}

/* --- results --------------------------------------------------------------
 */

struct buf *tool_out(struct tool_run *run)
{
	return &run->out;
}

void tool_fail(struct tool_run *run, enum tool_error category,
               const char *suggestion, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	if (run->failed)
		return; /* the first reason is the one that counts */
	run->failed = true;
	run->category = category;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	n = MAX(0, MIN(n, (int)sizeof(text) - 1));
	run->error = tool_keep(run, span_of(text, (size_t)n));
	run->suggestion = tool_keep(
		run, span_str(suggestion ? suggestion : advice(category)));
}

/* The rows of the contract: what a status means. */
static enum tool_error category_of(const struct client_call *call)
{
	static const struct {
		int status;
		enum tool_error category;
	} rows[] = {
		{ 400, TOOL_VALIDATION },    { 401, TOOL_AUTHENTICATION },
		{ 403, TOOL_AUTHORIZATION }, { 404, TOOL_NOT_FOUND },
		{ 409, TOOL_SERVICE },       { 412, TOOL_SERVICE },
		{ 429, TOOL_RATE_LIMIT },    { 500, TOOL_SERVICE },
		{ 502, TOOL_SERVICE },       { 503, TOOL_SERVICE },
		{ 504, TOOL_SERVICE },
	};

	switch (call->end) {
	case CLIENT_OK:
	case CLIENT_STATUS:
		break;
	case CLIENT_CREDENTIALS:
		return TOOL_AUTHENTICATION;
	case CLIENT_NETWORK:
		return TOOL_NETWORK;
	case CLIENT_TIMEOUT:
		return TOOL_TIMEOUT;
	case CLIENT_GARBAGE:
		return TOOL_SERVICE;
	case CLIENT_MEMORY:
		return TOOL_UNKNOWN;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == call->status)
			return rows[i].category;
	return TOOL_UNKNOWN;
}

void tool_fail_ask(struct tool_run *run, const struct tool_ask *ask)
{
	const struct client_call *call = &ask->call;
	struct span name = operation_name(ask->op);

	if (run->failed)
		return;
	if (call->end == CLIENT_STATUS)
		tool_fail(run, category_of(call), NULL, "%.*s: %s%s%s",
		          SPAN_ARG(name), call->code, call->code[0] ? ": " : "",
		          call->message);
	else
		tool_fail(run, category_of(call), NULL, "%.*s: %s",
		          SPAN_ARG(name), call->message);
	run->status = call->status;
	run->code = tool_keep(run, span_str(call->code));
	run->request_id = tool_keep(run, span_str(call->request_id));
}

void tool_progress(struct tool_run *run, double fraction, const char *message)
{
	if (fraction > 1)
		fraction = 1;
	/* Progress must grow (MCP, "Progress"). */
	if (fraction <= run->progress || !run->in.on_progress)
		return;
	run->progress = fraction;
	run->in.on_progress(run, fraction, span_str(message));
}

void tool_sleep(struct tool_run *run, uint64_t ms)
{
	run->sleep_ms = MAX(ms, (uint64_t)1);
}

bool tool_is_dry(const struct tool_run *run)
{
	return tool_flag(run, "dry_run");
}

static bool compartment_allowed(const struct runner_account *account,
                                struct span compartment)
{
	if (account->n_compartments == 0)
		return true;
	for (size_t i = 0; i < account->n_compartments; i++)
		if (span_eq(account->compartments[i], compartment))
			return true;
	return false;
}

bool tool_may_change(struct tool_run *run, struct span compartment,
                     bool destructive)
{
	const struct runner_account *account = run->in.account;

	if (!account->allow_mutations)
		tool_fail(run, TOOL_AUTHORIZATION,
		          "The administrator of this server can allow changes "
		          "with ALLOW_MUTATIONS=true.",
		          "changes are switched off on this server");
	else if (!run->in.may_write)
		tool_fail(run, TOOL_AUTHORIZATION,
		          "Use a token with the scope write:tools.",
		          "this caller may not change anything");
	else if (!compartment_allowed(account, compartment))
		tool_fail(run, TOOL_AUTHORIZATION,
		          "The administrator lists the compartments in "
		          "oci.mutation_compartments.",
		          "changes are not allowed in %s%.*s",
		          compartment.len ? "compartment "
		                          : "a compartment that is not known",
		          SPAN_ARG(compartment));
	else if (destructive && !tool_is_dry(run) && !tool_flag(run, "confirm"))
		tool_fail(run, TOOL_VALIDATION,
		          "Ask the user, then call again with \"confirm\": "
		          "true; \"dry_run\": true shows what would happen.",
		          "this may end or interrupt something that is in use, "
		          "so it needs \"confirm\": true");
	else
		return true;
	return false;
}
