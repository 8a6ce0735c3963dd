#include "proxy/uri.h"

#include <string.h>

/* Bytes of "scheme:" or "scheme://" at the front (RFC 3986, section 3.1). */
static size_t scheme_len(struct span uri)
{
	size_t n = span_find(uri, ':');

	if (n == uri.len || n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = ascii_lower((unsigned char)uri.at[i]);
		bool alpha = c >= 'a' && c <= 'z';

		if (!alpha &&
		    (i == 0 || c == '\0' || !strchr("0123456789+-.", c)))
			return 0;
	}
	return span_starts(span_from(uri, n), SPAN("://")) ? n + 3 : n + 1;
}

bool uri_has_scheme(struct span uri)
{
	return scheme_len(uri) > 0;
}

bool uri_is_app(struct span uri)
{
	return span_starts(uri, SPAN("ui://")) && uri.len > 5;
}

void uri_make_public(struct span identifier, struct span uri, struct buf *out)
{
	size_t n = scheme_len(uri);

	buf_add_span(out, span_first(uri, n));
	buf_add_span(out, identifier);
	buf_putc(out, '/');
	buf_add_span(out, span_from(uri, n));
}

bool uri_own(struct span identifier, struct span uri, struct buf *out)
{
	size_t n = scheme_len(uri);
	struct span rest = span_from(uri, n);

	if (n == 0 || !span_starts(rest, identifier) ||
	    rest.len == identifier.len || rest.at[identifier.len] != '/')
		return false;
	buf_add_span(out, span_first(uri, n));
	buf_add_span(out, span_from(rest, identifier.len + 1));
	return true;
}
