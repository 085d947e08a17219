/* tests/sim/house.c -- see house.h. */
#include "tests/sim/house.h"

#include "common/room.h"
#include "deliver/deliver.h"
#include "queue/queue.h"
#include "queue/spool_io.h"
#include "smtpd/smtpd.h"
#include "tests/sim/letters.h"
#include "tests/sim/others.h"

#include <stdlib.h>
#include <string.h>

enum {
	RESTART_MIN = 20 * MS,
	RESTART_MAX = 10 * SECOND,
	POWER_OFF = 20 * SECOND,
	GRACE_MS = 30 * 1000,
	ROOMS_MAX = 3 + HOUSE_SMTPDS_MAX + HOUSE_DELIVERS_MAX,
};

struct room_proc {
	struct proc proc;		/* first */
	const struct room_ops *ops;
	size_t ctx_bytes;
	struct room room;
	struct slot restart, wake;
	struct sock *listener;		/* smtpd */
	struct slot pump;		/* queue: the disk's turn */
	bool stopping, paused;
};

static struct {
	struct house_params params;
	struct room_proc rooms[ROOMS_MAX];
	unsigned n;
	struct sim_disk *disk;
	struct spool_io_ops disk_ops;
	const struct spool_io_ops *sim_ops;
	uint64_t delay_min, delay_max;
	uint64_t crashes;
	enum sim_cut cut_how;
	bool cut_is_power, cut_armed;
	struct slot power;
	bool powerless;
} h;

/* --- deliver's main.c, without a process --- */

static enum rc
deliver_prepare(struct room *room, struct buf *why)
{
	(void)why;
	deliver_init(room->ctx, room->loop, room->conf);
	return RC_OK;
}

static void
deliver_line(struct room *room, enum role them, unsigned index, int fd)
{
	deliver_take_line(room->ctx, them, index, fd);
}

static void
deliver_stopped(void *ctx)
{
	struct room *room = ctx;
	struct deliver *d = room->ctx;

	if (d->queue != NULL)
		peer_flush(d->queue);
	room_exit(room);
}

static void
deliver_ask_stop(struct room *room, uint32_t grace_ms)
{
	(void)grace_ms;
	deliver_stop(room->ctx, deliver_stopped, room);
}

static const struct room_ops deliver_ops = { .role = ROLE_DELIVER, .prepare = deliver_prepare, .line = deliver_line,
	.stop = deliver_ask_stop };

/* --- what the queue asks of its process --- */

int __wrap_room_take_file(struct room *room, enum file_purpose purpose, struct slice name);
struct spool_io *__wrap_spool_io_real(int dir);
enum rc __wrap_store_threads_start(struct store *store);

int
__wrap_room_take_file(struct room *room, enum file_purpose purpose, struct slice name)
{
	(void)room, (void)name;
	return purpose == FILE_COUNTS ? -1 : 0;
}

struct spool_io *
__wrap_spool_io_real(int dir)
{
	(void)dir;
	return sim_disk_io(h.disk);
}

enum rc
__wrap_store_threads_start(struct store *store)
{
	(void)store;
	return RC_OK;
}

static int64_t
disk_now(struct spool_io *io)
{
	(void)io;
	return world_wall();
}

/* What is written and synced is written down, so that a 250 without it is seen. */
static ssize_t
disk_pwritev(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at)
{
	ssize_t put = h.sim_ops->pwritev(io, fd, v, n, at);

	for (int i = 0; put > 0 && i < n; i++)
		letters_written(fd, slice_of(v[i].iov_base, v[i].iov_len));
	return put;
}

static int
disk_datasync(struct spool_io *io, int fd)
{
	int rc = h.sim_ops->datasync(io, fd);

	if (rc == 0)
		letters_synced(fd);
	return rc;
}

static void
use_disk(struct sim_disk *disk)
{
	struct spool_io *io = sim_disk_io(disk);

	h.disk = disk;
	h.sim_ops = io->ops;
	h.disk_ops = *io->ops;
	h.disk_ops.now = disk_now;
	h.disk_ops.pwritev = disk_pwritev;
	h.disk_ops.datasync = disk_datasync;
	io->ops = &h.disk_ops;
}

/* --- rooms --- */

static struct queue *
queue_of(void)
{
	return h.rooms[0].room.ctx;
}

static struct room_proc *
room_at(enum house_room room, unsigned index)
{
	static const enum role roles[HOUSE_ROOMS] = { [HOUSE_QUEUE] = ROLE_QUEUE, [HOUSE_SMTPD] = ROLE_SMTPD,
		[HOUSE_DELIVER] = ROLE_DELIVER, [HOUSE_ROUTER] = ROLE_ROUTER, [HOUSE_RESOLVER] = ROLE_RESOLVER };

	for (unsigned i = 0; i < h.n; i++)
		if (h.rooms[i].proc.role == roles[room] && h.rooms[i].proc.index == index)
			return &h.rooms[i];
	return NULL;
}

static char *
text(const char *s)
{
	char *copy = strdup(s);

	BUG_ON(copy == NULL);
	return copy;
}

static struct conf *
make_conf(void)
{
	struct conf *c = conf_new();

	BUG_ON(c == NULL);
	free(c->global.hostname);
	c->global.hostname = text("mx.sim.test");
	c->generation = 1;
	c->queue.segment_size = h.params.segment_size;
	c->queue.big_message = h.params.big_message;
	c->queue.min_free = h.params.min_free;
	c->queue.retry_first = h.params.retry_first;
	c->queue.retry_max = h.params.retry_max;
	c->queue.expire = h.params.expire;
	c->queue.expire_bounce = h.params.expire_bounce;
	c->queue.delay_notice = h.params.expire / 8;
	if (conf_list_add(&c->smtpd.report_clients, S("0.0.0.0/0")) != RC_OK ||
	    conf_list_add(&c->smtpd.report_clients, S("::/0")) != RC_OK)
		world_fail("no memory for the configuration");
	return c;
}

/* Which rooms talk to each other: master/wiring.c. */
static bool
are_wired(enum role a, enum role b)
{
	static const enum role pairs[][2] = { { ROLE_SMTPD, ROLE_ROUTER }, { ROLE_SMTPD, ROLE_RESOLVER },
		{ ROLE_SMTPD, ROLE_QUEUE }, { ROLE_QUEUE, ROLE_ROUTER }, { ROLE_QUEUE, ROLE_DELIVER },
		{ ROLE_DELIVER, ROLE_RESOLVER } };

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if ((pairs[i][0] == a && pairs[i][1] == b) || (pairs[i][0] == b && pairs[i][1] == a))
			return true;
	return false;
}

static void
hand_line(struct room_proc *to, const struct room_proc *them, int fd)
{
	struct proc *before = world_enter(&to->proc);

	to->ops->line(&to->room, them->proc.role, them->proc.index, fd);
	(void)world_enter(before);
	loop_kick(to->proc.loop, 0);
}

static void
draw_line(struct room_proc *a, struct room_proc *b)
{
	int fds[2];

	net_pair(&a->proc, &b->proc, fds);
	hand_line(a, b, fds[0]);
	hand_line(b, a, fds[1]);
}

static void room_start(void *ctx);
static bool has_died(struct room_proc *r);

static void
room_dies(struct room_proc *r, const char *how)
{
	if (!r->proc.alive)
		return;
	world_trace("%s is dead (%s)", r->proc.name, how);
	r->proc.alive = r->proc.dying = r->stopping = r->paused = false;
	r->proc.dies_at_write = 0;
	slot_clear(&r->pump);
	slot_clear(&r->wake);
	loop_quiet(r->proc.loop);
	net_close_all(&r->proc);
	proc_free_memory(&r->proc);
	r->proc.loop = NULL;
	r->room = (struct room){ .ctx = NULL };
	if (!h.powerless && (r->proc.role == ROLE_QUEUE || r->proc.role == ROLE_DELIVER))
		h.crashes++;
	slot_set(&r->restart, world_spread(RESTART_MIN, RESTART_MAX), room_start, r);
}

/* The queue's process is gone, but not the machine: the disk keeps what the kernel has. */
static void
queue_dies(const char *how)
{
	struct room_proc *r = &h.rooms[0];

	room_dies(r, how);
	sim_disk_reopen(h.disk);
	letters_cut();
	h.cut_armed = false;
}

static void
room_start(void *ctx)
{
	struct room_proc *r = ctx;
	struct buf why = BUF_INIT(1024);
	struct proc *before = world_enter(&r->proc);
	enum rc rc = RC_OK;

	world_trace("%s starts", r->proc.name);
	r->proc.alive = true;
	r->proc.loop = loop_new();
	r->room = (struct room){ .ops = r->ops, .loop = r->proc.loop, .conf = make_conf(), .index = r->proc.index,
	    .ctx = calloc(1, r->ctx_bytes) };
	BUG_ON(r->proc.loop == NULL || r->room.ctx == NULL);
	if (r->ops->prepare != NULL)
		rc = r->ops->prepare(&r->room, &why);
	if (rc == RC_OK && r->ops->threads != NULL)
		rc = r->ops->threads(&r->room, &why);
	BUG_ON(rc != RC_OK);
	if (r->ops->start != NULL)
		r->ops->start(&r->room);
	(void)world_enter(before);
	if (r->proc.role == ROLE_QUEUE && sim_disk_is_dead(h.disk)) {
		(void)has_died(r);	/* while it recovered */
		return;
	}
	for (unsigned i = 0; i < h.n; i++)
		if (h.rooms[i].proc.alive && &h.rooms[i] != r && are_wired(r->proc.role, h.rooms[i].proc.role))
			draw_line(r, &h.rooms[i]);
	before = world_enter(&r->proc);
	if (r->listener != NULL)
		r->ops->file(&r->room, &(struct m_file){ .generation = 1, .purpose = FILE_LISTENER, .name = S("mx") },
		    net_listener_fd(r->listener, &r->proc));
	if (r->ops->adopt != NULL)
		(void)r->ops->adopt(&r->room, NULL);
	(void)world_enter(before);
	loop_kick(r->proc.loop, 0);
}

static void
power_returns(void *ctx)
{
	(void)ctx;
	h.powerless = false;
	world_trace("power is back");
	for (unsigned i = 0; i < h.n; i++)
		slot_set(&h.rooms[i].restart, world_spread(RESTART_MIN, SECOND), room_start, &h.rooms[i]);
}

static void
power_fails(void)
{
	struct sim_disk *found;

	world_blackout = false;
	world_trace("power fails, cut %d", (int)h.cut_how);
	h.cut_armed = h.cut_is_power = false;
	h.powerless = true;
	h.crashes++;
	for (unsigned i = 0; i < h.n; i++) {
		room_dies(&h.rooms[i], "power");
		slot_clear(&h.rooms[i].restart);
	}
	letters_cut();
	found = sim_disk_after_cut(h.disk, h.cut_how, world_random());
	sim_disk_free(h.disk);
	use_disk(found);
	slot_set(&h.power, POWER_OFF, power_returns, NULL);
}

/* After a piece of its work: has it come to an end in there? */
static bool
has_died(struct room_proc *r)
{
	bool is_queue = r->proc.role == ROLE_QUEUE;

	if (is_queue && sim_disk_is_dead(h.disk)) {
		if (h.cut_is_power)
			power_fails();
		else
			queue_dies("at the disk");
	} else if (r->proc.dying || loop_is_stopped(r->proc.loop)) {
		const char *how = r->proc.dying ? "in a turn" : "exit";

		if (is_queue)
			queue_dies(how);
		else
			room_dies(r, how);
	} else
		return false;
	return true;
}

/* --- the disk's turn --- */

static void
pump(void *ctx)
{
	struct room_proc *r = ctx;
	struct queue *q = r->room.ctx;
	struct proc *before = world_enter(&r->proc);

	if (q->store != NULL)
		store_pump(q->store);
	(void)world_enter(before);
	(void)has_died(r);
}

static uint64_t
disk_delay(void)
{
	return h.delay_min + world_below(h.delay_max - h.delay_min + 1);
}

void
loop_turned(struct proc *p)
{
	struct room_proc *r = (struct room_proc *)p;

	if (!has_died(r) && p->role == ROLE_QUEUE && r->pump.index == 0 && !r->paused)
		slot_set(&r->pump, disk_delay(), pump, r);
}

/* --- what happens to them --- */

void
house_kill(enum house_room room, unsigned index)
{
	struct room_proc *r = room_at(room, index);

	if (r == NULL || !r->proc.alive)
		return;
	if (room == HOUSE_QUEUE)
		queue_dies("killed");
	else
		room_dies(r, "killed");
}

void
house_kill_at_write(enum house_room room, unsigned index, unsigned n)
{
	struct room_proc *r = room_at(room, index);

	if (r != NULL && r->proc.alive)
		r->proc.dies_at_write = n;
}

/* While a cut waits for its operation, the disk is dead for the queue from there on; loop_turned sees it. */
static void
arm(unsigned n, bool power, enum sim_cut how)
{
	if (h.cut_armed || h.powerless)
		return;
	h.cut_armed = true;
	h.cut_is_power = power;
	h.cut_how = how;
	sim_disk_cut_after(h.disk, n);
}

void house_kill_at_disk(unsigned n) { arm(n, false, SIM_CUT_ALL); }
void house_power_cut_at_disk(unsigned n, enum sim_cut how) { arm(n, true, how); }

void
house_power_cut(enum sim_cut how)
{
	if (h.powerless)
		return;
	h.cut_how = how;
	power_fails();
}

void
house_stop(enum house_room room, unsigned index)
{
	struct room_proc *r = room_at(room, index);
	struct proc *before;

	if (r == NULL || !r->proc.alive || r->stopping)
		return;
	world_trace("%s is asked to stop", r->proc.name);
	r->stopping = true;
	before = world_enter(&r->proc);
	if (r->ops->stop != NULL)
		r->ops->stop(&r->room, GRACE_MS);
	else
		loop_stop(r->proc.loop);
	(void)world_enter(before);
	loop_kick(r->proc.loop, 0);
}

static void
room_continues(void *ctx)
{
	struct room_proc *r = ctx;

	world_trace("%s goes on", r->proc.name);
	r->paused = false;
	loop_wake(r->proc.loop);
}

void
house_pause(enum house_room room, unsigned index, uint64_t us)
{
	struct room_proc *r = room_at(room, index);

	if (r == NULL || !r->proc.alive || r->paused)
		return;
	world_trace("%s is stopped for %llu ms", r->proc.name, (unsigned long long)us / MS);
	r->paused = true;
	loop_sleep(r->proc.loop);
	slot_set(&r->wake, us, room_continues, r);
}

void
house_replace_line(void)
{
	struct room_proc *a = &h.rooms[world_below(h.n)], *b = &h.rooms[world_below(h.n)];

	if (a == b || !a->proc.alive || !b->proc.alive || !are_wired(a->proc.role, b->proc.role))
		return;
	world_trace("the line between %s and %s is drawn anew", a->proc.name, b->proc.name);
	if (a->proc.role == ROLE_DELIVER || b->proc.role == ROLE_DELIVER)
		h.crashes++;
	draw_line(a, b);
}

struct sim_disk *house_disk(void) { return h.disk; }
uint64_t house_crashes(void) { return h.crashes; }

void
house_disk_delay(uint64_t min, uint64_t max)
{
	h.delay_min = min;
	h.delay_max = max;
	/* What waits for the disk waits by the new measure: a disk that is well does not let somebody wait on for minutes. */
	for (unsigned i = 0; i < h.n; i++)
		if (h.rooms[i].pump.index != 0)
			slot_set(&h.rooms[i].pump, disk_delay(), pump, &h.rooms[i]);
}

/* --- what can be seen --- */

bool
house_is_up(void)
{
	for (unsigned i = 0; i < h.n; i++)
		if (!h.rooms[i].proc.alive)
			return false;
	return queue_of()->recovered && !queue_of()->loading;
}

uint64_t
house_queued(void)
{
	return h.rooms[0].proc.alive && queue_of()->recovered && !queue_of()->loading ? messages_count(&queue_of()->messages) :
	    UINT64_MAX;
}

bool
house_queue_is_idle(void)
{
	const struct queue *q = queue_of();

	return house_queued() == 0 && q->n_drafts == 0 && q->draft_bytes == 0 && q->n_bounces == 0 && q->n_batches == 0 &&
	    q->schedule.n_sessions == 0 && q->questions.n == 0 && q->messages.n_rcpts == 0;
}

bool
house_queue_takes_mail(void)
{
	return house_queued() != UINT64_MAX && store_state(queue_of()->store) == STORE_OK;
}

size_t house_queue_blocks(void) { return h.rooms[0].proc.heap_blocks; }

unsigned
house_sessions(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h.n; i++)
		if (h.rooms[i].proc.role == ROLE_SMTPD && h.rooms[i].proc.alive)
			n += ((struct smtpd *)h.rooms[i].room.ctx)->n_sessions;
	return n;
}

struct sock *
house_listener(unsigned smtpd)
{
	return room_at(HOUSE_SMTPD, smtpd)->listener;
}

unsigned house_smtpds(void) { return h.params.smtpds; }

/* --- all of it --- */

static void
add(const char *name, enum role role, unsigned index, const struct room_ops *ops, size_t ctx_bytes)
{
	struct room_proc *r = &h.rooms[h.n++];

	*r = (struct room_proc){ .proc = { .name = name, .role = role, .index = index }, .ops = ops, .ctx_bytes = ctx_bytes };
	if (role == ROLE_SMTPD)
		r->listener = net_listener((struct ip){ 4, { 100, 0, 0, 1 } }, 25);
	room_start(r);
}

void
house_begin(const struct house_params *params)
{
	static const char *const smtpd_names[] = { "smtpd0", "smtpd1" }, *const deliver_names[] = { "deliver0", "deliver1" };

	memset(&h, 0, sizeof h);
	h.params = *params;
	h.delay_min = 100;
	h.delay_max = 5 * MS;
	use_disk(sim_disk_new(world_random()));
	add("queue", ROLE_QUEUE, 0, &queue_ops, sizeof(struct queue));
	add("router", ROLE_ROUTER, 0, &other_router_ops, 1);
	add("resolver", ROLE_RESOLVER, 0, &other_resolver_ops, 1);
	for (unsigned i = 0; i < params->smtpds; i++)
		add(smtpd_names[i], ROLE_SMTPD, i, &smtpd_ops, sizeof(struct smtpd));
	for (unsigned i = 0; i < params->delivers; i++)
		add(deliver_names[i], ROLE_DELIVER, i, &deliver_ops, sizeof(struct deliver));
}

void
house_end(void)
{
	for (unsigned i = 0; i < h.n; i++) {
		struct room_proc *r = &h.rooms[i];

		if (r->proc.alive)
			loop_quiet(r->proc.loop);
		net_close_all(&r->proc);
		proc_free_memory(&r->proc);
	}
	sim_disk_free(h.disk);
}
