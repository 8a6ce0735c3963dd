/*
 * path - find one value deep inside a raw JSON value.
 *
 * A path is names with dots between them, each followed by any number of
 * positions in square brackets; a position below 0 counts from the end:
 *
 *	shapeConfig.ocpus    items[0].id    aggregatedDatapoints[-1].value
 *
 * The empty path is the value itself. A name is any bytes but these: . [ ]
 * A path that is malformed finds nothing, as does one that leads nowhere.
 *
 * The JSON must be valid (lib/value says what that means); what is found is a
 * part of it, so nothing is copied and nothing is allocated, except by
 * path_text() for a string with an escape in it.
 */
#ifndef OCI_PATH_H
#define OCI_PATH_H

#include "lib/base.h"
#include "lib/span.h"
#include "lib/value.h"
#include "oci/tool.h"

#define PATH_MAX_BYTES 256 /* length of a path that packs may use */

/* Is the path well-formed, and not longer than PATH_MAX_BYTES? */
bool path_valid(struct span path);

/* The raw value at a path; empty with at NULL when there is none. A null that
 * is there is found as such. */
struct span path_find(struct span json, struct span path);

/* One of several paths to look for at once. */
struct path_want {
	struct span path;  /* from path_want() */
	struct span found; /* as path_find() says */
	size_t head;       /* private: bytes of its first name */
};

/* A path to look for; it must outlive the answer. */
struct path_want path_want(struct span path);

/* Set found of each of n paths, going over the members of json only once. */
void path_find_all(struct span json, struct path_want want[], size_t n);

/*
 * The next element of an array, as value_array_next(), and path_find_all() in
 * it, without going over its bytes twice. False when there is none; found is
 * then as it was.
 */
bool path_next(struct value_iter *array, struct span *element,
               struct path_want want[], size_t n);

/* path_find() for a path of our own. */
static inline struct span path_get(struct span json, const char *path)
{
	return path_find(json, span_str(path));
}

/* Is there a value, and is it not null? */
bool path_has(struct span json, const char *path);

/* Is there a string that means exactly this, in any case of ASCII letters? */
bool path_is(struct span json, const char *path, const char *text);

/* The elements at a path: of an array, or of the array "items" of an object
 * there, as collections are answered. Nothing for any other value. */
struct value_iter path_items(struct span json, const char *path);

/* How many of these there are. */
size_t path_count(struct span json, const char *path);

/*
 * A number as a double, whatever the locale; otherwise when there is none. The
 * nearest double for up to 15 digits and exponents of 22, as services write
 * them; within one unit of the last place for more digits.
 */
double path_number(struct span json, const char *path, double otherwise);

/* The number that a raw value is, as path_number(); false: it is none, or too
 * large for a double. */
bool path_double(struct span raw, double *out);

/* An integer; a fraction is cut off (services write 4.0). otherwise when there
 * is none or it is beyond VALUE_INTEGER_MAX. */
int64_t path_integer(struct span json, const char *path, int64_t otherwise);

/* Is there a true? */
bool path_flag(struct span json, const char *path);

/* What a raw string means; empty when it is none, or has escapes and 1 MiB. */
static inline struct span path_means(struct tool_run *run, struct span raw)
{
	struct span inner;
	char *out;
	int n;

	if (value_string_plain(raw, &inner))
		return inner;
	if (value_type(raw) != VALUE_STRING || raw.len > (1u << 20))
		return SPAN("");
	out = tool_alloc(run, raw.len);
	n = value_string(raw, out, raw.len);
	return n < 0 ? SPAN("") : span_of(out, (size_t)n);
}

/* What the string at a path means, for as long as json and the run; empty when
 * there is no string. */
static inline struct span path_text(struct tool_run *run, struct span json,
                                    const char *path)
{
	return path_means(run, path_get(json, path));
}

#endif
