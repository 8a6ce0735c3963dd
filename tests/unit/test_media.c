#include "lib/media.h"

#include <criterion/criterion.h>

static struct h1_request request(const char *wire)
{
	static const struct h1_limits limits = { 2048, 256, 16 };
	static struct h1_request out;

	cr_assert_eq(h1_parse_request(span_str(wire), 0, &limits, &out), H1_OK,
	             "%s", wire);
	return out;
}

Test(media, accept_ranges)
{
	static const struct {
		const char *accept;
		bool json;
	} table[] = {
		{ "", true },
		{ "*/*", true },
		{ "application/json", true },
		{ "APPLICATION/Json", true },
		{ "application/*", true },
		{ "text/event-stream, application/json", true },
		{ "text/html;level=1, application/json;q=0.5", true },
		{ "application/json; charset=utf-8", true },
		{ "text/*", false },
		{ "text/event-stream", false },
		{ "application/jsonx", false },
		{ "application/xml", false },
		{ "application/json;q=0", false },
		{ "application/json; Q=0.000, */*", false },
		{ "*/*, application/json;q=0", false },
		{ "application/*;q=0, */*;q=0.1", false },
		{ "application/*;q=0, application/json", true },
		{ "application/json;q=0.001", true },
		{ "text/plain;a=\"x, application/json\"", false },
		{ ",,application/json", true },
		{ " , ", true },
		{ "application", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		cr_assert_eq(media_accepts(span_str(table[i].accept),
		                           SPAN("application"), SPAN("json")),
		             table[i].json, "%s", table[i].accept);
}

#define GET "GET /mcp HTTP/1.1\r\nHost: a.example\r\n"
#define END "\r\n"

Test(media, accept_over_several_lines)
{
	struct h1_request r = request(GET "Accept: text/event-stream\r\n"
	                                  "Accept: application/json\r\n" END);

	cr_assert(
		media_head_accepts(&r.head, SPAN("application"), SPAN("json")));
	cr_assert(!media_head_accepts(&r.head, SPAN("text"), SPAN("html")));
	r = request(GET END);
	cr_assert(media_head_accepts(&r.head, SPAN("text"), SPAN("html")));
}

Test(media, media_types_and_charsets)
{
	static const struct {
		const char *value;
		bool json, charset_ok;
	} table[] = {
		{ "application/json", true, true },
		{ "Application/JSON ; charset=UTF-8", true, true },
		{ "application/json;charset=\"utf-8\"", true, true },
		{ "application/json;charset=latin1", true, false },
		{ "application/json;charset=utf-8;charset=utf-16", true,
		  false },
		{ "application/jsonp", false, true },
		{ "application/json, text/plain", false, true },
		{ "text/plain;application/json", false, true },
		{ "", false, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct span value = span_str(table[i].value);

		cr_assert_eq(media_type_is(value, SPAN("application/json")),
		             table[i].json, "%s", table[i].value);
		cr_assert_eq(media_charset_ok(value), table[i].charset_ok);
	}
}
