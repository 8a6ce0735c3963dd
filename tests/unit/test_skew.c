#include "oci/skew.h"

#include <criterion/criterion.h>

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
