/* smtpd/login.h -- AUTH (RFC 4954): who a client is. The session carries responses to the auth room and challenges back;
 * it knows no mechanism and no password. What is offered is in login_offer.c, all else in cmd_auth.c. */
#ifndef POSTERN_SMTPD_LOGIN_H
#define POSTERN_SMTPD_LOGIN_H

#include "common/ipc/schema.h"
#include "smtpd/session.h"

enum {
	LOGIN_LINE_MAX = 12288,		/* of a response, with its CRLF: RFC 4954 4 */
	LOGIN_MECHANISM_MAX = 20,	/* RFC 4422 3.1 */
	LOGIN_MECHANISMS_MAX = 400,	/* bytes of all names */
};

struct login {
	struct session *session;
	uint32_t handle;		/* at the auth room */
	enum auth_failure failed;	/* 0: not; else it is noted, and said when the client has answered */
	char mechanism[LOGIN_MECHANISM_MAX + 1];
};

void login_line(struct smtpd *smtpd, unsigned index, int fd);

/* --- login_offer.c --- */

/* Is AUTH to be had in this session, now? */
bool login_is_offered(const struct session *s);
/* The mechanisms that are. */
bool login_mechanisms_put(struct buf *to, const struct session *s);
bool login_has_mechanism(const struct session *s, struct slice name);
/* Does one of them end in -PLUS? Then a client that says that we have none was lied to. */
bool login_has_plus(const struct session *s);
/* Has its listener AUTH at all? */
bool login_listener_offers(const struct session *s);
/* Is the line one on which a password may be said? */
bool login_is_private(const struct session *s);

/* --- cmd_auth.c --- */

/* In PH_AUTH: a response. As command_input(). */
enum rc login_input(struct session *s, struct slice in, size_t *ret_used);

/* The login is over, in vain. user and why: for the log. */
void login_fail(struct session *s, enum auth_failure kind, struct slice user, struct slice why);

/* Has it failed while the client was to answer? Then this is the end of it, and said. */
bool login_has_failed(struct session *s);

/* The auth room does not answer. */
void login_unanswered(struct session *s);

/* The session leaves PH_AUTH, or ends: the auth room is told. */
void login_free(struct session *s);

#endif
