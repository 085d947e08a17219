/* tests/sim/sim_smtp.c -- random sessions with the real smtpd, reply by reply beside the model of smtp_model.h, while the
 * rooms around it refuse, go away and come back. What the queue is given must be what the model says: a message is only ever
 * taken with its MAIL and at least one RCPT since the last reset.
 *
 *	sim_smtp			a fixed number of seeds, as a check program (TAP)
 *	sim_smtp SEED [-v]		this one; -v shows the conversation
 *	sim_smtp -n FIRST COUNT		these
 *	sim_smtp -t SECONDS		from a seed of the clock, for that long */
#include "tests/sim/smtp_model.h"

#include "common/envelope.h"
#include "common/room.h"
#include "smtpd/smtpd.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHECK_SEEDS = 400,
	SESSIONS = 4,			/* a seed */
	ROUNDS = 40,			/* a session: groups of commands */
	GROUP_MAX = 6,
	SIZE_LIMIT = 300 * 1000,
	RCPTS_LIMIT = 5,
	LINE_LIMIT = 2048,
	HOPS_LIMIT = 10,
	BLOCKS_SLACK = 8,		/* buffers of lines, tables that have grown */
	QUIET = 40 * SECOND,		/* nothing that is under way takes longer */
};

int __wrap_room_take_file(struct room *room, enum file_purpose purpose, struct slice name);

int
__wrap_room_take_file(struct room *room, enum file_purpose purpose, struct slice name)
{
	(void)room, (void)purpose, (void)name;
	return -1;
}

static struct {
	struct proc smtpd_proc, others;		/* the rooms that are played share one */
	struct room smtpd_room;
	struct loop *loop;
	struct peer *router, *queue;
	struct sock *listener, *client;
	struct model model;
	uint64_t next_id;
	size_t blocks_at_first;
	/* What the queue has been given in this round. */
	struct buf envelope, content, replies;
	struct buf chunks;			/* of the BDATs of this transaction */
	bool complete;
	unsigned answer;			/* it gives; 0: it goes away instead */
	uint64_t commands, messages;
} t;

void
loop_turned(struct proc *p)
{
	(void)p;
}

/* --- the rooms around --- */

static enum verdict
verdict_of(struct slice address)
{
	return address.p[0] == 'n' ? VERDICT_NEVER : address.p[0] == 'l' ? VERDICT_LATER : VERDICT_YES;
}

static const char *
on_check(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct r_verdict v = { .action = VERDICT_ACCEPT, .transport = S("smtp"), .nexthop = S("sim.test"), .generation = 1 };
	struct r_check m;

	(void)ctx, (void)fd;
	if (!r_check_get(body, &m))
		return "malformed R_CHECK";
	if (verdict_of(m.to) == VERDICT_NEVER)
		v = (struct r_verdict){ .action = VERDICT_REJECT, .code = 550, .enhanced = S("5.1.1"), .text = S("No") };
	else if (verdict_of(m.to) == VERDICT_LATER)
		v = (struct r_verdict){ .action = VERDICT_DEFER, .code = 450, .enhanced = S("4.2.1"), .text = S("Later") };
	(void)r_verdict_send(p, handle, &v);
	return NULL;
}

static void
keep(struct buf *to, struct slice s)
{
	BUG_ON(!buf_put_slice(to, s));
}

static void
message_is_there(struct peer *p, uint32_t handle, struct msgid id)
{
	if (t.complete)
		world_fail("the queue was given two messages for one");
	t.complete = true;
	if (t.answer == 0)
		peer_drop(p, "the queue goes away");
	else if (t.answer == 250)
		(void)q_accepted_send(p, handle, &(struct q_accepted){ id });
	else
		(void)q_refused_send(p, handle, &(struct q_refused){ (uint16_t)t.answer, t.answer >= 500 ? S("5.0.0") :
		    S("4.0.0"), S("No") });
}

static struct msgid current_id;

static const char *
on_submit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_submit m;

	(void)ctx, (void)fd;
	if (!q_submit_get(body, &m))
		return "malformed Q_SUBMIT";
	keep(&t.envelope, m.envelope);
	keep(&t.content, m.content);
	message_is_there(p, handle, m.id);
	return NULL;
}

static const char *
on_begin(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_begin m;

	(void)ctx, (void)p, (void)handle, (void)fd;
	if (!q_begin_get(body, &m))
		return "malformed Q_BEGIN";
	keep(&t.envelope, m.envelope);
	current_id = m.id;
	return NULL;
}

static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_chunk m;

	(void)ctx, (void)fd;
	if (!q_chunk_get(body, &m))
		return "malformed Q_CHUNK";
	keep(&t.content, m.content);
	(void)q_credit_send(p, handle, &(struct q_credit){ (uint32_t)m.content.n });
	return NULL;
}

static const char *
on_commit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_commit m;

	(void)ctx, (void)fd;
	if (!q_commit_get(body, &m))
		return "malformed Q_COMMIT";
	message_is_there(p, handle, current_id);
	return NULL;
}

static const char *
on_abort(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_abort m;

	(void)ctx, (void)p, (void)handle, (void)fd;
	if (!q_abort_get(body, &m))
		return "malformed Q_ABORT";
	if (t.complete)
		world_fail("a message was given up after it had been committed");
	buf_clear(&t.envelope);
	buf_clear(&t.content);
	return NULL;
}

static void
give_ids(void)
{
	struct q_ids m = { { 7, 1, t.next_id }, 300 };

	t.next_id += m.count;
	(void)q_ids_send(t.queue, 0, &m);
}

static const char *
on_want(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_ids_want m;

	(void)ctx, (void)p, (void)handle, (void)fd;
	if (!q_ids_want_get(body, &m))
		return "malformed Q_IDS_WANT";
	give_ids();
	return NULL;
}

static void
closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx;
	if (why != NULL && strcmp(why, "the queue goes away") != 0)
		world_fail("smtpd broke a rule on a line: %s", why);
	if (t.router == p)
		t.router = NULL;
	if (t.queue == p)
		t.queue = NULL;
	peer_free(p);
}

static const struct peer_ops router_peer = { .on = { [R_CHECK] = on_check }, .closed = closed };
static const struct peer_ops queue_peer = { .on = { [Q_SUBMIT] = on_submit, [Q_BEGIN] = on_begin, [Q_CHUNK] = on_chunk,
	[Q_COMMIT] = on_commit, [Q_ABORT] = on_abort, [Q_IDS_WANT] = on_want }, .closed = closed };

/* A new line; what was there before goes. */
static struct peer *
draw(enum role role, struct peer *old, const struct peer_ops *ops)
{
	struct proc *before = world_enter(&t.smtpd_proc);
	struct peer *p;
	int fds[2];

	net_pair(&t.others, &t.smtpd_proc, fds);
	smtpd_ops.line(&t.smtpd_room, role, 0, fds[1]);
	(void)world_enter(&t.others);
	peer_free(old);
	p = peer_new(t.loop, fds[0], role, ROLE_SMTPD, 0, ops, NULL);
	BUG_ON(p == NULL);
	(void)world_enter(before);
	return p;
}

static void
say_state(void)
{
	struct proc *before = world_enter(&t.others);

	(void)q_state_send(t.queue, 0, &(struct q_state){ t.model.queue_takes, 452, S("4.3.1"), S("Full"), 0 });
	(void)world_enter(before);
}

static void
queue_comes(void)
{
	struct proc *before;

	t.queue = draw(ROLE_QUEUE, t.queue, &queue_peer);
	t.model.queue_up = true;
	t.model.queue_epoch++;
	before = world_enter(&t.others);
	give_ids();
	(void)world_enter(before);
	say_state();
}

static void
others_drop(struct peer **p)
{
	struct proc *before = world_enter(&t.others);

	peer_free(*p);
	*p = NULL;
	(void)world_enter(before);
}

static void
settle(void)
{
	while (world_next() < world_now() + QUIET && world_step())
		;
}

/* Something happens to a room, between two groups of commands. */
static void
change_something(void)
{
	/* What is down comes back soon. */
	if (!t.model.queue_up || !t.model.queue_takes || world_chance(5)) {
		t.model.queue_takes = true;
		queue_comes();
	} else if (!t.model.router_up || world_chance(5)) {
		t.router = draw(ROLE_ROUTER, t.router, &router_peer);
		t.model.router_up = true;
	} else if (world_chance(3)) {
		others_drop(&t.router);
		t.model.router_up = false;
	} else if (world_chance(2)) {
		others_drop(&t.queue);
		t.model.queue_up = false;
	} else {
		t.model.queue_takes = false;
		say_state();
	}
	settle();
	world_trace("router %s, queue %s", t.model.router_up ? "up" : "down", !t.model.queue_up ? "down" :
	    t.model.queue_takes ? "up" : "full");
}

/* --- the client --- */

/* Read at once, as a client does: the end of a connection may come with a reset. */
static void
heard(void *ctx)
{
	struct slice s = net_heard(t.client);

	(void)ctx;
	keep(&t.replies, s);
	net_take(t.client, s.n);
}

static void
say(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n > 0) {
		size_t part = world_chance(3) ? 1 + (size_t)world_below(n) : n;

		net_say(t.client, p, part);
		p += part;
		n -= part;
	}
}

/* The code of the next whole reply; 0: there is none. */
static unsigned
next_reply(void)
{
	for (;;) {
		struct slice in = buf_slice(&t.replies), line;
		size_t lf = slice_find(in, '\n');
		unsigned code;
		bool more;

		if (lf == in.n)
			return 0;
		line = slice_first(in, lf);
		if (line.n < 5 || line.p[lf - 1] != '\r') {
			world_fail("a reply that is none");
			return 1;
		}
		world_trace("S: %.*s", (int)lf - 1, (const char *)line.p);
		code = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 + (unsigned)(line.p[2] - '0');
		more = line.p[3] == '-';
		buf_consume(&t.replies, lf + 1);
		if (!more)
			return code;
	}
}

static void
expect(unsigned due, const char *after)
{
	unsigned code = next_reply();

	if (code != due)
		world_fail("after %s: %u was due, %u came", after, due, code);
}

/* --- commands --- */

static const struct {
	const char *text;	/* %s: an address */
	unsigned weight;
} phrases[SAID_KINDS] = {
	[SAID_EHLO] = { "EHLO c.sim.test", 18 }, [SAID_HELO] = { "helo c.sim.test", 6 }, [SAID_BAD_EHLO] = { "EHLO -x_", 3 },
	[SAID_MAIL] = { "MAIL FROM:<%s>", 60 }, [SAID_BAD_MAIL] = { "MAIL FROM:%s", 6 },
	[SAID_MAIL_PARAM] = { "MAIL FROM:<%s> FOO=bar", 3 }, [SAID_MAIL_BIG] = { "MAIL FROM:<%s> SIZE=99999999", 3 },
	[SAID_MAIL_LONG] = { NULL, 3 },
	[SAID_RCPT] = { "RCPT TO:<%s>", 120 }, [SAID_BAD_RCPT] = { "RCPT TO <%s>", 6 },
	[SAID_RCPT_PARAM] = { "RCPT TO:<%s> NOTIFY=ALWAYS", 6 }, [SAID_RCPT_LONG] = { NULL, 3 },
	[SAID_DATA] = { "DATA", 48 }, [SAID_DATA_ARG] = { "DATA now", 3 },
	[SAID_BDAT] = { NULL, 16 }, [SAID_BDAT_LAST] = { NULL, 16 }, [SAID_RSET] = { "RSET", 12 },
	[SAID_RSET_ARG] = { "RSET all", 3 }, [SAID_NOOP] = { "NOOP anything", 6 }, [SAID_VRFY] = { "VRFY somebody", 3 },
	[SAID_VRFY_BARE] = { "VRFY", 3 }, [SAID_EXPN] = { "EXPN list", 3 }, [SAID_HELP] = { "HELP", 3 },
	[SAID_NOT_OFFERED] = { "STARTTLS", 3 }, [SAID_UNKNOWN] = { "FROBNICATE", 6 }, [SAID_NUL] = { NULL, 3 },
	[SAID_LONG] = { NULL, 3 }, [SAID_QUIT_ARG] = { "QUIT now", 3 }, [SAID_QUIT] = { "QUIT", 1 },
	[SAID_HTTP] = { NULL, 1 }, [SAID_BARE_LF] = { NULL, 1 },
};

/* Half of the time what a client would say next, so that there are transactions; else anything. */
static enum said
choose(void)
{
	const struct model *m = &t.model;
	unsigned all = 0;
	uint64_t at;

	if (world_chance(2))
		return !m->greeted ? SAID_EHLO : !m->mail ? SAID_MAIL : m->n_rcpts == 0 || (!m->chunks && world_chance(3)) ?
		    SAID_RCPT : !m->chunks && world_chance(2) ? SAID_DATA : world_chance(2) ? SAID_BDAT : SAID_BDAT_LAST;

	for (unsigned i = 0; i < SAID_KINDS; i++)
		all += phrases[i].weight;
	at = world_below(all);
	for (unsigned i = 0; i < SAID_KINDS; i++) {
		if (at < phrases[i].weight)
			return (enum said)i;
		at -= phrases[i].weight;
	}
	return SAID_NOOP;
}

static void
repeat(struct buf *to, unsigned n)
{
	while (n-- > 0)
		keep(to, S("x"));
}

/* Command and chunk; sometimes what would be commands elsewhere. */
static void
put_bdat(struct buf *to, enum said said)
{
	struct buf chunk = BUF_INIT(4096);
	char line[64];

	for (uint64_t n = world_below(4); n > 0; n--)
		keep(&chunk, world_chance(2) ? S("QUIT\r\n") : S(".\r\n"));
	(void)snprintf(line, sizeof line, "BDAT %zu%s\r\n", buf_len(&chunk), said == SAID_BDAT_LAST ? " LAST" : "");
	keep(to, slice_str(line));
	keep(to, buf_slice(&chunk));
	if (t.model.mail && t.model.n_rcpts > 0)
		keep(&t.chunks, buf_slice(&chunk));
	buf_free(&chunk);
}

static void
put_line(struct buf *to, enum said said, const char *address)
{
	const char *text = phrases[said].text, *at = text == NULL ? NULL : strstr(text, "%s");

	if (said == SAID_MAIL_LONG || said == SAID_RCPT_LONG) {
		keep(to, said == SAID_MAIL_LONG ? S("MAIL FROM:<") : S("RCPT TO:<"));
		repeat(to, 300);
		keep(to, S("@sim.test>"));
	} else if (said == SAID_NUL)
		keep(to, slice_of((const uint8_t *)"NOOP \0", 6));
	else if (said == SAID_BDAT || said == SAID_BDAT_LAST) {
		put_bdat(to, said);
		return;
	} else if (said == SAID_LONG) {
		keep(to, S("NOOP "));
		repeat(to, LINE_LIMIT);
	} else if (said == SAID_BARE_LF)
		keep(to, S("NOOP\nNOOP"));
	else if (said == SAID_HTTP)
		keep(to, S("GET / HTTP/1.0"));
	else if (at == NULL)
		keep(to, slice_str(text));
	else {
		keep(to, slice_of((const uint8_t *)text, (size_t)(at - text)));
		keep(to, slice_str(address));
		keep(to, slice_str(at + 2));
	}
	keep(to, S("\r\n"));
}

static void
choose_address(char to[MODEL_TEXT_MAX], enum said said)
{
	if (said == SAID_MAIL && world_chance(5))
		to[0] = '\0';
	else
		(void)snprintf(to, MODEL_TEXT_MAX, "%c%u@sim.test", "yyynl"[world_below(5)], (unsigned)world_below(9));
}

/* --- content --- */

static void
put_content(struct buf *to, enum content what)
{
	size_t size = what == CONTENT_TOO_BIG ? SIZE_LIMIT + 1 : world_chance(30) ? world_spread(1, SIZE_LIMIT - 100) :
	    world_spread(1, 3000);

	if (what == CONTENT_EMPTY)
		return;
	keep(to, S("Subject: x\r\n"));
	for (unsigned i = 0; what == CONTENT_LOOP && i < HOPS_LIMIT + 1; i++)
		keep(to, S("Received: from a by b; now\r\n"));
	keep(to, S("\r\n"));
	if (what == CONTENT_NUL)
		keep(to, slice_of((const uint8_t *)"a\0b\r\n", 5));
	if (what == CONTENT_LONG_LINE) {
		repeat(to, 1100);
		keep(to, S("\r\n"));
	}
	if (what == CONTENT_BARE_LF)
		keep(to, S("line\n.\r\n"));
	while (buf_len(to) < size)
		keep(to, S("all work and no play makes mail a dull thing\r\n"));
}

/* The message that the queue has: envelope and content, as the model knows them. */
static void
check_message(const struct model *m, struct slice content)
{
	struct slice got = buf_slice(&t.content), rest;
	struct envelope_rcpt r;
	struct envelope e;
	size_t n = 0;

	if (!m->mail || m->n_rcpts == 0)
		world_fail("a message was handed over without MAIL or RCPT");
	if (envelope_parse(buf_slice(&t.envelope), &e) != RC_OK) {
		world_fail("an envelope that cannot be read");
		return;
	}
	if (!slice_eq(e.sender, slice_str(m->sender)))
		world_fail("a message of %.*s, not of %s", (int)e.sender.n, (const char *)e.sender.p, m->sender);
	for (rest = e.rcpts; envelope_rcpt_next(&rest, &r); n++)
		if (n >= m->n_rcpts || !slice_eq(r.address, slice_str(m->rcpts[n])))
			world_fail("recipient %zu is %.*s", n, (int)r.address.n, (const char *)r.address.p);
	if (n != m->n_rcpts)
		world_fail("%zu recipients, not %zu", n, m->n_rcpts);
	if (got.n < content.n || (content.n > 0 && !slice_eq(slice_from(got, got.n - content.n), content)))
		world_fail("the content was changed");
}

static void
send_content(void)
{
	enum content what = world_chance(2) ? CONTENT_GOOD : (enum content)world_below(CONTENT_KINDS);
	static const unsigned answers[] = { 250, 250, 250, 452, 554, 0 };
	struct model before = t.model;
	struct buf b = BUF_INIT(1 << 20);
	unsigned second, due;
	bool cut = world_chance(10) && what == CONTENT_GOOD, hands;
	size_t half;

	t.answer = answers[world_below(sizeof answers / sizeof answers[0])];
	t.complete = false;
	buf_clear(&t.envelope);
	buf_clear(&t.content);
	put_content(&b, what);
	half = (size_t)world_below(buf_len(&b) + 1);
	say(buf_slice(&b).p, half);
	if (cut) {
		/* The line to the queue is lost in the middle of the content. */
		settle();
		others_drop(&t.queue);
		t.model.queue_up = false;
		settle();
	}
	hands = model_hands_over(&t.model, what);
	say(buf_slice(&b).p + half, buf_len(&b) - half);
	if (what != CONTENT_BARE_LF)
		say(".\r\n", 3);
	world_trace("C: content %d of %zu bytes, the queue would say %u", (int)what, buf_len(&b), t.answer);
	settle();
	if (t.complete != hands)
		world_fail("the queue was %sgiven content of kind %d", hands ? "not " : "", (int)what);
	if (t.complete)
		check_message(&before, buf_slice(&b));
	due = model_content(&t.model, what, !hands ? 0 : t.answer, &second);
	if (hands && t.answer == 0) {
		/* The queue was lost with the whole message, which it may have kept: the session ends without a word. */
		t.model.queue_up = false;
		t.model.over = true;
	} else
		expect(due, "content");
	if (due != 0 && !model_may_content(due))
		world_fail("%u is no reply to content", due);
	if (second != 0)
		expect(second, "content");
	t.messages += hands && t.answer == 250;
	buf_free(&b);
}

/* --- a session --- */

/* Up to GROUP_MAX commands at once; DATA ends the group (RFC 2920 3.1). Every reply is one that RFC 5321 4.3.2 has for its
 * command, and one that the model has for its circumstances.
 * shows: RFC5321 4.2/1, RFC5321 4.2/3, RFC5321 4.3.1/3, RFC5321 4.3.1/4, RFC5321 4.3.2/8, RFC5321 4.3.2/9
 * shows: RFC5321 4.3.2/10, RFC5321 4.3.2/11, RFC5321 4.3.2/12, RFC5321 4.3.2/13, RFC5321 4.3.2/14, RFC5321 4.3.2/15
 * shows: RFC5321 4.3.2/16, RFC5321 4.3.2/17, RFC5321 4.3.2/18 */
static void
round_of(void)
{
	struct buf b = BUF_INIT(1 << 20);
	unsigned due[GROUP_MAX];
	enum said said[GROUP_MAX];
	unsigned n = 0, group = 1 + (unsigned)world_below(GROUP_MAX);
	bool ends = false, hands = false;
	struct model before = t.model;

	t.answer = world_chance(2) ? 250 : 452;
	t.complete = false;
	buf_clear(&t.envelope);
	buf_clear(&t.content);
	for (; n < group && !ends; n++) {
		char address[MODEL_TEXT_MAX];

		said[n] = choose();
		if (!t.model.chunks)
			buf_clear(&t.chunks);
		before = t.model;
		hands = model_bdat_hands_over(&t.model, said[n]);
		choose_address(address, said[n]);
		put_line(&b, said[n], address);
		due[n] = model_command(&t.model, said[n], address, address[0] == '\0' ? VERDICT_YES :
		    verdict_of(slice_str(address)));
		world_trace("C: %d %s", (int)said[n], address);
		ends = said[n] == SAID_DATA || said[n] == SAID_DATA_ARG || said[n] == SAID_BDAT || said[n] == SAID_BDAT_LAST ||
		    t.model.over;
		if (hands)
			due[n] = t.answer;
	}
	t.commands += n;
	say(buf_slice(&b).p, buf_len(&b));
	buf_free(&b);
	settle();
	for (unsigned i = 0; i < n; i++) {
		expect(due[i], phrases[said[i]].text == NULL ? "a malformed line" : phrases[said[i]].text);
		if (!model_may(said[i], due[i]))
			world_fail("%u is no reply to %d", due[i], (int)said[i]);
	}
	if (said[n - 1] == SAID_BARE_LF && due[n - 1] != 421)
		expect(421, "a bare LF");
	if (t.complete != hands && world_failure() == NULL)
		world_fail("the queue was %sgiven the chunks", hands ? "not " : "");
	else if (hands)
		check_message(&before, buf_slice(&t.chunks));
	t.messages += hands && t.answer == 250;
	if (due[n - 1] == 354 && world_failure() == NULL)
		send_content();
	if (next_reply() != 0)
		world_fail("a reply to nothing");
}

static void
session(void)
{
	struct ip from = { 4, { 20, 0, 0, 1 } };

	t.client = net_call(t.listener, from, &(struct net_actor){ heard, NULL });
	settle();
	expect(220, "connecting");
	t.model.greeted = t.model.over = t.model.content_may_come = t.model.mail = t.model.rcpt_seen = t.model.chunks = false;
	t.model.sender[0] = '\0';
	t.model.n_rcpts = t.model.n_named = 0;
	for (unsigned i = 0; i < ROUNDS && !t.model.over && world_failure() == NULL; i++) {
		if (world_chance(6))
			change_something();
		round_of();
		if (t.model.over != net_is_over(t.client) && world_failure() == NULL)
			world_fail("the session is %sover", t.model.over ? "not " : "");
	}
	net_close(t.client);
	buf_clear(&t.replies);
	settle();
	/* Nothing of a session stays: a transaction that was forgotten, not ended, is seen here. */
	if (t.smtpd_proc.heap_blocks > t.blocks_at_first + BLOCKS_SLACK)
		world_fail("smtpd has no session and holds %zu pieces of memory, %zu at its start", t.smtpd_proc.heap_blocks,
		    t.blocks_at_first);
}

/* --- all of it --- */

static void
start_smtpd(void)
{
	struct proc *before = world_enter(&t.smtpd_proc);
	struct conf *conf = conf_new();
	struct buf why = BUF_INIT(256);
	struct smtpd *smtpd = calloc(1, sizeof *smtpd);

	BUG_ON(conf == NULL || smtpd == NULL);
	free(conf->global.hostname);
	conf->global.hostname = strdup("mx.sim.test");
	conf->generation = 1;
	conf->smtpd.max_errors = conf->smtpd.max_commands = conf->smtpd.max_messages = 1000 * 1000;
	conf->smtpd.max_recipients = RCPTS_LIMIT;
	conf->smtpd.max_message_size = SIZE_LIMIT;
	conf->smtpd.max_command_line = LINE_LIMIT;
	conf->smtpd.max_hops = HOPS_LIMIT;
	conf->smtpd.min_data_rate = 0;
	conf->smtpd.timeout_session = (uint64_t)(30 * DAY) / MS;
	t.smtpd_proc.loop = loop_new();
	t.smtpd_room = (struct room){ .ops = &smtpd_ops, .ctx = smtpd, .loop = t.smtpd_proc.loop, .conf = conf };
	BUG_ON(smtpd_ops.prepare(&t.smtpd_room, &why) != RC_OK);
	smtpd_ops.file(&t.smtpd_room, &(struct m_file){ .generation = 1, .purpose = FILE_LISTENER, .name = S("mx") },
	    net_listener_fd(t.listener, &t.smtpd_proc));
	(void)smtpd_ops.adopt(&t.smtpd_room, NULL);
	(void)world_enter(&t.others);
	t.loop = t.others.loop = loop_new();
	(void)world_enter(before);
}

static bool
run_seed(uint64_t seed, bool verbose)
{
	uint64_t commands = t.commands, messages = t.messages;
	bool ok;

	memset(&t, 0, sizeof t);
	t.commands = commands;
	t.messages = messages;
	t.smtpd_proc = (struct proc){ .name = "smtpd", .role = ROLE_SMTPD, .alive = true };
	t.others = (struct proc){ .name = "others", .role = ROLE_QUEUE, .alive = true };
	t.next_id = 1;
	t.model.rcpts_max = RCPTS_LIMIT;
	t.model.router_up = t.model.queue_takes = true;
	buf_init(&t.envelope, 1 << 20);
	buf_init(&t.content, 1 << 20);
	buf_init(&t.replies, 1 << 20);
	buf_init(&t.chunks, 1 << 20);
	world_begin(seed, verbose);
	net_begin();
	t.listener = net_listener((struct ip){ 4, { 100, 0, 0, 1 } }, 25);
	start_smtpd();
	t.router = draw(ROLE_ROUTER, NULL, &router_peer);
	queue_comes();
	settle();
	t.blocks_at_first = t.smtpd_proc.heap_blocks;
	for (unsigned i = 0; i < SESSIONS && world_failure() == NULL; i++)
		session();
	ok = world_failure() == NULL;
	if (!ok)
		(void)printf("# seed %" PRIu64 ": %s\n# again: tests/sim/sim_smtp %" PRIu64 " -v\n", seed, world_failure(), seed);
	net_close_all(&t.smtpd_proc);
	net_close_all(&t.others);
	proc_free_memory(&t.smtpd_proc);
	proc_free_memory(&t.others);
	net_end();
	world_end();
	return ok;
}

static const char usage[] = "usage: sim_smtp                   a short check, as TAP\n"
    "       sim_smtp SEED [-v]         one run, with -v everything that is said in it\n"
    "       sim_smtp -n FIRST COUNT    so many seeds\n"
    "       sim_smtp -t SECONDS        new seeds until the time is over\n";

int
main(int argc, char **argv)
{
	uint64_t seed = 1, count = CHECK_SEEDS, limit = 0, n = 0, broken = 0;
	double began = world_real_seconds();

	world_tell_signals();
	if (argc == 3 && strcmp(argv[1], "-t") == 0 && world_number(argv[2], &limit)) {
		seed = (uint64_t)began * 1000;
		count = UINT64_MAX;
	} else if (argc > 1 && argc <= 3 && world_number(argv[1], &seed) && (argc == 2 || strcmp(argv[2], "-v") == 0)) {
		return run_seed(seed, argc == 3) ? 0 : 1;
	} else if (argc > 1 && !(argc == 4 && strcmp(argv[1], "-n") == 0 && world_number(argv[2], &seed) &&
	    world_number(argv[3], &count))) {
		(void)fputs(usage, stderr);
		return 64;
	}
	(void)printf("1..1\n");
	for (; n < count && (limit == 0 || world_real_seconds() - began < (double)limit); n++)
		broken += !run_seed(seed + n, false);
	(void)printf("# %" PRIu64 " sessions, %" PRIu64 " commands, %" PRIu64 " messages\n", n * SESSIONS, t.commands,
	    t.messages);
	(void)printf("%s 1 - smtpd says what the model says\n", n > 0 && broken == 0 ? "ok" : "not ok");
	return n > 0 && broken == 0 ? 0 : 1;
}
