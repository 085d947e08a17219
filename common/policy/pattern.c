/* common/policy/pattern.c -- see pattern.h. */
#include "common/policy/pattern.h"

#include "common/escape.h"

#include <stdlib.h>

enum { QUOTE_MAX = 80 };

/* --- compiling --- */

static enum rc
check_kinds(const struct table *t, unsigned kinds, const char *what, struct buf *why)
{
	struct table_hit bad;

	if (table_holds_only(t, kinds, &bad))
		return RC_OK;
	(void)buf_put_byte(why, '"');
	(void)escape_put(why, bad.pattern, QUOTE_MAX);
	(void)buf_put_str(why, "\"");
	if (bad.line > 0)
		(void)buf_printf(why, " (table %s, line %u)", table_name(t), bad.line);
	(void)buf_printf(why, " cannot match here; write %s", what);
	return RC_SYNTAX;
}

static enum rc
add_word(struct patterns *p, struct slice word, struct buf *why)
{
	if (p->own == NULL)
		p->own = table_new("");
	return p->own == NULL ? RC_NOMEM : table_add(p->own, word, S(""), 0, why);
}

static enum rc
add_ref(struct patterns *p, struct slice name, unsigned kinds, const char *what, patterns_table_fn *find, void *ctx,
    struct buf *why)
{
	const struct table *t = find(ctx, name, why), **grown;
	enum rc rc;

	if (t == NULL)
		return RC_NOTFOUND;
	rc = check_kinds(t, kinds, what, why);
	if (rc != RC_OK)
		return rc;
	grown = reallocarray(p->refs, p->n_refs + 1, sizeof(const struct table *));
	if (grown == NULL)
		return RC_NOMEM;
	p->refs = grown;
	p->refs[p->n_refs++] = t;
	return RC_OK;
}

enum rc
patterns_compile(const struct conf_list *list, unsigned kinds, const char *what, patterns_table_fn *find, void *ctx,
    struct patterns *ret_p, struct buf *why)
{
	struct patterns p = { NULL, NULL, 0 };
	enum rc rc = RC_OK;

	for (size_t i = 0; i < list->n && rc == RC_OK; i++) {
		struct slice word = slice_str(list->v[i]);

		if (slice_starts(word, S("@")))
			rc = add_ref(&p, slice_from(word, 1), kinds, what, find, ctx, why);
		else
			rc = add_word(&p, word, why);
	}
	if (rc == RC_OK && p.own != NULL)
		rc = check_kinds(p.own, kinds, what, why);
	if (rc != RC_OK) {
		patterns_free(&p);
		return rc;
	}
	*ret_p = p;
	return RC_OK;
}

void
patterns_free(struct patterns *p)
{
	table_free(p->own);
	free(p->refs);
	*p = (struct patterns){ NULL, NULL, 0 };
}

/* --- matching: the list's own words, then each table --- */

void
pattern_hit_put(struct buf *to, const struct pattern_hit *h)
{
	(void)escape_put(to, h->hit.pattern, TABLE_PATTERN_MAX);
	if (h->table == NULL)
		return;
	(void)buf_printf(to, " (table %s", table_name(h->table));
	if (h->hit.line > 0)
		(void)buf_printf(to, ", line %u", h->hit.line);
	(void)buf_put_byte(to, ')');
}

/* The i-th table of the list, own words first; false behind the last. */
static bool
nth(const struct patterns *p, size_t i, const struct table **ret_t, struct pattern_hit *hit)
{
	if (p->own != NULL) {
		if (i == 0) {
			*ret_t = p->own;
			hit->table = NULL;
			return true;
		}
		i--;
	}
	if (i >= p->n_refs)
		return false;
	*ret_t = hit->table = p->refs[i];
	return true;
}

bool
patterns_have_ip(const struct patterns *p, struct ip ip, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, ret_hit); i++)
		if (table_has_ip(t, ip, &ret_hit->hit))
			return true;
	return false;
}

bool
patterns_have_name(const struct patterns *p, struct slice name, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, ret_hit); i++)
		if (table_has_name(t, name, &ret_hit->hit))
			return true;
	return false;
}

bool
patterns_have_user(const struct patterns *p, struct slice user, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, ret_hit); i++)
		if (table_has_user(t, user, &ret_hit->hit))
			return true;
	return false;
}

bool
patterns_have_print(const struct patterns *p, struct slice print, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; print.n > 0 && nth(p, i, &t, ret_hit); i++)
		if (table_has_print(t, print, &ret_hit->hit))
			return true;
	return false;
}

static bool
table_has_domain(const struct table *t, const struct pattern_address *a, struct table_hit *ret_hit)
{
	return a->literal.family != 0 ? table_has_literal(t, a->literal, ret_hit) : table_has_name(t, a->domain, ret_hit);
}

bool
patterns_have_domain(const struct patterns *p, const struct pattern_address *a, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, ret_hit); i++)
		if (table_has_domain(t, a, &ret_hit->hit))
			return true;
	return false;
}

static bool
table_has_address(const struct table *t, const struct pattern_address *a, struct table_hit *ret_hit)
{
	if (a->null)
		return table_has_null(t, ret_hit);
	return table_has_mailbox(t, a->local, a->domain, ret_hit) ||
	    (a->base.n > 0 && table_has_mailbox(t, a->base, a->domain, ret_hit)) || table_has_domain(t, a, ret_hit);
}

bool
patterns_have_address(const struct patterns *p, const struct pattern_address *a, struct pattern_hit *ret_hit)
{
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, ret_hit); i++)
		if (table_has_address(t, a, &ret_hit->hit))
			return true;
	return false;
}

bool
patterns_have_everywhere(const struct patterns *p)
{
	struct pattern_hit hit;
	const struct table *t;

	for (size_t i = 0; nth(p, i, &t, &hit); i++)
		if (table_has_everywhere(t))
			return true;
	return false;
}
