/* vault/auth_dovecot.c -- logins that Dovecot decides on. See auth_dovecot.h. */
#include "vault/auth_dovecot.h"

#include "common/wire/base64.h"
#include "vault/auth.h"
#include "vault/auth_exchange.h"

#include <sodium.h>
#include <stdlib.h>

enum { WHY_MAX = 512 };

static void respond(struct exchange *x, struct slice response);
static void on_deadline(struct timer *t, void *ctx);

/* In the order in which they are offered. EXTERNAL stays ours: the certificates are. */
static const struct mechanism passed_on[] = {
	{ SLICE("PLAIN"), 0, respond },
	{ SLICE("LOGIN"), SERVER_FIRST, respond },
	{ SLICE("SCRAM-SHA-256"), 0, respond },
	{ SLICE("OAUTHBEARER"), NEEDS_TLS, respond },
	{ SLICE("XOAUTH2"), NEEDS_TLS, respond },
};

const struct mechanism *
dovecot_mechanism(size_t i)
{
	return i < sizeof passed_on / sizeof passed_on[0] ? &passed_on[i] : NULL;
}

int
dovecot_find_mechanism(struct slice name)
{
	for (int i = 0; i < (int)(sizeof passed_on / sizeof passed_on[0]); i++)
		if (slice_eq(passed_on[i].name, name))
			return i;
	return -1;
}

bool
dovecot_has(const struct auth *auth, size_t i)
{
	return auth->dovecot.state != DOVECOT_OFF && (auth->dovecot.mechanisms & (1U << i)) != 0;
}

bool
dovecot_unknown(const struct auth *auth)
{
	return auth->dovecot.state != DOVECOT_OFF && !auth->dovecot.known;
}

/* --- requests --- */

static struct dovecot_request *
find(const struct dovecot *d, uint32_t id)
{
	return (struct dovecot_request *)hash_table_find(&d->requests, id);
}

static struct dovecot_request *
make(struct exchange *x)
{
	struct dovecot *d = &x->auth->dovecot;
	struct dovecot_request *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->exchange = x;
	timer_setup(&r->deadline, x->auth->loop, on_deadline, r);
	buf_init(&r->held, AUTH_RESPONSE_MAX);
	buf_init(&r->name, PREPARE_USER_MAX);
	buf_init(&r->why, WHY_MAX);
	r->older = d->newest;
	*(r->older == NULL ? &d->oldest : &r->older->newer) = r;
	d->newest = r;
	x->remote = r;
	return r;
}

static void
number(struct dovecot *d, struct dovecot_request *r)
{
	do
		d->last_id++;
	while (d->last_id == 0 || find(d, d->last_id) != NULL);
	r->id = d->last_id;
	hash_table_add(&d->requests, &r->entry, r->id);
}

/* Dovecot has done with it, or we with Dovecot. */
static void
unnumber(struct dovecot_request *r)
{
	if (r->id == 0)
		return;
	hash_table_remove(&r->exchange->auth->dovecot.requests, &r->entry);
	r->id = 0;
}

static void
hold_nothing(struct dovecot_request *r)
{
	if (r->held.p != NULL)
		sodium_memzero(r->held.p, r->held.cap);
	buf_free(&r->held);
	r->has_held = false;
}

static void
cancel(struct auth *auth, struct dovecot_request *r)
{
	struct buf line = BUF_INIT(32);

	if (r->id != 0 && auth->dovecot.state == DOVECOT_UP) {
		(void)buf_printf(&line, "CANCEL\t%u\n", r->id);
		(void)dovecot_send(auth, &line);
		buf_free(&line);
	}
}

void
dovecot_forget(struct exchange *x)
{
	struct dovecot_request *r = x->remote;
	struct dovecot *d = &x->auth->dovecot;

	if (r == NULL)
		return;
	cancel(x->auth, r);
	unnumber(r);
	timer_cancel(&r->deadline);
	hold_nothing(r);
	buf_free(&r->name);
	buf_free(&r->why);
	*(r->older == NULL ? &d->oldest : &r->older->newer) = r->newer;
	*(r->newer == NULL ? &d->newest : &r->newer->older) = r->older;
	x->remote = NULL;
	free(r);
}

/* --- to Dovecot --- */

static void
put_begin(struct buf *line, const struct exchange *x, const struct dovecot_request *r)
{
	(void)buf_printf(line, "AUTH\t%u\t", r->id);
	(void)buf_put_slice(line, x->mechanism->name);
	/* nologin: nobody will ask for this user's session afterwards. */
	(void)buf_put_str(line, "\tservice=smtp\tnologin");
	if (x->secure)
		(void)buf_put_str(line, "\tsecured=tls");
	if (x->client.family != 0) {
		(void)buf_put_str(line, "\trip=");
		(void)ip_put(line, x->client);
	}
	/* The last of all, by the protocol. */
	if (r->has_held) {
		(void)buf_put_str(line, "\tresp=");
		(void)base64_put(line, buf_slice(&r->held));
	}
}

static void
put_continue(struct buf *line, const struct dovecot_request *r)
{
	(void)buf_printf(line, "CONT\t%u\t", r->id);
	(void)base64_put(line, buf_slice(&r->held));
}

/* What is held goes to Dovecot. The connection is up. */
static void
hand_over(struct dovecot_request *r)
{
	struct exchange *x = r->exchange;
	struct auth *auth = x->auth;
	struct buf line = BUF_INIT((size_t)auth->conf->auth.dovecot_max_line);
	bool fits, sent, first = r->id == 0;

	if (first) {
		number(&auth->dovecot, r);
		put_begin(&line, x, r);
	} else {
		put_continue(&line, r);
	}
	(void)buf_put_byte(&line, '\n');
	fits = !line.failed;
	sent = dovecot_send(auth, &line);
	if (line.p != NULL)
		sodium_memzero(line.p, line.cap);
	buf_free(&line);
	hold_nothing(r);
	r->waits = false;
	r->asked = loop_now(auth->loop);
	timer_start(&r->deadline, auth->conf->auth.dovecot_timeout);
	if (!sent && first)
		unnumber(r);	/* there is nothing to cancel */
	if (!fits)
		exchange_no(x, AUTH_MALFORMED, "a response that is longer than Dovecot takes");
	else if (!sent)
		exchange_no(x, AUTH_TEMPORARY, "Dovecot does not read");
}

/* When the delay that earlier failures have earned is over. */
static void
pass_on(struct exchange *x)
{
	struct dovecot_request *r = x->remote;
	const struct dovecot *d = &x->auth->dovecot;

	x->state = EX_REMOTE;
	if (d->state == DOVECOT_UP) {
		hand_over(r);
		return;
	}
	if (d->state == DOVECOT_RESTING || d->state == DOVECOT_OFF) {
		exchange_no(x, AUTH_TEMPORARY, "Dovecot is away");
		return;
	}
	r->waits = true;
	timer_start(&r->deadline, x->auth->conf->auth.dovecot_timeout);
}

void
dovecot_requests_send(struct auth *auth)
{
	for (struct dovecot_request *r = auth->dovecot.oldest, *newer; r != NULL; r = newer) {
		newer = r->newer;
		if (r->waits)
			hand_over(r);
	}
}

void
dovecot_requests_fail(struct auth *auth, bool all, const char *why)
{
	for (struct dovecot_request *r = auth->dovecot.oldest, *newer; r != NULL; r = newer) {
		bool begun = r->id != 0;

		newer = r->newer;
		unnumber(r);
		if (begun || (all && r->waits))
			exchange_no(r->exchange, AUTH_TEMPORARY, why);
	}
}

static void
on_deadline(struct timer *t, void *ctx)
{
	struct dovecot_request *r = ctx;
	struct auth *auth = r->exchange->auth;

	(void)t;
	/* It has not said anything to anybody since: it hangs, and with it everybody else's logins. */
	if (auth->dovecot.state == DOVECOT_UP && auth->dovecot.heard < r->asked)
		dovecot_lost(auth, "it does not answer");
	else
		exchange_no(r->exchange, AUTH_TEMPORARY, "Dovecot takes too long");
}

/* --- from the client --- */

/* The name that failures count for. Dovecot may see no difference between the two cases of a letter. */
static void
claim(struct exchange *x, struct slice name)
{
	struct buf prepared = BUF_INIT(PREPARE_USER_MAX);

	if (prepare_user(name, &prepared) == RC_OK) {
		x->user_n = buf_len(&prepared);
		for (size_t i = 0; i < x->user_n; i++)
			x->user[i] = ascii_lower(buf_slice(&prepared).p[i]);
	}
	buf_free(&prepared);
}

/* What came with the result has been answered: RFC 7628 3.2.3, RFC 4954 4 for what SCRAM says at its end. */
static void
conclude(struct exchange *x, struct slice response)
{
	struct dovecot_request *r = x->remote;
	const char *why = buf_cstr(&r->why);

	if (r->result == SAID_NO)
		exchange_no(x, AUTH_WRONG, why == NULL ? "Dovecot says no" : why);
	else if (response.n == 0)
		exchange_yes_as(x, buf_slice(&r->name));
	else
		exchange_no(x, AUTH_MALFORMED, "a response after the last one");
}

static void
hold(struct exchange *x, struct slice response, unsigned answer)
{
	struct dovecot_request *r = x->remote;
	struct buf name = BUF_INIT(PREPARE_USER_MAX);

	r->has_held = true;
	if (!buf_put_slice(&r->held, response)) {
		exchange_no(x, AUTH_TEMPORARY, "out of memory");
		return;
	}
	dovecot_name_put(&name, x->mechanism->name, answer, response);
	if (!name.failed && buf_len(&name) > 0)
		claim(x, buf_slice(&name));
	buf_free(&name);
	if (dovecot_name_is_proof(x->mechanism->name, answer))
		exchange_wait(x, pass_on);
	else
		pass_on(x);
}

static void
respond(struct exchange *x, struct slice response)
{
	struct dovecot_request *r = x->remote == NULL ? make(x) : x->remote;
	bool server_first = (x->mechanism->flags & SERVER_FIRST) != 0;
	unsigned step = x->step++;

	if (r == NULL)
		exchange_no(x, AUTH_TEMPORARY, "out of memory");
	else if (r->result != UNDECIDED)
		conclude(x, response);
	else if (server_first && step == 0)
		pass_on(x);
	else if (r->id == 0 && response.n == 0)
		/* No mechanism of these begins with nothing (RFC 4954 4: "=" is a response of no bytes). */
		exchange_no(x, AUTH_MALFORMED, "an empty first response");
	else
		hold(x, response, step - server_first);
}

/* --- from Dovecot --- */

/* Shows the client what came in base64. False: it has said no. */
static bool
show(struct exchange *x, struct slice base64)
{
	struct buf bytes = BUF_INIT(AUTH_RESPONSE_MAX);
	bool ok = base64_decode(base64, &bytes) == RC_OK;

	if (ok)
		exchange_challenge(x, buf_slice(&bytes));
	else
		exchange_no(x, AUTH_TEMPORARY, "Dovecot's challenge is no base64");
	buf_free(&bytes);
	return ok;
}

static void
on_ok(struct exchange *x, const struct dovecot_line *l)
{
	struct dovecot_request *r = x->remote;
	struct buf name = BUF_INIT(DOVECOT_LINE_MAX);
	enum rc rc = dovecot_unescape(l->user, &name);

	if (rc == RC_OK)
		rc = prepare_user(buf_slice(&name), &r->name);
	buf_free(&name);
	if (rc != RC_OK) {
		exchange_no(x, AUTH_TEMPORARY, "Dovecot let in somebody whose name cannot be used here");
		return;
	}
	if (l->denied) {
		exchange_no(x, AUTH_WRONG, "Dovecot says that this user may not log in here");
		return;
	}
	r->result = SAID_YES;
	if (l->has_resp)
		(void)show(x, l->resp);
	else
		exchange_yes_as(x, buf_slice(&r->name));
}

static void
put_why(struct buf *to, const struct dovecot_line *l)
{
	(void)buf_put_str(to, "Dovecot says no");
	if (l->code.n > 0) {
		(void)buf_put_str(to, ": ");
		(void)buf_put_slice(to, slice_first(l->code, WHY_MAX / 4));
	}
	if (l->reason.n > 0) {
		(void)buf_put_str(to, ": ");
		(void)dovecot_unescape(slice_first(l->reason, WHY_MAX / 2), to);
	}
}

static void
on_fail(struct exchange *x, const struct dovecot_line *l)
{
	struct dovecot_request *r = x->remote;
	struct buf name = BUF_INIT(DOVECOT_LINE_MAX);

	/* A token names nobody before Dovecot has looked into it. */
	if (x->user_n == 0 && l->user.n > 0 && dovecot_unescape(l->user, &name) == RC_OK)
		claim(x, buf_slice(&name));
	buf_free(&name);
	if (l->temporary) {
		exchange_no(x, AUTH_TEMPORARY, "Dovecot has a problem of its own; its log says which");
		return;
	}
	put_why(&r->why, l);
	r->result = SAID_NO;
	/* Not to a client that has not been heard yet: it would take this for the challenge that it waits for. */
	if (l->has_resp && x->state == EX_REMOTE)
		(void)show(x, l->resp);
	else
		conclude(x, S(""));
}

const char *
dovecot_on_result(struct auth *auth, const struct dovecot_line *l)
{
	struct dovecot_request *r = find(&auth->dovecot, l->number);
	struct exchange *x;

	/* It was cancelled while the answer was on its way. */
	if (r == NULL)
		return NULL;
	x = r->exchange;
	/* While it is the client's turn, or ours, Dovecot may only end it. */
	if (x->state != EX_REMOTE && l->kind != DOVECOT_FAIL)
		return "an answer that nobody asked for";
	timer_cancel(&r->deadline);
	if (l->kind != DOVECOT_CONT)
		unnumber(r);
	if (l->kind == DOVECOT_CONT)
		(void)show(x, l->text);
	else if (l->kind == DOVECOT_OK)
		on_ok(x, l);
	else
		on_fail(x, l);
	return NULL;
}
