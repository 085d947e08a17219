/* tests/queue/test_index.c -- the ordered set and the timing wheel against slow, plain ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/message.h"
#include "queue/destination.h"

#include <stdlib.h>

enum { N = 20000, RANGE = 50000 };

static void
messages_stand_in_the_order_of_their_ids(void **state)
{
	struct message **there = calloc(RANGE, sizeof(struct message *));
	uint64_t random = 42;
	struct messages all;
	size_t count = 0;

	(void)state;
	assert_non_null(there);
	messages_init(&all);
	for (unsigned i = 0; i < 4 * N; i++) {
		uint64_t seq = random_next(&random) % RANGE;

		if (there[seq] == NULL) {
			there[seq] = message_new((struct msgid){ 9, 3, seq }, 1 + (uint32_t)(seq % 3));
			assert_true(messages_add(&all, there[seq]));
			assert_false(messages_add(&all, there[seq]));
			count++;
		} else {
			assert_ptr_equal(messages_find(&all, message_key((struct msgid){ 9, 3, seq })), there[seq]);
			messages_remove(&all, there[seq]);
			free(there[seq]);
			there[seq] = NULL;
			count--;
		}
		assert_int_equal(messages_count(&all), count);
	}
	struct message *m = messages_after(&all, 0);
	for (uint64_t seq = 0; seq < RANGE; seq++) {
		if (there[seq] == NULL)
			continue;
		assert_ptr_equal(m, there[seq]);
		assert_true(msgid_eq(message_id(m), (struct msgid){ 9, 3, seq }));
		m = messages_after(&all, m->key);
	}
	assert_null(m);
	for (uint64_t seq = 0; seq < RANGE; seq++)
		free(there[seq]);
	free(there);
}

static void
a_recipient_finds_its_message(void **state)
{
	struct message *m = message_new((struct msgid){ 1, 1, 1 }, 100);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(rcpt_message(&m->rcpts[i]), m);
	free(m);
	assert_null(message_new((struct msgid){ 1, 1, 1 }, 0));
	assert_null(message_new((struct msgid){ 1, 1, 1 }, MESSAGE_RCPTS_MAX + 1));
}

static void
names_are_kept_once(void **state)
{
	struct destinations all;
	struct destination *a, *b;

	(void)state;
	destinations_init(&all, 5);
	a = destination_get(&all, S("smtp"), S("a.test"));
	b = destination_get(&all, S("smt"), S("pa.test"));
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(destination_get(&all, S("smtp"), S("a.test")), a);
	assert_ptr_not_equal(destination_get(&all, S("smtp"), S("A.test")), a);
	assert_true(slice_eq(destination_name(a), S("smtp:a.test")));
	assert_true(slice_eq(destination_nexthop(a), S("a.test")));
	destination_free(&all, b);
	assert_null(destination_find(&all, S("smt"), S("pa.test")));
	destinations_free(&all);
}

/* Every element comes out once, not before its time, and not later than the first look after it. */
static void
the_wheel_keeps_time(void **state)
{
	struct due *all = calloc(N, sizeof *all);
	uint64_t random = 7;
	struct wheel w;
	uint32_t now = 1000, before = 1000;
	size_t left = 0;

	(void)state;
	wheel_init(&w, now);
	for (unsigned i = 0; i < N; i++) {
		unsigned bits = (unsigned)(random_next(&random) % 26);

		all[i].at = now + (uint32_t)(random_next(&random) & ((UINT64_C(1) << bits) - 1));
		wheel_add(&w, &all[i]);
		left++;
		if (i % 5 == 0) {
			wheel_remove(&w, &all[i]);
			left--;
		}
	}
	assert_int_equal(w.n, left);
	while (left > 0) {
		unsigned budget = 100;
		struct due *d;
		uint32_t next = wheel_next(&w);

		assert_int_not_equal(next, UINT32_MAX);
		before = now;
		if (next > now)
			now = next;
		now += (uint32_t)(random_next(&random) % 3 == 0 ? random_next(&random) % 5000 : 0);
		do {
			budget = 100;
			while ((d = wheel_take(&w, now, &budget)) != NULL) {
				assert_true(d->at <= now);
				assert_true(d->at > before || d->at <= 1000);
				assert_null(d->link.next);
				left--;
			}
		} while (budget == 0);
		assert_int_equal(w.n, left);
	}
	assert_int_equal(wheel_next(&w), UINT32_MAX);
	free(all);
}

static void
the_wheel_can_be_emptied_early(void **state)
{
	struct due d[3] = { { .at = 10 }, { .at = 5000 }, { .at = 2000000 } };
	unsigned budget = 1000;
	struct wheel w;

	(void)state;
	wheel_init(&w, 0);
	for (int i = 0; i < 3; i++)
		wheel_add(&w, &d[i]);
	assert_null(wheel_take(&w, 0, &budget));
	wheel_flush(&w);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(wheel_take(&w, 0, &budget), &d[i]);
	assert_null(wheel_take(&w, 0, &budget));
	wheel_add(&w, &d[0]);
	assert_null(wheel_take(&w, 0, &budget));
	assert_ptr_equal(wheel_take(&w, 10, &budget), &d[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_stand_in_the_order_of_their_ids),
		cmocka_unit_test(a_recipient_finds_its_message),
		cmocka_unit_test(names_are_kept_once),
		cmocka_unit_test(the_wheel_keeps_time),
		cmocka_unit_test(the_wheel_can_be_emptied_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
