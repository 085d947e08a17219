/* common/room.h -- the life that every room shares: its line to master, its start, its sandbox, its end.
 *
 * A room's main.c fills a struct room_ops and calls room_main(). Start-up: frames are read from master (descriptor 3),
 * blocking, until M_GO: configuration, lines, files. Then prepare() (libraries warm up, while there is still a file
 * system and root), the sandbox, start(), every line and file that came, M_READY, and the loop. After that lines are
 * replaced, new generations adopted and the room stopped as master says. When master goes away the room exits. */
#ifndef POSTERN_COMMON_ROOM_H
#define POSTERN_COMMON_ROOM_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/ipc/peer.h"
#include "common/log.h"
#include "common/loop.h"

struct room;

struct room_ops {
	enum role role;
	/* Before the sandbox, as root, once; may block. Writes a reason to why and returns anything but RC_OK to refuse:
	 * the process ends and master reports it. room_file() finds what master sent. May be NULL. */
	enum rc (*prepare)(struct room *room, struct buf *why);
	/* Inside the sandbox but for its system-call filter, which falls right after this and forbids new threads: the only
	 * place to make them. Not in prepare(): a thread from there would stand outside the walls, and the sandbox refuses
	 * to start with one. Same return as prepare(). May be NULL. */
	enum rc (*threads)(struct room *room, struct buf *why);
	/* Inside the sandbox, loop ready, before any line or file is handed out. */
	void (*start)(struct room *room);
	/* A line to another room: take fd over (peer_new). index counts processes of that role from 0. The line to log
	 * never comes here. A second line to the same role and index replaces the first, whose peer may still look alive. */
	void (*line)(struct room *room, enum role them, unsigned index, int fd);
	/* A file that came with a generation: take fd over. Called in order, before adopt() of that generation, and after
	 * start() for the first one. Files taken in prepare() with room_take_file() do not come again. */
	void (*file)(struct room *room, const struct m_file *m, int fd);
	/* room->conf is now a newer generation (the old one is released by room after this returns: conf_ref what sessions
	 * keep). Also called once after start(), lines and files, for the first generation. Returns NULL, or why the new
	 * one is refused, which takes the old one back (never for the first). */
	const char *(*adopt)(struct room *room, const struct conf *old);
	/* Stop gracefully: call room_exit() when the last work is done; room calls it by itself after grace_ms. */
	void (*stop)(struct room *room, uint32_t grace_ms);
	/* Frames from master that are the room's own affair (M_SPAWNED and such). Their ctx is the struct room. */
	ipc_fn *on_master[IPC_TYPE_MAX];
	/* The same for the line to log, which room keeps for itself otherwise; and what to do when it is lost (or NULL). */
	ipc_fn *on_log[IPC_TYPE_MAX];
	void (*log_lost)(struct room *room);
};

struct room {
	const struct room_ops *ops;
	void *ctx;		/* the room's own context struct */
	struct loop *loop;
	struct conf *conf;
	struct peer *master;
	unsigned index;		/* which of several processes of this role */
	bool stopping;
	struct room_private *private;
};

/* The whole life; the return value is for exit(). argv[1] is the index. */
int room_main(int argc, char **argv, const struct room_ops *ops, void *ctx);

/* In prepare(): the descriptor of a file that master sent, still room's (-1: none), or taken over. */
int room_file(struct room *room, enum file_purpose purpose, struct slice name);
int room_take_file(struct room *room, enum file_purpose purpose, struct slice name);
/* For a mailbox process, in prepare(): whose. Empty otherwise. */
struct slice room_user(const struct room *room);
/* In prepare() of a mailbox process: run as this account instead of what M_GO says, with only this folder reachable
 * (absolute path; becomes the root of the Landlock domain, opened by the sandbox as the user). */
void room_become(struct room *room, uint32_t uid, uint32_t gid, const char *folder);
/* The descriptor of that folder, inside the sandbox. */
int room_folder(const struct room *room);

/* The line to log, NULL when it is down. Events go to log_say(); this is for rooms that ask log something. */
struct peer *room_log(const struct room *room);

/* Ends the loop; the process exits 0. */
void room_exit(struct room *room);

/* A peer's closed() for lines whose loss needs nothing but a log line: logs why when not NULL. */
void room_log_drop(struct peer *p, const char *why);

#endif
