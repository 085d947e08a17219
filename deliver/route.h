/* deliver/route.h -- from a next hop to the addresses to try, in order. Pure: no socket, no clock.
 *
 * RFC 5321 5.1 and 5 of RFC 7505. Decides too what must never be tried: ourselves (a loop), and addresses that a stranger's
 * MX must not lead us to (THREATS 23). */
#ifndef POSTERN_DELIVER_ROUTE_H
#define POSTERN_DELIVER_ROUTE_H

#include "common/conf.h"
#include "common/mail_route.h"
#include "deliver/verdict.h"

/* D_OPEN.nexthop, taken apart: "domain", "[host]", "[address]", the last two with ":port" or without. */
struct nexthop {
	struct slice name;	/* domain or host; empty when literal is set */
	struct ip literal;
	uint16_t port;		/* 0: not said */
	bool mx;		/* the MX rules apply */
};

/* RC_SYNTAX: none of these forms. Slices borrow from text. */
enum rc nexthop_parse(struct slice text, struct nexthop *ret_hop);

/* Did the administrator write this next hop into a route or rule? Then it may lead anywhere. */
bool nexthop_is_configured(const struct conf *conf, struct slice nexthop);

struct route_rules {
	const struct conf *conf;
	struct slice hostname;	/* ours */
	uint16_t port;		/* of the hosts */
	bool mx;
	bool trusted;		/* nexthop_is_configured */
};

struct route_try {
	struct ip ip;
	uint16_t host;		/* index for route_host_name */
};

struct route {
	struct buf names;
	struct {
		uint32_t at;
		uint16_t n;
		uint16_t preference;
	} hosts[ROUTE_HOSTS_MAX];
	size_t n_hosts;
	struct route_try *tries;
	size_t n_tries;
	uint16_t port;
};

/* From the resolver's answer. RC_OK: at least one try, until route_free. RC_NOTFOUND: none, and *ret_why says what that
 * means. RC_SYNTAX: the hosts are malformed. RC_NOMEM. The route needs no route_free unless RC_OK. */
enum rc route_build(const struct route_rules *rules, const struct v_hosts *answer, struct route *ret_route,
    struct verdict *ret_why);

/* A route of one address, from a literal. As route_build. */
enum rc route_of_literal(const struct route_rules *rules, struct ip ip, struct route *ret_route, struct verdict *ret_why);

void route_free(struct route *r);

/* In lower case; of a route of a literal that, in its brackets. */
struct slice route_host_name(const struct route *r, size_t host);

/* Drops what is left behind try number `at`: everything of the preference of its host and less preferred ones. For a
 * host that turned out to be ourselves only when it was reached. */
void route_drop_from(struct route *r, size_t at);

/* Is this address and port one that we listen on? Wildcard listeners are left to route_listens_anywhere. */
bool route_listens_on(const struct conf *conf, struct ip ip, uint16_t port);
/* Is there a listener on all addresses with this port? */
bool route_listens_anywhere(const struct conf *conf, uint16_t port);

#endif
