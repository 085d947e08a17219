/* smtpd/listener.h -- the door: listening sockets that all smtpd processes share, and who may come in. */
#ifndef POSTERN_SMTPD_LISTENER_H
#define POSTERN_SMTPD_LISTENER_H

#include "smtpd/smtpd.h"

enum {
	LISTENERS_MAX = 1024,
	ACCEPTS_A_TURN = 64,	/* then the sessions get their turn */
	/* connections of proxies that may say who the client is when there is no room: he may be a good one */
	PROXIED_WHEN_FULL = 64,
	OPENING_MS = 5000,	/* at the start clients wait so long for the queue; then they are told to come back */
};

/* Takes over a listening socket of that generation. It is listened to from listeners_adopt() on. */
void listener_add(struct smtpd *smtpd, uint32_t generation, struct slice name, int fd);

/* Listens on the sockets of this generation, and closes those of every other. */
void listeners_adopt(struct smtpd *smtpd, uint32_t generation);

/* Closes them all. */
void listeners_close(struct smtpd *smtpd);

/* At the start: lets clients wait in the kernel until the queue has said how it is, or OPENING_MS are over. */
void listeners_hold(struct smtpd *smtpd);

/* The timer_fn of smtpd.breather: accepting goes on. */
void listeners_breathe_again(struct timer *t, void *ctx);

/* A client that came in (fd is taken over): a session, or a refusal at the door. */
void listener_admit(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip);
/* What the network of this newcomer, who is counted already, has too much of. NULL: nothing. */
const char *listener_objection(struct smtpd *smtpd, struct client *client);
/* The next steps, for the porch: it is known who the client is; and it may be greeted (client is counted). */
void listener_let_in(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip);
void listener_greet(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, struct client *client);

#endif
