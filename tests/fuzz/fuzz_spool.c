/* tests/fuzz/fuzz_spool.c -- a segment as somebody else may have left it: the start must cope with every byte of it.
 *
 * The input is a small program. Each step either lays raw bytes into the segment (rot, stale blocks, a body that imitates
 * records: whoever wrote them does not know the nonce), or lays the bytes in a frame with right sums (a bug of ours, a
 * newer version), or closes a batch. Then a store starts on it, reads what it was told of, drops it, and starts again. */
#include "queue/spool_record.h"
#include "queue/store.h"
#include "tests/queue/sim_disk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT = 64 * 1024, MESSAGES_MAX = 256 };

struct image {
	uint8_t bytes[SEGMENT];
	size_t end, start;
	struct spool_key key;
	uint64_t sequence, batch, digest;
	uint32_t frames;
};

struct told {
	struct msgid id[MESSAGES_MAX];
	struct store_where where[MESSAGES_MAX];
	unsigned n;
};

static void
lay_frame(struct image *m, uint8_t type, uint16_t flags, struct slice payload)
{
	struct spool_header h = { .type = type, .version = 1, .flags = flags, .length = (uint32_t)payload.n,
		.sequence = ++m->sequence, .id = { 7, 1, payload.n % 5 } };
	struct spool_head head;

	if (spool_frame_bytes(h.length) > sizeof m->bytes - m->end)
		return;
	if (payload.n > 0)
		memcpy(m->bytes + m->end + SPOOL_HEADER_BYTES, payload.p, payload.n);
	if (spool_is_mail(type) && spool_head_get(payload, &head) == RC_OK && head.envelope <= payload.n - SPOOL_HEAD_BYTES)
		spool_head_finish(&m->key, m->bytes + m->end + SPOOL_HEADER_BYTES, &head);
	spool_frame_finish(&m->key, m->bytes + m->end, &h);
	m->digest = spool_digest(&m->key, m->digest, m->bytes + m->end);
	m->end += spool_frame_bytes(h.length);
	m->frames++;
}

static void
lay_commit(struct image *m)
{
	struct spool_commit c = { ++m->batch, m->digest, (uint32_t)m->start, m->frames };
	uint8_t payload[SPOOL_COMMIT_PAYLOAD];
	struct wr w = { payload, 0, sizeof payload, false };

	spool_commit_put(&w, &c);
	lay_frame(m, SPOOL_COMMIT, 0, slice_of(payload, sizeof payload));
	m->start = m->end;
	m->digest = 0;
	m->frames = 0;
}

static void
lay_raw(struct image *m, struct slice bytes)
{
	size_t room = (sizeof m->bytes - m->end) & ~(size_t)(SPOOL_ALIGN - 1);

	bytes = slice_first(bytes, room);
	if (bytes.n > 0)
		memcpy(m->bytes + m->end, bytes.p, bytes.n);
	m->end += (bytes.n + SPOOL_ALIGN - 1) & ~(size_t)(SPOOL_ALIGN - 1);
}

/* Steps: u8 what (0..0x7f: a frame of that type; 0x80..0xbf: raw; 0xc0..: COMMIT), u16 length, bytes. */
static void
run_program(struct image *m, struct slice program)
{
	struct rd rd = { program, false };

	while (rd.s.n > 0 && !rd.bad) {
		uint8_t what = rd_u8(&rd);
		struct slice bytes;

		if (what >= 0xc0) {
			lay_commit(m);
			continue;
		}
		bytes = rd_take(&rd, rd_u16(&rd) & 0x0fff);
		if (what >= 0x80)
			lay_raw(m, bytes);
		else
			lay_frame(m, what & 0x3f, what >> 6, bytes);
	}
}

static void
on_visit(void *arg, const struct store_message *m)
{
	struct told *t = arg;

	for (uint32_t i = 0; i < m->n_rcpts; i++)
		if ((unsigned)m->rcpts[i].state > STORE_BOUNCED)
			abort();
	if (t->n == MESSAGES_MAX)
		return;
	t->id[t->n] = m->id;
	t->where[t->n++] = m->where;
}

static void
on_read(void *arg, enum rc rc, struct slice bytes)
{
	size_t *total = arg;

	*total += rc == RC_OK ? bytes.n : 0;
}

static enum rc
start(struct loop *loop, struct sim_disk *disk, struct told *t, bool drop)
{
	struct store_params params = { .segment_size = SEGMENT, .big_message = 8192 };
	static const struct store_ops ops;
	struct store *s = store_new(loop, sim_disk_io(disk), &params, &ops, NULL);
	struct store_stats stats;
	const char *why;
	size_t total = 0;
	enum rc rc;

	t->n = 0;
	rc = s == NULL ? RC_NOMEM : store_recover(s, on_visit, t, &stats, &why);
	for (unsigned i = 0; rc == RC_OK && i < t->n; i++) {
		store_read(s, t->id[i], t->where[i], 0, 1000, on_read, &total);
		store_read_envelope(s, t->id[i], t->where[i], on_read, &total);
		if (drop)
			store_drop(s, t->id[i], t->where[i], NULL, NULL);
		store_pump(s);
	}
	if (rc == RC_OK)
		store_close(s);
	store_free(s);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool_segment first = { .format = SPOOL_FORMAT, .boot = 1, .spool = 7, .number = 3, .nonce = "fuzz" };
	struct image *m = calloc(1, sizeof *m);
	struct told *t = calloc(1, sizeof *t);
	struct sim_disk *disk = sim_disk_new(1);
	struct loop *loop = loop_new();
	unsigned found;

	if (m == NULL || t == NULL || loop == NULL)
		abort();
	spool_key_make(&m->key, first.nonce);
	spool_segment_frame(m->bytes, &first);
	m->end = m->start = SPOOL_FIRST_FRAME;
	run_program(m, slice_of(data, size));
	sim_disk_put(disk, "seg/00000003.seg", m->bytes, sizeof m->bytes);
	if (start(loop, disk, t, false) == RC_OK) {
		found = t->n;
		/* What was found once is found again, and when it was dropped it is gone. */
		if (start(loop, disk, t, true) != RC_OK || t->n != found)
			abort();
		if (start(loop, disk, t, false) != RC_OK || t->n != 0)
			abort();
	}
	loop_free(loop);
	sim_disk_free(disk);
	free(m);
	free(t);
	return 0;
}
