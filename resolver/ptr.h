/* resolver/ptr.h -- the name of an address, confirmed: the name's own addresses hold it again.
 *
 * Whoever owns an address can call it anything (RFC 1912 2.1); only a name that points back means something. */
#ifndef POSTERN_RESOLVER_PTR_H
#define POSTERN_RESOLVER_PTR_H

#include "common/ip.h"
#include "common/ipc/schema.h"
#include "common/loop.h"
#include "common/rc.h"
#include "resolver/lookup.h"

enum {
	PTRS_MAX = 20000,	/* under way */
	PTR_NAMES_MAX = 5,	/* names of one address that are tried; who has more means none of them */
};

struct ptr;
struct ptr_ask;
/* status: DNS_OK with a name (lower case) only when it was confirmed; DNS_NODATA: there are names, but not that. name and
 * why are borrowed for the call. */
typedef void ptr_fn(struct ptr_ask *ask, enum dns_status status, bool secure, struct slice name, const char *why);
/* Embedded in the asker's struct; idle when zeroed. */
struct ptr_ask {
	struct ptr *ptr;	/* NULL: idle */
	ptr_fn *fn;
	void *ctx;
};

struct ptrs {
	struct loop *loop;
	const struct lookup_ops *ops;
	struct lookup_source *source;
	uint64_t timeout_ms;	/* for new questions */
	unsigned ipv4_prefix, ipv6_prefix; /* what a client network is: 32 and 64, or as limits { } says */
	struct ptr *first;
	size_t n;
};

void ptrs_init(struct ptrs *all, struct loop *loop, const struct lookup_ops *ops, struct lookup_source *source,
    uint64_t timeout_ms);
/* Ends all questions: DNS_TEMPORARY with this reason. */
void ptrs_end(struct ptrs *all, const char *why);

/* Asks; ask->fn is called once, never before this returns. ip: family 4 or 6. RC_AGAIN, RC_NOMEM. */
enum rc ptrs_ask(struct ptrs *all, struct ptr_ask *ask, struct ip ip);
void ptr_ask_cancel(struct ptr_ask *ask);	/* fn will not be called; idle: harmless */

#endif
