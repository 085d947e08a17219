/* master/paths.c -- the folders of an installation, see paths.h. */
#include "master/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
joined(const char *a, const char *b)
{
	char *s = NULL;

	if (asprintf(&s, "%s/%s", a, b) == -1)
		return NULL;
	return s;
}

/* What the configuration says, or BASE/name, or the place of the build. */
static char *
chosen(const char *configured, const char *base, const char *name, const char *built_in)
{
	if (*configured != '\0')
		return strdup(configured);
	return base != NULL ? joined(base, name) : strdup(built_in);
}

enum rc
paths_choose(const struct conf_global *conf, const char *base, struct paths *ret_paths)
{
	struct paths p = { 0 };

	p.state_dir = chosen(conf->state_dir, base, "spool", POSTERN_LOCALSTATEDIR "/spool/postern");
	p.run_dir = chosen(conf->run_dir, base, "run", POSTERN_RUNSTATEDIR);
	if (p.state_dir != NULL && p.run_dir != NULL) {
		p.control = joined(p.run_dir, "control");
		p.empty = joined(p.run_dir, "empty");
		p.scratch = joined(p.run_dir, "scratch");
	}
	if (p.control == NULL || p.empty == NULL || p.scratch == NULL) {
		paths_free(&p);
		return RC_NOMEM;
	}
	*ret_paths = p;
	return RC_OK;
}

void
paths_free(struct paths *p)
{
	free(p->state_dir);
	free(p->run_dir);
	free(p->control);
	free(p->empty);
	free(p->scratch);
	*p = (struct paths){ 0 };
}

int
paths_open_folder(const char *path, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		(void)buf_printf(why, "%s: %m", path);
	return fd;
}

/* Missing parents are made too, 0755, as install(1) would. */
static enum rc
make_parents(const char *path, struct buf *why)
{
	char *copy = strdup(path);
	enum rc rc = RC_OK;

	if (copy == NULL) {
		(void)buf_printf(why, "%s: out of memory", path);
		return RC_NOMEM;
	}
	for (char *slash = strchr(copy + 1, '/'); slash != NULL && rc == RC_OK; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST) {
			rc = rc_from_errno(errno);
			(void)buf_printf(why, "%s: %m", copy);
		}
		*slash = '/';
	}
	free(copy);
	return rc;
}

/* By descriptor: what is changed is what was opened, whatever stands at the path meanwhile. */
static enum rc
make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid, struct buf *why)
{
	enum rc rc = make_parents(path, why);
	struct stat st;
	int fd;

	if (rc != RC_OK)
		return rc;
	if (mkdir(path, mode) == -1 && errno != EEXIST) {
		rc = rc_from_errno(errno);
		(void)buf_printf(why, "%s: cannot be made: %m", path);
		return rc;
	}
	fd = paths_open_folder(path, why);
	if (fd == -1)
		return RC_IO;
	if (fstat(fd, &st) == -1 || ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) == -1) ||
	    ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)) {
		rc = rc_from_errno(errno);
		(void)buf_printf(why, "%s: owner and mode cannot be set: %m", path);
	}
	(void)close(fd);
	return rc;
}

enum rc
paths_make(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why)
{
	enum rc rc = make_folder(p->run_dir, 0755, 0, 0, why);

	if (rc == RC_OK)
		rc = make_folder(p->empty, 0555, 0, 0, why);
	if (rc == RC_OK)
		rc = make_folder(p->scratch, 0555, 0, 0, why);
	if (rc == RC_OK)
		rc = make_folder(p->state_dir, 0700, queue_uid, queue_gid, why);
	return rc;
}

enum rc
paths_check_spool(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why)
{
	char *name = joined(p->state_dir, "spool.id");
	struct stat st;
	bool foreign = name != NULL && lstat(name, &st) == 0 && st.st_uid != queue_uid;

	free(name);
	if (!foreign)
		return RC_OK;
	(void)buf_printf(why, "%s: this spool belongs to uid %u, and the queue is to run as uid %u (uid-base, or the account"
	    " postern-queue); with Postern stopped: chown -R %u:%u %s", p->state_dir, (unsigned)st.st_uid, (unsigned)queue_uid,
	    (unsigned)queue_uid, (unsigned)queue_gid, p->state_dir);
	return RC_DENIED;
}
