/*
 * when - times of the calendar: RFC 3339 (section 5.6), months, windows.
 *
 * Times are seconds since 1970, UTC, without leap seconds. Neither the locale
 * nor TZ matters. Years are those that RFC 3339 can write, 0 to 9999: a time
 * beyond them is written as the nearest within.
 */
#ifndef OCI_WHEN_H
#define OCI_WHEN_H

#include "lib/base.h"
#include "lib/span.h"

#define WHEN_LEN      20 /* 2026-01-02T03:04:05Z */
#define WHEN_DATE_LEN 10 /* 2026-01-02 */

#define WHEN_MINUTE_S INT64_C(60)
#define WHEN_HOUR_S   INT64_C(3600)
#define WHEN_DAY_S    INT64_C(86400)

/* The longest window that when_window() takes: 100 years. */
#define WHEN_WINDOW_MAX_S (36500 * WHEN_DAY_S)

/*
 * Read a time: 2026-01-02T03:04:05.678+01:00, with t or a space for the T, z
 * for Z; a fraction is cut off. A date alone is its midnight. A leap second
 * (:60) counts as the second after :59. False, and *seconds untouched, when it
 * is anything else or no day of the calendar.
 */
bool when_parse(struct span text, int64_t *seconds);

/* Write a time, NUL-terminated. Returns out. */
const char *when_write(int64_t seconds, char out[WHEN_LEN + 1]);

/* Write only its date in UTC. Returns out. */
const char *when_write_date(int64_t seconds, char out[WHEN_DATE_LEN + 1]);

/* The midnight (UTC) that begins the day of a time. */
int64_t when_midnight(int64_t seconds);

/* The first second of the month of a time. */
int64_t when_month(int64_t seconds);

/* The same time of day n months later, or earlier for n < 0; a day that month
 * does not have becomes its last: one month after January 31 is February 28. */
int64_t when_add_months(int64_t seconds, int n);

/* The day of the month, from 1. */
int when_day(int64_t seconds);

/* How many days the month of a time has. */
int when_days_in_month(int64_t seconds);

/*
 * Read the length of a window: a number from 1 and one of m h d w (minutes,
 * hours, days, weeks), "60m", "7d". False, and *seconds untouched, when it is
 * anything else or longer than WHEN_WINDOW_MAX_S.
 */
bool when_window(struct span text, int64_t *seconds);

#endif
