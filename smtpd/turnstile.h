/* smtpd/turnstile.h -- how many TLS handshakes a second are begun for clients that nobody knows.
 *
 * A handshake costs the server a signature and the attacker nothing, and an attacker has more networks than any limit of one
 * network could stop. So strangers pass one after the other, smtpd { stranger-handshakes } a second, and the others wait, at
 * most as long as a handshake may take (timeout-tls). The latest goes first: whoever has waited long is likely to have gone,
 * and a client that comes while the attack goes on still gets through. Listed clients, and those whose mail was taken
 * lately, pass at once. */
#ifndef POSTERN_SMTPD_TURNSTILE_H
#define POSTERN_SMTPD_TURNSTILE_H

#include "common/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

struct turnstile {
	struct session *waiting;	/* the latest first */
	struct timer timer;
	uint64_t paid_until;		/* in microseconds: handshakes begun so far stand for this time, at the rate wanted */
};

void turnstile_init(struct turnstile *t, struct loop *loop);
void turnstile_free(struct turnstile *t);

/* May its handshake begin? False: it waits, and session_pass() is called, if it does not leave before. */
bool turnstile_ask(struct session *s);
/* It does not wait any more, if it did. */
void turnstile_leave(struct session *s);

#endif
