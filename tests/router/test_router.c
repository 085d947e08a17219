/* tests/router/test_router.c -- the real postern-router, sandboxed, between a test that plays master and its askers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/admin.h"
#include "common/ipc/peer.h"
#include "tests/router/house.h"
#include "tests/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct world {
	int master;		/* our end of the room's line 3 */
	pid_t pid;
	char folder[64], table[72];
	uint32_t generation;
};

#define SEND(fd_, TYPE, lower, handle, send_fd, ...) do {						\
	uint8_t *space_ = malloc(IPC_FRAME_MAX);							\
	struct wr w_ = { space_, 0, IPC_FRAME_MAX, false };						\
	assert_true(lower##_put(&w_, &(struct lower){ __VA_ARGS__ }));					\
	assert_int_equal(frame_write_blocking(fd_, TYPE, handle, slice_of(space_, w_.n), send_fd), RC_OK); \
	free(space_);											\
} while (0)

static const struct house_line house[] = {
	{ "listener", "smtp", "address", "198.51.100.1" },
	{ "router", "", "local-domains", "postern.test" },
	{ "router", "", "local-users", "@users" },
	{ "router", "", "relay-clients", "10.0.0.0/8" },
	{ "table", "users", "file", "/etc/postern/users" },
	{ "rule", "no-spam", "from", "spam.test" },
	{ "rule", "no-spam", "action", "reject" },
	{ "rule", "no-books", "from", "*.xn--bcher-kva.test" },
	{ "rule", "no-books", "action", "reject" },
	{ "rule", "dial-up", "client-name", "*.dial.test" },
	{ "rule", "dial-up", "to", "alice@postern.test" },
	{ "rule", "dial-up", "action", "reject" },
};

static void
write_table(struct world *world, const char *text)
{
	FILE *f = fopen(world->table, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* What master sends for one generation: configuration, the table, go. */
static void
send_generation(struct world *world, bool with_table)
{
	struct conf *c = house_conf(house, COUNT(house));
	struct buf blob = BUF_INIT(1 << 20);
	int table = open(world->table, O_RDONLY | O_CLOEXEC);

	c->generation = ++world->generation;
	assert_true(conf_encode(c, &blob));
	SEND(world->master, M_CONFIG, m_config, 0, -1, c->generation, (uint32_t)buf_len(&blob), 0, buf_slice(&blob));
	if (with_table)
		SEND(world->master, M_FILE, m_file, 0, table, c->generation, FILE_TABLE, S("users"), S("/etc/postern/users"));
	SEND(world->master, M_GO, m_go, 0, -1, c->generation, 64321, 64321, slice_str(world->folder));
	(void)close(table);
	buf_free(&blob);
	conf_unref(c);
}

static void
start(struct world *world, const char *table, bool with_table)
{
	const char *build = getenv("builddir");
	char program[4096];
	int pair[2];

	*world = (struct world){ .master = -1 };
	(void)snprintf(program, sizeof program, "%s/router/postern-router", build == NULL ? "." : build);
	folder_template(world->folder, sizeof world->folder, "router");
	assert_non_null(mkdtemp(world->folder));
	assert_int_equal(chmod(world->folder, 0555), 0);
	(void)snprintf(world->table, sizeof world->table, "%s-table", world->folder);
	write_table(world, table);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0) {
		if (dup2(pair[1], 3) == 3)
			(void)execl(program, "postern-router", "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	world->master = pair[0];
	send_generation(world, with_table);
}

static struct m_ready
next_ready(struct world *world, struct buf *b)
{
	struct frame f;
	struct m_ready ready;
	struct rd r;

	assert_int_equal(frame_read_blocking(world->master, ROLE_MASTER, ROLE_ROUTER, b, &f), RC_OK);
	assert_int_equal(f.type, M_READY);
	r = (struct rd){ f.body, false };
	assert_true(m_ready_get(&r, &ready));
	return ready;
}

static int
line_as(struct world *world, enum role role)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	SEND(world->master, M_LINE, m_line, 0, pair[1], (uint8_t)role, 0);
	(void)close(pair[1]);
	return pair[0];
}

static int
stop(struct world *world)
{
	int status;

	(void)close(world->master);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	(void)unlink(world->table);
	(void)rmdir(world->folder);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct r_verdict
verdict_of(int line, enum role us, struct buf *b, uint32_t handle)
{
	struct frame f;
	struct r_verdict v;
	struct rd r;

	assert_int_equal(frame_read_blocking(line, us, ROLE_ROUTER, b, &f), RC_OK);
	assert_int_equal(f.type, R_VERDICT);
	assert_int_equal(f.handle, handle);
	r = (struct rd){ f.body, false };
	assert_true(r_verdict_get(&r, &v));
	return v;
}

static struct r_verdict
check(int line, struct buf *b, const char *to)
{
	struct ip client = { 0, { 0 } };

	assert_int_equal(ip_parse(S("203.0.113.9"), &client), RC_OK);
	SEND(line, R_CHECK, r_check, 7, -1, S("smtp"), client, S(""), S("x"), S("a@b.test"), slice_str(to), 0, S(""), S(""),
	    S(""), 0, 0);
	return verdict_of(line, ROLE_SMTPD, b, 7);
}

static void
questions_are_answered(void **state)
{
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	struct r_verdict v;
	int smtpd, queue;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "alice\n", true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	smtpd = line_as(&world, ROLE_SMTPD);
	v = check(smtpd, &b, "alice@postern.test");
	assert_int_equal(v.action, VERDICT_ACCEPT);
	assert_true(slice_eq(v.transport, S("local")) && slice_eq(v.nexthop, S("alice")));
	assert_int_equal(v.generation, 1);
	v = check(smtpd, &b, "a@victim.test");
	assert_int_equal(v.action, VERDICT_REJECT);
	assert_int_equal(v.code, 550);
	assert_true(slice_eq(v.enhanced, S("5.7.1")) && slice_eq(v.text, S("Relay access denied")) &&
	    slice_eq(v.rule, S("builtin:reject")));
	queue = line_as(&world, ROLE_QUEUE);
	SEND(queue, R_ROUTE, r_route, 9, -1, S(""), S("a@far.test"));
	v = verdict_of(queue, ROLE_QUEUE, &b, 9);
	assert_int_equal(v.action, VERDICT_ACCEPT);
	assert_true(slice_eq(v.transport, S("smtp")) && slice_eq(v.nexthop, S("far.test")));
	(void)close(smtpd);
	(void)close(queue);
	buf_free(&b);
	assert_int_equal(stop(&world), 0);
}

static void
a_reload_that_is_broken_changes_nothing(void **state)
{
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	struct m_ready ready;
	int smtpd;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "alice\n", true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	smtpd = line_as(&world, ROLE_SMTPD);
	write_table(&world, "alice\nbob\n");
	send_generation(&world, true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	assert_int_equal(check(smtpd, &b, "alice@postern.test").action, VERDICT_ACCEPT);
	write_table(&world, "alice\nb b@d@e\n@x\n");
	send_generation(&world, true);
	ready = next_ready(&world, &b);
	assert_int_not_equal(ready.status, RC_OK);
	assert_true(slice_eq(ready.why, S("/etc/postern/users:3: \"@x\" has no local part; for a whole domain write "
	    "example.org")));
	assert_int_equal(check(smtpd, &b, "alice@postern.test").action, VERDICT_ACCEPT);
	assert_int_equal(check(smtpd, &b, "alice@postern.test").generation, 2);
	send_generation(&world, false);
	ready = next_ready(&world, &b);
	assert_int_not_equal(ready.status, RC_OK);
	assert_int_equal(check(smtpd, &b, "alice@postern.test").action, VERDICT_ACCEPT);
	write_table(&world, "carol\n");
	send_generation(&world, true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	assert_int_equal(check(smtpd, &b, "alice@postern.test").action, VERDICT_REJECT);
	(void)close(smtpd);
	buf_free(&b);
	assert_int_equal(stop(&world), 0);
}

static void
a_broken_start_is_refused(void **state)
{
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	struct m_ready ready;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "a@b@c\n", true);
	ready = next_ready(&world, &b);
	assert_int_not_equal(ready.status, RC_OK);
	assert_true(slice_starts(ready.why, S("/etc/postern/users:1: ")));
	assert_int_not_equal(stop(&world), 0);
	start(&world, "alice\n", false);
	ready = next_ready(&world, &b);
	assert_true(slice_eq(ready.why, S("postern.conf:5: table \"users\": file: /etc/postern/users: could not be opened")));
	assert_int_not_equal(stop(&world), 0);
	buf_free(&b);
}

/* A room that was broken into may say anything: it loses its line, and nobody else notices. */
static void
bad_askers_are_dropped(void **state)
{
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	int smtpd, queue;
	char byte;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "alice\n", true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	queue = line_as(&world, ROLE_QUEUE);
	smtpd = line_as(&world, ROLE_SMTPD);
	/* Cut short. */
	assert_int_equal(frame_write_blocking(smtpd, R_CHECK, 1, S("\1\0\0\0"), -1), RC_OK);
	assert_int_equal(read(smtpd, &byte, 1), 0);
	(void)close(smtpd);
	/* Not smtpd's question to ask. */
	smtpd = line_as(&world, ROLE_SMTPD);
	SEND(smtpd, R_ROUTE, r_route, 1, -1, S(""), S("a@b.test"));
	assert_int_equal(read(smtpd, &byte, 1), 0);
	(void)close(smtpd);
	/* Too long for any address. */
	smtpd = line_as(&world, ROLE_SMTPD);
	char *big = calloc(1, 2000);
	struct ip none = { 0, { 0 } };
	SEND(smtpd, R_CHECK, r_check, 1, -1, S(""), none, S(""), S(""), S(""), slice_of(big, 2000), 0, S(""), S(""), S(""), 0, 0);
	assert_int_equal(read(smtpd, &byte, 1), 0);
	(void)close(smtpd);
	free(big);
	SEND(queue, R_ROUTE, r_route, 3, -1, S(""), S("alice@postern.test"));
	assert_int_equal(verdict_of(queue, ROLE_QUEUE, &b, 3).action, VERDICT_ACCEPT);
	(void)close(queue);
	buf_free(&b);
	assert_int_equal(stop(&world), 0);
}

/* --- explain --- */

static uint32_t
ask_explain(int line, const char *arg, uint64_t cursor, uint32_t limit, struct buf *b, struct buf *rows, struct a_end *ret_end,
    struct buf *text)
{
	struct frame f;
	struct a_row row = { .kind = 0 };
	uint32_t n = 0;

	SEND(line, A_REQUEST, a_request, 5, -1, ADMIN_EXPLAIN, slice_str(arg), S(""), cursor, limit);
	for (;; n++) {
		assert_int_equal(frame_read_blocking(line, ROLE_CONTROL, ROLE_ROUTER, b, &f), RC_OK);
		assert_int_equal(f.handle, 5);
		struct rd r = { f.body, false };
		if (f.type == A_END) {
			assert_true(a_end_get(&r, ret_end));
			assert_true(buf_put_slice(text, ret_end->text));
			return n;
		}
		assert_int_equal(f.type, A_ROW);
		assert_true(a_row_get(&r, &row));
		assert_int_equal(row.kind, ADMIN_ROW_JSON);
		assert_true(buf_put_slice(rows, row.row) && buf_put_byte(rows, '\n'));
	}
}

static void
explain_in_pages(void **state)
{
	static const char arg[] = "client=203.0.113.9\nfrom=a@b.test\nto=alice@postern.test\nlistener=smtp\nhelo=x\n"
	    "client_name=y.test\n";
	static const char expect[] =
	    "{\"rule\":\"no-spam\",\"matched\":false,\"why\":\"from is another\"}\n"
	    "{\"rule\":\"no-books\",\"matched\":false,\"why\":\"from is another\"}\n"
	    "{\"rule\":\"dial-up\",\"matched\":false,\"why\":\"client-name is another\"}\n"
	    "{\"rule\":\"builtin:postmaster\",\"matched\":false,\"why\":\"the recipient is not postmaster\"}\n"
	    "{\"rule\":\"builtin:local\",\"matched\":true,\"why\":\"the domain is local and the user exists\"}\n"
	    "{\"action\":\"accept\",\"rule\":\"builtin:local\",\"code\":250,\"enhanced\":\"2.1.5\",\"text\":\"Recipient "
	    "accepted\",\"transport\":\"local\",\"nexthop\":\"alice\",\"generation\":1}\n";
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX), rows = BUF_INIT(1 << 16), text = BUF_INIT(4096);
	struct a_end end;
	int control;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "alice\n", true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	control = line_as(&world, ROLE_CONTROL);
	assert_int_equal(ask_explain(control, arg, 0, 0, &b, &rows, &end, &text), 6);
	assert_int_equal(end.status, RC_OK);
	assert_int_equal(end.more, 0);
	assert_string_equal(buf_cstr(&rows), expect);
	buf_clear(&rows);
	assert_int_equal(ask_explain(control, arg, 0, 3, &b, &rows, &end, &text), 3);
	assert_int_equal(end.more, 1);
	assert_int_equal(ask_explain(control, arg, end.cursor, 3, &b, &rows, &end, &text), 3);
	assert_int_equal(end.more, 0);
	assert_string_equal(buf_cstr(&rows), expect);
	/* A rule by names waits for a name that cannot be looked up; a client without a name is none of its. */
	buf_clear(&rows);
	(void)ask_explain(control, "client=192.0.2.1\nto=alice@postern.test\nclient_name_failed=yes\n", 0, 0, &b, &rows, &end,
	    &text);
	assert_non_null(strstr(buf_cstr(&rows), "{\"rule\":\"dial-up\",\"matched\":true,\"why\":\"the name of the client"
	    " decides, and cannot be looked up now\""));
	assert_non_null(strstr(buf_cstr(&rows), "\"code\":450,\"enhanced\":\"4.4.3\""));
	buf_clear(&rows);
	(void)ask_explain(control, "client=192.0.2.1\nto=alice@postern.test\nclient_name_failed=no\n", 0, 0, &b, &rows, &end,
	    &text);
	assert_null(strstr(buf_cstr(&rows), "4.4.3"));
	buf_clear(&rows);
	buf_clear(&text);
	/* A domain as people write it: the rule and the verdict of its form in ASCII. */
	(void)ask_explain(control, "client=192.0.2.1\nfrom=x@spam.b\xc3\xbc" "cher.test\nto=x@M\xc3\x9cNCHEN.test\n", 0, 0, &b,
	    &rows, &end, &text);
	assert_non_null(strstr(buf_cstr(&rows), "{\"rule\":\"no-books\",\"matched\":true,\"why\":\"from is in "));
	buf_clear(&rows);
	(void)ask_explain(control, "client=10.0.0.1\nfrom=\nto=x@M\xc3\x9cNCHEN.test\n", 0, 0, &b, &rows, &end, &text);
	assert_non_null(strstr(buf_cstr(&rows), "\"nexthop\":\"xn--mnchen-3ya.test\""));
	buf_clear(&rows);
	buf_clear(&text);
	/* One that cannot be written so never reaches the rules. */
	assert_int_equal(ask_explain(control, "client=192.0.2.1\nto=x@b\xc3\xbc" "cher-.test\n", 0, 0, &b, &rows, &end,
	    &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "the domain of to is no valid name; clients are told 501");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=192.0.2.1\nfrom=x@b\xc3\xbc" "cher-.test\nto=alice@postern.test\n", 0, 0,
	    &b, &rows, &end, &text), 0);
	assert_string_equal(buf_cstr(&text), "the domain of from is no valid name; clients are told 501");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=192.0.2.1\nclient_name_failed=1\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "client_name_failed is yes or no");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=192.0.2.1\nclient_name_failed=yes\nclient_name=a.test\n", 0, 0, &b, &rows,
	    &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "a client whose name could not be looked up has none");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=nobody\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "the client is no IP address");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=192.0.2.1\nlistener=smpt\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "there is no listener \"smpt\"; there are: smtp; did you mean smtp?");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "client=192.0.2.1\ntls=true\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_string_equal(buf_cstr(&text), "tls is yes or no");
	buf_clear(&text);
	assert_int_equal(ask_explain(control, "colour=red\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	assert_int_equal(ask_explain(control, "to=a@b.test\n", 0, 0, &b, &rows, &end, &text), 0);
	assert_int_equal(end.status, RC_SYNTAX);
	(void)close(control);
	buf_free(&b);
	buf_free(&rows);
	buf_free(&text);
	assert_int_equal(stop(&world), 0);
}

static void
it_stays_until_its_askers_are_done(void **state)
{
	struct world world;
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	int smtpd, status;

	(void)state;
	if (geteuid() != 0)
		skip();
	start(&world, "alice\n", true);
	assert_int_equal(next_ready(&world, &b).status, RC_OK);
	smtpd = line_as(&world, ROLE_SMTPD);
	SEND(world.master, M_STOP, m_stop, 0, -1, 30000);
	assert_int_equal(check(smtpd, &b, "alice@postern.test").action, VERDICT_ACCEPT);
	(void)close(smtpd);
	assert_int_equal(waitpid(world.pid, &status, 0), world.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(world.master);
	(void)unlink(world.table);
	(void)rmdir(world.folder);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_answered),
		cmocka_unit_test(a_reload_that_is_broken_changes_nothing),
		cmocka_unit_test(a_broken_start_is_refused),
		cmocka_unit_test(bad_askers_are_dropped),
		cmocka_unit_test(explain_in_pages),
		cmocka_unit_test(it_stays_until_its_askers_are_done),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
