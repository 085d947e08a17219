/* log/log_room.h -- postern-log: events from every room become lines at one destination.
 *
 * It may stop, and mail goes on: the rooms never wait for it, and it never waits for its destination. What it cannot
 * keep it counts, and says how much that was when it can write again. */
#ifndef POSTERN_LOG_LOG_ROOM_H
#define POSTERN_LOG_LOG_ROOM_H

#include "common/room.h"
#include "log/format.h"
#include "log/ring.h"
#include "log/sink.h"

enum { LOG_HOST_MAX = 256 };

struct log_room {
	struct room *room;
	struct ring ring;
	struct sink sink;
	struct buf line;		/* the one being formatted */
	struct log_form form;
	char host[LOG_HOST_MAX];	/* of the system, asked before the sandbox */
	int own[2];			/* a line to ourselves, for our own events */
	int folder;			/* FILE_LOG, -1: none came */
	char *file;			/* the name in it */
	int syslog;			/* FILE_SYSLOG that was not adopted yet, -1 */
	struct timer report;		/* drops that nobody was told of */
	struct timer last;		/* while stopping: until nothing comes any more */
	uint64_t events;
	uint64_t events_then;		/* when the timer was started */
};

extern const struct room_ops log_room_ops;

#endif
