/* deliver/id_table.h -- finds a struct by a number that it has on some line. Nodes are embedded; nothing is allocated.
 *
 * A fixed number of chains: sessions are a few thousand at most, and numbers are handed out in order. */
#ifndef POSTERN_DELIVER_ID_TABLE_H
#define POSTERN_DELIVER_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_CHAINS = 8192 };

struct id_node {
	struct id_node *next;
	uint32_t id;
	bool in;
};
struct id_table {
	struct id_node *chains[ID_CHAINS];
};

static inline struct id_node *
id_find(const struct id_table *t, uint32_t id)
{
	struct id_node *n = t->chains[id % ID_CHAINS];

	while (n != NULL && n->id != id)
		n = n->next;
	return n;
}

static inline void
id_add(struct id_table *t, struct id_node *n, uint32_t id)
{
	n->id = id;
	n->in = true;
	n->next = t->chains[id % ID_CHAINS];
	t->chains[id % ID_CHAINS] = n;
}

/* Not in the table is fine. */
static inline void
id_remove(struct id_table *t, struct id_node *n)
{
	struct id_node **at = &t->chains[n->id % ID_CHAINS];

	if (!n->in)
		return;
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->in = false;
}

#endif
