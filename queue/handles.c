/* queue/handles.c -- trees by handle, see handles.h. */
#include "queue/handles.h"

static int
compare(const void *key, const struct tree_node *node)
{
	uint32_t a = *(const uint32_t *)key, b = ((const struct handled *)(const void *)node)->handle;

	return a < b ? -1 : a > b;
}

static uint64_t
priority(const struct tree_node *node)
{
	uint64_t x = ((const struct handled *)(const void *)node)->handle * UINT64_C(0x9e3779b97f4a7c15);

	return x ^ x >> 29;
}

static const struct tree_ops handles_ops = { compare, priority };

void
handles_init(struct tree *t)
{
	tree_init(t, &handles_ops);
}

void *
handles_find(const struct tree *t, uint32_t handle)
{
	return tree_find(t, &handle);
}

bool
handles_add(struct tree *t, struct handled *h)
{
	return tree_add(t, &h->node, &h->handle);
}

void
handles_remove(struct tree *t, struct handled *h)
{
	tree_remove(t, &h->node, &h->handle);
}
