/* vault/auth_users.h -- who there is and how each is checked: the users file and the certificates file of one
 * generation, in memory. */
#ifndef POSTERN_VAULT_AUTH_USERS_H
#define POSTERN_VAULT_AUTH_USERS_H

#include "common/conf.h"
#include "common/credential.h"
#include "common/hash_table.h"

enum { FINGERPRINT_BYTES = 32 };	/* SHA-256 */

struct user {
	struct hash_entry entry;
	char argon2[ARGON2_TEXT_MAX + 1];	/* empty: none */
	bool locked;
	bool has_scram;
	struct scram_verifier scram;
	size_t n;
	uint8_t name[];
};

struct users;

struct users *users_new(void);		/* NULL: no memory */
void users_free(struct users *u);	/* NULL is fine */
size_t users_count(const struct users *u);

/* Whole files. Anything but RC_OK: "path:line: what" in why. */
enum rc users_load(struct users *u, struct slice bytes, const char *path, uint64_t hash_memory, struct buf *why);
enum rc users_load_certificates(struct users *u, struct slice bytes, const char *path, struct buf *why);
/* After the last of them: makes sure that there is somebody to compare unknown users with. RC_NOMEM. */
enum rc users_complete(struct users *u, uint64_t hash_memory);

/* NULL: nobody has this name, or is locked out. */
const struct user *users_find(const struct users *u, struct slice name);
/* Why a login failed, for the log of whoever runs this: to be asked when it has failed, and of everybody, so that it costs
 * the same for all. scram: its verifier was looked at, else the password's hash. */
const char *users_say_why(const struct users *u, struct slice name, bool scram);
/* A hash to check the password of an unknown user against, in vain: some user's, the same one for the same name, so that
 * the costs of unknown users are spread like those of known ones. */
const char *users_decoy(const struct users *u, struct slice name);
/* The same for SCRAM: only salt and iterations make sense. The salt of a name stays the same
 * as long as the file has the same secret; in a file without one, until its first verifier changes. */
void users_scram_decoy(const struct users *u, struct slice name, struct scram_verifier *ret_v);

/* Empty: nobody has this certificate, or its owner is locked out. */
struct slice users_of_certificate(const struct users *u, const uint8_t fingerprint[FINGERPRINT_BYTES]);

#endif
