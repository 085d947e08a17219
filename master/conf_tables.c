/* master/conf_tables.c -- rules and tables, checked before any room hears of them, see conf_tables.h. */
#include "master/conf_tables.h"

#include "common/policy/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct loading {
	struct buf bytes;
	uint64_t max;
};

/* Reads to the end of the file; no more than the limit, however fast it grows. */
static enum rc
read_whole(int fd, struct loading *l, struct buf *why)
{
	ssize_t n = 1;

	while (n > 0) {
		uint8_t *at = buf_reserve(&l->bytes, 64 * 1024);

		if (at == NULL) {
			(void)buf_put_str(why, "is larger than router { max-table-size }; raise it, or make the table smaller");
			return RC_RANGE;
		}
		n = read(fd, at, 64 * 1024);
		if (n > 0)
			buf_advance(&l->bytes, (size_t)n);
		else if (n == -1 && errno == EINTR)
			n = 1;
	}
	if (n == 0)
		return RC_OK;
	(void)buf_printf(why, "cannot be read: %m");
	return RC_IO;
}

static enum rc
load(void *ctx, struct slice name, const char *path, struct slice *ret_bytes, struct buf *why)
{
	struct loading *l = ctx;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	enum rc rc;

	(void)name;
	if (fd == -1 || fstat(fd, &st) == -1) {
		(void)buf_printf(why, "cannot be opened: %m");
		return RC_IO;
	}
	buf_free(&l->bytes);
	buf_init(&l->bytes, l->max + 64 * 1024);
	if (!S_ISREG(st.st_mode)) {
		(void)buf_put_str(why, "is not a regular file; a table must be one");
		rc = RC_UNSUPPORTED;
	} else
		rc = read_whole(fd, l, why);
	(void)close(fd);
	if (rc == RC_OK)
		*ret_bytes = buf_slice(&l->bytes);
	return rc;
}

enum rc
conf_tables_check(struct conf *c, struct buf *errors)
{
	struct loading l = { BUF_INIT(0), c->router.max_table };
	enum rc rc = policy_check_conf(c, load, &l, errors);

	if (rc != RC_OK)
		(void)buf_put_byte(errors, '\n');
	buf_free(&l.bytes);
	return rc;
}
