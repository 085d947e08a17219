/* common/tls_settings.h -- the tls section of the configuration, applied to an OpenSSL context: versions, cipher suites, groups.
 *
 * One function for whoever speaks TLS and for the check of the configuration, so that what passes the one works in the
 * other. What RFC 9325 forbids cannot be configured: there is no way below TLS 1.2, to finite-field Diffie-Hellman, to
 * suites without forward secrecy or without authenticated encryption of the record. */
#ifndef POSTERN_COMMON_TLS_SETTINGS_H
#define POSTERN_COMMON_TLS_SETTINGS_H

#include "common/buf.h"
#include "common/conf.h"

#include <openssl/ssl.h>

/* RC_SYNTAX: *ret_option is the name of the option that is wrong, and why says what. RC_NOMEM. */
enum rc tls_settings_apply(SSL_CTX *ctx, const struct conf_tls *conf, const char **ret_option, struct buf *why);

/* The same, on a context made for it. */
enum rc tls_settings_check(const struct conf_tls *conf, const char **ret_option, struct buf *why);

#endif
