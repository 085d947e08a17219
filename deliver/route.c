/* deliver/route.c -- see route.h. */
#include "deliver/route.h"

#include "common/policy/rules.h"
#include "common/wire/chars.h"
#include "common/wire/domain.h"

#include <stdlib.h>

/* ---- next hops ----------------------------------------------------------------------------------------------------*/

static enum rc
port_parse(struct slice text, uint16_t *ret_port)
{
	uint32_t port = 0;

	if (text.n == 0 || text.n > 5)
		return RC_SYNTAX;
	for (size_t i = 0; i < text.n; i++) {
		if (!char_is_digit(text.p[i]))
			return RC_SYNTAX;
		port = port * 10 + (uint32_t)(text.p[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return RC_SYNTAX;
	*ret_port = (uint16_t)port;
	return RC_OK;
}

static enum rc
bracketed_parse(struct slice text, struct nexthop *hop)
{
	size_t close = slice_find(text, ']');
	struct slice inside, rest;

	if (close == text.n)
		return RC_SYNTAX;
	inside = slice_first(slice_from(text, 1), close - 1);
	rest = slice_from(text, close + 1);
	if (rest.n > 0 && (rest.p[0] != ':' || port_parse(slice_from(rest, 1), &hop->port) != RC_OK))
		return RC_SYNTAX;
	if (domain_literal_parse(slice_first(text, close + 1), &hop->literal) == RC_OK ||
	    ip_parse(inside, &hop->literal) == RC_OK)
		return RC_OK;
	hop->name = inside;
	return domain_check(inside);
}

enum rc
nexthop_parse(struct slice text, struct nexthop *ret_hop)
{
	struct nexthop hop = { .name = { NULL, 0 } };

	if (text.n > 0 && text.p[0] == '[') {
		if (bracketed_parse(text, &hop) != RC_OK)
			return RC_SYNTAX;
	} else {
		hop.name = text;
		hop.mx = true;
		if (domain_check(text) != RC_OK)
			return RC_SYNTAX;
	}
	if (hop.literal.family == 0 && !domain_is_dns_usable(hop.name))
		return RC_SYNTAX;
	*ret_hop = hop;
	return RC_OK;
}

/* The router writes next hops in one form, whatever the administrator wrote. */
static bool
is_written_as(const char *option, struct slice nexthop)
{
	struct buf b = BUF_INIT(512);
	bool same = *option != '\0' && policy_nexthop_put(&b, slice_str(option)) == RC_OK && slice_caseeq(buf_slice(&b), nexthop);

	buf_free(&b);
	return same;
}

bool
nexthop_is_configured(const struct conf *conf, struct slice nexthop)
{
	for (size_t i = 0; i < conf->n_routes; i++)
		if (is_written_as(conf->routes[i].relay_host, nexthop))
			return true;
	for (size_t i = 0; i < conf->n_rules; i++)
		if (is_written_as(conf->rules[i].relay_host, nexthop))
			return true;
	return is_written_as(conf->router.relay_host, nexthop);
}

/* ---- ourselves ----------------------------------------------------------------------------------------------------*/

static bool
is_wildcard(struct slice address, struct ip ip)
{
	return slice_eq(address, S("*")) || ip_is_unspecified(ip);
}

static bool
listens(const struct conf *conf, struct ip ip, uint16_t port, bool wildcard)
{
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (size_t j = 0; j < l->address.n && l->port == port; j++) {
			struct slice text = slice_str(l->address.v[j]);
			struct ip at = { 0, { 0 } };

			(void)ip_parse(text, &at);
			if (is_wildcard(text, at) ? wildcard : !wildcard && ip_eq(at, ip))
				return true;
		}
	}
	return false;
}

bool
route_listens_on(const struct conf *conf, struct ip ip, uint16_t port)
{
	return listens(conf, ip, port, false);
}

bool
route_listens_anywhere(const struct conf *conf, uint16_t port)
{
	return listens(conf, (struct ip){ 0, { 0 } }, port, true);
}

static bool
address_is_ours(const struct route_rules *rules, struct ip ip)
{
	if (rules->trusted)
		return false;
	if (!rules->conf->deliver.allow_private_hosts && (ip_is_loopback(ip) || ip_is_unspecified(ip)))
		return true;
	return route_listens_on(rules->conf, ip, rules->port);
}

/* ---- building -----------------------------------------------------------------------------------------------------*/

/* What was seen on the way, to tell what it means when nothing is left. */
struct findings {
	bool temporary;		/* a host's addresses could not be found out now */
	bool bogus;
	bool looped;
	bool refused;		/* not public */
	bool excluded;		/* only of a family that is switched off */
	uint32_t ours;		/* lowest preference of a host that is ourselves; above 65535: none */
};

/* First pass: are we among them? RFC 5321 5.1: that preference and all higher numbers are dropped. */
static enum rc
find_ours(const struct route_rules *rules, struct slice hosts, struct findings *f)
{
	struct rd r = { hosts, false };
	struct route_host h;
	size_t n = 0;

	f->ours = UINT32_MAX;
	while (route_host_next(&r, &h)) {
		bool ours = rules->mx && !rules->trusted && slice_caseeq(h.name, rules->hostname);

		if (++n > ROUTE_HOSTS_MAX)
			return RC_SYNTAX;
		for (size_t i = 0; i < h.n_addresses && !ours; i++)
			ours = address_is_ours(rules, h.addresses[i]);
		if (ours && h.preference < f->ours)
			f->ours = h.preference;
	}
	return r.bad ? RC_SYNTAX : RC_OK;
}

/* May this address be tried at all? */
static bool
address_admitted(const struct route_rules *rules, struct ip ip, struct findings *f)
{
	const struct conf_deliver *conf = &rules->conf->deliver;

	if (ip.family == 4 ? !conf->ipv4 : !conf->ipv6) {
		f->excluded = true;
		return false;
	}
	if (!rules->trusted && !conf->allow_private_hosts && !ip_is_public(ip)) {
		f->refused = true;
		return false;
	}
	return true;
}

static bool
add_host(const struct route_rules *rules, const struct route_host *h, struct route *r, struct findings *f)
{
	bool named = false;

	for (size_t i = 0; i < h->n_addresses && r->n_tries < rules->conf->deliver.max_addresses; i++) {
		if (!address_admitted(rules, h->addresses[i], f))
			continue;
		if (!named) {
			r->hosts[r->n_hosts].at = (uint32_t)buf_len(&r->names);
			r->hosts[r->n_hosts].n = (uint16_t)h->name.n;
			r->hosts[r->n_hosts].preference = h->preference;
			r->n_hosts++;
			named = true;
			if (!buf_put_slice(&r->names, h->name))
				return false;
		}
		r->tries[r->n_tries++] = (struct route_try){ h->addresses[i], (uint16_t)(r->n_hosts - 1) };
	}
	return true;
}

/* Underscores are not for host names, but such hosts exist and take mail. */
static bool
is_host_name(struct slice name)
{
	struct ip literal;

	return domain_ehlo_parse(name, &literal) == RC_OK && literal.family == 0;
}

static bool
add_hosts(const struct route_rules *rules, struct slice hosts, struct route *r, struct findings *f)
{
	struct rd rd = { hosts, false };
	struct route_host h;

	while (r->n_hosts < rules->conf->deliver.max_hosts && route_host_next(&rd, &h)) {
		if (h.preference >= f->ours) {
			f->looped = true;
			continue;
		}
		f->temporary = f->temporary || h.status == DNS_TEMPORARY || h.status == DNS_BOGUS;
		f->bogus = f->bogus || h.status == DNS_BOGUS;
		if (h.status == DNS_OK && is_host_name(h.name) && !add_host(rules, &h, r, f))
			return false;
	}
	return true;
}

/* Nothing can be tried. What may be different later comes first. */
static void
explain(const struct findings *f, struct verdict *v)
{
	if (f->bogus)
		verdict_say(v, SESSION_TEMPORARY, 0, ENHANCED(4, 7, 0),
		    "the addresses of the mail hosts failed DNSSEC validation");
	else if (f->temporary)
		verdict_say(v, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 3),
		    "the addresses of the mail hosts cannot be looked up now");
	else if (f->looped)
		verdict_say(v, SESSION_PERMANENT, 0, ENHANCED(5, 4, 6), "mail loops: the mail host for this domain is this host");
	else if (f->refused)
		verdict_say(v, SESSION_PERMANENT, 0, ENHANCED(5, 4, 6), "the mail hosts have no public address");
	else if (f->excluded)
		verdict_say(v, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 4),
		    "the mail hosts have addresses of a family only that is switched off here");
	else
		verdict_say(v, SESSION_PERMANENT, 0, ENHANCED(5, 4, 4), "none of the mail hosts has an address");
}

/* The answer as a whole says no. False: it does not. */
static bool
refused_by_dns(const struct v_hosts *a, struct verdict *v)
{
	switch (a->status) {
	case DNS_OK:
		return false;
	case DNS_NXDOMAIN:
		verdict_say(v, SESSION_PERMANENT, 0, ENHANCED(5, 1, 2), "the domain does not exist");
		break;
	case DNS_NODATA:
		verdict_say(v, SESSION_PERMANENT, 0, ENHANCED(5, 1, 2), "the domain has no mail host and no address");
		break;
	case DNS_NULL_MX:	/* RFC 7505 4.1 */
		verdict_say(v, SESSION_PERMANENT, 556, ENHANCED(5, 1, 10), "the domain accepts no mail");
		break;
	case DNS_BOGUS:
		verdict_say(v, SESSION_TEMPORARY, 0, ENHANCED(4, 7, 0), "the mail hosts of the domain failed DNSSEC validation");
		break;
	default:
		verdict_say(v, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 3), "the mail hosts of the domain cannot be looked up now");
		break;
	}
	verdict_add(v, a->why);
	return true;
}

enum rc
route_build(const struct route_rules *rules, const struct v_hosts *answer, struct route *ret_route, struct verdict *ret_why)
{
	struct route r = { .names = BUF_INIT(ROUTE_HOSTS_MAX * ROUTE_NAME_MAX), .port = rules->port };
	struct findings f = { .ours = UINT32_MAX };

	if (refused_by_dns(answer, ret_why))
		return RC_NOTFOUND;
	if (find_ours(rules, answer->hosts, &f) != RC_OK)
		return RC_SYNTAX;
	r.tries = calloc(rules->conf->deliver.max_addresses, sizeof *r.tries);
	if (r.tries == NULL || !add_hosts(rules, answer->hosts, &r, &f)) {
		route_free(&r);
		return RC_NOMEM;
	}
	if (r.n_tries == 0) {
		route_free(&r);
		explain(&f, ret_why);
		return RC_NOTFOUND;
	}
	*ret_route = r;
	return RC_OK;
}

enum rc
route_of_literal(const struct route_rules *rules, struct ip ip, struct route *ret_route, struct verdict *ret_why)
{
	struct route_host h = { .status = DNS_OK, .addresses = { ip }, .n_addresses = 1 };
	struct buf run = BUF_INIT(512);
	struct v_hosts answer = { .status = DNS_OK };
	enum rc rc = RC_NOMEM;

	/* The host of a literal has no name: it is called by a stand-in that passes for one, and shown as the literal (RFC 3461
	 * 9.3). */
	h.name = S("literal");
	if (route_host_put(&run, &h)) {
		answer.hosts = buf_slice(&run);
		rc = route_build(rules, &answer, ret_route, ret_why);
	}
	buf_free(&run);
	if (rc != RC_OK)
		return rc;
	buf_clear(&ret_route->names);
	if (!domain_literal_put(&ret_route->names, ip)) {
		route_free(ret_route);
		return RC_NOMEM;
	}
	ret_route->hosts[0].n = (uint16_t)buf_len(&ret_route->names);
	return RC_OK;
}

void
route_free(struct route *r)
{
	buf_free(&r->names);
	free(r->tries);
	*r = (struct route){ .names = BUF_INIT(ROUTE_HOSTS_MAX * ROUTE_NAME_MAX) };
}

struct slice
route_host_name(const struct route *r, size_t host)
{
	return slice_first(slice_from(buf_slice(&r->names), r->hosts[host].at), r->hosts[host].n);
}

void
route_drop_from(struct route *r, size_t at)
{
	uint16_t preference = r->hosts[r->tries[at].host].preference;
	size_t n = at + 1;

	for (size_t i = at + 1; i < r->n_tries; i++)
		if (r->hosts[r->tries[i].host].preference < preference)
			r->tries[n++] = r->tries[i];
	r->n_tries = n;
}
