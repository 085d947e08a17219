/* common/tls_settings.c -- see tls_settings.h. */
#include "common/tls_settings.h"

#include "common/escape.h"

#include <openssl/err.h>

enum {
	LIST_MAX = 2048,	/* of one option; all names that OpenSSL knows take less */
	WORD_MAX = 80,
};

static enum rc
refuse(struct buf *why, struct slice word, const char *words)
{
	(void)buf_put_byte(why, '\'');
	(void)escape_put(why, word, WORD_MAX);
	(void)buf_put_str(why, "' ");
	(void)buf_put_str(why, words);
	return RC_SYNTAX;
}

/* --- versions --- */

static enum rc
apply_version(SSL_CTX *ctx, const char *name, struct buf *why)
{
	int version = strcmp(name, "TLSv1.2") == 0 ? TLS1_2_VERSION : strcmp(name, "TLSv1.3") == 0 ? TLS1_3_VERSION : 0;

	if (version == 0)
		return refuse(why, slice_str(name), "is not to be used; write TLSv1.2 or TLSv1.3 (RFC 8996, RFC 9325 3.1.1)");
	return SSL_CTX_set_min_proto_version(ctx, version) == 1 && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 ?
	    RC_OK : RC_NOMEM;
}

/* --- TLS 1.2: cipher suites --- */

/* RFC 9325 4.1: what must not be used, and 4.2: what is left when forward secrecy and authenticated encryption are asked for. */
static bool
is_strong(const SSL_CIPHER *c)
{
	return SSL_CIPHER_is_aead(c) == 1 && SSL_CIPHER_get_bits(c, NULL) >= 128 && SSL_CIPHER_get_auth_nid(c) != NID_auth_null &&
	    (SSL_CIPHER_get_kx_nid(c) == NID_kx_ecdhe || SSL_CIPHER_get_kx_nid(c) == NID_kx_any);
}

/* OpenSSL passes over names that it does not know, and a misspelt list would be a shorter one. */
static enum rc
check_words(SSL_CTX *ctx, struct slice list, struct buf *why)
{
	struct slice word;

	while (slice_word(&list, S(": ,"), &word)) {
		char text[WORD_MAX + 1];

		/* "@SECLEVEL=0" would undo the level that is set below: RFC 9325 4.4, 4.5. */
		if (slice_find(word, '@') < word.n)
			return refuse(why, word, "is no cipher suite; the security level is not to be changed (RFC 9325 4.5)");
		if (strchr("!-+", word.p[0]) != NULL)
			continue;
		if (word.n > WORD_MAX)
			return refuse(why, word, "is no cipher suite that OpenSSL knows");
		memcpy(text, word.p, word.n);
		text[word.n] = '\0';
		if (SSL_CTX_set_cipher_list(ctx, text) != 1)
			return refuse(why, word, "is no cipher suite that OpenSSL knows; see: openssl ciphers -v");
	}
	return RC_OK;
}

static enum rc
apply_ciphers(SSL_CTX *ctx, const char *list, struct buf *why)
{
	const STACK_OF(SSL_CIPHER) *have;
	enum rc rc = check_words(ctx, slice_str(list), why);

	if (rc != RC_OK)
		return rc;
	if (SSL_CTX_set_cipher_list(ctx, list) != 1)
		return refuse(why, slice_str(list), "leaves no cipher suite");
	have = SSL_CTX_get_ciphers(ctx);
	for (int i = 0; i < sk_SSL_CIPHER_num(have); i++)
		if (!is_strong(sk_SSL_CIPHER_value(have, i)))
			return refuse(why, slice_str(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(have, i))),
			    "has no forward secrecy (ECDHE) or no authenticated encryption (RFC 9325 4.1, 4.2); leave it out");
	return RC_OK;
}

static enum rc
apply_ciphersuites(SSL_CTX *ctx, const char *list, struct buf *why)
{
	if (SSL_CTX_set_ciphersuites(ctx, list) != 1)
		return refuse(why, slice_str(list), "names a cipher suite of TLS 1.3 that OpenSSL does not know");
	return RC_OK;
}

/* --- groups --- */

static enum rc
apply_groups(SSL_CTX *ctx, const char *list, struct buf *why)
{
	struct slice rest = slice_str(list), word;
	char text[LIST_MAX];		/* the library's macro takes no constant */

	if (rest.n >= sizeof text)
		return refuse(why, rest, "is too long");
	memcpy(text, list, rest.n + 1);
	/* THREATS 10: their cost is chosen by the client (CVE-2002-20001). */
	while (slice_word(&rest, S(": ,"), &word))
		if (slice_caseeq(slice_first(word, 5), S("ffdhe")))
			return refuse(why, word,
			    "is finite-field Diffie-Hellman, by which clients keep a server busy; leave it out");
	if (SSL_CTX_set1_groups_list(ctx, text) != 1)
		return refuse(why, slice_str(list), "names a group that OpenSSL does not know; write names such as X25519:P-256");
	return RC_OK;
}

/* --- the whole --- */

enum rc
tls_settings_apply(SSL_CTX *ctx, const struct conf_tls *conf, const char **ret_option, struct buf *why)
{
	enum rc rc = apply_version(ctx, conf->min_version, why);

	*ret_option = "min-version";
	/* RSA with 2048 bits and curves with 224 at least, and no SHA-1 in signatures (RFC 9325 4.4, 4.5). */
	SSL_CTX_set_security_level(ctx, 2);
	if (rc == RC_OK) {
		*ret_option = "ciphers";
		rc = apply_ciphers(ctx, conf->ciphers, why);
	}
	if (rc == RC_OK) {
		*ret_option = "ciphersuites";
		rc = apply_ciphersuites(ctx, conf->ciphersuites, why);
	}
	if (rc == RC_OK) {
		*ret_option = "groups";
		rc = apply_groups(ctx, conf->groups, why);
	}
	if (rc == RC_OK && conf->prefer_server_ciphers)
		SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* RFC 9325 3.3 (compression), 3.5 (renegotiation), THREATS 10. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	ERR_clear_error();
	return rc;
}

enum rc
tls_settings_check(const struct conf_tls *conf, const char **ret_option, struct buf *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	enum rc rc = RC_NOMEM;

	*ret_option = "min-version";
	if (ctx != NULL)
		rc = tls_settings_apply(ctx, conf, ret_option, why);
	SSL_CTX_free(ctx);
	return rc;
}
