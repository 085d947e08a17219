/* smtpd/verify.c -- see verify.h. */
#include "smtpd/verify.h"

#include "common/envelope.h"
#include "common/idn.h"
#include "common/policy/networks.h"
#include "common/wire/address.h"
#include "common/wire/smtp_command.h"
#include "common/wire/utf8.h"
#include "smtpd/command.h"
#include "smtpd/lookups.h"
#include "smtpd/offer.h"

#include <stdlib.h>

/* The router's line carries handles of recipients too: those never have it (handles.h). */
static const uint32_t verify_bit = UINT32_C(1) << 31;

struct verification {
	uint32_t handle;
	bool utf8;		/* the reply may be in UTF-8 */
	bool expn;		/* RFC 5321 4.3.2: VRFY may be told 551 and 553 too, EXPN only 550 */
	size_t n;
	uint8_t address[];	/* canonical */
};

void
verify_adopt(struct smtpd *smtpd, const struct conf *conf)
{
	networks_renew(conf, &conf->smtpd.vrfy, &smtpd->verifiers);
}

bool
verify_offered(const struct session *s)
{
	struct table_hit hit;

	return s->smtpd->verifiers != NULL && table_has_ip(s->smtpd->verifiers, s->ip, &hit);
}

/* RFC 5321 7.3: neither yes nor no. */
static void
reply_nothing(struct session *s)
{
	session_reply(s, 252, "2.0.0", "Cannot verify; send mail and see");
}

/* A user name alone is one of the first local domain: RFC 5321 3.5.1. */
static struct slice
own_domain(const struct session *s)
{
	const struct conf_list *domains = &s->conf->router.local_domains;
	struct slice first = domains->n == 0 ? S("") : slice_str(domains->v[0]);

	return domain_check(first) == RC_OK ? first : smtpd_name(s->smtpd, s->conf);
}

/* local@domain, <local@domain>, <local> or local: the canonical address. */
static bool
read_name(const struct session *s, struct slice name, struct buf *ret_address)
{
	struct buf whole = BUF_INIT(ADDRESS_TEXT_MAX + DOMAIN_MAX), domain = BUF_INIT(DOMAIN_MAX);
	struct address a;
	bool ok;

	if (name.n > 1 && name.p[0] == '<' && name.p[name.n - 1] == '>')
		name = slice_of(name.p + 1, name.n - 2);
	ok = address_mailbox_parse(name, &a) == RC_OK && command_ascii_domain(&a, &domain) == RC_OK;
	if (!ok && buf_put_slice(&whole, name) && buf_put_byte(&whole, '@') && buf_put_slice(&whole, own_domain(s)))
		ok = address_parse(buf_slice(&whole), &a) == RC_OK;
	ok = ok && address_put(ret_address, &a);
	buf_free(&domain);
	buf_free(&whole);
	return ok;
}

static void
ask(struct session *s, enum extension which, struct slice address, bool utf8)
{
	struct smtpd *smtpd = s->smtpd;
	struct verification *v = calloc(1, sizeof *v + address.n);

	s->verification = v;
	if (v != NULL) {
		v->utf8 = utf8;
		v->expn = which == EXT_EXPN;
		v->n = address.n;
		memcpy(v->address, address.p, address.n);
		v->handle = smtpd->router == NULL ? 0 : handle_new(&smtpd->verifications, s);
	}
	if (v == NULL || v->handle == 0 || lookup_ask(s, v->handle | verify_bit, NULL, address) != RC_OK) {
		verify_forget(s);
		reply_nothing(s);
		return;
	}
	wait_begin(s, WAIT_VERIFY);
}

void
verify(struct session *s, enum extension which, struct slice arg)
{
	struct buf address = BUF_INIT(ADDRESS_TEXT_MAX);
	struct smtp_verify said = { arg, false };

	if (arg.n == 0)
		session_fault(s, 501, "5.5.4", which == EXT_EXPN ? "Syntax: EXPN name" : "Syntax: VRFY address");
	else if (offers(s, EXT_SMTPUTF8) && smtp_verify_parse(arg, &said) != RC_OK)
		session_fault(s, 501, "5.5.4", "SMTPUTF8 has no value");
	else if (!offers(s, which))
		reply_nothing(s);
	else if (!read_name(s, said.name, &address))
		session_fault(s, which == EXT_EXPN ? 550 : 553, "5.1.3", "That is no address and no user's name");
	else
		ask(s, which, buf_slice(&address), said.utf8);
	buf_free(&address);
}

/* Was it found in a table of ours, or will somebody else be asked? */
static bool
is_local(const struct session *s, struct slice transport)
{
	for (size_t i = 0; i < s->conf->n_transports; i++)
		if (slice_eq(slice_str(s->conf->transports[i].title), transport))
			return strcmp(s->conf->transports[i].kind, "local") == 0;
	return slice_eq(transport, S("local"));
}

/* RFC 5321 4.3.2: of all refusals these are for VRFY and EXPN. */
static void
reply_refusal(struct session *s, const struct r_verdict *m)
{
	struct refusal r;

	refusal_from_room(&r, m->code, m->enhanced, m->text);
	if (r.code < 500) {
		reply_nothing(s);
		return;
	}
	if (s->verification->expn || (r.code != 551 && r.code != 553))
		r.code = 550;
	session_refuse(s, &r, slice_of(s->verification->address, s->verification->n), S(""));
}

/* RFC 6531 3.7.4.2: in UTF-8 as a whole, or not at all. */
static void
reply_address(struct session *s)
{
	struct slice address = slice_of(s->verification->address, s->verification->n), domain = address_domain_of(address);
	struct buf shown = BUF_INIT(REPLY_TEXT_MAX);
	size_t before = buf_len(&s->out);

	if (!s->verification->utf8 && !slice_is_ascii(address)) {
		session_reply(s, 252, "2.6.8", "The address is not ASCII; say SMTPUTF8 behind it");
		return;
	}
	(void)buf_put_slice(&shown, slice_first(address, address.n - domain.n));
	if (s->verification->utf8)
		(void)idn_unicode_put(&shown, domain);
	else
		(void)buf_put_slice(&shown, domain);
	if (!reply_mailbox(&s->out, shown.failed ? address : buf_slice(&shown)))
		session_speechless(s, before);
	buf_free(&shown);
}

static void
reply(struct session *s, const struct r_verdict *m)
{
	if (m->action == VERDICT_REJECT)
		reply_refusal(s, m);
	else if (m->action == VERDICT_ACCEPT && is_local(s, m->transport))
		reply_address(s);
	else
		reply_nothing(s);
}

bool
verify_verdict(struct smtpd *smtpd, uint32_t handle, const struct r_verdict *m)
{
	struct session *s;

	if ((handle & verify_bit) == 0)
		return false;
	s = handle_find(&smtpd->verifications, handle & ~verify_bit);
	if (s == NULL)
		return true;
	reply(s, m);
	s->urgent = true;
	verify_forget(s);
	wait_over(s, WAIT_VERIFY);
	return true;
}

void
verify_unanswered(struct session *s)
{
	verify_forget(s);
	reply_nothing(s);
	wait_over(s, WAIT_VERIFY);
}

void
verify_forget(struct session *s)
{
	if (s->verification != NULL)
		handle_release(&s->smtpd->verifications, s->verification->handle);
	free(s->verification);
	s->verification = NULL;
}
