/* vault/vault.c -- the room: its lines, its queues, its secrets. See vault.h. */
#include "vault/vault.h"

#include "vault/tls_input.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SIGNATURES_A_TURN = 16,		/* of one smtpd, before the others have theirs and the lines are read again */
	BURST_MS = 100,			/* a quiet smtpd may have so much of its rate at once */
	REFILL_MS = 5,			/* how long to wait when everybody has used up his rate */
	REFUSALS_LOGGED = 100,		/* the first, and then one in so many */
};

/* --- requests --- */

static void
answer(struct peer *p, uint32_t handle, enum vault_status status, struct slice signature)
{
	struct k_signed m = { (uint8_t)status, signature };

	(void)k_signed_send(p, handle, &m);
}

static void
refuse(struct asker *c, uint32_t handle, enum vault_status status, const char *why)
{
	if (status == VAULT_REFUSED && c->refused++ % REFUSALS_LOGGED == 0)
		log_say(LOG_VAULT_REFUSED, NULL, F_TEXT("room", role_name(peer_role(c->peer))),
		    F_U64("index", peer_index(c->peer)), F_TEXT("why", why));
	answer(c->peer, handle, status, S(""));
}

static const char *
on_sign(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct asker *c = ctx;
	struct request *q;
	struct k_sign m;

	(void)p, (void)fd;
	if (!k_sign_get(body, &m) || m.key.n != IDENTITY_KEY_ID || handle == 0)
		return "malformed K_SIGN";
	if (m.message.n > VAULT_MESSAGE_MAX || tls_input_kind(m.message) == TLS_INPUT_NONE) {
		refuse(c, handle, VAULT_REFUSED, "asked to sign what is no TLS handshake");
		return NULL;
	}
	if (c->n == VAULT_QUEUE_MAX) {
		refuse(c, handle, VAULT_BUSY, "");
		return NULL;
	}
	q = &c->queue[(c->first + c->n++) % VAULT_QUEUE_MAX];
	q->handle = handle;
	q->scheme = m.scheme;
	q->n = (uint16_t)m.message.n;
	memcpy(q->key, m.key.p, sizeof q->key);
	memcpy(q->message, m.message.p, m.message.n);
	chore_queue(&c->vault->work);
	return NULL;
}

static void
serve_one(struct asker *c)
{
	const struct request *q = &c->queue[c->first];
	struct slice message = slice_of(q->message, q->n);
	uint8_t signature[VAULT_SIGNATURE_MAX];
	enum vault_status status;
	size_t n = 0;

	status = keys_sign(&c->vault->keys, slice_of(q->key, sizeof q->key), q->scheme,
	    tls_input_kind(message) == TLS_INPUT_13, message, signature, &n);
	if (status == VAULT_OK)
		answer(c->peer, q->handle, status, slice_of(signature, n));
	else
		refuse(c, q->handle, status, "asked for a signature that this key does not make");
	c->first = (c->first + 1) % VAULT_QUEUE_MAX;
	c->n--;
}

static void
refill(struct asker *c)
{
	uint64_t now = loop_now(c->vault->loop), rate = c->vault->conf->vault.max_rate;
	uint64_t most = rate * BURST_MS < 1000 ? 1000 : rate * BURST_MS, ms = now - c->filled;

	c->filled = now;
	/* A long silence fills it up, whatever the product would be. */
	c->tokens = ms >= BURST_MS ? most : c->tokens + ms * rate;
	if (c->tokens > most)
		c->tokens = most;
}

/* True: it waits for its rate. */
static bool
serve(struct asker *c)
{
	refill(c);
	for (unsigned i = 0; i < SIGNATURES_A_TURN && c->n > 0 && c->tokens >= 1000; i++) {
		c->tokens -= 1000;
		serve_one(c);
	}
	return c->n > 0 && c->tokens < 1000;
}

static void
on_work(struct chore *chore, void *ctx)
{
	struct vault *v = ctx;
	bool more = false, wait = false;

	v->turn++;
	for (unsigned i = 0; i < VAULT_PEERS_MAX; i++) {
		struct asker *c = v->askers[(v->turn + i) % VAULT_PEERS_MAX];

		if (c == NULL || c->n == 0)
			continue;
		if (serve(c))
			wait = true;
		else if (c->n > 0)
			more = true;
	}
	if (more)
		chore_queue(chore);
	else if (wait)
		timer_start(&v->later, REFILL_MS);
}

static void
on_later(struct timer *t, void *ctx)
{
	struct vault *v = ctx;

	(void)t;
	chore_queue(&v->work);
}

/* --- secrets of session tickets --- */

static void
send_secrets(const struct vault *v, struct peer *p)
{
	struct k_tickets m = { slice_of(v->secrets, (size_t)v->n_secrets * VAULT_SECRET_BYTES) };

	(void)k_tickets_send(p, 0, &m);
}

void
vault_rotate(struct vault *v)
{
	memmove(v->secrets[1], v->secrets[0], sizeof v->secrets - sizeof v->secrets[0]);
	randombytes_buf(v->secrets[0], sizeof v->secrets[0]);
	if (v->n_secrets < VAULT_SECRETS_MAX)
		v->n_secrets++;
	for (unsigned i = 0; i < VAULT_PEERS_MAX; i++)
		if (v->askers[i] != NULL)
			send_secrets(v, v->askers[i]->peer);
}

static void
on_rotation(struct timer *t, void *ctx)
{
	struct vault *v = ctx;

	vault_rotate(v);
	timer_start(t, v->conf->vault.ticket_rotation);
}

/* --- lines --- */

static void
asker_free(struct asker *c)
{
	c->vault->askers[peer_index(c->peer)] = NULL;
	peer_free(c->peer);
	sodium_memzero(c, sizeof *c);
	free(c);
}

static void
asker_closed(void *ctx, struct peer *p, const char *why)
{
	room_log_drop(p, why);
	asker_free(ctx);
}

static const struct peer_ops asker_ops = {
	.on = { [K_SIGN] = on_sign },
	.closed = asker_closed,
};

void
vault_line(struct vault *v, enum role them, unsigned index, int fd)
{
	struct asker *c;

	if (them != ROLE_SMTPD || index >= VAULT_PEERS_MAX) {
		(void)close(fd);
		return;
	}
	if (v->askers[index] != NULL)
		asker_free(v->askers[index]);
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->vault = v;
	c->peer = peer_new(v->loop, fd, ROLE_VAULT, them, index, &asker_ops, c);
	if (c->peer == NULL) {
		free(c);
		return;
	}
	v->askers[index] = c;
	send_secrets(v, c->peer);
}

/* --- life --- */

void
vault_open(struct vault *v, struct loop *loop, struct conf *conf)
{
	*v = (struct vault){ .loop = loop, .conf = conf_ref(conf) };
	chore_setup(&v->work, loop, on_work, v);
	timer_setup(&v->later, loop, on_later, v);
	timer_setup(&v->rotation, loop, on_rotation, v);
	on_rotation(&v->rotation, v);
}

void
vault_close(struct vault *v)
{
	for (unsigned i = 0; i < VAULT_PEERS_MAX; i++)
		if (v->askers[i] != NULL)
			asker_free(v->askers[i]);
	chore_cancel(&v->work);
	timer_cancel(&v->later);
	timer_cancel(&v->rotation);
	keys_free(&v->keys);
	conf_unref(v->conf);
	sodium_memzero(v->secrets, sizeof v->secrets);
}

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct vault *v = room->ctx;
	enum rc rc;

	if (sodium_init() == -1) {
		(void)buf_put_str(why, "no random numbers");
		return RC_IO;
	}
	rc = keys_prepare(why);
	if (rc != RC_OK)
		return rc;
	vault_open(v, room->loop, room->conf);
	v->room = room;
	return RC_OK;
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	vault_line(room->ctx, them, index, fd);
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	struct vault *v = room->ctx;
	struct buf why = BUF_INIT(1024);

	if (m->purpose == FILE_KEY && keys_arrive(&v->keys, m->generation, m->name, fd, &why) != RC_OK)
		log_say(LOG_CERTIFICATE_REFUSED, NULL, F_STR("certificate", m->path), F_STR("why", buf_slice(&why)));
	(void)close(fd);
	buf_free(&why);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct vault *v = room->ctx;
	struct conf *mine = v->conf;

	v->conf = conf_ref(room->conf);
	conf_unref(mine);
	timer_start(&v->rotation, v->conf->vault.ticket_rotation);
	/* The first set comes with the first generation. */
	if (old == NULL && keys_arriving(&v->keys) != 0)
		(void)keys_adopt(&v->keys, keys_arriving(&v->keys));
	return NULL;
}

static const char *
on_certificates(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct vault *v = room->ctx;
	struct m_certificates m;
	struct m_certificates_taken taken;

	(void)handle, (void)fd;
	if (!m_certificates_get(body, &m))
		return "malformed M_CERTIFICATES";
	taken = (struct m_certificates_taken){ m.serial, (uint8_t)keys_adopt(&v->keys, m.serial), S("") };
	(void)m_certificates_taken_send(p, 0, &taken);
	return NULL;
}

const struct room_ops vault_ops = {
	.role = ROLE_VAULT,
	.prepare = prepare,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.on_master = { [M_CERTIFICATES] = on_certificates },
};
