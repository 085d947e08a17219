/* common/users_file.c -- see users_file.h. */
#include "common/users_file.h"

#include <sodium.h>
#include <stdlib.h>

/* A user whom an earlier line has. */
struct users_name {
	struct hash_entry entry;
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
	u->hash_memory = hash_memory;
	u->line = 0;
	hash_table_init(&u->names);
}

static void
name_free(struct hash_entry *e)
{
	free(e);
}

void
users_check_free(struct users_check *u)
{
	hash_table_clear(&u->names, name_free);
}

static enum rc
remember(struct users_check *u, struct slice name, struct buf *why)
{
	uint64_t hash = keyed_hash(&u->names.key, name);
	struct users_name *new;

	for (const struct hash_entry *e = hash_table_find(&u->names, hash); e != NULL; e = hash_entry_next(e)) {
		const struct users_name *it = (const struct users_name *)e;

		if (slice_eq(slice_of(it->name, it->n), name))
			return users_line_twice(why);
	}
	new = malloc(sizeof *new + name.n);
	if (new == NULL) {
		(void)buf_put_str(why, "finds no memory");
		return RC_NOMEM;
	}
	new->n = name.n;
	memcpy(new->name, name.p, name.n);
	hash_table_add(&u->names, &new->entry, hash);
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
