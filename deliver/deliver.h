/* deliver/deliver.h -- the room of the SMTP client: its lines, its sessions.
 *
 * The queue opens sessions to destinations and feeds them messages; each session resolves its next hop, connects, and
 * delivers until there is nothing left. This process is thought of as broken into (THREATS 16): it has connections and
 * the messages it carries right now, and nothing else. */
#ifndef POSTERN_DELIVER_DELIVER_H
#define POSTERN_DELIVER_DELIVER_H

#include "common/room.h"
#include "deliver/id_table.h"

struct session;

struct deliver {
	struct loop *loop;
	struct conf *conf;		/* for new sessions; a reference */
	struct peer *queue;		/* NULL while the line is down */
	struct peer *resolver;
	struct session *sessions;	/* all of them */
	unsigned n_sessions;
	struct id_table by_handle;	/* the queue's */
	struct id_table by_query;	/* our own, on the line to the resolver */
	uint32_t last_query;
	char hostname[256];		/* of the system, for a configuration that names none */
	bool stopping;
	void (*stopped)(void *ctx);	/* once, when stopping and the last session is gone */
	void *stopped_ctx;
};

/* What the room does when master speaks (deliver_main.c), and tests without a room. deliver_init takes a reference of conf. */
void deliver_init(struct deliver *d, struct loop *loop, struct conf *conf);
void deliver_take_line(struct deliver *d, enum role them, unsigned index, int fd);
void deliver_adopt(struct deliver *d, struct conf *conf);
/* Idle sessions end now, busy ones after the message they carry; then stopped(). */
void deliver_stop(struct deliver *d, void (*stopped)(void *ctx), void *ctx);
/* Everything at once, without a word to anybody. */
void deliver_free(struct deliver *d);

/* Our name, in EHLO and against loops. Never empty. */
struct slice deliver_hostname(const struct deliver *d, const struct conf *conf);

/* The queue line took too little for too long, or we ran out of memory for it: what it must hear cannot be said. */
void deliver_queue_sent(struct deliver *d, enum rc rc);

#endif
