/* tests/master/test_conf_tables.c -- every mistake in rules, routes and tables is told, with its own line. */
#include "master/conf_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/folder.h"

static char folder[64], path[96], table[96];
static struct buf errors, notes;

static int
set_up(void **state)
{
	(void)state;
	folder_template(folder, sizeof folder, "rules");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/postern.conf", folder);
	(void)snprintf(table, sizeof table, "%s/table", folder);
	buf_init(&errors, 1 << 20);
	buf_init(&notes, 1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(table);
	(void)rmdir(folder);
	buf_free(&errors);
	buf_free(&notes);
	return 0;
}

static void
write_file(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static enum rc
check(char *override)
{
	struct conf_source s;
	enum rc rc;

	if (conf_file_read(path, &override, override == NULL ? 0 : 1, &s, &errors) != RC_OK)
		fail_msg("%s", buf_cstr(&errors));
	rc = conf_tables_check(&s, &notes, &errors);
	conf_source_free(&s);
	return rc;
}

/* want: a line for each complaint, without the path in front, whose place is %: the words that it goes on with. */
static void
expect_lines(const char *const *want, size_t n)
{
	struct slice rest = buf_slice(&errors);

	for (size_t i = 0; i < n; i++) {
		struct slice line = slice_first(rest, slice_find(rest, '\n')), place = slice_str(path);
		struct slice words = slice_starts(line, place) ? slice_from(line, place.n) : line;

		if (!slice_starts(words, slice_str(want[i])))
			fail_msg("line %zu is not \"%s\":\n%s", i + 1, want[i], buf_cstr(&errors));
		rest = slice_from(rest, line.n + 1);
	}
	if (rest.n > 0)
		fail_msg("there is more than %zu lines:\n%s", n, buf_cstr(&errors));
}

#define EXPECT(...) \
	expect_lines((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void
every_mistake_has_its_own_line(void **state)
{
	(void)state;
	write_file(path,
	    "router {\n"					/* 1 */
	    "  local-users = {}\n"
	    "  relay-clients = {\n"
	    "    \"192.0.2.0/24\", \"nonsense.example\" }\n"	/* 4 */
	    "  relay-host = \"a b\"\n"
	    "}\n"
	    "\n"
	    "transport away {\n"				/* 8 */
	    "  kind = pigeon\n"
	    "}\n"
	    "rule one {\n"					/* 11 */
	    "  client = \"@nobody\"\n"
	    "  action = reject\n"
	    "  from = {\"a..b@example.org\", \"fine@example.org\", \"@none\"}\n"
	    "  reply = \"250 2.0.0 Yes\"\n"			/* 15 */
	    "  tls = perhaps\n"
	    "}\n"
	    "rule two {\n"
	    "  action = allow\n"				/* 19 */
	    "  listener = mx\n"
	    "}\n"
	    "rule three {\n"
	    "  action = accept\n"				/* 23 */
	    "}\n"
	    "route elsewhere {\n"
	    "  to = example.org\n"
	    "  transport = pidgeon\n"				/* 27 */
	    "  relay-host = \"[]\"\n"
	    "}\n");
	assert_int_not_equal(check(NULL), RC_OK);
	EXPECT(":4: router: relay-clients: \"nonsense.example\" cannot match here; write a network",
	    ":5: router: relay-host: \"a b\" is no next hop; write example.org",
	    ":9: transport \"away\": kind: the kind of a transport is smtp or local",
	    ":15: rule \"one\": reply: cannot be the reply of a refusal; write a code",
	    ":12: rule \"one\": client: there is no table \"nobody\"; declare it",
	    ":14: rule \"one\": from: ",
	    ":14: rule \"one\": from: there is no table \"none\"; declare it",
	    ":16: rule \"one\": tls: is yes or no, or left out",
	    ":19: rule \"two\": action: the action of a rule is accept, reject or defer",
	    ":20: rule \"two\": listener: there is no listener \"mx\"",
	    ":23: rule \"three\": this rule makes an open relay",
	    ":27: route \"elsewhere\": transport: there is no transport \"pidgeon\"; declare it",
	    ":28: route \"elsewhere\": relay-host: \"[]\" is no next hop");
}

static void
every_mistake_in_tables_too(void **state)
{
	char text[1024];
	char third[128], first[128];

	(void)state;
	(void)snprintf(text, sizeof text,
	    "router { local-users = {} }\n"
	    "table a {\n  file = \"%s\"\n}\n"			/* 2 */
	    "table b {\n  values = {\"fine@example.org\", \"a..b@example.org\",\n    \"@\"}\n}\n"	/* 5 */
	    "table c {\n  format = passwd\n  values = \"x\"\n}\n"	/* 9 */
	    "table d {\n  file = \"/nowhere/at/all\"\n}\n"		/* 13 */
	    "rule r {\n  to = {\"@a\", \"@b\", \"@c\", \"@d\"}\n  action = accept\n}\n", table);
	write_file(path, text);
	write_file(table, "a..b@example.org\nfine@example.org\n[1.2.3@\n");
	(void)snprintf(first, sizeof first, "%s:1: ", table);
	(void)snprintf(third, sizeof third, "%s:3: ", table);
	assert_int_not_equal(check(NULL), RC_OK);
	EXPECT(first, third, ":6: table \"b\": values: ", ":6: table \"b\": values: ",
	    ":10: table \"c\": format: the format passwd is for files",
	    ":14: table \"d\": file: /nowhere/at/all: cannot be opened");
}

/* What stands on the command line has no line; what stands nowhere is the section's. */
static void
a_mistake_on_the_command_line_has_no_place(void **state)
{
	char wrong[] = "router.relay-host=a b";

	(void)state;
	write_file(path, "router {\n  local-users = {}\n}\n");
	assert_int_not_equal(check(wrong), RC_OK);
	EXPECT("router: relay-host: \"a b\" is no next hop");
}

/* A file that is no table at all is told of in a few lines, and the mistakes of a configuration end somewhere. */
static void
what_is_told_is_bounded(void **state)
{
	enum { LINES = 500, RULES = 150 };
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		(void)buf_put_str(&text, "a..b@example.org\n");
	write_file(table, buf_cstr(&text));
	buf_clear(&text);
	(void)buf_printf(&text, "router { local-users = {} }\ntable a {\n  file = \"%s\"\n}\n", table);
	for (unsigned i = 0; i < RULES; i++)
		(void)buf_printf(&text, "rule r%u { action = maybe }\n", i);
	write_file(path, buf_cstr(&text));
	assert_int_not_equal(check(NULL), RC_OK);
	assert_non_null(strstr(buf_cstr(&errors), "/table: and 480 more lines that are wrong\n"));
	assert_non_null(strstr(buf_cstr(&errors), "rule \"r98\": "));
	assert_null(strstr(buf_cstr(&errors), "rule \"r99\": "));
	assert_non_null(strstr(buf_cstr(&errors), "\nand 51 more; mend these first\n"));
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_mistake_has_its_own_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_mistake_in_tables_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_mistake_on_the_command_line_has_no_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_told_is_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
