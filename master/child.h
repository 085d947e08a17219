/* master/child.h -- one process of one room: started, told what it needs, watched, started again.
 *
 * A child is gone when both its process has been reaped and its line is closed, so that its last words are heard. */
#ifndef POSTERN_MASTER_CHILD_H
#define POSTERN_MASTER_CHILD_H

#include "master/master.h"
#include "master/outbox.h"

enum child_state {
	CHILD_DOWN,		/* not running; restart is pending unless the house is being stopped */
	CHILD_STARTING,		/* until its first M_READY */
	CHILD_READY,
	CHILD_STOPPING,		/* asked to end */
};

enum child_kind {
	CHILD_ROOM,		/* lives as long as the house */
	CHILD_MAILBOX,		/* for the deliveries of one session to one recipient */
	CHILD_PROBE,		/* for one probe of the self-test */
};

struct child {
	struct child *next;
	struct master *master;
	enum role role;
	unsigned index;
	enum child_kind kind;
	enum child_state state;
	bool surplus;			/* the configuration asks for fewer: not started again */

	pid_t pid;			/* 0: reaped or never started */
	int wait_status;
	struct peer *line;		/* NULL: closed */
	struct outbox outbox;
	uint32_t generation;		/* that it said it uses */
	uint32_t certificates;		/* serial of the set that it was given last */
	enum rc refused;		/* status of an M_READY that was not RC_OK */
	char *why;			/* its words, or NULL */

	unsigned restarts;
	uint64_t since;			/* loop time of the start */
	uint64_t backoff;		/* ms before the next restart */
	struct timer restart;

	uint64_t connected;		/* auth: when it asked for a connection to Dovecot last */
	uint32_t spawn_handle;		/* mailbox: the request on the line to local */
	unsigned spawn_index;		/* mailbox: which local asked, */
	pid_t spawn_pid;		/* and which process it was: another one numbers its requests anew */
	int spawn_fd;			/* mailbox: local's end of the line between them, -1 once it was sent */
	char *user;			/* mailbox: whose */
	unsigned probe;			/* probe: which, */
	bool probing;			/* it has been told to try, */
	bool answered;			/* and it has survived */
};

/* A process of the house that is to run from now on: started at once. NULL: out of memory. */
struct child *child_add(struct master *m, enum role role, unsigned index);

/* One that runs once: made here, filled by the caller, then started with child_start. */
struct child *child_make(struct master *m, enum role role, unsigned index, enum child_kind kind);

/* Forks, executes, and sends the configuration, lines and files. Failure leads to a later restart for rooms; for the
 * others RC_AGAIN, and the child is freed. */
enum rc child_start(struct child *c);

/* Sends configuration, files and M_GO of the master's present generation to a running room. */
void child_send_generation(struct child *c);
/* For smtpd: what client-ca of each listener holds. */
void child_send_authorities(struct child *c);

void child_send_stop(struct child *c, uint32_t grace_ms);
void child_retire(struct child *c, uint32_t grace_ms);	/* stopped for good; may be freed at once */

/* SIGKILL: its end comes by SIGCHLD as always. */
void child_kill(struct child *c);

/* The process pid has ended. */
void children_reaped(struct master *m, pid_t pid, int status);

struct child *child_find(struct master *m, enum role role, unsigned index);	/* rooms only; NULL */
bool child_running(const struct child *c);
const char *child_state_name(const struct child *c);
/* "killed by SIGSYS", "exit status 78": with the room's own words if it gave any. to is a buf of at least 2048 bytes. */
const char *child_cause(const struct child *c, struct buf *to);

#endif
