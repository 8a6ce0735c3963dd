#include <stdlib.h>

#include "oci/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is written as it was read, and can be read again. */
static void write_again(const struct sign_parsed *parsed)
{
	struct buf b = { .max = SIGN_AUTHORIZATION_MAX };
	struct sign_parsed again;

	if (sign_authorization(parsed->key_id, parsed->headers,
	                       parsed->signature, &b) != SIGN_OK ||
	    sign_parse(buf_span(&b), &again) != SIGN_OK ||
	    !span_eq(again.key_id, parsed->key_id) ||
	    !span_eq(again.headers, parsed->headers) ||
	    !span_eq(again.signature, parsed->signature))
		abort();
	buf_free(&b);
}

/* An Authorization value; after a newline, the fields of a request. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	size_t line = size ? span_find(in, '\n') : 0;
	struct span rest = span_from(in, line + 1);
	struct sign_field fields[] = { { SPAN("date"), rest },
		                       { SPAN("host"), SPAN("a") } };
	struct buf b = { .max = SIGN_STRING_MAX };
	struct sign_parsed parsed;
	int64_t utc_s;

	if (sign_parse(span_first(in, line), &parsed) == SIGN_OK) {
		write_again(&parsed);
		if (sign_string_of(parsed.headers, SPAN("GET"), rest, fields,
		                   ARRAY_LEN(fields), &b) == SIGN_OK &&
		    b.len && memchr(b.bytes, '\r', b.len))
			abort();
	}
	if (sign_date_read(rest, &utc_s)) {
		char out[SIGN_DATE_LEN + 1];

		if (!sign_date(utc_s, out))
			abort();
	}
	buf_free(&b);
	return 0;
}
