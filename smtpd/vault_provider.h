/* smtpd/vault_provider.h -- the OpenSSL provider whose keys sign in the vault. */
#ifndef POSTERN_SMTPD_VAULT_PROVIDER_H
#define POSTERN_SMTPD_VAULT_PROVIDER_H

#include "smtpd/vault.h"

/* A library context with this provider and nothing else: no look-up of another part of OpenSSL can come upon it by
 * accident, and keys of the vault find it because they are its own. NULL: OpenSSL does not take it. */
OSSL_LIB_CTX *vault_provider_new(OSSL_PROVIDER **ret_provider);
void vault_provider_free(OSSL_LIB_CTX *library, OSSL_PROVIDER *provider);	/* after all its keys; NULL is fine */

/* A key that looks like public, and signs through v. NULL: a kind that the vault does not know. */
EVP_PKEY *vault_provider_key(OSSL_LIB_CTX *library, struct vault_line *v, EVP_PKEY *public, struct slice key_id);

#endif
