/* tests/fuzz/fuzz_room_queue.c -- the queue, whole, on a disk in memory, among neighbours that send anything: smtpds, deliver,
 * local, router, control; and a disk that fails and fills up at any moment.
 *
 * Afterwards the neighbours are good ones, the disk is whole, and time passes: everything that was accepted must leave. */
#include "queue/queue.c"

#include "common/job.h"
#include "tests/fuzz/clock.h"
#include "tests/fuzz/room.h"
#include "tests/queue/sim_disk.h"
#include "tests/router/house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMTPD, OTHER_SMTPD, DELIVER, LOCAL, ROUTER, CONTROL, ROUNDS_MAX = 400 };

static struct sim_disk *disk;
static bool rotten;	/* what is damaged may stay for an operator */

static struct conf *
conf(void)
{
	static const struct house_line lines[] = {
		{ "smtpd", "", "max-message-size", "64K" },
		{ "queue", "", "segment-size", "1M" },
		{ "queue", "", "big-message", "64K" },
		{ "transport", "lmtp", "concurrency-max", "2" },
	};
	struct conf *c = house_conf(lines, sizeof lines / sizeof lines[0]);

	free(c->global.hostname);
	c->global.hostname = strdup("house.test");
	return c;
}

static void
open_spool(struct fuzz_world *w)
{
	struct store_params params = { .segment_size = 64 * 1024, .big_message = 8192, .min_free = 4096 };
	struct queue *q = calloc(1, sizeof *q);

	if (q == NULL || disk == NULL)
		abort();
	w->room.ctx = q;
	q->room = &w->room;
	q->io = sim_disk_io(disk);
	q->store = store_new(w->room.loop, q->io, &params, &store_ops, q);
	if (q->store == NULL)
		abort();
	start(&w->room);
}

static void
begin(struct fuzz_world *w)
{
	rotten = false;
	disk = sim_disk_new(1);
	open_spool(w);
}

static void
turn(struct fuzz_world *w)
{
	struct queue *q = w->room.ctx;

	store_pump(q->store);
}

/* The process is gone, and what it held in memory; what is under way on behalf of nobody needs the router to end. */
static bool
forget_all(struct fuzz_world *w)
{
	struct queue *q = w->room.ctx;
	struct message *m;

	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		fuzz_hang_up(&w->ends[i]);
	fuzz_settle(w);
	if (q->smtpds != NULL || q->carriers[0] != NULL || q->carriers[1] != NULL || q->router != NULL || q->n_listings != 0)
		abort();
	if (q->n_bounces > 0 || q->n_batches > 0 || q->n_drafts > 0)
		return false;
	while ((m = messages_after(&q->messages, 0)) != NULL) {
		messages_remove(&q->messages, m);
		late_forget(&q->schedule, m);
		recent_drop(&q->recents, m);
		reasons_drop(&q->reasons, m);
		free(m);
	}
	timer_cancel(&q->tick);
	timer_cancel(&q->look);
	chore_cancel(&q->pump);
	store_free(q->store);
	schedule_free(&q->schedule);
	recents_free(&q->recents);
	reasons_free(&q->reasons);
	free(q);
	return true;
}

/* The power goes, and comes back. */
static void
restart(struct fuzz_world *w, enum sim_cut how)
{
	struct sim_disk *found;

	w->room.stopping = false;
	if (forget_all(w)) {
		found = sim_disk_after_cut(disk, how, 1);
		sim_disk_free(disk);
		disk = found;
		open_spool(w);
	}
	for (size_t i = 0; w->def->lines[i] != ROLE_NONE; i++)
		(void)fuzz_wire(w, i);
}

/* Bytes of a segment, or of a big message, turn into others. */
static void
rot(struct fuzz_world *w, unsigned which)
{
	const char *name = sim_disk_name(disk, (which & 8) != 0 ? "big/" : "seg/", which & 7);
	uint64_t n = 0, at = rd_u16(&w->in) * UINT64_C(4);
	uint8_t *bytes = name == NULL ? NULL : sim_disk_file(disk, name, &n);

	if (bytes == NULL || n == 0)
		return;
	rotten = true;
	bytes[at % n] ^= rd_u8(&w->in) | 1;
}

/* Something happens to the disk. */
static void
special(struct fuzz_world *w)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS };
	struct queue *q = w->room.ctx;
	uint8_t what = rd_u8(&w->in);

	if (what >= 0xf0) {
		restart(w, (enum sim_cut)((what & 15) % SIM_CUTS));
		return;
	}
	if (what >= 0xe0) {
		rot(w, what & 15);
		return;
	}
	switch (what & 3) {
	case 0:
		sim_disk_heal(disk);
		sim_disk_capacity(disk, UINT64_C(1) << 40);
		store_probe(q->store);
		break;
	case 1:
		sim_disk_capacity(disk, sim_disk_used(disk) + rd_u8(&w->in) * UINT64_C(1024));
		store_probe(q->store);
		break;
	case 2:
		sim_disk_fail(disk, (enum sim_op)(what >> 2 & 7), 1 + (what >> 5), errors[rd_u8(&w->in) & 3], false);
		break;
	default:
		sim_disk_fail(disk, (enum sim_op)(what >> 2 & 7), 1 + (what >> 5), errors[rd_u8(&w->in) & 3], true);
		break;
	}
}

/* --- good neighbours --- */

static void
deliver_all(struct fuzz_end *e, uint32_t handle, const struct d_job *job)
{
	struct buf results = BUF_INIT(128 * 1024);
	struct rd r = { job->rcpts, false };
	struct d_result m = { .job = job->job, .host = S("mx.sink.test"), .pull = 1 };
	struct wr body = fuzz_body();
	struct job_rcpt rcpt;

	while (job_rcpt_next(&r, &rcpt))
		(void)job_result_put(&results, &(struct job_result){ rcpt.index, JOB_DELIVERED, 250, S("2.0.0"), S("Ok") });
	m.results = buf_slice(&results);
	if (d_result_put(&body, &m))
		fuzz_send(e, D_RESULT, handle, &body);
	buf_free(&results);
}

static void
good_neighbour(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice bytes)
{
	struct r_verdict verdict = { .action = VERDICT_ACCEPT, .transport = S("smtp"), .nexthop = S("sink.test"),
		.rule = S("default"), .generation = w->room.conf->generation };
	struct wr body = fuzz_body();
	struct rd r = { bytes, false };
	struct d_job job;

	if (type == R_ROUTE && r_verdict_put(&body, &verdict))
		fuzz_send(e, R_VERDICT, handle, &body);
	if (type == D_OPEN && d_pull_put(&body, &(struct d_pull){ 0 }))
		fuzz_send(e, D_PULL, handle, &body);
	if (type == D_IDLE && d_closed_put(&body, &(struct d_closed){ .status = SESSION_DONE }))
		fuzz_send(e, D_CLOSED, handle, &body);
	if (type == D_JOB && d_job_get(&r, &job))
		deliver_all(e, handle, &job);
}

static void
drain(struct fuzz_world *w, struct queue *q)
{
	sim_disk_heal(disk);
	sim_disk_capacity(disk, UINT64_C(1) << 40);
	store_probe(q->store);
	q->closing = false;
	w->watching = true;
	(void)fuzz_wire(w, DELIVER);
	(void)fuzz_wire(w, LOCAL);
	(void)fuzz_wire(w, ROUTER);
	for (unsigned i = 0; messages_count(&q->messages) > 0 || q->n_bounces > 0 || q->schedule.n_sessions > 0; i++) {
		if (i == ROUNDS_MAX && !rotten)
			abort();	/* mail that never leaves */
		if (i >= ROUNDS_MAX / 10 && rotten && q->n_bounces == 0 && q->schedule.n_sessions == 0)
			return;
		fuzz_clock_pass(i % 4 == 3 ? 3600 * 1000 : 1000);
		store_probe(q->store);
		fuzz_settle(w);
	}
	if (q->n_drafts != 0 || q->draft_bytes != 0 || q->messages.n_rcpts != 0 || q->messages.bytes != 0 ||
	    q->schedule.n_busy != 0 || q->schedule.n_ready != 0 || q->n_batches != 0)
		abort();
}

static void
end(struct fuzz_world *w)
{
	struct queue *q = w->room.ctx;

	drain(w, q);
	w->watching = false;
	store_close(q->store);
	if (!forget_all(w))
		abort();
	sim_disk_free(disk);
}

static const struct fuzz_room def = {
	.role = ROLE_QUEUE, .ops = &queue_ops, .conf = conf, .start = begin, .turn = turn, .special = special,
	.frame = good_neighbour,
	.end = end,
	.lines = { [SMTPD] = ROLE_SMTPD, [OTHER_SMTPD] = ROLE_SMTPD, [DELIVER] = ROLE_DELIVER, [LOCAL] = ROLE_LOCAL,
	    [ROUTER] = ROLE_ROUTER, [CONTROL] = ROLE_CONTROL },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
