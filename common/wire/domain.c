/* common/wire/domain.c -- see domain.h. */
#include "common/wire/domain.h"

#include "common/wire/chars.h"

static enum rc
check(struct slice s, bool underscore)
{
	size_t label = 0;
	bool too_long = s.n > DOMAIN_MAX;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (char_is_alnum(c) || (underscore && c == '_') || (c == '-' && label > 0)) {
			if (++label > DOMAIN_LABEL_MAX)
				too_long = true;
		} else if (c == '.' && label > 0 && s.p[i - 1] != '-') {
			label = 0;
		} else {
			return RC_SYNTAX;
		}
	}
	if (label == 0 || s.p[s.n - 1] == '-')
		return RC_SYNTAX;
	return too_long ? RC_RANGE : RC_OK;
}

enum rc
domain_check(struct slice name)
{
	return check(name, false);
}

bool
domain_is_dns_usable(struct slice name)
{
	struct slice last = slice_from(name, slice_rfind(name, '.') == name.n ? 0 : slice_rfind(name, '.') + 1);

	if (name.n > DOMAIN_DNS_MAX)
		return false;
	for (size_t i = 0; i < last.n; i++)
		if (!char_is_digit(last.p[i]))
			return true;
	return false;
}

bool
domain_lower_put(struct buf *to, struct slice s)
{
	uint8_t *at = s.n == 0 ? NULL : buf_reserve(to, s.n);

	if (at == NULL)
		return !to->failed;
	for (size_t i = 0; i < s.n; i++)
		at[i] = ascii_lower(s.p[i]);
	buf_advance(to, s.n);
	return true;
}

enum rc
domain_put(struct buf *to, struct slice name)
{
	enum rc rc = domain_check(name);

	if (rc != RC_OK)
		return rc;
	return domain_lower_put(to, name) ? RC_OK : RC_NOMEM;
}

enum rc
domain_literal_parse(struct slice text, struct ip *ret_ip)
{
	static const struct slice tag = SLICE("IPv6:");
	struct slice in;
	struct ip ip;
	bool tagged, colon;

	if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return RC_SYNTAX;
	in = slice_of(text.p + 1, text.n - 2);
	tagged = in.n >= tag.n && slice_caseeq(slice_first(in, tag.n), tag);
	if (tagged)
		in = slice_from(in, tag.n);
	colon = slice_find(in, ':') < in.n;
	/* Judged by how it is written: [IPv6:::ffff:192.0.2.1] is IPv6 in text and IPv4 in meaning. */
	if (colon != tagged || ip_parse(in, &ip) != RC_OK)
		return RC_SYNTAX;
	*ret_ip = ip;
	return RC_OK;
}

bool
domain_literal_put(struct buf *to, struct ip ip)
{
	if (ip.family == 0)
		return false;
	(void)buf_put_str(to, ip.family == 6 ? "[IPv6:" : "[");
	(void)ip_put(to, ip);
	return buf_put_byte(to, ']');
}

enum rc
domain_ehlo_parse(struct slice arg, struct ip *ret_literal)
{
	enum rc rc;

	if (arg.n > 0 && arg.p[0] == '[')
		return domain_literal_parse(arg, ret_literal);
	rc = check(arg, true);
	if (rc == RC_OK)
		*ret_literal = (struct ip){ 0, { 0 } };
	return rc;
}

enum rc
domain_pattern_parse(struct slice text, struct domain_pattern *ret_pattern)
{
	struct domain_pattern pattern = { text, false };
	enum rc rc;

	if (slice_starts(text, S("*.")))
		pattern = (struct domain_pattern){ slice_from(text, 2), true };
	else if (slice_starts(text, S(".")))
		pattern = (struct domain_pattern){ slice_from(text, 1), true };
	rc = domain_check(pattern.name);
	if (rc == RC_OK)
		*ret_pattern = pattern;
	return rc;
}
