#include "proxy/sealed.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/value.h"

#define PLAIN_MAX (SEALED_QUESTION_MAX / 4 * 3 - CRYPTO_SEAL_EXTRA)
#define BYTES_MAX (PLAIN_MAX + CRYPTO_SEAL_EXTRA)

enum kind { SESSION = 1, QUESTION = 2 };

static const struct span prefix = { "gw1.", 4 };

/* Fixed head of everything sealed; native order, it never leaves the machine
 * in clear and both ends are one build. */
struct content {
	uint32_t kind;
	uint32_t number; /* abilities, or slot */
	uint16_t session_len, id_len;
};

static void key_of(const struct snapshot *snap, uint8_t key[CRYPTO_KEY_LEN])
{
	crypto_cache_hash(snap->head->session_key, SPAN("sealed for clients"),
	                  key);
}

static size_t seal(const struct snapshot *snap, struct span asker,
                   struct span plain, char *out)
{
	uint8_t key[CRYPTO_KEY_LEN], bytes[BYTES_MAX];
	size_t n;

	key_of(snap, key);
	n = crypto_seal(key, plain, asker, bytes);
	crypto_wipe(key, sizeof(key));
	memcpy(out, prefix.at, prefix.len);
	return prefix.len +
	       crypto_base64url_encode(span_of(bytes, n), out + prefix.len);
}

static bool unseal(const struct snapshot *snap, struct span asker,
                   struct span text, void *out, size_t cap, size_t *len)
{
	uint8_t key[CRYPTO_KEY_LEN], bytes[BYTES_MAX];
	size_t n;
	bool good;

	if (!span_starts(text, prefix) ||
	    !crypto_base64url_decode(span_from(text, prefix.len), bytes,
	                             sizeof(bytes), &n) ||
	    n < CRYPTO_SEAL_EXTRA || n - CRYPTO_SEAL_EXTRA > cap)
		return false;
	key_of(snap, key);
	good = crypto_open(key, span_of(bytes, n), asker, out, len);
	crypto_wipe(key, sizeof(key));
	return good;
}

uint32_t sealed_abilities(struct span capabilities)
{
	struct span elicitation = value_get(capabilities, SPAN("elicitation"));
	struct span sampling = value_get(capabilities, SPAN("sampling"));
	struct span roots = value_get(capabilities, SPAN("roots"));
	uint32_t can = 0;

	if (value_type(elicitation) == VALUE_OBJECT) {
		bool url = value_get(elicitation, SPAN("url")).at != NULL;
		bool form = value_get(elicitation, SPAN("form")).at != NULL;

		/* An empty object means forms (MCP 2025-11-25). */
		can |= form || !url ? CLIENT_FORM : 0;
		can |= url ? CLIENT_URL : 0;
	}
	if (value_type(sampling) == VALUE_OBJECT)
		can |= CLIENT_SAMPLING |
		       (value_get(sampling, SPAN("tools")).at ? CLIENT_TOOLS
		                                              : 0);
	if (value_type(roots) == VALUE_OBJECT)
		can |= CLIENT_ROOTS;
	return can;
}

size_t sealed_session(const struct snapshot *snap, struct span asker,
                      uint32_t abilities, char out[SEALED_SESSION_MAX])
{
	struct content c = { .kind = SESSION, .number = abilities };

	static_assert(sizeof(c) + CRYPTO_SEAL_EXTRA <=
	                      (SEALED_SESSION_MAX - 4) / 4 * 3,
	              "a session id fits");
	return seal(snap, asker, span_of(&c, sizeof(c)), out);
}

bool sealed_session_open(const struct snapshot *snap, struct span asker,
                         struct span text, uint32_t *abilities)
{
	struct content c;
	size_t len;

	if (text.len > SEALED_SESSION_MAX ||
	    !unseal(snap, asker, text, &c, sizeof(c), &len) ||
	    len != sizeof(c) || c.kind != SESSION)
		return false;
	*abilities = c.number & CLIENT_MASK;
	return true;
}

size_t sealed_question(const struct snapshot *snap, struct span asker,
                       const struct sealed_question *q,
                       char out[SEALED_QUESTION_MAX])
{
	char plain[PLAIN_MAX];
	struct content c = {
		.kind = QUESTION,
		.number = q->slot,
		.session_len = (uint16_t)q->session.len,
		.id_len = (uint16_t)q->id.len,
	};

	if (q->id.len > SEALED_ID_MAX ||
	    sizeof(c) + q->session.len + q->id.len > sizeof(plain) - 8)
		return 0;
	memcpy(plain, &c, sizeof(c));
	if (q->session.len)
		memcpy(plain + sizeof(c), q->session.at, q->session.len);
	memcpy(plain + sizeof(c) + q->session.len, q->id.at, q->id.len);
	return seal(snap, asker,
	            span_of(plain, sizeof(c) + q->session.len + q->id.len),
	            out);
}

bool sealed_question_open(const struct snapshot *snap, struct span asker,
                          struct span raw_id, struct sealed_question *q)
{
	struct content c;
	struct span text;
	size_t len;

	if (!value_string_plain(raw_id, &text) ||
	    text.len > SEALED_QUESTION_MAX ||
	    !unseal(snap, asker, text, q->room, sizeof(q->room), &len) ||
	    len < sizeof(c))
		return false;
	memcpy(&c, q->room, sizeof(c));
	if (c.kind != QUESTION ||
	    len != sizeof(c) + (size_t)c.session_len + c.id_len)
		return false;
	q->slot = c.number;
	q->session = span_of(q->room + sizeof(c), c.session_len);
	q->id = span_of(q->room + sizeof(c) + c.session_len, c.id_len);
	return true;
}
