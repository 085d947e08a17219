/* tests/smtpd/fake_auth.h -- the auth room, played by the test in smtpd's loop. It knows PLAIN and LOGIN, and alice, whose
 * password is "secret"; what it is asked out of turn, or in a form that the real one would refuse, fails the test. */
#ifndef POSTERN_TESTS_SMTPD_FAKE_AUTH_H
#define POSTERN_TESTS_SMTPD_FAKE_AUTH_H

#include "tests/smtpd/fakes.h"

enum { FAKE_LOGINS_MAX = 16 };

struct fake_auth {
	struct peer *peer;	/* NULL: away */
	bool holds;		/* says nothing until fake_auth_answer() */
	struct fake_login {
		uint32_t handle;	/* 0: none */
		bool is_login;
		unsigned step;
		char user[64];
		bool due;	/* response waits for an answer */
		char response[512];
		size_t n;
	} logins[FAKE_LOGINS_MAX];
	unsigned n_aborts;
};

void fake_auth_up(struct fake_auth *a, struct fakes *f, const char *mechanisms);
void fake_auth_down(struct fake_auth *a);
void fake_auth_answer(struct fake_auth *a);
/* It has lost its patience with every login. */
void fake_auth_give_up(struct fake_auth *a);

#endif
