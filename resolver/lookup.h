/* resolver/lookup.h -- one look-up in the DNS, as the state machines of this room see it.
 *
 * route.c and ptr.c ask through a struct lookup_ops, so that tests put a made-up DNS in the place of libunbound. */
#ifndef POSTERN_RESOLVER_LOOKUP_H
#define POSTERN_RESOLVER_LOOKUP_H

#include "common/ip.h"
#include "common/ipc/schema.h"
#include "common/slice.h"
#include "common/wire/dns_message.h"

/* status: DNS_OK: there are records. DNS_NODATA, DNS_NXDOMAIN: there are none, says the DNS. DNS_TEMPORARY, DNS_BOGUS:
 * nothing was learnt; why says more. answer is NULL then. All borrowed for the call. */
struct lookup_result {
	enum dns_status status;
	bool secure;		/* validated up to the trust anchor, denials too */
	const char *why;	/* never NULL; "" when there is nothing to say */
	const struct dns_answer *answer;
};

struct lookup;
typedef void lookup_fn(void *ctx, const struct lookup_result *result);

struct lookup_source;
struct lookup_ops {
	/* Asks for name (text, no trailing dot). fn is called once, never before this returns, unless it is cancelled.
	 * whose: the first address of the network of the stranger who causes it, which has its share and no more (turns.h);
	 * family 0: nobody's. NULL: no memory, or too many are waiting. */
	struct lookup *(*start)(struct lookup_source *source, struct slice name, enum dns_type type, struct ip whose,
	    lookup_fn *fn, void *ctx);
	/* fn will not be called; the handle is dead. */
	void (*cancel)(struct lookup_source *source, struct lookup *lookup);
};

/* Makes of a packet what a look-up says: parses it into *answer, which the result then borrows. rcode is what the
 * library says; bogus and secure likewise; why may be NULL. Pure. */
struct lookup_result lookup_judge(struct slice name, enum dns_type type, int rcode, struct slice packet, bool bogus,
    bool secure, const char *why, struct dns_answer *answer);

/* "A", "MX", ... for the log. */
const char *dns_type_name(enum dns_type type);
/* "ok", "nxdomain", ... for the log. */
const char *dns_status_name(enum dns_status status);

#endif
