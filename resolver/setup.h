/* resolver/setup.h -- from resolver { } and the files that master opened, to what libunbound is told.
 *
 * Pure: texts in, a value out that owns everything. Two equal setups need no new library context. */
#ifndef POSTERN_RESOLVER_SETUP_H
#define POSTERN_RESOLVER_SETUP_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/ip.h"
#include "common/rc.h"

enum {
	SETUP_SERVERS_MAX = 64,		/* thirteen root servers have 26 addresses */
	SETUP_ANCHORS_MAX = 32,
	SETUP_ANCHOR_MAX = 2048,	/* one DNSKEY of 4096 bits has under 1000 characters */
	SETUP_FILE_MAX = 256 * 1024,
};

struct setup_server {
	struct ip ip;
	uint16_t port;
};

struct setup {
	bool recursive;		/* servers are roots (none: those that the library has built in); else forwarders */
	bool strict;		/* an answer without the signatures it should have is bogus, never merely insecure */
	bool private_servers, ipv4, ipv6;
	uint16_t port;
	uint64_t cache;
	uint32_t max_queries;
	struct setup_server servers[SETUP_SERVERS_MAX];
	size_t n_servers;
	char *anchors[SETUP_ANCHORS_MAX];	/* one record a line, DS or DNSKEY; none: no validation */
	size_t n_anchors;
};

/* The files, empty when master sent none. */
struct setup_files {
	struct slice resolv_conf, root_hints, trust_anchor;
};

/* RC_SYNTAX with words in why: something in the configuration or a file makes no sense. RC_NOMEM. Only after
 * RC_OK is there something for setup_free(). */
enum rc setup_make(const struct conf_resolver *conf, const struct setup_files *files, struct setup *ret_setup, struct buf *why);
void setup_free(struct setup *s);
bool setup_equal(const struct setup *a, const struct setup *b);

#endif
