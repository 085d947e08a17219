/* common/file.c -- see file.h. */
#include "common/file.h"

#include <errno.h>
#include <unistd.h>

enum { STEP = 16 * 1024 };

/* From `at` on, up to the end or max bytes. */
static enum rc
read_from(int fd, uint8_t *to, size_t max, size_t at, size_t *ret_n)
{
	size_t n = 0;

	while (n < max) {
		ssize_t got = pread(fd, to + n, max - n, (off_t)(at + n));

		if (got == 0)
			break;
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR)
			return rc_from_errno(errno);
	}
	*ret_n = n;
	return RC_OK;
}

enum rc
file_read(int fd, void *to, size_t max, size_t *ret_n)
{
	return read_from(fd, to, max, 0, ret_n);
}

/* The buffer is full: is that all? */
static enum rc
check_end(int fd, size_t at)
{
	uint8_t more;
	size_t n = 0;
	enum rc rc = read_from(fd, &more, sizeof more, at, &n);

	if (rc != RC_OK || n == 0)
		return rc;
	errno = EFBIG;
	return RC_RANGE;
}

enum rc
file_read_buf(int fd, struct buf *to)
{
	size_t at = 0;

	while (buf_room(to) > 0) {
		size_t step = buf_room(to) < STEP ? buf_room(to) : STEP, n = 0;
		uint8_t *room = buf_reserve(to, step);
		enum rc rc;

		if (room == NULL) {
			errno = ENOMEM;
			return RC_NOMEM;
		}
		rc = read_from(fd, room, step, at, &n);
		if (rc != RC_OK || n == 0)
			return rc;
		buf_advance(to, n);
		at += n;
	}
	return check_end(fd, at);
}
