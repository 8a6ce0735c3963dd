#include "oci/markdown.h"

#include <string.h>

#include "lib/base.h"
#include "lib/text.h"
#include "lib/value.h"
#include "oci/path.h"

#define SPEC_COLUMNS_MAX 32  /* of a table that a pack describes */
#define INLINE_DEPTH_MAX 3   /* of a value within a line */
#define SENTENCES_MIN    100 /* bytes; longer arrays of texts become a list */
#define MEMBERS_MAX      64  /* of the outermost object, found at once */
#define SECTIONS_MAX     32  /* tables of a value that no pack describes */

/* A member of the outermost object, found once: behind it may be a long list.
 */
struct member {
	struct span name, value;
};

/* One text in the making. */
struct writer {
	struct buf *out;
	struct span structured;
	struct member members[MEMBERS_MAX];
	size_t n_members;
	size_t start;    /* of the text in out */
	size_t cell_end; /* of the value in hand, at most */
	bool cell_cut;   /* that has been reached */
	bool full;       /* MARKDOWN_BYTES_MAX has been reached */
};

/* Has the text become too long? Asked before each line and row. */
static bool is_full(struct writer *w)
{
	w->full |= w->out->len - w->start > MARKDOWN_BYTES_MAX;
	return w->full;
}

static void find_members(struct writer *w)
{
	struct value_iter it;
	struct member m;

	if (value_type(w->structured) != VALUE_OBJECT)
		return;
	value_iter_init(&it, w->structured);
	while (w->n_members < MEMBERS_MAX &&
	       value_object_next(&it, &m.name, &m.value))
		w->members[w->n_members++] = m;
}

/* The value at a path of the data. */
static struct span look_up(const struct writer *w, struct span path)
{
	size_t dot = span_find(path, '.'), bracket = span_find(path, '[');
	struct span head = span_first(path, MIN(dot, bracket));
	struct span rest = span_from(path, head.len);

	if (rest.len && rest.at[0] == '.')
		rest = span_from(rest, 1);
	for (size_t i = 0; i < w->n_members; i++)
		if (value_string_eq(w->members[i].name, head))
			return path_find(w->members[i].value, rest);
	return w->n_members < MEMBERS_MAX && head.len
	               ? SPAN("")
	               : path_find(w->structured, path);
}

/* An empty line, unless there is one. */
static void part(struct writer *w)
{
	size_t len = w->out->len;

	if (len < 2 || w->out->bytes[len - 2] != '\n')
		buf_putc(w->out, '\n');
}

/* --- texts ---------------------------------------------------------------- */

/* Bytes that mean something to Markdown, or to HTML in it. */
static const bool escaped[256] = {
	['\\'] = true, ['|'] = true, ['`'] = true, ['*'] = true, ['['] = true,
	[']'] = true,  ['<'] = true, ['>'] = true, ['!'] = true,
};

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

void markdown_add_text(struct buf *out, struct span text)
{
	size_t from = 0, i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (!escaped[c] && !is_control(c))
			continue;
		buf_add(out, text.at + from, i - from);
		if (escaped[c])
			buf_putc(out, '\\');
		buf_putc(out, is_control(c) ? ' ' : (char)c);
		from = i + 1;
	}
	if (i > from)
		buf_add(out, text.at + from, i - from);
}

/* The first bytes of a text, no character cut in two. */
static struct span whole_characters(struct span text, size_t max)
{
	size_t n = MIN(text.len, max);

	while (n && n < text.len && ((unsigned char)text.at[n] & 0xc0) == 0x80)
		n--;
	return span_first(text, n);
}

/* Text of the value in hand, as far as there is room for it. */
static void put_text(struct writer *w, struct span text)
{
	size_t len = w->out->len;
	size_t room = len < w->cell_end ? w->cell_end - len : 0;
	struct span shown = whole_characters(text, room);

	if (w->cell_cut)
		return;
	markdown_add_text(w->out, shown);
	if (shown.len < text.len) {
		w->cell_cut = true;
		buf_puts(w->out, "...");
	}
}

/* One escape off the front of what is between the quotes. */
static void put_escape(struct writer *w, struct span *s)
{
	struct span before = *s;
	char raw[sizeof("\"\\ud83d\\ude00\"")], meant[sizeof(raw)];
	size_t len;
	int n;

	if (text_take_escape(s) == TEXT_NO_POINT) {
		*s = span_from(*s, s->len);
		return;
	}
	len = before.len - s->len;
	raw[0] = '"';
	memcpy(raw + 1, before.at, len);
	raw[len + 1] = '"';
	n = value_string(span_of(raw, len + 2), meant, sizeof(meant));
	if (n > 0)
		put_text(w, span_of(meant, (size_t)n));
}

/* What a raw string means. */
static void put_string(struct writer *w, struct span raw)
{
	struct span s =
		raw.len >= 2 ? span_of(raw.at + 1, raw.len - 2) : SPAN("");
	struct span run;

	if (s.len == 0) {
		put_text(w, SPAN("-"));
		return;
	}
	while (s.len && !w->cell_cut) {
		run = span_first(s, span_find(s, '\\'));
		put_text(w, run);
		s = span_from(s, run.len);
		if (s.len)
			put_escape(w, &s);
	}
}

/* --- values within a line ------------------------------------------------- */

static void put_inline(struct writer *w, struct span raw, unsigned depth);

static void put_parts(struct writer *w, struct span raw, unsigned depth)
{
	bool object = value_type(raw) == VALUE_OBJECT, any = false;
	struct value_iter it;
	struct span name, value;

	value_iter_init(&it, raw);
	while (!w->cell_cut && (object ? value_object_next(&it, &name, &value)
	                               : value_array_next(&it, &value))) {
		if (any)
			put_text(w, SPAN(", "));
		any = true;
		if (object) {
			put_string(w, name);
			put_text(w, SPAN(": "));
		}
		put_inline(w, value, depth + 1);
	}
	if (!any)
		put_text(w, SPAN("-"));
}

static void put_container(struct writer *w, struct span raw, unsigned depth)
{
	bool nested = depth > 0 && value_type(raw) == VALUE_OBJECT;

	if (depth > INLINE_DEPTH_MAX) {
		put_text(w, SPAN("..."));
		return;
	}
	if (nested)
		put_text(w, SPAN("("));
	put_parts(w, raw, depth);
	if (nested)
		put_text(w, SPAN(")"));
}

static void put_inline(struct writer *w, struct span raw, unsigned depth)
{
	switch (value_type(raw)) {
	case VALUE_STRING:
		put_string(w, raw);
		break;
	case VALUE_TRUE:
		put_text(w, SPAN("yes"));
		break;
	case VALUE_FALSE:
		put_text(w, SPAN("no"));
		break;
	case VALUE_NUMBER:
		put_text(w, raw);
		break;
	case VALUE_OBJECT:
	case VALUE_ARRAY:
		put_container(w, raw, depth);
		break;
	case VALUE_NULL:
	case VALUE_NOTHING:
		put_text(w, SPAN("-"));
	}
}

static void put_value(struct writer *w, struct span raw)
{
	w->cell_end = w->out->len + MARKDOWN_CELL_MAX;
	w->cell_cut = false;
	put_inline(w, raw, 0);
}

/* A text of the pack, or the name of a member, raw. */
static void put_plain(struct writer *w, struct span raw)
{
	w->cell_end = w->out->len + MARKDOWN_CELL_MAX;
	w->cell_cut = false;
	put_string(w, raw);
}

/* --- labels --------------------------------------------------------------- */

/* Words that are written in capitals. */
static bool is_short_form(struct span word)
{
	static const char *const words[] = {
		"ad",  "api",  "cidr", "cpu", "db",   "dns",  "ecpu", "gb",
		"iam", "icmp", "id",   "io",  "iops", "ip",   "ipv4", "ipv6",
		"kms", "mfa",  "nsg",  "oci", "ocid", "ocpu", "os",   "ssl",
		"tcp", "tls",  "udp",  "url", "vcn",  "vlan", "vnic", "vpu",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_is(word, words[i]))
			return true;
	return false;
}

/* How many letters of a word are capitals. */
static size_t capitals(struct span word, bool first)
{
	struct span singular = span_first(word, word.len - (word.len > 0));

	if (is_short_form(word))
		return word.len;
	if (word.len && word.at[word.len - 1] == 's' && is_short_form(singular))
		return singular.len;
	return first;
}

static char capital(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* "vcn_display_name" becomes "VCN display name". */
static void put_label(struct writer *w, struct span name_raw)
{
	char text[64];
	struct span name, word;
	size_t n = 0, upper;

	if (!value_string_plain(name_raw, &name) || name.len > sizeof(text)) {
		put_plain(w, name_raw);
		return;
	}
	while (n < name.len) {
		word = span_from(name, n);
		word = span_first(word, span_find(word, '_'));
		upper = capitals(word, n == 0);
		for (size_t i = 0; i < word.len; i++)
			text[n + i] =
				i < upper ? capital(word.at[i]) : word.at[i];
		n += word.len;
		if (n < name.len)
			text[n++] = ' ';
	}
	markdown_add_text(w->out, span_of(text, n));
}

/* --- tables --------------------------------------------------------------- */

struct table {
	struct span titles[SPEC_COLUMNS_MAX]; /* raw */
	struct path_want wants[SPEC_COLUMNS_MAX];
	size_t n;
	bool labelled; /* titles are names of members */
};

static void put_head(struct writer *w, const struct table *t)
{
	buf_putc(w->out, '|');
	for (size_t i = 0; i < t->n; i++) {
		buf_putc(w->out, ' ');
		if (t->labelled)
			put_label(w, t->titles[i]);
		else
			put_plain(w, t->titles[i]);
		buf_puts(w->out, " |");
	}
	buf_puts(w->out, "\n|");
	for (size_t i = 0; i < t->n; i++)
		buf_puts(w->out, " --- |");
	buf_putc(w->out, '\n');
}

/* The values are those that wants found. */
static void put_row(struct writer *w, const struct table *t)
{
	buf_putc(w->out, '|');
	for (size_t i = 0; i < t->n; i++) {
		buf_putc(w->out, ' ');
		put_value(w, t->wants[i].found);
		buf_puts(w->out, " |");
	}
	buf_putc(w->out, '\n');
}

static void put_rest(struct writer *w, size_t n)
{
	if (n) {
		part(w);
		buf_puts(w->out, "... and ");
		buf_add_u64(w->out, n);
		buf_puts(w->out, " more\n");
	}
}

static void put_table(struct writer *w, struct table *t, struct span rows)
{
	struct value_iter it = path_items(rows, "");
	struct span row;
	size_t shown = 0, rest = 0;

	put_head(w, t);
	while (shown < MARKDOWN_ROWS_MAX && !is_full(w) &&
	       path_next(&it, &row, t->wants, t->n)) {
		put_row(w, t);
		shown++;
	}
	while (value_array_next(&it, &row))
		rest++;
	put_rest(w, rest);
}

/* A pair of texts, the second as it is written. */
static bool read_pair(struct span pair, struct span *title, struct span *path)
{
	struct value_iter it;
	struct span second;

	if (value_type(pair) != VALUE_ARRAY)
		return false;
	value_iter_init(&it, pair);
	return value_array_next(&it, title) && value_array_next(&it, &second) &&
	       value_type(*title) == VALUE_STRING &&
	       value_string_plain(second, path);
}

static void read_columns(struct span spec, struct table *t)
{
	struct value_iter it = path_items(spec, "columns");
	struct span pair, path;

	while (t->n < SPEC_COLUMNS_MAX && value_array_next(&it, &pair))
		if (read_pair(pair, &t->titles[t->n], &path))
			t->wants[t->n++] = path_want(path);
}

static bool has_elements(struct span array)
{
	struct value_iter it = path_items(array, "");
	struct span element;

	return value_array_next(&it, &element);
}

/* Rows that have an OCID show it: the next call will need it. */
static void add_id(struct span items, struct table *t)
{
	struct span id = path_get(items, "[0].id"), ocid;

	for (size_t i = 0; i < t->n; i++)
		if (span_is(t->wants[i].path, "id"))
			return;
	if (t->n == SPEC_COLUMNS_MAX || !value_string_plain(id, &ocid) ||
	    !span_starts(ocid, SPAN("ocid1.")))
		return;
	t->titles[t->n] = SPAN("\"OCID\"");
	t->wants[t->n++] = path_want(SPAN("id"));
}

/* A table that the pack describes. One whose items are not there at all (not
 * asked for, or refused) is not shown. */
static void put_spec_table(struct writer *w, struct span spec)
{
	struct table t = { 0 };
	struct span title = value_get(spec, SPAN("title"));
	struct span empty = value_get(spec, SPAN("empty"));
	struct span items;

	if (!value_string_plain(value_get(spec, SPAN("items")), &items))
		return;
	items = look_up(w, items);
	if (value_type(items) != VALUE_ARRAY || is_full(w))
		return;
	part(w);
	if (value_type(title) == VALUE_STRING) {
		buf_puts(w->out, "### ");
		put_plain(w, title);
		buf_puts(w->out, "\n\n");
	}
	read_columns(spec, &t);
	add_id(items, &t);
	if (has_elements(items) && t.n) {
		put_table(w, &t, items);
		return;
	}
	if (value_type(empty) == VALUE_STRING)
		put_plain(w, empty);
	else
		buf_puts(w->out, "None.");
	buf_putc(w->out, '\n');
}

/* --- lines ---------------------------------------------------------------- */

static void indent(struct writer *w, unsigned depth)
{
	while (depth--)
		buf_puts(w->out, "  ");
}

static bool has_kind(struct span array, enum value_type type)
{
	struct value_iter it = path_items(array, "");
	struct span element;

	while (value_array_next(&it, &element))
		if (value_type(element) == type)
			return true;
	return false;
}

/* Is this an array that would be hard to read within a line? */
static bool is_long(struct span raw)
{
	return value_type(raw) == VALUE_ARRAY &&
	       (has_kind(raw, VALUE_OBJECT) ||
	        (raw.len > SENTENCES_MIN && has_kind(raw, VALUE_STRING)));
}

static void put_elements(struct writer *w, struct span array, unsigned depth)
{
	struct value_iter it;
	struct span element;
	size_t shown = 0, n = 0;

	value_iter_init(&it, array);
	while (value_array_next(&it, &element)) {
		n++;
		if (shown == MARKDOWN_ROWS_MAX || is_full(w))
			continue;
		indent(w, depth);
		buf_puts(w->out, "- ");
		put_value(w, element);
		buf_putc(w->out, '\n');
		shown++;
	}
	put_rest(w, n - shown);
}

/* What follows "- **Label:**". */
static void put_line_value(struct writer *w, struct span raw, unsigned depth)
{
	if (is_long(raw)) {
		buf_putc(w->out, '\n');
		put_elements(w, raw, depth + 1);
		return;
	}
	buf_putc(w->out, ' ');
	put_value(w, raw);
	buf_putc(w->out, '\n');
}

static void put_spec_lines(struct writer *w, struct span spec)
{
	struct value_iter it = path_items(spec, "lines");
	struct span pair, title, path;

	while (!is_full(w) && value_array_next(&it, &pair)) {
		if (!read_pair(pair, &title, &path))
			continue;
		buf_puts(w->out, "- **");
		put_plain(w, title);
		buf_puts(w->out, ":**");
		put_line_value(w, look_up(w, path), 0);
	}
}

/* --- without a description ------------------------------------------------ */

/* The columns of objects: the names of their members, in order. */
static void find_columns(struct span rows, struct table *t)
{
	struct value_iter it = path_items(rows, ""), members;
	struct span row, name, value, plain;
	size_t looked_at = 0, i;

	t->labelled = true;
	while (looked_at++ < MARKDOWN_ROWS_MAX && value_array_next(&it, &row)) {
		if (value_type(row) != VALUE_OBJECT)
			continue;
		value_iter_init(&members, row);
		while (t->n < MARKDOWN_COLUMNS_MAX &&
		       value_object_next(&members, &name, &value)) {
			/* A path cannot name what has one of these. */
			if (!value_string_plain(name, &plain) ||
			    !path_valid(plain) ||
			    span_find(plain, '.') < plain.len ||
			    span_find(plain, '[') < plain.len)
				continue;
			for (i = 0; i < t->n; i++)
				if (span_eq(t->titles[i], name))
					break;
			if (i < t->n)
				continue;
			t->titles[i] = name;
			t->wants[i] = path_want(plain);
			t->n++;
		}
	}
}

static bool is_table(struct span raw)
{
	return value_type(raw) == VALUE_ARRAY && has_kind(raw, VALUE_OBJECT);
}

static void put_section(struct writer *w, struct span name, struct span rows)
{
	struct table t = { 0 };

	if (is_full(w))
		return;
	part(w);
	buf_puts(w->out, "### ");
	put_label(w, name);
	buf_puts(w->out, "\n\n");
	find_columns(rows, &t);
	if (t.n)
		put_table(w, &t, rows);
	else
		put_elements(w, rows, 0);
}

static bool has_members(struct span raw)
{
	struct value_iter it;
	struct span name, value;

	if (value_type(raw) != VALUE_OBJECT)
		return false;
	value_iter_init(&it, raw);
	return value_object_next(&it, &name, &value);
}

/* The members of an object as lines; tables of the outermost come behind. */
static void put_members(struct writer *w, struct span object, unsigned depth)
{
	struct value_iter it;
	struct span name, value;

	value_iter_init(&it, object);
	while (!is_full(w) && value_object_next(&it, &name, &value)) {
		if (depth == 0 && (is_table(value) ||
		                   value_string_eq(name, SPAN("warnings"))))
			continue;
		indent(w, depth);
		buf_puts(w->out, "- **");
		put_label(w, name);
		buf_puts(w->out, ":**");
		if (depth < MARKDOWN_DEPTH_MAX && has_members(value)) {
			buf_putc(w->out, '\n');
			put_members(w, value, depth + 1);
		} else {
			put_line_value(w, value, depth);
		}
	}
}

static void put_everything(struct writer *w, struct span structured)
{
	struct value_iter it;
	struct span name, value;
	size_t n = 0;

	put_members(w, structured, 0);
	value_iter_init(&it, structured);
	while (n < SECTIONS_MAX && value_object_next(&it, &name, &value)) {
		if (!is_table(value))
			continue;
		put_section(w, name, value);
		n++;
	}
}

/* --- what every text ends with -------------------------------------------- */

static void put_notes(struct writer *w)
{
	struct value_iter it = path_items(look_up(w, SPAN("warnings")), "");
	struct span warning, next = look_up(w, SPAN("next_offset"));

	if (path_flag(look_up(w, SPAN("has_more")), "") &&
	    value_type(next) == VALUE_NUMBER) {
		part(w);
		buf_puts(w->out, "There are more: call again with offset ");
		markdown_add_text(w->out, next);
		buf_puts(w->out, ".\n");
	}
	if (path_flag(look_up(w, SPAN("truncated")), "")) {
		part(w);
		buf_puts(w->out, "Not all items were read or fit into one "
		                 "result: filter to see the others.\n");
	}
	while (!is_full(w) && value_array_next(&it, &warning)) {
		part(w);
		buf_puts(w->out, "Note: ");
		put_value(w, warning);
		buf_putc(w->out, '\n');
	}
	if (w->full) {
		part(w);
		buf_puts(w->out,
		         "The rest of this text is left out; the structured "
		         "content has it, and response_format \"json\".\n");
	}
}

void markdown_write(struct buf *out, struct span spec, struct span title,
                    struct span structured)
{
	struct writer w = { .out = out,
		            .start = out->len,
		            .structured = structured };
	struct span own = value_get(spec, SPAN("title")), element;
	struct value_iter it = path_items(spec, "tables");

	find_members(&w);
	buf_puts(out, "## ");
	if (value_type(own) == VALUE_STRING)
		put_plain(&w, own);
	else
		markdown_add_text(out,
		                  whole_characters(title, MARKDOWN_CELL_MAX));
	buf_puts(out, "\n\n");
	if (value_type(spec) == VALUE_OBJECT) {
		put_spec_lines(&w, spec);
		put_spec_table(&w, value_get(spec, SPAN("table")));
		while (value_array_next(&it, &element))
			put_spec_table(&w, element);
	} else if (value_type(structured) == VALUE_OBJECT) {
		put_everything(&w, structured);
	}
	put_notes(&w);
}
