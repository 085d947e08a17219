/* tests/sim/servers.c -- the servers of the simulated internet, which misbehave at every step. See internet.h. */
#include "tests/sim/internet.h"

#include "common/mail_route.h"
#include "common/rc.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOMAINS_MAX = 8, HOSTS = 2, RCPTS_MAX = 64, LINE_MAX_BYTES = 4096 };

struct domain {
	uint64_t out_until;
	bool pipelining, ehlo, two_hosts;
};

static struct {
	struct domain domains[DOMAINS_MAX];
	unsigned n;
	unsigned trouble;
} net_world;

/* --- names --- */

void
internet_address(char to[LETTER_ADDRESS_MAX], const char *who, unsigned no, bool gone)
{
	(void)snprintf(to, LETTER_ADDRESS_MAX, "%s%u@%s%u.test", who, no, gone ? "gone" : "d",
	    (unsigned)world_below(net_world.n));
}

struct slice
internet_domain_of(struct slice address)
{
	return slice_from(address, slice_find(address, '@') + 1);
}

struct slice
internet_postmaster(void)
{
	return S("postmaster@d0.test");
}

bool
internet_refuses(struct slice address)
{
	return address.n > 6 && memcmp(address.p, "nobody", 6) == 0;
}

bool
internet_is_gone(struct slice domain)
{
	return domain.n > 4 && memcmp(domain.p, "gone", 4) == 0;
}

void
internet_hosts(struct slice domain, struct buf *to)
{
	unsigned no = domain.n > 1 ? (unsigned)(domain.p[1] - '0') : 0;

	for (unsigned i = 0; i < (net_world.domains[no % DOMAINS_MAX].two_hosts ? HOSTS : 1U); i++) {
		struct route_host host = { .preference = (uint16_t)(10 + i * world_below(2)), .status = DNS_OK,
		    .name = i == 0 ? S("mx0.test") : S("mx1.test"), .n_addresses = 1 };

		host.addresses[0] = (struct ip){ 4, { 9, 9, (uint8_t)no, (uint8_t)(i + 1) } };
		BUG_ON(!route_host_put(to, &host));
	}
}

/* --- a connection --- */

enum stage { AT_BANNER, AT_HELLO, AT_MAIL, AT_RCPT, AT_DATA, AT_DOT, AT_OTHER };

struct conn {
	struct sock *sock;
	struct domain *domain;
	struct slot later;
	char sender[LETTER_ADDRESS_MAX];
	char rcpts[RCPTS_MAX][LETTER_ADDRESS_MAX];
	unsigned n_rcpts;
	bool mail, in_data, hung, busy, closes;
	struct buf data;
	char reply[256];
};

static void
conn_end(struct conn *c, bool reset)
{
	slot_clear(&c->later);
	if (reset)
		net_reset(c->sock);
	else
		net_close(c->sock);
	buf_free(&c->data);
	free(c);
}

static void
forget_mail(struct conn *c)
{
	c->mail = c->in_data = false;
	c->n_rcpts = 0;
	buf_clear(&c->data);
}

static void work(struct conn *c);

static void
say_late(void *ctx)
{
	struct conn *c = ctx;

	net_say(c->sock, c->reply, strlen(c->reply));
	c->busy = false;
	if (c->closes)
		conn_end(c, false);
	else
		work(c);
}

/* False: c is gone. */
static bool
say(struct conn *c, const char *text)
{
	if (net_world.trouble != 0 && world_chance(net_world.trouble * 2)) {
		(void)snprintf(c->reply, sizeof c->reply, "%s", text);
		c->busy = true;
		slot_set(&c->later, world_spread(SECOND, 250 * SECOND), say_late, c);
		return true;
	}
	net_say(c->sock, text, strlen(text));
	return true;
}

/* What goes wrong at this step, if anything. ret_gone: c is no more. True: the command has been answered, or never will. */
static bool
misbehave(struct conn *c, enum stage at, bool *ret_gone)
{
	*ret_gone = false;
	if (!world_chance(net_world.trouble))
		return false;
	switch (world_below(8)) {
	case 0:
		c->hung = true;
		return true;
	case 1:
		*ret_gone = true;
		conn_end(c, world_chance(2));
		return true;
	case 2:
		net_say(c->sock, "421 4.3.2 Going down\r\n", 22);
		*ret_gone = true;
		conn_end(c, false);
		return true;
	case 3:
		net_say(c->sock, "Hello?\r\n", 8);
		return true;
	case 4:
		/* Reports are not refused for good: what then becomes of them is seen by nobody here. */
		if (at < AT_MAIL || (at != AT_MAIL && c->sender[0] == '\0') || at == AT_MAIL || at == AT_OTHER)
			break;
		if (at == AT_DOT)
			forget_mail(c);
		return say(c, world_chance(2) ? "550 5.7.1 Never\r\n" : "554-5.0.0 No\r\n554 5.0.0 and no again\r\n");
	default:
		break;
	}
	if (at == AT_DOT)
		forget_mail(c);
	return say(c, at == AT_BANNER ? "450 4.3.2 Not now\r\n" : "451 4.7.1 Greylisted, come again\r\n");
}

static void
copy_path(char to[LETTER_ADDRESS_MAX], struct slice line)
{
	size_t from = slice_find(line, '<') + 1;
	struct slice path = slice_from(line, from);

	path = slice_first(path, slice_find(path, '>'));
	BUG_ON(path.n >= LETTER_ADDRESS_MAX);
	if (path.n > 0)
		memcpy(to, path.p, path.n);
	to[path.n] = '\0';
}

static bool
starts(struct slice line, const char *verb)
{
	return slice_caseeq(slice_first(line, strlen(verb)), slice_str(verb));
}

/* The final dot. False: c is gone. */
static bool
content_is_there(struct conn *c)
{
	bool gone, sure = true;

	c->in_data = false;
	if (misbehave(c, AT_DOT, &gone))
		return !gone;
	/* Taken, but the other side does not hear of it (RFC 1047). */
	if (world_chance(net_world.trouble * 2) && net_world.trouble != 0)
		sure = false;
	letters_seen(slice_str(c->sender), c->rcpts, c->n_rcpts, buf_slice(&c->data), sure);
	forget_mail(c);
	if (sure)
		return say(c, "250 2.0.0 Taken\r\n");
	if (world_chance(2)) {
		c->hung = true;
		return true;
	}
	conn_end(c, world_chance(2));
	return false;
}

static bool
hello(struct conn *c, struct slice line)
{
	bool gone;

	if (misbehave(c, AT_HELLO, &gone))
		return !gone;
	forget_mail(c);
	if (starts(line, "HELO"))
		return say(c, "250 mx.test\r\n");
	if (!c->domain->ehlo)
		return say(c, "502 5.5.1 What?\r\n");
	return say(c, c->domain->pipelining ? "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n" :
	    "250-mx.test\r\n250 8BITMIME\r\n");
}

static bool
mail(struct conn *c, struct slice line)
{
	bool gone;

	if (c->mail)
		return say(c, "503 5.5.1 Already\r\n");
	copy_path(c->sender, line);
	if (misbehave(c, AT_MAIL, &gone))
		return !gone;
	c->mail = true;
	return say(c, "250 2.1.0 Ok\r\n");
}

static bool
rcpt(struct conn *c, struct slice line)
{
	bool gone;

	if (!c->mail || c->n_rcpts == RCPTS_MAX)
		return say(c, "503 5.5.1 MAIL first\r\n");
	if (misbehave(c, AT_RCPT, &gone))
		return !gone;
	copy_path(c->rcpts[c->n_rcpts++], line);
	return say(c, "250 2.1.5 Ok\r\n");
}

static bool
data(struct conn *c)
{
	bool gone;

	if (c->n_rcpts == 0)
		return say(c, "554 5.5.1 No valid recipients\r\n");
	if (misbehave(c, AT_DATA, &gone))
		return !gone;
	c->in_data = true;
	return say(c, "354 Go ahead\r\n");
}

/* One whole line without its end. False: c is gone. */
static bool
command(struct conn *c, struct slice line)
{
	if (c->in_data) {
		if (slice_eq(line, S(".")))
			return content_is_there(c);
		if (line.n > 0 && line.p[0] == '.')
			line = slice_from(line, 1);
		BUG_ON(!buf_put_slice(&c->data, line) || !buf_put_str(&c->data, "\r\n"));
		return true;
	}
	if (starts(line, "EHLO") || starts(line, "HELO"))
		return hello(c, line);
	if (starts(line, "MAIL"))
		return mail(c, line);
	if (starts(line, "RCPT"))
		return rcpt(c, line);
	if (starts(line, "DATA"))
		return data(c);
	if (starts(line, "RSET")) {
		forget_mail(c);
		return say(c, "250 2.0.0 Ok\r\n");
	}
	if (starts(line, "QUIT")) {
		net_say(c->sock, "221 2.0.0 Bye\r\n", 15);
		conn_end(c, false);
		return false;
	}
	world_fail("a server was sent what is no command: %.*s", (int)(line.n < 80 ? line.n : 80), (const char *)line.p);
	return say(c, "500 5.5.2 What?\r\n");
}

static void
work(struct conn *c)
{
	while (!c->busy && !c->hung) {
		struct slice in = net_heard(c->sock);
		size_t lf = slice_find(in, '\n');
		uint8_t line[LINE_MAX_BYTES];

		if (lf == in.n)
			break;
		BUG_ON(lf == 0 || lf > sizeof line);
		if (in.p[lf - 1] != '\r')
			world_fail("a server was sent a bare LF");
		memcpy(line, in.p, lf - 1);
		net_take(c->sock, lf + 1);
		if (!command(c, slice_of(line, lf - 1)))
			return;
	}
	if (net_is_over(c->sock))
		conn_end(c, false);
}

static void
heard(void *ctx)
{
	struct conn *c = ctx;

	if (c->hung && net_is_over(c->sock))
		conn_end(c, false);
	else if (c->hung)
		net_take(c->sock, net_heard(c->sock).n);
	else if (!c->busy)
		work(c);
}

static enum net_welcome
door(struct ip to, uint16_t port, struct sock *s, struct net_actor *ret_actor)
{
	struct domain *d = &net_world.domains[to.b[2] % DOMAINS_MAX];
	struct conn *c;
	bool gone;

	BUG_ON(to.b[0] != 9 || port != 25);
	if (d->out_until > world_now())
		return world_chance(2) ? NET_REFUSED : NET_SILENT;
	if (world_chance(net_world.trouble))
		return world_chance(2) ? NET_REFUSED : NET_SILENT;
	c = calloc(1, sizeof *c);
	BUG_ON(c == NULL);
	buf_init(&c->data, 4 << 20);
	c->sock = s;
	c->domain = d;
	*ret_actor = (struct net_actor){ heard, c };
	/* The greeting is sent when the connection stands. */
	(void)gone;
	(void)snprintf(c->reply, sizeof c->reply, world_chance(net_world.trouble) ? "450 4.3.2 Not now\r\n" :
	    "220 mx.test ESMTP\r\n");
	c->busy = true;
	slot_set(&c->later, 1 + world_below(50 * MS), say_late, c);
	return NET_TAKEN;
}

/* --- all of them --- */

void
internet_begin(unsigned domains)
{
	memset(&net_world, 0, sizeof net_world);
	net_world.n = domains;
	for (unsigned i = 0; i < domains; i++)
		net_world.domains[i] = (struct domain){ .pipelining = !world_chance(3), .ehlo = !world_chance(5),
		    .two_hosts = world_chance(2) };
	net_set_door(door);
}

void
internet_trouble(unsigned in)
{
	net_world.trouble = in;
}

void
internet_outage(void)
{
	struct domain *d = &net_world.domains[world_below(net_world.n)];

	d->out_until = world_now() + world_spread(SECOND, (uint64_t)(12 * HOUR));
	world_trace("domain %d is out", (int)(d - net_world.domains));
}

void
internet_calm(void)
{
	net_world.trouble = 0;
	for (unsigned i = 0; i < net_world.n; i++)
		net_world.domains[i].out_until = 0;
}
