/* queue/store_big.c -- mail that comes in pieces: in memory at first, in a file of its own when it grows.
 *
 * A file is written by a thread while the rest still arrives. Its order (docs/QUEUE.md "Writing", 5): content, sums, fdatasync,
 * folder, and only then the record in the log that names it. One piece of work a stream is under way at a time; what arrives
 * meanwhile gathers in `filling`, and its size is what pushes back. */
#include "queue/store_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { STREAM_SPARE = 64 * 1024 };	/* room asked for in advance in a message kept in memory */

/* What the writer's thread works on; the loop leaves it alone while busy. */
struct writing {
	struct spool_work work;
	struct store_stream *stream;
	struct buf piece;
	bool finish, remove;	/* after the piece: the end of the file; instead of it: no file */
	int fd;
	uint64_t size;
	crypto_generichash_state hash;
	uint8_t digest[SPOOL_DIGEST_BYTES];
	struct buf block;	/* the open block */
	struct buf sums;
	int rc;
};

struct store_stream {
	struct store_stream *next, **prev;
	struct store *store;
	struct msgid id;
	uint32_t n_rcpts;
	store_stream_fn *fn;
	void *arg;
	store_done_fn *done_fn;	/* set by commit */
	void *done_arg;
	bool committing, aborted, busy, in_file;
	enum rc failed;
	uint64_t content;
	uint64_t in_work;	/* bytes of w.piece while busy */
	uint64_t forsaken;	/* its share of store.forsaken_bytes */
	struct buf envelope;
	struct buf filling;	/* in memory: all content so far; in a file: what waits */
	struct writing w;
};

static void next_piece(struct store_stream *st);

/* --- the writer's thread --- */

static int
close_block(struct writing *w)
{
	uint64_t number = buf_len(&w->sums) / 8;
	uint64_t sum = spool_block_sum(w->stream->id, number, buf_slice(&w->block));
	uint8_t bytes[8];
	struct wr out = { bytes, 0, sizeof bytes, false };

	wr_u64(&out, sum);
	buf_clear(&w->block);
	return buf_put(&w->sums, bytes, sizeof bytes) ? 0 : -ENOMEM;
}

static int
sum_piece(struct writing *w, struct slice piece)
{
	(void)crypto_generichash_update(&w->hash, piece.p, piece.n);
	while (piece.n > 0) {
		struct slice part = slice_first(piece, SPOOL_BIG_BLOCK - buf_len(&w->block));
		int rc;

		if (!buf_put_slice(&w->block, part))
			return -ENOMEM;
		piece = slice_from(piece, part.n);
		if (buf_len(&w->block) < SPOOL_BIG_BLOCK)
			continue;
		rc = close_block(w);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
open_file(struct writing *w)
{
	struct spool_io *io = w->stream->store->io;
	char path[SPOOL_PATH_MAX];

	spool_big_path(path, w->stream->id);
	w->fd = io->ops->open(io, path, SPOOL_OPEN_CREATE);
	if (w->fd == -EEXIST) {
		/* Of a message with this id that never was acknowledged: ids are not used twice. */
		(void)io->ops->unlink(io, path);
		w->fd = io->ops->open(io, path, SPOOL_OPEN_CREATE);
	}
	(void)crypto_generichash_init(&w->hash, NULL, 0, sizeof w->digest);
	return w->fd < 0 ? w->fd : 0;
}

static int
write_piece(struct writing *w)
{
	struct spool_io *io = w->stream->store->io;
	struct slice piece = buf_slice(&w->piece);
	struct iovec v = { w->piece.p + w->piece.start, piece.n };
	int rc = w->fd < 0 ? open_file(w) : 0;

	if (rc == 0 && piece.n > 0)
		rc = spool_io_write_all(io, w->fd, &v, 1, w->size);
	if (rc != 0)
		return rc;
	/* The disk starts now, so that the sync at the end is short. */
	if (piece.n > 0)
		(void)io->ops->start_writeback(io, w->fd, w->size, piece.n);
	w->size += piece.n;
	return sum_piece(w, piece);
}

static int
finish_file(struct writing *w)
{
	struct spool_io *io = w->stream->store->io;
	char folder[SPOOL_PATH_MAX];
	struct iovec v;
	int rc = buf_len(&w->block) > 0 ? close_block(w) : 0;

	if (rc != 0)
		return rc;
	v = (struct iovec){ w->sums.p + w->sums.start, buf_len(&w->sums) };
	(void)crypto_generichash_final(&w->hash, w->digest, sizeof w->digest);
	rc = spool_io_write_all(io, w->fd, &v, 1, w->size);
	if (rc == 0)
		rc = io->ops->datasync(io, w->fd);
	spool_big_path(folder, w->stream->id);
	folder[strlen(SPOOL_DIR_BIG) + 3] = '\0';
	return rc == 0 ? io->ops->sync_folder(io, folder) : rc;
}

static void
run_writing(struct spool_work *work)
{
	struct writing *w = (struct writing *)(void *)work;
	struct spool_io *io = w->stream->store->io;
	char path[SPOOL_PATH_MAX];

	w->rc = 0;
	if (!w->remove) {
		w->rc = write_piece(w);
		if (w->rc == 0 && w->finish)
			w->rc = finish_file(w);
	}
	buf_clear(&w->piece);
	if (w->fd >= 0 && (w->remove || w->finish || w->rc != 0)) {
		(void)io->ops->close(io, w->fd);
		w->fd = -1;
		spool_big_path(path, w->stream->id);
		if (w->remove || w->rc != 0)
			(void)io->ops->unlink(io, path);
	}
}

/* --- the loop's side --- */

static void
stream_free(struct store_stream *st)
{
	st->store->forsaken_bytes -= st->forsaken;
	*st->prev = st->next;
	if (st->next != NULL)
		st->next->prev = st->prev;
	if (st->w.fd >= 0)
		(void)st->store->io->ops->close(st->store->io, st->w.fd);
	buf_free(&st->envelope);
	buf_free(&st->filling);
	buf_free(&st->w.piece);
	buf_free(&st->w.block);
	buf_free(&st->w.sums);
	free(st);
}

static void
answer_commit(struct store_stream *st, enum rc rc)
{
	struct spool_op *op = spool_op_new(st->store, 0);

	if (op == NULL) {
		if (st->done_fn != NULL)
			st->done_fn(st->done_arg, RC_NOMEM, (struct store_where){ 0, 0, 0 });
		return;
	}
	op->fn = st->done_fn;
	op->arg = st->done_arg;
	store_answer_op(st->store, op, rc);
}

/* The file is durable under its name: now the record that makes it a message. */
static void
commit_file(struct store_stream *st)
{
	struct spool_head head = { .n_rcpts = st->n_rcpts, .envelope = (uint32_t)buf_len(&st->envelope),
		.content = st->content, .stored_at = st->store->io->ops->now(st->store->io) };
	size_t length = SPOOL_HEAD_BYTES + (size_t)head.envelope + SPOOL_DIGEST_BYTES;
	struct spool_op *op = spool_op_new(st->store, spool_frame_bytes((uint32_t)length));
	uint8_t *p = op == NULL ? NULL : spool_op_frame(op, SPOOL_BIG, st->id, (uint32_t)length);
	struct wr w = { p, 0, length, false };

	if (p == NULL) {
		spool_op_free(op);
		keeper_unlink_big(st->store, st->id);
		answer_commit(st, RC_NOMEM);
		return;
	}
	spool_head_put(&w, &head);
	wr_bytes(&w, buf_slice(&st->envelope).p, head.envelope);
	wr_bytes(&w, st->w.digest, sizeof st->w.digest);
	op->has_mail = op->has_big = op->client = true;
	op->mail = st->id;
	op->fn = st->done_fn;
	op->arg = st->done_arg;
	store_queue_op(st->store, op);
}

static void
writing_done(struct spool_work *work)
{
	struct writing *w = (struct writing *)(void *)work;
	struct store_stream *st = w->stream;

	st->busy = false;
	st->in_work = 0;
	buf_free(&w->piece);
	if (w->remove) {
		stream_free(st);
		return;
	}
	if (w->rc != 0)
		st->failed = rc_from_errno(-w->rc);
	if (st->aborted || (w->finish && st->failed == RC_OK) || (st->committing && st->failed != RC_OK)) {
		if (st->committing && !st->aborted) {
			if (st->failed == RC_OK)
				commit_file(st);
			else
				answer_commit(st, st->failed);
			stream_free(st);
		} else
			next_piece(st);
		return;
	}
	if (st->failed == RC_OK)
		next_piece(st);
	if (st->fn != NULL && !st->committing)
		st->fn(st->arg, st->failed);
}

/* Hands what has gathered to the writer, or the end, or the removal. */
static void
next_piece(struct store_stream *st)
{
	struct buf swap;

	if (st->busy)
		return;		/* st->w is the writer's */
	st->w.remove = st->aborted;
	st->w.finish = st->committing;
	if (buf_len(&st->filling) == 0 && !st->w.remove && !st->w.finish)
		return;
	swap = st->w.piece;
	st->w.piece = st->filling;
	st->filling = swap;
	st->filling.max = STORE_WINDOW;
	st->busy = true;
	st->in_work = buf_len(&st->w.piece);
	spool_pool_queue(&st->store->writers, &st->w.work);
}

enum rc
store_stream_begin(struct store *s, const struct store_mail *mail, uint64_t size_hint, store_stream_fn *fn, void *arg,
    struct store_stream **ret_stream)
{
	struct store_stream *st;
	enum rc rc = RC_OK;

	if (mail->envelope.n > STORE_ENVELOPE_MAX || mail->n_rcpts > mail->envelope.n || size_hint > STORE_CONTENT_MAX)
		return RC_RANGE;
	if (s->state != STORE_OK)
		return s->state == STORE_FULL ? RC_NOSPACE : RC_IO;
	if (size_hint > s->free_bytes)
		return RC_NOSPACE;
	/* The state of the hash wants more alignment than malloc gives. */
	_Static_assert(sizeof *st % _Alignof(struct store_stream) == 0, "what aligned_alloc asks for");
	st = aligned_alloc(_Alignof(struct store_stream), sizeof *st);
	if (st == NULL)
		return RC_NOMEM;
	memset(st, 0, sizeof *st);
	st->store = s;
	st->id = mail->id;
	st->n_rcpts = mail->n_rcpts;
	buf_init(&st->envelope, STORE_ENVELOPE_MAX);
	buf_init(&st->filling, SIZE_MAX);
	st->w.stream = st;
	st->w.fd = -1;
	buf_init(&st->w.piece, SIZE_MAX);
	buf_init(&st->w.block, SPOOL_BIG_BLOCK);
	buf_init(&st->w.sums, STORE_CONTENT_MAX / SPOOL_BIG_BLOCK * 8);
	st->w.work.run = run_writing;
	st->w.work.done = writing_done;
	st->next = s->streams;
	st->prev = &s->streams;
	if (s->streams != NULL)
		s->streams->prev = &st->next;
	s->streams = st;
	if (!buf_put_slice(&st->envelope, mail->envelope))
		rc = RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < mail->n_content; i++) {
		st->filling.max = SIZE_MAX;	/* it is in memory anyway: no window for it */
		rc = store_stream_append(st, mail->content[i]);
	}
	st->filling.max = buf_len(&st->filling) + (size_t)s->params.big_message + STORE_WINDOW;
	if (rc != RC_OK) {
		store_stream_abort(&st);
		return rc;
	}
	st->fn = fn;
	st->arg = arg;
	*ret_stream = st;
	return RC_OK;
}

size_t
store_stream_window(const struct store_stream *st)
{
	size_t waiting = st->in_file ? buf_len(&st->filling) : 0;

	if (st->failed != RC_OK)
		return 0;
	return waiting >= STORE_WINDOW ? 0 : STORE_WINDOW - waiting;
}

uint64_t
store_stream_held(const struct store_stream *st)
{
	return SPOOL_BIG_BLOCK + buf_len(&st->filling) + st->in_work;
}

uint64_t
store_forsaken_bytes(const struct store *s)
{
	return s->forsaken_bytes;
}

void
store_stream_to_file(struct store_stream *st)
{
	if (st->failed != RC_OK || st->in_file)
		return;
	st->in_file = true;
	next_piece(st);
}

enum rc
store_stream_append(struct store_stream *st, struct slice content)
{
	if (st->failed != RC_OK)
		return st->failed;
	if (content.n > STORE_CONTENT_MAX - st->content)
		return RC_RANGE;
	if (st->fn != NULL && content.n > store_stream_window(st))
		return RC_AGAIN;
	if (!buf_put_slice(&st->filling, content)) {
		st->failed = RC_NOMEM;
		return RC_NOMEM;
	}
	st->content += content.n;
	if (st->content > st->store->params.big_message)
		st->in_file = true;
	if (st->in_file)
		next_piece(st);
	return RC_OK;
}

/* Nobody waits for it any more; it stays until the writer has let go of it. */
static void
forsake(struct store_stream *st)
{
	st->aborted = true;
	buf_free(&st->filling);
	buf_free(&st->envelope);
	st->forsaken = store_stream_held(st);
	st->store->forsaken_bytes += st->forsaken;
}

void
store_stream_envelope(struct store_stream *st, struct slice envelope)
{
	if (st->failed != RC_OK)
		return;		/* it may be gone already */
	BUG_ON(st->committing || envelope.n != buf_len(&st->envelope));
	memcpy(st->envelope.p + st->envelope.start, envelope.p, envelope.n);
}

void
store_stream_commit(struct store_stream **stream, store_done_fn *fn, void *arg)
{
	struct store_stream *st = *stream;

	*stream = NULL;
	if (st->failed == RC_OK && !st->in_file) {
		struct slice content = buf_slice(&st->filling);
		struct store_mail mail = { st->id, st->n_rcpts, buf_slice(&st->envelope), &content, 1 };

		store_put(st->store, &mail, fn, arg);
		stream_free(st);
		return;
	}
	st->done_fn = fn;
	st->done_arg = arg;
	st->committing = true;
	if (st->failed == RC_OK) {
		next_piece(st);
		return;
	}
	answer_commit(st, st->failed);
	if (!st->busy)
		stream_free(st);
	else {
		forsake(st);
		st->done_fn = NULL;
	}
}

void
store_stream_abort(struct store_stream **stream)
{
	struct store_stream *st = *stream;

	if (st == NULL)
		return;
	*stream = NULL;
	forsake(st);
	if (st->in_file)
		next_piece(st);
	else
		stream_free(st);
}

/* At the end: open ones are aborted; those whose work is queued are finished by it, or (n_threads 0, thrown away) freed. */
void
streams_forget(struct store *s)
{
	struct store_stream *next;

	for (struct store_stream *st = s->streams; st != NULL; st = next) {
		next = st->next;
		if (s->recovered && (st->busy || st->committing))
			continue;
		stream_free(st);
	}
}
