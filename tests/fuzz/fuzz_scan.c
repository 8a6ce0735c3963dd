/*
 * fuzz_scan - both faces of the scanner must agree about any bytes, wherever
 * they are cut, and hand out the same values. The first byte says where to cut.
 */
#include "lib/scan.h"
#include "lib/value.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ID, RESULT, KEY, N_WANT };

static const struct scan_want want[N_WANT] = {
	[ID] = SCAN_WANT("id", SCAN_ROOT),
	[RESULT] = SCAN_WANT("result", SCAN_ROOT),
	[KEY] = SCAN_WANT("key", RESULT),
};

/* Compare what the stream hands out with what the document face found. */
static enum scan_result stream(struct span text, size_t cut,
                               struct span found[N_WANT],
                               struct scan_error *why)
{
	size_t seen[N_WANT] = { 0 };
	struct span in, bytes;
	struct scan_stream s;
	enum scan_event event;

	scan_stream_init(&s, want, N_WANT, 1u << ID);
	for (size_t at = 0; at < text.len; at += cut) {
		in = span_first(span_from(text, at), cut);
		do {
			event = scan_stream_next(&s, &in, &bytes);
			if (event != SCAN_VALUE && event != SCAN_CLOSE)
				continue;
			size_t *n = &seen[s.member];
			struct span value = found[s.member];
			if (value.at &&
			    !span_starts(span_from(value, *n), bytes))
				abort();
			*n += bytes.len;
		} while (event < SCAN_DONE && event != SCAN_MORE);
	}
	enum scan_result result = scan_stream_end(&s, why);
	for (size_t i = ID; i <= RESULT && result == SCAN_OK; i++)
		if (seen[i] != found[i].len)
			abort();
	return result;
}

/* The raw values of what was found good can be gone over, all the way down. */
static void visit(struct span raw, int levels)
{
	struct value_iter it;
	struct span key, value;
	char out[64];
	int64_t number;

	if (value_type(raw) == VALUE_NOTHING)
		abort();
	if (raw.at[0] == '"' && /* no white space, as around the root */
	    raw.at[raw.len - 1] == '"' &&
	    value_string(raw, out, sizeof(out)) == -EINVAL)
		abort();
	value_integer(raw, &number);
	value_iter_init(&it, raw);
	if (value_type(raw) == VALUE_OBJECT)
		while (levels && value_object_next(&it, &key, &value))
			visit(value, levels - 1);
	if (value_type(raw) == VALUE_ARRAY)
		while (levels && value_array_next(&it, &value))
			visit(value, levels - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_error why = { 0 }, also = { 0 };
	struct span found[N_WANT];

	if (size == 0)
		return 0;
	struct span text = span_of(data + 1, size - 1);
	enum scan_result result =
		scan_document(text, want, N_WANT, found, &why);
	if (stream(text, data[0] + 1u, found, &also) != result ||
	    why.offset != also.offset || why.text != also.text)
		abort();
	if (result == SCAN_OK)
		visit(text, SCAN_DEPTH_MAX);
	return 0;
}
