#include "proxy/watched.h"

#include <stdlib.h>

#include "shm/snapshot.h"

static size_t place_of(struct span uri)
{
	return snapshot_hash(uri) % WATCHED_PLACES;
}

struct watched *watched_find(const struct watched_set *set,
                             enum watch_kind kind, struct span uri)
{
	struct watched *u = set->places[place_of(uri)];

	while (u && (u->kind != kind || !span_eq(watched_uri(u), uri)))
		u = u->next;
	return u;
}

struct watched *watched_find_whole(const struct watched_set *set,
                                   struct span uri)
{
	struct watched *u = watched_find(set, WATCH_RESOURCE, uri);

	for (size_t n = uri.len; !u && n > 0; n--) {
		if (uri.at[n - 1] != '/')
			continue;
		u = watched_find(set, WATCH_RESOURCE, span_first(uri, n));
		if (!u)
			u = watched_find(set, WATCH_RESOURCE,
			                 span_first(uri, n - 1));
	}
	return u;
}

struct watched *watched_add(struct watched_set *set, enum watch_kind kind,
                            struct span uri)
{
	struct watched *u = watched_find(set, kind, uri);

	if (u || set->n == WATCH_URIS_MAX)
		return u;
	u = calloc(1, sizeof(*u) + uri.len);
	if (!u)
		return NULL;
	u->set = set;
	u->kind = kind;
	u->len = uri.len;
	memcpy(u->uri, uri.at, uri.len);
	u->place = place_of(uri);
	u->next = set->places[u->place];
	set->places[u->place] = u;
	set->n++;
	return u;
}

void watched_remove(struct watched *u)
{
	struct watched **at = &u->set->places[u->place];

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	u->set->n--;
	free(u);
}

struct watched *watched_next(const struct watched_set *set,
                             const struct watched *u)
{
	size_t i = u ? u->place + 1 : 0;

	if (u && u->next)
		return u->next;
	while (i < WATCHED_PLACES && !set->places[i])
		i++;
	return i < WATCHED_PLACES ? set->places[i] : NULL;
}
