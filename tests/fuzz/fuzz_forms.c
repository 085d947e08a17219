/* tests/fuzz/fuzz_forms.c -- the small written forms of common: addresses and networks, queue ids, enhanced codes, next hops,
 * replies of rules, dates, escapes. What is accepted has one canonical text, which is accepted again and says the same. */
#include "common/escape.h"
#include "common/ip.h"
#include "common/policy/reply.h"
#include "common/policy/rules.h"
#include "common/policy/suggest.h"
#include "common/queue_id.h"
#include "common/wire/date.h"
#include "common/wire/enhanced.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			abort();
}

static void
check_ip(struct slice s)
{
	struct sockaddr_storage socket;
	char text[IP_TEXT_MAX], net_text[IP_NET_TEXT_MAX];
	struct ip_net net, net_again;
	struct ip ip, again;
	uint16_t port;

	if (ip_parse(s, &ip) == RC_OK) {
		size_t n = ip_format(ip, text);

		if (n >= sizeof text || ip_parse(slice_of(text, n), &again) != RC_OK || !ip_eq(ip, again))
			abort();
		if (!ip_from_sockaddr(&socket, ip_to_sockaddr(ip, 25, &socket), &again, &port) || port != 25 || !ip_eq(ip, again))
			abort();
		net = ip_client_network(ip, 24, 56);
		if (!ip_net_has(net, ip))
			abort();
		/* What is public is nothing else. */
		if (ip_is_public(ip) && (ip_is_loopback(ip) || ip_is_private(ip) || ip_is_link_local(ip) || ip_is_multicast(ip) ||
		    ip_is_unspecified(ip)))
			abort();
	}
	if (ip_net_parse(s, &net) == RC_OK) {
		size_t n = ip_net_format(net, net_text);

		if (n >= sizeof net_text || ip_net_parse(slice_of(net_text, n), &net_again) != RC_OK ||
		    !ip_eq(net.ip, net_again.ip) || net.bits != net_again.bits || !ip_net_has(net, net.ip))
			abort();
	}
}

static void
check_codes(struct slice s)
{
	char id_text[QUEUE_ID_LEN], text[ENHANCED_TEXT_MAX];
	struct msgid id, id_again;
	struct enhanced e, again;

	if (queue_id_parse(s, &id) == RC_OK) {
		queue_id_format(id, id_text);
		if (queue_id_parse(slice_of(id_text, sizeof id_text), &id_again) != RC_OK || !msgid_eq(id, id_again) ||
		    !slice_caseeq(s, slice_of(id_text, sizeof id_text)))
			abort();
	}
	if (enhanced_parse(s, &e) == RC_OK) {
		size_t n = enhanced_format(e, text);

		if (!slice_eq(slice_of(text, n), s) || enhanced_parse(slice_of(text, n), &again) != RC_OK ||
		    !enhanced_eq(e, again))
			abort();
	}
	if (enhanced_prefix(s, &e) > s.n)
		abort();
}

static void
check_policy(struct slice s)
{
	struct buf once = BUF_INIT(4096), twice = BUF_INIT(4096);
	struct policy_rule rule = { .action = VERDICT_REJECT };
	struct suggest suggest;
	char text[1024];

	if (policy_nexthop_put(&once, s) == RC_OK &&
	    (policy_nexthop_put(&twice, buf_slice(&once)) != RC_OK || !slice_eq(buf_slice(&once), buf_slice(&twice))))
		abort();
	check_printable(buf_slice(&once));
	s = slice_first(s, sizeof text - 1);
	s = slice_first(s, slice_find(s, '\0'));
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	rule.action = (s.n & 1) != 0 ? VERDICT_DEFER : VERDICT_REJECT;
	if (policy_reply_parse(text, &rule) == RC_OK && (rule.code < 400 || rule.code > 599))
		abort();
	suggest_init(&suggest, s);
	suggest_offer(&suggest, S("transport"));
	buf_free(&once);
	buf_free(&twice);
}

static void
check_dates(struct slice s)
{
	char rfc[DATE_RFC5322_MAX], iso[DATE_ISO8601_MAX];
	struct rd r = { s, false };
	int64_t when = rd_i64(&r);
	int offset = (int)(rd_u16(&r) % 2880) - 1440;

	if (r.bad)
		return;
	if (date_rfc5322(rfc, when, offset, (when & 1) != 0 ? "CEST" : NULL) >= sizeof rfc ||
	    date_iso8601(iso, when, offset) >= sizeof iso)
		abort();
	check_printable(slice_str(rfc));
	check_printable(slice_str(iso));
}

/* A reader who goes by the first character finds the end of the value, and nothing of it behind. */
static void
check_value(struct slice v)
{
	bool quoted = v.n > 0 && (v.p[0] == '"' || v.p[0] == '\'');

	if (quoted && slice_find(slice_from(v, 1), v.p[0]) != v.n - 2)
		abort();
	if (!quoted && (v.n == 0 || slice_find(v, ' ') < v.n || slice_find(v, '=') < v.n))
		abort();
}

static void
check_escapes(struct slice s)
{
	struct buf b = BUF_INIT(64 * 1024);

	for (size_t max = 0; max < 40; max += 13) {
		size_t raw;

		buf_clear(&b);
		if (!escape_put(&b, s, max))
			abort();
		raw = buf_len(&b);
		if (!escape_value_put(&b, s, max))
			abort();
		check_printable(buf_slice(&b));
		check_value(slice_from(buf_slice(&b), raw));
		if (buf_len(&b) > 2 * (4 * max + 3) + 2)
			abort();
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size);

	check_ip(s);
	check_codes(s);
	check_policy(s);
	check_dates(s);
	check_escapes(s);
	return 0;
}
