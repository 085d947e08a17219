/* vault/auth_users.c -- see auth_users.h. */
#include "vault/auth_users.h"

#include "common/users_file.h"

#include <sodium.h>
#include <stdlib.h>

enum { LINE_WORDS = 2 };

struct certificate {
	struct hash_entry entry;
	uint8_t fingerprint[FINGERPRINT_BYTES];
	size_t n;
	uint8_t user[];
};

struct users {
	struct hash_table names, certificates;
	const struct user **hashed;	/* those that have a hash: decoys */
	size_t n_hashed;
	uint32_t scram_iterations;	/* of the first user who has a verifier; 0: nobody has */
	/* Salts of nobody are made of it, and stay what they are at a restart: the file's own, or else of the first verifier. */
	uint8_t secret[SCRAM_KEY_BYTES];
	enum { SECRET_NONE, SECRET_OF_A_USER, SECRET_OF_THE_FILE } secret_is;
	char stand_in[crypto_pwhash_STRBYTES];	/* when nobody has a hash */
};

struct users *
users_new(void)
{
	struct users *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	hash_table_init(&u->names);
	hash_table_init(&u->certificates);
	randombytes_buf(u->secret, sizeof u->secret);
	return u;
}

static void
user_free(struct hash_entry *e)
{
	sodium_memzero(e, sizeof(struct user));
	free(e);
}

static void
certificate_free(struct hash_entry *e)
{
	free(e);
}

void
users_free(struct users *u)
{
	if (u == NULL)
		return;
	hash_table_clear(&u->names, user_free);
	hash_table_clear(&u->certificates, certificate_free);
	free(u->hashed);
	free(u);
}

size_t
users_count(const struct users *u)
{
	return u->names.n;
}

/* --- the users file --- */

static const struct user *
find(const struct users *u, struct slice name)
{
	const struct hash_entry *e = hash_table_find(&u->names, keyed_hash(&u->names.key, name));
	const struct user *user;

	for (; e != NULL; e = hash_entry_next(e)) {
		user = (const struct user *)e;
		if (slice_eq(slice_of(user->name, user->n), name))
			return user;
	}
	return NULL;
}

static enum rc
add(struct users *u, const struct credential *c, struct buf *why)
{
	struct user *user;

	if (find(u, c->user) != NULL)
		return users_line_twice(why);
	user = calloc(1, sizeof *user + c->user.n);
	if (user == NULL) {
		(void)buf_put_str(why, "out of memory");
		return RC_NOMEM;
	}
	user->n = c->user.n;
	memcpy(user->name, c->user.p, c->user.n);
	if (c->argon2.n > 0)
		memcpy(user->argon2, c->argon2.p, c->argon2.n);
	user->locked = c->locked;
	user->has_scram = c->has_scram;
	user->scram = c->scram;
	hash_table_add(&u->names, &user->entry, keyed_hash(&u->names.key, c->user));
	if (user->has_scram && u->scram_iterations == 0) {
		u->scram_iterations = user->scram.iterations;
		if (u->secret_is == SECRET_NONE) {
			(void)crypto_generichash(u->secret, sizeof u->secret, user->scram.server_key, SCRAM_KEY_BYTES,
			    user->scram.stored_key, SCRAM_KEY_BYTES);
			u->secret_is = SECRET_OF_A_USER;
		}
	}
	return RC_OK;
}

/* Puts "path:number: " before the words that are behind `from`. */
static enum rc
blame(struct buf *why, const char *path, unsigned number, const struct buf *words, enum rc rc)
{
	(void)buf_printf(why, "%s:%u: this line ", path, number);
	(void)buf_put_slice(why, buf_slice(words));
	return rc;
}

enum rc
users_load(struct users *u, struct slice bytes, const char *path, uint64_t hash_memory, struct buf *why)
{
	struct buf words = BUF_INIT(512);
	unsigned number = 0;
	enum rc rc = RC_OK;
	struct slice line;

	while (rc == RC_OK && users_line_next(&bytes, &line)) {
		struct users_line read;

		number++;
		rc = users_line_read(line, hash_memory, &read, &words);
		if (rc == RC_OK && read.kind == USERS_SECRET) {
			memcpy(u->secret, read.secret, sizeof u->secret);
			u->secret_is = SECRET_OF_THE_FILE;
		} else if (rc == RC_OK && read.kind == USERS_CREDENTIAL)
			rc = add(u, &read.c, &words);
		sodium_memzero(&read, sizeof read);
	}
	if (rc != RC_OK)
		rc = blame(why, path, number, &words, rc);
	buf_free(&words);
	return rc;
}

/* --- certificates: words in lines --- */

/* Splits at blanks and tabs; returns how many words there are, LINE_WORDS + 1 at most. */
static size_t
split(struct slice line, struct slice words[LINE_WORDS])
{
	struct slice word;
	size_t n = 0;

	line = slice_first(line, slice_find(line, '#'));
	for (; slice_word(&line, S(" \t"), &word); n++) {
		if (n == LINE_WORDS)
			return n + 1;
		words[n] = word;
	}
	return n;
}

static bool
take_user(struct slice text, struct buf *to)
{
	buf_clear(to);
	return prepare_user(text, to) == RC_OK;
}

static int
hex_digit(uint8_t c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
fingerprint_parse(struct slice text, uint8_t to[FINGERPRINT_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int digit = hex_digit(text.p[i]);

		if (text.p[i] == ':' && n % 2 == 0)
			continue;
		if (digit < 0 || n == FINGERPRINT_BYTES * 2)
			return false;
		to[n / 2] = (uint8_t)(n % 2 == 0 ? digit << 4 : to[n / 2] | digit);
		n++;
	}
	return n == FINGERPRINT_BYTES * 2;
}

static enum rc
certificate_line(struct users *u, const struct slice *words, size_t n, struct buf *name)
{
	struct certificate *c;

	if (n != 2 || !take_user(words[1], name))
		return RC_SYNTAX;
	c = calloc(1, sizeof *c + buf_len(name));
	if (c == NULL)
		return RC_NOMEM;
	if (!fingerprint_parse(words[0], c->fingerprint)) {
		free(c);
		return RC_SYNTAX;
	}
	c->n = buf_len(name);
	memcpy(c->user, buf_slice(name).p, c->n);
	hash_table_add(&u->certificates, &c->entry,
	    keyed_hash(&u->certificates.key, slice_of(c->fingerprint, FINGERPRINT_BYTES)));
	return RC_OK;
}

static enum rc
load_words(struct users *u, struct slice bytes, const char *path,
    enum rc (*take)(struct users *u, const struct slice *words, size_t n, struct buf *name), const char *form, struct buf *why)
{
	struct buf name = BUF_INIT(PREPARE_USER_MAX), words = BUF_INIT(512);
	unsigned number = 0;
	enum rc rc = RC_OK;
	struct slice line;

	while (rc == RC_OK && users_line_next(&bytes, &line)) {
		struct slice w[LINE_WORDS];
		size_t n = split(line, w);

		number++;
		if (n > 0)
			rc = take(u, w, n, &name);
	}
	if (rc != RC_OK) {
		(void)buf_put_str(&words, rc == RC_NOMEM ? "finds no memory" : form);
		rc = blame(why, path, number, &words, rc);
	}
	buf_free(&name);
	buf_free(&words);
	return rc;
}

enum rc
users_load_certificates(struct users *u, struct slice bytes, const char *path, struct buf *why)
{
	return load_words(u, bytes, path, certificate_line, "is not a SHA-256 fingerprint and a user", why);
}

/* --- decoys --- */

enum rc
users_complete(struct users *u, uint64_t hash_memory)
{
	static const char nobody[] = "nobody has this password";
	uint64_t memory = crypto_pwhash_MEMLIMIT_INTERACTIVE;

	u->hashed = calloc(u->names.n + 1, sizeof *u->hashed);
	if (u->hashed == NULL)
		return RC_NOMEM;
	for (const struct hash_entry *e = hash_table_walk(&u->names, NULL); e != NULL; e = hash_table_walk(&u->names, e)) {
		const struct user *user = (const struct user *)e;

		if (*user->argon2 != '\0')
			u->hashed[u->n_hashed++] = user;
	}
	if (u->n_hashed > 0)
		return RC_OK;
	return crypto_pwhash_str(u->stand_in, nobody, sizeof nobody - 1, crypto_pwhash_OPSLIMIT_INTERACTIVE,
	    (size_t)(memory < hash_memory ? memory : hash_memory)) == 0 ? RC_OK : RC_NOMEM;
}

const struct user *
users_find(const struct users *u, struct slice name)
{
	const struct user *user = find(u, name);

	return user == NULL || user->locked ? NULL : user;
}

const char *
users_say_why(const struct users *u, struct slice name, bool scram)
{
	const struct user *user = find(u, name);

	if (user == NULL)
		return "unknown user";
	if (user->locked)
		return "the user is locked out";
	if (scram ? !user->has_scram : *user->argon2 == '\0')
		return "the user has no password for this mechanism";
	return "wrong password";
}

const char *
users_decoy(const struct users *u, struct slice name)
{
	return u->n_hashed == 0 ? u->stand_in : u->hashed[keyed_hash(&u->names.key, name) % u->n_hashed]->argon2;
}

void
users_scram_decoy(const struct users *u, struct slice name, struct scram_verifier *ret_v)
{
	const struct slice parts[] = { S("salt of nobody\0"), name };
	uint8_t mac[SCRAM_KEY_BYTES];

	hmac_sha256(slice_of(u->secret, SCRAM_KEY_BYTES), parts, 2, mac);
	*ret_v = (struct scram_verifier){ .iterations = u->scram_iterations, .salt_n = SCRAM_SALT_BYTES };
	if (ret_v->iterations == 0)
		ret_v->iterations = SCRAM_ITERATIONS;
	memcpy(ret_v->salt, mac, SCRAM_SALT_BYTES);
	randombytes_buf(ret_v->stored_key, sizeof ret_v->stored_key);
	randombytes_buf(ret_v->server_key, sizeof ret_v->server_key);
}

/* --- look-ups --- */

struct slice
users_of_certificate(const struct users *u, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
	struct slice this = slice_of(fingerprint, FINGERPRINT_BYTES);
	const struct hash_entry *e = hash_table_find(&u->certificates, keyed_hash(&u->certificates.key, this));
	const struct certificate *c = NULL;
	const struct user *user;

	for (; e != NULL && c == NULL; e = hash_entry_next(e))
		if (memcmp(((const struct certificate *)e)->fingerprint, fingerprint, FINGERPRINT_BYTES) == 0)
			c = (const struct certificate *)e;
	/* Its owner needs no password; but one who has been locked out is so by every way. */
	user = c == NULL ? NULL : find(u, slice_of(c->user, c->n));
	return c == NULL || (user != NULL && user->locked) ? S("") : slice_of(c->user, c->n);
}
