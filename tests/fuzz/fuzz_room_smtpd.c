/* tests/fuzz/fuzz_room_smtpd.c -- smtpd between a router, a resolver and a queue that say anything, while clients do too. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/clock.h"

#include "smtpd/listener.h"
#include "smtpd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS_MAX = 4 };

static int clients[CLIENTS_MAX];

/* VRFY and EXPN are answered for everybody, so that the router is asked. */
static void
answer_vrfy(struct conf *c)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; strcmp(conf_sections[i].name, "smtpd") == 0 && k < conf_sections[i].n_options; k++)
			if (strcmp(conf_sections[i].options[k].name, "vrfy") == 0 && conf_set((char *)c + conf_sections[i].offset,
			    &conf_sections[i].options[k], "0.0.0.0/0, ::/0") != RC_OK)
				abort();
}

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	free(c->global.hostname);
	c->global.hostname = strdup("mx.house.test");
	answer_vrfy(c);
	c->smtpd.max_recipients = 5;
	c->smtpd.max_hops = 10;
	c->smtpd.max_message_size = 512 * 1024;
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct smtpd *s = calloc(1, sizeof *s);
	struct buf why = BUF_INIT(1024);

	w->room.ctx = s;
	if (s == NULL || smtpd_ops.prepare(&w->room, &why) != RC_OK)
		abort();
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		clients[i] = -1;
}

/* Replies are lines of printable ASCII with a code, whoever gave the words. */
static void
read_replies(int fd)
{
	uint8_t space[16384];
	ssize_t n = recv(fd, space, sizeof space, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		if ((space[i] < 0x20 && space[i] != '\r' && space[i] != '\n') || space[i] > 0x7e)
			abort();
}

static const struct slice says[] = {
	SLICE("EHLO client.test\r\n"), SLICE("HELO client.test\r\n"), SLICE("MAIL FROM:<a@sink.test>\r\n"),
	SLICE("MAIL FROM:<>\r\n"),
	SLICE("RCPT TO:<alice@house.test>\r\n"), SLICE("RCPT TO:<bob@house.test>\r\n"), SLICE("DATA\r\n"),
	SLICE("Subject: x\r\n\r\nbody\r\n.\r\n"), SLICE("RSET\r\n"), SLICE("QUIT\r\n"), SLICE("VRFY alice\r\n"),
	SLICE("NOOP\r\n"),
	SLICE("EHLO client.test\r\nMAIL FROM:<a@sink.test>\r\nRCPT TO:<alice@house.test>\r\nDATA\r\n"),
	SLICE("MAIL FROM:<a@sink.test> SIZE=60000\r\n"), SLICE("Received: by x\r\n"), SLICE(".\r\n"),
	SLICE("EXPN list\r\n"), SLICE("HELP\r\n"), SLICE("TURN\r\n"), SLICE("MAIL FROM:<a@sink.test> BODY=8BITMIME\r\n"),
};

/* Lines of content, 32 KiB at a time. */
static void
send_much(struct fuzz_world *w, int fd, unsigned times)
{
	static char lines[32 * 1024];

	for (size_t i = 0; i < sizeof lines; i++)
		lines[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	while (times-- > 0) {
		(void)send(fd, lines, sizeof lines, MSG_NOSIGNAL);
		fuzz_settle(w);
	}
}

/* A client comes, says something, or goes. */
static void
special(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in), what;
	int *fd = &clients[how % CLIENTS_MAX], pair[2];
	struct slice s;

	if (*fd == -1) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
			abort();
		*fd = pair[1];
		listener_admit(w->room.ctx, S("mx"), pair[0], (struct ip){ 4, { 192, 0, 2, how } });
		return;
	}
	read_replies(*fd);
	if ((how & 0xf0) == 0xf0) {
		(void)close(*fd);
		*fd = -1;
		return;
	}
	what = rd_u8(&w->in);
	if (what >= 0xf8) {
		send_much(w, *fd, (what & 7) + 1u);
		return;
	}
	s = what < 0x80 ? says[what % (sizeof says / sizeof says[0])] : what < 0xf0 ? rd_take(&w->in, what & 0x7f) : fuzz_text(w);
	(void)send(*fd, s.p, s.n, MSG_NOSIGNAL);
}

static void
end(struct fuzz_world *w)
{
	struct smtpd *s = w->room.ctx;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (clients[i] != -1)
			(void)close(clients[i]);
	/* Whatever it waits for: its clients and its neighbours are gone, and time passes. Each reply to an error may be late,
	 * and what a client has left behind is many errors. */
	for (unsigned i = 0; i < 64 && s->n_sessions > 0; i++) {
		fuzz_settle(w);
		fuzz_clock_pass(3600 * 1000);
		fuzz_settle(w);
	}
	if (s->n_sessions != 0 || s->checks.used != 0 || s->messages.used != 0 || s->names.used != 0)
		abort();
	timer_cancel(&s->breather);
	smtpd_free(s);
	if (s->spare_fd > 0)
		(void)close(s->spare_fd);
	free(s);
}

static const struct fuzz_room def = {
	.role = ROLE_SMTPD, .ops = &smtpd_ops, .conf = conf, .start = begin, .special = special, .end = end,
	.lines = { ROLE_ROUTER, ROLE_RESOLVER, ROLE_QUEUE },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
