/* smtpd/identity.h -- who we are in TLS: the certificates of the configuration, each with a key that signs in the vault.
 *
 * They come from master as files (FILE_CHAIN), at the start and again whenever one was renewed. A set is never changed:
 * a new one takes its place, and whoever made an SSL_CTX from the old one keeps a reference to it as long as it is used. */
#ifndef POSTERN_SMTPD_IDENTITY_H
#define POSTERN_SMTPD_IDENTITY_H

#include "common/ipc/schema.h"
#include "common/slice.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct smtpd;

struct tls_identity {
	char *title;			/* of the certificate section */
	X509 *leaf;
	STACK_OF(X509) *chain;		/* above it; may be empty, never NULL */
	EVP_PKEY *key;			/* RSA, EC or ED25519; holds the public half only: see smtpd/vault.h */
	char **names;			/* lower case; "*.example.org" stands for one label (RFC 6125 6.4.3) */
	size_t n_names;
};

struct tls_identities {
	unsigned refs;
	uint32_t serial;		/* counts the sets of this house */
	size_t n;			/* in the order of the configuration; the first one is for clients that name no host */
	struct tls_identity *v;
};

struct tls_identities *identities_ref(struct tls_identities *set);
void identities_unref(struct tls_identities *set);	/* NULL is fine */

/* What smtpd.c is told by master: a FILE_CHAIN (fd is taken over), and that all of a set have come: it becomes
 * smtpd->identities, and smtpd->identities_changed() is called if it is set. NULL, or why the set is refused. */
void identity_file(struct smtpd *smtpd, const struct m_file *m, int fd);
const char *identities_adopt(struct smtpd *smtpd, uint32_t serial);
void identities_free(struct smtpd *smtpd);

#endif
