#include "oci/shape.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "oci/runner.h"

/* Only its memory is used. */
static struct tool_run run;
static struct shape_source source;
static struct buf out;

static void put_reference(void *owner, struct output *o, struct span raw)
{
	cr_assert_eq(owner, &out);
	output_format(o, NULL, "<%.*s>", SPAN_ARG(raw));
}

static void begin(void)
{
	run = (struct tool_run){ 0 };
	out = (struct buf){ .max = 1 << 20 };
	source = (struct shape_source){ .run = &run,
		                        .put_reference = put_reference,
		                        .owner = &out };
}

static void end(void)
{
	while (run.blocks) {
		struct tool_block *block = run.blocks;

		run.blocks = block->next;
		free(block);
	}
	buf_free(&out);
}

TestSuite(shape, .init = begin, .fini = end);

/* clang-format off */
static const struct {
	const char *members, *value, *result;
} rows[] = {
	{ "{}", "{\"a\":1}", "{}" },
	{ "{\"x\":\"a\",\"y\":\"b.c[-1]\",\"z\":\"d\"}",
	  "{\"b\":{\"c\":[1,2]},\"a\":\"t\"}",
	  "{\"x\":\"t\",\"y\":2,\"z\":null}" },
	{ "{\"x\":\"\"}", "{\"a\":1}", "{\"x\":{\"a\":1}}" },
	{ "{\"x\":\"$y\",\"z\":\"$$\"}", "{}", "{\"x\":\"<\\\"$y\\\">\",\"z\":\"<\\\"$$\\\">\"}" },
	{ "{\"x\":{\"const\":[1]},\"y\":{\"const\":null}}", "{}", "{\"x\":[1],\"y\":null}" },
	{ "{\"a\":{\"not\":\"t\"},\"b\":{\"not\":\"f\"},\"c\":{\"not\":\"n\"},\"d\":{\"not\":\"x\"}}",
	  "{\"t\":true,\"f\":false,\"n\":1}",
	  "{\"a\":false,\"b\":true,\"c\":null,\"d\":null}" },
	{ "{\"a\":{\"count\":\"l\"},\"b\":{\"count\":\"e\"},\"c\":{\"count\":\"x\"},\"d\":{\"count\":\"i\"},\"e\":{\"count\":\"n\"}}",
	  "{\"l\":[1,[2],3],\"e\":[],\"i\":{\"items\":[1]},\"n\":null}",
	  "{\"a\":3,\"b\":0,\"c\":null,\"d\":1,\"e\":null}" },
	{ "{\"o\":{\"from\":\"a\",\"fields\":{\"x\":\"b\",\"p\":{\"from\":\"c\",\"fields\":{\"d\":\"d\"}}}},"
	  "\"q\":{\"from\":\"z\",\"fields\":{\"x\":\"b\"}}}",
	  "{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"z\":[1]}",
	  "{\"o\":{\"x\":1,\"p\":{\"d\":2}},\"q\":null}" },
	{ "{\"l\":{\"from\":\"a\",\"each\":{\"x\":\"b\",\"k\":{\"const\":1}}}}",
	  "{\"a\":[{\"b\":1},{},7]}",
	  "{\"l\":[{\"x\":1,\"k\":1},{\"x\":null,\"k\":1},null]}" },
	{ "{\"l\":{\"from\":\"a\",\"each\":\"b\"},\"m\":{\"from\":\"a\",\"each\":{\"not\":\"b\"}}}",
	  "{\"a\":{\"items\":[{\"b\":true},{\"b\":\"x\"}]}}",
	  "{\"l\":[true,\"x\"],\"m\":[false,null]}" },
	{ "{\"l\":{\"from\":\"a\",\"each\":\"b\"},\"m\":{\"from\":\"n\",\"each\":\"b\"},\"e\":{\"from\":\"e\",\"each\":\"\"}}",
	  "{\"n\":null,\"e\":[]}", "{\"l\":null,\"m\":null,\"e\":[]}" },
	{ "{\"l\":{\"from\":\"a\",\"each\":{\"from\":\"b\",\"each\":{\"v\":\"c\"}}}}",
	  "{\"a\":[{\"b\":[{\"c\":1},{\"c\":2}]},{\"b\":[]},{}]}",
	  "{\"l\":[[{\"v\":1},{\"v\":2}],[],null]}" },
	/* Members of an object that are called like the words of shapes. */
	{ "{\"l\":{\"from\":\"a\",\"each\":{\"from\":\"x\",\"count\":\"y\"}}}",
	  "{\"a\":[{\"x\":1,\"y\":2}]}", "{\"l\":[{\"from\":1,\"count\":2}]}" },
	{ "{\"not\":\"a\",\"const\":\"b\"}", "{\"a\":1}", "{\"not\":1,\"const\":null}" },
	{ "{\"\\u0061\\n\":\"\\u0061\"}", "{\"a\":1}", "{\"\\u0061\\n\":1}" },
};

static const char *const bad[] = {
	"", "1", "[]", "\"a\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":[]}",
	"{\"a\":{}}", "{\"a\":{\"odd\":1}}", "{\"a\":{\"from\":1}}",
	"{\"a\":{\"not\":{}}}", "{\"a\":{\"from\":\"x\",\"fields\":7}}",
	"{\"a\":{\"from\":\"x\",\"each\":{\"b\":7}}}",
};
/* clang-format on */

static void put(struct shape_group *group, const char *value)
{
	struct output o;

	path_find_all(span_str(value), group->wants, group->n);
	buf_reset(&out);
	output_init(&o, &out);
	shape_put_found(&source, &o, group, span_str(value));
	cr_assert_eq(buf_err(&out), 0);
}

Test(shape, writes_what_it_says)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct shape_group *group =
			shape_compile(&source, span_str(rows[i].members));

		cr_assert_not(source.bad, "%s", rows[i].members);
		for (int again = 0; again < 2; again++) {
			put(group, rows[i].value);
			cr_assert(span_is(buf_span(&out), rows[i].result),
			          "%s: %.*s", rows[i].members,
			          SPAN_ARG(buf_span(&out)));
		}
		put(group, "[1]");
		cr_assert(span_is(buf_span(&out), "null"));
	}
}

Test(shape, knows_what_is_none)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		source.bad = false;
		cr_assert_not_null(shape_compile(&source, span_str(bad[i])));
		cr_assert(source.bad, "%s", bad[i]);
	}
}

/* {"m":{"from":"a","each":{"m":...}}}, or shapes right within shapes */
static bool nests(size_t levels, bool members)
{
	struct buf text = { .max = 1 << 20 };
	bool good;

	for (size_t i = 0; i < levels; i++)
		buf_puts(&text, members || i == 0
		                        ? "{\"m\":{\"from\":\"a\",\"each\":"
		                        : "{\"from\":\"a\",\"each\":");
	buf_puts(&text, members ? "{\"m\":\"a\"}" : "\"a\"");
	for (size_t i = 0; i < levels; i++)
		buf_puts(&text, members || i == 0 ? "}}" : "}");
	source.bad = false;
	shape_compile(&source, buf_span(&text));
	good = !source.bad;
	buf_free(&text);
	return good;
}

Test(shape, goes_only_so_deep)
{
	for (int members = 0; members < 2; members++) {
		cr_assert(nests(SHAPE_DEPTH_MAX, members));
		cr_assert_not(nests(SHAPE_DEPTH_MAX + 1, members));
		cr_assert_not(nests(1000, members));
	}
}
