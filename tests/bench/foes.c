/* tests/bench/foes.c -- slow and hostile clients, from every address of a /16.
 *
 *	foes [-n CONNECTIONS] [-r CONNECTIONS_A_SECOND] [-s MILLISECONDS] ADDRESS PORT [TLS_PORT [SUBMISSION_PORT]]
 *
 * Of the connections, in this order of their shares (see kinds[]): some send a command byte by byte, some the content of a
 * message, some do the same broken TLS handshake over and over (they make the server sign and do nothing themselves), some
 * guess passwords, some come and go. Each does something every so many milliseconds (-s, 3000), and comes again when it was
 * thrown out or is done, all of them together at most so many a second (-r, 1000): that is what this machine's attackers can
 * do, and it is a number, so that a server that throws them out faster is not attacked more for it than it says here.
 *
 * "ready" is printed when each has come once. When the standard input ends, so do they, and what they did is printed:
 * connections made, connections that the server closed, handshakes answered, guesses answered. Without TLS_PORT or
 * SUBMISSION_PORT those kinds are divided among the others. */
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENTS = 512,
	HELLO_MAX = 4096,
	TURN_MS = 20,
	SLOTS = 512,		/* of the wheel: turns ahead that a move can be planned for */
	NETWORK = 10 << 24 | 66 << 16,
};

enum kind { DRIBBLE, CONTENT, STORM, GUESS, COME_AND_GO, KINDS };

static const unsigned shares[KINDS] = { [DRIBBLE] = 30, [CONTENT] = 25, [STORM] = 15, [GUESS] = 15, [COME_AND_GO] = 15 };

struct foe {
	struct foe *next;		/* waiting, or in a slot of the wheel */
	int fd;
	enum kind kind;
	unsigned stage;
	bool planned, heard;
};

static struct {
	unsigned n, rate, step;
	struct in_addr server;
	in_port_t ports[KINDS];
} o = { .n = 20000, .rate = 1000, .step = 3000 };

static struct foe *wheel[SLOTS], *waiting, **waiting_end = &waiting;
static uint64_t turn;
static int epoll;
static uint8_t hello[HELLO_MAX];
static size_t hello_length;
static uint64_t came, closed, shaken, guessed;

/* A TLS client's first message, made once: the server cannot tell it from a fresh one. */
static void
make_hello(void)
{
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int n;

	if (ssl == NULL || in == NULL || out == NULL)
		die("no TLS");
	SSL_set_bio(ssl, in, out);
	(void)SSL_connect(ssl);
	n = BIO_read(out, hello, sizeof hello);
	if (n <= 0)
		die("no TLS client's hello");
	hello_length = (size_t)n;
	SSL_free(ssl);
}

static void
wait_again(struct foe *f)
{
	f->next = NULL;
	*waiting_end = f;
	waiting_end = &f->next;
}

/* Its next move comes so many milliseconds from now. */
static void
plan(struct foe *f, unsigned ms)
{
	struct foe **slot = &wheel[(turn + 1 + ms / TURN_MS) % SLOTS];

	f->planned = true;
	f->next = *slot;
	*slot = f;
}

/* It is in the wheel still, and comes back from there. */
static void
over(struct foe *f)
{
	(void)close(f->fd);
	f->fd = -1;
	if (!f->planned)
		wait_again(f);
}

static void
come(struct foe *f)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_addr = o.server };
	struct epoll_event e = { EPOLLIN, { .ptr = f } };
	int one = 1;

	from.sin_addr.s_addr = htonl((uint32_t)NETWORK | (uint32_t)(random() & 0xff) << 8 | (uint32_t)(1 + random() % 254));
	to.sin_port = o.ports[f->kind];
	f->stage = 0;
	f->heard = false;
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd == -1)
		die("no socket: %s", strerror(errno));
	(void)setsockopt(f->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	if (bind(f->fd, (struct sockaddr *)&from, sizeof from) == -1)
		die("no address: %s", strerror(errno));
	if ((connect(f->fd, (struct sockaddr *)&to, sizeof to) == -1 && errno != EINPROGRESS) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, f->fd, &e) == -1) {
		over(f);
		return;
	}
	came++;
	plan(f, 200 + (unsigned)random() % o.step);
}

static bool
say(struct foe *f, const void *bytes, size_t n)
{
	return send(f->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n || errno == EAGAIN;
}

static bool
say_words(struct foe *f, const char *words)
{
	return say(f, words, strlen(words));
}

static bool
send_content(struct foe *f, unsigned stage)
{
	static const char *const steps[] = { "EHLO foe.test\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<alice@postern.test>\r\n",
	    "DATA\r\n" };

	return say_words(f, stage < sizeof steps / sizeof *steps ? steps[stage] : "x");
}

/* One of many users, and a password that is wrong. */
static bool
guess(struct foe *f)
{
	unsigned char plain[64], text[2 * sizeof plain];
	char line[sizeof text + 32];
	int n = snprintf((char *)plain, sizeof plain, "%cuser%ld%cwrong%ld", '\0', random() % 5000, '\0', random());

	(void)EVP_EncodeBlock(text, plain, n);
	n = snprintf(line, sizeof line, "AUTH PLAIN %s\r\n", (const char *)text);
	return say(f, line, (size_t)n);
}

/* False: it is done, or lost. */
static bool
move(struct foe *f)
{
	unsigned stage = f->stage++;

	switch (f->kind) {
	case DRIBBLE:
		return say_words(f, "E");
	case CONTENT:
		return send_content(f, stage);
	case STORM:
		return stage == 0 && say(f, hello, hello_length);
	case GUESS:
		return stage == 0 ? say_words(f, "EHLO foe.test\r\n") : guess(f);
	case COME_AND_GO:
	case KINDS:
		break;
	}
	return false;
}

static void
hear(struct foe *f)
{
	char in[4096];
	ssize_t n = recv(f->fd, in, sizeof in, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		closed++;
		over(f);
		return;
	}
	if (n <= 0)
		return;
	if (f->kind == GUESS && f->stage > 1)
		guessed++;
	if (f->kind == STORM && !f->heard)
		shaken++;
	f->heard = true;
}

static void
moves(void)
{
	struct foe *f = wheel[turn % SLOTS];

	wheel[turn % SLOTS] = NULL;
	while (f != NULL) {
		struct foe *next = f->next;

		f->planned = false;
		if (f->fd == -1)
			wait_again(f);
		else if (!move(f))
			over(f);
		else
			plan(f, o.step);
		f = next;
	}
}

static bool
attack(uint64_t began)
{
	static struct epoll_event events[EVENTS];
	static double due;
	static bool ready;
	static uint64_t first;
	int n;

	for (due += o.rate * (TURN_MS / 1000.0); due >= 1 && waiting != NULL; due--) {
		struct foe *f = waiting;

		waiting = f->next;
		if (waiting == NULL)
			waiting_end = &waiting;
		come(f);
		first++;
	}
	if (due > 1)
		due = 1;	/* nobody waited: what is not used is not saved up */
	if (!ready && first >= o.n) {
		ready = true;
		(void)puts("ready");
		(void)fflush(stdout);
	}
	while ((n = epoll_wait(epoll, events, EVENTS, 0)) > 0) {
		for (int i = 0; i < n; i++)
			hear(events[i].data.ptr);
		if (n < EVENTS)
			break;
	}
	moves();
	turn++;
	for (;;) {
		struct pollfd input = { 0, POLLIN, 0 };
		uint64_t at = began + turn * TURN_MS * 1000000, t = now();

		if (poll(&input, 1, at > t ? (int)((at - t + 999999) / 1000000) : 0) == 1)
			return false;
		if (now() >= at)
			return true;
	}
}

static void
make_foes(void)
{
	unsigned kind = 0, all = 0;

	for (unsigned k = 0; k < KINDS; k++)
		all += o.ports[k] != 0 ? shares[k] : 0;
	for (unsigned i = 0; i < o.n; i++) {
		struct foe *f = calloc(1, sizeof *f);
		unsigned at = (unsigned)((uint64_t)i * 7919 % all);

		if (f == NULL)
			die("no memory");
		/* All kinds come from the beginning. */
		for (kind = 0; at >= (o.ports[kind] != 0 ? shares[kind] : 0); kind++)
			at -= o.ports[kind] != 0 ? shares[kind] : 0;
		f->kind = (enum kind)kind;
		f->fd = -1;
		wait_again(f);
	}
}

static in_port_t
port(const char *text)
{
	return text == NULL ? 0 : htons((uint16_t)strtoul(text, NULL, 10));
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	uint64_t began;
	char *end;
	int c;

	while ((c = getopt(argc, argv, "n:r:s:")) != -1) {
		unsigned value = c == '?' ? 0 : (unsigned)strtoul(optarg, &end, 10);

		if (c == 'n')
			o.n = value;
		else if (c == 'r')
			o.rate = value;
		else if (c == 's')
			o.step = value;
		else
			argc = 0;
	}
	if (argc - optind < 2 || argc - optind > 4 || inet_pton(AF_INET, argv[optind], &o.server) != 1 || o.step < 100 ||
	    o.step + 200 > (SLOTS / 2) * TURN_MS)
		die("usage: foes [-n CONNECTIONS] [-r A_SECOND] [-s MILLISECONDS] ADDRESS PORT [TLS_PORT [SUBMISSION_PORT]]");
	o.ports[DRIBBLE] = o.ports[CONTENT] = o.ports[COME_AND_GO] = port(argv[optind + 1]);
	if (argc - optind > 2)
		o.ports[STORM] = port(argv[optind + 2]);
	if (argc - optind > 3)
		o.ports[GUESS] = port(argv[optind + 3]);
	if (getrlimit(RLIMIT_NOFILE, &files) == -1 || files.rlim_max < o.n + 64)
		die("not so many descriptors: divide them among processes");
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	srandom((unsigned)getpid());
	make_hello();
	make_foes();
	began = now();
	while (attack(began))
		;
	printf("%llu %llu %llu %llu\n", (unsigned long long)came, (unsigned long long)closed, (unsigned long long)shaken,
	    (unsigned long long)guessed);
	return 0;
}
