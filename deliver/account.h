/* deliver/account.h -- whose mailbox: the account behind a user's name, and where its Maildir is. Before the sandbox. */
#ifndef POSTERN_DELIVER_ACCOUNT_H
#define POSTERN_DELIVER_ACCOUNT_H

#include "common/buf.h"
#include "common/conf.h"

enum { ACCOUNT_NAME_MAX = 255, ACCOUNT_PATH_MAX = 4096 };

struct account {
	uint32_t uid, gid;
	char home[ACCOUNT_PATH_MAX];
	char maildir[ACCOUNT_PATH_MAX];
};

/* local { users } first, then the system's accounts. RC_NOTFOUND: there is no such user, or one that may get no mail
 * (root, uids below min-uid); anything else is trouble that may pass. why says it in words. */
enum rc account_find(const struct conf_local *c, struct slice user, struct account *ret_account, struct buf *why);

/* One of local { users }: "name:uid:gid:home". RC_NOTFOUND: another name; RC_SYNTAX. home is set, maildir is not. */
enum rc account_of_entry(const char *entry, struct slice user, struct account *ret_account);

/* pattern with a leading ~ as home and each %u as user, absolute. RC_SYNTAX, RC_RANGE. */
enum rc account_expand(const char *pattern, const char *home, struct slice user, char ret_path[ACCOUNT_PATH_MAX]);

#endif
