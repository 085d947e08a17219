/* tests/tls/keys.h -- keys made on the spot, and what names them. */
#ifndef POSTERN_TESTS_TLS_KEYS_H
#define POSTERN_TESTS_TLS_KEYS_H

#include "common/identity.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* "RSA", "P-256", "P-384", "P-521" or "ED25519". */
EVP_PKEY *test_make_key(const char *kind);
X509 *test_make_certificate(EVP_PKEY *key, const char *name);	/* signed by itself */
void test_key_id(EVP_PKEY *key, uint8_t id[IDENTITY_KEY_ID]);
int test_memory_file(struct slice s);
int test_key_file(EVP_PKEY *key);	/* the key as PEM */

#endif
