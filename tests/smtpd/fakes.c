/* tests/smtpd/fakes.c -- see fakes.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "common/wire/address.h"
#include "common/wire/utf8.h"
#include "smtpd/listener.h"
#include "smtpd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- router --- */

static bool
known(const char *to)
{
	static const char *const names[] = { "alice", "Alice", "bob", "carol", "j\xc3\xb6rg", "\"full name\"" };
	const char *at = strrchr(to, '@');
	size_t n = at == NULL ? strlen(to) : (size_t)(at - to);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (n == strlen(names[i]) && memcmp(to, names[i], n) == 0)
			return true;
	if (slice_caseeq(slice_of(to, n), S("postmaster")))
		return true;
	return n > 4 && memcmp(to, "user", 4) == 0;
}

static void
verdict(struct fakes *f, uint32_t handle, const char *to)
{
	static const char *const domains[] = { "@example.org", "@[192.0.2.1]", "@xn--bcher-kva.example" };
	const char *at = strrchr(to, '@');
	bool ours = at == NULL;
	struct r_verdict m = { .action = VERDICT_ACCEPT, .transport = S("local"), .nexthop = S("somebody"), .generation = 1,
	    .rule = S("default") };

	for (size_t i = 0; i < sizeof domains / sizeof domains[0] && !ours; i++)
		ours = strcmp(at, domains[i]) == 0;
	if (!ours) {
		m.action = VERDICT_REJECT;
		m.code = 550;
		m.enhanced = S("5.7.1");
		m.text = S("Relaying denied");
	} else if (strncmp(to, "alias@", 6) == 0) {
		m.rcpt = S("alice@example.org");
	} else if (strncmp(to, "defer@", 6) == 0) {
		m.action = VERDICT_DEFER;
		m.code = 450;
		m.enhanced = S("4.2.1");
		m.text = S("Try later");
	} else if (strncmp(to, "evil@", 5) == 0) {
		m.action = VERDICT_REJECT;
		m.code = 250;
		m.enhanced = S("x");
		m.text = S("Ok\r\n250 2.1.5 Ok");
	} else if (strncmp(to, "wordy@", 6) == 0) {
		static const char words[] =
		    "wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy wordy ";
		static char text[900];

		for (size_t i = 0; i < sizeof text - 1; i++)
			text[i] = words[i % (sizeof words - 1)];
		m.action = VERDICT_REJECT;
		m.code = 550;
		m.enhanced = S("5.7.1");
		m.text = slice_str(text);
	} else if (strncmp(to, "evil2@", 6) == 0) {
		m.action = VERDICT_REJECT;
		m.code = 550;
		m.enhanced = S("4.1.1");
		m.text = S("No\r\n250 2.1.5 Ok");
	} else if (strncmp(to, "evil3@", 6) == 0) {
		m.action = VERDICT_REJECT;
		m.code = 551;
		m.enhanced = S("5.1.6");
		m.text = S("Try <j\xc3\xb6rg@example.org>");
	} else if (!known(to)) {
		m.action = VERDICT_REJECT;
		m.code = 550;
		m.enhanced = S("5.1.1");
		m.text = S("No such user here");
	}
	assert_int_equal(r_verdict_send(f->router, handle, &m), RC_OK);
}

static void
copy(char *to, size_t size, struct slice s)
{
	assert_true(s.n < size);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

static const char *
on_check(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct r_check m;
	char to[320];

	(void)p, (void)fd;
	if (!r_check_get(body, &m))
		return "malformed frame";
	f->n_checks++;
	/* VRFY and EXPN, whose handles have this bit, know of no sender. */
	assert_int_equal(m.no_sender, handle >> 31);
	copy(to, sizeof to, m.to);
	copy(f->last_name, sizeof f->last_name, m.client_name);
	copy(f->last_helo, sizeof f->last_helo, m.helo);
	f->last_name_failed = m.name_failed != 0;
	if (!f->router_holds) {
		verdict(f, handle, to);
		return NULL;
	}
	assert_true(f->n_held < FAKE_HELD_MAX);
	f->held[f->n_held].handle = handle;
	memcpy(f->held[f->n_held].to, to, sizeof to);
	f->n_held++;
	return NULL;
}

/* Are all of these, separated by LF, of example.org? */
static bool
all_ours(struct slice addresses)
{
	while (addresses.n > 0) {
		struct slice one = slice_first(addresses, slice_find(addresses, '\n'));
		struct address a;

		assert_int_equal(address_parse(one, &a), RC_OK);
		if (!slice_eq(a.domain, S("example.org")))
			return false;
		addresses = slice_from(addresses, one.n + 1);
	}
	return true;
}

static const char *
on_authors(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct r_authored answer;
	struct r_authors m;

	(void)fd;
	if (!r_authors_get(body, &m))
		return "malformed frame";
	assert_true(m.user.n > 0 && m.from.n > 0);
	answer = (struct r_authored){ all_ours(m.from), all_ours(m.sender) };
	if (f->router_holds) {
		f->held_authors.handle = handle;
		f->held_authors.answer = answer;
	} else {
		assert_int_equal(r_authored_send(p, handle, &answer), RC_OK);
	}
	return NULL;
}

void
fakes_router_answer(struct fakes *f, bool reverse)
{
	if (f->held_authors.handle != 0)
		assert_int_equal(r_authored_send(f->router, f->held_authors.handle, &f->held_authors.answer), RC_OK);
	f->held_authors.handle = 0;
	for (size_t i = 0; i < f->n_held; i++) {
		size_t at = reverse ? f->n_held - 1 - i : i;

		verdict(f, f->held[at].handle, f->held[at].to);
	}
	f->n_held = 0;
}

/* --- resolver --- */

static const char *
on_ptr(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct v_ptr m;
	struct v_name answer = { DNS_OK, 0, S("client.example.net") };

	(void)fd;
	if (!v_ptr_get(body, &m))
		return "malformed frame";
	if (f->resolver_knows_nothing)
		answer = (struct v_name){ DNS_NXDOMAIN, 0, S("") };
	f->last_ptr = handle;
	if (f->resolver_fails != 0)
		answer = (struct v_name){ (uint8_t)f->resolver_fails, 0, S("") };
	if (!f->resolver_silent)
		assert_int_equal(v_name_send(p, handle, &answer), RC_OK);
	return NULL;
}

static const char *
on_forget(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct v_forget m;

	(void)p, (void)fd;
	if (!v_forget_get(body, &m))
		return "malformed frame";
	f->last_forgotten = handle;
	f->n_forgotten++;
	return NULL;
}

/* --- queue --- */

void
fakes_queue_give_ids(struct fakes *f, uint32_t count)
{
	struct q_ids m = { { 77, 1, f->next_seq }, count };

	f->next_seq += count;
	assert_int_equal(q_ids_send(f->queue, 0, &m), RC_OK);
}

void
fakes_queue_state(struct fakes *f, bool accepting, unsigned code, const char *enhanced, const char *text, uint64_t room)
{
	struct q_state m = { accepting, (uint16_t)code, slice_str(enhanced), slice_str(text), room };

	assert_int_equal(q_state_send(f->queue, 0, &m), RC_OK);
}

static void
answer(struct fakes *f, struct fake_message *m)
{
	m->answered = true;
	if (f->refuse_code != 0) {
		struct q_refused r = { (uint16_t)f->refuse_code, slice_str(f->refuse_enhanced), slice_str(f->refuse_text) };

		f->refuse_code = 0;
		assert_int_equal(q_refused_send(f->queue, m->handle, &r), RC_OK);
	} else {
		struct q_accepted a = { m->id };

		assert_int_equal(q_accepted_send(f->queue, m->handle, &a), RC_OK);
	}
}

void
fakes_queue_answer(struct fakes *f)
{
	for (unsigned i = 0; i < f->n_messages; i++)
		if (f->messages[i].committed && !f->messages[i].answered)
			answer(f, &f->messages[i]);
}

static void
complete(struct fakes *f, struct fake_message *m)
{
	m->committed = true;
	if (!f->queue_holds)
		answer(f, m);
}

static struct fake_message *
add_message(struct fakes *f, uint32_t handle, struct msgid id, struct slice envelope)
{
	struct fake_message *m = &f->messages[f->n_messages++];
	struct envelope e;

	assert_true(f->n_messages <= sizeof f->messages / sizeof f->messages[0]);
	assert_int_equal(envelope_parse(envelope, &e), RC_OK);
	m->handle = handle;
	m->id = id;
	buf_init(&m->envelope, ENVELOPE_BYTES_MAX);
	buf_init(&m->content, 256 << 20);
	assert_true(buf_put_slice(&m->envelope, envelope));
	return m;
}

static struct fake_message *
message_of(struct fakes *f, uint32_t handle)
{
	for (unsigned i = f->n_messages; i > 0; i--)
		if (f->messages[i - 1].handle == handle)
			return &f->messages[i - 1];
	fail_msg("no message has this handle");
	return NULL;
}

static const char *
on_submit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct fake_message *m;
	struct q_submit s;

	(void)p, (void)fd;
	if (!q_submit_get(body, &s))
		return "malformed frame";
	m = add_message(f, handle, s.id, s.envelope);
	assert_true(buf_put_slice(&m->content, s.content));
	complete(f, m);
	return NULL;
}

static const char *
on_begin(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct q_begin b;

	(void)p, (void)fd;
	if (!q_begin_get(body, &b))
		return "malformed frame";
	add_message(f, handle, b.id, b.envelope)->begun = true;
	return NULL;
}

static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct fake_message *m = message_of(f, handle);
	struct q_chunk c;

	(void)fd;
	if (!q_chunk_get(body, &c))
		return "malformed frame";
	assert_true(m->begun && !m->committed && !m->aborted);
	assert_true(c.content.n > 0 && c.content.n <= IPC_CONTENT_CHUNK);
	assert_true(buf_put_slice(&m->content, c.content));
	m->chunks++;
	if (!f->queue_no_credit) {
		struct q_credit q = { (uint32_t)c.content.n };

		assert_int_equal(q_credit_send(p, handle, &q), RC_OK);
	}
	return NULL;
}

static const char *
on_commit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct fake_message *m = message_of(f, handle);
	struct q_commit c;

	(void)p, (void)fd;
	if (!q_commit_get(body, &c))
		return "malformed frame";
	assert_true(m->begun && !m->committed && !m->aborted);
	assert_int_equal(c.size, buf_len(&m->content));
	m->flags = c.flags;
	complete(f, m);
	return NULL;
}

static const char *
on_abort(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fake_message *m = message_of(ctx, handle);
	struct q_abort a;

	(void)p, (void)fd;
	if (!q_abort_get(body, &a))
		return "malformed frame";
	assert_true(m->begun && !m->committed && !m->aborted);
	m->aborted = true;
	return NULL;
}

/* Mail waits for waiting.example; pressed.example has just been started; silent.example is never answered. */
static const char *
on_flush(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_flushed answer = { RC_OK, 0 };
	struct q_flush m;

	(void)ctx, (void)fd;
	if (!q_flush_get(body, &m))
		return "malformed frame";
	if (slice_eq(m.domain, S("silent.example")))
		return NULL;
	if (slice_eq(m.domain, S("waiting.example")))
		answer.waiting = 14;
	if (slice_eq(m.domain, S("pressed.example")))
		answer.status = RC_AGAIN;
	assert_int_equal(q_flushed_send(p, handle, &answer), RC_OK);
	return NULL;
}

static const char *
on_want(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fakes *f = ctx;
	struct q_ids_want w;

	(void)p, (void)handle, (void)fd;
	if (!q_ids_want_get(body, &w))
		return "malformed frame";
	f->n_wants++;
	if (f->ids_a_block > 0)
		fakes_queue_give_ids(f, f->ids_a_block);
	return NULL;
}

void
fakes_queue_credit(struct fakes *f, uint32_t bytes)
{
	struct q_credit q = { bytes };

	assert_int_equal(q_credit_send(f->queue, fakes_last(f)->handle, &q), RC_OK);
}

struct fake_message *
fakes_last(struct fakes *f)
{
	return f->n_messages == 0 ? NULL : &f->messages[f->n_messages - 1];
}

/* --- lines --- */

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct fakes *f = ctx;

	/* Nothing that smtpd sends may break the rules. */
	if (why != NULL)
		fail_msg("smtpd broke the line: %s", why);
	if (f->router == p)
		f->router = NULL;
	if (f->resolver == p)
		f->resolver = NULL;
	if (f->queue == p)
		f->queue = NULL;
	peer_free(p);
}

static const struct peer_ops router_ops = { .on = { [R_CHECK] = on_check, [R_AUTHORS] = on_authors }, .closed = line_closed };
static const struct peer_ops resolver_ops = { .on = { [V_PTR] = on_ptr, [V_FORGET] = on_forget }, .closed = line_closed };
static const struct peer_ops queue_ops = {
	.on = { [Q_SUBMIT] = on_submit, [Q_BEGIN] = on_begin, [Q_CHUNK] = on_chunk, [Q_COMMIT] = on_commit,
	    [Q_ABORT] = on_abort, [Q_IDS_WANT] = on_want, [Q_FLUSH] = on_flush },
	.closed = line_closed,
};

static struct peer *
wire(struct fakes *f, enum role role, const struct peer_ops *ops)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	smtpd_take_line(&f->smtpd, role, 0, pair[0]);
	return peer_new(f->loop, pair[1], role, ROLE_SMTPD, 0, ops, f);
}

static void
change(struct fakes *f, struct peer **at, bool up, enum role role, const struct peer_ops *ops)
{
	peer_free(*at);
	*at = up ? wire(f, role, ops) : NULL;
}

void fakes_router(struct fakes *f, bool up) { change(f, &f->router, up, ROLE_ROUTER, &router_ops); }
void fakes_resolver(struct fakes *f, bool up) { change(f, &f->resolver, up, ROLE_RESOLVER, &resolver_ops); }

void
fakes_queue(struct fakes *f, bool up)
{
	change(f, &f->queue, up, ROLE_QUEUE, &queue_ops);
	if (!up)
		return;
	if (f->ids_a_block > 0)
		fakes_queue_give_ids(f, f->ids_a_block);
	fakes_queue_state(f, true, 0, "", "", 0);
}

/* --- the whole --- */

static void
on_tick(struct timer *t, void *ctx)
{
	(void)ctx;
	timer_start(t, 5);
}

struct conf *
fakes_conf(void)
{
	struct conf *c = conf_new();

	assert_non_null(c);
	free(c->global.hostname);
	c->global.hostname = strdup("mx.example.org");
	assert_non_null(c->global.hostname);
	return c;
}

void
fakes_start(struct fakes *f, struct conf *conf)
{
	memset(f, 0, sizeof *f);
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->conf = conf == NULL ? fakes_conf() : conf;
	f->client = -1;
	f->listener = "mx";
	f->next_seq = 1;
	f->ids_a_block = 1000;
	buf_init(&f->replies, 64 << 20);
	smtpd_init(&f->smtpd, f->loop, f->conf);
	timer_setup(&f->tick, f->loop, on_tick, f);
	timer_start(&f->tick, 5);
	fakes_router(f, true);
	fakes_resolver(f, true);
	fakes_queue(f, true);
	fakes_settle(f);
}

void
fakes_stop(struct fakes *f)
{
	if (f->client != -1)
		(void)close(f->client);
	smtpd_free(&f->smtpd);
	peer_free(f->router);
	peer_free(f->resolver);
	peer_free(f->queue);
	for (unsigned i = 0; i < f->n_messages; i++) {
		buf_free(&f->messages[i].envelope);
		buf_free(&f->messages[i].content);
	}
	buf_free(&f->replies);
	timer_cancel(&f->tick);
	loop_free(f->loop);
	conf_unref(f->conf);
}

static int
client_pair(struct fakes *f, int *ret_server)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	if (f->client == -1)
		f->client = pair[1];
	*ret_server = pair[0];
	return pair[1];
}

int
fakes_connect(struct fakes *f, const char *ip)
{
	struct ip address;
	int server, ours = client_pair(f, &server);

	assert_int_equal(ip_parse(slice_str(ip), &address), RC_OK);
	assert_non_null(session_new(&f->smtpd, server, slice_str(f->listener), address, NULL));
	return ours;
}

int
fakes_knock(struct fakes *f, const char *ip)
{
	struct ip address;
	int server, ours = client_pair(f, &server);

	assert_int_equal(ip_parse(slice_str(ip), &address), RC_OK);
	listener_admit(&f->smtpd, slice_str(f->listener), server, address);
	return ours;
}

void
fakes_turn(struct fakes *f)
{
	loop_turn(f->loop, true);
}

static size_t
take_replies(struct fakes *f)
{
	uint8_t space[65536];
	ssize_t n;

	if (f->client == -1 || f->closed)
		return 0;
	n = recv(f->client, space, sizeof space, 0);
	if (n > 0) {
		assert_true(buf_put(&f->replies, space, (size_t)n));
		return (size_t)n;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		f->closed = true;
	return 0;
}

void
fakes_settle(struct fakes *f)
{
	for (int quiet = 0; quiet < 10; quiet++) {
		loop_turn(f->loop, false);
		if (take_replies(f) > 0)
			quiet = 0;
	}
}

enum { STALLS_MAX = 200 };	/* turns without a byte taken: the session waits for a room that holds its answer back */

void
fakes_send(struct fakes *f, struct slice bytes, size_t piece)
{
	unsigned stalled = 0;

	while (bytes.n > 0 && (!f->impatient || stalled < STALLS_MAX)) {
		ssize_t n = send(f->client, bytes.p, bytes.n < piece ? bytes.n : piece, MSG_NOSIGNAL);

		if (n > 0)
			bytes = slice_from(bytes, (size_t)n), stalled = 0;
		else if (errno != EAGAIN)
			return;		/* it was thrown out: the test will see */
		if (n <= 0 || bytes.n > 0) {
			loop_turn(f->loop, n <= 0 && !f->impatient);
			stalled++;
			(void)take_replies(f);
		}
	}
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What every reply line must be, whatever it says: RFC 5321 4.2, 4.2.1, 4.5.3.1.5. shows: RFC5321 4.5.3.1.5/1 */
static void
check_form(struct fakes *f, struct slice line)
{
	/* A challenge without data is a reply without text (RFC 4954 4). */
	assert_true(line.n >= 5 || slice_eq(line, S("334 ")));
	assert_true(line.n <= 510);
	assert_in_range(line.p[0], '2', '5');
	assert_in_range(line.p[1], '0', '5');
	assert_in_range(line.p[2], '0', '9');
	assert_true(line.p[3] == ' ' || line.p[3] == '-');
	/* UTF-8 in the mailbox that VRFY and EXPN have found, and nowhere else (RFC 6531 3.7.4.2). */
	assert_true(slice_is_ascii(line) || (slice_starts(line, S("250 2.1.5 <")) && utf8_is_visible(line)));
	for (size_t i = 4; i < line.n; i++)
		assert_true(line.p[i] == '\t' || line.p[i] > 0x7f || (line.p[i] >= ' ' && line.p[i] <= '~'));
	assert_true(f->goes_on[0] == '\0' || memcmp(f->goes_on, line.p, 3) == 0);
	f->goes_on[0] = '\0';
	if (line.p[3] == '-')
		memcpy(f->goes_on, line.p, 3);
}

bool
fakes_line(struct fakes *f, char *line, size_t size, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	for (;;) {
		struct slice have = buf_slice(&f->replies);
		size_t lf = slice_find(have, '\n');

		if (lf < have.n) {
			assert_true(lf > 0 && have.p[lf - 1] == '\r' && lf < size);
			check_form(f, slice_first(have, lf - 1));
			memcpy(line, have.p, lf - 1);
			line[lf - 1] = '\0';
			buf_consume(&f->replies, lf + 1);
			return true;
		}
		if (f->closed || now_ms() > end)
			return false;
		if (take_replies(f) == 0)
			fakes_turn(f);
	}
}

bool
fakes_closed(struct fakes *f, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (!f->closed && now_ms() <= end)
		if (take_replies(f) == 0)
			fakes_turn(f);
	return f->closed;
}

bool
fakes_match(const char *pattern, const char *text)
{
	for (; *pattern != '*'; pattern++, text++) {
		if (*pattern != *text)
			return false;
		if (*pattern == '\0')
			return true;
	}
	for (;; text++) {
		if (fakes_match(pattern + 1, text))
			return true;
		if (*text == '\0')
			return false;
	}
}

/* --- what most tests say and hear --- */

void
fakes_hear(struct fakes *f, const char *pattern)
{
	char line[1024];

	if (!fakes_line(f, line, sizeof line, FAKES_PATIENCE_MS))
		fail_msg("expected \"%s\", heard nothing%s", pattern, f->closed ? ": closed" : "");
	if (!fakes_match(pattern, line))
		fail_msg("expected \"%s\", heard \"%s\"", pattern, line);
}

void
fakes_hear_nothing(struct fakes *f)
{
	char line[1024];

	fakes_settle(f);
	if (fakes_line(f, line, sizeof line, 20))
		fail_msg("expected nothing, heard \"%s\"", line);
	assert_false(f->closed);
}

void
fakes_say(struct fakes *f, const char *text)
{
	fakes_send(f, slice_str(text), SIZE_MAX);
}

void
fakes_transaction(struct fakes *f)
{
	fakes_say(f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	fakes_hear(f, "250 2.1.0 *");
	fakes_hear(f, "250 2.1.5 *");
	fakes_hear(f, "354 *");
}

void
fakes_begin(struct fakes *f, struct conf *conf)
{
	fakes_start(f, conf);
	(void)fakes_connect(f, "192.0.2.7");
	fakes_say(f, "HELO client.example\r\n");
	fakes_hear(f, "220 *");
	fakes_hear(f, "250 *");
}
