/* The head of a request and its body as _meta: a trace that is taken is of
 * characters that can be sent, and its members are JSON. */
#include "proxy/trace.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h1_limits limits = { 65536, 8192, H1_FIELDS_MAX };
	static struct h1_request request;
	struct span in = span_of((const char *)data, size), body;
	struct buf out = { .max = 8192 };
	struct scan_error why;
	struct trace trace;
	bool first = true;

	if (h1_parse_request(in, 0, &limits, &request) != H1_OK)
		return 0;
	body = span_from(in, request.head.bytes);
	if (scan_document(body, NULL, 0, NULL, &why) != SCAN_OK ||
	    *body.at != '{')
		body.len = 0;
	trace_read(value_get(body, SPAN("traceparent")),
	           value_get(body, SPAN("tracestate")), &request.head, &trace);
	trace_fields(&trace, &out);
	for (size_t i = 0; i < out.len; i++)
		assert((out.bytes[i] >= 0x20 && out.bytes[i] < 0x7f) ||
		       out.bytes[i] == '\r' || out.bytes[i] == '\n');
	buf_reset(&out);
	buf_putc(&out, '{');
	trace_members(&trace, &first, &out);
	buf_putc(&out, '}');
	assert(scan_document(buf_span(&out), NULL, 0, NULL, &why) == SCAN_OK);
	buf_free(&out);
	return 0;
}
