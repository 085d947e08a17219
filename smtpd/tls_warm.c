/* smtpd/tls_warm.c -- one whole handshake with itself, before the sandbox: see tls_warm_up() in tls_listener.h. */
#include "smtpd/tls_listener.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum { TURNS_MAX = 20 };	/* of both sides; a handshake takes three */

struct warm {
	EVP_PKEY *key;
	X509 *certificate;
	SSL_CTX *contexts[2];		/* client, server */
	SSL *ends[2];
};

static bool
make_certificate(struct warm *w)
{
	w->key = EVP_EC_gen("P-256");
	w->certificate = X509_new();
	return w->key != NULL && w->certificate != NULL && X509_set_version(w->certificate, X509_VERSION_3) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(w->certificate), -3600) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(w->certificate), 3600) != NULL &&
	    X509_set_pubkey(w->certificate, w->key) == 1 && X509_sign(w->certificate, w->key, EVP_sha256()) > 0;
}

static bool
make_ends(struct warm *w, int version)
{
	BIO *a = NULL, *b = NULL;

	w->contexts[0] = SSL_CTX_new(TLS_client_method());
	w->contexts[1] = SSL_CTX_new(TLS_server_method());
	if (w->contexts[0] == NULL || w->contexts[1] == NULL ||
	    SSL_CTX_use_cert_and_key(w->contexts[1], w->certificate, w->key, NULL, 1) != 1 ||
	    SSL_CTX_set_max_proto_version(w->contexts[1], version) != 1 || BIO_new_bio_pair(&a, 0, &b, 0) != 1)
		return false;
	w->ends[0] = SSL_new(w->contexts[0]);
	w->ends[1] = SSL_new(w->contexts[1]);
	if (w->ends[0] == NULL || w->ends[1] == NULL) {
		BIO_free(a);
		BIO_free(b);
		return false;
	}
	SSL_set_bio(w->ends[0], a, a);
	SSL_set_bio(w->ends[1], b, b);
	SSL_set_connect_state(w->ends[0]);
	SSL_set_accept_state(w->ends[1]);
	return true;
}

/* Bytes both ways, so that reading and writing records has been done, too. */
static bool
converse(const struct warm *w)
{
	char byte;

	for (int i = 0; i < TURNS_MAX; i++) {
		(void)SSL_do_handshake(w->ends[i % 2]);
		if (SSL_is_init_finished(w->ends[0]) == 1 && SSL_is_init_finished(w->ends[1]) == 1)
			break;
	}
	return SSL_write(w->ends[0], "x", 1) == 1 && SSL_read(w->ends[1], &byte, 1) == 1 && SSL_write(w->ends[1], "x", 1) == 1 &&
	    SSL_read(w->ends[0], &byte, 1) == 1;
}

static void
end(struct warm *w)
{
	for (int i = 0; i < 2; i++) {
		SSL_free(w->ends[i]);
		SSL_CTX_free(w->contexts[i]);
		w->ends[i] = NULL;
		w->contexts[i] = NULL;
	}
}

static bool
shake_hands(struct warm *w, int version)
{
	bool done = make_ends(w, version) && converse(w);

	end(w);
	return done;
}

enum rc
tls_warm_up(struct buf *why)
{
	struct warm w = { 0 };
	bool done;

	/* What the system's openssl.cnf says about TLS is for other programs; ours is in the configuration. */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL);
	done = make_certificate(&w) && shake_hands(&w, TLS1_3_VERSION) && shake_hands(&w, TLS1_2_VERSION);
	X509_free(w.certificate);
	EVP_PKEY_free(w.key);
	if (!done)
		(void)buf_printf(why, "OpenSSL cannot shake hands with itself: %s", ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
	return done ? RC_OK : RC_IO;
}
