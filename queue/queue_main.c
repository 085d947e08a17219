/* queue/queue_main.c -- postern-queue: the process. */
#include "queue/queue.h"

int
main(int argc, char **argv)
{
	static struct queue queue;
	int status = room_main(argc, argv, &queue_ops, &queue);

	/* Everything that was asked of the store gets its answer; the next start is a fast one. */
	if (queue.recovered)
		store_close(queue.store);
	return status;
}
