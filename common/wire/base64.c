/* common/wire/base64.c -- see base64.h. */
#include "common/wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 64 and more: not of the alphabet. */
static unsigned
value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26U;
	if (c >= '0' && c <= '9')
		return c - '0' + 52U;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Four characters, of which the last `pads` are padding, to 3 - pads bytes. */
static bool
decode_four(const uint8_t *p, unsigned pads, uint8_t *to)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned v = i < 4 - pads ? value_of(p[i]) : 0;

		if (v > 63)
			return false;
		bits = bits << 6 | v;
	}
	if ((bits & ((UINT32_C(1) << (8 * pads)) - 1)) != 0)
		return false;
	for (unsigned i = 0; i < 3 - pads; i++)
		to[i] = (uint8_t)(bits >> (16 - 8 * i));
	return true;
}

enum rc
base64_decode(struct slice text, struct buf *to)
{
	unsigned pads = 0;
	uint8_t *at;
	size_t n;

	if (text.n % 4 != 0)
		return RC_SYNTAX;
	if (text.n == 0)
		return RC_OK;
	while (pads < 2 && text.p[text.n - 1 - pads] == '=')
		pads++;
	n = text.n / 4 * 3 - pads;
	at = buf_reserve(to, n);
	if (at == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < text.n; i += 4, at += 3)
		if (!decode_four(text.p + i, i + 4 == text.n ? pads : 0, at))
			return RC_SYNTAX;
	buf_advance(to, n);
	return RC_OK;
}

bool
base64_put(struct buf *to, struct slice bytes)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t n = slice_first(slice_from(bytes, i), 3).n;
		uint32_t bits = (uint32_t)bytes.p[i] << 16;
		char four[4] = { '=', '=', '=', '=' };

		if (n > 1)
			bits |= (uint32_t)bytes.p[i + 1] << 8;
		if (n > 2)
			bits |= bytes.p[i + 2];
		for (unsigned k = 0; k <= n; k++)
			four[k] = alphabet[bits >> (18 - 6 * k) & 63];
		(void)buf_put(to, four, sizeof four);
	}
	return !to->failed;
}
