#include "proxy/builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/fetch.h"
#include "oci/pack.h"
#include "proxy/catalog.h"
#include "proxy/downgrade.h"
#include "proxy/lists.h"
#include "proxy/manifest.h"

#define ANSWER_MAX (64u << 20)

struct builtin {
	struct loop *loop;
	struct cache *cache;
	struct fetcher *fetcher;
	struct signature_channel *signatures;
	struct runner *runner;
	int fd;
	struct buf out; /* answers that are put together */
};

struct builtin_call {
	struct builtin *builtin;
	struct tool_run *run; /* NULL: not running */
	struct reply *reply;
	struct snapshot *snap; /* the request's */
	struct runner_account account;
	struct runner_tools tools;
	const struct backend *backend;
	struct span compartments[BUILTIN_COMPARTMENTS];
	enum view_era era;
	enum revision revision; /* of the client */
	char operation[BUILTIN_OPERATION_MAX], request_id[CLIENT_ID_MAX];
	struct span uri; /* of a resource, as the client said it */
	struct timer timer;
	struct buf id, token, arguments; /* raw, of the message */
};

struct builtin *builtin_new(struct loop *loop, struct cache *cache)
{
	struct builtin *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->loop = loop;
	b->cache = cache;
	b->fd = -1;
	b->out.max = ANSWER_MAX;
	return b;
}

static void disconnect(struct builtin *b)
{
	runner_free(b->runner);
	signature_channel_free(b->signatures);
	b->runner = NULL;
	b->signatures = NULL;
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

void builtin_free(struct builtin *b)
{
	if (!b)
		return;
	disconnect(b);
	fetcher_free(b->fetcher);
	buf_free(&b->out);
	free(b);
}

void builtin_connect(struct builtin *b, int fd)
{
	disconnect(b);
	b->fd = fd;
}

/* With the first call: a worker without any needs none of this. */
static bool connected(struct builtin *b)
{
	if (b->runner || b->fd < 0)
		return b->runner != NULL;
	if (!b->fetcher)
		b->fetcher = fetcher_new(b->loop);
	if (!b->signatures)
		b->signatures = signature_channel_new(b->loop, b->fd);
	if (b->fetcher && b->signatures)
		b->runner = runner_new(&(struct runner_config){
			.loop = b->loop,
			.fetcher = b->fetcher,
			.signatures = b->signatures,
			.cache = b->cache,
		});
	return b->runner != NULL;
}

/* --- answers ---------------------------------------------------------------
 */

static void begin_stream(struct builtin_call *c)
{
	if (!c->reply->begun)
		c->reply->ops->begin(c->reply, 200, REPLY_EVENTS);
}

static void send_event(struct builtin_call *c, struct span json)
{
	static const char before[] = "event: message\ndata: ";
	struct iovec iov[] = {
		{ (void *)(uintptr_t)before, sizeof(before) - 1 },
		{ (void *)(uintptr_t)json.at, json.len },
		{ (void *)(uintptr_t) "\n\n", 2 },
	};

	c->reply->ops->more(c->reply, iov, ARRAY_LEN(iov));
}

static void send_answer(struct builtin_call *c, struct span json)
{
	struct iovec iov = { (void *)(uintptr_t)json.at, json.len };
	struct reply *reply = c->reply;

	loop_timer_stop(c->builtin->loop, &c->timer);
	if (!reply->begun) {
		reply->ops->whole(reply, 200, REPLY_JSON, &iov, 1);
		return;
	}
	send_event(c, json);
	reply->ops->end(reply, true);
}

static void send_error(struct builtin_call *c, int code, const char *text)
{
	struct buf *out = &c->builtin->out;

	buf_reset(out);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, buf_span(&c->id));
	buf_addf(out, ",\"error\":{\"code\":%d,\"message\":", code);
	buf_add_json(out, span_str(text));
	buf_puts(out, "}}");
	c->reply->outcome = OUTCOME_ERROR;
	c->reply->error = text;
	send_answer(c, buf_span(out));
}

static void on_done(struct tool_run *run, const struct runner_result *result)
{
	struct builtin_call *c = runner_owner(run);
	struct buf *out = &c->builtin->out;

	c->run = NULL; /* the runner ends it after this */
	snprintf(c->operation, sizeof(c->operation), "%.*s",
	         SPAN_ARG(result->operation));
	snprintf(c->request_id, sizeof(c->request_id), "%.*s",
	         SPAN_ARG(result->request_id));
	buf_reset(out);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, buf_span(&c->id));
	buf_puts(out, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
	buf_add_json(out, result->text);
	buf_puts(out, "}]");
	if (downgrade_structured(c->revision)) {
		buf_puts(out, ",\"structuredContent\":");
		buf_add_span(out, result->structured);
	}
	buf_puts(out,
	         result->is_error ? ",\"isError\":true" : ",\"isError\":false");
	if (c->era == VIEW_MODERN)
		lists_modern_members(c->snap, false, out);
	buf_puts(out, "}}");
	if (buf_err(out) < 0) {
		buf_free(out);
		send_error(c, RPC_INTERNAL,
		           "the answer does not fit into memory");
		return;
	}
	c->reply->outcome = result->is_error ? OUTCOME_ERROR : OUTCOME_SUCCESS;
	c->reply->error = result->error;
	send_answer(c, buf_span(out));
}

static void on_progress(struct tool_run *run, double fraction,
                        struct span message)
{
	struct builtin_call *c = runner_owner(run);
	struct buf *out = &c->builtin->out;
	unsigned percent = (unsigned)(fraction * 100 + 0.5);

	if (c->token.len == 0 || !c->reply->accepts_events || c->reply->full)
		return;
	buf_reset(out);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"method\":"
	              "\"notifications/progress\",\"params\":{"
	              "\"progressToken\":");
	buf_add_span(out, buf_span(&c->token));
	buf_addf(out, ",\"progress\":%u.%02u,\"total\":1,\"message\":",
	         percent / 100, percent % 100);
	buf_add_json(out, message);
	buf_puts(out, "}}");
	if (buf_err(out) < 0)
		return;
	begin_stream(c);
	send_event(c, buf_span(out));
}

/* A long call: comments on a stream keep the connection alive. */
static void on_long(struct timer *t)
{
	begin_stream(CONTAINER_OF(t, struct builtin_call, timer));
}

/* --- calls -----------------------------------------------------------------
 */

static struct span nth_recipe(void *owner, size_t i, struct span *name)
{
	struct builtin_call *c = owner;
	const struct recipe_row *rows =
		snapshot_array(c->snap, c->backend->recipes);

	if (i >= c->backend->recipes.len)
		return span_of(NULL, 0);
	*name = snapshot_text(c->snap, rows[i].name);
	return snapshot_text(c->snap, rows[i].recipe);
}

static void set_account(struct builtin_call *c)
{
	const struct snapshot *s = c->snap;
	const struct header *head = s->head;
	const struct ref *allowed = snapshot_array(s, head->oci_compartments);
	size_t n =
		MIN(head->oci_compartments.len, (uint32_t)BUILTIN_COMPARTMENTS);

	for (size_t i = 0; i < n; i++)
		c->compartments[i] = snapshot_text(s, allowed[i]);
	c->account = (struct runner_account){
		.client = {
			.credential = c->backend->oci_credential,
			.ca_pem = snapshot_text(s, head->oci_ca),
			.connect_timeout_ms = c->backend->connect_timeout_ms,
			.answer_timeout_ms = c->backend->request_timeout_ms,
		},
		.endpoint = snapshot_text(s, head->oci_endpoint),
		.region = snapshot_text(s, c->backend->oci_region),
		.tenancy = snapshot_text(s, head->oci_tenancy),
		.compartment = snapshot_text(s, head->oci_compartment),
		.compartments = c->compartments,
		.n_compartments = n,
		.allow_mutations = s->settings->oci_allow_mutations,
		.mask = s->settings->oci_mask_ocids,
	};
	c->tools = (struct runner_tools){
		.recipe = nth_recipe,
		.owner = c,
		.server_name = snapshot_text(s, head->name),
		.server_version = snapshot_text(s, head->program_version),
	};
}

static bool copy(struct buf *to, struct span from)
{
	to->max = SIZE_MAX;
	buf_add_span(to, from);
	return buf_err(to) == 0;
}

/* resources/read; there is one. */
static void read_resource(struct builtin_call *c)
{
	struct buf text = { .max = ANSWER_MAX };
	struct buf *out = &c->builtin->out;

	manifest_write(c->snap, c->backend, &text);
	buf_reset(out);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, buf_span(&c->id));
	buf_puts(out, ",\"result\":{\"contents\":[{\"uri\":");
	buf_add_json(out, c->uri);
	buf_puts(out, ",\"mimeType\":\"application/json\",\"text\":");
	buf_add_json(out, buf_span(&text));
	buf_puts(out, "}]");
	if (c->era == VIEW_MODERN)
		lists_modern_members(c->snap, true, out);
	buf_puts(out, "}}");
	if (buf_err(&text) < 0 || buf_err(out) < 0) {
		buf_free(out);
		send_error(c, RPC_INTERNAL, "memory is short");
	} else {
		c->reply->outcome = OUTCOME_SUCCESS;
		send_answer(c, buf_span(out));
	}
	buf_free(&text);
}

static void start(struct builtin_call *c, const struct route *route,
                  bool may_write)
{
	struct builtin *b = c->builtin;
	const struct recipe_row *row =
		catalog_recipe(c->snap->base, c->backend,
	                       span_of(route->name, route->name_len));
	struct runner_input in;

	if (!row || !connected(b)) {
		send_error(c, RPC_INTERNAL,
		           row ? "the process that signs requests is not "
		                 "connected: call again in a moment"
		               : "this tool is gone: read the list again");
		return;
	}
	set_account(c);
	in = (struct runner_input){
		.account = &c->account,
		.tools = &c->tools,
		.recipe = snapshot_text(c->snap, row->recipe),
		.arguments = buf_span(&c->arguments),
		.may_write = may_write,
		.on_done = on_done,
		.on_progress = on_progress,
		.owner = c,
	};
	c->run = runner_start(b->runner, &in);
	if (!c->run) {
		send_error(c, RPC_BUSY,
		           "too many calls run at the same time: try again");
		return;
	}
	if (c->reply->accepts_events)
		loop_timer(b->loop, &c->timer, BUILTIN_STREAM_MS, on_long);
}

void builtin_start(struct builtin *b, struct reply *reply,
                   struct snapshot *snap, const struct message *msg,
                   const struct route *route, bool may_write,
                   struct builtin_call **out)
{
	struct builtin_call *c = calloc(1, sizeof(*c));

	if (!c)
		abort(); /* a few kilobytes: the process is done for */
	*out = c;
	c->builtin = b;
	c->reply = reply;
	c->snap = snap;
	c->era = msg->era;
	c->revision = msg->revision;
	c->backend = snapshot_backend(snap, route->backend);
	if (msg->method->id == METHOD_RES_READ) {
		c->uri = span_of(route->public_name, route->public_len);
		if (copy(&c->id, msg->id))
			read_resource(c);
		else
			send_error(c, RPC_INTERNAL, "memory is short");
		return;
	}
	if (copy(&c->id, msg->id) && copy(&c->token, msg->progress_token) &&
	    copy(&c->arguments, msg->arguments))
		start(c, route, may_write);
	else
		send_error(c, RPC_INTERNAL, "memory is short");
}

void builtin_end(struct builtin_call *c)
{
	if (!c)
		return;
	loop_timer_stop(c->builtin->loop, &c->timer);
	if (c->run)
		runner_cancel(c->run);
	buf_free(&c->id);
	buf_free(&c->token);
	buf_free(&c->arguments);
	free(c);
}

struct span builtin_operation(const struct builtin_call *c)
{
	return span_str(c->operation);
}

struct span builtin_request_id(const struct builtin_call *c)
{
	return span_str(c->request_id);
}
