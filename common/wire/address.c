/* common/wire/address.c -- see address.h. A parser that walks the slice once; too long is found out at the end, so that
 * a malformed address is malformed at any length. */
#include "common/wire/address.h"

#include "common/wire/chars.h"
#include "common/wire/utf8.h"

struct walk {
	struct slice s;
	size_t at;
	bool too_long;
	bool u_labels;		/* a domain may hold them; it is not ours to check then */
};

static bool
is_next(const struct walk *w, uint8_t c)
{
	return w->at < w->s.n && w->s.p[w->at] == c;
}

static bool
take(struct walk *w, uint8_t c)
{
	if (!is_next(w, c))
		return false;
	w->at++;
	return true;
}

static struct slice
since(const struct walk *w, size_t start)
{
	return slice_of(w->s.p + start, w->at - start);
}

/* sub-domain *("." sub-domain) */
static bool
domain(struct walk *w, struct slice *ret_name)
{
	size_t start = w->at;
	enum rc rc;

	while (w->at < w->s.n && (char_is_ldh(w->s.p[w->at]) || w->s.p[w->at] == '.' || (w->u_labels && w->s.p[w->at] > 0x7f)))
		w->at++;
	*ret_name = since(w, start);
	if (!slice_is_ascii(*ret_name))
		return utf8_is_visible(*ret_name);
	rc = domain_check(*ret_name);
	w->too_long |= rc == RC_RANGE;
	return rc != RC_SYNTAX;
}

static bool
domain_or_literal(struct walk *w, struct address *a)
{
	size_t start = w->at;

	if (!is_next(w, '[')) {
		if (!domain(w, &a->domain))
			return false;
		if (!slice_is_ascii(a->domain))
			a->flags |= ADDRESS_U_LABELS;
		return true;
	}
	w->at += slice_find(slice_from(w->s, w->at), ']');
	if (!take(w, ']'))
		return false;
	a->domain = since(w, start);
	return domain_literal_parse(a->domain, &a->literal) == RC_OK;
}

/* "<@a,@b:c@d>": A-d-l ":". RFC 5321 4.1.1.3: MUST be accepted, SHOULD be ignored. */
static bool
source_route(struct walk *w, struct address *a)
{
	struct slice hop;

	if (!is_next(w, '@'))
		return true;
	a->flags |= ADDRESS_ROUTED;
	do {
		if (!take(w, '@') || !domain(w, &hop))
			return false;
	} while (take(w, ','));
	return take(w, ':');
}

static void
note_trick(struct address *a, uint8_t c)
{
	if (c == '%')
		a->flags |= ADDRESS_PERCENT;
	else if (c == '!')
		a->flags |= ADDRESS_BANG;
	else if (c == '@')
		a->flags |= ADDRESS_AT;
}

/* Over a character of UTF-8 (RFC 6531 3.3), to its last byte. False: it is none. */
static bool
skip_character(struct walk *w)
{
	size_t n = utf8_visible_len(w->s, w->at);

	if (n > 0)
		w->at += n - 1;
	return n > 0;
}

/* Atom *("." Atom) */
static bool
dot_string(struct walk *w, struct address *a)
{
	size_t start = w->at, atom = w->at;

	for (; w->at < w->s.n; w->at++) {
		uint8_t c = w->s.p[w->at];

		if (c == '.') {
			if (w->at == atom)
				return false;
			atom = w->at + 1;
		} else if (char_is_atext(c)) {
			note_trick(a, c);
		} else if (c > 0x7f && skip_character(w)) {
			a->flags |= ADDRESS_UTF8;
		} else {
			break;
		}
	}
	a->local = since(w, start);
	return w->at > atom;
}

/* DQUOTE *QcontentSMTP DQUOTE; the first quote is taken. */
static bool
quoted_string(struct walk *w, struct address *a)
{
	size_t start = w->at;

	a->flags |= ADDRESS_QUOTED;
	for (; w->at < w->s.n; w->at++) {
		uint8_t c = w->s.p[w->at];

		if (c == '"') {
			a->local = since(w, start);
			w->at++;
			return true;
		}
		if (c == '\\' && ++w->at < w->s.n)
			c = w->s.p[w->at];
		if (c > 0x7f && w->at < w->s.n && skip_character(w))
			a->flags |= ADDRESS_UTF8;
		else if (!char_is_print(c))
			return false;
		note_trick(a, c);
	}
	return false;
}

static bool
local_part(struct walk *w, struct address *a)
{
	size_t start = w->at;

	if (!(take(w, '"') ? quoted_string(w, a) : dot_string(w, a)))
		return false;
	w->too_long |= w->at - start > ADDRESS_LOCAL_MAX;
	return true;
}

static bool
is_postmaster_word(const struct address *a)
{
	return slice_caseeq(a->local, S("postmaster"));
}

static bool
mailbox(struct walk *w, enum address_path kind, struct address *a)
{
	if (!local_part(w, a))
		return false;
	if (kind == ADDRESS_FORWARD && is_next(w, '>') && is_postmaster_word(a) &&
	    (a->flags & (ADDRESS_ROUTED | ADDRESS_QUOTED)) == 0) {
		a->flags |= ADDRESS_POSTMASTER;
		return true;
	}
	return take(w, '@') && domain_or_literal(w, a);
}

enum rc
address_path_parse(struct slice s, enum address_path kind, struct address *ret_address, size_t *ret_used)
{
	struct walk w = { s, 0, false, true };
	struct address a = { .flags = 0 };
	size_t start;

	(void)take(&w, ' ');
	start = w.at;
	if (!take(&w, '<'))
		return RC_SYNTAX;
	if (kind == ADDRESS_REVERSE && is_next(&w, '>'))
		a.flags |= ADDRESS_NULL;
	else if (!source_route(&w, &a) || !mailbox(&w, kind, &a))
		return RC_SYNTAX;
	if (!take(&w, '>'))
		return RC_SYNTAX;
	if (w.too_long || w.at - start > ADDRESS_PATH_MAX)
		return RC_RANGE;
	*ret_address = a;
	*ret_used = w.at;
	return RC_OK;
}

static enum rc
whole_mailbox(struct slice s, bool u_labels, struct address *ret_address)
{
	struct walk w = { s, 0, false, u_labels };
	struct address a = { .flags = 0 };

	if (!mailbox(&w, ADDRESS_REVERSE, &a) || w.at != s.n)
		return RC_SYNTAX;
	if (w.too_long)
		return RC_RANGE;
	*ret_address = a;
	return RC_OK;
}

enum rc
address_parse(struct slice s, struct address *ret_address)
{
	return whole_mailbox(s, false, ret_address);
}

enum rc
address_mailbox_parse(struct slice s, struct address *ret_address)
{
	return whole_mailbox(s, true, ret_address);
}

/* The next character that the local part means; false at its end. */
static bool
local_next(struct slice *rest, bool quoted, uint8_t *ret_c)
{
	if (quoted && rest->n > 1 && rest->p[0] == '\\')
		*rest = slice_from(*rest, 1);
	if (rest->n == 0)
		return false;
	*ret_c = rest->p[0];
	*rest = slice_from(*rest, 1);
	return true;
}

bool
address_local_put(struct buf *to, const struct address *a)
{
	struct slice rest = a->local;
	uint8_t c;

	while (local_next(&rest, (a->flags & ADDRESS_QUOTED) != 0, &c))
		(void)buf_put_byte(to, c);
	return !to->failed;
}

/* Would the meaning of a quoted local part be a Dot-string if it stood there without quotes? */
static bool
needs_quotes(const struct address *a)
{
	struct slice rest = a->local;
	uint8_t c, before = '.';

	if ((a->flags & ADDRESS_QUOTED) == 0)
		return false;
	while (local_next(&rest, true, &c)) {
		if (c < 0x80 && !char_is_atext(c) && (c != '.' || before == '.'))
			return true;
		before = c;
	}
	return before == '.';
}

/* The same with the quotes it needs, as address_put does. */
static bool
address_local_quoted_put(struct buf *to, const struct address *a)
{
	struct slice rest = a->local;
	uint8_t c;

	if ((a->flags & ADDRESS_QUOTED) == 0)
		return buf_put_slice(to, a->local);
	if (!needs_quotes(a))
		return address_local_put(to, a);
	(void)buf_put_byte(to, '"');
	while (local_next(&rest, true, &c)) {
		if (c == '"' || c == '\\')
			(void)buf_put_byte(to, '\\');
		(void)buf_put_byte(to, c);
	}
	return buf_put_byte(to, '"');
}

bool
address_put(struct buf *to, const struct address *a)
{
	if ((a->flags & ADDRESS_NULL) != 0)
		return !to->failed;
	(void)address_local_quoted_put(to, a);
	if ((a->flags & ADDRESS_POSTMASTER) != 0)
		return !to->failed;
	(void)buf_put_byte(to, '@');
	return a->literal.family != 0 ? domain_literal_put(to, a->literal) : domain_lower_put(to, a->domain);
}
