#include "oci/shape.h"

#include "lib/value.h"

enum shape_kind {
	SHAPE_PATH,      /* the value that its path found */
	SHAPE_REFERENCE, /* what a dollar stands for */
	SHAPE_CONST,
	SHAPE_NOT,
	SHAPE_COUNT,
	SHAPE_FIELDS,
	SHAPE_EACH,
};

struct shape {
	enum shape_kind kind;
	struct span name;          /* of the member, raw */
	struct span raw;           /* SHAPE_REFERENCE, SHAPE_CONST */
	struct shape_group *group; /* SHAPE_FIELDS, and SHAPE_EACH of objects */
	struct shape *one;         /* SHAPE_EACH of anything else */
	struct span path;          /* of one */
};

static struct shape_group *compile_group(struct shape_source *s,
                                         struct span fields, unsigned depth);
static void compile(struct shape_source *s, struct span raw,
                    struct shape *shape, struct span *path, unsigned depth);

static struct span get(struct span object, const char *name)
{
	return value_get(object, span_str(name));
}

/* What a string of the pack means; it must be one. */
static struct span text_of(struct shape_source *s, struct span raw)
{
	s->bad |= value_type(raw) != VALUE_STRING;
	return path_means(s->run, raw);
}

static bool is_missing(struct span raw)
{
	return raw.len == 0 || value_type(raw) == VALUE_NULL;
}

static size_t count_members(struct span object)
{
	struct value_iter it;
	struct span name, value;
	size_t n = 0;

	value_iter_init(&it, object);
	while (value_object_next(&it, &name, &value))
		n++;
	return n;
}

/*
 * Memory of the run. Without any it gives the same scratch bytes again and
 * again, and the run has failed: what was compiled must then not be used.
 */
static void *alloc(struct shape_source *s, size_t n)
{
	void *at = tool_alloc(s->run, MAX(n, (size_t)1));

	s->bad |= at == s->last;
	s->last = at;
	return at;
}

/* Is this object a shape of its own, or the members of one? */
static bool is_shape(struct span raw)
{
	static const char *const alone[] = { "not", "count", "const" };
	size_t n;

	if (value_type(raw) != VALUE_OBJECT)
		return true;
	n = count_members(raw);
	if (get(raw, "from").len && n == 2 &&
	    (get(raw, "fields").len || get(raw, "each").len))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(alone); i++)
		if (n == 1 && get(raw, alone[i]).len)
			return true;
	return false;
}

static void compile_each(struct shape_source *s, struct span raw,
                         struct shape *shape, unsigned depth)
{
	shape->kind = SHAPE_EACH;
	if (!is_shape(raw)) {
		shape->group = compile_group(s, raw, depth);
		return;
	}
	shape->one = alloc(s, sizeof(*shape->one));
	compile(s, raw, shape->one, &shape->one->path, depth);
}

static void compile_object(struct shape_source *s, struct span raw,
                           struct shape *shape, struct span *path,
                           unsigned depth)
{
	static const struct {
		const char *word;
		enum shape_kind kind;
	} words[] = {
		{ "from", SHAPE_PATH },
		{ "not", SHAPE_NOT },
		{ "count", SHAPE_COUNT },
	};
	struct span word, fields = get(raw, "fields"), each = get(raw, "each");

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		word = get(raw, words[i].word);
		if (word.len == 0)
			continue;
		shape->kind = words[i].kind;
		*path = text_of(s, word);
		if (shape->kind == SHAPE_PATH && fields.len) {
			shape->kind = SHAPE_FIELDS;
			shape->group = compile_group(s, fields, depth + 1);
		} else if (shape->kind == SHAPE_PATH && each.len) {
			compile_each(s, each, shape, depth + 1);
		}
		return;
	}
	shape->kind = SHAPE_CONST;
	shape->raw = get(raw, "const");
	s->bad |= shape->raw.len == 0;
}

static void compile(struct shape_source *s, struct span raw,
                    struct shape *shape, struct span *path, unsigned depth)
{
	struct span text;

	if (depth > SHAPE_DEPTH_MAX) {
		s->bad = true;
		return;
	}
	if (value_type(raw) == VALUE_OBJECT) {
		compile_object(s, raw, shape, path, depth);
		return;
	}
	text = text_of(s, raw);
	if (text.len == 0 || text.at[0] != '$') {
		shape->kind = SHAPE_PATH;
		*path = text;
	} else {
		shape->kind = SHAPE_REFERENCE;
		shape->raw = raw;
	}
}

static struct shape_group *compile_group(struct shape_source *s,
                                         struct span fields, unsigned depth)
{
	bool good = value_type(fields) == VALUE_OBJECT;
	size_t n = good ? count_members(fields) : 0, i = 0;
	struct shape_group *group;
	struct shape *shapes;
	struct path_want *wants;
	struct value_iter it;
	struct span name, value, path;

	if (!good || n > SHAPE_MEMBERS_MAX || depth > SHAPE_DEPTH_MAX) {
		s->bad = true;
		n = 0;
	}
	group = alloc(s, sizeof(*group));
	shapes = alloc(s, n * sizeof(*shapes));
	wants = alloc(s, n * sizeof(*wants));
	value_iter_init(&it, fields);
	while (i < n && value_object_next(&it, &name, &value)) {
		path = SPAN("");
		shapes[i].name = name;
		compile(s, value, &shapes[i], &path, depth);
		wants[i++] = path_want(path);
	}
	*group = (struct shape_group){ n, shapes, wants };
	return group;
}

static void put_group(struct shape_source *s, struct output *o,
                      struct shape_group *group, struct span value);
static void put_shape(struct shape_source *s, struct output *o,
                      const struct shape *shape, struct span found);

static void put_each(struct shape_source *s, struct output *o,
                     const struct shape *shape, struct span found)
{
	struct value_iter it = path_items(found, "");
	struct shape_group *group = shape->group;
	struct span element;

	if (is_missing(found)) {
		output_null(o, NULL);
		return;
	}
	output_array(o, NULL);
	while (group && path_next(&it, &element, group->wants, group->n))
		shape_put_found(s, o, group, element);
	while (!group && value_array_next(&it, &element))
		put_shape(s, o, shape->one,
		          path_find(element, shape->one->path));
	output_end(o);
}

static void put_count(struct output *o, struct span found)
{
	if (is_missing(found))
		output_null(o, NULL);
	else
		output_integer(o, NULL, (int64_t)path_count(found, ""));
}

static void put_not(struct output *o, enum value_type type)
{
	if (type == VALUE_TRUE || type == VALUE_FALSE)
		output_flag(o, NULL, type == VALUE_FALSE);
	else
		output_null(o, NULL);
}

/* The value of a member whose name has been written, or of an element. */
static void put_shape(struct shape_source *s, struct output *o,
                      const struct shape *shape, struct span found)
{
	switch (shape->kind) {
	case SHAPE_PATH:
		output_raw(o, NULL, found);
		break;
	case SHAPE_REFERENCE:
		s->put_reference(s->owner, o, shape->raw);
		break;
	case SHAPE_CONST:
		output_raw(o, NULL, shape->raw);
		break;
	case SHAPE_NOT:
		put_not(o, value_type(found));
		break;
	case SHAPE_COUNT:
		put_count(o, found);
		break;
	case SHAPE_FIELDS:
		put_group(s, o, shape->group, found);
		break;
	case SHAPE_EACH:
		put_each(s, o, shape, found);
		break;
	}
}

void shape_put_members(struct shape_source *s, struct output *o,
                       const struct shape_group *group)
{
	for (size_t i = 0; i < group->n; i++) {
		output_name_raw(o, group->shapes[i].name);
		put_shape(s, o, &group->shapes[i], group->wants[i].found);
	}
}

void shape_put_found(struct shape_source *s, struct output *o,
                     const struct shape_group *group, struct span value)
{
	if (value_type(value) != VALUE_OBJECT) {
		output_null(o, NULL);
		return;
	}
	output_object(o, NULL);
	shape_put_members(s, o, group);
	output_end(o);
}

static void put_group(struct shape_source *s, struct output *o,
                      struct shape_group *group, struct span value)
{
	if (value_type(value) == VALUE_OBJECT)
		path_find_all(value, group->wants, group->n);
	shape_put_found(s, o, group, value);
}

struct shape_group *shape_compile(struct shape_source *s, struct span members)
{
	return compile_group(s, members, 0);
}
