/* tests/bench/load.c -- sends mail as fast as a server takes it; made to cost little itself.
 *
 *	load [-s SESSIONS] [-m MESSAGES] [-l BYTES] [-k] [-p] [-d DOMAINS] [-f FROM] [-t RECIPIENT] [-r FILE]
 *	     [-w MILLISECONDS] [-c CLIENT] ADDRESS PORT
 *	load -i CONNECTIONS [-c CLIENT] ADDRESS PORT
 *
 * -k keeps its sessions; otherwise each takes one message, from connecting to QUIT. -p sends MAIL, RCPT and DATA in one
 * packet (RFC 2920); otherwise each command waits for its reply, as Postfix's smtp-source does. -d N: the recipients'
 * domains are in turn dN.RECIPIENT's domain. -r: for each message 24 bytes, its number, when its end was sent and when it
 * was acknowledged, in nanoseconds of the monotonic clock. -w: a pause after each message, for one kept session.
 * -i: opens that many connections, says EHLO on each, tells "held" and keeps them until its standard input ends.
 *
 * The first reply that is not the expected one ends it with status 1. At the end it prints the seconds from the first
 * connection to the end of the last session.								*/
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, REPLY_MAX = 4096, COMMAND_MAX = 1024 };

enum step { GREETING, EHLO, MAIL, RCPT, DATA, DOT, QUIT, HELD };

struct session {
	int fd;
	enum step step;
	uint8_t replies;		/* that stand out before the next step: more than one with -p */
	uint16_t have;
	uint64_t number, sent;
	char in[REPLY_MAX];
};

struct record {
	uint64_t number, sent, acknowledged;
};

static struct {
	unsigned sessions, domains, pause;
	uint64_t messages;
	size_t length;
	bool keep, pipeline, idle;
	const char *from, *user, *domain, *records, *client;
	struct sockaddr_in server;
} o = { .sessions = 1, .messages = 1, .length = 4096, .from = "sender@client.test" };

static int epoll;
static uint64_t started, finished;	/* messages */
static unsigned alive, held;
static char *content;			/* one message with its end; its number is written over the digits */
static size_t content_length;
static char *content_number;
static FILE *records;

/* Header and lines of text: length bytes in all, then the dot. */
static void
make_content(void)
{
	static const char head[] = "From: <sender@client.test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <bench>\r\n"
	    "Subject: bench ", digits[] = "000000000000", line[] =
	    "This line is text of an ordinary length, as many as the message needs.\r\n", end[] = ".\r\n";
	size_t n, least = sizeof(head) + sizeof(digits) + 8;

	if (o.length < least)
		o.length = least;
	content = malloc(o.length + sizeof(end));
	if (content == NULL)
		die("no memory");
	n = sizeof(head) - 1;
	memcpy(content, head, n);
	content_number = content + n;
	memcpy(content + n, digits, sizeof(digits) - 1);
	n += sizeof(digits) - 1;
	memcpy(content + n, "\r\n\r\n", 4);
	n += 4;
	while (n < o.length) {
		size_t part = sizeof(line) - 1;

		if (part > o.length - n)
			part = o.length - n;
		memcpy(content + n, line + sizeof(line) - 1 - part, part);
		n += part;
	}
	/* A piece of one byte is a bare LF, which no server takes. */
	content[n - 2] = '\r';
	content[n - 1] = '\n';
	if (content[n - 3] == '\r')
		content[n - 3] = 'x';
	memcpy(content + n, end, sizeof(end) - 1);
	content_length = n + sizeof(end) - 1;
}

static void
send_all(struct session *s, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(s->fd, bytes, length, MSG_NOSIGNAL);

		if (n < 0) {
			/* Only for messages larger than a socket's buffer. */
			if (errno == EAGAIN || errno == EINTR) {
				struct timespec t = { 0, 100000 };

				nanosleep(&t, NULL);
				continue;
			}
			die("message %" PRIu64 ": send: %s", s->number, strerror(errno));
		}
		bytes += n;
		length -= (size_t)n;
	}
}

static void __attribute__((format(printf, 2, 3)))
say(struct session *s, const char *format, ...)
{
	char line[COMMAND_MAX];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		die("a command is too long");
	send_all(s, line, (size_t)n);
}

static const char *
rcpt_of(uint64_t number)
{
	static char text[512];

	if (o.domains > 0)
		snprintf(text, sizeof(text), "%s@d%" PRIu64 ".%s", o.user, number % o.domains, o.domain);
	else
		snprintf(text, sizeof(text), "%s@%s", o.user, o.domain);
	return text;
}

static void
begin_message(struct session *s)
{
	s->number = started++;
	s->step = MAIL;
	s->replies = 1;
	if (o.pipeline) {
		s->step = DATA;
		s->replies = 3;
		say(s, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", o.from, rcpt_of(s->number));
	} else
		say(s, "MAIL FROM:<%s>\r\n", o.from);
}

static void
open_session(struct session *s)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
	int one = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket: %s", strerror(errno));
	if (o.client != NULL) {
		struct sockaddr_in a = { .sin_family = AF_INET };

		if (inet_pton(AF_INET, o.client, &a.sin_addr) != 1)
			die("%s is no IPv4 address", o.client);
		setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
			die("bind to %s: %s", o.client, strerror(errno));
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* Blocking: on one machine it takes no longer than the call. */
	if (connect(s->fd, (struct sockaddr *)&o.server, sizeof(o.server)) != 0)
		die("connect: %s", strerror(errno));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
	s->step = GREETING;
	s->replies = 1;
	s->have = 0;
	alive++;
}

/* The session is over; the next takes its place while messages are left. */
static void
close_session(struct session *s)
{
	close(s->fd);
	alive--;
	if (!o.keep && started < o.messages)
		open_session(s);
}

static void
message_done(struct session *s)
{
	finished++;
	if (records != NULL) {
		struct record r = { s->number, s->sent, now() };

		if (fwrite(&r, sizeof(r), 1, records) != 1)
			die("%s: %s", o.records, strerror(errno));
	}
	if (o.keep && started < o.messages) {
		if (o.pause > 0) {
			struct timespec t = { o.pause / 1000, (long)(o.pause % 1000) * 1000000 };

			nanosleep(&t, NULL);
		}
		begin_message(s);
		return;
	}
	s->step = QUIT;
	say(s, "QUIT\r\n");
}

/* All replies of a step are there, the last one with this code. */
static void
advance(struct session *s, const char *reply)
{
	static const char expected[] = { [GREETING] = '2', [EHLO] = '2', [MAIL] = '2', [RCPT] = '2', [DATA] = '3', [DOT] = '2',
		[QUIT] = '2', [HELD] = '2' };

	if (reply[0] != expected[s->step])
		die("message %" PRIu64 ", step %d: %.80s", s->number, (int)s->step, reply);
	s->replies = 1;
	switch (s->step) {
	case GREETING:
		s->step = EHLO;
		say(s, "EHLO client.test\r\n");
		break;
	case EHLO:
		if (o.idle) {
			s->step = HELD;
			held++;
		} else if (started < o.messages)
			begin_message(s);
		else {
			s->step = QUIT;
			say(s, "QUIT\r\n");
		}
		break;
	case MAIL:
		s->step = RCPT;
		say(s, "RCPT TO:<%s>\r\n", rcpt_of(s->number));
		break;
	case RCPT:
		s->step = DATA;
		send_all(s, "DATA\r\n", 6);
		break;
	case DATA:
		{
			char number[16];

			snprintf(number, sizeof(number), "%012" PRIu64, s->number);
			memcpy(content_number, number, 12);
		}
		s->step = DOT;
		s->sent = now();
		send_all(s, content, content_length);
		break;
	case DOT:
		message_done(s);
		break;
	case QUIT:
		close_session(s);
		break;
	case HELD:
		die("a held connection was told: %.80s", reply);
	}
}

static void
readable(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->have, sizeof(s->in) - s->have - 1, MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("message %" PRIu64 ", step %d: the server hung up%s%s", s->number, (int)s->step, n < 0 ? ": " : "",
		    n < 0 ? strerror(errno) : "");
	s->have = (uint16_t)(s->have + n);
	while (at < s->have) {
		char *line = s->in + at, *end = memchr(line, '\n', s->have - at);
		int fd = s->fd;

		if (end == NULL)
			break;
		*end = '\0';
		at += (size_t)(end - line) + 1;
		if (end - line < 4 || line[3] == '-')
			continue;
		if (--s->replies > 0) {
			if (line[0] != '2')
				die("message %" PRIu64 ": %.80s", s->number, line);
			continue;
		}
		advance(s, line);
		if (s->step == GREETING || s->fd != fd)	/* another session by now */
			return;
	}
	if (at == 0 && s->have == sizeof(s->in) - 1)
		die("a reply is too long");
	memmove(s->in, s->in + at, s->have - at);
	s->have = (uint16_t)(s->have - at);
}

static void
usage(void)
{
	die("usage: load [-s SESSIONS] [-m MESSAGES] [-l BYTES] [-k] [-p] [-d DOMAINS] [-f FROM] [-t RECIPIENT] [-r FILE] "
	    "[-w MILLISECONDS] [-c CLIENT] [-i CONNECTIONS] ADDRESS PORT");
}

static void
arguments(int argc, char **argv)
{
	static char to[256] = "r@sink.test";
	char *at;
	int c;

	while ((c = getopt(argc, argv, "s:m:l:kpd:f:t:r:w:c:i:")) != -1)
		switch (c) {
		case 's': o.sessions = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'm': o.messages = strtoull(optarg, NULL, 10); break;
		case 'l': o.length = strtoul(optarg, NULL, 10); break;
		case 'k': o.keep = true; break;
		case 'p': o.pipeline = true; break;
		case 'd': o.domains = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'f': o.from = optarg; break;
		case 't': snprintf(to, sizeof(to), "%s", optarg); break;
		case 'r': o.records = optarg; break;
		case 'w': o.pause = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'c': o.client = optarg; break;
		case 'i': o.sessions = (unsigned)strtoul(optarg, NULL, 10); o.idle = true; break;
		default: usage();
		}
	if (argc - optind != 2)
		usage();
	at = strchr(to, '@');
	if (at == NULL)
		usage();
	*at = '\0';
	o.user = to;
	o.domain = at + 1;
	o.server.sin_family = AF_INET;
	o.server.sin_port = htons((uint16_t)strtoul(argv[optind + 1], NULL, 10));
	if (inet_pton(AF_INET, argv[optind], &o.server.sin_addr) != 1)
		die("%s is no IPv4 address", argv[optind]);
	if (!o.idle && o.sessions > o.messages)
		o.sessions = (unsigned)o.messages;
	if (o.sessions == 0)
		usage();
}

int
main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	struct session *sessions;
	uint64_t began;
	bool told = false;

	arguments(argc, argv);
	make_content();
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sessions = calloc(o.sessions, sizeof(*sessions));
	if (epoll < 0 || sessions == NULL)
		die("no memory");
	if (o.records != NULL && (records = fopen(o.records, "w")) == NULL)
		die("%s: %s", o.records, strerror(errno));
	if (o.idle) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

		epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e);
	}
	began = now();
	for (unsigned i = 0; i < o.sessions; i++)
		open_session(&sessions[i]);
	while (alive > 0) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				return 0;	/* nobody wants the idle connections any more */
			readable(events[i].data.ptr);
		}
		if (o.idle && held == o.sessions && !told) {
			told = true;
			puts("held");
			fflush(stdout);
		}
	}
	printf("%.6f\n", (double)(now() - began) / 1e9);
	if (records != NULL && fclose(records) != 0)
		die("%s: %s", o.records, strerror(errno));
	return finished == o.messages ? 0 : 1;
}
