/* common/users_file.h -- what makes a users file unfit, once, for all who look at one: postern-auth, which takes all of it or
 * none, the master before it hands it over, and posternctl passwd when it has written it. What a line holds: credential.h.
 *
 * why gets words that go on from "FILE:LINE: this line ". */
#ifndef POSTERN_COMMON_USERS_FILE_H
#define POSTERN_COMMON_USERS_FILE_H

#include "common/credential.h"
#include "common/hash_table.h"

#include <sys/stat.h>

enum { USERS_FILE_MAX = 256 * 1024 * 1024 };	/* of a file that is read whole: a million users and more */

struct users_line {
	enum { USERS_NOTHING, USERS_SECRET, USERS_CREDENTIAL } kind;
	uint8_t secret[SCRAM_KEY_BYTES];
	struct credential c;	/* borrows the line */
};

/* The file itself, before it is read; NULL: fit, else words that go on from its name. */
const char *users_file_unfit(const struct stat *st);

/* Takes the next line off, without its end: LF, or CR and LF. False: there is none. */
bool users_line_next(struct slice *rest, struct slice *ret_line);

/* hash_memory: of auth { max-hash-memory }. It has secrets in it afterwards, whatever comes back. */
enum rc users_line_read(struct slice line, uint64_t hash_memory, struct users_line *ret_line, struct buf *why);
/* What is wrong with a second line of one user; who reads the users into a table of his own sees that there. */
enum rc users_line_twice(struct buf *why);

/* All of a file, a line at a time, by those who keep no users. */
struct users_check {
	uint64_t hash_memory;
	unsigned line;		/* that was looked at last */
	struct hash_table names;
};

void users_check_init(struct users_check *u, uint64_t hash_memory);
void users_check_free(struct users_check *u);
/* RC_OK; RC_NOMEM; else it is unfit. */
enum rc users_check_line(struct users_check *u, struct slice line, struct buf *why);

#endif
