/* tests/fuzz/fuzz_room_vault.c -- the vault below smtpds that have been broken into. It has two keys, one that signs at once and
 * one that signs in threads; whatever it signs with them must be what a TLS server signs. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/workers_at_once.h"

#include "vault/signing.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made for this, and of no use elsewhere. Their ids are in starts.py too. */
static const struct {
	const char *pem;
	uint8_t id[IDENTITY_KEY_ID];
} keys[] = {
	{
	    /* P-256 */
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqRHdfqEIVuhbF5SU\n"
	    "Ykxfa5EeabZM9mVOBMMp88Ij0ZuhRANCAATv6Pd1OnUQSODkVO/LKotY8/U8nMLp\n"
	    "u1FWrpu4PpAIhQbWByRUIkn4jwgBrUs2wbjWpXAnAhEv0oDItJ2WWHux\n"
	    "-----END PRIVATE KEY-----\n",
	    { 0x24, 0x69, 0xab, 0xf2, 0xe7, 0x4e, 0xf1, 0x44, 0x8e, 0xf8, 0x5f, 0x34, 0xb8, 0x12, 0x9d, 0xb2,
	      0xb3, 0x46, 0x9a, 0x37, 0x37, 0xfb, 0xe2, 0x75, 0x08, 0xa6, 0x7f, 0x8f, 0x69, 0xe7, 0x76, 0x97 },
	},
	{
	    /* RSA, 1024 bits */
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMAbs6tMkilYT9DI\n"
	    "t3Huuh52ymrUtPJ0yIUWnNcvBa9RvV8qPdAw836Pr/Nt9BIMvrNTNlu1X1yer0WP\n"
	    "D07yV4iAfevUFp7zrAupzyq05CW/Z0VmB1mUDMKaL5fwyjBrXZsHAWgrtYLVdSCj\n"
	    "mBs0GrxbO/zOW9ZQIrBasg2TAuI3AgMBAAECgYANIFdwdvTtukkJ3Q0bzdINztQZ\n"
	    "5JrQjkY9QcRJt77NseocnIhIt2+L0EmXeoXYzeIh4qeuMIBplbYoLJRBMrHkVYTd\n"
	    "K8IGHW4U7p4oANSUARK8Ib+InZfloueZ/OfhbqhF0FTEyxSwf0EBBCYvxmJ/dZAk\n"
	    "aXNxO+LKPl9GyxDvQQJBAN7gsjoF18R7N8WKYSekuQggmSqoDshFZkIHyXNCSXdu\n"
	    "vaMWZ+H69m5p32xTeDUZ2flkMvHyhi2RkT8zZ/C37hECQQDcqGP8NmbxqpNdodJp\n"
	    "4mvSN6Ay7jE8BzRlHn6KOtHiV5ICAy0d2luyw2+SGNmdzTaH01SwZmpbRsuTO5Q8\n"
	    "NKPHAkAlDhaTrwUAlbvgC/G7NZfN0h2lCevrQB6QO9syXoL4aGD/DGqZF7CBCvkq\n"
	    "eXYy3elvnUkbEMdeLCWJ7HILg4kBAkAZO1AjmPzwiXbMcCKlZPS7Vw0EheQvXwuI\n"
	    "vJHvsIYrgaP6gu53yW5O5LYvWJQZzUt9AJdgjHWA9nl03o02zTYlAkEAporYoOJt\n"
	    "L19ITD0q6wiLRXaspCjGJWuQ03A2E5GbBTfonVORcVEtyFHp54foNGbfg6D4J88u\n"
	    "F7hdl8MBM/oGrg==\n"
	    "-----END PRIVATE KEY-----\n",
	    { 0xb3, 0x20, 0x01, 0x8a, 0x15, 0x41, 0x89, 0xdc, 0x0d, 0xfe, 0x96, 0x1b, 0x32, 0xa6, 0x0e, 0xef,
	      0xcf, 0xcd, 0xbe, 0x65, 0x79, 0x48, 0x9d, 0x80, 0x42, 0x80, 0xf9, 0x1c, 0xbf, 0x76, 0x0a, 0xb8 },
	},
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

	if (v == NULL)
		abort();
	w->room.ctx = v;
	vault_open(v, w->room.loop, w->room.conf);
	v->room = &w->room;
	if (signing_make_threads(v, 2) != RC_OK)
		abort();
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		int fd = memfd_create("key", MFD_CLOEXEC);

		if (fd == -1 || write(fd, keys[i].pem, strlen(keys[i].pem)) != (ssize_t)strlen(keys[i].pem) ||
		    keys_arrive(&v->keys, 1, slice_of(keys[i].id, sizeof keys[i].id), fd, &why) != RC_OK)
			abort();
		(void)close(fd);
	}
	if (keys_adopt(&v->keys, 1) != RC_OK)
		abort();
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
	    (s.status == VAULT_OK) != (s.signature.n > 0) || s.signature.n > 128))
		abort();
	if (type == K_TICKETS && (!k_tickets_get(&r, &t) || t.secrets.n == 0))
		abort();
}

static void
turn(struct fuzz_world *w)
{
	struct vault *v = w->room.ctx;

	workers_turn(v->workers);
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
	static struct fuzz_room def = { .role = ROLE_VAULT, .conf = conf, .start = begin, .turn = turn, .frame = frame,
		.end = end, .lines = { ROLE_SMTPD, ROLE_SMTPD, ROLE_MASTER } };

	def.ops = ops();
	return fuzz_room_run(&def, data, size);
}
