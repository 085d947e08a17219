/* smtpd/tls_site.h -- which certificates are shown to whom: from the name that a client asks for to an OpenSSL context.
 *
 * A name may have several certificates, one for each kind of key; OpenSSL takes the one that the client can check (RFC
 * 8446 4.4.2.2). An exact name goes before *.example.org, and what stands earlier in the configuration before what stands
 * later. What has expired or is not valid yet is shown only where nothing valid is. Names that want the same certificates share a
 * context. */
#ifndef POSTERN_SMTPD_TLS_SITE_H
#define POSTERN_SMTPD_TLS_SITE_H

#include "common/buf.h"
#include "common/rc.h"
#include "smtpd/identity.h"

#include <openssl/ssl.h>

enum { TLS_SITE_NAME_MAX = 253 };	/* RFC 1035 2.3.4, as text */

struct tls_sites;

/* Sets a new context up, before it has certificates. */
typedef enum rc tls_site_fn(SSL_CTX *ctx, void *arg, struct buf *why);

/* ids has one identity at least, and is counted. */
enum rc tls_sites_new(struct tls_identities *ids, tls_site_fn *setup, void *arg, struct tls_sites **ret_sites, struct buf *why);
void tls_sites_free(struct tls_sites *sites);	/* NULL is fine */

/* For clients that name no host. Borrowed. */
SSL_CTX *tls_sites_first(const struct tls_sites *sites);
/* For this name, in lower case. NULL: nobody has it. */
SSL_CTX *tls_sites_find(const struct tls_sites *sites, struct slice name);

#endif
