/* ctl/passwd_known.c -- who is a user, for posternctl explain --user: by the files that the running Postern reads. */
#include "common/policy/suggest.h"
#include "common/prepare.h"
#include "ctl/passwd.h"
#include "ctl/passwd_file.h"
#include "ctl/render.h"
#include "ctl/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_SHOWN = 20, PATH_BYTES_MAX = 4096 };

/* auth { certificates-file }: a fingerprint, white space, the user. */
static bool
certificate_names(const char *path, struct slice user)
{
	FILE *f = fopen(path, "re");
	bool named = f == NULL;	/* who knows */
	char *line = NULL;
	size_t size = 0;

	while (f != NULL && !named && getline(&line, &size, f) > 0) {
		char *rest = line + strspn(line, " \t");

		rest += strcspn(rest, " \t\n");
		rest += strspn(rest, " \t");
		rest[strcspn(rest, " \t\r\n")] = '\0';
		named = slice_eq(slice_str(rest), user);
	}
	free(line);
	if (f != NULL)
		(void)fclose(f);
	return named;
}

static void
say_known(const struct passwd_file *f, struct slice user)
{
	struct slice rest = buf_slice(&f->bytes);
	struct buf close = BUF_INIT(256);
	struct suggest near;
	struct credential c;
	size_t n = 0;

	suggest_init(&near, user);
	(void)fputs("posternctl: there is no user ", stderr);
	render_text(stderr, user);
	(void)fprintf(stderr, " in %s", f->path);
	while (passwd_file_next(&rest, &c)) {
		suggest_offer(&near, c.user);
		if (n++ >= NAMES_SHOWN)
			continue;
		(void)fputs(n == 1 ? "; there are: " : ", ", stderr);
		render_text(stderr, c.user);
	}
	if (n > NAMES_SHOWN)
		(void)fprintf(stderr, " and %zu more", n - NAMES_SHOWN);
	suggest_put(&near, &close);
	render_text(stderr, buf_slice(&close));
	(void)fputc('\n', stderr);
	buf_free(&close);
}

static bool
is_in_files(const char *users, const char *certificates, struct slice user)
{
	struct credential c;
	struct passwd_file f;
	bool known;

	if (access(users, R_OK) == -1 || !passwd_file_open(&f, users, false, false))
		return true;
	known = passwd_file_find(&f, user, &c) || (*certificates != '\0' && certificate_names(certificates, user));
	if (!known)
		say_known(&f, user);
	passwd_file_close(&f);
	return known;
}

bool
passwd_knows(const char *socket, const char *user)
{
	struct buf users = BUF_INIT(PATH_BYTES_MAX), certificates = BUF_INIT(PATH_BYTES_MAX), name = BUF_INIT(PREPARE_USER_MAX);
	bool known = true;

	if (server_option(socket, "auth", "users-file", &users) && buf_len(&users) > 0 &&
	    server_option(socket, "auth", "certificates-file", &certificates) && buf_cstr(&users) != NULL) {
		if (prepare_user(slice_str(user), &name) != RC_OK) {
			(void)fputs("posternctl: no user can have this name: it holds a colon or control characters, or is too"
			    " long\n", stderr);
			known = false;
		} else
			known = is_in_files(buf_cstr(&users), buf_len(&certificates) == 0 ? "" : buf_cstr(&certificates),
			    buf_slice(&name));
	}
	buf_free(&users);
	buf_free(&certificates);
	buf_free(&name);
	return known;
}
