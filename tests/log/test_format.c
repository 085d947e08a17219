/* tests/log/test_format.c -- whatever an event holds, it is one line, and says what it should. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "log/format.h"

static const struct log_form text = { false, false, "mx.example" }, json = { true, false, "mx.example" },
    syslog_text = { false, true, "mx.example" }, syslog_json = { true, true, "mx.example" };

static void
put_str(struct wr *w, struct slice key, struct slice value)
{
	wr_u8(w, (uint8_t)key.n);
	wr_bytes(w, key.p, key.n);
	wr_u8(w, LOG_STR);
	wr_str(w, value);
}

static struct l_event
event_with(enum log_event event, const struct wr *w)
{
	return (struct l_event){ (uint16_t)event, UINT64_C(1795424400123456), 42, S("0A1B00000C2D"), slice_of(w->p, w->n) };
}

static void
line_is(const struct log_form *form, enum role from, const struct l_event *m, struct slice want)
{
	struct buf b = BUF_INIT(LOG_LINE_MAX);

	assert_null(log_event_check(m));
	assert_true(log_format(&b, form, from, m));
	assert_string_equal(buf_cstr(&b), (const char *)want.p);
	buf_free(&b);
}

static void
each_form(void **state)
{
	uint8_t space[512];
	struct wr w = { space, 0, sizeof space, false };
	struct l_event m;

	(void)state;
	put_str(&w, S("from"), S("a@b.example"));
	put_str(&w, S("helo"), S("hi there"));
	put_str(&w, S("proto"), S(""));
	wr_u8(&w, 4);
	wr_bytes(&w, "size", 4);
	wr_u8(&w, LOG_U64);
	wr_u64(&w, UINT64_MAX);
	wr_u8(&w, 6);
	wr_bytes(&w, "client", 6);
	wr_u8(&w, LOG_IP);
	wr_ip(&w, (struct ip){ 4, { 192, 0, 2, 1 } });
	m = event_with(LOG_ACCEPTED, &w);
	line_is(&text, ROLE_SMTPD, &m, S("2026-11-23T09:00:00.123456Z mx.example postern/smtpd[42]: 0A1B00000C2D: accepted "
	    "from=a@b.example helo=\"hi there\" proto=\"\" size=18446744073709551615 client=192.0.2.1\n"));
	line_is(&syslog_text, ROLE_SMTPD, &m, S("<22>postern/smtpd[42]: 0A1B00000C2D: accepted "
	    "from=a@b.example helo=\"hi there\" proto=\"\" size=18446744073709551615 client=192.0.2.1\n"));
	line_is(&json, ROLE_SMTPD, &m, S("{\"time\":\"2026-11-23T09:00:00.123456Z\",\"host\":\"mx.example\","
	    "\"program\":\"smtpd\",\"process\":42,\"severity\":\"info\",\"event\":\"accepted\",\"id\":\"0A1B00000C2D\","
	    "\"from\":\"a@b.example\",\"helo\":\"hi there\",\"proto\":\"\",\"size\":18446744073709551615,"
	    "\"client\":\"192.0.2.1\"}\n"));
	m.qid = S("");
	m.fields = S("");
	m.event = LOG_SPOOL_FULL;
	line_is(&text, ROLE_QUEUE, &m, S("2026-11-23T09:00:00.123456Z mx.example postern/queue[42]: spool-full\n"));
	line_is(&syslog_json, ROLE_QUEUE, &m, S("<17>postern/queue[42]: {\"time\":\"2026-11-23T09:00:00.123456Z\","
	    "\"host\":\"mx.example\",\"program\":\"queue\",\"process\":42,\"severity\":\"alarm\",\"event\":\"spool-full\"}\n"));
}

/* THREATS 53: no value can end its line, its quotes, or reach a terminal's ears. */
static void
no_byte_gets_out(void **state)
{
	const struct log_form *forms[] = { &text, &json, &syslog_text, &syslog_json };
	uint8_t value[256], space[1024];
	struct wr w = { space, 0, sizeof space, false };
	struct l_event m;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		value[i] = (uint8_t)i;
	put_str(&w, S("text"), slice_of(value, sizeof value));
	put_str(&w, S("to"), S("\xc2\x9b[2J"));	/* U+009B, CSI in UTF-8 */
	m = event_with(LOG_REJECT, &w);
	for (size_t f = 0; f < 4; f++) {
		struct buf b = BUF_INIT(LOG_LINE_MAX);
		struct slice line;

		assert_true(log_format(&b, forms[f], ROLE_SMTPD, &m));
		line = buf_slice(&b);
		assert_int_equal(slice_find(line, '\n'), line.n - 1);
		for (size_t i = 0; i + 1 < line.n; i++) {
			assert_true(line.p[i] >= 0x20 && line.p[i] != 0x7f);
			assert_true(forms[f]->json || line.p[i] < 0x7f);
			assert_false(line.p[i] == 0xc2 && line.p[i + 1] < 0xa0);
		}
		buf_free(&b);
	}
	w.n = 0;
	put_str(&w, S("text"), S("x\" status=sent\n2026 \x1b[31m\\"));
	m = event_with(LOG_REJECT, &w);
	line_is(&syslog_text, ROLE_SMTPD, &m,
	    S("<21>postern/smtpd[42]: 0A1B00000C2D: reject text='x\" status=sent\\x0a2026 \\x1b[31m\\x5c'\n"));
}

static void
long_values_are_cut_and_marked(void **state)
{
	uint8_t value[LOG_VALUE_MAX + 1], space[LOG_EVENT_BYTES_MAX];
	struct wr w = { space, 0, sizeof space, false };
	struct buf b = BUF_INIT(LOG_LINE_MAX);
	struct l_event m;

	(void)state;
	memset(value, 'x', sizeof value);
	put_str(&w, S("text"), slice_of(value, sizeof value));
	m = event_with(LOG_REJECT, &w);
	assert_true(log_format(&b, &syslog_text, ROLE_SMTPD, &m));
	assert_memory_equal(buf_slice(&b).p + buf_len(&b) - 6, "xx...\n", 6);
	buf_free(&b);

	/* The worst event there can be fits. */
	memset(space, 0, sizeof space);
	memset(value, 1, sizeof value);
	w.n = 0;
	for (int i = 0; i < 7; i++)
		put_str(&w, S("text"), slice_of(value, sizeof value));
	put_str(&w, S("text"), slice_of(value, sizeof space - w.n - 10));
	assert_false(w.bad);
	assert_int_equal(w.n, sizeof space);
	m = event_with(LOG_REJECT, &w);
	assert_null(log_event_check(&m));
	buf_init(&b, LOG_LINE_MAX);
	assert_true(log_format(&b, &json, ROLE_SMTPD, &m));
	buf_clear(&b);
	assert_true(log_format(&b, &text, ROLE_SMTPD, &m));
	buf_free(&b);
}

static void
a_full_buffer_is_left_as_it_was(void **state)
{
	struct buf b = BUF_INIT(40);
	struct wr none = { NULL, 0, 0, false };
	struct l_event m = event_with(LOG_REMOVED, &none);

	(void)state;
	assert_true(buf_put_str(&b, "before\n"));
	assert_false(log_format(&b, &text, ROLE_QUEUE, &m));
	assert_false(b.failed);
	assert_string_equal(buf_cstr(&b), "before\n");
	buf_free(&b);
}

static void
refused(struct l_event m)
{
	assert_non_null(log_event_check(&m));
}

static void
malformed_events_are_told(void **state)
{
	static uint8_t space[LOG_EVENT_BYTES_MAX + 100];
	struct wr w = { space, 0, sizeof space, false };
	struct l_event good, m;

	(void)state;
	put_str(&w, S("to"), S("x"));
	good = event_with(LOG_DELIVERED, &w);
	assert_null(log_event_check(&good));
	m = good, m.event = LOG_NONE, refused(m);
	m = good, m.event = LOG_EVENT_COUNT, refused(m);
	m = good, m.when = UINT64_MAX, refused(m);
	m = good, m.qid = S("x\n"), refused(m);
	m = good, m.qid = S("0A1B00000C2!"), refused(m);
	m = good, m.fields.n--, refused(m);
	m = good, m.fields.n = sizeof space, refused(m);
	space[w.n] = 2;	/* the beginning of a second key */
	m = good, m.fields.n++, refused(m);
	w.n = 0, put_str(&w, S("to from"), S("x")), refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S("To"), S("x")), refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S(""), S("x")), refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S("time"), S("x")), refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S("a23456789012345678901234567890123"), S("x")), refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S("to"), S("x")), space[3] = 9, refused(event_with(LOG_DELIVERED, &w));
	w.n = 0, put_str(&w, S("to"), S("x")), space[4] = 0xff, space[7] = 0xff, refused(event_with(LOG_DELIVERED, &w));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form),
		cmocka_unit_test(no_byte_gets_out),
		cmocka_unit_test(long_values_are_cut_and_marked),
		cmocka_unit_test(a_full_buffer_is_left_as_it_was),
		cmocka_unit_test(malformed_events_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
