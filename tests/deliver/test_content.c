/* tests/deliver/test_content.c -- content on its way through, and jobs with their outcomes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/job.h"

#include <stdlib.h>

/* shows: RFC5321 4.5.2/1, RFC5321 4.1.1.4/3 */
static void
dots_are_stuffed_however_it_is_cut(void **state)
{
	static const struct slice text = SLICE(".a\r\n..\r\nb.\r\n\r\n.\r\nend");
	static const struct slice wire = SLICE("..a\r\n...\r\nb.\r\n\r\n..\r\nend\r\n.\r\n");

	(void)state;
	for (size_t step = 1; step <= text.n; step++) {
		struct buf out = BUF_INIT(1024);
		struct content c;
		enum rc rc = RC_MORE;

		content_init(&c, text.n);
		for (size_t at = 0; at < text.n; at += step) {
			assert_int_equal(rc, RC_MORE);
			assert_int_equal(content_add(&c, slice_first(slice_from(text, at), step)), RC_OK);
			rc = content_pump(&c, &out);
		}
		assert_int_equal(rc, RC_OK);
		assert_true(slice_eq(buf_slice(&out), wire));
		buf_free(&out);
		content_free(&c);
	}
}

static void
an_empty_message_is_a_dot(void **state)
{
	struct buf out = BUF_INIT(64);
	struct content c;

	(void)state;
	content_init(&c, 0);
	assert_int_equal(content_pump(&c, &out), RC_OK);
	assert_true(slice_eq(buf_slice(&out), S(".\r\n")));
	buf_free(&out);
	content_free(&c);
}

static void
bare_newlines_stop_it(void **state)
{
	static const struct slice bad[] = { SLICE("a\nb"), SLICE("a\rb"), SLICE("a\r\r\n"), SLICE("\n.\n"), SLICE("end\r") };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buf out = BUF_INIT(64);
		struct content c;

		content_init(&c, bad[i].n);
		assert_int_equal(content_add(&c, bad[i]), RC_OK);
		assert_int_equal(content_pump(&c, &out), RC_SYNTAX);
		assert_int_equal(slice_find(buf_slice(&out), '\n'), buf_len(&out));
		buf_free(&out);
		content_free(&c);
	}
}

static void
credit_follows_what_left(void **state)
{
	struct buf out = BUF_INIT(16 * 1024);
	uint8_t *piece = calloc(1, IPC_CONTENT_CHUNK);
	struct slice chunk = slice_of(piece, IPC_CONTENT_CHUNK);
	struct content c;
	uint64_t granted = 0, left = 0;

	(void)state;
	assert_non_null(piece);
	content_init(&c, UINT64_C(1) << 30);
	for (int i = 0; i < IPC_CONTENT_WINDOW / IPC_CONTENT_CHUNK; i++)
		assert_int_equal(content_add(&c, chunk), RC_OK);
	assert_int_equal(content_grant(&c), 0);
	assert_int_equal(buf_len(&c.waiting), c.arrived);
	while (content_pump(&c, &out) == RC_AGAIN) {
		left += buf_len(&out);
		buf_clear(&out);
		granted += content_grant(&c);
		assert_true(granted <= left);
	}
	assert_int_not_equal(buf_len(&c.waiting), c.arrived);
	assert_true(granted + CONTENT_GRANT_MIN > IPC_CONTENT_WINDOW);
	content_free(&c);
	buf_free(&out);
	free(piece);
}

static void
more_than_promised_is_refused(void **state)
{
	struct content c;
	uint8_t *piece = calloc(1, IPC_CONTENT_CHUNK);
	enum rc rc = RC_OK;
	size_t n = 0;

	(void)state;
	assert_non_null(piece);
	content_init(&c, 5);
	assert_int_equal(content_add(&c, S("123")), RC_OK);
	assert_int_equal(content_add(&c, S("456")), RC_RANGE);
	content_free(&c);
	content_init(&c, UINT64_MAX);
	while (rc == RC_OK && n++ < 100)
		rc = content_add(&c, slice_of(piece, IPC_CONTENT_CHUNK));
	assert_int_equal(rc, RC_RANGE);
	content_free(&c);
	free(piece);
}

/* ---- jobs ---------------------------------------------------------------------------------------------------------*/

static struct job *
make_job(unsigned n, struct slice address)
{
	struct buf run = BUF_INIT(IPC_FRAME_MAX);
	struct d_job m = { .job = 1, .sender = S("s@a.test"), .size = 1, .content = S("") };
	struct job *job = NULL;

	for (unsigned i = 0; i < n; i++)
		assert_true(job_rcpt_put(&run, &(struct job_rcpt){ .index = (uint16_t)i, .address = address }));
	m.rcpts = buf_slice(&run);
	assert_int_equal(job_new(&m, &job), RC_OK);
	buf_free(&run);
	return job;
}

/* shows: RFC5321 4.1.2/8, RFC5321 4.1.2/9 */
static void
addresses_that_would_break_a_command_never_leave(void **state)
{
	static const struct slice bad[] = { SLICE("a@b.test>\r\nRCPT TO:<x@y"), SLICE("a b@c.test"), SLICE("a@b.test\r\n"),
	    SLICE("<a@b.test>"), SLICE(""), SLICE("a"), SLICE("a\0@b.test"), SLICE("\xe4@b.test"), SLICE("a@\xc3\xa4.test"),
	    SLICE("\xc2\x85@b.test") };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct job *job = make_job(1, bad[i]);

		assert_int_equal(job->n_open, 0);
		assert_int_equal(job->rcpts[0].status, JOB_FAILED);
		job_free(job);
	}
}

static void
results_fit_a_frame_however_many(void **state)
{
	static const unsigned counts[] = { 1, 10, 100, 1000, JOB_RCPTS_MAX, JOB_RCPTS_MAX + 500 };
	char words[JOB_TEXT_MAX];

	(void)state;
	memset(words, 'x', sizeof words);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct job *job = make_job(counts[i], S("someone@b.test"));
		struct buf rows = BUF_INIT(JOB_RESULTS_MAX);
		struct job_result row;
		struct rd r;
		size_t n = 0;

		job_decide_rest(job, JOB_FAILED, 550, ENHANCED(5, 999, 999), slice_of(words, sizeof words));
		assert_int_equal(job->n_open, 0);
		assert_true(job_results_put(job, &rows));
		r = (struct rd){ buf_slice(&rows), false };
		while (job_result_next(&r, &row)) {
			assert_int_equal(row.index, n++);
			assert_true(row.text.n > 0);
		}
		assert_false(r.bad);
		assert_int_equal(n, counts[i] < JOB_RCPTS_MAX ? counts[i] : JOB_RCPTS_MAX);
		buf_free(&rows);
		job_free(job);
	}
}

static void
the_first_outcome_stays(void **state)
{
	struct job *job = make_job(2, S("someone@b.test"));

	(void)state;
	job_decide(job, 1, JOB_FAILED, 550, ENHANCED(5, 1, 1), S("no"));
	job_decide_rest(job, JOB_DELIVERED, 250, ENHANCED(2, 0, 0), S("yes"));
	job_decide_rest(job, JOB_DEFERRED, 421, ENHANCED(4, 0, 0), S("later"));
	assert_int_equal(job->rcpts[0].status, JOB_DELIVERED);
	assert_int_equal(job->rcpts[1].status, JOB_FAILED);
	assert_int_equal(job->rcpts[1].code, 550);
	job_free(job);
}

static void
malformed_jobs_are_refused(void **state)
{
	struct d_job m = { .job = 1, .sender = S("s@a.test"), .size = 1, .content = S("") };
	struct job *job = NULL;

	(void)state;
	assert_int_equal(job_new(&m, &job), RC_SYNTAX);		/* nobody to deliver to */
	m.rcpts = S("garbage");
	assert_int_equal(job_new(&m, &job), RC_SYNTAX);
	m.rcpts = S("\x01\x00\x08\x00\x00\x00" "a@b.test" "\x00\x00\x00\x00\x00");
	m.content = S("too long");
	assert_int_equal(job_new(&m, &job), RC_RANGE);
	assert_null(job);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dots_are_stuffed_however_it_is_cut),
		cmocka_unit_test(an_empty_message_is_a_dot),
		cmocka_unit_test(bare_newlines_stop_it),
		cmocka_unit_test(credit_follows_what_left),
		cmocka_unit_test(more_than_promised_is_refused),
		cmocka_unit_test(addresses_that_would_break_a_command_never_leave),
		cmocka_unit_test(results_fit_a_frame_however_many),
		cmocka_unit_test(the_first_outcome_stays),
		cmocka_unit_test(malformed_jobs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
