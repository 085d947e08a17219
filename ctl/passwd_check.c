/* ctl/passwd_check.c -- would Postern take this users file? One line that it does not understand, and it takes none of it,
 * while passwd itself passes such lines over. What postern-auth refuses (vault/auth_users.c) is said here. */
#include "ctl/passwd_file.h"

#include <stdio.h>
#include <stdlib.h>

struct place {
	struct slice user;
	unsigned line;
};

static int
compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	size_t n = x->user.n < y->user.n ? x->user.n : y->user.n;
	int c = memcmp(x->user.p, y->user.p, n);

	if (c != 0 || x->user.n != y->user.n)
		return c != 0 ? c : x->user.n < y->user.n ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool
warn(const struct passwd_file *f, unsigned line, const char *what)
{
	(void)fprintf(stderr, "posternctl: warning: %s:%u: this line %s; Postern will not take the file until it is mended\n",
	    f->path, line, what);
	return false;
}

static bool
check_line(const struct passwd_file *f, struct slice line, unsigned number, uint64_t memory_max, struct slice *ret_user)
{
	struct buf why = BUF_INIT(512);
	uint8_t secret[SCRAM_KEY_BYTES];
	struct credential c = { .memory = 0 };
	bool ok = true;
	enum rc rc;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	*ret_user = S("");
	rc = credential_secret_parse(line, secret);
	if (rc == RC_SYNTAX)
		ok = warn(f, number, "is not #secret and 32 bytes in base64");
	else if (rc == RC_NOTFOUND)
		rc = credential_parse(line, &c, &why);
	else
		rc = RC_NOTFOUND;
	if (ok && rc == RC_OK && c.memory > memory_max)
		ok = warn(f, number, "asks for more memory than auth { max-hash-memory }");
	else if (ok && rc == RC_OK)
		*ret_user = c.user;
	else if (ok && rc != RC_NOTFOUND)
		ok = warn(f, number, buf_cstr(&why) == NULL ? "is malformed" : buf_cstr(&why));
	buf_free(&why);
	return ok;
}

bool
passwd_file_check(const struct passwd_file *f, uint64_t memory_max)
{
	struct slice rest = buf_slice(&f->bytes), line;
	struct place *places = NULL;
	size_t n = 0, size = 0;
	unsigned number = 0;
	bool ok = true;

	while (ok && rest.n > 0) {
		struct slice user;

		line = slice_first(rest, slice_find(rest, '\n'));
		rest = slice_from(rest, line.n + 1);
		ok = check_line(f, line, ++number, memory_max, &user);
		if (!ok || user.n == 0)
			continue;
		if (n == size) {
			struct place *grown = reallocarray(places, size * 2 + 64, sizeof *places);

			if (grown == NULL)
				break;
			places = grown;
			size = size * 2 + 64;
		}
		places[n++] = (struct place){ user, number };
	}
	if (ok && n > 1)
		qsort(places, n, sizeof *places, compare);
	for (size_t i = 1; ok && i < n; i++)
		if (slice_eq(places[i].user, places[i - 1].user))
			ok = warn(f, places[i].line, "names a user that an earlier line has");
	free(places);
	return ok;
}
