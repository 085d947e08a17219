/* tests/smtpd/fake_auth.c -- see fake_auth.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fake_auth.h"

#include <string.h>
#include <sys/socket.h>

static struct fake_login *
find(struct fake_auth *a, uint32_t handle)
{
	for (size_t i = 0; i < FAKE_LOGINS_MAX; i++)
		if (a->logins[i].handle == handle)
			return &a->logins[i];
	return NULL;
}

static void
challenge(struct fake_auth *a, struct fake_login *l, struct slice text)
{
	const struct au_challenge m = { text };

	assert_int_equal(au_challenge_send(a->peer, l->handle, &m), RC_OK);
}

static void
refuse(struct fake_auth *a, struct fake_login *l, enum auth_failure kind)
{
	const struct au_fail m = { (uint8_t)kind, S(""), S("the test says so") };

	assert_int_equal(au_fail_send(a->peer, l->handle, &m), RC_OK);
	l->handle = 0;
}

static void
judge(struct fake_auth *a, struct fake_login *l, struct slice user, struct slice password)
{
	const struct au_ok m = { user };

	if (slice_eq(user, S("busy"))) {
		refuse(a, l, AUTH_BUSY);
		return;
	}
	if (!slice_eq(user, S("alice")) || !slice_eq(password, S("secret"))) {
		refuse(a, l, AUTH_WRONG);
		return;
	}
	assert_int_equal(au_ok_send(a->peer, l->handle, &m), RC_OK);
	l->handle = 0;
}

static void
plain(struct fake_auth *a, struct fake_login *l, struct slice response)
{
	size_t first = slice_find(response, 0);
	struct slice rest = slice_from(response, first + 1);
	size_t second = slice_find(rest, 0);

	if (first == response.n || second == rest.n)
		refuse(a, l, AUTH_MALFORMED);
	else
		judge(a, l, slice_first(rest, second), slice_from(rest, second + 1));
}

static void
login(struct fake_auth *a, struct fake_login *l, struct slice response)
{
	if (l->step++ == 0) {
		assert_true(response.n < sizeof l->user);
		if (response.n > 0)
			memcpy(l->user, response.p, response.n);
		challenge(a, l, S("Password:"));
	} else {
		judge(a, l, slice_str(l->user), response);
	}
}

static void
respond(struct fake_auth *a, struct fake_login *l)
{
	l->due = false;
	(l->is_login ? login : plain)(a, l, slice_of(l->response, l->n));
}

static void
take(struct fake_auth *a, struct fake_login *l, struct slice response)
{
	assert_false(l->due);
	/* Longer ones are right too (RFC 4954 4): they are wrong passwords. */
	l->n = response.n < sizeof l->response ? response.n : sizeof l->response;
	if (l->n > 0)
		memcpy(l->response, response.p, l->n);
	l->due = true;
	if (!a->holds)
		respond(a, l);
}

static const char *
on_begin(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fake_auth *a = ctx;
	struct fake_login *l = find(a, 0);
	struct au_begin m = { .has_initial = 0 };

	(void)p, (void)fd;
	assert_true(au_begin_get(body, &m) && handle != 0 && l != NULL && find(a, handle) == NULL);
	*l = (struct fake_login){ .handle = handle, .is_login = slice_caseeq(m.mechanism, S("LOGIN")) };
	assert_true(l->is_login || slice_caseeq(m.mechanism, S("PLAIN")));
	if (m.has_initial != 0)
		take(a, l, m.initial);
	else
		challenge(a, l, l->is_login ? S("Username:") : S(""));
	return NULL;
}

static const char *
on_continue(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct au_continue m = { S("") };

	(void)p, (void)fd;
	assert_true(au_continue_get(body, &m) && handle != 0);
	/* It may have been given up meanwhile. */
	if (find(ctx, handle) != NULL)
		take(ctx, find(ctx, handle), m.response);
	return NULL;
}

static const char *
on_abort(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct fake_auth *a = ctx;
	struct au_abort m = { 0 };

	(void)p, (void)fd;
	assert_true(au_abort_get(body, &m) && handle != 0);
	a->n_aborts++;
	if (find(a, handle) != NULL)
		find(a, handle)->handle = 0;
	return NULL;
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct fake_auth *a = ctx;

	if (why != NULL)
		fail_msg("smtpd broke the line: %s", why);
	a->peer = NULL;
	peer_free(p);
}

static const struct peer_ops ops = {
	.on = { [AU_BEGIN] = on_begin, [AU_CONTINUE] = on_continue, [AU_ABORT] = on_abort },
	.closed = line_closed,
};

void
fake_auth_up(struct fake_auth *a, struct fakes *f, const char *mechanisms)
{
	const struct au_state m = { slice_str(mechanisms) };
	int pair[2];

	fake_auth_down(a);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	smtpd_take_line(&f->smtpd, ROLE_AUTH, 0, pair[0]);
	a->peer = peer_new(f->loop, pair[1], ROLE_AUTH, ROLE_SMTPD, 0, &ops, a);
	assert_non_null(a->peer);
	assert_int_equal(au_state_send(a->peer, 0, &m), RC_OK);
}

void
fake_auth_down(struct fake_auth *a)
{
	peer_free(a->peer);
	a->peer = NULL;
	memset(a->logins, 0, sizeof a->logins);
}

void
fake_auth_answer(struct fake_auth *a)
{
	for (size_t i = 0; i < FAKE_LOGINS_MAX; i++)
		if (a->logins[i].handle != 0 && a->logins[i].due)
			respond(a, &a->logins[i]);
}

void
fake_auth_give_up(struct fake_auth *a)
{
	for (size_t i = 0; i < FAKE_LOGINS_MAX; i++)
		if (a->logins[i].handle != 0)
			refuse(a, &a->logins[i], AUTH_IDLE);
}
