/* deliver/job.c -- see job.h. */
#include "deliver/job.h"

#include "common/wire/address.h"
#include "common/wire/chars.h"
#include "common/wire/smtp_param.h"
#include "common/wire/utf8.h"

#include <stdlib.h>

/* Would it survive being put between < and > of a command? The queue is believed in nothing that reaches the wire. */
static bool
is_sendable(struct slice address)
{
	struct address a;

	return address_parse(address, &a) == RC_OK;
}

static size_t
count_rcpts(struct slice rcpts)
{
	struct rd r = { rcpts, false };
	struct job_rcpt m;
	size_t n = 0;

	while (n < JOB_RCPTS_MAX && job_rcpt_next(&r, &m))
		n++;
	return r.bad ? 0 : n;
}

/* What the sender wants to be told about it (RFC 3461). */
static void
take_wishes(struct job *j, struct job_recipient *r, const struct job_rcpt *m)
{
	struct slice type, xtext;

	r->notify = m->notify > NOTIFY_ALL ? 0 : m->notify;
	if (smtp_orcpt_parse(m->orcpt, &type, &xtext) != RC_OK)
		return;
	r->orcpt_at = (uint32_t)buf_len(&j->words);
	r->orcpt_n = (uint16_t)m->orcpt.n;
	(void)buf_put_slice(&j->words, m->orcpt);
}

static void
take_rcpts(struct job *j, struct slice rcpts)
{
	struct rd r = { rcpts, false };
	struct job_rcpt m;

	while (j->n_rcpts < JOB_RCPTS_MAX && job_rcpt_next(&r, &m)) {
		size_t i = j->n_rcpts++;

		j->n_open++;
		j->rcpts[i] = (struct job_recipient){ .index = m.index, .address_at = (uint32_t)buf_len(&j->words) };
		if (!is_sendable(m.address)) {
			job_decide(j, i, JOB_FAILED, 0, ENHANCED(5, 1, 3), S("the address cannot be sent over SMTP"));
			continue;
		}
		j->rcpts[i].address_n = (uint16_t)m.address.n;
		(void)buf_put_slice(&j->words, m.address);
		j->rcpts[i].utf8 = !slice_is_ascii(m.address);
		take_wishes(j, &j->rcpts[i], &m);
	}
}

static void
take_extensions(struct job *j, const struct d_job *m)
{
	j->needs_utf8 = (m->flags & ENVELOPE_SMTPUTF8) != 0 || !slice_is_ascii(m->sender);
	j->deliver_by = (int64_t)m->deliver_by;
	j->priority = (int8_t)m->priority;
	if (j->priority < PRIORITY_MIN || j->priority > PRIORITY_MAX)
		j->priority = 0;
	if (smtp_envid_parse(m->envid) != RC_OK)
		return;
	j->envid_at = buf_len(&j->words);
	j->envid_n = m->envid.n;
	(void)buf_put_slice(&j->words, m->envid);
}

enum rc
job_new(const struct d_job *m, struct job **ret_job)
{
	size_t n = count_rcpts(m->rcpts);
	struct job *j;
	enum rc rc;

	if (n == 0 || m->sender.n > JOB_SENDER_MAX)
		return RC_SYNTAX;
	j = calloc(1, sizeof *j);
	if (j == NULL)
		return RC_NOMEM;
	j->number = m->job;
	j->id = m->id;
	j->flags = m->flags;
	j->text_max = JOB_RESULTS_MAX / n - JOB_ROW_MAX;
	if (j->text_max > JOB_TEXT_MAX)
		j->text_max = JOB_TEXT_MAX;
	buf_init(&j->words, JOB_SENDER_MAX + 2 * IPC_FRAME_MAX);
	content_init(&j->content, m->size);
	rc = content_add(&j->content, m->content);
	j->rcpts = calloc(n, sizeof *j->rcpts);
	if (rc == RC_OK && (j->rcpts == NULL || !buf_put_slice(&j->words, m->sender)))
		rc = RC_NOMEM;
	if (rc == RC_OK) {
		j->sender_n = m->sender.n;
		take_extensions(j, m);
		take_rcpts(j, m->rcpts);
		if (m->sender.n > 0 && !is_sendable(m->sender))
			job_decide_rest(j, JOB_FAILED, 0, ENHANCED(5, 1, 7), S("the sender's address cannot be sent over SMTP"));
		rc = j->words.failed ? RC_NOMEM : RC_OK;
	}
	if (rc != RC_OK) {
		job_free(j);
		return rc;
	}
	*ret_job = j;
	return RC_OK;
}

void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	content_free(&j->content);
	buf_free(&j->words);
	free(j->rcpts);
	free(j);
}

static struct slice
words_at(const struct job *j, size_t at, size_t n)
{
	return slice_first(slice_from(buf_slice(&j->words), at), n);
}

struct slice
job_sender(const struct job *j)
{
	return words_at(j, 0, j->sender_n);
}

struct slice
job_address(const struct job *j, size_t i)
{
	return words_at(j, j->rcpts[i].address_at, j->rcpts[i].address_n);
}

struct slice
job_orcpt(const struct job *j, size_t i)
{
	return words_at(j, j->rcpts[i].orcpt_at, j->rcpts[i].orcpt_n);
}

struct slice
job_envid(const struct job *j)
{
	return words_at(j, j->envid_at, j->envid_n);
}

void
job_decide(struct job *j, size_t i, enum job_status status, uint16_t code, struct enhanced enhanced, struct slice text)
{
	struct job_recipient *r = &j->rcpts[i];

	if (r->status != 0)
		return;
	j->n_open--;
	r->status = (uint16_t)status;
	r->code = code;
	r->enhanced = enhanced;
	text = slice_first(text, j->text_max);
	r->text_at = (uint32_t)buf_len(&j->words);
	/* No memory for words is no reason to lose an outcome. */
	r->text_n = buf_put_slice(&j->words, text) ? (uint16_t)text.n : 0;
}

void
job_decide_rest(struct job *j, enum job_status status, uint16_t code, struct enhanced enhanced, struct slice text)
{
	for (size_t i = 0; i < j->n_rcpts && j->n_open > 0; i++)
		job_decide(j, i, status, code, enhanced, text);
}

void
job_decide_quoting(struct job *j, size_t i, enum job_status status, const struct smtp_reply *reply)
{
	struct buf text = BUF_INIT(JOB_TEXT_MAX);

	(void)smtp_reply_text_put(&text, reply, j->text_max);
	job_decide(j, i, status, reply->code, reply_enhanced(reply, status), buf_slice(&text));
	buf_free(&text);
}

void
job_decide_rest_quoting(struct job *j, enum job_status status, const struct smtp_reply *reply)
{
	struct buf text = BUF_INIT(JOB_TEXT_MAX);

	(void)smtp_reply_text_put(&text, reply, j->text_max);
	job_decide_rest(j, status, reply->code, reply_enhanced(reply, status), buf_slice(&text));
	buf_free(&text);
}

void
job_distrust(struct job *j)
{
	for (size_t i = 0; i < j->n_rcpts; i++) {
		struct job_recipient *r = &j->rcpts[i];

		if (!r->asked || r->status != JOB_FAILED)
			continue;
		r->status = JOB_DEFERRED;
		r->code = 0;
		r->enhanced = ENHANCED(4, 5, 0);
	}
}

void
job_rewind(struct job *j)
{
	for (size_t i = 0; i < j->n_rcpts; i++)
		j->rcpts[i].asked = j->rcpts[i].accepted = false;
}

bool
job_results_put(const struct job *j, struct buf *to)
{
	for (size_t i = 0; i < j->n_rcpts; i++) {
		const struct job_recipient *r = &j->rcpts[i];
		char enhanced[ENHANCED_TEXT_MAX];
		struct job_result row;

		if (r->status == 0)
			continue;
		row = (struct job_result){ r->index, (uint8_t)r->status, r->code,
		    slice_of(enhanced, enhanced_format(r->enhanced, enhanced)), words_at(j, r->text_at, r->text_n) };
		(void)job_result_put(to, &row);
	}
	return !to->failed;
}
