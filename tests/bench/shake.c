/* tests/bench/shake.c -- TLS handshakes with an SMTP server, as fast as it takes them.
 *
 *	shake [-n HANDSHAKES] [-p PROCESSES] [-r] ADDRESS PORT
 *
 * Each process does one after the other: connection, EHLO, STARTTLS, a TLS 1.3 handshake, QUIT. -r: all but the first of a
 * process are resumed with a ticket of the first. At the end it prints the seconds, and how many were resumed.
 *
 * The client is GnuTLS: on the processors that the server needs it takes half of what OpenSSL's takes, and what is measured is
 * the server. It offers what OpenSSL's offers first, so that both servers choose the same. */
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static const char priorities[] = "NONE:+VERS-TLS1.3:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:+AEAD:+SHA384:+SHA256:"
    "+GROUP-X25519:+GROUP-SECP256R1:+CTYPE-X509:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-RSA-PSS-RSAE-SHA256";

/* The ticket of the first handshake. */
static gnutls_datum_t ticket;

/* What all handshakes of a process share. */
struct client {
	gnutls_priority_t priority;
	gnutls_certificate_credentials_t credentials;
};

/* A call of the library went well, or the program ends. */
static void
must(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, gnutls_strerror(r));
}

/* Ends the session well: QUIT, and its reply, which the tickets come before. */
static void
quit(gnutls_session_t tls)
{
	char in[512];
	ssize_t n;

	must((int)gnutls_record_send(tls, "QUIT\r\n", 6), "QUIT");
	do
		n = gnutls_record_recv(tls, in, sizeof in);
	while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
	if (n <= 0)
		die("the server closed the connection");
	(void)gnutls_bye(tls, GNUTLS_SHUT_WR);
}

static gnutls_session_t
new_session(const struct client *c, int fd)
{
	gnutls_session_t tls;

	/* One share, as most clients send: not one for each kind of group. */
	must(gnutls_init(&tls, GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP), "a session");
	must(gnutls_priority_set(tls, c->priority), "priorities");
	must(gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, c->credentials), "credentials");
	gnutls_transport_set_int(tls, fd);
	if (ticket.data != NULL)
		must(gnutls_session_set_data(tls, ticket.data, ticket.size), "the ticket");
	return tls;
}

/* QUIT does not wait for the acknowledgement of the handshake's last words, which a server that has nothing to say puts off by
 * 40 ms. */
static int
connection(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == -1 ||
	    connect(fd, (const struct sockaddr *)&o.server, sizeof o.server) == -1)
		die("cannot connect: %s", strerror(errno));
	return fd;
}

/* True: it was resumed. */
static bool
shake(const struct client *c)
{
	int fd = connection(), r;
	gnutls_session_t tls;
	bool resumed;

	expect(fd, '2');
	say(fd, "EHLO client.test\r\n");
	expect(fd, '2');
	say(fd, "STARTTLS\r\n");
	expect(fd, '2');
	tls = new_session(c, fd);
	do
		r = gnutls_handshake(tls);
	while (r < 0 && gnutls_error_is_fatal(r) == 0);
	must(r, "the handshake");
	resumed = gnutls_session_is_resumed(tls) != 0;
	quit(tls);
	if (o.resume && ticket.data == NULL)
		must(gnutls_session_get_data2(tls, &ticket), "no ticket came");
	gnutls_deinit(tls);
	(void)close(fd);
	return resumed;
}

static unsigned
work(unsigned n)
{
	struct client c;
	unsigned resumed = 0;

	must(gnutls_priority_init(&c.priority, priorities, NULL), "priorities");
	must(gnutls_certificate_allocate_credentials(&c.credentials), "credentials");
	while (n-- > 0)
		resumed += shake(&c);
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
