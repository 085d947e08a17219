/* tests/vault/test_workers.c -- threads for what takes long: how much of the processor they leave to others. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/clock.h"
#include "vault/auth_workers.h"

#include <unistd.h>

enum { WORK_MS = 5, THREADS = 2, SHARE = 20 };	/* when too many wait: one part in so many, of one processor */

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
	assert_int_equal(workers_start(THREADS, &w), RC_OK);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_together_leave_the_processor_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
