/* tests/deliver/test_transaction.c -- what a transaction makes of replies that fit nothing that was asked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/transaction.h"

#include <stdio.h>
#include <string.h>

struct played {
	struct job *job;
	struct exchange x;
	struct transaction t;
};

/* Three commands are on their way: MAIL, RCPT and DATA in one pipeline. */
static void
begin(struct played *p)
{
	struct d_job m = { .job = 1, .sender = S("sender@a.test"), .content = S("Subject: x\r\n\r\nx\r\n") };
	struct job_rcpt rcpt = { .address = S("r@b.test") };
	struct buf rcpts = BUF_INIT(512);

	assert_true(job_rcpt_put(&rcpts, &rcpt));
	m.rcpts = buf_slice(&rcpts);
	m.size = m.content.n;
	assert_int_equal(job_new(&m, &p->job), RC_OK);
	buf_free(&rcpts);
	exchange_init(&p->x);
	p->x.caps.pipelining = true;
	transaction_begin(&p->t, &p->x, p->job, false);
	assert_int_equal(transaction_pump(&p->t, &p->x), RC_OK);
	assert_int_equal(p->x.n_due, 3);
	buf_clear(&p->x.out);	/* sent */
}

static void
end(struct played *p)
{
	exchange_free(&p->x);
	job_free(p->job);
}

/* The server says lines; what is whole is handed over. */
static void
says(struct played *p, const char *lines)
{
	struct smtp_reply reply;
	enum stage stage;

	assert_int_equal(exchange_feed(&p->x, slice_str(lines)), RC_OK);
	while (exchange_reply(&p->x, &stage, &reply) == RC_OK)
		transaction_reply(&p->t, &p->x, stage, &reply);
}

/* It waits, and not for a reason that stands for the server's own: those have a code. */
static void
waits_in_our_words(struct played *p, const char *words)
{
	struct buf rows = BUF_INIT(4096);
	struct job_result row = { .code = 1 };
	struct rd r;

	assert_true(job_results_put(p->job, &rows));
	r = (struct rd){ buf_slice(&rows), false };
	assert_true(job_result_next(&r, &row));
	assert_int_equal(row.status, JOB_DEFERRED);
	assert_int_equal(row.code, 0);
	assert_true(slice_eq(row.enhanced, S("4.5.0")));
	if (!slice_eq(row.text, slice_str(words)))
		fail_msg("not %s but %.*s", words, (int)row.text.n, (const char *)row.text.p);
	assert_true(p->t.over);
	buf_free(&rows);
}

static void
a_reply_out_of_step_is_no_reason(void **state)
{
	static const struct { const char *lines, *words; } cases[] = {
		{ "354 go\r\n", "the server is out of step, it said: 354 go" },			/* to MAIL */
		{ "250 ok\r\n354 2.0.0 go\r\n", "the server is out of step, it said: 354 2.0.0 go" },
		{ "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250-2.1.5 ok\r\n250 2.1.5 more\r\n",		/* to DATA */
		    "the server is out of step, it said: 250 2.1.5 ok 2.1.5 more" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct played p;

		begin(&p);
		says(&p, cases[i].lines);
		waits_in_our_words(&p, cases[i].words);
		end(&p);
	}
}

/* What answers the dot before it has left. */
static void
thanks_for_what_it_has_not_is_no_reason(void **state)
{
	struct played p;

	(void)state;
	begin(&p);
	says(&p, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n");
	assert_true(p.t.flowing);
	assert_int_equal(transaction_pump(&p.t, &p.x), RC_OK);
	assert_true(p.t.dot_sent && buf_len(&p.x.out) > 0);
	says(&p, "250 2.0.0 queued\r\n");
	waits_in_our_words(&p, "the server said that it took the message before it had all of it");
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_out_of_step_is_no_reason),
		cmocka_unit_test(thanks_for_what_it_has_not_is_no_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
