/* tests/wire/test_proxy_header.c -- the PROXY protocol, versions 1 and 2. */
#include "common/wire/proxy_header.h"
#include "tests/wire/check.h"

#define SIG	"\r\n\r\n\0\r\nQUIT\n"
#define TCP4	"\xc0\0\2\7\xc6\x33\x64\1\x9c\x40\0\x19"
#define LONG6	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void
good_headers_tell_who_it_is(void **state)
{
	static const struct {
		struct slice in;
		const char *from, *to;	/* "none" for local */
		unsigned from_port, to_port;
	} cases[] = {
		{ SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n"), "192.0.2.7", "198.51.100.1", 40000, 25 },
		{ SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n"), "192.0.2.7", "198.51.100.1", 0, 65535 },
		{ SLICE("PROXY TCP6 2001:db8::7 2001:DB8::1 40000 25\r\n"), "2001:db8::7", "2001:db8::1", 40000, 25 },
		{ SLICE("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7", "::1", 1, 2 },
		{ SLICE("PROXY UNKNOWN\r\n"), "none", "none", 0, 0 },
		{ SLICE("PROXY UNKNOWN " LONG6 " " LONG6 " 65535 65535\r\n"), "none", "none", 0, 0 },
		{ SLICE(SIG "\x21\x11\0\x0c" TCP4), "192.0.2.7", "198.51.100.1", 40000, 25 },
		{ SLICE(SIG "\x21\x11\0\x0f" TCP4 "\4\0\0"), "192.0.2.7", "198.51.100.1", 40000, 25 },
		{ SLICE(SIG "\x20\0\0\0"), "none", "none", 0, 0 },
		{ SLICE(SIG "\x20\x11\0\3abc"), "none", "none", 0, 0 },
		{ SLICE(SIG "\x21\0\0\3abc"), "none", "none", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char space[300], from[IP_TEXT_MAX], to[IP_TEXT_MAX];
		struct proxy_header h;
		size_t used = 0;

		/* Something behind it belongs to the client. */
		memcpy(space, cases[i].in.p, cases[i].in.n);
		memcpy(space + cases[i].in.n, "EHLO\r\n", 6);
		assert_int_equal(proxy_header_parse(slice_of(space, cases[i].in.n + 6), &h, &used), RC_OK);
		assert_int_equal(used, cases[i].in.n);
		(void)ip_format(h.from, from);
		(void)ip_format(h.to, to);
		assert_string_equal(from, cases[i].from);
		assert_string_equal(to, cases[i].to);
		assert_int_equal(h.from_port, cases[i].from_port);
		assert_int_equal(h.to_port, cases[i].to_port);
		for (size_t n = 0; n < cases[i].in.n; n++)
			assert_int_equal(proxy_header_parse(slice_of(space, n), &h, &used), RC_MORE);
	}
}

static void
bad_headers_are_refused(void **state)
{
	static const struct slice cases[] = {
		SLICE("EHLO x\r\n"), SLICE("\r\n\r\n\1"), SLICE("PROXY\tTCP4"), SLICE("proxy TCP4"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25 \r\n"),
		SLICE("PROXY  TCP4 192.0.2.7 198.51.100.1 40000 25\r\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 040000 25\r\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 01 25\r\n"),
		SLICE("PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n"),
		SLICE("PROXY TCP4 192.0.2.07 198.51.100.1 1 25\r\n"),
		SLICE("PROXY TCP4 2001:db8::7 2001:db8::1 1 25\r\n"),
		SLICE("PROXY TCP6 192.0.2.7 198.51.100.1 1 25\r\n"),
		SLICE("PROXY TCP5 192.0.2.7 198.51.100.1 1 25\r\n"),
		SLICE("PROXY \r\n"), SLICE("PROXY TCP4\r\n"), SLICE("PROXY UNKNOWNX\r\n"), SLICE("PROXY \n"),
		SLICE("PROXY UNKNOWN " LONG6 " " LONG6 " 65535 655350\r\n"),
		SLICE(SIG "\x11\x11\0\x0c" TCP4),		/* version */
		SLICE(SIG "\x22\x11\0\x0c" TCP4),		/* command */
		SLICE(SIG "\x21\x13\0\x0c" TCP4),		/* family */
		SLICE(SIG "\x21\x12\0\x0c" TCP4),		/* datagrams */
		SLICE(SIG "\x21\x11\0\x0b" TCP4),		/* addresses cut short */
		SLICE(SIG "\x21\x11\0\x0e" TCP4 "\4\0"),	/* half an addition */
		SLICE(SIG "\x21\x11\0\x0f" TCP4 "\4\0\1"),
		SLICE(SIG "\x21\x11\0\x13" TCP4 "\3\0\4abcd"),	/* checksum */
		SLICE(SIG "\x21\x11\0\x12" TCP4 "\3\0\3abc"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proxy_header h;
		size_t used;

		if (proxy_header_parse(cases[i], &h, &used) != RC_SYNTAX)
			fail_msg("case %zu: %.*s", i, (int)cases[i].n, (const char *)cases[i].p);
	}
}

static void
a_checksum_is_checked(void **state)
{
	/* Computed with another program. */
	uint8_t in[] = SIG "\x21\x11\0\x13" TCP4 "\3\0\4\0\0\0\0";
	struct proxy_header h;
	size_t used;
	unsigned good = 0;

	(void)state;
	memcpy(in + sizeof in - 5, "\x66\x05\xb4\x44", 4);
	assert_int_equal(proxy_header_parse(slice_of(in, sizeof in - 1), &h, &used), RC_OK);
	for (size_t bit = 0; bit < (sizeof in - 1) * 8; bit++) {
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
		good += proxy_header_parse(slice_of(in, sizeof in - 1), &h, &used) == RC_OK && !h.local;
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* What the checksum cannot see is that it is one: its type may change. */
	assert_int_equal(good, 8);
}

static void
a_header_has_a_limit(void **state)
{
	struct proxy_header h;
	uint8_t in[16] = SIG "\x21\x11";
	size_t used;

	(void)state;
	in[14] = (PROXY_HEADER_MAX - 16) >> 8;
	in[15] = (PROXY_HEADER_MAX - 16) & 0xff;
	assert_int_equal(proxy_header_parse(slice_of(in, sizeof in), &h, &used), RC_MORE);
	in[15]++;
	assert_int_equal(proxy_header_parse(slice_of(in, sizeof in), &h, &used), RC_RANGE);
	/* Version 1 has one of its own. */
	assert_int_equal(proxy_header_parse(repeat('x', 0, "PROXY UNKNOWN " LONG6 " " LONG6 " 65535 65535 "), &h, &used),
	    RC_MORE);
	assert_int_equal(proxy_header_parse(repeat('x', 0, "PROXY UNKNOWN " LONG6 " " LONG6 " 65535 65535 xx"), &h, &used),
	    RC_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_headers_tell_who_it_is),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(a_checksum_is_checked),
		cmocka_unit_test(a_header_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
