/* common/policy/nexthop.c -- next hops as they are written in relay-host options. */
#include "common/policy/rules.h"
#include "common/wire/chars.h"
#include "common/wire/domain.h"

/* ":port" or nothing. */
static bool
port_parse(struct slice s, uint32_t *ret_port)
{
	uint32_t port = 0;

	if (s.n == 0) {
		*ret_port = 0;
		return true;
	}
	if (s.p[0] != ':' || s.n < 2 || s.n > 6 || s.p[1] == '0')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (!char_is_digit(s.p[i]))
			return false;
		port = port * 10 + (uint32_t)(s.p[i] - '0');
	}
	if (port > UINT16_MAX)
		return false;
	*ret_port = port;
	return true;
}

/* Between the brackets: a name or an address, the latter with or without its IPv6 tag. */
static enum rc
host_put(struct buf *to, struct slice inside, struct slice bracketed)
{
	struct ip ip;
	enum rc rc;

	if (ip_parse(inside, &ip) == RC_OK || domain_literal_parse(bracketed, &ip) == RC_OK)
		return domain_literal_put(to, ip) ? RC_OK : RC_NOMEM;
	rc = domain_check(inside);
	if (rc != RC_OK)
		return rc;
	if (!domain_is_dns_usable(inside))
		return RC_RANGE;
	(void)buf_put_byte(to, '[');
	(void)domain_lower_put(to, inside);
	return buf_put_byte(to, ']') ? RC_OK : RC_NOMEM;
}

enum rc
policy_nexthop_put(struct buf *to, struct slice text)
{
	uint32_t port;
	size_t close;
	enum rc rc;

	if (text.n == 0 || text.p[0] != '[') {
		rc = domain_check(text);
		if (rc == RC_OK && !domain_is_dns_usable(text))
			rc = RC_RANGE;
		return rc == RC_OK ? domain_put(to, text) : rc;
	}
	close = slice_find(text, ']');
	if (close == text.n || !port_parse(slice_from(text, close + 1), &port))
		return RC_SYNTAX;
	rc = host_put(to, slice_of(text.p + 1, close - 1), slice_first(text, close + 1));
	if (rc == RC_OK && port != 0 && !buf_printf(to, ":%u", port))
		rc = RC_NOMEM;
	return rc;
}
