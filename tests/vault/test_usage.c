/* tests/vault/test_usage.c -- what users may send: windows that move, limits, and what is kept. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/clock.h"
#include "tests/folder.h"
#include "vault/auth_usage.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct workers_kind kind = { .nice = 10 };

enum { START = 1700000100 };	/* not at the start of an hour */

static struct conf *conf;

struct world {
	struct loop *loop;
	struct usage u;
};

static void
begin(struct world *w)
{
	conf_unref(conf);
	conf = conf_new();
	w->loop = loop_new();
	assert_non_null(w->loop);
	usage_init(&w->u, w->loop);
}

static void
end(struct world *w)
{
	usage_free(&w->u);
	loop_free(w->loop);
}

/* Spends; the words of a refusal, or "". */
static const char *
spend(struct world *w, const char *user, uint32_t messages, uint32_t rcpts, int64_t now)
{
	static char text[USAGE_TEXT_MAX + 1];
	struct buf why = BUF_INIT(USAGE_TEXT_MAX);
	enum rc rc = usage_spend(&w->u, &conf->auth, slice_str(user), messages, rcpts, now, &why);

	(void)snprintf(text, sizeof text, "%s", buf_len(&why) == 0 ? "" : buf_cstr(&why));
	assert_int_equal(rc, *text == '\0' ? RC_OK : RC_RANGE);
	buf_free(&why);
	return text;
}

/* alice has not used these, and asked for the first of them so many seconds ago. */
static void
give_back(struct world *w, uint32_t messages, uint32_t rcpts, uint32_t age, int64_t now)
{
	const struct au_count m = { S("alice"), 0, 0, messages, rcpts, age };

	usage_count(&w->u, &conf->auth, &m, now);
}

static void
an_hour_moves(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	conf->auth.user_recipients_hour = 10;
	assert_string_equal(spend(&w, "alice", 1, 6, START), "");
	assert_string_equal(spend(&w, "alice", 0, 5, START + 600), "You may send 10 recipients an hour; next in 50 minutes");
	assert_string_equal(spend(&w, "alice", 0, 4, START + 600), "");
	assert_string_equal(spend(&w, "bob", 1, 10, START + 600), "");
	assert_string_equal(spend(&w, "alice", 0, 1, START + 3299), "You may send 10 recipients an hour; next in 6 minutes");
	assert_string_equal(spend(&w, "alice", 0, 6, START + 3600), "");
	assert_string_equal(spend(&w, "alice", 0, 1, START + 3600), "You may send 10 recipients an hour; next in 10 minutes");
	assert_string_equal(spend(&w, "alice", 0, 10, START + 3 * 3600), "");
	end(&w);
}

static void
a_day_moves(void **state)
{
	struct world w;
	struct usage_sums n;

	(void)state;
	begin(&w);
	conf->auth.user_messages_day = 2;
	conf->auth.user_messages_hour = 2;
	assert_string_equal(spend(&w, "alice", 1, 1, START), "");
	assert_string_equal(spend(&w, "alice", 1, 1, START + 7200), "");
	assert_string_equal(spend(&w, "alice", 1, 1, START + 7201), "You may send 2 messages a day; next in 1305 minutes");
	assert_string_equal(spend(&w, "alice", 0, 1, START + 7201), "");
	n = usage_sums(usage_find(&w.u, S("alice")), START + 7201);
	assert_int_equal(n.hour_messages, 1);
	assert_int_equal(n.day_messages, 2);
	assert_int_equal(n.day_rcpts, 3);
	assert_string_equal(spend(&w, "alice", 1, 1, START + 86400), "");
	n = usage_sums(usage_find(&w.u, S("alice")), START + 10 * 86400);
	assert_int_equal(n.day_rcpts + n.hour_rcpts, 0);
	end(&w);
}

/* What is given back may be spent again; a clock that is set back or far ahead frees nobody for ever and binds nobody so. */
static void
back_and_clocks(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	conf->auth.user_recipients_hour = 10;
	assert_string_equal(spend(&w, "alice", 1, 10, START), "");
	give_back(&w, 1, 4, 1, START + 1);
	assert_string_equal(spend(&w, "alice", 0, 4, START + 2), "");
	assert_true(*spend(&w, "alice", 0, 1, START + 3) != '\0');
	assert_true(*spend(&w, "alice", 0, 1, START - 86400) != '\0');
	assert_string_equal(spend(&w, "alice", 0, 10, START - 86400 + 3601), "");
	assert_true(*spend(&w, "alice", 0, 1, START - 86400 + 3602) != '\0');
	give_back(&w, 100, 100, 3, START - 86400 + 3603);
	assert_string_equal(spend(&w, "alice", 0, 10, START - 86400 + 3604), "");
	assert_string_equal(spend(&w, "alice", 0, 10, START + 400 * INT64_C(86400)), "");
	assert_int_equal(conf_list_add(&conf->auth.unlimited_users, S("alice")), RC_OK);
	assert_string_equal(spend(&w, "alice", 0, 1000, START), "");
	end(&w);
}

/* Whoever takes all that he may, waits until it has dropped out, and then gives it back, gets nothing for it; before that he
 * gets what he gave, and it counts for no longer than what he keeps. */
static void
old_spends_are_not_given_back(void **state)
{
	struct world w;
	struct usage_sums n;

	(void)state;
	begin(&w);
	conf->auth.user_recipients_hour = 10;
	assert_string_equal(spend(&w, "alice", 1, 10, START), "");
	assert_string_equal(spend(&w, "alice", 1, 10, START + 3600), "");
	give_back(&w, 1, 10, 3601, START + 3601);
	assert_true(*spend(&w, "alice", 0, 1, START + 3602) != '\0');
	/* The day still holds both. */
	n = usage_sums(usage_find(&w.u, S("alice")), START + 3602);
	assert_int_equal(n.hour_rcpts, 10);
	assert_int_equal(n.day_rcpts, 10);
	assert_int_equal(n.day_messages, 1);

	/* Two that were spent at different times: what stays is the later. */
	assert_string_equal(spend(&w, "alice", 0, 5, START + 20000), "");
	assert_string_equal(spend(&w, "alice", 0, 5, START + 21000), "");
	give_back(&w, 0, 5, 1001, START + 21001);
	assert_string_equal(spend(&w, "alice", 0, 5, START + 21002), "");
	assert_true(*spend(&w, "alice", 0, 1, START + 20000 + 3600) != '\0');
	assert_string_equal(spend(&w, "alice", 0, 1, START + 21000 + 3600), "");
	give_back(&w, 1, 1, UINT32_MAX, START + 21000 + 3600);
	assert_true(*spend(&w, "alice", 0, 10, START + 21000 + 3600) != '\0');
	end(&w);
}

static void
some_are_forgotten(void **state)
{
	struct world w;
	char name[32];
	const struct usage_user *user;
	size_t n = 0;

	(void)state;
	begin(&w);
	conf->auth.max_counted_users = 100;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "user%d", i);
		assert_string_equal(spend(&w, name, 1, 1, START), "");
		assert_string_equal(spend(&w, "alice", 0, 1, START), "");
	}
	assert_int_equal(w.u.users.n, 100);
	assert_int_equal(usage_sums(usage_find(&w.u, S("alice")), START).hour_rcpts, 1000);
	assert_null(usage_find(&w.u, S("user0")));
	assert_non_null(usage_find(&w.u, S("user999")));
	for (user = usage_after(&w.u, 0); user != NULL; user = user->made_after, n++)
		assert_ptr_equal(user->made_after, usage_after(&w.u, user->key));
	assert_int_equal(n, 100);
	end(&w);
}

static int
scratch(void)
{
	char path[64];
	int fd;

	folder_template(path, sizeof path, "usage");
	fd = mkstemp(path);
	assert_int_not_equal(fd, -1);
	(void)unlink(path);
	return fd;
}

/* Two files in turn: when the newer one is damaged anywhere, the older one counts. */
static void
it_is_kept(void **state)
{
	struct world w, again;
	struct workers *workers;
	struct buf bytes = BUF_INIT(1 << 20);
	int fds[2] = { scratch(), scratch() };
	uint8_t wrong = 0xa5;

	(void)state;
	begin(&w);
	assert_int_equal(workers_start(&kind, 1, &workers), RC_OK);
	memcpy(w.u.fds, fds, sizeof fds);
	usage_load(&w.u);
	assert_int_equal(w.u.users.n, 0);
	w.u.workers = workers;
	assert_string_equal(spend(&w, "alice", 1, 3, START), "");
	usage_login(&w.u, &conf->auth, S("bob"), false, START);
	usage_finish(&w.u);			/* serial 1, file 1 */
	assert_string_equal(spend(&w, "alice", 1, 4, START + 1), "");
	usage_finish(&w.u);			/* serial 2, file 0 */
	for (int i = 0; i < 2; i++) {
		usage_init(&again.u, w.loop);
		memcpy(again.u.fds, fds, sizeof fds);
		usage_load(&again.u);
		assert_int_equal(again.u.users.n, 2);
		assert_int_equal(usage_sums(usage_find(&again.u, S("alice")), START).day_rcpts, i == 0 ? 7 : 3);
		assert_int_equal(usage_find(&again.u, S("bob"))->failure, START);
		assert_int_equal(usage_find(&again.u, S("bob"))->login, 0);
		assert_int_equal(again.u.serial, i == 0 ? 2 : 1);
		usage_free(&again.u);
		assert_int_equal(pwrite(fds[0], &wrong, 1, 40), 1);
	}
	/* No prefix of it, and nothing longer. */
	assert_true(usage_put(&w.u, &bytes));
	for (size_t n = 0; n < buf_len(&bytes); n++) {
		usage_init(&again.u, w.loop);
		assert_int_equal(usage_read(&again.u, slice_first(buf_slice(&bytes), n)), RC_CORRUPT);
		usage_free(&again.u);
	}
	buf_free(&bytes);
	workers_stop(workers);
	(void)close(fds[0]);
	(void)close(fds[1]);
	end(&w);
}

/* What the files hold of alice's recipients. */
static uint64_t
kept_rcpts(struct world *w, const int *fds)
{
	struct usage u;
	uint64_t n;

	usage_init(&u, w->loop);
	memcpy(u.fds, fds, sizeof u.fds);
	usage_load(&u);
	assert_non_null(usage_find(&u, S("alice")));
	n = usage_sums(usage_find(&u, S("alice")), START).day_rcpts;
	usage_free(&u);
	return n;
}

/* While one file cannot be written, the other one keeps what it has: by a worker, at the end while a worker writes, and when
 * the room has begun again from it. */
static void
a_write_that_fails_costs_no_good_file(void **state)
{
	struct world w;
	struct workers *workers;
	int fds[2] = { scratch(), scratch() }, wall = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	begin(&w);
	assert_int_not_equal(wall, -1);
	assert_int_equal(workers_start(&kind, 1, &workers), RC_OK);
	workers_attach(workers, w.loop);
	memcpy(w.u.fds, fds, sizeof fds);
	w.u.workers = workers;
	assert_string_equal(spend(&w, "alice", 1, 3, START), "");
	usage_finish(&w.u);			/* file 1 */
	assert_int_equal(kept_rcpts(&w, fds), 3);
	w.u.fds[0] = wall;
	for (int i = 0; i < 3; i++) {
		assert_string_equal(spend(&w, "alice", 0, 1, START), "");
		usage_save(&w.u);
		assert_non_null(w.u.save);
		while (w.u.save != NULL)
			loop_turn(w.loop, true);
		assert_true(w.u.dirty);
		assert_int_equal(kept_rcpts(&w, fds), 3);
	}
	usage_save(&w.u);
	assert_non_null(w.u.save);
	assert_string_equal(spend(&w, "alice", 0, 1, START), "");
	usage_finish(&w.u);
	assert_int_equal(kept_rcpts(&w, fds), 3);
	while (w.u.save != NULL)
		loop_turn(w.loop, true);
	w.u.fds[0] = fds[0];
	w.u.dirty = true;
	usage_finish(&w.u);
	assert_int_equal(kept_rcpts(&w, fds), 7);
	assert_int_equal(w.u.good, 0);
	workers_stop(workers);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(wall);
	end(&w);
}

static struct slice
numbered(char *space, unsigned i)
{
	return slice_of(space, (size_t)snprintf(space, 32, "user%u", i));
}

/* However many users there are, a turn of the loop gathers few of them; and what is written is what was there when it began,
 * whoever sends, comes or is forgotten meanwhile. */
static void
it_is_gathered_in_parts(void **state)
{
	enum { USERS = 10 * USAGE_SLICE };
	struct world w, again;
	struct workers *workers;
	int fds[2] = { scratch(), scratch() };
	char name[32];
	unsigned turns = 0;

	(void)state;
	begin(&w);
	conf->auth.max_counted_users = USERS;
	assert_int_equal(workers_start(&kind, 1, &workers), RC_OK);
	workers_attach(workers, w.loop);
	memcpy(w.u.fds, fds, sizeof fds);
	for (unsigned i = 0; i < USERS; i++)
		usage_login(&w.u, &conf->auth, numbered(name, i), true, START);
	usage_attach(&w.u, workers);
	usage_save(&w.u);
	assert_true(w.u.gathers);
	/* One that is written already, one that is not, the last of all, and one who is new, for whom the oldest is forgotten. */
	usage_login(&w.u, &conf->auth, S("user3"), true, START + 9);
	usage_login(&w.u, &conf->auth, S("user2000"), true, START + 9);
	usage_login(&w.u, &conf->auth, numbered(name, USERS - 1), true, START + 9);
	usage_login(&w.u, &conf->auth, S("somebody new"), true, START + 9);
	while (w.u.gathers && turns < 100) {
		loop_turn(w.loop, true);
		turns++;
	}
	assert_in_range(turns, USERS / USAGE_SLICE - 2, USERS / USAGE_SLICE + 2);
	while (w.u.save != NULL)
		loop_turn(w.loop, true);
	assert_true(w.u.dirty);
	usage_init(&again.u, w.loop);
	memcpy(again.u.fds, fds, sizeof fds);
	usage_load(&again.u);
	assert_int_equal(again.u.users.n, USERS);
	for (unsigned i = 0; i < USERS; i++)
		assert_int_equal(usage_find(&again.u, numbered(name, i))->login, START);
	usage_free(&again.u);
	/* The end comes in the middle of it: all is written, as it is then. */
	usage_save(&w.u);
	assert_true(w.u.gathers);
	usage_login(&w.u, &conf->auth, S("user5"), true, START + 10);
	usage_finish(&w.u);
	usage_init(&again.u, w.loop);
	memcpy(again.u.fds, fds, sizeof fds);
	usage_load(&again.u);
	assert_int_equal(usage_find(&again.u, S("user5"))->login, START + 10);
	assert_int_equal(usage_find(&again.u, S("somebody new"))->login, START + 9);
	assert_null(usage_find(&again.u, S("user0")));
	usage_free(&again.u);
	/* Nor is anything left when it is not finished. */
	w.u.dirty = true;
	usage_save(&w.u);
	assert_true(w.u.gathers);
	workers_stop(workers);
	conf->auth.max_counted_users = 20000;
	(void)close(fds[0]);
	(void)close(fds[1]);
	end(&w);
}

static void
hash_for_long(struct work *work)
{
	(void)work;
	(void)usleep(20000);
}

static void
hashed(struct work *work)
{
	(void)work;
}

/* Under a flood of passwords, whose threads rest for nineteen times as long as they work, the write comes first. */
static void
it_is_kept_under_a_flood(void **state)
{
	struct work jobs[40] = { 0 };
	struct world w;
	struct workers *workers;
	int fds[2] = { scratch(), scratch() };
	uint64_t began;

	(void)state;
	begin(&w);
	assert_int_equal(workers_start(&kind, 1, &workers), RC_OK);
	workers_attach(workers, w.loop);
	memcpy(w.u.fds, fds, sizeof fds);
	for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
		jobs[i].run = hash_for_long;
		jobs[i].done = hashed;
		assert_int_equal(workers_submit(workers, &jobs[i], 1000), RC_OK);
	}
	assert_int_equal(workers_submit(workers, &jobs[0], 1), RC_AGAIN);	/* now they rest */
	(void)usleep(100000);
	usage_attach(&w.u, workers);
	assert_string_equal(spend(&w, "alice", 1, 3, START), "");
	began = clock_monotonic_ms();
	usage_save(&w.u);
	while (w.u.save != NULL)
		loop_turn(w.loop, true);
	assert_true(clock_monotonic_ms() - began < 2000);
	assert_int_equal(kept_rcpts(&w, fds), 3);
	workers_stop(workers);
	(void)close(fds[0]);
	(void)close(fds[1]);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hour_moves),
		cmocka_unit_test(a_day_moves),
		cmocka_unit_test(back_and_clocks),
		cmocka_unit_test(old_spends_are_not_given_back),
		cmocka_unit_test(some_are_forgotten),
		cmocka_unit_test(it_is_kept),
		cmocka_unit_test(a_write_that_fails_costs_no_good_file),
		cmocka_unit_test(it_is_gathered_in_parts),
		cmocka_unit_test(it_is_kept_under_a_flood),
	};
	int failed;

	if (sodium_init() == -1)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	conf_unref(conf);
	return failed;
}
