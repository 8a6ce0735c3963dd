#include "tests/unit/fixture_tool.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/scan.h"
#include "oci/exchange.h"
#include "oci/functions.h"
#include "oci/mapping.h"
#include "oci/pack.h"
#include "oci/path.h"
#include "oci/stock.h"

#define ANSWERS_MAX 128
#define ASKED_MAX   (TOOL_ASKS_MAX + 1)

struct scripted {
	const char *operation, *part, *json;
	int status; /* not 200: an error */
	const char *code, *message;
	bool used;
};

static struct {
	struct loop *loop;
	struct runner *runner;
	struct signature_channel *signatures;
	struct source keeper;
	struct timer watchdog;
	int worker_fd;
	struct runner_account account;
	bool may_write;
	struct packs packs;
	bool packs_loaded;

	struct scripted answers[ANSWERS_MAX];
	size_t n_answers;
	const char *etag, *work_request;

	char *asked[ASKED_MAX], *fields[ASKED_MAX];
	size_t n_asked;

	struct fixture_tool_result result;
	char *text, *structured;
	double progress;
	bool ended;
} f;

#define CALL_MS 20000 /* a call that takes longer hangs */

/* --- the keeper's place --------------------------------------------------- */

static void on_question(struct source *source, uint32_t events)
{
	char room[EXCHANGE_MAX];
	struct buf packet = { .max = EXCHANGE_MAX };
	struct exchange_message question,
		answer = { .kind = EXCHANGE_ANSWER,
		           .texts = { [ANSWER_TENANCY] = SPAN(FIXTURE_TENANCY),
		                      [ANSWER_REGION] = SPAN(FIXTURE_REGION),
		                      [ANSWER_METHOD] =
		                              SPAN(FIXTURE_METHOD) } };
	int n = exchange_receive(source->fd, room);

	(void)events;
	if (n <= 0)
		return;
	cr_assert(exchange_read(span_of(room, (size_t)n), EXCHANGE_ASK,
	                        &question));
	answer.id = question.id;
	cr_assert_eq(exchange_write(&answer, &packet), 0);
	cr_assert_eq(exchange_send(source->fd, buf_span(&packet)), 0);
	buf_free(&packet);
}

/* --- the cloud's place ---------------------------------------------------- */

static struct scripted *find_answer(struct span operation, struct span url)
{
	struct scripted *last = NULL;

	for (size_t i = 0; i < f.n_answers; i++) {
		struct scripted *s = &f.answers[i];

		if (!span_is(operation, s->operation) ||
		    (s->part &&
		     !memmem(url.at, url.len, s->part, strlen(s->part))))
			continue;
		if (!s->used)
			return s;
		last = s;
	}
	return last;
}

/* Items out of what would be one page or several. */
static void put_items(struct client_call *call, struct span json)
{
	struct value_iter it = path_items(json, "");
	struct span item;

	buf_putc(&call->answer, '[');
	while (value_array_next(&it, &item)) {
		if (call->n_items == call->wanted) {
			call->more = true;
			break;
		}
		if (call->n_items++)
			buf_putc(&call->answer, ',');
		buf_add_span(&call->answer, item);
	}
	buf_putc(&call->answer, ']');
}

static void fill(struct client_call *call, struct scripted *s)
{
	snprintf(call->request_id, sizeof(call->request_id), "fixture-%zu",
	         f.n_asked);
	snprintf(call->etag, sizeof(call->etag), "%s", f.etag ? f.etag : "");
	snprintf(call->work_request, sizeof(call->work_request), "%s",
	         f.work_request ? f.work_request : "");
	call->status = s ? s->status : 404;
	call->answer.max = TOOL_BYTES_MAX;
	if (call->status == 200) {
		call->end = CLIENT_OK;
		if (call->wanted)
			put_items(call, span_str(s->json));
		else
			buf_puts(&call->answer, s->json);
		return;
	}
	call->end = CLIENT_STATUS;
	snprintf(call->code, sizeof(call->code), "%s",
	         s ? s->code : "NotAuthorizedOrNotFound");
	snprintf(call->message, sizeof(call->message), "%s",
	         s ? s->message : "Nothing in the script.");
}

static void on_answered(struct timer *timer)
{
	runner_ask_done(CONTAINER_OF(timer, struct tool_ask, call.timer));
}

/* "operation METHOD target body" */
static void note(const struct tool_ask *ask)
{
	struct span url = ask->call.url;
	struct span id = operation_id(ask->op);
	const char *slash = memmem(url.at, url.len, "://", 3);
	size_t skip = slash ? (size_t)(slash + 3 - url.at) : 0;

	cr_assert_lt(f.n_asked, ASKED_MAX);
	url = span_from(url, skip);
	url = span_from(url, span_find(url, '/'));
	cr_assert_gt(asprintf(&f.asked[f.n_asked], "%.*s %.*s %.*s%s%.*s",
	                      SPAN_ARG(id), SPAN_ARG(ask->call.method),
	                      SPAN_ARG(url), ask->call.body.len ? " " : "",
	                      SPAN_ARG(ask->call.body)),
	             0);
	cr_assert_geq(asprintf(&f.fields[f.n_asked], "%.*s",
	                       SPAN_ARG(ask->call.fields)),
	              0);
	f.n_asked++;
}

static void on_send(struct tool_ask *ask)
{
	struct scripted *s = find_answer(operation_id(ask->op), ask->call.url);

	note(ask);
	fill(&ask->call, s);
	if (s)
		s->used = true;
	loop_timer(f.loop, &ask->call.timer, 0, on_answered);
}

/* --- the script ----------------------------------------------------------- */

static void add(struct scripted s)
{
	cr_assert_lt(f.n_answers, ANSWERS_MAX);
	cr_assert_not_null(operation_find(span_str(s.operation)), "%s",
	                   s.operation);
	f.answers[f.n_answers++] = s;
}

void fixture_tool_answer_for(const char *operation, const char *part,
                             const char *json)
{
	struct scan_error why;

	cr_assert_eq(scan_document(span_str(json), NULL, 0, NULL, &why),
	             SCAN_OK, "%s", json);
	add((struct scripted){ .operation = operation,
	                       .part = part,
	                       .json = json,
	                       .status = 200 });
}

void fixture_tool_answer(const char *operation, const char *json)
{
	fixture_tool_answer_for(operation, NULL, json);
}

void fixture_tool_refuse(const char *operation, int status, const char *code,
                         const char *message)
{
	add((struct scripted){ .operation = operation,
	                       .status = status,
	                       .code = code,
	                       .message = message });
}

void fixture_tool_head(const char *etag, const char *work_request)
{
	f.etag = etag;
	f.work_request = work_request;
}

struct runner_account *fixture_tool_account(void)
{
	return &f.account;
}

void fixture_tool_may_write(bool may_write)
{
	f.may_write = may_write;
}

/* --- begin and end -------------------------------------------------------- */

void fixture_tool_begin(void)
{
	int pair[2];

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	cr_assert_not_null(f.loop);
	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f.worker_fd = pair[0];
	f.keeper = (struct source){ .fd = pair[1], .on_ready = on_question };
	cr_assert_eq(loop_add(f.loop, &f.keeper, EPOLLIN), 0);
	f.signatures = signature_channel_new(f.loop, f.worker_fd);
	cr_assert_not_null(f.signatures);
	f.runner = runner_new(&(struct runner_config){
		.loop = f.loop, .signatures = f.signatures, .send = on_send });
	cr_assert_not_null(f.runner);
	f.account.allow_mutations = true;
	f.account.client.credential = 1;
	f.may_write = true;
}

static void forget_call(void)
{
	for (size_t i = 0; i < f.n_asked; i++) {
		free(f.asked[i]);
		free(f.fields[i]);
	}
	f.n_asked = 0;
	free(f.text);
	free(f.structured);
	f.text = f.structured = NULL;
	f.progress = 0;
	f.ended = false;
}

void fixture_tool_end(void)
{
	forget_call();
	if (f.packs_loaded)
		pack_fini(&f.packs);
	runner_free(f.runner);
	signature_channel_free(f.signatures);
	loop_close(f.loop, &f.keeper);
	close(f.worker_fd);
	loop_free(f.loop);
}

/* --- calls ---------------------------------------------------------------- */

static char *copy(struct span text)
{
	char *out = malloc(text.len + 1);

	cr_assert_not_null(out);
	if (text.len)
		memcpy(out, text.at, text.len);
	out[text.len] = '\0';
	return out;
}

static void on_done(struct tool_run *run, const struct runner_result *result)
{
	struct scan_error why;

	(void)run;
	f.text = copy(result->text);
	f.structured = copy(result->structured);
	f.result = (struct fixture_tool_result){
		.is_error = result->is_error,
		.category = result->error,
		.text = f.text,
		.structured = span_of(f.structured, result->structured.len),
	};
	f.ended = true;
	loop_stop(f.loop);
	cr_assert_eq(scan_document(f.result.structured, NULL, 0, NULL, &why),
	             SCAN_OK, "%s", f.structured);
	cr_assert_eq(value_type(f.result.structured), VALUE_OBJECT);
	cr_assert_gt(strlen(f.text), 0);
}

static void on_progress(struct tool_run *run, double fraction,
                        struct span message)
{
	(void)run;
	cr_assert_gt(fraction, f.progress);
	cr_assert_leq(fraction, 1);
	cr_assert_gt(message.len, 0);
	f.progress = fraction;
}

static void on_late(struct timer *timer)
{
	(void)timer;
	loop_stop(f.loop);
}

static struct span tool_at(void *owner, size_t i, struct span *name)
{
	(void)owner;
	if (i >= f.packs.n_tools)
		return SPAN("");
	*name = span_str(f.packs.tools[i].name);
	return f.packs.tools[i].recipe;
}

static const struct fixture_tool_result *
run_call(const struct tool_function *function, struct span recipe,
         const char *arguments)
{
	static const struct tool_function mapping = {
		.step = mapping_step,
		.state_bytes = MAPPING_STATE_BYTES,
	};
	struct runner_tools tools = { .recipe = tool_at,
		                      .server_name = SPAN("fixture"),
		                      .server_version = SPAN("1") };
	struct runner_input input = {
		.account = &f.account,
		.tools = &tools,
		.recipe = SPAN("{}"), /* so that no function is looked up */
		.arguments = span_str(arguments ? arguments : "{}"),
		.may_write = f.may_write,
		.on_done = on_done,
		.on_progress = on_progress,
	};
	struct tool_run *run;

	forget_call();
	run = runner_start(f.runner, &input);
	cr_assert_not_null(run);
	run->in.recipe = recipe;
	run->function = function ? function : &mapping;
	free(run->state);
	run->state = calloc(1, run->function->state_bytes + 1);
	cr_assert_not_null(run->state);
	loop_timer(f.loop, &f.watchdog, CALL_MS, on_late);
	cr_assert_eq(loop_run(f.loop), 0);
	loop_timer_stop(f.loop, &f.watchdog);
	cr_assert(f.ended, "the call does not end");
	cr_assert_eq(runner_running(f.runner), 0);
	return &f.result;
}

const struct fixture_tool_result *
fixture_tool_call(const struct tool_function *function, const char *recipe,
                  const char *arguments)
{
	struct scan_error why;

	cr_assert_eq(scan_document(span_str(recipe), NULL, 0, NULL, &why),
	             SCAN_OK, "%s", recipe);
	return run_call(function, span_str(recipe), arguments);
}

static bool any_function(struct span name)
{
	return functions_by_name(name) != NULL;
}

/* Defects of other tools are not what the test is about. */
static void report(void *owner, const struct pack_defect *defect)
{
	const char *wanted = owner;

	if (strcmp(defect->tool, wanted) == 0)
		fprintf(stderr, "%s:%u: %s: %s\n", defect->file,
		        defect->place.line, defect->tool, defect->reason);
}

const struct fixture_tool_result *fixture_tool_stock(const char *tool,
                                                     const char *arguments)
{
	struct pack_rules rules = { .has_function = any_function,
		                    .report = report,
		                    .owner = (void *)(uintptr_t)tool };
	const struct pack_tool *found;

	if (!f.packs_loaded)
		cr_assert_geq(pack_load_all(&f.packs, stock_packs(), &rules),
		              0);
	f.packs_loaded = true;
	found = pack_find(&f.packs, span_str(tool));
	cr_assert_not_null(found, "%s", tool);
	return run_call(functions_find(found->recipe), found->recipe,
	                arguments);
}

void fixture_tool_is(const char *path, const char *raw)
{
	struct span found = path_get(f.result.structured, path);

	cr_assert(raw ? span_is(found, raw) : found.at == NULL,
	          "%s is %.*s, not %s, in %s", path, SPAN_ARG(found),
	          raw ? raw : "nothing", f.structured);
}

const char *fixture_tool_asked(size_t i)
{
	return i < f.n_asked ? f.asked[i] : NULL;
}

const char *fixture_tool_fields(size_t i)
{
	return i < f.n_asked ? f.fields[i] : NULL;
}

double fixture_tool_progress(void)
{
	return f.progress;
}
