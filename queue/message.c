/* queue/message.c -- what the queue keeps in memory of a message, see message.h. */
#include "queue/message.h"

#include <stdlib.h>

_Static_assert(sizeof(struct rcpt) == 32, "a recipient is 32 bytes");
_Static_assert(sizeof(struct message) <= 96, "a message is 96 bytes");

struct message *
message_new(struct msgid id, uint32_t n_rcpts)
{
	struct message *m;

	if (n_rcpts == 0 || n_rcpts > MESSAGE_RCPTS_MAX)
		return NULL;
	m = calloc(1, sizeof *m + n_rcpts * sizeof m->rcpts[0]);
	if (m == NULL)
		return NULL;
	m->key = message_key(id);
	m->spool = id.spool;
	m->n_rcpts = m->n_open = n_rcpts;
	for (uint32_t i = 0; i < n_rcpts; i++)
		m->rcpts[i].due.index = (uint16_t)i;
	return m;
}

static const struct message *
of_node(const struct tree_node *node)
{
	return (const struct message *)(const void *)node;
}

static int
compare(const void *key, const struct tree_node *node)
{
	uint64_t a = *(const uint64_t *)key, b = of_node(node)->key;

	return a < b ? -1 : a > b;
}

/* Ids are our own, so a fixed mix (the finaliser of MurmurHash3) is random enough. */
static uint64_t
priority(const struct tree_node *node)
{
	uint64_t x = of_node(node)->key;

	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static const struct tree_ops by_id_ops = { compare, priority };

void
messages_init(struct messages *all)
{
	*all = (struct messages){ .n_rcpts = 0 };
	tree_init(&all->by_id, &by_id_ops);
}

bool
messages_add(struct messages *all, struct message *m)
{
	if (!tree_add(&all->by_id, &m->node, &m->key))
		return false;
	all->n_rcpts += m->n_open;
	all->bytes += m->size;
	return true;
}

struct message *
messages_find(const struct messages *all, uint64_t key)
{
	return (struct message *)(void *)tree_find(&all->by_id, &key);
}

struct message *
messages_after(const struct messages *all, uint64_t key)
{
	return (struct message *)(void *)tree_after(&all->by_id, &key);
}

void
messages_remove(struct messages *all, struct message *m)
{
	tree_remove(&all->by_id, &m->node, &m->key);
	all->n_rcpts -= m->n_open;
	all->bytes -= m->size;
}
