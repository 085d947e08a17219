/* smtpd/tls.c -- see tls.h. */
#include "smtpd/tls.h"

#include "smtpd/tls_bio.h"
#include "smtpd/tls_listener.h"
#include "smtpd/tls_ticket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct tls {
	SSL *ssl;
	struct tls_listener *listener;
	void (*woken)(void *ctx);
	void *ctx;
	struct vault_waiter waiter;	/* for one of the few handshakes that may wait for a signature at a time */
	bool shaken;			/* the handshake is complete */
	bool failed;			/* nothing may be called on ssl any more but SSL_free (SSL_shutdown(3)) */
	const char *trouble;
	struct tls_facts facts;
	struct tls_certificate client;
};

/* --- waiting for another room --- */

/* The signature is there, or there will be none. */
static int
on_signed(SSL *ssl, void *arg)
{
	struct tls *t = arg;

	(void)ssl;
	t->woken(t->ctx);
	return 1;
}

static void
on_job(struct vault_waiter *w)
{
	struct tls *t = (struct tls *)((char *)w - offsetof(struct tls, waiter));

	t->woken(t->ctx);
}

/* --- birth and death --- */

enum rc
tls_new(struct tls_listener *listener, int fd, void (*woken)(void *ctx), void *ctx, struct tls **ret_tls)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL)
		return RC_NOMEM;
	ERR_clear_error();
	t->ssl = tls_listener_ssl(listener, fd);
	if (t->ssl == NULL || SSL_set_app_data(t->ssl, t) != 1) {
		SSL_free(t->ssl);
		free(t);
		return RC_NOMEM;
	}
	t->listener = tls_listener_ref(listener);
	t->woken = woken;
	t->ctx = ctx;
	t->waiter.fn = on_job;
	t->trouble = "";
	SSL_set_accept_state(t->ssl);
	if (SSL_set_async_callback(t->ssl, on_signed) != 1 || SSL_set_async_callback_arg(t->ssl, t) != 1) {
		tls_free(&t);
		return RC_NOMEM;
	}
	*ret_tls = t;
	return RC_OK;
}

void
tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	if (t == NULL)
		return;
	*tls = NULL;
	ERR_clear_error();
	if (tls_listener_vault(t->listener) != NULL) {
		vault_await_over(tls_listener_vault(t->listener), &t->waiter);
		if (!t->shaken)
			vault_abandon(tls_listener_vault(t->listener), t->ssl);
	}
	SSL_free(t->ssl);
	tls_listener_unref(t->listener);
	free(t);
}

/* --- what OpenSSL says --- */

/* The first error is the cause, the later ones what became of it. */
static void
note_trouble(struct tls *t)
{
	unsigned long first = ERR_get_error();
	const char *why = first == 0 ? NULL : ERR_reason_error_string(first);

	t->failed = true;
	t->trouble = first == 0 ? "connection lost" : why == NULL ? "unknown error" : why;
	ERR_clear_error();
}

/* A peer that goes without close_notify is heard like one with it: SMTP says itself where a message ends, so nothing that
 * is cut off is taken for whole. */
static bool
is_bare_end(void)
{
	unsigned long e = ERR_peek_error();

	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static enum tls_status
status_of(struct tls *t, int returned)
{
	switch (SSL_get_error(t->ssl, returned)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_READS;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WRITES;
	case SSL_ERROR_WANT_ASYNC:
		return TLS_WAITS;
	case SSL_ERROR_WANT_ASYNC_JOB:
		vault_await_job(tls_listener_vault(t->listener), &t->waiter);
		return TLS_WAITS;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	default:
		break;
	}
	if (is_bare_end() && SSL_is_init_finished(t->ssl)) {
		ERR_clear_error();
		t->failed = true;	/* not to be spoken to, either */
		return TLS_CLOSED;
	}
	note_trouble(t);
	return TLS_FAILED;
}

const char *
tls_trouble(const struct tls *t)
{
	return t->trouble;
}

/* --- the handshake --- */

static const char *
signature_name(int nid)
{
	switch (nid) {
	case EVP_PKEY_RSA_PSS:
		return "RSA-PSS";
	case EVP_PKEY_RSA:
		return "RSA-PKCS1";
	case EVP_PKEY_EC:
		return "ECDSA";
	case EVP_PKEY_ED25519:
		return "Ed25519";
	case EVP_PKEY_ED448:
		return "Ed448";
	default:
		return "";
	}
}

/* How we have proved who we are; nothing was to be proved on resumption. */
static void
gather_proof(const struct tls *t, struct tls_facts *f)
{
	X509 *ours = SSL_get_certificate(t->ssl);
	int type, digest;

	f->signature = f->digest = "";
	if (f->resumed || ours == NULL)
		return;
	if (SSL_get_signature_type_nid(t->ssl, &type) == 1)
		f->signature = signature_name(type);
	if (SSL_get_signature_nid(t->ssl, &digest) == 1 && digest != NID_undef)
		f->digest = OBJ_nid2sn(digest);
	f->key_bits = (unsigned)EVP_PKEY_get_bits(X509_get0_pubkey(ours));
}

static void
gather_facts(struct tls *t)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
	struct tls_facts *f = &t->facts;
	const char *group = SSL_group_to_name(t->ssl, (int)SSL_get_negotiated_group(t->ssl));
	X509 *theirs = SSL_get0_peer_certificate(t->ssl);
	int bits = 0;

	f->protocol = SSL_get_version(t->ssl);
	f->cipher = SSL_CIPHER_get_name(cipher);
	f->registered = SSL_CIPHER_standard_name(cipher);
	f->used_bits = (unsigned)SSL_CIPHER_get_bits(cipher, &bits);
	f->cipher_bits = (unsigned)bits;
	f->group = group == NULL ? "" : group;
	f->resumed = SSL_session_reused(t->ssl) == 1;
	f->asked = tls_listener_asks(t->listener);
	gather_proof(t, f);
	if (theirs != NULL && tls_certificate_read(theirs, &t->client)) {
		t->client.verified = tls_listener_has_ca(t->listener) && SSL_get_verify_result(t->ssl) == X509_V_OK;
		f->client = &t->client;
	}
}

enum tls_status
tls_shake(struct tls *t, bool *ret_more)
{
	enum tls_status status;

	ERR_clear_error();
	status = status_of(t, SSL_do_handshake(t->ssl));
	if (status == TLS_CLOSED) {
		status = TLS_FAILED;
		t->trouble = "connection closed";
	}
	if (status != TLS_DONE)
		return status;
	/* From here on nothing is signed, and every call would pay for a stack of its own. */
	(void)SSL_clear_mode(t->ssl, SSL_MODE_ASYNC);
	t->shaken = true;
	gather_facts(t);
	*ret_more = SSL_has_pending(t->ssl) == 1;
	return TLS_DONE;
}

struct tls_listener *
tls_listener_of(const struct tls *t)
{
	return t->listener;
}

void
tls_set_sni(struct tls *t, struct slice name)
{
	if (name.n > TLS_SNI_MAX)
		return;
	for (size_t i = 0; i < name.n; i++)
		t->facts.sni[i] = (char)ascii_lower(name.p[i]);
	t->facts.sni[name.n] = '\0';
}

const struct tls_facts *
tls_facts(const struct tls *t)
{
	return &t->facts;
}

/* --- bytes --- */

enum tls_status
tls_read(struct tls *t, uint8_t *to, size_t max, size_t *ret_n, bool *ret_more)
{
	enum tls_status status = TLS_DONE;
	size_t have = 0, n;

	*ret_more = false;
	if (t->failed)
		return TLS_CLOSED;
	/* Record by record, as long as another one has been read from the system already. */
	do {
		ERR_clear_error();
		status = status_of(t, SSL_read_ex(t->ssl, to + have, max - have, &n));
		if (status == TLS_DONE)
			have += n;
	} while (status == TLS_DONE && have < max && SSL_has_pending(t->ssl) == 1);
	if (have == 0)
		return status;
	/* An end or an error behind it comes up again at the next read. */
	*ret_more = status == TLS_DONE ? SSL_has_pending(t->ssl) == 1 : status == TLS_CLOSED || status == TLS_FAILED;
	*ret_n = have;
	return TLS_DONE;
}

enum tls_status
tls_write(struct tls *t, struct slice bytes, bool last, size_t *ret_n)
{
	if (t->failed)
		return TLS_FAILED;
	if (last)
		tls_bio_gather(SSL_get_wbio(t->ssl));
	ERR_clear_error();
	return status_of(t, SSL_write_ex(t->ssl, bytes.p, bytes.n, ret_n));
}

void
tls_say_goodbye(struct tls *t)
{
	if (t->failed)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

/* --- channel bindings --- */

/* RFC 9266 2: only where the master secret is unique, which before TLS 1.3 takes the extended one (RFC 7627). */
static bool
put_exporter(const struct tls *t, struct buf *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	uint8_t key[32];

	if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
		return false;
	ERR_clear_error();
	return SSL_export_keying_material(t->ssl, key, sizeof key, label, sizeof label - 1, (const uint8_t *)"", 0, 1) == 1 &&
	    buf_put(out, key, sizeof key);
}

bool
tls_binding(const struct tls *t, enum tls_binding type, struct buf *out)
{
	uint8_t digest[TLS_ENDPOINT_MAX];
	size_t n;

	switch (type) {
	case TLS_BINDING_EXPORTER:
		return put_exporter(t, out);
	case TLS_BINDING_SERVER_END_POINT:
		n = tls_ticket_end_point(t->ssl, digest);
		return n > 0 && buf_put(out, digest, n);
	}
	return false;
}
