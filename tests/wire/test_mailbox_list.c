/* tests/wire/test_mailbox_list.c -- the addresses in header fields. */
#include "common/wire/mailbox_list.h"
#include "tests/wire/check.h"

/* What it finds, separated by blanks, and how it ended. */
static void
read_list(const char *value, struct buf *to, enum rc *ret_rc)
{
	struct mailbox_list list;
	struct address a;

	mailbox_list_begin(&list, slice_str(value));
	while ((*ret_rc = mailbox_list_next(&list, &a)) == RC_OK) {
		if (buf_len(to) > 0)
			(void)buf_put_byte(to, ' ');
		(void)buf_put_slice(to, a.local);
		(void)buf_put_byte(to, '@');
		(void)buf_put_slice(to, a.domain);
	}
}

static const struct {
	const char *value, *found;
	enum rc rc;
} cases[] = {
	{ "", "", RC_NOTFOUND },
	{ " \r\n\t", "", RC_NOTFOUND },
	{ " a@b.c", "a@b.c", RC_NOTFOUND },
	{ "a@b.c, d@e.f", "a@b.c d@e.f", RC_NOTFOUND },
	{ ",, a@b.c,,d@e.f ,", "a@b.c d@e.f", RC_NOTFOUND },
	{ "A B <a@b.c>", "a@b.c", RC_NOTFOUND },
	{ "\"A, <x@y> \\\" B\" <a@b.c>", "a@b.c", RC_NOTFOUND },
	{ "John Q. Public <a@b.c>, x@y.z <d@e.f>", "a@b.c d@e.f", RC_NOTFOUND },
	{ "=?utf-8?q?=C3=A4?= <a@b.c>", "a@b.c", RC_NOTFOUND },
	{ "J\xfcrgen <a@b.c>", "a@b.c", RC_NOTFOUND },
	{ "a@b.c (one (two \\) three) four)", "a@b.c", RC_NOTFOUND },
	{ "(x) a (y) @ (z) b.c (w)", "a@b.c", RC_NOTFOUND },
	{ "a\r\n @b\r\n .c", "a@b.c", RC_NOTFOUND },
	{ "<a @ b . c>", "a@b.c", RC_NOTFOUND },
	{ "\"a b\"@c.d", "a b@c.d", RC_NOTFOUND },
	{ "<\"a@b\"@[192.0.2.1]>", "a@b@[192.0.2.1]", RC_NOTFOUND },
	{ "<@a.b,@c.d:e@f.g>", "e@f.g", RC_NOTFOUND },
	{ "undisclosed-recipients:;", "", RC_NOTFOUND },
	{ "A group:a@b.c,D <d@e.f>;, g@h.i", "a@b.c d@e.f g@h.i", RC_NOTFOUND },
	{ "a: b@c.d; e: f@g.h;", "b@c.d f@g.h", RC_NOTFOUND },
	{ "Foo [bar] <a@b.c>", "a@b.c", RC_NOTFOUND },
	{ "[boss@x.y]: a@b.c;", "", RC_SYNTAX },
	{ "a", "", RC_SYNTAX },
	{ "a b@c.d", "", RC_SYNTAX },
	{ "a@b.c d@e.f", "", RC_SYNTAX },
	{ "a@b.c; d@e.f", "", RC_SYNTAX },
	{ "<>", "", RC_SYNTAX },
	{ "A <a@b.c", "", RC_SYNTAX },
	{ "A <a@b.c> x", "", RC_SYNTAX },
	{ "A <a b@b.c>", "", RC_SYNTAX },
	{ "<a@b.c>>", "", RC_SYNTAX },
	{ "<<a@b.c>", "", RC_SYNTAX },
	{ "a@b.c (", "", RC_SYNTAX },
	{ "a@b.c )", "", RC_SYNTAX },
	{ "\"a@b.c", "", RC_SYNTAX },
	{ "a: b@c.d", "", RC_SYNTAX },
	{ "a: b: c@d.e;;", "", RC_SYNTAX },
	{ ": a@b.c;", "", RC_SYNTAX },
	{ "a@b.c,\\", "a@b.c", RC_SYNTAX },
	{ "a@b..c", "", RC_SYNTAX },
	{ "a@-b.c", "", RC_SYNTAX },
	{ "@b.c", "", RC_SYNTAX },
	{ "a@", "", RC_SYNTAX },
	{ "a@[", "", RC_SYNTAX },
	{ "<@a.b", "", RC_SYNTAX },
	/* Others would see more addresses in these than one. */
	{ "<@a>, boss@x.y, <x:e@f.g>", "", RC_SYNTAX },
	{ "\"B\" <@boss@x.y>, boss@x.y, <:e@f.g>", "", RC_SYNTAX },
	{ "<@a.b,c.d:e@f.g>", "", RC_SYNTAX },
	{ "<@a.b @c.d:e@f.g>", "", RC_SYNTAX },
	{ "boss@x.y:e@f.g;", "", RC_SYNTAX },
	{ "\"not@one\": e@f.g;", "e@f.g", RC_NOTFOUND },
	{ "<@a.b, @c.d : e@f.g>", "e@f.g", RC_NOTFOUND },
	{ "x (y", "", RC_SYNTAX },
	{ "x \\", "", RC_SYNTAX },
};

static void
lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf found = BUF_INIT(1024);
		enum rc rc;

		read_list(cases[i].value, &found, &rc);
		if (rc != cases[i].rc || !slice_eq(buf_slice(&found), slice_str(cases[i].found)))
			fail_msg("'%s': %s, '%s'", cases[i].value, rc_name(rc), buf_cstr(&found));
		buf_free(&found);
	}
}

/* A display name of any length is passed over; an address has its limit (RFC 5321 4.5.3.1). */
static void
long_words(void **state)
{
	struct buf value = BUF_INIT(1 << 20), found = BUF_INIT(1024);
	enum rc rc;

	(void)state;
	for (int i = 0; i < 100000; i++)
		(void)buf_put_byte(&value, 'x');
	(void)buf_put_str(&value, " <a@b.c>");
	read_list(buf_cstr(&value), &found, &rc);
	assert_int_equal(rc, RC_NOTFOUND);
	holds(&found, "a@b.c");
	buf_clear(&value);
	for (int i = 0; i < 300; i++)
		(void)buf_put_byte(&value, 'x');
	(void)buf_put_str(&value, "@b.c");
	read_list(buf_cstr(&value), &found, &rc);
	assert_int_equal(rc, RC_RANGE);
	buf_free(&value);
	buf_free(&found);
}

/* What stands before an address and looks like another. */
static void
names_that_deceive(void **state)
{
	static const struct {
		const char *in;
		bool deceives;
	} rows[] = {
		{ "boss@x.y <a@b.c>", true }, { "The boss boss@x.y <a@b.c>", true }, { "boss @ x.y<a@b.c>", true },
		{ "\"boss\"@x.y <a@b.c>", true }, { "boss@x.y (it is I) <a@b.c>", true }, { "friends: boss@x.y <a@b.c>;", true },
		{ "a@b.c <a@b.c>", false }, { "A@B.c \t<a@b.c>", false }, { "a@b.c boss@x.y <a@b.c>", true },
		{ "@ <a@b.c>", true },
		{ "\"boss@x.y\" <a@b.c>", false }, { "=?utf-8?q?boss=40x.y?= <a@b.c>", false },
		{ "a@b.c (boss@x.y)", false },
		{ "<a@b.c>", false }, { "a@b.c", false }, { "(boss@x.y) <a@b.c>", false }, { "J. Q. Public <a@b.c>", false },
	};
	struct mailbox_list list;
	struct buf in = BUF_INIT(8192);
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		mailbox_list_begin(&list, slice_str(rows[i].in));
		assert_int_equal(mailbox_list_next(&list, &a), RC_OK);
		if (mailbox_list_name_deceives(&list) != rows[i].deceives)
			fail_msg("%s", rows[i].in);
		assert_int_equal(mailbox_list_next(&list, &a), RC_NOTFOUND);
	}
	/* Behind more than is kept. */
	for (int i = 0; i < 4000; i++)
		(void)buf_put_str(&in, i % 40 == 0 ? " " : "x");
	(void)buf_put_str(&in, " boss@x.y <a@b.c>");
	mailbox_list_begin(&list, buf_slice(&in));
	assert_int_equal(mailbox_list_next(&list, &a), RC_OK);
	assert_true(mailbox_list_name_deceives(&list));
	/* One that does not is not blamed for the one before it. */
	mailbox_list_begin(&list, S("boss@x.y <a@b.c>, d@e.f"));
	assert_int_equal(mailbox_list_next(&list, &a), RC_OK);
	assert_true(mailbox_list_name_deceives(&list));
	assert_int_equal(mailbox_list_next(&list, &a), RC_OK);
	assert_false(mailbox_list_name_deceives(&list));
	buf_free(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(long_words),
		cmocka_unit_test(names_that_deceive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
