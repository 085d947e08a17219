/* queue/admin.c -- what operators ask the queue: status, list, show, cat, flush, remove.
 *
 * Nothing is answered in one go: a page has ADMIN_PAGE_MAX rows at most, the cursor is the key of the last message (or the
 * offset in its content), and an envelope that has to be read comes from the store's reader threads. A listing of a
 * million messages costs a little memory and never a turn of the loop. */
#include "queue/queue.h"

#include "common/admin.h"
#include "common/json.h"
#include "common/wire/date.h"
#include "common/wire/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LISTINGS_MAX = 16,		/* control holds one a client and has few clients */
	ROW_BYTES_MAX = 96 * 1024,	/* of one row: what follows it must fit the frame too */
	ROW_RCPTS_BYTES = 64 * 1024,	/* of recipients in one row; the rest is counted */
	CAT_CHUNK = 64 * 1024,
	CAT_PAGE = 1024 * 1024,
	STEPS_A_TURN = 64,		/* messages looked at before others get their turn */
};

/* A request under way. */
struct listing {
	struct listing *next;
	struct queue *queue;
	struct chore more;
	uint32_t handle;		/* of control's request */
	enum admin_verb verb;
	uint64_t at;			/* key of the last message that was dealt with, or offset in the content */
	uint64_t end;			/* cat: where the page ends */
	uint32_t left;			/* rows, or messages, of this page */
	struct message *message;	/* held: being read or shown */
	bool reading;
	bool waiting;			/* until the whole queue is loaded */
	struct a_request request;	/* its arg borrows from here: */
	uint8_t arg[];
};

static void go_on(struct listing *l);

/* --- answers --- */

static void
end_page(struct listing *l, enum rc status, const char *text, uint64_t cursor)
{
	struct queue *q = l->queue;
	struct listing **at = &q->listings;
	struct a_end m = { (uint8_t)status, slice_str(text), cursor != 0, cursor };

	if (q->control != NULL)
		(void)a_end_send(q->control, l->handle, &m);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	q->n_listings--;
	chore_cancel(&l->more);
	if (l->reading)
		store_read_cancel(q->store, l);
	if (l->message != NULL)
		message_release(l->message);
	free(l);
}

static void
send_row(struct listing *l, enum admin_row kind, struct slice row)
{
	struct a_row m = { (uint8_t)kind, row };

	if (l->queue->control != NULL)
		(void)a_row_send(l->queue->control, l->handle, &m);
}

/* --- one message as JSON --- */

static void
key_time(struct json *j, const char *key, int64_t us)
{
	char text[DATE_ISO8601_MAX];
	size_t n = date_iso8601(text, us, 0);

	json_key_str(j, key, slice_of(text, n));
}

static int64_t
wall_of_tick(const struct queue *q, uint32_t tick)
{
	return queue_wall() + ((int64_t)tick - (int64_t)q->schedule.now) * 1000000;
}

/* Ready mail for a destination that is down waits for it. */
static bool
waits_for_destination(const struct rcpt *r)
{
	return r->due.state == RCPT_READY && r->destination != NULL && r->destination->down;
}

static const char *
rcpt_state_name(const struct rcpt *r)
{
	switch ((enum rcpt_state)r->due.state) {
	case RCPT_WAITING:
		return "deferred";
	case RCPT_BUSY:
		return "active";
	case RCPT_FAILING:
		return "bouncing";
	case RCPT_DONE:
		return "done";
	case RCPT_NEW:
	case RCPT_READY:
	case RCPT_STALE:
	case RCPT_ROUTING:
		break;
	}
	return waits_for_destination(r) ? "deferred" : "ready";
}

/* The liveliest of its recipients. */
static const char *
message_state_name(const struct message *m)
{
	const char *state = "deferred";

	for (uint32_t i = 0; i < m->n_rcpts; i++) {
		const char *one = rcpt_state_name(&m->rcpts[i]);

		if (strcmp(one, "active") == 0)
			return one;
		if (strcmp(one, "ready") == 0 || strcmp(one, "bouncing") == 0)
			state = one;
	}
	return state;
}

static void
put_rcpt(struct json *j, const struct queue *q, const struct message *m, uint32_t i, const struct envelope_rcpt *row)
{
	const struct rcpt *r = &m->rcpts[i];
	const struct destination *d = r->destination;
	struct slice why = reason_of(m, i);
	bool down = waits_for_destination(r);

	json_object(j);
	json_key_str(j, "to", row->address);
	if (row->original.n > 0)
		json_key_str(j, "orig_to", row->original);
	json_key_text(j, "state", rcpt_state_name(r));
	if (down && d->why != NULL)
		json_key_text(j, "reason", d->why);
	else if (why.n > 0)
		json_key_str(j, "reason", why);
	if (r->due.state == RCPT_WAITING)
		key_time(j, "next", wall_of_tick(q, r->due.at));
	else if (down)
		key_time(j, "next", wall_of_tick(q, d->due.at));
	if (d != NULL)
		json_key_str(j, "destination", destination_name(d));
	json_end(j);
}

static void
put_rcpts(struct json *j, const struct queue *q, const struct message *m, const struct envelope *e)
{
	struct slice rest = e->rcpts;
	struct envelope_rcpt row;
	size_t start = buf_len(j->to);
	uint32_t i = 0, unshown = 0;

	json_key_array(j, "rcpts");
	for (; i < m->n_rcpts && envelope_rcpt_next(&rest, &row); i++) {
		if (buf_len(j->to) - start < ROW_RCPTS_BYTES)
			put_rcpt(j, q, m, i, &row);
		else
			unshown++;
	}
	json_end(j);
	if (unshown > 0)
		json_key_u64(j, "rcpts_not_shown", unshown);
}

static struct slice
first_destination(const struct message *m)
{
	for (uint32_t i = 0; i < m->n_rcpts; i++)
		if (m->rcpts[i].due.state != RCPT_DONE && m->rcpts[i].destination != NULL)
			return destination_name(m->rcpts[i].destination);
	return S("");
}

static void
put_origin(struct json *j, const struct envelope *e)
{
	char ip[IP_TEXT_MAX];
	size_t n = ip_format(e->client, ip);

	if (e->client.family != 0)
		json_key_str(j, "client", slice_of(ip, n));
	json_key_str(j, "client_name", e->client_name);
	json_key_str(j, "helo", e->helo);
	json_key_str(j, "proto", e->proto);
	if (e->user.n > 0)
		json_key_str(j, "user", e->user);
	json_key_str(j, "message_id", e->message_id);
	if (e->cause.n > 0)
		json_key_str(j, "cause", e->cause);
}

static void
show(struct listing *l, const struct message *m, const struct envelope *e)
{
	struct buf b = BUF_INIT(ROW_BYTES_MAX);
	char id[QUEUE_ID_LEN];
	struct json j;

	queue_id_format(message_id(m), id);
	json_init(&j, &b);
	json_object(&j);
	json_key_str(&j, "id", slice_of(id, sizeof id));
	json_key_u64(&j, "size", m->size);
	key_time(&j, "arrived", e->received_at);
	json_key_text(&j, "state", (m->flags & MESSAGE_DAMAGED) != 0 ? "damaged" : message_state_name(m));
	json_key_u64(&j, "n_rcpts", m->n_open);
	json_key_str(&j, "sender", e->sender);
	json_key_str(&j, "destination", first_destination(m));
	if (l->verb == ADMIN_QUEUE_SHOW)
		put_origin(&j, e);
	put_rcpts(&j, l->queue, m, e);
	json_end(&j);
	if (json_ok(&j))
		send_row(l, ADMIN_ROW_JSON, buf_slice(&b));
	buf_free(&b);
}

/* --- reading envelopes --- */

/* The message of the listing is done with. */
static void
let_go(struct listing *l)
{
	struct message *m = l->message;

	l->message = NULL;
	message_release(m);
}

static void
with_envelope(struct listing *l, struct slice bytes)
{
	struct envelope e;

	if ((l->message->flags & MESSAGE_GONE) == 0 && envelope_parse(bytes, &e) == RC_OK)
		show(l, l->message, &e);
	let_go(l);
}

static void
on_envelope(void *arg, enum rc rc, struct slice bytes)
{
	struct listing *l = arg;

	l->reading = false;
	if (rc == RC_OK)
		with_envelope(l, bytes);
	else
		let_go(l);	/* gone meanwhile, or damaged, which the store has told */
	go_on(l);
}

/* True: shown at once. */
static bool
show_message(struct listing *l, struct message *m)
{
	struct slice envelope, content;

	message_hold(m);
	l->message = m;
	if (recent_get(m, &envelope, &content)) {
		with_envelope(l, envelope);
		return true;
	}
	l->reading = true;
	store_read_envelope(l->queue->store, message_id(m), m->where, on_envelope, l);
	return false;
}

/* --- the verbs that take steps --- */

/* A page of long rows ends early: what does not fit the line would be lost. */
static bool
has_room(const struct listing *l)
{
	return l->queue->control == NULL || peer_room(l->queue->control) > 2 * ROW_BYTES_MAX;
}

static void
list_on(struct listing *l)
{
	for (unsigned steps = 0; steps < STEPS_A_TURN; steps++) {
		struct message *m = messages_after(&l->queue->messages, l->at);

		if (m == NULL) {
			end_page(l, RC_OK, "", 0);
			return;
		}
		if (l->left == 0 || (l->at != 0 && !has_room(l))) {
			end_page(l, RC_OK, "", l->at);
			return;
		}
		l->left--;
		l->at = m->key;
		if (!show_message(l, m))
			return;
	}
	chore_queue(&l->more);
}

static void
on_content(void *arg, enum rc rc, struct slice bytes)
{
	struct listing *l = arg;

	l->reading = false;
	if (rc != RC_OK || bytes.n == 0) {
		end_page(l, rc == RC_OK ? RC_CORRUPT : rc, "the content of the message cannot be read", 0);
		return;
	}
	send_row(l, ADMIN_ROW_RAW, bytes);
	l->at += bytes.n;
	go_on(l);
}

static void
cat_on(struct listing *l)
{
	struct message *m = l->message;
	uint64_t left = m->size - l->at;

	if (left == 0 || (m->flags & MESSAGE_GONE) != 0) {
		end_page(l, left == 0 ? RC_OK : RC_NOTFOUND, left == 0 ? "" : "the message has left the queue", 0);
		return;
	}
	if (l->at >= l->end) {
		end_page(l, RC_OK, "", l->at);
		return;
	}
	l->reading = true;
	store_read(l->queue->store, message_id(m), m->where, l->at, left < CAT_CHUNK ? (size_t)left : CAT_CHUNK, on_content, l);
}

/* For good, and nobody is told. Recipients that somebody is busy with are let go of when that comes back. */
static void
remove_message(struct queue *q, struct message *m)
{
	for (uint32_t i = 0; i < m->n_rcpts; i++) {
		struct rcpt *r = &m->rcpts[i];

		switch ((enum rcpt_state)r->due.state) {
		case RCPT_NEW:
		case RCPT_WAITING:
		case RCPT_READY:
		case RCPT_STALE:
			schedule_cancel(&q->schedule, r);
			queue_rcpt_done(q, r);
			break;
		case RCPT_ROUTING:
		case RCPT_BUSY:
		case RCPT_FAILING:
		case RCPT_DONE:
			break;
		}
	}
	store_drop(q->store, message_id(m), m->where, NULL, NULL);
	queue_leave(q, m, "operator");
}

static void
remove_on(struct listing *l)
{
	for (unsigned steps = 0; steps < STEPS_A_TURN; steps++) {
		struct message *m = messages_after(&l->queue->messages, l->at);

		if (m == NULL) {
			end_page(l, RC_OK, "", 0);
			return;
		}
		l->at = m->key;
		remove_message(l->queue, m);
	}
	end_page(l, RC_OK, "", l->at);
}

static void
go_on(struct listing *l)
{
	switch ((int)l->verb) {
	case ADMIN_QUEUE_LIST:
		list_on(l);
		break;
	case ADMIN_QUEUE_CAT:
		cat_on(l);
		break;
	case ADMIN_QUEUE_REMOVE:
		remove_on(l);
		break;
	default:		/* show: its one row is out */
		end_page(l, RC_OK, "", 0);
		break;
	}
}

static void
on_more(struct chore *c, void *ctx)
{
	(void)c;
	go_on(ctx);
}

/* --- requests --- */

/* The message of this printed id, or NULL after the request has been ended with what is wrong. */
static struct message *
find_message(struct listing *l, struct slice id)
{
	struct msgid parsed;
	struct message *m;

	if (queue_id_parse(id, &parsed) != RC_OK) {
		end_page(l, RC_SYNTAX, "this is no queue id: it has 12 letters and digits, as posternctl queue list shows it", 0);
		return NULL;
	}
	m = messages_find(&l->queue->messages, message_key(parsed));
	if (m == NULL)
		end_page(l, RC_NOTFOUND, "there is no message with this id in the queue", 0);
	return m;
}

static void
queue_status(struct listing *l)
{
	static const char *const states[] = { [STORE_OK] = "ok", [STORE_FULL] = "full", [STORE_FAILED] = "failed" };
	const struct queue *q = l->queue;
	struct buf b = BUF_INIT(4096);
	struct json j;

	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "spool", states[store_state(q->store)]);
	json_key_bool(&j, "loading", q->loading);
	json_key_u64(&j, "spool_free", store_free_bytes(q->store));
	json_key_u64(&j, "messages", messages_count(&q->messages));
	json_key_u64(&j, "recipients", q->messages.n_rcpts);
	json_key_u64(&j, "bytes", q->messages.bytes);
	json_key_u64(&j, "ready", q->schedule.n_ready - q->schedule.n_held);
	json_key_u64(&j, "waiting", q->schedule.waiting.n + q->schedule.n_held);
	json_key_u64(&j, "active", q->schedule.n_busy);
	json_key_u64(&j, "sessions", q->schedule.n_sessions);
	json_key_u64(&j, "destinations", q->schedule.destinations.by_name.n);
	json_key_u64(&j, "receiving", q->n_drafts);
	json_key_u64(&j, "accepted", q->n_accepted);
	json_key_u64(&j, "delivered", q->n_delivered);
	json_key_u64(&j, "deferred", q->n_deferred);
	json_key_u64(&j, "bounced", q->n_bounced);
	json_end(&j);
	if (json_ok(&j))
		send_row(l, ADMIN_ROW_JSON, buf_slice(&b));
	buf_free(&b);
	end_page(l, RC_OK, "", 0);
}

/* As it was typed: a user's name keeps its case. Then in lower case, as domains stand there whatever case they came in (RFC 5321
 * 2.4). */
static struct destination *
find_nexthop(const struct queue *q, struct slice transport, struct slice nexthop)
{
	struct destination *d = destination_find(&q->schedule.destinations, transport, nexthop);
	struct buf lower = BUF_INIT(DESTINATION_NAME_MAX);

	if (d == NULL && domain_lower_put(&lower, nexthop))
		d = destination_find(&q->schedule.destinations, transport, buf_slice(&lower));
	buf_free(&lower);
	return d;
}

/* "smtp:example.org" as listings show it, or just the next hop. */
static struct destination *
find_destination(const struct queue *q, struct slice name)
{
	size_t colon = slice_find(name, ':');
	struct destination *d = NULL;

	if (colon < name.n)
		d = find_nexthop(q, slice_first(name, colon), slice_from(name, colon + 1));
	return d != NULL ? d : find_nexthop(q, S("smtp"), name);
}

static void
flush(struct listing *l, struct slice arg)
{
	struct queue *q = l->queue;
	struct destination *d = find_destination(q, arg);
	struct msgid id;
	struct message *m;

	if (arg.n == 0)
		schedule_flush_all(&q->schedule);
	else if (d != NULL)
		schedule_flush_destination(&q->schedule, d);
	else if (queue_id_parse(arg, &id) != RC_OK) {
		end_page(l, RC_NOTFOUND, "no mail waits for such a destination, and it is no queue id", 0);
		return;
	} else if ((m = find_message(l, arg)) != NULL)
		schedule_flush_message(&q->schedule, m);
	else
		return;
	queue_pump(q);
	end_page(l, RC_OK, "", 0);
}

static void
remove_asked(struct listing *l, struct slice arg)
{
	struct message *m;

	if (slice_eq(arg, S("--all"))) {
		remove_on(l);
		return;
	}
	m = find_message(l, arg);
	if (m == NULL)
		return;
	remove_message(l->queue, m);
	end_page(l, RC_OK, "", 0);
}

static void
begin(struct listing *l)
{
	const struct a_request *r = &l->request;
	struct message *m;

	switch ((int)l->verb) {
	case ADMIN_QUEUE_STATUS:
		queue_status(l);
		break;
	case ADMIN_QUEUE_LIST:
		l->left = r->limit == 0 || r->limit > ADMIN_PAGE_MAX ? ADMIN_PAGE_MAX : r->limit;
		list_on(l);
		break;
	case ADMIN_QUEUE_SHOW:
		m = find_message(l, r->arg);
		if (m != NULL && show_message(l, m))
			go_on(l);
		break;
	case ADMIN_QUEUE_CAT:
		m = find_message(l, r->arg);
		if (m == NULL)
			break;
		l->at = r->cursor < m->size ? r->cursor : m->size;
		l->end = l->at + CAT_PAGE;
		message_hold(m);
		l->message = m;
		cat_on(l);
		break;
	case ADMIN_QUEUE_FLUSH:
		flush(l, r->arg);
		break;
	default:
		remove_asked(l, r->arg);
		break;
	}
}

/* Half a queue must not look like a whole one. */
void
admin_loaded(struct queue *q)
{
	struct listing *l = q->listings;

	while (l != NULL) {
		if (!l->waiting) {
			l = l->next;
			continue;
		}
		l->waiting = false;
		begin(l);
		l = q->listings;	/* that may have ended it, and others */
	}
}

static const char *
on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct queue *q = ctx;
	struct a_request r;
	struct listing *l;

	(void)fd;
	if (!a_request_get(body, &r))
		return "malformed A_REQUEST";
	if (r.verb < ADMIN_QUEUE_STATUS || r.verb > ADMIN_QUEUE_REMOVE)
		return "a verb that is not the queue's";
	/* What changes mail is not done later than it was asked: whoever asked may have thought better of it. */
	if (q->loading && (r.verb == ADMIN_QUEUE_FLUSH || r.verb == ADMIN_QUEUE_REMOVE)) {
		(void)a_end_send(p, handle,
		    &(struct a_end){ RC_AGAIN, S("the queue is still being loaded; try again in a moment"), 0, 0 });
		return NULL;
	}
	l = q->recovered && (q->n_listings < LISTINGS_MAX || r.verb == ADMIN_QUEUE_STATUS) ? calloc(1, sizeof *l + r.arg.n) :
	    NULL;
	if (l == NULL) {
		(void)a_end_send(p, handle, &(struct a_end){ RC_AGAIN, S("the queue is busy; try again in a moment"), 0, 0 });
		return NULL;
	}
	*l = (struct listing){ .next = q->listings, .queue = q, .handle = handle, .verb = (enum admin_verb)r.verb, .at = r.cursor,
		.request = r };
	if (r.arg.n > 0)
		memcpy(l->arg, r.arg.p, r.arg.n);
	l->request.arg = slice_of(l->arg, r.arg.n);
	chore_setup(&l->more, q->room->loop, on_more, l);
	q->listings = l;
	q->n_listings++;
	l->waiting = q->loading && l->verb != ADMIN_QUEUE_STATUS;
	if (!l->waiting)
		begin(l);
	return NULL;
}

/* --- the line --- */

static void
forget_all(struct queue *q)
{
	q->control = NULL;
	while (q->listings != NULL)
		end_page(q->listings, RC_CLOSED, "", 0);
}

static void
control_closed(void *ctx, struct peer *p, const char *why)
{
	struct queue *q = ctx;

	room_log_drop(p, why);
	if (q->control == p)
		forget_all(q);
	peer_free(p);
}

static const struct peer_ops control_ops = { .on = { [A_REQUEST] = on_request }, .closed = control_closed };

void
control_line(struct queue *q, int fd)
{
	struct peer *old = q->control;

	if (old != NULL)
		forget_all(q);
	peer_free(old);
	q->control = peer_new(q->room->loop, fd, ROLE_QUEUE, ROLE_CONTROL, 0, &control_ops, q);
}
