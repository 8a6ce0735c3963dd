#include "oci/region.h"

#include "lib/url.h"

#define LITERAL(text)                     \
	{                                 \
		text, sizeof("" text) - 1 \
	}

const struct region region_table[] = {
#define REGION(key, identifier, realm, domain) \
	{ LITERAL(key), LITERAL(identifier), LITERAL(realm), LITERAL(domain) },
#include "oci/region.def"
};

const struct region_realm region_realms[] = {
#define REALM(name, domain) { LITERAL(name), LITERAL(domain) },
#include "oci/region.def"
};

const size_t region_count = ARRAY_LEN(region_table);
const size_t region_realm_count = ARRAY_LEN(region_realms);

/* Of templates that one realm has for itself. */
static const struct span customer_domain = { "customer-oci.com", 16 };

/* A guess may have one wrong letter in so many. */
#define LETTERS_PER_SLIP 4

static const char *const sentences[REGION_ERRORS_MAX] = {
	[REGION_OK] = "no error",
	[REGION_EMPTY] = "no region is given",
	[REGION_BAD_NAME] = "the region is not a name like eu-frankfurt-1 or "
			    "fra",
	[REGION_UNKNOWN] = "there is no such region",
	[REGION_BAD_CONFIG] = "regions-config.json is not a JSON array of "
			      "objects with regionIdentifier, regionKey, "
			      "realmKey and realmDomainComponent",
	[REGION_BAD_METADATA] = "the region metadata (OCI_REGION_METADATA or "
				"the instance's) is not a JSON object with "
				"regionIdentifier, regionKey, realmKey and "
				"realmDomainComponent",
	[REGION_BAD_REALM] = "OCI_DEFAULT_REALM is neither a domain nor the "
			     "name of a realm",
};

const struct region *region_find(struct span name)
{
	for (size_t i = 0; i < region_count; i++)
		if (span_eq_nocase(name, region_table[i].identifier) ||
		    span_eq_nocase(name, region_table[i].key))
			return &region_table[i];
	return NULL;
}

struct span region_realm_domain(struct span realm)
{
	for (size_t i = 0; i < region_realm_count; i++)
		if (span_eq_nocase(realm, region_realms[i].name))
			return region_realms[i].domain;
	return (struct span){ 0 };
}

static bool is_inside(struct span host, struct span domain)
{
	size_t head = host.len - MIN(host.len, domain.len);

	return span_eq_nocase(span_from(host, head), domain) &&
	       (head == 0 || host.at[head - 1] == '.');
}

bool region_owns_host(struct span host)
{
	for (size_t i = 0; i < region_realm_count; i++)
		if (is_inside(host, region_realms[i].domain))
			return true;
	return is_inside(host, customer_domain);
}

/* --- names ---------------------------------------------------------------- */

static bool is_letter(char c)
{
	char lower = (char)ascii_lower((unsigned char)c);

	return lower >= 'a' && lower <= 'z';
}

static bool is_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (!is_letter(c) && (c < '0' || c > '9') && c != '-' &&
		    c != '_')
			return false;
	}
	return text.len > 0 && text.len <= REGION_NAME_MAX &&
	       is_letter(*text.at);
}

/* A host name with a dot, no address, no port. */
static bool is_domain(struct span text)
{
	struct url_authority parts;

	return text.len <= REGION_DOMAIN_MAX &&
	       span_find(text, '.') < text.len &&
	       url_parse_authority(text, &parts) == URL_OK && parts.port == 0 &&
	       !parts.ipv6;
}

/* text fits: it was checked. */
static void put(char *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		to[i] = (char)ascii_lower((unsigned char)text.at[i]);
	to[text.len] = '\0';
}

static void fill(struct region_resolved *out, const struct region *from)
{
	put(out->key, from->key);
	put(out->identifier, from->identifier);
	put(out->realm, from->realm);
	put(out->domain, from->domain);
}

struct region region_view(const struct region_resolved *resolved)
{
	return (struct region){
		.key = span_str(resolved->key),
		.identifier = span_str(resolved->identifier),
		.realm = span_str(resolved->realm),
		.domain = span_str(resolved->domain),
	};
}

/* --- other sources -------------------------------------------------------- */

bool region_of_json(struct json_value object, struct region_resolved *out)
{
	struct region r = {
		.key = json_text(json_get(object, "regionKey")),
		.identifier = json_text(json_get(object, "regionIdentifier")),
		.realm = json_text(json_get(object, "realmKey")),
		.domain = json_text(json_get(object, "realmDomainComponent")),
	};

	*out = (struct region_resolved){ 0 };
	if (!is_name(r.key) || !is_name(r.identifier) || !is_name(r.realm) ||
	    !is_domain(r.domain))
		return false;
	fill(out, &r);
	return true;
}

static bool is_called(const struct region_resolved *r, struct span name)
{
	return span_eq_nocase(name, span_str(r->identifier)) ||
	       span_eq_nocase(name, span_str(r->key));
}

/* A text with one region, or an array of them. */
struct source {
	struct span text;
	bool many;
	enum region_error broken;
};

/* One region; *found when it is the one we look for. */
static bool look_at(struct json_value object, struct span name,
                    struct region_resolved *out, bool *found)
{
	struct region_resolved r;

	if (!region_of_json(object, &r))
		return false;
	*found = is_called(&r, name);
	if (*found)
		*out = r;
	return true;
}

static bool look_through(struct json_value root, bool many, struct span name,
                         struct region_resolved *out, bool *found)
{
	if (!many)
		return look_at(root, name, out, found);
	if (json_type(root) != JSON_ARRAY)
		return false;
	for (struct json_value v = json_first(root); json_exists(v) && !*found;
	     v = json_next(v))
		if (!look_at(v, name, out, found))
			return false;
	return true;
}

static enum region_error look_in(const struct source *source, struct span name,
                                 struct region_resolved *out, bool *found)
{
	struct json_error why;
	struct json *doc;
	bool good;

	if (source->text.len == 0)
		return REGION_OK;
	if (json_parse(source->text, 0, &doc, &why) < 0)
		return source->broken;
	good = look_through(json_root(doc), source->many, name, out, found);
	json_free(doc);
	return good ? REGION_OK : source->broken;
}

static enum region_error look_elsewhere(const struct region_sources *from,
                                        struct span name,
                                        struct region_resolved *out,
                                        bool *found)
{
	const struct source sources[] = {
		{ from->config, true, REGION_BAD_CONFIG },
		{ from->metadata, false, REGION_BAD_METADATA },
		{ from->instance, false, REGION_BAD_METADATA },
	};
	enum region_error error = REGION_OK;

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		error = look_in(&sources[i], name, out, found);
		if (error != REGION_OK || *found)
			break;
	}
	return error;
}

/* The realm of a domain; several share one, then the first. */
static struct span realm_of(struct span domain)
{
	for (size_t i = 0; i < region_realm_count; i++)
		if (span_eq_nocase(domain, region_realms[i].domain))
			return region_realms[i].name;
	return (struct span){ 0 };
}

/* A region that nobody knows, in the realm that is the default. */
static enum region_error assume(struct span name, struct span realm,
                                struct region_resolved *out)
{
	struct region r = { .identifier = name };

	if (realm.len == 0)
		realm = SPAN("oc1");
	r.domain = region_realm_domain(realm);
	if (r.domain.len) {
		r.realm = realm;
	} else if (is_domain(realm)) {
		r.domain = realm;
		r.realm = realm_of(realm);
	} else {
		return REGION_BAD_REALM;
	}
	fill(out, &r);
	return REGION_OK;
}

enum region_error region_resolve(struct span name,
                                 const struct region_sources *sources,
                                 struct region_resolved *out)
{
	static const struct region_sources none = { .strict = true,
		                                    .no_domain = true };
	const struct region_sources *from = sources ? sources : &none;
	const struct region *known = region_find(name);
	enum region_error error;
	bool found = false;

	*out = (struct region_resolved){ 0 };
	if (name.len == 0)
		return REGION_EMPTY;
	if (known) {
		fill(out, known);
		return REGION_OK;
	}
	if (!is_name(name) && !is_domain(name))
		return REGION_BAD_NAME;
	error = look_elsewhere(from, name, out, &found);
	if (error != REGION_OK || found)
		return error;
	if (is_domain(name)) {
		if (from->no_domain)
			return REGION_UNKNOWN;
		put(out->identifier, name);
		return REGION_OK;
	}
	if (from->strict)
		return REGION_UNKNOWN;
	return assume(name, from->realm, out);
}

/* --- the nearest ---------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool is_same(char a, char b)
{
	return ascii_lower((unsigned char)a) == ascii_lower((unsigned char)b);
}

/*
 * Letters to insert, delete, change or swap with their neighbour: row by row,
 * of which three are kept. Both texts are at most REGION_NAME_MAX bytes.
 */
static unsigned distance(struct span a, struct span b)
{
	unsigned rows[3][REGION_NAME_MAX + 1];
	unsigned *above = rows[0], *row = rows[1], *older = rows[2];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *free_row = older;

		older = above;
		above = row;
		row = free_row;
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = is_same(a.at[i - 1], b.at[j - 1]);

			row[j] = least(least(row[j - 1], above[j]) + 1,
			               above[j - 1] + !same);
			if (i > 1 && j > 1 &&
			    is_same(a.at[i - 1], b.at[j - 2]) &&
			    is_same(a.at[i - 2], b.at[j - 1]))
				row[j] = least(row[j], older[j - 2] + 1);
		}
	}
	return row[b.len];
}

static bool contains(struct span text, struct span part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (span_eq_nocase(span_first(span_from(text, i), part.len),
		                   part))
			return true;
	return false;
}

/* As distance(), or UINT32_MAX when it is more than most. */
static unsigned distance_within(struct span a, struct span b, size_t most)
{
	size_t differ = MAX(a.len, b.len) - MIN(a.len, b.len);
	unsigned far = differ > most ? UINT32_MAX : distance(a, b);

	return far <= most ? far : UINT32_MAX;
}

/* How far a region is from a name; UINT32_MAX when too far to be meant. */
static unsigned farness(struct span name, const struct region *region)
{
	size_t slips = 1 + name.len / LETTERS_PER_SLIP;

	if (name.len <= region->key.len + 1)
		return distance_within(name, region->key, slips);
	if (contains(region->identifier, name))
		return 1; /* "frankfurt" */
	return distance_within(name, region->identifier, slips);
}

size_t region_nearest(struct span name,
                      const struct region *out[REGION_NEAREST_MAX])
{
	unsigned far[REGION_NEAREST_MAX];
	size_t n = 0;

	if (name.len == 0 || name.len > REGION_NAME_MAX)
		return 0;
	for (size_t i = 0; i < region_count; i++) {
		unsigned f = farness(name, &region_table[i]);
		size_t at = n;

		while (at > 0 && far[at - 1] > f)
			at--;
		if (f == UINT32_MAX || at == REGION_NEAREST_MAX)
			continue;
		n = MIN(n + 1, REGION_NEAREST_MAX);
		for (size_t j = n - 1; j > at; j--) {
			far[j] = far[j - 1];
			out[j] = out[j - 1];
		}
		far[at] = f;
		out[at] = &region_table[i];
	}
	return n;
}

static void add_nearest(struct span name, struct buf *into)
{
	const struct region *near[REGION_NEAREST_MAX];
	size_t n = region_nearest(name, near);

	for (size_t i = 0; i < n; i++) {
		buf_puts(into, i == 0       ? "; did you mean "
		               : i == n - 1 ? " or "
		                            : ", ");
		buf_addf(into, "%.*s (%.*s)", SPAN_ARG(near[i]->identifier),
		         SPAN_ARG(near[i]->key));
	}
	if (n > 0)
		buf_putc(into, '?');
}

void region_explain(enum region_error error, struct span name, struct buf *into)
{
	bool guess = error == REGION_UNKNOWN || error == REGION_BAD_NAME;

	buf_puts(into, sentences[error]);
	if (guess && is_name(name))
		buf_addf(into, ": %.*s", SPAN_ARG(name));
	if (guess)
		add_nearest(name, into);
}
