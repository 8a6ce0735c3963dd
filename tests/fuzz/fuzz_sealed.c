/*
 * fuzz_sealed - what somebody with the key could have sealed, and the lines of
 * sessions in it: texts lie inside of what was opened, and a session that is
 * found makes whole header lines.
 */
#include "proxy/sealed.h"

#include <stdlib.h>

#include "lib/crypto.h"
#include "proxy/backsession.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One backend, called "b". */
static struct snapshot *set_up(void)
{
	static _Alignas(64) uint8_t bytes[sizeof(struct header) + 4096];
	static struct snapshot snap;
	struct header *head = (void *)bytes;
	struct backend *b = (void *)(bytes + sizeof(*head));

	head->backends = (struct ref){ sizeof(*head), 1 };
	b->name = (struct ref){ sizeof(*head) + sizeof(*b), 1 };
	bytes[b->name.off] = 'b';
	static_assert(sizeof(*b) < 4096, "and its name");
	snap.head = head;
	snap.base = (const char *)bytes;
	return &snap;
}

static void check_lines(const struct snapshot *snap, struct span lines)
{
	struct buf out = { .max = 1 << 20 };
	struct span id;

	if (backsession_find(snap, 0, lines, &id, &out) && out.len)
		assert(id.len <= lines.len && out.bytes[out.len - 1] == '\n');
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct snapshot *snap;
	uint8_t key[CRYPTO_KEY_LEN], bytes[8192];
	char text[2 * sizeof(bytes)] = "gw2.";
	struct sealed_room room;
	struct sealed s;
	size_t n;

	if (!snap)
		snap = set_up();
	check_lines(snap, span_of((const char *)data, size));
	if (crypto_init() < 0 || size > 4096)
		return 0;
	crypto_cache_hash(snap->head->session_keys[0],
	                  SPAN("sealed for clients"), key);
	n = crypto_seal(key, span_of((const char *)data, size), SPAN("ann"),
	                bytes);
	n = crypto_base64url_encode(span_of(bytes, n), text + SEALED_HEAD);
	if (sealed_read(snap, SPAN("ann"), ~0u, span_of(text, n + SEALED_HEAD),
	                1, &s, &room) != SEALED_FOREIGN) {
		size_t sum = 0;

		for (size_t i = 0; i < SEALED_TEXTS; i++)
			sum += s.texts[i].len;
		assert(sum <= size && s.abilities <= CLIENT_MASK);
		check_lines(snap, s.texts[0]);
	}
	sealed_free(&room);
	return 0;
}
