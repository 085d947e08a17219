/* smtpd/cmd_xclient.c -- XCLIENT: a listed proxy says whom it speaks for (Postfix, XCLIENT_README). Everything begins anew
 * with the greeting, and the client has the limits and the rights of its own address. */
#include "common/text.h"
#include "common/wire/xclient.h"
#include "smtpd/command.h"
#include "smtpd/listener.h"
#include "smtpd/lookups.h"
#include "smtpd/offer.h"

#include <stdlib.h>

/* A name that is said need not be asked for; that of another address must, when a command needs it. */
static void
take_name(struct session *s, const struct xclient *x)
{
	if (!x->name.given && !x->addr_given)
		return;
	lookup_name_forget(s);
	free(s->name);
	s->name = NULL;
	s->name_asked = x->name.given;
	s->name_since = loop_now(s->smtpd->loop);
	if (x->name.given && x->name.n > 0)
		s->name = text_copy(slice_of(x->name.text, x->name.n));
	s->name_failed = x->name_failed || (x->name.n > 0 && s->name == NULL);
}

/* False: the session ends. */
static bool
take_client(struct session *s, const struct xclient *x)
{
	const char *why;

	if (!session_become(s, x->addr)) {
		session_last(s, 421, "4.3.0", "Out of memory, try again later", "no memory");
		return false;
	}
	why = s->client == NULL ? NULL : listener_objection(s->smtpd, s->client);
	if (why != NULL)
		session_last(s, 421, "4.7.0", why, "limits of its network");
	return why == NULL;
}

/* What the client itself has said in EHLO; the proxy's own EHLO, which follows, tells nothing of it. */
static void
take_helo(struct session *s, const struct xclient *x)
{
	if (!x->helo.given)
		return;
	free(s->told_helo);
	s->told_helo = x->helo.n == 0 ? NULL : text_copy(slice_of(x->helo.text, x->helo.n));
}

/* Who has logged in at the proxy; nobody, where it does not say. */
static void
take_login(struct session *s, const struct xclient *x)
{
	free(s->user);
	s->user = x->login.n == 0 ? NULL : text_copy(slice_of(x->login.text, x->login.n));
}

bool
xclient_offered(const struct session *s)
{
	return s->may_xclient;
}

void
cmd_xclient(struct session *s, struct slice arg)
{
	struct ip proxy = s->ip;
	struct xclient x;
	enum rc rc;

	if (!offers(s, EXT_XCLIENT)) {
		session_fault(s, 550, "5.7.0", "You may not say who the client is");
		return;
	}
	rc = xclient_parse(arg, &x);
	if (rc != RC_OK) {
		session_fault(s, 501, "5.5.4", rc == RC_UNSUPPORTED ?
		    "Unknown attribute; XCLIENT has NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" :
		    "Syntax: XCLIENT attribute=value ...");
		return;
	}
	if (x.addr_given && !take_client(s, &x))
		return;
	take_name(s, &x);
	take_helo(s, &x);
	take_login(s, &x);
	log_say(LOG_INTRODUCED, NULL, F_IP("client", s->ip), F_IP("by", proxy), F_STR("name", session_client_name(s)));
	session_enter(s, PH_HELLO);
	session_greet(s);
}
