/* vault/auth.h -- the room that knows who is who: SASL's server side (RFC 4422), passwords, and what users may send.
 *
 * smtpd starts an exchange (AU_BEGIN), passes the client's responses on, and hears challenges, then yes with a name, or
 * no. What comes over its lines comes from strangers: everything is bounded, and a password is computed on only after
 * the wait that earlier failures have earned (auth_delay.h), by one of a few threads (workers.h). Unknown users
 * cost what known ones cost. Credentials come in by descriptor from master. */
#ifndef POSTERN_VAULT_AUTH_H
#define POSTERN_VAULT_AUTH_H

#include "common/hash_table.h"
#include "common/room.h"
#include "common/workers.h"
#include "vault/auth_delay.h"
#include "vault/auth_dovecot.h"
#include "vault/auth_share.h"
#include "vault/auth_usage.h"
#include "vault/auth_users.h"

enum {
	AUTH_SMTPDS_MAX = 256,		/* smtpd { processes } */
	AUTH_FILES_MAX = 16,		/* files of one generation */
	AUTH_RESPONSE_MAX = 12 * 1024,	/* bytes of one response: more than a line of 12288 can hold (RFC 4954 4) */
	AUTH_BINDING_MAX = 64,		/* bytes of a channel binding: a hash, or 32 bytes of RFC 9266 */
};

struct exchange;
struct hash_job;

/* A file of the coming generation, until it is adopted. */
struct auth_file {
	struct auth_file *next;
	uint32_t generation;		/* or serial: M_USERS */
	uint8_t purpose;
	char *name, *path;
	int fd;
};

struct auth {
	struct room *room;		/* NULL in tests */
	struct loop *loop;
	struct conf *conf;		/* counted */
	struct users *users;		/* never NULL once started */
	struct peer *smtpds[AUTH_SMTPDS_MAX];
	struct peer *control;
	struct workers *workers;
	struct hash_job *jobs;	/* that they have of us */
	struct delays delays;
	struct usage usage;
	struct hash_table exchanges;
	struct asker *askers[AUTH_SMTPDS_MAX];	/* NULL: has not asked yet */
	struct hash_table shares;
	struct auth_file *files;
	unsigned n_files;
	struct dovecot dovecot;
	struct buf why;			/* of the last refusal */
};

extern const struct room_ops auth_ops;

/* For the room, and for tests that play the others: a working context with nobody in it. conf is counted, loop borrowed.
 * RC_NOMEM, or RC_AGAIN for want of threads. */
enum rc auth_init(struct auth *auth, struct loop *loop, struct conf *conf);
void auth_free(struct auth *auth);	/* ends all exchanges without a word */
void auth_take_line(struct auth *auth, enum role them, unsigned index, int fd);
/* These users from now on; taken over. */
void auth_use(struct auth *auth, struct users *users, struct conf *conf);

/* auth_admin.c: AU_SPEND, AU_COUNT and A_REQUEST. Their ctx is the struct auth. */
ipc_fn auth_on_spend, auth_on_count, auth_on_request;

/* The mechanisms that can be had, for AU_STATE. */
bool auth_mechanisms_put(const struct auth *auth, struct buf *to);
/* They have changed: every smtpd is told. */
void auth_tell_state(const struct auth *auth);

#endif
