/* tests/vault/test_vault.c -- what the vault signs, and everything else, which it does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/tls/keys.h"
#include "vault/signing.h"
#include "vault/tls_input.h"

#include <sys/socket.h>
#include <unistd.h>

#define CONTEXT "TLS 1.3, server CertificateVerify"
#define SPACES "                                                                "

/* --- the form of the input --- */

struct message {
	uint8_t bytes[VAULT_MESSAGE_MAX + 64];
	size_t n;
};

static struct slice
tls13(struct message *m, const char *context, size_t hash)
{
	size_t n = strlen(context) + 1;

	memset(m->bytes, ' ', 64);
	memcpy(m->bytes + 64, context, n);
	memset(m->bytes + 64 + n, 0xab, hash);
	m->n = 64 + n + hash;
	return slice_of(m->bytes, m->n);
}

static struct slice
tls12(struct message *m, uint8_t kind, uint16_t curve, uint8_t n, uint8_t first)
{
	memset(m->bytes, 0x77, sizeof m->bytes);
	m->bytes[64] = kind;
	m->bytes[65] = (uint8_t)(curve >> 8);
	m->bytes[66] = (uint8_t)curve;
	m->bytes[67] = n;
	m->bytes[68] = first;
	m->n = 68 + (size_t)n;
	return slice_of(m->bytes, m->n);
}

/* RFC 8446 4.4.3. */
static void
form_of_tls13(void **state)
{
	struct message m;
	struct slice s;

	(void)state;
	assert_int_equal(tls_input_kind(tls13(&m, CONTEXT, 32)), TLS_INPUT_13);
	s = tls13(&m, CONTEXT, 48);
	assert_int_equal(tls_input_kind(s), TLS_INPUT_13);
	/* Any octet of the fixed part changed, any octet missing or too many: no. */
	for (size_t i = 0; i < 64 + sizeof CONTEXT; i++) {
		m.bytes[i] ^= 1;
		assert_int_equal(tls_input_kind(s), TLS_INPUT_NONE);
		m.bytes[i] ^= 1;
	}
	for (size_t n = 0; n < VAULT_MESSAGE_MAX; n++)
		if (n != 64 + sizeof CONTEXT + 32 && n != 64 + sizeof CONTEXT + 48)
			assert_int_equal(tls_input_kind(slice_of(m.bytes, n)), TLS_INPUT_NONE);
	/* What a client signs, and what an exported authenticator is made of (RFC 9261 5.2.2). */
	assert_int_equal(tls_input_kind(tls13(&m, "TLS 1.3, client CertificateVerify", 32)), TLS_INPUT_NONE);
	assert_int_equal(tls_input_kind(tls13(&m, "Exported Authenticator", 32)), TLS_INPUT_NONE);
	assert_int_equal(tls_input_kind(S("")), TLS_INPUT_NONE);
}

/* RFC 5246 7.4.3, RFC 8422 5.4. */
static void
form_of_tls12(void **state)
{
	static const struct {
		uint16_t curve;
		uint8_t n;
		bool form;
	} good[] = { { 23, 65, true }, { 24, 97, true }, { 25, 133, true }, { 29, 32, false }, { 30, 56, false } };
	struct message m;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct slice s = tls12(&m, 3, good[i].curve, good[i].n, 4);

		assert_int_equal(tls_input_kind(s), TLS_INPUT_12);
		assert_int_equal(tls_input_kind(slice_first(s, s.n - 1)), TLS_INPUT_NONE);
		assert_int_equal(tls_input_kind(slice_of(s.p, s.n + 1)), TLS_INPUT_NONE);
		/* Compressed points were never used, and explicit curves are the attacker's. */
		if (good[i].form)
			assert_int_equal(tls_input_kind(tls12(&m, 3, good[i].curve, good[i].n, 2)), TLS_INPUT_NONE);
		assert_int_equal(tls_input_kind(tls12(&m, 1, good[i].curve, good[i].n, 4)), TLS_INPUT_NONE);
		assert_int_equal(tls_input_kind(tls12(&m, 2, good[i].curve, good[i].n, 4)), TLS_INPUT_NONE);
		for (unsigned n = 0; n < 180; n++)
			if (n != good[i].n)
				assert_int_equal(tls_input_kind(tls12(&m, 3, good[i].curve, (uint8_t)n, 4)), TLS_INPUT_NONE);
	}
	for (unsigned curve = 0; curve < 65536; curve++)
		if ((curve < 23 || curve > 25) && curve != 29 && curve != 30)
			assert_int_equal(tls_input_kind(tls12(&m, 3, (uint16_t)curve, 65, 4)), TLS_INPUT_NONE);
}

/* --- the keys --- */

struct keyring {
	struct keys keys;
	EVP_PKEY *rsa, *p256, *p384, *ed25519;
	uint8_t ids[4][IDENTITY_KEY_ID];
};

static void
keyring_open(struct keyring *k)
{
	EVP_PKEY **all[] = { &k->rsa, &k->p256, &k->p384, &k->ed25519 };
	static const char *const kinds[] = { "RSA", "P-256", "P-384", "ED25519" };
	struct buf why = BUF_INIT(1024);

	memset(k, 0, sizeof *k);
	assert_int_equal(keys_prepare(&why), RC_OK);
	for (size_t i = 0; i < 4; i++) {
		int fd;

		*all[i] = test_make_key(kinds[i]);
		test_key_id(*all[i], k->ids[i]);
		fd = test_key_file(*all[i]);
		assert_int_equal(keys_arrive(&k->keys, 1, slice_of(k->ids[i], IDENTITY_KEY_ID), fd, &why), RC_OK);
		(void)close(fd);
	}
	assert_int_equal(keys_adopt(&k->keys, 1), RC_OK);
}

static void
keyring_close(struct keyring *k)
{
	EVP_PKEY_free(k->rsa);
	EVP_PKEY_free(k->p256);
	EVP_PKEY_free(k->p384);
	EVP_PKEY_free(k->ed25519);
	keys_free(&k->keys);
}

static enum vault_status
sign(const struct keys *keys, const uint8_t *id, unsigned scheme, bool is13, struct slice message)
{
	uint8_t signature[VAULT_SIGNATURE_MAX];
	struct signer signer;
	enum vault_status status = keys_find(keys, slice_of(id, IDENTITY_KEY_ID), (uint16_t)scheme, is13, &signer);
	size_t n;

	if (status == VAULT_OK) {
		status = signer_sign(&signer, message, signature, &n);
		signer_release(&signer);
	}
	return status;
}

/* Which scheme goes with which key, in TLS 1.3 and 1.2: RFC 8446 4.2.3. */
static void
schemes(void **state)
{
	enum { RSA, P256, P384, ED };
	static const struct {
		unsigned scheme;
		char in13[5], in12[5];	/* y or n for each key */
	} rows[] = {
		{ VAULT_RSA_PKCS1_SHA256, "nnnn", "ynnn" }, { VAULT_RSA_PKCS1_SHA384, "nnnn", "ynnn" },
		{ VAULT_RSA_PKCS1_SHA512, "nnnn", "ynnn" }, { VAULT_RSA_PSS_SHA256, "ynnn", "ynnn" },
		{ VAULT_RSA_PSS_SHA384, "ynnn", "ynnn" }, { VAULT_RSA_PSS_SHA512, "ynnn", "ynnn" },
		{ VAULT_ECDSA_SHA256, "nynn", "nyyn" }, { VAULT_ECDSA_SHA384, "nnyn", "nyyn" },
		{ VAULT_ECDSA_SHA512, "nnnn", "nyyn" }, { VAULT_ED25519, "nnny", "nnny" },
		{ 0, "nnnn", "nnnn" }, { 0x0201, "nnnn", "nnnn" }, { 0x0203, "nnnn", "nnnn" }, { 0x0809, "nnnn", "nnnn" },
		{ 0xffff, "nnnn", "nnnn" },
	};
	struct message m;
	struct keyring k;

	(void)state;
	keyring_open(&k);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t key = RSA; key <= ED; key++)
			for (unsigned is13 = 0; is13 < 2; is13++) {
				struct slice s = is13 != 0 ? tls13(&m, CONTEXT, 32) : tls12(&m, 3, 29, 32, 0);
				enum vault_status got = sign(&k.keys, k.ids[key], rows[i].scheme, is13 != 0, s);

				assert_int_equal(got, (is13 != 0 ? rows[i].in13 : rows[i].in12)[key] == 'y' ? VAULT_OK :
				    VAULT_REFUSED);
			}
	keyring_close(&k);
}

/* A key file that is not what it was announced as. */
static void
key_files(void **state)
{
	struct buf why = BUF_INIT(1024);
	uint8_t id[IDENTITY_KEY_ID] = { 0 };
	struct keys keys = { NULL, NULL, NULL };
	EVP_PKEY *key = test_make_key("P-256");
	int fd = test_key_file(key);

	(void)state;
	assert_int_not_equal(keys_arrive(&keys, 1, slice_of(id, sizeof id), fd, &why), RC_OK);
	assert_non_null(strstr(buf_cstr(&why), "has changed"));
	test_key_id(key, id);
	assert_int_equal(keys_arrive(&keys, 1, slice_of(id, sizeof id), fd, &why), RC_OK);
	/* Once more, from the same open file: two certificates with one key, or a vault that was started again. */
	assert_int_equal(keys_arrive(&keys, 1, slice_of(id, sizeof id), fd, &why), RC_OK);
	assert_int_equal(keys_adopt(&keys, 1), RC_OK);
	assert_int_equal(ftruncate(fd, 40), 0);
	assert_int_not_equal(keys_arrive(&keys, 2, slice_of(id, sizeof id), fd, &why), RC_OK);
	assert_int_equal(ftruncate(fd, 1024 * 1024), 0);
	assert_int_not_equal(keys_arrive(&keys, 2, slice_of(id, sizeof id), fd, &why), RC_OK);
	assert_int_not_equal(keys_arrive(&keys, 2, slice_of(id, sizeof id), -1, &why), RC_OK);
	(void)close(fd);
	keys_free(&keys);
	buf_free(&why);
	EVP_PKEY_free(key);
}

/* --- the room --- */

struct room_of_one {
	struct loop *loop;
	struct conf *conf;
	struct vault vault;
	struct keyring ring;
	int fd[2];		/* our ends of the lines to two smtpds */
	struct buf in;
};

static void
house_open(struct room_of_one *h)
{
	memset(h, 0, sizeof *h);
	h->loop = loop_new();
	h->conf = conf_new();
	keyring_open(&h->ring);
	vault_open(&h->vault, h->loop, h->conf);
	h->vault.keys = h->ring.keys;
	for (unsigned i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		vault_line(&h->vault, ROLE_SMTPD, i, pair[0]);
		h->fd[i] = pair[1];
	}
	buf_init(&h->in, IPC_FRAME_MAX);
}

static void
house_close(struct room_of_one *h)
{
	memset(&h->ring.keys, 0, sizeof h->ring.keys);	/* the vault frees them */
	keyring_close(&h->ring);
	vault_close(&h->vault);
	conf_unref(h->conf);
	loop_free(h->loop);
	buf_free(&h->in);
	for (unsigned i = 0; i < 2; i++)
		if (h->fd[i] != -1)
			(void)close(h->fd[i]);
}

static void
ask(struct room_of_one *h, unsigned who, uint32_t handle, uint16_t scheme, struct slice key, struct slice message)
{
	struct k_sign m = { scheme, key, message };
	uint8_t space[4096];
	struct wr w = { space, 0, sizeof space, false };

	assert_true(k_sign_put(&w, &m));
	assert_int_equal(frame_write_blocking(h->fd[who], K_SIGN, handle, slice_of(space, w.n), -1), RC_OK);
}

static void
turns(struct room_of_one *h, unsigned n)
{
	while (n-- > 0)
		loop_turn(h->loop, false);
}

/* The next K_SIGNED for this one; its status, 0 when the line was cut. */
static unsigned
hear(struct room_of_one *h, unsigned who, uint32_t *ret_handle)
{
	struct frame f;

	for (;;) {
		struct rd r;
		struct k_signed m = { 0, S("") };

		if (frame_read_blocking(h->fd[who], ROLE_SMTPD, ROLE_VAULT, &h->in, &f) != RC_OK)
			return 0;
		r = (struct rd){ f.body, false };
		if (f.type == K_TICKETS)
			continue;
		assert_int_equal(f.type, K_SIGNED);
		assert_true(k_signed_get(&r, &m));
		assert_int_equal(m.status == VAULT_OK, m.signature.n > 0);
		*ret_handle = f.handle;
		return m.status;
	}
}

/* Requests that a broken smtpd might send: each is refused by itself, and the next good one is served. */
static void
requests(void **state)
{
	struct room_of_one h;
	struct message m;
	uint32_t handle;
	struct slice key;

	(void)state;
	house_open(&h);
	key = slice_of(h.ring.ids[1], IDENTITY_KEY_ID);
	ask(&h, 0, 1, VAULT_ECDSA_SHA256, key, S(""));
	ask(&h, 0, 2, VAULT_ECDSA_SHA256, key, S("anything"));
	ask(&h, 0, 3, VAULT_ECDSA_SHA256, key, tls13(&m, "TLS 1.3, client CertificateVerify", 32));
	ask(&h, 0, 4, VAULT_ECDSA_SHA256, key, slice_of(m.bytes, sizeof m.bytes));
	ask(&h, 0, 5, VAULT_RSA_PSS_SHA256, key, tls13(&m, CONTEXT, 32));
	ask(&h, 0, 6, VAULT_ECDSA_SHA256, slice_of(m.bytes, IDENTITY_KEY_ID), tls13(&m, CONTEXT, 32));
	ask(&h, 0, 7, VAULT_ECDSA_SHA256, key, tls13(&m, CONTEXT, 32));
	turns(&h, 10);
	for (unsigned i = 1; i <= 7; i++) {
		unsigned status = hear(&h, 0, &handle);

		assert_int_equal(handle, i);
		assert_int_equal(status, i == 7 ? VAULT_OK : i == 6 ? VAULT_NO_KEY : VAULT_REFUSED);
	}
	house_close(&h);
}

/* Frames that are none: that line is cut, the other one lives. */
static void
malformed_frames(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 4; which++) {
		struct room_of_one h;
		struct message m;
		uint32_t handle;
		struct slice key;

		house_open(&h);
		key = slice_of(h.ring.ids[1], IDENTITY_KEY_ID);
		if (which == 0)
			ask(&h, 0, 1, VAULT_ECDSA_SHA256, slice_first(key, 31), tls13(&m, CONTEXT, 32));
		else if (which == 1)
			ask(&h, 0, 0, VAULT_ECDSA_SHA256, key, tls13(&m, CONTEXT, 32));
		else if (which == 2)	/* what only a vault says */
			assert_int_equal(frame_write_blocking(h.fd[0], K_SIGNED, 1, S("\1\0\0\0\0"), -1), RC_OK);
		else
			assert_int_equal(frame_write_blocking(h.fd[0], K_SIGN, 1, S("\3\4\377\377\377\377"), -1), RC_OK);
		ask(&h, 1, 9, VAULT_ECDSA_SHA256, key, tls13(&m, CONTEXT, 32));
		turns(&h, 10);
		assert_int_equal(hear(&h, 0, &handle), 0);
		assert_null(h.vault.askers[0]);
		assert_int_equal(hear(&h, 1, &handle), VAULT_OK);
		assert_int_equal(handle, 9);
		house_close(&h);
	}
}

/* One that floods fills its own queue and no more; the other is served meanwhile, and nothing is forgotten. */
static void
flood(void **state)
{
	enum { N = VAULT_QUEUE_MAX + 50 };
	unsigned done = 0, busy = 0;
	struct room_of_one h;
	struct message m;
	uint32_t handle;
	struct slice key;

	(void)state;
	house_open(&h);
	h.conf->vault.max_rate = 1;
	key = slice_of(h.ring.ids[1], IDENTITY_KEY_ID);
	turns(&h, 2);
	for (unsigned i = 1; i <= N; i++) {
		ask(&h, 0, i, VAULT_ECDSA_SHA256, key, tls13(&m, CONTEXT, 32));
		if (i % 64 == 0)	/* more does not fit the socket */
			turns(&h, 1);
	}
	ask(&h, 1, 5, VAULT_ECDSA_SHA256, key, tls13(&m, CONTEXT, 32));
	turns(&h, 3);
	assert_int_equal(hear(&h, 1, &handle), VAULT_OK);
	assert_true(h.vault.askers[0]->n > 200);
	h.conf->vault.max_rate = 100000;
	while (h.vault.askers[0]->n > 0)
		loop_turn(h.loop, true);
	turns(&h, 2);
	for (unsigned i = 0; i < N; i++) {
		unsigned status = hear(&h, 0, &handle);

		done += status == VAULT_OK;
		busy += status == VAULT_BUSY;
	}
	assert_int_equal(done + busy, N);
	assert_true(done >= VAULT_QUEUE_MAX && busy > 0);
	house_close(&h);
}

/* --- threads --- */

static bool
heard(const struct room_of_one *h, unsigned who)
{
	char c;

	return recv(h->fd[who], &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void
skip_tickets(struct room_of_one *h, unsigned who)
{
	struct frame f;

	turns(h, 2);
	assert_int_equal(frame_read_blocking(h->fd[who], ROLE_SMTPD, ROLE_VAULT, &h->in, &f), RC_OK);
	assert_int_equal(f.type, K_TICKETS);
}

/* With two threads; both lines have said what they say first. */
static void
busy_house_open(struct room_of_one *h)
{
	house_open(h);
	assert_int_equal(signing_make_threads(&h->vault, 2), RC_OK);
	signing_attach(&h->vault);
	skip_tickets(h, 0);
	skip_tickets(h, 1);
}

static void
ask_rsa(struct room_of_one *h, unsigned who, unsigned n)
{
	struct message m;

	for (uint32_t i = 1; i <= n; i++)
		ask(h, who, i, VAULT_RSA_PSS_SHA256, slice_of(h->ring.ids[0], IDENTITY_KEY_ID), tls13(&m, CONTEXT, 32));
}

/* All that was asked is answered once; who asks for a quick key's signature does not wait for the slow ones of another, and who
 * asks for one slow signature does not wait for all of another's. */
static void
slow_signatures_hold_up_nobody_else(void **state)
{
	enum { N = 40 };
	bool seen[N + 1] = { false };
	struct room_of_one h;
	struct message m;
	uint32_t handle;

	(void)state;
	busy_house_open(&h);
	ask_rsa(&h, 0, N);
	ask(&h, 1, 7, VAULT_ECDSA_SHA256, slice_of(h.ring.ids[1], IDENTITY_KEY_ID), tls13(&m, CONTEXT, 32));
	ask(&h, 1, 8, VAULT_RSA_PSS_SHA256, slice_of(h.ring.ids[0], IDENTITY_KEY_ID), tls13(&m, CONTEXT, 32));
	for (uint32_t want = 7; want <= 8; want++) {
		while (!heard(&h, 1))
			loop_turn(h.loop, true);
		assert_int_equal(hear(&h, 1, &handle), VAULT_OK);
		assert_int_equal(handle, want);
		assert_true(h.vault.askers[0]->n > N / 2);
	}
	for (unsigned i = 0; i < N; i++) {
		while (!heard(&h, 0))
			loop_turn(h.loop, true);
		assert_int_equal(hear(&h, 0, &handle), VAULT_OK);
		assert_true(handle >= 1 && handle <= N && !seen[handle]);
		seen[handle] = true;
	}
	house_close(&h);
}

/* A process that dies, and one that takes its place, while threads sign for it: the new one hears nothing of what the old one
 * asked. */
static void
asker_that_dies(void **state)
{
	struct room_of_one h;
	struct message m;
	uint32_t handle;
	int pair[2];

	(void)state;
	busy_house_open(&h);
	ask_rsa(&h, 0, 8);
	turns(&h, 1);
	(void)close(h.fd[0]);
	turns(&h, 2);
	assert_null(h.vault.askers[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	vault_line(&h.vault, ROLE_SMTPD, 0, pair[0]);
	h.fd[0] = pair[1];
	skip_tickets(&h, 0);
	ask(&h, 0, 77, VAULT_RSA_PSS_SHA256, slice_of(h.ring.ids[0], IDENTITY_KEY_ID), tls13(&m, CONTEXT, 32));
	while (!heard(&h, 0))
		loop_turn(h.loop, true);
	assert_int_equal(hear(&h, 0, &handle), VAULT_OK);
	assert_int_equal(handle, 77);
	house_close(&h);
}

/* Certificates are renewed twice while a thread signs: the key is there until it has signed; what was asked and is not begun yet
 * is told that there is no such key. */
static void
keys_that_go_while_they_sign(void **state)
{
	struct room_of_one h;
	unsigned signed_ones = 0;
	uint32_t handle;

	(void)state;
	busy_house_open(&h);
	ask_rsa(&h, 0, 10);
	turns(&h, 1);
	assert_int_equal(keys_adopt(&h.vault.keys, 2), RC_OK);
	assert_int_equal(keys_adopt(&h.vault.keys, 3), RC_OK);
	for (unsigned i = 0; i < 10; i++) {
		unsigned status;

		while (!heard(&h, 0))
			loop_turn(h.loop, true);
		status = hear(&h, 0, &handle);
		assert_true(status == VAULT_OK || status == VAULT_NO_KEY);
		signed_ones += status == VAULT_OK;
	}
	assert_in_range(signed_ones, 1, 9);
	house_close(&h);
}

/* The room ends while threads sign: what they hold is freed after them. */
static void
end_while_they_sign(void **state)
{
	struct room_of_one h;

	(void)state;
	busy_house_open(&h);
	ask_rsa(&h, 0, 10);
	turns(&h, 1);
	house_close(&h);
}

/* Nobody but smtpd has a line here. */
static void
strangers(void **state)
{
	struct room_of_one h;
	int pair[2];

	(void)state;
	house_open(&h);
	for (int role = ROLE_MASTER; role < ROLE_COUNT; role++) {
		if (role == ROLE_SMTPD)
			continue;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		vault_line(&h.vault, (enum role)role, 5, pair[0]);
		assert_null(h.vault.askers[5]);
		(void)close(pair[1]);
	}
	assert_int_equal(ipc_info[K_SIGN].from, ROLE_BIT(ROLE_SMTPD));
	house_close(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form_of_tls13), cmocka_unit_test(form_of_tls12), cmocka_unit_test(schemes),
		cmocka_unit_test(key_files),
		cmocka_unit_test(requests), cmocka_unit_test(malformed_frames), cmocka_unit_test(flood),
		cmocka_unit_test(slow_signatures_hold_up_nobody_else), cmocka_unit_test(asker_that_dies),
		cmocka_unit_test(keys_that_go_while_they_sign), cmocka_unit_test(end_while_they_sign),
		cmocka_unit_test(strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
