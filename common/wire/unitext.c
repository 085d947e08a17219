/* common/wire/unitext.c -- see unitext.h. */
#include "common/wire/unitext.h"

#include "common/wire/chars.h"
#include "common/wire/utf8.h"

enum { HEXPOINT_MAX = 6 };

/* The character at s.p[at], whose n bytes are well-formed. */
static uint32_t
code_point(struct slice s, size_t at, size_t n)
{
	uint32_t c = n == 2 ? s.p[at] & 0x1f : n == 3 ? s.p[at] & 0x0f : s.p[at] & 0x07;

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s.p[at + i] & 0x3f);
	return c;
}

bool
unitext_put_ascii(struct buf *to, struct slice text, const char *special, size_t max)
{
	size_t start = buf_len(to);

	for (size_t i = 0, n; i < text.n && buf_len(to) - start < max && !to->failed; i += n) {
		uint8_t c = text.p[i];

		n = c < 0x80 ? 1 : utf8_visible_len(text, i);
		if (n > 1 || (n == 1 && c > 0 && strchr(special, c) != NULL)) {
			(void)buf_printf(to, "\\x{%X}", n > 1 ? code_point(text, i, n) : c);
			continue;
		}
		n = 1;
		(void)buf_put_byte(to, char_is_print(c) ? c : '?');
	}
	return !to->failed;
}

/* EmbeddedUnicodeChar at the front of text: its length, and the character; 0: there is none. */
static size_t
embedded(struct slice text, uint32_t *ret_c)
{
	uint32_t c = 0;
	size_t i = 3;

	if (text.n < i || text.p[0] != '\\' || text.p[1] != 'x' || text.p[2] != '{')
		return 0;
	for (; i < text.n && i < 3 + HEXPOINT_MAX && text.p[i] != '}'; i++) {
		int digit = char_hex_digit(text.p[i]);

		if (digit < 0)
			return 0;
		c = c << 4 | (uint32_t)digit;
	}
	if (i < 5 || i == text.n || text.p[i] != '}')
		return 0;
	*ret_c = c;
	return i + 1;
}

static size_t
utf8_encode(uint32_t c, uint8_t to[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (uint8_t)(0x80 | (c & 0x3f));
	to[0] = (uint8_t)(n == 1 ? c : (0xf0 << (4 - n) & 0xff) | c);
	return n;
}

bool
unitext_put_utf8(struct buf *to, struct slice text)
{
	while (text.n > 0 && !to->failed) {
		uint8_t bytes[4];
		uint32_t c = 0;
		size_t used = embedded(text, &c), n = used > 0 && c > 0x7f && c <= 0x10ffff ? utf8_encode(c, bytes) : 0;

		/* Surrogates are no characters, and no line of a log or report may be broken by one that looks like its end. */
		if (n > 0 && utf8_visible_len(slice_of(bytes, n), 0) == n) {
			(void)buf_put(to, bytes, n);
			text = slice_from(text, used);
		} else {
			(void)buf_put_byte(to, text.p[0]);
			text = slice_from(text, 1);
		}
	}
	return !to->failed;
}
