/* tests/deliver/test_local.c -- the real postern-local, between a test that plays queue and master, and mailboxes that
 * are real or behave badly. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/local.h"
#include "tests/play_master.h"
#include "tests/folder.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER_UID = 64334 };

struct house {
	struct played w;
	int queue;
	struct conf *conf;
	struct buf in, child_in;
	char home[64];
};

static void
start_house(struct house *h, unsigned processes)
{
	char entry[200];
	int pair[2];

	*h = (struct house){ .conf = conf_new() };
	buf_init(&h->in, IPC_FRAME_MAX);
	buf_init(&h->child_in, IPC_FRAME_MAX);
	folder_template(h->home, sizeof h->home, "home");
	assert_non_null(mkdtemp(h->home));
	assert_int_equal(chown(h->home, USER_UID, USER_UID), 0);
	(void)snprintf(entry, sizeof entry, "bob:%d:%d:%s", USER_UID, USER_UID, h->home);
	assert_int_equal(conf_list_add(&h->conf->local.users, slice_str(entry)), RC_OK);
	h->conf->local.processes_max = processes;
	h->conf->local.timeout = 2000;
	play_start(&h->w, ROLE_LOCAL, "deliver/postern-local", h->conf, -1);
	play_pair(pair);
	play_line(&h->w, ROLE_QUEUE, 0, pair[1]);
	h->queue = pair[0];
	assert_int_equal(play_go(&h->w), RC_OK);
}

static void
end_house(struct house *h)
{
	pid_t pid;

	(void)close(h->queue);
	assert_int_equal(play_end(&h->w), 0);
	buf_free(&h->in);
	buf_free(&h->child_in);
	conf_unref(h->conf);
	pid = fork();
	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", h->home, (char *)NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

static void
open_session(struct house *h, uint32_t handle, const char *user)
{
	struct wr w = play_space();

	assert_true(d_open_put(&w, &(struct d_open){ S("local"), slice_str(user) }));
	play_frame(h->queue, D_OPEN, handle, &w);
}

static void
send_job(struct house *h, uint32_t handle, uint32_t number, const char *rcpt, struct slice content)
{
	const struct msgid id = { 7, 1, number };
	struct buf run = BUF_INIT(65536);
	struct wr w = play_space();

	assert_true(job_rcpt_put(&run, &(struct job_rcpt){ .index = 3, .address = slice_str(rcpt) }));
	assert_true(d_job_put(&w, &(struct d_job){ number, id, 0, S("alice@a.example"), buf_slice(&run), content.n, content,
	    S(""), 0, 0 }));
	play_frame(h->queue, D_JOB, handle, &w);
	buf_free(&run);
}

/* The next frame to the queue, which must be this one. */
static struct rd
to_queue(struct house *h, enum ipc_type type, uint32_t handle)
{
	struct frame f;

	assert_int_equal(frame_read_blocking(h->queue, ROLE_QUEUE, ROLE_LOCAL, &h->in, &f), RC_OK);
	assert_int_equal(f.type, type);
	assert_int_equal(f.handle, handle);
	return (struct rd){ f.body, false };
}

static void
closed_is(struct house *h, uint32_t handle, enum session_end status, const char *enhanced, const char *text)
{
	struct rd r = to_queue(h, D_CLOSED, handle);
	struct d_closed m = { 0 };

	assert_true(d_closed_get(&r, &m));
	assert_int_equal(m.status, status);
	assert_true(slice_eq(m.enhanced, slice_str(enhanced)));
	assert_true(slice_eq(m.text, slice_str(text)));
}

/* What master is asked for; its handle. */
static uint32_t
wanted(struct house *h, const char *user)
{
	struct frame f = play_next(&h->w);
	struct rd r = { f.body, false };
	struct m_spawn m = { 0 };

	assert_int_equal(f.type, M_SPAWN);
	assert_true(m_spawn_get(&r, &m));
	assert_true(slice_eq(m.user, slice_str(user)));
	return f.handle;
}

static void
give(struct house *h, uint32_t spawn, int fd)
{
	struct wr w = play_space();

	assert_true(m_spawned_put(&w, &(struct m_spawned){ 4711 }));
	play_send(&h->w, M_SPAWNED, spawn, slice_of(w.p, w.n), fd);
}

static void
give_none(struct house *h, uint32_t spawn, enum rc rc, const char *why)
{
	struct wr w = play_space();

	assert_true(m_spawn_failed_put(&w, &(struct m_spawn_failed){ (uint8_t)rc, slice_str(why) }));
	play_frame(h->w.master, M_SPAWN_FAILED, spawn, &w);
}

/* A mailbox process that is this test: has D_OPEN, and the session is up. */
static int
give_fake(struct house *h, uint32_t handle)
{
	uint32_t spawn = wanted(h, "bob");
	struct wr w = play_space();
	struct frame f;
	int pair[2];

	play_pair(pair);
	give(h, spawn, pair[1]);
	assert_int_equal(frame_read_blocking(pair[0], ROLE_MAILBOX, ROLE_LOCAL, &h->child_in, &f), RC_OK);
	assert_int_equal(f.type, D_OPEN);
	assert_true(d_pull_put(&w, &(struct d_pull){ 0 }));
	play_frame(pair[0], D_PULL, f.handle, &w);
	(void)to_queue(h, D_PULL, handle);
	return pair[0];
}

static void
say_result(int child, uint32_t number, uint16_t index, const char *text)
{
	struct buf run = BUF_INIT(4096);
	struct wr w = play_space();
	struct d_result m = { .job = number, .host = S("evil.example"), .pull = 1 };

	assert_true(job_result_put(&run, &(struct job_result){ index, JOB_DELIVERED, 0, S("2.0.0"), slice_str(text) }));
	m.results = buf_slice(&run);
	assert_true(d_result_put(&w, &m));
	play_frame(child, D_RESULT, 1, &w);
	buf_free(&run);
}

static struct frame
to_child(struct house *h, int child, enum ipc_type type)
{
	struct frame f;

	assert_int_equal(frame_read_blocking(child, ROLE_MAILBOX, ROLE_LOCAL, &h->child_in, &f), RC_OK);
	assert_int_equal(f.type, type);
	return f;
}

/* Queue, planner, mailbox process, disk: two messages in one session. */
static void
mail_goes_all_the_way(void **state)
{
	struct house h;
	struct played box;
	struct d_result m = { 0 };
	struct job_result row = { 0 };
	uint32_t spawn;
	char path[100];
	struct wr w;
	struct rd r;
	int pair[2], n = 0;
	DIR *d;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 20);
	open_session(&h, 5, "bob");
	spawn = wanted(&h, "bob");
	play_start(&box, ROLE_MAILBOX, "deliver/postern-mailbox", h.conf, -1);
	play_pair(pair);
	play_line(&box, ROLE_LOCAL, 0, pair[1]);
	w = play_space();
	assert_true(m_mailbox_put(&w, &(struct m_mailbox){ S("bob") }));
	play_frame(box.master, M_MAILBOX, 0, &w);
	assert_int_equal(play_go(&box), RC_OK);
	give(&h, spawn, pair[0]);
	(void)to_queue(&h, D_PULL, 5);
	for (uint32_t i = 1; i <= 2; i++) {
		send_job(&h, 5, i, "bob+x@b.example", S("Subject: x\r\n\r\nx\r\n"));
		r = to_queue(&h, D_RESULT, 5);
		assert_true(d_result_get(&r, &m));
		assert_int_equal(m.job, i);
		assert_int_equal(m.pull, 1);
		r = (struct rd){ m.results, false };
		assert_true(job_result_next(&r, &row));
		assert_int_equal(row.index, 3);
		assert_int_equal(row.status, JOB_DELIVERED);
	}
	assert_int_equal(frame_write_blocking(h.queue, D_IDLE, 5, S("\0"), -1), RC_OK);
	closed_is(&h, 5, SESSION_DONE, "", "");
	assert_int_equal(play_end(&box), 0);
	(void)snprintf(path, sizeof path, "%s/Maildir/new", h.home);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	assert_int_equal(n, 2);
	end_house(&h);
}

static void
a_process_that_cannot_be_had(void **state)
{
	struct house h;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 20);
	open_session(&h, 1, "nobody");
	give_none(&h, wanted(&h, "nobody"), RC_NOTFOUND, "no such user");
	closed_is(&h, 1, SESSION_PERMANENT, "5.1.1", "no such user");
	open_session(&h, 1, "bob");
	give_none(&h, wanted(&h, "bob"), RC_AGAIN, "folder: cannot open it\n\x1b[m");
	closed_is(&h, 1, SESSION_TEMPORARY, "4.3.0", "folder: cannot open it  [m");
	open_session(&h, 1, "");
	closed_is(&h, 1, SESSION_PERMANENT, "5.1.1", "no such user");
	end_house(&h);
}

static void
only_so_many_at_a_time(void **state)
{
	struct house h;
	int first, second;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 1);
	for (uint32_t i = 1; i <= 3; i++)
		open_session(&h, i, "bob");
	first = give_fake(&h, 1);
	/* One that waits can be taken back. */
	assert_int_equal(frame_write_blocking(h.queue, D_IDLE, 2, S("\0"), -1), RC_OK);
	closed_is(&h, 2, SESSION_DONE, "", "");
	/* The process of the first dies at work: only its session is lost, and the next in line gets one. */
	send_job(&h, 1, 9, "bob@b.example", S("Subject: x\r\n\r\n"));
	(void)to_child(&h, first, D_JOB);
	(void)close(first);
	closed_is(&h, 1, SESSION_LOST, "4.3.0", "the mailbox process died");
	second = give_fake(&h, 3);
	(void)close(second);
	closed_is(&h, 3, SESSION_LOST, "4.3.0", "the mailbox process died");
	end_house(&h);
}

static void
a_process_that_hangs_is_given_up(void **state)
{
	struct house h;
	int child;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 20);
	open_session(&h, 1, "bob");
	child = give_fake(&h, 1);
	send_job(&h, 1, 9, "bob@b.example", S("Subject: x\r\n\r\n"));
	(void)to_child(&h, child, D_JOB);
	closed_is(&h, 1, SESSION_TEMPORARY, "4.3.0", "the mailbox did not answer in time");
	assert_int_equal(frame_read_blocking(child, ROLE_MAILBOX, ROLE_LOCAL, &h.child_in, &(struct frame){ 0 }), RC_CLOSED);
	(void)close(child);
	end_house(&h);
}

/* A process runs as a user, who may have got at it: it can only fail its own mail. */
static void
a_process_that_lies_loses_its_session(void **state)
{
	struct house h;
	struct d_result m = { 0 };
	struct rd r;
	int child;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 20);
	for (int lie = 0; lie < 6; lie++) {
		open_session(&h, 1, "bob");
		child = give_fake(&h, 1);
		send_job(&h, 1, 9, "bob@b.example", S("Subject: x\r\n\r\n"));
		(void)to_child(&h, child, D_JOB);
		switch (lie) {
		case 0:	say_result(child, 10, 3, "another job"); break;
		case 1:	say_result(child, 9, 4, "another recipient"); break;
		case 2:	say_result(child, 9, 3, "two\r\nlines"); break;
		case 3:	assert_int_equal(frame_write_blocking(child, D_CREDIT, 1, S("\11\0\0\0\377\0\0\0"), -1), RC_OK); break;
		case 4:	assert_int_equal(frame_write_blocking(child, D_PULL, 1, S("\0\0\0\0"), -1), RC_OK); break;
		case 5:	assert_int_equal(write(child, "nonsense nonsense", 17), 17); break;
		}
		closed_is(&h, 1, SESSION_LOST, "4.3.0", "the mailbox process died");
		(void)close(child);
	}
	/* It cannot have all of a user's mail bounced, nor name hosts. */
	open_session(&h, 1, "bob");
	child = give_fake(&h, 1);
	send_job(&h, 1, 9, "bob@b.example", S("Subject: x\r\n\r\n"));
	(void)to_child(&h, child, D_JOB);
	say_result(child, 9, 3, "fine");
	r = to_queue(&h, D_RESULT, 1);
	assert_true(d_result_get(&r, &m));
	assert_int_equal(m.host.n, 0);
	struct wr w = play_space();
	assert_true(d_closed_put(&w, &(struct d_closed){ .status = SESSION_PERMANENT, .code = 550, .enhanced = S("5.1.1"),
	    .text = S("gone") }));
	play_frame(child, D_CLOSED, 1, &w);
	closed_is(&h, 1, SESSION_TEMPORARY, "4.3.0", "gone");
	(void)close(child);
	end_house(&h);
}

/* A queue that breaks the rules loses its line, and with it every session; the planner serves the next one. */
static void
a_queue_that_breaks_the_rules(void **state)
{
	struct house h;
	uint8_t byte;
	int child, pair[2];

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 20);
	open_session(&h, 1, "bob");
	child = give_fake(&h, 1);
	assert_int_equal(frame_write_blocking(h.queue, D_CHUNK, 1, S("\1\0\0\0\0\0\0\0"), -1), RC_OK);
	assert_int_equal(read(h.queue, &byte, 1), 0);
	assert_int_equal(read(child, &byte, 1), 0);
	(void)close(child);
	(void)close(h.queue);
	play_pair(pair);
	play_line(&h.w, ROLE_QUEUE, 0, pair[1]);
	h.queue = pair[0];
	open_session(&h, 1, "bob");
	child = give_fake(&h, 1);
	(void)close(child);
	closed_is(&h, 1, SESSION_LOST, "4.3.0", "the mailbox process died");
	end_house(&h);
}

static void
a_stop_finishes_what_runs(void **state)
{
	struct house h;
	struct wr w;
	int child, busy;

	(void)state;
	if (geteuid() != 0)
		skip();
	start_house(&h, 2);
	open_session(&h, 1, "bob");
	busy = give_fake(&h, 1);
	open_session(&h, 2, "bob");
	child = give_fake(&h, 2);
	open_session(&h, 3, "bob");
	send_job(&h, 1, 9, "bob@b.example", S("Subject: x\r\n\r\n"));
	(void)to_child(&h, busy, D_JOB);
	w = play_space();
	assert_true(m_stop_put(&w, &(struct m_stop){ 10000 }));
	play_frame(h.w.master, M_STOP, 0, &w);
	closed_is(&h, 3, SESSION_BUSY, "", "");
	(void)to_child(&h, child, D_IDLE);
	(void)close(child);
	closed_is(&h, 2, SESSION_LOST, "4.3.0", "the mailbox process died");
	say_result(busy, 9, 3, "done");
	(void)to_queue(&h, D_RESULT, 1);
	(void)to_child(&h, busy, D_IDLE);
	w = play_space();
	assert_true(d_closed_put(&w, &(struct d_closed){ .status = SESSION_DONE }));
	play_frame(busy, D_CLOSED, 1, &w);
	closed_is(&h, 1, SESSION_DONE, "", "");
	(void)close(busy);
	assert_int_equal(frame_read_blocking(h.w.master, ROLE_MASTER, ROLE_LOCAL, &h.w.in, &(struct frame){ 0 }), RC_CLOSED);
	end_house(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_goes_all_the_way),
		cmocka_unit_test(a_process_that_cannot_be_had),
		cmocka_unit_test(only_so_many_at_a_time),
		cmocka_unit_test(a_process_that_hangs_is_given_up),
		cmocka_unit_test(a_process_that_lies_loses_its_session),
		cmocka_unit_test(a_queue_that_breaks_the_rules),
		cmocka_unit_test(a_stop_finishes_what_runs),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
