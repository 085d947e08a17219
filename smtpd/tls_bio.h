/* smtpd/tls_bio.h -- how OpenSSL reads and writes a session's descriptor: recv and send, never a signal, never a wait. */
#ifndef POSTERN_SMTPD_TLS_BIO_H
#define POSTERN_SMTPD_TLS_BIO_H

#include <openssl/bio.h>

/* NULL: no memory. It must live as long as what is made of it. */
BIO_METHOD *tls_bio_method(void);

/* Over a descriptor that stays the caller's. NULL: no memory. */
BIO *tls_bio_new(const BIO_METHOD *method, int fd);

/* From here on what is written may wait for what follows, until the descriptor is closed (MSG_MORE). */
void tls_bio_gather(BIO *b);

#endif
