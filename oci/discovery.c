#include "oci/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/value.h"
#include "oci/cache.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/runner.h"

#define DOMAINS_MAX 64
#define FOUND_MAX   50
#define WORDS_MAX   8
/* Bytes of a tenancy's OCID in oci_ping; of a longer one the ends. */
#define SHOWN_MAX   26
#define SHOWN_FIRST 20
#define SHOWN_LAST  5

/* --- oci_ping --------------------------------------------------------------
 */

struct ping {
	struct tool_ask *ask;
};

/* As the predecessor shortened it: the tenancy is not everybody's business. */
static void put_short(struct output *o, const char *key, struct span ocid)
{
	char text[SHOWN_FIRST + sizeof("...") + SHOWN_LAST];

	if (ocid.len <= SHOWN_MAX) {
		output_text_or_null(o, key, ocid);
		return;
	}
	snprintf(text, sizeof(text), "%.*s...%.*s", SHOWN_FIRST, ocid.at,
	         SHOWN_LAST, ocid.at + ocid.len - SHOWN_LAST);
	output_text(o, key, span_str(text));
}

static void put_ping(struct tool_run *run, const struct tool_ask *ask)
{
	const struct runner_tools *tools = runner_tools(run);
	struct span why = runner_no_identity(run);
	bool connected = ask && tool_ask_ok(ask);
	struct output o;

	if (why.len == 0 && ask && !connected)
		why = tool_ask_error(ask);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_flag(&o, "healthy", connected);
	output_text(&o, "server_name", tools->server_name);
	output_text(&o, "version", tools->server_version);
	output_flag(&o, "oci_connected", connected);
	output_text_or_null(&o, "auth_method", tool_auth_method(run));
	output_text_or_null(&o, "region", tool_region(run));
	output_object(&o, "details");
	output_object(&o, "oci");
	output_flag(&o, "healthy", connected);
	output_text_or_null(&o, "auth_method", tool_auth_method(run));
	output_text_or_null(&o, "region", tool_region(run));
	put_short(&o, "tenancy_id", tool_tenancy(run));
	output_flag(&o, "mutations_allowed",
	            runner_account(run)->allow_mutations);
	output_integer(&o, "clock_skew_seconds", runner_skew_s(run));
	output_text_or_null(&o, "error", why);
	output_end(&o);
	output_end(&o);
	output_end(&o);
}

/* A request that every credential may make says more than loaded files. */
static enum tool_next ping(struct tool_run *run)
{
	struct ping *p = tool_state(run);

	if (tool_phase(run) == 0 && runner_no_identity(run).len == 0) {
		p->ask = tool_ask(run,
		                  "identity/Identity/ListRegionSubscriptions");
		tool_ask_path(p->ask, "tenancyId", tool_tenancy(run));
		tool_ask_cache(p->ask, "");
		tool_ask_optional(p->ask);
		return TOOL_WAIT;
	}
	put_ping(run, p->ask);
	return TOOL_DONE;
}

/* --- oci_list_domains ------------------------------------------------------
 */

struct domain {
	struct span name;
	int64_t tools;
};

static bool is_alias(struct tool_run *run, struct span recipe, struct span name)
{
	return !span_eq(path_text(run, recipe, "name"), name);
}

static size_t find_domains(struct tool_run *run, struct domain *domains)
{
	const struct runner_tools *tools = runner_tools(run);
	struct span recipe, name;
	size_t n = 0;

	for (size_t i = 0; (recipe = tools->recipe(tools->owner, i, &name)).len;
	     i++) {
		size_t k = 0;

		if (is_alias(run, recipe, name))
			continue;
		name = path_text(run, recipe, "pack");
		while (k < n && !span_eq(domains[k].name, name))
			k++;
		if (k == DOMAINS_MAX)
			continue;
		if (k == n)
			domains[n++] = (struct domain){ .name = name };
		domains[k].tools++;
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	const struct domain *x = a, *y = b;

	return span_cmp(x->name, y->name);
}

static enum tool_next list_domains(struct tool_run *run)
{
	struct domain *domains =
		tool_alloc(run, DOMAINS_MAX * sizeof(*domains));
	size_t n = find_domains(run, domains);
	int64_t total = 0;
	struct output o;

	qsort(domains, n, sizeof(*domains), by_name);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_array(&o, "domains");
	for (size_t i = 0; i < n; i++) {
		output_object(&o, NULL);
		output_text(&o, "name", domains[i].name);
		if (tool_flag(run, "include_tool_count"))
			output_integer(&o, "tool_count", domains[i].tools);
		output_end(&o);
		total += domains[i].tools;
	}
	output_end(&o);
	output_integer(&o, "count", (int64_t)n);
	output_integer(&o, "total_tools", total);
	output_end(&o);
	return TOOL_DONE;
}

/* --- oci_search_tools ------------------------------------------------------
 */

struct found {
	struct span recipe, name;
	unsigned score;
};

static bool holds(struct span text, struct span word)
{
	for (size_t i = 0; i + word.len <= text.len; i++)
		if (span_eq_nocase(span_of(text.at + i, word.len), word))
			return true;
	return false;
}

static size_t split(struct span query, struct span *words)
{
	size_t n = 0;

	while (query.len && n < WORDS_MAX) {
		size_t len = 0;

		while (len < query.len && query.at[len] != ' ' &&
		       query.at[len] != '_' && query.at[len] != ',')
			len++;
		if (len)
			words[n++] = span_first(query, len);
		query = span_from(query, MIN(len + 1, query.len));
	}
	return n;
}

/* Every word must be somewhere; where it is says how good that is. */
static unsigned score(struct tool_run *run, struct span recipe,
                      const struct span *words, size_t n)
{
	static const struct {
		const char *path;
		unsigned points;
	} places[] = {
		{ "name", 3 },
		{ "title", 3 },
		{ "pack", 2 },
		{ "description", 1 },
	};
	unsigned sum = 0;

	for (size_t w = 0; w < n; w++) {
		unsigned points = 0;

		for (size_t i = 0; i < ARRAY_LEN(places); i++)
			if (holds(path_text(run, recipe, places[i].path),
			          words[w]))
				points += places[i].points;
		if (points == 0)
			return 0;
		sum += points;
	}
	return n ? sum : 1;
}

static int by_score(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return span_cmp(x->name, y->name);
}

/* Keep the best; found has FOUND_MAX rows, the worst is replaced. */
static void keep(struct found *found, size_t *n, size_t max,
                 const struct found *now)
{
	size_t worst = 0;

	if (*n < max) {
		found[(*n)++] = *now;
		return;
	}
	for (size_t i = 1; i < *n; i++)
		if (by_score(&found[i], &found[worst]) > 0)
			worst = i;
	if (by_score(now, &found[worst]) < 0)
		found[worst] = *now;
}

static size_t search(struct tool_run *run, struct found *found, size_t max,
                     int64_t *total)
{
	const struct runner_tools *tools = runner_tools(run);
	struct span words[WORDS_MAX], domain = tool_text(run, "domain");
	size_t n_words = split(tool_text(run, "query"), words), n = 0;
	struct span recipe, name;

	for (size_t i = 0; (recipe = tools->recipe(tools->owner, i, &name)).len;
	     i++) {
		struct found now = { .recipe = recipe, .name = name };

		if (is_alias(run, recipe, name))
			continue;
		if (domain.len &&
		    !span_eq_nocase(domain, path_text(run, recipe, "pack")))
			continue;
		now.score = score(run, recipe, words, n_words);
		if (now.score == 0)
			continue;
		(*total)++;
		keep(found, &n, max, &now);
	}
	qsort(found, n, sizeof(*found), by_score);
	return n;
}

static void put_found(struct tool_run *run, struct output *o,
                      const struct found *found)
{
	struct span level = tool_text(run, "detail_level");

	output_object(o, NULL);
	output_text(o, "name", found->name);
	if (!span_is(level, "name_only")) {
		output_path(o, "title", found->recipe, "title");
		output_path(o, "domain", found->recipe, "pack");
		output_path(o, "description", found->recipe, "description");
	}
	if (span_is(level, "full"))
		output_path(o, "schema", found->recipe, "inputSchema");
	output_end(o);
}

static enum tool_next search_tools(struct tool_run *run)
{
	struct found *found = tool_alloc(run, FOUND_MAX * sizeof(*found));
	size_t max = (size_t)tool_integer(run, "limit", 20);
	int64_t total = 0;
	size_t n = search(run, found, MIN(max, (size_t)FOUND_MAX), &total);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "query", tool_text(run, "query"));
	output_integer(&o, "total", total);
	output_integer(&o, "count", (int64_t)n);
	output_array(&o, "tools");
	for (size_t i = 0; i < n; i++)
		put_found(run, &o, &found[i]);
	output_end(&o);
	output_end(&o);
	return TOOL_DONE;
}

/* --- oci_get_cache_stats ---------------------------------------------------
 */

static void put_tier(struct output *o, struct cache *cache,
                     enum cache_tier tier)
{
	struct cache_counts n = { .size = 0 };
	uint64_t asked;

	if (cache)
		cache_count(cache, tier, &n);
	asked = n.hits + n.misses;
	output_object(o, NULL);
	output_string(o, "tier", cache_tier_name(tier));
	output_number(o, "ttl_seconds",
	              cache ? (double)cache_ttl_ms(cache, tier) / 1000 : 0, 3);
	output_number(o, "hit_rate_percent",
	              asked ? 100.0 * (double)n.hits / (double)asked : 0, 1);
	output_integer(o, "hits", (int64_t)n.hits);
	output_integer(o, "misses", (int64_t)n.misses);
	output_integer(o, "evictions", (int64_t)n.evictions);
	output_integer(o, "expirations", (int64_t)n.expirations);
	output_integer(o, "size", (int64_t)n.size);
	output_end(o);
}

static enum tool_next cache_stats(struct tool_run *run)
{
	struct cache *cache = runner_cache(run);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_array(&o, "tiers");
	for (enum cache_tier tier = 0; tier < CACHE_TIERS; tier++)
		put_tier(&o, cache, tier);
	output_end(&o);
	output_integer(&o, "max_entries",
	               cache ? (int64_t)cache_places(cache) : 0);
	output_end(&o);
	return TOOL_DONE;
}

const struct tool_function discovery_functions[] = {
	{ "ping", ping, sizeof(struct ping), true },
	{ "list_domains", list_domains, 0, true },
	{ "search_tools", search_tools, 0, true },
	{ "cache_stats", cache_stats, 0, true },
};
const size_t discovery_n_functions = ARRAY_LEN(discovery_functions);
