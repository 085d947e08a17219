/* tests/wire/test_xclient.c -- the argument of XCLIENT. */
#include "common/wire/xclient.h"
#include "tests/wire/check.h"

static void
attributes_are_read(void **state)
{
	struct xclient x;

	(void)state;
	assert_int_equal(xclient_parse(S("NAME=mail.example.org ADDR=192.0.2.1 PORT=25 PROTO=esmtp HELO=[IPv6:::1] "
	    "LOGIN=al+69ce+20b DESTADDR=::1 DESTPORT=587"), &x), RC_OK);
	assert_string_equal(x.name.text, "mail.example.org");
	assert_string_equal(x.helo.text, "[IPv6:::1]");
	assert_string_equal(x.login.text, "alice b");
	assert_true(ip_eq(x.addr, (struct ip){ 4, { 192, 0, 2, 1 } }));
	assert_int_equal(xclient_parse(S("addr=ipv6:2001:db8::1 "), &x), RC_OK);
	assert_int_equal(x.addr.family, 6);
	assert_false(x.name.given || x.helo.given || x.login.given);
	/* As everywhere: IPv4 in an IPv6 dress is IPv4. */
	assert_int_equal(xclient_parse(S("ADDR=IPV6:::ffff:192.0.2.1"), &x), RC_OK);
	assert_int_equal(x.addr.family, 4);
	assert_int_equal(xclient_parse(S("NAME=[unavailable] ADDR=[TEMPUNAVAIL] PORT=[UNAVAILABLE]"), &x), RC_OK);
	assert_true(x.name.given && x.name.n == 0 && x.addr_given && x.addr.family == 0);
	assert_false(x.name_failed);
	assert_int_equal(xclient_parse(S("ADDR=[UNAVAILABLE] NAME=[tempunavail]"), &x), RC_OK);
	assert_true(x.name.given && x.name.n == 0 && x.name_failed);
}

static void
nonsense_is_refused(void **state)
{
	static const struct slice cases[] = {
		SLICE(""), SLICE(" "), SLICE("ADDR"), SLICE("ADDR="), SLICE("ADDR=x"), SLICE("ADDR=192.0.2.01"),
		SLICE("ADDR=192.0.2.1 ADDR=192.0.2.1"),
		SLICE("ADDR=IPV6:"), SLICE("PORT=65536"), SLICE("PORT=-1"), SLICE("PORT=99999999999999999999"),
		SLICE("PROTO=LMTP"),
		SLICE("NAME=a b"), SLICE("NAME=a+0Ab"), SLICE("NAME=a+0"), SLICE("NAME=a+zz"), SLICE("NAME=a..b"),
		SLICE("NAME=-a+00"),
		SLICE("HELO=a\x7f"), SLICE("HELO=(x)"), SLICE("LOGIN=a\0b"), SLICE("LOGIN=\xff"), SLICE("OTHER"), SLICE("OTHER="),
	};
	struct xclient x;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (xclient_parse(cases[i], &x) != RC_SYNTAX)
			fail_msg("case %zu: %.*s", i, (int)cases[i].n, (const char *)cases[i].p);
}

static void
strange_attributes_are_told_apart(void **state)
{
	struct xclient x;

	(void)state;
	assert_int_equal(xclient_parse(S("OTHER=x"), &x), RC_UNSUPPORTED);
	assert_int_equal(xclient_parse(S("=x"), &x), RC_UNSUPPORTED);
	assert_int_equal(xclient_parse(S("ADDR=192.0.2.1 REVERSE_NAME=x"), &x), RC_UNSUPPORTED);
	assert_int_equal(xclient_parse(S("ADDR=x OTHER=x"), &x), RC_SYNTAX);
}

static void
values_have_a_limit(void **state)
{
	char text[300] = "LOGIN=";
	struct xclient x;

	(void)state;
	memset(text + 6, 'a', XCLIENT_VALUE_MAX + 1);
	assert_int_equal(xclient_parse(slice_of(text, 6 + XCLIENT_VALUE_MAX), &x), RC_OK);
	assert_int_equal(x.login.n, XCLIENT_VALUE_MAX);
	assert_int_equal(xclient_parse(slice_of(text, 7 + XCLIENT_VALUE_MAX), &x), RC_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_are_read),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(strange_attributes_are_told_apart),
		cmocka_unit_test(values_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
