/*
 * json - read a configuration file or another small document (RFC 8259).
 *
 * The whole text is parsed once; values are then asked for by key and by
 * position. A value is a small handle, passed by value, good until
 * json_free(). Asking something that is not there for anything gives the empty
 * answer, so chains need one check at the end:
 *
 *	json_bool(json_get(json_get(json_root(doc), "auth"), "enabled"), &on)
 *
 * Stricter than most: the text must be complete and valid, in UTF-8, without
 * a duplicate key in any object and without U+0000 in any string. Not for the
 * data path: a document is copied and indexed. Memory is wiped when it is
 * freed, since configuration files hold secrets.
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/base.h"
#include "lib/span.h"

#define JSON_MAX_BYTES  (4 << 20) /* length of one text */
#define JSON_MAX_TOKENS (1 << 18) /* keys and values of one text */

/* Flags of json_parse(). */
#define JSON_COMMENTS 1U /* also accept // and slash-star comments */

enum json_type {
	JSON_NONE, /* no such value */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json; /* one parsed text */

struct json_value {
	const struct json *doc;
	uint32_t node; /* 0 is "no such value" */
};

/* Where something stands; both count from 1, the column in bytes. */
struct json_place {
	unsigned line;
	unsigned column;
};

struct json_error {
	struct json_place place;
	char text[160]; /* a sentence without the place */
};

/*
 * Parse a copy of text. Returns 0 and the document, or, with *why filled in:
 *	-EBADMSG  not valid JSON, a duplicate key, U+0000 in a string
 *	-E2BIG    longer than JSON_MAX_BYTES, more tokens than
 *	          JSON_MAX_TOKENS, or deeper than SCAN_DEPTH_MAX (lib/scan.h)
 *	-ENOMEM   out of memory
 */
MUST_CHECK int json_parse(struct span text, unsigned flags, struct json **out,
                          struct json_error *why);

/* Wipe and free; every value, span and string of it is then gone. NULL is
 * fine. */
void json_free(struct json *doc);

struct json_value json_root(const struct json *doc);

enum json_type json_type(struct json_value v);

/* "a string", "an object", ... for sentences. */
const char *json_type_name(enum json_type type);

static inline bool json_exists(struct json_value v)
{
	return v.node != 0;
}

/* The member of an object; none when v is no object or has no such key. */
struct json_value json_get(struct json_value v, const char *key);

/* The member under a key that need not be a C string. */
struct json_value json_find(struct json_value v, struct span key);

/*
 * Walk an object's members or an array's elements in the order of the text:
 *	for (m = json_first(v); json_exists(m); m = json_next(m))
 */
struct json_value json_first(struct json_value v);
struct json_value json_next(struct json_value v);

/* Members or elements; 0 for anything else. */
size_t json_count(struct json_value v);

/* The key of an object's member, unescaped and followed by a NUL; the empty
 * span for anything else. */
struct span json_key(struct json_value v);

/* A string's characters, unescaped UTF-8, followed by a NUL that is not
 * counted (and no other); the empty span, at NULL, when v is no string. */
struct span json_text(struct json_value v);

/* As json_text(), as a C string; NULL when v is no string. */
const char *json_string(struct json_value v);

/* The bytes of the value as written (comments blanked), quotes included. */
struct span json_raw(struct json_value v);

/* False, and *out unchanged, when v is no boolean. */
bool json_bool(struct json_value v, bool *out);

/* False, and *out unchanged, when v is no number, has a fraction or an
 * exponent, or does not fit. */
bool json_int64(struct json_value v, int64_t *out);

/* False, and *out unchanged, when v is no number or overflows. */
bool json_double(struct json_value v, double *out);

/* Where the value begins; 0:0 for none. */
struct json_place json_place(struct json_value v);

/* Where the key of this member begins; where the value does, if it has none. */
struct json_place json_key_place(struct json_value v);

#endif
