/*
 * posture - how safe a compartment is set up: step function security_audit.
 *
 * Identities and policies are those of the tenancy; networks those of the
 * compartment, or of every compartment when it is the tenancy.
 *
 * Everything in the report is counted in answers of the services; what could
 * not be read is said and has no score. How points are lost stands in one
 * table, and in the description of the tool.
 */
#ifndef OCI_POSTURE_H
#define OCI_POSTURE_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

/* Together these stay below TOOL_ASKS_MAX. */
#define POSTURE_USERS_MAX  80 /* users whose API keys are read */
#define POSTURE_GROUPS_MAX 80 /* NSGs whose rules are read */
#define POSTURE_PLACES_MAX 20 /* compartments whose networks are read */

#define POSTURE_KEY_DAYS   90 /* an API key is old after this */
#define POSTURE_SCORE_LOW  70 /* below: a recommendation */
#define POSTURE_FINDINGS   50 /* of an area that are told */
#define POSTURE_SHARE_LOSS 25 /* points for nobody with MFA */

/*
 * Does a policy statement let somebody other than the Administrators manage
 * everything in the tenancy: "allow group X to manage all-resources in
 * tenancy", whatever its case and spaces?
 */
bool posture_is_broad(struct span statement);

extern const struct tool_function posture_functions[];
extern const size_t posture_n_functions;

#endif
