/* master/listen.h -- listening sockets. */
#ifndef POSTERN_MASTER_LISTEN_H
#define POSTERN_MASTER_LISTEN_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/rc.h"

/* "192.0.2.1", "::1", or "*" for every IPv4 address ("::" is every IPv6 address). RC_SYNTAX. */
enum rc listen_address_parse(const char *text, struct ip *ret_ip);

/* A bound, listening, non-blocking TCP socket, or -1 with errno set. An IPv6 socket takes IPv6 alone. */
int listen_tcp(struct ip ip, uint16_t port, unsigned backlog);

/* The admin socket at path, replacing a stale one; only the group may connect besides root (gid 0: root alone). -1 with
 * why. The caller holds the installation's lock. */
int listen_control(const char *path, gid_t group, struct buf *why);

#endif
