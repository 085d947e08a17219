/* tests/fuzz/fuzz_room_master.c -- the master, root, below rooms that send anything and die at any moment. No process is started:
 * fork() and kill() are the target's own, and what would be a room's end of its line is ours.
 *
 * reload finds no configuration, so that one is refused each time; stop and selftest are carried out. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/clock.h"

#include "common/sandbox/probe.h"
#include "master/child.h"
#include "master/reload.h"
#include "master/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIDS_MAX = 64, PID_FIRST = 1000, PROBES_MAX = 4 };

/* Processes that were never started. pid 0: a free place. */
static struct {
	pid_t pid;
	struct fuzz_end *end;	/* NULL: not given one yet */
	int fd;			/* its end of the line to master, until it is given to end */
	bool killed;
} processes[PIDS_MAX];
static pid_t last_pid;
static int last_pair;
static bool fork_fails;

int
socketpair(int domain, int type, int protocol, int pair[2])
{
	int rc = (int)syscall(SYS_socketpair, domain, type, protocol, pair);

	last_pair = pair[1];
	return rc;
}

pid_t
fork(void)
{
	for (size_t i = 0; i < PIDS_MAX && !fork_fails; i++)
		if (processes[i].pid == 0) {
			processes[i].pid = ++last_pid;
			processes[i].end = NULL;
			processes[i].killed = false;
			processes[i].fd = fcntl(last_pair, F_DUPFD_CLOEXEC, 0);
			return last_pid;
		}
	errno = EAGAIN;
	return -1;
}

int
kill(pid_t pid, int signal)
{
	for (size_t i = 0; i < PIDS_MAX; i++)
		if (processes[i].pid == pid) {
			processes[i].killed = true;
			return 0;
		}
	/* Whoever else is meant, it is not one of ours: a mistake that would hit a stranger. */
	if (signal == SIGKILL)
		abort();
	return (int)syscall(SYS_kill, pid, signal);
}

/* --- probes of a self-test that a sanitizer would not allow: nobody runs these --- */

unsigned probe_count(void) { return PROBES_MAX + 1; }
const char *probe_name(unsigned n) { return n == 0 ? "first" : "another"; }
bool probe_applies(unsigned n, enum role role) { return n < probe_count() && role != ROLE_CLIENT && role != ROLE_MAILBOX; }

enum probe_verdict
probe_run(unsigned n, enum role role, struct buf *text)
{
	(void)n, (void)role, (void)text;
	abort();
}

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	return c;
}

static void
begin(struct fuzz_world *w)
{
	static const enum role rooms[] = { ROLE_LOG, ROLE_CONTROL, ROLE_QUEUE, ROLE_LOCAL };
	struct master *m = calloc(1, sizeof *m);

	if (m == NULL)
		abort();
	memset(processes, 0, sizeof processes);
	last_pid = PID_FIRST;
	fork_fails = false;
	w->room.ctx = m;
	m->loop = w->room.loop;
	m->options.file = "/nowhere/postern.conf";
	m->source.conf = w->room.conf;
	m->options.base = "/nowhere";
	if (paths_choose(&w->room.conf->global, m->options.base, &m->paths) != RC_OK)
		abort();
	m->generation = 1;
	m->phase = PHASE_RUNNING;
	m->ready_fd = -1;
	buf_init(&m->encoded, 1 << 20);
	if (!conf_encode(w->room.conf, &m->encoded))
		abort();
	for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
		if (child_add(m, rooms[i], 0) == NULL)
			abort();
}

/* The process is over: its end of the line closes, and it is reaped, in either order. */
static void
over(struct fuzz_world *w, size_t i, int status, bool reaped_first)
{
	pid_t pid = processes[i].pid;

	if (reaped_first)
		children_reaped(w->room.ctx, pid, status);
	/* What it is told from now on, nobody hears. */
	if (processes[i].end != NULL)
		fuzz_hang_up(processes[i].end);
	else
		(void)close(processes[i].fd);
	if (!reaped_first) {
		loop_turn(w->room.loop, false);
		children_reaped(w->room.ctx, pid, status);
	}
	processes[i].pid = 0;
}

static enum role
role_of(const struct master *m, pid_t pid)
{
	for (const struct child *c = m->children; c != NULL; c = c->next)
		if (c->pid == pid)
			return c->role;
	abort();	/* a process that master has forgotten, and would never reap */
}

static void
count_probes(const struct master *m)
{
	unsigned n = 0;

	for (const struct child *c = m->children; c != NULL; c = c->next)
		n += c->kind == CHILD_PROBE && c->pid != 0;
	if (n > PROBES_MAX)
		abort();
}

/* New processes get one of our ends; those that were killed are over. */
static void
turn(struct fuzz_world *w)
{
	static struct fuzz_end nobody = { .fd = -1 };

	count_probes(w->room.ctx);
	for (size_t i = 0; i < PIDS_MAX; i++) {
		struct fuzz_end *e = NULL;

		if (processes[i].pid == 0)
			continue;
		/* It has closed its line and lives on; the place may be another's by now. */
		if (processes[i].end != NULL && processes[i].end->fd == -1)
			processes[i].end = &nobody;
		if (processes[i].killed) {
			over(w, i, SIGKILL, (processes[i].pid & 1) != 0);
			continue;
		}
		for (size_t k = 0; k < FUZZ_ENDS_MAX && processes[i].end == NULL; k++)
			if (w->ends[k].fd == -1)
				e = &w->ends[k];
		if (e == NULL)
			continue;
		*e = (struct fuzz_end){ .role = role_of(w->room.ctx, processes[i].pid), .fd = processes[i].fd };
		buf_init(&e->in, 2 * IPC_FRAME_MAX);
		processes[i].end = e;
	}
}

/* A process ends by itself, or none can be started any more. */
static void
special(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);
	size_t live[PIDS_MAX], n = 0;

	if (how >= 0xf0) {
		fork_fails = (how & 1) != 0;
		return;
	}
	for (size_t i = 0; i < PIDS_MAX; i++)
		if (processes[i].pid != 0)
			live[n++] = i;
	if (n > 0)
		over(w, live[(how & 15) % n], (how & 0x20) != 0 ? SIGSEGV : (how & 0x10) << 4, (how & 0x40) != 0);
}

static void
end(struct fuzz_world *w)
{
	struct master *m = w->room.ctx;

	fork_fails = true;
	stop_begin(m, "the end of the input");
	for (unsigned i = 0; i < 20; i++) {
		for (size_t k = 0; k < PIDS_MAX; k++)
			if (processes[k].pid != 0)
				over(w, k, 0, false);
		fuzz_clock_pass(60 * 1000);
		fuzz_settle(w);
	}
	if (m->selftest != NULL || m->stop_step != 5)
		abort();	/* it would not have ended */
	while (m->children != NULL) {
		struct child *c = m->children;

		if (c->pid != 0 || c->line != NULL)
			abort();
		child_retire(c, 0);
		if (m->children == c)
			abort();
	}
	timer_cancel(&m->stop_timer);
	timer_cancel(&m->watchdog);
	log_attach(NULL);
	peer_free(m->log);
	buf_free(&m->encoded);
	paths_free(&m->paths);
	free(m);
}

static const struct room_ops ops = { .role = ROLE_MASTER };
static const struct fuzz_room def = {
	.role = ROLE_MASTER, .ops = &ops, .conf = conf, .start = begin, .turn = turn, .special = special, .end = end,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
