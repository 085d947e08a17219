/* master/conf_users.c -- see conf_users.h. */
#include "master/conf_users.h"

#include "common/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum rc
check_line(const struct conf_auth *a, struct slice line, unsigned number, struct buf *errors)
{
	struct buf why = BUF_INIT(512);
	struct credential c;
	enum rc rc;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	rc = credential_parse(line, &c, &why);
	if (rc == RC_OK && c.memory > a->hash_memory) {
		(void)buf_put_str(&why, "asks for more memory than auth { max-hash-memory }");
		rc = RC_RANGE;
	}
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc != RC_OK) {
		(void)buf_printf(errors, "%s:%u: this line ", a->users_file, number);
		(void)buf_put_slice(errors, buf_slice(&why));
		(void)buf_put_byte(errors, '\n');
	}
	buf_free(&why);
	return rc;
}

const char *
conf_users_unfit(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if ((st->st_mode & S_IRWXO) != 0)
		return "may be read or changed by everybody on this machine; chmod o= takes that away";
	return NULL;
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
	unsigned number = 0;
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
	unfit = fstat(fd, &st) == 0 ? conf_users_unfit(&st) : strerror(errno);
	if (unfit != NULL) {
		put_place(a, errors);
		(void)buf_printf(errors, "%s %s\n", a->users_file, unfit);
		rc = RC_DENIED;
	}
	while (rc == RC_OK && (n = getline(&line, &size, f)) > 0)
		rc = check_line(a, slice_of(line, line[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n), ++number, errors);
	free(line);
	(void)fclose(f);
	return rc;
}
