/* tests/sim/clients.c -- clients that bring mail to the house, and do not always finish what they begin. See internet.h. */
#include "tests/sim/internet.h"

#include "common/rc.h"
#include "tests/sim/house.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_A_CLIENT = 4, WAITING_MAX = 16 };
#define PATIENCE ((uint64_t)(10 * MINUTE))

enum asked { ASKED_GREETING, ASKED_EHLO, ASKED_MAIL, ASKED_RCPT, ASKED_DATA, ASKED_DOT, ASKED_RSET, ASKED_QUIT };

struct client {
	struct sock *sock;
	struct slot later;
	enum asked waiting[WAITING_MAX];	/* what answers are due, in order */
	unsigned rcpt_of[WAITING_MAX];
	unsigned n_waiting;
	struct letter *letter;
	unsigned left, next_rcpt;
	unsigned accepted_rcpts;
	bool pipelines, wants_reset, silent;
};

static struct {
	unsigned trouble, here;
} all;

void clients_begin(void) { memset(&all, 0, sizeof all); }
void clients_trouble(unsigned in) { all.trouble = in; }
unsigned clients_here(void) { return all.here; }

static void
client_end(struct client *c, const char *how)
{
	if (c->letter == NULL)
		world_trace("client leaves (%s)", how);
	else
		world_trace("client leaves (%s) with letter %u", how, c->letter->no);
	slot_clear(&c->later);
	if (world_chance(3))
		net_reset(c->sock);
	else
		net_close(c->sock);
	free(c);
	all.here--;
}

static void
gives_up(void *ctx)
{
	client_end(ctx, "out of patience");
}

static void
ask(struct client *c, enum asked what, const char *text, unsigned rcpt)
{
	BUG_ON(c->n_waiting == WAITING_MAX);
	c->rcpt_of[c->n_waiting] = rcpt;
	c->waiting[c->n_waiting++] = what;
	net_say(c->sock, text, strlen(text));
}

static void
ask_rcpt(struct client *c)
{
	char line[128];
	unsigned i = c->next_rcpt++;

	(void)snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", c->letter->rcpts[i].address);
	ask(c, ASKED_RCPT, line, i);
}

static void
begin_letter(struct client *c)
{
	char line[128];

	if (c->left == 0) {
		ask(c, ASKED_QUIT, "QUIT\r\n", 0);
		return;
	}
	c->left--;
	c->letter = letter_new();
	c->next_rcpt = c->accepted_rcpts = 0;
	c->wants_reset = world_chance(all.trouble);
	(void)snprintf(line, sizeof line, "MAIL FROM:<%s>\r\n", c->letter->sender);
	ask(c, ASKED_MAIL, line, 0);
	if (!c->pipelines)
		return;
	while (c->next_rcpt < c->letter->n_rcpts)
		ask_rcpt(c);
	if (!c->wants_reset)
		ask(c, ASKED_DATA, "DATA\r\n", 0);
}

/* The next thing of a transaction, when all answers are there. */
static void
go_on(struct client *c)
{
	if (c->next_rcpt < c->letter->n_rcpts)
		ask_rcpt(c);
	else if (c->wants_reset || c->accepted_rcpts == 0)
		ask(c, ASKED_RSET, "RSET\r\n", 0);
	else
		ask(c, ASKED_DATA, "DATA\r\n", 0);
}

/* False: it left in the middle. */
static bool
send_content(struct client *c)
{
	const struct letter *l = c->letter;
	size_t stop = world_chance(all.trouble) ? (size_t)world_below(l->n + 1) : l->n + 1;
	bool at_start = true;
	size_t from = 0;

	for (size_t i = 0; i < l->n && i < stop; i++) {
		if (at_start && l->text[i] == '.') {
			net_say(c->sock, l->text + from, i - from);
			net_say(c->sock, ".", 1);
			from = i;
		}
		at_start = l->text[i] == '\n';
	}
	net_say(c->sock, l->text + from, (stop < l->n ? stop : l->n) - from);
	if (stop <= l->n) {
		client_end(c, "in the middle of a message");
		return false;
	}
	c->letter->fate = LETTER_ASKED;
	c->letter->crashes = house_crashes();
	ask(c, ASKED_DOT, ".\r\n", 0);
	return true;
}

static void
content_answered(struct client *c, unsigned code, struct slice line)
{
	struct letter *l = c->letter;

	l->fate = code / 100 == 2 ? LETTER_ACCEPTED : code / 100 == 4 ? LETTER_PUT_OFF : LETTER_REFUSED;
	world_trace("letter %u: %.*s", l->no, (int)line.n, (const char *)line.p);
	if (code / 100 == 2 && !l->durable)
		world_fail("letter %u was acknowledged before it was durable", l->no);
	c->letter = NULL;
	begin_letter(c);
}

/* False: c is gone. */
static bool
answered(struct client *c, enum asked what, unsigned rcpt, unsigned code, struct slice line)
{
	bool ok = code / 100 == 2;

	switch (what) {
	case ASKED_GREETING:
		if (!ok)
			break;
		ask(c, ASKED_EHLO, "EHLO client.sim.test\r\n", 0);
		return true;
	case ASKED_EHLO:
		begin_letter(c);
		return true;
	case ASKED_MAIL:
		if (c->n_waiting > 0)
			return true;
		if (ok)
			go_on(c);
		else {
			world_trace("letter %u: %.*s", c->letter->no, (int)line.n, (const char *)line.p);
			begin_letter(c);
		}
		return true;
	case ASKED_RCPT:
		c->letter->rcpts[rcpt].accepted = ok;
		c->accepted_rcpts += ok;
		if (c->n_waiting == 0)
			go_on(c);
		return true;
	case ASKED_DATA:
		if (code == 354)
			return send_content(c);
		ask(c, ASKED_RSET, "RSET\r\n", 0);
		return true;
	case ASKED_DOT:
		content_answered(c, code, line);
		return true;
	case ASKED_RSET:
		begin_letter(c);
		return true;
	case ASKED_QUIT:
		break;
	}
	client_end(c, "done");
	return false;
}

static void
heard(void *ctx)
{
	struct client *c = ctx;

	while (!c->silent) {
		struct slice in = net_heard(c->sock);
		size_t lf = slice_find(in, '\n');
		struct slice line = slice_first(in, lf == 0 ? 0 : lf - 1);
		char copy[512];
		enum asked what;
		unsigned code, rcpt;

		if (lf == in.n)
			break;
		BUG_ON(line.n < 3 || line.n >= sizeof copy);
		memcpy(copy, line.p, line.n);
		copy[line.n] = '\0';
		line = slice_of((const uint8_t *)copy, line.n);
		net_take(c->sock, lf + 1);
		if (line.n > 3 && copy[3] == '-')
			continue;
		code = (unsigned)(copy[0] - '0') * 100 + (unsigned)(copy[1] - '0') * 10 + (unsigned)(copy[2] - '0');
		if (code == 421 || c->n_waiting == 0) {
			/* It may answer what was asked, and it may not: the letter stays open. */
			client_end(c, copy);
			return;
		}
		what = c->waiting[0];
		rcpt = c->rcpt_of[0];
		c->n_waiting--;
		memmove(c->waiting, c->waiting + 1, c->n_waiting * sizeof c->waiting[0]);
		memmove(c->rcpt_of, c->rcpt_of + 1, c->n_waiting * sizeof c->rcpt_of[0]);
		slot_set(&c->later, PATIENCE, gives_up, c);
		if (world_chance(all.trouble)) {
			c->silent = world_chance(4);
			if (c->silent)
				return;
			client_end(c, "for no reason");
			return;
		}
		if (!answered(c, what, rcpt, code, line))
			return;
	}
	if (net_is_over(c->sock))
		client_end(c, "the house has hung up");
}

void
client_comes(void)
{
	struct client *c = calloc(1, sizeof *c);
	struct ip from = { 4, { 20, 0, (uint8_t)world_below(256), (uint8_t)world_below(256) } };

	BUG_ON(c == NULL);
	c->sock = net_call(house_listener((unsigned)world_below(house_smtpds())), from, &(struct net_actor){ heard, c });
	if (c->sock == NULL) {
		free(c);
		return;
	}
	all.here++;
	c->left = 1 + (unsigned)world_below(LETTERS_A_CLIENT);
	c->pipelines = world_chance(2);
	c->waiting[c->n_waiting++] = ASKED_GREETING;
	slot_set(&c->later, PATIENCE, gives_up, c);
}
