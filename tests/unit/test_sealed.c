#include "proxy/sealed.h"

#include <criterion/criterion.h>

#include "lib/crypto.h"

static struct header head;
static struct snapshot snap = { .head = &head };

static void set_up(void)
{
	cr_assert_eq(crypto_init(), 0);
	for (size_t i = 0; i < sizeof(head.session_key); i++)
		head.session_key[i] = (uint8_t)i;
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
		{ "{\"roots\":{\"listChanged\":true},\"sampling\":{}}",
		  CLIENT_ROOTS | CLIENT_SAMPLING },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(sealed_abilities(span_str(rows[i].capabilities)),
		             rows[i].abilities, "%s", rows[i].capabilities);
}

Test(sealed, a_session_comes_back)
{
	char text[SEALED_SESSION_MAX];
	uint32_t can;

	for (uint32_t abilities = 0; abilities <= CLIENT_MASK; abilities++) {
		size_t n = sealed_session(&snap, SPAN("ann"), abilities, text);

		for (size_t i = 0; i < n; i++)
			cr_assert(text[i] >= 0x21 && text[i] <= 0x7e);
		cr_assert(sealed_session_open(&snap, SPAN("ann"),
		                              span_of(text, n), &can));
		cr_assert_eq(can, abilities);
	}
}

Test(sealed, a_session_is_its_askers_alone)
{
	char text[SEALED_SESSION_MAX];
	size_t n = sealed_session(&snap, SPAN("ann"), CLIENT_FORM, text);
	uint32_t can;

	cr_expect_not(sealed_session_open(&snap, SPAN("bob"), span_of(text, n),
	                                  &can));
	cr_expect_not(
		sealed_session_open(&snap, SPAN(""), span_of(text, n), &can));
	head.session_key[0] ^= 1;
	cr_expect_not(sealed_session_open(&snap, SPAN("ann"), span_of(text, n),
	                                  &can));
}

Test(sealed, no_byte_can_be_changed_or_cut)
{
	char text[SEALED_SESSION_MAX];
	size_t n = sealed_session(&snap, SPAN("ann"), CLIENT_FORM, text);
	uint32_t can;

	for (size_t i = 0; i < n; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		cr_expect_not(sealed_session_open(&snap, SPAN("ann"),
		                                  span_of(text, n), &can));
		text[i] = was;
		cr_expect_not(sealed_session_open(&snap, SPAN("ann"),
		                                  span_of(text, i), &can));
	}
}

Test(sealed, a_question_comes_back)
{
	static struct sealed_question back;
	struct sealed_question q = {
		.slot = 7,
		.session = SPAN("Mcp-Session-Id: abc\r\n"),
		.id = SPAN("\"id 1\""),
	};
	char raw[SEALED_QUESTION_MAX + 2] = "\"";
	size_t n = sealed_question(&snap, SPAN("ann"), &q, raw + 1);
	struct span id = span_of(raw, n + 2);
	uint32_t can;

	cr_assert_gt(n, 0);
	raw[n + 1] = '"';
	cr_assert(sealed_question_open(&snap, SPAN("ann"), id, &back));
	cr_expect_eq(back.slot, 7);
	cr_expect(span_eq(back.session, q.session));
	cr_expect(span_eq(back.id, q.id));
	cr_expect_not(sealed_question_open(&snap, SPAN("bob"), id, &back));
	cr_expect_not(
		sealed_question_open(&snap, SPAN("ann"), SPAN("7"), &back));
	/* One kind does not pass for the other. */
	cr_expect_not(sealed_session_open(&snap, SPAN("ann"),
	                                  span_of(raw + 1, n), &can));
	n = sealed_session(&snap, SPAN("ann"), 1, raw + 1);
	raw[n + 1] = '"';
	cr_expect_not(sealed_question_open(&snap, SPAN("ann"),
	                                   span_of(raw, n + 2), &back));
}

Test(sealed, what_is_too_long_is_not_sealed)
{
	static char bytes[SEALED_QUESTION_MAX];
	static char out[SEALED_QUESTION_MAX];
	struct sealed_question q = { .id = SPAN("1") };

	memset(bytes, 'x', sizeof(bytes));
	for (size_t n = 0; n < sizeof(bytes); n++) {
		q.session = span_of(bytes, n);
		cr_assert_leq(sealed_question(&snap, SPAN("a"), &q, out),
		              sizeof(out));
	}
	cr_expect_eq(sealed_question(&snap, SPAN("a"), &q, out), 0);
	q = (struct sealed_question){ .id = span_of(bytes, SEALED_ID_MAX + 1) };
	cr_expect_eq(sealed_question(&snap, SPAN("a"), &q, out), 0);
}
