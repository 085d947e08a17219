/* tests/tls/test_handshake.c -- handshakes whose signature comes from the vault: every kind of key, and every way to fail. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/tls/hall.h"
#include "tests/tls/keys.h"

#include <unistd.h>

static void
shakes_hands(const char *kind, int version)
{
	struct hall h;
	struct shake s;

	hall_furnish(&h, kind);
	shake_begin(&s, &h, &h.smtpd.identities->v[0], version);
	assert_true(shake_finish(&s));
	assert_int_equal(SSL_version(s.server), version);
	assert_int_equal(s.n_waits, 1);
	assert_int_equal(h.smtpd.vault.waits.used, 0);
	shake_end(&s);
	hall_close(&h);
}

static void
every_kind_of_key(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384", "P-521", "ED25519" };

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		shakes_hands(kinds[i], TLS1_3_VERSION);
		shakes_hands(kinds[i], TLS1_2_VERSION);
	}
}

/* The key in smtpd must be of no use without the vault: nothing to export, nothing to sign with outside of a job. */
static void
key_is_only_its_public_half(void **state)
{
	struct hall h;
	OSSL_PARAM *params = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[1024];
	size_t n = sizeof signature;
	EVP_PKEY *key;
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	hall_furnish(&h, "RSA");
	key = h.smtpd.identities->v[0].key;
	assert_int_not_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
	assert_int_not_equal(i2d_PrivateKey(key, NULL) > 0, 1);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_not_equal(EVP_DigestSign(ctx, signature, &n, (const unsigned char *)"x", 1), 1);
	EVP_MD_CTX_free(ctx);
	BIO_free(bio);
	hall_close(&h);
}

/* Without SSL_MODE_ASYNC it fails at once, and does not block. */
static void
never_blocks(void **state)
{
	struct hall h;
	struct shake s;

	(void)state;
	hall_furnish(&h, "P-256");
	shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
	(void)SSL_clear_mode(s.server, SSL_MODE_ASYNC);
	assert_false(shake_finish(&s));
	assert_true(s.failed);
	shake_end(&s);
	hall_close(&h);
}

/* The vault dies while a handshake waits for it: that one fails, the next one works when the vault is back. */
static void
vault_dies_and_comes_back(void **state)
{
	struct hall h;
	struct shake s;

	(void)state;
	hall_furnish(&h, "P-256");
	shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
	while (!s.waits)
		(void)shake_step(&s);
	hall_hang_up(&h);
	assert_false(vault_ready(&h.smtpd.vault));
	assert_true(s.woken);
	assert_false(shake_finish(&s));
	shake_end(&s);

	shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
	assert_false(shake_finish(&s));
	assert_int_equal(s.n_waits, 0);
	shake_end(&s);

	hall_connect(&h);
	shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
	assert_true(shake_finish(&s));
	shake_end(&s);
	hall_close(&h);
}

/* A client goes away while the vault signs for it: nothing is left of its job, and the late answer finds nobody. */
static void
client_goes_meanwhile(void **state)
{
	struct hall h;
	struct shake s;

	(void)state;
	hall_furnish(&h, "P-256");
	for (unsigned i = 0; i < 2 * VAULT_JOBS_MAX; i++) {
		shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
		while (!s.waits)
			(void)shake_step(&s);
		shake_end(&s);
		assert_int_equal(h.smtpd.vault.waits.used, 0);
	}
	hall_turns(&h, 100);
	shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
	assert_true(shake_finish(&s));
	shake_end(&s);
	hall_close(&h);
}

struct many {
	struct vault_waiter waiter;
	struct shake shake;
	bool called, done;
};

static void
on_free_job(struct vault_waiter *w)
{
	((struct many *)(void *)w)->called = true;
}

/* More handshakes at once than there are jobs: those above the limit wait for one, and all of them end well. */
static void
more_than_there_are_jobs(void **state)
{
	enum { N = VAULT_JOBS_MAX + 40 };
	static struct many many[N];
	unsigned waiting = 0, done = 0;
	struct hall h;

	(void)state;
	hall_furnish(&h, "P-256");
	for (unsigned i = 0; i < N; i++) {
		struct many *m = &many[i];

		*m = (struct many){ .waiter.fn = on_free_job };
		shake_begin(&m->shake, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
		(void)shake_step(&m->shake);
		if (!m->shake.waits) {
			assert_int_equal(SSL_get_error(m->shake.server, -1), SSL_ERROR_WANT_ASYNC_JOB);
			vault_await_job(&h.smtpd.vault, &m->waiter);
			waiting++;
		}
	}
	assert_int_equal(waiting, 40);
	vault_await_over(&h.smtpd.vault, &many[N - 1].waiter);	/* from the end, and back to it */
	vault_await_job(&h.smtpd.vault, &many[N - 1].waiter);
	for (unsigned turn = 0; turn < 10000 && done < N; turn++) {
		hall_turns(&h, 1);
		for (unsigned i = 0; i < N; i++)
			if (!many[i].done && (many[i].shake.woken || !many[i].shake.waits)) {
				/* Who waits for a job tries when he is told to. */
				if (many[i].waiter.link != NULL)
					continue;
				many[i].done = shake_step(&many[i].shake);
				done += many[i].done;
				assert_false(many[i].shake.failed);
			}
	}
	assert_int_equal(done, N);
	waiting = 0;
	for (unsigned i = 0; i < N; i++) {
		waiting += many[i].called;
		shake_end(&many[i].shake);
	}
	assert_int_equal(waiting, 40);
	hall_close(&h);
}

/* A renewed key: handshakes with the old certificate still work once, and not for ever. */
static void
renewal(void **state)
{
	struct hall h;
	struct shake s;
	struct tls_identities *old;

	(void)state;
	hall_furnish(&h, "P-256");
	old = identities_ref(h.smtpd.identities);
	for (unsigned i = 0; i < 2; i++) {
		EVP_PKEY *key = test_make_key("P-256");
		X509 *leaf = test_make_certificate(key, "mail.example.org");

		hall_give(&h, "mail.example.org", key, leaf);
		hall_switch(&h);
		X509_free(leaf);
		EVP_PKEY_free(key);
		shake_begin(&s, &h, &old->v[0], TLS1_3_VERSION);
		assert_int_equal(shake_finish(&s), i == 0);
		shake_end(&s);
		shake_begin(&s, &h, &h.smtpd.identities->v[0], TLS1_3_VERSION);
		assert_true(shake_finish(&s));
		shake_end(&s);
	}
	identities_unref(old);
	hall_close(&h);
}

/* --- tickets --- */

/* shows: RFC9325 3.4/4 */
static void
ticket_keys(void **state)
{
	struct vault_ticket_key a[VAULT_SECRETS_MAX], b[VAULT_SECRETS_MAX];
	struct hall h;

	(void)state;
	hall_furnish(&h, "P-256");
	assert_int_equal(vault_ticket_keys(&h.smtpd.vault, S("smtp"), a), 1);
	assert_int_equal(vault_ticket_keys(&h.smtpd.vault, S("submission"), b), 1);
	assert_memory_not_equal(a[0].name, b[0].name, sizeof a[0].name);
	assert_memory_not_equal(a[0].aes, b[0].aes, sizeof a[0].aes);
	assert_memory_not_equal(a[0].mac, b[0].mac, sizeof a[0].mac);
	assert_memory_not_equal(a[0].aes, a[0].mac, sizeof a[0].mac);
	/* The one before is still good after a rotation, and after two, and then no more. */
	for (unsigned i = 1; i <= 3; i++) {
		unsigned n;

		vault_rotate(&h.vault);
		hall_turns(&h, 4);
		n = vault_ticket_keys(&h.smtpd.vault, S("smtp"), b);
		assert_int_equal(n, i < 3 ? i + 1 : 3);
		assert_memory_not_equal(&b[0], &a[0], sizeof a[0]);
		if (i < 3)
			assert_memory_equal(&b[i], &a[0], sizeof a[0]);
		else
			assert_memory_not_equal(&b[2], &a[0], sizeof a[0]);
	}
	/* A vault that was started again has others; until it speaks the old ones stay. */
	hall_hang_up(&h);
	assert_int_equal(vault_ticket_keys(&h.smtpd.vault, S("smtp"), b), 3);
	hall_close(&h);
}

/* shows: RFC9325 3.4/4 */
static void
ticket_keys_change_by_themselves(void **state)
{
	struct vault_ticket_key first, now[VAULT_SECRETS_MAX] = { 0 };
	struct hall h;

	(void)state;
	hall_furnish(&h, "P-256");
	assert_int_equal(vault_ticket_keys(&h.smtpd.vault, S("smtp"), now), 1);
	first = now[0];
	h.conf->vault.ticket_rotation = 5;
	timer_start(&h.vault.rotation, 5);
	/* Three times, and the first one is gone on both sides. */
	for (unsigned i = 0; i < 1000 && memcmp(&now[VAULT_SECRETS_MAX - 1], &first, sizeof first) != 0; i++) {
		(void)usleep(1000);
		hall_turns(&h, 2);
		(void)vault_ticket_keys(&h.smtpd.vault, S("smtp"), now);
	}
	assert_memory_equal(&now[VAULT_SECRETS_MAX - 1], &first, sizeof first);
	for (unsigned i = 0; i < 1000 && memcmp(&now[VAULT_SECRETS_MAX - 1], &first, sizeof first) == 0; i++) {
		(void)usleep(1000);
		hall_turns(&h, 2);
		(void)vault_ticket_keys(&h.smtpd.vault, S("smtp"), now);
	}
	for (unsigned i = 0; i < VAULT_SECRETS_MAX; i++)
		assert_memory_not_equal(&now[i], &first, sizeof first);
	assert_int_equal(h.vault.n_secrets, VAULT_SECRETS_MAX);
	hall_close(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_key), cmocka_unit_test(key_is_only_its_public_half),
		cmocka_unit_test(never_blocks),
		cmocka_unit_test(vault_dies_and_comes_back), cmocka_unit_test(client_goes_meanwhile),
		cmocka_unit_test(more_than_there_are_jobs), cmocka_unit_test(renewal), cmocka_unit_test(ticket_keys),
		cmocka_unit_test(ticket_keys_change_by_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
