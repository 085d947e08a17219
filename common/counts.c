/* common/counts.c -- see counts.h. */
#include "common/counts.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADER = 4096,		/* a page of its own: what only master writes */
	MAGIC = 0x706f7374,
	TRIES = 4,		/* to read a row that changes hands */
};

struct header {
	uint32_t magic;
	uint32_t n_rows, n_tables;
	struct hash_key key;
};
_Static_assert(sizeof(struct header) <= HEADER, "the header has a page");
_Static_assert(sizeof(struct counts_row) == 128, "two cache lines");

static uint32_t
get(const _Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static void
set(_Atomic uint32_t *at, uint32_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static uint32_t
add_capped(uint32_t a, uint32_t b)
{
	uint32_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT32_MAX : sum;
}

/* --- the memory --- */

size_t
counts_table_size(uint32_t n_rows)
{
	/* Whole pages, so that each can be mapped by itself. */
	return HEADER + (size_t)n_rows * sizeof(struct counts_row);
}

size_t
counts_offset(uint32_t n_rows, uint32_t index)
{
	return HEADER + (size_t)index * counts_table_size(n_rows);
}

size_t
counts_size(uint32_t n_rows, uint32_t n_tables)
{
	return counts_offset(n_rows, n_tables);
}

uint32_t
counts_rows_for(uint64_t sessions)
{
	uint32_t n = COUNTS_ROWS_MIN;

	/* With four rows a session, one in five thousand full tables has a set that is too small. */
	while (n < COUNTS_ROWS_MAX && n / 4 < sessions)
		n *= 2;
	return n;
}

static bool
is_shape(uint32_t n_rows, uint32_t n_tables)
{
	return n_rows >= COUNTS_ROWS_MIN && n_rows <= COUNTS_ROWS_MAX && (n_rows & (n_rows - 1)) == 0 && n_tables > 0 &&
	    n_tables <= COUNTS_TABLES_MAX;
}

void
counts_format(void *memory, uint32_t n_rows, uint32_t n_tables, const struct hash_key *key)
{
	struct header h = { .magic = MAGIC, .n_rows = n_rows, .n_tables = n_tables };

	BUG_ON(!is_shape(n_rows, n_tables));
	h.key = *key;
	memcpy(memory, &h, sizeof h);
}

bool
counts_shape(const void *memory, size_t size, uint32_t *ret_rows, uint32_t *ret_tables)
{
	struct header h;

	if (size < HEADER)
		return false;
	memcpy(&h, memory, sizeof h);
	if (h.magic != MAGIC || !is_shape(h.n_rows, h.n_tables) || size < counts_size(h.n_rows, h.n_tables))
		return false;
	*ret_rows = h.n_rows;
	*ret_tables = h.n_tables;
	return true;
}

/* All sessions that the table speaks of are gone. */
static void
be_born(struct counts_table *t)
{
	uint32_t born = get(&t->born);

	set(&t->born, born == UINT32_MAX ? 1 : born + 1);
}

enum rc
counts_open(struct counts *c, void *own, const void *all, size_t size, uint32_t index)
{
	*c = (struct counts){ .own_index = index };
	if (!counts_shape(all, size, &c->n_rows, &c->n_tables) || index >= c->n_tables)
		return RC_SYNTAX;
	c->key = ((const struct header *)all)->key;
	c->others = all;
	c->own = own;
	be_born(c->own);
	return RC_OK;
}

enum rc
counts_look(struct counts *c, const void *all, size_t size)
{
	*c = (struct counts){ .own_index = UINT32_MAX };
	if (!counts_shape(all, size, &c->n_rows, &c->n_tables))
		return RC_SYNTAX;
	c->key = ((const struct header *)all)->key;
	c->others = all;
	return RC_OK;
}

enum rc
counts_alone(struct counts *c, uint32_t n_rows, const struct hash_key *key)
{
	*c = (struct counts){ .n_rows = n_rows, .n_tables = 1 };
	BUG_ON(!is_shape(n_rows, 1));
	/* An aligned_alloc would have to be cleared, and so be there at once: this much of zeros costs nothing until used. */
	c->alone = calloc(1, counts_table_size(n_rows) + 64);
	if (c->alone == NULL)
		return RC_NOMEM;
	c->own = (struct counts_table *)(void *)(((uintptr_t)c->alone + 63) & ~(uintptr_t)63);
	c->key = *key;
	be_born(c->own);
	return RC_OK;
}

void
counts_close(struct counts *c)
{
	free(c->alone);
	*c = (struct counts){ 0 };
}

static const struct counts_table *
table_at(const struct counts *c, uint32_t index)
{
	if (index == c->own_index)
		return c->own;
	if (c->others == NULL)
		return NULL;
	return (const struct counts_table *)(const void *)(c->others + counts_offset(c->n_rows, index));
}

/* --- rows --- */

struct row_key {
	uint64_t address[2];
	uint32_t kind;
};

static struct row_key
key_of(struct ip_net net)
{
	struct row_key k;

	memcpy(k.address, net.ip.b, sizeof k.address);
	k.kind = (uint32_t)net.ip.family << 8 | net.bits;
	return k;
}

static bool
row_is(const struct counts_row *r, const struct row_key *k)
{
	return get(&r->kind) == k->kind &&
	    atomic_load_explicit(&r->address[0], memory_order_relaxed) == k->address[0] &&
	    atomic_load_explicit(&r->address[1], memory_order_relaxed) == k->address[1];
}

uint64_t
counts_hash(const struct counts *c, struct ip_net net)
{
	return keyed_hash_net(&c->key, net);
}

static size_t
set_at(const struct counts *c, uint64_t hash)
{
	return (size_t)(hash & (c->n_rows / COUNTS_SET - 1)) * COUNTS_SET;
}

/* Which row of the set may a new network have? NULL: none. */
static struct counts_row *
least_needed(const struct counts_table *t, struct counts_row *rows)
{
	struct counts_row *best = NULL;

	for (size_t i = 0; i < COUNTS_SET; i++) {
		struct counts_row *r = &rows[i];

		if (get(&r->kind) == 0)
			return r;
		if (get(&r->sessions) > 0 && get(&r->born) == get(&t->born))
			continue;
		/* Seconds may wrap; what is compared is never far apart. */
		if (best == NULL || (int32_t)(get(&r->seen) - get(&best->seen)) < 0)
			best = r;
	}
	return best;
}

static void
change_hands(struct counts_row *r, const struct row_key *k)
{
	uint32_t turn = get(&r->turn);

	set(&r->turn, turn + 1);
	atomic_thread_fence(memory_order_release);
	set(&r->kind, k->kind);
	atomic_store_explicit(&r->address[0], k->address[0], memory_order_relaxed);
	atomic_store_explicit(&r->address[1], k->address[1], memory_order_relaxed);
	set(&r->sessions, 0);
	set(&r->good, 0);
	for (size_t i = 0; i < COUNT_KINDS; i++) {
		set(&r->now[i], 0);
		set(&r->before[i], 0);
	}
	atomic_store_explicit(&r->turn, turn + 2, memory_order_release);
}

struct counts_row *
counts_row(struct counts *c, struct ip_net net, uint64_t hash, uint32_t seconds)
{
	struct counts_row *rows = &c->own->rows[set_at(c, hash)], *r = NULL;
	struct row_key k = key_of(net);

	for (size_t i = 0; i < COUNTS_SET && r == NULL; i++)
		if (row_is(&rows[i], &k))
			r = &rows[i];
	if (r == NULL) {
		r = least_needed(c->own, rows);
		if (r == NULL)
			return NULL;
		change_hands(r, &k);
	}
	if (get(&r->born) != get(&c->own->born)) {
		set(&r->sessions, 0);
		set(&r->born, get(&c->own->born));
	}
	set(&r->seen, seconds);
	return r;
}

void
counts_sessions(struct counts *c, struct counts_row *row, uint32_t n)
{
	set(&row->born, get(&c->own->born));
	set(&row->sessions, n);
}

void
counts_good(struct counts_row *row, uint32_t seconds)
{
	set(&row->good, seconds == 0 ? 1 : seconds);
}

/* --- rates --- */

struct counts_time
counts_time(uint64_t ms, uint64_t length)
{
	return (struct counts_time){ (uint32_t)(ms / length), 256 - (uint32_t)(ms % length * 256 / length) };
}

void
counts_add(struct counts_row *row, enum count_kind kind, uint32_t n, uint32_t interval)
{
	uint32_t was = get(&row->interval);

	if (was != interval) {
		for (size_t i = 0; i < COUNT_KINDS; i++) {
			set(&row->before[i], was + 1 == interval ? get(&row->now[i]) : 0);
			set(&row->now[i], 0);
		}
		set(&row->interval, interval);
	}
	set(&row->now[kind], add_capped(get(&row->now[kind]), n));
}

static uint32_t
share(uint32_t count, uint32_t parts)
{
	return (uint32_t)((uint64_t)count * parts / 256);
}

static uint32_t
row_rate(const struct counts_row *r, enum count_kind kind, struct counts_time t)
{
	uint32_t interval = get(&r->interval), now = get(&r->now[kind]), before = get(&r->before[kind]);

	/* Another process may be an instant ahead: its clock is ours, its turn of the loop is not. */
	if (interval == t.interval || interval == t.interval + 1)
		return add_capped(now, share(before, t.left));
	return interval + 1 == t.interval ? share(now, t.left) : 0;
}

static void
view_fill(const struct counts_table *t, const struct counts_row *r, struct counts_time time, struct counts_view *v)
{
	uint32_t kind = get(&r->kind);
	uint64_t address[2];

	for (size_t i = 0; i < 2; i++)
		address[i] = atomic_load_explicit(&r->address[i], memory_order_relaxed);
	*v = (struct counts_view){ 0 };
	memcpy(v->net.ip.b, address, sizeof address);
	v->net.ip.family = (uint8_t)(kind >> 8);
	v->net.bits = (uint8_t)kind;
	v->sessions = get(&r->born) == get(&t->born) ? get(&r->sessions) : 0;
	v->seen = get(&r->seen);
	v->good = get(&r->good);
	for (size_t i = 0; i < COUNT_KINDS; i++)
		v->rates[i] = row_rate(r, (enum count_kind)i, time);
}

/* Reads a row between two changes of hands. */
static bool
view(const struct counts_table *t, const struct counts_row *r, struct counts_time time, struct counts_view *ret_view)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t turn = atomic_load_explicit(&r->turn, memory_order_acquire);

		view_fill(t, r, time, ret_view);
		atomic_thread_fence(memory_order_acquire);
		if ((turn & 1) == 0 && get(&r->turn) == turn)
			return ret_view->net.ip.family != 0;
	}
	return false;	/* it does nothing but change hands: nothing worth counting is in it */
}

bool
counts_view(const struct counts *c, uint32_t table, uint32_t row, struct counts_time t, struct counts_view *ret_view)
{
	const struct counts_table *of = table_at(c, table);

	/* Most rows of most tables were never used: the memory of their pages should not come to be by being read. */
	if (of == NULL || get(&of->born) == 0 || get(&of->rows[row].kind) == 0)
		return false;
	return view(of, &of->rows[row], t, ret_view);
}

/* What each table says about a network, one after the other: start with *table 0. */
static bool
next_view(const struct counts *c, const struct row_key *k, uint64_t hash, struct counts_time t, uint32_t *table,
    struct counts_view *ret_view)
{
	while (*table < c->n_tables) {
		const struct counts_table *of = table_at(c, (*table)++);
		const struct counts_row *rows;

		if (of == NULL || get(&of->born) == 0)
			continue;
		rows = &of->rows[set_at(c, hash)];
		for (size_t i = 0; i < COUNTS_SET; i++)
			if (row_is(&rows[i], k) && view(of, &rows[i], t, ret_view)) {
				struct row_key seen = key_of(ret_view->net);

				if (seen.kind == k->kind && memcmp(seen.address, k->address, sizeof seen.address) == 0)
					return true;
			}
	}
	return false;
}

static bool
is_idle(const struct counts_view *v)
{
	uint32_t any = v->sessions;

	for (size_t i = 0; i < COUNT_KINDS; i++)
		any |= v->rates[i];
	return any == 0;
}

bool
counts_sum(const struct counts *c, uint32_t table, struct counts_time t, struct counts_view *v)
{
	struct counts_view one, sum = { .net = v->net };
	struct row_key k = key_of(v->net);
	uint64_t hash;

	if (is_idle(v))
		return false;
	hash = counts_hash(c, v->net);
	for (uint32_t next = 0; next_view(c, &k, hash, t, &next, &one);) {
		if (next - 1 < table && !is_idle(&one))
			return false;
		sum.sessions = add_capped(sum.sessions, one.sessions);
		sum.seen = one.seen > sum.seen ? one.seen : sum.seen;
		sum.good = one.good > sum.good ? one.good : sum.good;
		for (size_t i = 0; i < COUNT_KINDS; i++)
			sum.rates[i] = add_capped(sum.rates[i], one.rates[i]);
	}
	*v = sum;
	return true;
}

uint32_t
counts_rate(const struct counts *c, struct ip_net net, uint64_t hash, enum count_kind kind, struct counts_time t)
{
	struct row_key k = key_of(net);
	struct counts_view v;
	uint32_t sum = 0;

	for (uint32_t i = 0; next_view(c, &k, hash, t, &i, &v);)
		sum = add_capped(sum, v.rates[kind]);
	return sum;
}

uint32_t
counts_all_sessions(const struct counts *c, struct ip_net net, uint64_t hash)
{
	struct row_key k = key_of(net);
	struct counts_view v;
	uint32_t sum = 0;

	for (uint32_t i = 0; next_view(c, &k, hash, (struct counts_time){ 0, 0 }, &i, &v);)
		sum = add_capped(sum, v.sessions);
	return sum;
}

uint32_t
counts_last_good(const struct counts *c, struct ip_net net, uint64_t hash)
{
	struct row_key k = key_of(net);
	struct counts_view v;
	uint32_t last = 0;

	for (uint32_t i = 0; next_view(c, &k, hash, (struct counts_time){ 0, 0 }, &i, &v);)
		last = v.good > last ? v.good : last;
	return last;
}

const char *
count_kind_name(enum count_kind kind)
{
	static const char *const names[COUNT_KINDS] = {
		[COUNT_CONNECTION] = "connections",
		[COUNT_MESSAGE] = "messages",
		[COUNT_RECIPIENT] = "recipients",
		[COUNT_ERROR] = "errors",
		[COUNT_UNKNOWN_RECIPIENT] = "unknown-recipients",
		[COUNT_TLS_HANDSHAKE] = "tls-handshakes",
		[COUNT_FAILED_LOGIN] = "failed-logins",
	};

	return kind < COUNT_KINDS ? names[kind] : "?";
}
