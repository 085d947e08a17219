/* tests/common/test_counts.c -- what client networks did, counted by several processes in shared memory. */
#include "common/counts.h"
#include "tests/wire/check.h"

#include <signal.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = COUNTS_ROWS_MIN, TABLES = 3, MINUTE = 60 * 1000 };

static const struct hash_key key = { "0123456789abcde" };

static struct ip_net
net(const char *text)
{
	struct ip_net n;

	assert_int_equal(ip_net_parse(slice_str(text), &n), RC_OK);
	return n;
}

static struct ip_net
numbered(uint32_t i)
{
	return (struct ip_net){ { 4, { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } }, 32 };
}

static uint8_t *
memory_new(void)
{
	size_t size = counts_size(ROWS, TABLES);
	uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	counts_format(memory, ROWS, TABLES, &key);
	return memory;
}

static void
memory_free(uint8_t *memory)
{
	assert_int_equal(munmap(memory, counts_size(ROWS, TABLES)), 0);
}

static void
open_as(struct counts *c, uint8_t *memory, uint32_t index)
{
	assert_int_equal(counts_open(c, memory + counts_offset(ROWS, index), memory, counts_size(ROWS, TABLES), index), RC_OK);
}

static struct counts_row *
row_of(struct counts *c, struct ip_net n)
{
	struct counts_row *row = counts_row(c, n, counts_hash(c, n), 100);

	assert_non_null(row);
	return row;
}

static uint32_t
rate(const struct counts *c, struct ip_net n, enum count_kind kind, uint64_t ms)
{
	return counts_rate(c, n, counts_hash(c, n), kind, counts_time(ms, MINUTE));
}

static void
a_count_is_the_sum_of_all_processes(void **state)
{
	uint8_t *memory = memory_new();
	struct ip_net n = net("192.0.2.7"), other = net("192.0.2.8");
	struct counts a, b;

	(void)state;
	open_as(&a, memory, 0);
	open_as(&b, memory, 2);
	counts_add(row_of(&a, n), COUNT_ERROR, 3, 5);
	counts_add(row_of(&b, n), COUNT_ERROR, 4, 5);
	counts_add(row_of(&b, n), COUNT_MESSAGE, 1, 5);
	counts_sessions(&a, row_of(&a, n), 2);
	counts_sessions(&b, row_of(&b, n), 5);
	assert_int_equal(rate(&a, n, COUNT_ERROR, 5 * MINUTE), 7);
	assert_int_equal(rate(&b, n, COUNT_ERROR, 5 * MINUTE), 7);
	assert_int_equal(rate(&a, n, COUNT_MESSAGE, 5 * MINUTE), 1);
	assert_int_equal(rate(&a, other, COUNT_ERROR, 5 * MINUTE), 0);
	assert_int_equal(counts_all_sessions(&a, n, counts_hash(&a, n)), 7);
	assert_int_equal(counts_all_sessions(&a, other, counts_hash(&a, other)), 0);
	assert_int_equal(counts_last_good(&a, n, counts_hash(&a, n)), 0);
	counts_good(row_of(&b, n), 77);
	assert_int_equal(counts_last_good(&a, n, counts_hash(&a, n)), 77);
	memory_free(memory);
}

/* Who only looks sees each network once that is not idle, with what all processes say. */
static void
a_listing_has_each_network_once(void **state)
{
	uint8_t *memory = memory_new();
	const struct counts_time t = counts_time(5 * MINUTE, MINUTE);
	struct counts a, b, looks;
	struct counts_view v;
	unsigned n = 0;

	(void)state;
	open_as(&a, memory, 0);
	open_as(&b, memory, 2);
	counts_add(row_of(&a, net("192.0.2.7")), COUNT_ERROR, 3, 5);
	counts_add(row_of(&b, net("192.0.2.7")), COUNT_ERROR, 4, 5);
	counts_sessions(&b, row_of(&b, net("192.0.2.7")), 2);
	(void)row_of(&a, net("192.0.2.8"));		/* idle here, busy there */
	counts_add(row_of(&b, net("192.0.2.8")), COUNT_MESSAGE, 1, 5);
	(void)row_of(&a, net("192.0.2.9"));		/* idle */
	counts_add(row_of(&b, net("2001:db8::/64")), COUNT_CONNECTION, 1, 2);	/* long ago */
	assert_int_equal(counts_look(&looks, memory, counts_size(ROWS, TABLES) - 1), RC_SYNTAX);
	assert_int_equal(counts_look(&looks, memory, counts_size(ROWS, TABLES)), RC_OK);
	for (uint32_t table = 0; table < TABLES; table++)
		for (uint32_t row = 0; row < ROWS; row++) {
			if (!counts_view(&looks, table, row, t, &v) || !counts_sum(&looks, table, t, &v))
				continue;
			n++;
			if (ip_eq(v.net.ip, net("192.0.2.7").ip)) {
				assert_int_equal(v.rates[COUNT_ERROR], 7);
				assert_int_equal(v.sessions, 2);
			} else {
				assert_true(ip_eq(v.net.ip, net("192.0.2.8").ip));
				assert_int_equal(v.rates[COUNT_MESSAGE], 1);
			}
		}
	assert_int_equal(n, 2);
	memory_free(memory);
}

/* What a network has done fades away evenly in the interval after. */
static void
a_count_fades(void **state)
{
	struct ip_net n = net("2001:db8::/64");
	struct counts c;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	counts_add(row_of(&c, n), COUNT_CONNECTION, 100, 5);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 6 * MINUTE - 1), 100);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 6 * MINUTE), 100);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 6 * MINUTE + MINUTE / 2), 50);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 7 * MINUTE - 1), 0);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 7 * MINUTE), 0);
	counts_add(row_of(&c, n), COUNT_CONNECTION, 10, 6);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 6 * MINUTE + MINUTE / 2), 60);
	/* Another kind begins its interval with this one. */
	counts_add(row_of(&c, n), COUNT_ERROR, 1, 8);
	assert_int_equal(rate(&c, n, COUNT_CONNECTION, 8 * MINUTE), 0);
	counts_close(&c);
}

static void
a_count_never_overflows(void **state)
{
	struct ip_net n = net("192.0.2.7");
	struct counts c;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	counts_add(row_of(&c, n), COUNT_ERROR, UINT32_MAX - 1, 5);
	counts_add(row_of(&c, n), COUNT_ERROR, 10, 5);
	assert_int_equal(rate(&c, n, COUNT_ERROR, 5 * MINUTE), UINT32_MAX);
	counts_close(&c);
}

/* Its sessions are gone with it; what its clients did is remembered. */
static void
a_process_that_died_has_no_sessions(void **state)
{
	uint8_t *memory = memory_new();
	struct ip_net n = net("192.0.2.7");
	struct counts a, b;

	(void)state;
	open_as(&a, memory, 0);
	open_as(&b, memory, 1);
	counts_sessions(&b, row_of(&b, n), 9);
	counts_add(row_of(&b, n), COUNT_FAILED_LOGIN, 9, 5);
	assert_int_equal(counts_all_sessions(&a, n, counts_hash(&a, n)), 9);
	open_as(&b, memory, 1);
	assert_int_equal(counts_all_sessions(&a, n, counts_hash(&a, n)), 0);
	assert_int_equal(rate(&a, n, COUNT_FAILED_LOGIN, 5 * MINUTE), 9);
	(void)row_of(&b, n);
	assert_int_equal(counts_all_sessions(&a, n, counts_hash(&a, n)), 0);
	memory_free(memory);
}

static void
a_row_with_sessions_stays(void **state)
{
	struct ip_net n = net("192.0.2.7");
	struct counts_row *row;
	struct counts c;
	unsigned without = 0;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	row = row_of(&c, n);
	counts_sessions(&c, row, 1);
	for (uint32_t i = 0; i < 100 * ROWS; i++)
		(void)counts_row(&c, numbered(i), counts_hash(&c, numbered(i)), 200 + i);
	assert_ptr_equal(row, row_of(&c, n));

	/* When every row of a set has sessions, a new network gets none. */
	for (uint32_t i = 0; i < 100 * ROWS; i++) {
		row = counts_row(&c, numbered(i), counts_hash(&c, numbered(i)), 300);
		if (row == NULL)
			without++;
		else
			counts_sessions(&c, row, 1);
	}
	assert_true(without > 98 * ROWS && without <= 99 * ROWS + 1);
	counts_close(&c);
}

/* The least recently seen goes first. */
static void
the_oldest_makes_room(void **state)
{
	struct ip_net n = net("192.0.2.7");
	struct counts c;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	counts_add(row_of(&c, n), COUNT_ERROR, 5, 5);
	for (uint32_t i = 0; i < 20 * ROWS; i++) {
		(void)counts_row(&c, numbered(i), counts_hash(&c, numbered(i)), 200 + i);
		(void)counts_row(&c, n, counts_hash(&c, n), 200 + i);
	}
	assert_int_equal(rate(&c, n, COUNT_ERROR, 5 * MINUTE), 5);
	for (uint32_t i = 0; i < 20 * ROWS; i++)
		(void)counts_row(&c, numbered(i), counts_hash(&c, numbered(i)), 300 + 20 * ROWS);
	assert_int_equal(rate(&c, n, COUNT_ERROR, 5 * MINUTE), 0);
	counts_close(&c);
}

static void
networks_of_different_length_are_different(void **state)
{
	struct ip_net a = net("10.0.0.0/8"), b = net("10.0.0.0/16");
	struct counts c;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	counts_add(row_of(&c, a), COUNT_ERROR, 5, 5);
	assert_int_equal(rate(&c, b, COUNT_ERROR, 5 * MINUTE), 0);
	counts_close(&c);
}

static void
foreign_memory_is_refused(void **state)
{
	uint8_t *memory = memory_new();
	size_t size = counts_size(ROWS, TABLES);
	uint32_t rows, tables;
	struct counts c;

	(void)state;
	assert_true(counts_shape(memory, size, &rows, &tables));
	assert_int_equal(rows, ROWS);
	assert_int_equal(tables, TABLES);
	assert_false(counts_shape(memory, size - 1, &rows, &tables));
	assert_false(counts_shape(memory, 10, &rows, &tables));
	assert_int_equal(counts_open(&c, memory + counts_offset(ROWS, 0), memory, size, TABLES), RC_SYNTAX);
	for (unsigned i = 0; i < 12 * 8; i++) {
		memory[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(!counts_shape(memory, size, &rows, &tables) || counts_size(rows, tables) <= size);
		memory[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	memory_free(memory);
}

static void
rows_are_enough_for_the_sessions(void **state)
{
	(void)state;
	assert_int_equal(counts_rows_for(1), COUNTS_ROWS_MIN);
	assert_int_equal(counts_rows_for(10000), 65536);
	assert_int_equal(counts_rows_for(16384), 65536);
	assert_int_equal(counts_rows_for(16385), 131072);
	assert_int_equal(counts_rows_for(UINT64_MAX), COUNTS_ROWS_MAX);
}

/* A reader sees a network's own numbers or nothing, while the owner gives its rows to others as fast as it can. */
static void
a_reader_never_sees_a_mixture(void **state)
{
	uint8_t *memory = memory_new();
	struct counts reader;
	unsigned seen = 0;
	pid_t writer = fork();
	int status;

	(void)state;
	assert_true(writer >= 0);
	if (writer == 0) {
		struct counts c;

		open_as(&c, memory, 0);
		for (uint32_t i = 0;; i++) {
			uint32_t n = i * 2654435761u % (8 * ROWS);
			struct counts_row *row = counts_row(&c, numbered(n), counts_hash(&c, numbered(n)), i);

			/* Everything that is ever counted for network n is n + 1. */
			if (row != NULL && atomic_load(&row->good) == 0)
				counts_good(row, n + 1);
		}
	}
	open_as(&reader, memory, 1);
	for (uint32_t i = 0; i < 2000 * 1000; i++) {
		uint32_t n = i % (8 * ROWS), good = counts_last_good(&reader, numbered(n), counts_hash(&reader, numbered(n)));

		assert_true(good == 0 || good == n + 1);
		seen += good != 0;
	}
	assert_int_equal(kill(writer, SIGKILL), 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_true(seen > 0);
	memory_free(memory);
}

/* THREATS 66: ten million networks, and not one byte more. */
static void
memory_does_not_grow(void **state)
{
	struct counts c;
	struct counts_row *row;
	uint8_t *first, *end;

	(void)state;
	assert_int_equal(counts_alone(&c, ROWS, &key), RC_OK);
	first = (uint8_t *)c.own;
	end = first + counts_table_size(ROWS);
	for (uint32_t i = 0; i < 10 * 1000 * 1000; i++) {
		row = counts_row(&c, numbered(i), counts_hash(&c, numbered(i)), i);
		assert_true((uint8_t *)row >= first && (uint8_t *)(row + 1) <= end);
	}
	counts_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_is_the_sum_of_all_processes),
		cmocka_unit_test(a_listing_has_each_network_once),
		cmocka_unit_test(a_count_fades),
		cmocka_unit_test(a_count_never_overflows),
		cmocka_unit_test(a_process_that_died_has_no_sessions),
		cmocka_unit_test(a_row_with_sessions_stays),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(networks_of_different_length_are_different),
		cmocka_unit_test(foreign_memory_is_refused),
		cmocka_unit_test(rows_are_enough_for_the_sessions),
		cmocka_unit_test(a_reader_never_sees_a_mixture),
		cmocka_unit_test(memory_does_not_grow),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
