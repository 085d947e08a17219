/* tests/fuzz/fuzz_room_dovecot.c -- the auth room between smtpds and a Dovecot that have all been broken into. Nobody is let in
 * whom Dovecot has not let in, and Dovecot hears only what its protocol knows. */
#include "tests/fuzz/room.h"

#include "vault/auth.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char greeting[] = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\nMECH\tSCRAM-SHA-256\nMECH\tOAUTHBEARER\n"
    "MECH\tXOAUTH2\nMECH\tSCRAM-SHA-256-PLUS\tchannel-binding\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n";

static struct {
	int fd;			/* our end; -1: none */
	struct buf in;
	unsigned n_ok, n_let_in;
} dovecot;

/* --- in the place of workers.c: Dovecot computes, not we; and threads of low priority would hold up every input --- */

enum rc
workers_start(const struct workers_kind *kind, unsigned threads, struct workers **ret_workers)
{
	(void)kind, (void)threads;
	*ret_workers = NULL;
	return RC_OK;
}

void
workers_attach(struct workers *w, struct loop *loop)
{
	(void)w, (void)loop;
}

enum rc
workers_submit(struct workers *w, struct work *work, unsigned max_waiting)
{
	(void)w, (void)work, (void)max_waiting;
	abort();
}

void
workers_submit_first(struct workers *w, struct work *work)
{
	(void)w, (void)work;
	abort();
}

enum rc
workers_submit_early(struct workers *w, struct work *work, unsigned max_waiting)
{
	(void)w, (void)work, (void)max_waiting;
	abort();
}

bool
workers_take_back(struct workers *w, struct work *work)
{
	(void)w, (void)work;
	return false;
}

void
workers_stop(struct workers *w)
{
	(void)w;
}

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL || sodium_init() == -1)
		abort();
	free(c->auth.dovecot);
	c->auth.dovecot = strdup("/dovecot");
	c->auth.dovecot_max_line = 1024;
	c->auth.max_exchanges = 20;
	c->auth.max_hash_memory = 8192;	/* of the hash that nobody has */
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct auth *auth = calloc(1, sizeof *auth);

	if (auth == NULL || auth_init(auth, w->room.loop, w->room.conf) != RC_OK)
		abort();
	dovecot.fd = -1;
	dovecot.n_ok = dovecot.n_let_in = 0;
	buf_init(&dovecot.in, 1 << 20);
	w->room.ctx = auth;
	auth_use(auth, users_new(), w->room.conf);
	w->watching = true;
}

/* --- what the room says --- */

static void
check_line(struct slice line)
{
	static const struct slice known[] = { SLICE("VERSION\t"), SLICE("CPID\t"), SLICE("AUTH\t"), SLICE("CONT\t"),
	    SLICE("CANCEL\t") };
	size_t i = 0;

	while (i < sizeof known / sizeof known[0] && !slice_starts(line, known[i]))
		i++;
	if (i == sizeof known / sizeof known[0] || line.n >= 1024)
		abort();
	for (i = 0; i < line.n; i++)
		if (line.p[i] != '\t' && (line.p[i] < ' ' || line.p[i] > '~'))
			abort();
}

static void
hear(void)
{
	uint8_t *at = buf_reserve(&dovecot.in, 65536);
	ssize_t n = at == NULL || dovecot.fd == -1 ? 0 : recv(dovecot.fd, at, 65536, MSG_DONTWAIT);

	if (n > 0)
		buf_advance(&dovecot.in, (size_t)n);
	for (;;) {
		struct slice in = buf_slice(&dovecot.in);
		size_t end = slice_find(in, '\n');

		if (end == in.n)
			return;
		check_line(slice_first(in, end));
		buf_consume(&dovecot.in, end + 1);
	}
}

static void
turn(struct fuzz_world *w)
{
	const struct auth *auth = w->room.ctx;

	hear();
	if (auth->exchanges.n > w->room.conf->auth.max_exchanges)
		abort();
}

static void
frame(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice body)
{
	struct rd r = { body, false };
	struct au_ok ok;

	(void)w, (void)e, (void)handle;
	if (type == AU_OK && (!au_ok_get(&r, &ok) || ok.user.n == 0 || ++dovecot.n_let_in > dovecot.n_ok))
		abort();
}

/* --- what Dovecot does --- */

static void
say(struct slice text)
{
	for (size_t i = 0; i + 3 <= text.n; i++)
		dovecot.n_ok += memcmp(text.p + i, "OK\t", 3) == 0;
	if (dovecot.fd != -1)
		(void)send(dovecot.fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
hang_up(void)
{
	hear();
	if (dovecot.fd != -1)
		(void)close(dovecot.fd);
	dovecot.fd = -1;
	buf_clear(&dovecot.in);
}

static void
come(struct auth *auth)
{
	int pair[2];

	if (auth->dovecot.state != DOVECOT_ASKED)
		return;
	hang_up();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		abort();
	dovecot.fd = pair[1];
	dovecot_take(auth, pair[0]);
}

/* An answer to one of the latest requests. */
static void
answer(struct fuzz_world *w, const char *what)
{
	const struct auth *auth = w->room.ctx;
	struct buf line = BUF_INIT(70000);

	(void)buf_printf(&line, "%s\t%u\t", what, auth->dovecot.last_id - rd_u8(&w->in) % 4);
	(void)buf_put_slice(&line, fuzz_text(w));
	(void)buf_put_byte(&line, '\n');
	say(buf_slice(&line));
	buf_free(&line);
}

static void
special(struct fuzz_world *w)
{
	struct auth *auth = w->room.ctx;

	switch (rd_u8(&w->in) % 8) {
	case 0:
		come(auth);
		say(slice_of(greeting, sizeof greeting - 1));
		break;
	case 1:
		come(auth);
		break;
	case 2:
		say(fuzz_text(w));
		break;
	case 3:
		answer(w, "OK");
		break;
	case 4:
		answer(w, "CONT");
		break;
	case 5:
		answer(w, "FAIL");
		break;
	case 6:
		hang_up();
		break;
	default:
		dovecot_failed(auth, "no such file");
	}
}

static void
end(struct fuzz_world *w)
{
	struct auth *auth = w->room.ctx;

	if (auth->exchanges.n > 0 || auth->dovecot.oldest != NULL || auth->dovecot.newest != NULL ||
	    auth->dovecot.requests.n > 0)
		abort();
	auth_free(auth);
	free(auth);
	hang_up();
	buf_free(&dovecot.in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct room_ops all;
	static struct fuzz_room def = { .role = ROLE_AUTH, .ops = &all, .conf = conf, .start = begin, .turn = turn,
	    .special = special,
		.frame = frame, .end = end, .lines = { ROLE_SMTPD, ROLE_SMTPD } };

	/* A new generation comes with files, which is master's affair. */
	all = auth_ops;
	all.adopt = NULL;
	return fuzz_room_run(&def, data, size);
}
