/* tests/common/test_file.c -- whole files: to the byte of the limit, from the beginning, and with their errors. */
#include "common/file.h"
#include "tests/folder.h"
#include "tests/wire/check.h"

#include <errno.h>
#include <unistd.h>

enum { BYTES = 40000 };

static uint8_t content[BYTES];

/* A file with so many bytes, its offset at its end. */
static int
file_of(size_t n)
{
	char path[256];
	int fd;

	folder_template(path, sizeof path, "file");
	fd = mkstemp(path);
	assert_int_not_equal(fd, -1);
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < n; i++)
		content[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(write(fd, content, n), n);
	return fd;
}

static void
a_file_goes_into_the_callers_room(void **state)
{
	static uint8_t room[BYTES];
	int fd = file_of(1000);
	size_t n = 7;

	(void)state;
	assert_int_equal(file_read(fd, room, sizeof room, &n), RC_OK);
	assert_int_equal(n, 1000);
	assert_memory_equal(room, content, 1000);
	/* No more than there is room for. */
	memset(room, 0xee, sizeof room);
	assert_int_equal(file_read(fd, room, 10, &n), RC_OK);
	assert_int_equal(n, 10);
	assert_memory_equal(room, content, 10);
	assert_int_equal(room[10], 0xee);
	(void)close(fd);
	n = 7;
	assert_int_equal(file_read(fd, room, sizeof room, &n), RC_IO);
	assert_int_equal(errno, EBADF);
	assert_int_equal(n, 7);
}

static void
a_buffer_takes_a_file_up_to_its_ceiling(void **state)
{
	static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, BYTES };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf exact = BUF_INIT(sizes[i] + 3), small = BUF_INIT(sizes[i] == 0 ? 0 : sizes[i] - 1);
		int fd = file_of(sizes[i]);

		assert_true(buf_put_str(&exact, "abc"));	/* what is there already stays */
		assert_int_equal(file_read_buf(fd, &exact), RC_OK);
		assert_int_equal(buf_len(&exact), sizes[i] + 3);
		assert_memory_equal(buf_slice(&exact).p, "abc", 3);
		if (sizes[i] > 0)
			assert_memory_equal(buf_slice(&exact).p + 3, content, sizes[i]);
		assert_false(exact.failed);
		assert_int_equal(file_read_buf(fd, &small), sizes[i] == 0 ? RC_OK : RC_RANGE);
		if (sizes[i] > 0)
			assert_int_equal(errno, EFBIG);
		(void)close(fd);
		buf_free(&exact);
		buf_free(&small);
	}
}

static void
what_cannot_be_read_says_so(void **state)
{
	struct buf b = BUF_INIT(100);
	int ends[2], fd = file_of(10);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(file_read_buf(ends[0], &b), RC_IO);	/* a pipe has no beginning to go back to */
	assert_int_equal(errno, ESPIPE);
	(void)close(ends[0]);
	(void)close(ends[1]);
	b.failed = true;
	assert_int_equal(file_read_buf(fd, &b), RC_NOMEM);
	assert_int_equal(errno, ENOMEM);
	buf_free(&b);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_goes_into_the_callers_room),
		cmocka_unit_test(a_buffer_takes_a_file_up_to_its_ceiling),
		cmocka_unit_test(what_cannot_be_read_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
