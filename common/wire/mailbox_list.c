/* common/wire/mailbox_list.c -- see mailbox_list.h. Words are gathered until it is known what they were: a display name, which
 * a < behind it shows, the name of a group, which a : does, or the address itself. */
#include "common/wire/mailbox_list.h"

#include "common/wire/chars.h"

void
mailbox_list_begin(struct mailbox_list *l, struct slice value)
{
	*l = (struct mailbox_list){ .in = value };
}

static bool
at_end(const struct mailbox_list *l)
{
	return l->at >= l->in.n;
}

static bool
is_next(const struct mailbox_list *l, uint8_t c)
{
	return !at_end(l) && l->in.p[l->at] == c;
}

static void
gather(struct mailbox_list *l, uint8_t c)
{
	/* The > has its place. */
	if (l->n + 1 < sizeof l->text)
		l->text[l->n++] = c;
	else
		l->overflows = true;
}

static void
gather_anew(struct mailbox_list *l)
{
	l->n = 0;
	l->overflows = l->has_at = false;
	gather(l, '<');
}

/* A comment, which may hold others (RFC 5322 3.2.2). False: it has no end. */
static bool
skip_comment(struct mailbox_list *l)
{
	size_t depth = 0;

	for (; !at_end(l); l->at++) {
		uint8_t c = l->in.p[l->at];

		if (c == '\\')
			l->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			l->at++;
			return true;
		}
	}
	return false;
}

/* White space, folding, comments. False: a comment has no end. */
static bool
skip_cfws(struct mailbox_list *l)
{
	while (!at_end(l)) {
		uint8_t c = l->in.p[l->at];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			l->at++;
		else if (c != '(')
			break;
		else if (!skip_comment(l))
			return false;
	}
	return true;
}

/* From an opening quote or bracket to the closing one. False: there is none. */
static bool
gather_until(struct mailbox_list *l, uint8_t last)
{
	gather(l, l->in.p[l->at++]);
	while (!at_end(l)) {
		uint8_t c = l->in.p[l->at++];

		if (c == '\r' || c == '\n')	/* folding */
			continue;
		gather(l, c);
		if (c == last)
			return true;
		if (c == '\\' && !at_end(l))
			gather(l, l->in.p[l->at++]);
	}
	return false;
}

/* The literal of a domain. In a name, where none may stand, some readers look into brackets for an address. */
static bool
gather_brackets(struct mailbox_list *l)
{
	size_t start = l->at;
	bool ends = gather_until(l, ']');

	l->has_at = l->has_at || memchr(l->in.p + start, '@', l->at - start) != NULL;
	return ends;
}

/* One word, or one of the signs that may stand in an address. False: what stands here cannot. */
static bool
gather_word(struct mailbox_list *l)
{
	static const char signs[] = "()<>[]:;@\\,\".\r\n\t ";
	uint8_t c = l->in.p[l->at];

	if (c == '"')
		return gather_until(l, '"');
	if (c == '[')
		return gather_brackets(l);
	if (c == '@' || c == '.') {
		l->has_at = l->has_at || c == '@';
		gather(l, c);
		l->at++;
		return true;
	}
	if (c == '\0' || memchr(signs, c, sizeof signs - 1) != NULL)
		return false;
	while (!at_end(l) && (c = l->in.p[l->at]) != '\0' && memchr(signs, c, sizeof signs - 1) == NULL) {
		gather(l, c);
		l->at++;
	}
	return true;
}

static bool
joins(uint8_t c)
{
	return c == '@' || c == '.';
}

/* Everything up to a sign that is none of an address. *ret_gap: two words follow each other. */
static enum rc
gather_words(struct mailbox_list *l, bool *ret_gap)
{
	bool gap = false;

	for (;;) {
		size_t before = l->n;

		if (!skip_cfws(l))
			return RC_SYNTAX;
		if (at_end(l) || slice_find(S("<>:;,"), l->in.p[l->at]) < 5)
			break;
		gap = gap || (before > 1 && !l->overflows && !joins(l->text[before - 1]) && !joins(l->in.p[l->at]));
		if (!gather_word(l))
			return RC_SYNTAX;
	}
	*ret_gap = gap;
	return RC_OK;
}

/* What is gathered is an address, or not. */
static enum rc
read_address(struct mailbox_list *l, struct address *ret_address)
{
	size_t used;
	enum rc rc;

	if (l->overflows)
		return RC_RANGE;
	l->text[l->n++] = '>';
	rc = address_path_parse(slice_of(l->text, l->n), ADDRESS_REVERSE, ret_address, &used);
	if (rc == RC_OK && (used != l->n || (ret_address->flags & ADDRESS_NULL) != 0))
		rc = RC_SYNTAX;
	return rc;
}

static bool
is_of_domain(const struct mailbox_list *l)
{
	uint8_t c = at_end(l) ? 0 : l->in.p[l->at];

	return char_is_alnum(c) || c == '-' || c == '.' || c >= 0x80;
}

/* RFC 5322 4.4: <@a,@b:c@d>. Strictly: what is taken for a route here and for an address by others would be an address that
 * nobody has looked at. */
static bool
skip_route(struct mailbox_list *l)
{
	if (!skip_cfws(l))
		return false;
	if (!is_next(l, '@'))
		return true;
	while (is_next(l, '@')) {
		l->at++;
		if (!skip_cfws(l) || !is_of_domain(l))
			return false;
		while (is_of_domain(l))
			l->at++;
		if (!skip_cfws(l))
			return false;
		if (is_next(l, ':')) {
			l->at++;
			return true;
		}
		if (!is_next(l, ','))
			return false;
		l->at++;
		if (!skip_cfws(l))
			return false;
	}
	return false;
}

/* Behind the <. */
static enum rc
read_angle(struct mailbox_list *l, struct address *ret_address)
{
	bool gap;
	enum rc rc;

	l->at++;
	gather_anew(l);
	if (!skip_route(l))
		return RC_SYNTAX;
	rc = gather_words(l, &gap);
	if (rc != RC_OK || gap || !is_next(l, '>'))
		return RC_SYNTAX;
	l->at++;
	rc = read_address(l, ret_address);
	return skip_cfws(l) ? rc : RC_SYNTAX;
}

/* Behind an address: the end of the list, or of its member. */
static bool
ends_here(const struct mailbox_list *l)
{
	return at_end(l) ? !l->in_group : is_next(l, ',') || (l->in_group && is_next(l, ';'));
}

/* Over empty members and the end of a group. RC_NOTFOUND: there is no more. */
static enum rc
skip_to_member(struct mailbox_list *l)
{
	for (;;) {
		if (!skip_cfws(l))
			return RC_SYNTAX;
		if (at_end(l))
			return l->in_group ? RC_SYNTAX : RC_NOTFOUND;
		if (is_next(l, ';')) {
			if (!l->in_group)
				return RC_SYNTAX;
			l->in_group = false;
		} else if (!is_next(l, ','))
			return RC_OK;
		l->at++;
	}
}

enum rc
mailbox_list_next(struct mailbox_list *l, struct address *ret_address)
{
	for (;;) {
		enum rc rc = skip_to_member(l);
		size_t start = l->at;
		bool gap;

		if (rc != RC_OK)
			return rc;
		gather_anew(l);
		rc = gather_words(l, &gap);
		if (rc != RC_OK)
			return rc;
		if (is_next(l, ':') && !l->in_group && l->n > 1) {
			/* Others may take it for an address. */
			if (l->has_at || l->overflows)
				return RC_SYNTAX;
			l->in_group = true;
			l->at++;
			continue;
		}
		l->name = S("");
		l->name_has_at = false;
		if (is_next(l, '<')) {
			l->name = slice_first(slice_from(l->in, start), l->at - start);
			l->name_has_at = l->has_at;
			rc = read_angle(l, ret_address);
		} else
			rc = gap ? RC_SYNTAX : read_address(l, ret_address);
		return rc == RC_SYNTAX || !ends_here(l) ? RC_SYNTAX : rc;
	}
}

bool
mailbox_list_name_deceives(const struct mailbox_list *l)
{
	struct slice name = l->name;

	while (name.n > 0 && slice_find(S(" \t\r\n"), name.p[name.n - 1]) < 4)
		name.n--;
	/* text has < and > around it. */
	return l->name_has_at && !slice_caseeq(name, slice_of(l->text + 1, l->n - 2));
}
