/* smtpd/login_log.h -- how much is said about failed logins: the first few of a client network in a minute one by one, and
 * then how many more there were. Whoever guesses all day would fill the log otherwise. What is said first is enough for
 * fail2ban to find a network: wrong passwords are told apart from what fails for another reason, of which a guesser could have
 * as many as he likes before he guesses. */
#ifndef POSTERN_SMTPD_LOGIN_LOG_H
#define POSTERN_SMTPD_LOGIN_LOG_H

#include "common/ip.h"
#include "common/keyed_hash.h"
#include "common/loop.h"

enum login_log_kind { LOGIN_LOG_WRONG, LOGIN_LOG_OTHER, LOGIN_LOG_KINDS };

enum {
	LOGIN_LOG_NETWORKS = 1024,	/* that are told apart in one minute; the others share a count */
	LOGIN_LOG_MS = 60 * 1000,
};

struct login_log_row {
	struct ip_net net;
	uint32_t said[LOGIN_LOG_KINDS], more;	/* all 0: free */
};

struct login_log {
	struct login_log_row rows[LOGIN_LOG_NETWORKS], others;
	unsigned n;
	struct hash_key key;
	struct timer timer;
	bool runs;
	struct loop *loop;
};

void login_log_init(struct login_log *l, struct loop *loop);
/* Says what is left to be said; also when the room stops. */
void login_log_flush(struct login_log *l);
void login_log_free(struct login_log *l);
/* One more of this network: is it one of the `most` of its kind that are logged? */
bool login_log_says(struct login_log *l, struct ip_net net, enum login_log_kind kind, unsigned most);

#endif
