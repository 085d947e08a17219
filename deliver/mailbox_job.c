/* deliver/mailbox_job.c -- one message into one Maildir, a copy for each address of the recipient (user, user+ext).
 *
 * The first copy that can be made carries the content as it streams in; the others are copied from it at the end, each
 * with its own Delivered-To. A failure of the disk is the outcome of the recipients that it concerns; the rest of the
 * content is then let go by, so that the session stays in step. */
#include "deliver/mailbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void
set_outcome(struct mailbox_job *j, size_t i, enum job_status status, const char *enhanced, const char *text)
{
	struct mailbox_outcome *o = &j->outcomes[i];

	o->status = (uint8_t)status;
	o->enhanced = enhanced;
	(void)snprintf(o->text, sizeof o->text, "%s", text);
}

/* The last failure of the Maildir, as an outcome. */
static void
set_trouble(struct mailbox *b, size_t i)
{
	struct mailbox_outcome *o = &b->job.outcomes[i];
	const struct maildir *d = &b->dir;

	o->status = JOB_DEFERRED;
	o->enhanced = d->error == EDQUOT ? "4.2.2" : d->error == ENOSPC || d->error == EFBIG ? "4.3.1" : "4.3.0";
	if (d->error == EDQUOT)
		(void)snprintf(o->text, sizeof o->text, "mailbox full: the user is over quota");
	else if (d->error == ENOSPC)
		(void)snprintf(o->text, sizeof o->text, "no space left for the mailbox");
	else if (d->error != 0)
		(void)snprintf(o->text, sizeof o->text, "Maildir: %s: %s", d->what, strerror(d->error));
	else
		(void)snprintf(o->text, sizeof o->text, "Maildir: %s", d->what == NULL ? "unusable" : d->what);
}

static void
set_delivered(struct mailbox_job *j, size_t i, enum rc rc)
{
	set_outcome(j, i, JOB_DELIVERED, "2.0.0",
	    rc == RC_EXISTS ? "delivered to maildir by an earlier attempt" : "delivered to maildir");
}

/* --- beginning --- */

static void
clear(struct mailbox_job *j)
{
	letter_free(&j->letter);
	buf_free(&j->text);
	free(j->rcpts);
	free(j->outcomes);
	*j = (struct mailbox_job){ .file.fd = -1 };
}

static size_t
count_rcpts(struct slice run)
{
	struct rd r = { run, false };
	struct job_rcpt rcpt;
	size_t n = 0;

	/* All of them, or none: whoever copies them walks the same run again, and the last one may be the malformed one. */
	while (job_rcpt_next(&r, &rcpt)) {
		if (n == MAILBOX_RCPTS_MAX || !letter_address_valid(rcpt.address))
			return 0;
		n++;
	}
	return r.bad ? 0 : n;
}

static bool
copy_addresses(struct mailbox_job *j, const struct d_job *m)
{
	struct rd r = { m->rcpts, false };
	struct job_rcpt rcpt;
	uint8_t *at;
	size_t n = 0;

	buf_init(&j->text, MAILBOX_TEXT_MAX);
	at = buf_reserve(&j->text, m->sender.n + m->rcpts.n + 1);	/* all at once: it must not move */
	if (at == NULL)
		return false;
	j->sender = slice_of(at, m->sender.n);
	(void)buf_put_slice(&j->text, m->sender);
	while (job_rcpt_next(&r, &rcpt)) {
		j->rcpts[n++] = (struct letter_rcpt){ rcpt.index, slice_of(at + buf_len(&j->text), rcpt.address.n), false };
		(void)buf_put_slice(&j->text, rcpt.address);
	}
	return true;
}

/* A file for rcpt i with its head, ready for content. */
static enum rc
begin_copy(struct mailbox *b, size_t i, struct maildir_file *f, uint64_t *ret_head)
{
	struct mailbox_job *j = &b->job;
	enum rc rc = maildir_create(&b->dir, j->id, j->rcpts[i].index, f);

	if (rc != RC_OK)
		return rc;
	buf_clear(&b->out);
	if (letter_head(&b->out, j->sender, j->rcpts[i].address))
		rc = maildir_write(&b->dir, f, buf_slice(&b->out));
	else
		rc = RC_NOMEM;
	if (rc != RC_OK) {
		maildir_abandon(&b->dir, f);
		return rc;
	}
	*ret_head = f->size;
	return RC_OK;
}

/* Every recipient up to the carrier has an outcome then; without a carrier, all have. */
static void
choose_carrier(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;

	for (j->carrier = 0; j->carrier < j->n_rcpts; j->carrier++) {
		enum rc rc = begin_copy(b, j->carrier, &j->file, &j->head);

		if (rc == RC_OK)
			return;
		j->file.fd = -1;
		if (rc == RC_EXISTS)
			set_delivered(j, j->carrier, rc);
		else
			set_trouble(b, j->carrier);
	}
}

const char *
mailbox_job_begin(struct mailbox *b, const struct d_job *m)
{
	struct mailbox_job *j = &b->job;
	size_t n = count_rcpts(m->rcpts);

	mailbox_job_settle(b);
	if (n == 0 || !letter_address_valid(m->sender))
		return "malformed recipients";
	if (m->content.n > m->size)
		return "more content than its size";
	clear(j);
	j->rcpts = calloc(n, sizeof *j->rcpts);
	j->outcomes = calloc(n, sizeof *j->outcomes);
	if (j->rcpts == NULL || j->outcomes == NULL || !copy_addresses(j, m))
		return "out of memory";
	j->n_rcpts = n;
	j->active = true;
	j->number = m->job;
	j->id = m->id;
	j->size = m->size;
	letter_init(&j->letter, j->rcpts, n);
	j->letter.plain = (m->flags & ENVELOPE_BINARYMIME) != 0;
	choose_carrier(b);
	return mailbox_job_feed(b, m->content);
}

/* --- content --- */

static void
carrier_failed(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;

	maildir_abandon(&b->dir, &j->file);
	/* The others would meet the same disk. */
	for (size_t i = 0; i < j->n_rcpts; i++)
		if (j->outcomes[i].status == 0)
			set_trouble(b, i);
}

const char *
mailbox_job_feed(struct mailbox *b, struct slice content)
{
	struct mailbox_job *j = &b->job;
	bool fits;

	if (content.n > j->size - j->arrived)
		return "more content than its size";
	j->arrived += content.n;
	j->earned += (uint32_t)content.n;
	if (j->file.fd == -1)
		return NULL;
	buf_clear(&b->out);
	fits = letter_feed(&j->letter, content, &b->out);
	if (fits && j->arrived == j->size)
		fits = letter_end(&j->letter, &b->out);
	if (!fits)
		return "out of memory";
	if (maildir_write(&b->dir, &j->file, buf_slice(&b->out)) != RC_OK)
		carrier_failed(b);
	return NULL;
}

/* --- the end --- */

static void
deliver_file(struct mailbox *b, size_t i, struct maildir_file *f)
{
	if (maildir_deliver(&b->dir, f) == RC_OK)
		set_delivered(&b->job, i, RC_OK);
	else
		set_trouble(b, i);
}

static void
deliver_copy(struct mailbox *b, size_t i)
{
	struct maildir_file f = { .fd = -1 };
	uint64_t head;
	enum rc rc = begin_copy(b, i, &f, &head);

	if (rc == RC_EXISTS)
		set_delivered(&b->job, i, rc);
	else if (rc != RC_OK || maildir_copy(&b->dir, &f, &b->job.file, b->job.head) != RC_OK)
		set_trouble(b, i);
	else
		deliver_file(b, i, &f);
	if (rc == RC_OK)
		maildir_abandon(&b->dir, &f);
}

/* Two recipients with one address are two because their sender wants other reports of each (RFC 3461 5.2.3), not because
 * anybody wants to read the message twice. */
static bool
is_delivered_already(const struct mailbox_job *j, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (j->outcomes[k].status == JOB_DELIVERED && slice_eq(j->rcpts[k].address, j->rcpts[i].address))
			return true;
	return false;
}

void
mailbox_job_finish(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;

	for (size_t i = 0; i < j->n_rcpts; i++) {
		if (j->outcomes[i].status != 0)
			continue;
		if (j->rcpts[i].loops)
			set_outcome(j, i, JOB_FAILED, "5.4.6",
			    "mail loop: this mailbox has had the message before (Delivered-To)");
		else if (is_delivered_already(j, i))
			set_outcome(j, i, JOB_DELIVERED, "2.0.0",
			    "delivered to maildir, one copy for all that mean this address");
		else if (i == j->carrier)
			deliver_file(b, i, &j->file);
		else
			deliver_copy(b, i);
	}
	maildir_abandon(&b->dir, &j->file);
	j->active = false;
}

void
mailbox_job_abort(struct mailbox *b)
{
	maildir_abandon(&b->dir, &b->job.file);
	clear(&b->job);
}

void
mailbox_job_settle(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;

	for (size_t i = 0; i < j->n_rcpts && !j->active; i++)
		if (j->outcomes[i].status == JOB_DELIVERED)
			maildir_forget(&b->dir, j->id, j->rcpts[i].index);
	clear(j);
}
