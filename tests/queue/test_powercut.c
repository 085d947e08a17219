/* tests/queue/test_powercut.c -- the promise behind 250, tried at every step: the power goes before each write, sync,
 * rename, unlink of a scripted run, the disk keeps of the unsynced what it pleases, and after recovery everything that was
 * acknowledged is there, byte for byte and once, and nothing is half there.
 *
 * POWERCUT_SEEDS=N tries N random outcomes for each cut instead of 2. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/store.h"
#include "tests/queue/sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LETTERS_MAX = 160,
	RCPTS = 2,
	HISTORY_MAX = 4,
	EVENTS_MAX = 2048,
	SEGMENT = 64 * 1024,
	BIG = 8 * 1024,
	CONTENT_MAX = 40 * 1024,
};

/* What was asked of the store about a message, and how much of it was acknowledged. */
struct letter {
	bool asked, acked, drop_asked, drop_acked;
	struct store_where where;
	size_t size;
	/* States that a recipient was given, in order; [0] is pending. Those up to acked are durable. */
	enum store_rcpt_state history[RCPTS][HISTORY_MAX];
	unsigned n_history[RCPTS], n_acked[RCPTS];
	int about;		/* a report: which letter's recipient 0 it marks as bounced in the same group; -1 */
	/* As found by the last recovery. */
	bool found;
	enum store_rcpt_state state[RCPTS];
};

struct asked {
	struct world *world;
	int letter;
	int rcpt;		/* -1: none */
	unsigned step;		/* of its history */
	bool drop;
};

struct world {
	struct sim_disk *disk;
	struct loop *loop;
	struct store *store;
	struct letter letters[LETTERS_MAX];
	int n_letters;
	uint16_t boot[LETTERS_MAX];
	struct asked events[EVENTS_MAX];
	unsigned n_events;
	struct msgid base;
	enum store_state state;
	unsigned reads;
	const char *failure;
	char what[256];
};

static void
fail_world(struct world *w, const char *why, int letter)
{
	if (w->failure == NULL) {
		w->failure = why;
		(void)snprintf(w->what, sizeof w->what, "%s (letter %d)", why, letter);
	}
}

/* --- letters --- */

static struct msgid
id_of(const struct world *w, int n)
{
	return (struct msgid){ w->base.spool, w->boot[n], (uint64_t)n + 1 };
}

static void
make_content(int n, size_t size, uint8_t *to)
{
	uint32_t x = (uint32_t)n * 2654435761U + 12345;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		to[i] = (uint8_t)(x >> 24);
	}
}

static size_t
make_envelope(int n, char *to, size_t max)
{
	return (size_t)snprintf(to, max, "envelope of letter %d", n);
}

static int
letter_new(struct world *w, size_t size, int about)
{
	int n = w->n_letters++;
	struct letter *l = &w->letters[n];

	assert_true(n < LETTERS_MAX && size <= CONTENT_MAX);
	*l = (struct letter){ .asked = true, .size = size, .about = about };
	w->boot[n] = w->base.boot;
	for (int r = 0; r < RCPTS; r++) {
		l->history[r][0] = STORE_PENDING;
		l->n_history[r] = 1;
	}
	return n;
}

static struct asked *
event_new(struct world *w, int letter, int rcpt, unsigned step, bool drop)
{
	struct asked *e = &w->events[w->n_events++];

	assert_true(w->n_events < EVENTS_MAX);
	*e = (struct asked){ w, letter, rcpt, step, drop };
	return e;
}

static void
on_durable(void *arg, enum rc rc, struct store_where where)
{
	const struct asked *e = arg;
	struct letter *l = &e->world->letters[e->letter];

	if (rc != RC_OK)
		return;
	if (e->drop)
		l->drop_acked = true;
	else if (e->rcpt >= 0)
		l->n_acked[e->rcpt] = e->step;
	else {
		l->acked = true;
		l->where = where;
		if (l->about >= 0)
			e->world->letters[l->about].n_acked[0] = e->step;
	}
}

static struct store_mail
mail_of(struct world *w, int n, char *envelope, size_t max, const struct slice *content)
{
	return (struct store_mail){ id_of(w, n), RCPTS, slice_of(envelope, make_envelope(n, envelope, max)), content, 1 };
}

/* --- steps of the script --- */

static int
put(struct world *w, size_t size)
{
	static uint8_t bytes[CONTENT_MAX];
	int n = letter_new(w, size, -1);
	struct slice content = slice_of(bytes, size);
	char envelope[64];
	struct store_mail m = mail_of(w, n, envelope, sizeof envelope, &content);

	make_content(n, size, bytes);
	store_put(w->store, &m, on_durable, event_new(w, n, -1, 0, false));
	return n;
}

static unsigned
note(struct world *w, int n, int rcpt, enum store_rcpt_state to)
{
	struct letter *l = &w->letters[n];

	assert_true(l->n_history[rcpt] < HISTORY_MAX);
	l->history[rcpt][l->n_history[rcpt]] = to;
	return l->n_history[rcpt]++;
}

static void
change(struct world *w, int n, int rcpt, enum store_change_kind kind, enum store_rcpt_state to)
{
	struct store_change c = { .kind = kind, .id = id_of(w, n), .where = w->letters[n].where, .rcpt = (uint32_t)rcpt,
	    .attempts = 1, .next = 1800000000000000, .first_failure = 1700000000000000, .code = 450, .text = S("not yet") };

	if (!w->letters[n].acked)	/* its put failed: nobody would */
		return;
	store_change(w->store, &c, on_durable, event_new(w, n, rcpt, note(w, n, rcpt, to), false));
}

static void
drop(struct world *w, int n)
{
	if (!w->letters[n].acked)
		return;
	w->letters[n].drop_asked = true;
	store_drop(w->store, id_of(w, n), w->letters[n].where, on_durable, event_new(w, n, -1, 0, true));
}

/* A report about letter n, and the mark on its recipient 0, in one group. */
static void
report(struct world *w, int about)
{
	static uint8_t bytes[CONTENT_MAX];
	struct slice content = slice_of(bytes, 900);
	struct store_mail m;
	struct store_change c;
	char envelope[64];
	int n;

	if (!w->letters[about].acked)
		return;
	n = letter_new(w, 900, about);
	make_content(n, 900, bytes);
	m = mail_of(w, n, envelope, sizeof envelope, &content);
	c = (struct store_change){ .kind = STORE_CHANGE_BOUNCED, .id = id_of(w, about), .where = w->letters[about].where };
	store_commit(w->store, &m, &c, 1, on_durable, event_new(w, n, -1, note(w, about, 0, STORE_BOUNCED), false));
}

static void
on_window(void *arg, enum rc rc)
{
	(void)arg, (void)rc;
}

/* In pieces; the disk works in between. */
static void
stream(struct world *w, size_t size, bool keep)
{
	static uint8_t bytes[CONTENT_MAX];
	int n = letter_new(w, size, -1);
	struct slice nothing = slice_of(bytes, 0);
	struct store_stream *s = NULL;
	char envelope[64];
	struct store_mail m = mail_of(w, n, envelope, sizeof envelope, &nothing);

	make_content(n, size, bytes);
	if (!keep)
		w->letters[n].asked = false;
	if (store_stream_begin(w->store, &m, 0, on_window, w, &s) != RC_OK) {
		w->letters[n].asked = false;
		return;
	}
	for (size_t at = 0; at < size; at += 5000) {
		if (store_stream_append(s, slice_of(bytes + at, size - at < 5000 ? size - at : 5000)) != RC_OK) {
			w->letters[n].asked = false;
			store_stream_abort(&s);
			return;
		}
		store_pump(w->store);
	}
	if (keep)
		store_stream_commit(&s, on_durable, event_new(w, n, -1, 0, false));
	else
		store_stream_abort(&s);
}

/* What a queue does in its life, in small: batches, results, a report, streams, and enough to fill and kill segments. */
static void
script(struct world *w)
{
	int first = put(w, 100), second, third, big, many[40];

	second = put(w, 700);
	third = put(w, 0);
	store_pump(w->store);
	change(w, first, 0, STORE_CHANGE_DONE, STORE_DONE);
	change(w, second, 1, STORE_CHANGE_DEFERRED, STORE_DEFERRED);
	store_pump(w->store);
	big = w->n_letters;
	stream(w, 20000, true);
	store_pump(w->store);
	stream(w, 3000, true);
	stream(w, 30000, false);
	report(w, second);
	put(w, 2000);
	store_pump(w->store);
	change(w, first, 1, STORE_CHANGE_DONE, STORE_DONE);
	drop(w, first);
	store_pump(w->store);
	for (int i = 0; i < 40; i++) {
		many[i] = put(w, 3500);
		if (i % 3 == 2)
			store_pump(w->store);
	}
	store_pump(w->store);
	change(w, third, 0, STORE_CHANGE_DEFERRED, STORE_DEFERRED);
	change(w, third, 0, STORE_CHANGE_DONE, STORE_DONE);
	for (int i = 0; i < 40; i++)
		if (i % 7 != 0)
			drop(w, many[i]);
	store_pump(w->store);
	store_probe(w->store);
	store_pump(w->store);
	change(w, big, 0, STORE_CHANGE_DONE, STORE_DONE);
	change(w, big, 1, STORE_CHANGE_BOUNCED, STORE_BOUNCED);
	drop(w, big);
	for (int i = 0; i < 40; i += 7)
		drop(w, many[i]);
	put(w, 300);
	store_pump(w->store);
	store_probe(w->store);
	store_pump(w->store);
	put(w, 9000);
	report(w, third);
	store_pump(w->store);
}

/* --- opening, and what must be found --- */

static void
on_state(void *ctx, enum store_state state, const char *why)
{
	(void)why;
	((struct world *)ctx)->state = state;
}

static const struct store_ops ops = { on_state, NULL };

static void
visit(void *arg, const struct store_message *m)
{
	struct world *w = arg;
	int n = (int)m->id.seq - 1;
	char envelope[64];
	struct letter *l;

	if (n < 0 || n >= w->n_letters || m->id.boot != w->boot[n]) {
		fail_world(w, "a message that nobody sent", n);
		return;
	}
	l = &w->letters[n];
	if (l->found)
		fail_world(w, "found twice", n);
	if (!l->asked)
		fail_world(w, "an aborted message is back", n);
	if (m->size != l->size || m->n_rcpts != RCPTS)
		fail_world(w, "a message of another size", n);
	if (!slice_eq(m->envelope, slice_of(envelope, make_envelope(n, envelope, sizeof envelope))))
		fail_world(w, "another envelope", n);
	l->found = true;
	l->where = m->where;
	for (int r = 0; r < RCPTS; r++)
		l->state[r] = m->rcpts[r].state;
}

static void
world_open(struct world *w, struct sim_disk *disk)
{
	w->disk = disk;
	w->loop = loop_new();
	assert_non_null(w->loop);
	w->store = store_new(w->loop, sim_disk_io(disk),
	    &(struct store_params){ .segment_size = SEGMENT, .big_message = BIG }, &ops, w);
	assert_non_null(w->store);
}

static enum rc
world_recover(struct world *w, struct store_stats *ret_stats)
{
	const char *why = "";
	enum rc rc;

	for (int n = 0; n < w->n_letters; n++)
		w->letters[n].found = false;
	rc = store_recover(w->store, visit, w, ret_stats, &why);
	if (rc == RC_OK)
		w->base = store_first_id(w->store);
	return rc;
}

static void
world_shut(struct world *w, bool gracefully)
{
	if (gracefully)
		store_close(w->store);
	store_free(w->store);
	loop_free(w->loop);
	w->store = NULL;
}

static void
on_read(void *arg, enum rc rc, struct slice bytes)
{
	static uint8_t expected[CONTENT_MAX];
	const struct asked *e = arg;
	const struct letter *l = &e->world->letters[e->letter];

	e->world->reads++;
	make_content(e->letter, l->size, expected);
	if (rc != RC_OK)
		fail_world(e->world, "content cannot be read", e->letter);
	else if (!slice_eq(bytes, slice_of(expected, l->size)))
		fail_world(e->world, "other content", e->letter);
}

/* The state must be one that was asked for, and not older than what was acknowledged. */
static bool
state_is_legal(const struct letter *l, int r)
{
	for (unsigned i = l->n_acked[r]; i < l->n_history[r]; i++)
		if (l->history[r][i] == l->state[r])
			return true;
	return false;
}

static void
check_promise(struct world *w)
{
	unsigned wanted = 0;

	w->n_events = 0;
	w->reads = 0;
	for (int n = 0; n < w->n_letters; n++) {
		struct letter *l = &w->letters[n];

		if (!l->found) {
			if (l->acked && !l->drop_asked)
				fail_world(w, "an acknowledged message is lost", n);
			continue;
		}
		if (l->drop_acked)
			fail_world(w, "a dropped message is back", n);
		for (int r = 0; r < RCPTS; r++)
			if (!state_is_legal(l, r))
				fail_world(w, "a recipient's state is lost or made up", n);
		if (l->size > 0) {
			store_read(w->store, id_of(w, n), l->where, 0, l->size, on_read, event_new(w, n, -1, 0, false));
			wanted++;
		}
	}
	for (int n = 0; n < w->n_letters; n++) {
		const struct letter *l = &w->letters[n], *about = l->about < 0 ? NULL : &w->letters[l->about];

		if (about != NULL && about->found && l->found != (about->state[0] == STORE_BOUNCED))
			fail_world(w, "a report without its mark, or a mark without its report", n);
	}
	store_pump(w->store);
	if (w->reads != wanted)
		fail_world(w, "a read was not answered", -1);
}

/* What recovery found is what is true from now on. */
static void
settle(struct world *w)
{
	for (int n = 0; n < w->n_letters; n++) {
		struct letter *l = &w->letters[n];

		l->asked = l->acked = l->found;
		if (!l->found)
			continue;
		l->drop_asked = false;
		for (int r = 0; r < RCPTS; r++) {
			l->history[r][0] = l->state[r];
			l->n_history[r] = 1;
			l->n_acked[r] = 0;
		}
	}
}

/* --- one run --- */

struct run {
	uint64_t cut;			/* operations before the power goes; UINT64_MAX: never */
	enum sim_cut how;
	uint64_t seed;
};

static void
complain(const struct world *w, const struct run *run, const char *where)
{
	if (w->failure != NULL)
		fail_msg("cut before operation %llu, outcome %d, seed %llu, %s: %s", (unsigned long long)run->cut,
		    (int)run->how, (unsigned long long)run->seed, where, w->what);
}

/* Runs the script on a new disk until the cut. The number of operations it came to. */
static uint64_t
run_script(struct world *w, uint64_t cut)
{
	struct sim_disk *disk = sim_disk_new(4711);
	struct store_stats stats;
	uint64_t operations;

	memset(w, 0, sizeof *w);
	if (cut != UINT64_MAX)
		sim_disk_cut_after(disk, cut);
	world_open(w, disk);
	if (world_recover(w, &stats) == RC_OK)
		script(w);
	world_shut(w, true);
	operations = sim_disk_operations(disk);
	return operations;
}

/* Opens what the cut has left, checks, works on a little, closes, opens again, checks again. */
static void
run_after(struct world *w, const struct run *run, struct sim_disk *disk)
{
	struct store_stats stats = { .messages = 0 };
	struct msgid before = w->base;

	world_open(w, disk);
	if (world_recover(w, &stats) != RC_OK)
		fail_world(w, "recovery fails", -1);
	else if (w->base.boot <= before.boot || (before.spool != 0 && w->base.spool != before.spool))
		fail_world(w, "ids of an earlier start are given out again", -1);
	complain(w, run, "recovery");
	check_promise(w);
	if (stats.damaged != 0)
		fail_world(w, "a cut is taken for damage", -1);
	complain(w, run, "after recovery");
	settle(w);
	(void)put(w, 500);
	(void)put(w, 12000);
	store_pump(w->store);
	if (!w->letters[w->n_letters - 1].acked || !w->letters[w->n_letters - 2].acked)
		fail_world(w, "mail is not taken after recovery", w->n_letters - 1);
	complain(w, run, "life after recovery");
	world_shut(w, true);
	world_open(w, disk);
	if (world_recover(w, &stats) != RC_OK)
		fail_world(w, "the second start fails", -1);
	check_promise(w);
	complain(w, run, "the second start");
	world_shut(w, true);
	sim_disk_free(disk);
}

static unsigned
seeds(void)
{
	const char *n = getenv("POWERCUT_SEEDS");

	return n == NULL ? 2 : (unsigned)strtoul(n, NULL, 10);
}

static bool
is_random(enum sim_cut how)
{
	return how == SIM_CUT_PREFIX || how == SIM_CUT_RANDOM || how == SIM_CUT_GARBAGE;
}

static struct world world, saved;

static void
the_script_runs(void **state)
{
	const struct run run = { UINT64_MAX, SIM_CUT_ALL, 0 };
	uint64_t n = run_script(&world, UINT64_MAX);

	(void)state;
	print_message("# %llu operations, %d letters\n", (unsigned long long)n, world.n_letters);
	for (int i = 0; i < world.n_letters; i++)
		assert_true(!world.letters[i].asked || world.letters[i].acked);
	run_after(&world, &run, world.disk);
}

static void
cut_everywhere(void **state)
{
	uint64_t total = run_script(&world, UINT64_MAX), runs = 0;

	(void)state;
	sim_disk_free(world.disk);
	for (uint64_t cut = 0; cut <= total; cut++) {
		(void)run_script(&saved, cut);
		for (enum sim_cut how = SIM_CUT_NOTHING; how < SIM_CUTS; how++)
			for (unsigned seed = 0; seed < (is_random(how) ? seeds() : 1); seed++, runs++) {
				struct run run = { cut, how, seed };

				world = saved;
				run_after(&world, &run, sim_disk_after_cut(saved.disk, how, seed));
			}
		sim_disk_free(saved.disk);
	}
	print_message("# %llu operations, %llu cuts\n", (unsigned long long)total, (unsigned long long)runs);
}

/* The second cut comes while the store recovers from the first. */
static void
cut_during_recovery(void **state)
{
	uint64_t total = run_script(&world, UINT64_MAX), runs = 0;

	(void)state;
	sim_disk_free(world.disk);
	for (uint64_t cut = 3; cut <= total; cut += 5) {
		(void)run_script(&saved, cut);
		for (uint64_t again = 0;; again++) {
			struct run run = { cut, SIM_CUT_RANDOM, again };
			struct sim_disk *disk = sim_disk_after_cut(saved.disk, again % 2 == 0 ? SIM_CUT_RANDOM : SIM_CUT_GARBAGE,
			    cut);
			struct store_stats stats;
			bool dead;

			world = saved;
			sim_disk_cut_after(disk, again);
			world_open(&world, disk);
			(void)world_recover(&world, &stats);
			complain(&world, &run, "the recovery that is cut");
			world_shut(&world, true);
			dead = sim_disk_is_dead(disk);
			run_after(&world, &run, sim_disk_after_cut(disk, (enum sim_cut)(again % SIM_CUTS), again));
			sim_disk_free(disk);
			runs++;
			if (!dead)
				break;
		}
		sim_disk_free(saved.disk);
	}
	print_message("# %llu cuts during recovery\n", (unsigned long long)runs);
}

/* --- faults without a cut --- */

/* The nth operation of this kind fails with this error, once or from then on until it is mended. The store must neither
 * lie nor lose, and take mail again afterwards. */
static void
error_everywhere(enum sim_op op, int error, bool sticky)
{
	uint64_t nth, failures = 1;

	for (nth = 1; failures > 0; nth++) {
		struct run run = { nth, SIM_CUT_NOTHING, (uint64_t)op };
		struct sim_disk *disk = sim_disk_new(4711);
		struct store_stats stats;

		memset(&world, 0, sizeof world);
		world_open(&world, disk);
		assert_int_equal(world_recover(&world, &stats), RC_OK);
		sim_disk_fail(disk, op, nth, error, sticky);
		script(&world);
		failures = sim_disk_failures(disk);
		sim_disk_heal(disk);
		store_probe(world.store);
		store_pump(world.store);
		if (world.state != STORE_OK)
			fail_world(&world, "the store does not recover by itself", -1);
		complain(&world, &run, "after the fault");
		world_shut(&world, nth % 2 == 0);
		run_after(&world, &run, sim_disk_after_cut(disk, SIM_CUT_NOTHING, nth));
		sim_disk_free(disk);
	}
	print_message("# %llu faults\n", (unsigned long long)nth);
}

/* The process is gone, the machine is not, and the next process starts with what is in its memory. Then the power goes. */
static void
start_then_cut(const struct run *run, struct sim_disk *disk)
{
	struct store_stats stats = { .damaged = 0 };

	sim_disk_reopen(disk);
	sim_disk_heal(disk);
	world_open(&world, disk);
	if (world_recover(&world, &stats) != RC_OK)
		fail_world(&world, "the start before the cut fails", -1);
	check_promise(&world);
	complain(&world, run, "the start before the cut");
	store_pump(world.store);
	world_shut(&world, false);
	run_after(&world, run, sim_disk_after_cut(disk, run->how, run->seed));
	sim_disk_free(disk);
}

static void
killed_everywhere_then_cut(void **state)
{
	uint64_t total = run_script(&world, UINT64_MAX);

	(void)state;
	sim_disk_free(world.disk);
	for (uint64_t cut = 0; cut <= total; cut++)
		for (enum sim_cut how = SIM_CUT_NOTHING; how < SIM_CUTS; how++) {
			struct run run = { cut, how, cut };

			(void)run_script(&world, cut);
			start_then_cut(&run, world.disk);
		}
}

/* What a sync that failed has left in memory alone looks to the next process as if it were on the disk. */
static void
killed_on_a_failing_disk_then_cut(void **state)
{
	uint64_t failures = 1;

	(void)state;
	for (uint64_t nth = 1; failures > 0; nth++) {
		struct run run = { nth, SIM_CUT_NOTHING, nth };
		struct sim_disk *disk = sim_disk_new(4711 + nth);
		struct store_stats stats;

		memset(&world, 0, sizeof world);
		world_open(&world, disk);
		assert_int_equal(world_recover(&world, &stats), RC_OK);
		sim_disk_fail(disk, SIM_SYNC, nth, EIO, true);
		script(&world);
		failures = sim_disk_failures(disk);
		world_shut(&world, false);
		start_then_cut(&run, disk);
	}
}

static void
sync_fails_once(void **state)
{
	(void)state;
	error_everywhere(SIM_SYNC, EIO, false);
}

static void
sync_fails_for_a_while(void **state)
{
	(void)state;
	error_everywhere(SIM_SYNC, EIO, true);
}

static void
write_fails_once(void **state)
{
	(void)state;
	error_everywhere(SIM_WRITE, EIO, false);
}

static void
no_space_for_a_while(void **state)
{
	(void)state;
	error_everywhere(SIM_WRITE, ENOSPC, true);
}

static void
anything_fails_once(void **state)
{
	(void)state;
	error_everywhere(SIM_ANY, EIO, false);
}

/* --- rot --- */

static void
on_read_of_damaged(void *arg, enum rc rc, struct slice bytes)
{
	const struct asked *e = arg;

	if (rc == RC_CORRUPT || rc == RC_NOTFOUND || rc == RC_IO)
		e->world->reads++;	/* told, not passed on */
	else
		on_read(arg, rc, bytes);
}

/* One byte of the spool at rest has changed. What is lost by it is told; nothing wrong is ever served. */
static void
check_damaged(struct world *w, const struct store_stats *stats)
{
	unsigned lost = 0;

	w->n_events = 0;
	for (int n = 0; n < w->n_letters; n++) {
		struct letter *l = &w->letters[n];

		if (!l->found)
			lost += l->acked && !l->drop_asked;
		else if (l->size > 0)
			store_read(w->store, id_of(w, n), l->where, 0, l->size, on_read_of_damaged,
			    event_new(w, n, -1, 0, false));
	}
	store_pump(w->store);
	if (lost > 0 && stats->damaged == 0)
		fail_world(w, "a message is lost and nothing is said", -1);
	if (lost > 6)
		fail_world(w, "one byte has cost many messages", -1);
}

static void
flip_one(const struct sim_disk *disk, const char *path, uint64_t at)
{
	struct run run = { at, SIM_CUT_NOTHING, 0 };
	struct sim_disk *copy = sim_disk_after_cut(disk, SIM_CUT_NOTHING, 1);
	struct store_stats stats = { .messages = 0 };
	uint64_t size;

	sim_disk_file(copy, path, &size)[at] ^= (uint8_t)(1U << at % 8);
	world = saved;
	world_open(&world, copy);
	/* A flipped bit in what names the spool or its format may stop the start; it must say why and touch nothing. */
	if (world_recover(&world, &stats) == RC_OK) {
		check_damaged(&world, &stats);
		complain(&world, &run, path);
	}
	world_shut(&world, false);
	sim_disk_free(copy);
}

static void
bytes_flip(void **state)
{
	uint64_t size, flips = 0;
	const char *path;
	struct sim_disk *disk;

	(void)state;
	(void)run_script(&saved, UINT64_MAX);
	disk = sim_disk_after_cut(saved.disk, SIM_CUT_NOTHING, 1);
	for (unsigned i = 0; (path = sim_disk_name(disk, "", i)) != NULL; i++) {
		char name[SPOOL_PATH_MAX];

		(void)snprintf(name, sizeof name, "%s", path);
		if (sim_disk_file(disk, name, &size) == NULL)
			continue;
		for (uint64_t at = 0; at < size; at += at < 512 ? 7 : 211, flips++)
			flip_one(disk, name, at);
	}
	sim_disk_free(disk);
	sim_disk_free(saved.disk);
	print_message("# %llu bits flipped\n", (unsigned long long)flips);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_script_runs),
		cmocka_unit_test(cut_everywhere),
		cmocka_unit_test(cut_during_recovery),
		cmocka_unit_test(killed_everywhere_then_cut),
		cmocka_unit_test(killed_on_a_failing_disk_then_cut),
		cmocka_unit_test(sync_fails_once),
		cmocka_unit_test(sync_fails_for_a_while),
		cmocka_unit_test(write_fails_once),
		cmocka_unit_test(no_space_for_a_while),
		cmocka_unit_test(anything_fails_once),
		cmocka_unit_test(bytes_flip),
	};

	return cmocka_run_group_tests_name("powercut", tests, NULL, NULL);
}
