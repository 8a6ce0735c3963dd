#include "worker/address.h"

#include <stdlib.h>

#define BUCKETS 1024

struct address_count {
	struct ip ip;
	uint64_t n;
	struct address_count *next;
};

static struct address_count **find(struct address_table *t, const struct ip *ip)
{
	struct address_count **at;

	if (!t->buckets)
		t->buckets = calloc(BUCKETS, sizeof(struct address_count *));
	if (!t->buckets)
		abort();
	at = &t->buckets[ip_hash(ip, t->seed) % BUCKETS];
	while (*at && !ip_eq(&(*at)->ip, ip))
		at = &(*at)->next;
	return at;
}

bool address_take(struct address_table *t, const struct ip *ip, uint64_t most)
{
	struct address_count **at = find(t, ip);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return false;
		(*at)->ip = *ip;
	}
	if ((*at)->n >= most)
		return false;
	(*at)->n++;
	return true;
}

void address_release(struct address_table *t, const struct ip *ip)
{
	struct address_count **at = find(t, ip), *a = *at;

	if (a && --a->n == 0) {
		*at = a->next;
		free(a);
	}
}
