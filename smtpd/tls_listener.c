/* smtpd/tls_listener.c -- see tls_listener.h. */
#include "smtpd/tls_listener.h"

#include "common/tls_settings.h"
#include "common/wire/domain.h"
#include "smtpd/tls_bio.h"
#include "smtpd/tls_site.h"
#include "smtpd/tls_ticket.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

enum verify { VERIFY_NONE, VERIFY_REQUEST, VERIFY_REQUIRE };

struct tls_listener {
	struct tls_listeners *set;
	const char *title;		/* borrowed from the set's conf */
	enum verify verify;
	X509_STORE *ca;			/* NULL: none */
	STACK_OF(X509_NAME) *ca_names;	/* told to clients */
	uint8_t id[TLS_DIGEST];		/* session context: what a ticket must agree with */
};

struct tls_listeners {
	unsigned refs;
	struct conf *conf;		/* counted */
	struct tls_source source;
	BIO_METHOD *bio;
	struct tls_sites *sites;
	size_t n;
	struct tls_listener *v;
};

/* --- client certificates --- */

/* A file of them in PEM. False: one is malformed, or there is none. */
static bool
read_cas(struct tls_listener *l, struct slice pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	bool done = in != NULL;
	int n = 0;
	X509 *x;

	l->ca = X509_STORE_new();
	l->ca_names = sk_X509_NAME_new_null();
	done = done && l->ca != NULL && l->ca_names != NULL;
	while (done && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));

		done = name != NULL && X509_STORE_add_cert(l->ca, x) == 1 && sk_X509_NAME_push(l->ca_names, name) > 0;
		if (!done)
			X509_NAME_free(name);
		X509_free(x);
		n++;
	}
	/* The end of the file is an error like any other to this library. */
	done = done && n > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(in);
	return done;
}

static bool
is_lenient(const struct tls_listener *l)
{
	return l->verify != VERIFY_REQUIRE || l->ca == NULL;
}

/* In place of the library's own look at the client's chain: without client-ca there is nothing to look for, and where a
 * certificate is only asked for a bad one is no reason to hang up. The result stays as SSL_get_verify_result(). */
static int
on_client_chain(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_listener *l = tls_listener_of(SSL_get_app_data(ssl));

	(void)arg;
	if (l->ca == NULL) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
		return 1;
	}
	if (X509_verify_cert(store) == 1)
		return 1;
	if (X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	return is_lenient(l);
}

/* --- a connection --- */

/* What belongs to the listener, and not to the context, which is shared: again after the context has changed. */
static bool
dress(SSL *ssl, const struct tls_listener *l)
{
	if (SSL_set_session_id_context(ssl, l->id, sizeof l->id) != 1)
		return false;
	return l->ca == NULL || SSL_set1_verify_cert_store(ssl, l->ca) == 1;
}

static bool
ask(SSL *ssl, const struct tls_listener *l)
{
	STACK_OF(X509_NAME) *names;

	if (l->verify == VERIFY_NONE)
		return true;
	SSL_set_verify(ssl, SSL_VERIFY_PEER | (l->verify == VERIFY_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	SSL_set_verify_depth(ssl, TLS_DEPTH_MAX);
	if (l->ca_names == NULL)
		return true;
	names = sk_X509_NAME_deep_copy(l->ca_names, (sk_X509_NAME_copyfunc)X509_NAME_dup, X509_NAME_free);
	if (names != NULL)
		SSL_set0_CA_list(ssl, names);
	return names != NULL;
}

/* Without keys there are no tickets: an empty one would be none that a client may get (RFC 8446 4.6.1). */
static bool
may_resume(const struct tls_listener *l)
{
	struct vault_ticket_key keys[VAULT_SECRETS_MAX];
	unsigned n = tls_listener_ticket_keys(l, keys);

	OPENSSL_cleanse(keys, sizeof keys);
	return n > 0;
}

SSL *
tls_listener_ssl(struct tls_listener *l, int fd)
{
	SSL *ssl = SSL_new(tls_sites_first(l->set->sites));
	BIO *bio = ssl == NULL ? NULL : tls_bio_new(l->set->bio, fd);

	if (bio == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	if (!may_resume(l)) {
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
		(void)SSL_set_num_tickets(ssl, 0);
	}
	if (!dress(ssl, l) || !ask(ssl, l)) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

/* RFC 6066 3. What is no host name is passed over (THREATS 67); a name that nobody has gets the first certificate, as do
 * clients that name none: most compare it with something else, or with nothing. */
static int
on_name(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct tls_listener *l = tls_listener_of(t);
	const char *text = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *site;

	(void)arg;
	if (text == NULL || strlen(text) > TLS_SNI_MAX || domain_check(slice_str(text)) != RC_OK)
		return SSL_TLSEXT_ERR_NOACK;
	tls_set_sni(t, slice_str(text));
	site = tls_sites_find(l->set->sites, slice_str(tls_facts(t)->sni));
	if (site == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_set_SSL_CTX(ssl, site) != site || !dress(ssl, l)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 3.2, THREATS 8. A client that names protocols, and not ours, has been led here by somebody. No name is
 * registered for SMTP; whoever sends what would be one is not lost. */
static int
on_protocols(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_n, const unsigned char *list, unsigned n, void *arg)
{
	static const unsigned char ours[] = "\4smtp";
	unsigned char *found;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&found, ret_n, ours, sizeof ours - 1, list, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_name = found;
	return SSL_TLSEXT_ERR_OK;
}

/* --- a set --- */

/* Whatever makes a session of the one listener no good at the other: its name, and what its clients have to show. */
static bool
make_id(struct tls_listener *l, const struct conf_listener *conf, struct slice ca)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool done = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, conf->title, strlen(conf->title) + 1) == 1 &&
	    EVP_DigestUpdate(md, conf->client_certificate, strlen(conf->client_certificate) + 1) == 1 &&
	    EVP_DigestUpdate(md, ca.p, ca.n) == 1 && EVP_DigestFinal_ex(md, l->id, NULL) == 1;

	EVP_MD_CTX_free(md);
	return done;
}

static enum rc
listener_setup(struct tls_listener *l, const struct conf_listener *conf, struct slice ca, struct buf *why)
{
	l->title = conf->title;
	l->verify = strcmp(conf->client_certificate, "request") == 0 ? VERIFY_REQUEST :
	    strcmp(conf->client_certificate, "require") == 0 ? VERIFY_REQUIRE : VERIFY_NONE;
	if (ca.n > 0 && !read_cas(l, ca)) {
		(void)buf_printf(why, "listener \"%s\": client-ca: %s holds no certificates in PEM, or a malformed one",
		    conf->title, conf->client_ca);
		return RC_SYNTAX;
	}
	return make_id(l, conf, ca) ? RC_OK : RC_NOMEM;
}

static bool
has_tls(const struct conf_listener *conf)
{
	return strcmp(conf->tls, "none") != 0;
}

static enum rc
listeners_setup(struct tls_listeners *set, tls_ca_fn *ca, void *ca_ctx, struct buf *why)
{
	enum rc rc = RC_OK;

	set->v = calloc(set->conf->n_listeners + 1, sizeof *set->v);
	if (set->v == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < set->conf->n_listeners && rc == RC_OK; i++) {
		const struct conf_listener *conf = &set->conf->listeners[i];

		if (!has_tls(conf))
			continue;
		set->v[set->n].set = set;
		rc = listener_setup(&set->v[set->n], conf, ca == NULL ? S("") : ca(ca_ctx, slice_str(conf->title)), why);
		set->n++;
	}
	return rc;
}

/* For every context: what all connections have in common. */
static enum rc
context_setup(SSL_CTX *ctx, void *arg, struct buf *why)
{
	const struct tls_listeners *set = arg;
	const char *option = "";
	struct buf what = BUF_INIT(512);
	enum rc rc = tls_settings_apply(ctx, &set->conf->tls, &option, &what);

	if (rc != RC_OK) {
		(void)buf_printf(why, "tls: %s: ", option);
		(void)buf_put_slice(why, buf_slice(&what));
	}
	buf_free(&what);
	if (rc != RC_OK)
		return rc;
	/* An idle connection keeps no buffers; the next one may be much later. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | (set->source.vault != NULL ? SSL_MODE_ASYNC : 0));
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_max_cert_list(ctx, TLS_CHAIN_MAX);
	SSL_CTX_set_cert_verify_callback(ctx, on_client_chain, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	(void)SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	return tls_ticket_setup(ctx) ? RC_OK : RC_NOMEM;
}

static void
set_free(struct tls_listeners *set)
{
	for (size_t i = 0; i < set->n; i++) {
		X509_STORE_free(set->v[i].ca);
		sk_X509_NAME_pop_free(set->v[i].ca_names, X509_NAME_free);
	}
	free(set->v);
	tls_sites_free(set->sites);
	BIO_meth_free(set->bio);
	conf_unref(set->conf);
	free(set);
}

enum rc
tls_listeners_new(struct conf *conf, struct tls_identities *ids, const struct tls_source *source, tls_ca_fn *ca, void *ca_ctx,
    struct tls_listeners **ret_set, struct buf *why)
{
	struct tls_listeners *set = calloc(1, sizeof *set);
	enum rc rc = RC_OK;

	if (set == NULL)
		return RC_NOMEM;
	set->refs = 1;
	set->conf = conf_ref(conf);
	set->source = *source;
	if (ids != NULL && ids->n > 0) {
		set->bio = tls_bio_method();
		rc = set->bio == NULL ? RC_NOMEM : tls_sites_new(ids, context_setup, set, &set->sites, why);
		if (rc == RC_OK)
			rc = listeners_setup(set, ca, ca_ctx, why);
	}
	if (rc != RC_OK)
		set_free(set);
	else
		*ret_set = set;
	return rc;
}

static void
set_unref(struct tls_listeners *set)
{
	if (--set->refs == 0)
		set_free(set);
}

void
tls_listeners_free(struct tls_listeners *set)
{
	if (set != NULL)
		set_unref(set);
}

struct tls_listener *
tls_listeners_find(struct tls_listeners *set, struct slice title)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (slice_eq(slice_str(set->v[i].title), title))
			return &set->v[i];
	return NULL;
}

struct tls_listener *
tls_listener_ref(struct tls_listener *l)
{
	l->set->refs++;
	return l;
}

void
tls_listener_unref(struct tls_listener *l)
{
	set_unref(l->set);
}

bool
tls_listener_asks(const struct tls_listener *l)
{
	return l->verify != VERIFY_NONE;
}

bool
tls_listener_has_ca(const struct tls_listener *l)
{
	return l->ca != NULL;
}

struct vault_line *
tls_listener_vault(const struct tls_listener *l)
{
	return l->set->source.vault;
}

unsigned
tls_listener_ticket_keys(const struct tls_listener *l, struct vault_ticket_key keys[VAULT_SECRETS_MAX])
{
	const struct tls_source *from = &l->set->source;

	return from->ticket_keys == NULL ? 0 : from->ticket_keys(from->ctx, slice_str(l->title), keys);
}
