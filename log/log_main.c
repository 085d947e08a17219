/* log/log_main.c -- postern-log: the process. */
#include "log/log_room.h"

int
main(int argc, char **argv)
{
	static struct log_room log_room;
	int status = room_main(argc, argv, &log_room_ops, &log_room);

	if (status == 0)
		sink_finish(&log_room.sink);
	return status;
}
