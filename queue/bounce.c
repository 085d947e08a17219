/* queue/bounce.c -- recipients that failed for good, see bounce.h. */
#include "queue/bounce.h"

#include "common/wire/utf8.h"
#include "queue/dsn.h"
#include "queue/late.h"
#include "queue/report_rate.h"
#include "queue/routing.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	WORDS_MAX = 2048,		/* of one failure */
	REPORT_MAX = 4 * 1024 * 1024,
	RETRY_MS = 60000,
};

struct failure {
	struct rcpt *rcpt;
	struct buf words;		/* what the slices of f borrow from */
	struct bounce_failure f;
	struct envelope_rcpt row;
	bool told;			/* the sender wants to know (RFC 3461 4.1) */
};

enum step { GATHERING, READING_ENVELOPE, WANTS_ROUTE, ROUTING, READING_HEADER, COMMITTING };

struct bounce {
	struct bounce *next;		/* in queue.bounces, once it is on its way */
	struct queue *queue;
	struct message *message;	/* held */
	struct buf envelope;
	struct envelope parsed;
	enum step step;
	bool twice;			/* about a bounce: for the postmaster */
	bool silent;			/* nobody is to be told */
	bool some_failed;		/* of those who are told of */
	bool delays;			/* all wait, in whatever list they are: nothing is changed about them */
	struct msgid id;
	struct buf to;			/* whom it is for */
	struct buf report;
	struct buf own;			/* the report's envelope */
	struct schedule_route route;
	struct buf names;		/* that the route borrows from */
	size_t n;
	struct failure failures[];	/* room for BOUNCE_RCPTS_MAX, or what the message has */
};

static void bounce_commit(struct bounce *b);

static size_t
capacity(const struct message *m)
{
	return m->n_rcpts < BOUNCE_RCPTS_MAX ? m->n_rcpts : BOUNCE_RCPTS_MAX;
}

static struct bounce *
bounce_new(struct queue *q, struct message *m, struct slice envelope)
{
	struct bounce *b = calloc(1, sizeof *b + capacity(m) * sizeof b->failures[0]);

	if (b == NULL)
		return NULL;
	b->queue = q;
	b->message = m;
	buf_init(&b->envelope, STORE_ENVELOPE_MAX);
	buf_init(&b->to, 1024);
	buf_init(&b->report, REPORT_MAX);
	buf_init(&b->own, 64 * 1024);
	buf_init(&b->names, 4096);
	(void)buf_put_slice(&b->envelope, envelope);
	message_hold(m);
	q->n_bounces++;
	return b;
}

static void
bounce_free(struct bounce *b)
{
	struct bounce **at = &b->queue->bounces;

	while (*at != NULL && *at != b)
		at = &(*at)->next;
	if (*at == b)
		*at = b->next;
	for (size_t i = 0; i < b->n; i++)
		buf_free(&b->failures[i].words);
	buf_free(&b->envelope);
	buf_free(&b->to);
	buf_free(&b->report);
	buf_free(&b->own);
	buf_free(&b->names);
	b->queue->n_bounces--;
	queue_pump(b->queue);
	message_release(b->message);
	free(b);
}

/* A recipient that has its mail must not get it again because the sender could not be told. */
static void
done_untold(struct queue *q, struct rcpt *r)
{
	struct message *m = rcpt_message(r);

	store_change(q->store, &(struct store_change){ .kind = STORE_CHANGE_DONE, .id = message_id(m), .where = m->where,
	    .rcpt = r->due.index }, NULL, NULL);
	queue_rcpt_done(q, r);
}

/* Nothing was told and nothing written: every recipient that failed is tried again later, and fails again. */
static void
give_up_for_now(struct bounce *b)
{
	if (b->delays) {
		late_again(&b->queue->schedule, b->message, LATE_RETRY_S);
		bounce_free(b);
		return;
	}
	for (size_t i = 0; i < b->n; i++) {
		struct rcpt *r = b->failures[i].rcpt;

		r->due.state = RCPT_NEW;
		if ((b->message->flags & MESSAGE_GONE) != 0)
			queue_rcpt_done(b->queue, r);
		else if (b->failures[i].f.news != BOUNCE_FAILED)
			done_untold(b->queue, r);
		else
			schedule_wait(&b->queue->schedule, r, RETRY_MS);
	}
	if (b->message->n_open == 0 && (b->message->flags & MESSAGE_GONE) == 0) {
		store_drop(b->queue->store, message_id(b->message), b->message->where, NULL, NULL);
		queue_leave(b->queue, b->message, "delivered");
	}
	bounce_free(b);
}

/* Slices of words that are kept. */
static struct slice
keep(struct buf *words, struct slice s)
{
	size_t at = buf_len(words);

	(void)buf_put_slice(words, s);
	return slice_from(buf_slice(words), at);
}

void
bounce_add(struct queue *q, struct bounce **at, struct slice envelope, struct rcpt *r, const struct bounce_failure *failure)
{
	struct bounce *b = *at;
	struct failure *f;

	if (b != NULL && b->n == capacity(b->message))
		bounce_go(at);
	if (*at == NULL)
		*at = bounce_new(q, rcpt_message(r), envelope);
	b = *at;
	if (b == NULL) {
		if (failure->news == BOUNCE_FAILED)
			schedule_wait(&q->schedule, r, RETRY_MS);
		else
			done_untold(q, r);	/* its caller sees whether it was the last */
		return;
	}
	f = &b->failures[b->n++];
	buf_init(&f->words, WORDS_MAX);
	(void)buf_reserve(&f->words, WORDS_MAX);	/* once: the slices below must not move */
	f->rcpt = r;
	f->f.news = failure->news;
	f->f.expired = failure->expired;
	f->f.late = failure->late;
	f->f.code = failure->code;
	f->f.enhanced = keep(&f->words, slice_first(failure->enhanced, 16));
	f->f.text = keep(&f->words, slice_first(failure->text, REASON_TEXT_MAX));
	f->f.relay = keep(&f->words, slice_first(failure->relay, 512));
	f->f.host = keep(&f->words, slice_first(failure->host, 255));
	if (failure->news != BOUNCE_DELAYED)
		r->due.state = RCPT_FAILING;
}

/* --- the last step: durable, or not --- */

static void
log_failures(const struct bounce *b)
{
	struct msgid id = message_id(b->message);
	char own[QUEUE_ID_LEN];
	struct slice report = b->silent ? S("none") : slice_of(own, sizeof own);
	char delay[32];
	int64_t age = queue_wall() - b->parsed.received_at;

	queue_id_format(b->id, own);
	(void)snprintf(delay, sizeof delay, "%lld.%02lld", (long long)(age > 0 ? age / 1000000 : 0),
	    (long long)(age > 0 ? age / 10000 % 100 : 0));
	for (size_t i = 0; i < b->n; i++) {
		const struct failure *f = &b->failures[i];
		struct slice bounce = f->told ? report : S("none");

		if (f->f.news != BOUNCE_FAILED)
			continue;	/* its delivery is in the log */
		if (f->f.expired)
			log_say(LOG_EXPIRED, &id, F_STR("to", f->row.address), F_TEXT("delay", delay), F_STR("text", f->f.text),
			    F_STR("bounce", bounce));
		else
			log_say(LOG_BOUNCED, &id, F_STR("to", f->row.address), F_STR("orig_to", f->row.original),
			    F_STR("relay", f->f.relay.n == 0 ? S("none") : f->f.relay), F_TEXT("delay", delay),
			    F_STR("dsn", f->f.enhanced), F_TEXT("status", "bounced"), F_STR("text", f->f.text),
			    F_STR("bounce", bounce));
	}
}

/* The report itself becomes a message. */
static void
enter_report(struct bounce *b, struct store_where where)
{
	struct queue *q = b->queue;
	struct message *m = message_new(b->id, 1);
	struct envelope e;

	if (m == NULL) {	/* it is on disk: the next start finds it */
		log_say(LOG_TROUBLE, &b->id, F_TEXT("what", "no memory for a bounce; it waits on disk for a restart"));
		return;
	}
	BUG_ON(envelope_parse(buf_slice(&b->own), &e) != RC_OK);
	m->where = where;
	m->size = buf_len(&b->report);
	m->flags = MESSAGE_BOUNCE;
	recent_keep(&q->recents, m, buf_slice(&b->own), buf_slice(&b->report));
	queue_enter(q, m, &e);
}

static void
on_durable(void *arg, enum rc rc, struct store_where where)
{
	struct bounce *b = arg;
	struct queue *q = b->queue;
	struct message *m = b->message;

	if (rc != RC_OK) {
		give_up_for_now(b);
		return;
	}
	log_failures(b);
	if (!b->silent)
		enter_report(b, where);
	if (b->delays) {
		late_told(&q->schedule, m);
		bounce_free(b);
		return;
	}
	for (size_t i = 0; i < b->n; i++) {
		b->failures[i].rcpt->due.state = RCPT_NEW;
		queue_rcpt_done(q, b->failures[i].rcpt);
	}
	for (size_t i = 0; i < b->n; i++)
		q->n_bounced += b->failures[i].f.news == BOUNCE_FAILED;
	if (m->n_open == 0 && (m->flags & MESSAGE_GONE) == 0) {
		store_drop(q->store, message_id(m), m->where, NULL, NULL);
		queue_leave(q, m, !b->some_failed && !b->silent ? "delivered" : b->silent ? "undeliverable" : "returned");
	}
	bounce_free(b);
}

/* Is there still anybody who waits, and somebody to be told? */
static bool
is_worth_telling(const struct bounce *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->failures[i].told && b->failures[i].rcpt->due.state != RCPT_DONE)
			return !b->silent && (b->message->flags & MESSAGE_GONE) == 0;
	return false;
}

static enum store_change_kind
change_kind(enum bounce_news news)
{
	switch (news) {
	case BOUNCE_FAILED:
		return STORE_CHANGE_BOUNCED;
	case BOUNCE_DELIVERED:
	case BOUNCE_RELAYED:
		return STORE_CHANGE_DONE;
	case BOUNCE_DELAYED:
		break;
	}
	return STORE_CHANGE_NOTICED;
}

static void
bounce_commit(struct bounce *b)
{
	struct store_change *changes = calloc(b->n, sizeof *changes);
	struct slice content = buf_slice(&b->report);
	struct store_mail mail = { b->id, 1, buf_slice(&b->own), &content, 1 };

	if (b->delays && !is_worth_telling(b)) {
		free(changes);
		late_told(&b->queue->schedule, b->message);
		bounce_free(b);
		return;
	}
	if (changes == NULL || (b->message->flags & MESSAGE_GONE) != 0) {
		free(changes);
		give_up_for_now(b);
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		changes[i] = (struct store_change){ .kind = change_kind(b->failures[i].f.news), .id = message_id(b->message),
		    .where = b->message->where, .rcpt = b->failures[i].rcpt->due.index };
	b->step = COMMITTING;
	store_commit(b->queue->store, b->silent ? NULL : &mail, changes, b->n, on_durable, b);
	free(changes);
}

/* --- the report --- */

static struct slice
our_name(const struct queue *q)
{
	const char *name = queue_conf(q)->global.hostname;

	return slice_str(*name == '\0' ? "localhost" : name);
}

/* RET=FULL (RFC 3461 6.2): of what failed, when it is not too large. A report must be able to go anywhere, so what is not 7-bit
 * is encoded, unless its way ends in a mailbox here.
 * REQUIRETLS (RFC 8689 5): never more than the header. That tells as much as the message, and there is no TLS for the way back
 * yet: so a report that leaves over the network has nothing of it. */
static enum dsn_return
returned(const struct bounce *b)
{
	uint32_t flags = b->parsed.flags;
	bool here = b->route.kind == CARRIER_LOCAL;

	if ((flags & ENVELOPE_REQUIRETLS) != 0)
		return here ? DSN_HEADER : DSN_NOTHING;
	if (!b->some_failed || (flags & ENVELOPE_RET_FULL) == 0 || b->message->size > queue_conf(b->queue)->queue.bounce_full_max)
		return DSN_HEADER;
	/* What is 7-bit but for our own trace field is none: an address in UTF-8 stands there (RFC 6533 4.5). */
	if ((flags & (ENVELOPE_8BITMIME | ENVELOPE_BINARYMIME | ENVELOPE_SMTPUTF8)) == 0)
		return DSN_WHOLE;
	return here && (flags & ENVELOPE_BINARYMIME) == 0 ? DSN_WHOLE_8BIT : DSN_WHOLE_ENCODED;
}

/* The report's own envelope, with the route that the router gave. */
static bool
put_envelope(struct bounce *b)
{
	char about[QUEUE_ID_LEN], own[QUEUE_ID_LEN];
	struct buf message_id_text = BUF_INIT(512);
	/* RFC 6710 4.6: as urgent as what it is about. */
	struct envelope e = { .flags = ENVELOPE_BOUNCE, .received_at = queue_wall(), .priority = b->parsed.priority };
	struct envelope_rcpt r = { .address = buf_slice(&b->to), .transport = b->route.transport,
	    .nexthop = b->route.nexthop, .generation = b->route.generation };
	bool ok;

	queue_id_format(message_id(b->message), about);
	queue_id_format(b->id, own);
	(void)buf_printf(&message_id_text, "<%.*s@", (int)sizeof own, own);
	(void)buf_put_slice(&message_id_text, our_name(b->queue));
	(void)buf_put_byte(&message_id_text, '>');
	if (b->twice)
		e.flags |= ENVELOPE_DOUBLE;
	e.flags |= b->parsed.flags & ENVELOPE_REQUIRETLS;	/* RFC 8689 5 */
	if (returned(b) == DSN_WHOLE_8BIT)
		e.flags |= ENVELOPE_8BITMIME;
	if (!slice_is_ascii(buf_slice(&b->to)))
		e.flags |= ENVELOPE_SMTPUTF8;	/* its To field is not ASCII either */
	e.cause = slice_of(about, sizeof about);
	e.message_id = buf_slice(&message_id_text);
	ok = envelope_put(&b->own, &e) && envelope_put_rcpt(&b->own, &r);
	buf_free(&message_id_text);
	return ok;
}

/* What the schedule gave up has its last reply, if there was one, in words only: they are all that survives a restart. */
static void
take_reply(struct dsn_rcpt *r)
{
	struct reason_reply reply;

	if (r->code != 0 || r->relay.n > 0 || !reason_reply(r->text, &reply))
		return;
	r->code = reply.code;
	r->enhanced = reply.enhanced;
	r->text = reply.text;
	r->relay = reply.relay;
	r->host = reply.host;
}

/* Seconds since 1970. What has its time in mode R is returned then (RFC 2852 4.1.3), and not tried until it expires. */
static int64_t
retry_until(const struct bounce *b)
{
	const struct schedule *s = &b->queue->schedule;
	uint64_t age = schedule_age(s, b->message), expire = s->limits.backoff.expire;
	int64_t expires = queue_wall() / 1000000 + (int64_t)((expire > age ? expire - age : 0) / 1000);
	int64_t by = b->parsed.deliver_by / 1000000;

	return by != 0 && (b->parsed.flags & ENVELOPE_BY_NOTIFY) == 0 && by < expires ? by : expires;
}

static bool
put_report(struct bounce *b, struct slice original)
{
	static const enum dsn_action actions[] = { [BOUNCE_FAILED] = DSN_FAILED, [BOUNCE_DELIVERED] = DSN_DELIVERED,
		[BOUNCE_RELAYED] = DSN_RELAYED, [BOUNCE_DELAYED] = DSN_DELAYED };
	struct queue *q = b->queue;
	struct dsn_rcpt *rcpts = calloc(b->n, sizeof *rcpts);
	struct dsn d = {
		.hostname = our_name(q), .to = buf_slice(&b->to), .sender = b->parsed.sender, .id = b->id,
		.about = message_id(b->message), .now = queue_wall() / 1000000, .arrived = b->parsed.received_at / 1000000,
		.random = random_next(&q->schedule.random), .twice = b->twice, .rcpts = rcpts, .n_rcpts = b->n,
		.original = original, .original_whole = original.n >= b->message->size, .returns = returned(b),
		.original_global = (b->parsed.flags & ENVELOPE_SMTPUTF8) != 0,
		.header_max = (size_t)queue_conf(q)->queue.bounce_header_max, .envid = b->parsed.envid,
		.deliver_by = b->parsed.deliver_by / 1000000, .hold_request = b->parsed.hold_request,
		.retry_until = b->delays ? retry_until(b) : 0,
	};
	size_t n = 0;
	bool ok;

	if (rcpts == NULL)
		return false;
	for (size_t i = 0; i < b->n; i++) {
		const struct failure *f = &b->failures[i];

		if (!f->told || (b->delays && f->rcpt->due.state == RCPT_DONE))
			continue;
		/* The recipient as it was when we accepted it (RFC 3464 2.3.2): where it went since is not the sender's
		 * affair. */
		rcpts[n++] = (struct dsn_rcpt){ .address = f->row.original.n > 0 ? f->row.original : f->row.address,
		    .enhanced = f->f.enhanced, .text = f->f.text, .relay = f->f.relay, .host = f->f.host, .code = f->f.code,
		    .expired = f->f.expired, .late = f->f.late, .orcpt = f->row.orcpt, .action = actions[f->f.news] };
		take_reply(&rcpts[n - 1]);
	}
	d.n_rcpts = n;
	ok = dsn_put(&b->report, &d);
	free(rcpts);
	return ok;
}

static void
on_header(void *arg, enum rc rc, struct slice bytes)
{
	struct bounce *b = arg;

	/* A damaged message can still be reported, without its header. */
	if (rc != RC_OK && rc != RC_CORRUPT && rc != RC_NOTFOUND) {
		give_up_for_now(b);
		return;
	}
	if (!put_report(b, rc == RC_OK ? bytes : S("")) || !put_envelope(b))
		give_up_for_now(b);
	else
		bounce_commit(b);
}

static void
read_header(struct bounce *b)
{
	struct message *m = b->message;
	size_t max = returned(b) >= DSN_WHOLE ? (size_t)m->size : (size_t)queue_conf(b->queue)->queue.bounce_header_max;
	struct slice envelope, content;

	b->step = READING_HEADER;
	if (m->size == 0)
		on_header(b, RC_OK, S(""));
	else if (recent_get(m, &envelope, &content) && content.n == m->size)
		on_header(b, RC_OK, content);
	else
		store_read(b->queue->store, message_id(m), m->where, 0, m->size < max ? (size_t)m->size : max, on_header, b);
}

/* --- its route --- */

static void ask(struct bounce *b);

/* Nobody is told. The marks are written all the same. */
static void
drop(struct bounce *b, const char *why)
{
	struct msgid id = message_id(b->message);

	log_say(LOG_TROUBLE, &id, F_TEXT("what", "a bounce is dropped"), F_TEXT("error", why));
	b->silent = true;
	bounce_commit(b);
}

/* The router knows who reads it: a local user, or what the option says. */
static void
address_postmaster(struct bounce *b)
{
	b->twice = true;
	buf_clear(&b->to);
	(void)buf_put_str(&b->to, "postmaster@");
	(void)buf_put_slice(&b->to, our_name(b->queue));
}

/* Was it the postmaster himself who could not be reached? When his address is elsewhere, that host might take each report and
 * send it back to us, be refused as a loop, and be told of that, for ever: each report would be a new message without hops. */
static bool
failed_at_postmaster(const struct bounce *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (!slice_caseeq(b->failures[i].row.address, buf_slice(&b->to)))
			return false;
	return true;
}

static void
on_verdict(void *arg, const struct r_verdict *v)
{
	struct bounce *b = arg;
	struct schedule_route route;

	if (v == NULL || v->action == VERDICT_DEFER || (v->action == VERDICT_ACCEPT && !routing_route(b->queue, v, &route))) {
		b->step = WANTS_ROUTE;
		return;
	}
	if (v->action == VERDICT_REJECT) {	/* the sender does not exist here, or may not be reached */
		if (b->twice || !b->some_failed) {
			drop(b, b->twice ? "the postmaster's address is refused" : "the sender's address is refused");
			return;
		}
		address_postmaster(b);
		b->step = WANTS_ROUTE;
		return;
	}
	b->route = route;
	if (v->rcpt.n > 0) {	/* it goes by another address */
		buf_clear(&b->to);
		(void)buf_put_slice(&b->to, v->rcpt);
	}
	if (b->twice && failed_at_postmaster(b)) {
		drop(b, "the postmaster could not be told either");
		return;
	}
	buf_clear(&b->names);
	(void)buf_put_slice(&b->names, route.transport);
	(void)buf_put_slice(&b->names, route.nexthop);
	b->route.transport = slice_first(buf_slice(&b->names), route.transport.n);
	b->route.nexthop = slice_from(buf_slice(&b->names), route.transport.n);
	read_header(b);
}

static void
ask(struct bounce *b)
{
	b->step = ROUTING;
	if (routing_ask(b->queue, S(""), buf_slice(&b->to), on_verdict, b) != RC_OK)
		b->step = WANTS_ROUTE;
}

void
bounces_work(struct queue *q)
{
	for (struct bounce *b = q->bounces; b != NULL; b = b->next)
		if (b->step == WANTS_ROUTE)
			ask(b);
}

/* --- the envelope --- */

static bool
find_rows(struct bounce *b)
{
	struct slice rest = b->parsed.rcpts;
	uint32_t index = 0;

	/* Mostly they come in order, and one pass finds them all. */
	for (size_t i = 0; i < b->n; i++) {
		bool found = false;

		if (b->failures[i].rcpt->due.index < index) {
			rest = b->parsed.rcpts;
			index = 0;
		}
		while (!found && envelope_rcpt_next(&rest, &b->failures[i].row))
			found = index++ == b->failures[i].rcpt->due.index;
		if (!found)
			return false;
	}
	return true;
}

/* RFC 3461 4.1: without NOTIFY it is our custom (and RFC 2852 4.1.3 asks for it). A stranger's sender may be forged: he hears of
 * a delay only when the message says by when it is to be delivered. */
static bool
is_told_of_delay(const struct bounce *b, const struct failure *f)
{
	return b->parsed.sender.n > 0 && (f->f.late || (b->parsed.flags & ENVELOPE_TRUSTED) != 0) &&
	    (f->row.notify == 0 || (f->row.notify & NOTIFY_DELAY) != 0);
}

/* Of what is no failure a sender hears so often an hour and not more. */
static bool
may_report(struct bounce *b)
{
	struct queue *q = b->queue;

	return b->n > 0 && (b->failures[0].f.news == BOUNCE_FAILED ||
	    report_rate_take(&q->report_rate, loop_now(q->room->loop), b->parsed.sender,
	    queue_conf(q)->queue.reports_per_sender));
}

/* Who is told of, by what was asked for: RFC 3461 5.2. For a message from <> it is the postmaster who hears of failures. */
static void
choose_told(struct bounce *b)
{
	bool report_allowed = may_report(b);

	b->silent = true;
	for (size_t i = 0; i < b->n; i++) {
		struct failure *f = &b->failures[i];

		if (f->f.news == BOUNCE_DELAYED)
			f->told = is_told_of_delay(b, f);
		else if (f->f.news != BOUNCE_FAILED)
			f->told = b->parsed.sender.n > 0 && (b->parsed.flags & ENVELOPE_TRUSTED) != 0;
		else
			f->told = f->row.notify == 0 || (f->row.notify & NOTIFY_FAILURE) != 0;
		if (f->told && f->f.news != BOUNCE_FAILED)
			f->told = report_allowed;
		b->some_failed = b->some_failed || (f->told && f->f.news == BOUNCE_FAILED);
		b->silent = b->silent && !f->told;
	}
}

static void
with_envelope(struct bounce *b)
{
	if (envelope_parse(buf_slice(&b->envelope), &b->parsed) != RC_OK || !find_rows(b) ||
	    own_ids_next(&b->queue->own_ids, &b->queue->ids, &b->id) != RC_OK) {
		give_up_for_now(b);
		return;
	}
	choose_told(b);
	if (b->silent) {
		bounce_commit(b);
		return;
	}
	if ((b->parsed.flags & ENVELOPE_DOUBLE) != 0) {
		drop(b, "the postmaster could not be told either");
		return;
	}
	if (b->parsed.sender.n == 0)
		address_postmaster(b);
	else
		(void)buf_put_slice(&b->to, b->parsed.sender);
	b->next = b->queue->bounces;
	b->queue->bounces = b;
	ask(b);
}

static void
on_envelope(void *arg, enum rc rc, struct slice bytes)
{
	struct bounce *b = arg;

	if (rc != RC_OK || !buf_put_slice(&b->envelope, bytes))
		give_up_for_now(b);
	else
		with_envelope(b);
}

void
bounce_go(struct bounce **at)
{
	struct bounce *b = *at;
	struct slice envelope, content;

	*at = NULL;
	if (b == NULL)
		return;
	if (buf_len(&b->envelope) == 0 && recent_get(b->message, &envelope, &content))
		(void)buf_put_slice(&b->envelope, envelope);
	if (buf_len(&b->envelope) > 0) {
		with_envelope(b);
		return;
	}
	b->step = READING_ENVELOPE;
	store_read_envelope(b->queue->store, message_id(b->message), b->message->where, on_envelope, b);
}

/* --- what the schedule gives up --- */

static void
swept(struct queue *q, struct bounce **b, struct rcpt *r, enum sweep how)
{
	struct destination *d = r->destination;
	struct slice why = slice_str(d->why == NULL ? "the destination cannot be reached" : d->why);
	struct slice said = reason_of(rcpt_message(r), r->due.index);

	if (*b != NULL && (*b)->message != rcpt_message(r))
		bounce_go(b);
	/* The words of the last attempt for this recipient are better than those for its destination. */
	bounce_add(q, b, S(""), r, &(struct bounce_failure){ .expired = how == SWEEP_EXPIRE, .enhanced = slice_str(d->enhanced),
	    .text = how == SWEEP_EXPIRE && said.n > 0 ? said : why });
}

bool
bounces_sweep(struct queue *q, unsigned *budget)
{
	struct bounce *b = NULL;
	struct rcpt *r = NULL;
	bool more = false;
	enum sweep how;

	while (q->n_bounces < BOUNCES_MAX && (r = schedule_next_swept(&q->schedule, budget, &how, &more)) != NULL)
		swept(q, &b, r, how);
	bounce_go(&b);
	return !more && r == NULL && q->n_bounces < BOUNCES_MAX;
}

/* --- what has waited too long for its sender --- */

/* Why this recipient waits, and with which status. */
static struct bounce_failure
waiting_for(struct rcpt *r, struct slice otherwise)
{
	const struct destination *d = r->destination;
	struct slice said = reason_of(rcpt_message(r), r->due.index);

	if (said.n > 0)
		return (struct bounce_failure){ .text = said };
	if (d != NULL && d->why != NULL)
		return (struct bounce_failure){ .text = slice_str(d->why), .enhanced = slice_str(d->enhanced) };
	return (struct bounce_failure){ .text = otherwise };
}

static bool
is_in_a_list(const struct rcpt *r)
{
	return r->due.state == RCPT_WAITING || r->due.state == RCPT_READY || r->due.state == RCPT_STALE;
}

/* RFC 2852 4.1.3: no further attempts. One that is under way has its result first, which is the last (result.c). */
static void
return_late(struct queue *q, struct message *m)
{
	struct bounce *b = NULL;

	late_again(&q->schedule, m, LATE_BUSY_S);
	message_hold(m);
	for (uint32_t i = 0; i < m->n_rcpts; i++) {
		struct rcpt *r = &m->rcpts[i];
		struct bounce_failure f;

		if (!is_in_a_list(r))
			continue;
		f = waiting_for(r, S("delivery time expired"));
		f.expired = f.late = true;
		schedule_cancel(&q->schedule, r);
		bounce_add(q, &b, S(""), r, &f);
	}
	bounce_go(&b);
	message_release(m);
}

/* One report for as many recipients as it takes; those of a larger message get several. */
static void
tell_delay(struct queue *q, struct message *m)
{
	struct bounce *b = NULL;
	bool late = late_is_over(&q->schedule, m, false);

	message_hold(m);
	for (uint32_t i = 0; i < m->n_rcpts; i++) {
		struct rcpt *r = &m->rcpts[i];
		struct bounce_failure f;

		if (r->due.state == RCPT_DONE || r->due.state == RCPT_FAILING)
			continue;
		if (b == NULL && (b = bounce_new(q, m, S(""))) == NULL)
			break;
		b->delays = true;
		f = waiting_for(r, S("it has not been its turn yet"));
		f.news = BOUNCE_DELAYED;
		f.late = late;
		bounce_add(q, &b, S(""), r, &f);
		if (b->n == capacity(m))
			bounce_go(&b);
	}
	if (b == NULL && m->late != NULL && link_alone(&m->late->due.link))
		late_again(&q->schedule, m, LATE_RETRY_S);	/* no memory, or all is about to be over */
	bounce_go(&b);
	message_release(m);
}

/* A site that is cut off must not answer each of its messages at once. */
static bool
may_tell_now(struct queue *q)
{
	uint64_t minute = loop_now(q->room->loop) / 60000;

	if (q->notice_minute != minute) {
		q->notice_minute = minute;
		q->n_notices = 0;
	}
	return q->n_notices++ < queue_conf(q)->queue.delay_notices_max;
}

bool
bounces_late(struct queue *q, unsigned *budget)
{
	struct message *m = NULL;
	enum late_what what;

	while (q->n_bounces < BOUNCES_MAX && (m = late_next(&q->schedule, budget, &what)) != NULL)
		if (what == LATE_RETURN)
			return_late(q, m);
		else if (may_tell_now(q))
			tell_delay(q, m);
		else
			late_again(&q->schedule, m, LATE_RETRY_S);
	return *budget > 0 && q->n_bounces < BOUNCES_MAX;
}
