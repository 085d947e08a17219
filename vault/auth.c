/* vault/auth.c -- the life of the room: lines, files, generations. See auth.h. */
#include "vault/auth.h"

#include "vault/auth_exchange.h"
#include "vault/auth_files.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { MECHANISMS_TEXT_MAX = 512 };

/* Whoever guesses passwords makes them hash, and should not have the processor before those whose mail is being taken. When more
 * wait than may, most are guessers, and an honest user has little hope either way. */
static const struct workers_kind hashers = { .nice = 10, .overload_share = 5 };

/* --- lines --- */

static struct peer **
place_of(struct auth *auth, enum role them, unsigned index)
{
	if (them == ROLE_SMTPD && index < AUTH_SMTPDS_MAX)
		return &auth->smtpds[index];
	if (them == ROLE_CONTROL)
		return &auth->control;
	return NULL;
}

static bool
has_askers(const struct auth *auth)
{
	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		if (auth->smtpds[i] != NULL)
			return true;
	return false;
}

static void
leave(struct auth *auth)
{
	usage_finish(&auth->usage);
	room_exit(auth->room);
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct auth *auth = ctx;
	struct peer **place = place_of(auth, peer_role(p), peer_index(p));

	room_log_drop(p, why);
	exchanges_forget(auth, p);
	if (place != NULL && *place == p)
		*place = NULL;
	peer_free(p);
	if (auth->room != NULL && auth->room->stopping && !has_askers(auth))
		leave(auth);
}

/* Which of these may come from whom is checked before they are handed out (IPC_MESSAGES). */
static const struct peer_ops line_ops = {
	.on = {
		[AU_BEGIN] = exchange_on_begin,
		[AU_CONTINUE] = exchange_on_continue,
		[AU_ABORT] = exchange_on_abort,
		[AU_SPEND] = auth_on_spend,
		[AU_COUNT] = auth_on_count,
		[A_REQUEST] = auth_on_request,
	},
	.closed = line_closed,
};

static void
tell_state(const struct auth *auth, struct peer *p)
{
	struct buf text = BUF_INIT(MECHANISMS_TEXT_MAX);
	struct au_state m;

	/* Nothing is better than a list that Dovecot will make longer: an smtpd that has none says 454 instead of 504. */
	if (p != NULL && auth_mechanisms_put(auth, &text) && (buf_len(&text) > 0 || !dovecot_unknown(auth))) {
		m.mechanisms = buf_slice(&text);
		(void)au_state_send(p, 0, &m);
	}
	buf_free(&text);
}

void
auth_tell_state(const struct auth *auth)
{
	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		tell_state(auth, auth->smtpds[i]);
}

void
auth_take_line(struct auth *auth, enum role them, unsigned index, int fd)
{
	struct peer **place = place_of(auth, them, index);

	if (place == NULL) {
		(void)close(fd);
		return;
	}
	if (*place != NULL) {
		exchanges_forget(auth, *place);
		peer_free(*place);
	}
	*place = peer_new(auth->loop, fd, ROLE_AUTH, them, index, &line_ops, auth);
	if (them == ROLE_SMTPD)
		tell_state(auth, *place);
}

/* --- generations --- */

void
auth_use(struct auth *auth, struct users *users, struct conf *conf)
{
	struct conf *old = auth->conf;

	users_free(auth->users);
	auth->users = users;
	auth->conf = conf_ref(conf);
	conf_unref(old);
	dovecot_adopt(auth);
	auth_tell_state(auth);
}

static enum rc
setup(struct auth *auth, struct loop *loop, struct conf *conf)
{
	auth->loop = loop;
	auth->conf = conf_ref(conf);
	buf_init(&auth->why, 4096);
	hash_table_init(&auth->exchanges);
	hash_table_init(&auth->shares);
	dovecot_setup(auth);
	usage_init(&auth->usage, loop);
	return delays_init(&auth->delays) ? RC_OK : RC_NOMEM;
}

enum rc
auth_init(struct auth *auth, struct loop *loop, struct conf *conf)
{
	enum rc rc = setup(auth, loop, conf);

	if (rc == RC_OK)
		rc = workers_start(&hashers, conf->auth.workers, &auth->workers);
	if (rc == RC_OK) {
		workers_attach(auth->workers, loop);
		usage_attach(&auth->usage, auth->workers);
		auth->users = users_new();
		rc = auth->users == NULL ? RC_NOMEM : users_complete(auth->users, conf->auth.max_hash_memory);
	}
	return rc;
}

void
auth_free(struct auth *auth)
{
	/* Work that runs belongs to its thread until the thread has ended. */
	exchanges_free(auth);
	dovecot_free(auth);
	workers_stop(auth->workers);
	passwords_free(auth);
	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		peer_free(auth->smtpds[i]);
	peer_free(auth->control);
	usage_free(&auth->usage);
	auth_files_forget(auth);
	users_free(auth->users);
	delays_free(&auth->delays);
	buf_free(&auth->why);
	conf_unref(auth->conf);
	*auth = (struct auth){ 0 };
}

/* --- as a room --- */

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct auth *auth = room->ctx;
	enum rc rc;

	if (sodium_init() == -1) {
		(void)buf_put_str(why, "no random numbers");
		return RC_IO;
	}
	auth->room = room;
	rc = setup(auth, room->loop, room->conf);
	auth->usage.fds[0] = room_take_file(room, FILE_USAGE, S("0"));
	auth->usage.fds[1] = room_take_file(room, FILE_USAGE, S("1"));
	usage_load(&auth->usage);
	if (rc == RC_OK)
		rc = auth_files_read_first(auth, room, &auth->users, why);
	return rc;
}

static enum rc
make_threads(struct room *room, struct buf *why)
{
	struct auth *auth = room->ctx;
	enum rc rc = workers_start(&hashers, room->conf->auth.workers, &auth->workers);

	if (rc != RC_OK)
		(void)buf_put_str(why, "threads cannot be made");
	return rc;
}

static void
start(struct room *room)
{
	struct auth *auth = room->ctx;

	workers_attach(auth->workers, room->loop);
	usage_attach(&auth->usage, auth->workers);
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	auth_take_line(room->ctx, them, index, fd);
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	auth_files_take(room->ctx, m, fd);
}

/* Those that were kept. NULL: they are in use; else why they are not. */
static const char *
use_files(struct auth *auth, struct conf *conf)
{
	struct users *users = NULL;
	const char *why;
	enum rc rc;

	buf_clear(&auth->why);
	rc = auth_files_read(auth, conf, &users, &auth->why);
	auth_files_forget(auth);
	if (rc == RC_OK) {
		auth_use(auth, users, conf);
		log_say(LOG_TABLE_LOADED, NULL, F_TEXT("table", "users"), F_TEXT("path", conf->auth.users_file),
		    F_U64("entries", users_count(users)));
		return NULL;
	}
	why = buf_words(&auth->why, rc_name(rc));
	log_say(LOG_TABLE_REFUSED, NULL, F_TEXT("table", "users"), F_TEXT("why", why));
	return why;
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct auth *auth = room->ctx;

	if (old == NULL) {
		/* prepare() has read these. */
		auth_files_forget(auth);
		dovecot_adopt(auth);
		log_say(LOG_TABLE_LOADED, NULL, F_TEXT("table", "users"), F_TEXT("path", room->conf->auth.users_file),
		    F_U64("entries", users_count(auth->users)));
		return NULL;
	}
	return use_files(auth, room->conf);
}

/* Master has seen the files change. What is no good is not used, and said. */
static const char *
on_users(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct auth *auth = room->ctx;
	struct m_users_taken taken;
	struct m_users m;

	(void)handle, (void)fd;
	if (!m_users_get(body, &m))
		return "malformed M_USERS";
	taken = (struct m_users_taken){ m.serial, RC_NOTFOUND };
	if (auth_files_are_of(auth, FILE_USERS, m.serial))
		taken.status = use_files(auth, auth->conf) == NULL ? RC_OK : RC_SYNTAX;
	(void)m_users_taken_send(p, 0, &taken);
	return NULL;
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	(void)grace_ms;
	if (!has_askers(room->ctx))
		leave(room->ctx);
}

/* --- the frames of master --- */

static const char *
on_connected(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ((struct room *)ctx)->ctx;
	struct m_connected m;

	(void)p;
	if (!m_connected_get(body, &m)) {
		(void)close(fd);
		return "malformed M_CONNECTED";
	}
	/* It may be the answer to an older question. */
	if (handle == auth->dovecot.asked)
		dovecot_take(auth, fd);
	else
		(void)close(fd);
	return NULL;
}

static const char *
on_connect_failed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ((struct room *)ctx)->ctx;
	struct m_connect_failed m;

	(void)p, (void)fd;
	if (!m_connect_failed_get(body, &m))
		return "malformed M_CONNECT_FAILED";
	buf_clear(&auth->why);
	(void)buf_put_slice(&auth->why, m.why);
	if (handle == auth->dovecot.asked)
		dovecot_failed(auth, auth->why.failed ? "?" : buf_cstr(&auth->why));
	return NULL;
}

const struct room_ops auth_ops = {
	.role = ROLE_AUTH,
	.prepare = prepare,
	.threads = make_threads,
	.start = start,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.stop = stop,
	.on_master = { [M_CONNECTED] = on_connected, [M_CONNECT_FAILED] = on_connect_failed, [M_USERS] = on_users },
};
