/* smtpd/cmd_noop.c -- NOOP: nothing, with a reply; its argument is ignored (RFC 5321 4.1.1.9). */
#include "smtpd/command.h"

void
cmd_noop(struct session *s, struct slice arg)
{
	(void)arg;
	session_reply(s, 250, "2.0.0", "Ok");
}
