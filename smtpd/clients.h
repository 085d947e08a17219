/* smtpd/clients.h -- client networks: who they are, what they have done lately, and whether that is too much.
 *
 * A client is a network: an IPv4 address or an IPv6 /64, unless limits { ipv4-prefix, ipv6-prefix } say otherwise. One
 * that has sessions here has a struct client, found by a hash table keyed with a secret. What it did is counted in
 * common/counts.h, where all smtpd processes see each other's counts; limits hold for all of them together. Networks of
 * limits { exempt } are counted too, and have no limits.
 *
 * Usage, in a command:
 *	if (client_over(s, CLIENT_FAILED_LOGIN)) refuse; ... on failure: client_note(s, CLIENT_FAILED_LOGIN, 1);
 * client_over() also says so in the log, once an interval. */
#ifndef POSTERN_SMTPD_CLIENTS_H
#define POSTERN_SMTPD_CLIENTS_H

#include "common/conf.h"
#include "common/counts.h"
#include "common/hash_table.h"
#include "common/loop.h"
#include "common/policy/networks.h"

#include <stddef.h>
#include <stdint.h>

struct session;

enum client_event {
	CLIENT_CONNECTION = COUNT_CONNECTION,
	CLIENT_MESSAGE = COUNT_MESSAGE,
	CLIENT_RECIPIENT = COUNT_RECIPIENT,
	CLIENT_ERROR = COUNT_ERROR,
	CLIENT_UNKNOWN_RECIPIENT = COUNT_UNKNOWN_RECIPIENT,
	CLIENT_TLS_HANDSHAKE = COUNT_TLS_HANDSHAKE,
	CLIENT_FAILED_LOGIN = COUNT_FAILED_LOGIN,
};

enum {
	CLIENT_SIZES = 32,		/* classes of clients by their sessions: 1, 2-3, 4-7, ... */
	CLIENT_ROWS_ALONE = COUNTS_ROWS_MIN,	/* of a process that shares its counts with none: in tests */
};

struct client {
	struct hash_entry entry;
	struct client *size_next, **size_link;	/* among those with about as many sessions, the longest there first */
	struct ip_net net;
	uint64_t hash;			/* counts_hash */
	struct counts_row *row;		/* NULL: there was none free */
	uint32_t n_sessions;		/* here */
	bool exempt;			/* the address that came last: limits at the door; later session.exempt counts */
	struct session *sessions;	/* by session.client_next, the latest first */
	uint32_t told_interval;		/* in which a limit was last logged, */
	uint32_t told;			/* and which ones, as bits */
};

struct clients {
	struct hash_table table;	/* of those that have sessions */
	struct client *sizes[CLIENT_SIZES], **sizes_end[CLIENT_SIZES];
	struct counts counts;
	struct loop *loop;
	struct table *exempt;	/* of the present configuration */
};

/* Reads random bytes: before the sandbox. Counts for itself until clients_share(). */
void clients_init(struct clients *c, struct loop *loop);
void clients_free(struct clients *c);

/* Counts with the other processes, in memory that counts_format() made. Before the first client; the memory is mapped
 * until the process ends. */
enum rc clients_share(struct clients *c, void *own, const void *all, size_t size, uint32_t index);

/* A new configuration: which networks are exempt from now on. */
void clients_adopt(struct clients *c, const struct conf *conf);

/* One session more of this client. NULL: no memory. */
struct client *client_enter(struct clients *c, const struct conf *conf, struct ip ip);
void client_leave(struct clients *c, struct client *client);

/* The session is one of its client's from now on, until client_part(). */
void client_join(struct session *s);
void client_part(struct session *s);

/* Of all processes. */
uint32_t client_sessions(const struct clients *c, const struct client *client);

/* n more of these. At the door, where there is no session yet, client_note_at() and client_over_at(). */
void client_note(struct session *s, enum client_event event, uint32_t n);
void client_note_at(struct clients *c, const struct conf *conf, struct client *client, enum client_event event, uint32_t n);

/* Has it had as many of these as it may? Then not one more. */
bool client_over(struct session *s, enum client_event event);
bool client_over_at(struct clients *c, const struct conf *conf, struct client *client, enum client_event event);

/* A message of this client was accepted: it is a good one for a while. */
void client_note_good(struct session *s);
bool client_is_good(const struct clients *c, const struct client *client);

#endif
