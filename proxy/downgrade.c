#include "proxy/downgrade.h"

#include "lib/value.h"
#include "proxy/sealed.h"

/* The inside of a raw string, escapes and all; empty when it is none. */
static struct span inside(struct span raw)
{
	if (value_type(raw) != VALUE_STRING)
		return span_of("", 0);
	return span_of(raw.at + 1, raw.len - 2);
}

/* Append a member of an object that is being written. */
static void add_member(struct buf *out, bool *first, struct span key,
                       struct span value)
{
	buf_puts(out, *first ? "" : ",");
	*first = false;
	buf_add_span(out, key);
	buf_putc(out, ':');
	buf_add_span(out, value);
}

/* ---- results ---- */

struct rewriting {
	struct buf *out;
	bool changed;
};

/*
 * A link as text: "name: URI", and the description in the next line. Strings
 * are put together as they were written; all of them are valid.
 */
static void add_link(struct rewriting *w, struct span block)
{
	struct span name = inside(value_get(block, SPAN("name")));
	struct span description = inside(value_get(block, SPAN("description")));
	struct span annotations = value_get(block, SPAN("annotations"));
	bool first = false;

	w->changed = true;
	buf_puts(w->out, "{\"type\":\"text\",\"text\":\"");
	buf_add_span(w->out, name);
	buf_puts(w->out, name.len ? ": " : "");
	buf_add_span(w->out, inside(value_get(block, SPAN("uri"))));
	buf_puts(w->out, description.len ? "\\n" : "");
	buf_add_span(w->out, description);
	buf_putc(w->out, '"');
	if (annotations.at)
		add_member(w->out, &first, SPAN("\"annotations\""),
		           annotations);
	buf_putc(w->out, '}');
}

static void add_block(struct rewriting *w, struct span block)
{
	if (value_string_eq(value_get(block, SPAN("type")),
	                    SPAN("resource_link")))
		add_link(w, block);
	else
		buf_add_span(w->out, block);
}

static void add_array(struct rewriting *w, struct span array,
                      void (*add)(struct rewriting *w, struct span element))
{
	struct value_iter it;
	struct span element;
	bool first = true;

	buf_putc(w->out, '[');
	value_iter_init(&it, array);
	while (value_array_next(&it, &element)) {
		buf_puts(w->out, first ? "" : ",");
		first = false;
		add(w, element);
	}
	buf_putc(w->out, ']');
}

/* A message of prompts/get; its content is one block. */
static void add_message(struct rewriting *w, struct span message)
{
	struct value_iter it;
	struct span key, value;
	bool first = true;

	if (value_type(message) != VALUE_OBJECT) {
		buf_add_span(w->out, message);
		return;
	}
	buf_putc(w->out, '{');
	value_iter_init(&it, message);
	while (value_object_next(&it, &key, &value)) {
		if (!value_string_eq(key, SPAN("content"))) {
			add_member(w->out, &first, key, value);
			continue;
		}
		add_member(w->out, &first, key, span_of("", 0));
		add_block(w, value);
	}
	buf_putc(w->out, '}');
}

/* How the array of a result that has blocks in it is written. */
static void (*find_add(enum method_id method, struct span key,
                       struct span value))(struct rewriting *, struct span)
{
	if (value_type(value) != VALUE_ARRAY)
		return NULL;
	if (method == METHOD_TOOLS_CALL &&
	    value_string_eq(key, SPAN("content")))
		return add_block;
	if (method == METHOD_PROMPTS_GET &&
	    value_string_eq(key, SPAN("messages")))
		return add_message;
	return NULL;
}

static bool dropped(enum revision to, enum method_id method, struct span key,
                    struct span value)
{
	return method == METHOD_TOOLS_CALL &&
	       value_string_eq(key, SPAN("structuredContent")) &&
	       (!downgrade_structured(to) || value_type(value) != VALUE_OBJECT);
}

/* Found out without writing anything, for the most frequent cases. */
static bool may_change(enum revision to, enum method_id method,
                       struct span result)
{
	if (!downgrade_structured(to))
		return method == METHOD_TOOLS_CALL ||
		       method == METHOD_PROMPTS_GET;
	return method == METHOD_TOOLS_CALL &&
	       value_get(result, SPAN("structuredContent")).at;
}

struct span downgrade_result(enum revision to, enum method_id method,
                             struct span result, struct buf *out)
{
	struct rewriting w = { .out = out };
	struct value_iter it;
	struct span key, value;
	bool first = true;

	if (!may_change(to, method, result))
		return result;
	buf_reset(out);
	buf_putc(out, '{');
	value_iter_init(&it, result);
	while (value_object_next(&it, &key, &value)) {
		void (*add)(struct rewriting *, struct span) =
			to == REVISION_2025_03_26 ? find_add(method, key, value)
						  : NULL;

		if (dropped(to, method, key, value)) {
			w.changed = true;
			continue;
		}
		add_member(out, &first, key, add ? span_of("", 0) : value);
		if (add)
			add_array(&w, value, add);
	}
	buf_putc(out, '}');
	return w.changed ? buf_span(out) : result;
}

/* ---- lists ---- */

void downgrade_tool(struct span tool, struct buf *out)
{
	struct value_iter it;
	struct span key, value;
	bool first = true;

	buf_putc(out, '{');
	value_iter_init(&it, tool);
	while (value_object_next(&it, &key, &value))
		if (!value_string_eq(key, SPAN("outputSchema")))
			add_member(out, &first, key, value);
	buf_putc(out, '}');
}

/* ---- errors ---- */

void downgrade_url_error(struct span message, struct span data, struct buf *out)
{
	struct span list = value_get(data, SPAN("elicitations"));
	struct value_iter it;
	struct span one;

	buf_putc(out, '"');
	buf_add_span(out, inside(message));
	value_iter_init(&it,
	                value_type(list) == VALUE_ARRAY ? list : SPAN("[]"));
	while (value_array_next(&it, &one)) {
		struct span text = inside(value_get(one, SPAN("message")));
		struct span url = inside(value_get(one, SPAN("url")));

		if (url.len == 0)
			continue;
		buf_puts(out, "\\n");
		buf_add_span(out, text);
		buf_puts(out, text.len ? ": " : "");
		buf_add_span(out, url);
	}
	buf_putc(out, '"');
}

/* ---- what may be asked ---- */

uint32_t downgrade_abilities(enum revision of, uint32_t abilities)
{
	static const uint32_t known[REVISIONS] = {
		[REVISION_2025_03_26] =
			CLIENT_ROOTS | CLIENT_SAMPLING | CLIENT_UI,
		[REVISION_2025_06_18] = CLIENT_ROOTS | CLIENT_SAMPLING |
		                        CLIENT_FORM | CLIENT_UI,
		[REVISION_2025_11_25] = UINT32_MAX,
		[REVISION_2026_07_28] = UINT32_MAX,
	};

	return abilities & known[of];
}
