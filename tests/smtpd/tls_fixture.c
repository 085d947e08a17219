/* tests/smtpd/tls_fixture.c -- see tls_fixture.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_fixture.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- certificates --- */

static EVP_PKEY *
make_key(const char *type)
{
	EVP_PKEY *key = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256") :
	    EVP_PKEY_Q_keygen(NULL, NULL, type);

	assert_non_null(key);
	return key;
}

static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void
add_names(X509 *x, const char *const *names)
{
	char text[1024] = "";
	size_t n = 0;

	for (; names[0] != NULL; names++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s:%s", n == 0 ? "" : ",", strchr(names[0], '@') == NULL ?
		    "DNS" : "email", names[0]);
	add_extension(x, NID_subject_alt_name, text);
}

struct tls_made
tls_make(const char *type, const char *const *names, const struct tls_made *authority)
{
	struct tls_made m = { X509_new(), make_key(type) };
	X509_NAME *subject;
	static long serial = 1;
	const struct tls_made *by = authority == NULL ? &m : authority;

	assert_non_null(m.certificate);
	assert_int_equal(X509_set_version(m.certificate, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(m.certificate), serial++), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(m.certificate), -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(m.certificate), 86400));
	subject = X509_get_subject_name(m.certificate);
	assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)names[0], -1, -1, 0), 1);
	assert_int_equal(X509_set_issuer_name(m.certificate, X509_get_subject_name(by->certificate)), 1);
	assert_int_equal(X509_set_pubkey(m.certificate, m.key), 1);
	if (authority == NULL)
		add_extension(m.certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_names(m.certificate, names);
	assert_true(X509_sign(m.certificate, by->key, strcmp(type, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
	return m;
}

void
tls_made_free(struct tls_made *m)
{
	X509_free(m->certificate);
	EVP_PKEY_free(m->key);
}

struct buf
tls_pem(const struct tls_made *m)
{
	struct buf pem = BUF_INIT(64 * 1024);
	BIO *out = BIO_new(BIO_s_mem());
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_X509(out, m->certificate), 1);
	n = BIO_get_mem_data(out, &p);
	assert_true(buf_put(&pem, p, (size_t)n));
	BIO_free(out);
	return pem;
}

/* --- the server --- */

struct tls_identities *
tls_identities_new(void)
{
	struct tls_identities *set = calloc(1, sizeof *set);

	assert_non_null(set);
	set->refs = 1;
	return set;
}

void
tls_identities_add(struct tls_identities *set, const struct tls_made *m, const char *const *names)
{
	struct tls_identity *id;

	set->v = reallocarray(set->v, set->n + 1, sizeof *set->v);
	assert_non_null(set->v);
	id = &set->v[set->n++];
	*id = (struct tls_identity){ .title = strdup("made"), .leaf = m->certificate, .chain = sk_X509_new_null(),
	    .key = m->key };
	assert_int_equal(X509_up_ref(m->certificate), 1);
	assert_int_equal(EVP_PKEY_up_ref(m->key), 1);
	while (names[id->n_names] != NULL)
		id->n_names++;
	id->names = calloc(id->n_names + 1, sizeof *id->names);
	for (size_t i = 0; i < id->n_names; i++)
		id->names[i] = strdup(names[i]);
}

static void *
add_section(struct conf *c, const char *name, const char *title)
{
	void *at = NULL;

	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, name) == 0)
			assert_int_equal(conf_add(c, &conf_sections[i], title, &at), RC_OK);
	assert_non_null(at);
	return at;
}

struct conf *
tls_conf(void)
{
	struct conf *c = fakes_conf();

	(void)add_section(c, "certificate", "made");
	(void)add_section(c, "listener", "mx");
	return c;
}

struct conf_listener *
tls_conf_listener(struct conf *c, const char *title)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (strcmp(c->listeners[i].title, title) == 0)
			return &c->listeners[i];
	return add_section(c, "listener", title);
}

static unsigned
keys_of_age(void *ctx, struct slice listener, struct vault_ticket_key keys[VAULT_SECRETS_MAX])
{
	const unsigned *age = ctx;

	for (unsigned i = 0; i < VAULT_SECRETS_MAX; i++) {
		memset(&keys[i], (int)(*age + VAULT_SECRETS_MAX - i), sizeof keys[i]);
		keys[i].mac[0] = keys[i].aes[0] = keys[i].name[0] = listener.n == 0 ? 0 : listener.p[0];
	}
	return VAULT_SECRETS_MAX;
}

static struct slice
ca_of_mx(void *ctx, struct slice title)
{
	return slice_eq(title, S("mx")) ? *(struct slice *)ctx : S("");
}

static void
serve(struct fakes *f, struct tls_identities *ids, struct slice ca, unsigned age)
{
	static unsigned ages[64];
	const struct tls_source source = { NULL, keys_of_age, &ages[age] };
	struct buf why = BUF_INIT(1024);

	ages[age] = age;
	tls_listeners_free(f->smtpd.tls.set);
	f->smtpd.tls.set = NULL;
	if (tls_listeners_new(f->conf, ids, &source, ca_of_mx, &ca, &f->smtpd.tls.set, &why) != RC_OK)
		fail_msg("no TLS: %s", buf_cstr(&why));
	buf_free(&why);
}

void
tls_serve(struct fakes *f, struct tls_identities *ids, struct slice ca)
{
	serve(f, ids, ca, 0);
}

void
tls_serve_again(struct fakes *f, struct tls_identities *ids, unsigned age)
{
	serve(f, ids, S(""), age);
}

/* --- the client --- */

static int
on_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct tls_client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->ticket);
	c->ticket = ticket;
	return 1;
}

void
tls_client_setup(struct tls_client *c)
{
	*c = (struct tls_client){ .ctx = SSL_CTX_new(TLS_client_method()) };
	assert_non_null(c->ctx);
	SSL_CTX_set_security_level(c->ctx, 0);	/* what the server refuses must not be kept from it here */
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, on_ticket);
}

void
tls_client_forget(struct tls_client *c)
{
	/* A renewed ticket of TLS 1.2 is told to nobody. */
	if (c->ssl != NULL && SSL_version(c->ssl) == TLS1_2_VERSION && SSL_is_init_finished(c->ssl)) {
		SSL_SESSION_free(c->ticket);
		c->ticket = SSL_get1_session(c->ssl);
	}
	/* Else the library takes the session for a bad one, and does not resume it. */
	if (c->ssl != NULL)
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(c->ssl);
	c->ssl = NULL;
}

void
tls_client_free(struct tls_client *c)
{
	tls_client_forget(c);
	SSL_SESSION_free(c->ticket);
	SSL_CTX_free(c->ctx);
}

void
tls_client_attach(struct tls_client *c, struct fakes *f)
{
	c->ssl = SSL_new(c->ctx);
	assert_non_null(c->ssl);
	assert_int_equal(SSL_set_app_data(c->ssl, c), 1);
	assert_int_equal(SSL_set_fd(c->ssl, f->client), 1);
	SSL_set_connect_state(c->ssl);
	if (c->ticket != NULL)
		assert_int_equal(SSL_set_session(c->ssl, c->ticket), 1);
}

static bool
is_waiting(const struct tls_client *c, int returned)
{
	int e = SSL_get_error(c->ssl, returned);

	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

bool
tls_client_shake(struct tls_client *c, struct fakes *f)
{
	for (int i = 0; i < 2000; i++) {
		int r;

		ERR_clear_error();
		r = SSL_do_handshake(c->ssl);
		if (r == 1) {
			/* The server's part of it may be still to come. */
			for (int turns = 0; turns < 10; turns++)
				loop_turn(f->loop, false);
			return true;
		}
		if (!is_waiting(c, r))
			return false;
		fakes_turn(f);
	}
	return false;
}

void
tls_client_send(struct tls_client *c, struct fakes *f, struct slice bytes)
{
	while (bytes.n > 0) {
		size_t n = 0;

		ERR_clear_error();
		if (SSL_write_ex(c->ssl, bytes.p, bytes.n > 16384 ? 16384 : bytes.n, &n) == 1)
			bytes = slice_from(bytes, n);
		else if (!is_waiting(c, 0))
			return;
		loop_turn(f->loop, false);
	}
}

static bool
take(struct tls_client *c, struct fakes *f)
{
	uint8_t space[16384];
	size_t n;

	ERR_clear_error();
	if (SSL_read_ex(c->ssl, space, sizeof space, &n) == 1) {
		assert_true(buf_put(&f->replies, space, n));
		return true;
	}
	if (!is_waiting(c, 0))
		f->closed = true;
	return false;
}

bool
tls_client_line(struct tls_client *c, struct fakes *f, char *line, size_t size, unsigned ms)
{
	for (unsigned waited = 0;; waited += 5) {
		struct slice have = buf_slice(&f->replies);
		size_t lf = slice_find(have, '\n');

		if (lf < have.n) {
			assert_true(lf > 0 && have.p[lf - 1] == '\r' && lf < size);
			memcpy(line, have.p, lf - 1);
			line[lf - 1] = '\0';
			buf_consume(&f->replies, lf + 1);
			return true;
		}
		if (f->closed || waited > ms)
			return false;
		if (!take(c, f))
			fakes_turn(f);
	}
}
