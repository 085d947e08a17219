/* tests/resolver/test_ptr.c -- names of addresses over a made-up DNS: only those that lead back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/ptr.h"
#include "tests/resolver/fake_dns.h"

#include <stdio.h>

struct got {
	struct ptr_ask ask;
	unsigned told;
	enum dns_status status;
	bool secure;
	char name[DNS_NAME_TEXT_MAX + 1];
};

struct world {
	struct loop *loop;
	struct fake_dns dns;
	struct ptrs ptrs;
};

static const struct fake_row zone[] = {
	{ "1.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "mx.test", 60, false },
	{ "mx.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.7 192.0.2.1", 60, false },
	{ "2.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "mx.test", 60, false },
	{ "3.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "no.test mx_3.test second.test third.test", 60, false },
	{ "second.test", DNS_TYPE_A, DNS_OK, false, "192.0.2.3", 60, false },
	{ "third.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.3", 60, false },
	{ "mx_3.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.3", 60, false },
	{ "4.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "a_b.test 192.0.2.4", 60, false },
	{ "5.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_TEMPORARY, false, "SERVFAIL", 0, false },
	{ "6.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "slow.test", 60, false },
	{ "slow.test", DNS_TYPE_A, DNS_TEMPORARY, false, "SERVFAIL", 0, false },
	{ "8.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "n1.test n2.test n3.test n4.test n5.test n6.test", 60, false },
	{ "n6.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.8", 60, false },
	{ "9.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "mute.test now.test", 60, false },
	{ "mute.test", DNS_TYPE_A, DNS_OK, true, "", 60, true },
	{ "now.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.9", 60, false },
	{ "10.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "", 60, true },
	{ "11.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_BOGUS, false, "forged", 0, false },
	{ "12.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, false, "twelve.test", 0, false },
	{ "twelve.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.12", 60, false },
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.4.0.0.7.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_TYPE_PTR, DNS_OK, true, "six.test",
	    60, false },
	{ "six.test", DNS_TYPE_AAAA, DNS_OK, true, "2001:db8:7:42::1", 60, false },
};

static void
begin(struct world *w, uint64_t timeout_ms)
{
	memset(w, 0, sizeof *w);
	w->loop = loop_new();
	assert_non_null(w->loop);
	w->dns.rows = zone;
	w->dns.n_rows = sizeof zone / sizeof zone[0];
	ptrs_init(&w->ptrs, w->loop, &fake_ops, (struct lookup_source *)(void *)&w->dns, timeout_ms);
}

static void
end(struct world *w)
{
	ptrs_end(&w->ptrs, "over");
	assert_int_equal(w->ptrs.n, 0);
	assert_int_equal(w->dns.n_pending, 0);
	loop_free(w->loop);
}

static void
on_name(struct ptr_ask *ask, enum dns_status status, bool secure, struct slice name, const char *why)
{
	struct got *g = ask->ctx;

	assert_null(ask->ptr);
	assert_int_equal(status == DNS_OK, name.n > 0);
	assert_int_equal(status == DNS_OK, why[0] == '\0');
	g->told++;
	g->status = status;
	g->secure = secure;
	(void)snprintf(g->name, sizeof g->name, "%.*s", (int)name.n, (const char *)name.p);
}

static void
ask(struct world *w, struct got *g, const char *address)
{
	struct ip ip = { 0 };

	memset(g, 0, sizeof *g);
	g->ask.fn = on_name;
	g->ask.ctx = g;
	assert_int_equal(ip_parse(slice_str(address), &ip), RC_OK);
	assert_int_equal(ptrs_ask(&w->ptrs, &g->ask, ip), RC_OK);
	assert_int_equal(g->told, 0);
}

static void
only_confirmed_names_count(void **state)
{
	static const struct {
		const char *address;
		enum dns_status status;
		bool secure;
		const char *name;
	} cases[] = {
		{ "192.0.2.1", DNS_OK, true, "mx.test" },
		{ "192.0.2.2", DNS_NODATA, true, "" },		/* mx.test does not know it */
		{ "192.0.2.3", DNS_OK, false, "second.test" },	/* mx_3 is no domain; the first that leads back */
		{ "192.0.2.4", DNS_NODATA, true, "" },		/* no domain at all */
		{ "192.0.2.5", DNS_TEMPORARY, false, "" },
		{ "192.0.2.6", DNS_TEMPORARY, false, "" },
		{ "192.0.2.7", DNS_NXDOMAIN, false, "" },
		{ "192.0.2.8", DNS_NODATA, true, "" },		/* the sixth name is not looked at */
		{ "192.0.2.11", DNS_BOGUS, false, "" },
		{ "192.0.2.12", DNS_OK, false, "twelve.test" },
		{ "2001:db8:7:42::1", DNS_OK, true, "six.test" },
	};
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask(&w, &g, cases[i].address);
		fake_answer_all(&w.dns);
		assert_int_equal(g.told, 1);
		assert_int_equal(g.status, cases[i].status);
		assert_int_equal(g.secure, cases[i].secure);
		assert_string_equal(g.name, cases[i].name);
	}
	end(&w);
}

/* All that is asked for a client is its network's, of IPv6 its site's. */
static void
look_ups_are_the_network_s(void **state)
{
	static const struct { const char *address; struct ip net; } cases[] = {
		{ "192.0.2.1", { 4, { 192, 0, 2, 1 } } },
		{ "2001:db8:7:42::1", { 6, { 0x20, 0x01, 0x0d, 0xb8, 0, 7 } } },
	};
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 10000);
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		struct ip net = cases[i / 2].net;

		if (i % 2 == 1) {
			w.ptrs.ipv4_prefix = 24;
			w.ptrs.ipv6_prefix = 32;
			net.b[net.family == 4 ? 3 : 5] = 0;
		}
		ask(&w, &g, cases[i / 2].address);
		assert_true(ip_eq(w.dns.pending[0]->whose, net));
		assert_true(fake_answer(&w.dns, 0));
		assert_true(ip_eq(w.dns.pending[0]->whose, net));
		ptr_ask_cancel(&g.ask);
		w.ptrs.ipv4_prefix = 32;
		w.ptrs.ipv6_prefix = 64;
	}
	end(&w);
}

static void
the_deadline_gives_what_is_known(void **state)
{
	struct world w;
	struct got g;

	(void)state;
	begin(&w, 30);
	ask(&w, &g, "192.0.2.9");
	fake_answer_all(&w.dns);
	assert_int_equal(g.told, 0);
	while (g.told == 0)
		loop_turn(w.loop, true);
	assert_int_equal(g.status, DNS_OK);
	assert_string_equal(g.name, "now.test");
	ask(&w, &g, "192.0.2.10");
	fake_answer_all(&w.dns);
	while (g.told == 0)
		loop_turn(w.loop, true);
	assert_int_equal(g.status, DNS_TEMPORARY);
	end(&w);
}

static void
questions_can_be_taken_back(void **state)
{
	struct world w;
	struct got g, h;

	(void)state;
	begin(&w, 10000);
	ask(&w, &g, "192.0.2.1");
	ask(&w, &h, "192.0.2.1");
	ptr_ask_cancel(&g.ask);
	ptr_ask_cancel(&g.ask);
	fake_answer_all(&w.dns);
	assert_int_equal(g.told, 0);
	assert_int_equal(h.told, 1);
	ask(&w, &g, "192.0.2.9");
	fake_answer_all(&w.dns);	/* the names are being looked at */
	ptr_ask_cancel(&g.ask);
	assert_int_equal(w.dns.n_pending, 0);
	w.dns.refuse = true;
	memset(&g, 0, sizeof g);
	assert_int_equal(ptrs_ask(&w.ptrs, &g.ask, (struct ip){ 4, { 192, 0, 2, 1 } }), RC_AGAIN);
	w.dns.refuse = false;
	ask(&w, &g, "192.0.2.1");
	end(&w);
	assert_int_equal(g.told, 1);
	assert_int_equal(g.status, DNS_TEMPORARY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_confirmed_names_count),
		cmocka_unit_test(look_ups_are_the_network_s),
		cmocka_unit_test(the_deadline_gives_what_is_known),
		cmocka_unit_test(questions_can_be_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
