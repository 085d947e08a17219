/* common/wire/xclient.c -- see xclient.h. */
#include "common/wire/xclient.h"

#include "common/wire/chars.h"
#include "common/wire/domain.h"

static int
hex(uint8_t c)
{
	if (char_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* xtext to text, which must be printable: it goes into trace fields and the log. */
static bool
decode(struct slice value, struct xclient_text *t)
{
	t->n = 0;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];

		if (c == '+') {
			if (value.n - i < 3 || hex(value.p[i + 1]) < 0 || hex(value.p[i + 2]) < 0)
				return false;
			c = (uint8_t)(hex(value.p[i + 1]) << 4 | hex(value.p[i + 2]));
			i += 2;
		}
		if (!char_is_print(c) || t->n == XCLIENT_VALUE_MAX)
			return false;
		t->text[t->n++] = (char)c;
	}
	t->text[t->n] = '\0';
	return t->n > 0;
}

/* It may be there later. */
static bool
is_for_now(const struct xclient_text *t)
{
	return slice_caseeq(slice_of(t->text, t->n), S("[TEMPUNAVAIL]"));
}

static bool
is_unavailable(const struct xclient_text *t)
{
	struct slice s = slice_of(t->text, t->n);

	return slice_caseeq(s, S("[UNAVAILABLE]")) || is_for_now(t);
}

static bool
is_port(const struct xclient_text *t)
{
	unsigned long port = 0;

	for (size_t i = 0; i < t->n && port <= UINT16_MAX; i++) {
		if (!char_is_digit((uint8_t)t->text[i]))
			return false;
		port = port * 10 + (unsigned long)(t->text[i] - '0');
	}
	return port <= UINT16_MAX;
}

/* IPV6: in front of IPv6 addresses, as in address literals; some leave it out. */
static bool
address(const struct xclient_text *t, struct ip *ret_ip)
{
	struct slice s = slice_of(t->text, t->n);

	if (s.n > 5 && slice_caseeq(slice_first(s, 5), S("IPV6:")))
		s = slice_from(s, 5);
	return ip_parse(s, ret_ip) == RC_OK;
}

static void
empty(struct xclient_text *t)
{
	t->n = 0;
	t->text[0] = '\0';
}

static bool
is_proto(const struct xclient_text *t)
{
	struct slice s = slice_of(t->text, t->n);

	return slice_caseeq(s, S("SMTP")) || slice_caseeq(s, S("ESMTP"));
}

/* RC_UNSUPPORTED: nobody knows this keyword. */
static enum rc
put(struct xclient *x, struct slice keyword, struct xclient_text *value)
{
	bool none = is_unavailable(value), for_now = is_for_now(value), ok;
	struct ip ip;

	value->given = true;
	if (none)
		empty(value);
	if (slice_caseeq(keyword, S("NAME"))) {
		x->name = *value;
		x->name_failed = for_now;
		ok = none || domain_check(slice_of(value->text, value->n)) == RC_OK;
	} else if (slice_caseeq(keyword, S("HELO"))) {
		x->helo = *value;
		ok = none || domain_ehlo_parse(slice_of(value->text, value->n), &ip) == RC_OK;
	} else if (slice_caseeq(keyword, S("LOGIN"))) {
		x->login = *value;
		ok = true;
	} else if (slice_caseeq(keyword, S("ADDR"))) {
		x->addr_given = true;
		ok = none || address(value, &x->addr);
	} else if (slice_caseeq(keyword, S("PORT")) || slice_caseeq(keyword, S("DESTPORT"))) {
		ok = none || is_port(value);
	} else if (slice_caseeq(keyword, S("DESTADDR"))) {
		ok = none || address(value, &ip);
	} else if (slice_caseeq(keyword, S("PROTO"))) {
		ok = is_proto(value);
	} else {
		return RC_UNSUPPORTED;
	}
	return ok ? RC_OK : RC_SYNTAX;
}

static bool
was_said(const struct slice *said, size_t n, struct slice keyword)
{
	for (size_t i = 0; i < n; i++)
		if (slice_caseeq(said[i], keyword))
			return true;
	return false;
}

enum rc
xclient_parse(struct slice arg, struct xclient *ret_xclient)
{
	struct slice said[XCLIENT_KEYWORDS_MAX];
	struct xclient x = { .addr_given = false };
	enum rc rc;
	size_t n = 0;

	while (arg.n > 0) {
		size_t space = slice_find(arg, ' ');
		struct slice word = slice_first(arg, space), keyword = slice_first(word, slice_find(word, '='));
		struct xclient_text value = { .given = false };

		arg = slice_from(arg, space < arg.n ? space + 1 : space);
		if (word.n == 0)
			continue;
		if (keyword.n == word.n || n == XCLIENT_KEYWORDS_MAX || was_said(said, n, keyword))
			return RC_SYNTAX;
		said[n++] = keyword;
		if (!decode(slice_from(word, keyword.n + 1), &value))
			return RC_SYNTAX;
		rc = put(&x, keyword, &value);
		if (rc != RC_OK)
			return rc;
	}
	if (n == 0)
		return RC_SYNTAX;
	*ret_xclient = x;
	return RC_OK;
}
