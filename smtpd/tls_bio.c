/* smtpd/tls_bio.c -- see tls_bio.h. */
#include "smtpd/tls_bio.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Its data is no pointer: the descriptor, and a bit that says whether writes are gathered. */
static int
fd_of(BIO *b)
{
	return (int)((intptr_t)BIO_get_data(b) >> 1);
}

static bool
gathers(BIO *b)
{
	return ((intptr_t)BIO_get_data(b) & 1) != 0;
}

static void
set(BIO *b, int fd, bool gather)
{
	BIO_set_data(b, (void *)((intptr_t)fd << 1 | (intptr_t)gather));
}

/* What both directions answer: 1 with a count, or 0 and a retry. An error of the socket is the end of the connection, like
 * a clean one without close_notify. */
static int
answer(BIO *b, ssize_t n, size_t *ret_n, void (*retry)(BIO *b))
{
	BIO_clear_retry_flags(b);
	if (n > 0) {
		*ret_n = (size_t)n;
		return 1;
	}
	*ret_n = 0;
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		retry(b);
	return 0;
}

static void retry_read(BIO *b) { BIO_set_retry_read(b); }
static void retry_write(BIO *b) { BIO_set_retry_write(b); }

static int
bio_read(BIO *b, char *to, size_t max, size_t *ret_n)
{
	ssize_t n = recv(fd_of(b), to, max, 0);

	if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	return answer(b, n, ret_n, retry_read);
}

static int
bio_write(BIO *b, const char *from, size_t size, size_t *ret_n)
{
	return answer(b, send(fd_of(b), from, size, MSG_NOSIGNAL | (gathers(b) ? MSG_MORE : 0)), ret_n, retry_write);
}

static long
bio_ctrl(BIO *b, int command, long number, void *pointer)
{
	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:	/* nothing is held back here */
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

BIO_METHOD *
tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "session");

	if (m == NULL)
		return NULL;
	if (BIO_meth_set_read_ex(m, bio_read) == 1 && BIO_meth_set_write_ex(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

BIO *
tls_bio_new(const BIO_METHOD *method, int fd)
{
	BIO *b = BIO_new(method);

	if (b == NULL)
		return NULL;
	set(b, fd, false);
	BIO_set_init(b, 1);
	return b;
}

void
tls_bio_gather(BIO *b)
{
	set(b, fd_of(b), true);
}
