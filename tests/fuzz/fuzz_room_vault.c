/* tests/fuzz/fuzz_room_vault.c -- the vault below smtpds that have been broken into. It has one key; whatever it signs with it
 * must be what a TLS server signs. */
#include "tests/fuzz/room.h"

#include "vault/tls_input.h"
#include "vault/vault.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made for this, and of no use elsewhere. Its id is in starts.py too. */
static const char key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqRHdfqEIVuhbF5SU\n"
    "Ykxfa5EeabZM9mVOBMMp88Ij0ZuhRANCAATv6Pd1OnUQSODkVO/LKotY8/U8nMLp\n"
    "u1FWrpu4PpAIhQbWByRUIkn4jwgBrUs2wbjWpXAnAhEv0oDItJ2WWHux\n"
    "-----END PRIVATE KEY-----\n";
static const uint8_t key_id[IDENTITY_KEY_ID] = {
	0x24, 0x69, 0xab, 0xf2, 0xe7, 0x4e, 0xf1, 0x44, 0x8e, 0xf8, 0x5f, 0x34, 0xb8, 0x12, 0x9d, 0xb2,
	0xb3, 0x46, 0x9a, 0x37, 0x37, 0xfb, 0xe2, 0x75, 0x08, 0xa6, 0x7f, 0x8f, 0x69, 0xe7, 0x76, 0x97,
};

static struct conf *
conf(void)
{
	struct conf *c = conf_new();
	struct buf why = BUF_INIT(1024);

	if (c == NULL || sodium_init() == -1 || keys_prepare(&why) != RC_OK)
		abort();
	c->vault.max_rate = 100;
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct vault *v = calloc(1, sizeof *v);
	struct buf why = BUF_INIT(1024);
	int fd = memfd_create("key", MFD_CLOEXEC);

	if (v == NULL || fd == -1 || write(fd, key, sizeof key - 1) != (ssize_t)(sizeof key - 1))
		abort();
	w->room.ctx = v;
	vault_open(v, w->room.loop, w->room.conf);
	v->room = &w->room;
	if (keys_arrive(&v->keys, 1, slice_of(key_id, sizeof key_id), fd, &why) != RC_OK || keys_adopt(&v->keys, 1) != RC_OK)
		abort();
	(void)close(fd);
	w->watching = true;
}

/* A signature that verifies for nothing that we know of would be noise; one is only ever given for what was asked last, so
 * it is enough to see that answers are of the right kind and size. */
static void
frame(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice body)
{
	struct rd r = { body, false };
	struct k_signed s;
	struct k_tickets t;

	(void)w, (void)e;
	if (type == K_SIGNED && (!k_signed_get(&r, &s) || s.status < VAULT_OK || s.status > VAULT_FAILED || handle == 0 ||
	    (s.status == VAULT_OK) != (s.signature.n > 0) || s.signature.n > 72))
		abort();
	if (type == K_TICKETS && (!k_tickets_get(&r, &t) || t.secrets.n == 0))
		abort();
}

static void
end(struct fuzz_world *w)
{
	struct vault *v = w->room.ctx;

	for (size_t i = 0; i < VAULT_PEERS_MAX; i++)
		if (v->askers[i] != NULL)
			abort();	/* its line is closed: it must have been forgotten */
	vault_close(v);
	free(v);
}

static const struct room_ops *
ops(void)
{
	static struct room_ops all;

	/* A new generation comes with files, which is master's affair. */
	all = vault_ops;
	all.adopt = NULL;
	return &all;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_room def = { .role = ROLE_VAULT, .conf = conf, .start = begin, .frame = frame, .end = end,
		.lines = { ROLE_SMTPD, ROLE_SMTPD, ROLE_MASTER } };

	def.ops = ops();
	return fuzz_room_run(&def, data, size);
}
