/* queue/recovery_tell.c -- what is alive, told in the order of the ids, and the files that belong to nothing; see recovery.h. */
#include "queue/recovery.h"

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
	quarantine_say(m->where.segment, (uint64_t)m->where.offset * SPOOL_ALIGN, 0, "the file of a big message is missing or cut",
	    path, &m->id);
	r->stats.damaged++;
}

struct teller {
	struct recovery *r;
	store_visit_fn *visit;
	void *arg;
	int fd;
	uint32_t open;		/* segment behind fd */
	uint8_t *room;
	size_t cap;
	struct store_rcpt *pending;
	uint32_t n_pending;
};

static bool
teller_room(struct teller *t, size_t bytes, uint32_t n_rcpts)
{
	if (bytes > t->cap) {
		uint8_t *p = realloc(t->room, bytes + bytes / 2);

		if (p == NULL)
			return false;
		t->room = p;
		t->cap = bytes + bytes / 2;
	}
	if (n_rcpts > t->n_pending) {
		struct store_rcpt *p = calloc(n_rcpts, sizeof *p);

		if (p == NULL)
			return false;
		free(t->pending);
		t->pending = p;
		t->n_pending = n_rcpts;
	}
	return true;
}

static bool
teller_read(struct teller *t, const struct index_message *m, size_t bytes)
{
	struct spool_io *io = t->r->io;
	const struct found *f = recovery_find(t->r, m->where.segment);
	struct spool_head head;
	char path[SPOOL_PATH_MAX];
	uint64_t at = (uint64_t)m->where.offset * SPOOL_ALIGN + SPOOL_HEADER_BYTES;

	if (t->open != m->where.segment) {
		if (t->fd >= 0)
			(void)io->ops->close(io, t->fd);
		spool_segment_path(path, m->where.segment);
		t->fd = io->ops->open(io, path, SPOOL_OPEN_READ);
		t->open = m->where.segment;
	}
	return t->fd >= 0 && spool_io_read_all(io, t->fd, t->room, bytes, at) == (ssize_t)bytes &&
	    spool_head_get(slice_of(t->room, bytes), &head) == RC_OK && head.sum == m->head.sum &&
	    spool_head_ok(&f->key, &head, slice_of(t->room, bytes));
}

static enum rc
tell_one(struct teller *t, const struct index_message *m)
{
	size_t bytes = SPOOL_HEAD_BYTES + (size_t)m->head.envelope;
	struct spool_range bad = { m->where.offset * SPOOL_ALIGN, m->where.length & 0x7fffffff };
	struct segment *home = segments_find(t->r->s, m->where.segment);
	struct store_message out = { .id = m->id, .where = m->where, .size = m->head.content, .flags = m->flags,
		.stored_at = m->head.stored_at, .rcpts = m->rcpts, .n_rcpts = m->head.n_rcpts };

	if (!teller_room(t, bytes, m->head.n_rcpts))
		return RC_NOMEM;
	if (!teller_read(t, m, bytes)) {
		recovery_set_aside(t->r, recovery_find(t->r, m->where.segment), &bad, "an envelope cannot be read");
		return RC_OK;
	}
	if (home != NULL)
		home->live++;
	out.envelope = slice_of(t->room + SPOOL_HEAD_BYTES, m->head.envelope);
	if (out.rcpts == NULL)
		out.rcpts = t->pending;
	if (store_where_is_big(m->where))
		check_big(t->r, m);
	t->r->stats.messages++;
	for (uint32_t i = 0; i < out.n_rcpts; i++)
		t->r->stats.recipients += out.rcpts[i].state == STORE_PENDING || out.rcpts[i].state == STORE_DEFERRED;
	if (t->visit != NULL)
		t->visit(t->arg, &out);
	return RC_OK;
}

enum rc
recovery_tell(struct recovery *r, store_visit_fn *visit, void *arg)
{
	struct teller t = { .r = r, .visit = visit, .arg = arg, .fd = -1 };
	struct index_message **list;
	enum rc rc = RC_OK;
	size_t n;

	list = index_sorted(&r->index, &n);
	if (list == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (!is_dead(r, list[i]->where.segment))
			rc = tell_one(&t, list[i]);
	if (t.fd >= 0)
		(void)r->io->ops->close(r->io, t.fd);
	free(t.room);
	free(t.pending);
	free(list);
	if (rc != RC_OK)
		r->why = "no memory";
	return rc;
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
	if ((id.seq & 0xff) != o->folder || (m != NULL && !m->dropped && store_where_is_big(m->where)))
		return 0;
	spool_big_path(path, id);
	(void)o->r->io->ops->unlink(o->r->io, path);
	return 0;
}

/* Files of messages that were never acknowledged, or are finished. Only when every record could be read: a record that
 * is damaged may be the one that names the file. */
void
recovery_remove_orphans(struct recovery *r)
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
