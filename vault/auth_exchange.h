/* vault/auth_exchange.h -- one client's login: from AU_BEGIN until yes, no, or the client has gone.
 *
 * Made and ended in auth_exchange.c alone. A mechanism is a function that is given the client's next response, and says
 * exactly one of: a challenge, yes, no, or "check this" (which says yes or no later, or calls back). */
#ifndef POSTERN_VAULT_AUTH_EXCHANGE_H
#define POSTERN_VAULT_AUTH_EXCHANGE_H

#include "vault/auth.h"

enum {
	NEEDS_BINDING = 1 << 0,		/* works with channel binding only */
	NEEDS_CERTIFICATE = 1 << 1,
	NEEDS_HASHES = 1 << 2,		/* works with a users file */
	NEEDS_TLS = 1 << 4,
	SERVER_FIRST = 1 << 3,		/* asks before the client says anything; an initial response is its first answer */
};

struct mechanism {
	struct slice name;
	unsigned flags;
	void (*respond)(struct exchange *x, struct slice response);
};

enum exchange_state {
	EX_CLIENT,		/* waits for the client */
	EX_DELAYED,		/* waits for what earlier failures have earned */
	EX_HASHING,		/* a thread has it */
	EX_REMOTE,		/* Dovecot has it */
};

struct exchange {
	struct hash_entry entry;
	struct exchange *older, *newer;	/* of its share */
	struct share *share;
	struct auth *auth;
	struct peer *peer;		/* the smtpd that asks */
	uint32_t handle;
	const struct mechanism *mechanism;
	enum exchange_state state;
	unsigned step;			/* of the mechanism: responses so far */
	struct timer timer;		/* the end of our patience, or of a wait */
	uint64_t ends;

	struct ip client;
	bool exempt;			/* from limits of its network */
	bool secure, plus;
	uint8_t exporter[AUTH_BINDING_MAX], end_point[AUTH_BINDING_MAX], fingerprint[FINGERPRINT_BYTES];
	size_t exporter_n, end_point_n;
	bool has_certificate;

	uint8_t user[PREPARE_USER_MAX];	/* whom it claims to be, prepared */
	size_t user_n;
	void (*go_on)(struct exchange *x);	/* after the wait */
	struct hash_job *job;
	struct scram *scram;
	struct dovecot_request *remote;
};

/* The frames of smtpd. Their ctx is the struct auth. */
ipc_fn exchange_on_begin, exchange_on_continue, exchange_on_abort;
/* The line to this smtpd is down: its exchanges end. */
void exchanges_forget(struct auth *auth, const struct peer *p);
void exchanges_free(struct auth *auth);

/* --- for mechanisms --- */
void exchange_challenge(struct exchange *x, struct slice challenge);
void exchange_yes(struct exchange *x);	/* as x->user */
void exchange_yes_as(struct exchange *x, struct slice user);	/* who claimed to be x->user */
void exchange_no(struct exchange *x, enum auth_failure kind, const char *why);
/* Keeps whom it claims to be. False: it has said no. */
bool exchange_claims(struct exchange *x, struct slice user);
/* Waits as long as it must, then goes on. */
void exchange_wait(struct exchange *x, void (*go_on)(struct exchange *x));
/* May the user x->user act as authzid? False: it has said no. */
bool exchange_acts_as(struct exchange *x, struct slice authzid);

static inline struct slice
exchange_user(const struct exchange *x)
{
	return slice_of(x->user, x->user_n);
}

extern const struct mechanism mechanisms[];
extern const size_t n_mechanisms;

/* auth_password.c, auth_scram.c, auth_external.c */
void plain_respond(struct exchange *x, struct slice response);
void login_respond(struct exchange *x, struct slice response);
void scram_respond(struct exchange *x, struct slice response);
void external_respond(struct exchange *x, struct slice response);
void scram_free(struct exchange *x);
void password_forget(struct exchange *x);	/* the exchange ends; what a thread has is freed when it comes back */
void passwords_free(struct auth *auth);	/* when the threads have ended: what they had */

#endif
