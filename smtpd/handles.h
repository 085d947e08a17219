/* smtpd/handles.h -- numbers that name what we asked another room for, so that late answers find nobody.
 *
 * Of its 32 bits the first is never set: one line can carry handles of two kinds.
 * A handle is an index and a generation: when its asker has gone, the same index comes back under another number, and
 * an answer to the old one is told from an answer to the new one. Never 0. */
#ifndef POSTERN_SMTPD_HANDLES_H
#define POSTERN_SMTPD_HANDLES_H

#include <stddef.h>
#include <stdint.h>

enum { HANDLES_MAX = 1 << 20 };	/* questions under way on one line */

struct handle_slot {
	void *what;		/* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

/* Zeroed: empty and ready. */
struct handles {
	struct handle_slot *v;
	size_t n, cap;
	size_t used;
	uint32_t free;		/* index + 1 of the first free one */
};

uint32_t handle_new(struct handles *h, void *what);	/* 0: full, or no memory */
void *handle_find(const struct handles *h, uint32_t handle);	/* NULL: nobody waits for that any more */
void handle_release(struct handles *h, uint32_t handle);	/* 0 and stale ones are fine */

/* What stands at position i < h->n, or NULL: to tell everybody that a line is down. */
static inline void *
handle_at(const struct handles *h, size_t i)
{
	return h->v[i].what;
}

void handles_free(struct handles *h);

#endif
