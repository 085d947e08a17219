/* common/queue_id.c -- queue ids as people see them. */
#include "common/queue_id.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum { BOOT_CHARS = 4, SEQ_CHARS = 8 };

static void
put_base32(uint64_t v, char *out, size_t n)
{
	for (size_t i = n; i > 0; i--) {
		out[i - 1] = digits[v & 31];
		v >>= 5;
	}
}

void
queue_id_format(struct msgid id, char out[QUEUE_ID_LEN])
{
	put_base32(id.boot, out, BOOT_CHARS);
	put_base32(id.seq, out + BOOT_CHARS, SEQ_CHARS);
}

static bool
get_base32(struct slice s, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		const char *at;

		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		at = c == 0 ? NULL : strchr(digits, c);
		if (at == NULL)
			return false;
		v = v << 5 | (uint64_t)(at - digits);
	}
	*ret_v = v;
	return true;
}

enum rc
queue_id_parse(struct slice text, struct msgid *ret_id)
{
	uint64_t boot, seq;

	if (text.n != QUEUE_ID_LEN || !get_base32(slice_first(text, BOOT_CHARS), &boot) ||
	    !get_base32(slice_from(text, BOOT_CHARS), &seq) || boot > UINT16_MAX)
		return RC_SYNTAX;
	*ret_id = (struct msgid){ 0, (uint16_t)boot, seq };
	return RC_OK;
}
