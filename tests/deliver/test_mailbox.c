/* tests/deliver/test_mailbox.c -- the real postern-mailbox, sandboxed, as a user that exists only here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/mailbox.h"
#include "tests/play_master.h"
#include "tests/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER_UID = 64333, SESSION = 77 };

static const struct msgid some_id = { UINT64_C(0xabcdef012345), 1, 42 };

struct box {
	struct played w;
	int line;
	char home[64];
	struct buf in;
	struct conf *conf;
};

static void
start_box(struct box *b, const char *user, enum rc want)
{
	char entry[200];
	struct wr w;
	int pair[2];

	b->conf = conf_new();
	buf_init(&b->in, IPC_FRAME_MAX);
	folder_template(b->home, sizeof b->home, "home");
	assert_non_null(mkdtemp(b->home));
	assert_int_equal(chown(b->home, USER_UID, USER_UID), 0);
	(void)snprintf(entry, sizeof entry, "bob:%d:%d:%s", USER_UID, USER_UID, b->home);
	assert_int_equal(conf_list_add(&b->conf->local.users, slice_str(entry)), RC_OK);
	assert_int_equal(conf_list_add(&b->conf->local.users, S("root:0:0:/root")), RC_OK);
	assert_int_equal(conf_list_add(&b->conf->local.users, S("daemon:2:2:/")), RC_OK);
	play_start(&b->w, ROLE_MAILBOX, "deliver/postern-mailbox", b->conf, -1);
	play_pair(pair);
	play_line(&b->w, ROLE_LOCAL, 0, pair[1]);
	b->line = pair[0];
	w = play_space();
	assert_true(m_mailbox_put(&w, &(struct m_mailbox){ slice_str(user) }));
	play_frame(b->w.master, M_MAILBOX, 0, &w);
	assert_int_equal(play_go(&b->w), want);
}

static void
remove_folder(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

/* Returns how the process ended. */
static int
end_box(struct box *b)
{
	int status;

	(void)close(b->line);
	status = play_end(&b->w);
	buf_free(&b->in);
	conf_unref(b->conf);
	remove_folder(b->home);
	return status;
}

static struct frame
next(struct box *b)
{
	struct frame f;

	assert_int_equal(frame_read_blocking(b->line, ROLE_LOCAL, ROLE_MAILBOX, &b->in, &f), RC_OK);
	assert_int_equal(f.handle, SESSION);
	return f;
}

static void
send_open(struct box *b, const char *user)
{
	struct wr w = play_space();

	assert_true(d_open_put(&w, &(struct d_open){ S("local"), slice_str(user) }));
	play_frame(b->line, D_OPEN, SESSION, &w);
}

static void
send_job(struct box *b, uint32_t number, struct msgid id, const char *const *rcpts, struct slice content, uint64_t size)
{
	struct buf run = BUF_INIT(65536);
	struct wr w = play_space();

	for (uint16_t i = 0; rcpts[i] != NULL; i++)
		assert_true(job_rcpt_put(&run,
		    &(struct job_rcpt){ .index = (uint16_t)(i + 10), .address = slice_str(rcpts[i]) }));
	assert_true(d_job_put(&w, &(struct d_job){ number, id, 0, S("alice@a.example"), buf_slice(&run), size, content, S(""), 0,
	    0 }));
	play_frame(b->line, D_JOB, SESSION, &w);
	buf_free(&run);
}

/* The outcome of recipient i, as "status enhanced text". */
static void
result_is(struct box *b, const struct frame *f, size_t i, const char *want)
{
	struct d_result m = { 0 };
	struct job_result row = { 0 };
	struct rd r = { f->body, false };
	char got[600];

	(void)b;
	assert_int_equal(f->type, D_RESULT);
	assert_true(d_result_get(&r, &m));
	r = (struct rd){ m.results, false };
	for (size_t k = 0; k <= i; k++)
		assert_true(job_result_next(&r, &row));
	assert_int_equal(row.index, i + 10);
	(void)snprintf(got, sizeof got, "%u %.*s %.*s", row.status, (int)row.enhanced.n, (const char *)row.enhanced.p,
	    (int)row.text.n, (const char *)row.text.p);
	assert_string_equal(got, want);
}

/* How many files; the content of the last one. */
static int
files_in(struct box *b, const char *sub, char *content, size_t max)
{
	char path[400];
	struct dirent *e;
	int n = 0;
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/Maildir/%s", b->home, sub);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		int fd;
		ssize_t got;

		if (e->d_name[0] == '.')
			continue;
		n++;
		if (content == NULL)
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		got = read(fd, content, max - 1);
		assert_true(got >= 0);
		content[got] = '\0';
		(void)close(fd);
	}
	(void)closedir(d);
	return n;
}

static const char *const bob[] = { "bob@b.example", NULL };

static void
a_message_arrives(void **state)
{
	struct box b;
	char got[4096];
	struct frame f;
	struct slice message = S("Subject: hi\r\n\r\nHello.\r\n.\r\nBye\r\n");

	(void)state;
	if (geteuid() != 0)
		skip();
	start_box(&b, "bob", RC_OK);
	send_open(&b, "bob");
	assert_int_equal(next(&b).type, D_PULL);
	send_job(&b, 1, some_id, bob, message, message.n);
	f = next(&b);
	result_is(&b, &f, 0, "1 2.0.0 delivered to maildir");
	assert_int_equal(files_in(&b, "new", got, sizeof got), 1);
	assert_string_equal(got, "Return-Path: <alice@a.example>\nDelivered-To: bob@b.example\n"
	    "Subject: hi\n\nHello.\n.\nBye\n");
	/* Until the session goes on, tmp remembers; then it is empty. */
	assert_int_equal(files_in(&b, "tmp", NULL, 0), 1);
	assert_true(frame_write_blocking(b.line, D_IDLE, SESSION, S("\0"), -1) == RC_OK);
	f = next(&b);
	assert_int_equal(f.type, D_CLOSED);
	assert_int_equal(f.body.p[0], SESSION_DONE);
	assert_int_equal(files_in(&b, "tmp", NULL, 0), 0);
	assert_int_equal(end_box(&b), 0);
}

/* Two recipients that are one address: their sender asked for other reports of each.
 * shows: RFC3461 5.2.6/2 */
static void
one_address_gets_one_copy(void **state)
{
	static const char *const rcpts[] = { "bob@b.example", "bob+list@b.example", "bob@b.example", NULL };
	struct slice message = S("Subject: hi\r\n\r\nHello.\r\n");
	struct box b;
	struct frame f;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_box(&b, "bob", RC_OK);
	send_open(&b, "bob");
	assert_int_equal(next(&b).type, D_PULL);
	send_job(&b, 1, some_id, rcpts, message, message.n);
	f = next(&b);
	result_is(&b, &f, 0, "1 2.0.0 delivered to maildir");
	result_is(&b, &f, 1, "1 2.0.0 delivered to maildir");
	result_is(&b, &f, 2, "1 2.0.0 delivered to maildir, one copy for all that mean this address");
	assert_int_equal(files_in(&b, "new", NULL, 0), 2);
	assert_true(frame_write_blocking(b.line, D_IDLE, SESSION, S("\0"), -1) == RC_OK);
	assert_int_equal(next(&b).type, D_CLOSED);
	assert_int_equal(files_in(&b, "tmp", NULL, 0), 0);
	assert_int_equal(end_box(&b), 0);
}

static void
a_large_one_comes_in_chunks_to_several_addresses(void **state)
{
	static const char *const rcpts[] = { "bob@b.example", "bob+list@b.example", "BOB+loop@b.example", NULL };
	static char message[600000], got[700000];
	const size_t chunk = IPC_CONTENT_CHUNK;
	struct box b;
	struct frame f;
	size_t n, sent;
	uint64_t credit = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	n = (size_t)snprintf(message, sizeof message, "Delivered-To: bob+LOOP@b.example\r\nReturn-Path: <x>\r\n\r\n");
	while (n + 80 < sizeof message)
		n += (size_t)snprintf(message + n, 80, "line at %zu\r\n", n);
	start_box(&b, "bob", RC_OK);
	send_open(&b, "bob");
	assert_int_equal(next(&b).type, D_PULL);
	send_job(&b, 1, some_id, rcpts, slice_of(message, 1000), n);
	for (sent = 1000; sent < n;) {
		struct slice piece = slice_first(slice_of(message + sent, n - sent), chunk);
		struct wr w;

		while (sent + piece.n > credit + IPC_CONTENT_WINDOW) {
			struct d_credit m = { 0 };
			struct rd r;

			f = next(&b);
			assert_int_equal(f.type, D_CREDIT);
			r = (struct rd){ f.body, false };
			assert_true(d_credit_get(&r, &m));
			credit += m.bytes;
		}
		w = play_space();
		assert_true(d_chunk_put(&w, &(struct d_chunk){ 1, piece }));
		play_frame(b.line, D_CHUNK, SESSION, &w);
		sent += piece.n;
	}
	do
		f = next(&b);
	while (f.type == D_CREDIT);
	result_is(&b, &f, 0, "1 2.0.0 delivered to maildir");
	result_is(&b, &f, 1, "1 2.0.0 delivered to maildir");
	result_is(&b, &f, 2, "3 5.4.6 mail loop: this mailbox has had the message before (Delivered-To)");
	assert_int_equal(files_in(&b, "new", got, sizeof got), 2);
	assert_non_null(strstr(got, "Delivered-To: bob+LOOP@b.example\n\nline at 5"));
	assert_null(strchr(got, '\r'));
	assert_null(strstr(got, "Return-Path: <x>"));
	end_box(&b);
}

/* The process dies after the message is in new, before anybody heard: the next attempt makes no second copy. */
static void
a_crash_makes_no_duplicate(void **state)
{
	struct slice message = S("Subject: once\r\n\r\nonly\r\n");
	struct box b, again;
	struct frame f;
	char from[100], to[100];

	(void)state;
	if (geteuid() != 0)
		skip();
	start_box(&b, "bob", RC_OK);
	send_open(&b, "bob");
	assert_int_equal(next(&b).type, D_PULL);
	send_job(&b, 1, some_id, bob, message, message.n);
	f = next(&b);
	result_is(&b, &f, 0, "1 2.0.0 delivered to maildir");
	assert_int_equal(kill(b.w.pid, SIGKILL), 0);

	start_box(&again, "bob", RC_OK);
	(void)snprintf(from, sizeof from, "%s/Maildir", b.home);
	(void)snprintf(to, sizeof to, "%s/Maildir", again.home);
	/* The sandbox has made the folder; what the first life left takes its place, as it would be. */
	send_open(&again, "bob");
	assert_int_equal(next(&again).type, D_PULL);
	(void)snprintf(from, sizeof from, "%s/Maildir/tmp", b.home);
	(void)snprintf(to, sizeof to, "%s/Maildir/tmp", again.home);
	DIR *d = opendir(from);
	struct dirent *e;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			int dest = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			assert_int_equal(linkat(dirfd(d), e->d_name, dest, e->d_name, 0), 0);
			(void)close(dest);
		}
	(void)closedir(d);
	send_job(&again, 1, some_id, bob, message, message.n);
	f = next(&again);
	result_is(&again, &f, 0, "1 2.0.0 delivered to maildir by an earlier attempt");
	assert_int_equal(files_in(&again, "new", NULL, 0), 0);
	end_box(&again);
	end_box(&b);
}

static void
accounts_that_get_no_mail(void **state)
{
	static const char *const users[] = { "root", "daemon", "nobody-of-that-name", "../bob", "" };

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
		struct box b;

		start_box(&b, users[i], RC_NOTFOUND);
		end_box(&b);
	}
}

static void
a_folder_of_somebody_else_is_refused_for_now(void **state)
{
	struct box b;
	struct frame f;
	char path[100];
	struct d_closed m = { 0 };
	struct rd r;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_box(&b, "bob", RC_OK);
	(void)snprintf(path, sizeof path, "%s/Maildir/tmp", b.home);
	assert_int_equal(symlink("/tmp", path), 0);
	send_open(&b, "bob");
	f = next(&b);
	assert_int_equal(f.type, D_CLOSED);
	r = (struct rd){ f.body, false };
	assert_true(d_closed_get(&r, &m));
	assert_int_equal(m.status, SESSION_TEMPORARY);
	assert_memory_equal(m.enhanced.p, "4.3.0", 5);
	end_box(&b);
}

static void
a_revoked_job_leaves_nothing(void **state)
{
	struct box b;
	struct frame f;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_box(&b, "bob", RC_OK);
	send_open(&b, "bob");
	assert_int_equal(next(&b).type, D_PULL);
	send_job(&b, 1, some_id, bob, S("Subject: part\r\n"), 5000);
	assert_int_equal(frame_write_blocking(b.line, D_REVOKE, SESSION, S("\1\0\0\0"), -1), RC_OK);
	f = next(&b);
	assert_int_equal(f.type, D_CLOSED);
	assert_int_equal(f.body.p[0], SESSION_DONE);
	assert_int_equal(files_in(&b, "tmp", NULL, 0), 0);
	assert_int_equal(files_in(&b, "new", NULL, 0), 0);
	end_box(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives),
		cmocka_unit_test(one_address_gets_one_copy),
		cmocka_unit_test(a_large_one_comes_in_chunks_to_several_addresses),
		cmocka_unit_test(a_crash_makes_no_duplicate),
		cmocka_unit_test(accounts_that_get_no_mail),
		cmocka_unit_test(a_folder_of_somebody_else_is_refused_for_now),
		cmocka_unit_test(a_revoked_job_leaves_nothing),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
