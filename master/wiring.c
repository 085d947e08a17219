/* master/wiring.c -- the lines between the rooms, see wiring.h. */
#include "master/wiring.h"

#include "common/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	enum role a, b;
} lines[] = {
	{ ROLE_SMTPD, ROLE_ROUTER },	/* may this client send from here to there */
	{ ROLE_SMTPD, ROLE_RESOLVER },	/* the client's name */
	{ ROLE_SMTPD, ROLE_QUEUE },	/* messages */
	{ ROLE_SMTPD, ROLE_VAULT },	/* signatures for TLS */
	{ ROLE_SMTPD, ROLE_AUTH },	/* who is this client */
	{ ROLE_QUEUE, ROLE_ROUTER },	/* where does this go now */
	{ ROLE_QUEUE, ROLE_DELIVER },	/* jobs and results */
	{ ROLE_QUEUE, ROLE_LOCAL },
	{ ROLE_DELIVER, ROLE_RESOLVER }, /* mail routes */
	{ ROLE_CONTROL, ROLE_QUEUE },	/* what the administrator asks */
	{ ROLE_CONTROL, ROLE_ROUTER },
	{ ROLE_CONTROL, ROLE_AUTH },	/* what users have sent */
	{ ROLE_CONTROL, ROLE_LOG },
};

/* Is there a line between these two rooms? Every room has one to log. */
static bool
wiring_allows(enum role a, enum role b)
{
	if (a == b)
		return false;
	if (a == ROLE_LOG || b == ROLE_LOG)
		return true;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if ((lines[i].a == a && lines[i].b == b) || (lines[i].a == b && lines[i].b == a))
			return true;
	return false;
}

static bool
make_line(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0)
		return true;
	log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a line between rooms"), F_TEXT("error", strerror(errno)));
	return false;
}

/* Takes fd over. */
static void
send_end(struct child *to, enum role them, unsigned index, int fd)
{
	struct m_line m = { (uint8_t)them, (uint16_t)index };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	(void)m_line_put(&w, &m);
	(void)outbox_put(&to->outbox, M_LINE, 0, slice_of(space, w.n), fd);
}

/* --- our own line to log --- */

static void
log_closed(void *ctx, struct peer *p, const char *why)
{
	struct master *m = ctx;

	(void)why;
	if (m->log == p) {
		m->log = NULL;
		log_attach(NULL);
	}
	peer_free(p);
}

static const struct peer_ops log_ops = { .closed = log_closed };

static void
connect_ourselves(struct child *log)
{
	struct master *m = log->master;
	struct peer *old = m->log;
	int fds[2];

	if (!make_line(fds))
		return;
	send_end(log, ROLE_MASTER, 0, fds[0]);
	m->log = peer_new(m->loop, fds[1], ROLE_MASTER, ROLE_LOG, 0, &log_ops, m);
	log_attach(m->log);
	peer_free(old);
}

void
wiring_connect(struct child *c)
{
	if (c->role == ROLE_LOG)
		connect_ourselves(c);
	for (struct child *o = c->master->children; o != NULL; o = o->next) {
		int fds[2];

		if (o == c || o->kind == CHILD_PROBE || !child_running(o) || !wiring_allows(c->role, o->role) || !make_line(fds))
			continue;
		send_end(c, o->role, o->index, fds[0]);
		send_end(o, c->role, c->index, fds[1]);
	}
}

int
wiring_mailbox(struct child *c)
{
	struct child *log = child_find(c->master, ROLE_LOG, 0);
	int fds[2];

	if (log != NULL && child_running(log) && make_line(fds)) {
		send_end(c, ROLE_LOG, 0, fds[0]);
		send_end(log, ROLE_MAILBOX, c->index, fds[1]);
	}
	if (!make_line(fds))
		return -1;
	send_end(c, ROLE_LOCAL, c->spawn_index, fds[0]);
	return fds[1];
}
