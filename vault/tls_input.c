/* vault/tls_input.c -- see tls_input.h. */
#include "vault/tls_input.h"

enum {
	PADDING = 64,	/* octets 0x20: RFC 8446 4.4.3 has them so that the two forms can never be taken for each other */
	RANDOM = 32,			/* RFC 5246 7.4.1.2 */
	NAMED_CURVE = 3,		/* RFC 8422 5.4: the other kinds carry a curve of the sender's making */
	UNCOMPRESSED = 4,
};

static const struct {
	uint16_t curve;			/* RFC 8422 5.1.1 */
	uint8_t point;			/* octets */
	bool nist;			/* the point begins with its form */
} curves[] = {
	{ 23, 65, true }, { 24, 97, true }, { 25, 133, true }, { 29, 32, false }, { 30, 56, false },
};

static bool
is_13(struct slice m)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";	/* with its NUL */
	size_t hash = m.n - PADDING - sizeof context;

	if (m.n < PADDING + sizeof context || (hash != 32 && hash != 48))
		return false;
	for (size_t i = 0; i < PADDING; i++)
		if (m.p[i] != ' ')
			return false;
	return memcmp(m.p + PADDING, context, sizeof context) == 0;
}

/* Two randoms, curve type, curve (big-endian), length of the point, point. */
static bool
is_12(struct slice m)
{
	struct rd r = { m, false };
	struct slice curve, point;
	uint8_t kind, n;

	(void)rd_take(&r, (size_t)2 * RANDOM);
	kind = rd_u8(&r);
	curve = rd_take(&r, 2);
	n = rd_u8(&r);
	point = rd_take(&r, n);
	if (!rd_end(&r) || kind != NAMED_CURVE)
		return false;
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
		if (curves[i].curve == (curve.p[0] << 8 | curve.p[1]))
			return curves[i].point == n && (!curves[i].nist || point.p[0] == UNCOMPRESSED);
	return false;
}

enum tls_input
tls_input_kind(struct slice message)
{
	if (is_13(message))
		return TLS_INPUT_13;
	return is_12(message) ? TLS_INPUT_12 : TLS_INPUT_NONE;
}
