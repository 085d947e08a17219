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
	if (pw == NULL)
		return RC_NOTFOUND;
	if (pw->pw_uid == 0) {
		(void)buf_printf(why, "the account %s has uid 0; no room may run as root", role_user(role));
		return RC_DENIED;
	}
	*ret_account = (struct account){ pw->pw_uid, pw->pw_gid };
	return RC_OK;
}

/* All of them at once, and one way to make them all. */
static enum rc
refuse_missing(const bool missing[ROLE_COUNT], struct buf *why)
{
	unsigned n = 0;

	for (unsigned role = ROLE_NONE + 1; role < ROLE_COUNT; role++)
		if (missing[role])
			(void)buf_printf(why, "%s%s", n++ == 0 ? "there is no account " : ", ", role_user((enum role)role));
	if (n == 0)
		return RC_OK;
	(void)buf_put_str(why, "; packaging/postern.sysusers of the sources names them all: copy it to "
	    "/usr/lib/sysusers.d/postern.conf and run systemd-sysusers, or make each with: useradd --system --user-group "
	    "--no-create-home --shell /usr/sbin/nologin NAME (or set uid-base in a laboratory)");
	return RC_NOTFOUND;
}

enum rc
accounts_find(uint32_t uid_base, struct account rooms[ROLE_COUNT], struct buf *why)
{
	bool missing[ROLE_COUNT] = { false };

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
		missing[role] = rc == RC_NOTFOUND;
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return rc;
	}
	if (refuse_missing(missing, why) != RC_OK)
		return RC_NOTFOUND;
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
