#include "proxy/publish.h"

#include "lib/value.h"
#include "proxy/message.h"
#include "proxy/uri.h"

/* What a value is. Of an array: each of its elements. */
enum shape {
	OTHER = PUBLISH_NOTHING,
	TOOL = PUBLISH_TOOL, /* results, whole */
	PROMPT = PUBLISH_PROMPT,
	READ = PUBLISH_READ,
	TASK = PUBLISH_TASK,
	MESSAGE,  /* of a prompt */
	BLOCK,    /* of content */
	RESOURCE, /* with what is in it */
	EMBEDDED, /* the same, in content */
	META,
	APP,
	URI, /* and from here on strings */
	LINK,
	PAGE,
	TASK_ID,
	TYPE,
};

static const struct {
	struct span key;
	enum shape in, is;
} members[] = {
	{ SPAN_INIT("content"), TOOL, BLOCK },
	{ SPAN_INIT("_meta"), TOOL, META },
	{ SPAN_INIT("messages"), PROMPT, MESSAGE },
	{ SPAN_INIT("_meta"), PROMPT, META },
	{ SPAN_INIT("contents"), READ, RESOURCE },
	{ SPAN_INIT("_meta"), READ, META },
	{ SPAN_INIT("taskId"), TASK, TASK_ID },
	{ SPAN_INIT("resultType"), TASK, TYPE },
	{ SPAN_INIT("result"), TASK, TOOL },
	{ SPAN_INIT("_meta"), TASK, META },
	{ SPAN_INIT("content"), MESSAGE, BLOCK },
	{ SPAN_INIT("uri"), BLOCK, LINK },
	{ SPAN_INIT("resource"), BLOCK, EMBEDDED },
	{ SPAN_INIT("_meta"), BLOCK, META },
	{ SPAN_INIT("uri"), EMBEDDED, LINK },
	{ SPAN_INIT("_meta"), EMBEDDED, META },
	{ SPAN_INIT("uri"), RESOURCE, URI },
	{ SPAN_INIT("_meta"), RESOURCE, META },
	{ SPAN_INIT("ui"), META, APP },
	{ SPAN_INIT("ui/resourceUri"), META, PAGE },
	{ SPAN_INIT("resourceUri"), APP, PAGE },
};

static enum shape shape_of(enum shape in, struct span key)
{
	struct span plain;

	if (!value_string_plain(key, &plain))
		return OTHER;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].in == in && span_eq(members[i].key, plain))
			return members[i].is;
	return OTHER;
}

/* Schemes that lead there without us. */
static bool leads_itself(struct span uri)
{
	static const struct span schemes[] = { SPAN_INIT("http:"),
		                               SPAN_INIT("https:"),
		                               SPAN_INIT("data:") };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (span_eq_nocase(span_first(uri, schemes[i].len), schemes[i]))
			return true;
	return false;
}

/* Is this URI one that clients know by another name? */
static bool is_ours(enum shape is, struct span uri)
{
	if (is == PAGE)
		return uri_is_app(uri);
	return uri.len &&
	       (is == URI || (uri_has_scheme(uri) && !leads_itself(uri)));
}

static void add_uri(const struct publish *how, enum shape is, struct span value,
                    struct buf *out)
{
	struct buf made = { .max = 2 * MESSAGE_URI_MAX };
	char uri[MESSAGE_URI_MAX];
	int n = how->identifier.len ? value_string(value, uri, sizeof(uri))
	                            : -1;

	if (n < 0 || !is_ours(is, span_of(uri, (size_t)n))) {
		buf_add_span(out, value);
		return;
	}
	uri_make_public(how->identifier, span_of(uri, (size_t)n), &made);
	buf_add_json(out, buf_span(&made));
	buf_free(&made);
}

static void add_value(const struct publish *how, enum shape is,
                      struct span value, struct buf *out);

/* The table has no circle, so this ends. */
static void add_object(const struct publish *how, enum shape in,
                       struct span object, struct buf *out)
{
	struct value_iter it;
	struct span key, value;
	bool first = true;

	buf_putc(out, '{');
	value_iter_init(&it, object);
	while (value_object_next(&it, &key, &value)) {
		buf_puts(out, first ? "" : ",");
		first = false;
		buf_add_span(out, key);
		buf_putc(out, ':');
		add_value(how, shape_of(in, key), value, out);
	}
	buf_putc(out, '}');
}

/* Arrays inside arrays are nothing of ours. */
static void add_array(const struct publish *how, enum shape of,
                      struct span array, struct buf *out)
{
	struct value_iter it;
	struct span value;
	bool first = true;

	buf_putc(out, '[');
	value_iter_init(&it, array);
	while (value_array_next(&it, &value)) {
		buf_puts(out, first ? "" : ",");
		first = false;
		if (value_type(value) == VALUE_OBJECT)
			add_object(how, of, value, out);
		else
			buf_add_span(out, value);
	}
	buf_putc(out, ']');
}

static void add_value(const struct publish *how, enum shape is,
                      struct span value, struct buf *out)
{
	enum value_type type = value_type(value);

	if (is == TASK_ID)
		buf_add_span(out, how->task);
	else if (is == TYPE && how->complete)
		buf_puts(out, "\"complete\"");
	else if (is >= URI && type == VALUE_STRING && is < TASK_ID)
		add_uri(how, is, value, out);
	else if (is != OTHER && is < URI && type == VALUE_OBJECT)
		add_object(how, is, value, out);
	else if (is != OTHER && is < URI && type == VALUE_ARRAY)
		add_array(how, is, value, out);
	else
		buf_add_span(out, value);
}

static bool has(struct span text, struct span word)
{
	return text.len && memmem(text.at, text.len, word.at, word.len);
}

bool publish_concerns(const struct publish *how, struct span result)
{
	if (how->kind == PUBLISH_TASK)
		return true;
	return how->kind != PUBLISH_NOTHING && how->identifier.len &&
	       (has(result, SPAN("\"uri\"")) ||
	        has(result, SPAN("esourceUri\"")));
}

void publish_member(const struct publish *how, struct span key,
                    struct span value, struct buf *out)
{
	add_value(how, shape_of((enum shape)how->kind, key), value, out);
}
