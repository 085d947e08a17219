/* tests/common/test_idn.c -- one domain, however it was written (IDNA 2008). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/idn.h"
#include "common/wire/domain.h"

#include <stdio.h>
#include <string.h>

static void
is(const char *domain, enum rc rc, const char *ascii)
{
	struct buf b = BUF_INIT(512);
	enum rc got = idn_domain_put(&b, slice_str(domain));

	if (got != rc)
		(void)fprintf(stderr, "%s: %s\n", domain, rc_name(got));
	assert_int_equal(got, rc);
	if (rc == RC_OK)
		assert_string_equal(buf_cstr(&b), ascii);
	else
		assert_int_equal(buf_len(&b), 0);
	buf_free(&b);
}

static void
forms_of_one_name(void **state)
{
	(void)state;
	is("Example.ORG", RC_OK, "example.org");
	is("b\xc3\xbc" "cher.example", RC_OK, "xn--bcher-kva.example");
	is("B\xc3\x9c" "CHER.example", RC_OK, "xn--bcher-kva.example");
	is("bu\xcc\x88" "cher.example", RC_OK, "xn--bcher-kva.example");		/* decomposed */
	is("xn--bcher-kva.EXAMPLE", RC_OK, "xn--bcher-kva.example");
	is("XN--BCHER-KVA.example", RC_OK, "xn--bcher-kva.example");
	is("b\xc3\xbc" "cher\xe3\x80\x82" "example", RC_OK, "xn--bcher-kva.example");	/* the full stop of CJK */
	is("\xef\xbd\x85xample.org", RC_OK, "example.org");			/* full width */
	/* Not transitional: these are letters of their own. */
	is("stra\xc3\x9f" "e.example", RC_OK, "xn--strae-oqa.example");
	is("\xd9\x85\xd8\xab\xd8\xa7\xd9\x84.example", RC_OK, "xn--mgbh0fb.example");
}

static void
no_names(void **state)
{
	char text[1200];

	(void)state;
	is("", RC_SYNTAX, NULL);
	is("b\xfc" "cher.example", RC_SYNTAX, NULL);				/* no UTF-8 */
	is("a\xe2\x80\xae" "b.example", RC_SYNTAX, NULL);			/* right to left override */
	is("\xc3\xbc..example", RC_SYNTAX, NULL);
	is("\xc3\xbc example", RC_SYNTAX, NULL);
	is("\xc3\xbc/x.example", RC_SYNTAX, NULL);
	is("-\xc3\xbc.example", RC_SYNTAX, NULL);
	is("\xe2\x98\x83.example", RC_SYNTAX, NULL);				/* a snowman is no letter (IDNA 2008) */
	for (size_t i = 0; i + 2 < 200; i += 2)
		memcpy(text + i, "\xc3\xbc", 3);
	is(text, RC_RANGE, NULL);						/* a label too long */
	for (size_t i = 0; i + 3 < sizeof text; i += 3)
		memcpy(text + i, "\xc3\xbc.", 4);
	is(text, RC_RANGE, NULL);
}

static void
shown(const char *domain, const char *unicode)
{
	struct buf b = BUF_INIT(1200);

	assert_true(idn_unicode_put(&b, slice_str(domain)));
	assert_string_equal(buf_cstr(&b), unicode);
	buf_free(&b);
}

static void
for_people(void **state)
{
	char text[DOMAIN_MAX + 20] = "";
	struct buf b = BUF_INIT(4);

	(void)state;
	shown("xn--bcher-kva.example", "b\xc3\xbc" "cher.example");
	shown("XN--BCHER-KVA.Example", "b\xc3\xbc" "cher.example");
	shown("Example.ORG", "Example.ORG");
	shown("", "");
	shown("[192.0.2.1]", "[192.0.2.1]");
	/* Not what they seem: no A-labels, or of names that IDNA does not have. */
	shown("xn--.example", "xn--.example");
	shown("xn--zzzzzzzz-.example", "xn--zzzzzzzz-.example");
	shown("xn--n3h.example", "xn--n3h.example");				/* the snowman */
	shown("xn--bcher-kva.ex ample", "xn--bcher-kva.ex ample");
	/* Four labels of 55 times the same letter are longer than a domain when written out. */
	for (size_t i = 0; i < 4; i++) {
		struct buf label = BUF_INIT(DOMAIN_MAX);
		char letters[3 * 50 + 1];

		for (size_t k = 0; k < 50; k++)
			memcpy(letters + 3 * k, "\xe4\xb8\xad", 4);
		assert_int_equal(idn_domain_put(&label, slice_str(letters)), RC_OK);
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? "." : "", buf_cstr(&label));
		buf_free(&label);
	}
	shown(text, text);
	memset(text, 'a', sizeof text - 1);
	shown(text, text);							/* no domain at all */
	assert_false(idn_unicode_put(&b, S("example")));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_one_name),
		cmocka_unit_test(no_names),
		cmocka_unit_test(for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
