/* tests/router/test_check.c -- the decision: closed to strangers whatever they try, open to whom it should be, and told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/policy/senders.h"
#include "tests/router/house.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
static const char stranger[] = "203.0.113.9", friend[] = "10.77.0.1";

static const struct house_file files[] = {
	{ "partners", "*.partner.test\nfriend.test\nboss@elsewhere.test\n" },
	{ "blocked", "192.0.2.0/24\n2001:db8:bad::/48\n" },
	{ "logins", "alice alice@postern.test, team.test, @shared\nboss *\nbob@postern.test bob@elsewhere.test\n"
	    "noe\xcc\x81l pe\xcc\x80re@x.test\n" },
	{ "shared", "info@postern.test\n" },
	{ "@passwd", "root:x:0:0::/root:/bin/sh\ncarol:x:1500:1500::/home/carol:/bin/sh\n" },
};
static const struct house_files all_files = { files, COUNT(files) };

/* What most tests share: alice and bob at postern.test. */
static const struct house_line base[] = {
	{ "", "", "hostname", "mx.postern.test" },
	{ "listener", "smtp", "address", "198.51.100.1, 2001:db8::25" },
	{ "listener", "inside", "address", "10.0.0.1" },
	{ "router", "", "local-domains", "postern.test, *.sub.postern.test, [192.0.2.77]" },
	{ "router", "", "local-users", "alice, Bob, first-last, per%cent, under_score" },
	{ "router", "", "relay-clients", "10.77.0.0/16, ::1" },
};

static struct policy *
policy_of(const struct house_line *more, size_t n)
{
	struct house_line *lines = calloc(COUNT(base) + n, sizeof *lines);
	struct buf why = BUF_INIT(4096);
	struct policy *p = NULL;
	struct conf *c;

	assert_non_null(lines);
	memcpy(lines, base, sizeof base);
	if (n > 0)
		memcpy(lines + COUNT(base), more, n * sizeof *more);
	c = house_conf(lines, COUNT(base) + n);
	free(lines);
	if (policy_new(c, house_load, (void *)(uintptr_t)&all_files, &p, &why) != RC_OK)
		fail_msg("refused: %s", buf_cstr(&why));
	conf_unref(c);
	buf_free(&why);
	return p;
}

static struct policy_verdict
ask(const struct policy *p, const char *client, const char *from, const char *to)
{
	struct policy_query q = { .listener = S("smtp"), .client_name = S("host.client.test"), .helo = S("x"),
	    .from = slice_str(from), .to = slice_str(to) };
	struct policy_verdict v;

	assert_int_equal(ip_parse(slice_str(client), &q.client), RC_OK);
	policy_check(p, &q, NULL, NULL, &v);
	return v;
}

static void
accepted(const struct policy *p, const char *client, const char *to, const char *rule, const char *transport, const char *nexthop)
{
	struct policy_verdict v = ask(p, client, "x@sender.test", to);

	if (v.action != VERDICT_ACCEPT || strcmp(v.rule, rule) != 0 || strcmp(v.transport, transport) != 0 ||
	    strcmp(v.nexthop, nexthop) != 0)
		fail_msg("%s to %s: %u %s %s by %s to %s %s, not by %s to %s %s", client, to, v.code, v.enhanced, v.text, v.rule,
		    v.transport, v.nexthop, rule, transport, nexthop);
	assert_int_equal(v.code, 250);
}

static void
refused(const struct policy *p, const char *client, const char *to, unsigned code, const char *enhanced, const char *rule)
{
	struct policy_verdict v = ask(p, client, "x@sender.test", to);

	if (v.action != VERDICT_REJECT || v.code != code || strcmp(v.enhanced, enhanced) != 0 || strcmp(v.rule, rule) != 0)
		fail_msg("%s to %s: %u %s %s by %s, not %u %s by %s", client, to, v.code, v.enhanced, v.text, v.rule, code,
		    enhanced, rule);
	assert_string_equal(v.transport, "");
	assert_string_equal(v.nexthop, "");
}

/* shows: RFC5321 3.5.1/7 */
static void
local_users(void **state)
{
	struct policy *p = policy_of(NULL, 0);

	(void)state;
	accepted(p, stranger, "alice@postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "ALICE@POSTERN.TEST", "builtin:local", "local", "alice");
	accepted(p, stranger, "bob@postern.test", "builtin:local", "local", "Bob");
	accepted(p, stranger, "alice+list@postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice+a+b@postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "first-last@postern.test", "builtin:local", "local", "first-last");
	accepted(p, stranger, "\"alice\"@postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "\"al\\ice\"@postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@x.sub.postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@[192.0.2.77]", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@[198.51.100.1]", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@[IPv6:2001:db8::25]", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@[IPv6:::ffff:198.51.100.1]", "builtin:local", "local", "alice");
	accepted(p, stranger, "under_score@postern.test", "builtin:local", "local", "under_score");
	refused(p, stranger, "nobody@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, friend, "nobody@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "+alice@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "alic@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "alice.x@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "\"alice \"@postern.test", 550, "5.1.1", "builtin:unknown-user");
	policy_free(p);
}

/* Every way that is known to talk a server into relaying (THREATS 22, 23). None may pass, whatever it is answered.
 * shows: RFC5321 7.9/1 */
static void
no_trick_relays(void **state)
{
	static const char *const tricks[] = {
		"a@victim.test", "alice@sub.postern.test", "alice@postern.test.victim.test", "alice@xpostern.test",
		"alice@victim.test.", "a%victim.test@postern.test", "alice%victim.test@postern.test",
		"victim.test!a@postern.test",
		"victim.test!alice@postern.test", "\"a@victim.test\"@postern.test", "\"alice@victim.test\"@postern.test",
		"\"a%victim.test\"@postern.test", "\"victim.test!a\"@postern.test", "\"a\\@victim.test\"@postern.test",
		"a%victim.test%postern.test@postern.test", "a%victim.test@[198.51.100.1]", "a@[203.0.113.5]",
		"a@[IPv6:2001:db8::99]", "a@[IPv6:::ffff:203.0.113.5]", "alice+x%victim.test@postern.test",
		"alice+victim.test!x@postern.test", "\"alice+a@victim.test\"@postern.test", "@postern.test:a@victim.test",
		"a@postern.test@victim.test", "alice@postern.test,a@victim.test", "alice@postern.test>,<a@victim.test",
		"alice@postern.test a@victim.test", "a%victim.test", "a@", "@victim.test", "alice", "", "<>", "\"\"@postern.test",
		"alice@[127.0.0.1]", "alice@[::1]", "alice@198.51.100.1", "alice@0xc6336401", "a@postern.test%victim.test",
		"postmaster%victim.test@postern.test", "\"postmaster@victim.test\"@postern.test", "postmaster@victim.test",
		"postmaster@[203.0.113.5]", "postmaster%victim.test", "a@*.sub.postern.test", "a@.sub.postern.test",
		"per%cent@victim.test", "first-last%victim.test@postern.test",
	};
	struct policy *p = policy_of(NULL, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(tricks); i++) {
		struct policy_verdict v = ask(p, stranger, "alice@postern.test", tricks[i]);

		if (v.action != VERDICT_REJECT || v.code < 550 || v.code > 559)
			fail_msg("%s passed by %s to %s %s", tricks[i], v.rule, v.transport, v.nexthop);
		/* A sender at home, or none at all, changes nothing. */
		assert_int_equal(ask(p, stranger, "", tricks[i]).action, VERDICT_REJECT);
		/* Bytes of the question never come back (THREATS 8). */
		assert_null(strstr(v.text, "victim"));
	}
	refused(p, stranger, "a%victim.test@postern.test", 550, "5.7.1", "builtin:relay-trick");
	refused(p, stranger, "victim.test!a@postern.test", 550, "5.7.1", "builtin:relay-trick");
	refused(p, stranger, "\"a@victim.test\"@postern.test", 550, "5.7.1", "builtin:relay-trick");
	refused(p, friend, "a%victim.test@postern.test", 550, "5.7.1", "builtin:relay-trick");
	refused(p, stranger, "a@victim.test", 550, "5.7.1", "builtin:reject");
	/* But a user may be called so. */
	accepted(p, stranger, "per%cent@postern.test", "builtin:local", "local", "per%cent");
	policy_free(p);
}

static void
nothing_breaks_the_parser(void **state)
{
	struct policy *p = policy_of(NULL, 0);
	static const uint8_t nul[] = "alice\0@postern.test", nul2[] = "alice@postern.test\0.victim.test";
	char long_local[400];
	struct policy_query q = { .listener = S("smtp") };
	struct policy_verdict v;

	(void)state;
	q.to = slice_of(nul, sizeof nul - 1);
	policy_check(p, &q, NULL, NULL, &v);
	assert_int_equal(v.action, VERDICT_REJECT);
	q.to = slice_of(nul2, sizeof nul2 - 1);
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:address");
	assert_int_equal(v.code, 553);
	q.to = S("alice@postern.test");
	q.from = S("a\r\nb@c.test");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:address");
	assert_string_equal(v.enhanced, "5.1.7");
	memset(long_local, 'a', sizeof long_local);
	memcpy(long_local + 65, "@postern.test", 14);
	refused(p, stranger, long_local, 553, "5.1.3", "builtin:address");
	memcpy(long_local + 64, "@postern.test", 14);
	refused(p, stranger, long_local, 550, "5.1.1", "builtin:unknown-user");
	policy_free(p);
}

/* shows: RFC5321 7.9/1, RFC5321 2.3.11/1 */
static void
relay_clients(void **state)
{
	struct policy *p = policy_of(NULL, 0);

	(void)state;
	accepted(p, friend, "a@victim.test", "builtin:relay", "smtp", "victim.test");
	accepted(p, friend, "A@VicTim.TEST", "builtin:relay", "smtp", "victim.test");
	accepted(p, "::1", "a@victim.test", "builtin:relay", "smtp", "victim.test");
	accepted(p, "::ffff:10.77.0.1", "a@victim.test", "builtin:relay", "smtp", "victim.test");
	accepted(p, friend, "a@[203.0.113.5]", "builtin:relay", "smtp", "[203.0.113.5]");
	accepted(p, friend, "a@[IPv6:2001:DB8:0::1]", "builtin:relay", "smtp", "[IPv6:2001:db8::1]");
	accepted(p, friend, "a%b@victim.test", "builtin:relay", "smtp", "victim.test");
	accepted(p, friend, "\"a b\"@victim.test", "builtin:relay", "smtp", "victim.test");
	refused(p, friend, "a@1.2.3.4", 550, "5.1.2", "builtin:bad-domain");
	refused(p, "10.78.0.1", "a@victim.test", 550, "5.7.1", "builtin:reject");
	refused(p, "::2", "a@victim.test", 550, "5.7.1", "builtin:reject");
	policy_free(p);
}

/* shows: RFC5321 4.5.1/2, RFC5321 4.5.1/3, RFC5321 4.5.1/4 */
static void
postmaster(void **state)
{
	static const struct house_line to_alice[] = { { "", "", "postmaster", "alice" } };
	static const struct house_line to_address[] = { { "", "", "postmaster", "Ops@noc.test" } };
	static const struct house_line to_local[] = { { "", "", "postmaster", "bob@postern.test" } };
	static const struct house_line real[] = { { "router", "", "local-users", "alice, Postmaster" } };
	struct policy *p = policy_of(NULL, 0);
	struct policy_verdict v;

	(void)state;
	assert_false(policy_has_postmaster(p));
	accepted(p, stranger, "postmaster", "builtin:postmaster", "local", "postmaster");
	accepted(p, stranger, "PostMaster@Postern.test", "builtin:postmaster", "local", "postmaster");
	accepted(p, stranger, "\"postmaster\"@postern.test", "builtin:postmaster", "local", "postmaster");
	accepted(p, stranger, "postmaster@[198.51.100.1]", "builtin:postmaster", "local", "postmaster");
	refused(p, stranger, "postmaster@victim.test", 550, "5.7.1", "builtin:reject");
	policy_free(p);
	p = policy_of(to_alice, 1);
	assert_true(policy_has_postmaster(p));
	accepted(p, stranger, "POSTMASTER", "builtin:postmaster", "local", "alice");
	accepted(p, stranger, "postmaster@x.sub.postern.test", "builtin:postmaster", "local", "alice");
	policy_free(p);
	p = policy_of(to_address, 1);
	accepted(p, stranger, "postmaster@postern.test", "builtin:postmaster", "smtp", "noc.test");
	v = ask(p, stranger, "", "postmaster");
	assert_string_equal(v.rcpt, "Ops@noc.test");
	policy_free(p);
	p = policy_of(to_local, 1);
	accepted(p, stranger, "postmaster", "builtin:postmaster", "local", "Bob");
	assert_string_equal(ask(p, stranger, "", "postmaster").rcpt, "bob@postern.test");
	policy_free(p);
	p = policy_of(real, 1);
	accepted(p, stranger, "postmaster@postern.test", "builtin:postmaster", "local", "Postmaster");
	assert_string_equal(ask(p, stranger, "", "postmaster").rcpt, "");
	policy_free(p);
}

/* Who answers a report reaches somebody: its From is MAILER-DAEMON at the name of this host.
 *
 * shows: RFC3464 2/1 */
static void
mailer_daemon_is_postmaster(void **state)
{
	static const struct house_line here[] = { { "", "", "hostname", "mx.far.test" }, { "", "", "postmaster", "alice" } };
	static const struct house_line to_address[] = { { "", "", "postmaster", "ops@noc.test" } };
	static const struct house_line both[] = { { "router", "", "local-users", "alice, Postmaster" } };
	static const struct house_line user[] = { { "router", "", "local-users", "alice, mailer-daemon" },
		{ "", "", "postmaster", "alice" } };
	static const struct house_line refusal[] = { { "rule", "no", "to", "mailer-daemon@postern.test" },
		{ "rule", "no", "action", "reject" } };
	struct policy *p = policy_of(here, COUNT(here));

	(void)state;
	accepted(p, stranger, "MAILER-DAEMON@mx.far.test", "builtin:postmaster", "local", "alice");
	accepted(p, stranger, "Mailer-Daemon@postern.test", "builtin:postmaster", "local", "alice");
	refused(p, stranger, "mailer-daemon@victim.test", 550, "5.7.1", "builtin:reject");
	refused(p, stranger, "mailer-daemon%victim.test@postern.test", 550, "5.7.1", "builtin:relay-trick");
	policy_free(p);
	p = policy_of(to_address, 1);
	accepted(p, stranger, "mailer-daemon@postern.test", "builtin:postmaster", "smtp", "noc.test");
	assert_string_equal(ask(p, stranger, "", "mailer-daemon@postern.test").rcpt, "ops@noc.test");
	policy_free(p);
	p = policy_of(both, 1);
	accepted(p, stranger, "mailer-daemon@postern.test", "builtin:postmaster", "local", "Postmaster");
	policy_free(p);
	p = policy_of(user, COUNT(user));
	accepted(p, stranger, "MAILER-DAEMON@postern.test", "builtin:local", "local", "mailer-daemon");
	policy_free(p);
	/* It is not the name that nobody may refuse. */
	p = policy_of(refusal, COUNT(refusal));
	refused(p, stranger, "mailer-daemon@postern.test", 550, "5.7.1", "no");
	policy_free(p);
}

static const struct house_line rules[] = {
	{ "table", "partners", "file", "/etc/partners" },
	{ "table", "blocked", "file", "/etc/blocked" },
	{ "transport", "fast", "kind", "smtp" },
	{ "transport", "boxes", "kind", "local" },
	{ "rule", "blocked", "client", "@blocked" },
	{ "rule", "blocked", "action", "reject" },
	{ "rule", "no-spam", "from", "spam.test, *.spam.test" },
	{ "rule", "no-spam", "action", "reject" },
	{ "rule", "no-spam", "reply", "550 5.7.99 No spam here" },
	{ "rule", "slow", "from", "<>" },
	{ "rule", "slow", "to", "bob@postern.test" },
	{ "rule", "slow", "action", "defer" },
	{ "rule", "partners", "to", "@partners" },
	{ "rule", "partners", "relay-host", "[10.77.0.26]:2525" },
	{ "rule", "inside", "listener", "inside" },
	{ "rule", "named", "client-name", "*.trusted.test" },
	{ "rule", "named", "to", "far.test" },
	{ "rule", "named", "transport", "fast" },
	{ "rule", "no-list", "to-user", "list, all" },
	{ "rule", "no-list", "action", "reject" },
	{ "rule", "virtual", "to", "virtual.test" },
	{ "rule", "virtual", "transport", "boxes" },
	{ "rule", "to-alice", "to", "alice@postern.test, ghost@postern.test" },
	{ "rule", "to-alice", "relay-host", "backend.test" },
};

/* shows: RFC5321 4.5.1/5, RFC5321 7.9/2 */
static void
rules_in_their_order(void **state)
{
	struct policy *p = policy_of(rules, COUNT(rules));
	struct policy_verdict v;

	(void)state;
	refused(p, "192.0.2.7", "alice@postern.test", 550, "5.7.1", "blocked");
	refused(p, "2001:db8:bad::1", "postmaster@postern.test", 550, "5.7.1", "blocked");
	v = ask(p, stranger, "a@x.spam.test", "alice@postern.test");
	assert_string_equal(v.rule, "no-spam");
	assert_string_equal(v.enhanced, "5.7.99");
	assert_string_equal(v.text, "No spam here");
	assert_string_equal(v.rule_file, "postern.conf");
	assert_int_equal(v.rule_line, COUNT(base) + 7);
	/* RFC 5321 4.5.1: a broad rule does not shut postmaster out. */
	assert_string_equal(ask(p, stranger, "a@x.spam.test", "postmaster@postern.test").rule, "builtin:postmaster");
	v = ask(p, stranger, "", "bob@postern.test");
	assert_int_equal(v.action, VERDICT_DEFER);
	assert_int_equal(v.code, 450);
	assert_string_equal(v.enhanced, "4.7.1");
	assert_int_equal(ask(p, stranger, "", "bob+x@postern.test").action, VERDICT_DEFER);
	assert_int_equal(ask(p, stranger, "a@b.test", "bob@postern.test").action, VERDICT_ACCEPT);
	accepted(p, stranger, "x@a.partner.test", "partners", "smtp", "[10.77.0.26]:2525");
	accepted(p, stranger, "x@friend.test", "partners", "smtp", "[10.77.0.26]:2525");
	accepted(p, stranger, "boss@elsewhere.test", "partners", "smtp", "[10.77.0.26]:2525");
	refused(p, stranger, "x@partner.test", 550, "5.7.1", "builtin:reject");
	refused(p, stranger, "clerk@elsewhere.test", 550, "5.7.1", "builtin:reject");
	/* What a rule opens does not carry routes in the local part further for strangers. */
	refused(p, stranger, "x%victim.test@friend.test", 550, "5.7.1", "builtin:relay-trick");
	refused(p, stranger, "\"x@victim.test\"@friend.test", 550, "5.7.1", "builtin:relay-trick");
	accepted(p, friend, "x%victim.test@friend.test", "partners", "smtp", "[10.77.0.26]:2525");
	refused(p, stranger, "list+x@postern.test", 550, "5.7.1", "no-list");
	refused(p, stranger, "ALL@victim.test", 550, "5.7.1", "no-list");
	accepted(p, stranger, "alice@virtual.test", "virtual", "boxes", "alice");
	refused(p, stranger, "ghost@virtual.test", 550, "5.1.1", "builtin:unknown-user");
	accepted(p, stranger, "alice@postern.test", "to-alice", "smtp", "backend.test");
	refused(p, stranger, "ghost@postern.test", 550, "5.1.1", "builtin:unknown-user");
	policy_free(p);
}

static void
listeners_and_names(void **state)
{
	struct policy *p = policy_of(rules, COUNT(rules));
	struct policy_query q = { .listener = S("inside"), .client_name = S("mx.trusted.test"), .from = S("a@b.test"),
	    .to = S("a@victim.test") };
	struct policy_verdict v;

	(void)state;
	assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "inside");
	q.listener = S("smtp");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:reject");
	q.to = S("a@far.test");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "named");
	assert_string_equal(v.transport, "fast");
	assert_string_equal(v.nexthop, "far.test");
	q.client_name = S(".trusted.test");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:reject");
	q.client_name = S("trusted.test");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:reject");
	q.client_name = S("");
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:reject");
	policy_free(p);
}

static const struct house_line named[] = {
	{ "rule", "dial-up", "client-name", "*.dialup.test" },
	{ "rule", "dial-up", "from", "x@sender.test" },
	{ "rule", "dial-up", "action", "reject" },
	{ "rule", "express", "client-name", "*.fast.test" },
	{ "rule", "express", "from", "z@sender.test" },
	{ "rule", "express", "relay-host", "backend.test" },
	{ "rule", "friends", "client-name", "*.trusted.test" },
	{ "rule", "friends", "to", "far.test, postern.test" },
	{ "rule", "late", "client-name", "*.late.test" },
	{ "rule", "late", "from", "w@sender.test" },
	{ "rule", "late", "relay-host", "backend.test" },
	{ "rule", "rest", "to", "closed.test" },
	{ "rule", "rest", "action", "defer" },
};

struct seen {
	char text[1024];
};

static void
see(void *ctx, const char *rule, bool matched, const char *why)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof s->text - n, "%s %d %s\n", rule, matched, why);
}

/* Whoever makes our look-ups fail must not choose which rules there are; what no name could change is as always. */
static void
names_that_cannot_be_looked_up(void **state)
{
	static const struct { const char *from, *to; enum verdict_action action; unsigned code; const char *rule; } cases[] = {
		/* It might be refused. */
		{ "x@sender.test", "alice@postern.test", VERDICT_DEFER, 450, "dial-up" },
		/* But postmaster is not kept waiting (RFC 5321 4.5.1). */
		{ "x@sender.test", "postmaster@postern.test", VERDICT_ACCEPT, 250, "builtin:postmaster" },
		/* The rule is for another sender. */
		{ "y@sender.test", "alice@postern.test", VERDICT_ACCEPT, 250, "builtin:local" },
		/* It might be accepted, by that rule alone. */
		{ "y@sender.test", "a@far.test", VERDICT_DEFER, 450, "friends" },
		/* It would be refused either way. */
		{ "x@sender.test", "a@elsewhere.test", VERDICT_REJECT, 550, "builtin:reject" },
		{ "y@sender.test", "a@elsewhere.test", VERDICT_REJECT, 550, "builtin:reject" },
		{ "y@sender.test", "nobody@postern.test", VERDICT_REJECT, 550, "builtin:unknown-user" },
		{ "y@sender.test", "x%victim.test@far.test", VERDICT_REJECT, 550, "builtin:reject" },
		{ "x@sender.test", "a@closed.test", VERDICT_DEFER, 450, "rest" },
		/* It is accepted either way, but might go another one: by the first of these rules, or by a later one. */
		{ "z@sender.test", "alice@postern.test", VERDICT_DEFER, 450, "express" },
		{ "w@sender.test", "alice@postern.test", VERDICT_DEFER, 450, "friends" },
		{ "z@sender.test", "postmaster@postern.test", VERDICT_ACCEPT, 250, "builtin:postmaster" },
	};
	struct policy *p = policy_of(named, COUNT(named));
	struct policy_query q = { .listener = S("smtp") };
	struct policy_verdict v;
	struct seen seen = { "" };

	(void)state;
	assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		q.from = slice_str(cases[i].from);
		q.to = slice_str(cases[i].to);
		q.name_failed = true;
		policy_check(p, &q, NULL, NULL, &v);
		if (v.action != cases[i].action || v.code != cases[i].code || strcmp(v.rule, cases[i].rule) != 0)
			fail_msg("%s to %s: %u %s by %s", cases[i].from, cases[i].to, v.code, v.text, v.rule);
		/* One that has no name is none of these. */
		q.name_failed = false;
		policy_check(p, &q, NULL, NULL, &v);
		assert_string_not_equal(v.rule, "dial-up");
		assert_string_not_equal(v.rule, "friends");
	}
	q.from = S("x@sender.test");
	q.to = S("alice@postern.test");
	q.name_failed = true;
	policy_check(p, &q, see, &seen, &v);
	assert_string_equal(v.enhanced, "4.4.3");
	assert_non_null(v.rule_file);
	assert_non_null(strstr(seen.text, "dial-up 0 client-name cannot be looked up now\n"));
	assert_non_null(strstr(seen.text, "dial-up 1 the name of the client decides, and cannot be looked up now\n"));
	/* Whoever is known by more than a name. */
	q.user = S("alice");
	policy_check(p, &q, NULL, NULL, &v);
	assert_int_equal(v.action, VERDICT_ACCEPT);
	policy_free(p);
}

static const struct house_line bounces[] = {
	{ "rule", "no-bounces", "from", "<>" },
	{ "rule", "no-bounces", "to", "bob@postern.test" },
	{ "rule", "no-bounces", "action", "reject" },
};

/* VRFY asks whether there is a mailbox, not whether it takes mail of some sender (RFC 5321 3.5.3). */
static void
no_sender_at_all(void **state)
{
	struct policy *p = policy_of(bounces, COUNT(bounces));
	struct policy_query q = { .listener = S("smtp"), .to = S("bob@postern.test") };
	struct policy_verdict v;

	(void)state;
	assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "no-bounces");
	q.no_sender = true;
	policy_check(p, &q, NULL, NULL, &v);
	assert_string_equal(v.rule, "builtin:local");
	policy_free(p);
}

#define PRINT_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PRINT_B "f0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PRINT_C "e0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
static const struct house_line certificates[] = {
	{ "table", "friends", "values", PRINT_B },
	{ "router", "", "relay-certificates", "E0:112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEE:FF" },
	{ "rule", "friends", "client-certificate",
	    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF, @friends" },
	{ "rule", "friends", "relay-host", "backend.test" },
	{ "rule", "in-the-clear", "tls", "no" },
	{ "rule", "in-the-clear", "to", "bob@postern.test" },
	{ "rule", "in-the-clear", "action", "reject" },
};

static void
certificates_and_tls(void **state)
{
	struct policy *p = policy_of(certificates, COUNT(certificates));
	const struct {
		const char *print, *key_print, *to, *rule;
		bool tls;
	} cases[] = {
		{ PRINT_A, "", "a@victim.test", "friends", true }, { "", PRINT_A, "a@victim.test", "friends", true },
		{ PRINT_B, "", "a@victim.test", "friends", true }, { PRINT_C, "", "a@victim.test", "builtin:relay", true },
		{ "", PRINT_C, "a@victim.test", "builtin:relay", true }, { "", "", "a@victim.test", "builtin:reject", true },
		{ "12", "", "a@victim.test", "builtin:reject", true },
		{ "", "", "bob@postern.test", "builtin:local", true }, { "", "", "bob@postern.test", "in-the-clear", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy_query q = { .listener = S("smtp"), .from = S("a@b.test"), .to = slice_str(cases[i].to),
		    .tls = cases[i].tls, .fingerprint = slice_str(cases[i].print),
		    .key_fingerprint = slice_str(cases[i].key_print) };
		struct policy_verdict v;

		assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
		policy_check(p, &q, NULL, NULL, &v);
		if (strcmp(v.rule, cases[i].rule) != 0)
			fail_msg("case %zu: %s instead of %s", i, v.rule, cases[i].rule);
	}
	policy_free(p);
}

static void
routes_and_the_smart_host(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "relay-host", "Smart.Example" },
		{ "transport", "bulk", "kind", "smtp" },
		{ "route", "news", "from", "news@postern.test" },
		{ "route", "news", "transport", "bulk" },
		{ "route", "branch", "to", "*.branch.test" },
		{ "route", "branch", "relay-host", "[2001:db8::7]:587" },
		{ "route", "host", "to", "host.test" },
		{ "route", "host", "relay-host", "[Relay.Host.Test]" },
	};
	struct policy *p = policy_of(lines, COUNT(lines));
	struct policy_verdict v;

	(void)state;
	accepted(p, friend, "a@far.test", "builtin:relay", "smtp", "smart.example");
	accepted(p, friend, "a@x.branch.test", "builtin:relay", "smtp", "[IPv6:2001:db8::7]:587");
	accepted(p, friend, "a@host.test", "builtin:relay", "smtp", "[relay.host.test]");
	accepted(p, friend, "alice@postern.test", "builtin:local", "local", "alice");
	accepted(p, friend, "a@1.2.3.4", "builtin:relay", "smtp", "smart.example");
	v = ask(p, friend, "news@postern.test", "a@far.test");
	assert_string_equal(v.transport, "bulk");
	assert_string_equal(v.nexthop, "far.test");
	policy_free(p);
}

static void
at_delivery_time_nobody_asks_leave(void **state)
{
	struct policy *p = policy_of(rules, COUNT(rules));
	const struct {
		const char *from, *to, *transport, *nexthop;
	} cases[] = {
		{ "", "a@victim.test", "smtp", "victim.test" }, { "a@spam.test", "alice@postern.test", "smtp", "backend.test" },
		{ "", "bob@postern.test", "local", "Bob" }, { "", "postmaster", "local", "postmaster" },
		{ "", "x@a.partner.test", "smtp", "[10.77.0.26]:2525" }, { "", "a@far.test", "smtp", "far.test" },
		{ "", "list@far.test", "smtp", "far.test" }, { "", "a%b@friend.test", "smtp", "[10.77.0.26]:2525" },
	};
	struct policy_verdict v;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		policy_route(p, slice_str(cases[i].from), slice_str(cases[i].to), &v);
		if (v.action != VERDICT_ACCEPT || strcmp(v.transport, cases[i].transport) != 0 ||
		    strcmp(v.nexthop, cases[i].nexthop) != 0)
			fail_msg("%s: %s %s %s", cases[i].to, v.rule, v.transport, v.nexthop);
	}
	policy_route(p, S(""), S("gone@postern.test"), &v);
	assert_int_equal(v.action, VERDICT_REJECT);
	assert_string_equal(v.enhanced, "5.1.1");
	policy_free(p);
}

static void
the_systems_users(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "local-users", "@passwd" },
		{ "local", "", "users", "dave:60001:60001:/home/dave" },
	};
	struct policy *p = policy_of(lines, COUNT(lines));

	(void)state;
	accepted(p, stranger, "carol@postern.test", "builtin:local", "local", "carol");
	accepted(p, stranger, "dave@postern.test", "builtin:local", "local", "dave");
	refused(p, stranger, "root@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "alice@postern.test", 550, "5.1.1", "builtin:unknown-user");
	policy_free(p);
}

static void
default_domains(void **state)
{
	static const struct house_line lines[] = { { "router", "", "local-domains", "" } };
	struct policy *p = policy_of(lines, COUNT(lines));

	(void)state;
	accepted(p, stranger, "alice@mx.postern.test", "builtin:local", "local", "alice");
	accepted(p, stranger, "alice@localhost", "builtin:local", "local", "alice");
	refused(p, stranger, "alice@postern.test", 550, "5.7.1", "builtin:reject");
	policy_free(p);
}

/* --- explain --- */

struct told {
	char text[8192];
	size_t n;
};

static void
note(void *ctx, const char *rule, bool matched, const char *why)
{
	struct told *t = ctx;
	int n = snprintf(t->text + t->n, sizeof t->text - t->n, "%s%s: %s\n", matched ? "+" : "-", rule, why);

	t->n += (size_t)n;
}

static void
explain_tells_every_step(void **state)
{
	struct policy *p = policy_of(rules, COUNT(rules));
	struct policy_query q = { .listener = S("smtp"), .from = S("a@b.test"), .to = S("x@a.partner.test") };
	struct told told = { "", 0 };
	struct policy_verdict v;

	(void)state;
	assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
	policy_check(p, &q, note, &told, &v);
	assert_string_equal(told.text,
	    "-blocked: client is another\n"
	    "-no-spam: from is another\n"
	    "-slow: from is another\n"
	    "+partners: to is in *.partner.test (table partners, line 1)\n");
	told = (struct told){ "", 0 };
	q.to = S("nobody@postern.test");
	policy_check(p, &q, note, &told, &v);
	assert_non_null(strstr(told.text, "-to-alice: to is another\n-builtin:postmaster: the recipient is not postmaster\n"
	    "-builtin:local: the domain is local, but the user does not exist\n"
	    "+builtin:unknown-user: no local user has this name\n"));
	told = (struct told){ "", 0 };
	q.to = S("a@victim.test");
	policy_check(p, &q, note, &told, &v);
	assert_non_null(strstr(told.text,
	    "-builtin:relay: the client is not one of relay-clients or relay-certificates, and has not logged in\n"
	    "+builtin:reject: nothing else matched\n"));
	told = (struct told){ "", 0 };
	q.from = S("x@spam.test");
	q.to = S("postmaster");
	policy_check(p, &q, note, &told, &v);
	assert_non_null(strstr(told.text, "-no-spam: it would match, but refuses postmaster only if"));
	told = (struct told){ "", 0 };
	q.to = S("a@@b");
	policy_check(p, &q, note, &told, &v);
	assert_string_equal(told.text, "+builtin:address: the recipient is no valid address\n");
	told = (struct told){ "", 0 };
	q.from = S("a@b.test");
	q.to = S("alice@postern.test");
	q.user = S("alice");
	policy_check(p, &q, note, &told, &v);
	assert_non_null(strstr(told.text, "-builtin:sender: the user may use this sender address\n"));
	policy_free(p);
}

/* Of what stands in From, every address has to be the user's. */
static void
authors(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "senders", "@logins" },
		{ "table", "logins", "file", "/etc/postern/logins" },
		{ "table", "shared", "file", "/etc/postern/shared" },
	};
	static const struct {
		const char *user, *addresses;
		bool may;
	} cases[] = {
		{ "alice", "alice@postern.test", true }, { "alice", "alice@postern.test\nx@team.test\ninfo@postern.test", true },
		{ "alice", "alice@postern.test\nx@other.test", false }, { "alice", "x@other.test\nalice@postern.test", false },
		{ "alice", "", true }, { "alice", "alice@postern.test\n\nalice@postern.test", false }, { "alice", "\n", false },
		{ "alice", "no address", false }, { "alice", "x@sub.team.test", false },
		{ "boss", "any@body.test\nelse@where.test", true },
		{ "bob@postern.test", "bob@elsewhere.test", true }, { "bob@postern.test", "bob@postern.test", false },
		{ "first-last", "first-last@postern.test", true }, { "first-last", "first-last+x@postern.test", true },
		{ "first-last", "alice@postern.test", false }, { "carol@x.test", "carol@x.test", true },
	};
	struct policy *p = policy_of(lines, COUNT(lines));

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (senders_allow_all(p, slice_str(cases[i].user), slice_str(cases[i].addresses)) != cases[i].may)
			fail_msg("%s as '%s'", cases[i].user, cases[i].addresses);
	policy_free(p);
}

/* One name, however its letters were composed (RFC 6532 3.1): in a rule, a list of senders, as a recipient. What goes on is what
 * was given.
 * shows: RFC6531 3.3/3 */
static void
letters_in_any_composition(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "senders", "@logins" },
		{ "table", "logins", "file", "/etc/postern/logins" },
		{ "table", "shared", "file", "/etc/postern/shared" },
		{ "rule", "composed", "action", "reject" },
		{ "rule", "composed", "to", "no\xc3\xa9l@postern.test" },
		{ "rule", "decomposed", "action", "accept" },
		{ "rule", "decomposed", "to", "jo\xcc\x88rg@far.test" },
		{ "rule", "anywhere", "action", "reject" },
		{ "rule", "anywhere", "to", "o\xcc\x88@" },
	};
	struct policy *p = policy_of(lines, COUNT(lines));

	(void)state;
	refused(p, stranger, "no\xc3\xa9l@postern.test", 550, "5.7.1", "composed");
	refused(p, stranger, "noe\xcc\x81l@postern.test", 550, "5.7.1", "composed");
	refused(p, stranger, "\"noe\xcc\x81l\"@postern.test", 550, "5.7.1", "composed");
	refused(p, stranger, "noe\xcc\x81l+x@postern.test", 550, "5.7.1", "composed");
	accepted(p, stranger, "j\xc3\xb6rg@far.test", "decomposed", "smtp", "far.test");
	accepted(p, stranger, "jo\xcc\x88rg@far.test", "decomposed", "smtp", "far.test");
	assert_string_equal(ask(p, stranger, "x@sender.test", "jo\xcc\x88rg@far.test").rcpt, "");
	refused(p, stranger, "\xc3\xb6@any.test", 550, "5.7.1", "anywhere");
	/* Other letters, and letters that only look alike (compatibility forms are others). */
	refused(p, stranger, "noel@postern.test", 550, "5.1.1", "builtin:unknown-user");
	refused(p, stranger, "\xef\xbd\x8a\xc3\xb6rg@far.test", 550, "5.7.1", "builtin:reject");
	/* As long as can be, and longer when composed: three bytes become six. */
	refused(p, stranger, "\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98"
	    "\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98"
	    "\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98\xe0\xa5\x98@postern.test", 550, "5.1.1", "builtin:unknown-user");
	assert_true(senders_allow_all(p, S("j\xc3\xb6rg"), S("j\xc3\xb6rg@postern.test\njo\xcc\x88rg@postern.test")));
	assert_true(senders_allow_all(p, S("j\xc3\xb6rg@postern.test"), S("jo\xcc\x88rg@postern.test")));
	assert_true(senders_allow_all(p, S("no\xc3\xa9l"), S("p\xc3\xa8re@x.test\npe\xcc\x80re@x.test")));
	assert_false(senders_allow_all(p, S("no\xc3\xa9l"), S("pere@x.test")));
	policy_free(p);
}

/* One domain in its two forms (IDNA 2008), in every list that is asked: whichever stands there. What a client says comes in ASCII
 * (tests/replay/rfc6531-*.txt), but names of users come as they are. */
static void
domains_in_either_form(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "local-domains", "b\xc3\xbc" "cher.test, xn--mnchen-3ya.test" },
		{ "router", "", "senders", "@own" },
		{ "table", "own", "values", "alice b\xc3\xbc" "cher.example *.xn--mnchen-3ya.example" },
		{ "table", "far", "values", "b\xc3\xbc" "cher.far, *.xn--mnchen-3ya.far" },
		{ "rule", "from", "from", "b\xc3\xbc" "cher.bad, x@xn--mnchen-3ya.bad" },
		{ "rule", "from", "action", "reject" },
		{ "rule", "to", "to", "@far" },
		{ "rule", "to", "action", "accept" },
		{ "rule", "name", "client-name", "*.b\xc3\xbc" "cher.net" },
		{ "rule", "name", "to", "name.test" },
		{ "rule", "name", "action", "accept" },
		{ "rule", "user", "user", "b\xc3\xbc" "cher.test" },
		{ "rule", "user", "to", "user.test" },
		{ "rule", "user", "action", "accept" },
		{ "route", "way", "to", "b\xc3\xbc" "cher.far" },
		{ "route", "way", "relay-host", "relay.test" },
	};
	static const char *const books[] = { "xn--bcher-kva", "XN--BCHER-KVA" };
	static const char *const towns[] = { "xn--mnchen-3ya", "XN--MNCHEN-3YA" };
	struct policy *p = policy_of(lines, COUNT(lines));

	(void)state;
	for (size_t i = 0; i < COUNT(books); i++) {
		const char *b = books[i], *t = towns[i];
		char text[256], name[128];
		struct policy_query q = { .listener = S("smtp"), .from = S("x@sender.test"), .to = S("x@name.test") };
		struct policy_verdict v;

		(void)snprintf(text, sizeof text, "alice@%s.test", b);
		assert_string_equal(ask(p, stranger, "x@sender.test", text).rule, "builtin:local");
		(void)snprintf(text, sizeof text, "alice@%s.test", t);
		assert_string_equal(ask(p, stranger, "x@sender.test", text).rule, "builtin:local");
		(void)snprintf(text, sizeof text, "alice@%s.test", t);
		assert_string_equal(ask(p, stranger, "x@sender.test", text).rule, "builtin:local");
		(void)snprintf(text, sizeof text, "any@%s.bad", b);
		assert_string_equal(ask(p, stranger, text, "alice@postern.test").rule, "from");
		(void)snprintf(text, sizeof text, "x@%s.bad", t);
		assert_string_equal(ask(p, stranger, text, "alice@postern.test").rule, "from");
		(void)snprintf(text, sizeof text, "y@%s.far", b);
		v = ask(p, stranger, "x@sender.test", text);
		assert_string_equal(v.rule, "to");
		assert_string_equal(v.nexthop, "relay.test");
		(void)snprintf(text, sizeof text, "y@sub.%s.far", t);
		assert_string_equal(ask(p, stranger, "x@sender.test", text).rule, "to");
		(void)snprintf(text, sizeof text, "a@%s.example\nb@sub.%s.example", b, t);
		assert_true(senders_allow_all(p, S("alice"), slice_str(text)));
		/* A user whose name is an address, and who is in no list. */
		(void)snprintf(text, sizeof text, "carol@%s.test", b);
		assert_true(senders_allow_all(p, S("carol@b\xc3\xbc" "cher.test"), slice_str(text)));
		assert_true(senders_allow_all(p, S("carol@xn--bcher-kva.test"), slice_str(text)));
		(void)snprintf(text, sizeof text, "carol@%s.test", t);
		assert_false(senders_allow_all(p, S("carol@xn--bcher-kva.test"), slice_str(text)));
		(void)snprintf(name, sizeof name, "mail.%s.net", b);
		q.client_name = slice_str(name);
		assert_int_equal(ip_parse(slice_str(stranger), &q.client), RC_OK);
		policy_check(p, &q, NULL, NULL, &v);
		assert_string_equal(v.rule, "name");
		/* A rule by the domain of users' names. */
		q.to = S("x@user.test");
		q.from = S("");
		q.user = S("carol@b\xc3\xbc" "cher.test");
		policy_check(p, &q, NULL, NULL, &v);
		assert_string_equal(v.rule, "user");
		(void)snprintf(text, sizeof text, "carol@%s.test", b);
		q.user = slice_str(text);
		policy_check(p, &q, NULL, NULL, &v);
		assert_string_equal(v.rule, "user");
	}
	policy_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_users),
		cmocka_unit_test(letters_in_any_composition),
		cmocka_unit_test(domains_in_either_form),
		cmocka_unit_test(no_trick_relays),
		cmocka_unit_test(nothing_breaks_the_parser),
		cmocka_unit_test(relay_clients),
		cmocka_unit_test(postmaster),
		cmocka_unit_test(mailer_daemon_is_postmaster),
		cmocka_unit_test(rules_in_their_order),
		cmocka_unit_test(listeners_and_names),
		cmocka_unit_test(names_that_cannot_be_looked_up),
		cmocka_unit_test(no_sender_at_all),
		cmocka_unit_test(certificates_and_tls),
		cmocka_unit_test(routes_and_the_smart_host),
		cmocka_unit_test(at_delivery_time_nobody_asks_leave),
		cmocka_unit_test(the_systems_users),
		cmocka_unit_test(default_domains),
		cmocka_unit_test(authors),
		cmocka_unit_test(explain_tells_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
