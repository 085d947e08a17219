/* smtpd/cmd_help.c -- HELP: the verbs we know (RFC 5321 4.1.1.8). */
#include "smtpd/command.h"

void
cmd_help(struct session *s, struct slice arg)
{
	(void)arg;
	(void)reply_line(&s->out, 214, S("2.0.0"), S("Postern takes these commands:"), true);
	(void)reply_line(&s->out, 214, S("2.0.0"), S("EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY EXPN HELP"), true);
	session_reply(s, 214, "2.0.0", "See RFC 5321");
}
