/* resolver/turns.c -- see turns.h. */
#include "resolver/turns.h"

#include <stdlib.h>

/* It exists while it has anybody. */
struct turn_network {
	struct hash_entry entry;
	struct turn_network *next, *prev;	/* in the ring; NULL: nobody waits */
	struct turn *first, *last;
	size_t placed;
	struct ip ip;
};

static uint64_t
hash_of(const struct turns *t, struct ip ip)
{
	return keyed_hash_net(&t->networks.key, (struct ip_net){ ip, 0 });
}

static struct turn_network *
network_of(struct turns *t, struct ip ip)
{
	uint64_t hash = hash_of(t, ip);
	struct turn_network *n;

	for (struct hash_entry *e = hash_table_find(&t->networks, hash); e != NULL; e = hash_entry_next(e)) {
		n = (struct turn_network *)e;
		if (ip_eq(n->ip, ip))
			return n;
	}
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return NULL;
	n->ip = ip;
	hash_table_add(&t->networks, &n->entry, hash);
	return n;
}

static void
network_check(struct turns *t, struct turn_network *n)
{
	if (n->first != NULL || n->placed > 0)
		return;
	hash_table_remove(&t->networks, &n->entry);
	free(n);
}

/* --- the ring --- */

/* Behind all others. */
static void
ring_enter(struct turns *t, struct turn_network *n)
{
	if (t->ring == NULL) {
		t->ring = n->next = n->prev = n;
		return;
	}
	n->next = t->ring;
	n->prev = t->ring->prev;
	n->prev->next = n->next->prev = n;
}

static void
ring_leave(struct turns *t, struct turn_network *n)
{
	if (t->ring == n)
		t->ring = n->next == n ? NULL : n->next;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

/* --- turns --- */

void
turns_init(struct turns *t, size_t places)
{
	*t = (struct turns){ .places = places };
	hash_table_init(&t->networks);
}

void
turns_free(struct turns *t)
{
	hash_table_clear(&t->networks, NULL);
}

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
		ring_leave(t, n);
}

bool
turns_enter(struct turns *t, struct turn *turn, struct ip net)
{
	struct turn_network *n = network_of(t, net);

	if (n == NULL)
		return false;
	if (n->first == NULL)
		ring_enter(t, n);
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
	struct turn_network *n = t->ring;
	struct turn *turn;

	if (n == NULL || t->taken >= t->places)
		return NULL;
	while (!may_have(t, n)) {
		n = n->next;
		if (n == t->ring)
			return NULL;
	}
	t->ring = n->next;
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
