/* smtpd/tls.h -- one connection's TLS, on the server's side. Of smtpd only the tls files and those for the keys (vault.c,
 * vault_provider.c, identity.c) call OpenSSL.
 *
 * Nothing blocks: every call says what it waits for. The private key's operation may be done by another room; the
 * handshake then waits (TLS_WAITS) until it is woken. What is known of the connection is gathered once, at the end of
 * the handshake. stream.h is what the rest of smtpd sees of it. */
#ifndef POSTERN_SMTPD_TLS_H
#define POSTERN_SMTPD_TLS_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

struct tls;
struct tls_listener;	/* tls_listener.h */

enum tls_status {
	TLS_DONE,
	TLS_READS,	/* wait until the descriptor can be read */
	TLS_WRITES,	/* until it can be written */
	TLS_WAITS,	/* until woken */
	TLS_CLOSED,	/* the other side has closed its half, with or without a word */
	TLS_FAILED,
};

enum tls_binding {
	TLS_BINDING_EXPORTER,		/* tls-exporter, RFC 9266 */
	TLS_BINDING_SERVER_END_POINT,	/* tls-server-end-point, RFC 5929 4 */
};

enum {
	TLS_DIGEST = 32,		/* SHA-256 */
	TLS_FINGERPRINT_TEXT = 2 * TLS_DIGEST, /* in hexadecimal, lower case, without colons */
	TLS_SNI_MAX = 253,
	TLS_NAME_MAX = 128,		/* of a certificate's subject, issuer or address; longer ones are cut */
};

/* What a client has shown. Texts are printable ASCII, whatever stood in the certificate. */
struct tls_certificate {
	uint8_t fingerprint[TLS_DIGEST];	/* SHA-256 of the whole certificate (DER) */
	uint8_t key_fingerprint[TLS_DIGEST];	/* and of its SubjectPublicKeyInfo */
	bool verified;				/* signed by one of client-ca, and valid now */
	char common_name[TLS_NAME_MAX + 1];	/* of the subject; "" when there is none */
	char issuer[TLS_NAME_MAX + 1];		/* common name, else organization, of the issuer */
	char address[TLS_NAME_MAX + 1];		/* the first rfc822Name of the subject's alternative names; "" */
};

struct tls_facts {
	const char *protocol;		/* "TLSv1.3"; these are constants */
	const char *cipher;
	const char *registered;		/* the cipher's name at IANA: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" */
	const char *group;		/* of the key exchange; "" when not known */
	const char *signature;		/* of the server's handshake signature: "RSA-PSS"; "" on resumption */
	const char *digest;		/* "SHA256" */
	unsigned used_bits, cipher_bits;	/* secret bits used, and what the algorithm has */
	unsigned key_bits;		/* of our certificate's key; 0 on resumption */
	bool resumed;
	bool asked;			/* the client was asked for a certificate */
	char sni[TLS_SNI_MAX + 1];	/* "" when it sent none that is a name */
	struct tls_certificate *client;	/* NULL: it showed none */
};

/* NUL-terminated. */
void tls_fingerprint_format(const uint8_t digest[TLS_DIGEST], char text[TLS_FINGERPRINT_TEXT + 1]);

/* The descriptor stays the caller's. listener is counted by it. RC_NOMEM. */
enum rc tls_new(struct tls_listener *listener, int fd, void (*woken)(void *ctx), void *ctx,
    struct tls **ret_tls);
/* At once, without a word; NULL is fine. What waits for another room is kept aside until that has answered. */
void tls_free(struct tls **tls);

/* *ret_more: bytes behind the handshake have been read already. */
enum tls_status tls_shake(struct tls *tls, bool *ret_more);
/* What the handshake failed of; a constant, or lives as long as tls. */
const char *tls_trouble(const struct tls *tls);

enum tls_status tls_read(struct tls *tls, uint8_t *to, size_t max, size_t *ret_n, bool *ret_more);
enum tls_status tls_write(struct tls *tls, struct slice bytes, bool last, size_t *ret_n);
/* close_notify, if it goes without waiting (RFC 8446 6.1). */
void tls_say_goodbye(struct tls *tls);

const struct tls_facts *tls_facts(const struct tls *tls);
bool tls_binding(const struct tls *tls, enum tls_binding type, struct buf *out);

/* For tls_listener.c, while a handshake runs: the connection that an SSL belongs to. */
struct tls_listener *tls_listener_of(const struct tls *tls);
/* The name that the client asked for; it is known to be LDH. */
void tls_set_sni(struct tls *tls, struct slice name);

#endif
