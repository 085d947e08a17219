/* master/accounts.c -- the rooms' accounts, see accounts.h. */
#include "master/accounts.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

static enum rc
by_name(enum role role, struct account *ret_account, struct buf *why)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(role_user(role));
	if (pw == NULL) {
		(void)buf_printf(why, "there is no account %s; make it with: useradd --system --no-create-home --shell "
		    "/usr/sbin/nologin %s (or set uid-base in a laboratory)", role_user(role), role_user(role));
		return RC_NOTFOUND;
	}
	if (pw->pw_uid == 0) {
		(void)buf_printf(why, "the account %s has uid 0; no room may run as root", role_user(role));
		return RC_DENIED;
	}
	*ret_account = (struct account){ pw->pw_uid, pw->pw_gid };
	return RC_OK;
}

enum rc
accounts_find(uint32_t uid_base, struct account rooms[ROLE_COUNT], struct buf *why)
{
	for (unsigned role = ROLE_NONE + 1; role < ROLE_COUNT; role++) {
		enum rc rc = RC_OK;

		rooms[role] = (struct account){ 0, 0 };
		if (role == ROLE_MASTER || role == ROLE_CLIENT)
			continue;
		if (uid_base != 0)
			rooms[role] = (struct account){ uid_base + role, uid_base + role };
		else if (role_user((enum role)role) != NULL)
			rc = by_name((enum role)role, &rooms[role], why);
		else	/* a mailbox process becomes the recipient; until then, and in the self-test, it is nobody */
			rooms[role] = (struct account){ 65534, 65534 };
		if (rc != RC_OK)
			return rc;
	}
	/* Two rooms under one uid could read each other's memory through the kernel. */
	for (unsigned a = ROLE_NONE + 1; a < ROLE_COUNT; a++)
		for (unsigned b = a + 1; b < ROLE_COUNT; b++)
			if (rooms[a].uid != 0 && rooms[a].uid == rooms[b].uid) {
				(void)buf_printf(why, "the accounts of %s and %s have the same uid; give each its own",
				    role_name((enum role)a), role_name((enum role)b));
				return RC_DENIED;
			}
	return RC_OK;
}
