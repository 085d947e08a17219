/* vault/vault.c -- the room: its lines, its secrets. See vault.h. */
#include "vault/vault.h"

#include "common/processors.h"
#include "vault/signing.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_DEFAULT_MAX = 64 };	/* as many as vault { threads } may say */

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
	signing_forget(c);
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
	.on = { [K_SIGN] = signing_on_request },
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
	signing_setup(v);
	timer_setup(&v->rotation, loop, on_rotation, v);
	on_rotation(&v->rotation, v);
}

void
vault_close(struct vault *v)
{
	for (unsigned i = 0; i < VAULT_PEERS_MAX; i++)
		if (v->askers[i] != NULL)
			asker_free(v->askers[i]);
	signing_close(v);
	timer_cancel(&v->rotation);
	keys_free(&v->keys);
	conf_unref(v->conf);
	sodium_memzero(v->secrets, sizeof v->secrets);
}

static unsigned
threads_wanted(const struct conf *conf)
{
	unsigned processors = processors_online();

	if (conf->vault.threads > 0)
		return conf->vault.threads;
	/* With one processor a thread would do no more than the loop can. */
	if (processors == 1)
		return 0;
	return processors < THREADS_DEFAULT_MAX ? processors : THREADS_DEFAULT_MAX;
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
	v->n_threads = threads_wanted(room->conf);
	return RC_OK;
}

static enum rc
make_threads(struct room *room, struct buf *why)
{
	struct vault *v = room->ctx;
	enum rc rc = v->n_threads == 0 ? RC_OK : signing_make_threads(v, v->n_threads);

	/* TLS does without them, only slower: start() says so. */
	if (rc == RC_AGAIN)
		return RC_OK;
	if (rc != RC_OK)
		(void)buf_put_str(why, "threads cannot be made");
	return rc;
}

static void
start(struct room *room)
{
	struct vault *v = room->ctx;

	signing_attach(v);
	if (v->n_threads > 0 && v->workers == NULL)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "the vault gets no threads and signs alone; lower vault { threads }"),
		    F_TEXT("error", rc_name(RC_AGAIN)));
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
	.threads = make_threads,
	.start = start,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.on_master = { [M_CERTIFICATES] = on_certificates },
};
