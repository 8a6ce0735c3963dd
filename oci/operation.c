#include "oci/operation.h"

#include <stdarg.h>
#include <stdio.h>

#include "oci/catalogue/packed.h"
#include "oci/catalogue/tables.h"
#include "oci/catalogue/words.h"
#include "oci/nearest.h"
#include "oci/ranking.h"

/* --- all of them ---------------------------------------------------------- */

static const struct operation *first_operation(void)
{
	return (const struct operation *)tables_first(PACKED_OPERATIONS);
}

size_t operation_count(void)
{
	return tables_count(PACKED_OPERATIONS);
}

const struct operation *operation_at(size_t i)
{
	assert(i < operation_count());
	return first_operation() + i;
}

size_t operation_client_count(void)
{
	return tables_count(PACKED_CLIENTS);
}

static const struct packed_client *nth_client(size_t i)
{
	assert(i < operation_client_count());
	return (const struct packed_client *)tables_first(PACKED_CLIENTS) + i;
}

void operation_client_at(size_t i, struct operation_client *out)
{
	const struct packed_client *client = nth_client(i);

	*out = (struct operation_client){
		.service = tables_text(client->service),
		.name = tables_text(client->name),
		.base = tables_text(client->base),
		.endpoint = tables_text(client->endpoint),
		.endpoint_name = tables_text(client->endpoint_name),
		.key = tables_text(client->key),
		.needs_endpoint = client->needs_endpoint,
		.first = client->first,
		.count = client->count,
	};
}

void operation_client(const struct operation *op, struct operation_client *out)
{
	operation_client_at(op->client, out);
}

/* --- one of them ---------------------------------------------------------- */

static const char *const methods[] = {
	[OPERATION_GET] = "GET",       [OPERATION_HEAD] = "HEAD",
	[OPERATION_POST] = "POST",     [OPERATION_PUT] = "PUT",
	[OPERATION_DELETE] = "DELETE", [OPERATION_PATCH] = "PATCH",
};

const char *operation_method_name(enum operation_method method)
{
	return methods[method];
}

struct span operation_id(const struct operation *op)
{
	return tables_text(op->id);
}

struct span operation_service(const struct operation *op)
{
	return tables_text(nth_client(op->client)->service);
}

struct span operation_client_name(const struct operation *op)
{
	return tables_text(nth_client(op->client)->name);
}

struct span operation_name(const struct operation *op)
{
	struct span id = tables_text(op->id);

	return span_from(id, id.len - op->name_bytes);
}

enum operation_method operation_method(const struct operation *op)
{
	return (enum operation_method)op->method;
}

struct span operation_base(const struct operation *op)
{
	return tables_text(nth_client(op->client)->base);
}

struct span operation_path(const struct operation *op)
{
	return tables_text(op->path);
}

struct span operation_endpoint(const struct operation *op, struct span realm)
{
	const struct packed_client *client = nth_client(op->client);
	const struct packed_realm *realms =
		(const struct packed_realm *)tables_first(PACKED_REALMS) +
		client->first_realm;

	for (size_t i = 0; i < client->realm_count; i++)
		if (span_eq(tables_text(realms[i].name), realm))
			return tables_text(realms[i].endpoint);
	return tables_text(client->endpoint);
}

struct span operation_reference(const struct operation *op)
{
	return tables_text(op->reference);
}

struct span operation_body(const struct operation *op)
{
	return tables_text(op->body);
}

bool operation_body_required(const struct operation *op)
{
	return op->flags & PACKED_BODY_REQUIRED;
}

struct span operation_response(const struct operation *op)
{
	return tables_text(op->response);
}

enum operation_shape operation_shape(const struct operation *op)
{
	return (enum operation_shape)op->shape;
}

struct span operation_items(const struct operation *op)
{
	return tables_text(op->items);
}

struct span operation_accept(const struct operation *op)
{
	return tables_text(op->accept);
}

bool operation_is_paged(const struct operation *op)
{
	return op->flags & PACKED_PAGED;
}

bool operation_has_limit(const struct operation *op)
{
	return op->flags & PACKED_LIMIT;
}

bool operation_is_unsigned(const struct operation *op)
{
	return op->flags & PACKED_UNSIGNED;
}

bool operation_has_retry_token(const struct operation *op)
{
	return op->flags & PACKED_RETRY_TOKEN;
}

bool operation_has_if_match(const struct operation *op)
{
	return op->flags & PACKED_IF_MATCH;
}

bool operation_gives_work_request(const struct operation *op)
{
	return op->flags & PACKED_WORK_REQUEST;
}

bool operation_gives_etag(const struct operation *op)
{
	return op->flags & PACKED_ETAG;
}

bool operation_is_retried(const struct operation *op)
{
	return op->flags & PACKED_RETRIED;
}

/* --- judgement ------------------------------------------------------------ */

/* One operation, or all of a name. */
struct named {
	const char *service; /* NULL: of any service */
	const char *name;
};

static bool is_named(const struct operation *op, const struct named *list,
                     size_t count)
{
	struct span name = operation_name(op);
	struct span service = operation_service(op);

	for (size_t i = 0; i < count; i++)
		if (span_is(name, list[i].name) &&
		    (!list[i].service || span_is(service, list[i].service)))
			return true;
	return false;
}

/* Take the first word off a name: "Launch" of LaunchInstance. */
static struct span take_word(struct span *name)
{
	struct span word = span_first(*name, words_length(*name));

	*name = span_from(*name, word.len);
	return word;
}

static bool is_one_of(struct span word, const char *const list[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is(word, list[i]))
			return true;
	return false;
}

/* GETs that change something, and questions that may carry an order. */
static const struct named writers[] = {
	{ "ons", "GetConfirmSubscription" },
	{ "ons", "GetUnsubscription" },
	{ "devops", "UnsubscribePullRequest" },
	{ "queue", "GetMessages" }, /* hides them from others for a while */
	{ "nosql", "Query" },       /* any statement, INSERT too */
	{ "data_safe", "RetrieveAuditPolicies" },
	{ "generative_ai_inference", "SummarizeText" }, /* has its price */
	{ "vn_monitoring", "GetPathAnalysis" },         /* starts one */
};

/* The first words of POSTs that only ask. */
static const char *const questions[] = {
	"List", "Search", "Summarize", "Query", "Get", "Retrieve", "Lookup",
};

/* Request is a question when one of these words follows. */
static const char *const requested[] = { "Summarized", "Risk", "Security",
	                                 "Usage" };

/* POSTs that only ask, although their names do not begin like that. */
static const struct named askers[] = {
	{ "stack_monitoring", "RequestMonitoredResourcesSummarizedCount" },
	{ "log_analytics", "BatchGetBasicInfo" },
	{ "log_analytics", "EstimatePurgeDataSize" },
	{ "log_analytics", "EstimateRecallDataSize" },
	{ "log_analytics", "EstimateReleaseDataSize" },
	{ "log_analytics", "Filter" },
	{ "log_analytics", "ParseQuery" },
	{ "log_analytics", "Suggest" },
	{ "optimizer", "FilterResourceActions" },
	{ "data_catalog", "FetchEntityLineage" },
	{ "data_catalog", "ObjectStats" },
	{ "data_catalog", "Users" },
};

static bool is_question(const struct operation *op)
{
	struct span name = operation_name(op);
	struct span word = take_word(&name);

	if (span_is(word, "Request") && name.len)
		return is_one_of(take_word(&name), requested,
		                 ARRAY_LEN(requested));
	return is_one_of(word, questions, ARRAY_LEN(questions));
}

bool operation_is_read_only(const struct operation *op)
{
	if (is_named(op, writers, ARRAY_LEN(writers)))
		return false;
	switch (operation_method(op)) {
	case OPERATION_GET:
	case OPERATION_HEAD:
		return true;
	case OPERATION_POST:
		return is_question(op) ||
		       is_named(op, askers, ARRAY_LEN(askers));
	default:
		return false;
	}
}

#define SECRET(service, name) { service, name },
static const struct named secrets[] = {
#include "oci/secrets.def"
};
#undef SECRET

bool operation_is_secret(const struct operation *op)
{
	return is_named(op, secrets, ARRAY_LEN(secrets));
}

/* Anywhere in the name of what changes something. */
static const char *const endings[] = {
	"Abort",        "Cancel",     "Clean",       "Deactivate", "Delete",
	"Deletion",     "Deregister", "Detach",      "Disable",    "Discard",
	"Disassociate", "Downgrade",  "Drop",        "Evict",      "Fail",
	"Failover",     "Force",      "Kill",        "Offboard",   "Purge",
	"Reboot",       "Recreate",   "Release",     "Remove",     "Reset",
	"Restart",      "Restore",    "Revoke",      "Rollback",   "Shrink",
	"Shutdown",     "Softreset",  "Softstop",    "Stop",       "Suspend",
	"Switchover",   "Terminate",  "Termination", "Unassign",   "Uninstall",
	"Unregister",   "Withdraw",
};

/* They do what an argument says, stop and reset among it. */
static const struct named enders[] = {
	{ "core", "InstanceAction" },
	{ "database", "DbNodeAction" },
};

/* The names say so, but nothing ends. */
static const struct named keepers[] = {
	{ "wlms", "SetRestartOrder" },
	{ "container_engine", "ExtendEndpointDecommissionRollbackDeadline" },
	{ "identity_domains", "CreateRestoreOciConsolePolicy" },
};

bool operation_is_destructive(const struct operation *op)
{
	struct span name = operation_name(op);
	bool cancels = span_starts(name, SPAN("Cancel"));
	bool ends = false;

	if (operation_method(op) == OPERATION_DELETE)
		return true;
	if (operation_is_read_only(op) ||
	    is_named(op, keepers, ARRAY_LEN(keepers)))
		return false;
	while (name.len) {
		struct span word = take_word(&name);

		/* To cancel a deletion saves something. */
		if (cancels && span_is(word, "Deletion"))
			return false;
		ends |= is_one_of(word, endings, ARRAY_LEN(endings));
	}
	return ends || is_named(op, enders, ARRAY_LEN(enders));
}

/* --- parameters ----------------------------------------------------------- */

const char *operation_type_name(enum operation_type type)
{
	static const char *const type_names[] = {
		[OPERATION_STRING] = "string",  [OPERATION_INTEGER] = "integer",
		[OPERATION_NUMBER] = "number",  [OPERATION_BOOLEAN] = "boolean",
		[OPERATION_TIME] = "date-time",
	};

	return type_names[type];
}

size_t operation_parameters(const struct operation *op)
{
	return op->parameter_count;
}

void operation_parameter(const struct operation *op, size_t i,
                         struct operation_parameter *out)
{
	const uint16_t *list =
		(const uint16_t *)tables_first(PACKED_PARAMETER_LISTS) +
		op->parameters;
	const struct packed_member *member =
		(const struct packed_member *)tables_first(PACKED_PARAMETERS);
	const uint32_t *choice;

	assert(i < operation_parameters(op));
	member += list[i];
	choice = tables_choice(member->choice);
	*out = (struct operation_parameter){
		.name = tables_text(member->name),
		.place = (enum operation_place)member->place,
		.type = (enum operation_type)member->type,
		.required = member->flags & PACKED_REQUIRED,
		.list = member->flags & PACKED_LIST,
		.joined = member->flags & PACKED_JOINED,
		.values = choice[0],
		.choice = choice + 1,
	};
}

bool operation_parameter_find(const struct operation *op, struct span name,
                              struct operation_parameter *out)
{
	for (size_t i = 0; i < operation_parameters(op); i++) {
		struct operation_parameter one;

		operation_parameter(op, i, &one);
		if (one.place == OPERATION_IN_HEADER
		            ? span_eq_nocase(one.name, name)
		            : span_eq(one.name, name)) {
			*out = one;
			return true;
		}
	}
	return false;
}

struct span operation_value(const struct operation_parameter *parameter,
                            size_t i)
{
	assert(i < parameter->values);
	return tables_text(parameter->choice[i]);
}

/* Write a sentence; always false, for who returns at once. */
PRINTF(2, 3)
static bool say(char why[OPERATION_WHY_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, OPERATION_WHY_MAX, format, args);
	va_end(args);
	return false;
}

static size_t digits(struct span s)
{
	size_t n = 0;

	while (n < s.len && s.at[n] >= '0' && s.at[n] <= '9')
		n++;
	return n;
}

static bool is_integer(struct span s)
{
	if (s.len && s.at[0] == '-')
		s = span_from(s, 1);
	return s.len && digits(s) == s.len;
}

/* Digits with at most one point in or before them. */
static bool is_number(struct span s)
{
	size_t whole;

	if (s.len && s.at[0] == '-')
		s = span_from(s, 1);
	whole = digits(s);
	if (whole == s.len)
		return whole > 0;
	s = span_from(s, whole);
	return s.at[0] == '.' && s.len > 1 &&
	       digits(span_from(s, 1)) == s.len - 1;
}

static bool is_boolean(struct span s)
{
	return span_is(s, "true") || span_is(s, "false");
}

/* A date, with a time or without; the service reads it more closely. */
static bool is_time(struct span s)
{
	static const char pattern[] = "0000-00-00";

	if (s.len < 10 || s.len > 40 ||
	    (s.len > 10 && s.at[10] != 'T' && s.at[10] != 't'))
		return false;
	for (size_t i = 0; i < 10; i++)
		if (pattern[i] == '0' ? digits(span_of(s.at + i, 1)) != 1
		                      : s.at[i] != pattern[i])
			return false;
	return true;
}

static bool is_string(struct span s)
{
	(void)s;
	return true;
}

static const struct {
	bool (*fits)(struct span s);
	const char *example;
} type_rules[] = {
	[OPERATION_STRING] = { is_string, "a text" },
	[OPERATION_INTEGER] = { is_integer, "an integer" },
	[OPERATION_NUMBER] = { is_number, "a number" },
	[OPERATION_BOOLEAN] = { is_boolean, "true or false" },
	[OPERATION_TIME] = { is_time, "a time such as 2026-01-31T23:59:59Z" },
};

static struct span nth_value(const void *of, size_t i)
{
	return operation_value((const struct operation_parameter *)of, i);
}

/* One value, not a list joined with commas. */
static bool check_value(const struct operation_parameter *parameter,
                        struct span value, char why[OPERATION_WHY_MAX])
{
	char list[OPERATION_WHY_MAX / 2];

	if (parameter->place == OPERATION_IN_PATH && value.len == 0)
		return say(why, "%.*s must not be empty",
		           SPAN_ARG(parameter->name));
	if (!type_rules[parameter->type].fits(value))
		return say(why, "%.*s must be %s", SPAN_ARG(parameter->name),
		           type_rules[parameter->type].example);
	for (size_t i = 0; i < parameter->values; i++)
		if (span_eq(operation_value(parameter, i), value))
			return true;
	if (parameter->values == 0)
		return true;
	tables_list(list, sizeof(list), nth_value, parameter,
	            parameter->values);
	return say(why, "%.*s must be one of %s", SPAN_ARG(parameter->name),
	           list);
}

static bool say_unknown(const struct operation *op, struct span name,
                        char why[OPERATION_WHY_MAX])
{
	struct nearest nearest = { .word = name };
	struct span id = operation_id(op);
	int shown = (int)MIN(name.len, NEAREST_WORD_MAX);

	for (size_t i = 0; i < operation_parameters(op); i++) {
		struct operation_parameter one;

		operation_parameter(op, i, &one);
		nearest_look(&nearest, one.name);
	}
	if (nearest.best.len)
		return say(
			why, "%.*s has no parameter %.*s; did you mean %.*s?",
			SPAN_ARG(id), shown, name.at, SPAN_ARG(nearest.best));
	return say(why, "%.*s has no parameter %.*s", SPAN_ARG(id), shown,
	           name.at);
}

bool operation_check_parameter(const struct operation *op, struct span name,
                               struct span value, char why[OPERATION_WHY_MAX])
{
	struct operation_parameter parameter;

	if (!operation_parameter_find(op, name, &parameter))
		return say_unknown(op, name, why);
	while (parameter.joined && span_find(value, ',') < value.len) {
		struct span one = span_first(value, span_find(value, ','));

		if (!check_value(&parameter, one, why))
			return false;
		value = span_from(value, one.len + 1);
	}
	return check_value(&parameter, value, why);
}

/* --- finding by name ------------------------------------------------------ */

#define PLAIN_MAX 160 /* bytes; no name is that long */

/* A name in lower case without anything but letters and digits. */
struct plain {
	char bytes[PLAIN_MAX];
	size_t len;
};

static struct plain make_plain(struct span s)
{
	struct plain out = { .len = 0 };

	for (size_t i = 0; i < s.len && out.len < PLAIN_MAX; i++)
		if (words_is_upper(s.at[i]) || words_is_lower(s.at[i]))
			out.bytes[out.len++] =
				(char)ascii_lower((unsigned char)s.at[i]);
	return out;
}

static bool plain_eq(const struct plain *plain, struct span s)
{
	struct plain other = make_plain(s);

	return plain->len == other.len &&
	       memcmp(plain->bytes, other.bytes, plain->len) == 0;
}

static int compare_plain(const struct plain *plain, struct span name)
{
	size_t n = MIN(plain->len, name.len);

	for (size_t i = 0; i < n; i++) {
		int order = plain->bytes[i] -
		            ascii_lower((unsigned char)name.at[i]);

		if (order)
			return order;
	}
	return plain->len < name.len ? -1 : plain->len > name.len;
}

/* What somebody wrote, in parts: "core", "Compute", "LaunchInstance". */
struct written {
	struct plain name;
	struct plain owners[2]; /* the nearer first */
	size_t owner_count;
};

/* The part behind the last separator; the rest stays. */
static struct span take_last(struct span *s)
{
	size_t n = s->len;
	struct span last;

	while (n > 0 && s->at[n - 1] != '/' && s->at[n - 1] != '.')
		n--;
	last = span_from(*s, n);
	s->len = n > 0 ? n - 1 : 0;
	return last;
}

static bool read_written(struct span name, struct written *out)
{
	struct span rest = span_trim(name);

	*out = (struct written){ .name = make_plain(take_last(&rest)) };
	while (rest.len && out->owner_count < ARRAY_LEN(out->owners))
		out->owners[out->owner_count++] = make_plain(take_last(&rest));
	/* "oci.core.ComputeClient.launch_instance" */
	if (rest.len && !span_eq_nocase(rest, SPAN("oci")))
		return false;
	if (out->owner_count == 2 && plain_eq(&out->owners[1], SPAN("oci")))
		out->owner_count--;
	return out->name.len > 0;
}

/* Compute, or ComputeClient as the SDKs call it. */
static bool is_client(const struct plain *plain, struct span client)
{
	struct plain cut = *plain;

	if (plain_eq(plain, client))
		return true;
	if (plain->len <= 6 ||
	    memcmp(plain->bytes + plain->len - 6, "client", 6) != 0)
		return false;
	cut.len -= 6;
	return plain_eq(&cut, client);
}

static bool owners_fit(const struct written *written,
                       const struct operation *op)
{
	struct span service = operation_service(op);
	struct span client = operation_client_name(op);

	switch (written->owner_count) {
	case 0:
		return true;
	case 1:
		return is_client(&written->owners[0], client) ||
		       plain_eq(&written->owners[0], service);
	default:
		return is_client(&written->owners[0], client) &&
		       plain_eq(&written->owners[1], service);
	}
}

static const struct operation *by_name(size_t i)
{
	const uint16_t *list = tables_first(PACKED_NAMES);

	return operation_at(list[i]);
}

/* Everything of this name; at most cap of them are put in out. */
static size_t find_all(const struct written *written,
                       const struct operation *out[], size_t cap)
{
	size_t low = 0, high = operation_count(), found = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_plain(&written->name,
		                  operation_name(by_name(middle))) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < operation_count() && found < cap; low++) {
		const struct operation *op = by_name(low);

		if (compare_plain(&written->name, operation_name(op)) != 0)
			break;
		if (owners_fit(written, op))
			out[found++] = op;
	}
	return found;
}

const struct operation *operation_find(struct span name)
{
	const struct operation *found[2];
	struct written written;

	if (!read_written(name, &written) ||
	    find_all(&written, found, ARRAY_LEN(found)) != 1)
		return NULL;
	return found[0];
}

size_t operation_search(struct span query,
                        const struct operation_filter *filter, size_t limit,
                        const struct operation *out[], size_t *total)
{
	return ranking_search(query, filter, limit, out, total);
}

size_t operation_nearest(struct span name,
                         const struct operation *out[OPERATION_NEAREST_MAX])
{
	struct written written;
	size_t found;

	if (read_written(name, &written)) {
		found = find_all(&written, out, OPERATION_NEAREST_MAX);
		if (found)
			return found;
		written.owner_count = 0;
		found = find_all(&written, out, OPERATION_NEAREST_MAX);
		if (found)
			return found;
	}
	return operation_search(name, NULL, OPERATION_NEAREST_MAX, out, NULL);
}
