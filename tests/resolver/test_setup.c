/* tests/resolver/test_setup.c -- from resolver { } and its files to servers and trust anchors. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/setup.h"

#include <stdlib.h>

static struct setup s;
static struct setup_files files;

static void
set(struct conf *c, const char *option, const char *value)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t j = 0; strcmp(conf_sections[i].name, "resolver") == 0 && j < conf_sections[i].n_options; j++)
			if (strcmp(conf_sections[i].options[j].name, option) == 0) {
				assert_int_equal(conf_set(&c->resolver, &conf_sections[i].options[j], value), RC_OK);
				return;
			}
	fail_msg("no option %s", option);
}

/* The setup of these options, in s; released by the next call. */
static enum rc
make(const char *mode, const char *hints, const char *anchor, const char *const *forwarders)
{
	struct buf why = BUF_INIT(512);
	struct conf *c = conf_new();
	enum rc rc;

	assert_non_null(c);
	setup_free(&s);
	set(c, "mode", mode);
	set(c, "root-hints", hints);
	set(c, "trust-anchor", anchor);
	for (; forwarders != NULL && *forwarders != NULL; forwarders++)
		assert_int_equal(conf_list_add(&c->resolver.forwarders, slice_str(*forwarders)), RC_OK);
	rc = setup_make(&c->resolver, &files, &s, &why);
	assert_int_equal(rc == RC_OK, buf_len(&why) == 0);
	buf_free(&why);
	conf_unref(c);
	return rc;
}

static void
expect_server(size_t i, const char *address, uint16_t port)
{
	struct ip ip = { 0 };

	assert_int_equal(ip_parse(slice_str(address), &ip), RC_OK);
	assert_true(i < s.n_servers);
	assert_true(ip_eq(s.servers[i].ip, ip));
	assert_int_equal(s.servers[i].port, port);
}

static void
auto_reads_resolv_conf(void **state)
{
	(void)state;
	files.resolv_conf = S("# nameserver 192.0.2.9\nsearch example.org\n\tnameserver\t192.0.2.1\n"
	    "nameserver 2001:db8::53 ; x\r\n"
	    "nameserver fe80::1%eth0\nnameserver bad\nnameservers 192.0.2.7\nnameserver 192.0.2.2");
	assert_int_equal(make("auto", "", "", NULL), RC_OK);
	assert_int_equal(s.n_servers, 3);
	expect_server(0, "192.0.2.1", 53);
	expect_server(1, "2001:db8::53", 53);
	expect_server(2, "192.0.2.2", 53);
	assert_false(s.recursive);
	assert_false(s.strict);
	assert_int_equal(s.n_anchors, 2);
	/* None: the one on this host (resolv.conf(5)). */
	files.resolv_conf = S("options rotate\n");
	assert_int_equal(make("auto", "", "", NULL), RC_OK);
	assert_int_equal(s.n_servers, 1);
	expect_server(0, "127.0.0.1", 53);
	files.resolv_conf = S("");
	assert_int_equal(make("auto", "", "none", NULL), RC_OK);
	assert_int_equal(s.n_anchors, 0);
}

static void
forwarders_are_addresses(void **state)
{
	static const char *const bad[] = { "dns.example.org", "192.0.2.1@", "192.0.2.1@0", "192.0.2.1@65536", "192.0.2.1@5x",
	    "192.0.2.1:53", "", "@53", "192.0.2.1@53@53" };

	(void)state;
	assert_int_equal(make("forward", "", "none", (const char *const[]){ "192.0.2.1", "2001:db8::1@5353", NULL }), RC_OK);
	assert_true(s.strict);
	assert_int_equal(s.n_servers, 2);
	expect_server(0, "192.0.2.1", 53);
	expect_server(1, "2001:db8::1", 5353);
	assert_int_equal(make("forward", "", "none", NULL), RC_SYNTAX);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(make("forward", "", "none", (const char *const[]){ bad[i], NULL }), RC_SYNTAX);
	assert_int_equal(make("sideways", "", "none", NULL), RC_SYNTAX);
}

static void
hints_are_a_zone(void **state)
{
	(void)state;
	assert_int_equal(make("recursive", "", "", NULL), RC_OK);
	assert_true(s.recursive && s.strict);
	assert_int_equal(s.n_servers, 0);	/* the library's own */
	files.root_hints = S("; comment 192.0.2.9\n.\t3600000 IN NS A.ROOT-SERVERS.NET.\n"
	    "A.ROOT-SERVERS.NET. 3600000 IN A 192.0.2.1\na.root-servers.net. 3600000 aaaa 2001:db8::1 ; here\n");
	assert_int_equal(make("recursive", "/file", "", NULL), RC_OK);
	assert_int_equal(s.n_servers, 2);
	expect_server(0, "192.0.2.1", 53);
	expect_server(1, "2001:db8::1", 53);
	files.root_hints = S("");
	assert_int_equal(make("recursive", "/file", "", NULL), RC_SYNTAX);
	files.root_hints = S("a. A 300.0.0.1\n");
	assert_int_equal(make("recursive", "/file", "", NULL), RC_SYNTAX);
	files.root_hints = S("");
}

static void
anchors_are_records(void **state)
{
	(void)state;
	files.trust_anchor = S("; the root\n. 172800 IN DNSKEY 257 3 8 (\n\tAwEAAa ; key\n\tBBBB )\n\n. IN DS 1 8 2 AABB\n"
	    "example. A 192.0.2.1\n");
	assert_int_equal(make("auto", "", "/file", NULL), RC_OK);
	assert_int_equal(s.n_anchors, 2);
	assert_non_null(strstr(s.anchors[0], "DNSKEY 257 3 8"));
	assert_non_null(strstr(s.anchors[0], "BBBB"));
	assert_null(strchr(s.anchors[0], '('));
	assert_null(strchr(s.anchors[0], '\n'));
	assert_non_null(strstr(s.anchors[1], "DS 1 8 2 AABB"));
	files.trust_anchor = S("nothing here\n");
	assert_int_equal(make("auto", "", "/file", NULL), RC_SYNTAX);
	files.trust_anchor = S("");
	assert_int_equal(make("auto", "", "/file", NULL), RC_SYNTAX);
}

static void
setups_are_compared(void **state)
{
	struct setup first;

	(void)state;
	files.resolv_conf = S("nameserver 192.0.2.1\n");
	assert_int_equal(make("auto", "", "", NULL), RC_OK);
	first = s;
	s = (struct setup){ 0 };
	assert_int_equal(make("auto", "", "", NULL), RC_OK);
	assert_true(setup_equal(&first, &s));
	files.resolv_conf = S("nameserver 192.0.2.2\n");
	assert_int_equal(make("auto", "", "", NULL), RC_OK);
	assert_false(setup_equal(&first, &s));
	files.resolv_conf = S("nameserver 192.0.2.1\n");
	assert_int_equal(make("auto", "", "none", NULL), RC_OK);
	assert_false(setup_equal(&first, &s));
	assert_int_equal(make("recursive", "", "", NULL), RC_OK);
	assert_false(setup_equal(&first, &s));
	setup_free(&first);
	setup_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_reads_resolv_conf),
		cmocka_unit_test(forwarders_are_addresses),
		cmocka_unit_test(hints_are_a_zone),
		cmocka_unit_test(anchors_are_records),
		cmocka_unit_test(setups_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
