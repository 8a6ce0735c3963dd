#include "shm/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/board.h"
#include "shm/segment.h"

/*
 * Elements of an array that nothing else bounds. They keep a segment in which
 * arrays overlap from costing a reader more than a walk over its size.
 */
#define LIST_MAX    65536u
#define ENTRIES_MAX 65536u
#define MIRRORS_MAX 64u
#define RECIPES_MAX 8192u
#define OWN_MAX     64u /* kinds of ENTRY_OWN; layers above know them */

/*
 * What a segment consists of: a shape is a structure, its fields are the refs
 * in it. Checking a segment is a walk over these tables from the header on.
 */
struct walk {
	const struct snapshot *snap;
	size_t end; /* nothing may be referred to from here on */
};

struct shape;
struct field {
	size_t at;              /* offset of the ref in its structure */
	const struct shape *of; /* of the elements; NULL: a string */
	uint32_t min, max;      /* elements */
	bool part;              /* of another string: no NUL behind it */
};

struct shape {
	size_t size;
	const struct field *fields;
	size_t n_fields;
	/* What the fields cannot say; NULL: nothing. */
	bool (*sound)(const struct walk *w, const void *element);
};

#define TEXT(s, member)                                      \
	{                                                    \
		.at = offsetof(struct s, member), .of = NULL \
	}
#define PART(s, member)                                                    \
	{                                                                  \
		.at = offsetof(struct s, member), .of = NULL, .part = true \
	}
#define ARRAY(s, member, shape, least, most)                      \
	{                                                         \
		.at = offsetof(struct s, member), .of = &(shape), \
		.min = (least), .max = (most)                     \
	}
#define FIELDS(table) .fields = (table), .n_fields = ARRAY_LEN(table)

static const struct header *head_of(const struct walk *w)
{
	return w->snap->head;
}

static const struct shape settings_shape = { .size = sizeof(struct settings) };

static const struct field text_fields[] = { { .at = 0, .of = NULL } };
static const struct shape text_shape = {
	.size = sizeof(struct ref),
	FIELDS(text_fields),
};

static const struct field recipe_fields[] = {
	TEXT(recipe_row, name),
	TEXT(recipe_row, recipe),
};
static const struct shape recipe_shape = {
	.size = sizeof(struct recipe_row),
	FIELDS(recipe_fields),
};

static bool sound_backend(const struct walk *w, const void *element)
{
	const struct backend *b = element;

	(void)w;
	return b->slot < BACKENDS_MAX && b->port <= UINT16_MAX &&
	       b->auth <= BACKEND_AUTH_KEY;
}

static const struct field backend_fields[] = {
	TEXT(backend, name),
	TEXT(backend, identifier),
	TEXT(backend, description),
	TEXT(backend, url),
	TEXT(backend, host),
	TEXT(backend, authority),
	TEXT(backend, path),
	TEXT(backend, fields),
	TEXT(backend, ca_pem),
	TEXT(backend, oci_config_file),
	TEXT(backend, oci_profile),
	TEXT(backend, oci_region),
	TEXT(backend, definitions),
	ARRAY(backend, recipes, recipe_shape, 0, RECIPES_MAX),
};
static const struct shape backend_shape = {
	.size = sizeof(struct backend),
	FIELDS(backend_fields),
	.sound = sound_backend,
};

static const struct field token_fields[] = {
	TEXT(token_row, client_id),
	TEXT(token_row, subject),
};
static const struct shape token_shape = {
	.size = sizeof(struct token_row),
	FIELDS(token_fields),
};

static const struct field key_fields[] = {
	TEXT(key_row, der),
	TEXT(key_row, kid),
};
static const struct shape key_shape = {
	.size = sizeof(struct key_row),
	FIELDS(key_fields),
};

static const struct field rule_fields[] = { TEXT(scope_rule, pattern) };
static const struct shape rule_shape = {
	.size = sizeof(struct scope_rule),
	FIELDS(rule_fields),
};

static bool sound_net(const struct walk *w, const void *element)
{
	const struct ip_net *net = element;

	(void)w;
	return net->bits <= 8 * sizeof(net->base.bytes);
}

static const struct shape net_shape = {
	.size = sizeof(struct ip_net),
	.sound = sound_net,
};

static bool sound_peer(const struct walk *w, const void *element)
{
	const struct peer *peer = element;

	(void)w;
	return peer->port > 0 && peer->port <= UINT16_MAX;
}

static const struct shape peer_shape = {
	.size = sizeof(struct peer),
	.sound = sound_peer,
};

static bool sound_origin(const struct walk *w, const void *element)
{
	const struct origin *o = element;

	(void)w;
	if (o->n_addresses > ADDRESSES_MAX)
		return false;
	for (uint32_t i = 0; i < o->n_addresses; i++)
		if (o->addresses[i].ss_family != AF_INET &&
		    o->addresses[i].ss_family != AF_INET6)
			return false;
	return true;
}

static const struct field origin_fields[] = {
	TEXT(origin, legacy_version),
	TEXT(origin, extensions[VIEW_LEGACY]),
	TEXT(origin, extensions[VIEW_MODERN]),
};
static const struct shape origin_shape = {
	.size = sizeof(struct origin),
	FIELDS(origin_fields),
	.sound = sound_origin,
};

static bool sound_mirror(const struct walk *w, const void *element)
{
	const struct mirror *m = element;

	(void)w;
	return m->type <= MIRROR_BOOLEAN;
}

static const struct field mirror_fields[] = {
	TEXT(mirror, field),
	TEXT(mirror, path),
};
static const struct shape mirror_shape = {
	.size = sizeof(struct mirror),
	FIELDS(mirror_fields),
	.sound = sound_mirror,
};

static bool sound_entry(const struct walk *w, const void *element)
{
	const struct entry *e = element;
	uint32_t n = e->flags & ENTRY_OWN ? OWN_MAX : head_of(w)->backends.len;

	return e->backend < n && e->metric < TOOL_ROWS;
}

static const struct field entry_fields[] = {
	TEXT(entry, name),
	TEXT(entry, upstream),
	PART(entry, json),
	ARRAY(entry, mirrors, mirror_shape, 0, MIRRORS_MAX),
};
static const struct shape entry_shape = {
	.size = sizeof(struct entry),
	FIELDS(entry_fields),
	.sound = sound_entry,
};

static bool sound_reference(const struct walk *w, const void *element)
{
	const struct reference *r = element;

	return r->backend < head_of(w)->backends.len;
}

static const struct field reference_fields[] = { TEXT(reference, uri) };
static const struct shape reference_shape = {
	.size = sizeof(struct reference),
	FIELDS(reference_fields),
	.sound = sound_reference,
};

static const struct shape place_shape = { .size = sizeof(uint32_t) };

/* The lists of a view are in it, not referred to by it. */
#define LIST_FIELDS(kind)                                              \
	ARRAY(view, lists[kind].entries, entry_shape, 0, ENTRIES_MAX), \
		ARRAY(view, lists[kind].table, place_shape, 0,         \
	              4 * ENTRIES_MAX),                                \
		TEXT(view, lists[kind].items)

static const struct field view_fields[] = {
	LIST_FIELDS(LIST_TOOLS),
	LIST_FIELDS(LIST_PROMPTS),
	LIST_FIELDS(LIST_RESOURCES),
	LIST_FIELDS(LIST_TEMPLATES),
	ARRAY(view, references, reference_shape, 0, ENTRIES_MAX),
	TEXT(view, extensions),
};

/* A list's hash table is a power of two, has room, and points at entries. */
static bool sound_list(const struct list *list, const uint32_t *table)
{
	uint32_t n = list->table.len;

	if (n == 0)
		return list->entries.len == 0;
	if ((n & (n - 1)) != 0 || n <= list->entries.len)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (table[i] > list->entries.len)
			return false;
	return true;
}

static bool sound_view(const struct walk *w, const void *element)
{
	const struct view *view = element;

	for (int i = 0; i < LIST_KINDS; i++) {
		const struct list *list = &view->lists[i];

		if (!sound_list(list, snapshot_array(w->snap, list->table)))
			return false;
	}
	return true;
}

static const struct shape view_shape = {
	.size = sizeof(struct view),
	FIELDS(view_fields),
	.sound = sound_view,
};

/* Written by the master: all of it lies before config_end. */
static const struct field config_fields[] = {
	ARRAY(header, settings, settings_shape, 1, 1),
	TEXT(header, name),
	TEXT(header, program_version),
	TEXT(header, path),
	TEXT(header, public_url),
	TEXT(header, instructions),
	ARRAY(header, backends, backend_shape, 0, BACKENDS_MAX),
	ARRAY(header, tokens, token_shape, 0, LIST_MAX),
	ARRAY(header, keys, key_shape, 0, LIST_MAX),
	TEXT(header, issuer),
	ARRAY(header, audiences, text_shape, 0, LIST_MAX),
	ARRAY(header, authorization_servers, text_shape, 0, LIST_MAX),
	ARRAY(header, scopes, text_shape, 0, SCOPES_MAX),
	ARRAY(header, scope_rules, rule_shape, 0, LIST_MAX),
	ARRAY(header, allowed_hosts, text_shape, 0, LIST_MAX),
	ARRAY(header, cors_origins, text_shape, 0, LIST_MAX),
	ARRAY(header, trusted, net_shape, 0, LIST_MAX),
	TEXT(header, tls_cert),
	TEXT(header, tls_key),
	TEXT(header, oci_compartment),
	TEXT(header, oci_tenancy),
	TEXT(header, oci_endpoint),
	TEXT(header, oci_ca),
	TEXT(header, replica_ca),
	ARRAY(header, peers, peer_shape, 0, PEERS_MAX),
	ARRAY(header, oci_compartments, text_shape, 0, LIST_MAX),
};
static const struct shape config_shape = {
	.size = sizeof(struct header),
	FIELDS(config_fields),
};

/* Appended by whoever builds the catalogue. */
static const struct field catalog_fields[] = {
	ARRAY(header, origins, origin_shape, 0, BACKENDS_MAX),
	ARRAY(header, views, view_shape, VIEWS, VIEWS),
};
static const struct shape catalog_shape = {
	.size = sizeof(struct header),
	FIELDS(catalog_fields),
};

static bool inside(const struct walk *w, struct ref r, uint64_t bytes)
{
	return r.off >= sizeof(struct header) && r.off + bytes <= w->end;
}

static bool text_ok(const struct walk *w, const struct field *field,
                    struct ref r)
{
	if (r.off == 0)
		return r.len == 0;
	if (field->part)
		return inside(w, r, r.len);
	return inside(w, r, (uint64_t)r.len + 1) &&
	       w->snap->base[(size_t)r.off + r.len] == '\0';
}

static bool struct_ok(const struct walk *w, const struct shape *shape,
                      const void *at);

static bool array_ok(const struct walk *w, const struct field *field,
                     struct ref r)
{
	const char *at = w->snap->base + r.off;

	if (r.len < field->min || r.len > field->max)
		return false;
	if (r.len == 0 && r.off == 0)
		return true;
	if (r.off % 8 || !inside(w, r, (uint64_t)r.len * field->of->size))
		return false;
	for (uint32_t i = 0; i < r.len; i++, at += field->of->size)
		if (!struct_ok(w, field->of, at))
			return false;
	return true;
}

/* The tables above end in shapes without fields, so this ends too. */
static bool struct_ok(const struct walk *w, const struct shape *shape,
                      const void *at)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = &shape->fields[i];
		struct ref r;

		memcpy(&r, (const char *)at + field->at, sizeof(r));
		if (!(field->of ? array_ok(w, field, r) : text_ok(w, field, r)))
			return false;
	}
	return !shape->sound || shape->sound(w, at);
}

/* snapshot_scope() searches by halves. */
static bool scopes_sorted(const struct snapshot *s)
{
	const struct ref *scopes = snapshot_array(s, s->head->scopes);

	for (uint32_t i = 1; i < s->head->scopes.len; i++)
		if (span_cmp(snapshot_text(s, scopes[i - 1]),
		             snapshot_text(s, scopes[i])) >= 0)
			return false;
	return true;
}

static bool contents_ok(const struct snapshot *s)
{
	const struct header *head = s->head;
	struct walk config = { .snap = s, .end = head->config_end };
	struct walk whole = { .snap = s, .end = s->size };

	return head->config_end >= sizeof(*head) &&
	       head->config_end <= s->size &&
	       struct_ok(&config, &config_shape, head) && scopes_sorted(s) &&
	       head->origins.len == head->backends.len &&
	       struct_ok(&whole, &catalog_shape, head);
}

static int check(const struct snapshot *s)
{
	const struct header *head = s->head;

	if (s->size < sizeof(*head))
		return -EPROTO;
	if (head->magic != LAYOUT_MAGIC || head->version != LAYOUT_VERSION ||
	    head->n_settings != sizeof(struct settings) / sizeof(int64_t))
		return -EPROTO;
	if (head->size != s->size || !contents_ok(s))
		return -EBADMSG;
	return 0;
}

int snapshot_open(int fd, struct snapshot **out)
{
	const void *at;
	size_t size;
	int err = segment_map(fd, LAYOUT_MAX, &at, &size);

	close(fd);
	if (err < 0)
		return err == -EMSGSIZE ? -EBADMSG : err;

	struct snapshot *s = calloc(1, sizeof(*s));
	if (!s) {
		munmap((void *)(uintptr_t)at, size);
		return -ENOMEM;
	}
	*s = (struct snapshot){
		.head = at,
		.base = at,
		.size = size,
		.refs = 1,
	};
	err = check(s);
	if (err < 0) {
		snapshot_unref(s);
		return err;
	}
	s->settings = snapshot_array(s, s->head->settings);
	*out = s;
	return 0;
}

struct snapshot *snapshot_ref(struct snapshot *snap)
{
	assert(snap->refs > 0);
	snap->refs++;
	return snap;
}

void snapshot_unref(struct snapshot *snap)
{
	if (!snap)
		return;
	assert(snap->refs > 0);
	if (--snap->refs > 0)
		return;
	munmap((void *)(uintptr_t)snap->base, snap->size);
	free(snap);
}

/* An odd constant with its bits well spread: 2^64 divided by the golden ratio.
 */
#define SPREAD 0x9e3779b97f4a7c15u

static uint64_t stir(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * SPREAD;
	return hash ^ hash >> 29;
}

uint32_t snapshot_hash(struct span name)
{
	uint64_t hash = stir(0, name.len);
	uint64_t word;

	for (; name.len >= sizeof(word); name = span_from(name, sizeof(word))) {
		memcpy(&word, name.at, sizeof(word));
		hash = stir(hash, word);
	}
	word = 0;
	if (name.len)
		memcpy(&word, name.at, name.len);
	hash = stir(hash, word);
	return (uint32_t)(hash >> 32);
}

const struct entry *snapshot_find(const struct snapshot *s,
                                  const struct list *list, struct span name)
{
	const uint32_t *table = snapshot_array(s, list->table);
	const struct entry *entries = snapshot_array(s, list->entries);
	uint32_t mask = list->table.len - 1;

	if (list->table.len == 0)
		return NULL;
	/* A free place ends the search; there is one, snapshot_open() saw to
	 * there being more places than entries, but not to each being used
	 * once.
	 */
	for (uint32_t i = 0, at = snapshot_hash(name); i <= mask; i++, at++) {
		uint32_t place = table[at & mask];

		if (place == 0)
			return NULL;
		if (span_eq(snapshot_text(s, entries[place - 1].name), name))
			return &entries[place - 1];
	}
	return NULL;
}

const struct reference *snapshot_reference(const struct snapshot *s,
                                           const struct view *view,
                                           struct span uri)
{
	const struct reference *r = snapshot_array(s, view->references);
	uint32_t low = 0;
	uint32_t high = view->references.len;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = span_cmp(uri, snapshot_text(s, r[mid].uri));

		if (order == 0)
			return &r[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

int snapshot_scope(const struct snapshot *s, struct span scope)
{
	const struct ref *scopes = snapshot_array(s, s->head->scopes);
	uint32_t low = 0;
	uint32_t high = s->head->scopes.len;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = span_cmp(scope, snapshot_text(s, scopes[mid]));

		if (order == 0)
			return (int)mid;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -1;
}
