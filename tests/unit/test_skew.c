#include "oci/skew.h"

#include <criterion/criterion.h>

Test(skew, dates)
{
	static const struct {
		const char *text;
		bool good;
		int64_t seconds;
	} rows[] = {
		{ "Thu, 05 Jan 2023 21:31:40 GMT", true, 1672954300 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", true, 0 },
		{ "Sat, 29 Feb 2020 23:59:60 GMT", true, 1583020800 },
		{ "Thu, 5 Jan 2023 21:31:40 GMT", false, 0 },
		{ "Thu, 05 jan 2023 21:31:40 GMT", false, 0 },
		{ "Thu, 05 Jan 2023 24:31:40 GMT", false, 0 },
		{ "Thu, 32 Jan 2023 21:31:40 GMT", false, 0 },
		{ "Thu, 05 Jan 2023 21:31:40 UTC", false, 0 },
		{ "Thu, 05 Jan 2023 21:31:40 GMT ", false, 0 },
		{ "", false, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t seconds = -1;
		bool good = skew_date(span_str(rows[i].text), &seconds);

		cr_assert_eq(good, rows[i].good, "%s", rows[i].text);
		cr_assert_eq(seconds, good ? rows[i].seconds : -1, "%s: %lld",
		             rows[i].text, (long long)seconds);
	}
}

Test(skew, only_what_is_worth_it_is_learned)
{
	static const char date[] = "Thu, 05 Jan 2023 21:31:40 GMT";
	int64_t skew = 0;

	cr_assert(skew_learn(span_str(date), 1672954300 - 400, &skew));
	cr_assert_eq(skew, 400);
	cr_assert(skew_learn(span_str(date), 1672954300 + 400, &skew));
	cr_assert_eq(skew, -400);
	cr_assert_not(skew_learn(span_str(date), 1672954300 + 30, &skew));
	cr_assert_not(skew_learn(span_str("x"), 0, &skew));
	cr_assert_eq(skew, -400);
}
