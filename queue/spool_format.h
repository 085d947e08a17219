/* queue/spool_format.h -- what stands in the spool, byte by byte. docs/QUEUE.md explains it; this is the law.
 *
 * All integers are little-endian. Never change the meaning of a number here: add another (docs/HACKING.md). */
#ifndef POSTERN_QUEUE_SPOOL_FORMAT_H
#define POSTERN_QUEUE_SPOOL_FORMAT_H

#include <stdint.h>

/* --- names beneath the spool directory --- */
#define SPOOL_DIR_SEGMENTS	"seg"		/* seg/NNNNNNNN.seg, eight hexadecimal digits; .tmp while being prepared */
#define SPOOL_DIR_BIG		"big"		/* big/XX/SPOOLBOOTSEQ: content of one message; XX: low byte of seq */
#define SPOOL_DIR_QUARANTINE	"quarantine"	/* copies of damaged ranges and files, for people */
#define SPOOL_FILE_LOCK		"lock"		/* held with flock() while a queue has the spool */
#define SPOOL_FILE_IDENTITY	"spool.id"	/* struct below; replaced by rename of spool.id.tmp */

/* spool.id: u64 magic | u16 format | u16 boot | u32 features | u64 spool (48 bits) | u64 XXH3-64 of the bytes before. */
#define SPOOL_ID_MAGIC		UINT64_C(0x3144496e72657473)	/* "stern" "ID1" */
enum {
	SPOOL_ID_BYTES = 32,
	SPOOL_FORMAT = 1,	/* an older program must not touch a spool with a greater one */
};
/* Feature bits: an unknown one refuses the spool. Taken: none. Reserved: encryption at rest, several logs. */
#define SPOOL_FEATURES_KNOWN	0u

/* --- a frame: a header of 48 bytes, the payload, zeros to the next multiple of 8 ---
 *
 *   0 u32 magic
 *   4 u32 header sum: low half of the seeded XXH3-64 of bytes 8..48
 *   8 u8  type		enum spool_type
 *   9 u8  version	of this type's payload
 *  10 u16 flags	SPOOL_FLAG_
 *  12 u32 length	of the payload, SPOOL_PAYLOAD_MAX at most
 *  16 u64 sequence	of the record in this spool; never repeats, grows with position
 *  24 u64 id		spool << 16 | boot of the message; 0 for records about no message
 *  32 u64 id		seq of the message
 *  40 u64 payload sum: seeded XXH3-64 of the payload
 *
 * Both sums are seeded with a secret drawn from the segment's random nonce (24 words, word i: XXH64(nonce, seed i)). The bytes of
 * a mail are chosen by strangers, blocks of deleted segments come back in new ones: neither may ever pass for a record of this
 * segment, and a stranger never sees nonce or sum. CRC32C was the other candidate: as fast, but it is linear (a seed does not
 * hide how to change bytes and keep the sum) and has half the bits. Only the SEGMENT frame is summed without seed: it carries the
 * nonce. */
enum {
	SPOOL_HEADER_BYTES = 48,
	SPOOL_ALIGN = 8,
	SPOOL_NONCE_BYTES = 16,
	SPOOL_PAYLOAD_MAX = 128 * 1024 * 1024,	/* > envelope at most + big_message at most */
	SPOOL_SEGMENT_MAX = 0x7fffffff,		/* bytes in a segment: offsets count in units of 8, so this has room */
};
#define SPOOL_MAGIC	0x64724d50u	/* "PMrd" */

enum {
	SPOOL_FLAG_OPTIONAL = 1 << 0,	/* a version that does not know the type may pass over it; else it must not start */
	SPOOL_FLAG_SEALED_BOX = 1 << 1,	/* reserved: payload is encrypted (sums are of the cipher text) */
};

enum spool_type {
	/* First frame of each segment.
	 * u16 format | u16 boot | u32 features | u64 spool | u32 number | u32 log (0: one log) | nonce[16] | i64 made_at */
	SPOOL_SEGMENT = 1,
	/* Ends a batch; a frame counts only when the COMMIT behind it is valid.
	 * u64 batch (grows) | u32 start (offset of the first frame of the batch) | u32 frames (without this one) |
	 * u64 digest: d = 0; for each of these frames in order d = seeded XXH3-64 of d and the 48-byte header */
	SPOOL_COMMIT = 2,
	/* A message with its content. head (SPOOL_HEAD_BYTES) | envelope | content */
	SPOOL_MESSAGE = 3,
	/* A message whose content is in big/. head | envelope | blake2b-256 of the content */
	SPOOL_BIG = 4,
	/* Recipients of id that were delivered. u32 count | u32 index each */
	SPOOL_DONE = 5,
	/* Recipients of id that failed for good. u32 count | u32 index each */
	SPOOL_BOUNCED = 6,
	/* A recipient of id will be tried again. attempts and first_failure are reserved: the queue writes 1 and 0.
	 * u32 index | u32 attempts | u16 code | i64 next | i64 first_failure (wall clock, µs) | u32 length, text */
	SPOOL_DEFERRED = 7,
	/* Recipients of id about whom a delay notice was written. u32 count | u32 index each */
	SPOOL_NOTICED = 8,
	/* The owner's flags of message id. u32 flags */
	SPOOL_FLAGS = 9,
	/* Message id is finished. Empty. */
	SPOOL_DROP = 10,
	/* In the first batch of a segment: where an older segment ends. What lies behind that end was never acknowledged.
	 * u32 number | u32 end | u64 last batch | u64 digest of its last COMMIT | u8 reason (enum spool_seal) */
	SPOOL_SEAL = 11,
	/* A segment that holds nothing alive and is about to be unlinked; ignore it when it comes back. u32 number */
	SPOOL_DEAD = 12,
	/* A damaged range that was copied to quarantine/ and need not be reported again. u32 number | u32 offset | u32 length */
	SPOOL_QUARANTINED = 13,
	/* Behind the last batch of a sealed segment: the scan of it, done in advance. Advisory: a bad one costs a full scan.
	 * A run of { u8 type | u8 version | u16 flags | u32 offset | u32 length of the frame's payload | u64 sequence |
	 * u64 u64 id | u32 n | first n bytes of the payload: the head of a message, everything of other records }.
	 * COMMIT and SEGMENT are left out. */
	SPOOL_FOOTER = 14,
	/* The last frame of a sealed segment, so that its place is known: ends the file.
	 * u32 offset of the FOOTER (0: none) | u32 end (of the last COMMIT) | u64 last batch | u64 last sequence |
	 * u64 digest of the last COMMIT */
	SPOOL_END = 15,
	/* Reserved for compaction: a message copied here from another segment, with the state of its recipients. */
	SPOOL_MOVE = 16,
	/* In the first batch of a segment: every segment that exists and is not DEAD. A listed one that is missing later,
	 * without a DEAD since, was lost. u32 count | u32 number each */
	SPOOL_SEGMENTS = 17,
};
enum { SPOOL_TYPE_MAX = 17 };

/* Head of MESSAGE and BIG:
 * u32 recipients | u32 envelope bytes | u64 content bytes | i64 stored_at | u64 seeded XXH3-64 of the 24 bytes before and
 * the envelope (so that the envelope can be read and trusted without the content) */
enum {
	SPOOL_HEAD_BYTES = 32,
	SPOOL_DIGEST_BYTES = 32,
	SPOOL_SEGMENT_PAYLOAD = 48,
	SPOOL_COMMIT_PAYLOAD = 24,
	SPOOL_SEAL_PAYLOAD = 25,
	SPOOL_END_PAYLOAD = 32,
	SPOOL_FOOTER_ENTRY = 40,	/* without the n bytes */
	SPOOL_END_FRAME = SPOOL_HEADER_BYTES + SPOOL_END_PAYLOAD,
};

enum spool_seal {
	SPOOL_SEAL_ROLLED = 1,	/* it was full */
	SPOOL_SEAL_FAILED,	/* the disk refused to write or sync behind the end */
	SPOOL_SEAL_START,	/* found at a start, whether after a crash or not */
};

/* A file in big/: the content, then for each block of 64 KiB (the last may be shorter) the u64 XXH3-64 of the block,
 * seeded with id and block number. A range is verified when it is read, whole content by the digest in BIG. */
enum { SPOOL_BIG_BLOCK = 64 * 1024 };

#endif
