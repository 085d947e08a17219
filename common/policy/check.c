/* common/policy/check.c -- see check.h. One struct decision a question, from top to bottom; the first that settles it
 * wins. */
#include "common/policy/check.h"

#include "common/policy/address.h"
#include "common/policy/senders.h"

#include <stdio.h>

enum { WHY_MAX = 1024 };

struct decision {
	const struct policy *p;
	const struct policy_query *q;
	struct subject from, to;
	bool is_local;			/* the recipient's domain is ours */
	bool is_postmaster;		/* of one of our domains */
	bool is_daemon;			/* mailer-daemon of one, and no user: who answers our reports (RFC 3464 2) */
	bool is_trusted;		/* of relay-clients or relay-certificates, or a user */
	bool routing;			/* at delivery time: no client, no leave to ask for */
	bool has_user;
	bool exact;			/* the whole local part is the user's name */
	struct slice user;
	const struct policy_rule *by;	/* the rule that gave leave, or NULL */
	bool unsure;			/* of the rule that is looked at only client-name is left, and cannot be looked up */
	const struct policy_rule *may_refuse, *may_allow; /* the first that might have, had the name been known */
	const struct policy_verdict *may_way; /* what may_allow makes of it; NULL for postmaster, who is not kept waiting */
	bool may_differ;		/* another of that kind would send it elsewhere */
	policy_trace_fn *trace;
	void *ctx;
	struct buf why;
	struct policy_verdict *v;
};

/* --- telling --- */

static void
tell(struct decision *d, const char *rule, bool matched, const char *why)
{
	if (d->trace != NULL)
		d->trace(d->ctx, rule, matched, why);
}

static void
tell_why(struct decision *d, const char *rule, bool matched)
{
	if (d->trace == NULL)
		return;
	d->trace(d->ctx, rule, matched, buf_words(&d->why, ""));
	buf_clear(&d->why);
}

static void
refuse(struct decision *d, const char *rule, uint16_t code, const char *enhanced, const char *text)
{
	*d->v = (struct policy_verdict){ .action = VERDICT_REJECT, .code = code, .enhanced = enhanced, .text = text,
	    .rule = rule, .transport = "" };
}

static void
set_text(char *to, size_t max, struct slice s)
{
	if (s.n >= max)
		BUG("a next hop or address that passed its checks is too long");
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

/* Accepted by the rule that gave leave, else by this built-in one. */
static void
allot(struct decision *d, const char *builtin, const char *transport, struct slice nexthop)
{
	struct policy_verdict *v = d->v;

	*v = (struct policy_verdict){ .action = VERDICT_ACCEPT, .code = 250, .enhanced = "2.1.5", .text = "Recipient accepted",
	    .rule = builtin, .transport = transport };
	if (d->by != NULL) {
		v->rule = d->by->conf->title;
		v->rule_file = d->by->conf->conf_file;
		v->rule_line = d->by->conf->conf_line;
	}
	set_text(v->nexthop, sizeof v->nexthop, nexthop);
}

static void
unknown_user(struct decision *d)
{
	if ((d->to.flags & ADDRESS_RELAY_TRICK) != 0) {
		tell(d, "builtin:relay-trick", true, "the local part holds a route (%, ! or @), and no user has that name");
		refuse(d, "builtin:relay-trick", 550, "5.7.1", "Source routing is not supported");
		return;
	}
	tell(d, "builtin:unknown-user", true, "no local user has this name");
	refuse(d, "builtin:unknown-user", 550, "5.1.1", "No such user here");
}

/* --- where it goes --- */

static bool
sender_matches(const struct decision *d, const struct patterns *list, struct pattern_hit *ret_hit)
{
	return !d->q->no_sender && patterns_have_address(list, &d->from.parts, ret_hit);
}

static bool
way_matches(const struct policy_way *way, const struct decision *d)
{
	struct pattern_hit hit;

	return (patterns_empty(&way->from) || sender_matches(d, &way->from, &hit)) &&
	    (patterns_empty(&way->to) || patterns_have_address(&way->to, &d->to.parts, &hit));
}

/* The first of rule, route sections and router that has an opinion. */
static const struct policy_route *
find_route(struct decision *d)
{
	const struct policy *p = d->p;

	if (d->by != NULL && (d->by->route.transport[0] != '\0' || d->by->route.nexthop[0] != '\0'))
		return &d->by->route;
	/* Routes and the smart host are for what is not delivered here; only a rule may send local mail elsewhere. */
	if (d->is_local)
		return NULL;
	for (size_t i = 0; i < p->n_ways; i++) {
		bool matches = way_matches(&p->ways[i], d);

		if (d->trace != NULL) {
			(void)buf_printf(&d->why, "%s:%u", p->ways[i].conf->conf_file, p->ways[i].conf->conf_line);
			(void)buf_printf(&d->why, matches ? ": this route is taken" : ": sender or recipient are others");
			d->trace(d->ctx, p->ways[i].conf->title, matches, buf_words(&d->why, ""));
			buf_clear(&d->why);
		}
		if (matches)
			return &p->ways[i].route;
	}
	return &p->last;
}

static void
to_mailbox(struct decision *d, const char *builtin, const char *transport)
{
	if (d->has_user)
		allot(d, builtin, transport, d->user);
	else
		unknown_user(d);
}

static void
to_host(struct decision *d, const char *builtin, const struct policy_route *route)
{
	const char *transport = route->transport[0] == '\0' ? "smtp" : route->transport;

	if (route->nexthop[0] != '\0')
		allot(d, builtin, transport, slice_str(route->nexthop));
	else if (d->to.parts.literal.family != 0 || domain_is_dns_usable(d->to.parts.domain))
		allot(d, builtin, transport, d->to.parts.domain);
	else {
		tell(d, "builtin:bad-domain", true, "the DNS can hold no domain of this name");
		refuse(d, "builtin:bad-domain", 550, "5.1.2", "No such domain can exist");
	}
}

static void
send_on(struct decision *d, const char *builtin)
{
	const struct policy_route *route = find_route(d);

	if (route == NULL)
		to_mailbox(d, builtin, "local");
	else if (route->local)
		to_mailbox(d, builtin, route->transport);
	else
		to_host(d, builtin, route);
}

/* --- the local side --- */

static bool
read_recipient(struct decision *d, struct slice text)
{
	const struct policy *p = d->p;
	struct pattern_hit hit;
	bool postmaster, daemon;

	if (!subject_read(p, text, true, &d->to))
		return false;
	postmaster = slice_caseeq(d->to.meaning, S("postmaster"));
	daemon = slice_caseeq(d->to.meaning, S("mailer-daemon"));
	d->is_local = (d->to.flags & ADDRESS_POSTMASTER) != 0 || patterns_have_domain(&p->local_domains, &d->to.parts, &hit);
	for (size_t i = 0; i < p->n_own && !d->is_local; i++)
		d->is_local = ip_eq(p->own[i], d->to.parts.literal);
	/* At the name of this host itself they exist, whatever domains it takes mail for (RFC 5321 4.5.1). */
	if ((postmaster || daemon) && slice_caseeq(d->to.parts.domain, slice_str(p->conf->global.hostname)))
		d->is_local = true;
	d->is_postmaster = d->is_local && postmaster;
	d->has_user = policy_find_user(p, d->to.meaning, &d->user, &d->exact);
	/* alice+x%elsewhere is alice's only if somebody reads it as we do. */
	if (d->has_user && !d->exact && (d->to.flags & ADDRESS_RELAY_TRICK) != 0)
		d->has_user = false;
	d->is_daemon = d->is_local && daemon && !d->has_user;
	return true;
}

/* RFC 5321 4.5.1. To the user of that name, else to what the configuration says: a user, or an address. */
static void
to_postmaster(struct decision *d)
{
	static const char rule[] = "builtin:postmaster";
	struct slice name = slice_str(d->p->conf->global.postmaster);
	bool exact;

	if (d->is_daemon)
		d->has_user = policy_find_user(d->p, S("postmaster"), &d->user, &exact);
	if (d->has_user) {
		allot(d, rule, "local", d->user);
		return;
	}
	if (slice_find(name, '@') == name.n) {
		/* When nobody has this name either the mail waits for an account; policy_has_postmaster warns of it. */
		if (!policy_find_user(d->p, name, &d->user, &exact))
			d->user = name;
		allot(d, rule, "local", d->user);
		return;
	}
	d->by = NULL;
	if (!read_recipient(d, name))
		BUG("policy_new lets no such postmaster pass");
	send_on(d, rule);
	if (d->v->action == VERDICT_ACCEPT)
		set_text(d->v->rcpt, sizeof d->v->rcpt, subject_text(&d->to));
}

static bool
rule_sends_elsewhere(const struct decision *d)
{
	return d->by != NULL && !d->by->route.local && (d->by->route.transport[0] != '\0' || d->by->route.nexthop[0] != '\0');
}

/* Leave was given, by a rule or by a built-in. */
static void
allow(struct decision *d, const char *builtin)
{
	bool to_operator = d->is_postmaster || d->is_daemon;

	if (to_operator && !rule_sends_elsewhere(d))
		to_postmaster(d);
	else if (d->is_local && !to_operator && !d->has_user)
		unknown_user(d);
	else
		send_on(d, builtin);
}

/* --- rules --- */

/* One condition: what was asked about, and whether the list has it. */
static bool
condition(struct decision *d, const char *what, const struct patterns *list, bool has, const struct pattern_hit *hit)
{
	if (patterns_empty(list))
		return true;
	if (d->trace == NULL)
		return has;
	if (!has) {
		buf_clear(&d->why);
		(void)buf_printf(&d->why, "%s is another", what);
		return false;
	}
	(void)buf_printf(&d->why, "%s%s is in ", buf_len(&d->why) > 0 ? ", " : "", what);
	pattern_hit_put(&d->why, hit);
	return true;
}

static bool
listener_matches(struct decision *d, const struct conf_list *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (slice_eq(slice_str(names->v[i]), d->q->listener))
			return true;
	if (names->n > 0 && d->trace != NULL) {
		buf_clear(&d->why);
		(void)buf_put_str(&d->why, "listener is another");
	}
	return names->n == 0;
}

static bool
user_matches(const struct decision *d, const struct patterns *list, struct pattern_hit *ret_hit)
{
	return patterns_have_user(list, d->to.meaning, ret_hit) ||
	    (d->to.parts.base.n > 0 && patterns_have_user(list, d->to.parts.base, ret_hit));
}

static bool
certificate_matches(const struct policy_query *q, const struct patterns *list, struct pattern_hit *ret_hit)
{
	return patterns_have_print(list, q->fingerprint, ret_hit) || patterns_have_print(list, q->key_fingerprint, ret_hit);
}

static bool
tls_matches(struct decision *d, const char *wanted)
{
	if (*wanted == '\0' || (strcmp(wanted, "yes") == 0) == d->q->tls)
		return true;
	if (d->trace != NULL) {
		buf_clear(&d->why);
		(void)buf_put_str(&d->why, d->q->tls ? "it came over TLS" : "it did not come over TLS");
	}
	return false;
}

static bool
name_matches(struct decision *d, const struct patterns *list)
{
	struct pattern_hit hit;
	bool has;

	d->unsure = d->q->name_failed && !patterns_empty(list);
	if (d->unsure)
		return true;
	has = patterns_have_name(list, d->q->client_name, &hit);
	return condition(d, "client-name", list, has, &hit);
}

static bool
rule_matches(struct decision *d, const struct policy_rule *r)
{
	const struct policy_query *q = d->q;
	struct pattern_hit hit;
	bool has;

	if (!listener_matches(d, &r->conf->listener))
		return false;
	has = patterns_have_ip(&r->client, q->client, &hit);
	if (!condition(d, "client", &r->client, has, &hit))
		return false;
	if (!name_matches(d, &r->client_name))
		return false;
	has = certificate_matches(q, &r->client_certificate, &hit);
	if (!tls_matches(d, r->conf->tls) || !condition(d, "client-certificate", &r->client_certificate, has, &hit))
		return false;
	has = sender_matches(d, &r->from, &hit);
	if (!condition(d, "from", &r->from, has, &hit))
		return false;
	has = patterns_have_address(&r->to, &d->to.parts, &hit);
	if (!condition(d, "to", &r->to, has, &hit))
		return false;
	has = senders_have_user(&r->user, q->user, &hit);
	if (!condition(d, "user", &r->user, has, &hit))
		return false;
	has = user_matches(d, &r->to_user, &hit);
	return condition(d, "to-user", &r->to_user, has, &hit);
}

static bool
needs_client(const struct policy_rule *r)
{
	return r->conf->listener.n > 0 || !patterns_empty(&r->client) || !patterns_empty(&r->client_name) ||
	    !patterns_empty(&r->client_certificate) || !patterns_empty(&r->user) || *r->conf->tls != '\0';
}

static void
refuse_by_rule(struct decision *d, const struct policy_rule *r)
{
	refuse(d, r->conf->title, r->code, r->enhanced, r->text);
	d->v->action = r->action;
	d->v->rule_file = r->conf->conf_file;
	d->v->rule_line = r->conf->conf_line;
}

static void
allow_by_rule(struct decision *d, const struct policy_rule *r)
{
	d->by = r;
	/* Whoever we relay to may trust us and follow the route in the local part to anywhere. */
	if (!d->is_local && !d->is_trusted && !d->routing && (d->to.flags & ADDRESS_RELAY_TRICK) != 0) {
		tell(d, "builtin:relay-trick", true,
		    "the local part holds a route (%, ! or @), which is not relayed for strangers");
		refuse(d, "builtin:relay-trick", 550, "5.7.1", "Source routing is not supported");
		return;
	}
	allow(d, r->conf->title);
}

static bool
same_way(const struct policy_verdict *a, const struct policy_verdict *b)
{
	return strcmp(a->transport, b->transport) == 0 && strcmp(a->nexthop, b->nexthop) == 0 && strcmp(a->rcpt, b->rcpt) == 0;
}

/* The client's name, which this rule asks for, cannot be looked up now: what would it have made of this? Postmaster is not kept
 * waiting for a rule that may refuse him or send him elsewhere (RFC 5321 4.5.1), nor those whom we know by more than a name: one
 * whose name can never be looked up would wait for ever. */
static void
note_doubt(struct decision *d, const struct policy_rule *r, struct policy_verdict *way)
{
	struct policy_verdict v;
	struct decision other = *d;

	buf_clear(&d->why);
	(void)buf_put_str(&d->why, "client-name cannot be looked up now");
	if (r->action != VERDICT_ACCEPT) {
		if (d->may_refuse == NULL && !d->is_postmaster && !d->is_trusted)
			d->may_refuse = r;
		return;
	}
	/* A user that does not exist it could not have accepted either. */
	other.trace = NULL;
	other.v = &v;
	allow_by_rule(&other, r);
	if (v.action != VERDICT_ACCEPT)
		return;
	if (d->may_allow == NULL) {
		d->may_allow = r;
		*way = v;
		d->may_way = d->is_postmaster ? NULL : way;
	} else if (d->may_way != NULL && !same_way(&v, d->may_way)) {
		d->may_differ = true;
	}
}

static const struct policy_rule *
first_rule(struct decision *d, struct policy_verdict *way)
{
	for (size_t i = 0; i < d->p->n_rules; i++) {
		const struct policy_rule *r = &d->p->rules[i];
		bool matches;

		if (d->routing && (r->action != VERDICT_ACCEPT || needs_client(r)))
			continue;
		matches = rule_matches(d, r);
		if (matches && r->action != VERDICT_ACCEPT && d->is_postmaster && !r->refuses_postmaster) {
			matches = false;
			buf_clear(&d->why);
			(void)buf_put_str(&d->why,
			    "it would match, but refuses postmaster only if it names clients or postmaster (RFC 5321 4.5.1)");
		}
		if (matches && d->unsure) {
			matches = false;
			note_doubt(d, r, way);
		}
		if (matches && buf_len(&d->why) == 0)
			(void)buf_put_str(&d->why, "it has no conditions");
		tell_why(d, r->conf->title, matches);
		buf_clear(&d->why);
		if (matches)
			return r;
	}
	return NULL;
}

static bool
may_go_elsewhere(const struct decision *d)
{
	return d->may_way != NULL && (d->may_differ || !same_way(d->v, d->may_way));
}

/* The name would have made the difference: the client asks again when it can be looked up. Otherwise whoever makes our look-ups
 * fail, who may be the client, would choose which rules there are (THREATS 25). */
static void
settle_doubt(struct decision *d)
{
	const struct policy_rule *r = NULL;

	if (d->v->action == VERDICT_ACCEPT && d->may_refuse != NULL)
		r = d->may_refuse;
	else if (d->v->action == VERDICT_REJECT || (d->v->action == VERDICT_ACCEPT && may_go_elsewhere(d)))
		r = d->may_allow;
	if (r == NULL)
		return;
	refuse(d, r->conf->title, 450, "4.4.3", "The name of your host cannot be looked up now, try again later");
	d->v->action = VERDICT_DEFER;
	d->v->rule_file = r->conf->conf_file;
	d->v->rule_line = r->conf->conf_line;
	tell(d, r->conf->title, true, "the name of the client decides, and cannot be looked up now");
}

/* --- built in --- */

static void
local_builtins(struct decision *d)
{
	if (d->is_postmaster) {
		tell(d, "builtin:postmaster", true, "postmaster of this host is always accepted (RFC 5321 4.5.1)");
		allow(d, "builtin:postmaster");
		return;
	}
	if (d->is_daemon) {
		tell(d, "builtin:postmaster", true,
		    "no user has the name mailer-daemon: postmaster reads what answers a report (RFC 3464 2)");
		allow(d, "builtin:postmaster");
		return;
	}
	tell(d, "builtin:postmaster", false, "the recipient is not postmaster");
	if (d->has_user) {
		tell(d, "builtin:local", true, "the domain is local and the user exists");
		allow(d, "builtin:local");
		return;
	}
	tell(d, "builtin:local", false, "the domain is local, but the user does not exist");
	unknown_user(d);
}

static void
builtins(struct decision *d)
{
	if (d->is_local) {
		local_builtins(d);
		return;
	}
	tell(d, "builtin:local", false, "the domain is not one of local-domains");
	if (d->is_trusted || d->routing) {
		tell(d, "builtin:relay", true, "the client is one of relay-clients or relay-certificates, or has logged in");
		allow(d, "builtin:relay");
		return;
	}
	tell(d, "builtin:relay", false, "the client is not one of relay-clients or relay-certificates, and has not logged in");
	tell(d, "builtin:reject", true, "nothing else matched");
	refuse(d, "builtin:reject", 550, "5.7.1", "Relay access denied");	/* RFC 5321 3.6.2, 7.9 */
}

static void
decide(struct decision *d)
{
	const struct policy_rule *r;
	struct policy_verdict way;
	struct pattern_hit hit;

	if (!subject_read(d->p, d->q->from, false, &d->from)) {
		tell(d, "builtin:address", true, "the sender is no valid address");
		refuse(d, "builtin:address", 553, "5.1.7", "The sender is no valid address");
		return;
	}
	if (!read_recipient(d, d->q->to)) {
		tell(d, "builtin:address", true, "the recipient is no valid address");
		refuse(d, "builtin:address", 553, "5.1.3", "The recipient is no valid address");
		return;
	}
	d->is_trusted = patterns_have_ip(&d->p->relay_clients, d->q->client, &hit) ||
	    certificate_matches(d->q, &d->p->relay_certificates, &hit) || d->q->user.n > 0;
	if (!d->q->no_sender && !senders_allow(d->p, d->q->user, &d->from)) {
		tell(d, "builtin:sender", true, "the user may not use this sender address");
		refuse(d, "builtin:sender", 550, "5.7.1", "Sender address not allowed for this user");	/* RFC 6409 6.1 */
		return;
	}
	if (d->q->user.n > 0)
		tell(d, "builtin:sender", false, "the user may use this sender address");
	r = first_rule(d, &way);
	if (r == NULL)
		builtins(d);
	else if (r->action == VERDICT_ACCEPT)
		allow_by_rule(d, r);
	else
		refuse_by_rule(d, r);
	settle_doubt(d);
}

void
policy_check(const struct policy *p, const struct policy_query *q, policy_trace_fn *trace, void *ctx,
    struct policy_verdict *ret_v)
{
	struct decision d = { .p = p, .q = q, .trace = trace, .ctx = ctx, .why = BUF_INIT(WHY_MAX), .v = ret_v };

	decide(&d);
	buf_free(&d.why);
}

void
policy_route(const struct policy *p, struct slice from, struct slice to, struct policy_verdict *ret_v)
{
	const struct policy_query q = { .from = from, .to = to };
	struct decision d = { .p = p, .q = &q, .routing = true, .why = BUF_INIT(WHY_MAX), .v = ret_v };

	decide(&d);
	buf_free(&d.why);
}
