/*
 * output - write JSON value after value; commas and brackets come by
 * themselves.
 *
 *	struct output o;
 *
 *	output_init(&o, tool_out(run));
 *	output_object(&o, NULL);
 *	output_text(&o, "name", name);
 *	output_array(&o, "ports");
 *	output_integer(&o, NULL, 22);
 *	output_end(&o);
 *	output_end(&o);
 *
 * key is the name of a member, a text of our own that needs no escape; it is
 * NULL for the element of an array, for the root, and after output_name(). To
 * mix these up is asserted against. Failure is that of the buffer, and sticks.
 */
#ifndef OCI_OUTPUT_H
#define OCI_OUTPUT_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"

#define OUTPUT_DEPTH_MAX    64 /* containers open at once; asserted */
#define OUTPUT_DECIMALS_MAX 9

struct output {
	struct buf *buf;
	/* private */
	unsigned depth;
	uint64_t arrays; /* bit n: the container at depth n is an array */
	bool filled;     /* the innermost container has something in it */
	bool named;      /* output_name() was the last call */
};

/* Begin at the end of buf, which must outlive o. */
void output_init(struct output *o, struct buf *buf);

/* Open a container; output_end() closes the innermost one. */
void output_object(struct output *o, const char *key);
void output_array(struct output *o, const char *key);
void output_end(struct output *o);

/* The name of the next member, any text. */
void output_name(struct output *o, struct span name);

/* The name of the next member as it stands in JSON, with its quotes. */
void output_name_raw(struct output *o, struct span name);

/* A value that is JSON already; empty: null. */
void output_raw(struct output *o, const char *key, struct span raw);

/* The value at a path of a JSON value (oci/path); null when there is none. */
void output_path(struct output *o, const char *key, struct span json,
                 const char *path);

/* A text; bytes that are not UTF-8 become U+FFFD. */
void output_text(struct output *o, const char *key, struct span text);

/* A text, but null when it is empty. */
void output_text_or_null(struct output *o, const char *key, struct span text);

/* A C string; NULL: null. */
void output_string(struct output *o, const char *key, const char *text);

/* A text as printf writes it; cut at OUTPUT_FORMAT_MAX bytes. */
#define OUTPUT_FORMAT_MAX 1023
void output_format(struct output *o, const char *key, const char *format, ...)
	PRINTF(3, 4);

void output_integer(struct output *o, const char *key, int64_t n);

/* n / 10^decimals, with that many decimals: (12345, 2) is 123.45. */
void output_fixed(struct output *o, const char *key, int64_t n,
                  unsigned decimals);

/*
 * A number rounded (half away from 0) to that many decimals, whatever the
 * locale; zeros at the end are left out, so 4.50 is 4.5 and 4.00 is 4. null
 * when it is not finite or beyond 9e18 / 10^decimals.
 */
void output_number(struct output *o, const char *key, double value,
                   unsigned decimals);

void output_flag(struct output *o, const char *key, bool value);
void output_null(struct output *o, const char *key);

/* A time as RFC 3339 writes it, in UTC: "2026-01-02T03:04:05Z". */
void output_time(struct output *o, const char *key, int64_t seconds);

#endif
