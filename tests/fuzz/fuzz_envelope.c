/*
 * fuzz_envelope - any line from a client, any answer of a server: the header
 * fields made of one cannot split a head, and the other is one line.
 */
#include "master/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct envelope_session session = { .version = "1", .id = "2" };
	struct span text = span_of(data, size);
	char version[ENVELOPE_VERSION_MAX + 1] = "";
	struct buf out = { .max = 1u << 20 };
	struct envelope e;
	const char *why;

	if (envelope_read(text, &e, &why) == 0)
		envelope_fields(&e, &session, &out);
	for (size_t i = 0; i < out.len; i++)
		assert((out.bytes[i] >= ' ' && out.bytes[i] <= '~') ||
		       strchr("\t\r\n", out.bytes[i]));
	buf_reset(&out);
	if (envelope_answer(text, SPAN("1"), version, &out) !=
	    ENVELOPE_NOT_JSON)
		assert(memchr(out.bytes, '\n', out.len) ==
		       out.bytes + out.len - 1);
	buf_free(&out);
	return 0;
}
