/* tests/smtpd/test_allowance.c -- limits of users (auth { user-... }) as smtpd keeps them: an auth room that is lost or silent,
 * and what is given back to it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "smtpd/deadline.h"
#include "smtpd/session.h"
#include "tests/smtpd/fakes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ASKED_MAX = 32 };

/* The auth room: says yes to all, unless it is silent. */
struct counter {
	struct fakes f;
	struct peer *peer;
	bool silent;
	unsigned n_asked;
	uint8_t messages[ASKED_MAX];	/* of each question */
	unsigned n_counts;
	uint32_t back[2], more[2];	/* of all: messages, recipients */
	uint32_t age;			/* of the last */
};

static const char *
on_spend(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct counter *c = ctx;
	struct au_spend m = { S(""), 0, 0 };
	const struct au_spent answer = { 1, S("") };

	(void)fd;
	assert_true(au_spend_get(body, &m) && c->n_asked < ASKED_MAX && slice_eq(m.user, S("alice")) && m.rcpts == 1);
	c->messages[c->n_asked++] = m.messages;
	if (!c->silent)
		assert_int_equal(au_spent_send(p, handle, &answer), RC_OK);
	return NULL;
}

static const char *
on_count(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct counter *c = ctx;
	struct au_count m = { .user = S("") };

	(void)p, (void)handle, (void)fd;
	assert_true(au_count_get(body, &m) && slice_eq(m.user, S("alice")));
	c->n_counts++;
	c->age = m.age;
	c->more[0] += m.messages;
	c->more[1] += m.rcpts;
	c->back[0] += m.messages_back;
	c->back[1] += m.rcpts_back;
	return NULL;
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct counter *c = ctx;

	if (why != NULL)
		fail_msg("smtpd broke the line: %s", why);
	c->peer = NULL;
	peer_free(p);
}

static const struct peer_ops ops = { .on = { [AU_SPEND] = on_spend, [AU_COUNT] = on_count }, .closed = line_closed };

static void
room_up(struct counter *c)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	smtpd_take_line(&c->f.smtpd, ROLE_AUTH, 0, pair[0]);
	c->peer = peer_new(c->f.loop, pair[1], ROLE_AUTH, ROLE_SMTPD, 0, &ops, c);
	assert_non_null(c->peer);
	fakes_settle(&c->f);
}

static void
room_down(struct counter *c)
{
	peer_free(c->peer);
	c->peer = NULL;
	fakes_settle(&c->f);
}

static void
say(struct counter *c, const char *text)
{
	fakes_say(&c->f, text);
}

static void
hear(struct counter *c, const char *pattern)
{
	fakes_hear(&c->f, pattern);
}

/* alice has come, and said MAIL. */
static void
begin(struct counter *c)
{
	struct conf *conf = fakes_conf();

	*c = (struct counter){ .peer = NULL };
	conf->auth.user_recipients_hour = 100;
	fakes_start(&c->f, conf);
	room_up(c);
	(void)fakes_connect(&c->f, "192.0.2.7");
	say(c, "HELO client.example\r\n");
	hear(c, "220 *");
	hear(c, "250 *");
	c->f.smtpd.sessions->user = strdup("alice");
	say(c, "MAIL FROM:<alice@example.org>\r\n");
	hear(c, "250 *");
}

static void
end(struct counter *c)
{
	peer_free(c->peer);
	fakes_stop(&c->f);
}

/* The message is asked for again with the next recipient, when the room with which it was asked for is gone. */
static void
a_lost_room_ends_no_transaction(void **state)
{
	struct counter c;

	(void)state;
	begin(&c);
	c.silent = true;
	say(&c, "RCPT TO:<bob@example.org>\r\n");
	fakes_settle(&c.f);
	assert_int_equal(c.n_asked, 1);
	room_down(&c);
	hear(&c, "451 4.3.0 Limits cannot be checked now*");
	c.silent = false;
	room_up(&c);
	say(&c, "RCPT TO:<carol@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	hear(&c, "250 *");
	hear(&c, "250 *");
	hear(&c, "354 *");
	assert_int_equal(c.n_asked, 3);
	assert_int_equal(c.messages[0], 1);
	assert_int_equal(c.messages[1], 1);
	end(&c);
}

/* Silent, but there: the client has its 451 when the patience for recipients is over, and the next one asks for the message. */
static void
a_silent_room_is_not_waited_for(void **state)
{
	struct counter c;
	struct session *s;

	(void)state;
	begin(&c);
	c.silent = true;
	say(&c, "RCPT TO:<bob@example.org>\r\nRCPT TO:<carol@example.org>\r\n");
	fakes_settle(&c.f);
	assert_int_equal(c.n_asked, 2);
	s = c.f.smtpd.sessions;
	s->since -= VERDICT_PATIENCE_MS;
	deadline_arm(s);
	hear(&c, "451 4.3.0 Limits cannot be checked now*");
	hear(&c, "451 4.3.0 Limits cannot be checked now*");
	assert_int_equal(c.f.smtpd.spends.used, 0);
	c.silent = false;
	say(&c, "RCPT TO:<bob@example.org>\r\n");
	hear(&c, "250 *");
	assert_int_equal(c.messages[0] + c.messages[1], 1);
	assert_int_equal(c.messages[2], 1);
	end(&c);
}

/* What the auth room is asked about still is answered by it when the router is lost. */
static void
a_lost_router_leaves_the_auth_room_its_answers(void **state)
{
	struct counter c;

	(void)state;
	begin(&c);
	c.f.router_holds = true;
	say(&c, "RCPT TO:<bob@example.org>\r\n");
	fakes_settle(&c.f);
	c.silent = true;
	say(&c, "RCPT TO:<carol@example.org>\r\n");
	fakes_settle(&c.f);
	fakes_router(&c.f, false);
	hear(&c, "451 4.3.0 Recipients cannot be checked now*");
	assert_int_equal(c.f.smtpd.spends.used, 1);
	room_down(&c);
	hear(&c, "451 4.3.0 Limits cannot be checked now*");
	end(&c);
}

/* Says the message, and goes. */
static void
send_and_go(struct counter *c)
{
	say(c, "RCPT TO:<bob@example.org>\r\nRCPT TO:<carol@example.org>\r\nDATA\r\n");
	hear(c, "250 *");
	hear(c, "250 *");
	hear(c, "354 *");
	say(c, "x\r\n.\r\n");
	fakes_settle(&c->f);
	(void)close(c->f.client);
	c->f.client = -1;
	fakes_settle(&c->f);
}

/* A message that the queue was given is sent, whether or not its client hears of it. */
static void
who_goes_without_the_reply_has_sent(void **state)
{
	struct counter c;

	(void)state;
	begin(&c);
	c.f.queue_holds = true;
	send_and_go(&c);
	fakes_queue_answer(&c.f);
	fakes_settle(&c.f);
	assert_int_equal(c.f.smtpd.n_sessions, 0);
	assert_true(fakes_last(&c.f)->committed && !fakes_last(&c.f)->aborted);
	assert_int_equal(c.n_asked, 2);
	assert_int_equal(c.n_counts, 0);
	end(&c);
}

/* One that is given up before has all of it back; so has one that the queue refused. */
static void
what_is_not_sent_is_given_back(void **state)
{
	struct counter c;

	(void)state;
	begin(&c);
	say(&c, "RCPT TO:<bob@example.org>\r\nRCPT TO:<carol@example.org>\r\n");
	hear(&c, "250 *");
	hear(&c, "250 *");
	c.f.smtpd.sessions->tx->spends_since -= 7000;
	say(&c, "RSET\r\n");
	hear(&c, "250 *");
	fakes_settle(&c.f);
	assert_true(c.age >= 7 && c.age < 60);
	assert_int_equal(c.back[0], 1);
	assert_int_equal(c.back[1], 2);
	say(&c, "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
	hear(&c, "250 *");
	hear(&c, "250 *");
	hear(&c, "354 *");
	c.f.refuse_code = 452;
	(void)snprintf(c.f.refuse_enhanced, sizeof c.f.refuse_enhanced, "4.3.1");
	(void)snprintf(c.f.refuse_text, sizeof c.f.refuse_text, "Disk full");
	say(&c, "x\r\n.\r\n");
	hear(&c, "452 *");
	fakes_settle(&c.f);
	assert_int_equal(c.back[0], 2);
	assert_int_equal(c.back[1], 3);
	assert_int_equal(c.more[0] + c.more[1], 0);
	end(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_room_ends_no_transaction),
		cmocka_unit_test(a_silent_room_is_not_waited_for),
		cmocka_unit_test(a_lost_router_leaves_the_auth_room_its_answers),
		cmocka_unit_test(who_goes_without_the_reply_has_sent),
		cmocka_unit_test(what_is_not_sent_is_given_back),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
