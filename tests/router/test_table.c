/* tests/router/test_table.c -- tables: what a pattern is, files line by line, look-ups, and a million entries. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/policy/suggest.h"
#include "common/policy/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct table *
loaded(const char *text)
{
	struct table *t = table_new("t");
	struct buf why = BUF_INIT(4096);

	assert_non_null(t);
	if (table_load_text(t, slice_str(text), "/etc/t", &why) != RC_OK)
		fail_msg("refused: %s", buf_cstr(&why));
	return t;
}

static void
refused(const char *text, const char *words)
{
	struct table *t = table_new("t");
	struct buf why = BUF_INIT(4096);

	assert_int_not_equal(table_load_text(t, slice_str(text), "/etc/t", &why), RC_OK);
	assert_non_null(buf_cstr(&why));
	if (strstr(buf_cstr(&why), words) == NULL)
		fail_msg("%s: says \"%s\", not \"%s\"", text, buf_cstr(&why), words);
	buf_free(&why);
	table_free(t);
}

static struct ip
ip_of(const char *text)
{
	struct ip ip = { 0, { 0 } };

	assert_int_equal(ip_parse(slice_str(text), &ip), RC_OK);
	return ip;
}

static bool
has_mailbox(const struct table *t, const char *local, const char *domain)
{
	struct table_hit hit;

	return table_has_mailbox(t, slice_str(local), slice_str(domain), &hit);
}

static bool
has_name(const struct table *t, const char *name)
{
	struct table_hit hit;

	return table_has_name(t, slice_str(name), &hit);
}

static bool
has_user(const struct table *t, const char *name)
{
	struct table_hit hit;

	return table_has_user(t, slice_str(name), &hit);
}

static bool
has_ip(const struct table *t, const char *text)
{
	struct table_hit hit;

	return table_has_ip(t, ip_of(text), &hit);
}

static void
domains_and_what_is_below_them(void **state)
{
	struct table *t = loaded("Example.org\n*.below.org\n.dot.org\r\nlocalhost # a comment\n# another\n\n   \t\n"
	    "*.deep.er.org");

	(void)state;
	assert_int_equal(table_count(t), 5);
	assert_true(has_name(t, "example.org"));
	assert_true(has_name(t, "EXAMPLE.ORG"));
	assert_false(has_name(t, "a.example.org"));
	assert_false(has_name(t, "xample.org"));
	assert_false(has_name(t, "org"));
	assert_false(has_name(t, ""));
	assert_true(has_name(t, "x.below.org"));
	assert_true(has_name(t, "x.y.z.BELOW.org"));
	assert_false(has_name(t, "below.org"));
	assert_false(has_name(t, "xbelow.org"));
	assert_true(has_name(t, "a.dot.org"));
	assert_false(has_name(t, "dot.org"));
	assert_true(has_name(t, "localhost"));
	assert_true(has_name(t, "a.deep.er.org"));
	assert_false(has_name(t, "er.org"));
	assert_false(has_name(t, "*.below.org."));
	assert_false(has_name(t, ".below.org"));
	table_free(t);
}

/* RFC 6531: a domain is one and the same in U-labels and in A-labels. shows: RFC6531 3.2/2 */
static void
international_domains(void **state)
{
	struct table *t = loaded("B\xc3\xbc" "cher.de\n*.stra\xc3\x9f" "e.de\nj\xc3\xb6rg@b\xc3\xbc" "cher.ch\n"
	    "alice@b\xc3\xbc" "cher.ch\nxn--mgbh0fb.example\nj\xc3\xb6rg\n");

	(void)state;
	assert_int_equal(table_count(t), 6);
	assert_true(has_name(t, "xn--bcher-kva.de"));
	assert_true(has_name(t, "XN--BCHER-KVA.de"));
	assert_true(has_name(t, "a.xn--strae-oqa.de"));
	assert_false(has_name(t, "a.strasse.de"));
	assert_true(has_mailbox(t, "j\xc3\xb6rg", "xn--bcher-kva.ch"));
	assert_true(has_mailbox(t, "alice", "xn--bcher-kva.ch"));
	assert_true(has_name(t, "xn--mgbh0fb.example"));
	assert_true(has_user(t, "j\xc3\xb6rg"));
	table_free(t);
}

static void
addresses_and_users(void **state)
{
	struct table *t = loaded("Alice@Example.org\nroot@\n\"john doe\"@example.org\n\"plain\"@example.org\n<>\nfirst_last\n"
	    "[192.0.2.1]\n[ipv6:2001:DB8::1]\n");
	struct table_hit hit;

	(void)state;
	assert_true(has_mailbox(t, "alice", "example.org"));
	assert_true(has_mailbox(t, "ALICE", "EXAMPLE.org"));
	assert_false(has_mailbox(t, "alice", "a.example.org"));
	assert_false(has_mailbox(t, "alice", ""));
	assert_true(has_mailbox(t, "root", "anything.test"));
	assert_true(has_mailbox(t, "Root", ""));
	assert_false(has_mailbox(t, "roo", "t.test"));
	assert_true(has_mailbox(t, "\"john doe\"", "example.org"));
	assert_true(has_mailbox(t, "plain", "example.org"));	/* one canonical form */
	assert_true(table_has_null(t, &hit));
	assert_true(has_user(t, "First_Last"));
	assert_false(has_user(t, "root"));
	assert_false(has_user(t, "<>"));
	assert_true(table_has_literal(t, ip_of("192.0.2.1"), &hit));
	assert_true(table_has_literal(t, ip_of("2001:db8::1"), &hit));
	assert_false(table_has_literal(t, ip_of("2001:db8::2"), &hit));
	assert_false(table_has_literal(t, (struct ip){ 0, { 0 } }, &hit));
	table_free(t);
}

static void
networks(void **state)
{
	struct table *t = loaded("10.0.0.0/8\n192.0.2.128/25\n198.51.100.7\n2001:db8::/32\n2001:db8:1::/64\n::1\n"
	    "::ffff:203.0.113.0/120\n");
	struct table_hit hit;

	(void)state;
	assert_true(has_ip(t, "10.255.0.1"));
	assert_false(has_ip(t, "11.0.0.1"));
	assert_true(has_ip(t, "192.0.2.200"));
	assert_false(has_ip(t, "192.0.2.1"));
	assert_true(has_ip(t, "198.51.100.7"));
	assert_false(has_ip(t, "198.51.100.8"));
	assert_true(has_ip(t, "::ffff:198.51.100.7"));	/* the same address in another dress */
	assert_true(has_ip(t, "203.0.113.9"));
	assert_true(has_ip(t, "2001:db8:ffff::1"));
	assert_true(table_has_ip(t, ip_of("2001:db8:1::5"), &hit));
	assert_true(slice_eq(hit.pattern, S("2001:db8:1::/64")));
	assert_int_equal(hit.line, 5);
	assert_true(has_ip(t, "::1"));
	assert_false(has_ip(t, "::2"));
	assert_false(table_has_ip(t, (struct ip){ 0, { 0 } }, &hit));
	assert_false(table_has_everywhere(t));
	/* A user or domain that looks like an entry of another kind is not one. */
	assert_false(has_user(t, "10.0.0.0/8"));
	assert_false(has_name(t, "10.0.0.0/8"));
	table_free(t);
	t = loaded("0.0.0.0/0\n");
	assert_true(table_has_everywhere(t));
	table_free(t);
	t = loaded("::/0\n");
	assert_true(table_has_everywhere(t));
	assert_false(has_ip(t, "192.0.2.1"));
	table_free(t);
}

static void
values_and_duplicates(void **state)
{
	struct table *t = loaded("alice   alice@elsewhere.test, x  # y\nbob\nBOB\nalice alice@elsewhere.test, x\n"
	    "\"a b\"@c.test v w\n");
	struct table_hit hit;

	(void)state;
	assert_true(table_has_user(t, S("ALICE"), &hit));
	assert_true(slice_eq(hit.pattern, S("alice")));
	assert_true(slice_eq(hit.value, S("alice@elsewhere.test, x")));
	assert_true(table_has_user(t, S("bob"), &hit));
	assert_int_equal(hit.value.n, 0);
	assert_int_equal(hit.line, 2);
	assert_true(table_has_mailbox(t, S("\"a b\""), S("c.test"), &hit));
	assert_true(slice_eq(hit.value, S("v w")));
	assert_int_equal(table_count(t), 3);
	table_free(t);
	refused("alice x\nalice y\n", "/etc/t:2: \"alice\" stands there already with another value");
}

static void
what_is_no_pattern_is_refused_with_its_line(void **state)
{
	char long_line[5000], long_user[80];

	(void)state;
	refused("ok.test\n\nex ample\nbad..dots\n", "/etc/t:4: \"bad..dots\" is no domain");
	refused("@example.org\n", "for a whole domain write example.org");
	refused("*\n", "leave the option out");
	refused("a@b@c\n", "is no address");
	refused("10.0.0.0/33\n", "is no network");
	refused("10.0.0/24\n", "is no network");
	refused("*.\n", "is no domain pattern");
	refused("*.a*b\n", "is no domain pattern");
	refused("[300.1.1.1]\n", "is no address literal");
	refused("[IPv6:::1\n", "is no address literal");
	refused("b\xfc" "cher.de\n", "UTF-8");
	refused("b\xc3\xbc" "cher..de\n", "is no valid domain name");
	refused("a\x01" "b.test\n", "\\x01");
	refused("example.org.\n", "is no domain");
	refused("@\n", "/etc/t:1: ");
	memset(long_line, 'x', sizeof long_line - 1);
	long_line[sizeof long_line - 1] = '\0';
	refused(long_line, "/etc/t:1: the line is longer");
	memset(long_user, 'u', 65);
	memcpy(long_user + 65, "@b.test", 8);
	refused(long_user, "too long for an address");
	memmove(long_user, long_user + 1, strlen(long_user));
	table_free(loaded(long_user));
}

static void
a_nul_is_a_byte(void **state)
{
	static const char bytes[] = "good.test\nev\0il.test\n";
	struct table *t = table_new("t");
	struct buf why = BUF_INIT(4096);

	(void)state;
	assert_int_equal(table_load_text(t, slice_of(bytes, sizeof bytes - 1), "f", &why), RC_SYNTAX);
	assert_string_equal(buf_cstr(&why), "f:2: \"ev\\x00il.test\" is no domain, address, user or network");
	buf_free(&why);
	table_free(t);
}

static void
passwd_files(void **state)
{
	static const char text[] =
	    "root:x:0:0:root:/root:/bin/bash\n"
	    "daemon:x:1:1::/:/usr/sbin/nologin\n"
	    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	    "\n# comment\n+@netgroup\n"
	    "Alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\n"
	    "first.last:x:1001:1001::/home/f:/bin/sh\n"
	    "under_score:x:1002:1002::/home/u:/bin/sh\n"
	    "odd name:x:1003:1003::/home/o:/bin/sh\n";
	struct table *t = table_new("passwd");
	struct buf why = BUF_INIT(4096);
	struct table_hit hit;

	(void)state;
	assert_int_equal(table_load_passwd(t, slice_str(text), 1000, "/etc/passwd", &why), RC_OK);
	assert_int_equal(table_count(t), 3);
	assert_true(table_has_user(t, S("alice"), &hit));
	assert_true(slice_eq(hit.pattern, S("Alice")));	/* the account's own name */
	assert_true(has_user(t, "first.last"));
	assert_true(has_user(t, "under_score"));
	assert_false(has_user(t, "root"));
	assert_false(has_user(t, "nobody"));
	assert_int_equal(table_load_passwd(t, S("a:x\n"), 1000, "/etc/passwd", &why), RC_SYNTAX);
	assert_string_equal(buf_cstr(&why), "/etc/passwd:1: no line of passwd(5); write name:password:uid:gid:...");
	buf_clear(&why);
	assert_int_equal(table_load_passwd(t, S("a:x:4294967296:1::\n"), 1000, "p", &why), RC_SYNTAX);
	buf_clear(&why);
	assert_int_equal(table_add_account(t, S("carol:60001:60001:/home/carol"), 1000, &why), RC_OK);
	assert_true(has_user(t, "carol"));
	assert_int_equal(table_add_account(t, S("dave:500:500:/home/dave"), 1000, &why), RC_RANGE);
	assert_int_equal(table_add_account(t, S("dave:60001:60001"), 1000, &why), RC_SYNTAX);
	assert_int_equal(table_add_account(t, S("da ve:60001:60001:/"), 1000, &why), RC_SYNTAX);
	assert_false(has_user(t, "dave"));
	buf_free(&why);
	table_free(t);
}

static void
kinds_that_do_not_belong(void **state)
{
	struct table *t = loaded("a.test\n10.0.0.0/8\n");
	struct table_hit bad;

	(void)state;
	assert_false(table_holds_only(t, TABLE_FOR_NAMES, &bad));
	assert_true(slice_eq(bad.pattern, S("10.0.0.0/8")));
	assert_int_equal(bad.line, 2);
	assert_false(table_holds_only(t, TABLE_FOR_CLIENTS, &bad));
	assert_true(slice_eq(bad.pattern, S("a.test")));
	assert_true(table_holds_only(t, TABLE_FOR_CLIENTS | TABLE_FOR_NAMES, &bad));
	table_free(t);
}

static double
seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
a_million_entries(void **state)
{
	enum { N = 1000000 };
	struct buf text = BUF_INIT(64 << 20), why = BUF_INIT(4096);
	struct table *t = table_new("many");
	double start, made, found;
	struct table_hit hit;

	(void)state;
	for (int i = 0; i < N; i++)
		assert_true(buf_printf(&text, "user%d@domain%d.example\n", i, i % 1000));
	start = seconds();
	assert_int_equal(table_load_text(t, buf_slice(&text), "many", &why), RC_OK);
	made = seconds();
	assert_int_equal(table_count(t), N);
	for (int i = 0; i < N; i++) {
		char local[32], domain[32];
		int n = snprintf(local, sizeof local, "user%d", i),
		    d = snprintf(domain, sizeof domain, "domain%d.example", i % 1000);

		assert_true(table_has_mailbox(t, slice_of(local, (size_t)n), slice_of(domain, (size_t)d), &hit));
		assert_false(table_has_mailbox(t, slice_of(local, (size_t)n), slice_of(domain, (size_t)d - 1), &hit));
	}
	found = seconds();
	print_message("# a million addresses: loaded in %.2f s, two million look-ups in %.2f s\n", made - start, found - made);
	buf_free(&text);
	buf_free(&why);
	table_free(t);
}

static void
did_you_mean(void **state)
{
	const struct {
		const char *word, *expect;
	} cases[] = {
		{ "partner", "; did you mean partners?" }, { "PARTNERS", "; did you mean partners?" },
		{ "blocked-clietns", "; did you mean blocked-clients?" }, { "zzz", "" }, { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf to = BUF_INIT(256);
		struct suggest s;

		suggest_init(&s, slice_str(cases[i].word));
		suggest_offer(&s, S("blocked-clients"));
		suggest_offer(&s, S("partners"));
		suggest_put(&s, &to);
		assert_string_equal(buf_cstr(&to), cases[i].expect);
		buf_free(&to);
	}
}

/* 10.0.0.1/8 is read as 10.0.0.0/8, and said so: each with its line, and no more than there is an eye for. */
static void
wide_networks_are_told(void **state)
{
	struct buf notes = BUF_INIT(4096), many = BUF_INIT(4096);

	(void)state;
	table_warn_text(S("# 10.0.0.1/8\n10.0.0.0/8\n 10.1.2.3/16\tvalue # x\n192.0.2.1\n2001:db8::1/32\nexample.org\n"), "/t",
	    &notes);
	assert_string_equal(buf_cstr(&notes),
	    "/t:3: warning: 10.1.2.3/16 means all of 10.1.0.0/16; write that, or the address alone\n"
	    "/t:5: warning: 2001:db8::1/32 means all of 2001:db8::/32; write that, or the address alone\n");
	buf_clear(&notes);
	for (int i = 0; i < 13; i++)
		(void)buf_put_str(&many, "10.0.0.1/8\n");
	table_warn_text(buf_slice(&many), "/t", &notes);
	assert_non_null(strstr(buf_cstr(&notes), "/t:10: "));
	assert_null(strstr(buf_cstr(&notes), "/t:11: "));
	assert_non_null(strstr(buf_cstr(&notes), "/t: warning: and 3 more such networks\n"));
	buf_free(&notes);
	buf_free(&many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide_networks_are_told),
		cmocka_unit_test(domains_and_what_is_below_them),
		cmocka_unit_test(addresses_and_users),
		cmocka_unit_test(international_domains),
		cmocka_unit_test(networks),
		cmocka_unit_test(values_and_duplicates),
		cmocka_unit_test(what_is_no_pattern_is_refused_with_its_line),
		cmocka_unit_test(a_nul_is_a_byte),
		cmocka_unit_test(passwd_files),
		cmocka_unit_test(kinds_that_do_not_belong),
		cmocka_unit_test(a_million_entries),
		cmocka_unit_test(did_you_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
