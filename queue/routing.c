/* queue/routing.c -- asking the router, see routing.h. */
#include "queue/routing.h"

#include "queue/bounce.h"
#include "queue/handles.h"
#include "queue/result.h"

#include <stdlib.h>

enum {
	BATCH_MAX = 64,			/* recipients of one message that are routed together */
	BATCH_RETRY_MS = 5000,
};

/* --- questions --- */

struct question {
	struct handled named;		/* first */
	routing_fn *fn;
	void *arg;
};

void
routing_init(struct queue *q)
{
	handles_init(&q->questions);
}

enum rc
routing_ask(struct queue *q, struct slice from, struct slice to, routing_fn *fn, void *arg)
{
	struct question *question;

	if (q->router == NULL || !peer_alive(q->router) || q->questions.n >= ROUTES_MAX)
		return RC_AGAIN;
	question = calloc(1, sizeof *question);
	if (question == NULL)
		return RC_AGAIN;
	question->named.handle = ++q->last_question;
	question->fn = fn;
	question->arg = arg;
	if (r_route_send(q->router, question->named.handle, &(struct r_route){ from, to }) != RC_OK ||
	    !handles_add(&q->questions, &question->named)) {
		free(question);
		return RC_AGAIN;
	}
	return RC_OK;
}

bool
routing_route(const struct queue *q, const struct r_verdict *v, struct schedule_route *ret_route)
{
	*ret_route = (struct schedule_route){ .transport = v->transport, .nexthop = v->nexthop,
	    .generation = queue_conf(q)->generation };
	return v->nexthop.n > 0 && v->nexthop.n <= DESTINATION_NAME_MAX &&
	    queue_transport(q, v->transport, &ret_route->kind, &ret_route->window_max);
}

static const char *
on_verdict(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct queue *q = ctx;
	struct question *question;
	struct r_verdict v;

	(void)p, (void)fd;
	if (!r_verdict_get(body, &v) || v.action < VERDICT_ACCEPT || v.action > VERDICT_DEFER || v.enhanced.n > 16 ||
	    v.text.n > 1024 || !envelope_text_fits(v.rcpt) || !envelope_text_fits(v.transport) || !envelope_text_fits(v.nexthop))
		return "malformed R_VERDICT";	/* a report's envelope is made of it */
	question = handles_find(&q->questions, handle);
	if (question == NULL)
		return "R_VERDICT without a question";
	handles_remove(&q->questions, &question->named);
	question->fn(question->arg, &v);
	free(question);
	queue_pump(q);
	return NULL;
}

/* --- recipients of one message --- */

struct batch {
	struct queue *queue;
	struct message *message;	/* held */
	struct buf envelope;
	struct envelope parsed;
	struct bounce *bounce;		/* of those that the router refuses */
	size_t n, n_left;
	struct batch_item {
		struct batch *batch;
		struct rcpt *rcpt;
		struct envelope_rcpt row;
	} items[];
};

static void
batch_end(struct batch *b)
{
	bounce_go(&b->bounce);
	b->queue->n_batches--;
	message_release(b->message);
	buf_free(&b->envelope);
	free(b);
}

static void
answered(struct batch *b)
{
	if (--b->n_left == 0)
		batch_end(b);
}

/* Not answered: the question comes up again. */
static void
put_back(struct queue *q, struct rcpt *r, uint64_t wait_ms)
{
	r->due.state = RCPT_NEW;
	if ((rcpt_message(r)->flags & MESSAGE_GONE) != 0)
		queue_rcpt_done(q, r);
	else if (wait_ms > 0)
		schedule_wait(&q->schedule, r, wait_ms);
	else
		schedule_ready(&q->schedule, r);
}

static void
put_off(struct batch_item *item, const struct r_verdict *v)
{
	struct batch *b = item->batch;
	struct rcpt *r = item->rcpt;
	struct message *m = b->message;

	r->due.state = RCPT_NEW;
	if (schedule_expired(&b->queue->schedule, m)) {
		bounce_add(b->queue, &b->bounce, buf_slice(&b->envelope), r,
		    &(struct bounce_failure){ .expired = true, .enhanced = v->enhanced, .text = v->text });
		return;
	}
	result_defer(b->queue, r, &(struct result_deferral){ .envelope = &b->parsed, .row = &item->row,
	    .relay = S("none"), .enhanced = v->enhanced, .text = v->text });
}

static void
on_route(void *arg, const struct r_verdict *v)
{
	struct batch_item *item = arg;
	struct batch *b = item->batch;
	struct rcpt *r = item->rcpt;
	struct schedule_route route;

	/* NOLINTNEXTLINE(bugprone-branch-clone): the first and the last branch end alike, for opposite reasons */
	if (v == NULL || (b->message->flags & MESSAGE_GONE) != 0) {
		put_back(b->queue, r, 0);
	} else if (v->action == VERDICT_REJECT) {
		r->due.state = RCPT_NEW;
		bounce_add(b->queue, &b->bounce, buf_slice(&b->envelope), r,
		    &(struct bounce_failure){ .code = v->code, .enhanced = v->enhanced, .text = v->text });
	} else if (v->action == VERDICT_DEFER) {
		put_off(item, v);
	} else if (!routing_route(b->queue, v, &route) || schedule_route(&b->queue->schedule, r, &route) != RC_OK) {
		put_back(b->queue, r, BATCH_RETRY_MS);
	} else {
		put_back(b->queue, r, 0);
	}
	answered(b);
}

static void
ask_all(struct batch *b)
{
	struct slice rest = b->parsed.rcpts;
	struct envelope_rcpt row;
	uint32_t index = 0;

	b->n_left = b->n + 1;		/* one for this function itself */
	for (size_t i = 0; i < b->n;) {
		struct batch_item *item = &b->items[i];

		if (!envelope_rcpt_next(&rest, &row))
			BUG("a parsed envelope with fewer recipients than it said");
		if (index++ != item->rcpt->due.index)
			continue;
		item->row = row;
		i++;
		if (routing_ask(b->queue, b->parsed.sender, row.address, on_route, item) != RC_OK) {
			put_back(b->queue, item->rcpt, BATCH_RETRY_MS);
			b->n_left--;
		}
	}
	answered(b);
}

static void
with_envelope(struct batch *b)
{
	if (envelope_parse(buf_slice(&b->envelope), &b->parsed) == RC_OK && b->parsed.n_rcpts == b->message->n_rcpts) {
		ask_all(b);
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		put_back(b->queue, b->items[i].rcpt, BATCH_RETRY_MS);
	batch_end(b);
}

static void
on_envelope(void *arg, enum rc rc, struct slice bytes)
{
	struct batch *b = arg;

	if (rc == RC_IO)
		queue_read_failed(b->queue);
	if (rc != RC_OK || !buf_put_slice(&b->envelope, bytes))
		buf_clear(&b->envelope);	/* an empty one is malformed: all go back for a while */
	with_envelope(b);
}

static int
by_index(const void *a, const void *b)
{
	const struct batch_item *left = a, *right = b;

	return (int)left->rcpt->due.index - (int)right->rcpt->due.index;
}

static void
batch_start(struct queue *q, struct rcpt **rcpts, size_t n)
{
	struct message *m = rcpt_message(rcpts[0]);
	struct batch *b = calloc(1, sizeof *b + n * sizeof b->items[0]);
	struct slice envelope, content;

	if (b == NULL) {
		for (size_t i = 0; i < n; i++)
			put_back(q, rcpts[i], BATCH_RETRY_MS);
		return;
	}
	b->queue = q;
	b->message = m;
	b->n = n;
	for (size_t i = 0; i < n; i++)
		b->items[i] = (struct batch_item){ .batch = b, .rcpt = rcpts[i] };
	qsort(b->items, n, sizeof b->items[0], by_index);
	buf_init(&b->envelope, STORE_ENVELOPE_MAX);
	message_hold(m);
	q->n_batches++;
	if (recent_get(m, &envelope, &content) && buf_put_slice(&b->envelope, envelope))
		with_envelope(b);
	else
		store_read_envelope(q->store, message_id(m), m->where, on_envelope, b);
}

void
routing_work(struct queue *q)
{
	if (q->router == NULL || !peer_alive(q->router) || !queue_delivers(q))
		return;
	while (q->n_batches < ROUTES_MAX / BATCH_MAX && q->questions.n + BATCH_MAX * (q->n_batches + 1) <= ROUTES_MAX) {
		struct rcpt *rcpts[BATCH_MAX], *r = schedule_next_stale(&q->schedule, NULL);
		size_t n = 0;

		if (r == NULL)
			return;
		do
			rcpts[n++] = r;
		while (n < BATCH_MAX && (r = schedule_next_stale(&q->schedule, rcpt_message(rcpts[0]))) != NULL);
		batch_start(q, rcpts, n);
	}
}

/* --- the line --- */

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct queue *q = ctx;
	struct tree lost = q->questions;
	struct tree_node *n;

	room_log_drop(p, why);
	if (q->router == p)
		q->router = NULL;
	peer_free(p);
	handles_init(&q->questions);
	while ((n = tree_drain(&lost)) != NULL) {
		struct question *question = (struct question *)(void *)n;

		question->fn(question->arg, NULL);
		free(question);
	}
	queue_pump(q);
}

static const struct peer_ops line_ops = {
	.on = { [R_VERDICT] = on_verdict },
	.closed = line_closed,
};

void
router_line(struct queue *q, int fd)
{
	struct peer *old = q->router;

	if (old != NULL) {
		q->router = NULL;
		line_closed(q, old, NULL);
	}
	q->router = peer_new(q->room->loop, fd, ROLE_QUEUE, ROLE_ROUTER, 0, &line_ops, q);
	queue_pump(q);
}
