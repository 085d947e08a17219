/* vault/auth_dovecot.h -- users that Dovecot knows: logins that its auth service decides on, by its authentication protocol.
 *
 * One connection, which master opens (we could not); each login is a request on it. What a mechanism says goes through as it
 * is; what is ours is that failures are slowed and counted, that a Dovecot that is dead or hangs costs nobody more than
 * auth { dovecot-timeout }, and that it is found again by itself. auth_dovecot_link.c has the connection,
 * auth_dovecot.c the logins, auth_dovecot_name.c looks for whom a client claims to be. */
#ifndef POSTERN_VAULT_AUTH_DOVECOT_H
#define POSTERN_VAULT_AUTH_DOVECOT_H

#include "common/hash_table.h"
#include "common/loop.h"
#include "common/wire/dovecot_auth.h"

struct auth;
struct exchange;
struct mechanism;

enum {
	DOVECOT_OUT_MAX = 4 * 1024 * 1024,	/* bytes that Dovecot has not read yet; further logins are told 454 */
	DOVECOT_REST_FIRST_MS = 250,		/* before it is tried again, doubled each time */
	DOVECOT_REST_MAX_MS = 10000,
};

enum dovecot_state {
	DOVECOT_OFF,		/* the configuration has none */
	DOVECOT_ASKED,		/* master is opening a connection */
	DOVECOT_GREETING,	/* the handshake is under way */
	DOVECOT_UP,
	DOVECOT_RESTING,	/* until it is tried again */
};

/* A login at Dovecot. */
struct dovecot_request {
	struct hash_entry entry;			/* once it has a number, which is its hash: ours, in turn */
	struct dovecot_request *older, *newer;		/* of all */
	struct exchange *exchange;
	uint32_t id;		/* 0: Dovecot knows nothing of it yet */
	bool waits;		/* for the connection, to be sent at all */
	enum { UNDECIDED, SAID_YES, SAID_NO } result;	/* the client still has to answer what came with it */
	uint64_t asked;		/* when Dovecot got the word last */
	struct timer deadline;
	struct buf held;	/* a response that waits: for the end of a delay, or for the connection */
	bool has_held;
	struct buf name;	/* whom Dovecot has let in */
	struct buf why;
};

struct dovecot {
	enum dovecot_state state;
	char *path;		/* NULL: off */
	uint32_t asked;		/* M_CONNECT: the last handle */
	int fd;			/* -1: none */
	struct watch watch;
	struct timer timer;	/* the end of our patience with a handshake, or of a rest */
	struct chore flush;
	struct buf in, out;
	uint64_t rest, heard;	/* the length of the last rest; when Dovecot said something last */
	bool versioned, failing;	/* failing: it was said that it is down */
	unsigned coming;	/* bits of the mechanisms that the present handshake has listed */
	unsigned mechanisms;	/* of the last one that was complete */
	bool known;		/* there was one */
	uint32_t last_id;
	struct hash_table requests;			/* that have a number */
	struct dovecot_request *oldest, *newest;	/* of all */
};

void dovecot_setup(struct auth *auth);
void dovecot_free(struct auth *auth);		/* after the exchanges */
/* auth->conf is another one. */
void dovecot_adopt(struct auth *auth);
/* The connection that master was asked for. Takes fd over. */
void dovecot_take(struct auth *auth, int fd);
void dovecot_failed(struct auth *auth, const char *why);	/* there is none */

/* Mechanism number i of those that Dovecot decides on; NULL at the end. */
const struct mechanism *dovecot_mechanism(size_t i);
/* Has Dovecot number i of them, as far as we know? */
bool dovecot_has(const struct auth *auth, size_t i);
/* It is not known yet what Dovecot has. */
bool dovecot_unknown(const struct auth *auth);

void dovecot_forget(struct exchange *x);	/* it ends; Dovecot is told when it would go on */

/* --- between the files --- */

/* A line for Dovecot, with its LF; what is gathered leaves at the end of the turn. Wiped once it is written. */
bool dovecot_send(struct auth *auth, const struct buf *line);
/* Dovecot does not answer: the connection is given up, and another one asked for. */
void dovecot_lost(struct auth *auth, const char *why);
/* The number of the mechanism of this name, or -1. */
int dovecot_find_mechanism(struct slice name);
/* A line about a request has come. NULL, or why the connection must be given up. */
const char *dovecot_on_result(struct auth *auth, const struct dovecot_line *l);
/* The connection is up: what waits is sent. It is not: what it was for ends with 454 (all: also what only waits). */
void dovecot_requests_send(struct auth *auth);
void dovecot_requests_fail(struct auth *auth, bool all, const char *why);

/* Appends the name in response number n (from 0) of a client to this mechanism, as far as it has one. */
void dovecot_name_put(struct buf *to, struct slice mechanism, unsigned n, struct slice response);
/* Does this response hold what could be guessed: a password, a proof, a token? */
bool dovecot_name_is_proof(struct slice mechanism, unsigned n);

#endif
