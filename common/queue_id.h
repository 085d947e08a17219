/* common/queue_id.h -- the name of a message: 128 bits in the spool, twelve word characters for people.
 *
 * spool tells installations apart (and clones of a spool), boot counts the times that the spool was opened, seq counts
 * within a boot. boot never repeats (it is durable before the first use), so an id is never used twice. The queue hands
 * blocks of seq to each smtpd in advance: a message has its id at MAIL, long before it exists. */
#ifndef POSTERN_COMMON_QUEUE_ID_H
#define POSTERN_COMMON_QUEUE_ID_H

#include "common/rc.h"
#include "common/slice.h"

struct msgid {
	uint64_t spool;	/* 48 bits used */
	uint16_t boot;
	uint64_t seq;	/* QUEUE_ID_SEQ_MAX at most: what the printed form can hold */
};

/* Crockford's base 32 in upper case (no I, L, O, U): 4 characters of boot, 8 of seq. A word for every log parser. */
enum { QUEUE_ID_LEN = 12, MSGID_WIRE = 18 };
#define QUEUE_ID_SEQ_MAX ((UINT64_C(1) << 40) - 1)

/* Writes exactly QUEUE_ID_LEN characters, no NUL. */
void queue_id_format(struct msgid id, char out[QUEUE_ID_LEN]);

/* The printed form, upper or lower case, back to boot and seq (spool is left 0). RC_SYNTAX otherwise. */
enum rc queue_id_parse(struct slice text, struct msgid *ret_id);

static inline bool
msgid_eq(struct msgid a, struct msgid b)
{
	return a.seq == b.seq && a.boot == b.boot && a.spool == b.spool;
}

static inline void
wr_msgid(struct wr *w, struct msgid id)
{
	wr_u64(w, id.spool);
	wr_u16(w, id.boot);
	wr_u64(w, id.seq);
}

static inline struct msgid
rd_msgid(struct rd *r)
{
	struct msgid id = { 0, 0, 0 };

	id.spool = rd_u64(r);
	id.boot = rd_u16(r);
	id.seq = rd_u64(r);
	return id;
}

#endif
