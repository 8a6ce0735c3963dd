/*
 * clock - two clocks and the forms in which they are written.
 *
 * Durations and deadlines use the monotonic clock; what a person or another
 * program reads uses UTC.
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

#define CLOCK_ISO_LEN  24 /* 2026-01-02T03:04:05.678Z */
#define CLOCK_HTTP_LEN 29 /* Fri, 02 Jan 2026 03:04:05 GMT */

/* Milliseconds of the monotonic clock; comparable between processes. */
uint64_t clock_mono_ms(void);

/* Microseconds of the monotonic clock. */
uint64_t clock_mono_us(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_utc_ms(void);

/* RFC 3339 with milliseconds, NUL-terminated. Returns out. */
const char *clock_iso(int64_t utc_ms, char out[CLOCK_ISO_LEN + 1]);

/* IMF-fixdate of RFC 9110, section 5.6.7, NUL-terminated. Returns out. */
const char *clock_http(int64_t utc_ms, char out[CLOCK_HTTP_LEN + 1]);

#endif
