/* router/router.h -- the room that decides: who may send what where, and where mail goes.
 *
 * smtpd asks R_CHECK for every recipient, queue asks R_ROUTE when it has to route again, control asks EXPLAIN; all three
 * are answered at once, by the same code (common/policy). It holds one struct policy, that of the current generation,
 * with its tables in memory. It never looks anything up outside, so nothing here can wait. */
#ifndef POSTERN_ROUTER_ROUTER_H
#define POSTERN_ROUTER_ROUTER_H

#include "common/policy/check.h"
#include "common/room.h"

enum {
	ROUTER_SMTPDS_MAX = 256,	/* smtpd { processes } */
	ROUTER_FILES_MAX = 1024,	/* tables of one generation that are files */
	ROUTER_FIELD_MAX = 1024,	/* bytes of one field of a question */
	ROUTER_AUTHORS_MAX = 20 * 1024,	/* of those that hold many addresses */
};

/* A table of the coming generation, until it is adopted. */
struct router_file {
	struct router_file *next;
	char *name;
	uint32_t generation;
	int fd;
};

struct router {
	struct room *room;
	struct policy *policy;		/* never NULL once prepared */
	struct router_file *files;
	size_t n_files;
	struct peer *smtpds[ROUTER_SMTPDS_MAX];
	struct peer *queue, *control;
	struct buf why;			/* of the last refusal */
};

extern const struct room_ops router_ops;

/* answer.c: R_CHECK, R_ROUTE and R_AUTHORS. Their ctx is the struct router. */
ipc_fn router_on_check, router_on_route, router_on_authors;
/* admin.c: A_REQUEST. */
ipc_fn router_on_request;

/* The policy of a configuration, with table files from where descriptor() finds them (-1: not there). */
typedef int router_fd_fn(void *ctx, struct slice name);
enum rc router_compile(struct conf *conf, router_fd_fn *descriptor, void *ctx, struct policy **ret_policy, struct buf *why);

#endif
