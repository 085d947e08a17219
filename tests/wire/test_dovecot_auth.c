/* tests/wire/test_dovecot_auth.c -- the lines of Dovecot's authentication protocol. */
#include "common/wire/dovecot_auth.h"
#include "tests/wire/check.h"

static struct dovecot_line
parsed(struct slice text)
{
	struct dovecot_line l = { .kind = DOVECOT_OTHER };

	assert_int_equal(dovecot_line_parse(text, &l), RC_OK);
	return l;
}

static void
handshake_is_read(void **state)
{
	struct dovecot_line l;

	(void)state;
	l = parsed(S("VERSION\t1\t2"));
	assert_int_equal(l.kind, DOVECOT_VERSION);
	assert_int_equal(l.number, 1);
	assert_int_equal(parsed(S("VERSION\t4294967295")).number, UINT32_MAX);
	l = parsed(S("MECH\tSCRAM-SHA-256\tmutual-auth"));
	assert_int_equal(l.kind, DOVECOT_MECH);
	assert_true(slice_eq(l.text, S("SCRAM-SHA-256")));
	assert_false(l.private_mech || l.binding);
	assert_true(parsed(S("MECH\tAPOP\tprivate\tdictionary")).private_mech);
	assert_true(parsed(S("MECH\tSCRAM-SHA-256-PLUS\tmutual-auth\tchannel-binding")).binding);
	assert_int_equal(parsed(S("MECH\tPLAIN")).kind, DOVECOT_MECH);
	/* Names that no client could say, and what is not for us, are passed over. */
	assert_int_equal(parsed(S("MECH\tA MECHANISM")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("MECH\tABCDEFGHIJKLMNOPQRSTU")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("MECH\t")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("SPID\tx")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("COOKIE\tabcdef")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("ok\t1")).kind, DOVECOT_OTHER);
	assert_int_equal(parsed(S("DONE")).kind, DOVECOT_DONE);
}

static void
results_are_read(void **state)
{
	struct dovecot_line l;

	(void)state;
	l = parsed(S("OK\t7\tuser=alice\tresp=dj0=\tunknown\tuserdb_home=/x"));
	assert_int_equal(l.kind, DOVECOT_OK);
	assert_int_equal(l.number, 7);
	assert_true(slice_eq(l.user, S("alice")) && l.has_resp && slice_eq(l.resp, S("dj0=")));
	assert_false(l.denied || l.temporary);
	assert_true(parsed(S("OK\t7\tuser=a\tnologin")).denied);
	assert_true(parsed(S("OK\t7\tuser=a\tnologin=")).denied);
	assert_true(parsed(S("OK\t7\tproxy=y\tuser=a")).denied);
	/* A word of a value is no flag. */
	assert_false(parsed(S("OK\t7\tuser=nologin")).denied);
	l = parsed(S("FAIL\t4294967295\tuser=alice\tcode=user_disabled\treason=go away"));
	assert_int_equal(l.kind, DOVECOT_FAIL);
	assert_int_equal(l.number, UINT32_MAX);
	assert_true(slice_eq(l.code, S("user_disabled")) && slice_eq(l.reason, S("go away")));
	assert_false(l.temporary);
	assert_true(parsed(S("FAIL\t1\ttemp")).temporary);
	assert_true(parsed(S("FAIL\t1\tuser=a\tcode=temp_fail")).temporary);
	assert_false(parsed(S("FAIL\t1\tuser=temp")).temporary);
	assert_int_equal(parsed(S("FAIL\t1")).user.n, 0);
	l = parsed(S("CONT\t3\t"));
	assert_int_equal(l.kind, DOVECOT_CONT);
	assert_int_equal(l.text.n, 0);
	assert_true(slice_eq(parsed(S("CONT\t3\tVXNlcm5hbWU6")).text, S("VXNlcm5hbWU6")));
}

static void
nonsense_is_refused(void **state)
{
	static const struct slice cases[] = {
		SLICE("VERSION"), SLICE("VERSION\t"), SLICE("VERSION\tx"), SLICE("VERSION\t4294967296"),
		SLICE("VERSION\t00000000001"),
		SLICE("MECH"), SLICE("OK"), SLICE("OK\t"), SLICE("OK\t-1"), SLICE("OK\t1x"), SLICE("OK\tuser=alice"),
		SLICE("FAIL\t 1"),
		SLICE("CONT\t3"), SLICE("CONT"), SLICE("OK\t1\tuser=a\0b"), SLICE("DONE\n"), SLICE("DONE\r"),
		/* Who is it? */
		SLICE("OK\t1\tuser=alice\tuser=bob"), SLICE("OK\t1\tuser=\tuser=bob"), SLICE("OK\t1\tresp=\tresp="),
		SLICE("FAIL\t1\tcode=a\tcode=temp_fail"),
	};
	static uint8_t longest[DOVECOT_LINE_MAX];
	struct dovecot_line l = { .number = 4711 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(dovecot_line_parse(cases[i], &l), RC_SYNTAX);
		assert_int_equal(l.number, 4711);
	}
	memset(longest, 'A', sizeof longest);
	assert_int_equal(dovecot_line_parse(slice_of(longest, DOVECOT_LINE_MAX - 1), &l), RC_OK);
	assert_int_equal(dovecot_line_parse(slice_of(longest, DOVECOT_LINE_MAX), &l), RC_SYNTAX);
}

static void
escapes_are_undone(void **state)
{
	static const struct slice plain = SLICE("a\0b\001c\td\re\nf=g");
	struct buf back = BUF_INIT(64), small = BUF_INIT(2);

	(void)state;
	assert_int_equal(dovecot_unescape(S("a\0010b\0011c\001td\001re\001nf=g"), &back), RC_OK);
	assert_true(slice_eq(buf_slice(&back), plain));
	buf_clear(&back);
	assert_int_equal(dovecot_unescape(S("\001x\001\001"), &back), RC_OK);
	assert_true(slice_eq(buf_slice(&back), S("x\001")));
	assert_int_equal(dovecot_unescape(S("abc\001"), &back), RC_SYNTAX);
	assert_int_equal(dovecot_unescape(S("abc"), &small), RC_NOMEM);
	buf_free(&back);
	buf_free(&small);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_is_read),
		cmocka_unit_test(results_are_read),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(escapes_are_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
