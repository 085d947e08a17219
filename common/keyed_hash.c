/* common/keyed_hash.c -- see keyed_hash.h. */
#include "common/keyed_hash.h"

#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "a SipHash key");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "all of a SipHash");

void
hash_key_make(struct hash_key *key)
{
	randombytes_buf(key->b, sizeof key->b);
}

uint64_t
keyed_hash(const struct hash_key *key, struct slice what)
{
	uint8_t b[crypto_shorthash_BYTES];
	uint64_t n;

	(void)crypto_shorthash(b, what.n == 0 ? (const uint8_t *)"" : what.p, what.n, key->b);
	memcpy(&n, b, sizeof n);
	return n;
}

uint64_t
keyed_hash_net(const struct hash_key *key, struct ip_net net)
{
	uint8_t in[sizeof net.ip.b + 2];

	memcpy(in, net.ip.b, sizeof net.ip.b);
	in[sizeof net.ip.b] = net.ip.family;
	in[sizeof net.ip.b + 1] = net.bits;
	return keyed_hash(key, slice_of(in, sizeof in));
}
