/* tests/queue/test_room.c -- the room between the others: mail in, jobs out, results, crashes, and rooms that break the
 * rules. What senders are told: test_reports.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/queue/room_world.h"

#include "common/admin.h"
#include "queue/draft.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What `posternctl queue flush NAME` is told. */
static enum rc
flush(struct world *world, const char *name)
{
	struct a_end m;

	SEND(world->control, A_REQUEST, 7, -1, a_request, ADMIN_QUEUE_FLUSH, slice_str(name), S(""), 0, 0);
	GET(next_frame(world, world->control, ROLE_CONTROL, A_END), a_end, &m);
	return (enum rc)m.status;
}

/* shows: RFC5321 4.5.4.1/1 */
static void
mail_comes_in_and_goes_out(void **state)
{
	struct world *world = *state;
	struct buf row = BUF_INIT(IPC_FRAME_MAX);
	struct d_job job;
	struct msgid id;
	uint32_t session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	id = submit(world, world->smtpd, 1, "Subject: one\r\n\r\nx\r\n");
	expect_accepted(world, world->smtpd, 1, id);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_true(msgid_eq(job.id, id));
	assert_true(slice_eq(job.sender, S("alice@postern.test")));
	assert_true(slice_eq(job.content, S("Subject: one\r\n\r\nx\r\n")));
	assert_int_equal(list(world, &row), 1);
	assert_non_null(strstr(buf_cstr(&row), "\"state\":\"active\""));
	answer(world->deliver, session, number, JOB_DEFERRED, 451, "4.7.1", "greylisted");
	assert_int_equal(next_frame(world, world->deliver, ROLE_DELIVER, D_IDLE).handle, session);
	assert_int_equal(list(world, &row), 1);
	assert_non_null(strstr(buf_cstr(&row), "\"state\":\"deferred\""));
	assert_non_null(strstr(buf_cstr(&row), "greylisted"));
	SEND(world->deliver, D_CLOSED, session, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0, { 0 } });
	/* An operator does not wait. The same destination, a new session; then the session pulls a second message. */
	SEND(world->control, A_REQUEST, 6, -1, a_request, ADMIN_QUEUE_FLUSH, S(""), S(""), 0, 0);
	assert_int_equal(next_frame(world, world->control, ROLE_CONTROL, A_END).handle, 6);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_true(msgid_eq(job.id, id));
	assert_true(slice_eq(job.content, S("Subject: one\r\n\r\nx\r\n")));
	answer(world->deliver, session, number, JOB_DEFERRED, 451, "4.7.1", "greylisted");
	assert_int_equal(next_frame(world, world->deliver, ROLE_DELIVER, D_IDLE).handle, session);
	SEND(world->deliver, D_CLOSED, session, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0, { 0 } });
	/* Nor does he look up how the name is written. */
	assert_int_equal(flush(world, "smtp:other.test"), RC_NOTFOUND);
	assert_int_equal(flush(world, "Sink.TEST"), RC_OK);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	answer(world->deliver, session, number, JOB_DEFERRED, 451, "4.7.1", "greylisted");
	assert_int_equal(next_frame(world, world->deliver, ROLE_DELIVER, D_IDLE).handle, session);
	SEND(world->deliver, D_CLOSED, session, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0, { 0 } });
	assert_int_equal(flush(world, "smtp:SINK.test"), RC_OK);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	id = submit(world, world->smtpd, 2, "Subject: two\r\n\r\ny\r\n");
	expect_accepted(world, world->smtpd, 2, id);
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(msgid_eq(job.id, id));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	buf_free(&row);
	end(world, 0);
}

/* What a client is told for ETRN, through the smtpd on this line: the status, and for how many recipients mail waits. */
static enum rc
etrn(struct world *world, int smtpd, const char *domain, uint32_t *ret_waiting)
{
	struct q_flushed m;

	SEND(smtpd, Q_FLUSH, 5, -1, q_flush, slice_str(domain));
	GET(next_frame(world, smtpd, ROLE_SMTPD, Q_FLUSHED), q_flushed, &m);
	*ret_waiting = m.waiting;
	return (enum rc)m.status;
}

static void
expect_attempt(struct world *world)
{
	struct d_job job;
	uint32_t session, number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);

	answer(world->deliver, session, number, JOB_DEFERRED, 451, "4.7.1", "greylisted");
	assert_int_equal(next_frame(world, world->deliver, ROLE_DELIVER, D_IDLE).handle, session);
	SEND(world->deliver, D_CLOSED, session, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0, { 0 } });
}

static double
seconds(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A flush costs a look at all that waits, and clients may ask for one as often as they like: one in ten seconds, whoever asks.
 *
 * shows: RFC1985 5.1/1 */
static void
clients_flush_once_in_a_while(void **state)
{
	enum { PACE = 10 };
	struct world *world = *state;
	uint32_t waiting;
	double first;
	enum rc rc;
	int other;

	NEEDS_ROOT(world);
	other = make_line(world, ROLE_SMTPD, 1);
	learn_ids(world, world->smtpd);
	/* Where nothing waits nothing is done, and so nothing is counted. */
	assert_int_equal(etrn(world, world->smtpd, "sink.test", &waiting), RC_OK);
	assert_int_equal(waiting, 0);
	expect_accepted(world, world->smtpd, 1, submit(world, world->smtpd, 1, "Subject: one\r\n\r\nx\r\n"));
	expect_attempt(world);
	first = seconds();
	assert_int_equal(etrn(world, world->smtpd, "sink.test", &waiting), RC_OK);
	assert_int_equal(waiting, 1);
	expect_attempt(world);
	/* Neither the same client again, nor one of another process; only one that asks for what there is not. */
	assert_int_equal(etrn(world, world->smtpd, "sink.test", &waiting), RC_AGAIN);
	assert_int_equal(waiting, 1);
	assert_int_equal(etrn(world, other, "sink.test", &waiting), RC_AGAIN);
	assert_int_equal(etrn(world, other, "nobody.test", &waiting), RC_OK);
	assert_int_equal(waiting, 0);
	/* An operator may at any time, and takes nobody's turn. */
	assert_int_equal(flush(world, "sink.test"), RC_OK);
	expect_attempt(world);
	while ((rc = etrn(world, other, "sink.test", &waiting)) == RC_AGAIN)
		(void)usleep(100 * 1000);
	assert_int_equal(rc, RC_OK);
	assert_true(seconds() - first >= PACE - 0.1);
	assert_true(seconds() - first < PACE + PATIENCE);
	expect_attempt(world);
	(void)close(other);
	end(world, 0);
}

/* shows: RFC5321 2.1/1, RFC5321 4.2.5/1 */
static void
what_was_acknowledged_survives_a_crash(void **state)
{
	struct world *world = *state;
	struct d_job job;
	struct msgid id, other;
	uint32_t session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	id = submit(world, world->smtpd, 1, "Subject: one\r\n\r\nx\r\n");
	expect_accepted(world, world->smtpd, 1, id);
	end(world, SIGKILL);
	start(world);
	learn_ids(world, world->smtpd);
	assert_int_not_equal(world->next_id.boot, id.boot);
	/* Routes are not believed across a start. */
	answer_route(world, "x@sink.test", "smtp", "other.test");
	number = expect_first_job(world, ROLE_DELIVER, "other.test", &session, &job);
	assert_true(msgid_eq(job.id, id));
	assert_true(slice_eq(job.content, S("Subject: one\r\n\r\nx\r\n")));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	/* The result is durable together with the next mail at the latest. */
	other = submit(world, world->smtpd, 1, "Subject: two\r\n\r\nx\r\n");
	expect_accepted(world, world->smtpd, 1, other);
	end(world, SIGKILL);
	start(world);
	answer_route(world, "x@sink.test", "smtp", "sink.test");
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_true(msgid_eq(job.id, other));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
	start(world);
	expect_empty(world);
	end(world, 0);
}

/* The spool holds what it may. After a start that shows step by step, but there is no room at any step. */
static void
the_limit_holds_while_the_spool_is_read(void **state)
{
	enum { MESSAGES = 900 };	/* more than are shown in a few turns of the loop */
	struct world *world = *state;
	struct q_refused refused;
	struct frame f;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	for (uint32_t i = 1; i <= MESSAGES; i++)
		expect_accepted(world, world->smtpd, i, submit(world, world->smtpd, i, "Subject: x\r\n\r\nx\r\n"));
	end(world, SIGKILL);
	world->max_messages = MESSAGES;
	start(world);
	learn_ids(world, world->smtpd);
	(void)submit(world, world->smtpd, 1, "Subject: one more\r\n\r\nx\r\n");
	f = next_frame(world, world->smtpd, ROLE_SMTPD, Q_REFUSED);
	GET(f, q_refused, &refused);
	assert_int_equal(refused.code, 452);
	end(world, SIGKILL);
}

static void
large_mail_flows_by_credit(void **state)
{
	enum { SIZE = 900 * 1000 + 7 };
	struct world *world = *state;
	struct buf envelope = BUF_INIT(4096), got = BUF_INIT(SIZE);
	uint8_t *content = malloc(SIZE);
	struct d_job job;
	uint32_t session, number;
	uint64_t credit = IPC_CONTENT_WINDOW;
	struct msgid id;

	NEEDS_ROOT(world);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (uint8_t)('a' + i * i % 26);
	learn_ids(world, world->smtpd);
	id = world->next_id;
	make_envelope(&envelope, "alice@postern.test", "x@sink.test");
	SEND(world->smtpd, Q_BEGIN, 9, -1, q_begin, id, buf_slice(&envelope), 0);
	for (size_t at = 0; at < SIZE;) {
		size_t n = SIZE - at < IPC_CONTENT_CHUNK ? SIZE - at : IPC_CONTENT_CHUNK;

		while (credit < n) {
			struct q_credit m;

			GET(next_frame(world, world->smtpd, ROLE_SMTPD, Q_CREDIT), q_credit, &m);
			credit += m.bytes;
			assert_true(credit <= IPC_CONTENT_WINDOW);
		}
		SEND(world->smtpd, Q_CHUNK, 9, -1, q_chunk, slice_of(content + at, n));
		credit -= n;
		at += n;
	}
	/* Only at its end is it known that there was something 8-bit in it (RFC 6152 3). */
	SEND(world->smtpd, Q_COMMIT, 9, -1, q_commit, SIZE, ENVELOPE_8BITMIME);
	expect_accepted(world, world->smtpd, 9, id);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_int_equal(job.size, SIZE);
	assert_int_equal(job.flags, ENVELOPE_8BITMIME);
	assert_true(buf_put_slice(&got, job.content));
	SEND(world->deliver, D_CREDIT, session, -1, d_credit, number, (uint32_t)job.content.n);
	while (buf_len(&got) < SIZE) {
		struct d_chunk m;

		GET(next_frame(world, world->deliver, ROLE_DELIVER, D_CHUNK), d_chunk, &m);
		assert_int_equal(m.job, number);
		assert_true(buf_put_slice(&got, m.content));
		SEND(world->deliver, D_CREDIT, session, -1, d_credit, number, (uint32_t)m.content.n);
	}
	assert_true(slice_eq(buf_slice(&got), slice_of(content, SIZE)));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	free(content);
	buf_free(&envelope);
	buf_free(&got);
	end(world, 0);
}

/* Mail in pieces counts from its first word for what it may hold; mail in one piece still has room beside it. */
static void
large_mail_under_way_has_a_limit(void **state)
{
	enum { FIT = DRAFT_BYTES_MAX / 4 * 3 / DRAFT_SHARE_MIN };
	struct world *world = *state;
	struct buf envelope = BUF_INIT(4096);
	struct msgid id;
	unsigned n;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	make_envelope(&envelope, "alice@postern.test", "x@sink.test");
	for (n = 1; n <= FIT + 1; n++) {
		if (n % 1000 == 0) {
			SEND(world->smtpd, Q_IDS_WANT, 0, -1, q_ids_want, 0);
			learn_ids(world, world->smtpd);
		}
		SEND(world->smtpd, Q_BEGIN, n, -1, q_begin, world->next_id, buf_slice(&envelope), 0);
		world->next_id.seq++;
	}
	/* The envelopes count too, so it is one of the last that is refused first. */
	n = next_frame(world, world->smtpd, ROLE_SMTPD, Q_REFUSED).handle;
	assert_true(n > FIT - FIT / 100);
	for (unsigned i = n + 1; i <= FIT + 1; i++)
		assert_int_equal(next_frame(world, world->smtpd, ROLE_SMTPD, Q_REFUSED).handle, i);
	id = submit(world, world->smtpd, 5000, "Subject: in one piece\r\n\r\n");
	expect_accepted(world, world->smtpd, 5000, id);
	/* One goes, one more may come. */
	SEND(world->smtpd, Q_ABORT, 7, -1, q_abort, 0);
	SEND(world->smtpd, Q_BEGIN, 5001, -1, q_begin, world->next_id, buf_slice(&envelope), 0);
	SEND(world->smtpd, Q_COMMIT, 5001, -1, q_commit, 0, 0);
	expect_accepted(world, world->smtpd, 5001, world->next_id);
	buf_free(&envelope);
	end(world, 0);
}

static void
a_carrier_that_dies_has_delivered_nothing(void **state)
{
	struct world *world = *state;
	struct d_job job;
	struct msgid id;
	uint32_t session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	id = submit(world, world->smtpd, 1, "Subject: one\r\n\r\nx\r\n");
	expect_accepted(world, world->smtpd, 1, id);
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	(void)expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	(void)close(world->deliver);
	world->deliver = make_line(world, ROLE_DELIVER, 0);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_true(msgid_eq(job.id, id));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
}

static void
rooms_that_break_the_rules_are_cut_off(void **state)
{
	struct world *world = *state;
	struct buf envelope = BUF_INIT(4096);
	uint8_t garbage[64];
	struct d_job job;
	struct msgid id;
	uint32_t session;
	int other;

	NEEDS_ROOT(world);
	memset(garbage, 0xa5, sizeof garbage);
	learn_ids(world, world->smtpd);
	other = make_line(world, ROLE_SMTPD, 1);
	assert_int_equal(write(other, garbage, sizeof garbage), sizeof garbage);
	expect_eof(other);
	(void)close(other);
	/* An id that is another's. */
	other = make_line(world, ROLE_SMTPD, 1);
	id = world->next_id;
	(void)submit(world, other, 1, "x: y\r\n\r\n");
	world->next_id = id;
	expect_eof(other);
	(void)close(other);
	/* A result for nothing. */
	other = make_line(world, ROLE_DELIVER, 1);
	answer(other, 77, 1, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_eof(other);
	(void)close(other);
	/* The first line works on. An aborted draft leaves nothing; nor does one whose smtpd dies. */
	make_envelope(&envelope, "", "x@sink.test");
	SEND(world->smtpd, Q_BEGIN, 3, -1, q_begin, world->next_id, buf_slice(&envelope), 0);
	SEND(world->smtpd, Q_CHUNK, 3, -1, q_chunk, S("Subject: never\r\n"));
	SEND(world->smtpd, Q_ABORT, 3, -1, q_abort, 0);
	world->next_id.seq++;
	id = submit(world, world->smtpd, 3, "Subject: kept\r\n\r\n");
	expect_accepted(world, world->smtpd, 3, id);
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	(void)expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(msgid_eq(job.id, id));
	/* Credit for more than was sent: the carrier is cut off, and the mail is given to the next. */
	SEND(world->deliver, D_CREDIT, session, -1, d_credit, job.job, 1 << 30);
	expect_eof(world->deliver);
	(void)close(world->deliver);
	world->deliver = make_line(world, ROLE_DELIVER, 0);
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	(void)expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	answer(world->deliver, session, job.job, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	buf_free(&envelope);
	end(world, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(mail_comes_in_and_goes_out),
		WORLD_TEST(clients_flush_once_in_a_while),
		WORLD_TEST(what_was_acknowledged_survives_a_crash),
		WORLD_TEST(the_limit_holds_while_the_spool_is_read),
		WORLD_TEST(large_mail_flows_by_credit),
		WORLD_TEST(large_mail_under_way_has_a_limit),
		WORLD_TEST(a_carrier_that_dies_has_delivered_nothing),
		WORLD_TEST(rooms_that_break_the_rules_are_cut_off),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
