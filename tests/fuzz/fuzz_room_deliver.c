/* tests/fuzz/fuzz_room_deliver.c -- whole delivery sessions: a queue and a resolver that say anything, and servers that refuse,
 * hang, lie and go away. socket() and connect() are the target's own: what looks like TCP is a socket pair. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/clock.h"

#include "deliver/deliver.h"
#include "deliver/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SERVERS_MAX = 16 };

static int servers[SERVERS_MAX];
static uint8_t fate;	/* of the next connection */

int
socket(int domain, int type, int protocol)
{
	int pair[2];

	if (domain != AF_INET && domain != AF_INET6)
		return (int)syscall(SYS_socket, domain, type, protocol);
	for (size_t i = 0; i < SERVERS_MAX && (fate & 7) != 1; i++)
		if (servers[i] == -1) {
			if (socketpair(AF_UNIX, type, 0, pair) == -1)
				abort();
			servers[i] = pair[1];
			return pair[0];
		}
	errno = EMFILE;
	return -1;
}

int
connect(int fd, const struct sockaddr *to, socklen_t len)
{
	static const int errors[] = { 0, 0, EINPROGRESS, EINPROGRESS, ECONNREFUSED, ENETUNREACH, EACCES, 0 };

	(void)fd, (void)to, (void)len;
	errno = errors[fate & 7];
	return errno == 0 ? 0 : -1;
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	static const int late = ETIMEDOUT;

	if (level != SOL_SOCKET || name != SO_ERROR || (fate & 7) != 3)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	memcpy(value, &late, sizeof late);
	return 0;
}

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	free(c->global.hostname);
	c->global.hostname = strdup("mx.house.test");
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct deliver *d = calloc(1, sizeof *d);

	if (d == NULL)
		abort();
	for (size_t i = 0; i < SERVERS_MAX; i++)
		servers[i] = -1;
	fate = 0;
	w->room.ctx = d;
	deliver_init(d, w->room.loop, w->room.conf);
}

static const struct slice says[] = {
	SLICE("220 mx.sink.test ESMTP\r\n"), SLICE("250-mx.sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n"),
	SLICE("250 mx.sink.test\r\n"), SLICE("250 2.1.0 Ok\r\n"), SLICE("250 2.1.5 Ok\r\n"), SLICE("354 go on\r\n"),
	SLICE("250 2.0.0 Ok: queued\r\n"), SLICE("221 2.0.0 Bye\r\n"), SLICE("421 4.3.2 not now\r\n"),
	SLICE("450 4.2.1 later\r\n"),
	SLICE("550 5.1.1 no such user\r\n"), SLICE("554 5.7.1 go away\r\n"), SLICE("502 5.5.1 no EHLO\r\n"),
	SLICE("552 5.3.4 too big\r\n"),
	SLICE("250 Ok\r\n250 Ok\r\n354 go on\r\n"), SLICE("250 Ok\r\n550 5.1.1 no\r\n354 go on\r\n250 Ok\r\n"),
	SLICE("250-\r\n"), SLICE("2"), SLICE("HTTP/1.1 400 Bad Request\r\n"), SLICE("250 Ok\r\n250 Ok\r\n250 Ok\r\n"),
};

/* A server says something, or goes; or the fate of the connections to come changes. */
static void
special(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in), what;
	static uint8_t space[IPC_FRAME_MAX];
	int *live[SERVERS_MAX];
	struct slice s;
	size_t n = 0;

	for (size_t i = 0; i < SERVERS_MAX; i++)
		if (servers[i] != -1)
			live[n++] = &servers[i];
	if (how >= 0xe0 || n == 0) {
		fate = how;
		return;
	}
	live[0] = live[how % n];
	while ((how & 0x10) == 0 && recv(*live[0], space, sizeof space, MSG_DONTWAIT) > 0)
		;
	if (how >= 0xc0) {
		(void)close(*live[0]);
		*live[0] = -1;
		return;
	}
	what = rd_u8(&w->in);
	s = what < 0x80 ? says[what % (sizeof says / sizeof says[0])] : what < 0xf0 ? rd_take(&w->in, what & 0x7f) : fuzz_text(w);
	(void)send(*live[0], s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
end(struct fuzz_world *w)
{
	struct deliver *d = w->room.ctx;

	for (unsigned i = 0; i < 4 && d->n_sessions > 0; i++) {
		fuzz_clock_pass(3600 * 1000);
		fuzz_settle(w);
	}
	if (d->n_sessions != 0 || d->sessions != NULL || d->queue != NULL || d->resolver != NULL)
		abort();
	deliver_free(d);
	for (size_t i = 0; i < SERVERS_MAX; i++)
		if (servers[i] != -1)
			(void)close(servers[i]);
	free(d);
}

/* --- what deliver_main.c does --- */

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	deliver_take_line(room->ctx, them, index, fd);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	(void)old;
	deliver_adopt(room->ctx, room->conf);
	return NULL;
}

static void
stopped(void *ctx)
{
	room_exit(ctx);
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	(void)grace_ms;
	deliver_stop(room->ctx, stopped, room);
}

static const struct room_ops ops = { .role = ROLE_DELIVER, .line = take_line, .adopt = adopt, .stop = stop };

static const struct fuzz_room def = {
	.role = ROLE_DELIVER, .ops = &ops, .conf = conf, .start = begin, .special = special, .end = end,
	.lines = { ROLE_QUEUE, ROLE_RESOLVER },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
