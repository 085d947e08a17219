/* smtpd/tls_listener.h -- what TLS offers at each listener: certificates by name, session tickets, client certificates.
 *
 * A set of them belongs to one configuration and one set of certificates, and is never changed: a new one takes its
 * place, and handshakes that began with the old one end with it. All names that want the same certificates share one
 * OpenSSL context; what listeners do not share (tickets, client certificates) is set on each connection. */
#ifndef POSTERN_SMTPD_TLS_LISTENER_H
#define POSTERN_SMTPD_TLS_LISTENER_H

#include "common/buf.h"
#include "common/conf.h"
#include "smtpd/identity.h"
#include "smtpd/tls.h"
#include "smtpd/vault.h"

#include <openssl/ssl.h>

enum {
	TLS_NAMES_MAX = 100 * 1000,	/* names of all certificates together */
	TLS_CHAIN_MAX = 32 * 1024,	/* bytes of certificates that a client may show */
	TLS_DEPTH_MAX = 8,		/* of its chain */
	TLS_CLIENT_CA_MAX = 1024 * 1024, /* bytes of a client-ca file */
};

struct tls_listeners;

/* Where the files of client-ca come from: the PEM text for a listener, empty when there is none. */
typedef struct slice tls_ca_fn(void *ctx, struct slice title);

/* What signatures and tickets come from. In tests keys sign by themselves, and vault is NULL. */
struct tls_source {
	struct vault_line *vault;
	unsigned (*ticket_keys)(void *ctx, struct slice listener, struct vault_ticket_key keys[VAULT_SECRETS_MAX]);
	void *ctx;
};

/* On anything but RC_OK why says what cannot be. No identities: a set in which no listener has TLS. */
enum rc tls_listeners_new(struct conf *conf, struct tls_identities *ids, const struct tls_source *source,
    tls_ca_fn *ca, void *ca_ctx, struct tls_listeners **ret_set, struct buf *why);
void tls_listeners_free(struct tls_listeners *set);	/* gives up the caller's reference; NULL is fine */

/* NULL: there is no TLS at that listener. Counted with the set: tls_listener_ref to keep it. */
struct tls_listener *tls_listeners_find(struct tls_listeners *set, struct slice title);

struct tls_listener *tls_listener_ref(struct tls_listener *l);
void tls_listener_unref(struct tls_listener *l);

bool tls_listener_asks(const struct tls_listener *l);	/* for a client certificate */
bool tls_listener_has_ca(const struct tls_listener *l);
struct vault_line *tls_listener_vault(const struct tls_listener *l);
unsigned tls_listener_ticket_keys(const struct tls_listener *l, struct vault_ticket_key keys[VAULT_SECRETS_MAX]);

/* For tls.c: a connection as the server of this listener, over fd. NULL: no memory. */
SSL *tls_listener_ssl(struct tls_listener *l, int fd);

/* One whole handshake with itself and a ticket: what the library puts off until it is needed is done afterwards, and the
 * system-call filter can fall. */
enum rc tls_warm_up(struct buf *why);

#endif
