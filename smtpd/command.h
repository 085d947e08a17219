/* smtpd/command.h -- from a line to the function of its verb, and when that verb is legal. */
#ifndef POSTERN_SMTPD_COMMAND_H
#define POSTERN_SMTPD_COMMAND_H

#include "common/wire/address.h"
#include "smtpd/session.h"

/* The next command of `in`. RC_OK: one was handled. RC_MORE: no whole line. RC_AGAIN: it cannot be handled before an
 * answer of another room has come; nothing was consumed. *ret_used is set for every result. */
enum rc command_input(struct session *s, struct slice in, size_t *ret_used);

/* One for each verb, in cmd_VERB.c. They reply. */
void cmd_helo(struct session *s, struct slice arg);
void cmd_ehlo(struct session *s, struct slice arg);
void cmd_auth(struct session *s, struct slice arg);
void cmd_mail(struct session *s, struct slice arg);
void cmd_rcpt(struct session *s, struct slice arg);
void cmd_data(struct session *s, struct slice arg);
void cmd_bdat(struct session *s, struct slice arg);
void cmd_rset(struct session *s, struct slice arg);
void cmd_noop(struct session *s, struct slice arg);
void cmd_quit(struct session *s, struct slice arg);
void cmd_vrfy(struct session *s, struct slice arg);
void cmd_expn(struct session *s, struct slice arg);
void cmd_etrn(struct session *s, struct slice arg);
void cmd_starttls(struct session *s, struct slice arg);
void cmd_help(struct session *s, struct slice arg);
void cmd_xclient(struct session *s, struct slice arg);

bool xclient_offered(const struct session *s);

/* Is there a certificate, and may this listener's clients use it by STARTTLS? Where not the verb is one that we do not have. */
bool starttls_exists(const struct session *s);

/* Does the listener require TLS, and there is none yet? (RFC 3207 4) */
bool command_lacks_tls(const struct session *s);
/* Errors and unknown recipients, its own or its network's, as many as one may have (max-errors). */
bool command_has_erred_enough(const struct session *s);

/* Makes the address's domain ASCII (it borrows from domain then). RC_SYNTAX, RC_RANGE, RC_NOMEM. */
enum rc command_ascii_domain(struct address *a, struct buf *domain);

/* Says that there is no such command, as of a verb that we do not have. */
void command_not_implemented(struct session *s);
/* The verbs that we have, whether this client may use them or not. */
void command_verbs_put(struct buf *to);

/* True when there is an argument, which this verb does not take: the reply has been given. */
bool command_has_argument(struct session *s, struct slice arg);

#endif
