#include "lib/proxyproto.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"
#define V6                                           \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" \
	"\x12\x34\x01\xbb"
#define ZEROS32 \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS216                                        \
	ZEROS32 ZEROS32 ZEROS32 ZEROS32 ZEROS32 ZEROS32 \
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define WIRE(text) "" text, sizeof(text) - 1

static const struct sample {
	const char *wire;
	size_t len;
	enum proxyproto_result result;
	const char *source; /* NULL: keeps the peer */
	size_t bytes;
} samples[] = {
	{ WIRE(SIGNATURE "\x21\x11\0\x0c" V4 "GET"), PROXYPROTO_OK, "192.0.2.1",
	  28 },
	{ WIRE(SIGNATURE "\x21\x21\0\x24" V6), PROXYPROTO_OK, "2001:db8::1",
	  52 },
	{ WIRE(SIGNATURE "\x20\x00\0\0GET"), PROXYPROTO_OK, NULL, 16 },
	{ WIRE(SIGNATURE "\x20\xff\0\x02xx"), PROXYPROTO_OK, NULL, 18 },
	{ WIRE(SIGNATURE "\x20\x11\0\x0c" V4), PROXYPROTO_OK, NULL, 28 },
	{ WIRE(SIGNATURE "\x21\x00\0\0"), PROXYPROTO_OK, NULL, 16 },
	{ WIRE(SIGNATURE "\x21\x00\0\x01x"), PROXYPROTO_OK, NULL, 17 },
	{ WIRE(SIGNATURE "\x21\x12\0\x0c" V4), PROXYPROTO_OK, NULL, 28 },
	{ WIRE(SIGNATURE "\x21\x31\0\xd8" ZEROS216), PROXYPROTO_OK, NULL, 232 },
	{ WIRE(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\x01x\x04\0\0"),
	  PROXYPROTO_OK, "192.0.2.1", 35 },

	{ WIRE(SIGNATURE "\x21\x11\0\x0c"
	                 "\xc0\0"),
	  PROXYPROTO_MORE, NULL, 0 },
	{ WIRE(SIGNATURE), PROXYPROTO_MORE, NULL, 0 },
	{ WIRE(""), PROXYPROTO_MORE, NULL, 0 },
	{ WIRE("PRO"), PROXYPROTO_MORE, NULL, 0 },
	{ WIRE("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"), PROXYPROTO_TEXT, NULL,
	  0 },
	{ WIRE("PROXX"), PROXYPROTO_MISSING, NULL, 0 },
	{ WIRE("POST / HTTP/1.1\r\n\r\n"), PROXYPROTO_MISSING, NULL, 0 },
	{ WIRE("\r\n\r\nGET"), PROXYPROTO_MISSING, NULL, 0 },
	{ WIRE("\x16\x03\x01"), PROXYPROTO_MISSING, NULL, 0 },
	{ WIRE(SIGNATURE "\x11\x11\0\x0c" V4), PROXYPROTO_VERSION, NULL, 0 },
	{ WIRE(SIGNATURE "\x31\x11\0\x0c" V4), PROXYPROTO_VERSION, NULL, 0 },
	{ WIRE(SIGNATURE "\x22\x11\0\x0c" V4), PROXYPROTO_COMMAND, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x41\0\x0c" V4), PROXYPROTO_FAMILY, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x13\0\x0c" V4), PROXYPROTO_FAMILY, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x11\0\x0b" V4), PROXYPROTO_SHORT, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x21\0\x0c" V4), PROXYPROTO_SHORT, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x11\x04\0" V4), PROXYPROTO_TOO_LONG, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x11\xff\xff" V4), PROXYPROTO_TOO_LONG, NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x11\0\x0e" V4 "\x04\0"), PROXYPROTO_BAD_TLV,
	  NULL, 0 },
	{ WIRE(SIGNATURE "\x21\x11\0\x10" V4 "\x04\0\x02x"), PROXYPROTO_BAD_TLV,
	  NULL, 0 },
};

static enum proxyproto_result parse(const char *wire, size_t len,
                                    struct proxyproto *out)
{
	char *copy = malloc(len);
	enum proxyproto_result result;

	cr_assert(copy || len == 0);
	if (len)
		memcpy(copy, wire, len);
	result = proxyproto_parse(span_of(copy, len), out);
	free(copy);
	return result;
}

static void check(const struct sample *s, size_t number)
{
	struct proxyproto out;
	struct ip want;

	cr_assert_eq(parse(s->wire, s->len, &out), s->result, "sample %zu",
	             number);
	if (s->result != PROXYPROTO_OK)
		return;
	cr_assert_eq(out.bytes, s->bytes, "sample %zu", number);
	cr_assert_eq(out.has_source, s->source != NULL, "sample %zu", number);
	if (!s->source)
		return;
	cr_assert(ip_parse(span_str(s->source), &want));
	cr_assert(ip_eq(&out.source, &want));
	cr_assert_eq(out.port, 0x1234);
	cr_assert_eq(out.arrived_port, 443);
}

/* Every beginning asks for more or gives the final verdict. */
static void check_cuts(const struct sample *s, size_t number)
{
	struct proxyproto out;

	for (size_t cut = 0; cut < s->len; cut++) {
		enum proxyproto_result result = parse(s->wire, cut, &out);

		if (result == PROXYPROTO_MORE)
			continue;
		cr_assert_eq(result, s->result, "sample %zu cut at %zu", number,
		             cut);
		if (result == PROXYPROTO_OK)
			cr_assert_geq(cut, s->bytes);
	}
}

Test(proxyproto, every_sample_at_every_cut)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		check(&samples[i], i);
		check_cuts(&samples[i], i);
	}
}

Test(proxyproto, every_result_has_a_sentence)
{
	for (unsigned i = 0; i < PROXYPROTO_RESULTS_MAX; i++)
		cr_assert_not_null(
			proxyproto_reason((enum proxyproto_result)i));
}
