/* deliver/maildir.h -- a Maildir (cr.yp.to/proto/maildir.html): files appear in new/ whole and durable, or not at all.
 *
 * A message is written to tmp/, synced, linked into new/, and new/ is synced: only then it is delivered. Its name in
 * tmp/ is made from the message and the recipient, and stays until the result has been told: when a process dies in
 * between, the next attempt finds a file with two links and knows that the mailbox has the message already (THREATS
 * "kill -9 local"). A lock on the file keeps two attempts apart. All of it runs as the recipient, inside his Maildir. */
#ifndef POSTERN_DELIVER_MAILDIR_H
#define POSTERN_DELIVER_MAILDIR_H

#include "common/queue_id.h"
#include "common/rc.h"
#include "common/slice.h"

#include <sys/types.h>

enum {
	MAILDIR_NAME_MAX = 256,
	MAILDIR_HOST_MAX = 64,		/* of the host's name in file names */
	MAILDIR_SWEEP_MAX = 1000,	/* entries of tmp/ that one sweep looks at */
	MAILDIR_STALE_S = 36 * 60 * 60,	/* as the Maildir page says */
};

struct maildir {
	int tmp, new;		/* folders */
	uid_t uid;
	char host[MAILDIR_HOST_MAX + 1];
	unsigned delivered;	/* files of this process: part of their names */
	int error;		/* errno of the last failure, 0: none of the system's */
	const char *what;	/* and where it was */
};

struct maildir_file {
	int fd;
	uint64_t size;
	bool linked;		/* it stands in new/ */
	char name[MAILDIR_NAME_MAX];	/* in tmp/ */
};

/* Below folder (a descriptor, stays the caller's): tmp, new and cur, made if they are missing. Refused when one of them
 * or the folder is not the user's own, or others may write to it, or it is a symbolic link (THREATS 40). */
enum rc maildir_open(struct maildir *m, int folder, uid_t uid, struct slice host);
void maildir_close(struct maildir *m);

/* A new file for this recipient. RC_EXISTS: it was delivered before. RC_AGAIN: another process is at it. */
enum rc maildir_create(struct maildir *m, struct msgid id, uint16_t index, struct maildir_file *ret_file);
enum rc maildir_write(struct maildir *m, struct maildir_file *f, struct slice bytes);
/* Everything of from, from that offset on. */
enum rc maildir_copy(struct maildir *m, struct maildir_file *f, const struct maildir_file *from, uint64_t offset);

/* RC_OK: it is in new/, durable. Its name in tmp/ is still there. */
enum rc maildir_deliver(struct maildir *m, struct maildir_file *f);

/* Closes it; fine when it is not open (fd -1). Out of tmp/, unless it stands in new/ already. */
void maildir_abandon(struct maildir *m, struct maildir_file *f);
/* Delivered, and told: out of tmp/. */
void maildir_forget(struct maildir *m, struct msgid id, uint16_t index);

/* Takes old files out of tmp/ that Postern left there. now: wall time in seconds. */
void maildir_sweep(struct maildir *m, int64_t now);

#endif
