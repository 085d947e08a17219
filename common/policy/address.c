/* common/policy/address.c -- see address.h; and the local users that local parts name. */
#include "common/policy/address.h"

#include "common/nfc.h"

static bool
is_delimiter(const struct policy *p, uint8_t c)
{
	return c != '\0' && strchr(p->conf->local.recipient_delimiter, c) != NULL;
}

/* The local part up to the first delimiter; empty when there is none, or nothing before it. */
static struct slice
policy_base_of(const struct policy *p, struct slice local)
{
	for (size_t i = 0; i < local.n; i++)
		if (is_delimiter(p, local.p[i]))
			return slice_first(local, i);
	return slice_of(local.p, 0);
}

/* From the whole down to the shortest: a user whose own name holds a delimiter is found too. */
bool
policy_find_user(const struct policy *p, struct slice local, struct slice *ret_user, bool *ret_exact)
{
	struct pattern_hit hit;

	if (local.n == 0 || local.n > ADDRESS_LOCAL_MAX)
		return false;
	for (size_t n = local.n; n > 0; n--) {
		if (n < local.n && !is_delimiter(p, local.p[n]))
			continue;
		if (patterns_have_user(&p->local_users, slice_first(local, n), &hit)) {
			*ret_user = hit.hit.pattern;
			*ret_exact = n == local.n;
			return true;
		}
	}
	return false;
}

bool
policy_has_postmaster(const struct policy *p)
{
	const char *name = p->conf->global.postmaster;
	struct slice user;
	bool exact;

	return strchr(name, '@') != NULL || policy_find_user(p, S("postmaster"), &user, &exact) ||
	    policy_find_user(p, slice_str(name), &user, &exact);
}

/* Copies what put() wrote into the subject's own space. */
static bool
settle(struct buf *from, uint8_t *space, size_t max, struct slice *ret_s)
{
	struct slice s = buf_slice(from);

	if (from->failed || s.n > max)
		return false;
	if (s.n > 0)
		memcpy(space, s.p, s.n);
	*ret_s = slice_of(space, s.n);
	return true;
}

static bool
take_apart(const struct policy *p, const struct address *a, struct subject *s)
{
	struct buf text = BUF_INIT(sizeof s->text), local = BUF_INIT(sizeof s->compared), unquoted = BUF_INIT(sizeof s->unquoted);
	struct buf plain = BUF_INIT(ADDRESS_LOCAL_MAX);
	bool bare = (a->flags & ADDRESS_POSTMASTER) != 0, ok;

	ok = address_put(&text, a) && settle(&text, s->text, sizeof s->text, &s->whole);
	ok = ok && nfc_put(&local, address_local_of(s->whole));
	ok = ok && settle(&local, s->compared, sizeof s->compared, &s->parts.local);
	ok = ok && address_local_put(&plain, a) && nfc_put(&unquoted, buf_slice(&plain));
	ok = ok && settle(&unquoted, s->unquoted, sizeof s->unquoted, &s->meaning);
	buf_free(&text);
	buf_free(&local);
	buf_free(&unquoted);
	buf_free(&plain);
	if (!ok || s->meaning.n == 0 || slice_find(s->meaning, '\0') < s->meaning.n)
		return false;
	s->flags = a->flags;
	s->parts.literal = a->literal;
	s->parts.domain = bare ? S("") : address_domain_of(s->whole);
	/* A local part that needs quotes has no extension: a blank or an @ would be part of the user's name. */
	if (s->parts.local.p[0] != '"')
		s->parts.base = policy_base_of(p, s->parts.local);
	return true;
}

bool
subject_read(const struct policy *p, struct slice text, bool bare, struct subject *ret_s)
{
	struct address a = { .flags = 0 };

	memset(ret_s, 0, sizeof *ret_s);
	if (!bare && (text.n == 0 || slice_eq(text, S("<>")))) {
		ret_s->parts.null = true;
		return true;
	}
	if (bare && slice_caseeq(text, S("postmaster"))) {
		a.flags = ADDRESS_POSTMASTER;
		a.local = text;
		return take_apart(p, &a, ret_s);
	}
	return address_parse(text, &a) == RC_OK && take_apart(p, &a, ret_s);
}
