/* common/wire/dovecot_auth.c -- see dovecot_auth.h. */
#include "common/wire/dovecot_auth.h"

enum { ESCAPE = 1 };

/* Takes the part up to the next TAB off. False: there is none left. */
static bool
next_part(struct slice *rest, bool *more, struct slice *ret_part)
{
	size_t n = slice_find(*rest, '\t');

	if (!*more)
		return false;
	*more = n < rest->n;
	*ret_part = slice_first(*rest, n);
	*rest = slice_from(*rest, n + 1);
	return true;
}

static bool
take_number(struct slice text, uint32_t *ret_number)
{
	uint32_t n = 0;

	if (text.n == 0 || text.n > 10)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned digit = (unsigned)text.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
			return false;
	}
	*ret_number = n;
	return true;
}

/* RFC 4422 3.1 */
static bool
is_mechanism(struct slice name)
{
	if (name.n == 0 || name.n > DOVECOT_MECHANISM_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* What has two meanings has none. */
static bool
take_once(struct slice *to, struct slice value)
{
	if (to->p != NULL)
		return false;
	*to = value;
	return true;
}

static bool
take_result(struct dovecot_line *l, struct slice name, struct slice value)
{
	if (slice_eq(name, S("user")))
		return take_once(&l->user, value);
	if (slice_eq(name, S("reason")))
		return take_once(&l->reason, value);
	if (slice_eq(name, S("code")))
		return take_once(&l->code, value);
	if (slice_eq(name, S("resp"))) {
		l->has_resp = true;
		return take_once(&l->resp, value);
	}
	l->temporary |= l->kind == DOVECOT_FAIL && slice_eq(name, S("temp"));
	/* Whatever the value: only that they are there counts. */
	l->denied |= l->kind == DOVECOT_OK && (slice_eq(name, S("nologin")) || slice_eq(name, S("proxy")));
	return true;
}

static enum rc
take_results(struct dovecot_line *l, struct slice rest, bool more)
{
	struct slice part;

	while (next_part(&rest, &more, &part)) {
		size_t n = slice_find(part, '=');

		if (!take_result(l, slice_first(part, n), slice_from(part, n + 1)))
			return RC_SYNTAX;
	}
	l->temporary |= slice_eq(l->code, S("temp_fail"));
	return RC_OK;
}

static enum rc
take_mech(struct dovecot_line *l, struct slice rest, bool more)
{
	struct slice part;

	if (!next_part(&rest, &more, &l->text))
		return RC_SYNTAX;
	/* One that no client could name is no reason to do without the others. */
	if (!is_mechanism(l->text))
		l->kind = DOVECOT_OTHER;
	while (next_part(&rest, &more, &part)) {
		l->private_mech |= slice_eq(part, S("private"));
		l->binding |= slice_eq(part, S("channel-binding"));
	}
	return RC_OK;
}

static enum dovecot_kind
kind_of(struct slice command)
{
	static const struct {
		struct slice name;
		enum dovecot_kind kind;
	} kinds[] = {
		{ SLICE("VERSION"), DOVECOT_VERSION }, { SLICE("MECH"), DOVECOT_MECH }, { SLICE("DONE"), DOVECOT_DONE },
		{ SLICE("CONT"), DOVECOT_CONT }, { SLICE("OK"), DOVECOT_OK }, { SLICE("FAIL"), DOVECOT_FAIL },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (slice_eq(command, kinds[i].name))
			return kinds[i].kind;
	return DOVECOT_OTHER;
}

static enum rc
take_parts(struct dovecot_line *l, struct slice rest, bool more)
{
	struct slice part;

	if (l->kind == DOVECOT_OTHER || l->kind == DOVECOT_DONE)
		return RC_OK;
	if (l->kind == DOVECOT_MECH)
		return take_mech(l, rest, more);
	if (!next_part(&rest, &more, &part) || !take_number(part, &l->number))
		return RC_SYNTAX;
	if (l->kind == DOVECOT_OK || l->kind == DOVECOT_FAIL)
		return take_results(l, rest, more);
	/* A challenge may be empty, but not missing. */
	if (l->kind == DOVECOT_CONT && !next_part(&rest, &more, &l->text))
		return RC_SYNTAX;
	return RC_OK;
}

enum rc
dovecot_line_parse(struct slice line, struct dovecot_line *ret_line)
{
	struct dovecot_line l = { .kind = DOVECOT_OTHER };
	struct slice command, rest = line;
	bool more = true;
	enum rc rc;

	if (line.n >= DOVECOT_LINE_MAX || slice_find(line, 0) < line.n || slice_find(line, '\n') < line.n ||
	    slice_find(line, '\r') < line.n)
		return RC_SYNTAX;
	(void)next_part(&rest, &more, &command);
	l.kind = kind_of(command);
	rc = take_parts(&l, rest, more);
	if (rc == RC_OK)
		*ret_line = l;
	return rc;
}

enum rc
dovecot_unescape(struct slice value, struct buf *to)
{
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];

		if (c == ESCAPE) {
			if (++i == value.n)
				return RC_SYNTAX;
			c = value.p[i];
			c = c == '0' ? 0 : c == '1' ? ESCAPE : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'n' ? '\n' : c;
		}
		if (!buf_put_byte(to, c))
			return RC_NOMEM;
	}
	return RC_OK;
}
