/* tests/sim/others.c -- see others.h. */
#include "tests/sim/others.h"

#include "common/mail_route.h"
#include "tests/sim/internet.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { DELAY_MAX = 60 * SECOND };

static unsigned trouble;

void
others_trouble(unsigned in)
{
	trouble = in;
}

/* --- an answer that may come late: the peer may be gone by then --- */

struct answer {
	struct timer timer;
	struct answer *next;
	struct peer *peer;
	uint32_t handle;
	bool is_route;
	uint8_t kind;
	char text[320];
};

static void
lose_answers(struct peer *p)
{
	for (struct answer *a = peer_data(p); a != NULL; a = a->next)
		a->peer = NULL;
}

static void
closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx;
	if (why != NULL)
		world_fail("%s broke a rule on its line: %s", role_name(peer_role(p)), why);
	lose_answers(p);
	peer_free(p);
}

static void
forget(struct answer *a)
{
	struct answer *at, *before = NULL;

	if (a->peer == NULL)
		return;
	for (at = peer_data(a->peer); at != a; at = at->next)
		before = at;
	if (before == NULL)
		peer_set_data(a->peer, a->next);
	else
		before->next = a->next;
}

static void
later(struct room *room, struct peer *p, const struct answer *what, timer_fn *fn)
{
	struct answer *a = malloc(sizeof *a);
	uint64_t ms = world_chance(trouble) ? world_spread(1, DELAY_MAX / MS) : world_below(3);

	BUG_ON(a == NULL);
	*a = *what;
	a->peer = p;
	a->next = peer_data(p);
	peer_set_data(p, a);
	timer_setup(&a->timer, room->loop, fn, a);
	timer_start(&a->timer, ms);
}

static void
copy_text(char to[320], struct slice s)
{
	BUG_ON(s.n >= 320);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

/* --- router --- */

static void
say_verdict(struct timer *t, void *ctx)
{
	struct answer *a = ctx;
	struct slice domain = internet_domain_of(slice_str(a->text));
	struct r_verdict m = { .action = VERDICT_ACCEPT, .transport = S("smtp"), .nexthop = domain, .generation = 1 };

	(void)t;
	forget(a);
	if (slice_caseeq(slice_first(slice_str(a->text), slice_find(slice_str(a->text), '@')), S("postmaster"))) {
		m.rcpt = internet_postmaster();
		m.nexthop = internet_domain_of(m.rcpt);
	}
	if (world_chance(trouble))
		m = (struct r_verdict){ .action = VERDICT_DEFER, .code = 451, .enhanced = S("4.3.0"), .text = S("Try later"),
		    .generation = 1 };
	else if (!a->is_route && internet_refuses(slice_str(a->text)))
		m = (struct r_verdict){ .action = VERDICT_REJECT, .code = 550, .enhanced = S("5.1.1"), .text = S("No such user"),
		    .generation = 1 };
	if (a->peer != NULL)
		(void)r_verdict_send(a->peer, a->handle, &m);
	free(a);
}

static const char *
on_check(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct answer a = { .handle = handle };
	struct r_check m;

	(void)fd;
	if (!r_check_get(body, &m))
		return "malformed R_CHECK";
	copy_text(a.text, m.to);
	later(ctx, p, &a, say_verdict);
	return NULL;
}

static const char *
on_route_question(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct answer a = { .handle = handle, .is_route = true };
	struct r_route m;

	(void)fd;
	if (!r_route_get(body, &m))
		return "malformed R_ROUTE";
	copy_text(a.text, m.to);
	later(ctx, p, &a, say_verdict);
	return NULL;
}

static const struct peer_ops router_peer = { .on = { [R_CHECK] = on_check, [R_ROUTE] = on_route_question },
	.closed = closed };

static void
router_line(struct room *room, enum role them, unsigned index, int fd)
{
	BUG_ON(peer_new(room->loop, fd, ROLE_ROUTER, them, index, &router_peer, room) == NULL);
}

const struct room_ops other_router_ops = { .role = ROLE_ROUTER, .line = router_line };

/* --- resolver --- */

static void
say_hosts(struct timer *t, void *ctx)
{
	struct answer *a = ctx;
	struct buf hosts = BUF_INIT(65536);
	struct v_hosts m = { .status = DNS_OK, .ttl = 60 };

	(void)t;
	forget(a);
	if (world_chance(trouble))
		m.status = world_chance(2) ? DNS_TEMPORARY : DNS_BOGUS;
	else if (internet_is_gone(slice_str(a->text)))
		m.status = world_chance(2) ? DNS_NXDOMAIN : DNS_NULL_MX;
	else
		internet_hosts(slice_str(a->text), &hosts);
	m.hosts = buf_slice(&hosts);
	m.why = m.status == DNS_OK ? S("") : S("so it is");
	if (a->peer != NULL)
		(void)v_hosts_send(a->peer, a->handle, &m);
	buf_free(&hosts);
	free(a);
}

static const char *
on_route(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct answer a = { .handle = handle };
	struct v_route m;

	(void)fd;
	if (!v_route_get(body, &m))
		return "malformed V_ROUTE";
	copy_text(a.text, m.name);
	a.kind = m.kind;
	later(ctx, p, &a, say_hosts);
	return NULL;
}

static void
say_name(struct timer *t, void *ctx)
{
	struct answer *a = ctx;
	struct v_name m = { DNS_OK, 0, S("client.sim.test") };

	(void)t;
	forget(a);
	if (world_chance(3))
		m = (struct v_name){ DNS_NXDOMAIN, 0, S("") };
	if (a->peer != NULL)
		(void)v_name_send(a->peer, a->handle, &m);
	free(a);
}

static const char *
on_ptr(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct answer a = { .handle = handle };
	struct v_ptr m;

	(void)fd;
	if (!v_ptr_get(body, &m))
		return "malformed V_PTR";
	later(ctx, p, &a, say_name);
	return NULL;
}

/* The answer comes all the same, as one that has crossed it. */
static const char *
on_forget(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct v_forget m;

	(void)ctx, (void)p, (void)handle, (void)fd;
	return v_forget_get(body, &m) ? NULL : "malformed V_FORGET";
}

static const struct peer_ops resolver_peer = { .on = { [V_ROUTE] = on_route, [V_PTR] = on_ptr, [V_FORGET] = on_forget },
	.closed = closed };

static void
resolver_line(struct room *room, enum role them, unsigned index, int fd)
{
	BUG_ON(peer_new(room->loop, fd, ROLE_RESOLVER, them, index, &resolver_peer, room) == NULL);
}

const struct room_ops other_resolver_ops = { .role = ROLE_RESOLVER, .line = resolver_line };
