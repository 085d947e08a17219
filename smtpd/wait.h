/* smtpd/wait.h -- what a session waits for: what it still takes meanwhile, who ends the wait, and what is said when nobody does.
 *
 * The waits of s->waits hold the session: nothing that the client says is looked at. The two others are told by their own
 * books, and a command runs or waits by its flags (command.c).
 *
 *	wait		it still takes			is ended by
 *	WAIT_AGAIN	nothing				any wake: what it has heard is looked at again, and may wait again
 *	WAIT_LATE	nothing, and says nothing	its own timer (deadline.c)
 *	WAIT_VERIFY	nothing				the router (verify.c)
 *	WAIT_FLUSH	nothing				the queue (submit.c)
 *	WAIT_LOGIN	nothing				the auth room (cmd_auth.c)
 *	WAIT_NAME	all but commands that need it	the resolver (lookups.c)
 *	WAIT_RCPTS	commands that overlap		the router (lookups.c), and before it the auth room (allowance.c)
 *
 * A room that is lost, or silent for too long, ends its wait by wait_unanswered(). A session that ends forgets them all, so
 * that late answers find nobody. */
#ifndef POSTERN_SMTPD_WAIT_H
#define POSTERN_SMTPD_WAIT_H

struct session;

enum wait {
	WAIT_AGAIN = 1 << 0,
	WAIT_LATE = 1 << 1,
	WAIT_VERIFY = 1 << 2,
	WAIT_FLUSH = 1 << 3,
	WAIT_LOGIN = 1 << 4,
	WAIT_NAME = 1 << 5,
	WAIT_RCPTS = 1 << 6,
};

/* All of them, as bits. */
unsigned wait_what(const struct session *s);

/* One of those that hold the session. */
void wait_begin(struct session *s, enum wait what);
/* It is over: the session goes on at the end of this turn, unless it waits for something else too. */
void wait_over(struct session *s, enum wait what);

/* Nobody answers those of these (bits) that are under way: the client is told what can be said without an answer. */
void wait_unanswered(struct session *s, unsigned what);

/* The session ends. */
void wait_forget(struct session *s);

#endif
