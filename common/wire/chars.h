/* common/wire/chars.h -- the character classes of the mail grammars. ASCII, no locale, one byte at a time. */
#ifndef POSTERN_COMMON_WIRE_CHARS_H
#define POSTERN_COMMON_WIRE_CHARS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool
char_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool
char_is_alpha(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* RFC 5321 4.1.2: Let-dig. */
static inline bool
char_is_alnum(uint8_t c)
{
	return char_is_digit(c) || char_is_alpha(c);
}

/* Letters, digits and the hyphen: host names, esmtp-keywords, verbs. */
static inline bool
char_is_ldh(uint8_t c)
{
	return char_is_alnum(c) || c == '-';
}

/* Printable ASCII without the space. */
static inline bool
char_is_graph(uint8_t c)
{
	return c > 0x20 && c < 0x7f;
}

/* Printable ASCII and the space. */
static inline bool
char_is_print(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* Of a hexadecimal digit in upper or lower case; -1: it is none. */
static inline int
char_hex_digit(uint8_t c)
{
	uint8_t letter = (uint8_t)((c | 0x20) - 'a');

	return char_is_digit(c) ? c - '0' : letter < 6 ? letter + 10 : -1;
}

/* RFC 5322 3.2.3: what an atom is made of. */
static inline bool
char_is_atext(uint8_t c)
{
	switch (c) {
	case '!': case '#': case '$': case '%': case '&': case '\'': case '*': case '+': case '-': case '/':
	case '=': case '?': case '^': case '_': case '`': case '{': case '|': case '}': case '~':
		return true;
	default:
		return char_is_alnum(c);
	}
}

#endif
