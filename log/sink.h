/* log/sink.h -- the log's destination: takes lines off the ring as fast as it can, and never waits.
 *
 * stderr:	the inherited descriptor 2, whose mode is not ours to change (others write to it too): a pipe or a terminal
 *		is asked first whether it can take a little, a socket is written to without waiting, a file just written.
 * file:	a name beneath the folder that master opened; opened again on every reload, which is how it is rotated.
 * syslog:	a datagram a line, on the socket that master connected.
 *
 * When the destination is full, writing goes on when it is writable; when it fails (no space, nobody there), after a
 * while. Meanwhile lines gather in the ring. */
#ifndef POSTERN_LOG_SINK_H
#define POSTERN_LOG_SINK_H

#include "common/loop.h"
#include "log/ring.h"

enum { SINK_RETRY_MS = 1000 };	/* after a failure */

enum sink_kind { SINK_NONE, SINK_STDERR, SINK_FILE, SINK_SYSLOG };

struct sink {
	struct loop *loop;
	struct ring *ring;	/* borrowed */
	enum sink_kind kind;
	bool direct;		/* a file or a device that never fills: no watching */
	bool socket;
	bool terminal;
	int fd;
	int error;		/* errno of the last failure, 0 when it works */
	struct watch watch;
	struct timer retry;
	struct chore drain;
};

void sink_init(struct sink *s, struct loop *loop, struct ring *ring);
/* Before the sandbox: is descriptor 2 a terminal? (It takes an ioctl to know.) */
void sink_ask_terminal(struct sink *s);

/* Each gives the old destination a last chance to take what waits, closes it, and starts on the new one. fd is taken
 * over but for stderr. On failure the old one stays. */
enum rc sink_to_stderr(struct sink *s);
enum rc sink_to_file(struct sink *s, int folder, const char *name);	/* folder stays the caller's */
enum rc sink_to_syslog(struct sink *s, int fd);

/* Lines were put into the ring: write them at the end of the turn. */
void sink_wake(struct sink *s);
/* Write what can be written now; at the very end, makes a file durable. */
void sink_finish(struct sink *s);

const char *sink_kind_name(enum sink_kind kind);

#endif
