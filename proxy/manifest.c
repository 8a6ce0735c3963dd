#include "proxy/manifest.h"

#include "lib/value.h"

#define DOMAINS_MAX 64
#define TIERS       4

struct domain {
	struct span name;
	unsigned tools, skills;
};

struct span manifest_item(void)
{
	return SPAN("{\"uri\":\"" MANIFEST_URI "\",\"name\":\"manifest\","
	            "\"title\":\"Server Manifest\",\"description\":\"The "
	            "domains, tools and settings of the tools for Oracle "
	            "Cloud, as one JSON document.\","
	            "\"mimeType\":\"application/json\"},");
}

static const struct recipe_row *row(const struct snapshot *snap,
                                    const struct backend *backend, uint32_t i)
{
	const struct recipe_row *rows = snapshot_array(snap, backend->recipes);

	return &rows[i];
}

static struct span text(struct span recipe, struct span key)
{
	struct span inner = SPAN("");

	if (!value_string_plain(value_get(recipe, key), &inner))
		return SPAN("");
	return inner;
}

/* The recipe of a row; empty for an alias, which has that of its tool. */
static struct span recipe_of(const struct snapshot *snap,
                             const struct recipe_row *r)
{
	struct span recipe = snapshot_text(snap, r->recipe);

	if (!span_eq(text(recipe, SPAN("name")), snapshot_text(snap, r->name)))
		return SPAN("");
	return recipe;
}

static bool is_skill(struct span recipe)
{
	return span_starts(text(recipe, SPAN("name")), SPAN("oci_skill_"));
}

static size_t find_domains(const struct snapshot *snap,
                           const struct backend *backend, struct domain *out)
{
	size_t n = 0;

	for (uint32_t i = 0; i < backend->recipes.len; i++) {
		struct span recipe = recipe_of(snap, row(snap, backend, i));
		struct span pack = text(recipe, SPAN("pack"));
		size_t k = 0;

		if (recipe.len == 0)
			continue;
		while (k < n && !span_eq(out[k].name, pack))
			k++;
		if (k == DOMAINS_MAX)
			continue;
		if (k == n)
			out[n++] = (struct domain){ .name = pack };
		out[k].tools += !is_skill(recipe);
		out[k].skills += is_skill(recipe);
	}
	return n;
}

static void put_domains(const struct domain *domains, size_t n, struct buf *out)
{
	buf_puts(out, ",\"domains\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
		buf_add_json(out, domains[i].name);
		buf_addf(out, ",\"tool_count\":%u,\"skill_count\":%u}",
		         domains[i].tools, domains[i].skills);
	}
	buf_putc(out, ']');
}

static void put_names(const struct snapshot *snap,
                      const struct backend *backend, int64_t tier, bool skills,
                      struct buf *out)
{
	bool first = true;
	int64_t n;

	buf_putc(out, '[');
	for (uint32_t i = 0; i < backend->recipes.len; i++) {
		struct span recipe = recipe_of(snap, row(snap, backend, i));

		if (recipe.len == 0 || is_skill(recipe) != skills ||
		    (tier &&
		     (!value_integer(value_get(recipe, SPAN("tier")), &n) ||
		      n != tier)))
			continue;
		buf_puts(out, first ? "" : ",");
		buf_add_json(out, text(recipe, SPAN("name")));
		first = false;
	}
	buf_putc(out, ']');
}

static void put_tiers(const struct snapshot *snap,
                      const struct backend *backend, struct buf *out)
{
	static const char *const names[TIERS] = {
		"tier1_instant",
		"tier2_api",
		"tier3_heavy",
		"tier4_admin",
	};

	buf_puts(out, ",\"tools\":{");
	for (int i = 0; i < TIERS; i++) {
		buf_addf(out, "%s\"%s\":", i ? "," : "", names[i]);
		put_names(snap, backend, i + 1, false, out);
	}
	buf_putc(out, '}');
}

void manifest_write(const struct snapshot *snap, const struct backend *backend,
                    struct buf *out)
{
	struct domain domains[DOMAINS_MAX];
	size_t n = find_domains(snap, backend, domains);

	buf_puts(out, "{\"name\":");
	buf_add_json(out, snapshot_text(snap, snap->head->name));
	buf_puts(out, ",\"version\":");
	buf_add_json(out, snapshot_text(snap, snap->head->program_version));
	buf_puts(out, ",\"description\":\"Tools for Oracle Cloud "
	              "Infrastructure\"");
	put_domains(domains, n, out);
	buf_puts(out, ",\"capabilities\":{\"skills\":{\"description\":"
	              "\"Several steps and their conclusion in one call\","
	              "\"available\":");
	put_names(snap, backend, 0, true, out);
	buf_puts(out, ",\"domains\":[\"skills\",\"database\"]}");
	put_tiers(snap, backend, out);
	buf_puts(out, "},\"environment_variables\":[\"OCI_CONFIG_FILE\","
	              "\"OCI_PROFILE\",\"OCI_REGION\",\"OCI_CLI_AUTH\","
	              "\"COMPARTMENT_OCID\",\"ALLOW_MUTATIONS\"],"
	              "\"usage_guide\":\"Begin with oci_ping and "
	              "oci_list_domains; find tools with oci_search_tools, and "
	              "everything else of the cloud with "
	              "oci_search_operations.\"}");
}
