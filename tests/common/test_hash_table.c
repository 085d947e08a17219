/* tests/common/test_hash_table.c -- the table of names and networks: what it finds while it grows, bit by bit. */
#include "tests/wire/check.h"

#include "common/hash_table.h"

enum { MANY = 100000 };

struct item {
	struct hash_entry entry;
	unsigned number, walked;
};

static struct hash_table table;
static struct item items[MANY];

static uint64_t
hash_of(unsigned number)
{
	return keyed_hash(&table.key, slice_of(&number, sizeof number));
}

static struct item *
find(unsigned number)
{
	struct hash_entry *e = hash_table_find(&table, hash_of(number));

	while (e != NULL && ((struct item *)e)->number != number)
		e = hash_entry_next(e);
	return (struct item *)e;
}

static void
add(unsigned number)
{
	items[number] = (struct item){ .number = number };
	hash_table_add(&table, &items[number].entry, hash_of(number));
}

static unsigned given_back;

static void
count(struct hash_entry *e)
{
	((struct item *)e)->number = MANY;
	given_back++;
}

static int
setup(void **state)
{
	(void)state;
	hash_table_init(&table);
	given_back = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	hash_table_clear(&table, count);
	return 0;
}

static void
an_empty_one_has_nothing(void **state)
{
	(void)state;
	assert_null(find(0));
	assert_null(hash_table_walk(&table, NULL));
	hash_table_clear(&table, count);
	assert_int_equal(given_back, 0);
}

/* At every size around the edges of its blocks. */
static void
all_are_found_while_it_grows_and_empties(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1100; i++) {
		add(i);
		for (unsigned k = 0; k <= i; k++)
			assert_ptr_equal(find(k), &items[k]);
		assert_null(find(i + 1));
		assert_int_equal(table.n, i + 1);
	}
	for (unsigned i = 0; i < 1100; i++) {
		hash_table_remove(&table, &items[(i * 7) % 1100].entry);
		for (unsigned k = 0; k < 1100; k += 13) {
			bool gone = false;

			for (unsigned j = 0; j <= i; j++)
				gone |= (j * 7) % 1100 == k;
			assert_ptr_equal(find(k), gone ? NULL : &items[k]);
		}
	}
	assert_int_equal(table.n, 0);
	assert_null(hash_table_walk(&table, NULL));
}

/* No add makes more than one chain, and there are as many as entries. */
static void
it_grows_by_one_chain_at_a_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		size_t before = table.n_chains;

		add(i);
		assert_true(table.n_chains - before <= 1);
		assert_true(table.n <= table.n_chains);
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_ptr_equal(find(i), &items[i]);
}

static void
chains_stay_short(void **state)
{
	size_t longest = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		add(i);
	/* A walk goes along chains: entries that share the low bits of their chain follow one another. */
	for (const struct hash_entry *e = hash_table_walk(&table, NULL); e != NULL; e = hash_table_walk(&table, e)) {
		size_t n = 0;

		for (const struct hash_entry *in = e; in != NULL; in = in->next)
			n++;
		longest = n > longest ? n : longest;
	}
	assert_in_range(longest, 2, 20);
}

static void
a_walk_meets_each_once(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 777; i++)
		add(i);
	for (struct hash_entry *e = hash_table_walk(&table, NULL); e != NULL; e = hash_table_walk(&table, e)) {
		assert_int_equal(((struct item *)e)->walked++, 0);
		n++;
	}
	assert_int_equal(n, 777);
}

/* Entries of one hash stay in one chain, the latest in front, however often it is split. */
static void
the_latest_of_equal_ones_comes_first(void **state)
{
	struct item twins[5];
	const struct hash_entry *e;

	(void)state;
	for (unsigned i = 0; i < COUNT(twins); i++) {
		twins[i] = (struct item){ .number = i };
		hash_table_add(&table, &twins[i].entry, UINT64_C(0x1234567890abcdef));
		for (unsigned k = 0; k < 1000; k++)
			add(i * 1000 + k);
	}
	e = hash_table_find(&table, UINT64_C(0x1234567890abcdef));
	for (unsigned i = COUNT(twins); i > 0; i--) {
		assert_ptr_equal(e, &twins[i - 1].entry);
		e = hash_entry_next(e);
	}
	assert_null(e);
	for (unsigned i = 0; i < COUNT(twins); i++)
		hash_table_remove(&table, &twins[i].entry);
}

static void
all_are_given_back_and_it_begins_anew(void **state)
{
	struct hash_key key = table.key;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		add(i);
	hash_table_clear(&table, count);
	assert_int_equal(given_back, 5000);
	assert_int_equal(table.n, 0);
	assert_memory_equal(&table.key, &key, sizeof key);
	add(1);
	assert_ptr_equal(find(1), &items[1]);
	assert_null(find(2));
}

/* --- without memory --- */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool poor;

void *
__wrap_calloc(size_t n, size_t size)
{
	return poor ? NULL : __real_calloc(n, size);
}

static void
without_memory_chains_get_longer(void **state)
{
	(void)state;
	poor = true;
	for (unsigned i = 0; i < 1000; i++)
		add(i);
	poor = false;
	assert_int_equal(table.n_chains, HASH_TABLE_FIRST);
	for (unsigned i = 0; i < 1000; i++)
		assert_ptr_equal(find(i), &items[i]);
	for (unsigned i = 1000; i < 3000; i++)
		add(i);
	assert_int_equal(table.n_chains, HASH_TABLE_FIRST + 2000);
	for (unsigned i = 0; i < 3000; i++)
		assert_ptr_equal(find(i), &items[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_one_has_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(all_are_found_while_it_grows_and_empties, setup, teardown),
		cmocka_unit_test_setup_teardown(it_grows_by_one_chain_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(chains_stay_short, setup, teardown),
		cmocka_unit_test_setup_teardown(a_walk_meets_each_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_latest_of_equal_ones_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(all_are_given_back_and_it_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_chains_get_longer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
