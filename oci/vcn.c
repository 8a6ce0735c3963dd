#include "oci/vcn.h"

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/slice.h"

struct list {
	struct tool_run *run;
	struct tool_ask *vcns, *subnets;
	struct slice page;
	struct span name;
};

static const struct listing_field members[] = {
	{ "id", "id" },
	{ "display_name", "displayName" },
	{ "cidr_block", "cidrBlock" },
	{ "cidr_blocks", "cidrBlocks" },
	{ "lifecycle_state", "lifecycleState" },
	{ "dns_label", "dnsLabel" },
	{ "default_dhcp_options_id", "defaultDhcpOptionsId" },
	{ "default_route_table_id", "defaultRouteTableId" },
	{ "default_security_list_id", "defaultSecurityListId" },
	{ "time_created", "timeCreated" },
	{ "compartment_id", "compartmentId" },
};

static bool has_name(void *owner, struct span item)
{
	struct list *list = owner;

	return listing_contains(path_text(list->run, item, "displayName"),
	                        list->name);
}

static void ask(struct tool_run *run, struct list *list)
{
	list->run = run;
	list->name = tool_text(run, "display_name");
	list->vcns = tool_ask(run, "core/VirtualNetwork/ListVcns");
	tool_ask_query(list->vcns, "compartmentId", tool_compartment(run));
	tool_ask_query(list->vcns, "lifecycleState",
	               tool_text(run, "lifecycle_state"));
	tool_ask_items(list->vcns, slice_wanted(run, list->name.len > 0));
	tool_ask_cache(list->vcns, "config");
	list->subnets = tool_ask(run, "core/VirtualNetwork/ListSubnets");
	tool_ask_query(list->subnets, "compartmentId", tool_compartment(run));
	tool_ask_items(list->subnets, TOOL_ITEMS_MAX);
	tool_ask_cache(list->subnets, "config");
	tool_ask_optional(list->subnets);
}

/* Subnets of the compartment that are in this network. */
static int64_t count_subnets(const struct list *list, struct span vcn)
{
	struct value_iter it = path_items(tool_ask_answer(list->subnets), "");
	struct span id = path_get(vcn, "id"), subnet;
	int64_t n = 0;

	while (value_array_next(&it, &subnet))
		n += span_eq(path_get(subnet, "vcnId"), id);
	return n;
}

static void write_vcn(struct output *o, const struct list *list,
                      struct span vcn)
{
	output_object(o, NULL);
	listing_fields(o, vcn, members, ARRAY_LEN(members));
	if (tool_ask_ok(list->subnets) && !tool_ask_more(list->subnets))
		output_integer(o, "subnet_count", count_subnets(list, vcn));
	else
		output_null(o, "subnet_count");
	output_end(o);
}

static enum tool_next list_vcns(struct tool_run *run)
{
	struct list *list = tool_state(run);
	struct output o;

	if (tool_phase(run) == 0) {
		ask(run, list);
		return TOOL_WAIT;
	}
	slice_init(&list->page, run);
	slice_add_all(&list->page, list->vcns, has_name, list);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "compartment_id", tool_compartment(run));
	slice_head(&list->page, &o);
	output_array(&o, "vcns");
	for (size_t i = 0; i < list->page.n; i++)
		write_vcn(&o, list, list->page.items[i]);
	output_end(&o);
	slice_tail(&list->page, &o);
	output_end(&o);
	return TOOL_DONE;
}

const struct tool_function vcn_functions[] = {
	{ .name = "list_vcns",
	  .step = list_vcns,
	  .state_bytes = sizeof(struct list) },
};
const size_t vcn_n_functions = ARRAY_LEN(vcn_functions);
