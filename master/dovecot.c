/* master/dovecot.c -- see dovecot.h. Where to is in the configuration alone: the room says only that it wants a connection. */
#include "master/dovecot.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
say_failed(struct child *auth, uint32_t handle, enum rc status, const char *why)
{
	struct m_connect_failed m = { (uint8_t)status, slice_first(slice_str(why), 500) };
	uint8_t space[1024];
	struct wr w = { space, 0, sizeof space, false };

	if (m_connect_failed_put(&w, &m))
		(void)outbox_put(&auth->outbox, M_CONNECT_FAILED, handle, slice_of(space, w.n), -1);
}

/* Never waits: a socket whose queue of connections is full says EAGAIN. */
static int
open_socket(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd, error;

	if (n > DOVECOT_PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static void
give(struct child *auth, uint32_t handle, uint32_t generation, int fd)
{
	struct m_connected m = { generation };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	(void)m_connected_put(&w, &m);
	(void)outbox_put(&auth->outbox, M_CONNECTED, handle, slice_of(space, w.n), fd);
}

const char *
dovecot_on_connect(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *auth = ctx;
	const struct master *master = auth->master;
	const char *path = master->source.conf->auth.dovecot;
	uint64_t now = loop_now(master->loop);
	struct m_connect m;
	int s;

	(void)p, (void)fd;
	if (!m_connect_get(body, &m))
		return "malformed M_CONNECT";
	/* A room that is on its way to another generation asks again. */
	if (*path == '\0' || m.generation != master->generation) {
		say_failed(auth, handle, RC_AGAIN, "the configuration has changed");
		return NULL;
	}
	if (auth->connected != 0 && now - auth->connected < DOVECOT_PAUSE_MS) {
		say_failed(auth, handle, RC_AGAIN, "it was tried a moment ago");
		return NULL;
	}
	auth->connected = now == 0 ? 1 : now;
	s = open_socket(path);
	if (s == -1)
		say_failed(auth, handle, rc_from_errno(errno), strerror(errno));
	else
		give(auth, handle, m.generation, s);
	return NULL;
}
