#include "lib/media.h"

#include "lib/items.h"

/* The range that decides so far. */
struct verdict {
	bool any;     /* there was a range at all */
	int detail;   /* 0 nothing matched, 1 any type, 2 type, 3 subtype */
	bool allowed; /* q is not 0 */
};

/* Is this the q of 0 that means "not acceptable" (section 12.4.2)? */
static bool is_zero(struct span q)
{
	if (q.len == 0 || *q.at != '0')
		return false;
	for (size_t i = 1; i < q.len; i++)
		if (q.at[i] != (i == 1 ? '.' : '0'))
			return false;
	return true;
}

static bool has_zero_weight(struct span parameters)
{
	while (parameters.len) {
		struct span value = items_next(&parameters, ';');
		struct span name = items_next(&value, '=');

		if (span_eq_nocase(name, SPAN("q")))
			return is_zero(span_trim(value));
	}
	return false;
}

static int match_detail(struct span range, struct span type,
                        struct span subtype)
{
	struct span head = items_next(&range, '/');
	struct span tail = range;

	if (span_eq_nocase(head, type))
		return span_eq_nocase(tail, subtype) ? 3
		       : span_eq(tail, SPAN("*"))    ? 2
		                                     : 0;
	return span_eq(head, SPAN("*")) && span_eq(tail, SPAN("*"));
}

static void judge(struct verdict *verdict, struct span accept, struct span type,
                  struct span subtype)
{
	while (accept.len) {
		struct span item = items_next(&accept, ',');
		struct span range = items_next(&item, ';');
		int detail = match_detail(range, type, subtype);
		bool allowed = !has_zero_weight(item);

		verdict->any |= range.len > 0;
		if (detail == 0 || detail < verdict->detail)
			continue;
		if (detail > verdict->detail)
			verdict->allowed = false;
		verdict->detail = detail;
		verdict->allowed |= allowed;
	}
}

bool media_accepts(struct span accept, struct span type, struct span subtype)
{
	struct verdict verdict = { 0 };

	judge(&verdict, accept, type, subtype);
	return !verdict.any || verdict.allowed;
}

bool media_head_accepts(const struct h1_head *head, struct span type,
                        struct span subtype)
{
	struct verdict verdict = { 0 };

	for (size_t i = 0; head->seen[H1_ACCEPT] && i < head->n_fields; i++)
		if (head->fields[i].known == H1_ACCEPT)
			judge(&verdict, head->fields[i].value, type, subtype);
	return !verdict.any || verdict.allowed;
}

bool media_type_is(struct span content_type, struct span type)
{
	return span_eq_nocase(items_next(&content_type, ';'), type);
}

bool media_charset_ok(struct span content_type)
{
	items_next(&content_type, ';');
	while (content_type.len) {
		struct span value = items_next(&content_type, ';');
		struct span name = items_next(&value, '=');

		value = span_trim(value);
		if (value.len > 1 && value.at[0] == '"' &&
		    value.at[value.len - 1] == '"')
			value = span_of(value.at + 1, value.len - 2);
		if (span_eq_nocase(name, SPAN("charset")) &&
		    !span_eq_nocase(value, SPAN("utf-8")) &&
		    !span_eq_nocase(value, SPAN("utf8")))
			return false;
	}
	return true;
}
