/* common/ipc/peer.c -- frames in and out of a Unix socket pair. See peer.h.
 *
 * Descriptors: the kernel delivers them with the bytes they were sent with, and a read never runs past such bytes, so
 * a first-in first-out list of received descriptors matches the frames whose type carries one. At most one a frame. */
#include "common/ipc/peer.h"

#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	READ_CHUNK = LOOP_SCRATCH,	/* one read takes at least a whole frame */
	READS_A_TURN = 4,		/* then others get their turn */
	FDS_WAITING_MAX = 4,		/* received, their frame not complete yet */
};

struct peer {
	struct loop *loop;
	const struct peer_ops *ops;
	void *ctx;
	void *data;
	struct watch watch;
	struct chore flush;
	struct chore hangup;
	struct buf out;
	struct buf in;		/* an incomplete frame between reads; empty most of the time */
	const char *why;	/* of the drop */
	unsigned index;
	enum role us, them;
	int fd;
	int fds[FDS_WAITING_MAX];
	unsigned n_fds;
	bool dead;
	bool wants_drained;
	bool dispatching;
	bool freed;		/* peer_free was called from inside a handler */
};

static void on_ready(struct watch *w, bool readable, bool writable, void *ctx);
static void on_flush(struct chore *c, void *ctx);
static void on_hangup(struct chore *c, void *ctx);

struct peer *
peer_new(struct loop *loop, int fd, enum role us, enum role them, unsigned index, const struct peer_ops *ops, void *ctx)
{
	struct peer *p = calloc(1, sizeof *p);
	int flags = fcntl(fd, F_GETFL);

	if (p == NULL || flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		free(p);
		(void)close(fd);
		return NULL;
	}
	p->loop = loop;
	p->fd = fd;
	p->us = us;
	p->them = them;
	p->index = index;
	p->ops = ops;
	p->ctx = ctx;
	/* The last large frame may begin just below the ceiling; the reserve is behind its end. */
	buf_init(&p->out, PEER_BACKLOG_MAX + IPC_FRAME_MAX + PEER_RESERVE);
	_Static_assert(READ_CHUNK >= (int)IPC_FRAME_MAX, "a frame fits one read");
	buf_init(&p->in, IPC_FRAME_MAX + READ_CHUNK);
	watch_init(&p->watch, loop, fd, on_ready, p);
	chore_setup(&p->flush, loop, on_flush, p);
	chore_setup(&p->hangup, loop, on_hangup, p);
	watch_set(&p->watch, true, false);
	return p;
}

static void
close_line(struct peer *p)
{
	if (p->fd == -1)
		return;
	watch_stop(&p->watch);
	(void)close(p->fd);
	p->fd = -1;
	for (unsigned i = 0; i < p->n_fds; i++)
		(void)close(p->fds[i]);
	p->n_fds = 0;
}

void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	close_line(p);
	chore_cancel(&p->flush);
	chore_cancel(&p->hangup);
	p->dead = true;
	if (p->dispatching) {
		p->freed = true;
		return;
	}
	buf_free(&p->out);
	buf_free(&p->in);
	free(p);
}

void
peer_drop(struct peer *p, const char *why)
{
	if (p->dead)
		return;
	p->dead = true;
	p->why = why;
	close_line(p);
	chore_cancel(&p->flush);
	chore_queue(&p->hangup);
}

static void
on_hangup(struct chore *c, void *ctx)
{
	struct peer *p = ctx;

	(void)c;
	p->ops->closed(p->ctx, p, p->why);
}

enum role peer_role(const struct peer *p) { return p->them; }
unsigned peer_index(const struct peer *p) { return p->index; }
void *peer_data(const struct peer *p) { return p->data; }
void peer_set_data(struct peer *p, void *data) { p->data = data; }
bool peer_alive(const struct peer *p) { return !p->dead; }
size_t peer_backlog(const struct peer *p) { return buf_len(&p->out); }

size_t
peer_room(const struct peer *p)
{
	size_t used = buf_len(&p->out);

	return used >= PEER_BACKLOG_MAX ? 0 : PEER_BACKLOG_MAX - used;
}

/* --- out --- */

static void
put_header(struct wr *w, enum ipc_type type, uint32_t handle, size_t body)
{
	wr_u32(w, (uint32_t)(IPC_HEADER + body));
	wr_u16(w, (uint16_t)type);
	wr_u16(w, 0);
	wr_u32(w, handle);
}

enum rc
peer_begin(struct peer *p, enum ipc_type type, uint32_t handle, size_t n, struct wr *ret_w)
{
	const struct ipc_info *info = &ipc_info[type];
	struct wr head;
	uint8_t *at;

	if (p->dead)
		return RC_CLOSED;
	if (n > IPC_BODY_MAX)
		return RC_RANGE;
	/* Sending what the other side must not accept from us is our own fault. */
	BUG_ON((info->from & ROLE_BIT(p->us)) == 0 || (info->to & ROLE_BIT(p->them)) == 0 || info->fds != 0);
	if (peer_room(p) == 0 && (n > PEER_SMALL_MAX || buf_room(&p->out) < IPC_HEADER + n)) {
		p->wants_drained = true;
		return RC_AGAIN;
	}
	at = buf_reserve(&p->out, IPC_HEADER + n);
	if (at == NULL) {
		p->out.failed = false;
		return RC_NOMEM;
	}
	buf_advance(&p->out, IPC_HEADER + n);
	head = (struct wr){ at, 0, IPC_HEADER, false };
	put_header(&head, type, handle, n);
	*ret_w = (struct wr){ at + IPC_HEADER, 0, n, false };
	chore_queue(&p->flush);
	return RC_OK;
}

void
peer_flush(struct peer *p)
{
	while (!p->dead && buf_len(&p->out) > 0) {
		struct slice s = buf_slice(&p->out);
		ssize_t n = write(p->fd, s.p, s.n);

		if (n >= 0) {
			buf_consume(&p->out, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			peer_drop(p, NULL);
		break;
	}
	if (p->dead)
		return;
	watch_set(&p->watch, true, buf_len(&p->out) > 0);
	/* A burst must not pin memory for the life of the line. */
	if (buf_len(&p->out) == 0 && p->out.cap > IPC_FRAME_MAX * 4)
		buf_free(&p->out);
	if (p->wants_drained && peer_backlog(p) <= PEER_BACKLOG_MAX / 2) {
		p->wants_drained = false;
		if (p->ops->drained != NULL)
			p->ops->drained(p->ctx, p);
	}
}

static void
on_flush(struct chore *c, void *ctx)
{
	(void)c;
	peer_flush(ctx);
}

static ssize_t
send_with_fd(int fd, struct iovec *iov, size_t n_iov, int send_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n_iov };
	ssize_t n;

	if (send_fd != -1) {
		struct cmsghdr *c;

		m.msg_control = control.space;
		m.msg_controllen = sizeof control.space;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &send_fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n;
}

enum rc
peer_send_fd(struct peer *p, enum ipc_type type, uint32_t handle, struct slice body, int fd)
{
	uint8_t head[IPC_HEADER];
	struct wr w = { head, 0, sizeof head, false };
	struct iovec iov[2];
	ssize_t n;

	peer_flush(p);
	if (p->dead)
		return RC_CLOSED;
	if (body.n > IPC_BODY_MAX)
		return RC_RANGE;
	BUG_ON((ipc_info[type].from & ROLE_BIT(p->us)) == 0 || ipc_info[type].fds != 1);
	if (buf_len(&p->out) > 0)
		return RC_AGAIN;
	put_header(&w, type, handle, body.n);
	iov[0] = (struct iovec){ head, sizeof head };
	/* sendmsg takes a writable iovec but does not write through it. */
	iov[1].iov_base = (void *)(uintptr_t)body.p;
	iov[1].iov_len = body.n;
	n = send_with_fd(p->fd, iov, 2, fd);
	if (n == -1)
		return rc_from_errno(errno);
	/* The rest of a short write needs no descriptor: it went with the first byte. */
	if ((size_t)n < sizeof head)
		(void)buf_put(&p->out, head + n, sizeof head - (size_t)n);
	if ((size_t)n < sizeof head + body.n) {
		size_t done = (size_t)n > sizeof head ? (size_t)n - sizeof head : 0;

		(void)buf_put_slice(&p->out, slice_from(body, done));
		peer_flush(p);
	}
	return RC_OK;
}

/* --- in --- */

/* Parses a header. RC_MORE, or RC_SYNTAX when no such frame may come from them to us. */
static enum rc
frame_parse(struct slice in, enum role us, enum role them, struct frame *ret_frame, size_t *ret_len)
{
	struct rd r = { in, false };
	uint32_t len, handle;
	uint16_t type, zero;

	if (in.n < IPC_HEADER)
		return RC_MORE;
	len = rd_u32(&r);
	type = rd_u16(&r);
	zero = rd_u16(&r);
	handle = rd_u32(&r);
	if (len < IPC_HEADER || len > IPC_FRAME_MAX || zero != 0 || type >= IPC_TYPE_MAX ||
	    ipc_info[type].name == NULL || (ipc_info[type].from & ROLE_BIT(them)) == 0 ||
	    (ipc_info[type].to & ROLE_BIT(us)) == 0)
		return RC_SYNTAX;
	if (in.n < len)
		return RC_MORE;
	*ret_frame = (struct frame){ (enum ipc_type)type, handle, slice_of(in.p + IPC_HEADER, len - IPC_HEADER), -1 };
	*ret_len = len;
	return RC_OK;
}

static void
dispatch_one(struct peer *p, struct frame *f)
{
	struct rd r = { f->body, false };
	const char *why;

	if (p->ops->on[f->type] == NULL) {
		peer_drop(p, "unexpected message");
		return;
	}
	if (ipc_info[f->type].fds != 0) {
		if (p->n_fds == 0) {
			peer_drop(p, "descriptor missing");
			return;
		}
		f->fd = p->fds[0];
		p->n_fds--;
		memmove(p->fds, p->fds + 1, p->n_fds * sizeof p->fds[0]);
	}
	why = p->ops->on[f->type](p->ctx, p, f->handle, &r, f->fd);
	if (why != NULL && !p->dead)
		peer_drop(p, why);
}

/* Handles every whole frame in s; returns how many bytes they took. */
static size_t
dispatch(struct peer *p, struct slice s)
{
	struct frame f;
	size_t used = 0, len;
	enum rc rc;

	while (!p->dead) {
		rc = frame_parse(slice_from(s, used), p->us, p->them, &f, &len);
		if (rc == RC_MORE)
			break;
		if (rc != RC_OK) {
			peer_drop(p, "malformed frame");
			break;
		}
		dispatch_one(p, &f);
		used += len;
	}
	return used;
}

static bool
take_fds(struct peer *p, struct msghdr *m)
{
	if ((m->msg_flags & MSG_CTRUNC) != 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
			return false;
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
		if (p->n_fds == FDS_WAITING_MAX) {
			(void)close(fd);
			return false;
		}
		p->fds[p->n_fds++] = fd;
	}
	return true;
}

/* Descriptors are only ever asked for on the line from master: no other line has room for one. */
static ssize_t
receive(struct peer *p, uint8_t *to, size_t max)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { to, max };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
	    .msg_controllen = sizeof control.space };
	ssize_t n;

	if (p->them != ROLE_MASTER)
		return read(p->fd, to, max);
	n = recvmsg(p->fd, &m, MSG_CMSG_CLOEXEC);
	if (n > 0 && !take_fds(p, &m)) {
		errno = EPROTO;
		return -1;
	}
	return n;
}

static void
dispatch_gathered(struct peer *p)
{
	size_t used = dispatch(p, buf_slice(&p->in));

	if (p->dead)
		return;
	buf_consume(&p->in, used);
	if (buf_len(&p->in) == 0)
		buf_free(&p->in);
}

/* Returns false when there is nothing more to read now. A frame that is whole when it arrives is handled where it
 * landed, in the loop's scratch, and never copied. */
static bool
read_once(struct peer *p)
{
	bool direct = buf_len(&p->in) == 0;
	uint8_t *landing = loop_scratch(p->loop), *to = direct ? landing : buf_reserve(&p->in, READ_CHUNK);
	size_t used;
	ssize_t n;

	if (to == NULL) {
		peer_drop(p, "out of memory");
		return false;
	}
	n = receive(p, to, READ_CHUNK);
	if (n == 0) {
		peer_drop(p, NULL);
		return false;
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			peer_drop(p, errno == EPROTO ? "descriptors that nobody asked for" : NULL);
		return false;
	}
	if (direct) {
		used = dispatch(p, slice_of(landing, (size_t)n));
		if (!p->dead && used < (size_t)n && !buf_put(&p->in, landing + used, (size_t)n - used))
			peer_drop(p, "out of memory");
	} else {
		buf_advance(&p->in, (size_t)n);
		dispatch_gathered(p);
	}
	return (size_t)n == READ_CHUNK;
}

static void
on_ready(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct peer *p = ctx;

	(void)w;
	p->dispatching = true;
	if (writable)
		peer_flush(p);
	for (int i = 0; readable && i < READS_A_TURN && !p->dead; i++)
		if (!read_once(p))
			break;
	p->dispatching = false;
	if (p->freed)
		peer_free(p);
}

/* --- blocking, for start-up --- */

enum rc
frame_read_blocking(int fd, enum role us, enum role them, struct buf *b, struct frame *ret_frame)
{
	struct peer fake = { .fd = fd, .them = ROLE_MASTER };
	size_t len = IPC_HEADER;
	enum rc rc;

	buf_clear(b);
	while ((rc = frame_parse(buf_slice(b), us, them, ret_frame, &len)) == RC_MORE) {
		size_t have = buf_len(b), want = IPC_HEADER;
		uint8_t *to;
		ssize_t n;

		if (have >= IPC_HEADER) {
			struct rd r = { buf_slice(b), false };
			want = rd_u32(&r);
		}
		/* Never past this frame: the bytes behind it belong to the next call. */
		to = buf_reserve(b, want - have);
		if (to == NULL)
			return RC_NOMEM;
		n = receive(&fake, to, want - have);
		if (n == 0)
			return RC_CLOSED;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return rc_from_errno(errno);
		}
		buf_advance(b, (size_t)n);
	}
	if (rc == RC_OK && (ipc_info[ret_frame->type].fds != 0) != (fake.n_fds == 1))
		rc = RC_SYNTAX;
	if (rc == RC_OK && fake.n_fds == 1)
		ret_frame->fd = fake.fds[0];
	else
		for (unsigned i = 0; i < fake.n_fds; i++)
			(void)close(fake.fds[i]);
	return rc;
}

enum rc
frame_write_blocking(int fd, enum ipc_type type, uint32_t handle, struct slice body, int send_fd)
{
	uint8_t head[IPC_HEADER];
	struct wr w = { head, 0, sizeof head, false };
	struct iovec iov[2];
	size_t done = 0;

	if (body.n > IPC_BODY_MAX)
		return RC_RANGE;
	put_header(&w, type, handle, body.n);
	while (done < sizeof head + body.n) {
		size_t in_head = done < sizeof head ? done : sizeof head;
		ssize_t n;

		iov[0] = (struct iovec){ head + in_head, sizeof head - in_head };
		iov[1].iov_base = (void *)(uintptr_t)(body.p + (done - in_head));
		iov[1].iov_len = body.n - (done - in_head);
		n = send_with_fd(fd, iov, 2, done == 0 ? send_fd : -1);
		if (n == -1)
			return rc_from_errno(errno);
		done += (size_t)n;
	}
	return RC_OK;
}
