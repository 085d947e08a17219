/* queue/tree.h -- an ordered set of structs that carry its node: look up, next above, add, remove in O(log n).
 *
 * A treap: the priorities are keyed hashes or random numbers, so its shape owes nothing to the order of arrival or to
 * names that strangers choose. It costs two pointers an element, never allocates, and never has to grow in one go, as
 * a hash table would. Pure. */
#ifndef POSTERN_QUEUE_TREE_H
#define POSTERN_QUEUE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *left, *right;
};

struct tree_ops {
	/* <0, 0, >0 as key stands before, at or behind the element of this node. */
	int (*compare)(const void *key, const struct tree_node *node);
	/* Must not change while the element is in the tree. */
	uint64_t (*priority)(const struct tree_node *node);
};

struct tree {
	const struct tree_ops *ops;
	struct tree_node *root;
	size_t n;
};

static inline void
tree_init(struct tree *t, const struct tree_ops *ops)
{
	*t = (struct tree){ ops, NULL, 0 };
}

struct tree_node *tree_find(const struct tree *t, const void *key);
/* The first element behind key; NULL: none. */
struct tree_node *tree_after(const struct tree *t, const void *key);
/* key: the element's own. False, and nothing done, when an element with that key is there. */
bool tree_add(struct tree *t, struct tree_node *node, const void *key);
/* The element must be in the tree; key: its own. */
void tree_remove(struct tree *t, struct tree_node *node, const void *key);
/* Takes the root out, in any order, without balancing: for giving everything back at the end. NULL: empty. */
struct tree_node *tree_drain(struct tree *t);

#endif
