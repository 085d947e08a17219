/* deliver/connection.c -- see connection.h. */
#include "deliver/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void
connection_init(struct connection *c)
{
	*c = (struct connection){ .fd = -1 };
}

/* deliver { source }: the first of the family; port 0, chosen late so that many connections can share few ports. */
static bool
bind_source(int fd, const struct conf_deliver *conf, uint8_t family)
{
	static const int on = 1;

	for (size_t i = 0; i < conf->source.n; i++) {
		struct sockaddr_storage from;
		struct ip ip;

		if (ip_parse(slice_str(conf->source.v[i]), &ip) != RC_OK || ip.family != family)
			continue;
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		return bind(fd, (const struct sockaddr *)&from, ip_to_sockaddr(ip, 0, &from)) == 0;
	}
	return true;
}

static enum rc
fail_start(struct connection *c, int fd)
{
	c->error = errno;
	(void)close(fd);
	return RC_IO;
}

enum rc
connection_start(struct connection *c, struct loop *loop, const struct conf_deliver *conf, struct ip to, uint16_t port,
    watch_fn *on_ready, void *ctx)
{
	static const int on = 1;
	struct sockaddr_storage address;
	socklen_t len = ip_to_sockaddr(to, port, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1) {
		c->error = errno;
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS ? RC_AGAIN : RC_IO;
	}
	/* What is written is whole pipelines: waiting for more would only delay the last part of each. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (!bind_source(fd, conf, to.family))
		return fail_start(c, fd);
	if (connect(fd, (const struct sockaddr *)&address, len) == -1 && errno != EINPROGRESS && errno != EINTR)
		return fail_start(c, fd);
	c->fd = fd;
	c->error = 0;
	c->owes_quit = false;
	watch_init(&c->watch, loop, fd, on_ready, ctx);
	watch_set(&c->watch, false, true);
	return RC_OK;
}

enum rc
connection_result(struct connection *c)
{
	socklen_t len = sizeof c->error;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->error, &len) == -1)
		c->error = errno;
	c->owes_quit = c->error == 0;
	return c->error == 0 ? RC_OK : RC_IO;
}

bool
connection_is_to_self(const struct connection *c, struct ip to)
{
	struct sockaddr_storage here;
	socklen_t len = sizeof here;
	struct ip ip;

	return getsockname(c->fd, (struct sockaddr *)&here, &len) == 0 && ip_from_sockaddr(&here, len, &ip, NULL) &&
	    ip_eq(ip, to);
}

enum rc
connection_write(struct connection *c, struct buf *out, size_t *ret_n)
{
	*ret_n = 0;
	while (buf_len(out) > 0) {
		struct slice s = buf_slice(out);
		ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return RC_AGAIN;
		if (n == -1) {
			c->error = errno;
			return RC_CLOSED;
		}
		buf_consume(out, (size_t)n);
		*ret_n += (size_t)n;
	}
	return RC_OK;
}

enum rc
connection_read(struct connection *c, uint8_t *space, size_t n, size_t *ret_n)
{
	ssize_t got;

	do
		got = recv(c->fd, space, n, 0);
	while (got == -1 && errno == EINTR);
	if (got > 0) {
		*ret_n = (size_t)got;
		return RC_OK;
	}
	if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return RC_AGAIN;
	c->error = got == 0 ? 0 : errno;
	return RC_CLOSED;
}

void
connection_close(struct connection *c, bool cut)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (c->fd == -1)
		return;
	watch_stop(&c->watch);
	/* RFC 5321 4.1.1.10: no end without QUIT. Nobody waits for its reply here: nothing hangs on it. */
	if (!cut && c->owes_quit)
		(void)send(c->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (cut)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	(void)close(c->fd);
	c->fd = -1;
}
