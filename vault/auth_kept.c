/* vault/auth_kept.c -- the table of auth_usage.h on the disk: two files, written in turn and synced by a worker. The one
 * with the higher serial and the right hash counts, so that a write that was cut short costs what it would have added. */
#include "vault/auth_usage.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HASH_BYTES = 32,
	FILE_BYTES_MAX = 1 << 30,
	USER_BYTES_MAX = 1024,	/* encoded */
};

static const char magic[8] = "PUSAGE1";

/* --- bytes --- */

static void
put_window(struct wr *w, const struct usage_window *window, unsigned parts)
{
	wr_i64(w, window->now);
	for (unsigned i = 0; i < parts; i++) {
		wr_u32(w, window->messages[i]);
		wr_u32(w, window->rcpts[i]);
	}
}

static void
read_window(struct rd *r, struct usage_window *window, unsigned parts)
{
	window->now = rd_i64(r);
	for (unsigned i = 0; i < parts; i++) {
		window->messages[i] = rd_u32(r);
		window->rcpts[i] = rd_u32(r);
	}
	if (window->now < 0)
		r->bad = true;
}

static bool
put_user(struct buf *to, const struct usage_user *user)
{
	uint8_t space[USER_BYTES_MAX];
	struct wr w = { space, 0, sizeof space, false };

	wr_str(&w, slice_of(user->name, user->n));
	wr_i64(&w, user->login);
	wr_i64(&w, user->failure);
	put_window(&w, &user->hour, USAGE_HOUR_PARTS);
	put_window(&w, &user->day, USAGE_DAY_PARTS);
	return !w.bad && buf_put(to, space, w.n);
}

static void
put_head(const struct usage *u, struct buf *to)
{
	uint8_t head[sizeof magic + 8];
	struct wr w = { head, 0, sizeof head, false };

	wr_bytes(&w, magic, sizeof magic);
	wr_u64(&w, u->serial);
	(void)buf_put(to, head, w.n);
}

static void
put_users(const struct usage *u, struct buf *to)
{
	for (const struct usage_user *user = u->oldest; user != NULL; user = user->newer)
		(void)put_user(to, user);
}

static bool
put_hash(struct buf *to)
{
	uint8_t hash[HASH_BYTES];

	(void)crypto_generichash(hash, sizeof hash, buf_slice(to).p, buf_len(to), NULL, 0);
	return buf_put(to, hash, sizeof hash);
}

bool
usage_put(const struct usage *u, struct buf *to)
{
	put_head(u, to);
	put_users(u, to);
	return put_hash(to);
}

/* The oldest come first: what has no place any more falls out. */
static bool
read_user(struct usage *u, struct rd *r)
{
	const struct conf_auth no_limit = { .max_counted_users = UINT32_MAX };
	struct slice name = rd_str(r);
	struct usage_user read = { .login = rd_i64(r), .failure = rd_i64(r) };
	const struct usage_user *user;

	read_window(r, &read.hour, USAGE_HOUR_PARTS);
	read_window(r, &read.day, USAGE_DAY_PARTS);
	if (r->bad || name.n == 0 || name.n > PREPARE_USER_MAX || usage_find(u, name) != NULL)
		return false;
	usage_login(u, &no_limit, name, true, read.login);
	user = usage_find(u, name);
	if (user == NULL || user != u->newest)
		return false;
	u->newest->failure = read.failure;
	u->newest->hour = read.hour;
	u->newest->day = read.day;
	return true;
}

enum rc
usage_read(struct usage *u, struct slice bytes)
{
	uint8_t hash[HASH_BYTES];
	struct rd r = { bytes, false };

	if (bytes.n < sizeof magic + 8 + HASH_BYTES || memcmp(bytes.p, magic, sizeof magic) != 0)
		return RC_CORRUPT;
	r.s.n -= HASH_BYTES;
	(void)crypto_generichash(hash, sizeof hash, r.s.p, r.s.n, NULL, 0);
	if (memcmp(hash, r.s.p + r.s.n, sizeof hash) != 0)
		return RC_CORRUPT;
	(void)rd_take(&r, sizeof magic);
	u->serial = rd_u64(&r);
	while (r.s.n > 0)
		if (!read_user(u, &r))
			return RC_CORRUPT;
	u->dirty = false;
	return RC_OK;
}

/* --- reading --- */

static bool
read_file(int fd, struct buf *to)
{
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		return false;
	return file_read_buf(fd, to) == RC_OK;
}

static uint64_t
serial_of(struct slice bytes)
{
	struct rd r = { bytes, false };

	(void)rd_take(&r, sizeof magic);
	return rd_u64(&r);
}

/* True: there is something in it that makes no sense. */
static bool
take_over(struct usage *u, struct slice bytes)
{
	if (usage_read(u, bytes) == RC_OK)
		return false;
	usage_clear(u);		/* nothing of it counts */
	return bytes.n > 0;
}

void
usage_load(struct usage *u)
{
	struct buf files[USAGE_FILES] = { BUF_INIT(FILE_BYTES_MAX), BUF_INIT(FILE_BYTES_MAX) };
	unsigned better;
	bool bad = false;

	for (unsigned i = 0; i < USAGE_FILES; i++)
		if (!read_file(u->fds[i], &files[i]))
			buf_clear(&files[i]);
	better = serial_of(buf_slice(&files[1])) > serial_of(buf_slice(&files[0]));
	for (unsigned i = 0; i < USAGE_FILES && u->users.n == 0; i++) {
		unsigned file = (better + i) % USAGE_FILES;

		bad = take_over(u, buf_slice(&files[file])) || bad;
		if (u->users.n > 0)
			u->good = file;
	}
	if (bad)
		log_say(LOG_TROUBLE, NULL,
		    F_TEXT("what", "what users have sent was not written to its end; the state before it counts"));
	for (unsigned i = 0; i < USAGE_FILES; i++)
		buf_free(&files[i]);
}

/* --- writing --- */

struct usage_save {
	struct work work;	/* first */
	struct usage *usage;
	struct buf bytes;
	unsigned file;			/* which of the two; fd is its */
	int fd;
	int error;
	bool noted;
};

/* In a thread. */
static void
write_file(struct work *work)
{
	struct usage_save *s = (struct usage_save *)(void *)work;
	struct slice bytes;
	off_t at = 0;

	if (!put_hash(&s->bytes))
		s->error = ENOMEM;
	bytes = buf_slice(&s->bytes);
	while (bytes.n > 0 && s->error == 0) {
		ssize_t n = pwrite(s->fd, bytes.p, bytes.n, at);

		if (n > 0) {
			at += n;
			bytes = slice_from(bytes, (size_t)n);
		} else if (n == 0 || errno != EINTR)
			s->error = n == 0 ? ENOSPC : errno;
	}
	if (s->error == 0 && (ftruncate(s->fd, at) == -1 || fdatasync(s->fd) == -1))
		s->error = errno;
}

static void
save_free(struct usage_save *s)
{
	buf_free(&s->bytes);
	free(s);
}

/* A write has ended. One that failed leaves the other file the good one, which the next write must not touch. */
static void
note(struct usage *u, struct usage_save *s)
{
	if (s->noted)
		return;
	s->noted = true;
	if (s->error == 0) {
		u->good = s->file;
		return;
	}
	log_say(LOG_TROUBLE, NULL, F_TEXT("what", "what users have sent cannot be written"), F_TEXT("error", strerror(s->error)));
	u->dirty = true;
}

static void
written(struct work *work)
{
	struct usage_save *s = (struct usage_save *)(void *)work;
	struct usage *u = s->usage;

	note(u, s);
	u->save = NULL;
	save_free(s);
	if (u->dirty)
		timer_start(&u->timer, USAGE_SAVE_MS);
}

static struct usage_save *
save_new(struct usage *u)
{
	struct usage_save *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	u->serial++;
	s->usage = u;
	s->file = (u->good + 1) % USAGE_FILES;
	if (u->fds[s->file] == -1)
		s->file = u->good;
	s->fd = u->fds[s->file];
	s->work = (struct work){ .run = write_file, .done = written };
	buf_init(&s->bytes, FILE_BYTES_MAX);
	put_head(u, &s->bytes);
	if (s->fd != -1 && !s->bytes.failed)
		return s;
	save_free(s);
	return NULL;
}

/* What is gathered is nobody's: it is begun anew. */
void
usage_give_up(struct usage *u)
{
	save_free(u->save);
	u->save = NULL;
	u->gathers = false;
	u->next_kept = NULL;
	u->dirty = true;
}

/* A write that a worker has: only one is under way at a time. */
static void
finish_first(struct usage *u)
{
	if (u->gathers) {
		usage_give_up(u);
	} else if (workers_take_back(u->workers, &u->save->work)) {
		save_free(u->save);
		u->save = NULL;
		u->dirty = true;
	} else {
		note(u, u->save);
	}
}

void
usage_finish(struct usage *u)
{
	struct usage_save *s;

	if (u->save != NULL)
		finish_first(u);
	s = u->dirty ? save_new(u) : NULL;
	if (s == NULL)
		return;
	put_users(u, &s->bytes);
	write_file(&s->work);
	u->dirty = false;
	note(u, s);
	save_free(s);
}

static void
begin_save(struct usage *u)
{
	if (!u->dirty || u->workers == NULL)
		return;
	u->save = save_new(u);
	if (u->save == NULL) {
		timer_start(&u->timer, USAGE_SAVE_MS);
		return;
	}
	u->dirty = false;
	u->gathers = true;
	u->next_kept = u->oldest;
}

void
usage_keep(struct usage *u, struct usage_user *user)
{
	if (!u->gathers || user->kept == u->serial)
		return;
	user->kept = u->serial;
	(void)put_user(&u->save->bytes, user);
}

/* Users who have changed since, and new ones, stand behind all others: the first of them ends it. True: all are there. */
static bool
gather(struct usage *u)
{
	for (size_t i = 0; i < USAGE_SLICE && u->next_kept != NULL; i++) {
		struct usage_user *user = u->next_kept;

		if (user->kept == u->serial)
			u->next_kept = NULL;
		else {
			usage_keep(u, user);
			u->next_kept = user->newer;
		}
	}
	return u->next_kept == NULL;
}

void
usage_save(struct usage *u)
{
	if (u->save == NULL)
		begin_save(u);
	if (!u->gathers)
		return;
	if (!gather(u)) {
		timer_start(&u->timer, 0);
		return;
	}
	if (u->save->bytes.failed) {
		usage_give_up(u);
		timer_start(&u->timer, USAGE_SAVE_MS);
		return;
	}
	u->gathers = false;
	workers_submit_first(u->workers, &u->save->work);
}

void
usage_attach(struct usage *u, struct workers *workers)
{
	u->workers = workers;
	if (u->dirty)
		timer_start(&u->timer, USAGE_SAVE_MS);
}
