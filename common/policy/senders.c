/* common/policy/senders.c -- see senders.h. */
#include "common/policy/senders.h"

#include "common/escape.h"
#include "common/idn.h"
#include "common/policy/suggest.h"
#include "common/wire/utf8.h"

enum { QUOTE_MAX = 80 };

/* A user's name; of one that is an address the domain, as all domains of tables and envelopes, in ASCII. One that cannot be
 * written so stays as it is, and matches nothing. space: of DOMAIN_MAX, and has to outlive what comes back. */
static struct pattern_address
address_of(struct slice name, struct buf *space)
{
	size_t at = slice_rfind(name, '@');
	struct slice domain = slice_from(name, at + 1);

	if (at == name.n)
		return (struct pattern_address){ .local = name };
	buf_clear(space);
	if (!slice_is_ascii(domain) && idn_domain_put(space, domain) == RC_OK)
		domain = buf_slice(space);
	return (struct pattern_address){ .local = slice_first(name, at), .domain = domain };
}

/* Addresses are compared without case; of users, alice and Alice may be two. Domains are the same in any case. */
static bool
is_this_user(struct slice pattern, struct slice user)
{
	struct slice wanted = slice_first(pattern, slice_rfind(pattern, '@')), have = slice_first(user, slice_rfind(user, '@'));

	return slice_eq(wanted, have);
}

bool
senders_have_user(const struct patterns *list, struct slice user, struct pattern_hit *ret_hit)
{
	struct buf space = BUF_INIT(DOMAIN_MAX);
	struct pattern_address a;
	bool has;

	if (user.n == 0)
		return false;
	if (patterns_have_user(list, user, ret_hit))
		return is_this_user(ret_hit->hit.pattern, user);
	a = address_of(user, &space);
	has = a.domain.n > 0 && patterns_have_address(list, &a, ret_hit) &&
	    (slice_find(ret_hit->hit.pattern, '@') == ret_hit->hit.pattern.n || is_this_user(ret_hit->hit.pattern, user));
	buf_free(&space);
	return has;
}

/* Between the words of a value. */
static const struct slice between = SLICE(" \t,");

static const struct table *
table_called(const struct policy *p, struct slice name)
{
	for (size_t i = 0; i < p->n_tables; i++)
		if (slice_eq(slice_str(table_name(p->tables[i])), name))
			return p->tables[i];
	return NULL;
}

/* --- what is written there, before it is used --- */

static enum rc
no_table(const struct policy *p, struct slice word, struct buf *why)
{
	struct suggest close;

	suggest_init(&close, slice_from(word, 1));
	for (size_t i = 0; i < p->n_tables; i++)
		suggest_offer(&close, slice_str(table_name(p->tables[i])));
	(void)buf_put_byte(why, '"');
	(void)escape_put(why, word, QUOTE_MAX);
	(void)buf_put_str(why, "\" is no table; declare it in a table section");
	suggest_put(&close, why);
	return RC_NOTFOUND;
}

static enum rc
check_word(const struct policy *p, struct slice word, struct buf *why)
{
	const struct table *named;
	struct table_hit bad;
	struct table *one;
	enum rc rc;

	if (slice_eq(word, S("*")))
		return RC_OK;
	if (slice_starts(word, S("@"))) {
		named = table_called(p, slice_from(word, 1));
		if (named == NULL)
			return no_table(p, word, why);
		if (table_holds_only(named, TABLE_FOR_ADDRESSES, &bad))
			return RC_OK;
		(void)buf_printf(why, "\"@%s\" holds what is no address (line %u); name a table of addresses and domains",
		    table_name(named), bad.line);
		return RC_SYNTAX;
	}
	one = table_new("");
	if (one == NULL)
		return RC_NOMEM;
	rc = table_add(one, word, S(""), 0, why);
	if (rc == RC_OK && !table_holds_only(one, TABLE_FOR_ADDRESSES, &bad)) {
		(void)buf_put_byte(why, '"');
		(void)escape_put(why, word, QUOTE_MAX);
		(void)buf_put_str(why, "\" is no address; write user@example.org, example.org, *.example.org, @table or *");
		rc = RC_SYNTAX;
	}
	table_free(one);
	return rc;
}

static enum rc
check_table(const struct policy *p, const struct table *t, struct buf *why)
{
	struct buf what = BUF_INIT(1024);
	struct slice rest, word;
	struct table_hit entry;
	enum rc rc = RC_OK;
	size_t at = 0;

	while (rc == RC_OK && table_next(t, &at, &entry))
		for (rest = entry.value; rc == RC_OK && slice_word(&rest, between, &word);)
			rc = check_word(p, word, &what);
	if (rc != RC_OK) {
		(void)buf_printf(why, "table %s", table_name(t));
		if (entry.line > 0)
			(void)buf_printf(why, ", line %u", entry.line);
		(void)buf_put_str(why, ": of ");
		(void)escape_put(why, entry.pattern, QUOTE_MAX);
		(void)buf_put_str(why, ": ");
		(void)buf_put_slice(why, rc == RC_NOMEM ? S("out of memory") : buf_slice(&what));
	}
	buf_free(&what);
	return rc;
}

enum rc
senders_check(const struct policy *p, struct buf *why)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < p->senders.n_refs && rc == RC_OK; i++)
		rc = check_table(p, p->senders.refs[i], why);
	return rc;
}

/* --- questions --- */

/* A word that says nothing matches nothing. */
static bool
word_matches(const struct policy *p, struct slice word, const struct subject *from)
{
	const struct table *named = slice_starts(word, S("@")) ? table_called(p, slice_from(word, 1)) : NULL;
	struct patterns one = { NULL, &named, named == NULL ? 0 : 1 };
	struct buf why = BUF_INIT(512);
	struct pattern_hit hit;
	bool has = slice_eq(word, S("*"));

	if (!has && !slice_starts(word, S("@"))) {
		one.own = table_new("");
		if (one.own != NULL && table_add(one.own, word, S(""), 0, &why) != RC_OK) {
			table_free(one.own);
			one.own = NULL;
		}
	}
	has = has || patterns_have_address(&one, &from->parts, &hit);
	table_free(one.own);
	buf_free(&why);
	return has;
}

/* Of a user about whom the list says nothing. */
static bool
is_own_address(const struct policy *p, struct slice user, const struct subject *from)
{
	struct buf space = BUF_INIT(DOMAIN_MAX);
	struct pattern_address own;
	struct pattern_hit hit;
	bool is;

	if (slice_find(user, '@') < user.n) {
		own = address_of(user, &space);
		is = slice_caseeq(own.local, from->parts.local) && slice_caseeq(own.domain, from->parts.domain);
		buf_free(&space);
		return is;
	}
	return (slice_caseeq(from->meaning, user) || (from->parts.base.n > 0 && slice_caseeq(from->parts.base, user))) &&
	    patterns_have_domain(&p->local_domains, &from->parts, &hit);
}

bool
senders_allow(const struct policy *p, struct slice user, const struct subject *from)
{
	struct pattern_hit hit;
	struct slice rest, word;

	if (user.n == 0 || patterns_empty(&p->senders) || from->parts.null)
		return true;
	if (!senders_have_user(&p->senders, user, &hit))
		return is_own_address(p, user, from);
	rest = hit.hit.value;
	while (slice_word(&rest, between, &word))
		if (word_matches(p, word, from))
			return true;
	return false;
}

bool
senders_allow_all(const struct policy *p, struct slice user, struct slice addresses)
{
	while (addresses.n > 0) {
		struct slice one = slice_first(addresses, slice_find(addresses, '\n'));
		struct subject from;

		if (one.n == 0 || !subject_read(p, one, false, &from) || !senders_allow(p, user, &from))
			return false;
		addresses = slice_from(addresses, one.n + 1);
	}
	return true;
}
