/* tests/fuzz/fuzz_room_log.c -- the log room: events of every room, in any order, to a destination that takes them or not.
 * What it writes is lines of printable characters, whatever was said. */
#include "tests/fuzz/room.h"

#include "log/log_room.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ours;	/* our end of the system log's socket */

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	free(c->log.to);
	c->log.to = strdup("syslog");
	c->log.ring = 64 * 1024;
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct log_room *l = calloc(1, sizeof *l);
	const struct m_file file = { 1, FILE_SYSLOG, S(""), S("") };
	struct buf why = BUF_INIT(1024);
	int pair[2];

	w->room.ctx = l;
	if (l == NULL || log_room_ops.prepare(&w->room, &why) != RC_OK ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	ours = pair[1];
	log_room_ops.start(&w->room);
	log_room_ops.file(&w->room, &file, pair[0]);
	if (log_room_ops.adopt(&w->room, NULL) != NULL)
		abort();
}

static void
read_all(void)
{
	uint8_t line[65536];
	ssize_t n;

	while ((n = recv(ours, line, sizeof line, MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (line[i] < 0x20 || line[i] > 0x7e)
				abort();
}

static void
special(struct fuzz_world *w)
{
	(void)rd_u8(&w->in);
	read_all();
}

static void
end(struct fuzz_world *w)
{
	struct log_room *l = w->room.ctx;

	log_attach(NULL);
	/* Its line to itself. */
	(void)shutdown(l->own[0], SHUT_RDWR);
	fuzz_settle(w);
	read_all();
	sink_finish(&l->sink);
	watch_stop(&l->sink.watch);
	timer_cancel(&l->sink.retry);
	chore_cancel(&l->sink.drain);
	timer_cancel(&l->report);
	timer_cancel(&l->last);
	(void)close(l->sink.fd);
	(void)close(ours);
	ring_free(&l->ring);
	buf_free(&l->line);
	free(l);
}

static struct fuzz_room def = {
	.role = ROLE_LOG, .conf = conf, .start = begin, .special = special, .end = end,
	.lines = { ROLE_SMTPD, ROLE_QUEUE, ROLE_DELIVER, ROLE_MAILBOX, ROLE_CONTROL },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct room_ops ops;

	/* A new generation would bring a new socket, which is master's affair. */
	ops = log_room_ops;
	ops.adopt = NULL;
	def.ops = &ops;
	return fuzz_room_run(&def, data, size);
}
