/* common/ipc/peer.h -- one end of a line to another room.
 *
 * A peer owns its descriptor. What is sent gathers in a bounded buffer and leaves in one write at the end of the loop's
 * turn, so many frames share a system call. What arrives is cut into frames, checked against ipc_info (may this role
 * send this to us?) and handed to the handler of its type. A peer that breaks the rules is dropped: the line is closed
 * and closed() told why; the receiver carries on (THREATS 45). */
#ifndef POSTERN_COMMON_IPC_PEER_H
#define POSTERN_COMMON_IPC_PEER_H

#include "common/ipc/schema.h"
#include "common/loop.h"
#include "common/rc.h"

struct peer;

/* A frame of one type has come. body is at its first field. fd: the descriptor that came with it, -1 when the type
 * carries none; the handler owns it. Returns NULL, or why the frame is bad (drops the peer). The handler may call
 * peer_drop or peer_free on the peer itself. */
typedef const char *ipc_fn(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd);

struct peer_ops {
	ipc_fn *on[IPC_TYPE_MAX];	/* NULL: a message that we do not take */
	/* The line is down: the other side went away (why NULL) or was dropped. Called once, at the end of the turn; the
	 * peer is still valid, and the callee frees it with peer_free(), now or later. */
	void (*closed)(void *ctx, struct peer *p, const char *why);
	/* May be NULL. The backlog has fallen below half of its ceiling after a send was refused or peer_backlog passed it. */
	void (*drained)(void *ctx, struct peer *p);
};

/* Takes fd over (set non-blocking). us and them decide which messages are legal. index: which of several of that role.
 * ops is borrowed, normally a static table. NULL when out of memory (fd closed). */
struct peer *peer_new(struct loop *loop, int fd, enum role us, enum role them, unsigned index,
    const struct peer_ops *ops, void *ctx);
void peer_free(struct peer *p);		/* closes the line; NULL is fine; unsent frames are lost */
void peer_drop(struct peer *p, const char *why);	/* why: a constant string */

enum role peer_role(const struct peer *p);
unsigned peer_index(const struct peer *p);
void *peer_data(const struct peer *p);		/* the room's own attachment, NULL at first */
void peer_set_data(struct peer *p, void *data);
bool peer_alive(const struct peer *p);		/* false between drop or hang-up and peer_free */

enum {
	PEER_BACKLOG_MAX = 4 * 1024 * 1024,	/* unsent bytes; past it peer_room is 0 */
	/* Past it only small frames go, and at least this many bytes of them: what ends something (an abort, a commit, an
	 * answer) is what makes room again, and must not wait behind what fills the line. */
	PEER_RESERVE = 64 * 1024,
	PEER_SMALL_MAX = 32,			/* bytes of the body of a small frame */
};

size_t peer_backlog(const struct peer *p);	/* unsent bytes */
size_t peer_room(const struct peer *p);		/* bytes that still fit */

/* Space for a body of n bytes in the outgoing buffer: fills *ret_w (max == n). RC_AGAIN when the ceiling is reached (for a
 * small frame: and the reserve behind it is used up), RC_RANGE when n is over IPC_BODY_MAX, RC_CLOSED. Used by the x_send
 * functions below; the body must be filled. */
enum rc peer_begin(struct peer *p, enum ipc_type type, uint32_t handle, size_t n, struct wr *ret_w);

/* As one frame at once, with a descriptor (which stays the caller's). Master only. Flushes what is buffered first;
 * RC_AGAIN when the socket is full (nothing was sent). */
enum rc peer_send_fd(struct peer *p, enum ipc_type type, uint32_t handle, struct slice body, int fd);

/* Writes what is buffered now, without waiting for the end of the turn. */
void peer_flush(struct peer *p);

/* x_send(peer, handle, &x) for every message x. */
#define IPC_SEND(NAME, lower, no, from, to, fds)						\
	static inline enum rc lower##_send(struct peer *p, uint32_t handle, const struct lower *m)	\
	{											\
		struct wr w;									\
		enum rc rc = peer_begin(p, NAME, handle, lower##_size(m), &w);			\
												\
		if (rc == RC_OK && !lower##_put(&w, m))						\
			BUG("size and encoder disagree: " #NAME);				\
		return rc;									\
	}
IPC_MESSAGES(IPC_SEND)
#undef IPC_SEND

/* For start-up, before there is a loop: reads one frame from a blocking line. *ret_fd is the descriptor that came with
 * it, or -1. The body is valid until the next call with the same buf. RC_CLOSED, RC_SYNTAX (frame breaks the rules). */
struct frame {
	enum ipc_type type;
	uint32_t handle;
	struct slice body;
	int fd;
};
struct buf;
enum rc frame_read_blocking(int fd, enum role us, enum role them, struct buf *b, struct frame *ret_frame);
/* Writes a whole frame to a blocking descriptor. */
enum rc frame_write_blocking(int fd, enum ipc_type type, uint32_t handle, struct slice body, int send_fd);

#endif
