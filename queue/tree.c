/* queue/tree.c -- an ordered set of structs, see tree.h. */
#include "queue/tree.h"

#include "common/rc.h"

struct tree_node *
tree_find(const struct tree *t, const void *key)
{
	struct tree_node *n = t->root;

	while (n != NULL) {
		int c = t->ops->compare(key, n);

		if (c == 0)
			return n;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

struct tree_node *
tree_after(const struct tree *t, const void *key)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n != NULL) {
		if (t->ops->compare(key, n) < 0) {
			best = n;
			n = n->left;
		} else
			n = n->right;
	}
	return best;
}

/* Cuts the subtree n in two: what stands before key, and what stands behind it. */
static void
split(const struct tree *t, struct tree_node *n, const void *key, struct tree_node **before, struct tree_node **behind)
{
	while (n != NULL) {
		if (t->ops->compare(key, n) < 0) {
			*behind = n;
			behind = &n->left;
			n = n->left;
		} else {
			*before = n;
			before = &n->right;
			n = n->right;
		}
	}
	*before = *behind = NULL;
}

bool
tree_add(struct tree *t, struct tree_node *node, const void *key)
{
	uint64_t priority = t->ops->priority(node);
	struct tree_node **at = &t->root;

	if (tree_find(t, key) != NULL)
		return false;
	while (*at != NULL && t->ops->priority(*at) >= priority)
		at = t->ops->compare(key, *at) < 0 ? &(*at)->left : &(*at)->right;
	split(t, *at, key, &node->left, &node->right);
	*at = node;
	t->n++;
	return true;
}

/* Puts two subtrees, every element of a before every one of b, in the place *at. */
static void
join(const struct tree *t, struct tree_node **at, struct tree_node *a, struct tree_node *b)
{
	while (a != NULL && b != NULL) {
		if (t->ops->priority(a) >= t->ops->priority(b)) {
			*at = a;
			at = &a->right;
			a = a->right;
		} else {
			*at = b;
			at = &b->left;
			b = b->left;
		}
	}
	*at = a != NULL ? a : b;
}

void
tree_remove(struct tree *t, struct tree_node *node, const void *key)
{
	struct tree_node **at = &t->root;

	while (*at != node) {
		BUG_ON(*at == NULL);
		at = t->ops->compare(key, *at) < 0 ? &(*at)->left : &(*at)->right;
	}
	join(t, at, node->left, node->right);
	node->left = node->right = NULL;
	t->n--;
}

struct tree_node *
tree_drain(struct tree *t)
{
	struct tree_node *n = t->root;

	if (n == NULL)
		return NULL;
	while (n->left != NULL) {	/* turn the left edge into the root: no stack is needed */
		struct tree_node *l = n->left;

		n->left = l->right;
		l->right = n;
		n = l;
	}
	t->root = n->right;
	n->right = NULL;
	t->n--;
	return n;
}
