/* tests/log/test_log_room.c -- the real postern-log, sandboxed, between a test that plays master and the other rooms. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/admin.h"
#include "log/log_room.h"
#include "tests/play_master.h"
#include "tests/folder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MS = 10 * 1000 };

static void
set_str(char **at, const char *text)
{
	free(*at);
	*at = strdup(text);
}

static int
add_line(struct played *w, enum role them)
{
	int pair[2];

	play_pair(pair);
	play_line(w, them, 0, pair[1]);
	return pair[0];
}

static void
say(int line, enum log_event event, struct slice text)
{
	uint8_t space[256];
	struct wr f = { space, 0, sizeof space, false }, w = play_space();

	wr_u8(&f, 4);
	wr_bytes(&f, "text", 4);
	wr_u8(&f, LOG_STR);
	wr_str(&f, text);
	assert_true(l_event_put(&w, &(struct l_event){ (uint16_t)event, 0, 7, S(""), slice_of(space, f.n) }));
	play_frame(line, L_EVENT, 0, &w);
}

/* What fd brings until the words have come. */
static void
wait_words(int fd, struct buf *b, const char *words)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (buf_len(b) == 0 || strstr(buf_cstr(b), words) == NULL) {
		uint8_t *at = buf_reserve(b, 65536);
		ssize_t n;

		assert_non_null(at);
		if (poll(&p, 1, WAIT_MS) != 1)
			fail_msg("%s did not come", words);
		n = read(fd, at, 65536);
		assert_true(n > 0);
		buf_advance(b, (size_t)n);
	}
}

static void
ask_status(int line, struct buf *row)
{
	struct wr w = play_space();
	struct buf in = BUF_INIT(IPC_FRAME_MAX);
	struct a_row m = { 0 };
	struct frame f;
	struct rd r;

	assert_true(a_request_put(&w, &(struct a_request){ ADMIN_LOG_STATUS, S(""), S(""), 0, 10 }));
	play_frame(line, A_REQUEST, 5, &w);
	assert_int_equal(frame_read_blocking(line, ROLE_CONTROL, ROLE_LOG, &in, &f), RC_OK);
	assert_int_equal(f.type, A_ROW);
	assert_int_equal(f.handle, 5);
	r = (struct rd){ f.body, false };
	assert_true(a_row_get(&r, &m));
	assert_true(buf_put_slice(row, m.row));
	assert_int_equal(frame_read_blocking(line, ROLE_CONTROL, ROLE_LOG, &in, &f), RC_OK);
	assert_int_equal(f.type, A_END);
	buf_free(&in);
}

static void
events_come_out_and_garbage_costs_its_sender_only(void **state)
{
	struct conf *c = conf_new();
	struct buf out = BUF_INIT(1 << 20), row = BUF_INIT(8192);
	struct played w;
	int err[2], smtpd, queue, control;
	uint8_t byte;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	set_str(&c->global.hostname, "mx.example");
	play_start(&w, ROLE_LOG, "log/postern-log", c, err[1]);
	(void)close(err[1]);
	smtpd = add_line(&w, ROLE_SMTPD);
	queue = add_line(&w, ROLE_QUEUE);
	assert_int_equal(play_go(&w), RC_OK);
	control = add_line(&w, ROLE_CONTROL);
	say(smtpd, LOG_REJECT, S("from\nsmtpd"));
	wait_words(err[0], &out, "Z mx.example postern/smtpd[7]: reject text=\"from\\x0asmtpd\"\n");
	say(queue, LOG_BOUNCED, S("x"));
	wait_words(err[0], &out, " postern/queue[7]: bounced text=x\n");

	/* A room that sends nonsense loses its line; log says so, and the others are heard. */
	say(smtpd, LOG_EVENT_COUNT, S("x"));
	assert_int_equal(read(smtpd, &byte, 1), 0);
	wait_words(err[0], &out, " postern/log[");
	wait_words(err[0], &out, "peer-dropped room=smtpd index=0 why=\"no such event\"\n");
	say(queue, LOG_BOUNCED, S("y"));
	wait_words(err[0], &out, " postern/queue[7]: bounced text=y\n");

	/* So many lines were dropped elsewhere. */
	struct wr f = play_space();
	assert_true(l_dropped_put(&f, &(struct l_dropped){ 7, 12 }));
	play_frame(queue, L_DROPPED, 0, &f);
	wait_words(err[0], &out, "postern/log[7]: log-dropped count=12 room=queue\n");
	ask_status(control, &row);
	assert_non_null(strstr(buf_cstr(&row), "\"log-destination\":\"stderr\""));
	assert_non_null(strstr(buf_cstr(&row), "\"log-dropped\":0"));

	/* Stopped: it hears the others out, and ends without being killed. */
	say(queue, LOG_BOUNCED, S("last"));
	f = play_space();
	assert_true(m_stop_put(&f, &(struct m_stop){ 5000 }));
	play_frame(w.master, M_STOP, 0, &f);
	wait_words(err[0], &out, "bounced text=last\n");
	assert_int_equal(frame_read_blocking(w.master, ROLE_MASTER, ROLE_LOG, &w.in, &(struct frame){ 0 }), RC_CLOSED);
	assert_int_equal(play_end(&w), 0);
	(void)close(err[0]);
	(void)close(queue);
	(void)close(smtpd);
	(void)close(control);
	buf_free(&out);
	buf_free(&row);
	conf_unref(c);
}

/* The reader of the log stops: the rooms' lines go on moving, what does not fit is counted, and the count comes out. */
static void
a_full_pipe_stops_nobody(void **state)
{
	struct conf *c = conf_new();
	struct buf out = BUF_INIT(16 << 20), row = BUF_INIT(8192);
	char words[100];
	struct played w;
	int err[2], queue, control;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	c->log.ring = 64 * 1024;
	play_start(&w, ROLE_LOG, "log/postern-log", c, err[1]);
	(void)close(err[1]);
	queue = add_line(&w, ROLE_QUEUE);
	control = add_line(&w, ROLE_CONTROL);
	assert_int_equal(play_go(&w), RC_OK);
	for (int i = 0; i < 10000; i++)
		say(queue, LOG_BOUNCED, S("a line of some length, so that not many of them fill the pipe and the ring behind "
		    "it"));
	say(queue, LOG_BOUNCED, S("end"));
	do {
		buf_clear(&row);
		ask_status(control, &row);
	} while (strstr(buf_cstr(&row), "\"log-dropped\":0,") != NULL);
	assert_non_null(strstr(buf_cstr(&row), "\"log-trouble\":\"\""));
	wait_words(err[0], &out, "log-dropped count=");
	(void)snprintf(words, sizeof words, "after");
	say(queue, LOG_BOUNCED, S("after"));
	wait_words(err[0], &out, "bounced text=after\n");
	assert_int_equal(play_end(&w), 0);
	(void)close(err[0]);
	(void)close(queue);
	(void)close(control);
	buf_free(&out);
	buf_free(&row);
	conf_unref(c);
}

static void
wait_file(const char *path, const char *words)
{
	char content[65536];

	for (int i = 0; i < WAIT_MS / 10; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd == -1 ? 0 : read(fd, content, sizeof content - 1);

		(void)close(fd);
		content[n < 0 ? 0 : n] = '\0';
		if (strstr(content, words) != NULL)
			return;
		(void)usleep(10 * 1000);
	}
	fail_msg("%s did not come", words);
}

static void
send_folder(struct played *w, const char *folder)
{
	play_file(w, FILE_LOG, "", "mail.log", open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void
a_file_is_rotated_by_reload(void **state)
{
	struct conf *c = conf_new();
	char folder[64], path[100], old[100];
	struct played w;
	int queue;

	(void)state;
	if (geteuid() != 0)
		skip();
	folder_template(folder, sizeof folder, "log");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chown(folder, PLAY_UID, PLAY_UID), 0);
	(void)snprintf(path, sizeof path, "%s/mail.log", folder);
	(void)snprintf(old, sizeof old, "%s/mail.log.1", folder);
	set_str(&c->log.to, path);
	set_str(&c->log.format, "json");
	play_start(&w, ROLE_LOG, "log/postern-log", c, -1);
	send_folder(&w, folder);
	queue = add_line(&w, ROLE_QUEUE);
	assert_int_equal(play_go(&w), RC_OK);
	say(queue, LOG_BOUNCED, S("one"));
	wait_file(path, "\"event\":\"bounced\",\"text\":\"one\"}\n");

	assert_int_equal(rename(path, old), 0);
	play_config(&w, c);
	send_folder(&w, folder);
	assert_int_equal(play_go(&w), RC_OK);
	say(queue, LOG_BOUNCED, S("two"));
	wait_file(path, "\"event\":\"bounced\",\"text\":\"two\"}\n");

	/* Something that is no file is refused, and the old one stays in use. */
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	play_config(&w, c);
	send_folder(&w, folder);
	assert_int_not_equal(play_go(&w), RC_OK);
	say(queue, LOG_BOUNCED, S("three"));
	wait_file(old, "\"text\":\"three\"}\n");
	assert_int_equal(play_end(&w), 0);
	(void)close(queue);
	(void)rmdir(path);
	(void)unlink(old);
	(void)rmdir(folder);
	conf_unref(c);
}

static void
syslog_gets_a_datagram_a_line(void **state)
{
	struct conf *c = conf_new();
	struct played w;
	char got[2048];
	int log[2], queue;
	ssize_t n;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, log), 0);
	set_str(&c->log.to, "syslog");
	play_start(&w, ROLE_LOG, "log/postern-log", c, -1);
	play_file(&w, FILE_SYSLOG, "", "", log[1]);
	queue = add_line(&w, ROLE_QUEUE);
	assert_int_equal(play_go(&w), RC_OK);
	do {
		say(queue, LOG_BOUNCED, S("hello"));
		n = recv(log[0], got, sizeof got - 1, 0);
		assert_true(n > 0);
		got[n] = '\0';
	} while (strstr(got, "queue") == NULL);
	assert_string_equal(got, "<21>postern/queue[7]: bounced text=hello");
	/* More than the socket holds: it waits, and everything comes. */
	for (int i = 0; i < 2000; i++)
		say(queue, LOG_BOUNCED, S("filling"));
	say(queue, LOG_BOUNCED, S("end"));
	do {
		n = recv(log[0], got, sizeof got - 1, 0);
		assert_true(n > 0);
		got[n] = '\0';
	} while (strcmp(got, "<21>postern/queue[7]: bounced text=end") != 0);
	assert_int_equal(play_end(&w), 0);
	(void)close(queue);
	(void)close(log[0]);
	conf_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_and_garbage_costs_its_sender_only),
		cmocka_unit_test(a_full_pipe_stops_nobody),
		cmocka_unit_test(a_file_is_rotated_by_reload),
		cmocka_unit_test(syslog_gets_a_datagram_a_line),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
