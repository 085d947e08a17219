/* common/wire/enhanced.c -- see enhanced.h. */
#include "common/wire/enhanced.h"

#include "common/wire/chars.h"

/* 1*3DIGIT without leading zeros, at text.p[*at]. */
static bool
number(struct slice text, size_t *at, uint16_t *ret_v)
{
	size_t start = *at;
	unsigned v = 0;

	while (*at < text.n && *at - start < 3 && char_is_digit(text.p[*at]))
		v = v * 10 + (unsigned)(text.p[(*at)++] - '0');
	*ret_v = (uint16_t)v;
	return *at > start && (*at - start == 1 || text.p[start] != '0');
}

/* Length of the code at the start of text, 0: none. */
static size_t
scan(struct slice text, struct enhanced *ret_e)
{
	struct enhanced e;
	size_t at = 2;

	if (text.n < 5 || text.p[1] != '.' || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	e.class = (uint8_t)(text.p[0] - '0');
	if (!number(text, &at, &e.subject) || at == text.n || text.p[at++] != '.' || !number(text, &at, &e.detail))
		return 0;
	*ret_e = e;
	return at;
}

enum rc
enhanced_parse(struct slice text, struct enhanced *ret_e)
{
	struct enhanced e;

	if (text.n == 0 || scan(text, &e) != text.n)
		return RC_SYNTAX;
	*ret_e = e;
	return RC_OK;
}

size_t
enhanced_prefix(struct slice text, struct enhanced *ret_e)
{
	struct enhanced e;
	size_t n = scan(text, &e);

	if (n == 0 || (n < text.n && text.p[n] != ' '))
		return 0;
	while (n < text.n && text.p[n] == ' ')
		n++;
	*ret_e = e;
	return n;
}

size_t
enhanced_format(struct enhanced e, char out[ENHANCED_TEXT_MAX])
{
	size_t n = 0;

	if (e.class != 0) {
		out[n++] = (char)('0' + e.class % 10);
		out[n++] = '.';
		n += put_decimal(out + n, e.subject % 1000);
		out[n++] = '.';
		n += put_decimal(out + n, e.detail % 1000);
	}
	out[n] = '\0';
	return n;
}

struct enhanced
enhanced_of_code(unsigned code)
{
	unsigned class = code / 100;

	return class == 2 || class == 4 || class == 5 ? ENHANCED((uint8_t)class, 0, 0) : ENHANCED_NONE;
}
