/* tests/queue/test_room.c -- the real postern-queue, sandboxed, on a real spool. The test plays master and the rooms
 * around it, each on a blocking descriptor: mail in, jobs out, results, bounces, crashes, and rooms that break the rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/admin.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/envelope.h"
#include "common/ipc/peer.h"
#include "common/job.h"
#include "queue/draft.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UID = 64323, PATIENCE = 20 };

struct world {
	int master, smtpd, router, deliver, local, control;	/* our ends */
	pid_t pid;
	char folder[64], spool[96];
	struct msgid next_id;
	struct buf in;
	uint32_t max_messages;		/* 0: the default */
	uint64_t delay_notice;		/* milliseconds; 0: the default */
};

static void
send_frame(int fd, enum ipc_type type, uint32_t handle, const struct wr *w, int send_fd)
{
	assert_false(w->bad);
	assert_int_equal(frame_write_blocking(fd, type, handle, slice_of(w->p, w->n), send_fd), RC_OK);
}

/* SEND(fd, M_GO, 0, -1, m_go, generation, uid, ...) */
#define SEND(fd, TYPE, handle, send_fd, lower, ...)					\
	do {										\
		struct lower m_ = { __VA_ARGS__ };					\
		static uint8_t space_[IPC_BODY_MAX];					\
		struct wr w_ = { space_, 0, sizeof space_, false };			\
		(void)lower##_put(&w_, &m_);						\
		send_frame((fd), TYPE, (handle), &w_, (send_fd));			\
	} while (0)

/* What comes unasked is passed over, unless it is what we wait for. */
static struct frame
next_frame(struct world *world, int fd, enum role us, enum ipc_type type)
{
	struct frame f = { .type = M_CONFIG };

	do
		assert_int_equal(frame_read_blocking(fd, us, ROLE_QUEUE, &world->in, &f), RC_OK);
	while (f.type != type && (f.type == Q_STATE || f.type == Q_IDS || f.type == Q_CREDIT || f.type == D_IDLE));
	assert_int_equal(f.type, type);
	return f;
}

#define GET(frame, lower, ret_m)							\
	do {										\
		struct rd r_ = { (frame).body, false };					\
		memset((ret_m), 0, sizeof *(ret_m));					\
		assert_true(lower##_get(&r_, (ret_m)));					\
	} while (0)

static void
expect_eof(int fd)
{
	uint8_t space[4096];
	ssize_t n;

	while ((n = read(fd, space, sizeof space)) > 0)
		;
	assert_true(n == 0);
}

static void
send_config(struct world *world)
{
	struct conf *c = conf_new();
	struct buf blob = BUF_INIT(1 << 20);
	uint8_t *space = malloc(1 << 20);
	struct wr w = { space, 0, 1 << 20, false };

	assert_non_null(c);
	assert_non_null(space);
	c->generation = 1;
	free(c->global.hostname);
	c->global.hostname = strdup("mx.postern.test");
	c->queue.allow_unsafe_fs = true;	/* the test's folder may be on anything */
	c->queue.min_free = 0;
	c->queue.segment_size = 1 << 20;
	c->queue.big_message = 128 * 1024;
	c->queue.idle_session = 1500;
	if (world->delay_notice != 0)
		c->queue.delay_notice = world->delay_notice;
	if (world->max_messages != 0)
		c->queue.max_messages = world->max_messages;
	assert_true(conf_encode(c, &blob));
	struct m_config m = { 1, (uint32_t)buf_len(&blob), 0, buf_slice(&blob) };
	assert_true(m_config_put(&w, &m));
	send_frame(world->master, M_CONFIG, 0, &w, -1);
	free(space);
	buf_free(&blob);
	conf_unref(c);
}

static int
make_line(struct world *world, enum role role, unsigned index)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	SEND(world->master, M_LINE, 0, pair[1], m_line, (uint8_t)role, (uint16_t)index);
	(void)close(pair[1]);
	return pair[0];
}

static void
start(struct world *world)
{
	const char *build = getenv("builddir");
	struct timeval patience = { .tv_sec = PATIENCE };
	struct m_ready ready;
	char program[4096];
	int pair[2], fd;

	(void)snprintf(program, sizeof program, "%s/queue/postern-queue", build == NULL ? "." : build);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		if (dup2(pair[1], 3) == 3)
			(void)execl(program, "postern-queue", "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	world->master = pair[0];
	buf_init(&world->in, IPC_FRAME_MAX);
	send_config(world);
	fd = open(world->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	SEND(world->master, M_FILE, 0, fd, m_file, 1, FILE_SPOOL, S("spool"), S(""));
	(void)close(fd);
	world->smtpd = make_line(world, ROLE_SMTPD, 0);
	world->router = make_line(world, ROLE_ROUTER, 0);
	world->deliver = make_line(world, ROLE_DELIVER, 0);
	world->local = make_line(world, ROLE_LOCAL, 0);
	world->control = make_line(world, ROLE_CONTROL, 0);
	SEND(world->master, M_GO, 0, -1, m_go, 1, UID, UID, slice_str(world->folder));
	GET(next_frame(world, world->master, ROLE_MASTER, M_READY), m_ready, &ready);
	assert_int_equal(ready.status, RC_OK);
}

/* Leaves the spool. */
static void
end(struct world *world, int signal_number)
{
	int status;

	if (signal_number != 0)
		assert_int_equal(kill(world->pid, signal_number), 0);
	(void)close(world->master);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	if (signal_number == 0) {
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	(void)close(world->smtpd);
	(void)close(world->router);
	(void)close(world->deliver);
	(void)close(world->local);
	(void)close(world->control);
	buf_free(&world->in);
}

static int
setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	if (world == NULL)
		return -1;
	*state = world;
	if (geteuid() != 0)
		return 0;
	(void)snprintf(world->folder, sizeof world->folder, "/tmp/postern-queue-XXXXXX");
	if (mkdtemp(world->folder) == NULL)
		return -1;
	(void)snprintf(world->spool, sizeof world->spool, "%s-spool", world->folder);
	if (chmod(world->folder, 0555) == -1 || mkdir(world->spool, 0700) == -1 || chown(world->spool, UID, UID) == -1)
		return -1;
	start(world);
	return 0;
}

static int
teardown(void **state)
{
	struct world *world = *state;
	char command[160];
	pid_t pid;

	if (world->pid != 0) {
		(void)rmdir(world->folder);
		(void)snprintf(command, sizeof command, "%s", world->spool);
		pid = fork();
		if (pid == 0) {
			(void)execlp("rm", "rm", "-rf", command, (char *)NULL);
			_exit(127);
		}
		(void)waitpid(pid, NULL, 0);
	}
	free(world);
	return 0;
}

/* --- smtpd --- */

static void
learn_ids(struct world *world, int smtpd)
{
	struct q_ids m;

	GET(next_frame(world, smtpd, ROLE_SMTPD, Q_IDS), q_ids, &m);
	world->next_id = m.first;
}

static void
make_envelope(struct buf *b, const char *sender, const char *rcpt)
{
	struct envelope e = { .sender = slice_str(sender), .received_at = 1700000000000000, .proto = S("ESMTP") };
	struct envelope_rcpt r = { .address = slice_str(rcpt), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1 };

	assert_true(envelope_put(b, &e));
	assert_true(envelope_put_rcpt(b, &r));
}

static struct msgid
submit_from(struct world *world, int smtpd, uint32_t handle, const char *sender, const char *rcpt, const char *content)
{
	struct buf b = BUF_INIT(4096);
	struct msgid id = world->next_id;

	world->next_id.seq++;
	make_envelope(&b, sender, rcpt);
	SEND(smtpd, Q_SUBMIT, handle, -1, q_submit, id, buf_slice(&b), slice_str(content));
	buf_free(&b);
	return id;
}

static struct msgid
submit(struct world *world, int smtpd, uint32_t handle, const char *content)
{
	return submit_from(world, smtpd, handle, "alice@postern.test", "x@sink.test", content);
}

static void
expect_accepted(struct world *world, int smtpd, uint32_t handle, struct msgid id)
{
	struct frame f = next_frame(world, smtpd, ROLE_SMTPD, Q_ACCEPTED);
	struct q_accepted m;

	assert_int_equal(f.handle, handle);
	GET(f, q_accepted, &m);
	assert_true(msgid_eq(m.id, id));
}

/* --- carriers --- */

static uint32_t
expect_session(struct world *world, int carrier, enum role us, const char *nexthop)
{
	struct frame f = next_frame(world, carrier, us, D_OPEN);
	uint32_t handle = f.handle;
	struct d_open m;

	GET(f, d_open, &m);
	assert_true(slice_eq(m.nexthop, slice_str(nexthop)));
	SEND(carrier, D_PULL, handle, -1, d_pull, 0);
	return handle;
}

static uint32_t
expect_job(struct world *world, int carrier, enum role us, uint32_t session, struct d_job *ret_m)
{
	struct frame f = next_frame(world, carrier, us, D_JOB);

	assert_int_equal(f.handle, session);
	GET(f, d_job, ret_m);
	return ret_m->job;
}

static void
answer(int carrier, uint32_t session, uint32_t job, enum job_status status, uint16_t code, const char *enhanced,
    const char *text)
{
	struct buf rows = BUF_INIT(4096);

	assert_true(job_result_put(&rows, &(struct job_result){ 0, (uint8_t)status, code, slice_str(enhanced),
	    slice_str(text) }));
	SEND(carrier, D_RESULT, session, -1, d_result, job, buf_slice(&rows), S("mx.sink.test"), { 4, { 192, 0, 2, 1 } }, 25,
	    S(""), 1, 0);
	buf_free(&rows);
}

static void
answer_route_as(struct world *world, const char *to, const char *transport, const char *nexthop, const char *as)
{
	struct frame f = next_frame(world, world->router, ROLE_ROUTER, R_ROUTE);
	uint32_t handle = f.handle;
	struct r_route m;

	GET(f, r_route, &m);
	assert_true(slice_eq(m.to, slice_str(to)));
	SEND(world->router, R_VERDICT, handle, -1, r_verdict, VERDICT_ACCEPT, 0, S(""), S(""), S("test"), slice_str(as),
	    slice_str(transport), slice_str(nexthop), 1);
}

static void
answer_route(struct world *world, const char *to, const char *transport, const char *nexthop)
{
	answer_route_as(world, to, transport, nexthop, "");
}

/* --- operators --- */

/* Rows of a listing; *ret_row holds the last one. */
static unsigned
list(struct world *world, struct buf *ret_row)
{
	unsigned n = 0;
	struct frame f;
	struct a_row row;
	struct a_end end;

	SEND(world->control, A_REQUEST, 5, -1, a_request, ADMIN_QUEUE_LIST, S(""), S(""), 0, 100);
	for (;;) {
		assert_int_equal(frame_read_blocking(world->control, ROLE_CONTROL, ROLE_QUEUE, &world->in, &f), RC_OK);
		if (f.type == A_END)
			break;
		GET(f, a_row, &row);
		buf_clear(ret_row);
		assert_true(buf_put_slice(ret_row, row.row));
		n++;
	}
	GET(f, a_end, &end);
	assert_int_equal(end.status, RC_OK);
	return n;
}

static void
expect_empty(struct world *world)
{
	struct buf row = BUF_INIT(IPC_FRAME_MAX);

	assert_int_equal(list(world, &row), 0);
	buf_free(&row);
}

/* --- tests --- */

#define NEEDS_ROOT(world)			\
	do {					\
		if ((world)->pid == 0)		\
			skip();			\
	} while (0)

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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(msgid_eq(job.id, id));
	assert_true(slice_eq(job.content, S("Subject: one\r\n\r\nx\r\n")));
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "other.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
	assert_true(msgid_eq(job.id, id));
	assert_true(slice_eq(job.content, S("Subject: one\r\n\r\nx\r\n")));
	answer(world->deliver, session, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	/* The result is durable together with the next mail at the latest. */
	other = submit(world, world->smtpd, 1, "Subject: two\r\n\r\nx\r\n");
	expect_accepted(world, world->smtpd, 1, other);
	end(world, SIGKILL);
	start(world);
	answer_route(world, "x@sink.test", "smtp", "sink.test");
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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

static bool
holds(struct slice in, const char *what)
{
	return memmem(in.p, in.n, what, strlen(what)) != NULL;
}

/* shows: RFC3461 5.2/1, RFC3461 5.2/2, RFC3461 5.2.2/5
 * shows: RFC5321 2.1/1, RFC5321 3.3/9, RFC5321 3.6.3/1, RFC5321 3.6.3/3, RFC5321 3.6.3/4, RFC5321 4.1.1.4/9
 * shows: RFC5321 4.4/16, RFC5321 4.4/24, RFC5321 4.5.4/2, RFC5321 4.5.5/2 */
static void
failures_are_told_to_the_sender(void **state)
{
	struct world *world = *state;
	struct d_job job;
	uint32_t remote, session, number;

	NEEDS_ROOT(world);
	learn_ids(world, world->smtpd);
	expect_accepted(world, world->smtpd, 1, submit(world, world->smtpd, 1, "Subject: one\r\n\r\nbody\r\n"));
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 550, "5.1.1", "nobody here");
	answer_route(world, "alice@postern.test", "local", "alice");
	session = expect_session(world, world->local, ROLE_LOCAL, "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, session, &job);
	assert_int_equal(job.sender.n, 0);
	assert_true(holds(job.rcpts, "alice@postern.test"));
	assert_true(holds(job.content, "Content-Type: multipart/report; report-type=delivery-status;"));
	assert_true(holds(job.content, "Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n"));
	assert_true(holds(job.content, "Subject: one\r\n"));
	assert_false(holds(job.content, "body\r\n\r\n"));
	/* It is not deliverable either: the postmaster is told; and then nobody. */
	answer(world->local, session, number, JOB_FAILED, 0, "5.2.1", "no mailbox");
	answer_route(world, "postmaster@mx.postern.test", "local", "root");
	session = expect_session(world, world->local, ROLE_LOCAL, "root");
	number = expect_job(world, world->local, ROLE_LOCAL, session, &job);
	assert_true(holds(job.content, "Subject: Undeliverable bounce\r\n"));
	answer(world->local, session, number, JOB_FAILED, 0, "5.2.1", "no mailbox");
	/* Its mark is on the way to the disk: a mail behind it is durable later. The session waits for it. */
	expect_accepted(world, world->smtpd, 2, submit(world, world->smtpd, 2, "x: y\r\n\r\n"));
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.0.0", "ok");
	expect_empty(world);
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

/* shows: RFC3461 5.2.1/1, RFC3461 5.2.2/1, RFC3461 5.2.2/2, RFC3461 5.2.6/1, RFC3461 6.2/1, RFC3461 6.3/1, RFC3461 6.3/2,
 * shows: RFC8689 5/1, RFC3461 5.2.2/4, RFC8689 4.2.1/5 */
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
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	assert_true(slice_eq(job.envid, S("QQ+2B1")));
	assert_int_equal(job.flags, ENVELOPE_RET_FULL | ENVELOPE_TRUSTED);
	rows = (struct rd){ job.rcpts, false };
	assert_true(job_rcpt_next(&rows, &rcpt));
	assert_int_equal(rcpt.notify, NOTIFY_SUCCESS);
	assert_true(slice_eq(rcpt.orcpt, S("rfc822;Mr+2BX@Sink.test")));
	answer(world->deliver, remote, number, JOB_DELIVERED, 250, "2.1.5", "thanks");
	answer_route(world, "alice@postern.test", "local", "alice");
	local = expect_session(world, world->local, ROLE_LOCAL, "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, local, &job);
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
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
	answer(world->deliver, remote, number, JOB_FAILED, 0, "5.7.10", "no TLS");
	answer_route(world, "alice@postern.test", "smtp", "back.test");
	back = expect_session(world, world->deliver, ROLE_DELIVER, "back.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, back, &job);
	assert_int_equal(job.flags, ENVELOPE_BOUNCE | ENVELOPE_REQUIRETLS);
	assert_int_equal((int8_t)job.priority, 0);
	assert_int_equal(job.sender.n + job.envid.n, 0);
	rows = (struct rd){ job.rcpts, false };
	assert_true(job_rcpt_next(&rows, &rcpt));
	assert_int_equal(rcpt.notify + rcpt.orcpt.n, 0);
	assert_true(holds(job.content, "Status: 5.7.10\r\n"));
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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
	local = expect_session(world, world->local, ROLE_LOCAL, "alice");
	number = expect_job(world, world->local, ROLE_LOCAL, local, &job);
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
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
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
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
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
	remote = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, remote, &job);
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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
	session = expect_session(world, world->deliver, ROLE_DELIVER, "sink.test");
	number = expect_job(world, world->deliver, ROLE_DELIVER, session, &job);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mail_comes_in_and_goes_out),
		TEST(what_was_acknowledged_survives_a_crash),
		TEST(the_limit_holds_while_the_spool_is_read),
		TEST(large_mail_flows_by_credit),
		TEST(large_mail_under_way_has_a_limit),
		TEST(failures_are_told_to_the_sender),
		TEST(a_postmaster_elsewhere_makes_no_loop),
		TEST(reports_go_the_way_of_the_message),
		TEST(senders_are_told_what_they_asked_for),
		TEST(mail_is_held_back),
		TEST(mail_has_its_time),
		TEST(a_carrier_that_dies_has_delivered_nothing),
		TEST(rooms_that_break_the_rules_are_cut_off),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
