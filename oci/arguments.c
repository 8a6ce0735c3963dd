#include "oci/arguments.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/scan.h"
#include "lib/text.h"
#include "lib/utf8.h"
#include "lib/value.h"
#include "oci/nearest.h"
#include "oci/ocid.h"
#include "oci/path.h"
#include "oci/pattern.h"
#include "oci/when.h"

#define WRAPPER     "params" /* of all arguments, in an older server */
#define WORD_MAX    128      /* bytes of the longest listed value we know */
#define TIME_MAX    64       /* bytes of the longest time anybody writes */
#define PATTERN_MAX 512      /* bytes of a text that is held to a pattern */
#define CHOICES_MAX 600      /* bytes of listed values in a sentence */

/* What "type" may say. */
enum kind {
	KIND_ANY,
	KIND_STRING,
	KIND_INTEGER,
	KIND_NUMBER,
	KIND_BOOLEAN,
	KIND_ARRAY,
	KIND_OBJECT,
	KINDS,
};

static const char *const kind_names[KINDS] = {
	[KIND_STRING] = "string", [KIND_INTEGER] = "integer",
	[KIND_NUMBER] = "number", [KIND_BOOLEAN] = "boolean",
	[KIND_ARRAY] = "array",   [KIND_OBJECT] = "object",
};

/* The words of a schema; raw values, empty where it does not say. */
enum word {
	TYPE,
	ENUM,
	FORMAT,
	OCID,
	PATTERN,
	MINIMUM,
	MAXIMUM,
	MIN_LENGTH,
	MAX_LENGTH,
	MIN_ITEMS,
	MAX_ITEMS,
	ITEMS,
	ADDITIONAL,
	DEFAULT,
	WORDS,
};

static const struct span words[WORDS] = {
	[TYPE] = { "type", 4 },
	[ENUM] = { "enum", 4 },
	[FORMAT] = { "format", 6 },
	[OCID] = { "ocid", 4 },
	[PATTERN] = { "pattern", 7 },
	[MINIMUM] = { "minimum", 7 },
	[MAXIMUM] = { "maximum", 7 },
	[MIN_LENGTH] = { "minLength", 9 },
	[MAX_LENGTH] = { "maxLength", 9 },
	[MIN_ITEMS] = { "minItems", 8 },
	[MAX_ITEMS] = { "maxItems", 8 },
	[ITEMS] = { "items", 5 },
	[ADDITIONAL] = { "additionalProperties", 20 },
	[DEFAULT] = { "default", 7 },
};

struct schema {
	enum kind kind;
	struct span is[WORDS];
};

/* One value on its way into out. */
struct check {
	const char *name; /* "metric_names", or "metric_names[2]" */
	unsigned depth;   /* of arrays around it */
	struct buf *out;
	struct arguments_fault *why;
};

static bool check_value(const struct check *c, struct span schema,
                        struct span value);

/* --- schemas -------------------------------------------------------------- */

/* The inside of a raw string, escapes and all; empty for nothing. */
static struct span inside(struct span raw)
{
	return raw.len < 2 ? SPAN("") : span_of(raw.at + 1, raw.len - 2);
}

static void read_schema(struct span raw, struct schema *s)
{
	struct value_iter it;
	struct span key, value, word, type;

	*s = (struct schema){ 0 };
	if (value_type(raw) != VALUE_OBJECT)
		return;
	value_iter_init(&it, raw);
	while (value_object_next(&it, &key, &value)) {
		word = inside(key);
		for (size_t i = 0; i < WORDS; i++)
			if (span_eq(word, words[i]))
				s->is[i] = value;
	}
	type = inside(s->is[TYPE]);
	for (enum kind k = KIND_STRING; k < KINDS; k++)
		if (span_is(type, kind_names[k]))
			s->kind = k;
}

/* A count that a schema states, or otherwise. */
static uint64_t count_of(struct span raw, uint64_t otherwise)
{
	int64_t n;

	return value_integer(raw, &n) && n >= 0 ? (uint64_t)n : otherwise;
}

/* Is "" a value of this schema, and not the way to leave it out? */
static bool may_be_empty(const struct schema *s)
{
	return s->kind == KIND_ANY ||
	       (s->kind == KIND_STRING && s->is[MIN_LENGTH].len &&
	        count_of(s->is[MIN_LENGTH], 1) == 0);
}

/* --- sentences ------------------------------------------------------------ */

static void say(struct arguments_fault *why, const char *fmt, ...) PRINTF(2, 3);

static void say(struct arguments_fault *why, const char *fmt, ...)
{
	size_t len = strlen(why->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text + len, sizeof(why->text) - len, fmt, ap);
	va_end(ap);
}

/* Controls, invisible and direction-changing characters: U+0080 to U+009F,
 * U+2000 to U+206F, U+FEFF. */
static bool is_unseen(struct span character)
{
	const unsigned char *p = (const unsigned char *)character.at;

	return (p[0] == 0xc2 && p[1] < 0xa0) ||
	       (p[0] == 0xe2 && (p[1] == 0x80 || p[1] == 0x81)) ||
	       (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf);
}

/* Text from outside, so that it can be read and does no harm. */
static void say_given(struct arguments_fault *why, struct span given)
{
	char shown[ARGUMENTS_SHOWN_MAX + 1];
	size_t len = 0;

	while (given.len) {
		size_t n = utf8_len(given);

		if (n == 0 || len + n > ARGUMENTS_SHOWN_MAX)
			break;
		if ((n == 1 &&
		     ((unsigned char)given.at[0] < ' ' || given.at[0] == 0x7f)))
			shown[len++] = ' ';
		else if (n > 1 && is_unseen(given))
			shown[len++] = '?';
		else
			for (size_t i = 0; i < n; i++)
				shown[len++] = given.at[i];
		given = span_from(given, n);
	}
	say(why, "%.*s%s", (int)len, shown, given.len ? "..." : "");
}

static void say_choices(struct arguments_fault *why, struct span list)
{
	size_t before = strlen(why->text);
	const char *comma = "";
	struct value_iter it;
	struct span value, inner;

	value_iter_init(&it, list);
	while (value_array_next(&it, &value)) {
		if (!value_string_plain(value, &inner))
			inner = value;
		if (strlen(why->text) - before + inner.len > CHOICES_MAX) {
			say(why, "%s...", comma);
			return;
		}
		say(why, "%s%.*s", comma, SPAN_ARG(inner));
		comma = ", ";
	}
}

/* "instance", or "instance or dbsystem" for a list. */
static void say_types(struct arguments_fault *why, struct span types)
{
	const char * or = "";
	struct value_iter it;
	struct span type, inner;

	if (value_type(types) != VALUE_ARRAY) {
		if (value_string_plain(types, &inner) && inner.len)
			say(why, " of type %.*s", SPAN_ARG(inner));
		return;
	}
	say(why, " of type ");
	value_iter_init(&it, types);
	while (value_array_next(&it, &type)) {
		if (value_string_plain(type, &inner))
			say(why, "%s%.*s", or, SPAN_ARG(inner));
		or = " or ";
	}
}

/* " from 1 to 100 characters", whatever of it the schema says. */
static void say_bounds(struct arguments_fault *why, struct span low,
                       struct span high, const char *unit)
{
	if (low.len && high.len)
		say(why, " from %.*s to %.*s%s", SPAN_ARG(low), SPAN_ARG(high),
		    unit);
	else if (low.len)
		say(why, " of at least %.*s%s", SPAN_ARG(low), unit);
	else if (high.len)
		say(why, " of at most %.*s%s", SPAN_ARG(high), unit);
}

static void say_string(struct arguments_fault *why, const struct schema *s)
{
	if (s->is[ENUM].len) {
		say(why, "one of ");
		say_choices(why, s->is[ENUM]);
	} else if (s->is[OCID].len) {
		say(why, "an OCID");
		say_types(why, s->is[OCID]);
	} else if (value_string_eq(s->is[FORMAT], SPAN("date-time"))) {
		say(why, "a time such as 2026-01-31T00:00:00Z, or a date");
	} else if (value_string_eq(s->is[FORMAT], SPAN("date"))) {
		say(why, "a date such as 2026-01-31");
	} else {
		say(why, "a string");
		if (s->is[PATTERN].len)
			say(why, " that matches %.*s",
			    SPAN_ARG(inside(s->is[PATTERN])));
		say_bounds(why, s->is[MIN_LENGTH], s->is[MAX_LENGTH],
		           " characters");
	}
}

/* What the schema takes, so that "must be" or "is required:" can precede. */
static void say_expected(struct arguments_fault *why, const struct schema *s)
{
	switch (s->kind) {
	case KIND_STRING:
		say_string(why, s);
		break;
	case KIND_INTEGER:
		say(why, "an integer");
		say_bounds(why, s->is[MINIMUM], s->is[MAXIMUM], "");
		break;
	case KIND_NUMBER:
		say(why, "a number");
		say_bounds(why, s->is[MINIMUM], s->is[MAXIMUM], "");
		break;
	case KIND_BOOLEAN:
		say(why, "true or false");
		break;
	case KIND_ARRAY:
		say(why, "an array");
		say_bounds(why, s->is[MIN_ITEMS], s->is[MAX_ITEMS],
		           " elements");
		break;
	case KIND_OBJECT:
		say(why, "an object");
		break;
	case KIND_ANY:
	case KINDS:
		say(why, "a value");
		break;
	}
}

/* Always false, for the caller to return. */
static bool refuse(const struct check *c, const struct schema *s,
                   struct span given)
{
	c->why->text[0] = '\0';
	say(c->why, "the argument \"%s\" must be ", c->name);
	say_expected(c->why, s);
	say(c->why, ", but ");
	say_given(c->why, given);
	say(c->why, " was given");
	return false;
}

/* --- strings, as they are written ----------------------------------------- */

/* The first character of the inside of a string, with its escape. */
static size_t unit_len(struct span inner)
{
	struct span rest = inner;

	if (inner.at[0] != '\\')
		return MAX(utf8_len(inner), 1);
	text_take_escape(&rest);
	return inner.len - rest.len;
}

static bool unit_is_space(struct span unit)
{
	if (unit.len == 1)
		return text_is_space(unit.at[0]);
	return unit.len == 2 && unit.at[0] == '\\' && strchr("tnr", unit.at[1]);
}

/* Without white space at both ends; *count becomes its length in characters. */
static struct span trim(struct span inner, uint64_t *count)
{
	struct span kept = { 0 };
	uint64_t n = 0;

	*count = 0;
	while (inner.len) {
		struct span unit = span_first(inner, unit_len(inner));

		if (!unit_is_space(unit)) {
			if (kept.len == 0)
				kept.at = unit.at;
			kept.len = (size_t)(unit.at + unit.len - kept.at);
			*count = n + 1;
		}
		n += kept.len > 0;
		inner = span_from(inner, unit.len);
	}
	return kept.len ? kept : SPAN("");
}

/* What a string means, without white space at both ends; false when it is over
 * cap bytes and has escapes. */
static bool meaning(struct span raw, char *room, size_t cap, struct span *out)
{
	int n;

	if (!value_string_plain(raw, out)) {
		n = value_string(raw, room, cap);
		if (n < 0)
			return false;
		*out = span_of(room, (size_t)n);
	}
	while (out->len && text_is_space(out->at[0]))
		*out = span_from(*out, 1);
	while (out->len && text_is_space(out->at[out->len - 1]))
		out->len--;
	return true;
}

static bool put_string(const struct check *c, struct span inner)
{
	buf_putc(c->out, '"');
	buf_add_span(c->out, inner);
	buf_putc(c->out, '"');
	return true;
}

static bool put_choice(const struct check *c, const struct schema *s,
                       struct span raw)
{
	char room[WORD_MAX];
	struct value_iter it;
	struct span text, choice, listed;

	if (!meaning(raw, room, sizeof(room), &text))
		return refuse(c, s, raw);
	value_iter_init(&it, s->is[ENUM]);
	while (value_array_next(&it, &choice))
		if (value_string_plain(choice, &listed) &&
		    span_eq_nocase(listed, text))
			return put_string(c, listed);
	return refuse(c, s, raw);
}

/* Why it is not that type, when only one is asked for. */
static void explain(const struct check *c, struct span text, struct span types)
{
	struct ocid id;
	struct span type;
	enum ocid_error error = ocid_parse(text, &id);
	size_t start = c->out->len;

	if (error != OCID_OK) {
		say(c->why, ": %s", ocid_error(error));
		return;
	}
	if (!value_string_plain(types, &type))
		return;
	ocid_explain(text, type, c->out);
	if (c->out->len > start)
		say(c->why, ": %.*s",
		    SPAN_ARG(span_from(buf_span(c->out), start)));
	if (!c->out->err)
		c->out->len = start;
}

static bool put_ocid(const struct check *c, const struct schema *s,
                     struct span raw)
{
	char room[OCID_MAX];
	struct value_iter it;
	struct span text, one, type, types = s->is[OCID];

	if (!meaning(raw, room, sizeof(room), &text))
		return refuse(c, s, raw);
	if (value_type(types) == VALUE_ARRAY) {
		value_iter_init(&it, types);
		while (value_array_next(&it, &one))
			if (value_string_plain(one, &type) &&
			    ocid_is(text, type))
				return put_string(c, text);
	} else if (value_string_plain(types, &type) && ocid_is(text, type)) {
		return put_string(c, text);
	}
	refuse(c, s, raw);
	explain(c, text, types);
	return false;
}

/* A time, or one that lacks only its zone. */
static bool read_time(struct span text, int64_t *seconds)
{
	char zoned[TIME_MAX + 1];

	if (when_parse(text, seconds))
		return true;
	memcpy(zoned, text.at, text.len);
	zoned[text.len] = 'Z';
	return text.len > WHEN_DATE_LEN &&
	       when_parse(span_of(zoned, text.len + 1), seconds);
}

static bool put_time(const struct check *c, const struct schema *s,
                     struct span raw)
{
	char room[TIME_MAX], at[WHEN_LEN + 1];
	bool is_date = value_string_eq(s->is[FORMAT], SPAN("date"));
	struct span text;
	int64_t seconds;

	if (!meaning(raw, room, sizeof(room), &text) || text.len > TIME_MAX ||
	    !read_time(text, &seconds))
		return refuse(c, s, raw);
	return put_string(c, span_str(is_date ? when_write_date(seconds, at)
	                                      : when_write(seconds, at)));
}

static bool is_time(const struct schema *s)
{
	return value_string_eq(s->is[FORMAT], SPAN("date-time")) ||
	       value_string_eq(s->is[FORMAT], SPAN("date"));
}

/* pattern may itself be written with escapes: "^a\\.b$". */
static bool fits_pattern(struct span raw_pattern, struct span raw)
{
	char pattern[PATTERN_MAX], room[PATTERN_MAX];
	struct span means, text;

	return meaning(raw_pattern, pattern, sizeof(pattern), &means) &&
	       meaning(raw, room, sizeof(room), &text) &&
	       pattern_matches(means, text);
}

static bool put_text(const struct check *c, const struct schema *s,
                     struct span raw)
{
	struct span inner;
	uint64_t length;

	if (value_type(raw) != VALUE_STRING)
		return refuse(c, s, raw);
	if (s->is[ENUM].len)
		return put_choice(c, s, raw);
	if (s->is[OCID].len)
		return put_ocid(c, s, raw);
	if (is_time(s))
		return put_time(c, s, raw);
	inner = trim(inside(raw), &length);
	if (length < count_of(s->is[MIN_LENGTH], 0) ||
	    length > count_of(s->is[MAX_LENGTH], UINT64_MAX) ||
	    (s->is[PATTERN].len && !fits_pattern(s->is[PATTERN], raw)))
		return refuse(c, s, raw);
	return put_string(c, inner);
}

/* --- numbers and booleans ------------------------------------------------- */

/* The text of a number or of a string that is written like one. */
static struct span bare(struct span raw)
{
	uint64_t length;

	return value_type(raw) == VALUE_STRING ? trim(inside(raw), &length)
	                                       : raw;
}

static bool is_number(struct span text)
{
	struct scan_error why;

	return value_type(text) == VALUE_NUMBER &&
	       scan_document(text, NULL, 0, NULL, &why) == SCAN_OK;
}

/* 5, 5.0, but not 5.5 nor 5e3. */
static bool read_integer(struct span text, int64_t *out)
{
	size_t dot = span_find(text, '.');

	for (size_t i = dot + 1; i < text.len; i++)
		if (text.at[i] != '0')
			return false;
	return value_integer(span_first(text, dot), out);
}

static bool is_within(double value, const struct schema *s)
{
	double bound;

	return (!path_double(s->is[MINIMUM], &bound) || value >= bound) &&
	       (!path_double(s->is[MAXIMUM], &bound) || value <= bound);
}

static bool put_integer(const struct check *c, const struct schema *s,
                        struct span raw)
{
	struct span text = bare(raw);
	int64_t n;

	/* A double holds every integer of up to 53 bits. */
	if (!is_number(text) || !read_integer(text, &n) ||
	    !is_within((double)n, s))
		return refuse(c, s, raw);
	buf_add_i64(c->out, n);
	return true;
}

static bool put_number(const struct check *c, const struct schema *s,
                       struct span raw)
{
	struct span text = bare(raw);
	double value;

	if (!is_number(text) || !path_double(text, &value) ||
	    !is_within(value, s))
		return refuse(c, s, raw);
	buf_add_span(c->out, text);
	return true;
}

static bool put_boolean(const struct check *c, const struct schema *s,
                        struct span raw)
{
	struct span text = bare(raw);

	if (span_eq_nocase(text, SPAN("true")))
		buf_puts(c->out, "true");
	else if (span_eq_nocase(text, SPAN("false")))
		buf_puts(c->out, "false");
	else
		return refuse(c, s, raw);
	return true;
}

/* --- arrays and objects --------------------------------------------------- */

/* What JSON from a string may be put into; more levels are kept free for it. */
#define OPENING "[[[[[[[["
#define CLOSING "]]]]]]]]"

/*
 * The JSON that a string holds, when it is a value of that type; json has it
 * until the caller frees it. 1, or 0 when it is none, or why there is no memory
 * for it.
 */
static int open_nested(struct span raw, enum value_type type, struct buf *json,
                       struct span *out)
{
	struct scan_error why;
	char *room;
	int n;

	*json = (struct buf){ .max = 2 * ARGUMENTS_NESTED_MAX };
	*out = (struct span){ 0 };
	if (value_type(raw) != VALUE_STRING || raw.len > ARGUMENTS_NESTED_MAX)
		return 0;
	buf_puts(json, OPENING);
	room = buf_reserve(json, raw.len);
	if (!room)
		return buf_err(json);
	n = value_string(raw, room, raw.len);
	if (n <= 0)
		return 0;
	buf_commit(json, (size_t)n);
	buf_puts(json, CLOSING);
	if (buf_err(json))
		return buf_err(json);
	*out = span_of(json->bytes + strlen(OPENING), (size_t)n);
	return value_type(*out) == type &&
	       scan_document(buf_span(json), NULL, 0, NULL, &why) == SCAN_OK;
}

/* Append n in brackets: the name of an element for sentences. */
static bool put_element(const struct check *c, struct span items, size_t n,
                        struct span value)
{
	char name[ARGUMENTS_NAME_MAX + 64];
	struct check element = *c;

	snprintf(name, sizeof(name), "%s[%zu]", c->name, n);
	element.name = name;
	element.depth++;
	if (n)
		buf_putc(c->out, ',');
	return check_value(&element, items, value);
}

static bool put_elements(const struct check *c, const struct schema *s,
                         struct span array, struct span raw)
{
	uint64_t max = count_of(s->is[MAX_ITEMS], UINT64_MAX);
	struct value_iter it;
	struct span value;
	size_t n = 0;

	buf_putc(c->out, '[');
	value_iter_init(&it, array);
	while (value_array_next(&it, &value)) {
		if (n == max)
			return refuse(c, s, raw);
		if (!put_element(c, s->is[ITEMS], n++, value))
			return false;
	}
	buf_putc(c->out, ']');
	return n >= count_of(s->is[MIN_ITEMS], 0) || refuse(c, s, raw);
}

/* A string where an array of strings is wanted is its only element. */
static bool put_only(const struct check *c, const struct schema *s,
                     struct span raw)
{
	struct schema items;

	read_schema(s->is[ITEMS], &items);
	if (value_type(raw) != VALUE_STRING || items.kind != KIND_STRING ||
	    count_of(s->is[MIN_ITEMS], 0) > 1 ||
	    count_of(s->is[MAX_ITEMS], 1) < 1)
		return refuse(c, s, raw);
	buf_putc(c->out, '[');
	if (!put_element(c, s->is[ITEMS], 0, raw))
		return false;
	buf_putc(c->out, ']');
	return true;
}

static bool put_array(const struct check *c, const struct schema *s,
                      struct span raw)
{
	struct buf json;
	struct span nested;
	bool good;

	if (value_type(raw) == VALUE_ARRAY)
		return put_elements(c, s, raw, raw);
	if (open_nested(raw, VALUE_ARRAY, &json, &nested) > 0)
		good = put_elements(c, s, nested, raw);
	else
		good = put_only(c, s, raw);
	buf_free(&json);
	return good;
}

/* Members whose values have a schema, and any names. */
static bool put_members(const struct check *c, const struct schema *s,
                        struct span object)
{
	char name[ARGUMENTS_NAME_MAX + 64];
	struct check member = *c;
	const char *comma = "";
	struct value_iter it;
	struct span key, value;

	member.name = name;
	member.depth++;
	buf_putc(c->out, '{');
	value_iter_init(&it, object);
	for (size_t n = 0; value_object_next(&it, &key, &value); n++) {
		snprintf(name, sizeof(name), "%s[%zu]", c->name, n);
		buf_puts(c->out, comma);
		buf_add_span(c->out, key);
		buf_putc(c->out, ':');
		if (!check_value(&member, s->is[ADDITIONAL], value))
			return false;
		comma = ",";
	}
	buf_putc(c->out, '}');
	return true;
}

static bool put_all(const struct check *c, const struct schema *s,
                    struct span object)
{
	if (value_type(s->is[ADDITIONAL]) == VALUE_OBJECT)
		return put_members(c, s, object);
	buf_add_span(c->out, object);
	return true;
}

static bool put_object(const struct check *c, const struct schema *s,
                       struct span raw)
{
	struct buf json;
	struct span nested;
	bool good;

	if (value_type(raw) == VALUE_OBJECT)
		return put_all(c, s, raw);
	if (open_nested(raw, VALUE_OBJECT, &json, &nested) > 0)
		good = put_all(c, s, nested);
	else
		good = refuse(c, s, raw);
	buf_free(&json);
	return good;
}

/* --- values --------------------------------------------------------------- */

static bool check_schema(const struct check *c, const struct schema *s,
                         struct span value)
{
	switch (s->kind) {
	case KIND_STRING:
		return put_text(c, s, value);
	case KIND_INTEGER:
		return put_integer(c, s, value);
	case KIND_NUMBER:
		return put_number(c, s, value);
	case KIND_BOOLEAN:
		return put_boolean(c, s, value);
	case KIND_ARRAY:
		return put_array(c, s, value);
	case KIND_OBJECT:
		return put_object(c, s, value);
	case KIND_ANY:
	case KINDS:
		break;
	}
	buf_add_span(c->out, value);
	return true;
}

static bool check_value(const struct check *c, struct span schema,
                        struct span value)
{
	struct schema s = { 0 };

	if (c->depth <= ARGUMENTS_DEPTH_MAX)
		read_schema(schema, &s);
	return check_schema(c, &s, value);
}

/* --- calls ---------------------------------------------------------------- */

/* The parameters of a recipe and what a call has for them. */
struct call {
	struct span parameters, required; /* of the recipe */
	struct span given;                /* an object, or empty */
	struct check check;
	bool any; /* a member has been written */
};

static bool is_required(const struct call *call, struct span name)
{
	struct value_iter it;
	struct span value;

	if (value_type(call->required) != VALUE_ARRAY)
		return false;
	value_iter_init(&it, call->required);
	while (value_array_next(&it, &value))
		if (value_string_eq(value, name))
			return true;
	return false;
}

static bool is_absent(const struct schema *s, struct span value)
{
	uint64_t length;

	if (value_type(value) != VALUE_STRING)
		return value.len == 0 || value_type(value) == VALUE_NULL;
	return !may_be_empty(s) && trim(inside(value), &length).len == 0;
}

static void put_name(struct call *call, struct span key)
{
	if (call->any)
		buf_putc(call->check.out, ',');
	call->any = true;
	buf_add_span(call->check.out, key);
	buf_putc(call->check.out, ':');
}

static bool check_parameter(struct call *call, struct span key,
                            struct span name, struct span schema)
{
	struct span value = value_get(call->given, name);
	struct check *c = &call->check;
	struct schema s;

	snprintf(c->why->argument, sizeof(c->why->argument), "%.*s",
	         SPAN_ARG(name));
	c->name = c->why->argument;
	read_schema(schema, &s);
	if (!is_absent(&s, value)) {
		put_name(call, key);
		return check_schema(c, &s, value);
	}
	if (s.is[DEFAULT].len) {
		put_name(call, key);
		buf_add_span(c->out, s.is[DEFAULT]);
	} else if (is_required(call, name)) {
		say(c->why, "the argument \"%s\" is required: ", c->name);
		say_expected(c->why, &s);
		return false;
	}
	return true;
}

static bool check_parameters(struct call *call)
{
	struct value_iter it;
	struct span key, name, schema;

	value_iter_init(&it, call->parameters);
	while (value_object_next(&it, &key, &schema))
		if (value_string_plain(key, &name) &&
		    !check_parameter(call, key, name, schema))
			return false;
	return true;
}

/* The parameter that a member's name means; empty when there is none. */
static struct span find_parameter(const struct call *call, struct span key)
{
	struct value_iter it;
	struct span own, name, schema;

	value_iter_init(&it, call->parameters);
	while (value_object_next(&it, &own, &schema))
		if (value_string_plain(own, &name) &&
		    value_string_eq(key, name))
			return name;
	return SPAN("");
}

static void say_known(struct call *call, struct span key)
{
	struct arguments_fault *why = call->check.why;
	struct nearest nearest = { .word = inside(key) };
	const char *comma = "it takes ";
	struct value_iter it;
	struct span own, name, schema;

	value_iter_init(&it, call->parameters);
	while (value_object_next(&it, &own, &schema))
		if (value_string_plain(own, &name))
			nearest_look(&nearest, name);
	if (nearest.best.len) {
		say(why, "; did you mean \"%.*s\"?", SPAN_ARG(nearest.best));
		return;
	}
	say(why, "; ");
	value_iter_init(&it, call->parameters);
	while (value_object_next(&it, &own, &schema)) {
		if (value_string_plain(own, &name))
			say(why, "%s%.*s", comma, SPAN_ARG(name));
		comma = ", ";
	}
	if (*comma != ',')
		say(why, "it takes none");
}

static bool refuse_unknown(struct call *call, struct span key)
{
	struct arguments_fault *why = call->check.why;

	if (value_string_eq(key, SPAN(WRAPPER))) {
		say(why, "\"" WRAPPER "\" holds all arguments, or none: no "
		         "other may stand beside it");
		return false;
	}
	say(why, "there is no argument ");
	say_given(why, key);
	say_known(call, key);
	return false;
}

/* Every member is a parameter, and none comes twice. */
static bool check_names(struct call *call)
{
	struct value_iter it;
	struct span key, value, name;

	if (call->given.len == 0)
		return true;
	value_iter_init(&it, call->given);
	while (value_object_next(&it, &key, &value)) {
		name = find_parameter(call, key);
		if (name.len == 0)
			return refuse_unknown(call, key);
		if (value_get(call->given, name).at == value.at)
			continue;
		say(call->check.why, "the argument \"%.*s\" is given twice",
		    SPAN_ARG(name));
		return false;
	}
	return true;
}

/* The value of the wrapper, when it is one; else empty. */
static struct span wrapped(const struct call *call)
{
	struct value_iter it;
	struct span key, value, more;

	if (call->given.len == 0 ||
	    value_get(call->parameters, SPAN(WRAPPER)).len)
		return SPAN("");
	value_iter_init(&it, call->given);
	if (!value_object_next(&it, &key, &value) ||
	    !value_string_eq(key, SPAN(WRAPPER)) ||
	    value_object_next(&it, &key, &more))
		return SPAN("");
	return value;
}

/* Take the arguments out of the wrapper, if there is one. json has what came in
 * a string. */
static int unwrap(struct call *call, struct buf *json)
{
	struct span value = wrapped(call);
	uint64_t length;
	int n;

	if (value.len == 0)
		return 0;
	call->given = SPAN("");
	switch (value_type(value)) {
	case VALUE_OBJECT:
		call->given = value;
		return 0;
	case VALUE_NULL:
		return 0;
	case VALUE_STRING:
		if (trim(inside(value), &length).len == 0)
			return 0;
		n = open_nested(value, VALUE_OBJECT, json, &call->given);
		if (n)
			return n < 0 ? n : 0;
		break;
	default:
		break;
	}
	say(call->check.why, "\"" WRAPPER "\" must be an object with the "
	                     "arguments, but ");
	say_given(call->check.why, value);
	say(call->check.why, " was given");
	return -EINVAL;
}

static int check_given(struct call *call, struct buf *json)
{
	int err = unwrap(call, json);

	if (err < 0)
		return err;
	if (!check_names(call))
		return -EINVAL;
	buf_putc(call->check.out, '{');
	if (!check_parameters(call))
		return -EINVAL;
	buf_putc(call->check.out, '}');
	return buf_err(call->check.out);
}

/* Undo what was written, and give buffers that failed their sentence. */
static int finish(int err, size_t start, struct buf *out,
                  struct arguments_fault *why)
{
	if (buf_err(out))
		err = buf_err(out);
	else if (err < 0)
		out->len = start;
	if (err == 0 || err == -EINVAL)
		return err;
	*why = (struct arguments_fault){ 0 };
	say(why, "%s",
	    err == -ENOBUFS ? "the arguments are too long"
	                    : "there is no memory for the arguments");
	return err;
}

int arguments_check(struct span recipe, struct span arguments, struct buf *out,
                    struct arguments_fault *why)
{
	struct buf json = { .max = ARGUMENTS_NESTED_MAX };
	size_t start = out->len;
	struct call call = {
		.parameters = value_get(recipe, SPAN("parameters")),
		.required = value_get(recipe, SPAN("required")),
		.check = { .out = out, .why = why },
	};
	int err;

	*why = (struct arguments_fault){ 0 };
	if (value_type(call.parameters) != VALUE_OBJECT)
		call.parameters = SPAN("{}");
	switch (value_type(arguments)) {
	case VALUE_OBJECT:
		call.given = arguments;
		break;
	case VALUE_NOTHING:
	case VALUE_NULL:
		break;
	default:
		say(why, "the arguments must be an object, but ");
		say_given(why, arguments);
		say(why, " was given");
		return -EINVAL;
	}
	err = check_given(&call, &json);
	buf_free(&json);
	return finish(err, start, out, why);
}

int arguments_value(struct span name, struct span schema, struct span value,
                    struct buf *out, struct arguments_fault *why)
{
	struct check c = { .name = why->argument, .out = out, .why = why };
	size_t start = out->len;

	*why = (struct arguments_fault){ 0 };
	snprintf(why->argument, sizeof(why->argument), "%.*s", SPAN_ARG(name));
	return finish(check_value(&c, schema, value) ? 0 : -EINVAL, start, out,
	              why);
}
