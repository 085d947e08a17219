/* smtpd/cmd_auth.c -- AUTH (RFC 4954), see login.h. */
#include "common/prepare.h"
#include "common/text.h"
#include "common/wire/base64.h"
#include "smtpd/allowance.h"
#include "smtpd/command.h"
#include "smtpd/deadline.h"
#include "smtpd/login.h"

#include <sodium.h>
#include <stdlib.h>

enum { BINDING_MAX = 64 };	/* bytes: a hash, or 32 of RFC 9266 */

/* --- the end of a login --- */

void
login_free(struct session *s)
{
	const struct au_abort m = { 0 };
	struct login *l = s->login;

	if (l == NULL)
		return;
	s->login = NULL;
	if (l->handle != 0 && s->smtpd->auth != NULL)
		(void)au_abort_send(s->smtpd->auth, l->handle, &m);
	handle_release(&s->smtpd->logins, l->handle);
	free(l);
}

/* The auth room knows it no more. */
static void
forget_handle(struct login *l)
{
	handle_release(&l->session->smtpd->logins, l->handle);
	l->handle = 0;
}

static void
leave(struct session *s, unsigned code, const char *enhanced, const char *text)
{
	login_free(s);
	if (s->phase == PH_AUTH)
		session_enter(s, PH_READY);
	s->verb = "AUTH";
	session_reply(s, code, enhanced, "%s", text);
	wait_over(s, WAIT_LOGIN);
}

static struct slice
mechanism_of(const struct session *s)
{
	return slice_str(s->login == NULL ? "" : s->login->mechanism);
}

/* RFC 4954 6 */
static const struct {
	unsigned code;
	const char *enhanced, *text;
} failures[] = {
	[AUTH_WRONG] = { 535, "5.7.8", "Authentication credentials invalid" },
	[AUTH_TEMPORARY] = { 454, "4.7.0", "Temporary authentication failure" },
	[AUTH_MALFORMED] = { 501, "5.5.2", "Malformed response" },
	[AUTH_NO_MECHANISM] = { 504, "5.5.4", "Unrecognized authentication mechanism" },
	[AUTH_IDLE] = { 454, "4.7.0", "Temporary authentication failure" },
	[AUTH_BUSY] = { 454, "4.7.0", "Temporary authentication failure" },
};

static void
log_failed(const struct session *s, struct slice mechanism, struct slice user, struct slice why, unsigned code)
{
	const struct conf_limits *limits = &s->conf->limits;
	struct ip_net net = ip_client_network(s->ip, limits->ipv4_prefix, limits->ipv6_prefix);

	if (!login_log_says(&s->smtpd->login_log, net, code == failures[AUTH_WRONG].code ? LOGIN_LOG_WRONG : LOGIN_LOG_OTHER,
	    limits->failed_logins_logged))
		return;
	log_say(LOG_AUTH_FAILED, NULL, F_IP("client", s->ip), F_STR("user", user),
	    F_STR("mechanism", mechanism), F_STR("listener", s->listener), F_STR("why", why), F_U64("code", code));
}

static void
note_failed(struct session *s, enum auth_failure kind, struct slice user, struct slice why)
{
	if (kind == AUTH_WRONG || kind == AUTH_IDLE)
		client_note(s, CLIENT_FAILED_LOGIN, 1);
	/* Not a failed login: all of an office may come at the same time, and come again. */
	if (kind == AUTH_BUSY) {
		client_note(s, CLIENT_ERROR, 1);
		s->too_many |= client_over(s, CLIENT_ERROR);
	}
	log_failed(s, mechanism_of(s), user, why, failures[kind].code);
}

static void
say_failed(struct session *s, enum auth_failure kind)
{
	leave(s, failures[kind].code, failures[kind].enhanced, failures[kind].text);
}

void
login_fail(struct session *s, enum auth_failure kind, struct slice user, struct slice why)
{
	note_failed(s, kind, user, why);
	say_failed(s, kind);
}

/* A client that still has to answer a challenge would take this for the reply to its answer, and the session would hear that
 * answer as a command: it is said when the answer has come. */
static void
fail_in_turn(struct login *l, enum auth_failure kind, struct slice user, struct slice why)
{
	struct session *s = l->session;

	forget_handle(l);
	if (s->phase == PH_AUTH && (s->waits & WAIT_LOGIN) == 0) {
		note_failed(s, kind, user, why);
		l->failed = kind;
	} else {
		login_fail(s, kind, user, why);
	}
}

bool
login_has_failed(struct session *s)
{
	if (s->login == NULL || s->login->failed == 0)
		return false;
	say_failed(s, s->login->failed);
	return true;
}

void
login_unanswered(struct session *s)
{
	login_fail(s, AUTH_TEMPORARY, S(""), S("the auth room does not answer"));
}

/* --- what the auth room says --- */

static struct login *
login_of(struct smtpd *smtpd, uint32_t handle)
{
	struct login *l = handle_find(&smtpd->logins, handle);

	return l != NULL && (l->session->waits & WAIT_LOGIN) != 0 ? l : NULL;
}

/* Names of RFC 4422 3.1, one space between two. */
static bool
are_mechanisms(struct slice text)
{
	uint8_t before = ' ';

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == ' ' && before != ' ')))
			return false;
		before = c;
	}
	return text.n == 0 || before != ' ';
}

static const char *
on_state(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct au_state m;
	char *copy;

	(void)p, (void)handle, (void)fd;
	if (!au_state_get(body, &m) || m.mechanisms.n > LOGIN_MECHANISMS_MAX || !are_mechanisms(m.mechanisms))
		return "malformed AU_STATE";
	copy = text_copy(m.mechanisms);
	if (copy != NULL) {
		free(smtpd->mechanisms);
		smtpd->mechanisms = copy;
	}
	return NULL;
}

static const char *
on_challenge(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct login *l = login_of(ctx, handle);
	struct buf text = BUF_INIT(LOGIN_LINE_MAX);
	struct au_challenge m;
	struct session *s;
	size_t before;

	(void)p, (void)fd;
	if (!au_challenge_get(body, &m))
		return "malformed AU_CHALLENGE";
	if (l == NULL)
		return NULL;
	s = l->session;
	before = buf_len(&s->out);
	s->verb = "AUTH";
	/* Said before the challenge: no answer to it, and not to be taken for one (RFC 4954 4, last paragraph). */
	if (buf_len(&s->in) > 0)
		session_last(s, 421, "4.7.0", "Improper pipelining", "Improper pipelining");
	else if (m.challenge.n > LOGIN_LINE_MAX / 4 * 3 - 8 || !base64_put(&text, m.challenge))
		login_fail(s, AUTH_TEMPORARY, S(""), S("no memory for a challenge"));
	else if (!reply_challenge(&s->out, buf_slice(&text)))
		session_speechless(s, before);
	else
		wait_over(s, WAIT_LOGIN);
	buf_free(&text);
	return NULL;
}

static const char *
on_ok(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct login *l = login_of(ctx, handle);
	struct session *s;
	struct au_ok m;

	(void)p, (void)fd;
	if (!au_ok_get(body, &m) || m.user.n == 0 || m.user.n > PREPARE_USER_MAX || slice_find(m.user, 0) < m.user.n)
		return "malformed AU_OK";
	if (l == NULL)
		return NULL;
	s = l->session;
	forget_handle(l);
	s->user = text_copy(m.user);
	if (s->user == NULL) {
		login_fail(s, AUTH_TEMPORARY, m.user, S("out of memory"));
		return NULL;
	}
	log_say(LOG_AUTH_OK, NULL, F_IP("client", s->ip), F_STR("user", m.user), F_TEXT("mechanism", l->mechanism),
	    F_STR("listener", s->listener));
	client_note_good(s);
	leave(s, 235, "2.7.0", "Authentication successful");
	return NULL;
}

static const char *
on_fail(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct login *l = handle_find(&((struct smtpd *)ctx)->logins, handle);
	struct au_fail m;

	(void)p, (void)fd;
	if (!au_fail_get(body, &m) || m.kind < AUTH_WRONG || m.kind >= AUTH_FAILURES)
		return "malformed AU_FAIL";
	/* It may also have lost its patience with a client that is still to answer. */
	if (l != NULL && l->session->phase == PH_AUTH)
		fail_in_turn(l, (enum auth_failure)m.kind, m.user, m.why);
	return NULL;
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct smtpd *smtpd = ctx;

	room_log_drop(p, why);
	if (smtpd->auth == p) {
		smtpd->auth = NULL;
		for (size_t i = 0; i < smtpd->logins.n; i++) {
			struct login *l = handle_at(&smtpd->logins, i);

			if (l != NULL)
				fail_in_turn(l, AUTH_TEMPORARY, S(""), S("the auth room was lost"));
		}
		allowances_fail(smtpd);
	}
	peer_free(p);
}

static const struct peer_ops auth_ops = {
	.on = { [AU_STATE] = on_state, [AU_CHALLENGE] = on_challenge, [AU_OK] = on_ok, [AU_FAIL] = on_fail,
	    [AU_SPENT] = allowance_on_spent },
	.closed = line_closed,
};

void
login_line(struct smtpd *smtpd, unsigned index, int fd)
{
	if (smtpd->auth != NULL)
		line_closed(smtpd, smtpd->auth, NULL);
	smtpd->auth = peer_new(smtpd->loop, fd, ROLE_SMTPD, ROLE_AUTH, index, &auth_ops, smtpd);
}

/* --- what the client says --- */

/* base64 of a response into bytes. False: answered. */
static bool
decode(struct session *s, struct slice text, struct buf *to)
{
	enum rc rc = base64_decode(text, to);

	if (rc == RC_OK)
		return true;
	if (rc == RC_SYNTAX) {
		log_failed(s, mechanism_of(s), S(""), S("no base64"), 501);
		leave(s, 501, "5.5.2", "Cannot base64-decode the response");
	} else {
		login_fail(s, AUTH_TEMPORARY, S(""), S("out of memory"));
	}
	return false;
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		sodium_memzero(b->p, b->cap);
	buf_free(b);
}

static enum rc
send_begin(struct session *s, const struct buf *initial)
{
	struct buf exporter = BUF_INIT(BINDING_MAX), end_point = BUF_INIT(BINDING_MAX);
	const struct tls_certificate *certificate = stream_client_certificate(&s->stream);
	struct au_begin m = {
		.mechanism = slice_str(s->login->mechanism),
		.has_initial = initial != NULL,
		.initial = initial == NULL ? S("") : buf_slice(initial),
		.client = s->ip,
		.exempt = s->exempt,
		.secure = stream_is_tls(&s->stream),
		.plus = login_has_plus(s),
		.fingerprint = certificate == NULL ? S("") : slice_of(certificate->fingerprint, TLS_DIGEST),
	};
	enum rc rc;

	if (stream_channel_binding(&s->stream, TLS_BINDING_EXPORTER, &exporter))
		m.exporter = buf_slice(&exporter);
	if (stream_channel_binding(&s->stream, TLS_BINDING_SERVER_END_POINT, &end_point))
		m.end_point = buf_slice(&end_point);
	rc = au_begin_send(s->smtpd->auth, s->login->handle, &m);
	buf_free(&exporter);
	buf_free(&end_point);
	return rc;
}

/* The session waits for the auth room from here. */
static void
ask(struct session *s, const struct buf *initial)
{
	struct smtpd *smtpd = s->smtpd;

	if (smtpd->auth != NULL)
		s->login->handle = handle_new(&smtpd->logins, s->login);
	if (s->login->handle == 0 || send_begin(s, initial) != RC_OK) {
		forget_handle(s->login);
		login_fail(s, AUTH_TEMPORARY, S(""), S("the auth room is away"));
		return;
	}
	wait_begin(s, WAIT_LOGIN);
}

static bool
begin(struct session *s, struct slice mechanism)
{
	struct login *l = calloc(1, sizeof *l);

	if (l == NULL) {
		session_reply(s, 454, "4.7.0", "Temporary authentication failure");
		return false;
	}
	l->session = s;
	for (size_t i = 0; i < mechanism.n; i++)
		l->mechanism[i] = (char)(mechanism.p[i] & 0x7f);
	s->login = l;
	session_enter(s, PH_AUTH);
	return true;
}

/* What can be said without asking. False: answered. */
static bool
may_log_in(struct session *s, struct slice mechanism)
{
	struct slice said = slice_first(mechanism, LOGIN_MECHANISM_MAX);

	if (s->user != NULL)
		session_fault(s, 503, "5.5.1", "You have logged in already");
	else if (!login_listener_offers(s))
		command_not_implemented(s);
	else if (s->phase != PH_READY)		/* RFC 4954 4: never within a transaction */
		session_fault(s, 503, "5.5.1", s->phase == PH_HELLO ? "Say EHLO first" : "A transaction is under way");
	else if (mechanism.n == 0)
		session_fault(s, 501, "5.5.4", "Syntax: AUTH mechanism and perhaps a response");
	else if (!login_is_private(s)) {
		log_failed(s, said, S(""), S("without TLS"), 538);
		session_fault(s, 538, "5.7.11", "Encryption required for authentication");	/* RFC 4954 6 */
	} else if (client_over(s, CLIENT_FAILED_LOGIN)) {
		log_failed(s, said, S(""), S("too many failed logins of its network (limits { failed-logins })"), 454);
		session_reply(s, 454, "4.7.0", "Too many failed logins from your network, try again later");
	} else if (s->smtpd->mechanisms == NULL)
		session_reply(s, 454, "4.7.0", "Temporary authentication failure");
	else if (mechanism.n > LOGIN_MECHANISM_MAX || !login_has_mechanism(s, mechanism)) {
		log_failed(s, said, S(""), S("no such mechanism"), 504);
		session_fault(s, 504, "5.5.4", "Unrecognized authentication mechanism");
	} else
		return true;
	return false;
}

void
cmd_auth(struct session *s, struct slice arg)
{
	struct slice mechanism = slice_first(arg, slice_find(arg, ' ')), response = slice_from(arg, mechanism.n + 1);
	struct buf initial = BUF_INIT(LOGIN_LINE_MAX);

	if (!may_log_in(s, mechanism) || !begin(s, mechanism))
		return;
	/* RFC 4954 4: "=" is a response of no bytes. */
	if (mechanism.n == arg.n)
		ask(s, NULL);
	else if (slice_eq(response, S("=")) || (response.n > 0 && decode(s, response, &initial)))
		ask(s, &initial);
	else if (response.n == 0)
		leave(s, 501, "5.5.2", "Cannot base64-decode the response");
	wipe(&initial);
}

static void
respond(struct session *s, struct slice line)
{
	struct buf bytes = BUF_INIT(LOGIN_LINE_MAX);
	struct au_continue m;

	if (slice_eq(line, S("*"))) {
		leave(s, 501, "5.7.0", "Authentication cancelled");
	} else if (!login_has_failed(s) && decode(s, line, &bytes)) {
		m.response = buf_slice(&bytes);
		if (s->smtpd->auth != NULL && au_continue_send(s->smtpd->auth, s->login->handle, &m) == RC_OK)
			wait_begin(s, WAIT_LOGIN);
		else
			login_fail(s, AUTH_TEMPORARY, S(""), S("the auth room is away"));
	}
	wipe(&bytes);
}

enum rc
login_input(struct session *s, struct slice in, size_t *ret_used)
{
	enum smtp_line_result what;
	struct slice line;

	*ret_used = 0;
	what = smtp_line_next(&s->scan, in, LOGIN_LINE_MAX, &line, ret_used);
	if (what == SMTP_LINE_MORE)
		return RC_MORE;
	s->verb = "AUTH";
	deadline_progress(s);
	switch (what) {
	case SMTP_LINE_OK:
		respond(s, line);
		break;
	case SMTP_LINE_LONG:
		leave(s, 500, "5.5.6", "Response too long");
		break;
	case SMTP_LINE_NUL:
		leave(s, 501, "5.5.2", "Cannot base64-decode the response");
		break;
	case SMTP_LINE_BARE_LF:
	case SMTP_LINE_BARE_CR:
		session_cut_off(s, 500, "5.5.2", "Bare CR or LF received", "bare newline");
		break;
	case SMTP_LINE_ENDLESS:
		session_last(s, 421, "4.7.0", "Line without end", "Line without end");
		break;
	case SMTP_LINE_MORE:
		break;
	}
	return RC_OK;
}
