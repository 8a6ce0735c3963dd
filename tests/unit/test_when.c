#include "oci/when.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* clang-format off */
static const struct {
	const char *text;
	int64_t seconds;
} times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "1969-12-31T23:59:59Z", -1 },
	{ "2026-01-02T03:04:05.678Z", 1767323045 },
	{ "2026-01-02t03:04:05z", 1767323045 },
	{ "2026-01-02 03:04:05Z", 1767323045 },
	{ "2026-01-02T04:04:05.6+01:00", 1767323045 },
	{ "2026-01-01T22:34:05-04:30", 1767323045 },
	{ "2026-01-02T03:04:05-00:00", 1767323045 },
	{ "2026-01-02", 1767312000 },
	{ "2024-02-29", 1709164800 },
	{ "2000-02-29T00:00:00Z", 951782400 },
	{ "2016-12-31T23:59:60Z", 1483228800 },
	{ "0000-01-01T00:00:00Z", INT64_C(-62167219200) },
	{ "0001-01-01", INT64_C(-62135596800) },
	{ "9999-12-31T23:59:59Z", INT64_C(253402300799) },
};

static const char *const bad_times[] = {
	"", "2026", "2026-01", "2026-1-02", "2026-13-01", "2026-00-01",
	"2026-01-32", "2026-01-00", "2025-02-29", "1900-02-29", "2026-04-31",
	"26-01-02", "2026/01/02", "2026-01-02T", "2026-01-02T03:04Z",
	"2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:61Z",
	"2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05+1",
	"2026-01-02T03:04:05+0100", "2026-01-02T03:04:05+24:00",
	"2026-01-02T03:04:05Z ", "2026-01-02T03:04:05ZZ", "+026-01-02", "-001-01-01",
	"2026-01-02X03:04:05Z", "yesterday",
};

static const struct {
	const char *from;
	int n;
	const char *to;
} months[] = {
	{ "2026-01-31T10:00:00Z", 1, "2026-02-28T10:00:00Z" },
	{ "2024-01-31T10:00:00Z", 1, "2024-02-29T10:00:00Z" },
	{ "2026-03-31T00:00:00Z", -1, "2026-02-28T00:00:00Z" },
	{ "2026-01-15T00:00:00Z", -1, "2025-12-15T00:00:00Z" },
	{ "2026-12-01T00:00:00Z", 1, "2027-01-01T00:00:00Z" },
	{ "2026-06-15T01:02:03Z", 0, "2026-06-15T01:02:03Z" },
	{ "2026-06-15T01:02:03Z", -30, "2023-12-15T01:02:03Z" },
	{ "2026-06-15T01:02:03Z", 1200, "2126-06-15T01:02:03Z" },
	{ "9999-12-01T00:00:00Z", 1, "9999-12-31T23:59:59Z" },
	{ "0000-01-05T00:00:00Z", -1, "0000-01-01T00:00:00Z" },
};

static const struct {
	const char *text;
	int64_t seconds; /* 0: none */
} windows[] = {
	{ "60m", 3600 },  { "1h", 3600 },  { "24h", 86400 }, { "7d", 604800 },
	{ "2w", 1209600 }, { "1m", 60 },   { "36500d", WHEN_WINDOW_MAX_S },
	{ "36501d", 0 },  { "0m", 0 },     { "m", 0 },       { "", 0 },
	{ "60", 0 },      { "60s", 0 },    { "-1h", 0 },     { "1.5h", 0 },
	{ "1h ", 0 },     { " 1h", 0 },    { "1H", 0 },      { "1hh", 0 },
	{ "99999999999999999999m", 0 },    { "+1d", 0 },
};
/* clang-format on */

static int64_t parse(const char *text)
{
	int64_t seconds = 0;

	cr_assert(when_parse(span_str(text), &seconds), "%s", text);
	return seconds;
}

static const char *write(int64_t seconds)
{
	static char text[WHEN_LEN + 1];

	return when_write(seconds, text);
}

Test(when, parses)
{
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		cr_assert_eq(parse(times[i].text), times[i].seconds, "%s",
		             times[i].text);
}

Test(when, refuses)
{
	int64_t seconds = 77;

	for (size_t i = 0; i < ARRAY_LEN(bad_times); i++)
		cr_assert_not(when_parse(span_str(bad_times[i]), &seconds),
		              "%s", bad_times[i]);
	cr_assert_not(when_parse(span_of("2026-01-02\0", 11), &seconds));
	cr_assert_not(when_parse(span_of("2026-01-02T\0", 12), &seconds));
	cr_assert_eq(seconds, 77);
}

Test(when, may_be_cut_at_every_byte)
{
	static const char text[] = "2026-01-02T04:04:05.6+01:00";
	int64_t seconds;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n ? n : 1);

		memcpy(copy, text, n);
		cr_assert_eq(when_parse(span_of(copy, n), &seconds),
		             n == WHEN_DATE_LEN);
		free(copy);
	}
}

Test(when, writes_what_it_parses)
{
	char date[WHEN_DATE_LEN + 1];

	cr_assert_str_eq(write(1767323045), "2026-01-02T03:04:05Z");
	cr_assert_str_eq(when_write_date(1767323045, date), "2026-01-02");
	cr_assert_str_eq(write(-1), "1969-12-31T23:59:59Z");
	cr_assert_str_eq(write(INT64_MIN), "0000-01-01T00:00:00Z");
	cr_assert_str_eq(write(INT64_MAX), "9999-12-31T23:59:59Z");
}

Test(when, agrees_with_the_library_on_every_day)
{
	for (int64_t day = -719528; day <= 2932896; day++) {
		time_t t = (time_t)(day * WHEN_DAY_S + day % 43200 + 43200);
		struct tm tm;
		char expected[64];

		gmtime_r(&t, &tm);
		snprintf(expected, sizeof(expected),
		         "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		         tm.tm_sec);
		cr_assert_str_eq(write(t), expected);
		cr_assert_eq(parse(expected), t);
	}
}

Test(when, knows_the_calendar)
{
	for (size_t i = 0; i < ARRAY_LEN(months); i++)
		cr_assert_str_eq(write(when_add_months(parse(months[i].from),
		                                       months[i].n)),
		                 months[i].to);
	cr_assert_eq(when_month(parse("2026-06-15T01:02:03Z")),
	             parse("2026-06-01"));
	cr_assert_eq(when_midnight(parse("2026-06-15T01:02:03Z")),
	             parse("2026-06-15"));
	cr_assert_eq(when_midnight(-1), -WHEN_DAY_S);
	cr_assert_eq(when_day(parse("2026-06-15T23:59:59Z")), 15);
	cr_assert_eq(when_days_in_month(parse("2024-02-10")), 29);
	cr_assert_eq(when_days_in_month(parse("2100-02-10")), 28);
	cr_assert_eq(when_days_in_month(parse("2026-12-31")), 31);
}

Test(when, reads_windows)
{
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		int64_t seconds = 0;

		cr_assert_eq(when_window(span_str(windows[i].text), &seconds),
		             windows[i].seconds != 0, "%s", windows[i].text);
		cr_assert_eq(seconds, windows[i].seconds, "%s",
		             windows[i].text);
	}
}
