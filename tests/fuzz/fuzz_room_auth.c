/* tests/fuzz/fuzz_room_auth.c -- the auth room below smtpds that have been broken into. Nobody gets in as somebody whose password
 * or certificate he does not have. */
#include "tests/fuzz/auth_house.h"
#include "tests/fuzz/room.h"
#include "tests/fuzz/workers_at_once.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf *
conf(void)
{
	auth_house_prepare();
	return auth_house_conf();
}

static void
begin(struct fuzz_world *w)
{
	struct auth *auth = calloc(1, sizeof *auth);

	if (auth == NULL || auth_init(auth, w->room.loop, w->room.conf) != RC_OK)
		abort();
	w->room.ctx = auth;
	auth->room = &w->room;
	auth_use(auth, auth_house_users(), w->room.conf);
	w->watching = true;
}

static void
turn(struct fuzz_world *w)
{
	struct auth *auth = w->room.ctx;

	workers_turn(auth->workers);
	if (auth->exchanges.n > w->room.conf->auth.max_exchanges)
		abort();
}

static void
frame(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice body)
{
	struct rd r = { body, false };
	struct au_challenge challenge;
	struct au_fail fail;
	struct au_ok ok;

	(void)w, (void)e, (void)handle;
	if (type == AU_OK) {
		if (!au_ok_get(&r, &ok))
			abort();
		auth_house_check(ok.user);
	}
	if (type == AU_CHALLENGE && (!au_challenge_get(&r, &challenge) || challenge.challenge.n > 8192))
		abort();
	if (type == AU_FAIL && (!au_fail_get(&r, &fail) || fail.kind < AUTH_WRONG || fail.kind >= AUTH_FAILURES ||
	    fail.why.n == 0))
		abort();
}

static void
end(struct fuzz_world *w)
{
	struct auth *auth = w->room.ctx;

	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		if (auth->smtpds[i] != NULL)
			abort();	/* its line is closed: it must have been forgotten, */
	if (auth->exchanges.n > 0)
		abort();		/* and what it asked */
	workers_turn(auth->workers);
	auth_free(auth);
	free(auth);
}

static const struct room_ops *
ops(void)
{
	static struct room_ops all;

	/* A new generation comes with files, which is master's affair. */
	all = auth_ops;
	all.adopt = NULL;
	return &all;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_room def = { .role = ROLE_AUTH, .conf = conf, .start = begin, .turn = turn, .frame = frame, .end = end,
		.lines = { ROLE_SMTPD, ROLE_SMTPD, ROLE_MASTER } };

	def.ops = ops();
	return fuzz_room_run(&def, data, size);
}
