/* tests/queue/test_reports.c -- what senders are told: bounces, reports that they asked for and their way, delays; and mail that
 * is held back or has its time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/queue/room_world.h"

#include "common/admin.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static bool
holds(struct slice in, const char *what)
{
	return memmem(in.p, in.n, what, strlen(what)) != NULL;
}

/* shows: RFC3461 5.2/1, RFC3461 5.2/2, RFC3461 5.2.2/5
 * shows: RFC5321 2.1/1, RFC5321 3.3/9, RFC5321 3.6.3/1, RFC5321 3.6.3/3, RFC5321 3.6.3/4, RFC5321 4.1.1.4/9
 * shows: RFC5321 4.4/16, RFC5321 4.4/24, RFC5321 4.5.4/2, RFC5321 4.5.5/2, RFC3464 2/2 */
static void
failures_are_told_to_the_sender(void **state)
{
	struct world *world = *state;
	struct d_job job;
	uint32_t remote, session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1, submit(world, world->smtpd, 1, "Subject: one\r\n\r\nbody\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_first_job(world, ROLE_LOCAL, "alice", &session, &job);
	assert_int_equal(job.sender.n, 0);
	assert_true(holds(job.rcpts, "alice@postern.test"));
	assert_true(holds(job.content, "Content-Type: multipart/report; report-type=delivery-status;"));
	assert_true(holds(job.content, "Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n"));
	assert_true(holds(job.content, "Subject: one\r\n"));
	assert_false(holds(job.content, "body\r\n\r\n"));
	/* It is not deliverable either: the postmaster is told; and then nobody. */
	answer(world->local, session, number, JOB_FAILED, 0, "5.2.1", "no mailbox");
	answer_route(world, "postmaster@mx.postern.test", "local", "root");
	number = expect_first_job(world, ROLE_LOCAL, "root", &session, &job);
	assert_true(holds(job.content, "Subject: Undeliverable bounce\r\n"));
	answer(world->local, session, number, JOB_FAILED, 0, "5.2.1", "no mailbox");
	/* Its mark is on the way to the disk: a mail behind it is durable later. The session waits for it. */
	expect_accepted(world, world->smtpd, 2, submit(world, world->smtpd, 2, "x: y\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
}

/* shows: RFC5321 4.4/22 */
static void
failures_of_one_attempt_are_told_in_one_report(void **state)
{
	struct world *world = *state;
	struct envelope e = { .sender = S("alice@postern.test"), .received_at = 1700000000000000 };
	struct envelope_rcpt r = { .transport = S("smtp"), .nexthop = S("sink.test"), .generation = 1 };
	struct job_result row = { .status = JOB_FAILED, .code = 550, .enhanced = S("5.1.1"), .text = S("nobody here") };
	struct buf b = BUF_INIT(4096);
	struct msgid id;
	struct d_job job;
	uint32_t remote, session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	id = world->next_id;
	world->next_id.seq++;
	assert_true(envelope_put(&b, &e));
	r.address = S("x@sink.test");
	assert_true(envelope_put_rcpt(&b, &r));
	r.address = S("y@sink.test");
	assert_true(envelope_put_rcpt(&b, &r));
	SEND(world->smtpd, Q_SUBMIT, 1, -1, q_submit, id, buf_slice(&b), S("Subject: one\r\n\r\n"));
	expect_accepted(world, world->smtpd, 1, id);
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	(void)next_frame(world, world->deliver, ROLE_DELIVER, D_OPEN);	/* for the other; the first that asks takes both */
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	buf_clear(&b);
	for (; row.index < 2; row.index++)
		assert_true(job_result_put(&b, &row));
	SEND(world->deliver, D_RESULT, remote, -1, d_result, number, buf_slice(&b), S("[192.0.2.1]"),
	    { 4, { 192, 0, 2, 1 } }, 25, S(""), true, 0);
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_first_job(world, ROLE_LOCAL, "alice", &session, &job);
	assert_true(holds(job.content, "\r\nFinal-Recipient: rfc822; x@sink.test\r\n"));
	assert_true(holds(job.content, "\r\nFinal-Recipient: rfc822; y@sink.test\r\n"));
	/* A host without a name (RFC 3461 9.3). */
	assert_true(holds(job.content, "\r\nRemote-MTA: dns; [192.0.2.1]\r\n"));
	assert_true(holds(job.content, ">:\r\n    host [192.0.2.1]:25 said:\r\n    550 5.1.1 nobody here\r\n"));
	answer(world->local, session, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	expect_empty(world);	/* and no second one is under way */
	buf_free(&b);
	end(world, 0);
}

static struct msgid
submit_notify(struct world *world, uint32_t handle, uint32_t flags, uint8_t notify, const char *content)
{
	struct envelope e = { .flags = flags, .sender = S("alice@postern.test"), .received_at = 1700000000000000,
	    .envid = S("QQ+2B1") };
	struct envelope_rcpt r = { .address = S("x@sink.test"), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1, .notify = notify, .orcpt = S("rfc822;Mr+2BX@Sink.test") };
	struct buf b = BUF_INIT(4096);
	struct msgid id = world->next_id;

	world->next_id.seq++;
	assert_true(envelope_put(&b, &e) && envelope_put_rcpt(&b, &r));
	SEND(world->smtpd, Q_SUBMIT, handle, -1, q_submit, id, buf_slice(&b), slice_str(content));
	buf_free(&b);
	return id;
}

static struct msgid
submit_urgent(struct world *world, uint32_t handle)
{
	struct envelope e = { .sender = S("alice@postern.test"), .received_at = 1700000000000000, .priority = 5 };
	struct envelope_rcpt r = { .address = S("x@sink.test"), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1 };
	struct buf b = BUF_INIT(4096);
	struct msgid id = world->next_id;

	world->next_id.seq++;
	assert_true(envelope_put(&b, &e) && envelope_put_rcpt(&b, &r));
	SEND(world->smtpd, Q_SUBMIT, handle, -1, q_submit, id, buf_slice(&b), S("Subject: now\r\n\r\n"));
	buf_free(&b);
	return id;
}

/* shows: RFC3461 5.2.1/1, RFC3461 5.2.2/1, RFC3461 5.2.2/2, RFC3461 5.2.6/1, RFC3461 6.2/1, RFC3461 6.3/1, RFC3461 6.3/2
 * shows: RFC3461 5.2.2/6, RFC8689 5/1, RFC3461 5.2.2/4, RFC8689 4.2.1/5 */
static void
senders_are_told_what_they_asked_for(void **state)
{
	struct world *world = *state;
	struct d_job job;
	struct job_rcpt rcpt = { 0 };
	struct rd rows;
	uint32_t remote, local, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	/* SUCCESS, and the next server knows nothing of DSN: "relayed". What was asked goes with the job. */
	expect_accepted(world, world->smtpd, 1, submit_notify(world, 1, ENVELOPE_RET_FULL | ENVELOPE_TRUSTED, NOTIFY_SUCCESS,
	    "Subject: one\r\n\r\nbody\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	assert_true(slice_eq(job.envid, S("QQ+2B1")));
	assert_int_equal(job.flags, ENVELOPE_RET_FULL | ENVELOPE_TRUSTED);
	rows = (struct rd){ job.rcpts, false };
	assert_true(job_rcpt_next(&rows, &rcpt));
	assert_int_equal(rcpt.notify, NOTIFY_SUCCESS);
	assert_true(slice_eq(rcpt.orcpt, S("rfc822;Mr+2BX@Sink.test")));
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_first_job(world, ROLE_LOCAL, "alice", &local, &job);
	assert_int_equal(job.sender.n, 0);
	assert_true(holds(job.content, "Original-Envelope-Id: QQ+1\r\n"));
	assert_true(holds(job.content, "Original-Recipient: rfc822; Mr+X@Sink.test\r\n"));
	assert_true(holds(job.content, "Action: relayed\r\nStatus: 2.1.5\r\n"));
	assert_false(holds(job.content, "body\r\n"));		/* of what was delivered only the header is returned */
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	/* NEVER: it fails, and nobody hears of it. The next message behind it finds nothing in its way. */
	expect_accepted(world, world->smtpd, 2, submit_notify(world, 2, 0, NOTIFY_NEVER, "Subject: two\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	/* Success is not told to a sender that may be forged. */
	expect_accepted(world, world->smtpd, 7, submit_notify(world, 7, 0, NOTIFY_SUCCESS, "Subject: seven\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	expect_accepted(world, world->smtpd, 3, submit_notify(world, 3, 0, NOTIFY_SUCCESS, "Subject: three\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	/* SUCCESS alone does not ask for failures either. */
	answer(world->deliver, remote, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	/* RET=FULL: what failed comes back whole. */
	expect_accepted(world, world->smtpd, 4,
	    submit_notify(world, 4, ENVELOPE_RET_FULL, NOTIFY_FAILURE, "Subject: four\r\n\r\nthe body\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, local, &job);
	assert_true(holds(job.content, "Content-Type: message/rfc822\r\n"));
	assert_true(holds(job.content, "Subject: four\r\n\r\nthe body\r\n"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	/* RFC 8689 5: never more than the header of what requires TLS, and the report requires it too. */
	expect_accepted(world, world->smtpd, 6, submit_notify(world, 6, ENVELOPE_RET_FULL | ENVELOPE_REQUIRETLS, NOTIFY_FAILURE,
	    "Subject: six\r\n\r\nsecret\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 0, "5.7.10", "no TLS");
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, local, &job);
	assert_int_equal(job.flags, ENVELOPE_BOUNCE | ENVELOPE_REQUIRETLS);
	assert_true(holds(job.content, "Content-Type: text/rfc822-headers\r\n"));
	assert_false(holds(job.content, "secret"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	/* Nothing was asked for: success is not told. */
	expect_accepted(world, world->smtpd, 7, submit_notify(world, 7, 0, 0, "Subject: seven\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	expect_accepted(world, world->smtpd, 5, submit_notify(world, 5, 0, NOTIFY_FAILURE, "Subject: five\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	expect_empty(world);
	end(world, 0);
}

/* A report about what requires TLS, on a way that has none (RFC 8689 5), and one as urgent as what it is about (RFC 6710 4.6).
 * What no server took, since one refuses all, is told with that server's words (RFC 3461 6.3 h, i).
 * shows: RFC8689 5/2, RFC6710 4.6/1, RFC3461 6.1/1, RFC3461 6.1/2, RFC3461 6.1/3, RFC3461 6.2/1, RFC3461 6.3/8, RFC3461 6.3/9
 * shows: RFC6533 4.5/1 */
static void
reports_go_the_way_of_the_message(void **state)
{
	struct world *world = *state;
	struct d_job job;
	struct job_rcpt rcpt = { 0 };
	uint32_t remote, back, number;
	struct frame f;
	struct rd rows;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1, submit_notify(world, 1, ENVELOPE_RET_FULL | ENVELOPE_REQUIRETLS, NOTIFY_FAILURE,
	    "Subject: secret\r\n\r\nbody\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 0, "5.7.10", "no TLS");
	answer_route(world, "alice@postern.test", "smtp", "back.test");
	number = expect_first_job(world, ROLE_DELIVER, "back.test", &back, &job);
	assert_int_equal(job.flags, ENVELOPE_BOUNCE | ENVELOPE_REQUIRETLS);
	assert_int_equal((int8_t)job.priority, 0);
	assert_int_equal(job.sender.n + job.envid.n, 0);
	rows = (struct rd){ job.rcpts, false };
	assert_true(job_rcpt_next(&rows, &rcpt));
	assert_int_equal(rcpt.notify + rcpt.orcpt.n, 0);
	assert_true(holds(job.content, "Status: 5.7.10\r\nDiagnostic-Code: X-Postern; no TLS\r\n"));	/* no Remote-MTA */
	assert_true(holds(job.content, "nothing of it is attached"));
	assert_false(holds(job.content, "Subject: secret"));
	assert_false(holds(job.content, "rfc822-headers"));
	answer(world->deliver, back, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	/* The server wants nothing of us. */
	SEND(world->deliver, D_CLOSED, remote, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0 });
	expect_accepted(world, world->smtpd, 2, submit_urgent(world, 2));
	f = next_frame(world, world->deliver, ROLE_DELIVER, D_OPEN);
	SEND(world->deliver, D_CLOSED, f.handle, -1, d_closed, SESSION_PERMANENT, 554, S("5.7.1"), S("not you"),
	    S("mx.sink.test"), { 4, { 192, 0, 2, 1 } });
	answer_route(world, "alice@postern.test", "smtp", "back.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, back, &job);
	assert_int_equal((int8_t)job.priority, 5);
	assert_true(holds(job.content, "Remote-MTA: dns; mx.sink.test\r\nDiagnostic-Code: smtp; 554 5.7.1 not you\r\n"));
	answer(world->deliver, back, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	/* 8-bit content whole: in base64 to another server, as it is to a mailbox. */
	for (unsigned here = 0; here < 2; here++) {
		expect_accepted(world, world->smtpd, 3 + here,
		    submit_notify(world, 3 + here, ENVELOPE_RET_FULL | ENVELOPE_8BITMIME,
		    NOTIFY_FAILURE, "Subject: x\r\n\r\ngr\xfc\xdf" "e\r\n"));
		f = next_frame(world, world->deliver, ROLE_DELIVER, D_OPEN);
		SEND(world->deliver, D_CLOSED, f.handle, -1, d_closed, SESSION_PERMANENT, 554, S("5.7.1"), S("not you"),
		    S("mx.sink.test"), { 4, { 192, 0, 2, 1 } });
		answer_route(world, "alice@postern.test", here == 0 ? "smtp" : "local", here == 0 ? "back.test" : "alice");
		if (here == 1)
			back = expect_session(world, world->local, ROLE_LOCAL, "alice");
		number = expect_job(world, here == 0 ? world->deliver : world->local, here == 0 ? ROLE_DELIVER : ROLE_LOCAL, back,
		    &job);
		assert_int_equal(job.flags, ENVELOPE_BOUNCE | (here == 0 ? 0 : ENVELOPE_8BITMIME));
		assert_true(holds(job.content, here == 0 ?
		    "Content-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQpncvzfZQ0K\r\n" :
		    "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\ngr\xfc\xdf" "e\r\n"));
		answer(here == 0 ? world->deliver : world->local, back, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	}
	/* RFC 6533 4.5: UTF-8 that stands in our trace field only. */
	expect_accepted(world, world->smtpd, 5, submit_notify(world, 5, ENVELOPE_RET_FULL | ENVELOPE_SMTPUTF8, NOTIFY_FAILURE,
	    "Received: for <\xc3\xa4@sink.test>\r\n\r\n"));
	f = next_frame(world, world->deliver, ROLE_DELIVER, D_OPEN);
	SEND(world->deliver, D_CLOSED, f.handle, -1, d_closed, SESSION_PERMANENT, 554, S("5.7.1"), S("not you"),
	    S("mx.sink.test"), { 4, { 192, 0, 2, 1 } });
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, back, &job);
	assert_int_equal(job.flags, ENVELOPE_BOUNCE | ENVELOPE_8BITMIME);
	assert_true(holds(job.content, "Content-Type: message/global\r\n"));
	assert_true(holds(job.content, "Content-Transfer-Encoding: 8bit\r\n\r\nReceived: for <\xc3\xa4@sink.test>\r\n"));
	answer(world->local, back, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
}

static int64_t
wall_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Mail that is held back waits, whatever else goes to the same place, and an operator's flush does not let it go.
 * shows: RFC4865 4.2/5, RFC4865 4.2/6, RFC4865 5.1/1 */
static void
mail_is_held_back(void **state)
{
	struct world *world = *state;
	struct envelope e = { .sender = S("alice@postern.test"), .received_at = 1700000000000000,
	    .hold_until = wall_us() + 2500000, .hold_request = S("for;2") };
	struct envelope_rcpt r = { .address = S("x@sink.test"), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1 };
	struct msgid held, other;
	struct buf b = BUF_INIT(4096);
	uint32_t session, number, local;
	struct d_job job;
	struct a_end end_row;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	held = world->next_id;
	world->next_id.seq++;
	assert_true(envelope_put(&b, &e) && envelope_put_rcpt(&b, &r));
	SEND(world->smtpd, Q_SUBMIT, 1, -1, q_submit, held, buf_slice(&b), S("Subject: later\r\n\r\n"));
	buf_free(&b);
	expect_accepted(world, world->smtpd, 1, held);
	other = submit(world, world->smtpd, 2, "Subject: now\r\n\r\n");
	expect_accepted(world, world->smtpd, 2, other);
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	assert_true(msgid_eq(job.id, other));
	SEND(world->control, A_REQUEST, 6, -1, a_request, ADMIN_QUEUE_FLUSH, S(""), S(""), 0, 10);
	GET(next_frame(world, world->control, ROLE_CONTROL, A_END), a_end, &end_row);
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	for (;;) {	/* the flush may have cost it its session */
		struct frame f = { .type = M_CONFIG };

		assert_int_equal(frame_read_blocking(world->deliver, ROLE_DELIVER, ROLE_QUEUE, &world->in, &f), RC_OK);
		if (f.type == D_IDLE)
			SEND(world->deliver, D_CLOSED, f.handle, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0 });
		if (f.type == D_OPEN) {
			session = f.handle;
			SEND(world->deliver, D_PULL, session, -1, d_pull, 0);
		}
		if (f.type == D_JOB) {
			GET(f, d_job, &job);
			break;
		}
	}
	assert_true(msgid_eq(job.id, held));
	assert_true(wall_us() >= e.hold_until);
	answer(world->deliver, session, job.job, JOB_FAILED, 550, "5.1.1", "no");
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_first_job(world, ROLE_LOCAL, "alice", &local, &job);
	assert_true(holds(job.content, "Arrival-Date: Tue, 14 Nov 2023"));
	assert_true(holds(job.content, "Future-Release-Request: for;2\r\n"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	end(world, 0);
}

static struct msgid
submit_by(struct world *world, uint32_t handle, uint32_t flags, uint8_t notify, int64_t by_us)
{
	struct envelope e = { .flags = flags, .sender = S("alice@postern.test"), .received_at = wall_us(),
	    .deliver_by = by_us == 0 ? 0 : wall_us() + by_us };
	struct envelope_rcpt r = { .address = S("x@sink.test"), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1, .notify = notify };
	struct buf b = BUF_INIT(4096);
	struct msgid id = world->next_id;

	world->next_id.seq++;
	assert_true(envelope_put(&b, &e) && envelope_put_rcpt(&b, &r));
	SEND(world->smtpd, Q_SUBMIT, handle, -1, q_submit, id, buf_slice(&b), S("Subject: by\r\n\r\nbody\r\n"));
	buf_free(&b);
	return id;
}

/* The report that comes to alice's mailbox next, on a session that may be open. */
static uint32_t
report_for_alice(struct world *world, uint32_t *local, struct d_job *ret_job)
{
	answer_route(world, "alice@postern.test", "local", "alice");
	if (*local == 0)
		*local = expect_session(world, world->local, ROLE_LOCAL, "alice");
	return expect_job(world, world->local, ROLE_LOCAL, *local, ret_job);
}

/* BY with R: put off once, and at its time it comes back. With N its sender is told, once, and it is tried on; also after a
 * crash. shows: RFC2852 4.1.3/1, RFC2852 4.1.3/2, RFC2852 4.1.3/3, RFC2852 5/1 */
static void
mail_has_its_time(void **state)
{
	struct world *world = *state;
	uint32_t remote, local = 0, number;
	struct d_job job;
	struct a_end end_row;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1, submit_by(world, 1, 0, 0, 3000000));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	assert_true(job.deliver_by > (uint64_t)wall_us());
	answer(world->deliver, remote, number, JOB_DEFERRED, 451, "4.2.0", "later");
	SEND(world->deliver, D_CLOSED, remote, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0 });
	number = report_for_alice(world, &local, &job);
	assert_true(holds(job.content, "Deliver-By-Date: "));
	assert_true(holds(job.content, "Action: failed\r\nStatus: 5.4.7\r\n"));
	assert_true(holds(job.content, "451 4.2.0 later"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	SEND(world->local, D_CLOSED, local, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0 });
	local = 0;
	/* N */
	expect_accepted(world, world->smtpd, 2, submit_by(world, 2, ENVELOPE_BY_NOTIFY | ENVELOPE_TRUSTED, 0, 1000000));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	answer(world->deliver, remote, number, JOB_DEFERRED, 451, "4.2.0", "later");
	number = report_for_alice(world, &local, &job);
	assert_true(holds(job.content, "Action: delayed\r\nStatus: 4.4.7\r\n"));
	assert_true(holds(job.content, "Will-Retry-Until: "));
	assert_true(holds(job.content, "Subject: by\r\n"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	/* It was told: what comes after a crash says nothing of it, though its time is over. */
	expect_accepted(world, world->smtpd, 3, submit(world, world->smtpd, 3, "Subject: behind\r\n\r\n"));
	end(world, SIGKILL);
	world->delay_notice = 1000;
	start(world);
	learn_ids(world, world->smtpd);
	answer_route(world, "x@sink.test", "smtp", "sink.test");
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	assert_true(holds(job.content, "Subject: behind\r\n"));
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	SEND(world->control, A_REQUEST, 6, -1, a_request, ADMIN_QUEUE_FLUSH, S(""), S(""), 0, 10);
	GET(next_frame(world, world->control, ROLE_CONTROL, A_END), a_end, &end_row);
	answer_route(world, "x@sink.test", "smtp", "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	assert_true(holds(job.content, "Subject: by\r\n"));
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	/* The answer comes on another line than the question: what lies behind the mark of the first has seen it. */
	expect_accepted(world, world->smtpd, 4, submit(world, world->smtpd, 4, "x: y\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	assert_true(holds(job.content, "x: y"));
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	expect_empty(world);
	end(world, 0);
}

/* "relayed" is told of each hop when BY asks for a trace, and with N of the last one that knows of the time; of what fails before
 * its time, that it failed.
 * shows: RFC2852 4.1.2/1, RFC2852 4.1.4/4, RFC2852 4.1.4.2/1 */
static void
mail_with_a_time_is_traced(void **state)
{
#define RELAYED "Action: relayed\r\nStatus: 2.1.5\r\n"
#define FAILED "Action: failed\r\nStatus: 5.1.1\r\n"
	static const struct {
		uint32_t flags;
		uint8_t notify, passed;
		int64_t by_s;
		const char *told;	/* NULL: nothing */
	} cases[] = {
		{ ENVELOPE_BY_NOTIFY, 0, JOB_PASSED_BY, 100, NULL },
		{ ENVELOPE_BY_NOTIFY, NOTIFY_NEVER, 0, 100, NULL },
		{ ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE, NOTIFY_NEVER, 0, 100, NULL },
		{ ENVELOPE_BY_NOTIFY, 0, JOB_PASSED_DSN, -1, NULL },
		{ 0, 0, JOB_PASSED_BY, 100, NULL },
		{ ENVELOPE_BY_NOTIFY, 0, JOB_PASSED_DSN, 100, RELAYED },
		{ ENVELOPE_BY_NOTIFY, NOTIFY_FAILURE, 0, 100, RELAYED },
		{ ENVELOPE_BY_TRACE, 0, JOB_PASSED_BY | JOB_PASSED_DSN, 100, RELAYED },
		{ ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE, NOTIFY_FAILURE, JOB_PASSED_BY | JOB_PASSED_DSN, -1, RELAYED },
		{ 0, 0, JOB_PASSED_BY, 100, FAILED },
		{ ENVELOPE_BY_NOTIFY, NOTIFY_FAILURE, 0, 100, FAILED },
	};
	struct world *world = *state;
	uint32_t remote = 0, local = 0, number;
	struct d_job job;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool failed = cases[i].told != NULL && strcmp(cases[i].told, FAILED) == 0;

		expect_accepted(world, world->smtpd, i,
		    submit_by(world, i, cases[i].flags | ENVELOPE_TRUSTED, cases[i].notify, cases[i].by_s * 1000000));
		if (remote == 0)
			remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
		number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
		answer_passed(world->deliver, remote, number, failed ? JOB_FAILED : JOB_DELIVERED, failed ? 550 : 250,
		    failed ? "5.1.1" : "2.1.5", "so", cases[i].passed);
		if (cases[i].told == NULL)
			continue;
		number = report_for_alice(world, &local, &job);
		assert_true(holds(job.content, cases[i].told));
		assert_true(holds(job.content, "Deliver-By-Date: "));
		answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	}
	/* What is on the way to the disk is there when a mail behind it is. */
	expect_accepted(world, world->smtpd, 99, submit(world, world->smtpd, 99, "x: y\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	expect_empty(world);
	end(world, 0);
}

/* The words of this field, which must be there. */
static struct slice
field_of(struct slice in, const char *name)
{
	const uint8_t *at = memmem(in.p, in.n, name, strlen(name));
	struct slice rest;

	assert_non_null(at);
	rest = slice_from(in, (size_t)(at - in.p) + strlen(name));
	return slice_first(rest, slice_find(rest, '\r'));
}

/* Both wait for as long; whoever asked for failures alone is not told of it.
 * shows: RFC3461 5.2.5/1 */
static void
delays_are_told_to_who_asked(void **state)
{
	struct world *world = *state;
	uint32_t remote, local = 0, number;
	struct d_job job;

	NEEDS_ROOT(world);
	end(world, SIGKILL);
	world->delay_notice = 1000;
	start(world);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1,
	    submit_notify(world, 1, ENVELOPE_TRUSTED, NOTIFY_FAILURE, "Subject: failures only\r\n\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	answer(world->deliver, remote, number, JOB_DEFERRED, 451, "4.2.0", "later");
	expect_accepted(world, world->smtpd, 2,
	    submit_notify(world, 2, ENVELOPE_TRUSTED, NOTIFY_FAILURE | NOTIFY_DELAY, "Subject: delays too\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DEFERRED, 451, "4.2.0", "later");
	SEND(world->deliver, D_CLOSED, remote, -1, d_closed, SESSION_DONE, 0, S(""), S(""), S(""), { 0 });
	/* The one that was put off first would have been told of first. */
	number = report_for_alice(world, &local, &job);
	assert_true(holds(job.content, "Action: delayed\r\n"));
	assert_true(holds(job.content, "Subject: delays too\r\n"));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	/* With R it is not tried for longer than its sender said. */
	expect_accepted(world, world->smtpd, 3, submit_by(world, 3, ENVELOPE_TRUSTED, 0, 100000000));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &remote, &job);
	answer(world->deliver, remote, number, JOB_DEFERRED, 451, "4.2.0", "later");
	number = report_for_alice(world, &local, &job);
	assert_true(holds(job.content, "Action: delayed\r\n"));
	assert_true(slice_eq(field_of(job.content, "\r\nWill-Retry-Until: "), field_of(job.content, "\r\nDeliver-By-Date: ")));
	answer(world->local, local, number, JOB_DELIVERED, 0, "2.1.5", "delivered");
	end(world, SIGKILL);
}

/* The postmaster is elsewhere, and his host sent back what it had got from us: that it refuses it now is told to nobody, or
 * it would get a report about its own refusal of a report, for ever. */
static void
a_postmaster_elsewhere_makes_no_loop(void **state)
{
	struct world *world = *state;
	struct d_job job;
	uint32_t session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	/* A bounce that cannot be delivered is told to him over SMTP. */
	expect_accepted(world, world->smtpd, 1, submit_from(world, world->smtpd, 1, "", "x@sink.test", "Subject: one\r\n\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	answer(world->deliver, session, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	answer_route_as(world, "postmaster@mx.postern.test", "smtp", "sink.test", "Ops@sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(holds(job.rcpts, "Ops@sink.test"));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	/* It comes back as a new message. */
	expect_accepted(world, world->smtpd, 2, submit_from(world, world->smtpd, 2, "", "ops@sink.test", "Subject: two\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	answer(world->deliver, session, number, JOB_FAILED, 554, "5.4.6", "a loop");
	answer_route_as(world, "postmaster@mx.postern.test", "smtp", "sink.test", "Ops@sink.test");
	expect_accepted(world, world->smtpd, 3, submit(world, world->smtpd, 3, "Subject: three\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(holds(job.content, "Subject: three\r\n"));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
}

/* What the router says becomes the envelope of a report: words that no envelope can hold cost it its line, and nothing else. */
static void
a_router_that_breaks_lines_is_cut_off(void **state)
{
	static char longest[1100];
	const char *const bad[][3] = { { "a@b.test\r\nBcc: c@d.test", "local", "alice" }, { "", "local", "a\nb" },
	    { longest, "local", "alice" } };
	struct world *world = *state;
	struct d_job job;
	uint32_t session, number;

	NEEDS_ROOT(world);
	memset(longest, 'x', sizeof longest - 1);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1, submit(world, world->smtpd, 1, "Subject: one\r\n\r\nbody\r\n"));
	number = expect_first_job(world, ROLE_DELIVER, "sink.test", &session, &job);
	answer(world->deliver, session, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		answer_route_as(world, "alice@postern.test", bad[i][1], bad[i][2], bad[i][0]);
		expect_eof(world->router);
		(void)close(world->router);
		world->router = make_line(world, ROLE_ROUTER, 0);
	}
	answer_route(world, "alice@postern.test", "local", "alice");
	number = expect_first_job(world, ROLE_LOCAL, "alice", &session, &job);
	answer(world->local, session, number, JOB_DELIVERED, 0, "2.0.0", "ok");
	expect_empty(world);
	end(world, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(failures_are_told_to_the_sender),
		WORLD_TEST(failures_of_one_attempt_are_told_in_one_report),
		WORLD_TEST(senders_are_told_what_they_asked_for),
		WORLD_TEST(reports_go_the_way_of_the_message),
		WORLD_TEST(mail_is_held_back),
		WORLD_TEST(mail_has_its_time),
		WORLD_TEST(mail_with_a_time_is_traced),
		WORLD_TEST(delays_are_told_to_who_asked),
		WORLD_TEST(a_postmaster_elsewhere_makes_no_loop),
		WORLD_TEST(a_router_that_breaks_lines_is_cut_off),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
