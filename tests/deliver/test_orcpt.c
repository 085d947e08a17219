/* tests/deliver/test_orcpt.c -- whom a report is to call the recipient: in which form ORCPT goes on (RFC 6533 3). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define BYE "C:QUIT\nS:221 bye\n"
#define SMALL S("Subject: x\r\n\r\nx\r\n")

/* One job with this ORCPT to a server that expects what the script says. */
static void
send_to(const char *orcpt, uint32_t flags, const char *script)
{
	const char *scripts[] = { script, NULL };
	struct server server;
	struct scene s;

	scene_open(&s);
	server_start(&s, &server, 2, scripts);
	scene_start(&s);
	scene_host(&s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	s.orcpt = orcpt;
	scene_send_job(&s, 5, 1, flags, scene_one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_send_idle(&s, 5);
	scene_until(&s, &s.n_closed, 1);
	server_end(&server);
	scene_close(&s);
}

#define GREETING "S:220 x\nC:EHLO\nS:250-x\nS:250-DSN\nS:250-8BITMIME\n"
#define REST "S:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE

/* shows: RFC6533 3/2 */
static void
in_ascii_without_smtputf8(void **state)
{
	(void)state;
	send_to("utf-8;j\xc3\xb6rg\\x{2B}x@b.test", 0, GREETING "S:250 HELP\nC:MAIL FROM:<sender@a.test>\r\nS:250 ok\n"
	    "C:RCPT TO:<r@b.test> ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@b.test\r\n" REST);
	/* The server would take it, but the message needs no SMTPUTF8, and is to reach those who have none. */
	send_to("utf-8;j\xc3\xb6rg@b.test", 0, GREETING "S:250 SMTPUTF8\nC:MAIL FROM:<sender@a.test>\r\nS:250 ok\n"
	    "C:RCPT TO:<r@b.test> ORCPT=utf-8;j\\x{F6}rg@b.test\r\n" REST);
}

/* shows: RFC6533 3/5 */
static void
as_it_is_with_smtputf8(void **state)
{
	static const char *const forms[] = { "utf-8;j\xc3\xb6rg\\x{2B}x@b.test", "utf-8;j\\x{F6}rg\\x{2B}x@b.test" };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		send_to(forms[i], ENVELOPE_SMTPUTF8, GREETING "S:250 SMTPUTF8\nC:MAIL FROM:<sender@a.test> SMTPUTF8\r\nS:250 ok\n"
		    "C:RCPT TO:<r@b.test> ORCPT=utf-8;j\xc3\xb6rg\\x{2B}x@b.test\r\n" REST);
}

static void
other_types_stay_what_they_are(void **state)
{
	(void)state;
	send_to("rfc822;a\\x{F6}+2Bb@b.test", ENVELOPE_SMTPUTF8, GREETING "S:250 SMTPUTF8\n"
	    "C:MAIL FROM:<sender@a.test> SMTPUTF8\r\nS:250 ok\n"
	    "C:RCPT TO:<r@b.test> ORCPT=rfc822;a\\x{F6}+2Bb@b.test\r\n" REST);
}

/* 500 octets is the most that an ORCPT may have, and escaped these are more: it is left out. shows: RFC6533 3/2 */
static void
too_long_in_ascii(void **state)
{
	char orcpt[600] = "utf-8;", script[1200];
	size_t n = strlen(orcpt);

	(void)state;
	/* 6 + 82 * 6 = 498, and "@b" makes 500 */
	for (unsigned i = 0; i < 82; i++, n += 2)
		memcpy(orcpt + n, "\xc3\xb6", 2);
	(void)snprintf(orcpt + n, sizeof orcpt - n, "@b");
	n = (size_t)snprintf(script, sizeof script, GREETING "S:250 HELP\nC:MAIL FROM:<sender@a.test>\r\nS:250 ok\n"
	    "C:RCPT TO:<r@b.test> ORCPT=utf-8;");
	for (unsigned i = 0; i < 82; i++)
		n += (size_t)snprintf(script + n, sizeof script - n, "\\x{F6}");
	(void)snprintf(script + n, sizeof script - n, "@b\r\n" REST);
	send_to(orcpt, 0, script);
	(void)snprintf(orcpt + strlen(orcpt), 2, "c");
	send_to(orcpt, 0, GREETING "S:250 HELP\nC:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\n" REST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_ascii_without_smtputf8),
		cmocka_unit_test(as_it_is_with_smtputf8),
		cmocka_unit_test(other_types_stay_what_they_are),
		cmocka_unit_test(too_long_in_ascii),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
