/* tests/fuzz/fuzz_json.c -- the JSON writer: calls in any order, with any bytes as texts. When it says that all is well, a
 * reader of forty lines must find one value of RFC 8259 in what it wrote, in UTF-8. */
#include "common/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- RFC 8259, read literally: each takes what it reads off *s, or gives up for good --- */

static uint8_t
peek(const struct slice *s)
{
	return s->n == 0 ? 0 : s->p[0];
}

static void
take(struct slice *s, const char *text)
{
	if (!slice_starts(*s, slice_str(text)))
		abort();
	*s = slice_from(*s, strlen(text));
}

/* One character of UTF-8 (RFC 3629): the shortest form, no surrogates, not above U+10FFFF. */
static void
take_utf8(struct slice *s)
{
	uint32_t c = peek(s);
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || s->n < n || c < 0x20)
		abort();
	c &= n == 1 ? 0x7f : 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s->p[i] & 0xc0) != 0x80)
			abort();
		c = c << 6 | (s->p[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		abort();
	*s = slice_from(*s, n);
}

static void
take_escape(struct slice *s)
{
	take(s, "\\");
	if (peek(s) == 'u') {
		for (size_t i = 1; i < 5; i++)
			if (s->n < 5 || s->p[i] == '\0' || strchr("0123456789abcdefABCDEF", s->p[i]) == NULL)
				abort();
		*s = slice_from(*s, 5);
		return;
	}
	if (peek(s) == '\0' || strchr("\"\\/bfnrt", peek(s)) == NULL)
		abort();
	*s = slice_from(*s, 1);
}

static void
take_string(struct slice *s)
{
	take(s, "\"");
	while (peek(s) != '"')
		if (peek(s) == '\\')
			take_escape(s);
		else
			take_utf8(s);
	take(s, "\"");
}

static void
take_number(struct slice *s)
{
	size_t n = 0;

	if (peek(s) == '-')
		take(s, "-");
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (n == 0 || (n > 1 && s->p[0] == '0'))
		abort();
	*s = slice_from(*s, n);
}

static void
take_value(struct slice *s, unsigned depth)
{
	bool object = peek(s) == '{';

	if (depth > JSON_DEPTH_MAX)
		abort();
	switch (peek(s)) {
	case '{':
	case '[':
		take(s, object ? "{" : "[");
		for (bool first = true; peek(s) != (object ? '}' : ']'); first = false) {
			if (!first)
				take(s, ",");
			if (object) {
				take_string(s);
				take(s, ":");
			}
			take_value(s, depth + 1);
		}
		take(s, object ? "}" : "]");
		break;
	case '"': take_string(s); break;
	case 't': take(s, "true"); break;
	case 'f': take(s, "false"); break;
	case 'n': take(s, "null"); break;
	default: take_number(s); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "id", "from", "a key", "" };
	struct rd r = { slice_of(data, size), false };
	struct buf b = BUF_INIT(64 * 1024);
	struct json j;
	unsigned values = 0, depth = 0;

	json_init(&j, &b);
	while (r.s.n > 0 && !r.bad) {
		uint8_t what = rd_u8(&r);

		values += depth == 0 && (what & 15) != 2 && (what & 15) != 3;
		switch (what & 15) {
		case 0: json_object(&j); depth++; break;
		case 1: json_array(&j); depth++; break;
		case 2: json_end(&j); depth -= depth > 0; break;
		case 3: json_key(&j, keys[what >> 6]); break;
		case 4: json_str(&j, rd_take(&r, what >> 4)); break;
		case 5: json_u64(&j, rd_u64(&r)); break;
		case 6: json_i64(&j, rd_i64(&r)); break;
		case 7: json_bool(&j, what > 127); break;
		case 8: json_bool(&j, true); break;
		case 9: json_key_str(&j, keys[what >> 6], rd_take(&r, rd_u8(&r))); break;
		case 10: json_key_text(&j, keys[what >> 6], "text"); break;
		case 11: json_key_u64(&j, keys[what >> 6], what); break;
		case 12: json_key_i64(&j, keys[what >> 6], -what); break;
		case 13: json_key_bool(&j, keys[what >> 6], true); break;
		case 14: json_key(&j, keys[what >> 6]); json_object(&j); depth++; break;
		default: json_key_array(&j, keys[what >> 6]); depth++; break;
		}
	}
	if (json_ok(&j) && values == 1) {
		struct slice s = buf_slice(&b);

		take_value(&s, 0);
		if (s.n > 0)
			abort();
	}
	buf_free(&b);
	return 0;
}
