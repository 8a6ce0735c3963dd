#include "proxy/inbox.h"

#include <criterion/criterion.h>

#include "lib/scan.h"

/* The ids and methods of the messages that came, in order. */
static struct buf seen = { .max = 4096 };

static void on_message(struct inbox *box, const struct span found[])
{
	(void)box;
	buf_add_span(&seen, found[INBOX_ID]);
	buf_add_span(&seen, found[INBOX_METHOD]);
	buf_add_span(&seen, found[INBOX_NEXT_CURSOR]);
	buf_add_span(&seen, found[INBOX_CODE]);
	buf_putc(&seen, ' ');
}

static const struct {
	const char *body, *seen;
	enum inbox_form form;
	bool bad;
} cases[] = {
	{ "", "", INBOX_UNKNOWN, false },
	{ " \r\n\t", "", INBOX_UNKNOWN, false },
	{ "{\"id\":1}", "1 ", INBOX_JSON, false },
	{ "\n {\"id\":1} \n", "1 ", INBOX_JSON, false },
	{ "{\"id\":1}\n{\"id\":2}\r\n\n{\"id\":3}", "1 2 3 ", INBOX_JSON,
	  false },
	{ "{\n\"id\":1,\n\"result\":{\"nextCursor\":\"c\"}}\n", "1\"c\" ",
	  INBOX_JSON, false },
	{ "[{\"id\":1},{\"method\":\"m\"},2,[]]", "1 \"m\" ", INBOX_JSON,
	  false },
	{ "[{\"id\":1},{\"id\":2,\"id\":3}]", "1 ", INBOX_JSON, true },
	{ "{\"id\":1,\"error\":{\"code\":-1}}", "1-1 ", INBOX_JSON, false },
	{ "{\"id\":1", "", INBOX_JSON, true },
	{ "{\"id\":1}x", "", INBOX_JSON, true },
	{ "{\"id\":1,\"ID\":2}", "", INBOX_JSON, true },
	{ "{\"id\":x}\n{\"id\":2}\n", "2 ", INBOX_JSON, true },
	{ "data: {\"id\":1}\n\n", "1 ", INBOX_EVENTS, false },
	{ ": hello\n\nid: 7\ndata:\n\nevent: message\ndata: {\"id\":1,\r\n"
	  "data: \"x\":2}\r\n\r\nevent: other\ndata: {\"id\":3}\n\ndata: "
	  "{\"id\":4}\n\ndata: {\"id\":5}\n",
	  "1 4 ", INBOX_EVENTS, false },
	{ "data: {\"id\":1\n\n", "", INBOX_EVENTS, true },
	{ "<html>\n\n", "", INBOX_EVENTS, false },
};

Test(inbox, cut_at_every_byte)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span body = span_str(cases[i].body);

		for (size_t cut = 0; cut <= body.len; cut++) {
			struct inbox box = { .max = 256,
				             .on_message = on_message };

			buf_reset(&seen);
			cr_assert(inbox_feed(&box, span_first(body, cut)));
			cr_assert(inbox_feed(&box, span_from(body, cut)));
			inbox_end(&box);
			cr_expect(span_is(buf_span(&seen), cases[i].seen),
			          "%zu/%zu: %.*s", i, cut,
			          SPAN_ARG(buf_span(&seen)));
			cr_expect_eq(box.form, cases[i].form);
			cr_expect_eq(box.bad != NULL, cases[i].bad, "%zu", i);
			inbox_fini(&box);
		}
	}
	buf_free(&seen);
}

Test(inbox, too_large)
{
	static const char *const bodies[] = {
		"{\"id\":\"0123456789\"}",
		"data: {\"id\":\"0123456789\"}\n\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct inbox box = { .max = 8, .on_message = on_message };
		struct span body = span_str(bodies[i]);
		bool good = true;

		for (size_t n = 0; n < body.len && good; n++)
			good = inbox_feed(&box, span_of(body.at + n, 1));
		cr_expect_not(good);
		cr_expect_eq(seen.len, 0);
		inbox_fini(&box);
	}
}
