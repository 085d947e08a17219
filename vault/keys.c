/* vault/keys.c -- see keys.h. */
#include "vault/keys.h"

#include "common/file.h"
#include "common/identity.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_FILE_MAX = 64 * 1024,	/* a PEM file with one key; RSA with 16384 bits has 13 KB */
	SECURE_HEAP = 1024 * 1024,	/* private numbers of a hundred keys and more; a power of two */
	SECURE_MIN = 32,
};

struct key {
	struct key *next;		/* of its set */
	unsigned holders;		/* its set, and signatures under way */
	uint8_t id[IDENTITY_KEY_ID];
	EVP_PKEY *pkey;
	int type;			/* EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_ED25519 */
	unsigned curve;			/* bits of an EC key */
};

struct key_set {
	uint32_t serial;
	size_t n;
	struct key *first;
};

bool
keys_warm_up(void)
{
	EVP_PKEY *warm = EVP_EC_gen("P-256");
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[256];
	size_t n = sizeof signature;
	bool ok = warm != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, warm) == 1 &&
	    EVP_DigestSign(ctx, signature, &n, (const unsigned char *)"", 0) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(warm);
	return ok;
}

enum rc
keys_prepare(struct buf *why)
{
	/* No openssl.cnf: what it may load and switch on is decided here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1) {
		(void)buf_put_str(why, "OpenSSL does not start");
		return RC_IO;
	}
	/* 2: there is such memory, but the limit on locked memory is too small to keep it out of the swap space. */
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	if (!keys_warm_up()) {
		(void)buf_put_str(why, "OpenSSL cannot sign");
		return RC_UNSUPPORTED;
	}
	return RC_OK;
}

/* --- reading --- */

/* Never a question on a terminal. */
static int
/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says what it is like */
no_passphrase(char *to, int max, int writing, void *ctx)
{
	(void)to, (void)max, (void)writing, (void)ctx;
	return -1;
}

static EVP_PKEY *
read_key(int fd)
{
	uint8_t *bytes = OPENSSL_secure_malloc(KEY_FILE_MAX);
	EVP_PKEY *pkey = NULL;
	BIO *bio = NULL;
	size_t n = 0;

	if (bytes != NULL && file_read(fd, bytes, KEY_FILE_MAX, &n) == RC_OK && n < KEY_FILE_MAX)
		bio = BIO_new_mem_buf(bytes, (int)n);
	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	OPENSSL_secure_clear_free(bytes, KEY_FILE_MAX);
	return pkey;
}

static bool
key_id(EVP_PKEY *pkey, uint8_t id[IDENTITY_KEY_ID])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, id, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

static void
let_go(struct key *key)
{
	if (--key->holders > 0)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

static void
set_free(struct key_set *set)
{
	while (set != NULL && set->first != NULL) {
		struct key *one = set->first;

		set->first = one->next;
		let_go(one);
	}
	free(set);
}

static struct key_set *
arriving(struct keys *k, uint32_t serial)
{
	if (k->next != NULL && k->next->serial != serial) {
		set_free(k->next);	/* never finished: master has started over */
		k->next = NULL;
	}
	if (k->next == NULL && (k->next = calloc(1, sizeof *k->next)) != NULL)
		k->next->serial = serial;
	return k->next;
}

static struct key *
find_in(const struct key_set *set, struct slice id)
{
	for (struct key *one = set == NULL ? NULL : set->first; one != NULL; one = one->next)
		if (slice_eq(slice_of(one->id, sizeof one->id), id))
			return one;
	return NULL;
}

enum rc
keys_arrive(struct keys *k, uint32_t serial, struct slice id, int fd, struct buf *why)
{
	struct key_set *set = arriving(k, serial);
	struct key *one = calloc(1, sizeof *one);
	const char *problem = NULL;

	if (set == NULL || one == NULL)
		problem = "out of memory";
	else if (set->n == IDENTITIES_MAX)
		problem = "too many keys";
	else if (find_in(set, id) != NULL) {
		free(one);	/* two certificates with one key */
		return RC_OK;
	} else if ((one->pkey = read_key(fd)) == NULL)
		problem = "cannot be read as a private key in PEM form without a passphrase";
	else if (!key_id(one->pkey, one->id) || !slice_eq(slice_of(one->id, sizeof one->id), id))
		problem = "has changed since its certificate was read";
	if (problem != NULL) {
		(void)buf_put_str(why, problem);
		if (one != NULL)
			EVP_PKEY_free(one->pkey);
		free(one);
		return RC_IO;
	}
	one->holders = 1;
	one->type = EVP_PKEY_get_base_id(one->pkey);
	one->curve = (unsigned)EVP_PKEY_get_bits(one->pkey);
	one->next = set->first;
	set->first = one;
	set->n++;
	return RC_OK;
}

enum rc
keys_adopt(struct keys *k, uint32_t serial)
{
	struct key_set *set = arriving(k, serial);

	if (set == NULL)
		return RC_NOMEM;
	set_free(k->before);
	k->before = k->now;
	k->now = set;
	k->next = NULL;
	return RC_OK;
}

uint32_t
keys_arriving(const struct keys *k)
{
	return k->next == NULL ? 0 : k->next->serial;
}

void
keys_free(struct keys *k)
{
	set_free(k->now);
	set_free(k->before);
	set_free(k->next);
	*k = (struct keys){ NULL, NULL, NULL };
}

/* --- signing --- */

static const struct scheme {
	uint16_t scheme;
	int type;
	const EVP_MD *(*digest)(void);
	unsigned curve;		/* TLS 1.3 binds the curve to the scheme (RFC 8446 4.2.3) */
	bool pss;
	bool tls12_only;	/* RFC 8446 4.2.3: not defined for CertificateVerify */
} schemes[] = {
	{ VAULT_RSA_PSS_SHA256, EVP_PKEY_RSA, EVP_sha256, 0, true, false },
	{ VAULT_RSA_PSS_SHA384, EVP_PKEY_RSA, EVP_sha384, 0, true, false },
	{ VAULT_RSA_PSS_SHA512, EVP_PKEY_RSA, EVP_sha512, 0, true, false },
	{ VAULT_RSA_PKCS1_SHA256, EVP_PKEY_RSA, EVP_sha256, 0, false, true },
	{ VAULT_RSA_PKCS1_SHA384, EVP_PKEY_RSA, EVP_sha384, 0, false, true },
	{ VAULT_RSA_PKCS1_SHA512, EVP_PKEY_RSA, EVP_sha512, 0, false, true },
	{ VAULT_ECDSA_SHA256, EVP_PKEY_EC, EVP_sha256, 256, false, false },
	{ VAULT_ECDSA_SHA384, EVP_PKEY_EC, EVP_sha384, 384, false, false },
	{ VAULT_ECDSA_SHA512, EVP_PKEY_EC, EVP_sha512, 521, false, false },
	{ VAULT_ED25519, EVP_PKEY_ED25519, NULL, 0, false, false },
};

static const struct scheme *
scheme_find(uint16_t scheme)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (schemes[i].scheme == scheme)
			return &schemes[i];
	return NULL;
}

enum vault_status
keys_find(const struct keys *k, struct slice id, uint16_t scheme, bool tls13, struct signer *ret_signer)
{
	const struct scheme *s = scheme_find(scheme);
	struct key *key = find_in(k->now, id);

	if (key == NULL)
		key = find_in(k->before, id);
	if (key == NULL)
		return VAULT_NO_KEY;
	if (s == NULL || s->type != key->type || (tls13 && (s->tls12_only || (s->curve != 0 && s->curve != key->curve))))
		return VAULT_REFUSED;
	key->holders++;
	*ret_signer = (struct signer){ key, s };
	return VAULT_OK;
}

bool
signer_is_quick(const struct signer *s)
{
	/* OpenSSL has code of its own for these curves; of others, P-384 too, it takes as long as of RSA with 2048 bits. */
	return s->key->type == EVP_PKEY_ED25519 || (s->key->type == EVP_PKEY_EC && s->key->curve == 256);
}

enum vault_status
signer_sign(const struct signer *s, struct slice message, uint8_t signature[VAULT_SIGNATURE_MAX], size_t *ret_n)
{
	const EVP_MD *digest = s->scheme->digest == NULL ? NULL : s->scheme->digest();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = VAULT_SIGNATURE_MAX;
	EVP_PKEY_CTX *how = NULL;	/* owned by ctx */
	bool ok;

	ok = ctx != NULL && EVP_DigestSignInit(ctx, &how, digest, NULL, s->key->pkey) == 1 &&
	    (!s->scheme->pss || (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	    EVP_DigestSign(ctx, signature, &n, message.p, message.n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return VAULT_FAILED;
	*ret_n = n;
	return VAULT_OK;
}

void
signer_release(struct signer *s)
{
	let_go(s->key);
	*s = (struct signer){ NULL, NULL };
}
