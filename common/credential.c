/* common/credential.c -- see credential.h. */
#include "common/credential.h"

#include "common/wire/base64.h"

#include <sodium.h>

static const struct slice scram_name = SLICE("SCRAM-SHA-256$");
static const struct slice argon2_name = SLICE("$argon2id$v=19$m=");

static enum rc
complain(struct buf *why, const char *words)
{
	(void)buf_put_str(why, words);
	return RC_SYNTAX;
}

/* --- reading --- */

/* A number of at most nine digits at the front, and the byte `end` behind it; both are taken. */
static bool
take_number(struct slice *s, uint8_t end, uint32_t *ret_n)
{
	size_t digits = slice_find(*s, end);
	uint32_t n = 0;

	if (digits == s->n || digits == 0 || digits > 9)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		n = n * 10 + (s->p[i] - (uint32_t)'0');
	}
	*s = slice_from(*s, digits + 1);
	*ret_n = n;
	return true;
}

static bool
take_base64(struct slice text, uint8_t *to, size_t max, size_t *ret_n)
{
	struct buf bytes = BUF_INIT(max);
	bool ok = base64_decode(text, &bytes) == RC_OK && buf_len(&bytes) > 0;

	if (ok) {
		memcpy(to, buf_slice(&bytes).p, buf_len(&bytes));
		*ret_n = buf_len(&bytes);
	}
	if (bytes.p != NULL)
		sodium_memzero(bytes.p, bytes.cap);
	buf_free(&bytes);
	return ok;
}

static bool
take_key(struct slice text, uint8_t to[SCRAM_KEY_BYTES])
{
	size_t n = 0;

	return take_base64(text, to, SCRAM_KEY_BYTES, &n) && n == SCRAM_KEY_BYTES;
}

/* ITERATIONS:SALT$STOREDKEY:SERVERKEY. v is written to, whatever comes back: its owner wipes it. */
static bool
scram_parse(struct slice text, struct scram_verifier *v)
{
	size_t dollar, colon;
	struct slice keys;

	if (!slice_starts(text, scram_name))
		return false;
	text = slice_from(text, scram_name.n);
	if (!take_number(&text, ':', &v->iterations) || v->iterations < SCRAM_ITERATIONS_MIN ||
	    v->iterations > SCRAM_ITERATIONS_MAX)
		return false;
	dollar = slice_find(text, '$');
	keys = slice_from(text, dollar + 1);
	colon = slice_find(keys, ':');
	return dollar < text.n && colon < keys.n && take_base64(slice_first(text, dollar), v->salt, sizeof v->salt, &v->salt_n) &&
	    take_key(slice_first(keys, colon), v->stored_key) && take_key(slice_from(keys, colon + 1), v->server_key);
}

/* Only its cost is looked at: the rest is libsodium's. */
static bool
argon2_parse(struct slice text, uint64_t *ret_memory)
{
	struct slice rest = slice_from(text, argon2_name.n);
	uint32_t kib, passes;

	if (!slice_starts(text, argon2_name) || text.n > ARGON2_TEXT_MAX || slice_find(text, 0) < text.n)
		return false;
	if (!take_number(&rest, ',', &kib) || !slice_starts(rest, S("t=")))
		return false;
	rest = slice_from(rest, 2);
	if (!take_number(&rest, ',', &passes) || passes == 0 || passes > 1000 || kib < 8 || !slice_starts(rest, S("p=1$")))
		return false;
	*ret_memory = (uint64_t)kib * 1024;
	return true;
}

static bool
is_prepared(struct slice user)
{
	struct buf again = BUF_INIT(PREPARE_USER_MAX);
	bool same = prepare_user(user, &again) == RC_OK && slice_eq(buf_slice(&again), user);

	buf_free(&again);
	return same;
}

static const struct slice secret_name = SLICE("#secret ");

enum rc
credential_secret_parse(struct slice line, uint8_t ret_secret[SCRAM_KEY_BYTES])
{
	if (!slice_starts(line, secret_name))
		return RC_NOTFOUND;
	return take_key(slice_from(line, secret_name.n), ret_secret) ? RC_OK : RC_SYNTAX;
}

bool
credential_secret_put(struct buf *to)
{
	uint8_t secret[SCRAM_KEY_BYTES];

	randombytes_buf(secret, sizeof secret);
	(void)buf_put_slice(to, secret_name);
	(void)base64_put(to, slice_of(secret, sizeof secret));
	sodium_memzero(secret, sizeof secret);
	return buf_put_byte(to, '\n');
}

static enum rc
parse(struct slice line, struct credential *c, struct buf *why)
{
	size_t colon = slice_find(line, ':');
	struct slice rest = slice_from(line, colon + 1);

	if (line.n == 0 || line.p[0] == '#')
		return RC_NOTFOUND;
	if (line.n > CREDENTIAL_LINE_MAX)
		return complain(why, "is too long");
	if (colon == line.n)
		return complain(why, "has no colon; a line is user:hash:verifier, as posternctl passwd writes it");
	c->user = slice_first(line, colon);
	if (!is_prepared(c->user))
		return complain(why, "holds a name that no client can give; let posternctl passwd write it");
	colon = slice_find(rest, ':');
	c->argon2 = slice_first(rest, colon);
	rest = slice_from(rest, colon + 1);
	c->locked = slice_eq(c->argon2, S("*"));
	if (c->locked)
		c->argon2 = S("");
	if (c->argon2.n > 0 && !argon2_parse(c->argon2, &c->memory))
		return complain(why, "holds a hash that is not Argon2id in the form of libsodium");
	c->has_scram = !c->locked && rest.n > 0;
	if (rest.n > 0 && !scram_parse(rest, &c->scram))
		return complain(why, "holds a verifier that is not SCRAM-SHA-256$iterations:salt$stored-key:server-key");
	return RC_OK;
}

enum rc
credential_parse(struct slice line, struct credential *ret_c, struct buf *why)
{
	struct credential c = { 0 };
	enum rc rc = parse(line, &c, why);

	if (rc == RC_OK)
		*ret_c = c;
	sodium_memzero(&c, sizeof c);
	return rc;
}

/* --- making --- */

bool
credential_put(struct buf *to, const struct credential *c)
{
	(void)buf_put_slice(to, c->user);
	(void)buf_put_byte(to, ':');
	(void)buf_put_slice(to, c->locked ? S("*") : c->argon2);
	(void)buf_put_byte(to, ':');
	if (c->has_scram) {
		(void)buf_put_slice(to, scram_name);
		(void)buf_printf(to, "%u:", c->scram.iterations);
		(void)base64_put(to, slice_of(c->scram.salt, c->scram.salt_n));
		(void)buf_put_byte(to, '$');
		(void)base64_put(to, slice_of(c->scram.stored_key, SCRAM_KEY_BYTES));
		(void)buf_put_byte(to, ':');
		(void)base64_put(to, slice_of(c->scram.server_key, SCRAM_KEY_BYTES));
	}
	(void)buf_put_byte(to, '\n');
	return !to->failed;
}

void
hmac_sha256(struct slice key, const struct slice *parts, size_t n, uint8_t ret_mac[SCRAM_KEY_BYTES])
{
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, key.p == NULL ? (const uint8_t *)"" : key.p, key.n);
	for (size_t i = 0; i < n; i++)
		if (parts[i].n > 0)
			(void)crypto_auth_hmacsha256_update(&state, parts[i].p, parts[i].n);
	(void)crypto_auth_hmacsha256_final(&state, ret_mac);
	sodium_memzero(&state, sizeof state);
}

/* RFC 5802 2.2: PBKDF2 with HMAC-SHA-256, one block of output. */
static void
hi(struct slice password, const struct scram_verifier *v, uint8_t ret[SCRAM_KEY_BYTES])
{
	static const uint8_t one[] = { 0, 0, 0, 1 };
	crypto_auth_hmacsha256_state keyed, state;
	uint8_t u[SCRAM_KEY_BYTES];

	/* The two blocks that the key makes are the same every time. */
	(void)crypto_auth_hmacsha256_init(&keyed, password.p, password.n);
	state = keyed;
	(void)crypto_auth_hmacsha256_update(&state, v->salt, v->salt_n);
	(void)crypto_auth_hmacsha256_update(&state, one, sizeof one);
	(void)crypto_auth_hmacsha256_final(&state, u);
	memcpy(ret, u, sizeof u);
	for (uint32_t i = 1; i < v->iterations; i++) {
		state = keyed;
		(void)crypto_auth_hmacsha256_update(&state, u, sizeof u);
		(void)crypto_auth_hmacsha256_final(&state, u);
		for (size_t k = 0; k < sizeof u; k++)
			ret[k] ^= u[k];
	}
	sodium_memzero(&keyed, sizeof keyed);
	sodium_memzero(&state, sizeof state);
	sodium_memzero(u, sizeof u);
}

void
scram_derive(struct slice password, struct scram_verifier *v)
{
	uint8_t salted[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];
	struct slice client = S("Client Key"), server = S("Server Key");

	hi(password, v, salted);
	hmac_sha256(slice_of(salted, sizeof salted), &client, 1, client_key);
	(void)crypto_hash_sha256(v->stored_key, client_key, sizeof client_key);
	hmac_sha256(slice_of(salted, sizeof salted), &server, 1, v->server_key);
	sodium_memzero(salted, sizeof salted);
	sodium_memzero(client_key, sizeof client_key);
}

enum rc
credential_make(struct slice user, struct slice password, uint64_t memory, uint32_t iterations,
    char argon2[ARGON2_TEXT_MAX + 1], struct credential *ret_c)
{
	struct credential c = { .user = user, .memory = memory, .has_scram = true };

	_Static_assert(crypto_pwhash_STRBYTES == ARGON2_TEXT_MAX + 1, "the text of libsodium's Argon2id");
	if (crypto_pwhash_str(argon2, (const char *)password.p, password.n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
	    (size_t)memory) == -1)
		return RC_NOMEM;
	c.argon2 = slice_str(argon2);
	c.scram.iterations = iterations;
	c.scram.salt_n = SCRAM_SALT_BYTES;
	randombytes_buf(c.scram.salt, c.scram.salt_n);
	scram_derive(password, &c.scram);
	*ret_c = c;
	return RC_OK;
}
