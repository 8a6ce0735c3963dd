#include <stdlib.h>

#include "lib/url.h"
#include "oci/endpoint.h"
#include "oci/ocid.h"
#include "oci/privacy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the input. */
static struct span take_line(struct span *in)
{
	size_t end = in->len ? span_find(*in, '\n') : 0;
	struct span line = span_first(*in, end);

	*in = in->len ? span_from(*in, end + 1) : *in;
	return line;
}

/* Whatever comes out has a host that is inside of what was given. */
static void make_url(struct span in)
{
	struct region_sources any = { .metadata = take_line(&in) };
	struct region_resolved region;
	struct endpoint_request r = { .template = take_line(&in),
		                      .base_path = take_line(&in),
		                      .own = take_line(&in),
		                      .service = take_line(&in) };
	struct endpoint_value value = { SPAN("v"), take_line(&in) };
	struct buf b = { .max = ENDPOINT_MAX };
	struct url url;

	(void)region_resolve(in, &any, &region);
	r.region = region_view(&region);
	r.values = &value;
	r.n_values = 1;
	if (endpoint_url(&r, &b) == ENDPOINT_OK &&
	    (url_parse(buf_span(&b), &url) != URL_OK || !url.tls ||
	     (r.own.len && !region_owns_host(url.host)) ||
	     !span_eq(url.path, r.base_path.len ? r.base_path : SPAN("/"))))
		abort();
	region_explain(REGION_UNKNOWN, in, &b);
	buf_free(&b);
}

/* Masking twice is masking once. */
static void mask(struct span in)
{
	struct buf once = { .max = 1 << 22 }, twice = { .max = 1 << 22 };
	struct ocid ocid;

	privacy_mask(in, &once);
	privacy_mask(buf_span(&once), &twice);
	if (buf_err(&once) == 0 &&
	    (!span_eq(buf_span(&once), buf_span(&twice)) ||
	     privacy_touches(buf_span(&once))))
		abort();
	if (ocid_parse(in, &ocid) == OCID_OK && !ocid_is(in, ocid.type))
		abort();
	buf_free(&once);
	buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	make_url(span_of(data, size));
	mask(span_of(data, size));
	return 0;
}
