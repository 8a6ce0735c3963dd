#include "oci/functions.h"

#include "lib/value.h"
#include "oci/alarm.h"
#include "oci/auditlog.h"
#include "oci/autonomous.h"
#include "oci/backups.h"
#include "oci/cost.h"
#include "oci/dbhealth.h"
#include "oci/dbmetrics.h"
#include "oci/discovery.h"
#include "oci/generic.h"
#include "oci/iam.h"
#include "oci/instance.h"
#include "oci/logquery.h"
#include "oci/mapping.h"
#include "oci/objects.h"
#include "oci/posture.h"
#include "oci/problems.h"
#include "oci/rules.h"
#include "oci/telemetry.h"
#include "oci/troubleshoot.h"
#include "oci/vcn.h"

static const struct tool_function mapping = {
	.name = "",
	.step = mapping_step,
	.state_bytes = MAPPING_STATE_BYTES,
};

#define TABLE(stem)                                   \
	{                                             \
		stem##_functions, &stem##_n_functions \
	}

/* One row for each file with step functions. */
static const struct {
	const struct tool_function *functions;
	const size_t *n;
} tables[] = {
	/* clang-format off */
	TABLE(alarm),
	TABLE(auditlog),
	TABLE(autonomous),
	TABLE(backups),
	TABLE(cost),
	TABLE(dbhealth),
	TABLE(dbmetrics),
	TABLE(discovery),
	TABLE(generic),
	TABLE(iam),
	TABLE(instance),
	TABLE(logquery),
	TABLE(objects),
	TABLE(posture),
	TABLE(problems),
	TABLE(rules),
	TABLE(telemetry),
	TABLE(troubleshoot),
	TABLE(vcn),
	/* clang-format on */
};

const struct tool_function *functions_by_name(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (size_t k = 0; k < *tables[i].n; k++)
			if (span_eq(name,
			            span_str(tables[i].functions[k].name)))
				return &tables[i].functions[k];
	return NULL;
}

const struct tool_function *functions_find(struct span recipe)
{
	struct span name;

	if (value_string_plain(value_get(recipe, SPAN("function")), &name))
		return functions_by_name(name);
	return &mapping;
}
