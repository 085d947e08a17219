/* smtpd/session.h -- one client's connection: its socket, its buffers, and the phase that it is in.
 *
 * Input is handled where it landed (loop_scratch); only what cannot be handled yet is kept. Buffers are made when they
 * are needed and given back when they are empty, so an idle session is this struct and little more. While a session
 * waits for another room, or its replies are not read, its socket is not read either: back-pressure.
 *
 * A session is freed in one place, the chore session.c runs for it, whatever ended it. Everybody else calls
 * session_last (a last reply, then the end) or session_end, and finds it still there until the end of the turn. */
#ifndef POSTERN_SMTPD_SESSION_H
#define POSTERN_SMTPD_SESSION_H

#include "common/extension.h"
#include "common/wire/smtp_line.h"
#include "smtpd/smtpd.h"
#include "smtpd/stream.h"
#include "smtpd/transaction.h"
#include "smtpd/wait.h"

enum phase {
	PH_HELLO,	/* greeted; neither EHLO nor HELO yet */
	PH_READY,	/* between transactions */
	PH_AUTH,	/* a login is under way */
	PH_MAIL,	/* MAIL was accepted */
	PH_CHUNKS,	/* some BDAT has come, and not the last */
	PH_SKIP,	/* the bytes of a BDAT that is refused are read away */
	PH_DATA,	/* content arrives */
	PH_COMMIT,	/* content is complete, the queue has it; nothing is read until it answers */
	PH_SHAKE,	/* a TLS handshake is under way, or the reply before it */
	PH_LAST,	/* the last replies are being written */
	PH_LINGER,	/* our side is closed; the client may read its last reply in peace */
	PH_DEAD,	/* freed at the end of this turn */
	PHASE_COUNT
};
#define PHASE_BIT(phase) (1U << (phase))

enum {
	SESSION_READ_MAX = 64 * 1024,	/* one read; what cannot be handled at once is kept */
	BDAT_SKIP_FACTOR = 16,		/* a chunk is read away up to so many times max-message-size, */
	BDAT_SKIP_MIN = 1 << 30,	/* and always up to this: a minute or two of a fast line */
	SESSION_COMMANDS_A_TURN = 200,	/* then other sessions get their turn */
	OVER_ERRORS_MAX = 1000,		/* commands heard past max-errors, so that accepted recipients get their message */
	REFUSED_RCPTS_FREE = 100,	/* refused recipients of a session that are no errors yet */
};

/* Bytes to be read away, and what is said behind them. */
struct skip {
	uint64_t left;
	uint64_t began;
	unsigned code;
	const char *enhanced, *text;	/* constants */
	enum phase back;		/* where the session goes on */
};

struct session {
	struct session *next, **link;
	struct smtpd *smtpd;
	struct conf *conf;		/* the one it began with; counted */
	struct slice listener;		/* title of the listener; borrowed from conf */
	struct client *client;		/* NULL: unknown, in tests */
	struct session *client_next, **client_link;	/* the others of this client */
	struct session *turn_next, **turn_link;	/* those that wait for their handshake; link NULL: it does not */
	bool exempt;			/* from limits of its network */
	const struct conf_listener *listener_conf; /* its section, borrowed from conf; NULL: it has left the configuration */
	struct ip ip;
	struct stream stream;
	struct watch watch;
	struct timer timer;
	struct chore chore;

	struct buf in;			/* came, not handled yet */
	struct buf out;			/* replies, not sent yet */
	struct smtp_line_scan scan;
	enum phase phase;
	unsigned waits;			/* what holds it: bits by enum wait; see wait.h */
	bool yielded;			/* has more to do, after its replies left or others had their turn */
	bool eof;			/* the client has closed its side */
	bool overheard;			/* it has said more while another room was being asked */
	bool quits;			/* it has said QUIT, and nothing behind it */
	bool esmtp;			/* EHLO, not HELO */
	bool may_xclient;
	bool lenient;			/* its bare LFs are taken for CRLF */
	bool late;			/* the reply that was just given is to be late */
	bool urgent;			/* what was just replied to may not be gathered with other replies (RFC 2920 3.2) */
	bool too_many;			/* errors or unknown recipients of its network: no more of them */
	bool data_refused;		/* just now: what comes next may be the content of a client that did not wait */
	enum tls_status shaking;	/* in PH_SHAKE: what the handshake waits for */
	bool submission;		/* its listener is for mail clients */

	struct login *login;		/* in PH_AUTH */
	char *user;			/* who it has shown to be; NULL: nobody */
	char *name;			/* the client's confirmed name; NULL: unknown */
	bool name_asked;		/* or a proxy has said it */
	bool name_failed;		/* it cannot be looked up: for now, perhaps */
	uint64_t name_since;		/* when it was asked for */
	uint32_t name_handle;		/* 0: no look-up under way */
	uint32_t flush_handle;		/* ETRN at the queue; 0: none */
	char *helo;
	char *told_helo;		/* what a proxy says that the client said; NULL: nothing */
	const char *verb;		/* of the command being handled, for the log */
	const char *reason;		/* why the session ended */
	struct verification *verification; /* a VRFY or EXPN that the router was asked about; NULL: none */
	struct rcpt_domains *rcpt_domains; /* NULL: none yet, or not limited */
	struct transaction *tx;		/* in PH_MAIL, PH_CHUNKS, PH_DATA, PH_COMMIT */
	struct skip skip;		/* in PH_SKIP */
	uint32_t extensions_off;	/* bits by enum extension */

	uint64_t began;
	uint64_t since;			/* the last progress: what timeouts count from */
	uint64_t timer_at;		/* 0: not running */
	uint64_t lingered;		/* bytes thrown away in PH_LINGER */
	uint32_t n_commands, n_errors, n_messages, n_accepted, n_rejected, n_refused_rcpts, n_over_errors;
};

/* Takes fd over (non-blocking) and client (counted by the caller). NULL: no memory; then both stay the caller's. */
struct session *session_new(struct smtpd *smtpd, int fd, struct slice listener, struct ip ip, struct client *client);

/* The one writer of the phase. */
void session_enter(struct session *s, enum phase phase);

/* One line. enhanced "" for none (RFC 2034 3). A 5xx counts as an error. */
void session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The client broke the protocol: reply, and an event. */
void session_fault(struct session *s, unsigned code, const char *enhanced, const char *text);
/* A refusal that is policy's or the world's: reply, and an event. to and rule may be empty. */
void session_refuse(struct session *s, const struct refusal *r, struct slice to, struct slice rule);
/* The last reply: the session ends when it has been sent. 221 to QUIT; else 421, since a client may not find the connection
 * closed behind any other (RFC 5321 3.8). reason is a constant string for the log. */
void session_last(struct session *s, unsigned code, const char *enhanced, const char *text, const char *reason);
/* The client broke the protocol so that it cannot be heard any further: what was wrong, and 421 behind it (RFC 5321 3.8). */
void session_cut_off(struct session *s, unsigned code, const char *enhanced, const char *text, const char *reason);
/* There is no memory for a reply, before which so many bytes were in the buffer: 421 instead, from memory that is there, if all
 * before it leaves (RFC 5321 3.8), and the end. */
void session_speechless(struct session *s, size_t before);
/* No more replies: the connection is lost. */
void session_end(struct session *s, const char *reason);

/* Reads bytes away, then says what skip says (began and back need not be set). */
void session_skip(struct session *s, const struct skip *skip);

/* Something has come that it may wait for: what is buffered is looked at again, at the end of this turn. */
void session_wake(struct session *s);

/* It speaks for a client of this address from now on. False: no memory. */
bool session_become(struct session *s, struct ip ip);
void session_greet(struct session *s);

/* Could this session have TLS now? NULL: no. */
struct tls_listener *session_tls_listener(const struct session *s);
/* Makes ready for it; then the handshake begins as soon as the replies that are due have left. False: it cannot be had. */
bool session_prepare_tls(struct session *s);
void session_shake(struct session *s);
/* It waited for its turn, which has come. */
void session_pass(struct session *s);
/* It failed, or takes too long: the end. */
void session_shake_failed(struct session *s, const char *why);

/* The transaction is over, its reply given. */
void session_transaction_over(struct session *s);

/* The room stops: 421 unless a transaction is under way, which may end. */
void session_stop(struct session *s);

/* At once, with 421 if the socket takes it: there is somebody more important. */
void session_evict(struct session *s);

/* For smtpd_free: at once, without a word. */
void session_free(struct session *s);

static inline struct slice
session_helo(const struct session *s)
{
	return s->helo == NULL ? S("") : slice_str(s->helo);
}

static inline struct slice
session_client_name(const struct session *s)
{
	return s->name == NULL ? S("") : slice_str(s->name);
}

static inline struct slice
session_user(const struct session *s)
{
	return s->user == NULL ? S("") : slice_str(s->user);
}

/* RFC 3848 */
static inline struct slice
session_proto(const struct session *s)
{
	bool tls = stream_is_tls(&s->stream), user = s->user != NULL;

	if (s->tx != NULL && s->tx->utf8)	/* RFC 6531 4.3 */
		return tls ? (user ? S("UTF8SMTPSA") : S("UTF8SMTPS")) : user ? S("UTF8SMTPA") : S("UTF8SMTP");
	if (!s->esmtp)
		return S("SMTP");
	return tls ? (user ? S("ESMTPSA") : S("ESMTPS")) : user ? S("ESMTPA") : S("ESMTP");
}

#endif
