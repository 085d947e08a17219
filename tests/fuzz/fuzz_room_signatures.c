/* tests/fuzz/fuzz_room_signatures.c -- smtpd's way to the vault: handshakes that wait, and a vault that says anything. A
 * signature that is not the right one must end the handshake, and whatever ends it leaves nothing behind. */
#include "tests/fuzz/room.h"

#include "smtpd/vault.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SHAKES_MAX = 4, KEY_ID = 32 };

/* Both ends of one handshake, in memory. */
static struct shake {
	SSL *server, *client;
	bool waits, woken, signed_well;
} shakes[SHAKES_MAX];

static struct vault_line line;
static SSL_CTX *server_ctx, *client_ctx;
static EVP_PKEY *pkey;

static struct conf *
conf(void)
{
	return conf_new();
}

static void
once(void)
{
	X509 *x;
	uint8_t id[KEY_ID] = { 1 };
	struct buf why = BUF_INIT(1024);
	EVP_PKEY *half;

	if (server_ctx != NULL)
		return;
	x = X509_new();
	pkey = EVP_EC_gen("P-256");
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	if (sodium_init() == -1 || x == NULL || pkey == NULL || server_ctx == NULL || client_ctx == NULL ||
	    X509_set_pubkey(x, pkey) != 1 || X509_gmtime_adj(X509_getm_notBefore(x), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), 1000) == NULL || X509_sign(x, pkey, EVP_sha256()) <= 0 ||
	    vault_prepare(&line, &why) != RC_OK || (half = vault_key(&line, pkey, slice_of(id, sizeof id))) == NULL ||
	    SSL_CTX_use_certificate(server_ctx, x) != 1 || SSL_CTX_use_PrivateKey(server_ctx, half) != 1)
		abort();
	(void)SSL_CTX_set_mode(server_ctx, SSL_MODE_ASYNC);
	EVP_PKEY_free(half);
	X509_free(x);
}

static void
begin(struct fuzz_world *w)
{
	struct vault_line made;

	once();
	/* The key knows its line by its place, and belongs to its library. */
	made = line;
	vault_init(&line, w->room.loop);
	line.library = made.library;
	line.provider = made.provider;
	w->room.ctx = &line;
	memset(shakes, 0, sizeof shakes);
}

static int
on_signed(SSL *ssl, void *arg)
{
	struct shake *s = arg;

	(void)ssl;
	s->woken = true;
	return 1;
}

static void
shake_end(struct shake *s)
{
	if (s->server != NULL)
		vault_abandon(&line, s->server);
	SSL_free(s->server);
	SSL_free(s->client);
	*s = (struct shake){ NULL, NULL, false, false, false };
}

static void
shake_begin(struct shake *s)
{
	BIO *a, *b;

	s->server = SSL_new(server_ctx);
	s->client = SSL_new(client_ctx);
	if (s->server == NULL || s->client == NULL || BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		abort();
	SSL_set_bio(s->server, a, a);
	SSL_set_bio(s->client, b, b);
	SSL_set_accept_state(s->server);
	SSL_set_connect_state(s->client);
	if (SSL_set_async_callback(s->server, on_signed) != 1 || SSL_set_async_callback_arg(s->server, s) != 1)
		abort();
}

static void
shake_step(struct shake *s)
{
	int r = SSL_do_handshake(s->client);

	/* The client has seen a signature: it was a good one, or the vault has more than one key. */
	if (r == 1 && !s->signed_well)
		abort();
	if (s->waits && !s->woken)
		return;
	s->waits = s->woken = false;
	r = SSL_do_handshake(s->server);
	if (r == 1)
		return;
	switch (SSL_get_error(s->server, r)) {
	case SSL_ERROR_WANT_ASYNC:
		s->waits = true;
		break;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
	case SSL_ERROR_WANT_ASYNC_JOB:
		break;
	default:
		shake_end(s);
		break;
	}
}

/* What the vault was asked last, signed as it should be. */
static void
sign_well(struct fuzz_world *w, struct shake *s)
{
	uint8_t signature[128];
	size_t n = sizeof signature;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct k_signed m;
	struct wr body = fuzz_body();

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) != 1 ||
	    EVP_DigestSign(ctx, signature, &n, w->texts[0].bytes, w->texts[0].n) != 1)
		abort();
	m = (struct k_signed){ VAULT_OK, slice_of(signature, n) };
	(void)k_signed_put(&body, &m);
	/* Only the one that asked last can use it. */
	for (size_t i = 0; i < SHAKES_MAX; i++)
		shakes[i].signed_well = true;
	(void)s;
	fuzz_send(&w->ends[0], K_SIGNED, w->ends[0].handles[0], &body);
	EVP_MD_CTX_free(ctx);
}

static void
special(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);
	struct shake *s = &shakes[how % SHAKES_MAX];

	if ((how & 0xf0) == 0xf0 && w->ends[0].fd != -1)
		sign_well(w, s);
	else if ((how & 0xf0) == 0xe0)
		shake_end(s);
	else if (s->server == NULL)
		shake_begin(s);
	if (s->server != NULL)
		shake_step(s);
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	(void)them;
	vault_take_line(room->ctx, index, fd);
}

static void
end(struct fuzz_world *w)
{
	struct vault_ticket_key keys[VAULT_SECRETS_MAX];

	(void)w;
	for (size_t i = 0; i < SHAKES_MAX; i++)
		if (shakes[i].waits && !shakes[i].woken)
			abort();	/* the line is closed: whoever waited has been told */
	for (size_t i = 0; i < SHAKES_MAX; i++)
		shake_end(&shakes[i]);
	if (line.waits.used != 0 || vault_ready(&line) || vault_ticket_keys(&line, S("mx"), keys) > VAULT_SECRETS_MAX)
		abort();
	handles_free(&line.waits);
	chore_cancel(&line.wake);
	ERR_clear_error();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct room_ops ops = { .role = ROLE_SMTPD, .line = take_line };
	static const struct fuzz_room def = { .role = ROLE_SMTPD, .ops = &ops, .conf = conf, .start = begin, .special = special,
		.end = end, .lines = { ROLE_VAULT } };

	return fuzz_room_run(&def, data, size);
}
