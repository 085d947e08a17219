/* tests/deliver/test_reply_policy.c -- every stage with every class of reply. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/reply_policy.h"

#define D JOB_DELIVERED
#define L JOB_DEFERRED
#define F JOB_FAILED

static const struct {
	enum stage stage;
	unsigned code;
	enum reply_action action;
	enum job_status status;
	bool over, unexpected;
} table[] = {
	{ STAGE_BANNER, 220, REPLY_GO, D, false, false },
	{ STAGE_BANNER, 354, REPLY_NEXT_HOST, L, true, true },
	{ STAGE_BANNER, 421, REPLY_NEXT_HOST, L, true, false },
	{ STAGE_BANNER, 450, REPLY_NEXT_HOST, L, true, false },
	{ STAGE_BANNER, 521, REPLY_NEXT_HOST, F, true, false },
	{ STAGE_BANNER, 554, REPLY_NEXT_HOST, F, true, false },
	{ STAGE_EHLO, 250, REPLY_GO, D, false, false },
	{ STAGE_EHLO, 334, REPLY_NEXT_HOST, L, true, true },
	{ STAGE_EHLO, 421, REPLY_NEXT_HOST, L, true, false },
	{ STAGE_EHLO, 451, REPLY_NEXT_HOST, L, true, false },
	{ STAGE_EHLO, 500, REPLY_TRY_HELO, L, false, false },
	{ STAGE_EHLO, 502, REPLY_TRY_HELO, L, false, false },
	{ STAGE_EHLO, 550, REPLY_TRY_HELO, L, false, false },
	{ STAGE_EHLO, 521, REPLY_NEXT_HOST, F, true, false },
	{ STAGE_HELO, 250, REPLY_GO, D, false, false },
	{ STAGE_HELO, 354, REPLY_NEXT_HOST, L, true, true },
	{ STAGE_HELO, 421, REPLY_NEXT_HOST, L, true, false },
	{ STAGE_HELO, 504, REPLY_NEXT_HOST, F, true, false },
	{ STAGE_RSET, 250, REPLY_GO, D, false, false },
	{ STAGE_RSET, 354, REPLY_MESSAGE, L, true, true },
	{ STAGE_RSET, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_RSET, 451, REPLY_MESSAGE, L, true, false },
	{ STAGE_RSET, 500, REPLY_MESSAGE, L, true, false },
	{ STAGE_MAIL, 250, REPLY_GO, D, false, false },
	{ STAGE_MAIL, 354, REPLY_MESSAGE, L, true, true },
	{ STAGE_MAIL, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_MAIL, 451, REPLY_MESSAGE, L, false, false },
	{ STAGE_MAIL, 552, REPLY_MESSAGE, F, false, false },
	{ STAGE_MAIL, 550, REPLY_MESSAGE, F, false, false },
	{ STAGE_RCPT, 250, REPLY_GO, D, false, false },
	{ STAGE_RCPT, 251, REPLY_GO, D, false, false },
	{ STAGE_RCPT, 252, REPLY_GO, D, false, false },
	{ STAGE_RCPT, 354, REPLY_MESSAGE, L, true, true },
	{ STAGE_RCPT, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_RCPT, 450, REPLY_RCPT, L, false, false },
	{ STAGE_RCPT, 452, REPLY_RCPT, L, false, false },
	{ STAGE_RCPT, 550, REPLY_RCPT, F, false, false },
	{ STAGE_RCPT, 552, REPLY_RCPT, L, false, false },
	{ STAGE_RCPT, 556, REPLY_RCPT, F, false, false },
	{ STAGE_DATA, 354, REPLY_GO, D, false, false },
	{ STAGE_DATA, 250, REPLY_MESSAGE, L, true, true },
	{ STAGE_DATA, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_DATA, 451, REPLY_MESSAGE, L, false, false },
	{ STAGE_DATA, 554, REPLY_MESSAGE, F, false, false },
	{ STAGE_CONTENT, 250, REPLY_MESSAGE, L, true, true },
	{ STAGE_CONTENT, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_CONTENT, 452, REPLY_MESSAGE, L, true, false },
	{ STAGE_CONTENT, 552, REPLY_MESSAGE, F, true, false },
	{ STAGE_DOT, 250, REPLY_MESSAGE, D, false, false },
	{ STAGE_DOT, 354, REPLY_MESSAGE, L, true, true },
	{ STAGE_DOT, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_DOT, 452, REPLY_MESSAGE, L, false, false },
	{ STAGE_DOT, 552, REPLY_MESSAGE, F, false, false },
	{ STAGE_DOT, 554, REPLY_MESSAGE, F, false, false },
	{ STAGE_QUIT, 221, REPLY_GO, D, true, false },
	{ STAGE_QUIT, 500, REPLY_GO, D, true, false },
	{ STAGE_IDLE, 421, REPLY_MESSAGE, L, true, false },
	{ STAGE_IDLE, 250, REPLY_MESSAGE, L, true, true },
};

/* shows: RFC5321 4.2/8, RFC5321 4.3.2/1
 * shows: RFC7504 4/2 */
static void
every_stage_and_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct reply_meaning m = reply_means(table[i].stage, table[i].code);

		if (m.action != table[i].action || m.status != table[i].status || m.over != table[i].over ||
		    m.unexpected != table[i].unexpected)
			fail_msg("%s %u: action %d status %d over %d unexpected %d", stage_name(table[i].stage), table[i].code,
			    m.action, (int)m.status, m.over, m.unexpected);
	}
}

/* Whatever a server says, no code makes a delivery out of nothing, and no 4xx fails mail.
 * shows: RFC5321 4.2/9, RFC5321 4.3.2/2 */
static void
no_code_delivers_or_fails_by_accident(void **state)
{
	(void)state;
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (unsigned code = 200; code < 600; code++) {
			struct reply_meaning m = reply_means((enum stage)stage, code);
			bool verdict = m.action == REPLY_RCPT || m.action == REPLY_MESSAGE;

			if (verdict && m.status == JOB_DELIVERED)
				assert_true(stage == STAGE_DOT && code / 100 == 2);
			if (verdict && m.status == JOB_FAILED)
				assert_true(code / 100 == 5 && !m.unexpected);
			if (m.unexpected)
				assert_true(m.over);
			assert_non_null(stage_name((enum stage)stage));
		}
}

/* shows: RFC3461 6.3/11 */
static void
the_enhanced_code_agrees_with_the_outcome(void **state)
{
	struct smtp_reply reply = { .code = 552, .enhanced = ENHANCED(5, 2, 2) };

	(void)state;
	assert_true(enhanced_eq(reply_enhanced(&reply, JOB_DEFERRED), ENHANCED(4, 2, 2)));
	assert_true(enhanced_eq(reply_enhanced(&reply, JOB_FAILED), ENHANCED(5, 2, 2)));
	reply = (struct smtp_reply){ .code = 550 };
	assert_true(enhanced_eq(reply_enhanced(&reply, JOB_FAILED), ENHANCED(5, 0, 0)));
	reply = (struct smtp_reply){ .code = 250 };
	assert_true(enhanced_eq(reply_enhanced(&reply, JOB_DELIVERED), ENHANCED(2, 0, 0)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stage_and_class),
		cmocka_unit_test(no_code_delivers_or_fails_by_accident),
		cmocka_unit_test(the_enhanced_code_agrees_with_the_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
