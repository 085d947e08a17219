/* smtpd/tls_certificate.h -- from a certificate to what is told of it: digests and harmless text. */
#ifndef POSTERN_SMTPD_TLS_CERTIFICATE_H
#define POSTERN_SMTPD_TLS_CERTIFICATE_H

#include "smtpd/tls.h"

#include <openssl/x509.h>

enum { TLS_ENDPOINT_MAX = 64 };		/* the longest digest there is: SHA-512 */

/* Everything but `verified`. False: it cannot be digested. */
bool tls_certificate_read(X509 *certificate, struct tls_certificate *ret_c);

/* The certificate's digest as RFC 5929 4.1 wants it: with the hash of its own signature, SHA-256 for the broken ones.
 * Bytes of it; 0: this certificate has none (its signature uses no hash, or several). */
size_t tls_certificate_end_point(const X509 *certificate, uint8_t digest[TLS_ENDPOINT_MAX]);

#endif
