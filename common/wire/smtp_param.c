/* common/wire/smtp_param.c -- see smtp_param.h. */
#include "common/wire/smtp_param.h"

#include "common/wire/address.h"
#include "common/wire/chars.h"
#include "common/wire/utf8.h"

/* --- numbers --- */

/* 1*digits_max DIGIT. RC_RANGE: more than 64 bits. */
static enum rc
number_parse(struct slice text, size_t digits_max, uint64_t *ret_n)
{
	uint64_t n = 0;
	bool over = false;

	if (text.n == 0 || text.n > digits_max)
		return RC_SYNTAX;
	for (size_t i = 0; i < text.n; i++) {
		if (!char_is_digit(text.p[i]))
			return RC_SYNTAX;
		over |= __builtin_mul_overflow(n, 10, &n);
		over |= __builtin_add_overflow(n, text.p[i] - (uint64_t)'0', &n);
	}
	if (over)
		return RC_RANGE;
	*ret_n = n;
	return RC_OK;
}

enum rc
smtp_size_parse(struct slice value, uint64_t *ret_size)
{
	return number_parse(value, 20, ret_size);
}

enum rc
smtp_body_parse(struct slice value, enum smtp_body *ret_body)
{
	if (slice_caseeq(value, S("7BIT")))
		*ret_body = SMTP_BODY_7BIT;
	else if (slice_caseeq(value, S("8BITMIME")))
		*ret_body = SMTP_BODY_8BITMIME;
	else if (slice_caseeq(value, S("BINARYMIME")))
		*ret_body = SMTP_BODY_BINARYMIME;
	else
		return RC_SYNTAX;
	return RC_OK;
}

enum rc
smtp_bdat_parse(struct slice arg, uint64_t *ret_size, bool *ret_last)
{
	struct slice digits = slice_first(arg, slice_find(arg, ' ')), rest = slice_from(arg, digits.n);
	uint64_t n;
	enum rc rc;

	while (rest.n > 0 && rest.p[0] == ' ')
		rest = slice_from(rest, 1);
	if (rest.n > 0 && !slice_caseeq(rest, S("LAST")))
		return RC_SYNTAX;
	rc = number_parse(digits, SIZE_MAX, &n);
	if (rc != RC_OK)
		return rc;
	*ret_size = n;
	*ret_last = rest.n > 0;
	return RC_OK;
}

/* --- DSN --- */

/* RFC 3461 4: in upper case. RFC 4954 8: in either (`lower`). */
static int
hex_digit(uint8_t c, bool lower)
{
	return lower || c < 'a' ? char_hex_digit(c) : -1;
}

/* The next byte that text stands for, cut off its front; -1: malformed, or nothing left. UTF-8 stands for itself: RFC 6533 3 lets
 * it into xtext, and who is not to see it has looked before. */
static int
next_byte(struct slice *text, bool lower)
{
	uint8_t c;

	if (text->n == 0 || text->p[0] == '=' || !(char_is_graph(text->p[0]) || text->p[0] > 0x7f))
		return -1;
	c = text->p[0];
	if (c != '+') {
		*text = slice_from(*text, 1);
		return c;
	}
	if (text->n < 3 || hex_digit(text->p[1], lower) < 0 || hex_digit(text->p[2], lower) < 0)
		return -1;
	c = (uint8_t)(hex_digit(text->p[1], true) << 4 | hex_digit(text->p[2], true));
	*text = slice_from(*text, 3);
	return c;
}

/* Of bytes that are xtext or above ASCII. */
static bool
is_xtext(struct slice text, bool lower)
{
	while (text.n > 0)
		if (next_byte(&text, lower) < 0)
			return false;
	return true;
}

bool
smtp_xtext_decode(struct buf *to, struct slice text)
{
	int c;

	while (text.n > 0 && (c = next_byte(&text, true)) >= 0)
		(void)buf_put_byte(to, (uint8_t)c);
	return !to->failed;
}

/* Valid, and what it stands for is fit for a line of a report. high: it may be UTF-8, written as it is or as xtext. */
static bool
is_printable_xtext(struct slice text, bool high)
{
	if (!(high ? utf8_is_visible(text) : slice_is_ascii(text)))
		return false;
	while (text.n > 0) {
		int c = next_byte(&text, false);

		if (c < 0 || !(char_is_print((uint8_t)c) || (high && c > 0x7f)))
			return false;
	}
	return true;
}

enum rc
smtp_ret_parse(struct slice value, enum smtp_ret *ret_ret)
{
	if (slice_caseeq(value, S("FULL")))
		*ret_ret = SMTP_RET_FULL;
	else if (slice_caseeq(value, S("HDRS")))
		*ret_ret = SMTP_RET_HDRS;
	else
		return RC_SYNTAX;
	return RC_OK;
}

enum rc
smtp_envid_parse(struct slice value)
{
	if (value.n == 0 || !is_printable_xtext(value, false))
		return RC_SYNTAX;
	return value.n > SMTP_ENVID_MAX ? RC_RANGE : RC_OK;
}

enum rc
smtp_auth_parse(struct slice value)
{
	struct buf text = BUF_INIT(ADDRESS_TEXT_MAX);
	struct address a;
	enum rc rc = RC_SYNTAX;

	/* Longer than any address is no address. RFC 6531 3.2: it is a mailbox, so that it may be in UTF-8. */
	if (utf8_is_visible(value) && is_xtext(value, true) && smtp_xtext_decode(&text, value) &&
	    (slice_eq(buf_slice(&text), S("<>")) || address_mailbox_parse(buf_slice(&text), &a) == RC_OK))
		rc = RC_OK;
	buf_free(&text);
	return rc;
}

enum rc
smtp_notify_parse(struct slice value, uint8_t *ret_bits)
{
	static const struct {
		struct slice word;
		uint8_t bit;
	} words[] = { { SLICE("SUCCESS"), SMTP_NOTIFY_SUCCESS }, { SLICE("FAILURE"), SMTP_NOTIFY_FAILURE },
		{ SLICE("DELAY"), SMTP_NOTIFY_DELAY } };
	uint8_t bits = 0;

	if (slice_caseeq(value, S("NEVER"))) {
		*ret_bits = SMTP_NOTIFY_NEVER;
		return RC_OK;
	}
	for (;;) {
		struct slice word = slice_first(value, slice_find(value, ','));
		uint8_t bit = 0;

		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (slice_caseeq(word, words[i].word))
				bit = words[i].bit;
		/* Named twice is as good as once: 1#notify-list-element (RFC 3461 4.1). */
		if (bit == 0)
			return RC_SYNTAX;
		bits |= bit;
		if (word.n == value.n)
			break;
		value = slice_from(value, word.n + 1);
	}
	*ret_bits = bits;
	return RC_OK;
}

enum rc
smtp_orcpt_parse(struct slice value, struct slice *ret_type, struct slice *ret_xtext)
{
	struct slice type = slice_first(value, slice_find(value, ';')), xtext = slice_from(value, type.n + 1);

	if (type.n == 0 || type.n == value.n || xtext.n == 0)
		return RC_SYNTAX;
	for (size_t i = 0; i < type.n; i++)
		if (!char_is_atext(type.p[i]))
			return RC_SYNTAX;
	if (!is_printable_xtext(xtext, slice_caseeq(type, S("utf-8"))))
		return RC_SYNTAX;
	if (value.n > SMTP_ORCPT_MAX)
		return RC_RANGE;
	*ret_type = type;
	*ret_xtext = xtext;
	return RC_OK;
}

/* --- when, and how urgently --- */

enum rc
smtp_by_parse(struct slice value, struct smtp_by *ret_by)
{
	struct slice time = slice_first(value, slice_find(value, ';')), mode = slice_from(value, time.n + 1);
	bool negative = time.n > 0 && time.p[0] == '-';
	struct smtp_by by;
	uint64_t n;

	if (negative || (time.n > 0 && time.p[0] == '+'))
		time = slice_from(time, 1);
	if (number_parse(time, 9, &n) != RC_OK || mode.n == 0 || mode.n > 2)
		return RC_SYNTAX;
	by.seconds = negative ? -(int32_t)n : (int32_t)n;
	by.notify = (mode.p[0] | 0x20) == 'n';
	by.trace = mode.n == 2;
	if ((!by.notify && (mode.p[0] | 0x20) != 'r') || (by.trace && (mode.p[1] | 0x20) != 't'))
		return RC_SYNTAX;
	if (!by.notify && by.seconds <= 0)
		return RC_SYNTAX;
	*ret_by = by;
	return RC_OK;
}

enum rc
smtp_holdfor_parse(struct slice value, uint32_t *ret_seconds)
{
	uint64_t n;

	if (number_parse(value, 9, &n) != RC_OK || value.p[0] == '0')
		return RC_SYNTAX;
	*ret_seconds = (uint32_t)n;
	return RC_OK;
}

enum rc
smtp_priority_parse(struct slice value, int8_t *ret_priority)
{
	bool negative = value.n == 2 && value.p[0] == '-';
	uint8_t digit = value.n == 0 ? 0 : value.p[value.n - 1];

	if ((value.n != 1 && !negative) || !char_is_digit(digit) || (negative && digit == '0'))
		return RC_SYNTAX;
	*ret_priority = (int8_t)(negative ? '0' - digit : digit - '0');
	return RC_OK;
}
