/* common/json.c -- see json.h. */
#include "common/json.h"

#include "common/wire/utf8.h"

void
json_init(struct json *j, struct buf *to)
{
	*j = (struct json){ .to = to };
}

static uint32_t
level_bit(const struct json *j)
{
	return (uint32_t)1 << j->depth;
}

/* The comma before a member. False: nothing may stand here. */
static bool
begin_value(struct json *j)
{
	bool in_object = (j->objects & level_bit(j)) != 0;

	if (j->bad || in_object != j->keyed) {
		j->bad = true;
		return false;
	}
	if (!j->keyed && (j->filled & level_bit(j)) != 0) {
		if (j->depth == 0) {	/* one value is the whole text */
			j->bad = true;
			return false;
		}
		(void)buf_put_byte(j->to, ',');
	}
	j->filled |= level_bit(j);
	j->keyed = false;
	return true;
}

static void
begin_level(struct json *j, bool object)
{
	if (j->depth == JSON_DEPTH_MAX)
		j->bad = true;
	if (!begin_value(j))
		return;
	j->depth++;
	j->filled &= ~level_bit(j);
	j->objects = object ? j->objects | level_bit(j) : j->objects & ~level_bit(j);
	(void)buf_put_byte(j->to, object ? '{' : '[');
}

void json_object(struct json *j) { begin_level(j, true); }
void json_array(struct json *j) { begin_level(j, false); }

void
json_end(struct json *j)
{
	if (j->bad || j->depth == 0 || j->keyed) {
		j->bad = true;
		return;
	}
	(void)buf_put_byte(j->to, (j->objects & level_bit(j)) != 0 ? '}' : ']');
	j->objects &= ~level_bit(j);
	j->depth--;
}

static void
put_escape(struct buf *to, uint8_t c)
{
	switch (c) {
	case '"':
		(void)buf_put_str(to, "\\\"");
		break;
	case '\\':
		(void)buf_put_str(to, "\\\\");
		break;
	case '\n':
		(void)buf_put_str(to, "\\n");
		break;
	case '\r':
		(void)buf_put_str(to, "\\r");
		break;
	case '\t':
		(void)buf_put_str(to, "\\t");
		break;
	default:
		(void)buf_printf(to, "\\u%04x", c);
	}
}

static void
put_string(struct buf *to, struct slice s)
{
	size_t run = 0, i = 0;

	(void)buf_put_byte(to, '"');
	while (i < s.n) {
		uint8_t c = s.p[i];
		size_t n = utf8_len(s, i);

		/* DEL and the C1 controls (U+0080 to U+009F) are legal in JSON, but they would reach terminals. */
		bool c1 = n == 2 && c == 0xc2 && s.p[i + 1] < 0xa0;

		if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && !c1) {
			i += n;
			continue;
		}
		(void)buf_put(to, s.p + run, i - run);
		if (n == 0)
			(void)buf_put_str(to, "\xef\xbf\xbd");
		else
			put_escape(to, c1 ? s.p[++i] : c);
		run = ++i;
	}
	(void)buf_put(to, s.n == 0 ? NULL : s.p + run, s.n - run);
	(void)buf_put_byte(to, '"');
}

void
json_key(struct json *j, const char *key)
{
	if (j->bad || j->keyed || (j->objects & level_bit(j)) == 0) {
		j->bad = true;
		return;
	}
	if ((j->filled & level_bit(j)) != 0)
		(void)buf_put_byte(j->to, ',');
	put_string(j->to, slice_str(key));
	(void)buf_put_byte(j->to, ':');
	j->keyed = true;
}

void
json_str(struct json *j, struct slice s)
{
	if (begin_value(j))
		put_string(j->to, s);
}

void
json_u64(struct json *j, uint64_t v)
{
	if (begin_value(j))
		(void)buf_printf(j->to, "%llu", (unsigned long long)v);
}

void
json_i64(struct json *j, int64_t v)
{
	if (begin_value(j))
		(void)buf_printf(j->to, "%lld", (long long)v);
}

void
json_bool(struct json *j, bool v)
{
	if (begin_value(j))
		(void)buf_put_str(j->to, v ? "true" : "false");
}

void json_key_str(struct json *j, const char *key, struct slice s) { json_key(j, key); json_str(j, s); }
void json_key_text(struct json *j, const char *key, const char *s) { json_key_str(j, key, slice_str(s)); }
void json_key_u64(struct json *j, const char *key, uint64_t v) { json_key(j, key); json_u64(j, v); }
void json_key_i64(struct json *j, const char *key, int64_t v) { json_key(j, key); json_i64(j, v); }
void json_key_bool(struct json *j, const char *key, bool v) { json_key(j, key); json_bool(j, v); }
void json_key_array(struct json *j, const char *key) { json_key(j, key); json_array(j); }

bool
json_ok(const struct json *j)
{
	return !j->bad && j->depth == 0 && j->filled != 0 && !j->to->failed;
}
