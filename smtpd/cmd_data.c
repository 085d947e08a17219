/* smtpd/cmd_data.c -- DATA: the content follows (RFC 5321 4.1.1.4). */
#include "smtpd/command.h"
#include "smtpd/receive.h"
#include "smtpd/submit.h"

void
cmd_data(struct session *s, struct slice arg)
{
	struct transaction *tx = s->tx;
	struct refusal r;

	if (command_has_argument(s, arg))
		return;
	if (tx->binary || tx->receive != NULL) {	/* RFC 3030 3 and 2 */
		session_fault(s, 503, "5.5.1", tx->binary ? "BINARYMIME is sent by BDAT" : "The message has begun with BDAT");
		return;
	}
	if (tx->n_rcpts == 0) {
		if (tx->rcpt_seen)
			session_fault(s, 554, "5.5.1", "No valid recipients");
		else
			session_fault(s, 503, "5.5.1", "Say RCPT first");
		return;
	}
	if (!submit_alive(tx) || receive_begin(tx, false) != RC_OK) {
		refusal_set(&r, 451, "4.3.0", "The message cannot be taken now, try again later");
		session_refuse(s, &r, S(""), S(""));
		return;
	}
	session_enter(s, PH_DATA);
	session_reply(s, 354, "", "End data with <CR><LF>.<CR><LF>");
}
