#include "proxy/question.h"

#include "lib/value.h"
#include "proxy/sealed.h"

static const struct {
	struct span method, capability;
	uint32_t ability;
} kinds[QUESTION_KINDS] = {
	[QUESTION_FORM] = { { "elicitation/create", 18 },
	                    { "{\"elicitation\":{\"form\":{}}}", 27 },
	                    CLIENT_FORM },
	[QUESTION_URL] = { { "elicitation/create", 18 },
	                   { "{\"elicitation\":{\"url\":{}}}", 26 },
	                   CLIENT_URL },
	[QUESTION_SAMPLING] = { { "sampling/createMessage", 22 },
	                        { "{\"sampling\":{}}", 15 },
	                        CLIENT_SAMPLING },
	[QUESTION_ROOTS] = { { "roots/list", 10 },
	                     { "{\"roots\":{}}", 12 },
	                     CLIENT_ROOTS },
};

enum question_kind question_kind(struct span method, struct span params)
{
	enum question_kind kind = 0;

	while (kind < QUESTION_KINDS &&
	       !value_string_eq(method, kinds[kind].method))
		kind++;
	if (kind == QUESTION_FORM && value_type(params) == VALUE_OBJECT &&
	    value_string_eq(value_get(params, SPAN("mode")), SPAN("url")))
		kind = QUESTION_URL;
	return kind;
}

bool question_allowed(enum question_kind kind, struct span params,
                      uint32_t abilities)
{
	if (kind >= QUESTION_KINDS || !(abilities & kinds[kind].ability))
		return false;
	if (kind != QUESTION_SAMPLING || value_type(params) != VALUE_OBJECT)
		return true;
	return (abilities & CLIENT_TOOLS) ||
	       (!value_get(params, SPAN("tools")).at &&
	        !value_get(params, SPAN("toolChoice")).at);
}

struct span question_capability(enum question_kind kind)
{
	assert(kind < QUESTION_KINDS);
	return kinds[kind].capability;
}

bool question_all_allowed(struct span requests, uint32_t abilities)
{
	struct value_iter it;
	struct span key, value;

	if (!requests.at)
		return true;
	if (value_type(requests) != VALUE_OBJECT)
		return false;
	value_iter_init(&it, requests);
	while (value_object_next(&it, &key, &value)) {
		struct span method = value_get(value, SPAN("method"));
		struct span params = value_get(value, SPAN("params"));

		if (!question_allowed(question_kind(method, params), params,
		                      abilities))
			return false;
	}
	return true;
}

struct span question_method(enum question_kind kind)
{
	assert(kind < QUESTION_KINDS);
	return kinds[kind].method;
}

/* Members that a revision does not have. */
static bool dropped(enum question_kind kind, enum revision revision,
                    struct span key)
{
	bool elicitation = kind == QUESTION_FORM || kind == QUESTION_URL;

	if (revision == REVISION_2026_07_28)
		return value_string_eq(key, SPAN("task")) ||
		       (elicitation &&
		        (value_string_eq(key, SPAN("elicitationId")) ||
		         value_string_eq(key, SPAN("_meta"))));
	if (revision < REVISION_2025_11_25)
		return value_string_eq(key, SPAN("task")) ||
		       (elicitation && value_string_eq(key, SPAN("mode")));
	return false;
}

void question_params(enum question_kind kind, struct span params,
                     enum revision revision, struct span elicitation_id,
                     struct buf *out)
{
	struct value_iter it;
	struct span key, value;
	bool first = true;
	bool named = false;

	buf_putc(out, '{');
	if (value_type(params) == VALUE_OBJECT) {
		value_iter_init(&it, params);
		while (value_object_next(&it, &key, &value)) {
			if (dropped(kind, revision, key))
				continue;
			named = named ||
			        value_string_eq(key, SPAN("elicitationId"));
			buf_puts(out, first ? "" : ",");
			first = false;
			buf_add_span(out, key);
			buf_putc(out, ':');
			buf_add_span(out, value);
		}
	}
	if (kind == QUESTION_URL && revision == REVISION_2025_11_25 && !named &&
	    elicitation_id.len) {
		buf_puts(out,
		         first ? "\"elicitationId\":" : ",\"elicitationId\":");
		buf_add_json(out, elicitation_id);
	}
	buf_putc(out, '}');
}

/* The one block of an array; at NULL: there are others. */
static struct span only(struct span array)
{
	struct value_iter it;
	struct span block = { NULL, 0 }, more;

	value_iter_init(&it, array);
	if (!value_array_next(&it, &block) || value_array_next(&it, &more))
		return span_of(NULL, 0);
	return block;
}

bool question_result(enum question_kind kind, struct span result,
                     enum revision backend, struct buf *out)
{
	struct span content = value_get(result, SPAN("content"));
	struct span block;

	if (kind != QUESTION_SAMPLING || backend >= REVISION_2025_11_25 ||
	    value_type(content) != VALUE_ARRAY) {
		buf_add_span(out, result);
		return true;
	}
	block = only(content);
	if (!block.at)
		return false;
	buf_add(out, result.at, (size_t)(content.at - result.at));
	buf_add_span(out, block);
	buf_add_span(out, span_from(result, (size_t)(content.at - result.at) +
	                                            content.len));
	return true;
}

struct span question_declined(enum question_kind kind)
{
	return kind == QUESTION_FORM || kind == QUESTION_URL
	               ? SPAN("{\"action\":\"cancel\"}")
	               : span_of("", 0);
}
