/*
 * fuzz_path - any path into any good JSON: what is found is a part of it and
 * good itself, alone as in company, and malformed paths find nothing. The path
 * is the first line.
 */
#include "oci/path.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "oci/indent.h"
#include "oci/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_json(struct span text)
{
	struct scan_error why;

	return scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

/* Elements are the same, with a look into them on the way or not. */
static void go_over(struct span array, struct path_want want[], size_t n)
{
	struct value_iter it, plain;
	struct span element, other;

	value_iter_init(&it, array);
	plain = it;
	while (value_array_next(&plain, &other))
		if (!path_next(&it, &element, want, n) ||
		    element.at != other.at || element.len != other.len)
			abort();
	if (path_next(&it, &element, want, n))
		abort();
}

/* Indented, it is as good as before. */
static void indent(struct span json)
{
	struct buf out = { .max = 1 << 20 };

	indent_write(&out, json);
	if (buf_err(&out) == 0 && !is_json(buf_span(&out)))
		abort();
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = span_of(data, size), found;
	struct span path = span_first(all, span_find(all, '\n'));
	struct span json = span_from(all, path.len + 1);
	struct path_want want[] = { path_want(path), path_want(SPAN("a.b")) };
	int64_t seconds;
	double number;

	if (when_parse(path, &seconds))
		when_add_months(seconds, (int)size);
	when_window(path, &seconds);
	if (!is_json(json))
		return 0;
	found = path_find(json, path);
	path_find_all(json, want, 2);
	if (found.at != want[0].found.at || found.len != want[0].found.len)
		abort();
	if (found.len && (!is_json(found) || found.at < json.at ||
	                  found.at + found.len > json.at + json.len))
		abort();
	if (path.len <= PATH_MAX_BYTES && !path_valid(path) && found.at)
		abort();
	if (value_type(found) != VALUE_NUMBER && path_double(found, &number))
		abort();
	if (value_type(json) == VALUE_ARRAY)
		go_over(json, want, 2);
	indent(json);
	return 0;
}
