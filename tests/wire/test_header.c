/* tests/wire/test_header.c -- headers in memory and as they stream by. */
#include "common/wire/header.h"
#include "tests/wire/check.h"

static void
fields_and_the_body(void **state)
{
	static const struct {
		const char *text;
		size_t fields, body;
		bool malformed;
	} cases[] = {
		{ "A: 1\r\nB: 2\r\n\r\nbody", 2, 14, false }, { "\r\nbody", 0, 2, false }, { "", 0, 0, false },
		{ "A: 1\r\n 2\r\n\t3\r\n\r\n", 1, 16, false },
		{ "A: 1\r\nno field\r\n", 1, 6, true }, { "no field\r\n\r\n", 0, 0, true }, { " A: 1\r\n\r\n", 0, 0, true },
		{ "A : 1\r\n\r\n", 1, 9, false },
		{ "A:\r\n\r\n", 1, 6, false }, { "A: 1\nB: 2\r\n\r\n", 1, 13, false }, { ": x\r\n", 0, 0, true },
		{ "A: 1", 1, 4, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice s = slice_str(cases[i].text);
		struct header_field f;
		struct header_iter it;
		struct header_watch w;

		header_begin(&it, s, true);
		while (header_next(&it, &f) == RC_OK)
			;
		if (it.n_fields != cases[i].fields || it.body != cases[i].body || it.malformed != cases[i].malformed)
			fail_msg("case %zu: %zu fields, body at %zu", i, it.n_fields, it.body);
		header_watch_init(&w);
		for (size_t at = 0; at < s.n; at++)
			header_watch_feed(&w, slice_first(slice_from(s, at), 1));
		header_watch_end(&w);
		assert_int_equal(w.n_fields, cases[i].fields);
		assert_int_equal(w.malformed, cases[i].malformed);
	}
}

static void
values_and_names(void **state)
{
	static const char text[] = "Received: a\r\nRECEIVED: b\r\nSubject:  one\r\n\ttwo \r\nMessage-ID:\r\n <1@x>\r\n\r\n"
	    "Received: body\r\n";
	struct slice s = slice_str(text);
	struct buf to = BUF_INIT(256);
	struct header_field f;
	struct header_watch w;

	(void)state;
	assert_int_equal(header_count(s, S("received")), 2);
	assert_int_equal(header_find(s, S("SUBJECT"), &f), RC_OK);
	assert_true(header_value_put(&to, f.value, 100));
	holds(&to, "one\ttwo");
	assert_true(header_value_put(&to, f.value, 2));
	holds(&to, "on");
	assert_int_equal(header_find(s, S("To"), &f), RC_NOTFOUND);
	header_watch_init(&w);
	header_watch_feed(&w, s);
	assert_true(w.ended);
	assert_int_equal(w.received, 2);
	assert_true(slice_eq(header_watch_id(&w), S("<1@x>")));
	buf_free(&to);
}

static void
a_header_has_an_end(void **state)
{
	struct buf big = BUF_INIT(1 << 20);
	struct header_watch w;

	(void)state;
	for (int n = HEADER_FIELDS_MAX; n <= HEADER_FIELDS_MAX + 1; n++) {
		buf_clear(&big);
		for (int i = 0; i < n; i++)
			(void)buf_put_str(&big, "A: b\r\n");
		header_watch_init(&w);
		header_watch_feed(&w, buf_slice(&big));
		assert_int_equal(w.too_long, n > HEADER_FIELDS_MAX);
	}
	for (size_t n = HEADER_BYTES_MAX; n <= HEADER_BYTES_MAX + 1; n++) {
		buf_clear(&big);
		(void)buf_put_str(&big, "A:");
		while (buf_len(&big) < n)
			(void)buf_put_byte(&big, 'x');
		header_watch_init(&w);
		header_watch_feed(&w, buf_slice(&big));
		assert_int_equal(w.too_long, n > HEADER_BYTES_MAX);
	}
	buf_free(&big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_the_body),
		cmocka_unit_test(values_and_names),
		cmocka_unit_test(a_header_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
