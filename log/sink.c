/* log/sink.c -- see sink.h. */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIPE_PIECE = PIPE_BUF,	/* a pipe that polls writable takes this much without waiting */
	TERMINAL_PIECE = 256,	/* what a terminal that polls writable has room for (WAKEUP_CHARS of the kernel) */
	FILE_PIECE = 1024 * 1024,
	DATAGRAM_MAX = 8 * 1024,/* what system logs take at most, whatever their RFC says; the rest of a line is cut */
	DATAGRAM_SURE = 1024,	/* RFC 3164 4.1 */
	WRITES_A_TURN = 256,	/* then the lines from the rooms get their turn */
};

static void on_writable(struct watch *w, bool readable, bool writable, void *ctx);
static void on_retry(struct timer *t, void *ctx);
static void on_drain(struct chore *c, void *ctx);

static const char *const kind_names[] = {
	[SINK_NONE] = "none", [SINK_STDERR] = "stderr", [SINK_FILE] = "file", [SINK_SYSLOG] = "syslog",
};

const char *
sink_kind_name(enum sink_kind kind)
{
	return kind_names[kind];
}

void
sink_init(struct sink *s, struct loop *loop, struct ring *ring)
{
	bool terminal = s->terminal;

	*s = (struct sink){ .loop = loop, .ring = ring, .fd = -1, .terminal = terminal };
	timer_setup(&s->retry, loop, on_retry, s);
	chore_setup(&s->drain, loop, on_drain, s);
}

void
sink_ask_terminal(struct sink *s)
{
	s->terminal = isatty(STDERR_FILENO) == 1;
}

/* --- writing --- */

static ssize_t
write_pollable(struct sink *s, struct slice bytes)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	if (poll(&p, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	bytes = slice_first(bytes, s->terminal ? TERMINAL_PIECE : PIPE_PIECE);
	return write(s->fd, bytes.p, bytes.n);
}

/* Takes what it can of the oldest bytes, once. -1: errno tells. */
static ssize_t
write_stream(struct sink *s)
{
	struct slice bytes = ring_peek(s->ring);

	if (s->direct)
		return write(s->fd, bytes.p, bytes.n < FILE_PIECE ? bytes.n : FILE_PIECE);
	if (s->socket)
		return send(s->fd, bytes.p, bytes.n < FILE_PIECE ? bytes.n : FILE_PIECE, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write_pollable(s, bytes);
}

static ssize_t
write_datagram(struct sink *s)
{
	uint8_t line[DATAGRAM_MAX];
	size_t n, whole;
	ssize_t sent;

	(void)ring_peek_line(s->ring, line, sizeof line, &n, &whole);
	sent = send(s->fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == -1 && errno == EMSGSIZE && n > DATAGRAM_SURE)
		sent = send(s->fd, line, DATAGRAM_SURE, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent == -1 ? -1 : (ssize_t)whole;
}

/* False: wait for the descriptor or the timer, whichever was set. */
static bool
write_once(struct sink *s)
{
	ssize_t n = s->kind == SINK_SYSLOG ? write_datagram(s) : write_stream(s);

	if (n >= 0) {
		ring_consume(s->ring, (size_t)n);
		s->error = 0;
		return true;
	}
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN && !s->direct) {
		watch_set(&s->watch, false, true);
		return false;
	}
	/* A pipe without a reader polls writable for ever: look again by the clock. */
	s->error = errno;
	watch_set(&s->watch, false, false);
	timer_start(&s->retry, SINK_RETRY_MS);
	return false;
}

static void
drain(struct sink *s)
{
	if (s->kind == SINK_NONE || timer_pending(&s->retry))
		return;
	for (int i = 0; s->ring->n > 0; i++) {
		if (i == WRITES_A_TURN && !s->direct) {
			watch_set(&s->watch, false, true);
			return;
		}
		if (!write_once(s))
			return;
	}
	if (!s->direct)
		watch_set(&s->watch, false, false);
}

static void
on_writable(struct watch *w, bool readable, bool writable, void *ctx)
{
	(void)w, (void)readable, (void)writable;
	drain(ctx);
}

static void
on_retry(struct timer *t, void *ctx)
{
	(void)t;
	drain(ctx);
}

static void
on_drain(struct chore *c, void *ctx)
{
	(void)c;
	drain(ctx);
}

void
sink_wake(struct sink *s)
{
	if (!s->watch.write)
		chore_queue(&s->drain);
}

void
sink_finish(struct sink *s)
{
	timer_cancel(&s->retry);
	drain(s);
	if (s->kind == SINK_FILE)
		(void)fdatasync(s->fd);
}

/* --- changing the destination --- */

static void
leave(struct sink *s)
{
	if (s->kind == SINK_NONE)
		return;
	sink_finish(s);
	timer_cancel(&s->retry);
	watch_stop(&s->watch);
	if (s->kind != SINK_STDERR)
		(void)close(s->fd);
	s->kind = SINK_NONE;
	s->fd = -1;
	s->error = 0;
}

static void
enter(struct sink *s, enum sink_kind kind, int fd)
{
	leave(s);
	s->kind = kind;
	s->fd = fd;
	s->watch = (struct watch){ 0 };
	if (!s->direct)
		watch_init(&s->watch, s->loop, fd, on_writable, s);
	sink_wake(s);
}

enum rc
sink_to_stderr(struct sink *s)
{
	struct stat st;

	if (s->kind == SINK_STDERR)
		return RC_OK;
	if (fstat(STDERR_FILENO, &st) == -1)
		return rc_from_errno(errno);
	leave(s);
	s->socket = S_ISSOCK(st.st_mode);
	/* /dev/null and its like never fill, and the kernel does not watch them. */
	s->direct = !s->socket && !S_ISFIFO(st.st_mode) && !s->terminal;
	enter(s, SINK_STDERR, STDERR_FILENO);
	return RC_OK;
}

enum rc
sink_to_file(struct sink *s, int folder, const char *name)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd == -1)
		return rc_from_errno(errno);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return RC_UNSUPPORTED;
	}
	leave(s);
	s->direct = true;
	s->socket = false;
	enter(s, SINK_FILE, fd);
	return RC_OK;
}

enum rc
sink_to_syslog(struct sink *s, int fd)
{
	leave(s);
	s->direct = false;
	s->socket = true;
	enter(s, SINK_SYSLOG, fd);
	return RC_OK;
}
