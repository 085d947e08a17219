/* deliver/transaction.c -- see transaction.h. */
#include "deliver/transaction.h"

#include "common/clock.h"
#include "common/wire/smtp_param.h"
#include "common/wire/unitext.h"
#include "common/wire/utf8.h"

/* Microseconds until the message is late; negative: it is. */
static int64_t
time_left(const struct job *job)
{
	return job->deliver_by - clock_wall_us();
}

struct refused {
	struct enhanced enhanced;
	const char *why;		/* NULL: it fits */
};

/* Which of the message's needs the server does not meet. */
static struct refused
unmet_need(const struct job *job, const struct peer_caps *caps)
{
	bool return_late = job->deliver_by != 0 && (job->flags & ENVELOPE_BY_NOTIFY) == 0;

	/* RFC 3030 3: binary content goes to those who take it, and nobody else. */
	if ((job->flags & ENVELOPE_BINARYMIME) != 0 && !(caps->binary && caps->chunking))
		return (struct refused){ ENHANCED(5, 6, 3),
		    "the message has binary content, and the server does not offer BINARYMIME" };
	/* RFC 6531 3.2: nor does it go in any other form. A domain alone is no reason: that is in ASCII here. */
	if (job->needs_utf8 && !(caps->utf8 && caps->eight_bit))
		return slice_is_ascii(job_sender(job)) ?	/* 3.5: an address has another code than a header */
		    (struct refused){ ENHANCED(5, 6, 9),
		    "the message has a header in UTF-8, and the server does not offer SMTPUTF8" } :
		    (struct refused){ ENHANCED(5, 6, 7),
		    "the message has a sender in UTF-8, and the server does not offer SMTPUTF8" };
	/* RFC 6152 3: what is 8-bit may not go to a server that does not say it can. */
	if ((job->flags & ENVELOPE_8BITMIME) != 0 && !caps->eight_bit)
		return (struct refused){ ENHANCED(5, 6, 3),
		    "the message has 8-bit content, and the server does not offer 8BITMIME" };
	/* RFC 2852 4.1.3, 4.1.4.1 */
	if (return_late && time_left(job) < 0)
		return (struct refused){ ENHANCED(5, 4, 7), "delivery time expired" };
	if (return_late && (!caps->deliver_by || time_left(job) / 1000000 < (int64_t)caps->min_by))
		return (struct refused){ ENHANCED(5, 3, 3), caps->deliver_by ? "the server needs more time than the message has" :
		    "the message must be delivered by a time, and the server does not offer DELIVERBY" };
	/* RFC 8689 4.2.1: there is no TLS client here yet. A bounce goes all the same (5). */
	if ((job->flags & ENVELOPE_REQUIRETLS) != 0 && job->sender_n > 0)
		return (struct refused){ ENHANCED(5, 7, 10), "the message requires TLS, and there is none to the server" };
	return (struct refused){ ENHANCED(2, 0, 0), NULL };
}

/* RFC 6531 3.2. Of a message that has nothing else in UTF-8, these recipients alone cannot be served. */
static void
refuse_utf8_rcpts(struct job *job, const struct peer_caps *caps)
{
	for (size_t i = 0; i < job->n_rcpts && !(caps->utf8 && caps->eight_bit); i++)
		if (job->rcpts[i].utf8)
			job_decide(job, i, JOB_FAILED, 0, ENHANCED(5, 6, 7),
			    S("the address is in UTF-8, and the server does not offer SMTPUTF8"));
}

static bool
fits_server(struct job *job, const struct peer_caps *caps)
{
	struct buf text = BUF_INIT(JOB_TEXT_MAX);
	struct refused no = unmet_need(job, caps);

	refuse_utf8_rcpts(job, caps);	/* first: whatever the others are told, with these it is the address */
	if (no.why != NULL) {
		job_decide_rest(job, JOB_FAILED, 0, no.enhanced, slice_str(no.why));
		return false;
	}
	/* RFC 1870 6.1: no need to ask, it would say 552. */
	if (caps->size && caps->size_max > 0 && job->content.size > caps->size_max) {
		(void)buf_printf(&text, "the message has %llu bytes, the server takes %llu at most",
		    (unsigned long long)job->content.size, (unsigned long long)caps->size_max);
		job_decide_rest(job, JOB_FAILED, 0, ENHANCED(5, 3, 4), buf_slice(&text));
		buf_free(&text);
		return false;
	}
	return true;
}

void
transaction_begin(struct transaction *t, struct exchange *x, struct job *job, bool reset_first)
{
	*t = (struct transaction){ .job = job, .reset_first = reset_first };
	job_rewind(job);
	job->content.plain = false;
	x->resting = STAGE_IDLE;
	t->refused = !fits_server(job, &x->caps) || job->n_open == 0;
}

/* ---- commands -----------------------------------------------------------------------------------------------------*/

/* Does this transaction have anything that only SMTPUTF8 lets pass? */
static bool
says_utf8(const struct job *job)
{
	bool says = job->needs_utf8;

	for (size_t i = 0; i < job->n_rcpts && !says; i++)
		says = job->rcpts[i].utf8 && job->rcpts[i].status == 0;
	return says;
}

/* What the sender asked for, handed on unchanged to a server that can do it (RFC 3461 5.2.1; RFC 2852 4.1.4; RFC 6710 4.4). */
static void
put_mail_extensions(struct buf *arg, const struct job *job, const struct peer_caps *caps)
{
	int64_t left;

	if (caps->dsn && (job->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS)) != 0)
		(void)buf_put_str(arg, (job->flags & ENVELOPE_RET_FULL) != 0 ? " RET=FULL" : " RET=HDRS");
	if (caps->dsn && job->envid_n > 0) {
		(void)buf_put_str(arg, " ENVID=");
		(void)buf_put_slice(arg, job_envid(job));
	}
	if (caps->deliver_by && job->deliver_by != 0) {
		left = time_left(job) / 1000000;
		left = left > 999999999 ? 999999999 : left < -999999999 ? -999999999 : left;
		if (left == 0 && (job->flags & ENVELOPE_BY_NOTIFY) == 0)
			left = 1;		/* zero may not be said with R */
		(void)buf_printf(arg, " BY=%lld;%s%s", (long long)left, (job->flags & ENVELOPE_BY_NOTIFY) != 0 ? "N" : "R",
		    (job->flags & ENVELOPE_BY_TRACE) != 0 ? "T" : "");
	}
	if (caps->priority)	/* 0 too: every message has one, and all are told (RFC 6710 4.2, 5) */
		(void)buf_printf(arg, " MT-PRIORITY=%d", job->priority);
}

/* RFC 6533 3: an address in UTF-8 goes as it is where SMTPUTF8 was said, in ASCII where not. In that form it may have become
 * longer than any ORCPT (RFC 3461 4.2): better none than a recipient that is refused for it. */
static void
put_orcpt(struct buf *arg, struct slice orcpt, bool utf8)
{
	struct buf text = BUF_INIT(SMTP_ORCPT_MAX);

	if (!slice_caseeq(slice_first(orcpt, slice_find(orcpt, ';')), S("utf-8")))
		(void)buf_put_slice(&text, orcpt);
	else if (utf8)
		(void)unitext_put_utf8(&text, orcpt);
	else
		(void)unitext_put_ascii(&text, orcpt, "", SIZE_MAX);
	if (!text.failed) {
		(void)buf_put_str(arg, " ORCPT=");
		(void)buf_put_slice(arg, buf_slice(&text));
	}
	buf_free(&text);
}

static void
put_rcpt_extensions(struct buf *arg, const struct transaction *t, const struct peer_caps *caps, size_t i)
{
	const struct job *job = t->job;
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";
	uint8_t notify = job->rcpts[i].notify;

	/* RFC 2852 4.1.4.2: who does not know the time tells at least of a delay. Once it is over all goes on unchanged again
	 * (RFC 3461 5.2.1). */
	if (!caps->deliver_by && job->deliver_by != 0 && (job->flags & ENVELOPE_BY_NOTIFY) != 0 && time_left(job) > 0 &&
	    notify != NOTIFY_NEVER)
		notify |= notify == 0 ? NOTIFY_FAILURE | NOTIFY_DELAY : NOTIFY_DELAY;
	for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
		if ((notify & words[k].bit) != 0) {
			(void)buf_printf(arg, "%s%s", before, words[k].word);
			before = ",";
		}
	if (job->rcpts[i].orcpt_n > 0)
		put_orcpt(arg, job_orcpt(job, i), t->utf8);
}

static void
put_mail(struct transaction *t, struct exchange *x)
{
	struct buf arg = BUF_INIT(EXCHANGE_COMMAND_MAX + JOB_SENDER_MAX);

	(void)buf_put_str(&arg, "FROM:<");
	(void)buf_put_slice(&arg, job_sender(t->job));
	(void)buf_put_byte(&arg, '>');
	if (x->caps.size)
		(void)buf_printf(&arg, " SIZE=%llu", (unsigned long long)t->job->content.size);
	if ((t->job->flags & ENVELOPE_BINARYMIME) != 0)
		(void)buf_put_str(&arg, " BODY=BINARYMIME");
	else if (x->caps.eight_bit && (t->job->flags & ENVELOPE_8BITMIME) != 0)
		(void)buf_put_str(&arg, " BODY=8BITMIME");
	put_mail_extensions(&arg, t->job, &x->caps);
	t->utf8 = says_utf8(t->job);
	if (t->utf8)
		(void)buf_put_str(&arg, " SMTPUTF8");
	exchange_command(x, STAGE_MAIL, "MAIL", buf_slice(&arg));
	buf_free(&arg);
	t->mail_sent = true;
}

static void
put_rcpt(struct transaction *t, struct exchange *x)
{
	struct buf arg = BUF_INIT(EXCHANGE_COMMAND_MAX);

	(void)buf_put_str(&arg, "TO:<");
	(void)buf_put_slice(&arg, job_address(t->job, t->next));
	(void)buf_put_byte(&arg, '>');
	if (x->caps.dsn)
		put_rcpt_extensions(&arg, t, &x->caps, t->next);
	exchange_command(x, STAGE_RCPT, "RCPT", buf_slice(&arg));
	buf_free(&arg);
	t->job->rcpts[t->next++].asked = true;
	t->n_asked++;
}

/* In a pipeline DATA goes out on the hope that somebody is accepted; once all replies are in, hope is no reason. */
static bool
data_is_due(const struct transaction *t, const struct exchange *x)
{
	return !t->data_sent && t->n_asked > 0 && (t->n_accepted > 0 || x->n_due > 0);
}

/* All in one chunk: its size is known. There is no reply before the content, so it waits until somebody was accepted
 * (RFC 3030 2). */
static void
put_bdat(struct transaction *t, struct exchange *x)
{
	(void)buf_printf(&x->out, "BDAT %llu LAST\r\n", (unsigned long long)t->job->content.size);
	t->job->content.plain = true;
	t->data_sent = t->flowing = true;
	x->resting = STAGE_CONTENT;
}

static void
put_commands(struct transaction *t, struct exchange *x)
{
	while (exchange_may_send(x) && !t->data_sent) {
		if (t->reset_first) {
			exchange_command(x, STAGE_RSET, "RSET", S(""));
			t->reset_first = false;
		} else if (!t->mail_sent) {
			put_mail(t, x);
		} else if (t->next < t->job->n_rcpts) {
			if (t->job->rcpts[t->next].status != 0)
				t->next++;
			else
				put_rcpt(t, x);
		} else if ((t->job->flags & ENVELOPE_BINARYMIME) != 0) {
			if (t->n_accepted == 0 || x->n_due > 0)
				break;
			put_bdat(t, x);
		} else if (data_is_due(t, x)) {
			exchange_command(x, STAGE_DATA, "DATA", S(""));
			t->data_sent = true;
		} else {
			break;
		}
	}
}

/* ---- content ------------------------------------------------------------------------------------------------------*/

static enum rc
put_content(struct transaction *t, struct exchange *x)
{
	enum rc rc = content_pump(&t->job->content, &x->out);

	if (rc == RC_OK) {
		t->flowing = false;
		t->dot_sent = true;
		x->resting = STAGE_IDLE;
		exchange_expect(x, STAGE_DOT);
	} else if (rc == RC_SYNTAX) {
		/* A bare CR or LF in our own spool: it would end the message elsewhere for others (THREATS 1). */
		job_decide_rest(t->job, JOB_FAILED, 0, ENHANCED(5, 6, 0),
		    S("the message has line ends that cannot be sent over SMTP"));
		t->flowing = false;
		t->refused = t->over = t->broken = true;
	}
	return rc == RC_NOMEM ? RC_NOMEM : RC_OK;
}

enum rc
transaction_pump(struct transaction *t, struct exchange *x)
{
	if (t->over)
		return RC_OK;
	/* Words that came before the dot answer something else: they are read first, so that nobody takes them for its reply. */
	if (t->flowing)
		return exchange_has_input(x) ? RC_OK : put_content(t, x);
	if (!t->refused)
		put_commands(t, x);
	if (t->flowing && !x->out.failed)	/* behind BDAT nothing is waited for */
		return put_content(t, x);
	return x->out.failed ? RC_NOMEM : RC_OK;
}

/* ---- replies ------------------------------------------------------------------------------------------------------*/

static void
refuse_all(struct transaction *t, enum job_status status, const struct smtp_reply *reply)
{
	job_decide_rest_quoting(t->job, status, reply);
	t->refused = true;
}

/* Whatever it answers, it is no reason that the server gave for any recipient: so it is told of in our own words. */
static void
refuse_out_of_step(struct transaction *t, const struct smtp_reply *reply)
{
	struct buf text = BUF_INIT(JOB_TEXT_MAX);

	job_distrust(t->job);
	reply_out_of_step_put(&text, reply, JOB_TEXT_MAX);
	job_decide_rest(t->job, JOB_DEFERRED, 0, ENHANCED(4, 5, 0), buf_slice(&text));
	buf_free(&text);
	t->refused = true;
}

/* The recipient that this reply is about: replies come in the order of the questions. */
static size_t
next_answered(struct transaction *t)
{
	while (t->answered < t->next && !t->job->rcpts[t->answered].asked)
		t->answered++;
	BUG_ON(t->answered >= t->next);	/* the exchange counts what was asked */
	return t->answered++;
}

static void
rcpt_reply(struct transaction *t, struct reply_meaning m, const struct smtp_reply *reply)
{
	size_t i = next_answered(t);

	if (m.action == REPLY_MESSAGE) {
		refuse_all(t, m.status, reply);
	} else if (m.action == REPLY_GO) {
		t->job->rcpts[i].accepted = true;
		t->n_accepted++;
	} else {
		job_decide_quoting(t->job, i, m.status, reply);
	}
}

static void
data_reply(struct transaction *t, struct exchange *x, struct reply_meaning m, const struct smtp_reply *reply)
{
	if (m.action != REPLY_GO) {
		refuse_all(t, m.status, reply);
	} else if (t->refused || t->n_accepted == 0) {
		/* RFC 2920 3.1: it waits for a message to nobody; it gets an empty one, and may say what it likes. */
		(void)buf_put_str(&x->out, ".\r\n");
		exchange_expect(x, STAGE_DOT);
		t->alone = t->dot_sent = true;
	} else {
		t->flowing = true;
		x->resting = STAGE_CONTENT;
	}
}

static void
dot_reply(struct transaction *t, struct exchange *x, struct reply_meaning m, const struct smtp_reply *reply)
{
	t->dot_answered = true;
	if (t->alone)
		return;
	if (m.status == JOB_DELIVERED && buf_len(&x->out) > 0) {
		job_decide_rest(t->job, JOB_DEFERRED, 0, ENHANCED(4, 5, 0),	/* 0: these are no words of the server's */
		    S("the server said that it took the message before it had all of it"));
		t->refused = t->over = true;
		return;
	}
	refuse_all(t, m.status, reply);
}

void
transaction_reply(struct transaction *t, struct exchange *x, enum stage stage, const struct smtp_reply *reply)
{
	struct reply_meaning m = reply_means(stage, reply->code);

	t->over = t->over || m.over;
	if (m.unexpected)
		refuse_out_of_step(t, reply);
	switch (stage) {
	case STAGE_MAIL:
		t->mail_answered = true;
		t->mail_ok = m.action == REPLY_GO;
		if (!t->mail_ok)
			refuse_all(t, m.status, reply);
		break;
	case STAGE_RCPT:
		rcpt_reply(t, m, reply);
		break;
	case STAGE_DATA:
		data_reply(t, x, m, reply);
		break;
	case STAGE_DOT:
		dot_reply(t, x, m, reply);
		break;
	case STAGE_RSET:
		if (m.action == REPLY_MESSAGE)
			refuse_all(t, m.status, reply);
		break;
	case STAGE_CONTENT:
	case STAGE_IDLE:
	case STAGE_QUIT:
	case STAGE_BANNER:
	case STAGE_EHLO:
	case STAGE_HELO:
	case STAGE_RESOLVE:
	case STAGE_CONNECT:
		/* Unasked, or in the middle of the content. */
		t->flowing = false;
		refuse_all(t, m.status, reply);
		break;
	}
}

bool
transaction_is_out_of_step(const struct transaction *t, const struct exchange *x)
{
	return !t->flowing && !t->over && exchange_is_out_of_step(x) && !transaction_done(t, x);
}

bool
transaction_done(const struct transaction *t, const struct exchange *x)
{
	if (t->flowing || x->n_due > 0)
		return false;
	return t->refused || t->dot_answered || (t->next == t->job->n_rcpts && t->mail_answered && t->n_accepted == 0);
}

bool
transaction_left_open(const struct transaction *t)
{
	return t->reset_first || (t->mail_ok && !t->dot_answered);
}

bool
transaction_wants_content(const struct transaction *t, const struct exchange *x)
{
	return t->flowing && buf_len(&x->out) == 0 && !exchange_has_input(x);
}
