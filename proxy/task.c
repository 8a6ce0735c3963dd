#include "proxy/task.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "proxy/catalog.h"
#include "proxy/extension.h"
#include "proxy/publish.h"
#include "proxy/question.h"
#include "proxy/relay.h"
#include "proxy/sealed.h"
#include "proxy/waiting.h"

/* Texts of a SEALED_TASK. */
enum { OWN, TOOL };

bool task_public(const struct snapshot *snap, const struct caller *caller,
                 uint32_t backend, struct span tool, struct span own,
                 struct buf *out)
{
	struct sealed s = {
		.kind = SEALED_TASK,
		.backend = sealed_backend(snap, backend),
		.texts = { [OWN] = own, [TOOL] = tool },
	};

	return own.len > 0 && own.len <= TASK_ID_MAX &&
	       sealed_write(snap, caller_id(caller), &s, out);
}

bool task_own(const struct snapshot *snap, const struct caller *caller,
              struct span public, struct task *task)
{
	struct sealed_room room;
	struct sealed s;
	bool good = sealed_read(snap, caller_id(caller),
	                        SEALED_BIT(SEALED_TASK), public,
	                        clock_utc_ms() / 1000, &s, &room) == SEALED_OK;

	if (good) {
		task->backend = sealed_find_backend(snap, s.backend);
		task->len = s.texts[OWN].len;
		good = task->backend < snap->head->backends.len &&
		       task->len <= TASK_ID_MAX;
	}
	if (good) {
		memcpy(task->own, s.texts[OWN].at, task->len);
		catalog_needs(snap, task->backend, s.texts[TOOL], &task->needs);
	}
	sealed_free(&room);
	return good;
}

/* ---- the way there ---- */

void task_undeclared(struct problem *why)
{
	problem_set(why, 400, RPC_MISSING_CAPABILITY,
	            "The client has not declared the extension " EXTENSION_TASKS
	            " in this request");
	snprintf(why->data, sizeof(why->data),
	         "{\"requiredCapabilities\":{\"extensions\":{"
	         "\"" EXTENSION_TASKS "\":{}}}}");
}

static bool refuse(struct problem *why, int code, const char *fmt,
                   struct span name)
{
	problem_set(why, 200, code, fmt, SPAN_ARG(name));
	return false;
}

/* The backend has to be known to speak the modern era; the keeper may not have
 * asked it yet. */
static bool set_route(const struct snapshot *snap, const struct task *task,
                      struct route *route, struct problem *why)
{
	const struct backend *b = snapshot_backend(snap, task->backend);

	route->backend = task->backend;
	route->server = VIEW_MODERN;
	static_assert(TASK_ID_MAX <= MESSAGE_URI_MAX, "it fits");
	memcpy(route->name, task->own, task->len);
	route->name_len = task->len;
	if (snapshot_origin(snap, task->backend)->eras & ERA_MODERN)
		return true;
	return refuse(why, RPC_INTERNAL, "Backend %.*s has not answered yet",
	              snapshot_text(snap, b->name));
}

bool task_route(const struct snapshot *snap, const struct caller *caller,
                const struct message *msg, struct route *route,
                struct scope_set *needs, struct problem *why)
{
	struct task task;
	struct span id;

	route->entry = NULL;
	route->own = false;
	route->name_len = route->public_len = 0;
	if (!(caller->abilities & CLIENT_TASKS)) {
		task_undeclared(why);
		return false;
	}
	if (value_type(msg->name) != VALUE_STRING)
		return refuse(why, RPC_INVALID_PARAMS,
		              "params.taskId must be a string%.*s", SPAN(""));
	if (!value_string_plain(msg->name, &id) || id.len > MESSAGE_URI_MAX ||
	    !task_own(snap, caller, id, &task))
		return refuse(why, RPC_INVALID_PARAMS, "Unknown task%.*s",
		              SPAN(""));
	memcpy(route->public_name, id.at, id.len);
	route->public_len = id.len;
	*needs = task.needs;
	return set_route(snap, &task, route, why);
}

/* ---- the way back ---- */

bool task_concerns(const struct call *c, struct span type)
{
	return c->method->work == WORK_BY_TASK ||
	       (c->method->id == METHOD_TOOLS_CALL &&
	        value_string_eq(type, SPAN("task")));
}

/* A new task: its id becomes ours. */
static bool accept_new(struct call *c, struct span id)
{
	char own[TASK_ID_MAX];
	int n = value_string(id, own, sizeof(own));
	struct span tool = c->entry ? snapshot_text(c->snap, c->entry->name)
	                            : buf_span(&c->tool);

	if (c->client != VIEW_MODERN || !(c->caller.abilities & CLIENT_TASKS)) {
		relay_fail(c, OUTCOME_ERROR,
		           "it made a task of the call, and this client has "
		           "not declared " EXTENSION_TASKS);
		return false;
	}
	buf_putc(&c->task, '"');
	if (c->server != VIEW_MODERN || n <= 0 ||
	    !task_public(c->snap, &c->caller, c->backend, tool,
	                 span_of(own, (size_t)n), &c->task)) {
		relay_nonsense(c, "it made a task without an id of use");
		return false;
	}
	buf_putc(&c->task, '"');
	return true;
}

bool task_accept(struct call *c, struct span type, struct span result)
{
	struct span id = value_get(result, SPAN("taskId"));
	struct span public;
	struct task task;

	if (c->method->work != WORK_BY_TASK)
		return accept_new(c, id);
	/* Some say "task" here too, as examples of the extension did. */
	if (type.at && !value_string_eq(type, SPAN("complete")) &&
	    !value_string_eq(type, SPAN("task"))) {
		relay_nonsense(c, "its result is of a type that was not asked "
		                  "for");
		return false;
	}
	if (id.at && (!value_string_plain(buf_span(&c->task), &public) ||
	              !task_own(c->snap, &c->caller, public, &task) ||
	              !value_string_eq(id, task_own_id(&task)))) {
		relay_nonsense(c, "it answered about another task");
		return false;
	}
	if (question_all_allowed(value_get(result, SPAN("inputRequests")),
	                         c->caller.abilities))
		return true;
	relay_fail(c, OUTCOME_ERROR,
	           "its task asks for what this client has not declared");
	return false;
}

/* ---- tools that run as tasks only ---- */

bool task_required(const struct call *c)
{
	return c->server == VIEW_LEGACY && c->entry &&
	       (c->entry->flags & ENTRY_TASK) &&
	       c->method->id == METHOD_TOOLS_CALL;
}

/* A request about the task, its raw id, in place of the one before. */
static void ask_for(struct buf *out, uint64_t id, const char *method,
                    struct span task)
{
	buf_addf(out,
	         "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\","
	         "\"params\":{\"taskId\":%.*s}}",
	         (unsigned long long)id, method, SPAN_ARG(task));
}

bool task_follow(struct call *c, struct span result)
{
	struct buf next = { .max = c->body.max };
	struct span id;

	if (!task_required(c) || c->follows_task)
		return false;
	id = value_get(value_get(result, SPAN("task")), SPAN("taskId"));
	if (value_type(id) != VALUE_STRING || id.len > TASK_ID_MAX)
		return false;
	c->digest = waiting_call_digest(c);
	c->follows_task = true;
	c->id = ++c->proxy->next_id;
	ask_for(&next, c->id, "tasks/result", id);
	exchange_detach(&c->x);
	buf_free(&c->body);
	c->body = next;
	buf_reset(&c->in);
	buf_reset(&c->event); /* of the stream before */
	c->x.repeatable = true;
	c->attempt++;
	call_send(c);
	return true;
}

void task_stop(struct call *c)
{
	struct span params = value_get(buf_span(&c->body), SPAN("params"));
	struct buf text = { .max = 2 * TASK_ID_MAX };

	ask_for(&text, ++c->proxy->next_id, "tasks/cancel",
	        value_get(params, SPAN("taskId")));
	if (buf_err(&text) == 0)
		relay_post(c, buf_span(&text));
	buf_free(&text);
}

void task_notify(const struct snapshot *snap, uint32_t backend,
                 struct span public_id, struct span task, struct span listen_id,
                 struct buf *out)
{
	const struct backend *of = snapshot_backend(snap, backend);
	struct buf id = { .max = MESSAGE_URI_MAX };
	struct publish how = { .kind = PUBLISH_TASK };
	struct value_iter it;
	struct span key, value;

	buf_add_json(&id, public_id);
	how.task = buf_span(&id);
	if (of->flags & BACKEND_NAMESPACE)
		how.identifier = snapshot_text(snap, of->identifier);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"method\":"
	              "\"notifications/tasks\",\"params\":{");
	value_iter_init(&it, task);
	while (value_object_next(&it, &key, &value)) {
		if (value_string_eq(key, SPAN("_meta")))
			continue;
		buf_add_span(out, key);
		buf_putc(out, ':');
		publish_member(&how, key, value, out);
		buf_putc(out, ',');
	}
	buf_puts(out, "\"_meta\":{\"" MESSAGE_LISTEN_ID "\":");
	buf_add_span(out, listen_id);
	value_iter_init(&it, value_get(task, SPAN("_meta")));
	while (value_object_next(&it, &key, &value)) {
		if (value_string_eq(key, SPAN(MESSAGE_LISTEN_ID)))
			continue;
		buf_putc(out, ',');
		buf_add_span(out, key);
		buf_putc(out, ':');
		buf_add_span(out, value);
	}
	buf_puts(out, "}}}");
	if (buf_err(&id) < 0)
		buf_free(out);
	buf_free(&id);
}
