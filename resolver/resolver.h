/* resolver/resolver.h -- the resolver room: DNS for smtpd and deliver, typed and validated.
 *
 * Askers send V_ROUTE and V_PTR, smtpd takes the latter back by V_FORGET; nobody else speaks DNS. What they ask is checked like
 * what strangers send. */
#ifndef POSTERN_RESOLVER_RESOLVER_H
#define POSTERN_RESOLVER_RESOLVER_H

#include "common/hash_table.h"
#include "common/room.h"
#include "resolver/ptr.h"
#include "resolver/route.h"
#include "resolver/setup.h"
#include "resolver/unbound.h"

enum {
	ASKER_OPEN_MAX = 10000,		/* questions of one line under way; a process holds 10000 sessions at most by default */
	GENERATIONS_OLD_MAX = 4,	/* contexts that run dry after reloads; the oldest is ended early */
	GENERATION_DRAIN_MS = 180000,	/* the library gives up long before */
	SWEEP_MS = 1000,
	TROUBLE_BURST = 20,		/* LOG_DNS_TROUBLE at most in TROUBLE_PERIOD_MS */
	TROUBLE_PERIOD_MS = 60000,
};

/* One libunbound context and the questions asked of it. */
struct generation {
	struct generation *next;
	struct setup setup;
	struct unbound *unbound;
	struct routes routes;
	struct ptrs ptrs;
	uint64_t retired_at;
};

struct question;
/* A line from smtpd or deliver. */
struct asker {
	struct asker *next;
	struct resolver *resolver;
	struct peer *peer;
	struct question *questions;
	size_t n_questions;
	struct hash_table names;	/* those of V_PTR by their handle */
};

struct resolver {
	struct room *room;
	struct generation *now, *old;
	struct asker *askers;
	struct timer sweep;
	/* Files of the generation that is coming. */
	struct buf resolv_conf, root_hints, trust_anchor;
	struct buf why;
	uint64_t trouble_since;
	unsigned n_trouble;
	bool stopping;
};

extern const struct room_ops resolver_ops;

#endif
