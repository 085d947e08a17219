/* tests/smtpd/test_tls_ticket.c -- session tickets: how long they are good, where, and what stands in them (RFC 9325 3.4). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_scene.h"

#include "smtpd/session.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 16, IV = 16, MAC = 32, TICKET_MAX = 8192 };

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
enum { VERSIONS = sizeof versions / sizeof versions[0] };

static void
start(struct scene *s, int version)
{
	scene_start(s, NULL);
	assert_int_equal(SSL_CTX_set_max_proto_version(s->c.ctx, version), 1);
}

static bool
resumes(struct scene *s)
{
	bool yes;

	starttls(s);
	yes = SSL_session_reused(s->c.ssl) == 1;
	assert_int_equal(facts(s)->resumed, yes);
	say(s, "NOOP\r\n");
	hear(s, "250 *");
	hang_up(s);
	return yes;
}

/* --- how long, and where --- */

/* shows: RFC9325 3.4/2, RFC9325 3.4/4 */
static void
tickets_are_good_for_a_while(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		struct scene s;

		start(&s, versions[i]);
		assert_false(resumes(&s));
		assert_non_null(s.c.ticket);
		assert_true(resumes(&s));
		/* As another process would have it: the same keys, nothing remembered. */
		tls_serve_again(&s.f, s.ids, 0);
		assert_true(resumes(&s));
		/* Keys have changed once: the old one is still good, and the client gets a new ticket. */
		tls_serve_again(&s.f, s.ids, 1);
		assert_true(resumes(&s));
		tls_serve_again(&s.f, s.ids, 3);
		assert_true(resumes(&s));
		/* And so often that nobody knows it any more. */
		tls_serve_again(&s.f, s.ids, 20);
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		scene_end(&s);
	}
}

/* THREATS 9 */
static void
tickets_of_one_listener_are_no_good_at_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		struct conf *conf = tls_conf();
		struct scene s;

		/* "my" has the same ticket keys in this test: the session context alone must keep them apart. */
		(void)tls_conf_listener(conf, "my");
		(void)tls_conf_listener(conf, "submission");
		scene_start(&s, conf);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, versions[i]), 1);
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "my";
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "submission";
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "mx";
		assert_false(resumes(&s));
		scene_end(&s);
	}
}

/* --- what stands in them --- */

struct ticket {
	struct vault_ticket_key keys[VAULT_SECRETS_MAX];
	uint8_t bytes[TICKET_MAX];	/* as on the wire: name, IV, what is sealed, MAC */
	size_t n;
};

/* The one that the client has now, and the keys of the listener. */
static void
take_ticket(struct scene *s, struct ticket *t)
{
	const unsigned char *p;

	assert_true(tls_listener_ticket_keys(tls_listeners_find(s->f.smtpd.tls.set, S("mx")), t->keys) > 0);
	assert_non_null(s->c.ticket);
	SSL_SESSION_get0_ticket(s->c.ticket, &p, &t->n);
	assert_true(t->n > NAME + IV + MAC && t->n <= TICKET_MAX);
	memcpy(t->bytes, p, t->n);
}

/* The client has what t says, of the same size, instead of the ticket that begins like old. */
static void
change_ticket(struct scene *s, const struct ticket *old, const struct ticket *t)
{
	unsigned char *der = NULL;
	const unsigned char *p;
	int n = i2d_SSL_SESSION(s->c.ticket, &der);
	uint8_t *at;

	assert_true(n > 0);
	assert_int_equal(old->n, t->n);
	at = memmem(der, (size_t)n, old->bytes, old->n);
	assert_non_null(at);
	memcpy(at, t->bytes, t->n);
	SSL_SESSION_free(s->c.ticket);
	p = der;
	s->c.ticket = d2i_SSL_SESSION(NULL, &p, n);
	assert_non_null(s->c.ticket);
	OPENSSL_free(der);
}

static void
mac_of(const struct ticket *t, uint8_t mac[MAC])
{
	unsigned n = MAC;

	assert_non_null(HMAC(EVP_sha256(), t->keys[0].mac, sizeof t->keys[0].mac, t->bytes, t->n - MAC, mac, &n));
}

/* By AES-256 with the first key, into out, which has room for a block more than in has. Returns its size. */
static size_t
cipher(const struct ticket *t, bool seals, const uint8_t *in, size_t size, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;

	assert_non_null(c);
	assert_int_equal(EVP_CipherInit_ex(c, EVP_aes_256_cbc(), NULL, t->keys[0].aes, t->bytes + NAME, seals), 1);
	assert_int_equal(EVP_CipherUpdate(c, out, &n, in, (int)size), 1);
	assert_int_equal(EVP_CipherFinal_ex(c, out + n, &last), 1);
	EVP_CIPHER_CTX_free(c);
	return (size_t)(n + last);
}

static size_t
open_ticket(const struct ticket *t, uint8_t out[TICKET_MAX])
{
	return cipher(t, false, t->bytes + NAME + IV, t->n - NAME - IV - MAC, out);
}

/* No octet of a ticket can be changed, and what is secret in it is sealed. shows: RFC9325 3.4/1, RFC9325 3.4/3 */
static void
tickets_are_sealed(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		uint8_t secret[SSL_MAX_MASTER_KEY_LENGTH], mac[MAC], plain[TICKET_MAX];
		struct ticket good, bad;
		struct scene s;
		size_t n, size;

		start(&s, versions[i]);
		assert_false(resumes(&s));
		take_ticket(&s, &good);
		n = SSL_SESSION_get_master_key(s.c.ticket, secret, sizeof secret);
		assert_true(n >= 32);
		assert_null(memmem(good.bytes, good.n, secret, n));
		size = open_ticket(&good, plain);
		assert_non_null(memmem(plain, size, secret, n));
		mac_of(&good, mac);
		assert_memory_equal(good.bytes + good.n - MAC, mac, MAC);
		/* Its name, its IV, the first and the last octet of what is sealed, its MAC. */
		for (size_t at = 0; at < 6; at++) {
			const size_t where[] = { 0, NAME, NAME + IV, good.n - MAC - 1, good.n - MAC, good.n - 1 };

			bad = good;
			bad.bytes[where[at]] ^= 1;
			change_ticket(&s, &good, &bad);
			assert_false(resumes(&s));
			take_ticket(&s, &good);
		}
		assert_true(resumes(&s));
		scene_end(&s);
	}
}

/* A ticket that the server itself could have made so long ago. */
static void
make_older(struct scene *s, long seconds)
{
	struct ticket old, t;
	uint8_t plain[TICKET_MAX];
	const unsigned char *p = plain;
	unsigned char *der = NULL;
	SSL_SESSION *session;
	int n;

	take_ticket(s, &old);
	t = old;
	session = d2i_SSL_SESSION(NULL, &p, (long)open_ticket(&old, plain));
	assert_non_null(session);
	assert_true(SSL_SESSION_set_time(session, SSL_SESSION_get_time(session) - seconds) != 0);
	n = i2d_SSL_SESSION(session, &der);
	assert_true(n > 0 && n < TICKET_MAX / 2);
	t.n = NAME + IV + cipher(&t, true, der, (size_t)n, t.bytes + NAME + IV) + MAC;
	mac_of(&t, t.bytes + t.n - MAC);
	change_ticket(s, &old, &t);
	OPENSSL_free(der);
	SSL_SESSION_free(session);
}

/* Whatever keys are still there. In TLS 1.2 a session stays as old as its first handshake, however often it is resumed.
 * shows: RFC9325 3.4/2, RFC9325 3.4/5 */
static void
old_sessions_are_not_resumed(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		struct scene s;

		start(&s, versions[i]);
		assert_false(resumes(&s));
		make_older(&s, 3600);
		assert_true(resumes(&s));
		if (versions[i] == TLS1_2_VERSION) {
			/* The ticket is given anew with the next key, and is an hour old already. */
			tls_serve_again(&s.f, s.ids, 1);
			assert_true(resumes(&s));
			make_older(&s, 3700);
			assert_false(resumes(&s));
		}
		make_older(&s, 7300);
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		scene_end(&s);
	}
}

/* Who has the ticket key of today does not read what was resumed yesterday. shows: RFC9325 3.4/6 */
static void
resumption_makes_new_keys(void **state)
{
	EVP_PKEY *key = NULL;
	struct scene s;

	(void)state;
	start(&s, TLS1_3_VERSION);
	assert_false(resumes(&s));
	starttls(&s);
	assert_int_equal(SSL_session_reused(s.c.ssl), 1);
	assert_int_equal(SSL_get_peer_tmp_key(s.c.ssl, &key), 1);
	assert_int_equal(EVP_PKEY_get_base_id(key), EVP_PKEY_X25519);
	EVP_PKEY_free(key);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tickets_are_good_for_a_while),
		cmocka_unit_test(tickets_of_one_listener_are_no_good_at_another),
		cmocka_unit_test(tickets_are_sealed),
		cmocka_unit_test(old_sessions_are_not_resumed),
		cmocka_unit_test(resumption_makes_new_keys),
	};

	return cmocka_run_group_tests(tests, scene_make_keys, scene_free_keys);
}
