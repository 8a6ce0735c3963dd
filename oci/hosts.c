#include "oci/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/ip.h"
#include "lib/url.h"

#define HTTPS_PORT 443

struct host {
	struct hosts *all;
	struct lookup *lookup; /* under way */
	uint64_t fresh_until_ms, used_ms;
	struct hosts_place place; /* n 0: not known */
	size_t len;
	char authority[URL_HOST_MAX + 8];
};

struct hosts {
	struct loop *loop;
	struct lookups *lookups;
	void (*on_news)(void *owner);
	void *owner;
	size_t n;
	struct host *table[HOSTS_MAX];
};

struct hosts *hosts_new(struct loop *loop, struct lookups *lookups,
                        void (*on_news)(void *owner), void *owner)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));

	if (!hosts)
		return NULL;
	hosts->loop = loop;
	hosts->lookups = lookups;
	hosts->on_news = on_news;
	hosts->owner = owner;
	return hosts;
}

static void forget(struct host *host)
{
	if (host->lookup)
		lookup_cancel(host->lookup);
	free(host);
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	for (size_t i = 0; i < hosts->n; i++)
		forget(hosts->table[i]);
	free(hosts);
}

static void on_found(void *owner, int err, const struct sockaddr_storage *at,
                     size_t n)
{
	struct host *host = owner;
	struct hosts *all = host->all;
	uint64_t now_ms = loop_now_ms(all->loop);

	host->lookup = NULL;
	if (err == 0) {
		host->place.n = MIN(n, (size_t)LOOKUP_ADDRESSES_MAX);
		memcpy(host->place.at, at, host->place.n * sizeof(*at));
	}
	host->fresh_until_ms =
		now_ms + (err == 0 ? HOSTS_FRESH_MS : HOSTS_RETRY_MS);
	all->on_news(all->owner);
}

static struct host *find(struct hosts *hosts, struct span authority)
{
	for (size_t i = 0; i < hosts->n; i++)
		if (span_eq_nocase(span_of(hosts->table[i]->authority,
		                           hosts->table[i]->len),
		                   authority))
			return hosts->table[i];
	return NULL;
}

/* A place in the table, maybe that of the one that nobody asked for longest. */
static struct host **place_for_one(struct hosts *hosts)
{
	size_t oldest = 0;

	if (hosts->n < HOSTS_MAX)
		return &hosts->table[hosts->n++];
	for (size_t i = 1; i < hosts->n; i++)
		if (hosts->table[i]->used_ms < hosts->table[oldest]->used_ms)
			oldest = i;
	forget(hosts->table[oldest]);
	return &hosts->table[oldest];
}

static struct host *add(struct hosts *hosts, struct span authority)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host || authority.len > sizeof(host->authority)) {
		free(host);
		return NULL;
	}
	host->all = hosts;
	host->len = authority.len;
	memcpy(host->authority, authority.at, authority.len);
	*place_for_one(hosts) = host;
	return host;
}

static void look_up(struct host *host, const struct url_authority *at)
{
	uint16_t port = at->port ? at->port : HTTPS_PORT;

	host->lookup = lookup_start(host->all->lookups, at->host, port,
	                            on_found, host);
}

enum hosts_state hosts_find(struct hosts *hosts, struct span authority,
                            struct hosts_place *place)
{
	uint64_t now_ms = loop_now_ms(hosts->loop);
	struct url_authority at;
	struct host *host;
	struct ip ip;

	place->n = 0;
	if (url_parse_authority(authority, &at) != URL_OK)
		return HOSTS_UNKNOWN;
	if (ip_parse(at.host, &ip))
		return HOSTS_KNOWN;
	host = find(hosts, authority);
	if (!host)
		host = add(hosts, authority);
	if (!host)
		return HOSTS_UNKNOWN;
	host->used_ms = now_ms;
	if (!host->lookup && host->fresh_until_ms <= now_ms)
		look_up(host, &at);
	if (host->place.n) {
		*place = host->place;
		return HOSTS_KNOWN;
	}
	return host->lookup ? HOSTS_COMING : HOSTS_UNKNOWN;
}
