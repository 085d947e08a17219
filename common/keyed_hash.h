/* common/keyed_hash.h -- where in a table something stands that strangers choose: a name, a network. SipHash under a secret
 * key, so that nobody can make many of them fall together (THREATS 57). What is compared or stored needs another hash. */
#ifndef POSTERN_COMMON_KEYED_HASH_H
#define POSTERN_COMMON_KEYED_HASH_H

#include "common/ip.h"
#include "common/slice.h"

struct hash_key {
	uint8_t b[16];
};

/* By chance; before or behind the sandbox. */
void hash_key_make(struct hash_key *key);

uint64_t keyed_hash(const struct hash_key *key, struct slice what);
/* Of its family, address and length. */
uint64_t keyed_hash_net(const struct hash_key *key, struct ip_net net);

#endif
