/* tests/common/test_forms.c -- written forms: IP addresses, JSON, escapes, queue ids, configuration, envelopes. */
#include "common/conf.h"
#include "common/envelope.h"
#include "common/escape.h"
#include "common/ip.h"
#include "common/json.h"
#include "common/queue_id.h"
#include "tests/wire/check.h"

static void
ip_addresses(void **state)
{
	static const struct {
		const char *text, *form;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "0.0.0.0", "0.0.0.0" }, { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" }, { "::", "::" },
		{ "::ffff:192.0.2.1", "192.0.2.1" }, { "1:0:0:2::3", "1:0:0:2::3" }, { "01.2.3.4", NULL }, { "1.2.3", NULL },
		{ "1.2.3.256", NULL },
		{ "0x7f.0.0.1", NULL }, { "1.2.3.4 ", NULL }, { ":::", NULL }, { "1::2::3", NULL }, { "12345::", NULL },
		{ "fe80::1%eth0", NULL },
		{ "", NULL }, { "1:2:3:4:5:6:7", NULL }, { "1:2:3:4:5:6:7:8:9", NULL }, { "127.1", NULL }, { "2130706433", NULL },
	};
	static const char *const not_public[] = { "127.0.0.1", "10.1.1.1", "169.254.1.1", "0.0.0.0", "224.0.0.1", "100.64.0.1",
	    "192.0.2.1",
	    "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1", "64:ff9b::7f00:1", "2002:7f00:1::" };
	struct ip ip;
	struct ip_net net;
	char out[IP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum rc rc = ip_parse(slice_str(cases[i].text), &ip);

		if ((rc == RC_OK) != (cases[i].form != NULL))
			fail_msg("%s: %s", cases[i].text, rc_name(rc));
		if (rc == RC_OK) {
			(void)ip_format(ip, out);
			assert_string_equal(out, cases[i].form);
		}
	}
	for (size_t i = 0; i < COUNT(not_public); i++) {
		assert_int_equal(ip_parse(slice_str(not_public[i]), &ip), RC_OK);
		if (ip_is_public(ip))
			fail_msg("%s counts as public", not_public[i]);
	}
	assert_int_equal(ip_parse(S("9.9.9.9"), &ip), RC_OK);
	assert_true(ip_is_public(ip));
	assert_int_equal(ip_net_parse(S("9.9.9.0/33"), &net), RC_RANGE);
	assert_int_equal(ip_net_parse(S("9.9.9.77/24"), &net), RC_OK);
	assert_true(ip_net_has(net, ip));
	assert_int_equal(net.ip.b[3], 0);
}

static void
json_text(void **state)
{
	struct buf to = BUF_INIT(1024);
	struct json j;

	(void)state;
	json_init(&j, &to);
	json_object(&j);
	json_key_str(&j, "s", slice_of("a\"\\\n\0\xff\xc3\xbc\x7f", 9));
	json_key_array(&j, "a");
	json_u64(&j, UINT64_MAX);
	json_i64(&j, INT64_MIN);
	json_bool(&j, true);
	json_end(&j);
	json_end(&j);
	assert_true(json_ok(&j));
	holds(&to, "{\"s\":\"a\\\"\\\\\\n\\u0000\xef\xbf\xbd\xc3\xbc\\u007f\","
	    "\"a\":[18446744073709551615,-9223372036854775808,true]}");
	json_init(&j, &to);
	json_object(&j);
	json_u64(&j, 1);	/* no key */
	json_end(&j);
	assert_false(json_ok(&j));
	buf_free(&to);
}

static void
escapes(void **state)
{
	static const struct { const char *value, *text; } values[] = {
		{ "", "\"\"" }, { "o'brien@a.test", "o'brien@a.test" }, { "'", "\"'\"" }, { "it's so", "\"it's so\"" },
		{ "no \"such\" user", "'no \"such\" user'" }, { "\"", "'\"'" }, { "a\"b'c", "\"a\\x22b'c\"" },
		{ "\"\n'", "\"\\x22\\x0a'\"" }, { "x\" a=b", "'x\" a=b'" }, { "\"\\", "'\"\\x5c'" },
		{ "\"0123456789012345678'x", "\"\\x220123456789012345678...\"" },
		{ "0123456789012345678'\"", "\"0123456789012345678'...\"" },
	};
	struct buf to = BUF_INIT(256);

	(void)state;
	assert_true(escape_put(&to, slice_of("a\r\n\0\x1b\xff\"\\z", 9), 100));
	holds(&to, "a\\x0d\\x0a\\x00\\x1b\\xff\\x22\\x5cz");
	assert_true(escape_put(&to, S("abcdef"), 3));
	holds(&to, "abc...");
	assert_true(escape_value_put(&to, S("plain"), 100));
	holds(&to, "plain");
	assert_true(escape_value_put(&to, S("a b"), 100));
	holds(&to, "\"a b\"");
	for (size_t i = 0; i < COUNT(values); i++) {
		assert_true(escape_value_put(&to, slice_str(values[i].value), 20));
		holds(&to, values[i].text);
	}
	buf_free(&to);
}

static void
queue_ids(void **state)
{
	const struct msgid ids[] = { { 0, 0, 0 }, { 0, 65535, QUEUE_ID_SEQ_MAX }, { 0, 7, 123456789 } };
	char text[QUEUE_ID_LEN];
	struct msgid back;

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		queue_id_format(ids[i], text);
		assert_int_equal(queue_id_parse(slice_of(text, sizeof text), &back), RC_OK);
		assert_true(msgid_eq(ids[i], back));
	}
	assert_int_equal(queue_id_parse(S("00000000000"), &back), RC_SYNTAX);
	assert_int_equal(queue_id_parse(S("00000000000U"), &back), RC_SYNTAX);
	assert_int_equal(queue_id_parse(S("0000000000000"), &back), RC_SYNTAX);
	assert_int_equal(queue_id_parse(S("ZZZZ00000000"), &back), RC_SYNTAX);	/* more than 16 bits of boot */
}

static void
configurations_travel(void **state)
{
	struct conf *c = conf_new(), *back;
	struct buf blob = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	uint64_t v;

	(void)state;
	assert_true(conf_encode(c, &blob));
	for (size_t n = 0; n < buf_len(&blob); n++)
		assert_int_not_equal(conf_decode(slice_first(buf_slice(&blob), n), &back), RC_OK);
	assert_int_equal(conf_decode(buf_slice(&blob), &back), RC_OK);
	assert_true(conf_encode(back, &again));
	assert_true(slice_eq(buf_slice(&blob), buf_slice(&again)));
	conf_unref(back);
	(void)buf_put_byte(&blob, 0);
	assert_int_not_equal(conf_decode(buf_slice(&blob), &back), RC_OK);
	assert_int_equal(conf_time_parse(S("1h30m"), &v), RC_OK);
	assert_int_equal(v, 5400000);
	assert_int_equal(conf_time_parse(S("5"), &v), RC_SYNTAX);
	assert_int_equal(conf_time_parse(S("0"), &v), RC_OK);
	assert_int_equal(v, 0);
	assert_int_equal(conf_time_parse(S("00"), &v), RC_SYNTAX);
	assert_int_equal(conf_time_parse(S("1h0"), &v), RC_SYNTAX);
	assert_int_equal(conf_time_parse(S(""), &v), RC_SYNTAX);
	assert_int_equal(conf_time_parse(S("99999999999999999999d"), &v), RC_RANGE);
	assert_int_equal(conf_size_parse(S("64k"), &v), RC_OK);
	assert_int_equal(v, 65536);
	assert_int_equal(conf_size_parse(S("18446744073709551615K"), &v), RC_RANGE);
	conf_unref(c);
	buf_free(&blob);
	buf_free(&again);
}

static void
envelopes_travel(void **state)
{
	const struct envelope e = { .flags = 1, .received_at = -5, .sender = S("a@b.test"), .helo = S("x"), .listener = S("smtp"),
	    .envid = S("Q+2B"), .deliver_by = 77, .hold_until = -8, .hold_request = S("for;60"), .priority = -9,
	    .user = S("alice") };
	const struct envelope_rcpt r = { S("c@d.test"), S("C@d.test"), S("smtp"), S("d.test"), 3, NOTIFY_SUCCESS | NOTIFY_DELAY,
	    S("rfc822;C@d.test") };
	struct buf b = BUF_INIT(4096);
	struct envelope back;
	struct envelope_rcpt got;
	struct slice rest;

	(void)state;
	assert_true(envelope_put(&b, &e) && envelope_put_rcpt(&b, &r) && envelope_put_rcpt(&b, &r));
	assert_int_equal(envelope_parse(buf_slice(&b), &back), RC_OK);
	assert_int_equal(back.n_rcpts, 2);
	assert_true(slice_eq(back.sender, e.sender) && back.received_at == -5);
	assert_true(slice_eq(back.envid, e.envid) && back.deliver_by == 77 && back.hold_until == -8 && back.priority == -9);
	assert_true(slice_eq(back.hold_request, e.hold_request) && slice_eq(back.user, e.user));
	rest = back.rcpts;
	assert_true(envelope_rcpt_next(&rest, &got) && slice_eq(got.original, r.original) && got.generation == 3);
	assert_true(got.notify == (NOTIFY_SUCCESS | NOTIFY_DELAY) && slice_eq(got.orcpt, r.orcpt));
	assert_true(envelope_rcpt_next(&rest, &got) && slice_eq(got.nexthop, r.nexthop));
	assert_false(envelope_rcpt_next(&rest, &got));
	for (size_t n = 0; n < 4; n++)	/* cut inside the last field */
		assert_int_equal(envelope_parse(slice_first(buf_slice(&b), buf_len(&b) - 1 - n), &back), RC_SYNTAX);
	/* What becomes known late joins the flags in place. */
	assert_true(envelope_add_flags(b.p + b.start, buf_len(&b), ENVELOPE_BINARYMIME));
	assert_int_equal(envelope_parse(buf_slice(&b), &back), RC_OK);
	assert_int_equal(back.flags, ENVELOPE_8BITMIME | ENVELOPE_BINARYMIME);
	assert_false(envelope_add_flags(b.p + b.start, 3, 1));
	buf_clear(&b);
	assert_true(envelope_put(&b, &(struct envelope){ .priority = 10 }));
	assert_int_equal(envelope_parse(buf_slice(&b), &back), RC_SYNTAX);
	buf_clear(&b);
	assert_true(envelope_put(&b, &(struct envelope){ .sender = S("a\n@b.test") }));
	assert_int_equal(envelope_parse(buf_slice(&b), &back), RC_SYNTAX);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_addresses),
		cmocka_unit_test(json_text),
		cmocka_unit_test(escapes),
		cmocka_unit_test(queue_ids),
		cmocka_unit_test(configurations_travel),
		cmocka_unit_test(envelopes_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
