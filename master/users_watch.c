/* master/users_watch.c -- see users_watch.h. */
#include "master/users_watch.h"

#include "common/log.h"
#include "common/users_file.h"
#include "master/child.h"
#include "master/master.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { YOUNG_S = 3 };	/* a file that changed so lately may have done so after a generation opened it */

static const char *const names[USERS_FILES] = { "users", "certificates" };

static const char *
path_of(const struct master *m, unsigned i)
{
	const struct conf_auth *c = &m->source.conf->auth;

	return i == 0 ? c->users_file : c->certificates_file;
}

/* What is wrong with one of them, as a reload would say; NULL: nothing. */
static const char *
look(const struct master *m, struct file_look to[USERS_FILES])
{
	memset(to, 0, USERS_FILES * sizeof *to);
	for (unsigned i = 0; i < USERS_FILES; i++) {
		struct stat st;

		if (*path_of(m, i) == '\0')
			continue;
		if (stat(path_of(m, i), &st) == -1)
			return "is not there";
		if (i == 0 && users_file_unfit(&st) != NULL)
			return users_file_unfit(&st);
		if (!S_ISREG(st.st_mode))
			return "is no regular file";
		to[i] = (struct file_look){ st.st_dev, st.st_ino, st.st_size, st.st_ctim, st.st_mtim };
	}
	return NULL;
}

static bool
is_young(const struct file_look looks[USERS_FILES])
{
	time_t now = time(NULL);

	for (unsigned i = 0; i < USERS_FILES; i++)
		if (looks[i].changed.tv_sec > now - YOUNG_S)
			return true;
	return false;
}

static void
forget_offer(struct users_ware *u)
{
	for (unsigned i = 0; i < USERS_FILES && u->offered; i++)
		if (u->fds[i] != -1)
			(void)close(u->fds[i]);
	u->offered = false;
}

static struct child *
auth_room(const struct master *m)
{
	for (struct child *c = m->children; c != NULL; c = c->next)
		if (c->role == ROLE_AUTH && c->kind == CHILD_ROOM && child_running(c) && c->state != CHILD_STOPPING)
			return c;
	return NULL;
}

/* --- offering --- */

static bool
open_all(const struct master *m, int fds[USERS_FILES])
{
	bool ok = true;

	for (unsigned i = 0; i < USERS_FILES; i++) {
		struct stat st;

		fds[i] = -1;
		if (*path_of(m, i) == '\0' || !ok)
			continue;
		fds[i] = open(path_of(m, i), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		ok = fds[i] != -1 && fstat(fds[i], &st) == 0 && (i == 0 ? users_file_unfit(&st) == NULL : S_ISREG(st.st_mode));
		/* What the room takes is what it gets when it has to be started again, whatever the file is then. */
		if (ok) {
			fds[i] = ware_copy(fds[i], names[i], WARE_AUTH_FILE_MAX);
			ok = fds[i] != -1;
		}
	}
	return ok;
}

static bool
send_one(struct child *c, unsigned i, uint32_t serial)
{
	struct m_file m = { serial, FILE_USERS, slice_str(names[i]), slice_str(path_of(c->master, i)) };
	uint8_t space[8192];
	struct wr w = { space, 0, sizeof space, false };
	int copy = fcntl(c->master->users.fds[i], F_DUPFD_CLOEXEC, 0);

	if (copy == -1 || !m_file_put(&w, &m)) {
		if (copy != -1)
			(void)close(copy);
		return false;
	}
	(void)outbox_put(&c->outbox, M_FILE, 0, slice_of(space, w.n), copy);
	return true;
}

static void
offer(struct master *m, struct child *c)
{
	struct users_ware *u = &m->users;
	struct m_users set = { u->serial + 1 };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };
	bool ok;

	forget_offer(u);
	ok = open_all(m, u->fds);
	u->offered = true;
	u->offered_to = c->pid;
	u->serial++;
	for (unsigned i = 0; i < USERS_FILES && ok; i++)
		if (u->fds[i] != -1)
			ok = send_one(c, i, u->serial);
	if (!ok) {
		forget_offer(u);
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "changed files of users"), F_TEXT("error", "cannot be opened"));
		return;
	}
	(void)m_users_put(&w, &set);
	(void)outbox_put(&c->outbox, M_USERS, 0, slice_of(space, w.n), -1);
}

/* --- looking --- */

const char *
users_watch_trouble(const struct users_ware *u)
{
	return u->unfit != NULL ? u->unfit : u->refused ?
	    "was changed and is not taken, for a line in it is wrong; posternctl config check tells which" : NULL;
}

static void
say_unfit(struct users_ware *u, const char *why)
{
	char words[200];

	(void)snprintf(words, sizeof words, "a file of auth { } %s; the last good one stays in use", why == NULL ? "" : why);
	if (why != NULL && why != u->unfit)
		log_say(LOG_TABLE_REFUSED, NULL, F_TEXT("table", "users"), F_TEXT("why", words));
	u->unfit = why;
}

static void
look_again(struct master *m)
{
	struct users_ware *u = &m->users;
	struct file_look now[USERS_FILES];
	struct child *c = auth_room(m);
	const char *why;
	bool settled;

	/* It died over what it was given, or before. */
	if (u->offered && (c == NULL || c->pid != u->offered_to)) {
		forget_offer(u);
		memset(u->tried, 0, sizeof u->tried);
	}
	why = look(m, now);
	say_unfit(u, why);
	if (why != NULL)
		return;
	if (u->generation != m->generation) {
		u->generation = m->generation;
		u->refused = false;
		memcpy(u->tried, now, sizeof u->tried);
		if (is_young(now))
			memset(u->tried, 0, sizeof u->tried);
	}
	settled = file_looks_equal(now, u->last);
	memcpy(u->last, now, sizeof u->last);
	if (settled && c != NULL && !file_looks_equal(now, u->tried)) {
		memcpy(u->tried, now, sizeof u->tried);
		offer(m, c);
	}
}

static void
on_timer(struct timer *t, void *ctx)
{
	struct master *m = ctx;

	/* A reload is about to read them anyway. */
	if (m->reload == NULL && m->phase == PHASE_RUNNING)
		look_again(m);
	timer_start(t, USERS_LOOK_MS);
}

void
users_watch_start(struct master *m)
{
	m->users.generation = m->generation + 1;
	timer_setup(&m->users.timer, m->loop, on_timer, m);
	timer_start(&m->users.timer, USERS_LOOK_MS);
}

void
users_watch_stop(struct master *m)
{
	timer_cancel(&m->users.timer);
	forget_offer(&m->users);
}

/* --- the room's word --- */

static void
replace_ware(struct master *m, unsigned i)
{
	for (struct ware *w = m->wares.first; w != NULL; w = w->next)
		if (w->role == ROLE_AUTH && w->purpose == FILE_AUTH && strcmp(w->name, names[i]) == 0) {
			(void)close(w->fd);
			w->fd = m->users.fds[i];
			m->users.fds[i] = -1;
		}
}

const char *
users_watch_on_taken(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *c = ctx;
	struct users_ware *u = &c->master->users;
	struct m_users_taken m;

	(void)p, (void)handle, (void)fd;
	if (!m_users_taken_get(body, &m))
		return "malformed M_USERS_TAKEN";
	if (!u->offered || m.serial != u->serial || c->pid != u->offered_to)
		return NULL;
	for (unsigned i = 0; i < USERS_FILES && m.status == RC_OK && u->generation == c->master->generation; i++)
		if (u->fds[i] != -1)
			replace_ware(c->master, i);
	u->refused = m.status != RC_OK;
	forget_offer(u);
	return NULL;
}
