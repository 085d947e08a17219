/* common/hash_table.h -- a set of structs that carry their entry: look up, add, remove in constant time, however many.
 *
 * It grows by one chain at a time (linear hashing): the add that makes more entries than chains splits one chain in two, so
 * that none waits for all to be moved. Chains stay where they are; each time their number has doubled, a block for as many
 * again is allocated, whose pages are touched as it fills. Without memory for it chains get longer, and the next add tries
 * again: an add cannot fail. It never shrinks.
 *
 * Hashes are the caller's, by the table's secret key (keyed_hash.h), so that strangers cannot choose names that fall together.
 *
 *	for (e = hash_table_find(t, keyed_hash(&t->key, name)); e != NULL; e = hash_entry_next(e))
 *		if (it has this name) return it; */
#ifndef POSTERN_COMMON_HASH_TABLE_H
#define POSTERN_COMMON_HASH_TABLE_H

#include "common/keyed_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HASH_TABLE_FIRST = 64,		/* chains of an empty table; a power of two */
	HASH_TABLE_BLOCKS = 32,		/* block n doubles them for the nth time: more than memory can hold */
};

/* The first member of what it is an entry of. */
struct hash_entry {
	struct hash_entry *next;	/* in its chain */
	uint64_t hash;
};

struct hash_table {
	struct hash_key key;
	size_t n;			/* entries */
	size_t n_chains;
	struct hash_entry *first[HASH_TABLE_FIRST];
	struct hash_entry **blocks[HASH_TABLE_BLOCKS];
};

/* Empty, with a key of its own. */
void hash_table_init(struct hash_table *t);
/* Every entry goes to give_back, which may free it (NULL: the table is known to be empty), and the table is empty; usable again,
 * with the same key. */
void hash_table_clear(struct hash_table *t, void (*give_back)(struct hash_entry *e));

/* Those with this hash, the latest first; NULL: none, or no more. */
struct hash_entry *hash_table_find(const struct hash_table *t, uint64_t hash);
struct hash_entry *hash_entry_next(const struct hash_entry *e);

/* e is in no table. */
void hash_table_add(struct hash_table *t, struct hash_entry *e, uint64_t hash);
/* e is in this one. */
void hash_table_remove(struct hash_table *t, struct hash_entry *e);

/* All, in no order: the first when e is NULL, else the one behind it. Nothing may be added meanwhile; an entry may be removed
 * once the one behind it is known. */
struct hash_entry *hash_table_walk(const struct hash_table *t, const struct hash_entry *e);

#endif
