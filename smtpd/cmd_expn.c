/* smtpd/cmd_expn.c -- EXPN: lists are nobody's business (RFC 5321 3.5.2, 7.3). */
#include "smtpd/command.h"

void
cmd_expn(struct session *s, struct slice arg)
{
	(void)arg;
	session_fault(s, 502, "5.5.1", "Command not implemented");
}
