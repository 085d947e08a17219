/* resolver/turns.c -- see turns.h. */
#include "resolver/turns.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* It exists while it has anybody. */
struct turn_network {
	struct turn_network *next, *prev;	/* in the ring; NULL: nobody waits */
	struct turn *first, *last;
	size_t placed;
	struct ip ip;
};

static int
by_address(const void *a, const void *b)
{
	const struct turn_network *x = a, *y = b;

	if (x->ip.family != y->ip.family)
		return x->ip.family < y->ip.family ? -1 : 1;
	return memcmp(x->ip.b, y->ip.b, sizeof x->ip.b);
}

static struct turn_network *
network_of(struct turns *t, struct ip ip)
{
	struct turn_network key = { .ip = ip }, **found = tfind(&key, &t->networks, by_address), *n;

	if (found != NULL)
		return *found;
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return NULL;
	n->ip = ip;
	if (tsearch(n, &t->networks, by_address) != NULL)
		return n;
	free(n);
	return NULL;
}

static void
network_check(struct turns *t, struct turn_network *n)
{
	if (n->first != NULL || n->placed > 0)
		return;
	(void)tdelete(n, &t->networks, by_address);
	free(n);
}

/* --- the ring --- */

/* Behind all others. */
static void
line_up(struct turns *t, struct turn_network *n)
{
	if (t->line == NULL) {
		t->line = n->next = n->prev = n;
		return;
	}
	n->next = t->line;
	n->prev = t->line->prev;
	n->prev->next = n->next->prev = n;
}

static void
line_leave(struct turns *t, struct turn_network *n)
{
	if (t->line == n)
		t->line = n->next == n ? NULL : n->next;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

/* --- turns --- */

static void
stop_waiting(struct turns *t, struct turn *turn)
{
	struct turn_network *n = turn->network;

	if (turn->prev != NULL)
		turn->prev->next = turn->next;
	else
		n->first = turn->next;
	if (turn->next != NULL)
		turn->next->prev = turn->prev;
	else
		n->last = turn->prev;
	turn->next = turn->prev = NULL;
	if (n->first == NULL)
		line_leave(t, n);
}

bool
turns_wait(struct turns *t, struct turn *turn, struct ip net)
{
	struct turn_network *n = network_of(t, net);

	if (n == NULL)
		return false;
	if (n->first == NULL)
		line_up(t, n);
	turn->network = n;
	turn->placed = false;
	turn->next = NULL;
	turn->prev = n->last;
	if (n->last != NULL)
		n->last->next = turn;
	else
		n->first = turn;
	n->last = turn;
	return true;
}

static bool
may_have(const struct turns *t, const struct turn_network *n)
{
	return n->placed == 0 || n->placed < (t->places - t->taken) / TURNS_PART;
}

/* Whoever is passed over has a place: there are no more of them than places, however many networks wait. */
struct turn *
turns_next(struct turns *t)
{
	struct turn_network *n = t->line;
	struct turn *turn;

	if (n == NULL || t->taken >= t->places)
		return NULL;
	while (!may_have(t, n)) {
		n = n->next;
		if (n == t->line)
			return NULL;
	}
	t->line = n->next;
	turn = n->first;
	stop_waiting(t, turn);
	turn->placed = true;
	n->placed++;
	t->taken++;
	return turn;
}

void
turns_leave(struct turns *t, struct turn *turn)
{
	struct turn_network *n = turn->network;

	if (n == NULL)
		return;
	if (turn->placed) {
		n->placed--;
		t->taken--;
	} else {
		stop_waiting(t, turn);
	}
	turn->network = NULL;
	turn->placed = false;
	network_check(t, n);
}
