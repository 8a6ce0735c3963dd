#include "worker/clientsession.h"

#include "lib/clock.h"
#include "lib/crypto.h"
#include "proxy/backsession.h"
#include "proxy/downgrade.h"
#include "proxy/sealed.h"
#include "worker/answer.h"
#include "worker/handover.h"

static void set_caller(struct request *r)
{
	struct span id = principal_whole(&r->principal);

	static_assert(VERDICT_WHO <= CALLER_ID_MAX, "it fits");
	r->caller = (struct caller){ .id_len = (uint8_t)id.len,
		                     .revision = r->caller.revision };
	memcpy(r->caller.id, id.at, id.len);
}

static bool not_found(struct problem *p)
{
	problem_set(p, 404, RPC_LEGACY_NO_SESSION,
	            "Session not found: initialize again");
	return false;
}

/* Open the id in the head; false: it is none of this caller's. */
static bool read_id(const struct request *r, const struct h1_head *head,
                    struct sealed *s, struct sealed_room *room, uint64_t *hash)
{
	struct span id = h1_value(head, H1_MCP_SESSION_ID);

	*room = (struct sealed_room){ .large = { 0 } };
	if (head->seen[H1_MCP_SESSION_ID] != 1 || id.len > REQUEST_SESSION_MAX)
		return false;
	*hash = crypto_siphash(r->snap->head->cache_key, id);
	return sealed_read(r->snap, caller_id(&r->caller),
	                   SEALED_BIT(SEALED_SESSION), id,
	                   clock_utc_ms() / 1000, s, room) == SEALED_OK &&
	       s->revision < REVISION_2026_07_28 &&
	       !clients_ended(&r->conn->w->board->clients, *hash);
}

static bool find(struct request *r, const struct h1_head *head,
                 enum revision *revision)
{
	struct sealed_room room;
	struct sealed s;
	uint64_t hash;
	bool found = read_id(r, head, &s, &room, &hash);

	if (found) {
		*revision = (enum revision)s.revision;
		r->caller.abilities = s.abilities;
		r->caller.session = hash;
		r->caller.session_expires_s = s.expires_s;
		r->caller.wanted_level =
			1 + clients_level(&r->conn->w->board->clients, hash);
		if (s.texts[0].len) {
			r->sessions.max = REQUEST_SESSION_MAX;
			buf_reset(&r->sessions);
			buf_add_span(&r->sessions, s.texts[0]);
			r->caller.sessions = buf_span(&r->sessions);
		}
	}
	sealed_free(&room);
	return found;
}

bool clientsession_find(struct request *r, const struct h1_head *head,
                        struct problem *p)
{
	set_caller(r);
	return find(r, head, &r->caller.revision) || not_found(p);
}

bool clientsession_read(struct request *r, const struct h1_head *head,
                        struct message *m, struct problem *p)
{
	enum revision revision;

	set_caller(r);
	r->caller.revision = m->revision;
	if (m->era == VIEW_MODERN) {
		/* A session means nothing to a modern request. */
		r->caller.abilities = sealed_abilities(m->capabilities);
		return true;
	}
	if (r->snap->settings->stateless || !h1_has(head, H1_MCP_SESSION_ID) ||
	    (m->method && m->method->id == METHOD_INITIALIZE))
		return true;
	if (!find(r, head, &revision))
		return not_found(p);
	if (!m->has_version)
		m->revision = revision;
	r->caller.revision = m->revision;
	r->caller.abilities =
		downgrade_abilities(m->revision, r->caller.abilities);
	return true;
}

uint32_t clientsession_abilities(struct span capabilities,
                                 enum revision revision)
{
	return downgrade_abilities(revision, sealed_abilities(capabilities));
}

bool clientsession_open(struct request *r, uint32_t abilities,
                        enum revision revision, struct span sessions)
{
	struct buf out = { .max = REQUEST_SESSION_MAX };
	struct sealed s = {
		.kind = SEALED_SESSION,
		.abilities = abilities,
		.revision = revision,
		.expires_s =
			(clock_utc_ms() + r->snap->settings->session_lifetime) /
			1000,
		.texts = { sessions },
	};
	bool good;

	if (r->snap->settings->stateless)
		return false;
	good = sealed_write(r->snap, caller_id(&r->caller), &s, &out);
	if (!good) { /* without those of the backends it fits */
		s.texts[0].len = 0;
		buf_reset(&out);
		if (!sealed_write(r->snap, caller_id(&r->caller), &s, &out))
			out.len = 0;
	}
	memcpy(r->conn->w->session, out.bytes, out.len);
	r->session = span_of(r->conn->w->session, out.len);
	buf_free(&out);
	return good;
}

bool clientsession_can_end(const struct request *r, const struct h1_head *head)
{
	return !r->snap->settings->stateless && h1_has(head, H1_MCP_SESSION_ID);
}

void clientsession_end(struct request *r, const struct h1_request *head)
{
	struct worker *w = r->conn->w;
	struct sealed_room room;
	struct sealed s;
	struct problem p;
	uint64_t hash;
	bool found;

	set_caller(r);
	found = read_id(r, &head->head, &s, &room, &hash);
	if (found) {
		clients_end(&w->board->clients, w->index, hash,
		            clock_utc_ms() / 1000);
		if (r->hops == HANDOVER_NONE)
			backsession_delete_all(w->proxy.sessions, r->snap,
			                       s.texts[0]);
		handover_tell(r, head, span_of("", 0), false);
	}
	sealed_free(&room);
	if (!found) {
		not_found(&p);
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return;
	}
	r->reply.outcome = OUTCOME_SUCCESS;
	answer_send(r, 204, NULL, span_of("", 0), NULL, 0);
}
