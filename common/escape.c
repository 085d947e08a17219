/* common/escape.c -- see escape.h. */
#include "common/escape.h"

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e && c != '\\' && c != '"';
}

bool
escape_put(struct buf *to, struct slice s, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	struct slice part = slice_first(s, max);
	size_t run = 0;

	for (size_t i = 0; i < part.n; i++) {
		if (is_plain(part.p[i]))
			continue;
		const uint8_t c = part.p[i];
		const char code[4] = { '\\', 'x', digits[c >> 4], digits[c & 0xf] };

		(void)buf_put(to, part.p + run, i - run);
		(void)buf_put(to, code, sizeof code);
		run = i + 1;
	}
	(void)buf_put(to, part.n == 0 ? NULL : part.p + run, part.n - run);
	if (part.n < s.n)
		(void)buf_put_str(to, "...");
	return !to->failed;
}

bool
escape_value_put(struct buf *to, struct slice s, size_t max)
{
	bool quote = s.n == 0;

	for (size_t i = 0; i < s.n && i < max && !quote; i++)
		quote = s.p[i] == ' ' || s.p[i] == '=' || !is_plain(s.p[i]);
	if (quote)
		(void)buf_put_byte(to, '"');
	(void)escape_put(to, s, max);
	if (quote)
		(void)buf_put_byte(to, '"');
	return !to->failed;
}
