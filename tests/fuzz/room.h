/* tests/fuzz/room.h -- a room among neighbours that have been broken into: whatever they send, in any order, at any time.
 *
 * The input is a program. Its steps send frames on the lines of the room (well-formed ones of every type that the other end
 * may send, with fields of all kinds, and bytes that are none), break and renew lines, and let time pass. What the room sends
 * is read, must be well-formed, and is remembered, so that later steps can use its handles, numbers, ids and texts.
 *
 * A target is a struct fuzz_room: how the room is made, which lines it has, and what else can happen to it. */
#ifndef POSTERN_TESTS_FUZZ_ROOM_H
#define POSTERN_TESTS_FUZZ_ROOM_H

#include "common/room.h"

enum { FUZZ_ENDS_MAX = 8, FUZZ_SEEN_MAX = 16, FUZZ_TEXT_MAX = 256 };

/* Our end of one line. fd -1: hung up. */
struct fuzz_end {
	enum role role;
	int fd;
	bool born;			/* came with a descriptor that we sent: M_SPAWNED */
	struct buf in;
	uint32_t handles[FUZZ_SEEN_MAX];/* of frames from the room, the latest first */
};

struct fuzz_world {
	const struct fuzz_room *def;
	struct room room;		/* its ctx belongs to the target */
	struct fuzz_end ends[FUZZ_ENDS_MAX];
	struct fuzz_end log;		/* what the room says to the log */
	struct rd in;			/* the rest of the program */
	uint32_t numbers[FUZZ_SEEN_MAX];/* u32 fields of frames from the room, the latest first */
	struct msgid ids[FUZZ_SEEN_MAX];
	struct { size_t n; uint8_t bytes[FUZZ_TEXT_MAX]; } texts[FUZZ_SEEN_MAX];
	uint64_t content;		/* bytes of the last text fields sent since a message was begun: sizes that agree */
	uint64_t n_frames;		/* from the room */
	bool exited;			/* the room has asked to end */
	bool watching;
	bool batch;			/* frames gather: nothing is handled in between */
};

struct fuzz_room {
	enum role role;
	const struct room_ops *ops;	/* of the room; line() and on_master are used, adopt() and stop() too */
	enum role lines[FUZZ_ENDS_MAX];	/* ROLE_NONE ends them; ROLE_MASTER is wired to on_master, with what it may send */
	struct conf *(*conf)(void);	/* made once */
	void (*start)(struct fuzz_world *w);
	void (*turn)(struct fuzz_world *w);	/* what else has to be done until nothing moves; may be NULL */
	void (*special)(struct fuzz_world *w);	/* a step of the target's own, from w->in; may be NULL */
	/* A frame of the room, when w->watching: for an end() that plays good neighbours. */
	void (*frame)(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice body);
	void (*end)(struct fuzz_world *w);	/* all lines are closed: checks, and frees everything */
};

/* What room_folder() says. */
extern int fuzz_folder;

int fuzz_room_run(const struct fuzz_room *def, const uint8_t *data, size_t size);

/* For targets: bytes of the program that make a text, a number. */
struct slice fuzz_text(struct fuzz_world *w);
uint32_t fuzz_number(struct fuzz_world *w);
struct ip fuzz_ip(struct fuzz_world *w);
/* Turns of the loop until nothing comes any more. */
void fuzz_settle(struct fuzz_world *w);
/* A new line in place i of def->lines, and a frame of ours on it. */
struct fuzz_end *fuzz_wire(struct fuzz_world *w, size_t i);
void fuzz_send(struct fuzz_end *e, unsigned type, uint32_t handle, const struct wr *body);
void fuzz_hang_up(struct fuzz_end *e);
/* Room for the body of a frame. */
struct wr fuzz_body(void);

#endif
