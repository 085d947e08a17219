/* common/wire/date.c -- see date.h. */
#include "common/wire/date.h"

#include "common/wire/chars.h"

enum { ZONE_MAX = 8, OFFSET_MAX = 24 * 60 - 1 };

#define SECOND_MIN	(-INT64_C(62167219200))	/* 0000-01-01 00:00:00 */
#define SECOND_MAX	INT64_C(253402300799)	/* 9999-12-31 23:59:59 */

struct civil {
	unsigned year, month, day;	/* 1..12, 1..31 */
	unsigned weekday;		/* 0: Sunday */
	unsigned hour, minute, second;
};

/* The proleptic Gregorian calendar, in eras of 400 years that start on 1 March, so that the leap day comes last. */
static struct civil
civil_of(int64_t seconds)
{
	struct civil c;
	int64_t t = seconds - SECOND_MIN;			/* >= 0 from here on */
	uint64_t days = (uint64_t)t / 86400, in_day = (uint64_t)t % 86400;
	uint64_t shifted = days + 146097 - 60;			/* since 1 March of the year -400 */
	uint64_t era = shifted / 146097, day = shifted % 146097;
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t in_year = day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * in_year + 2) / 153;		/* 0: March */

	c.day = (unsigned)(in_year - (153 * month + 2) / 5 + 1);
	c.month = (unsigned)(month < 10 ? month + 3 : month - 9);
	c.year = (unsigned)(era * 400 + year + (c.month <= 2) - 400);
	c.weekday = (unsigned)((days + 6) % 7);			/* 0000-01-01 was a Saturday */
	c.hour = (unsigned)(in_day / 3600);
	c.minute = (unsigned)(in_day / 60 % 60);
	c.second = (unsigned)(in_day % 60);
	return c;
}

static int64_t
clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

static struct civil
local_civil(int64_t seconds, int offset)
{
	seconds = clamp(seconds, SECOND_MIN, SECOND_MAX) + (int64_t)offset * 60;
	return civil_of(clamp(seconds, SECOND_MIN, SECOND_MAX));
}

static void
put_text(struct wr *w, const char *s, size_t n)
{
	wr_bytes(w, s, n);
}

static void
put_number(struct wr *w, unsigned v, unsigned digits)
{
	char text[8];

	for (unsigned i = digits; i > 0; i--) {
		text[i - 1] = (char)('0' + v % 10);
		v /= 10;
	}
	wr_bytes(w, text, digits);
}

static void
put_clock(struct wr *w, const struct civil *c)
{
	put_number(w, c->hour, 2);
	put_text(w, ":", 1);
	put_number(w, c->minute, 2);
	put_text(w, ":", 1);
	put_number(w, c->second, 2);
}

static void
put_offset(struct wr *w, int offset, const char *colon)
{
	unsigned minutes = (unsigned)(offset < 0 ? -offset : offset);

	put_text(w, offset < 0 ? "-" : "+", 1);
	put_number(w, minutes / 60, 2);
	put_text(w, colon, strlen(colon));
	put_number(w, minutes % 60, 2);
}

static size_t
finish(struct wr *w)
{
	w->p[w->n] = '\0';
	return w->n;
}

size_t
/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to, through w */
date_rfc5322(char out[DATE_RFC5322_MAX], int64_t seconds, int offset, const char *zone)
{
	static const char weekdays[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct wr w = { (uint8_t *)out, 0, DATE_RFC5322_MAX - 1, false };
	struct civil c;

	offset = (int)clamp(offset, -OFFSET_MAX, OFFSET_MAX);
	c = local_civil(seconds, offset);
	if (zone == NULL && offset == 0)
		zone = "UTC";
	put_text(&w, weekdays + (size_t)c.weekday * 3, 3);
	put_text(&w, ", ", 2);
	put_number(&w, c.day, 2);
	put_text(&w, " ", 1);
	put_text(&w, months + (size_t)(c.month - 1) * 3, 3);
	put_text(&w, " ", 1);
	put_number(&w, c.year, 4);
	put_text(&w, " ", 1);
	put_clock(&w, &c);
	put_text(&w, " ", 1);
	put_offset(&w, offset, "");
	if (zone != NULL) {
		put_text(&w, " (", 2);
		for (size_t i = 0; i < ZONE_MAX && zone[i] != '\0'; i++)
			put_text(&w, char_is_alnum((uint8_t)zone[i]) ? zone + i : "?", 1);
		put_text(&w, ")", 1);
	}
	return finish(&w);
}

size_t
/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to, through w */
date_iso8601(char out[DATE_ISO8601_MAX], int64_t us, int offset)
{
	struct wr w = { (uint8_t *)out, 0, DATE_ISO8601_MAX - 1, false };
	int64_t seconds = us / 1000000, micro = us % 1000000;
	struct civil c;

	if (micro < 0) {
		micro += 1000000;
		seconds--;
	}
	offset = (int)clamp(offset, -OFFSET_MAX, OFFSET_MAX);
	c = local_civil(seconds, offset);
	put_number(&w, c.year, 4);
	put_text(&w, "-", 1);
	put_number(&w, c.month, 2);
	put_text(&w, "-", 1);
	put_number(&w, c.day, 2);
	put_text(&w, "T", 1);
	put_clock(&w, &c);
	put_text(&w, ".", 1);
	put_number(&w, (unsigned)micro, 6);
	if (offset == 0)
		put_text(&w, "Z", 1);
	else
		put_offset(&w, offset, ":");
	return finish(&w);
}

/* --- reading --- */

/* Cuts digits off the front: exactly so many, and then the byte `then` (0: none). */
static bool
take_number(struct slice *text, size_t digits, uint8_t then, unsigned *ret_n)
{
	unsigned n = 0;

	if (text->n < digits + (then != 0))
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (!char_is_digit(text->p[i]))
			return false;
		n = n * 10 + (unsigned)(text->p[i] - '0');
	}
	if (then != 0 && (text->p[digits] & ~(then == 'T' ? 0x20 : 0)) != then)
		return false;
	*text = slice_from(*text, digits + (then != 0));
	*ret_n = n;
	return true;
}

static unsigned
days_of_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

/* Since 0000-01-01. */
static int64_t
days_until(const struct civil *c)
{
	int64_t before = c->year == 0 ? 0 : (int64_t)c->year - 1, days;

	days = c->year == 0 ? 0 : 366 + before * 365 + before / 4 - before / 100 + before / 400;
	for (unsigned m = 1; m < c->month; m++)
		days += days_of_month(c->year, m);
	return days + c->day - 1;
}

/* "." 1*DIGIT, of which only is told whether it is more than nothing; then Z, and nothing behind it. */
static bool
ends_in_utc(struct slice text, bool *ret_fraction)
{
	*ret_fraction = false;
	if (text.n > 1 && text.p[0] == '.') {
		text = slice_from(text, 1);
		if (!char_is_digit(text.p[0]))
			return false;
		for (; text.n > 0 && char_is_digit(text.p[0]); text = slice_from(text, 1))
			*ret_fraction = *ret_fraction || text.p[0] != '0';
	}
	return text.n == 1 && (text.p[0] == 'Z' || text.p[0] == 'z');
}

enum rc
date_rfc3339_parse(struct slice text, int64_t *ret_seconds)
{
	struct civil c = { 0 };
	bool fraction;

	if (!take_number(&text, 4, '-', &c.year) || !take_number(&text, 2, '-', &c.month) ||
	    !take_number(&text, 2, 'T', &c.day) ||
	    !take_number(&text, 2, ':', &c.hour) || !take_number(&text, 2, ':', &c.minute) ||
	    !take_number(&text, 2, 0, &c.second))
		return RC_SYNTAX;
	if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_of_month(c.year, c.month) || c.hour > 23 || c.minute > 59 ||
	    c.second > 60 || !ends_in_utc(text, &fraction))
		return RC_SYNTAX;
	*ret_seconds = SECOND_MIN + days_until(&c) * 86400 + c.hour * 3600 + c.minute * 60 + c.second + fraction;
	return RC_OK;
}

/* Cuts white space and comments off the front (RFC 5322 3.2.2: CFWS). False: a comment does not end. */
static bool
skip_cfws(struct slice *text)
{
	size_t depth = 0, i;

	for (i = 0; i < text->n; i++) {
		uint8_t c = text->p[i];

		if (c == '(')
			depth++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
		else if (c == ')')
			depth--;
		else if (c == '\\')
			i++;
	}
	*text = slice_from(*text, i < text->n ? i : text->n);
	return depth == 0;
}

/* Cuts `min` to `max` digits off, and what stands around them that means nothing. */
static bool
take_digits(struct slice *text, size_t min, size_t max, unsigned *ret_n)
{
	size_t digits = 0;

	if (!skip_cfws(text))
		return false;
	while (digits < text->n && digits <= max && char_is_digit(text->p[digits]))
		digits++;
	return digits >= min && digits <= max && take_number(text, digits, 0, ret_n) && skip_cfws(text);
}

static bool
take_byte(struct slice *text, uint8_t c)
{
	if (text->n == 0 || text->p[0] != c)
		return false;
	*text = slice_from(*text, 1);
	return true;
}

/* Cuts three letters off: which of the names in `names` are they, from 1? 0: none. */
static unsigned
take_name(struct slice *text, const char *names)
{
	struct slice all = slice_str(names), name = slice_first(*text, 3);

	for (size_t i = 0; i + 3 <= all.n && name.n == 3; i += 3)
		if (slice_caseeq(name, slice_first(slice_from(all, i), 3))) {
			*text = slice_from(*text, 3);
			return (unsigned)(i / 3 + 1);
		}
	return 0;
}

/* +hhmm, or letters: what the zone is nobody needs to know (RFC 5322 4.3). */
static bool
is_zone(struct slice text)
{
	unsigned hours, minutes;
	size_t letters = 0;

	if (take_byte(&text, '+') || take_byte(&text, '-')) {
		if (!take_number(&text, 2, 0, &hours) || !take_number(&text, 2, 0, &minutes) || minutes > 59)
			return false;
	} else {
		while (letters < text.n && char_is_alpha(text.p[letters]))
			letters++;
		if (letters == 0 || letters > 5)
			return false;
		text = slice_from(text, letters);
	}
	return skip_cfws(&text) && text.n == 0;
}

static bool
take_day(struct slice *text, struct civil *c)
{
	if (!skip_cfws(text))
		return false;
	if (take_name(text, "SunMonTueWedThuFriSat") > 0 && (!skip_cfws(text) || !take_byte(text, ',')))
		return false;
	if (!take_digits(text, 1, 2, &c->day))
		return false;
	c->month = take_name(text, "JanFebMarAprMayJunJulAugSepOctNovDec");
	if (c->month == 0 || !skip_cfws(text))
		return false;
	if (!take_digits(text, 2, 4, &c->year))
		return false;
	if (c->year < 1000)	/* 4.3: of two digits or three; one of four is 1900 at least */
		c->year += c->year < 50 ? 2000 : 1900;
	return c->year >= 1900 && c->day >= 1 && c->day <= days_of_month(c->year, c->month);
}

bool
date_rfc5322_is_valid(struct slice text)
{
	struct civil c = { 0 };

	if (!take_day(&text, &c) || !take_digits(&text, 2, 2, &c.hour) || !take_byte(&text, ':') ||
	    !take_digits(&text, 2, 2, &c.minute))
		return false;
	if (take_byte(&text, ':') && !take_digits(&text, 2, 2, &c.second))
		return false;
	return c.hour < 24 && c.minute < 60 && c.second <= 60 && is_zone(text);
}
