/* tests/master/test_run_lock.c -- one master an installation, and what it tells about itself: nothing of the run before. */
#include "master/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/folder.h"

static char folder[64], file[96];
static struct buf why, seen;

static int
set_up(void **state)
{
	(void)state;
	folder_template(folder, sizeof folder, "run-lock");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(file, sizeof file, "%s/lock", folder);
	buf_init(&why, 4096);
	buf_init(&seen, 64 * 1024);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(file);
	(void)rmdir(folder);
	buf_free(&why);
	buf_free(&seen);
	return 0;
}

/* --- what others see while the text is being written --- */

static bool looking;		/* at every write, before and behind it */
static bool half;		/* a write takes only half of what it is given */
static unsigned writes, looks_with_text;

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n);

static void
look(void)
{
	struct buf text = BUF_INIT(64 * 1024);

	if (looking)
		looks_with_text += run_lock_read(folder, &text);
	buf_free(&text);
}

ssize_t
__wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t done;

	look();
	writes++;
	done = __real_pwrite(fd, p, half && n > 1 ? n / 2 : n, at);
	look();
	return done;
}

int
__wrap_ftruncate(int fd, off_t n)
{
	int status;

	look();
	status = __real_ftruncate(fd, n);
	look();
	return status;
}

/* --- */

static void
expect_seen(const char *text)
{
	char want[256];

	buf_clear(&seen);
	assert_true(run_lock_read(folder, &seen));
	(void)snprintf(want, sizeof want, "%ld\n%s", (long)getpid(), text);
	assert_string_equal(buf_cstr(&seen), want);
}

static void
the_text_is_that_of_the_master_that_runs(void **state)
{
	int lock = -1, second = -1;

	(void)state;
	assert_false(run_lock_read(folder, &seen));
	assert_int_equal(run_lock_take(folder, &lock, &why), RC_OK);
	assert_false(run_lock_read(folder, &seen));	/* it has not told yet */
	assert_int_equal(run_lock_tell(lock, S("state-dir = /a\n"), &why), RC_OK);
	expect_seen("state-dir = /a\n");
	/* Another one is told so, and changes nothing. */
	assert_int_equal(run_lock_take(folder, &second, &why), RC_EXISTS);
	assert_non_null(strstr(buf_cstr(&why), "/lock is locked: another Postern runs here; posternctl stop ends it"));
	assert_int_equal(second, -1);
	expect_seen("state-dir = /a\n");
	(void)close(lock);
	buf_clear(&seen);
	assert_false(run_lock_read(folder, &seen));	/* the text is there, its master is not */
	assert_int_equal(buf_len(&seen), 0);
}

/* The next run has the lock while the text of this one stands in the file. */
static void
the_text_of_the_run_before_is_not_seen(void **state)
{
	int lock = -1;

	(void)state;
	assert_int_equal(run_lock_take(folder, &lock, &why), RC_OK);
	assert_int_equal(run_lock_tell(lock, S("state-dir = /long/ago\nuid-base = 1\n"), &why), RC_OK);
	(void)close(lock);
	assert_int_equal(run_lock_take(folder, &lock, &why), RC_OK);
	assert_false(run_lock_read(folder, &seen));
	looking = half = true;
	looks_with_text = 0;
	assert_int_equal(run_lock_tell(lock, S("state-dir = /now\n"), &why), RC_OK);
	looking = half = false;
	assert_int_equal(looks_with_text, 0);
	expect_seen("state-dir = /now\n");
	(void)close(lock);
}

static void
a_short_write_goes_on(void **state)
{
	int lock = -1;

	(void)state;
	assert_int_equal(run_lock_take(folder, &lock, &why), RC_OK);
	half = true;
	writes = 0;
	assert_int_equal(run_lock_tell(lock, S("state-dir = /here\n"), &why), RC_OK);
	half = false;
	assert_true(writes > 2);
	expect_seen("state-dir = /here\n");
	(void)close(lock);
}

/* A disk that takes a part and then no more: the reason is told, and what was written is not taken for the text. */
static void
a_short_write_that_cannot_go_on_is_told(void **state)
{
	static const struct rlimit small = { 10, 10 };
	int status, lock = -1;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool ok = signal(SIGXFSZ, SIG_IGN) != SIG_ERR && run_lock_take(folder, &lock, &why) == RC_OK &&
		    setrlimit(RLIMIT_FSIZE, &small) == 0 && run_lock_tell(lock, S("state-dir = /here\n"), &why) != RC_OK &&
		    strstr(buf_cstr(&why), "run-dir: its file \"lock\" cannot be written: File too large") != NULL &&
		    !run_lock_read(folder, &seen);

		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
a_text_that_is_too_long_is_told(void **state)
{
	static char text[16 * 1024];
	int lock = -1;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(run_lock_take(folder, &lock, &why), RC_OK);
	assert_int_equal(run_lock_tell(lock, slice_of(text, sizeof text), &why), RC_RANGE);
	assert_non_null(strstr(buf_cstr(&why), "too long"));
	assert_false(run_lock_read(folder, &seen));
	(void)close(lock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_text_is_that_of_the_master_that_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_text_of_the_run_before_is_not_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_write_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_write_that_cannot_go_on_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_text_that_is_too_long_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
