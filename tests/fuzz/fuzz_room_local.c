/* tests/fuzz/fuzz_room_local.c -- the planner of local deliveries between a queue and mailbox processes that say anything, and
 * a master that starts them late, never, or unasked. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/clock.h"

#include "deliver/local.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	c->local.processes_max = 2;
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct local *l = calloc(1, sizeof *l);
	struct buf why = BUF_INIT(1024);

	w->room.ctx = l;
	if (l == NULL || local_ops.prepare(&w->room, &why) != RC_OK)
		abort();
}

/* The queue's line is closed, and so is every line of a mailbox process: nothing may be left. */
static void
end(struct fuzz_world *w)
{
	struct local *l = w->room.ctx;

	for (unsigned i = 0; i < 4 && l->n_sessions > 0; i++) {
		fuzz_clock_pass(3600 * 1000);
		fuzz_settle(w);
	}
	if (l->n_sessions != 0 || l->n_processes != 0 || l->queue != NULL || l->first != NULL)
		abort();
	free(l);
}

static const struct fuzz_room def = {
	.role = ROLE_LOCAL, .ops = &local_ops, .conf = conf, .start = begin, .end = end,
	.lines = { ROLE_MASTER, ROLE_QUEUE },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
