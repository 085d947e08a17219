/* common/policy/table_load.c -- what a pattern is by how it is written, and table files line by line. */
#include "common/policy/table_entry.h"

#include "common/escape.h"
#include "common/idn.h"
#include "common/nfc.h"
#include "common/wire/address.h"
#include "common/wire/chars.h"
#include "common/wire/utf8.h"

enum {
	QUOTE_MAX = 80,		/* bytes of a bad pattern that a message shows */
	WARNINGS_MAX = 10,	/* of one file */
	MISTAKES_MAX = 20,	/* that are told of one file */
};

size_t
table_literal_text(struct ip ip, uint8_t out[IP_TEXT_MAX + 8])
{
	struct buf b = BUF_INIT(IP_TEXT_MAX + 8);
	size_t n = domain_literal_put(&b, ip) ? buf_len(&b) : 0;

	if (n > 0)
		memcpy(out, buf_slice(&b).p, n);
	buf_free(&b);
	return n;
}

const char table_too_large[] = "is larger than router { max-table-size }; raise it, or make the table smaller";

/* --- one pattern --- */

struct reading {
	struct table *t;
	struct slice value;
	uint32_t line;
	struct buf *why;
};

static enum rc
refuse(const struct reading *r, enum rc rc, struct slice pattern, const char *what)
{
	(void)buf_put_byte(r->why, '"');
	(void)escape_put(r->why, pattern, QUOTE_MAX);
	(void)buf_printf(r->why, "\" %s", what);
	return rc;
}

static enum rc
keep(const struct reading *r, enum table_kind kind, struct slice pattern)
{
	enum rc rc = table_entry_add(r->t, kind, pattern, r->value, r->line);

	if (rc == RC_EXISTS)
		return refuse(r, rc, pattern, "stands there already with another value; remove one of them");
	if (rc == RC_NOMEM)
		return refuse(r, rc, pattern, "does not fit: out of memory");
	return rc;
}

static enum rc
add_net(const struct reading *r, struct ip_net net)
{
	char text[IP_NET_TEXT_MAX];

	return keep(r, TABLE_NET, slice_of(text, ip_net_format(net, text)));
}

static enum rc
add_below(const struct reading *r, struct slice pattern)
{
	struct domain_pattern below;
	uint8_t text[TABLE_PATTERN_MAX];
	enum rc rc = domain_pattern_parse(pattern, &below);

	if (rc != RC_OK)
		return refuse(r, rc, pattern, rc == RC_RANGE ? "is too long for a domain" :
		    "is no domain pattern; write *.example.org");
	text[0] = '*';
	text[1] = '.';
	memcpy(text + 2, below.name.p, below.name.n);
	return keep(r, TABLE_BELOW, slice_of(text, 2 + below.name.n));
}

static enum rc
add_literal(const struct reading *r, struct slice pattern)
{
	uint8_t text[IP_TEXT_MAX + 8];
	struct ip ip;

	if (domain_literal_parse(pattern, &ip) != RC_OK)
		return refuse(r, RC_SYNTAX, pattern, "is no address literal; write [192.0.2.1] or [IPv6:2001:db8::1]");
	return keep(r, TABLE_LITERAL, slice_of(text, table_literal_text(ip, text)));
}

/* user@example.org, or user@: then it is read with a stand-in for the domain, which is taken off again. */
static enum rc
add_mailbox(const struct reading *r, struct slice pattern)
{
	struct buf full = BUF_INIT(2 * TABLE_PATTERN_MAX), text = BUF_INIT(TABLE_PATTERN_MAX);
	bool any = pattern.p[pattern.n - 1] == '@';
	struct address a;
	enum rc rc;

	(void)buf_put_slice(&full, pattern);
	if (any)
		(void)buf_put_str(&full, "x");
	rc = address_parse(buf_slice(&full), &a);
	if (rc == RC_OK && !address_put(&text, &a))
		rc = RC_RANGE;
	if (rc == RC_OK)
		rc = keep(r, any ? TABLE_USER_AT : TABLE_ADDRESS, slice_first(buf_slice(&text), buf_len(&text) - any));
	else if (pattern.p[0] == '@')
		rc = refuse(r, rc, pattern, "has no local part; for a whole domain write example.org");
	else
		rc = refuse(r, rc, pattern, rc == RC_RANGE ? "is too long for an address" :
		    "is no address; write user@example.org or user@");
	buf_free(&full);
	buf_free(&text);
	return rc;
}

static bool
is_dot_atom(struct slice s)
{
	uint8_t before = '.';

	for (size_t i = 0; i < s.n; before = s.p[i++])
		if (!char_is_atext(s.p[i]) && (s.p[i] != '.' || before == '.'))
			return false;
	return before != '.';
}

/* In one of the forms in which openssl writes a digest. False: it is none. */
static bool
read_print(struct slice pattern, uint8_t text[TABLE_PRINT_DIGITS])
{
	size_t n = 0;

	for (size_t i = 0; i < pattern.n; i++) {
		if (pattern.p[i] == ':' && n % 2 == 0 && n > 0)
			continue;
		if (n == TABLE_PRINT_DIGITS || (!char_is_digit(pattern.p[i]) && (ascii_lower(pattern.p[i]) < 'a' ||
		    ascii_lower(pattern.p[i]) > 'f')))
			return false;
		text[n++] = ascii_lower(pattern.p[i]);
	}
	return n == TABLE_PRINT_DIGITS;
}

/* * and / are letters of local parts (RFC 5322 3.2.3), but who writes them here means something else. */
static enum rc
add_word(const struct reading *r, struct slice pattern)
{
	enum rc rc = domain_check(pattern);

	if (rc == RC_OK)
		return keep(r, TABLE_NAME, pattern);
	if (slice_eq(pattern, S("*")))
		return refuse(r, RC_SYNTAX, pattern, "is no pattern; to match everything leave the option out");
	if (slice_find(pattern, '*') < pattern.n)
		return refuse(r, RC_SYNTAX, pattern, "is no domain pattern; write *.example.org");
	if (slice_find(pattern, '/') < pattern.n)
		return refuse(r, RC_SYNTAX, pattern, "is no network; write 192.0.2.0/24 or 2001:db8::/32");
	if (rc == RC_SYNTAX && pattern.n <= ADDRESS_LOCAL_MAX && is_dot_atom(pattern))
		return keep(r, TABLE_USER, pattern);
	return refuse(r, rc, pattern, rc == RC_RANGE ? "is too long for a domain" : "is no domain, address, user or network");
}

/* A pattern in UTF-8 and NFC: its domain is kept in A-labels, as every domain here is. A word without a dot is a user. */
static enum rc
add_composed(const struct reading *r, struct slice pattern)
{
	size_t at = slice_rfind(pattern, '@');
	bool mailbox = at < pattern.n, below = pattern.p[0] == '.' || slice_starts(pattern, S("*."));
	struct slice head = slice_first(pattern, mailbox ? at + 1 : !below ? 0 : pattern.p[0] == '.' ? 1 : 2);
	struct slice domain = slice_from(pattern, head.n);
	struct buf text = BUF_INIT(2 * TABLE_PATTERN_MAX);
	enum rc rc = RC_OK;

	if (!mailbox && !below && slice_find(pattern, '.') == pattern.n)
		return pattern.n > ADDRESS_LOCAL_MAX ? refuse(r, RC_RANGE, pattern, "is too long for a user") :
		    keep(r, TABLE_UTF8_USER, pattern);
	(void)buf_put_slice(&text, head);
	if (domain.n > 0)
		rc = idn_domain_put(&text, domain);
	if (rc == RC_OK && text.failed)
		rc = RC_NOMEM;
	if (rc != RC_OK)
		rc = refuse(r, rc, pattern, rc == RC_RANGE ? "is too long for a domain" : "is no valid domain name");
	else
		rc = mailbox ? add_mailbox(r, buf_slice(&text)) : below ? add_below(r, buf_slice(&text)) :
		    keep(r, TABLE_NAME, buf_slice(&text));
	buf_free(&text);
	return rc;
}

/* In the form in which local parts are compared, however it was typed. */
static enum rc
add_international(const struct reading *r, struct slice pattern)
{
	struct buf composed = BUF_INIT(TABLE_PATTERN_MAX);
	enum rc rc;

	if (!utf8_is_visible(pattern))
		return refuse(r, RC_SYNTAX, pattern, "is not well-formed UTF-8");
	if (nfc_put(&composed, pattern))
		rc = add_composed(r, buf_slice(&composed));
	else
		rc = refuse(r, RC_RANGE, pattern, "is too long for a pattern");
	buf_free(&composed);
	return rc;
}

enum rc
table_add(struct table *t, struct slice pattern, struct slice value, uint32_t line, struct buf *why)
{
	const struct reading r = { t, value, line, why };
	uint8_t print[TABLE_PRINT_DIGITS];
	struct ip_net net;

	if (pattern.n == 0)
		return refuse(&r, RC_SYNTAX, pattern, "is empty; remove it");
	if (pattern.n > TABLE_PATTERN_MAX)
		return refuse(&r, RC_RANGE, pattern, "is too long for a pattern");
	if (value.n > TABLE_VALUE_MAX)
		return refuse(&r, RC_RANGE, pattern, "has a value that is too long");
	if (!slice_is_ascii(pattern))
		return add_international(&r, pattern);
	if (slice_eq(pattern, S("<>")))
		return keep(&r, TABLE_NULL, pattern);
	if (read_print(pattern, print))
		return keep(&r, TABLE_PRINT, slice_of(print, sizeof print));
	if (ip_net_parse(pattern, &net) == RC_OK)
		return add_net(&r, net);
	if (slice_find(pattern, '@') < pattern.n)
		return add_mailbox(&r, pattern);
	if (pattern.p[0] == '[')
		return add_literal(&r, pattern);
	if (pattern.p[0] == '.' || slice_starts(pattern, S("*.")))
		return add_below(&r, pattern);
	return add_word(&r, pattern);
}

/* --- files --- */

struct lines {
	struct slice rest;
	struct slice line;	/* without its end */
	uint32_t number;
};

static bool
next_line(struct lines *l)
{
	size_t end;

	if (l->rest.n == 0)
		return false;
	end = slice_find(l->rest, '\n');
	l->line = slice_first(l->rest, end);
	l->rest = slice_from(l->rest, end + 1);
	if (l->line.n > 0 && l->line.p[l->line.n - 1] == '\r')
		l->line.n--;
	l->number++;
	return true;
}

static const struct slice blanks = SLICE(" \t");

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';	/* every byte of a large table comes by here */
}

/* A comment starts the line or stands behind white space: # is a letter of local parts (RFC 5322 3.2.3). */
static struct slice
without_comment(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || is_blank(line.p[i - 1])))
			return slice_first(line, i);
	return line;
}

/* Where the pattern ends that stands first in a line. A quoted local part may hold blanks. */
static size_t
pattern_end(struct slice line)
{
	size_t end = 0;

	for (bool quoted = false; end < line.n && (quoted || !is_blank(line.p[end])); end++) {
		if (line.p[end] == '"')
			quoted = !quoted;
		else if (quoted && line.p[end] == '\\' && end + 1 < line.n)
			end++;
	}
	return end;
}

static enum rc
load_line(struct table *t, const struct lines *l, struct buf *why)
{
	struct slice line = slice_trim(without_comment(l->line), blanks);
	size_t end = pattern_end(line);

	if (l->line.n > TABLE_LINE_MAX) {
		(void)buf_printf(why, "the line is longer than %d bytes; one pattern a line", TABLE_LINE_MAX);
		return RC_RANGE;
	}
	if (line.n == 0)
		return RC_OK;
	return table_add(t, slice_first(line, end), slice_trim(slice_from(line, end), blanks), l->number, why);
}

enum rc
table_load_text(struct table *t, struct slice bytes, const char *path, struct buf *why)
{
	struct lines l = { bytes, { NULL, 0 }, 0 };
	struct buf what = BUF_INIT(1024);
	enum rc first = RC_OK;
	size_t n = 0;

	while (first != RC_NOMEM && next_line(&l)) {
		enum rc rc = load_line(t, &l, &what);

		if (rc == RC_OK)
			continue;
		if (first == RC_OK || rc == RC_NOMEM)
			first = rc;
		if (n++ < MISTAKES_MAX) {
			(void)buf_printf(why, "%s%s:%u: ", n == 1 ? "" : "\n", path, l.number);
			(void)buf_put_slice(why, buf_slice(&what));
		}
		buf_clear(&what);
	}
	if (n > MISTAKES_MAX)
		(void)buf_printf(why, "\n%s: and %zu more lines that are wrong", path, n - MISTAKES_MAX);
	buf_free(&what);
	return first;
}

void
table_warn_text(struct slice bytes, const char *path, struct buf *notes)
{
	struct lines l = { bytes, { NULL, 0 }, 0 };
	char text[IP_NET_TEXT_MAX];
	struct ip_net net;
	size_t n = 0;

	while (next_line(&l)) {
		struct slice line = slice_trim(without_comment(l.line), blanks), pattern = slice_first(line, pattern_end(line));

		if (!ip_net_is_wide(pattern, &net) || n++ >= WARNINGS_MAX)
			continue;
		(void)ip_net_format(net, text);
		(void)buf_printf(notes, "%s:%u: warning: %.*s means all of %s; write that, or the address alone\n", path,
		    l.number, (int)pattern.n, (const char *)pattern.p, text);
	}
	if (n > WARNINGS_MAX)
		(void)buf_printf(notes, "%s: warning: and %zu more such networks\n", path, n - WARNINGS_MAX);
}

/* The n-th field of name:password:uid:gid:...; false when the line has fewer. */
static bool
passwd_field(struct slice line, unsigned n, struct slice *ret_field)
{
	size_t colon = slice_find(line, ':');

	for (; n > 0; n--, colon = slice_find(line, ':')) {
		if (colon == line.n)
			return false;
		line = slice_from(line, colon + 1);
	}
	*ret_field = slice_first(line, colon);
	return true;
}

static bool
uid_parse(struct slice s, uint32_t *ret_uid)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (!char_is_digit(s.p[i]))
			return false;
		n = n * 10 + (s.p[i] - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*ret_uid = (uint32_t)n;
	return s.n > 0;
}

/* Names that no local part without quotes could have belong to accounts that get no mail. */
static bool
can_get_mail(struct slice name)
{
	return name.n <= ADDRESS_LOCAL_MAX && is_dot_atom(name);
}

static enum rc
keep_user(struct table *t, struct slice name, uint32_t line)
{
	return table_entry_add(t, domain_check(name) == RC_OK ? TABLE_NAME : TABLE_USER, name, S(""), line);
}

enum rc
table_load_passwd(struct table *t, struct slice bytes, uint32_t min_uid, const char *path, struct buf *why)
{
	enum { NAME, PASSWORD, UID, OVERFLOW_UID = 65534 };
	struct lines l = { bytes, { NULL, 0 }, 0 };

	while (next_line(&l)) {
		struct slice name, uid_text;
		uint32_t uid;

		if (l.line.n == 0 || l.line.p[0] == '#' || l.line.p[0] == '+' || l.line.p[0] == '-')
			continue;	/* the last two are compat entries of nsswitch.conf(5) */
		if (!passwd_field(l.line, UID, &uid_text) || !uid_parse(uid_text, &uid)) {
			(void)buf_printf(why, "%s:%u: no line of passwd(5); write name:password:uid:gid:...", path, l.number);
			return RC_SYNTAX;
		}
		(void)passwd_field(l.line, NAME, &name);
		if (uid < min_uid || uid == OVERFLOW_UID || !can_get_mail(name))
			continue;
		if (keep_user(t, name, l.number) == RC_NOMEM) {
			(void)buf_printf(why, "%s:%u: out of memory", path, l.number);
			return RC_NOMEM;
		}
	}
	return RC_OK;
}

enum rc
table_add_account(struct table *t, struct slice text, uint32_t min_uid, struct buf *why)
{
	enum { NAME, UID, GID, HOME };
	const struct reading r = { t, S(""), 0, why };
	struct slice name, uid_text, home;
	uint32_t uid;

	if (!passwd_field(text, HOME, &home) || !passwd_field(text, UID, &uid_text) || !uid_parse(uid_text, &uid) ||
	    !passwd_field(text, NAME, &name) || !can_get_mail(name))
		return refuse(&r, RC_SYNTAX, text, "is no user; write name:uid:gid:home");
	if (uid < min_uid)
		return refuse(&r, RC_RANGE, text,
		    "has a uid below local { min-uid }, so it could never get mail; change one of them");
	return keep_user(t, name, 0);
}
