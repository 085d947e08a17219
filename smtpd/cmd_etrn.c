/* smtpd/cmd_etrn.c -- ETRN: a host that was away asks for the mail that waits for it (RFC 1985). */
#include "common/wire/domain.h"
#include "smtpd/command.h"
#include "smtpd/offer.h"
#include "smtpd/submit.h"

/* RFC 1985 5: a fully qualified name. */
static bool
is_qualified(struct slice name)
{
	return domain_check(name) == RC_OK && slice_find(name, '.') < name.n;
}

/* RFC 1985 5.2: 459, and the client knows that another may ask. */
static void
refuse(struct session *s)
{
	struct refusal r;

	refusal_set(&r, 459, "4.7.1", "Not from your address");
	session_refuse(s, &r, S(""), S(""));
}

/* The queue knows its destinations in small letters (RFC 5321 2.4). */
static bool
flush(struct session *s, struct slice domain)
{
	struct buf small = BUF_INIT(DOMAIN_MAX);
	bool ok = domain_lower_put(&small, domain) && submit_flush(s, buf_slice(&small));

	buf_free(&small);
	return ok;
}

void
cmd_etrn(struct session *s, struct slice arg)
{
	if (!offer_has_etrn(s))
		command_not_implemented(s);
	else if (!offers(s, EXT_ETRN))
		refuse(s);
	else if (s->phase != PH_READY)
		session_fault(s, 503, "5.5.1", s->phase == PH_HELLO ? "Say EHLO or HELO first" : "A transaction is under way");
	else if (arg.n > 0 && (arg.p[0] == '@' || arg.p[0] == '#'))
		session_reply(s, 458, "4.5.4", "Only whole domains can be asked for");	/* RFC 1985 5.3: a local matter */
	else if (!is_qualified(arg))
		session_fault(s, 501, "5.5.4", "Syntax: ETRN domain");
	else if (!flush(s, arg))
		session_reply(s, 458, "4.3.0", "The queue cannot be asked now");
}
