#include "oci/mapping.h"

#include <string.h>

#include "lib/value.h"
#include "oci/operation.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/shape.h"
#include "oci/when.h"

/* What a list's answer has besides its items. */
#define FRAME_MAX (64u << 10)

/* Items before they are cut may be longer than a result. */
#define ITEMS_MAX_BYTES (2u * TOOL_BYTES_MAX)

#define DEFAULT_LIMIT 20

enum progress { WAITING, ASKED, LEFT_OUT };

struct request {
	struct span recipe; /* raw entry of "requests" */
	struct span name;   /* "as" */
	struct tool_ask *ask;
	unsigned phase; /* in which it was asked */
	enum progress progress;
};

/* The run's state; lives in tool_state(). */
struct mapping {
	struct tool_run *run;
	struct span answer;   /* raw, of the recipe */
	size_t offset, limit; /* of a list */
	size_t n;
	bool bad; /* the recipe is none */
	struct shape_source shapes;
	struct request requests[MAPPING_REQUESTS_MAX];
};

static_assert(sizeof(struct mapping) <= MAPPING_STATE_BYTES,
              "MAPPING_STATE_BYTES is too small");

/* A value for an argument of a request, or for a shape. */
struct given {
	struct span at; /* empty: nothing */
	bool is_text;   /* plain text, not raw JSON */
};

static struct span get(struct span object, const char *name)
{
	return value_get(object, span_str(name));
}

/* What a string of the recipe means; the check of packs wants it to be one. */
static struct span text_of(struct mapping *m, struct span raw)
{
	if (value_type(raw) != VALUE_STRING)
		m->bad = true;
	return path_means(m->run, raw);
}

/* The same with a NUL, for those who want a C string. */
static const char *string_of(struct mapping *m, struct span raw)
{
	return tool_keep(m->run, text_of(m, raw)).at;
}

static bool is_true(struct span raw)
{
	return value_type(raw) == VALUE_TRUE;
}

static bool is_missing(struct span raw)
{
	return raw.len == 0 || value_type(raw) == VALUE_NULL;
}

/* --- references ----------------------------------------------------------- */

static struct request *find(struct mapping *m, struct span name)
{
	for (size_t i = 0; i < m->n; i++)
		if (span_eq(m->requests[i].name, name))
			return &m->requests[i];
	return NULL;
}

/* The answer that has arrived; empty while there is none. */
static struct span answer_of(const struct request *r)
{
	if (!r || r->progress != ASKED || !tool_ask_ok(r->ask))
		return (struct span){ 0 };
	return tool_ask_answer(r->ask);
}

static size_t head_of(struct span path)
{
	size_t dot = span_find(path, '.');

	return MIN(dot, span_find(path, '['));
}

/* A path whose first name is that of a request. */
static struct span find_answer(struct mapping *m, struct span path)
{
	size_t head = head_of(path);
	struct span answer = answer_of(find(m, span_first(path, head)));

	path = span_from(path, head);
	if (path.len && path.at[0] == '.')
		path = span_from(path, 1);
	return path_find(answer, path);
}

static struct span compartment(struct mapping *m)
{
	return tool_compartment(m->run);
}

static struct span tenancy(struct mapping *m)
{
	struct span given = tool_text(m->run, "tenancy_ocid");

	return given.len ? given : tool_tenancy(m->run);
}

static struct span region(struct mapping *m)
{
	return tool_region(m->run);
}

static struct span now(struct mapping *m)
{
	char text[WHEN_LEN + 1];

	return tool_keep(m->run,
	                 span_str(when_write(tool_now_s(m->run), text)));
}

/* What a name behind a dollar stands for. */
static struct given look_up(struct mapping *m, struct span name)
{
	static const struct {
		struct span name;
		struct span (*value)(struct mapping *m);
	} own[] = {
		{ { "compartment_id", 14 }, compartment },
		{ { "tenancy", 7 }, tenancy },
		{ { "tenancy_ocid", 12 }, tenancy },
		{ { "region", 6 }, region },
		{ { "now", 3 }, now },
	};
	struct span answer = SPAN("answer."), raw;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (span_eq(name, own[i].name))
			return (struct given){ own[i].value(m), true };
	raw = span_starts(name, answer)
	              ? find_answer(m, span_from(name, answer.len))
	              : path_find(tool_arguments(m->run), name);
	return (struct given){ is_missing(raw) ? SPAN("") : raw, false };
}

/* A value of the recipe, what it refers to in its place. */
static struct given resolve(struct mapping *m, struct span raw)
{
	struct span text;

	if (value_type(raw) != VALUE_STRING)
		return (struct given){ raw, false };
	text = path_means(m->run, raw);
	if (text.len == 0 || text.at[0] != '$')
		return (struct given){ raw, false };
	text = span_from(text, 1);
	if (text.len && text.at[0] == '$')
		return (struct given){ text, true };
	return look_up(m, text);
}

/* As text, for a path, a query or a header. */
static struct span plain(struct mapping *m, struct given given)
{
	if (given.is_text || value_type(given.at) != VALUE_STRING)
		return given.at;
	return path_means(m->run, given.at);
}

static bool is_given(struct given given)
{
	return given.is_text ? given.at.len > 0 : !is_missing(given.at);
}

static void put_given(struct buf *out, struct given given)
{
	if (!is_given(given))
		buf_puts(out, "null");
	else if (given.is_text)
		buf_add_json(out, given.at);
	else
		buf_add_span(out, given.at);
}

/* --- requests ------------------------------------------------------------- */

static void put_body(struct mapping *m, struct buf *out, struct span raw,
                     unsigned depth);

/* Members or elements; those that refer to nothing are left out. */
static void put_parts(struct mapping *m, struct buf *out, struct span raw,
                      unsigned depth)
{
	bool object = value_type(raw) == VALUE_OBJECT, first = true;
	struct span name = { 0 }, value;
	struct value_iter it;

	value_iter_init(&it, raw);
	while (object ? value_object_next(&it, &name, &value)
	              : value_array_next(&it, &value)) {
		if (value_type(value) == VALUE_STRING &&
		    !is_given(resolve(m, value)))
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		buf_add_span(out, name);
		if (object)
			buf_putc(out, ':');
		put_body(m, out, value, depth);
	}
}

static void put_body(struct mapping *m, struct buf *out, struct span raw,
                     unsigned depth)
{
	enum value_type type = value_type(raw);

	if (depth >= MAPPING_DEPTH_MAX) {
		m->bad = true;
		return;
	}
	switch (type) {
	case VALUE_OBJECT:
	case VALUE_ARRAY:
		buf_putc(out, type == VALUE_OBJECT ? '{' : '[');
		put_parts(m, out, raw, depth + 1);
		buf_putc(out, type == VALUE_OBJECT ? '}' : ']');
		break;
	case VALUE_STRING:
		put_given(out, resolve(m, raw));
		break;
	default:
		buf_add_span(out, raw);
	}
}

typedef void add_text(struct tool_ask *ask, const char *name,
                      struct span value);

/* Every member of "path", "query" or "headers"; an array is repeated. */
static void add_all(struct mapping *m, struct tool_ask *ask, struct span raw,
                    add_text *add)
{
	struct span name, value, element;
	struct value_iter it, elements;
	struct given given;

	if (value_type(raw) != VALUE_OBJECT)
		return;
	value_iter_init(&it, raw);
	while (value_object_next(&it, &name, &value)) {
		const char *key = string_of(m, name);

		given = resolve(m, value);
		if (!is_given(given))
			continue;
		if (given.is_text || value_type(given.at) != VALUE_ARRAY) {
			add(ask, key, plain(m, given));
			continue;
		}
		value_iter_init(&elements, given.at);
		while (value_array_next(&elements, &element))
			add(ask, key,
			    plain(m, (struct given){ element, false }));
	}
}

/* Does every parameter of the path have a value? Without, there is no URL. */
static bool has_path(struct mapping *m, struct span raw)
{
	struct span name, value;
	struct value_iter it;

	if (value_type(raw) != VALUE_OBJECT)
		return true;
	value_iter_init(&it, raw);
	while (value_object_next(&it, &name, &value))
		if (plain(m, resolve(m, value)).len == 0)
			return false;
	return true;
}

enum readiness { READY, LATER, NEVER };

/* Have the answers that a request refers to arrived? */
static enum readiness readiness(struct mapping *m, const struct request *r)
{
	static const char mark[] = "\"$answer.";
	struct span rest = r->recipe;
	enum readiness ready = READY;
	const char *at;

	while ((at = memmem(rest.at, rest.len, mark, sizeof(mark) - 1))) {
		const struct request *other;
		struct span name;

		rest = span_from(rest,
		                 (size_t)(at - rest.at) + sizeof(mark) - 1);
		name = span_first(rest, span_find(rest, '"'));
		other = find(m, span_first(name, head_of(name)));
		if (!other || other == r) {
			m->bad = true;
			return NEVER;
		}
		if (other->progress == LEFT_OUT)
			return NEVER;
		if (other->progress == WAITING ||
		    other->phase == tool_phase(m->run))
			ready = LATER;
		else if (!tool_ask_ok(other->ask))
			return NEVER;
	}
	return ready;
}

static bool is_wanted(struct mapping *m, struct span when)
{
	struct given given;

	if (when.len == 0)
		return true;
	given = resolve(m, when);
	return is_given(given) &&
	       (given.is_text || value_type(given.at) != VALUE_FALSE);
}

static bool has_filter(struct mapping *m)
{
	struct span filter, argument;
	struct value_iter it = path_items(m->answer, "filter");

	while (value_array_next(&it, &filter)) {
		argument = text_of(m, get(filter, "argument"));
		if (!is_missing(value_get(tool_arguments(m->run), argument)))
			return true;
	}
	return false;
}

static size_t read_limit(struct mapping *m)
{
	bool paged = path_has(tool_recipe(m->run), "parameters.limit");
	int64_t limit = tool_integer(m->run, "limit",
	                             paged ? DEFAULT_LIMIT : TOOL_ITEMS_MAX);

	return (size_t)MAX(MIN(limit, TOOL_ITEMS_MAX), 1);
}

static size_t read_offset(struct mapping *m)
{
	int64_t offset = tool_integer(m->run, "offset", 0);

	return (size_t)MAX(MIN(offset, TOOL_ITEMS_MAX), 0);
}

/* How many items to read: the page that is shown and one more, so that it is
 * known whether there are more; all when filters come before. */
static size_t items_of(struct mapping *m, const struct request *r)
{
	struct span list = get(m->answer, "list");

	if (!value_string_eq(list, r->name) || has_filter(m))
		return TOOL_ITEMS_MAX;
	return MIN(m->offset + m->limit + 1, (size_t)TOOL_ITEMS_MAX);
}

static void choose_region(struct mapping *m, struct request *r)
{
	struct span raw = get(r->recipe, "region");
	struct given given;

	if (value_string_eq(raw, SPAN("home"))) {
		tool_ask_home(r->ask);
		return;
	}
	given = resolve(m, raw);
	if (is_given(given))
		tool_ask_region(r->ask, plain(m, given));
}

static void ask(struct mapping *m, struct request *r)
{
	const char *operation = string_of(m, get(r->recipe, "operation"));
	struct span body = get(r->recipe, "body");
	struct span cache = get(r->recipe, "cache");

	if (m->bad || !operation_find(span_str(operation))) {
		m->bad = true;
		return;
	}
	r->ask = tool_ask(m->run, operation);
	r->phase = tool_phase(m->run);
	r->progress = ASKED;
	add_all(m, r->ask, get(r->recipe, "path"), tool_ask_path);
	add_all(m, r->ask, get(r->recipe, "query"), tool_ask_query);
	add_all(m, r->ask, get(r->recipe, "headers"), tool_ask_header);
	if (body.len &&
	    (value_type(body) != VALUE_STRING || is_given(resolve(m, body))))
		put_body(m, tool_ask_body(r->ask), body, 0);
	if (is_true(get(r->recipe, "list")))
		tool_ask_items(r->ask, items_of(m, r));
	if (is_true(get(r->recipe, "optional")))
		tool_ask_optional(r->ask);
	if (cache.len)
		tool_ask_cache(r->ask, string_of(m, cache));
	choose_region(m, r);
}

/* Ask, leave out, or keep waiting. True: asked. */
static bool advance(struct mapping *m, struct request *r)
{
	enum readiness ready = readiness(m, r);

	if (ready == LATER)
		return false;
	if (ready == READY && is_wanted(m, get(r->recipe, "when"))) {
		if (has_path(m, get(r->recipe, "path"))) {
			ask(m, r);
			return true;
		}
		if (!is_true(get(r->recipe, "optional")))
			tool_fail(m->run, TOOL_NOT_FOUND, NULL,
			          "there is nothing to look up for %.*s",
			          SPAN_ARG(r->name));
	}
	r->progress = LEFT_OUT;
	return false;
}

static void put_reference(void *owner, struct output *o, struct span raw)
{
	struct given given = resolve(owner, raw);

	if (given.is_text)
		output_text_or_null(o, NULL, given.at);
	else
		output_raw(o, NULL, given.at);
}

/* Members whose paths begin with the name of an answer. */
static void put_outer_members(struct mapping *m, struct output *o,
                              struct span fields)
{
	struct shape_group *group = shape_compile(&m->shapes, fields);

	if (m->shapes.bad)
		return;
	for (size_t i = 0; i < group->n; i++)
		group->wants[i].found = find_answer(m, group->wants[i].path);
	shape_put_members(&m->shapes, o, group);
}

/* --- filters -------------------------------------------------------------- */

static bool begins(struct span text, struct span head)
{
	return text.len >= head.len &&
	       span_eq_nocase(span_first(text, head.len), head);
}

static bool contains(struct span text, struct span part)
{
	for (; text.len >= part.len; text = span_from(text, 1))
		if (begins(text, part))
			return true;
	return false;
}

struct filter {
	bool (*match)(struct span value, struct span wanted);
	struct span field;
	struct span wanted; /* raw */
	struct span text;   /* as text, unless it is an array */
};

static bool match_text(struct mapping *m, const struct filter *f,
                       struct span value)
{
	struct span wanted, text = plain(m, (struct given){ value, false });
	struct value_iter it;

	if (value_type(f->wanted) != VALUE_ARRAY)
		return f->match(text, f->text);
	value_iter_init(&it, f->wanted);
	while (value_array_next(&it, &wanted))
		if (f->match(text, plain(m, (struct given){ wanted, false })))
			return true;
	return false;
}

/* One of several values is enough, on either side. */
static bool match(struct mapping *m, const struct filter *f, struct span item)
{
	struct span value = path_find(item, f->field), element;
	struct value_iter it;

	if (is_missing(value))
		return false;
	if (value_type(value) != VALUE_ARRAY)
		return match_text(m, f, value);
	value_iter_init(&it, value);
	while (value_array_next(&it, &element))
		if (match_text(m, f, element))
			return true;
	return false;
}

static bool read_filter(struct mapping *m, struct span raw, struct filter *f)
{
	static const struct {
		const char *word;
		bool (*match)(struct span value, struct span wanted);
	} words[] = {
		{ "contains", contains },
		{ "equals", span_eq_nocase },
		{ "prefix", begins },
	};
	struct span word = get(raw, "match");

	f->field = text_of(m, get(raw, "field"));
	f->wanted = value_get(tool_arguments(m->run),
	                      text_of(m, get(raw, "argument")));
	f->text = plain(m, (struct given){ f->wanted, false });
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (value_string_eq(word, span_str(words[i].word)))
			f->match = words[i].match;
	if (!f->match)
		m->bad = true;
	return f->match && !is_missing(f->wanted);
}

/* --- lists ---------------------------------------------------------------- */

#define FILTERS_MAX 16

/* The answer that is a list, in the making. */
struct list {
	struct filter filters[FILTERS_MAX];
	size_t n_filters;
	struct shape_group *group; /* NULL: items are shown as they came */
	size_t offset, limit;
	size_t matches, shown;
	size_t next; /* of the first match that was not shown, if any */
	bool unread; /* there are items that nobody looked at */
	bool cut;    /* the result would be too long */
	struct buf items;
	struct output o;
};

static void read_filters(struct mapping *m, struct list *list)
{
	struct value_iter it = path_items(m->answer, "filter");
	struct span raw;

	while (value_array_next(&it, &raw)) {
		struct filter f = { 0 };

		if (!read_filter(m, raw, &f))
			continue;
		if (list->n_filters == FILTERS_MAX) {
			m->bad = true;
			return;
		}
		list->filters[list->n_filters++] = f;
	}
}

static bool passes(struct mapping *m, const struct list *list, struct span item)
{
	for (size_t i = 0; i < list->n_filters; i++)
		if (!match(m, &list->filters[i], item))
			return false;
	return true;
}

/* Write one item, in which the paths have been looked up, unless that makes the
 * result too long. */
static void show(struct mapping *m, struct list *list, struct span item)
{
	size_t before = list->items.len;

	if (list->group)
		shape_put_found(&m->shapes, &list->o, list->group, item);
	else
		output_raw(&list->o, NULL, item);
	if (list->items.len > TOOL_RESULT_MAX - FRAME_MAX) {
		list->items.len = before;
		list->cut = true;
		return;
	}
	list->shown++;
	list->next = list->matches + 1;
}

static void go_over(struct mapping *m, struct list *list, struct span answer)
{
	struct value_iter it = path_items(answer, "");
	struct path_want *wants = list->group ? list->group->wants : NULL;
	size_t n = list->group ? list->group->n : 0;
	struct span item;

	while (path_next(&it, &item, wants, n)) {
		if (!passes(m, list, item))
			continue;
		if (list->matches >= list->offset &&
		    list->shown < list->limit && !list->cut)
			show(m, list, item);
		list->matches++;
	}
}

static void put_frame(struct mapping *m, const struct list *list,
                      struct span items, struct output *o)
{
	struct span extra = get(m->answer, "extra");
	struct span name = get(m->answer, "items");
	bool more = list->matches > list->next;

	m->bad |= value_type(name) != VALUE_STRING;
	if (list->unread)
		output_null(o, "total");
	else
		output_integer(o, "total", (int64_t)list->matches);
	output_integer(o, "count", (int64_t)list->shown);
	output_integer(o, "offset", (int64_t)list->offset);
	output_name_raw(o, name);
	output_raw(o, NULL, items);
	output_flag(o, "has_more", more);
	if (more)
		output_integer(o, "next_offset", (int64_t)list->next);
	else
		output_null(o, "next_offset");
	if (list->cut || (list->unread &&
	                  (list->n_filters || list->matches == TOOL_ITEMS_MAX)))
		output_flag(o, "truncated", true);
	if (extra.len)
		put_outer_members(m, o, extra);
}

static void put_list(struct mapping *m, struct output *o, struct span name)
{
	struct span path = text_of(m, name);
	struct span fields = get(m->answer, "fields");
	const struct request *r = find(m, span_first(path, head_of(path)));
	struct list list = {
		.offset = m->offset,
		.limit = m->limit,
		.items.max = ITEMS_MAX_BYTES,
	};

	if (!r) {
		m->bad = true;
		return;
	}
	list.next = list.offset;
	list.unread = r->progress == ASKED && tool_ask_more(r->ask);
	read_filters(m, &list);
	if (fields.len)
		list.group = shape_compile(&m->shapes, fields);
	output_init(&list.o, &list.items);
	output_array(&list.o, NULL);
	if (!m->bad && !m->shapes.bad)
		go_over(m, &list, find_answer(m, path));
	output_end(&list.o);
	if (list.cut && list.shown == 0)
		tool_fail(m->run, TOOL_VALIDATION,
		          "Ask for this one alone, or for the next offset.",
		          "the item at offset %zu is longer than a result may "
		          "be (%u bytes)",
		          list.offset, TOOL_RESULT_MAX);
	else
		put_frame(m, &list, buf_span(&list.items), o);
	buf_free(&list.items);
}

/* --- answers -------------------------------------------------------------- */

/* Everything as it came, for a recipe that does not say more. */
static void put_all(struct mapping *m, struct output *o)
{
	for (size_t i = 0; i < m->n; i++) {
		output_name(o, m->requests[i].name);
		output_raw(o, NULL, answer_of(&m->requests[i]));
	}
}

/* What is null because an optional request failed, and why. */
static void put_warnings(struct mapping *m, struct output *o)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		const struct request *r = &m->requests[i];

		if (r->progress != ASKED || tool_ask_ok(r->ask))
			continue;
		if (!any)
			output_array(o, "warnings");
		any = true;
		output_format(o, NULL, "%.*s: %.*s", SPAN_ARG(r->name),
		              SPAN_ARG(tool_ask_error(r->ask)));
	}
	if (any)
		output_end(o);
}

static void put_answer(struct mapping *m)
{
	struct span list = get(m->answer, "list");
	struct span fields = get(m->answer, "fields");
	struct output o;

	output_init(&o, tool_out(m->run));
	output_object(&o, NULL);
	if (list.len)
		put_list(m, &o, list);
	else if (fields.len)
		put_outer_members(m, &o, fields);
	else
		put_all(m, &o);
	put_warnings(m, &o);
	output_end(&o);
}

/* What a dry run would do: nothing was asked. */
static void put_dry(struct mapping *m)
{
	struct output o;

	output_init(&o, tool_out(m->run));
	output_object(&o, NULL);
	output_flag(&o, "dry_run", true);
	output_array(&o, "would_call");
	for (size_t i = 0; i < m->n; i++)
		output_raw(&o, NULL, get(m->requests[i].recipe, "operation"));
	output_end(&o);
	output_end(&o);
}

/* --- the steps ------------------------------------------------------------ */

static void begin(struct mapping *m)
{
	struct value_iter it = path_items(tool_recipe(m->run), "requests");
	struct span recipe;

	while (value_array_next(&it, &recipe)) {
		struct request *r = &m->requests[m->n];

		if (m->n == MAPPING_REQUESTS_MAX) {
			m->bad = true;
			return;
		}
		r->recipe = recipe;
		r->name = text_of(m, get(recipe, "as"));
		m->n++;
	}
	m->bad |= m->n == 0;
	m->answer = get(tool_recipe(m->run), "answer");
	m->limit = read_limit(m);
	m->offset = read_offset(m);
}

/* The mutation guard; false: it has refused. */
static bool may_run(struct mapping *m)
{
	struct span recipe = tool_recipe(m->run), where;

	if (!is_true(get(recipe, "write")))
		return true;
	where = path_has(recipe, "parameters.compartment_id")
	                ? tool_compartment(m->run)
	                : SPAN("");
	return tool_may_change(
		m->run, where,
		!path_has(recipe, "annotations.destructiveHint") ||
			path_flag(recipe, "annotations.destructiveHint"));
}

static enum tool_next refuse(struct mapping *m)
{
	tool_fail(m->run, TOOL_UNKNOWN,
	          "This is a defect of the tool: tell its administrator.",
	          "the description of this tool cannot be carried out");
	return TOOL_DONE;
}

static enum tool_next run_phase(struct mapping *m)
{
	size_t asked = 0, waiting = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct request *r = &m->requests[i];

		if (r->progress == WAITING)
			asked += advance(m, r);
		waiting += r->progress == WAITING;
	}
	if (m->bad)
		return refuse(m);
	if (asked)
		return TOOL_WAIT;
	if (waiting) /* for each other */
		return refuse(m);
	put_answer(m);
	return m->bad || m->shapes.bad ? refuse(m) : TOOL_DONE;
}

enum tool_next mapping_step(struct tool_run *run)
{
	struct mapping *m = tool_state(run);

	m->run = run;
	m->shapes.run = run;
	m->shapes.owner = m;
	m->shapes.put_reference = put_reference;
	if (tool_phase(run) > 0)
		return run_phase(m);
	begin(m);
	if (m->bad)
		return refuse(m);
	if (m->offset == TOOL_ITEMS_MAX) {
		tool_fail(run, TOOL_VALIDATION,
		          "Filter by name, state or time instead of paging.",
		          "offset: lists are read up to item %d",
		          TOOL_ITEMS_MAX);
		return TOOL_DONE;
	}
	if (!may_run(m))
		return TOOL_DONE;
	if (is_true(get(tool_recipe(run), "write")) && tool_is_dry(run)) {
		put_dry(m);
		return TOOL_DONE;
	}
	return run_phase(m);
}
