/* tests/vault/test_auth.c -- the auth room with smtpds that are played: what it does for the password of somebody who does not
 * exist, under a flood of wrong ones, and when it is talked to out of turn. */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/wire/base64.h"
#include "vault/auth.h"
#include "vault/auth_exchange.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { USERS = 8 };

/* --- work, counted: the linker brings these calls here --- */

static _Atomic unsigned n_verified, n_begun;
static _Atomic bool held_up;	/* threads wait before they compute */
static char begun[64];		/* first letters of passwords, as they are begun */

int __real_crypto_pwhash_str_verify(const char *text, const char *password, unsigned long long n);
int __wrap_crypto_pwhash_str_verify(const char *text, const char *password, unsigned long long n);

int
__wrap_crypto_pwhash_str_verify(const char *text, const char *password, unsigned long long n)
{
	begun[n_begun++ % sizeof begun] = *password;
	while (held_up)
		(void)usleep(200);
	n_verified++;
	return __real_crypto_pwhash_str_verify(text, password, n);
}

/* --- the house --- */

struct house {
	struct loop *loop;
	struct conf *conf;
	struct auth auth;
	int fd[2];		/* our ends of the lines to two smtpds */
	struct buf in[2];
	uint32_t last;		/* handle given */
};

struct answer {
	unsigned type;		/* 0: the line was cut */
	uint32_t handle;
	unsigned kind;		/* AU_FAIL */
	char text[512];		/* challenge, user or why */
};

/* user0 .. user7 with "right" as password; user7 is locked out. Hashes cost next to nothing. */
static void
write_users(struct buf *to)
{
	for (unsigned i = 0; i < USERS; i++) {
		char name[16], text[ARGON2_TEXT_MAX + 1];
		struct credential c;

		(void)snprintf(name, sizeof name, "user%u", i);
		assert_int_equal(credential_make(slice_str(name), S("right"), 8192, SCRAM_ITERATIONS_MIN, text, &c), RC_OK);
		c.locked = i == USERS - 1;
		assert_true(credential_put(to, &c));
	}
}

static struct users *
load(struct slice bytes)
{
	struct buf why = BUF_INIT(512);
	struct users *u = users_new();

	assert_int_equal(users_load(u, bytes, "users", 1 << 20, &why), RC_OK);
	assert_int_equal(users_complete(u, 1 << 20), RC_OK);
	return u;
}

static void
house_open(struct house *h)
{
	struct buf text = BUF_INIT(65536);

	memset(h, 0, sizeof *h);
	h->loop = loop_new();
	h->conf = conf_new();
	h->conf->auth.failure_delay = 0;
	free(h->conf->auth.users_file);
	h->conf->auth.users_file = strdup("users");
	assert_int_equal(auth_init(&h->auth, h->loop, h->conf), RC_OK);
	write_users(&text);
	auth_use(&h->auth, load(buf_slice(&text)), h->conf);
	buf_free(&text);
	for (unsigned i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		auth_take_line(&h->auth, ROLE_SMTPD, i, pair[0]);
		h->fd[i] = pair[1];
		buf_init(&h->in[i], IPC_FRAME_MAX);
	}
	n_verified = 0;
}

static void
house_close(struct house *h)
{
	for (unsigned i = 0; i < 2; i++) {
		(void)close(h->fd[i]);
		buf_free(&h->in[i]);
	}
	auth_free(&h->auth);
	conf_unref(h->conf);
	loop_free(h->loop);
}

static void
put(int fd, unsigned type, uint32_t handle, struct wr *w, const uint8_t *space)
{
	assert_int_equal(frame_write_blocking(fd, (uint16_t)type, handle, slice_of(space, w->n), -1), RC_OK);
}

static uint32_t
begin_as(struct house *h, unsigned who, const char *mechanism, const char *ip, struct slice initial, bool exempt)
{
	struct au_begin m = { .mechanism = slice_str(mechanism), .has_initial = 1, .initial = initial, .secure = 1 };
	uint8_t space[16384];
	struct wr w = { space, 0, sizeof space, false };

	assert_int_equal(ip_parse(slice_str(ip), &m.client), RC_OK);
	m.exempt = exempt;
	assert_true(au_begin_put(&w, &m));
	put(h->fd[who], AU_BEGIN, ++h->last, &w, space);
	return h->last;
}

static uint32_t
begin(struct house *h, unsigned who, const char *mechanism, const char *ip, struct slice initial)
{
	return begin_as(h, who, mechanism, ip, initial, false);
}

static void
go_on(struct house *h, unsigned who, uint32_t handle, struct slice response)
{
	const struct au_continue m = { response };
	uint8_t space[16384];
	struct wr w = { space, 0, sizeof space, false };

	assert_true(au_continue_put(&w, &m));
	put(h->fd[who], AU_CONTINUE, handle, &w, space);
}

static void
abort_it(struct house *h, unsigned who, uint32_t handle)
{
	const struct au_abort m = { 0 };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	assert_true(au_abort_put(&w, &m));
	put(h->fd[who], AU_ABORT, handle, &w, space);
}

/* Is a whole frame there? Turns the loop until one is. */
static void
wait_for_frame(struct house *h, unsigned who)
{
	uint8_t byte;

	for (unsigned i = 0; i < 20000; i++) {
		ssize_t n = recv(h->fd[who], &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (n >= 0)
			return;
		loop_turn(h->loop, false);
		if (i > 100)
			(void)usleep(200);
	}
	fail_msg("the room says nothing");
}

static void
take_text(struct answer *a, struct slice s)
{
	assert_true(s.n < sizeof a->text);
	if (s.n > 0)
		memcpy(a->text, s.p, s.n);
	a->text[s.n] = '\0';
}

static struct answer
hear(struct house *h, unsigned who)
{
	struct au_challenge challenge;
	struct answer a = { 0 };
	struct au_fail fail_;
	struct au_ok ok;
	struct frame f;
	struct rd r;

	do {
		wait_for_frame(h, who);
		if (frame_read_blocking(h->fd[who], ROLE_SMTPD, ROLE_AUTH, &h->in[who], &f) != RC_OK)
			return a;
	} while (f.type == AU_STATE);
	r = (struct rd){ f.body, false };
	a.type = f.type;
	a.handle = f.handle;
	if (f.type == AU_CHALLENGE && au_challenge_get(&r, &challenge))
		take_text(&a, challenge.challenge);
	else if (f.type == AU_OK && au_ok_get(&r, &ok))
		take_text(&a, ok.user);
	else if (f.type == AU_FAIL && au_fail_get(&r, &fail_)) {
		a.kind = fail_.kind;
		take_text(&a, fail_.why);
	} else
		fail_msg("frame %u", f.type);
	return a;
}

static struct slice
plain(char *space, size_t size, const char *user, const char *password)
{
	int n = snprintf(space, size, "%c%s%c%s", 0, user, 0, password);

	assert_true(n > 0 && (size_t)n < size);
	return slice_of(space, (size_t)n);
}

static struct answer
log_in(struct house *h, unsigned who, const char *ip, const char *user, const char *password)
{
	char space[600];

	(void)begin(h, who, "PLAIN", ip, plain(space, sizeof space, user, password));
	return hear(h, who);
}

/* --- known and unknown --- */

/* Whoever is asked for, one password is computed, of the same cost; only the words for the log differ. */
static void
nobody_costs_what_somebody_costs(void **state)
{
	static const char *const names[] = { "user1", "nobody", "user7", "another nobody", "user2" };
	struct house h;

	(void)state;
	house_open(&h);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (unsigned k = 1; k <= 20; k++) {
			struct answer a = log_in(&h, 0, "192.0.2.1", names[i], "wrong");

			assert_int_equal(a.type, AU_FAIL);
			assert_int_equal(a.kind, AUTH_WRONG);
			assert_string_equal(a.text, strncmp(names[i], "user", 4) != 0 ? "unknown user" :
			    strcmp(names[i], "user7") == 0 ? "the user is locked out" : "wrong password");
			assert_int_equal(n_verified, i * 20 + k);
		}
	/* Locked out: not with the right password either, and it is computed all the same. */
	assert_int_equal(log_in(&h, 0, "192.0.2.1", "user7", "right").kind, AUTH_WRONG);
	assert_int_equal(n_verified, 101);
	/* Whose hash is computed for nobody: somebody's, and always the same one's for the same name. */
	for (unsigned i = 0; i < 50; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "nobody%u", i);
		assert_string_equal(users_decoy(h.auth.users, slice_str(name)), users_decoy(h.auth.users, slice_str(name)));
		assert_memory_equal(users_decoy(h.auth.users, slice_str(name)), "$argon2id$v=19$m=8,", 19);
	}
	house_close(&h);
}

/* SCRAM: a client sees the same form of salt and the same count for everybody, and the same each time. */
static void
salts_of_nobody(void **state)
{
	struct buf text = BUF_INIT(65536), again = BUF_INIT(65536);
	struct scram_verifier a, b, known;
	struct users *one, *two;
	uint8_t secret[SCRAM_KEY_BYTES];

	(void)state;
	assert_true(credential_secret_put(&text));
	assert_int_equal(credential_secret_parse(slice_first(buf_slice(&text), buf_len(&text) - 1), secret), RC_OK);
	assert_int_equal(credential_secret_parse(S("#secret AAAA"), secret), RC_SYNTAX);
	assert_int_equal(credential_secret_parse(S("# secrets"), secret), RC_NOTFOUND);
	assert_true(buf_put_slice(&again, buf_slice(&text)));
	write_users(&text);
	write_users(&again);	/* with other salts: everybody has changed his password */
	one = load(buf_slice(&text));
	two = load(buf_slice(&again));
	known = users_find(one, S("user1"))->scram;
	users_scram_decoy(one, S("nobody"), &a);
	users_scram_decoy(two, S("nobody"), &b);
	assert_int_equal(a.salt_n, known.salt_n);
	assert_int_equal(a.iterations, known.iterations);
	assert_memory_equal(a.salt, b.salt, a.salt_n);
	/* Only salts: what they are compared with is nobody's. */
	assert_memory_not_equal(a.stored_key, b.stored_key, SCRAM_KEY_BYTES);
	users_scram_decoy(one, S("nobody else"), &b);
	assert_memory_not_equal(a.salt, b.salt, a.salt_n);
	users_free(one);
	users_free(two);
	/* Without the line, of the first verifier: stable over restarts. */
	buf_clear(&text);
	write_users(&text);
	one = load(buf_slice(&text));
	two = load(buf_slice(&text));
	users_scram_decoy(one, S("nobody"), &a);
	users_scram_decoy(two, S("nobody"), &b);
	assert_memory_equal(a.salt, b.salt, a.salt_n);
	users_free(one);
	users_free(two);
	buf_free(&text);
	buf_free(&again);
}

/* --- out of turn --- */

/* A response before its challenge ends this exchange; the line and the others on it live on. */
static void
out_of_turn(void **state)
{
	char space[600];
	struct house h;
	struct answer a;
	uint32_t x, other;

	(void)state;
	house_open(&h);
	h.conf->auth.failure_delay = 50;
	h.conf->auth.failure_delay_max = 1000;
	assert_int_equal(log_in(&h, 0, "192.0.2.1", "user1", "wrong").kind, AUTH_WRONG);
	other = begin(&h, 0, "LOGIN", "192.0.2.2", S("user2"));
	a = hear(&h, 0);
	assert_int_equal(a.type, AU_CHALLENGE);
	assert_string_equal(a.text, "Password:");
	x = begin(&h, 0, "PLAIN", "192.0.2.1", plain(space, sizeof space, "user1", "right"));
	go_on(&h, 0, x, S("more"));
	a = hear(&h, 0);
	assert_int_equal(a.handle, x);
	assert_int_equal(a.kind, AUTH_MALFORMED);
	go_on(&h, 0, x, S("and more"));		/* of one that has ended: nothing */
	go_on(&h, 0, other, S("right"));
	a = hear(&h, 0);
	assert_int_equal(a.handle, other);
	assert_int_equal(a.type, AU_OK);
	house_close(&h);
}

/* Whoever hangs up while his password is computed has failed like anybody else. */
static void
hanging_up_costs(void **state)
{
	char space[600];
	struct house h;
	struct ip ip;
	uint64_t ms = 0;

	(void)state;
	house_open(&h);
	h.conf->auth.failure_delay = 10000;
	h.conf->auth.failure_delay_max = 60000;
	abort_it(&h, 0, begin(&h, 0, "PLAIN", "192.0.2.1", plain(space, sizeof space, "user1", "wrong")));
	while (n_verified == 0 || h.auth.exchanges.n > 0)
		loop_turn(h.loop, false);
	assert_int_equal(ip_parse(S("192.0.2.1"), &ip), RC_OK);
	for (unsigned i = 0; i < 5000 && ms == 0; i++) {
		loop_turn(h.loop, false);
		assert_true(delays_wait(&h.auth.delays, &h.conf->auth, ip, S("somebody"), loop_now(h.loop), &ms));
		(void)usleep(200);
	}
	assert_in_range(ms, 9000, 10000);
	house_close(&h);
}

/* --- a flood --- */

static unsigned
threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

#ifdef POSTERN_SANITIZERS
static const bool freed_is_kept = true;
#else
static const bool freed_is_kept = false;
#endif

static size_t
resident(void)
{
	FILE *in = fopen("/proc/self/statm", "r");
	unsigned long all = 0, here = 0;

	assert_non_null(in);
	assert_int_equal(fscanf(in, "%lu %lu", &all, &here), 2);
	(void)fclose(in);
	return here * (size_t)sysconf(_SC_PAGESIZE);
}

/* Ten thousand wrong logins from ten networks for a hundred names: each is answered, most of them by "later"; threads and memory
 * stay; the owner of an account that they guess at gets in at once from where he has been, and soon from elsewhere. */
static void
flood(void **state)
{
	enum { N = 10000 };
	unsigned before = 0, wrong = 0, later = 0;
	size_t memory;
	char space[600];
	struct house h;
	struct ip ip;
	uint64_t ms;

	(void)state;
	house_open(&h);
	before = threads();
	h.conf->auth.failure_delay = 1000;
	h.conf->auth.failure_delay_max = 30000;
	h.conf->auth.account_delay_max = 200;
	h.conf->auth.max_exchanges = 100;
	h.conf->auth.max_waiting = 10;
	assert_int_equal(log_in(&h, 1, "198.51.100.1", "user1", "right").type, AU_OK);
	memory = resident();
	for (unsigned i = 0; i < N; i++) {
		char user[16], from[32];

		(void)snprintf(user, sizeof user, i % 2 == 0 ? "user1" : "nobody%u", i % 100);
		(void)snprintf(from, sizeof from, "192.0.2.%u", i % 10);
		(void)begin(&h, 0, "PLAIN", from, plain(space, sizeof space, user, "wrong"));
		loop_turn(h.loop, false);
		assert_true(h.auth.exchanges.n <= 100);
		/* What is answered is read; what waits for its turn is given up, as by a client that goes away. */
		while (recv(h.fd[0], space, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
			struct answer a = hear(&h, 0);

			assert_int_equal(a.type, AU_FAIL);
			wrong += a.kind == AUTH_WRONG;
			later += a.kind == AUTH_TEMPORARY;
		}
		if (i % 50 == 49)
			for (uint32_t k = h.last - 49; k <= h.last; k++)
				abort_it(&h, 0, k);
	}
	assert_int_equal(threads(), before);
	assert_true(later > 0);
	assert_true(wrong <= n_verified);
	assert_true(n_verified < N / 10);	/* delays hold: hardly any password is computed at all */
	assert_true(freed_is_kept || resident() < memory + (8U << 20));
	/* The friend of the account, and its owner from a network that nobody has seen. */
	assert_int_equal(ip_parse(S("198.51.100.1"), &ip), RC_OK);
	assert_true(delays_wait(&h.auth.delays, &h.conf->auth, ip, S("user1"), loop_now(h.loop), &ms));
	assert_int_equal(ms, 0);
	assert_int_equal(log_in(&h, 1, "198.51.100.1", "user1", "right").type, AU_OK);
	assert_int_equal(log_in(&h, 1, "203.0.113.9", "user1", "right").type, AU_OK);
	assert_int_equal(log_in(&h, 1, "203.0.113.10", "user2", "right").type, AU_OK);
	house_close(&h);
}

/* --- the queue of passwords --- */

static void
assert_refused_as(struct house *h, enum auth_failure kind)
{
	struct answer a = hear(h, 0);

	assert_int_equal(a.type, AU_FAIL);
	assert_int_equal(a.kind, kind);
	assert_int_equal(a.handle, h->last);
}

/* Strangers of a network have four passwords with the threads, hung up or not, and then it is their failure; together they may
 * fill the queue. Whoever is known in his network goes before them all, with four as well. */
static void
passwords_wait(void **state)
{
	enum { MAX = 10, WORKERS = 2, STRANGERS = 4, FRIENDS = 5 };
	char space[600];
	struct slice wrong = plain(space, sizeof space, "user1", "wrong");
	struct slice right = slice_of("\0user1\0right", 12), other = slice_of("\0user2\0right", 12);
	unsigned ok = 0, no = 0;
	struct house h;

	(void)state;
	house_open(&h);
	h.conf->auth.max_waiting = MAX;
	assert_int_equal(log_in(&h, 0, "198.51.100.1", "user1", "right").type, AU_OK);
	assert_int_equal(log_in(&h, 0, "198.51.100.1", "user2", "right").type, AU_OK);
	n_begun = 0;
	held_up = true;
	for (unsigned i = 0; i < STRANGERS; i++)
		(void)begin(&h, 0, "PLAIN", "192.0.2.1", wrong);
	(void)begin(&h, 0, "PLAIN", "192.0.2.1", wrong);
	assert_refused_as(&h, AUTH_BUSY);
	abort_it(&h, 0, h.last - 1);
	(void)begin(&h, 0, "PLAIN", "192.0.2.1", wrong);
	assert_refused_as(&h, AUTH_BUSY);
	assert_int_equal(h.conf->auth.workers, WORKERS);
	while (n_begun < WORKERS)
		loop_turn(h.loop, false);
	/* An exempt network may fill the queue; that it is full is nobody's failure. */
	for (unsigned i = STRANGERS - WORKERS; i < MAX; i++)
		(void)begin_as(&h, 0, "PLAIN", "192.0.2.2", wrong, true);
	(void)begin(&h, 0, "PLAIN", "192.0.2.3", wrong);
	assert_refused_as(&h, AUTH_TEMPORARY);
	/* The friends. */
	for (unsigned i = 0; i + 1 < FRIENDS; i++)
		(void)begin(&h, 0, "PLAIN", "198.51.100.1", right);
	(void)begin(&h, 0, "PLAIN", "198.51.100.1", right);
	assert_refused_as(&h, AUTH_TEMPORARY);
	(void)begin(&h, 0, "PLAIN", "198.51.100.1", other);
	(void)begin(&h, 0, "PLAIN", "198.51.100.2", other);	/* not here */
	assert_refused_as(&h, AUTH_TEMPORARY);
	held_up = false;
	/* All but the one that hung up. */
	for (unsigned i = 0; i < MAX + WORKERS + FRIENDS - 1; i++) {
		struct answer a = hear(&h, 0);

		ok += a.type == AU_OK;
		no += a.type == AU_FAIL && a.kind == AUTH_WRONG;
	}
	assert_int_equal(ok, FRIENDS);
	assert_int_equal(no, MAX + WORKERS - 1);
	assert_memory_equal(begun, "wwrrrr", 6);
	while (h.auth.jobs != NULL)
		loop_turn(h.loop, false);
	assert_null(h.auth.jobs);
	house_close(&h);
}

/* --- places --- */

static bool
is_quiet(const struct house *h, unsigned who)
{
	uint8_t byte;

	return recv(h->fd[who], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

/* A login that stays at its first challenge. */
static uint32_t
hold(struct house *h, unsigned who, const char *ip)
{
	uint32_t handle = begin(h, who, "LOGIN", ip, S("somebody"));
	struct answer a = hear(h, who);

	assert_int_equal(a.type, AU_CHALLENGE);
	assert_int_equal(a.handle, handle);
	return handle;
}

/* The same, and it takes the place of `other`. */
static uint32_t
hold_instead(struct house *h, unsigned who, const char *ip, unsigned of, uint32_t other)
{
	uint32_t handle = begin(h, who, "LOGIN", ip, S("somebody"));
	struct answer gone = hear(h, of), a = hear(h, who);

	assert_int_equal(gone.type, AU_FAIL);
	assert_int_equal(gone.kind, AUTH_TEMPORARY);
	assert_int_equal(gone.handle, other);
	assert_int_equal(a.type, AU_CHALLENGE);
	assert_int_equal(a.handle, handle);
	return handle;
}

/* Users who are known go first, and there is a limit to them too; what waits when the room ends is not left behind. */
static void
known_users_wait(void **state)
{
	enum { MAX = 3, WORKERS = 2 };
	struct slice right = slice_of("\0user1\0right", 12), other = slice_of("\0user2\0right", 12);
	struct house h;

	(void)state;
	house_open(&h);
	assert_int_equal(log_in(&h, 0, "198.51.100.1", "user1", "right").type, AU_OK);
	assert_int_equal(log_in(&h, 0, "198.51.100.1", "user2", "right").type, AU_OK);
	h.conf->auth.max_waiting = MAX;
	n_begun = 0;
	held_up = true;
	for (unsigned i = 0; i < WORKERS; i++)
		(void)begin(&h, 0, "PLAIN", "198.51.100.1", right);
	while (n_begun < WORKERS)
		loop_turn(h.loop, false);
	for (unsigned i = 0; i < MAX; i++)
		(void)begin(&h, 0, "PLAIN", "198.51.100.1", i < 2 ? right : other);
	(void)begin(&h, 0, "PLAIN", "198.51.100.1", other);
	assert_refused_as(&h, AUTH_TEMPORARY);
	assert_non_null(h.auth.jobs);
	held_up = false;
	house_close(&h);
}

static void
set_state(struct house *h, uint32_t handle, enum exchange_state state)
{
	struct hash_entry *e = NULL;

	while ((e = hash_table_walk(&h->auth.exchanges, e)) != NULL)
		if (((struct exchange *)e)->handle == handle)
			((struct exchange *)e)->state = state;
}

static void
assert_refused(struct house *h, unsigned who, const char *ip)
{
	uint32_t handle = begin(h, who, "LOGIN", ip, S("somebody"));
	struct answer a = hear(h, who);

	assert_int_equal(a.handle, handle);
	assert_int_equal(a.type, AU_FAIL);
	assert_int_equal(a.kind, AUTH_TEMPORARY);
	assert_true(is_quiet(h, who));
}

/* A network with more logins than places, all of them being seen to: they are ended for nobody of its own, so that there is one
 * that gets in. An exempt network has more places. */
static void
places_of_a_busy_network(void **state)
{
	static const enum exchange_state busy[] = { EX_HASHING, EX_DELAYED, EX_REMOTE };
	uint32_t x[3], y;
	struct house h;

	(void)state;
	house_open(&h);
	h.conf->auth.max_exchanges_network = 3;
	for (unsigned i = 0; i < 3; i++) {
		x[i] = hold(&h, 0, "192.0.2.1");
		set_state(&h, x[i], busy[i]);
	}
	assert_refused(&h, 0, "192.0.2.1");
	assert_int_equal(h.auth.exchanges.n, 3);
	(void)begin_as(&h, 0, "LOGIN", "192.0.2.1", S("somebody"), true);
	assert_int_equal(hear(&h, 0).type, AU_CHALLENGE);
	abort_it(&h, 0, h.last);
	/* All places are taken. The largest network makes room for another one with what costs us nothing; not for itself. */
	h.conf->auth.max_exchanges_network = 50;
	y = hold(&h, 0, "192.0.2.2");
	set_state(&h, y, EX_HASHING);
	h.conf->auth.max_exchanges = 4;
	assert_refused(&h, 0, "192.0.2.1");
	(void)hold_instead(&h, 0, "192.0.2.3", 0, x[1]);
	(void)hold_instead(&h, 0, "192.0.2.4", 0, x[2]);
	assert_refused(&h, 0, "192.0.2.2");
	assert_int_equal(h.auth.exchanges.n, 4);
	house_close(&h);
}

/* The network that has most has only logins that are being computed: the next one makes room, but for none that has more. */
static void
places_behind_a_busy_network(void **state)
{
	uint32_t x;
	struct house h;

	(void)state;
	house_open(&h);
	for (unsigned i = 0; i < 4; i++) {
		x = hold(&h, 0, "192.0.2.1");
		set_state(&h, x, EX_HASHING);
	}
	x = hold(&h, 0, "192.0.2.2");
	(void)hold(&h, 0, "192.0.2.3");
	h.conf->auth.max_exchanges = 6;
	assert_refused(&h, 0, "192.0.2.1");
	x = hold_instead(&h, 0, "192.0.2.4", 0, x);
	set_state(&h, x, EX_HASHING);
	assert_int_equal(h.auth.exchanges.n, 6);
	house_close(&h);
}

/* A network has so many places, not one more, and its oldest login goes; work that is under way is not thrown away for it. */
static void
places_of_a_network(void **state)
{
	uint32_t x[4], last;
	struct house h;

	(void)state;
	house_open(&h);
	h.conf->auth.max_exchanges_network = 3;
	for (unsigned i = 0; i < 3; i++)
		x[i] = hold(&h, 0, "192.0.2.1");
	assert_int_equal(h.auth.exchanges.n, 3);
	assert_true(is_quiet(&h, 0));
	x[3] = hold_instead(&h, 0, "192.0.2.1", 0, x[0]);
	assert_int_equal(h.auth.exchanges.n, 3);
	/* Another network, and another smtpd, are not touched. */
	(void)hold(&h, 0, "192.0.2.2");
	(void)hold(&h, 1, "192.0.2.1");
	/* An IPv6 network is 64 bits. */
	(void)hold(&h, 0, "2001:db8::1");
	(void)hold(&h, 0, "2001:db8::2");
	last = hold(&h, 0, "2001:db8::3");
	abort_it(&h, 0, last);
	(void)hold(&h, 0, "2001:db8::4");
	/* x[1] waits for nobody but us: it stays, x[2] goes. */
	set_state(&h, x[1], EX_REMOTE);
	(void)hold_instead(&h, 0, "192.0.2.1", 0, x[2]);
	/* One place; and a reload that takes places away. */
	h.conf->auth.max_exchanges_network = 1;
	set_state(&h, x[1], EX_CLIENT);
	(void)begin(&h, 0, "LOGIN", "192.0.2.1", S("somebody"));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(hear(&h, 0).kind, AUTH_TEMPORARY);
	assert_int_equal(hear(&h, 0).type, AU_CHALLENGE);
	assert_int_equal(log_in(&h, 0, "192.0.2.9", "user1", "right").type, AU_OK);
	house_close(&h);
}

/* All places are taken by idle logins of 40 networks, as many each as a network may have: whoever comes gets in at once, and
 * those who are ended are theirs, each network in its turn. */
static void
places_run_out(void **state)
{
	enum { NETWORKS = 40, EACH = 50 };
	uint32_t first[NETWORKS][2], one;
	char ip[32];
	struct house h;

	(void)state;
	house_open(&h);
	for (unsigned k = 0; k < EACH; k++)
		for (unsigned i = 0; i < NETWORKS; i++) {
			(void)snprintf(ip, sizeof ip, "198.51.100.%u", i);
			one = hold(&h, 0, ip);
			if (k < 2)
				first[i][k] = one;
		}
	assert_int_equal(h.auth.exchanges.n, h.conf->auth.max_exchanges);
	assert_true(is_quiet(&h, 0));
	(void)hold_instead(&h, 1, "192.0.2.1", 0, first[0][0]);
	/* They come back at once: nobody but they themselves has less of it. */
	for (unsigned i = 0; i + 1 < 2 * NETWORKS; i++) {
		(void)snprintf(ip, sizeof ip, "198.51.100.%u", i % NETWORKS);
		(void)hold_instead(&h, 0, ip, 0, first[(i + 1) % NETWORKS][(i + 1) / NETWORKS % 2]);
	}
	one = begin(&h, 1, "PLAIN", "192.0.2.2", slice_of("\0user1\0right", 12));
	assert_int_equal(hear(&h, 1).type, AU_OK);
	assert_true(h.auth.exchanges.n <= h.conf->auth.max_exchanges);
	house_close(&h);
}

/* An smtpd that has been broken into names a new network each time, as fast as it can: the other one keeps its half. */
static void
places_of_an_smtpd(void **state)
{
	uint32_t mine[10];
	char ip[32];
	struct house h;

	(void)state;
	house_open(&h);
	h.conf->auth.max_exchanges = 20;
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(ip, sizeof ip, "10.0.0.%u", i);
		(void)hold(&h, 0, ip);
	}
	/* One network alone at the other: it has more than any of theirs, and gets its half all the same. */
	for (unsigned i = 0; i < 10; i++)
		mine[i] = hold_instead(&h, 1, "192.0.2.1", 0, i + 1);
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(ip, sizeof ip, "10.0.1.%u", i);
		(void)begin(&h, 0, "LOGIN", ip, S("somebody"));
		assert_int_equal(hear(&h, 0).type, AU_FAIL);
		assert_int_equal(hear(&h, 0).type, AU_CHALLENGE);
	}
	assert_true(is_quiet(&h, 1));
	assert_int_equal(h.auth.exchanges.n, 20);
	/* More than its half is at its own cost. */
	(void)hold_instead(&h, 1, "192.0.2.2", 1, mine[0]);
	house_close(&h);
}

static uint64_t
wait_of(struct house *h, const char *ip, const char *user)
{
	uint64_t ms = 0;
	struct ip client;

	assert_int_equal(ip_parse(slice_str(ip), &client), RC_OK);
	assert_true(delays_wait(&h->auth.delays, &h->conf->auth, client, slice_str(user), loop_now(h->loop), &ms));
	return ms;
}

/* A login that is left lying fails its network as a wrong password does, and nobody's account; so does one that is given up just
 * in time. One that is given up early does not. */
static void
idling_costs(void **state)
{
	struct house h;
	struct answer a;
	uint32_t x;

	(void)state;
	house_open(&h);
	h.conf->auth.failure_delay = 10000;
	h.conf->auth.failure_delay_max = 60000;
	h.conf->auth.timeout = 100;
	x = begin(&h, 0, "LOGIN", "192.0.2.1", S("user1"));
	assert_int_equal(hear(&h, 0).type, AU_CHALLENGE);
	a = hear(&h, 0);
	assert_int_equal(a.type, AU_FAIL);
	assert_int_equal(a.handle, x);
	assert_int_equal(a.kind, AUTH_IDLE);
	assert_in_range(wait_of(&h, "192.0.2.1", "user2"), 9000, 10000);
	assert_int_equal(wait_of(&h, "192.0.2.3", "user1"), 0);
	h.conf->auth.timeout = 10000;
	x = hold(&h, 0, "192.0.2.4");
	abort_it(&h, 0, x);
	while (h.auth.exchanges.n > 0)
		loop_turn(h.loop, false);
	assert_int_equal(wait_of(&h, "192.0.2.4", "user2"), 0);
	h.conf->auth.timeout = 400;
	x = hold(&h, 0, "192.0.2.5");
	(void)usleep(250000);
	abort_it(&h, 0, x);
	while (h.auth.exchanges.n > 0)
		loop_turn(h.loop, false);
	assert_in_range(wait_of(&h, "192.0.2.5", "user2"), 9000, 10000);
	house_close(&h);
}

/* What others do to an account holds its owner up for account-delay-max at most, however many they are; a network pays for
 * itself. */
static void
who_pays(void **state)
{
	struct conf *conf = conf_new();
	struct delays d;
	struct ip ip, owner, home;
	uint64_t ms, now = 1000000;

	(void)state;
	assert_true(delays_init(&d));
	assert_int_equal(ip_parse(S("203.0.113.1"), &owner), RC_OK);
	assert_int_equal(ip_parse(S("203.0.113.2"), &home), RC_OK);
	delays_passed(&d, &conf->auth, home, S("owner"), now);
	for (unsigned i = 0; i < 50000; i++) {
		char text[32];

		(void)snprintf(text, sizeof text, "10.%u.%u.1", i / 256 % 256, i % 256);
		assert_int_equal(ip_parse(slice_str(text), &ip), RC_OK);
		delays_failed(&d, &conf->auth, ip, S("owner"), now);
	}
	assert_true(delays_wait(&d, &conf->auth, owner, S("owner"), now, &ms));
	assert_in_range(ms, 1, conf->auth.account_delay_max);
	/* Again and again: never more, and no line that grows. */
	for (unsigned i = 0; i < 100; i++) {
		assert_true(delays_wait(&d, &conf->auth, owner, S("owner"), now, &ms));
		assert_true(ms <= conf->auth.account_delay_max);
	}
	/* Where he has been he does not wait, though fifty thousand networks have gone through the table since. */
	assert_true(delays_wait(&d, &conf->auth, home, S("owner"), now, &ms));
	assert_int_equal(ms, 0);
	/* A network that goes on guessing is slowed, and then turned away. */
	for (unsigned i = 0; i < 20; i++)
		delays_failed(&d, &conf->auth, ip, S("x"), now);
	assert_true(delays_wait(&d, &conf->auth, ip, S("y"), now, &ms));
	assert_in_range(ms, 10000, conf->auth.failure_delay_max);
	(void)delays_wait(&d, &conf->auth, ip, S("y"), now, &ms);
	assert_false(delays_wait(&d, &conf->auth, ip, S("y"), now, &ms));
	delays_free(&d);
	conf_unref(conf);
}

/* Names that a directory may take for one account have one delay, and one friend. */
static void
names_fold(void **state)
{
	static const char *const same[][2] = {
		{ "alice", "ALICE" }, { "alice@b.test", "Alice@B.TEST" }, { "j\xc3\xbcrgen", "J\xc3\x9cRGEN" },
		{ "j\xc3\xbcrgen", "ju\xcc\x88rgen" }, { "j\xc3\xbcrgen", "JU\xcc\x88RGEN" }, { "stra\xc3\x9f" "e", "STRASSE" },
		{ "alice", "\xef\xbc\xa1lice" },
	};
	struct conf *conf = conf_new();
	struct ip guesser, owner;
	uint64_t ms;

	(void)state;
	conf->auth.account_delay_max = 5000;
	assert_int_equal(ip_parse(S("192.0.2.1"), &guesser), RC_OK);
	assert_int_equal(ip_parse(S("198.51.100.1"), &owner), RC_OK);
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		struct delays d;

		assert_true(delays_init(&d));
		delays_failed(&d, &conf->auth, guesser, slice_str(same[i][0]), 1000);
		assert_true(delays_wait(&d, &conf->auth, owner, slice_str(same[i][1]), 1000, &ms));
		assert_true(ms > 0);
		assert_true(delays_wait(&d, &conf->auth, owner, S("bob"), 1000, &ms));
		assert_int_equal(ms, 0);
		delays_passed(&d, &conf->auth, owner, slice_str(same[i][1]), 1000);
		delays_failed(&d, &conf->auth, guesser, slice_str(same[i][1]), 1000);
		assert_true(delays_wait(&d, &conf->auth, owner, slice_str(same[i][0]), 1000, &ms));
		assert_int_equal(ms, 0);
		delays_free(&d);
	}
	conf_unref(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_costs_what_somebody_costs), cmocka_unit_test(salts_of_nobody),
		cmocka_unit_test(out_of_turn), cmocka_unit_test(hanging_up_costs), cmocka_unit_test(places_of_a_network),
		cmocka_unit_test(places_of_a_busy_network), cmocka_unit_test(passwords_wait),
		cmocka_unit_test(known_users_wait), cmocka_unit_test(places_behind_a_busy_network),
		cmocka_unit_test(places_run_out), cmocka_unit_test(places_of_an_smtpd), cmocka_unit_test(idling_costs),
		cmocka_unit_test(flood), cmocka_unit_test(who_pays), cmocka_unit_test(names_fold),
	};

	return sodium_init() == -1 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
