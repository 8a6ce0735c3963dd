#include "lib/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t clock_mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000u;
}

int64_t clock_utc_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *clock_iso(int64_t utc_ms, char out[CLOCK_ISO_LEN + 1])
{
	time_t s = (time_t)(utc_ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, CLOCK_ISO_LEN + 1, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
	for (int i = 22, ms = (int)(utc_ms % 1000); i > 19; i--, ms /= 10)
		out[i] = (char)('0' + ms % 10);
	return out;
}

const char *clock_http(int64_t utc_ms, char out[CLOCK_HTTP_LEN + 1])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed",
		                         "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr",
		                            "May", "Jun", "Jul", "Aug",
		                            "Sep", "Oct", "Nov", "Dec" };
	time_t s = (time_t)(utc_ms / 1000);
	struct tm tm;
	char rest[24];

	gmtime_r(&s, &tm);
	strftime(rest, sizeof(rest), "%Y %H:%M:%S GMT", &tm);
	snprintf(out, CLOCK_HTTP_LEN + 1, "%s, %02d %s %.17s",
	         days[tm.tm_wday % 7], tm.tm_mday & 31, months[tm.tm_mon % 12],
	         rest);
	return out;
}
