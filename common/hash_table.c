/* common/hash_table.c -- see hash_table.h. */
#include "common/hash_table.h"

#include <stdlib.h>

_Static_assert((HASH_TABLE_FIRST & (HASH_TABLE_FIRST - 1)) == 0, "chains are numbered by the bits of a hash");

/* Which block has chain i >= HASH_TABLE_FIRST. */
static size_t
block_of(size_t i)
{
	return (size_t)(__builtin_clzll(HASH_TABLE_FIRST) - __builtin_clzll(i));
}

/* Of a table that may be changed or not, as the caller knows. */
static struct hash_entry **
chain_at(const struct hash_table *t, size_t i)
{
	size_t block;

	if (i < HASH_TABLE_FIRST)
		return (struct hash_entry **)(uintptr_t)&t->first[i];
	block = block_of(i);
	return &t->blocks[block][i - ((size_t)HASH_TABLE_FIRST << block)];
}

/* Chains up to the last power of two have been split as far as that; those behind it, and their halves below, once more. */
static size_t
place_of(const struct hash_table *t, uint64_t hash)
{
	size_t half = (size_t)1 << (63 - __builtin_clzll(t->n_chains)), i = (size_t)hash & (2 * half - 1);

	return i < t->n_chains ? i : i & (half - 1);
}

void
hash_table_init(struct hash_table *t)
{
	*t = (struct hash_table){ .n_chains = HASH_TABLE_FIRST };
	hash_key_make(&t->key);
}

void
hash_table_clear(struct hash_table *t, void (*give_back)(struct hash_entry *e))
{
	for (size_t i = 0; i < t->n_chains; i++)
		for (struct hash_entry *e = *chain_at(t, i), *next; e != NULL; e = next) {
			next = e->next;
			give_back(e);
		}
	for (size_t i = 0; i < HASH_TABLE_BLOCKS; i++)
		free(t->blocks[i]);
	*t = (struct hash_table){ .key = t->key, .n_chains = HASH_TABLE_FIRST };
}

static struct hash_entry *
from(struct hash_entry *e, uint64_t hash)
{
	while (e != NULL && e->hash != hash)
		e = e->next;
	return e;
}

struct hash_entry *
hash_table_find(const struct hash_table *t, uint64_t hash)
{
	return from(*chain_at(t, place_of(t, hash)), hash);
}

struct hash_entry *
hash_entry_next(const struct hash_entry *e)
{
	return from(e->next, e->hash);
}

/* One chain more, with what belongs there of the one that had it so far; their orders stay. */
static void
split(struct hash_table *t)
{
	size_t new = t->n_chains, block = block_of(new);
	struct hash_entry **stay, **go, *e;

	if (block == HASH_TABLE_BLOCKS)
		return;
	if (t->blocks[block] == NULL)
		t->blocks[block] = calloc((size_t)HASH_TABLE_FIRST << block, sizeof(struct hash_entry *));
	if (t->blocks[block] == NULL)
		return;
	stay = chain_at(t, new - ((size_t)HASH_TABLE_FIRST << block));
	go = chain_at(t, new);
	t->n_chains++;
	for (e = *stay; e != NULL; e = e->next) {
		struct hash_entry ***to = place_of(t, e->hash) == new ? &go : &stay;

		**to = e;
		*to = &e->next;
	}
	*stay = *go = NULL;
}

void
hash_table_add(struct hash_table *t, struct hash_entry *e, uint64_t hash)
{
	struct hash_entry **chain;

	if (t->n >= t->n_chains)
		split(t);
	chain = chain_at(t, place_of(t, hash));
	e->hash = hash;
	e->next = *chain;
	*chain = e;
	t->n++;
}

void
hash_table_remove(struct hash_table *t, struct hash_entry *e)
{
	struct hash_entry **at = chain_at(t, place_of(t, e->hash));

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	t->n--;
}

struct hash_entry *
hash_table_walk(const struct hash_table *t, const struct hash_entry *e)
{
	if (e != NULL && e->next != NULL)
		return e->next;
	for (size_t i = e == NULL ? 0 : place_of(t, e->hash) + 1; i < t->n_chains; i++)
		if (*chain_at(t, i) != NULL)
			return *chain_at(t, i);
	return NULL;
}
