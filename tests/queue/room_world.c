/* tests/queue/room_world.c -- see room_world.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/queue/room_world.h"
#include "tests/folder.h"

#include "common/admin.h"
#include "common/conf.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

void
send_frame(int fd, enum ipc_type type, uint32_t handle, const struct wr *w, int send_fd)
{
	assert_false(w->bad);
	assert_int_equal(frame_write_blocking(fd, type, handle, slice_of(w->p, w->n), send_fd), RC_OK);
}

struct frame
next_frame(struct world *world, int fd, enum role us, enum ipc_type type)
{
	struct frame f = { .type = M_CONFIG };

	do
		assert_int_equal(frame_read_blocking(fd, us, ROLE_QUEUE, &world->in, &f), RC_OK);
	while (f.type != type && (f.type == Q_STATE || f.type == Q_IDS || f.type == Q_CREDIT || f.type == D_IDLE));
	assert_int_equal(f.type, type);
	return f;
}

void
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

int
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

void
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

void
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

int
world_setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	if (world == NULL)
		return -1;
	*state = world;
	if (geteuid() != 0)
		return 0;
	folder_template(world->folder, sizeof world->folder, "queue");
	if (mkdtemp(world->folder) == NULL)
		return -1;
	(void)snprintf(world->spool, sizeof world->spool, "%s-spool", world->folder);
	if (chmod(world->folder, 0555) == -1 || mkdir(world->spool, 0700) == -1 || chown(world->spool, UID, UID) == -1)
		return -1;
	start(world);
	return 0;
}

int
world_teardown(void **state)
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

void
learn_ids(struct world *world, int smtpd)
{
	struct q_ids m;

	GET(next_frame(world, smtpd, ROLE_SMTPD, Q_IDS), q_ids, &m);
	world->next_id = m.first;
}

void
make_envelope(struct buf *b, const char *sender, const char *rcpt)
{
	struct envelope e = { .sender = slice_str(sender), .received_at = 1700000000000000, .proto = S("ESMTP") };
	struct envelope_rcpt r = { .address = slice_str(rcpt), .transport = S("smtp"), .nexthop = S("sink.test"),
	    .generation = 1 };

	assert_true(envelope_put(b, &e));
	assert_true(envelope_put_rcpt(b, &r));
}

struct msgid
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

struct msgid
submit(struct world *world, int smtpd, uint32_t handle, const char *content)
{
	return submit_from(world, smtpd, handle, "alice@postern.test", "x@sink.test", content);
}

void
expect_accepted(struct world *world, int smtpd, uint32_t handle, struct msgid id)
{
	struct frame f = next_frame(world, smtpd, ROLE_SMTPD, Q_ACCEPTED);
	struct q_accepted m;

	assert_int_equal(f.handle, handle);
	GET(f, q_accepted, &m);
	assert_true(msgid_eq(m.id, id));
}

/* --- carriers --- */

uint32_t
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

uint32_t
expect_job(struct world *world, int carrier, enum role us, uint32_t session, struct d_job *ret_m)
{
	struct frame f = next_frame(world, carrier, us, D_JOB);

	assert_int_equal(f.handle, session);
	GET(f, d_job, ret_m);
	return ret_m->job;
}

uint32_t
expect_first_job(struct world *world, enum role us, const char *nexthop, uint32_t *ret_session, struct d_job *ret_m)
{
	int carrier = us == ROLE_LOCAL ? world->local : world->deliver;

	*ret_session = expect_session(world, carrier, us, nexthop);
	return expect_job(world, carrier, us, *ret_session, ret_m);
}

void
answer_passed(int carrier, uint32_t session, uint32_t job, enum job_status status, uint16_t code, const char *enhanced,
    const char *text, uint8_t passed)
{
	struct buf rows = BUF_INIT(4096);

	assert_true(job_result_put(&rows, &(struct job_result){ 0, (uint8_t)status, code, slice_str(enhanced),
	    slice_str(text) }));
	SEND(carrier, D_RESULT, session, -1, d_result, job, buf_slice(&rows), S("mx.sink.test"), { 4, { 192, 0, 2, 1 } }, 25,
	    S(""), 1, passed);
	buf_free(&rows);
}

void
answer(int carrier, uint32_t session, uint32_t job, enum job_status status, uint16_t code, const char *enhanced,
    const char *text)
{
	answer_passed(carrier, session, job, status, code, enhanced, text, 0);
}

void
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

void
answer_route(struct world *world, const char *to, const char *transport, const char *nexthop)
{
	answer_route_as(world, to, transport, nexthop, "");
}

/* --- operators --- */

unsigned
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

void
expect_empty(struct world *world)
{
	struct buf row = BUF_INIT(IPC_FRAME_MAX);

	assert_int_equal(list(world, &row), 0);
	buf_free(&row);
}
