/* tests/fuzz/fuzz_users.c -- the files of the auth room, of any bytes: loaded, or refused with a line that says where and why. */
#include "vault/auth_users.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whoever is loaded is found, and nobody has a decoy of any shape but that of users. */
static void
ask(const struct users *u, struct slice name)
{
	const struct user *user = users_find(u, name);
	struct scram_verifier v;

	if (user != NULL && (user->locked || !slice_eq(slice_of(user->name, user->n), name)))
		abort();
	if (*users_decoy(u, name) != '$')
		abort();
	users_scram_decoy(u, name, &v);
	if (v.iterations < SCRAM_ITERATIONS_MIN || v.salt_n == 0 || v.salt_n > SCRAM_SALT_MAX)
		abort();
}

/* The first byte chooses the file. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of(data, size);
	struct buf why = BUF_INIT(4096);
	struct users *u;
	enum rc rc;

	if (size == 0 || sodium_init() == -1)
		return 0;
	u = users_new();
	if (u == NULL)
		abort();
	bytes = slice_from(bytes, 1);
	rc = data[0] == 'c' ? users_load_certificates(u, bytes, "f", &why) : users_load(u, bytes, "f", 8 << 20, &why);
	if ((rc != RC_OK) != (buf_len(&why) > 0))
		abort();
	for (size_t i = 0; i < buf_len(&why); i++)
		if (buf_slice(&why).p[i] < 0x20 || buf_slice(&why).p[i] > 0x7e)
			abort();
	if (rc == RC_OK && users_complete(u, 8192) == RC_OK)
		for (struct slice rest = bytes; rest.n > 0; rest = slice_from(rest, slice_find(rest, '\n') + 1)) {
			struct slice line = slice_first(rest, slice_find(rest, '\n'));

			ask(u, slice_first(line, slice_find(line, ':')));
		}
	(void)users_of_certificate(u, (const uint8_t *)"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC");
	users_free(u);
	buf_free(&why);
	return 0;
}
