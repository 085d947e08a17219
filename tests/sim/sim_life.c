/* tests/sim/sim_life.c -- whole lives of messages, from the client to the server, in a simulated machine where everything
 * fails; by seed.
 *
 *	sim_life		a fixed number of seeds, as a check program (TAP)
 *	sim_life SEED [-v]	this one; -v tells what happens
 *	sim_life -n FIRST COUNT	these, quietly; the last line sums up
 *	sim_life -t SECONDS	from a seed of the clock, for that long
 *
 * A run: clients bring mail for a while, during which faults strike; then calm, and everything must come to an end by itself:
 * each accepted letter delivered or reported, the queue empty, its memory back where it was. */
#include "tests/sim/house.h"
#include "tests/sim/internet.h"
#include "tests/sim/letters.h"
#include "tests/sim/others.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_SEEDS = 150, FAULTS_MAX = 12, CLIENTS_MAX = 30 };

static struct {
	uint64_t span;			/* the time of trouble */
	unsigned clients, faults;
	struct slot client, fault, heal, calm, clock;
	int64_t clock_off;
	bool calm_now;
	size_t blocks_at_first;
} run;

struct totals {
	uint64_t runs, letters, accepted, crashes, broken;
};

/* --- faults --- */

static void
heal(void *ctx)
{
	(void)ctx;
	world_trace("the disk is well");
	sim_disk_heal(house_disk());
	sim_disk_capacity(house_disk(), UINT64_C(1) << 40);
	house_disk_delay(100, 5 * MS);
}

static enum sim_cut
some_cut(void)
{
	return (enum sim_cut)world_below(SIM_CUTS);
}

static void
disk_trouble(void)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT };

	switch (world_below(4)) {
	case 0:
		world_trace("the disk is slow");
		house_disk_delay(SECOND, world_spread(2 * SECOND, 90 * SECOND));
		break;
	case 1:
		world_trace("the disk is full");
		sim_disk_capacity(house_disk(), sim_disk_used(house_disk()) + world_below(20000));
		break;
	default:
		world_trace("the disk fails");
		sim_disk_fail(house_disk(), (enum sim_op)world_below(SIM_RESERVE + 1), 1 + world_below(20),
		    errors[world_below(3)], world_chance(3));
		break;
	}
	slot_set(&run.heal, world_spread(SECOND, (uint64_t)(20 * MINUTE)), heal, NULL);
}

static void
clock_is_set(void *ctx)
{
	(void)ctx;
	world_trace("the clock is set right");
	world_jump(-run.clock_off);
	run.clock_off = 0;
}

/* Wrong by years, until somebody sets it; or the machine slept: then it stays. */
static void
clock_trouble(void)
{
	static const int64_t jumps[] = { 10 * YEAR, -10 * YEAR, 6 * DAY, DAY, -DAY, 3 * HOUR, -3 * HOUR, SECOND, -SECOND };
	int64_t us = jumps[world_below(sizeof jumps / sizeof jumps[0])];

	if (world_chance(6))
		us = INT64_C(2147483640) * SECOND - world_wall();	/* January 2038 */
	if (run.clock_off != 0)
		return;
	world_trace("the clock jumps by %lld s", (long long)us / SECOND);
	world_jump(us);
	if (us < DAY && us > -DAY)
		return;
	letters_clock_is_wrong();
	run.clock_off = us;
	slot_set(&run.clock, world_spread(SECOND, (uint64_t)(3 * HOUR)), clock_is_set, NULL);
}

static void
room_trouble(void)
{
	enum house_room room = (enum house_room)world_below(HOUSE_ROOMS);
	unsigned index = (unsigned)world_below(2);

	switch (world_below(5)) {
	case 0:
		house_stop(room, index);
		break;
	case 1:
		house_pause(room, index, world_spread(SECOND, 200 * SECOND));
		break;
	case 2:
		house_kill(room, index);
		break;
	default:
		house_kill_at_write(room, index, 1 + (unsigned)world_spread(1, 60));
		break;
	}
}

static void
strike(void *ctx)
{
	(void)ctx;
	if (run.faults == 0 || run.calm_now)
		return;
	run.faults--;
	slot_set(&run.fault, world_spread(MS, run.span / 4), strike, NULL);
	switch (world_below(10)) {
	case 0:
		house_power_cut(some_cut());
		break;
	case 1:
		house_power_cut_at_disk((unsigned)world_spread(1, 40), some_cut());
		break;
	case 2:
		house_kill_at_disk((unsigned)world_spread(1, 40));
		break;
	case 3:
		house_kill(HOUSE_QUEUE, 0);
		/* And again while it recovers. */
		house_kill_at_disk((unsigned)world_spread(1, 10));
		break;
	case 4:
		house_replace_line();
		break;
	case 5:
		disk_trouble();
		break;
	case 6:
		clock_trouble();
		break;
	case 7:
		internet_outage();
		break;
	default:
		room_trouble();
		break;
	}
}

static void
next_client(void *ctx)
{
	(void)ctx;
	if (run.clients == 0)
		return;
	run.clients--;
	client_comes();
	slot_set(&run.client, run.calm_now ? world_below(SECOND) : world_spread(MS, run.span / 10), next_client, NULL);
}

static void
calm(void *ctx)
{
	(void)ctx;
	world_trace("calm");
	run.calm_now = true;
	internet_calm();
	others_trouble(0);
	clients_trouble(0);
	slot_clear(&run.heal);
	heal(NULL);
}

/* --- one run --- */

static void
set_up(uint64_t seed, bool verbose)
{
	static const uint64_t segments[] = { 64 * 1024, 256 * 1024, 1024 * 1024 };
	struct house_params params;

	world_begin(seed, verbose);
	net_begin();
	letters_begin();
	clients_begin();
	memset(&run, 0, sizeof run);
	params = (struct house_params){ .smtpds = 1 + (unsigned)world_below(2), .delivers = 1 + (unsigned)world_below(2),
	    .segment_size = segments[world_below(3)], .big_message = world_spread(4096, 256 * 1024),
	    .retry_first = world_spread(30000, 600000), .retry_max = 3600 * 1000, .expire = (uint64_t)(5 * DAY) / MS,
	    .expire_bounce = (uint64_t)(2 * DAY) / MS };
	letters_set_expiry(params.expire * MS);
	internet_begin(1 + (unsigned)world_below(5));
	internet_trouble(world_chance(4) ? 0 : (unsigned)world_spread(8, 400));
	others_trouble(world_chance(2) ? 0 : (unsigned)world_spread(10, 400));
	clients_trouble(world_chance(3) ? 0 : (unsigned)world_spread(20, 400));
	house_begin(&params);
	run.blocks_at_first = house_queue_blocks();
	run.span = world_spread(10 * SECOND, (uint64_t)(6 * HOUR));
	run.clients = 3 + (unsigned)world_below(CLIENTS_MAX);
	run.faults = world_chance(6) ? 0 : 1 + (unsigned)world_below(FAULTS_MAX);
	slot_set(&run.client, 0, next_client, NULL);
	slot_set(&run.fault, world_spread(MS, run.span / 2), strike, NULL);
	slot_set(&run.calm, run.span, calm, NULL);
}

static bool
is_over(void)
{
	return run.calm_now && run.clients == 0 && clients_here() == 0 && house_is_up() && house_queue_is_idle();
}

/* What was acknowledged has arrived or was reported, what was not is seen by nobody: letters_check().
 * shows: RFC5321 2.1/1, RFC5321 4.2.5/1, RFC5321 4.2.5/2, RFC5321 4.2.5/4, RFC5321 4.1.1.4/9, RFC5321 4.4/21 */
static void
check_end(void)
{
	/* Segments, buffers of lines that had something to carry, tables that have grown. */
	enum { BLOCKS_SLACK = 40 };

	letters_check();
	if (!house_queue_takes_mail())
		world_fail("the queue takes no mail, though its disk is well");
	if (house_queue_blocks() > run.blocks_at_first + BLOCKS_SLACK)
		world_fail("the queue is empty and holds %zu pieces of memory, %zu at its start", house_queue_blocks(),
		    run.blocks_at_first);
}

static uint64_t
run_seed(uint64_t seed, bool verbose, struct totals *t)
{
	uint64_t limit, hash;

	set_up(seed, verbose);
	limit = world_now() + run.span + (uint64_t)(8 * DAY);
	while (!is_over() && world_failure() == NULL && world_now() < limit && world_step())
		;
	if (world_failure() == NULL && !is_over())
		world_fail("it does not come to an end: %" PRIu64 " messages are queued, %u recipients are open, %u clients",
		    house_queued(), letters_open(), clients_here());
	/* What was given to the servers last is on its way. */
	for (uint64_t end = world_now() + 60 * SECOND; world_failure() == NULL && world_now() < end && world_step();)
		;
	if (world_failure() == NULL)
		check_end();
	hash = world_hash();
	t->runs++;
	t->letters += letters_count();
	t->accepted += letters_accepted();
	t->crashes += house_crashes();
	if (world_failure() != NULL) {
		t->broken++;
		(void)printf("# seed %" PRIu64 ": %s\n# again: tests/sim/sim_life %" PRIu64 " -v\n", seed, world_failure(), seed);
		(void)fflush(stdout);
	}
	letters_end();
	house_end();
	net_end();
	world_end();
	return hash;
}

/* --- all runs --- */

static void
sum_up(const struct totals *t, double took)
{
	(void)printf("# %" PRIu64 " runs, %" PRIu64 " letters, %" PRIu64 " accepted, %" PRIu64 " crashes, %" PRIu64
	    " broken, %.1f s: %.0f lives a minute\n", t->runs, t->letters, t->accepted, t->crashes, t->broken, took,
	    (double)t->accepted * 60 / (took > 0 ? took : 1));
}

static int
check_program(void)
{
	struct totals t = { .runs = 0 }, again = { .runs = 0 };
	double began = world_real_seconds();
	bool same = true;

	(void)printf("1..2\n");
	for (uint64_t seed = 1; seed <= CHECK_SEEDS; seed++) {
		uint64_t hash = run_seed(seed, false, &t);

		if (seed % 25 == 0)
			same = run_seed(seed, false, &again) == hash && same;
	}
	sum_up(&t, world_real_seconds() - began);
	(void)printf("%s 1 - every promise was kept\n", t.broken == 0 ? "ok" : "not ok");
	(void)printf("%s 2 - the same seed gives the same run\n", same ? "ok" : "not ok");
	return t.broken == 0 && same ? 0 : 1;
}

static const char usage[] = "usage: sim_life                   a short check of both promises, as TAP\n"
    "       sim_life SEED [-v]         one run, with -v everything that happens in it\n"
    "       sim_life -n FIRST COUNT    so many seeds\n"
    "       sim_life -t SECONDS        new seeds until the time is over\n";

int
main(int argc, char **argv)
{
	struct totals t = { .runs = 0 };
	double began = world_real_seconds();
	uint64_t seed, n;

	world_tell_signals();
	if (argc < 2)
		return check_program();
	if (argc == 4 && strcmp(argv[1], "-n") == 0 && world_number(argv[2], &seed) && world_number(argv[3], &n)) {
		for (uint64_t end = seed + n; seed < end; seed++)
			(void)run_seed(seed, false, &t);
	} else if (argc == 3 && strcmp(argv[1], "-t") == 0 && world_number(argv[2], &n)) {
		for (seed = (uint64_t)began * 1000; world_real_seconds() - began < (double)n; seed++)
			(void)run_seed(seed, false, &t);
	} else if (argc <= 3 && world_number(argv[1], &seed) && (argc == 2 || strcmp(argv[2], "-v") == 0)) {
		(void)printf("# hash %016" PRIx64 "\n", run_seed(seed, argc == 3, &t));
	} else {
		(void)fputs(usage, stderr);
		return 64;
	}
	sum_up(&t, world_real_seconds() - began);
	return t.runs > 0 && t.broken == 0 ? 0 : 1;
}
