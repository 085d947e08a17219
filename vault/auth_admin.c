/* vault/auth_admin.c -- what users have sent: smtpd counts and asks here, the administrator looks at it. */
#include "common/admin.h"
#include "common/json.h"
#include "common/wire/date.h"
#include "vault/auth.h"

#include <time.h>

enum { ROW_MAX = 8192 };	/* bytes of one row; JSON makes six of one byte at worst */

const char *
auth_on_spend(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ctx;
	struct buf why = BUF_INIT(USAGE_TEXT_MAX);
	struct au_spent answer;
	struct au_spend m;
	enum rc rc;

	(void)fd;
	if (!au_spend_get(body, &m) || m.user.n == 0 || m.user.n > PREPARE_USER_MAX || m.messages > 1)
		return "malformed AU_SPEND";
	rc = usage_spend(&auth->usage, &auth->conf->auth, m.user, m.messages, m.rcpts, (int64_t)time(NULL), &why);
	answer.ok = rc == RC_OK;
	answer.text = buf_slice(&why);
	rc = au_spent_send(p, handle, &answer);
	buf_free(&why);
	return rc == RC_OK || rc == RC_CLOSED ? NULL : "does not read its answers";
}

const char *
auth_on_count(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ctx;
	struct au_count m;

	(void)p, (void)handle, (void)fd;
	if (!au_count_get(body, &m) || m.user.n == 0 || m.user.n > PREPARE_USER_MAX)
		return "malformed AU_COUNT";
	usage_count(&auth->usage, &auth->conf->auth, &m, (int64_t)time(NULL));
	return NULL;
}

/* --- posternctl users --- */

static void
key_time(struct json *j, const char *key, int64_t seconds)
{
	char text[DATE_ISO8601_MAX];

	/* Whole seconds: without the fraction that the long form has. */
	(void)date_iso8601(text, seconds * 1000000, 0);
	text[19] = 'Z';
	if (seconds != 0)
		json_key_str(j, key, slice_of(text, 20));
}

/* "12", or "12/100" below a limit. */
static void
key_sum(struct json *j, const char *key, const char *limit_key, uint64_t n, uint32_t limit)
{
	json_key_u64(j, key, n);
	if (limit != 0)
		json_key_u64(j, limit_key, limit);
}

static bool
send_user(const struct auth *auth, uint32_t handle, const struct usage_user *user)
{
	const struct conf_auth *conf = &auth->conf->auth;
	struct slice name = slice_of(user->name, user->n);
	uint32_t bound = usage_is_unlimited(conf, name) ? 0 : UINT32_MAX;	/* a mask */
	struct usage_sums n = usage_sums(user, (int64_t)time(NULL));
	struct buf row = BUF_INIT(ROW_MAX);
	struct a_row m = { .kind = ADMIN_ROW_JSON };
	struct json j;
	bool ok;

	json_init(&j, &row);
	json_object(&j);
	json_key_str(&j, "user", name);
	key_sum(&j, "messages_hour", "messages_hour_max", n.hour_messages, conf->user_messages_hour & bound);
	key_sum(&j, "recipients_hour", "recipients_hour_max", n.hour_rcpts, conf->user_recipients_hour & bound);
	key_sum(&j, "messages_day", "messages_day_max", n.day_messages, conf->user_messages_day & bound);
	key_sum(&j, "recipients_day", "recipients_day_max", n.day_rcpts, conf->user_recipients_day & bound);
	key_time(&j, "last_login", user->login);
	key_time(&j, "last_wrong_login", user->failure);
	json_end(&j);
	m.row = buf_slice(&row);
	ok = json_ok(&j) && a_row_send(auth->control, handle, &m) == RC_OK;
	buf_free(&row);
	return ok;
}

static void
end_request(const struct auth *auth, uint32_t handle, enum rc status, const char *text, uint64_t cursor)
{
	const struct a_end m = { (uint8_t)status, slice_str(text), cursor != 0, cursor };

	(void)a_end_send(auth->control, handle, &m);
}

static void
list_users(const struct auth *auth, uint32_t handle, const struct a_request *m)
{
	uint32_t left = m->limit == 0 || m->limit > ADMIN_PAGE_MAX ? ADMIN_PAGE_MAX : m->limit;
	const struct usage_user *user = usage_after(&auth->usage, m->cursor);
	uint64_t at = m->cursor;

	for (; user != NULL && left > 0; left--, user = user->made_after) {
		at = user->key;
		if (!send_user(auth, handle, user)) {
			end_request(auth, handle, RC_AGAIN, "not all users could be sent", 0);
			return;
		}
	}
	end_request(auth, handle, RC_OK, "", user == NULL ? 0 : at);
}

const char *
auth_on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ctx;
	struct a_request m;

	(void)p, (void)fd;
	if (!a_request_get(body, &m) || m.arg.n > ADMIN_ARG_MAX)
		return "malformed A_REQUEST";
	if (m.verb == ADMIN_USERS)
		list_users(auth, handle, &m);
	else
		end_request(auth, handle, RC_UNSUPPORTED, "the auth room does not answer this", 0);
	return NULL;
}
