/* resolver/unbound.h -- libunbound as a source of look-ups: a validating, caching resolver inside this process.
 *
 * No threads, no children, no files: it lives on the room's event loop and is told everything by options. A struct
 * unbound is made for a setup and never changes; a new generation makes another and lets the old one run dry. */
#ifndef POSTERN_RESOLVER_UNBOUND_H
#define POSTERN_RESOLVER_UNBOUND_H

#include "common/buf.h"
#include "common/loop.h"
#include "resolver/lookup.h"
#include "resolver/setup.h"

enum { UNBOUND_WAITING_MAX = 65536 };	/* look-ups beyond max-queries that wait, strangers' and all others each; about 25 MB */

struct unbound;

/* NULL with the reason in words: the library refuses something (a trust anchor), or memory ran out. The first look-up,
 * which makes the library complete, is done here: everything it opens lazily is open when this returns. */
struct unbound *unbound_new(struct loop *loop, const struct setup *setup, struct buf *why);
/* Pending look-ups are forgotten: their functions are not called. Never from inside a look-up's function. */
void unbound_free(struct unbound *u);

/* For lookup_ops. */
struct lookup_source *unbound_source(struct unbound *u);
extern const struct lookup_ops unbound_lookups;

size_t unbound_in_flight(const struct unbound *u);	/* asked of the library and not answered, cancelled ones too */

#endif
