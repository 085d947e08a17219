/* tests/fuzz/auth_house.c -- see auth_house.h. */
#include "tests/fuzz/auth_house.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static uint32_t chance;

static const char *
chance_name(void)
{
	return "none";
}

static uint32_t
chance_random(void)
{
	chance = chance * 1103515245 + 12345;
	return chance;
}

static void
chance_buf(void *const to, const size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = (uint8_t)(chance_random() >> 16);
}

void
auth_house_reset(void)
{
	chance = 1;
}

void
auth_house_prepare(void)
{
	static struct randombytes_implementation none = { .implementation_name = chance_name, .random = chance_random,
		.buf = chance_buf };

	if (randombytes_set_implementation(&none) != 0 || sodium_init() == -1)
		abort();
}

struct conf *
auth_house_conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	free(c->auth.users_file);
	free(c->auth.certificates_file);
	c->auth.users_file = strdup("users");
	c->auth.certificates_file = strdup("certificates");
	c->auth.max_hash_memory = 8192;	/* what stands in for hashes while there are none must not cost a second */
	c->auth.max_exchanges = 20;
	c->auth.max_waiting = 4;
	return c;
}

static struct slice
users_text(void)
{
	static struct buf text = BUF_INIT(8192);
	char hash[ARGON2_TEXT_MAX + 1];
	struct credential c;

	if (buf_len(&text) > 0)
		return buf_slice(&text);
	auth_house_reset();
	if (credential_make(S("alice"), S("secret"), 8192, SCRAM_ITERATIONS_MIN, hash, &c) != RC_OK || !credential_put(&text, &c))
		abort();
	c.user = S("bob");
	c.locked = true;
	if (!credential_put(&text, &c))
		abort();
	return buf_slice(&text);
}

struct users *
auth_house_users(void)
{
	static const char certificates[] = "4343434343434343434343434343434343434343434343434343434343434343 carol\n";
	struct buf why = BUF_INIT(512);
	struct slice text = users_text();
	struct users *u;

	auth_house_reset();
	u = users_new();
	if (u == NULL || users_load(u, text, "users", 1 << 20, &why) != RC_OK ||
	    users_load_certificates(u, slice_str(certificates), "certificates", &why) != RC_OK ||
	    users_complete(u, 8192) != RC_OK)
		abort();
	return u;
}

void
auth_house_check(struct slice user)
{
	if (!slice_eq(user, S("alice")) && !slice_eq(user, S("carol")))
		abort();
}
