/* smtpd/session.c -- see session.h. */
#include "smtpd/session.h"

#include "smtpd/command.h"
#include "smtpd/deadline.h"
#include "smtpd/login.h"
#include "smtpd/lookups.h"
#include "smtpd/pressure.h"
#include "smtpd/rcpt_domains.h"
#include "smtpd/receive.h"
#include "smtpd/tls_room.h"
#include "smtpd/turnstile.h"

#include <config.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINGER_BYTES = 4 * 1024 * 1024 };	/* thrown away before a client that does not stop is reset */

static void on_ready(struct watch *w, bool readable, bool writable, void *ctx);
static void on_chore(struct chore *c, void *ctx);
static void settle(struct session *s);
static void shake(struct session *s);

/* --- the phase --- */

static const unsigned may_follow[PHASE_COUNT] = {
	[PH_HELLO] = PHASE_BIT(PH_HELLO) | PHASE_BIT(PH_READY) | PHASE_BIT(PH_SHAKE) | PHASE_BIT(PH_SKIP) | PHASE_BIT(PH_LAST) |
	    PHASE_BIT(PH_DEAD),
	[PH_READY] = PHASE_BIT(PH_HELLO) | PHASE_BIT(PH_READY) | PHASE_BIT(PH_AUTH) | PHASE_BIT(PH_MAIL) | PHASE_BIT(PH_SHAKE) |
	    PHASE_BIT(PH_SKIP) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_AUTH] = PHASE_BIT(PH_READY) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_MAIL] = PHASE_BIT(PH_READY) | PHASE_BIT(PH_DATA) | PHASE_BIT(PH_SKIP) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_CHUNKS] = PHASE_BIT(PH_READY) | PHASE_BIT(PH_DATA) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_SKIP] = PHASE_BIT(PH_HELLO) | PHASE_BIT(PH_READY) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_DATA] = PHASE_BIT(PH_READY) | PHASE_BIT(PH_CHUNKS) | PHASE_BIT(PH_COMMIT) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_COMMIT] = PHASE_BIT(PH_READY) | PHASE_BIT(PH_LAST) | PHASE_BIT(PH_DEAD),
	[PH_SHAKE] = PHASE_BIT(PH_HELLO) | PHASE_BIT(PH_DEAD),
	[PH_LAST] = PHASE_BIT(PH_LINGER) | PHASE_BIT(PH_DEAD),
	[PH_LINGER] = PHASE_BIT(PH_DEAD),
};

void
session_enter(struct session *s, enum phase phase)
{
	BUG_ON((may_follow[s->phase] & PHASE_BIT(phase)) == 0);
	s->phase = phase;
	deadline_progress(s);
}

static bool
takes_input(const struct session *s)
{
	return s->phase <= PH_DATA;
}

/* --- the end --- */

static void flush_all_but(struct session *s, size_t keep);

void
session_speechless(struct session *s, size_t before)
{
	char text[REPLY_LINE_MAX];
	struct slice name = smtpd_name(s->smtpd, s->conf);
	size_t n;

	s->out.end = s->out.start + before;
	s->out.failed = false;
	flush_all_but(s, 0);
	/* Otherwise it does not read what there is. The transaction stays until the turn ends: its recipients may be just being
	 * answered. */
	if (s->phase < PH_LINGER && buf_len(&s->out) == 0) {
		(void)snprintf(text, sizeof text, "421 4.3.0 %.*s Out of memory, try again later\r\n", (int)name.n,
		    (const char *)name.p);
		(void)stream_write(&s->stream, slice_str(text), true, &n);
		(void)stream_close_write(&s->stream);
	}
	session_end(s, "no memory for a reply");
}

void
session_end(struct session *s, const char *reason)
{
	if (s->phase == PH_DEAD)
		return;
	if (s->reason == NULL)
		s->reason = reason;
	session_enter(s, PH_DEAD);
	chore_queue(&s->chore);
}

void
session_transaction_over(struct session *s)
{
	if (s->phase == PH_DEAD)	/* the reply found no room, and the session ends */
		return;
	session_enter(s, PH_READY);
	s->waits &= WAIT_LATE;
	if (s->smtpd->stopping)
		session_stop(s);
	session_wake(s);
}

void
session_stop(struct session *s)
{
	if (s->phase <= PH_AUTH || s->phase == PH_SHAKE)
		session_last(s, 421, "4.3.2", "Server stops, try again in a moment", "server stops");
}

/* --- out --- */

/* What the socket takes now, in one write, of all but the last `keep` bytes. */
static void
flush_all_but(struct session *s, size_t keep)
{
	while (s->phase < PH_LINGER && buf_len(&s->out) > keep) {
		size_t n = 0;
		enum stream_status status = stream_write(&s->stream, slice_first(buf_slice(&s->out), buf_len(&s->out) - keep),
		    s->phase == PH_LAST, &n);

		if (status == STREAM_AGAIN)
			return;
		if (status == STREAM_OK)
			buf_consume(&s->out, n);
		else
			session_end(s, "connection lost");
	}
	if (buf_len(&s->out) == 0)
		buf_free(&s->out);
}

static void
flush(struct session *s)
{
	if ((s->waits & WAIT_LATE) == 0)
		flush_all_but(s, 0);
}

/* The last reply is out. A client that still sends must not be answered with a reset, which could overtake the reply:
 * close our side, and throw away what comes. After QUIT there is nothing to come, but over TLS the client's goodbye. */
static void
leave(struct session *s)
{
	bool done = s->eof || (s->quits && !stream_is_tls(&s->stream) && !stream_has_more(&s->stream));

	if (stream_is_tls(&s->stream))
		done = !stream_close_write(&s->stream) || done;
	else
		done = done || !stream_close_write(&s->stream);
	if (done) {
		session_end(s, NULL);
		return;
	}
	session_enter(s, PH_LINGER);
	buf_free(&s->in);
}

static void
linger(struct session *s)
{
	size_t n;
	enum stream_status status = stream_drain(&s->stream, loop_scratch(s->smtpd->loop), LOOP_SCRATCH, &n);

	s->lingered += n;
	if ((status != STREAM_OK && status != STREAM_AGAIN) || s->lingered > LINGER_BYTES)
		session_end(s, NULL);
}

void
session_evict(struct session *s)
{
	session_last(s, 421, "4.3.2", "Too many sessions, try again later", "made room for another client");
	flush(s);
	if (s->phase < PH_LINGER)
		(void)stream_close_write(&s->stream);	/* over TLS with its own goodbye (RFC 8314 3.4) */
	session_end(s, NULL);
}

/* --- in --- */

/* A reply to the latest of many errors leaves after a while, and nothing is heard meanwhile: it costs the guesser time, and
 * us a timer that runs anyway. What was said before it, so many bytes of replies, is not kept back. */
static void
fall_asleep(struct session *s, size_t before)
{
	if (s->late && buf_len(&s->out) > before)
		flush_all_but(s, buf_len(&s->out) - before);
	if (s->late && takes_input(s)) {
		wait_begin(s, WAIT_LATE);
		deadline_progress(s);
	}
	s->late = false;
}

void
session_skip(struct session *s, const struct skip *skip)
{
	s->skip = *skip;
	s->skip.began = loop_now(s->smtpd->loop);
	s->skip.back = s->phase == PH_HELLO ? PH_HELLO : PH_READY;
	/* A message must not begin with what follows a chunk that is missing (RFC 3030 2: after a failure only RSET helps). */
	transaction_free(&s->tx, "a chunk was refused");
	session_enter(s, PH_SKIP);
}

/* RC_OK: all is read away, and said. */
static enum rc
skip_input(struct session *s, struct slice in, size_t *ret_used)
{
	*ret_used = in.n < s->skip.left ? in.n : (size_t)s->skip.left;
	s->skip.left -= *ret_used;
	deadline_progress(s);
	if (s->skip.left > 0)
		return RC_MORE;
	session_enter(s, s->skip.back);
	session_fault(s, s->skip.code, s->skip.enhanced, s->skip.text);
	return RC_OK;
}

/* RFC 2920 3.2 (5), (6): the client is entitled to wait for this reply, also when it has sent more behind the command. */
static void
hurry(struct session *s)
{
	if (s->urgent)
		flush(s);
	s->urgent = false;
}

/* Handles as much of `in` as can be handled now; returns how much that was. */
static size_t
work(struct session *s, struct slice in)
{
	size_t used = 0;

	s->yielded = false;
	hurry(s);
	for (unsigned n = 0; takes_input(s) && s->waits == 0; n++) {
		size_t step = 0, before = buf_len(&s->out);
		enum rc rc;

		if (n == SESSION_COMMANDS_A_TURN || buf_len(&s->out) >= REPLY_HIGH) {
			s->yielded = true;
			break;
		}
		if (s->phase == PH_DATA)
			rc = receive_input(s, slice_from(in, used), &step);
		else if (s->phase == PH_AUTH)
			rc = login_input(s, slice_from(in, used), &step);
		else if (s->phase == PH_SKIP)
			rc = skip_input(s, slice_from(in, used), &step);
		else
			rc = command_input(s, slice_from(in, used), &step);
		used += step;
		if (rc == RC_MORE)
			break;
		if (rc == RC_AGAIN)
			wait_begin(s, WAIT_AGAIN);
		fall_asleep(s, before);
		hurry(s);
	}
	return used;
}

static void
keep(struct session *s, struct slice rest)
{
	if (rest.n > 0 && s->quits)
		s->quits = false;	/* it does not stop: see leave() */
	if (takes_input(s) || s->phase == PH_COMMIT)
		if (!buf_put_slice(&s->in, rest))
			session_last(s, 421, "4.3.0", "Out of memory, try again later", "no memory");
}

/* What was kept, again. */
static void
work_kept(struct session *s)
{
	size_t used = work(s, buf_slice(&s->in));

	if (s->phase >= PH_LAST) {
		s->quits = s->quits && used == buf_len(&s->in);
		return;
	}
	buf_consume(&s->in, used);
	if (buf_len(&s->in) == 0)
		buf_free(&s->in);
}

/* --- together --- */

static bool
reads_now(const struct session *s)
{
	return takes_input(s) && !s->eof && s->waits == 0 && !s->yielded && buf_len(&s->out) < REPLY_HIGH;
}

static void
read_input(struct session *s)
{
	uint8_t *landing = loop_scratch(s->smtpd->loop);
	enum stream_status status;
	struct slice came;
	size_t used, n;

	/* A session that was woken and heard in the same turn still has what it kept, and there is room for one read only. */
	if (buf_len(&s->in) > 0) {
		work_kept(s);
		if (!reads_now(s))
			return;
	}
	status = stream_read(&s->stream, landing, SESSION_READ_MAX, &n);
	if (status == STREAM_END)
		s->eof = true;
	else if (status == STREAM_LOST)
		session_end(s, "connection lost");
	if (status != STREAM_OK)
		return;
	came = slice_of(landing, n);
	if (buf_len(&s->in) > 0) {
		keep(s, came);
		work_kept(s);
		return;
	}
	used = work(s, came);
	keep(s, slice_from(came, used));
}

/* Is the socket to be watched for input? While another room is asked it need not be, but most clients are silent then, and
 * switching the watch off and on again would cost each of them two system calls a question: it is switched off when the
 * client is heard. */
static bool
is_heard(struct session *s)
{
	if (s->phase == PH_LINGER)
		return true;
	if (s->phase == PH_SHAKE)
		return s->shaking == TLS_READS;
	if (reads_now(s)) {
		s->overheard = false;
		return true;
	}
	return (s->waits != 0 || s->phase == PH_COMMIT) && !s->overheard && !s->eof && s->watch.read &&
	    buf_len(&s->out) < REPLY_HIGH;
}

/* Is there something that only the socket holds up? */
static bool
is_to_write(const struct session *s)
{
	if (s->phase == PH_LINGER || (s->waits & WAIT_LATE) != 0)
		return false;
	return buf_len(&s->out) > 0 || s->stream.writes_to_read || (s->phase == PH_SHAKE && s->shaking == TLS_WRITES);
}

/* After anything happened: replies out, what to wait for, until when. */
static void
settle(struct session *s)
{
	flush(s);
	if (s->phase == PH_SHAKE && buf_len(&s->out) == 0 && s->shaking != TLS_WAITS)
		shake(s);
	/* The client has closed its side, and all that it had sent is done. */
	if (s->eof && takes_input(s) && s->waits == 0 && !s->yielded)
		session_end(s, "connection closed by client");
	if (s->phase == PH_LAST && buf_len(&s->out) == 0)
		leave(s);
	if (s->phase == PH_DEAD)
		return;
	/* What TLS has read already, no event will tell of. */
	if ((s->yielded && buf_len(&s->out) < REPLY_HIGH) || (stream_pending(&s->stream) && reads_now(s)))
		chore_queue(&s->chore);
	watch_set(&s->watch, is_heard(s), is_to_write(s));
	deadline_arm(s);
}

static void
on_ready(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct session *s = ctx;

	(void)w;
	if (s->phase == PH_LINGER)
		linger(s);
	else if ((readable || (writable && s->stream.writes_to_read)) && reads_now(s))
		read_input(s);
	else if (readable)
		s->overheard = true;
	settle(s);
}

/* Everything that is put off: what was woken, and the end. */
static void
on_chore(struct chore *c, void *ctx)
{
	struct session *s = ctx;
	struct smtpd *smtpd = s->smtpd;

	(void)c;
	if (takes_input(s) && s->waits == 0)
		work_kept(s);
	if (stream_pending(&s->stream) && reads_now(s))
		read_input(s);
	settle(s);
	if (s->phase != PH_DEAD)
		return;
	session_free(s);
	smtpd_check_done(smtpd);
}

void
session_wake(struct session *s)
{
	wait_over(s, WAIT_AGAIN);
}

/* RFC 5321 3.1, 4.2: the name first. */
static void
greet(struct session *s)
{
	struct slice name = smtpd_name(s->smtpd, s->conf);

	session_reply(s, 220, "", "%.*s ESMTP Postern%s%s", (int)name.n, (const char *)name.p,
	    s->conf->smtpd.banner_version ? " " : "", s->conf->smtpd.banner_version ? PACKAGE_VERSION : "");
}

/* --- TLS --- */

static bool
is_implicit(const struct session *s)
{
	return s->listener_conf != NULL && strcmp(s->listener_conf->tls, "implicit") == 0;
}

struct tls_listener *
session_tls_listener(const struct session *s)
{
	return tls_room_listener(s->smtpd, s->listener);
}

void
session_greet(struct session *s)
{
	greet(s);
}

bool
session_become(struct session *s, struct ip ip)
{
	struct clients *all = &s->smtpd->clients;
	struct client *client = s->client == NULL ? NULL : client_enter(all, s->conf, ip);

	if (s->client != NULL && client == NULL)
		return false;
	s->ip = ip;
	if (client == NULL)
		return true;
	client_part(s);
	client_leave(all, s->client);
	s->client = client;
	s->exempt = client->exempt;
	client_join(s);
	return true;
}

/* Everything that the client has said is forgotten (RFC 3207 4.2): it says EHLO again. */
static void
session_forget(struct session *s)
{
	transaction_free(&s->tx, "STARTTLS");
	free(s->user);
	s->user = NULL;
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	s->scan = (struct smtp_line_scan){ .lenient = s->lenient };
}

/* What it waited for, other than the socket, has come. */
static void
on_signed(void *ctx)
{
	struct session *s = ctx;

	s->shaking = TLS_READS;
	chore_queue(&s->chore);
}

bool
session_prepare_tls(struct session *s)
{
	struct tls_listener *listener = session_tls_listener(s);

	/* THREATS 10: each costs us more than it costs the client. */
	if (listener == NULL || client_over(s, CLIENT_TLS_HANDSHAKE))
		return false;
	client_note(s, CLIENT_TLS_HANDSHAKE, 1);
	return stream_prepare_tls(&s->stream, listener, on_signed, s) == RC_OK;
}

void
session_shake(struct session *s)
{
	session_enter(s, PH_SHAKE);
	s->shaking = turnstile_ask(s) ? TLS_READS : TLS_WAITS;
}

void
session_pass(struct session *s)
{
	s->shaking = TLS_READS;
	chore_queue(&s->chore);
}

void
session_shake_failed(struct session *s, const char *why)
{
	log_say(LOG_TLS_FAILED, NULL, F_IP("client", s->ip), F_STR("listener", s->listener), F_TEXT("why", why),
	    F_U64("ms", loop_now(s->smtpd->loop) - s->since));
	session_end(s, "TLS handshake failed");
}

static void
log_tls(const struct session *s)
{
	const struct tls_facts *f = stream_tls(&s->stream);
	char fingerprint[TLS_FINGERPRINT_TEXT + 1] = "";

	if (f->client != NULL)
		tls_fingerprint_format(f->client->fingerprint, fingerprint);
	log_say(LOG_TLS_ESTABLISHED, NULL, F_IP("client", s->ip), F_TEXT("protocol", f->protocol), F_TEXT("cipher", f->cipher),
	    F_U64("bits", f->used_bits), F_TEXT("group", f->group), F_TEXT("sni", f->sni),
	    F_TEXT("resumed", f->resumed ? "yes" : "no"), F_TEXT("fingerprint", fingerprint),
	    F_TEXT("subject", f->client == NULL ? "" : f->client->common_name),
	    F_TEXT("verified", f->client == NULL ? "" : f->client->verified ? "yes" : "no"));
}

/* The handshake, as far as it goes now. Behind it everything begins anew (RFC 3207 4.2). */
static void
shake(struct session *s)
{
	/* One that begins with TLS had to wait for its turn first, and should take no memory meanwhile. */
	if (s->stream.tls == NULL && !session_prepare_tls(s)) {
		session_shake_failed(s, "TLS cannot be had now");
		return;
	}
	s->shaking = stream_shake(&s->stream);
	switch (s->shaking) {
	case TLS_READS:
	case TLS_WRITES:
	case TLS_WAITS:
		return;
	case TLS_CLOSED:
	case TLS_FAILED:
		session_shake_failed(s, stream_tls_trouble(&s->stream));
		return;
	case TLS_DONE:
		break;
	}
	log_tls(s);
	session_forget(s);
	session_enter(s, PH_HELLO);
	if (is_implicit(s))
		greet(s);
	flush(s);
}

/* --- birth and death --- */

/* The first word is ours, or the client's when the listener is for TLS from the first byte on (RFC 8314 3.3). */
static void
begin(struct session *s)
{
	if (!is_implicit(s)) {
		greet(s);
		return;
	}
	if (session_tls_listener(s) != NULL && !client_over(s, CLIENT_TLS_HANDSHAKE))
		session_shake(s);
	else
		session_shake_failed(s, "TLS cannot be had now");
}

static uint32_t
extensions_of(const struct conf_list *names)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < names->n; i++) {
		enum extension e = extension_find(slice_str(names->v[i]));

		if (e < EXT_COUNT)
			bits |= UINT32_C(1) << e;
	}
	return bits;
}

struct session *
session_new(struct smtpd *smtpd, int fd, struct slice listener, struct ip ip, struct client *client)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->smtpd = smtpd;
	s->conf = conf_ref(smtpd->conf);
	s->extensions_off = extensions_of(&s->conf->smtpd.disable);
	for (size_t i = 0; i < s->conf->n_listeners; i++)
		if (slice_eq(slice_str(s->conf->listeners[i].title), listener))
			s->listener_conf = &s->conf->listeners[i];
	if (s->listener_conf != NULL)
		s->listener = slice_str(s->listener_conf->title);
	if (s->listener_conf != NULL) {
		s->submission = strcmp(s->listener_conf->kind, "submission") == 0;
		s->extensions_off |= extensions_of(&s->listener_conf->disable);
	}
	s->ip = ip;
	s->lenient = s->scan.lenient = door_is_lenient(&smtpd->doors, ip);
	s->may_xclient = door_has_xclient(&smtpd->doors, listener, ip);
	s->client = client;
	if (client != NULL) {
		s->exempt = client->exempt;
		client_join(s);
	}
	s->began = s->since = loop_now(smtpd->loop);
	buf_init(&s->in, s->conf->smtpd.max_command_line + SESSION_READ_MAX);
	buf_init(&s->out, REPLY_BUFFER_MAX);
	stream_init(&s->stream, fd);
	watch_init(&s->watch, smtpd->loop, fd, on_ready, s);
	timer_setup(&s->timer, smtpd->loop, deadline_fire, s);
	chore_setup(&s->chore, smtpd->loop, on_chore, s);
	s->next = smtpd->sessions;
	if (s->next != NULL)
		s->next->link = &s->next;
	s->link = &smtpd->sessions;
	smtpd->sessions = s;
	smtpd->n_sessions++;
	pressure_check(smtpd);
	log_say(LOG_CONNECT, NULL, F_IP("client", ip), F_STR("listener", s->listener));
	begin(s);
	settle(s);
	return s;
}

static void
log_disconnect(const struct session *s)
{
	log_say(LOG_DISCONNECT, NULL, F_IP("client", s->ip), F_U64("messages", s->n_accepted),
	    F_U64("rejected", s->n_rejected), F_U64("commands", s->n_commands), F_U64("errors", s->n_errors),
	    F_TEXT("reason", s->reason == NULL ? "" : s->reason), F_U64("ms", loop_now(s->smtpd->loop) - s->began));
}

void
session_free(struct session *s)
{
	transaction_free(&s->tx, s->reason == NULL ? "connection lost" : s->reason);
	turnstile_leave(s);
	wait_forget(s);
	log_disconnect(s);
	watch_stop(&s->watch);
	timer_cancel(&s->timer);
	chore_cancel(&s->chore);
	stream_free(&s->stream);
	if (s->client != NULL) {
		client_part(s);
		client_leave(&s->smtpd->clients, s->client);
	}
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	s->smtpd->n_sessions--;
	pressure_check(s->smtpd);
	buf_free(&s->in);
	buf_free(&s->out);
	free(s->user);
	free(s->name);
	free(s->helo);
	free(s->told_helo);
	rcpt_domains_free(s->rcpt_domains);
	conf_unref(s->conf);
	free(s);
}
