/* queue/destination.c -- where mail goes next, see destination.h. */
#include "queue/destination.h"

#include "common/text.h"

#include <stdlib.h>

struct name_key {
	struct slice transport, nexthop;
};

static const struct destination *
of_node(const struct tree_node *node)
{
	return (const struct destination *)(const void *)node;
}

/* Lengths first: any order will do. Case counts: the next hop of a local transport is a user, and the router writes
 * domains in lower case. */
static int
compare_part(struct slice key, struct slice stored)
{
	if (key.n != stored.n)
		return key.n < stored.n ? -1 : 1;
	return key.n == 0 ? 0 : memcmp(key.p, stored.p, key.n);
}

static int
compare(const void *key, const struct tree_node *node)
{
	const struct name_key *k = key;
	const struct destination *d = of_node(node);
	int c = compare_part(k->nexthop, destination_nexthop(d));

	return c != 0 ? c : compare_part(k->transport, destination_transport(d));
}

static uint64_t
priority(const struct tree_node *node)
{
	return of_node(node)->priority;
}

static const struct tree_ops by_name_ops = { .compare = compare, .priority = priority };

void
destinations_init(struct destinations *all, uint64_t seed)
{
	all->random = seed == 0 ? 1 : seed;
	tree_init(&all->by_name, &by_name_ops);
}

static void
free_one(struct destination *d)
{
	free(d->why);
	free(d);
}

void
destinations_free(struct destinations *all)
{
	struct tree_node *n;

	while ((n = tree_drain(&all->by_name)) != NULL)
		free_one((struct destination *)(void *)n);
}

struct destination *
destination_find(const struct destinations *all, struct slice transport, struct slice nexthop)
{
	struct name_key key = { transport, nexthop };

	return (struct destination *)(void *)tree_find(&all->by_name, &key);
}

struct destination *
destination_get(struct destinations *all, struct slice transport, struct slice nexthop)
{
	struct name_key key = { transport, nexthop };
	struct destination *d = destination_find(all, transport, nexthop);

	if (d != NULL)
		return d;
	if (transport.n > DESTINATION_NAME_MAX || nexthop.n > DESTINATION_NAME_MAX)
		return NULL;
	d = calloc(1, sizeof *d + transport.n + 1 + nexthop.n);
	if (d == NULL)
		return NULL;
	d->priority = random_next(&all->random);
	d->transport_len = (uint16_t)transport.n;
	d->nexthop_len = (uint16_t)nexthop.n;
	if (transport.n > 0)
		memcpy(d->name, transport.p, transport.n);
	d->name[transport.n] = ':';
	if (nexthop.n > 0)
		memcpy(d->name + transport.n + 1, nexthop.p, nexthop.n);
	for (unsigned i = 0; i < READY_LEVELS; i++)
		link_init(&d->ready[i]);
	link_init(&d->idle);
	(void)tree_add(&all->by_name, &d->node, &key);
	return d;
}

void
destination_free(struct destinations *all, struct destination *d)
{
	struct name_key key = { destination_transport(d), destination_nexthop(d) };

	tree_remove(&all->by_name, &d->node, &key);
	free_one(d);
}

void
destination_set_why(struct destination *d, uint16_t code, struct slice enhanced, struct slice why)
{
	size_t n = enhanced.n < sizeof d->enhanced ? enhanced.n : sizeof d->enhanced - 1;

	why = slice_first(why, DESTINATION_WHY_MAX);
	free(d->why);
	d->why = text_copy(why);
	d->code = code;
	if (n > 0)
		memcpy(d->enhanced, enhanced.p, n);
	d->enhanced[n] = '\0';
}
