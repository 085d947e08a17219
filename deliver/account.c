/* deliver/account.c -- see account.h. */
#include "deliver/account.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSWD_BYTES = 64 * 1024 };

/* It becomes a part of a path, and is asked of whatever nsswitch.conf names. */
static bool
name_valid(struct slice user)
{
	if (user.n == 0 || user.n > ACCOUNT_NAME_MAX || user.p[0] == '.' || user.p[0] == '-')
		return false;
	for (size_t i = 0; i < user.n; i++)
		if (user.p[i] <= ' ' || user.p[i] >= 0x7f || user.p[i] == '/' || user.p[i] == ':')
			return false;
	return true;
}

/* Digits up to a colon. */
static bool
take_number(struct slice *s, uint32_t *ret_n)
{
	size_t digits = slice_find(*s, ':');
	uint64_t n = 0;

	if (digits == 0 || digits > 10 || digits == s->n)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s->p[i] - '0');
	}
	if (n >= UINT32_MAX)
		return false;
	*s = slice_from(*s, digits + 1);
	*ret_n = (uint32_t)n;
	return true;
}

enum rc
account_of_entry(const char *entry, struct slice user, struct account *ret_account)
{
	struct slice s = slice_str(entry);
	size_t name = slice_find(s, ':');
	uint32_t uid, gid;

	if (name == s.n)
		return RC_SYNTAX;
	if (!slice_eq(slice_first(s, name), user))
		return RC_NOTFOUND;
	s = slice_from(s, name + 1);
	if (!take_number(&s, &uid) || !take_number(&s, &gid) || s.n == 0 || s.p[0] != '/' || s.n >= ACCOUNT_PATH_MAX)
		return RC_SYNTAX;
	ret_account->uid = uid;
	ret_account->gid = gid;
	memcpy(ret_account->home, s.p, s.n);
	ret_account->home[s.n] = '\0';
	return RC_OK;
}

static enum rc
find_in_system(const char *name, struct account *ret_account, struct buf *why)
{
	struct passwd pw, *found = NULL;
	char *space = malloc(PASSWD_BYTES);
	enum rc rc = RC_OK;
	int error;

	if (space == NULL)
		return RC_NOMEM;
	error = getpwnam_r(name, &pw, space, PASSWD_BYTES, &found);
	endpwent();
	if (found == NULL) {
		/* Only a clean "no" may turn mail away for good: directories that cannot be asked say nothing. */
		rc = error == 0 || error == ENOENT || error == ESRCH ? RC_NOTFOUND : RC_AGAIN;
		(void)buf_put_str(why, rc == RC_NOTFOUND ? "no such user" : "accounts cannot be looked up now");
	} else if (strlen(found->pw_dir) >= ACCOUNT_PATH_MAX) {
		rc = RC_RANGE;
		(void)buf_put_str(why, "the path of the home folder is too long");
	} else {
		ret_account->uid = found->pw_uid;
		ret_account->gid = found->pw_gid;
		(void)snprintf(ret_account->home, ACCOUNT_PATH_MAX, "%s", found->pw_dir);
	}
	free(space);
	return rc;
}

static enum rc
look_up(const struct conf_local *c, struct slice user, struct account *a, struct buf *why)
{
	char name[ACCOUNT_NAME_MAX + 1];

	for (size_t i = 0; i < c->users.n; i++) {
		enum rc rc = account_of_entry(c->users.v[i], user, a);

		if (rc == RC_OK)
			return RC_OK;
		if (rc == RC_SYNTAX) {
			(void)buf_printf(why, "local { users }: %s is not name:uid:gid:home", c->users.v[i]);
			return rc;
		}
	}
	memcpy(name, user.p, user.n);
	name[user.n] = '\0';
	return find_in_system(name, a, why);
}

enum rc
account_expand(const char *pattern, const char *home, struct slice user, char ret_path[ACCOUNT_PATH_MAX])
{
	struct buf b = BUF_INIT(ACCOUNT_PATH_MAX - 1);
	struct slice s = slice_str(pattern);
	enum rc rc = RC_OK;

	if (slice_eq(s, S("~")) || slice_starts(s, S("~/"))) {
		(void)buf_put_str(&b, home);
		s = slice_from(s, 1);
	}
	while (s.n > 0 && !b.failed) {
		size_t at = slice_find(s, '%');

		(void)buf_put(&b, s.p, at);
		s = slice_from(s, at);
		if (slice_starts(s, S("%u"))) {
			(void)buf_put_slice(&b, user);
			s = slice_from(s, 2);
		} else if (s.n > 0) {
			(void)buf_put_byte(&b, '%');
			s = slice_from(s, 1);
		}
	}
	if (b.failed)
		rc = RC_RANGE;
	else if (buf_len(&b) == 0 || buf_slice(&b).p[0] != '/')
		rc = RC_SYNTAX;
	else {
		memcpy(ret_path, buf_slice(&b).p, buf_len(&b));
		ret_path[buf_len(&b)] = '\0';
	}
	buf_free(&b);
	return rc;
}

enum rc
account_find(const struct conf_local *c, struct slice user, struct account *ret_account, struct buf *why)
{
	enum rc rc;

	if (!name_valid(user)) {
		(void)buf_put_str(why, "no account can have this name");
		return RC_NOTFOUND;
	}
	rc = look_up(c, user, ret_account, why);
	if (rc != RC_OK)
		return rc;
	if (ret_account->uid == 0 || ret_account->gid == 0 || ret_account->uid < c->min_uid) {
		(void)buf_put_str(why, "this account gets no mail (local { min-uid })");
		return RC_NOTFOUND;
	}
	rc = account_expand(c->maildir, ret_account->home, user, ret_account->maildir);
	if (rc != RC_OK)
		(void)buf_put_str(why, "local { maildir } does not make an absolute path for this user");
	return rc;
}
