/* common/credential.h -- how the users file keeps a password: two verifiers, neither of which is the password.
 *
 * A line is	user:ARGON2ID:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY
 * The second field is what crypto_pwhash_str() of libsodium makes (PHC form), for mechanisms that show us the password;
 * the third is for SCRAM-SHA-256 (in the form of RFC 5803, base64). Either may be empty, and * as the second field locks
 * the user out. Empty lines and lines that begin with # say nothing, but for one: "#secret " and base64 of 32 random bytes
 * of this installation, from which the salts of users are made who do not exist. It is written when the file is, and stays;
 * so do those salts, over restarts and changes of passwords. postern-passwd(5) tells it to people.
 *
 * posternctl passwd writes such lines, postern-auth reads them. Pure but for random salts. */
#ifndef POSTERN_COMMON_CREDENTIAL_H
#define POSTERN_COMMON_CREDENTIAL_H

#include "common/buf.h"
#include "common/prepare.h"
#include "common/rc.h"

enum {
	SCRAM_KEY_BYTES = 32,		/* SHA-256 */
	SCRAM_SALT_MAX = 64,
	SCRAM_SALT_BYTES = 16,		/* of salts that we make */
	SCRAM_ITERATIONS_MIN = 4096,	/* RFC 7677 4 */
	SCRAM_ITERATIONS_MAX = 10000000,
	SCRAM_ITERATIONS = 20000,	/* what we make: the client pays for it, at every login */
	ARGON2_TEXT_MAX = 127,		/* crypto_pwhash_STRBYTES, without its NUL */
	CREDENTIAL_LINE_MAX = 1024,
};

struct scram_verifier {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_n;
	uint8_t stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};

struct credential {
	struct slice user;	/* prepared */
	struct slice argon2;	/* empty: none */
	uint64_t memory;	/* bytes that checking it takes */
	bool locked;
	bool has_scram;
	struct scram_verifier scram;
};

/* One line without its end. RC_OK; RC_NOTFOUND: it says nothing; RC_SYNTAX with words in why. Slices borrow. */
enum rc credential_parse(struct slice line, struct credential *ret_c, struct buf *why);

/* Is this the line with the secret? Then it is read; RC_NOTFOUND: it is another; RC_SYNTAX. */
enum rc credential_secret_parse(struct slice line, uint8_t ret_secret[SCRAM_KEY_BYTES]);
/* Appends such a line, with its end and a new secret. */
bool credential_secret_put(struct buf *to);

/* Appends the line with its end. */
bool credential_put(struct buf *to, const struct credential *c);

/* Makes both verifiers for a prepared password; slow on purpose. argon2 gets the text that ret_c->argon2 borrows. memory:
 * bytes for Argon2id. RC_NOMEM. */
enum rc credential_make(struct slice user, struct slice password, uint64_t memory, uint32_t iterations,
    char argon2[ARGON2_TEXT_MAX + 1], struct credential *ret_c);

/* The verifier of this password with a given salt (RFC 5802 3). */
void scram_derive(struct slice password, struct scram_verifier *v);

/* HMAC-SHA-256 of a run of parts. */
void hmac_sha256(struct slice key, const struct slice *parts, size_t n, uint8_t ret_mac[SCRAM_KEY_BYTES]);

#endif
