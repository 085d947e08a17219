/* tests/master/test_conf_file.c -- postern.conf: what is read, and what is said about mistakes. */
#include "master/conf_check.h"
#include "master/conf_complete.h"
#include "master/conf_file.h"
#include "master/conf_networks.h"
#include "master/conf_warn.h"

#include "common/policy/networks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/folder.h"

static char path[64];
static struct buf errors;

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
write_table(const char *text, char file[80])
{
	FILE *f;

	(void)snprintf(file, 80, "%s.table", path);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	folder_template(path, sizeof path, "conf");
	fd = mkstemp(path);
	assert_true(fd != -1);
	(void)close(fd);
	buf_init(&errors, 1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	buf_free(&errors);
	return 0;
}

static struct conf_source
read_good(const char *text)
{
	struct conf_source s;

	write_file(text);
	if (conf_file_read(path, NULL, 0, &s, &errors) != RC_OK)
		fail_msg("%s", buf_cstr(&errors));
	return s;
}

/* The complaint must hold both words, after the file's name and this line. */
static void
expect_refusal(const char *text, unsigned line, const char *word, const char *other)
{
	struct conf_source s;
	char place[96];
	const char *said;

	write_file(text);
	assert_int_equal(conf_file_read(path, NULL, 0, &s, &errors), RC_SYNTAX);
	said = buf_cstr(&errors);
	(void)snprintf(place, sizeof place, "%s:%u: ", path, line);
	if (strstr(said, place) == NULL || strstr(said, word) == NULL || strstr(said, other) == NULL)
		fail_msg("expected '%s ... %s ... %s' in: %s", place, word, other, said);
}

static void
test_values(void **state)
{
	struct conf_source s = read_good("hostname = \"mx.example.org\"\n"
	    "smtpd { max-errors = 7\n max-message-size = 3M\n timeout-data = 1m30s\n client-names = no }\n"
	    "listener \"a\" { address = {\"127.0.0.1\", \"::1\"}\n port = 26 }\n"
	    "listener \"b\" { }\n"
	    "rule \"first\" { from = {\"a@b\"} }\nrule \"second\" { action = reject }\n");

	(void)state;
	assert_string_equal(s.conf->global.hostname, "mx.example.org");
	assert_int_equal(s.conf->smtpd.max_errors, 7);
	assert_int_equal(s.conf->smtpd.max_message_size, 3 << 20);
	assert_int_equal(s.conf->smtpd.timeout_data, 90000);
	assert_false(s.conf->smtpd.client_names);
	assert_int_equal(s.conf->n_listeners, 2);
	assert_int_equal(s.conf->listeners[0].address.n, 2);
	assert_int_equal(s.conf->listeners[0].port, 26);
	assert_int_equal(s.conf->listeners[1].port, 25);
	assert_int_equal(s.conf->n_rules, 2);
	assert_string_equal(s.conf->rules[1].title, "second");
	assert_string_equal(s.conf->rules[1].action, "reject");
	assert_int_equal(s.conf->rules[1].conf_line, 10);
	conf_source_free(&s);
}

static void
test_empty_list_means_none(void **state)
{
	struct conf_source s = read_good("router { relay-clients = {} }\n");

	(void)state;
	assert_int_equal(s.conf->router.relay_clients.n, 0);
	conf_source_free(&s);
	s = read_good("router { }\n");
	assert_true(s.conf->router.relay_clients.n > 0);
	conf_source_free(&s);
	s = read_good("router { relay-clients = {\"10.0.0.0/8\"} }\nrouter { relay-clients = {\n} }\n");
	assert_int_equal(s.conf->router.relay_clients.n, 0);
	conf_source_free(&s);
	s = read_good("router { relay-clients = {}\n relay-clients += {\"10.0.0.0/8\"}\n relay-clients += {} }\n");
	assert_int_equal(s.conf->router.relay_clients.n, 1);
	assert_string_equal(s.conf->router.relay_clients.v[0], "10.0.0.0/8");
	conf_source_free(&s);
}

static void
test_mistakes(void **state)
{
	(void)state;
	expect_refusal("smtpd {\n max-error = 5 }\n", 2, "'max-error'", "did you mean max-errors");
	expect_refusal("\nsmptd { max-errors = 5 }\n", 2, "'smptd'", "did you mean smtpd");
	expect_refusal("max-errors = 5\n", 1, "belongs into smtpd", "max-errors");
	expect_refusal("port = 2525\n", 1, "'port'", "into deliver { }, resolver { }, listener { } or transport { }\n");
	expect_refusal("timeout = 5m\n", 1, "it belongs into local { }, resolver { } or auth { }\n", "'timeout'");
	expect_refusal("smtpd { hostname = a.b }\n", 1, "it belongs at the top, outside any section\n", "'hostname'");
	expect_refusal("smtpd {\n\n max-errors = 0 }\n", 3, "out of range", "from 1 to");
	expect_refusal("smtpd { timeout-data = 5 }\n", 1, "makes no sense", "30s");
	expect_refusal("smtpd { client-names = perhaps }\n", 1, "makes no sense", "yes or no");
	expect_refusal("listener \"a\" { }\nlistener \"a\" { }\n", 2, "duplicate", "a");
	expect_refusal("listener { }\n", 1, "missing title", "listener");
}

/* libconfuse takes the end of the file for the end of all that is open. */
static void
test_what_does_not_end(void **state)
{
	(void)state;
	expect_refusal("hostname = \"a.b\"\nsmtpd {\n max-errors = 5\n", 2, "section that begins here is not closed", "write }");
	expect_refusal("log { }\n\nlistener \"a\"\n{ port = 25 }\nrouter {\n relay-clients = {\"::1\"}\n# }\n", 5, "section that",
	    "not closed");
	expect_refusal("smtpd { max-errors = 5 # }\n", 1, "section that", "not closed");
	expect_refusal("smtpd { max-errors = 5 // }\n", 1, "section that", "not closed");
	expect_refusal("smtpd { max-errors = 5 /* }\n } */ \n", 1, "section that", "not closed");
	expect_refusal("hostname = \"a.b\"\n/* smtpd { max-errors = 5 }\n/", 2, "comment that begins here", "does not end");
	expect_refusal("smtpd {\n}\nlog { to = \"/var/log/x }\n", 3, "string that begins here", "does not end");
	expect_refusal("smtpd {\n max-errors = 5\nlog { }\n", 3, "'log'", "is the } of smtpd missing above?");
}

/* libconfuse would count the end of a comment's line more than once. */
static void
test_lines_behind_comments(void **state)
{
	(void)state;
	expect_refusal("# one\n## two\n\n// four\nlog { } # five\n/* six\n seven */ /**/\nmax-foo = 3\n", 8, "'max-foo'", "");
	expect_refusal("log {\n # two {\n to = \"#\" # three\n // four }\n max-foo = 1 }\n", 5, "'max-foo'", "");
}

static void
test_lines_of_included_files(void **state)
{
	char other[80], text[256], place[96];
	struct conf_source s;

	(void)state;
	write_table("# one\nsmtpd {\n # three\n max-errors = 0 }\n", other);
	(void)snprintf(text, sizeof text, "# one\ninclude(\"%s\") # two\n# three\nlog { to = nowhere }\n"
	    "smtpd { max-hops = 1 }\n", other);
	(void)snprintf(place, sizeof place, "%s:4: ", other);
	expect_refusal(text, 5, "max-hops", place);
	buf_clear(&errors);
	write_table("smtpd {\n", other);
	assert_int_equal(conf_file_read(path, NULL, 0, &s, &errors), RC_SYNTAX);
	(void)snprintf(place, sizeof place, "%s:1: the section", other);
	assert_non_null(strstr(buf_cstr(&errors), place));
	assert_int_equal(unlink(other), 0);
}

/* Braces that are none. */
static void
test_what_ends(void **state)
{
	struct conf_source s = read_good("# {\n/* { * / { */ // {\nhostname = \"a{\\\"{.b\" log{to=/var/log/x}\n"
	    "/**/router{relay-host='{\\'{'}\n"
	    "listener \"{\" { address = {\"${NO_SUCH_VARIABLE:-::1}\"} }\nlocal { maildir = ~//x }# {");

	(void)state;
	assert_string_equal(s.conf->global.hostname, "a{\"{.b");
	assert_string_equal(s.conf->log.to, "/var/log/x");
	assert_string_equal(s.conf->router.relay_host, "{'{");
	assert_string_equal(s.conf->listeners[0].address.v[0], "::1");
	assert_string_equal(s.conf->local.maildir, "~//x");
	conf_source_free(&s);
}

static void
test_what_is_no_file(void **state)
{
	struct conf_source s;

	(void)state;
	assert_int_equal(conf_file_read("/tmp", NULL, 0, &s, &errors), RC_NOTFOUND);
	assert_non_null(strstr(buf_cstr(&errors), "not a regular file"));
	buf_clear(&errors);
	expect_refusal("hostname = \"a.b\"\ninclude(\"/tmp\")\n", 2, "/tmp", "not a regular file");
	expect_refusal("include(\"/nonexistent\")\n", 1, "/nonexistent", "No such file");
}

static void
test_all_mistakes_at_once(void **state)
{
	(void)state;
	expect_refusal("smtpd { max-errors = 0\n max-hops = 1 }\n", 1, "max-errors", "max-hops");
}

static void
test_overrides(void **state)
{
	char *good[] = { (char[]){ "smtpd.max-errors=9" }, (char[]){ "hostname=a.example" } };
	char *bad[] = { (char[]){ "smtpd.max-error=9" } }, *titled[] = { (char[]){ "listener.port=26" } };
	char *unknown[] = { (char[]){ "smptd.max-errors=9" } };
	struct conf_source s;

	(void)state;
	write_file("smtpd { max-errors = 5 }\n");
	assert_int_equal(conf_file_read(path, good, 2, &s, &errors), RC_OK);
	assert_int_equal(s.conf->smtpd.max_errors, 9);
	assert_string_equal(s.conf->global.hostname, "a.example");
	conf_source_free(&s);
	assert_int_equal(conf_file_read(path, bad, 1, &s, &errors), RC_SYNTAX);
	assert_non_null(strstr(buf_cstr(&errors), "did you mean max-errors"));
	assert_int_equal(conf_file_read(path, titled, 1, &s, &errors), RC_SYNTAX);
	assert_non_null(strstr(buf_cstr(&errors), "-o listener.port=26: the options of listener cannot be set here, since each"
	    " such section has a title; write it in the file\n"));
	assert_int_equal(conf_file_read(path, unknown, 1, &s, &errors), RC_SYNTAX);
	assert_non_null(strstr(buf_cstr(&errors), "there is no section 'smptd'"));
}

static void
refused_by_check(const char *text, const char *word)
{
	struct conf_source s = read_good(text);

	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	assert_int_equal(conf_check(&s, &errors), RC_SYNTAX);
	if (strstr(buf_cstr(&errors), word) == NULL)
		fail_msg("expected '%s' in: %s", word, buf_cstr(&errors));
	conf_source_free(&s);
	buf_clear(&errors);
}

static void
test_one_listener_at_a_place(void **state)
{
	(void)state;
	refused_by_check("hostname = \"mx.example.org\"\nlistener \"a\" { address = {\"127.0.0.1\", \"::1\"}\n port = 26 }\n"
	    "listener \"b\" { address = {\"192.0.2.1\", \"127.0.0.1\"}\n port = 26 }\n",
	    "port 26 of 127.0.0.1 is listener \"a\"'s too (127.0.0.1, line 2)");
	refused_by_check("hostname = \"mx.example.org\"\nlistener \"a\" { address = {\"*\"} }\n"
	    "listener \"b\" { address = {\"::\", \"127.0.0.1\"} }\n",
	    ":3: listener \"b\": port: port 25 of 127.0.0.1 is listener \"a\"'s too (*, line 2)");
	refused_by_check("hostname = \"mx.example.org\"\nlistener \"a\" { address = {\"::1\", \"*\", \"::\"} }\n",
	    ":2: listener \"a\": address: ::1 and :: overlap");
}

/* A table "t" in a file, declared by these options of its own and used by what follows it. */
static void
refused_table(const char *table, const char *options, const char *user, const char *word)
{
	char file[80], text[512];
	struct conf_source s;
	enum rc rc;

	write_table(table, file);
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\ntable \"t\" { file = \"%s%s }\n%s\n", file, options, user);
	s = read_good(text);
	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	rc = conf_networks_read(s.conf, &errors);
	if (rc == RC_OK)
		rc = conf_check(&s, &errors);
	if (rc == RC_OK || strstr(buf_cstr(&errors), word) == NULL)
		fail_msg("expected '%s' in: %s", word, buf_cstr(&errors));
	assert_int_equal(unlink(file), 0);
	conf_source_free(&s);
	buf_clear(&errors);
}

/* Every list that takes networks takes those of a file, which smtpd finds in the configuration that it is sent. */
static void
test_networks_of_table_files(void **state)
{
	char file[80], all[512];
	struct buf wire = BUF_INIT(1 << 20);
	struct conf *sent;
	struct conf_source s;
	struct table_hit hit;
	struct table *t;
	struct ip ip;

	(void)state;
	write_table("# ours\n192.0.2.0/24\n2001:db8::7 a value\n", file);
	(void)snprintf(all, sizeof all, "hostname = \"mx.example.org\"\ntable \"near\" { file = \"%s\" }\n"
	    "table \"rest\" { file = \"/nonexistent\" }\nrouter { relay-clients = {\"@near\"}\n local-users = {\"@rest\"} }\n"
	    "smtpd { vrfy = {\"10.0.0.0/8\"}\n report-clients = {} }\nlistener \"x\" { proxy = {\"@near\"}\n port = 26 }\n",
	    file);
	s = read_good(all);
	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	assert_int_equal(conf_networks_read(s.conf, &errors), RC_OK);	/* a file that only the router needs is not touched */
	if (conf_check(&s, &errors) != RC_OK)
		fail_msg("%s", buf_cstr(&errors));
	assert_true(conf_encode(s.conf, &wire));
	assert_int_equal(conf_decode(buf_slice(&wire), &sent), RC_OK);
	for (size_t n = 0; n < buf_len(&wire); n += 97)
		assert_int_equal(conf_decode(slice_first(buf_slice(&wire), n), &(struct conf *){ NULL }), RC_SYNTAX);
	assert_int_equal(networks_compile(sent, &sent->limits.exempt, &t, NULL), RC_OK);
	assert_int_equal(ip_parse(S("192.0.2.9"), &ip), RC_OK);
	assert_true(table_has_ip(t, ip, &hit));
	assert_int_equal(ip_parse(S("192.0.3.9"), &ip), RC_OK);
	assert_false(table_has_ip(t, ip, &hit));
	table_free(t);
	assert_int_equal(networks_compile(sent, &sent->listeners[0].proxy, &t, NULL), RC_OK);
	assert_int_equal(ip_parse(S("2001:db8::7"), &ip), RC_OK);
	assert_true(table_has_ip(t, ip, &hit));
	table_free(t);
	assert_int_equal(unlink(file), 0);
	conf_unref(sent);
	buf_free(&wire);
	conf_source_free(&s);
}

/* The file is the router's alone, which takes it at any size: no list of smtpd's names relay-clients. */
static void
test_relay_clients_that_only_the_router_asks(void **state)
{
	static const char lists[] = "limits { exempt = {} }\n"
	    "smtpd { vrfy = {}\n report-clients = {}\n max-table-networks = 1 }\n";
	char file[80], text[512];
	struct conf_source s;

	(void)state;
	write_table("192.0.2.0/24\n198.51.100.0/24\n", file);
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\ntable \"t\" { file = \"%s\" }\n%s"
	    "router { relay-clients = {\"10.0.0.0/8\", \"@t\"} }\n", file, lists);
	s = read_good(text);
	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	assert_int_equal(conf_networks_read(s.conf, &errors), RC_OK);
	assert_int_equal(s.conf->n_networks, 0);
	if (conf_check(&s, &errors) != RC_OK)
		fail_msg("%s", buf_cstr(&errors));
	assert_int_equal(unlink(file), 0);
	conf_source_free(&s);
	/* What stands beside such a table is looked at none the less. */
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\ntable \"t\" { file = \"/nonexistent\" }\n%s"
	    "router { relay-clients = {\"@t\", \"192.0.2.0/33\"} }\n", lists);
	refused_by_check(text, ":7: router: relay-clients: \"192.0.2.0/33\" is no network; write");
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\n%srouter { relay-clients = {\"@t\"} }\n", lists);
	refused_by_check(text, "relay-clients: '@t' is no table; declare it");
}

static void
test_table_files_that_hold_no_networks(void **state)
{
	static const char exempt[] = "limits { exempt = {\"@t\"} }";

	(void)state;
	refused_table("192.0.2.1\nexample.org\n", "\"", exempt, ".table:2: 'example.org' is no network");
	refused_table("192.0.2.0/33\n", "\"", exempt, ".table:1: ");
	refused_table("root:x:0:0::/:\n", "\"\n format = passwd", exempt, "is a file of users");
	refused_table("192.0.2.1\n192.0.2.2\n", "\"", "smtpd { etrn-clients = {\"@t\"}\n max-table-networks = 1 }",
	    "holds 2 networks, more than smtpd { max-table-networks }");
	refused_table("", ".no\"", exempt, ".no: cannot be opened");
	refused_table("", "\"", "limits { exempt = {\"@u\"} }", ":3: limits: exempt: '@u' is no table; declare it");
	refused_table("", "\"", "auth { unlimited-users = {\"@t\"} }", ":3: auth: unlimited-users: '@t': no table");
}

static void
warns(const char *text, const char *word)
{
	struct conf_source s = read_good(text);
	struct buf notes = BUF_INIT(4096);

	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	if (conf_check(&s, &errors) != RC_OK)
		fail_msg("%s", buf_cstr(&errors));
	conf_warn_text(&s, &notes);
	conf_warn(s.conf, &notes);
	if (word == NULL ? buf_len(&notes) > 0 : buf_len(&notes) == 0 || strstr(buf_cstr(&notes), word) == NULL)
		fail_msg("expected '%s' in: %s", word == NULL ? "nothing" : word, buf_cstr(&notes));
	buf_free(&notes);
	conf_source_free(&s);
}

static void
test_written_twice_or_wider_than_it_looks(void **state)
{
	(void)state;
	warns("hostname = \"a.b\"\nsmtpd { max-errors = 5\n max-errors = 6 }\n",
	    ":2: warning: smtpd: max-errors: stands a second time, in line 3, and only");
	warns("hostname = \"a.b\"\nsmtpd { max-errors = 5 }\nsmtpd { max-hops = 50 }\nsmtpd { max-errors = 6 }\n", "in line 4");
	warns("hostname = \"a.b\"\nrouter { local-domains = {\"a.b\", \"c.d\"}\n local-domains = {\"e.f\"} }\n",
	    "local-domains: stands a second time, in line 3");
	warns("hostname = \"a.b\"\nrouter { local-domains = {\"a.b\"}\n local-domains = {\"e.f\"} }\n", "time, in line 3");
	warns("hostname = \"a.b\"\nrouter { local-domains = {\"a.b\"}\n local-domains += {\"e.f\", \"g.h\"} }\n", NULL);
	warns("hostname = \"a.b\"\nrouter { relay-clients = {\"192.0.2.0/24\", \"10.0.0.1/8\"} }\n",
	    ":2: warning: router: relay-clients: 10.0.0.1/8 means all of 10.0.0.0/8; write that");
	/* Lists that are empty. */
	warns("hostname = \"a.b\"\nrouter { local-domains = {}\n local-domains = {\"e.f\"} }\n", "time, in line 3");
	warns("hostname = \"a.b\"\nrouter { local-domains = {\"a.b\"}\n local-domains = { # nothing\n } }\n", "time, in line 4");
	warns("hostname = \"a.b\"\nrouter { local-domains = {}\n local-domains += {\"e.f\"} }\n", NULL);
	warns("hostname = \"a.b\"\nrouter { local-domains = {\"a.b\"}\n local-domains += {} }\n", NULL);
	warns("hostname = \"a.b\"\nrule \"r\" { client = {\"2001:db8::1/32\"} }\n",
	    "rule \"r\": client: 2001:db8::1/32 means all of 2001:db8::/32");
	warns("hostname = \"a.b\"\nrouter { relay-clients = {\"192.0.2.0/24\", \"192.0.2.1\", \"2001:db8::1/128\", \"@t\"}\n"
	    " local-domains = {\"a.b\", \"c.d\"} }\nrule \"r\" { client = {\"10.0.0.0/8\"} }\n"
	    "rule \"s\" { client = {\"10.0.0.0/8\"} }\ntable \"t\" { values = {\"10.1.0.0/16\"} }\n", NULL);
}

/* What a start would not find is no news to -n. */
static void
test_what_is_not_there(void **state)
{
	(void)state;
	refused_by_check("hostname = \"a.b\"\nadmin-group = \"no-such-group-here\"\n",
	    ":2: admin-group: there is no group no-such-group-here");
	refused_by_check("hostname = \"a.b\"\nlog { to = \"/nonexistent/folder/log\" }\n",
	    ":2: log: to: there is no folder /nonexistent/folder; make it");
	refused_by_check("hostname = \"a.b\"\nlog { to = \"/dev/null/log\" }\n", "there is no folder /dev/null; make it");
	refused_by_check("hostname = \"a.b\"\nresolver { root-hints = \"/nonexistent/hints\" }\n",
	    ":2: resolver: root-hints: there is no file /nonexistent/hints; make it, or leave the option out");
	refused_by_check("hostname = \"a.b\"\nresolver { trust-anchor = \"/tmp\" }\n",
	    ":2: resolver: trust-anchor: there is no file /tmp");
	refused_by_check("hostname = \"a.b\"\nauth { certificates-file = \"/nonexistent\" }\n",
	    ":2: auth: certificates-file: there is no file /nonexistent");
	refused_by_check("hostname = \"a.b\"\nauth { certificates-file = \"here\" }\n", "'here' must be a whole path");
	warns("hostname = \"a.b\"\nresolver { root-hints = \"/etc/passwd\"\n trust-anchor = none }\n"
	    "auth { certificates-file = \"/etc/passwd\" }\n", NULL);
	warns("hostname = \"a.b\"\nlog { to = \"/dev/log-of-ours\" }\nadmin-group = \"root\"\n", NULL);
}

static void
test_a_host_without_a_domain(void **state)
{
	(void)state;
	warns("hostname = \"box.localdomain\"\n", "warning: hostname: this server calls itself box.localdomain, which is no");
	warns("hostname = \"localdomain.test\"\n", NULL);
	warns("hostname = \"box.notlocaldomain\"\n", NULL);
}

/* A rule that refuses by names, which nobody looks up, refuses nobody. */
static void
test_names_that_nobody_looks_up(void **state)
{
	static const char rule[] = "rule \"r\" { client-name = {\"*.x.test\"}\n action = reject }\n";
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\nsmtpd { client-names = no }\n%s", rule);
	warns(text, ":3: warning: rule \"r\": client-name matches nobody, since smtpd { client-names } is no");
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\n%s", rule);
	warns(text, NULL);
	(void)snprintf(text, sizeof text, "hostname = \"a.b\"\nsmtpd { client-names = no }\nlistener \"l\" { port = 25\n"
	    " xclient = {\"192.0.2.1\"} }\n%s", rule);
	warns(text, NULL);
}

/* A listener for logins at which nobody can log in. */
static void
test_nobody_can_log_in(void **state)
{
	static const char submission[] = "hostname = \"a.b\"\nlistener \"s\" { port = 587\n kind = submission ";
	static const struct { const char *listener, *rest, *word; } cases[] = {
		{ "}\n", "",
		    ":2: warning: listener \"s\": nobody can log in here, and so nobody can send: there is nothing to log" },
		{ "}\n", "auth { users-file = \"/u\" }\n", "there is no certificate section" },
		{ "\n tls = none }\n", "auth { users-file = \"/u\" }\ncertificate \"c\" { }\n", "and tls = none" },
		{ "\n auth-without-tls = yes }\n", "auth { users-file = \"/u\" }\n", NULL },
		{ "}\n", "auth { dovecot = \"/d\" }\ncertificate \"c\" { }\n", NULL },
		{ "}\n", "auth { users-file = \"/u\"\n mechanisms = {\"external\"} }\ncertificate \"c\" { }\n",
		    "none that takes a password" },
		{ "}\n", "auth { certificates-file = \"/etc/passwd\" }\ncertificate \"c\" { }\n",
		    "set client-certificate = request" },
		{ "\n client-certificate = request }\n", "auth { certificates-file = \"/etc/passwd\" }\ncertificate \"c\" { }\n",
		    NULL },
		{ "\n client-certificate = request }\n",
		    "auth { certificates-file = \"/etc/passwd\"\n mechanisms = {\"PLAIN\"} }\ncertificate \"c\" { }\n",
		    "leave EXTERNAL in" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[512];

		(void)snprintf(text, sizeof text, "%s%s%s", submission, cases[i].listener, cases[i].rest);
		warns(text, cases[i].word);
	}
	warns("hostname = \"a.b\"\nlistener \"mx\" { auth = yes }\n", "listener \"mx\": nobody can log in here: ");
	warns("hostname = \"a.b\"\nlistener \"mx\" { }\n", NULL);
}

/* shows: RFC8314 4.2/1 */
static void
test_certificates_that_nobody_looks_at(void **state)
{
	static const char what[] = "warning: listener \"s\": client-certificate = ";
	static const struct { const char *listener, *rest; bool used; } cases[] = {
		{ "client-certificate = request", "", false },
		{ "client-certificate = require", "", false },
		{ "client-certificate = none", "", true },
		{ "client-certificate = require\n client-ca = \"/ca\"", "", true },
		{ "client-certificate = request\n client-ca = \"/ca\"", "", false },
		{ "client-certificate = request", "rule \"r\" { client-certificate = {\"@t\"} }\n", true },
		{ "client-certificate = request", "rule \"q\" { client = {\"@t\"} }\n", false },
		{ "client-certificate = request", "rule \"r\" { listener = {\"s\"}\n client-certificate = {\"@t\"} }\n", true },
		{ "client-certificate = request", "rule \"r\" { listener = {\"o\"}\n client-certificate = {\"@t\"} }\n", false },
		{ "client-certificate = request", "router { relay-certificates = {\"@t\"} }\n", true },
		{ "auth = yes\n client-certificate = request", "auth { certificates-file = \"/etc/passwd\" }\n", true },
		{ "client-certificate = request", "auth { certificates-file = \"/etc/passwd\" }\n", false },
		{ "auth = yes\n client-certificate = request", "auth { certificates-file = \"/etc/passwd\"\n"
		    " users-file = \"/u\"\n mechanisms = {\"PLAIN\"} }\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[1024];

		(void)snprintf(text, sizeof text, "hostname = \"a.b\"\nlistener \"s\" { port = 26\n %s }\n"
		    "listener \"o\" { port = 27 }\ncertificate \"c\" { }\ntable \"t\" { values = {\"192.0.2.1\"} }\n%s",
		    cases[i].listener, cases[i].rest);
		warns(text, cases[i].used ? NULL : what);
	}
}

/* What is wrong is said once, where it stands, and not of every list that takes relay-clients over. */
static void
test_networks_are_named_where_they_stand(void **state)
{
	struct conf_source s = read_good("hostname = \"mx.example.org\"\nrouter {\n relay-clients = {\"192.0.2.0/33\"} }\n");

	(void)state;
	assert_int_equal(conf_complete(s.conf, false, &errors), RC_OK);
	assert_int_equal(conf_check(&s, &errors), RC_SYNTAX);
	if (strstr(buf_cstr(&errors), ":3: router: relay-clients") == NULL || strstr(buf_cstr(&errors), "exempt") != NULL)
		fail_msg("said: %s", buf_cstr(&errors));
	conf_source_free(&s);
	buf_clear(&errors);
}

static void
test_what_a_listener_needs_is_not_switched_off(void **state)
{
	(void)state;
	refused_by_check("hostname = \"a.b\"\nlistener \"s\" {\n kind = submission\n disable = {\"AUTH\"} }\n",
	    ":4: listener \"s\": disable: AUTH must be left on: nobody could send mail to listener \"s\"");
	refused_by_check("hostname = \"a.b\"\nsmtpd { disable = {\"auth\"} }\nlistener \"s\" { kind = submission }\n",
	    ":2: smtpd: disable: AUTH must be left on");
	refused_by_check("hostname = \"a.b\"\ncertificate \"c\" { }\nlistener \"s\" { require-tls = yes\n"
	    " disable = {\"STARTTLS\"} }\n", ":4: listener \"s\": disable: STARTTLS must be left on");
	warns("hostname = \"a.b\"\nlistener \"s\" { disable = {\"AUTH\", \"STARTTLS\"} }\n", NULL);
}

/* shows: RFC5321 4.1.2/10, RFC5321 2.3.5/2, RFC6531 3.7.1/2 */
static void
test_checks(void **state)
{
	(void)state;
	refused_by_check("hostname = \"under_score.example.org\"\n", ":1: hostname: 'under_score.example.org' is no domain name");
	refused_by_check("hostname = \"gr\xc3\xbcn.example.org\"\n", "is no domain name");
	refused_by_check("hostname = \"[192.0.2.1]\"\n", "is no domain name");
	refused_by_check("hostname = \"a.b\"\ndeliver { helo = \"gr\xc3\xbcn.example.org\" }\n", "is no domain name");
	refused_by_check("hostname = \"a.b\"\nsmtpd { vrfy = {\"300.1.1.1\"} }\n", ":2: smtpd: vrfy: ");
	refused_by_check("hostname = \"nodot\"\n", ":1: hostname: 'nodot' has no dot");
	refused_by_check("hostname = \"a.b\"\nlog { to = nowhere }\n", ":2: log: to: 'nowhere'");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { address = {\"300.1.1.1\"} }\n",
	    ":2: listener \"x\": address: '300.1.1.1'");
	refused_by_check("hostname = \"a.b\"\nresolver { mode = forward }\n", "forwarders");
	refused_by_check("hostname = \"a.b\"\nlocal { users = {\"bob:10:10:/home/bob\"} }\n", "min-uid");
	refused_by_check("hostname = \"a.b\"\nlocal { users = {\"bob:x\"} }\n", "name:uid:gid:/home/name");
	refused_by_check("hostname = \"a.b\"\ntls { min-version = \"TLSv1.1\" }\n",
	    ":2: tls: min-version: 'TLSv1.1' is not to be used");
	refused_by_check("hostname = \"a.b\"\ntls { ciphers = \"ECDHE+AESGCM:TYPO\" }\n",
	    ":2: tls: ciphers: 'TYPO' is no cipher suite");
	refused_by_check("hostname = \"a.b\"\ntls { groups = \"ffdhe2048\" }\n", ":2: tls: groups: 'ffdhe2048' is finite-field");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { tls = yes }\n", ":2: listener \"x\": tls: 'yes' makes no sense");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { tls = implicit }\n",
	    ":2: listener \"x\": tls: implicit needs a certificate");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { require-tls = yes }\n", "require-tls: needs a certificate");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { client-ca = \"/ca.pem\" }\n", "client-ca: is of no use");
	refused_by_check("hostname = \"a.b\"\nroute \"r\" { transport = \"nosuch\" }\n", "no transport \"nosuch\"");
	refused_by_check("hostname = \"a.b\"\ntransport \"fast\" { }\n"
	    "rule \"r\" { client = {\"192.0.2.1\"}\n transport = fats }\n",
	    ":4: rule \"r\": transport: there is no transport \"fats\"; declare one, or use smtp or local; did you mean fast?");
	refused_by_check("hostname = \"a.b\"\nroute \"r\" { transport = smpt }\n", "; did you mean smtp?");
	refused_by_check("hostname = \"a.b\"\nauth { users-file = \"/u\"\n dovecot = \"/d\" }\n",
	    ":3: auth: dovecot: cannot stand beside users-file");
	refused_by_check("hostname = \"a.b\"\ntable \"t\" { file = \"/t\"\n values = {\"x\"} }\n",
	    ":2: table \"t\": file: cannot stand beside values");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { tls = none\n require-tls = yes }\n",
	    ":3: listener \"x\": require-tls: cannot stand beside tls = none");
	refused_by_check("hostname = \"a.b\"\nlistener \"x\" { tls = none\n client-certificate = request }\n",
	    ":3: listener \"x\": client-certificate: cannot stand beside tls = none");
	refused_by_check("hostname = \"a.b\"\nqueue { retry-first = 2h\n retry-max = 1h }\n", "retry-first");
}

static void
test_no_file(void **state)
{
	struct conf_source s;

	(void)state;
	assert_int_equal(conf_file_read("/nonexistent/postern.conf", NULL, 0, &s, &errors), RC_NOTFOUND);
	assert_int_equal(conf_file_read(NULL, NULL, 0, &s, &errors), RC_OK);
	assert_int_equal(conf_complete(s.conf, true, &errors), RC_OK);
	assert_int_equal(s.conf->n_listeners, 1);
	assert_int_equal(s.conf->listeners[0].port, EMBEDDED_PORT);
	conf_source_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty_list_means_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_listener_at_a_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_networks_of_table_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relay_clients_that_only_the_router_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table_files_that_hold_no_networks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_host_without_a_domain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_that_nobody_looks_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_can_log_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_listener_needs_is_not_switched_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_certificates_that_nobody_looks_at, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_written_twice_or_wider_than_it_looks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_networks_are_named_where_they_stand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_does_not_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lines_behind_comments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lines_of_included_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_mistakes_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overrides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_checks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("conf_file", tests, NULL, NULL);
}
