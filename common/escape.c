/* common/escape.c -- see escape.h. */
#include "common/escape.h"

static bool
is_plain(uint8_t c, uint8_t quote)
{
	return c >= 0x20 && c <= 0x7e && c != '\\' && c != quote;
}

static bool
put(struct buf *to, struct slice s, size_t max, uint8_t quote)
{
	static const char digits[] = "0123456789abcdef";
	struct slice part = slice_first(s, max);
	size_t run = 0;

	for (size_t i = 0; i < part.n; i++) {
		if (is_plain(part.p[i], quote))
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
escape_put(struct buf *to, struct slice s, size_t max)
{
	return put(to, s, max, '"');
}

bool
escape_value_put(struct buf *to, struct slice s, size_t max)
{
	bool has_double = slice_find(s, '"') < s.n, has_single = slice_find(s, '\'') < s.n;
	const uint8_t quote = has_double && !has_single ? '\'' : '"';
	bool quoted = s.n == 0 || has_double || s.p[0] == '\'';

	for (size_t i = 0; i < s.n && i < max && !quoted; i++)
		quoted = s.p[i] == ' ' || s.p[i] == '=' || !is_plain(s.p[i], quote);
	if (quoted)
		(void)buf_put_byte(to, quote);
	(void)put(to, s, max, quote);
	if (quoted)
		(void)buf_put_byte(to, quote);
	return !to->failed;
}
