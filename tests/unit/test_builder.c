#include "shm/builder.h"

#include <criterion/criterion.h>
#include <unistd.h>

#include "shm/snapshot.h"

Test(builder, strings_end_with_a_nul_and_arrays_are_aligned)
{
	static const uint64_t numbers[] = { 1, 2, 3 };
	struct builder b;

	builder_init(&b);
	for (size_t n = 0; n < 20; n++) {
		struct ref s =
			builder_text(&b, span_of("abcdefghijklmnopqrst", n));
		struct ref a = builder_array(&b, numbers, 3, 8);

		cr_assert_eq(s.len, n);
		cr_assert_neq(s.off, 0);
		cr_assert_eq(*((char *)builder_at(&b, s) + n), '\0');
		cr_assert_eq(a.off % 8, 0);
		cr_assert_eq(a.len, 3);
		cr_assert_eq(
			memcmp(builder_at(&b, a), numbers, sizeof(numbers)), 0);
	}
	builder_free(&b);
}

Test(builder, an_array_of_nothing_has_a_place)
{
	struct builder b;

	builder_init(&b);
	builder_text(&b, SPAN("x"));

	struct ref none = builder_array(&b, NULL, 0, 24);
	cr_assert_eq(none.len, 0);
	cr_assert_eq(none.off % 8, 0);

	struct ref zeros = builder_array(&b, NULL, 100, 24);
	const char *at = builder_at(&b, zeros);
	for (size_t i = 0; i < 2400; i++)
		cr_assert_eq(at[i], 0);
	builder_free(&b);
}

Test(builder, failure_sticks)
{
	struct builder b;

	builder_init(&b);
	b.bytes.max = 1000;
	builder_array(&b, NULL, 1000, 8);
	cr_assert_null(builder_header(&b));
	builder_text(&b, SPAN("more"));
	builder_end_config(&b);
	cr_assert_null(builder_at(&b, (struct ref){ 8, 1 }));
	cr_assert_eq(builder_freeze(&b), -ENOBUFS);
	cr_assert_null(b.bytes.bytes);
}

/* A snapshot with a catalogue of nothing. */
static struct snapshot *finish(struct builder *b)
{
	struct snapshot *s;
	struct ref views = builder_array(b, NULL, VIEWS, sizeof(struct view));

	builder_header(b)->views = views;
	cr_assert_eq(snapshot_open(builder_freeze(b), &s), 0);
	return s;
}

Test(builder, the_configuration_part_is_copied_to_the_same_place)
{
	struct builder b;

	builder_init(&b);

	struct ref settings =
		builder_array(&b, NULL, 1, sizeof(struct settings));
	struct ref path = builder_text(&b, SPAN("/mcp"));
	builder_header(&b)->settings = settings;
	builder_header(&b)->path = path;
	builder_header(&b)->config_generation = 7;
	builder_end_config(&b);

	struct snapshot *first = finish(&b);
	builder_copy_config(&b, first);
	cr_assert_eq(builder_header(&b)->views.off, 0);
	cr_assert_eq(b.bytes.len, first->head->config_end);
	builder_text(&b, SPAN("something in between"));

	struct snapshot *second = finish(&b);
	cr_assert_eq(second->head->config_generation, 7);
	cr_assert_eq(second->head->config_end, first->head->config_end);
	cr_assert(span_is(snapshot_text(second, second->head->path), "/mcp"));
	cr_assert_eq(memcmp(first->base + sizeof(struct header),
	                    second->base + sizeof(struct header),
	                    first->head->config_end - sizeof(struct header)),
	             0);
	snapshot_unref(first);
	snapshot_unref(second);
}
