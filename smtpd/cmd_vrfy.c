/* smtpd/cmd_vrfy.c -- VRFY: is there such a mailbox? (RFC 5321 4.1.1.6) */
#include "smtpd/command.h"
#include "smtpd/verify.h"

void
cmd_vrfy(struct session *s, struct slice arg)
{
	verify(s, EXT_VRFY, arg);
}
