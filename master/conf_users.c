/* master/conf_users.c -- see conf_users.h. */
#include "master/conf_users.h"

#include "common/users_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum rc
check_line(const struct conf_auth *a, struct users_check *u, struct slice line, struct buf *errors)
{
	struct buf why = BUF_INIT(512);
	struct slice bare;
	enum rc rc = users_line_next(&line, &bare) ? users_check_line(u, bare, &why) : RC_OK;

	if (rc != RC_OK) {
		(void)buf_printf(errors, "%s:%u: this line ", a->users_file, u->line);
		(void)buf_put_slice(errors, buf_slice(&why));
		(void)buf_put_byte(errors, '\n');
	}
	buf_free(&why);
	return rc;
}

/* Where the file is named. */
static void
put_place(const struct conf_auth *a, struct buf *errors)
{
	if (a->conf_file != NULL)
		(void)buf_printf(errors, "%s:%u: ", a->conf_file, a->conf_line);
	(void)buf_put_str(errors, "auth: users-file: ");
}

/* --- its lines --- */

enum { BLOCK_BYTES = 8 * CREDENTIAL_LINE_MAX };

/* There are hashes in every block, so there is one place only that they are read to, and it is wiped. (A FILE has a buffer
 * that nobody else can reach, and getline() leaves copies behind when it takes a larger one.) */
struct block {
	int fd;
	size_t start, end;
	bool passes;		/* what is next is the rest of a line that was given */
	uint8_t bytes[BLOCK_BYTES];
};

/* More bytes. 0: there are none; -1: errno. */
static ssize_t
fill(struct block *b)
{
	ssize_t n;

	if (b->start > 0)
		memmove(b->bytes, b->bytes + b->start, b->end - b->start);
	b->end -= b->start;
	b->start = 0;
	do
		n = read(b->fd, b->bytes + b->end, sizeof b->bytes - b->end);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		b->end += (size_t)n;
	return n;
}

/* The next line with its end; of one that is longer than a block, which can only be a comment or a mistake, as much as a block
 * holds. 1, 0: there is none, -1: errno. */
static int
next_line(struct block *b, struct slice *ret_line)
{
	for (;;) {
		struct slice held = slice_of(b->bytes + b->start, b->end - b->start);
		size_t n = slice_find(held, '\n');
		bool whole = n < held.n, full = held.n == sizeof b->bytes, passes = b->passes;
		ssize_t got = whole || full ? 1 : fill(b);

		if (got == -1 || (got == 0 && held.n == 0))
			return (int)got;
		if (!whole && !full && got > 0)
			continue;
		*ret_line = slice_first(slice_of(b->bytes + b->start, held.n), n + 1);
		b->start += ret_line->n;
		b->passes = !whole;
		if (!passes)
			return 1;
	}
}

static enum rc
check_lines(const struct conf_auth *a, int fd, struct buf *errors)
{
	struct block b = { .fd = fd };
	struct users_check u;
	struct slice line;
	enum rc rc = RC_OK;
	int got = 0;

	users_check_init(&u, a->max_hash_memory);
	while (rc == RC_OK && (got = next_line(&b, &line)) == 1)
		rc = check_line(a, &u, line, errors);
	if (got == -1) {
		const char *reason = strerror(errno);

		put_place(a, errors);
		(void)buf_printf(errors, "%s cannot be read: %s\n", a->users_file, reason);
		rc = RC_IO;
	}
	users_check_free(&u);
	sodium_memzero(&b, sizeof b);
	return rc;
}

enum rc
conf_users_check(const struct conf *c, struct buf *errors)
{
	const struct conf_auth *a = &c->auth;
	const char *unfit;
	struct stat st;
	enum rc rc;
	int fd;

	if (*a->users_file == '\0')
		return RC_OK;
	fd = open(a->users_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1) {
		const char *reason = strerror(errno);

		put_place(a, errors);
		(void)buf_printf(errors, "%s cannot be opened: %s; posternctl passwd --file %s NAME makes it\n", a->users_file,
		    reason, a->users_file);
		return RC_IO;
	}
	unfit = fstat(fd, &st) == 0 ? users_file_unfit(&st) : strerror(errno);
	if (unfit != NULL) {
		put_place(a, errors);
		(void)buf_printf(errors, "%s %s\n", a->users_file, unfit);
		rc = RC_DENIED;
	} else
		rc = check_lines(a, fd, errors);
	(void)close(fd);
	return rc;
}
