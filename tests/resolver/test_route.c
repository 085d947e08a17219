/* tests/resolver/test_route.c -- mail routes over a made-up DNS: every branch of RFC 5321 5.1 and RFC 7505. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/route.h"
#include "tests/resolver/fake_dns.h"

#include <sodium.h>
#include <stdio.h>

/* One question and what came of it. */
struct got {
	struct route_ask ask;
	unsigned told;
	enum dns_status status;
	bool secure;
	uint32_t ttl;
	char why[512];
	size_t n;
	struct route_host hosts[ROUTE_HOSTS_MAX];
	char names[ROUTE_HOSTS_MAX][ROUTE_NAME_MAX + 1];
};

struct world {
	struct loop *loop;
	struct fake_dns dns;
	struct routes routes;
};

static const struct fake_row zone[] = {
	{ "two.test", DNS_TYPE_MX, DNS_OK, true, "20:b.two.test 10:a.two.test", 300, false },
	{ "a.two.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.1 192.0.2.2 192.0.2.3", 100, false },
	{ "a.two.test", DNS_TYPE_AAAA, DNS_OK, true, "2001:db8::1", 200, false },
	{ "b.two.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.9", 400, false },
	{ "implicit.test", DNS_TYPE_A, DNS_OK, false, "192.0.2.4", 60, false },
	{ "implicit.test", DNS_TYPE_MX, DNS_NODATA, true, "", 50, false },
	{ "null.test", DNS_TYPE_MX, DNS_OK, true, "0:", 60, false },
	{ "rootish.test", DNS_TYPE_MX, DNS_OK, true, "0: 10:b.two.test", 60, false },
	{ "ip.test", DNS_TYPE_MX, DNS_OK, true, "10:192.0.2.1", 60, false },
	{ "empty.test", DNS_TYPE_CNAME, DNS_OK, true, "x", 60, false },
	{ "fail.test", DNS_TYPE_MX, DNS_TEMPORARY, false, "SERVFAIL", 0, false },
	{ "bogus.test", DNS_TYPE_MX, DNS_BOGUS, false, "no signature", 0, false },
	{ "bogushost.test", DNS_TYPE_MX, DNS_OK, true, "10:h.bogushost.test", 60, false },
	{ "h.bogushost.test", DNS_TYPE_A, DNS_BOGUS, false, "forged", 0, false },
	{ "h.bogushost.test", DNS_TYPE_AAAA, DNS_TEMPORARY, false, "slow", 0, false },
	{ "half.test", DNS_TYPE_MX, DNS_OK, true, "10:gone.half.test 20:down.half.test 30:b.two.test", 60, false },
	{ "down.half.test", DNS_TYPE_A, DNS_TEMPORARY, false, "timeout", 0, false },
	{ "down.half.test", DNS_TYPE_AAAA, DNS_NODATA, true, "", 60, false },
	{ "none.test", DNS_TYPE_MX, DNS_OK, true, "10:gone1.test 20:gone2.test", 60, false },
	{ "insecurehost.test", DNS_TYPE_MX, DNS_OK, true, "10:b.two.test 20:implicit.test", 60, false },
	{ "insecuremx.test", DNS_TYPE_MX, DNS_OK, false, "10:b.two.test", 60, false },
	{ "twice.test", DNS_TYPE_MX, DNS_OK, true, "20:b.two.test 10:b.two.test", 60, false },
	{ "equal.test", DNS_TYPE_MX, DNS_OK, true, "10:a.equal.test 10:b.equal.test 10:c.equal.test 5:d.equal.test", 60, false },
	{ "a.equal.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.1", 60, false },
	{ "b.equal.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.2", 60, false },
	{ "c.equal.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.3", 60, false },
	{ "d.equal.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.4", 60, false },
	{ "mute.test", DNS_TYPE_MX, DNS_OK, true, "", 60, true },
	{ "mutehost.test", DNS_TYPE_MX, DNS_OK, true, "10:mute1.test 20:b.two.test", 60, false },
	{ "mute1.test", DNS_TYPE_A, DNS_OK, true, "", 60, true },
	{ "mute1.test", DNS_TYPE_AAAA, DNS_OK, true, "", 60, true },
	{ "mutehosts.test", DNS_TYPE_MX, DNS_OK, true, "10:mute1.test", 60, false },
	{ "six.test", DNS_TYPE_MX, DNS_OK, true, "10:six.test", 60, false },
	{ "six.test", DNS_TYPE_AAAA, DNS_OK, true, "2001:db8::6", 60, false },
	{ "six.test", DNS_TYPE_A, DNS_TEMPORARY, false, "slow", 0, false },
	{ "under.test", DNS_TYPE_MX, DNS_OK, true, "10:mx_1.under.test", 60, false },
	{ "mx_1.under.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.5", 60, false },
};

static void
begin(struct world *w, uint64_t timeout_ms)
{
	assert_true(sodium_init() >= 0);
	memset(w, 0, sizeof *w);
	w->loop = loop_new();
	assert_non_null(w->loop);
	w->dns.rows = zone;
	w->dns.n_rows = sizeof zone / sizeof zone[0];
	routes_init(&w->routes, w->loop, &fake_ops, (struct lookup_source *)(void *)&w->dns, timeout_ms);
}

static void
end(struct world *w)
{
	routes_end(&w->routes, "over");
	assert_int_equal(w->routes.n, 0);
	assert_int_equal(w->dns.n_pending, 0);
	loop_free(w->loop);
}

static void
on_route(struct route_ask *ask, const struct route_answer *a)
{
	struct got *g = ask->ctx;
	struct rd r = { a->hosts, false };
	struct route_host h;

	assert_null(ask->route);
	g->told++;
	g->status = a->status;
	g->secure = a->secure;
	g->ttl = a->ttl;
	(void)snprintf(g->why, sizeof g->why, "%s", a->why);
	assert_int_equal(a->status == DNS_OK, a->hosts.n > 0);
	assert_int_equal(a->status == DNS_OK, a->why[0] == '\0');
	g->n = 0;
	while (route_host_next(&r, &h)) {
		assert_true(g->n < ROUTE_HOSTS_MAX);
		memcpy(g->names[g->n], h.name.p, h.name.n);
		g->names[g->n][h.name.n] = '\0';
		g->hosts[g->n++] = h;
	}
	assert_true(rd_end(&r));
}

static void
ask(struct world *w, struct got *g, enum route_kind kind, const char *name)
{
	memset(g, 0, sizeof *g);
	g->ask.fn = on_route;
	g->ask.ctx = g;
	assert_int_equal(routes_ask(&w->routes, &g->ask, kind, slice_str(name)), RC_OK);
	assert_int_equal(g->told, 0);
}

static void
resolve(struct world *w, struct got *g, enum route_kind kind, const char *name)
{
	ask(w, g, kind, name);
	fake_answer_all(&w->dns);
	assert_int_equal(g->told, 1);
	assert_int_equal(w->routes.n, 0);
}

static void
wait_told(struct world *w, const struct got *g)
{
	while (g->told == 0)
		loop_turn(w->loop, true);
}

static void
mx_hosts_come_sorted_with_all_addresses(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "Two.TEST");
	assert_int_equal(g.status, DNS_OK);
	assert_true(g.secure);
	assert_int_equal(g.ttl, 100);
	assert_int_equal(g.n, 2);
	assert_string_equal(g.names[0], "a.two.test");
	assert_int_equal(g.hosts[0].preference, 10);
	assert_int_equal(g.hosts[0].n_addresses, 4);
	assert_int_equal(g.hosts[0].addresses[0].family, 6);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(g.hosts[0].addresses[i].family, 4);
	assert_string_equal(g.names[1], "b.two.test");
	assert_int_equal(g.hosts[1].n_addresses, 1);
	assert_int_equal(g.hosts[1].status, DNS_OK);
	assert_true(g.hosts[0].secure && g.hosts[1].secure);
	end(&w);
}

static void
without_mx_the_domain_is_its_own_host(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "implicit.test");
	assert_int_equal(g.status, DNS_OK);
	assert_false(g.secure);		/* that there is no MX is proven; the address is not */
	assert_int_equal(g.n, 1);
	assert_string_equal(g.names[0], "implicit.test");
	assert_int_equal(g.hosts[0].preference, 0);
	assert_int_equal(g.ttl, 50);
	end(&w);
}

/* shows: RFC7505 3/1 */
static void
what_takes_no_mail_says_so(void **state)
{
	static const struct {
		const char *name;
		enum dns_status status;
	} cases[] = {
		{ "null.test", DNS_NULL_MX },
		{ "nowhere.test", DNS_NXDOMAIN },
		{ "empty.test", DNS_NODATA },
		{ "none.test", DNS_NODATA },
		{ "ip.test", DNS_NODATA },
		{ "fail.test", DNS_TEMPORARY },
		{ "bogus.test", DNS_BOGUS },
		{ "bogushost.test", DNS_BOGUS },
	};
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		resolve(&w, &g, ROUTE_MX, cases[i].name);
		assert_int_equal(g.status, cases[i].status);
		assert_int_equal(g.n, 0);
		if (g.status == DNS_BOGUS || g.status == DNS_TEMPORARY)
			assert_false(g.secure);
	}
	resolve(&w, &g, ROUTE_MX, "fail.test");
	assert_string_equal(g.why, "fail.test MX: SERVFAIL");
	end(&w);
}

/* shows: RFC7505 3/2 */
static void
a_root_among_others_is_passed_over(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "rootish.test");
	assert_int_equal(g.status, DNS_OK);
	assert_int_equal(g.n, 1);
	assert_string_equal(g.names[0], "b.two.test");
	end(&w);
}

static void
hosts_that_fail_do_not_hide_the_others(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "half.test");
	assert_int_equal(g.status, DNS_OK);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.hosts[0].status, DNS_NXDOMAIN);
	assert_int_equal(g.hosts[1].status, DNS_TEMPORARY);
	assert_int_equal(g.hosts[2].status, DNS_OK);
	assert_int_equal(g.hosts[2].n_addresses, 1);
	assert_false(g.hosts[0].secure);
	resolve(&w, &g, ROUTE_MX, "six.test");
	assert_int_equal(g.status, DNS_OK);
	assert_true(g.secure);		/* what is given was validated */
	assert_int_equal(g.hosts[0].n_addresses, 1);
	end(&w);
}

static void
the_whole_chain_must_be_secure(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "insecurehost.test");
	assert_int_equal(g.status, DNS_OK);
	assert_false(g.secure);
	assert_true(g.hosts[0].secure);
	assert_false(g.hosts[1].secure);
	resolve(&w, &g, ROUTE_MX, "insecuremx.test");
	assert_false(g.secure);
	assert_true(g.hosts[0].secure);
	end(&w);
}

static void
one_host_stands_once_with_its_best_preference(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_MX, "twice.test");
	assert_int_equal(g.n, 1);
	assert_int_equal(g.hosts[0].preference, 10);
	resolve(&w, &g, ROUTE_MX, "under.test");
	assert_int_equal(g.status, DNS_OK);
	end(&w);
}

static void
host_routes_are_addresses_only(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	resolve(&w, &g, ROUTE_HOST, "two.test");
	assert_int_equal(g.status, DNS_NODATA);
	resolve(&w, &g, ROUTE_HOST, "a.two.test");
	assert_int_equal(g.status, DNS_OK);
	assert_true(g.secure);
	assert_int_equal(g.n, 1);
	resolve(&w, &g, ROUTE_HOST, "nowhere.test");
	assert_int_equal(g.status, DNS_NXDOMAIN);
	assert_false(g.secure);
	end(&w);
}

/* RFC 5321 5.1: equal preferences MUST be spread. 600 draws of three: 200 each, 60 off is more than five deviations. */
static void
equals_are_shuffled(void **state)
{
	enum { DRAWS = 600 };
	unsigned second[3] = { 0 };
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	for (int i = 0; i < DRAWS; i++) {
		resolve(&w, &g, ROUTE_MX, "equal.test");
		assert_int_equal(g.n, 4);
		assert_string_equal(g.names[0], "d.equal.test");
		second[g.names[1][0] - 'a']++;
	}
	for (size_t i = 0; i < 3; i++)
		assert_in_range(second[i], 140, 260);
	end(&w);
}

static void
equal_questions_are_one(void **state)
{
	struct world w;
	struct got a, b, c;

	(void)state;
	begin(&w, 10000);
	ask(&w, &a, ROUTE_MX, "two.test");
	ask(&w, &b, ROUTE_MX, "TWO.test");
	ask(&w, &c, ROUTE_MX, "two.test");
	assert_int_equal(w.dns.started, 1);
	assert_int_equal(w.routes.n, 1);
	route_ask_cancel(&b.ask);
	route_ask_cancel(&b.ask);	/* idle: harmless */
	fake_answer_all(&w.dns);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 0);
	assert_int_equal(c.told, 1);
	assert_int_equal(w.dns.started, 1 + 4);
	/* When all have gone the question goes on, and ends by itself. */
	ask(&w, &a, ROUTE_MX, "two.test");
	route_ask_cancel(&a.ask);
	fake_answer_all(&w.dns);
	assert_int_equal(a.told, 0);
	assert_int_equal(w.routes.n, 0);
	end(&w);
}

static void
the_deadline_gives_what_is_known(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 30);
	ask(&w, &g, ROUTE_MX, "mute.test");
	fake_answer_all(&w.dns);
	wait_told(&w, &g);
	assert_int_equal(g.status, DNS_TEMPORARY);
	assert_int_equal(w.dns.cancelled, 1);

	ask(&w, &g, ROUTE_MX, "mutehost.test");
	fake_answer_all(&w.dns);
	assert_int_equal(g.told, 0);
	wait_told(&w, &g);
	assert_int_equal(g.status, DNS_OK);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.hosts[0].status, DNS_TEMPORARY);
	assert_int_equal(g.hosts[1].status, DNS_OK);
	assert_int_equal(w.dns.cancelled, 3);

	ask(&w, &g, ROUTE_MX, "mutehosts.test");
	fake_answer_all(&w.dns);
	wait_told(&w, &g);
	assert_int_equal(g.status, DNS_TEMPORARY);
	assert_int_equal(g.n, 0);
	end(&w);
}

static void
no_room_is_temporary(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	w.dns.refuse = true;
	memset(&g, 0, sizeof g);
	g.ask.fn = on_route;
	g.ask.ctx = &g;
	assert_int_equal(routes_ask(&w.routes, &g.ask, ROUTE_MX, S("two.test")), RC_AGAIN);
	assert_int_equal(w.routes.n, 0);
	ask(&w, &g, ROUTE_HOST, "two.test");
	wait_told(&w, &g);
	assert_int_equal(g.status, DNS_TEMPORARY);
	/* It runs out between the steps. */
	w.dns.refuse = false;
	ask(&w, &g, ROUTE_MX, "two.test");
	w.dns.refuse = true;
	fake_answer_all(&w.dns);
	wait_told(&w, &g);
	assert_int_equal(g.status, DNS_TEMPORARY);
	end(&w);
}

static void
more_hosts_than_fit_lose_the_least_preferred(void **state)
{
	static struct fake_row rows[1 + DNS_RECORDS_MAX];
	static char names[DNS_RECORDS_MAX][16], data[DNS_RECORDS_MAX * 16];
	struct buf text = BUF_INIT(sizeof data - 1);
	struct world w;
	struct got g;

	(void)state;
	for (size_t i = 0; i < DNS_RECORDS_MAX; i++) {
		(void)snprintf(names[i], sizeof names[i], "h%zu.test", i);
		rows[1 + i] = (struct fake_row){ names[i], DNS_TYPE_A, DNS_OK, true, "192.0.2.1", 60, false };
		assert_true(buf_printf(&text, "%s%zu:%s", i == 0 ? "" : " ", 64 - i, names[i]));
	}
	(void)snprintf(data, sizeof data, "%s", buf_cstr(&text));
	buf_free(&text);
	rows[0] = (struct fake_row){ "many.test", DNS_TYPE_MX, DNS_OK, true, data, 60, false };
	begin(&w, 10000);
	w.dns.rows = rows;
	w.dns.n_rows = sizeof rows / sizeof rows[0];
	resolve(&w, &g, ROUTE_MX, "many.test");
	assert_int_equal(g.status, DNS_OK);
	assert_int_equal(g.n, ROUTE_HOSTS_MAX);
	for (uint16_t i = 0; i < ROUTE_HOSTS_MAX; i++)
		assert_int_equal(g.hosts[i].preference, i + 1);
	end(&w);
}

static struct world *again_world;
static struct got again;

static void
ask_again(struct route_ask *a, const struct route_answer *answer)
{
	struct got *g = a->ctx;

	(void)answer;
	g->told++;
	ask(again_world, &again, ROUTE_MX, "null.test");
}

/* Who asks from the answer is not told by the question that is ending. */
static void
asking_from_an_answer_is_a_new_question(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	again_world = &w;
	ask(&w, &g, ROUTE_MX, "null.test");
	g.ask.fn = ask_again;
	assert_true(fake_answer(&w.dns, 0));
	assert_int_equal(g.told, 1);
	assert_int_equal(again.told, 0);
	fake_answer_all(&w.dns);
	assert_int_equal(again.told, 1);
	assert_int_equal(again.status, DNS_NULL_MX);
	end(&w);
}

static void
the_end_tells_everybody(void **state)
{
	struct world w;
	struct got a, b;

	(void)state;
	begin(&w, 10000);
	ask(&w, &a, ROUTE_MX, "two.test");
	ask(&w, &b, ROUTE_HOST, "b.two.test");
	end(&w);
	assert_int_equal(a.told + b.told, 2);
	assert_int_equal(a.status, DNS_TEMPORARY);
	assert_string_equal(a.why, "over");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mx_hosts_come_sorted_with_all_addresses),
		cmocka_unit_test(without_mx_the_domain_is_its_own_host),
		cmocka_unit_test(what_takes_no_mail_says_so),
		cmocka_unit_test(a_root_among_others_is_passed_over),
		cmocka_unit_test(hosts_that_fail_do_not_hide_the_others),
		cmocka_unit_test(the_whole_chain_must_be_secure),
		cmocka_unit_test(one_host_stands_once_with_its_best_preference),
		cmocka_unit_test(host_routes_are_addresses_only),
		cmocka_unit_test(equals_are_shuffled),
		cmocka_unit_test(equal_questions_are_one),
		cmocka_unit_test(the_deadline_gives_what_is_known),
		cmocka_unit_test(no_room_is_temporary),
		cmocka_unit_test(more_hosts_than_fit_lose_the_least_preferred),
		cmocka_unit_test(asking_from_an_answer_is_a_new_question),
		cmocka_unit_test(the_end_tells_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
