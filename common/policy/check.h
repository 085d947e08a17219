/* common/policy/check.h -- the decision: may this client send from here to there, and where does it go?
 *
 * The rules of the configuration in their order, the first that matches decides; then what is built in:
 *	builtin:sender		the user who has logged in may not use this sender address: refused, before all rules
 *	builtin:postmaster	postmaster of a local domain, or without a domain: accepted (RFC 5321 4.5.1); mailer-daemon of
 *				one, when no user has that name, is postmaster too, but rules may refuse it like others
 *	builtin:local		a user of a local domain: accepted
 *	builtin:relay-trick	user%other@here and its kin (THREATS 22): refused
 *	builtin:unknown-user	no such user in the local domain: refused
 *	builtin:relay		a client of relay-clients, one whose certificate is in relay-certificates, or a user: accepted
 *	builtin:reject		everybody else: refused
 * A rule that accepts lets a stranger relay to what it matches, but it cannot make a local user exist, and it does not
 * carry relay tricks for strangers: the next host might fall for them. A rule that refuses passes postmaster by unless
 * it names clients or postmaster (RFC 5321 4.5.1: narrowly tailored). What a listener wants before all this is smtpd's own
 * affair (530; builtin:tls and builtin:login in what explain shows, router/admin.c). builtin:address refuses what is no address,
 * and builtin:bad-domain a domain that the DNS cannot hold. When the client's name cannot be looked up now, nobody knows whether
 * a rule with client-name matches: where it would make the difference between yes and no, the answer is 450. Pure; nothing of the
 * question is echoed in an answer. */
#ifndef POSTERN_COMMON_POLICY_CHECK_H
#define POSTERN_COMMON_POLICY_CHECK_H

#include "common/policy/rules.h"
#include "common/wire/address.h"

/* Everything may come from a stranger, and may be empty but for to. Addresses in any valid form, <> as nothing. */
struct policy_query {
	struct slice listener;
	struct ip client;
	struct slice client_name;	/* confirmed */
	bool name_failed;		/* it is empty because it cannot be looked up now */
	struct slice helo;		/* decides nothing; explain shows it */
	bool tls;
	struct slice user;		/* who has logged in; empty: nobody */
	struct slice fingerprint, key_fingerprint; /* of the client's certificate: 64 hexadecimal digits, or empty */
	struct slice from;
	bool no_sender;			/* there is none, not even <>: no condition on senders is met, no user is bound by one */
	struct slice to;		/* or the bare word postmaster */
};

/* Strings are NUL-terminated and short; those with const borrow from the policy. */
struct policy_verdict {
	enum verdict_action action;
	uint16_t code;
	const char *enhanced;
	const char *text;
	const char *rule;
	const char *rule_file;		/* where the rule stands; NULL: built in */
	uint32_t rule_line;
	const char *transport;		/* these three only when accepted */
	char nexthop[POLICY_NEXTHOP_MAX + 1];
	char rcpt[ADDRESS_TEXT_MAX + 1];	/* when it was rewritten, else "" */
};

/* Told of every rule that is looked at, in order. why is for people, and dies with the call. */
typedef void policy_trace_fn(void *ctx, const char *rule, bool matched, const char *why);

/* At RCPT. trace may be NULL. */
void policy_check(const struct policy *p, const struct policy_query *q, policy_trace_fn *trace, void *ctx,
    struct policy_verdict *ret_v);

/* At delivery time: where does mail for this recipient go? Nobody is asking leave any more, so rules that refuse or that
 * depend on the client are passed over; a local user that is gone is a rejection. */
void policy_route(const struct policy *p, struct slice from, struct slice to, struct policy_verdict *ret_v);

#endif
