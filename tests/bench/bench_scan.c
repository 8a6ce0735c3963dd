/*
 * bench_scan - how fast the scanner is, next to memchr() over the same bytes.
 * Prints ns per document and MB/s, the best of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/scan.h"

#define ROUNDS      200
#define ROUND_BYTES (1u << 20) /* read by one round */

enum { JSONRPC, ID, METHOD, PARAMS, NAME, ARGUMENTS, META, VERSION, N_WANT };

/* clang-format off */
static const struct scan_want want[N_WANT] = {
	[JSONRPC]   = SCAN_WANT("jsonrpc", SCAN_ROOT),
	[ID]        = SCAN_WANT("id", SCAN_ROOT),
	[METHOD]    = SCAN_WANT("method", SCAN_ROOT),
	[PARAMS]    = SCAN_WANT("params", SCAN_ROOT),
	[NAME]      = SCAN_WANT("name", PARAMS),
	[ARGUMENTS] = SCAN_WANT("arguments", PARAMS),
	[META]      = SCAN_WANT("_meta", PARAMS),
	[VERSION]   = SCAN_WANT("io.modelcontextprotocol/protocolVersion", META),
};

static const char request[] =
	"{\"jsonrpc\":\"2.0\",\"id\":17,\"method\":\"tools/call\",\"params\":{"
	"\"name\":\"compute_list_instances\",\"arguments\":{\"compartmentId\":"
	"\"ocid1.compartment.oc1..aaaaaaaaexample\",\"limit\":50,\"sortBy\":"
	"\"TIMECREATED\"},\"_meta\":{\"io.modelcontextprotocol/protocolVersion"
	"\":\"2025-11-25\",\"progressToken\":\"a1b2c3\"}}}";
/* clang-format on */

static volatile size_t sink;

static void scan_one(struct span text)
{
	struct span found[N_WANT];
	struct scan_error why = { 0 };

	if (scan_document(text, want, N_WANT, found, &why) != SCAN_OK) {
		fprintf(stderr, "%zu: %s\n", why.offset, why.text);
		exit(EXIT_FAILURE);
	}
	sink += found[ID].len;
}

/* The same through the other face, in pieces of 16 KiB. */
static void stream_one(struct span text)
{
	struct scan_stream s;
	enum scan_event event = SCAN_MORE;

	scan_stream_init(&s, want, N_WANT, 0);
	while (text.len) {
		struct span piece = span_first(text, 16384), bytes;

		text = span_from(text, piece.len);
		do {
			event = scan_stream_next(&s, &piece, &bytes);
			sink += bytes.len;
		} while (event != SCAN_MORE && event != SCAN_DONE &&
		         event != SCAN_BAD);
	}
	if (event != SCAN_DONE)
		exit(EXIT_FAILURE);
}

static void find_nothing(struct span text)
{
	sink += memchr(text.at, 1, text.len) == NULL;
}

static double best_ns(struct span text, void (*one)(struct span))
{
	size_t times = ROUND_BYTES / text.len + 1;
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		struct timespec from, to;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (size_t i = 0; i < times; i++)
			one(text);
		clock_gettime(CLOCK_MONOTONIC, &to);

		double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 +
		            (double)(to.tv_nsec - from.tv_nsec);
		best = MIN(best, ns / (double)times);
	}
	return best;
}

static void report(const char *name, struct span text)
{
	static const struct {
		const char *name;
		void (*one)(struct span);
	} ways[] = { { "document", scan_one },
		     { "stream", stream_one },
		     { "memchr", find_nothing } };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		double ns = best_ns(text, ways[i].one);

		printf("%-10s %7zu bytes  %-8s %10.0f ns %8.0f MB/s\n", name,
		       text.len, ways[i].name, ns, (double)text.len * 1e3 / ns);
	}
}

/* A result whose text is the same piece over and over. */
static void report_result(const char *name, const char *piece, bool quoted)
{
	struct buf text = { .max = 1 << 20 };

	buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[");
	buf_puts(&text, quoted ? "\"" : "0");
	while (text.len < 65536)
		buf_puts(&text, piece);
	buf_puts(&text, quoted ? "\"]}" : "]}");
	if (buf_err(&text) < 0)
		exit(EXIT_FAILURE);
	report(name, buf_span(&text));
	buf_free(&text);
}

int main(void)
{
	report("request", span_str(request));
	report_result("ascii", "The quick brown fox jumps over. ", true);
	report_result("escapes", "{\\\"name\\\": \\\"value\\\",\\n  ", true);
	report_result("\\u", "\\u0416\\ud83d\\ude00", true);
	report_result("cyrillic", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2 ", true);
	report_result("chinese", "\xe4\xb8\xad\xe6\x96\x87", true);
	report_result("numbers", ", 12.5e-3, 12345, -7", false);
	report_result("members", ",{\"id\":\"a\",\"ok\":true,\"n\":1}", false);
	report_result("indented", ",\n            {\n\"a\": null }", false);
	return EXIT_SUCCESS;
}
