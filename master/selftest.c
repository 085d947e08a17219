/* master/selftest.c -- the sandbox tried from inside, see selftest.h. */
#include "master/selftest.h"

#include "common/sandbox/probe.h"
#include "master/admin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	AT_ONCE = 4,		/* probe processes at a time */
	PROBE_MS = 20000,	/* for one of them, its start included */
	ROW_MAX = 4096,
};

struct selftest {
	unsigned asker_index;
	uint32_t handle;
	enum role role;		/* the next one to be started: */
	unsigned probe;
	unsigned running;
	unsigned next_index;
};

static void start_more(struct master *m);

static void
row(struct child *c, const char *verdict, struct slice detail)
{
	struct master *m = c->master;
	struct child *control = child_find(m, ROLE_CONTROL, m->selftest->asker_index);
	struct buf b = BUF_INIT(ROW_MAX);
	struct json j;

	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "room", role_name(c->role));
	json_key_text(&j, "probe", probe_name(c->probe));
	json_key_text(&j, "verdict", verdict);
	json_key_str(&j, "detail", slice_first(detail, 512));
	json_end(&j);
	if (json_ok(&j) && control != NULL && child_running(control))
		admin_row(control, m->selftest->handle, &b);
	buf_free(&b);
}

static void
on_timeout(struct timer *t, void *ctx)
{
	(void)t;
	child_kill(ctx);
}

static bool
start_one(struct master *m, enum role role, unsigned probe)
{
	struct child *c = child_make(m, role, 0x8000 + (m->selftest->next_index++ & 0x7fff), CHILD_PROBE);

	if (c == NULL)
		return false;
	c->probe = probe;
	timer_setup(&c->restart, m->loop, on_timeout, c);
	timer_start(&c->restart, PROBE_MS);
	m->selftest->running++;
	if (child_start(c) == RC_OK)
		return true;
	m->selftest->running--;
	return false;
}

static void
finish(struct master *m, enum rc status, const char *text)
{
	struct selftest *s = m->selftest;
	struct child *control = child_find(m, ROLE_CONTROL, s->asker_index);

	m->selftest = NULL;
	if (control != NULL && child_running(control))
		admin_end(control, s->handle, status, text);
	free(s);
}

static void
start_more(struct master *m)
{
	struct selftest *s = m->selftest;

	while (s->running < AT_ONCE && s->role < ROLE_COUNT) {
		enum role role = s->role;
		unsigned probe = s->probe++;

		if (s->probe >= probe_count()) {
			s->probe = 0;
			s->role++;
		}
		if (probe_applies(probe, role) && !start_one(m, role, probe)) {
			finish(m, RC_AGAIN, "no process can be started");
			return;
		}
	}
	if (s->running == 0)
		finish(m, RC_OK, "");
}

static bool
has_probes(const struct master *m)
{
	for (const struct child *c = m->children; c != NULL; c = c->next)
		if (c->kind == CHILD_PROBE)
			return true;
	return false;
}

void
selftest_begin(struct child *control, uint32_t handle, struct slice what)
{
	struct master *m = control->master;

	if (what.n != 0 && !slice_eq(what, S("sandbox"))) {
		admin_end(control, handle, RC_SYNTAX, "there is one self-test: sandbox");
		return;
	}
	/* One that had to be given up may have left processes, which would be counted as ours. */
	if (m->phase != PHASE_RUNNING || m->selftest != NULL || has_probes(m)) {
		admin_end(control, handle, RC_AGAIN, "another self-test is under way");
		return;
	}
	m->selftest = calloc(1, sizeof *m->selftest);
	if (m->selftest == NULL) {
		admin_end(control, handle, RC_NOMEM, "out of memory");
		return;
	}
	m->selftest->asker_index = control->index;
	m->selftest->handle = handle;
	m->selftest->role = ROLE_LOG;
	start_more(m);
}

/* An empty folder stands in for the spool and the log's, so that the room is walled in as it always is. */
static void
send_scratch(struct child *c, enum file_purpose purpose)
{
	struct m_file file = { c->master->generation, (uint8_t)purpose, S("scratch"), slice_str(c->master->paths.scratch) };
	uint8_t space[4096 + 64];
	struct wr w = { space, 0, sizeof space, false };
	int fd = open(c->master->paths.scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1 && m_file_put(&w, &file))
		(void)outbox_put(&c->outbox, M_FILE, 0, slice_of(space, w.n), fd);
	else if (fd != -1)
		(void)close(fd);
}

static void
send_probe(struct child *c)
{
	struct m_probe m = { c->probe };
	uint8_t space[8];
	struct wr w = { space, 0, sizeof space, false };

	if (m_probe_put(&w, &m))
		(void)outbox_put(&c->outbox, M_PROBE, 0, slice_of(space, w.n), -1);
}

void
selftest_send(struct child *c)
{
	/* A probe that comes before M_GO tells the process that it is here for nothing else. */
	send_probe(c);
	if (c->role == ROLE_QUEUE)
		send_scratch(c, FILE_SPOOL);
	if (c->role == ROLE_LOG)
		send_scratch(c, FILE_LOG);
}

void
selftest_ready(struct child *c)
{
	c->probing = true;
	send_probe(c);
}

const char *
selftest_on_probed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *c = ctx;
	struct m_probed m;

	(void)p, (void)handle, (void)fd;
	if (!m_probed_get(body, &m) || c->kind != CHILD_PROBE || m.probe != c->probe || !c->probing || c->answered)
		return "malformed or unexpected M_PROBED";
	c->answered = true;
	if (c->master->selftest != NULL && m.verdict != PROBE_VOID)
		row(c, m.verdict == PROBE_DENIED ? "denied" : "FAIL", m.text);
	child_kill(c);
	return NULL;
}

void
selftest_gone(struct child *c)
{
	struct master *m = c->master;
	struct buf cause = BUF_INIT(4096);

	if (m->selftest == NULL)
		return;
	if (!c->answered) {
		bool filter = WIFSIGNALED(c->wait_status) && WTERMSIG(c->wait_status) == SIGSYS && c->probing;

		row(c, filter ? "killed" : "FAIL", slice_str(child_cause(c, &cause)));
	}
	buf_free(&cause);
	m->selftest->running--;
	start_more(m);
}
