#include "shm/snapshot.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/builder.h"
#include "shm/segment.h"

#define TOOLS  5
#define PLACES 16

static const char *const tool_names[TOOLS] = { "a", "b_tool", "c_tool",
	                                       "gateway_health",
	                                       "a_rather_long_name_of_a_tool" };

static struct ref names_of(struct builder *b, const char *const names[],
                           size_t n)
{
	struct ref refs[8];

	for (size_t i = 0; i < n; i++)
		refs[i] = builder_text(b, span_str(names[i]));
	return builder_array(b, refs, n, sizeof(refs[0]));
}

static void add_config(struct builder *b)
{
	static const char *const scopes[] = { "call", "read", "read:tools" };
	struct backend backends[2] = { { .slot = 3, .port = 80 },
		                       { .slot = 4, .port = 443 } };

	backends[0].name = builder_text(b, SPAN("one"));
	backends[1].name = builder_text(b, SPAN("two"));

	struct ref settings =
		builder_array(b, NULL, 1, sizeof(struct settings));
	struct ref all = names_of(b, scopes, 3);
	struct ref rows = builder_array(b, backends, 2, sizeof(backends[0]));
	struct ref path = builder_text(b, SPAN("/mcp"));
	struct header *head = builder_header(b);

	head->config_generation = 1;
	head->settings = settings;
	head->scopes = all;
	head->backends = rows;
	head->path = path;
	builder_end_config(b);
}

static struct list tool_list(struct builder *b)
{
	struct entry entries[TOOLS];
	uint32_t table[PLACES] = { 0 };
	struct mirror mirror = { .type = MIRROR_INTEGER };
	struct list list = { 0 };

	memset(entries, 0, sizeof(entries));
	mirror.field = builder_text(b, SPAN("Size"));
	list.items = builder_text(b, SPAN("{},{},{},{},{},"));
	for (uint32_t i = 0; i < TOOLS; i++) {
		struct span name = span_str(tool_names[i]);
		uint32_t at = snapshot_hash(name);

		entries[i].name = builder_text(b, name);
		/* A part of items, with the comma behind it. */
		entries[i].json = (struct ref){ list.items.off + 3 * i, 2 };
		entries[i].mirrors =
			builder_array(b, &mirror, 1, sizeof(mirror));
		entries[i].backend = i % 2;
		while (table[at % PLACES])
			at++;
		table[at % PLACES] = i + 1;
	}
	list.entries = builder_array(b, entries, TOOLS, sizeof(entries[0]));
	list.table = builder_array(b, table, PLACES, sizeof(table[0]));
	return list;
}

static struct ref references(struct builder *b)
{
	struct reference all[3] = { { .backend = 0 } };

	for (uint32_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *const uris[] = { "ui://a", "ui://b", "ui://c" };

		all[i].uri = builder_text(b, span_str(uris[i]));
		all[i].backend = i % 2;
	}
	return builder_array(b, all, ARRAY_LEN(all), sizeof(all[0]));
}

static void add_catalog(struct builder *b)
{
	struct origin origins[2] = { { .eras = ERA_MODERN, .n_addresses = 1 } };
	struct view views[VIEWS];

	memset(views, 0, sizeof(views));
	origins[0].addresses[0].ss_family = AF_INET;
	views[VIEW_LEGACY].lists[LIST_TOOLS] = tool_list(b);
	views[VIEW_MODERN].lists[LIST_TOOLS] = tool_list(b);
	views[VIEW_MODERN].references = references(b);
	views[VIEW_MODERN].extensions = builder_text(b, SPAN("{}"));
	origins[0].extensions[VIEW_LEGACY] = builder_text(b, SPAN("{}"));

	struct ref r = builder_array(b, origins, 2, sizeof(origins[0]));
	struct ref v = builder_array(b, views, VIEWS, sizeof(views[0]));
	struct header *head = builder_header(b);

	head->origins = r;
	head->views = v;
}

static void build(struct builder *b)
{
	builder_init(b);
	add_config(b);
	add_catalog(b);
}

static struct snapshot *open_good(void)
{
	struct builder b;
	struct snapshot *s;

	build(&b);
	cr_assert_eq(snapshot_open(builder_freeze(&b), &s), 0);
	return s;
}

Test(snapshot, what_was_built_is_read)
{
	struct snapshot *s = open_good();

	cr_assert_eq(s->head->config_generation, 1);
	cr_assert(span_is(snapshot_text(s, s->head->path), "/mcp"));
	cr_assert(span_is(snapshot_text(s, s->head->issuer), ""));
	cr_assert(
		span_is(snapshot_text(s, snapshot_backend(s, 1)->name), "two"));
	cr_assert_eq(snapshot_origin(s, 0)->eras, ERA_MODERN);
	const struct view *view = snapshot_view(s, VIEW_MODERN);
	cr_expect_eq(snapshot_reference(s, view, SPAN("ui://b"))->backend, 1);
	cr_expect_eq(snapshot_reference(s, view, SPAN("ui://c"))->backend, 0);
	cr_expect_null(snapshot_reference(s, view, SPAN("ui://")));
	cr_expect_null(snapshot_reference(s, view, SPAN("ui://d")));
	view = snapshot_view(s, VIEW_LEGACY);
	cr_expect_null(snapshot_reference(s, view, SPAN("ui://b")));
	snapshot_unref(snapshot_ref(s));
	snapshot_unref(s);
	snapshot_unref(NULL);
}

Test(snapshot, entries_are_found_by_their_exact_name)
{
	struct snapshot *s = open_good();
	const struct view *view = snapshot_view(s, VIEW_MODERN);
	const struct list *tools = &view->lists[LIST_TOOLS];

	for (size_t i = 0; i < TOOLS; i++) {
		const struct entry *e =
			snapshot_find(s, tools, span_str(tool_names[i]));

		cr_assert_not_null(e);
		cr_assert(span_is(snapshot_text(s, e->name), tool_names[i]));
	}
	cr_assert_null(snapshot_find(s, tools, SPAN("")));
	cr_assert_null(snapshot_find(s, tools, SPAN("A")));
	cr_assert_null(snapshot_find(s, tools, SPAN("b_too")));
	cr_assert_null(snapshot_find(s, &view->lists[LIST_PROMPTS], SPAN("a")));
	snapshot_unref(s);
}

Test(snapshot, scopes_are_found_by_name)
{
	struct snapshot *s = open_good();

	cr_assert_eq(snapshot_scope(s, SPAN("call")), 0);
	cr_assert_eq(snapshot_scope(s, SPAN("read")), 1);
	cr_assert_eq(snapshot_scope(s, SPAN("read:tools")), 2);
	cr_assert_eq(snapshot_scope(s, SPAN("rea")), -1);
	cr_assert_eq(snapshot_scope(s, SPAN("write")), -1);
	snapshot_unref(s);
}

Test(snapshot, a_set_covers_what_is_in_it)
{
	struct scope_set have = { { 0 } };
	struct scope_set needs = { { 0 } };

	cr_assert(scope_set_covers(&have, &needs));
	cr_assert(scope_set_empty(&needs));
	scope_set_add(&needs, 255);
	cr_assert_not(scope_set_covers(&have, &needs));
	scope_set_add(&have, 255);
	scope_set_add(&have, 3);
	cr_assert(scope_set_covers(&have, &needs));
	cr_assert(scope_set_has(&have, 3));
	cr_assert_not(scope_set_has(&have, 4));
}

/* One thing wrong with an otherwise good segment. */
struct damage {
	const char *what;
	void (*apply)(struct builder *b);
	int err;
};

static struct view *views_of(struct builder *b)
{
	return builder_at(b, builder_header(b)->views);
}

static struct list *tools_of(struct builder *b)
{
	return &views_of(b)[VIEW_MODERN].lists[LIST_TOOLS];
}

static struct entry *entries_of(struct builder *b)
{
	return builder_at(b, tools_of(b)->entries);
}

#define DAMAGE(name, change)                             \
	static void name(struct builder *b)              \
	{                                                \
		struct header *head = builder_header(b); \
		(void)head;                              \
		change;                                  \
	}
DAMAGE(nothing, (void)0)
DAMAGE(magic, head->magic++)
DAMAGE(version, head->version++)
DAMAGE(n_settings, head->n_settings--)
DAMAGE(no_settings, head->settings.off = 0)
DAMAGE(two_settings, head->settings.len = 2)
DAMAGE(config_end_low, head->config_end = 8)
DAMAGE(config_end_high, head->config_end = 0x7fffffff)
DAMAGE(path_long, head->path.len = 0xffffffff)
DAMAGE(path_no_nul, head->path.len--)
DAMAGE(path_behind, head->path.off = head->config_end)
DAMAGE(path_in_header, head->path.off = 16)
DAMAGE(none_with_length, head->issuer.len = 3)
DAMAGE(backends_many, head->backends.len = BACKENDS_MAX + 1)
DAMAGE(backends_odd, head->backends.off += 4)
DAMAGE(slot, ((struct backend *)builder_at(b, head->backends))->slot = 256)
DAMAGE(port, ((struct backend *)builder_at(b, head->backends))->port = 65536)
DAMAGE(scopes_unsorted, {
	struct ref *scopes = builder_at(b, head->scopes);

	scopes[1] = scopes[0];
})
DAMAGE(origins_few, head->origins.len = 1)
DAMAGE(addresses, ((struct origin *)builder_at(b, head->origins))->n_addresses =
                          ADDRESSES_MAX + 1)
DAMAGE(family, ((struct origin *)builder_at(b, head->origins))->n_addresses = 2)
DAMAGE(reference,
       ((struct reference *)builder_at(b, views_of(b)[VIEW_MODERN].references))
               ->backend = 2)
DAMAGE(extensions, views_of(b)[VIEW_MODERN].extensions.len++)
DAMAGE(declared, ((struct origin *)builder_at(b, head->origins))
                         ->extensions[VIEW_LEGACY]
                         .off = 1u << 30)
DAMAGE(views_few, head->views.len = 1)
DAMAGE(views_many, head->views.len = 3)
DAMAGE(no_views, head->views = ((struct ref){ 0, 0 }))
DAMAGE(table_size, tools_of(b)->table.len = 15)
DAMAGE(table_small, tools_of(b)->table.len = 4)
DAMAGE(table_index, ((uint32_t *)builder_at(b, tools_of(b)->table))[3] = 6)
DAMAGE(no_table, tools_of(b)->table = ((struct ref){ 0, 0 }))
DAMAGE(entries, tools_of(b)->entries.len = 1000)
DAMAGE(items, tools_of(b)->items.len += 100000)
DAMAGE(backend, entries_of(b)[2].backend = 2)
DAMAGE(own, entries_of(b)[2].backend = 999; entries_of(b)[2].flags = ENTRY_OWN)
DAMAGE(metric, entries_of(b)[2].metric = 16384)
DAMAGE(json_far, entries_of(b)[1].json.len = 0xfffffff0)
DAMAGE(name_far, entries_of(b)[4].name.off = 0xfffffff0)
DAMAGE(mirrors, entries_of(b)[0].mirrors.len = 2000)
DAMAGE(mirror_type,
       ((struct mirror *)builder_at(b, entries_of(b)->mirrors))->type = 3)

static const struct damage damages[] = {
	{ "nothing", nothing, 0 },
	{ "magic", magic, -EPROTO },
	{ "version", version, -EPROTO },
	{ "number of settings", n_settings, -EPROTO },
	{ "no settings", no_settings, -EBADMSG },
	{ "two settings", two_settings, -EBADMSG },
	{ "config_end in the header", config_end_low, -EBADMSG },
	{ "config_end outside", config_end_high, -EBADMSG },
	{ "a long string", path_long, -EBADMSG },
	{ "a string without NUL", path_no_nul, -EBADMSG },
	{ "configuration in the catalogue", path_behind, -EBADMSG },
	{ "a string in the header", path_in_header, -EBADMSG },
	{ "no string with a length", none_with_length, -EBADMSG },
	{ "too many backends", backends_many, -EBADMSG },
	{ "an array out of alignment", backends_odd, -EBADMSG },
	{ "a backend's slot", slot, -EBADMSG },
	{ "a backend's port", port, -EBADMSG },
	{ "scopes out of order", scopes_unsorted, -EBADMSG },
	{ "an origin missing", origins_few, -EBADMSG },
	{ "too many addresses", addresses, -EBADMSG },
	{ "an address without family", family, -EBADMSG },
	{ "a reference to no backend", reference, -EBADMSG },
	{ "extensions without an end", extensions, -EBADMSG },
	{ "extensions outside", declared, -EBADMSG },
	{ "a view missing", views_few, -EBADMSG },
	{ "too many views", views_many, -EBADMSG },
	{ "no views", no_views, -EBADMSG },
	{ "table not a power of two", table_size, -EBADMSG },
	{ "table smaller than the list", table_small, -EBADMSG },
	{ "table points outside", table_index, -EBADMSG },
	{ "no table", no_table, -EBADMSG },
	{ "entries outside", entries, -EBADMSG },
	{ "items outside", items, -EBADMSG },
	{ "no such backend", backend, -EBADMSG },
	{ "no such own tool", own, -EBADMSG },
	{ "no such metric", metric, -EBADMSG },
	{ "an item's JSON outside", json_far, -EBADMSG },
	{ "a name outside", name_far, -EBADMSG },
	{ "mirrors outside", mirrors, -EBADMSG },
	{ "a mirror's type", mirror_type, -EBADMSG },
};

Test(snapshot, whatever_is_damaged_is_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		struct builder b;
		struct snapshot *s = NULL;

		build(&b);
		damages[i].apply(&b);

		int err = snapshot_open(builder_freeze(&b), &s);
		cr_assert_eq(err, damages[i].err, "%s: %d", damages[i].what,
		             err);
		snapshot_unref(s);
	}
}

Test(snapshot, what_is_cut_off_is_refused)
{
	struct builder b;

	build(&b);

	struct header *head = builder_header(&b);
	head->size = b.bytes.len;
	for (size_t n = 1; n <= b.bytes.len; n++) {
		struct snapshot *s;
		int err = snapshot_open(segment_freeze("cut", b.bytes.bytes, n),
		                        &s);

		if (n == b.bytes.len) {
			cr_assert_eq(err, 0);
			snapshot_unref(s);
		} else {
			cr_assert_eq(err,
			             n < sizeof(*head) ? -EPROTO : -EBADMSG);
		}
	}
	builder_free(&b);
}

Test(snapshot, an_unsealed_segment_is_refused)
{
	struct snapshot *s;
	void *at;
	int fd;

	cr_assert_eq(segment_share("open", 4096, &at, &fd), 0);
	cr_assert_eq(snapshot_open(fd, &s), -EPERM);
	cr_assert_eq(close(fd), -1, "the descriptor was taken");
}

Test(snapshot, names_spread_over_the_table)
{
	unsigned used[1024] = { 0 };
	unsigned most = 0;
	char name[32];

	for (unsigned i = 0; i < 1024; i++) {
		snprintf(name, sizeof(name), "backend_%u_tool_%u", i % 7, i);

		unsigned n = ++used[snapshot_hash(span_str(name)) % 1024];
		most = MAX(most, n);
	}
	cr_assert_lt(most, 10);
}

/* The seed of the fuzzer's corpus comes from here: FUZZ_SEED=path. */
Test(snapshot, writes_a_seed_for_the_fuzzer)
{
	const char *path = getenv("FUZZ_SEED");

	if (!path)
		return;

	struct snapshot *s = open_good();
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fwrite(s->base, s->size, 1, f);
	fclose(f);
	snapshot_unref(s);
}
