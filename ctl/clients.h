/* ctl/clients.h -- posternctl clients: what each client network does and has done lately, read from the table in which the
 * smtpd processes count (common/counts.h). The control room sees it, and cannot write it. */
#ifndef POSTERN_CTL_CLIENTS_H
#define POSTERN_CTL_CLIENTS_H

#include "common/counts.h"
#include "common/ipc/peer.h"
#include "common/ipc/schema.h"
#include "common/room.h"

struct client_counts {
	struct counts counts;		/* others NULL: there is none */
};

/* Before the sandbox: maps the memory that master gives. Without it nothing is listed. */
void client_counts_map(struct client_counts *c, struct room *room);

/* One page: at most m->limit networks, those first that have most of what m->arg names (nothing: sessions). Answers with rows and
 * one A_END, which says how many more there are. */
void client_counts_list(const struct client_counts *c, const struct conf *conf, uint64_t now_ms, struct peer *to, uint32_t handle,
    const struct a_request *m);

#endif
