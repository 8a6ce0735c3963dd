/*
 * value - raw JSON values: what stands in them, without a tree.
 *
 * They are parts of a text that lib/scan has found good. On other bytes the
 * answer means nothing, but no byte outside them is read.
 */
#ifndef LIB_VALUE_H
#define LIB_VALUE_H

#include "lib/base.h"
#include "lib/span.h"

/* The largest integer that every JSON parser reads exactly: 2^53 - 1. */
#define VALUE_INTEGER_MAX INT64_C(9007199254740991)

enum value_type {
	VALUE_NOTHING, /* no value begins like this */
	VALUE_STRING,
	VALUE_NUMBER,
	VALUE_TRUE,
	VALUE_FALSE,
	VALUE_NULL,
	VALUE_OBJECT,
	VALUE_ARRAY,
};

/* The type of a value, from its first byte after white space. */
enum value_type value_type(struct span raw);

/*
 * The bytes between the quotes, when they stand for themselves: false when raw
 * is no string or has an escape in it; *inner is then not touched.
 */
bool value_string_plain(struct span raw, struct span *inner);

/*
 * Write what a string means to out, as UTF-8 without a NUL at the end; it may
 * have NULs (\u0000) inside. It never needs more than raw.len - 2 bytes.
 * Returns the number of bytes, -ENOBUFS when they pass cap, or -EINVAL when raw
 * is no string or has a broken escape.
 */
MUST_CHECK int value_string(struct span raw, char *out, size_t cap);

/* Is raw a string that means exactly these bytes, however it is written? */
bool value_string_eq(struct span raw, struct span plain);

/*
 * The value of an integer: digits with or without a minus, no fraction, no
 * exponent. False when raw is anything else, or beyond VALUE_INTEGER_MAX either
 * way; *out is then not touched.
 */
bool value_integer(struct span raw, int64_t *out);

/* Goes over the members of one object or the elements of one array. */
struct value_iter {
	const char *at, *end;
};

/* Start with the first member or element of raw. */
void value_iter_init(struct value_iter *it, struct span raw);

/*
 * The next member, name with its quotes; false when there is none. The iterator
 * must have been made for an object.
 */
bool value_object_next(struct value_iter *it, struct span *key_raw,
                       struct span *value_raw);

/* The next element of an array; false when there is none. */
bool value_array_next(struct value_iter *it, struct span *value_raw);

/*
 * The raw value of the first member that has this name, however it is written;
 * empty when there is none or raw is no object.
 */
struct span value_get(struct span object_raw, struct span key);

#endif
