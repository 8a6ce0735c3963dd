#include "oci/profile.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/crypto.h"

static const char *const names[PROFILE_KEYS] = {
	[PROFILE_USER] = "user",
	[PROFILE_FINGERPRINT_KEY] = "fingerprint",
	[PROFILE_TENANCY] = "tenancy",
	[PROFILE_REGION] = "region",
	[PROFILE_KEY_FILE] = "key_file",
	[PROFILE_PASS_PHRASE] = "pass_phrase",
	[PROFILE_SECURITY_TOKEN_FILE] = "security_token_file",
	[PROFILE_DELEGATION_TOKEN_FILE] = "delegation_token_file",
	[PROFILE_AUTHENTICATION_TYPE] = "authentication_type",
};

#define DEFAULT_NAME   SPAN("DEFAULT")
#define BYTE_ORDER     SPAN("\xef\xbb\xbf")
#define SHOWN_PROFILES 20 /* names in a sentence */

/* Values of one section. */
struct section {
	struct span values[PROFILE_KEYS];
	unsigned lines[PROFILE_KEYS];
	unsigned line; /* of its head; 0: not there */
};

struct reader {
	const char *file;
	struct span wanted;
	char *why;
	unsigned line;
	bool begun;           /* a section has begun */
	struct section *into; /* the section we are in, if it counts */
	struct section chosen, fallback;
	struct buf list; /* names of the profiles, for a sentence */
	size_t n_list;
};

const char *profile_key_name(enum profile_key key)
{
	return names[key];
}

/* --- what may be a value ---------------------------------------------------
 */

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Words separated by at least four dots or colons; all but the first and the
 * last may be empty. */
bool profile_is_ocid(struct span text)
{
	size_t separators = 0;

	if (text.len == 0 || text.len > PROFILE_OCID_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '.' || text.at[i] == ':')
			separators++;
		else if (!is_word(text.at[i]))
			return false;
	}
	return separators >= 4 && is_word(text.at[0]) &&
	       is_word(text.at[text.len - 1]);
}

bool profile_is_fingerprint(struct span text)
{
	if (text.len != PROFILE_FINGERPRINT)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (i % 3 == 2 ? c != ':'
		               : !((c >= '0' && c <= '9') ||
		                   (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

bool profile_path(struct span text, struct span home,
                  char out[PROFILE_PATH_MAX])
{
	struct span head = { 0 };

	if (text.len == 0 || memchr(text.at, '\0', text.len))
		return false;
	if (text.at[0] == '~') {
		if (home.len == 0 || (text.len > 1 && text.at[1] != '/'))
			return false;
		head = home;
		text = span_from(text, 1);
	}
	if (head.len + text.len >= PROFILE_PATH_MAX)
		return false;
	if (head.len)
		memcpy(out, head.at, head.len);
	if (text.len)
		memcpy(out + head.len, text.at, text.len);
	out[head.len + text.len] = '\0';
	return true;
}

/* --- lines -----------------------------------------------------------------
 */

static PRINTF(2, 3) enum profile_result
	wrong(struct reader *r, const char *format, ...)
{
	va_list args;
	int n = snprintf(r->why, PROFILE_WHY_MAX, "%.300s, line %u: ", r->file,
	                 r->line);

	va_start(args, format);
	vsnprintf(r->why + n, PROFILE_WHY_MAX - (size_t)n, format, args);
	va_end(args);
	return PROFILE_SYNTAX;
}

static bool is_comment(struct span line)
{
	return line.len == 0 || line.at[0] == '#' || line.at[0] == ';';
}

static void remember(struct reader *r, struct span name)
{
	if (r->n_list++ < SHOWN_PROFILES) {
		if (r->list.len)
			buf_puts(&r->list, ", ");
		buf_add_span(&r->list, name);
	}
}

static enum profile_result read_section(struct reader *r, struct span line)
{
	struct span rest;
	size_t end = span_find(line, ']');

	if (end == line.len)
		return wrong(r, "a section's name has no closing bracket.");
	rest = span_trim(span_from(line, end + 1));
	if (!is_comment(rest))
		return wrong(r, "there is something behind the closing "
		                "bracket of a section's name.");
	line = span_trim(span_of(line.at + 1, end - 1));
	if (line.len == 0 || line.len > PROFILE_NAME_MAX)
		return wrong(r, "a section's name has 1 to %d bytes.",
		             PROFILE_NAME_MAX);

	r->begun = true;
	r->into = span_eq(line, r->wanted)      ? &r->chosen
	          : span_eq(line, DEFAULT_NAME) ? &r->fallback
	                                        : NULL;
	remember(r, line);
	if (!r->into)
		return PROFILE_OK;
	if (r->into->line)
		return wrong(r,
		             "the profile [%.*s] is there a second time; it "
		             "begins in line %u. Join the two or rename one.",
		             SPAN_ARG(line), r->into->line);
	r->into->line = r->line;
	return PROFILE_OK;
}

static size_t find_delimiter(struct span line)
{
	return MIN(span_find(line, '='), span_find(line, ':'));
}

static enum profile_result read_value(struct reader *r, enum profile_key key,
                                      struct span value)
{
	struct section *s = r->into;

	if (s->lines[key])
		return wrong(r,
		             "%s is there a second time; the first is in line "
		             "%u.",
		             names[key], s->lines[key]);
	if (value.len > PROFILE_VALUE_MAX)
		return wrong(r, "the value of %s is longer than %d bytes.",
		             names[key], PROFILE_VALUE_MAX);
	s->lines[key] = r->line;
	s->values[key] = value;
	return PROFILE_OK;
}

static enum profile_result read_pair(struct reader *r, struct span line)
{
	size_t at = find_delimiter(line);
	struct span key = span_trim(span_first(line, at));
	struct span value = span_trim(span_from(line, at + 1));

	if (at == line.len || key.len == 0)
		return wrong(r, "this is neither [profile] nor key = value nor "
		                "a comment.");
	if (!r->begun)
		return wrong(r, "there is a key before the first section; "
		                "write [DEFAULT] above it.");
	if (!r->into)
		return PROFILE_OK;
	if (span_eq_nocase(key, SPAN("key_content"))) {
		wrong(r, "key_content may not be in a file; write the key to "
		         "a file of its own and name that with key_file.");
		return PROFILE_FORBIDDEN;
	}
	for (unsigned i = 0; i < PROFILE_KEYS; i++)
		if (span_eq_nocase(key, span_str(names[i])))
			return read_value(r, (enum profile_key)i, value);
	return PROFILE_OK;
}

static enum profile_result read_line(struct reader *r, struct span line)
{
	if (++r->line > PROFILE_LINES_MAX)
		return wrong(r, "the file has more than %d lines.",
		             PROFILE_LINES_MAX);
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.at[i] < 0x20 && line.at[i] != '\t')
			return wrong(r, "there is a control character; is this "
			                "a text file?");
	line = span_trim(line);
	if (is_comment(line))
		return PROFILE_OK;
	return line.at[0] == '[' ? read_section(r, line) : read_pair(r, line);
}

static enum profile_result read_lines(struct reader *r, struct span text)
{
	if (span_starts(text, BYTE_ORDER))
		text = span_from(text, BYTE_ORDER.len);
	while (text.len) {
		size_t end = span_find(text, '\n');
		enum profile_result result =
			read_line(r, span_first(text, end));

		if (result != PROFILE_OK)
			return result;
		text = span_from(text, end + 1);
	}
	return PROFILE_OK;
}

/* --- the choice ------------------------------------------------------------
 */

static enum profile_result unknown(struct reader *r)
{
	struct span list = buf_span(&r->list);

	if (list.len == 0)
		snprintf(r->why, PROFILE_WHY_MAX,
		         "%.300s has no profile [%.*s]: it has none at all.",
		         r->file, SPAN_ARG(r->wanted));
	else
		snprintf(r->why, PROFILE_WHY_MAX,
		         "%.300s has no profile [%.*s]. It has: %.*s%s.",
		         r->file, SPAN_ARG(r->wanted), SPAN_ARG(list),
		         r->n_list > SHOWN_PROFILES ? ", ..." : "");
	return PROFILE_UNKNOWN;
}

static void choose(const struct reader *r, struct profile *out)
{
	for (size_t i = 0; i < PROFILE_KEYS; i++) {
		const struct section *from =
			r->chosen.lines[i] ? &r->chosen : &r->fallback;

		out->values[i] = from->values[i];
		out->lines[i] = from->lines[i];
	}
}

enum profile_result profile_parse(struct span text, const char *file,
                                  struct span name, struct profile *out,
                                  char why[PROFILE_WHY_MAX])
{
	struct reader r = { .file = file,
		            .wanted = span_first(name, PROFILE_NAME_MAX),
		            .why = why,
		            .list = { .max = SHOWN_PROFILES *
		                             (PROFILE_NAME_MAX + 2) } };
	enum profile_result result;

	memset(out, 0, sizeof(*out));
	why[0] = '\0';
	out->text.max = PROFILE_FILE_MAX;
	if (text.len > PROFILE_FILE_MAX) {
		snprintf(why, PROFILE_WHY_MAX,
		         "%.300s is larger than %d bytes.", file,
		         PROFILE_FILE_MAX);
		return PROFILE_SYNTAX;
	}
	buf_add_span(&out->text, text);
	if (buf_err(&out->text)) {
		snprintf(why, PROFILE_WHY_MAX, "Out of memory.");
		return PROFILE_NO_MEMORY;
	}
	result = read_lines(&r, buf_span(&out->text));
	if (result == PROFILE_OK && !r.chosen.line &&
	    !span_eq(r.wanted, DEFAULT_NAME))
		result = unknown(&r);
	if (result == PROFILE_OK)
		choose(&r, out);
	buf_free(&r.list);
	return result;
}

static bool names_file(struct span key)
{
	static const enum profile_key keys[] = {
		PROFILE_KEY_FILE,
		PROFILE_SECURITY_TOKEN_FILE,
		PROFILE_DELEGATION_TOKEN_FILE,
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (span_eq_nocase(key, span_str(names[keys[i]])))
			return true;
	return false;
}

void profile_files(struct span text, void (*fn)(void *owner, struct span path),
                   void *owner)
{
	while (text.len) {
		size_t end = span_find(text, '\n');
		struct span line = span_first(text, end);

		text = span_from(text, end + 1);
		if (line.len && line.at[line.len - 1] == '\r')
			line.len--;

		size_t at = find_delimiter(line);
		struct span value = span_trim(span_from(line, at + 1));
		if (value.len && names_file(span_trim(span_first(line, at))))
			fn(owner, value);
	}
}

void profile_fini(struct profile *p)
{
	if (p->text.bytes)
		crypto_wipe(p->text.bytes, p->text.cap);
	buf_free(&p->text);
	memset(p, 0, sizeof(*p));
}
