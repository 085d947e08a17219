/* tests/vault/test_dovecot.c -- the auth room between smtpd and Dovecot, both of which are played: what goes over the line, and
 * what becomes of logins when Dovecot says strange things, nothing, or goes away. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vault/auth.h"
#include "vault/auth_exchange.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tSCRAM-SHA-256\tmutual-auth\n" \
	"MECH\tCRAM-MD5\nMECH\tXOAUTH2\nMECH\tSCRAM-SHA-256-PLUS\tchannel-binding\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n"

struct house {
	struct loop *loop;
	struct conf *conf;
	struct auth auth;
	int smtpd, dovecot;	/* our ends */
	struct buf in;
	uint32_t last;
	char said[20000];	/* to Dovecot */
	char mechanisms[200];	/* of the last AU_STATE */
};

struct answer {
	unsigned type;
	uint32_t handle;
	unsigned kind;
	char text[512];
};

/* --- the room is made to run --- */

static void
turns(struct house *h)
{
	for (unsigned i = 0; i < 20; i++)
		loop_turn(h->loop, false);
}

static void
say(struct house *h, const char *text)
{
	assert_int_equal(write(h->dovecot, text, strlen(text)), strlen(text));
	turns(h);
}

/* Everything that Dovecot has been told since. */
static const char *
heard(struct house *h)
{
	ssize_t n;

	turns(h);
	n = recv(h->dovecot, h->said, sizeof h->said - 1, MSG_DONTWAIT);
	h->said[n < 0 ? 0 : n] = '\0';
	return h->said;
}

/* As master would. */
static void
connect_dovecot(struct house *h, const char *hello)
{
	int pair[2];

	assert_int_equal(h->auth.dovecot.state, DOVECOT_ASKED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	dovecot_take(&h->auth, pair[0]);
	h->dovecot = pair[1];
	assert_non_null(strstr(heard(h), "VERSION\t1\t2\nCPID\t"));
	say(h, hello);
}

static void
dovecot_hangs_up(struct house *h)
{
	(void)close(h->dovecot);
	turns(h);
}

static void
house_open(struct house *h)
{
	int pair[2];

	(void)signal(SIGPIPE, SIG_IGN);
	memset(h, 0, sizeof *h);
	h->loop = loop_new();
	h->conf = conf_new();
	h->conf->auth.failure_delay = 0;
	h->conf->auth.workers = 1;
	h->conf->auth.max_hash_memory = 8192;
	free(h->conf->auth.dovecot);
	h->conf->auth.dovecot = strdup("/dovecot");
	assert_int_equal(auth_init(&h->auth, h->loop, h->conf), RC_OK);
	auth_use(&h->auth, users_new(), h->conf);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	auth_take_line(&h->auth, ROLE_SMTPD, 0, pair[0]);
	h->smtpd = pair[1];
	h->dovecot = -1;
	buf_init(&h->in, IPC_FRAME_MAX);
}

static void
house_close(struct house *h)
{
	(void)close(h->smtpd);
	if (h->dovecot != -1)
		(void)close(h->dovecot);
	buf_free(&h->in);
	auth_free(&h->auth);
	conf_unref(h->conf);
	loop_free(h->loop);
}

static void
put(struct house *h, unsigned type, uint32_t handle, const struct wr *w, const uint8_t *space)
{
	assert_false(w->bad);
	assert_int_equal(frame_write_blocking(h->smtpd, (uint16_t)type, handle, slice_of(space, w->n), -1), RC_OK);
	turns(h);
}

static uint32_t
begin(struct house *h, const char *mechanism, bool has_initial, struct slice initial)
{
	struct au_begin m = { .mechanism = slice_str(mechanism), .has_initial = has_initial, .initial = initial, .secure = 1 };
	uint8_t space[16384];
	struct wr w = { space, 0, sizeof space, false };

	assert_int_equal(ip_parse(S("192.0.2.1"), &m.client), RC_OK);
	(void)au_begin_put(&w, &m);
	put(h, AU_BEGIN, ++h->last, &w, space);
	return h->last;
}

static void
go_on(struct house *h, uint32_t handle, struct slice response)
{
	const struct au_continue m = { response };
	uint8_t space[16384];
	struct wr w = { space, 0, sizeof space, false };

	(void)au_continue_put(&w, &m);
	put(h, AU_CONTINUE, handle, &w, space);
}

static void
take_text(char *to, size_t size, struct slice s)
{
	assert_true(s.n < size);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

/* type 0: nothing is said. */
static struct answer
hear(struct house *h)
{
	struct au_challenge challenge;
	struct answer a = { 0 };
	struct au_fail f_;
	struct au_state state;
	struct au_ok ok;
	struct frame f;
	uint8_t byte;
	struct rd r;

	for (;;) {
		if (recv(h->smtpd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			return a;
		assert_int_equal(frame_read_blocking(h->smtpd, ROLE_SMTPD, ROLE_AUTH, &h->in, &f), RC_OK);
		r = (struct rd){ f.body, false };
		if (f.type != AU_STATE)
			break;
		assert_true(au_state_get(&r, &state));
		take_text(h->mechanisms, sizeof h->mechanisms, state.mechanisms);
	}
	a.type = f.type;
	a.handle = f.handle;
	if (f.type == AU_CHALLENGE && au_challenge_get(&r, &challenge))
		take_text(a.text, sizeof a.text, challenge.challenge);
	else if (f.type == AU_OK && au_ok_get(&r, &ok))
		take_text(a.text, sizeof a.text, ok.user);
	else if (f.type == AU_FAIL && au_fail_get(&r, &f_)) {
		a.kind = f_.kind;
		take_text(a.text, sizeof a.text, f_.why);
	} else
		fail_msg("frame %u", f.type);
	return a;
}

static void
failed(struct house *h, uint32_t handle, enum auth_failure kind)
{
	struct answer a = hear(h);

	assert_int_equal(a.type, AU_FAIL);
	assert_int_equal(a.handle, handle);
	assert_int_equal(a.kind, kind);
}

static uint32_t
plain(struct house *h)
{
	return begin(h, "PLAIN", true, S("\0alice\0secret"));
}

/* --- tests --- */

static void
what_goes_over_the_line(void **state)
{
	struct house h;
	uint32_t x;
	struct answer a;

	(void)state;
	house_open(&h);
	assert_int_equal(hear(&h).type, 0);
	assert_string_equal(h.mechanisms, "");
	x = plain(&h);
	failed(&h, x, AUTH_TEMPORARY);		/* it is not known what Dovecot has */
	connect_dovecot(&h, HELLO);
	assert_int_equal(hear(&h).type, 0);
	assert_string_equal(h.mechanisms, "PLAIN LOGIN SCRAM-SHA-256 XOAUTH2");
	x = plain(&h);
	assert_string_equal(heard(&h),
	    "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tsecured=tls\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==\n");
	say(&h, "OK\t1\tuser=Alice\001t\n");
	failed(&h, x, AUTH_TEMPORARY);		/* no name that could be one of ours */
	x = begin(&h, "LOGIN", false, S(""));
	assert_string_equal(heard(&h), "AUTH\t2\tLOGIN\tservice=smtp\tnologin\tsecured=tls\trip=192.0.2.1\n");
	say(&h, "CONT\t2\tVXNlcm5hbWU6\n");
	a = hear(&h);
	assert_true(a.type == AU_CHALLENGE && a.handle == x);
	assert_string_equal(a.text, "Username:");
	go_on(&h, x, S("alice"));
	assert_string_equal(heard(&h), "CONT\t2\tYWxpY2U=\n");
	say(&h, "CONT\t2\tUGFzc3dvcmQ6\n");
	assert_int_equal(hear(&h).type, AU_CHALLENGE);
	go_on(&h, x, S("secret"));
	assert_string_equal(heard(&h), "CONT\t2\tc2VjcmV0\n");
	say(&h, "OK\t2\tuser=alice@example.org\tother=thing\n");
	a = hear(&h);
	assert_true(a.type == AU_OK && a.handle == x);
	assert_string_equal(a.text, "alice@example.org");
	x = begin(&h, "CRAM-MD5", false, S(""));
	failed(&h, x, AUTH_NO_MECHANISM);
	x = begin(&h, "PLAIN", true, S(""));
	failed(&h, x, AUTH_MALFORMED);
	assert_string_equal(heard(&h), "");
	house_close(&h);
}

static void
results_that_come_with_data(void **state)
{
	struct house h;
	struct answer a;
	uint32_t x;

	(void)state;
	house_open(&h);
	connect_dovecot(&h, HELLO);
	x = begin(&h, "SCRAM-SHA-256", true, S("n,,n=alice,r=abc"));
	say(&h, "OK\t1\tuser=alice\tresp=dj0x\n");
	assert_string_equal(hear(&h).text, "v=1");
	go_on(&h, x, S(""));
	assert_int_equal(hear(&h).type, AU_OK);
	x = begin(&h, "SCRAM-SHA-256", true, S("n,,n=alice,r=abc"));
	say(&h, "OK\t2\tuser=alice\tresp=dj0x\n");
	assert_int_equal(hear(&h).type, AU_CHALLENGE);
	go_on(&h, x, S("more"));
	failed(&h, x, AUTH_MALFORMED);
	x = begin(&h, "XOAUTH2", true, S("user=alice\1auth=Bearer x\1\1"));
	say(&h, "FAIL\t3\tuser=alice\tresp=e30=\n");
	a = hear(&h);
	assert_int_equal(a.type, AU_CHALLENGE);
	assert_string_equal(a.text, "{}");
	go_on(&h, x, S("\1"));
	failed(&h, x, AUTH_WRONG);
	/* Not base64: nobody can be shown it. */
	x = plain(&h);
	say(&h, "CONT\t4\t*\n");
	failed(&h, x, AUTH_TEMPORARY);
	house_close(&h);
}

static void
kinds_of_no(void **state)
{
	static const struct {
		const char *line;
		enum auth_failure kind;
	} cases[] = {
		{ "FAIL\t%u\tuser=alice\n", AUTH_WRONG }, { "FAIL\t%u\n", AUTH_WRONG },
		{ "FAIL\t%u\tuser=alice\ttemp\n", AUTH_TEMPORARY },
		{ "FAIL\t%u\tcode=temp_fail\n", AUTH_TEMPORARY },
		{ "FAIL\t%u\tcode=user_disabled\treason=no\tmore\n", AUTH_WRONG },
		{ "OK\t%u\tuser=alice\tnologin\n", AUTH_WRONG }, { "OK\t%u\tuser=alice\tproxy=y\thost=x\n", AUTH_WRONG },
		{ "OK\t%u\n", AUTH_TEMPORARY }, { "OK\t%u\tuser=\n", AUTH_TEMPORARY }, { "OK\t%u\tuser=a\001\n", AUTH_TEMPORARY },
		{ "OK\t%u\tuser=a:b\n", AUTH_TEMPORARY },
	};
	struct house h;

	(void)state;
	house_open(&h);
	connect_dovecot(&h, HELLO);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char line[200];
		uint32_t x = plain(&h);

		(void)snprintf(line, sizeof line, "%.*s%u%s", (int)(strchr(cases[i].line, '%') - cases[i].line), cases[i].line,
		    i + 1, strchr(cases[i].line, '%') + 2);
		say(&h, line);
		failed(&h, x, cases[i].kind);
	}
	assert_int_equal(h.auth.dovecot.state, DOVECOT_UP);
	assert_int_equal(h.auth.exchanges.n, 0);
	house_close(&h);
}

static void
it_goes_away(void **state)
{
	struct house h;
	uint32_t x, y, z;

	(void)state;
	house_open(&h);
	connect_dovecot(&h, HELLO);
	x = plain(&h);
	y = begin(&h, "LOGIN", true, S("alice"));
	say(&h, "CONT\t2\tUGFzc3dvcmQ6\n");
	assert_int_equal(hear(&h).type, AU_CHALLENGE);
	dovecot_hangs_up(&h);
	failed(&h, x, AUTH_TEMPORARY);
	failed(&h, y, AUTH_TEMPORARY);
	/* Who comes while it is connected to anew waits. */
	z = plain(&h);
	assert_int_equal(hear(&h).type, 0);
	connect_dovecot(&h, HELLO);
	assert_string_equal(heard(&h),
	    "AUTH\t3\tPLAIN\tservice=smtp\tnologin\tsecured=tls\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==\n");
	say(&h, "OK\t1\tuser=alice\n");		/* of the old connection: nobody's now */
	assert_int_equal(hear(&h).type, 0);
	say(&h, "OK\t3\tuser=alice\n");
	assert_int_equal(hear(&h).type, AU_OK);
	/* Not there at all: 454 at once, and what it had is still offered. */
	dovecot_hangs_up(&h);
	dovecot_failed(&h.auth, "no such file");
	z = plain(&h);
	failed(&h, z, AUTH_TEMPORARY);
	assert_string_equal(h.mechanisms, "PLAIN LOGIN SCRAM-SHA-256 XOAUTH2");
	while (h.auth.dovecot.state == DOVECOT_RESTING)
		loop_turn(h.loop, true);
	connect_dovecot(&h, HELLO);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_UP);
	house_close(&h);
}

static void
it_hangs(void **state)
{
	struct house h;
	uint32_t x, y;

	(void)state;
	house_open(&h);
	h.conf->auth.dovecot_timeout = 50;
	connect_dovecot(&h, HELLO);
	(void)usleep(2000);
	x = plain(&h);
	y = plain(&h);
	while (h.auth.dovecot.state == DOVECOT_UP)
		loop_turn(h.loop, true);
	turns(&h);
	failed(&h, x, AUTH_TEMPORARY);
	failed(&h, y, AUTH_TEMPORARY);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_ASKED);
	(void)close(h.dovecot);
	/* No greeting either. */
	connect_dovecot(&h, "VERSION\t1\t2\n");
	x = plain(&h);
	while (h.auth.dovecot.state == DOVECOT_GREETING)
		loop_turn(h.loop, true);
	turns(&h);
	failed(&h, x, AUTH_TEMPORARY);
	house_close(&h);
}

/* One that is slow with one login, and answers others. */
static void
one_login_hangs(void **state)
{
	struct house h;
	uint32_t x;

	(void)state;
	house_open(&h);
	h.conf->auth.dovecot_timeout = 50;
	connect_dovecot(&h, HELLO);
	x = plain(&h);
	(void)usleep(5000);
	say(&h, "SOMETHING\n");
	while (h.auth.exchanges.n > 0)
		loop_turn(h.loop, true);
	turns(&h);
	failed(&h, x, AUTH_TEMPORARY);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_UP);
	assert_non_null(strstr(heard(&h), "CANCEL\t1\n"));
	house_close(&h);
}

static void
a_client_gives_up(void **state)
{
	const struct au_abort m = { 0 };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };
	struct house h;
	uint32_t x;

	(void)state;
	house_open(&h);
	connect_dovecot(&h, HELLO);
	x = plain(&h);
	(void)heard(&h);
	(void)au_abort_put(&w, &m);
	put(&h, AU_ABORT, x, &w, space);
	assert_string_equal(heard(&h), "CANCEL\t1\n");
	say(&h, "OK\t1\tuser=alice\n");
	assert_int_equal(hear(&h).type, 0);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_UP);
	house_close(&h);
}

static void
too_long_for_dovecot(void **state)
{
	static uint8_t response[8000];
	struct house h;
	uint32_t x, y;

	(void)state;
	memcpy(response, "\0alice\0", 7);
	memset(response + 7, 'x', sizeof response - 7);
	house_open(&h);
	h.conf->auth.max_exchanges_network = 1000;	/* all of them at once */
	connect_dovecot(&h, HELLO);
	x = begin(&h, "LOGIN", false, S(""));
	(void)heard(&h);
	/* 8192 bytes with the LF fit: 5974 of them are the base64 of a response, with the words around it. */
	y = begin(&h, "PLAIN", true, slice_of(response, sizeof response));
	failed(&h, y, AUTH_MALFORMED);
	assert_string_equal(heard(&h), "");
	say(&h, "CONT\t1\tVXNlcm5hbWU6\n");
	assert_int_equal(hear(&h).type, AU_CHALLENGE);
	(void)x;
	for (size_t n = 6000; n < 6120; n++) {
		(void)begin(&h, "PLAIN", true, slice_of(response, n));
		assert_true(strlen(heard(&h)) <= 8192);
		(void)hear(&h);
	}
	house_close(&h);
}

static void
strange_dovecots(void **state)
{
	static const char *const greetings[] = {
		"VERSION\t2\t0\nDONE\n", "DONE\n", "MECH\tPLAIN\nDONE\n", "VERSION\tx\n", "OK\t1\tuser=alice\n",
		"VERSION\t1\t2\nCONT\t1\t\n",
	};
	static char endless[DOVECOT_LINE_MAX + 1];
	struct house h;
	uint32_t x;

	(void)state;
	for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
		house_open(&h);
		connect_dovecot(&h, greetings[i]);
		assert_int_equal(h.auth.dovecot.state, DOVECOT_RESTING);
		house_close(&h);
	}
	memset(endless, 'A', sizeof endless - 1);
	house_open(&h);
	connect_dovecot(&h, HELLO);
	x = plain(&h);
	say(&h, endless);
	failed(&h, x, AUTH_TEMPORARY);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_ASKED);
	(void)close(h.dovecot);
	/* An answer while it is the client's turn. */
	connect_dovecot(&h, HELLO);
	x = begin(&h, "LOGIN", true, S("alice"));
	say(&h, "CONT\t2\tUGFzc3dvcmQ6\n");
	assert_int_equal(hear(&h).type, AU_CHALLENGE);
	say(&h, "OK\t2\tuser=root\n");
	failed(&h, x, AUTH_TEMPORARY);
	assert_int_equal(h.auth.dovecot.state, DOVECOT_ASKED);
	house_close(&h);
}

/* Failures count for the name that was claimed, in whatever letters, and the next one waits before Dovecot hears of it. */
static void
failures_are_slowed(void **state)
{
	struct house h;
	uint32_t x;

	(void)state;
	house_open(&h);
	h.conf->auth.failure_delay = 60;
	connect_dovecot(&h, HELLO);
	x = begin(&h, "PLAIN", true, S("\0Alice\0wrong"));
	(void)heard(&h);
	say(&h, "FAIL\t1\tuser=alice\n");
	failed(&h, x, AUTH_WRONG);
	(void)begin(&h, "PLAIN", true, S("\0aLICE\0wrong"));
	assert_string_equal(heard(&h), "");
	while (strncmp(heard(&h), "AUTH\t2\t", 7) != 0)
		loop_turn(h.loop, true);
	house_close(&h);
}

static void
names_are_found(void **state)
{
	static const struct {
		struct slice mechanism, response, name;
	} cases[] = {
		{ SLICE("PLAIN"), SLICE("x\0alice\0secret"), SLICE("alice") }, { SLICE("PLAIN"), SLICE("alice"), SLICE("") },
		{ SLICE("LOGIN"), SLICE("alice"), SLICE("alice") },
		{ SLICE("SCRAM-SHA-256"), SLICE("n,,n=al=2Cice,r=abc"), SLICE("al,ice") },
		{ SLICE("SCRAM-SHA-256"), SLICE("n"), SLICE("") },
		{ SLICE("OAUTHBEARER"), SLICE("n,a=alice,\1auth=x\1\1"), SLICE("alice") },
		{ SLICE("OAUTHBEARER"), SLICE("n,,\1auth=x\1\1"), SLICE("") }, { SLICE("OAUTHBEARER"), SLICE("\1"), SLICE("") },
		{ SLICE("XOAUTH2"), SLICE("user=alice\1auth=Bearer x\1\1"), SLICE("alice") },
		{ SLICE("XOAUTH2"), SLICE("auth=x\1"), SLICE("") },
	};
	struct buf name = BUF_INIT(255);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		dovecot_name_put(&name, cases[i].mechanism, 0, cases[i].response);
		assert_true(slice_eq(buf_slice(&name), cases[i].name));
		buf_clear(&name);
		dovecot_name_put(&name, cases[i].mechanism, 1, cases[i].response);
		assert_int_equal(buf_len(&name), 0);
	}
	assert_true(dovecot_name_is_proof(S("PLAIN"), 0) && dovecot_name_is_proof(S("LOGIN"), 1) &&
	    dovecot_name_is_proof(S("XOAUTH2"), 0));
	assert_false(dovecot_name_is_proof(S("SCRAM-SHA-256"), 0) || dovecot_name_is_proof(S("LOGIN"), 0));
	buf_free(&name);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_over_the_line),
		cmocka_unit_test(results_that_come_with_data),
		cmocka_unit_test(kinds_of_no),
		cmocka_unit_test(it_goes_away),
		cmocka_unit_test(it_hangs),
		cmocka_unit_test(one_login_hangs),
		cmocka_unit_test(a_client_gives_up),
		cmocka_unit_test(too_long_for_dovecot),
		cmocka_unit_test(strange_dovecots),
		cmocka_unit_test(failures_are_slowed),
		cmocka_unit_test(names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
