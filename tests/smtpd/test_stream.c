/* tests/smtpd/test_stream.c -- what a session's bytes look like on the wire. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "smtpd/stream.h"
#include "smtpd/tls_bio.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ends of a connection over the loopback device, both without Nagle's algorithm. */
static void
connection(int *ret_ours, int *ret_theirs)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t n = sizeof at;

	assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
	*ret_theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_theirs, (struct sockaddr *)&at, n), 0);
	*ret_ours = accept(listener, NULL, NULL);
	assert_int_not_equal(*ret_ours, -1);
	assert_int_equal(setsockopt(*ret_ours, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
	(void)close(listener);
}

/* Reads to the end; then: in how many packets did bytes or the end come? */
static unsigned
packets(int fd, const char *expected)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof info;
	char in[64];
	size_t have = 0;
	ssize_t got;

	while ((got = read(fd, in + have, sizeof in - have)) > 0)
		have += (size_t)got;
	assert_int_equal(got, 0);
	assert_int_equal(have, strlen(expected));
	assert_memory_equal(in, expected, have);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	(void)close(fd);
	return info.tcpi_segs_in;
}

static unsigned
plain(bool last)
{
	struct stream st;
	int ours, theirs;
	size_t n;

	connection(&ours, &theirs);
	stream_init(&st, ours);
	assert_int_equal(stream_write(&st, S("221 2.0.0 Bye\r\n"), last, &n), STREAM_OK);
	assert_true(stream_close_write(&st));
	n = packets(theirs, "221 2.0.0 Bye\r\n");
	stream_free(&st);
	return (unsigned)n;
}

/* The last reply, over TLS its goodbye too, and the end. */
static unsigned
gathered(bool last)
{
	BIO_METHOD *method = tls_bio_method();
	unsigned count;
	int ours, theirs;
	BIO *b;

	assert_non_null(method);
	connection(&ours, &theirs);
	b = tls_bio_new(method, ours);
	if (last)
		tls_bio_gather(b);
	assert_int_equal(BIO_write(b, "record", 6), 6);
	assert_int_equal(BIO_write(b, "goodbye", 7), 7);
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	count = packets(theirs, "recordgoodbye");
	BIO_free(b);
	BIO_meth_free(method);
	(void)close(ours);
	return count;
}

static void
last_words_and_the_end_are_one_packet(void **state)
{
	(void)state;
	assert_int_equal(plain(false) - plain(true), 1);
	assert_int_equal(gathered(false) - gathered(true), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_and_the_end_are_one_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
