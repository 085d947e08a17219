/* tests/router/test_pattern.c -- configurations that must be refused, each with its place and with what to do about it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/router/house.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct house_file files[] = {
	{ "bad", "good.test\nb@d@x\n" },
	{ "names", "good.test\n" },
	{ "nets", "10.0.0.0/8\n" },
	{ "everywhere", "10.0.0.0/8\n::/0\n" },
	{ "@passwd", "carol:x:1500:1500::/home/carol:/bin/sh\n" },
};
static const struct house_files all_files = { files, COUNT(files) };

enum { LINES_MAX = 6 };
struct refusal {
	struct house_line lines[LINES_MAX];
	const char *words;	/* NULL: it must be fine */
};

static const struct refusal refusals[] = {
	{ { { "router", "", "local-users", "alice" } }, NULL },
	{ { { "router", "", "local-users", "@users" }, { "table", "user", "values", "alice" } },
	    "postern.conf:1: router: local-users: there is no table \"users\"; declare it in a table section; did you mean"
	    " user?" },
	{ { { "router", "", "local-users", "alice@example.org" } },
	    "local-users: \"alice@example.org\" cannot match here; write the name of an account, in ASCII" },
	{ { { "router", "", "local-users", "j\xc3\xb6rg" } },
	    "local-users: \"j\\xc3\\xb6rg\" cannot match here; write the name of an account, in ASCII" },
	{ { { "router", "", "local-domains", "exa mple" } }, "local-domains: \"exa mple\" is no domain" },
	{ { { "router", "", "local-domains", "10.0.0.0/8" } }, "local-domains: \"10.0.0.0/8\" cannot match here" },
	{ { { "router", "", "relay-clients", "example.org" } },
	    "relay-clients: \"example.org\" cannot match here; write a network" },
	{ { { "router", "", "relay-clients", "0.0.0.0/0" } },
	    "relay-clients: a network that holds every address makes an open relay" },
	{ { { "router", "", "relay-clients", "::/0" } }, "open relay" },
	{ { { "router", "", "relay-clients", "@everywhere" }, { "table", "everywhere", "file", "/e" } }, "open relay" },
	{ { { "router", "", "relay-clients", "@names" }, { "table", "names", "file", "/n" } },
	    "\"good.test\" (table names, line 1) cannot match here" },
	{ { { "router", "", "relay-host", "smart host" } }, "relay-host: \"smart host\" is no next hop" },
	{ { { "router", "", "relay-host", "[a.test]:0" } }, "no next hop" },
	{ { { "router", "", "relay-host", "[a.test]:65536" } }, "no next hop" },
	{ { { "router", "", "relay-host", "[a.test]x" } }, "no next hop" },
	{ { { "router", "", "relay-host", "[a.test" } }, "no next hop" },
	{ { { "router", "", "relay-host", "a.test:25" } }, "no next hop" },
	{ { { "router", "", "relay-host", "1.2.3.4" } }, "no next hop" },
	{ { { "router", "", "relay-host", "[a.test]:65535" } }, NULL },
	{ { { "router", "", "max-table-size", "4K" }, { "table", "names", "file", "/n" } }, NULL },
	{ { { "table", "bad", "file", "/etc/bad" } }, "/etc/bad:2: \"b@d@x\" is no address" },
	{ { { "table", "gone", "file", "/etc/gone" } }, "postern.conf:1: table \"gone\": file: /etc/gone: could not be opened" },
	{ { { "table", "t", "format", "text" } }, "postern.conf:1: table \"t\": a table needs a file or values" },
	{ { { "table", "names", "file", "/n" }, { "table", "names", "values", "x" } }, "not both" },
	{ { { "table", "t", "format", "hash" }, { "table", "t", "values", "x" } }, "the format of a table is text or passwd" },
	{ { { "table", "t", "format", "passwd" }, { "table", "t", "values", "x" } }, "the format passwd is for files" },
	{ { { "table", "passwd", "values", "x" } }, "is the name of the system's users" },
	{ { { "table", "t", "values", "x, @y" } }, "postern.conf:1: table \"t\": values: \"@y\" has no local part" },
	{ { { "table", "t", "values", "x" }, { "table", "u", "values", "x" }, { "table", "t", "values", "y" } },
	    "a table of this name stands above" },
	{ { { "rule", "r", "action", "allow" } },
	    "postern.conf:1: rule \"r\": action: the action of a rule is accept, reject or defer" },
	{ { { "rule", "r", "action", "accept" } }, "postern.conf:1: rule \"r\": this rule makes an open relay" },
	{ { { "rule", "r", "from", "example.org" } }, "open relay" },
	{ { { "rule", "r", "to-user", "alice" } }, "open relay" },
	{ { { "rule", "r", "client", "0.0.0.0/0" } }, "open relay" },
	{ { { "rule", "r", "client", "10.0.0.0/8" } }, NULL },
	{ { { "rule", "r", "to", "example.org" } }, NULL },
	{ { { "rule", "r", "action", "reject" } }, NULL },
	{ { { "rule", "builtin:local", "action", "reject" } }, "Postern's own" },
	{ { { "rule", "r", "listener", "smpt" }, { "listener", "smtp", "port", "25" } },
	    "listener: there is no listener \"smpt\"; did you mean smtp?" },
	{ { { "rule", "r", "client", "@nots" }, { "table", "nets", "file", "/x" } },
	    "client: there is no table \"nots\"; declare it in a table section; did you mean nets?" },
	{ { { "rule", "r", "client-name", "a@b.test" } }, "client-name: \"a@b.test\" cannot match here" },
	{ { { "rule", "r", "to", "10.0.0.1" } }, "to: \"10.0.0.1\" cannot match here" },
	{ { { "rule", "r", "client-certificate", "alice" } }, "client-certificate: \"alice\" cannot match here" },
	{ { { "rule", "r", "client-certificate", "00:11:22" } }, "client-certificate: " },
	{ { { "rule", "r", "tls", "maybe" } }, "tls: is yes or no" },
	{ { { "rule", "r", "tls", "yes" } }, "open relay" },
	{ { { "router", "", "relay-certificates", "10.0.0.0/8" } }, "relay-certificates: \"10.0.0.0/8\" cannot match here" },
	{ { { "rule", "r", "to", "*" } }, "leave the option out" },
	{ { { "rule", "r", "to", "a.test" }, { "rule", "r", "reply", "550 no" } },
	    "reply: a rule that accepts has no reply to give" },
	{ { { "rule", "r", "to", "a.test" }, { "rule", "r", "transport", "smpt" } },
	    "transport: there is no transport \"smpt\"; declare it in a transport section; did you mean smtp?" },
	{ { { "rule", "r", "to", "a.test" }, { "rule", "r", "transport", "local" }, { "rule", "r", "relay-host", "b.test" } },
	    "relay-host: mail for mailboxes on this host has no relay host" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "transport", "smtp" } }, "sends nothing anywhere" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "450 4.7.1 Later" } },
	    "reply: cannot be the reply of a refusal" },
	{ { { "rule", "r", "action", "defer" }, { "rule", "r", "reply", "550 5.7.1 No" } },
	    "reply: cannot be the reply of a deferral" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "521 5.7.1 No" } }, "refusal" },
	{ { { "rule", "r", "action", "defer" }, { "rule", "r", "reply", "421 4.7.1 No" } }, "deferral" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "550 4.7.1 No" } }, "refusal" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "55 No" } }, "refusal" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "5500 No" } }, "refusal" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "550 two\nlines" } }, "refusal" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "550 gr\xc3\xbc\xc3\x9f" } }, "refusal" },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "554" } }, NULL },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "5.7.2 Only so" } }, NULL },
	{ { { "rule", "r", "action", "reject" }, { "rule", "r", "reply", "Not so" } }, NULL },
	{ { { "route", "r", "transport", "fats" }, { "transport", "fast", "kind", "smtp" } }, "did you mean fast?" },
	{ { { "route", "r", "to", "10.0.0.0/8" } }, "postern.conf:1: route \"r\": to: \"10.0.0.0/8\" cannot match here" },
	{ { { "transport", "t", "kind", "pipe" } }, "the kind of a transport is smtp or local" },
	{ { { "transport", "smtp", "kind", "local" } }, "have the kind of their name" },
	{ { { "", "", "postmaster", "nobody-here" } }, "postern.conf:1: postmaster: is no local user" },
	{ { { "", "", "postmaster", "ghost@localhost" } }, "postmaster: is no local user" },
	{ { { "", "", "postmaster", "a@b@c" } }, "postmaster: is no address" },
	{ { { "", "", "postmaster", "carol@localhost" } }, NULL },
	{ { { "", "", "postmaster", "" } }, "postmaster: is no local user" },
	{ { { "table", "who", "values", "alice @nosuch" }, { "router", "", "senders", "@who" } },
	    "postern.conf:2: router: senders: table who: of alice: \"@nosuch\" is no table; declare it" },
	{ { { "table", "whom", "values", "alice @who" }, { "router", "", "senders", "@whom" } },
	    "\"@who\" is no table; declare it in a table section; did you mean whom?" },
	{ { { "table", "who", "values", "alice 192.0.2.1" }, { "router", "", "senders", "@who" } },
	    "\"192.0.2.1\" is no address" },
	{ { { "table", "who", "values", "alice *example.org" }, { "router", "", "senders", "@who" } },
	    "\"*example.org\" is no domain pattern" },
	{ { { "table", "net", "values", "10.0.0.0/8" }, { "table", "who", "values", "alice @net" },
	    { "router", "", "senders", "@who" } },
	    "\"@net\" holds what is no address" },
	{ { { "table", "who", "values", "alice * @who a@b.test *.b.test" }, { "router", "", "senders", "@who" } }, NULL },
	{ { { "router", "", "senders", "bob@example.org" } }, "postern.conf:1: router: senders: only tables can stand here" },
	{ { { "table", "who", "values", "alice *" }, { "router", "", "senders", "@who, bob" } }, "only tables can stand here" },
	{ { { "local", "", "users", "dave" } }, "postern.conf:1: local: users: \"dave\" is no user; write name:uid:gid:home" },
	{ { { "local", "", "users", "dave:10:10:/" } }, "users: \"dave:10:10:/\" has a uid below local { min-uid }" },
};

/* Nothing is known but where sections stand. */
static void
find_no_place(void *ctx, const void *section, const char *option, const char **file, uint32_t *line)
{
	(void)ctx;
	(void)section;
	(void)option;
	(void)file;
	(void)line;
}

static const struct policy_places places = { find_no_place, NULL };

static void
what_is_wrong_is_refused_in_words(void **state)
{
	const struct policy_files from = { house_load, (void *)(uintptr_t)&all_files };

	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct buf notes = BUF_INIT(4096), why = BUF_INIT(4096);
		size_t n = 0;
		struct conf *c;
		enum rc rc;

		while (n < LINES_MAX && refusals[i].lines[n].section != NULL)
			n++;
		c = house_conf(refusals[i].lines, n);
		rc = policy_check_conf(c, &from, &places, &notes, &why);
		if (refusals[i].words == NULL ? rc != RC_OK : rc == RC_OK || strstr(buf_cstr(&why), refusals[i].words) == NULL)
			fail_msg("case %zu (%s %s %s): %s: %s", i, refusals[i].lines[0].section, refusals[i].lines[0].option,
			    refusals[i].lines[0].value, rc_name(rc), buf_cstr(&why));
		conf_unref(c);
		buf_free(&notes);
		buf_free(&why);
	}
}

static void
a_table_over_its_limit(void **state)
{
	static const struct house_line lines[] = {
		{ "router", "", "max-table-size", "4K" }, { "table", "big", "file", "/etc/big" },
	};
	char *big = malloc(5000);
	struct house_file file = { "big", big };
	struct house_files some = { &file, 1 };
	const struct policy_files from = { house_load, &some };
	struct buf notes = BUF_INIT(4096), why = BUF_INIT(4096);
	struct conf *c = house_conf(lines, COUNT(lines));

	(void)state;
	assert_non_null(big);
	memset(big, '\n', 4999);
	big[4999] = '\0';
	/* local-users is @passwd by default; this test is not about it. */
	conf_list_clear(&c->router.local_users);
	assert_int_equal(policy_check_conf(c, &from, &places, &notes, &why), RC_RANGE);
	assert_string_equal(buf_cstr(&why),
	    "postern.conf:2: table \"big\": file: /etc/big is larger than router { max-table-size }; raise it,"
	    " or make the table smaller\n");
	big[4096] = '\0';
	buf_clear(&why);
	assert_int_equal(policy_check_conf(c, &from, &places, &notes, &why), RC_OK);
	assert_non_null(strstr(buf_cstr(&notes), "warning: postmaster: mail for postmaster is accepted (RFC 5321 4.5.1)"));
	buf_free(&notes);
	conf_unref(c);
	free(big);
	buf_free(&why);
}

static void
passwd_is_asked_for_only_when_it_is_used(void **state)
{
	struct conf *c = conf_new();

	(void)state;
	assert_true(policy_uses_passwd(c));
	conf_list_clear(&c->router.local_users);
	assert_false(policy_uses_passwd(c));
	conf_unref(c);
}

static void
next_hops_have_one_form(void **state)
{
	const struct {
		const char *written, *form;
	} cases[] = {
		{ "Example.ORG", "example.org" }, { "[Host.test]", "[host.test]" }, { "[host.test]:2525", "[host.test]:2525" },
		{ "[192.0.2.1]:1", "[192.0.2.1]:1" }, { "[2001:DB8::1]", "[IPv6:2001:db8::1]" },
		{ "[IPv6:2001:db8:0::1]:24", "[IPv6:2001:db8::1]:24" }, { "[::ffff:192.0.2.1]", "[192.0.2.1]" },
		{ "", NULL }, { "[]", NULL }, { "[a.test]:", NULL }, { "[a.test]:01", NULL }, { "[a.test]:1x", NULL },
		{ "a.test.", NULL },
		{ "[1.2.3]", NULL }, { "x]", NULL }, { "[a]b]", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf to = BUF_INIT(POLICY_NEXTHOP_MAX);
		enum rc rc = policy_nexthop_put(&to, slice_str(cases[i].written));

		if (cases[i].form == NULL)
			assert_int_not_equal(rc, RC_OK);
		else
			assert_string_equal(buf_cstr(&to), cases[i].form);
		buf_free(&to);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_refused_in_words),
		cmocka_unit_test(a_table_over_its_limit),
		cmocka_unit_test(passwd_is_asked_for_only_when_it_is_used),
		cmocka_unit_test(next_hops_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
