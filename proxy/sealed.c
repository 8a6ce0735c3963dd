#include "proxy/sealed.h"

#include <stdlib.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/value.h"
#include "proxy/extension.h"

#define BYTES_SMALL (SEALED_SMALL + CRYPTO_SEAL_EXTRA)

static const struct span prefix = { "gw2.", SEALED_HEAD };

/* What is inside, then the texts. Native order: both ends are one build, or
 * another prefix. */
struct content {
	uint32_t kind, backend, abilities, revision, round, worker;
	int64_t expires_s;
	uint64_t call, digest, instance, born_ms;
	uint8_t address[16];
	uint32_t port;
	uint32_t lens[SEALED_TEXTS];
	uint32_t spare;
};

static_assert(sizeof(struct content) % 8 == 0, "no holes in it");

static void key_of(const uint8_t session_key[32], uint8_t key[CRYPTO_KEY_LEN])
{
	crypto_cache_hash(session_key, SPAN("sealed for clients"), key);
}

uint32_t sealed_abilities(struct span capabilities)
{
	struct span elicitation, sampling, roots;
	uint32_t can = 0;

	if (capabilities.len <= 2) /* most say {} with every request */
		return 0;
	elicitation = value_get(capabilities, SPAN("elicitation"));
	sampling = value_get(capabilities, SPAN("sampling"));
	roots = value_get(capabilities, SPAN("roots"));
	if (value_type(elicitation) == VALUE_OBJECT) {
		bool url = value_get(elicitation, SPAN("url")).at != NULL;
		bool form = value_get(elicitation, SPAN("form")).at != NULL;

		/* An empty object means forms (MCP 2025-11-25). */
		can |= form || !url ? CLIENT_FORM : 0;
		can |= url ? CLIENT_URL : 0;
	}
	if (value_type(sampling) == VALUE_OBJECT) {
		can |= CLIENT_SAMPLING;
		can |= value_get(sampling, SPAN("tools")).at ? CLIENT_TOOLS : 0;
		can |= value_get(sampling, SPAN("context")).at ? CLIENT_CONTEXT
		                                               : 0;
	}
	if (value_type(roots) == VALUE_OBJECT)
		can |= CLIENT_ROOTS;
	return can |
	       extension_client(value_get(capabilities, SPAN("extensions")));
}

void sealed_capabilities(uint32_t abilities, struct buf *out)
{
	static const struct {
		uint32_t mask, value;
		const char *text;
	} rows[] = {
		{ CLIENT_FORM | CLIENT_URL, CLIENT_FORM, "\"elicitation\":{}" },
		{ CLIENT_FORM | CLIENT_URL, CLIENT_URL,
		  "\"elicitation\":{\"url\":{}}" },
		{ CLIENT_FORM | CLIENT_URL, CLIENT_FORM | CLIENT_URL,
		  "\"elicitation\":{\"form\":{},\"url\":{}}" },
		{ CLIENT_SAMPLING | CLIENT_TOOLS | CLIENT_CONTEXT,
		  CLIENT_SAMPLING, "\"sampling\":{}" },
		{ CLIENT_SAMPLING | CLIENT_TOOLS | CLIENT_CONTEXT,
		  CLIENT_SAMPLING | CLIENT_TOOLS,
		  "\"sampling\":{\"tools\":{}}" },
		{ CLIENT_SAMPLING | CLIENT_TOOLS | CLIENT_CONTEXT,
		  CLIENT_SAMPLING | CLIENT_CONTEXT,
		  "\"sampling\":{\"context\":{}}" },
		{ CLIENT_SAMPLING | CLIENT_TOOLS | CLIENT_CONTEXT,
		  CLIENT_SAMPLING | CLIENT_TOOLS | CLIENT_CONTEXT,
		  "\"sampling\":{\"tools\":{},\"context\":{}}" },
		{ CLIENT_ROOTS, CLIENT_ROOTS, "\"roots\":{}" },
		{ CLIENT_UI, CLIENT_UI,
		  "\"extensions\":{" EXTENSION_UI_CLIENT "}" },
	};
	bool first = true;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((abilities & rows[i].mask) != rows[i].value)
			continue;
		buf_puts(out, first ? "" : ",");
		buf_puts(out, rows[i].text);
		first = false;
	}
}

uint32_t sealed_backend(const struct snapshot *snap, uint32_t backend)
{
	return snapshot_hash(
		snapshot_text(snap, snapshot_backend(snap, backend)->name));
}

uint32_t sealed_find_backend(const struct snapshot *snap, uint32_t hash)
{
	uint32_t i = 0;

	while (i < snap->head->backends.len && sealed_backend(snap, i) != hash)
		i++;
	return i;
}

static struct content content_of(const struct sealed *s)
{
	struct content c = {
		.kind = s->kind,
		.backend = s->backend,
		.abilities = s->abilities,
		.revision = s->revision,
		.round = s->round,
		.worker = s->place.worker,
		.expires_s = s->expires_s,
		.call = s->call,
		.digest = s->digest,
		.instance = s->place.instance,
		.born_ms = s->place.born_ms,
		.port = s->place.port,
	};

	memcpy(c.address, s->place.address.bytes, sizeof(c.address));
	for (size_t i = 0; i < SEALED_TEXTS; i++)
		c.lens[i] = (uint32_t)s->texts[i].len;
	return c;
}

static void encode(const struct snapshot *snap, struct span asker,
                   struct span plain, uint8_t *bytes, struct buf *out)
{
	uint8_t key[CRYPTO_KEY_LEN];
	size_t n;
	char *to;

	key_of(snap->head->session_keys[0], key);
	n = crypto_seal(key, plain, asker, bytes);
	crypto_wipe(key, sizeof(key));
	buf_add_span(out, prefix);
	to = buf_reserve(out, CRYPTO_BASE64URL_LEN(n));
	if (to)
		buf_commit(out, crypto_base64url_encode(span_of(bytes, n), to));
}

bool sealed_write(const struct snapshot *snap, struct span asker,
                  const struct sealed *s, struct buf *out)
{
	struct content c = content_of(s);
	char small[SEALED_SMALL + BYTES_SMALL];
	char *plain = small;
	size_t len = sizeof(c);
	size_t at = sizeof(c);

	for (size_t i = 0; i < SEALED_TEXTS; i++)
		len += s->texts[i].len;
	if (len + CRYPTO_SEAL_EXTRA > SEALED_MAX / 4 * 3 - SEALED_HEAD)
		return false;
	if (len > SEALED_SMALL)
		plain = malloc(2 * len + CRYPTO_SEAL_EXTRA);
	if (!plain)
		return false;
	memcpy(plain, &c, sizeof(c));
	for (size_t i = 0; i < SEALED_TEXTS; i++) {
		if (s->texts[i].len)
			memcpy(plain + at, s->texts[i].at, s->texts[i].len);
		at += s->texts[i].len;
	}
	encode(snap, asker, span_of(plain, len), (uint8_t *)plain + len, out);
	if (plain != small)
		free(plain);
	return buf_err(out) == 0;
}

/* Open with the key of now, or the one before. */
static bool unseal(const struct snapshot *snap, struct span asker,
                   struct span bytes, uint8_t *out, size_t *len)
{
	bool good = false;

	for (size_t i = 0; i < SESSION_KEYS && !good; i++) {
		uint8_t key[CRYPTO_KEY_LEN];

		if (i > 0 && !snap->head->has_previous_key)
			break;
		key_of(snap->head->session_keys[i], key);
		good = crypto_open(key, bytes, asker, out, len);
		crypto_wipe(key, sizeof(key));
	}
	return good;
}

static bool take_content(struct span plain, uint32_t kinds, struct sealed *s)
{
	struct content c;
	struct span rest;

	if (plain.len < sizeof(c))
		return false;
	memcpy(&c, plain.at, sizeof(c));
	if (c.kind >= 32 || !(SEALED_BIT(c.kind) & kinds))
		return false;
	*s = (struct sealed){
		.kind = (enum sealed_kind)c.kind,
		.backend = c.backend,
		.abilities = c.abilities & CLIENT_MASK,
		.revision = c.revision,
		.round = c.round,
		.expires_s = c.expires_s,
		.call = c.call,
		.digest = c.digest,
		.place = { .instance = c.instance,
		           .born_ms = c.born_ms,
		           .worker = c.worker,
		           .port = (uint16_t)c.port },
	};
	memcpy(s->place.address.bytes, c.address, sizeof(c.address));
	rest = span_from(plain, sizeof(c));
	for (size_t i = 0; i < SEALED_TEXTS; i++) {
		if (c.lens[i] > rest.len)
			return false;
		s->texts[i] = span_first(rest, c.lens[i]);
		rest = span_from(rest, c.lens[i]);
	}
	return rest.len == 0;
}

static bool open_text(const struct snapshot *snap, struct span asker,
                      uint32_t kinds, struct span text, struct sealed *s,
                      struct sealed_room *room)
{
	uint8_t small[BYTES_SMALL];
	uint8_t *bytes = small;
	char *plain = room->small;
	size_t n, len;
	bool good;

	if (text.len > SEALED_MAX || !span_starts(text, prefix))
		return false;
	text = span_from(text, prefix.len);
	len = text.len / 4 * 3 + 3;
	if (len > sizeof(small)) {
		room->large.max = 2 * len;
		bytes = (uint8_t *)buf_reserve(&room->large, 2 * len);
		if (!bytes)
			return false;
		plain = (char *)bytes + len;
	}
	good = crypto_base64url_decode(text, bytes, len, &n) &&
	       n >= CRYPTO_SEAL_EXTRA &&
	       unseal(snap, asker, span_of(bytes, n), (uint8_t *)plain, &len) &&
	       take_content(span_of(plain, len), kinds, s);
	return good;
}

enum sealed_result sealed_read(const struct snapshot *snap, struct span asker,
                               uint32_t kinds, struct span text, int64_t now_s,
                               struct sealed *s, struct sealed_room *room)
{
	room->large = (struct buf){ 0 };
	if (!open_text(snap, asker, kinds, text, s, room))
		return SEALED_FOREIGN;
	if (s->expires_s && s->expires_s <= now_s)
		return SEALED_EXPIRED;
	return SEALED_OK;
}

void sealed_free(struct sealed_room *room)
{
	buf_free(&room->large);
}
