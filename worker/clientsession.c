#include "worker/clientsession.h"

#include "lib/clock.h"
#include "lib/crypto.h"
#include "proxy/sealed.h"

/* What a client can be asked in its revision at all. */
static const uint32_t abilities_of[REVISIONS] = {
	[REVISION_2025_03_26] = CLIENT_SAMPLING | CLIENT_ROOTS,
	[REVISION_2025_06_18] = CLIENT_FORM | CLIENT_SAMPLING | CLIENT_ROOTS,
	[REVISION_2025_11_25] = CLIENT_MASK,
	[REVISION_2026_07_28] = CLIENT_MASK,
};

static void set_caller(struct request *r)
{
	struct span id = principal_whole(&r->principal);

	static_assert(VERDICT_WHO <= CALLER_ID_MAX, "it fits");
	r->caller = (struct caller){ .id_len = (uint8_t)id.len };
	memcpy(r->caller.id, id.at, id.len);
}

static bool not_found(struct problem *p)
{
	problem_set(p, 404, RPC_LEGACY_NO_SESSION,
	            "Session not found: initialize again");
	return false;
}

bool clientsession_read(struct request *r, const struct h1_head *head,
                        struct message *m, struct problem *p)
{
	struct sealed_room room;
	struct sealed s;
	struct span id = h1_value(head, H1_MCP_SESSION_ID);
	enum sealed_result result;

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
	if (head->seen[H1_MCP_SESSION_ID] != 1 || id.len > REQUEST_SESSION_MAX)
		return not_found(p);
	result = sealed_read(r->snap, caller_id(&r->caller),
	                     SEALED_BIT(SEALED_SESSION), id,
	                     clock_utc_ms() / 1000, &s, &room);
	sealed_free(&room);
	if (result != SEALED_OK || s.revision >= REVISION_2026_07_28)
		return not_found(p);
	r->caller.abilities = s.abilities & abilities_of[s.revision];
	if (!m->has_version)
		m->revision = (enum revision)s.revision;
	r->caller.revision = m->revision;
	r->caller.session = crypto_siphash(r->snap->head->cache_key, id);
	return true;
}

void clientsession_open(struct request *r, const struct message *m,
                        enum revision revision)
{
	struct buf out = { .max = REQUEST_SESSION_MAX };
	struct sealed s = {
		.kind = SEALED_SESSION,
		.abilities = sealed_abilities(m->client_capabilities),
		.revision = revision,
		.expires_s =
			(clock_utc_ms() + r->snap->settings->session_lifetime) /
			1000,
	};

	if (r->snap->settings->stateless)
		return;
	if (sealed_write(r->snap, caller_id(&r->caller), &s, &out)) {
		memcpy(r->session, out.bytes, out.len);
		r->session_len = out.len;
	}
	buf_free(&out);
}
