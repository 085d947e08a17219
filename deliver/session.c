/* deliver/session.c -- the way to a ready session, and its end. See session.h. */
#include "deliver/session.h"

#include "common/wire/domain.h"
#include "deliver/timeouts.h"

#include <stdlib.h>

static void on_ready(struct watch *w, bool readable, bool writable, void *ctx);
static void on_stage_timer(struct timer *t, void *ctx);
static void on_total_timer(struct timer *t, void *ctx);
static void on_bury(struct chore *c, void *ctx);
static void start_try(struct session *s);

/* ---- log ----------------------------------------------------------------------------------------------------------*/

/* "name[address]:port" of the try in use, or a literal and the port; nothing when there is none. */
static void
session_relay_put(const struct session *s, struct buf *to)
{
	struct slice name;

	if (s->try >= s->route.n_tries)
		return;
	name = route_host_name(&s->route, s->route.tries[s->try].host);
	(void)buf_put_slice(to, name);
	if (!slice_starts(name, S("["))) {
		(void)buf_put_byte(to, '[');
		(void)ip_put(to, s->route.tries[s->try].ip);
		(void)buf_put_byte(to, ']');
	}
	(void)buf_printf(to, ":%u", (unsigned)s->route.port);
}

static void
log_failure(const struct session *s, enum stage stage, const struct verdict *v)
{
	struct buf relay = BUF_INIT(512);

	session_relay_put(s, &relay);
	log_say(LOG_SESSION_FAILED, NULL, F_STR("destination", buf_slice(&s->destination)), F_STR("relay", buf_slice(&relay)),
	    F_TEXT("stage", stage_name(stage)), F_STR("text", verdict_text(v)));
	buf_free(&relay);
}

static enum stage
current_stage(const struct session *s)
{
	switch (s->state) {
	case IN_RESOLVE: return STAGE_RESOLVE;
	case IN_CONNECT: return STAGE_CONNECT;
	case IN_READY:
	case IN_END: return STAGE_IDLE;
	case IN_GREETING:
	case IN_MAIL:
	case IN_QUIT: break;
	}
	return exchange_stage(&s->exchange);
}

/* ---- state and time -----------------------------------------------------------------------------------------------*/

void
session_arm(struct session *s)
{
	enum stage stage = current_stage(s);
	uint64_t ms = timeout_of(&s->conf->deliver, stage);

	/* While the queue owes content it is not the server who is slow; the total still runs. */
	if (ms == 0 || (s->state == IN_MAIL && transaction_wants_content(&s->transaction, &s->exchange)))
		timer_cancel(&s->stage_timer);
	else
		timer_start(&s->stage_timer, ms);
}

void
session_enter(struct session *s, enum session_state state)
{
	if (state == IN_READY || state == IN_QUIT || state == IN_END)
		timer_cancel(&s->total_timer);
	s->state = state;
	if (state == IN_END)
		timer_cancel(&s->stage_timer);
	else
		session_arm(s);
}

/* ---- the end ------------------------------------------------------------------------------------------------------*/

static void
tell_closed(struct session *s, const struct verdict *v, struct slice host, struct ip ip)
{
	struct deliver *d = s->deliver;
	char enhanced[ENHANCED_TEXT_MAX];
	struct d_closed m = { (uint8_t)v->end, v->code, S(""), verdict_text(v), host, ip };

	if (!s->open)
		return;
	s->open = false;
	m.enhanced = slice_of(enhanced, enhanced_format(v->enhanced, enhanced));
	if (d->queue != NULL)
		deliver_queue_sent(d, d_closed_send(d->queue, s->by_handle.id, &m));
	id_remove(&d->by_handle, &s->by_handle);
}

static void
tell_closed_here(struct session *s, const struct verdict *v)
{
	bool at_host = s->try < s->route.n_tries;
	struct ip none = { 0, { 0 } };

	tell_closed(s, v, at_host ? route_host_name(&s->route, s->route.tries[s->try].host) : S(""),
	    at_host ? s->route.tries[s->try].ip : none);
}

static void
disconnect(struct session *s, bool cut)
{
	connection_close(&s->connection, cut);
	exchange_free(&s->exchange);
	s->left_open = false;
	s->served_here = 0;
}

void
session_end(struct session *s, enum stage at, const struct verdict *v)
{
	struct deliver *d = s->deliver;

	if (s->state == IN_END)
		return;
	if (v->end != SESSION_DONE)
		log_failure(s, at, v);
	tell_closed_here(s, v);
	disconnect(s, s->state == IN_MAIL);
	id_remove(&d->by_query, &s->by_query);
	session_enter(s, IN_END);
	job_free(s->job);
	s->job = NULL;
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
	d->n_sessions--;
	chore_queue(&s->bury);
	if (d->stopping && d->n_sessions == 0 && d->stopped != NULL)
		d->stopped(d->stopped_ctx);
}

static void
on_bury(struct chore *c, void *ctx)
{
	struct session *s = ctx;

	(void)c;
	buf_free(&s->destination);
	route_free(&s->route);
	conf_unref(s->conf);
	free(s);
}

static void
say_done(struct verdict *v)
{
	verdict_say(v, SESSION_DONE, 0, ENHANCED(2, 0, 0), "done");
}

void
session_end_done(struct session *s)
{
	struct verdict v;

	say_done(&v);
	session_end(s, STAGE_IDLE, &v);
}

void
session_orphan(struct session *s)
{
	s->open = false;
	id_remove(&s->deliver->by_handle, &s->by_handle);
	session_end_done(s);
}

void
session_quit(struct session *s)
{
	struct verdict v;

	if (!connection_is_open(&s->connection)) {
		session_end_done(s);
		return;
	}
	say_done(&v);
	tell_closed_here(s, &v);
	/* No command is under way here, so there is room for one. */
	exchange_command(&s->exchange, STAGE_QUIT, "QUIT", S(""));
	s->connection.owes_quit = false;
	session_enter(s, IN_QUIT);
	(void)session_flush(s);
}

/* ---- trying -------------------------------------------------------------------------------------------------------*/

/* The try in use has failed at this stage, as s->why says. The next one, or the end. */
static void
next_try(struct session *s, enum stage at)
{
	s->some_temporary = s->some_temporary || s->why.end != SESSION_PERMANENT;
	if (s->try + 1 < s->route.n_tries) {
		log_failure(s, at, &s->why);
		disconnect(s, false);
		s->try++;
		start_try(s);
		return;
	}
	if (s->some_temporary) {
		s->why.end = SESSION_TEMPORARY;
		s->why.enhanced.class = 4;
	}
	session_end(s, at, &s->why);
}

static void
fail_connect(struct session *s)
{
	struct buf relay = BUF_INIT(512);
	const char *text;

	session_relay_put(s, &relay);
	text = buf_cstr(&relay);
	verdict_say(&s->why, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 1), "cannot connect to %s: %s", text == NULL ? "" : text,
	    strerror(s->connection.error));
	buf_free(&relay);
	next_try(s, STAGE_CONNECT);
}

static void
start_try(struct session *s)
{
	struct verdict v;

	session_enter(s, IN_CONNECT);
	switch ((int)connection_start(&s->connection, s->deliver->loop, &s->conf->deliver, s->route.tries[s->try].ip,
	    s->route.port, on_ready, s)) {
	case RC_OK:
		return;
	case RC_AGAIN:
		verdict_say(&v, SESSION_BUSY, 0, ENHANCED(4, 3, 2), "out of descriptors or memory here");
		session_end(s, STAGE_CONNECT, &v);
		return;
	default:
		/* Not from within: a long list of hosts that fail at once would nest. */
		timer_start(&s->stage_timer, 0);
		return;
	}
}

void
session_reconnect(struct session *s, bool from_first)
{
	/* Behind a DATA that was not answered QUIT would be content. */
	if (s->exchange.n_due > 0)
		s->connection.owes_quit = false;
	disconnect(s, false);
	if (from_first)
		s->try = 0;
	s->some_temporary = true;	/* a destination that greeted us is not gone for good */
	timer_start(&s->total_timer, timeout_setup(&s->conf->deliver));
	start_try(s);
}

/* RFC 5321 5.1: that host is this one, so it and all that are less preferred are not for us. */
static void
fail_as_loop(struct session *s, enum stage at)
{
	route_drop_from(&s->route, s->try);
	verdict_say(&s->why, SESSION_PERMANENT, 0, ENHANCED(5, 4, 6), "mail loops: the mail host for this domain is this host");
	next_try(s, at);
}

static void
connected(struct session *s)
{
	if (connection_result(&s->connection) != RC_OK) {
		fail_connect(s);
		return;
	}
	if (!s->rules.trusted && route_listens_anywhere(s->conf, s->route.port) &&
	    connection_is_to_self(&s->connection, s->route.tries[s->try].ip)) {
		fail_as_loop(s, STAGE_CONNECT);
		return;
	}
	exchange_expect(&s->exchange, STAGE_BANNER);
	watch_set(&s->connection.watch, true, false);
	session_enter(s, IN_GREETING);
}

/* ---- greeting -----------------------------------------------------------------------------------------------------*/

static void
greet(struct session *s, enum stage stage)
{
	const char *helo = s->conf->deliver.helo;

	exchange_command(&s->exchange, stage, stage == STAGE_EHLO ? "EHLO" : "HELO",
	    helo[0] == '\0' ? s->rules.hostname : slice_str(helo));
	session_arm(s);
	(void)session_flush(s);
}

static void
ready(struct session *s)
{
	struct deliver *d = s->deliver;
	struct d_pull m = { 0 };
	struct buf relay = BUF_INIT(512);

	session_relay_put(s, &relay);
	log_say(LOG_SESSION_OPENED, NULL, F_STR("destination", buf_slice(&s->destination)), F_STR("relay", buf_slice(&relay)));
	buf_free(&relay);
	session_enter(s, IN_READY);
	if (s->job != NULL) {
		mail_begin(s);
	} else if (s->no_more || d->stopping) {
		session_quit(s);
	} else if (!s->pulled) {
		s->pulled = true;
		deliver_queue_sent(d, d_pull_send(d->queue, s->by_handle.id, &m));
	}
}

/* Some hosts answer for addresses of ours that we cannot know (behind a translator): they greet with our name. */
static bool
greets_as_ourselves(const struct session *s, const struct smtp_reply *reply)
{
	struct slice rest = reply->lines, text;

	if (s->rules.trusted || !s->rules.mx || !smtp_reply_line_next(&rest, &text))
		return false;
	return slice_caseeq(slice_first(text, slice_find(text, ' ')), s->rules.hostname);
}

static void
greeting_reply(struct session *s, enum stage stage, const struct smtp_reply *reply)
{
	struct reply_meaning m = reply_means(stage, reply->code);

	switch (m.action) {
	case REPLY_GO:
		if (exchange_is_out_of_step(&s->exchange)) {
			verdict_say(&s->why, SESSION_TEMPORARY, 0, ENHANCED(4, 5, 0),
			    "the server said what nobody had asked for");
			next_try(s, stage);
			return;
		}
		if (stage == STAGE_BANNER) {
			greet(s, STAGE_EHLO);
			return;
		}
		if (greets_as_ourselves(s, reply)) {
			fail_as_loop(s, stage);
			return;
		}
		if (stage == STAGE_EHLO)
			exchange_learn(&s->exchange, reply);
		ready(s);
		return;
	case REPLY_TRY_HELO:
		greet(s, STAGE_HELO);
		return;
	case REPLY_NEXT_HOST:
	case REPLY_RCPT:
	case REPLY_MESSAGE:
		break;
	}
	/* 521 is about the host for ever (RFC 7504 3); other refusals may be about today, or about us. */
	verdict_quote(&s->why, reply->code == 521 ? SESSION_PERMANENT : SESSION_TEMPORARY, reply);
	next_try(s, stage);
}

/* ---- reading and writing ------------------------------------------------------------------------------------------*/

/* The connection is gone, or of no use any more. */
static void
lost(struct session *s, enum loss loss, const char *what)
{
	switch (s->state) {
	case IN_CONNECT:
	case IN_GREETING:
		verdict_say(&s->why, SESSION_TEMPORARY, 0, loss_enhanced(loss), "%s (%s)", what, stage_name(current_stage(s)));
		next_try(s, current_stage(s));
		break;
	case IN_READY:
		/* Between two messages nothing is lost: the next one gets a fresh connection. */
		disconnect(s, false);
		break;
	case IN_MAIL:
		mail_lost(s, loss, what);
		break;
	case IN_QUIT:
		session_end_done(s);
		break;
	case IN_RESOLVE:
	case IN_END:
		break;
	}
}

bool
session_flush(struct session *s)
{
	size_t n = 0;
	enum rc rc;

	if (!connection_is_open(&s->connection))
		return false;
	rc = connection_write(&s->connection, &s->exchange.out, &n);
	if (rc == RC_CLOSED) {
		/* It may have said why before it hung up: what is there to read tells, and the end of it too. */
		watch_set(&s->connection.watch, true, false);
		return true;
	}
	if (n > 0 && s->state != IN_END)
		session_arm(s);
	watch_set(&s->connection.watch, true, rc == RC_AGAIN);
	return true;
}

static void
take_reply(struct session *s, enum stage stage, const struct smtp_reply *reply)
{
	switch (s->state) {
	case IN_GREETING:
		greeting_reply(s, stage, reply);
		break;
	case IN_READY:
		/* 421 after a long silence, or words that nobody asked for. */
		disconnect(s, false);
		break;
	case IN_MAIL:
		mail_reply(s, stage, reply);
		break;
	case IN_QUIT:
		session_end_done(s);
		break;
	case IN_CONNECT:
	case IN_RESOLVE:
	case IN_END:
		break;
	}
}

static void
take_replies(struct session *s)
{
	while (s->state != IN_END && connection_is_open(&s->connection)) {
		struct smtp_reply reply;
		enum stage stage;
		enum rc rc = exchange_reply(&s->exchange, &stage, &reply);

		if (rc == RC_MORE)
			return;
		if (rc == RC_OK) {
			take_reply(s, stage, &reply);
			continue;
		}
		lost(s, LOSS_NONSENSE, rc == RC_RANGE ? "the server's reply is too long" : "the server's reply is no SMTP");
		return;
	}
}

static void
read_some(struct session *s)
{
	size_t n;
	uint8_t *space = loop_scratch(s->deliver->loop);
	enum rc rc = connection_read(&s->connection, space, EXCHANGE_READ_MAX, &n);

	if (rc == RC_CLOSED) {
		lost(s, LOSS_HANGUP, s->connection.error == 0 ? "the server closed the connection" :
		    strerror(s->connection.error));
		return;
	}
	if (rc != RC_OK)
		return;
	if (exchange_feed(&s->exchange, slice_of(space, n)) != RC_OK) {
		lost(s, LOSS_MEMORY, "out of memory here");
		return;
	}
	take_replies(s);
}

static void
on_ready(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct session *s = ctx;

	(void)w;
	if (s->state == IN_CONNECT) {
		connected(s);
		return;
	}
	if (readable)
		read_some(s);
	if (!writable || s->state == IN_END || !connection_is_open(&s->connection) || s->state == IN_CONNECT)
		return;
	if (s->state == IN_MAIL)
		mail_progress(s);
	else
		(void)session_flush(s);
}

/* ---- timers -------------------------------------------------------------------------------------------------------*/

static void
on_stage_timer(struct timer *t, void *ctx)
{
	struct session *s = ctx;
	struct verdict v;

	(void)t;
	if (s->state == IN_RESOLVE) {
		verdict_say(&v, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 3), "no answer from the resolver");
		session_end(s, STAGE_RESOLVE, &v);
	} else if (s->state == IN_CONNECT && !connection_is_open(&s->connection)) {
		fail_connect(s);	/* it failed at once, see start_try */
	} else {
		lost(s, LOSS_TIMEOUT, "timeout");
	}
}

static void
on_total_timer(struct timer *t, void *ctx)
{
	struct session *s = ctx;

	(void)t;
	if (s->state == IN_MAIL) {
		lost(s, LOSS_TIMEOUT, "timeout: the server is too slow altogether");
		return;
	}
	verdict_say(&s->why, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 2), "timeout: no server was ready in time");
	session_end(s, current_stage(s), &s->why);
}

/* ---- opening ------------------------------------------------------------------------------------------------------*/

static struct session *
session_new(struct deliver *d, uint32_t handle, struct slice nexthop)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	buf_init(&s->destination, 512);
	if (!buf_put_slice(&s->destination, nexthop)) {
		free(s);
		return NULL;
	}
	s->deliver = d;
	s->conf = conf_ref(d->conf);
	connection_init(&s->connection);
	exchange_init(&s->exchange);
	s->route.names = (struct buf)BUF_INIT(ROUTE_HOSTS_MAX * ROUTE_NAME_MAX);
	timer_setup(&s->stage_timer, d->loop, on_stage_timer, s);
	timer_setup(&s->total_timer, d->loop, on_total_timer, s);
	chore_setup(&s->bury, d->loop, on_bury, s);
	s->open = true;
	id_add(&d->by_handle, &s->by_handle, handle);
	s->next = d->sessions;
	s->at = &d->sessions;
	if (s->next != NULL)
		s->next->at = &s->next;
	d->sessions = s;
	d->n_sessions++;
	return s;
}

static void
refuse_open(struct deliver *d, uint32_t handle, const char *why)
{
	struct d_closed m = { SESSION_BUSY, 0, S("4.3.2"), slice_str(why), S(""), { 0, { 0 } } };

	deliver_queue_sent(d, d_closed_send(d->queue, handle, &m));
}

/* The transport gives the port. False: there is none of this name that speaks SMTP. */
static bool
find_port(const struct conf *conf, struct slice transport, uint16_t *ret_port)
{
	*ret_port = (uint16_t)conf->deliver.port;
	for (size_t i = 0; i < conf->n_transports; i++) {
		const struct conf_transport *t = &conf->transports[i];

		if (!slice_eq(slice_str(t->title), transport))
			continue;
		if (t->port != 0)
			*ret_port = (uint16_t)t->port;
		return slice_eq(slice_str(t->kind), S("smtp"));
	}
	return slice_eq(transport, S("smtp"));
}

static void
begin_tries(struct session *s)
{
	timer_start(&s->total_timer, timeout_setup(&s->conf->deliver));
	start_try(s);
}

static void
open_literal(struct session *s)
{
	struct verdict v;
	enum rc rc = route_of_literal(&s->rules, s->hop.literal, &s->route, &v);

	if (rc == RC_OK) {
		begin_tries(s);
		return;
	}
	if (rc != RC_NOTFOUND)
		verdict_say(&v, SESSION_BUSY, 0, ENHANCED(4, 3, 0), "out of memory here");
	session_end(s, STAGE_RESOLVE, &v);
}

void
session_open(struct deliver *d, uint32_t handle, const struct d_open *m)
{
	struct session *s;
	struct verdict v;
	uint16_t port;

	if (d->stopping || d->n_sessions >= d->conf->deliver.max_sessions) {
		refuse_open(d, handle, d->stopping ? "this process is being stopped" :
		    "this process has all the sessions it may");
		return;
	}
	s = session_new(d, handle, slice_first(m->nexthop, DOMAIN_MAX + 16));
	if (s == NULL) {
		refuse_open(d, handle, "out of memory");
		return;
	}
	if (!find_port(s->conf, m->transport, &port)) {
		verdict_say(&v, SESSION_TEMPORARY, 0, ENHANCED(4, 3, 5), "the configuration has no such transport");
		session_end(s, STAGE_RESOLVE, &v);
		return;
	}
	if (nexthop_parse(buf_slice(&s->destination), &s->hop) != RC_OK) {
		verdict_say(&v, SESSION_PERMANENT, 0, ENHANCED(5, 1, 2), "the domain is no name that could be looked up");
		session_end(s, STAGE_RESOLVE, &v);
		return;
	}
	s->rules = (struct route_rules){ s->conf, deliver_hostname(d, s->conf), s->hop.port != 0 ? s->hop.port : port, s->hop.mx,
	    nexthop_is_configured(s->conf, buf_slice(&s->destination)) };
	if (s->hop.literal.family != 0) {
		open_literal(s);
		return;
	}
	if (++d->last_query == 0)
		d->last_query = 1;
	id_add(&d->by_query, &s->by_query, d->last_query);
	session_enter(s, IN_RESOLVE);
	session_ask(s);
}

void
session_ask(struct session *s)
{
	struct v_route m = { s->hop.mx ? ROUTE_MX : ROUTE_HOST, s->hop.name };

	/* Without a line, or when it is full, the timer tells; a new line asks again. */
	if (s->state == IN_RESOLVE && s->deliver->resolver != NULL)
		(void)v_route_send(s->deliver->resolver, s->by_query.id, &m);
}

const char *
session_route(struct session *s, const struct v_hosts *m)
{
	struct verdict v;
	enum rc rc = route_build(&s->rules, m, &s->route, &v);

	id_remove(&s->deliver->by_query, &s->by_query);
	if (rc == RC_OK) {
		begin_tries(s);
		return NULL;
	}
	if (rc == RC_SYNTAX)
		verdict_say(&v, SESSION_TEMPORARY, 0, ENHANCED(4, 4, 3), "the answer of the resolver is malformed");
	else if (rc != RC_NOTFOUND)
		verdict_say(&v, SESSION_BUSY, 0, ENHANCED(4, 3, 0), "out of memory here");
	session_end(s, STAGE_RESOLVE, &v);
	return rc == RC_SYNTAX ? "malformed hosts" : NULL;
}
