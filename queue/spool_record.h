/* queue/spool_record.h -- frames of the spool: encode, decode, verify. Pure: bytes in, structs out, no I/O. */
#ifndef POSTERN_QUEUE_SPOOL_RECORD_H
#define POSTERN_QUEUE_SPOOL_RECORD_H

#include "common/queue_id.h"
#include "common/rc.h"
#include "common/slice.h"
#include "queue/spool_format.h"

/* What the sums of one segment are seeded with; made from its nonce. */
struct spool_key {
	uint8_t secret[192];
};
void spool_key_make(struct spool_key *key, const uint8_t nonce[SPOOL_NONCE_BYTES]);
/* For the SEGMENT frame, which carries the nonce. */
void spool_key_none(struct spool_key *key);

struct spool_header {
	uint8_t type;		/* any number: unknown ones are the reader's problem */
	uint8_t version;
	uint16_t flags;
	uint32_t length;	/* of the payload */
	uint64_t sequence;
	struct msgid id;
	uint64_t sum;		/* of the payload */
};

/* Bytes of a whole frame with padding. */
static inline size_t
spool_frame_bytes(uint32_t length)
{
	return SPOOL_HEADER_BYTES + (((size_t)length + SPOOL_ALIGN - 1) & ~(size_t)(SPOOL_ALIGN - 1));
}

/* Writes the header of a frame whose payload stands behind it, and zeros the padding; computes both sums. */
void spool_frame_finish(const struct spool_key *key, uint8_t *frame, const struct spool_header *h);

/* A header with type, id and length alone, to be finished later, and what it said. */
void spool_header_draft(uint8_t *frame, uint8_t type, struct msgid id, uint32_t length);
struct spool_header spool_header_peek(const uint8_t *frame);

/* The header at the start of bytes (SPOOL_HEADER_BYTES at least). RC_CORRUPT: not a frame of this key. */
enum rc spool_header_parse(const struct spool_key *key, struct slice bytes, struct spool_header *ret_h);
bool spool_payload_ok(const struct spool_key *key, const struct spool_header *h, struct slice payload);

/* Is this the header of a frame that carries a message? */
static inline bool
spool_is_mail(uint8_t type)
{
	return type == SPOOL_MESSAGE || type == SPOOL_BIG;
}

/* --- payloads. put: into a wr over the payload's place. get: RC_CORRUPT when malformed. --- */

struct spool_segment {
	uint16_t format, boot;
	uint32_t features, number, log;
	uint64_t spool;
	uint8_t nonce[SPOOL_NONCE_BYTES];
	int64_t made_at;
};
/* A whole first frame of a segment. */
enum { SPOOL_FIRST_FRAME = SPOOL_HEADER_BYTES + SPOOL_SEGMENT_PAYLOAD };
void spool_segment_frame(uint8_t out[SPOOL_FIRST_FRAME], const struct spool_segment *s);
/* RC_CORRUPT: not a segment. RC_UNSUPPORTED: of a newer format or with unknown features. */
enum rc spool_segment_parse(struct slice bytes, struct spool_segment *ret_s);

struct spool_commit {
	uint64_t batch, digest;
	uint32_t start, frames;
};
/* One step of a COMMIT's digest. */
uint64_t spool_digest(const struct spool_key *key, uint64_t digest, const uint8_t header[SPOOL_HEADER_BYTES]);
void spool_commit_put(struct wr *w, const struct spool_commit *c);
enum rc spool_commit_get(struct slice payload, struct spool_commit *ret_c);

struct spool_head {
	uint32_t n_rcpts, envelope;
	uint64_t content;
	int64_t stored_at;
	uint64_t sum;
};
/* Without its sum, which needs the key. */
void spool_head_put(struct wr *w, const struct spool_head *h);
/* At p: the head; the envelope stands behind it. */
void spool_head_finish(const struct spool_key *key, uint8_t *p, struct spool_head *h);
enum rc spool_head_get(struct slice payload, struct spool_head *ret_h);
/* bytes: head and envelope. */
bool spool_head_ok(const struct spool_key *key, const struct spool_head *h, struct slice bytes);

struct spool_seal_record {
	uint32_t number, end;
	uint64_t batch, digest;
	uint8_t reason;
};
void spool_seal_put(struct wr *w, const struct spool_seal_record *s);
enum rc spool_seal_get(struct slice payload, struct spool_seal_record *ret_s);

struct spool_end {
	uint32_t footer, end;
	uint64_t batch, sequence, digest;
};
void spool_end_put(struct wr *w, const struct spool_end *e);
enum rc spool_end_get(struct slice payload, struct spool_end *ret_e);

struct spool_deferred {
	uint32_t rcpt, attempts;
	uint16_t code;
	int64_t next, first_failure;
	struct slice text;
};
void spool_deferred_put(struct wr *w, const struct spool_deferred *d);
enum rc spool_deferred_get(struct slice payload, struct spool_deferred *ret_d);
static inline size_t spool_deferred_bytes(size_t text) { return 4 + 4 + 2 + 8 + 8 + 4 + text; }

/* One entry of a FOOTER: a frame's header, its offset, and the first bytes of its payload. */
struct spool_entry {
	struct spool_header header;	/* without sum */
	uint32_t offset;
	struct slice payload;
};
static inline uint32_t
spool_entry_payload(uint8_t type, uint32_t length)
{
	return !spool_is_mail(type) ? length : length < SPOOL_HEAD_BYTES ? length : SPOOL_HEAD_BYTES;
}
/* Room for SPOOL_FOOTER_ENTRY bytes plus the payload's must be there. */
void spool_entry_put(struct wr *w, const struct spool_entry *e);
/* The next entry; false at the end or when malformed (then rd->bad). */
bool spool_entry_next(struct rd *rd, struct spool_entry *ret_e);

/* --- the identity of a spool --- */
struct spool_identity {
	uint16_t format, boot;
	uint32_t features;
	uint64_t spool;
};
void spool_identity_put(uint8_t out[SPOOL_ID_BYTES], const struct spool_identity *i);
/* RC_CORRUPT, RC_UNSUPPORTED. */
enum rc spool_identity_parse(struct slice bytes, struct spool_identity *ret_i);

/* Sum of one block of a file in big/. */
uint64_t spool_block_sum(struct msgid id, uint64_t block, struct slice bytes);

#endif
