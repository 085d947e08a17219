/* master/outbox.c -- frames that wait for a room, see outbox.h. */
#include "master/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 5 };	/* the room is reading its way through what was sent before */

struct outbox_frame {
	struct outbox_frame *next;
	enum ipc_type type;
	uint32_t handle;
	int fd;
	size_t n;
	uint8_t body[];
};

static void on_retry(struct timer *t, void *ctx);

void
outbox_setup(struct outbox *o, struct loop *loop, struct peer *line)
{
	*o = (struct outbox){ .line = line };
	o->last = &o->first;
	timer_setup(&o->retry, loop, on_retry, o);
}

void
outbox_clear(struct outbox *o)
{
	timer_cancel(&o->retry);
	while (o->first != NULL) {
		struct outbox_frame *f = o->first;

		o->first = f->next;
		if (f->fd != -1)
			(void)close(f->fd);
		free(f);
	}
	o->last = &o->first;
	o->n = 0;
	o->line = NULL;
}

static enum rc
send_now(struct outbox *o, enum ipc_type type, uint32_t handle, struct slice body, int fd)
{
	struct wr w;
	enum rc rc;

	if (fd != -1)
		return peer_send_fd(o->line, type, handle, body, fd);
	rc = peer_begin(o->line, type, handle, body.n, &w);
	if (rc == RC_OK)
		wr_bytes(&w, body.p, body.n);
	return rc;
}

static enum rc
wait_with(struct outbox *o, enum ipc_type type, uint32_t handle, struct slice body, int fd)
{
	struct outbox_frame *f = o->n == OUTBOX_MAX ? NULL : malloc(sizeof *f + body.n);

	if (f == NULL) {
		if (fd != -1)
			(void)close(fd);
		return RC_CLOSED;
	}
	*f = (struct outbox_frame){ .type = type, .handle = handle, .fd = fd, .n = body.n };
	if (body.n > 0)
		memcpy(f->body, body.p, body.n);
	*o->last = f;
	o->last = &f->next;
	o->n++;
	if (!timer_pending(&o->retry))
		timer_start(&o->retry, RETRY_MS);
	return RC_OK;
}

enum rc
outbox_put(struct outbox *o, enum ipc_type type, uint32_t handle, struct slice body, int fd)
{
	enum rc rc;

	if (o->line == NULL || !peer_alive(o->line)) {
		if (fd != -1)
			(void)close(fd);
		return RC_CLOSED;
	}
	if (o->first != NULL)
		return wait_with(o, type, handle, body, fd);
	rc = send_now(o, type, handle, body, fd);
	if (rc == RC_AGAIN)
		return wait_with(o, type, handle, body, fd);
	if (fd != -1)
		(void)close(fd);
	return rc == RC_OK ? RC_OK : RC_CLOSED;
}

static void
on_retry(struct timer *t, void *ctx)
{
	struct outbox *o = ctx;

	while (o->first != NULL && o->line != NULL && peer_alive(o->line)) {
		struct outbox_frame *f = o->first;
		enum rc rc = send_now(o, f->type, f->handle, slice_of(f->body, f->n), f->fd);

		if (rc == RC_AGAIN) {
			timer_start(t, RETRY_MS);
			return;
		}
		o->first = f->next;
		if (o->first == NULL)
			o->last = &o->first;
		o->n--;
		if (f->fd != -1)
			(void)close(f->fd);
		free(f);
	}
}
