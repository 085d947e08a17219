/* tests/fuzz/fuzz_tls.c -- TLS records thrown at a listener: any bytes from the client where a handshake should be, and
 * behind a good one. Keys sign in this process.
 *
 * The first byte says which listener, and whether a real client shakes hands first (its bytes may be damaged on the way, at
 * the place and by the value of the next two); the rest is sent as it is. Afterwards nothing may be left. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_fixture.h"

#include "smtpd/session.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	IMPLICIT = 1, ASKING = 2, REAL = 4, DAMAGED = 8, OLD = 16,
	TURNS = 12,		/* of client and server: enough for any handshake */
	PIECE_MAX = 64 * 1024,
};

struct world {
	struct fakes f;
	SSL_CTX *client;
};

static struct conf *
make_conf(void)
{
	struct conf *c = tls_conf();
	struct conf_listener *l = tls_conf_listener(c, "implicit");

	free(l->tls);
	l->tls = strdup("implicit");
	for (int i = 0; i < 2; i++) {
		l = tls_conf_listener(c, i == 0 ? "asking" : "both");
		free(l->client_certificate);
		l->client_certificate = strdup("request");
		if (i == 0)
			continue;
		free(l->tls);
		l->tls = strdup("implicit");
	}
	return c;
}

static struct world *
world(void)
{
	static const char *const names[] = { "mx.example.org", "*.example.org", NULL };
	static struct world w;
	static bool ready;

	if (!ready) {
		struct tls_made ec = tls_make("EC", names, NULL), rsa = tls_make("RSA", names, NULL);
		struct tls_identities *ids = tls_identities_new();

		(void)signal(SIGPIPE, SIG_IGN);
		fakes_start(&w.f, make_conf());
		tls_identities_add(ids, &rsa, names);
		tls_identities_add(ids, &ec, names);
		tls_serve(&w.f, ids, S(""));
		identities_unref(ids);
		w.client = SSL_CTX_new(TLS_client_method());
		if (w.client == NULL || SSL_CTX_use_certificate(w.client, ec.certificate) != 1 ||
		    SSL_CTX_use_PrivateKey(w.client, ec.key) != 1)
			abort();
		tls_made_free(&ec);
		tls_made_free(&rsa);
		w.f.impatient = true;
		ready = true;
	}
	return &w;
}

static void
turn(struct fakes *f)
{
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, false);
}

/* What the client has to say goes to the server, a byte of it changed; what the server says comes back. */
static void
pass(struct fakes *f, BIO *from_client, BIO *to_client, size_t *at, size_t where, uint8_t by)
{
	static uint8_t space[PIECE_MAX];
	int n = BIO_read(from_client, space, sizeof space);
	ssize_t heard;

	for (int i = 0; i < n; i++, (*at)++)
		if (*at == where)
			space[i] ^= by;
	if (n > 0)
		(void)send(f->client, space, (size_t)n, MSG_NOSIGNAL);
	turn(f);
	heard = recv(f->client, space, sizeof space, 0);
	if (heard > 0)
		(void)BIO_write(to_client, space, (int)heard);
}

static void
shake(struct world *w, bool old, size_t where, uint8_t by)
{
	SSL *ssl = SSL_new(w->client);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	size_t at = 0;

	if (ssl == NULL || in == NULL || out == NULL)
		abort();
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	(void)SSL_set_max_proto_version(ssl, old ? TLS1_2_VERSION : TLS1_3_VERSION);
	for (int i = 0; i < TURNS; i++) {
		ERR_clear_error();
		(void)SSL_do_handshake(ssl);
		pass(&w->f, out, in, &at, where, by);
	}
	ERR_clear_error();
	if (SSL_is_init_finished(ssl) && SSL_write(ssl, "EHLO x.example\r\nNOOP\r\n", 22) > 0)
		pass(&w->f, out, in, &at, where, by);
	SSL_free(ssl);
	ERR_clear_error();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = world();
	struct fakes *f = &w->f;
	uint8_t how;

	if (size < 4 || size > PIECE_MAX)
		return 0;
	how = data[0];
	f->listener = (how & IMPLICIT) == 0 ? ((how & ASKING) == 0 ? "mx" : "asking") : (how & ASKING) == 0 ? "implicit" : "both";
	(void)fakes_connect(f, "192.0.2.7");
	turn(f);
	if ((how & IMPLICIT) == 0) {
		fakes_send(f, S("EHLO x.example\r\n"), SIZE_MAX);
		fakes_settle(f);
		fakes_send(f, S("STARTTLS\r\n"), SIZE_MAX);
		fakes_settle(f);
	}
	if ((how & REAL) != 0)
		shake(w, (how & OLD) != 0, (how & DAMAGED) == 0 ? SIZE_MAX : (size_t)(data[1] | data[2] << 8), data[3]);
	if (size > 4)
		(void)send(f->client, data + 4, size - 4, MSG_NOSIGNAL);
	turn(f);
	(void)close(f->client);
	f->client = -1;
	fakes_settle(f);
	if (f->smtpd.n_sessions != 0)
		abort();
	buf_free(&f->replies);
	f->closed = false;
	return 0;
}
