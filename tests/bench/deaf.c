/* tests/bench/deaf.c -- a server that greets, reads away what it is sent, and does nothing else: what an attack costs the
 * machine, whoever is attacked.
 *
 *	deaf ADDRESS PORT...
 *
 * "ready" is printed when it listens. */
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, BACKLOG = 4096, ACCEPTS_A_TURN = 64 };

static int epoll;

static void
add(int fd, bool listens)
{
	struct epoll_event e = { EPOLLIN, { .u64 = (uint64_t)fd << 1 | (unsigned)listens } };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == -1)
		die("epoll: %s", strerror(errno));
}

static int
listen_at(struct in_addr address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = address };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) == -1 || listen(fd, BACKLOG) == -1)
		die("port %s: %s", port, strerror(errno));
	return fd;
}

static void
take(int listener)
{
	static const char greeting[] = "220 deaf.test ESMTP\r\n";

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage peer;
		socklen_t n = sizeof peer;
		int fd = accept4(listener, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd == -1)
			return;
		add(fd, false);
		(void)send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
	}
}

static void
hear(int fd)
{
	char in[4096];
	ssize_t n = recv(fd, in, sizeof in, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		(void)close(fd);
}

int
main(int argc, char **argv)
{
	static struct epoll_event events[EVENTS];
	struct rlimit files;
	unsigned n_listening = 0;
	int listening[64];
	struct in_addr address;

	if (argc < 3 || inet_pton(AF_INET, argv[1], &address) != 1)
		die("usage: deaf ADDRESS PORT...");
	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 2; i < argc && n_listening < sizeof listening / sizeof *listening; i++)
		listening[n_listening++] = listen_at(address, argv[i]);
	/* Two processes, as there may be more connections than one may have descriptors. The other ends with this one. */
	if (fork() == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < n_listening; i++)
		add(listening[i], true);
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if ((events[i].data.u64 & 1) != 0)
				take((int)(events[i].data.u64 >> 1));
			else
				hear((int)(events[i].data.u64 >> 1));
	}
}
