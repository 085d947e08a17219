/* vault/auth_share.h -- whose logins are under way: each smtpd's, and within it each client network's (THREATS 30).
 *
 * A login that waits for its client costs that client nothing, and there are auth { max-exchanges } of them. So a network
 * has max-exchanges-network at each smtpd, of which the oldest makes room for the next one; one of limits { exempt } has
 * SHARE_MAX. When all places are taken, an smtpd that has less than its even part of them gets one of the smtpd that has
 * most; else one of its own: of the network that has most there, the oldest. A login for which we compute makes room for
 * nobody: where a network has only such it is the next one's turn, and where there are only such, or the newcomer's own has most,
 * the newcomer is refused. An smtpd is counted by itself, for one that has been broken
 * into says what it likes about its clients' addresses. */
#ifndef POSTERN_VAULT_AUTH_SHARE_H
#define POSTERN_VAULT_AUTH_SHARE_H

#include "common/hash_table.h"
#include "common/ip.h"

#include <stdbool.h>

enum {
	SHARE_MAX = 1000,	/* max-exchanges-network at most */
	SHARE_TRIES_MAX = 1000,	/* networks that are looked at for a login that makes room */
};

struct auth;
struct exchange;

/* What one client network has under way at one smtpd; lives as long as that is anything. */
struct share {
	struct hash_entry entry;
	struct share *older, *newer;		/* of those that have as many */
	struct ip_net net;
	unsigned smtpd, n;			/* at most SHARE_MAX */
	struct exchange *oldest, *newest;
};

/* What one smtpd has under way. Made when it asks for the first time, kept for as long as the room lives. */
struct asker {
	unsigned n;
	unsigned top;				/* no network has more */
	struct {
		struct share *oldest, *newest;	/* by how long they have had so many */
	} ranks[SHARE_MAX + 1];
};

/* Finds a place for the exchange x, which knows its peer and client, and ends another one for it if need be. NULL: it has one;
 * else why there is none. */
const char *share_enter(struct auth *auth, struct exchange *x);
void share_leave(struct auth *auth, struct exchange *x);
void shares_free(struct auth *auth);	/* when no exchange is left */

#endif
