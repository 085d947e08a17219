/* smtpd/cmd_help.c -- HELP: the verbs we know (RFC 5321 4.1.1.8). */
#include "smtpd/command.h"
#include "smtpd/offer.h"

void
cmd_help(struct session *s, struct slice arg)
{
	struct buf verbs = BUF_INIT(REPLY_TEXT_MAX);

	(void)arg;
	if (!offers(s, EXT_HELP)) {
		command_not_implemented(s);
		return;
	}
	command_verbs_put(&verbs);
	(void)reply_line(&s->out, 214, S("2.0.0"), S("Postern takes these commands:"), true);
	(void)reply_line(&s->out, 214, S("2.0.0"), buf_slice(&verbs), true);
	session_reply(s, 214, "2.0.0", "See RFC 5321");
	buf_free(&verbs);
}
