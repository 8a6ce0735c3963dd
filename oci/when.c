#include "oci/when.h"

#include <string.h>

#define YEAR_MAX    9999
#define FIRST_S     INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_S      INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define FIRST_DAY   (FIRST_S / WHEN_DAY_S)
#define CYCLE_DAYS  146097 /* of 400 years, after which the calendar repeats */
#define CYCLE_YEARS 400

struct date {
	int year, month, day; /* month and day from 1 */
};

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30,
		                        31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from the first of year 0 to the first of a year. */
static int days_before(int year)
{
	if (year == 0)
		return 0;
	/* Year 0 is a leap year, so there is one more of each kind. */
	return 365 * year + (year - 1) / 4 - (year - 1) / 100 +
	       (year - 1) / 400 + 1;
}

static int64_t midnight_of(struct date date)
{
	int64_t days = FIRST_DAY + days_before(date.year) + date.day - 1;

	for (int month = 1; month < date.month; month++)
		days += days_in(date.year, month);
	return days * WHEN_DAY_S;
}

static int64_t clamp(int64_t seconds)
{
	return MAX(MIN(seconds, LAST_S), FIRST_S);
}

/* The date of a time, and the second of its day. */
static struct date date_of(int64_t seconds, int *second)
{
	int64_t since = clamp(seconds) - FIRST_S;
	int day = (int)(since / WHEN_DAY_S);
	struct date date = { .month = 1 };

	*second = (int)(since % WHEN_DAY_S);
	/* An average year is never off by two: begin one before it. */
	date.year = (int)((int64_t)day * CYCLE_YEARS / CYCLE_DAYS);
	date.year -= date.year > 0;
	while (days_before(date.year + 1) <= day)
		date.year++;
	day -= days_before(date.year);
	while (day >= days_in(date.year, date.month))
		day -= days_in(date.year, date.month++);
	date.day = day + 1;
	return date;
}

/* --- reading -------------------------------------------------------------- */

/* Exactly n digits off the front, from low to high. */
static bool take_number(struct span *s, size_t n, int low, int high, int *out)
{
	uint64_t value;

	if (s->len < n || !span_u64(span_first(*s, n), (uint64_t)high, &value))
		return false;
	*out = (int)value;
	*s = span_from(*s, n);
	return *out >= low;
}

static bool take_byte(struct span *s, const char *any_of)
{
	if (s->len == 0 || !s->at[0] || !strchr(any_of, s->at[0]))
		return false;
	*s = span_from(*s, 1);
	return true;
}

static bool take_date(struct span *s, struct date *date)
{
	return take_number(s, 4, 0, YEAR_MAX, &date->year) &&
	       take_byte(s, "-") && take_number(s, 2, 1, 12, &date->month) &&
	       take_byte(s, "-") &&
	       take_number(s, 2, 1, days_in(date->year, date->month),
	                   &date->day);
}

/* hh:mm:ss and a fraction, which is cut off. */
static bool take_time(struct span *s, int *second_of_day)
{
	int hour, minute, second, digit;

	if (!take_number(s, 2, 0, 23, &hour) || !take_byte(s, ":") ||
	    !take_number(s, 2, 0, 59, &minute) || !take_byte(s, ":") ||
	    !take_number(s, 2, 0, 60, &second))
		return false;
	*second_of_day = (hour * 60 + minute) * 60 + second;
	if (!take_byte(s, "."))
		return true;
	if (!take_number(s, 1, 0, 9, &digit))
		return false;
	while (take_number(s, 1, 0, 9, &digit))
		;
	return true;
}

/* Z, or how far local time is ahead of UTC. */
static bool take_offset(struct span *s, int *ahead_s)
{
	bool behind = s->len && s->at[0] == '-';
	int hour, minute;

	*ahead_s = 0;
	if (take_byte(s, "Zz"))
		return true;
	if (!take_byte(s, "+-") || !take_number(s, 2, 0, 23, &hour) ||
	    !take_byte(s, ":") || !take_number(s, 2, 0, 59, &minute))
		return false;
	*ahead_s = (hour * 60 + minute) * (behind ? -60 : 60);
	return true;
}

bool when_parse(struct span text, int64_t *seconds)
{
	int second_of_day = 0, ahead_s = 0;
	struct date date;

	if (!take_date(&text, &date))
		return false;
	if (text.len &&
	    (!take_byte(&text, "Tt ") || !take_time(&text, &second_of_day) ||
	     !take_offset(&text, &ahead_s) || text.len))
		return false;
	*seconds = midnight_of(date) + second_of_day - ahead_s;
	return true;
}

bool when_window(struct span text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t s;
	} units[] = {
		{ 'm', WHEN_MINUTE_S },
		{ 'h', WHEN_HOUR_S },
		{ 'd', WHEN_DAY_S },
		{ 'w', 7 * WHEN_DAY_S },
	};
	uint64_t n;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t max = (uint64_t)(WHEN_WINDOW_MAX_S / units[i].s);

		if (text.at[text.len - 1] != units[i].letter)
			continue;
		if (!span_u64(span_first(text, text.len - 1), max, &n) || !n)
			return false;
		*seconds = (int64_t)n * units[i].s;
		return true;
	}
	return false;
}

/* --- writing -------------------------------------------------------------- */

static char *put_number(char *out, int n, int digits)
{
	for (int i = digits - 1; i >= 0; i--, n /= 10)
		out[i] = (char)('0' + n % 10);
	return out + digits;
}

static char *put_date(char *out, struct date date)
{
	out = put_number(out, date.year, 4);
	*out++ = '-';
	out = put_number(out, date.month, 2);
	*out++ = '-';
	return put_number(out, date.day, 2);
}

const char *when_write(int64_t seconds, char out[WHEN_LEN + 1])
{
	int second;
	char *p = put_date(out, date_of(seconds, &second));

	*p++ = 'T';
	p = put_number(p, second / 3600, 2);
	*p++ = ':';
	p = put_number(p, second / 60 % 60, 2);
	*p++ = ':';
	p = put_number(p, second % 60, 2);
	*p++ = 'Z';
	*p = '\0';
	return out;
}

const char *when_write_date(int64_t seconds, char out[WHEN_DATE_LEN + 1])
{
	int second;

	*put_date(out, date_of(seconds, &second)) = '\0';
	return out;
}

/* --- calendar ------------------------------------------------------------- */

int64_t when_midnight(int64_t seconds)
{
	int second;

	(void)date_of(seconds, &second);
	return clamp(seconds) - second;
}

int64_t when_month(int64_t seconds)
{
	int second;
	struct date date = date_of(seconds, &second);

	date.day = 1;
	return midnight_of(date);
}

int64_t when_add_months(int64_t seconds, int n)
{
	int second;
	struct date date = date_of(seconds, &second);
	int64_t months = (int64_t)date.year * 12 + date.month - 1 + n;

	if (months < 0)
		return FIRST_S;
	if (months > YEAR_MAX * 12 + 11)
		return LAST_S;
	date.year = (int)(months / 12);
	date.month = (int)(months % 12) + 1;
	date.day = MIN(date.day, days_in(date.year, date.month));
	return midnight_of(date) + second;
}

int when_day(int64_t seconds)
{
	int second;

	return date_of(seconds, &second).day;
}

int when_days_in_month(int64_t seconds)
{
	int second;
	struct date date = date_of(seconds, &second);

	return days_in(date.year, date.month);
}
