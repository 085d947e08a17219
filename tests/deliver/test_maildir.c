/* tests/deliver/test_maildir.c -- real folders: files whole or not at all, once, in nobody else's folder. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/folder.h"

#include "deliver/account.h"
#include "deliver/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct msgid some_id = { UINT64_C(0x1234), 2, 99 };

struct place {
	char path[64];
	int fd;
	struct maildir m;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	if (p == NULL)
		return -1;
	folder_template(p->path, sizeof p->path, "maildir");
	if (mkdtemp(p->path) == NULL) {
		free(p);
		return -1;
	}
	p->fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->m.tmp = p->m.new = -1;
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	pid_t pid;

	maildir_close(&p->m);
	(void)close(p->fd);
	(void)umount2(p->path, MNT_DETACH);	/* when a test that mounted has failed */
	pid = fork();
	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", "--", p->path, (char *)NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
	free(p);
	return 0;
}

static enum rc
open_it(struct place *p)
{
	return maildir_open(&p->m, p->fd, geteuid(), S("mx/1:a.example"));
}

static int
count(struct place *p, const char *sub, char name[256])
{
	int fd = openat(p->fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *d = fdopendir(fd);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.') {
			(void)snprintf(name, 256, "%s", e->d_name);
			n++;
		}
	(void)closedir(d);
	return n;
}

static void
a_file_appears_whole(void **state)
{
	struct place *p = *state;
	struct maildir_file f, copy;
	char name[256], other[256], got[64];
	struct stat st;
	int fd;

	assert_int_equal(open_it(p), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(maildir_write(&p->m, &f, S("head\n")), RC_OK);
	assert_int_equal(maildir_write(&p->m, &f, S("some\0body\n")), RC_OK);
	assert_int_equal(count(p, "new", name), 0);
	assert_int_equal(maildir_deliver(&p->m, &f), RC_OK);
	assert_int_equal(count(p, "new", name), 1);
	assert_non_null(strstr(name, ".mx\\0571\\072a.example,S=15"));
	assert_non_null(strstr(name, "M"));
	fd = openat(p->m.new, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(read(fd, got, sizeof got), 15);
	assert_memory_equal(got, "head\nsome\0body\n", 15);
	(void)close(fd);

	/* Another recipient's copy, with another head. */
	assert_int_equal(maildir_create(&p->m, some_id, 2, &copy), RC_OK);
	assert_int_equal(maildir_write(&p->m, &copy, S("x\n")), RC_OK);
	assert_int_equal(maildir_copy(&p->m, &copy, &f, 5), RC_OK);
	assert_int_equal(copy.size, 12);
	assert_int_equal(maildir_deliver(&p->m, &copy), RC_OK);
	assert_int_equal(count(p, "new", other), 2);
	/* As mailbox does: closed, and forgotten when the result has been told. */
	maildir_abandon(&p->m, &copy);
	maildir_abandon(&p->m, &f);
	assert_int_equal(count(p, "tmp", name), 2);
	maildir_forget(&p->m, some_id, 2);
	maildir_forget(&p->m, some_id, 1);
	assert_int_equal(count(p, "tmp", name), 0);
	assert_int_equal(count(p, "new", name), 2);
}

static void
what_is_given_up_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct maildir_file f;
	char name[256];

	assert_int_equal(open_it(p), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(maildir_write(&p->m, &f, S("half")), RC_OK);
	maildir_abandon(&p->m, &f);
	maildir_abandon(&p->m, &f);
	assert_int_equal(count(p, "tmp", name), 0);
	assert_int_equal(count(p, "new", name), 0);
}

static void
an_attempt_after_a_crash(void **state)
{
	struct place *p = *state;
	struct maildir_file f, again;
	char name[256];

	assert_int_equal(open_it(p), RC_OK);
	/* While one process is at it, another keeps away. */
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(maildir_write(&p->m, &f, S("half a message, and then")), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &again), RC_AGAIN);
	/* It died half-way: begin anew. */
	(void)close(f.fd);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(f.size, 0);
	assert_int_equal(maildir_write(&p->m, &f, S("whole")), RC_OK);
	assert_int_equal(maildir_deliver(&p->m, &f), RC_OK);
	/* It died after that: there is nothing more to do, even when the user has moved the file. */
	(void)close(f.fd);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &again), RC_EXISTS);
	assert_int_equal(count(p, "new", name), 1);
	assert_int_equal(renameat(p->m.new, name, p->fd, "cur/moved"), 0);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &again), RC_EXISTS);
	maildir_forget(&p->m, some_id, 1);
	assert_int_equal(count(p, "tmp", name), 0);
}

static void
folders_that_are_not_his(void **state)
{
	struct place *p = *state;

	assert_int_equal(maildir_open(&p->m, p->fd, geteuid() + 1, S("h")), RC_DENIED);
	assert_int_equal(symlinkat("/tmp", p->fd, "tmp"), 0);
	assert_int_not_equal(open_it(p), RC_OK);
	assert_int_equal(unlinkat(p->fd, "tmp", 0), 0);
	assert_int_equal(open_it(p), RC_OK);
	maildir_close(&p->m);
	assert_int_equal(fchmodat(p->fd, "new", 0777, 0), 0);
	assert_int_equal(open_it(p), RC_DENIED);
	assert_int_equal(fchmodat(p->fd, "new", 0700, 0), 0);
	assert_int_equal(unlinkat(p->fd, "cur", AT_REMOVEDIR), 0);
	assert_int_equal(mknodat(p->fd, "cur", S_IFREG | 0600, 0), 0);
	assert_int_not_equal(open_it(p), RC_OK);
	assert_int_not_equal(p->m.error, 0);
}

/* Somebody has put something where our file would be. */
static void
names_that_are_taken(void **state)
{
	struct place *p = *state;
	struct maildir_file f;
	char name[256];

	assert_int_equal(open_it(p), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	(void)snprintf(name, sizeof name, "%s", f.name);
	maildir_abandon(&p->m, &f);
	assert_int_equal(symlinkat("../victim", p->m.tmp, name), 0);
	assert_int_not_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(unlinkat(p->m.tmp, name, 0), 0);
	assert_int_equal(mkfifoat(p->m.tmp, name, 0600), 0);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_DENIED);
	assert_int_equal(faccessat(p->fd, "victim", F_OK, 0), -1);
}

static void
stale_files_go(void **state)
{
	struct place *p = *state;
	struct maildir_file f, g;
	char name[256];
	int fd;

	assert_int_equal(open_it(p), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 2, &g), RC_OK);
	(void)close(f.fd);
	(void)close(g.fd);
	fd = openat(p->m.tmp, "of-another-program", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)close(fd);
	maildir_sweep(&p->m, time(NULL) + MAILDIR_STALE_S - 100);
	assert_int_equal(count(p, "tmp", name), 3);
	maildir_sweep(&p->m, time(NULL) + MAILDIR_STALE_S + 100);
	assert_int_equal(count(p, "tmp", name), 1);
	assert_string_equal(name, "of-another-program");
}

static void
a_full_disk_is_told(void **state)
{
	struct place *p = *state;
	struct maildir_file f;
	static uint8_t block[64 * 1024];
	char name[256];
	enum rc rc = RC_OK;

	if (geteuid() != 0 || mount("tmpfs", p->path, "tmpfs", 0, "size=256k,mode=0700") == -1)
		skip();
	(void)close(p->fd);
	p->fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(open_it(p), RC_OK);
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	for (int i = 0; i < 100 && rc == RC_OK; i++)
		rc = maildir_write(&p->m, &f, slice_of(block, sizeof block));
	assert_int_equal(rc, RC_NOSPACE);
	assert_int_equal(p->m.error, ENOSPC);
	maildir_abandon(&p->m, &f);
	assert_int_equal(count(p, "tmp", name), 0);
	/* And there is room again. */
	assert_int_equal(maildir_create(&p->m, some_id, 1, &f), RC_OK);
	assert_int_equal(maildir_write(&p->m, &f, slice_of(block, sizeof block)), RC_OK);
	assert_int_equal(maildir_deliver(&p->m, &f), RC_OK);
	maildir_abandon(&p->m, &f);
	maildir_close(&p->m);
	(void)close(p->fd);
	p->fd = -1;
	assert_int_equal(umount(p->path), 0);
}

static void
accounts(void **state)
{
	struct account a = { 0 };
	char path[ACCOUNT_PATH_MAX];

	(void)state;
	assert_int_equal(account_of_entry("bob:1001:1002:/home/b:ob", S("bob"), &a), RC_OK);
	assert_int_equal(a.uid, 1001);
	assert_int_equal(a.gid, 1002);
	assert_string_equal(a.home, "/home/b:ob");
	assert_int_equal(account_of_entry("bob:1:1:/", S("bo"), &a), RC_NOTFOUND);
	assert_int_equal(account_of_entry("bob:1001:1002", S("bob"), &a), RC_SYNTAX);
	assert_int_equal(account_of_entry("bob:-1:1002:/x", S("bob"), &a), RC_SYNTAX);
	assert_int_equal(account_of_entry("bob:4294967295:1:/x", S("bob"), &a), RC_SYNTAX);
	assert_int_equal(account_of_entry("bob:1:1:x", S("bob"), &a), RC_SYNTAX);
	assert_int_equal(account_expand("~/Maildir", "/home/bob", S("bob"), path), RC_OK);
	assert_string_equal(path, "/home/bob/Maildir");
	assert_int_equal(account_expand("/var/mail/%u/%x%", "/", S("bob"), path), RC_OK);
	assert_string_equal(path, "/var/mail/bob/%x%");
	assert_int_equal(account_expand("mail/%u", "/", S("bob"), path), RC_SYNTAX);
	assert_int_equal(account_expand("", "/", S("bob"), path), RC_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_appears_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_given_up_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_attempt_after_a_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(folders_that_are_not_his, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_are_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stale_files_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told, set_up, tear_down),
		cmocka_unit_test(accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
