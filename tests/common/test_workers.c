/* tests/common/test_workers.c -- threads for what takes long: how much of the processor they leave to others. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/workers.h"

#include <unistd.h>

enum { WORK_MS = 5, THREADS = 2, SHARE = 20 };	/* when too many wait: one part in so many, of one processor */

static const struct workers_kind kind = { .nice = 10, .overload_share = 100 / SHARE };
static unsigned n_done;

static void
run(struct work *w)
{
	(void)w;
	(void)usleep(WORK_MS * 1000);
}

static void
done(struct work *w)
{
	(void)w;
	n_done++;
}

/* How long do three rounds of work take all threads? */
static uint64_t
three_rounds(bool overloaded)
{
	struct work work[3 * THREADS], one_too_many = { .run = run, .done = done };
	struct loop *loop = loop_new();
	struct workers *w = NULL;
	uint64_t began;

	n_done = 0;
	assert_int_equal(workers_start(&kind, THREADS, &w), RC_OK);
	workers_attach(w, loop);
	began = clock_monotonic_ms();
	if (overloaded)
		assert_int_equal(workers_submit(w, &one_too_many, 0), RC_AGAIN);
	for (unsigned i = 0; i < 3 * THREADS; i++) {
		work[i] = (struct work){ .run = run, .done = done };
		assert_int_equal(workers_submit(w, &work[i], 100), RC_OK);
	}
	while (n_done < 3 * THREADS)
		loop_turn(loop, true);
	began = clock_monotonic_ms() - began;
	workers_stop(w);
	loop_free(loop);
	return began;
}

static void
all_threads_together_leave_the_processor_to_others(void **state)
{
	uint64_t alone = three_rounds(false), overloaded = three_rounds(true);

	(void)state;
	/* All but the last round are followed by a rest: for each thread so many times what it has worked. */
	assert_true(overloaded >= 2 * WORK_MS * (THREADS * SHARE - 1));
	assert_true(alone < overloaded);
}

/* --- who goes first --- */

struct letter {
	struct work work;
	char name;
};

static _Atomic bool held_up;
static char order[16];		/* in which they ran */
static _Atomic unsigned n_ran;

static void
write_down(struct work *w)
{
	order[n_ran++] = ((struct letter *)(void *)w)->name;
	while (held_up)
		(void)usleep(200);
}

static void
early_ones_go_before_the_others_and_have_a_limit(void **state)
{
	struct letter l[8] = { { .name = 'x' } };
	struct loop *loop = loop_new();
	struct workers *w = NULL;

	(void)state;
	n_done = 0;
	held_up = true;
	for (unsigned i = 0; i < 8; i++)
		l[i] = (struct letter){ { .run = write_down, .done = done }, "xabCDEcd"[i] };
	assert_int_equal(workers_start(&kind, 1, &w), RC_OK);
	workers_attach(w, loop);
	assert_int_equal(workers_submit(w, &l[0].work, 1), RC_OK);
	while (n_ran == 0)
		(void)usleep(200);
	assert_int_equal(workers_submit(w, &l[1].work, 2), RC_OK);
	assert_int_equal(workers_submit(w, &l[2].work, 2), RC_OK);
	/* How many others wait is nothing to them; how many of their own do is. */
	assert_int_equal(workers_submit_early(w, &l[3].work, 2), RC_OK);
	assert_int_equal(workers_submit_early(w, &l[4].work, 2), RC_OK);
	assert_int_equal(workers_submit_early(w, &l[6].work, 2), RC_AGAIN);
	workers_submit_first(w, &l[5].work);
	/* One that is taken back leaves its place to another. */
	assert_true(workers_take_back(w, &l[4].work));
	assert_int_equal(workers_submit_early(w, &l[6].work, 2), RC_AGAIN);
	assert_int_equal(workers_submit_early(w, &l[6].work, 3), RC_OK);
	/* Behind all, and it finds the end of the line. */
	assert_int_equal(workers_submit(w, &l[7].work, 6), RC_OK);
	held_up = false;
	while (n_done < 7)
		loop_turn(loop, true);
	assert_string_equal(order, "xECcabd");
	workers_stop(w);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_together_leave_the_processor_to_others),
		cmocka_unit_test(early_ones_go_before_the_others_and_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
