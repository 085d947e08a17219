/* tests/resolver/test_dns_message.c -- DNS answers from the wire: what is kept, what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/wire/dns_message.h"
#include "resolver/lookup.h"

#include <stdlib.h>

/* A message under construction. */
struct msg {
	uint8_t b[65536];
	size_t n;
};

static void
put16(struct msg *m, unsigned v)
{
	m->b[m->n++] = (uint8_t)(v >> 8);
	m->b[m->n++] = (uint8_t)v;
}

static void
put32(struct msg *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static void
put_name(struct msg *m, const char *text)
{
	struct dns_name name;

	assert_int_equal(dns_name_from_text(slice_str(text), &name), RC_OK);
	memcpy(m->b + m->n, name.wire, name.n);
	m->n += name.n;
}

static void
begin(struct msg *m, const char *name, unsigned type, unsigned rcode)
{
	m->n = 0;
	put16(m, 0x1234);
	put16(m, 0x8180 | rcode);
	put16(m, 1);
	put16(m, 0);
	put16(m, 0);
	put16(m, 0);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

/* The fields of a record before its data; counts it in the section whose count is at offset `count`. */
static void
rr(struct msg *m, size_t count, const char *owner, unsigned type, uint32_t ttl, unsigned n_data)
{
	unsigned n = (unsigned)(m->b[count] << 8 | m->b[count + 1]) + 1;

	m->b[count] = (uint8_t)(n >> 8);
	m->b[count + 1] = (uint8_t)n;
	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, n_data);
}

enum { ANSWER = 6, AUTHORITY = 8 };

static void
rr_a(struct msg *m, const char *owner, uint32_t ttl, uint32_t address)
{
	rr(m, ANSWER, owner, DNS_TYPE_A, ttl, 4);
	put32(m, address);
}

static void
rr_name(struct msg *m, const char *owner, unsigned type, uint32_t ttl, const char *target)
{
	struct dns_name name;

	assert_int_equal(dns_name_from_text(slice_str(target), &name), RC_OK);
	rr(m, ANSWER, owner, type, ttl, name.n);
	put_name(m, target);
}

static void
rr_mx(struct msg *m, const char *owner, uint32_t ttl, unsigned preference, const char *target)
{
	struct dns_name name;

	assert_int_equal(dns_name_from_text(slice_str(target), &name), RC_OK);
	rr(m, ANSWER, owner, DNS_TYPE_MX, ttl, 2U + name.n);
	put16(m, preference);
	put_name(m, target);
}

static void
rr_soa(struct msg *m, const char *owner, uint32_t ttl, uint32_t minimum)
{
	rr(m, AUTHORITY, owner, DNS_TYPE_SOA, ttl, 22);
	put16(m, 0);	/* two roots */
	put32(m, 1);
	put32(m, 2);
	put32(m, 3);
	put32(m, 4);
	put32(m, minimum);
}

static enum rc
parse(const struct msg *m, struct dns_answer *a)
{
	/* Exactly this size, so that a read past the end is seen by the sanitizers. */
	uint8_t *exact = malloc(m->n);
	enum rc rc;

	assert_non_null(exact);
	memcpy(exact, m->b, m->n);
	rc = dns_answer_parse(slice_of(exact, m->n), a);
	free(exact);
	return rc;
}

static const char *
text_of(const struct dns_name *name)
{
	static char text[DNS_NAME_TEXT_MAX + 1];
	size_t n;

	assert_int_equal(dns_name_text(name, text, &n), RC_OK);
	return text;
}

static struct msg m;
static struct dns_answer a;

static void
records_of_the_name_are_kept(void **state)
{
	(void)state;
	begin(&m, "example.org", DNS_TYPE_MX, 0);
	rr_mx(&m, "Example.ORG", 300, 20, "mx2.example.org");
	rr_mx(&m, "example.org", 200, 10, "MX1.example.org");
	rr_mx(&m, "other.org", 100, 5, "evil.example");
	rr_a(&m, "mx1.example.org", 50, 0xc0000201);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_records, 2);
	assert_int_equal(a.ttl, 200);
	assert_int_equal(a.records[0].preference, 20);
	assert_string_equal(text_of(&a.records[1].name), "mx1.example.org");
	assert_int_equal(a.rcode, 0);
	assert_string_equal(text_of(&a.question), "example.org");
}

static void
addresses_have_their_lengths(void **state)
{
	static const unsigned lengths[] = { 0, 3, 5, 16 };

	(void)state;
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_a(&m, "a.test", 0xffffffff, 0xc0000201);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.records[0].ip.family, 4);
	assert_int_equal(a.ttl, 0);	/* RFC 2181 8 */
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_a(&m, "a.test", 0x7fffffff, 0xc0000201);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.ttl, DNS_TTL_MAX);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		begin(&m, "a.test", DNS_TYPE_A, 0);
		rr(&m, ANSWER, "a.test", DNS_TYPE_A, 1, lengths[i]);
		memset(m.b + m.n, 7, lengths[i]);
		m.n += lengths[i];
		assert_int_equal(parse(&m, &a), RC_SYNTAX);
	}
	/* A v4-mapped address is an IPv4 address. */
	begin(&m, "a.test", DNS_TYPE_AAAA, 0);
	rr(&m, ANSWER, "a.test", DNS_TYPE_AAAA, 1, 16);
	put32(&m, 0);
	put32(&m, 0);
	put32(&m, 0xffff);
	put32(&m, 0x7f000001);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.records[0].ip.family, 4);
	assert_int_equal(a.records[0].ip.b[0], 127);
}

static void
aliases_are_followed(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_a(&m, "c.test", 10, 0xc0000203);	/* in any order */
	rr_name(&m, "b.test", DNS_TYPE_CNAME, 30, "c.test");
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	rr_a(&m, "b.test", 10, 0xc0000299);	/* beside its CNAME: a lie, but the records win */
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_aliases, 1);
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_a(&m, "c.test", 10, 0xc0000203);
	rr_name(&m, "b.test", DNS_TYPE_CNAME, 5, "c.test");
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_aliases, 2);
	assert_int_equal(a.n_records, 1);
	assert_int_equal(a.ttl, 5);
	assert_string_equal(text_of(&a.owner), "c.test");
	/* One that leads nowhere. */
	begin(&m, "a.test", DNS_TYPE_A, 3);
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_records, 0);
	assert_int_equal(a.rcode, DNS_RCODE_NXDOMAIN);
}

static void
circles_of_aliases_end(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "a.test");
	assert_int_equal(parse(&m, &a), RC_RANGE);
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	rr_name(&m, "b.test", DNS_TYPE_CNAME, 20, "a.test");
	assert_int_equal(parse(&m, &a), RC_RANGE);
	assert_int_equal(a.n_records, 0);
	for (size_t n = DNS_ALIASES_MAX; n <= DNS_ALIASES_MAX + 1; n++) {
		char from[] = "a.test", to[] = "b.test";

		begin(&m, "a.test", DNS_TYPE_A, 0);
		for (size_t i = 0; i < n; i++) {
			from[0] = (char)('a' + i);
			to[0] = (char)('b' + i);
			rr_name(&m, from, DNS_TYPE_CNAME, 20, to);
		}
		rr_a(&m, to, 10, 1);
		assert_int_equal(parse(&m, &a), n == DNS_ALIASES_MAX ? RC_OK : RC_RANGE);
	}
}

static void
denials_have_a_ttl(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_MX, 3);
	rr_soa(&m, "test", 300, 60);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.rcode, DNS_RCODE_NXDOMAIN);
	assert_int_equal(a.ttl, 60);
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	rr_soa(&m, "test", 30, 60);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.ttl, 30);
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.ttl, 0);
}

static void
pointers_go_backwards_only(void **state)
{
	struct dns_name name;
	size_t after;
	uint8_t b[64] = { 0 };

	(void)state;
	/* "org" at 12, "example" + pointer to it at 17. */
	memcpy(b + 12, "\003org\000\007example\300\014", 15);
	assert_int_equal(dns_name_read(slice_of(b, 27), 17, &name, &after), RC_OK);
	assert_string_equal(text_of(&name), "example.org");
	assert_int_equal(after, 27);
	for (uint8_t target = 0; target < 64; target++) {
		b[26] = target;
		/* Into the header, to itself, or ahead: refused. 13 to 15 are in the middle of org: other labels, or too long. */
		if (target < 12 || target >= 17)
			assert_int_equal(dns_name_read(slice_of(b, sizeof b), 17, &name, &after), RC_SYNTAX);
	}
	/* A pointer to a pointer further back is fine; one to itself is not. */
	memcpy(b + 30, "\300\021", 2);
	b[26] = 12;
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 30, &name, &after), RC_OK);
	assert_int_equal(after, 32);
	memcpy(b + 30, "\300\036", 2);
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 30, &name, &after), RC_SYNTAX);
	/* Two that point at each other. */
	memcpy(b + 40, "\300\052\300\050", 4);
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 40, &name, &after), RC_SYNTAX);
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 42, &name, &after), RC_SYNTAX);
	/* The other two kinds of label (RFC 1035 4.1.4) do not exist. */
	b[40] = 0x40;
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 40, &name, &after), RC_SYNTAX);
	b[40] = 0x80;
	assert_int_equal(dns_name_read(slice_of(b, sizeof b), 40, &name, &after), RC_SYNTAX);
}

static void
names_have_their_lengths(void **state)
{
	struct dns_name name;
	size_t after, n = 12;
	uint8_t b[400] = { 0 };
	char text[300];

	(void)state;
	/* 3 * 64 + 62 + 1 = 255 octets: just fits. */
	for (int i = 0; i < 3; i++) {
		b[n++] = 63;
		memset(b + n, 'a', 63);
		n += 63;
	}
	b[n++] = 61;
	memset(b + n, 'b', 61);
	n += 61;
	b[n++] = 0;
	assert_int_equal(dns_name_read(slice_of(b, n), 12, &name, &after), RC_OK);
	assert_int_equal(name.n, DNS_NAME_MAX);
	assert_int_equal(strlen(text_of(&name)), DNS_NAME_TEXT_MAX);
	memcpy(text, text_of(&name), DNS_NAME_TEXT_MAX + 1);
	assert_int_equal(dns_name_from_text(slice_str(text), &name), RC_OK);
	assert_int_equal(name.n, DNS_NAME_MAX);
	/* One more does not. */
	b[12 + 192] = 62;
	b[n - 1] = 'b';
	b[n++] = 0;
	assert_int_equal(dns_name_read(slice_of(b, n), 12, &name, &after), RC_SYNTAX);
	memset(text, 'a', 64);
	assert_int_equal(dns_name_from_text(slice_of((const uint8_t *)text, 64), &name), RC_RANGE);
	assert_int_equal(dns_name_from_text(S("a..b"), &name), RC_SYNTAX);
	assert_int_equal(dns_name_from_text(S("a."), &name), RC_SYNTAX);
	assert_int_equal(dns_name_from_text(S(".a"), &name), RC_SYNTAX);
	assert_int_equal(dns_name_from_text(S("a b"), &name), RC_SYNTAX);
	assert_int_equal(dns_name_from_text(S(""), &name), RC_OK);
	assert_true(dns_name_is_root(&name));
	assert_string_equal(text_of(&name), "");
}

/* A dot, a NUL or a newline inside a label must not become text. */
static void
odd_labels_have_no_text(void **state)
{
	static const uint8_t odd[] = { '.', '\0', '\n', ' ', '\\', 0x7f, 0x80, 0xff };
	char text[DNS_NAME_TEXT_MAX + 1] = "untouched";
	size_t n = 42;

	(void)state;
	for (size_t i = 0; i < sizeof odd; i++) {
		struct dns_name name = { { 3, 'a', odd[i], 'b', 0 }, 5 };

		assert_int_equal(dns_name_text(&name, text, &n), RC_SYNTAX);
		assert_string_equal(text, "untouched");
		assert_int_equal(n, 42);
	}
}

static void
what_is_no_answer_is_refused(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_A, 0);
	m.b[2] = 0x01;		/* a query */
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
	m.b[2] = 0x83;		/* truncated */
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
	m.b[2] = 0x81;
	m.b[5] = 0;		/* no question */
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
	m.b[5] = 2;
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
	begin(&m, "a.test", DNS_TYPE_A, 0);
	m.b[m.n - 1] = 3;	/* class CHAOS */
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
	begin(&m, "a.test", DNS_TYPE_A, 0);
	m.b[6] = 0xff;		/* records that are not there */
	assert_int_equal(parse(&m, &a), RC_RANGE);
	m.b[6] = 0;
	m.b[7] = 1;
	assert_int_equal(parse(&m, &a), RC_SYNTAX);
}

static void
every_truncation_is_refused(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	rr_mx(&m, "b.test", 20, 10, "mx.b.test");
	rr_soa(&m, "test", 10, 10);
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_records, 1);
	/* Behind the answer section nothing is needed where there are records. */
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	rr_name(&m, "a.test", DNS_TYPE_CNAME, 20, "b.test");
	rr_mx(&m, "b.test", 20, 10, "mx.b.test");
	while (--m.n > 0)
		assert_int_equal(parse(&m, &a), RC_SYNTAX);
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	rr_soa(&m, "test", 10, 10);
	while (--m.n > 0)
		assert_int_equal(parse(&m, &a), RC_SYNTAX);
}

static void
data_must_be_a_whole_name(void **state)
{
	(void)state;
	/* An MX whose name is followed by a byte, one that ends too early, and one without a name. */
	for (unsigned n = 0; n < 9; n++) {
		begin(&m, "a.test", DNS_TYPE_MX, 0);
		rr(&m, ANSWER, "a.test", DNS_TYPE_MX, 1, n);
		memcpy(m.b + m.n, "\000\012\003foo\000x", 8);
		m.n += n;
		assert_int_equal(parse(&m, &a), n == 7 ? RC_OK : RC_SYNTAX);
	}
}

static void
too_many_records_leave_the_best(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_MX, 0);
	for (unsigned i = 0; i < 200; i++)
		rr_mx(&m, "a.test", 1, 200 - i, "mx.test");
	assert_int_equal(parse(&m, &a), RC_OK);
	assert_int_equal(a.n_records, DNS_RECORDS_MAX);
	for (size_t i = 0; i < a.n_records; i++)
		assert_true(a.records[i].preference <= DNS_RECORDS_MAX);
}

static void
addresses_have_reverse_names(void **state)
{
	char text[DNS_REVERSE_TEXT_MAX];
	struct ip ip;

	(void)state;
	assert_int_equal(ip_parse(S("192.0.2.130"), &ip), RC_OK);
	assert_int_equal(dns_reverse_name(ip, text), strlen("130.2.0.192.in-addr.arpa"));
	assert_string_equal(text, "130.2.0.192.in-addr.arpa");
	assert_int_equal(ip_parse(S("255.255.255.255"), &ip), RC_OK);
	assert_int_equal(dns_reverse_name(ip, text), 28);
	assert_int_equal(ip_parse(S("2001:db8::567:89ab"), &ip), RC_OK);
	assert_int_equal(dns_reverse_name(ip, text), DNS_REVERSE_TEXT_MAX - 1);
	assert_string_equal(text, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	ip.family = 0;
	assert_int_equal(dns_reverse_name(ip, text), 0);
}

/* --- lookup_judge() --- */

static struct lookup_result
judge(const char *name, enum dns_type type, int rcode, bool bogus, bool secure)
{
	return lookup_judge(slice_str(name), type, rcode, slice_of(m.b, m.n), bogus, secure, NULL, &a);
}

static void
answers_are_judged(void **state)
{
	(void)state;
	begin(&m, "a.test", DNS_TYPE_A, 0);
	rr_a(&m, "a.test", 10, 1);
	assert_int_equal(judge("A.test", DNS_TYPE_A, 0, false, true).status, DNS_OK);
	assert_true(judge("a.test", DNS_TYPE_A, 0, false, true).secure);
	assert_int_equal(judge("a.test", DNS_TYPE_A, 0, true, false).status, DNS_BOGUS);
	assert_false(judge("a.test", DNS_TYPE_A, 0, true, true).secure);
	assert_int_equal(judge("a.test", DNS_TYPE_A, DNS_RCODE_SERVFAIL, false, false).status, DNS_TEMPORARY);
	/* An answer to another question is none. */
	assert_int_equal(judge("b.test", DNS_TYPE_A, 0, false, true).status, DNS_TEMPORARY);
	assert_int_equal(judge("a.test", DNS_TYPE_AAAA, 0, false, true).status, DNS_TEMPORARY);
	begin(&m, "a.test", DNS_TYPE_A, 0);
	assert_int_equal(judge("a.test", DNS_TYPE_A, 0, false, true).status, DNS_NODATA);
	begin(&m, "a.test", DNS_TYPE_A, 3);
	assert_int_equal(judge("a.test", DNS_TYPE_A, 3, false, true).status, DNS_NXDOMAIN);
	begin(&m, "a.test", DNS_TYPE_A, 5);
	assert_int_equal(judge("a.test", DNS_TYPE_A, 5, false, false).status, DNS_TEMPORARY);
	assert_int_equal(judge("a.test", DNS_TYPE_A, 0, false, false).status, DNS_TEMPORARY);
	m.n = 5;
	assert_int_equal(judge("a.test", DNS_TYPE_A, 0, false, false).status, DNS_TEMPORARY);
	m.n = 0;
	assert_int_equal(judge("a.test", DNS_TYPE_A, 0, false, false).status, DNS_TEMPORARY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_the_name_are_kept),
		cmocka_unit_test(addresses_have_their_lengths),
		cmocka_unit_test(aliases_are_followed),
		cmocka_unit_test(circles_of_aliases_end),
		cmocka_unit_test(denials_have_a_ttl),
		cmocka_unit_test(pointers_go_backwards_only),
		cmocka_unit_test(names_have_their_lengths),
		cmocka_unit_test(odd_labels_have_no_text),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(data_must_be_a_whole_name),
		cmocka_unit_test(too_many_records_leave_the_best),
		cmocka_unit_test(addresses_have_reverse_names),
		cmocka_unit_test(answers_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
