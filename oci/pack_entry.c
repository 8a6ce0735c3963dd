#include "oci/pack_entry.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/text.h"
#include "oci/nearest.h"

static void report(struct pack_reader *r, struct json_place place,
                   const char *fmt, va_list ap)
{
	char reason[PACK_REASON_MAX];
	struct pack_defect defect = {
		.file = r->file,
		.place = place,
		.tool = r->tool,
		.reason = reason,
	};

	vsnprintf(reason, sizeof(reason), fmt, ap);
	if (place.line)
		defect.place.line += r->line;
	r->failed = true;
	r->defects++;
	if (r->rules->report)
		r->rules->report(r->rules->owner, &defect);
}

void pack_entry_complain(struct pack_reader *r, struct json_value at,
                         const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, json_place(at), fmt, ap);
	va_end(ap);
}

void pack_entry_complain_key(struct pack_reader *r, struct json_value member,
                             const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, json_key_place(member), fmt, ap);
	va_end(ap);
}

/* "a string or an array" */
static void name_types(uint32_t types, char *out, size_t cap)
{
	const char * or = "";
	size_t len = 0;

	out[0] = '\0';
	for (unsigned t = JSON_NULL; t <= JSON_OBJECT; t++) {
		if (!(types & PACK_IS(t)) || len >= cap)
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%s", or,
		                        json_type_name((enum json_type)t));
		or = " or ";
	}
}

static const struct pack_member *find(const struct pack_member *members,
                                      size_t n, struct span name)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(name, members[i].name))
			return &members[i];
	return NULL;
}

static void complain_unknown(struct pack_reader *r, struct json_value value,
                             const char *what,
                             const struct pack_member *members, size_t n)
{
	struct nearest nearest = { .word = json_key(value) };

	for (size_t i = 0; i < n; i++)
		nearest_look(&nearest, span_str(members[i].name));
	if (nearest.best.len)
		pack_entry_complain_key(
			r, value,
			"\"%.64s\" is no member of %s; is \"%.*s\" meant?",
			nearest.word.at, what, SPAN_ARG(nearest.best));
	else
		pack_entry_complain_key(r, value,
		                        "\"%.64s\" is no member of %s",
		                        nearest.word.at, what);
}

static bool has_type(struct pack_reader *r, struct json_value value,
                     const struct pack_member *member)
{
	char types[128];

	if (member->types == 0 || member->types & PACK_IS(json_type(value)))
		return true;
	name_types(member->types, types, sizeof(types));
	pack_entry_complain(r, value, "\"%s\" must be %s, not %s", member->name,
	                    types, json_type_name(json_type(value)));
	return false;
}

bool pack_entry_members(struct pack_reader *r, struct json_value object,
                        const char *what, const struct pack_member *members,
                        size_t n)
{
	bool good = true;
	struct json_value m;

	if (json_type(object) != JSON_OBJECT) {
		pack_entry_complain(r, object, "%s must be an object, not %s",
		                    what, json_type_name(json_type(object)));
		return false;
	}
	for (m = json_first(object); json_exists(m); m = json_next(m)) {
		const struct pack_member *known = find(members, n, json_key(m));

		if (known) {
			good &= has_type(r, m, known);
			continue;
		}
		complain_unknown(r, m, what, members, n);
		good = false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!members[i].required ||
		    json_exists(json_get(object, members[i].name)))
			continue;
		pack_entry_complain(r, object, "%s must have \"%s\"", what,
		                    members[i].name);
		good = false;
	}
	return good;
}

bool pack_entry_name(struct pack_reader *r, struct json_value at,
                     struct span name, const char *what)
{
	bool good = name.len > 0 && name.len <= PACK_NAME_MAX;

	for (size_t i = 0; i < name.len && good; i++) {
		char c = name.at[i];

		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		       c == '_';
	}
	if (!good)
		pack_entry_complain(
			r, at, "%s is 1 to %d of the characters a-z, 0-9 and _",
			what, PACK_NAME_MAX);
	return good;
}

void pack_entry_compact(struct buf *out, struct span raw)
{
	const char *at = raw.at, *end = raw.at + raw.len;

	while (at < end) {
		const char *from = at;
		bool quoted = *at == '"';

		if (text_is_space(*at)) {
			at = text_skip_space(at, end);
			continue;
		}
		at++;
		while (quoted && at < end && *at != '"')
			at += *at == '\\' ? 2 : 1;
		at += quoted;
		buf_add(out, from, (size_t)(at - from));
	}
}

void pack_entry_member(struct buf *out, const char *name)
{
	char last = out->len ? out->bytes[out->len - 1] : '{';

	if (last != '{' && last != '[')
		buf_putc(out, ',');
	buf_addf(out, "\"%s\":", name);
}
