/* tests/smtpd/test_replay.c -- plays the conversations of tests/replay against the real session code: each as a whole,
 * byte by byte, and in random pieces.
 *
 * A conversation is a text file:
 *	# about what
 *	C: a line that the client sends (with CRLF); lines that follow each other leave in one write
 *	C- the same without CRLF
 *	C* N text	the line N times
 *		in all three \r \n \t \0 \\ and \xNN are escapes, \*N{x} is x N times, and \# in C* is which time this is, from 1
 *	S: a reply line; * stands for anything
 *	S* N text	the reply line N times
 *	S+ text		a whole reply, of one line or many, one of which is this (what else EHLO says is no matter)
 *	S- text		a whole reply, none of whose lines is this
 *	S.		the server says nothing more, and the session is open
 *	S!		the server has closed
 *	Q: a line of the content that the queue has got, after the last one looked at; * as above
 *	Q...		skips lines up to the next one that matches the following Q:
 *	Q.		the end of the content
 *	E: SENDER RCPT RCPT ...	the envelope of the last message, and what is special about it
 *	M: N		so many messages have reached the queue whole
 *	! directive	see directives[] below */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/extension.h"
#include "common/wire/enhanced.h"
#include "smtpd/offer.h"
#include "smtpd/verify.h"
#include "tests/smtpd/fake_auth.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_ = 4096, FILES_MAX = 200, PATIENCE_MS = 5000 };

struct play {
	struct fakes f;
	struct fake_auth auth;
	const char *file;
	const char *mode;
	unsigned line;
	size_t piece;		/* bytes a write; 0: random */
	unsigned seed;
	char ip[64];
	bool connected;
	struct buf to_send;
	size_t content_at;
	bool skipping;
	bool at_once;
};

__attribute__((format(printf, 2, 3))) static void
complain(const struct play *p, const char *format, ...)
{
	char text[LINE_MAX_ * 3];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail_msg("%s:%u (%s): %s", p->file, p->line, p->mode, text);
}

static size_t
next_piece(struct play *p)
{
	if (p->piece != 0)
		return p->piece;
	p->seed = p->seed * 1103515245 + 12345;
	return 1 + p->seed / 65536 % 40;
}

static void
connect_now(struct play *p)
{
	if (p->connected)
		return;
	p->connected = true;
	(void)fakes_knock(&p->f, p->ip);
	fakes_settle(&p->f);
}

static void
send_gathered(struct play *p)
{
	connect_now(p);
	while (buf_len(&p->to_send) > 0) {
		struct slice part = slice_first(buf_slice(&p->to_send), p->at_once ? SIZE_MAX : next_piece(p));

		fakes_send(&p->f, part, part.n);
		buf_consume(&p->to_send, part.n);
		if (p->piece != SIZE_MAX)
			loop_turn(p->f.loop, false);
		p->at_once = false;
	}
}

/* --- directives --- */

static void
set_option(struct play *p, char *words)
{
	char section[64], option[64], value[128];

	/* "smtpd max-errors 3" */
	char *save = NULL, *a = strtok_r(words, " ", &save), *b = strtok_r(NULL, " ", &save), *c = strtok_r(NULL, "", &save);

	if (a == NULL || b == NULL || c == NULL)
		complain(p, "conf SECTION OPTION VALUE");
	(void)snprintf(section, sizeof section, "%s", a);
	(void)snprintf(option, sizeof option, "%s", b);
	(void)snprintf(value, sizeof value, "%s", c);
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; k < conf_sections[i].n_options; k++) {
			const struct conf_option *o = &conf_sections[i].options[k];

			if (strcmp(conf_sections[i].name, section) == 0 && strcmp(o->name, option) == 0) {
				char *at = (char *)p->f.conf + conf_sections[i].offset;

				if (o->kind == CONF_LIST)
					assert_int_equal(conf_list_add((struct conf_list *)(void *)(at + o->offset),
					    slice_str(value)), RC_OK);
				else
					assert_int_equal(conf_set(at, o, value), RC_OK);
				verify_adopt(&p->f.smtpd, p->f.conf);
				return;
			}
		}
	complain(p, "there is no option %s %s", section, option);
}

static void
do_conf(struct play *p, char *arg)
{
	set_option(p, arg);
	doors_adopt(&p->f.smtpd.doors, p->f.conf);
	clients_adopt(&p->f.smtpd.clients, p->f.conf);
	offer_adopt(&p->f.smtpd, p->f.conf);
}

static void
do_listener(struct play *p, char *arg)
{
	char *save = NULL, *option = strtok_r(arg, " ", &save), *value = strtok_r(NULL, "", &save);
	void *at = p->f.conf->n_listeners > 0 ? p->f.conf->listeners : NULL;

	if (option == NULL || value == NULL)
		complain(p, "listener OPTION VALUE");
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; strcmp(conf_sections[i].name, "listener") == 0 && k < conf_sections[i].n_options; k++)
			if (strcmp(conf_sections[i].options[k].name, option) == 0) {
				if (at == NULL)
					assert_int_equal(conf_add(p->f.conf, &conf_sections[i], "mx", &at), RC_OK);
				assert_int_equal(conf_set(at, &conf_sections[i].options[k], value), RC_OK);
				return;
			}
	complain(p, "there is no option listener %s", option);
}

static void
do_user(struct play *p, char *arg)
{
	connect_now(p);
	free(p->f.smtpd.sessions->user);
	p->f.smtpd.sessions->user = strdup(arg);
}

static void
do_client(struct play *p, char *arg)
{
	(void)snprintf(p->ip, sizeof p->ip, "%s", arg);
}

static void
do_at_once(struct play *p, char *arg)
{
	(void)arg;
	p->at_once = true;
}

static void
do_half_close(struct play *p, char *arg)
{
	(void)arg;
	send_gathered(p);
	(void)shutdown(p->f.client, SHUT_WR);
}

static void
do_again(struct play *p, char *arg)
{
	(void)arg;
	send_gathered(p);
	(void)close(p->f.client);
	p->f.client = -1;
	p->f.closed = false;
	buf_clear(&p->f.replies);
	fakes_settle(&p->f);
	p->connected = false;
}

static void
do_room(struct play *p, char *arg)
{
	connect_now(p);
	p->f.smtpd.sessions->out.max = (size_t)strtoul(arg, NULL, 10);
}

static void
do_stress(struct play *p, char *arg)
{
	(void)arg;
	connect_now(p);
	p->f.smtpd.stressed = true;
}

static void
do_stop(struct play *p, char *arg)
{
	(void)arg;
	send_gathered(p);
	fakes_settle(&p->f);
	smtpd_stop(&p->f.smtpd);
}

static void
do_router(struct play *p, char *arg)
{
	send_gathered(p);
	fakes_settle(&p->f);
	if (strcmp(arg, "hold") == 0)
		p->f.router_holds = true;
	else if (strcmp(arg, "answer") == 0)
		fakes_router_answer(&p->f, false);
	else if (strcmp(arg, "answer reverse") == 0)
		fakes_router_answer(&p->f, true);
	else if (strcmp(arg, "lost") == 0)
		fakes_router(&p->f, false);
	else if (strcmp(arg, "back") == 0)
		fakes_router(&p->f, true);
	else
		complain(p, "router %s?", arg);
	fakes_settle(&p->f);
}

static void
set_zone(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void
do_zone(struct play *p, char *arg)
{
	(void)p;
	set_zone(arg);
}

static void
do_resolver(struct play *p, char *arg)
{
	if (strcmp(arg, "unknown") == 0)
		p->f.resolver_knows_nothing = true;
	else if (strcmp(arg, "silent") == 0)
		p->f.resolver_silent = true;
	else if (strcmp(arg, "lost") == 0)
		fakes_resolver(&p->f, false);
	else
		complain(p, "resolver %s?", arg);
	fakes_settle(&p->f);
}

static void
do_queue(struct play *p, char *arg)
{
	struct fakes *f = &p->f;

	send_gathered(p);
	fakes_settle(f);
	if (strcmp(arg, "hold") == 0) {
		f->queue_holds = true;
	} else if (strcmp(arg, "answer") == 0) {
		fakes_queue_answer(f);
	} else if (strcmp(arg, "lost") == 0) {
		fakes_queue(f, false);
	} else if (strcmp(arg, "back") == 0) {
		fakes_queue(f, true);
	} else if (strcmp(arg, "full") == 0) {
		fakes_queue_state(f, false, 452, "4.3.1", "No space left", 0);
	} else if (strcmp(arg, "accepting") == 0) {
		fakes_queue_state(f, true, 0, "", "", 0);
	} else if (strcmp(arg, "room 10000") == 0) {
		fakes_queue_state(f, true, 0, "", "", 10000);
	} else if (strcmp(arg, "no ids") == 0) {
		f->ids_a_block = 0;
		fakes_queue(f, false);
		fakes_settle(f);
		fakes_queue(f, true);
	} else if (strcmp(arg, "refuse") == 0) {
		f->refuse_code = 452;
		(void)snprintf(f->refuse_enhanced, sizeof f->refuse_enhanced, "4.3.1");
		(void)snprintf(f->refuse_text, sizeof f->refuse_text, "Disk full");
	} else {
		complain(p, "queue %s?", arg);
	}
	fakes_settle(f);
}

static void
do_auth(struct play *p, char *arg)
{
	send_gathered(p);
	fakes_settle(&p->f);
	if (strncmp(arg, "up ", 3) == 0)
		fake_auth_up(&p->auth, &p->f, arg + 3);
	else if (strcmp(arg, "lost") == 0)
		fake_auth_down(&p->auth);
	else if (strcmp(arg, "hold") == 0)
		p->auth.holds = true;
	else if (strcmp(arg, "answer") == 0)
		fake_auth_answer(&p->auth);
	else if (strcmp(arg, "give up") == 0)
		fake_auth_give_up(&p->auth);
	else if (strcmp(arg, "aborted") == 0)
		assert_true(p->auth.n_aborts > 0);
	else
		complain(p, "auth %s?", arg);
	fakes_settle(&p->f);
}

static const struct {
	const char *name;
	void (*fn)(struct play *p, char *arg);
} directives[] = {
	{ "conf", do_conf },		/* SECTION OPTION VALUE (of a list: one more), before the first C: or S: */
	{ "listener", do_listener },	/* OPTION VALUE of the listener that clients come to */
	{ "user", do_user },		/* NAME that the client has logged in as */
	{ "client", do_client },	/* ADDRESS */
	{ "router", do_router },	/* hold, answer, answer reverse, lost, back */
	{ "resolver", do_resolver },	/* unknown, silent, lost */
	{ "queue", do_queue },		/* hold, answer, lost, back, full, accepting, room 10000, no ids, refuse (the next) */
	{ "auth", do_auth },		/* up MECHANISMS, lost, hold, answer, give up, aborted (was it told of an end?) */
	{ "zone", do_zone },		/* as TZ has it: what the server's clock is set to */
	{ "at once", do_at_once },	/* what is sent next leaves in one write, however the rest is played */
	{ "again", do_again },		/* the client is gone, and another one of its address comes */
	{ "room", do_room },		/* for so many bytes of replies there is memory */
	{ "stress", do_stress },	/* sessions run out, until one more comes */
	{ "half-close", do_half_close }, /* the client closes its side */
	{ "stop", do_stop },		/* the room is asked to stop */
};

static void
direct(struct play *p, char *words)
{
	char *space = strchr(words, ' ');
	char none[1] = "";

	for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
		size_t n = strlen(directives[i].name);

		if (strncmp(words, directives[i].name, n) == 0 && (words[n] == ' ' || words[n] == '\0')) {
			directives[i].fn(p, space == NULL ? none : space + 1);
			return;
		}
	}
	complain(p, "no such directive: %s", words);
}

/* --- what stands in a file --- */

/* "*N{x}" of \*N{x}: x, which may hold no escapes, N times. Returns its last character. */
static const char *
add_repeated(struct play *p, const char *s)
{
	char *open;
	unsigned long n = strtoul(s + 1, &open, 10);
	const char *close = strchr(open, '}');

	if (*open != '{' || close == NULL)
		complain(p, "\\*N{text}");
	while (n-- > 0)
		assert_true(buf_put(&p->to_send, open + 1, (size_t)(close - open) - 1));
	return close;
}

static void
add_escaped(struct play *p, const char *s, unsigned long time)
{
	char number[24];

	for (; *s != '\0'; s++) {
		char hex[3] = "";

		if (*s != '\\') {
			assert_true(buf_put_byte(&p->to_send, (uint8_t)*s));
			continue;
		}
		switch (*++s) {
		case 'r': assert_true(buf_put_byte(&p->to_send, '\r')); break;
		case 'n': assert_true(buf_put_byte(&p->to_send, '\n')); break;
		case 't': assert_true(buf_put_byte(&p->to_send, '\t')); break;
		case '0': assert_true(buf_put_byte(&p->to_send, 0)); break;
		case '\\': assert_true(buf_put_byte(&p->to_send, '\\')); break;
		case '*': s = add_repeated(p, s); break;
		case '#':
			(void)snprintf(number, sizeof number, "%lu", time);
			assert_true(buf_put_str(&p->to_send, number));
			break;
		case 'x':
			assert_true(s[1] != '\0' && s[2] != '\0');
			hex[0] = s[1];
			hex[1] = s[2];
			assert_true(buf_put_byte(&p->to_send, (uint8_t)strtoul(hex, NULL, 16)));
			s += 2;
			break;
		default:
			complain(p, "unknown escape");
		}
	}
}

/* "N text": the text behind the number. */
static char *
times(char *arg, unsigned long *ret_n)
{
	char *rest;

	*ret_n = strtoul(arg, &rest, 10);
	return *rest == ' ' ? rest + 1 : rest;
}

static void
client_times(struct play *p, char *arg)
{
	unsigned long n;
	const char *text = times(arg, &n);

	for (unsigned long i = 1; i <= n; i++) {
		add_escaped(p, text, i);
		assert_true(buf_put(&p->to_send, "\r\n", 2));
	}
}

/* Every line of a reply has an enhanced code of its own class, but for the greeting, 3xx and what answers EHLO and HELO
 * (RFC 2034 4). shows: RFC2034 4/1, RFC2034 4/2, RFC2034 4/3 */
static void
check_enhanced(const struct play *p, const char *line)
{
	static const char *const of_ehlo[] = { "mx.example.org", "Say who you are", "That is neither" };
	struct slice text = slice_str(strlen(line) < 4 ? "" : line + 4), word = slice_first(text, slice_find(text, ' '));
	struct enhanced e;

	if (line[0] == '3' || (line[0] == '2' && extension_find(word) != EXT_COUNT))
		return;
	for (size_t i = 0; i < sizeof of_ehlo / sizeof of_ehlo[0]; i++)
		if (slice_starts(text, slice_str(of_ehlo[i])))
			return;
	if (enhanced_parse(word, &e) != RC_OK || e.class != line[0] - '0')
		complain(p, "no enhanced code, or one of another class: \"%s\"", line);
}

static void
expect_reply(struct play *p, const char *pattern)
{
	char line[LINE_MAX_];

	send_gathered(p);
	if (!fakes_line(&p->f, line, sizeof line, PATIENCE_MS))
		complain(p, "expected \"%s\", the server %s", pattern, p->f.closed ? "closed" : "says nothing");
	check_enhanced(p, line);
	if (!fakes_match(pattern, line))
		complain(p, "expected \"%s\", the server says \"%s\"", pattern, line);
}

static void
expect_reply_times(struct play *p, char *arg)
{
	unsigned long n;
	const char *pattern = times(arg, &n);

	while (n-- > 0)
		expect_reply(p, pattern);
}

/* All lines of one reply (RFC 5321 4.2.1), which share a code; whether the pattern is among them must be as wanted. */
static void
expect_in_reply(struct play *p, const char *pattern, bool wanted)
{
	char line[LINE_MAX_], code[4] = "";
	bool found = false;

	send_gathered(p);
	do {
		if (!fakes_line(&p->f, line, sizeof line, PATIENCE_MS))
			complain(p, "expected a reply, the server %s", p->f.closed ? "closed" : "says nothing");
		if (strlen(line) < 4 || (line[3] != '-' && line[3] != ' ') || (code[0] != '\0' && strncmp(line, code, 3) != 0))
			complain(p, "the server says \"%s\" behind a line with %s", line, code);
		memcpy(code, line, 3);
		found = found || fakes_match(pattern, line);
	} while (line[3] == '-');
	if (found != wanted)
		complain(p, "\"%s\" is %s the reply", pattern, found ? "in" : "not in");
}

static void
expect_nothing(struct play *p)
{
	char line[LINE_MAX_];

	send_gathered(p);
	fakes_settle(&p->f);
	if (fakes_line(&p->f, line, sizeof line, 20))
		complain(p, "expected nothing, the server says \"%s\"", line);
	if (p->f.closed)
		complain(p, "the server closed");
}

static void
expect_close(struct play *p)
{
	char line[LINE_MAX_];

	send_gathered(p);
	if (fakes_line(&p->f, line, sizeof line, PATIENCE_MS))
		complain(p, "expected the end, the server says \"%s\"", line);
	if (!p->f.closed)
		complain(p, "the server does not close");
}

/* The next line of the last message's content; false at its end. */
static bool
content_line(struct play *p, char *line, size_t size)
{
	struct slice rest, text;

	assert_non_null(fakes_last(&p->f));
	rest = slice_from(buf_slice(&fakes_last(&p->f)->content), p->content_at);
	if (rest.n == 0)
		return false;
	text = slice_first(rest, slice_find(rest, '\n'));
	assert_true(text.n > 0 && text.p[text.n - 1] == '\r' && text.n < size);
	memcpy(line, text.p, text.n - 1);
	line[text.n - 1] = '\0';
	p->content_at += text.n + 1;
	return true;
}

static void
expect_content(struct play *p, const char *pattern)
{
	char line[LINE_MAX_];

	while (content_line(p, line, sizeof line)) {
		if (fakes_match(pattern, line)) {
			p->skipping = false;
			return;
		}
		if (!p->skipping)
			complain(p, "expected content \"%s\", there is \"%s\"", pattern, line);
	}
	complain(p, "expected content \"%s\", it has ended", pattern);
}

static void
expect_content_end(struct play *p)
{
	char line[LINE_MAX_];

	if (content_line(p, line, sizeof line))
		complain(p, "expected the end of the content, there is \"%s\"", line);
}

static void
put_flags(struct buf *to, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = { { ENVELOPE_8BITMIME, " 8BITMIME" }, { ENVELOPE_BINARYMIME, " BINARYMIME" },
	    { ENVELOPE_SMTPUTF8, " SMTPUTF8" },
		{ ENVELOPE_REQUIRETLS, " REQUIRETLS" }, { ENVELOPE_TLS_OPTIONAL, " TLS-OPTIONAL" },
		{ ENVELOPE_RET_FULL, " RET=FULL" },
		{ ENVELOPE_RET_HDRS, " RET=HDRS" } };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if ((flags & words[i].flag) != 0)
			(void)buf_put_str(to, words[i].word);
}

static void
expect_envelope(struct play *p, const char *words)
{
	struct buf text = BUF_INIT(65536);
	struct envelope_rcpt r;
	struct envelope e;
	struct slice rest;

	assert_non_null(fakes_last(&p->f));
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&p->f)->envelope), &e), RC_OK);
	(void)buf_put_str(&text, "<");
	(void)buf_put_slice(&text, e.sender);
	(void)buf_put_str(&text, ">");
	rest = e.rcpts;
	while (envelope_rcpt_next(&rest, &r)) {
		(void)buf_put_str(&text, " <");
		(void)buf_put_slice(&text, r.address);
		(void)buf_put_str(&text, ">");
		if (r.notify != 0)
			(void)buf_printf(&text, " NOTIFY=%u", r.notify);
		if (r.orcpt.n > 0)
			(void)buf_printf(&text, " ORCPT=%.*s", (int)r.orcpt.n, (const char *)r.orcpt.p);
	}
	put_flags(&text, e.flags | fakes_last(&p->f)->flags);
	if (e.envid.n > 0)
		(void)buf_printf(&text, " ENVID=%.*s", (int)e.envid.n, (const char *)e.envid.p);
	if (e.hold_request.n > 0)
		(void)buf_printf(&text, " HOLD=%.*s", (int)e.hold_request.n, (const char *)e.hold_request.p);
	if (e.deliver_by != 0)
		(void)buf_put_str(&text, " BY");
	if (e.priority != 0)
		(void)buf_printf(&text, " PRIORITY=%d", e.priority);
	if (!fakes_match(words, buf_cstr(&text)))
		complain(p, "expected envelope \"%s\", it is \"%s\"", words, buf_cstr(&text));
	buf_free(&text);
}

static void
expect_messages(struct play *p, const char *arg)
{
	unsigned n = 0;

	send_gathered(p);
	fakes_settle(&p->f);
	for (unsigned i = 0; i < p->f.n_messages; i++)
		n += p->f.messages[i].committed;
	if (n != strtoul(arg, NULL, 10))
		complain(p, "expected %s messages at the queue, there are %u", arg, n);
	p->content_at = 0;
}

/* A conversation that stops in the middle proves nothing about what comes next. */
static void
expect_no_more(struct play *p)
{
	char line[LINE_MAX_];

	send_gathered(p);
	fakes_settle(&p->f);
	if (fakes_line(&p->f, line, sizeof line, 0))
		complain(p, "the file ends, and the server says \"%s\"", line);
}

static void
play_line(struct play *p, char *line)
{
	char *text = line + 2;

	if (line[0] == '#' || line[0] == '\0')
		return;
	if (*text == ' ')
		text++;
	if (line[0] == 'C' && line[1] == ':') {
		add_escaped(p, text, 0);
		assert_true(buf_put(&p->to_send, "\r\n", 2));
	} else if (line[0] == 'C' && line[1] == '-') {
		add_escaped(p, text, 0);
	} else if (line[0] == 'C' && line[1] == '*') {
		client_times(p, text);
	} else if (strcmp(line, "S.") == 0) {
		expect_nothing(p);
	} else if (strcmp(line, "S!") == 0) {
		expect_close(p);
	} else if (line[0] == 'S' && line[1] == ':') {
		expect_reply(p, text);
	} else if (line[0] == 'S' && line[1] == '*') {
		expect_reply_times(p, text);
	} else if (line[0] == 'S' && (line[1] == '+' || line[1] == '-')) {
		expect_in_reply(p, text, line[1] == '+');
	} else if (strcmp(line, "Q.") == 0) {
		expect_content_end(p);
	} else if (strcmp(line, "Q...") == 0) {
		p->skipping = true;
	} else if (line[0] == 'Q' && line[1] == ':') {
		expect_content(p, text);
	} else if (line[0] == 'E' && line[1] == ':') {
		expect_envelope(p, text);
	} else if (line[0] == 'M' && line[1] == ':') {
		expect_messages(p, text);
	} else if (line[0] == '!' && line[1] == ' ') {
		direct(p, text);
	} else {
		complain(p, "what is \"%s\"?", line);
	}
}

static void
play_file(const char *path, const char *mode, size_t piece, unsigned seed)
{
	struct play *p = calloc(1, sizeof *p);
	char line[LINE_MAX_];
	FILE *in = fopen(path, "r");

	assert_non_null(p);
	assert_non_null(in);
	p->file = strrchr(path, '/') + 1;
	p->mode = mode;
	p->piece = piece;
	p->seed = seed;
	(void)snprintf(p->ip, sizeof p->ip, "192.0.2.7");
	buf_init(&p->to_send, 16 << 20);
	set_zone("UTC0");
	fakes_start(&p->f, NULL);
	while (fgets(line, sizeof line, in) != NULL) {
		p->line++;
		line[strcspn(line, "\n")] = '\0';
		play_line(p, line);
	}
	(void)fclose(in);
	expect_no_more(p);
	fake_auth_down(&p->auth);
	fakes_stop(&p->f);
	buf_free(&p->to_send);
	free(p);
}

/* Whatever a conversation is about, fakes_line() looks at the form of each reply line in it.
 * shows: RFC5321 4.2/1, RFC5321 4.2/7, RFC5321 4.2/10, RFC5321 4.2/13, RFC5321 4.2.1/3, RFC5321 4.2.1/6
 * shows: RFC5321 4.3.2/3, RFC5321 4.5.3.1.5/1, RFC5321 2.3.8/3 */
static void
conversation(void **state)
{
	const char *path = *state;

	play_file(path, "whole", SIZE_MAX, 0);
	play_file(path, "byte by byte", 1, 0);
	for (unsigned seed = 1; seed <= 3; seed++)
		play_file(path, "in pieces", 0, seed);
}

static int
by_name(const void *a, const void *b)
{
	const struct CMUnitTest *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* With a name: only the files whose name holds it. */
int
main(int argc, char **argv)
{
	static struct CMUnitTest tests[FILES_MAX];
	const char *src = getenv("srcdir");
	char folder[2048];
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(folder, sizeof folder, "%s/tests/replay", src == NULL ? "." : src);
	dir = opendir(folder);
	if (dir == NULL)
		return 1;
	while ((d = readdir(dir)) != NULL && n < FILES_MAX) {
		size_t len = strlen(d->d_name);
		char *path;

		if (len < 4 || strcmp(d->d_name + len - 4, ".txt") != 0 || (argc > 1 && strstr(d->d_name, argv[1]) == NULL))
			continue;
		path = malloc(strlen(folder) + len + 2);
		if (path == NULL)
			return 1;
		(void)snprintf(path, strlen(folder) + len + 2, "%s/%s", folder, d->d_name);
		tests[n++] = (struct CMUnitTest){ .name = strdup(d->d_name), .test_func = conversation, .initial_state = path };
	}
	(void)closedir(dir);
	qsort(tests, n, sizeof tests[0], by_name);
	return _cmocka_run_group_tests("replay", tests, n, NULL, NULL);
}
