/* tests/wire/test_scram.c -- base64, read strictly, and the messages of SCRAM clients. */
#include "common/wire/base64.h"
#include "common/wire/scram.h"
#include "tests/wire/check.h"

/* RFC 4648 10. */
static void
base64_both_ways(void **state)
{
	static const struct { struct slice bytes, text; } cases[] = {
		{ SLICE(""), SLICE("") }, { SLICE("f"), SLICE("Zg==") }, { SLICE("fo"), SLICE("Zm8=") },
		{ SLICE("foo"), SLICE("Zm9v") },
		{ SLICE("foob"), SLICE("Zm9vYg==") }, { SLICE("fooba"), SLICE("Zm9vYmE=") },
		{ SLICE("foobar"), SLICE("Zm9vYmFy") },
		{ SLICE("\0a\0b"), SLICE("AGEAYg==") }, { SLICE("\xff\xfe\xfb"), SLICE("//77") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF_INIT(64);

		assert_int_equal(base64_decode(cases[i].text, &b), RC_OK);
		assert_true(slice_eq(buf_slice(&b), cases[i].bytes));
		buf_clear(&b);
		assert_true(base64_put(&b, cases[i].bytes));
		assert_true(slice_eq(buf_slice(&b), cases[i].text));
		buf_free(&b);
	}
}

static void
base64_is_strict(void **state)
{
	static const struct slice bad[] = {
		SLICE("Z"), SLICE("Zg"), SLICE("Zg="), SLICE("=AAA"), SLICE("AAA=BBBB"), SLICE("Z==="), SLICE("===="),
		SLICE("Zg==Zg=="),
		SLICE("Zh=="), SLICE("Zm9="), SLICE("Zm 9"), SLICE("Zm9v\r\n"), SLICE("Zm9-"), SLICE("Zm9_"), SLICE("Zm\09"),
		SLICE("*"),
	};
	struct buf b = BUF_INIT(64);

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(base64_decode(bad[i], &b), RC_SYNTAX);
		assert_int_equal(buf_len(&b), 0);
	}
	buf_free(&b);
}

static void
first_messages(void **state)
{
	static const struct { struct slice message; enum rc rc; } cases[] = {
		{ SLICE("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), RC_OK }, { SLICE("y,,n=user,r=abc"), RC_OK },
		{ SLICE("p=tls-exporter,,n=user,r=abc"), RC_OK }, { SLICE("n,a=other,n=user,r=abc"), RC_OK },
		{ SLICE("n,,n=user,r=abc,x=ext"), RC_OK }, { SLICE("n,,m=must,n=user,r=abc"), RC_UNSUPPORTED },
		{ SLICE("n,,n=,r=abc"), RC_SYNTAX }, { SLICE("n,,n=user,r="), RC_SYNTAX }, { SLICE("n,,n=user"), RC_SYNTAX },
		{ SLICE("n,,r=abc,n=user"), RC_SYNTAX }, { SLICE("n,a=,n=user,r=abc"), RC_SYNTAX },
		{ SLICE("x,,n=user,r=abc"), RC_SYNTAX },
		{ SLICE("p=,,n=user,r=abc"), RC_SYNTAX }, { SLICE("p=a b,,n=user,r=abc"), RC_SYNTAX }, { SLICE(""), RC_SYNTAX },
		{ SLICE("n"), RC_SYNTAX }, { SLICE("n,"), RC_SYNTAX }, { SLICE("n,,"), RC_SYNTAX },
		{ SLICE("n,,n=user,r=a\x7f"), RC_SYNTAX },
		{ SLICE("n,,n=user,r=abc,"), RC_OK }, { SLICE("n,,n=user,r=abc,1=x"), RC_SYNTAX },
		{ SLICE("n,,n=user,r=abc,x="), RC_SYNTAX },
	};
	struct scram_first f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(scram_first_parse(cases[i].message, &f), cases[i].rc);
	assert_int_equal(scram_first_parse(S("p=tls-exporter,a=b,n=user,r=abc"), &f), RC_OK);
	assert_true(f.flag == 'p' && slice_eq(f.binding, S("tls-exporter")) && slice_eq(f.authzid, S("b")));
	assert_true(slice_eq(f.gs2, S("p=tls-exporter,a=b,")) && slice_eq(f.bare, S("n=user,r=abc")) &&
	    slice_eq(f.nonce, S("abc")));
	assert_int_equal(scram_first_parse(repeat('x', SCRAM_NONCE_MAX + 1, ""), &f), RC_SYNTAX);
}

static void
final_messages(void **state)
{
	struct scram_final f;

	(void)state;
	assert_int_equal(scram_final_parse(S("c=biws,r=abc,p=Zm9v"), &f), RC_OK);
	assert_true(slice_eq(f.binding, S("biws")) && slice_eq(f.nonce, S("abc")) && slice_eq(f.proof, S("Zm9v")));
	assert_true(slice_eq(f.unproven, S("c=biws,r=abc")));
	assert_int_equal(scram_final_parse(S("c=biws,r=abc,x=y,p=Zm9v"), &f), RC_OK);
	assert_int_equal(scram_final_parse(S("c=biws,r=abc"), &f), RC_SYNTAX);
	assert_int_equal(scram_final_parse(S("c=biws,p=Zm9v"), &f), RC_SYNTAX);
	assert_int_equal(scram_final_parse(S("r=abc,c=biws,p=Zm9v"), &f), RC_SYNTAX);
	assert_int_equal(scram_final_parse(S("c=,r=abc,p=Zm9v"), &f), RC_SYNTAX);
	assert_int_equal(scram_final_parse(S("c=biws,r=abc,p="), &f), RC_SYNTAX);
	assert_int_equal(scram_final_parse(S(""), &f), RC_SYNTAX);
}

static void
names(void **state)
{
	struct buf b = BUF_INIT(64);

	(void)state;
	assert_int_equal(scram_name_decode(S("a=2Cb=3Dc"), &b), RC_OK);
	holds(&b, "a,b=c");
	assert_int_equal(scram_name_decode(S("a=b"), &b), RC_SYNTAX);
	assert_int_equal(scram_name_decode(S("a=2c"), &b), RC_SYNTAX);
	assert_int_equal(scram_name_decode(S("a="), &b), RC_SYNTAX);
	assert_int_equal(scram_name_decode(S("a\0"), &b), RC_SYNTAX);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_both_ways), cmocka_unit_test(base64_is_strict), cmocka_unit_test(first_messages),
		cmocka_unit_test(final_messages), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
