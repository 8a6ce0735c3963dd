#include "oci/instance.h"

#include "oci/census.h"
#include "oci/listing.h"
#include "oci/path.h"
#include "oci/slice.h"
#include "oci/telemetry.h"
#include "oci/when.h"

/* --- addresses ------------------------------------------------------------ */

/* Members that both tools show under the same names. */
static void write_instance(struct output *o, struct span instance)
{
	static const char *const members[][2] = {
		{ "id", "id" },
		{ "display_name", "displayName" },
		{ "lifecycle_state", "lifecycleState" },
		{ "shape", "shape" },
		{ "availability_domain", "availabilityDomain" },
		{ "fault_domain", "faultDomain" },
		{ "time_created", "timeCreated" },
		{ "compartment_id", "compartmentId" },
	};

	struct path_want wants[ARRAY_LEN(members)];

	/* Once over the instance, not once for each member. */
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		wants[i] = path_want(span_str(members[i][1]));
	path_find_all(instance, wants, ARRAY_LEN(wants));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		output_raw(o, members[i][0], wants[i].found);
}

static void write_addresses(struct output *o, struct span vnic)
{
	output_path(o, "public_ip", vnic, "publicIp");
	output_path(o, "private_ip", vnic, "privateIp");
}

static bool is_attached(struct span attachment)
{
	return path_is(attachment, "lifecycleState", "ATTACHED") &&
	       path_has(attachment, "vnicId");
}

static struct tool_ask *ask_vnic(struct tool_run *run, struct span attachment)
{
	struct tool_ask *ask = tool_ask(run, "core/VirtualNetwork/GetVnic");

	tool_ask_path(ask, "vnicId", path_text(run, attachment, "vnicId"));
	tool_ask_optional(ask);
	return ask;
}

/* --- oci_compute_list_instances ------------------------------------------- */

struct list {
	struct tool_run *run;
	struct tool_ask *instances, *attachments;
	struct slice page;
	struct tool_ask **vnics; /* of page.items; NULL: not looked up */
	struct span name;
};

static bool has_name(void *owner, struct span item)
{
	struct list *list = owner;

	return listing_contains(path_text(list->run, item, "displayName"),
	                        list->name);
}

static void ask_instances(struct tool_run *run, struct list *list)
{
	struct tool_ask *ask = tool_ask(run, "core/Compute/ListInstances");

	list->run = run;
	list->name = tool_text(run, "display_name");
	tool_ask_query(ask, "compartmentId", tool_compartment(run));
	tool_ask_query(ask, "lifecycleState",
	               tool_text(run, "lifecycle_state"));
	tool_ask_items(ask, slice_wanted(run, list->name.len > 0));
	list->instances = ask;
}

/* One request for the whole compartment, instead of one per instance. */
static void ask_attachments(struct tool_run *run, struct list *list)
{
	struct tool_ask *ask =
		tool_ask(run, "core/Compute/ListVnicAttachments");

	tool_ask_query(ask, "compartmentId", tool_compartment(run));
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_optional(ask);
	list->attachments = ask;
}

/*
 * The attachment of the primary VNIC is the oldest one: it is made with the
 * instance and cannot be taken away.
 */
static struct span primary_attachment(struct tool_run *run, struct list *list,
                                      struct span instance)
{
	struct value_iter it =
		path_items(tool_ask_answer(list->attachments), "");
	struct span id = path_get(instance, "id"), item, oldest = SPAN("");
	int64_t oldest_s = INT64_MAX;

	while (value_array_next(&it, &item)) {
		int64_t at_s = INT64_MAX - 1;

		if (!is_attached(item) ||
		    !span_eq(path_get(item, "instanceId"), id))
			continue;
		when_parse(path_text(run, item, "timeCreated"), &at_s);
		if (at_s < oldest_s) {
			oldest_s = at_s;
			oldest = item;
		}
	}
	return oldest;
}

static void ask_primaries(struct tool_run *run, struct list *list)
{
	list->vnics = tool_alloc(run, MAX(list->page.n, (size_t)1) *
	                                      sizeof(struct tool_ask *));
	for (size_t i = 0; i < list->page.n; i++) {
		struct span attachment =
			primary_attachment(run, list, list->page.items[i]);

		if (attachment.len)
			list->vnics[i] = ask_vnic(run, attachment);
	}
}

static void write_list(struct tool_run *run, struct list *list)
{
	struct census states = { 0 };
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "compartment_id", tool_compartment(run));
	slice_head(&list->page, &o);
	output_array(&o, "instances");
	for (size_t i = 0; i < list->page.n; i++) {
		struct span item = list->page.items[i];
		bool asked = list->vnics && list->vnics[i];

		census_add(&states, path_text(run, item, "lifecycleState"));
		output_object(&o, NULL);
		write_instance(&o, item);
		write_addresses(&o, asked ? tool_ask_answer(list->vnics[i])
		                          : SPAN(""));
		output_end(&o);
	}
	output_end(&o);
	slice_tail(&list->page, &o);
	census_write(&states, &o, "states");
	if (list->attachments && !tool_ask_ok(list->attachments))
		output_text(&o, "network_error",
		            tool_ask_error(list->attachments));
	output_end(&o);
}

static enum tool_next list_instances(struct tool_run *run)
{
	struct list *list = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		ask_instances(run, list);
		if (tool_flag(run, "include_ips"))
			ask_attachments(run, list);
		return TOOL_WAIT;
	case 1:
		slice_init(&list->page, run);
		slice_add_all(&list->page, list->instances, has_name, list);
		if (!list->attachments)
			break;
		ask_primaries(run, list);
		return TOOL_WAIT;
	default:
		break;
	}
	write_list(run, list);
	return TOOL_DONE;
}

/* --- oci_compute_get_instance --------------------------------------------- */

static const struct span meter_names[] = {
	{ "CpuUtilization", 14 },
	{ "MemoryUtilization", 17 },
};

struct details {
	struct tool_ask *instance, *attachments;
	struct tool_ask *meters[ARRAY_LEN(meter_names)];
	struct tool_ask *vnics[INSTANCE_VNICS_MAX];
	size_t n_vnics;
};

static struct tool_ask *ask_instance(struct tool_run *run, const char *cache)
{
	struct tool_ask *ask = tool_ask(run, "core/Compute/GetInstance");

	tool_ask_path(ask, "instanceId", tool_text(run, "instance_id"));
	if (cache)
		tool_ask_cache(ask, cache);
	return ask;
}

static void ask_surroundings(struct tool_run *run, struct details *d)
{
	struct span compartment =
		path_text(run, tool_ask_answer(d->instance), "compartmentId");
	struct telemetry_query query = {
		.compartment = compartment,
		.namespace = SPAN(TELEMETRY_INSTANCE),
		.resource = tool_text(run, "instance_id"),
		.statistic = "mean",
		.window = telemetry_window(run, WHEN_HOUR_S),
	};

	d->attachments = tool_ask(run, "core/Compute/ListVnicAttachments");
	tool_ask_query(d->attachments, "compartmentId", compartment);
	tool_ask_query(d->attachments, "instanceId", query.resource);
	tool_ask_items(d->attachments, INSTANCE_VNICS_MAX);
	tool_ask_optional(d->attachments);
	if (!tool_flag(run, "include_metrics"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(meter_names); i++) {
		query.metric = meter_names[i];
		d->meters[i] = telemetry_ask(run, &query);
		tool_ask_optional(d->meters[i]);
	}
}

static void ask_vnics(struct tool_run *run, struct details *d)
{
	struct value_iter it = path_items(tool_ask_answer(d->attachments), "");
	struct span item;

	while (d->n_vnics < INSTANCE_VNICS_MAX && value_array_next(&it, &item))
		if (is_attached(item))
			d->vnics[d->n_vnics++] = ask_vnic(run, item);
}

static struct span primary_vnic(const struct details *d)
{
	for (size_t i = 0; i < d->n_vnics; i++)
		if (path_flag(tool_ask_answer(d->vnics[i]), "isPrimary"))
			return tool_ask_answer(d->vnics[i]);
	return SPAN("");
}

static void write_vnics(struct output *o, const struct details *d)
{
	output_array(o, "vnics");
	for (size_t i = 0; i < d->n_vnics; i++) {
		struct span vnic = tool_ask_answer(d->vnics[i]);

		if (!tool_ask_ok(d->vnics[i]))
			continue;
		output_object(o, NULL);
		output_path(o, "id", vnic, "id");
		output_path(o, "display_name", vnic, "displayName");
		output_flag(o, "is_primary", path_flag(vnic, "isPrimary"));
		write_addresses(o, vnic);
		output_path(o, "hostname_label", vnic, "hostnameLabel");
		output_path(o, "subnet_id", vnic, "subnetId");
		output_raw(o, "nsg_ids",
		           path_has(vnic, "nsgIds") ? path_get(vnic, "nsgIds")
		                                    : SPAN("[]"));
		output_end(o);
	}
	output_end(o);
}

static void write_shape(struct output *o, struct span instance)
{
	output_object(o, "shape_config");
	output_path(o, "ocpus", instance, "shapeConfig.ocpus");
	output_path(o, "memory_in_gbs", instance, "shapeConfig.memoryInGBs");
	output_path(o, "processor_description", instance,
	            "shapeConfig.processorDescription");
	output_path(o, "networking_bandwidth_in_gbps", instance,
	            "shapeConfig.networkingBandwidthInGbps");
	output_end(o);
}

/* Why addresses are missing; empty when they are not. */
static struct span network_error(const struct details *d)
{
	if (!tool_ask_ok(d->attachments))
		return tool_ask_error(d->attachments);
	for (size_t i = 0; i < d->n_vnics; i++)
		if (!tool_ask_ok(d->vnics[i]))
			return tool_ask_error(d->vnics[i]);
	return SPAN("");
}

static void write_details(struct tool_run *run, struct details *d)
{
	struct span instance = tool_ask_answer(d->instance);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	write_instance(&o, instance);
	write_addresses(&o, primary_vnic(d));
	output_path(&o, "region", instance, "region");
	output_path(&o, "image_id", instance, "imageId");
	write_shape(&o, instance);
	write_vnics(&o, d);
	output_raw(&o, "freeform_tags",
	           path_has(instance, "freeformTags")
	                   ? path_get(instance, "freeformTags")
	                   : SPAN("{}"));
	if (d->meters[0])
		telemetry_write_metrics(run, &o, meter_names, d->meters,
		                        ARRAY_LEN(meter_names));
	if (network_error(d).len)
		output_text(&o, "network_error", network_error(d));
	output_end(&o);
}

static enum tool_next get_instance(struct tool_run *run)
{
	struct details *d = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		d->instance = ask_instance(run, NULL);
		return TOOL_WAIT;
	case 1:
		ask_surroundings(run, d);
		return TOOL_WAIT;
	case 2:
		ask_vnics(run, d);
		return TOOL_WAIT;
	default:
		write_details(run, d);
		return TOOL_DONE;
	}
}

/* --- start, stop, restart ------------------------------------------------- */

static const struct verb {
	const char *action, *forced; /* of InstanceAction */
	const char *name, *forced_name;
	const char *target;
	const char *underway; /* the state on the way there; NULL: none */
	const char *from;     /* where it goes out from */
	const char *advice;   /* when it is in another state */
	bool destructive;
} verbs[] = {
	[INSTANCE_START] = { "START", "START", "start", "start", "RUNNING",
	                     "STARTING", "STOPPED",
	                     "Wait until the instance is STOPPED or RUNNING, "
	                     "and look with oci_compute_get_instance.",
	                     false },
	[INSTANCE_STOP] = { "SOFTSTOP", "STOP", "stop", "stop (forced)",
	                    "STOPPED", "STOPPING", "RUNNING",
	                    "Wait until the instance is RUNNING, and look "
	                    "with oci_compute_get_instance.",
	                    true },
	[INSTANCE_RESTART] = { "SOFTRESET", "RESET", "restart (soft)",
	                       "restart (hard)", "RUNNING", NULL, "RUNNING",
	                       "Only a running instance can be restarted; "
	                       "oci_compute_start_instance starts a stopped "
	                       "one.",
	                       true },
};

enum instance_plan instance_plan(enum instance_verb verb, struct span state,
                                 bool force)
{
	const struct verb *v = &verbs[verb];

	if (verb == INSTANCE_STOP && force && span_is(state, v->underway))
		return INSTANCE_ACT;
	if (span_is(state, v->from))
		return INSTANCE_ACT;
	if (span_is(state, v->target))
		return INSTANCE_DONE;
	if (v->underway && span_is(state, v->underway))
		return INSTANCE_WAIT;
	return INSTANCE_REFUSE;
}

struct power {
	struct tool_ask *instance; /* the last look at it */
	struct tool_ask *action;
	struct span name, before, now;
	const char *request; /* the action to send */
	int64_t since_s;
	uint64_t pause_ms;
	bool changed, left, waited;
	enum {
		LOOKING,
		ACTING,
		SLEEPING,
		POLLING,
	} stage;
};

static void write_request(struct tool_run *run, struct power *p,
                          struct output *o)
{
	output_object(o, "request");
	output_string(o, "operation", "core/Compute/InstanceAction");
	output_text(o, "instanceId", tool_text(run, "instance_id"));
	output_string(o, "action", p->request);
	output_end(o);
}

/* The result, with a sentence that message is the middle of. */
static enum tool_next report(struct tool_run *run, const struct verb *v,
                             struct power *p, const char *message)
{
	bool dry = tool_is_dry(run);
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_flag(&o, "success", true);
	output_text(&o, "instance_id", tool_text(run, "instance_id"));
	output_text_or_null(&o, "display_name", p->name);
	output_string(&o, "action",
	              tool_flag(run, "force") ? v->forced_name : v->name);
	output_text(&o, "previous_state", p->before);
	output_text(&o, "current_state", p->now);
	output_string(&o, "target_state", v->target);
	output_flag(&o, "target_reached", span_is(p->now, v->target));
	output_flag(&o, "changed", p->changed);
	output_flag(&o, "dry_run", dry);
	if (p->waited)
		output_integer(&o, "waited_seconds",
		               tool_now_s(run) - p->since_s);
	else
		output_null(&o, "waited_seconds");
	if (dry)
		write_request(run, p, &o);
	output_format(&o, "message", "%s: instance %.*s is %.*s", message,
	              SPAN_ARG(span_first(p->name, 255)), SPAN_ARG(p->now));
	output_end(&o);
	return TOOL_DONE;
}

/* Look again in a while, ever more rarely. */
static enum tool_next rest(struct tool_run *run, struct power *p)
{
	char text[64];
	int64_t waited_s = tool_now_s(run) - p->since_s;
	struct buf b = { .max = sizeof(text) };

	buf_addf(&b, "The instance is %.*s", SPAN_ARG(p->now));
	tool_progress(run,
	              0.1 + 0.85 * (double)waited_s / (double)INSTANCE_WAIT_S,
	              tool_keep(run, buf_span(&b)).at);
	buf_free(&b);
	tool_sleep(run, p->pause_ms);
	p->pause_ms = MIN(p->pause_ms * 3 / 2, INSTANCE_POLL_MAX_MS);
	p->stage = SLEEPING;
	return TOOL_WAIT;
}

/* A restart ends in the state it began with: it is over when another has been
 * seen, or none for a while. */
static bool arrived(struct tool_run *run, const struct verb *v, struct power *p)
{
	int64_t waited_s = tool_now_s(run) - p->since_s;

	if (!span_is(p->now, v->target)) {
		p->left = true;
		return false;
	}
	return p->left || !span_is(p->before, v->target) ||
	       waited_s >= INSTANCE_RESET_S;
}

static bool is_gone(struct span state)
{
	return span_is(state, "TERMINATING") || span_is(state, "TERMINATED");
}

/* After the action and after each look: is it there yet? */
static enum tool_next follow(struct tool_run *run, const struct verb *v,
                             struct power *p)
{
	bool there = arrived(run, v, p);

	if (!p->waited)
		return report(run, v, p, "Accepted");
	if (there)
		return report(run, v, p, "Done");
	if (is_gone(p->now)) {
		tool_fail(run, TOOL_SERVICE, NULL,
		          "somebody terminates the instance: it is %.*s",
		          SPAN_ARG(p->now));
		return TOOL_DONE;
	}
	if (tool_now_s(run) - p->since_s >= INSTANCE_WAIT_S) {
		tool_fail(run, TOOL_TIMEOUT,
		          "The action goes on; look again with "
		          "oci_compute_get_instance.",
		          "the instance is %.*s, not %s, after %d seconds",
		          SPAN_ARG(p->now), v->target, INSTANCE_WAIT_S);
		return TOOL_DONE;
	}
	return rest(run, p);
}

static enum tool_next act(struct tool_run *run, struct power *p)
{
	p->action = tool_ask(run, "core/Compute/InstanceAction");
	tool_ask_path(p->action, "instanceId", tool_text(run, "instance_id"));
	tool_ask_query(p->action, "action", span_str(p->request));
	p->changed = true;
	p->stage = ACTING;
	return TOOL_WAIT;
}

static enum tool_next begin(struct tool_run *run, enum instance_verb verb,
                            struct power *p)
{
	const struct verb *v = &verbs[verb];
	struct span instance = tool_ask_answer(p->instance);
	bool force = tool_flag(run, "force");

	p->name = path_text(run, instance, "displayName");
	p->before = p->now = path_text(run, instance, "lifecycleState");
	p->request = force ? v->forced : v->action;
	p->since_s = tool_now_s(run);
	p->waited = tool_flag(run, "wait_for_state") && !tool_is_dry(run);
	if (!tool_may_change(run, path_text(run, instance, "compartmentId"),
	                     v->destructive))
		return TOOL_DONE;
	switch (instance_plan(verb, p->now, force)) {
	case INSTANCE_ACT:
		if (tool_is_dry(run))
			return report(run, v, p, "Nothing was sent");
		return act(run, p);
	case INSTANCE_WAIT:
		if (p->waited)
			return rest(run, p);
		return report(run, v, p, "Nothing to do, it is on its way");
	case INSTANCE_DONE:
		p->waited = false;
		return report(run, v, p, "Nothing to do");
	case INSTANCE_REFUSE:
		break;
	}
	tool_fail(run, TOOL_SERVICE, v->advice,
	          "cannot %s an instance that is %.*s", v->name,
	          SPAN_ARG(p->now));
	return TOOL_DONE;
}

static enum tool_next power(struct tool_run *run, enum instance_verb verb)
{
	const struct verb *v = &verbs[verb];
	struct power *p = tool_state(run);

	if (!p->instance) {
		p->pause_ms = INSTANCE_POLL_MIN_MS;
		p->instance = ask_instance(run, ""); /* as it is now */
		return TOOL_WAIT;
	}
	switch (p->stage) {
	case LOOKING:
		return begin(run, verb, p);
	case ACTING:
		p->now = path_text(run, tool_ask_answer(p->action),
		                   "lifecycleState");
		return follow(run, v, p);
	case SLEEPING:
		p->instance = ask_instance(run, "");
		p->stage = POLLING;
		return TOOL_WAIT;
	case POLLING:
		p->now = path_text(run, tool_ask_answer(p->instance),
		                   "lifecycleState");
		return follow(run, v, p);
	}
	return TOOL_DONE;
}

static enum tool_next start_instance(struct tool_run *run)
{
	return power(run, INSTANCE_START);
}

static enum tool_next stop_instance(struct tool_run *run)
{
	return power(run, INSTANCE_STOP);
}

static enum tool_next restart_instance(struct tool_run *run)
{
	return power(run, INSTANCE_RESTART);
}

const struct tool_function instance_functions[] = {
	{ .name = "list_instances",
	  .step = list_instances,
	  .state_bytes = sizeof(struct list) },
	{ .name = "get_instance",
	  .step = get_instance,
	  .state_bytes = sizeof(struct details) },
	{ .name = "start_instance",
	  .step = start_instance,
	  .state_bytes = sizeof(struct power) },
	{ .name = "stop_instance",
	  .step = stop_instance,
	  .state_bytes = sizeof(struct power) },
	{ .name = "restart_instance",
	  .step = restart_instance,
	  .state_bytes = sizeof(struct power) },
};
const size_t instance_n_functions = ARRAY_LEN(instance_functions);
