/* master/master.h -- the one context of the master process.
 *
 * The master is root: it reads the configuration, binds, opens, forks, and passes descriptors on. It parses nothing that
 * came from the network, and nothing from a room but the few short frames of common/ipc that rooms may send it. */
#ifndef POSTERN_MASTER_MASTER_H
#define POSTERN_MASTER_MASTER_H

#include "common/loop.h"
#include "master/accounts.h"
#include "master/certificates.h"
#include "master/conf_file.h"
#include "master/options.h"
#include "master/paths.h"
#include "master/users_watch.h"
#include "master/wares.h"

struct child;
struct selftest;

enum phase {
	PHASE_STARTING,		/* until every room is ready for the first time; a room that refuses ends the start */
	PHASE_RUNNING,
	PHASE_STOPPING,
};

struct master {
	struct loop *loop;
	struct options options;
	struct paths paths;
	struct account accounts[ROLE_COUNT];

	struct conf_source source;	/* the configuration in use */
	struct conf_source previous;	/* the one before it, to go back to; conf NULL: none */
	uint32_t generation;
	struct buf encoded;		/* of source.conf */
	struct wares wares;		/* sockets and files of this generation */
	struct tls_ware tls;		/* certificates and keys */
	struct users_ware users;	/* the files of the auth room */

	struct child *children;		/* every process, by no particular order */
	struct peer *log;		/* our own line to the log room */
	enum phase phase;
	uint64_t since;			/* loop time of the start */
	int exit_status;
	int lock;			/* of run-dir; open as long as we live */
	int ready_fd;			/* -d: who waits for us to be ready reads from the other end; -1: nobody */

	struct timer stop_timer;	/* stop.c */
	unsigned stop_step;
	struct reload *reload;		/* reload.c; NULL: none under way */
	struct selftest *selftest;	/* selftest.c; NULL: none under way */
	struct timer watchdog;		/* notify.c */
};

#endif
