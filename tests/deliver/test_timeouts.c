/* tests/deliver/test_timeouts.c -- RFC 5321 4.5.3.2: how long each step may take, and that it can be changed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/timeouts.h"

#include <stdlib.h>

enum { MINUTE = 60 * 1000 };

static const struct {
	enum stage stage;
	unsigned minutes;		/* of the RFC, at least */
	const char *option;
} steps[] = {
	{ STAGE_BANNER, 5, "timeout-banner" }, { STAGE_EHLO, 5, "timeout-helo" }, { STAGE_HELO, 5, "timeout-helo" },
	{ STAGE_MAIL, 5, "timeout-mail" }, { STAGE_RSET, 5, "timeout-mail" }, { STAGE_RCPT, 5, "timeout-rcpt" },
	{ STAGE_DATA, 2, "timeout-data" }, { STAGE_CONTENT, 3, "timeout-block" }, { STAGE_DOT, 10, "timeout-dot" },
};

/* shows: RFC5321 4.5.3.2/2, RFC5321 4.5.3.2/4, RFC5321 4.5.3.2.1/1, RFC5321 4.5.3.2.2/1, RFC5321 4.5.3.2.3/1
 * shows: RFC5321 4.5.3.2.4/1, RFC5321 4.5.3.2.5/1, RFC5321 4.5.3.2.6/1 */
static void
each_step_has_the_time_of_the_rfc(void **state)
{
	struct conf *c = conf_new();

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		assert_true(timeout_of(&c->deliver, steps[i].stage) >= steps[i].minutes * MINUTE);
	assert_int_equal(timeout_of(&c->deliver, STAGE_IDLE), 0);
	/* A whole message has at least what its steps have together. */
	assert_true(timeout_message(&c->deliver, 0, 1) >= (5 + 5 + 2 + 3 + 10) * MINUTE);
	conf_unref(c);
}

static enum rc
set(struct conf *c, const char *option, const char *value)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; strcmp(conf_sections[i].name, "deliver") == 0 && k < conf_sections[i].n_options; k++)
			if (strcmp(conf_sections[i].options[k].name, option) == 0)
				return conf_set((char *)c + conf_sections[i].offset, &conf_sections[i].options[k], value);
	return RC_NOTFOUND;
}

/* shows: RFC5321 4.5.3.2/3 */
static void
each_can_be_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct conf *c = conf_new();

		assert_non_null(c);
		assert_int_equal(set(c, steps[i].option, "7s"), RC_OK);
		assert_int_equal(timeout_of(&c->deliver, steps[i].stage), 7000);
		conf_unref(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_has_the_time_of_the_rfc),
		cmocka_unit_test(each_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
