/* deliver/session.h -- one session for a destination: from D_OPEN to D_CLOSED.
 *
 *	resolving -> connecting -> greeting -> ready <-> busy -> quitting
 *	                ^   next address  |      |        |
 *	                +-----------------+      +--------+--> connecting again, when a connection that had served was lost
 *
 * session.c has the way to ready and the end; session_mail.c what happens in between, message by message. state has one
 * writer, session_enter(). A session that ended stays in memory to the end of the loop's turn, in IN_END. */
#ifndef POSTERN_DELIVER_SESSION_H
#define POSTERN_DELIVER_SESSION_H

#include "deliver/connection.h"
#include "deliver/deliver.h"
#include "deliver/route.h"
#include "deliver/transaction.h"
#include "deliver/verdict.h"

enum session_state {
	IN_RESOLVE,
	IN_CONNECT,
	IN_GREETING,
	IN_READY,		/* for a message; the connection may have been lost meanwhile */
	IN_MAIL,
	IN_QUIT,	/* the queue has its D_CLOSED already */
	IN_END,
};

enum loss {
	LOSS_HANGUP,		/* closed, reset, unreachable */
	LOSS_TIMEOUT,
	LOSS_NONSENSE,		/* what came is no SMTP */
	LOSS_MEMORY,		/* ours */
};
static inline struct enhanced
loss_enhanced(enum loss loss)
{
	switch (loss) {
	case LOSS_HANGUP:
	case LOSS_TIMEOUT: return ENHANCED(4, 4, 2);
	case LOSS_NONSENSE: return ENHANCED(4, 5, 0);
	case LOSS_MEMORY: break;
	}
	return ENHANCED(4, 3, 0);
}

struct session {
	struct session *next, **at;	/* in deliver->sessions */
	struct deliver *deliver;
	struct conf *conf;		/* of its birth */
	struct id_node by_handle;
	struct id_node by_query;
	enum session_state state;
	struct buf destination;		/* the next hop as the queue wrote it */
	struct nexthop hop;		/* borrows from destination */
	struct route_rules rules;
	struct route route;
	size_t try;			/* index of the address in use */
	struct verdict why;		/* of the last try that failed */
	bool some_temporary;		/* not all tries failed for good */
	struct connection connection;
	struct exchange exchange;
	struct transaction transaction;
	struct job *job;		/* owned; NULL: none */
	struct timer stage_timer;
	struct timer total_timer;
	struct chore bury;
	uint64_t served;		/* messages, all connections */
	uint64_t served_here;		/* on this connection */
	bool open;			/* the queue awaits D_CLOSED */
	bool pulled;			/* D_PULL was sent */
	bool worked;	/* a server took a message, or refused a recipient for good: this destination is no lost cause */
	bool left_open;			/* it holds an unfinished transaction of ours */
	bool no_more;			/* after this message the session ends */
};

/* D_OPEN. The answer may be a D_CLOSED at once. */
void session_open(struct deliver *d, uint32_t handle, const struct d_open *m);

/* V_HOSTS for this session. Returns NULL, or why the answer is malformed. */
const char *session_route(struct session *s, const struct v_hosts *m);
/* A new line to the resolver: ask again if an answer is awaited. */
void session_ask(struct session *s);

/* Frames of the queue. They return NULL, or why the frame breaks the rules. */
const char *session_job(struct session *s, const struct d_job *m);
const char *session_chunk(struct session *s, const struct d_chunk *m);
void session_revoke(struct session *s, uint32_t job);
void session_idle(struct session *s);		/* finish what is under way, then end; also for the room's stop */
void session_orphan(struct session *s);		/* nobody to tell any more: end at once */

/* ---- between session.c and session_mail.c ---- */

void session_enter(struct session *s, enum session_state state);
/* Sends D_CLOSED if it is awaited, and is gone. Logs when the verdict is not SESSION_DONE: at is where it failed. */
void session_end(struct session *s, enum stage at, const struct verdict *v);
void session_end_done(struct session *s);
/* QUIT; the queue hears D_CLOSED now. */
void session_quit(struct session *s);
/* Writes what is in exchange.out; false when that ended the connection (and was dealt with). */
bool session_flush(struct session *s);
/* The stage timer, from what is awaited now. */
void session_arm(struct session *s);
/* On a fresh connection, with the job in hand: from the first try on, or from the one in use. */
void session_reconnect(struct session *s, bool from_first);

/* A message is in s->job and the connection is up: begin. */
void mail_begin(struct session *s);
void mail_reply(struct session *s, enum stage stage, const struct smtp_reply *reply);
/* The connection is gone or of no more use. */
void mail_lost(struct session *s, enum loss loss, const char *what);
/* Pump, write, and see whether it is done. */
void mail_progress(struct session *s);

#endif
