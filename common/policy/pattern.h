/* common/policy/pattern.h -- a list of patterns as an option holds it: words of its own, and tables named with @.
 *
 * A list is a few tables: its own words make one, and each @name adds one that belongs to the policy. Nothing is walked
 * that could be long. An empty list matches nothing here; that it means "any" in a rule is the rule's business. */
#ifndef POSTERN_COMMON_POLICY_PATTERN_H
#define POSTERN_COMMON_POLICY_PATTERN_H

#include "common/conf.h"
#include "common/policy/table.h"

struct patterns {
	struct table *own;		/* NULL: no words of its own */
	const struct table **refs;	/* borrowed */
	size_t n_refs;
};

/* The table that a list calls by @name, or NULL with words in why ("there is no table ..."). */
typedef const struct table *patterns_table_fn(void *ctx, struct slice name, struct buf *why);

/* kinds: a TABLE_FOR_ mask; words and tables of other kinds are refused: they would silently never match. what: such as
 * "a network", for the message. RC_OK, or words in why. */
enum rc patterns_compile(const struct conf_list *list, unsigned kinds, const char *what, patterns_table_fn *find, void *ctx,
    struct patterns *ret_p, struct buf *why);
void patterns_free(struct patterns *p);

static inline bool
patterns_empty(const struct patterns *p)
{
	return p->own == NULL && p->n_refs == 0;
}

/* An address taken apart for matching. Everything in canonical text. */
struct pattern_address {
	struct slice local;	/* with the quotes it needs */
	struct slice base;	/* the local part without an extension; empty when there is none to take off */
	struct slice domain;	/* a name or a literal; empty for the bare <Postmaster> */
	struct ip literal;	/* family != 0 when domain is a literal */
	bool null;		/* <> */
};

struct pattern_hit {
	const struct table *table;	/* NULL: a word of the list itself */
	struct table_hit hit;
};

/* Appends "*.example.org (table partners, line 3)". */
void pattern_hit_put(struct buf *to, const struct pattern_hit *h);

bool patterns_have_ip(const struct patterns *p, struct ip ip, struct pattern_hit *ret_hit);
bool patterns_have_name(const struct patterns *p, struct slice name, struct pattern_hit *ret_hit);
/* A fingerprint in hexadecimal digits; empty matches nothing. */
bool patterns_have_print(const struct patterns *p, struct slice print, struct pattern_hit *ret_hit);
bool patterns_have_user(const struct patterns *p, struct slice user, struct pattern_hit *ret_hit);
/* The domain of an address, or the literal in its place. */
bool patterns_have_domain(const struct patterns *p, const struct pattern_address *a, struct pattern_hit *ret_hit);
/* An address: as a whole or as user@, with its extension or without, or its domain; <> by itself only. */
bool patterns_have_address(const struct patterns *p, const struct pattern_address *a, struct pattern_hit *ret_hit);
bool patterns_have_everywhere(const struct patterns *p);	/* see table_has_everywhere */

#endif
