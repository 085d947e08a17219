/* tests/common/test_ipc.c -- every message between rooms: what is cut short or too long is refused, and so is a sender
 * that has no business with it. */
#include "common/buf.h"
#include "common/ipc/peer.h"
#include "tests/wire/check.h"

#include <sys/socket.h>
#include <unistd.h>

/* A body of any bytes that the decoder takes, made from a zeroed struct with every string set. */
#define IPC_T_u8(v)	(v) = 3;
#define IPC_T_u16(v)	(v) = 0x1234;
#define IPC_T_u32(v)	(v) = 0x12345678;
#define IPC_T_u64(v)	(v) = UINT64_C(0x123456789abcdef0);
#define IPC_T_str(v)	(v) = S("text\0\xff");
#define IPC_T_ip(v)	(v).family = 4; (v).b[0] = 192;
#define IPC_T_msgid(v)	(v) = (struct msgid){ 1, 2, 3 };
#define FILL(type, name) IPC_T_##type(m.name)

#define TEST_CODEC(NAME, lower, no, from, to, fds)						\
static void											\
codec_##lower(void **state)									\
{												\
	uint8_t space[512], again[512];								\
	struct wr w = { space, 0, sizeof space, false }, w2 = { again, 0, sizeof again, false };	\
	struct lower m, back;									\
												\
	(void)state;										\
	memset(&m, 0, sizeof m);								\
	memset(&back, 0, sizeof back);							\
	NAME##_FIELDS(FILL)									\
	assert_true(lower##_put(&w, &m));							\
	assert_int_equal(w.n, lower##_size(&m));						\
	struct rd whole = { slice_of(space, w.n), false };					\
	assert_true(lower##_get(&whole, &back));						\
	assert_true(lower##_put(&w2, &back));							\
	assert_true(slice_eq(slice_of(space, w.n), slice_of(again, w2.n)));			\
	for (size_t n = 0; n < w.n; n++) {							\
		struct rd cut = { slice_of(space, n), false };					\
		assert_false(lower##_get(&cut, &back));						\
	}											\
	struct rd trailing = { slice_of(space, w.n + 1), false };				\
	assert_false(lower##_get(&trailing, &back));						\
	struct wr small = { again, 0, w.n - 1, false };						\
	assert_false(lower##_put(&small, &m));							\
}
IPC_MESSAGES(TEST_CODEC)

static void
every_number_is_taken_once(void **state)
{
	size_t n = 0, rows = 0;

	(void)state;
#define ONE_ROW(NAME, lower, no, from, to, fds) rows++; assert_string_equal(ipc_info[no].name, #NAME);
	IPC_MESSAGES(ONE_ROW)
	for (size_t i = 0; i < IPC_TYPE_MAX; i++)
		n += ipc_info[i].name != NULL;
	assert_int_equal(n, rows);
}

/* --- the line itself --- */

static void
frame(uint8_t *out, uint32_t len, uint16_t type, uint16_t zero)
{
	struct wr w = { out, 0, IPC_HEADER, false };

	wr_u32(&w, len);
	wr_u16(&w, type);
	wr_u16(&w, zero);
	wr_u32(&w, 7);
}

static enum rc
read_one(const uint8_t *bytes, size_t n, enum role us, enum role them)
{
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	struct frame f;
	int pair[2];
	enum rc rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[0], bytes, n), (ssize_t)n);
	(void)close(pair[0]);
	rc = frame_read_blocking(pair[1], us, them, &b, &f);
	(void)close(pair[1]);
	buf_free(&b);
	return rc;
}

static void
frames_that_break_the_rules(void **state)
{
	uint8_t f[IPC_HEADER + 4] = { 0 };

	(void)state;
	frame(f, IPC_HEADER + 4, Q_CREDIT, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_OK);
	assert_int_equal(read_one(f, sizeof f - 1, ROLE_SMTPD, ROLE_QUEUE), RC_CLOSED);
	frame(f, IPC_HEADER + 4, Q_CREDIT, 1);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_SYNTAX);
	frame(f, IPC_HEADER - 1, Q_CREDIT, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_SYNTAX);
	frame(f, IPC_FRAME_MAX + 1, Q_CREDIT, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_SYNTAX);
	frame(f, IPC_HEADER + 4, IPC_TYPE_MAX, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_SYNTAX);
	frame(f, IPC_HEADER + 4, 0, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_QUEUE), RC_SYNTAX);
	/* A descriptor is asked for and none came. */
	frame(f, IPC_HEADER + 4, M_LINE, 0);
	assert_int_equal(read_one(f, sizeof f, ROLE_SMTPD, ROLE_MASTER), RC_SYNTAX);
}

/* For every message and every pair of rooms: taken exactly when the table says so. */
static void
only_who_may_say_it_is_heard(void **state)
{
	(void)state;
	for (uint16_t type = 0; type < IPC_TYPE_MAX; type++) {
		const struct ipc_info *info = &ipc_info[type];

		if (info->name == NULL || info->fds != 0)
			continue;
		for (int them = ROLE_MASTER; them < ROLE_COUNT; them++)
			for (int us = ROLE_MASTER; us < ROLE_COUNT; us++) {
				bool legal = (info->from & ROLE_BIT(them)) != 0 && (info->to & ROLE_BIT(us)) != 0;
				uint8_t f[IPC_HEADER];

				frame(f, IPC_HEADER, type, 0);
				if ((read_one(f, sizeof f, (enum role)us, (enum role)them) == RC_OK) != legal)
					fail_msg("%s from %s to %s", info->name, role_name((enum role)them),
					    role_name((enum role)us));
			}
	}
}

/* --- a line that is full --- */

static unsigned n_closed, n_drained;

static void
on_closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx, (void)p, (void)why;
	n_closed++;
}

static void
on_drained(void *ctx, struct peer *p)
{
	(void)ctx, (void)p;
	n_drained++;
}

static unsigned
put_aborts(struct peer *p, unsigned max)
{
	struct q_abort m = { 0 };
	unsigned n = 0;

	while (n < max && q_abort_send(p, n + 1, &m) == RC_OK)
		n++;
	return n;
}

/* What ends something finds room where nothing else does; that has an end too, and all of it arrives in its order. */
static void
a_full_line_takes_what_is_small(void **state)
{
	static const struct peer_ops ops = { .closed = on_closed, .drained = on_drained };
	static uint8_t bytes[IPC_CONTENT_CHUNK];
	const struct q_chunk chunk = { slice_of(bytes, sizeof bytes) };
	const size_t small = IPC_HEADER + q_abort_size(&(struct q_abort){ 0 });
	struct loop *loop = loop_new();
	struct buf got = BUF_INIT(2 * PEER_BACKLOG_MAX);
	unsigned n_chunks = 0, n_aborts;
	struct peer *p;
	int pair[2];

	(void)state;
	assert_non_null(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	p = peer_new(loop, pair[0], ROLE_SMTPD, ROLE_QUEUE, 0, &ops, NULL);
	assert_non_null(p);
	while (q_chunk_send(p, 9, &chunk) == RC_OK)
		n_chunks++;
	assert_int_equal(peer_room(p), 0);
	n_aborts = put_aborts(p, UINT32_MAX);
	assert_true(n_aborts * small + small > PEER_RESERVE);
	assert_true(n_aborts * small <= PEER_RESERVE + IPC_FRAME_MAX);
	assert_int_equal(q_chunk_send(p, 9, &chunk), RC_AGAIN);
	assert_true(peer_alive(p));
	while (peer_backlog(p) > 0) {
		uint8_t space[65536];
		ssize_t n;

		peer_flush(p);
		while ((n = read(pair[1], space, sizeof space)) > 0)
			assert_true(buf_put(&got, space, (size_t)n));
	}
	assert_int_equal(n_drained, 1);
	assert_int_equal(q_chunk_send(p, 9, &chunk), RC_OK);
	assert_int_equal(buf_len(&got), n_chunks * (IPC_HEADER + q_chunk_size(&chunk)) + n_aborts * small);
	for (unsigned i = 0; i < n_aborts; i++) {
		struct rd r = { slice_from(buf_slice(&got), buf_len(&got) - (n_aborts - i) * small), false };

		assert_int_equal(rd_u32(&r), small);
		assert_int_equal(rd_u16(&r), Q_ABORT);
		(void)rd_u16(&r);
		assert_int_equal(rd_u32(&r), i + 1);
	}
	assert_int_equal(n_closed, 0);
	buf_free(&got);
	peer_free(p);
	(void)close(pair[1]);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CODEC_ROW(NAME, lower, no, from, to, fds) cmocka_unit_test(codec_##lower),
		IPC_MESSAGES(CODEC_ROW)
		cmocka_unit_test(every_number_is_taken_once),
		cmocka_unit_test(frames_that_break_the_rules),
		cmocka_unit_test(only_who_may_say_it_is_heard),
		cmocka_unit_test(a_full_line_takes_what_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
