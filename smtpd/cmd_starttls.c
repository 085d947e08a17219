/* smtpd/cmd_starttls.c -- STARTTLS: what follows is encrypted (RFC 3207). */
#include "smtpd/command.h"

bool
starttls_exists(const struct session *s)
{
	return stream_is_tls(&s->stream) ||
	    ((s->extensions_off & (UINT32_C(1) << EXT_STARTTLS)) == 0 && s->conf->n_certificates > 0 &&
	    s->listener_conf != NULL && strcmp(s->listener_conf->tls, "starttls") == 0);
}

void
cmd_starttls(struct session *s, struct slice arg)
{
	if (stream_is_tls(&s->stream))
		session_fault(s, 503, "5.5.1", "TLS is on already");
	else if (arg.n > 0)
		session_fault(s, 501, "5.5.4", "STARTTLS takes no argument");	/* RFC 3207 4 */
	else if (!session_prepare_tls(s))
		session_reply(s, 454, "4.7.0", "TLS is not available now, try again later");
	else {
		session_reply(s, 220, "2.0.0", "Ready to start TLS");
		if (s->phase != PH_DEAD)	/* there was no memory for the reply */
			session_shake(s);
	}
}
