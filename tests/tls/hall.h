/* tests/tls/hall.h -- the vault's room and smtpd's way to it, in one loop, with certificates made on the spot. */
#ifndef POSTERN_TESTS_TLS_HALL_H
#define POSTERN_TESTS_TLS_HALL_H

#include "smtpd/identity.h"
#include "smtpd/smtpd.h"
#include "vault/vault.h"

struct hall {
	struct loop *loop;
	struct conf *conf;
	struct vault vault;
	struct smtpd smtpd;
	uint32_t serial;
};

void hall_open(struct hall *h);
void hall_close(struct hall *h);
void hall_connect(struct hall *h);	/* a (new) line between the two, and what is said at once */
void hall_hang_up(struct hall *h);	/* the vault goes away */
void hall_turns(struct hall *h, unsigned n);

/* Both to where they belong; hall_switch makes the set that was given the one in use. */
void hall_give(struct hall *h, const char *title, EVP_PKEY *key, X509 *leaf);
void hall_switch(struct hall *h);
/* All of it: a hall with one certificate. */
void hall_furnish(struct hall *h, const char *kind);

/* One handshake: both ends in memory. */
struct shake {
	struct hall *hall;
	SSL_CTX *server_ctx, *client_ctx;
	SSL *server, *client;
	bool woken, waits, failed;
	unsigned n_waits;		/* how often the server stood still for the vault */
};
void shake_begin(struct shake *s, struct hall *h, const struct tls_identity *id, int version);
/* As far as it gets without the vault: true when both are done. */
bool shake_step(struct shake *s);
/* To the end. False: it failed. */
bool shake_finish(struct shake *s);
void shake_end(struct shake *s);

#endif
