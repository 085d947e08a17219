/* vault/tls_input.h -- is this what a TLS server signs in a handshake? Pure.
 *
 * Whoever has broken into smtpd may ask for signatures, but not for a signature of anything: not of a certificate, not of
 * a message, not of a login elsewhere, not of what a TLS client signs (THREATS 47). */
#ifndef POSTERN_VAULT_TLS_INPUT_H
#define POSTERN_VAULT_TLS_INPUT_H

#include "common/slice.h"

enum tls_input {
	TLS_INPUT_NONE,		/* anything else */
	TLS_INPUT_12,		/* ServerKeyExchange with a named curve (RFC 8422 5.4) */
	TLS_INPUT_13,		/* CertificateVerify of a server (RFC 8446 4.4.3) */
};

enum tls_input tls_input_kind(struct slice message);

#endif
