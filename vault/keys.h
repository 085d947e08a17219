/* vault/keys.h -- the private keys, and the one thing that may be done with them.
 *
 * A key is named by the SHA-256 of its public half, so no list of the house can drift from another. There is a set in use,
 * the one before it (handshakes that began with it are still under way), and one that is arriving. All OpenSSL of the vault
 * is in keys.c. */
#ifndef POSTERN_VAULT_KEYS_H
#define POSTERN_VAULT_KEYS_H

#include "common/buf.h"
#include "common/ipc/schema.h"

struct key;
struct key_set;
struct scheme;

/* Zeroed: empty. */
struct keys {
	struct key_set *now, *before, *next;
};

/* In prepare(), as root: OpenSSL is made ready, with memory for private numbers that is neither swapped nor dumped. */
enum rc keys_prepare(struct buf *why);
/* What OpenSSL makes at a thread's first signature is made. In every thread that will sign, before the filter. */
bool keys_warm_up(void);

/* A PEM file of the set with this serial; fd stays the caller's. The key must have the id that it is announced with: a file
 * that has changed since master looked at it is refused. RC_OK, or words in why. */
enum rc keys_arrive(struct keys *k, uint32_t serial, struct slice id, int fd, struct buf *why);

/* The set with this serial is whole: it is the one in use. RC_NOMEM. */
enum rc keys_adopt(struct keys *k, uint32_t serial);
uint32_t keys_arriving(const struct keys *k);	/* the serial of the set that is arriving; 0: none */
void keys_free(struct keys *k);

/* What makes one signature: a key, held until it is released, and how it signs. */
struct signer {
	struct key *key;
	const struct scheme *scheme;
};

/* VAULT_OK, and *ret_signer is to be released; VAULT_NO_KEY; VAULT_REFUSED: the key and the scheme, or the scheme and this
 * version of TLS, do not belong together (RFC 8446 4.2.3). */
enum vault_status keys_find(const struct keys *k, struct slice id, uint16_t scheme, bool tls13, struct signer *ret_signer);
/* It signs in less time than it takes to hand the work to another thread. */
bool signer_is_quick(const struct signer *s);
/* Signs message, whatever it is: the caller has looked at it. In any thread. VAULT_OK and *ret_n bytes in signature, or
 * VAULT_FAILED. */
enum vault_status signer_sign(const struct signer *s, struct slice message, uint8_t signature[VAULT_SIGNATURE_MAX],
    size_t *ret_n);
void signer_release(struct signer *s);	/* in the thread of the keys */

#endif
