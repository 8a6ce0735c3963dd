/* Heads in one piece and in two, requests and responses: the same verdict. */
#include "lib/h1.h"

#include "lib/media.h"

static const struct h1_limits limits = { 1024, 128, 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_request request;
	static struct h1_response response;
	struct span in = span_of(data, size), piece;
	enum h1_result whole, first;

	piece = span_first(in, size ? data[size - 1] : 0);
	whole = h1_parse_request(in, 0, &limits, &request);
	first = h1_parse_request(piece, 0, &limits, &request);
	assert(first == H1_MORE || first == whole);
	first = h1_parse_request(in, piece.len, &limits, &request);
	assert(first == H1_MORE || first == whole);
	if (first == H1_OK)
		media_head_accepts(&request.head, SPAN("text"), SPAN("html"));
	whole = h1_parse_response(in, 0, &limits, false, &response);
	first = h1_parse_response(in, piece.len, &limits, false, &response);
	assert(first == H1_MORE || first == whole);
	return 0;
}
