/* tests/bench/shake.c -- TLS handshakes with an SMTP server, as fast as it takes them.
 *
 *	shake [-n HANDSHAKES] [-p PROCESSES] [-r] ADDRESS PORT
 *
 * Each process does one after the other: connection, EHLO, STARTTLS, a TLS 1.3 handshake, QUIT. -r: all but the first of a
 * process are resumed with a ticket of the first. At the end it prints the seconds, and how many were resumed. */
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	unsigned n, processes;
	bool resume;
	struct sockaddr_in server;
} o = { .n = 100, .processes = 8 };

/* The whole reply, which may have several lines; it must begin with this digit. */
static void
expect(int fd, char first)
{
	char in[4096];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, in + have, sizeof in - have);
		char *line = in;

		if (n <= 0)
			die("the server closed the connection");
		have += (size_t)n;
		for (char *end; (end = memchr(line, '\n', (size_t)(in + have - line))) != NULL; line = end + 1)
			if (end - line >= 4 && line[3] == ' ') {
				if (line[0] != first)
					die("the server said: %.*s", (int)(end - line), line);
				return;
			}
	}
}

static void
say(int fd, const char *words)
{
	if (write(fd, words, strlen(words)) != (ssize_t)strlen(words))
		die("the connection is lost");
}

/* The ticket of the first handshake, as bytes: what is made of them is fresh each time, while a session that was resumed is
 * marked as used up. */
static unsigned char *ticket;
static int ticket_length;

static int
on_session(SSL *ssl, SSL_SESSION *fresh)
{
	(void)ssl;
	if (ticket == NULL)
		ticket_length = i2d_SSL_SESSION(fresh, &ticket);
	return 0;
}

static void
resume(SSL *ssl)
{
	const unsigned char *at = ticket;
	SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, ticket_length);

	if (session == NULL || SSL_set_session(ssl, session) != 1)
		die("the session cannot be resumed");
	SSL_SESSION_free(session);
}

/* True: it was resumed. */
static bool
shake(SSL_CTX *ctx)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl = SSL_new(ctx);
	bool resumed;
	char in[512];

	if (fd == -1 || connect(fd, (const struct sockaddr *)&o.server, sizeof o.server) == -1)
		die("cannot connect: %s", strerror(errno));
	expect(fd, '2');
	say(fd, "EHLO client.test\r\n");
	expect(fd, '2');
	say(fd, "STARTTLS\r\n");
	expect(fd, '2');
	SSL_set_fd(ssl, fd);
	if (o.resume && ticket != NULL)
		resume(ssl);
	if (SSL_connect(ssl) != 1)
		die("the handshake failed");
	resumed = SSL_session_reused(ssl) == 1;
	/* The tickets come before the reply. */
	if (SSL_write(ssl, "QUIT\r\n", 6) != 6 || SSL_read(ssl, in, sizeof in) <= 0)
		die("the server closed the connection");
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	(void)close(fd);
	return resumed;
}

static unsigned
work(unsigned n)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	unsigned resumed = 0;

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	while (n-- > 0)
		resumed += shake(ctx);
	return resumed;
}

int
main(int argc, char **argv)
{
	unsigned resumed = 0;
	uint64_t began;
	int pipes[2], c;

	while ((c = getopt(argc, argv, "n:p:r")) != -1) {
		if (c == 'n')
			o.n = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'p')
			o.processes = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			o.resume = true;
		else
			die("usage: shake [-n HANDSHAKES] [-p PROCESSES] [-r] ADDRESS PORT");
	}
	if (argc - optind != 2 || o.processes == 0)
		die("usage: shake [-n HANDSHAKES] [-p PROCESSES] [-r] ADDRESS PORT");
	o.server.sin_family = AF_INET;
	o.server.sin_port = htons((uint16_t)strtoul(argv[optind + 1], NULL, 10));
	if (inet_pton(AF_INET, argv[optind], &o.server.sin_addr) != 1 || pipe2(pipes, O_CLOEXEC) == -1)
		die("no address: %s", argv[optind]);
	began = now();
	for (unsigned i = 0; i < o.processes; i++) {
		pid_t pid = fork();

		if (pid == -1)
			die("no process");
		if (pid == 0) {
			unsigned mine = work(o.n / o.processes + (i < o.n % o.processes));

			_exit(write(pipes[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
		}
	}
	for (unsigned i = 0; i < o.processes; i++) {
		unsigned its;
		int status;

		if (wait(&status) == -1 || status != 0)
			die("a client failed");
		if (read(pipes[0], &its, sizeof its) == (ssize_t)sizeof its)
			resumed += its;
	}
	printf("%.6f %u\n", (double)(now() - began) / 1e9, resumed);
	return 0;
}
