/* smtpd/cmd_quit.c -- QUIT: a reply, then the end (RFC 5321 4.1.1.10). */
#include "smtpd/command.h"

void
cmd_quit(struct session *s, struct slice arg)
{
	if (command_has_argument(s, arg))
		return;
	s->quits = true;
	session_last(s, 221, "2.0.0", "Bye", "QUIT");
}
