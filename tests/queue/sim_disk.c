/* tests/queue/sim_disk.c -- a disk in memory that forgets. For tests: it aborts when the machine's own memory runs out. */
#include "tests/queue/sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FDS_MAX = 256 };

/* Something done to a file that is not durable yet. */
struct pending {
	struct pending *next;
	uint64_t at, n;		/* bytes NULL: the new size is n */
	bool doomed;		/* its sync failed: no later one saves it */
	uint8_t *bytes;
};

struct inode {
	struct inode *next;
	unsigned refs;		/* names and descriptors, of the disk and of what is durable */
	uint8_t *now, *safe;
	uint64_t now_size, safe_size, now_cap, safe_cap;
	struct pending *pending, **pending_end;
};

struct name {
	char path[SPOOL_PATH_MAX];
	uint64_t hash, folder;	/* of the path, and of its folder's: hundreds of them are looked through again and again */
	struct inode *inode;	/* NULL: a folder */
};

struct names {
	struct name *list;
	size_t n, max;
};

/* Something done to a name. */
struct name_op {
	struct name_op *next;
	char from[SPOOL_PATH_MAX], to[SPOOL_PATH_MAX];	/* empty from: made; empty to: removed */
	struct inode *inode;
};

struct sim_disk {
	struct spool_io io;
	struct names now, safe;
	struct name_op *name_ops;
	struct inode *inodes;
	struct inode *fds[FDS_MAX];
	bool locked;
	uint64_t seed, operations, cut_after;
	bool cutting, dead;
	enum sim_op fail_op;
	uint64_t fail_in;
	int fail_error;
	bool fail_sticky, failing;
	uint64_t failures;
	uint64_t capacity;
	int64_t wall;
};

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t
next_random(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct sim_disk *
disk_of(const struct spool_io *io)
{
	return (struct sim_disk *)(uintptr_t)io;
}

/* --- files --- */

static void
set_size(uint8_t **bytes, uint64_t *size, uint64_t *cap, uint64_t n)
{
	if (n > *cap) {
		uint64_t more = n > *cap * 2 ? n : *cap * 2;

		*bytes = need(realloc(*bytes, more));
		*cap = more;
	}
	if (n > *size)
		memset(*bytes + *size, 0, n - *size);
	*size = n;
}

static void
put_bytes(uint8_t **to, uint64_t *size, uint64_t *cap, uint64_t at, const uint8_t *bytes, uint64_t n)
{
	if (at + n > *size)
		set_size(to, size, cap, at + n);
	if (n > 0)
		memcpy(*to + at, bytes, n);
}

static void
drop_pending(struct inode *i)
{
	struct pending *p;

	while ((p = i->pending) != NULL) {
		i->pending = p->next;
		free(p->bytes);
		free(p);
	}
	i->pending_end = &i->pending;
}

static struct inode *
inode_new(struct sim_disk *d)
{
	struct inode *i = need(calloc(1, sizeof *i));

	i->pending_end = &i->pending;
	i->next = d->inodes;
	d->inodes = i;
	return i;
}

static void
add_pending(struct inode *i, uint64_t at, const uint8_t *bytes, uint64_t n)
{
	struct pending *p = need(calloc(1, sizeof *p));

	p->at = at;
	p->n = n;
	if (bytes != NULL) {
		p->bytes = need(malloc(n == 0 ? 1 : n));
		memcpy(p->bytes, bytes, n);
	}
	*i->pending_end = p;
	i->pending_end = &p->next;
}

static void
make_true(struct inode *i, const struct pending *p)
{
	if (p->bytes == NULL)
		set_size(&i->safe, &i->safe_size, &i->safe_cap, p->n);
	else
		put_bytes(&i->safe, &i->safe_size, &i->safe_cap, p->at, p->bytes, p->n);
}

static void
make_safe(struct inode *i)
{
	struct pending **at = &i->pending, *p;

	while ((p = *at) != NULL) {
		if (p->doomed) {
			at = &p->next;
			continue;
		}
		make_true(i, p);
		*at = p->next;
		free(p->bytes);
		free(p);
	}
	i->pending_end = at;
}

/* --- names --- */

/* Walks over all names are most of what a fuzzer's input costs, and say nothing of the code that it is about. */
#ifdef __clang__
#define NOT_FUZZED __attribute__((no_sanitize("coverage")))
#else
#define NOT_FUZZED
#endif

NOT_FUZZED static uint64_t
hash_of(const char *path, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; n > 0; n--, path++)
		h = (h ^ (uint8_t)*path) * UINT64_C(0x100000001b3);
	return h;
}

NOT_FUZZED static struct name *
find_name(struct names *names, const char *path)
{
	uint64_t hash = hash_of(path, strlen(path));

	for (size_t i = 0; i < names->n; i++)
		if (names->list[i].hash == hash && strcmp(names->list[i].path, path) == 0)
			return &names->list[i];
	return NULL;
}

static void
add_name(struct names *names, const char *path, struct inode *inode)
{
	struct name *old = find_name(names, path);
	const char *slash = strrchr(path, '/');

	if (old != NULL) {
		old->inode = inode;
		return;
	}
	if (names->n == names->max) {
		names->max = names->max == 0 ? 64 : names->max * 2;
		names->list = need(reallocarray(names->list, names->max, sizeof *names->list));
	}
	(void)snprintf(names->list[names->n].path, SPOOL_PATH_MAX, "%s", path);
	names->list[names->n].hash = hash_of(path, strlen(path));
	names->list[names->n].folder = hash_of(path, slash == NULL ? 0 : (size_t)(slash - path));
	names->list[names->n++].inode = inode;
}

static void
remove_name(struct names *names, const char *path)
{
	struct name *n = find_name(names, path);

	if (n != NULL)
		*n = names->list[--names->n];
}

static void
apply_name_op(struct names *names, const struct name_op *op)
{
	if (op->from[0] != '\0') {
		const struct name *n = find_name(names, op->from);

		if (n != NULL && n->inode == op->inode)
			remove_name(names, op->from);
	}
	if (op->to[0] != '\0')
		add_name(names, op->to, op->inode);
}

static void
note_name_op(struct sim_disk *d, const char *from, const char *to, struct inode *inode)
{
	struct name_op *op = need(calloc(1, sizeof *op)), **at;

	(void)snprintf(op->from, sizeof op->from, "%s", from);
	(void)snprintf(op->to, sizeof op->to, "%s", to);
	op->inode = inode;
	for (at = &d->name_ops; *at != NULL; at = &(*at)->next)
		;
	*at = op;
}

NOT_FUZZED static bool
is_in(const char *path, const char *folder)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	return path[0] != '\0' && n == strlen(folder) && memcmp(path, folder, n) == 0;
}

/* --- faults --- */

/* 0: go on. */
static int
before(struct sim_disk *d, enum sim_op op)
{
	if (d->dead)
		return -EIO;
	d->operations++;
	if (d->cutting && d->operations > d->cut_after) {
		d->dead = true;
		return -EIO;
	}
	if (!d->failing || (d->fail_op != SIM_ANY && d->fail_op != op))
		return 0;
	if (d->fail_in > 1) {
		d->fail_in--;
		return 0;
	}
	if (!d->fail_sticky)
		d->failing = false;
	d->failures++;
	return -d->fail_error;
}

uint64_t
sim_disk_used(const struct sim_disk *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < d->now.n; i++)
		n += d->now.list[i].inode == NULL ? 0 : d->now.list[i].inode->now_size;
	return n;
}

static bool
has_room(const struct sim_disk *d, const struct inode *i, uint64_t size)
{
	return size <= i->now_size || sim_disk_used(d) + (size - i->now_size) <= d->capacity;
}

/* --- the interface --- */

static int
sim_open(struct spool_io *io, const char *path, enum spool_open how)
{
	struct sim_disk *d = disk_of(io);
	struct name *n = find_name(&d->now, path);
	int fd;

	if (d->dead)
		return -EIO;
	if (n == NULL && (how == SPOOL_OPEN_READ || how == SPOOL_OPEN_WRITE))
		return -ENOENT;
	if (n != NULL && how == SPOOL_OPEN_CREATE)
		return -EEXIST;
	for (fd = 0; fd < FDS_MAX && d->fds[fd] != NULL; fd++)
		;
	if (fd == FDS_MAX)
		return -EMFILE;
	if (n == NULL) {
		struct inode *i;
		int rc = before(d, SIM_CREATE);

		if (rc != 0 && !d->dead)
			return rc;
		i = inode_new(d);
		add_name(&d->now, path, i);
		note_name_op(d, "", path, i);
		if (rc != 0)
			return rc;
		d->fds[fd] = i;
		return fd;
	}
	d->fds[fd] = n->inode;
	return fd;
}

static int
sim_close(struct spool_io *io, int fd)
{
	disk_of(io)->fds[fd] = NULL;
	return 0;
}

static ssize_t
sim_pread(struct spool_io *io, int fd, void *to, size_t n, uint64_t at)
{
	struct sim_disk *d = disk_of(io);
	const struct inode *i = d->fds[fd];

	if (d->dead)
		return -EIO;
	if (at >= i->now_size)
		return 0;
	if (n > i->now_size - at)
		n = i->now_size - at;
	/* Short reads are legal. */
	if (n > 1000 && (next_random(&d->seed) & 7) == 0)
		n -= 100;
	memcpy(to, i->now + at, n);
	return (ssize_t)n;
}

static ssize_t
sim_pwritev(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at)
{
	struct sim_disk *d = disk_of(io);
	struct inode *i = d->fds[fd];
	size_t total = 0, limit;
	int rc = before(d, SIM_WRITE);

	if (rc != 0 && !d->dead)
		return rc;
	for (int k = 0; k < n; k++)
		total += v[k].iov_len;
	/* Short writes are legal. */
	limit = total > 1000 && (next_random(&d->seed) & 7) == 0 ? total / 2 : total;
	if (!has_room(d, i, at + limit))
		return -ENOSPC;
	total = 0;
	for (int k = 0; k < n && total < limit; k++) {
		size_t part = v[k].iov_len < limit - total ? v[k].iov_len : limit - total;

		put_bytes(&i->now, &i->now_size, &i->now_cap, at + total, v[k].iov_base, part);
		add_pending(i, at + total, v[k].iov_base, part);
		total += part;
	}
	return rc != 0 ? rc : (ssize_t)total;
}

static int
sim_datasync(struct spool_io *io, int fd)
{
	struct sim_disk *d = disk_of(io);
	struct inode *i = d->fds[fd];
	int rc = before(d, SIM_SYNC);

	if (rc == 0)
		make_safe(i);
	else if (!d->dead)
		/* The kernel has marked the pages clean: whether they are on the disk, nobody will ever hear. */
		for (struct pending *p = i->pending; p != NULL; p = p->next)
			p->doomed = true;
	return rc;
}

NOT_FUZZED static int
sim_sync_folder(struct spool_io *io, const char *path)
{
	struct sim_disk *d = disk_of(io);
	int rc = before(d, SIM_SYNC_FOLDER);
	struct name_op **at = &d->name_ops, *op;

	if (rc != 0)
		return rc;
	while ((op = *at) != NULL) {
		if (!is_in(op->from, path) && !is_in(op->to, path)) {
			at = &op->next;
			continue;
		}
		apply_name_op(&d->safe, op);
		*at = op->next;
		free(op);
	}
	return 0;
}

static int
sim_hint(struct spool_io *io, int fd, uint64_t at, uint64_t n)
{
	(void)io, (void)fd, (void)at, (void)n;
	return 0;
}

/* What a failed sync left in memory alone goes, or turns out to be on the disk. Pages that are still dirty stay. */
static int
sim_forget(struct spool_io *io, int fd)
{
	struct sim_disk *d = disk_of(io);
	struct inode *i = d->fds[fd];
	struct pending **at = &i->pending, *p;
	bool doomed = false;

	while ((p = *at) != NULL) {
		if (!p->doomed) {
			at = &p->next;
			continue;
		}
		doomed = true;
		if ((next_random(&d->seed) & 1) != 0)
			make_true(i, p);
		*at = p->next;
		free(p->bytes);
		free(p);
	}
	i->pending_end = at;
	if (!doomed)
		return 0;
	set_size(&i->now, &i->now_size, &i->now_cap, 0);
	put_bytes(&i->now, &i->now_size, &i->now_cap, 0, i->safe, i->safe_size);
	for (p = i->pending; p != NULL; p = p->next)
		if (p->bytes == NULL)
			set_size(&i->now, &i->now_size, &i->now_cap, p->n);
		else
			put_bytes(&i->now, &i->now_size, &i->now_cap, p->at, p->bytes, p->n);
	return 0;
}

static int
sim_skip_hole(struct spool_io *io, int fd, uint64_t *at)
{
	(void)io, (void)fd, (void)at;
	return 0;
}

static int
resize(struct spool_io *io, int fd, uint64_t bytes, enum sim_op op)
{
	struct sim_disk *d = disk_of(io);
	struct inode *i = d->fds[fd];
	int rc = before(d, op);

	if (rc != 0 && !d->dead)
		return rc;
	if (op == SIM_RESERVE && bytes < i->now_size)
		return rc;
	if (!has_room(d, i, bytes))
		return -ENOSPC;
	set_size(&i->now, &i->now_size, &i->now_cap, bytes);
	add_pending(i, 0, NULL, bytes);
	return rc;
}

static int
sim_reserve(struct spool_io *io, int fd, uint64_t bytes)
{
	return resize(io, fd, bytes, SIM_RESERVE);
}

static int
sim_truncate(struct spool_io *io, int fd, uint64_t bytes)
{
	return resize(io, fd, bytes, SIM_TRUNCATE);
}

static int
sim_size(struct spool_io *io, int fd, uint64_t *ret_bytes)
{
	if (disk_of(io)->dead)
		return -EIO;
	*ret_bytes = disk_of(io)->fds[fd]->now_size;
	return 0;
}

static int
sim_stat(struct spool_io *io, const char *path, uint64_t *ret_bytes)
{
	const struct name *n = find_name(&disk_of(io)->now, path);

	if (disk_of(io)->dead)
		return -EIO;
	if (n == NULL || n->inode == NULL)
		return -ENOENT;
	*ret_bytes = n->inode->now_size;
	return 0;
}

static int
sim_rename(struct spool_io *io, const char *from, const char *to, bool replace)
{
	struct sim_disk *d = disk_of(io);
	const struct name *n = find_name(&d->now, from);
	struct inode *i;
	int rc;

	if (d->dead)
		return -EIO;
	if (n == NULL)
		return -ENOENT;
	if (!replace && find_name(&d->now, to) != NULL)
		return -EEXIST;
	i = n->inode;
	rc = before(d, SIM_RENAME);
	if (rc != 0 && !d->dead)
		return rc;
	note_name_op(d, from, to, i);
	remove_name(&d->now, from);
	add_name(&d->now, to, i);
	return rc;
}

static int
sim_unlink(struct spool_io *io, const char *path)
{
	struct sim_disk *d = disk_of(io);
	const struct name *n = find_name(&d->now, path);
	int rc;

	if (d->dead)
		return -EIO;
	if (n == NULL)
		return -ENOENT;
	rc = before(d, SIM_UNLINK);
	if (rc != 0 && !d->dead)
		return rc;
	note_name_op(d, path, "", n->inode);
	remove_name(&d->now, path);
	return rc;
}

static int
sim_mkdir(struct spool_io *io, const char *path)
{
	struct sim_disk *d = disk_of(io);

	if (d->dead)
		return -EIO;
	if (find_name(&d->now, path) != NULL)
		return -EEXIST;
	add_name(&d->now, path, NULL);
	note_name_op(d, "", path, NULL);
	return 0;
}

NOT_FUZZED static int
sim_list(struct spool_io *io, const char *path, spool_list_fn *fn, void *arg)
{
	struct sim_disk *d = disk_of(io);
	char (*found)[SPOOL_PATH_MAX] = NULL;
	uint64_t folder = hash_of(path, strlen(path));
	size_t n = 0;
	int rc = 0;

	if (d->dead)
		return -EIO;
	/* A copy: fn may unlink. */
	for (size_t i = 0; i < d->now.n; i++)
		if (d->now.list[i].folder == folder && is_in(d->now.list[i].path, path)) {
			const char *slash = strrchr(d->now.list[i].path, '/');

			found = need(reallocarray(found, n + 1, sizeof *found));
			(void)snprintf(found[n++], SPOOL_PATH_MAX, "%s", slash == NULL ? d->now.list[i].path : slash + 1);
		}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, found[i]);
	free(found);
	return rc;
}

static int
sim_space(struct spool_io *io, struct spool_space *ret_space)
{
	struct sim_disk *d = disk_of(io);
	uint64_t used = sim_disk_used(d);

	if (d->dead)
		return -EIO;
	*ret_space = (struct spool_space){ used < d->capacity ? d->capacity - used : 0, d->capacity, NULL };
	return 0;
}

static int
sim_lock(struct spool_io *io, int fd)
{
	(void)io, (void)fd;
	return 0;
}

static int64_t
sim_now(struct spool_io *io)
{
	return disk_of(io)->wall++;
}

static void
sim_random(struct spool_io *io, void *to, size_t n)
{
	uint8_t *p = to;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next_random(&disk_of(io)->seed);
}

static const struct spool_io_ops sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwritev = sim_pwritev,
	.datasync = sim_datasync,
	.sync_folder = sim_sync_folder,
	.start_writeback = sim_hint,
	.forget = sim_forget,
	.skip_hole = sim_skip_hole,
	.reserve = sim_reserve,
	.truncate = sim_truncate,
	.size = sim_size,
	.stat = sim_stat,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.mkdir = sim_mkdir,
	.list = sim_list,
	.space = sim_space,
	.lock = sim_lock,
	.now = sim_now,
	.random = sim_random,
};

/* --- life --- */

struct sim_disk *
sim_disk_new(uint64_t seed)
{
	struct sim_disk *d = need(calloc(1, sizeof *d));

	d->io.ops = &sim_ops;
	d->seed = seed;
	d->capacity = UINT64_C(1) << 40;
	d->wall = INT64_C(1700000000000000);
	return d;
}

void
sim_disk_free(struct sim_disk *d)
{
	struct inode *i;
	struct name_op *op;

	if (d == NULL)
		return;
	while ((i = d->inodes) != NULL) {
		d->inodes = i->next;
		drop_pending(i);
		free(i->now);
		free(i->safe);
		free(i);
	}
	while ((op = d->name_ops) != NULL) {
		d->name_ops = op->next;
		free(op);
	}
	free(d->now.list);
	free(d->safe.list);
	free(d);
}

struct spool_io *
sim_disk_io(struct sim_disk *d)
{
	return &d->io;
}

void
sim_disk_cut_after(struct sim_disk *d, uint64_t n)
{
	d->cutting = true;
	d->cut_after = d->operations + n;
}

bool
sim_disk_is_dead(const struct sim_disk *d)
{
	return d->dead;
}

void
sim_disk_reopen(struct sim_disk *d)
{
	memset(d->fds, 0, sizeof d->fds);
	d->dead = d->cutting = false;
}

uint64_t
sim_disk_operations(const struct sim_disk *d)
{
	return d->operations;
}

void
sim_disk_fail(struct sim_disk *d, enum sim_op op, uint64_t nth, int error, bool sticky)
{
	d->fail_op = op;
	d->fail_in = nth;
	d->fail_error = error;
	d->fail_sticky = sticky;
	d->failing = true;
}

uint64_t
sim_disk_failures(const struct sim_disk *d)
{
	return d->failures;
}

void
sim_disk_heal(struct sim_disk *d)
{
	d->failing = false;
}

void
sim_disk_capacity(struct sim_disk *d, uint64_t bytes)
{
	d->capacity = bytes;
}

void
sim_disk_set_now(struct sim_disk *d, int64_t now)
{
	d->wall = now;
}

uint8_t *
sim_disk_file(struct sim_disk *d, const char *path, uint64_t *ret_bytes)
{
	const struct name *n = find_name(&d->now, path);

	if (n == NULL || n->inode == NULL)
		return NULL;
	*ret_bytes = n->inode->now_size;
	return n->inode->now;
}

void
sim_disk_put(struct sim_disk *d, const char *path, const void *bytes, size_t n)
{
	struct inode *i = inode_new(d);

	put_bytes(&i->now, &i->now_size, &i->now_cap, 0, bytes, n);
	put_bytes(&i->safe, &i->safe_size, &i->safe_cap, 0, bytes, n);
	add_name(&d->now, path, i);
	add_name(&d->safe, path, i);
}

const char *
sim_disk_name(struct sim_disk *d, const char *prefix, unsigned n)
{
	for (size_t i = 0; i < d->now.n; i++)
		if (strncmp(d->now.list[i].path, prefix, strlen(prefix)) == 0 && n-- == 0)
			return d->now.list[i].path;
	return NULL;
}

/* --- the cut --- */

static bool
survives(enum sim_cut how, uint64_t *seed, bool is_name, bool *prefix_over)
{
	switch (how) {
	case SIM_CUT_NOTHING:
	case SIM_CUTS:
		return false;
	case SIM_CUT_ALL:
		return true;
	case SIM_CUT_NAMES:
		return is_name;
	case SIM_CUT_DATA:
		return !is_name;
	case SIM_CUT_PREFIX:
		*prefix_over |= (next_random(seed) & 3) == 0;
		return !*prefix_over;
	case SIM_CUT_RANDOM:
	case SIM_CUT_GARBAGE:
		return (next_random(seed) & 1) != 0;
	}
	return false;
}

static void
keep_sectors(struct inode *to, const struct pending *p, enum sim_cut how, uint64_t *seed, bool *prefix_over)
{
	for (uint64_t at = p->at, end = p->at + p->n; at < end;) {
		uint64_t next = (at / SIM_SECTOR + 1) * SIM_SECTOR;

		if (next > end)
			next = end;
		if (survives(how, seed, false, prefix_over))
			put_bytes(&to->now, &to->now_size, &to->now_cap, at, p->bytes + (at - p->at), next - at);
		else if (how == SIM_CUT_GARBAGE && at >= to->now_size) {
			/* The size reached the disk, the data did not: what was there before shows through. */
			uint64_t old = to->now_size;

			set_size(&to->now, &to->now_size, &to->now_cap, next);
			for (uint64_t i = old; i < next; i++)
				to->now[i] = (uint8_t)next_random(seed);
		}
		at = next;
	}
}

static struct inode *
copy_inode(struct sim_disk *to, const struct inode *from, enum sim_cut how, uint64_t *seed)
{
	struct inode *i = inode_new(to);
	bool over = false;

	put_bytes(&i->now, &i->now_size, &i->now_cap, 0, from->safe == NULL ? (const uint8_t *)"" : from->safe, from->safe_size);
	for (const struct pending *p = from->pending; p != NULL; p = p->next) {
		if (p->bytes != NULL)
			keep_sectors(i, p, how, seed, &over);
		else if (survives(how, seed, false, &over))
			set_size(&i->now, &i->now_size, &i->now_cap, p->n);
	}
	put_bytes(&i->safe, &i->safe_size, &i->safe_cap, 0, i->now == NULL ? (const uint8_t *)"" : i->now, i->now_size);
	return i;
}

struct sim_disk *
sim_disk_after_cut(const struct sim_disk *d, enum sim_cut how, uint64_t seed)
{
	struct sim_disk *to = sim_disk_new(seed ^ 77);
	struct names names = { NULL, 0, 0 };
	bool over = false;

	to->capacity = d->capacity;
	to->wall = d->wall;
	for (size_t i = 0; i < d->safe.n; i++)
		add_name(&names, d->safe.list[i].path, d->safe.list[i].inode);
	for (const struct name_op *op = d->name_ops; op != NULL; op = op->next)
		/* Folders are made at the first start only; losing them teaches nothing. */
		if (op->inode == NULL || survives(how, &seed, true, &over))
			apply_name_op(&names, op);
	for (size_t i = 0; i < names.n; i++) {
		struct inode *inode = names.list[i].inode == NULL ? NULL : copy_inode(to, names.list[i].inode, how, &seed);

		add_name(&to->now, names.list[i].path, inode);
		add_name(&to->safe, names.list[i].path, inode);
	}
	free(names.list);
	return to;
}
