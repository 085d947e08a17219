/* queue/ids.c -- ids of messages, see ids.h. */
#include "queue/ids.h"

#include <stdlib.h>

struct ids_block {
	struct msgid first;
	uint64_t used[IDS_BLOCK / 64];
};

/* count ids in a row. RC_RANGE: this boot has no more (2^40 of them). */
static enum rc
ids_take(struct ids *ids, uint32_t count, struct msgid *ret_first)
{
	if (ids->next.seq > QUEUE_ID_SEQ_MAX - count)
		return RC_RANGE;
	*ret_first = ids->next;
	ids->next.seq += count;
	return RC_OK;
}

enum rc
own_ids_next(struct own_ids *own, struct ids *ids, struct msgid *ret_id)
{
	if (own->left == 0) {
		enum rc rc = ids_take(ids, IDS_BLOCK, &own->next);

		if (rc != RC_OK)
			return rc;
		own->left = IDS_BLOCK;
	}
	*ret_id = own->next;
	own->next.seq++;
	own->left--;
	return RC_OK;
}

static struct ids_block *
block_at(const struct granted_ids *g, uint32_t i)
{
	return &g->blocks[(g->first + i) % g->room];
}

/* The ring is straightened when it grows. */
static enum rc
grow(struct granted_ids *g)
{
	uint32_t room = g->room == 0 ? 4 : g->room * 2;
	struct ids_block *blocks = calloc(room, sizeof *blocks);

	if (blocks == NULL)
		return RC_NOMEM;
	for (uint32_t i = 0; i < g->n; i++)
		blocks[i] = *block_at(g, i);
	free(g->blocks);
	g->blocks = blocks;
	g->room = room;
	g->first = 0;
	return RC_OK;
}

enum rc
granted_ids_more(struct granted_ids *g, struct ids *ids, struct msgid *ret_first)
{
	struct msgid first;
	enum rc rc;

	if (g->n == g->room && g->room < IDS_BLOCKS_MAX) {
		rc = grow(g);
		if (rc != RC_OK)
			return rc;
	}
	rc = ids_take(ids, IDS_BLOCK, &first);
	if (rc != RC_OK)
		return rc;
	if (g->n == g->room) {		/* the oldest goes */
		g->first = (g->first + 1) % g->room;
		g->n--;
	}
	*block_at(g, g->n) = (struct ids_block){ .first = first };
	g->n++;
	*ret_first = first;
	return RC_OK;
}

bool
granted_ids_use(struct granted_ids *g, struct msgid id)
{
	uint32_t low = 0, high = g->n;
	struct ids_block *b;
	uint64_t offset, bit;

	while (low < high) {		/* the last block that starts at or before it */
		uint32_t middle = low + (high - low) / 2;

		if (block_at(g, middle)->first.seq <= id.seq)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	b = block_at(g, low - 1);
	offset = id.seq - b->first.seq;
	if (offset >= IDS_BLOCK || id.spool != b->first.spool || id.boot != b->first.boot)
		return false;
	bit = UINT64_C(1) << offset % 64;
	if ((b->used[offset / 64] & bit) != 0)
		return false;
	b->used[offset / 64] |= bit;
	return true;
}

void
granted_ids_free(struct granted_ids *g)
{
	free(g->blocks);
	*g = (struct granted_ids){ .n = 0 };
}
