/* common/policy/table.c -- the set itself: entries in one arena, found by an open-addressed hash. See table.h. */
#include "common/policy/table.h"

#include "common/policy/table_entry.h"

#include <stdlib.h>
#include <xxhash.h>

/* An entry in the arena: this, then the pattern, then the value. */
struct entry {
	uint32_t line;
	uint16_t n_pattern;
	uint16_t n_value;
	uint8_t kind;
};

struct slot {
	uint32_t hash;
	uint32_t at;	/* offset in the arena plus one; 0: free */
};

struct table {
	char *name;
	struct buf arena;
	struct slot *slots;
	size_t n_slots;		/* a power of two, at least half of them free */
	size_t n;
	uint32_t first[TABLE_KINDS];	/* the first entry of each kind, as in slot.at */
	uint64_t bits4[1], bits6[3];	/* prefix lengths in use: bit n of the array */
};

enum {
	SLOTS_FIRST = 16,
	PREFIX_MAX = 128,
};
/* Patterns are found again by 32 bits of offset. */
static const size_t arena_max = UINT32_MAX - 1;

struct table *
table_new(const char *name)
{
	struct table *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->name = strdup(name);
	t->slots = calloc(SLOTS_FIRST, sizeof *t->slots);
	t->n_slots = SLOTS_FIRST;
	buf_init(&t->arena, arena_max);
	if (t->name == NULL || t->slots == NULL) {
		table_free(t);
		return NULL;
	}
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	free(t->name);
	free(t->slots);
	buf_free(&t->arena);
	free(t);
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

size_t
table_count(const struct table *t)
{
	return t->n;
}

/* --- entries --- */

static struct entry
entry_at(const struct table *t, uint32_t at, struct slice *ret_pattern, struct slice *ret_value)
{
	struct slice s = slice_from(buf_slice(&t->arena), at - 1);
	struct entry e;

	memcpy(&e, s.p, sizeof e);
	s = slice_from(s, sizeof e);
	*ret_pattern = slice_first(s, e.n_pattern);
	*ret_value = slice_first(slice_from(s, e.n_pattern), e.n_value);
	return e;
}

/* A network of one address is written without its prefix. */
static struct slice
as_written(struct slice pattern, enum table_kind kind)
{
	size_t slash = slice_find(pattern, '/');
	struct slice prefix = slice_from(pattern, slash);
	bool v6 = slice_find(pattern, ':') < pattern.n;

	return kind == TABLE_NET && slice_eq(prefix, v6 ? S("/128") : S("/32")) ? slice_first(pattern, slash) : pattern;
}

static void
hit_of(const struct table *t, uint32_t at, struct table_hit *ret_hit)
{
	struct table_hit hit;
	struct entry e = entry_at(t, at, &hit.pattern, &hit.value);

	hit.pattern = as_written(hit.pattern, (enum table_kind)e.kind);
	hit.line = e.line;
	*ret_hit = hit;
}

static uint32_t
hash_of(struct slice pattern)
{
	uint8_t lower[TABLE_PATTERN_MAX];

	for (size_t i = 0; i < pattern.n; i++)
		lower[i] = ascii_lower(pattern.p[i]);
	return (uint32_t)XXH3_64bits(lower, pattern.n);
}

/* The slot of this pattern among these kinds, or the free one where it would go. */
static struct slot *
find_slot(const struct table *t, unsigned kinds, struct slice pattern, uint32_t hash)
{
	size_t mask = t->n_slots - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct slot *s = &t->slots[i];
		struct slice have, value;
		struct entry e;

		if (s->at == 0)
			return s;
		if (s->hash != hash)
			continue;
		e = entry_at(t, s->at, &have, &value);
		if ((TABLE_BIT(e.kind) & kinds) != 0 && slice_caseeq(have, pattern))
			return s;
	}
}

static bool
find(const struct table *t, unsigned kinds, struct slice pattern, struct table_hit *ret_hit)
{
	struct slot *s;

	if (pattern.n > TABLE_PATTERN_MAX)
		return false;
	s = find_slot(t, kinds, pattern, hash_of(pattern));
	if (s->at == 0)
		return false;
	hit_of(t, s->at, ret_hit);
	return true;
}

static bool
grow(struct table *t)
{
	size_t n = t->n_slots * 2;
	struct slot *bigger = calloc(n, sizeof *bigger);

	if (bigger == NULL)
		return false;
	for (size_t i = 0; i < t->n_slots; i++) {
		size_t k = t->slots[i].hash & (n - 1);

		if (t->slots[i].at == 0)
			continue;
		while (bigger[k].at != 0)
			k = (k + 1) & (n - 1);
		bigger[k] = t->slots[i];
	}
	free(t->slots);
	t->slots = bigger;
	t->n_slots = n;
	return true;
}

static void
note_prefix(struct table *t, struct slice net)
{
	struct ip_net n;

	if (ip_net_parse(net, &n) == RC_OK)
		(n.ip.family == 4 ? t->bits4 : t->bits6)[n.bits / 64] |= UINT64_C(1) << (n.bits % 64);
}

enum rc
table_entry_add(struct table *t, enum table_kind kind, struct slice pattern, struct slice value, uint32_t line)
{
	struct entry e = { line, (uint16_t)pattern.n, (uint16_t)value.n, (uint8_t)kind };
	uint32_t hash = hash_of(pattern), at = (uint32_t)buf_len(&t->arena) + 1;
	struct table_hit hit;
	struct slot *s;

	if (t->n >= t->n_slots / 2 && !grow(t))
		return RC_NOMEM;
	s = find_slot(t, TABLE_BIT(kind), pattern, hash);
	if (s->at != 0) {
		hit_of(t, s->at, &hit);
		return slice_eq(hit.value, value) ? RC_OK : RC_EXISTS;
	}
	if (buf_room(&t->arena) < sizeof e + pattern.n + value.n ||
	    buf_reserve(&t->arena, sizeof e + pattern.n + value.n) == NULL)
		return RC_NOMEM;
	(void)buf_put(&t->arena, &e, sizeof e);
	(void)buf_put_slice(&t->arena, pattern);
	(void)buf_put_slice(&t->arena, value);
	*s = (struct slot){ hash, at };
	t->n++;
	if (t->first[kind] == 0)
		t->first[kind] = at;
	if (kind == TABLE_NET)
		note_prefix(t, pattern);
	return RC_OK;
}

/* --- questions --- */

bool
table_holds_only(const struct table *t, unsigned kinds, struct table_hit *ret_bad)
{
	for (unsigned kind = 0; kind < TABLE_KINDS; kind++)
		if ((TABLE_BIT(kind) & kinds) == 0 && t->first[kind] != 0) {
			hit_of(t, t->first[kind], ret_bad);
			return false;
		}
	return true;
}

bool
table_next(const struct table *t, size_t *at, struct table_hit *ret_hit)
{
	struct slice pattern, value;
	struct entry e;

	if (*at >= buf_len(&t->arena))
		return false;
	e = entry_at(t, (uint32_t)*at + 1, &pattern, &value);
	hit_of(t, (uint32_t)*at + 1, ret_hit);
	*at += sizeof e + e.n_pattern + e.n_value;
	return true;
}

bool
table_has_everywhere(const struct table *t)
{
	return ((t->bits4[0] | t->bits6[0]) & 1) != 0;
}

bool
table_has_ip(const struct table *t, struct ip ip, struct table_hit *ret_hit)
{
	unsigned longest = ip.family == 4 ? 32 : PREFIX_MAX;
	const uint64_t *used = ip.family == 4 ? t->bits4 : t->bits6;

	if (ip.family == 0)
		return false;
	/* Longest first: explain should name the closest. */
	for (unsigned bits = longest + 1; bits-- > 0;) {
		char text[IP_NET_TEXT_MAX];

		if ((used[bits / 64] >> (bits % 64) & 1) == 0)
			continue;
		if (find(t, TABLE_BIT(TABLE_NET), slice_of(text, ip_net_format(ip_client_network(ip, bits, bits), text)),
		    ret_hit))
			return true;
	}
	return false;
}

bool
table_has_name(const struct table *t, struct slice name, struct table_hit *ret_hit)
{
	uint8_t below[TABLE_PATTERN_MAX];

	if (name.n == 0 || name.n > sizeof below - 1 || name.p[0] == '.')
		return false;
	if (find(t, TABLE_BIT(TABLE_NAME), name, ret_hit))
		return true;
	if (t->first[TABLE_BELOW] == 0)
		return false;
	below[0] = '*';
	for (size_t dot = slice_find(name, '.'); dot < name.n; dot += 1 + slice_find(slice_from(name, dot + 1), '.')) {
		memcpy(below + 1, name.p + dot, name.n - dot);
		if (find(t, TABLE_BIT(TABLE_BELOW), slice_of(below, 1 + name.n - dot), ret_hit))
			return true;
	}
	return false;
}

bool
table_has_literal(const struct table *t, struct ip literal, struct table_hit *ret_hit)
{
	uint8_t space[IP_TEXT_MAX + 8];
	struct table_hit hit;
	size_t n = table_literal_text(literal, space);
	bool found = n > 0 && find(t, TABLE_BIT(TABLE_LITERAL), slice_of(space, n), &hit);

	if (found)
		*ret_hit = hit;
	return found;
}

bool
table_has_user(const struct table *t, struct slice user, struct table_hit *ret_hit)
{
	return find(t, TABLE_FOR_USERS, user, ret_hit);
}

bool
table_has_print(const struct table *t, struct slice print, struct table_hit *ret_hit)
{
	return find(t, TABLE_FOR_PRINTS, print, ret_hit);
}

bool
table_has_mailbox(const struct table *t, struct slice local, struct slice domain, struct table_hit *ret_hit)
{
	uint8_t text[TABLE_PATTERN_MAX];

	if (local.n + 1 + domain.n > sizeof text)
		return false;
	if (local.n > 0)
		memcpy(text, local.p, local.n);
	text[local.n] = '@';
	if (domain.n > 0)
		memcpy(text + local.n + 1, domain.p, domain.n);
	if (domain.n > 0 && find(t, TABLE_BIT(TABLE_ADDRESS), slice_of(text, local.n + 1 + domain.n), ret_hit))
		return true;
	return find(t, TABLE_BIT(TABLE_USER_AT), slice_of(text, local.n + 1), ret_hit);
}

bool
table_has_null(const struct table *t, struct table_hit *ret_hit)
{
	return find(t, TABLE_BIT(TABLE_NULL), S("<>"), ret_hit);
}
