#include "proxy/backsession.h"

#include <stdio.h>

#include "lib/crypto.h"
#include "proxy/extension.h"
#include "proxy/relay.h"

#define FIELDS_MAX 4096
#define SINGLE     (UINT64_C(1) << 63) /* an owner that is one call */

/* One line a session: the backend's hash in hexadecimal, version, id. */
void backsession_add(const struct snapshot *snap, uint32_t backend,
                     struct span id, struct span version, struct buf *out)
{
	buf_addf(out, "%08x %.*s %.*s\n", sealed_backend(snap, backend),
	         SPAN_ARG(version), SPAN_ARG(id));
}

static void add_fields(struct span id, struct span version, struct buf *out)
{
	if (id.len) {
		buf_puts(out, "Mcp-Session-Id: ");
		buf_add_span(out, id);
		buf_puts(out, "\r\n");
	}
	if (version.len) {
		buf_puts(out, "MCP-Protocol-Version: ");
		buf_add_span(out, version);
		buf_puts(out, "\r\n");
	}
}

static bool next_line(struct span *sessions, struct span *hash,
                      struct span *version, struct span *id)
{
	struct span line = span_first(*sessions, span_find(*sessions, '\n'));

	if (line.len == 0)
		return false;
	*sessions = span_from(*sessions, line.len + 1);
	*hash = span_first(line, span_find(line, ' '));
	line = span_from(line, hash->len + 1);
	*version = span_first(line, span_find(line, ' '));
	*id = span_from(line, version->len + 1);
	return true;
}

bool backsession_find(const struct snapshot *snap, uint32_t backend,
                      struct span sessions, struct span *id, struct buf *out)
{
	struct span hash, version;
	char own[16];

	snprintf(own, sizeof(own), "%08x", sealed_backend(snap, backend));
	while (next_line(&sessions, &hash, &version, id)) {
		if (!span_is(hash, own))
			continue;
		add_fields(*id, version, out);
		return true;
	}
	return false;
}

void backsession_delete_all(struct sessions *s, struct snapshot *snap,
                            struct span sessions)
{
	for (uint32_t i = 0; i < snap->head->backends.len; i++) {
		struct buf fields = { .max = FIELDS_MAX };
		struct span id;

		if (backsession_find(snap, i, sessions, &id, &fields) &&
		    id.len && buf_err(&fields) == 0)
			session_delete(s, snap, i, buf_span(&fields));
		buf_free(&fields);
	}
}

/* The owner of what takes the place of a session with this id. */
static uint64_t owner_of(const struct snapshot *snap, struct span id)
{
	return (crypto_siphash(snap->head->cache_key, id) & ~SINGLE) | 1;
}

void backsession_begin(struct call *c)
{
	const struct backend *b = snapshot_backend(c->snap, c->backend);
	struct span id;

	c->key = (struct session_key){ .abilities = c->abilities };
	c->single = false;
	c->session = 0;
	c->given.max = FIELDS_MAX;
	buf_reset(&c->given);
	if (c->server != VIEW_LEGACY || !(b->flags & BACKEND_PER_CLIENT))
		return;
	c->key.abilities =
		extension_session(c->snap, c->backend, c->caller.abilities);
	if (!backsession_find(c->snap, c->backend, c->caller.sessions, &id,
	                      &c->given)) {
		c->key.owner = c->number | SINGLE;
		c->single = true;
		return;
	}
	c->key.owner = owner_of(c->snap, id);
	if (session_exists(c->proxy->sessions, c->snap, c->backend, c->key))
		buf_reset(&c->given);
}

static void on_session(struct session_wait *w, const char *error)
{
	struct call *c = CONTAINER_OF(w, struct call, wait);

	if (error)
		relay_fail(c, OUTCOME_UNAVAILABLE, "no session: %s", error);
	else
		call_send(c);
}

static void leave(struct call *c)
{
	if (!c->session)
		return;
	session_leave(c->proxy->sessions, c->snap, c->backend, c->key,
	              c->session);
	c->session = 0;
}

bool backsession_ready(struct call *c)
{
	struct sessions *all = c->proxy->sessions;

	/* A retry drops the session before, and its fields. */
	leave(c);
	c->fields.len = c->own_fields;
	if (c->given.len) {
		buf_add_span(&c->fields, buf_span(&c->given));
		return true;
	}
	if (c->key.owner && !session_exists(all, c->snap, c->backend, c->key) &&
	    !session_room(all, c->snap)) {
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "too many clients have sessions of their own; try "
		           "again later");
		return false;
	}
	c->wait.done = on_session;
	if (!session_want(all, c->snap, c->backend, c->key, &c->wait))
		return false;
	c->session = session_enter(all, c->snap, c->backend, c->key);
	session_fields(all, c->snap, c->backend, c->key, &c->fields);
	return true;
}

void backsession_lost(struct call *c)
{
	if (c->given.len)
		buf_reset(&c->given);
	else
		session_lost(c->proxy->sessions, c->snap, c->backend, c->key,
		             c->session);
}

void backsession_end(struct call *c)
{
	leave(c);
	if (!c->single)
		return;
	c->single = false;
	session_close(c->proxy->sessions, c->snap, c->backend, c->key);
}
