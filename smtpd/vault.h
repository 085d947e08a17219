/* smtpd/vault.h -- the way to the room that holds the private keys.
 *
 * A key of smtpd/identity.h belongs to a small OpenSSL provider (vault_provider.c) whose sign operation is a question to
 * the vault. While the answer is on its way the handshake stands still as an OpenSSL ASYNC job, and the loop goes on:
 *
 *	SSL_set_mode(ssl, SSL_MODE_ASYNC);		for the handshake only: SSL_clear_mode() when it is over
 *	SSL_set_async_callback(ssl, fn);		int fn(SSL *, void *arg): the answer is there, or there will be none.
 *	SSL_set_async_callback_arg(ssl, session);	Called from the loop, never from within OpenSSL: wake the session,
 *							which calls SSL_do_handshake() again (and may do so at once).
 *	SSL_ERROR_WANT_ASYNC				wait for fn; until then call nothing on this SSL
 *	SSL_ERROR_WANT_ASYNC_JOB			too many wait already: vault_await_job(), then try again
 *	vault_abandon(v, ssl)				before SSL_free() of an SSL whose handshake is not over
 *
 * Without SSL_MODE_ASYNC a signature fails, since nothing may block here. When the line is lost all handshakes that wait
 * fail, and vault_ready() is false until the vault is there again: STARTTLS is answered 454 (RFC 3207 4). */
#ifndef POSTERN_SMTPD_VAULT_H
#define POSTERN_SMTPD_VAULT_H

#include "common/ipc/peer.h"
#include "smtpd/handles.h"

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

enum {
	VAULT_JOBS_MAX = 256,		/* handshakes that wait for a signature at a time; each holds a stack of 32 KB */
};

/* Somebody who waits for a free job. Zeroed: idle. */
struct vault_waiter {
	struct vault_waiter *next, **link;
	void (*fn)(struct vault_waiter *w);
};

struct vault_line {
	struct loop *loop;
	struct peer *peer;		/* NULL: down */
	bool ready;			/* it has spoken since the line came up */
	struct handles waits;		/* K_SIGN: struct vault_wait */
	struct vault_waiter *first, **last;
	struct chore wake;
	unsigned n_freed;		/* jobs that have ended since the chore ran */
	uint8_t secrets[VAULT_SECRETS_MAX][VAULT_SECRET_BYTES]; /* newest first */
	unsigned n_secrets;
	OSSL_LIB_CTX *library;		/* with the provider; NULL: not made yet */
	OSSL_PROVIDER *provider;
	bool jobs;			/* the pool of jobs has been made */
	bool abandoning;		/* the job that runs now is to end */
};

void vault_init(struct vault_line *v, struct loop *loop);
/* In prepare() of the room: OpenSSL, its jobs and the provider are made and tried, while there is still a file system. */
enum rc vault_prepare(struct vault_line *v, struct buf *why);
void vault_free(struct vault_line *v);		/* after all sessions */
void vault_take_line(struct vault_line *v, unsigned index, int fd);

/* Will a handshake find somebody to sign? */
static inline bool
vault_ready(const struct vault_line *v)
{
	return v->peer != NULL && v->ready;
}

/* w->fn is called from the loop, once, when a job may be free. */
void vault_await_job(struct vault_line *v, struct vault_waiter *w);
void vault_await_over(struct vault_line *v, struct vault_waiter *w);	/* an idle one is fine */

/* Ends the job that waits on behalf of ssl, if there is one: the handshake fails, and the SSL may be freed. */
void vault_abandon(struct vault_line *v, SSL *ssl);

/* Keys for session tickets (RFC 5077 4): shared by all smtpd processes of the house, changed twice a day, the two before
 * still good, and never the same for two listeners (THREATS 9). The first one is to be issued with. 0: the vault has not
 * spoken yet: no tickets. */
struct vault_ticket_key {
	uint8_t name[16];
	uint8_t aes[32];	/* AES-256-CBC */
	uint8_t mac[32];	/* HMAC-SHA-256 */
};
unsigned vault_ticket_keys(const struct vault_line *v, struct slice listener, struct vault_ticket_key keys[VAULT_SECRETS_MAX]);

/* For identity.c: the public key of a certificate as a key that signs in the vault. NULL: a kind that it does not know. */
EVP_PKEY *vault_key(struct vault_line *v, EVP_PKEY *public, struct slice key_id);

#endif
