/* tests/play_master.h -- for tests that start a real, sandboxed room and play its master. Needs root. */
#ifndef POSTERN_TESTS_PLAY_MASTER_H
#define POSTERN_TESTS_PLAY_MASTER_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/ipc/peer.h"

#include <sys/types.h>

enum { PLAY_UID = 64321 };	/* of rooms; no account of the machine */

struct played {
	enum role role;
	int master;		/* our end of the room's line 3 */
	int stderr_fd;		/* what the room gets as descriptor 2; -1: ours */
	pid_t pid;
	char root[64];
	uint32_t generation;
	struct buf in;
};

/* Starts BUILD/program (a path such as "log/postern-log") and sends the configuration. */
void play_start(struct played *w, enum role role, const char *program, const struct conf *c, int stderr_fd);
/* A newer generation, before its play_go. */
void play_config(struct played *w, const struct conf *c);
/* fd is closed here once it is sent. */
void play_line(struct played *w, enum role them, unsigned index, int fd);
void play_file(struct played *w, enum file_purpose purpose, const char *name, const char *path, int fd);
/* All is sent: waits for M_READY and returns its status. */
enum rc play_go(struct played *w);
struct frame play_next(struct played *w);	/* from the room; body valid until the next call */
void play_send(struct played *w, enum ipc_type type, uint32_t handle, struct slice body, int fd);
/* Closes the line to master; the exit status, or 128 and the signal. */
int play_end(struct played *w);

/* Both ends of a new line; ours blocking. */
void play_pair(int pair[2]);

/* play_put(fd, D_OPEN, 7, d_open_put(&w, &m)) needs a wr over a big space: these two make it one line. */
struct wr play_space(void);
void play_frame(int fd, enum ipc_type type, uint32_t handle, const struct wr *w);

#endif
