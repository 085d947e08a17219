/* common/wire/utf8.h -- well-formed UTF-8 (RFC 3629 4), and text in it that may stand in an address. */
#ifndef POSTERN_COMMON_WIRE_UTF8_H
#define POSTERN_COMMON_WIRE_UTF8_H

#include "common/slice.h"

/* Length of the well-formed character at s.p[at], 0 when there is none. at < s.n. */
static inline size_t
utf8_len(struct slice s, size_t at)
{
	uint8_t c = s.p[at], low = 0x80, high = 0xbf;
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;

	if (n == 0 || n > s.n - at)
		return 0;
	/* The second byte's range keeps out overlong forms, surrogates and what is above U+10FFFF. */
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < n; i++) {
		if (s.p[at + i] < low || s.p[at + i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

/* The same for what is above ASCII and no control: U+0080 to U+009F would move the cursor of whoever reads a log. Nor may a
 * separator of lines or paragraphs stand in an address. */
static inline size_t
utf8_visible_len(struct slice s, size_t at)
{
	size_t n = utf8_len(s, at);

	if (n < 2 || (n == 2 && s.p[at] == 0xc2 && s.p[at + 1] < 0xa0))
		return 0;
	if (n == 3 && s.p[at] == 0xe2 && s.p[at + 1] == 0x80 && (s.p[at + 2] == 0xa8 || s.p[at + 2] == 0xa9))
		return 0;
	return n;
}

static inline bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 0x7f)
			return false;
	return true;
}

/* Every byte above ASCII part of a visible character? */
static inline bool
utf8_is_visible(struct slice s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		n = s.p[i] < 0x80 ? 1 : utf8_visible_len(s, i);
		if (n == 0)
			return false;
	}
	return true;
}

#endif
