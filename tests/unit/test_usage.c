#include "oci/usage.h"

#include <criterion/criterion.h>

#include "oci/when.h"

static void check(const char *start, const char *end, bool monthly,
                  enum usage_error error, const char *from, const char *to,
                  size_t pieces)
{
	struct usage_period p = { 0 };
	char text[WHEN_LEN + 1];

	cr_assert_eq(usage_period(span_str(start), span_str(end), monthly, &p),
	             error, "%s %s", start, end);
	if (error != USAGE_OK)
		return;
	cr_assert_str_eq(when_write(p.start_s, text), from);
	cr_assert_str_eq(when_write(p.end_s, text), to);
	cr_assert_eq(usage_pieces(&p), pieces);
}

Test(usage, bounds_move_outwards)
{
	check("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z", false, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 1);
	check("2026-01-01", "2026-02-01", false, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 1);
	check("2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z", false, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 1);
	/* 23:30 in New York is the next day in UTC. */
	check("2026-01-01T23:30:00-05:00", "2026-01-03", false, USAGE_OK,
	      "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", 1);
	check("2026-01-15", "2026-03-02", true, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", 1);
	check("2025-12-01", "2026-01-01", true, USAGE_OK,
	      "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z", 1);
}

Test(usage, long_periods_are_read_in_pieces)
{
	struct usage_period p, piece;
	int64_t at;

	check("2026-01-01", "2026-04-01", false, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", 1);
	check("2026-01-01", "2026-04-02", false, USAGE_OK,
	      "2026-01-01T00:00:00Z", "2026-04-02T00:00:00Z", 2);
	check("2025-01-01", "2026-02-01", true, USAGE_OK,
	      "2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z", 2);
	cr_assert_eq(
		usage_period(SPAN("2025-01-01"), SPAN("2026-01-01"), false, &p),
		USAGE_OK);
	at = p.start_s;
	for (size_t i = 0; i < usage_pieces(&p); i++) {
		piece = usage_piece(&p, i);
		cr_assert_eq(piece.start_s, at);
		cr_assert_leq(usage_days(&piece), USAGE_DAYS_MAX);
		at = piece.end_s;
	}
	cr_assert_eq(at, p.end_s);
	cr_assert_eq(usage_days(&p), 365);
}

Test(usage, what_is_no_period)
{
	check("yesterday", "2026-01-01", false, USAGE_BAD_START, "", "", 0);
	check("2026-01-01", "", false, USAGE_BAD_END, "", "", 0);
	check("2026-01-02", "2026-01-02", false, USAGE_BACKWARDS, "", "", 0);
	check("2026-01-02", "2026-01-01", true, USAGE_BACKWARDS, "", "", 0);
	check("2016-01-01", "2026-01-01", false, USAGE_TOO_LONG, "", "", 0);
	check("1990-01-01", "2026-01-01", true, USAGE_TOO_LONG, "", "", 0);
	for (int e = 0; e < USAGE_ERRORS_MAX; e++)
		cr_assert_not_null(usage_error((enum usage_error)e));
}
