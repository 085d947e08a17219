/* deliver/job.h -- one message for one destination: its envelope, its content, and what became of each recipient. */
#ifndef POSTERN_DELIVER_JOB_H
#define POSTERN_DELIVER_JOB_H

#include "common/ipc/schema.h"
#include "common/job.h"
#include "deliver/content.h"
#include "deliver/reply_policy.h"

enum {
	/* More cannot be answered in one D_RESULT. Recipients past it are not tried: without a row they stay queued. */
	JOB_RCPTS_MAX = 4000,
	JOB_RESULTS_MAX = IPC_BODY_MAX - 1024,	/* beside them: host, address, numbers */
	JOB_ROW_MAX = 13 + ENHANCED_TEXT_MAX,	/* a row without its text */
	JOB_SENDER_MAX = 1024,
};

struct job_recipient {
	uint32_t address_at;
	uint16_t address_n;
	uint16_t index;		/* the queue's number */
	uint16_t status;	/* enum job_status; 0: none yet */
	uint16_t code;
	struct enhanced enhanced;
	uint32_t text_at;
	uint16_t text_n;
	uint32_t orcpt_at;
	uint16_t orcpt_n;
	uint8_t notify;		/* NOTIFY_ bits */
	bool utf8;		/* its address is not ASCII: MAIL has to say SMTPUTF8 (RFC 6531 3.4) */
	bool asked;		/* RCPT was sent */
	bool accepted;		/* and answered 2xx */
};

struct job {
	uint32_t number;
	struct msgid id;
	uint32_t flags;			/* of common/envelope.h */
	size_t envid_at, envid_n;
	int64_t deliver_by;		/* wall clock, microseconds; 0: none */
	int8_t priority;
	struct buf words;		/* sender, addresses, texts */
	size_t sender_n;
	struct job_recipient *rcpts;
	size_t n_rcpts;
	size_t n_open;			/* recipients without an outcome */
	size_t text_max;		/* so that all rows fit a frame */
	struct content content;
	bool needs_utf8;		/* SMTPUTF8, whoever gets it: its header or sender is not ASCII (RFC 6531 3.2) */
	bool retried;			/* it was moved to a fresh connection once */
};

/* RC_SYNTAX: malformed; RC_RANGE: its content breaks the window; RC_NOMEM. Addresses that cannot be sent have their
 * outcome at once. */
enum rc job_new(const struct d_job *m, struct job **ret_job);
void job_free(struct job *j);	/* NULL is fine */

struct slice job_sender(const struct job *j);
struct slice job_address(const struct job *j, size_t i);
struct slice job_orcpt(const struct job *j, size_t i);
struct slice job_envid(const struct job *j);

/* The outcome of a recipient; the first one stays. text: printable already, cut to what fits. */
void job_decide(struct job *j, size_t i, enum job_status status, uint16_t code, struct enhanced enhanced,
    struct slice text);
/* The same for all that have none. */
void job_decide_rest(struct job *j, enum job_status status, uint16_t code, struct enhanced enhanced, struct slice text);
/* In a server's words: for recipient i, or for all that have none. */
void job_decide_quoting(struct job *j, size_t i, enum job_status status, const struct smtp_reply *reply);
void job_decide_rest_quoting(struct job *j, enum job_status status, const struct smtp_reply *reply);

/* Its server's replies turn out to answer other questions: whom it seemed to refuse for good is tried again. */
void job_distrust(struct job *j);

/* For another connection: nothing was asked yet. */
void job_rewind(struct job *j);

/* Appends a row for each recipient that has an outcome. */
bool job_results_put(const struct job *j, struct buf *to);

#endif
