/* ctl/passwd_file.h -- the users file in memory, and how it is replaced.
 *
 * The next file, .NAME.new beside it, is made at once and locked; it is the lock against others who want to change the
 * same file, and becomes the file when it is complete and on disk. */
#ifndef POSTERN_CTL_PASSWD_FILE_H
#define POSTERN_CTL_PASSWD_FILE_H

#include "common/credential.h"

enum { PASSWD_FILE_MAX = 256 * 1024 * 1024 };

struct passwd_file {
	int folder;
	int next;		/* the next file, locked; -1: nothing is to be changed */
	char *name, *next_name;	/* in the folder */
	const char *path;	/* for messages; borrowed */
	struct buf bytes;
	unsigned mode, uid, gid;	/* of the file as it was */
	bool is_new;
};

/* Complains on stderr when it returns false. may_change: waits for the lock; may_make: a file that is not there is an
 * empty one. */
bool passwd_file_open(struct passwd_file *f, const char *path, bool may_change, bool may_make);
void passwd_file_close(struct passwd_file *f);

/* The next user's line; those that are malformed are passed over. Start with all bytes. */
bool passwd_file_next(struct slice *rest, struct credential *ret_c);
bool passwd_file_find(const struct passwd_file *f, struct slice user, struct credential *ret_c);

/* Puts this line (with its end) in the place of the user's, or at the end; empty: takes the user out. On disk when it
 * returns true; else it complains, and the file is what it was. */
bool passwd_file_replace(struct passwd_file *f, struct slice user, struct slice line);

/* Is it one that Postern takes, which is all of it or nothing? Else the first reason not to is said on stderr, with file and
 * line. memory_max: of auth { max-hash-memory }. */
bool passwd_file_check(const struct passwd_file *f, uint64_t memory_max);

#endif
