/* router/tables.c -- table files: from the descriptors that master sent to a compiled policy. */
#include "router/router.h"

#include "common/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static enum rc
refuse(struct buf *why, enum rc rc, const char *words)
{
	(void)buf_put_str(why, words);
	return rc;
}

/* The bytes of a descriptor, which must be a regular file of at most max bytes. RC_OK: *ret_bytes is malloc'd.
 * Else words in why. Blocks: the file is local and read at start and reload only. */
static enum rc
router_read_file(int fd, uint64_t max, uint8_t **ret_bytes, size_t *ret_n, struct buf *why)
{
	struct stat st;
	uint8_t *bytes;
	size_t n, size;
	enum rc rc;

	if (fstat(fd, &st) == -1)
		return refuse(why, rc_from_errno(errno), strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(why, RC_UNSUPPORTED, "is not a regular file; a table must be one");
	if ((uint64_t)st.st_size > max)
		return refuse(why, RC_RANGE, table_too_large);
	size = (size_t)st.st_size;
	bytes = malloc(size + 1);
	if (bytes == NULL)
		return refuse(why, RC_NOMEM, "does not fit: out of memory");
	rc = file_read(fd, bytes, size, &n);	/* one that grows meanwhile is not followed */
	if (rc != RC_OK) {
		(void)buf_printf(why, "cannot be read: %m");
		free(bytes);
		return rc;
	}
	*ret_bytes = bytes;
	*ret_n = n;
	return RC_OK;
}

/* What policy_new() loads by: one file in memory at a time. */
struct loading {
	router_fd_fn *descriptor;
	void *ctx;
	uint64_t max;
	uint8_t *bytes;
};

static enum rc
load(void *ctx, struct slice name, const char *path, struct slice *ret_bytes, struct buf *why)
{
	struct loading *l = ctx;
	int fd = l->descriptor(l->ctx, name);
	uint8_t *bytes;
	size_t n;
	enum rc rc;

	(void)path;
	if (fd == -1)
		return refuse(why, RC_NOTFOUND, "could not be opened");
	free(l->bytes);
	l->bytes = NULL;
	rc = router_read_file(fd, l->max, &bytes, &n, why);
	if (rc != RC_OK)
		return rc;
	l->bytes = bytes;
	*ret_bytes = slice_of(bytes, n);
	return RC_OK;
}

enum rc
router_compile(struct conf *conf, router_fd_fn *descriptor, void *ctx, struct policy **ret_policy, struct buf *why)
{
	struct loading l = { descriptor, ctx, conf->router.max_table_size, NULL };
	enum rc rc = policy_new(conf, load, &l, ret_policy, why);

	free(l.bytes);
	return rc;
}
