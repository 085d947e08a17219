/* smtpd/lookups.c -- see lookups.h. */
#include "smtpd/lookups.h"

#include "common/envelope.h"
#include "common/text.h"
#include "common/wire/address.h"
#include "common/wire/chars.h"
#include "smtpd/allowance.h"
#include "smtpd/complete.h"
#include "smtpd/deadline.h"
#include "smtpd/session.h"
#include "smtpd/verify.h"

#include <stdlib.h>

/* --- names --- */

static void
name_is_over(struct session *s)
{
	handle_release(&s->smtpd->names, s->name_handle);
	s->name_handle = 0;
}

void
lookup_name(struct session *s)
{
	struct smtpd *smtpd = s->smtpd;
	struct v_ptr m = { s->ip };

	/* A session may be long, and the trouble short. */
	if (s->name_failed && s->name_handle == 0 && loop_now(smtpd->loop) - s->name_since >= NAME_AGAIN_MS)
		s->name_asked = false;
	if (s->name_asked || !s->conf->smtpd.client_names || s->ip.family == 0)
		return;
	s->name_failed = true;		/* until we hear better */
	s->name_handle = smtpd->resolver == NULL ? 0 : handle_new(&smtpd->names, s);
	if (s->name_handle != 0 && v_ptr_send(smtpd->resolver, s->name_handle, &m) != RC_OK)
		name_is_over(s);
	s->name_asked = s->name_handle != 0;
	s->name_since = loop_now(smtpd->loop);
}

/* name: empty when there is none. */
static void
name_is_known(struct session *s, struct slice name)
{
	name_is_over(s);
	if (name.n > 0)
		s->name = text_copy(name);
	s->name_failed = name.n > 0 && s->name == NULL;
	session_wake(s);
}

/* Nothing could be found out. */
static void
name_is_unknown(struct session *s)
{
	name_is_over(s);
	session_wake(s);
}

void
lookup_name_unanswered(struct session *s)
{
	lookup_name_forget(s);
	session_wake(s);
}

/* A question that stayed would take a place from others for as long as a name server of the client's choice is silent. Where the
 * line takes nothing more, the question ends with its time. */
void
lookup_name_forget(struct session *s)
{
	const struct v_forget m = { 0 };

	if (s->name_handle != 0 && s->smtpd->resolver != NULL)
		(void)v_forget_send(s->smtpd->resolver, s->name_handle, &m);
	name_is_over(s);
}

static const char *
on_name(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct session *s = handle_find(&smtpd->names, handle);
	struct v_name m;

	(void)p, (void)fd;
	if (!v_name_get(body, &m))
		return "malformed V_NAME";
	if (s == NULL)
		return NULL;
	if (m.status == DNS_OK && domain_check(m.name) == RC_OK)
		/* It goes into a header field and the log: a name of letters, digits, hyphens and dots. */
		name_is_known(s, m.name);
	else if (m.status == DNS_OK || m.status == DNS_NXDOMAIN || m.status == DNS_NODATA)
		name_is_known(s, S(""));
	else
		name_is_unknown(s);
	return NULL;
}

static void
resolver_closed(void *ctx, struct peer *p, const char *why)
{
	struct smtpd *smtpd = ctx;

	room_log_drop(p, why);
	if (smtpd->resolver == p) {
		smtpd->resolver = NULL;
		for (size_t i = 0; i < smtpd->names.n; i++)
			if (handle_at(&smtpd->names, i) != NULL)
				wait_unanswered(handle_at(&smtpd->names, i), WAIT_NAME);
	}
	peer_free(p);
}

static const struct peer_ops resolver_ops = {
	.on = { [V_NAME] = on_name },
	.closed = resolver_closed,
};

void
lookup_resolver_line(struct smtpd *smtpd, unsigned index, int fd)
{
	if (smtpd->resolver != NULL)
		resolver_closed(smtpd, smtpd->resolver, NULL);
	smtpd->resolver = peer_new(smtpd->loop, fd, ROLE_SMTPD, ROLE_RESOLVER, index, &resolver_ops, smtpd);
}

/* --- recipients --- */

/* Its reply may be given, after which r is no more. */
static void
check_over(struct rcpt *r)
{
	handle_release(&r->tx->session->smtpd->checks, r->handle);
	r->handle = 0;
	session_wake(r->tx->session);
}

static void
no_answer(struct rcpt *r)
{
	handle_release(&r->tx->session->smtpd->checks, r->handle);
	r->handle = 0;
	refusal_set(&r->refusal, 451, "4.3.0", "Recipients cannot be checked now, try again later");
}

enum rc
lookup_ask(struct session *s, uint32_t handle, const char *sender, struct slice to)
{
	const struct tls_certificate *shown = stream_client_certificate(&s->stream);
	char fingerprint[TLS_FINGERPRINT_TEXT + 1] = "", key_fingerprint[TLS_FINGERPRINT_TEXT + 1] = "";
	struct r_check m = { .listener = s->listener, .client = s->ip, .client_name = session_client_name(s),
	    .helo = session_helo(s), .from = slice_str(sender == NULL ? "" : sender), .to = to, .no_sender = sender == NULL,
	    .tls = stream_is_tls(&s->stream) };

	if (shown != NULL) {
		tls_fingerprint_format(shown->fingerprint, fingerprint);
		tls_fingerprint_format(shown->key_fingerprint, key_fingerprint);
	}
	m.fingerprint = slice_str(fingerprint);
	m.key_fingerprint = slice_str(key_fingerprint);
	m.user = session_user(s);
	m.name_failed = s->name_failed;
	return r_check_send(s->smtpd->router, handle, &m);
}

void
lookup_check(struct rcpt *r)
{
	struct session *s = r->tx->session;
	struct smtpd *smtpd = s->smtpd;

	if (smtpd->router == NULL || (r->handle = handle_new(&smtpd->checks, r)) == 0) {
		no_answer(r);
		return;
	}
	if (lookup_ask(s, r->handle, r->tx->sender, slice_of(r->text, r->n)) != RC_OK)
		no_answer(r);
}

void
lookup_rcpts_unanswered(struct session *s)
{
	for (struct rcpt *r = s->tx->waiting; r != NULL; r = r->next)
		if (r->spending)
			allowance_unanswered(r);
		else if (r->handle != 0)
			no_answer(r);
	session_wake(s);
}

/* As the queue will want them. */
static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_graph(s.p[i]))
			return false;
	return s.n > 0 && s.n <= ENVELOPE_TEXT_MAX;
}

static bool
verdict_makes_sense(const struct r_verdict *m)
{
	struct address a;

	switch ((enum verdict_action)m->action) {
	case VERDICT_REJECT:
	case VERDICT_DEFER:
		return true;
	case VERDICT_ACCEPT:
		return is_name(m->transport) && is_name(m->nexthop) &&
		    (m->rcpt.n == 0 || slice_caseeq(m->rcpt, S("postmaster")) || address_parse(m->rcpt, &a) == RC_OK);
	}
	return false;
}

static const char *
on_verdict(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct rcpt *r = handle_find(&smtpd->checks, handle);
	struct r_verdict m;
	size_t n;

	(void)p, (void)fd;
	if (!r_verdict_get(body, &m) || !verdict_makes_sense(&m))
		return "malformed R_VERDICT";
	if (verify_verdict(smtpd, handle, &m) || r == NULL)
		return NULL;
	if (m.action == VERDICT_ACCEPT) {
		rcpt_accept(r, m.rcpt, m.transport, m.nexthop, m.generation);
	} else {
		refusal_from_room(&r->refusal, m.code, m.enhanced, m.text);
		n = m.rule.n < sizeof r->rule ? m.rule.n : sizeof r->rule - 1;
		if (n > 0)
			memcpy(r->rule, m.rule.p, n);
		r->rule[n] = '\0';
	}
	check_over(r);
	return NULL;
}

static const char *
on_authored(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct transaction *tx = handle_find(&smtpd->authors, handle);
	struct r_authored m;

	(void)p, (void)fd;
	if (!r_authored_get(body, &m))
		return "malformed R_AUTHORED";
	if (tx == NULL)
		return NULL;
	complete_answer(tx, &m);
	session_wake(tx->session);
	return NULL;
}

static void
router_closed(void *ctx, struct peer *p, const char *why)
{
	struct smtpd *smtpd = ctx;

	room_log_drop(p, why);
	if (smtpd->router == p) {
		smtpd->router = NULL;
		for (size_t i = 0; i < smtpd->checks.n; i++) {
			struct rcpt *r = handle_at(&smtpd->checks, i);

			/* Those whose question is at the auth room still are answered by it. */
			if (r != NULL) {
				no_answer(r);
				session_wake(r->tx->session);
			}
		}
		for (size_t i = 0; i < smtpd->authors.n; i++) {
			struct transaction *tx = handle_at(&smtpd->authors, i);

			if (tx != NULL) {
				complete_answer(tx, NULL);
				session_wake(tx->session);
			}
		}
		for (size_t i = 0; i < smtpd->verifications.n; i++)
			if (handle_at(&smtpd->verifications, i) != NULL)
				wait_unanswered(handle_at(&smtpd->verifications, i), WAIT_VERIFY);
	}
	peer_free(p);
}

static const struct peer_ops router_ops = {
	.on = { [R_VERDICT] = on_verdict, [R_AUTHORED] = on_authored },
	.closed = router_closed,
};

void
lookup_router_line(struct smtpd *smtpd, unsigned index, int fd)
{
	if (smtpd->router != NULL)
		router_closed(smtpd, smtpd->router, NULL);
	smtpd->router = peer_new(smtpd->loop, fd, ROLE_SMTPD, ROLE_ROUTER, index, &router_ops, smtpd);
}
