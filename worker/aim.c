#include "worker/aim.h"

#include "proxy/task.h"
#include "worker/access.h"

static bool may_use(const struct request *r, const struct scope_set *needs)
{
	const struct scope_set *have = access_scopes(r);

	return !have || scope_set_covers(have, needs);
}

static bool find_task(const struct request *r, struct span id, struct aim *aim)
{
	struct task task;

	static_assert(TASK_ID_MAX <= MESSAGE_URI_MAX, "it fits");
	if (!task_own(r->snap, &r->caller, id, &task) ||
	    !may_use(r, &task.needs))
		return false;
	aim->backend = task.backend;
	aim->len = task.len;
	memcpy(aim->own, task.own, task.len);
	return true;
}

static bool find_resource(const struct request *r, struct span uri,
                          struct aim *aim)
{
	struct route route;

	if (!route_find_uri(r->snap, r->era, uri, &route) || route.own ||
	    !may_use(r, route.entry ? &route.entry->needs
	                            : &snapshot_backend(r->snap, route.backend)
	                                       ->needs))
		return false;
	aim->backend = route.backend;
	aim->len = route.name_len;
	memcpy(aim->own, route.name, route.name_len);
	return true;
}

bool aim_find(const struct request *r, enum watch_kind kind, struct span uri,
              struct aim *aim)
{
	enum view_era era;

	return (kind == WATCH_TASK ? find_task(r, uri, aim)
	                           : find_resource(r, uri, aim)) &&
	       watch_era(r->snap, aim->backend, kind, &era);
}
