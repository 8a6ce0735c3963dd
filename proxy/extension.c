#include "proxy/extension.h"

#include <stdlib.h>

#include "lib/value.h"
#include "proxy/message.h"

#define OFFICIAL "io.modelcontextprotocol/"

/* What is understood here. */
static const struct known {
	struct span name;
	uint32_t ability;
	uint32_t client;    /* CLIENT_* of who declares it */
	uint32_t eras;      /* ERA_* of clients, and of backends */
	bool sole;          /* only one backend can have it */
	struct span scheme; /* of its resources, when no list has them */
} known[] = {
	{ SPAN_INIT(EXTENSION_TASKS), ABILITY_TASKS, CLIENT_TASKS, ERA_MODERN,
	  false, SPAN_INIT("") },
	{ SPAN_INIT(EXTENSION_UI), ABILITY_UI, CLIENT_UI, ERA_BOTH, false,
	  SPAN_INIT("") },
	{ SPAN_INIT(OFFICIAL "skills"), ABILITY_SKILLS, 0, ERA_MODERN, true,
	  SPAN_INIT("skill://") },
};

/* Identifiers that begin like this are about who may ask. */
static const struct span authorization[] = {
	SPAN_INIT(OFFICIAL "auth/"),
	SPAN_INIT(OFFICIAL "oauth-"),
	SPAN_INIT(OFFICIAL "enterprise-managed-authorization"),
};

static const struct known *find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (span_eq(known[i].name, name))
			return &known[i];
	return NULL;
}

static uint32_t era_bit(enum view_era era)
{
	return era == VIEW_MODERN ? ERA_MODERN : ERA_LEGACY;
}

/* "prefix/name", of characters that one can see. */
static bool good_name(struct span name)
{
	size_t slash = span_find(name, '/');

	if (slash == 0 || slash + 1 >= name.len ||
	    name.len > EXTENSION_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] > '~')
			return false;
	for (size_t i = 0; i < ARRAY_LEN(authorization); i++)
		if (span_starts(name, authorization[i]))
			return false;
	return true;
}

/* The next extension with a good identifier and an object; false: no more. */
static bool next(struct value_iter *it, struct span *name, struct span *value)
{
	struct span key;

	while (value_object_next(it, &key, value))
		if (value_string_plain(key, name) && good_name(*name) &&
		    value_type(*value) == VALUE_OBJECT)
			return true;
	return false;
}

/* Nothing but an object has members; then the iterator is at its end. */
static void begin(struct value_iter *it, struct span extensions)
{
	if (value_type(extensions) != VALUE_OBJECT)
		extensions = SPAN("{}");
	value_iter_init(it, extensions);
}

/* A member of an object that is open since from. White space is the only place
 * where JSON has line ends, and it may become other white space. */
static void add(struct buf *out, size_t from, struct span name,
                struct span value)
{
	buf_puts(out, out->len == from ? "{\"" : ",\"");
	buf_add_span(out, name);
	buf_puts(out, "\":");
	for (size_t i = 0; i < value.len; i++)
		buf_putc(out, value.at[i] == '\n' || value.at[i] == '\r'
		                      ? ' '
		                      : value.at[i]);
}

static void close_object(struct buf *out, size_t from)
{
	if (out->len > from)
		buf_putc(out, '}');
}

void extension_keep(struct span extensions, struct buf *out)
{
	struct value_iter it;
	struct span name, value;
	size_t from = out->len;

	begin(&it, extensions);
	for (int i = 0; i < EXTENSIONS_MAX && next(&it, &name, &value); i++) {
		size_t after = out->len - from + name.len + value.len + 5;

		/* Of a repeated one the first counts, for us and for all. */
		if (value_get(extensions, name).at == value.at &&
		    after <= EXTENSION_BYTES_MAX)
			add(out, from, name, value);
	}
	close_object(out, from);
}

uint32_t extension_abilities(struct span extensions)
{
	struct value_iter it;
	struct span name, value;
	uint32_t abilities = 0;

	begin(&it, extensions);
	while (next(&it, &name, &value)) {
		const struct known *k = find(name);

		abilities |= k ? k->ability : 0;
	}
	return abilities;
}

/* A host that shows other kinds of pages only is none to us. */
static bool shows_apps(struct span settings)
{
	struct span types = value_get(settings, SPAN("mimeTypes"));
	struct value_iter it;
	struct span type;

	if (value_type(types) != VALUE_ARRAY)
		return true;
	value_iter_init(&it, types);
	while (value_array_next(&it, &type))
		if (value_string_eq(type, SPAN("text/html;profile=mcp-app")))
			return true;
	return false;
}

uint32_t extension_client(struct span extensions)
{
	struct value_iter it;
	struct span name, value;
	uint32_t can = 0;

	begin(&it, extensions);
	while (next(&it, &name, &value)) {
		const struct known *k = find(name);

		if (k && (k->client != CLIENT_UI || shows_apps(value)))
			can |= k->client;
	}
	return can;
}

/* ---- what is offered ---- */

struct offer {
	struct span name, value;
	enum view_era era;
	uint32_t backend;
};

static int by_name(const void *a, const void *b)
{
	const struct offer *x = a, *y = b;
	int order = span_cmp(x->name, y->name);

	if (order)
		return order;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

static bool reaches(const struct offer *o, enum view_era view)
{
	const struct known *k = find(o->name);
	uint32_t eras = k ? k->eras : ERA_MODERN;

	return (eras & era_bit(view)) && (eras & era_bit(o->era));
}

static size_t collect(const struct extension_source *sources, uint32_t n,
                      enum view_era view, struct offer *offers)
{
	size_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct offer o = { .era = sources[i].era, .backend = i };
		struct value_iter it;
		int left = EXTENSIONS_MAX;

		begin(&it, sources[i].extensions);
		while (left-- > 0 && next(&it, &o.name, &o.value))
			if (reaches(&o, view))
				offers[count++] = o;
	}
	return count;
}

int extension_offer(const struct extension_source *sources, uint32_t n,
                    enum view_era view, struct buf *out)
{
	struct offer *offers =
		calloc((size_t)n * EXTENSIONS_MAX + 1, sizeof(*offers));
	size_t from = out->len, count, same;

	if (!offers)
		return -ENOMEM;
	count = collect(sources, n, view, offers);
	qsort(offers, count, sizeof(*offers), by_name);
	for (size_t i = 0; i < count; i += same) {
		const struct known *k = find(offers[i].name);

		for (same = 1; i + same < count; same++)
			if (!span_eq(offers[i + same].name, offers[i].name))
				break;
		if (same == 1)
			add(out, from, offers[i].name, offers[i].value);
		else if (k && !k->sole) /* whose settings? nobody's */
			add(out, from, offers[i].name, SPAN("{}"));
	}
	close_object(out, from);
	free(offers);
	return 0;
}

/* ---- what goes on ---- */

/* Does this backend have it, and do clients know? */
static bool goes_on(const struct snapshot *snap, uint32_t backend,
                    struct span name)
{
	const struct origin *o = snapshot_origin(snap, backend);
	struct span has = snapshot_text(snap, o->extensions[VIEW_MODERN]);
	struct span offered = snapshot_text(
		snap, snapshot_view(snap, VIEW_MODERN)->extensions);

	return value_get(has, name).at && value_get(offered, name).at;
}

bool extension_forward(const struct snapshot *snap, uint32_t backend,
                       struct span declared, uint32_t abilities, bool first,
                       struct buf *out)
{
	struct buf object = { .max = out->max };
	struct value_iter it;
	struct span name, value;
	bool others = false;

	if ((abilities & CLIENT_UI) && declared.len == 0)
		declared = SPAN("{" EXTENSION_UI_CLIENT "}");
	begin(&it, declared);
	for (int i = 0; i < EXTENSIONS_MAX && next(&it, &name, &value); i++) {
		if (!goes_on(snap, backend, name))
			continue;
		add(&object, 0, name, value);
		others |= !find(name);
	}
	close_object(&object, 0);
	if (object.len) {
		buf_puts(out, first ? "\"extensions\":" : ",\"extensions\":");
		buf_add_span(out, buf_span(&object));
	}
	buf_free(&object);
	return others;
}

uint32_t extension_session(const struct snapshot *snap, uint32_t backend,
                           uint32_t abilities)
{
	const struct origin *o = snapshot_origin(snap, backend);
	struct span has = snapshot_text(snap, o->extensions[VIEW_LEGACY]);

	if ((o->abilities & ABILITY_UI) &&
	    (extension_abilities(has) & ABILITY_UI))
		return abilities & ~CLIENT_TASKS;
	return abilities & ~EXTENSION_CLIENTS;
}

uint32_t extension_backend(const struct snapshot *snap, uint32_t ability)
{
	uint32_t n = snap->head->backends.len;
	uint32_t found = n;

	for (uint32_t i = 0; i < n; i++) {
		const struct origin *o = snapshot_origin(snap, i);

		if (!(o->abilities & ability) ||
		    !(extension_abilities(
			      snapshot_text(snap, o->extensions[VIEW_MODERN])) &
		      ability))
			continue;
		if (found < n)
			return n;
		found = i;
	}
	return found;
}

uint32_t extension_of_uri(struct span uri)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].scheme.len && span_starts(uri, known[i].scheme))
			return known[i].ability;
	return 0;
}
