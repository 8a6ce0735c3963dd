#include "lib/url.h"

#include <criterion/criterion.h>

static const struct good {
	const char *text;
	bool tls, ipv6;
	uint16_t port;
	const char *host, *authority, *path, *query;
} good[] = {
	{ "http://a", false, false, 80, "a", "a", "/", "" },
	{ "https://a/", true, false, 443, "a", "a", "/", "" },
	{ "HTTPS://A.Example:8443/mcp?x=y?z", true, false, 8443, "A.Example",
	  "A.Example:8443", "/mcp", "?x=y?z" },
	{ "http://a?q", false, false, 80, "a", "a", "/", "?q" },
	{ "http://127.0.0.1:9000/mcp", false, false, 9000, "127.0.0.1",
	  "127.0.0.1:9000", "/mcp", "" },
	{ "http://[::1]:1/", false, true, 1, "::1", "[::1]:1", "/", "" },
	{ "http://[2001:db8::1]", false, true, 80, "2001:db8::1",
	  "[2001:db8::1]", "/", "" },
	{ "http://a_b-c.d./%2e", false, false, 80, "a_b-c.d.", "a_b-c.d.",
	  "/%2e", "" },
	{ "http://3f2a:65535//x", false, false, 65535, "3f2a", "3f2a:65535",
	  "//x", "" },
	{ "http://1.a", false, false, 80, "1.a", "1.a", "/", "" },
	{ "http://a/@", false, false, 80, "a", "a", "/@", "" },
};

static const struct bad {
	const char *text;
	enum url_error error;
} bad[] = {
	{ "", URL_BAD_SCHEME },
	{ "a", URL_BAD_SCHEME },
	{ "/mcp", URL_BAD_SCHEME },
	{ "//a/mcp", URL_BAD_SCHEME },
	{ "http:/a", URL_BAD_SCHEME },
	{ "httpx://a", URL_BAD_SCHEME },
	{ "file:///etc/passwd", URL_BAD_SCHEME },
	{ "javascript:alert(1)", URL_BAD_SCHEME },
	{ "http://", URL_BAD_HOST },
	{ "http:///x", URL_BAD_HOST },
	{ "http://?x", URL_BAD_HOST },
	{ "http://.", URL_BAD_HOST },
	{ "http://a..b", URL_BAD_HOST },
	{ "http://.a", URL_BAD_HOST },
	{ "http://a%2eb", URL_BAD_HOST },
	{ "http://a,b", URL_BAD_HOST },
	{ "http://a!", URL_BAD_HOST },
	{ "http://127.1", URL_BAD_HOST },
	{ "http://2130706433", URL_BAD_HOST },
	{ "http://0x7f.0.0.1", URL_BAD_HOST },
	{ "http://0x7f000001", URL_BAD_HOST },
	{ "http://127.0.0.01", URL_BAD_HOST },
	{ "http://127.0.0.1.", URL_BAD_HOST },
	{ "http://1.2.3.4.5", URL_BAD_HOST },
	{ "http://a.0x", URL_BAD_HOST },
	{ "http://[::1", URL_BAD_HOST },
	{ "http://[]", URL_BAD_HOST },
	{ "http://[127.0.0.1]", URL_BAD_HOST },
	{ "http://[::1]x", URL_BAD_HOST },
	{ "http://[fe80::1%25eth0]", URL_BAD_HOST },
	{ "http://::1", URL_BAD_HOST },
	{ "http://a:", URL_BAD_PORT },
	{ "http://a:0", URL_BAD_PORT },
	{ "http://a:65536", URL_BAD_PORT },
	{ "http://a:000080", URL_BAD_PORT },
	{ "http://a:8o", URL_BAD_PORT },
	{ "http://a:80:80", URL_BAD_PORT },
	{ "http://[::1]:", URL_BAD_PORT },
	{ "http://u@a", URL_HAS_USER },
	{ "http://u:p@a", URL_HAS_USER },
	{ "http://a:80@b", URL_HAS_USER },
	{ "http://a/#x", URL_HAS_FRAGMENT },
	{ "http://a#@b", URL_HAS_FRAGMENT },
	{ "http://a b", URL_BAD_BYTE },
	{ " http://a", URL_BAD_BYTE },
	{ "http://a\\@b", URL_BAD_BYTE },
	{ "http://a/\r\nX: y", URL_BAD_BYTE },
	{ "http://a/\x7f", URL_BAD_BYTE },
	{ "http://\xc3\xa9/", URL_BAD_BYTE },
};

Test(url, takes_a_url_apart)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct good *g = &good[i];
		struct url url;

		cr_assert_eq(url_parse(span_str(g->text), &url), URL_OK, "%s",
		             g->text);
		cr_assert_eq(url.tls, g->tls);
		cr_assert_eq(url.ipv6, g->ipv6);
		cr_assert_eq(url.port, g->port, "%s", g->text);
		cr_assert(span_is(url.host, g->host), "%s", g->text);
		cr_assert(span_is(url.authority, g->authority));
		cr_assert(span_is(url.path, g->path), "%s", g->text);
		cr_assert(span_is(url.query, g->query), "%s", g->text);
	}
}

Test(url, says_what_is_wrong)
{
	struct url url;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_eq(url_parse(span_str(bad[i].text), &url),
		             bad[i].error, "%s", bad[i].text);
	cr_assert_eq(url_parse(span_of("http://a/\0b", 11), &url),
	             URL_BAD_BYTE);
	for (unsigned i = 0; i < URL_ERRORS_MAX; i++)
		cr_assert_not_null(url_error((enum url_error)i));
}

Test(url, lengths_are_limited)
{
	char text[URL_MAX + 1], host[URL_HOST_MAX + 1];
	struct url_authority parts;
	struct url url;

	memset(text, 'x', sizeof(text));
	memcpy(text, "http://a/", 9);
	cr_assert_eq(url_parse(span_of(text, URL_MAX), &url), URL_OK);
	cr_assert_eq(url_parse(span_of(text, URL_MAX + 1), &url), URL_TOO_LONG);

	memset(host, 'x', sizeof(host));
	for (size_t i = 63; i < sizeof(host); i += 64)
		host[i] = '.';
	cr_assert_eq(url_parse_authority(span_of(host, URL_HOST_MAX), &parts),
	             URL_OK);
	cr_assert_eq(url_parse_authority(span_of(host, sizeof(host)), &parts),
	             URL_BAD_HOST);
	host[63] = 'x';
	cr_assert_eq(url_parse_authority(span_of(host, 127), &parts),
	             URL_BAD_HOST);
}

Test(url, authority_without_a_port)
{
	struct url_authority parts;

	cr_assert_eq(url_parse_authority(SPAN("a.b"), &parts), URL_OK);
	cr_assert_eq(parts.port, 0);
	cr_assert_eq(url_parse_authority(SPAN("[::1]:80"), &parts), URL_OK);
	cr_assert(parts.ipv6);
	cr_assert_eq(parts.port, 80);
	cr_assert(span_is(parts.host, "::1"));
}
