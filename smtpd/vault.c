/* smtpd/vault.c -- the line to the vault, and the handshakes that wait for it. See vault.h. */
#include "smtpd/vault.h"

#include "common/log.h"
#include "common/room.h"
#include "smtpd/vault_ask.h"
#include "smtpd/vault_provider.h"

#include <openssl/async.h>
#include <openssl/rand.h>
#include <sodium.h>

enum {
	JOBS_READY = 4,		/* made before the first client */
	WAKES_MAX = 1000,	/* a job that is woken so often without an answer is not waiting but spinning */
};

/* On the stack of an ASYNC job, which stands still meanwhile. */
struct vault_wait {
	ASYNC_WAIT_CTX *ctx;
	uint8_t *signature;
	size_t max, n;
	bool done, failed;
};

/* --- questions --- */

static void
wait_over(struct vault_wait *w, struct slice signature)
{
	ASYNC_callback_fn tell = NULL;
	void *arg = NULL;

	w->done = true;
	w->failed = signature.n == 0 || signature.n > w->max;
	if (!w->failed) {
		memcpy(w->signature, signature.p, signature.n);
		w->n = signature.n;
	}
	if (ASYNC_WAIT_CTX_get_callback(w->ctx, &tell, &arg) == 1 && tell != NULL)
		(void)tell(arg);
}

/* NOLINTBEGIN(readability-non-const-parameter): the answer is written there, by wait_over */
enum rc
vault_ask(struct vault_line *v, enum vault_scheme scheme, struct slice key, struct slice message, uint8_t *signature,
    size_t max, size_t *ret_n)
/* NOLINTEND(readability-non-const-parameter) */
{
	ASYNC_JOB *job = ASYNC_get_current_job();
	struct vault_wait w = { .ctx = job == NULL ? NULL : ASYNC_get_wait_ctx(job), .signature = signature, .max = max };
	struct k_sign m = { (uint16_t)scheme, key, message };
	uint32_t handle;

	/* Outside of a job it would have to block. */
	if (job == NULL || !vault_ready(v) || message.n > VAULT_MESSAGE_MAX)
		return RC_CLOSED;
	handle = handle_new(&v->waits, &w);
	if (handle == 0)
		return RC_NOMEM;
	if (k_sign_send(v->peer, handle, &m) != RC_OK) {
		handle_release(&v->waits, handle);
		return RC_CLOSED;
	}
	for (unsigned i = 0; i < WAKES_MAX && !w.done && !v->abandoning; i++)
		(void)ASYNC_pause_job();
	handle_release(&v->waits, handle);
	v->n_freed++;
	chore_queue(&v->wake);
	if (!w.done || w.failed)
		return RC_CLOSED;
	*ret_n = w.n;
	return RC_OK;
}

void
vault_abandon(struct vault_line *v, SSL *ssl)
{
	if (!SSL_waiting_for_async(ssl))
		return;
	/* The job has a stack with things on it that only its own end can free. */
	v->abandoning = true;
	(void)SSL_do_handshake(ssl);
	v->abandoning = false;
}

/* --- who waits for a job --- */

void
vault_await_job(struct vault_line *v, struct vault_waiter *w)
{
	if (w->link != NULL)
		return;
	w->next = NULL;
	w->link = v->last;
	*v->last = w;
	v->last = &w->next;
}

void
vault_await_over(struct vault_line *v, struct vault_waiter *w)
{
	if (w->link == NULL)
		return;
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
	else
		v->last = w->link;
	w->link = NULL;
	w->next = NULL;
}

static void
on_wake(struct chore *c, void *ctx)
{
	struct vault_line *v = ctx;

	(void)c;
	while (v->n_freed > 0) {
		struct vault_waiter *w = v->first;

		v->n_freed--;
		if (w == NULL)
			continue;
		vault_await_over(v, w);
		w->fn(w);
	}
}

/* --- the line --- */

static const char *
on_signed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct vault_line *v = ctx;
	struct vault_wait *w = handle_find(&v->waits, handle);
	struct k_signed m;

	(void)p, (void)fd;
	if (!k_signed_get(body, &m) || m.signature.n > VAULT_SIGNATURE_MAX)
		return "malformed K_SIGNED";
	if (w == NULL || w->done)
		return NULL;
	if (m.status != VAULT_OK) {
		log_say(LOG_VAULT_REFUSED, NULL, F_U64("status", m.status));
		m.signature = S("");
	}
	wait_over(w, m.signature);
	return NULL;
}

static const char *
on_tickets(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct vault_line *v = ctx;
	struct k_tickets m;

	(void)p, (void)handle, (void)fd;
	if (!k_tickets_get(body, &m) || m.secrets.n == 0 || m.secrets.n % VAULT_SECRET_BYTES != 0 ||
	    m.secrets.n > VAULT_SECRETS_MAX * VAULT_SECRET_BYTES)
		return "malformed K_TICKETS";
	v->n_secrets = (unsigned)(m.secrets.n / VAULT_SECRET_BYTES);
	memcpy(v->secrets, m.secrets.p, m.secrets.n);
	v->ready = true;
	return NULL;
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct vault_line *v = ctx;

	room_log_drop(p, why);
	if (v->peer == p) {
		v->peer = NULL;
		v->ready = false;
		for (size_t i = 0; i < v->waits.n; i++) {
			struct vault_wait *w = handle_at(&v->waits, i);

			if (w != NULL && !w->done)
				wait_over(w, S(""));
		}
		/* Who waits for a job would wait for ever when none is running. */
		v->n_freed += VAULT_JOBS_MAX;
		chore_queue(&v->wake);
	}
	peer_free(p);
}

static const struct peer_ops line_ops = {
	.on = { [K_SIGNED] = on_signed, [K_TICKETS] = on_tickets },
	.closed = line_closed,
};

void
vault_take_line(struct vault_line *v, unsigned index, int fd)
{
	if (v->peer != NULL)
		line_closed(v, v->peer, NULL);
	v->peer = peer_new(v->loop, fd, ROLE_SMTPD, ROLE_VAULT, index, &line_ops, v);
}

/* --- tickets --- */

unsigned
vault_ticket_keys(const struct vault_line *v, struct slice listener, struct vault_ticket_key keys[VAULT_SECRETS_MAX])
{
	struct vault_ticket_key *k;
	crypto_generichash_state state;
	uint8_t out[3][32];

	for (unsigned i = 0; i < v->n_secrets; i++) {
		/* One derivation a purpose and listener: a ticket of one port is noise on another. */
		for (uint8_t purpose = 0; purpose < 3; purpose++) {
			(void)crypto_generichash_init(&state, v->secrets[i], VAULT_SECRET_BYTES, sizeof out[0]);
			(void)crypto_generichash_update(&state, &purpose, 1);
			if (listener.n > 0)
				(void)crypto_generichash_update(&state, listener.p, listener.n);
			(void)crypto_generichash_final(&state, out[purpose], sizeof out[0]);
		}
		k = &keys[i];
		memcpy(k->name, out[0], sizeof k->name);
		memcpy(k->aes, out[1], sizeof k->aes);
		memcpy(k->mac, out[2], sizeof k->mac);
	}
	sodium_memzero(out, sizeof out);
	sodium_memzero(&state, sizeof state);
	return v->n_secrets;
}

/* --- life --- */

static int
first_job(void *arg)
{
	(void)arg;
	(void)ASYNC_pause_job();
	return 1;
}

/* A job that stands still and goes on: all that the C library does for it once has been done. */
static bool
try_job(void)
{
	ASYNC_WAIT_CTX *ctx = ASYNC_WAIT_CTX_new();
	ASYNC_JOB *job = NULL;
	int result = 0;
	bool ok = ctx != NULL && ASYNC_start_job(&job, ctx, &result, first_job, NULL, 0) == ASYNC_PAUSE &&
	    ASYNC_start_job(&job, ctx, &result, first_job, NULL, 0) == ASYNC_FINISH && result == 1;

	ASYNC_WAIT_CTX_free(ctx);
	return ok;
}

enum rc
vault_prepare(struct vault_line *v, struct buf *why)
{
	uint8_t chance[16];
	SSL_CTX *warm;

	/* No openssl.cnf: what it may load and switch on is decided here. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) != 1 ||
	    ASYNC_init_thread(VAULT_JOBS_MAX, JOBS_READY) != 1 || RAND_bytes(chance, sizeof chance) != 1 || !try_job()) {
		(void)buf_put_str(why, "OpenSSL does not start");
		return RC_IO;
	}
	v->jobs = true;
	/* The first one looks up every algorithm that there is. */
	warm = SSL_CTX_new(TLS_method());
	if (warm == NULL || (v->library = vault_provider_new(&v->provider)) == NULL) {
		SSL_CTX_free(warm);
		(void)buf_put_str(why, "OpenSSL has no TLS, or does not take the provider");
		return RC_UNSUPPORTED;
	}
	SSL_CTX_free(warm);
	return RC_OK;
}

void
vault_init(struct vault_line *v, struct loop *loop)
{
	*v = (struct vault_line){ .loop = loop };
	v->last = &v->first;
	chore_setup(&v->wake, loop, on_wake, v);
}

void
vault_free(struct vault_line *v)
{
	peer_free(v->peer);
	v->peer = NULL;
	v->ready = false;
	chore_cancel(&v->wake);
	handles_free(&v->waits);
	vault_provider_free(v->library, v->provider);
	v->library = NULL;
	v->provider = NULL;
	if (v->jobs)
		ASYNC_cleanup_thread();
	v->jobs = false;
	sodium_memzero(v->secrets, sizeof v->secrets);
	v->n_secrets = 0;
}

EVP_PKEY *
vault_key(struct vault_line *v, EVP_PKEY *public, struct slice key_id)
{
	if (v->library == NULL)
		v->library = vault_provider_new(&v->provider);
	return v->library == NULL ? NULL : vault_provider_key(v->library, v, public, key_id);
}
