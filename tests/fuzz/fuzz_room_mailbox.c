/* tests/fuzz/fuzz_room_mailbox.c -- a mailbox process below a planner that says anything, on a Maildir in a folder of its own;
 * between the steps somebody who owns the mailbox puts things in its way. */
#include "tests/fuzz/room.h"

#include "deliver/mailbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int folder = -1;

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	(void)snprintf(path, sizeof path, "%s/postern-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (c == NULL || mkdtemp(path) == NULL)
		abort();
	return c;
}

static void
empty(const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(fd, e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)unlinkat(folder, name, AT_REMOVEDIR);
	(void)unlinkat(folder, name, 0);
}

static void
empty_all(void)
{
	empty("tmp");
	empty("new");
	empty("cur");
}

static void
begin(struct fuzz_world *w)
{
	struct mailbox *b = calloc(1, sizeof *b);

	/* The folder lives as long as an input: what is left of a fuzzer that was killed is an empty one at most. */
	(void)mkdir(path, 0700);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b == NULL || folder == -1)
		abort();
	fuzz_folder = folder;
	w->room.ctx = b;
	b->room = &w->room;
	b->account.uid = geteuid();
	b->account.gid = getegid();
	b->dir.tmp = b->dir.new = -1;
	b->job.file.fd = -1;
	buf_init(&b->out, IPC_FRAME_MAX + LETTER_HELD_MAX + 2 * LETTER_ADDRESS_MAX);
	(void)snprintf(b->host, sizeof b->host, "mx.house.test");
}

/* Never through a link: this runs as root, and what a link leads to is not ours. */
static void
set_mode(const char *name, mode_t mode)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)!fchmod(fd, mode);
	(void)close(fd);
}

/* The user is at it. */
static void
special(struct fuzz_world *w)
{
	static const char *const names[] = { "tmp", "new", "cur", "tmp" };
	uint8_t what = rd_u8(&w->in);
	const char *name = names[what & 3];

	switch (what >> 2 & 7) {
	case 0: empty(name); break;
	case 1: empty(name); (void)!symlinkat("..", folder, name); break;
	case 2: set_mode(name, 0777); break;
	case 3: empty(name); (void)close(openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); break;
	case 4: set_mode(name, 0700); break;
	default: empty_all(); break;
	}
}

static void
end(struct fuzz_world *w)
{
	struct mailbox *b = w->room.ctx;

	if (b->local != NULL || b->job.active || b->job.file.fd != -1)
		abort();
	mailbox_job_settle(b);
	maildir_close(&b->dir);
	buf_free(&b->out);
	letter_free(&b->job.letter);
	buf_free(&b->job.text);
	free(b->job.rcpts);
	free(b->job.outcomes);
	free(b);
	empty_all();
	(void)close(folder);
	(void)rmdir(path);
}

static const struct fuzz_room def = {
	.role = ROLE_MAILBOX, .ops = &mailbox_ops, .conf = conf, .start = begin, .special = special, .end = end,
	.lines = { ROLE_LOCAL },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
