/* queue/recovery_tell.c -- what is alive, told in the order of its places on disk, and the files that belong to nothing; see
 * recovery.h. */
#include "queue/recovery.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_dead(struct recovery *r, uint32_t number)
{
	const struct found *f = recovery_find(r, number);

	return f == NULL || f->dead;
}

/* Content in a file must be there, whole. */
static void
check_big(struct recovery *r, const struct index_message *m)
{
	uint64_t blocks = (m->head.content + SPOOL_BIG_BLOCK - 1) / SPOOL_BIG_BLOCK, size;
	char path[SPOOL_PATH_MAX];

	spool_big_path(path, m->id);
	if (r->io->ops->stat(r->io, path, &size) == 0 && size == m->head.content + 8 * blocks)
		return;
	quarantine_say(m->where.segment, (uint64_t)m->where.offset * SPOOL_ALIGN, 0,
	    "the file of a big message is missing or cut", path, &m->id);
	r->stats.damaged++;
}

enum {
	STEP_MESSAGES = 256,		/* told in one turn of the loop */
	STEP_BYTES = 1024 * 1024,	/* of envelopes read for it; one message at least */
	READ_TRIES = 5,			/* of a disk that refuses to read, before the message is given up for this run */
	READ_PAUSE_MS = 1000,
};

/* One step: a thread reads the envelopes of the next messages, then the loop tells them. The index and the list of
 * segments do not change any more, so both may look at them. */
struct teller {
	struct spool_work work;		/* first */
	struct recovery *r;
	store_visit_fn *visit;
	store_told_fn *told;
	void *arg;
	struct index_message **list;
	size_t n, next;			/* all of them; the first that has not been told */
	size_t n_read;			/* of them, from next on, by this step */
	bool readable[STEP_MESSAGES];
	size_t at[STEP_MESSAGES];	/* in room */
	int fd;
	uint32_t open;			/* segment behind fd */
	uint8_t *room;
	size_t cap, used;
	struct store_rcpt *pending;
	uint32_t n_pending;
	enum rc rc;
	unsigned tries;			/* so often the first of this step could not be read */
	struct timer pause;
};

static size_t
bytes_of(const struct index_message *m)
{
	return SPOOL_HEAD_BYTES + (size_t)m->head.envelope;
}

/* Space behind what is used; the old bytes stay where they are counted from. */
static bool
make_room(struct teller *t, size_t bytes)
{
	size_t cap = t->used + bytes;
	uint8_t *p;

	if (cap <= t->cap)
		return true;
	cap += cap / 2;
	p = realloc(t->room, cap);
	if (p == NULL)
		return false;
	t->room = p;
	t->cap = cap;
	return true;
}

/* RC_CORRUPT: it is cut. RC_IO and the like: the disk refused, and says nothing about what is there. */
static enum rc
read_envelope(struct teller *t, const struct index_message *m)
{
	ssize_t n;

	struct spool_io *io = t->r->io;
	char path[SPOOL_PATH_MAX];
	uint64_t at = (uint64_t)m->where.offset * SPOOL_ALIGN + SPOOL_HEADER_BYTES;

	if (t->open != m->where.segment) {
		if (t->fd >= 0)
			(void)io->ops->close(io, t->fd);
		spool_segment_path(path, m->where.segment);
		t->fd = io->ops->open(io, path, SPOOL_OPEN_READ);
		t->open = m->where.segment;
	}
	if (t->fd < 0) {
		t->open = 0;
		return rc_from_errno(-t->fd);
	}
	n = spool_io_read_all(io, t->fd, t->room + t->used, bytes_of(m), at);
	if (n < 0)
		return rc_from_errno((int)-n);
	return n == (ssize_t)bytes_of(m) ? RC_OK : RC_CORRUPT;
}

/* In a thread, or in the loop before there are any. */
static void
read_step(struct spool_work *w)
{
	struct teller *t = (struct teller *)(void *)w;
	enum rc rc;

	t->n_read = t->used = 0;
	while (t->n_read < STEP_MESSAGES && t->next + t->n_read < t->n && (t->n_read == 0 || t->used < STEP_BYTES)) {
		const struct index_message *m = t->list[t->next + t->n_read];

		if (!make_room(t, bytes_of(m))) {
			t->rc = t->n_read == 0 ? RC_NOMEM : RC_OK;
			return;
		}
		rc = is_dead(t->r, m->where.segment) ? RC_OK : read_envelope(t, m);
		if (rc != RC_OK && rc != RC_CORRUPT && (t->n_read > 0 || t->tries < READ_TRIES)) {
			t->rc = t->n_read == 0 ? rc : RC_OK;
			return;
		}
		t->at[t->n_read] = t->used;
		t->readable[t->n_read++] = rc == RC_OK;
		t->used += bytes_of(m);
	}
}

static bool
make_pending(struct teller *t, uint32_t n_rcpts)
{
	struct store_rcpt *p;

	if (n_rcpts <= t->n_pending)
		return true;
	p = calloc(n_rcpts, sizeof *p);
	if (p == NULL)
		return false;
	free(t->pending);
	t->pending = p;
	t->n_pending = n_rcpts;
	return true;
}

static bool
is_whole(const struct teller *t, const struct index_message *m, struct slice bytes)
{
	const struct found *f = recovery_find(t->r, m->where.segment);
	struct spool_head head;

	return spool_head_get(bytes, &head) == RC_OK && head.sum == m->head.sum && spool_head_ok(&f->key, &head, bytes);
}

/* False: no memory. */
static bool
tell_one(struct teller *t, const struct index_message *m, bool readable, struct slice bytes)
{
	struct recovery *r = t->r;
	struct spool_range bad = { m->where.offset * SPOOL_ALIGN, m->where.length & 0x7fffffff };
	struct segment *home = segments_find(r->s, m->where.segment);
	struct store_message out = { .id = m->id, .where = m->where, .size = m->head.content, .flags = m->flags,
		.stored_at = m->head.stored_at, .rcpts = m->rcpts, .n_rcpts = m->head.n_rcpts };

	if (is_dead(r, m->where.segment))
		return true;
	if (!make_pending(t, m->head.n_rcpts))
		return false;
	if (!readable || !is_whole(t, m, bytes)) {
		recovery_set_aside(r, recovery_find(r, m->where.segment), &bad, "an envelope cannot be read");
		recovery_pin(r, m->where.segment);
		return true;
	}
	if (home != NULL)
		home->live++;
	out.envelope = slice_from(bytes, SPOOL_HEAD_BYTES);
	if (out.rcpts == NULL)
		out.rcpts = t->pending;
	if (store_where_is_big(m->where))
		check_big(r, m);
	r->stats.messages++;
	for (uint32_t i = 0; i < out.n_rcpts; i++)
		r->stats.recipients += out.rcpts[i].state == STORE_PENDING || out.rcpts[i].state == STORE_DEFERRED;
	if (t->visit != NULL)
		t->visit(t->arg, &out);
	return true;
}

static void
tell_step(struct teller *t)
{
	for (size_t i = 0; t->rc == RC_OK && i < t->n_read; i++) {
		const struct index_message *m = t->list[t->next];

		if (!tell_one(t, m, t->readable[i], slice_of(t->room + t->at[i], bytes_of(m)))) {
			t->rc = RC_NOMEM;
		} else {
			t->next++;
			t->tries = 0;
		}
	}
}

static void on_pause(struct timer *timer, void *ctx);

enum rc
recovery_tell_begin(struct recovery *r, store_visit_fn *visit, store_told_fn *told, void *arg)
{
	struct teller *t = calloc(1, sizeof *t);

	if (t == NULL)
		return RC_NOMEM;
	t->r = r;
	t->visit = visit;
	t->told = told;
	t->arg = arg;
	t->fd = -1;
	timer_setup(&t->pause, r->s->loop, on_pause, r);
	r->teller = t;
	t->list = index_sorted(&r->index, &t->n);
	return t->list == NULL && t->n > 0 ? RC_NOMEM : RC_OK;
}

uint64_t
recovery_untold(const struct recovery *r)
{
	return r->teller == NULL ? 0 : r->teller->n - r->teller->next;
}

void
recovery_teller_free(struct recovery *r)
{
	struct teller *t = r->teller;

	if (t == NULL)
		return;
	r->teller = NULL;
	timer_cancel(&t->pause);
	if (t->fd >= 0)
		(void)r->io->ops->close(r->io, t->fd);
	free(t->room);
	free(t->pending);
	free(t->list);
	free(t);
}

static void remove_orphans(struct recovery *r);

enum rc
recovery_tell_rest(struct recovery *r)
{
	struct teller *t = r->teller;

	while ((t->rc == RC_OK || t->tries++ < READ_TRIES) && t->next < t->n) {
		t->rc = RC_OK;
		read_step(&t->work);
		tell_step(t);
	}
	if (t->rc == RC_OK)
		remove_orphans(r);
	return t->rc;
}

/* --- beside the store's work --- */

static void
run_orphans(struct spool_work *w)
{
	remove_orphans(((struct teller *)(void *)w)->r);
}

static void
all_told(struct spool_work *w)
{
	struct teller *t = (struct teller *)(void *)w;
	struct store *s = t->r->s;
	struct store_stats stats;
	store_told_fn *told = t->told;
	void *arg = t->arg;

	t->r->stats.ms = (uint32_t)(clock_monotonic_ms() - t->r->began);
	stats = t->r->stats;
	recovery_end(t->r, true);
	if (told != NULL && !s->closing)
		told(arg, &stats);
}

static void
step_read(struct spool_work *w)
{
	struct teller *t = (struct teller *)(void *)w;

	if (!t->r->s->closing)
		tell_step(t);
	if (t->rc == RC_OK || t->r->s->closing) {
		recovery_tell_on(t->r);
		return;
	}
	/* No memory, or a disk that refuses to read: later, from where it stopped. */
	t->tries++;
	t->rc = RC_OK;
	timer_start(&t->pause, READ_PAUSE_MS);
}

static void
on_pause(struct timer *timer, void *ctx)
{
	(void)timer;
	recovery_tell_on(ctx);
}

static void
drop(struct spool_work *w)
{
	recovery_end(((struct teller *)(void *)w)->r, false);
}

void
recovery_tell_on(struct recovery *r)
{
	struct teller *t = r->teller;

	if (r->s->closing) {
		recovery_end(r, false);
		return;
	}
	t->work = (struct spool_work){ .run = read_step, .done = step_read, .drop = drop };
	if (t->next == t->n) {
		t->work.run = run_orphans;
		t->work.done = all_told;
	}
	spool_pool_queue(&r->s->readers, &t->work);
}

/* --- files of nobody --- */

struct orphans {
	struct recovery *r;
	unsigned folder;
};

static int
remove_orphan(void *arg, const char *name)
{
	const struct orphans *o = arg;
	struct msgid id = { 0, 0, 0 };
	const struct index_message *m;
	char path[SPOOL_PATH_MAX], part[17];
	size_t n = strlen(name);

	if (n != 32 || strspn(name, "0123456789abcdef") != n)
		return 0;
	memcpy(part, name, 12);
	part[12] = '\0';
	id.spool = strtoull(part, NULL, 16);
	memcpy(part, name + 12, 4);
	part[4] = '\0';
	id.boot = (uint16_t)strtoul(part, NULL, 16);
	id.seq = strtoull(name + 16, NULL, 16);
	m = index_find(&o->r->index, id);
	/* Those of this boot are being made while this runs. */
	if (id.boot == o->r->s->ident.boot)
		return 0;
	if ((id.seq & 0xff) != o->folder || (m != NULL && !m->dropped && store_where_is_big(m->where)))
		return 0;
	spool_big_path(path, id);
	(void)o->r->io->ops->unlink(o->r->io, path);
	return 0;
}

/* Files of messages that were never acknowledged, or are finished. Only when every record could be read: a record that
 * is damaged may be the one that names the file. */
static void
remove_orphans(struct recovery *r)
{
	char path[SPOOL_PATH_MAX];

	if (r->damage || r->stats.damaged > 0)
		return;
	for (unsigned i = 0; i < BIG_FOLDERS; i++) {
		struct orphans o = { r, i };

		(void)snprintf(path, sizeof path, SPOOL_DIR_BIG "/%02x", i);
		(void)r->io->ops->list(r->io, path, remove_orphan, &o);
	}
}
