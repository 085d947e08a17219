/* tests/ctl/test_control.c -- the real postern-control, sandboxed, between a test that plays master and a client. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/folder.h"

#include "common/admin.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/ipc/peer.h"
#include "ctl/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
	int master;		/* our end of the room's line 3 */
	pid_t pid;
	char folder[64];
	struct sockaddr_un address;
};

static void
send_body(int fd, enum ipc_type type, const uint8_t *p, size_t n, int send_fd)
{
	assert_int_equal(frame_write_blocking(fd, type, 0, slice_of(p, n), send_fd), RC_OK);
}

static void
send_config(int fd)
{
	struct conf *c = conf_new();
	struct buf blob = BUF_INIT(1 << 20);
	uint8_t *space = malloc(1 << 20);
	struct wr w = { space, 0, 1 << 20, false };

	assert_non_null(c);
	c->generation = 1;
	assert_true(conf_encode(c, &blob));
	struct m_config m = { 1, (uint32_t)buf_len(&blob), 0, buf_slice(&blob) };
	assert_true(m_config_put(&w, &m));
	send_body(fd, M_CONFIG, space, w.n, -1);
	free(space);
	buf_free(&blob);
	conf_unref(c);
}

static void
start_control(struct world *world)
{
	uint8_t space[4096];
	struct wr w = { space, 0, sizeof space, false };
	const char *build = getenv("builddir");
	char program[4096];
	int pair[2], listener;

	(void)snprintf(program, sizeof program, "%s/ctl/postern-control", build == NULL ? "." : build);
	folder_template(world->folder, sizeof world->folder, "control");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(chmod(world->folder, 0555), 0);
	world->address.sun_family = AF_UNIX;
	(void)snprintf(world->address.sun_path, sizeof world->address.sun_path, "%s-socket", world->folder);
	(void)unlink(world->address.sun_path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&world->address, sizeof world->address), 0);
	assert_int_equal(listen(listener, 8), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		if (dup2(pair[1], 3) == 3)
			(void)execl(program, "postern-control", "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	world->master = pair[0];
	send_config(world->master);
	struct m_file file = { 1, FILE_CONTROL, S(""), S("") };
	assert_true(m_file_put(&w, &file));
	send_body(world->master, M_FILE, space, w.n, listener);
	(void)close(listener);
	w = (struct wr){ space, 0, sizeof space, false };
	struct m_go go = { 1, 64321, 64321, slice_str(world->folder) };
	assert_true(m_go_put(&w, &go));
	send_body(world->master, M_GO, space, w.n, -1);
}

static struct frame
next_frame(struct world *world, struct buf *b)
{
	struct frame f;

	assert_int_equal(frame_read_blocking(world->master, ROLE_MASTER, ROLE_CONTROL, b, &f), RC_OK);
	return f;
}

static int
connect_client(struct world *world)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&world->address, sizeof world->address), 0);
	return fd;
}

static void
ask_for(int client, enum admin_verb verb, uint32_t handle)
{
	uint8_t space[256];
	struct wr w = { space, 0, sizeof space, false };
	struct a_request m = { (uint8_t)verb, S("x"), S(""), 0, 0 };

	assert_true(a_request_put(&w, &m));
	assert_int_equal(frame_write_blocking(client, A_REQUEST, handle, slice_of(space, w.n), -1), RC_OK);
}

static void
stop_control(struct world *world)
{
	int status;

	(void)close(world->master);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	(void)unlink(world->address.sun_path);
	(void)rmdir(world->folder);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
requests_go_to_the_room_and_rows_come_back(void **state)
{
	struct world world = { .master = -1 };
	struct buf b = BUF_INIT(IPC_FRAME_MAX), b2 = BUF_INIT(IPC_FRAME_MAX);
	struct frame f;
	struct rd r;
	struct a_request request;
	struct a_end end;
	struct a_row row;
	struct m_ready ready;
	uint8_t space[256];
	struct wr w;
	int client;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_control(&world);
	f = next_frame(&world, &b);
	assert_int_equal(f.type, M_READY);
	r = (struct rd){ f.body, false };
	assert_true(m_ready_get(&r, &ready));
	assert_int_equal(ready.status, RC_OK);

	/* A verb of a room whose line is not there is answered at once. */
	client = connect_client(&world);
	ask_for(client, ADMIN_QUEUE_LIST, 7);
	assert_int_equal(frame_read_blocking(client, ROLE_CLIENT, ROLE_CONTROL, &b2, &f), RC_OK);
	assert_int_equal(f.type, A_END);
	assert_int_equal(f.handle, 7);
	r = (struct rd){ f.body, false };
	assert_true(a_end_get(&r, &end));
	assert_int_equal(end.status, RC_CLOSED);

	/* A verb of master arrives here, and the answer goes back under the client's own handle. */
	ask_for(client, ADMIN_STATUS, 9);
	f = next_frame(&world, &b);
	assert_int_equal(f.type, A_REQUEST);
	r = (struct rd){ f.body, false };
	assert_true(a_request_get(&r, &request));
	assert_int_equal(request.verb, ADMIN_STATUS);
	assert_int_equal(request.limit, ADMIN_PAGE_MAX);
	w = (struct wr){ space, 0, sizeof space, false };
	assert_true(a_row_put(&w, &(struct a_row){ ADMIN_ROW_JSON, S("{}") }));
	assert_int_equal(frame_write_blocking(world.master, A_ROW, f.handle, slice_of(space, w.n), -1), RC_OK);
	w = (struct wr){ space, 0, sizeof space, false };
	assert_true(a_end_put(&w, &(struct a_end){ RC_OK, S(""), 0, 0 }));
	assert_int_equal(frame_write_blocking(world.master, A_END, f.handle, slice_of(space, w.n), -1), RC_OK);
	assert_int_equal(frame_read_blocking(client, ROLE_CLIENT, ROLE_CONTROL, &b2, &f), RC_OK);
	assert_int_equal(f.type, A_ROW);
	assert_int_equal(f.handle, 9);
	r = (struct rd){ f.body, false };
	assert_true(a_row_get(&r, &row));
	assert_int_equal(frame_read_blocking(client, ROLE_CLIENT, ROLE_CONTROL, &b2, &f), RC_OK);
	assert_int_equal(f.type, A_END);

	/* Garbage costs that client its line, and nobody else anything. */
	assert_int_equal(write(client, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	assert_int_equal(read(client, space, sizeof space), 0);
	(void)close(client);
	client = connect_client(&world);
	ask_for(client, ADMIN_STATUS, 1);
	assert_int_equal(next_frame(&world, &b).type, A_REQUEST);
	(void)close(client);
	buf_free(&b);
	buf_free(&b2);
	stop_control(&world);
}

static void
only_root_and_the_group_may_enter(void **state)
{
	const gid_t groups[] = { 5, 7, 9 };

	(void)state;
	assert_true(control_admits(0, NULL, 0, false, 0));
	assert_false(control_admits(1000, groups, 3, false, 7));
	assert_true(control_admits(1000, groups, 3, true, 7));
	assert_false(control_admits(1000, groups, 3, true, 8));
	assert_false(control_admits(1000, NULL, 0, true, 8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_go_to_the_room_and_rows_come_back),
		cmocka_unit_test(only_root_and_the_group_may_enter),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
