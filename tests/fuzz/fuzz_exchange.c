/* tests/fuzz/fuzz_exchange.c -- the bytes of a hostile server against greeting, pipeline and transactions of the client.
 *
 * First byte: bit 0 cuts the input into single bytes, bits 1-2 choose the number of recipients. Whatever comes, the
 * client must not crash, must not send content without a 354, and must not call anything delivered before a reply to
 * its dot. Two messages go over the connection, so that what the first left behind meets the second. */
#include "deliver/transaction.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct client {
	struct exchange x;
	struct transaction t;
	struct job *job;
	unsigned n_jobs;
	unsigned n_rcpts;
	bool greeted, dead;
	struct buf sent;	/* of this message */
};

static void
next_job(struct client *c, bool left_open)
{
	struct buf run = BUF_INIT(4096);
	struct d_job m = { .job = ++c->n_jobs, .flags = c->n_jobs > 1 ? ENVELOPE_8BITMIME : 0, .sender = S("s@a.test"),
	    .size = 12, .content = S("x: y\r\n\r\n.z\r\n") };

	for (unsigned i = 0; i < c->n_rcpts; i++)
		(void)job_rcpt_put(&run, &(struct job_rcpt){ .index = (uint16_t)i, .address = S("r@b.test") });
	m.rcpts = buf_slice(&run);
	job_free(c->job);
	c->job = NULL;
	m.size = m.content.n;
	if (job_new(&m, &c->job) != RC_OK)
		abort();
	buf_free(&run);
	buf_clear(&c->sent);
	transaction_begin(&c->t, &c->x, c->job, left_open);
}

static void
check(const struct client *c)
{
	static const struct slice marker = SLICE("\r\n\r\n..z\r\n");
	struct slice sent = buf_slice(&c->sent);
	bool content = false;

	for (size_t i = 0; i + marker.n <= sent.n && !content; i++)
		content = slice_starts(slice_from(sent, i), marker);
	if (content && (!c->t.data_sent || c->t.n_accepted == 0))
		abort();
	for (size_t i = 0; i < c->job->n_rcpts; i++)
		if (c->job->rcpts[i].status == JOB_DELIVERED && (!c->t.dot_answered || c->t.alone || !content))
			abort();
}

static void
progress(struct client *c)
{
	do {
		if (transaction_pump(&c->t, &c->x) != RC_OK)
			abort();
		(void)buf_put_slice(&c->sent, buf_slice(&c->x.out));
		buf_clear(&c->x.out);
	} while (c->t.flowing && !exchange_has_input(&c->x));	/* words that came before the dot are read first */
	check(c);
	if (c->t.over || (transaction_done(&c->t, &c->x) && c->n_jobs == 2))
		c->dead = true;
	else if (transaction_done(&c->t, &c->x)) {
		next_job(c, transaction_left_open(&c->t));
		progress(c);
	}
}

static void
greeting(struct client *c, enum stage stage, const struct smtp_reply *reply)
{
	struct reply_meaning m = reply_means(stage, reply->code);

	if (m.action == REPLY_TRY_HELO) {
		exchange_command(&c->x, STAGE_HELO, "HELO", S("us.test"));
	} else if (m.action != REPLY_GO) {
		c->dead = true;
	} else if (stage == STAGE_BANNER) {
		exchange_command(&c->x, STAGE_EHLO, "EHLO", S("us.test"));
	} else {
		if (stage == STAGE_EHLO)
			exchange_learn(&c->x, reply);
		c->greeted = true;
		buf_clear(&c->x.out);
		next_job(c, false);
		progress(c);
	}
}

static void
take(struct client *c, struct slice bytes)
{
	struct smtp_reply reply;
	enum stage stage;
	enum rc rc;

	if (exchange_feed(&c->x, bytes) != RC_OK)
		abort();	/* the reader's limits must keep the buffer below its ceiling */
	while (!c->dead && (rc = exchange_reply(&c->x, &stage, &reply)) != RC_MORE) {
		struct buf text = BUF_INIT(JOB_TEXT_MAX);

		if (rc != RC_OK) {
			c->dead = true;
			return;
		}
		(void)smtp_reply_text_put(&text, &reply, JOB_TEXT_MAX);
		if (buf_len(&text) > JOB_TEXT_MAX)
			abort();
		buf_free(&text);
		if (!c->greeted) {
			greeting(c, stage, &reply);
			continue;
		}
		transaction_reply(&c->t, &c->x, stage, &reply);
		progress(c);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client c = { .sent = BUF_INIT(1 << 20) };
	struct slice input = slice_of(data, size);
	size_t step;

	if (size == 0)
		return 0;
	step = (data[0] & 1) != 0 ? 1 : EXCHANGE_READ_MAX;
	c.n_rcpts = 1 + (data[0] >> 1 & 3);
	input = slice_from(input, 1);
	exchange_init(&c.x);
	exchange_expect(&c.x, STAGE_BANNER);
	for (size_t at = 0; at < input.n && !c.dead; at += step)
		take(&c, slice_first(slice_from(input, at), step));
	if (c.job != NULL) {
		struct buf rows = BUF_INIT(JOB_RESULTS_MAX);

		check(&c);
		if (!job_results_put(c.job, &rows))
			abort();
		buf_free(&rows);
	}
	job_free(c.job);
	exchange_free(&c.x);
	buf_free(&c.sent);
	return 0;
}
