/* vault/auth_users.h -- who there is and how each is checked: the users file, the certificates file and the limits file of
 * one generation, in memory. */
#ifndef POSTERN_VAULT_AUTH_USERS_H
#define POSTERN_VAULT_AUTH_USERS_H

#include "common/conf.h"
#include "common/credential.h"

enum { FINGERPRINT_BYTES = 32 };	/* SHA-256 */

/* A limit of 0 is none; LIMIT_DEFAULT is what the configuration says. */
enum { LIMIT_MESSAGES_HOUR, LIMIT_MESSAGES_DAY, LIMIT_RECIPIENTS_HOUR, LIMIT_RECIPIENTS_DAY, LIMITS };
#define LIMIT_DEFAULT UINT32_MAX

struct user {
	struct user *next;
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
enum rc users_load_limits(struct users *u, struct slice bytes, const char *path, struct buf *why);
/* After the last of them: makes sure that there is somebody to compare unknown users with. RC_NOMEM. */
enum rc users_complete(struct users *u, uint64_t hash_memory);

/* NULL: nobody has this name, or is locked out. */
const struct user *users_find(const struct users *u, struct slice name);
/* A hash to check the password of an unknown user against, in vain: some user's, the same one for the same name, so that
 * the costs of unknown users are spread like those of known ones. */
const char *users_decoy(const struct users *u, struct slice name);
/* The same for SCRAM: only salt and iterations make sense. secret: of the installation. */
void users_scram_decoy(const struct users *u, const uint8_t secret[SCRAM_KEY_BYTES], struct slice name, struct scram_verifier *ret_v);

/* Empty: nobody has this certificate. */
struct slice users_of_certificate(const struct users *u, const uint8_t fingerprint[FINGERPRINT_BYTES]);

/* The limits of a user, with defaults filled in. */
void users_limits(const struct users *u, const struct conf_auth *conf, struct slice name, uint32_t ret_limits[LIMITS]);

#endif
