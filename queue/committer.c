/* queue/committer.c -- the one writer of the log: takes what is queued, writes it, ends it with a COMMIT, syncs, answers.
 *
 * One rule for every error of the disk (docs/QUEUE.md "Errors of the disk"): the segment is given up for good, at the end of its
 * last durable batch, and the next segment's first batch says so. Nothing is ever written behind a failed write or sync. */
#include "queue/committer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
	COMMIT_FRAME = SPOOL_HEADER_BYTES + SPOOL_COMMIT_PAYLOAD,
	SEAL_FRAME = SPOOL_HEADER_BYTES + ((SPOOL_SEAL_PAYLOAD + 7) & ~7),
	LIVE_MAX = 1 << 20,		/* segments that SPOOL_SEGMENTS can list */
	GATHER_FROM = 8,		/* ops of a batch that say: many clients send at once */
	GATHER_US = 1000,		/* how long one of many clients may wait for the others; one that is alone never waits */
	RESULTS_US = 10 * 1000,		/* how long results wait for mail: so much of them may be forgotten at a crash */
	RESULTS_ENOUGH = 64,
	PROLOGUE_MAX = SEALS_MAX * SEAL_FRAME + SPOOL_HEADER_BYTES + 8 + 4 * LIVE_MAX,
};

/* What is written and synced at once. */
struct batch {
	struct spool_list ops;
	size_t bytes;
	unsigned n;
	unsigned n_clients;	/* mail of clients in it */
};

static struct spool_op *
op_of(struct spool_work *w)
{
	return (struct spool_op *)(void *)w;
}

/* --- sequence, sums, COMMIT --- */

struct stamp {
	struct spool_file *f;
	uint64_t sequence;
	uint64_t digest;
	uint32_t frames;
};

static void
finish_frame(struct stamp *s, uint8_t *frame)
{
	struct spool_header h = spool_header_peek(frame);

	h.sequence = ++s->sequence;
	if (spool_is_mail(h.type)) {
		struct spool_head head;

		if (spool_head_get(slice_of(frame + SPOOL_HEADER_BYTES, h.length), &head) != RC_OK)
			BUG("an op holds a message without a head");
		spool_head_finish(&s->f->key, frame + SPOOL_HEADER_BYTES, &head);
	}
	spool_frame_finish(&s->f->key, frame, &h);
	s->digest = spool_digest(&s->f->key, s->digest, frame);
	s->frames++;
}

static void
finish_run(struct stamp *s, uint8_t *frames, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += spool_frame_bytes(spool_header_peek(frames + at).length))
		finish_frame(s, frames + at);
}

static void
make_commit(const struct stamp *s, uint8_t frame[COMMIT_FRAME], uint64_t batch)
{
	struct spool_commit commit = { batch, s->digest, (uint32_t)s->f->end, s->frames };
	struct spool_header h = { .type = SPOOL_COMMIT, .version = 1, .length = SPOOL_COMMIT_PAYLOAD,
		.sequence = s->sequence + 1 };
	struct wr w = { frame + SPOOL_HEADER_BYTES, 0, SPOOL_COMMIT_PAYLOAD, false };

	spool_commit_put(&w, &commit);
	spool_frame_finish(&s->f->key, frame, &h);
}

/* The scan of a sealed segment is prepared while it is being written. */
static void
note_footer(struct spool_file *f, const uint8_t *frames, size_t bytes, uint64_t at)
{
	for (size_t i = 0; i < bytes;) {
		struct spool_entry e = { spool_header_peek(frames + i), (uint32_t)(at + i), { NULL, 0 } };
		struct wr w;
		uint8_t *to;
		size_t n;

		e.payload = slice_of(frames + i + SPOOL_HEADER_BYTES, spool_entry_payload(e.header.type, e.header.length));
		n = SPOOL_FOOTER_ENTRY + 4 + e.payload.n;
		to = f->footer.failed ? NULL : buf_reserve(&f->footer, n);
		if (to == NULL) {
			f->footer.failed = true;
			return;
		}
		w = (struct wr){ to, 0, n, false };
		spool_entry_put(&w, &e);
		buf_advance(&f->footer, w.n);
		i += spool_frame_bytes(e.header.length);
	}
}

/* --- segments --- */

bool
committer_add_seal(struct committer *c, const struct spool_seal_record *seal)
{
	if (c->n_seals == c->max_seals) {
		size_t max = c->max_seals == 0 ? 16 : c->max_seals * 2;
		struct spool_seal_record *seals = max > SEALS_MAX ? NULL : reallocarray(c->seals, max, sizeof *seals);

		if (seals == NULL)
			return false;
		c->seals = seals;
		c->max_seals = max;
	}
	c->seals[c->n_seals++] = *seal;
	return true;
}

/* Numbers must rise in the order of use: that is the order in which a start reads. A spare that was still being made when
 * the committer had to make a segment itself comes too late. */
static struct spool_file *
take_spare(struct committer *c)
{
	char path[SPOOL_PATH_MAX];
	struct spool_file *f;

	for (;;) {
		(void)pthread_mutex_lock(&c->lock);
		f = c->spares;
		if (f != NULL) {
			c->spares = f->next;
			c->n_spares--;
			f->next = NULL;
		}
		(void)pthread_mutex_unlock(&c->lock);
		if (f == NULL || f->number > c->last_number)
			return f;
		spool_segment_path(path, f->number);
		(void)c->io->ops->unlink(c->io, path);	/* else the next start does */
		spool_file_free(f);
	}
}

/* The next segment becomes the current one. The old one must have been dealt with. */
static int
next_segment(struct committer *c)
{
	struct spool_file *f = take_spare(c);
	int error = 0;

	if (f == NULL)
		f = spool_file_make(c->io, c->ident, committer_take_number(c), c->segment_size, false, &error);
	if (f == NULL)
		return error;
	c->current = f;
	c->last_number = f->number;
	c->seals_written = false;
	(void)pthread_mutex_lock(&c->lock);
	c->current_number = f->number;
	(void)pthread_mutex_unlock(&c->lock);
	return committer_add_live(c, f->number) ? 0 : -ENOMEM;
}

static bool
seal_current(struct committer *c, enum spool_seal reason)
{
	const struct spool_file *f = c->current;
	struct spool_seal_record seal = { f->number, (uint32_t)f->end, f->batch, f->digest, (uint8_t)reason };

	return committer_add_seal(c, &seal);
}

static void
drop_file(struct spool_work *w)
{
	spool_file_free((struct spool_file *)(void *)w);
}

/* It is full: its footer is written elsewhere, while the next one is already in use. */
static int
roll(struct committer *c)
{
	struct spool_file *old = c->current;
	size_t n_seals = c->n_seals;
	int rc;

	if (!seal_current(c, SPOOL_SEAL_ROLLED))
		return -ENOMEM;
	rc = next_segment(c);
	if (rc != 0 && c->current == old) {
		c->n_seals = n_seals;	/* not over yet: it may still take changes */
		return rc;
	}
	old->owner = c->owner;
	old->work.done = c->ops->rolled;
	old->work.drop = drop_file;
	spool_bell_ring(c->bell, &old->work);
	return rc;
}

/* The disk refused: what stands behind the last durable batch will never count. */
static void
give_up_segment(struct committer *c)
{
	if (c->current == NULL)
		return;
	/* Without the seal the segment's tail could be taken for a batch: then rather keep failing. */
	c->spoiled = !seal_current(c, SPOOL_SEAL_FAILED);
	if (c->spoiled)
		return;
	if (c->current->batch == 0) {
		char path[SPOOL_PATH_MAX];

		spool_segment_path(path, c->current->number);
		(void)c->io->ops->unlink(c->io, path);
		committer_remove_live(c, c->current->number);
	}
	spool_file_free(c->current);
	c->current = NULL;
}

/* --- one batch --- */

/* First in a segment: how the ones before it end, and which there are. */
static int
make_prologue(struct committer *c)
{
	size_t n_live, bytes;
	struct wr w;
	uint8_t *p;

	buf_clear(&c->prologue);
	if (c->seals_written)
		return 0;
	(void)pthread_mutex_lock(&c->lock);
	n_live = c->n_live < LIVE_MAX ? c->n_live : LIVE_MAX;
	bytes = spool_frame_bytes((uint32_t)(4 + 4 * n_live));
	p = buf_reserve(&c->prologue, c->n_seals * SEAL_FRAME + bytes);
	if (p != NULL) {
		spool_header_draft(p + c->n_seals * SEAL_FRAME, SPOOL_SEGMENTS, (struct msgid){ 0, 0, 0 },
		    (uint32_t)(4 + 4 * n_live));
		w = (struct wr){ p + c->n_seals * SEAL_FRAME + SPOOL_HEADER_BYTES, 0, 4 + 4 * n_live, false };
		wr_u32(&w, (uint32_t)n_live);
		for (size_t i = 0; i < n_live; i++)
			wr_u32(&w, c->live[i]);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (p == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_seals; i++, p += SEAL_FRAME) {
		spool_header_draft(p, SPOOL_SEAL, (struct msgid){ 0, 0, 0 }, SPOOL_SEAL_PAYLOAD);
		w = (struct wr){ p + SPOOL_HEADER_BYTES, 0, SPOOL_SEAL_PAYLOAD, false };
		spool_seal_put(&w, &c->seals[i]);
	}
	buf_advance(&c->prologue, c->n_seals * SEAL_FRAME + bytes);
	return 0;
}

static void
answer(struct committer *c, struct spool_op *op, enum rc rc)
{
	op->rc = rc;
	op->work.done = c->ops->op_done;
	spool_bell_ring(c->bell, &op->work);
}

/* Durable, all of them. The loop hears of them at once, and what it sends about them leaves in one write a line. */
static void
answer_all(struct committer *c, struct spool_list *ops)
{
	for (struct spool_work *w = ops->head; w != NULL; w = w->next) {
		op_of(w)->rc = RC_OK;
		w->done = c->ops->op_done;
	}
	spool_bell_ring_all(c->bell, ops);
}

/* The seal of a segment that has no END of its own must outlive it: tells the store, as an op without frames. */
static void
pin_seals(struct committer *c)
{
	struct spool_op *op = spool_op_new(c->owner, 0);

	if (op == NULL)
		return;
	op->segment = c->current->number;
	for (size_t i = 0; i < c->n_seals; i++)
		if (c->seals[i].reason != SPOOL_SEAL_ROLLED && c->seals[i].batch != 0)
			(void)spool_op_refer(op, (struct msgid){ 0, 0, 0 }, c->seals[i].number, false, false);
	answer(c, op, RC_OK);
}

static void
batch_is_durable(struct committer *c, struct batch *b, const struct stamp *s, uint64_t end)
{
	struct spool_file *f = c->current;
	uint64_t at = f->end;

	note_footer(f, buf_slice(&c->prologue).p, buf_len(&c->prologue), at);
	at += buf_len(&c->prologue);
	for (struct spool_work *w = b->ops.head; w != NULL; w = w->next) {
		struct spool_op *op = op_of(w);

		op->segment = f->number;
		op->offset = (uint32_t)at;
		note_footer(f, op->frames, op->bytes, at);
		at += op->bytes;
		if (op->dead != 0)
			committer_remove_live(c, op->dead);
	}
	f->end = end;
	f->batch = c->batch;
	f->digest = s->digest;
	f->sequence = c->sequence;
	if (!c->seals_written) {
		pin_seals(c);
		c->n_seals = 0;
		c->seals_written = true;
	}
}

/* docs/QUEUE.md "Writing", 1. 0 when durable; -errno, with nothing of it valid, else. */
static int
write_batch(struct committer *c, struct batch *b)
{
	uint8_t commit[COMMIT_FRAME];
	struct stamp s;
	uint64_t end;
	int n = 0, rc;

	rc = make_prologue(c);
	if (rc != 0)
		return rc;
	s = (struct stamp){ c->current, c->sequence, 0, 0 };
	if (buf_len(&c->prologue) > 0) {
		uint8_t *p = c->prologue.p + c->prologue.start;

		finish_run(&s, p, buf_len(&c->prologue));
		c->iov[n++] = (struct iovec){ p, buf_len(&c->prologue) };
	}
	end = c->current->end + buf_len(&c->prologue);
	for (struct spool_work *w = b->ops.head; w != NULL; w = w->next) {
		struct spool_op *op = op_of(w);

		finish_run(&s, op->frames, op->bytes);
		c->iov[n++] = (struct iovec){ op->frames, op->bytes };
		end += op->bytes;
	}
	make_commit(&s, commit, ++c->batch);
	c->sequence = s.sequence + 1;	/* never used again, whatever happens now */
	c->iov[n++] = (struct iovec){ commit, sizeof commit };
	end += sizeof commit;
	rc = spool_io_write_all(c->io, c->current->fd, c->iov, n, c->current->end);
	if (rc == 0)
		rc = c->io->ops->datasync(c->io, c->current->fd);
	if (rc != 0) {
		give_up_segment(c);
		return rc;
	}
	batch_is_durable(c, b, &s, end);
	return 0;
}

/* A current segment with room for bytes, or -errno. Changes may use what is set aside for them. */
static int
find_room(struct committer *c, size_t bytes, bool client)
{
	uint64_t limit = client ? c->segment_size - c->segment_size / RESERVE_SHARE : c->segment_size;
	int rc;

	if (c->current == NULL)
		return next_segment(c);
	if (c->current->end == SPOOL_FIRST_FRAME || c->current->end + bytes + COMMIT_FRAME <= limit)
		return 0;
	rc = roll(c);
	if (rc != 0 && !client && c->current != NULL && c->current->end + bytes + COMMIT_FRAME <= c->segment_size)
		return 0;
	return rc;
}

static int
commit_batch(struct committer *c, struct batch *b)
{
	int rc;

	if (c->spoiled)
		give_up_segment(c);
	if (c->spoiled)
		return -EIO;
	rc = find_room(c, b->bytes, b->n_clients > 0);
	return rc == 0 ? write_batch(c, b) : rc;
}

/* --- states --- */

/* Under the lock. */
static void
ring_notice(struct committer *c)
{
	if (c->notice_queued)
		return;
	c->notice_queued = true;
	c->notice.done = c->ops->notice;
	spool_bell_ring(c->bell, &c->notice);
}

static void
set_state(struct committer *c, enum committer_state state, int error)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->state != state || c->error != error) {
		c->state = state;
		c->error = error;
		ring_notice(c);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

static void
state_from(struct committer *c, int rc)
{
	if (rc == 0)
		set_state(c, COMMITTER_OK, 0);
	else
		set_state(c, rc == -ENOSPC || rc == -EDQUOT ? COMMITTER_FULL : COMMITTER_FAILED, -rc);
}

/* After a failure: clients hear of it, the rest is kept for another try. */
static void
sort_out(struct committer *c, struct batch *b, int error, struct batch *ret_kept)
{
	struct spool_work *w;

	*ret_kept = (struct batch){ .bytes = 0 };
	while ((w = spool_list_take(&b->ops)) != NULL) {
		struct spool_op *op = op_of(w);

		if (op->client) {
			answer(c, op, error == -ENOSPC || error == -EDQUOT ? RC_NOSPACE : error == -ENOMEM ? RC_NOMEM : RC_IO);
			continue;
		}
		spool_list_append(&ret_kept->ops, w);
		ret_kept->bytes += op->bytes;
		ret_kept->n++;
	}
}

static void
run_batch(struct committer *c, struct batch *b)
{
	int rc = commit_batch(c, b);
	struct spool_work *w;
	struct batch kept;

	if (rc != 0) {
		sort_out(c, b, rc, &kept);
		/* Once more, elsewhere: is it the segment or the disk? An empty batch answers that as well. */
		rc = commit_batch(c, &kept);
		*b = kept;
	}
	if (rc != 0)
		while ((w = spool_list_take(&b->ops)) != NULL)
			spool_list_append(&c->held, w);
	state_from(c, rc);
	answer_all(c, &b->ops);
}

/* --- the loop of the thread --- */

static void
move_batch(struct spool_list *from, struct batch *to)
{
	while (from->head != NULL && to->n < BATCH_OPS_MAX) {
		struct spool_op *op = op_of(from->head);

		if (to->n > 0 && to->bytes + op->bytes > BATCH_BYTES_MAX)
			break;
		spool_list_append(&to->ops, spool_list_take(from));
		to->bytes += op->bytes;
		to->n_clients += op->client;
		to->n++;
	}
}

/* Under the lock. */
static void
take_batch(struct committer *c, struct batch *to)
{
	move_batch(&c->queue, to);
	c->n_queued -= to->n;
	c->n_clients -= to->n_clients;
}

/* While the disk does not work, only a probe touches it; everything else is sorted out. */
static void
step_broken(struct committer *c, struct spool_list *queue, bool probe, int error)
{
	struct batch b = { .bytes = 0 }, kept;
	struct spool_work *w;

	while (queue->head != NULL) {
		move_batch(queue, &b);
		sort_out(c, &b, -error, &kept);
		while ((w = spool_list_take(&kept.ops)) != NULL)
			spool_list_append(&c->held, w);
		b = (struct batch){ .bytes = 0 };
	}
	if (!probe)
		return;
	move_batch(&c->held, &b);
	run_batch(c, &b);
}

static bool
step(struct committer *c)
{
	struct batch b = { .bytes = 0 };
	struct spool_list queue = { NULL, NULL };
	bool probe, broken;
	int error;

	(void)pthread_mutex_lock(&c->lock);
	broken = c->state != COMMITTER_OK;
	error = c->error;
	probe = c->probe;
	c->probe = false;
	if (broken) {
		queue = c->queue;
		c->queue = (struct spool_list){ NULL, NULL };
		c->n_queued = c->n_clients = 0;
	} else if (c->held.head != NULL)
		move_batch(&c->held, &b);
	else
		take_batch(c, &b);
	(void)pthread_mutex_unlock(&c->lock);
	if (broken) {
		if (queue.head == NULL && !probe)
			return false;
		step_broken(c, &queue, probe, error);
		return true;
	}
	if (b.n == 0)
		return false;
	c->last_n = b.n;
	run_batch(c, &b);
	return true;
}

/* Under the lock. Sleeps until there is something to do. */
static void
sleep_on(struct committer *c)
{
	c->asleep = true;
	while (c->queue.head == NULL && !c->probe && !c->stop)
		(void)pthread_cond_wait(&c->wake, &c->lock);
	c->asleep = false;
}

/* Under the lock. False: the time is up. */
static bool
wait_until(struct committer *c, const struct timespec *until, unsigned enough)
{
	c->gathers = enough;
	return pthread_cond_timedwait(&c->wake, &c->lock, until) == 0;
}

static struct timespec
from_now(long us)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += us * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Under the lock. A batch is worth a short wait for more: results for mail that comes, which would need a sync of its own;
 * and mail for more mail, when the last batch shows that many clients send at once. */
static void
gather(struct committer *c)
{
	struct timespec until = from_now(RESULTS_US);

	while (c->n_clients == 0 && c->n_queued < RESULTS_ENOUGH && !c->probe && !c->stop)
		if (!wait_until(c, &until, RESULTS_ENOUGH))
			break;
	until = from_now(GATHER_US);
	while (c->n_clients > 0 && c->last_n >= GATHER_FROM && c->n_queued < c->last_n && !c->probe && !c->stop)
		if (!wait_until(c, &until, c->last_n))
			break;
	c->gathers = 0;
}

static void *
committer_main(void *arg)
{
	struct committer *c = arg;

	for (;;) {
		bool stop;

		(void)pthread_mutex_lock(&c->lock);
		if (c->held.head == NULL || c->state != COMMITTER_OK) {
			sleep_on(c);
			gather(c);
		}
		stop = c->stop && c->queue.head == NULL && !c->probe && (c->held.head == NULL || c->state != COMMITTER_OK);
		(void)pthread_mutex_unlock(&c->lock);
		if (stop)
			return NULL;
		(void)step(c);
	}
}

/* --- called from the loop --- */

/* Its waits are by the monotonic clock: the other one may jump. */
static bool
init_wake(pthread_cond_t *wake)
{
	pthread_condattr_t attr;
	bool ok;

	if (pthread_condattr_init(&attr) != 0)
		return false;
	ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(wake, &attr) == 0;
	(void)pthread_condattr_destroy(&attr);
	return ok;
}

enum rc
committer_init(struct committer *c, struct spool_io *io, struct spool_bell *bell, const struct committer_ops *ops,
    void *owner, uint64_t segment_size)
{
	*c = (struct committer){ .io = io, .bell = bell, .ops = ops, .owner = owner, .segment_size = segment_size };
	buf_init(&c->prologue, PROLOGUE_MAX);
	c->iov = calloc(BATCH_OPS_MAX + 2, sizeof *c->iov);
	if (c->iov == NULL)
		return RC_NOMEM;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c->iov);
		return RC_NOMEM;
	}
	if (init_wake(&c->wake))
		return RC_OK;
	(void)pthread_mutex_destroy(&c->lock);
	free(c->iov);
	return RC_NOMEM;
}

void
committer_end(struct committer *c)
{
	spool_list_drop(&c->queue);
	spool_list_drop(&c->held);
	for (struct spool_file *f; (f = c->spares) != NULL;) {
		c->spares = f->next;
		spool_file_free(f);
	}
	spool_file_free(c->current);
	buf_free(&c->prologue);
	free(c->iov);
	free(c->seals);
	free(c->live);
	(void)pthread_cond_destroy(&c->wake);
	(void)pthread_mutex_destroy(&c->lock);
}

enum rc
committer_open(struct committer *c, struct spool_ident ident, uint32_t next_number, uint64_t sequence, uint64_t batch)
{
	struct batch empty = { .bytes = 0 };
	int rc;

	c->ident = ident;
	c->next_number = next_number;
	c->sequence = sequence;
	c->batch = batch;
	rc = commit_batch(c, &empty);
	return rc == 0 ? RC_OK : rc_from_errno(-rc);
}

enum rc
committer_start(struct committer *c)
{
	enum rc rc = spool_thread_start(&c->thread, committer_main, c);

	c->threaded = rc == RC_OK;
	return rc;
}

void
committer_queue(struct committer *c, struct spool_op *op)
{
	bool wake;

	(void)pthread_mutex_lock(&c->lock);
	spool_list_append(&c->queue, &op->work);
	c->n_queued++;
	c->n_clients += op->client;
	wake = c->asleep || (c->gathers != 0 && (c->n_queued >= c->gathers || (op->client && c->n_clients == 1)));
	(void)pthread_mutex_unlock(&c->lock);
	/* Behind the lock, which it would wake up to find taken; and not at all while it is at work. */
	if (wake)
		(void)pthread_cond_signal(&c->wake);
}

void
committer_probe(struct committer *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->probe = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
}

bool
committer_pump(struct committer *c)
{
	return !c->threaded && step(c);
}

void
committer_join(struct committer *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->stop = true;
	(void)pthread_cond_signal(&c->wake);
	(void)pthread_mutex_unlock(&c->lock);
	if (c->threaded)
		(void)pthread_join(c->thread, NULL);
	c->threaded = false;
}

void
committer_refuse_held(struct committer *c)
{
	struct spool_work *w;

	while ((w = spool_list_take(&c->held)) != NULL)
		answer(c, op_of(w), RC_IO);
}

uint32_t
committer_take_number(struct committer *c)
{
	uint32_t number;

	(void)pthread_mutex_lock(&c->lock);
	number = c->next_number++;
	(void)pthread_mutex_unlock(&c->lock);
	return number;
}

void
committer_add_spare(struct committer *c, struct spool_file **spare)
{
	struct spool_file **at;

	(void)pthread_mutex_lock(&c->lock);
	for (at = &c->spares; *at != NULL; at = &(*at)->next)
		;
	(*spare)->next = NULL;
	*at = *spare;
	*spare = NULL;
	c->n_spares++;
	(void)pthread_mutex_unlock(&c->lock);
}

unsigned
committer_spares(struct committer *c)
{
	unsigned n;

	(void)pthread_mutex_lock(&c->lock);
	n = c->n_spares;
	(void)pthread_mutex_unlock(&c->lock);
	return n;
}

bool
committer_add_live(struct committer *c, uint32_t number)
{
	bool ok = true;

	(void)pthread_mutex_lock(&c->lock);
	if (c->n_live == c->max_live) {
		size_t max = c->max_live == 0 ? 64 : c->max_live * 2;
		uint32_t *live = reallocarray(c->live, max, sizeof *live);

		ok = live != NULL;
		if (ok) {
			c->live = live;
			c->max_live = max;
		}
	}
	if (ok)
		c->live[c->n_live++] = number;
	(void)pthread_mutex_unlock(&c->lock);
	return ok;
}

void
committer_remove_live(struct committer *c, uint32_t number)
{
	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->n_live; i++)
		if (c->live[i] == number) {
			c->live[i] = c->live[--c->n_live];
			break;
		}
	(void)pthread_mutex_unlock(&c->lock);
}

struct committer_look
committer_look(struct committer *c)
{
	struct committer_look look;

	(void)pthread_mutex_lock(&c->lock);
	c->notice_queued = false;
	look = (struct committer_look){ c->state, c->error, c->current_number };
	(void)pthread_mutex_unlock(&c->lock);
	return look;
}
