/* smtpd/lookups.h -- the lines to the resolver and the router: who is this client, and may it send there?
 *
 * A client's name is asked for when a command needs it: at MAIL, for most. The router is asked about each RCPT; several
 * may be under way, and replies keep the order of the commands. No line, no answer, no sense: the name is unknown for now,
 * and the recipient is told 451. */
#ifndef POSTERN_SMTPD_LOOKUPS_H
#define POSTERN_SMTPD_LOOKUPS_H

#include "common/slice.h"
#include "smtpd/smtpd.h"

struct rcpt;
struct session;

void lookup_resolver_line(struct smtpd *smtpd, unsigned index, int fd);
void lookup_router_line(struct smtpd *smtpd, unsigned index, int fd);

/* Asks for the client's name, when the configuration wants that; again, when it could not be looked up a while ago. */
void lookup_name(struct session *s);
/* Nobody answers; the session ends. See wait.h. */
void lookup_name_unanswered(struct session *s);
void lookup_name_forget(struct session *s);

/* The question itself, with all that is known of the client. sender: NULL when there is none. smtpd->router must be up. */
enum rc lookup_ask(struct session *s, uint32_t handle, const char *sender, struct slice to);

/* Asks about a recipient; sets its refusal at once when nobody can be asked. */
void lookup_check(struct rcpt *r);
/* Nobody answers: all waiting recipients of the session are told 451. */
void lookup_rcpts_unanswered(struct session *s);

#endif
