/* tests/smtpd/tls_fixture.h -- certificates made on the spot, with keys that sign in the process, and a TLS client for the
 * sessions of fakes.h. */
#ifndef POSTERN_TESTS_SMTPD_TLS_FIXTURE_H
#define POSTERN_TESTS_SMTPD_TLS_FIXTURE_H

#include "smtpd/tls_listener.h"
#include "tests/smtpd/fakes.h"

#include <openssl/ssl.h>

/* A certificate for these names (the first one is its common name), signed by itself, or by an authority. */
struct tls_made {
	X509 *certificate;
	EVP_PKEY *key;
};
/* type: "RSA" (2048) or "EC" (P-256) or "ED25519". */
struct tls_made tls_make(const char *type, const char *const *names, const struct tls_made *authority);
void tls_made_free(struct tls_made *m);
/* In PEM; to be freed. */
struct buf tls_pem(const struct tls_made *m);

/* What smtpd has as its own. Adds to the set; names as in struct tls_identity. */
struct tls_identities *tls_identities_new(void);
void tls_identities_add(struct tls_identities *set, const struct tls_made *m, const char *const *names);

/* conf with a listener "mx" and a certificate section, so that STARTTLS is a verb. More listeners by their names. */
struct conf *tls_conf(void);
struct conf_listener *tls_conf_listener(struct conf *c, const char *title);

/* Gives smtpd these identities, signing in this process, and ticket keys that differ for each listener and with age: keys
 * are newer by one for each step. ca: PEM of client-ca for the listener "mx"; empty: none. */
void tls_serve(struct fakes *f, struct tls_identities *ids, struct slice ca);
void tls_serve_again(struct fakes *f, struct tls_identities *ids, unsigned age);

/* A client on f->client, with f->replies as what it hears. */
struct tls_client {
	SSL_CTX *ctx;
	SSL *ssl;
	SSL_SESSION *ticket;	/* the last that came */
};
void tls_client_setup(struct tls_client *c);
void tls_client_free(struct tls_client *c);	/* the connection, too */
void tls_client_attach(struct tls_client *c, struct fakes *f);
/* False: the handshake failed. */
bool tls_client_shake(struct tls_client *c, struct fakes *f);
void tls_client_send(struct tls_client *c, struct fakes *f, struct slice bytes);
/* The next reply line. False: none within ms, or closed. */
bool tls_client_line(struct tls_client *c, struct fakes *f, char *line, size_t size, unsigned ms);
void tls_client_forget(struct tls_client *c);	/* the connection; context and ticket stay */

#endif
