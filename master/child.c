/* master/child.c -- one process of one room, see child.h. */
#include "master/child.h"

#include "common/log.h"
#include "master/admin.h"
#include "master/dovecot.h"
#include "master/mailbox.h"
#include "master/reload.h"
#include "master/selftest.h"
#include "master/stop.h"
#include "master/wiring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WHY_MAX = 1024,			/* bytes of a refusal: what a room itself sends, and what a cause has space for */
	ROOM_MASTER_FD = 3,		/* where a room looks for its line to us: common/room.c */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 10000,
	HEALTHY_MS = 30000,		/* a process that lived so long starts again at once */
	CONFIG_PART = 64 * 1024,
};

static void child_gone(struct child *c);

/* --- lists --- */

struct child *
child_make(struct master *m, enum role role, unsigned index, enum child_kind kind)
{
	struct child *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->master = m;
	c->role = role;
	c->index = index;
	c->kind = kind;
	c->spawn_fd = -1;
	c->next = m->children;
	m->children = c;
	return c;
}

static void
child_free(struct child *c)
{
	struct child **at = &c->master->children;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	timer_cancel(&c->restart);
	if (c->line != NULL)
		outbox_clear(&c->outbox);
	peer_free(c->line);
	if (c->spawn_fd != -1)
		(void)close(c->spawn_fd);
	free(c->user);
	free(c->why);
	free(c);
}

struct child *
child_find(struct master *m, enum role role, unsigned index)
{
	for (struct child *c = m->children; c != NULL; c = c->next)
		if (c->kind == CHILD_ROOM && c->role == role && c->index == index)
			return c;
	return NULL;
}

bool
child_running(const struct child *c)
{
	return c->pid != 0 && c->line != NULL;
}

const char *
child_state_name(const struct child *c)
{
	static const char *const names[] = {
		[CHILD_DOWN] = "down", [CHILD_STARTING] = "starting", [CHILD_READY] = "ready", [CHILD_STOPPING] = "stopping",
	};

	return names[c->state];
}

const char *
child_cause(const struct child *c, struct buf *to)
{
	if (WIFSIGNALED(c->wait_status))
		(void)buf_printf(to, "killed by SIG%s", sigabbrev_np(WTERMSIG(c->wait_status)));
	else
		(void)buf_printf(to, "exit status %d", WEXITSTATUS(c->wait_status));
	if (c->why != NULL)
		(void)buf_printf(to, ": %s", c->why);
	return buf_cstr(to);
}

/* --- frames from the room --- */

static const char *
on_ready(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *c = ctx;
	struct m_ready m;

	(void)p, (void)handle, (void)fd;
	if (!m_ready_get(body, &m))
		return "malformed M_READY";
	if (m.status != RC_OK) {
		free(c->why);
		c->why = strndup((const char *)m.why.p, m.why.n < WHY_MAX ? m.why.n : WHY_MAX);
		c->refused = (enum rc)m.status;
		reload_refused(c->master, c);
		return NULL;
	}
	c->generation = m.generation;
	if (c->state == CHILD_STARTING) {
		c->state = CHILD_READY;
		certificates_ready(c);
		if (c->kind == CHILD_MAILBOX)
			mailbox_ready(c);
		else if (c->kind == CHILD_PROBE)
			selftest_ready(c);
	}
	reload_progress(c->master);
	return NULL;
}

/* The room broke the rules (why), or its process is at its end. */
static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct child *c = ctx;

	(void)p;
	if (why != NULL) {
		log_say(LOG_PEER_DROPPED, NULL, F_TEXT("room", role_name(c->role)), F_U64("index", c->index), F_TEXT("why", why));
		child_kill(c);
	}
	outbox_clear(&c->outbox);
	peer_free(c->line);
	c->line = NULL;
	if (c->pid == 0)
		child_gone(c);
}

static const struct peer_ops line_ops = {
	.on = {
		[M_READY] = on_ready,
		[M_PROBED] = selftest_on_probed,
		[M_SPAWN] = mailbox_on_spawn,
		[M_CONNECT] = dovecot_on_connect,
		[M_CERTIFICATES_TAKEN] = certificates_on_taken,
		[M_USERS_TAKEN] = users_watch_on_taken,
		[A_REQUEST] = admin_on_request,
	},
	.closed = line_closed,
};

/* --- start --- */

static _Noreturn void
become_room(const struct child *c, int fd)
{
	char path[512], number[16], name[64];
	char *argv[] = { name, number, NULL };
	char *envp[] = { NULL };
	/* NOLINTNEXTLINE(android-cloexec-open): it may get number 0 at once; the room closes what it does not know */
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	(void)snprintf(path, sizeof path, "%s/%s", POSTERN_LIBEXECDIR, role_program(c->role));
	(void)snprintf(name, sizeof name, "%s", role_program(c->role));
	(void)snprintf(number, sizeof number, "%u", c->index);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* A group of its own: Ctrl-C in a terminal is for the master, who stops the rooms in order. */
	(void)setpgid(0, 0);
	if (null != STDIN_FILENO && null != -1)
		(void)dup2(null, STDIN_FILENO);
	if (fd == ROOM_MASTER_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else
		(void)dup2(fd, ROOM_MASTER_FD);
	(void)execve(path, argv, envp);
	(void)dprintf(STDERR_FILENO, "postern: cannot run %s: %s; is the installation complete?\n", path, strerror(errno));
	_exit(78);	/* EX_CONFIG */
}

static enum rc
fork_room(struct child *c)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
		return rc_from_errno(errno);
	pid = fork();
	if (pid == 0)
		become_room(c, fds[1]);
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return RC_AGAIN;
	}
	c->pid = pid;
	c->line = peer_new(c->master->loop, fds[0], ROLE_MASTER, c->role, c->index, &line_ops, c);
	if (c->line == NULL) {
		child_kill(c);
		return RC_NOMEM;
	}
	outbox_setup(&c->outbox, c->master->loop, c->line);
	return RC_OK;
}

static void
send_config(struct child *c)
{
	struct slice all = buf_slice(&c->master->encoded);
	uint8_t space[CONFIG_PART + 64];

	for (size_t at = 0; at < all.n; at += CONFIG_PART) {
		struct m_config m = { c->master->generation, (uint32_t)all.n, (uint32_t)at,
		    slice_first(slice_from(all, at), CONFIG_PART) };
		struct wr w = { space, 0, sizeof space, false };

		if (!m_config_put(&w, &m))
			BUG("a part of the configuration does not fit its frame");
		(void)outbox_put(&c->outbox, M_CONFIG, 0, slice_of(space, w.n), -1);
	}
}

static void
send_file(struct child *c, enum file_purpose purpose, const char *name, const char *path, int fd)
{
	struct m_file m = { c->master->generation, (uint8_t)purpose, slice_str(name), slice_str(path) };
	uint8_t space[8192];
	struct wr w = { space, 0, sizeof space, false };
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy == -1 || !m_file_put(&w, &m)) {
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a descriptor for a room"), F_TEXT("error", strerror(errno)));
		if (copy != -1)
			(void)close(copy);
		return;
	}
	/* The offset is shared by all duplicates, and an earlier reader has moved it. */
	if (purpose == FILE_TABLE || purpose == FILE_HINTS)
		(void)lseek(copy, 0, SEEK_SET);
	(void)outbox_put(&c->outbox, M_FILE, 0, slice_of(space, w.n), copy);
}

void
child_send_authorities(struct child *c)
{
	const struct conf *conf = c->master->source.conf;

	for (size_t i = 0; i < conf->n_listeners && c->role == ROLE_SMTPD; i++) {
		const struct authority *a = *conf->listeners[i].client_ca == '\0' ? NULL :
		    certificates_authority(c->master, conf->listeners[i].title);

		if (a != NULL)
			send_file(c, FILE_CLIENT_CA, a->title, a->path, a->fd);
	}
}

/* again: it has had those of an earlier generation. The memory of counts is mapped before the first stranger comes and its
 * descriptor closed; whoever has broken in since must not get it again. What users have sent the auth room keeps open. */
static void
send_files(struct child *c, bool again)
{
	const struct ware *w = NULL;

	while ((w = wares_next(&c->master->wares, c->role, w)) != NULL)
		if (!again || (w->purpose != FILE_COUNTS && w->purpose != FILE_USAGE))
			send_file(c, w->purpose, w->name, w->path, w->fd);
	child_send_authorities(c);
}

static void
send_go(struct child *c)
{
	struct m_go m = { c->master->generation, c->master->accounts[c->role].uid, c->master->accounts[c->role].gid,
	    slice_str(c->master->paths.empty) };
	uint8_t space[4096 + 64];
	struct wr w = { space, 0, sizeof space, false };

	if (!m_go_put(&w, &m))
		BUG("M_GO does not fit its frame");
	(void)outbox_put(&c->outbox, M_GO, 0, slice_of(space, w.n), -1);
}

static void
send_mailbox(struct child *c)
{
	struct m_mailbox m = { slice_str(c->user) };
	uint8_t space[1024];
	struct wr w = { space, 0, sizeof space, false };

	if (m_mailbox_put(&w, &m))
		(void)outbox_put(&c->outbox, M_MAILBOX, 0, slice_of(space, w.n), -1);
}

void
child_send_generation(struct child *c)
{
	send_config(c);
	send_files(c, true);
	send_go(c);
}

static void
send_first(struct child *c)
{
	send_config(c);
	switch (c->kind) {
	case CHILD_ROOM:
		wiring_connect(c);
		send_files(c, false);
		certificates_send_first(c);
		break;
	case CHILD_MAILBOX:
		c->spawn_fd = wiring_mailbox(c);
		send_mailbox(c);
		break;
	case CHILD_PROBE:
		selftest_send(c);
		break;
	}
	send_go(c);
}

static void
plan_restart(struct child *c)
{
	uint64_t lived = loop_now(c->master->loop) - c->since;

	if (lived >= HEALTHY_MS)
		c->backoff = 0;
	else
		c->backoff = c->backoff == 0 ? BACKOFF_FIRST_MS : c->backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS :
		    c->backoff * 2;
	timer_start(&c->restart, c->backoff);
}

static void
on_restart(struct timer *t, void *ctx)
{
	struct child *c = ctx;

	(void)t;
	c->restarts++;
	(void)child_start(c);
}

enum rc
child_start(struct child *c)
{
	enum rc rc;

	c->since = loop_now(c->master->loop);
	c->state = CHILD_STARTING;
	c->generation = 0;
	c->refused = RC_OK;
	free(c->why);
	c->why = NULL;
	rc = fork_room(c);
	if (rc == RC_OK) {
		if (c->kind == CHILD_ROOM && c->restarts > 0)
			log_say(LOG_ROOM_STARTED, NULL, F_TEXT("room", role_name(c->role)), F_U64("index", c->index),
			    F_U64("pid", (uint64_t)c->pid));
		send_first(c);
		return RC_OK;
	}
	c->state = CHILD_DOWN;
	log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a process cannot be started"), F_TEXT("error", rc_name(rc)));
	if (c->kind == CHILD_ROOM)
		plan_restart(c);
	else if (c->pid == 0)
		child_free(c);
	return rc;
}

struct child *
child_add(struct master *m, enum role role, unsigned index)
{
	struct child *c = child_make(m, role, index, CHILD_ROOM);

	if (c == NULL)
		return NULL;
	timer_setup(&c->restart, m->loop, on_restart, c);
	(void)child_start(c);
	return c;
}

/* --- end --- */

void
child_send_stop(struct child *c, uint32_t grace_ms)
{
	struct m_stop m = { grace_ms };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	timer_cancel(&c->restart);
	if (!child_running(c) || c->state == CHILD_STOPPING)
		return;
	/* One that is still starting reads nothing but its start. */
	if (c->state == CHILD_STARTING)
		child_kill(c);
	c->state = CHILD_STOPPING;
	if (m_stop_put(&w, &m))
		(void)outbox_put(&c->outbox, M_STOP, 0, slice_of(space, w.n), -1);
}

void
child_retire(struct child *c, uint32_t grace_ms)
{
	c->surplus = true;
	if (c->pid == 0 && c->line == NULL)
		child_free(c);
	else
		child_send_stop(c, grace_ms);
}

void
child_kill(struct child *c)
{
	if (c->pid != 0)
		(void)kill(c->pid, SIGKILL);
}

void
children_reaped(struct master *m, pid_t pid, int status)
{
	for (struct child *c = m->children; c != NULL; c = c->next)
		if (c->pid == pid) {
			c->pid = 0;
			c->wait_status = status;
			if (c->line == NULL)
				child_gone(c);
			return;
		}
}

static void
room_died(struct child *c)
{
	struct buf cause = BUF_INIT(4096);

	plan_restart(c);
	log_say(LOG_ROOM_DIED, NULL, F_TEXT("room", role_name(c->role)), F_U64("index", c->index),
	    F_TEXT("cause", child_cause(c, &cause)), F_U64("restart_in", c->backoff));
	buf_free(&cause);
}

/* Reaped, and its line is closed. */
static void
child_gone(struct child *c)
{
	struct master *m = c->master;
	bool asked = c->state == CHILD_STOPPING;

	c->state = CHILD_DOWN;
	if (c->kind == CHILD_MAILBOX)
		mailbox_gone(c);
	else if (c->kind == CHILD_PROBE)
		selftest_gone(c);
	if (c->kind != CHILD_ROOM || c->surplus) {
		child_free(c);
		if (m->phase == PHASE_STOPPING)
			stop_progress(m);
		else if (m->phase == PHASE_RUNNING)
			reload_progress(m);
		return;
	}
	if (m->phase == PHASE_STOPPING)
		stop_progress(m);
	else if (m->phase == PHASE_STARTING)
		stop_failed_start(m, c);
	else {
		if (!asked)
			room_died(c);
		else
			plan_restart(c);
		reload_progress(m);
	}
}
