/* queue/store.h -- the spool: every message and what became of its recipients, durable, and nothing about schedules.
 *
 * A segmented append-only log beneath one directory; content above a threshold lives in files of its own. Calls never
 * block (but store_open, store_recover and store_close): they queue work for the store's threads, and the callback runs
 * in the loop when the work is durable, or when it is sure that it will not be. Format and rules: docs/QUEUE.md.
 *
 * Life, in a room: store_new and store_threads_start in room_ops.threads (before the filter falls), store_open and
 * store_tell in start, store_close at the end. store_recover is both in one, for tests. Without store_threads_start the
 * store runs only inside store_pump: for tests and simulators, where every step happens in one known order.
 *
 * The store keeps no memory for a message. Its owner keeps the struct store_where that the store hands out, and passes it
 * back with every change, read and drop. */
#ifndef POSTERN_QUEUE_STORE_H
#define POSTERN_QUEUE_STORE_H

#include "common/loop.h"
#include "common/queue_id.h"
#include "common/rc.h"
#include "common/slice.h"

struct spool_io;
struct store;
struct store_stream;

enum {
	STORE_ENVELOPE_MAX = 16 * 1024 * 1024,	/* bytes: what common/envelope.h allows */
	STORE_TEXT_MAX = 1024,			/* bytes of the reason of a deferral; longer ones are cut */
	STORE_READ_MAX = 1024 * 1024,		/* bytes of content in one answer */
	STORE_CHANGES_MAX = 65536,		/* changes in one atomic group */
	STORE_WINDOW = 256 * 1024,	/* bytes of a stream that may wait in memory for the disk; more makes nothing faster */
	STORE_HELD_MAX = 256 * 1024,		/* changes kept in memory while the disk fails; more are refused */
};
/* Content of one message at most, whatever the configuration says. */
#define STORE_CONTENT_MAX (UINT64_C(1) << 40)

/* Where a message is. Opaque to its owner; zero is never valid. Changes only when told (store_ops.moved). */
struct store_where {
	uint32_t segment;
	uint32_t offset;	/* of the frame, in units of 8 bytes */
	uint32_t length;	/* of the frame in bytes, header included; top bit: the content is in a file of its own */
};

enum store_state {
	STORE_OK,
	STORE_FULL,	/* new mail gets RC_NOSPACE; changes are still kept (in space set aside for them) */
	STORE_FAILED,	/* the disk refuses everything: no new mail, and start no deliveries, whose results would be lost */
};

struct store_ops {
	/* The state changed (never called with the old state again). why: a short text for people. Ends by itself: the store
	 * tries again every few seconds. */
	void (*state)(void *ctx, enum store_state state, const char *why);
	/* Compaction put a message elsewhere: use the new place from now on. May be NULL until there is compaction. */
	void (*moved)(void *ctx, struct msgid id, struct store_where from, struct store_where to);
};

struct store_params {
	uint64_t segment_size;		/* conf queue.segment_size */
	uint64_t big_message;		/* content above this goes to a file of its own */
	uint64_t min_free;		/* bytes that must stay free on the file system */
	bool allow_unsafe_fs;		/* take tmpfs, overlay, network */
	bool prepare_zeros;	/* write spare segments full of zeros beforehand: twice the commit rate, twice the writes */
};

/* io is borrowed until store_free (spool_io_real, or a simulator). NULL: no memory. */
struct store *store_new(struct loop *loop, struct spool_io *io, const struct store_params *params,
    const struct store_ops *ops, void *ctx);
/* The committer, the readers, the writers of big files, the keeper. RC_NOMEM, RC_AGAIN. */
enum rc store_threads_start(struct store *store);
/* Flushes, completes every call (callbacks run), seals the segment so that the next start is fast, ends the threads.
 * Blocks for as long as the disk takes. Streams still open are aborted: forget them before. */
void store_close(struct store *store);
/* After store_close, or without it: then what was not durable is dropped and no callback runs. */
void store_free(struct store *store);

/* --- what is there: once, before anything else --- */

enum store_rcpt_state {
	STORE_PENDING,		/* never tried, or tried without a durable result */
	STORE_DEFERRED,
	STORE_DONE,		/* delivered: final */
	STORE_BOUNCED,		/* failed for good, and the sender was told or must not be: final */
};

struct store_rcpt {
	enum store_rcpt_state state;
	bool noticed;		/* a delay notice about it was written */
	uint16_t code;		/* of the last deferral: SMTP reply code or 0 */
	uint32_t attempts;	/* of the last deferral: reserved, nobody asks */
	int64_t next;		/* deferred: wall clock, microseconds */
	int64_t first_failure;	/* reserved as well */
	struct slice text;	/* of the last deferral */
};

struct store_message {
	struct msgid id;
	struct store_where where;
	uint64_t size;			/* bytes of content */
	int64_t stored_at;		/* wall clock, microseconds: when the store took it */
	uint32_t flags;			/* of the last STORE_CHANGE_FLAGS; 0 at first */
	struct slice envelope;		/* as given to the store; verified */
	const struct store_rcpt *rcpts;	/* n_rcpts of them, in the order of the envelope; valid during the call */
	uint32_t n_rcpts;
};

struct store_stats {
	uint64_t messages, recipients;	/* live; recipients without the final ones */
	uint32_t segments;
	uint32_t ms;			/* how long recovery took */
	uint32_t damaged;		/* ranges or files set aside by this start */
	uint32_t torn;			/* segments whose unfinished tail was cut: normal after a crash */
};

/* Locks the spool, counts this boot (durable before it returns), reads which messages there are, opens a new segment. From
 * then on the store is at work, whatever lies in it. Blocks for as long as it takes to read the footers of all segments.
 * RC_EXISTS: another queue has this spool. RC_UNSUPPORTED: format of a newer version, or an unsafe file system.
 * RC_NOSPACE, RC_IO, RC_NOMEM. Damage is no failure: it is set aside in quarantine/ and logged (LOG_SPOOL_DAMAGE).
 * ret_stats: so far. ret_why: why not. */
enum rc store_open(struct store *store, struct store_stats *ret_stats, const char **ret_why);

/* Once, after store_open: calls visit for each live message, in the order of their places on disk, some in each turn of the
 * loop; what is read for it is read in a thread. At the end told() is called, once. Both may call the store. Until then
 * no segment is given up, and messages that were not shown yet must not be named. RC_NOMEM: nothing will be told. */
typedef void store_visit_fn(void *arg, const struct store_message *m);
typedef void store_told_fn(void *arg, const struct store_stats *stats);
enum rc store_tell(struct store *store, store_visit_fn *visit, store_told_fn *told, void *arg);

/* Messages that lie in the spool and were not shown yet (a few of them may turn out to be dead). */
uint64_t store_untold(const struct store *store);

/* Both in one: returns when everything has been told. Blocks. visit must not call the store. */
enum rc store_recover(struct store *store, store_visit_fn *visit, void *arg, struct store_stats *ret_stats,
    const char **ret_why);

/* After recovery: ids of this boot are {spool, boot, seq}, seq chosen by the owner, never twice. */
struct msgid store_first_id(const struct store *store);	/* seq 1 */
enum store_state store_state(const struct store *store);
/* Free bytes on the file system as of the last look (a few seconds old). */
uint64_t store_free_bytes(const struct store *store);

/* --- changes --- */

/* Runs in the loop, exactly once, after the call (before it returns only with RC_NOMEM). RC_OK: durable; where: of the mail put
 * by this call (zero when there was none). Otherwise nothing of the call remains: RC_NOSPACE, RC_IO, RC_NOMEM. May call the
 * store. */
typedef void store_done_fn(void *arg, enum rc rc, struct store_where where);

struct store_mail {
	struct msgid id;
	uint32_t n_rcpts;		/* in the envelope */
	struct slice envelope;
	const struct slice *content;	/* n_content pieces, in order */
	size_t n_content;
};

enum store_change_kind {
	STORE_CHANGE_DONE = 1,	/* rcpt: delivered */
	STORE_CHANGE_BOUNCED,	/* rcpt: failed for good */
	STORE_CHANGE_DEFERRED,	/* rcpt: next, code, text; attempts and first_failure are kept and nobody asks */
	STORE_CHANGE_NOTICED,	/* rcpt: the delay notice was written */
	STORE_CHANGE_FLAGS,	/* message: flags (the owner's: held and such) */
	/* message: finished, its space may be used again. Never name it again: the store counts what is alive in a segment
	 * and does not remember what it counted; a second drop would cost another message its segment. */
	STORE_CHANGE_DROP,
};

struct store_change {
	enum store_change_kind kind;
	struct msgid id;
	struct store_where where;	/* of the message */
	uint32_t rcpt;			/* its index in the envelope */
	uint32_t attempts;
	uint32_t flags;
	uint16_t code;
	int64_t next, first_failure;
	struct slice text;
};

/* One atomic group: the mail (NULL: none) and all changes are durable together or not at all, in one flush with whatever
 * else is queued. Everything is copied before it returns. fn NULL: nobody waits for it.
 *
 * With mail alone (store_put) a client is waiting: when the disk fails the answer is an error, at once. A group with
 * changes states what has already happened, so the store keeps trying (another segment; held while STORE_FULL or
 * STORE_FAILED) and fn comes late rather than with an error; an error only when STORE_HELD_MAX is passed.
 * BUG when recipients or changes pass the maxima above; RC_RANGE through fn when the envelope does, or has fewer
 * bytes than recipients. */
void store_commit(struct store *store, const struct store_mail *mail, const struct store_change *changes,
    size_t n_changes, store_done_fn *fn, void *arg);

static inline void
store_put(struct store *store, const struct store_mail *mail, store_done_fn *fn, void *arg)
{
	store_commit(store, mail, NULL, 0, fn, arg);
}

static inline void
store_change(struct store *store, const struct store_change *change, store_done_fn *fn, void *arg)
{
	store_commit(store, NULL, change, 1, fn, arg);
}

static inline void
store_drop(struct store *store, struct msgid id, struct store_where where, store_done_fn *fn, void *arg)
{
	store_change(store, &(struct store_change){ .kind = STORE_CHANGE_DROP, .id = id, .where = where }, fn, arg);
}

/* --- mail that comes in pieces, of unknown size --- */

/* RC_OK: the window grew, more may be appended. Anything else: the stream failed (abort it). May call the store. */
typedef void store_stream_fn(void *arg, enum rc rc);

/* Starts in memory and moves to a file when it passes big_message: the caller need not know. mail->content comes first.
 * size_hint: 0 when unknown. RC_NOSPACE, RC_IO (by the state), RC_NOMEM, RC_RANGE. */
enum rc store_stream_begin(struct store *store, const struct store_mail *mail, uint64_t size_hint, store_stream_fn *fn,
    void *arg, struct store_stream **ret_stream);
/* How many more bytes the stream will take now. More than that: RC_AGAIN, and nothing was taken. */
size_t store_stream_window(const struct store_stream *stream);
/* Copied before it returns. After a failure: that failure. */
enum rc store_stream_append(struct store_stream *stream, struct slice content);
/* The envelope again, as many bytes: something in it became known while the content came. Before the commit only. */
void store_stream_envelope(struct store_stream *stream, struct slice envelope);
/* The whole message is there: make it durable, like store_put. Consumes the stream. */
void store_stream_commit(struct store_stream **stream, store_done_fn *fn, void *arg);
/* Bytes of content that it holds in memory: what waits, what is being written, and the block that is being summed. */
uint64_t store_stream_held(const struct store_stream *stream);
/* Its content goes to a file from now on, however little it is: to have it out of memory. */
void store_stream_to_file(struct store_stream *stream);
/* Nothing remains. Consumes the stream; harmless with *stream NULL. */
void store_stream_abort(struct store_stream **stream);
/* What aborted streams hold until the disk is done with them. */
uint64_t store_forsaken_bytes(const struct store *store);

/* --- reading back --- */

/* Runs in the loop, exactly once (before the call returns only with RC_NOMEM, RC_AGAIN). bytes are valid during the call and
 * verified. RC_CORRUPT: damaged; the bytes were set aside in quarantine/ and logged. RC_NOTFOUND, RC_IO, RC_NOMEM, RC_AGAIN (too
 * many reads wait). */
typedef void store_read_fn(void *arg, enum rc rc, struct slice bytes);

/* length bytes of content from offset (fewer at its end; cut to STORE_READ_MAX). A small message is best read whole. */
void store_read(struct store *store, struct msgid id, struct store_where where, uint64_t offset, size_t length,
    store_read_fn *fn, void *arg);
void store_read_envelope(struct store *store, struct msgid id, struct store_where where, store_read_fn *fn, void *arg);
/* Forget every read queued with this arg: its fn will not run. */
void store_read_cancel(struct store *store, void *arg);

static inline bool
store_where_is_big(struct store_where where)
{
	return where.length >> 31 != 0;
}

/* --- without threads: tests and simulators --- */

/* Does everything that waits, in order, and runs the callbacks, until nothing is left. */
void store_pump(struct store *store);
/* What a timer does every few seconds: look at the free space, try a broken disk again. */
void store_probe(struct store *store);

#endif
