/* smtpd/command.c -- see command.h. */
#include "smtpd/command.h"

#include "common/idn.h"
#include "common/wire/smtp_command.h"
#include "smtpd/deadline.h"
#include "smtpd/lookups.h"
#include "smtpd/offer.h"

enum {
	OVERLAPS = 1 << 0,		/* does not wait for the replies to the RCPTs before it */
	NEEDS_NAME = 1 << 1,		/* waits for the client's name */
	TAKES_UTF8 = 1 << 5,		/* where SMTPUTF8 is offered (RFC 6531 3.2) */
	ENDS_GROUP = 1 << 2,		/* nothing may be pipelined behind it (RFC 2920 3.1) */
	ALONE = 1 << 3,			/* what stands behind it would be heard in another light: it ends the session */
	BEFORE_TLS = 1 << 4,		/* is heard where TLS is required and not there yet */
	URGENT = 1 << 6,		/* its reply is not gathered with others (RFC 2920 3.2 (5)) */
};

struct command {
	struct slice verb;
	const char *name;
	void (*fn)(struct session *s, struct slice arg);
	unsigned phases;		/* where it is legal; elsewhere 503 */
	unsigned flags;
};

/* A verb that we know and do not offer (RFC 5321 4.2.4). */
static void
cmd_not_offered(struct session *s, struct slice arg)
{
	(void)arg;
	command_not_implemented(s);
}

#define VERB(verb) SLICE(verb), verb
#define GREETED (PHASE_BIT(PH_READY) | PHASE_BIT(PH_MAIL) | PHASE_BIT(PH_CHUNKS))
#define ALWAYS (PHASE_BIT(PH_HELLO) | GREETED)

static const struct command commands[] = {
	{ VERB("MAIL"),	cmd_mail, PHASE_BIT(PH_READY), NEEDS_NAME | TAKES_UTF8 },
	{ VERB("RCPT"),	cmd_rcpt, PHASE_BIT(PH_MAIL), OVERLAPS | TAKES_UTF8 },
	{ VERB("DATA"),	cmd_data, PHASE_BIT(PH_MAIL) | PHASE_BIT(PH_CHUNKS), ENDS_GROUP | URGENT },
	{ VERB("BDAT"),	cmd_bdat, ALWAYS, BEFORE_TLS },
	{ VERB("EHLO"),	cmd_ehlo, ALWAYS, BEFORE_TLS | URGENT },
	{ VERB("HELO"),	cmd_helo, ALWAYS, 0 },
	{ VERB("RSET"),	cmd_rset, ALWAYS, 0 },
	{ VERB("NOOP"),	cmd_noop, ALWAYS, BEFORE_TLS | URGENT },
	{ VERB("QUIT"),	cmd_quit, ALWAYS, BEFORE_TLS | URGENT },
	{ VERB("VRFY"),	cmd_vrfy, ALWAYS, NEEDS_NAME | URGENT | TAKES_UTF8 },
	{ VERB("EXPN"),	cmd_expn, ALWAYS, NEEDS_NAME | URGENT | TAKES_UTF8 },
	{ VERB("HELP"),	cmd_help, ALWAYS, 0 },
	{ VERB("STARTTLS"), cmd_starttls, PHASE_BIT(PH_READY), ALONE | BEFORE_TLS },
	{ VERB("XCLIENT"), cmd_xclient, PHASE_BIT(PH_HELLO) | PHASE_BIT(PH_READY), ENDS_GROUP },
	{ VERB("AUTH"),	cmd_auth, ALWAYS, 0 },
	{ VERB("ETRN"),	cmd_etrn, ALWAYS, 0 },
	{ VERB("TURN"),	cmd_not_offered, ALWAYS, URGENT },
};

void
command_not_implemented(struct session *s)
{
	session_fault(s, 502, "5.5.1", "Command not implemented");
}

void
command_verbs_put(struct buf *to)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].fn != cmd_not_offered)
			(void)buf_printf(to, "%s%s", buf_len(to) > 0 ? " " : "", commands[i].name);
}

static const struct command *
find(struct slice verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (slice_caseeq(verb, commands[i].verb))
			return &commands[i];
	return NULL;
}

/* Somebody makes a browser talk to us, to have us take its words for commands (THREATS 8). A request line ends in the
 * protocol's version, whatever its method; these methods are known without it. */
static bool
speaks_http(const struct smtp_command *said)
{
	static const struct slice methods[] = { SLICE("GET"), SLICE("POST"), SLICE("HEAD"), SLICE("CONNECT"), SLICE("OPTIONS") };
	static const struct slice version = SLICE("HTTP/");
	struct slice last = said->arg;

	while (slice_find(last, ' ') < last.n)
		last = slice_from(last, slice_find(last, ' ') + 1);
	if (slice_caseeq(slice_first(last, version.n), version))
		return true;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (slice_caseeq(said->verb, methods[i]))
			return true;
	return false;
}

enum rc
command_ascii_domain(struct address *a, struct buf *domain)
{
	enum rc rc = RC_OK;

	if ((a->flags & ADDRESS_U_LABELS) == 0)
		return RC_OK;
	rc = idn_domain_put(domain, a->domain);
	if (rc == RC_OK)
		a->domain = buf_slice(domain);
	return rc;
}

bool
command_has_argument(struct session *s, struct slice arg)
{
	if (arg.n > 0)
		session_fault(s, 501, "5.5.4", "This command takes no argument");
	return arg.n > 0;
}

/* What is said may not be SMTP at all: 421 and nothing else. */
static void
cut_off(struct session *s, const char *what)
{
	log_say(LOG_PROTOCOL_ERROR, NULL, F_IP("client", s->ip), F_TEXT("what", what),
	    F_TEXT("command", s->verb == NULL ? "" : s->verb));
	session_last(s, 421, "4.7.0", what, what);
}

bool
command_has_erred_enough(const struct session *s)
{
	return s->n_errors >= s->conf->smtpd.max_errors || s->too_many;
}

/* Recipients that were accepted get their message even when too many others were refused: else a long list with some
 * dead addresses in it would be tried in vain for ever. cmd_rcpt takes no more of them then. */
static bool
has_earned_its_end(const struct session *s, const struct command *c)
{
	return s->tx != NULL && s->tx->n_rcpts > 0 && c != NULL && (c->fn == cmd_data || c->fn == cmd_bdat || c->fn == cmd_rcpt);
}

/* Is this client still to be heard? Counts the command. */
static bool
within_limits(struct session *s, const struct command *c)
{
	if (s->n_commands == s->conf->smtpd.max_commands) {
		cut_off(s, "Too many commands");
		return false;
	}
	s->n_commands++;
	if (command_has_erred_enough(s) &&
	    (!has_earned_its_end(s, c) || s->n_over_errors++ >= OVER_ERRORS_MAX)) {
		cut_off(s, "Too many errors");
		return false;
	}
	return true;
}

bool
command_lacks_tls(const struct session *s)
{
	return s->listener_conf != NULL && s->listener_conf->require_tls && !stream_is_tls(&s->stream);
}

/* A submission listener takes mail from users only (RFC 6409 4.3, RFC 4954 6). */
static bool
needs_login(const struct session *s, const struct command *c)
{
	return c->fn == cmd_mail && s->user == NULL && s->submission;
}

static void
run(struct session *s, const struct command *c, const struct smtp_command *said, bool more_behind)
{
	if ((c->flags & BEFORE_TLS) == 0 && command_lacks_tls(s))
		session_fault(s, 530, "5.7.0", "Must issue a STARTTLS command first");
	else if (c->fn == cmd_starttls && !starttls_exists(s))
		cmd_not_offered(s, said->arg);
	else if ((c->phases & PHASE_BIT(s->phase)) == 0)
		session_fault(s, 503, "5.5.1", s->phase == PH_HELLO ? "Say EHLO or HELO first" :
		    s->phase == PH_CHUNKS ? "The message has begun with BDAT" :
		    s->phase == PH_MAIL ? "A transaction is under way already" : "Say MAIL first");
	else if ((c->flags & ALONE) != 0 && !stream_is_tls(&s->stream) && (more_behind || stream_has_more(&s->stream)))
		cut_off(s, "Nothing may stand behind STARTTLS");	/* CVE-2011-0411, THREATS 3 */
	else if (needs_login(s, c))
		session_fault(s, 530, "5.7.0", "Authentication required");
	else
		c->fn(s, said->arg);
	s->data_refused = c->fn == cmd_data && s->phase < PH_DATA;
	/* Content behind a DATA that was refused must not be taken for commands. */
	if ((c->flags & ENDS_GROUP) != 0 && more_behind && s->phase < PH_DATA)
		cut_off(s, "Improper pipelining");
}

static void
run_unknown(struct session *s, const struct smtp_command *said)
{
	if (speaks_http(said))
		cut_off(s, "This is not a web server");
	else if (command_lacks_tls(s))		/* RFC 3207 4: to every command but five */
		session_fault(s, 530, "5.7.0", "Must issue a STARTTLS command first");
	else
		session_fault(s, 500, "5.5.2", "Command not recognized");
}

/* RFC 5321 4.1.2: characters that no argument may hold are told 501, when the command is one of ours and nothing else is
 * wrong. Bytes above 127 are told 500 (2.4). */
static void
run_garbage(struct session *s, struct slice line)
{
	bool ours = find(slice_first(line, slice_find(line, ' '))) != NULL;

	for (size_t i = 0; i < line.n; i++)
		ours = ours && line.p[i] <= 127;
	if (ours)
		session_fault(s, 501, "5.5.4", "Command holds control characters");
	else
		session_fault(s, 500, "5.5.2", "Not a command");
}

/* RFC 5321 4.1.4 lets a client go on behind a DATA that was refused, with a command. What is none is the content of one that
 * did not wait for the reply: its header comes first, and further down may stand whatever a stranger has written. */
static bool
is_content(struct session *s)
{
	if (!s->data_refused)
		return false;
	cut_off(s, "Content behind a DATA that was refused");
	return true;
}

/* Is it to wait for what the session waits for (wait.h)? c NULL: what is no command. */
static bool
must_wait(const struct session *s, const struct command *c)
{
	unsigned waits = wait_what(s), flags = c == NULL ? 0 : c->flags;

	if ((waits & WAIT_RCPTS) != 0 && ((flags & OVERLAPS) == 0 || s->tx->n_waiting >= RCPT_OVERLAP_MAX ||
	    s->tx->n_named + s->tx->n_waiting >= s->conf->smtpd.max_recipients))
		return true;
	return (waits & WAIT_NAME) != 0 && (flags & NEEDS_NAME) != 0;
}

static enum rc
run_line(struct session *s, struct slice line, bool more_behind)
{
	const struct command *c = NULL;
	struct smtp_command said;
	bool is_command = smtp_command_parse(line, &said) == RC_OK;

	if (is_command)
		c = find(said.verb);
	/* RFC 5321 2.4: everywhere else bytes above 127 make it no command. */
	if (is_command && said.utf8 && (c == NULL || (c->flags & TAKES_UTF8) == 0 || !offers(s, EXT_SMTPUTF8))) {
		is_command = false;
		c = NULL;
	}
	/* Not when it connects: most of those who come in a flood never say as much. */
	if (c != NULL && (c->flags & NEEDS_NAME) != 0)
		lookup_name(s);
	if (must_wait(s, c))
		return RC_AGAIN;
	s->verb = c == NULL ? "" : c->name;
	s->urgent = c == NULL || (c->flags & URGENT) != 0;
	deadline_progress(s);
	if (!within_limits(s, c))
		return RC_OK;
	if (c != NULL)
		run(s, c, &said, more_behind);
	else if (is_content(s))
		return RC_OK;
	else if (is_command)
		run_unknown(s, &said);
	else
		run_garbage(s, line);
	return RC_OK;
}

/* A line that is none, or a whole one: RC_OK when it was answered. */
static enum rc
run_bad_line(struct session *s, enum smtp_line_result what, struct slice line)
{
	if (must_wait(s, NULL))
		return RC_AGAIN;
	s->verb = "";
	s->urgent = true;
	deadline_progress(s);
	if (!within_limits(s, NULL) || is_content(s))
		return RC_OK;
	switch (what) {
	case SMTP_LINE_NUL:
		run_garbage(s, line);
		break;
	case SMTP_LINE_LONG:
		session_fault(s, 500, "5.5.2", "Line too long");
		break;
	/* What stands behind a bare newline may be meant as another command by whoever sent it (THREATS 1). 521 would say that
	 * this host never takes mail (RFC 7504 3). */
	case SMTP_LINE_BARE_LF:
		session_cut_off(s, 500, "5.5.2", "Bare LF received", "bare newline");
		break;
	case SMTP_LINE_BARE_CR:
		session_cut_off(s, 500, "5.5.2", "Bare CR received", "bare newline");
		break;
	case SMTP_LINE_ENDLESS:
		cut_off(s, "Line without end");
		break;
	case SMTP_LINE_OK:
	case SMTP_LINE_MORE:
		break;
	}
	return RC_OK;
}

/* A TLS handshake, or some binary protocol, that would be silent while it waits for us. */
static bool
speaks_binary(const struct session *s, struct slice in)
{
	return s->phase == PH_HELLO && s->n_commands == 0 && in.n > 0 &&
	    ((in.p[0] < ' ' && in.p[0] != '\r' && in.p[0] != '\n') || in.p[0] > 126);
}

enum rc
command_input(struct session *s, struct slice in, size_t *ret_used)
{
	struct smtp_line_scan before = s->scan;
	enum smtp_line_result what;
	struct slice line = { NULL, 0 };
	size_t used;
	enum rc rc;

	*ret_used = 0;
	if (speaks_binary(s, in)) {
		cut_off(s, "This is not SMTP");
		return RC_OK;
	}
	what = smtp_line_next(&s->scan, in, s->conf->smtpd.max_command_line, &line, &used);
	if (what == SMTP_LINE_MORE) {
		*ret_used = used;
		return RC_MORE;
	}
	rc = what == SMTP_LINE_OK ? run_line(s, line, used < in.n) : run_bad_line(s, what, line);
	if (rc == RC_AGAIN)
		s->scan = before;	/* the same line will be looked at again */
	else
		*ret_used = used;
	return rc;
}
