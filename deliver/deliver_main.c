/* deliver/deliver_main.c -- postern-deliver: the process. */
#include "deliver/deliver.h"

static enum rc
prepare(struct room *room, struct buf *why)
{
	(void)why;
	deliver_init(room->ctx, room->loop, room->conf);
	return RC_OK;
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	deliver_take_line(room->ctx, them, index, fd);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	(void)old;
	deliver_adopt(room->ctx, room->conf);
	return NULL;
}

static void
stopped(void *ctx)
{
	struct room *room = ctx;
	struct deliver *d = room->ctx;

	/* The last results are still in the line's buffer. */
	if (d->queue != NULL)
		peer_flush(d->queue);
	room_exit(room);
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	(void)grace_ms;
	deliver_stop(room->ctx, stopped, room);
}

static const struct room_ops deliver_ops = {
	.role = ROLE_DELIVER,
	.prepare = prepare,
	.line = take_line,
	.adopt = adopt,
	.stop = stop,
};

int
main(int argc, char **argv)
{
	static struct deliver deliver;

	return room_main(argc, argv, &deliver_ops, &deliver);
}
