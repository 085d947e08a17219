/* tests/tls/hall.c -- see hall.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/tls/hall.h"

#include "tests/tls/keys.h"

#include <sys/socket.h>
#include <unistd.h>

enum { STEPS_MAX = 10000 };

void
hall_turns(struct hall *h, unsigned n)
{
	while (n-- > 0)
		loop_turn(h->loop, false);
}

void
hall_connect(struct hall *h)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	vault_line(&h->vault, ROLE_SMTPD, 0, pair[0]);
	smtpd_take_line(&h->smtpd, ROLE_VAULT, 0, pair[1]);
	hall_turns(h, 4);
	assert_true(vault_ready(&h->smtpd.vault));
}

void
hall_hang_up(struct hall *h)
{
	peer_drop(h->vault.askers[0]->peer, NULL);
	hall_turns(h, 4);
}

void
hall_open(struct hall *h)
{
	struct buf why = BUF_INIT(1024);

	memset(h, 0, sizeof *h);
	h->loop = loop_new();
	h->conf = conf_new();
	assert_non_null(h->loop);
	assert_non_null(h->conf);
	assert_int_equal(keys_prepare(&why), RC_OK);
	vault_open(&h->vault, h->loop, h->conf);
	smtpd_init(&h->smtpd, h->loop, h->conf);
	assert_int_equal(vault_prepare(&h->smtpd.vault, &why), RC_OK);
	hall_connect(h);
}

void
hall_close(struct hall *h)
{
	smtpd_free(&h->smtpd);
	vault_close(&h->vault);
	conf_unref(h->conf);
	loop_free(h->loop);
}

/* --- keys and certificates --- */

static void
give_key(struct hall *h, EVP_PKEY *key, struct slice id)
{
	struct buf why = BUF_INIT(1024);
	int fd = test_key_file(key);

	assert_int_equal(keys_arrive(&h->vault.keys, h->serial, id, fd, &why), RC_OK);
	(void)close(fd);
	buf_free(&why);
}

void
hall_give(struct hall *h, const char *title, EVP_PKEY *key, X509 *leaf)
{
	uint8_t id[IDENTITY_KEY_ID];
	struct identity_head head = { slice_of(id, sizeof id), 1, 1 };
	struct m_file m = { h->serial, FILE_CHAIN, slice_str(title), S("") };
	struct buf run = BUF_INIT(IDENTITY_BYTES_MAX);
	unsigned char *der = NULL;
	int n = i2d_X509(leaf, &der);

	test_key_id(key, id);
	give_key(h, key, slice_of(id, sizeof id));
	assert_true(identity_put_head(&run, &head) && identity_put_item(&run, slice_str(title)) &&
	    identity_put_item(&run, slice_of(der, (size_t)n)));
	identity_file(&h->smtpd, &m, test_memory_file(buf_slice(&run)));
	OPENSSL_free(der);
	buf_free(&run);
}

void
hall_switch(struct hall *h)
{
	assert_int_equal(keys_adopt(&h->vault.keys, h->serial), RC_OK);
	assert_null(identities_adopt(&h->smtpd, h->serial));
	h->serial++;
}

void
hall_furnish(struct hall *h, const char *kind)
{
	EVP_PKEY *key = test_make_key(kind);
	X509 *leaf = test_make_certificate(key, "mail.example.org");

	hall_open(h);
	hall_give(h, "mail.example.org", key, leaf);
	hall_switch(h);
	assert_int_equal(h->smtpd.identities->n, 1);
	X509_free(leaf);
	EVP_PKEY_free(key);
}

/* --- handshakes --- */

static int
on_signed(SSL *ssl, void *arg)
{
	struct shake *s = arg;

	(void)ssl;
	s->woken = true;
	return 1;
}

void
shake_begin(struct shake *s, struct hall *h, const struct tls_identity *id, int version)
{
	BIO *a, *b;

	*s = (struct shake){ .hall = h };
	s->server_ctx = SSL_CTX_new(TLS_server_method());
	s->client_ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(s->server_ctx);
	assert_non_null(s->client_ctx);
	assert_int_equal(SSL_CTX_use_certificate(s->server_ctx, id->leaf), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->server_ctx, id->key), 1);
	assert_int_equal(SSL_CTX_check_private_key(s->server_ctx), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(s->server_ctx, version), 1);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	s->server = SSL_new(s->server_ctx);
	s->client = SSL_new(s->client_ctx);
	SSL_set_bio(s->server, a, a);
	SSL_set_bio(s->client, b, b);
	SSL_set_accept_state(s->server);
	SSL_set_connect_state(s->client);
	(void)SSL_set_mode(s->server, SSL_MODE_ASYNC);
	assert_int_equal(SSL_set_async_callback(s->server, on_signed), 1);
	assert_int_equal(SSL_set_async_callback_arg(s->server, s), 1);
}

static bool
step_server(struct shake *s)
{
	int r;

	if (s->waits && !s->woken)
		return false;
	s->waits = s->woken = false;
	r = SSL_do_handshake(s->server);
	switch (SSL_get_error(s->server, r)) {
	case SSL_ERROR_NONE:
		return true;
	case SSL_ERROR_WANT_ASYNC:
		s->waits = true;
		s->n_waits++;
		return false;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
	case SSL_ERROR_WANT_ASYNC_JOB:
		return false;
	default:
		s->failed = true;
		return false;
	}
}

bool
shake_step(struct shake *s)
{
	bool client = SSL_do_handshake(s->client) == 1, server = step_server(s);

	return SSL_do_handshake(s->client) == 1 && client && server;
}

bool
shake_finish(struct shake *s)
{
	for (unsigned i = 0; i < STEPS_MAX && !s->failed; i++) {
		if (shake_step(s))
			return true;
		hall_turns(s->hall, 1);
	}
	return false;
}

void
shake_end(struct shake *s)
{
	vault_abandon(&s->hall->smtpd.vault, s->server);
	SSL_free(s->server);
	SSL_free(s->client);
	SSL_CTX_free(s->server_ctx);
	SSL_CTX_free(s->client_ctx);
}
