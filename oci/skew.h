/*
 * skew - how far a server's clock is from ours, learned from its Date field.
 *
 * A signed request whose date is more than five minutes off is refused with
 * 401. Who learns the difference from such an answer can sign once more, with
 * the time as the server has it.
 */
#ifndef OCI_SKEW_H
#define OCI_SKEW_H

#include "lib/base.h"
#include "lib/span.h"

#define SKEW_WORTH_S 60 /* less cannot have been the reason for a 401 */

/*
 * The server's clock minus ours, in seconds, if its Date field says so and the
 * difference is worth correcting; else false. now_s is our clock without any
 * correction.
 */
MUST_CHECK bool skew_learn(struct span date_field, int64_t now_s, int64_t *out);

#endif
