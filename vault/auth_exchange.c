/* vault/auth_exchange.c -- see auth_exchange.h. */
#include "vault/auth_exchange.h"

#include <sodium.h>
#include <stdlib.h>
#include <time.h>

const struct mechanism mechanisms[] = {
	{ SLICE("PLAIN"), NEEDS_HASHES, plain_respond },
	{ SLICE("LOGIN"), NEEDS_HASHES | SERVER_FIRST, login_respond },
	{ SLICE("SCRAM-SHA-256"), NEEDS_HASHES, scram_respond },
	{ SLICE("SCRAM-SHA-256-PLUS"), NEEDS_HASHES | NEEDS_BINDING, scram_respond },
	{ SLICE("EXTERNAL"), NEEDS_CERTIFICATE, external_respond },
};
const size_t n_mechanisms = sizeof mechanisms / sizeof mechanisms[0];

static void on_timer(struct timer *t, void *ctx);

/* --- which are to be had --- */

static bool
is_configured(const struct auth *auth, struct slice name)
{
	const struct conf_list *l = &auth->conf->auth.mechanisms;

	for (size_t i = 0; i < l->n; i++)
		if (slice_caseeq(slice_str(l->v[i]), name))
			return true;
	return false;
}

static bool
can_be_had(const struct auth *auth, const struct mechanism *m)
{
	const struct conf_auth *c = &auth->conf->auth;

	if ((m->flags & NEEDS_HASHES) != 0 && *c->users_file == '\0')
		return false;
	if ((m->flags & NEEDS_CERTIFICATE) != 0 && *c->certificates_file == '\0')
		return false;
	return is_configured(auth, m->name);
}

static bool
dovecot_offers(const struct auth *auth, size_t i)
{
	return dovecot_has(auth, i) && is_configured(auth, dovecot_mechanism(i)->name);
}

static void
put_mechanism(struct buf *to, const struct mechanism *m)
{
	if (buf_len(to) > 0)
		(void)buf_put_byte(to, ' ');
	(void)buf_put_slice(to, m->name);
}

bool
auth_mechanisms_put(const struct auth *auth, struct buf *to)
{
	for (size_t i = 0; i < n_mechanisms; i++)
		if (can_be_had(auth, &mechanisms[i]))
			put_mechanism(to, &mechanisms[i]);
	for (size_t i = 0; dovecot_mechanism(i) != NULL; i++)
		if (dovecot_offers(auth, i))
			put_mechanism(to, dovecot_mechanism(i));
	return !to->failed;
}

static const struct mechanism *
find_mechanism(const struct auth *auth, struct slice name)
{
	for (size_t i = 0; i < n_mechanisms; i++)
		if (slice_caseeq(mechanisms[i].name, name) && can_be_had(auth, &mechanisms[i]))
			return &mechanisms[i];
	for (size_t i = 0; dovecot_mechanism(i) != NULL; i++)
		if (slice_caseeq(dovecot_mechanism(i)->name, name) && dovecot_offers(auth, i))
			return dovecot_mechanism(i);
	return NULL;
}

/* --- the one birth and the one death --- */

static uint64_t
hash_of(const struct auth *auth, const struct peer *p, uint32_t handle)
{
	const uint32_t in[] = { peer_index(p), handle };

	return keyed_hash(&auth->exchanges.key, slice_of(in, sizeof in));
}

static struct exchange *
find(const struct auth *auth, const struct peer *p, uint32_t handle)
{
	struct hash_entry *e = hash_table_find(&auth->exchanges, hash_of(auth, p, handle));

	for (; e != NULL; e = hash_entry_next(e)) {
		struct exchange *x = (struct exchange *)e;

		if (x->peer == p && x->handle == handle)
			return x;
	}
	return NULL;
}

static struct exchange *
make(struct auth *auth, struct peer *p, uint32_t handle, const struct mechanism *mechanism, const struct au_begin *m,
    const char **ret_why)
{
	struct exchange *x = calloc(1, sizeof *x);

	*ret_why = "out of memory";
	if (x == NULL)
		return NULL;
	x->auth = auth;
	x->peer = p;
	x->handle = handle;
	x->mechanism = mechanism;
	x->client = m->client;
	x->exempt = m->exempt != 0;
	*ret_why = share_enter(auth, x);
	if (*ret_why != NULL) {
		free(x);
		return NULL;
	}
	x->ends = loop_now(auth->loop) + auth->conf->auth.timeout;
	timer_setup(&x->timer, auth->loop, on_timer, x);
	timer_start(&x->timer, auth->conf->auth.timeout);
	hash_table_add(&auth->exchanges, &x->entry, hash_of(auth, p, handle));
	return x;
}

static void
unmake(struct exchange *x)
{
	hash_table_remove(&x->auth->exchanges, &x->entry);
	share_leave(x->auth, x);
	timer_cancel(&x->timer);
	password_forget(x);
	scram_free(x);
	dovecot_forget(x);
	sodium_memzero(x, sizeof *x);
	free(x);
}

void
exchanges_forget(struct auth *auth, const struct peer *p)
{
	for (struct hash_entry *e = hash_table_walk(&auth->exchanges, NULL), *next; e != NULL; e = next) {
		struct exchange *x = (struct exchange *)e;

		next = hash_table_walk(&auth->exchanges, e);
		if (p == NULL || x->peer == p)
			unmake(x);
	}
}

void
exchanges_free(struct auth *auth)
{
	exchanges_forget(auth, NULL);
	hash_table_clear(&auth->exchanges, NULL);
	shares_free(auth);
}

/* --- what mechanisms say --- */

void
exchange_challenge(struct exchange *x, struct slice challenge)
{
	const struct au_challenge m = { challenge };

	x->state = EX_CLIENT;
	if (au_challenge_send(x->peer, x->handle, &m) != RC_OK) {
		peer_drop(x->peer, "does not read its challenges");
		unmake(x);
	}
}

void
exchange_yes_as(struct exchange *x, struct slice user)
{
	const struct au_ok m = { user };

	delays_passed(&x->auth->delays, &x->auth->conf->auth, x->client, x->user_n == 0 ? user : exchange_user(x),
	    loop_now(x->auth->loop));
	usage_login(&x->auth->usage, &x->auth->conf->auth, user, true, (int64_t)time(NULL));
	if (au_ok_send(x->peer, x->handle, &m) != RC_OK)
		peer_drop(x->peer, "does not read its answers");
	unmake(x);
}

void
exchange_yes(struct exchange *x)
{
	exchange_yes_as(x, exchange_user(x));
}

static void
send_no(struct peer *p, uint32_t handle, enum auth_failure kind, struct slice user, const char *why)
{
	const struct au_fail m = { (uint8_t)kind, user, slice_str(why) };

	if (au_fail_send(p, handle, &m) != RC_OK)
		peer_drop(p, "does not read its answers");
}

/* The client left us waiting: its network has failed once more. Whomever it claimed to be has nothing to do with it. */
static void
held_a_place(const struct exchange *x)
{
	delays_failed(&x->auth->delays, &x->auth->conf->auth, x->client, S(""), loop_now(x->auth->loop));
}

void
exchange_no(struct exchange *x, enum auth_failure kind, const char *why)
{
	if (kind == AUTH_WRONG)
		delays_failed(&x->auth->delays, &x->auth->conf->auth, x->client, exchange_user(x), loop_now(x->auth->loop));
	else if (kind == AUTH_IDLE)
		held_a_place(x);
	/* Names that guessers make up are nobody's. */
	if (kind == AUTH_WRONG && (users_find(x->auth->users, exchange_user(x)) != NULL ||
	    usage_find(&x->auth->usage, exchange_user(x)) != NULL))
		usage_login(&x->auth->usage, &x->auth->conf->auth, exchange_user(x), false, (int64_t)time(NULL));
	send_no(x->peer, x->handle, kind, exchange_user(x), why);
	unmake(x);
}

bool
exchange_claims(struct exchange *x, struct slice user)
{
	struct buf name = BUF_INIT(PREPARE_USER_MAX);
	enum rc rc = prepare_user(user, &name);

	if (rc == RC_OK) {
		x->user_n = buf_len(&name);
		memcpy(x->user, buf_slice(&name).p, x->user_n);
	}
	buf_free(&name);
	/* RFC 4954 4: what cannot be prepared, or is empty, fails. */
	if (rc != RC_OK)
		exchange_no(x, rc == RC_NOMEM ? AUTH_TEMPORARY : AUTH_WRONG, "no user can have this name");
	return rc == RC_OK;
}

bool
exchange_acts_as(struct exchange *x, struct slice authzid)
{
	struct buf name = BUF_INIT(PREPARE_USER_MAX);
	bool ok = authzid.n == 0 || (prepare_user(authzid, &name) == RC_OK && slice_eq(buf_slice(&name), exchange_user(x)));

	buf_free(&name);
	if (!ok)
		exchange_no(x, AUTH_WRONG, "wants to act as somebody else");
	return ok;
}

void
exchange_wait(struct exchange *x, void (*go_on)(struct exchange *x))
{
	struct auth *auth = x->auth;
	uint64_t now = loop_now(auth->loop), ms;

	if (!delays_wait(&auth->delays, &auth->conf->auth, x->client, exchange_user(x), now, &ms)) {
		exchange_no(x, AUTH_TEMPORARY, "too many failures of this network");
		return;
	}
	if (ms == 0) {
		go_on(x);
		return;
	}
	x->state = EX_DELAYED;
	x->go_on = go_on;
	timer_start(&x->timer, ms);
}

static void
on_timer(struct timer *t, void *ctx)
{
	struct exchange *x = ctx;
	uint64_t now = loop_now(x->auth->loop);

	(void)t;
	if (x->state == EX_DELAYED) {
		timer_start(&x->timer, x->ends > now ? x->ends - now : x->auth->conf->auth.timeout);
		x->state = EX_CLIENT;
		x->go_on(x);
		return;
	}
	exchange_no(x, x->state == EX_CLIENT ? AUTH_IDLE : AUTH_TEMPORARY, "takes too long");
}

/* --- the frames of smtpd --- */

static bool
copy_binding(uint8_t *to, size_t *ret_n, struct slice s)
{
	if (s.n > AUTH_BINDING_MAX)
		return false;
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	*ret_n = s.n;
	return true;
}

static bool
take_facts(struct exchange *x, const struct au_begin *m)
{
	x->secure = m->secure != 0;
	x->plus = m->plus != 0;
	x->has_certificate = m->fingerprint.n == FINGERPRINT_BYTES;
	if (x->has_certificate)
		memcpy(x->fingerprint, m->fingerprint.p, FINGERPRINT_BYTES);
	return (m->fingerprint.n == 0 || x->has_certificate) && copy_binding(x->exporter, &x->exporter_n, m->exporter) &&
	    copy_binding(x->end_point, &x->end_point_n, m->end_point);
}

/* NULL: it has been answered. */
static struct exchange *
begin(struct auth *auth, struct peer *p, uint32_t handle, const struct au_begin *m)
{
	const struct mechanism *mechanism = find_mechanism(auth, m->mechanism);
	struct exchange *x;
	const char *why;

	if (mechanism == NULL) {
		if (dovecot_unknown(auth))
			send_no(p, handle, AUTH_TEMPORARY, S(""), "Dovecot has not said yet what it has");
		else
			send_no(p, handle, AUTH_NO_MECHANISM, S(""), "no such mechanism");
		return NULL;
	}
	x = make(auth, p, handle, mechanism, m, &why);
	if (x == NULL)
		send_no(p, handle, AUTH_TEMPORARY, S(""), why);
	return x;
}

const char *
exchange_on_begin(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct auth *auth = ctx;
	struct exchange *x;
	struct au_begin m;

	(void)fd;
	if (!au_begin_get(body, &m) || m.initial.n > AUTH_RESPONSE_MAX || find(auth, p, handle) != NULL)
		return "malformed AU_BEGIN";
	x = begin(auth, p, handle, &m);
	if (x == NULL)
		return NULL;
	if (!take_facts(x, &m)) {
		unmake(x);
		return "malformed AU_BEGIN";
	}
	if ((x->mechanism->flags & NEEDS_TLS) != 0 && !x->secure) {
		exchange_no(x, AUTH_NO_MECHANISM, "only with TLS");
		return NULL;
	}
	if ((x->mechanism->flags & SERVER_FIRST) != 0 && m.has_initial == 0)
		x->mechanism->respond(x, S(""));
	else if (m.has_initial != 0) {
		x->step += (x->mechanism->flags & SERVER_FIRST) != 0;
		x->mechanism->respond(x, m.initial);
	} else
		exchange_challenge(x, S(""));	/* RFC 4422 5: the client was to begin, and did not say anything yet */
	return NULL;
}

const char *
exchange_on_continue(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct exchange *x = find(ctx, p, handle);
	struct au_continue m;

	(void)fd;
	if (!au_continue_get(body, &m) || m.response.n > AUTH_RESPONSE_MAX)
		return "malformed AU_CONTINUE";
	/* It may have ended while the response was on its way. */
	if (x == NULL)
		return NULL;
	/* Out of turn: this exchange cannot be trusted to mean what it says, and ends. Others on this line are none the worse. */
	if (x->state != EX_CLIENT)
		exchange_no(x, AUTH_MALFORMED, "a response before its challenge");
	else
		x->mechanism->respond(x, m.response);
	return NULL;
}

const char *
exchange_on_abort(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct exchange *x = find(ctx, p, handle);
	struct au_abort m;

	(void)fd;
	if (!au_abort_get(body, &m))
		return "malformed AU_ABORT";
	if (x == NULL)
		return NULL;
	/* Leaving just in time is no way around that. */
	if (x->state == EX_CLIENT && loop_now(x->auth->loop) + x->auth->conf->auth.timeout / 2 >= x->ends)
		held_a_place(x);
	unmake(x);
	return NULL;
}
