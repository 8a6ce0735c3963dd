#include "oci/ocid.h"

static const struct form {
	struct span prefix; /* with the separator */
	char separator;
} forms[] = {
	{ { "ocid1.", 6 }, '.' },
	{ { "ocidv1:", 7 }, ':' },
};

/* Parts behind the prefix, counted from 0. */
enum { TYPE, REALM, REGION, FUTURE };

static const char *const sentences[OCID_ERRORS_MAX] = {
	[OCID_OK] = "no error",
	[OCID_EMPTY] = "an OCID is needed, and this is empty",
	[OCID_TOO_LONG] = "this is longer than an OCID, which has at most 255 "
			  "characters",
	[OCID_NO_PREFIX] = "this is not an OCID, which begins with \"ocid1.\"",
	[OCID_BAD_BYTE] = "this is not an OCID: it has other characters than "
			  "letters, digits, dots, dashes and underscores",
	[OCID_PARTS] = "this is not a whole OCID, which has the form "
		       "ocid1.TYPE.REALM.[REGION].UNIQUE",
	[OCID_BAD_TYPE] = "this is not an OCID: the type, after the first dot, "
			  "is empty or too long",
	[OCID_BAD_REALM] = "this is not an OCID: the realm, after the second "
			   "dot, is empty",
	[OCID_NO_UNIQUE] = "this is not a whole OCID: nothing follows the last "
			   "dot",
};

const char *ocid_error(enum ocid_error error)
{
	return sentences[error];
}

static bool is_part_byte(char c)
{
	char lower = (char)ascii_lower((unsigned char)c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static const struct form *form_of(struct span text)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (span_starts(text, forms[i].prefix))
			return &forms[i];
	return NULL;
}

/* How many bytes of text an OCID of this form may have. */
static size_t extent(struct span text, const struct form *form)
{
	size_t n = 0;

	while (n < text.len &&
	       (is_part_byte(text.at[n]) || text.at[n] == form->separator))
		n++;
	return n;
}

/* The type, the realm and the region; returns what is behind them. */
static struct span split(struct span text, char separator,
                         struct span parts[FUTURE])
{
	for (size_t i = 0; i < FUTURE; i++) {
		size_t end = span_find(text, separator);

		parts[i] = span_first(text, end);
		text = span_from(text, end + 1);
	}
	return text;
}

static size_t count(struct span text, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.at[i] == c;
	return n;
}

/* Where the last part begins. */
static size_t find_last(struct span text, char separator)
{
	size_t at = text.len;

	while (at > 0 && text.at[at - 1] != separator)
		at--;
	return at;
}

static enum ocid_error take_apart(struct span text, const struct form *form,
                                  struct ocid *out)
{
	struct span parts[FUTURE], rest;
	size_t last;

	if (extent(text, form) < text.len)
		return OCID_BAD_BYTE;
	if (1 + count(text, form->separator) < OCID_PARTS_MIN)
		return OCID_PARTS;
	rest = split(span_from(text, form->prefix.len), form->separator, parts);
	if (parts[TYPE].len == 0 || parts[TYPE].len > OCID_TYPE_MAX)
		return OCID_BAD_TYPE;
	if (parts[REALM].len == 0)
		return OCID_BAD_REALM;
	last = find_last(rest, form->separator);
	if (last == rest.len)
		return OCID_NO_UNIQUE;
	*out = (struct ocid){
		.type = parts[TYPE],
		.realm = parts[REALM],
		.region = parts[REGION],
		.future = span_first(rest, last ? last - 1 : 0),
		.unique = span_from(rest, last),
	};
	return OCID_OK;
}

enum ocid_error ocid_parse(struct span text, struct ocid *out)
{
	const struct form *form = form_of(text);

	*out = (struct ocid){ 0 };
	if (text.len == 0)
		return OCID_EMPTY;
	if (text.len > OCID_MAX)
		return OCID_TOO_LONG;
	if (!form)
		return OCID_NO_PREFIX;
	if (1 + count(text, form->separator) > OCID_PARTS_MAX)
		return OCID_PARTS;
	return take_apart(text, form, out);
}

/* A tenancy is its own root compartment. */
static bool serves_as(struct span type, struct span wanted)
{
	return wanted.len == 0 || span_eq_nocase(type, wanted) ||
	       (span_eq_nocase(wanted, SPAN("compartment")) &&
	        span_eq_nocase(type, SPAN("tenancy")));
}

bool ocid_is(struct span text, struct span type)
{
	struct ocid ocid;

	return ocid_parse(text, &ocid) == OCID_OK && serves_as(ocid.type, type);
}

/* "a vcn", "an instance". */
static void add_with_article(struct span type, struct buf *into)
{
	char first =
		type.len ? (char)ascii_lower((unsigned char)*type.at) : 'x';

	/* "a user", "a usage report": no u. */
	buf_puts(into, strchr("aeio", first) ? "an " : "a ");
	buf_add_span(into, type);
}

void ocid_explain(struct span text, struct span type, struct buf *into)
{
	struct ocid ocid;
	enum ocid_error error = ocid_parse(text, &ocid);

	if (error == OCID_OK && serves_as(ocid.type, type))
		return;
	if (error == OCID_OK) {
		buf_puts(into, "this is the OCID of ");
		add_with_article(ocid.type, into);
	} else {
		buf_puts(into, sentences[error]);
	}
	if (type.len == 0)
		return;
	buf_puts(into, "; the OCID of ");
	add_with_article(type, into);
	buf_puts(into, " is needed");
}

/*
 * Are there a type and a realm? Asked before the bytes are counted, so that a
 * text of nothing but beginnings is not counted over and over.
 */
static bool has_head(struct span text, const struct form *form)
{
	struct span head = span_first(span_from(text, form->prefix.len),
	                              OCID_TYPE_MAX + 2);
	size_t end = span_find(head, form->separator);

	return end > 0 && end + 1 < head.len && is_part_byte(head.at[end + 1]);
}

/* The OCID that stands at the front of text. */
static struct span at_front(struct span text, struct ocid *out)
{
	const struct form *form = form_of(text);
	struct span ocid;

	if (!form || !has_head(text, form))
		return (struct span){ 0 };
	ocid = span_first(text, extent(text, form));
	while (ocid.len && strchr(".:-_", ocid.at[ocid.len - 1]))
		ocid.len--;
	if (take_apart(ocid, form, out) != OCID_OK)
		return (struct span){ 0 };
	return ocid;
}

struct span ocid_next(struct span text, struct ocid *out)
{
	*out = (struct ocid){ 0 };
	while (text.len > 0) {
		const char *o = memmem(text.at, text.len, "ocid", 4);
		struct span found;

		if (!o)
			break;
		text = span_from(text, (size_t)(o - text.at));
		found = at_front(text, out);
		if (found.len)
			return found;
		text = span_from(text, 4);
	}
	return (struct span){ 0 };
}
