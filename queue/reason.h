/* queue/reason.h -- why recipients wait: texts, each kept once, for listings and for the bounce that may follow.
 *
 * Servers say the same to many. Within a budget; a text that does not fit is not kept (it is in the log and on disk). */
#ifndef POSTERN_QUEUE_REASON_H
#define POSTERN_QUEUE_REASON_H

#include "common/buf.h"
#include "common/slice.h"
#include "queue/message.h"

enum {
	REASON_TEXT_MAX = 512,			/* longer ones are cut */
	REASON_BYTES_MAX = 64 * 1024 * 1024,
};

/* What an operator and the sender are told: who said it, and the words. relay: host[ip]:port, "none" or "local"; code 0: no
 * reply, text is our own. */
void reason_put(struct buf *to, struct slice relay, uint16_t code, struct slice enhanced, struct slice text);
/* The parts of such words, for the fields of a report (RFC 3461 6.3 h, i). False: there is no reply of a host in it. */
struct reason_reply {
	struct slice relay, host, enhanced, text;
	uint16_t code;
};
bool reason_reply(struct slice words, struct reason_reply *ret_reply);

struct reasons {
	struct tree texts;
	uint64_t random;
	size_t bytes;
};

void reasons_init(struct reasons *all, uint64_t seed);
void reasons_free(struct reasons *all);
/* Replaces what recipient i of m had; an empty text: none. */
void reason_set(struct reasons *all, struct message *m, uint32_t i, struct slice text);
/* Empty when there is none. Borrowed until the next reason_set of that recipient. */
struct slice reason_of(const struct message *m, uint32_t i);
/* All of a message's, before it is freed. */
void reasons_drop(struct reasons *all, struct message *m);

#endif
