/* tests/common/test_credential.c -- names, passwords and what the users file keeps of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/users_file.h"
#include "common/wire/base64.h"

#include <sodium.h>

/* RFC 7677 3: user, password, salt and iterations; the signature and the proof that must come of them. */
static void
scram_vectors(void **state)
{
	static const struct slice bare = SLICE("n=user,r=rOprNGfwEbeRWgbNEkqO"), unproven = SLICE("c=biws,r=rOprNGfwEbeRWgbNEkqO"
	    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"), first = SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	const struct slice parts[] = { bare, S(","), first, S(","), unproven };
	struct scram_verifier v = { .iterations = 4096 };
	struct buf salt = BUF_INIT(64), text = BUF_INIT(64), proof = BUF_INIT(64);
	uint8_t mac[SCRAM_KEY_BYTES], hash[SCRAM_KEY_BYTES];

	(void)state;
	assert_int_equal(base64_decode(S("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt), RC_OK);
	v.salt_n = buf_len(&salt);
	memcpy(v.salt, buf_slice(&salt).p, v.salt_n);
	scram_derive(S("pencil"), &v);
	hmac_sha256(slice_of(v.server_key, sizeof v.server_key), parts, 5, mac);
	assert_true(base64_put(&text, slice_of(mac, sizeof mac)));
	assert_string_equal(buf_cstr(&text), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	assert_int_equal(base64_decode(S("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &proof), RC_OK);
	hmac_sha256(slice_of(v.stored_key, sizeof v.stored_key), parts, 5, mac);
	for (size_t i = 0; i < sizeof mac; i++)
		mac[i] ^= buf_slice(&proof).p[i];
	(void)crypto_hash_sha256(hash, mac, sizeof mac);
	assert_memory_equal(hash, v.stored_key, sizeof hash);
	buf_free(&salt);
	buf_free(&text);
	buf_free(&proof);
}

static void
is_prepared_as(struct slice text, const char *expected)
{
	struct buf b = BUF_INIT(PREPARE_PASSWORD_MAX);
	enum rc rc = prepare_password(text, &b);

	if (expected == NULL) {
		assert_int_equal(rc, RC_SYNTAX);
	} else {
		assert_int_equal(rc, RC_OK);
		assert_string_equal(buf_cstr(&b), expected);
	}
	buf_free(&b);
}

/* RFC 4013 3, and what the header says beyond it. */
static void
preparation(void **state)
{
	struct buf b = BUF_INIT(PREPARE_USER_MAX);
	char big[PREPARE_USER_MAX + 1];

	(void)state;
	is_prepared_as(S("I\xc2\xadX"), "IX");
	is_prepared_as(S("user"), "user");
	is_prepared_as(S("USER"), "USER");
	is_prepared_as(S("\xc2\xaa"), "a");
	is_prepared_as(S("\xe2\x85\xa8"), "IX");
	is_prepared_as(S("a\xc2\xa0" "b"), "a b");
	is_prepared_as(S("\x07"), NULL);
	is_prepared_as(S("a\0b"), NULL);
	is_prepared_as(S(""), NULL);
	is_prepared_as(S("\xc2\xad"), NULL);
	is_prepared_as(S("\xff"), NULL);
	is_prepared_as(S("\xed\xa0\x80"), NULL);
	is_prepared_as(S("\xee\x80\x80"), NULL);
	assert_int_equal(prepare_user(S("a:b"), &b), RC_SYNTAX);
	memset(big, 'x', sizeof big);
	assert_int_equal(prepare_user(slice_of(big, sizeof big), &b), RC_RANGE);
	assert_int_equal(prepare_user(slice_of(big, PREPARE_USER_MAX), &b), RC_OK);
	buf_free(&b);
}

static void
lines_both_ways(void **state)
{
	struct buf line = BUF_INIT(CREDENTIAL_LINE_MAX), again = BUF_INIT(CREDENTIAL_LINE_MAX), why = BUF_INIT(512);
	char argon2[ARGON2_TEXT_MAX + 1];
	struct credential c, parsed;
	struct slice text;

	(void)state;
	assert_int_equal(credential_make(S("alice"), S("secret"), 8 << 20, SCRAM_ITERATIONS_MIN, argon2, &c), RC_OK);
	assert_true(credential_put(&line, &c));
	text = slice_first(buf_slice(&line), buf_len(&line) - 1);
	assert_int_equal(credential_parse(text, &parsed, &why), RC_OK);
	assert_true(slice_eq(parsed.user, S("alice")) && parsed.has_scram && parsed.memory == 8 << 20);
	assert_true(credential_put(&again, &parsed));
	assert_true(slice_eq(buf_slice(&line), buf_slice(&again)));
	/* No prefix of it may be taken for another user's, or crash. */
	for (size_t n = 0; n < text.n; n++)
		(void)credential_parse(slice_first(text, n), &parsed, &why);
	assert_int_equal(credential_parse(S("# alice"), &parsed, &why), RC_NOTFOUND);
	assert_int_equal(credential_parse(S(""), &parsed, &why), RC_NOTFOUND);
	assert_int_equal(credential_parse(S("bob:*:"), &parsed, &why), RC_OK);
	assert_true(parsed.locked);
	assert_int_equal(credential_parse(S("bob"), &parsed, &why), RC_SYNTAX);
	assert_int_equal(credential_parse(S("bob:secret:"), &parsed, &why), RC_SYNTAX);
	assert_int_equal(credential_parse(S("bob::SCRAM-SHA-256$1000:AAAA$AAAA:AAAA"), &parsed, &why), RC_SYNTAX);
	buf_free(&line);
	buf_free(&again);
	buf_free(&why);
}

/* What each of the three who read a users file takes and refuses. */
static void
whole_files(void **state)
{
	static const struct {
		const char *text, *why;
		unsigned line;
	} cases[] = {
		{ "", NULL, 0 }, { "# words\n\nalice:*:\r\nbob:*:", NULL, 4 },
		{ "alice:*:\nbob:*:\nALICE:*:\n", NULL, 3 },
		{ "alice:*:\nbob:*:\nalice:*:\n", "names a user that an earlier line has", 3 },
		{ "alice\n", "has no colon", 1 }, { "\n#secret x\n", "is not #secret", 2 },
		{ "a:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"
		    "RdescudvJCsgt3ub+b4dWRWJTmaaJObGRdescudvJCs:\n", "max-hash-memory", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct slice rest = slice_str(cases[i].text), line;
		struct buf why = BUF_INIT(512);
		struct users_check u;
		enum rc rc = RC_OK;

		users_check_init(&u, 16 << 20);
		while (rc == RC_OK && users_line_next(&rest, &line))
			rc = users_check_line(&u, line, &why);
		assert_int_equal(u.line, cases[i].line);
		assert_int_equal(rc == RC_OK, cases[i].why == NULL);
		if (cases[i].why != NULL && strstr(buf_cstr(&why), cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, buf_cstr(&why));
		users_check_free(&u);
		buf_free(&why);
	}
}

static void
many_users(void **state)
{
	struct buf why = BUF_INIT(512), line = BUF_INIT(64);
	struct users_check u;

	(void)state;
	users_check_init(&u, 16 << 20);
	for (unsigned i = 0; i < 10000; i++) {
		buf_clear(&line);
		assert_true(buf_printf(&line, "user%u:*:", i));
		assert_int_equal(users_check_line(&u, buf_slice(&line), &why), RC_OK);
	}
	for (unsigned i = 0; i < 10000; i += 777) {
		buf_clear(&line);
		assert_true(buf_printf(&line, "user%u:*:", i));
		assert_int_equal(users_check_line(&u, buf_slice(&line), &why), RC_EXISTS);
	}
	users_check_free(&u);
	buf_free(&why);
	buf_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram_vectors), cmocka_unit_test(preparation), cmocka_unit_test(whole_files),
		cmocka_unit_test(many_users), cmocka_unit_test(lines_both_ways),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
