/* deliver/exchange.h -- commands out, replies in, matched in order. Pure: bytes in buffers, no socket.
 *
 * RFC 2920: with PIPELINING many commands may be under way, and their replies come in the same order; without, one. The
 * owner puts commands, writes `out` to the socket, feeds what it reads, and takes replies with the stage they are for. */
#ifndef POSTERN_DELIVER_EXCHANGE_H
#define POSTERN_DELIVER_EXCHANGE_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"
#include "deliver/reply_policy.h"

enum {
	EXCHANGE_OUT_MAX = 64 * 1024,	/* unsent bytes; commands and content wait when it is full */
	EXCHANGE_IN_MAX = SMTP_REPLY_BYTES_MAX + 32 * 1024, /* an unfinished reply and one read */
	EXCHANGE_READ_MAX = 32 * 1024,	/* bytes fed at a time */
	EXCHANGE_COMMAND_MAX = 1024,	/* one command with its CRLF; RFC 5321 4.5.3.1.4 gives 512 and extensions more */
	EXCHANGE_RUNS = 8,		/* RSET, MAIL, RCPT..., DATA is the longest pipeline: four runs */
};

/* What the server said it can (its EHLO reply). */
struct peer_caps {
	bool pipelining;	/* RFC 2920 */
	bool eight_bit;		/* 8BITMIME, RFC 6152 */
	bool chunking, binary;	/* CHUNKING, BINARYMIME, RFC 3030 */
	bool dsn;		/* RFC 3461 */
	bool deliver_by;	/* DELIVERBY, RFC 2852 */
	uint64_t min_by;	/* seconds; 0: none */
	bool utf8;		/* SMTPUTF8, RFC 6531 */
	bool priority;		/* MT-PRIORITY, RFC 6710 */
	bool size;		/* SIZE, RFC 1870 */
	uint64_t size_max;	/* 0: no fixed limit */
};

struct exchange {
	struct buf out;
	struct buf in;
	size_t used;			/* bytes of `in` of the reply that was given out last */
	struct smtp_reply_scan scan;
	struct {
		enum stage stage;
		size_t n;
	} due[EXCHANGE_RUNS];		/* replies that are awaited, as runs; a ring */
	unsigned first, n_runs;
	size_t n_due;
	enum stage resting;		/* what a reply that nobody awaits is counted for: STAGE_IDLE or STAGE_CONTENT */
	struct peer_caps caps;
};

void exchange_init(struct exchange *x);
void exchange_free(struct exchange *x);		/* as after init */

/* One more reply is awaited. */
void exchange_expect(struct exchange *x, enum stage stage);

/* May a command be put now: is there room for it, and may it travel with those that are under way? */
bool exchange_may_send(const struct exchange *x);

/* Puts "VERB argument CRLF" and expects its reply. Arguments are checked by the caller: no CR, no LF. */
void exchange_command(struct exchange *x, enum stage stage, const char *verb, struct slice argument);

/* The stage whose reply comes next; x->resting when none is due. */
enum stage exchange_stage(const struct exchange *x);

/* Bytes from the server, EXCHANGE_READ_MAX at most. RC_NOMEM. */
enum rc exchange_feed(struct exchange *x, struct slice bytes);

/* The next whole reply. RC_OK: what it is for and what it says (borrowed until the next call). RC_MORE: none yet.
 * RC_SYNTAX, RC_RANGE: no SMTP reply; the connection is of no more use. */
enum rc exchange_reply(struct exchange *x, enum stage *ret_stage, struct smtp_reply *ret_reply);

/* Has the server sent something that nobody has taken yet? */
bool exchange_has_input(const struct exchange *x);

/* It said something, and nothing is due: what comes next would be taken for the answer to the wrong question. 421 may come
 * at any time (RFC 5321 3.8). */
bool exchange_is_out_of_step(const struct exchange *x);

/* Fills x->caps from an EHLO reply. */
void exchange_learn(struct exchange *x, const struct smtp_reply *ehlo);

#endif
