/* smtpd/cmd_rset.c -- RSET: the transaction is forgotten, the session goes on (RFC 5321 4.1.1.5). */
#include "smtpd/command.h"

void
cmd_rset(struct session *s, struct slice arg)
{
	if (command_has_argument(s, arg))
		return;
	transaction_free(&s->tx, "RSET");
	if (s->phase == PH_MAIL || s->phase == PH_CHUNKS)
		session_transaction_over(s);
	if (s->phase < PH_LAST)
		session_reply(s, 250, "2.0.0", "Ok");
}
