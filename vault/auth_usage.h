/* vault/auth_usage.h -- what each user has sent in the last hour and the last day, and when he was here: for the limits of
 * auth { user-... } and for posternctl users.
 *
 * One owner for all smtpd processes. Counts move: an hour is twelve parts of five minutes, a day 24 hours, and the oldest part
 * drops out. A bounded number of users is kept, those who did something lately. The table is written to two files in turn, so
 * that one is whole whatever happens, by a worker thread (auth_kept.c), to whom it goes before all passwords that wait: what the
 * last few seconds have counted is lost when the room dies, and never more. The loop gathers it a part at a time.
 *
 * What an smtpd that dies has spent for its open transactions is not given back, for some of these may have been sent: it stays
 * counted until it drops out of the hour and the day. That is at most what its users had under way there at that time, and
 * errs on the strict side. What is settled while this room is away is lost likewise. */
#ifndef POSTERN_VAULT_AUTH_USAGE_H
#define POSTERN_VAULT_AUTH_USAGE_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/hash_table.h"
#include "common/ipc/schema.h"
#include "common/prepare.h"
#include "common/rc.h"
#include "common/slice.h"
#include "common/workers.h"

enum {
	USAGE_HOUR_PARTS = 12,
	USAGE_HOUR_PART = 300,		/* seconds */
	USAGE_DAY_PARTS = 24,
	USAGE_DAY_PART = 3600,
	USAGE_SLICE = 256,		/* users that one turn of the loop gathers for a write */
	USAGE_SAVE_MS = 5000,		/* between two writes: what a crash may cost */
	USAGE_FILES = 2,
	USAGE_TEXT_MAX = 200,		/* of a refusal */
};

/* What was counted in the parts of a time that moves; the present one is now % n. */
struct usage_window {
	int64_t now;			/* number of the present part since 1970 */
	uint32_t messages[USAGE_DAY_PARTS], rcpts[USAGE_DAY_PARTS];
};

struct usage_user {
	struct hash_entry entry;
	struct usage_user *older, *newer;		/* by when they did something */
	struct usage_user *made_before, *made_after;	/* by when they were made: */
	uint64_t key;					/* in the order of their keys */
	uint64_t kept;					/* serial of the last write that has him, or was begun before him */
	int64_t login, failure;				/* wall clock, seconds; 0: never */
	struct usage_window hour, day;
	size_t n;
	uint8_t name[];
};

struct usage_save;

struct usage {
	struct hash_table users;
	struct usage_user *oldest, *newest, *first, *last;
	uint64_t last_key;
	bool dirty;
	uint64_t serial;		/* of the last write, whatever became of it */
	unsigned good;			/* the file that holds the last whole state: the other one is written next */
	int fds[USAGE_FILES];		/* -1: there is none */
	struct usage_save *save;	/* it is gathered, or a thread has it */
	bool gathers;
	struct usage_user *next_kept;	/* while it is gathered: from here on there may be users who are not in it yet */
	struct timer timer;
	struct workers *workers;	/* NULL: nothing is written */
};

struct usage_sums {
	uint64_t hour_messages, hour_rcpts, day_messages, day_rcpts;
};

void usage_init(struct usage *u, struct loop *loop);
void usage_clear(struct usage *u);	/* nobody is counted any more */
void usage_free(struct usage *u);

/* now: wall clock, seconds. */
void usage_login(struct usage *u, const struct conf_auth *conf, struct slice name, bool ok, int64_t now);
/* Counts so many more. RC_OK; or RC_RANGE: over a limit, nothing was counted, and why says so to the user. */
enum rc usage_spend(struct usage *u, const struct conf_auth *conf, struct slice name, uint32_t messages, uint32_t rcpts,
    int64_t now, struct buf *why);
/* Without a question: these were sent, those were spent and not used. What was spent so long ago that it may have dropped out of
 * the time is not taken back from what was counted since. */
void usage_count(struct usage *u, const struct conf_auth *conf, const struct au_count *m, int64_t now);

const struct usage_user *usage_find(const struct usage *u, struct slice user);
/* The user with the smallest key above this one; NULL: no more. From there on made_after leads. */
const struct usage_user *usage_after(const struct usage *u, uint64_t key);
struct usage_sums usage_sums(const struct usage_user *user, int64_t now);
/* Is he one of auth { unlimited-users }? */
bool usage_is_unlimited(const struct conf_auth *conf, struct slice user);

/* --- auth_kept.c --- */

/* The whole table as bytes, and back into an empty one. RC_CORRUPT. */
bool usage_put(const struct usage *u, struct buf *to);
enum rc usage_read(struct usage *u, struct slice bytes);
/* Takes the better of both files over. Blocks: the files are small and local, and read at the start only. */
void usage_load(struct usage *u);
/* From now on changes are written now and then. */
void usage_attach(struct usage *u, struct workers *workers);
void usage_save(struct usage *u);	/* a step of it: gathers a part, then gives all to a worker, if there is anything new */
/* Before this user changes: the write that is gathered has everybody as he was when it was begun. */
void usage_keep(struct usage *u, struct usage_user *user);
void usage_give_up(struct usage *u);	/* what is gathered, if anything is */
/* At the end: at once. Blocks. */
void usage_finish(struct usage *u);

#endif
