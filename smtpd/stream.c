/* smtpd/stream.c -- see stream.h. */
#include "smtpd/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void
stream_init(struct stream *st, int fd)
{
	*st = (struct stream){ .fd = fd };
}

void
stream_free(struct stream *st)
{
	tls_free(&st->tls);
	st->secure = false;
	if (st->fd != -1)
		(void)close(st->fd);
	st->fd = -1;
}

/* --- plain --- */

static bool
is_later(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static enum stream_status
plain_read(const struct stream *st, uint8_t *to, size_t max, size_t *ret_n)
{
	ssize_t n = recv(st->fd, to, max, 0);

	if (n > 0) {
		*ret_n = (size_t)n;
		return STREAM_OK;
	}
	return n == 0 ? STREAM_END : is_later(errno) ? STREAM_AGAIN : STREAM_LOST;
}

static enum stream_status
plain_write(const struct stream *st, struct slice bytes, bool last, size_t *ret_n)
{
	ssize_t n;

	do
		n = send(st->fd, bytes.p, bytes.n, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
	while (n == -1 && errno == EINTR);
	if (n >= 0) {
		*ret_n = (size_t)n;
		return STREAM_OK;
	}
	return is_later(errno) ? STREAM_AGAIN : STREAM_LOST;
}

/* --- both --- */

static enum stream_status
status_of(enum tls_status status)
{
	switch (status) {
	case TLS_DONE:
		return STREAM_OK;
	case TLS_READS:
	case TLS_WRITES:
	case TLS_WAITS:
		return STREAM_AGAIN;
	case TLS_CLOSED:
		return STREAM_END;
	case TLS_FAILED:
		break;
	}
	return STREAM_LOST;
}

enum stream_status
stream_read(struct stream *st, uint8_t *to, size_t max, size_t *ret_n)
{
	enum tls_status status;

	if (!st->secure)
		return plain_read(st, to, max, ret_n);
	status = tls_read(st->tls, to, max, ret_n, &st->more);
	st->writes_to_read = status == TLS_WRITES;
	return status_of(status);
}

enum stream_status
stream_write(struct stream *st, struct slice bytes, bool last, size_t *ret_n)
{
	return st->secure ? status_of(tls_write(st->tls, bytes, last, ret_n)) : plain_write(st, bytes, last, ret_n);
}

bool
stream_has_more(const struct stream *st)
{
	uint8_t byte;

	return st->more || recv(st->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool
stream_is_lost(const struct stream *st)
{
	uint8_t byte;

	return recv(st->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EWOULDBLOCK &&
	    errno != EINTR;
}

bool
stream_close_write(struct stream *st)
{
	if (st->secure)
		tls_say_goodbye(st->tls);
	tls_free(&st->tls);
	st->secure = st->more = st->writes_to_read = false;
	return shutdown(st->fd, SHUT_WR) == 0;
}

enum stream_status
stream_drain(struct stream *st, uint8_t *landing, size_t max, size_t *ret_n)
{
	*ret_n = 0;
	return plain_read(st, landing, max, ret_n);
}

/* --- TLS --- */

enum rc
stream_prepare_tls(struct stream *st, struct tls_listener *listener, void (*woken)(void *ctx), void *ctx)
{
	BUG_ON(st->tls != NULL);
	return tls_new(listener, st->fd, woken, ctx, &st->tls);
}

enum tls_status
stream_shake(struct stream *st)
{
	enum tls_status status = tls_shake(st->tls, &st->more);

	st->secure = status == TLS_DONE;
	return status;
}

const char *
stream_tls_trouble(const struct stream *st)
{
	return st->tls == NULL ? "" : tls_trouble(st->tls);
}

const struct tls_facts *
stream_tls(const struct stream *st)
{
	return st->secure ? tls_facts(st->tls) : NULL;
}

const struct tls_certificate *
stream_client_certificate(const struct stream *st)
{
	return st->secure ? tls_facts(st->tls)->client : NULL;
}

bool
stream_channel_binding(const struct stream *st, enum tls_binding type, struct buf *out)
{
	return st->secure && tls_binding(st->tls, type, out);
}
