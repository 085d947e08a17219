/* common/wire/date.h -- dates as text, from numbers alone: no time zone files, no locale, any process may call it. */
#ifndef POSTERN_COMMON_WIRE_DATE_H
#define POSTERN_COMMON_WIRE_DATE_H

#include "common/rc.h"
#include "common/slice.h"

enum {
	DATE_RFC5322_MAX = 48,	/* "Mon, 23 Nov 2026 20:24:44 +0000 (UTC)", a zone name of 8 at most, NUL */
	DATE_ISO8601_MAX = 40,	/* "2026-11-23T20:24:44.123456+01:00", NUL */
};

/* RFC 5322 3.3 with a two-digit day. seconds: since 1970, UTC. offset: minutes east of UTC, within a day. zone: a
 * comment of 1..8 letters for people, or NULL for none; with NULL and offset 0 it is UTC. Years outside 0..9999 are
 * drawn to the nearest. NUL-terminated; returns the length. */
size_t date_rfc5322(char out[DATE_RFC5322_MAX], int64_t seconds, int offset, const char *zone);

/* RFC 3339 with microseconds; Z when offset is 0. us: microseconds since 1970, UTC. */
size_t date_iso8601(char out[DATE_ISO8601_MAX], int64_t us, int offset);

/* RFC 3339 in UTC ("2026-11-23T20:24:44Z", perhaps with a fraction): seconds since 1970, the first that do not lie before
 * it. RC_SYNTAX. */
enum rc date_rfc3339_parse(struct slice text, int64_t *ret_seconds);

/* Is it the value of a Date field (RFC 5322 3.3, 4.3: two digits of a year and names of zones too), with any white space and
 * comments? The name of the day is not compared with the date. */
bool date_rfc5322_is_valid(struct slice text);

#endif
