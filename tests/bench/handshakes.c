/* tests/bench/handshakes.c -- what the vault costs: TLS 1.3 handshakes a second with the key in the server's process, and with
 * the key in the vault, which is another process; in turns, with the same clients, over socket pairs.
 *
 *	handshakes [KIND [HANDSHAKES [ROUNDS [CLIENTS]]]]	KIND: RSA or P-256
 *
 * The server is smtpd's own way to the vault and nothing else of smtpd, so the share of a handshake that is TLS is as large as
 * it can be, and what the vault adds is seen best. Printed: handshakes a second, and processor time of server and vault for
 * each, in microseconds; medians, and the median of the ratios of each round. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/bench/tool.h"
#include "tests/tls/hall.h"
#include "tests/tls/keys.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, ROUNDS_MAX = 101 };

struct line {
	struct server *server;
	struct watch watch;
	SSL *ssl;
	bool stands;		/* for the vault */
};

struct server {
	struct hall hall;
	SSL_CTX *ctx;
	struct line lines[CLIENTS_MAX];
	unsigned n_lines, done, wanted;
};

static double
cpu(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* One handshake after the other on the same descriptor, until it is closed. */
static void
be_client(int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	for (;;) {
		SSL *ssl = SSL_new(ctx);

		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) != 1)
			_exit(0);
		SSL_free(ssl);
	}
}

static void drive(struct line *l);

static int
on_signed(SSL *ssl, void *arg)
{
	struct line *l = arg;

	(void)ssl;
	l->stands = false;
	drive(l);
	return 1;
}

static void
renew(struct line *l)
{
	l->ssl = SSL_new(l->server->ctx);
	SSL_set_fd(l->ssl, l->watch.fd);
	SSL_set_accept_state(l->ssl);
	SSL_set_async_callback(l->ssl, on_signed);
	SSL_set_async_callback_arg(l->ssl, l);
}

static void
drive(struct line *l)
{
	int r = SSL_do_handshake(l->ssl), what = SSL_get_error(l->ssl, r);

	if (r == 1) {
		SSL_free(l->ssl);
		renew(l);
		if (++l->server->done == l->server->wanted)
			loop_stop(l->server->hall.loop);
	} else if (what == SSL_ERROR_WANT_ASYNC)
		l->stands = true;
	else if (what != SSL_ERROR_WANT_READ)
		die("a handshake failed: %d", what);
	watch_set(&l->watch, !l->stands, false);
}

static void
on_readable(struct watch *w, bool readable, bool writable, void *ctx)
{
	(void)w, (void)readable, (void)writable;
	drive(ctx);
}

/* The other process of the house. */
static pid_t
start_vault(struct server *s)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 || (pid = fork()) == -1)
		die("no process");
	if (pid == 0) {
		struct vault room;
		struct keys keys = s->hall.vault.keys;
		struct loop *loop = loop_new();

		(void)close(pair[0]);
		vault_open(&room, loop, s->hall.conf);
		room.keys = keys;
		vault_line(&room, ROLE_SMTPD, 0, pair[1]);
		loop_run(loop);
		_exit(0);
	}
	(void)close(pair[1]);
	smtpd_take_line(&s->hall.smtpd, ROLE_VAULT, 0, pair[0]);
	while (!vault_ready(&s->hall.smtpd.vault))
		loop_turn(s->hall.loop, true);
	return pid;
}

static void
measure(const char *kind, EVP_PKEY *key, X509 *leaf, bool vault, unsigned wanted, unsigned clients, double *ret_rate,
    double *ret_cpu)
{
	static struct server s;
	pid_t pids[CLIENTS_MAX], signer = -1;
	double before, children, began;

	memset(&s, 0, sizeof s);
	hall_open(&s.hall);
	s.hall.conf->vault.max_rate = 1000000;
	hall_give(&s.hall, kind, key, leaf);
	hall_switch(&s.hall);
	s.wanted = wanted;
	s.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_num_tickets(s.ctx, 0);
	SSL_CTX_set_min_proto_version(s.ctx, TLS1_3_VERSION);
	SSL_CTX_use_certificate(s.ctx, leaf);
	SSL_CTX_use_PrivateKey(s.ctx, vault ? s.hall.smtpd.identities->v[0].key : key);
	for (unsigned i = 0; i < clients; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 || (pids[i] = fork()) == -1)
			die("no process");
		if (pids[i] == 0) {
			for (int fd = 3; fd < 1024; fd++)
				if (fd != pair[1])
					(void)close(fd);
			be_client(pair[1]);
		}
		(void)close(pair[1]);
		s.lines[i].server = &s;
		watch_init(&s.lines[i].watch, s.hall.loop, pair[0], on_readable, &s.lines[i]);
	}
	if (vault) {
		signer = start_vault(&s);
		SSL_CTX_set_mode(s.ctx, SSL_MODE_ASYNC);
	}
	for (unsigned i = 0; i < clients; i++) {
		int fd = s.lines[i].watch.fd;

		if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
			die("a descriptor");
		renew(&s.lines[i]);
		watch_set(&s.lines[i].watch, true, false);
	}
	before = cpu(RUSAGE_SELF);
	began = (double)now() / 1e9;
	loop_run(s.hall.loop);
	*ret_rate = wanted / ((double)now() / 1e9 - began);
	before = cpu(RUSAGE_SELF) - before;
	for (unsigned i = 0; i < clients; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	children = cpu(RUSAGE_CHILDREN);
	if (signer != -1) {
		(void)kill(signer, SIGKILL);
		(void)waitpid(signer, NULL, 0);
		before += cpu(RUSAGE_CHILDREN) - children;
	}
	*ret_cpu = before / wanted * 1e6;
	for (unsigned i = 0; i < clients; i++) {
		watch_stop(&s.lines[i].watch);
		vault_abandon(&s.hall.smtpd.vault, s.lines[i].ssl);
		SSL_free(s.lines[i].ssl);
		(void)close(s.lines[i].watch.fd);
	}
	SSL_CTX_free(s.ctx);
	hall_close(&s.hall);
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double *v, unsigned n)
{
	qsort(v, n, sizeof *v, by_size);
	return v[n / 2];
}

int
main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "RSA";
	unsigned wanted = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2000, rounds = argc > 3 ?
	    (unsigned)strtoul(argv[3], NULL, 10) : 5;
	unsigned clients = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 16;
	double rate[2][ROUNDS_MAX], spent[2][ROUNDS_MAX], ratio[ROUNDS_MAX];
	EVP_PKEY *key = test_make_key(kind);
	X509 *leaf = test_make_certificate(key, "mail.example.org");

	(void)signal(SIGPIPE, SIG_IGN);
	if (rounds == 0 || rounds > ROUNDS_MAX || clients == 0 || clients > CLIENTS_MAX)
		die("rounds 1 to %d, clients 1 to %d", ROUNDS_MAX, CLIENTS_MAX);
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned k = 0; k < 2; k++) {
			unsigned vault = (i + k) % 2;

			measure(kind, key, leaf, vault != 0, wanted, clients, &rate[vault][i], &spent[vault][i]);
		}
		ratio[i] = rate[1][i] / rate[0][i];
		printf("round %u: in process %.0f/s %.0f us, vault %.0f/s %.0f us\n", i + 1, rate[0][i], spent[0][i], rate[1][i],
		    spent[1][i]);
		(void)fflush(stdout);
	}
	printf("%s: in process %.0f/s %.0f us, vault %.0f/s %.0f us, ratio %.2f\n", kind, median(rate[0], rounds),
	    median(spent[0], rounds), median(rate[1], rounds), median(spent[1], rounds), median(ratio, rounds));
	return 0;
}
