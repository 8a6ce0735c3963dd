#include "proxy/mirror.h"

#include "lib/value.h"

static const struct span param_prefix = { "mcp-param-", 10 };

static struct span mirror_value(const struct snapshot *snap,
                                const struct mirror *m, struct span arguments)
{
	struct span path = snapshot_text(snap, m->path);
	struct span value = arguments;

	while (path.len) {
		size_t n = span_find(path, '\0');

		if (value_type(value) != VALUE_OBJECT)
			return span_of(NULL, 0);
		value = value_get(value, span_first(path, n));
		path = span_from(path, n + 1);
	}
	return value_type(value) == VALUE_NULL ? span_of(NULL, 0) : value;
}

static const struct mirror *mirrors(const struct snapshot *snap,
                                    const struct entry *e, uint32_t *n)
{
	*n = e ? e->mirrors.len : 0;
	return e ? snapshot_array(snap, e->mirrors) : NULL;
}

/* Integers compare as numbers: 42.0 in the head equals 42 in the body. */
static bool same_integer(struct span head, struct span body)
{
	size_t dot = span_find(head, '.');
	struct span zeros = span_from(head, dot + 1);

	if (dot < head.len && zeros.len == 0)
		return false;
	for (size_t i = 0; i < zeros.len; i++)
		if (zeros.at[i] != '0')
			return false;
	return span_eq(span_first(head, dot), body);
}

static bool same_value(const struct mirror *m, struct span head,
                       struct span body)
{
	if (m->type == MIRROR_STRING)
		return value_string_eq(body, head);
	if (m->type == MIRROR_INTEGER)
		return same_integer(head, body);
	return span_eq(head, body);
}

static bool check_mirror(const struct snapshot *snap, const struct mirror *m,
                         const struct h1_head *head, struct span arguments,
                         struct problem *why)
{
	struct span name = snapshot_text(snap, m->field);
	struct span body = mirror_value(snap, m, arguments);
	struct span value = { NULL, 0 };
	char room[MESSAGE_URI_MAX];
	unsigned seen = 0;

	for (size_t i = 0; i < head->n_fields; i++) {
		struct span f = head->fields[i].name;

		if (f.len == param_prefix.len + name.len &&
		    span_eq_nocase(span_first(f, param_prefix.len),
		                   param_prefix) &&
		    span_eq_nocase(span_from(f, param_prefix.len), name)) {
			value = head->fields[i].value;
			seen++;
		}
	}
	if (seen == 0 && !body.at)
		return true;
	if (seen == 1 && body.at && value.len <= sizeof(room) &&
	    message_unsentinel(value, room, &value) &&
	    same_value(m, value, body))
		return true;
	problem_set(why, 400, RPC_HEADER_MISMATCH,
	            "Header mismatch: Mcp-Param-%.*s must repeat the argument "
	            "it mirrors, once, and be absent when that is",
	            SPAN_ARG(span_first(name, 64)));
	return false;
}

bool mirror_check(const struct snapshot *snap, const struct entry *entry,
                  const struct h1_head *head, struct span arguments,
                  struct problem *why)
{
	uint32_t n;
	const struct mirror *m = mirrors(snap, entry, &n);

	for (uint32_t i = 0; i < n; i++)
		if (!check_mirror(snap, &m[i], head, arguments, why))
			return false;
	return true;
}

void mirror_add(const struct snapshot *snap, const struct entry *entry,
                struct span arguments, struct buf *out)
{
	uint32_t n;
	const struct mirror *m = mirrors(snap, entry, &n);

	for (uint32_t i = 0; i < n; i++) {
		struct span body = mirror_value(snap, &m[i], arguments);
		char room[MESSAGE_URI_MAX];
		int len = 0;

		if (!body.at)
			continue;
		buf_puts(out, "Mcp-Param-");
		buf_add_span(out, snapshot_text(snap, m[i].field));
		buf_puts(out, ": ");
		if (value_type(body) == VALUE_STRING)
			len = value_string(body, room, sizeof(room));
		if (len > 0)
			message_sentinel(span_of(room, (size_t)len), out);
		else if (value_type(body) != VALUE_STRING)
			message_sentinel(body, out);
		buf_puts(out, "\r\n");
	}
}

static bool mirrored(const struct snapshot *snap, const struct entry *entry,
                     struct span param)
{
	uint32_t n;
	const struct mirror *m = mirrors(snap, entry, &n);

	for (uint32_t i = 0; i < n; i++)
		if (span_eq_nocase(snapshot_text(snap, m[i].field), param))
			return true;
	return false;
}

void mirror_add_others(const struct snapshot *snap, const struct entry *entry,
                       const struct h1_head *head, struct buf *out)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct h1_field *f = &head->fields[i];

		if (f->name.len <= param_prefix.len ||
		    !span_eq_nocase(span_first(f->name, param_prefix.len),
		                    param_prefix) ||
		    mirrored(snap, entry, span_from(f->name, param_prefix.len)))
			continue;
		buf_add_span(out, f->name);
		buf_puts(out, ": ");
		buf_add_span(out, f->value);
		buf_puts(out, "\r\n");
	}
}
