#include "oci/skew.h"

#include <stdlib.h>

#include "oci/sign.h"

bool skew_learn(struct span date_field, int64_t now_s, int64_t *out)
{
	int64_t theirs_s;

	if (!sign_date_read(date_field, &theirs_s) ||
	    llabs(theirs_s - now_s) < SKEW_WORTH_S)
		return false;
	*out = theirs_s - now_s;
	return true;
}
