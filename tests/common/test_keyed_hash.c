/* tests/common/test_keyed_hash.c -- the hash of tables that strangers fill. */
#include "tests/wire/check.h"

#include "common/keyed_hash.h"

/* The first and the last but one vector of the paper: SipHash-2-4 of nothing and of 00..0e under 00..0f. */
static void
it_is_siphash(void **state)
{
	struct hash_key key;
	uint8_t in[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof key.b; i++)
		key.b[i] = i;
	for (uint8_t i = 0; i < sizeof in; i++)
		in[i] = i;
	assert_true(keyed_hash(&key, slice_of(in, sizeof in)) == UINT64_C(0xa129ca6149be45e5));
	assert_true(keyed_hash(&key, slice_of(NULL, 0)) == UINT64_C(0x726fdb47dd0e0e31));
}

static void
every_key_has_places_of_its_own(void **state)
{
	struct hash_key a, b;

	(void)state;
	hash_key_make(&a);
	hash_key_make(&b);
	assert_memory_not_equal(a.b, b.b, sizeof a.b);
	assert_true(keyed_hash(&a, S("alice")) == keyed_hash(&a, S("alice")));
	assert_false(keyed_hash(&a, S("alice")) == keyed_hash(&b, S("alice")));
	assert_false(keyed_hash(&a, S("alice")) == keyed_hash(&a, slice_of((const uint8_t *)"alic\0", 5)));
}

static void
networks_differ_in_each_part(void **state)
{
	struct ip_net net = { .ip = { .family = 4, .b = { 192, 0, 2, 0 } }, .bits = 24 }, other;
	struct hash_key key;

	(void)state;
	hash_key_make(&key);
	assert_true(keyed_hash_net(&key, net) == keyed_hash_net(&key, net));
	other = net;
	other.bits = 25;
	assert_false(keyed_hash_net(&key, net) == keyed_hash_net(&key, other));
	other = net;
	other.ip.family = 6;
	assert_false(keyed_hash_net(&key, net) == keyed_hash_net(&key, other));
	other = net;
	other.ip.b[15] = 1;
	assert_false(keyed_hash_net(&key, net) == keyed_hash_net(&key, other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_siphash),
		cmocka_unit_test(every_key_has_places_of_its_own),
		cmocka_unit_test(networks_differ_in_each_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
