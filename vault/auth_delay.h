/* vault/auth_delay.h -- how long a login has to wait for the failures before it (THREATS 30).
 *
 * Counted by client network and by account, known or not, in a table of fixed size that forgets the oldest. A wait is
 * taken before anything is computed, and takes its place in a line: logins that come at the same time wait one behind
 * the other. A client network pays for its own failures, up to failure-delay-max, and is turned away where it would have
 * to wait longer. An account never waits longer than account-delay-max, which is short, or a stranger could shut its owner
 * out: many networks that guess at one account are held up by that and by their own failures, no more. A network from
 * which an account's owner has logged in lately does not wait for what others do to it; what is known of such networks
 * has a table of its own, so that no flood of failures drives it out. */
#ifndef POSTERN_VAULT_AUTH_DELAY_H
#define POSTERN_VAULT_AUTH_DELAY_H

#include "common/conf.h"
#include "common/ip.h"
#include "common/keyed_hash.h"
#include "common/slice.h"

enum { DELAY_WAYS = 8, DELAY_SETS = 4096, FRIEND_SETS = 1024 };

struct delay_entry {
	uint64_t key;		/* 0: free */
	uint64_t next;		/* when the next one may go on */
	uint64_t since;		/* failures count from here; one is forgotten every failure-forget */
	uint32_t failures;
};

struct delays {
	struct hash_key hash_key;
	struct delay_entry (*sets)[DELAY_WAYS];		/* DELAY_SETS of failures, then FRIEND_SETS */
};

bool delays_init(struct delays *d);	/* false: no memory */
void delays_free(struct delays *d);

/* How long must this login wait? False: turn it away. Takes the place in the line. */
bool delays_wait(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now,
    uint64_t *ret_ms);
/* Has this user logged in from there lately? */
bool delays_is_friend(struct delays *d, struct ip client, struct slice user, uint64_t now);
void delays_failed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now);
void delays_passed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now);

#endif
