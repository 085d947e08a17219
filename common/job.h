/* common/job.h -- the nested runs of D_JOB and D_RESULT: recipients of a job, and what became of each. */
#ifndef POSTERN_COMMON_JOB_H
#define POSTERN_COMMON_JOB_H

#include "common/buf.h"
#include "common/envelope.h"
#include "common/slice.h"

/* A recipient of a job; index is the queue's number for it in this message, echoed in the result. */
struct job_rcpt {
	uint16_t index;
	struct slice address;
	uint8_t notify;			/* NOTIFY_ bits (RFC 3461 4.1) */
	struct slice orcpt;
};
enum { JOB_RCPT_REST = 2 + 4 + 1 + 4 };	/* bytes in the run beside address and orcpt */

enum job_status { JOB_DELIVERED = 1, JOB_DEFERRED, JOB_FAILED };

/* What became of a recipient, in the peer's own words. code 0: no reply was involved. */
struct job_result {
	uint16_t index;
	uint8_t status;			/* enum job_status */
	uint16_t code;
	struct slice enhanced;		/* "4.2.2"; never empty */
	struct slice text;		/* sanitised to printable ASCII, JOB_TEXT_MAX at most */
};

enum { JOB_TEXT_MAX = 500 };

enum job_passed {	/* D_RESULT.passed */
	JOB_PASSED_DSN = 1 << 0,	/* the server offers DSN: from here on it tells the sender (RFC 3461 5.2.1) */
	JOB_PASSED_BY = 1 << 1,		/* the server offers DELIVERBY (RFC 2852 4.1.4) */
};

static inline bool
job_rcpt_put(struct buf *to, const struct job_rcpt *m)
{
	uint8_t head[6], tail[5];
	struct wr w = { head, 0, sizeof head, false }, behind = { tail, 0, sizeof tail, false };

	wr_u16(&w, m->index);
	wr_u32(&w, (uint32_t)m->address.n);
	wr_u8(&behind, m->notify);
	wr_u32(&behind, (uint32_t)m->orcpt.n);
	return buf_put(to, head, w.n) && buf_put_slice(to, m->address) && buf_put(to, tail, behind.n) &&
	    buf_put_slice(to, m->orcpt);
}

/* False at the end; *r.bad tells a malformed run. */
static inline bool
job_rcpt_next(struct rd *r, struct job_rcpt *ret_m)
{
	if (r->s.n == 0 || r->bad)
		return false;
	ret_m->index = rd_u16(r);
	ret_m->address = rd_str(r);
	ret_m->notify = rd_u8(r);
	ret_m->orcpt = rd_str(r);
	return !r->bad;
}

static inline bool
job_result_put(struct buf *to, const struct job_result *m)
{
	uint8_t head[5];
	struct wr w = { head, 0, sizeof head, false };
	uint8_t len[4];

	wr_u16(&w, m->index);
	wr_u8(&w, m->status);
	wr_u16(&w, m->code);
	(void)buf_put(to, head, w.n);
	w = (struct wr){ len, 0, sizeof len, false };
	wr_u32(&w, (uint32_t)m->enhanced.n);
	(void)buf_put(to, len, w.n);
	(void)buf_put_slice(to, m->enhanced);
	w = (struct wr){ len, 0, sizeof len, false };
	wr_u32(&w, (uint32_t)m->text.n);
	(void)buf_put(to, len, w.n);
	return buf_put_slice(to, m->text) && !to->failed;
}

static inline bool
job_result_next(struct rd *r, struct job_result *ret_m)
{
	if (r->s.n == 0 || r->bad)
		return false;
	ret_m->index = rd_u16(r);
	ret_m->status = rd_u8(r);
	ret_m->code = rd_u16(r);
	ret_m->enhanced = rd_str(r);
	ret_m->text = rd_str(r);
	if (ret_m->status < JOB_DELIVERED || ret_m->status > JOB_FAILED || ret_m->text.n > JOB_TEXT_MAX ||
	    ret_m->enhanced.n > 16)
		r->bad = true;
	return !r->bad;
}

#endif
