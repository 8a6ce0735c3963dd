#include "oci/skew.h"

#include <stdlib.h>
#include <time.h>

/* "Thu, 05 Jan 2023 21:31:40 GMT": 0 is a digit, ? anything. */
static const char form[] = "???, 00 ??? 0000 00:00:00 GMT";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool has_form(struct span field)
{
	if (field.len != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < field.len; i++) {
		bool digit = field.at[i] >= '0' && field.at[i] <= '9';

		if (form[i] == '0' ? !digit
		                   : form[i] != '?' && form[i] != field.at[i])
			return false;
	}
	return true;
}

static int number(struct span field, size_t at, size_t n)
{
	int value = 0;

	for (size_t i = at; i < at + n; i++)
		value = value * 10 + (field.at[i] - '0');
	return value;
}

static int month(struct span field)
{
	for (int i = 0; i < 12; i++)
		if (memcmp(field.at + 8, months + 3 * i, 3) == 0)
			return i;
	return -1;
}

bool skew_date(struct span field, int64_t *out)
{
	struct tm tm = { 0 };

	if (!has_form(field))
		return false;
	tm.tm_mday = number(field, 5, 2);
	tm.tm_mon = month(field);
	tm.tm_year = number(field, 12, 4) - 1900;
	tm.tm_hour = number(field, 17, 2);
	tm.tm_min = number(field, 20, 2);
	tm.tm_sec = number(field, 23, 2);
	if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

bool skew_learn(struct span date_field, int64_t now_s, int64_t *out)
{
	int64_t theirs_s;

	if (!skew_date(date_field, &theirs_s) ||
	    llabs(theirs_s - now_s) < SKEW_WORTH_S)
		return false;
	*out = theirs_s - now_s;
	return true;
}
