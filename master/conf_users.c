/* master/conf_users.c -- see conf_users.h. */
#include "master/conf_users.h"

#include "common/users_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A line at a time: the file may be long, and there are secrets in it. */
enum rc
conf_users_check(const struct conf *c, struct buf *errors)
{
	const struct conf_auth *a = &c->auth;
	enum rc rc = RC_OK;
	struct users_check u;
	size_t size = 0;
	const char *unfit;
	char *line = NULL;
	struct stat st;
	ssize_t n;
	FILE *f;
	int fd, saved;

	if (*a->users_file == '\0')
		return RC_OK;
	fd = open(a->users_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	f = fd == -1 ? NULL : fdopen(fd, "r");
	saved = errno;
	if (f == NULL) {
		put_place(a, errors);
		(void)buf_printf(errors, "%s cannot be opened: %s; posternctl passwd --file %s NAME makes it\n", a->users_file,
		    strerror(saved), a->users_file);
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	unfit = fstat(fd, &st) == 0 ? users_file_unfit(&st) : strerror(errno);
	if (unfit != NULL) {
		put_place(a, errors);
		(void)buf_printf(errors, "%s %s\n", a->users_file, unfit);
		rc = RC_DENIED;
	}
	users_check_init(&u, a->max_hash_memory);
	while (rc == RC_OK && (n = getline(&line, &size, f)) > 0)
		rc = check_line(a, &u, slice_of(line, (size_t)n), errors);
	users_check_free(&u);
	free(line);
	(void)fclose(f);
	return rc;
}
