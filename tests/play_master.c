/* tests/play_master.c -- see play_master.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/play_master.h"
#include "tests/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t space[IPC_BODY_MAX];

struct wr
play_space(void)
{
	return (struct wr){ space, 0, sizeof space, false };
}

void
play_frame(int fd, enum ipc_type type, uint32_t handle, const struct wr *w)
{
	assert_false(w->bad);
	assert_int_equal(frame_write_blocking(fd, type, handle, slice_of(w->p, w->n), -1), RC_OK);
}

void
play_send(struct played *w, enum ipc_type type, uint32_t handle, struct slice body, int fd)
{
	assert_int_equal(frame_write_blocking(w->master, type, handle, body, fd), RC_OK);
	if (fd != -1)
		(void)close(fd);
}

void
play_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

void
play_config(struct played *w, const struct conf *c)
{
	struct buf blob = BUF_INIT(1 << 20);
	struct wr out = play_space();

	w->generation++;
	assert_true(conf_encode(c, &blob));
	assert_true(m_config_put(&out, &(struct m_config){ w->generation, (uint32_t)buf_len(&blob), 0, buf_slice(&blob) }));
	play_frame(w->master, M_CONFIG, 0, &out);
	buf_free(&blob);
}

void
play_start(struct played *w, enum role role, const char *program, const struct conf *c, int stderr_fd)
{
	const char *build = getenv("builddir");
	char path[4096];
	int pair[2];

	*w = (struct played){ .role = role, .stderr_fd = stderr_fd };
	buf_init(&w->in, IPC_FRAME_MAX);
	(void)snprintf(path, sizeof path, "%s/%s", build == NULL ? "." : build, program);
	folder_template(w->root, sizeof w->root, "root");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(chmod(w->root, 0555), 0);
	play_pair(pair);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		if (dup2(pair[1], 3) == 3 && (stderr_fd == -1 || dup2(stderr_fd, 2) == 2))
			(void)execl(path, path, "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	w->master = pair[0];
	play_config(w, c);
}

void
play_line(struct played *w, enum role them, unsigned index, int fd)
{
	struct wr out = play_space();

	assert_true(m_line_put(&out, &(struct m_line){ (uint8_t)them, (uint16_t)index }));
	play_send(w, M_LINE, 0, slice_of(out.p, out.n), fd);
}

void
play_file(struct played *w, enum file_purpose purpose, const char *name, const char *path, int fd)
{
	struct m_file m = { w->generation, (uint8_t)purpose, slice_str(name), slice_str(path) };
	struct wr out = play_space();

	assert_true(m_file_put(&out, &m));
	play_send(w, M_FILE, 0, slice_of(out.p, out.n), fd);
}

enum rc
play_go(struct played *w)
{
	struct wr out = play_space();
	struct m_ready ready = { 0 };
	struct frame f;
	struct rd r;

	assert_true(m_go_put(&out, &(struct m_go){ w->generation, PLAY_UID, PLAY_UID, slice_str(w->root) }));
	play_send(w, M_GO, 0, slice_of(out.p, out.n), -1);
	f = play_next(w);
	assert_int_equal(f.type, M_READY);
	r = (struct rd){ f.body, false };
	assert_true(m_ready_get(&r, &ready));
	if (ready.status != RC_OK)
		print_message("# refused: %.*s\n", (int)ready.why.n, (const char *)ready.why.p);
	return (enum rc)ready.status;
}

struct frame
play_next(struct played *w)
{
	struct frame f;

	assert_int_equal(frame_read_blocking(w->master, ROLE_MASTER, w->role, &w->in, &f), RC_OK);
	return f;
}

int
play_end(struct played *w)
{
	int status;

	(void)close(w->master);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	(void)rmdir(w->root);
	buf_free(&w->in);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
