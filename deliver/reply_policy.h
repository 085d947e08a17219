/* deliver/reply_policy.h -- what a reply of a server means for the mail. Pure.
 *
 * One table of rules: the stage at which a reply came, and its code, give what becomes of a recipient, of the message, of
 * the host and of the session. RFC 5321 4.2.1 and 4.3.2; what deviates is said in the .c with its reason. */
#ifndef POSTERN_DELIVER_REPLY_POLICY_H
#define POSTERN_DELIVER_REPLY_POLICY_H

#include "common/buf.h"
#include "common/job.h"
#include "common/wire/smtp_reply.h"

enum stage {
	STAGE_RESOLVE,		/* not a reply: for timeouts and the log */
	STAGE_CONNECT,		/* the same */
	STAGE_BANNER,
	STAGE_EHLO,
	STAGE_HELO,
	STAGE_RSET,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_CONTENT,		/* content flows, no reply is due */
	STAGE_DOT,
	STAGE_QUIT,
	STAGE_IDLE,		/* nothing was asked */
};
enum { STAGE_COUNT = STAGE_IDLE + 1 };

enum reply_action {
	REPLY_GO,		/* the step succeeded */
	REPLY_TRY_HELO,		/* an old server: RFC 5321 3.2 */
	REPLY_NEXT_HOST,	/* this host cannot be used now: close it, try the next */
	REPLY_RCPT,		/* this recipient has its outcome: status */
	REPLY_MESSAGE,		/* all recipients that have none yet get this outcome: status */
};

struct reply_meaning {
	enum reply_action action;
	enum job_status status;	/* for REPLY_RCPT and REPLY_MESSAGE; for REPLY_NEXT_HOST what it would be as a verdict */
	bool over;		/* the connection is of no more use */
	bool unexpected;	/* no reply that this stage can have: the server does not speak SMTP as we do */
};

struct reply_meaning reply_means(enum stage stage, unsigned code);

/* The enhanced code to report for a reply that became this status: the reply's own when it has one, else X.0.0 of its
 * code; its class is made that of the status, so that nobody reads a deferral as a failure. */
struct enhanced reply_enhanced(const struct smtp_reply *reply, enum job_status status);

/* The words for a reply that was not expected. It is no reason that the server gave for anything, so that it is quoted among
 * words of our own, with its code in the text; max bytes at most. */
void reply_out_of_step_put(struct buf *to, const struct smtp_reply *reply, size_t max);

/* A word for the log and for texts: "MAIL", "end of data". Never NULL. */
const char *stage_name(enum stage stage);

#endif
