/* smtpd/smtpd.c -- the room: its lines, its generations, its end. See smtpd.h. */
#include "smtpd/smtpd.h"

#include "common/policy/table.h"
#include "smtpd/identity.h"
#include "smtpd/listener.h"
#include "smtpd/login.h"
#include "smtpd/lookups.h"
#include "smtpd/offer.h"
#include "smtpd/porch.h"
#include "smtpd/pressure.h"
#include "smtpd/session.h"
#include "smtpd/shared_counts.h"
#include "smtpd/submit.h"
#include "smtpd/verify.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Each session has a descriptor, and the rest of the room some. */
static void
set_sessions_max(struct smtpd *smtpd)
{
	uint32_t max = smtpd->conf->smtpd.max_sessions;
	uint32_t fit = smtpd->descriptors > 2 * DESCRIPTORS_SPARE ? smtpd->descriptors - DESCRIPTORS_SPARE :
	    smtpd->descriptors / 2;

	if (smtpd->descriptors != 0 && max > fit) {
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "max-sessions is more than there are descriptors for (RLIMIT_NOFILE)"),
		    F_U64("error", fit));
		max = fit;
	}
	smtpd->sessions_max = max;
}

/* The grace is nearly over: who is still here learns it, rather than that the connection broke (RFC 5321 3.8). What the
 * queue has been given may still be answered. */
static void
on_last_call(struct timer *t, void *ctx)
{
	struct smtpd *smtpd = ctx;

	(void)t;
	for (struct session *s = smtpd->sessions; s != NULL; s = s->next)
		if (s->phase <= PH_DATA)
			session_last(s, 421, "4.3.2", "Server stops, try again in a moment", "server stops");
}

void
smtpd_last_call(struct smtpd *smtpd, uint64_t ms)
{
	timer_start(&smtpd->last_call, ms);
}

void
smtpd_init(struct smtpd *smtpd, struct loop *loop, struct conf *conf)
{
	smtpd->loop = loop;
	smtpd->conf = conf_ref(conf);
	smtpd->spare_fd = -1;
	timer_setup(&smtpd->breather, loop, listeners_breathe_again, smtpd);
	timer_setup(&smtpd->last_call, loop, on_last_call, smtpd);
	set_sessions_max(smtpd);
	hash_key_make(&smtpd->rcpt_key);
	clients_init(&smtpd->clients, loop);
	login_log_init(&smtpd->login_log, loop);
	clients_adopt(&smtpd->clients, conf);
	verify_adopt(smtpd, conf);
	vault_init(&smtpd->vault, loop);
	turnstile_init(&smtpd->turnstile, loop);
	doors_adopt(&smtpd->doors, conf);
	smtpd->identities_changed = tls_room_renew;
	offer_adopt(smtpd, conf);
}

void
smtpd_free(struct smtpd *smtpd)
{
	listeners_close(smtpd);
	porch_clear(smtpd);
	timer_cancel(&smtpd->last_call);
	turnstile_free(&smtpd->turnstile);
	while (smtpd->sessions != NULL)
		session_free(smtpd->sessions);
	peer_free(smtpd->router);
	peer_free(smtpd->resolver);
	peer_free(smtpd->queue);
	peer_free(smtpd->auth);
	smtpd->router = smtpd->resolver = smtpd->queue = smtpd->auth = NULL;
	handles_free(&smtpd->checks);
	handles_free(&smtpd->authors);
	handles_free(&smtpd->verifications);
	table_free(smtpd->verifiers);
	smtpd->verifiers = NULL;
	handles_free(&smtpd->names);
	handles_free(&smtpd->messages);
	handles_free(&smtpd->logins);
	handles_free(&smtpd->spends);
	free(smtpd->mechanisms);
	smtpd->mechanisms = NULL;
	handles_free(&smtpd->flushes);
	login_log_free(&smtpd->login_log);
	clients_free(&smtpd->clients);
	tls_room_free(smtpd);
	identities_free(smtpd);
	vault_free(&smtpd->vault);
	doors_free(&smtpd->doors);
	table_free(smtpd->priority_clients);
	table_free(smtpd->etrn_clients);
	table_free(smtpd->report_clients);
	smtpd->priority_clients = smtpd->etrn_clients = smtpd->report_clients = NULL;
	conf_unref(smtpd->conf);
	smtpd->conf = NULL;
}

struct slice
smtpd_name(const struct smtpd *smtpd, const struct conf *conf)
{
	return slice_str(conf->global.hostname[0] != '\0' ? conf->global.hostname : smtpd->hostname);
}

void
smtpd_take_line(struct smtpd *smtpd, enum role them, unsigned index, int fd)
{
	if (them == ROLE_ROUTER)
		lookup_router_line(smtpd, index, fd);
	else if (them == ROLE_RESOLVER)
		lookup_resolver_line(smtpd, index, fd);
	else if (them == ROLE_QUEUE)
		submit_line(smtpd, index, fd);
	else if (them == ROLE_VAULT)
		vault_take_line(&smtpd->vault, index, fd);
	else if (them == ROLE_AUTH)
		login_line(smtpd, index, fd);
	else
		(void)close(fd);
}

void
smtpd_adopt(struct smtpd *smtpd, struct conf *conf)
{
	struct conf *old = smtpd->conf;

	smtpd->conf = conf_ref(conf);
	conf_unref(old);
	set_sessions_max(smtpd);
	clients_adopt(&smtpd->clients, conf);
	doors_adopt(&smtpd->doors, conf);
	tls_room_renew(smtpd);
	verify_adopt(smtpd, conf);
	pressure_check(smtpd);
	offer_adopt(smtpd, conf);
	listeners_adopt(smtpd, conf->generation);
}

void
smtpd_check_done(struct smtpd *smtpd)
{
	if (smtpd->stopping && smtpd->n_sessions == 0 && smtpd->n_callers == 0 && smtpd->room != NULL)
		room_exit(smtpd->room);
}

void
smtpd_stop(struct smtpd *smtpd)
{
	smtpd->stopping = true;
	login_log_flush(&smtpd->login_log);
	listeners_close(smtpd);
	porch_clear(smtpd);
	for (struct session *s = smtpd->sessions; s != NULL; s = s->next)
		session_stop(s);
	smtpd_check_done(smtpd);
}

/* --- as a room --- */

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct smtpd *smtpd = room->ctx;
	enum rc rc;
	struct rlimit files;

	/* Opens what it needs of the system, while there is one. */
	if (sodium_init() == -1) {
		(void)buf_put_str(why, "no random numbers");
		return RC_IO;
	}
	tzset();	/* reads /etc/localtime once: localtime_r() opens nothing (trace.c) */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		smtpd->descriptors = files.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)files.rlim_cur;
	smtpd_init(smtpd, room->loop, room->conf);
	smtpd->room = room;
	shared_counts_map(smtpd);
	if (gethostname(smtpd->hostname, HOSTNAME_MAX) == -1 || smtpd->hostname[0] == '\0')
		(void)memcpy(smtpd->hostname, "localhost", sizeof "localhost");
	rc = vault_prepare(&smtpd->vault, why);
	return rc == RC_OK ? tls_warm_up(why) : rc;
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	smtpd_take_line(room->ctx, them, index, fd);
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	if (m->purpose == FILE_LISTENER)
		listener_add(room->ctx, m->generation, m->name, fd);
	else if (m->purpose == FILE_CHAIN)
		identity_file(room->ctx, m, fd);
	else if (m->purpose == FILE_CLIENT_CA)
		tls_room_file(room->ctx, m, fd);
	else
		(void)close(fd);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct smtpd *smtpd = room->ctx;

	if (old == NULL)
		(void)identities_adopt(smtpd, smtpd->identities_next == NULL ? 0 : smtpd->identities_next->serial);
	smtpd_adopt(smtpd, room->conf);
	if (old == NULL && !smtpd->queue_known)
		listeners_hold(smtpd);
	return NULL;
}

static const char *
on_certificates(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct m_certificates m;
	struct m_certificates_taken taken;
	const char *why;

	(void)handle, (void)fd;
	if (!m_certificates_get(body, &m))
		return "malformed M_CERTIFICATES";
	why = identities_adopt(room->ctx, m.serial);
	taken = (struct m_certificates_taken){ m.serial, why == NULL ? RC_OK : RC_NOMEM, slice_str(why == NULL ? "" : why) };
	(void)m_certificates_taken_send(p, 0, &taken);
	return NULL;
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	smtpd_last_call(room->ctx, grace_ms > 2 * LAST_CALL_MS ? grace_ms - LAST_CALL_MS : grace_ms / 2);
	smtpd_stop(room->ctx);
}

const struct room_ops smtpd_ops = {
	.role = ROLE_SMTPD,
	.prepare = prepare,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.stop = stop,
	.on_master = { [M_CERTIFICATES] = on_certificates },
};
