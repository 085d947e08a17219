/* vault/auth_files.c -- see auth_files.h. */
#include "vault/auth_files.h"

#include "common/file.h"
#include "common/users_file.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void
auth_files_forget(struct auth *auth)
{
	while (auth->files != NULL) {
		struct auth_file *f = auth->files;

		auth->files = f->next;
		(void)close(f->fd);
		free(f->name);
		free(f->path);
		free(f);
	}
	auth->n_files = 0;
}

bool
auth_files_are_of(const struct auth *auth, uint8_t purpose, uint32_t generation)
{
	return auth->files != NULL && auth->files->purpose == purpose && auth->files->generation == generation;
}

void
auth_files_take(struct auth *auth, const struct m_file *m, int fd)
{
	struct auth_file *f = NULL;
	bool ours = m->purpose == FILE_AUTH || m->purpose == FILE_USERS;

	/* Of a generation that never came to its end. */
	if (ours && !auth_files_are_of(auth, m->purpose, m->generation))
		auth_files_forget(auth);
	if (ours && auth->n_files < AUTH_FILES_MAX)
		f = calloc(1, sizeof *f);
	if (f != NULL) {
		f->name = strndup((const char *)m->name.p, m->name.n);
		f->path = strndup((const char *)m->path.p, m->path.n);
	}
	if (f == NULL || f->name == NULL || f->path == NULL) {
		if (f != NULL) {
			free(f->name);
			free(f->path);
		}
		free(f);
		(void)close(fd);
		return;
	}
	f->generation = m->generation;
	f->purpose = m->purpose;
	f->fd = fd;
	f->next = auth->files;
	auth->files = f;
	auth->n_files++;
}

/* The whole file, up to the size that it had. A file that grows meanwhile is not followed. */
static enum rc
read_whole(int fd, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct buf *why)
{
	struct stat st;
	uint8_t *bytes;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > USERS_FILE_MAX) {
		(void)buf_printf(why, "%s: is not there, no regular file, or too large", path);
		return RC_IO;
	}
	bytes = malloc((size_t)st.st_size + 1);
	if (bytes == NULL) {
		(void)buf_printf(why, "%s: out of memory", path);
		return RC_NOMEM;
	}
	if (file_read(fd, bytes, (size_t)st.st_size, ret_n) != RC_OK) {
		(void)buf_printf(why, "%s: cannot be read: %m", path);
		free(bytes);
		return RC_IO;
	}
	*ret_bytes = bytes;
	return RC_OK;
}

typedef int find_fn(void *ctx, const char *name);

static enum rc
load_one(struct users *u, const struct conf_auth *conf, const char *name, const char *path, int fd, struct buf *why)
{
	uint8_t *bytes;
	size_t n;
	enum rc rc = read_whole(fd, path, &bytes, &n, why);

	if (rc != RC_OK)
		return rc;
	if (strcmp(name, "users") == 0)
		rc = users_load(u, slice_of(bytes, n), path, conf->max_hash_memory, why);
	else
		rc = users_load_certificates(u, slice_of(bytes, n), path, why);
	sodium_memzero(bytes, n);
	free(bytes);
	return rc;
}

static enum rc
load_all(const struct conf_auth *conf, find_fn *find, void *ctx, struct users **ret_users, struct buf *why)
{
	const struct { const char *name, *path; } files[] = {
		{ "users", conf->users_file }, { "certificates", conf->certificates_file },
	};
	struct users *u = users_new();
	enum rc rc = u == NULL ? RC_NOMEM : RC_OK;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == RC_OK; i++)
		if (*files[i].path != '\0')
			rc = load_one(u, conf, files[i].name, files[i].path, find(ctx, files[i].name), why);
	if (rc == RC_OK)
		rc = users_complete(u, conf->max_hash_memory);
	if (rc == RC_OK)
		*ret_users = u;
	else
		users_free(u);
	return rc;
}

static int
kept_descriptor(void *ctx, const char *name)
{
	const struct auth *auth = ctx;

	for (const struct auth_file *f = auth->files; f != NULL; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f->fd;
	return -1;
}

static int
room_descriptor(void *ctx, const char *name)
{
	return room_file(ctx, FILE_AUTH, slice_str(name));
}

enum rc
auth_files_read(struct auth *auth, const struct conf *conf, struct users **ret_users, struct buf *why)
{
	return load_all(&conf->auth, kept_descriptor, auth, ret_users, why);
}

enum rc
auth_files_read_first(struct auth *auth, struct room *room, struct users **ret_users, struct buf *why)
{
	return load_all(&auth->conf->auth, room_descriptor, room, ret_users, why);
}
