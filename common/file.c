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

enum rc
file_read_buf(int fd, struct buf *to)
{
	size_t at = 0;

	for (;;) {
		size_t step = buf_room(to) < STEP ? buf_room(to) : STEP;
		size_t n = 0;
		enum rc rc;
		uint8_t more, *room = step == 0 ? &more : buf_reserve(to, step);

		if (room == NULL) {
			errno = ENOMEM;
			return RC_NOMEM;
		}
		rc = read_from(fd, room, step == 0 ? 1 : step, at, &n);
		if (rc != RC_OK || n == 0)
			return rc;
		if (step == 0) {
			errno = EFBIG;
			return RC_RANGE;
		}
		buf_advance(to, n);
		at += n;
	}
}
