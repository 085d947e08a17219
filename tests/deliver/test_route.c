/* tests/deliver/test_route.c -- what is tried, in which order, and what must never be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/route.h"

struct answer {
	struct buf run;
	struct conf *conf;
	struct route_rules rules;
	struct route route;
	struct verdict why;
};

static int
setup(void **state)
{
	static struct answer a;

	a = (struct answer){ .run = BUF_INIT(65536), .conf = conf_new() };
	assert_non_null(a.conf);
	a.rules = (struct route_rules){ a.conf, S("us.test"), 25, true, false };
	*state = &a;
	return 0;
}

static int
teardown(void **state)
{
	struct answer *a = *state;

	buf_free(&a->run);
	conf_unref(a->conf);
	return 0;
}

/* addresses: texts, NULL at the end. */
static void
host(struct answer *a, uint16_t preference, const char *name, uint8_t status, const char *const *addresses)
{
	struct route_host h = { .preference = preference, .status = status, .name = slice_str(name) };

	for (; addresses != NULL && *addresses != NULL; addresses++)
		assert_int_equal(ip_parse(slice_str(*addresses), &h.addresses[h.n_addresses++]), RC_OK);
	assert_true(route_host_put(&a->run, &h));
}
#define AT(...) ((const char *const[]){ __VA_ARGS__, NULL })

static enum rc
build(struct answer *a)
{
	struct v_hosts m = { DNS_OK, 0, 60, buf_slice(&a->run), S("") };

	return route_build(&a->rules, &m, &a->route, &a->why);
}

static void
check_try(const struct answer *a, size_t i, const char *name, const char *ip)
{
	char text[IP_TEXT_MAX];

	assert_true(i < a->route.n_tries);
	assert_true(slice_eq(route_host_name(&a->route, a->route.tries[i].host), slice_str(name)));
	(void)ip_format(a->route.tries[i].ip, text);
	assert_string_equal(text, ip);
}

static void
check_why(const struct answer *a, enum session_end end, struct enhanced enhanced)
{
	if (a->why.end != end || !enhanced_eq(a->why.enhanced, enhanced))
		fail_msg("end %d, %u.%u.%u %.*s", (int)a->why.end, a->why.enhanced.class, a->why.enhanced.subject,
		    a->why.enhanced.detail, (int)a->why.n, a->why.text);
}

static void
next_hops_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *name, *literal;
		uint16_t port;
		bool mx;
	} good[] = {
		{ "example.org", "example.org", NULL, 0, true },
		{ "[mail.example.org]", "mail.example.org", NULL, 0, false },
		{ "[mail.example.org]:587", "mail.example.org", NULL, 587, false },
		{ "[192.0.2.1]", NULL, "192.0.2.1", 0, false },
		{ "[192.0.2.1]:2525", NULL, "192.0.2.1", 2525, false },
		{ "[IPv6:2001:db8::1]", NULL, "2001:db8::1", 0, false },
		{ "[2001:db8::1]:26", NULL, "2001:db8::1", 26, false },
	};
	static const char *const bad[] = { "", "[]", "[a", "a]", "[a]:", "[a]:0", "[a]:65536", "[a]:25x", "[a]25", "a:25", "a b",
	    "a..b", "1.2.3.4", "[a\r\nb]", "-a.test", "[1.2.3]" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct nexthop hop;
		char text[IP_TEXT_MAX];

		assert_int_equal(nexthop_parse(slice_str(good[i].text), &hop), RC_OK);
		assert_int_equal(hop.port, good[i].port);
		assert_int_equal(hop.mx, good[i].mx);
		if (good[i].name != NULL)
			assert_true(slice_eq(hop.name, slice_str(good[i].name)));
		(void)ip_format(hop.literal, text);
		if (good[i].literal != NULL)
			assert_string_equal(text, good[i].literal);
		else
			assert_int_equal(hop.literal.family, 0);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct nexthop hop;

		if (nexthop_parse(slice_str(bad[i]), &hop) == RC_OK)
			fail_msg("\"%s\" passes", bad[i]);
	}
}

static void
hosts_and_addresses_keep_their_order(void **state)
{
	struct answer *a = *state;

	host(a, 10, "mx1.test", DNS_OK, AT("2600::1", "8.8.8.1"));
	host(a, 10, "mx2.test", DNS_NXDOMAIN, NULL);
	host(a, 20, "mx_3.test", DNS_OK, AT("8.8.8.2"));
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 3);
	check_try(a, 0, "mx1.test", "2600::1");
	check_try(a, 1, "mx1.test", "8.8.8.1");
	check_try(a, 2, "mx_3.test", "8.8.8.2");
	route_free(&a->route);
}

static void
limits_hold(void **state)
{
	struct answer *a = *state;

	a->conf->deliver.max_hosts = 2;
	a->conf->deliver.max_addresses = 3;
	host(a, 10, "mx1.test", DNS_OK, AT("8.8.8.1", "8.8.8.2"));
	host(a, 20, "mx2.test", DNS_OK, AT("8.8.8.3", "8.8.8.4"));
	host(a, 30, "mx3.test", DNS_OK, AT("8.8.8.5"));
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 3);
	check_try(a, 2, "mx2.test", "8.8.8.3");
	route_free(&a->route);
}

static void
switched_off_families_are_passed_over(void **state)
{
	struct answer *a = *state;

	a->conf->deliver.ipv6 = false;
	host(a, 10, "mx1.test", DNS_OK, AT("2600::1", "8.8.8.1"));
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 1);
	route_free(&a->route);
	a->conf->deliver.ipv4 = false;
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_TEMPORARY, ENHANCED(4, 4, 4));
}

/* RFC 5321 5.1: our preference and all higher numbers go, also an equal one that comes first. */
static void
we_and_the_less_preferred_are_dropped(void **state)
{
	struct answer *a = *state;

	host(a, 5, "mx1.test", DNS_OK, AT("8.8.8.1"));
	host(a, 10, "mx2.test", DNS_OK, AT("8.8.8.2"));
	host(a, 10, "US.test", DNS_OK, AT("8.8.8.3"));
	host(a, 20, "mx3.test", DNS_OK, AT("8.8.8.4"));
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 1);
	check_try(a, 0, "mx1.test", "8.8.8.1");
	route_free(&a->route);
}

static void
only_we_is_a_loop(void **state)
{
	struct answer *a = *state;

	host(a, 10, "us.test", DNS_OK, AT("8.8.8.3"));
	host(a, 20, "mx3.test", DNS_OK, AT("8.8.8.4"));
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_PERMANENT, ENHANCED(5, 4, 6));
}

/* A more preferred host that cannot be looked up now may be there later: no loop yet. */
static void
a_loop_behind_trouble_waits(void **state)
{
	struct answer *a = *state;

	host(a, 5, "mx1.test", DNS_TEMPORARY, NULL);
	host(a, 10, "us.test", DNS_OK, AT("8.8.8.3"));
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_TEMPORARY, ENHANCED(4, 4, 3));
}

static void
our_listeners_are_ourselves(void **state)
{
	struct answer *a = *state;
	void *at;

	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "listener") == 0)
			assert_int_equal(conf_add(a->conf, &conf_sections[i], "in", &at), RC_OK);
	conf_list_clear(&a->conf->listeners[0].address);
	assert_int_equal(conf_list_add(&a->conf->listeners[0].address, S("8.8.8.9")), RC_OK);
	host(a, 10, "mx1.test", DNS_OK, AT("8.8.8.9"));
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_PERMANENT, ENHANCED(5, 4, 6));
	/* Another port is another service, and what the administrator wrote is what he wants. */
	a->rules.port = 2525;
	assert_int_equal(build(a), RC_OK);
	route_free(&a->route);
	a->rules.port = 25;
	a->rules.trusted = true;
	assert_int_equal(build(a), RC_OK);
	route_free(&a->route);
	conf_list_clear(&a->conf->listeners[0].address);
	assert_int_equal(conf_list_add(&a->conf->listeners[0].address, S("*")), RC_OK);
	assert_true(route_listens_anywhere(a->conf, 25));
	assert_false(route_listens_anywhere(a->conf, 26));
	assert_false(route_listens_on(a->conf, (struct ip){ 4, { 8, 8, 8, 9 } }, 25));
}

static void
strangers_do_not_lead_us_inside(void **state)
{
	static const char *const inside[] = { "127.0.0.1", "0.0.0.0", "::1", "10.1.2.3", "192.168.0.1", "169.254.169.254",
	    "fe80::1", "fd00::1", "224.0.0.1", "100.64.0.1" };
	struct answer *a = *state;

	for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
		struct ip ip;

		buf_clear(&a->run);
		host(a, 10, "mx1.test", DNS_OK, AT(inside[i]));
		assert_int_equal(build(a), RC_NOTFOUND);
		check_why(a, SESSION_PERMANENT, ENHANCED(5, 4, 6));
		/* A literal of a recipient is no better. */
		assert_int_equal(ip_parse(slice_str(inside[i]), &ip), RC_OK);
		a->rules.mx = false;
		assert_int_equal(route_of_literal(&a->rules, ip, &a->route, &a->why), RC_NOTFOUND);
		a->rules.trusted = true;
		assert_int_equal(route_of_literal(&a->rules, ip, &a->route, &a->why), RC_OK);
		route_free(&a->route);
		a->rules.trusted = false;
		a->rules.mx = true;
	}
	/* The public one beside it is tried. */
	buf_clear(&a->run);
	host(a, 10, "mx1.test", DNS_OK, AT("10.0.0.1", "8.8.8.1"));
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 1);
	check_try(a, 0, "mx1.test", "8.8.8.1");
	route_free(&a->route);
	a->conf->deliver.allow_private_hosts = true;
	assert_int_equal(build(a), RC_OK);
	assert_int_equal(a->route.n_tries, 2);
	route_free(&a->route);
}

/* shows: RFC3461 9.3/1 */
static void
a_literal_is_called_by_its_address(void **state)
{
	struct answer *a = *state;

	a->rules.mx = false;
	assert_int_equal(route_of_literal(&a->rules, (struct ip){ 4, { 8, 8, 8, 1 } }, &a->route, &a->why), RC_OK);
	check_try(a, 0, "[8.8.8.1]", "8.8.8.1");
	route_free(&a->route);
	assert_int_equal(route_of_literal(&a->rules, (struct ip){ 6, { 0x20, 0x01, 0x48, 0x60, [15] = 9 } }, &a->route, &a->why),
	    RC_OK);
	check_try(a, 0, "[IPv6:2001:4860::9]", "2001:4860::9");
	route_free(&a->route);
}

static void
configured_hops_are_known(void **state)
{
	struct answer *a = *state;
	void *at;

	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "route") == 0) {
			assert_int_equal(conf_add(a->conf, &conf_sections[i], "out", &at), RC_OK);
			for (size_t j = 0; j < conf_sections[i].n_options; j++)
				if (strcmp(conf_sections[i].options[j].name, "relay-host") == 0)
					assert_int_equal(conf_set(at, &conf_sections[i].options[j], "[10.0.0.1]:25"), RC_OK);
		}
	assert_true(nexthop_is_configured(a->conf, S("[10.0.0.1]:25")));
	assert_false(nexthop_is_configured(a->conf, S("[10.0.0.1]")));
}

static void
what_no_host_means(void **state)
{
	struct answer *a = *state;

	host(a, 10, "mx1.test", DNS_NXDOMAIN, NULL);
	host(a, 20, "mx2.test", DNS_NODATA, NULL);
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_PERMANENT, ENHANCED(5, 4, 4));
	host(a, 30, "mx3.test", DNS_BOGUS, NULL);
	assert_int_equal(build(a), RC_NOTFOUND);
	check_why(a, SESSION_TEMPORARY, ENHANCED(4, 7, 0));
}

static void
malformed_hosts_are_noticed(void **state)
{
	struct answer *a = *state;
	struct v_hosts m = { DNS_OK, 0, 60, S("xxxx"), S("") };

	assert_int_equal(route_build(&a->rules, &m, &a->route, &a->why), RC_SYNTAX);
	for (unsigned i = 0; i <= ROUTE_HOSTS_MAX; i++)
		host(a, 10, "mx1.test", DNS_OK, AT("8.8.8.1"));
	assert_int_equal(build(a), RC_SYNTAX);
}

static void
the_rest_behind_a_loop_is_dropped(void **state)
{
	struct answer *a = *state;

	host(a, 5, "mx0.test", DNS_OK, AT("8.8.8.1"));
	host(a, 10, "mx1.test", DNS_OK, AT("8.8.8.2"));
	host(a, 10, "mx2.test", DNS_OK, AT("8.8.8.3"));
	host(a, 20, "mx3.test", DNS_OK, AT("8.8.8.4"));
	assert_int_equal(build(a), RC_OK);
	route_drop_from(&a->route, 1);
	assert_int_equal(a->route.n_tries, 2);
	route_free(&a->route);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(next_hops_are_taken_apart),
		TEST(hosts_and_addresses_keep_their_order),
		TEST(limits_hold),
		TEST(switched_off_families_are_passed_over),
		TEST(we_and_the_less_preferred_are_dropped),
		TEST(only_we_is_a_loop),
		TEST(a_loop_behind_trouble_waits),
		TEST(our_listeners_are_ourselves),
		TEST(strangers_do_not_lead_us_inside),
		TEST(a_literal_is_called_by_its_address),
		TEST(configured_hops_are_known),
		TEST(what_no_host_means),
		TEST(malformed_hosts_are_noticed),
		TEST(the_rest_behind_a_loop_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
