/* ctl/server.h -- what the running Postern says of itself, for commands that work on files: which configuration it was started
 * with, and what stands in it. That none runs is no failure here. */
#ifndef POSTERN_CTL_SERVER_H
#define POSTERN_CTL_SERVER_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct server {
	bool reached;		/* false: nobody answers at the socket, and the rest is empty */
	char *config;		/* the whole path of its file; NULL: the embedded configuration */
	char *base;		/* postern --base; NULL: without */
	char *run_dir;
	char **overrides;	/* postern -o */
	size_t n_overrides;
};

void server_find(const char *socket, struct server *ret_server);
void server_free(struct server *s);

/* An option as the running server has it. False: it cannot be asked. */
bool server_option(const char *socket, const char *section, const char *option, struct buf *to);

#endif
