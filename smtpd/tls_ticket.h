/* smtpd/tls_ticket.h -- session tickets (RFC 5077, RFC 8446 4.6.1): sealed with the listener's keys of the moment.
 *
 * Nothing is remembered here for a client: the ticket holds it all, and any smtpd process can open it, since all have the
 * keys. A listener opens no ticket of another one (THREATS 9): neither the keys nor the session context are the same. */
#ifndef POSTERN_SMTPD_TLS_TICKET_H
#define POSTERN_SMTPD_TLS_TICKET_H

#include "smtpd/tls_certificate.h"

#include <openssl/ssl.h>

enum {
	TLS_TICKET_LIFE = 2 * 3600,	/* seconds: well below the rotation of the keys */
	TLS_TICKETS = 1,		/* a connection: clients that want more resume, and get another */
};

/* For a context: its connections have app data of struct tls. False: no memory. */
bool tls_ticket_setup(SSL_CTX *ctx);

/* tls-server-end-point of a connection (RFC 5929 4): of the certificate that was shown, also when that was in the
 * connection that this one resumes. Bytes; 0: none. */
size_t tls_ticket_end_point(SSL *ssl, uint8_t digest[TLS_ENDPOINT_MAX]);

#endif
