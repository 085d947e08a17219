/* tests/fuzz/fuzz_account.c -- local { users } and the path of a Maildir: three texts with a NUL between them, an entry, a
 * pattern, and the user's name. */
#include "deliver/account.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
text_next(struct slice *rest)
{
	size_t n = slice_find(*rest, '\0');
	char *s = malloc(n + 1);

	if (s == NULL)
		abort();
	if (n > 0)
		memcpy(s, rest->p, n);
	s[n] = '\0';
	*rest = slice_from(*rest, n + 1);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[ACCOUNT_PATH_MAX];
	static struct account account;
	struct slice rest = slice_of(data, size);
	char *entry = text_next(&rest), *pattern = text_next(&rest), *user = text_next(&rest);
	struct slice name = slice_str(user);

	if (account_of_entry(entry, name, &account) == RC_OK &&
	    (account.home[0] != '/' || account.uid == UINT32_MAX || account.gid == UINT32_MAX ||
	    !slice_starts(slice_str(entry), name) || entry[name.n] != ':'))
		abort();
	if (account_expand(pattern, "/home/alice", name, path) == RC_OK && (path[0] != '/' || strlen(path) >= ACCOUNT_PATH_MAX))
		abort();
	free(entry);
	free(pattern);
	free(user);
	return 0;
}
