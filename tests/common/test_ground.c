/* tests/common/test_ground.c -- what everything stands on: buffers with a ceiling, the loop's timers and chores. */
#include "common/clock.h"
#include "common/loop.h"
#include "tests/wire/check.h"

#include <unistd.h>

static void
a_buffer_keeps_its_ceiling(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	assert_true(buf_put_str(&b, "12345"));
	assert_true(buf_put_str(&b, "67890"));
	assert_int_equal(buf_room(&b), 0);
	assert_in_range(b.cap, 10, 11);		/* no memory that it could never use */
	assert_false(buf_put_byte(&b, 'x'));
	assert_true(b.failed);
	assert_int_equal(buf_len(&b), 10);	/* as it was */
	buf_consume(&b, 4);
	assert_false(buf_put_byte(&b, 'x'));	/* it sticks */
	b.failed = false;
	assert_true(buf_put_str(&b, "abcd"));
	assert_string_equal(buf_cstr(&b), "567890abcd");
	buf_clear(&b);
	assert_false(buf_printf(&b, "%s", "eleven chars"));
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_clear(&b);
	assert_true(buf_put(&b, NULL, 0));
	assert_string_equal(buf_cstr(&b), "");
	buf_free(&b);
}

static void
a_reader_cannot_run_past_the_end(void **state)
{
	struct rd r = { S("\2\0\0\0ab\1"), false };

	(void)state;
	assert_true(slice_eq(rd_str(&r), S("ab")));
	assert_false(rd_end(&r));
	assert_int_equal(rd_u16(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0);	/* bad sticks */
	r = (struct rd){ S("\xff\xff\xff\xff""a"), false };
	assert_int_equal(rd_str(&r).n, 0);
	assert_true(r.bad);
}

static void
words_and_blanks(void **state)
{
	static const struct slice blanks = SLICE(" \t"), commas = SLICE(" ,");
	struct slice rest = S(", one,two ,\0three,, "), word;

	(void)state;
	assert_true(slice_eq(slice_trim(S(" \t a b\t "), blanks), S("a b")));
	assert_true(slice_eq(slice_trim(S("\0 "), blanks), S("\0")));	/* NUL is a byte, and no blank */
	assert_int_equal(slice_trim(S(" \t "), blanks).n, 0);
	assert_int_equal(slice_trim(slice_of(NULL, 0), blanks).n, 0);
	assert_true(slice_word(&rest, commas, &word) && slice_eq(word, S("one")));
	assert_true(slice_word(&rest, commas, &word) && slice_eq(word, S("two")));
	assert_true(slice_word(&rest, commas, &word) && slice_eq(word, S("\0three")));
	assert_false(slice_word(&rest, commas, &word));
	assert_int_equal(word.n, 0);
	assert_int_equal(rest.n, 0);
	rest = slice_of(NULL, 0);
	assert_false(slice_word(&rest, commas, &word));
}

struct tally {
	struct chore chores[3];
	char order[16];
	size_t n;
};

static void
note(struct chore *c, void *ctx)
{
	struct tally *t = ctx;

	t->order[t->n++] = (char)('0' + (c - t->chores));
	if (c == &t->chores[0] && t->n == 1) {
		chore_cancel(&t->chores[1]);	/* of this turn */
		chore_queue(&t->chores[0]);	/* for the next */
	}
}

static void
chores_run_once_and_in_order(void **state)
{
	struct loop *loop = loop_new();
	struct tally t = { .n = 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(t.chores); i++) {
		chore_setup(&t.chores[i], loop, note, &t);
		chore_queue(&t.chores[i]);
		chore_queue(&t.chores[i]);
	}
	loop_turn(loop, false);
	assert_string_equal(t.order, "02");
	loop_turn(loop, true);	/* does not wait for an event: a chore is queued */
	assert_string_equal(t.order, "020");
	chore_queue(&t.chores[1]);
	chore_queue(&t.chores[2]);
	chore_cancel(&t.chores[2]);
	chore_queue(&t.chores[0]);	/* behind the one that was last */
	loop_turn(loop, false);
	assert_string_equal(t.order, "02010");
	loop_free(loop);
}

static void
count(struct timer *timer, void *ctx)
{
	(void)timer;
	++*(int *)ctx;
}

static void
on_pipe(struct watch *w, bool readable, bool writable, void *ctx)
{
	char c;

	(void)writable;
	assert_true(readable);
	assert_int_equal(read(w->fd, &c, 1), 1);
	++*(int *)ctx;
}

static void
timers_and_descriptors(void **state)
{
	struct loop *loop = loop_new();
	struct timer soon = { .fn = NULL }, never = { .fn = NULL };
	struct watch w;
	int fired = 0, read_times = 0, fds[2];

	(void)state;
	timer_cancel(&never);	/* a zeroed one is valid and idle */
	assert_false(timer_pending(&never));
	timer_setup(&soon, loop, count, &fired);
	timer_setup(&never, loop, count, &fired);
	timer_start(&soon, 1);
	timer_start(&never, 1);
	timer_cancel(&never);
	assert_true(timer_pending(&soon));
	loop_turn(loop, true);
	assert_int_equal(fired, 1);
	assert_false(timer_pending(&soon));
	assert_int_equal(pipe(fds), 0);
	watch_init(&w, loop, fds[0], on_pipe, &read_times);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	loop_turn(loop, false);
	assert_int_equal(read_times, 0);	/* nothing is waited for yet */
	watch_set(&w, true, false);
	loop_turn(loop, false);
	loop_turn(loop, false);
	assert_int_equal(read_times, 2);	/* level-triggered */
	watch_stop(&w);
	(void)close(fds[0]);
	(void)close(fds[1]);
	loop_free(loop);
}

enum { GATHER_MS = 20, TURNS = 5 };

/* It is always readable. */
static void
on_same_pipe(struct watch *w, bool readable, bool writable, void *ctx)
{
	(void)readable, (void)writable;
	if (++*(int *)ctx == TURNS)
		loop_stop(w->loop);
}

static void
a_loop_that_gathers_sleeps_between_its_turns(void **state)
{
	struct loop *loop = loop_new();
	uint64_t began = clock_monotonic_ms();
	struct watch w;
	int turns = 0, fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a", 1), 1);
	watch_init(&w, loop, fds[0], on_same_pipe, &turns);
	watch_set(&w, true, false);
	loop_gather(loop, GATHER_MS);
	loop_run(loop);
	assert_int_equal(turns, TURNS);
	assert_true(clock_monotonic_ms() - began >= (TURNS - 1) * GATHER_MS);
	watch_stop(&w);
	(void)close(fds[0]);
	(void)close(fds[1]);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_keeps_its_ceiling),
		cmocka_unit_test(a_reader_cannot_run_past_the_end),
		cmocka_unit_test(words_and_blanks),
		cmocka_unit_test(chores_run_once_and_in_order),
		cmocka_unit_test(timers_and_descriptors),
		cmocka_unit_test(a_loop_that_gathers_sleeps_between_its_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
