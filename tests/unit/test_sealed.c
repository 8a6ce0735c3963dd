#include "proxy/sealed.h"

#include <criterion/criterion.h>

#include "lib/crypto.h"

static struct header head;
static struct snapshot snap = { .head = &head };

static void set_up(void)
{
	cr_assert_eq(crypto_init(), 0);
	for (size_t i = 0; i < sizeof(head.session_keys[0]); i++)
		head.session_keys[0][i] = (uint8_t)i;
	head.has_previous_key = 0;
}

TestSuite(sealed, .init = set_up);

Test(sealed, abilities_of_initialize)
{
	static const struct {
		const char *capabilities;
		uint32_t abilities;
	} rows[] = {
		{ "", 0 },
		{ "{}", 0 },
		{ "[]", 0 },
		{ "{\"elicitation\":{}}", CLIENT_FORM },
		{ "{\"elicitation\":{\"form\":{}}}", CLIENT_FORM },
		{ "{\"elicitation\":{\"url\":{}}}", CLIENT_URL },
		{ "{\"elicitation\":{\"form\":{},\"url\":{}}}",
		  CLIENT_FORM | CLIENT_URL },
		{ "{\"elicitation\":true}", 0 },
		{ "{\"sampling\":{}}", CLIENT_SAMPLING },
		{ "{\"sampling\":{\"tools\":{}}}",
		  CLIENT_SAMPLING | CLIENT_TOOLS },
		{ "{\"sampling\":{\"context\":{}}}",
		  CLIENT_SAMPLING | CLIENT_CONTEXT },
		{ "{\"roots\":{\"listChanged\":true},\"sampling\":{}}",
		  CLIENT_ROOTS | CLIENT_SAMPLING },
		{ "{\"extensions\":{\"io.modelcontextprotocol/tasks\":{},"
		  "\"io.modelcontextprotocol/ui\":{}},\"roots\":{}}",
		  CLIENT_TASKS | CLIENT_UI | CLIENT_ROOTS },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(sealed_abilities(span_str(rows[i].capabilities)),
		             rows[i].abilities, "%s", rows[i].capabilities);
}

#define NOW 1000

static const struct sealed full = {
	.kind = SEALED_PARKED,
	.backend = 0x12345678,
	.abilities = CLIENT_FORM | CLIENT_ROOTS,
	.revision = 2,
	.round = 3,
	.expires_s = NOW + 1,
	.call = 1ull << 40,
	.digest = 0xfeedfacecafef00d,
	.place = { .address = { { 1, 2, 3 } },
	           .instance = 77,
	           .born_ms = 88,
	           .worker = 5,
	           .port = 9000 },
};

static struct buf write_it(const struct sealed *s, struct span asker)
{
	struct buf out = { .max = SEALED_MAX };

	cr_assert(sealed_write(&snap, asker, s, &out));
	for (size_t i = 0; i < out.len; i++)
		cr_assert(out.bytes[i] >= 0x21 && out.bytes[i] <= 0x7e);
	return out;
}

static enum sealed_result read_it(const struct buf *text, struct span asker,
                                  enum sealed_kind kind, struct sealed *s,
                                  struct sealed_room *room)
{
	return sealed_read(&snap, asker, SEALED_BIT(kind), buf_span(text), NOW,
	                   s, room);
}

Test(sealed, all_of_it_comes_back)
{
	char big[60000];
	struct sealed in = full, out;
	struct sealed_room room;
	static const size_t lens[] = { 0, 1, 100, 700, 5000, sizeof(big) };

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		in.texts[0] = span_of(big, lens[i]);
		in.texts[2] = SPAN("two");
		struct buf text = write_it(&in, SPAN("ann"));

		cr_assert_eq(
			read_it(&text, SPAN("ann"), SEALED_PARKED, &out, &room),
			SEALED_OK, "%zu", lens[i]);
		cr_expect_eq(out.backend, in.backend);
		cr_expect_eq(out.abilities, in.abilities);
		cr_expect_eq(out.revision, in.revision);
		cr_expect_eq(out.round, in.round);
		cr_expect_eq(out.call, in.call);
		cr_expect_eq(out.digest, in.digest);
		cr_expect_eq(out.expires_s, in.expires_s);
		cr_expect_eq(memcmp(&out.place, &in.place, sizeof(in.place)),
		             0);
		cr_expect(span_eq(out.texts[0], in.texts[0]));
		cr_expect_eq(out.texts[1].len, 0);
		cr_expect(span_is(out.texts[2], "two"));
		sealed_free(&room);
		buf_free(&text);
	}
}

Test(sealed, what_is_too_long_is_refused)
{
	static char big[SEALED_MAX];
	struct buf out = { .max = 2 * SEALED_MAX };
	struct sealed s = full;

	s.texts[0] = span_of(big, sizeof(big));
	cr_expect_not(sealed_write(&snap, SPAN("ann"), &s, &out));
	buf_free(&out);
}

Test(sealed, it_is_its_askers_its_kinds_and_its_keys_alone)
{
	struct buf text = write_it(&full, SPAN("ann"));
	struct sealed_room room;
	struct sealed s;

	cr_expect_eq(read_it(&text, SPAN("bob"), SEALED_PARKED, &s, &room),
	             SEALED_FOREIGN);
	cr_expect_eq(read_it(&text, SPAN(""), SEALED_PARKED, &s, &room),
	             SEALED_FOREIGN);
	cr_expect_eq(read_it(&text, SPAN("ann"), SEALED_SESSION, &s, &room),
	             SEALED_FOREIGN);
	head.session_keys[0][0] ^= 1;
	cr_expect_eq(read_it(&text, SPAN("ann"), SEALED_PARKED, &s, &room),
	             SEALED_FOREIGN);
	buf_free(&text);
}

Test(sealed, the_key_of_before_still_opens)
{
	struct buf text = write_it(&full, SPAN("ann"));
	struct sealed_room room;
	struct sealed s;

	memcpy(head.session_keys[1], head.session_keys[0], 32);
	head.session_keys[0][0] ^= 1;
	cr_expect_eq(read_it(&text, SPAN("ann"), SEALED_PARKED, &s, &room),
	             SEALED_FOREIGN);
	head.has_previous_key = 1;
	cr_expect_eq(read_it(&text, SPAN("ann"), SEALED_PARKED, &s, &room),
	             SEALED_OK);
	buf_free(&text);
}

Test(sealed, it_expires)
{
	struct sealed in = full, out;
	struct sealed_room room;

	for (int64_t at = NOW - 1; at <= NOW + 1; at++) {
		in.expires_s = at;
		struct buf text = write_it(&in, SPAN("ann"));

		cr_expect_eq(
			read_it(&text, SPAN("ann"), SEALED_PARKED, &out, &room),
			at > NOW ? SEALED_OK : SEALED_EXPIRED);
		buf_free(&text);
	}
	in.expires_s = 0;
	struct buf text = write_it(&in, SPAN("ann"));
	cr_expect_eq(read_it(&text, SPAN("ann"), SEALED_PARKED, &out, &room),
	             SEALED_OK);
	buf_free(&text);
}

Test(sealed, no_byte_can_be_changed_or_cut)
{
	struct buf text = write_it(&full, SPAN("ann"));
	struct sealed_room room;
	struct sealed s;

	for (size_t i = 0; i < text.len; i++) {
		char was = text.bytes[i];

		for (int bit = 0; bit < 7; bit++) {
			text.bytes[i] = (char)(was ^ 1 << bit);
			cr_assert_eq(read_it(&text, SPAN("ann"), SEALED_PARKED,
			                     &s, &room),
			             SEALED_FOREIGN, "%zu", i);
			sealed_free(&room);
		}
		text.bytes[i] = was;
	}
	for (size_t n = 0; n < text.len; n++)
		cr_assert_eq(sealed_read(&snap, SPAN("ann"),
		                         SEALED_BIT(SEALED_PARKED),
		                         span_of(text.bytes, n), NOW, &s,
		                         &room),
		             SEALED_FOREIGN);
	buf_free(&text);
}
