/* vault/auth_delay.h -- how long a login has to wait for the failures before it (THREATS 30).
 *
 * Counted by client network and by account, known or not, in a table of fixed size that forgets the oldest. A wait is
 * taken before anything is computed, and takes its place in a line: logins that come at the same time wait one behind
 * the other. An account never waits longer than the maximum, or a stranger could shut its owner out; a client network
 * that would is turned away. One that has succeeded for an account lately does not wait for what others do to it. */
#ifndef POSTERN_VAULT_AUTH_DELAY_H
#define POSTERN_VAULT_AUTH_DELAY_H

#include "common/conf.h"
#include "common/ip.h"
#include "common/slice.h"

#include <sodium.h>

enum { DELAY_WAYS = 8, DELAY_SETS = 4096 };

struct delay_entry {
	uint64_t key;		/* 0: free */
	uint64_t next;		/* when the next one may go on */
	uint64_t since;		/* failures count from here; one is forgotten every failure-forget */
	uint32_t failures;
};

struct delays {
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	struct delay_entry (*sets)[DELAY_WAYS];
};

bool delays_init(struct delays *d);	/* false: no memory */
void delays_free(struct delays *d);

/* How long must this login wait? False: turn it away. Takes the place in the line. */
bool delays_wait(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now,
    uint64_t *ret_ms);
void delays_failed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now);
void delays_passed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now);

#endif
