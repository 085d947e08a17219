/* tests/smtpd/test_door.c -- who comes in: limits of networks, proxies, the pause before the greeting, and who must go when
 * there is no room. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "smtpd/session.h"
#include "tests/smtpd/fakes.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
list_add(struct conf_list *l, const char *word)
{
	assert_int_equal(conf_list_add(l, slice_str(word)), RC_OK);
}

static struct conf_listener *
listener(struct conf *c)
{
	void *at = NULL;

	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "listener") == 0)
			assert_int_equal(conf_add(c, &conf_sections[i], "mx", &at), RC_OK);
	return at;
}

/* What has come so far, "" for nothing; closed: and the end. */
static const char *
heard(struct fakes *f, int fd, bool *ret_closed)
{
	static char text[4096];
	size_t n = 0;
	ssize_t r;

	fakes_settle(f);
	while ((r = recv(fd, text + n, sizeof text - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	*ret_closed = r == 0 || (r == -1 && errno != EAGAIN);
	return text;
}

static void
hears(struct fakes *f, int fd, const char *pattern)
{
	bool closed;
	const char *text = heard(f, fd, &closed);

	if (!fakes_match(pattern, text))
		fail_msg("expected \"%s\", heard \"%s\"%s", pattern, text, closed ? " and the end" : "");
}

static void
ends(struct fakes *f, int fd, const char *pattern)
{
	bool closed;
	const char *text = heard(f, fd, &closed);

	if (!fakes_match(pattern, text) || !closed)
		fail_msg("expected \"%s\" and the end, heard \"%s\"%s", pattern, text, closed ? " and the end" : "");
	(void)close(fd);
}

static void
says(int fd, struct slice what)
{
	assert_int_equal(send(fd, what.p, what.n, MSG_NOSIGNAL), (ssize_t)what.n);
}

static void
wait_ms(struct fakes *f, unsigned ms)
{
	struct timespec now, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(ms % 1000) * 1000 * 1000;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do {
		fakes_turn(f);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

/* --- proxies --- */

#define SIG	"\r\n\r\n\0\r\nQUIT\n"

static void
a_proxy_says_who_it_is(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int fd;

	(void)state;
	list_add(&listener(conf)->proxy, "192.0.2.0/28");
	fakes_start(&f, conf);
	f.client = 0;	/* none is the first */
	fd = fakes_knock(&f, "192.0.2.7");
	hears(&f, fd, "");
	assert_int_equal(f.smtpd.n_callers, 1);
	assert_int_equal(f.smtpd.n_sessions, 0);
	says(fd, S("PROXY TCP4 198.51"));
	hears(&f, fd, "");
	says(fd, S(".100.9 192.0.2.1 4000 25\r\nEHLO early\r\n"));
	hears(&f, fd, "220 *250 HELP\r\n");
	assert_true(ip_eq(f.smtpd.sessions->ip, (struct ip){ 4, { 198, 51, 100, 9 } }));
	assert_int_equal(f.smtpd.n_callers, 0);
	(void)close(fd);

	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S(SIG "\x21\x11\0\x0c\xc6\x33\x64\x0a\xc0\0\2\1\0\1\0\x19"));
	hears(&f, fd, "220 *");
	assert_true(ip_eq(f.smtpd.sessions->ip, (struct ip){ 4, { 198, 51, 100, 10 } }));
	(void)close(fd);

	/* Of itself. */
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S(SIG "\x20\0\0\0"));
	hears(&f, fd, "220 *");
	assert_true(ip_eq(f.smtpd.sessions->ip, (struct ip){ 4, { 192, 0, 2, 7 } }));
	(void)close(fd);

	/* Somebody else cannot. */
	fd = fakes_knock(&f, "192.0.2.17");
	hears(&f, fd, "220 *");
	says(fd, S("PROXY TCP4 198.51.100.9 192.0.2.1 4000 25\r\n"));
	hears(&f, fd, "500 *");
	(void)close(fd);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

static void
a_bad_proxy_is_cut_off(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int fd;

	(void)state;
	list_add(&listener(conf)->proxy, "192.0.2.0/28");
	fakes_start(&f, conf);
	f.client = 0;
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S("EHLO x\r\n"));
	ends(&f, fd, "");
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S("PROXY TCP4 198.51.100.9 192.0.2.1 4000 255555\r\n"));
	ends(&f, fd, "");
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S(SIG "\x21\x11\0"));
	(void)shutdown(fd, SHUT_WR);
	ends(&f, fd, "");
	assert_int_equal(f.smtpd.n_callers, 0);
	/* One is waiting when the room ends. */
	fd = fakes_knock(&f, "192.0.2.7");
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_callers, 1);
	f.client = -1;
	fakes_stop(&f);
	(void)close(fd);
}

/* Limits are the client's, not the proxy's. */
static void
a_client_behind_a_proxy_has_its_limits(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b, c;

	(void)state;
	list_add(&listener(conf)->proxy, "192.0.2.7");
	conf->smtpd.max_sessions_per_client = 1;
	fakes_start(&f, conf);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	says(a, S("PROXY TCP4 198.51.100.9 192.0.2.1 4000 25\r\n"));
	hears(&f, a, "220 *");
	b = fakes_knock(&f, "192.0.2.7");
	says(b, S("PROXY TCP4 198.51.100.9 192.0.2.1 4001 25\r\n"));
	ends(&f, b, "421 4.7.0 *");
	c = fakes_knock(&f, "192.0.2.7");
	says(c, S("PROXY TCP6 ::ffff:198.51.100.10 ::1 4002 25\r\n"));
	hears(&f, c, "220 *");
	(void)close(a), (void)close(c);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

static void
xclient_says_who_it_is(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int fd, other;

	(void)state;
	list_add(&listener(conf)->xclient, "192.0.2.7");
	conf->smtpd.max_sessions_per_client = 1;
	fakes_start(&f, conf);
	f.client = 0;
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S("EHLO proxy.example\r\n"));
	hears(&f, fd, "220 *250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n*");
	says(fd, S("XCLIENT NAME=client+2Eexample ADDR=198.51.100.9 PORT=4000 PROTO=ESMTP HELO=said.example\r\n"));
	hears(&f, fd, "220 mx.example.org ESMTP *");
	says(fd, S("MAIL FROM:<a@b.example>\r\n"));
	hears(&f, fd, "503 *");
	says(fd, S("EHLO proxy.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\n"));
	hears(&f, fd, "250-*250 2.1.0 *250 2.1.5 *");
	assert_string_equal(f.last_name, "client.example");
	assert_string_equal(f.last_helo, "said.example");
	/* Not within a transaction; not half; and it may speak for another. */
	says(fd, S("XCLIENT ADDR=198.51.100.10\r\n"));
	hears(&f, fd, "503 *");
	says(fd, S("RSET\r\nXCLIENT ADDR=198.51.100.300\r\n"));
	hears(&f, fd, "250 *501 *");
	assert_true(ip_eq(f.smtpd.sessions->ip, (struct ip){ 4, { 198, 51, 100, 9 } }));
	says(fd, S("XCLIENT ADDR=IPV6:2001:db8::9 NAME=[UNAVAILABLE]\r\n"));
	hears(&f, fd, "220 *");
	assert_int_equal(f.smtpd.sessions->ip.family, 6);

	/* Others may not, and limits are the client's. */
	other = fakes_knock(&f, "192.0.2.8");
	says(other, S("EHLO x\r\nXCLIENT ADDR=127.0.0.1\r\n"));
	hears(&f, other, "220 *250 HELP\r\n550 5.7.0 *");
	assert_true(ip_eq(f.smtpd.sessions->ip, (struct ip){ 4, { 192, 0, 2, 8 } }));
	says(fd, S("XCLIENT ADDR=192.0.2.8\r\n"));
	ends(&f, fd, "421 4.7.0 *");
	(void)close(other);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.clients.table.n, 0);
	f.client = -1;
	fakes_stop(&f);
}

/* --- the pause --- */

static void
early_talkers_are_cut_off(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int fd;

	(void)state;
	conf->smtpd.greet_pause = 300;
	fakes_start(&f, conf);
	f.client = 0;
	fd = fakes_knock(&f, "192.0.2.7");
	hears(&f, fd, "");
	says(fd, S("EHLO x\r\n"));
	ends(&f, fd, "421 4.7.0 mx.example.org You must wait for the greeting\r\n");
	fd = fakes_knock(&f, "192.0.2.7");
	(void)close(fd);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_callers, 0);
	assert_int_equal(f.smtpd.clients.table.n, 0);

	/* Who waits is greeted. */
	fd = fakes_knock(&f, "192.0.2.7");
	hears(&f, fd, "");
	wait_ms(&f, 350);
	hears(&f, fd, "220 *");
	says(fd, S("QUIT\r\n"));
	ends(&f, fd, "221 *");

	/* And who is listed need not wait. */
	fd = fakes_knock(&f, "127.0.0.1");
	hears(&f, fd, "220 *");
	(void)close(fd);
	fd = fakes_knock(&f, "192.0.2.7");
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_callers, 1);
	f.client = -1;
	fakes_stop(&f);
	(void)close(fd);
}

/* --- gone --- */

/* RFC 1047: what nobody can be told of is not taken. */
static void
a_client_that_is_gone_leaves_nothing(void **state)
{
	static char text[100 * 1000];
	struct fakes f;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	memcpy(text, "From: a@b.example\r\n\r\n", 21);
	memcpy(text + sizeof text - 5, "\r\n.\r\n", 5);
	fakes_start(&f, NULL);
	f.client = 0;
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	fakes_settle(&f);
	/* It does not read what we said, and so breaks the connection by closing it. */
	says(fd, slice_of(text, sizeof text));
	(void)close(fd);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_sessions, 0);
	assert_int_equal(f.n_messages, 1);
	assert_true(fakes_last(&f)->begun && fakes_last(&f)->aborted);
	assert_false(fakes_last(&f)->committed);
	f.client = -1;
	fakes_stop(&f);
}

/* Nor is a small one that had to wait for an answer. */
static void
who_goes_while_the_router_thinks_leaves_nothing(void **state)
{
	struct conf *conf = fakes_conf();
	void *at = NULL;
	struct fakes f;
	int fd;

	(void)state;
	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "listener") == 0)
			assert_int_equal(conf_add(conf, &conf_sections[i], "mx", &at), RC_OK);
	assert_non_null(at);
	free(conf->listeners[0].kind);
	conf->listeners[0].kind = strdup("submission");
	conf->router.senders.v = calloc(1, sizeof *conf->router.senders.v);
	assert_non_null(conf->router.senders.v);
	conf->router.senders.v[conf->router.senders.n++] = strdup("@senders");
	fakes_start(&f, conf);
	f.client = 0;
	fd = fakes_knock(&f, "192.0.2.7");
	says(fd, S("EHLO x\r\n"));
	fakes_settle(&f);
	f.smtpd.sessions->user = strdup("alice");
	says(fd, S("MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"));
	fakes_settle(&f);
	f.router_holds = true;
	says(fd, S("From: alice@example.org\r\n\r\nshort\r\n.\r\n"));
	fakes_settle(&f);
	assert_int_not_equal(f.held_authors.handle, 0);
	(void)close(fd);
	fakes_router_answer(&f, false);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_sessions, 0);
	assert_true(f.n_messages == 0 || !fakes_last(&f)->committed);
	f.client = -1;
	fakes_stop(&f);
}

/* --- no room --- */

static void
the_largest_network_makes_room(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a[3], b, c, d;

	(void)state;
	conf->smtpd.max_sessions = 4;
	conf->smtpd.stress_sessions = 101;
	fakes_start(&f, conf);
	f.client = 0;
	for (size_t i = 0; i < 3; i++) {
		a[i] = fakes_knock(&f, "192.0.2.7");
		hears(&f, a[i], "220 *");
		wait_ms(&f, 10);
	}
	/* The one that was idle for longest is the second. */
	says(a[0], S("NOOP\r\n"));
	hears(&f, a[0], "250 *");
	b = fakes_knock(&f, "192.0.2.8");
	hears(&f, b, "220 *");
	c = fakes_knock(&f, "192.0.2.9");
	hears(&f, c, "220 *");
	ends(&f, a[1], "421 4.3.2 mx.example.org Too many sessions*");
	hears(&f, a[0], "");
	hears(&f, a[2], "");
	/* The largest has two now. Another newcomer takes one of them; then all have one, and nobody gives way. */
	d = fakes_knock(&f, "192.0.2.10");
	hears(&f, d, "220 *");
	ends(&f, a[2], "421 4.3.2 *");
	a[1] = fakes_knock(&f, "192.0.2.11");
	ends(&f, a[1], "421 4.3.2 *");
	/* The network that has one does not push itself out. */
	a[1] = fakes_knock(&f, "192.0.2.7");
	ends(&f, a[1], "421 4.3.2 *");
	hears(&f, a[0], "");
	assert_int_equal(f.smtpd.n_sessions, 4);
	(void)close(a[0]), (void)close(b), (void)close(c), (void)close(d);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

static void
good_clients_come_in(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b, good, listed;

	(void)state;
	conf->smtpd.max_sessions = 2;
	conf->smtpd.stress_sessions = 101;
	fakes_start(&f, conf);
	f.client = 0;
	good = fakes_knock(&f, "192.0.2.1");
	hears(&f, good, "220 *");
	says(good, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	hears(&f, good, "*354 *");
	says(good, S("From: a@b.example\r\n\r\nhello\r\n.\r\nQUIT\r\n"));
	ends(&f, good, "250 2.0.0 Ok: queued *221 *");

	a = fakes_knock(&f, "192.0.2.7");
	b = fakes_knock(&f, "192.0.2.8");
	hears(&f, a, "220 *");
	hears(&f, b, "220 *");
	/* One sends a message, the other is idle. */
	says(a, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	hears(&f, a, "*354 *");
	good = fakes_knock(&f, "192.0.2.1");
	hears(&f, good, "220 *");
	ends(&f, b, "421 4.3.2 *");
	/* A listed one may come even then, and does not push out the good one. */
	listed = fakes_knock(&f, "127.0.0.1");
	hears(&f, listed, "220 *");
	ends(&f, a, "421 4.3.2 *");
	hears(&f, good, "");
	/* A stranger finds no room, and nor does a second session of the listed. */
	a = fakes_knock(&f, "192.0.2.9");
	ends(&f, a, "421 4.3.2 *");
	(void)close(good), (void)close(listed);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

/* What the queue may have already is nobody's to give away. */
static void
a_message_at_the_queue_stays(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b;

	(void)state;
	conf->smtpd.max_sessions = 1;
	conf->smtpd.stress_sessions = 101;
	fakes_start(&f, conf);
	f.client = 0;
	f.queue_holds = true;
	a = fakes_knock(&f, "192.0.2.7");
	hears(&f, a, "220 *");
	says(a, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	hears(&f, a, "*354 *");
	says(a, S("From: a@b.example\r\n\r\nhello\r\n.\r\n"));
	fakes_settle(&f);
	b = fakes_knock(&f, "127.0.0.1");
	ends(&f, b, "421 4.3.2 *");
	fakes_queue_answer(&f);
	hears(&f, a, "250 2.0.0 Ok: queued *");
	(void)close(a);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

static void
under_stress_there_is_less_time(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b, listed;

	(void)state;
	conf->smtpd.max_sessions = 4;
	conf->smtpd.stress_sessions = 75;
	conf->smtpd.stress_timeout_command = 200;
	fakes_start(&f, conf);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	listed = fakes_knock(&f, "127.0.0.1");
	wait_ms(&f, 300);
	hears(&f, a, "220 *");
	hears(&f, listed, "220 *");
	assert_false(f.smtpd.stressed);
	b = fakes_knock(&f, "192.0.2.8");
	assert_true(f.smtpd.stressed);
	hears(&f, b, "220 *");
	/* The first one's time is over already. */
	ends(&f, a, "421 4.4.2 *");
	fakes_settle(&f);
	assert_false(f.smtpd.stressed);
	wait_ms(&f, 300);
	hears(&f, b, "");
	hears(&f, listed, "");
	(void)close(b), (void)close(listed);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

/* --- limits of networks --- */

static void
a_network_s_errors_are_one(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b;

	(void)state;
	conf->limits.errors = 3;
	fakes_start(&f, conf);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	b = fakes_knock(&f, "192.0.2.7");
	hears(&f, a, "220 *");
	hears(&f, b, "220 *");
	says(a, S("ONE\r\nTWO\r\n"));
	hears(&f, a, "500 *500 *");
	says(b, S("THREE\r\n"));
	hears(&f, b, "500 *");
	says(b, S("NOOP\r\n"));
	ends(&f, b, "421 4.7.0 *");
	/* The other one did nothing since. */
	says(a, S("NOOP\r\n"));
	hears(&f, a, "250 *");
	says(a, S("FOUR\r\nNOOP\r\n"));
	ends(&f, a, "500 *421 4.7.0 *");
	a = fakes_knock(&f, "192.0.2.7");
	ends(&f, a, "421 4.7.0 *errors*");
	a = fakes_knock(&f, "192.0.2.8");
	hears(&f, a, "220 *");
	(void)close(a);
	/* Listed ones have no limits. */
	a = fakes_knock(&f, "127.0.0.1");
	says(a, S("1\r\n2\r\n3\r\n4\r\n5\r\nNOOP\r\n"));
	hears(&f, a, "220 *500 *500 *500 *500 *500 *250 *");
	(void)close(a);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

static void
networks_are_as_long_as_configured(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b;

	(void)state;
	conf->limits.ipv4_prefix = 24;
	conf->limits.connections = 1;
	fakes_start(&f, conf);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	hears(&f, a, "220 *");
	b = fakes_knock(&f, "192.0.2.200");
	ends(&f, b, "421 4.7.0 *connections*");
	b = fakes_knock(&f, "192.0.3.7");
	hears(&f, b, "220 *");
	(void)close(a), (void)close(b);
	fakes_settle(&f);
	f.client = -1;
	fakes_stop(&f);
}

/* --- time --- */

/* timeout-session is for those who do nothing; a message under way has times of its own. */
static void
a_long_session_ends_its_message(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a;

	(void)state;
	conf->smtpd.timeout_session = 200;
	fakes_start(&f, conf);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	hears(&f, a, "220 *");
	says(a, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	hears(&f, a, "*354 *");
	wait_ms(&f, 300);
	says(a, S("From: a@b.example\r\n\r\nhello\r\n.\r\n"));
	ends(&f, a, "250 2.0.0 Ok: queued *421 4.4.2 *");
	f.client = -1;
	fakes_stop(&f);
}

static void
who_is_still_here_at_the_end_is_told(void **state)
{
	struct fakes f;
	int a;

	(void)state;
	fakes_start(&f, NULL);
	f.client = 0;
	a = fakes_knock(&f, "192.0.2.7");
	hears(&f, a, "220 *");
	says(a, S("HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"));
	hears(&f, a, "*354 *");
	smtpd_last_call(&f.smtpd, 200);
	smtpd_stop(&f.smtpd);
	hears(&f, a, "");
	wait_ms(&f, 300);
	ends(&f, a, "421 4.3.2 *");
	f.client = -1;
	fakes_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxy_says_who_it_is),
		cmocka_unit_test(a_bad_proxy_is_cut_off),
		cmocka_unit_test(a_client_behind_a_proxy_has_its_limits),
		cmocka_unit_test(xclient_says_who_it_is),
		cmocka_unit_test(early_talkers_are_cut_off),
		cmocka_unit_test(a_client_that_is_gone_leaves_nothing),
		cmocka_unit_test(who_goes_while_the_router_thinks_leaves_nothing),
		cmocka_unit_test(the_largest_network_makes_room),
		cmocka_unit_test(good_clients_come_in),
		cmocka_unit_test(a_message_at_the_queue_stays),
		cmocka_unit_test(under_stress_there_is_less_time),
		cmocka_unit_test(a_network_s_errors_are_one),
		cmocka_unit_test(networks_are_as_long_as_configured),
		cmocka_unit_test(a_long_session_ends_its_message),
		cmocka_unit_test(who_is_still_here_at_the_end_is_told),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
