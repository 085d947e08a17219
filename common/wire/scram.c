/* common/wire/scram.c -- see scram.h. */
#include "common/wire/scram.h"

/* The text up to the next comma, which is taken too. False: there is no comma. */
static bool
take_part(struct slice *rest, struct slice *ret_part)
{
	size_t comma = slice_find(*rest, ',');

	if (comma == rest->n)
		return false;
	*ret_part = slice_first(*rest, comma);
	*rest = slice_from(*rest, comma + 1);
	return true;
}

/* A part that is the last one if there is no comma. */
static struct slice
take_last_part(struct slice *rest)
{
	struct slice part = *rest;

	if (!take_part(rest, &part))
		*rest = slice_from(*rest, rest->n);
	return part;
}

static bool
take_value(struct slice part, const char *key, struct slice *ret_value)
{
	if (!slice_starts(part, slice_str(key)))
		return false;
	*ret_value = slice_from(part, 2);
	return true;
}

/* printable: %x21-2B / %x2D-7E. A comma cannot be in a part. */
static bool
is_nonce(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	return s.n > 0;
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-") */
static bool
is_binding_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = ascii_lower(s.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'))
			return false;
	}
	return s.n > 0;
}

/* Extensions that are not known may be ignored; they must still be attributes: a letter, =, a value without NUL. */
static bool
are_extensions(struct slice rest)
{
	while (rest.n > 0) {
		struct slice part = take_last_part(&rest);
		uint8_t c = part.n > 0 ? ascii_lower(part.p[0]) : 0;

		if (c < 'a' || c > 'z' || part.n < 3 || part.p[1] != '=' || slice_find(part, 0) < part.n)
			return false;
	}
	return true;
}

static enum rc
gs2_parse(struct slice *rest, struct scram_first *f)
{
	struct slice part;

	if (!take_part(rest, &part))
		return RC_SYNTAX;
	if (slice_eq(part, S("n")) || slice_eq(part, S("y")))
		f->flag = part.p[0];
	else if (take_value(part, "p=", &f->binding) && is_binding_name(f->binding))
		f->flag = 'p';
	else
		return RC_SYNTAX;
	if (!take_part(rest, &part))
		return RC_SYNTAX;
	if (part.n > 0 && (!take_value(part, "a=", &f->authzid) || f->authzid.n == 0))
		return RC_SYNTAX;
	return RC_OK;
}

enum rc
scram_first_parse(struct slice message, struct scram_first *ret_first)
{
	struct scram_first f = { 0 };
	struct slice rest = message, part;

	if (gs2_parse(&rest, &f) != RC_OK)
		return RC_SYNTAX;
	f.bare = rest;
	f.gs2 = slice_first(message, message.n - rest.n);
	if (slice_starts(rest, S("m=")))
		return RC_UNSUPPORTED;
	if (!take_part(&rest, &part) || !take_value(part, "n=", &f.user) || f.user.n == 0)
		return RC_SYNTAX;
	if (!take_value(take_last_part(&rest), "r=", &f.nonce) || !is_nonce(f.nonce) || f.nonce.n > SCRAM_NONCE_MAX)
		return RC_SYNTAX;
	if (!are_extensions(rest))
		return RC_SYNTAX;
	*ret_first = f;
	return RC_OK;
}

enum rc
scram_final_parse(struct slice message, struct scram_final *ret_final)
{
	size_t comma = slice_rfind(message, ',');
	struct scram_final f = { 0 };
	struct slice rest, part;

	if (comma == message.n || !take_value(slice_from(message, comma + 1), "p=", &f.proof) || f.proof.n == 0)
		return RC_SYNTAX;
	f.unproven = rest = slice_first(message, comma);
	if (!take_part(&rest, &part) || !take_value(part, "c=", &f.binding) || f.binding.n == 0)
		return RC_SYNTAX;
	if (!take_value(take_last_part(&rest), "r=", &f.nonce) || !is_nonce(f.nonce))
		return RC_SYNTAX;
	if (!are_extensions(rest))
		return RC_SYNTAX;
	*ret_final = f;
	return RC_OK;
}

enum rc
scram_name_decode(struct slice name, struct buf *to)
{
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c == 0 || c == ',')
			return RC_SYNTAX;
		if (c == '=') {
			struct slice code = slice_first(slice_from(name, i), 3);

			if (!slice_eq(code, S("=2C")) && !slice_eq(code, S("=3D")))
				return RC_SYNTAX;
			c = code.p[2] == 'C' ? ',' : '=';
			i += 2;
		}
		if (!buf_put_byte(to, c))
			return RC_NOMEM;
	}
	return RC_OK;
}
