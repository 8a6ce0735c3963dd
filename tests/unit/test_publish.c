#include "proxy/publish.h"

#include <criterion/criterion.h>

#include "lib/value.h"

/* A whole result, member by member. */
static void expect(const struct publish *how, const char *from, const char *to)
{
	struct buf out = { .max = 65536 };
	struct value_iter it;
	struct span key, value;

	value_iter_init(&it, span_str(from));
	while (value_object_next(&it, &key, &value)) {
		buf_puts(&out, out.len ? "," : "{");
		buf_add_span(&out, key);
		buf_putc(&out, ':');
		publish_member(how, key, value, &out);
	}
	buf_puts(&out, "}");
	cr_expect(span_is(buf_span(&out), to), "%s: %.*s", from,
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

#define B "\"uri\":\"x://b/r\""
#define R "\"uri\":\"x://r\""

static const struct {
	enum publish_kind kind;
	const char *from, *to; /* NULL: the same */
} rows[] = {
	/* where they are */
	{ PUBLISH_READ, "{\"contents\":[{" R ",\"text\":\"x\"}]}",
	  "{\"contents\":[{" B ",\"text\":\"x\"}]}" },
	{ PUBLISH_TOOL, "{\"content\":[{" R "},{\"resource\":{" R "}}]}",
	  "{\"content\":[{" B "},{\"resource\":{" B "}}]}" },
	{ PUBLISH_PROMPT, "{\"messages\":[{\"content\":{" R "}},{}]}",
	  "{\"messages\":[{\"content\":{" B "}},{}]}" },
	{ PUBLISH_PROMPT, "{\"messages\":[{\"content\":[{" R "}]}]}",
	  "{\"messages\":[{\"content\":[{" B "}]}]}" },
	{ PUBLISH_TOOL,
	  "{\"_meta\":{\"ui\":{\"resourceUri\":\"ui://p\",\"k\":[1]},"
	  "\"ui/resourceUri\":\"ui://q\"}}",
	  "{\"_meta\":{\"ui\":{\"resourceUri\":\"ui://b/p\",\"k\":[1]},"
	  "\"ui/resourceUri\":\"ui://b/q\"}}" },
	{ PUBLISH_READ, "{\"contents\":[{\"uri\":\"https://h/\"}]}",
	  "{\"contents\":[{\"uri\":\"https://b/h/\"}]}" },
	/* escapes of the value mean what they mean */
	{ PUBLISH_READ, "{\"contents\":[{\"uri\":\"x:\\/\\/\\u00e4\\\"\"}]}",
	  "{\"contents\":[{\"uri\":\"x://b/\xc3\xa4\\\"\"}]}" },
	/* where they are not */
	{ PUBLISH_NOTHING, "{\"contents\":[{" R "}],\"content\":[{" R "}]}",
	  NULL },
	{ PUBLISH_TOOL, "{\"contents\":[{" R "}],\"messages\":[{" R "}]}",
	  NULL },
	{ PUBLISH_READ, "{\"content\":[{" R "}],\"x\":{" R "}}", NULL },
	{ PUBLISH_TOOL, "{\"structuredContent\":{" R ",\"content\":[{" R "}]}}",
	  NULL },
	{ PUBLISH_TOOL, "{\"content\":[{\"x\":{" R "},\"text\":\"x://r\"}]}",
	  NULL },
	{ PUBLISH_TOOL, "{\"content\":[[{" R "}],7,null,{}]}", NULL },
	{ PUBLISH_TOOL, "{\"content\":[{\"\\u0075ri\":\"x://r\"}]}", NULL },
	{ PUBLISH_TOOL, "{\"taskId\":\"t\",\"resultType\":\"x\"}", NULL },
	/* what is none, or leads there itself */
	{ PUBLISH_TOOL,
	  "{\"content\":[{\"uri\":\"http://h\"},{\"uri\":\"HTTPS://h\"},"
	  "{\"uri\":\"data:,x\"},{\"uri\":\"no scheme\"},{\"uri\":\"\"},"
	  "{\"uri\":7},{\"uri\":[\"x://r\"]},{\"resource\":\"x://r\"}]}",
	  NULL },
	{ PUBLISH_TOOL,
	  "{\"_meta\":{\"ui\":{\"resourceUri\":\"x://r\"},"
	  "\"ui/resourceUri\":\"ui://\"}}",
	  NULL },
	/* tasks */
	{ PUBLISH_TASK,
	  "{\"taskId\":\"own\",\"resultType\":\"task\",\"status\":\"s\","
	  "\"result\":{\"content\":[{" R "}],\"taskId\":\"own\"},"
	  "\"content\":[{" R "}]}",
	  "{\"taskId\":\"PUBLIC\",\"resultType\":\"complete\","
	  "\"status\":\"s\",\"result\":{\"content\":[{" B "}],"
	  "\"taskId\":\"own\"},\"content\":[{" R "}]}" },
};

Test(publish, uris_and_ids)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct publish how = { .kind = rows[i].kind,
			               .identifier = SPAN("b"),
			               .task = SPAN("\"PUBLIC\""),
			               .complete = true };

		expect(&how, rows[i].from,
		       rows[i].to ? rows[i].to : rows[i].from);
		if (rows[i].to)
			cr_expect(
				publish_concerns(&how, span_str(rows[i].from)));
	}
}

/* Without a namespace URIs are public as they are. */
Test(publish, without_a_namespace)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct publish how = { .kind = rows[i].kind };

		if (how.kind == PUBLISH_TASK)
			continue;
		expect(&how, rows[i].from, rows[i].from);
		cr_expect_not(publish_concerns(&how, span_str(rows[i].from)));
	}
}

Test(publish, what_needs_no_work)
{
	struct publish how = { .kind = PUBLISH_TOOL, .identifier = SPAN("b") };

	cr_expect_not(publish_concerns(&how, SPAN("{\"content\":[]}")));
	cr_expect_not(publish_concerns(&how, SPAN("{\"a\":\"uri\\\"\"}")));
	cr_expect(publish_concerns(&how, SPAN("{\"resourceUri\":1}")));
	how.kind = PUBLISH_NOTHING;
	cr_expect_not(publish_concerns(&how, SPAN("{\"uri\":1}")));
	how.kind = PUBLISH_TASK;
	cr_expect(publish_concerns(&how, SPAN("{}")));
}

Test(publish, the_type_of_a_new_task_stays)
{
	struct publish how = { .kind = PUBLISH_TASK, .task = SPAN("\"P\"") };

	expect(&how, "{\"resultType\":\"task\",\"taskId\":5}",
	       "{\"resultType\":\"task\",\"taskId\":\"P\"}");
}
