/* tests/master/test_conf_users.c -- the master reads the users file and keeps nothing of it, in its heap or on its stack. */
#include "common/credential.h"
#include "master/conf_users.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/folder.h"

#define HASH "$argon2id$v=19$m=65536,t=2,p=1$"
enum { KEY_TEXT = 44, MASK = 0x5a };

static char path[64];
static struct buf errors;
static struct conf *conf;

/* What must not be found is kept masked, so that looking for it does not find the test's own copy. */
static uint8_t masked_hash[KEY_TEXT], masked_key[KEY_TEXT], masked_raw[SCRAM_KEY_BYTES];

static int
set_up(void **state)
{
	(void)state;
	folder_template(path, sizeof path, "users");
	(void)close(mkstemp(path));
	buf_init(&errors, 1 << 20);
	conf = conf_new();
	assert_non_null(conf);
	free(conf->auth.users_file);
	conf->auth.users_file = strdup(path);
	assert_non_null(conf->auth.users_file);
	/* In base64, bytes that are all the same look alike every four letters. */
	for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
		masked_raw[i] = (uint8_t)((i % 3 == 0 ? 0x4d : i % 3 == 1 ? 0xb2 : 0x71) ^ MASK);
	for (size_t i = 0; i < KEY_TEXT; i++) {
		masked_hash[i] = (uint8_t)("Qz7x"[i % 4] ^ MASK);
		masked_key[i] = (uint8_t)((i == 42 ? 'I' : i == 43 ? '=' : "TbJx"[i % 4]) ^ MASK);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	buf_free(&errors);
	conf_unref(conf);
	return 0;
}

static void
put_masked(FILE *f, const uint8_t *masked, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(fputc(masked[i] ^ MASK, f) != EOF);
}

static void
put_user(FILE *f, const char *name)
{
	(void)fprintf(f, "%s:" HASH "c2FsdHNhbHRzYWx0c2FsdA$", name);
	put_masked(f, masked_hash, KEY_TEXT - 1);
	(void)fprintf(f, ":SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$");
	put_masked(f, masked_key, KEY_TEXT);
	(void)fputc(':', f);
	put_masked(f, masked_key, KEY_TEXT);
	(void)fputc('\n', f);
}

/* By a process of its own, whose memory is gone afterwards: users, then more. */
static void
write_file(unsigned users, const char *more, size_t padding)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		FILE *f = fopen(path, "w");

		for (unsigned i = 0; f != NULL && i < users; i++) {
			char name[16];

			(void)snprintf(name, sizeof name, "user%u", i);
			put_user(f, name);
		}
		if (f != NULL)
			(void)fputs(more, f);
		for (size_t i = 0; f != NULL && i < padding; i++)
			(void)fputc('x', f);
		_exit(f == NULL || fclose(f) != 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool
holds(const uint8_t *bytes, size_t n, const uint8_t *masked, size_t n_masked)
{
	for (size_t i = 0; i + n_masked <= n; i++) {
		size_t k = 0;

		while (k < n_masked && bytes[i + k] == (masked[k] ^ MASK))
			k++;
		if (k == n_masked)
			return true;
	}
	return false;
}

/* One block of what this process may write to. Blocks overlap by more than what is looked for. */
static bool
block_has_secret(int mem, unsigned long at, uint8_t *to, size_t size)
{
	ssize_t n = pread(mem, to, size, (off_t)at);
	bool found = n > 0 && (holds(to, (size_t)n, masked_hash, 24) || holds(to, (size_t)n, masked_key, 24) ||
	    holds(to, (size_t)n, masked_raw, sizeof masked_raw));

	memset(to, 0, size);
	return found;
}

static bool
memory_has_secret(void)
{
	static uint8_t block[64 * 1024];
	static const unsigned long step = sizeof block - 128, most = 256UL << 20;	/* the shadow of a sanitizer is larger */
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	bool found = false;
	char line[512], may[8];

	assert_true(mem != -1 && maps != NULL);
	while (fgets(line, sizeof line, maps) != NULL)
		if (sscanf(line, "%lx-%lx %7s", &from, &to, may) == 3 && may[1] == 'w' && to - from < most)
			for (unsigned long at = from; at < to; at += step)
				found |= block_has_secret(mem, at, block, to - at < sizeof block ? to - at : sizeof block);
	(void)fclose(maps);
	(void)close(mem);
	return found;
}

static void
check(enum rc want, const char *words)
{
	enum rc rc = conf_users_check(conf, &errors);

	assert_false(memory_has_secret());
	if (rc != want)
		fail_msg("%s: %s", rc_name(rc), buf_cstr(&errors));
	if (words == NULL)
		assert_int_equal(buf_len(&errors), 0);
	else if (strstr(buf_cstr(&errors), words) == NULL)
		fail_msg("%s lacks %s", buf_cstr(&errors), words);
}

static void
nothing_is_left_of_a_good_file(void **state)
{
	(void)state;
	write_file(200, "", 0);
	check(RC_OK, NULL);
}

static void
nothing_is_left_of_a_file_that_is_refused(void **state)
{
	(void)state;
	write_file(3, "nobody has a colon\n", 0);
	check(RC_SYNTAX, ":4: this line has no colon");
}

static void
nothing_is_left_when_a_user_comes_twice(void **state)
{
	(void)state;
	write_file(2, "user1:*:\n", 0);
	check(RC_EXISTS, ":3: this line names a user that an earlier line has");
}

static void
nothing_is_left_of_a_hash_that_asks_for_too_much(void **state)
{
	(void)state;
	write_file(1, "", 0);
	conf->auth.max_hash_memory = 1 << 20;
	check(RC_RANGE, ":1: this line asks for more memory");
}

/* The search itself: it finds what is there. */
static void
what_is_left_is_found(void **state)
{
	static uint8_t left[KEY_TEXT];

	(void)state;
	assert_false(memory_has_secret());
	for (size_t i = 0; i < sizeof left; i++)
		left[i] = masked_hash[i] ^ MASK;
	assert_true(memory_has_secret());
	memset(left, 0, sizeof left);
	assert_false(memory_has_secret());
}

/* A comment may be of any length, wherever its parts come to stand; a user's line may not. */
static void
long_lines_are_read_away(void **state)
{
	(void)state;
	for (size_t n = 8 * CREDENTIAL_LINE_MAX - 4; n < 8 * CREDENTIAL_LINE_MAX + 4; n++) {
		write_file(0, "#", n);
		check(RC_OK, NULL);
	}
	write_file(1, "#", 100000);
	check(RC_OK, NULL);
	write_file(1, "bob:", 100000);
	check(RC_SYNTAX, ":2: this line is too long");
}

static void
the_line_behind_a_long_one_counts(void **state)
{
	enum { BLOCK = 8 * CREDENTIAL_LINE_MAX };
	static char text[3 * BLOCK + 64];

	(void)state;
	for (size_t n = BLOCK - 3; n < 3 * BLOCK; n += n < BLOCK + 3 ? 1 : 4001) {
		buf_clear(&errors);
		memset(text, '#', n);
		(void)snprintf(text + n, sizeof text - n, "\nwrong\n");
		write_file(0, text, 0);
		check(RC_SYNTAX, ":2: this line has no colon");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_left_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_a_good_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_a_file_that_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_when_a_user_comes_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_a_hash_that_asks_for_too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_lines_are_read_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_line_behind_a_long_one_counts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
