/* tests/smtpd/test_smtpd.c -- the real postern-smtpd, sandboxed: one mail, a reload, a stop. The test plays master, the
 * rooms around it, and the client, each on a blocking descriptor. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/folder.h"

#include "common/buf.h"
#include "common/conf.h"
#include "common/envelope.h"
#include "common/ipc/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
	int master, router, resolver, queue;	/* our ends */
	pid_t pid;
	char folder[64];
	in_port_t port;		/* of the newest listener, network order */
	struct buf in;
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
		uint8_t space_[8192];							\
		struct wr w_ = { space_, 0, sizeof space_, false };			\
		(void)lower##_put(&w_, &m_);						\
		send_frame((fd), TYPE, (handle), &w_, (send_fd));			\
	} while (0)

static struct frame
next_frame(struct world *world, int fd, enum role us, enum ipc_type type)
{
	struct frame f = { .type = M_CONFIG };

	assert_int_equal(frame_read_blocking(fd, us, ROLE_SMTPD, &world->in, &f), RC_OK);
	assert_int_equal(f.type, type);
	return f;
}

static void
send_config(struct world *world, uint32_t generation)
{
	struct conf *c = conf_new();
	struct buf blob = BUF_INIT(1 << 20);
	uint8_t *space = malloc(1 << 20);
	struct wr w = { space, 0, 1 << 20, false };

	assert_non_null(c);
	assert_non_null(space);
	c->generation = generation;
	free(c->global.hostname);
	c->global.hostname = strdup(generation == 1 ? "one.example.org" : "two.example.org");
	assert_true(conf_encode(c, &blob));
	struct m_config m = { generation, (uint32_t)buf_len(&blob), 0, buf_slice(&blob) };
	assert_true(m_config_put(&w, &m));
	send_frame(world->master, M_CONFIG, 0, &w, -1);
	free(space);
	buf_free(&blob);
	conf_unref(c);
}

static void
send_listener(struct world *world, uint32_t generation)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	world->port = at.sin_port;
	SEND(world->master, M_FILE, 0, fd, m_file, generation, FILE_LISTENER, S("mx"), S(""));
	(void)close(fd);
}

static int
send_line(struct world *world, enum role role)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	SEND(world->master, M_LINE, 0, pair[1], m_line, (uint8_t)role, 0);
	(void)close(pair[1]);
	return pair[0];
}

static void
start(struct world *world)
{
	const char *build = getenv("builddir");
	char program[4096];
	int pair[2];

	(void)snprintf(program, sizeof program, "%s/smtpd/postern-smtpd", build == NULL ? "." : build);
	folder_template(world->folder, sizeof world->folder, "smtpd");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(chmod(world->folder, 0555), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		if (dup2(pair[1], 3) == 3)
			(void)execl(program, "postern-smtpd", "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	world->master = pair[0];
	buf_init(&world->in, IPC_FRAME_MAX);
	send_config(world, 1);
	send_listener(world, 1);
	world->router = send_line(world, ROLE_ROUTER);
	world->resolver = send_line(world, ROLE_RESOLVER);
	world->queue = send_line(world, ROLE_QUEUE);
	SEND(world->master, M_GO, 0, -1, m_go, 1, 64322, 64322, slice_str(world->folder));
}

static void
expect_ready(struct world *world, uint32_t generation)
{
	struct frame f = next_frame(world, world->master, ROLE_MASTER, M_READY);
	struct rd r = { f.body, false };
	struct m_ready m = { 0 };

	assert_true(m_ready_get(&r, &m));
	assert_int_equal(m.status, RC_OK);
	if (generation > 1)
		assert_int_equal(m.generation, generation);
}

/* --- the client --- */

static int
connect_client(struct world *world)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = world->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Reads lines up to the end of a reply, which begins with this. */
static void
hear(int fd, const char *reply)
{
	char line[1024] = "";
	size_t n = 0;

	do
		for (n = 0; n < sizeof line - 1 && (n == 0 || line[n - 1] != '\n'); n++)
			assert_int_equal(read(fd, &line[n], 1), 1);
	while (line[3] == '-');
	line[n] = '\0';
	if (strncmp(line, reply, strlen(reply)) != 0)
		fail_msg("expected \"%s\", heard \"%s\"", reply, line);
}

static void
name_the_client(struct world *world)
{
	struct frame f = next_frame(world, world->resolver, ROLE_RESOLVER, V_PTR);

	SEND(world->resolver, V_NAME, f.handle, -1, v_name, DNS_OK, 0, S("localhost.example.net"));
}

/* Its name would be needed at MAIL. */
static void
nobody_is_asked_for_its_name(struct world *world, int client)
{
	struct pollfd line = { world->resolver, POLLIN, 0 };

	say(client, "EHLO client.example\r\nNOOP\r\n");
	hear(client, "250 HELP");
	hear(client, "250 2.0.0 ");
	assert_int_equal(poll(&line, 1, 0), 0);
}

static void
one_mail(struct world *world, int client)
{
	struct envelope e = { 0 };
	struct q_submit m = { .id = { 0, 0, 0 } };
	struct frame f;
	struct rd r;

	say(client, "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	name_the_client(world);
	f = next_frame(world, world->router, ROLE_ROUTER, R_CHECK);
	SEND(world->router, R_VERDICT, f.handle, -1, r_verdict, VERDICT_ACCEPT, 0, S(""), S(""), S("r"), S(""), S("local"),
	    S("alice"), 1);
	hear(client, "250 HELP");
	hear(client, "250 2.1.0 ");
	hear(client, "250 2.1.5 ");
	hear(client, "354 ");
	say(client, "Subject: hello\r\n\r\nhello\r\n.\r\n");
	f = next_frame(world, world->queue, ROLE_QUEUE, Q_SUBMIT);
	r = (struct rd){ f.body, false };
	assert_true(q_submit_get(&r, &m));
	assert_int_equal(m.id.seq, 7);
	assert_int_equal(envelope_parse(m.envelope, &e), RC_OK);
	assert_int_equal(e.n_rcpts, 1);
	assert_true(slice_eq(e.client_name, S("localhost.example.net")));
	assert_true(m.content.n > 30 && memcmp(m.content.p, "Received: from client.example (", 31) == 0);
	SEND(world->queue, Q_ACCEPTED, f.handle, -1, q_accepted, m.id);
	hear(client, "250 2.0.0 Ok: queued as ");
}

/* shows: RFC5321 3.8/3 */
static void
a_mail_a_reload_and_a_stop(void **state)
{
	struct world world = { .master = -1 };
	int first, second, status;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world);
	expect_ready(&world, 1);
	SEND(world.queue, Q_IDS, 0, -1, q_ids, { 1, 2, 7 }, 1000);
	SEND(world.queue, Q_STATE, 0, -1, q_state, 1, 0, S(""), S(""), 0);
	first = connect_client(&world);
	hear(first, "220 one.example.org ESMTP Postern");
	one_mail(&world, first);

	/* A new generation: a new listener, a new name; the session keeps what it began with. */
	send_config(&world, 2);
	send_listener(&world, 2);
	SEND(world.master, M_GO, 0, -1, m_go, 2, 64322, 64322, slice_str(world.folder));
	expect_ready(&world, 2);
	second = connect_client(&world);
	hear(second, "220 two.example.org ESMTP Postern");
	nobody_is_asked_for_its_name(&world, second);
	say(first, "HELO again.example\r\n");
	hear(first, "250 one.example.org");

	/* Asked to stop: both are idle, are told so, and the process ends. */
	SEND(world.master, M_STOP, 0, -1, m_stop, 10000);
	hear(first, "421 4.3.2 ");
	hear(second, "421 4.3.2 ");
	(void)close(first);
	(void)close(second);
	assert_int_equal(waitpid(world.pid, &status, 0), world.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)close(world.master);
	(void)close(world.router);
	(void)close(world.resolver);
	(void)close(world.queue);
	(void)rmdir(world.folder);
	buf_free(&world.in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_a_reload_and_a_stop),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(60);	/* descriptors here block: a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
