#include "master/config_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NAME_MAX_SHOWN 48 /* bytes of an unknown key that a sentence quotes */
#define DISTANCE_MAX   3  /* edits between an unknown key and a suggestion */

static void *place_of(void *base, const struct config_key *key)
{
	return (char *)base + key->at;
}

void config_key_defaults(const struct config_schema *schema, void *base)
{
	for (size_t i = 0; i < schema->len; i++) {
		const struct config_key *key = &schema->keys[i];
		void *at = place_of(base, key);

		switch (key->kind) {
		case CONFIG_KEY_BOOL:
		case CONFIG_KEY_COUNT:
		case CONFIG_KEY_BYTES:
		case CONFIG_KEY_MILLIS:
			*(int64_t *)at = key->initial;
			break;
		case CONFIG_KEY_SWITCH:
			*(bool *)at = key->initial != 0;
			break;
		case CONFIG_KEY_CHOICE:
			*(int *)at = (int)key->initial;
			break;
		case CONFIG_KEY_TEXT:
			*(const char **)at = key->text;
			break;
		case CONFIG_KEY_LIST:
		case CONFIG_KEY_SECRET:
		case CONFIG_KEY_CUSTOM:
			break;
		}
	}
}

int config_key_find(const struct config_schema *schema, struct span path)
{
	for (size_t i = 0; i < schema->len; i++)
		if (span_is(path, schema->keys[i].path))
			return (int)i;
	return -1;
}

/* What a value of this kind must be, for a sentence. */
static void describe(const struct config_key *key, char *out, size_t size)
{
	size_t n;

	switch (key->kind) {
	case CONFIG_KEY_BOOL:
	case CONFIG_KEY_SWITCH:
		snprintf(out, size, "true or false");
		return;
	case CONFIG_KEY_COUNT:
		snprintf(out, size, "a whole number from %lld to %lld",
		         (long long)key->min, (long long)key->max);
		return;
	case CONFIG_KEY_BYTES:
		snprintf(out, size, "a whole number of bytes from %lld to %lld",
		         (long long)key->min, (long long)key->max);
		return;
	case CONFIG_KEY_MILLIS:
		snprintf(out, size, "a number of seconds from %g to %g",
		         (double)key->min / 1000, (double)key->max / 1000);
		return;
	case CONFIG_KEY_CHOICE:
		n = (size_t)snprintf(out, size, "one of");
		for (size_t i = 0; key->words[i]; i++)
			n += (size_t)snprintf(out + n, size - n, "%s \"%s\"",
			                      i ? "," : "", key->words[i]);
		return;
	default:
		snprintf(out, size, "a string");
		return;
	}
}

static void complain_kind(struct config_reader *r, const struct config_key *key,
                          struct json_value value)
{
	char wanted[256];
	struct span raw = json_raw(value);
	bool is_number = json_type(value) == JSON_NUMBER;

	describe(key, wanted, sizeof wanted);
	config_reader_complain(
		r, json_place(value), "\"%s\" must be %s, not %.*s", key->path,
		wanted, is_number ? (int)MIN(raw.len, 32) : 100,
		is_number ? raw.at : json_type_name(json_type(value)));
}

/* Rounded to the nearest, since 0.29 * 1000 is not quite 290. */
static bool read_millis(struct json_value value, int64_t *out)
{
	double seconds;

	if (!json_double(value, &seconds) || seconds > 1e12 || seconds < -1e12)
		return false;
	*out = (int64_t)(seconds * 1000 + (seconds < 0 ? -0.5 : 0.5));
	return true;
}

static void read_number(struct config_reader *r, const struct config_key *key,
                        struct json_value value, int64_t *at)
{
	int64_t number = 0;
	bool is_on = false;
	bool is_good;

	if (key->kind == CONFIG_KEY_BOOL) {
		is_good = json_bool(value, &is_on);
		number = is_on;
	} else if (key->kind == CONFIG_KEY_MILLIS) {
		is_good = read_millis(value, &number);
	} else {
		is_good = json_int64(value, &number);
	}
	if (is_good && number >= key->min && number <= key->max)
		*at = number;
	else
		complain_kind(r, key, value);
}

static int find_word(const char *const *words, struct span text)
{
	for (int i = 0; words[i]; i++)
		if (span_eq_nocase(span_str(words[i]), text))
			return i;
	return -1;
}

static const char *fault_of(const struct config_key *key, struct span text)
{
	if (memchr(text.at, '\n', text.len) || memchr(text.at, '\r', text.len))
		return "must be one line";
	return key->check ? key->check(text) : NULL;
}

static void read_text(struct config_reader *r, const struct config_key *key,
                      struct json_value value, const char **at)
{
	const char *fault;

	if (json_type(value) == JSON_NULL)
		return;
	if (json_type(value) != JSON_STRING) {
		complain_kind(r, key, value);
		return;
	}
	fault = fault_of(key, json_text(value));
	if (fault)
		config_reader_complain(r, json_place(value), "\"%s\": %s",
		                       key->path, fault);
	else
		*at = config_reader_copy(r, json_text(value));
}

static void read_item(struct config_reader *r, const struct config_key *key,
                      struct json_value item, struct config_list *out)
{
	const char *fault;

	if (json_type(item) != JSON_STRING) {
		config_reader_complain(
			r, json_place(item),
			"\"%s\" must be a string or an array of strings, not "
			"%s",
			key->path, json_type_name(json_type(item)));
		return;
	}
	fault = fault_of(key, json_text(item));
	if (fault)
		config_reader_complain(r, json_place(item), "\"%s\": %s",
		                       key->path, fault);
	else
		config_reader_append(r, out, json_text(item));
}

static void read_list(struct config_reader *r, const struct config_key *key,
                      struct json_value value, struct config_list *out)
{
	struct json_value item;

	if (json_type(value) == JSON_NULL)
		return;
	if (json_type(value) != JSON_ARRAY) {
		config_reader_list(r, out, 1);
		read_item(r, key, value, out);
		return;
	}
	config_reader_list(r, out, json_count(value));
	for (item = json_first(value); json_exists(item);
	     item = json_next(item))
		read_item(r, key, item, out);
}

void config_key_read_list(struct config_reader *r, const char *path,
                          struct json_value value,
                          const char *(*check)(struct span text),
                          struct config_list *out)
{
	const struct config_key key = { .path = path, .check = check };

	read_list(r, &key, value, out);
}

static void read_choice(struct config_reader *r, const struct config_key *key,
                        struct json_value value, int *at)
{
	int word = json_type(value) == JSON_STRING
	                   ? find_word(key->words, json_text(value))
	                   : -1;
	char wanted[256];

	if (word >= 0) {
		*at = word;
	} else if (json_type(value) == JSON_STRING) {
		describe(key, wanted, sizeof wanted);
		config_reader_complain(r, json_place(value),
		                       "\"%s\" must be %s", key->path, wanted);
	} else {
		complain_kind(r, key, value);
	}
}

static void read_value(struct config_reader *r, const struct config_key *key,
                       struct json_value value, void *base)
{
	void *at = place_of(base, key);

	switch (key->kind) {
	case CONFIG_KEY_BOOL:
	case CONFIG_KEY_COUNT:
	case CONFIG_KEY_BYTES:
	case CONFIG_KEY_MILLIS:
		read_number(r, key, value, at);
		return;
	case CONFIG_KEY_SWITCH:
		if (!json_bool(value, at))
			complain_kind(r, key, value);
		return;
	case CONFIG_KEY_TEXT:
		read_text(r, key, value, at);
		return;
	case CONFIG_KEY_CHOICE:
		read_choice(r, key, value, at);
		return;
	case CONFIG_KEY_LIST:
		read_list(r, key, value, at);
		return;
	case CONFIG_KEY_SECRET:
		if (json_type(value) != JSON_NULL)
			*(const char **)at =
				config_reader_secret(r, key->path, value);
		return;
	case CONFIG_KEY_CUSTOM:
		key->read(r, value, base);
		return;
	}
}

/*
 * Edits that make b of a: one byte put in, left out, changed, or two swapped.
 * Anything longer than a key is far away.
 */
static unsigned distance(struct span a, struct span b)
{
	unsigned char rows[3][CONFIG_KEY_PATH_MAX + 1];

	if (a.len >= CONFIG_KEY_PATH_MAX || b.len >= CONFIG_KEY_PATH_MAX)
		return CONFIG_KEY_PATH_MAX;
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned char *row = rows[i % 3], *up = rows[(i - 1) % 3];
		unsigned char *up2 = rows[(i + 1) % 3];

		row[0] = (unsigned char)i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = a.at[i - 1] == b.at[j - 1];
			int best = up[j - 1] + !same;

			best = MIN(best, row[j - 1] + 1);
			best = MIN(best, up[j] + 1);
			if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] &&
			    a.at[i - 2] == b.at[j - 1])
				best = MIN(best, up2[j - 2] + 1);
			row[j] = (unsigned char)best;
		}
	}
	return rows[a.len % 3][b.len];
}

/* The name that a row has in the group of this prefix: "" when in another. */
static struct span name_in(const struct config_key *key, struct span prefix)
{
	struct span path = span_str(key->path);

	if (!span_starts(path, prefix))
		return (struct span){ NULL, 0 };
	path = span_from(path, prefix.len);
	return span_first(path, span_find(path, '.'));
}

static struct span nearest(const struct config_schema *schema,
                           struct span prefix, struct span name)
{
	struct span best = { NULL, 0 };
	unsigned least = DISTANCE_MAX + 1;

	for (size_t i = 0; i < schema->len; i++) {
		struct span other = name_in(&schema->keys[i], prefix);
		unsigned d = distance(name, other);

		if (other.len && d < least && d < name.len) {
			least = d;
			best = other;
		}
	}
	return best;
}

static void complain_unknown(struct config_reader *r,
                             const struct config_schema *schema,
                             struct span prefix, struct json_value value)
{
	struct span name = json_key(value);
	struct span near = nearest(schema, prefix, name);
	struct span shown = span_first(name, NAME_MAX_SHOWN);

	if (near.len)
		config_reader_complain(
			r, json_key_place(value),
			"unknown key \"%.*s\"; did you mean \"%.*s\"?",
			SPAN_ARG(shown), SPAN_ARG(near));
	else
		config_reader_complain(r, json_key_place(value),
		                       "unknown key \"%.*s\"", SPAN_ARG(shown));
}

/* The group that a key opens: "limits." for "limits"; false when it is none. */
static bool is_group(const struct config_schema *schema, struct span prefix,
                     struct span name)
{
	for (size_t i = 0; i < schema->len; i++)
		if (span_eq(name_in(&schema->keys[i], prefix), name))
			return true;
	return false;
}

static void read_object(struct config_reader *r,
                        const struct config_schema *schema,
                        struct json_value object, struct span prefix,
                        void *base, struct config_origin *origins);

static void read_member(struct config_reader *r,
                        const struct config_schema *schema,
                        struct json_value value, struct span prefix, void *base,
                        struct config_origin *origins)
{
	struct span name = json_key(value);
	char path[CONFIG_KEY_PATH_MAX];
	int n = snprintf(path, sizeof path, "%.*s%.*s", SPAN_ARG(prefix),
	                 SPAN_ARG(name));
	int row = -1;

	if ((size_t)n + 1 < sizeof path && !memchr(name.at, '.', name.len))
		row = config_key_find(schema, span_str(path));
	if (row >= 0) {
		if (origins)
			origins[row] =
				(struct config_origin){ r->source, r->file,
				                        json_place(value) };
		read_value(r, &schema->keys[row], value, base);
	} else if (!is_group(schema, prefix, name)) {
		complain_unknown(r, schema, prefix, value);
	} else if (json_type(value) != JSON_OBJECT) {
		config_reader_complain(r, json_place(value),
		                       "\"%s\" must be an object, not %s", path,
		                       json_type_name(json_type(value)));
	} else {
		memcpy(path + n, ".", 2);
		read_object(r, schema, value, span_str(path), base, origins);
	}
}

static void read_object(struct config_reader *r,
                        const struct config_schema *schema,
                        struct json_value object, struct span prefix,
                        void *base, struct config_origin *origins)
{
	struct json_value value;

	for (value = json_first(object); json_exists(value);
	     value = json_next(value))
		read_member(r, schema, value, prefix, base, origins);
}

void config_key_read(struct config_reader *r,
                     const struct config_schema *schema,
                     struct json_value object, void *base,
                     struct config_origin *origins)
{
	read_object(r, schema, object, (struct span){ NULL, 0 }, base, origins);
}

/* The value of a row out of text; false when it is not of its kind. */
static bool set_value(struct config_reader *r, const struct config_key *key,
                      struct span text, void *at)
{
	static const char *const booleans[] = { "false", "true", NULL };
	int word;
	uint64_t number;

	switch (key->kind) {
	case CONFIG_KEY_BOOL:
		word = find_word(booleans, text);
		if (word >= 0)
			*(int64_t *)at = word;
		return word >= 0;
	case CONFIG_KEY_COUNT:
		if (!span_u64(text, (uint64_t)key->max, &number) ||
		    (int64_t)number < key->min)
			return false;
		*(int64_t *)at = (int64_t)number;
		return true;
	case CONFIG_KEY_MILLIS: /* whole seconds */
		if (!span_u64(text, (uint64_t)key->max / 1000, &number) ||
		    (int64_t)number * 1000 < key->min)
			return false;
		*(int64_t *)at = (int64_t)number * 1000;
		return true;
	case CONFIG_KEY_CHOICE:
		word = find_word(key->words, text);
		if (word >= 0)
			*(int *)at = word;
		return word >= 0;
	case CONFIG_KEY_TEXT:
		*(const char **)at = config_reader_copy(r, text);
		return true;
	default:
		assert(key->kind == CONFIG_KEY_LIST);
		config_reader_list(r, at, 1);
		config_reader_append(r, at, text);
		return true;
	}
}

void config_key_set(struct config_reader *r, const struct config_schema *schema,
                    const char *path, struct span text, void *base,
                    struct config_origin *origins)
{
	static const struct json_place nowhere;
	int row = config_key_find(schema, span_str(path));
	char wanted[256];

	assert(row >= 0);
	const struct config_key *key = &schema->keys[row];
	const char *fault = fault_of(key, text);
	if (fault) {
		config_reader_complain(r, nowhere, "%s", fault);
	} else if (!set_value(r, key, text, place_of(base, key))) {
		describe(key, wanted, sizeof wanted);
		config_reader_complain(r, nowhere, "must be %s", wanted);
	} else {
		origins[row] =
			(struct config_origin){ r->source, r->file, nowhere };
	}
}

void config_key_dump_list(struct buf *out, const struct config_list *list)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < list->len; i++) {
		if (i)
			buf_putc(out, ',');
		buf_add_json(out, span_str(list->items[i]));
	}
	buf_putc(out, ']');
}

static void dump_text(struct buf *out, const char *text)
{
	if (text)
		buf_add_json(out, span_str(text));
	else
		buf_puts(out, "null");
}

/* Some services take their key in the query of the URL. */
static void dump_url(struct buf *out, const char *text)
{
	struct buf shown = { .max = SIZE_MAX };
	struct span url = span_str(text);
	size_t query = span_find(url, '?');

	buf_add_span(&shown, span_first(url, query));
	if (query < url.len)
		buf_puts(&shown, "?[redacted]");
	buf_add_json(out, buf_span(&shown));
	buf_free(&shown);
}

static void dump_value(const struct config_key *key, const void *base,
                       struct buf *out)
{
	const void *at = (const char *)base + key->at;

	switch (key->kind) {
	case CONFIG_KEY_BOOL:
		buf_puts(out, *(const int64_t *)at ? "true" : "false");
		return;
	case CONFIG_KEY_SWITCH:
		buf_puts(out, *(const bool *)at ? "true" : "false");
		return;
	case CONFIG_KEY_COUNT:
	case CONFIG_KEY_BYTES:
		buf_addf(out, "%lld", (long long)*(const int64_t *)at);
		return;
	case CONFIG_KEY_MILLIS:
		buf_addf(out, "%.15g", (double)*(const int64_t *)at / 1000);
		return;
	case CONFIG_KEY_CHOICE:
		dump_text(out, key->words[*(const int *)at]);
		return;
	case CONFIG_KEY_TEXT:
		if (*(const char *const *)at && key->flags & CONFIG_KEY_QUERY)
			dump_url(out, *(const char *const *)at);
		else
			dump_text(out, *(const char *const *)at);
		return;
	case CONFIG_KEY_SECRET:
		buf_puts(out,
		         *(const char *const *)at ? "\"[redacted]\"" : "null");
		return;
	case CONFIG_KEY_LIST:
		config_key_dump_list(out, at);
		return;
	case CONFIG_KEY_CUSTOM:
		key->write(out, base);
		return;
	}
}

/* Strings and lists that are not set tell nothing. */
static bool is_unset(const struct config_key *key, const void *base)
{
	const void *at = (const char *)base + key->at;

	switch (key->kind) {
	case CONFIG_KEY_TEXT:
	case CONFIG_KEY_SECRET:
		return *(const char *const *)at == NULL;
	case CONFIG_KEY_LIST:
		return ((const struct config_list *)at)->len == 0;
	case CONFIG_KEY_CUSTOM:
		return *(const size_t *)at == 0;
	default:
		return false;
	}
}

const char *config_key_check_scope(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			return "must be a scope (RFC 6749, section 3.3)";
	}
	return text.len ? NULL : "must not be empty";
}

static bool texts_differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static bool lists_differ(const struct config_list *a,
                         const struct config_list *b)
{
	bool differ = a->len != b->len;

	for (size_t i = 0; !differ && i < a->len; i++)
		differ = texts_differ(a->items[i], b->items[i]);
	return differ;
}

bool config_key_differs(const struct config_key *key, const void *a,
                        const void *b)
{
	const void *x = (const char *)a + key->at;
	const void *y = (const char *)b + key->at;

	switch (key->kind) {
	case CONFIG_KEY_BOOL:
	case CONFIG_KEY_COUNT:
	case CONFIG_KEY_BYTES:
	case CONFIG_KEY_MILLIS:
		return *(const int64_t *)x != *(const int64_t *)y;
	case CONFIG_KEY_SWITCH:
		return *(const bool *)x != *(const bool *)y;
	case CONFIG_KEY_CHOICE:
		return *(const int *)x != *(const int *)y;
	case CONFIG_KEY_TEXT:
	case CONFIG_KEY_SECRET:
		return texts_differ(*(const char *const *)x,
		                    *(const char *const *)y);
	case CONFIG_KEY_LIST:
		return lists_differ(x, y);
	case CONFIG_KEY_CUSTOM:
		return false;
	}
	return false;
}

/* Is this row to be shown, and is it the first of its name? */
static bool is_shown(const struct config_schema *schema, size_t row,
                     struct span prefix, const void *base, const void *usual)
{
	const struct config_key *key = &schema->keys[row];
	struct span name = name_in(key, prefix);

	if (name.len == 0)
		return false;
	if (prefix.len + name.len == strlen(key->path))
		return !is_unset(key, base) &&
		       (!usual || key->kind == CONFIG_KEY_CUSTOM ||
		        config_key_differs(key, base, usual));
	for (size_t i = 0; i < row; i++)
		if (span_eq(name_in(&schema->keys[i], prefix), name))
			return false;
	return true;
}

static void dump_members(const struct config_schema *schema, struct span prefix,
                         const void *base, const void *usual, struct buf *out)
{
	const char *comma = "{";

	for (size_t i = 0; i < schema->len; i++) {
		const struct config_key *key = &schema->keys[i];
		struct span name = name_in(key, prefix);
		struct span path = span_str(key->path);

		if (!is_shown(schema, i, prefix, base, usual))
			continue;
		buf_puts(out, comma);
		buf_add_json(out, name);
		buf_putc(out, ':');
		if (prefix.len + name.len == path.len)
			dump_value(key, base, out);
		else
			dump_members(
				schema,
				span_first(path, prefix.len + name.len + 1),
				base, usual, out);
		comma = ",";
	}
	buf_puts(out, *comma == '{' ? "{}" : "}");
}

void config_key_dump(const struct config_schema *schema, const void *base,
                     const void *usual, struct buf *out)
{
	dump_members(schema, (struct span){ NULL, 0 }, base, usual, out);
}
