/* common/users_file.c -- see users_file.h. */
#include "common/users_file.h"

#include <sodium.h>
#include <stdlib.h>

enum { CHAINS_FIRST = 64 };

/* A user whom an earlier line has. */
struct users_name {
	struct users_name *next;
	size_t n;
	uint8_t name[];
};

const char *
users_file_unfit(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if ((st->st_mode & S_IRWXO) != 0)
		return "may be read or changed by everybody on this machine; chmod o= takes that away";
	return st->st_size > USERS_FILE_MAX ? "is larger than 256 MiB" : NULL;
}

bool
users_line_next(struct slice *rest, struct slice *ret_line)
{
	size_t n = slice_find(*rest, '\n');

	if (rest->n == 0)
		return false;
	*ret_line = slice_first(*rest, n);
	if (ret_line->n > 0 && ret_line->p[ret_line->n - 1] == '\r')
		ret_line->n--;
	*rest = slice_from(*rest, n + 1);
	return true;
}

enum rc
users_line_read(struct slice line, uint64_t hash_memory, struct users_line *ret_line, struct buf *why)
{
	enum rc rc;

	*ret_line = (struct users_line){ .kind = USERS_SECRET };
	rc = credential_secret_parse(line, ret_line->secret);
	if (rc == RC_SYNTAX)
		(void)buf_put_str(why, "is not #secret and 32 bytes in base64, as posternctl passwd writes it");
	if (rc != RC_NOTFOUND)
		return rc;
	ret_line->kind = USERS_NOTHING;
	rc = credential_parse(line, &ret_line->c, why);
	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc == RC_OK && ret_line->c.memory > hash_memory) {
		(void)buf_put_str(why, "asks for more memory than auth { max-hash-memory }");
		return RC_RANGE;
	}
	ret_line->kind = USERS_CREDENTIAL;
	return rc;
}

enum rc
users_line_twice(struct buf *why)
{
	(void)buf_put_str(why, "names a user that an earlier line has");
	return RC_EXISTS;
}

/* --- the whole file --- */

void
users_check_init(struct users_check *u, uint64_t hash_memory)
{
	*u = (struct users_check){ .hash_memory = hash_memory };
	hash_key_make(&u->key);
}

void
users_check_free(struct users_check *u)
{
	for (size_t i = 0; i < u->n_chains; i++)
		while (u->chains[i] != NULL) {
			struct users_name *gone = u->chains[i];

			u->chains[i] = gone->next;
			free(gone);
		}
	free(u->chains);
	u->chains = NULL;
	u->n_chains = 0;
}

static struct users_name **
chain_of(const struct users_check *u, struct users_name **chains, size_t n_chains, struct slice name)
{
	return &chains[keyed_hash(&u->key, name) & (n_chains - 1)];
}

static bool
grow(struct users_check *u)
{
	size_t n = u->n_chains == 0 ? CHAINS_FIRST : u->n_chains * 2;
	struct users_name **chains;

	if (u->n < u->n_chains)
		return true;
	chains = calloc(n, sizeof *chains);
	if (chains == NULL)
		return false;
	for (size_t i = 0; i < u->n_chains; i++)
		while (u->chains[i] != NULL) {
			struct users_name *moved = u->chains[i], **to = chain_of(u, chains, n, slice_of(moved->name, moved->n));

			u->chains[i] = moved->next;
			moved->next = *to;
			*to = moved;
		}
	free(u->chains);
	u->chains = chains;
	u->n_chains = n;
	return true;
}

static enum rc
remember(struct users_check *u, struct slice name, struct buf *why)
{
	struct users_name *new = grow(u) ? malloc(sizeof *new + name.n) : NULL, **chain;

	if (new == NULL) {
		(void)buf_put_str(why, "finds no memory");
		return RC_NOMEM;
	}
	chain = chain_of(u, u->chains, u->n_chains, name);
	for (const struct users_name *it = *chain; it != NULL; it = it->next)
		if (slice_eq(slice_of(it->name, it->n), name)) {
			free(new);
			return users_line_twice(why);
		}
	new->n = name.n;
	memcpy(new->name, name.p, name.n);
	new->next = *chain;
	*chain = new;
	u->n++;
	return RC_OK;
}

enum rc
users_check_line(struct users_check *u, struct slice line, struct buf *why)
{
	struct users_line read;
	enum rc rc = users_line_read(line, u->hash_memory, &read, why);

	u->line++;
	if (rc == RC_OK && read.kind == USERS_CREDENTIAL)
		rc = remember(u, read.c.user, why);
	sodium_memzero(&read, sizeof read);
	return rc;
}
