/* resolver/route.h -- the hosts for mail to a domain: MX, implicit MX, null MX, and their addresses.
 *
 * RFC 5321 5.1 and RFC 7505 as a machine of two steps: the MX records, then the addresses of every host at once. Equal
 * questions that are under way at the same time are one. Nothing is kept here: the library below has the cache. */
#ifndef POSTERN_RESOLVER_ROUTE_H
#define POSTERN_RESOLVER_ROUTE_H

#include "common/ipc/schema.h"
#include "common/keyed_hash.h"
#include "common/loop.h"
#include "common/mail_route.h"
#include "common/rc.h"
#include "resolver/lookup.h"

enum {
	ROUTES_MAX = 20000,	/* different questions under way; each has at most 2 * ROUTE_HOSTS_MAX look-ups */
	ROUTES_BUCKETS = 4096,
};

/* What a question came to. Borrowed for the call. hosts is only filled for DNS_OK, where at least one has addresses. */
struct route_answer {
	enum dns_status status;
	bool secure;		/* the MX records, or that there are none, and every address given were validated */
	uint32_t ttl;
	struct slice hosts;	/* a run of struct route_host */
	const char *why;	/* "" for DNS_OK */
};

struct route;
struct route_ask;
typedef void route_fn(struct route_ask *ask, const struct route_answer *answer);
/* One asker's interest, embedded in the asker's struct; idle when zeroed. */
struct route_ask {
	struct route_ask *next, **at;
	struct route *route;	/* NULL: idle */
	route_fn *fn;
	void *ctx;
};

struct routes {
	struct loop *loop;
	const struct lookup_ops *ops;
	struct lookup_source *source;
	uint64_t timeout_ms;	/* for new questions */
	struct route *buckets[ROUTES_BUCKETS];
	size_t n;
	struct hash_key hash_key;	/* names come from strangers: no collisions on purpose (THREATS 57) */
};

void routes_init(struct routes *r, struct loop *loop, const struct lookup_ops *ops, struct lookup_source *source,
    uint64_t timeout_ms);
/* Ends all questions: DNS_TEMPORARY with this reason. */
void routes_end(struct routes *r, const char *why);

/* Asks; ask->fn is called once, never before this returns. name: a domain that domain_check() and domain_is_dns_usable()
 * let pass, in any case. RC_AGAIN: too many questions. RC_NOMEM. */
enum rc routes_ask(struct routes *r, struct route_ask *ask, enum route_kind kind, struct slice name);
/* fn will not be called. The question goes on when others wait for it. Idle: harmless. */
void route_ask_cancel(struct route_ask *ask);

#endif
