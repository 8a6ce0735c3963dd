#include "proxy/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/value.h"
#include "proxy/extension.h"
#include "proxy/manifest.h"
#include "proxy/tooldef.h"
#include "proxy/uri.h"
#include "proxy/viewlist.h"

#define ENTRIES_MAX 65536      /* of one list; the rest is left out */
#define ITEM_MAX    (1 << 20)  /* bytes of one item */
#define VIEW_MAX    (80 << 20) /* of all items of a view: two fit a snapshot */
#define NAME_USUAL  64         /* bytes; many model APIs refuse longer names */
#define CHUNK       65536      /* bytes of memory asked for at a time */
#define REMARKS_MAX 1024       /* different log lines of one build, no more */

/* Memory for strings that live as long as a build. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

/* What will be a struct reference. */
struct named {
	struct span uri;
	uint32_t backend;
};

struct names {
	struct named *at;
	size_t n, cap;
};

/* One catalogue being built. */
struct build {
	struct board *board;
	const char *base; /* of the configuration; until the first append */
	const struct header *head;
	struct view_list lists[VIEWS][LIST_KINDS];
	struct names references[VIEWS];
	struct buf extensions[VIEWS]; /* offered */
	uint32_t abilities[VIEWS];
	size_t bytes[VIEWS]; /* in the snapshot, about */
	struct tooldef def;
	struct chunk *chunks;
	bool failed; /* out of memory */
};

/* Where an item comes from. */
struct source_list {
	enum view_era view; /* that it goes into */
	enum view_era era;  /* that it was listed in */
	enum list_kind kind;
	uint32_t index; /* of backend in the configuration */
	const struct backend *backend;
};

static const char *const kinds[LIST_KINDS] = { "tool", "prompt", "resource",
	                                       "resource template" };

/* --- remarks: each is logged when it was not made in the build before ------
 */

struct remarks {
	uint32_t hashes[REMARKS_MAX];
	size_t n;
};

static struct remarks before, now;

static bool remarked(const struct remarks *r, uint32_t hash)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->hashes[i] == hash)
			return true;
	return false;
}

static bool is_new_remark(struct span backend, struct span name,
                          const char *why)
{
	uint32_t hash = snapshot_hash(backend) * 31 + snapshot_hash(name);

	hash = hash * 31 + snapshot_hash(span_str(why));
	if (now.n == REMARKS_MAX || remarked(&now, hash))
		return false;
	now.hashes[now.n++] = hash;
	return !remarked(&before, hash);
}

static struct span config_text(const struct build *b, struct ref r)
{
	return r.off ? span_of(b->base + r.off, r.len) : span_of("", 0);
}

static void left_out(const struct build *b, const struct source_list *from,
                     struct span name, const char *why)
{
	struct span backend = config_text(b, from->backend->name);

	if (is_new_remark(backend, name, why))
		log_warning("item left out", LOG_SPAN("backend", backend),
		            LOG_STR("kind", kinds[from->kind]),
		            LOG_SPAN("name", name), LOG_STR("reason", why));
}

static void lost_name(const struct build *b, const struct source_list *from,
                      const struct view_item *lost,
                      const struct view_item *kept)
{
	struct span backend = config_text(b, from->backend->name);
	const struct backend *all =
		(const void *)(b->base + b->head->backends.off);
	struct span winner = kept->flags & ENTRY_OWN
	                             ? SPAN("the gateway itself")
	                             : config_text(b, all[kept->backend].name);

	if (is_new_remark(backend, lost->name, "taken"))
		log_warning("item left out: its name is taken",
		            LOG_SPAN("backend", backend),
		            LOG_STR("kind", kinds[from->kind]),
		            LOG_SPAN("name", lost->name),
		            LOG_SPAN("taken_by", winner));
}

/* --- memory ----------------------------------------------------------------
 */

/* n bytes that live as long as the build; NULL, and failed, without memory. */
static void *take(struct build *b, size_t n)
{
	struct chunk *c = b->chunks;

	n = (n + 7) & ~(size_t)7;
	if (!c || c->size - c->used < n) {
		size_t size = MAX(n, CHUNK - sizeof(*c));

		c = malloc(sizeof(*c) + size);
		if (!c) {
			b->failed = true;
			return NULL;
		}
		*c = (struct chunk){ .next = b->chunks, .size = size };
		b->chunks = c;
	}
	c->used += n;
	return c->bytes + c->used - n;
}

static struct span keep(struct build *b, struct span s)
{
	char *to = take(b, s.len + 1);

	if (!to)
		return span_of("", 0);
	if (s.len)
		memcpy(to, s.at, s.len);
	to[s.len] = '\0';
	return span_of(to, s.len);
}

static void give_back(struct build *b)
{
	while (b->chunks) {
		struct chunk *c = b->chunks;

		b->chunks = c->next;
		free(c);
	}
	for (size_t v = 0; v < VIEWS; v++) {
		for (size_t k = 0; k < LIST_KINDS; k++) {
			view_list_free(&b->lists[v][k]);
		}
		free(b->references[v].at);
		buf_free(&b->extensions[v]);
	}
	tooldef_fini(&b->def);
}

/* --- from a backend's item to ours -----------------------------------------
 */

/* Does text match a pattern in which '*' stands for any bytes? */
static bool glob(struct span pattern, struct span text)
{
	size_t p = 0, t = 0;
	size_t star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern.len && pattern.at[p] == text.at[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) { /* let the star take one more */
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*')
		p++;
	return p == pattern.len;
}

static void need_all(struct scope_set *set, const struct scope_set *more)
{
	for (size_t i = 0; i < ARRAY_LEN(set->bits); i++)
		set->bits[i] |= more->bits[i];
}

static void need_by_rule(const char *base, const struct header *head,
                         struct span name, struct scope_set *needs)
{
	struct ref r = head->scope_rules;
	const struct scope_rule *rules = (const void *)(base + r.off);

	for (uint32_t i = 0; i < r.len; i++) {
		struct ref pattern = rules[i].pattern;

		if (glob(span_of(base + pattern.off, pattern.len), name))
			need_all(needs, &rules[i].needs);
	}
}

void catalog_needs(const struct snapshot *snap, uint32_t backend,
                   struct span name, struct scope_set *needs)
{
	*needs = snapshot_backend(snap, backend)->needs;
	need_by_rule(snap->base, snap->head, name, needs);
}

/* The public name of an item; the empty span when there is no memory. */
static struct span public_name(struct build *b, const struct source_list *from,
                               struct span own)
{
	struct span id = config_text(b, from->backend->identifier);
	struct buf made = { .max = TEXT_MAX };
	struct span name;

	if (!(from->backend->flags & BACKEND_NAMESPACE))
		return own;
	if (from->kind == LIST_TOOLS || from->kind == LIST_PROMPTS) {
		buf_add_span(&made, id);
		buf_putc(&made, '_');
		buf_add_span(&made, own);
	} else {
		uri_make_public(id, own, &made);
	}
	if (buf_err(&made) < 0)
		b->failed = true;
	name = keep(b, buf_span(&made));
	buf_free(&made);
	return name;
}

static void cut(struct view_item *item, struct span value)
{
	view_item_edit(item, tooldef_member(item->raw, value),
	               span_of(NULL, 0));
	item->cut = true;
}

/* What the other era's clients must not see (MCP changes 2025-11-25 to
 * 2026-07-28): schemas of results that are no objects, and execution. */
static void adapt(const struct source_list *from, const struct tooldef *def,
                  struct view_item *item)
{
	if (from->kind != LIST_TOOLS || from->view == from->era)
		return;
	if (from->era == VIEW_LEGACY && def->execution.at) {
		cut(item, def->execution);
	} else if (from->era == VIEW_MODERN && def->output_schema.at &&
	           !tooldef_is_object_schema(def->output_schema)) {
		cut(item, def->output_schema);
		item->flags &= ~ENTRY_OUTPUT;
	}
}

/* The page of an MCP App that the i-th of def->apps names; else empty. */
static struct span app_uri(const struct tooldef *def, size_t i,
                           char room[TOOLDEF_URI_MAX])
{
	int n = value_string(def->apps[i], room, TOOLDEF_URI_MAX);
	struct span uri = span_of(room, n > 0 ? (size_t)n : 0);

	return uri_is_app(uri) ? uri : span_of(NULL, 0);
}

/* Clients read it by its public URI. */
static void publish_apps(struct build *b, const struct source_list *from,
                         struct view_item *item)
{
	struct span id = config_text(b, from->backend->identifier);
	char room[TOOLDEF_URI_MAX];

	if (!(from->backend->flags & BACKEND_NAMESPACE))
		return;
	for (size_t i = 0; i < ARRAY_LEN(b->def.apps); i++) {
		struct span uri = app_uri(&b->def, i, room);
		struct buf made = { .max = TEXT_MAX };

		if (!uri.len)
			continue;
		uri_make_public(id, uri, &made);
		b->failed |= buf_err(&made) < 0;
		view_item_edit(item, b->def.apps[i], keep(b, buf_span(&made)));
		buf_free(&made);
	}
}

static void refer(struct build *b, struct names *names, struct span uri,
                  uint32_t backend)
{
	size_t cap = names->cap ? 2 * names->cap : 64;

	if (names->n == ENTRIES_MAX)
		return;
	if (names->n == names->cap) {
		struct named *grown = realloc(names->at, cap * sizeof(*grown));

		if (!grown) {
			b->failed = true;
			return;
		}
		names->at = grown;
		names->cap = cap;
	}
	names->at[names->n++] = (struct named){ keep(b, uri), backend };
}

/* Without a namespace nothing else tells whose page it is. */
static void refer_apps(struct build *b, const struct source_list *from)
{
	char room[TOOLDEF_URI_MAX];

	if (from->backend->flags & BACKEND_NAMESPACE)
		return;
	for (size_t i = 0; i < ARRAY_LEN(b->def.apps); i++) {
		struct span uri = app_uri(&b->def, i, room);

		if (uri.len)
			refer(b, &b->references[from->view], uri, from->index);
	}
}

static void keep_mirrors(struct build *b, struct view_item *item)
{
	const struct tooldef *def = &b->def;
	size_t bytes = def->n_mirrors * sizeof(def->mirrors[0]);

	if (def->n_mirrors == 0)
		return;

	void *mirrors = take(b, bytes);
	if (!mirrors)
		return;
	memcpy(mirrors, def->mirrors, bytes);
	item->mirrors = mirrors;
	item->n_mirrors = (uint32_t)def->n_mirrors;
	item->strings = keep(b, buf_span(&def->strings)).at;
}

const struct recipe_row *catalog_recipe(const char *base,
                                        const struct backend *backend,
                                        struct span name)
{
	const struct recipe_row *rows =
		(const void *)(base + backend->recipes.off);
	uint32_t low = 0, high = backend->recipes.len;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct span at = span_of(base + rows[middle].name.off,
		                         rows[middle].name.len);
		int order = span_cmp(at, name);

		if (order == 0)
			return &rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct catalog_backend *catalog_own_known(struct span definitions)
{
	struct catalog_backend *known = calloc(1, sizeof(*known));
	struct catalog_era *era;

	if (!known)
		return NULL;
	era = &known->eras[VIEW_MODERN];
	era->known = true;
	era->abilities = ABILITY_TOOLS | ABILITY_RESOURCES;
	era->items[LIST_RESOURCES].max = SIZE_MAX;
	buf_add_span(&era->items[LIST_RESOURCES], manifest_item());
	era->items[LIST_TOOLS].max = SIZE_MAX;
	buf_add_span(&era->items[LIST_TOOLS], definitions);
	known->origin.eras = ERA_MODERN | ERA_LEGACY;
	known->origin.abilities = era->abilities;
	if (buf_err(&era->items[LIST_TOOLS]) == 0 &&
	    buf_err(&era->items[LIST_RESOURCES]) == 0)
		return known;
	buf_free(&era->items[LIST_TOOLS]);
	buf_free(&era->items[LIST_RESOURCES]);
	free(known);
	return NULL;
}

/* What changes something in the cloud needs a scope of its own. */
static void need_to_write(const struct build *b, const struct source_list *from,
                          struct view_item *item)
{
	const struct ref *scopes =
		(const void *)(b->base + b->head->scopes.off);
	const struct recipe_row *row;

	if (!(from->backend->flags & BACKEND_OCI))
		return;
	row = catalog_recipe(b->base, from->backend, item->upstream);
	if (!row || !(row->flags & RECIPE_WRITE))
		return;
	for (uint32_t i = 0; i < b->head->scopes.len; i++)
		if (span_is(config_text(b, scopes[i]), CATALOG_WRITE_SCOPE))
			scope_set_add(&item->needs, i);
}

static const char *check_name(const struct source_list *from, struct span own,
                              struct span name)
{
	bool named = from->kind == LIST_TOOLS || from->kind == LIST_PROMPTS;

	if (named && name.len > TOOL_NAME_MAX)
		return "its name is too long with the backend's in front";
	if (!named && (from->backend->flags & BACKEND_NAMESPACE) &&
	    !uri_has_scheme(own))
		return "its URI has no scheme to put the backend's name behind";
	return NULL;
}

/* Into its list, unless its name is taken; bytes: of the view with it. */
static void list_item(struct build *b, const struct source_list *from,
                      const struct view_item *item, size_t bytes)
{
	struct view_list *list = &b->lists[from->view][from->kind];
	const struct view_item *taken;

	if (view_list_add(list, item, &taken) < 0) {
		b->failed = true;
		return;
	}
	if (taken) {
		lost_name(b, from, item, taken);
		return;
	}
	b->bytes[from->view] = bytes;
	if (from->kind != LIST_TOOLS)
		return;
	refer_apps(b, from);
	if (item->name.len > NAME_USUAL &&
	    is_new_remark(SPAN(""), item->name, "long"))
		log_warning("tool name is longer than many clients accept",
		            LOG_SPAN("name", item->name),
		            LOG_INT("bytes", item->name.len));
}

static void add_item(struct build *b, const struct source_list *from,
                     struct span raw)
{
	size_t n = b->lists[from->view][from->kind].n;
	struct tooldef *def = &b->def;
	/* Header annotations count for clients or backends of 2026-07-28. */
	enum view_era era = from->view == VIEW_MODERN ? VIEW_MODERN : from->era;
	const char *why = tooldef_read(from->kind, era, raw, def);
	struct view_item item = {
		.raw = raw,
		.needs = from->backend->needs,
		.backend = from->index,
		.order = 1,
	};

	if (why) {
		left_out(b, from, span_first(def->key_raw, TOOL_NAME_MAX), why);
		return;
	}
	item.upstream = keep(
		b, span_of(def->strings.bytes + def->key.off, def->key.len));
	item.name = public_name(b, from, item.upstream);
	item.flags = def->flags;
	if (!span_eq(item.name, item.upstream))
		view_item_edit(&item, def->key_raw, item.name);
	why = check_name(from, item.upstream, item.name);

	size_t bytes = b->bytes[from->view] + raw.len + item.name.len +
	               item.upstream.len + sizeof(struct entry) +
	               def->n_mirrors * sizeof(struct mirror) +
	               def->strings.len;
	if (!why && raw.len > ITEM_MAX)
		why = "it is too large";
	if (!why && (n >= ENTRIES_MAX || bytes > VIEW_MAX))
		why = "there is no room for more";
	if (why) {
		left_out(b, from, item.upstream, why);
		return;
	}
	adapt(from, def, &item);
	if (from->kind == LIST_TOOLS) {
		need_by_rule(b->base, b->head, item.name, &item.needs);
		need_to_write(b, from, &item);
		publish_apps(b, from, &item);
	}
	keep_mirrors(b, &item);

	list_item(b, from, &item, bytes);
}

/* Items stand one after the other with a comma behind each: as an array, the
 * last comma is its closing bracket. */
static void add_list(struct build *b, const struct source_list *from,
                     struct span items)
{
	struct value_iter it;
	struct span raw;
	char *copy = items.len ? take(b, items.len + 1) : NULL;

	if (!copy)
		return;
	copy[0] = '[';
	memcpy(copy + 1, items.at, items.len);
	copy[items.len] = ']';
	value_iter_init(&it, span_of(copy, items.len + 1));
	while (!b->failed && value_array_next(&it, &raw))
		add_item(b, from, raw);
}

/* The era that a view takes a backend's catalogue from. */
static enum view_era source_era(const struct catalog_backend *known,
                                enum view_era view)
{
	return known->eras[view].known ? view : VIEWS - 1 - view;
}

static void add_backend(struct build *b, enum view_era view, uint32_t index,
                        const struct catalog_backend *known)
{
	const struct backend *all =
		(const void *)(b->base + b->head->backends.off);
	struct source_list from = {
		.view = view,
		.era = source_era(known, view),
		.index = index,
		.backend = &all[index],
	};
	const struct catalog_era *era = &known->eras[from.era];

	if (!era->known)
		return;
	b->abilities[view] |= era->abilities;
	for (from.kind = 0; from.kind < LIST_KINDS; from.kind++)
		add_list(b, &from, buf_span(&era->items[from.kind]));
}

static void add_own(struct build *b, enum view_era view)
{
	struct view_list *list = &b->lists[view][LIST_TOOLS];
	const struct view_item *taken;

	if (b->head->no_own_tools)
		return;
	for (uint32_t i = 0; i < OWN_TOOLS; i++) {
		struct view_item item = {
			.raw = tooldef_own(i),
			.backend = i,
		};
		const char *why = tooldef_read(LIST_TOOLS, VIEW_MODERN,
		                               item.raw, &b->def);

		assert(!why);
		(void)why;
		item.flags = b->def.flags | ENTRY_OWN;
		item.name =
			keep(b, span_of(b->def.strings.bytes, b->def.key.len));
		need_by_rule(b->base, b->head, item.name, &item.needs);
		if (view_list_add(list, &item, &taken) < 0)
			b->failed = true;
	}
}

/* What all backends have in extensions, as it reaches a view's clients. */
static void add_extensions(struct build *b, enum view_era view,
                           struct catalog_backend *const known[])
{
	struct extension_source sources[BACKENDS_MAX] = { 0 };
	struct buf *out = &b->extensions[view];

	for (uint32_t i = 0; i < b->head->backends.len; i++) {
		if (!known[i])
			continue;
		sources[i].era = source_era(known[i], view);
		sources[i].extensions =
			buf_span(&known[i]->eras[sources[i].era].extensions);
	}
	out->max = LAYOUT_MAX;
	if (extension_offer(sources, b->head->backends.len, view, out) < 0 ||
	    buf_err(out) < 0)
		b->failed = true;
	b->abilities[view] &= ~EXTENSION_ABILITIES;
	b->abilities[view] |= extension_abilities(buf_span(out));
}

static int by_uri_and_backend(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = span_cmp(x->uri, y->uri);

	return order ? order : x->backend < y->backend ? -1 : 1;
}

/* In order, each URI once: the first backend has it. */
static void sort_references(struct names *names)
{
	size_t n = 0;

	if (names->n)
		qsort(names->at, names->n, sizeof(*names->at),
		      by_uri_and_backend);
	for (size_t i = 0; i < names->n; i++)
		if (n == 0 || !span_eq(names->at[n - 1].uri, names->at[i].uri))
			names->at[n++] = names->at[i];
	names->n = n;
}

static void gather(struct build *b, struct catalog_backend *const known[])
{
	for (enum view_era view = 0; view < VIEWS; view++) {
		b->abilities[view] = ABILITY_TOOLS;
		add_own(b, view);
		for (uint32_t i = 0; i < b->head->backends.len; i++)
			if (known[i])
				add_backend(b, view, i, known[i]);
		add_extensions(b, view, known);
		sort_references(&b->references[view]);

		struct view_list *tools = &b->lists[view][LIST_TOOLS];
		for (size_t i = 0; i < tools->n; i++)
			tools->at[i].metric =
				board_tool_row(b->board, tools->at[i].name);
		for (int kind = 0; kind < LIST_KINDS; kind++)
			if (view_list_sort(&b->lists[view][kind]) < 0)
				b->failed = true;
	}
}

/* --- into the snapshot -----------------------------------------------------
 */

static struct ref put_references(struct builder *out, const struct names *names)
{
	struct ref all =
		builder_array(out, NULL, names->n, sizeof(struct reference));

	for (size_t i = 0; i < names->n; i++) {
		struct ref uri = builder_text(out, names->at[i].uri);
		struct reference *to = builder_at(out, all);

		if (to)
			to[i] = (struct reference){
				.uri = uri, .backend = names->at[i].backend
			};
	}
	return all;
}

static int put_views(struct builder *out, struct build *b)
{
	struct view views[VIEWS] = { 0 };
	int err = 0;

	for (int kind = 0; kind < LIST_KINDS && err == 0; kind++) {
		struct view_list *legacy = &b->lists[VIEW_LEGACY][kind];
		struct view_list *modern = &b->lists[VIEW_MODERN][kind];

		err = view_list_put(out, legacy,
		                    &views[VIEW_LEGACY].lists[kind]);
		if (err == 0 && view_list_same(legacy, modern))
			views[VIEW_MODERN].lists[kind] =
				views[VIEW_LEGACY].lists[kind];
		else if (err == 0)
			err = view_list_put(out, modern,
			                    &views[VIEW_MODERN].lists[kind]);
	}
	for (int view = 0; view < VIEWS; view++) {
		struct span offered = buf_span(&b->extensions[view]);

		views[view].abilities = b->abilities[view];
		if (offered.len)
			views[view].extensions = builder_text(out, offered);
		views[view].references =
			put_references(out, &b->references[view]);
	}

	struct ref r = builder_array(out, views, VIEWS, sizeof(*views));
	struct header *head = builder_header(out);
	if (head)
		head->views = r;
	return err == -ENOMEM ? err : 0;
}

static int put_origins(struct builder *out, uint32_t n,
                       struct catalog_backend *const known[])
{
	struct origin *origins = calloc(n + 1u, sizeof(*origins));

	if (!origins)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		if (!known[i])
			continue;
		origins[i] = known[i]->origin;
		origins[i].legacy_version = (struct ref){ 0, 0 };
		if (known[i]->legacy_version[0])
			origins[i].legacy_version = builder_text(
				out, span_str(known[i]->legacy_version));
		for (int era = 0; era < VIEWS; era++) {
			struct span has =
				buf_span(&known[i]->eras[era].extensions);

			if (has.len)
				origins[i].extensions[era] =
					builder_text(out, has);
		}
	}

	struct ref r = builder_array(out, origins, n, sizeof(*origins));
	struct header *head = builder_header(out);
	if (head)
		head->origins = r;
	free(origins);
	return 0;
}

int catalog_build(struct builder *out, struct board *board,
                  struct catalog_backend *const known[])
{
	struct build *b = calloc(1, sizeof(*b));
	const struct header *head = builder_header(out);
	int err = -ENOMEM;

	if (!b || !head)
		goto done;
	*b = (struct build){ .board = board,
		             .base = (const void *)head,
		             .head = head };
	now.n = 0;
	gather(b, known);
	before = now;
	if (b->failed)
		goto done;
	err = put_origins(out, head->backends.len, known);
	if (err == 0)
		err = put_views(out, b);
done:
	if (b)
		give_back(b);
	free(b);
	return err;
}
