/* queue/handles.h -- structs that a peer names by a handle of 32 bits: their tree.
 *
 * The struct's first member is a struct handled; what handles_find gives is the struct itself. */
#ifndef POSTERN_QUEUE_HANDLES_H
#define POSTERN_QUEUE_HANDLES_H

#include "queue/tree.h"

struct handled {
	struct tree_node node;		/* first */
	uint32_t handle;
};

void handles_init(struct tree *t);
/* NULL: none has this handle. */
void *handles_find(const struct tree *t, uint32_t handle);
/* False, and nothing done, when the handle is in use. */
bool handles_add(struct tree *t, struct handled *h);
/* It must be in the tree. */
void handles_remove(struct tree *t, struct handled *h);

#endif
