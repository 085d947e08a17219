/* tests/bench/sink.c -- takes mail as fast as a server brings it; made to cost little itself.
 *
 *	sink [-n MESSAGES] [-r FILE] ADDRESS:PORT[/hang]...
 *
 * Says "ready" when it listens. -n: prints the time (nanoseconds of the monotonic clock) when so many messages have
 * arrived. -r: for each message 16 bytes, its number and when it arrived. /hang: accepts connections there and never says
 * a word. SIGTERM ends it; the last line says how many messages came.					*/
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, LINE_MAX_ = 2048, READ_MAX = 65536, OUT_MAX = 4096, NUMBER_DIGITS = 12 };

struct session {
	int fd;
	bool listener, hang, content;
	unsigned matched;		/* bytes of CRLF.CRLF seen */
	uint16_t have;			/* of a command line, or of the number behind "Subject: bench " */
	uint16_t out_length;
	uint64_t number;
	bool numbered;
	char line[LINE_MAX_];
	char out[OUT_MAX];
};

struct record {
	uint64_t number, arrived;
};

static const char mark[] = "Subject: bench ";
static int epoll;
static uint64_t wanted, arrived;
static FILE *records;
static volatile sig_atomic_t stopped;

static void
on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static void
reply(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (n <= sizeof(s->out) - s->out_length) {
		memcpy(s->out + s->out_length, text, n);
		s->out_length = (uint16_t)(s->out_length + n);
	}
}

static void
message_arrived(struct session *s)
{
	arrived++;
	if (records != NULL) {
		struct record r = { s->numbered ? s->number : UINT64_MAX, now() };

		if (fwrite(&r, sizeof(r), 1, records) != 1)
			die("the records: %s", strerror(errno));
	}
	reply(s, "250 2.0.0 taken\r\n");
	s->content = false;
	s->have = 0;
	if (arrived == wanted) {
		printf("%" PRIu64 "\n", now());
		fflush(stdout);
	}
}

/* A command; false: the session ends with what has been replied. */
static bool
command(struct session *s, const char *line)
{
	if (strncasecmp(line, "EHLO", 4) == 0)
		reply(s, "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 4294967296\r\n250 8BITMIME\r\n");
	else if (strncasecmp(line, "DATA", 4) == 0) {
		reply(s, "354 go\r\n");
		s->content = true;
		s->numbered = false;
		s->have = 0;
		s->matched = 2;		/* the end of the command line is the CRLF before a first dot */
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		reply(s, "221 bye\r\n");
		return false;
	} else
		reply(s, "250 2.0.0 ok\r\n");
	return true;
}

/* Takes content up to its end; returns how many bytes it used. */
static size_t
content(struct session *s, const char *p, size_t length)
{
	static const char end[] = "\r\n.\r\n";
	size_t i = 0;

	if (!s->numbered) {
		const char *found = memmem(p, length, mark, sizeof(mark) - 1);

		/* A mark that is cut by the end of a read is missed, and the record has no number. */
		if (found != NULL && (size_t)(p + length - found) >= sizeof(mark) - 1 + NUMBER_DIGITS) {
			s->number = strtoull(found + sizeof(mark) - 1, NULL, 10);
			s->numbered = true;
		}
	}
	while (i < length) {
		if (s->matched == 0) {
			const char *cr = memchr(p + i, '\r', length - i);

			if (cr == NULL)
				return length;
			i = (size_t)(cr - p) + 1;
			s->matched = 1;
			continue;
		}
		if (p[i] == end[s->matched]) {
			i++;
			if (++s->matched == sizeof(end) - 1) {
				message_arrived(s);
				return i;
			}
		} else
			s->matched = 0;
	}
	return i;
}

static void
end_session(struct session *s)
{
	close(s->fd);
	free(s);
}

static void
readable(struct session *s)
{
	static char in[READ_MAX];
	ssize_t n = recv(s->fd, in, sizeof(in), MSG_DONTWAIT);
	bool go_on = true;
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_session(s);
		return;
	}
	while (at < (size_t)n && go_on) {
		const char *p = in + at, *lf;
		size_t part;

		if (s->hang)
			return;
		if (s->content) {
			at += content(s, p, (size_t)n - at);
			continue;
		}
		lf = memchr(p, '\n', (size_t)n - at);
		part = lf != NULL ? (size_t)(lf - p) + 1 : (size_t)n - at;
		if (part > sizeof(s->line) - 1 - s->have)
			die("a command line is too long");
		memcpy(s->line + s->have, p, part);
		s->have = (uint16_t)(s->have + part);
		at += part;
		if (lf == NULL)
			break;
		s->line[s->have] = '\0';
		s->have = 0;
		go_on = command(s, s->line);
	}
	if (s->out_length > 0) {
		/* Small enough for any socket's buffer; a peer that reads nothing loses its replies, not ours. */
		if (send(s->fd, s->out, s->out_length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			go_on = false;
		s->out_length = 0;
	}
	if (!go_on)
		end_session(s);
}

static struct session *
watch(int fd)
{
	struct session *s = calloc(1, sizeof(*s));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };

	if (s == NULL)
		die("no memory");
	s->fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
	return s;
}

static void
accept_some(struct session *listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct session *s = watch(fd);

		s->hang = listener->hang;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!s->hang && send(fd, "220 sink.test ESMTP\r\n", 21, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			end_session(s);
	}
}

static void
listen_at(char *where)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char *hang = strchr(where, '/'), *port;
	struct session *s;
	int fd, one = 1;

	if (hang != NULL)
		*hang++ = '\0';
	port = strchr(where, ':');
	if (port == NULL || (hang != NULL && strcmp(hang, "hang") != 0))
		die("usage: sink [-n MESSAGES] [-r FILE] ADDRESS:PORT[/hang]...");
	*port++ = '\0';
	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, where, &a.sin_addr) != 1)
		die("%s is no IPv4 address", where);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 4096) != 0)
		die("%s:%s: %s", where, port, strerror(errno));
	s = watch(fd);
	s->listener = true;
	s->hang = hang != NULL;
}

int
main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_term };
	struct rlimit files = { 65536, 65536 };
	const char *file = NULL;
	int c;

	while ((c = getopt(argc, argv, "n:r:")) != -1)
		switch (c) {
		case 'n': wanted = strtoull(optarg, NULL, 10); break;
		case 'r': file = optarg; break;
		default: die("usage: sink [-n MESSAGES] [-r FILE] ADDRESS:PORT[/hang]...");
		}
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll: %s", strerror(errno));
	if (file != NULL && (records = fopen(file, "w")) == NULL)
		die("%s: %s", file, strerror(errno));
	for (int i = optind; i < argc; i++)
		listen_at(argv[i]);
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (s->listener)
				accept_some(s);
			else
				readable(s);
		}
	}
	printf("%" PRIu64 "\n", arrived);
	if (records != NULL && fclose(records) != 0)
		die("%s: %s", file, strerror(errno));
	return 0;
}
