/* deliver/reply_policy.c -- see reply_policy.h. */
#include "deliver/reply_policy.h"

static const char *const names[STAGE_COUNT] = {
	[STAGE_RESOLVE] = "looking up hosts",
	[STAGE_CONNECT] = "connecting",
	[STAGE_BANNER] = "greeting",
	[STAGE_EHLO] = "EHLO",
	[STAGE_HELO] = "HELO",
	[STAGE_RSET] = "RSET",
	[STAGE_MAIL] = "MAIL",
	[STAGE_RCPT] = "RCPT",
	[STAGE_DATA] = "DATA",
	[STAGE_CONTENT] = "sending the message",
	[STAGE_DOT] = "end of data",
	[STAGE_QUIT] = "QUIT",
	[STAGE_IDLE] = "idle",
};

const char *
stage_name(enum stage stage)
{
	return names[stage];
}

static enum job_status
status_of_class(unsigned code)
{
	switch (code / 100) {
	case 2: return JOB_DELIVERED;
	case 5: return JOB_FAILED;
	default: return JOB_DEFERRED;
	}
}

/* A 2xx where 354 is due, a 3xx anywhere else: we and the server are out of step, and whatever follows would be read
 * wrongly. Nothing is failed for good on such a server's word. */
static struct reply_meaning
out_of_step(enum reply_action action)
{
	return (struct reply_meaning){ .action = action, .status = JOB_DEFERRED, .over = true, .unexpected = true };
}

/* Banner, EHLO, HELO. A 5xx here says something about this host, not yet about the mail: the next may take it (RFC 5321
 * 5.1, THREATS 65). */
static struct reply_meaning
of_host(enum stage stage, unsigned code)
{
	if (code / 100 == 2)
		return (struct reply_meaning){ .action = REPLY_GO, .status = JOB_DELIVERED };
	if (code / 100 == 3)
		return out_of_step(REPLY_NEXT_HOST);
	/* 521: this host never takes mail (RFC 7504 3); HELO would hear the same. */
	if (stage == STAGE_EHLO && code / 100 == 5 && code != 521)
		return (struct reply_meaning){ .action = REPLY_TRY_HELO, .status = JOB_DEFERRED };
	return (struct reply_meaning){ .action = REPLY_NEXT_HOST, .status = status_of_class(code), .over = true };
}

static struct reply_meaning
of_rcpt(unsigned code)
{
	struct reply_meaning m = { .action = REPLY_RCPT, .status = status_of_class(code) };

	/* "Too many recipients" of old servers: RFC 5321 4.5.3.1.10 has clients read it as 452. */
	if (code == 552)
		m.status = JOB_DEFERRED;
	if (code / 100 == 2)
		m.action = REPLY_GO;
	return m;
}

static struct reply_meaning
of_message(enum stage stage, unsigned code)
{
	if (stage == STAGE_DOT && code / 100 == 2)
		return (struct reply_meaning){ .action = REPLY_MESSAGE, .status = JOB_DELIVERED };
	if (code / 100 == (stage == STAGE_DATA ? 3 : 2))
		return (struct reply_meaning){ .action = REPLY_GO, .status = JOB_DELIVERED };
	if (code / 100 < 4)
		return out_of_step(REPLY_MESSAGE);
	return (struct reply_meaning){ .action = REPLY_MESSAGE, .status = status_of_class(code) };
}

struct reply_meaning
reply_means(enum stage stage, unsigned code)
{
	/* RFC 5321 3.8 and 4.2.2: 421 may come at any time, and the server hangs up after it. */
	if (code == 421 && stage >= STAGE_RSET)
		return (struct reply_meaning){ .action = REPLY_MESSAGE, .status = JOB_DEFERRED, .over = true };
	switch (stage) {
	case STAGE_BANNER:
	case STAGE_EHLO:
	case STAGE_HELO:
		return of_host(stage, code);
	case STAGE_MAIL:
	case STAGE_DATA:
	case STAGE_DOT:
		return of_message(stage, code);
	case STAGE_RCPT:
		return code / 100 == 3 ? out_of_step(REPLY_MESSAGE) : of_rcpt(code);
	case STAGE_RSET:
		/* MAIL must not follow into a transaction that may still be open (RFC 5321 4.1.4): it would be refused for
		 * good. */
		if (code / 100 == 2)
			return (struct reply_meaning){ .action = REPLY_GO, .status = JOB_DELIVERED };
		return code / 100 == 3 ? out_of_step(REPLY_MESSAGE) :
		    (struct reply_meaning){ .action = REPLY_MESSAGE, .status = JOB_DEFERRED, .over = true };
	case STAGE_QUIT:
		return (struct reply_meaning){ .action = REPLY_GO, .status = JOB_DELIVERED, .over = true };
	case STAGE_CONTENT:
		/* Some servers do not wait for the end to refuse, and hang up after it. Before the dot nothing can have been
		 * delivered, so the refusal can be believed. */
		if (code / 100 < 4)
			break;
		return (struct reply_meaning){ .action = REPLY_MESSAGE, .status = status_of_class(code), .over = true };
	case STAGE_RESOLVE:
	case STAGE_CONNECT:
	case STAGE_IDLE:
		break;
	}
	return out_of_step(REPLY_MESSAGE);	/* nothing was asked */
}

struct enhanced
reply_enhanced(const struct smtp_reply *reply, enum job_status status)
{
	struct enhanced e = reply->enhanced;	/* 0.0.0 when there is none */

	e.class = status == JOB_DELIVERED ? 2 : status == JOB_FAILED ? 5 : 4;
	return e;
}

void
reply_out_of_step_put(struct buf *to, const struct smtp_reply *reply, size_t max)
{
	struct smtp_reply bare = *reply;
	size_t n;

	bare.enhanced = ENHANCED_NONE;	/* it stays in the words */
	(void)buf_printf(to, "the server is out of step, it said: %u ", reply->code);
	n = buf_len(to);
	(void)smtp_reply_text_put(to, &bare, max > n ? max - n : 0);
}
