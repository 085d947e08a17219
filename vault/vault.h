/* vault/vault.h -- the room that holds the private keys, and signs with them what a TLS handshake signs, and nothing else.
 *
 * It has no network, no files and no other work: what it can be talked into is K_SIGN, from smtpd alone. Each smtpd has a
 * queue of its own here, served in turns, so that one that floods (or has been broken into) only waits for itself
 * (THREATS 10). There is no operation that decrypts. It also makes the secrets that session tickets are sealed with. */
#ifndef POSTERN_VAULT_VAULT_H
#define POSTERN_VAULT_VAULT_H

#include "common/identity.h"
#include "common/room.h"
#include "common/workers.h"
#include "vault/keys.h"

enum { VAULT_PEERS_MAX = 256 };	/* smtpd { processes } */

/* A signature that is asked for and not begun yet. */
struct request {
	uint32_t handle;
	uint16_t scheme;
	uint16_t n;
	uint8_t key[IDENTITY_KEY_ID];
	uint8_t message[VAULT_MESSAGE_MAX];
};

/* One smtpd. */
struct asker {
	struct vault *vault;
	struct peer *peer;
	struct request queue[VAULT_QUEUE_MAX];	/* a ring */
	unsigned first, n;
	uint64_t tokens;	/* thousandths of a signature that it may have at once */
	uint64_t filled;	/* loop time at which they were counted */
	uint64_t refused;	/* requests that were no handshake input */
};

struct vault {
	struct room *room;	/* NULL in tests */
	struct loop *loop;
	struct conf *conf;	/* counted */
	struct keys keys;
	struct asker *askers[VAULT_PEERS_MAX];
	unsigned turn;		/* the one who was served last */
	struct chore work;
	struct timer later;	/* all who wait have used up their rate */
	struct workers *workers; /* NULL: none, everything is signed at once */
	struct job *jobs, *idle; /* what the threads can have at a time, and of them those that they do not have */
	unsigned n_jobs;
	unsigned n_threads;	/* that are wanted; counted before the sandbox */
	unsigned n_waiting;	/* requests in all queues */
	struct timer rotation;
	uint8_t secrets[VAULT_SECRETS_MAX][VAULT_SECRET_BYTES]; /* newest first */
	unsigned n_secrets;
};

extern const struct room_ops vault_ops;

/* For the room and for tests that play the other rooms. */
void vault_open(struct vault *v, struct loop *loop, struct conf *conf);
void vault_close(struct vault *v);
void vault_line(struct vault *v, enum role them, unsigned index, int fd);
void vault_rotate(struct vault *v);	/* a new ticket secret */

#endif
