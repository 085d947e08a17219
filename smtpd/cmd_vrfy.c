/* smtpd/cmd_vrfy.c -- VRFY: we neither confirm nor deny; RCPT will tell (RFC 5321 3.5.3, 7.3). */
#include "smtpd/command.h"

void
cmd_vrfy(struct session *s, struct slice arg)
{
	if (arg.n == 0)
		session_fault(s, 501, "5.5.4", "Syntax: VRFY address");
	else
		session_reply(s, 252, "2.0.0", "Cannot verify; send mail and see");
}
