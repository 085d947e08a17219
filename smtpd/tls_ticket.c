/* smtpd/tls_ticket.c -- see tls_ticket.h. */
#include "smtpd/tls_ticket.h"

#include "smtpd/tls_listener.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

/* --- keys --- */

static bool
set_mac(EVP_MAC_CTX *mac, const struct vault_ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[2];

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	return EVP_MAC_init(mac, key->mac, sizeof key->mac, params) == 1;
}

static int
seal(const struct vault_ticket_key *key, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
		return -1;
	memcpy(name, key->name, sizeof key->name);
	return set_mac(mac, key) && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1 ? 1 : -1;
}

/* 0: it is not ours, a full handshake follows. 2: the client gets a new one, also in TLS 1.3, where none is to be used
 * twice (RFC 8446 C.4). */
static int
unseal(SSL *ssl, const struct vault_ticket_key *keys, unsigned n, const unsigned char *name, const unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	for (unsigned i = 0; i < n; i++) {
		if (CRYPTO_memcmp(name, keys[i].name, sizeof keys[i].name) != 0)
			continue;
		if (!set_mac(mac, &keys[i]) || EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys[i].aes, iv) != 1)
			return -1;
		return i == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
	}
	return 0;
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	struct vault_ticket_key keys[VAULT_SECRETS_MAX];
	unsigned n = tls_listener_ticket_keys(tls_listener_of(SSL_get_app_data(ssl)), keys);
	int answer = 0;

	if (n > 0)
		answer = encrypt != 0 ? seal(&keys[0], name, iv, cipher, mac) : unseal(ssl, keys, n, name, iv, cipher, mac);
	OPENSSL_cleanse(keys, sizeof keys);
	return answer;
}

/* --- what a ticket remembers beside the session --- */

static int
on_new_ticket(SSL *ssl, void *arg)
{
	uint8_t digest[TLS_ENDPOINT_MAX];
	X509 *shown = SSL_get_certificate(ssl);
	size_t n;

	(void)arg;
	/* One that resumes has it from its own ticket. */
	if (SSL_session_reused(ssl) == 1 || shown == NULL)
		return 1;
	n = tls_certificate_end_point(shown, digest);
	return n == 0 || SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), digest, n) == 1;
}

bool
tls_ticket_setup(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE);
	return SSL_CTX_set_num_tickets(ctx, TLS_TICKETS) == 1 && SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1 &&
	    SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, NULL, NULL) == 1;
}

size_t
tls_ticket_end_point(SSL *ssl, uint8_t digest[TLS_ENDPOINT_MAX])
{
	void *data = NULL;
	size_t n = 0;

	if (SSL_session_reused(ssl) != 1)
		return SSL_get_certificate(ssl) == NULL ? 0 : tls_certificate_end_point(SSL_get_certificate(ssl), digest);
	if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &data, &n) != 1 || n > TLS_ENDPOINT_MAX || n == 0)
		return 0;
	memcpy(digest, data, n);
	return n;
}
