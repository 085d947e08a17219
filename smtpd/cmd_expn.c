/* smtpd/cmd_expn.c -- EXPN: who is on this list? An address stands for itself (RFC 5321 4.1.1.7, 3.5.1). */
#include "smtpd/command.h"
#include "smtpd/verify.h"

void
cmd_expn(struct session *s, struct slice arg)
{
	verify(s, EXT_EXPN, arg);
}
