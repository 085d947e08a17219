/* master/mailbox.c -- mailbox processes, see mailbox.h.
 *
 * The name comes from local, which may have been broken into: nothing is done with it here but to pass it on. The new
 * process itself looks the account up before it locks itself up, and refuses root and everything below min-uid. */
#include "master/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
say_failed(struct child *local, uint32_t handle, enum rc status, const char *why)
{
	struct m_spawn_failed m = { (uint8_t)status, slice_first(slice_str(why), 500) };
	uint8_t space[1024];
	struct wr w = { space, 0, sizeof space, false };

	if (local != NULL && child_running(local) && m_spawn_failed_put(&w, &m))
		(void)outbox_put(&local->outbox, M_SPAWN_FAILED, handle, slice_of(space, w.n), -1);
}

/* Who asked for this process. NULL: it has died. Its successor may have a request of the same handle, for another user:
 * it must never be given this one's mailbox. */
static struct child *
local_of(const struct child *c)
{
	struct child *local = child_find(c->master, ROLE_LOCAL, c->spawn_index);

	return local != NULL && local->pid == c->spawn_pid ? local : NULL;
}

/* Names its line to log. False: there are as many as there may be. */
static bool
free_index(struct master *m, unsigned *ret_index)
{
	static unsigned last;
	unsigned n = 0;

	for (const struct child *c = m->children; c != NULL; c = c->next)
		n += c->kind == CHILD_MAILBOX;
	last = (last + 1) & 0x7fff;
	*ret_index = last;
	return n < MAILBOX_PROCESSES_MAX;
}

static bool
is_name(struct slice user)
{
	if (user.n == 0 || user.n > MAILBOX_USER_MAX)
		return false;
	for (size_t i = 0; i < user.n; i++)
		if (user.p[i] <= ' ' || user.p[i] >= 0x7f || user.p[i] == '/' || user.p[i] == ':')
			return false;
	return true;
}

static void
on_life_over(struct timer *t, void *ctx)
{
	(void)t;
	child_kill(ctx);
}

const char *
mailbox_on_spawn(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *local = ctx, *c;
	struct m_spawn m;
	unsigned index;

	(void)p, (void)fd;
	if (!m_spawn_get(body, &m))
		return "malformed M_SPAWN";
	if (!is_name(m.user)) {
		say_failed(local, handle, RC_NOTFOUND, "no account can have this name");
		return NULL;
	}
	if (!free_index(local->master, &index)) {
		say_failed(local, handle, RC_AGAIN, "too many mailbox processes");
		return NULL;
	}
	c = child_make(local->master, ROLE_MAILBOX, index, CHILD_MAILBOX);
	if (c == NULL) {
		say_failed(local, handle, RC_NOMEM, "out of memory");
		return NULL;
	}
	c->spawn_handle = handle;
	c->spawn_index = local->index;
	c->spawn_pid = local->pid;
	c->user = strndup((const char *)m.user.p, m.user.n);
	if (c->user == NULL) {
		child_retire(c, 0);
		say_failed(local, handle, RC_NOMEM, "out of memory");
		return NULL;
	}
	timer_setup(&c->restart, c->master->loop, on_life_over, c);
	timer_start(&c->restart, MAILBOX_LIFE_TIMEOUTS * local->master->source.conf->local.timeout + MAILBOX_LIFE_MORE_MS);
	if (child_start(c) != RC_OK)
		say_failed(local, handle, RC_AGAIN, "no process can be started");
	return NULL;
}

void
mailbox_ready(struct child *c)
{
	struct child *local = local_of(c);
	struct m_spawned m = { (uint32_t)c->pid };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	(void)m_spawned_put(&w, &m);
	if (local == NULL || !child_running(local) || c->spawn_fd == -1) {
		child_kill(c);
		return;
	}
	(void)outbox_put(&local->outbox, M_SPAWNED, c->spawn_handle, slice_of(space, w.n), c->spawn_fd);
	c->spawn_fd = -1;
}

void
mailbox_gone(struct child *c)
{
	struct buf cause = BUF_INIT(4096);

	if (c->spawn_fd == -1)
		return;		/* local sees its line close */
	say_failed(local_of(c), c->spawn_handle, c->refused == RC_OK ? RC_AGAIN : c->refused,
	    c->why != NULL ? c->why : child_cause(c, &cause));
	buf_free(&cause);
}
