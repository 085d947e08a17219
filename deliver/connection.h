/* deliver/connection.h -- a TCP connection to a mail host: non-blocking, nothing but bytes. */
#ifndef POSTERN_DELIVER_CONNECTION_H
#define POSTERN_DELIVER_CONNECTION_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/ip.h"
#include "common/loop.h"
#include "common/rc.h"

struct connection {
	struct watch watch;
	int fd;			/* -1: closed */
	bool owes_quit;		/* it came up, and QUIT has not been said: RFC 5321 4.1.1.10 */
	int error;		/* errno of what failed last; 0: the other side closed */
};

void connection_init(struct connection *c);
static inline bool connection_is_open(const struct connection *c) { return c->fd != -1; }

/* Starts connecting; on_ready is called when it came up or failed (connection_result tells) and for everything
 * afterwards. RC_OK: under way. RC_AGAIN: this process has no descriptor or memory left. RC_IO: failed at once, error set. */
enum rc connection_start(struct connection *c, struct loop *loop, const struct conf_deliver *conf, struct ip to,
    uint16_t port, watch_fn *on_ready, void *ctx);

/* RC_OK: it is up. RC_IO: error says why not. */
enum rc connection_result(struct connection *c);

/* Does it lead from one of our addresses to the same address? */
bool connection_is_to_self(const struct connection *c, struct ip to);

/* Writes and consumes what goes. *ret_n: how much. RC_OK: all of it. RC_AGAIN: the rest later. RC_CLOSED. */
enum rc connection_write(struct connection *c, struct buf *out, size_t *ret_n);

/* RC_OK: *ret_n bytes, at least one. RC_AGAIN: nothing now. RC_CLOSED. */
enum rc connection_read(struct connection *c, uint8_t *space, size_t n, size_t *ret_n);

/* cut: with a reset, so that nothing still under way passes for an end. Closed already is fine. */
void connection_close(struct connection *c, bool cut);

#endif
