/*
 * task - tasks of backends, under ids that lead back to them (the extension
 * io.modelcontextprotocol/tasks).
 *
 * A client that declares the extension may get a task instead of a result. Its
 * id is sealed (proxy/sealed): backend, tool, and the backend's own id. So any
 * worker of any replica with the same session_key finds the backend, and only
 * the caller that made the task can ask for it, while it has the scopes that
 * its tool needs at that time. It does not expire: the backend knows how long
 * it keeps a task. Whoever sends an id back gets answers under that very id; a
 * new id for the same task would be another text.
 */
#ifndef PROXY_TASK_H
#define PROXY_TASK_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "proxy/call.h"

#define TASK_ID_MAX 512 /* bytes of a backend's own id */

/* Whose a task is. */
struct task {
	uint32_t backend;       /* index in the snapshot */
	struct scope_set needs; /* of its tool, by the present rules */
	size_t len;
	char own[TASK_ID_MAX]; /* the backend's own id */
};

static inline struct span task_own_id(const struct task *task)
{
	return span_of(task->own, task->len);
}

/*
 * Append the public id of a task that a call of the (public) tool made. False:
 * own is empty or over TASK_ID_MAX, or no memory.
 */
MUST_CHECK bool task_public(const struct snapshot *snap,
                            const struct caller *caller, uint32_t backend,
                            struct span tool, struct span own, struct buf *out);

/* The way back. False: not an id of ours, another caller's, or its backend is
 * not there any more. */
MUST_CHECK bool task_own(const struct snapshot *snap,
                         const struct caller *caller, struct span public,
                         struct task *task);

/* The error for a client that uses what it has not declared (-32021). */
void task_undeclared(struct problem *why);

/*
 * Find the backend of a WORK_BY_TASK message, and what it needs. False fills
 * *why: the client has not declared the extension (-32021), or there is no such
 * task (-32602).
 */
MUST_CHECK bool task_route(const struct snapshot *snap,
                           const struct caller *caller,
                           const struct message *msg, struct route *route,
                           struct scope_set *needs, struct problem *why);

/* Must this call of a legacy backend ask for a task (MCP 2025-11-25,
 * "execution.taskSupport")? Clients are offered none there: the gateway waits
 * for its result in their place. */
bool task_required(const struct call *c);

/* Is this result of such a call its task? Then the call goes on. */
bool task_follow(struct call *c, struct span result);

/* Nobody waits for the task any more: its backend is told. */
void task_stop(struct call *c);

/* Is a result of this type (raw; empty: none) about a task? */
bool task_concerns(const struct call *c, struct span type);

/*
 * Does such a result hold, and may this client have it? Then c->task is the raw
 * id to show. False: it does not, and the call has ended.
 */
MUST_CHECK bool task_accept(struct call *c, struct span type,
                            struct span result);

/*
 * Append the notification that tells a client of a task's state, a raw object
 * of the backend's, under the names that the client knows. listen_id is the raw
 * id of its subscriptions/listen. Empty when there is no memory.
 */
void task_notify(const struct snapshot *snap, uint32_t backend,
                 struct span public_id, struct span task, struct span listen_id,
                 struct buf *out);

#endif
