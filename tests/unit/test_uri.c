#include "proxy/uri.h"

#include <criterion/criterion.h>

Test(uri, there_and_back)
{
	static const struct {
		const char *own, *public;
	} cases[] = {
		{ "test://x/y", "test://id/x/y" },
		{ "file:///etc/motd", "file://id//etc/motd" },
		{ "urn:isbn:7", "urn:id/isbn:7" },
		{ "a+b-c.9://", "a+b-c.9://id/" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = { .max = 256 };

		uri_make_public(SPAN("id"), span_str(cases[i].own), &b);
		cr_expect(span_is(buf_span(&b), cases[i].public));
		buf_reset(&b);
		cr_expect(uri_own(SPAN("id"), span_str(cases[i].public), &b));
		cr_expect(span_is(buf_span(&b), cases[i].own));
		buf_free(&b);
	}
	static const char *const others[] = { "",          "id/x",
		                              "test://id", "test://idx/y",
		                              "9:id/x",    "test://x/id/" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct buf b = { .max = 256 };

		cr_expect_not(uri_own(SPAN("id"), span_str(others[i]), &b));
		cr_expect_eq(b.len, 0);
	}
}

Test(uri, schemes)
{
	static const struct {
		const char *uri;
		bool has_scheme, is_app;
	} rows[] = {
		{ "test://x", true, false }, { "urn:x", true, false },
		{ "ui://page", true, true }, { "ui://", true, false },
		{ "ui:page", true, false },  { "UI://page", true, false },
		{ "", false, false },        { ":x", false, false },
		{ "1a:x", false, false },    { "a b:x", false, false },
		{ "page", false, false },    { "/ui://page", false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span uri = span_str(rows[i].uri);

		cr_expect_eq(uri_has_scheme(uri), rows[i].has_scheme, "%s",
		             rows[i].uri);
		cr_expect_eq(uri_is_app(uri), rows[i].is_app, "%s",
		             rows[i].uri);
	}
}
