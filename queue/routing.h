/* queue/routing.h -- asking the router where mail goes: for recipients whose route is older than the configuration (or
 * than this process), and for bounces. At most ROUTES_MAX questions are under way. */
#ifndef POSTERN_QUEUE_ROUTING_H
#define POSTERN_QUEUE_ROUTING_H

#include "queue/queue.h"

enum { ROUTES_MAX = 1024 };

/* Once: the verdict (borrowed), or NULL when the router died before it answered. */
typedef void routing_fn(void *arg, const struct r_verdict *verdict);

/* RC_AGAIN: too many questions, or no router at the moment; ask again later. The verdict is checked: an accepting one
 * has a transport that exists and a next hop. */
enum rc routing_ask(struct queue *q, struct slice from, struct slice to, routing_fn *fn, void *arg);

/* The route that a verdict names. False: its transport does not exist. */
bool routing_route(const struct queue *q, const struct r_verdict *v, struct schedule_route *ret_route);

#endif
