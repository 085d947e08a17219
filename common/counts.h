/* common/counts.h -- what each client network has done lately, counted by several processes that do not trust each other.
 *
 * One piece of shared memory holds a table for each process. A process writes its own table and reads those of the
 * others; a count is the sum of what all of them say. So there are no locks, a process that dies takes its sessions out
 * of the count by itself (its successor says so by a new `born`), and one that has been broken into can lie about its
 * own clients but change nothing of what the others have counted.
 *
 * A table has a fixed number of rows in sets of eight, found by SipHash under a secret key: nobody can choose addresses
 * that meet in one set. A network that is new takes the row of its set that was not used for longest; rows with sessions
 * stay. So memory does not grow with the number of networks that come by (THREATS 57, 66). */
#ifndef POSTERN_COMMON_COUNTS_H
#define POSTERN_COMMON_COUNTS_H

#include "common/ip.h"
#include "common/keyed_hash.h"
#include "common/rc.h"

#include <stdatomic.h>
#include <stddef.h>

enum count_kind {
	COUNT_CONNECTION,
	COUNT_MESSAGE,
	COUNT_RECIPIENT,
	COUNT_ERROR,
	COUNT_UNKNOWN_RECIPIENT,
	COUNT_TLS_HANDSHAKE,
	COUNT_FAILED_LOGIN,
	COUNT_KINDS
};

enum {
	COUNTS_SET = 8,			/* rows that a network may be in */
	COUNTS_ROWS_MIN = 1024,
	COUNTS_ROWS_MAX = 1 << 22,
	COUNTS_TABLES_MAX = 1024,
};

/* A network's row in one table. Its owner writes, everybody reads at any time: all of it is relaxed atomics, and `turn`
 * is odd while the row changes hands. */
struct counts_row {
	_Atomic uint32_t turn;
	_Atomic uint32_t kind;		/* family << 8 | prefix length; 0: empty */
	_Atomic uint64_t address[2];
	_Atomic uint32_t born;		/* of the table when sessions was written */
	_Atomic uint32_t sessions;
	_Atomic uint32_t seen;		/* seconds */
	_Atomic uint32_t good;		/* seconds, of the last message accepted; 0: none */
	_Atomic uint32_t interval;	/* its number: which one `now` is about */
	_Atomic uint32_t now[COUNT_KINDS];
	_Atomic uint32_t before[COUNT_KINDS];	/* the interval before */
} __attribute__((aligned(64)));

struct counts_table {
	_Atomic uint32_t born;		/* counts the processes that have had this table; 0: none yet */
	struct counts_row rows[] __attribute__((aligned(64)));
};

struct counts {
	struct hash_key key;
	uint32_t n_rows, n_tables;
	uint32_t own_index;
	struct counts_table *own;
	const uint8_t *others;		/* the whole memory, to be read; NULL: this process is alone */
	void *alone;			/* the memory of one that is */
};

/* Bytes that so many tables of so many rows take. n_rows is a power of two from COUNTS_ROWS_MIN to COUNTS_ROWS_MAX. */
size_t counts_size(uint32_t n_rows, uint32_t n_tables);
/* The rows that so many sessions of one process need, so that none of them is left without one. */
uint32_t counts_rows_for(uint64_t sessions);

/* Master, in fresh memory of that size, all zero: key is secret and random. */
void counts_format(void *memory, uint32_t n_rows, uint32_t n_tables, const struct hash_key *key);

/* A process takes table number index over, as new. own is that table, to be written; all is the whole memory of that
 * size, to be read. RC_SYNTAX: not formatted, or not so large. */
enum rc counts_open(struct counts *c, void *own, const void *all, size_t size, uint32_t index);
/* Where table number index stands in the memory: what its process must be able to write. */
size_t counts_offset(uint32_t n_rows, uint32_t index);
size_t counts_table_size(uint32_t n_rows);
/* From the start of the memory. False: not formatted. */
bool counts_shape(const void *memory, size_t size, uint32_t *ret_rows, uint32_t *ret_tables);

/* For one that only looks, with counts_view() and counts_sum(): all is to be read. RC_SYNTAX. */
enum rc counts_look(struct counts *c, const void *all, size_t size);

/* A process alone. RC_NOMEM. */
enum rc counts_alone(struct counts *c, uint32_t n_rows, const struct hash_key *key);
void counts_close(struct counts *c);

/* What a network's row hangs on: computed once a session. */
uint64_t counts_hash(const struct counts *c, struct ip_net net);

/* Our row of this network, made when there is none. NULL: every row of its set has sessions. It stays while it has
 * sessions. seconds: monotonic, the same for all processes of the machine. */
struct counts_row *counts_row(struct counts *c, struct ip_net net, uint64_t hash, uint32_t seconds);

/* The row's owner: so many more. interval is the number of the present one (time divided by its length). */
void counts_add(struct counts_row *row, enum count_kind kind, uint32_t n, uint32_t interval);
void counts_sessions(struct counts *c, struct counts_row *row, uint32_t n);
void counts_good(struct counts_row *row, uint32_t seconds);

/* The time that rates are asked for: interval number `interval`, of which `left` of 256 parts are still to come. */
struct counts_time {
	uint32_t interval;
	uint32_t left;
};
struct counts_time counts_time(uint64_t ms, uint64_t length);

/* Of all processes: how many in the last interval's length up to now (the share of the one before is estimated);
 * sessions now; seconds of the last good message, 0: none known. */
uint32_t counts_rate(const struct counts *c, struct ip_net net, uint64_t hash, enum count_kind kind, struct counts_time t);
uint32_t counts_all_sessions(const struct counts *c, struct ip_net net, uint64_t hash);
uint32_t counts_last_good(const struct counts *c, struct ip_net net, uint64_t hash);

/* A row as a reader saw it, whole. */
struct counts_view {
	struct ip_net net;
	uint32_t sessions, seen, good;
	uint32_t rates[COUNT_KINDS];
};
/* For listings: row number `row` of table `table`. False: empty. */
bool counts_view(const struct counts *c, uint32_t table, uint32_t row, struct counts_time t, struct counts_view *ret_view);

/* Of all processes, for a network that counts_view() has shown in this table. False: it is idle there, or an earlier table has
 * shown it, so that each network that is not idle everywhere is summed up once. */
bool counts_sum(const struct counts *c, uint32_t table, struct counts_time t, struct counts_view *v);

const char *count_kind_name(enum count_kind kind);	/* "failed-logins" */

#endif
