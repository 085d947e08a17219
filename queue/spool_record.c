/* queue/spool_record.c -- frames of the spool: encode, decode, verify. Nothing here trusts a byte that has no valid sum,
 * and nothing here trusts a length that has one: a bug of ours must not become an over-read. */
#include "queue/spool_record.h"

#include <xxhash.h>

_Static_assert(sizeof ((struct spool_key *)0)->secret >= XXH3_SECRET_SIZE_MIN, "XXH3 needs this much secret");

void
spool_key_make(struct spool_key *key, const uint8_t nonce[SPOOL_NONCE_BYTES])
{
	struct wr w = { key->secret, 0, sizeof key->secret, false };

	for (uint64_t i = 0; w.n < w.max; i++)
		wr_u64(&w, XXH64(nonce, SPOOL_NONCE_BYTES, i));
}

void
spool_key_none(struct spool_key *key)
{
	static const uint8_t nothing[SPOOL_NONCE_BYTES];

	spool_key_make(key, nothing);
}

static uint64_t
spool_sum(const struct spool_key *key, struct slice bytes)
{
	return XXH3_64bits_withSecret(bytes.p == NULL ? key->secret : bytes.p, bytes.n, key->secret, sizeof key->secret);
}

static void
put_msgid(struct wr *w, struct msgid id)
{
	wr_u64(w, id.spool << 16 | id.boot);
	wr_u64(w, id.seq);
}

static struct msgid
get_msgid(struct rd *r)
{
	uint64_t high = rd_u64(r), seq = rd_u64(r);

	return (struct msgid){ .spool = high >> 16, .boot = (uint16_t)high, .seq = seq };
}

void
spool_frame_finish(const struct spool_key *key, uint8_t *frame, const struct spool_header *h)
{
	size_t whole = spool_frame_bytes(h->length), used = SPOOL_HEADER_BYTES + (size_t)h->length;
	struct wr w = { frame, 8, SPOOL_HEADER_BYTES, false };

	BUG_ON(h->length > SPOOL_PAYLOAD_MAX);
	memset(frame + used, 0, whole - used);
	wr_u8(&w, h->type);
	wr_u8(&w, h->version);
	wr_u16(&w, h->flags);
	wr_u32(&w, h->length);
	wr_u64(&w, h->sequence);
	put_msgid(&w, h->id);
	wr_u64(&w, spool_sum(key, slice_of(frame + SPOOL_HEADER_BYTES, h->length)));
	w = (struct wr){ frame, 0, 8, false };
	wr_u32(&w, SPOOL_MAGIC);
	wr_u32(&w, (uint32_t)spool_sum(key, slice_of(frame + 8, SPOOL_HEADER_BYTES - 8)));
}

void
spool_header_draft(uint8_t *frame, uint8_t type, struct msgid id, uint32_t length)
{
	struct wr w = { frame, 0, SPOOL_HEADER_BYTES, false };

	memset(frame, 0, SPOOL_HEADER_BYTES);
	wr_u64(&w, 0);
	wr_u8(&w, type);
	wr_u8(&w, 1);
	wr_u16(&w, 0);
	wr_u32(&w, length);
	wr_u64(&w, 0);
	put_msgid(&w, id);
}

struct spool_header
spool_header_peek(const uint8_t *frame)
{
	struct rd r = { slice_of(frame + 8, SPOOL_HEADER_BYTES - 8), false };
	struct spool_header h;

	h.type = rd_u8(&r);
	h.version = rd_u8(&r);
	h.flags = rd_u16(&r);
	h.length = rd_u32(&r);
	h.sequence = rd_u64(&r);
	h.id = get_msgid(&r);
	h.sum = rd_u64(&r);
	return h;
}

enum rc
spool_header_parse(const struct spool_key *key, struct slice bytes, struct spool_header *ret_h)
{
	struct rd r = { slice_first(bytes, SPOOL_HEADER_BYTES), false };
	struct spool_header h;

	if (bytes.n < SPOOL_HEADER_BYTES || rd_u32(&r) != SPOOL_MAGIC)
		return RC_CORRUPT;
	if (rd_u32(&r) != (uint32_t)spool_sum(key, slice_of(bytes.p + 8, SPOOL_HEADER_BYTES - 8)))
		return RC_CORRUPT;
	h.type = rd_u8(&r);
	h.version = rd_u8(&r);
	h.flags = rd_u16(&r);
	h.length = rd_u32(&r);
	h.sequence = rd_u64(&r);
	h.id = get_msgid(&r);
	h.sum = rd_u64(&r);
	if (!rd_end(&r) || h.length > SPOOL_PAYLOAD_MAX)
		return RC_CORRUPT;
	*ret_h = h;
	return RC_OK;
}

bool
spool_payload_ok(const struct spool_key *key, const struct spool_header *h, struct slice payload)
{
	return payload.n == h->length && spool_sum(key, payload) == h->sum;
}

void
spool_segment_frame(uint8_t out[SPOOL_FIRST_FRAME], const struct spool_segment *s)
{
	struct wr w = { out + SPOOL_HEADER_BYTES, 0, SPOOL_SEGMENT_PAYLOAD, false };
	struct spool_header h = { .type = SPOOL_SEGMENT, .version = 1, .length = SPOOL_SEGMENT_PAYLOAD };
	struct spool_key key;

	wr_u16(&w, s->format);
	wr_u16(&w, s->boot);
	wr_u32(&w, s->features);
	wr_u64(&w, s->spool);
	wr_u32(&w, s->number);
	wr_u32(&w, s->log);
	wr_bytes(&w, s->nonce, sizeof s->nonce);
	wr_i64(&w, s->made_at);
	spool_key_none(&key);
	spool_frame_finish(&key, out, &h);
}

enum rc
spool_segment_parse(struct slice bytes, struct spool_segment *ret_s)
{
	struct spool_header h;
	struct spool_segment s;
	struct spool_key key;
	struct rd r;
	enum rc rc;

	spool_key_none(&key);
	rc = spool_header_parse(&key, bytes, &h);
	if (rc != RC_OK)
		return rc;
	bytes = slice_first(slice_from(bytes, SPOOL_HEADER_BYTES), h.length);
	if (h.type != SPOOL_SEGMENT || !spool_payload_ok(&key, &h, bytes))
		return RC_CORRUPT;
	r = (struct rd){ bytes, false };
	s.format = rd_u16(&r);
	s.boot = rd_u16(&r);
	s.features = rd_u32(&r);
	s.spool = rd_u64(&r);
	s.number = rd_u32(&r);
	s.log = rd_u32(&r);
	struct slice nonce = rd_take(&r, SPOOL_NONCE_BYTES);
	s.made_at = rd_i64(&r);
	if (r.bad)
		return RC_CORRUPT;
	if (s.format > SPOOL_FORMAT || (s.features & ~SPOOL_FEATURES_KNOWN) != 0)
		return RC_UNSUPPORTED;
	memcpy(s.nonce, nonce.p, sizeof s.nonce);
	*ret_s = s;
	return RC_OK;
}

uint64_t
spool_digest(const struct spool_key *key, uint64_t digest, const uint8_t header[SPOOL_HEADER_BYTES])
{
	uint8_t both[8 + SPOOL_HEADER_BYTES];
	struct wr w = { both, 0, sizeof both, false };

	wr_u64(&w, digest);
	wr_bytes(&w, header, SPOOL_HEADER_BYTES);
	return spool_sum(key, slice_of(both, sizeof both));
}

void
spool_commit_put(struct wr *w, const struct spool_commit *c)
{
	wr_u64(w, c->batch);
	wr_u32(w, c->start);
	wr_u32(w, c->frames);
	wr_u64(w, c->digest);
}

enum rc
spool_commit_get(struct slice payload, struct spool_commit *ret_c)
{
	struct rd r = { payload, false };
	struct spool_commit c;

	c.batch = rd_u64(&r);
	c.start = rd_u32(&r);
	c.frames = rd_u32(&r);
	c.digest = rd_u64(&r);
	if (!rd_end(&r))
		return RC_CORRUPT;
	*ret_c = c;
	return RC_OK;
}

void
spool_head_put(struct wr *w, const struct spool_head *h)
{
	wr_u32(w, h->n_rcpts);
	wr_u32(w, h->envelope);
	wr_u64(w, h->content);
	wr_i64(w, h->stored_at);
	wr_u64(w, 0);
}

void
spool_head_finish(const struct spool_key *key, uint8_t *p, struct spool_head *h)
{
	struct wr w = { p, 0, SPOOL_HEAD_BYTES, false };
	uint64_t sums[2];

	wr_u32(&w, h->n_rcpts);
	wr_u32(&w, h->envelope);
	wr_u64(&w, h->content);
	wr_i64(&w, h->stored_at);
	sums[0] = spool_sum(key, slice_of(p, SPOOL_HEAD_BYTES - 8));
	sums[1] = spool_sum(key, slice_of(p + SPOOL_HEAD_BYTES, h->envelope));
	h->sum = sums[0] ^ (sums[1] << 1 | sums[1] >> 63);
	wr_u64(&w, h->sum);
}

enum rc
spool_head_get(struct slice payload, struct spool_head *ret_h)
{
	struct rd r = { payload, false };
	struct spool_head h;

	h.n_rcpts = rd_u32(&r);
	h.envelope = rd_u32(&r);
	h.content = rd_u64(&r);
	h.stored_at = rd_i64(&r);
	h.sum = rd_u64(&r);
	if (r.bad || h.envelope > SPOOL_PAYLOAD_MAX - SPOOL_HEAD_BYTES)
		return RC_CORRUPT;
	*ret_h = h;
	return RC_OK;
}

bool
spool_head_ok(const struct spool_key *key, const struct spool_head *h, struct slice bytes)
{
	uint64_t sums[2];

	if (bytes.n < SPOOL_HEAD_BYTES || bytes.n - SPOOL_HEAD_BYTES < h->envelope)
		return false;
	sums[0] = spool_sum(key, slice_of(bytes.p, SPOOL_HEAD_BYTES - 8));
	sums[1] = spool_sum(key, slice_of(bytes.p + SPOOL_HEAD_BYTES, h->envelope));
	return h->sum == (sums[0] ^ (sums[1] << 1 | sums[1] >> 63));
}

void
spool_seal_put(struct wr *w, const struct spool_seal_record *s)
{
	wr_u32(w, s->number);
	wr_u32(w, s->end);
	wr_u64(w, s->batch);
	wr_u64(w, s->digest);
	wr_u8(w, s->reason);
}

enum rc
spool_seal_get(struct slice payload, struct spool_seal_record *ret_s)
{
	struct rd r = { payload, false };
	struct spool_seal_record s;

	s.number = rd_u32(&r);
	s.end = rd_u32(&r);
	s.batch = rd_u64(&r);
	s.digest = rd_u64(&r);
	s.reason = rd_u8(&r);
	if (!rd_end(&r))
		return RC_CORRUPT;
	*ret_s = s;
	return RC_OK;
}

void
spool_end_put(struct wr *w, const struct spool_end *e)
{
	wr_u32(w, e->footer);
	wr_u32(w, e->end);
	wr_u64(w, e->batch);
	wr_u64(w, e->sequence);
	wr_u64(w, e->digest);
}

enum rc
spool_end_get(struct slice payload, struct spool_end *ret_e)
{
	struct rd r = { payload, false };
	struct spool_end e;

	e.footer = rd_u32(&r);
	e.end = rd_u32(&r);
	e.batch = rd_u64(&r);
	e.sequence = rd_u64(&r);
	e.digest = rd_u64(&r);
	if (!rd_end(&r))
		return RC_CORRUPT;
	*ret_e = e;
	return RC_OK;
}

void
spool_deferred_put(struct wr *w, const struct spool_deferred *d)
{
	wr_u32(w, d->rcpt);
	wr_u32(w, d->attempts);
	wr_u16(w, d->code);
	wr_i64(w, d->next);
	wr_i64(w, d->first_failure);
	wr_str(w, d->text);
}

enum rc
spool_deferred_get(struct slice payload, struct spool_deferred *ret_d)
{
	struct rd r = { payload, false };
	struct spool_deferred d;

	d.rcpt = rd_u32(&r);
	d.attempts = rd_u32(&r);
	d.code = rd_u16(&r);
	d.next = rd_i64(&r);
	d.first_failure = rd_i64(&r);
	d.text = rd_str(&r);
	if (!rd_end(&r))
		return RC_CORRUPT;
	*ret_d = d;
	return RC_OK;
}

void
spool_entry_put(struct wr *w, const struct spool_entry *e)
{
	wr_u8(w, e->header.type);
	wr_u8(w, e->header.version);
	wr_u16(w, e->header.flags);
	wr_u32(w, e->offset);
	wr_u32(w, e->header.length);
	wr_u64(w, e->header.sequence);
	put_msgid(w, e->header.id);
	wr_str(w, e->payload);
}

bool
spool_entry_next(struct rd *rd, struct spool_entry *ret_e)
{
	struct spool_entry e = { { .type = 0 }, 0, { NULL, 0 } };

	if (rd->bad || rd->s.n == 0)
		return false;
	e.header.type = rd_u8(rd);
	e.header.version = rd_u8(rd);
	e.header.flags = rd_u16(rd);
	e.offset = rd_u32(rd);
	e.header.length = rd_u32(rd);
	e.header.sequence = rd_u64(rd);
	e.header.id = get_msgid(rd);
	e.payload = rd_str(rd);
	if (rd->bad || e.header.length > SPOOL_PAYLOAD_MAX ||
	    e.payload.n != spool_entry_payload(e.header.type, e.header.length)) {
		rd->bad = true;
		return false;
	}
	*ret_e = e;
	return true;
}

void
spool_identity_put(uint8_t out[SPOOL_ID_BYTES], const struct spool_identity *i)
{
	struct wr w = { out, 0, SPOOL_ID_BYTES, false };
	struct spool_key key;

	wr_u64(&w, SPOOL_ID_MAGIC);
	wr_u16(&w, i->format);
	wr_u16(&w, i->boot);
	wr_u32(&w, i->features);
	wr_u64(&w, i->spool);
	spool_key_none(&key);
	wr_u64(&w, spool_sum(&key, slice_of(out, SPOOL_ID_BYTES - 8)));
	BUG_ON(w.bad || w.n != SPOOL_ID_BYTES);
}

enum rc
spool_identity_parse(struct slice bytes, struct spool_identity *ret_i)
{
	struct rd r = { bytes, false };
	struct spool_identity i;
	struct spool_key key;
	uint64_t magic = rd_u64(&r);

	i.format = rd_u16(&r);
	i.boot = rd_u16(&r);
	i.features = rd_u32(&r);
	i.spool = rd_u64(&r);
	spool_key_none(&key);
	if (bytes.n != SPOOL_ID_BYTES || magic != SPOOL_ID_MAGIC || i.spool >> 48 != 0 ||
	    rd_u64(&r) != spool_sum(&key, slice_of(bytes.p, SPOOL_ID_BYTES - 8)))
		return RC_CORRUPT;
	if (i.format > SPOOL_FORMAT || (i.features & ~SPOOL_FEATURES_KNOWN) != 0)
		return RC_UNSUPPORTED;
	*ret_i = i;
	return RC_OK;
}

uint64_t
spool_block_sum(struct msgid id, uint64_t block, struct slice bytes)
{
	uint64_t seed = id.seq * UINT64_C(0x9e3779b97f4a7c15) ^ (id.spool << 16 | id.boot) ^ block << 40;

	return XXH3_64bits_withSeed(bytes.p == NULL ? (const void *)&seed : bytes.p, bytes.n, seed);
}
