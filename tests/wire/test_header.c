/* tests/wire/test_header.c -- headers in memory and as they stream by. */
#include "common/wire/header.h"
#include "tests/fields.h"
#include "tests/wire/check.h"

#include <sys/mman.h>
#include <unistd.h>

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
	struct header_iter it;
	struct header_watch w;

	(void)state;
	assert_int_equal(fields_count(s, S("received")), 2);
	header_begin(&it, s, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(header_next(&it, &f), RC_OK);
	assert_true(slice_eq(f.name, S("Subject")));
	assert_true(header_value_put(&to, f.value, 100));
	holds(&to, "one\ttwo");
	assert_true(header_value_put(&to, f.value, 2));
	holds(&to, "on");
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

/* A name may be so long as a line; what is longer is no field, to either reader, however it comes. */
static void
names_have_an_end(void **state)
{
	static const struct {
		size_t name, gap;
		bool field;
	} cases[] = {
		{ HEADER_NAME_BYTES_MAX - 1, 0, true }, { HEADER_NAME_BYTES_MAX, 0, true },
		{ HEADER_NAME_BYTES_MAX + 1, 0, false }, { 1, HEADER_NAME_BYTES_MAX - 1, true },
		{ 1, HEADER_NAME_BYTES_MAX, false }, { 100000, 0, false }, { 1, 100000, false },
	};
	struct buf text = BUF_INIT(1 << 18);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_iter whole, grows;
		struct header_watch w;
		struct header_field f;
		size_t looks = 0;

		buf_clear(&text);
		for (size_t k = 0; k < cases[i].name; k++)
			(void)buf_put_byte(&text, 'N');
		for (size_t k = 0; k < cases[i].gap; k++)
			(void)buf_put_byte(&text, ' ');
		(void)buf_put_str(&text, ": value\r\n\r\n");
		header_begin(&whole, buf_slice(&text), true);
		assert_int_equal(header_next(&whole, &f), cases[i].field ? RC_OK : RC_NOTFOUND);
		assert_int_equal(whole.malformed, !cases[i].field);
		if (cases[i].field)
			assert_int_equal(f.name.n, cases[i].name);
		header_begin(&grows, S(""), false);
		while (header_next(&grows, &f) == RC_MORE)
			grows.in = slice_first(buf_slice(&text), ++looks);
		assert_int_equal(grows.malformed, !cases[i].field);
		assert_true(looks <= HEADER_NAME_BYTES_MAX + 20);
		header_watch_init(&w);
		for (size_t at = 0; at < buf_len(&text); at++)
			header_watch_feed(&w, slice_first(slice_from(buf_slice(&text), at), 1));
		header_watch_end(&w);
		assert_int_equal(w.n_fields, cases[i].field);
		assert_int_equal(w.malformed, !cases[i].field);
	}
	buf_free(&text);
}

/* A field that grows is read once: the pages that it has been read in are taken away, and it is none the wiser. What it costs to
 * send it in small pieces is then what it costs at one go. */
static void
nothing_is_read_again(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), all = HEADER_BYTES_MAX / page * page, start = page - 500;
	uint8_t *memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct header_iter it;
	struct header_field f;

	(void)state;
	assert_true(memory != MAP_FAILED);
	memset(memory, 'v', all);
	memory[start + HEADER_NAME_BYTES_MAX] = ':';
	memcpy(memory + all - 3, "\r\nA", 3);
	header_begin(&it, slice_of(memory + start, 0), false);
	for (size_t upto = start + 1; upto <= all; upto++) {
		/* The last byte may be half of a CRLF: it is looked at once more. */
		if (upto % page == 2)
			assert_int_equal(mprotect(memory, upto - 2, PROT_NONE), 0);
		it.in = slice_of(memory + start, upto - start);
		assert_int_equal(header_next(&it, &f), upto == all ? RC_OK : RC_MORE);
	}
	(void)munmap(memory, all);
}

/* shows: RFC6532 3/1, RFC6532 3.1/1 */
static void
utf8_is_told_from_other_bytes(void **state)
{
	static const struct {
		const char *text;
		bool utf8, malformed;
	} cases[] = {
		{ "A: a\r\n\r\n\xc3\xbc", false, false },			/* the body is none of it */
		{ "A: \xc3\xbc\r\n\r\n", true, false },
		{ "A: \xc3\xbc", true, false },					/* no body at all */
		{ "A: x\r\nB: \xe2\x82\xac\xf0\x9f\x93\xa7\r\n\r\n", true, false },
		{ "A: x\r\n \xe2\x82\xac\r\n\r\n", true, false },		/* in what is folded */
		{ "A: gr\xfc\xdf" "e\r\n\r\n", false, false },		/* Latin-1 */
		{ "A: \xfc\xc3\xbc\r\n\r\n", false, false },			/* both in one field: it is none */
		{ "A: \xc3\xbc\xbc\r\n\r\n", false, false },			/* a byte too many */
		{ "A: \xc3\r\n \xbc\r\n\r\n", false, false },		/* a letter does not go on in another line */
		{ "A: \xc3\r\nB: \xbc\r\n\r\n", false, false },
		{ "A: \xe2\x82\r\n\r\n", false, false },
		{ "A: \xe2\x82", false, false },
		{ "A: \xc0\xaf\r\n\r\n", false, false },			/* overlong */
		{ "A: \xed\xa0\x80\r\n\r\n", false, false },			/* a surrogate */
		{ "A: \xf4\x90\x80\x80\r\n\r\n", false, false },		/* above U+10FFFF */
		{ "A: \xf0\x9f\x93\xa7\x93\xa7\r\n\r\n", false, false },
		{ "A: \xfc\r\nB: \xc3\xbc\r\nC: \xfc\r\n\r\n", true, false }, /* each field by itself */
		{ "A: x\r\ngr\xc3\xbc: \xc3\xbc\r\n\r\n", false, true },	/* a name is ASCII, or none */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t step = 1; step < 40; step++) {
			struct slice s = slice_str(cases[i].text);
			struct header_watch w;

			header_watch_init(&w);
			for (size_t at = 0; at < s.n; at += step)
				header_watch_feed(&w, slice_first(slice_from(s, at), step));
			header_watch_end(&w);
			if (w.utf8 != cases[i].utf8 || w.malformed != cases[i].malformed)
				fail_msg("case %zu in steps of %zu", i, step);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_the_body),
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(values_and_names),
		cmocka_unit_test(a_header_has_an_end),
		cmocka_unit_test(names_have_an_end),
		cmocka_unit_test(nothing_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
