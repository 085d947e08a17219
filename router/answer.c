/* router/answer.c -- questions of smtpd and queue, and the verdict on each. */
#include "router/router.h"

#include "common/policy/senders.h"

static bool
fits(struct slice s)
{
	return s.n <= ROUTER_FIELD_MAX;
}

static const char *
send_verdict(const struct router *router, struct peer *p, uint32_t handle, const struct policy_verdict *v)
{
	const struct r_verdict m = {
		.action = (uint8_t)v->action,
		.code = v->code,
		.enhanced = slice_str(v->enhanced),
		.text = slice_str(v->text),
		.rule = slice_str(v->rule),
		.rcpt = slice_str(v->rcpt),
		.transport = slice_str(v->transport),
		.nexthop = slice_str(v->nexthop),
		.generation = router->room->conf->generation,
	};
	enum rc rc = r_verdict_send(p, handle, &m);

	/* A line that is full is asked on and on and never read: the sessions behind it could only hang. */
	return rc == RC_OK || rc == RC_CLOSED ? NULL : "does not read its verdicts";
}

const char *
router_on_check(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct router *router = ctx;
	struct policy_verdict v;
	struct r_check m;

	(void)fd;
	if (!r_check_get(body, &m) || !fits(m.listener) || !fits(m.client_name) || !fits(m.helo) || !fits(m.from) ||
	    !fits(m.to) || !fits(m.fingerprint) || !fits(m.key_fingerprint) || !fits(m.user))
		return "malformed R_CHECK";
	policy_check(router->policy, &(struct policy_query){ .listener = m.listener, .client = m.client,
	    .client_name = m.client_name, .helo = m.helo, .from = m.from, .to = m.to, .tls = m.tls != 0,
	    .fingerprint = m.fingerprint, .key_fingerprint = m.key_fingerprint, .user = m.user,
	    .name_failed = m.name_failed != 0, .no_sender = m.no_sender != 0 }, NULL, NULL, &v);
	return send_verdict(router, p, handle, &v);
}

const char *
router_on_route(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct router *router = ctx;
	struct policy_verdict v;
	struct r_route m;

	(void)fd;
	if (!r_route_get(body, &m) || !fits(m.from) || !fits(m.to))
		return "malformed R_ROUTE";
	policy_route(router->policy, m.from, m.to, &v);
	return send_verdict(router, p, handle, &v);
}

const char *
router_on_authors(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct router *router = ctx;
	struct r_authored answer;
	struct r_authors m;
	enum rc rc;

	(void)fd;
	if (!r_authors_get(body, &m) || !fits(m.user) || m.from.n > ROUTER_AUTHORS_MAX || !fits(m.sender))
		return "malformed R_AUTHORS";
	answer.from_ok = senders_allow_all(router->policy, m.user, m.from);
	answer.sender_ok = senders_allow_all(router->policy, m.user, m.sender);
	rc = r_authored_send(p, handle, &answer);
	return rc == RC_OK || rc == RC_CLOSED ? NULL : "does not read its answers";
}
