/* smtpd/clients.h -- how many sessions each client network has: an IPv4 address, or an IPv6 /64.
 *
 * A hash table keyed with a secret, so that nobody can choose addresses that meet in one chain. An entry lives as long
 * as a session of its network does, so there are never more entries than sessions. */
#ifndef POSTERN_SMTPD_CLIENTS_H
#define POSTERN_SMTPD_CLIENTS_H

#include "common/ip.h"

#include <stddef.h>
#include <stdint.h>

struct client {
	struct client *next;	/* in its chain */
	struct ip_net net;
	uint32_t n_sessions;
};

struct clients {
	struct client **chains;	/* NULL until the first client */
	size_t n_chains;	/* a power of two */
	size_t n;
	uint8_t key[16];
};

/* Reads random bytes: before the sandbox. */
void clients_init(struct clients *c);
void clients_free(struct clients *c);

/* One session more of this client. NULL: it has `max` already, or there is no memory (*ret_full tells). */
struct client *client_enter(struct clients *c, struct ip ip, uint32_t max, bool *ret_full);
void client_leave(struct clients *c, struct client *client);

#endif
