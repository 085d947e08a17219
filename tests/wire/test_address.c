/* tests/wire/test_address.c -- paths of MAIL and RCPT, addresses, and the limits of RFC 5321 4.5.3.1 at their edges. */
#include "common/wire/address.h"
#include "tests/wire/check.h"

static const struct {
	const char *text, *canonical;	/* NULL: refused */
} addresses[] = {
	{ "alice@example.org", "alice@example.org" }, { "Alice@EXAMPLE.Org", "Alice@example.org" },
	{ "\"alice\"@a.test", "alice@a.test" }, { "\"a b\"@a.test", "\"a b\"@a.test" }, { "\"a\\ b\"@a.test", "\"a b\"@a.test" },
	{ "\"a\\\"b\"@a.test", "\"a\\\"b\"@a.test" }, { "\"a\\\\b\"@a.test", "\"a\\\\b\"@a.test" },
	{ "\"\"@a.test", "\"\"@a.test" },
	{ "\"a.b\"@a.test", "a.b@a.test" }, { "\".a\"@a.test", "\".a\"@a.test" }, { "\"a..b\"@a.test", "\"a..b\"@a.test" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" }, { "a@[ipv6:2001:DB8:0:0::1]", "a@[IPv6:2001:db8::1]" },
	{ "a@[IPv6:::ffff:192.0.2.1]", "a@[192.0.2.1]" }, { "!#$%&'*+-/=?^_`{|}~@a.test", "!#$%&'*+-/=?^_`{|}~@a.test" },
	{ "a@localhost", "a@localhost" }, { "a@1.2.3.4", "a@1.2.3.4" }, { "", NULL }, { "a", NULL }, { "@a.test", NULL },
	{ "a@", NULL },
	{ ".a@a.test", NULL }, { "a.@a.test", NULL }, { "a..b@a.test", NULL }, { "a b@a.test", NULL }, { "a@b@a.test", NULL },
	{ "a@a..test", NULL }, { "a@.a", NULL }, { "a@a.", NULL }, { "a@-a.test", NULL }, { "a@a-.test", NULL },
	{ "a@a_b.test", NULL },
	{ "a@[1.2.3]", NULL }, { "a@[1.2.3.4", NULL }, { "a@[::1]", NULL }, { "a@[IPv6:1.2.3.4]", NULL },
	{ "a@[01.2.3.4]", NULL },
	{ "a@[X-tag:y]", NULL }, { "\"a@a.test", NULL }, { "\"a\"b@a.test", NULL }, { "a\x01@a.test", NULL },
	{ "a\x80@a.test", NULL },
	{ "\"\t\"@a.test", NULL }, { "a@a.test ", NULL }, { " a@a.test", NULL }, { "a(c)@a.test", NULL }, { "<a@a.test>", NULL },
};

/* shows: RFC5321 4.1.1/2, RFC5321 4.1.2/6, RFC5321 4.1.2/7, RFC5321 3.7.3/1, RFC5321 4.1.2/9, RFC5321 4.1.3/1
 * shows: RFC5321 4.1.3/2, RFC5321 4.1.3/3 */
static void
addresses_have_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct buf to = BUF_INIT(1024);
		struct address a;
		enum rc rc = address_parse(slice_str(addresses[i].text), &a);

		if (addresses[i].canonical == NULL) {
			if (rc == RC_OK)
				fail_msg("%s passed", addresses[i].text);
		} else {
			if (rc != RC_OK)
				fail_msg("%s was refused", addresses[i].text);
			assert_true(address_put(&to, &a));
			holds(&to, addresses[i].canonical);
		}
		buf_free(&to);
	}
}

/* shows: RFC5321 4.1.2/1, RFC5321 4.1.1.3/2 */
static void
paths(void **state)
{
	static const struct {
		const char *text;
		enum address_path kind;
		bool ok;
		unsigned flags;
		const char *rest;
	} cases[] = {
		{ "<>", ADDRESS_REVERSE, true, ADDRESS_NULL, "" }, { "<>", ADDRESS_FORWARD, false, 0, "" },
		{ "<Postmaster>", ADDRESS_FORWARD, true, ADDRESS_POSTMASTER, "" },
		{ "<Postmaster>", ADDRESS_REVERSE, false, 0, "" },
		{ "<postmaster> X", ADDRESS_FORWARD, true, ADDRESS_POSTMASTER, " X" },
		{ "<root>", ADDRESS_FORWARD, false, 0, "" },
		{ "<\"postmaster\">", ADDRESS_FORWARD, false, 0, "" },
		{ " <a@b.test> SIZE=1", ADDRESS_REVERSE, true, 0, " SIZE=1" },
		{ "  <a@b.test>", ADDRESS_REVERSE, false, 0, "" }, { "a@b.test", ADDRESS_REVERSE, false, 0, "" },
		{ "<@x.test,@y.test:a@b.test>", ADDRESS_FORWARD, true, ADDRESS_ROUTED, "" },
		{ "<@x.test:a@b.test>", ADDRESS_REVERSE, true, ADDRESS_ROUTED, "" },
		{ "<@x.test a@b.test>", ADDRESS_FORWARD, false, 0, "" }, { "<@x.test,:a@b.test>", ADDRESS_FORWARD, false, 0, "" },
		{ "<@x.test:postmaster>", ADDRESS_FORWARD, false, 0, "" },
		{ "<a%b@c.test>", ADDRESS_FORWARD, true, ADDRESS_PERCENT, "" },
		{ "<a!b@c.test>", ADDRESS_FORWARD, true, ADDRESS_BANG, "" },
		{ "<\"a@b\"@c.test>", ADDRESS_FORWARD, true, ADDRESS_AT | ADDRESS_QUOTED, "" },
		{ "<\"a\\@b\"@c.test>", ADDRESS_FORWARD, true, ADDRESS_AT | ADDRESS_QUOTED, "" },
		{ "<a@b.test", ADDRESS_FORWARD, false, 0, "" },
		{ "<a@b.test>>", ADDRESS_FORWARD, true, 0, ">" }, { "< a@b.test>", ADDRESS_FORWARD, false, 0, "" },
		{ "<a@b.test >", ADDRESS_FORWARD, false, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice s = slice_str(cases[i].text);
		struct address a;
		size_t used = 0;
		enum rc rc = address_path_parse(s, cases[i].kind, &a, &used);

		if ((rc == RC_OK) != cases[i].ok)
			fail_msg("%s: %s", cases[i].text, rc_name(rc));
		if (rc != RC_OK)
			continue;
		assert_int_equal(a.flags, cases[i].flags);
		assert_true(slice_eq(slice_from(s, used), slice_str(cases[i].rest)));
	}
}

/* shows: RFC5321 4.5.3.1.1/1, RFC5321 4.5.3.1.2/1, RFC5321 4.5.3.1.3/1 */
static void
limits_at_their_edges(void **state)
{
	struct buf path = BUF_INIT(1024);
	struct address a;
	size_t used;

	(void)state;
	/* RFC 5321 4.5.3.1.1: 64 octets of local part, as written. */
	assert_int_equal(address_parse(repeat('a', 64, "@b.test"), &a), RC_OK);
	assert_int_equal(address_parse(repeat('a', 65, "@b.test"), &a), RC_RANGE);
	assert_int_equal(address_parse(repeat('a', 65, "@b..test"), &a), RC_SYNTAX);
	/* 4.5.3.1.2: 255 octets of domain, and RFC 1035 2.3.4: 63 of a label. */
	for (int over = 0; over < 2; over++) {
		buf_clear(&path);
		(void)buf_put_str(&path, "a@");
		for (int i = 0; i < 3; i++)
			(void)buf_put_slice(&path, repeat('x', 63, "."));
		(void)buf_put_slice(&path, repeat('y', 61, over ? ".zz" : ".z"));
		assert_int_equal(buf_len(&path), 2 + 255 + over);
		assert_int_equal(address_parse(buf_slice(&path), &a), over ? RC_RANGE : RC_OK);
	}
	buf_clear(&path);
	(void)buf_put_str(&path, "a@");
	(void)buf_put_slice(&path, repeat('x', 64, ".test"));
	assert_int_equal(address_parse(buf_slice(&path), &a), RC_RANGE);
	/* 4.5.3.1.3: 256 octets of path, with <> and route. */
	for (size_t n = 256; n <= 257; n++) {
		buf_clear(&path);
		(void)buf_put_str(&path, "<");
		(void)buf_put_slice(&path, repeat('l', 64, "@"));
		(void)buf_put_slice(&path, repeat('x', 63, "."));
		(void)buf_put_slice(&path, repeat('x', 63, "."));
		(void)buf_put_slice(&path, repeat('x', n - 1 - 65 - 128 - 1, ">"));
		assert_int_equal(buf_len(&path), n);
		assert_int_equal(address_path_parse(buf_slice(&path), ADDRESS_FORWARD, &a, &used), n == 256 ? RC_OK : RC_RANGE);
	}
	buf_free(&path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_form),
		cmocka_unit_test(paths),
		cmocka_unit_test(limits_at_their_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
