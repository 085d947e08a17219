/* master/conf_networks.h -- the table files that smtpd's lists of networks name, read for it.
 *
 * smtpd may open nothing, and has no use for the names and addresses in other tables: it is sent the networks, as a part of
 * the configuration. They are read again at a reload, as all tables are. */
#ifndef POSTERN_MASTER_CONF_NETWORKS_H
#define POSTERN_MASTER_CONF_NETWORKS_H

#include "common/conf.h"

/* Fills c->networks. "file:line: what, and what to do" in errors, for the first mistake. */
enum rc conf_networks_read(struct conf *c, struct buf *errors);

#endif
