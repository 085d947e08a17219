/* smtpd/vault_provider.c -- the OpenSSL provider whose keys sign in the vault (THREATS 48: ENGINE and custom methods are
 * gone from OpenSSL 4). See vault_provider.h.
 *
 * A key here is its public half, the name of the private one, and the line to the vault. There is one operation: sign a
 * whole message (EVP_DigestSign), as TLS does in CertificateVerify (RFC 8446 4.4.3) and ServerKeyExchange (RFC 5246
 * 7.4.3). No decryption, so no cipher suite with RSA key exchange can be used; no export, so OpenSSL cannot take the key
 * elsewhere and try there. */
#include "smtpd/vault_provider.h"

#include "common/identity.h"
#include "smtpd/vault_ask.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#define PROVIDER "postern-vault"
/* Our own parameters of a key that is made. */
#define PARAM_LINE "postern-line"
#define PARAM_KEY "postern-key"

enum kind { KIND_RSA = 1, KIND_EC, KIND_ED25519 };

enum {
	GROUP_MAX = 64,
	POINT_MAX = 133,	/* P-521, uncompressed */
	ED25519_BITS = 256, ED25519_SECURITY = 128, ED25519_SIGNATURE = 64,
	ECDSA_OVERHEAD = 9,	/* DER around the two numbers, a sign octet before each */
};

struct key {
	enum kind kind;
	bool whole;			/* has a private half in the vault */
	struct vault_line *line;
	uint8_t id[IDENTITY_KEY_ID];
	int bits, security, signature;	/* bytes of a signature, at most */
	BIGNUM *n, *e;			/* RSA */
	char group[GROUP_MAX];		/* EC */
	uint8_t point[POINT_MAX];	/* EC, ED25519 */
	size_t n_point;
};

/* --- keys --- */

static void *
key_new(enum kind kind)
{
	struct key *k = calloc(1, sizeof *k);

	if (k != NULL)
		k->kind = kind;
	return k;
}

static void *rsa_new(void *provider) { (void)provider; return key_new(KIND_RSA); }
static void *ec_new(void *provider) { (void)provider; return key_new(KIND_EC); }
static void *ed25519_new(void *provider) { (void)provider; return key_new(KIND_ED25519); }

static void
key_free(void *data)
{
	struct key *k = data;

	if (k == NULL)
		return;
	BN_free(k->n);
	BN_free(k->e);
	free(k);
}

static int
key_has(const void *data, int selection)
{
	const struct key *k = data;

	if (k == NULL)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !k->whole)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || k->bits != 0;
}

/* Does a certificate's key belong to this one? */
static int
key_match(const void *one, const void *other, int selection)
{
	const struct key *a = one, *b = other;

	(void)selection;
	if (a->kind != b->kind || a->bits == 0 || b->bits == 0)
		return 0;
	if (a->kind == KIND_RSA)
		return BN_cmp(a->n, b->n) == 0 && BN_cmp(a->e, b->e) == 0;
	return strcmp(a->group, b->group) == 0 && a->n_point == b->n_point && memcmp(a->point, b->point, a->n_point) == 0;
}

static bool
import_rsa(struct key *k, const OSSL_PARAM params[])
{
	const OSSL_PARAM *n = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
	const OSSL_PARAM *e = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);

	if (n == NULL || e == NULL || OSSL_PARAM_get_BN(n, &k->n) != 1 || OSSL_PARAM_get_BN(e, &k->e) != 1)
		return false;
	k->bits = BN_num_bits(k->n);
	k->security = BN_security_bits(k->bits, -1);
	k->signature = BN_num_bytes(k->n);
	return true;
}

static const struct curve {
	const char *name;
	int bits, security;
} curves[] = {
	{ SN_X9_62_prime256v1, 256, 128 }, { SN_secp384r1, 384, 192 }, { SN_secp521r1, 521, 256 },
};

static bool
import_point(struct key *k, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	void *point = k->point;

	return p != NULL && OSSL_PARAM_get_octet_string(p, &point, sizeof k->point, &k->n_point) == 1;
}

static bool
import_ec(struct key *k, const OSSL_PARAM params[])
{
	const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
	char *name = k->group;

	if (group == NULL || OSSL_PARAM_get_utf8_string(group, &name, sizeof k->group) != 1 || !import_point(k, params))
		return false;
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
		if (strcmp(curves[i].name, k->group) == 0) {
			k->bits = curves[i].bits;
			k->security = curves[i].security;
			k->signature = 2 * ((k->bits + 7) / 8) + ECDSA_OVERHEAD;
			return true;
		}
	return false;
}

static bool
import_ed25519(struct key *k, const OSSL_PARAM params[])
{
	if (!import_point(k, params))
		return false;
	k->bits = ED25519_BITS;
	k->security = ED25519_SECURITY;
	k->signature = ED25519_SIGNATURE;
	return true;
}

/* From our own vault_provider_key() with all parameters, and from OpenSSL with the public ones, to compare a certificate. */
static int
key_import(void *data, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *line = OSSL_PARAM_locate_const(params, PARAM_LINE);
	const OSSL_PARAM *id = OSSL_PARAM_locate_const(params, PARAM_KEY);
	struct key *k = data;
	bool ok = k->kind == KIND_RSA ? import_rsa(k, params) : k->kind == KIND_EC ? import_ec(k, params) :
	    import_ed25519(k, params);

	(void)selection;
	if (!ok)
		return 0;
	if (line == NULL && id == NULL)
		return 1;
	if (line == NULL || id == NULL || line->data_size != sizeof k->line || id->data_size != sizeof k->id)
		return 0;
	memcpy(&k->line, line->data, sizeof k->line);
	memcpy(k->id, id->data, sizeof k->id);
	k->whole = true;
	return 1;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(PARAM_LINE, NULL, 0),
		OSSL_PARAM_octet_string(PARAM_KEY, NULL, 0),
		OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static int
key_get_params(void *data, OSSL_PARAM params[])
{
	const struct key *k = data;
	OSSL_PARAM *p;

	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS)) != NULL && OSSL_PARAM_set_int(p, k->bits) != 1)
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS)) != NULL && OSSL_PARAM_set_int(p, k->security) != 1)
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE)) != NULL && OSSL_PARAM_set_int(p, k->signature) != 1)
		return 0;
	if (k->kind == KIND_EC && (p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME)) != NULL &&
	    OSSL_PARAM_set_utf8_string(p, k->group) != 1)
		return 0;
	if (k->kind != KIND_ED25519 && (p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST)) != NULL &&
	    OSSL_PARAM_set_utf8_string(p, "SHA256") != 1)
		return 0;
	/* ED25519 hashes by itself: no other digest is possible. */
	if (k->kind == KIND_ED25519 && (p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST)) != NULL &&
	    OSSL_PARAM_set_utf8_string(p, "") != 1)
		return 0;
	return 1;
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_END
	};

	(void)provider;
	return types;
}

static const char *rsa_operation(int operation) { (void)operation; return "RSA"; }
static const char *ec_operation(int operation) { (void)operation; return "ECDSA"; }
static const char *ed25519_operation(int operation) { (void)operation; return "ED25519"; }

/* Functions of any type travel as void (*)(void); OpenSSL casts them back by their number. */
#define FN(number, function) { number, (void (*)(void))(function) }
#define KEYMGMT(name)									\
	static const OSSL_DISPATCH name##_keymgmt[] = {					\
		FN(OSSL_FUNC_KEYMGMT_NEW, name##_new),					\
		FN(OSSL_FUNC_KEYMGMT_FREE, key_free),					\
		FN(OSSL_FUNC_KEYMGMT_HAS, key_has),					\
		FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),					\
		FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),				\
		FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),			\
		FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),			\
		FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),		\
		FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, name##_operation),		\
		{ 0, NULL }								\
	};
KEYMGMT(rsa)
KEYMGMT(ec)
KEYMGMT(ed25519)

/* --- signatures --- */

struct signing {
	const struct key *key;		/* borrowed: the EVP_PKEY outlives the operation */
	unsigned digest;		/* bits; 0: none */
	bool pss;
};

static void *
signing_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	return calloc(1, sizeof(struct signing));
}

static void
signing_free(void *data)
{
	free(data);
}

static bool
take_padding(struct signing *s, const OSSL_PARAM *p)
{
	int number = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		s->pss = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
		return s->pss || strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0;
	}
	if (OSSL_PARAM_get_int(p, &number) != 1)
		return false;
	s->pss = number == RSA_PKCS1_PSS_PADDING;
	return s->pss || number == RSA_PKCS1_PADDING;
}

/* RFC 8446 4.2.3: the salt is as long as the digest; the vault makes no other. */
static bool
is_salt_of_digest(const OSSL_PARAM *p)
{
	int number = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return OSSL_PARAM_get_int(p, &number) == 1 && number == RSA_PSS_SALTLEN_DIGEST;
}

static int
signing_set_params(void *data, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = params == NULL ? NULL : OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);

	if (p != NULL && !take_padding(data, p))
		return 0;
	p = params == NULL ? NULL : OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return p == NULL || is_salt_of_digest(p);
}

static const OSSL_PARAM *
signing_settable_params(void *data, void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END
	};

	(void)data, (void)provider;
	return types;
}

static const struct {
	const char *name;
	unsigned bits;
} digests[] = {
	{ "SHA256", 256 }, { "SHA2-256", 256 }, { "SHA384", 384 }, { "SHA2-384", 384 }, { "SHA512", 512 }, { "SHA2-512", 512 },
};

static int
signing_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = data;

	if (key != NULL)
		s->key = key;
	if (s->key == NULL || !s->key->whole)
		return 0;
	s->digest = 0;
	for (size_t i = 0; digest != NULL && i < sizeof digests / sizeof digests[0]; i++)
		if (OPENSSL_strcasecmp(digest, digests[i].name) == 0)
			s->digest = digests[i].bits;
	if ((s->digest == 0) != (s->key->kind == KIND_ED25519))
		return 0;
	return signing_set_params(s, params);
}

static enum vault_scheme
scheme_of(const struct signing *s)
{
	static const enum vault_scheme ecdsa[] = { VAULT_ECDSA_SHA256, VAULT_ECDSA_SHA384, VAULT_ECDSA_SHA512 };
	static const enum vault_scheme pss[] = { VAULT_RSA_PSS_SHA256, VAULT_RSA_PSS_SHA384, VAULT_RSA_PSS_SHA512 };
	static const enum vault_scheme pkcs1[] = { VAULT_RSA_PKCS1_SHA256, VAULT_RSA_PKCS1_SHA384, VAULT_RSA_PKCS1_SHA512 };
	unsigned i = s->digest / 128 - 2;

	if (s->key->kind == KIND_ED25519)
		return VAULT_ED25519;
	return s->key->kind == KIND_EC ? ecdsa[i] : s->pss ? pss[i] : pkcs1[i];
}

static int
signing_sign(void *data, unsigned char *signature, size_t *n, size_t max, const unsigned char *message, size_t n_message)
{
	const struct signing *s = data;

	/* It asks for the size first. */
	if (signature == NULL) {
		*n = (size_t)s->key->signature;
		return 1;
	}
	return vault_ask(s->key->line, scheme_of(s), slice_of(s->key->id, sizeof s->key->id), slice_of(message, n_message),
	    signature, max, n) == RC_OK;
}

static const OSSL_DISPATCH signature_functions[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL }
};

/* --- the provider --- */

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" PROVIDER, rsa_keymgmt, NULL },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" PROVIDER, ec_keymgmt, NULL },
		{ "ED25519:1.3.101.112", "provider=" PROVIDER, ed25519_keymgmt, NULL },
		{ NULL, NULL, NULL, NULL }
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" PROVIDER, signature_functions, NULL },
		{ "ECDSA", "provider=" PROVIDER, signature_functions, NULL },
		{ "ED25519:1.3.101.112", "provider=" PROVIDER, signature_functions, NULL },
		{ NULL, NULL, NULL, NULL }
	};

	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
	FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
	{ 0, NULL }
};

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	static int somewhere;

	(void)handle, (void)in;
	*out = provider_functions;
	*provider = &somewhere;		/* we keep nothing there, but NULL would mean failure */
	return 1;
}

OSSL_LIB_CTX *
vault_provider_new(OSSL_PROVIDER **ret_provider)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *provider = NULL;

	if (library != NULL && OSSL_PROVIDER_add_builtin(library, PROVIDER, provider_init) == 1)
		provider = OSSL_PROVIDER_load(library, PROVIDER);
	if (provider == NULL) {
		OSSL_LIB_CTX_free(library);
		return NULL;
	}
	*ret_provider = provider;
	return library;
}

void
vault_provider_free(OSSL_LIB_CTX *library, OSSL_PROVIDER *provider)
{
	if (provider != NULL)
		(void)OSSL_PROVIDER_unload(provider);
	OSSL_LIB_CTX_free(library);
}

/* --- keys for identity.c --- */

EVP_PKEY *
vault_provider_key(OSSL_LIB_CTX *library, struct vault_line *v, EVP_PKEY *public, struct slice key_id)
{
	const char *type = EVP_PKEY_is_a(public, "RSA") ? "RSA" : EVP_PKEY_is_a(public, "EC") ? "EC" :
	    EVP_PKEY_is_a(public, "ED25519") ? "ED25519" : NULL;
	OSSL_PARAM ours[3], *given = NULL, *all = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;
	uint8_t id[IDENTITY_KEY_ID];

	if (type == NULL || key_id.n != sizeof id || EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &given) != 1)
		return NULL;
	memcpy(id, key_id.p, sizeof id);
	ours[0] = OSSL_PARAM_construct_octet_string(PARAM_LINE, &v, sizeof v);
	ours[1] = OSSL_PARAM_construct_octet_string(PARAM_KEY, id, sizeof id);
	ours[2] = OSSL_PARAM_construct_end();
	all = OSSL_PARAM_merge(given, ours);
	ctx = EVP_PKEY_CTX_new_from_name(library, type, "provider=" PROVIDER);
	if (all == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(given);
	OSSL_PARAM_free(all);
	return key;
}
