/* smtpd/handles.c -- see handles.h. */
#include "smtpd/handles.h"

#include <stdlib.h>

enum { INDEX_BITS = 20, GENERATION_MAX = (1 << (31 - INDEX_BITS)) - 1 };
_Static_assert(HANDLES_MAX == 1 << INDEX_BITS, "an index fits its bits");

static struct handle_slot *
slot_of(const struct handles *h, uint32_t handle)
{
	uint32_t index = handle & (HANDLES_MAX - 1);

	if (index >= h->n || h->v[index].what == NULL || h->v[index].generation != handle >> INDEX_BITS)
		return NULL;
	return &h->v[index];
}

static int
grow(struct handles *h)
{
	size_t cap = h->cap == 0 ? 64 : h->cap * 2;
	struct handle_slot *v;

	if (h->n == HANDLES_MAX)
		return -1;
	if (h->n < h->cap)
		return 0;
	v = realloc(h->v, cap * sizeof *v);
	if (v == NULL)
		return -1;
	h->v = v;
	h->cap = cap;
	return 0;
}

uint32_t
handle_new(struct handles *h, void *what)
{
	struct handle_slot *s;
	uint32_t index;

	if (h->free != 0) {
		index = h->free - 1;
		h->free = h->v[index].next_free;
	} else {
		if (grow(h) == -1)
			return 0;
		index = (uint32_t)h->n++;
		h->v[index].generation = 0;
	}
	s = &h->v[index];
	/* From 1: so no handle is 0. */
	s->generation = s->generation == GENERATION_MAX ? 1 : s->generation + 1;
	s->what = what;
	h->used++;
	return s->generation << INDEX_BITS | index;
}

void *
handle_find(const struct handles *h, uint32_t handle)
{
	struct handle_slot *s = slot_of(h, handle);

	return s == NULL ? NULL : s->what;
}

void
handle_release(struct handles *h, uint32_t handle)
{
	struct handle_slot *s = slot_of(h, handle);

	if (s == NULL)
		return;
	s->what = NULL;
	s->next_free = h->free;
	h->free = (handle & (HANDLES_MAX - 1)) + 1;
	h->used--;
}

void
handles_free(struct handles *h)
{
	free(h->v);
	*h = (struct handles){ 0 };
}
